/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ranges of each family become prefixes of one length, the greatest with which they are few:
 * then a frame is masked once and compared with each.
 */
#include "config.h"

#include "l2/filter.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <linux/filter.h>
#include <pcap/pcap.h>

#include "fairlead/addr.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/wire.h"

/* 135 and 136 are the messages of neighbour discovery by which addresses are resolved. */
#define ANY_ARP "arp"
#define ANY_NDP "(icmp6 and (ip6[40] == 135 or ip6[40] == 136))"
/* Answers to what we asked ourselves, such as whether another node is there at its own address. */
#define TO_US "((" ANY_ARP " or " ANY_NDP ") and not ether multicast)"
#define MESSAGES "(udp and (dst port %d or dst port %d) and (ip dst %s or ip6 dst %s))"
/* Where a frame has the addresses that it is about (RFC 826, RFC 4861 sections 4.3 and 4.4). */
#define ARP_SENDER 14
#define ARP_TARGET 24
#define NDP_TARGET 48
#define WORD_BITS 32

/*
 * Before the filter: frames of VLANs are other segments', and are seen again on interfaces of their
 * own.  VLAN 0 is not a VLAN, only a priority (802.1Q), with which some switches and network cards
 * send everything.  The kernel has removed the tag by now. pcap's own language cannot express this:
 * there, a second "vlan" is a second tag.
 */
static const struct bpf_insn no_vlan[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 0),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG)),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x0fff, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

/* ---- prefixes ---- */

struct prefixes {
	struct prefix list[FILTER_PREFIXES_MAX];
	size_t n;
};

static int by_first(const void *a, const void *b)
{
	const struct addr_range *const *x = a, *const *y = b;

	return addr_cmp(&(*x)->first, &(*y)->first);
}

/* Adds those of this length that the range meets and no range before it has; false: too many. */
static bool add(struct prefixes *p, const struct addr_range *r, unsigned int len)
{
	struct addr at = r->first;

	do {
		struct prefix next = prefix_of(&at, len);
		at = prefix_range(&next).last;
		if (p->n > 0 && prefix_cmp(&p->list[p->n - 1], &next) >= 0)
			continue;
		if (p->n == FILTER_PREFIXES_MAX)
			return false;
		p->list[p->n++] = next;
	} while (addr_cmp(&at, &r->last) < 0 && addr_next(&at, &at));
	return true;
}

static bool cover(const struct addr_range *const *sorted, size_t n, unsigned int len,
                  struct prefixes *ret)
{
	ret->n = 0;
	for (size_t i = 0; i < n; i++)
		if (!add(ret, sorted[i], len))
			return false;
	return true;
}

/* Of length 0 one is enough. */
static void choose(const struct l2_range *ranges, size_t n, uint8_t family, struct prefixes *ret)
{
	const struct addr_range **sorted = xcalloc(n + 1, sizeof(*sorted));
	size_t k = 0;
	unsigned int len = family == 4 ? 32 : 128;

	for (size_t i = 0; i < n; i++)
		if (ranges[i].range.first.family == family)
			sorted[k++] = &ranges[i].range;
	qsort(sorted, k, sizeof(*sorted), by_first);
	while (!cover(sorted, k, len, ret))
		len--;
	free(sorted);
}

/* ---- words ---- */

static uint32_t word_of(const uint8_t *b)
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/*
 * "(arp[24:4] & 0xffffff00 == 0xc0000200 and …)"; not for a prefix of length 0.  A whole word is
 * not masked: of "& 0xffffffff == 0" the optimizer of libpcap 1.10 makes what is never true.
 */
static void put_match(const char *what, unsigned int at, const struct prefix *p, struct buf *out)
{
	unsigned int left = p->len;

	buf_putc(out, '(');
	for (unsigned int i = 0; left > 0; i += 4) {
		unsigned int bits = left < WORD_BITS ? left : WORD_BITS;
		uint32_t mask = UINT32_MAX << (WORD_BITS - bits);
		buf_printf(out, "%s%s[%u:4]", i ? " and " : "", what, at + i);
		if (bits < WORD_BITS)
			buf_printf(out, " & 0x%" PRIx32, mask);
		buf_printf(out, " == 0x%" PRIx32, word_of(p->addr.b + i) & mask);
		left -= bits;
	}
	buf_putc(out, ')');
}

