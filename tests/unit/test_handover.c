/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Make before break: an owner that is to go answers until the next one does, and a node whose
 * speaker restarts is answered for meanwhile.
 */
#include "unit.h"

#include <stdlib.h>

#include "../l2/sim.h"
#include "fairlead/mem.h"
#include "l2/arp.h"
#include "l2/neighbor.h"

/* What a message is under way, and one turn. */
#define MOMENT_MS 4
/* How long an owner waits for the next one; and how long each candidate waits for those before. */
#define OFFER_MS 1000
#define RANK_STEP_MS 150

static struct sim sim;

static void settled(uint64_t seed, size_t n, size_t addresses)
{
	sim_init(&sim, seed, n, addresses);
	for (size_t i = 0; i < n; i++)
		sim_start(&sim, i);
	sim_run(&sim, 5000);
	for (size_t a = 0; a < addresses; a++)
		assert_true(sim_owner(&sim, a) >= 0);
	sim_observe(&sim);
}

static void set_eligible(size_t node, bool eligible)
{
	for (size_t a = 0; a < sim.n_addresses; a++)
		sim.nodes[node].wants[a].eligible = eligible;
	sim_publish(&sim, node);
}

/* As every view has it: the node is no candidate, and knows. */
static void drain(size_t node)
{
	static uint16_t rest[SIM_NODES_MAX];
	size_t n = 0;

	for (size_t i = 0; i < sim.n_nodes; i++)
		if (i != node)
			rest[n++] = (uint16_t)i;
	for (size_t i = 0; i < sim.n_nodes; i++) {
		for (size_t a = 0; a < sim.n_addresses; a++) {
			sim.nodes[i].wants[a].candidates = rest;
			sim.nodes[i].wants[a].n_candidates = n;
			sim.nodes[i].wants[a].eligible = i != node;
		}
		if (!sim.nodes[i].segment)
			continue;
		/* News reach them one after the other, in any order. */
		sim_publish(&sim, i);
		sim_run(&sim, (int64_t)sim_random(&sim, 20));
	}
}

/* ---- an owner that goes ---- */

static void a_drained_node_answers_until_the_next_one_does(void **state)
{
	(void)state;
	int64_t several = 0;
	for (uint64_t seed = 0; seed < 60; seed++) {
		sim_use_family(seed % 2 ? 6 : 4);
		settled(seed, 2 + seed % 4, 40);
		sim.reorder = seed & 4;
		uint64_t probes = sim_total_probes(&sim);
		drain(0);
		sim_run(&sim, 3000);
		if (sim.worst_none_ms || sim.worst_several_ms > MOMENT_MS)
			fail_msg("seed %llu: none %lld ms, several %lld ms",
			         (unsigned long long)seed, (long long)sim.worst_none_ms,
			         (long long)sim.worst_several_ms);
		several = sim.worst_several_ms > several ? sim.worst_several_ms : several;
		/* Nobody asks who knows; messages that overtake each other are taken for losses. */
		if (!sim.reorder)
			assert_int_equal(sim_total_probes(&sim), probes);
		for (size_t a = 0; a < sim.n_addresses; a++) {
			int owner = sim_owner(&sim, a);
			assert_in_range(owner, 1, sim.n_nodes - 1);
			assert_int_equal(sim_state(&sim, 0, a).ownership, L2_OTHER);
			assert_in_range(sim.changes[a], 0, 1);
			struct l2_state s = sim_state(&sim, (size_t)owner, a);
			if (!sim.changes[a])
				continue;
			assert_int_equal(s.cause, REASON_OwnerReleased);
			assert_int_equal(s.took_ms, 0);
		}
		/* And it stays so. */
		sim_observe(&sim);
		sim_run(&sim, 3000);
		assert_int_equal(sim_total_changes(&sim), 0);
		assert_int_equal(sim.worst_several_ms, 0);
		sim_fini(&sim);
	}
	print_message("two answered for at most %lld ms\n", (long long)several);
}

