/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "l2/board.h"

#include <stdlib.h>

#include "fairlead/mem.h"

void board_init(struct board *b)
{
	pthread_mutex_init(&b->lock, NULL);
}

void board_fini(struct board *b)
{
	free(b->states);
	free(b->peers);
	free(b->segments);
	free(b->changes);
	troubles_fini(&b->troubles);
	pthread_mutex_destroy(&b->lock);
}

static void put(struct board_complaints *to, const struct err *e)
{
	if (to->n < BOARD_COMPLAINTS_MAX)
		to->list[to->n++] = *e;
}

void board_complain(struct board *b, const struct err *e)
{
	put(&b->unsaid, e);
}

void board_change(struct board *b, const struct addr *addr)
{
	ARRAY_RESERVE(b->changes, b->changes_cap, b->n_changes + 1);
	b->changes[b->n_changes++] = *addr;
}

void board_say(struct board *b)
{
	for (size_t i = 0; i < b->unsaid.n; i++)
		put(&b->said, &b->unsaid.list[i]);
}

static void lock(const struct board *b)
{
	pthread_mutex_lock((pthread_mutex_t *)&b->lock);
}

static void unlock(const struct board *b)
{
	pthread_mutex_unlock((pthread_mutex_t *)&b->lock);
}

void board_states(const struct board *b, struct l2_state **ret_states, size_t *ret_n)
{
	lock(b);
	*ret_states = xmemdup(b->states, b->n_states * sizeof(*b->states));
	*ret_n = b->n_states;
	unlock(b);
}

void board_peers(const struct board *b, struct l2_peer **ret_peers, size_t *ret_n)
{
	lock(b);
	*ret_peers = xmemdup(b->peers, b->n_peers * sizeof(*b->peers));
	*ret_n = b->n_peers;
	unlock(b);
}

void board_segments(const struct board *b, struct l2_segment **ret_segments, size_t *ret_n)
{
	lock(b);
	*ret_segments = xmemdup(b->segments, b->n_segments * sizeof(*b->segments));
	*ret_n = b->n_segments;
	unlock(b);
}

void board_troubles(const struct board *b, struct l2_trouble **ret_troubles, size_t *ret_n)
{
	lock(b);
	*ret_troubles = xmemdup(b->troubles.list, b->troubles.n * sizeof(*b->troubles.list));
	*ret_n = b->troubles.n;
	unlock(b);
}

struct l2_stats board_stats(const struct board *b)
{
	lock(b);
	struct l2_stats s = b->stats;
	unlock(b);
	return s;
}

bool board_take_complaint(struct board *b, struct err *ret_complaint)
{
	lock(b);
	bool has = b->said.n > 0;
	if (has)
		*ret_complaint = b->said.list[--b->said.n];
	unlock(b);
	return has;
}
