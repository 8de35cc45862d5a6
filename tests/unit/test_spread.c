/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Who is to own what nobody owns: the rule by itself, and what becomes of it among nodes on a
 * simulated segment.
 */
#include "unit.h"

#include "../l2/sim.h"
#include "fairlead/spread.h"
#include "fairlead/hash.h"
#include "fairlead/mem.h"

/* 1.25 times the share of @n identities on @places, rounded up. */
static int64_t bound(size_t n, size_t places)
{
	return (int64_t)((5 * n + 4 * places - 1) / (4 * places));
}

/* ---- the rule ---- */

#define PLACES_MAX 100
#define ITEMS_MAX 10000
/* Two owners while one relieves the other: what a message is under way. */
#define MOMENT_MS 4

static struct spread s;
static struct identity identities[ITEMS_MAX];
static const uint16_t *all;

static uint64_t random_of(uint64_t *seed, uint64_t limit)
{
	return (*seed = hash64(seed, sizeof(*seed), 1)) % limit;
}

/* @n_places live ones, and identities that may be on each of them and are on none. */
static void begin(uint64_t seed, size_t n_places, size_t n_items)
{
	static uint16_t numbers[PLACES_MAX];

	s = (struct spread){ .n_places = n_places, .n_items = n_items };
	ARRAY_RESERVE(s.places, s.places_cap, n_places);
	ARRAY_RESERVE(s.items, s.items_cap, n_items);
	for (size_t i = 0; i < n_places; i++) {
		numbers[i] = (uint16_t)i;
		s.places[i] = (struct spread_place){ .name_hash = random_of(&seed, UINT64_MAX),
			                             .live = true };
	}
	all = numbers;
	for (size_t i = 0; i < n_items; i++) {
		uint64_t id = random_of(&seed, UINT64_MAX);
		memcpy(identities[i].id, &id, sizeof(id));
		s.items[i] = (struct spread_item){ .identity = &identities[i],
			                           .candidates = numbers,
			                           .n_candidates = n_places,
			                           .at = SPREAD_NOWHERE };
	}
}

static void held_by(size_t item, uint16_t at)
{
	s.items[item].held = true;
	s.items[item].at = at;
}