/* Who gets them is no other than without an offer: nobody gets more than the bound. */
static void what_is_handed_over_is_spread(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		settled(seed, 4, 120);
		drain(0);
		sim_run(&sim, 3000);
		size_t n[SIM_NODES_MAX] = { 0 };
		for (size_t a = 0; a < sim.n_addresses; a++)
			n[sim_owner(&sim, a)]++;
		for (size_t i = 1; i < 4; i++)
			assert_in_range(n[i], 30, 50); /* 40 x 1.25 */
		assert_int_equal(sim.worst_none_ms, 0);
		sim_fini(&sim);
	}
}

/*
 * The message that offers, the one that claims, or the one that gives up may be lost: then the next
 * owner is found a little later, and it is known who, as after any other loss.
 */
static void lost_messages_delay_a_handover(void **state)
{
	(void)state;
	int64_t none = 0, several = 0;
	for (uint64_t seed = 0; seed < 200; seed++) {
		settled(seed, 3, 20);
		sim.loss_percent = 5 + (int)(seed % 3) * 10;
		sim.reorder = true;
		drain(0);
		sim_run(&sim, OFFER_MS + 3000);
		sim.loss_percent = 0;
		sim_run(&sim, 3000);
		for (size_t a = 0; a < sim.n_addresses; a++)
			assert_in_range(sim_owner(&sim, a), 1, 2);
		none = sim.worst_none_ms > none ? sim.worst_none_ms : none;
		several = sim.worst_several_ms > several ? sim.worst_several_ms : several;
		sim_fini(&sim);
	}
	print_message("with losses nobody answered for %lld ms, two for %lld ms at most\n",
	              (long long)none, (long long)several);
	assert_in_range(none, 0, 2 * SIM_DEAD_MS);
	assert_in_range(several, 0, 2 * SIM_DEAD_MS);
}

/* A candidate whose rules are not there yet takes nothing: the owner waits for the next one. */
static void the_owner_waits_for_one_that_is_ready(void **state)
{
	(void)state;
	settled(3, 4, 40);
	set_eligible(1, false);
	sim_run(&sim, OFFER_MS + 500);
	sim_observe(&sim);
	set_eligible(0, false);
	sim_run(&sim, OFFER_MS + 500);
	assert_int_equal(sim.worst_none_ms, 0);
	assert_in_range(sim.worst_several_ms, 0, MOMENT_MS);
	for (size_t a = 0; a < sim.n_addresses; a++)
		assert_in_range(sim_owner(&sim, a), 2, 3);
	sim_fini(&sim);
}

/* Others may not have heard yet that the owner is to go, and count it among the candidates. */
static void nobody_waits_for_who_offers(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		settled(seed, 3, 20);
		set_eligible(0, false);
		sim_run(&sim, RANK_STEP_MS / 2);
		for (size_t a = 0; a < sim.n_addresses; a++)
			assert_in_range(sim_owner(&sim, a), 1, 2);
		assert_int_equal(sim.worst_none_ms, 0);
		sim_fini(&sim);
	}
}

/* Not even one that offers something itself, and so comes behind others that are there. */
static void nor_does_who_offers_as_well(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		settled(seed, 2, 20);
		size_t own = sim_owned(&sim, 1);
		for (size_t i = 0; i < 2; i++) {
			sim.nodes[i].wants[own].eligible = false;
			sim_publish(&sim, i);
		}
		sim_run(&sim, 50);
		set_eligible(0, false);
		sim_run(&sim, RANK_STEP_MS / 2);
		for (size_t a = 0; a < sim.n_addresses; a++)
			assert_int_equal(sim_owner(&sim, a), 1);
		sim_fini(&sim);
	}
}

/* Its message is lost, its announcement is not: the owner does not defend what it has offered. */
static void the_next_ones_announcement_suffices(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		sim_use_family(seed % 2 ? 6 : 4);
		settled(seed, 2, 20);
		sim.filtered[1][0] = true;
		set_eligible(0, false);
		sim_run(&sim, 200);
		assert_int_equal(sim.worst_none_ms, 0);
		assert_in_range(sim.worst_several_ms, 0, MOMENT_MS);
		for (size_t a = 0; a < sim.n_addresses; a++)
			assert_int_equal(sim_owner(&sim, a), 1);
		sim_fini(&sim);
	}
}

