/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_COMMANDS_H
#define FAIRLEAD_CLI_COMMANDS_H

/*
 * The commands of fairlead(1): each prints its answer, and returns the exit status.
 */

#include <stdbool.h>
#include <stddef.h>

#include "cli/gather.h"
#include "fairlead/err.h"
#include "fairlead/options.h"
#include "fairlead/out.h"

enum command_exit {
	COMMAND_OK = 0,
	COMMAND_FAILED =
		1, /* no answer, or an answer of no; @e says why where nothing was printed */
	COMMAND_DEGRADED = 1, /* status, pools, bgp: the verdict */
	COMMAND_DOWN = 2,
	COMMAND_CHANGES = 2, /* plan: something moves or fails; config convert: something is lost */
	COMMAND_INCOMPLETE = 3, /* explain: printed, but a speaker did not answer */
	COMMAND_USAGE = 64,     /* wrong command line; as in sysexits.h */
};

struct command_options {
	struct options_kube kube;
	enum out_format format;
	bool release_addresses, yes;
	struct gather_port speaker;
	int timeout_s;
	int wait_s; /* until the verdict is OK; 0: not at all */
	bool watch, summary;
	bool exit_by_answer;                             /* 0 whatever the verdict */
	const char *service_namespace, *selector;        /* of the Services to show; NULL: all */
	const char *config, *load_balancer_class, *node; /* NULL: not given */
	struct option_list state;                        /* manifests; none: the live cluster */
	char **operands;                                 /* behind the command's words */
	size_t n_operands;
};

/* What a command prints: it writes to @out, and calls command_print() in the end. */
struct command_answer {
	struct out out;
	struct buf text;
};
void command_answer_init(struct command_answer *a, const struct command_options *o);
void command_answer_fini(struct command_answer *a);
void command_print(struct command_answer *a);
/* The same over what stands on the terminal; elsewhere it is one text behind the other. */
void command_redraw(struct command_answer *a);

int command_bgp(const struct command_options *o, struct err *e);
int command_config_check(const struct command_options *o, struct err *e);
int command_config_convert(const struct command_options *o, struct err *e);
int command_explain(const struct command_options *o, struct err *e);
int command_plan(const struct command_options *o, struct err *e);
int command_pools(const struct command_options *o, struct err *e);
int command_uninstall(const struct command_options *o, struct err *e);
int command_status(const struct command_options *o, struct err *e);

#endif
