/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reasons are looked for from the general to the particular: what is wrong with the Service, then
 * with the address, then with the endpoints, then with the node; the first that applies is the
 * answer.  So every node gives the same answer for as long as the matter is not the node itself.
 *
 * What takes time to find out, the size of the Service and its endpoints, comes last, and only for
 * an address that the Service may have: it can write hundreds that it may not.
 */
#include "config.h"

#include "fairlead/decide.h"

#include <string.h>

#include "decide/private.h"
#include "fairlead/configuration.h"
#include "fairlead/seniority.h"
#include "fairlead/size.h"

/* ---- kinds and admission ---- */

const char *decide_kind_name(enum decide_kind k)
{
	switch (k) {
	case DECIDE_LOAD_BALANCER:
		return "load-balancer";
	case DECIDE_EXTERNAL_ASSIGNED:
		return "external-ip-assigned";
	case DECIDE_EXTERNAL_HANDWRITTEN:
		return "external-ip-handwritten";
	}
	return "";
}

static enum decide_kind kind_in(const struct config_pool *pool, const struct view_address *a)
{
	if (!a->external)
		return DECIDE_LOAD_BALANCER;
	return a->confirmed && pool && pool->uses & CONFIG_USE_EXTERNAL_IP
	               ? DECIDE_EXTERNAL_ASSIGNED
	               : DECIDE_EXTERNAL_HANDWRITTEN;
}

enum decide_kind decide_kind_of(const struct configuration *c, const struct view_address *a)
{
	return kind_in(c ? configuration_pool_of(c, &a->addr) : NULL, a);
}

/*
 * May the Service have this address?  An external IP that somebody wrote by hand is denied unless
 * the configuration allows it, otherwise anybody who may write Services could attract anybody's
 * traffic (CVE-2020-8554).
 */
static bool is_admitted(const struct configuration *c, const struct view_service *s,
                        const struct view_address *a, enum decide_kind kind)
{
	return kind != DECIDE_EXTERNAL_HANDWRITTEN ||
	       (c && configuration_external_ip_allowed(c, &a->addr, s->namespace));
}

/* ---- who comes first ---- */

/* Lower comes first. */
enum claim { CLAIM_STATUS, CLAIM_STATUS_OF_OTHERS, CLAIM_RECORD, CLAIM_HAND, CLAIM_NONE };

static enum claim claim_of(const struct view *v, const struct config_pool *pool,
                           const struct view_service *s, const struct view_address *a)
{
	enum decide_kind kind = kind_in(pool, a);

	if (s->deleting)
		return CLAIM_NONE;
	if (kind == DECIDE_LOAD_BALANCER)
		return view_is_our_class(v, s) ? CLAIM_STATUS : CLAIM_STATUS_OF_OTHERS;
	if (!view_has_family(s, a->addr.family) || !is_admitted(view_configuration(v), s, a, kind))
		return CLAIM_NONE;
	return kind == DECIDE_EXTERNAL_ASSIGNED ? CLAIM_RECORD : CLAIM_HAND;
}

static bool is_older(const struct view_service *a, const struct view_service *b)
{
	const struct seniority one = { a->created_us, a->namespace, a->name };
	const struct seniority another = { b->created_us, b->namespace, b->name };

	return seniority_cmp(&one, &another) < 0;
}

static const struct view_service *first_of(const struct view *v, const struct config_pool *pool,
                                           const struct addr *a)
{
	const struct view_service *first = NULL;
	enum claim best = CLAIM_NONE;
	size_t n;

	if (view_recall_first(v, a, &first))
		return first;
	const struct view_service *const *holders = view_holders(v, a, &n);
	for (size_t i = 0; i < n; i++) {
		enum claim claim = claim_of(v, pool, holders[i], view_address_of(holders[i], a));
		if (claim > best || claim == CLAIM_NONE)
			continue;
		if (claim < best || is_older(holders[i], first))
			first = holders[i];
		best = claim;
	}
	view_remember_first(v, a, first);
	return first;
}

const struct view_service *decide_first(const struct view *v, const struct addr *a)
{
	const struct configuration *c = view_configuration(v);

	return first_of(v, c ? configuration_pool_of(c, a) : NULL, a);
}

/* ---- who shares ---- */

/* A controller says so in the status, of our class or of an external IP. */
static bool is_shared(const struct view *v, const struct view_service *s, const struct addr *a)
{
	const struct view_address *mine = view_address_of(s, a);

	return mine && mine->shared &&
	       (mine->external || (s->type == KUBE_LOAD_BALANCER && view_is_our_class(v, s)));
}

/* Has the Service the address together with the one that comes first? */
static bool is_tenant(const struct decision *d)
{
	const struct addr *a = &d->address->addr;

	return d->first == d->service ||
	       (d->first && is_shared(d->view, d->first, a) && is_shared(d->view, d->service, a));
}

/* ---- machines ---- */

/*
 * An address that a machine has is not announced: that would cut the machine off.
 * REASON_Candidate: none has it.
 */
static enum reason about_machine(const struct view *v, const struct addr *a)
{
	const struct configuration *c = view_configuration(v);

	if (view_is_node_address(v, a))
		return REASON_NodeAddress;
	if (view_is_api_server(v, a))
		return REASON_AddressOfApiServer;
	if (c && configuration_peer_of(c, a))
		return REASON_AddressOfPeer;
	return REASON_Candidate;
}

static enum decide_guard guard_of(const struct decision *d)
{
	const struct addr *a = &d->address->addr;

