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

#include "fairlead/packet.h"
#include "fairlead/proxy.h"

struct traffic_way {
	enum traffic_fate fate;
	enum traffic_why why; /* it is not forwarded */
	/* If it is forwarded: */
	enum traffic_set set; /* never an empty one */
	bool masquerade;
};

/* What matters about the node, in one family. */
struct traffic_node {
	bool knows_pods;     /* it can tell Pods from others */
	bool masquerade_all; /* all that goes to a cluster IP */
};

/* Whether Pods can be told from others in the family. */
bool traffic_knows_pods(enum proxy_pods by, const struct proxy_node *n, uint8_t family);

/* Which of the node's addresses have node ports, loopback apart. */
enum traffic_addresses {
	TRAFFIC_NO_ADDRESS,
	TRAFFIC_CHOSEN_ADDRESSES, /* those in one of node_port_cidrs */
	TRAFFIC_ALL_ADDRESSES,
};
enum traffic_addresses traffic_node_port_addresses(const struct proxy_node *n, uint8_t family);

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

/* ---- which addresses are whose ---- */

/*
 * The order of Services that claim a port of one address, or a node port: the first has it.  The
 * older comes first (seniority.h).
 */
int traffic_precedence(const struct proxy_half *a, const struct proxy_half *b);

bool traffic_in_any(const struct prefix *prefixes, size_t n, const struct addr *a);
bool traffic_is_loopback(const struct addr *a);
/* Whether what @from sends to that one of the node's own addresses may be for a node port. */
bool traffic_has_node_ports(const struct proxy_options *o, const struct proxy_node *n,
                            enum traffic_origin from, const struct addr *a);

/* ---- where packets are caught ---- */

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
