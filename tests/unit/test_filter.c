/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <pcap/pcap.h>
#include <stdlib.h>

#include "fairlead/mem.h"
#include "fairlead/wire.h"
#include "l2/filter.h"

static struct addr ip(const char *s)
{
	struct addr a;

	assert_int_equal(addr_parse(s, &a), 0);
	return a;
}

static struct l2_range range(const char *first, const char *last)
{
	return (struct l2_range){ .range = { ip(first), ip(last) } };
}

/* ---- frames ---- */

struct frame {
	uint8_t b[128];
	size_t size;
};

static struct frame arp(const char *sender, const char *target)
{
	struct frame f = { .size = 60 };

	memset(f.b, 0xff, 6);
	memcpy(f.b + 12, "\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01", 10);
	memcpy(f.b + 28, ip(sender).b, 4);
	memcpy(f.b + 38, ip(target).b, 4);
	return f;
}

static struct frame ndp(uint8_t type, const char *target)
{
	struct frame f = { .b = { 0x33, 0x33 }, .size = 78 };

	memcpy(f.b + 12, "\x86\xdd\x60", 3);
	f.b[14 + 6] = IPPROTO_ICMPV6;
	f.b[14 + 40] = type;
	memcpy(f.b + 14 + 48, ip(target).b, 16);
	return f;
}

static struct frame message(uint16_t port, const char *group)
{
	struct frame f = { .size = 100 };

	memcpy(f.b + 12, "\x08\x00\x45", 3);
	f.b[14 + 9] = IPPROTO_UDP;
	memcpy(f.b + 14 + 16, ip(group).b, 4);
	f.b[14 + 20 + 2] = (uint8_t)(port >> 8);
	f.b[14 + 20 + 3] = (uint8_t)port;
	return f;
}

/* In the words of pcap-filter(7): the kernel knows more of a frame than its bytes. */
static struct bpf_program compiled_text(const struct buf *text)
{
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, FILTER_SNAPSHOT_SIZE);
	struct bpf_program program;

	assert_int_equal(pcap_compile(pcap, &program, buf_str(text), 1, PCAP_NETMASK_UNKNOWN), 0);
	pcap_close(pcap);
	return program;
}

static struct bpf_program compiled(const struct l2_range *ranges, size_t n)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;

	filter_put(ranges, n, &text);
	return compiled_text(&text);
}

static bool passes(const struct bpf_program *p, struct frame f)
{
	const struct pcap_pkthdr header = { .caplen = (bpf_u_int32)f.size,
		                            .len = (bpf_u_int32)f.size };

	return pcap_offline_filter(p, &header, f.b) != 0;
}

/* ---- tests ---- */

static void what_is_about_pools_passes(void **state)
{
	(void)state;
	const struct l2_range ranges[] = { range("2001:db8::10", "2001:db8::1f"),
		                           range("198.51.100.7", "198.51.100.7"),
		                           range("192.0.2.240", "192.0.2.250") };
	struct bpf_program p = compiled(ranges, ARRAY_LEN(ranges));

	assert_true(passes(&p, arp("192.0.2.1", "192.0.2.240")));
	assert_true(passes(&p, arp("192.0.2.1", "192.0.2.250")));
	assert_true(passes(&p, arp("0.0.0.0", "198.51.100.7")));
	assert_true(passes(&p, arp("192.0.2.244", "192.0.2.1"))); /* somebody uses it */
	assert_false(passes(&p, arp("192.0.2.1", "192.0.2.239")));
	assert_false(passes(&p, arp("192.0.2.1", "192.0.2.251")));
	assert_false(passes(&p, arp("198.51.100.6", "198.51.100.8")));
	assert_true(passes(&p, ndp(135, "2001:db8::10")));
	assert_true(passes(&p, ndp(136, "2001:db8::1f")));
	assert_false(passes(&p, ndp(135, "2001:db8::20")));
	assert_false(passes(&p, ndp(135, "2001:db8:0:1::10")));
	assert_false(passes(&p, ndp(134, "2001:db8::10")));
	assert_false(passes(&p, message(WIRE_PORT, WIRE_GROUP_TEXT)));
	pcap_freecode(&p);
}

/* They have a queue of their own, which nobody fills who only asks. */
static void messages_have_a_filter_of_their_own(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf text = BUF_INIT;

	filter_put_messages(&text);
	struct bpf_program p = compiled_text(&text);
	assert_true(passes(&p, message(WIRE_PORT, WIRE_GROUP_TEXT)));
	assert_true(passes(&p, message(WIRE_PORT_V1, WIRE_GROUP_TEXT)));
	assert_false(passes(&p, message(WIRE_PORT, "192.0.2.240")));
	assert_false(passes(&p, message(53, WIRE_GROUP_TEXT)));
	assert_false(passes(&p, arp("192.0.2.1", "192.0.2.240")));
	assert_false(passes(&p, ndp(135, "2001:db8::10")));
	pcap_freecode(&p);
}

/* Whether another node is alive is asked at its own address. */
static void what_is_sent_to_us_alone_passes(void **state)
{
	(void)state;
	const struct l2_range none = range("192.0.2.240", "192.0.2.250");
	struct bpf_program p = compiled(&none, 1);
	struct frame reply = arp("192.0.2.12", "192.0.2.11"),
		     advertisement = ndp(136, "2001:db8::12");

	assert_false(passes(&p, reply));
	assert_false(passes(&p, advertisement));
	reply.b[0] = advertisement.b[0] = 0x02;
	assert_true(passes(&p, reply));
	assert_true(passes(&p, advertisement));
	pcap_freecode(&p);
}

