/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ipam/ipam.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static int pool_cmp(const void *a, const void *b)
{
	return config_pool_cmp(((const struct ipam_pool *)a)->conf,
	                       ((const struct ipam_pool *)b)->conf);
}

static const void *service_key(const void *record, size_t *ret_size)
{
	const struct ipam_service *s = record;

	*ret_size = strlen(s->key);
	return s->key;
}

static const void *holding_key(const void *record, size_t *ret_size)
{
	const struct ipam_holding *h = record;

	*ret_size = sizeof(h->addr);
	return &h->addr;
}

static const struct table_kind services = { .link = offsetof(struct ipam_service, link),
	                                    .key = service_key };
static const struct table_kind holdings = { .link = offsetof(struct ipam_holding, link),
	                                    .key = holding_key };

struct ipam *ipam_new(struct configuration *c)
{
	struct ipam *ipam = xcalloc(1, sizeof(*ipam));

	ipam->config = configuration_ref(c);
	ipam->span = 1;
	ipam->services.kind = &services;
	ipam->holdings.kind = &holdings;
	ipam->n_pools = c->n_pools;
	ipam->pools = xcalloc(c->n_pools + 1, sizeof(*ipam->pools));
	ipam->position = xcalloc(c->n_pools + 1, sizeof(*ipam->position));
	for (size_t i = 0; i < c->n_pools; i++) {
		struct ipam_pool *pool = &ipam->pools[i];
		pool->conf = &c->pools[i];
		for (size_t f = 0; f < 2; f++)
			pool->runs[f].skip_buggy = pool->squatted[f].skip_buggy =
				c->pools[i].avoid_buggy_ips;
		for (size_t k = 0; k < c->pools[i].n_ranges; k++) {
			const struct addr_range *r = &c->pools[i].ranges[k];
			runs_add(&pool->runs[ipam_family_index(r->first.family)], r);
		}
		for (size_t k = 0; k < c->pools[i].n_excluded; k++) {
			const struct addr_range *r = &c->pools[i].excluded[k];
			runs_exclude(&pool->runs[ipam_family_index(r->first.family)], r);
		}
	}
	qsort(ipam->pools, ipam->n_pools, sizeof(*ipam->pools), pool_cmp);
	for (size_t i = 0; i < ipam->n_pools; i++)
		ipam->position[ipam->pools[i].conf - c->pools] = i;
	for (size_t i = 0; i < c->n_pools; i++)
		ipam_reserve(ipam, &c->pools[i]);
	for (size_t i = 0; i < ipam->n_pools; i++)
		ipam_set_quotas(ipam, &ipam->pools[i]);
	for (size_t i = 0; i < c->n_pools; i++) {
		bool balances = c->pools[i].allocation == CONFIG_ALLOCATION_LEAST_USED_POOL;
		ipam->balances |= balances;
		ipam->may_be_open |= balances && c->pools[i].audience.namespace_selectors.n > 0;
	}
	for (size_t i = 0; i < c->n_peers; i++) {
		cleanup_free char *what = xasprintf("BGP peer %s", c->peers[i].name);
		ipam_add_machine(ipam, &c->peers[i].address, REASON_AddressOfPeer, what);
	}
	return ipam;
}

static void service_free(struct ipam *ipam, struct ipam_service *s)
{
	ipam_forget_tenancy(ipam, s);
	table_remove(&ipam->services, s);
	free(s->held);
	free(s->squatted);
	free(s);
}

void ipam_service_drop(struct ipam *ipam, struct ipam_service *s)
{
	if (s->n + s->n_squatted == 0 && !s->tenancy)
		service_free(ipam, s);
}

static void holding_free(struct ipam *ipam, struct ipam_holding *h)
{
	for (struct ipam_tenant *t = h->first.next, *next; t; t = next) {
		next = t->next;
		free(t);
	}
	table_remove(&ipam->holdings, h);
	free(h);
}

