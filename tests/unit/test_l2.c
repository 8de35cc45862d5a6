/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#include "fairlead/mem.h"
#include "fairlead/member.h"
#include "fairlead/wire.h"
#include "l2/arp.h"
#include "l2/claims.h"
#include "l2/snapshot.h"

static const uint8_t mac_a[] = { 2, 0, 0, 0, 0, 0xa }, mac_b[] = { 2, 0, 0, 0, 0, 0xb };

/* ---- ARP ---- */

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
	assert_int_equal(p.sender, 0xc0a80164);
	assert_int_equal(p.target, 0xc0a801f0);

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
	struct arp_packet request = { .op = ARP_REQUEST, .sender = 1, .target = 2 };
	memcpy(request.src, mac_a, 6);
	memcpy(request.sender_mac, mac_a, 6);
	struct arp_packet answer = arp_answer(&request, mac_b);
	assert_int_equal(answer.op, ARP_REPLY);
	assert_memory_equal(answer.dst, mac_a, 6);
	assert_memory_equal(answer.src, mac_b, 6);
	assert_memory_equal(answer.sender_mac, mac_b, 6);
	assert_int_equal(answer.sender, 2);
	assert_memory_equal(answer.target_mac, mac_a, 6);
	assert_int_equal(answer.target, 1);

	struct arp_packet probe = arp_probe(mac_b, 2);
	assert_int_equal(probe.sender, 0);
	assert_memory_equal(probe.dst, arp_broadcast, 6);
	for (int op = ARP_REQUEST; op <= ARP_REPLY; op++) {
		struct arp_packet g = arp_gratuitous(mac_b, 2, (enum arp_op)op);
		assert_int_equal(g.op, op);
		assert_int_equal(g.sender, 2);
		assert_int_equal(g.target, 2);
		assert_memory_equal(g.dst, arp_broadcast, 6);
	}
}

/* ---- messages ---- */

static struct wire_msg message(enum wire_type type, size_t n)
{
	struct wire_msg m = { .type = type,
		              .flags = WIRE_FRESH,
		              .name = "node-a",
		              .incarnation = 0x1122334455667788,
		              .seq = 7,
		              .digest = 9,
		              .n_claims = 3,
		              .n = n };

	memcpy(m.mac, mac_a, 6);
	switch (type) {
	case WIRE_HEARTBEAT:
		for (size_t i = 0; i < n; i++)
			m.echoes[i] = (struct wire_echo){ i + 1, (uint32_t)i, i % 2 };
		return m;
	case WIRE_REQUEST:
		for (size_t i = 0; i < n; i++)
			m.targets[i] = i + 1;
		return m;
	case WIRE_SNAPSHOT:
		m.first = 5;
		m.last = 500;
		break;
	case WIRE_RECALL:
		m.target = 99;
		break;
	case WIRE_DELTA:
		break;
	}
	for (size_t i = 0; i < n; i++)
		m.claims[i] = (struct wire_claim){ .addr = 10 + (uint32_t)i,
			                           .uid = { 1, 2, 3 },
			                           .created_us = -1 - (int64_t)i,
			                           .epoch = UINT32_MAX,
			                           .flags = WIRE_CLAIM_GONE };
	return m;
}

static void messages_survive_the_wire(void **state)
{
	(void)state;
	struct wire_key *key = wire_key_new((const uint8_t *)"secret", 6);
	static const struct {
		enum wire_type type;
		size_t max;
	} cases[] = {
		{ WIRE_HEARTBEAT, WIRE_ECHO_MAX }, { WIRE_DELTA, WIRE_CLAIM_MAX },
		{ WIRE_REQUEST, WIRE_TARGET_MAX }, { WIRE_SNAPSHOT, WIRE_CLAIM_MAX },
		{ WIRE_RECALL, WIRE_CLAIM_MAX },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t n = 0; n <= cases[i].max; n += cases[i].max) {
			uint8_t frame[WIRE_FRAME_MAX], again[WIRE_FRAME_MAX];
			struct wire_msg in = message(cases[i].type, n), out;
			/* The longest name must leave room for the longest body. */
			memset(in.name, 'x', WIRE_NAME_SIZE - 1);
			size_t size = wire_encode(key, &in, 0xc0a8010b, frame);
			assert_in_range(size, 100, WIRE_FRAME_MAX);
			assert_int_equal(wire_decode(key, frame, size, &out), 0);
			assert_int_equal(out.type, in.type);
			assert_string_equal(out.name, in.name);
			assert_int_equal(out.n, n);
			assert_int_equal(wire_encode(key, &out, 0xc0a8010b, again), size);
			assert_memory_equal(frame, again, size);
		}
	wire_key_free(key);
}

/*
 * As many elements as fit, and not one less; the steps in which a node tells its MTU are never too
 * large.
 */
