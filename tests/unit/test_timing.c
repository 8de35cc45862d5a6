/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Nodes with different timings on one segment, and timings that change while addresses are owned: a
 * dead node is noticed as fast as it said it would be, and a change is no death.
 */
#include "unit.h"

#include "../l2/sim.h"
#include "fairlead/mem.h"

static struct sim sim;

/* As the configuration's names have them. */
static const struct l2_timing fast = { 20, 4, 15 }, normal = { 70, 5, 25 }, calm = { 250, 4, 100 };

static int64_t dead_ms(const struct l2_timing *t)
{
	return (int64_t)t->heartbeat_ms * t->multiplier;
}

static void set_timing(size_t node, const struct l2_timing *t)
{
	sim.nodes[node].view.timing = *t;
	if (sim.nodes[node].segment)
		sim_publish(&sim, node);
}

/*
 * Node 0 has the one, the others the other, and starts first if they differ: who listens longest
 * finds everything taken.
 */
static void settled(uint64_t seed, const struct l2_timing *first, const struct l2_timing *others)
{
	sim_init(&sim, seed, 3, 12);
	for (size_t i = 0; i < 3; i++) {
		set_timing(i, i ? others : first);
		sim_start(&sim, i);
		if (i == 0 && first != others)
			sim_run(&sim, 2000);
	}
	sim_run(&sim, 5000);
	for (size_t a = 0; a < sim.n_addresses; a++)
		assert_true(sim_owner(&sim, a) >= 0);
	sim_observe(&sim);
}

static void a_node_is_dead_when_it_said_so(void **state)
{
	(void)state;
	static const struct l2_timing *const all[] = { &fast, &normal, &calm };
	for (uint64_t seed = 0; seed < 90; seed++) {
		const struct l2_timing *first = all[seed % 3], *others = all[seed / 3 % 3];
		settled(seed, first, others);
		sim_run(&sim, (int64_t)sim_random(&sim, 300));
		assert_int_equal(sim_total_changes(&sim), 0);
		sim_observe(&sim);
		sim_kill(&sim, 0);
		sim_run(&sim, 3000);
		assert_in_range(sim.worst_none_ms, dead_ms(first) - first->heartbeat_ms,
		                dead_ms(first) + others->probe_ms + 20);
		assert_int_equal(sim.worst_several_ms, 0);
		sim_fini(&sim);
	}
}

/* Peers learn of it by heartbeats, of which some are lost. */
static void another_timing_is_no_death(void **state)
{
	(void)state;
	static const struct l2_timing *const all[] = { &fast, &normal, &calm };
	for (uint64_t seed = 0; seed < 60; seed++) {
		settled(seed, all[seed % 3], all[seed % 3]);
		sim.reorder = true;
		for (int i = 0; i < 12; i++) {
			sim.loss_percent = 2;
			set_timing((size_t)sim_random(&sim, 3), all[sim_random(&sim, 3)]);
			sim_run(&sim, (int64_t)sim_random(&sim, 200));
		}
		sim_run(&sim, 3000);
		if (sim_total_changes(&sim) || sim.worst_none_ms || sim.worst_several_ms)
			fail_msg("seed %d: %zu changes, none %d ms, several %d ms", (int)seed,
			         sim_total_changes(&sim), (int)sim.worst_none_ms,
			         (int)sim.worst_several_ms);
		sim_fini(&sim);
	}
}

/* Who was stopped for as long as it said that others would wait does not answer when it goes on. */
static void a_stall_is_judged_by_what_others_were_told(void **state)
{
	(void)state;
	static const struct l2_timing *const all[] = { &fast, &normal, &calm };
	for (uint64_t seed = 0; seed < 90; seed++) {
		const struct l2_timing *t = all[seed % 3], *then = all[seed / 3 % 3];
		settled(seed, t, t);
		/* It has just been told of another timing, which others may not have heard of. */
		sim.blocked[0][1] = sim.blocked[0][2] = true;
		set_timing(0, then);
		sim_pause(&sim, 0, 200 + (int64_t)sim_random(&sim, 1500));
		sim_run(&sim, 3);
		sim.blocked[0][1] = sim.blocked[0][2] = false;
		sim_run(&sim, 4000);
		assert_int_equal(sim.worst_several_ms, 0);
		sim_fini(&sim);
	}
}

/*
 * Who starts while the only owner stands still, which is given up no sooner than it said, listens
 * for as long: a question would not be answered.  Its timing comes once its link is up.
 */
