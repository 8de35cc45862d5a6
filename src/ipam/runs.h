/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_IPAM_RUNS_H
#define FAIRLEAD_IPAM_RUNS_H

/*
 * The free addresses of one family in one pool, as sorted runs.
 *
 * The lowest free address is the first one of the first run: a /8 or an IPv6 /64 costs no more than
 * a /30.  With @skip_buggy, addresses that end in .0 or .255 are not free: those that come to the
 * front are dropped for good, and those further back are not handed out when they get there.
 */

#include <stdbool.h>
#include <stddef.h>

#include "fairlead/addr.h"

#define RUNS_BLOCK_MAX 256

/*
 * Runs one after the other, so many at most: where addresses are taken at random there is one for
 * almost every address, and this bounds what one more of them moves.
 */
struct runs_block {
	struct addr_range *items; /* neither overlapping nor adjacent */
	size_t n, cap;            /* never empty */
};

struct runs {
	struct runs_block *blocks;
	size_t n_blocks, cap_blocks;
	bool skip_buggy;
	/* addresses that may be handed out, held or free; UINT64_MAX: that many or more */
	uint64_t total;
};

void runs_fini(struct runs *r);
/* Adds a range; they come in any order, never overlap, and special addresses are left out. */
void runs_add(struct runs *r, const struct addr_range *range);
/*
 * Takes a range out for good, after all were added and before anything else: it does not count any
 * more.
 */
void runs_exclude(struct runs *r, const struct addr_range *range);
/* The lowest free address; false if there is none.  O(1). */
bool runs_first(const struct runs *r, struct addr *ret_addr);
/*
 * The first free one from @from on, and after the last one the lowest; false if there is none.
 * O(log n), and one step more for each run of addresses that are not handed out.
 */
bool runs_from(const struct runs *r, const struct addr *from, struct addr *ret_addr);
bool runs_has(const struct runs *r, const struct addr *a);
/* Takes a free address out; nothing happens if it is not free. */
void runs_take(struct runs *r, const struct addr *a);
/* Returns one that was taken. */
void runs_give(struct runs *r, const struct addr *a);
/* May this one be handed out at all? */
bool runs_usable(const struct runs *r, const struct addr *a);

#endif
