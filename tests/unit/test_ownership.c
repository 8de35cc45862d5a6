/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Ownership of addresses among several nodes, on a simulated segment: first one fault at a time,
 * then a few of them at random, seed after seed.
 */
#include "unit.h"

#include <stdlib.h>

#include "../l2/sim.h"
#include "fairlead/mem.h"
#include "l2/arp.h"

/*
 * Link cut or kill to the next owner's first answer: unheard for dead_ms, one probe, and what the
 * wire delays.
 */
#define TAKEOVER_MS (SIM_DEAD_MS + SIM_PROBE_MS + 20)
/* Start to the first answer: listening, one probe. */
#define FIRST_MS (SIM_LISTEN_MS + SIM_PROBE_MS + 30)

static struct sim sim;

/* @n nodes up, every address owned, and all quiet. */
static void settled(uint64_t seed, size_t n, size_t addresses)
{
	sim_init(&sim, seed, n, addresses);
	for (size_t i = 0; i < n; i++)
		sim_start(&sim, i);
	sim_run(&sim, 3000);
	/* Heartbeats out of step, so that deaths are noticed one after the other. */
	for (size_t i = 0; i < n; i++)
		sim_pause(&sim, i, (int64_t)sim_random(&sim, SIM_HEARTBEAT_MS));
	sim_run(&sim, 1000);
	for (size_t a = 0; a < addresses; a++)
		assert_true(sim_owner(&sim, a) >= 0);
	sim_observe(&sim);
}

/* Every node agrees with what is. */
static void assert_agreed(void)
{
	for (size_t a = 0; a < sim.n_addresses; a++)
		for (size_t i = 0; i < sim.n_nodes; i++) {
			if (!sim.nodes[i].segment)
				continue;
			int owner = sim_owner(&sim, a);
			struct l2_state state = sim_state(&sim, i, a);
			assert_true(owner >= 0);
			assert_int_equal(state.ownership, owner == (int)i ? L2_OWNER : L2_OTHER);
			assert_string_equal(state.owner, sim.nodes[owner].name);
			assert_memory_equal(state.mac, sim.nodes[owner].mac, 6);
		}
}

static void nodes_that_start_together_share_the_addresses(void **state)
{
	(void)state;
	sim_init(&sim, 1, 3, 30);
	for (size_t i = 0; i < 3; i++)
		sim_start(&sim, i);
	sim_run(&sim, 3000);
	assert_in_range(sim.worst_none_ms, 0, FIRST_MS);
	assert_int_equal(sim.worst_several_ms, 0);
	assert_agreed();
	for (int i = 0; i < 3; i++)
		sim_owned(&sim, i);

	/* And then nothing happens any more. */
	sim_observe(&sim);
	sim_run(&sim, 5000);
	uint64_t gratuitous = sim.nodes[0].gratuitous_sent, probes = sim_total_probes(&sim);
	sim_run(&sim, 20000);
	assert_int_equal(sim_total_changes(&sim), 0);
	assert_int_equal(sim.worst_none_ms, 0);
	assert_int_equal(sim.nodes[0].gratuitous_sent, gratuitous);
	assert_int_equal(sim_total_probes(&sim), probes);
	sim_fini(&sim);
}

/*
 * What nobody holds goes to the candidate of the greatest preference; who holds something keeps it
 * when one comes that is preferred.
 */
static void preferred_nodes_come_first(void **state)
{
	(void)state;
	static const uint32_t preferences[] = { 0, 10, 0, 20 };
	static const struct {
		size_t killed; /* after it owner owns all */
		int owner;
	} steps[] = { { 3, 1 }, { 1, -1 } };

	for (uint64_t seed = 0; seed < 20; seed++) {
		sim_use_family(seed % 2 ? 6 : 4);
		sim_init(&sim, seed, 4, 30);
		for (size_t i = 0; i < 4; i++) {
			for (size_t a = 0; a < 30; a++) {
				sim.nodes[i].wants[a].preferences = preferences;
				sim.nodes[i].wants[a].preference = preferences[i];
			}
			sim_start(&sim, i);
		}
		sim_run(&sim, 3000);
		for (size_t a = 0; a < 30; a++)
			assert_int_equal(sim_owner(&sim, a), 3);
		for (size_t k = 0; k < ARRAY_LEN(steps); k++) {
			sim_kill(&sim, steps[k].killed);
			sim_run(&sim, 3000);
			for (size_t a = 0; a < 30; a++)
				if (steps[k].owner >= 0)
					assert_int_equal(sim_owner(&sim, a), steps[k].owner);
		}
		/* Neither of the two that are left is preferred, and each has some. */
		sim_owned(&sim, 0);
		sim_owned(&sim, 2);
		sim_start(&sim, 3);
		sim_run(&sim, 3000);
		for (size_t a = 0; a < 30; a++)
			assert_int_not_equal(sim_owner(&sim, a), 3);
		sim_fini(&sim);
	}
}

/*
 * Of one Service two addresses each, as of both families: they have one owner, also after it died.
 */
static void addresses_of_one_service_stay_together(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		sim_use_family(seed % 2 ? 6 : 4);
		sim_init(&sim, seed, 4, 30);
		for (size_t i = 0; i < 4; i++) {
			for (size_t a = 1; a < 30; a += 2)
				sim.nodes[i].wants[a].identity = sim.nodes[i].wants[a - 1].identity;
			sim_start(&sim, i);
		}
		for (size_t dead = 0; dead < 3; dead++) {
			sim_run(&sim, 3000);
			for (size_t a = 1; a < 30; a += 2) {
				assert_true(sim_owner(&sim, a) >= (int)dead);
				assert_int_equal(sim_owner(&sim, a), sim_owner(&sim, a - 1));
			}
			sim_kill(&sim, dead);
		}
		sim_fini(&sim);
	}
}

