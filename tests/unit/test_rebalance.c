/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Owners that hand over what others lack, where somebody asks for it: to whom, how fast, and when
 * they stop.
 */
#include "unit.h"

#include <stdlib.h>

#include "../l2/sim.h"
#include "fairlead/mem.h"
#include "fairlead/spread.h"
#include "l2/arp.h"
#include "l2/segment_private.h"

/* What a message is under way, and one turn. */
#define MOMENT_MS 4
/* For how long nothing may have been wrong; and a little more, as nodes notice one by one. */
#define CALM_MS 60000
#define CALM_PAST_MS (CALM_MS + 3000)
#define OFFER_MS 1000
/* For how long a node that took none of two Services is offered none. */
#define UNWILLING_MS 300000

static struct sim sim;

static void ask_for(unsigned int per_minute, uint64_t asked)
{
	for (size_t i = 0; i < sim.n_nodes; i++) {
		sim.nodes[i].view.rebalance = (struct l2_rebalance){ per_minute, asked };
		if (sim.nodes[i].segment)
			sim_publish(&sim, i);
	}
}

static void start_all(uint64_t seed, size_t n, size_t addresses)
{
	sim_init(&sim, seed, n, addresses);
	for (size_t i = 0; i < n; i++)
		sim_start(&sim, i);
	sim_run(&sim, 5000);
}

static void node_returns(size_t node)
{
	sim_kill(&sim, node);
	sim_run(&sim, 3000);
	sim_start(&sim, node);
	sim_run(&sim, 3000);
	sim_observe(&sim);
}

/* All are there, and node 0, which was away, has nothing. */
static void settled(uint64_t seed, size_t n, size_t addresses)
{
	start_all(seed, n, addresses);
	node_returns(0);
}

static size_t owned(size_t node)
{
	size_t n = 0;

	for (size_t a = 0; a < sim.n_addresses; a++)
		n += sim_owner(&sim, a) == (int)node;
	return n;
}

/*
 * Runs in small steps until that many have changed hands, or that time is over; nothing is handed
 * over in the first part of the minute for which nothing may have been wrong.
 */
static void run_until(size_t changes, int64_t ms)
{
	if (ms > CALM_MS && sim_total_changes(&sim) == 0) {
		sim_run(&sim, CALM_MS - 5000);
		ms -= CALM_MS - 5000;
	}
	for (int64_t end = sim.now + ms; sim.now < end && sim_total_changes(&sim) < changes;)
		sim_run(&sim, 1);
}

static void assert_shared(void)
{
	size_t share = sim.n_addresses / sim.n_nodes;

	for (size_t i = 0; i < sim.n_nodes; i++)
		assert_in_range(owned(i), (4 * share + 4) / 5, (5 * share + 3) / 4);
}

static void assert_without_a_break(void)
{
	assert_int_equal(sim.worst_none_ms, 0);
	assert_in_range(sim.worst_several_ms, 0, MOMENT_MS);
}

/* ---- the rule ---- */

#define PLACES 6
#define ITEMS 60

static struct spread spread;
static struct identity identities[ITEMS];
static uint16_t candidates[ITEMS][PLACES];
static uint32_t preferences[ITEMS][PLACES];

/* Items that are anywhere among the places that each may be at. */
static void scatter(uint64_t seed)
{
	struct sim random = { .random = seed };

	spread = (struct spread){ .n_places = PLACES, .n_items = ITEMS };
	ARRAY_RESERVE(spread.places, spread.places_cap, PLACES);
	ARRAY_RESERVE(spread.items, spread.items_cap, ITEMS);
	for (size_t i = 0; i < PLACES; i++)
		spread.places[i] = (struct spread_place){ .name_hash = sim_random(&random, 1000),
			                                  .live = i != 5 };
	for (size_t i = 0; i < ITEMS; i++) {
		identities[i].since_us = (int64_t)i;
		struct spread_item *it = &spread.items[i];
		*it = (struct spread_item){ .identity = &identities[i],
			                    .candidates = candidates[i],
			                    .preferences = preferences[i],
			                    .held = true };
		for (uint16_t k = 0; k < PLACES; k++) {
			if (seed % 2 && sim_random(&random, 3) == 0)
				continue;
			preferences[i][it->n_candidates] =
				seed % 3 == 0 ? (uint32_t)sim_random(&random, 2) : 0;
			candidates[i][it->n_candidates++] = k;
		}
		if (it->n_candidates == 0)
			candidates[i][it->n_candidates++] = 0;
		it->at = candidates[i][sim_random(&random, 2) % it->n_candidates];
	}
	spread_all(&spread);
}

