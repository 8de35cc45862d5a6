/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_HOLDS_H
#define FAIRLEAD_SPEAKER_HOLDS_H

/*
 * Services whose rules wait until bgpd has withdrawn what leads to them, each for the publication
 * that withdraws it, but no longer than a deadline.  Pure: time is an argument.
 */

#include <stdbool.h>
#include <stdint.h>

#include "fairlead/hash.h"

struct hold {
	char *key; /* of the Service */
	uint64_t generation;
	int64_t until_ms;
	UT_hash_handle hh;
};

/* All zero: nothing waits. */
struct holds {
	struct hold *list;
};

void holds_fini(struct holds *h);
/* Waits for this publication; an earlier deadline stays. */
void holds_put(struct holds *h, const char *key, uint64_t generation, int64_t until_ms);
bool holds_has(const struct holds *h, const char *key);
/*
 * Calls @go for each that waits no longer, as publications up to @withdrawn are in force or its
 * time is up.
 */
void holds_release(struct holds *h, uint64_t withdrawn, int64_t now_ms,
                   void (*go)(const char *key, void *arg), void *arg);

#endif