static void the_bound_is_kept(void **state)
{
	(void)state;
	static const struct {
		size_t places, items;
		size_t held;   /* the first ones, at place 0 */
		int64_t loads; /* nobody has more, but for place 0 */
		int64_t first; /* place 0 has exactly that, unless -1 */
	} table[] = {
		{ 1, 12, 0, 12, 12 },
		{ 3, 12, 0, 5, -1 },
		{ 3, 1, 0, 1, -1 },
		/* who owns more than its bound keeps it, and gets nothing */
		{ 3, 0, 0, 0, 0 },
		{ 3, 24, 12, 10, 12 },
		{ 3, 12, 12, 0, 12 },
		{ 2, 10, 4, 7, -1 },
		{ 100, 10000, 0, 125, -1 },
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		for (uint64_t seed = 0; seed < 20; seed++) {
			begin(seed, table[i].places, table[i].items);
			for (size_t k = 0; k < table[i].held; k++)
				held_by(k, 0);
			spread_all(&s);
			int64_t sum = 0;
			for (size_t k = 0; k < s.n_places; k++) {
				sum += s.places[k].load;
				if (k > 0 || table[i].first < 0)
					assert_in_range(s.places[k].load, 0, table[i].loads);
			}
			assert_int_equal(sum, table[i].items);
			if (table[i].first >= 0)
				assert_int_equal(s.places[0].load, table[i].first);
			spread_fini(&s);
		}
}

static void who_is_not_live_gets_nothing(void **state)
{
	(void)state;
	begin(1, 3, 12);
	s.places[1].live = false;
	spread_all(&s);
	assert_int_equal(s.places[1].load, 0);
	assert_int_equal(s.places[0].load + s.places[2].load, 12);
	assert_in_range(s.places[0].load, 4, 8);
	spread_fini(&s);

	begin(1, 2, 1);
	s.places[0].live = s.places[1].live = false;
	spread_all(&s);
	assert_int_equal(s.items[0].at, SPREAD_NOWHERE);
	spread_release(&s, &s.items[0]);
	spread_hold(&s, &s.items[0], 1);
	assert_int_equal(s.places[1].load, 1);
	spread_fini(&s);
}

/* Each may be on some places only, as with policy Local: its share of each is one of so many. */
static void candidates_that_differ_have_bounds_of_their_own(void **state)
{
	(void)state;
	static uint16_t sets[60][8];
	for (uint64_t seed = 1; seed < 2000; seed++) {
		uint64_t r = seed;
		size_t n_places = 2 + random_of(&r, 7), n_items = 1 + random_of(&r, 60);
		uint64_t shares[8] = { 0 };
		begin(seed, n_places, n_items);
		for (size_t i = 0; i < n_items; i++) {
			size_t n = 1 + random_of(&r, n_places), have = 0;
			for (size_t k = 0; k < n_places && have < n; k++)
				if (random_of(&r, n_places - k) < n - have)
					sets[i][have++] = (uint16_t)k;
			s.items[i].candidates = sets[i];
			s.items[i].n_candidates = n;
			for (size_t k = 0; k < n; k++)
				shares[sets[i][k]] += 840 / n; /* of which 1 to 8 are divisors */
		}
		spread_all(&s);
		for (size_t k = 0; k < n_places; k++) {
			assert_int_equal(s.places[k].max, (shares[k] * 5 + 3359) / 3360);
			assert_in_range(s.places[k].load, 0, s.places[k].max);
		}
		spread_fini(&s);
	}
}

/* Those that are preferred most share among themselves; when they go, the next ones do. */
static void who_is_preferred_comes_first(void **state)
{
	(void)state;
	static const uint32_t preferences[] = { 0, 10, 10, 5 };
	for (uint64_t seed = 0; seed < 20; seed++) {
		begin(seed, 4, 12);
		for (size_t i = 0; i < 12; i++)
			s.items[i].preferences = preferences;
		spread_all(&s);
		assert_int_equal(s.places[1].load + s.places[2].load, 12);
		assert_in_range(s.places[1].load, 4, 8);
		s.places[1].live = s.places[2].live = false;
		spread_all(&s);
		assert_int_equal(s.places[3].load, 12);
		/* Who is not live is passed over, whatever it is preferred by. */
		s.places[3].live = false;
		spread_release(&s, &s.items[0]);
		assert_int_equal(s.items[0].at, 0);
		spread_fini(&s);
	}
}

/*
 * Nodes learn of each other's claims in any order.  Whichever part of what was found out is in
 * force by now, what is found out anew is the same.
 */
static void what_is_claimed_as_foreseen_changes_nothing_else(void **state)
{
	(void)state;
	uint16_t at[60];
	for (uint64_t seed = 1; seed < 200; seed++) {
		uint64_t r = seed;
		begin(seed, 2 + seed % 6, 60);
		spread_all(&s);
		for (size_t i = 0; i < 60; i++)
			at[i] = s.items[i].at;
		for (size_t i = 0; i < 60; i++)
			if (random_of(&r, 2))
				spread_hold(&s, &s.items[i], at[i]);
		for (size_t i = 0; i < 60; i++)
			assert_int_equal(s.items[i].at, at[i]);
		spread_all(&s);
		for (size_t i = 0; i < 60; i++)
			assert_int_equal(s.items[i].at, at[i]);
		spread_fini(&s);
	}
}

static void who_claims_otherwise_counts(void **state)
{
	(void)state;
	begin(3, 3, 12);
	spread_all(&s);
	for (size_t i = 0; i < 12; i++)
		spread_hold(&s, &s.items[i], 0);
	assert_int_equal(s.places[0].load, 12);
	s.places[0].live = false;
	for (size_t i = 0; i < 12; i++)
		spread_release(&s, &s.items[i]);
	assert_int_equal(s.places[0].load, 0);
	assert_in_range(s.places[1].load, 5, 7); /* beyond the bound of 5, evenly */
	assert_int_equal(s.places[1].load + s.places[2].load, 12);
	spread_fini(&s);
}

static void the_work_is_linear(void **state)
{
	(void)state;
	begin(5, 100, ITEMS_MAX);
	spread_all(&s);
	assert_in_range(s.steps, 1, 101 * ITEMS_MAX);
	uint64_t before = s.steps;
	for (size_t i = 0; i < ITEMS_MAX; i++)
		spread_hold(&s, &s.items[i], s.items[i].at);
	assert_int_equal(s.steps, before);
	/* All that a place had is given up, one after the other. */
	uint64_t n = 0;
	s.places[7].live = false;
	for (size_t i = 0; i < ITEMS_MAX; i++)
		if (s.items[i].at == 7) {
			spread_release(&s, &s.items[i]);
			n++;
		}
	assert_int_equal(s.steps - before, 100 * n);
	spread_fini(&s);
}

/* ---- on a segment ---- */

static struct sim sim;

static void count_owned(size_t n[static SIM_NODES_MAX])
{
	memset(n, 0, SIM_NODES_MAX * sizeof(*n));
	for (size_t a = 0; a < sim.n_addresses; a++) {
		assert_true(sim_owner(&sim, a) >= 0);
		n[sim_owner(&sim, a)]++;
	}
}

static void assert_spread(size_t live)
{
	size_t n[SIM_NODES_MAX];

	count_owned(n);
	for (size_t i = 0; i < sim.n_nodes; i++)
		assert_in_range(n[i], 0, bound(sim.n_addresses, live));
}

/* All are installed within a second and a half, each one's rules some time after that. */
static void start_all(bool rules_later)
{
	int64_t at[SIM_NODES_MAX], rules[SIM_NODES_MAX];

	for (size_t i = 0; i < sim.n_nodes; i++) {
		at[i] = (int64_t)sim_random(&sim, 1500);
		rules[i] = at[i] + (rules_later ? (int64_t)sim_random(&sim, 1000) : 0);
		for (size_t a = 0; a < sim.n_addresses; a++)
			sim.nodes[i].wants[a].eligible = rules[i] == at[i];
	}
	for (int64_t t = 0; t < 2500; t++) {
		for (size_t i = 0; i < sim.n_nodes; i++) {
			if (t == at[i])
				sim_start(&sim, i);
			if (t != rules[i] || t == at[i])
				continue;
			for (size_t a = 0; a < sim.n_addresses; a++)
				sim.nodes[i].wants[a].eligible = true;
			sim_publish(&sim, i);
		}
		sim_run(&sim, 1);
	}
	sim_run(&sim, 2500);
}

static void an_installation_is_spread_and_so_are_the_addresses_of_the_dead(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 60; seed++) {
		size_t n = 2 + seed % 5;
		sim_use_family(seed % 2 ? 6 : 4);
		sim_init(&sim, seed, n, 12 + seed % 7);
		sim.reorder = true;
		start_all(seed % 3 == 0);
		assert_spread(n);
		assert_int_equal(sim.worst_several_ms, 0);

		/* The first dies: the others share what it had, at once. */
		sim_observe(&sim);
		sim_kill(&sim, 0);
		sim_run(&sim, 1500);
		assert_in_range(sim.worst_none_ms, 1, SIM_DEAD_MS + SIM_PROBE_MS + 20);
		assert_int_equal(sim.worst_several_ms, 0);
		assert_spread(n - 1);

		/* It returns, and takes nothing. */
		sim_start(&sim, 0);
		sim_observe(&sim);
		sim_run(&sim, 5000);
		assert_int_equal(sim_total_changes(&sim), 0);
		sim_fini(&sim);
	}
}