static uint32_t preference_at(const struct spread_item *it, uint16_t place)
{
	for (size_t i = 0; i < it->n_candidates; i++)
		if (it->candidates[i] == place)
			return it->preferences[i];
	fail_msg("no candidate");
	return 0;
}

/* What is beyond the share, or lacks: all places together, squared. */
static double unfairness(void)
{
	double sum = 0;

	for (size_t i = 0; i < PLACES; i++) {
		double d = (double)spread.places[i].load -
		           (double)spread.places[i].share / 4294967296.0;
		sum += d * d;
	}
	return sum;
}

static void each_move_brings_all_nearer_to_their_shares(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 600; seed++) {
		scatter(seed);
		struct identity after = { .since_us = 30 };
		struct spread_move m;
		size_t n = 0;
		while (spread_next(&spread, &after, &m)) {
			struct spread_item *it = &spread.items[m.item];
			double before = unfairness();
			assert_int_equal(it->at, m.from);
			assert_true(spread.places[m.from].live && spread.places[m.to].live);
			assert_int_equal(preference_at(it, m.to), it->preference);
			bool preferred = preference_at(it, m.from) == it->preference;
			assert_int_equal(m.why == SPREAD_PREFERRED, !preferred);
			/* As all others find it, too, once it is offered. */
			it->goes = true;
			it->held = false;
			it->from = m.from;
			spread_all(&spread);
			assert_int_equal(it->at, m.to);
			it->goes = false;
			spread_hold(&spread, it, m.to);
			if (preferred)
				assert_true(unfairness() < before - 1e-6);
			assert_in_range(++n, 1, 2 * ITEMS);
		}
		/* Where all may have all, nobody has less, or more. */
		for (size_t i = 0; seed % 2 == 0 && seed % 3 && i < 5; i++)
			assert_in_range(spread.places[i].load, 10, 15);
		spread_fini(&spread);
	}
}

/* Of one place what comes behind the last one that went, and what is to stay never. */
static void they_take_turns(void **state)
{
	(void)state;
	struct identity after = { .since_us = 30 };
	struct spread_move m;

	scatter(2);
	for (size_t i = 0; i < ITEMS; i++)
		spread_hold(&spread, &spread.items[i], 0);
	assert_true(spread_next(&spread, NULL, &m));
	assert_int_equal(m.item, 0);
	assert_true(spread_next(&spread, &after, &m));
	assert_int_equal(m.item, 31);
	assert_int_equal(m.why, SPREAD_ABOVE);
	spread.items[31].stays = true;
	assert_true(spread_next(&spread, &after, &m));
	assert_int_equal(m.item, 32);
	after.since_us = 59;
	assert_true(spread_next(&spread, &after, &m));
	assert_int_equal(m.item, 0);
	spread_fini(&spread);
}

/* ---- where it is asked for, and where it is not ---- */

static void nothing_moves_unless_it_is_asked_for(void **state)
{
	(void)state;
	settled(1, 3, 24);
	sim_run(&sim, 2 * CALM_PAST_MS);
	assert_int_equal(owned(0), 0);
	assert_int_equal(sim_total_changes(&sim), 0);
	sim_fini(&sim);
}

static void who_returns_gets_its_share(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 8; seed++) {
		sim_use_family(seed % 2 ? 6 : 4);
		size_t n = 2 + seed % 4, addresses = n * (3 + seed % 7);
		settled(seed, n, addresses);
		ask_for(600, 0);
		sim_run(&sim, CALM_PAST_MS + (int64_t)addresses * 150);
		assert_shared();
		assert_without_a_break();
		/* No more than that takes, each once. */
		for (size_t a = 0; a < addresses; a++) {
			assert_in_range(sim.changes[a], 0, 1);
			struct l2_state s = sim_state(&sim, (size_t)sim_owner(&sim, a), a);
			if (!sim.changes[a])
				continue;
			assert_int_equal(s.cause, REASON_OwnerRebalanced);
			assert_int_equal(s.took_ms, 0);
		}
		/* And then it ends. */
		sim_observe(&sim);
		sim_run(&sim, CALM_MS);
		assert_int_equal(sim_total_changes(&sim), 0);
		sim_fini(&sim);
	}
}