/*
 * Snapshots of 200 addresses arrive whatever the interfaces take, so each address is asked for
 * once.
 */
static void messages_fit_small_and_different_mtus(void **state)
{
	(void)state;
	static const size_t mtus[][3] = {
		{ 1500, 1500, 1500 }, { 1280, 1280, 1280 }, { 1000, 1000, 1000 }, { 576, 576, 576 },
		{ 300, 300, 300 },    { 9000, 1500, 1000 }, { 1500, 1500, 576 },
	};
	for (size_t i = 0; i < ARRAY_LEN(mtus); i++) {
		sim_init(&sim, i, 3, 200);
		for (size_t n = 0; n < 3; n++) {
			sim.nodes[n].mtu = mtus[i][n];
			sim_start(&sim, n);
		}
		sim_run(&sim, 3000);
		assert_agreed();
		uint64_t probes = sim_total_probes(&sim);
		/* Who starts now has to learn of all of them. */
		sim_kill(&sim, 2);
		sim_run(&sim, 2000);
		sim_start(&sim, 2);
		sim_observe(&sim);
		sim_run(&sim, 3000);
		assert_agreed();
		assert_int_equal(sim_total_changes(&sim), 0);
		assert_int_equal(sim.worst_none_ms, 0);
		assert_int_equal(sim.worst_several_ms, 0);
		assert_true(sim_total_probes(&sim) - probes < 200);
		for (size_t n = 0; n < 3; n++)
			assert_int_equal(sim_stats(&sim, n).send_failures, 0);
		sim_fini(&sim);
	}
}

/*
 * A switch that carries less than the interfaces promise: heartbeats pass, and what does not is
 * said again in smaller messages.  A minute later large ones have their chance again, and peers
 * that were apart still learn of each other's claims.
 */
static void claims_arrive_where_the_wire_carries_less(void **state)
{
	(void)state;
	int64_t worst = 0;
	for (uint64_t seed = 0; seed < 24; seed++) {
		sim_use_family(seed % 3 ? 6 : 4);
		sim_init(&sim, seed, 2 + seed % 3, 60);
		sim.mtu = seed & 1 ? 576 : 1280;
		sim.loss_percent = seed & 2 ? 20 : 0;
		for (size_t i = 0; i < sim.n_nodes; i++)
			sim_start(&sim, i);
		sim_run(&sim, 5000);
		for (size_t i = 0; i < sim.n_nodes; i++)
			sim.blocked[0][i] = sim.blocked[i][0] = i > 0;
		sim_run(&sim, 65000);
		memset(sim.blocked, 0, sizeof(sim.blocked));
		sim_observe(&sim);
		sim_run(&sim, 5000);
		if (sim.worst_several_ms > worst)
			worst = sim.worst_several_ms;
		assert_in_range(sim.worst_several_ms, 1, 2000);
		assert_agreed();
		sim_fini(&sim);
	}
	print_message("two owners have parted after %lld ms at most\n", (long long)worst);
}

static void an_mtu_that_changes_is_followed(void **state)
{
	(void)state;
	settled(7, 3, 200);
	sim_mtu(&sim, 1, 576);
	sim_run(&sim, 500);
	uint64_t failed = sim_stats(&sim, 1).send_failures;
	assert_int_equal(failed, 0);
	sim_kill(&sim, 0);
	sim_run(&sim, 3000);
	assert_agreed();
	for (size_t n = 1; n < 3; n++)
		assert_int_equal(sim_stats(&sim, n).send_failures, 0);

	/*
	 * Too small for anything: counted, and what was to be told is told when there is room
	 * again.
	 */
	sim_mtu(&sim, 1, 68);
	sim_run(&sim, 3000);
	assert_true(sim_stats(&sim, 1).send_failures > 10);
	sim_mtu(&sim, 1, 1500);
	sim_run(&sim, 5000);
	assert_agreed();
	failed = sim_stats(&sim, 1).send_failures;
	sim_run(&sim, 3000);
	assert_int_equal(sim_stats(&sim, 1).send_failures, failed);
	sim_fini(&sim);
}

static void an_unchanged_view_sends_nothing(void **state)
{
	(void)state;
	settled(2, 3, 10);
	sim_run(&sim, 10000);
	uint64_t sent = sim.nodes[0].frames_sent;
	for (int i = 0; i < 50; i++)
		sim_publish(&sim, 0);
	assert_int_equal(sim.nodes[0].frames_sent, sent);
	sim_fini(&sim);
}

static void a_killed_owner_is_replaced_and_takes_nothing_back(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 50; seed++) {
		settled(seed, 3, 12);
		size_t a = sim_owned(&sim, 0), others = sim_owned(&sim, 1);
		uint64_t probes = sim_total_probes(&sim) - sim.nodes[0].probes_sent;
		sim_run(&sim, (int64_t)sim_random(&sim, 100));
		sim_observe(&sim);
		sim_kill(&sim, 0);
		sim_run(&sim, 1500);
		assert_in_range(sim.worst_none_ms, SIM_DEAD_MS - SIM_HEARTBEAT_MS, TAKEOVER_MS);
		assert_int_equal(sim.worst_several_ms, 0);
		assert_int_equal(sim.changes[others], 0);
		int heir = sim_owner(&sim, a);
		assert_in_range(heir, 1, 2);
		assert_true(sim_total_probes(&sim) - sim.nodes[0].probes_sent > probes);

		sim_start(&sim, 0);
		sim_observe(&sim);
		sim_run(&sim, 8000);
		assert_int_equal(sim_total_changes(&sim), 0);
		assert_int_equal(sim.worst_none_ms, 0);
		assert_agreed();
		sim_fini(&sim);
	}
}