/* While node 0 goes, nobody follows but one of the others. */
static void assert_one_heir(void)
{
	for (size_t a = 0; a < sim.n_addresses; a++) {
		size_t n = 0;
		for (size_t i = 1; i < sim.n_nodes; i++)
			n += sim_answers(&sim, i, a);
		assert_in_range(n, 0, 1);
	}
}

/*
 * Node 0 is drained; each of the others learns of it some moments before or after it lets go.  Who
 * has heard it let go claims without asking, so all of them have to find the same order at once.
 */
static void a_drain_makes_no_second_owner(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 60; seed++) {
		size_t n = 3 + seed % 4;
		int64_t at[SIM_NODES_MAX];
		sim_init(&sim, seed, n, 24);
		start_all(false);
		sim_run(&sim, 3000);
		sim_observe(&sim);
		for (size_t i = 0; i < n; i++)
			at[i] = (int64_t)sim_random(&sim, 60);
		for (int64_t t = 0; t < 60; t++) {
			for (size_t i = 0; i < n; i++) {
				if (t != at[i])
					continue;
				for (size_t a = 0; a < 24; a++) {
					struct l2_want *w = &sim.nodes[i].wants[a];
					w->candidates = &sim.candidates[1];
					w->n_candidates = n - 1;
					w->eligible = i > 0;
				}
				sim_publish(&sim, i);
			}
			sim_run(&sim, 1);
			assert_one_heir();
		}
		for (int64_t t = 0; t < 300; t++) {
			sim_run(&sim, 1);
			assert_one_heir();
		}
		sim_run(&sim, 2000);
		assert_in_range(sim.worst_several_ms, 0, MOMENT_MS);
		assert_spread(n - 1);
		sim_fini(&sim);
	}
}

