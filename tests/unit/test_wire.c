/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Messages of speakers as bytes, in both versions.
 */
#include "unit.h"

#include <errno.h>
#include <openssl/hmac.h>

#include "fairlead/mem.h"
#include "fairlead/wire.h"

static const uint8_t mac_a[] = { 2, 0, 0, 0, 0, 0xa };
/* in a frame of IPv4 */
#define PAYLOAD_AT 42
static const struct addr source = { .family = 4, .b = { 192, 168, 1, 11 } };
/* fe80::a */
static const struct addr source6 = { .family = 6, .b = { [0] = 0xfe, [1] = 0x80, [15] = 0xa } };
/* Of the UDP header in a frame of IPv4. */
#define UDP_AT 34

static struct addr lan(uint8_t host)
{
	return (struct addr){ .family = 4, .b = { 192, 168, 1, host } };
}

/* 2001:db8::HOST */
static struct addr lan6(uint8_t host)
{
	return (struct addr){ .family = 6,
		              .b = { [0] = 0x20, [1] = 1, [2] = 0xd, [3] = 0xb8, [15] = host } };
}

static struct wire_key *make_key(const char *text)
{
	return wire_key_new((const uint8_t *)text, strlen(text));
}

static struct wire_msg message(enum wire_type type, size_t n)
{
	struct wire_msg m = { .type = type,
		              .flags = WIRE_FRESH,
		              .name = "node-a",
		              .incarnation = 0x1122334455667788,
		              .seq = 7,
		              .digest = 9,
		              .n_claims = 3,
		              .digest_v4 = 8,
		              .n_claims_v4 = 2,
		              .heartbeat_ms = 40,
		              .multiplier = 4,
		              .n = n };

	memcpy(m.mac, mac_a, 6);
	switch (type) {
	case WIRE_HEARTBEAT:
		m.more = WIRE_SETTLED | WIRE_REFUSES_6;
		m.source6 = source6;
		for (size_t i = 0; i < n; i++)
			m.echoes[i] = (struct wire_echo){ i + 1, (uint32_t)i, i % 2 };
		return m;
	case WIRE_REQUEST:
		for (size_t i = 0; i < n; i++)
			m.targets[i] = i + 1;
		return m;
	case WIRE_SNAPSHOT:
		m.first = lan(5);
		m.last = lan(250);
		break;
	case WIRE_RECALL:
		m.target = 99;
		break;
	case WIRE_DELTA:
		break;
	}
	for (size_t i = 0; i < n; i++)
		m.claims[i] = (struct wire_claim){ .addr = lan((uint8_t)(10 + i)),
			                           .identity = { { 1, 2, 3 }, -1 - (int64_t)i },
			                           .epoch = UINT32_MAX,
			                           .flags = WIRE_CLAIM_GONE };
	return m;
}

static const enum wire_type types[] = { WIRE_HEARTBEAT, WIRE_DELTA, WIRE_REQUEST, WIRE_SNAPSHOT,
	                                WIRE_RECALL };

