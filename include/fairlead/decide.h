/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_DECIDE_H
#define FAIRLEAD_DECIDE_H

/*
 * Does this node serve this address of this Service by this protocol, and why (not)?
 *
 * Decided once, in two steps: first what concerns the address, which is the same on every node
 * (decide_address), then what concerns one node (decide_node).  What is announced, forwarded,
 * guarded and shown to people all comes from here.
 *
 * Pure: the same view gives the same answer on every node and for every node, which is how a
 * speaker knows which others may own an address.  Which of the candidates really answers is settled
 * by layer 2 (l2.h).
 *
 * Beside it stands the selection of endpoints, kube-proxy's own rule: what is announced and what is
 * forwarded must not differ in what counts as usable.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/buf.h"
#include "fairlead/proxy.h"
#include "fairlead/reason.h"
#include "fairlead/view.h"

/* What an address is to its Service. */
enum decide_kind {
	DECIDE_LOAD_BALANCER,       /* of status.loadBalancer.ingress */
	DECIDE_EXTERNAL_ASSIGNED,   /* of spec.externalIPs, where the controller put it */
	DECIDE_EXTERNAL_HANDWRITTEN /* of spec.externalIPs, where somebody else did */
};
const char *decide_kind_name(enum decide_kind k); /* "load-balancer" … */
/*
 * An external IP counts as assigned while its record is confirmed, and it is in a pool for external
 * IPs.  @c: may be NULL.
 */
enum decide_kind decide_kind_of(const struct configuration *c, const struct view_address *a);

/*
 * Whether the other ports of an address are closed: they are for an address of our pools, unless a
 * machine has it, as far as this node knows.  An address outside all pools may belong to a machine
 * that we do not know of, so it has no guard until it is announced: layer 2 does not announce it
 * while a machine answers for it.  An unguarded address is carried on the Service's ports alone, as
 * kube-proxy does.
 */
enum decide_guard { DECIDE_OPEN, DECIDE_GUARDED_IF_ANNOUNCED, DECIDE_GUARDED };

/* One address of one Service.  Good until the view changes. */
struct decision {
	const struct view *view;
	const struct view_service *service;
	const struct view_address *address; /* NULL: the Service has no such address */
	/*
	 * REASON_Candidate: nothing that is the same on every node keeps it from being announced,
	 * but for the protocol and the endpoints, about which decide_node() says more.
	 */
	enum reason reason;
	const struct config_pool *pool; /* NULL: none holds the address */
	enum decide_kind kind;
	/*
	 * The protocols that report on the address, PROTOCOL_… bits: those of its pool.  Outside
	 * all pools an external IP that is allowed goes by layer 2, and by BGP where the
	 * configuration has peers; for anything else layer 2 reports why not.
	 */
	unsigned int protocols;
	/*
	 * Of the pool's bgp-advertisements those that are for the Service; without any 1, for the
	 * one with default values.
	 */
	uint64_t advertisements;
	/* Of the pool's layer2 entries those that are for the Service; all where it has none. */
	uint64_t layer2;
	bool ours;                        /* reported: load balancers of another class are not */
	const struct view_service *first; /* of those that may have the address; NULL: none may */
	/*
	 * Of several that share the address, the oldest that a node may announce: it is announced
	 * where that one would be alone, so that no other can draw it away from there.  NULL: the
	 * Service has it alone, or none of them has an endpoint.
	 */
	const struct view_service *lead;
	unsigned int lead_ready;                   /* `ready` of that one */
	uint64_t lead_layer2, lead_advertisements; /* and what is for it */
	bool carried;                              /* the data plane forwards it, on every node */
	enum decide_guard guard;
	/* a usable one, on some node; not looked for with any other reason */
	bool has_endpoint;
	/*
	 * Policy Local: the protocols by which a node that may announce has a ready one, so that
	 * nodes whose own endpoints are terminating give way.
	 */
	unsigned int ready;
};

/*
 * @a: one of the Service's addresses from outside, or NULL where it has none (the reason then says
 * what stands before that).  Linear in the Service's ports and endpoints, where it may have the
 * address; and in the number of Services that may, where one of them has changed.
 */
