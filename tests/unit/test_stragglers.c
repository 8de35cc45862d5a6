/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* Machines that send to a node for an address that has moved from it, and who tells them so. */
#include "unit.h"

#include <linux/filter.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../l2/sim.h"
#include "fairlead/mem.h"
#include "l2/neighbor.h"
#include "l2/sniffer.h"
#include "l2/stragglers.h"

static struct sim sim;

static const uint8_t gateway[] = { 2, 0, 0, 0, 0, 99 };

/* ---- which addresses, and how often ---- */

static bool all_moved(const struct addr *addr, void *arg)
{
	(void)addr;
	(void)arg;
	return true;
}

static struct addr nth(size_t n)
{
	struct addr a = { .family = 4, .b = { 10, 0, (uint8_t)(n >> 8), (uint8_t)n } };

	return a;
}

static size_t index_of(const struct addr *a)
{
	return (size_t)a->b[2] << 8 | a->b[3];
}

static void each_address_has_its_turn(void **state)
{
	(void)state;
	static const size_t numbers[] = { 1, 2, 31, 32, 33, 100, 4096, 5000 };
	struct addr got[STRAGGLERS_AT_ONCE];

	for (size_t k = 0; k < ARRAY_LEN(numbers); k++) {
		struct stragglers s = { 0 };
		size_t n = numbers[k], looks = 0;
		size_t kept = n < STRAGGLERS_GONE_MAX ? n : STRAGGLERS_GONE_MAX;
		bool seen[5000] = { false };
		assert_false(stragglers_any(&s, 1000));
		assert_int_equal(stragglers_next(&s, 1000, all_moved, NULL, got), 0);
		for (size_t i = 0; i < n; i++) {
			struct addr a = nth(i);
			stragglers_watch(&s, 1000, &a);
		}
		for (size_t found = 0; found < kept; looks++) {
			size_t m = stragglers_next(&s, 1000, all_moved, NULL, got);
			for (size_t i = 0; i < m; i++) {
				found += !seen[index_of(&got[i])];
				seen[index_of(&got[i])] = true;
			}
		}
		assert_int_equal(s.n, kept);
		assert_int_equal(looks, (kept + STRAGGLERS_AT_ONCE - 1) / STRAGGLERS_AT_ONCE);
		/* The latest are kept. */
		assert_true(seen[n - 1]);
		assert_true(stragglers_any(&s, 1000 + STRAGGLERS_WATCH_MS - 1));
		assert_false(stragglers_any(&s, 1000 + STRAGGLERS_WATCH_MS));
		stragglers_fini(&s);
	}
}

static void nobody_is_told_all_the_time(void **state)
{
	(void)state;
	struct stragglers s = { 0 };
	struct addr a = nth(1), b = nth(2);
	uint8_t mac[6] = { 2, 0, 0, 0, 0, 99 };
	size_t told = 0;

	assert_int_equal(stragglers_lately(&s, 5000), 0);
	for (int64_t now = 5000; now < 15000; now += 10)
		told += stragglers_may_tell(&s, now, &a, mac);
	assert_int_equal(told, 10000 / STRAGGLERS_PAUSE_MS);
	assert_true(stragglers_may_tell(&s, 15001, &b, mac));
	assert_int_equal(stragglers_lately(&s, 15001), 2);
	assert_int_equal(stragglers_lately(&s, 15001 + STRAGGLERS_LATELY_MS), 0);
	/* Nor do many at once cost more than some. */
	told = 0;
	for (size_t i = 0; i < 1000; i++) {
		mac[4] = (uint8_t)(i >> 8);
		mac[5] = (uint8_t)i;
		told += stragglers_may_tell(&s, 30000 + (int64_t)i / 2, &a, mac);
	}
	assert_int_equal(told, STRAGGLERS_TOLD_MAX);
	stragglers_fini(&s);
}

/* ---- what the kernel lets through ---- */

/* Whether a packet comes through, of which only the addresses matter. */
static bool passes(const struct addr *addrs, size_t n, const struct addr *target)
{
	struct sock_filter program[SNIFFER_FILTER_MAX];
	uint8_t frame[100] = { 0 }, got[100];
	int fds[2];
	const struct sock_fprog filter = { .len = (unsigned short)sniffer_filter(addrs, n, program),
		                           .filter = program };

	assert_true(filter.len <= SNIFFER_FILTER_MAX);
	frame[12] = target->family == 4 ? 0x08 : 0x86;
	frame[13] = target->family == 4 ? 0x00 : 0xdd;
	memcpy(frame + (target->family == 4 ? 30 : 38), target->b, addr_size(target->family));
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(setsockopt(fds[1], SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)),
	                 0);
	(void)!send(fds[0], frame, sizeof(frame), 0);
	bool passed = recv(fds[1], got, sizeof(got), 0) > 0;
	close(fds[0]);
	close(fds[1]);
	return passed;
}

