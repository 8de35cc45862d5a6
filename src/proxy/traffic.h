/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_TRAFFIC_H
#define FAIRLEAD_PROXY_TRAFFIC_H

/*
 * What becomes of a packet that is meant for a Service: the one decision table of the data plane,
 * for every backend to express in its own terms.  Pure, and knows nothing of any kernel.
 *
 * A port has destinations, each of a class.  Class and origin of a packet say its way: forwarded to
 * one endpoint of a set, with the source address kept or masqueraded, or refused.  Whatever the
 * way, an endpoint that reaches itself is masqueraded, since its answer would not come back through
 * the node otherwise.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/proxy.h"

enum traffic_class {
	TRAFFIC_CLUSTER_IP,
	TRAFFIC_VIP,
	TRAFFIC_EXTERNAL_IP,
	TRAFFIC_NODE_PORT, /* at any address of the node but loopback */
};

/* Of several that are true, the first. */
enum traffic_origin {
	TRAFFIC_POD,  /* as far as the Pods' addresses are known */
	TRAFFIC_NODE, /* an address of this node */
	TRAFFIC_OUTSIDE,
};
#define TRAFFIC_ORIGINS 3

enum traffic_fate { TRAFFIC_FORWARD, TRAFFIC_REJECT, TRAFFIC_DROP };

/* Which endpoints of the port one is chosen from. */
enum traffic_set { TRAFFIC_CLUSTER_SET, TRAFFIC_LOCAL_SET };
#define TRAFFIC_SETS 2

struct traffic_way {
	enum traffic_fate fate;
	/* If it is forwarded: */
	enum traffic_set set; /* never an empty one */
	bool masquerade;
};

/* What matters about the node, in one family. */
struct traffic_node {
	bool knows_pods;     /* it can tell Pods from others */
	bool masquerade_all; /* all that goes to a cluster IP */
};

/* One port of a Service in one family, with all that follows from it. */
struct traffic_port {
	const struct proxy_half *service;
	const struct proxy_port *port;
	bool inside, outside; /* it has a cluster IP; destinations of the other classes */
	struct traffic_way internal[TRAFFIC_ORIGINS], external[TRAFFIC_ORIGINS];
	bool restricted;         /* only the service's source ranges may use its VIPs */
	bool uses[TRAFFIC_SETS]; /* a destination that it has leads to the set */
	uint32_t affinity_s;     /* a client stays with its endpoint for so long; 0: it does not */
};

struct traffic_destination {
	enum traffic_class class;
	const struct addr *addr; /* NULL: a node port */
	uint8_t proto;
	uint16_t port;
};

/*
 * False for a port that is left alone: of another protocol than TCP, UDP and SCTP, or the same as
 * one before it (they are sorted, spec.h).
 */
bool traffic_plan(const struct traffic_node *node, const struct proxy_half *s, size_t i,
                  struct traffic_port *ret_port);
/*
 * The way of a packet.  @in_ranges: its source is in one of the Service's source ranges, which
 * matters for VIPs alone, and not where there is no endpoint anyway.
 */
struct traffic_way traffic_way(const struct traffic_port *t, enum traffic_class class,
                               enum traffic_origin origin, bool in_ranges);
bool traffic_way_eq(const struct traffic_way *a, const struct traffic_way *b);

typedef void traffic_destination_fn(const struct traffic_destination *d, void *arg);
void traffic_each_destination(const struct traffic_port *t, traffic_destination_fn *fn, void *arg);

/*
 * The guard: of these addresses all other ports are refused, so that nothing goes back to the
 * router that sent it.  If the address may belong to a machine, or is the node's, the machine's
 * other ports must not be closed.
 */
typedef void traffic_guarded_fn(const struct addr *a, void *arg);
void traffic_each_guarded(const struct proxy_half *s, traffic_guarded_fn *fn, void *arg);

#endif
