/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_PICTURE_H
#define FAIRLEAD_CLI_PICTURE_H

/*
 * What a cluster is at one moment, by what the API server and the daemons answer, or by manifests.
 */

#include <stddef.h>

#include "cli/commands.h"
#include "cli/verdict.h"

struct gather;
struct gather_daemon;
struct json_object;
struct model;

/* What others want to hear of it meanwhile. */
struct picture_tee {
	/* Each node's speaker: what it said, or NULL and why. */
	void (*speaker)(const struct gather_daemon *d, struct json_object *status, const char *why,
	                void *arg);
	/* Something could not be read; it stands on standard error, too. */
	void (*passed_over)(const char *why, void *arg);
	void *arg;
};

struct picture {
	struct model *model;           /* the caller's, and new */
	size_t n_unreadable;           /* objects that were told of and passed over */
	const struct picture_tee *tee; /* NULL: nobody else listens */
};

/* What is taken, as bits; Nodes and Pods in any case. */
enum picture_part {
	PICTURE_ALL = 1 << 0, /* the configuration, the Services and who leads */
	PICTURE_SPEAKERS = 1 << 1,
	PICTURE_CONTROLLERS = 1 << 2,
	PICTURE_JOURNAL = 1 << 3, /* as far as there is one that may be read */
};

int picture_take(const struct command_options *o, struct gather *g, unsigned int what,
                 struct picture *p, struct err *e);
/* The same from the manifests of --state; daemons are not asked. */
int picture_read(const struct command_options *o, struct picture *p, struct err *e);
/* Of a command that has answered by this verdict. */
int picture_exit_status(const struct command_options *o, const struct picture *p,
                        enum verdict_level level, struct err *e);

#endif
