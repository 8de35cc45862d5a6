/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Neighbour discovery differs from ARP in three ways that matter to who uses it:
 *
 *   - A probe has no sender, so its answer goes to all nodes, as an announcement does: the two
 *     cannot be told apart.  Either proves as much, that somebody else has the address, and an
 *     answer that is to count must come within a moment of a probe of ours (src/claims/rivals.c).
 *   - Solicitations go to a group that the address's last 24 bits make.  A switch that snoops MLD
 *     delivers them only where the group has been joined (groups.h).
 *   - The override flag says that a cache shall replace what it has.  It is set in everything that
 *     we send, since we speak for what we own alone.  The router flag never is: a host that sees it
 *     go takes the address for that of a router that ceased, one that sees it come keeps the
 *     address as a router.
 *
 * What is sent comes from the address that it is about, which needs none of the interface's own.
 */
#include "config.h"

#include "l2/ndp.h"

#include <errno.h>
#include <string.h>

#include "fairlead/checksum.h"
#include "fairlead/cursor.h"
#include "fairlead/mem.h"
#include "l2/neighbor.h"

#define ETHERNET_SIZE 14
#define ETHERTYPE_IPV6 0x86dd
#define IPV6_SIZE 40
#define PROTOCOL_ICMPV6 58
#define HOP_LIMIT 255
#define TYPE_SOLICITATION 135
#define TYPE_ADVERTISEMENT 136
/* of either, before the options */
#define BODY_SIZE 24
#define FLAG_ROUTER 0x80
#define FLAG_SOLICITED 0x40
#define FLAG_OVERRIDE 0x20
#define OPTION_SOURCE_MAC 1
#define OPTION_TARGET_MAC 2
/* Options have sizes in units of 8 bytes. */
#define OPTION_UNIT 8

const struct addr ndp_all_nodes = { .family = 6,
	                            .b = { 0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 } };

static const struct addr unspecified = { .family = 6 };

static bool is_multicast(const struct addr *a)
{
	return a->b[0] == 0xff;
}

struct addr ndp_group_of(const struct addr *address)
{
	struct addr group = { .family = 6, .b = { 0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff } };

	memcpy(group.b + 13, address->b + 13, 3);
	return group;
}

void ndp_group_mac(const struct addr *group, uint8_t ret_mac[static NDP_MAC_SIZE])
{
	ret_mac[0] = ret_mac[1] = 0x33;
	memcpy(ret_mac + 2, group->b + 12, 4);
}

/* ---- reading ---- */

static struct addr read_addr(struct cursor *c)
{
	struct addr a = { .family = 6 };

	cursor_bytes(c, a.b, 16);
	return a;
}

/* Reads the options up to the end; the first that holds the Ethernet address counts. */
static bool read_options(struct cursor *c, struct ndp_packet *p)
{
	uint8_t wanted = p->advertises ? OPTION_TARGET_MAC : OPTION_SOURCE_MAC;

	while (c->left > 0) {
		uint8_t type = cursor_u8(c);
		size_t size = (size_t)cursor_u8(c) * OPTION_UNIT;
		if (size == 0)
			return false;
		struct cursor value = *c;
		cursor_skip(c, size - 2);
		if (type != wanted || p->has_mac || size != OPTION_UNIT)
			continue;
		cursor_bytes(&value, p->mac, NDP_MAC_SIZE);
		p->has_mac = true;
	}
	return cursor_ok(c);
}

/* What RFC 4861 wants of addresses and flags. */
static bool is_sound(const struct ndp_packet *p)
{
	struct addr group = ndp_group_of(&p->target);

	if (is_multicast(&p->target) || (p->source.family && is_multicast(&p->source)))
		return false;
	if (p->advertises)
		return p->source.family && !(p->solicited && is_multicast(&p->destination));
	return p->source.family || (addr_eq(&p->destination, &group) && !p->has_mac);
}

