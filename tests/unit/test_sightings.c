/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * What one node makes of single frames of others: of which it waits, which make a rival, and what
 * they say about a peer's node or kernel.  Each is a table of frames at exact times, on a simulated
 * segment.
 */
#include "unit.h"

#include "../l2/sim.h"
#include "fairlead/mem.h"
#include "l2/arp.h"

/* After another's question it waits for so long. */
#define WAIT_MS 150
/* An answer is one of so long after the question. */
#define ANSWER_MS (4 * SIM_PROBE_MS)

static const uint8_t stranger[] = { 6, 0, 0, 0, 0, 9 };

static struct sim sim;

static void inject(const struct arp_packet *p)
{
	uint8_t frame[ARP_FRAME_SIZE];

	arp_encode(p, frame);
	sim_inject(&sim, 0, frame, sizeof(frame));
}

/* Until the first node has sent another probe. */
static void until_it_asks(int64_t patience_ms)
{
	uint64_t before = sim.nodes[0].probes_sent;

	for (int64_t end = sim.now + patience_ms; sim.nodes[0].probes_sent == before;) {
		if (sim.now >= end)
			fail_msg("it does not ask");
		sim_run(&sim, 1);
	}
}

static void may_own(size_t address, bool may)
{
	sim.nodes[0].wants[address].eligible = may;
	sim_publish(&sim, 0);
}

/*
 * The frame may be lost that says that whoever asks has taken the address, so it is not asked for
 * at the same time.
 */