struct decision decide_address(const struct view *v, const struct view_service *s,
                               const struct addr *a);
/*
 * REASON_Candidate: the node may announce it.  With policy Local linear in the Service's endpoints.
 */
enum reason decide_node(const struct decision *d, const char *node, enum protocol protocol);
/*
 * Which of these are for the node, too, and for a peer of it, or for all peers.
 */
uint64_t decide_advertisements(const struct decision *d, const char *node);
/*
 * The entries of the pool's layer2 by which the node may announce the address; CONFIG_LAYER2_ALL
 * where the pool has none, or there is no pool.
 */
uint64_t decide_layer2(const struct decision *d, const struct view_node *n);
/* By how much layer 2 prefers the node, if it may announce the address. */
uint32_t decide_preference(const struct decision *d, const struct view_node *n);
/*
 * What keeps the node from announcing anything; REASON_Candidate: nothing.  @n: NULL if the API
 * server has no such Node.
 */
enum reason decide_node_itself(const struct view *v, const struct view_node *n);
/*
 * What has the node take no new traffic of its own either, whoever sends it here: a maintenance, or
 * its end.  REASON_Candidate: nothing.
 */
enum reason decide_node_ends(const struct view *v, const struct view_node *n);
/*
 * REASON_Candidate: by this protocol a node may announce it, as far as Service, address and
 * configuration go, whatever its endpoints and whichever nodes there are.
 */
enum reason decide_anywhere(const struct decision *d, enum protocol protocol);
/*
 * Why no node at all may announce it, if the cause is in the nodes; REASON_Candidate: some node
 * may, or the cause is in the Service.  The reason is that of the first node that has one.  Linear
 * in the nodes.
 */
enum reason decide_nowhere(const struct decision *d);
/*
 * Adds what a person should know beside the sentence of @reason, which one of the two gave; one
 * line.  @node: the one asked about.
 */
void decide_message(const struct decision *d, enum reason reason, const char *node,
                    struct buf *out);

/*
 * Of all Services that may have @a, the one that comes first; NULL: none may.  A status comes
 * before the record of an assigned external IP, and that before a list written by hand: only
 * controllers write statuses, and anybody who may write Services writes lists.  Age decides among
 * equals, then the name.  A Service that is being deleted may have none, nor may one that has the
 * address by hand without being allowed to, or has no cluster IP to forward it to.  Several share
 * it whose statuses list ports with it: the first is then the oldest of them.
 */
const struct view_service *decide_first(const struct view *v, const struct addr *a);

/*
 * The endpoints of one port in one family, as kube-proxy selects them (ready ones, else serving
 * ones that terminate; the local set likewise among those of @node; an endpoint in two slices
 * counts once, local if either says so).  From the cluster set hints may exclude endpoints that are
 * meant for other nodes or zones (@zone: that of @node, NULL: none).  A set that the Service's
 * policies cannot use stays empty.  Endpoints that serve but are in neither set are kept, wherever
 * they are: kube-proxy leaves the flows that they answer alone.  So are those that terminate, but
 * for UDP, whether they serve or not.  Sorted by address and port.
 */
struct decide_endpoints {
	struct proxy_endpoint *cluster, *local, *kept;
	size_t n_cluster, n_local, n_kept;
	bool has_any;
};
void decide_endpoints(const struct view_service *s, const struct view_port *port, uint8_t family,
                      const char *node, const char *zone, struct decide_endpoints *ret);
void decide_endpoints_fini(struct decide_endpoints *e);
/*
 * Whether traffic from outside can come to this port, as kube-proxy sees it: by node port, or by an
 * address of that family.
 */
bool decide_is_external(const struct view_service *s, const struct view_port *port, uint8_t family);

/*
 * What keeps a data plane of the speakers from carrying the Service, as far as that hangs on its
 * size and that of others; REASON_Candidate: nothing does.  @by_rules: it is made of rules, rather
 * than of elements.
 */
enum reason decide_by_size(const struct view_service *s, bool by_rules);

#endif
