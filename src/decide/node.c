/* SPDX-License-Identifier: Apache-2.0 */
/* What a protocol, the endpoints and the node add to the decision about an address. */
#include "config.h"

#include <string.h>

#include "decide/private.h"
#include "fairlead/mem.h"

enum reason decide_node_ends(const struct view *v, const struct view_node *n)
{
	if (n->drained)
		return REASON_NodeDrained;
	if (n->cordoned && view_node_rules(v).drain_on_cordon)
		return REASON_NodeCordoned;
	if (n->out_of_service)
		return REASON_NodeOutOfService;
	if (n->shutting_down)
		return REASON_NodeShuttingDown;
	return REASON_Candidate;
}

enum reason decide_node_itself(const struct view *v, const struct view_node *n)
{
	if (!n)
		return REASON_NodeUnknown;
	if (n->excluded && !view_node_rules(v).ignore_exclude_label)
		return REASON_NodeExcluded;
	enum reason ends = decide_node_ends(v, n);
	if (ends != REASON_Candidate)
		return ends;
	if (n->network_unavailable)
		return REASON_NetworkUnavailable;
	return REASON_Candidate;
}

uint64_t decide_layer2(const struct decision *d, const struct view_node *n)
{
	return d->pool ? config_pool_layer2_for_node(d->pool, d->layer2, &n->labels)
	               : CONFIG_LAYER2_ALL;
}

uint32_t decide_preference(const struct decision *d, const struct view_node *n)
{
	return d->pool ? config_pool_preference(d->pool, decide_layer2(d, n), &n->labels) : 0;
}

static enum reason about_node(const struct decision *d, const struct view_node *n,
                              enum protocol protocol)
{
	enum reason reason = decide_node_itself(d->view, n);

	if (reason == REASON_Candidate && protocol == PROTOCOL_LAYER2 && !decide_layer2(d, n))
		return REASON_NodeNotSelected;
	return reason;
}

/* ---- endpoints ---- */

static bool serves_a_port(const struct view_service *s, const struct view_slice *slice)
{
	for (size_t i = 0; i < s->n_ports; i++)
		if (view_slice_port(slice, &s->ports[i]))
			return true;
	return false;
}

static bool is_usable(const struct view_endpoint *ep)
{
	return ep->ready || (ep->serving && ep->terminating);
}

/*
 * Calls @fn for each usable endpoint of the address's family, whichever port it serves, until it
 * returns true.
 */
static bool any_endpoint(const struct decision *d,
                         bool (*fn)(const struct view_endpoint *ep, const void *arg),
                         const void *arg)
{
	for (const struct view_slice *slice = d->service->slices; slice; slice = slice->next) {
		if (slice->family != d->address->addr.family || !serves_a_port(d->service, slice))
			continue;
		for (size_t i = 0; i < slice->n_endpoints; i++)
			if (is_usable(&slice->endpoints[i]) && fn(&slice->endpoints[i], arg))
				return true;
	}
	return false;
}

static bool is_any(const struct view_endpoint *ep, const void *arg)
{
	(void)ep;
	(void)arg;
	return true;
}

static bool is_here(const struct view_endpoint *ep, const void *node)
{
	return ep->place->node && !strcmp(ep->place->node, node);
}

static bool is_ready_here(const struct view_endpoint *ep, const void *node)
{
	return ep->ready && is_here(ep, node);
}

struct asking {
	const struct decision *d;
	enum protocol protocol;
};

/* On a node that may not announce it makes up for nothing. */
static bool is_ready_somewhere(const struct view_endpoint *ep, const void *asking)
{
	const struct asking *x = asking;

	return ep->ready && ep->place->node &&
	       about_node(x->d, view_node_named(x->d->view, ep->place->node), x->protocol) ==
	               REASON_Candidate;
}

