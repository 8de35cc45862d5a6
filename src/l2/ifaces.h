/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_L2_IFACES_H
#define FAIRLEAD_L2_IFACES_H

/*
 * The interfaces that can carry ARP, with their IPv4 subnets and the state of their links.
 *
 * A watch reads them by netlink in a thread of its own, since the kernel may let a reader wait while it reconfigures
 * something else.  Any notification, and the loss of one, means that all is read anew: there is nothing to get out of step.
 */

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/err.h"

#define IFACE_NAME_SIZE 16
#define IFACE_SUBNETS_MAX 16

struct iface {
	char name[IFACE_NAME_SIZE];
	int index;
	uint8_t mac[6];
	unsigned int mtu;
	bool up; /* administratively, and with carrier */
	struct {
		struct addr own;
		struct prefix prefix;
	} subnets[IFACE_SUBNETS_MAX];
	size_t n_subnets;
};

struct ifaces {
	struct iface *list; /* by index */
	size_t n;
};

/*
 * Reads what is there: Ethernet, not loopback, not NOARP, not a port of a bridge or bond, with a global IPv4 address, and with
 * a name that @pattern (NULL: any) matches as a whole.  Links that are down are in it, too.
 */
int ifaces_read(const regex_t *pattern, struct ifaces *ret_ifaces, struct err *e);
/* The whole name matches; @pattern was compiled without REG_NOSUB. */
bool ifaces_name_matches(const regex_t *pattern, const char *name);
void ifaces_fini(struct ifaces *i);
bool ifaces_eq(const struct ifaces *a, const struct ifaces *b);
/* The interface with the longest prefix that contains @a (the first of several); NULL if none does. */
const struct iface *ifaces_find(const struct ifaces *i, const struct addr *a);
/* Part of the range lies in a subnet of @iface, which is the interface that ifaces_find() has for that subnet. */
bool ifaces_serves(const struct ifaces *i, const struct iface *iface, const struct addr_range *r);

struct ifaces_watch;
/* Calls @notify(arg) from its thread when there is something to take. */
int ifaces_watch_start(const char *pattern, void (*notify)(void *arg), void *arg,
                       struct ifaces_watch **ret_watch, struct err *e);
/* The newest state, if there is one that was not taken yet. */
bool ifaces_watch_take(struct ifaces_watch *w, struct ifaces *ret_ifaces);
void ifaces_watch_stop(struct ifaces_watch *w);

#endif
