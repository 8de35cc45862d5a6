/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <stdlib.h>

#include "fairlead/mem.h"
#include "fairlead/want_map.h"

#define ADDRESSES 600
#define VERSIONS 8

static uint32_t random_state;

static uint32_t rnd(uint32_t below)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 8) % below;
}

/* Near each other and far apart, of both families; ascending. */
static struct addr address(size_t i)
{
	if (i < ADDRESSES / 2)
		return (struct addr){ 4,
			              { 10, (uint8_t)(i % 3 * 64), (uint8_t)(i / 3), (uint8_t)i } };
	return (struct addr){
		6, { 0x20, 1, [7] = (uint8_t)(i % 5), [12] = (uint8_t)(i >> 8), [15] = (uint8_t)i }
	};
}

/* ---- the same, simply ---- */

struct simple {
	bool wanted[ADDRESSES];
	uint32_t preference[ADDRESSES];
};

static size_t index_of(const struct addr *a)
{
	for (size_t i = 0; i < ADDRESSES; i++) {
		struct addr one = address(i);
		if (addr_eq(&one, a))
			return i;
	}
	return ADDRESSES;
}

struct walk {
	struct simple found;
	struct addr last;
	size_t n;
};

static void meet(const struct l2_want *w, void *arg)
{
	struct walk *walk = arg;
	size_t i = index_of(&w->addr);

	assert_in_range(i, 0, ADDRESSES - 1);
	assert_true(addr_cmp(&walk->last, &w->addr) < 0);
	walk->last = w->addr;
	walk->found.wanted[i] = true;
	walk->found.preference[i] = w->preference;
	walk->n++;
}

static void assert_holds(const struct want_map *m, const struct simple *s)
{
	struct walk *walk = xcalloc(1, sizeof(*walk));

	want_map_each(m, meet, walk);
	assert_int_equal(walk->n, m->n);
	assert_memory_equal(&walk->found, s, sizeof(*s));
	for (size_t i = 0; i < ADDRESSES; i++) {
		struct addr a = address(i);
		const struct l2_want *w = want_map_find(m, &a);
		assert_int_equal(w != NULL, s->wanted[i]);
		assert_true(!w || w->preference == s->preference[i]);
	}
	free(walk);
}

static void edit(struct want_map *m, struct simple *s)
{
	size_t i = rnd(ADDRESSES);
	struct l2_want w = { .addr = address(i), .preference = rnd(3) };

	if (rnd(3) == 0) {
		assert_int_equal(want_map_remove(m, &w.addr), s->wanted[i]);
		s->wanted[i] = false;
		s->preference[i] = 0;
		return;
	}
	bool differs = !s->wanted[i] || s->preference[i] != w.preference;
	assert_int_equal(want_map_put(m, &w, NULL), differs);
	s->wanted[i] = true;
	s->preference[i] = w.preference;
}

/* ---- versions ---- */

struct follower {
	const struct want_map *before;
	struct simple *now;
	struct addr last;
};

static void follow(const struct l2_want *before, const struct l2_want *after, void *arg)
{
	struct follower *f = arg;
	const struct addr *a = before ? &before->addr : &after->addr;
	size_t i = index_of(a);

	assert_true(before != after);
	assert_true(addr_cmp(&f->last, a) < 0);
	f->last = *a;
	assert_ptr_equal(want_map_find(f->before, a), before);
	f->now->wanted[i] = after;
	f->now->preference[i] = after ? after->preference : 0;
}

static void versions_stay_and_tell_their_difference(void **state)
{
	(void)state;
	for (uint32_t seed = 0; seed < 20; seed++) {
		struct want_map m = { 0 }, versions[VERSIONS] = { 0 };
		struct simple now = { 0 }, then[VERSIONS] = { 0 };
		random_state = seed;
		for (size_t step = 0; step < 300; step++) {
			for (uint32_t n = rnd(step % 50 == 0 ? 200 : 4); n > 0; n--)
				edit(&m, &now);
			size_t v = step % VERSIONS;
			want_map_fini(&versions[v]);
			versions[v] = want_map_share(&m);
			then[v] = now;
			size_t old = rnd(VERSIONS);
			struct simple followed = then[old];
			struct follower f = { .before = &versions[old], .now = &followed };
			want_map_diff(&versions[old], &versions[v], follow, &f);
			assert_memory_equal(&followed, &now, sizeof(now));
		}
		for (size_t v = 0; v < VERSIONS; v++) {
			assert_holds(&versions[v], &then[v]);
			want_map_fini(&versions[v]);
		}
		assert_holds(&m, &now);
		want_map_fini(&m);
	}
}

