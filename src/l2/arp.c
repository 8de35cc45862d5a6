/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "l2/arp.h"

#include <errno.h>
#include <string.h>

#include "fairlead/cursor.h"

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_ARP_FRAME 0x0806
#define HARDWARE_ETHERNET 1

const uint8_t arp_broadcast[ARP_MAC_SIZE] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

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
	p.sender = cursor_u32(&c);
	cursor_bytes(&c, p.target_mac, ARP_MAC_SIZE);
	p.target = cursor_u32(&c);
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
	writer_u32(&w, p->sender);
	writer_bytes(&w, p->target_mac, ARP_MAC_SIZE);
	writer_u32(&w, p->target);
}

static struct arp_packet to_all(const uint8_t *mac, enum arp_op op, uint32_t sender,
                                uint32_t target)
{
	struct arp_packet p = { .op = op, .sender = sender, .target = target };

	memcpy(p.dst, arp_broadcast, ARP_MAC_SIZE);
	memcpy(p.src, mac, ARP_MAC_SIZE);
	memcpy(p.sender_mac, mac, ARP_MAC_SIZE);
	return p;
}

struct arp_packet arp_probe(const uint8_t *mac, uint32_t target)
{
	return to_all(mac, ARP_REQUEST, 0, target);
}

struct arp_packet arp_question(const uint8_t *mac, uint32_t sender, uint32_t target)
{
	return to_all(mac, ARP_REQUEST, sender, target);
}

struct arp_packet arp_gratuitous(const uint8_t *mac, uint32_t address, enum arp_op op)
{
	struct arp_packet p = to_all(mac, op, address, address);

	if (op == ARP_REPLY)
		memcpy(p.target_mac, arp_broadcast, ARP_MAC_SIZE);
	return p;
}

struct arp_packet arp_answer(const struct arp_packet *request, const uint8_t *mac)
{
	struct arp_packet p = to_all(mac, ARP_REPLY, request->target, request->sender);

	memcpy(p.dst, request->sender_mac, ARP_MAC_SIZE);
	memcpy(p.target_mac, request->sender_mac, ARP_MAC_SIZE);
	return p;
}
