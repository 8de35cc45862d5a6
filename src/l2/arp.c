/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "l2/arp.h"

#include <errno.h>
#include <string.h>

#include "fairlead/cursor.h"
#include "fairlead/mem.h"
#include "l2/neighbor.h"

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_ARP_FRAME 0x0806
#define HARDWARE_ETHERNET 1

const uint8_t arp_broadcast[ARP_MAC_SIZE] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

/* 0.0.0.0 is none. */
static struct addr read_addr(struct cursor *c)
{
	struct addr a = { .family = 4 };

	cursor_bytes(c, a.b, 4);
	return addr_eq(&a, &(struct addr){ .family = 4 }) ? (struct addr){ 0 } : a;
}

int arp_decode(const void *frame, size_t size, struct arp_packet *ret_packet)
{
	struct cursor c = cursor_of(frame, size);
	struct arp_packet p;

	cursor_bytes(&c, p.dst, ARP_MAC_SIZE);
	cursor_bytes(&c, p.src, ARP_MAC_SIZE);
	uint16_t ethertype = cursor_u16(&c), hardware = cursor_u16(&c), protocol = cursor_u16(&c);
	uint8_t mac_size = cursor_u8(&c), address_size = cursor_u8(&c);
	uint16_t op = cursor_u16(&c);
	cursor_bytes(&c, p.sender_mac, ARP_MAC_SIZE);
	p.sender = read_addr(&c);
	cursor_bytes(&c, p.target_mac, ARP_MAC_SIZE);
	p.target = read_addr(&c);
	if (!cursor_ok(&c) || ethertype != ETHERTYPE_ARP_FRAME || hardware != HARDWARE_ETHERNET ||
	    protocol != ETHERTYPE_IPV4 || mac_size != ARP_MAC_SIZE || address_size != 4 ||
	    (op != ARP_REQUEST && op != ARP_REPLY))
		return -EINVAL;
	p.op = (enum arp_op)op;
	*ret_packet = p;
	return 0;
}

void arp_encode(const struct arp_packet *p, uint8_t frame[static ARP_FRAME_SIZE])
{
	struct writer w = writer_of(frame, ARP_FRAME_SIZE);

	writer_bytes(&w, p->dst, ARP_MAC_SIZE);
	writer_bytes(&w, p->src, ARP_MAC_SIZE);
	writer_u16(&w, ETHERTYPE_ARP_FRAME);
	writer_u16(&w, HARDWARE_ETHERNET);
	writer_u16(&w, ETHERTYPE_IPV4);
	writer_u8(&w, ARP_MAC_SIZE);
	writer_u8(&w, 4);
	writer_u16(&w, (uint16_t)p->op);
	writer_bytes(&w, p->sender_mac, ARP_MAC_SIZE);
	writer_bytes(&w, p->sender.b, 4);
	writer_bytes(&w, p->target_mac, ARP_MAC_SIZE);
	writer_bytes(&w, p->target.b, 4);
}

static struct arp_packet to_all(const uint8_t *mac, enum arp_op op, const struct addr *sender,
                                const struct addr *target)
{
	struct arp_packet p = { .op = op, .sender = *sender, .target = *target };

	memcpy(p.dst, arp_broadcast, ARP_MAC_SIZE);
	memcpy(p.src, mac, ARP_MAC_SIZE);
	memcpy(p.sender_mac, mac, ARP_MAC_SIZE);
	return p;
}

struct arp_packet arp_probe(const uint8_t *mac, const struct addr *target)
{
	return to_all(mac, ARP_REQUEST, &(struct addr){ 0 }, target);
}

struct arp_packet arp_question(const uint8_t *mac, const struct addr *sender,
                               const struct addr *target)
{
	return to_all(mac, ARP_REQUEST, sender, target);
}

struct arp_packet arp_gratuitous(const uint8_t *mac, const struct addr *address, enum arp_op op)
{
	struct arp_packet p = to_all(mac, op, address, address);

	if (op == ARP_REPLY)
		memcpy(p.target_mac, arp_broadcast, ARP_MAC_SIZE);
	return p;
}

struct arp_packet arp_answer(const struct arp_packet *request, const uint8_t *mac)
{
	struct arp_packet p = to_all(mac, ARP_REPLY, &request->target, &request->sender);

	memcpy(p.dst, request->sender_mac, ARP_MAC_SIZE);
	memcpy(p.target_mac, request->sender_mac, ARP_MAC_SIZE);
	return p;
}

/* ---- as a neighbour protocol ---- */

static size_t write_frame(const struct arp_packet *p, uint8_t *frame)
{
	arp_encode(p, frame);
	return ARP_FRAME_SIZE;
}

static int decode(const void *frame, size_t size, struct neighbor_packet *ret_packet)
{
	struct arp_packet arp;
	int r = arp_decode(frame, size, &arp);

	if (r < 0)
		return r;
	struct neighbor_packet p = { .sender = arp.sender, .target = arp.target };
	memcpy(p.dst, arp.dst, sizeof(p.dst));
	memcpy(p.mac, arp.sender_mac, sizeof(p.mac));
	p.to_all = !memcmp(arp.dst, arp_broadcast, ARP_MAC_SIZE);
	p.asks = arp.op == ARP_REQUEST;
	p.may_answer_probe = arp.op == ARP_REPLY && !arp.target.family && !p.to_all;
	*ret_packet = p;
	return 0;
}

static size_t probe(const uint8_t *mac, const struct addr *target,
                    uint8_t frame[static NEIGHBOR_FRAME_MAX])
{
	struct arp_packet p = arp_probe(mac, target);

	return write_frame(&p, frame);
}

static size_t ask(const uint8_t *mac, const uint8_t *to, const struct addr *source,
                  const struct addr *target, uint8_t frame[static NEIGHBOR_FRAME_MAX])
{
	struct arp_packet p = arp_question(mac, source, target);

	memcpy(p.dst, to, ARP_MAC_SIZE);
	return write_frame(&p, frame);
}

static size_t announce(const uint8_t *mac, const struct addr *address, size_t i,
                       uint8_t frame[static NEIGHBOR_FRAME_MAX])
{
	static const enum arp_op ops[] = { ARP_REQUEST, ARP_REPLY };

	if (i >= ARRAY_LEN(ops))
		return 0;
	struct arp_packet p = arp_gratuitous(mac, address, ops[i]);
	return write_frame(&p, frame);
}

static size_t answer(const uint8_t *mac, const struct neighbor_packet *question,
                     uint8_t frame[static NEIGHBOR_FRAME_MAX])
{
	struct arp_packet request = { .op = ARP_REQUEST,
		                      .sender = question->sender,
		                      .target = question->target };

	memcpy(request.sender_mac, question->mac, ARP_MAC_SIZE);
	struct arp_packet p = arp_answer(&request, mac);
	return write_frame(&p, frame);
}

/* Requests are broadcast. */
static bool join(const struct addr *address, struct addr *ret_group)
{
	(void)address;
	(void)ret_group;
	return false;
}

const struct neighbor_ops neighbor_arp = {
	.family = 4,
	.decode = decode,
	.probe = probe,
	.ask = ask,
	.announce = announce,
	.answer = answer,
	.join = join,
};
