/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_L2_NDP_H
#define FAIRLEAD_L2_NDP_H

/*
 * The two messages of neighbour discovery by which addresses are resolved (RFC 4861 4.3, 4.4), over
 * Ethernet (RFC 2464): solicitations, advertisements, and the forms that they have in duplicate
 * address detection (RFC 4862 5.4).  Frames in, frames out; nothing is decided here.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"

#define NDP_MAC_SIZE 6
/* with the option for a link-layer address */
#define NDP_FRAME_MAX 86

struct ndp_packet {
	uint8_t dst[NDP_MAC_SIZE], src[NDP_MAC_SIZE]; /* of the Ethernet header */
	struct addr source;                           /* none: unspecified, in a probe */
	struct addr destination;
	bool advertises; /* else it solicits */
	/* Of advertisements: from a router, in answer to a solicitation, and to replace others. */
	bool router, solicited, override;
	struct addr target;
	bool has_mac; /* the option: the sender's in a solicitation, else the target's */
	uint8_t mac[NDP_MAC_SIZE];
};

/*
 * Reads an untagged frame; -EINVAL unless it is one of the two and as RFC 4861 7.1.1 and 7.1.2 want
 * it: not routed, not in fragments (RFC 6980), with a right checksum and whole options.
 */
int ndp_decode(const void *frame, size_t size, struct ndp_packet *ret_packet);
/* Writes the frame; its size. */
size_t ndp_encode(const struct ndp_packet *p, uint8_t frame[static NDP_FRAME_MAX]);

/* The group of all nodes. */
extern const struct addr ndp_all_nodes;
/* The group to which solicitations for @address go: ff02::1:ff00:0/104 and its last 24 bits. */
struct addr ndp_group_of(const struct addr *address);
/* The Ethernet address of a group (RFC 2464 7). */
void ndp_group_mac(const struct addr *group, uint8_t ret_mac[static NDP_MAC_SIZE]);

/*
 * "Does anybody use @target?" (RFC 4862 5.4.2): from no address, so that no cache learns anything.
 */
struct ndp_packet ndp_probe(const uint8_t *mac, const struct addr *target);
/* "Are you there, @target?", to all, or to the one that the caller puts into dst. */
struct ndp_packet ndp_question(const uint8_t *mac, const struct addr *source,
                               const struct addr *target);
/*
 * "@address is at @mac", unsolicited and to all (RFC 4861 7.2.6); caches that have it elsewhere
 * take this.
 */
struct ndp_packet ndp_announcement(const uint8_t *mac, const struct addr *address);
/* The answer to @question: @mac has its target.  A probe is answered to all (RFC 4861 7.2.4). */
struct ndp_packet ndp_answer(const struct ndp_packet *question, const uint8_t *mac);

#endif
