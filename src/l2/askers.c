/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of fixed size in which each asker has one place, which the last one takes: a collision
 * makes for one answer more, never for one less.  The seed is none: whoever finds collisions with
 * another machine only has itself answered more often.
 */
#include "config.h"

#include "l2/askers.h"

#include "fairlead/hash.h"

static uint64_t key_of(const struct neighbor_packet *q)
{
	uint64_t key = hash64(q->mac, sizeof(q->mac), 0);

	key = hash64(q->sender.b, addr_size(q->sender.family), key);
	return hash64(q->target.b, addr_size(q->target.family), key);
}

bool askers_may(struct askers *a, int64_t now, const struct neighbor_packet *question)
{
	uint64_t key = key_of(question);
	struct asker *at = &a->list[key % ASKERS_KEPT];

	if (at->key == key && at->answered_ms && now - at->answered_ms < ASKERS_PAUSE_MS)
		return false;
	*at = (struct asker){ .key = key, .answered_ms = now };
	return true;
}
