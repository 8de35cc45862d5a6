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

/* Lists by number, in their order: those of all rounds, lane by lane, old ones, deferred ones. */
static size_t n_new_lists(const struct queue *q)
{
	size_t n = 0;

	for (int lane = 0; lane < QUEUE_LANES; lane++)
		n += n_lists_of(&q->lanes[lane]);
	return n;
}

static size_t n_lists(const struct queue *q)
{
	return n_new_lists(q) + FRAME_MAPS + 1;
}

static struct queue_list *list_at(const struct queue *q, size_t i)
{
	const struct queue_list *l;

	for (int lane = 0; lane < QUEUE_LANES; lane++) {
		const struct queue_rounds *r = &q->lanes[lane];
		if (i < n_lists_of(r)) {
			l = &r->list[i / FRAME_MAPS].maps[i % FRAME_MAPS];
			return (struct queue_list *)(uintptr_t)l;
		}
		i -= n_lists_of(r);
	}
	l = i < FRAME_MAPS ? &q->old[i] : &q->deferred;
	return (struct queue_list *)(uintptr_t)l;
}

static size_t list_number(const struct queue *q, const struct queue_item *item)
{
	const struct queue_rounds *r = &q->lanes[item->lane];
	size_t before = item->lane == QUEUE_LARGE ? n_lists_of(&q->lanes[QUEUE_SMALL]) : 0;

	switch ((enum queue_part)item->part) {
	case QUEUE_NEW:
		return before + (item->round - r->first) * (size_t)FRAME_MAPS + item->map;
	case QUEUE_OLD:
		return n_new_lists(q) + (FRAME_MAPS - 1u - item->map);
	case QUEUE_DEFERRED:
		break;
	}
	return n_lists(q) - 1;
}

static uint32_t first_from(const struct queue *q, size_t list)
{
	for (size_t i = list; i < n_lists(q); i++)
		if (list_at(q, i)->first)
			return list_at(q, i)->first;
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
	struct queue_list *l = list_at(q, list_number(q, item));
	item->prev = l->last;
	if (l->last)
		q->items[l->last].next = i;
	else
		l->first = i;
	l->last = i;
	count(q, item, true);
	return i;
}

void queue_take_out(struct queue *q, uint32_t i)
{
	struct queue_item *item = &q->items[i];
	struct queue_list *l = list_at(q, list_number(q, item));

	if (item->prev)
		q->items[item->prev].next = item->next;
	else
		l->first = item->next;
	if (item->next)
		q->items[item->next].prev = item->prev;
	else
		l->last = item->prev;
	count(q, item, false);
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
	return first_from(q, 0);
}

uint32_t queue_next(const struct queue *q, uint32_t i)
{
	const struct queue_item *item = &q->items[i];

	return item->next ? item->next : first_from(q, list_number(q, item) + 1);
}

/* The lists from one on, up to another: no item has this stamp or an earlier one. */
static uint64_t stamp_before(const struct queue *q, size_t from, size_t to)
{
	uint64_t stamp = q->stamp;

	for (size_t i = from; i < to; i++) {
		uint32_t first = list_at(q, i)->first;
		if (first && q->items[first].stamp <= stamp)
			stamp = q->items[first].stamp - 1;
	}
	return stamp;
}

uint64_t queue_done_stamp(const struct queue *q)
{
	return stamp_before(q, 0, n_lists(q));
}

uint64_t queue_fresh_stamp(const struct queue *q)
{
	return stamp_before(q, 0, n_lists(q) - 1);
}

uint64_t queue_small_stamp(const struct queue *q)
{
	uint64_t fresh = stamp_before(q, 0, n_lists_of(&q->lanes[QUEUE_SMALL]));
	uint64_t deferred = stamp_before(q, n_lists(q) - 1, n_lists(q));

	return fresh < deferred ? fresh : deferred;
}