static void who_starts_listens_as_long_as_a_stall_may_last(void **state)
{
	(void)state;
	static const struct l2_timing *const all[] = { &fast, &normal, &calm };
	for (uint64_t seed = 0; seed < 90; seed++) {
		sim_init(&sim, seed, 2, 12);
		set_timing(0, all[seed % 3]);
		set_timing(1, all[seed % 3]);
		sim_start(&sim, 0);
		sim_run(&sim, 5000);
		sim_observe(&sim);
		sim_pause(&sim, 0, (int64_t)sim_random(&sim, 1200));
		sim_run(&sim, (int64_t)sim_random(&sim, 100));
		sim_start(&sim, 1);
		sim_run(&sim, 4000);
		if (sim.worst_several_ms)
			fail_msg("seed %d: several %d ms", (int)seed, (int)sim.worst_several_ms);
		sim_fini(&sim);
	}
}

/*
 * A node that another hears only of, by a third, is no more dead because it says less often that it
 * is there.
 */
static void another_timing_is_no_death_to_who_knows_it_by_hearsay(void **state)
{
	(void)state;
	static const struct l2_timing *const all[] = { &fast, &normal, &calm };
	for (uint64_t seed = 0; seed < 90; seed++) {
		settled(seed, all[seed % 3], all[seed % 3]);
		sim.blocked[0][1] = sim.blocked[1][0] = true;
		sim_run(&sim, 1000);
		for (size_t i = 0; i < 3; i++) {
			set_timing(i, all[seed / 3 % 3]);
			sim_run(&sim, (int64_t)sim_random(&sim, 50));
		}
		sim_run(&sim, 5000);
		if (sim_total_changes(&sim) || sim.worst_none_ms || sim.worst_several_ms)
			fail_msg("seed %d: %zu changes, none %d ms, several %d ms", (int)seed,
			         sim_total_changes(&sim), (int)sim.worst_none_ms,
			         (int)sim.worst_several_ms);
		sim_kill(&sim, 0);
		sim_run(&sim, 5000);
		assert_int_equal(sim.worst_several_ms, 0);
		for (size_t a = 0; a < sim.n_addresses; a++)
			assert_true(sim_owner(&sim, a) >= 0);
		sim_fini(&sim);
	}
}

/*
 * A peer whose claim got lost answers, and says so again in its next heartbeat: until then it is
 * not its kernel that answers.
 */
static void a_peer_that_answers_gets_the_time_to_say_why(void **state)
{
	(void)state;
	static const struct l2_timing slow = { 1000, 3, 25 };
	for (uint64_t seed = 0; seed < 60; seed++) {
		const struct l2_timing *t = seed % 2 ? &slow : &normal;
		sim_init(&sim, seed, 2, 1);
		for (size_t i = 0; i < 2; i++) {
			sim.nodes[i].wants[0].eligible = false;
			set_timing(i, t);
			sim_start(&sim, i);
		}
		sim_run(&sim, 9000 + (int64_t)sim_random(&sim, 1000));
		sim.filtered[0][1] = true;
		sim.nodes[0].wants[0].eligible = true;
		sim_publish(&sim, 0);
		for (int ms = 0; ms < 400 && sim_owner(&sim, 0) < 0; ms++)
			sim_run(&sim, 1);
		sim_run(&sim, 2);
		sim.filtered[0][1] = false;
		sim.nodes[1].wants[0].eligible = true;
		sim_publish(&sim, 1);
		for (int ms = 0; ms < 3000; ms++) {
			sim_run(&sim, 1);
			if (sim_state(&sim, 1, 0).ownership == L2_KERNEL_ANSWERS)
				fail_msg("seed %d: after %d ms", (int)seed, ms);
		}
		assert_int_equal(sim_state(&sim, 1, 0).ownership, L2_OTHER);
		assert_int_equal(sim_owner(&sim, 0), 0);
		sim_fini(&sim);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_node_is_dead_when_it_said_so),
		cmocka_unit_test(another_timing_is_no_death),
		cmocka_unit_test(another_timing_is_no_death_to_who_knows_it_by_hearsay),
		cmocka_unit_test(a_stall_is_judged_by_what_others_were_told),
		cmocka_unit_test(who_starts_listens_as_long_as_a_stall_may_last),
		cmocka_unit_test(a_peer_that_answers_gets_the_time_to_say_why),
	};

	return cmocka_run_group_tests_name("timing", tests, NULL, NULL);
}
