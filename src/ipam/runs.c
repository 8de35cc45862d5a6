/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ipam/runs.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

void runs_fini(struct runs *r)
{
	free(r->items);
	*r = (struct runs){ 0 };
}

static bool adjacent(const struct addr *a, const struct addr *b)
{
	struct addr next;

	return addr_next(a, &next) && addr_eq(&next, b);
}

static void insert(struct runs *r, size_t at, const struct addr_range *range)
{
	ARRAY_RESERVE(r->items, r->cap, r->n + 1);
	memmove(&r->items[at + 1], &r->items[at], (r->n - at) * sizeof(*r->items));
	r->items[at] = *range;
	r->n++;
}

static void drop(struct runs *r, size_t at)
{
	r->n--;
	memmove(&r->items[at], &r->items[at + 1], (r->n - at) * sizeof(*r->items));
}

/* The first run that ends at @a or after it; r->n if there is none. */
static size_t find(const struct runs *r, const struct addr *a)
{
	return addr_ranges_find(r->items, r->n, a);
}

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
	size_t gone = 0;

	while (r->skip_buggy && gone < r->n && addr_is_buggy(&r->items[gone].first)) {
		if (addr_eq(&r->items[gone].first, &r->items[gone].last))
			gone++;
		else
			addr_next(&r->items[gone].first, &r->items[gone].first);
	}
	if (gone > 0) {
		r->n -= gone;
		memmove(r->items, r->items + gone, r->n * sizeof(*r->items));
	}
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
			insert(r, r->n, &head);
		if (addr_cmp(&rest.last, &special[i].last) <= 0 ||
		    !addr_next(&special[i].last, &rest.first))
			return;
	}
	insert(r, r->n, &rest);
}

static int range_cmp(const void *a, const void *b)
{
	const struct addr_range *ra = a, *rb = b;

	return addr_cmp(&ra->first, &rb->first);
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

void runs_ready(struct runs *r)
{
	size_t n = 0;

	if (r->n == 0)
		return;
	qsort(r->items, r->n, sizeof(*r->items), range_cmp);
	for (size_t i = 0; i < r->n; i++) {
		uint64_t count = addr_range_count(&r->items[i]);
		if (r->skip_buggy)
			count -= count_buggy(&r->items[i]);
		if (__builtin_add_overflow(r->total, count, &r->total))
			r->total = UINT64_MAX;
		if (n > 0 && adjacent(&r->items[n - 1].last, &r->items[i].first))
			r->items[n - 1].last = r->items[i].last;
		else
			r->items[n++] = r->items[i];
	}
	r->n = n;
	prune(r);
}

static void uncount(struct runs *r, const struct addr_range *range)
{
	uint64_t count = addr_range_count(range);

	if (r->skip_buggy)
		count -= count_buggy(range);
	if (r->total != UINT64_MAX)
		r->total -= count;
}

void runs_exclude(struct runs *r, const struct addr_range *range)
{
	for (size_t i = find(r, &range->first);
	     i < r->n && addr_range_overlaps(&r->items[i], range);) {
		struct addr_range run = r->items[i], cut = run, rest = run;
		bool has_head = addr_cmp(&run.first, &range->first) < 0 &&
		                addr_previous(&range->first, &rest.last);
		bool has_tail = addr_cmp(&range->last, &run.last) < 0;

		if (has_head)
			cut.first = range->first;
		if (has_tail)
			cut.last = range->last;
		uncount(r, &cut);
		drop(r, i);
		if (has_head)
			insert(r, i++, &rest);
		rest = run;
		if (has_tail && addr_next(&range->last, &rest.first))
			insert(r, i++, &rest);
	}
	prune(r);
}

bool runs_first(const struct runs *r, struct addr *ret_addr)
{
	if (r->n == 0)
		return false;
	*ret_addr = r->items[0].first;
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
	for (size_t i = find(r, from); i < r->n; i++)
		if (first_of(r, &r->items[i], from, ret_addr))
			return true;
	return runs_first(r, ret_addr);
}

bool runs_has(const struct runs *r, const struct addr *a)
{
	size_t i = find(r, a);

	return i < r->n && addr_range_contains(&r->items[i], a) && runs_usable(r, a);
}

void runs_take(struct runs *r, const struct addr *a)
{
	size_t i = find(r, a);

	if (i == r->n || !addr_range_contains(&r->items[i], a))
		return;
	struct addr_range *run = &r->items[i];
	bool at_first = addr_eq(a, &run->first), at_last = addr_eq(a, &run->last);

	if (at_first && at_last) {
		drop(r, i);
	} else if (at_first) {
		addr_next(a, &run->first);
	} else if (at_last) {
		addr_previous(a, &run->last);
	} else {
		struct addr_range tail = *run;
		addr_next(a, &tail.first);
		addr_previous(a, &run->last);
		insert(r, i + 1, &tail);
	}
	prune(r);
}

void runs_give(struct runs *r, const struct addr *a)
{
	if (!runs_usable(r, a))
		return;
	size_t i = find(r, a);
	bool joins_next = i < r->n && adjacent(a, &r->items[i].first);
	bool joins_previous = i > 0 && adjacent(&r->items[i - 1].last, a);

	if (joins_next && joins_previous) {
		r->items[i - 1].last = r->items[i].last;
		drop(r, i);
	} else if (joins_next) {
		r->items[i].first = *a;
	} else if (joins_previous) {
		r->items[i - 1].last = *a;
	} else {
		insert(r, i, &(struct addr_range){ .first = *a, .last = *a });
	}
}