void ipam_free(struct ipam *ipam)
{
	struct ipam_service *s;
	struct ipam_holding *h;

	if (!ipam)
		return;
	for (uint32_t at = 0; (h = table_next(&ipam->holdings, &at));)
		holding_free(ipam, h);
	for (uint32_t at = 0; (s = table_next(&ipam->services, &at));)
		service_free(ipam, s);
	table_fini(&ipam->holdings);
	table_fini(&ipam->services);
	ipam_free_cooling(ipam);
	ipam_free_sharers(ipam);
	ipam_free_marks(ipam);
	ipam_free_namespaces(ipam);
	ipam_free_reservations(ipam);
	ipam_free_quotas(ipam);
	for (size_t i = 0; i < ipam->n_pools; i++)
		for (size_t f = 0; f < 2; f++) {
			runs_fini(&ipam->pools[i].runs[f]);
			runs_fini(&ipam->pools[i].squatted[f]);
		}
	free(ipam->freed);
	free(ipam->pools);
	free(ipam->position);
	configuration_unref(ipam->config);
	free(ipam);
}

const struct configuration *ipam_configuration(const struct ipam *ipam)
{
	return ipam->config;
}

struct ipam_pool *ipam_pool_of(const struct ipam *ipam, const struct addr *a)
{
	const struct config_pool *conf = configuration_giving_pool_of(ipam->config, a);

	return conf ? &ipam->pools[ipam->position[conf - ipam->config->pools]] : NULL;
}

struct ipam_service *ipam_service_find(const struct ipam *ipam, const char *key)
{
	return table_find(&ipam->services, key, strlen(key));
}

static struct ipam_holding *holding_find(const struct ipam *ipam, const struct addr *a)
{
	return table_find(&ipam->holdings, a, sizeof(*a));
}

const struct ipam_tenant *ipam_tenants_of(const struct ipam *ipam, const struct addr *a)
{
	const struct ipam_holding *h = holding_find(ipam, a);

	return h ? &h->first : NULL;
}

const struct ipam_service *ipam_holder_of(const struct ipam *ipam, const struct addr *a)
{
	const struct ipam_tenant *t = ipam_tenants_of(ipam, a);

	return t ? t->service : NULL;
}

bool ipam_holds(const struct ipam *ipam, const char *key, const struct addr *a)
{
	for (const struct ipam_tenant *t = ipam_tenants_of(ipam, a); t; t = t->next)
		if (!strcmp(t->service->key, key))
			return true;
	return false;
}

const char *ipam_holder(const struct ipam *ipam, const struct addr *a)
{
	const struct ipam_service *s = ipam_holder_of(ipam, a);

	return s ? s->key : NULL;
}

struct ipam_service *ipam_service_get(struct ipam *ipam, const char *key)
{
	struct ipam_service *s = ipam_service_find(ipam, key);

	if (!s) {
		size_t size = strlen(key) + 1;
		s = xcalloc(1, sizeof(*s) + size);
		memcpy(s->key, key, size);
		table_add(&ipam->services, s);
	}
	return s;
}

/* How much of it is in use decides when it is tried. */
static void count_used(struct ipam *ipam, struct ipam_pool *pool, const struct addr *a, bool added)
{
	size_t f = ipam_family_index(a->family);
	uint64_t one = added ? 1 : -1ULL;

	pool->used[f] += one;
	if (!ipam_is_assignable(ipam, pool, a))
		return;
	pool->used_assignable[f] += one;
	if (ipam->may_be_open && pool->conf->allocation == CONFIG_ALLOCATION_LEAST_USED_POOL)
		ipam->reordered_in = ipam->span;
}

