/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ipam/runs.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

void runs_fini(struct runs *r)
{
	for (size_t i = 0; i < r->n_blocks; i++)
		free(r->blocks[i].items);
	free(r->blocks);
	*r = (struct runs){ 0 };
}

static bool adjacent(const struct addr *a, const struct addr *b)
{
	struct addr next;

	return addr_next(a, &next) && addr_eq(&next, b);
}

/* ---- blocks ---- */

struct place {
	size_t block, item; /* behind the last run: n_blocks and 0 */
};

/* NULL: behind the last one. */
static struct addr_range *run_at(const struct runs *r, struct place at)
{
	return at.block < r->n_blocks ? &r->blocks[at.block].items[at.item] : NULL;
}

/* NULL: there is none. */
static struct addr_range *run_before(const struct runs *r, struct place at)
{
	if (at.item > 0)
		return &r->blocks[at.block].items[at.item - 1];
	if (at.block == 0)
		return NULL;
	const struct runs_block *b = &r->blocks[at.block - 1];
	return &b->items[b->n - 1];
}

static struct place next_place(const struct runs *r, struct place at)
{
	return at.item + 1 < r->blocks[at.block].n ? (struct place){ at.block, at.item + 1 }
	                                           : (struct place){ at.block + 1, 0 };
}

/* The first run that ends at @a or after it. */
static struct place find(const struct runs *r, const struct addr *a)
{
	size_t low = 0, high = r->n_blocks;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct runs_block *b = &r->blocks[mid];
		if (addr_cmp(&b->items[b->n - 1].last, a) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == r->n_blocks)
		return (struct place){ low, 0 };
	return (struct place){ low, addr_ranges_find(r->blocks[low].items, r->blocks[low].n, a) };
}

static void insert_block(struct runs *r, size_t at, const struct addr_range *items, size_t n)
{
	struct runs_block b = { .n = n };

	ARRAY_RESERVE(b.items, b.cap, n);
	memcpy(b.items, items, n * sizeof(*items));
	ARRAY_RESERVE(r->blocks, r->cap_blocks, r->n_blocks + 1);
	memmove(&r->blocks[at + 1], &r->blocks[at], (r->n_blocks - at) * sizeof(*r->blocks));
	r->blocks[at] = b;
	r->n_blocks++;
}

static void insert(struct runs *r, struct place at, const struct addr_range *range)
{
	if (r->n_blocks == 0) {
		insert_block(r, 0, range, 1);
		return;
	}
	if (at.block == r->n_blocks)
		at = (struct place){ at.block - 1, r->blocks[at.block - 1].n };
	if (r->blocks[at.block].n == RUNS_BLOCK_MAX) {
		size_t half = RUNS_BLOCK_MAX / 2;
		insert_block(r, at.block + 1, &r->blocks[at.block].items[half],
		             RUNS_BLOCK_MAX - half);
		r->blocks[at.block].n = half;
		if (at.item > half)
			at = (struct place){ at.block + 1, at.item - half };
	}
	struct runs_block *b = &r->blocks[at.block];
	ARRAY_RESERVE(b->items, b->cap, b->n + 1);
	memmove(&b->items[at.item + 1], &b->items[at.item], (b->n - at.item) * sizeof(*b->items));
	b->items[at.item] = *range;
	b->n++;
}

static void drop(struct runs *r, struct place at)
{
	struct runs_block *b = &r->blocks[at.block];

	b->n--;
	memmove(&b->items[at.item], &b->items[at.item + 1], (b->n - at.item) * sizeof(*b->items));
	if (b->n > 0)
		return;
	free(b->items);
	r->n_blocks--;
	memmove(b, b + 1, (r->n_blocks - at.block) * sizeof(*b));
}

/* ---- runs ---- */

bool runs_usable(const struct runs *r, const struct addr *a)
{
	return !addr_is_special(a) && !(r->skip_buggy && addr_is_buggy(a));
}

/*
 * Makes sure that the front may be handed out.  What is dropped here never comes back, so the cost
 * is paid once.
 */
static void prune(struct runs *r)
{
	const struct place front = { 0, 0 };
	struct addr_range *run;

	while (r->skip_buggy && (run = run_at(r, front)) && addr_is_buggy(&run->first)) {
		if (addr_eq(&run->first, &run->last))
			drop(r, front);
		else
			addr_next(&run->first, &run->first);
	}
}

/* Of no address in it is known yet that it is free. */
static void put(struct runs *r, const struct addr_range *range)
{
	struct place at = find(r, &range->first);
	struct addr_range *next = run_at(r, at), *previous = run_before(r, at);
	bool joins_next = next && adjacent(&range->last, &next->first);
	bool joins_previous = previous && adjacent(&previous->last, &range->first);

	if (joins_next && joins_previous) {
		previous->last = next->last;
		drop(r, at);
	} else if (joins_next) {
		next->first = range->first;
	} else if (joins_previous) {
		previous->last = range->last;
	} else {
		insert(r, at, range);
	}
}

