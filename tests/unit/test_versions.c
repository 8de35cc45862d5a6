/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Speakers of both versions of the messages on one segment, as in a rolling upgrade: they know each
 * other's claims, and that there are two versions makes no second owner.
 */
#include "unit.h"

#include <stdlib.h>

#include "../l2/sim.h"
#include "fairlead/hash.h"
#include "fairlead/mem.h"

#define TAKEOVER_MS (SIM_DEAD_MS + SIM_PROBE_MS + 20)
/* How long version 1 is spoken after it was heard last. */
#define V1_MS 600000

static struct sim sim;

/* One of version 1 serves no IPv6. */
static bool serves(const struct sim_node *n, size_t a)
{
	return !n->v1 || sim_address(a)->family == 4;
}

static void start(size_t node, bool v1)
{
	struct sim_node *n = &sim.nodes[node];

	n->v1 = v1;
	for (size_t a = 0; a < sim.n_addresses; a++)
		n->wants[a].eligible = serves(n, a);
	sim_start(&sim, node);
}

/* Node i has version 1 if bit i is set. */
static void settled(uint64_t seed, size_t n, unsigned int v1)
{
	sim_init(&sim, seed, n, 12);
	for (size_t i = 0; i < n; i++) {
		start(i, v1 & 1u << i);
	}
	sim_run(&sim, 3000);
	sim_observe(&sim);
}

/* Every node that runs knows who owns what. */
static void assert_agreed(uint64_t seed)
{
	for (size_t a = 0; a < sim.n_addresses; a++)
		for (size_t i = 0; i < sim.n_nodes; i++) {
			if (!sim.nodes[i].segment || !serves(&sim.nodes[i], a))
				continue;
			int owner = sim_owner(&sim, a);
			struct l2_state state = sim_state(&sim, i, a);
			if (owner < 0 || strcmp(state.owner, sim.nodes[owner].name) != 0)
				fail_msg("seed %d: address %zu of %d, to node %zu of \"%s\"",
				         (int)seed, a, owner, i, state.owner);
		}
}

static void replace(size_t node, bool v1, int64_t away_ms)
{
	sim_stop(&sim, node, L2_STOP_RESTARTING);
	sim_run(&sim, away_ms);
	start(node, v1);
}

/* Up, one after the other, and down again. */
static void a_rolling_upgrade_moves_nothing(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 40; seed++) {
		settled(seed, 2 + seed % 4, ~0u);
		assert_agreed(seed);
		for (size_t step = 0; step < 2 * sim.n_nodes; step++) {
			int64_t away = (int64_t)sim_random(&sim, 1500);
			sim_observe(&sim);
			replace(step % sim.n_nodes, step >= sim.n_nodes, away);
			sim_run(&sim, 1000);
			if (sim_total_changes(&sim) || sim.worst_several_ms ||
			    sim.worst_none_ms > away + SIM_LISTEN_MS + SIM_PROBE_MS + 150)
				fail_msg(
					"seed %d, step %zu: %zu changes, several %d ms, none %d ms",
					(int)seed, step, sim_total_changes(&sim),
					(int)sim.worst_several_ms, (int)sim.worst_none_ms);
			assert_agreed(seed);
		}
		sim_fini(&sim);
	}
}

/* Whichever of the two an owner has, nodes of the other take over as fast. */
static void a_death_is_noticed_across_versions(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 40; seed++) {
		settled(seed, 3, seed % 2 ? 1 : 6);
		sim_run(&sim, (int64_t)sim_random(&sim, 100));
		sim_observe(&sim);
		sim_kill(&sim, 0);
		sim_run(&sim, 1500);
		assert_in_range(sim.worst_none_ms, SIM_DEAD_MS - 100, TAKEOVER_MS);
		assert_int_equal(sim.worst_several_ms, 0);
		assert_agreed(seed);
		sim_start(&sim, 0);
		sim_observe(&sim);
		sim_run(&sim, 3000);
		assert_int_equal(sim_total_changes(&sim), 0);
		assert_int_equal(sim.worst_none_ms, 0);
		assert_agreed(seed);
		sim_fini(&sim);
	}
}