static void the_filter_knows_each_address(void **state)
{
	(void)state;
	static const size_t sixth[] = { 0, 1, 2, 1000 }; /* every which one is of IPv6 */

	for (size_t k = 0; k < ARRAY_LEN(sixth); k++)
		for (size_t n = 0; n <= STRAGGLERS_AT_ONCE; n += 8) {
			struct addr addrs[STRAGGLERS_AT_ONCE], other;
			for (size_t i = 0; i < n; i++) {
				addrs[i] = nth(i);
				if (sixth[k] && i % sixth[k] == 0)
					addrs[i] = (struct addr){
						.family = 6, .b = { 0xfd, [15] = (uint8_t)(i + 1) }
					};
			}
			for (size_t i = 0; i < n; i++)
				assert_true(passes(addrs, n, &addrs[i]));
			other = nth(777);
			assert_false(passes(addrs, n, &other));
			for (size_t w = 0; w < 4; w++) {
				other = (struct addr){ .family = 6, .b = { 0xfd, [15] = 1 } };
				other.b[4 * w + 2] ^= 1;
				assert_false(passes(addrs, n, &other));
			}
		}
}

/* ---- who is told what ---- */

static void settled(uint64_t seed, uint8_t family)
{
	sim_use_family(family);
	sim_init(&sim, seed, 3, 12);
	for (size_t i = 0; i < sim.n_nodes; i++)
		sim_start(&sim, i);
	sim_run(&sim, 5000);
}

/* Node 0 is not to own anything any more. */
static void drain(void)
{
	for (size_t a = 0; a < sim.n_addresses; a++)
		sim.nodes[0].wants[a].eligible = false;
	sim_publish(&sim, 0);
}

static void record(size_t node)
{
	while (sim.n_recorded > 0)
		free(sim.recorded[--sim.n_recorded].data);
	sim.record_from = (int)node;
}

/* What node 0 has said that names an owner, since it is recorded: the last, and how often. */
static size_t told(struct neighbor_packet *ret_packet)
{
	const struct neighbor_ops *ops;
	struct neighbor_packet p;
	size_t n = 0;

	sim.record_from = -1;
	for (size_t i = 0; i < sim.n_recorded; i++)
		if (neighbor_decode(sim.recorded[i].data, sim.recorded[i].size, &ops, &p) == 0 &&
		    !p.asks) {
			*ret_packet = p;
			/* The switch is told nothing that is untrue. */
			assert_memory_equal(sim.recorded[i].data + 6, sim.nodes[0].mac, 6);
			n++;
		}
	return n;
}

/* A question to node 0 alone, from the machine at @mac. */
static void ask_node_0(const uint8_t *mac, const struct addr *target)
{
	uint8_t frame[NEIGHBOR_FRAME_MAX];
	struct addr own = sim_node_address(50);
	size_t size = neighbor_of(target->family)->ask(mac, sim.nodes[0].mac, &own, target, frame);

	segment_receive(sim.nodes[0].segment, sim.now, 0, frame, size);
}

static void assert_told(const struct neighbor_packet *p, const struct addr *addr, int owner)
{
	assert_memory_equal(p->dst, gateway, 6);
	assert_false(p->to_all);
	assert_true(addr_eq(&p->sender, addr));
	assert_memory_equal(p->mac, sim.nodes[owner].mac, 6);
}

