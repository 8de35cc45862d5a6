/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_DECIDE_H
#define FAIRLEAD_DECIDE_H

/*
 * The one function: does this node serve this address of this Service by this protocol, and why (not)?
 *
 * Pure: the same view gives the same answer on every node and for every node, which is how a speaker knows whom else it
 * may expect to own an address.  Who of the candidates really answers is settled by layer 2 (l2.h).
 *
 * Beside it stands the selection of endpoints, kube-proxy's own rule: what is announced and what is forwarded must not
 * differ in what counts as usable.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/buf.h"
#include "fairlead/proxy.h"
#include "fairlead/reason.h"
#include "fairlead/view.h"

struct decision {
	enum reason reason; /* REASON_Candidate: yes */
	/* Details for the message; good until the view changes. */
	const struct config_pool *pool;      /* NULL: none holds the address */
	const struct view_service *claimant; /* REASON_AddressShared: who has it */
};

/*
 * @a: one of the Service's addresses from outside, or NULL where it has none (the reason then says what stands before that).
 * Linear in the Service's endpoints.
 */
struct decision decide(const struct view *v, const struct view_service *s, const struct addr *a,
                       const char *node, enum protocol protocol);
/*
 * The protocols by which something is to be said of the address, as PROTOCOL_… bits: those of the pool that holds it.
 * Outside all pools an external IP that is allowed goes by layer 2, and by BGP where the configuration has peers; of anything
 * else layer 2 tells why not.
 */
unsigned int decide_protocols(const struct view *v, const struct view_service *s,
                              const struct addr *a);
/* Adds what a person should know beside the reason's own sentence; one line. */
void decide_message(const struct decision *d, const struct view *v, const struct view_service *s,
                    const struct addr *a, const char *node, struct buf *out);

/*
 * The endpoints of one port in one family, as kube-proxy selects them (ready ones, else serving ones that
 * terminate; the local set likewise among those of @node; an endpoint in two slices counts once, local if either says so).
 * From the cluster set hints may exclude endpoints that are meant for other nodes or zones (@zone: that of @node, NULL: none).
 * A set that the Service's policies cannot use stays empty.  Of a UDP port the endpoints that serve but are in neither are
 * kept, wherever they are: kube-proxy leaves the flows that they answer alone.  Sorted by address and port.
 */
struct decide_endpoints {
	struct proxy_endpoint *cluster, *local, *kept;
	size_t n_cluster, n_local, n_kept;
	bool has_any;
};
void decide_endpoints(const struct view_service *s, const struct view_port *port, uint8_t family,
                      const char *node, const char *zone, struct decide_endpoints *ret);
void decide_endpoints_fini(struct decide_endpoints *e);
/* Whether traffic from outside can come to this port, as kube-proxy sees it: by node port, or by an address of that family. */
bool decide_is_external(const struct view_service *s, const struct view_port *port, uint8_t family);

#endif
