/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* What a segment sends, on a simulated one. */
#include "unit.h"

#include "../l2/sim.h"
#include "fairlead/mem.h"
#include "l2/neighbor.h"

static struct sim sim;

/* Frames of the first node that ask for the second one's own address. */
static size_t questions(bool *ret_probes)
{
	const struct addr own = sim_node_address(1);
	size_t n = 0;

	*ret_probes = false;
	for (size_t i = 0; i < sim.n_recorded; i++) {
		const struct sim_frame *f = &sim.recorded[i];
		const struct neighbor_ops *ops;
		struct neighbor_packet p;
		if (neighbor_decode(f->data, f->size, &ops, &p) < 0 || !p.asks ||
		    !addr_eq(&p.target, &own))
			continue;
		n++;
		*ret_probes |= !p.sender.family;
	}
	return n;
}

/*
 * A peer that restarts is asked, but no probe may be sent for what a machine may be about to use.
 */
static void a_peer_s_own_address_is_not_probed(void **state)
{
	(void)state;
	const struct segment_sources only_v4 = { .v4 = { .family = 4, .b = { 192, 168, 1, 11 } } };

	for (int without = 0; without < 2; without++) {
		bool probes;
		sim_use_family(6);
		sim_init(&sim, 1, 2, 6);
		sim.record_from = 0;
		for (size_t i = 0; i < 2; i++)
			sim_start(&sim, i);
		if (without)
			segment_set_sources(sim.nodes[0].segment, &only_v4);
		sim_run(&sim, 4000);
		sim_observe(&sim);
		sim_stop(&sim, 1, L2_STOP_RESTARTING);
		sim_run(&sim, SIM_HOLD_MS - 500);
		size_t n = questions(&probes);
		if (without ? n > 0 : n == 0 || probes)
			fail_msg("%s: %zu questions%s", without ? "without" : "with", n,
			         probes ? ", some of them probes" : "");
		/* Nor is its restart over because nobody answered what was not asked. */
		for (size_t a = 0; a < 6; a++)
			assert_int_equal(sim.changes[a], 0);
		sim_fini(&sim);
		sim_use_family(4);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_peer_s_own_address_is_not_probed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
