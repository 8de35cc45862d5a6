/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/nftables/queue.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

static size_t n_lists_of(const struct queue_rounds *r)
{
	return r->n * FRAME_MAPS;
}

/* Some lists that follow one another. */
struct section {
	enum queue_part part;
	enum queue_lane lane;
	bool both; /* lanes, of what is old, map by map */
	size_t n;
};

#define SECTIONS_MAX 6

/* In their order. */
static size_t sections(const struct queue *q, struct section ret[static SECTIONS_MAX])
{
	const struct section deferred = { QUEUE_DEFERRED, QUEUE_SMALL, false, 1 };
	size_t n = 0;

	for (int i = 0; i < QUEUE_LANES; i++) {
		enum queue_lane lane = (enum queue_lane)i;
		ret[n++] = (struct section){ QUEUE_NEW, lane, false, n_lists_of(&q->lanes[i]) };
		if (q->n_crossing == 0)
			ret[n++] = (struct section){ QUEUE_OLD, lane, false, FRAME_MAPS };
		if (q->n_crossing == 0 && q->retry && lane == QUEUE_SMALL)
			ret[n++] = deferred;
	}
	if (q->n_crossing > 0)
		ret[n++] =
			(struct section){ QUEUE_OLD, QUEUE_SMALL, true, QUEUE_LANES * FRAME_MAPS };
	if (q->n_crossing > 0 || !q->retry)
		ret[n++] = deferred;
	ret[n++] = (struct section){ QUEUE_DEFERRED, QUEUE_LARGE, false, 1 };
	return n;
}

static const struct queue_list *list_in(const struct queue *q, const struct section *s, size_t i)
{
	const struct queue_list *all = NULL;

	switch (s->part) {
	case QUEUE_NEW:
		all = q->lanes[s->lane].list[i / FRAME_MAPS].maps;
		return &all[i % FRAME_MAPS];
	case QUEUE_OLD:
		if (s->both)
			return &q->old[i % QUEUE_LANES][FRAME_MAPS - 1 - i / QUEUE_LANES];
		return &q->old[s->lane][FRAME_MAPS - 1 - i];
	case QUEUE_DEFERRED:
		break;
	}
	return &q->deferred[s->lane];
}

/* The item's list, by its number in the section; false: it is in another one. */
static bool has_list(const struct queue *q, const struct section *s, const struct queue_item *item,
                     size_t *ret_i)
{
	const size_t old = FRAME_MAPS - 1u - item->map;

	if (s->part != item->part || (s->lane != item->lane && !s->both))
		return false;
	switch (s->part) {
	case QUEUE_NEW:
		*ret_i = (item->round - q->lanes[s->lane].first) * (size_t)FRAME_MAPS + item->map;
		break;
	case QUEUE_OLD:
		*ret_i = s->both ? old * QUEUE_LANES + item->lane : old;
		break;
	case QUEUE_DEFERRED:
		*ret_i = 0;
		break;
	}
	return true;
}

static struct queue_list *list_of(struct queue *q, const struct queue_item *item)
{
	const struct queue_rounds *r = &q->lanes[item->lane];

	switch ((enum queue_part)item->part) {
	case QUEUE_NEW:
		return &r->list[item->round - r->first].maps[item->map];
	case QUEUE_OLD:
		return &q->old[item->lane][item->map];
	case QUEUE_DEFERRED:
		break;
	}
	return &q->deferred[item->lane];
}

/* The first item of all lists, or of those that come after the one that @after is in. */
static uint32_t first_after(const struct queue *q, const struct queue_item *after)
{
	struct section all[SECTIONS_MAX];
	size_t n = sections(q, all), at = 0, i = 0;

	while (after && !has_list(q, &all[at], after, &i))
		at++;
	for (i += after != NULL; at < n; at++, i = 0)
		for (; i < all[at].n; i++)
			if (list_in(q, &all[at], i)->first)
				return list_in(q, &all[at], i)->first;
	return 0;
}

/* ---- rounds ---- */

uint32_t queue_add_rounds(struct queue *q, enum queue_lane lane, size_t n)
{
	struct queue_rounds *r = &q->lanes[lane];
	uint32_t first = r->first + (uint32_t)r->n;

	ARRAY_RESERVE(r->list, r->cap, r->n + n);
	memset(r->list + r->n, 0, n * sizeof(*r->list));
	r->n += n;
	return first;
}

uint32_t queue_round(const struct queue *q, enum queue_lane lane)
{
	return q->lanes[lane].first + (uint32_t)q->lanes[lane].n - 1;
}

static size_t n_empty(const struct queue_rounds *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += r->list[i].n == 0;
	return n;
}

static void renumber(struct queue *q, const struct queue_round *round, uint32_t number)
{
	for (int map = 0; map < FRAME_MAPS; map++)
		for (uint32_t i = round->maps[map].first; i; i = q->items[i].next)
			q->items[i].round = number;
}

/*
 * While nothing can be written, what changes goes from round to round, and leaves empty ones
 * between those that stand.
 */
static void drop_empty_rounds(struct queue *q, struct queue_rounds *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++) {
		if (r->list[i].n == 0)
			continue;
		renumber(q, &r->list[i], r->first + (uint32_t)n);
		r->list[n++] = r->list[i];
	}
	r->n = n;
}

