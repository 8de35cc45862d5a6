/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * The headers around a message.  The group is one that switches flood whether or not they look into
 * IGMP and MLD (RFC 4541): 224.0.0.0/24, and ff02::1, which needs no membership.  A hop limit of
 * 255 shows that no router was between (RFC 5082).
 */
#include "claims/datagram.h"

#include <errno.h>
#include <string.h>

#include "fairlead/checksum.h"

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define IPV4_SIZE 20
#define PROTOCOL_UDP 17
#define HOPS 255
/* DSCP CS6, network control */
#define TRAFFIC_CLASS 0xc0

const uint8_t wire_group_mac[WIRE_MAC_SIZE] = { 0x01, 0x00, 0x5e, 0x00, 0x00, 0xad };
const uint8_t wire_group6_mac[WIRE_MAC_SIZE] = { 0x33, 0x33, 0x00, 0x00, 0x00, 0x01 };

static const struct addr group4 = { .family = 4, .b = { 224, 0, 0, 173 } };
static const struct addr group6 = { .family = 6, .b = { [0] = 0xff, [1] = 0x02, [15] = 1 } };

static void put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void write_ipv4(struct writer *w, const struct addr *source, size_t udp_size)
{
	uint8_t *ip = w->p + w->size;

	writer_u8(w, 0x45);
	writer_u8(w, TRAFFIC_CLASS);
	writer_u16(w, (uint16_t)(IPV4_SIZE + udp_size));
	writer_u16(w, 0);
	writer_u16(w, 0x4000); /* don't fragment */
	writer_u8(w, HOPS);
	writer_u8(w, PROTOCOL_UDP);
	writer_u16(w, 0);
	writer_bytes(w, source->b, 4);
	writer_bytes(w, group4.b, 4);
	if (writer_ok(w))
		put_u16(ip + 10, checksum(ip, IPV4_SIZE, 0));
}

static void write_ipv6(struct writer *w, const struct addr *source, size_t udp_size)
{
	writer_u32(w, 0x60000000u | TRAFFIC_CLASS << 20);
	writer_u16(w, (uint16_t)udp_size);
	writer_u8(w, PROTOCOL_UDP);
	writer_u8(w, HOPS);
	writer_bytes(w, source->b, 16);
	writer_bytes(w, group6.b, 16);
}

void datagram_write(struct writer *w, const struct datagram *d, const uint8_t *mac,
                    const uint8_t *payload, size_t size)
{
	bool v6 = d->source.family == 6;
	size_t udp_size = DATAGRAM_UDP_SIZE + size;

	writer_bytes(w, v6 ? wire_group6_mac : wire_group_mac, WIRE_MAC_SIZE);
	writer_bytes(w, mac, WIRE_MAC_SIZE);
	writer_u16(w, v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
	if (v6)
		write_ipv6(w, &d->source, udp_size);
	else
		write_ipv4(w, &d->source, udp_size);
	uint8_t *udp = w->p + w->size;
	writer_u16(w, d->source_port);
	writer_u16(w, d->port);
	writer_u16(w, (uint16_t)udp_size);
	writer_u16(w, 0);
	writer_bytes(w, payload, size);
	if (!writer_ok(w))
		return;
	uint16_t sum = checksum(udp, udp_size,
	                        checksum_pseudo(&d->source, v6 ? &group6 : &group4, PROTOCOL_UDP,
	                                        udp_size));
	put_u16(udp + 6, sum ? sum : 0xffff);
}

static struct addr read_addr(struct cursor *c, uint8_t family)
{
	struct addr a = { .family = family };

	cursor_bytes(c, a.b, addr_size(family));
	return a;
}

/* What the IP headers say, of either family. */
struct ip {
	struct addr destination;
	uint8_t protocol, hops;
	size_t payload; /* bytes after the header */
	bool whole;     /* not a fragment */
};

static void read_ipv4(struct cursor *c, struct ip *ip, struct addr *ret_source)
{
	uint8_t version_ihl = cursor_u8(c);

	cursor_skip(c, 1);
	size_t total = cursor_u16(c), header = (size_t)(version_ihl & 15) * 4;
	cursor_skip(c, 2);
	ip->whole = !(cursor_u16(c) & 0x3fff);
	ip->hops = cursor_u8(c);
	ip->protocol = cursor_u8(c);
	cursor_skip(c, 2);
	*ret_source = read_addr(c, 4);
	ip->destination = read_addr(c, 4);
	cursor_skip(c,
	            version_ihl >> 4 == 4 && header >= IPV4_SIZE ? header - IPV4_SIZE : SIZE_MAX);
	ip->payload = total > header ? total - header : 0;
}

static void read_ipv6(struct cursor *c, struct ip *ip, struct addr *ret_source)
{
	if (cursor_u32(c) >> 28 != 6)
		cursor_skip(c, SIZE_MAX);
	ip->payload = cursor_u16(c);
	ip->protocol = cursor_u8(c);
	ip->hops = cursor_u8(c);
	ip->whole = true;
	*ret_source = read_addr(c, 6);
	ip->destination = read_addr(c, 6);
}

int datagram_read(const void *frame, size_t size, struct datagram *ret_datagram,
                  struct cursor *ret_payload)
{
	struct cursor c = cursor_of(frame, size);
	struct datagram d = { 0 };
	struct ip ip = { 0 };

	cursor_skip(&c, 2 * WIRE_MAC_SIZE);
	uint16_t ethertype = cursor_u16(&c);
	if (ethertype == ETHERTYPE_IPV4)
		read_ipv4(&c, &ip, &d.source);
	else if (ethertype == ETHERTYPE_IPV6)
		read_ipv6(&c, &ip, &d.source);
	d.source_port = cursor_u16(&c);
	d.port = cursor_u16(&c);
	size_t udp_size = cursor_u16(&c);
	cursor_skip(&c, 2);
	if (!cursor_ok(&c) || ip.protocol != PROTOCOL_UDP ||
	    (!addr_eq(&ip.destination, &group4) && !addr_eq(&ip.destination, &group6)) ||
	    (d.port != WIRE_PORT && d.port != WIRE_PORT_V1))
		return -ENOMSG;
	if (ip.hops != HOPS || !ip.whole || udp_size < DATAGRAM_UDP_SIZE ||
	    udp_size != ip.payload || udp_size - DATAGRAM_UDP_SIZE > c.left)
		return -EBADMSG;
	*ret_datagram = d;
	*ret_payload = cursor_of(c.p, udp_size - DATAGRAM_UDP_SIZE);
	return 0;
}