static void a_restart_within_the_hold_keeps_ownership(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 50; seed++) {
		settled(seed, 3, 60);
		sim.loss_percent = (int)(seed % 3) * 5;
		int64_t away = 100 + (int64_t)sim_random(&sim, 3000);
		sim_stop(&sim, 0, L2_STOP_RESTARTING);
		sim_run(&sim, away);
		assert_int_equal(sim_total_changes(&sim), 0);
		sim_start(&sim, 0);
		sim_run(&sim, 8000);
		assert_int_equal(sim_total_changes(&sim), 0);
		assert_in_range(sim.worst_none_ms, away, away + FIRST_MS + (seed % 3 ? 1000 : 0));
		assert_int_equal(sim.worst_several_ms, 0);
		sim_fini(&sim);
	}
}

static void a_longer_absence_is_a_death(void **state)
{
	(void)state;
	settled(3, 3, 12);
	size_t a = sim_owned(&sim, 0);
	sim_stop(&sim, 0, L2_STOP_RESTARTING);
	sim_run(&sim, SIM_HOLD_MS - 100);
	assert_int_equal(sim_total_changes(&sim), 0);
	sim_run(&sim, 500);
	int heir = sim_owner(&sim, a);
	assert_in_range(heir, 1, 2);
	/* What it held before is not its own any more. */
	sim_start(&sim, 0);
	sim_run(&sim, 5000);
	assert_int_equal(sim_owner(&sim, a), heir);
	sim_fini(&sim);
}

static void yielding_needs_no_probe_and_no_time(void **state)
{
	(void)state;
	settled(4, 3, 12);
	uint64_t probes = sim_total_probes(&sim);
	sim_stop(&sim, 0, L2_STOP_YIELD);
	sim_run(&sim, 1000);
	assert_in_range(sim.worst_none_ms, 0, 10);
	assert_int_equal(sim.worst_several_ms, 0);
	assert_int_equal(sim_total_probes(&sim), probes);
	sim_fini(&sim);
}

static void who_is_no_longer_eligible_lets_go(void **state)
{
	(void)state;
	settled(5, 3, 12);
	size_t a = sim_owned(&sim, 0);
	uint64_t probes = sim_total_probes(&sim);
	sim.nodes[0].wants[a].eligible = false;
	sim_publish(&sim, 0);
	sim_run(&sim, 1000);
	assert_in_range(sim.worst_none_ms, 0, 10);
	assert_int_equal(sim_total_changes(&sim), 1);
	assert_int_equal(sim_total_probes(&sim), probes);
	assert_int_equal(sim_state(&sim, 0, a).ownership, L2_OTHER);

	/* Eligible again, it is no owner again. */
	sim.nodes[0].wants[a].eligible = true;
	sim_publish(&sim, 0);
	sim_run(&sim, 3000);
	assert_int_equal(sim_total_changes(&sim), 1);
	sim_fini(&sim);
}

static void views_that_differ_leave_nothing_unowned(void **state)
{
	(void)state;
	/* Each node thinks that only the two others are candidates. */
	sim_init(&sim, 6, 3, 20);
	static const uint16_t others[3][2] = { { 1, 2 }, { 0, 2 }, { 0, 1 } };
	for (size_t i = 0; i < 3; i++) {
		for (size_t a = 0; a < 20; a++) {
			sim.nodes[i].wants[a].candidates = others[i];
			sim.nodes[i].wants[a].n_candidates = 2;
		}
		sim_start(&sim, i);
	}
	sim_run(&sim, 4000);
	assert_in_range(sim.worst_none_ms, 0, FIRST_MS + SIM_START_MS + 2 * 150 + 50);
	assert_agreed();
	sim_fini(&sim);
}

static void a_cut_link_moves_the_addresses_once(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 30; seed++) {
		settled(seed, 3, 12);
		size_t mine = 0;
		for (size_t a = 0; a < 12; a++)
			mine += sim_owner(&sim, a) == 0;
		sim_link(&sim, 0, false);
		assert_int_not_equal(sim_state(&sim, 0, sim_owned(&sim, 1)).ownership, L2_OWNER);
		sim_run(&sim, 3000);
		assert_in_range(sim.worst_none_ms, 1, TAKEOVER_MS);
		sim_link(&sim, 0, true);
		sim_run(&sim, 8000);
		assert_int_equal(sim_total_changes(&sim), mine);
		assert_in_range(sim.worst_none_ms, 1, TAKEOVER_MS);
		assert_int_equal(sim.worst_several_ms, 0);
		assert_agreed();
		sim_fini(&sim);
	}
}

static void a_short_flap_moves_nothing(void **state)
{
	(void)state;
	settled(7, 3, 12);
	sim_link(&sim, 0, false);
	sim_run(&sim, 100);
	sim_link(&sim, 0, true);
	uint64_t gratuitous = sim.nodes[0].gratuitous_sent;
	sim_run(&sim, 3000);
	assert_int_equal(sim_total_changes(&sim), 0);
	assert_int_equal(sim.worst_several_ms, 0);
	assert_true(sim.nodes[0].gratuitous_sent > gratuitous); /* caches are told after a flap */
	sim_fini(&sim);
}

static void who_was_stopped_does_not_answer_when_continued(void **state)
{
	(void)state;
	for (size_t nodes = 2; nodes <= 3; nodes++) {
		settled(8, nodes, 12);
		sim_pause(&sim, 0, 5000);
		sim_run(&sim, 4000);
		for (size_t a = 0; a < 12; a++)
			assert_true(sim_owner(&sim, a) > 0);
		size_t moved = sim_total_changes(&sim);
		sim_run(&sim, 8000);
		assert_int_equal(sim_total_changes(&sim), moved);
		assert_int_equal(sim.worst_several_ms, 0);
		assert_agreed();
		sim_fini(&sim);
	}
}