/* What was placed as it should be is left alone, also where it is not all the same. */
static void what_is_within_the_bound_stays(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 10; seed++) {
		start_all(seed, 2, 40);
		sim_observe(&sim);
		ask_for(600, 0);
		sim_run(&sim, CALM_PAST_MS);
		size_t n = owned(0);
		if (sim_total_changes(&sim) > 0)
			assert_true(n == 16 || n == 24);
		assert_in_range(n, 16, 24);
		sim_fini(&sim);
	}
}

static void one_pass_is_made_when_it_is_asked_for(void **state)
{
	(void)state;
	settled(2, 3, 24);
	ask_for(0, 1);
	sim_run(&sim, CALM_PAST_MS);
	assert_in_range(owned(0), 1, 7);
	sim_run(&sim, 24 * 1200);
	assert_shared();
	assert_without_a_break();
	/* It is over: what comes later is not touched. */
	sim_run(&sim, 3000);
	node_returns(0);
	sim_run(&sim, 2 * CALM_PAST_MS);
	assert_int_equal(owned(0), 0);
	/* A speaker that starts knows nothing of it. */
	node_returns(1);
	sim_run(&sim, 2 * CALM_PAST_MS);
	assert_int_equal(owned(1), 0);
	sim_fini(&sim);
}

/* ---- how fast ---- */

static void the_rate_is_that_of_all_together(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 2; seed++) {
		sim_use_family(seed % 2 ? 6 : 4);
		settled(seed, 5, 60);
		sim.reorder = seed & 1;
		ask_for(30, 0);
		int64_t last = -CALM_MS;
		for (size_t n = 1; n <= 8; n++) {
			run_until(n, 2 * CALM_MS);
			assert_int_equal(sim_total_changes(&sim), n);
			assert_true(sim.now - last >= 2000 - MOMENT_MS);
			last = sim.now;
		}
		assert_without_a_break();
		sim_fini(&sim);
	}
}

static void another_rate_is_followed_at_once(void **state)
{
	(void)state;
	settled(3, 3, 24);
	ask_for(1, 0);
	run_until(1, 2 * CALM_MS);
	assert_int_equal(sim_total_changes(&sim), 1);
	ask_for(600, 0);
	run_until(4, 3000);
	assert_int_equal(sim_total_changes(&sim), 4);
	ask_for(0, 0);
	sim_run(&sim, 10000);
	assert_int_equal(sim_total_changes(&sim), 4);
	sim_fini(&sim);
}

/* ---- what goes ---- */

static void addresses_of_one_service_move_together(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 3; seed++) {
		sim_use_both_families();
		sim_init(&sim, seed, 3, 36);
		for (size_t i = 0; i < 3; i++)
			for (size_t a = 0; a < 36; a++)
				sim.nodes[i].wants[a].identity.id[0] = (uint8_t)(a / 2 + 1);
		for (size_t i = 0; i < 3; i++)
			sim_start(&sim, i);
		sim_run(&sim, 5000);
		node_returns(0);
		sim.reorder = seed & 1;
		ask_for(120, 0);
		run_until(2, CALM_PAST_MS);
		for (size_t n = 4; n < 8; n += 2) {
			run_until(n - 1, 5000);
			sim_run(&sim, MOMENT_MS);
			assert_int_equal(sim_total_changes(&sim), n);
			for (size_t a = 0; a < 36; a += 2)
				assert_int_equal(sim_owner(&sim, a), sim_owner(&sim, a + 1));
		}
		assert_without_a_break();
		sim_fini(&sim);
	}
}

static void preferred_nodes_get_theirs_back(void **state)
{
	(void)state;
	static const uint32_t weights[] = { 10, 0, 0 };

	sim_init(&sim, 4, 3, 12);
	for (size_t i = 0; i < 3; i++)
		for (size_t a = 0; a < 4; a++) {
			sim.nodes[i].wants[a].preferences = weights;
			sim.nodes[i].wants[a].preference = weights[i];
		}
	for (size_t i = 0; i < 3; i++)
		sim_start(&sim, i);
	sim_run(&sim, 5000);
	for (size_t a = 0; a < 4; a++)
		assert_int_equal(sim_owner(&sim, a), 0);
	node_returns(0);
	assert_int_equal(owned(0), 0);
	ask_for(600, 0);
	sim_run(&sim, CALM_PAST_MS + 5000);
	for (size_t a = 0; a < 4; a++)
		assert_int_equal(sim_owner(&sim, a), 0);
	assert_without_a_break();
	sim_fini(&sim);
}

