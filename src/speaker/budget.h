/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_BUDGET_H
#define FAIRLEAD_SPEAKER_BUDGET_H

/*
 * How many Events may be sent: a number at once, and one more every so often.  A caller with
 * something to report asks, and if refused reports it later if it is still true.  Pure: time is an
 * argument.
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

/* Whether one more may be sent now, which then counts as sent. */
bool budget_take(struct budget *b, int64_t now_ms);

#endif