static void partition(size_t node, bool blocked)
{
	for (size_t i = 0; i < sim.n_nodes; i++)
		if (i != node)
			sim.blocked[node][i] = sim.blocked[i][node] = blocked;
}

static void the_larger_part_prevails_when_a_segment_heals(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 30; seed++) {
		settled(seed, 3, 12);
		int before[12];
		partition(0, true);
		sim_run(&sim, 5000);
		for (size_t a = 0; a < 12; a++)
			before[a] = sim_answers(&sim, 1, a) ? 1 : 2;
		partition(0, false);
		sim_observe(&sim);
		sim_run(&sim, 5000);
		assert_in_range(sim.worst_several_ms, 0, 3 * SIM_HEARTBEAT_MS);
		assert_int_equal(sim.worst_none_ms, 0);
		for (size_t a = 0; a < 12; a++)
			assert_int_equal(sim_owner(&sim, a), before[a]);
		assert_agreed();
		sim_fini(&sim);
	}
}

static void two_nodes_get_back_what_was_theirs_when_a_segment_heals(void **state)
{
	(void)state;
	settled(9, 2, 12);
	int before[12];
	for (size_t a = 0; a < 12; a++)
		before[a] = sim_owner(&sim, a);
	partition(0, true);
	sim_run(&sim, 5000);
	partition(0, false);
	sim_observe(&sim);
	sim_run(&sim, 5000);
	assert_in_range(sim.worst_several_ms, 0, 3 * SIM_HEARTBEAT_MS);
	for (size_t a = 0; a < 12; a++)
		assert_int_equal(sim_owner(&sim, a), before[a]);
	sim_fini(&sim);
}

static void one_blocked_direction_makes_no_second_owner(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 30; seed++) {
		/* With a third node, which hears both, nothing moves at all. */
		settled(seed, 3, 12);
		sim.blocked[0][1] = true;
		sim_run(&sim, 5000);
		assert_int_equal(sim_total_changes(&sim), 0);
		assert_int_equal(sim.worst_several_ms, 0);
		assert_int_equal(sim.worst_none_ms, 0);
		sim.blocked[0][1] = false;
		sim_run(&sim, 3000);
		assert_int_equal(sim_total_changes(&sim), 0);
		sim_fini(&sim);

		/* With two, who is heard but does not hear ends up with everything. */
		settled(seed, 2, 12);
		sim.blocked[0][1] = true;
		sim_run(&sim, 5000);
		assert_in_range(sim.worst_several_ms, 0, 2 * SIM_HEARTBEAT_MS);
		for (size_t a = 0; a < 12; a++)
			assert_int_equal(sim_owner(&sim, a), 1);
		sim_fini(&sim);
	}
}

static void a_wrong_key_is_stopped_by_probes(void **state)
{
	(void)state;
	sim_init(&sim, 10, 3, 12);
	wire_key_free(sim.nodes[2].key);
	sim.nodes[2].key = wire_key_new((const uint8_t *)"another", 7);
	for (size_t i = 0; i < 3; i++)
		sim_start(&sim, i);
	sim_run(&sim, 10000);
	assert_int_equal(sim.worst_several_ms, 0);
	assert_in_range(sim.worst_none_ms, 0, FIRST_MS + SIM_START_MS + 2 * 150 + 50);
	assert_true(sim_stats(&sim, 2).heartbeats_refused > 100);
	assert_int_equal(sim_stats(&sim, 2).heartbeats_received, 0);
	for (size_t a = 0; a < 12; a++)
		if (sim_owner(&sim, a) != 2)
			assert_int_equal(sim_state(&sim, 2, a).ownership, L2_CONFLICT);
	sim_fini(&sim);
}

/*
 * Many probes at once would fill the receive buffer of the only one who can say that he has the
 * addresses.
 */
static void many_addresses_are_asked_for_a_few_at_a_time(void **state)
{
	(void)state;
	sim_init(&sim, 32, 2, 1500);
	sim.buffer_frames = 128;
	sim_start(&sim, 0);
	sim_run(&sim, 1000 + SIM_START_MS);
	for (size_t a = 0; a < sim.n_addresses; a++)
		assert_int_equal(sim_owner(&sim, a), 0);
	wire_key_free(sim.nodes[1].key);
	sim.nodes[1].key = wire_key_new((const uint8_t *)"another", 7);
	sim_start(&sim, 1);
	sim_run(&sim, 3000);
	assert_int_equal(sim.worst_several_ms, 0);
	for (size_t a = 0; a < sim.n_addresses; a++)
		assert_int_equal(sim_owner(&sim, a), 0);
	sim_kill(&sim, 1);

	/* And yet none waits long. */
	wire_key_free(sim.nodes[1].key);
	sim.nodes[1].key = wire_key_new((const uint8_t *)"the key", 7);
	sim_start(&sim, 1);
	sim_run(&sim, 3000);
	sim_observe(&sim);
	sim_kill(&sim, 0);
	sim_run(&sim, 1000);
	assert_in_range(sim.worst_none_ms, SIM_DEAD_MS - SIM_HEARTBEAT_MS, TAKEOVER_MS + 200);
	for (size_t a = 0; a < sim.n_addresses; a++)
		assert_int_equal(sim_owner(&sim, a), 1);
	sim_fini(&sim);
}

static void no_key_leaves_probes_only(void **state)
{
	(void)state;
	sim_init(&sim, 11, 3, 12);
	for (size_t i = 0; i < 3; i++) {
		wire_key_free(sim.nodes[i].key);
		sim.nodes[i].key = wire_key_new(NULL, 0);
		sim_start(&sim, i);
	}
	sim_run(&sim, 5000);
	assert_int_equal(sim.worst_several_ms, 0);
	assert_int_equal(sim_stats(&sim, 0).heartbeats_sent, 0);
	for (size_t a = 0; a < 12; a++)
		assert_true(sim_owner(&sim, a) >= 0);
	sim_fini(&sim);
}

