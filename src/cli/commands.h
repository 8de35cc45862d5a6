/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_COMMANDS_H
#define FAIRLEAD_CLI_COMMANDS_H

/*
 * The commands of fairlead(1): each prints its answer, and returns the exit status.
 */

#include <stdbool.h>

#include "fairlead/err.h"
#include "fairlead/options.h"

enum command_exit {
	COMMAND_OK = 0,
	COMMAND_FAILED = 1,     /* the API server could not be asked; @e says why */
	COMMAND_USAGE = 2,      /* wrong command line */
	COMMAND_INCOMPLETE = 3, /* printed, but a speaker did not answer */
};

struct command_options {
	struct options_kube kube;
	bool json;
	int speaker_port;
};

int command_status(const struct command_options *o, struct err *e);

#endif
