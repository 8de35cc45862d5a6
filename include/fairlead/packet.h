/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PACKET_H
#define FAIRLEAD_PACKET_H

/*
 * What becomes of the first packet of a connection at one node, as far as one Service goes: the
 * data plane's decision table asked about one packet, in the words of that table.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/buf.h"
#include "fairlead/proxy.h"

enum traffic_class {
	TRAFFIC_CLUSTER_IP,
	TRAFFIC_VIP,
	TRAFFIC_EXTERNAL_IP,
	TRAFFIC_NODE_PORT, /* at those of the node's addresses that have them */
};

/* Of several that are true, the first. */
enum traffic_origin {
	TRAFFIC_POD,  /* as far as Pods are known */
	TRAFFIC_NODE, /* an address of this node */
	TRAFFIC_OUTSIDE,
};
#define TRAFFIC_ORIGINS 3

enum traffic_fate { TRAFFIC_FORWARD, TRAFFIC_REJECT, TRAFFIC_DROP };

/* Which endpoints of the port one is chosen from. */
enum traffic_set { TRAFFIC_CLUSTER_SET, TRAFFIC_LOCAL_SET };
#define TRAFFIC_SETS 2

/* Why a way does not lead to an endpoint. */
enum traffic_why {
	TRAFFIC_IS_FORWARDED,
	TRAFFIC_NO_ENDPOINT,       /* no usable one for this node */
	TRAFFIC_NO_LOCAL_ENDPOINT, /* policy Local, and none on this node */
	TRAFFIC_NOT_IN_RANGES,     /* the Service's source ranges */
};

struct packet {
	struct addr from, to; /* of one family */
	uint8_t proto;        /* IPPROTO_TCP … */
	uint16_t port;        /* it goes to */
};

/* The node at which it is looked at. */
struct packet_node {
	const struct addr *addresses; /* its own, as far as they are known */
	size_t n;
	const struct proxy_options *options;
	/*
	 * pod_cidrs tell Pods apart here even where the rules do it by interface.
	 */
	const struct proxy_node *facts;
};

/* What the packet meets. */
enum packet_end {
	PACKET_SERVED, /* a destination of the Service: the way says the rest */
	/* an address of the Service, on a port that no Service has there: refused */
	PACKET_GUARDED,
	PACKET_HEALTH, /* its health check port: the node itself answers */
	/* none of the Service's rules is for it: */
	PACKET_OTHER_PORT,  /* an address of the Service, without guard */
	PACKET_NOT_CHOSEN,  /* its node port, at an address of the node that has none */
	PACKET_NOT_ITS_OWN, /* nothing of the Service's, at this node */
};

struct packet_answer {
	enum packet_end end;
	enum traffic_origin origin;
	/* PACKET_SERVED: */
	enum traffic_class class;
	enum traffic_fate fate;
	enum traffic_why why;
	enum traffic_set set;
	bool masquerade;     /* as an address of the node */
	uint32_t affinity_s; /* a client stays with its endpoint for so long; 0: it does not */
	const struct proxy_endpoint *endpoints; /* those that it may reach */
	size_t n_endpoints;
	/* Of IPVS, which picks the endpoint by it; "": something else picks. */
	char scheduler[TRAFFIC_SCHEDULER_SIZE];
	bool scheduler_named; /* by the Service; else it is a default one */
	struct buf caught_by; /* PACKET_GUARDED, too: the mode's rules that do it, one a line */
	struct spec *spec;    /* what this points into */
};

/* @s: the Service's half of the packet's family. */
void packet_follow(const struct proxy_half *s, const struct packet_node *node,
                   const struct packet *p, struct packet_answer *ret);
void packet_answer_fini(struct packet_answer *a);
/* Whether two nodes do the same with it. */
bool packet_answer_eq(const struct packet_answer *a, const struct packet_answer *b);

#endif
