/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Somebody on the segment who is no speaker says two hundred times a second, in each way that there
 * is, that an address is elsewhere.  Whatever he does to caches, its owner stays, and when the
 * owner dies, restarts or stalls another one follows as ever.
 */
#include "unit.h"

#include <stdlib.h>

#include "../l2/sim.h"
#include "fairlead/mem.h"
#include "l2/arp.h"
#include "l2/ndp.h"

#define EVERY_MS 5 /* 200 a second */
/* A node that hears another one ask gives way to it for so long. */
#define TURN_MS 150

static struct sim sim;

enum forgery {
	ANNOUNCED,     /* to all, of its own accord */
	ANNOUNCED_TOO, /* in the other way that there is */
	ANSWERED,      /* to each node alone, as if it had asked */
	MIXED,
	N_FORGERIES
};

static size_t forge4(enum forgery f, size_t node, const uint8_t *mac, uint8_t *frame)
{
	enum arp_op op = f == ANNOUNCED ? ARP_REQUEST : ARP_REPLY;
	struct arp_packet p = arp_gratuitous(mac, sim_address(0), op);

	if (f == ANSWERED) {
		memcpy(p.dst, sim.nodes[node].mac, sizeof(p.dst));
		p.target = (struct addr){ 0 };
	}
	arp_encode(&p, frame);
	return ARP_FRAME_SIZE;
}

static size_t forge6(enum forgery f, size_t node, const uint8_t *mac, uint8_t *frame)
{
	struct ndp_packet p = ndp_announcement(mac, sim_address(0));
	struct addr own = sim_node_address(node);

	if (f == ANNOUNCED_TOO)
		p = ndp_question(mac, sim_address(0), &own);
	if (f == ANSWERED) {
		p.destination = own;
		p.solicited = true;
		memcpy(p.dst, sim.nodes[node].mac, sizeof(p.dst));
	}
	return ndp_encode(&p, frame);
}

/* In the name of machines that are not there, and at times in a speaker's. */
static void forge(enum forgery f)
{
	uint8_t mac[] = { 6, 0, 0, 0, 0, (uint8_t)sim_random(&sim, 4) };
	uint8_t frame[NDP_FRAME_MAX];

	if (sim_random(&sim, 8) == 0)
		memcpy(mac, sim.nodes[sim_random(&sim, sim.n_nodes)].mac, sizeof(mac));
	if (f == MIXED)
		f = (enum forgery)sim_random(&sim, MIXED);
	for (size_t i = 0; i < sim.n_nodes; i++) {
		size_t size = sim_address(0)->family == 4 ? forge4(f, i, mac, frame)
		                                          : forge6(f, i, mac, frame);
		sim_inject(&sim, i, frame, size);
	}
}

static void harass(enum forgery f, int64_t ms)
{
	for (int64_t end = sim.now + ms; sim.now < end; sim_run(&sim, EVERY_MS))
		forge(f);
}

static void started(uint64_t seed, uint8_t family, bool with_key)
{
	sim_use_family(family);
	sim_init(&sim, seed, 3, 2);
	for (size_t i = 0; i < sim.n_nodes; i++) {
		if (!with_key)
			sim_key(&sim, i, "");
		sim_start(&sim, i);
		sim_run(&sim, (int64_t)sim_random(&sim, 100));
	}
	sim_run(&sim, 5000);
	assert_true(sim_owner(&sim, 0) >= 0);
	sim_observe(&sim);
}

static void failed(uint64_t seed, uint8_t family, int f)
{
	fail_msg("IPv%d, forgery %d, seed %llu: owners changed %d times, none for %lld ms, several "
	         "for %lld ms",
	         family, f, (unsigned long long)seed, sim.changes[0], (long long)sim.worst_none_ms,
	         (long long)sim.worst_several_ms);
}

static void an_owner_stays(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 4; seed++)
		for (uint8_t family = 4; family <= 6; family += 2)
			for (int f = 0; f < N_FORGERIES; f++) {
				started(seed, family, seed % 2);
				harass((enum forgery)f, 20000);
				if (sim.changes[0] || sim.worst_none_ms || sim.worst_several_ms)
					failed(seed, family, f);
				sim_fini(&sim);
			}
}

