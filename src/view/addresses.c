/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "view/private.h"

/*
 * Addresses from outside, and who claims them.
 *
 * The index holds every Service that has an address, claimant or not: what is forwarded for one hangs on the claimants, and
 * who is one hangs on the configuration.  So admission is asked for when somebody reads, and when the configuration changes
 * all that have the address are looked at again.
 */

const char *view_kind_name(enum view_kind k)
{
	switch (k) {
	case VIEW_LOAD_BALANCER:
		return "load-balancer";
	case VIEW_EXTERNAL_ASSIGNED:
		return "external-ip-assigned";
	case VIEW_EXTERNAL_HANDWRITTEN:
		return "external-ip-handwritten";
	}
	return "";
}

/* ---- the list ---- */

static const struct view_address *find(const struct view_address *list, size_t n,
                                       const struct addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (addr_eq(&list[i].addr, a))
			return &list[i];
	return NULL;
}

/* By the record, which anybody may write, and by the status. */
static bool is_recorded(const struct kube_service *s, const struct addr *a)
{
	struct addr confirmed[2];
	size_t n = kube_external_confirmed(s, confirmed);

	return addrs_contain(s->external_assigned, s->n_external_assigned, a) &&
	       addrs_contain(confirmed, n, a);
}

struct view_address *view_addresses_of(const struct kube_service *s, size_t *ret_n)
{
	struct view_address *list = NULL;
	size_t n_ingress = s->type == KUBE_LOAD_BALANCER ? s->n_ingress : 0, n = 0;

	if (n_ingress + s->n_external_ips)
		list = xcalloc(n_ingress + s->n_external_ips, sizeof(*list));
	for (size_t i = 0; i < n_ingress; i++) {
		const struct kube_ingress *in = &s->ingress[i];
		if (!addr_is_none(&in->ip) && !find(list, n, &in->ip))
			list[n++] = (struct view_address){ .addr = in->ip,
				                           .ip_mode_proxy = in->ip_mode_proxy };
	}
	for (size_t i = 0; i < s->n_external_ips; i++) {
		const struct addr *a = &s->external_ips[i];
		if (!find(list, n, a))
			list[n++] = (struct view_address){ .addr = *a,
				                           .external = true,
				                           .recorded = is_recorded(s, a) };
	}
	*ret_n = n;
	return list;
}

const struct view_address *view_address_of(const struct view_service *s, const struct addr *a)
{
	return find(s->addresses, s->n_addresses, a);
}

bool view_has_family(const struct view_service *s, uint8_t family)
{
	for (size_t i = 0; i < s->n_cluster_ips; i++)
		if (s->cluster_ips[i].family == family)
			return true;
	return false;
}

/* ---- admission ---- */

enum view_kind view_kind_of(const struct configuration *c, const struct view_address *a)
{
	const struct config_pool *pool;

	if (!a->external)
		return VIEW_LOAD_BALANCER;
	pool = c && a->recorded ? configuration_pool_of(c, &a->addr) : NULL;
	return pool && pool->uses & CONFIG_USE_EXTERNAL_IP ? VIEW_EXTERNAL_ASSIGNED
	                                                   : VIEW_EXTERNAL_HANDWRITTEN;
}

static bool is_admitted(const struct configuration *c, const struct view_service *s,
                        const struct view_address *a)
{
	return view_kind_of(c, a) != VIEW_EXTERNAL_HANDWRITTEN ||
	       (c && configuration_external_ip_allowed(c, &a->addr, s->namespace));
}

bool view_is_admitted(const struct view *v, const struct view_service *s,
                      const struct view_address *a)
{
	return is_admitted(v->config, s, a);
}

/* ---- claims ---- */

/* What kube-proxy would leave to others is no claim. */
static bool is_indexed(const struct view_address *a)
{
	return !a->ip_mode_proxy;
}

static struct claim *claim_of(const struct view *v, const struct addr *a)
{
	struct claim *c;

	HASH_FIND(hh, v->claims, a, sizeof(*a), c);
	return c;
}

static void mark_others(struct view *v, const struct claim *c, const struct service *s)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->services[i] != s)
			view_mark(v, c->services[i]);
}