/*
 * A node that has just started, and knows nothing else of the address, does not wait for nodes that
 * may be starting, too.
 */
static void a_starting_node_follows_at_once(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		/* The last one is Ready, and has no speaker. */
		sim_init(&sim, seed, 4, 20);
		for (size_t i = 0; i < 3; i++)
			sim_start(&sim, i);
		sim_run(&sim, 5000);
		set_eligible(2, false);
		sim_run(&sim, 2000);
		sim_kill(&sim, 1);
		sim_run(&sim, 3000);
		sim_start(&sim, 1);
		sim_run(&sim, SIM_LISTEN_MS + 100);
		sim_observe(&sim);
		drain(0);
		sim_run(&sim, 200);
		assert_int_equal(sim.worst_none_ms, 0);
		for (size_t a = 0; a < sim.n_addresses; a++)
			assert_in_range(sim_owner(&sim, a), 1, 2);
		sim_owned(&sim, 1);
		sim_fini(&sim);
	}
}

/*
 * Who offers and does not hear the next one would go on answering: it waits until the offer has
 * ended.
 */
static void nobody_follows_who_would_not_hear_of_it(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 10; seed++) {
		settled(seed, 3, 12);
		set_eligible(2, false);
		sim_run(&sim, OFFER_MS + 500);
		sim.blocked[1][0] = true;
		sim_run(&sim, OFFER_MS);
		sim_observe(&sim);
		set_eligible(0, false);
		sim_run(&sim, 3 * OFFER_MS);
		assert_in_range(sim.worst_several_ms, 0, MOMENT_MS);
		for (size_t a = 0; a < sim.n_addresses; a++)
			assert_int_equal(sim_owner(&sim, a), 1);
		sim_fini(&sim);
	}
}

/* ---- where nobody follows ---- */

/* Nobody is there, or nobody may: no candidate, no live one, none that is ready in time. */
static void who_has_no_heir_lets_go(void **state)
{
	(void)state;
	static const uint16_t self[] = { 0 };

	settled(1, 2, 4);
	size_t a = sim_owned(&sim, 0);
	sim.nodes[0].wants[a].candidates = self;
	sim.nodes[0].wants[a].n_candidates = 1;
	sim.nodes[1].wants[a].eligible = false;
	sim_publish(&sim, 1);
	set_eligible(0, false);
	assert_false(sim_answers(&sim, 0, a));
	sim_fini(&sim);

	settled(2, 2, 4);
	sim_kill(&sim, 1);
	sim_run(&sim, 3000);
	set_eligible(0, false);
	for (a = 0; a < sim.n_addresses; a++)
		assert_false(sim_answers(&sim, 0, a));
	sim_fini(&sim);
}

static void an_offer_that_nobody_takes_is_bounded(void **state)
{
	(void)state;
	settled(4, 3, 12);
	size_t a = sim_owned(&sim, 0);
	for (size_t i = 1; i < 3; i++)
		set_eligible(i, false);
	sim_run(&sim, OFFER_MS + 500);
	set_eligible(0, false);
	sim_run(&sim, OFFER_MS - 50);
	assert_true(sim_answers(&sim, 0, a));
	sim_run(&sim, 100);
	assert_false(sim_answers(&sim, 0, a));
	/* Whoever may own it later takes it as what was released. */
	set_eligible(2, true);
	sim_run(&sim, 500);
	assert_int_equal(sim_owner(&sim, a), 2);
	sim_fini(&sim);
}

/* What a kernel announces, or somebody by hand, is no next owner: the candidate is yet to come. */
static void an_announcement_by_no_candidate_ends_no_offer(void **state)
{
	(void)state;
	static const uint16_t first_two[] = { 0, 1 };
	uint8_t frame[NEIGHBOR_FRAME_MAX];

	for (size_t by = 1; by <= 2; by++) {
		settled(4, 3, 12);
		size_t a = sim_owned(&sim, 0);
		sim.nodes[0].wants[a].candidates = first_two;
		sim.nodes[0].wants[a].n_candidates = 2;
		for (size_t i = 1; i < 3; i++)
			set_eligible(i, false);
		sim_run(&sim, OFFER_MS + 500);
		set_eligible(0, false);
		const struct addr *address = sim_address(a);
		size_t size = neighbor_of(address->family)
		                      ->announce(sim.nodes[by].mac, address, 0, frame);
		sim_inject(&sim, 0, frame, size);
		sim_run(&sim, MOMENT_MS);
		assert_int_equal(sim_answers(&sim, 0, a), by == 2);
		sim_fini(&sim);
	}
}