	if (!d->carried || about_machine(d->view, a) != REASON_Candidate ||
	    view_is_needed(d->view, a))
		return DECIDE_OPEN;
	if (d->pool)
		return DECIDE_GUARDED;
	return d->kind == DECIDE_LOAD_BALANCER ? DECIDE_OPEN : DECIDE_GUARDED_IF_ANNOUNCED;
}

/* ---- the decision ---- */

static unsigned int protocols_of(const struct decision *d, bool admitted)
{
	const struct configuration *c = view_configuration(d->view);

	if (d->pool)
		return d->pool->protocols;
	return c && c->n_peers && d->address->external && admitted ? PROTOCOL_LAYER2 | PROTOCOL_BGP
	                                                           : PROTOCOL_LAYER2;
}

/* Type and class are about load balancers; an external IP asks for neither. */
static enum reason about_service(const struct decision *d)
{
	bool external = d->address && d->address->external;

	if (!external && d->service->type != KUBE_LOAD_BALANCER)
		return REASON_NotLoadBalancer;
	if (!external && !view_is_our_class(d->view, d->service))
		return REASON_OtherClass;
	if (d->service->deleting)
		return REASON_Deleting;
	if (d->service->proxyless)
		return REASON_NoProxy;
	return REASON_Candidate;
}

enum reason decide_by_size(const struct view_service *s, bool by_rules)
{
	if (size_is_too_large(s, by_rules))
		return REASON_TooLarge;
	return by_rules || view_has_room(s) ? REASON_Candidate : REASON_CrowdedOut;
}

static enum reason about_size(const struct decision *d)
{
	const struct view_node_rules rules = view_node_rules(d->view);

	return rules.forwards && !d->service->foreign_proxy
	               ? decide_by_size(d->service, rules.by_rules)
	               : REASON_Candidate;
}

static enum reason about_address(const struct decision *d, bool admitted)
{
	const struct view_address *a = d->address;

	if (!view_configuration(d->view))
		return REASON_NoConfiguration;
	if (a->ip_mode_proxy)
		return REASON_IpModeProxy;
	if (!a->external && !d->pool)
		return REASON_AddressNotInPool;
	/* A record that another Service's claim belies is no list written by hand. */
	if (!admitted)
		return a->recorded && !a->confirmed && d->first ? REASON_AddressShared
		                                                : REASON_ExternalIpNotAllowed;
	if (a->external && !view_has_family(d->service, a->addr.family))
		return REASON_NotForwarded;
	enum reason machine = about_machine(d->view, &a->addr);
	if (machine != REASON_Candidate)
		return machine;
	return d->first && !is_tenant(d) ? REASON_AddressShared : REASON_Candidate;
}

/* But for those that it shares the address with. */
static struct decision decide_alone(const struct view *v, const struct view_service *s,
                                    const struct addr *a)
{
	const struct configuration *c = view_configuration(v);
	struct decision d = { .view = v,
		              .service = s,
		              .address = a ? view_address_of(s, a) : NULL,
		              .ours = view_is_our_class(v, s) };
	bool admitted = true;

	if (d.address) {
		d.pool = c ? configuration_pool_of(c, a) : NULL;
		d.kind = kind_in(d.pool, d.address);
		d.ours |= d.address->external;
		admitted = is_admitted(c, s, d.address, d.kind);
		d.protocols = protocols_of(&d, admitted);
		d.advertisements =
			d.pool ? config_pool_advertisements_for_service(d.pool, &s->labels) : 1;
		d.layer2 = d.pool ? config_pool_layer2_for_service(d.pool, &s->labels)
		                  : CONFIG_LAYER2_ALL;
		d.first = first_of(v, d.pool, a);
		d.carried = !d.address->ip_mode_proxy && admitted && (!d.first || is_tenant(&d));
		d.guard = guard_of(&d);
	}
	d.reason = about_service(&d);
	if (d.reason == REASON_Candidate && d.address)
		d.reason = about_address(&d, admitted);
	if (d.reason == REASON_Candidate)
		d.reason = about_size(&d);
	if (d.reason == REASON_Candidate && !d.address)
		d.reason = REASON_NoAddress;
	if (d.reason == REASON_Candidate)
		decide_count_endpoints(&d);
	return d;
}

static void find_lead(struct decision *d)
{
	const struct addr *a = &d->address->addr;
	size_t n;

	const struct view_service *const *holders = view_holders(d->view, a, &n);

	for (size_t i = 0; i < n && n > 1; i++) {
		if (!is_shared(d->view, holders[i], a) ||
		    (d->lead && is_older(d->lead, holders[i])))
			continue;
		struct decision other = decide_alone(d->view, holders[i], a);
		if (other.reason != REASON_Candidate || !other.has_endpoint)
			continue;
		d->lead = holders[i];
		d->lead_ready = other.ready;
		d->lead_layer2 = other.layer2;
		d->lead_advertisements = other.advertisements;
	}
}

/* Labels of one do not widen where the address of another is announced. */
static void follow_lead(struct decision *d)
{
	if (d->lead_layer2)
		d->layer2 = d->lead_layer2;
	if (d->lead_advertisements)
		d->advertisements = d->lead_advertisements;
	d->ready = 0;
	decide_count_endpoints(d);
}

struct decision decide_address(const struct view *v, const struct view_service *s,
                               const struct addr *a)
{
	struct decision d = decide_alone(v, s, a);

	if (d.reason == REASON_Candidate && d.address && d.address->shared)
		find_lead(&d);
	if (d.lead && d.lead != s)
		follow_lead(&d);
	return d;
}
