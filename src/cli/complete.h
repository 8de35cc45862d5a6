/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_COMPLETE_H
#define FAIRLEAD_CLI_COMPLETE_H

/*
 * Completion in shells.  Their scripts, which `fairlead completion` prints, hand over the words
 * behind the program's name, the last of which is the one to complete, and get what it may be: a
 * line each, with a tab before what it means; in the end ":0" if it may be a file as well, else
 * ":4".  kubectl asks its plugins in the same way.
 */

#include <stddef.h>

#define COMPLETE_WORD "__complete"

/* Prints the answer. */
void complete(char **words, size_t n);

#endif