static void who_sends_to_the_former_owner_is_told(void **state)
{
	(void)state;
	static const uint8_t families[] = { 4, 6 };
	struct addr watched[STRAGGLERS_AT_ONCE];
	struct neighbor_packet p;
	size_t n;

	for (size_t f = 0; f < ARRAY_LEN(families); f++) {
		settled(5, families[f]);
		struct segment *s = sim.nodes[0].segment;
		const struct addr *a = sim_address(sim_owned(&sim, 0));
		struct addr own = sim_node_address(50);
		assert_false(segment_stragglers(s, sim.now, watched, &n));
		record(0);
		segment_seen_straggler(s, sim.now, gateway, &own, a); /* rightly so */
		assert_int_equal(told(&p), 0);
		drain();
		sim_run(&sim, 500);
		int owner = sim_owner(&sim, (size_t)(a - sim_address(0)));
		assert_true(owner > 0);
		assert_true(segment_stragglers(s, sim.now, watched, &n));
		assert_true(n > 0);

		record(0);
		for (int i = 0; i < 300; i++) {
			segment_seen_straggler(s, sim.now, gateway, &own, a);
			sim_run(&sim, 10);
		}
		assert_in_range(told(&p), 3, 4);
		assert_told(&p, a, owner);
		assert_in_range(sim_stats(&sim, 0).stale_neighbours, 3, 4);
		struct l2_segment tells;
		segment_tell(s, &tells);
		assert_int_equal(tells.n_stale_neighbours, 1);
		sim_run(&sim, 1000);
		/* Who asks this node alone believes the same. */
		record(0);
		ask_node_0(gateway, a);
		ask_node_0(gateway, a);
		assert_int_equal(told(&p), 1);
		assert_told(&p, a, owner);
		/* A forged question is nobody's way to have this said to all. */
		static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
		record(0);
		ask_node_0(all, a);
		segment_seen_straggler(s, sim.now, all, &own, a);
		assert_int_equal(told(&p), 0);
		/* Another speaker knows, and sends on what belongs to old connections. */
		record(0);
		segment_seen_straggler(s, sim.now, sim.nodes[1].mac, &own, a);
		segment_seen_straggler(s, sim.now, sim.nodes[2].mac, &own, a);
		assert_int_equal(told(&p), 0);
		sim_fini(&sim);
	}
}

/* Where nobody living is known to have it, and where it is about to move. */
static void nobody_is_sent_to_nowhere(void **state)
{
	(void)state;
	static const uint8_t families[] = { 4, 6 };
	struct addr watched[STRAGGLERS_AT_ONCE];
	struct neighbor_packet p;
	size_t n;

	for (size_t f = 0; f < ARRAY_LEN(families); f++) {
		settled(6, families[f]);
		struct segment *s = sim.nodes[0].segment;
		size_t at = sim_owned(&sim, 0);
		const struct addr *a = sim_address(at);
		struct addr own = sim_node_address(50);
		drain();
		sim_run(&sim, 500);
		int owner = sim_owner(&sim, at);
		/* Its owner dies, and so does the only one to follow. */
		sim_kill(&sim, (size_t)owner);
		sim_kill(&sim, 3 - (size_t)owner);
		sim_run(&sim, 2 * SIM_DEAD_MS);
		record(0);
		segment_seen_straggler(s, sim.now, gateway, &own, a);
		ask_node_0(gateway, a);
		assert_int_equal(told(&p), 0);
		assert_true(segment_stragglers(s, sim.now, watched, &n));
		assert_int_equal(n, 0);
		/* What nobody here knows of, neither. */
		struct addr unknown = sim_node_address(77);
		segment_seen_straggler(s, sim.now, gateway, &own, &unknown);
		assert_int_equal(told(&p), 0);
		sim_fini(&sim);
	}
}

/* How often node 0 tells a machine of its own, which sends to it, of address @at now. */
static size_t told_now(size_t at)
{
	static uint8_t mac[] = { 2, 0, 0, 0, 1, 0 };
	struct neighbor_packet p;
	struct addr own = sim_node_address(50);

	record(0);
	mac[5]++;
	segment_seen_straggler(sim.nodes[0].segment, sim.now, mac, &own, sim_address(at));
	return told(&p);
}

/* Node 0 has lost an address to another one, of which it tells. */
static size_t lost(uint64_t seed, uint8_t family, size_t *ret_owner)
{
	settled(seed, family);
	size_t at = sim_owned(&sim, 0);
	drain();
	sim_run(&sim, 500);
	*ret_owner = (size_t)sim_owner(&sim, at);
	assert_int_equal(told_now(at), 1);
	return at;
}

static void set_eligible(size_t node, bool eligible)
{
	for (size_t a = 0; a < sim.n_addresses; a++)
		sim.nodes[node].wants[a].eligible = eligible;
	sim_publish(&sim, node);
}

