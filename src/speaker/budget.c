/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "speaker/budget.h"

bool budget_take(struct budget *b, int64_t now_ms)
{
	while (b->spent && now_ms >= b->refill_ms) {
		b->spent--;
		b->refill_ms += BUDGET_REFILL_MS;
	}
	if (b->spent == BUDGET_BURST)
		return false;
	if (!b->spent++)
		b->refill_ms = now_ms + BUDGET_REFILL_MS;
	return true;
}
