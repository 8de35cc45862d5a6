/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_L2_STRAGGLERS_H
#define FAIRLEAD_L2_STRAGGLERS_H

/*
 * Machines that go on sending to this node for an address that has moved to another: which
 * addresses that may concern, and who is told how often.  What the frames say, and whether the new
 * owner is known, is the segment's matter.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "l2/neighbor.h"

/* For how long after an address was lost; and of how many, the latest. */
#define STRAGGLERS_WATCH_MS 600000
#define STRAGGLERS_GONE_MAX 4096
/* So many are looked for at once; where there are more they take turns. */
#define STRAGGLERS_AT_ONCE 32
/* The same machine is told of the same address no more often than this; */
#define STRAGGLERS_PAUSE_MS 1000
/* and all together so often in that time. */
#define STRAGGLERS_TOLD_MAX 64
/* Where there are more, some are forgotten, and told too often. */
#define STRAGGLERS_KEPT 256
/* For so long after it was told one counts. */
#define STRAGGLERS_LATELY_MS 10000

struct straggler_gone {
	struct addr addr;
	int64_t until_ms;
};

struct straggler_told {
	uint64_t key; /* of machine and address */
	int64_t at_ms;
};

/* All zeros at first. */
struct stragglers {
	struct straggler_gone *gone; /* a ring, in the order of time; NULL before the first */
	size_t first, n, turn;
	struct straggler_told told[STRAGGLERS_KEPT];
	int64_t telling_ms; /* since then n_told */
	size_t n_told;
};

void stragglers_fini(struct stragglers *s);
/* This node had @addr until now. */
void stragglers_watch(struct stragglers *s, int64_t now, const struct addr *addr);
/* Whether there is any such address still. */
bool stragglers_any(struct stragglers *s, int64_t now);

/* Another node is known to have it now. */
typedef bool stragglers_moved_fn(const struct addr *addr, void *arg);
/* Those to look for next, of those that have @moved; returns how many. */
size_t stragglers_next(struct stragglers *s, int64_t now, stragglers_moved_fn *moved, void *arg,
                       struct addr ret_addrs[static STRAGGLERS_AT_ONCE]);
/* Whether the machine at @mac is to be told of @addr now; then it counts as told. */
bool stragglers_may_tell(struct stragglers *s, int64_t now, const struct addr *addr,
                         const uint8_t *mac);
/* How many were told lately, each for each address; of those that are remembered. */
size_t stragglers_lately(const struct stragglers *s, int64_t now);

#endif