static uint64_t score_of(size_t a, size_t node)
{
	const struct addr *addr = sim_address(a);

	return hash64(addr->b, addr_size(addr->family), hash64_str(sim.nodes[node].name, 0));
}

/* Who follows goes by the order of version 1 while one may be there, whichever version it has. */
static void all_have_the_order_of_version_1(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 30; seed++) {
		int before[12];
		settled(seed, 3, 1 + seed % 7);
		for (size_t a = 0; a < sim.n_addresses; a++)
			before[a] = sim_owner(&sim, a);
		sim_kill(&sim, 0);
		sim_run(&sim, 2000);
		for (size_t a = 0; a < sim.n_addresses; a++) {
			int next = score_of(a, 1) > score_of(a, 2) ? 1 : 2;
			assert_int_equal(sim_owner(&sim, a), before[a] ? before[a] : next);
		}
		sim_fini(&sim);
	}
}

/* Nodes are replaced by others of either version, killed, and lose messages. */
static void live(uint64_t seed)
{
	sim.reorder = true;
	sim.loss_percent = (int)(seed % 3) * 5;
	for (int i = 0; i < 10; i++) {
		size_t node = (size_t)sim_random(&sim, sim.n_nodes);
		if (!sim.nodes[node].segment)
			start(node, sim_random(&sim, 2));
		else if (sim_random(&sim, 2))
			sim_kill(&sim, node);
		else
			sim_stop(&sim, node, (enum l2_stop)sim_random(&sim, 2));
		sim_run(&sim, (int64_t)sim_random(&sim, 1000));
	}
	if (sim.worst_several_ms > (sim.loss_percent ? 2 * WIRE_V1_HEARTBEAT_MS : 10))
		fail_msg("seed %d: %d ms", (int)seed, (int)sim.worst_several_ms);
	sim.loss_percent = 0;
}

static void whatever_has_which_version_there_are_never_two(void **state)
{
	(void)state;
	const char *env = getenv("FAIRLEAD_SEEDS");
	uint64_t seeds = env ? strtoull(env, NULL, 10) : 200;
	int64_t worst = 0;
	for (uint64_t seed = 0; seed < seeds; seed++) {
		settled(seed, 3 + seed % 3, (unsigned int)seed);
		live(seed);
		if (sim.worst_several_ms > worst)
			worst = sim.worst_several_ms;
		for (size_t i = 0; i < sim.n_nodes; i++)
			if (!sim.nodes[i].segment)
				sim_start(&sim, i);
		sim_run(&sim, SIM_HOLD_MS + 3000);
		assert_agreed(seed);
		sim_fini(&sim);
	}
	print_message("%llu scenarios: two owners for at most %lld ms\n", (unsigned long long)seeds,
	              (long long)worst);
}

static uint64_t frames_of_v1(void)
{
	uint64_t n = 0;

	for (size_t i = 0; i < sim.n_nodes; i++)
		n += sim.nodes[i].v1 ? sim.nodes[i].frames_sent : 0;
	return n;
}

/* What speakers of version 1 are told is what is claimed of IPv4, whatever else is. */
static void claims_of_both_families_are_told_in_both_versions(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 100; seed++) {
		sim_use_both_families();
		settled(seed, 3 + seed % 3, (unsigned int)(seed & ~1u));
		assert_agreed(seed);
		/* Nobody goes on asking for what it believes to be missing. */
		sim_run(&sim, 4000);
		uint64_t before = frames_of_v1(), n_v1 = 0;
		sim_run(&sim, 2000);
		for (size_t i = 0; i < sim.n_nodes; i++)
			n_v1 += sim.nodes[i].v1;
		assert_in_range(frames_of_v1() - before, 0, n_v1 * (2000 / SIM_HEARTBEAT_MS + 10));
		live(seed);
		for (size_t i = 0; i < sim.n_nodes; i++)
			if (!sim.nodes[i].segment)
				start(i, i % 2);
		sim_run(&sim, SIM_HOLD_MS + 3000);
		/* One of version 2 has to be there for IPv6. */
		if (sim.nodes[0].v1)
			replace(0, false, 100);
		sim_run(&sim, 3000);
		assert_agreed(seed);
		sim_fini(&sim);
	}
}

