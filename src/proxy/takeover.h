/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_TAKEOVER_H
#define FAIRLEAD_PROXY_TAKEOVER_H

/*
 * What an earlier run has left in places other than the one that is written now: another variant of
 * iptables, another mode.  It goes on carrying traffic until everything is in force here, and then
 * it is removed, beside the event loop, and again if that fails.
 */

#include <stdbool.h>
#include <stddef.h>

#include "proxy/backend.h"

struct event_base;
struct takeover;

struct takeover_ops {
	/* Whether everything is in force in the own place. */
	bool (*is_settled)(void *arg);
	void (*failed)(const struct err *e, void *arg);
	/* Nothing is left. */
	void (*done)(void *arg);
};

/*
 * Looks at once what there is in @places, which nothing writes to any more; blocks for some
 * milliseconds.
 */
struct takeover *takeover_new(struct event_base *base, const struct place *const *places, size_t n,
                              int retry_ms, const struct takeover_ops *ops, void *arg);
/* Lets go of a removal that is under way, which ends by itself. */
void takeover_free(struct takeover *t);
/* Goes on, if everything is in force by now. */
void takeover_run(struct takeover *t);
bool takeover_is_done(const struct takeover *t);

#endif