/* Who alone has had no news of the cluster for long would soon lose it again. */
static void who_has_no_news_gets_nothing_while_others_have(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 10; seed++) {
		size_t n[SIM_NODES_MAX];
		sim_init(&sim, seed, 4, 24);
		start_all(false);
		count_owned(n);
		sim_run(&sim, 15000);
		size_t without_news = seed % 2 ? 3 : 2;
		for (size_t i = 2; i <= without_news; i++) {
			sim.nodes[i].view.view_fresh = false;
			sim_publish(&sim, i);
		}
		/*
		 * What node 2 owns has gone to the others by now, and to these goes node 0's, too.
		 */
		sim_run(&sim, 8000);
		sim_observe(&sim); /* an owner that is overruled hears so a moment later */
		sim_kill(&sim, 0);
		sim_run(&sim, 1000);
		count_owned(n);
		assert_int_equal(n[2], 0);
		for (size_t a = 0; a < 24; a++)
			assert_in_range(sim.changes[a], 0, 1); /* none moves twice */
		if (without_news == 3)
			assert_int_equal(n[1], 24);
		assert_int_equal(sim.worst_several_ms, 0);

		/* Where nobody has, all get something. */
		sim_start(&sim, 0);
		sim_run(&sim, 1000);
		for (size_t i = 0; i < 4; i++) {
			sim.nodes[i].view.view_fresh = false;
			sim_publish(&sim, i);
		}
		sim.server_away = true;
		sim_run(&sim, 8000);
		sim_kill(&sim, 1);
		sim_run(&sim, 1500);
		count_owned(n);
		assert_in_range(n[0], 1, 24);
		assert_in_range(n[2], 1, 24);
		sim_fini(&sim);
	}
}

/* Each Service has endpoints on two nodes, and only these may own its address. */
static void with_policy_local_the_bound_is_that_of_each_nodes_own_services(void **state)
{
	(void)state;
	static uint16_t pairs[60][2];
	for (uint64_t seed = 0; seed < 40; seed++) {
		size_t addresses = 10 + seed;
		int64_t twice[SIM_NODES_MAX] = { 0 };
		sim_init(&sim, seed, 4, addresses);
		for (size_t a = 0; a < addresses; a++) {
			pairs[a][0] = (uint16_t)sim_random(&sim, 3);
			pairs[a][1] =
				(uint16_t)(pairs[a][0] + 1 + sim_random(&sim, 3u - pairs[a][0]));
			for (size_t i = 0; i < 4; i++) {
				struct l2_want *w = &sim.nodes[i].wants[a];
				w->candidates = pairs[a];
				w->n_candidates = 2;
			}
			twice[pairs[a][0]]++;
			twice[pairs[a][1]]++;
		}
		for (size_t a = 0; a < addresses; a++)
			for (size_t i = 0; i < 4; i++)
				sim.nodes[i].wants[a].eligible =
					pairs[a][0] == i || pairs[a][1] == i;
		for (size_t i = 0; i < 4; i++) {
			sim_start(&sim, i);
			sim_run(&sim, (int64_t)sim_random(&sim, 500));
		}
		sim_run(&sim, 3000);
		size_t n[SIM_NODES_MAX];
		count_owned(n);
		for (size_t i = 0; i < 4; i++)
			assert_in_range(n[i], 0, (5 * twice[i] + 7) / 8);
		assert_int_equal(sim.worst_several_ms, 0);
		sim_fini(&sim);
	}
}

