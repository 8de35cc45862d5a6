/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Segments with very many nodes or addresses: what heartbeats cost, how soon a dead node is
 * noticed, and that nobody is thought dead who is not.
 *
 * With very many seeds, as in the nightly run, there are 500 nodes and 10 000 addresses; else
 * fewer.
 */
#include "unit.h"

#include <stdlib.h>
#include <time.h>

#include "../l2/sim.h"
#include "fairlead/mem.h"
#include "l2/neighbor.h"

static struct sim sim;

static uint64_t seeds_asked_for(void)
{
	const char *env = getenv("FAIRLEAD_SEEDS");

	return env ? strtoull(env, NULL, 10) : 0;
}

static bool nightly(void)
{
	return seeds_asked_for() >= 1000;
}

static void started(uint64_t seed, size_t nodes, size_t addresses, int64_t ms)
{
	sim_init(&sim, seed, nodes, addresses);
	for (size_t i = 0; i < nodes; i++) {
		sim.nodes[i].drift_percent = (int)sim_random(&sim, 21) - 10;
		sim_start(&sim, i);
		if (i % 8 == 0)
			sim_run(&sim, 1);
	}
	sim_run(&sim, ms);
	for (size_t a = 0; a < addresses; a++)
		if (sim_owner(&sim, a) < 0)
			fail_msg("%zu nodes: nobody has address %zu", nodes, a);
	sim_observe(&sim);
}

static uint64_t total_bytes(void)
{
	uint64_t n = 0;

	for (size_t i = 0; i < sim.n_nodes; i++)
		n += sim.nodes[i].bytes_sent;
	return n;
}

static double processor_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* With preamble and gap, as a port counts. */
#define FRAME_OVERHEAD 24

static void heartbeats_of_many_are_bounded(void **state)
{
	(void)state;
	static const struct {
		size_t nodes;
		int64_t dead_ms;
		int settle_ms;
	} cases[] = { { 10, 350, 4000 }, { 100, 500, 5000 }, { 500, 2500, 12000 } };
	for (size_t i = 0; i < ARRAY_LEN(cases) - !nightly(); i++) {
		started(1, cases[i].nodes, 20, cases[i].settle_ms);
		uint64_t bytes = total_bytes(), frames = 0;
		for (size_t n = 0; n < sim.n_nodes; n++)
			frames -= sim.nodes[n].frames_sent;
		double began = processor_seconds();
		sim_run(&sim, 1000);
		double spent = processor_seconds() - began;
		for (size_t n = 0; n < sim.n_nodes; n++)
			frames += sim.nodes[n].frames_sent;
		double rate = (double)(total_bytes() - bytes + FRAME_OVERHEAD * frames) * 8;
		assert_int_equal(sim_total_changes(&sim), 0);
		assert_int_equal(sim.worst_none_ms, 0);
		assert_int_equal(sim.worst_several_ms, 0);
		int owner = sim_owner(&sim, 0);
		sim_kill(&sim, (size_t)owner);
		sim_run(&sim, 2 * cases[i].dead_ms + 1000);
		print_message(
			"%zu nodes: %.2f Mbit/s, %.0f messages a second, %.1f us each at a receiver with "
			"the simulation, a dead one replaced after %lld ms\n",
			sim.n_nodes, rate / 1e6, (double)frames,
			spent * 1e6 / (double)frames / (double)(sim.n_nodes - 1),
			(long long)sim.worst_none_ms);
		assert_true(rate < 2.2e6);
		assert_in_range(sim.worst_none_ms, 1,
		                cases[i].dead_ms * 11 / 10 + 4 * SIM_PROBE_MS);
		assert_int_equal(sim.worst_several_ms, 0);
		sim_fini(&sim);
	}
}

/* ---- very many addresses ---- */

