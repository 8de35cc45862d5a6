/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Segments with very many nodes or addresses: what heartbeats cost, how soon a dead node is
 * noticed, and that nobody is thought dead who is not.
 *
 * With FAIRLEAD_SEEDS, as in the nightly run, there are up to 500 nodes; else the smaller ones.
 */
#include "unit.h"

#include <stdlib.h>
#include <time.h>

#include "../l2/sim.h"
#include "fairlead/mem.h"

static struct sim sim;

static bool nightly(void)
{
	return getenv("FAIRLEAD_SEEDS") != NULL;
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
	} cases[] = { { 10, 350, 4000 }, { 100, 500, 7000 }, { 500, 2500, 12000 } };
	for (size_t i = 0; i < ARRAY_LEN(cases) - !nightly(); i++) {
		started(1, cases[i].nodes, 20, cases[i].settle_ms);
		uint64_t bytes = total_bytes(), frames = 0;
		for (size_t n = 0; n < sim.n_nodes; n++)
			frames -= sim.nodes[n].frames_sent;
		double began = processor_seconds();
		sim_run(&sim, 2000);
		double spent = processor_seconds() - began;
		for (size_t n = 0; n < sim.n_nodes; n++)
			frames += sim.nodes[n].frames_sent;
		double rate = (double)(total_bytes() - bytes + FRAME_OVERHEAD * frames) * 8 / 2;
		assert_int_equal(sim_total_changes(&sim), 0);
		assert_int_equal(sim.worst_none_ms, 0);
		assert_int_equal(sim.worst_several_ms, 0);
		int owner = sim_owner(&sim, 0);
		sim_kill(&sim, (size_t)owner);
		sim_run(&sim, 2 * cases[i].dead_ms + 1000);
		print_message(
			"%zu nodes: %.2f Mbit/s, %.0f messages a second, %.1f us each at a receiver with "
			"the simulation, a dead one replaced after %lld ms\n",
			sim.n_nodes, rate / 1e6, (double)frames / 2,
			spent * 1e6 / (double)frames / (double)(sim.n_nodes - 1),
			(long long)sim.worst_none_ms);
		assert_true(rate < 2.2e6);
		assert_in_range(sim.worst_none_ms, 1,
		                cases[i].dead_ms * 11 / 10 + 4 * SIM_PROBE_MS);
		assert_int_equal(sim.worst_several_ms, 0);
		sim_fini(&sim);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(heartbeats_of_many_are_bounded),
	};

	return cmocka_run_group_tests_name("many", tests, NULL, NULL);
}
