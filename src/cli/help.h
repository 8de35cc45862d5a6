/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_HELP_H
#define FAIRLEAD_CLI_HELP_H

/* What --help prints, from the rows of commands and flags. */

#include "cli/commands.h"

/* Of one command, or of all of them with NULL. */
void help_print(const struct command *c);

#endif