/* A Node that is Ready and runs no speaker holds nobody up for long. */
static void a_node_without_speaker_is_waited_for_two_seconds(void **state)
{
	(void)state;
	sim_init(&sim, 1, 3, 12);
	sim_start(&sim, 0);
	sim_start(&sim, 1);
	sim_run(&sim, SIM_LISTEN_MS + SIM_START_MS - 100);
	for (size_t a = 0; a < 12; a++)
		assert_int_equal(sim_owner(&sim, a), -1);
	sim_run(&sim, 300);
	assert_spread(2);
	/* One that is not Ready is not, */
	sim_kill(&sim, 0);
	sim_kill(&sim, 1);
	sim.awaited[2] = false;
	sim_run(&sim, 1000);
	sim_start(&sim, 0);
	sim_start(&sim, 1);
	sim_run(&sim, SIM_LISTEN_MS + 2 * SIM_HEARTBEAT_MS + SIM_PROBE_MS);
	assert_spread(2);
	sim_fini(&sim);
}

/*
 * Nor do those that started with it find that it has taken everything when its wait ends, though
 * their own waits would end later.
 */
static void whose_wait_ends_first_takes_no_more_than_its_share(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 40; seed++) {
		size_t n = 2 + seed % 4, addresses = seed % 3 ? 12 : 2;
		sim_use_family(seed % 2 ? 6 : 4);
		sim_init(&sim, seed, n + 1, addresses); /* the last one has no speaker */
		sim_start(&sim, 0);
		for (size_t i = 1; i < n; i++) {
			sim_run(&sim, (int64_t)sim_random(&sim, 1900 / (n - 1)));
			sim_start(&sim, i);
		}
		sim_run(&sim, SIM_LISTEN_MS + SIM_START_MS + 200);
		assert_spread(n);
		assert_int_equal(sim.worst_several_ms, 0);

		/* Who comes later takes nothing, waits for nothing, and gets of what is new. */
		sim_observe(&sim);
		sim_start(&sim, n);
		sim_run(&sim, 3000);
		assert_int_equal(sim_total_changes(&sim), 0);
		sim_fini(&sim);
	}
}

/* Where somebody has waited already, a start waits for nobody. */
static void a_start_beside_others_waits_for_nobody(void **state)
{
	(void)state;
	sim_init(&sim, 1, 3, 1); /* node 2 has no speaker */
	sim.nodes[0].wants[0].eligible = false;
	sim_start(&sim, 0);
	sim_run(&sim, SIM_LISTEN_MS + SIM_START_MS + 100);
	sim_start(&sim, 1);
	sim_run(&sim, SIM_LISTEN_MS + 2 * SIM_HEARTBEAT_MS + 200);
	assert_int_equal(sim_owner(&sim, 0), 1);
	sim_fini(&sim);
}

/* An interface that appears on a node that has been running is no start. */
static void a_segment_that_is_joined_later_is_no_start(void **state)
{
	(void)state;
	sim_init(&sim, 1, 2, 12); /* node 1 has no speaker */
	sim_start(&sim, 0);
	sim_run(&sim, SIM_LISTEN_MS + SIM_START_MS + 500);
	sim_kill(&sim, 0);
	sim_attach(&sim, 0);
	sim_run(&sim, SIM_LISTEN_MS + 2 * SIM_HEARTBEAT_MS + 4 * SIM_PROBE_MS);
	for (size_t a = 0; a < 12; a++)
		assert_int_equal(sim_owner(&sim, a), 0);
	sim_fini(&sim);
}