static void of_a_doubtful_owner_nothing_is_told(void **state)
{
	(void)state;
	static const uint8_t families[] = { 4, 6 };
	size_t owner;

	for (size_t f = 0; f < ARRAY_LEN(families); f++) {
		/* It offers the address. */
		size_t at = lost(8, families[f], &owner);
		set_eligible(3 - owner, false);
		sim_run(&sim, 2000);
		set_eligible(owner, false);
		sim_run(&sim, 100);
		assert_int_equal(sim_owner(&sim, at), owner);
		assert_int_equal(told_now(at), 0);
		sim_fini(&sim);
		/* It has claimed it without knowing what the others own. */
		at = lost(9, families[f], &owner);
		sim_link(&sim, owner, false);
		sim_run(&sim, 50);
		sim_link(&sim, owner, true);
		sim_run(&sim, SIM_LISTEN_MS + 100);
		assert_int_equal(sim_owner(&sim, at), owner);
		assert_int_equal(told_now(at), 0);
		sim_fini(&sim);
		/* It restarts, and then it has not claimed it yet. */
		at = lost(10, families[f], &owner);
		sim_stop(&sim, owner, L2_STOP_RESTARTING);
		sim_run(&sim, 200);
		assert_int_equal(told_now(at), 0);
		sim_start(&sim, owner);
		sim_run(&sim, 200);
		assert_int_equal(told_now(at), 0);
		sim_run(&sim, 3000);
		assert_int_equal(told_now(at), 1);
		sim_fini(&sim);
	}
}

static void who_was_away_tells_nothing(void **state)
{
	(void)state;
	struct neighbor_packet p;
	struct addr own = sim_node_address(50);
	size_t owner, at = lost(11, 4, &owner);

	sim_pause(&sim, 0, 10000);
	sim_run(&sim, 5000);
	record(0);
	segment_seen_straggler(sim.nodes[0].segment, sim.now, gateway, &own, sim_address(at));
	assert_int_equal(told(&p), 0);
	sim_run(&sim, 10000);
	assert_int_equal(told_now(at), 1);
	sim_link(&sim, 0, false);
	sim_run(&sim, 20);
	sim_link(&sim, 0, true);
	sim_run(&sim, 20);
	assert_int_equal(told_now(at), 0);
	sim_fini(&sim);
}

/* All hear it, the owner too; and who has no address looks whether this one is free. */
static void other_questions_are_the_owners(void **state)
{
	(void)state;
	static const uint8_t all[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	const struct neighbor_ops *ops = neighbor_of(4);
	uint8_t frame[NEIGHBOR_FRAME_MAX];
	struct neighbor_packet p;
	struct addr own = sim_node_address(50), none = { 0 };
	size_t owner, at = lost(12, 4, &owner);

	record(0);
	size_t size = ops->ask(gateway, all, &own, sim_address(at), frame);
	segment_receive(sim.nodes[0].segment, sim.now, 0, frame, size);
	size = ops->ask(gateway, sim.nodes[0].mac, &none, sim_address(at), frame);
	segment_receive(sim.nodes[0].segment, sim.now, 0, frame, size);
	assert_int_equal(told(&p), 0);
	sim_fini(&sim);
}

static void what_has_come_back_is_ours(void **state)
{
	(void)state;
	struct addr watched[STRAGGLERS_AT_ONCE];
	struct neighbor_packet p;
	size_t n;

	settled(7, 4);
	struct segment *s = sim.nodes[0].segment;
	struct addr own = sim_node_address(50);
	size_t at = sim_owned(&sim, 0);
	drain();
	sim_run(&sim, 500);
	for (size_t a = 0; a < sim.n_addresses; a++)
		sim.nodes[0].wants[a].eligible = true;
	sim_publish(&sim, 0);
	sim_kill(&sim, 1);
	sim_kill(&sim, 2);
	sim_run(&sim, 8000);
	assert_int_equal(sim_owner(&sim, at), 0);
	assert_true(segment_stragglers(s, sim.now, watched, &n));
	assert_int_equal(n, 0);
	record(0);
	segment_seen_straggler(s, sim.now, gateway, &own, sim_address(at));
	assert_int_equal(told(&p), 0);
	sim_fini(&sim);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_address_has_its_turn),
		cmocka_unit_test(nobody_is_told_all_the_time),
		cmocka_unit_test(the_filter_knows_each_address),
		cmocka_unit_test(who_sends_to_the_former_owner_is_told),
		cmocka_unit_test(nobody_is_sent_to_nowhere),
		cmocka_unit_test(of_a_doubtful_owner_nothing_is_told),
		cmocka_unit_test(who_was_away_tells_nothing),
		cmocka_unit_test(other_questions_are_the_owners),
		cmocka_unit_test(what_has_come_back_is_ours),
	};

	return cmocka_run_group_tests_name("stragglers", tests, NULL, NULL);
}