static void a_family_without_pools_is_not_heard_of(void **state)
{
	(void)state;
	const struct l2_range range4 = range("192.0.2.240", "192.0.2.250");
	struct bpf_program p = compiled(&range4, 1);

	assert_true(passes(&p, arp("192.0.2.1", "192.0.2.240")));
	assert_false(passes(&p, ndp(135, "2001:db8::10")));
	pcap_freecode(&p);
	p = compiled(&range4, 0);
	assert_false(passes(&p, arp("192.0.2.1", "192.0.2.240")));
	pcap_freecode(&p);
}

static void before_pools_are_known_everything_passes(void **state)
{
	(void)state;
	struct bpf_program p = compiled(NULL, 0);

	assert_true(passes(&p, arp("192.0.2.1", "203.0.113.9")));
	assert_true(passes(&p, ndp(136, "2001:db8::10")));
	pcap_freecode(&p);
}

/* The kernel takes 4096 instructions; a few prefixes stand for all, and none is left out. */
static void however_many_ranges_there_are_the_program_is_short(void **state)
{
	(void)state;
	struct l2_range *ranges = xcalloc(4000, sizeof(*ranges));

	for (uint32_t i = 0; i < 4000; i++) {
		struct addr a = i < 2000 ? ip("10.0.0.0") : ip("2001:db8::");
		const uint32_t host = htonl(i * 2654435761u);
		memcpy(a.b + (i < 2000 ? 0 : 12), &host, 4);
		ranges[i].range = (struct addr_range){ a, a };
	}
	struct bpf_program *whole = filter_new(ranges, 4000);
	assert_non_null(whole);
	assert_in_range(whole->bf_len, 1, BPF_MAXINSNS);
	filter_free(whole);
	struct bpf_program p = compiled(ranges, 4000);
	for (size_t i = 0; i < 4000; i += 7) {
		const char *text = addr_str(&ranges[i].range.first);
		assert_true(passes(&p, i < 2000 ? arp("192.0.2.1", text) : ndp(135, text)));
	}
	pcap_freecode(&p);
	free(ranges);
}

/* Ranges that overlap, or hold each other, as those of retained addresses and pools may. */
static void ranges_come_in_any_order(void **state)
{
	(void)state;
	const struct l2_range ranges[] = { range("10.0.0.0", "10.255.255.255"),
		                           range("10.1.2.3", "10.1.2.3"),
		                           range("9.255.255.254", "10.0.0.1") };
	struct bpf_program p = compiled(ranges, ARRAY_LEN(ranges));

	assert_true(passes(&p, arp("192.0.2.1", "10.255.255.255")));
	assert_true(passes(&p, arp("192.0.2.1", "9.255.255.254")));
	assert_false(passes(&p, arp("192.0.2.1", "11.0.0.0")));
	assert_false(passes(&p, arp("192.0.2.1", "192.0.2.1")));
	pcap_freecode(&p);
}

/* A socket whose kernel has room for so many instructions, the old program's included. */
struct socket {
	size_t room, used;
	int swaps;
};

static int attach(const struct bpf_program *filter, void *arg)
{
	struct socket *s = arg;

	if (s->used + filter->bf_len > s->room)
		return -ENOMEM;
	s->used = filter->bf_len;
	s->swaps++;
	return 0;
}

static void where_both_have_no_room_one_lets_all_through_between(void **state)
{
	(void)state;
	const struct l2_range ranges[] = { range("10.0.0.0", "10.0.0.9"),
		                           range("2001:db8::1", "2001:db8::99") };
	struct bpf_program *all = filter_new(NULL, 0), *filter = filter_new(ranges, 2);
	const size_t size = filter->bf_len, least = all->bf_len;
	struct socket s = { .room = 2 * size, .used = size };

	assert_true(least < size);
	assert_int_equal(filter_replace(filter, attach, &s), 0);
	assert_int_equal(s.swaps, 1);

	s = (struct socket){ .room = size + least, .used = size };
	assert_int_equal(filter_replace(filter, attach, &s), 0);
	assert_int_equal(s.used, size);
	assert_int_equal(s.swaps, 2);

	/* A larger one than before, for which there is no room at all: everything comes. */
	s = (struct socket){ .room = size - 1 + least, .used = size - 1 };
	assert_int_equal(filter_replace(filter, attach, &s), -ENOMEM);
	assert_int_equal(s.used, least);

	s = (struct socket){ .room = size, .used = size };
	assert_int_equal(filter_replace(filter, attach, &s), -ENOMEM);
	assert_int_equal(s.used, size);
	filter_free(filter);
	filter_free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_about_pools_passes),
		cmocka_unit_test(messages_have_a_filter_of_their_own),
		cmocka_unit_test(what_is_sent_to_us_alone_passes),
		cmocka_unit_test(a_family_without_pools_is_not_heard_of),
		cmocka_unit_test(before_pools_are_known_everything_passes),
		cmocka_unit_test(however_many_ranges_there_are_the_program_is_short),
		cmocka_unit_test(ranges_come_in_any_order),
		cmocka_unit_test(where_both_have_no_room_one_lets_all_through_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
