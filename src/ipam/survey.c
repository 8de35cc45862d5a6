/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the addresses of a pool stand, for people: counted, and one after another in blocks.
 *
 * A pool may have more addresses than could ever be listed, but only few of them differ from their
 * neighbours: those that somebody holds, names or has reserved, that cool down, machines', and the
 * ends of what is excluded.  So the blocks follow from these alone, and their number has nothing to
 * do with the pool's size.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "ipam/ipam.h"

/* ---- counting ---- */

static uint64_t plus(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/* The part of @a that is in @b, too; false: there is none. */
static bool common(const struct addr_range *a, const struct addr_range *b,
                   struct addr_range *ret_both)
{
	if (!addr_range_overlaps(a, b))
		return false;
	*ret_both = *a;
	if (addr_cmp(&ret_both->first, &b->first) < 0)
		ret_both->first = b->first;
	if (addr_cmp(&b->last, &ret_both->last) < 0)
		ret_both->last = b->last;
	return true;
}

static void count_ranges(const struct config_pool *pool, size_t f, struct ipam_stock *s)
{
	struct addr_range both;

	for (size_t i = 0; i < pool->n_ranges; i++) {
		if (ipam_family_index(pool->ranges[i].first.family) != f)
			continue;
		s->size = plus(s->size, addr_range_count(&pool->ranges[i]));
		for (size_t k = 0; k < pool->n_excluded; k++)
			if (common(&pool->ranges[i], &pool->excluded[k], &both))
				s->excluded = plus(s->excluded, addr_range_count(&both));
	}
}

static void find_largest(const struct runs *runs, struct ipam_stock *s)
{
	for (size_t i = 0; i < runs->n_blocks; i++)
		for (size_t k = 0; k < runs->blocks[i].n; k++) {
			const struct addr_range *run = &runs->blocks[i].items[k];
			uint64_t n = addr_range_count(run);
			if (n <= s->n_largest)
				continue;
			s->largest = *run;
			s->n_largest = n;
		}
}

void ipam_stock_of(const struct ipam *ipam, const struct config_pool *conf, size_t f,
                   struct ipam_stock *ret)
{
	const struct ipam_pool *pool = &ipam->pools[ipam->position[conf - ipam->config->pools]];

	*ret = (struct ipam_stock){ .total = ipam_total(pool, f),
		                    .used = pool->used[f],
		                    .reserved = ipam_n_reserved_free(ipam, pool, f),
		                    .cooling = ipam_n_cooling(ipam, pool, f),
		                    .machines = pool->n_machines[f] };
	ret->free = ret->total;
	if (ret->total != UINT64_MAX)
		ret->free -= pool->used_assignable[f] + ret->reserved + ret->cooling;
	count_ranges(conf, f, ret);
	find_largest(&pool->runs[f], ret);
}

/* ---- one after another ---- */

/* Up to this size a range is looked at address by address for those that end in .0 or .255. */
#define BUGGY_MAX 4096

struct survey {
	const struct ipam *ipam;
	const struct ipam_pool *pool;
	struct addr *marks; /* addresses with a standing of their own, in order */
	size_t n_marks, cap_marks;
	struct ipam_block *blocks;
	size_t n, cap;
};

static void mark(struct survey *s, const struct addr *a)
{
	if (ipam_pool_of(s->ipam, a) != s->pool)
		return;
	ARRAY_RESERVE(s->marks, s->cap_marks, s->n_marks + 1);
	s->marks[s->n_marks++] = *a;
}

static void mark_all(struct survey *s)
{
	const struct ipam_holding *h;

	for (uint32_t at = 0; (h = table_next(&s->ipam->holdings, &at));)
		mark(s, &h->addr);
	for (const struct ipam_machine *m = s->ipam->machines; m; m = m->hh.next)
		mark(s, &m->addr);
	for (const struct ipam_squat *q = s->ipam->squats; q; q = q->hh.next)
		mark(s, &q->addr);
	for (const struct ipam_cooling *c = s->pool->cooling; c; c = c->next)
		mark(s, &c->addr);
	for (size_t i = 0; i < s->pool->conf->n_reservations; i++)
		mark(s, &s->pool->conf->reservations[i].address);
	if (s->n_marks)
		addrs_sort(s->marks, s->n_marks);
}

static enum ipam_standing standing_of(const struct survey *s, const struct addr *a, bool looks)
{
	const struct config_pool *conf = s->pool->conf;
	struct ipam_machine_view machine;

	if (ipam_holder_of(s->ipam, a))
		return IPAM_HELD;
	if (ipam_machine_of(s->ipam, a, &machine))
		return IPAM_OF_MACHINE;
	if (config_pool_excludes(conf, a))
		return IPAM_EXCLUDED;
	if (addr_is_special(a))
		return IPAM_SPECIAL;
	if (looks && conf->avoid_buggy_ips && addr_is_buggy(a))
		return IPAM_BUGGY;
	if (ipam_reserved_for(s->ipam, a))
		return IPAM_RESERVED;
	if (ipam_cooling_of(s->ipam, a))
		return IPAM_COOLING;
	return ipam_squat_of(s->ipam, a) ? IPAM_GIVEN_LAST : IPAM_FREE;
}

/* The last address of @b is less than that of its neighbours from @ranges. */
static void cut(const struct addr_range *ranges, size_t n, struct addr_range *b)
{
	size_t i = addr_ranges_find(ranges, n, &b->first);

	if (i == n)
		return;
	if (addr_range_contains(&ranges[i], &b->first)) {
		if (addr_cmp(&ranges[i].last, &b->last) < 0)
			b->last = ranges[i].last;
	} else if (addr_cmp(&ranges[i].first, &b->last) <= 0) {
		addr_previous(&ranges[i].first, &b->last);
	}
}

static void cut_at_buggy(struct addr_range *b)
{
	struct addr next;

	if (addr_is_buggy(&b->first)) {
		b->last = b->first;
		return;
	}
	for (struct addr a = b->first; addr_cmp(&a, &b->last) < 0 && addr_next(&a, &next); a = next)
		if (addr_is_buggy(&next))
			b->last = a;
}

/* Of @b, what stands as its first address does. */
static void narrow(const struct survey *s, size_t next_mark, bool looks, struct addr_range *b)
{
	const struct addr_range *special;
	size_t n_special = addr_special_ranges(&special);

	if (next_mark < s->n_marks) {
		const struct addr_range one = { s->marks[next_mark], s->marks[next_mark] };
		cut(&one, 1, b);
	}
	cut(s->pool->conf->excluded, s->pool->conf->n_excluded, b);
	cut(special, n_special, b);
	if (looks && s->pool->conf->avoid_buggy_ips)
		cut_at_buggy(b);
}

static void survey_range(struct survey *s, const struct addr_range *r)
{
	bool looks = addr_range_count(r) <= BUGGY_MAX;
	struct addr_range b = *r;
	size_t k = 0;

	while (k < s->n_marks && addr_cmp(&s->marks[k], &r->first) < 0)
		k++;
	do {
		b.last = r->last;
		while (k < s->n_marks && addr_cmp(&s->marks[k], &b.first) < 0)
			k++;
		narrow(s, k, looks, &b);
		ARRAY_RESERVE(s->blocks, s->cap, s->n + 1);
		s->blocks[s->n++] =
			(struct ipam_block){ .range = b,
			                     .standing = standing_of(s, &b.first, looks) };
	} while (addr_cmp(&b.last, &r->last) < 0 && addr_next(&b.last, &b.first));
}

static int range_cmp(const void *a, const void *b)
{
	const struct addr_range *ra = a, *rb = b;

	return addr_cmp(&ra->first, &rb->first);
}

struct ipam_block *ipam_survey(const struct ipam *ipam, const struct config_pool *conf,
                               size_t *ret_n)
{
	struct survey s = { .ipam = ipam,
		            .pool = &ipam->pools[ipam->position[conf - ipam->config->pools]] };
	struct addr_range *ranges = xcalloc(conf->n_ranges + 1, sizeof(*ranges));

	mark_all(&s);
	for (size_t i = 0; i < conf->n_ranges; i++)
		ranges[i] = conf->ranges[i];
	qsort(ranges, conf->n_ranges, sizeof(*ranges), range_cmp);
	for (size_t i = 0; i < conf->n_ranges; i++)
		survey_range(&s, &ranges[i]);
	free(ranges);
	free(s.marks);
	*ret_n = s.n;
	return s.blocks;
}