/*
 * Without a key nobody hears the others' claims, and all want the same at nearly the same time:
 * probes alone decide.
 */
static void who_ask_together_do_not_both_take_it(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 300; seed++) {
		sim_use_family(seed % 2 ? 6 : 4);
		sim_init(&sim, seed, 2 + seed % 3, 12);
		sim.reorder = seed & 1;
		for (size_t i = 0; i < sim.n_nodes; i++) {
			wire_key_free(sim.nodes[i].key);
			sim.nodes[i].key = wire_key_new(NULL, 0);
		}
		size_t last = sim_random(&sim, sim.n_nodes);
		for (size_t i = 0; i < sim.n_nodes; i++) {
			sim_start(&sim, (last + i) % sim.n_nodes);
			sim_run(&sim, (int64_t)sim_random(&sim, 5));
		}
		sim_run(&sim, 3000);
		assert_int_equal(sim.worst_several_ms, 0);
		for (size_t a = 0; a < 12; a++)
			assert_true(sim_owner(&sim, a) >= 0);
		sim_fini(&sim);
	}
}

static void inject_probe(size_t to, const uint8_t *mac, const struct addr *target)
{
	struct arp_packet probe = arp_probe(mac, target);
	uint8_t frame[ARP_FRAME_SIZE];

	arp_encode(&probe, frame);
	sim_inject(&sim, to, frame, sizeof(frame));
}

static void run_until(size_t node, enum l2_ownership ownership, int64_t ms)
{
	for (int64_t end = sim.now + ms; sim_state(&sim, node, 0).ownership != ownership;) {
		assert_true(sim.now < end);
		sim_run(&sim, 1);
	}
}

static void start_without_key(size_t node, int probe_ms)
{
	sim_key(&sim, node, "");
	sim.nodes[node].opts.timing.probe_ms = probe_ms;
	sim_start(&sim, node);
}

/*
 * A node that waits for an owner to be gone hears another ask for the same, long before its own
 * turn: that has held it up in nothing, and so it still gives way when both ask at one moment.
 */
static void who_waits_for_an_owner_keeps_its_patience(void **state)
{
	(void)state;
	static const uint8_t lower[] = { 0, 0, 0, 0, 0, 9 };
	sim_init(&sim, 31, 2, 1);
	start_without_key(0, SIM_PROBE_MS);
	sim_run(&sim, 5000);
	start_without_key(1, SIM_PROBE_MS);
	sim_run(&sim, 10000); /* and so it asks again only after some seconds */
	run_until(1, L2_PROBING, 5000);
	run_until(1, L2_CONFLICT, 100);
	inject_probe(1, lower, sim_address(0));
	sim_kill(&sim, 0);
	sim_run(&sim, 1500);
	run_until(1, L2_PROBING, 5000);
	inject_probe(1, lower, sim_address(0));
	sim_run(&sim, 3);
	assert_int_equal(sim_state(&sim, 1, 0).ownership, L2_WAITING);
	/* Who asked does not take it. */
	sim_run(&sim, 500);
	assert_int_equal(sim_owner(&sim, 0), 1);
	sim_fini(&sim);
}

/* @n nodes without a key; the owner of an address is stopped for some seconds, and goes on. */
static void follow_a_stopped_owner(uint64_t seed, size_t n, int probe_ms)
{
	sim_use_family(seed % 2 ? 6 : 4);
	sim_init(&sim, seed, n, 12);
	sim.reorder = seed & 1;
	for (size_t i = 0; i < n; i++) {
		start_without_key(i, probe_ms);
		sim_run(&sim, (int64_t)sim_random(&sim, 3));
	}
	sim_run(&sim, 18000 + (int64_t)sim_random(&sim, 4000));
	int owner = sim_owner(&sim, 0);
	assert_true(owner >= 0);
	sim_pause(&sim, (size_t)owner, 6000);
	sim_run(&sim, 12000);
	assert_int_equal(sim.worst_several_ms, 0);
	for (size_t a = 0; a < 12; a++)
		assert_true(sim_owner(&sim, a) >= 0);
	sim_fini(&sim);
}

/* Those that the owner has answered for long ask in step with each other. */
static void who_wait_for_the_same_owner_do_not_both_follow_it(void **state)
{
	(void)state;
	for (uint64_t seed = 150; seed < 250; seed++)
		follow_a_stopped_owner(seed, 5, SIM_PROBE_MS);
	/* Where the asking takes long, patience does, too. */
	for (uint64_t seed = 0; seed < 100; seed++)
		follow_a_stopped_owner(seed, 5, 10 * SIM_PROBE_MS);
}

/* Whoever asks for an address over and over never takes it: giving way to him must end. */
static void who_only_asks_takes_nothing(void **state)
{
	(void)state;
	for (int gap = 1; gap <= 100; gap *= 10) {
		sim_init(&sim, 31, 3, 3);
		for (size_t i = 0; i < 3; i++)
			sim_start(&sim, i);
		static const uint8_t mac[] = { 0, 0, 0, 0, 0, 9 };
		for (int64_t begin = sim.now; sim.now < begin + 3000; sim_run(&sim, gap))
			for (size_t i = 0; i < 3; i++)
				inject_probe(i, mac, sim_address(1));
		assert_int_equal(sim.worst_several_ms, 0);
		assert_agreed();
		sim_fini(&sim);
	}
}

