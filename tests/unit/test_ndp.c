/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Frames of neighbour discovery, byte by byte, and which of them are refused; and that both
 * neighbour protocols say the same thing in their own frames.
 */
#include "unit.h"

#include <errno.h>
#include <stdbool.h>

#include "fairlead/checksum.h"
#include "fairlead/mem.h"
#include "l2/ndp.h"
#include "l2/neighbor.h"

static const uint8_t mac_a[] = { 2, 0, 0, 0, 0, 0xa }, mac_b[] = { 2, 0, 0, 0, 0, 0xb };

/* As an implementation in another language writes them (tests/lab/ndp.py). */
static const uint8_t question[] = {
	0x33, 0x33, 0xff, 0xf0, 0x12, 0x34, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x86, 0xdd, 0x60,
	0x00, 0x00, 0x00, 0x00, 0x20, 0x3a, 0xff, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x64, 0xff, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x01, 0xff, 0xf0, 0x12, 0x34, 0x87, 0x00, 0xf5, 0x76, 0x00, 0x00,
	0x00, 0x00, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0xf0, 0x12, 0x34, 0x01, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0a,
};
static const uint8_t probe[] = {
	0x33, 0x33, 0xff, 0xf0, 0x12, 0x34, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x86,
	0xdd, 0x60, 0x00, 0x00, 0x00, 0x00, 0x18, 0x3a, 0xff, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff,
	0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0xff, 0xf0,
	0x12, 0x34, 0x87, 0x00, 0x26, 0xa7, 0x00, 0x00, 0x00, 0x00, 0x20, 0x01, 0x0d,
	0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xf0, 0x12, 0x34,
};
static const uint8_t announcement[] = {
	0x33, 0x33, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0b, 0x86, 0xdd, 0x60,
	0x00, 0x00, 0x00, 0x00, 0x20, 0x3a, 0xff, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0xf0, 0x12, 0x34, 0xff, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x88, 0x00, 0xd2, 0xda, 0x20, 0x00,
	0x00, 0x00, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0xf0, 0x12, 0x34, 0x02, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0b,
};
static const uint8_t answer[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0b, 0x86, 0xdd, 0x60,
	0x00, 0x00, 0x00, 0x00, 0x20, 0x3a, 0xff, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0xf0, 0x12, 0x34, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x64, 0x88, 0x00, 0x63, 0xc1, 0x60, 0x00,
	0x00, 0x00, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0xf0, 0x12, 0x34, 0x02, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0b,
};