static void all_addresses_of_a_dead_node_are_taken_over_within_a_second(void **state)
{
	(void)state;
	size_t addresses = nightly() ? 10000 : 1000;
	started(3, 3, addresses, 6000);
	sim_kill(&sim, 0);
	sim_run(&sim, SIM_DEAD_MS + 1000);
	print_message("%zu addresses: none for %lld ms\n", addresses, (long long)sim.worst_none_ms);
	assert_in_range(sim.worst_none_ms, 1, SIM_DEAD_MS * 11 / 10 + 900);
	assert_int_equal(sim.worst_several_ms, 0);
	for (size_t a = 0; a < addresses; a++)
		assert_in_range(sim_owner(&sim, a), 1, 2);
	sim_fini(&sim);
}

/* One node has all of them, dies, and the other one's reminders begin before it has taken all. */
static void what_is_taken_is_announced_at_once(void **state)
{
	(void)state;
	enum { ADDRESSES = 3200, LAG_MS = 40 };
	int64_t taken[ADDRESSES] = { 0 }, announced[ADDRESSES] = { 0 };
	const struct neighbor_ops *ops;
	struct neighbor_packet p;

	sim_init(&sim, 4, 2, ADDRESSES);
	sim_start(&sim, 0);
	sim_run(&sim, 4000);
	sim_start(&sim, 1);
	sim_run(&sim, 2000);
	sim_kill(&sim, 0);
	sim.record_from = 1;
	for (int64_t end = sim.now + SIM_DEAD_MS + 500; sim.now < end;) {
		sim_run(&sim, 1);
		for (size_t a = 0; a < ADDRESSES; a++)
			if (!taken[a] && sim_answers(&sim, 1, a))
				taken[a] = sim.now;
		while (sim.n_recorded > 0) {
			struct sim_frame f = sim.recorded[--sim.n_recorded];
			if (neighbor_decode(f.data, f.size, &ops, &p) == 0 && p.sender.family &&
			    addr_eq(&p.sender, &p.target)) {
				size_t at =
					(size_t)(p.sender.b[2] << 8 | p.sender.b[3]) -
					(size_t)(sim_address(0)->b[2] << 8 | sim_address(0)->b[3]);
				if (!announced[at])
					announced[at] = sim.now;
			}
			free(f.data);
		}
	}
	int64_t worst_ms = 0;
	for (size_t a = 0; a < ADDRESSES; a++) {
		assert_true(taken[a] && announced[a] >= taken[a]);
		if (announced[a] - taken[a] > worst_ms)
			worst_ms = announced[a] - taken[a];
	}
	print_message("%d addresses: announced %lld ms after they were taken at most\n",
	              (int)ADDRESSES, (long long)worst_ms);
	assert_true(worst_ms <= LAG_MS);
	sim_fini(&sim);
}

/* ---- any faults ---- */

static void sever(bool apart)
{
	uint64_t parts = 1 + sim_random(&sim, 3);

	for (size_t i = 0; i < sim.n_nodes; i++)
		for (size_t k = 0; k < sim.n_nodes; k++)
			sim.blocked[i][k] = apart && i % parts != k % parts;
}

static void random_fault(void)
{
	size_t node = (size_t)sim_random(&sim, sim.n_nodes);
	size_t to = (size_t)sim_random(&sim, sim.n_nodes);

	switch (sim_random(&sim, 6)) {
	case 0:
		sim_pause(&sim, node, (int64_t)sim_random(&sim, 2000));
		break;
	case 1:
		sever(true);
		break;
	case 2:
		sever(false);
		break;
	case 3:
		sim.blocked[node][to] = node != to;
		break;
	case 4:
		sim_link(&sim, node, !sim.nodes[node].link_up);
		break;
	case 5:
		sim_kill(&sim, node);
		sim_start(&sim, node);
		break;
	}
}

static void mend(void)
{
	sever(false);
	sim.loss_percent = 0;
	for (size_t i = 0; i < sim.n_nodes; i++) {
		sim_link(&sim, i, true);
		sim.nodes[i].paused_until_ms = 0;
	}
}

