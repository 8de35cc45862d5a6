/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_LARGE_H
#define FAIRLEAD_SPEAKER_LARGE_H

/*
 * Services that are so large that nothing may wait until they are built (size_is_large()): they
 * are built a slice in each turn of the event loop, one after the other.  What they are made of is
 * kept, so that whatever has not changed is shared by what is built next.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/forward.h"

struct event_base;
struct large;

/* So many endpoints are looked at in a slice; a port is the least. */
#define LARGE_SLICE 16384

enum large_step {
	LARGE_GOES_ON,   /* further steps follow */
	LARGE_PASSED_ON, /* all ports are built, and the Service was passed on */
	LARGE_LET_GO,    /* nothing is to be passed on until it is set again */
	LARGE_NOT_NOW,   /* nothing was done; large_go_on() says when */
};

struct large_ops {
	enum large_step (*step)(const char *key, struct forward_ports *ports, size_t max,
	                        void *arg);
	/* As large_await() says. */
	void (*arrived)(void *arg);
};

struct large *large_new(struct event_base *base, const struct large_ops *ops, void *arg);
/* Accepts NULL. */
void large_free(struct large *l);
/*
 * The Service is to be built, also if that is under way: then once more.  @need: a number that has
 * grown if what was passed on before does not suffice any more.
 */
void large_set(struct large *l, const char *key, uint64_t need);
/* It is gone, or not large any more. */
void large_drop(struct large *l, const char *key);
/* What step() put off may be done: a step, unless one was made since. */
void large_go_on(struct large *l);
/*
 * Calls arrived(), once, as soon as each Service that is due, and never was passed on, has been:
 * whatever is set meanwhile is not waited for.  False, and no call: there is none.
 */
bool large_await(struct large *l);
/* Whether it is yet to be built as it was set last; whether any is. */
bool large_is_due(const struct large *l, const char *key);
bool large_any_due(const struct large *l);
/*
 * Whether what was passed on suffices: it is as it was set last, or was built since the need grew,
 * as also happens where the Service never rests.
 */
bool large_suffices(const struct large *l, const char *key);
bool large_all_suffice(const struct large *l);

#endif
