/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#include "fairlead/mem.h"
#include "fairlead/member.h"
#include "l2/arp.h"
#include "fairlead/claims.h"
#include "l2/snapshot.h"

static const uint8_t mac_a[] = { 2, 0, 0, 0, 0, 0xa }, mac_b[] = { 2, 0, 0, 0, 0, 0xb };

/* ---- ARP ---- */

static struct addr lan(uint8_t host)
{
	return (struct addr){ .family = 4, .b = { 192, 168, 1, host } };
}

static void assert_addr(struct addr a, struct addr b)
{
	assert_string_equal(addr_str(&a), addr_str(&b));
}

static void arp_frames_are_read(void **state)
{
	(void)state;
	static const uint8_t request[] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0,   0xa, 0x08, 0x06,
		0,    1,    8,    0,    6,    4,    0, 1, 2, 0, 0,   0,   0,    0xa,
		192,  168,  1,    100,  0,    0,    0, 0, 0, 0, 192, 168, 1,    240,
		0,    0,    0,    0,    0,    0,    0, 0, 0, 0, 0,   0,   0,    0,
	};
	struct arp_packet p;
	assert_int_equal(arp_decode(request, sizeof(request), &p), 0); /* with padding */
	assert_int_equal(arp_decode(request, ARP_FRAME_SIZE, &p), 0);
	assert_int_equal(p.op, ARP_REQUEST);
	assert_memory_equal(p.dst, arp_broadcast, 6);
	assert_memory_equal(p.src, mac_a, 6);
	assert_memory_equal(p.sender_mac, mac_a, 6);
	assert_addr(p.sender, lan(100));
	assert_addr(p.target, lan(240));

	for (size_t size = 0; size < ARP_FRAME_SIZE; size++)
		assert_int_equal(arp_decode(request, size, &p), -EINVAL);
	/* Each of these bytes has one right value: type, hardware, protocol, sizes, operation. */
	for (size_t i = 12; i < 22; i++) {
		uint8_t wrong[ARP_FRAME_SIZE];
		memcpy(wrong, request, sizeof(wrong));
		wrong[i] ^= 0x10;
		assert_int_equal(arp_decode(wrong, sizeof(wrong), &p), -EINVAL);
	}

	uint8_t again[ARP_FRAME_SIZE];
	assert_int_equal(arp_decode(request, sizeof(request), &p), 0);
	arp_encode(&p, again);
	assert_memory_equal(again, request, ARP_FRAME_SIZE);
}

static void arp_answers_go_to_who_asked(void **state)
{
	(void)state;
	struct arp_packet request = { .op = ARP_REQUEST, .sender = lan(1), .target = lan(2) };
	memcpy(request.src, mac_a, 6);
	memcpy(request.sender_mac, mac_a, 6);
	struct arp_packet answer = arp_answer(&request, mac_b);
	assert_int_equal(answer.op, ARP_REPLY);
	assert_memory_equal(answer.dst, mac_a, 6);
	assert_memory_equal(answer.src, mac_b, 6);
	assert_memory_equal(answer.sender_mac, mac_b, 6);
	assert_addr(answer.sender, lan(2));
	assert_memory_equal(answer.target_mac, mac_a, 6);
	assert_addr(answer.target, lan(1));

	struct arp_packet probe = arp_probe(mac_b, &request.target);
	assert_int_equal(probe.sender.family, 0);
	assert_memory_equal(probe.dst, arp_broadcast, 6);
	for (int op = ARP_REQUEST; op <= ARP_REPLY; op++) {
		struct arp_packet g = arp_gratuitous(mac_b, &request.target, (enum arp_op)op);
		assert_int_equal(g.op, op);
		assert_addr(g.sender, lan(2));
		assert_addr(g.target, lan(2));
		assert_memory_equal(g.dst, arp_broadcast, 6);
	}
}

/* ---- members ---- */

static struct member member;

static void start_member(void)
{
	struct member_options opts = { .node = "us",
		                       .incarnation = 1000,
		                       .heartbeat_ms = 70,
		                       .multiplier = 5,
		                       .restart_hold_ms = 5000 };

	member_init(&member, &opts, 0);
}

