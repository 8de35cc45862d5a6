/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A packet socket whose filter names each address: what this node owns comes to it as well, and
 * would fill the buffer.  The program is written here and not by libpcap, as it changes while the
 * urgent thread runs; all its jumps are short, since each match returns by itself.
 */
#include "config.h"

#include "l2/sniffer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fairlead/cursor.h"
#include "fairlead/mem.h"

/* Room for some dozens of small frames; a large one fits always. */
#define BUFFER_SIZE (64 * 1024)
#define FRAMES_MAX 32
/* The Ethernet header and that of IPv6. */
#define SNAPSHOT_SIZE 54
#define ETHERTYPE_AT 12
#define SOURCE4_AT 26
#define TARGET4_AT 30
#define SOURCE6_AT 22
#define TARGET6_AT 38
#define WORDS6 4

struct sniffer {
	int fd;
	struct addr addrs[STRAGGLERS_AT_ONCE];
	size_t n;
};

static uint32_t word_of(const struct addr *a, size_t i)
{
	struct cursor c = cursor_of(a->b + 4 * i, 4);

	return cursor_u32(&c);
}

size_t sniffer_filter(const struct addr *addrs, size_t n,
                      struct sock_filter ret_program[static SNIFFER_FILTER_MAX])
{
	/* The kernel has removed the tag of a VLAN, of which another interface is told. */
	const struct sock_filter head[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_HOST, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG)),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x0fff, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, ETHERTYPE_AT),
	};
	struct sock_filter *p = ret_program;
	uint8_t n4 = 0;

	/* It is passed by each packet of the interface. */
	if (n == 0) {
		*p = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
		return 1;
	}
	memcpy(p, head, sizeof(head));
	p += ARRAY_LEN(head);
	for (size_t i = 0; i < n; i++)
		n4 += addrs[i].family == 4;
	*p++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0,
	                                    (uint8_t)(1 + 2 * n4));
	*p++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, TARGET4_AT);
	for (size_t i = 0; i < n; i++) {
		if (addrs[i].family != 4)
			continue;
		*p++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
		                                    word_of(&addrs[i], 0), 0, 1);
		*p++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SNAPSHOT_SIZE);
	}
	/* Of a packet of IPv4 the accumulator holds the address by now: it is looked at anew. */
	*p++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_H | BPF_ABS, ETHERTYPE_AT);
	*p++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 1, 0);
	*p++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	for (size_t i = 0; i < n; i++) {
		for (uint8_t w = 0; addrs[i].family == 6 && w < WORDS6; w++) {
			*p++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			                                    (uint32_t)(TARGET6_AT + 4 * w));
			*p++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
			                                    word_of(&addrs[i], w), 0,
			                                    (uint8_t)(2 * (WORDS6 - w) - 1));
		}
		if (addrs[i].family == 6)
			*p++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SNAPSHOT_SIZE);
	}
	*p++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	return (size_t)(p - ret_program);
}

static int attach(const struct sniffer *s, const struct addr *addrs, size_t n)
{
	struct sock_filter instructions[SNIFFER_FILTER_MAX];
	const struct sock_fprog program = { .len = (unsigned short)sniffer_filter(addrs, n,
		                                                                  instructions),
		                            .filter = instructions };

	return setsockopt(s->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0
	               ? -errno
	               : 0;
}

/* The filter is there before the first frame. */
static int begin(const struct sniffer *s, int interface_index)
{
	const struct sockaddr_ll at = { .sll_family = AF_PACKET,
		                        .sll_protocol = htons(ETH_P_ALL),
		                        .sll_ifindex = interface_index };
	const int size = BUFFER_SIZE, yes = 1;

	/* Or else the kernel copies whatever is sent, for the filter to refuse it. */
	(void)setsockopt(s->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof(yes));
	if (setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) < 0 ||
	    attach(s, NULL, 0) < 0 || bind(s->fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	return 0;
}

struct sniffer *sniffer_open(int interface_index)
{
	struct sniffer *s = xcalloc(1, sizeof(*s));

	s->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd >= 0 && begin(s, interface_index) == 0)
		return s;
	sniffer_close(s);
	return NULL;
}

void sniffer_close(struct sniffer *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

static bool is_same(const struct sniffer *s, const struct addr *addrs, size_t n)
{
	for (size_t i = 0; s->n == n && i < n; i++)
		if (!addr_eq(&s->addrs[i], &addrs[i]))
			return false;
	return s->n == n;
}

int sniffer_set(struct sniffer *s, const struct addr *addrs, size_t n)
{
	if (is_same(s, addrs, n))
		return 0;
	int r = attach(s, addrs, n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		s->addrs[i] = addrs[i];
	s->n = n;
	return 0;
}

bool sniffer_decode(const void *frame, size_t size, struct sniffed *ret_packet)
{
	struct cursor c = cursor_of(frame, size), ends = c;
	struct sniffed p = { .source.family = 6, .target.family = 6 };

	cursor_skip(&c, ETH_ALEN);
	cursor_bytes(&c, p.mac, sizeof(p.mac));
	uint16_t type = cursor_u16(&c);
	if (type == ETH_P_IP)
		p.source.family = p.target.family = 4;
	cursor_skip(&ends, p.source.family == 4 ? SOURCE4_AT : SOURCE6_AT);
	cursor_bytes(&ends, p.source.b, addr_size(p.source.family));
	cursor_bytes(&ends, p.target.b, addr_size(p.target.family));
	if (!cursor_ok(&ends) || (type != ETH_P_IP && type != ETH_P_IPV6))
		return false;
	*ret_packet = p;
	return true;
}

void sniffer_read(struct sniffer *s, sniffer_fn *fn, void *arg)
{
	uint8_t frame[SNAPSHOT_SIZE];
	struct sniffed p;

	for (int i = 0; i < FRAMES_MAX; i++) {
		ssize_t size = recv(s->fd, frame, sizeof(frame), 0);
		if (size < 0)
			return;
		if (sniffer_decode(frame, (size_t)size, &p))
			fn(p.mac, &p.source, &p.target, arg);
	}
}