/* A drain that is called off before anybody took over. */
static void an_offer_may_be_taken_back(void **state)
{
	(void)state;
	settled(5, 3, 12);
	size_t a = sim_owned(&sim, 0);
	for (size_t i = 1; i < 3; i++)
		set_eligible(i, false);
	sim_run(&sim, OFFER_MS + 500);
	sim_observe(&sim);
	set_eligible(0, false);
	sim_run(&sim, OFFER_MS / 2);
	set_eligible(0, true);
	for (size_t i = 1; i < 3; i++)
		set_eligible(i, true);
	sim_run(&sim, 3 * OFFER_MS);
	assert_int_equal(sim_owner(&sim, a), 0);
	assert_int_equal(sim.changes[a], 0);
	assert_int_equal(sim.worst_none_ms, 0);
	sim_fini(&sim);
}

/* Those that miss it hear of it no more, since heartbeats do not tell. */
static void that_it_was_taken_back_may_get_lost(void **state)
{
	(void)state;
	settled(5, 3, 12);
	size_t a = sim_owned(&sim, 0);
	for (size_t i = 1; i < 3; i++)
		set_eligible(i, false);
	sim_run(&sim, OFFER_MS + 500);
	sim_observe(&sim);
	set_eligible(0, false);
	sim_run(&sim, OFFER_MS / 2);
	sim.blocked[0][1] = sim.blocked[0][2] = true;
	set_eligible(0, true);
	sim_run(&sim, MOMENT_MS);
	sim.blocked[0][1] = sim.blocked[0][2] = false;
	sim_run(&sim, OFFER_MS);
	for (size_t i = 1; i < 3; i++)
		set_eligible(i, true);
	sim_run(&sim, 3 * OFFER_MS);
	assert_int_equal(sim_owner(&sim, a), 0);
	assert_int_equal(sim.changes[a], 0);
	assert_int_equal(sim.worst_several_ms, 0);
	sim_fini(&sim);
}

/* What the owner may not be alone with is asked for: it answers no question then. */
static void what_is_weak_is_not_offered(void **state)
{
	(void)state;
	settled(6, 3, 12);
	size_t a = sim_owned(&sim, 0);
	sim_link(&sim, 0, false);
	sim_run(&sim, 50);
	sim_link(&sim, 0, true);
	sim_run(&sim, SIM_LISTEN_MS + 100);
	assert_int_equal(sim_owner(&sim, a), 0);
	set_eligible(0, false);
	assert_false(sim_answers(&sim, 0, a));
	sim_fini(&sim);
}

/* A Service that goes, and one that gets the address of another: nothing of the old one stays. */
static void what_is_for_another_service_is_not_offered(void **state)
{
	(void)state;
	settled(7, 3, 12);
	size_t a = sim_owned(&sim, 0);
	sim.nodes[0].wants[a].identity.id[0] = 77;
	sim.nodes[0].wants[a].eligible = false;
	sim_publish(&sim, 0);
	assert_false(sim_answers(&sim, 0, a));
	sim_fini(&sim);
}

/* Speakers of version 1 know no offers: with them it is as it was. */
static void to_version_1_nothing_is_offered(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		sim_init(&sim, seed, 3, 12);
		sim.nodes[1].v1 = true;
		for (size_t i = 0; i < 3; i++)
			sim_start(&sim, i);
		sim_run(&sim, 5000);
		sim_observe(&sim);
		set_eligible(0, false);
		for (size_t a = 0; a < sim.n_addresses; a++)
			assert_false(sim_answers(&sim, 0, a));
		sim_run(&sim, 1000);
		assert_in_range(sim.worst_none_ms, 0, RANK_STEP_MS + 10);
		assert_int_equal(sim.worst_several_ms, 0);
		sim_fini(&sim);
	}
}

/* ---- a node whose speaker restarts ---- */