/* Our own heartbeat at @now; its sequence number. */
static uint32_t beat(int64_t now)
{
	struct wire_msg msg;

	member_beat(&member, now, &msg);
	return msg.seq;
}

/* What @name says at @now, repeating @echo of ours (0: nothing). */
static enum member_verdict hear(int64_t now, const char *name, uint64_t incarnation, uint32_t seq,
                                uint32_t echo)
{
	struct wire_msg m = { .type = WIRE_HEARTBEAT, .incarnation = incarnation, .seq = seq };
	struct member_peer *p;

	strcpy(m.name, name);
	if (echo)
		m.echoes[m.n++] = (struct wire_echo){ 1000, echo, true };
	return member_receive(&member, now, &m, &p);
}

static void only_who_proves_to_be_there_is_believed(void **state)
{
	(void)state;
	start_member();
	uint32_t seq = beat(0);
	assert_int_equal(hear(1, "us", 5, 1, 0), MEMBER_SELF);
	assert_int_equal(hear(1, "a", 5, 1, 0), MEMBER_STRANGER);
	assert_true(member_has_strangers(&member, 10));
	assert_int_equal(member_deadline(&member), 20); /* a heartbeat out of turn */
	assert_int_equal(hear(2, "a", 5, 2, seq + 1), MEMBER_STRANGER); /* we never said that */
	assert_int_equal(hear(3, "a", 5, 3, seq), MEMBER_NEW);
	assert_false(member_has_strangers(&member, 10));
	assert_int_equal(hear(4, "a", 5, 4, 0), MEMBER_BELIEVED);
	assert_int_equal(hear(5, "a", 5, 4, seq), MEMBER_REPLAYED);
	assert_int_equal(hear(5, "a", 5, 3, seq), MEMBER_REPLAYED);

	/* A new incarnation proves itself anew, and the former one is never believed again. */
	assert_int_equal(hear(6, "a", 6, 1, 0), MEMBER_STRANGER);
	assert_int_equal(hear(7, "a", 6, 2, seq), MEMBER_NEW);
	assert_int_equal(hear(8, "a", 5, 100, seq), MEMBER_REPLAYED);

	/* What we said long ago proves nothing. */
	for (int64_t now = 100; now <= 5000; now += 100)
		beat(now);
	assert_int_equal(hear(5001, "b", 7, 1, seq), MEMBER_STRANGER);
	assert_int_equal(hear(5001, "b", 7, 2, seq + 45), MEMBER_NEW);
	/* Nor does it when heartbeats came so fast that it was forgotten when that was. */
	for (int64_t now = 5001; now < 5100; now++)
		beat(now);
	assert_int_equal(hear(5101, "c", 8, 1, seq), MEMBER_STRANGER);
	member_fini(&member);
}

static void strangers_hurry_heartbeats_within_limits(void **state)
{
	(void)state;
	start_member();
	size_t beats = 0;
	for (int64_t now = 0; now < 1000; now++) {
		/* Many of them, all the time. */
		for (uint64_t i = 1; i <= 10; i++)
			hear(now, "a", i, 1 + (uint32_t)now, 0);
		if (member_beat_due(&member, now)) {
			beat(now);
			beats++;
		}
	}
	assert_int_equal(beats, 50);
	member_fini(&member);
}

static size_t n_died, n_forgotten;

static void on_event(struct member_peer *p, enum member_event event, void *arg)
{
	(void)p;
	(void)arg;
	n_died += event == MEMBER_DIED;
	n_forgotten += event == MEMBER_FORGOTTEN;
}