/* ---- when it stops ---- */

static void a_death_stops_it_for_a_while(void **state)
{
	(void)state;
	settled(5, 4, 40);
	ask_for(60, 0);
	run_until(2, 2 * CALM_MS);
	sim_kill(&sim, 3);
	sim_run(&sim, 3000);
	sim_observe(&sim);
	sim_run(&sim, CALM_MS - 5000);
	assert_int_equal(sim_total_changes(&sim), 0);
	sim_run(&sim, 15000);
	assert_in_range(sim_total_changes(&sim), 3, 15);
	assert_without_a_break();
	sim_fini(&sim);
}

/* One that was asked for before all had noticed that something came or went waits, and is made. */
static void what_is_wrong_before_a_pass_begins_puts_it_off(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 4; seed++) {
		sim_use_family(seed % 2 ? 6 : 4);
		settled(seed, 4, 40);
		ask_for(0, 1);
		sim_run(&sim, 20000);
		if (seed < 2) {
			sim_kill(&sim, 3);
		} else {
			sim_stop(&sim, 3, L2_STOP_YIELD);
			sim_run(&sim, 3000);
			sim_start(&sim, 3);
		}
		sim_run(&sim, 3000);
		sim_observe(&sim);
		sim_run(&sim, CALM_MS - 5000);
		assert_int_equal(sim_total_changes(&sim), 0);
		sim_run(&sim, 40 * 1200);
		assert_in_range(owned(0), 8, 12);
		assert_without_a_break();
		sim_fini(&sim);
	}
}

/* What was asked for once is over then. */
static void a_death_ends_a_pass(void **state)
{
	(void)state;
	settled(5, 4, 40);
	ask_for(0, 1);
	run_until(2, 2 * CALM_MS);
	sim_kill(&sim, 3);
	sim_run(&sim, 3000);
	sim_observe(&sim);
	sim_run(&sim, 2 * CALM_PAST_MS);
	assert_int_equal(sim_total_changes(&sim), 0);
	sim_fini(&sim);
}

static void set_eligible(size_t node, bool eligible)
{
	for (size_t a = 0; a < sim.n_addresses; a++)
		sim.nodes[node].wants[a].eligible = eligible;
	sim_publish(&sim, node);
}

/*
 * Only the one to which it goes takes it: where that may not have it yet, it stays, and is offered
 * to it again after a while.
 */
static void what_nobody_takes_stays(void **state)
{
	(void)state;
	settled(6, 3, 24);
	set_eligible(0, false);
	ask_for(600, 0);
	sim_run(&sim, CALM_PAST_MS + 10 * OFFER_MS);
	set_eligible(0, true);
	sim_run(&sim, UNWILLING_MS - 20 * OFFER_MS);
	assert_int_equal(sim_total_changes(&sim), 0);
	assert_int_equal(sim.worst_none_ms, 0);
	assert_int_equal(sim.worst_several_ms, 0);
	sim_run(&sim, 20 * OFFER_MS);
	assert_shared();
	sim_fini(&sim);
}

/* A node that can take nothing, which it alone knows, keeps nothing from the others. */
static void one_that_can_take_nothing_stops_nobody(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 2; seed++) {
		sim_init(&sim, seed, 4, 48);
		for (size_t a = 0; a < 48; a++)
			sim.nodes[3].wants[a].eligible = false;
		for (size_t i = 0; i < 4; i++)
			sim_start(&sim, i);
		sim_run(&sim, 5000);
		node_returns(0);
		ask_for(seed ? 600 : 0, 1);
		sim_run(&sim, CALM_PAST_MS + 30 * OFFER_MS);
		assert_int_equal(owned(3), 0);
		for (size_t i = 0; i < 3; i++)
			assert_in_range(owned(i), 10, 20);
		assert_without_a_break();
		/* When it is asked again, nothing else comes of it. */
		sim_observe(&sim);
		sim_run(&sim, UNWILLING_MS + CALM_MS);
		assert_int_equal(sim_total_changes(&sim), 0);
		sim_fini(&sim);
	}
}

