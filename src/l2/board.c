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
	board_drop_states(b);
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

static void states_put(struct board_state **states, const struct l2_state *state)
{
	struct board_state *s;

	HASH_FIND(hh, *states, &state->addr, sizeof(state->addr), s);
	if (!s) {
		s = xcalloc(1, sizeof(*s));
		s->state.addr = state->addr;
		HASH_ADD(hh, *states, state.addr, sizeof(s->state.addr), s);
	}
	s->state = *state;
}

static void states_drop(struct board_state **states, const struct addr *addr)
{
	struct board_state *s;

	HASH_FIND(hh, *states, addr, sizeof(*addr), s);
	if (!s)
		return;
	HASH_DEL(*states, s);
	free(s);
}

static void states_clear(struct board_state **states)
{
	struct board_state *s, *next;

	HASH_ITER(hh, *states, s, next) {
		HASH_DEL(*states, s);
		free(s);
	}
}

void board_put_state(struct board *b, const struct l2_state *state)
{
	states_put(&b->news, state);
	if (troubles_suspects(state))
		states_put(&b->suspects, state);
	else
		states_drop(&b->suspects, &state->addr);
}

void board_drop_state(struct board *b, const struct addr *addr)
{
	states_drop(&b->news, addr);
	states_drop(&b->suspects, addr);
}

void board_drop_states(struct board *b)
{
	states_clear(&b->news);
	states_clear(&b->suspects);
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

void board_take_states(struct board *b, struct l2_state **ret_states, size_t *ret_n)
{
	lock(b);
	struct board_state *news = TAKE(b->news), *s;
	unlock(b);
	*ret_states = xcalloc(HASH_COUNT(news) + 1, sizeof(**ret_states));
	*ret_n = 0;
	for (s = news; s; s = s->hh.next)
		(*ret_states)[(*ret_n)++] = s->state;
	states_clear(&news);
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
