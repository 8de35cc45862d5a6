/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/decide.h"

#include <string.h>

/*
 * Reasons are looked for from the general to the particular: what is wrong with the Service, then with the address,
 * then with the endpoints, then with this node; the first that applies is the answer.  So every node gives the same
 * answer for as long as the matter is not the node itself.
 */

unsigned int decide_protocols(const struct view *v, const struct view_service *s,
                              const struct addr *a)
{
	const struct configuration *c = view_configuration(v);
	const struct config_pool *pool = c ? configuration_pool_of(c, a) : NULL;
	const struct view_address *address = view_address_of(s, a);

	if (pool)
		return pool->protocols;
	if (c && c->n_peers && address && address->external && view_is_admitted(v, s, address))
		return PROTOCOL_LAYER2 | PROTOCOL_BGP;
	return PROTOCOL_LAYER2;
}

/* Type and class are about load balancers; an external IP asks for neither. */
static enum reason about_service(const struct view *v, const struct view_service *s,
                                 const struct view_address *address)
{
	bool external = address && address->external;

	if (!external && s->type != KUBE_LOAD_BALANCER)
		return REASON_NotLoadBalancer;
	if (!external && !view_is_our_class(v, s))
		return REASON_OtherClass;
	if (s->deleting)
		return REASON_Deleting;
	return REASON_Candidate;
}

static enum reason about_address(const struct view *v, const struct view_service *s,
                                 const struct view_address *address, enum protocol protocol,
                                 struct decision *d)
{
	if (!address)
		return REASON_NoAddress;
	const struct addr *a = &address->addr;
	if (!view_configuration(v))
		return REASON_NoConfiguration;
	d->pool = configuration_pool_of(view_configuration(v), a);
	if (address->ip_mode_proxy)
		return REASON_IpModeProxy;
	if (!address->external && !d->pool)
		return REASON_AddressNotInPool;
	if (!view_is_admitted(v, s, address))
		return REASON_ExternalIpNotAllowed;
	if (address->external && !view_has_family(s, a->family))
		return REASON_NotForwarded;
	if (view_is_node_address(v, a))
		return REASON_NodeAddress;
	if (!(decide_protocols(v, s, a) & protocol))
		return REASON_ProtocolUnsupported;
	if (protocol == PROTOCOL_LAYER2 && a->family != 4)
		return REASON_FamilyUnsupported;
	const struct view_service *first = view_first_claimant(v, a);
	if (first && first != s) {
		d->claimant = first;
		return REASON_AddressShared;
	}
	return REASON_Candidate;
}

/* What the endpoints of a family amount to, over all ports. */
struct usable {
	bool anywhere; /* some port has a usable endpoint */
	bool here;     /* on the node asked about */
};

static bool serves_a_port(const struct view_service *s, const struct view_slice *slice)
{
	for (size_t i = 0; i < s->n_ports; i++)
		for (size_t k = 0; k < slice->n_ports; k++)
			if (s->ports[i].name == slice->ports[k].name &&
			    s->ports[i].proto == slice->ports[k].proto && slice->ports[k].port)
				return true;
	return false;
}

static struct usable usable_endpoints(const struct view_service *s, uint8_t family,
                                      const char *node)
{
	struct usable u = { 0 };

	for (const struct view_slice *slice = s->slices; slice; slice = slice->next) {
		if (slice->family != family || !serves_a_port(s, slice))
			continue;
		for (size_t i = 0; i < slice->n_endpoints; i++) {
			const struct view_endpoint *ep = &slice->endpoints[i];
			if (!ep->ready && !(ep->serving && ep->terminating))
				continue;
			u.anywhere = true;
			if (ep->node && !strcmp(ep->node, node))
				u.here = true;
		}
	}
	return u;
}

static enum reason about_node(const struct view *v, const struct view_service *s,
                              const struct addr *a, const char *node)
{
	struct usable u = usable_endpoints(s, a->family, node);
	const struct view_node *n = view_node_named(v, node);

	if (!u.anywhere)
		return REASON_NoEndpoints;
	if (!n)
		return REASON_NodeUnknown;
	if (n->excluded)
		return REASON_NodeExcluded;
	if (n->network_unavailable)
		return REASON_NetworkUnavailable;
	if (s->external_local && !u.here)
		return REASON_NoLocalEndpoint;
	return REASON_Candidate;
}

struct decision decide(const struct view *v, const struct view_service *s, const struct addr *a,
                       const char *node, enum protocol protocol)
{
	const struct view_address *address = a ? view_address_of(s, a) : NULL;
	struct decision d = { .reason = about_service(v, s, address) };

	if (d.reason == REASON_Candidate)
		d.reason = about_address(v, s, address, protocol, &d);
	if (d.reason == REASON_Candidate)
		d.reason = about_node(v, s, a, node);
	return d;
}

/* By which configuration; one that is only tried has none. */
static void add_generation(const struct view *v, struct buf *out)
{
	if (view_generation(v))
		buf_printf(out, ", generation %llu", (unsigned long long)view_generation(v));
}

static void not_allowed_message(const struct view *v, const struct view_service *s,
                                const struct addr *a, struct buf *out)
{
	buf_printf(out, ": %s in namespace %s", addr_str(a), s->namespace);
	add_generation(v, out);
	if (view_address_of(s, a)->recorded)
		buf_puts(out, "; it was assigned once, but no pool for external IPs holds it");
}

static void not_in_pool_message(const struct view *v, const struct addr *a, struct buf *out)
{
	buf_printf(out, ": %s", addr_str(a));
	add_generation(v, out);
}

void decide_message(const struct decision *d, const struct view *v, const struct view_service *s,
                    const struct addr *a, const char *node, struct buf *out)
{
	buf_puts(out, reason_sentence(d->reason));
	if (d->reason == REASON_AddressShared)
		buf_printf(out, ": %s has %s", d->claimant->key, addr_str(a));
	else if (d->reason == REASON_OtherClass)
		buf_printf(out, ": %s", s->class ? s->class : "none");
	else if (d->reason == REASON_NotLoadBalancer)
		buf_printf(out, ": it is %s", kube_service_type_name(s->type));
	else if (d->reason == REASON_AddressNotInPool)
		not_in_pool_message(v, a, out);
	else if (d->reason == REASON_ProtocolUnsupported)
		buf_printf(out, ": %s%s",
		           d->pool ? "another is named by pool " : "there is no peer",
		           d->pool ? d->pool->name : "");
	else if (d->reason == REASON_ExternalIpNotAllowed)
		not_allowed_message(v, s, a, out);
	else if (d->reason == REASON_NodeAddress)
		buf_printf(out, ": %s", addr_str(a));
	else if (d->reason == REASON_NotForwarded)
		buf_printf(out, ": IPv%u", a->family);
	else if (d->reason == REASON_NoLocalEndpoint || d->reason == REASON_NodeExcluded ||
	         d->reason == REASON_NetworkUnavailable || d->reason == REASON_NodeUnknown)
		buf_printf(out, ": %s", node);
}