/* Likewise a Service that cannot go, though it is the first to go. */
static void one_that_cannot_go_stops_nobody(void **state)
{
	(void)state;
	static const uint32_t weights[] = { 10, 0, 0 };

	sim_init(&sim, 7, 3, 24);
	for (size_t i = 0; i < 3; i++) {
		sim.nodes[i].wants[5].preferences = weights;
		sim.nodes[i].wants[5].preference = weights[i];
	}
	sim.nodes[0].wants[5].eligible = false;
	for (size_t i = 0; i < 3; i++)
		sim_start(&sim, i);
	sim_run(&sim, 5000);
	node_returns(0);
	ask_for(600, 0);
	sim_run(&sim, CALM_PAST_MS + 15 * OFFER_MS);
	assert_shared();
	assert_without_a_break();
	sim_fini(&sim);
}

/* Nor does a node that offers nothing, for reasons that it alone knows. */
static void one_that_gives_nothing_stops_nobody(void **state)
{
	(void)state;
	for (size_t silent = 1; silent < 3; silent++) {
		settled(7, 3, 24);
		ask_for(600, 0);
		sim.nodes[silent].view.rebalance.per_minute = 0;
		sim_publish(&sim, silent);
		size_t had = owned(silent);
		sim_run(&sim, 2 * CALM_PAST_MS + 15 * OFFER_MS);
		assert_int_equal(owned(silent), had);
		assert_in_range(owned(0), 4, 10);
		assert_without_a_break();
		sim_fini(&sim);
	}
}

/* What its owner had better keep, as somebody else answers for it, keeps none of the others. */
static void what_two_have_stays(void **state)
{
	(void)state;
	settled(7, 2, 12);
	struct claims_entry *e = sim.nodes[1].segment->claims.entries;
	while (!addr_eq(&e->addr, sim_address(0)))
		e = e->hh.next;
	e->two_owners = true;
	e->rival_until_ms = INT64_MAX;
	ask_for(600, 0);
	sim_run(&sim, CALM_PAST_MS + 10 * OFFER_MS);
	assert_in_range(owned(0), 5, 6);
	assert_int_equal(sim_owner(&sim, 0), 1);
	sim_fini(&sim);
}

/* One that nobody takes keeps none of the others. */
static void another_one_is_next(void **state)
{
	(void)state;
	settled(7, 2, 12);
	for (size_t a = 0; a < 12; a++)
		sim.nodes[0].wants[a].eligible = a >= 1;
	sim_publish(&sim, 0);
	ask_for(600, 0);
	sim_run(&sim, 2 * CALM_PAST_MS);
	assert_in_range(owned(0), 5, 6);
	assert_int_equal(sim_owner(&sim, 0), 1);
	assert_int_equal(sim.worst_none_ms, 0);
	sim_fini(&sim);
}

/* What was asked for once, and came to nothing, does not begin when it is long forgotten. */
static void what_came_to_nothing_is_over_everywhere(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 2; seed++) {
		settled(seed, 3, 24);
		set_eligible(0, false);
		ask_for(0, 1);
		sim_run(&sim, CALM_PAST_MS + 5 * OFFER_MS);
		set_eligible(0, true);
		sim_run(&sim, 2 * CALM_PAST_MS);
		sim_stop(&sim, 1, L2_STOP_YIELD);
		sim_run(&sim, 5000);
		sim_start(&sim, 1);
		sim_run(&sim, 5000);
		sim_observe(&sim);
		sim_run(&sim, UNWILLING_MS);
		assert_int_equal(sim_total_changes(&sim), 0);
		sim_fini(&sim);
	}
}

/* Nor does one go on after a node that left, or came. */
static void who_leaves_ends_a_pass(void **state)
{
	(void)state;
	settled(5, 4, 40);
	ask_for(0, 1);
	run_until(2, 2 * CALM_MS);
	sim_stop(&sim, 3, L2_STOP_YIELD);
	sim_run(&sim, 3000);
	sim_start(&sim, 3);
	sim_run(&sim, 3000);
	sim_observe(&sim);
	sim_run(&sim, 2 * CALM_PAST_MS);
	assert_int_equal(sim_total_changes(&sim), 0);
	sim_fini(&sim);
}

