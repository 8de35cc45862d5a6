/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPVS_ROUTING_H
#define FAIRLEAD_PROXY_IPVS_ROUTING_H

/*
 * The way of marked packets to IPVS, which meets those alone that are delivered on the node.  In
 * each family rules lead what has routing_mark(), and comes in, to a table of ours, in which every
 * address is local.  So no address of a Service has to be bound, and the kernel answers
 * neither ARP nor pings for any.
 *
 * They are told by their protocol, a number of ours.  When somebody else deletes them, they are
 * made again.
 */

#include <stdbool.h>
#include <stdint.h>

#include "fairlead/err.h"

struct event_base;
struct routing;

/* "FL"; beyond 255, which only few programs use. */
#define ROUTING_TABLE 0x464c
/* Before all rules that others are known to have, but that of the table local. */
#define ROUTING_PREFERENCE 5 /* and the two that follow */
/* None of those in /etc/iproute2/rt_protos. */
#define ROUTING_PROTOCOL 70

/*
 * The mark of a packet that is led to IPVS: the tag, and "FL" in the half that the tag is not in.
 * The tag alone is what other modes give to packets that are to be masqueraded, and while one takes
 * over from another these rules stand beside that one's tables.
 */
uint32_t routing_mark(uint32_t tag);

struct routing_ops {
	/* Whether they stand may have changed. */
	void (*changed)(void *arg);
	void (*failed)(const struct err *e, void *arg);
};

/*
 * Makes them, and takes away those of an earlier life with another tag.  A kernel without IPv6, or
 * one where that is switched off, is no error.  Blocks for the kernel alone.
 */
int routing_start(struct event_base *base, uint32_t tag, const struct routing_ops *ops, void *arg,
                  struct routing **ret_routing, struct err *e);
/* Leaves them.  NULL: nothing to do. */
void routing_stop(struct routing *r);
bool routing_stands(const struct routing *r, uint8_t family);
/* They stood, and cannot be made again. */
bool routing_is_lost(const struct routing *r, uint8_t family);
/* How often they were made again. */
uint64_t routing_n_repairs(const struct routing *r);
/* Makes again what is missing. */
void routing_audit(struct routing *r);

/* ---- without one that runs ---- */

/* Whether there are rules or routes of ours.  Blocks. */
bool routing_any(void);
/* The tags by which rules of ours lead packets, as one number; 0: there are none.  Blocks. */
uint32_t routing_tags(void);
int routing_clean(struct err *e);

#endif
