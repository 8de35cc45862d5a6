/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/net/arp would do for IPv4, but has nothing of IPv6; netlink has both in one form.  An entry
 * of no state, or of the state NOARP alone, is of an interface where nobody is asked.
 */
#include "config.h"

#include "cli/test_neighbour.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/netlink.h>
#include <netlink/route/neighbour.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define MAC_SIZE 6
/* The states in which frames are sent there. */
#define ANSWERED (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT)

static bool is_of(struct rtnl_neigh *n, const struct addr *a)
{
	struct nl_addr *dst = rtnl_neigh_get_dst(n);
	unsigned int size = a->family == 6 ? 16 : 4;

	return dst && nl_addr_get_family(dst) == (a->family == 6 ? AF_INET6 : AF_INET) &&
	       nl_addr_get_len(dst) == size && !memcmp(nl_addr_get_binary_addr(dst), a->b, size);
}

static struct test_neighbour read_entry(struct rtnl_neigh *n)
{
	int state = rtnl_neigh_get_state(n);
	struct nl_addr *at = rtnl_neigh_get_lladdr(n);
	struct test_neighbour found = { .there = state > 0 && (state & ~NUD_NOARP) };

	if (!(state & ANSWERED) || !found.there || !at || nl_addr_get_len(at) != MAC_SIZE)
		return found;
	const uint8_t *m = nl_addr_get_binary_addr(at);
	found.complete = true;
	snprintf(found.mac, sizeof(found.mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2],
	         m[3], m[4], m[5]);
	return found;
}

struct test_neighbour test_neighbour_find(struct nl_cache *neighbours, const struct addr *a)
{
	struct test_neighbour found = { .there = false };

	for (struct nl_object *o = nl_cache_get_first(neighbours); o && !found.complete;
	     o = nl_cache_get_next(o)) {
		struct rtnl_neigh *n = (struct rtnl_neigh *)o;
		if (!is_of(n, a))
			continue;
		struct test_neighbour one = read_entry(n);
		if (one.there)
			found = one;
	}
	return found;
}

struct test_neighbour test_neighbour_look(const struct addr *a)
{
	struct test_neighbour found = { .there = false };
	struct nl_sock *sock = nl_socket_alloc();
	struct nl_cache *neighbours = NULL;

	if (sock && nl_connect(sock, NETLINK_ROUTE) == 0 &&
	    rtnl_neigh_alloc_cache(sock, &neighbours) == 0)
		found = test_neighbour_find(neighbours, a);
	if (neighbours)
		nl_cache_free(neighbours);
	nl_socket_free(sock);
	return found;
}