/* What its owner would be asked for is not begun when it has to wait for too long. */
static void a_pass_that_nobody_begins_ends(void **state)
{
	(void)state;
	settled(5, 3, 24);
	sim.nodes[0].no_moves = true;
	sim_run(&sim, 200);
	ask_for(0, 1);
	sim_run(&sim, 2 * CALM_PAST_MS);
	sim.nodes[0].no_moves = false;
	sim_run(&sim, 2 * CALM_PAST_MS);
	assert_int_equal(sim_total_changes(&sim), 0);
	sim_fini(&sim);
}

/* Who does not know what goes to one node alone would take it. */
static void nothing_moves_while_some_do_not_know_it(void **state)
{
	(void)state;
	settled(4, 3, 24);
	sim.nodes[0].no_moves = true;
	sim_run(&sim, 200);
	ask_for(600, 0);
	sim_run(&sim, CALM_PAST_MS + 10000);
	assert_int_equal(sim_total_changes(&sim), 0);
	sim.nodes[0].no_moves = false;
	sim_run(&sim, 10000);
	assert_shared();
	sim_fini(&sim);
}

static void nothing_moves_while_the_segment_is_apart(void **state)
{
	(void)state;
	settled(8, 4, 40);
	ask_for(60, 0);
	run_until(2, 2 * CALM_MS);
	for (size_t i = 0; i < 2; i++)
		for (size_t k = 2; k < 4; k++)
			sim.blocked[i][k] = sim.blocked[k][i] = true;
	sim_run(&sim, 5000);
	int owners[SIM_ADDRESSES_MAX][SIM_NODES_MAX];
	for (size_t a = 0; a < 40; a++)
		for (size_t i = 0; i < 4; i++)
			owners[a][i] = sim_answers(&sim, i, a);
	/* Neither half is more than half. */
	sim_run(&sim, 2 * CALM_PAST_MS);
	for (size_t a = 0; a < 40; a++)
		for (size_t i = 0; i < 4; i++)
			assert_int_equal(sim_answers(&sim, i, a), owners[a][i]);
	for (size_t i = 0; i < 2; i++)
		for (size_t k = 2; k < 4; k++)
			sim.blocked[i][k] = sim.blocked[k][i] = false;
	sim_run(&sim, 10000);
	sim_observe(&sim);
	sim_run(&sim, CALM_MS - 15000);
	assert_int_equal(sim_total_changes(&sim), 0);
	sim_run(&sim, CALM_PAST_MS + 40000);
	assert_shared();
	assert_without_a_break();
	sim_fini(&sim);
}

/* Only who asks for the address knows of the stranger that has it; that nobody owns it all do. */
static void a_conflict_stops_it(void **state)
{
	(void)state;
	sim_init(&sim, 9, 3, 24);
	sim.stranger_address = *sim_address(23);
	memcpy(sim.stranger_mac, "\x06strng", 6);
	for (size_t i = 0; i < 3; i++)
		sim_start(&sim, i);
	sim_run(&sim, 5000);
	node_returns(0);
	ask_for(60, 0);
	sim_run(&sim, 2 * CALM_PAST_MS);
	assert_int_equal(sim_total_changes(&sim), 0);
	/* It goes. */
	sim.stranger_address = (struct addr){ 0 };
	sim_run(&sim, 2 * CALM_PAST_MS);
	assert_shared();
	sim_fini(&sim);
}

/* ---- whatever happens ---- */

static void lost_messages_make_no_break(void **state)
{
	(void)state;
	int64_t none = 0, several = 0;
	for (uint64_t seed = 0; seed < 9; seed++) {
		sim_use_family(seed % 2 ? 6 : 4);
		settled(seed, 3, 20);
		sim.loss_percent = 5 + (int)(seed % 3) * 5;
		sim.reorder = true;
		ask_for(600, 0);
		sim_run(&sim, CALM_PAST_MS + 10000);
		none = sim.worst_none_ms > none ? sim.worst_none_ms : none;
		several = sim.worst_several_ms > several ? sim.worst_several_ms : several;
		sim_fini(&sim);
	}
	print_message("with losses nobody answered for %lld ms, two for %lld ms at most\n",
	              (long long)none, (long long)several);
	assert_in_range(none, 0, 2 * SIM_DEAD_MS);
	assert_in_range(several, 0, 2 * SIM_DEAD_MS);
}

