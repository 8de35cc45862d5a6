/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that were lost lie in a ring in the order in which that happened, so those whose time
 * is over are the first.  One that was lost twice is in it twice, which costs a look more.  Who was
 * told lies in a table like that of askers.h: a collision tells one more often, and never less.
 */
#include "config.h"

#include "l2/stragglers.h"

#include <stdlib.h>

#include "fairlead/hash.h"
#include "fairlead/mem.h"

void stragglers_fini(struct stragglers *s)
{
	free(s->gone);
}

void stragglers_watch(struct stragglers *s, int64_t now, const struct addr *addr)
{
	if (!s->gone)
		s->gone = xcalloc(STRAGGLERS_GONE_MAX, sizeof(*s->gone));
	if (s->n == STRAGGLERS_GONE_MAX) {
		s->first = (s->first + 1) % STRAGGLERS_GONE_MAX;
		s->n--;
	}
	s->gone[(s->first + s->n++) % STRAGGLERS_GONE_MAX] =
		(struct straggler_gone){ *addr, now + STRAGGLERS_WATCH_MS };
}

bool stragglers_any(struct stragglers *s, int64_t now)
{
	while (s->n > 0 && now >= s->gone[s->first].until_ms) {
		s->first = (s->first + 1) % STRAGGLERS_GONE_MAX;
		s->n--;
	}
	return s->n > 0;
}

size_t stragglers_next(struct stragglers *s, int64_t now, stragglers_moved_fn *moved, void *arg,
                       struct addr ret_addrs[static STRAGGLERS_AT_ONCE])
{
	size_t n = 0;

	if (!stragglers_any(s, now))
		return 0;
	size_t begin = s->turn % s->n, looked = 0;
	for (; looked < s->n && n < STRAGGLERS_AT_ONCE; looked++) {
		size_t at = (s->first + (begin + looked) % s->n) % STRAGGLERS_GONE_MAX;
		if (moved(&s->gone[at].addr, arg))
			ret_addrs[n++] = s->gone[at].addr;
	}
	s->turn = (begin + looked) % s->n;
	return n;
}

bool stragglers_may_tell(struct stragglers *s, int64_t now, const struct addr *addr,
                         const uint8_t *mac)
{
	uint64_t key = hash64(addr->b, addr_size(addr->family), hash64(mac, NEIGHBOR_MAC_SIZE, 0));
	struct straggler_told *at = &s->told[key % STRAGGLERS_KEPT];

	if (at->key == key && at->at_ms && now - at->at_ms < STRAGGLERS_PAUSE_MS)
		return false;
	if (now - s->telling_ms >= STRAGGLERS_PAUSE_MS) {
		s->telling_ms = now;
		s->n_told = 0;
	}
	if (s->n_told == STRAGGLERS_TOLD_MAX)
		return false;
	s->n_told++;
	*at = (struct straggler_told){ .key = key, .at_ms = now };
	return true;
}

size_t stragglers_lately(const struct stragglers *s, int64_t now)
{
	size_t n = 0;

	for (size_t i = 0; i < STRAGGLERS_KEPT; i++)
		n += s->told[i].at_ms && now - s->told[i].at_ms < STRAGGLERS_LATELY_MS;
	return n;
}