static uint64_t frames_in(int64_t ms)
{
	uint64_t before = sim.nodes[0].frames_sent;

	sim_run(&sim, ms);
	return sim.nodes[0].frames_sent - before;
}

/* To all; false if it is none of version 1. */
static bool replay_in_v1(const struct sim_frame *f)
{
	bool is_v1 = sim_port(f->data) == WIRE_PORT_V1;

	if (is_v1)
		sim_make_original(f->data);
	for (size_t i = 0; is_v1 && i < sim.n_nodes; i++)
		sim_inject(&sim, i, f->data, f->size);
	return is_v1;
}

/* Version 1 is spoken only where it may be understood. */
static void nothing_is_said_twice_without_need(void **state)
{
	(void)state;
	const uint64_t once = 10000 / SIM_HEARTBEAT_MS;

	settled(1, 3, 0);
	assert_in_range(frames_in(10000), once / 2, once + 25);
	sim_fini(&sim);
	settled(1, 3, 4);
	assert_in_range(frames_in(10000), 2 * once - once / 2, 2 * once + 25);
	sim_kill(&sim, 2);
	sim_run(&sim, V1_MS - 10000);
	assert_in_range(frames_in(5000), once - once / 4, 2 * once);
	sim_run(&sim, 10000);
	assert_in_range(frames_in(10000), once / 2, once + 25);
	/* It comes back after a long time, and is heard and understood. */
	sim_start(&sim, 2);
	sim_observe(&sim);
	sim_run(&sim, 2000);
	assert_int_equal(sim_total_changes(&sim), 0);
	assert_int_equal(sim.worst_several_ms, 0);
	assert_agreed(1);
	sim_fini(&sim);
}

/*
 * What a node said in version 1 while it listened, replayed as if it had said nothing else: nobody
 * becomes less patient with himself.
 */
static void replays_in_version_1_move_nothing(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		sim_init(&sim, seed, 3, 12);
		for (size_t i = 0; i < 3; i++) {
			sim.nodes[i].view.timing = (struct l2_timing){ 250, 4, 100 };
			sim.record_from = (int)i;
			sim_start(&sim, i);
			sim_run(&sim, 2000);
		}
		sim.record_from = -1;
		sim_observe(&sim);
		size_t n = 0;
		for (int i = 0; i < 8; i++) {
			for (size_t r = 0; r < sim.n_recorded; r++)
				n += replay_in_v1(&sim.recorded[r]);
			sim_run(&sim, 200);
			sim_pause(&sim, 0, 400 + (int64_t)sim_random(&sim, 200));
			sim_run(&sim, 1000);
		}
		assert_true(n > 0);
		sim_run(&sim, 3000);
		if (sim_total_changes(&sim) || sim.worst_several_ms)
			fail_msg("seed %d: %zu changes, several %d ms", (int)seed,
			         sim_total_changes(&sim), (int)sim.worst_several_ms);
		sim_fini(&sim);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rolling_upgrade_moves_nothing),
		cmocka_unit_test(a_death_is_noticed_across_versions),
		cmocka_unit_test(all_have_the_order_of_version_1),
		cmocka_unit_test(whatever_has_which_version_there_are_never_two),
		cmocka_unit_test(claims_of_both_families_are_told_in_both_versions),
		cmocka_unit_test(nothing_is_said_twice_without_need),
		cmocka_unit_test(replays_in_version_1_move_nothing),
	};

	return cmocka_run_group_tests_name("versions", tests, NULL, NULL);
}