/* The ICMPv6 message, of which @c holds no more and no less. */
static bool read_message(struct cursor *c, struct ndp_packet *p)
{
	uint8_t type = cursor_u8(c), code = cursor_u8(c);

	cursor_skip(c, 2);
	uint32_t flags = cursor_u32(c) >> 24;
	p->target = read_addr(c);
	p->advertises = type == TYPE_ADVERTISEMENT;
	if (p->advertises) {
		p->router = flags & FLAG_ROUTER;
		p->solicited = flags & FLAG_SOLICITED;
		p->override = flags & FLAG_OVERRIDE;
	}
	return cursor_ok(c) && (p->advertises || type == TYPE_SOLICITATION) && code == 0 &&
	       read_options(c, p);
}

int ndp_decode(const void *frame, size_t size, struct ndp_packet *ret_packet)
{
	struct cursor c = cursor_of(frame, size);
	struct ndp_packet p = { .source.family = 0 };

	cursor_bytes(&c, p.dst, NDP_MAC_SIZE);
	cursor_bytes(&c, p.src, NDP_MAC_SIZE);
	uint16_t ethertype = cursor_u16(&c);
	uint8_t version = cursor_u32(&c) >> 28;
	uint16_t payload_size = cursor_u16(&c);
	uint8_t next = cursor_u8(&c), hop_limit = cursor_u8(&c);
	struct addr source = read_addr(&c);
	p.destination = read_addr(&c);
	const uint8_t *payload = cursor_view(&c, payload_size); /* the rest is padding */
	if (!payload || ethertype != ETHERTYPE_IPV6 || version != 6 || next != PROTOCOL_ICMPV6 ||
	    hop_limit != HOP_LIMIT)
		return -EINVAL;
	uint32_t pseudo = checksum_pseudo(&source, &p.destination, PROTOCOL_ICMPV6, payload_size);
	if (!addr_eq(&source, &unspecified))
		p.source = source;
	struct cursor message = cursor_of(payload, payload_size);
	if (checksum(payload, payload_size, pseudo) != 0 || !read_message(&message, &p) ||
	    !is_sound(&p))
		return -EINVAL;
	*ret_packet = p;
	return 0;
}

/* ---- writing ---- */

static void write_message(struct writer *w, const struct ndp_packet *p)
{
	uint32_t flags = p->advertises ? (p->router ? FLAG_ROUTER : 0u) |
	                                         (p->solicited ? FLAG_SOLICITED : 0u) |
	                                         (p->override ? FLAG_OVERRIDE : 0u)
	                               : 0;

	writer_u8(w, p->advertises ? TYPE_ADVERTISEMENT : TYPE_SOLICITATION);
	writer_u8(w, 0);
	writer_u16(w, 0);
	writer_u32(w, flags << 24);
	writer_bytes(w, p->target.b, 16);
	if (!p->has_mac)
		return;
	writer_u8(w, p->advertises ? OPTION_TARGET_MAC : OPTION_SOURCE_MAC);
	writer_u8(w, 1);
	writer_bytes(w, p->mac, NDP_MAC_SIZE);
}

size_t ndp_encode(const struct ndp_packet *p, uint8_t frame[static NDP_FRAME_MAX])
{
	struct writer w = writer_of(frame, NDP_FRAME_MAX);
	const struct addr *source = p->source.family ? &p->source : &unspecified;
	uint16_t size = BODY_SIZE + (p->has_mac ? OPTION_UNIT : 0);
	uint8_t *message = frame + ETHERNET_SIZE + IPV6_SIZE;

	writer_bytes(&w, p->dst, NDP_MAC_SIZE);
	writer_bytes(&w, p->src, NDP_MAC_SIZE);
	writer_u16(&w, ETHERTYPE_IPV6);
	writer_u32(&w, 6u << 28);
	writer_u16(&w, size);
	writer_u8(&w, PROTOCOL_ICMPV6);
	writer_u8(&w, HOP_LIMIT);
	writer_bytes(&w, source->b, 16);
	writer_bytes(&w, p->destination.b, 16);
	write_message(&w, p);
	uint16_t sum = checksum(message, size,
	                        checksum_pseudo(source, &p->destination, PROTOCOL_ICMPV6, size));
	message[2] = (uint8_t)(sum >> 8);
	message[3] = (uint8_t)sum;
	return w.size;
}

/* ---- what is said ---- */

