/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_L2_ARP_H
#define FAIRLEAD_L2_ARP_H

/*
 * ARP for IPv4 over Ethernet (RFC 826), with the forms of RFC 5227: probes, announcements.  Frames
 * in, frames out; nothing is decided here.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"

/* Ethernet header and ARP body; the driver pads */
#define ARP_MAC_SIZE 6
#define ARP_FRAME_SIZE 42

extern const uint8_t arp_broadcast[ARP_MAC_SIZE];

enum arp_op { ARP_REQUEST = 1, ARP_REPLY = 2 };

struct arp_packet {
	uint8_t dst[ARP_MAC_SIZE], src[ARP_MAC_SIZE]; /* of the Ethernet header */
	enum arp_op op;
	uint8_t sender_mac[ARP_MAC_SIZE];
	struct addr sender; /* none in a probe */
	uint8_t target_mac[ARP_MAC_SIZE];
	struct addr target; /* none: 0.0.0.0 */
};

/* Reads an untagged frame; -EINVAL unless it is a request or reply for IPv4 over Ethernet. */
int arp_decode(const void *frame, size_t size, struct arp_packet *ret_packet);
void arp_encode(const struct arp_packet *p, uint8_t frame[static ARP_FRAME_SIZE]);

/*
 * "Does anybody use @target?" (RFC 5227 2.1.1): broadcast, and no sender address that caches could
 * learn.
 */
struct arp_packet arp_probe(const uint8_t *mac, const struct addr *target);
/*
 * "Are you there, @target?", to everybody, or to the one that the caller puts into dst; @sender may
 * be none.
 */
struct arp_packet arp_question(const uint8_t *mac, const struct addr *sender,
                               const struct addr *target);
/*
 * "@address is at @mac" to everybody, as a request or as a reply: some hosts learn from only one of
 * the two.
 */
struct arp_packet arp_gratuitous(const uint8_t *mac, const struct addr *address, enum arp_op op);
/* The answer to @request: @mac has its target. */
struct arp_packet arp_answer(const struct arp_packet *request, const uint8_t *mac);

#endif