void view_claims_drop(struct view *v, struct service *s)
{
	for (size_t i = 0; i < s->pub.n_addresses; i++) {
		struct claim *c = claim_of(v, &s->pub.addresses[i].addr);
		if (!c || !is_indexed(&s->pub.addresses[i]))
			continue;
		for (size_t k = 0; k < c->n; k++)
			if (c->services[k] == s) {
				c->services[k] = c->services[--c->n];
				break;
			}
		mark_others(v, c, s);
		if (!c->n) {
			HASH_DEL(v->claims, c);
			free(c->services);
			free(c);
		}
	}
}

void view_claims_add(struct view *v, struct service *s)
{
	for (size_t i = 0; i < s->pub.n_addresses; i++) {
		const struct view_address *a = &s->pub.addresses[i];
		struct claim *c = claim_of(v, &a->addr);
		if (!is_indexed(a))
			continue;
		if (!c) {
			c = xcalloc(1, sizeof(*c));
			c->addr = a->addr;
			HASH_ADD(hh, v->claims, addr, sizeof(c->addr), c);
		}
		mark_others(v, c, s);
		c->services = xreallocarray(c->services, c->n + 1, sizeof(*c->services));
		c->services[c->n++] = s;
	}
}

/* Beside who claims it: by pool and protocols. */
static bool answer_differs(const struct configuration *old, const struct configuration *new,
                           const struct view_address *a)
{
	const struct config_pool *p = old ? configuration_pool_of(old, &a->addr) : NULL;
	const struct config_pool *q = new ? configuration_pool_of(new, &a->addr) : NULL;

	if (p && q)
		return p->protocols != q->protocols || strcmp(p->name, q->name) != 0;
	/* Outside all pools an external IP goes by BGP if there is any peer. */
	return p != q || !old != !new || (a->external && old && !old->n_peers != !new->n_peers);
}

void view_claims_compare(struct view *v, struct service *s, const struct configuration *old,
                         const struct configuration *new)
{
	for (size_t i = 0; i < s->pub.n_addresses; i++) {
		const struct view_address *a = &s->pub.addresses[i];
		bool claim = view_kind_of(old, a) != view_kind_of(new, a) ||
		             is_admitted(old, &s->pub, a) != is_admitted(new, &s->pub, a);
		if (claim || answer_differs(old, new, a))
			view_mark(v, s);
		if (claim)
			mark_others(v, claim_of(v, &a->addr), s);
	}
}

int view_by_name(const struct view_service *a, const struct view_service *b)
{
	int c = strcmp(a->namespace, b->namespace);

	return c ? c : strcmp(a->name, b->name);
}

static bool is_claimant(const struct view *v, const struct view_service *s, const struct addr *addr)
{
	const struct view_address *a = view_address_of(s, addr);

	if (s->deleting)
		return false;
	return a->external ? view_has_family(s, addr->family) && view_is_admitted(v, s, a)
	                   : view_is_our_class(v, s);
}

static bool is_older(const struct view_service *a, const struct view_service *b)
{
	return a->created_us != b->created_us ? a->created_us < b->created_us
	                                      : view_by_name(a, b) < 0;
}

/*
 * Whoever may write Services may write records, but not statuses: so an older Service could take a load balancer's
 * address by a record that it wrote itself, until the controller has put that right.
 */
const struct view_service *view_first_claimant(const struct view *v, const struct addr *a)
{
	const struct view_service *first = NULL, *first_by_record = NULL;
	const struct claim *c = claim_of(v, a);
	bool granted = false; /* some status has it */

	for (size_t i = 0; c && i < c->n; i++) {
		const struct view_service *s = &c->services[i]->pub;
		if (!is_claimant(v, s, a))
			continue;
		enum view_kind kind = view_kind_of(v->config, view_address_of(s, a));
		const struct view_service **at =
			kind == VIEW_EXTERNAL_ASSIGNED ? &first_by_record : &first;
		granted |= kind == VIEW_LOAD_BALANCER;
		if (!*at || is_older(s, *at))
			*at = s;
	}
	if (!first || (first_by_record && !granted && is_older(first_by_record, first)))
		return first_by_record;
	return first;
}