static bool hold_one(struct ipam *ipam, const char *key, const struct addr *a, bool any)
{
	struct ipam_pool *pool = ipam_pool_of(ipam, a);
	struct ipam_holding *h = holding_find(ipam, a);

	if (h)
		return ipam_holds(ipam, key, a) || ipam_join(ipam, h, key);
	if (!pool && !any && !configuration_retained_of(ipam->config, a))
		return false;
	struct ipam_service *s = ipam_service_get(ipam, key);
	h = xcalloc(1, sizeof(*h));
	h->addr = *a;
	h->first.service = s;
	table_add(&ipam->holdings, h);
	ARRAY_RESERVE(s->held, s->cap, s->n + 1);
	s->held[s->n++] = *a;
	ipam_gained(ipam, s);
	if (!pool)
		return true;
	ipam_count_quotas(ipam, key, a, true);
	ipam_warm(ipam, a);
	count_used(ipam, pool, a, true);
	ipam_place(ipam, a);
	return true;
}

size_t ipam_hold(struct ipam *ipam, const char *key, const struct addr *addrs, size_t n)
{
	size_t held = 0;

	for (size_t i = 0; i < n; i++)
		held += hold_one(ipam, key, &addrs[i], false);
	return held;
}

size_t ipam_hold_any(struct ipam *ipam, const char *key, const struct addr *addrs, size_t n)
{
	size_t held = 0;

	for (size_t i = 0; i < n; i++)
		held += hold_one(ipam, key, &addrs[i], true);
	return held;
}

static void let_go(struct ipam *ipam, const struct ipam_service *s, const struct addr *a)
{
	struct ipam_holding *h = holding_find(ipam, a);
	struct ipam_pool *pool = ipam_pool_of(ipam, a);
	size_t f = ipam_family_index(a->family);

	bool gone = ipam_leave(h, s);
	if (pool)
		ipam_count_quotas(ipam, s->key, a, false);
	if (pool && !gone)
		pool->freed[f] = true;
	if (!gone)
		return;
	holding_free(ipam, h);
	ipam_note_freed(ipam, a);
	if (!pool)
		return;
	count_used(ipam, pool, a, false);
	/* To nobody but the same Service, which so may be of use to nobody. */
	if (ipam_cool(ipam, pool, a, s->key))
		return;
	pool->freed[f] = true;
	ipam_place(ipam, a);
}

bool ipam_retain(struct ipam *ipam, const char *key, const struct addr *addrs, size_t n)
{
	struct ipam_service *s = ipam_service_find(ipam, key);
	size_t kept = 0, before;

	if (!s)
		return false;
	before = s->n;
	for (size_t i = 0; i < before; i++) {
		if (addrs_contain(addrs, n, &s->held[i]))
			s->held[kept++] = s->held[i];
		else
			let_go(ipam, s, &s->held[i]);
	}
	s->n = kept;
	ipam_service_drop(ipam, s);
	return kept < before;
}

bool ipam_release(struct ipam *ipam, const char *key)
{
	struct ipam_service *s = ipam_service_find(ipam, key);

	if (s)
		ipam_forget_tenancy(ipam, s);
	ipam_squat(ipam, key, NULL, 0);
	return ipam_retain(ipam, key, NULL, 0);
}

size_t ipam_n_pools(const struct ipam *ipam)
{
	return ipam->n_pools;
}

struct ipam_pool_usage ipam_usage(const struct ipam *ipam, size_t i)
{
	const struct ipam_pool *pool = &ipam->pools[i];
	struct ipam_pool_usage u = { .pool = pool->conf };

	for (size_t f = 0; f < 2; f++) {
		uint64_t total = ipam_total(pool, f);
		u.total[f] = total;
		u.used[f] = pool->used[f];
		u.free[f] = total;
		u.cooling[f] = ipam_n_cooling(ipam, pool, f);
		if (total != UINT64_MAX)
			u.free[f] -= pool->used_assignable[f] +
			             ipam_n_reserved_free(ipam, pool, f) + u.cooling[f];
		u.squatted += pool->n_squatted[f];
	}
	return u;
}
