/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Addresses whose owner falls silent again and again, lets go after a silence, or is taken for dead
 * though it is there: on a simulated segment.
 */
#include "unit.h"

#include "../l2/sim.h"
#include "fairlead/mem.h"

/* A node that finds an address answered for asks again after this at most, and then takes it. */
#define RETRY_MS 3500
/* How long an owner that goes waits for the next one. */
#define OFFER_MS 1000

static struct sim sim;

static void settled(uint64_t seed, size_t nodes, size_t addresses)
{
	for (size_t i = 0; i < nodes; i++) {
		sim_start(&sim, i);
		sim_run(&sim, (int64_t)sim_random(&sim, 100));
	}
	sim_run(&sim, 4000);
	for (size_t a = 0; a < addresses; a++)
		if (sim_owner(&sim, a) < 0)
			fail_msg("seed %llu: address %zu is not owned", (unsigned long long)seed,
			         a);
	sim_observe(&sim);
}

static void started(uint64_t seed, size_t nodes, size_t addresses)
{
	sim_use_family(seed % 2 ? 6 : 4);
	sim_init(&sim, seed, nodes, addresses);
	settled(seed, nodes, addresses);
}

/* Only ARP connects the last node with the others. */
static void started_with_a_deaf_node(uint64_t seed, size_t nodes, size_t addresses)
{
	sim_use_family(seed % 2 ? 6 : 4);
	sim_init(&sim, seed, nodes, addresses);
	for (size_t i = 0; i + 1 < nodes; i++)
		sim.filtered[i][nodes - 1] = sim.filtered[nodes - 1][i] = true;
	settled(seed, nodes, addresses);
}

static void may_own(size_t node, size_t address, bool may)
{
	sim.nodes[node].wants[address].eligible = may;
	sim_publish(&sim, node);
}

/*
 * One of the two nodes that hear each other owns the one address, and the other may not.  False
 * where the deaf node has it.
 */
static bool started_with_one_of_two(uint64_t seed, size_t *ret_owner, size_t *ret_next)
{
	started_with_a_deaf_node(seed, 3, 1);
	int owner = sim_owner(&sim, 0);
	if (owner == 2) {
		sim_fini(&sim);
		return false;
	}
	*ret_owner = (size_t)owner;
	*ret_next = (size_t)(1 - owner);
	may_own(*ret_next, 0, false);
	return true;
}

/*
 * A link that flaps faster than its node is given up, or comes to answer: peers hear heartbeats in
 * between, so its addresses have to be let go by itself.
 */
static void a_link_that_flaps_leaves_no_address_unanswered(void **state)
{
	(void)state;
	static const int64_t downs[] = { 10, 50, 100, 150, 300 };
	static const int64_t ups[] = { 30, 50, 150, 290, 400 };
	int64_t worst = 0;
	for (uint64_t seed = 0; seed < 50; seed++) {
		started(seed, 2 + seed % 3, 8);
		size_t node = (size_t)sim_random(&sim, sim.n_nodes);
		int64_t down = downs[seed % ARRAY_LEN(downs)];
		int64_t up = ups[seed / ARRAY_LEN(downs) % ARRAY_LEN(ups)];
		for (int i = 0; i < 40; i++) {
			sim_link(&sim, node, false);
			sim_run(&sim, down);
			sim_link(&sim, node, true);
			sim_run(&sim, up);
		}
		/* Three flaps, or the death, and what the next owner needs. */
		if (sim.worst_none_ms > 3 * (down + up) + SIM_DEAD_MS + 200 || sim.worst_several_ms)
			fail_msg("seed %llu: none for %lld ms, two owners for %lld ms",
			         (unsigned long long)seed, (long long)sim.worst_none_ms,
			         (long long)sim.worst_several_ms);
		if (sim.worst_none_ms > worst)
			worst = sim.worst_none_ms;
		sim_observe(&sim);
		sim_run(&sim, 1000);
		sim_observe(&sim);
		sim_run(&sim, 8000);
		assert_int_equal(sim.worst_none_ms, 0);
		assert_int_equal(sim.worst_several_ms, 0);
		sim_fini(&sim);
	}
	print_message("none answered for at most %lld ms\n", (long long)worst);
}

/* Two interruptions are no reason to let go: what a node owned stays its own. */
static void two_interruptions_move_nothing(void **state)
{
	(void)state;
	started(3, 3, 12);
	for (int i = 0; i < 4; i++) {
		sim_run(&sim, i & 1 ? 500 : 12000);
		sim_link(&sim, 0, false);
		sim_run(&sim, 100);
		sim_link(&sim, 0, true);
	}
	sim_run(&sim, 5000);
	for (size_t a = 0; a < 12; a++)
		assert_int_equal(sim.changes[a], 0);
	assert_int_equal(sim.worst_several_ms, 0);
	sim_fini(&sim);
}

/*
 * What peers recall is good for as long as they hold it: after that this node takes its turn like
 * others.
 */