/* What it says has the claim of an offer. */
static bool is_offering(size_t node, struct addr *ret_addr)
{
	bool offers = false;

	sim.record_from = (int)node;
	sim_run(&sim, 10);
	sim.record_from = -1;
	while (sim.n_recorded > 0) {
		struct sim_frame *f = &sim.recorded[--sim.n_recorded];
		struct wire_msg msg;
		if (wire_decode(sim.nodes[node].key, f->data, f->size, &msg) == 0 &&
		    msg.type == WIRE_DELTA && (msg.claims[0].flags & WIRE_CLAIM_MOVES)) {
			offers = true;
			*ret_addr = msg.claims[0].addr;
		}
		free(f->data);
	}
	return offers;
}

/* The owner may own it no more before anybody has taken it: then whoever may takes it. */
static void a_drain_comes_before(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 3; seed++) {
		settled(seed, 3, 24);
		set_eligible(0, false);
		ask_for(600, 0);
		struct addr addr;
		while (!is_offering(1, &addr))
			sim_run(&sim, 1);
		set_eligible(1, false);
		sim_run(&sim, OFFER_MS);
		for (size_t a = 0; a < 24; a++)
			assert_int_equal(sim_owner(&sim, a), 2);
		assert_without_a_break();
		sim_fini(&sim);
	}
}

/* Only the one to which it goes takes it: what is said in another's name ends nothing. */
static void others_announcements_end_no_offer(void **state)
{
	(void)state;
	for (size_t node = 0; node < 3; node += 2) {
		uint8_t frame[ARP_FRAME_SIZE];
		struct addr addr;
		settled(6, 3, 24);
		set_eligible(0, false);
		ask_for(600, 0);
		while (!is_offering(1, &addr))
			sim_run(&sim, 1);
		struct arp_packet p = arp_gratuitous(sim.nodes[node].mac, &addr, ARP_REQUEST);
		arp_encode(&p, frame);
		sim_inject(&sim, 1, frame, sizeof(frame));
		sim_run(&sim, 3);
		size_t a = 0;
		while (!addr_eq(sim_address(a), &addr))
			a++;
		assert_int_equal(sim_owner(&sim, a), node ? 1 : -1);
		sim_fini(&sim);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_move_brings_all_nearer_to_their_shares),
		cmocka_unit_test(they_take_turns),
		cmocka_unit_test(nothing_moves_unless_it_is_asked_for),
		cmocka_unit_test(who_returns_gets_its_share),
		cmocka_unit_test(what_is_within_the_bound_stays),
		cmocka_unit_test(one_pass_is_made_when_it_is_asked_for),
		cmocka_unit_test(the_rate_is_that_of_all_together),
		cmocka_unit_test(another_rate_is_followed_at_once),
		cmocka_unit_test(addresses_of_one_service_move_together),
		cmocka_unit_test(preferred_nodes_get_theirs_back),
		cmocka_unit_test(a_death_stops_it_for_a_while),
		cmocka_unit_test(what_is_wrong_before_a_pass_begins_puts_it_off),
		cmocka_unit_test(a_death_ends_a_pass),
		cmocka_unit_test(what_nobody_takes_stays),
		cmocka_unit_test(one_that_can_take_nothing_stops_nobody),
		cmocka_unit_test(one_that_cannot_go_stops_nobody),
		cmocka_unit_test(one_that_gives_nothing_stops_nobody),
		cmocka_unit_test(what_came_to_nothing_is_over_everywhere),
		cmocka_unit_test(who_leaves_ends_a_pass),
		cmocka_unit_test(a_pass_that_nobody_begins_ends),
		cmocka_unit_test(nothing_moves_while_some_do_not_know_it),
		cmocka_unit_test(what_two_have_stays),
		cmocka_unit_test(another_one_is_next),
		cmocka_unit_test(nothing_moves_while_the_segment_is_apart),
		cmocka_unit_test(a_conflict_stops_it),
		cmocka_unit_test(lost_messages_make_no_break),
		cmocka_unit_test(a_drain_comes_before),
		cmocka_unit_test(others_announcements_end_no_offer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