static void messages_survive_the_wire(void **state)
{
	(void)state;
	struct wire_key *key = wire_key_new((const uint8_t *)"secret", 6);
	for (size_t i = 0; i < 2 * ARRAY_LEN(types); i++) {
		enum wire_type type = types[i / 2];
		const struct addr *from = i % 2 ? &source6 : &source;
		size_t max = wire_room(type, WIRE_NAME_SIZE - 1, WIRE_DATAGRAM_MAX);
		assert_true(max > 0);
		for (size_t n = 0; n <= max; n += max) {
			uint8_t frame[WIRE_FRAME_MAX], again[WIRE_FRAME_MAX];
			struct wire_msg in = message(type, n), out;
			/* The longest name must leave room for the longest body. */
			memset(in.name, 'x', WIRE_NAME_SIZE - 1);
			size_t size = wire_encode(key, &in, from, frame);
			assert_in_range(size, 100, WIRE_FRAME_MAX);
			assert_int_equal(wire_decode(key, frame, size, &out), 0);
			assert_int_equal(out.version, 2);
			assert_int_equal(out.type, in.type);
			assert_string_equal(out.name, in.name);
			assert_int_equal(out.n, n);
			assert_true(addr_eq(&out.source, from));
			assert_int_equal(wire_encode(key, &out, from, again), size);
			assert_memory_equal(frame, again, size);
		}
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
	static const size_t mtus[] = { 68,  150,  259,  260,  300,  576,  600,  800,
		                       999, 1000, 1280, 1399, 1400, 1500, 9000, 65535 };
	static const size_t most[] = { WIRE_ECHO_MAX, WIRE_CLAIM_FIT, WIRE_TARGET_MAX,
		                       WIRE_CLAIM_FIT, WIRE_CLAIM_FIT };
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
		/* IPv6 has the larger header. */
		size_t size = wire_encode(key, &in, &source6, frame);
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
			size = wire_encode(key, &in, &source6, frame);
			assert_true(size == 0 || size > mtu + 14);
		}
		if (mtu >= wire_mtu_min(name_len))
			assert_true(room >= 1);
	}
	/* With an Ethernet's MTU they are as large as they may be. */
	assert_int_equal(wire_room(WIRE_SNAPSHOT, 20, 1500), WIRE_CLAIM_FIT);
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
	size_t size = wire_encode(key, &in, &source, frame);

	assert_int_equal(wire_decode(wrong, frame, size, &out), -EBADMSG);
	assert_int_equal(wire_decode(none, frame, size, &out), -EBADMSG);
	assert_int_equal(wire_encode(none, &in, &source, changed), 0);
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
	static const size_t not_ours[] = { 12, 14 + 9, 14 + 19, UDP_AT + 2 };
	for (size_t i = 0; i < ARRAY_LEN(not_ours); i++) {
		memcpy(changed, frame, size);
		changed[not_ours[i]] ^= 3;
		assert_int_equal(wire_decode(key, changed, size, &out), -ENOMSG);
	}
	/* Signed, but a name that could forge a log line. */
	memcpy(in.name, "a b", 4);
	size = wire_encode(key, &in, &source, frame);
	assert_int_equal(wire_decode(key, frame, size, &out), -EPROTO);
	wire_key_free(key);
	wire_key_free(wrong);
	wire_key_free(none);
}

/* ---- versions ---- */