static uint32_t v4(const struct addr *a)
{
	return (uint32_t)a->b[0] << 24 | (uint32_t)a->b[1] << 16 | (uint32_t)a->b[2] << 8 | a->b[3];
}

/* How many addresses up to and including @a end in .0 or .255. */
static uint64_t buggy_up_to(uint64_t a)
{
	return (a >> 8) * 2 + 1 + ((a & 0xff) == 0xff);
}

static uint64_t count_buggy(const struct addr_range *range)
{
	if (range->first.family != 4)
		return 0;
	uint64_t first = v4(&range->first), up_to_last = buggy_up_to(v4(&range->last));
	return first == 0 ? up_to_last : up_to_last - buggy_up_to(first - 1);
}

/* How many of them may be handed out; UINT64_MAX: that many or more. */
static uint64_t count(const struct runs *r, const struct addr_range *range)
{
	return addr_range_count(range) - (r->skip_buggy ? count_buggy(range) : 0);
}

static void add(struct runs *r, const struct addr_range *range)
{
	if (__builtin_add_overflow(r->total, count(r, range), &r->total))
		r->total = UINT64_MAX;
	put(r, range);
	prune(r);
}

void runs_add(struct runs *r, const struct addr_range *range)
{
	const struct addr_range *special;
	size_t n = addr_special_ranges(&special);
	struct addr_range rest = *range;

	for (size_t i = 0; i < n; i++) {
		if (!addr_range_overlaps(&special[i], &rest))
			continue;
		struct addr_range head = rest;
		if (addr_cmp(&rest.first, &special[i].first) < 0 &&
		    addr_previous(&special[i].first, &head.last))
			add(r, &head);
		if (addr_cmp(&rest.last, &special[i].last) <= 0 ||
		    !addr_next(&special[i].last, &rest.first))
			return;
	}
	add(r, &rest);
}

void runs_exclude(struct runs *r, const struct addr_range *range)
{
	struct place at = find(r, &range->first);
	struct addr_range *found;

	while ((found = run_at(r, at)) && addr_range_overlaps(found, range)) {
		struct addr_range run = *found, cut = run, rest = run;
		bool has_head = addr_cmp(&run.first, &range->first) < 0 &&
		                addr_previous(&range->first, &rest.last);
		bool has_tail = addr_cmp(&range->last, &run.last) < 0;

		if (has_head)
			cut.first = range->first;
		if (has_tail)
			cut.last = range->last;
		if (r->total != UINT64_MAX)
			r->total -= count(r, &cut);
		drop(r, at);
		if (has_head)
			put(r, &rest);
		rest = run;
		if (has_tail && addr_next(&range->last, &rest.first))
			put(r, &rest);
		at = find(r, &range->first);
	}
	prune(r);
}

bool runs_first(const struct runs *r, struct addr *ret_addr)
{
	const struct addr_range *run = run_at(r, (struct place){ 0, 0 });

	if (!run)
		return false;
	*ret_addr = run->first;
	return true;
}

/* The first of the run that may be handed out, not before @from. */
static bool first_of(const struct runs *r, const struct addr_range *run, const struct addr *from,
                     struct addr *ret_addr)
{
	struct addr a = addr_cmp(from, &run->first) > 0 ? *from : run->first;

	while (!runs_usable(r, &a))
		if (addr_eq(&a, &run->last) || !addr_next(&a, &a))
			return false;
	*ret_addr = a;
	return true;
}

bool runs_from(const struct runs *r, const struct addr *from, struct addr *ret_addr)
{
	struct place at = find(r, from);

	for (; at.block < r->n_blocks; at = next_place(r, at))
		if (first_of(r, run_at(r, at), from, ret_addr))
			return true;
	return runs_first(r, ret_addr);
}

bool runs_has(const struct runs *r, const struct addr *a)
{
	const struct addr_range *run = run_at(r, find(r, a));

	return run && addr_range_contains(run, a) && runs_usable(r, a);
}

void runs_take(struct runs *r, const struct addr *a)
{
	struct place at = find(r, a);
	struct addr_range *run = run_at(r, at);

	if (!run || !addr_range_contains(run, a))
		return;
	bool at_first = addr_eq(a, &run->first), at_last = addr_eq(a, &run->last);

	if (at_first && at_last) {
		drop(r, at);
	} else if (at_first) {
		addr_next(a, &run->first);
	} else if (at_last) {
		addr_previous(a, &run->last);
	} else {
		struct addr_range tail = *run;
		addr_next(a, &tail.first);
		addr_previous(a, &run->last);
		at.item++;
		insert(r, at, &tail);
	}
	prune(r);
}

void runs_give(struct runs *r, const struct addr *a)
{
	if (runs_usable(r, a))
		put(r, &(struct addr_range){ .first = *a, .last = *a });
}