static struct addr addr_of(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static void assert_addr(struct addr a, const char *text)
{
	assert_string_equal(a.family ? addr_str(&a) : "none", text);
}

static void assert_frame(const struct ndp_packet *p, const uint8_t *golden, size_t size)
{
	uint8_t frame[NDP_FRAME_MAX];

	assert_int_equal(ndp_encode(p, frame), size);
	assert_memory_equal(frame, golden, size);
}

static void frames_are_written(void **state)
{
	(void)state;
	struct addr vip = addr_of("2001:db8::f0:1234"), client = addr_of("2001:db8::64");
	struct ndp_packet asked = ndp_question(mac_a, &client, &vip);
	struct ndp_packet p = ndp_probe(mac_a, &vip);

	assert_frame(&asked, question, sizeof(question));
	assert_frame(&p, probe, sizeof(probe));
	p = ndp_announcement(mac_b, &vip);
	assert_frame(&p, announcement, sizeof(announcement));
	p = ndp_answer(&asked, mac_b);
	assert_frame(&p, answer, sizeof(answer));
	/* A probe has no address to answer to. */
	p = ndp_probe(mac_a, &vip);
	p = ndp_answer(&p, mac_b);
	assert_frame(&p, announcement, sizeof(announcement));
	/* Without the option it goes where the question came from. */
	asked.has_mac = false;
	p = ndp_answer(&asked, mac_b);
	assert_frame(&p, answer, sizeof(answer));
}

static void frames_are_read(void **state)
{
	(void)state;
	static const struct {
		const uint8_t *frame;
		size_t size;
		const char *source, *destination;
		bool advertises, solicited, override, has_mac;
	} cases[] = {
		{ question, sizeof(question), "2001:db8::64", "ff02::1:fff0:1234",
		  .has_mac = true },
		{ probe, sizeof(probe), "none", "ff02::1:fff0:1234" },
		{ announcement, sizeof(announcement), "2001:db8::f0:1234", "ff02::1", true, false,
		  true, true },
		{ answer, sizeof(answer), "2001:db8::f0:1234", "2001:db8::64", true, true, true,
		  true },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ndp_packet p;
		uint8_t padded[NDP_FRAME_MAX + 8] = { 0 };
		memcpy(padded, cases[i].frame, cases[i].size);
		assert_int_equal(ndp_decode(padded, cases[i].size + 8, &p), 0);
		assert_int_equal(ndp_decode(cases[i].frame, cases[i].size, &p), 0);
		assert_addr(p.source, cases[i].source);
		assert_addr(p.destination, cases[i].destination);
		assert_addr(p.target, "2001:db8::f0:1234");
		assert_int_equal(p.advertises, cases[i].advertises);
		assert_int_equal(p.solicited, cases[i].solicited);
		assert_int_equal(p.override, cases[i].override);
		assert_false(p.router);
		assert_int_equal(p.has_mac, cases[i].has_mac);
		if (p.has_mac)
			assert_memory_equal(p.mac, p.src, NDP_MAC_SIZE);
		assert_frame(&p, cases[i].frame, cases[i].size);
		for (size_t size = 0; size < cases[i].size; size++)
			assert_int_equal(ndp_decode(cases[i].frame, size, &p), -EINVAL);
	}
}

/* Sets the right checksum after a change. */
static void seal(uint8_t *frame, size_t size)
{
	struct addr source = { .family = 6 }, destination = { .family = 6 };

	memcpy(source.b, frame + 22, 16);
	memcpy(destination.b, frame + 38, 16);
	frame[56] = frame[57] = 0;
	uint16_t sum = checksum(frame + 54, size - 54,
	                        checksum_pseudo(&source, &destination, 58, size - 54));
	frame[56] = (uint8_t)(sum >> 8);
	frame[57] = (uint8_t)sum;
}

/* RFC 4861 7.1.1 and 7.1.2, and RFC 6980. */
static void frames_are_refused(void **state)
{
	(void)state;
	static const struct {
		const uint8_t *frame;
		size_t size, at;
		uint8_t value;
		const char *why;
	} cases[] = {
		{ question, sizeof(question), 12, 0x08, "another protocol" },
		{ question, sizeof(question), 14, 0x40, "not IPv6" },
		{ question, sizeof(question), 20, 44, "a fragment" },
		{ question, sizeof(question), 20, 0, "hop-by-hop options" },
		{ question, sizeof(question), 21, 254, "routed" },
		{ question, sizeof(question), 22, 0xff, "from a group" },
		{ question, sizeof(question), 54, 133, "another message" },
		{ question, sizeof(question), 55, 1, "a code" },
		{ question, sizeof(question), 62, 0xff, "for a group" },
		{ question, sizeof(question), 79, 0, "an option without a size" },
		{ question, sizeof(question), 79, 2, "an option beyond the end" },
		{ probe, sizeof(probe), 39, 5, "a probe to another group" },
		{ probe, sizeof(probe), 53, 0x35, "a probe to another address's group" },
		{ announcement, sizeof(announcement), 58, 0x60, "solicited, and to all" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t wrong[NDP_FRAME_MAX];
		struct ndp_packet p;
		memcpy(wrong, cases[i].frame, cases[i].size);
		wrong[cases[i].at] = cases[i].value;
		seal(wrong, cases[i].size);
		if (ndp_decode(wrong, cases[i].size, &p) != -EINVAL)
			fail_msg("accepted: %s", cases[i].why);
	}

	/* A probe tells no Ethernet address, and an advertisement has a sender. */
	uint8_t wrong[NDP_FRAME_MAX];
	struct ndp_packet p;
	for (size_t i = 0; i < 2; i++) {
		memcpy(wrong, i ? announcement : question, sizeof(wrong));
		memset(wrong + 22, 0, 16);
		seal(wrong, sizeof(wrong));
		assert_int_equal(ndp_decode(wrong, sizeof(wrong), &p), -EINVAL);
	}
	/* Any bit that is turned over in what the checksum covers. */
	for (size_t i = 22; i < sizeof(answer); i++) {
		memcpy(wrong, answer, sizeof(wrong));
		wrong[i] ^= 0x10;
		assert_int_equal(ndp_decode(wrong, sizeof(wrong), &p), -EINVAL);
	}
}

/* Of several options the first counts that is of the right kind and size. */
static void options_are_looked_through(void **state)
{
	(void)state;
	static const uint8_t options[] = {
		14, 1, 1, 2, 3, 4, 5, 6,                         /* a nonce (RFC 7527) */
		1,  2, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, /* not of Ethernet */
		2,  1, 8, 8, 8, 8, 8, 8,                         /* not a solicitation's */
		1,  1, 2, 0, 0, 0, 0, 7, 1, 1, 6, 6, 6, 6, 6, 6,
	};
	uint8_t frame[78 + sizeof(options)];
	struct ndp_packet p;
	memcpy(frame, question, 78);
	memcpy(frame + 78, options, sizeof(options));
	frame[19] = 24 + sizeof(options);
	seal(frame, sizeof(frame));
	assert_int_equal(ndp_decode(frame, sizeof(frame), &p), 0);
	assert_true(p.has_mac);
	assert_memory_equal(p.mac, ((uint8_t[]){ 2, 0, 0, 0, 0, 7 }), NDP_MAC_SIZE);
}

/* ---- both protocols ---- */

struct said {
	const char *frame;
	bool to_all, asks, may_answer_probe;
	const char *sender, *target;
	const uint8_t *mac;
};

static void assert_said(const uint8_t *frame, size_t size, const struct neighbor_ops *ops,
                        const struct said *s, const char *const names[2])
{
	struct neighbor_packet p;
	const struct neighbor_ops *of = NULL;

	assert_int_equal(neighbor_decode(frame, size, &of, &p), 0);
	assert_ptr_equal(of, ops);
	if (p.to_all != s->to_all || p.asks != s->asks || p.may_answer_probe != s->may_answer_probe)
		fail_msg("%s: to all %d, asks %d, may answer %d", s->frame, p.to_all, p.asks,
		         p.may_answer_probe);
	assert_addr(p.sender, *s->sender ? names[*s->sender - '0'] : "none");
	assert_addr(p.target, *s->target ? names[*s->target - '0'] : "none");
	assert_memory_equal(p.mac, s->mac, NEIGHBOR_MAC_SIZE);
}

/* What a segment sees of a conversation is the same in both; "0" is the node, "1" the address. */
static void both_protocols_say_the_same(void **state)
{
	(void)state;
	static const char *const names[][2] = {
		{ "192.168.1.11", "192.168.1.240" },
		{ "2001:db8::11", "2001:db8::240" },
	};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct addr node = addr_of(names[i][0]), vip = addr_of(names[i][1]);
		const struct neighbor_ops *ops = neighbor_of(node.family), *of;
		bool arp = ops == &neighbor_arp;
		uint8_t f[NEIGHBOR_FRAME_MAX], g[NEIGHBOR_FRAME_MAX];
		struct neighbor_packet p;

		size_t n = ops->probe(mac_a, &vip, f);
		assert_said(f, n, ops, &(struct said){ "probe", true, true, false, "", "1", mac_a },
		            names[i]);
		/* Its answer: to us alone by ARP, to all by the other. */
		assert_int_equal(neighbor_decode(f, n, &of, &p), 0);
		n = ops->answer(mac_b, &p, g);
		assert_said(g, n, ops,
		            &(struct said){ "its answer", !arp, false, true, "1", "", mac_b },
		            names[i]);
		n = ops->ask(mac_a, mac_b, &node, &vip, f);
		assert_memory_equal(f, mac_b, 6);
		assert_said(f, n, ops, &(struct said){ "ask", false, true, false, "0", "1", mac_a },
		            names[i]);
		assert_int_equal(neighbor_decode(f, n, &of, &p), 0);
		n = ops->answer(mac_b, &p, g);
		assert_memory_equal(g, mac_a, 6);
		assert_said(g, n, ops,
		            &(struct said){ "answer", false, false, false, "1", "0", mac_b },
		            names[i]);
		size_t frames = 0;
		for (; (n = ops->announce(mac_b, &vip, frames, f)) > 0; frames++) {
			assert_int_equal(neighbor_decode(f, n, &of, &p), 0);
			assert_true(p.to_all);
			assert_addr(p.sender, names[i][1]);
		}
		assert_int_equal(frames, arp ? 2 : 1);
		struct addr group;
		assert_int_equal(ops->join(&vip, &group), !arp);
		if (!arp)
			assert_addr(group, "ff02::1:ff00:240");
	}
	assert_null(neighbor_of(0));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_written),
		cmocka_unit_test(frames_are_read),
		cmocka_unit_test(frames_are_refused),
		cmocka_unit_test(options_are_looked_through),
		cmocka_unit_test(both_protocols_say_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