void queue_cut(struct queue *q, enum queue_lane lane)
{
	struct queue_rounds *r = &q->lanes[lane];

	if (r->list[r->n - 1].n_ever < QUEUE_ROUND)
		return;
	/* Seldom, as it touches all that waits. */
	if (r->n == r->cap && n_empty(r) >= r->n / 2)
		drop_empty_rounds(q, r);
	queue_add_rounds(q, lane, 1);
}

/* Those that are done; the one that takes what comes next stays. */
static void drop_rounds(struct queue_rounds *r)
{
	size_t n = 0;

	while (n + 1 < r->n && r->list[n].n == 0)
		n++;
	r->n -= n;
	r->first += (uint32_t)n;
	memmove(r->list, r->list + n, r->n * sizeof(*r->list));
}

void queue_init(struct queue *q)
{
	*q = (struct queue){ .n = 0 };
	for (int lane = 0; lane < QUEUE_LANES; lane++)
		queue_add_rounds(q, (enum queue_lane)lane, 1);
}

void queue_fini(struct queue *q)
{
	free(q->items);
	for (int lane = 0; lane < QUEUE_LANES; lane++)
		free(q->lanes[lane].list);
	*q = (struct queue){ .n = 0 };
}

/* ---- items ---- */

static uint32_t new_item(struct queue *q)
{
	uint32_t i = q->free;

	if (i) {
		q->free = q->items[i].next;
		return i;
	}
	ARRAY_RESERVE(q->items, q->cap_items, q->last + 2u);
	return ++q->last;
}

static void count(struct queue *q, const struct queue_item *item, bool in)
{
	if (item->part == QUEUE_NEW) {
		const struct queue_rounds *r = &q->lanes[item->lane];
		struct queue_round *round = &r->list[item->round - r->first];
		round->n += in;
		round->n -= !in;
		round->n_ever += in;
	}
	q->n += in;
	q->n -= !in;
	q->n_deferred += in && item->part == QUEUE_DEFERRED;
	q->n_deferred -= !in && item->part == QUEUE_DEFERRED;
}

uint32_t queue_put(struct queue *q, enum queue_part part, enum queue_lane lane, uint32_t round,
                   enum frame_map map, uint32_t element)
{
	uint32_t i = new_item(q);
	struct queue_item *item = &q->items[i];

	*item = (struct queue_item){ .element = element,
		                     .round = round,
		                     .stamp = ++q->stamp,
		                     .map = (uint8_t)map,
		                     .part = (uint8_t)part,
		                     .lane = (uint8_t)lane };
	struct queue_list *l = list_of(q, item);
	item->prev = l->last;
	if (l->last)
		q->items[l->last].next = i;
	else
		l->first = i;
	l->last = i;
	count(q, item, true);
	return i;
}

void queue_cross(struct queue *q, uint32_t item)
{
	q->items[item].crosses = true;
	q->n_crossing++;
}

void queue_take_out(struct queue *q, uint32_t i)
{
	struct queue_item *item = &q->items[i];
	struct queue_list *l = list_of(q, item);

	if (item->prev)
		q->items[item->prev].next = item->next;
	else
		l->first = item->next;
	if (item->next)
		q->items[item->next].prev = item->prev;
	else
		l->last = item->prev;
	count(q, item, false);
	q->n_crossing -= item->crosses;
	item->next = q->free;
	q->free = i;
	if (q->lanes[item->lane].list[0].n == 0)
		drop_rounds(&q->lanes[item->lane]);
	if (q->n > 0)
		return;
	/* Seldom is as much queued as at the start. */
	free(q->items);
	q->items = NULL;
	q->cap_items = 0;
	q->last = q->free = 0;
}

const struct queue_item *queue_at(const struct queue *q, uint32_t item)
{
	return &q->items[item];
}

uint32_t queue_first(const struct queue *q)
{
	return first_after(q, NULL);
}

uint32_t queue_next(const struct queue *q, uint32_t i)
{
	const struct queue_item *item = &q->items[i];

	return item->next ? item->next : first_after(q, item);
}

/* Before the first of the list, if that is earlier. */
static uint64_t stamp_before(const struct queue *q, const struct queue_list *l, uint64_t stamp)
{
	if (l->first && q->items[l->first].stamp <= stamp)
		return q->items[l->first].stamp - 1;
	return stamp;
}

uint64_t queue_new_stamp(const struct queue *q, enum queue_lane lane)
{
	const struct queue_rounds *r = &q->lanes[lane];
	uint64_t stamp = q->stamp;

	for (size_t i = 0; i < n_lists_of(r); i++)
		stamp = stamp_before(q, &r->list[i / FRAME_MAPS].maps[i % FRAME_MAPS], stamp);
	return stamp;
}

uint64_t queue_fresh_stamp(const struct queue *q, enum queue_lane lane)
{
	uint64_t stamp = queue_new_stamp(q, lane);

	for (int i = 0; i < FRAME_MAPS; i++)
		stamp = stamp_before(q, &q->old[lane][i], stamp);
	return stamp;
}

uint64_t queue_deferred_stamp(const struct queue *q, enum queue_lane lane)
{
	return stamp_before(q, &q->deferred[lane], q->stamp);
}