static void nothing_has_no_difference(void **state)
{
	(void)state;
	struct want_map none = { 0 }, also = want_map_share(&none);
	struct addr a = address(0);

	assert_null(want_map_find(&none, &a));
	assert_false(want_map_remove(&none, &a));
	assert_int_equal(want_map_diff(&none, &also, follow, NULL), 0);
	want_map_each(&none, meet, NULL);
	want_map_fini(&none);
}

static void each_part_of_a_want_counts(void **state)
{
	(void)state;
	const uint16_t nodes[] = { 0, 1 }, others[] = { 0, 2 };
	const uint32_t preferences[] = { 5, 0 }, zeros[] = { 0, 0 };
	const struct l2_want want = { .addr = address(1),
		                      .candidates = nodes,
		                      .n_candidates = 2,
		                      .preferences = preferences };
	struct l2_want different[9];
	struct want_map m = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(different); i++)
		different[i] = want;
	different[0].identity.id[3] = 1;
	different[1].eligible = true;
	different[2].candidates = others;
	different[3].n_candidates = 1;
	different[4].preferences = NULL;
	different[5].preferences = zeros;
	different[6].preference = 1;
	different[7].place = 1;
	different[8].added = 1;
	for (size_t i = 0; i < ARRAY_LEN(different); i++) {
		want_map_put(&m, &want, NULL);
		assert_false(want_map_put(&m, &want, NULL));
		assert_true(want_map_put(&m, &different[i], NULL));
	}
	want_map_fini(&m);
}

static void arrays_live_as_long_as_a_version_has_them(void **state)
{
	(void)state;
	struct want_arrays *arrays = xcalloc(1, sizeof(*arrays));
	struct l2_want w = { .addr = address(1) };
	struct want_map m = { 0 };

	arrays->refs = 1;
	want_map_put(&m, &w, arrays);
	struct want_map before = want_map_share(&m);
	assert_int_equal(arrays->refs, 2);
	want_map_remove(&m, &w.addr);
	assert_int_equal(arrays->refs, 2);
	want_map_fini(&before);
	assert_int_equal(arrays->refs, 1);
	want_arrays_unref(arrays);
}

/* ---- what an edit costs ---- */

static void count(const struct l2_want *before, const struct l2_want *after, void *arg)
{
	(void)before;
	(void)after;
	++*(size_t *)arg;
}

struct cost {
	uint64_t made, bytes;
	size_t looked_at;
};

static struct cost cost_of_one(uint32_t size)
{
	struct want_map m = { 0 };

	for (uint32_t i = 0; i < size; i++) {
		struct l2_want w = {
			.addr = { 4, { 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i } }
		};
		want_map_put(&m, &w, NULL);
	}
	struct want_map before = want_map_share(&m);
	const struct cost start = { m.n_made, m.made_bytes, 0 };
	struct l2_want w = { .addr = { 4, { 10, 0, 0, 50 } }, .eligible = true };
	want_map_put(&m, &w, NULL);
	size_t n = 0;
	struct cost cost = { m.n_made - start.made, m.made_bytes - start.bytes,
		             want_map_diff(&before, &m, count, &n) };
	assert_int_equal(n, 1);
	want_map_fini(&before);
	want_map_fini(&m);
	return cost;
}

static void an_edit_costs_the_same_at_every_size(void **state)
{
	(void)state;
	struct cost few = cost_of_one(100), many = cost_of_one(100000);

	assert_in_range(few.made, 2, 4);
	assert_in_range(many.made, few.made, 7);
	assert_in_range(many.bytes, few.bytes, 1400);
	assert_in_range(many.looked_at, few.looked_at, 7);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions_stay_and_tell_their_difference),
		cmocka_unit_test(nothing_has_no_difference),
		cmocka_unit_test(each_part_of_a_want_counts),
		cmocka_unit_test(arrays_live_as_long_as_a_version_has_them),
		cmocka_unit_test(an_edit_costs_the_same_at_every_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