static void peers_die_and_are_forgotten(void **state)
{
	(void)state;
	start_member();
	n_died = n_forgotten = 0;
	uint32_t seq = beat(0);
	assert_int_equal(hear(10, "a", 5, 1, seq), MEMBER_NEW);
	assert_int_equal(hear(10, "b", 6, 1, seq), MEMBER_NEW);
	assert_true(member_majority(&member, 10));
	assert_int_equal(hear(210, "b", 6, 2, 0), MEMBER_BELIEVED);
	member_tick(&member, 360, on_event, NULL);
	assert_int_equal(n_died, 0);
	member_tick(&member, 361, on_event, NULL);
	assert_int_equal(n_died, 1);
	assert_true(member_majority(&member, 361));
	assert_false(member_majority(&member, 450)); /* b is not dead, but silent */
	member_tick(&member, 561, on_event, NULL);
	assert_int_equal(n_died, 2);

	/* Restarting, it has the hold's time. */
	struct wire_msg m = { .type = WIRE_HEARTBEAT,
		              .flags = WIRE_RESTARTING,
		              .name = "b",
		              .incarnation = 6,
		              .seq = 3 };
	struct member_peer *p;
	assert_int_equal(member_receive(&member, 600, &m, &p), MEMBER_BELIEVED);
	assert_true(member_holds(p));
	member_tick(&member, 5599, on_event, NULL);
	assert_int_equal(n_died, 2);
	member_tick(&member, 5600, on_event, NULL);
	assert_int_equal(n_died, 3);
	member_tick(&member, 1000000, on_event, NULL);
	assert_int_equal(n_forgotten, 2);
	assert_true(member_majority(&member, 1000000));
	member_fini(&member);
}

static void the_longest_gone_makes_room(void **state)
{
	(void)state;
	start_member();
	char name[WIRE_NAME_SIZE];
	for (unsigned int i = 0; i < MEMBER_PEERS_MAX; i++) {
		snprintf(name, sizeof(name), "peer-%u", i);
		uint32_t seq = beat(i);
		assert_int_equal(hear(i, name, 1 + i, 1, seq), MEMBER_NEW);
	}
	/* All are there: one more must wait. */
	uint32_t seq = beat(300);
	assert_int_equal(hear(301, "late", 999, 1, seq), MEMBER_STRANGER);
	member_tick(&member, 301, on_event, NULL);
	assert_int_equal(hear(302, "late", 999, 2, seq), MEMBER_STRANGER);
	member_tick(&member, 1000, on_event, NULL); /* all die */
	n_forgotten = 0;
	seq = beat(1000);
	assert_int_equal(hear(1001, "late", 999, 3, seq), MEMBER_STRANGER);
	assert_true(member_deadline(&member) <= 1001);
	member_tick(&member, 1001, on_event, NULL);
	assert_int_equal(n_forgotten, 1);
	assert_int_equal(hear(1002, "late", 999, 4, seq), MEMBER_NEW);
	assert_null(member_find(&member, "peer-0"));
	assert_non_null(member_find(&member, "peer-1"));
	member_fini(&member);
}

static void a_peer_that_others_hear_lives(void **state)
{
	(void)state;
	start_member();
	n_died = 0;
	uint32_t seq = beat(0);
	hear(0, "a", 5, 1, seq);
	hear(0, "b", 6, 1, seq);
	struct member_peer *p;
	for (int64_t now = 100; now <= 1000; now += 100) {
		struct wire_msg m = { .type = WIRE_HEARTBEAT,
			              .name = "b",
			              .incarnation = 6,
			              .seq = 1 + (uint32_t)now,
			              .n = 1 };
		m.echoes[0] = (struct wire_echo){ 5, (uint32_t)now, true };
		assert_int_equal(member_receive(&member, now, &m, &p), MEMBER_BELIEVED);
		member_tick(&member, now, on_event, NULL);
	}
	assert_int_equal(n_died, 0);
	/* But the same old word does not keep it alive. */
	for (int64_t now = 1100; now <= 1400; now += 100) {
		struct wire_msg m = { .type = WIRE_HEARTBEAT,
			              .name = "b",
			              .incarnation = 6,
			              .seq = 1 + (uint32_t)now,
			              .n = 1 };
		m.echoes[0] = (struct wire_echo){ 5, 1000, true };
		assert_int_equal(member_receive(&member, now, &m, &p), MEMBER_BELIEVED);
		member_tick(&member, now, on_event, NULL);
	}
	assert_int_equal(n_died, 1);

	/* And its word proves that a stranger is there, which does not hear us. */
	assert_int_equal(hear(1400, "c", 7, 1, 0), MEMBER_STRANGER);
	struct wire_msg m = { .type = WIRE_HEARTBEAT, .name = "b", .incarnation = 6, .seq = 2000 };
	m.echoes[m.n++] = (struct wire_echo){ 7, 1, true };
	assert_int_equal(member_receive(&member, 1410, &m, &p), MEMBER_BELIEVED);
	assert_int_equal(hear(1420, "c", 7, 2, 0), MEMBER_NEW);
	member_fini(&member);
}

