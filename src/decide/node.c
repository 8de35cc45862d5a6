/* SPDX-License-Identifier: Apache-2.0 */
/* What a protocol, the endpoints and the node add to the decision about an address. */
#include "config.h"

#include <string.h>

#include "decide/private.h"

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
	return ep->node && !strcmp(ep->node, node);
}

static bool is_ready_here(const struct view_endpoint *ep, const void *node)
{
	return ep->ready && is_here(ep, node);
}

/* On a node that may not announce it makes up for nothing. */
static bool is_ready_somewhere(const struct view_endpoint *ep, const void *view)
{
	return ep->ready && ep->node &&
	       decide_node_itself(view, view_node_named(view, ep->node)) == REASON_Candidate;
}

void decide_count_endpoints(struct decision *d)
{
	d->has_endpoint = any_endpoint(d, is_any, NULL);
	d->has_ready =
		d->service->traffic.external_local && any_endpoint(d, is_ready_somewhere, d->view);
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
static enum reason about_local(const struct decision *d, const char *node)
{
	if (!any_endpoint(d, is_here, node))
		return REASON_NoLocalEndpoint;
	if (d->has_ready && !holds_ending(d) && !any_endpoint(d, is_ready_here, node))
		return REASON_LocalEndpointEnding;
	return REASON_Candidate;
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
		enum reason reason = decide_node_itself(d->view, &nodes[i]);
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
	reason = decide_node_itself(d->view, view_node_named(d->view, node));
	if (reason != REASON_Candidate)
		return reason;
	if (protocol == PROTOCOL_BGP && !decide_advertisements(d, node))
		return REASON_NotAdvertised;
	return d->service->traffic.external_local ? about_local(d, node) : REASON_Candidate;
}
