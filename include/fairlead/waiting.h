/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_WAITING_H
#define FAIRLEAD_WAITING_H

/*
 * The Services that wait for another one to leave.  Whoever asks for addresses by name is filed
 * under these, so that an address which becomes free costs a look at those alone whom it may
 * concern, however many wait.
 */

#include <stdbool.h>
#include <stddef.h>

#include "fairlead/record.h"

struct waiter;
struct waiting_name;

/* All zero: nobody waits. */
struct waiting {
	struct waiter *open, *by_name; /* whom any address may concern; whom only some */
	struct waiting_name *names;
	uint64_t round;
	uint64_t n_looks; /* at whether one is concerned */
};

/* The record waits from now on; one that does already is filed anew, by what its object says. */
void waiting_put(struct waiting *w, const struct ipam *ipam, struct record *r);
/* Accepts one that does not wait. */
void waiting_remove(struct waiting *w, struct record *r);
static inline bool waiting_has(const struct record *r)
{
	return r->waiter != NULL;
}

void waiting_each(const struct waiting *w, void (*fn)(struct record *r, void *arg), void *arg);

/*
 * Those whom what became free since ipam_freed_seen() may concern, as turn_is_concerned() says, in
 * no order.  A new array for free().
 */
struct record **waiting_concerned(struct waiting *w, const struct ipam *ipam, size_t *ret_n);

#endif