/*
 * Somebody's word for a stranger is good for a second and for what it says next: not for what was
 * recorded then.
 */
static void a_word_for_a_stranger_is_good_for_a_while(void **state)
{
	(void)state;
	static const struct {
		int64_t after_ms;
		uint32_t seq; /* 10 is vouched for */
		bool proven;
		enum member_verdict verdict;
	} cases[] = {
		{ 0, 10, true, MEMBER_NEW },         { 1000, 10, true, MEMBER_NEW },
		{ 1001, 10, true, MEMBER_STRANGER }, { 0, 9, true, MEMBER_STRANGER },
		{ 0, 74, true, MEMBER_NEW },         { 0, 75, true, MEMBER_STRANGER },
		{ 1001, 74, true, MEMBER_STRANGER }, { 0, 10, false, MEMBER_STRANGER },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct member_peer *p;
		struct wire_msg word = { .type = WIRE_HEARTBEAT,
			                 .name = "b",
			                 .incarnation = 6,
			                 .seq = 2,
			                 .n = 1,
			                 .echoes = { { 7, 10, cases[i].proven } } };
		start_member();
		hear(0, "b", 6, 1, beat(0));
		assert_int_equal(hear(1, "c", 7, 1, 0), MEMBER_STRANGER);
		assert_int_equal(member_receive(&member, 10, &word, &p), MEMBER_BELIEVED);
		if (hear(10 + cases[i].after_ms, "c", 7, cases[i].seq, 0) != cases[i].verdict)
			fail_msg("case %zu", i);
		member_fini(&member);
	}
}

static void who_does_not_hear_us_is_deaf(void **state)
{
	(void)state;
	start_member();
	uint32_t first = beat(0), seq = first;
	hear(0, "a", 5, 1, seq);
	struct member_peer *p = member_find(&member, "a");
	for (int64_t now = 100; now <= 1000; now += 100) {
		seq = beat(now);
		hear(now, "a", 5, (uint32_t)now, seq);
		assert_false(member_deaf(&member, p, now));
	}
	for (int64_t now = 1100; now <= 1400; now += 100) {
		beat(now);
		hear(now, "a", 5, (uint32_t)now, seq); /* the last that it heard */
		assert_int_equal(member_deaf(&member, p, now), now > 1350);
	}
	member_fini(&member);
}

/* ---- claims ---- */

static void of_two_claims_the_same_one_wins_for_everybody(void **state)
{
	(void)state;
	/* Each wins over all that follow. */
	static const struct {
		struct wire_claim claim;
		const char *node;
	} ladder[] = {
		{ { .identity = { { 1 }, 2 }, .epoch = 1, .flags = WIRE_CLAIM_WEAK }, "b" },
		{ { .identity = { { 2 }, 1 }, .epoch = 1 }, "b" },
		{ { .identity = { { 1 }, 1 }, .epoch = 9 }, "b" },
		{ { .identity = { { 1 }, 1 }, .epoch = 8 }, "a" },
		{ { .identity = { { 1 }, 1 }, .epoch = 8 }, "b" },
		{ { .identity = { { 1 }, 1 }, .epoch = 99, .flags = WIRE_CLAIM_WEAK }, "a" },
		{ { .identity = { { 1 }, 1 }, .epoch = 98, .flags = WIRE_CLAIM_WEAK }, "a" },
	};
	for (size_t i = 0; i < ARRAY_LEN(ladder); i++)
		for (size_t j = 0; j < ARRAY_LEN(ladder); j++) {
			int order = claims_order(&ladder[i].claim, ladder[i].node, &ladder[j].claim,
			                         ladder[j].node);
			if (i < j)
				assert_true(order > 0);
			else if (i > j)
				assert_true(order < 0);
			else
				assert_int_equal(order, 0);
		}
}

/* ---- snapshots ---- */

