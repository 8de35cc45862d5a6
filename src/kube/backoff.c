/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "kube/backoff.h"

int backoff_jitter_ms(int ms, uint64_t chance)
{
	return ms - (int)(chance % ((uint64_t)(ms / 2) + 1));
}

int backoff_next_ms(struct backoff *b, uint64_t chance)
{
	int64_t ms = b->first_ms;

	for (unsigned int i = 0; i < b->failures && ms < b->last_ms; i++)
		ms *= 2;
	if (ms > b->last_ms)
		ms = b->last_ms;
	b->failures++;
	return backoff_jitter_ms((int)ms, chance);
}

void backoff_reset(struct backoff *b)
{
	b->failures = 0;
}
