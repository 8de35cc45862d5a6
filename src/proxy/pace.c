/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/pace.h"

int64_t pace_next_ms(struct pace *p, int64_t now_ms, int64_t took_ms)
{
	int64_t gap = 2 * took_ms;

	gap = gap < PACE_GAP_MIN_MS ? PACE_GAP_MIN_MS : gap;
	gap = gap > PACE_GAP_MAX_MS ? PACE_GAP_MAX_MS : gap;
	int64_t refill = gap * PACE_CREDIT_GAPS;
	for (; p->spent > 0 && now_ms >= p->refill_ms; p->spent--)
		p->refill_ms += refill;
	if (p->spent == PACE_CREDITS)
		return now_ms + gap;
	if (p->spent++ == 0)
		p->refill_ms = now_ms + refill;
	return now_ms;
}

int64_t pace_pause_ms(unsigned int failures, int64_t min_ms, int64_t max_ms)
{
	int64_t pause = min_ms;

	for (unsigned int i = 0; i < failures && pause < max_ms; i++)
		pause *= 2;
	return pause < max_ms ? pause : max_ms;
}