/* Written by another hand than the code's, from the description in wire.h. */
static const uint8_t heartbeat_v2[] = {
	0x01, 0x00, 0x5e, 0x00, 0x00, 0xad, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x08, 0x00,
	0x45, 0xc0, 0x00, 0x8b, 0x00, 0x00, 0x40, 0x00, 0xff, 0x11, 0xd8, 0x40, 0xc0, 0xa8,
	0x01, 0x0b, 0xe0, 0x00, 0x00, 0xad, 0x1d, 0x32, 0x1d, 0x32, 0x00, 0x77, 0xad, 0x97,
	0x46, 0x4c, 0x48, 0x42, 0x02, 0x01, 0x04, 0x06, 0x6e, 0x6f, 0x64, 0x65, 0x2d, 0x61,
	0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,
	0x00, 0x00, 0x00, 0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x09, 0x00, 0x00,
	0x00, 0x03, 0x00, 0x28, 0x04, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x09, 0x00, 0x00, 0x00, 0x08, 0x01, 0x05, 0xfe, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0a, 0xb9, 0x08, 0x91, 0x4c, 0x57,
	0x3c, 0x0e, 0x4d, 0x1b, 0x7a, 0xbc, 0x0e, 0xae, 0x28, 0x04, 0xab, 0x33, 0x9f, 0x91,
	0x5f, 0x23, 0xe7, 0xde, 0xf3, 0xb2, 0xea, 0x16, 0x07, 0x52, 0xb5, 0x20, 0x6a,
};
static const uint8_t heartbeat_v1[] = {
	0x01, 0x00, 0x5e, 0x00, 0x00, 0xad, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x08, 0x00, 0x45,
	0xc0, 0x00, 0x77, 0x00, 0x00, 0x40, 0x00, 0xff, 0x11, 0xd8, 0x54, 0xc0, 0xa8, 0x01, 0x0b,
	0xe0, 0x00, 0x00, 0xad, 0x1d, 0x32, 0x1d, 0x31, 0x00, 0x63, 0x29, 0x8b, 0x46, 0x4c, 0x48,
	0x42, 0x01, 0x01, 0x04, 0x06, 0x6e, 0x6f, 0x64, 0x65, 0x2d, 0x61, 0x02, 0x00, 0x00, 0x00,
	0x00, 0x0a, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x00, 0x00, 0x00, 0x07, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x02, 0x00, 0x01, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x09, 0x00, 0x00, 0x00, 0x08, 0x01, 0xe9, 0xba, 0x46, 0x21,
	0xbc, 0x94, 0x4e, 0x9d, 0x58, 0xa8, 0xe5, 0x54, 0xab, 0x5d, 0x43, 0x20, 0x27, 0x80, 0xe2,
	0x2e, 0xe3, 0x9b, 0x94, 0x49, 0x8b, 0xc5, 0xc2, 0x77, 0x13, 0xbf, 0x40, 0x36,
};
static const uint8_t delta_v6[] = {
	0x33, 0x33, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x86, 0xdd, 0x6c,
	0x00, 0x00, 0x00, 0x00, 0xb0, 0x11, 0xff, 0xfe, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0a, 0xff, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x1d, 0x32, 0x1d, 0x32, 0x00, 0xb0,
	0x6f, 0x6a, 0x46, 0x4c, 0x48, 0x42, 0x02, 0x02, 0x04, 0x06, 0x6e, 0x6f, 0x64, 0x65, 0x2d,
	0x61, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,
	0x00, 0x00, 0x00, 0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x09, 0x00, 0x00, 0x00,
	0x03, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff,
	0xc0, 0xa8, 0x01, 0xf0, 0x01, 0x02, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xfe, 0x80, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0xf0, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00,
	0x00, 0x06, 0x01, 0x53, 0x96, 0x37, 0xa6, 0x86, 0xe6, 0xda, 0x26, 0xbc, 0xfb, 0x6a, 0x61,
	0xc6, 0x9b, 0x7c, 0xd9, 0x15, 0x67, 0xc7, 0xa5, 0x0b, 0xf6, 0x49, 0xe1, 0x26, 0x89, 0x3d,
	0x1e, 0x71, 0x20, 0x55, 0x5a,
};
static const uint8_t delta_v1[] = {
	0x01, 0x00, 0x5e, 0x00, 0x00, 0xad, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x08, 0x00,
	0x45, 0xc0, 0x00, 0x8b, 0x00, 0x00, 0x40, 0x00, 0xff, 0x11, 0xd8, 0x40, 0xc0, 0xa8,
	0x01, 0x0b, 0xe0, 0x00, 0x00, 0xad, 0x1d, 0x32, 0x1d, 0x31, 0x00, 0x77, 0xc7, 0x48,
	0x46, 0x4c, 0x48, 0x42, 0x01, 0x02, 0x04, 0x06, 0x6e, 0x6f, 0x64, 0x65, 0x2d, 0x61,
	0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,
	0x00, 0x00, 0x00, 0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00,
	0x00, 0x02, 0x00, 0x01, 0xc0, 0xa8, 0x01, 0xf0, 0x01, 0x02, 0x03, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0x80, 0x03, 0xcf, 0x57, 0x2f, 0x50,
	0x4d, 0xf0, 0x52, 0x10, 0xbc, 0xa0, 0x68, 0x90, 0xb0, 0xc4, 0x8b, 0x20, 0x23, 0xce,
	0x80, 0x49, 0xfa, 0x04, 0xcd, 0x02, 0xb1, 0x34, 0x02, 0xa8, 0x64, 0x5c, 0xea,
};