static void who_hears_another_ask_waits(void **state)
{
	(void)state;
	static const struct {
		uint32_t asked;  /* which address */
		int64_t ago_ms;  /* before this node may have address 1 */
		int64_t wait_ms; /* before it asks for it */
	} cases[] = {
		{ 1, 0, WAIT_MS },     { 1, 100, WAIT_MS - 100 },
		{ 1, WAIT_MS - 2, 2 }, { 1, WAIT_MS + 2, 0 },
		{ 2, 0, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		sim_init(&sim, i, 1, 3);
		sim.nodes[0].wants[1].eligible = false;
		sim_start(&sim, 0);
		sim_run(&sim, 2000);
		struct arp_packet probe = arp_probe(stranger, sim_address(cases[i].asked));
		inject(&probe);
		sim_run(&sim, 2 + cases[i].ago_ms);
		int64_t begin = sim.now;
		may_own(1, true);
		until_it_asks(1000);
		/* The frame took a millisecond, and a turn comes some milliseconds late. */
		int64_t waited = sim.now - begin;
		if (waited < cases[i].wait_ms - 2 || waited > cases[i].wait_ms + 20)
			fail_msg("case %zu: it asked after %lld ms", i, (long long)waited);
		sim_fini(&sim);
	}
}

static struct arp_packet reply(const uint8_t *to)
{
	struct arp_packet p = arp_gratuitous(stranger, sim_address(0), ARP_REPLY);

	if (to) {
		memcpy(p.dst, to, sizeof(p.dst));
		p.target = (struct addr){ 0 };
	}
	return p;
}

/* Only an answer to a question of ours, to us and in time, proves that somebody else is there. */
static void only_a_timely_answer_makes_a_rival(void **state)
{
	(void)state;
	static const struct {
		bool asked, to_us;
		int64_t after_ms;
		bool rival;
	} cases[] = {
		{ true, true, 0, true },
		{ true, true, ANSWER_MS - 2, true },
		{ true, true, ANSWER_MS + 1, false },
		{ true, true, 450, false },
		{ true, false, 0, false },
		{ false, true, 0, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		/*
		 * The second node is none that anybody hears, and so the first asks for its own
		 * addresses.
		 */
		sim_init(&sim, i, 2, 1);
		sim_start(&sim, 0);
		for (int n = 0; n < 5000 && sim_owner(&sim, 0) != 0; n++)
			sim_run(&sim, 1);
		assert_int_equal(sim_owner(&sim, 0), 0);
		if (cases[i].asked)
			until_it_asks(10000);
		sim_run(&sim, cases[i].after_ms);
		struct arp_packet p = reply(cases[i].to_us ? sim.nodes[0].mac : NULL);
		inject(&p);
		sim_run(&sim, 3);
		if (sim_stats(&sim, 0).two_owners != cases[i].rival)
			fail_msg("case %zu", i);
		assert_int_equal(sim_owner(&sim, 0), 0);
		sim_fini(&sim);
	}
}

/*
 * RFC 5227 2.4: whoever says over and over that it has the address is answered once in ten seconds.
 */
static void an_owner_defends_its_address_seldom(void **state)
{
	(void)state;
	sim_init(&sim, 5, 1, 1);
	sim_start(&sim, 0);
	sim_run(&sim, 20000);
	uint64_t told = sim.nodes[0].gratuitous_sent;
	struct arp_packet p = reply(NULL);
	for (int n = 0; n < 2500; n++) {
		inject(&p);
		sim_run(&sim, 10);
	}
	assert_int_equal(sim_owner(&sim, 0), 0);
	assert_int_equal(sim_stats(&sim, 0).conflicts, 3);
	/* Two frames each time, and perhaps those of once a minute. */
	assert_in_range(sim.nodes[0].gratuitous_sent - told, 6, 8);
	sim_fini(&sim);
}

/*
 * A living peer that answers once, and claims nothing, may have let go of the address meanwhile.
 * Its kernel answers every time: then the address is nobody's to claim.
 */
static void a_kernel_answers_several_times(void **state)
{
	(void)state;
	for (int n_answers = 0; n_answers < 5; n_answers++) {
		sim_init(&sim, 3, 2, 2);
		for (size_t i = 0; i < 2; i++)
			sim.nodes[i].wants[1].eligible = false;
		for (size_t i = 0; i < 2; i++)
			sim_start(&sim, i);
		sim_run(&sim, 3000);
		may_own(1, true);
		struct arp_packet answer =
			arp_gratuitous(sim.nodes[1].mac, sim_address(1), ARP_REPLY);
		memcpy(answer.dst, sim.nodes[0].mac, sizeof(answer.dst));
		answer.target = (struct addr){ 0 };
		for (int n = 0; n < n_answers; n++) {
			until_it_asks(2000);
			assert_int_not_equal(sim_state(&sim, 0, 1).ownership, L2_KERNEL_ANSWERS);
			inject(&answer);
			sim_run(&sim, 3);
			if (sim_state(&sim, 0, 1).ownership == L2_KERNEL_ANSWERS)
				break;
		}
		assert_int_equal(sim_state(&sim, 0, 1).ownership == L2_KERNEL_ANSWERS,
		                 n_answers >= 3);
		sim_run(&sim, 3000);
		assert_int_equal(sim_owner(&sim, 1), 0);
		sim_fini(&sim);
	}
}

/*
 * Whether a node answers for its address is known of that address: of another one its silence says
 * nothing yet.
 */
static void a_node_with_a_new_address_keeps_its_hold(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 10; seed++) {
		sim_init(&sim, seed, 3, 12);
		for (size_t i = 0; i < 3; i++)
			sim_start(&sim, i);
		sim_run(&sim, 8000);
		/* As if its kernel, which answered for the old one, were set not to. */
		struct addr other = sim_node_address(100);
		segment_set_sources(sim.nodes[1].segment, &(struct segment_sources){ .v4 = other });
		sim_run(&sim, 5000);
		sim_observe(&sim);
		sim_stop(&sim, 1, L2_STOP_RESTARTING);
		sim_run(&sim, SIM_HOLD_MS - 100);
		for (size_t a = 0; a < 12; a++)
			assert_int_equal(sim.changes[a], 0);
		sim_fini(&sim);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_hears_another_ask_waits),
		cmocka_unit_test(only_a_timely_answer_makes_a_rival),
		cmocka_unit_test(an_owner_defends_its_address_seldom),
		cmocka_unit_test(a_kernel_answers_several_times),
		cmocka_unit_test(a_node_with_a_new_address_keeps_its_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