static void somebody_answers_for_a_node_that_restarts(void **state)
{
	(void)state;
	int64_t silent = 0;
	for (uint64_t seed = 0; seed < 60; seed++) {
		sim_use_family(seed % 2 ? 6 : 4);
		settled(seed, 2 + seed % 4, 30);
		sim.reorder = seed & 4;
		sim_stop(&sim, 0, L2_STOP_RESTARTING);
		sim_run(&sim, 100 + (int64_t)sim_random(&sim, 4000));
		sim_start(&sim, 0);
		sim_run(&sim, 6000);
		if (sim.worst_silent_ms > MOMENT_MS || sim_total_changes(&sim) ||
		    sim.worst_several_ms)
			fail_msg("seed %llu: silent %lld ms", (unsigned long long)seed,
			         (long long)sim.worst_silent_ms);
		silent = sim.worst_silent_ms > silent ? sim.worst_silent_ms : silent;
		/* Not a moment longer than needed. */
		for (size_t i = 0; i < sim.n_nodes; i++)
			for (size_t a = 0; a < sim.n_addresses; a++)
				assert_false(segment_stands_in(sim.nodes[i].segment, sim.now,
				                               sim_address(a)));
		sim_fini(&sim);
	}
	print_message("nobody answered for %lld ms at most\n", (long long)silent);
}

/* One of them does, and not all. */
static void one_answers_for_it(void **state)
{
	(void)state;
	settled(9, 5, 40);
	sim_stop(&sim, 0, L2_STOP_RESTARTING);
	sim_run(&sim, 500);
	bool others[SIM_NODES_MAX] = { false };
	for (size_t a = 0; a < sim.n_addresses; a++) {
		size_t n = 0;
		for (size_t i = 1; i < sim.n_nodes; i++) {
			bool does =
				segment_stands_in(sim.nodes[i].segment, sim.now, sim_address(a));
			n += does;
			others[i] |= does;
		}
		assert_int_equal(n, sim_owner(&sim, a) < 0);
	}
	assert_true(others[1] + others[2] + others[3] + others[4] > 1);
	/* One of them dies as well. */
	sim_kill(&sim, 1);
	sim_run(&sim, SIM_DEAD_MS + 100);
	sim_observe(&sim);
	sim_run(&sim, 500);
	assert_int_equal(sim.worst_silent_ms, 0);
	sim_fini(&sim);
}

/* Others may have no interface for it, and would never be asked. */
static void one_that_is_a_candidate_answers_for_it(void **state)
{
	(void)state;
	static const uint16_t two[] = { 0, 3 };

	settled(11, 5, 40);
	for (size_t i = 0; i < sim.n_nodes; i++) {
		for (size_t a = 0; a < sim.n_addresses; a++) {
			sim.nodes[i].wants[a].candidates = two;
			sim.nodes[i].wants[a].n_candidates = ARRAY_LEN(two);
		}
		sim_publish(&sim, i);
	}
	sim_stop(&sim, 0, L2_STOP_RESTARTING);
	sim_run(&sim, 500);
	sim_owned(&sim, 1);
	for (size_t a = 0; a < sim.n_addresses; a++)
		for (size_t i = 1; i < sim.n_nodes; i++)
			assert_int_equal(segment_stands_in(sim.nodes[i].segment, sim.now,
			                                   sim_address(a)),
			                 i == 3 && sim_owner(&sim, a) < 0);
	sim_fini(&sim);
}

/* What the machine at @mac, with or without an address of its own, is answered by @node. */
static bool asks(size_t node, const uint8_t *mac, const struct addr *own, const struct addr *target,
                 struct neighbor_packet *ret_answer, uint8_t ret_source[static 6])
{
	const struct neighbor_ops *ops = neighbor_of(target->family);
	uint8_t frame[NEIGHBOR_FRAME_MAX];
	size_t size = own ? ops->ask(mac, sim.nodes[node].mac, own, target, frame)
	                  : ops->probe(mac, target, frame);