static void put_arp(const struct prefixes *p, struct buf *out)
{
	if (p->n == 0)
		return;
	buf_puts(out, " or (" ANY_ARP);
	for (size_t i = 0; p->list[0].len > 0 && i < p->n; i++) {
		buf_puts(out, i ? " or " : " and (");
		put_match("arp", ARP_TARGET, &p->list[i], out);
		buf_puts(out, " or ");
		put_match("arp", ARP_SENDER, &p->list[i], out);
	}
	buf_puts(out, p->list[0].len > 0 ? "))" : ")");
}

static void put_ndp(const struct prefixes *p, struct buf *out)
{
	if (p->n == 0)
		return;
	buf_puts(out, " or (" ANY_NDP);
	for (size_t i = 0; p->list[0].len > 0 && i < p->n; i++) {
		buf_puts(out, i ? " or " : " and (");
		put_match("ip6", NDP_TARGET, &p->list[i], out);
	}
	buf_puts(out, p->list[0].len > 0 ? "))" : ")");
}

void filter_put(const struct l2_range *ranges, size_t n, struct buf *out)
{
	struct prefixes p;

	if (ranges) {
		buf_puts(out, TO_US);
		choose(ranges, n, 4, &p);
		put_arp(&p, out);
		choose(ranges, n, 6, &p);
		put_ndp(&p, out);
	} else {
		buf_puts(out, ANY_ARP " or " ANY_NDP);
	}
}

void filter_put_messages(struct buf *out)
{
	buf_printf(out, MESSAGES, WIRE_PORT, WIRE_PORT_V1, WIRE_GROUP_TEXT, WIRE_GROUP6_TEXT);
}

/* ---- the program ---- */

static struct bpf_program *compile(const struct buf *text)
{
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, FILTER_SNAPSHOT_SIZE);
	struct bpf_program program;

	int r = pcap ? pcap_compile(pcap, &program, buf_str(text), 1, PCAP_NETMASK_UNKNOWN) : -1;
	if (pcap)
		pcap_close(pcap);
	if (r < 0)
		return NULL;
	struct bpf_program *whole = xcalloc(1, sizeof(*whole));
	whole->bf_len = (u_int)ARRAY_LEN(no_vlan) + program.bf_len;
	whole->bf_insns = xcalloc(whole->bf_len, sizeof(*whole->bf_insns));
	memcpy(whole->bf_insns, no_vlan, sizeof(no_vlan));
	memcpy(whole->bf_insns + ARRAY_LEN(no_vlan), program.bf_insns,
	       program.bf_len * sizeof(*whole->bf_insns));
	pcap_freecode(&program);
	return whole;
}

struct bpf_program *filter_new(const struct l2_range *ranges, size_t n)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;

	filter_put(ranges, n, &text);
	return compile(&text);
}

struct bpf_program *filter_new_messages(void)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;

	filter_put_messages(&text);
	return compile(&text);
}

void filter_free(struct bpf_program *filter)
{
	if (filter)
		free(filter->bf_insns);
	free(filter);
}

int filter_replace(const struct bpf_program *filter, filter_attach_fn *attach, void *arg)
{
	int r = attach(filter, arg);

	if (r == 0)
		return 0;
	struct bpf_program *all = filter_new(NULL, 0);
	if (all && attach(all, arg) == 0)
		r = attach(filter, arg);
	filter_free(all);
	return r;
}

/* ---- from thread to thread ---- */

static bool is_for(const struct filter_store *s, const struct l2_snapshot *snapshot)
{
	if (!s->ranges || s->n != snapshot->n_ranges)
		return false;
	for (size_t i = 0; i < s->n; i++)
		if (!addr_eq(&s->ranges[i].range.first, &snapshot->ranges[i].range.first) ||
		    !addr_eq(&s->ranges[i].range.last, &snapshot->ranges[i].range.last))
			return false;
	return true;
}

void filter_store_set(struct filter_store *s, const struct l2_snapshot *snapshot)
{
	if (is_for(s, snapshot))
		return;
	free(s->ranges);
	s->n = snapshot->n_ranges;
	s->ranges = xcalloc(s->n + 1, sizeof(*s->ranges));
	for (size_t i = 0; i < s->n; i++)
		s->ranges[i] = snapshot->ranges[i];
	struct bpf_program *filter = filter_new(s->ranges, s->n);
	if (!filter)
		log_warn("libpcap cannot compile a filter for these pools; all is let through");
	filter_free(atomic_exchange(&s->pending, filter ? filter : filter_new(NULL, 0)));
}

struct bpf_program *filter_store_take(struct filter_store *s)
{
	return atomic_exchange(&s->pending, NULL);
}

void filter_store_fini(struct filter_store *s)
{
	filter_free(filter_store_take(s));
	free(TAKE(s->ranges));
}