static void the_bytes_are_these(void **state)
{
	(void)state;
	static const struct {
		enum wire_type type;
		uint8_t version;
		const struct addr *from;
		const uint8_t *frame;
		size_t size;
	} cases[] = {
		{ WIRE_HEARTBEAT, 2, &source, heartbeat_v2, sizeof(heartbeat_v2) },
		{ WIRE_HEARTBEAT, 1, &source, heartbeat_v1, sizeof(heartbeat_v1) },
		{ WIRE_DELTA, 2, &source6, delta_v6, sizeof(delta_v6) },
		{ WIRE_DELTA, 1, &source, delta_v1, sizeof(delta_v1) },
	};
	struct wire_key *key = make_key("secret");

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct wire_msg in = message(cases[i].type, 0);
		uint8_t frame[WIRE_FRAME_MAX];
		in.version = cases[i].version;
		if (in.type == WIRE_HEARTBEAT) {
			in.echoes[in.n++] = (struct wire_echo){ 9, 8, true };
		} else {
			in.claims[in.n++] = (struct wire_claim){
				lan(240), { { 1, 2, 3 }, -1 }, UINT32_MAX - 1, WIRE_CLAIM_GONE
			};
			in.claims[in.n++] =
				(struct wire_claim){ lan6(0xf0), { { 4 }, 5 }, 6, WIRE_CLAIM_WEAK };
		}
		assert_int_equal(wire_encode(key, &in, cases[i].from, frame), cases[i].size);
		for (size_t k = 0; k < cases[i].size; k++)
			if (frame[k] != cases[i].frame[k])
				fail_msg("case %zu, byte %zu: %02x", i, k, frame[k]);
	}
	wire_key_free(key);
}

/* As a speaker of version 1 would send it, or as the copy of what was said in version 2. */
static size_t encode_v1(struct wire_key *key, struct wire_msg *m, bool copy, uint8_t *frame)
{
	m->version = 1;
	size_t size = wire_encode(key, m, &source, frame);
	if (!copy) {
		frame[UDP_AT] = WIRE_PORT_V1 >> 8;
		frame[UDP_AT + 1] = WIRE_PORT_V1 & 0xff;
	}
	return size;
}

static void version_1_is_understood(void **state)
{
	(void)state;
	struct wire_key *key = make_key("secret");
	uint8_t frame[WIRE_FRAME_MAX];

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct wire_msg in = message(types[i], 2), out;
		size_t size = encode_v1(key, &in, false, frame);
		assert_int_equal(wire_decode(key, frame, size, &out), 0);
		assert_int_equal(out.version, 1);
		assert_int_equal(out.n, 2);
		assert_int_equal(out.digest, 8);
		assert_int_equal(out.n_claims, 2);
		assert_int_equal(out.heartbeat_ms, 0);
		/* We said the same in version 2. */
		assert_int_equal(encode_v1(key, &in, true, frame), size);
		assert_int_equal(wire_decode(key, frame, size, &out), -ENOMSG);
		/* Version 1 to the port of version 2, and the other way round. */
		frame[UDP_AT + 3] = WIRE_PORT & 0xff;
		assert_int_equal(wire_decode(key, frame, size, &out), -EPROTO);
		in.version = 2;
		size = wire_encode(key, &in, &source, frame);
		frame[UDP_AT + 1] = frame[UDP_AT + 3] = WIRE_PORT_V1 & 0xff;
		assert_int_equal(wire_decode(key, frame, size, &out), -EPROTO);
		size = wire_encode(key, &in, &source6, frame);
		frame[54 + 1] = frame[54 + 3] = WIRE_PORT_V1 & 0xff;
		assert_int_equal(wire_decode(key, frame, size, &out), -ENOMSG);
	}
	wire_key_free(key);
}