	memset(frame, 0xff, sizeof(arp_broadcast)); /* of all, not of this node alone */
	sim.record_from = (int)node;
	while (sim.n_recorded > 0)
		free(sim.recorded[--sim.n_recorded].data);
	segment_receive(sim.nodes[node].segment, sim.now, 0, frame, size);
	sim.record_from = -1;
	for (size_t i = 0; i < sim.n_recorded; i++)
		if (neighbor_decode(sim.recorded[i].data, sim.recorded[i].size, &ops, ret_answer) ==
		            0 &&
		    !ret_answer->asks) {
			memcpy(ret_source, sim.recorded[i].data + 6, 6);
			return true;
		}
	return false;
}

static void the_answer_names_the_owner(void **state)
{
	(void)state;
	static const uint8_t client[] = { 2, 0, 0, 0, 0, 99 };
	static const uint8_t families[] = { 4, 6 };

	for (size_t f = 0; f < ARRAY_LEN(families); f++) {
		sim_use_family(families[f]);
		settled(10, 2, 8);
		const struct addr *a = sim_address(sim_owned(&sim, 0));
		struct addr own = sim_node_address(50);
		struct neighbor_packet answer;
		uint8_t source[6];
		assert_false(asks(1, client, &own, a, &answer, source));
		sim_stop(&sim, 0, L2_STOP_RESTARTING);
		sim_run(&sim, 200);
		uint64_t stood_in = sim_stats(&sim, 1).stood_in;
		assert_true(asks(1, client, &own, a, &answer, source));
		assert_memory_equal(answer.mac, sim.nodes[0].mac, 6);
		assert_true(addr_eq(&answer.sender, a));
		assert_memory_equal(answer.dst, client, 6);
		/* The switch is told nothing that is untrue. */
		assert_memory_equal(source, sim.nodes[1].mac, 6);
		assert_int_equal(sim_stats(&sim, 1).stood_in, stood_in + 1);
		/* Nobody else may begin to use it, */
		assert_true(asks(1, client, NULL, a, &answer, source));
		/*
		 * but the node itself is not told what it knows, and speakers find out themselves.
		 */
		assert_false(asks(1, sim.nodes[0].mac, &own, a, &answer, source));
		assert_false(asks(1, sim.nodes[0].mac, NULL, a, &answer, source));
		sim_fini(&sim);
	}
}

/* What is weak may be another's, which we do not hear: somebody would be told what is wrong. */
static void nobody_answers_for_what_is_weak(void **state)
{
	(void)state;
	settled(12, 3, 12);
	sim_link(&sim, 0, false);
	sim_run(&sim, 50);
	sim_link(&sim, 0, true);
	sim_run(&sim, SIM_LISTEN_MS + 100);
	size_t a = sim_owned(&sim, 0);
	sim_stop(&sim, 0, L2_STOP_RESTARTING);
	sim_run(&sim, 200);
	for (size_t i = 1; i < 3; i++)
		assert_false(segment_stands_in(sim.nodes[i].segment, sim.now, sim_address(a)));
	sim_fini(&sim);
}

/* The Service is deleted, or the address is another's: nobody is led to a node that drops it. */
static void nobody_answers_for_a_service_that_is_gone(void **state)
{
	(void)state;
	settled(13, 2, 12);
	size_t a = sim_owned(&sim, 0);
	sim_stop(&sim, 0, L2_STOP_RESTARTING);
	sim_run(&sim, 200);
	assert_true(segment_stands_in(sim.nodes[1].segment, sim.now, sim_address(a)));
	/* An older Service: the claim stands until its owner gives it up. */
	struct identity was = sim.nodes[1].wants[a].identity;
	sim.nodes[1].wants[a].identity.since_us--;
	sim.nodes[1].wants[a].eligible = false;
	sim_publish(&sim, 1);
	assert_false(segment_stands_in(sim.nodes[1].segment, sim.now, sim_address(a)));
	sim.nodes[1].wants[a].identity = was;
	sim_publish(&sim, 1);
	assert_true(segment_stands_in(sim.nodes[1].segment, sim.now, sim_address(a)));
	segment_set_wants(sim.nodes[1].segment, sim.now, &sim.nodes[1].view, NULL, 0);
	assert_false(segment_stands_in(sim.nodes[1].segment, sim.now, sim_address(a)));
	sim_fini(&sim);
}

