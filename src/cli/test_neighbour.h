/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_TEST_NEIGHBOUR_H
#define FAIRLEAD_CLI_TEST_NEIGHBOUR_H

/*
 * Whom this machine's kernel has found for an address on its segments, by ARP or by neighbour
 * discovery.  It takes no rights to see that.
 */

#include <stdbool.h>

#include "fairlead/addr.h"

struct nl_cache;

struct test_neighbour {
	bool there;    /* the kernel has asked for the address, so a segment of ours has it */
	bool complete; /* and somebody has answered, at: */
	char mac[18];
};

/* @a in a cache "route/neigh"; of entries on several interfaces a complete one. */
struct test_neighbour test_neighbour_find(struct nl_cache *neighbours, const struct addr *a);
/* What the kernel has now (RTM_GETNEIGH); nothing if that cannot be read. */
struct test_neighbour test_neighbour_look(const struct addr *a);

#endif
