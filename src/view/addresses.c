/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses from outside, and the Services that have them.
 *
 * The index holds every Service that may have an address; which of them comes first is decided
 * elsewhere (decide.h), and remembered here.  What is decided for one hangs on the others, so all
 * are looked at again when one comes, goes or changes, and when the configuration says something
 * else of the address.
 *
 * Whoever may write Services can write hundreds of external IPs into each of hundreds of Services,
 * the same ones everywhere.  So what nobody has allowed, and no confirmed record names, is in no
 * index: it takes an address from nobody, and a change of one such Service is no matter for the
 * others.  One that has a record of the address all the same, two at most, watches: it says whether
 * another Service has it.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "view/private.h"

/* ---- the list ---- */

static const struct view_address *find(const struct view_address *list, size_t n,
                                       const struct addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (addr_eq(&list[i].addr, a))
			return &list[i];
	return NULL;
}

static struct view_address external_address(const struct kube_service *s, const struct addr *a)
{
	struct addr confirmed[2];
	size_t n = kube_external_confirmed(s, confirmed);
	struct view_address out = { .addr = *a, .external = true };

	out.recorded = addrs_contain(s->external_assigned, s->n_external_assigned, a);
	out.confirmed = out.recorded && addrs_contain(confirmed, n, a);
	out.shared = out.confirmed && kube_external_shares(s);
	return out;
}

struct view_address *view_addresses_of(const struct kube_service *s, uint32_t *ret_n)
{
	struct view_address *list = NULL;
	size_t n_ingress = s->type == KUBE_LOAD_BALANCER ? s->n_ingress : 0;
	uint32_t n = 0;

	if (n_ingress + s->n_external_ips)
		list = xcalloc(n_ingress + s->n_external_ips, sizeof(*list));
	for (size_t i = 0; i < n_ingress; i++) {
		const struct kube_ingress *in = &s->ingress[i];
		if (!addr_is_none(&in->ip) && !find(list, n, &in->ip))
			list[n++] = (struct view_address){ .addr = in->ip,
				                           .ip_mode_proxy = in->ip_mode_proxy,
				                           .shared = in->ports != 0 };
	}
	for (size_t i = 0; i < s->n_external_ips; i++) {
		const struct addr *a = &s->external_ips[i];
		if (!find(list, n, a))
			list[n++] = external_address(s, a);
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
	return addrs_have_family(s->cluster_ips, s->n_cluster_ips, family);
}

bool view_is_for_proxies(const struct view_service *s, uint8_t family)
{
	return s->known && !s->foreign_proxy && !s->proxyless && s->type != KUBE_EXTERNAL_NAME &&
	       s->n_ports && view_has_family(s, family);
}

/* ---- the index ---- */

/*
 * What kube-proxy would leave to others is no claim, nor is what somebody wrote by hand without
 * being allowed to.
 */
static bool is_indexed(const struct configuration *c, const struct view_service *s,
                       const struct view_address *a)
{
	return !a->ip_mode_proxy &&
	       (!a->external || a->confirmed ||
	        (c && configuration_external_ip_allowed(c, &a->addr, s->namespace)));
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
	for (size_t i = 0; i < c->n_watchers; i++)
		if (c->watchers[i] != s)
			view_mark(v, c->watchers[i]);
}

void view_mark_company(struct view *v, const struct service *s)
{
	for (size_t i = 0; i < s->pub.n_addresses; i++) {
		const struct claim *c =
			s->pub.addresses[i].shared ? claim_of(v, &s->pub.addresses[i].addr) : NULL;
		if (c && c->n > 1)
			mark_others(v, c, s);
	}
}

static bool take_out(struct service **list, size_t *n, const struct service *s)
{
	size_t k = 0;

	while (k < *n && list[k] != s)
		k++;
	if (k == *n)
		return false;
	list[k] = list[--*n];
	return true;
}

static void drop(struct view *v, struct service *s, const struct addr *a)
{
	struct claim *c = claim_of(v, a);

	if (!c)
		return;
	take_out(c->watchers, &c->n_watchers, s);
	if (take_out(c->services, &c->n, s)) {
		c->first_known = false;
		mark_others(v, c, s);
	}
	if (c->n + c->n_watchers)
		return;
	HASH_DEL(v->claims, c);
	free(c->services);
	free(c->watchers);
	free(c);
}

static struct claim *claim_get(struct view *v, const struct addr *a)
{
	struct claim *c = claim_of(v, a);