/* When it does not come back, others take over as ever, and nobody keeps them from it. */
static void who_does_not_come_back_is_replaced(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 40; seed++) {
		sim_use_family(seed % 2 ? 6 : 4);
		settled(seed, 4, 20);
		sim_stop(&sim, 0, L2_STOP_RESTARTING);
		sim_run(&sim, SIM_HOLD_MS - 100);
		assert_int_equal(sim_total_changes(&sim), 0);
		sim_observe(&sim);
		sim_run(&sim, 1000);
		/* The hold ends a moment apart for each of them. */
		assert_in_range(sim.worst_silent_ms, 0, SIM_PROBE_MS + 20);
		assert_in_range(sim.worst_none_ms, 0, 100 + SIM_PROBE_MS + 30);
		for (size_t a = 0; a < sim.n_addresses; a++)
			assert_in_range(sim_owner(&sim, a), 1, 3);
		assert_int_equal(sim.worst_several_ms, 0);
		sim_fini(&sim);
	}
}

/* As l2.c does once it has said that it restarts. */
#define LINGER_MS 50

/* The others know that it is no candidate any more; it does not, and is ended in that moment. */
static void who_lingers_gives_way_to_who_takes_over(void **state)
{
	(void)state;
	static const uint16_t rest[] = { 1, 2, 3 };

	for (uint64_t seed = 0; seed < 20; seed++) {
		sim_use_family(seed % 2 ? 6 : 4);
		settled(seed, 4, 40);
		size_t owned = sim_owned(&sim, 0);
		for (size_t i = 1; i < sim.n_nodes; i++) {
			for (size_t a = 0; a < sim.n_addresses; a++) {
				sim.nodes[i].wants[a].candidates = rest;
				sim.nodes[i].wants[a].n_candidates = ARRAY_LEN(rest);
			}
			sim_publish(&sim, i);
		}
		sim_linger(&sim, 0);
		assert_true(sim_answers(&sim, 0, owned));
		sim_run(&sim, LINGER_MS);
		sim_kill(&sim, 0);
		sim_run(&sim, 1000);
		assert_in_range(sim.worst_none_ms, 0, 2 * SIM_PROBE_MS);
		assert_int_equal(sim.worst_several_ms, 0);
		for (size_t a = 0; a < sim.n_addresses; a++)
			assert_in_range(sim_owner(&sim, a), 1, 3);
		sim_fini(&sim);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_drained_node_answers_until_the_next_one_does),
		cmocka_unit_test(what_is_handed_over_is_spread),
		cmocka_unit_test(lost_messages_delay_a_handover),
		cmocka_unit_test(the_owner_waits_for_one_that_is_ready),
		cmocka_unit_test(nobody_waits_for_who_offers),
		cmocka_unit_test(nor_does_who_offers_as_well),
		cmocka_unit_test(the_next_ones_announcement_suffices),
		cmocka_unit_test(a_starting_node_follows_at_once),
		cmocka_unit_test(nobody_follows_who_would_not_hear_of_it),
		cmocka_unit_test(who_has_no_heir_lets_go),
		cmocka_unit_test(an_offer_that_nobody_takes_is_bounded),
		cmocka_unit_test(an_announcement_by_no_candidate_ends_no_offer),
		cmocka_unit_test(an_offer_may_be_taken_back),
		cmocka_unit_test(that_it_was_taken_back_may_get_lost),
		cmocka_unit_test(what_is_weak_is_not_offered),
		cmocka_unit_test(what_is_for_another_service_is_not_offered),
		cmocka_unit_test(to_version_1_nothing_is_offered),
		cmocka_unit_test(somebody_answers_for_a_node_that_restarts),
		cmocka_unit_test(one_answers_for_it),
		cmocka_unit_test(one_that_is_a_candidate_answers_for_it),
		cmocka_unit_test(the_answer_names_the_owner),
		cmocka_unit_test(nobody_answers_for_what_is_weak),
		cmocka_unit_test(nobody_answers_for_a_service_that_is_gone),
		cmocka_unit_test(who_does_not_come_back_is_replaced),
		cmocka_unit_test(who_lingers_gives_way_to_who_takes_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