static void messages_fit_the_mtu(void **state)
{
	(void)state;
	static const size_t mtus[] = { 68,  150,  214,  215,  300,  576,  600,  800,
		                       999, 1000, 1280, 1399, 1400, 1500, 9000, 65535 };
	static const enum wire_type types[] = { WIRE_HEARTBEAT, WIRE_DELTA, WIRE_REQUEST,
		                                WIRE_SNAPSHOT, WIRE_RECALL };
	static const size_t most[] = { WIRE_ECHO_MAX, WIRE_CLAIM_MAX, WIRE_TARGET_MAX,
		                       WIRE_CLAIM_MAX, WIRE_CLAIM_MAX };
	static const size_t name_lens[] = { 1, 6, WIRE_NAME_SIZE - 1 };
	struct wire_key *key = wire_key_new((const uint8_t *)"secret", 6);
	for (size_t i = 0; i < ARRAY_LEN(mtus) * ARRAY_LEN(types) * ARRAY_LEN(name_lens); i++) {
		size_t mtu = mtus[i % ARRAY_LEN(mtus)],
		       type = i / ARRAY_LEN(mtus) % ARRAY_LEN(types);
		size_t name_len = name_lens[i / ARRAY_LEN(mtus) / ARRAY_LEN(types)];
		size_t room = wire_room(types[type], name_len, mtu);
		uint8_t frame[WIRE_FRAME_MAX];
		struct wire_msg in = message(types[type], room), out;
		memset(in.name, 0, sizeof(in.name));
		memset(in.name, 'x', name_len);
		in.mtu = (uint16_t)(mtu < WIRE_DATAGRAM_MAX ? mtu : 0);
		size_t size = wire_encode(key, &in, 1, frame);
		if (room > 0)
			assert_in_range(size, 100, mtu + 14);
		assert_int_equal(wire_decode(key, frame, size, &out), 0);
		assert_int_equal(out.n, room);
		assert_int_equal(out.flags, in.flags);
		if (mtu >= WIRE_DATAGRAM_MAX)
			assert_int_equal(out.mtu, 0);
		else if (mtu >= 200)
			assert_in_range(out.mtu, mtu - WIRE_MTU_STEP + 1, mtu);
		if (room < most[type]) {
			in = message(types[type], room + 1);
			memset(in.name, 'x', name_len);
			in.name[name_len] = '\0';
			assert_true(wire_encode(key, &in, 1, frame) > mtu + 14);
		}
		if (mtu >= wire_mtu_min(name_len))
			assert_true(room >= 1);
	}
	/* With an Ethernet's MTU they are as large as they may be. */
	assert_int_equal(wire_room(WIRE_SNAPSHOT, WIRE_NAME_SIZE - 1, 1500), WIRE_CLAIM_MAX);
	assert_int_equal(wire_room(WIRE_HEARTBEAT, WIRE_NAME_SIZE - 1, 1500), WIRE_ECHO_MAX);
	wire_key_free(key);
}

static void messages_are_refused(void **state)
{
	(void)state;
	struct wire_key *key = wire_key_new((const uint8_t *)"secret", 6);
	struct wire_key *wrong = wire_key_new((const uint8_t *)"Secret", 6);
	struct wire_key *none = wire_key_new(NULL, 0);
	uint8_t frame[WIRE_FRAME_MAX], changed[WIRE_FRAME_MAX];
	struct wire_msg in = message(WIRE_DELTA, 2), out;
	size_t size = wire_encode(key, &in, 0xc0a8010b, frame);

	assert_int_equal(wire_decode(wrong, frame, size, &out), -EBADMSG);
	assert_int_equal(wire_decode(none, frame, size, &out), -EBADMSG);
	assert_int_equal(wire_encode(none, &in, 0, changed), 0);
	/* One bit anywhere in the payload, and every truncation. */
	for (size_t i = 42; i < size; i++) {
		memcpy(changed, frame, size);
		changed[i] ^= 1;
		assert_int_equal(wire_decode(key, changed, size, &out), -EBADMSG);
	}
	for (size_t cut = 0; cut < size; cut++)
		assert_true(wire_decode(key, frame, cut, &out) < 0);
	/* Routed: not from this segment. */
	memcpy(changed, frame, size);
	changed[14 + 8] = 254;
	assert_int_equal(wire_decode(key, changed, size, &out), -EBADMSG);
	/* Another group, port, protocol: not ours. */
	static const size_t not_ours[] = { 12, 14 + 9, 14 + 19, 34 + 3 };
	for (size_t i = 0; i < ARRAY_LEN(not_ours); i++) {
		memcpy(changed, frame, size);
		changed[not_ours[i]] ^= 3;
		assert_int_equal(wire_decode(key, changed, size, &out), -ENOMSG);
	}
	/* Signed, but a name that could forge a log line. */
	memcpy(in.name, "a b", 4);
	size = wire_encode(key, &in, 0, frame);
	assert_int_equal(wire_decode(key, frame, size, &out), -EPROTO);
	wire_key_free(key);
	wire_key_free(wrong);
	wire_key_free(none);
}

