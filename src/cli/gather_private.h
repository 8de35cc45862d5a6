/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_GATHER_PRIVATE_H
#define FAIRLEAD_CLI_GATHER_PRIVATE_H

/* What asking the API server (gather.c) and the daemons (gather_daemons.c) share. */

#include <stddef.h>

#include "cli/gather.h"

struct event_base;
struct kube_access;
struct kube_client;

struct gather {
	struct event_base *base;
	struct kube_access *access;
	struct kube_client *client;
	void *arg; /* the caller's, of this call */
	size_t n_pending;
	struct err error; /* the first of this call */
};

/* One of the awaited answers has come, or will not. */
void gather_one_less(struct gather *g);
/* Waits until all have. */
void gather_wait(struct gather *g);

#endif
