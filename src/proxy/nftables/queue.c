/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/nftables/queue.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

/* Lists by number, in their order: those of all rounds, old ones, deferred ones. */
static size_t n_lists(const struct queue *q)
{
	return q->n_rounds * FRAME_MAPS + FRAME_MAPS + 1;
}

static struct queue_list *list_at(const struct queue *q, size_t i)
{
	const struct queue_list *l;

	if (i < q->n_rounds * FRAME_MAPS)
		l = &q->rounds[i / FRAME_MAPS].maps[i % FRAME_MAPS];
	else if (i < n_lists(q) - 1)
		l = &q->old[i - q->n_rounds * FRAME_MAPS];
	else
		l = &q->deferred;
	return (struct queue_list *)(uintptr_t)l;
}

static size_t list_number(const struct queue *q, const struct queue_item *item)
{
	switch ((enum queue_part)item->part) {
	case QUEUE_NEW:
		return (item->round - q->first_round) * (size_t)FRAME_MAPS + item->map;
	case QUEUE_OLD:
		return q->n_rounds * FRAME_MAPS + (FRAME_MAPS - 1u - item->map);
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

uint32_t queue_add_rounds(struct queue *q, size_t n)
{
	uint32_t first = q->first_round + (uint32_t)q->n_rounds;

	ARRAY_RESERVE(q->rounds, q->cap_rounds, q->n_rounds + n);
	memset(q->rounds + q->n_rounds, 0, n * sizeof(*q->rounds));
	q->n_rounds += n;
	return first;
}

uint32_t queue_round(const struct queue *q)
{
	return q->first_round + (uint32_t)q->n_rounds - 1;
}

static size_t n_empty(const struct queue *q)
{
	size_t n = 0;

	for (size_t i = 0; i < q->n_rounds; i++)
		n += q->rounds[i].n == 0;
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
static void drop_empty_rounds(struct queue *q)
{
	size_t n = 0;

	for (size_t i = 0; i < q->n_rounds; i++) {
		if (q->rounds[i].n == 0)
			continue;
		renumber(q, &q->rounds[i], q->first_round + (uint32_t)n);
		q->rounds[n++] = q->rounds[i];
	}
	q->n_rounds = n;
}

void queue_cut(struct queue *q)
{
	if (q->rounds[q->n_rounds - 1].n_ever < QUEUE_ROUND)
		return;
	/* Seldom, as it touches all that waits. */
	if (q->n_rounds == q->cap_rounds && n_empty(q) >= q->n_rounds / 2)
		drop_empty_rounds(q);
	queue_add_rounds(q, 1);
}

/* Those that are done; the one that takes what comes next stays. */
static void drop_rounds(struct queue *q)
{
	size_t n = 0;

	while (n + 1 < q->n_rounds && q->rounds[n].n == 0)
		n++;
	q->n_rounds -= n;
	q->first_round += (uint32_t)n;
	memmove(q->rounds, q->rounds + n, q->n_rounds * sizeof(*q->rounds));
}

void queue_init(struct queue *q)
{
	*q = (struct queue){ .n = 0 };
	queue_add_rounds(q, 1);
}

void queue_fini(struct queue *q)
{
	free(q->items);
	free(q->rounds);
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
		struct queue_round *round = &q->rounds[item->round - q->first_round];
		round->n += in;
		round->n -= !in;
		round->n_ever += in;
	}
	q->n += in;
	q->n -= !in;
	q->n_deferred += in && item->part == QUEUE_DEFERRED;
	q->n_deferred -= !in && item->part == QUEUE_DEFERRED;
}

uint32_t queue_put(struct queue *q, enum queue_part part, uint32_t round, enum frame_map map,
                   uint32_t element)
{
	uint32_t i = new_item(q);
	struct queue_item *item = &q->items[i];

	*item = (struct queue_item){ .element = element,
		                     .round = round,
		                     .stamp = ++q->stamp,
		                     .map = (uint8_t)map,
		                     .part = (uint8_t)part };
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
	if (q->rounds[0].n == 0)
		drop_rounds(q);
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

uint64_t queue_done_stamp(const struct queue *q)
{
	uint64_t stamp = q->stamp;

	for (size_t i = 0; i < n_lists(q); i++) {
		uint32_t first = list_at(q, i)->first;
		if (first && q->items[first].stamp <= stamp)
			stamp = q->items[first].stamp - 1;
	}
	return stamp;
}
