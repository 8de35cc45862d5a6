/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_RELAY_H
#define FAIRLEAD_RELAY_H

/*
 * Packets of connections that this node does not know, handed to the node that does.
 *
 * A small table of nftables of its own, in each family that needs one, whatever the mode of the
 * proxy.  A packet that comes in by an interface to an address of the list, and that belongs to the
 * middle of a connection of which this node has never seen the beginning, is sent on as it is to
 * another node of the segment.  The rules are constant; what comes and goes are elements.  The
 * table is there only while the list of its family is not empty.
 *
 * Nothing is handed over that came from another node, so no packet can go round.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/err.h"

struct relay;

/* What comes in by an interface for @addr goes to the node whose own address @gateway is. */
struct relay_way {
	struct addr addr;
	unsigned int interface;
	struct addr gateway; /* on that segment, of the same family */
};

/* The Ethernet address of another node. */
struct relay_node {
	uint8_t mac[6];
};

/* -EPERM, -ENOPROTOOPT, …: as wire_new(). */
int relay_new(struct relay **ret_relay, struct err *e);
/* Leaves the tables in place.  Accepts NULL. */
void relay_free(struct relay *r);

/* What the kernel has, as an earlier process left it, sorted as below; free() it. */
int relay_read(struct relay *r, struct relay_way **ret_ways, size_t *ret_n, struct err *e);
/*
 * What is wanted from now on, sorted by address, then interface, each once; and all other nodes,
 * sorted, each once.  Writes what differs from what was written last, and waits for the kernel.  A
 * negative errno: it is tried again, as a whole, with the next call.
 */
int relay_set(struct relay *r, const struct relay_way *ways, size_t n,
              const struct relay_node *nodes, size_t n_nodes, struct err *e);
/* Looks whether the tables are still there; if not, the next relay_set() makes them again. */
void relay_audit(struct relay *r);
/* Packets that were handed over since the tables are there; blocks for a moment. */
uint64_t relay_packets(struct relay *r);

/* Of whatever process. */
bool relay_has_leftovers(void);
int relay_cleanup(struct err *e);

/* By address, then interface: for sorting. */
int relay_way_cmp(const void *a, const void *b);

#endif
