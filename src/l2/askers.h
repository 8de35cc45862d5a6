/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_L2_ASKERS_H
#define FAIRLEAD_L2_ASKERS_H

/*
 * Who was answered just now, for a segment that is asked more than it has time for: the same
 * machine gets the same answer no more often than once in ASKERS_PAUSE_MS.  Who asks in earnest
 * asks again after a second.
 */

#include <stdbool.h>
#include <stdint.h>

#include "l2/neighbor.h"

#define ASKERS_PAUSE_MS 100
/*
 * Where more ask than that, some are forgotten, and answered too often; a power of two.
 */
#define ASKERS_KEPT 1024

struct asker {
	uint64_t key; /* of machine, sender and target */
	int64_t answered_ms;
};

struct askers {
	struct asker list[ASKERS_KEPT];
};

/* Whether @question is to be answered at @now; it then counts as answered. */
bool askers_may(struct askers *a, int64_t now, const struct neighbor_packet *question);

#endif