	if (c)
		return c;
	c = xcalloc(1, sizeof(*c));
	c->addr = *a;
	HASH_ADD(hh, v->claims, addr, sizeof(c->addr), c);
	return c;
}

static void add(struct view *v, const struct configuration *config, struct service *s,
                const struct view_address *a)
{
	struct claim *c;

	if (is_indexed(config, &s->pub, a)) {
		c = claim_get(v, &a->addr);
		mark_others(v, c, s);
		c->first_known = false;
		ARRAY_RESERVE(c->services, c->cap, c->n + 1);
		c->services[c->n++] = s;
	} else if (a->recorded) {
		c = claim_get(v, &a->addr);
		ARRAY_RESERVE(c->watchers, c->cap_watchers, c->n_watchers + 1);
		c->watchers[c->n_watchers++] = s;
	}
}

void view_claims_drop(struct view *v, struct service *s)
{
	for (size_t i = 0; i < s->pub.n_addresses; i++)
		drop(v, s, &s->pub.addresses[i].addr);
}

void view_claims_add(struct view *v, struct service *s)
{
	for (size_t i = 0; i < s->pub.n_addresses; i++)
		add(v, v->config, s, &s->pub.addresses[i]);
}

const struct view_service *const *view_holders(const struct view *v, const struct addr *a,
                                               size_t *ret_n)
{
	const struct claim *c = claim_of(v, a);

	/* A struct service begins with its public part, so that the one array serves both. */
	_Static_assert(offsetof(struct service, pub) == 0, "the public part comes first");
	*ret_n = c ? c->n : 0;
	return c ? (const struct view_service *const *)c->services : NULL;
}

bool view_recall_first(const struct view *v, const struct addr *a,
                       const struct view_service **ret_first)
{
	const struct claim *c = claim_of(v, a);

	if (!c)
		*ret_first = NULL; /* nobody may have it */
	else if (c->first_known && c->first_revision == v->revision)
		*ret_first = c->first;
	else
		return false;
	return true;
}

void view_remember_first(const struct view *v, const struct addr *a,
                         const struct view_service *first)
{
	struct claim *c = claim_of(v, a);

	if (!c)
		return;
	c->first_known = true;
	c->first_revision = v->revision;
	c->first = first;
}

/* ---- the configuration ---- */

static bool pools_differ(const struct config_pool *p, const struct config_pool *q)
{
	if (!p || !q)
		return p != q;
	return p->protocols != q->protocols || p->uses != q->uses ||
	       p->holds_ending != q->holds_ending || strcmp(p->name, q->name) != 0 ||
	       !config_pools_advertise_alike(p, q) || !config_pool_layer2_eq(p, q);
}

/* Whether anything that is decided about the address of @s may be different. */
static bool differs(const struct configuration *old, const struct configuration *new,
                    const struct view_service *s, const struct view_address *a)
{
	if (!old || !new)
		return old != new;
	if (!configuration_peer_of(old, &a->addr) != !configuration_peer_of(new, &a->addr))
		return true;
	if (pools_differ(configuration_pool_of(old, &a->addr),
	                 configuration_pool_of(new, &a->addr)))
		return true;
	/* Outside all pools an external IP goes by BGP if there is any peer. */
	return a->external &&
	       (!old->n_peers != !new->n_peers ||
	        configuration_external_ip_allowed(old, &a->addr, s->namespace) !=
	                configuration_external_ip_allowed(new, &a->addr, s->namespace));
}

void view_claims_compare(struct view *v, struct service *s, const struct configuration *old,
                         const struct configuration *new)
{
	for (size_t i = 0; i < s->pub.n_addresses; i++) {
		const struct view_address *a = &s->pub.addresses[i];
		bool was = is_indexed(old, &s->pub, a), is = is_indexed(new, &s->pub, a);
		if (!differs(old, new, &s->pub, a))
			continue;
		view_mark(v, s);
		if (was != is) {
			drop(v, s, &a->addr);
			add(v, new, s, a);
		}
		const struct claim *c = claim_of(v, &a->addr);
		if (c)
			mark_others(v, c, s);
	}
}

int view_by_name(const struct view_service *a, const struct view_service *b)
{
	int c = strcmp(a->namespace, b->namespace);

	return c ? c : strcmp(a->name, b->name);
}