/* What may befall an owner meanwhile, and for how long nobody may answer then. */
static const struct {
	const char *name;
	int64_t none_ms;
} faults[] = {
	{ "dies", SIM_DEAD_MS + TURN_MS + 3 * SIM_PROBE_MS },
	{ "restarts", 1000 + SIM_LISTEN_MS + 3 * SIM_PROBE_MS },
	{ "stalls", 100 },
	{ "leaves", TURN_MS + 3 * SIM_PROBE_MS },
};

static void befall(size_t fault, size_t node)
{
	switch (fault) {
	case 0:
		sim_kill(&sim, node);
		break;
	case 1:
		sim_stop(&sim, node, L2_STOP_RESTARTING);
		harass(MIXED, 1000);
		sim_start(&sim, node);
		break;
	case 2:
		sim_pause(&sim, node, 100);
		break;
	case 3:
		sim_stop(&sim, node, L2_STOP_YIELD);
		break;
	}
}

static void whoever_follows_is_not_kept_from_it(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 64; seed++) {
		uint8_t family = seed % 2 ? 6 : 4;
		size_t fault = seed / 2 % ARRAY_LEN(faults);
		enum forgery f = (enum forgery)(seed / 8 % N_FORGERIES);
		started(seed, family, true);
		harass(f, 1000 + (int64_t)sim_random(&sim, 1000));
		int owner = sim_owner(&sim, 0);
		befall(fault, (size_t)owner);
		harass(f, 8000);
		if (sim.worst_none_ms > faults[fault].none_ms || sim.worst_several_ms) {
			print_message("whose owner %s\n", faults[fault].name);
			failed(seed, family, (int)f);
		}
		assert_int_equal(sim.changes[1], 0);
		assert_int_equal(sim_owner(&sim, 0) == owner, fault == 1 || fault == 2);
		sim_fini(&sim);
	}
}

/* As any machine that is about to use an address; and it is taken once that has ended. */
static void what_no_speaker_had_is_left_to_who_says_that_he_has_it(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 16; seed++) {
		sim_use_family(seed % 2 ? 6 : 4);
		sim_init(&sim, seed, 3, 1);
		for (size_t i = 0; i < sim.n_nodes; i++)
			sim_start(&sim, i);
		harass((enum forgery)(seed / 2 % N_FORGERIES), 10000);
		assert_int_equal(sim_owner(&sim, 0), -1);
		sim_run(&sim, 8000);
		assert_true(sim_owner(&sim, 0) >= 0);
		sim_fini(&sim);
	}
}

/* It is told for as long as it lasts, and defended now and then. */
static void it_is_told_and_defended_at_a_bounded_rate(void **state)
{
	(void)state;
	for (uint8_t family = 4; family <= 6; family += 2) {
		/* What looks like an answer to an owner's question. */
		enum forgery f = family == 4 ? ANSWERED : ANNOUNCED;
		started(1, family, true);
		size_t owner = (size_t)sim_owner(&sim, 0);
		harass(f, 1000);
		uint64_t announced = sim.nodes[owner].gratuitous_sent;
		uint64_t asked = sim.nodes[owner].probes_sent;
		harass(f, 25000);
		assert_true(sim_state(&sim, owner, 0).two_owners);
		/* Each of two frames, by ARP; and what is announced anyway. */
		assert_in_range(sim.nodes[owner].gratuitous_sent - announced, 2, 10);
		assert_in_range(sim.nodes[owner].probes_sent - asked, 10, 4 * 25);
		sim_run(&sim, 4000);
		assert_false(sim_state(&sim, owner, 0).two_owners);
		sim_fini(&sim);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_owner_stays),
		cmocka_unit_test(it_is_told_and_defended_at_a_bounded_rate),
		cmocka_unit_test(whoever_follows_is_not_kept_from_it),
		cmocka_unit_test(what_no_speaker_had_is_left_to_who_says_that_he_has_it),
	};

	return cmocka_run_group_tests_name("harassment", tests, NULL, NULL);
}