/* ---- members ---- */

static struct member member;

static void start_member(void)
{
	struct member_options opts = { .node = "us",
		                       .incarnation = 1000,
		                       .heartbeat_ms = 100,
		                       .dead_ms = 350,
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
	assert_int_equal(hear(200, "b", 6, 2, 0), MEMBER_BELIEVED);
	member_tick(&member, 360, on_event, NULL);
	assert_int_equal(n_died, 0);
	member_tick(&member, 361, on_event, NULL);
	assert_int_equal(n_died, 1);
	assert_true(member_majority(&member, 361));
	assert_false(member_majority(&member, 450)); /* b is not dead, but silent */
	member_tick(&member, 551, on_event, NULL);
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
		{ { .created_us = 2, .uid = { 1 }, .epoch = 1, .flags = WIRE_CLAIM_WEAK }, "b" },
		{ { .created_us = 1, .uid = { 2 }, .epoch = 1 }, "b" },
		{ { .created_us = 1, .uid = { 1 }, .epoch = 9 }, "b" },
		{ { .created_us = 1, .uid = { 1 }, .epoch = 8 }, "a" },
		{ { .created_us = 1, .uid = { 1 }, .epoch = 8 }, "b" },
		{ { .created_us = 1, .uid = { 1 }, .epoch = 99, .flags = WIRE_CLAIM_WEAK }, "a" },
		{ { .created_us = 1, .uid = { 1 }, .epoch = 98, .flags = WIRE_CLAIM_WEAK }, "a" },
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
	char first[] = "a", second[] = "bcd";
	const char *nodes[] = { first, second };
	uint16_t both[] = { 0, 1 }, one[] = { 1 };
	struct l2_want wants[5] = {
		{ .candidates = both, .n_candidates = 2 },
		{ .candidates = both, .n_candidates = 2 },
		{ .candidates = NULL, .n_candidates = 0 },
		{ .candidates = one, .n_candidates = 1 },
		{ .candidates = one, .n_candidates = 1 },
	};
	for (size_t i = 0; i < 4; i++)
		wants[i].addr = (struct addr){ .family = 4, .b = { 192, 168, 1, (uint8_t)i } };
	wants[4].addr.family = 6;
	struct addr_range range = { wants[0].addr, wants[3].addr };
	struct l2_snapshot s = { nodes, 2, wants, 5, &range, 1, true };
	struct l2_snapshot *copy = snapshot_copy(&s);

	memset(first, 'x', 1);
	memset(both, 0xff, sizeof(both));
	memset(one, 0xff, sizeof(one));
	memset(&range, 0, sizeof(range));
	assert_string_equal(copy->nodes[0], "a");
	assert_string_equal(copy->nodes[1], "bcd");
	assert_int_equal(copy->n_wants, 4); /* IPv6 is left out */
	for (size_t i = 0; i < 4; i++) {
		assert_true(addr_eq(&copy->wants[i].addr, &wants[i].addr));
		assert_int_equal(copy->wants[i].n_candidates, wants[i].n_candidates);
	}
	assert_int_equal(copy->wants[1].candidates[1], 1);
	assert_int_equal(copy->wants[3].candidates[0], 1);
	assert_true(addr_eq(&copy->ranges[0].last, &wants[3].addr));
	free(copy);

	struct l2_snapshot nothing = { 0 };
	copy = snapshot_copy(&nothing);
	assert_int_equal(copy->n_wants, 0);
	free(copy);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(arp_frames_are_read),
		cmocka_unit_test(arp_answers_go_to_who_asked),
		cmocka_unit_test(messages_survive_the_wire),
		cmocka_unit_test(messages_fit_the_mtu),
		cmocka_unit_test(messages_are_refused),
		cmocka_unit_test(only_who_proves_to_be_there_is_believed),
		cmocka_unit_test(strangers_hurry_heartbeats_within_limits),
		cmocka_unit_test(peers_die_and_are_forgotten),
		cmocka_unit_test(the_longest_gone_makes_room),
		cmocka_unit_test(a_peer_that_others_hear_lives),
		cmocka_unit_test(a_word_for_a_stranger_is_good_for_a_while),
		cmocka_unit_test(who_does_not_hear_us_is_deaf),
		cmocka_unit_test(of_two_claims_the_same_one_wins_for_everybody),
		cmocka_unit_test(a_snapshot_is_copied_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
