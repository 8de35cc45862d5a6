/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_BUDGET_H
#define FAIRLEAD_SPEAKER_BUDGET_H

/*
 * How many Events may be sent: so many at once, and one more every so often.  Whoever has something
 * to tell asks, and tells it later if it is still true.  Pure: time is an argument.
 */

#include <stdbool.h>
#include <stdint.h>

#define BUDGET_BURST 10
#define BUDGET_REFILL_MS 30000

/* All zero: nothing was spent. */
struct budget {
	unsigned int spent; /* of BUDGET_BURST */
	int64_t refill_ms;  /* when one comes back */
};

/* Whether one more may be told now, which then counts as told. */
bool budget_take(struct budget *b, int64_t now_ms);

#endif