static void a_snapshot_is_copied_whole(void **state)
{
	(void)state;
	char first[] = "a", second[] = "bcd", where[] = "eth1", routed[] = "eth2";
	const char *nodes[] = { first, second };
	const struct addr low = lan(0), high = lan(3);
	struct l2_range range = { .range = { low, high }, .place = 1 };
	struct l2_place place = { .interfaces = where, .routed = routed };
	bool awaited[] = { false, true };
	struct l2_snapshot s = { .nodes = nodes,
		                 .n_nodes = 2,
		                 .awaited = awaited,
		                 .ranges = &range,
		                 .n_ranges = 1,
		                 .places = &place,
		                 .n_places = 1,
		                 .view_fresh = true };
	struct l2_snapshot *copy = snapshot_copy(&s);

	assert_true(snapshot_eq(copy, &s));
	memset(awaited, false, sizeof(awaited));
	memset(first, 'x', 1);
	memset(&range, 0, sizeof(range));
	memset(where, 'x', 1);
	memset(routed, 'x', 1);
	assert_string_equal(copy->nodes[0], "a");
	assert_string_equal(copy->nodes[1], "bcd");
	assert_true(copy->awaited[1] && !copy->awaited[0]);
	assert_true(addr_eq(&copy->ranges[0].range.last, &high));
	assert_int_equal(copy->ranges[0].place, 1);
	assert_string_equal(copy->places[0].interfaces, "eth1");
	assert_string_equal(copy->places[0].routed, "eth2");
	free(copy);

	struct l2_snapshot nothing = { 0 };
	copy = snapshot_copy(&nothing);
	assert_true(snapshot_eq(copy, &nothing));
	free(copy);
}

/* Each of its members counts. */
static void snapshots_that_differ_are_told_apart(void **state)
{
	(void)state;
	const char *nodes[] = { "a", "b" }, *others[] = { "a", "c" };
	const bool awaited[] = { false, true }, all[] = { true, true };
	const struct l2_range range = { .range = { lan(0), lan(3) } };
	const struct l2_range longer = { .range = { lan(0), lan(4) } };
	const struct l2_range elsewhere = { .range = { lan(0), lan(3) }, .place = 1 };
	const struct l2_place place = { "eth1", "" }, routed = { "eth1", "eth2" };
	const struct l2_snapshot s = { .nodes = nodes,
		                       .n_nodes = 2,
		                       .awaited = awaited,
		                       .ranges = &range,
		                       .n_ranges = 1,
		                       .places = &place,
		                       .n_places = 1 };
	struct l2_snapshot different[14];

	for (size_t i = 0; i < ARRAY_LEN(different); i++)
		different[i] = s;
	different[0].nodes = others;
	different[1].n_nodes = 1;
	different[2].awaited = all;
	different[3].awaited = NULL;
	different[4].ranges = &longer;
	different[5].ranges = &elsewhere;
	different[6].n_ranges = 0;
	different[7].places = &routed;
	different[8].view_fresh = true;
	different[9].refuses4 = true;
	different[10].refuses6 = true;
	different[11].timing.probe_ms = 1;
	different[12].rebalance.per_minute = 1;
	different[13].rebalance.asked = 1;
	assert_true(snapshot_eq(&s, &s));
	for (size_t i = 0; i < ARRAY_LEN(different); i++)
		assert_false(snapshot_eq(&s, &different[i]));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(arp_frames_are_read),
		cmocka_unit_test(arp_answers_go_to_who_asked),
		cmocka_unit_test(only_who_proves_to_be_there_is_believed),
		cmocka_unit_test(strangers_hurry_heartbeats_within_limits),
		cmocka_unit_test(peers_die_and_are_forgotten),
		cmocka_unit_test(the_longest_gone_makes_room),
		cmocka_unit_test(a_peer_that_others_hear_lives),
		cmocka_unit_test(a_word_for_a_stranger_is_good_for_a_while),
		cmocka_unit_test(who_does_not_hear_us_is_deaf),
		cmocka_unit_test(of_two_claims_the_same_one_wins_for_everybody),
		cmocka_unit_test(a_snapshot_is_copied_whole),
		cmocka_unit_test(snapshots_that_differ_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