void decide_count_endpoints(struct decision *d)
{
	static const enum protocol protocols[] = { PROTOCOL_LAYER2, PROTOCOL_BGP };

	d->has_endpoint = any_endpoint(d, is_any, NULL);
	for (size_t i = 0; d->service->traffic.external_local && i < ARRAY_LEN(protocols); i++) {
		const struct asking x = { d, protocols[i] };
		if (d->protocols & x.protocol && any_endpoint(d, is_ready_somewhere, &x))
			d->ready |= x.protocol;
	}
}

static bool holds_ending(const struct decision *d)
{
	return d->service->ending == VIEW_ENDING_HOLDS ||
	       (d->service->ending == VIEW_ENDING_OF_POOL && d->pool && d->pool->holds_ending);
}

/*
 * Ready before terminating: a server that ends may stop listening at once, so a node that has no
 * other gives way as soon as another node has a ready one.  The data plane goes on serving here
 * what still comes.
 */
static enum reason about_local(const struct decision *d, const char *node, enum protocol protocol)
{
	if (!any_endpoint(d, is_here, node))
		return REASON_NoLocalEndpoint;
	if (d->ready & protocol && !holds_ending(d) && !any_endpoint(d, is_ready_here, node))
		return REASON_LocalEndpointEnding;
	return REASON_Candidate;
}

/* Those of the Service, and of the one that leads where the address is shared. */
static enum reason about_endpoints(const struct decision *d, const char *node,
                                   enum protocol protocol)
{
	struct decision lead = *d;
	enum reason reason = d->service->traffic.external_local ? about_local(d, node, protocol)
	                                                        : REASON_Candidate;

	if (reason != REASON_Candidate || !d->lead || d->lead == d->service ||
	    !d->lead->traffic.external_local)
		return reason;
	lead.service = d->lead;
	lead.ready = d->lead_ready;
	return about_local(&lead, node, protocol);
}

/* ---- the node ---- */

static bool may_announce(const struct decision *d, const char *node)
{
	return decide_node(d, node, PROTOCOL_LAYER2) == REASON_Candidate ||
	       decide_node(d, node, PROTOCOL_BGP) == REASON_Candidate;
}

enum reason decide_nowhere(const struct decision *d)
{
	size_t n;
	const struct view_node *nodes = view_nodes(d->view, &n);
	enum reason first = REASON_Candidate;

	if (d->reason != REASON_Candidate || !d->has_endpoint)
		return REASON_Candidate;
	for (size_t i = 0; i < n; i++) {
		if (may_announce(d, nodes[i].name))
			return REASON_Candidate;
		enum reason reason =
			about_node(d, &nodes[i],
		                   d->protocols & PROTOCOL_LAYER2 ? PROTOCOL_LAYER2 : PROTOCOL_BGP);
		if (first == REASON_Candidate)
			first = reason;
	}
	return first;
}

/* What is the same on every node, but for the endpoints and for whether BGP has peers. */
static enum reason about_protocol(const struct decision *d, enum protocol protocol)
{
	if (d->reason != REASON_Candidate)
		return d->reason;
	if (!(d->protocols & protocol))
		return REASON_ProtocolUnsupported;
	if (protocol == PROTOCOL_BGP && !d->advertisements)
		return REASON_NotAdvertised;
	if (protocol == PROTOCOL_LAYER2 && !d->layer2)
		return REASON_ServiceNotSelected;
	return REASON_Candidate;
}

enum reason decide_anywhere(const struct decision *d, enum protocol protocol)
{
	enum reason reason = about_protocol(d, protocol);

	if (reason != REASON_Candidate ||
	    configuration_effective_protocols(view_configuration(d->view), protocol))
		return reason;
	return REASON_BgpNoPeer;
}

enum reason decide_node(const struct decision *d, const char *node, enum protocol protocol)
{
	enum reason reason = about_protocol(d, protocol);

	if (reason != REASON_Candidate)
		return reason;
	if (!d->has_endpoint)
		return REASON_NoEndpoints;
	reason = about_node(d, view_node_named(d->view, node), protocol);
	if (reason != REASON_Candidate)
		return reason;
	if (protocol == PROTOCOL_BGP && !decide_advertisements(d, node))
		return REASON_NotAdvertised;
	return about_endpoints(d, node, protocol);
}
