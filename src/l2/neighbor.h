/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_L2_NEIGHBOR_H
#define FAIRLEAD_L2_NEIGHBOR_H

/*
 * The protocol by which machines on a segment find out who has an address: ARP for IPv4, neighbour
 * discovery for IPv6.  Frames in, frames out; nothing is decided here.  A segment asks the row of
 * the address's family and need not know the protocols.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"

#define NEIGHBOR_MAC_SIZE 6
/* Of the frames that are sent; those that come may be larger. */
#define NEIGHBOR_FRAME_MAX 86

/* One frame as it was received. */
struct neighbor_packet {
	uint8_t dst[NEIGHBOR_MAC_SIZE]; /* of the Ethernet header */
	bool to_all;                    /* dst is a group, not one machine */
	bool asks;                      /* for target; otherwise it says who has sender */
	/* It may answer a probe: nobody else is told, and it belongs to no other question. */
	bool may_answer_probe;
	struct addr sender;             /* what the sender says that it has; none in a probe */
	struct addr target;             /* what is asked for, or who is told; none if not known */
	uint8_t mac[NEIGHBOR_MAC_SIZE]; /* of the sender, or where it says sender is */
};

struct neighbor_ops {
	uint8_t family;
	/* Reads an untagged frame; -EINVAL unless it is a valid one of this protocol. */
	int (*decode)(const void *frame, size_t size, struct neighbor_packet *ret_packet);
	/*
	 * Each of these writes a frame from @mac and returns its size.
	 *
	 * "Does anybody use @target?": nothing in it that caches could learn.
	 */
	size_t (*probe)(const uint8_t *mac, const struct addr *target,
	                uint8_t frame[static NEIGHBOR_FRAME_MAX]);
	/*
	 * "Are you there, @target?", to the machine at @to alone; @source, the node's own address,
	 * may be none.
	 */
	size_t (*ask)(const uint8_t *mac, const uint8_t *to, const struct addr *source,
	              const struct addr *target, uint8_t frame[static NEIGHBOR_FRAME_MAX]);
	/* "@address is at @mac" to all, frame @i of the announcement; 0: there are no more. */
	size_t (*announce)(const uint8_t *mac, const struct addr *address, size_t i,
	                   uint8_t frame[static NEIGHBOR_FRAME_MAX]);
	/* The answer to a frame that asks: @mac has its target. */
	size_t (*answer)(const uint8_t *mac, const struct neighbor_packet *question,
	                 uint8_t frame[static NEIGHBOR_FRAME_MAX]);
	/* The group to which questions for @address are sent; false: everybody gets them. */
	bool (*join)(const struct addr *address, struct addr *ret_group);
};

extern const struct neighbor_ops neighbor_arp, neighbor_ndp;

/* As answer(), in the name of the machine at @owner, which has the target. */
size_t neighbor_answer_for(const struct neighbor_ops *ops, const uint8_t *mac, const uint8_t *owner,
                           const struct neighbor_packet *question,
                           uint8_t frame[static NEIGHBOR_FRAME_MAX]);
/*
 * "@question's target is at @owner", from @mac to the machine that asked, or that ought to, and to
 * nobody else, whatever it said of itself.
 */
size_t neighbor_send_on(const struct neighbor_ops *ops, const uint8_t *mac, const uint8_t *owner,
                        const struct neighbor_packet *question,
                        uint8_t frame[static NEIGHBOR_FRAME_MAX]);
/* The row for a family; NULL if there is none. */
const struct neighbor_ops *neighbor_of(uint8_t family);
/* Reads a frame of any of the protocols, and says of which; -EINVAL if it is of none. */
int neighbor_decode(const void *frame, size_t size, const struct neighbor_ops **ret_ops,
                    struct neighbor_packet *ret_packet);

#endif