static void replays_change_nothing(void **state)
{
	(void)state;
	/*
	 * All that a node ever said, said again when it is gone, to those who knew it and to one
	 * who did not.
	 */
	sim_init(&sim, 12, 4, 12);
	sim.record_from = 0;
	for (size_t i = 0; i < 3; i++)
		sim_start(&sim, i);
	sim_run(&sim, 3000);
	sim.record_from = -1;
	sim_kill(&sim, 0);
	sim_run(&sim, 2000);
	sim_start(&sim, 3);
	sim_run(&sim, 3000);
	sim_observe(&sim);
	uint64_t refused = sim_stats(&sim, 1).heartbeats_refused;
	size_t n_messages = 0;
	for (size_t i = 0; i < sim.n_recorded; i++) {
		struct arp_packet arp;
		const struct sim_frame *f = &sim.recorded[i];
		if (arp_decode(f->data, f->size, &arp) == 0)
			continue; /* what ARP claims is nobody's secret, and judged elsewhere */
		/* Of what is there in both versions, one says nothing. */
		struct wire_msg msg;
		n_messages += wire_decode(sim.nodes[1].key, f->data, f->size, &msg) == 0;
		for (size_t to = 1; to < 4; to++)
			sim_inject(&sim, to, f->data, f->size);
		sim_run(&sim, 20);
	}
	assert_true(n_messages > 30);
	assert_int_equal(sim_total_changes(&sim), 0);
	assert_int_equal(sim.worst_none_ms, 0);
	assert_true(sim_stats(&sim, 1).heartbeats_refused >= refused + n_messages);

	/* The real one is believed at once, nevertheless. */
	sim_start(&sim, 0);
	sim_run(&sim, 1000);
	assert_agreed();
	sim_fini(&sim);
}

static void a_stranger_keeps_its_address(void **state)
{
	(void)state;
	sim_init(&sim, 13, 3, 3);
	sim.stranger_address = *sim_address(1);
	memcpy(sim.stranger_mac, "\x06strng", 6);
	for (size_t i = 0; i < 3; i++)
		sim_start(&sim, i);
	sim_run(&sim, 10000);
	assert_int_equal(sim_owner(&sim, 1), -1);
	size_t n = 0;
	for (size_t i = 0; i < 3; i++) {
		struct l2_state s = sim_state(&sim, i, 1);
		assert_int_equal(sim.nodes[i].gratuitous_sent % 2, 0);
		if (s.ownership == L2_CONFLICT || s.ownership == L2_PROBING) {
			assert_memory_equal(
				s.mac, s.ownership == L2_CONFLICT ? "\x06strng" : "\0\0\0\0\0\0",
				6);
			n++;
		}
	}
	assert_true(n > 0);
	/* It goes: the address is free in a while. */
	sim.stranger_address = (struct addr){ 0 };
	sim_run(&sim, 8000);
	assert_true(sim_owner(&sim, 1) >= 0);
	sim_fini(&sim);
}

/* As kube-proxy in IPVS mode has it do: @node's answers for the address, whoever owns it. */
static void kernel_answers(size_t node, size_t address)
{
	sim.stranger_address = *sim_address(address);
	memcpy(sim.stranger_mac, sim.nodes[node].mac, 6);
}

static void an_address_that_a_peers_kernel_answers_for_is_not_claimed(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 10; seed++) {
		sim_init(&sim, seed, 3, 3);
		kernel_answers(1, 1);
		sim.nodes[1].wants[1].eligible = false;
		for (size_t i = 0; i < 3; i++)
			sim_start(&sim, i);
		sim_run(&sim, 10000);
		assert_int_equal(sim_owner(&sim, 1), -1);
		assert_true(sim_owner(&sim, 0) >= 0);
		size_t n = 0;
		for (size_t i = 0; i < 3; i += 2) {
			struct l2_state s = sim_state(&sim, i, 1);
			assert_int_equal(sim_stats(&sim, i).conflicts, 0);
			if (s.ownership != L2_KERNEL_ANSWERS)
				continue;
			assert_true(s.peer_kernel);
			assert_memory_equal(s.mac, sim.nodes[1].mac, 6);
			n++;
		}
		assert_true(n > 0);
		sim.stranger_address = (struct addr){ 0 };
		sim_run(&sim, 10000);
		assert_true(sim_owner(&sim, 1) >= 0);
		assert_false(sim_state(&sim, (size_t)sim_owner(&sim, 1), 1).peer_kernel);
		sim_fini(&sim);
	}
}

static void an_owner_tells_of_a_peers_kernel_that_answers_too(void **state)
{
	(void)state;
	settled(5, 3, 3);
	int owner = sim_owner(&sim, 1);
	size_t other = (size_t)(owner + 1) % 3;
	uint64_t probes = sim.nodes[owner].probes_sent;
	kernel_answers(other, 1);
	sim_run(&sim, 130000);
	assert_int_equal(sim_owner(&sim, 1), owner);
	assert_int_equal(sim_total_changes(&sim), 0);
	struct l2_state s = sim_state(&sim, (size_t)owner, 1);
	assert_true(s.peer_kernel);
	assert_memory_equal(s.rival, sim.nodes[other].mac, 6);
	assert_int_equal(sim_stats(&sim, (size_t)owner).two_owners, 0);
	assert_in_range(sim.nodes[owner].probes_sent - probes, 2, 15);
	sim.stranger_address = (struct addr){ 0 };
	sim_run(&sim, 240000);
	assert_false(sim_state(&sim, (size_t)owner, 1).peer_kernel);
	sim_fini(&sim);
}

