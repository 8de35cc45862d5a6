/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <stdlib.h>

#include "fairlead/mem.h"
#include "fairlead/want_map.h"
#include "l2/attach.h"
#include "l2/filter.h"
#include "l2/segment_private.h"

/*
 * Two interfaces without a carrier, so that no socket is opened: 10.0.0.0/16 on eth0, 10.1.0.0/16
 * and 2001:db8::/64 on eth1; what else is wanted goes nowhere.
 */
struct fixture {
	struct l2_options opts;
	struct wire_key *key;
	struct board board;
	struct attach attach;
	struct l2_snapshot view;
	struct places *places;
	struct place_store store;
	struct want_map wants, before;
};

static const uint16_t candidates[] = { 0 };
static const char *const nodes[] = { "n1" };

static struct iface iface(int index, const char *subnet, const char *more)
{
	struct iface i = { .index = index, .mac = { 2, 0, 0, 0, 0, (uint8_t)index }, .mtu = 1500 };

	snprintf(i.name, sizeof(i.name), "eth%d", index);
	assert_int_equal(prefix_parse(subnet, false, &i.subnets[0].prefix), 0);
	i.subnets[0].own = i.subnets[0].prefix.addr;
	i.n_subnets = 1;
	if (more) {
		assert_int_equal(prefix_parse(more, false, &i.subnets[1].prefix), 0);
		i.subnets[1].own = i.subnets[1].prefix.addr;
		i.n_subnets = 2;
	}
	return i;
}

static void fixture_init(struct fixture *f)
{
	struct err e = ERR_INIT;
	struct ifaces fresh = { .list = xcalloc(2, sizeof(*fresh.list)), .n = 2 };

	memset(f, 0, sizeof(*f));
	f->opts = (struct l2_options){ .node = "n1",
		                       .timing = { 100, 3, 10 },
		                       .restart_hold_ms = 5000 };
	f->key = wire_key_new((const uint8_t *)"key", 3);
	board_init(&f->board);
	f->attach = (struct attach){ .opts = &f->opts, .key = f->key, .board = &f->board };
	assert_int_equal(groups_start(&f->attach.groups, &e), 0);
	f->view = (struct l2_snapshot){ .nodes = nodes, .n_nodes = 1 };
	f->places = places_new(&f->store, &f->view);
	fresh.list[0] = iface(0, "10.0.0.0/16", NULL);
	fresh.list[1] = iface(1, "10.1.0.0/16", "2001:db8::/64");
	attach_set_ifaces(&f->attach, &fresh, 1);
}

static void fixture_fini(struct fixture *f)
{
	groups_stop(f->attach.groups);
	attach_fini(&f->attach);
	want_map_fini(&f->wants);
	want_map_fini(&f->before);
	places_free(f->places);
	place_store_fini(&f->store);
	board_fini(&f->board);
	wire_key_free(f->key);
}

static void put(struct fixture *f, struct addr addr, bool eligible)
{
	struct l2_want w = { .addr = addr,
		             .identity = { { 1 }, 1 },
		             .eligible = eligible,
		             .candidates = candidates,
		             .n_candidates = 1 };

	want_map_put(&f->wants, &w, NULL);
}

/* A version is kept until the next one has been followed, as the urgent thread has it. */
static void follow(struct fixture *f, int64_t now)
{
	struct want_map old = f->before;

	f->before = want_map_share(&f->wants);
	static struct want_map given[2];
	static size_t turn;
	given[++turn % 2] = f->before;
	f->board.n_changes = 0;
	f->board.republish = false;
	attach_follow(&f->attach, &f->view, f->places, &given[turn % 2], now);
	want_map_fini(&old);
}

static struct addr v4(unsigned int net, unsigned int i)
{
	return (struct addr){ 4, { 10, (uint8_t)net, (uint8_t)(i >> 8), (uint8_t)i } };
}

/* ---- what the segments have ---- */

struct check {
	const struct attach *a;
	size_t wanted[2];
};

static void check_one(const struct l2_want *w, void *arg)
{
	struct check *c = arg;
	const struct attached *at = attach_of(c->a, attach_iface_for(c->a, w));

	if (!at)
		return;
	struct claims_entry *e;
	HASH_FIND(hh, at->segment->claims.entries, &w->addr, sizeof(w->addr), e);
	assert_non_null(e);
	assert_ptr_equal(e->want, w);
	c->wanted[at->iface.index]++;
}

