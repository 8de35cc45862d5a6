/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_L2_IFACES_H
#define FAIRLEAD_L2_IFACES_H

/*
 * The interfaces that can carry ARP and neighbour discovery, with their subnets of both families
 * and the state of their links; and for which addresses the kernel of this node answers by itself.
 *
 * A watch reads them by netlink in a thread of its own, since the kernel may let a reader wait
 * while it reconfigures something else.  Any notification, and the loss of one, means that
 * everything is read anew: nothing can get out of step.
 */

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/err.h"

#define IFACE_NAME_SIZE 16
/*
 * Limits on the subnets of an interface, on interfaces with addresses, and on the node's addresses
 * in total; more are left out, and counted.
 */
#define IFACE_SUBNETS_MAX 16
#define IFACES_MAX 4096
#define IFACES_LOCALS_MAX 65536

struct iface {
	char name[IFACE_NAME_SIZE];
	int index;
	uint8_t mac[6];
	unsigned int mtu;
	bool up; /* administratively, and with carrier */
	/* If two serve one subnet, the one in use stays in use; the caller sets this. */
	bool in_use;
	/*
	 * As the kernel applies them here (the greater of conf.all's and the interface's), -1 if
	 * they cannot be read, or if the interface has no IPv4 address.
	 */
	int arp_ignore, proxy_arp;
	struct addr link_local; /* of IPv6; none if it has none */
	/* Of IPv4 one for each address of the interface, of IPv6 one for each prefix. */
	struct {
		struct addr own;
		struct prefix prefix;
	} subnets[IFACE_SUBNETS_MAX];
	size_t n_subnets;
};

/* How many wanted addresses go to an interface, in all and of IPv4. */
struct iface_tally {
	size_t n, n4;
};

/*
 * An address of this node, on any interface: also on dummies, on lo, on those without ARP.  Of IPv6
 * without those that hold on one link only.
 */
struct iface_local {
	struct addr addr;
	int index;
	bool host_scope;
	char interface[IFACE_NAME_SIZE];
};

struct ifaces {
	struct iface *list; /* by index */
	size_t n;
	struct iface_local *locals; /* by address */
	size_t n_locals;
	size_t n_left_out; /* interfaces, subnets and addresses beyond the limits */
};

/*
 * Reads what is there: Ethernet, not loopback, not NOARP, not a port of a bridge or bond (one in a
 * VRF is none), with a global address of either family, and with a name that @pattern (NULL: any)
 * matches as a whole.  Includes links that are down.
 */
int ifaces_read(const regex_t *pattern, struct ifaces *ret_ifaces, struct err *e);
/* The whole name matches; @pattern was compiled without REG_NOSUB. */
bool ifaces_name_matches(const regex_t *pattern, const char *name);
void ifaces_fini(struct ifaces *i);
bool ifaces_eq(const struct ifaces *a, const struct ifaces *b);
/*
 * What the node sends from on the interface: its first IPv4 address, or its link-local IPv6 one,
 * else a global one.  None if it has none of the family.
 */
struct addr iface_source(const struct iface *i, uint8_t family);
/*
 * The interface with the longest prefix that contains @a; of several one that is up, of these the
 * one in use, else the first.  NULL if none does.  @allowed: by position in the list, which may be
 * taken; NULL: all.
 */
const struct iface *ifaces_find(const struct ifaces *i, const bool *allowed, const struct addr *a);
/* Of those @among, of which it may be NULL for none, the one that ifaces_find() prefers. */
const struct iface *ifaces_first(const struct ifaces *i, const bool *among);
/* Each subnet of the interface is also on another one, which ifaces_find() returns for it. */
bool ifaces_is_spare(const struct ifaces *i, int index);
/* The two have a subnet in common. */
bool ifaces_meet(const struct iface *a, const struct iface *b);
/*
 * Part of the range lies in a subnet of @iface, which is the interface that ifaces_find() returns
 * for that subnet.
 */
bool ifaces_serves(const struct ifaces *i, const bool *allowed, const struct iface *iface,
                   const struct addr_range *r);
/* Each address of the range lies in a subnet of an interface that is allowed. */
bool ifaces_cover(const struct ifaces *i, const bool *allowed, const struct addr_range *r);

/*
 * The kernel answers questions for @a that come in on @iface, whether the speaker does or not: the
 * address is this node's and arp_ignore does not forbid it; of IPv6, it is this interface's.  The
 * name of the interface that has it, NULL if it does not answer.
 */
const char *ifaces_kernel_answers(const struct ifaces *i, const struct iface *iface,
                                  const struct addr *a);

struct ifaces_watch;
/* Calls @notify(arg) from its thread when there is something to take. */
int ifaces_watch_start(const char *pattern, void (*notify)(void *arg), void *arg,
                       struct ifaces_watch **ret_watch, struct err *e);
/* The newest state, if it has not been taken yet. */
bool ifaces_watch_take(struct ifaces_watch *w, struct ifaces *ret_ifaces);
void ifaces_watch_stop(struct ifaces_watch *w);

#endif