static void version_1_hears_of_ipv4_alone(void **state)
{
	(void)state;
	static const struct {
		bool first_is_v6, last_is_v6;
	} parts[] = { { false, false }, { false, true }, { true, true } };
	struct wire_key *key = make_key("secret");

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		struct wire_msg in = message(WIRE_SNAPSHOT, 2), out;
		uint8_t frame[WIRE_FRAME_MAX];
		in.claims[parts[i].first_is_v6 ? 0 : 1].addr = lan6(9);
		in.first = parts[i].first_is_v6 ? lan6(1) : lan(1);
		in.last = parts[i].last_is_v6 ? lan6(200) : lan(200);
		size_t size = encode_v1(key, &in, false, frame);
		assert_int_equal(wire_decode(key, frame, size, &out), 0);
		assert_int_equal(out.n, 1);
		assert_int_equal(out.claims[0].addr.family, 4);
		assert_int_equal(out.first.family, 4);
		assert_int_equal(out.last.family, 4);
		if (parts[i].first_is_v6) { /* about no address */
			assert_true(addr_cmp(&out.first, &out.last) > 0);
			continue;
		}
		assert_true(addr_eq(&out.first, &in.first));
		/* All that is left of them is in it. */
		uint8_t end = parts[i].last_is_v6 ? 255 : 200;
		assert_int_equal(out.last.b[3], end);
		assert_int_equal(out.last.b[0], parts[i].last_is_v6 ? 255 : 192);
	}
	wire_key_free(key);
}

/* What it says beyond what we know is no reason not to listen; what cannot be kept to is. */
static void later_speakers_may_say_more(void **state)
{
	(void)state;
	struct wire_key *key = make_key("secret");
	uint8_t frame[WIRE_FRAME_MAX];

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct wire_msg in = message(types[i], 2), out;
		size_t size = wire_encode(key, &in, &source, frame);
		uint8_t *payload = frame + UDP_AT + 8;
		/* What was the signature is something that we do not know. */
		assert_int_equal(wire_parse(payload, size - UDP_AT - 8, &out), 0);
		assert_int_equal(out.n, 2);
		if (in.type == WIRE_HEARTBEAT) { /* nor that an earlier one says less */
			assert_int_equal(out.more, in.more);
			assert_true(addr_eq(&out.source6, &in.source6));
			size_t told = size - UDP_AT - 8 - 32;
			assert_int_equal(wire_parse(payload, told - 1, &out), 0);
			assert_int_equal(out.more, in.more);
			assert_int_equal(out.source6.family, 0);
			assert_int_equal(wire_parse(payload, told - 17, &out), 0);
			assert_int_equal(out.more, 0);
		}
		payload[4] = 3;
		assert_int_equal(wire_parse(payload, size - UDP_AT - 8, &out), -EPROTO);
		in.version = 1;
		size = wire_encode(key, &in, &source, frame);
		assert_int_equal(wire_parse(payload, size - UDP_AT - 8, &out), -EPROTO);
		assert_int_equal(wire_parse(payload, size - UDP_AT - 8 - 32, &out), 0);
	}
	for (size_t i = 0; i < 2; i++) {
		struct wire_msg in = message(WIRE_HEARTBEAT, 2), out;
		in.heartbeat_ms = i ? 0 : 40;
		in.multiplier = i ? 4 : 0;
		size_t size = wire_encode(key, &in, &source, frame);
		assert_int_equal(wire_decode(key, frame, size, &out), -EPROTO);
	}
	wire_key_free(key);
}

/* Keys that fit the hash's block, and ones that are longer. */
static void the_signature_is_that_of_libcrypto(void **state)
{
	(void)state;
	static const size_t sizes[] = { 1, 16, 63, 64, 65, 4096 };
	static uint8_t key[4096];
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i * 7);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct wire_key *k = wire_key_new(key, sizes[i]);
		struct wire_msg m = message(WIRE_HEARTBEAT, 3);
		uint8_t frame[WIRE_FRAME_MAX], expected[32];
		size_t size = wire_encode(k, &m, &source, frame);
		HMAC(EVP_sha256(), key, (int)sizes[i], frame + PAYLOAD_AT, size - PAYLOAD_AT - 32,
		     expected, NULL);
		assert_memory_equal(frame + size - 32, expected, 32);
		wire_key_free(k);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_survive_the_wire),
		cmocka_unit_test(messages_fit_the_mtu),
		cmocka_unit_test(messages_are_refused),
		cmocka_unit_test(the_bytes_are_these),
		cmocka_unit_test(version_1_is_understood),
		cmocka_unit_test(version_1_hears_of_ipv4_alone),
		cmocka_unit_test(later_speakers_may_say_more),
		cmocka_unit_test(the_signature_is_that_of_libcrypto),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