/* Each want is its segment's, and no segment has another. */
static void assert_distributed(const struct fixture *f)
{
	struct check c = { .a = &f->attach };

	want_map_each(f->attach.wants, check_one, &c);
	for (size_t k = 0; k < f->attach.n; k++) {
		const struct attached *at = f->attach.list[k];
		size_t n = 0;
		for (const struct claims_entry *e = at->segment->claims.entries; e; e = e->hh.next)
			n += e->want != NULL;
		assert_int_equal(n, c.wanted[at->iface.index]);
	}
}

static void one_change_reaches_its_segment_alone(void **state)
{
	(void)state;
	struct fixture f;

	fixture_init(&f);
	for (unsigned int i = 0; i < 2000; i++) {
		put(&f, v4(i % 3, i), true);
	}
	follow(&f, 2);
	assert_true(f.board.republish);
	assert_int_equal(f.attach.n, 2);
	assert_distributed(&f);
	/* Another state of one. */
	put(&f, v4(0, 300), false);
	follow(&f, 3);
	assert_false(f.board.republish);
	assert_in_range(f.board.n_changes, 1, 2); /* by the segment as well */
	assert_distributed(&f);
	/* One more, one less, and one that goes nowhere. */
	put(&f, v4(1, 5000), true);
	struct addr gone = v4(0, 303);
	assert_true(want_map_remove(&f.wants, &gone));
	put(&f, v4(7, 1), true);
	follow(&f, 4);
	assert_false(f.board.republish);
	assert_in_range(f.board.n_changes, 3, 6);
	assert_distributed(&f);
	/* Nothing. */
	follow(&f, 5);
	assert_int_equal(f.board.n_changes, 0);
	fixture_fini(&f);
}

static void the_first_and_the_last_on_an_interface_are_for_all(void **state)
{
	(void)state;
	struct fixture f;

	fixture_init(&f);
	put(&f, v4(0, 1), true);
	follow(&f, 2);
	assert_int_equal(f.attach.n, 1);
	put(&f, v4(1, 1), true);
	follow(&f, 3);
	assert_true(f.board.republish);
	assert_int_equal(f.attach.n, 2);
	assert_distributed(&f);
	struct addr gone = v4(1, 1);
	want_map_remove(&f.wants, &gone);
	follow(&f, 4);
	assert_true(f.board.republish);
	assert_distributed(&f);
	/* Of one alone there is no first and no last: it only becomes another. */
	put(&f, v4(0, 1), false);
	follow(&f, 5);
	assert_false(f.board.republish);
	assert_distributed(&f);
	fixture_fini(&f);
}

/* What holds for all addresses reaches every segment, also where all wants stay as they are. */
static void another_rate_reaches_segments_whose_wants_stay(void **state)
{
	(void)state;
	struct fixture f;

	fixture_init(&f);
	put(&f, v4(0, 1), true);
	put(&f, v4(1, 1), true);
	follow(&f, 2);
	struct l2_snapshot next = f.view;
	next.rebalance.per_minute = 7;
	attach_follow(&f.attach, &next, f.places, f.attach.wants, 3);
	assert_int_equal(f.attach.n, 2);
	for (size_t k = 0; k < 2; k++) {
		const struct claims *c = &f.attach.list[k]->segment->claims;
		assert_int_equal(c->view->rebalance.per_minute, 7);
		assert_true(c->rebalance.look_ms < CLAIMS_NEVER);
	}
	fixture_fini(&f);
}

static void any_history_ends_as_if_it_were_the_first_snapshot(void **state)
{
	(void)state;
	struct fixture f;
	uint32_t seed = 7;

	fixture_init(&f);
	for (int step = 0; step < 2000; step++) {
		seed = seed * 1664525 + 1013904223;
		struct addr a = v4(seed >> 30, seed >> 8 & 31);
		if (seed >> 16 & 1 && a.b[1] == 3)
			a = (struct addr){ 6,
				           { 0x20, 1, 0x0d, 0xb8, [15] = (uint8_t)(seed >> 8) } };
		if (seed >> 20 & 3)
			put(&f, a, seed >> 22 & 1);
		else
			want_map_remove(&f.wants, &a);
		if (seed >> 24 & 1)
			follow(&f, 2 + step);
		if (f.attach.wants)
			assert_distributed(&f);
	}
	fixture_fini(&f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_change_reaches_its_segment_alone),
		cmocka_unit_test(the_first_and_the_last_on_an_interface_are_for_all),
		cmocka_unit_test(another_rate_reaches_segments_whose_wants_stay),
		cmocka_unit_test(any_history_ends_as_if_it_were_the_first_snapshot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