static struct ndp_packet from(const uint8_t *mac, const struct addr *source,
                              const struct addr *destination, const struct addr *target)
{
	struct ndp_packet p = { .source = *source, .destination = *destination, .target = *target };

	memcpy(p.src, mac, NDP_MAC_SIZE);
	memcpy(p.mac, mac, NDP_MAC_SIZE);
	if (is_multicast(destination))
		ndp_group_mac(destination, p.dst);
	p.has_mac = source->family;
	return p;
}

struct ndp_packet ndp_question(const uint8_t *mac, const struct addr *source,
                               const struct addr *target)
{
	struct addr group = ndp_group_of(target);
	struct ndp_packet p = from(mac, source, &group, target);

	if (!p.has_mac)
		memset(p.mac, 0, NDP_MAC_SIZE);
	return p;
}

struct ndp_packet ndp_probe(const uint8_t *mac, const struct addr *target)
{
	return ndp_question(mac, &(struct addr){ 0 }, target);
}

struct ndp_packet ndp_announcement(const uint8_t *mac, const struct addr *address)
{
	struct ndp_packet p = from(mac, address, &ndp_all_nodes, address);

	p.advertises = p.override = true;
	return p;
}

struct ndp_packet ndp_answer(const struct ndp_packet *question, const uint8_t *mac)
{
	struct ndp_packet p = ndp_announcement(mac, &question->target);

	if (!question->source.family)
		return p;
	p.destination = question->source;
	p.solicited = true;
	memcpy(p.dst, question->has_mac ? question->mac : question->src, NDP_MAC_SIZE);
	return p;
}

/* ---- as a neighbour protocol ---- */

static int decode(const void *frame, size_t size, struct neighbor_packet *ret_packet)
{
	struct ndp_packet ndp;
	int r = ndp_decode(frame, size, &ndp);

	if (r < 0)
		return r;
	struct neighbor_packet p = { .asks = !ndp.advertises };
	memcpy(p.dst, ndp.dst, sizeof(p.dst));
	memcpy(p.mac, ndp.has_mac ? ndp.mac : ndp.src, sizeof(p.mac));
	p.to_all = ndp.dst[0] & 1;
	if (p.asks) {
		p.sender = ndp.source;
		p.target = ndp.target;
	} else {
		p.sender = ndp.target;
		p.may_answer_probe = !ndp.solicited;
		if (ndp.solicited)
			p.target = ndp.destination;
	}
	*ret_packet = p;
	return 0;
}

static size_t probe(const uint8_t *mac, const struct addr *target,
                    uint8_t frame[static NEIGHBOR_FRAME_MAX])
{
	struct ndp_packet p = ndp_probe(mac, target);

	return ndp_encode(&p, frame);
}

static size_t ask(const uint8_t *mac, const uint8_t *to, const struct addr *source,
                  const struct addr *target, uint8_t frame[static NEIGHBOR_FRAME_MAX])
{
	struct ndp_packet p = ndp_question(mac, source, target);

	memcpy(p.dst, to, NDP_MAC_SIZE);
	return ndp_encode(&p, frame);
}

static size_t announce(const uint8_t *mac, const struct addr *address, size_t i,
                       uint8_t frame[static NEIGHBOR_FRAME_MAX])
{
	if (i > 0)
		return 0;
	struct ndp_packet p = ndp_announcement(mac, address);
	return ndp_encode(&p, frame);
}

static size_t answer(const uint8_t *mac, const struct neighbor_packet *question,
                     uint8_t frame[static NEIGHBOR_FRAME_MAX])
{
	struct ndp_packet ndp = { .source = question->sender,
		                  .target = question->target,
		                  .has_mac = true };

	memcpy(ndp.mac, question->mac, NDP_MAC_SIZE);
	struct ndp_packet p = ndp_answer(&ndp, mac);
	return ndp_encode(&p, frame);
}

static bool join(const struct addr *address, struct addr *ret_group)
{
	*ret_group = ndp_group_of(address);
	return true;
}

const struct neighbor_ops neighbor_ndp = {
	.family = 6,
	.decode = decode,
	.probe = probe,
	.ask = ask,
	.announce = announce,
	.answer = answer,
	.join = join,
};