static struct {
	int64_t none_ms, several_ms;
} worst;

static void note_worst(void)
{
	if (sim.worst_none_ms > worst.none_ms)
		worst.none_ms = sim.worst_none_ms;
	if (sim.worst_several_ms > worst.several_ms)
		worst.several_ms = sim.worst_several_ms;
}

/* Smaller ones in most seeds, so that there are many seeds. */
static size_t nodes_of(uint64_t seed)
{
	if (nightly() && seed % 100 == 99)
		return 200;
	return seed % 8 == 7 ? 60 : 3 + seed % 8 * 4;
}

static uint64_t n_seeds(uint64_t usual)
{
	/* Each of these is worth many small ones. */
	return seeds_asked_for() ? 1 + seeds_asked_for() / 100 : usual;
}

/*
 * Where frames get lost, but everybody is there: heartbeats tell of two owners, as soon as one gets
 * through.
 */
static void losses_alone(void **state)
{
	(void)state;
	static const struct {
		int percent;
		int64_t none_ms, several_ms;
	} losses[] = { { 5, 0, 0 }, { 20, 500, 350 }, { 35, 1000, 700 }, { 50, 2000, 1400 } };
	for (size_t l = 0; l < ARRAY_LEN(losses); l++) {
		worst.none_ms = worst.several_ms = 0;
		for (uint64_t seed = 0; seed < n_seeds(4); seed++) {
			started(seed, nodes_of(seed), 24, 5000);
			sim.loss_percent = losses[l].percent;
			sim.reorder = seed % 2;
			sim_run(&sim, 4000);
			note_worst();
			sim_fini(&sim);
		}
		print_message("%d %% lost: none for %lld ms, several for %lld ms at most\n",
		              losses[l].percent, (long long)worst.none_ms,
		              (long long)worst.several_ms);
		assert_true(worst.none_ms <= losses[l].none_ms);
		assert_true(worst.several_ms <= losses[l].several_ms);
	}
}

static void all_is_well_after_any_faults(void **state)
{
	(void)state;
	worst.none_ms = worst.several_ms = 0;
	for (uint64_t seed = 0; seed < n_seeds(8); seed++) {
		sim_use_family(seed % 2 ? 6 : 4);
		started(seed, nodes_of(seed), 24, 5000);
		sim.loss_percent = (int)sim_random(&sim, 51);
		sim.reorder = sim_random(&sim, 2);
		for (int i = 0; i < 10; i++) {
			random_fault();
			sim_run(&sim, (int64_t)sim_random(&sim, 800));
		}
		mend();
		sim_observe(&sim);
		sim_run(&sim, 12000);
		note_worst();
		sim_observe(&sim);
		sim_run(&sim, 2000);
		if (sim.worst_none_ms || sim.worst_several_ms || sim_total_changes(&sim))
			fail_msg("seed %llu, %zu nodes: not quiet, none for %lld ms, several for "
			         "%lld ms, %zu changes",
			         (unsigned long long)seed, sim.n_nodes,
			         (long long)sim.worst_none_ms, (long long)sim.worst_several_ms,
			         sim_total_changes(&sim));
		sim_fini(&sim);
	}
	assert_true(worst.none_ms <= 3000 && worst.several_ms <= 500);
	print_message("after any faults: none for %lld ms, several for %lld ms at most\n",
	              (long long)worst.none_ms, (long long)worst.several_ms);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(heartbeats_of_many_are_bounded),
		cmocka_unit_test(all_addresses_of_a_dead_node_are_taken_over_within_a_second),
		cmocka_unit_test(what_is_taken_is_announced_at_once),
		cmocka_unit_test(losses_alone),
		cmocka_unit_test(all_is_well_after_any_faults),
	};

	return cmocka_run_group_tests_name("many", tests, NULL, NULL);
}