static void what_was_recalled_long_ago_gives_no_precedence(void **state)
{
	(void)state;
	enum { ADDRESSES = 12 };
	size_t owned[2] = { 0, 0 };
	for (int late = 0; late < 2; late++) {
		sim_init(&sim, 1, 2, ADDRESSES);
		for (size_t a = 0; a < ADDRESSES; a++)
			sim.nodes[1].wants[a].eligible = false;
		settled(1, 2, ADDRESSES);
		sim_stop(&sim, 0, L2_STOP_RESTARTING);
		sim_run(&sim, 200);
		sim_start(&sim, 0);
		/* Listening, and reminded by the other, its link goes down. */
		sim_run(&sim, 2 * SIM_HEARTBEAT_MS);
		sim_link(&sim, 0, false);
		sim_run(&sim, late ? SIM_HOLD_MS + 500 : SIM_DEAD_MS / 2);
		sim_link(&sim, 0, true);
		/* Listening, and a question. */
		sim_run(&sim, SIM_LISTEN_MS + SIM_PROBE_MS + 60);
		for (size_t a = 0; a < ADDRESSES; a++)
			owned[late] += sim_owner(&sim, a) == 0;
		sim_run(&sim, SIM_START_MS + 500);
		for (size_t a = 0; a < ADDRESSES; a++)
			assert_int_equal(sim_owner(&sim, a), 0);
		sim_fini(&sim);
	}
	assert_int_equal(owned[0], ADDRESSES);
	/* Those that the other comes first for, if it could own them. */
	assert_in_range(owned[1], 1, ADDRESSES - 1);
}

/* Its holder let go a moment ago; since then somebody has taken it that nobody hears. */
static void what_was_let_go_and_taken_since_is_asked_for(void **state)
{
	(void)state;
	size_t taken = 0;
	for (uint64_t seed = 0; seed < 60; seed++) {
		size_t owner, next;
		if (!started_with_one_of_two(seed, &owner, &next))
			continue;
		sim_run(&sim, (int64_t)sim_random(&sim, RETRY_MS));
		may_own(owner, 0, false);
		/* The other one does not follow in time. */
		sim_run(&sim, OFFER_MS + 200 + (int64_t)sim_random(&sim, 1700));
		bool was_taken = sim_owner(&sim, 0) == 2;
		taken += was_taken;
		sim_observe(&sim);
		may_own(next, 0, true);
		sim_run(&sim, 3000);
		if (was_taken && sim.worst_several_ms)
			fail_msg("seed %llu: two owners for %lld ms", (unsigned long long)seed,
			         (long long)sim.worst_several_ms);
		sim_fini(&sim);
	}
	assert_true(taken >= 5);
}

/* A node lets go before it has asked whether what it kept through a silence is its own any more. */
static void what_is_let_go_after_a_silence_is_asked_for(void **state)
{
	(void)state;
	size_t taken = 0;
	for (uint64_t seed = 0; seed < 60; seed++) {
		size_t owner, next;
		if (!started_with_one_of_two(seed, &owner, &next))
			continue;
		sim_pause(&sim, owner, 5000);
		sim_run(&sim, 5000);
		taken += sim_owner(&sim, 0) == 2;
		sim_run(&sim, 20 + (int64_t)sim_random(&sim, 150));
		may_own(next, 0, true);
		may_own(owner, 0, false);
		sim_run(&sim, 3000);
		if (sim.worst_several_ms)
			fail_msg("seed %llu: two owners for %lld ms", (unsigned long long)seed,
			         (long long)sim.worst_several_ms);
		sim_fini(&sim);
	}
	assert_true(taken >= 10);
}

/*
 * The first answer of one that was given up is reason to ask for all that was its own more than
 * once.
 */
static void one_that_was_given_up_and_answers_is_asked_again(void **state)
{
	(void)state;
	size_t second = 0, all = 0;
	for (uint64_t seed = 0; seed < 20; seed++) {
		started(seed, 2, 60);
		for (size_t i = 0; i < 2; i++)
			sim.filtered[i][1 - i] = true;
		sim.loss_percent = 20;
		sim_run(&sim, SIM_DEAD_MS + 120);
		for (size_t a = 0; a < 60; a++)
			second += sim_answers(&sim, 0, a) && sim_answers(&sim, 1, a);
		all += 60;
		sim_fini(&sim);
	}
	print_message("%zu of %zu addresses have two owners\n", second, all);
	/*
	 * A question or its answer is lost once in three times: of three questions, once in twenty.
	 */
	assert_in_range(second, 0, all / 10);
}

/* A restart is none because of lost farewells, nor over because of lost answers. */
static void lost_frames_do_not_end_a_restart(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 300; seed++) {
		started(seed, 3, 8);
		bool own[8];
		for (size_t a = 0; a < 8; a++)
			own[a] = sim_owner(&sim, a) == 0;
		sim.loss_percent = 20;
		sim_stop(&sim, 0, L2_STOP_RESTARTING);
		sim_run(&sim, 2000);
		for (size_t a = 0; a < 8; a++)
			if (own[a] && sim.changes[a])
				fail_msg("seed %llu: address %zu was taken over",
				         (unsigned long long)seed, a);
		sim_fini(&sim);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_link_that_flaps_leaves_no_address_unanswered),
		cmocka_unit_test(two_interruptions_move_nothing),
		cmocka_unit_test(what_was_recalled_long_ago_gives_no_precedence),
		cmocka_unit_test(what_was_let_go_and_taken_since_is_asked_for),
		cmocka_unit_test(what_is_let_go_after_a_silence_is_asked_for),
		cmocka_unit_test(one_that_was_given_up_and_answers_is_asked_again),
		cmocka_unit_test(lost_frames_do_not_end_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