/* A node that would carry no traffic says so, and is neither given anything nor waited for. */
static void who_refuses_a_family_is_given_none_of_it(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		size_t n[SIM_NODES_MAX];
		sim_use_both_families();
		sim_init(&sim, seed, 3, 24);
		sim.nodes[0].view.refuses4 = true;
		for (size_t a = 0; a < 24; a += 2)
			sim.nodes[0].wants[a].eligible = false;
		for (size_t i = 0; i < 3; i++)
			sim_start(&sim, i);
		/* All at once: nobody waits a turn for node 0. */
		sim_run(&sim, SIM_LISTEN_MS + 2 * SIM_HEARTBEAT_MS + 2 * SIM_PROBE_MS);
		count_owned(n);
		for (size_t a = 0; a < 24; a += 2)
			assert_true(sim_owner(&sim, a) > 0);
		assert_in_range(n[0], 1, 5); /* of the 12 of IPv6 */
		sim_fini(&sim);
	}
}

static uint16_t only_first[] = { 0 };

/* nor does a Service wait that can be nowhere else. */
static void who_is_the_only_candidate_does_not_wait(void **state)
{
	(void)state;
	sim_init(&sim, 1, 2, 2);
	sim.nodes[0].wants[0].candidates = only_first;
	sim.nodes[0].wants[0].n_candidates = 1;
	sim_start(&sim, 0);
	sim_run(&sim, SIM_LISTEN_MS + 100);
	assert_int_equal(sim_owner(&sim, 0), 0);
	assert_int_equal(sim_owner(&sim, 1), -1);
	sim_fini(&sim);
}

/* What a Service gets later goes where it has something already. */
static void a_second_address_follows_the_first(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 10; seed++) {
		sim_init(&sim, seed, 3, 24);
		for (size_t i = 0; i < 3; i++) {
			for (size_t a = 1; a < 24; a += 2)
				sim.nodes[i].wants[a].identity = sim.nodes[i].wants[a - 1].identity;
			for (size_t a = 1; a < 24; a += 2)
				sim.nodes[i].wants[a].eligible = false;
			sim_start(&sim, i);
		}
		sim_run(&sim, 3000);
		sim_kill(&sim, 0);
		sim_run(&sim, 1000);
		sim_start(&sim, 0);
		sim_run(&sim, 5000);
		for (size_t i = 0; i < 3; i++) {
			for (size_t a = 1; a < 24; a += 2)
				sim.nodes[i].wants[a].eligible = true;
			sim_publish(&sim, i);
		}
		sim_run(&sim, 1000);
		for (size_t a = 1; a < 24; a += 2)
			assert_int_equal(sim_owner(&sim, a), sim_owner(&sim, a - 1));
		sim_fini(&sim);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_bound_is_kept),
		cmocka_unit_test(who_is_not_live_gets_nothing),
		cmocka_unit_test(candidates_that_differ_have_bounds_of_their_own),
		cmocka_unit_test(who_is_preferred_comes_first),
		cmocka_unit_test(what_is_claimed_as_foreseen_changes_nothing_else),
		cmocka_unit_test(who_claims_otherwise_counts),
		cmocka_unit_test(the_work_is_linear),
		cmocka_unit_test(an_installation_is_spread_and_so_are_the_addresses_of_the_dead),
		cmocka_unit_test(a_drain_makes_no_second_owner),
		cmocka_unit_test(who_has_no_news_gets_nothing_while_others_have),
		cmocka_unit_test(with_policy_local_the_bound_is_that_of_each_nodes_own_services),
		cmocka_unit_test(a_node_without_speaker_is_waited_for_two_seconds),
		cmocka_unit_test(whose_wait_ends_first_takes_no_more_than_its_share),
		cmocka_unit_test(a_start_beside_others_waits_for_nobody),
		cmocka_unit_test(a_segment_that_is_joined_later_is_no_start),
		cmocka_unit_test(who_refuses_a_family_is_given_none_of_it),
		cmocka_unit_test(who_is_the_only_candidate_does_not_wait),
		cmocka_unit_test(a_second_address_follows_the_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