static void a_former_owner_that_still_answers_keeps_the_address(void **state)
{
	(void)state;
	/* Its messages are lost from now on, ARP is not: a filtered group, say. */
	settled(14, 2, 6);
	size_t a = sim_owned(&sim, 0);
	sim_kill(&sim, 0);
	sim.stranger_address = *sim_address(a);
	memcpy(sim.stranger_mac, sim.nodes[0].mac, 6);
	sim_run(&sim, 3000);
	assert_int_equal(sim_owner(&sim, a), -1);
	enum l2_ownership o = sim_state(&sim, 1, a).ownership;
	assert_true(o == L2_STILL_ANSWERED || o == L2_PROBING);
	sim.stranger_address = (struct addr){ 0 };
	sim_run(&sim, 4000);
	assert_int_equal(sim_owner(&sim, a), 1);
	sim_fini(&sim);
}

static void the_newer_service_wins(void **state)
{
	(void)state;
	settled(15, 3, 12);
	size_t a = sim_owned(&sim, 0);
	/* The address went to another Service; the owner does not know. */
	for (size_t i = 1; i < 3; i++) {
		sim.nodes[i].wants[a].identity.since_us = 2000;
		sim.nodes[i].wants[a].identity.id[0] = 77;
		sim_publish(&sim, i);
	}
	sim_run(&sim, 1000);
	assert_in_range(sim_owner(&sim, a), 1, 2);
	assert_in_range(sim.worst_several_ms, 0, 10);
	/* And it does not come back with the old one. */
	sim_run(&sim, 3000);
	assert_int_equal(sim.changes[a], 1);
	sim_fini(&sim);
}

static void an_owner_without_news_yields_to_one_with(void **state)
{
	(void)state;
	settled(16, 3, 12);
	size_t a = sim_owned(&sim, 0), other = sim_owned(&sim, 1);
	sim_run(&sim, 15000);
	sim.nodes[0].view.view_fresh = false;
	sim_publish(&sim, 0);
	sim_run(&sim, 4000);
	assert_int_equal(sim_total_changes(&sim), 0);
	sim_run(&sim, 3000);
	assert_in_range(sim_owner(&sim, a), 1, 2);
	assert_int_equal(sim.changes[other], 0);
	assert_in_range(sim.worst_several_ms, 0, 10);

	/*
	 * A server that is gone for everybody is missed by one node sooner than by another: nothing
	 * moves.
	 */
	sim.nodes[0].view.view_fresh = true;
	sim_publish(&sim, 0);
	sim_run(&sim, 1000);
	sim.server_away = true;
	sim_run(&sim, 3000);
	sim.nodes[1].view.view_fresh = false;
	sim_publish(&sim, 1);
	sim_observe(&sim);
	sim_run(&sim, 20000);
	assert_int_equal(sim_total_changes(&sim), 0);

	/* Without anybody fresher everything stays, though the server answers: watches are dead. */
	for (size_t i = 0; i < 3; i++) {
		sim.nodes[i].answered_ms = INT64_MAX;
		sim.nodes[i].view.view_fresh = false;
		sim_publish(&sim, i);
	}
	sim_observe(&sim);
	sim_run(&sim, 60000);
	assert_int_equal(sim_total_changes(&sim), 0);

	/* It is back, which the others see ten seconds after the first. */
	sim.server_away = false;
	for (size_t i = 0; i < 3; i++)
		sim.nodes[i].answered_ms = 0;
	sim.nodes[2].view.view_fresh = true;
	sim_publish(&sim, 2);
	sim_run(&sim, 10000);
	for (size_t i = 0; i < 2; i++) {
		sim.nodes[i].view.view_fresh = true;
		sim_publish(&sim, i);
	}
	sim_run(&sim, 60000);
	assert_int_equal(sim_total_changes(&sim), 0);
	sim_fini(&sim);
}

static void thousands_of_addresses_are_told_in_parts(void **state)
{
	(void)state;
	settled(17, 2, 2000);
	sim.loss_percent = 10;
	sim_kill(&sim, 1);
	sim_run(&sim, 1000);
	sim_start(&sim, 1);
	sim_run(&sim, 10000);
	assert_int_equal(sim.worst_several_ms, 0);
	for (size_t a = 0; a < 2000; a++)
		assert_int_equal(sim_owner(&sim, a), 0);
	sim.loss_percent = 0;
	sim_run(&sim, 1000);
	assert_agreed();
	sim_fini(&sim);
}

/* ---- chance ---- */

static void random_fault(void)
{
	size_t node = (size_t)sim_random(&sim, sim.n_nodes), to;
	bool running = sim.nodes[node].segment;

	switch (sim_random(&sim, 8)) {
	case 0:
		if (running)
			sim_kill(&sim, node);
		break;
	case 1:
		if (running)
			sim_stop(&sim, node, L2_STOP_RESTARTING);
		break;
	case 2:
		if (running)
			sim_stop(&sim, node, L2_STOP_YIELD);
		break;
	case 3:
		if (!running)
			sim_start(&sim, node);
		break;
	case 4:
		sim_link(&sim, node, !sim.nodes[node].link_up);
		break;
	case 5:
		sim_pause(&sim, node, (int64_t)sim_random(&sim, 2000));
		break;
	case 6:
		partition(node, sim_random(&sim, 2));
		break;
	case 7:
		to = (size_t)sim_random(&sim, sim.n_nodes);
		sim.blocked[node][to] = node != to && sim_random(&sim, 2);
		break;
	}
}

static void heal(void)
{
	sim.loss_percent = 0;
	memset(sim.blocked, 0, sizeof(sim.blocked));
	for (size_t i = 0; i < sim.n_nodes; i++) {
		sim_link(&sim, i, true);
		sim.nodes[i].paused_until_ms = 0;
		if (!sim.nodes[i].segment)
			sim_start(&sim, i);
	}
}

/*
 * Whatever happened: when it is over, everything is owned once, everybody knows, and nothing moves
 * any more.
 */
static void after_any_faults_all_is_well_again(void **state)
{
	(void)state;
	const char *env = getenv("FAIRLEAD_SEEDS");
	uint64_t n = env ? strtoull(env, NULL, 10) : 500;
	int64_t worst_none = 0, worst_several = 0;
	for (uint64_t seed = 0; seed < n; seed++) {
		sim_use_family(seed % 2 ? 6 : 4);
		sim_init(&sim, seed, 2 + seed % 4, 4);
		for (size_t i = 0; i < sim.n_nodes; i++)
			sim_start(&sim, i);
		sim.loss_percent = (int)(sim_random(&sim, 3) * 5);
		sim.reorder = true;
		for (uint64_t faults = 3 + sim_random(&sim, 6); faults > 0; faults--) {
			sim_run(&sim, (int64_t)sim_random(&sim, 1500));
			random_fault();
		}
		heal();
		sim_observe(&sim);
		sim_run(&sim, 8000);
		if (sim.worst_several_ms > 500 || sim.worst_none_ms > SIM_HOLD_MS + 1000)
			fail_msg("seed %llu: several %lld ms, none %lld ms",
			         (unsigned long long)seed, (long long)sim.worst_several_ms,
			         (long long)sim.worst_none_ms);
		if (sim.worst_none_ms > worst_none)
			worst_none = sim.worst_none_ms;
		if (sim.worst_several_ms > worst_several)
			worst_several = sim.worst_several_ms;
		assert_agreed();
		sim_observe(&sim);
		sim_run(&sim, 2000);
		if (sim_total_changes(&sim) || sim.worst_none_ms || sim.worst_several_ms)
			fail_msg("seed %llu: not quiet", (unsigned long long)seed);
		sim_fini(&sim);
	}
	print_message(
		"%llu scenarios: after healing, at worst %lld ms unowned, %lld ms two owners\n",
		(unsigned long long)n, (long long)worst_none, (long long)worst_several);
}

/*
 * Faults that leave the segment whole: never two owners; if messages are lost, no longer than until
 * the next ones.
 */
static void on_a_whole_segment_there_are_never_two(void **state)
{
	(void)state;
	int64_t worst = 0;
	for (uint64_t seed = 0; seed < 500; seed++) {
		settled(seed, 3 + seed % 3, 4);
		sim.reorder = true;
		sim.loss_percent = (int)(seed % 3) * 5;
		for (int i = 0; i < 10; i++) {
			size_t node = (size_t)sim_random(&sim, sim.n_nodes);
			if (!sim.nodes[node].segment)
				sim_start(&sim, node);
			else if (sim_random(&sim, 2))
				sim_kill(&sim, node);
			else
				sim_stop(&sim, node, (enum l2_stop)sim_random(&sim, 2));
			sim_run(&sim, (int64_t)sim_random(&sim, 1000));
		}
		if (sim.worst_several_ms > (sim.loss_percent ? 2 * SIM_HEARTBEAT_MS : 10))
			fail_msg("seed %llu: %lld ms", (unsigned long long)seed,
			         (long long)sim.worst_several_ms);
		if (sim.worst_several_ms > worst)
			worst = sim.worst_several_ms;
		sim_fini(&sim);
	}
	print_message("two owners for at most %lld ms\n", (long long)worst);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_that_start_together_share_the_addresses),
		cmocka_unit_test(addresses_of_one_service_stay_together),
		cmocka_unit_test(preferred_nodes_come_first),
		cmocka_unit_test(messages_fit_small_and_different_mtus),
		cmocka_unit_test(claims_arrive_where_the_wire_carries_less),
		cmocka_unit_test(an_mtu_that_changes_is_followed),
		cmocka_unit_test(an_unchanged_view_sends_nothing),
		cmocka_unit_test(a_killed_owner_is_replaced_and_takes_nothing_back),
		cmocka_unit_test(a_restart_within_the_hold_keeps_ownership),
		cmocka_unit_test(a_longer_absence_is_a_death),
		cmocka_unit_test(yielding_needs_no_probe_and_no_time),
		cmocka_unit_test(who_is_no_longer_eligible_lets_go),
		cmocka_unit_test(views_that_differ_leave_nothing_unowned),
		cmocka_unit_test(a_cut_link_moves_the_addresses_once),
		cmocka_unit_test(a_short_flap_moves_nothing),
		cmocka_unit_test(who_was_stopped_does_not_answer_when_continued),
		cmocka_unit_test(the_larger_part_prevails_when_a_segment_heals),
		cmocka_unit_test(two_nodes_get_back_what_was_theirs_when_a_segment_heals),
		cmocka_unit_test(one_blocked_direction_makes_no_second_owner),
		cmocka_unit_test(a_wrong_key_is_stopped_by_probes),
		cmocka_unit_test(many_addresses_are_asked_for_a_few_at_a_time),
		cmocka_unit_test(no_key_leaves_probes_only),
		cmocka_unit_test(who_ask_together_do_not_both_take_it),
		cmocka_unit_test(who_waits_for_an_owner_keeps_its_patience),
		cmocka_unit_test(who_wait_for_the_same_owner_do_not_both_follow_it),
		cmocka_unit_test(who_only_asks_takes_nothing),
		cmocka_unit_test(replays_change_nothing),
		cmocka_unit_test(a_stranger_keeps_its_address),
		cmocka_unit_test(an_address_that_a_peers_kernel_answers_for_is_not_claimed),
		cmocka_unit_test(an_owner_tells_of_a_peers_kernel_that_answers_too),
		cmocka_unit_test(a_former_owner_that_still_answers_keeps_the_address),
		cmocka_unit_test(the_newer_service_wins),
		cmocka_unit_test(an_owner_without_news_yields_to_one_with),
		cmocka_unit_test(thousands_of_addresses_are_told_in_parts),
		cmocka_unit_test(on_a_whole_segment_there_are_never_two),
		cmocka_unit_test(after_any_faults_all_is_well_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
