/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many addresses of a pool some namespaces may hold together.
 *
 * Each bound counts the addresses that Services of its namespaces have, each once, however many of
 * them share it.  What is held is never questioned: only what would raise the count above the
 * bound is refused.  So a Service that exchanges an address of the pool for another one of it may,
 * even where its namespaces hold more than they should by now.
 *
 * A bound is found by the namespace, so that others cost nothing; and when its count falls, that is
 * marked there, and wakes only those whom it bounds.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "fairlead/mem.h"
#include "ipam/choice.h"

/* ---- bounds ---- */

/* @key: "namespace", or with anything behind a slash.  NULL: nothing bounds it. */
static struct ipam_bounded *bounded_find(const struct ipam *ipam, const char *key)
{
	struct ipam_bounded *b;

	HASH_FIND(hh, ipam->bounded, key, strcspn(key, "/"), b);
	return b;
}

static void bind_to(struct ipam *ipam, const char *namespace, struct ipam_quota *q)
{
	struct ipam_bounded *b = bounded_find(ipam, namespace);

	if (!b) {
		b = xcalloc(1, sizeof(*b));
		b->namespace = namespace;
		HASH_ADD_KEYPTR(hh, ipam->bounded, namespace, strlen(namespace), b);
	}
	ARRAY_RESERVE(b->quotas, b->cap, b->n + 1);
	b->quotas[b->n++] = q;
}

void ipam_set_quotas(struct ipam *ipam, const struct ipam_pool *pool)
{
	for (size_t i = 0; i < pool->conf->n_quotas; i++) {
		const struct config_namespaces *who = &pool->conf->quotas[i].namespaces;
		struct ipam_quota *q = xcalloc(1, sizeof(*q));
		q->pool = pool;
		q->conf = &pool->conf->quotas[i];
		LL_PREPEND(ipam->quotas, q);
		for (size_t k = 0; k < who->n; k++)
			bind_to(ipam, who->names[k], q);
	}
}

void ipam_free_quotas(struct ipam *ipam)
{
	struct ipam_bounded *b, *next_b;
	struct ipam_quota *q, *next_q;

	HASH_ITER(hh, ipam->bounded, b, next_b) {
		HASH_DEL(ipam->bounded, b);
		free(b->quotas);
		free(b);
	}
	LL_FOREACH_SAFE(ipam->quotas, q, next_q)
		free(q);
}

/* ---- counting ---- */

static bool bounds(const struct ipam_quota *q, const struct ipam_bounded *b)
{
	for (size_t i = 0; b && i < b->n; i++)
		if (b->quotas[i] == q)
			return true;
	return false;
}

/* Does it count because of another Service than this one? */
static bool is_counted(const struct ipam *ipam, const struct ipam_quota *q, const char *key,
                       const struct addr *a)
{
	for (const struct ipam_tenant *t = ipam_tenants_of(ipam, a); t; t = t->next)
		if (strcmp(t->service->key, key) != 0 &&
		    bounds(q, bounded_find(ipam, t->service->key)))
			return true;
	return false;
}

void ipam_count_quotas(struct ipam *ipam, const char *key, const struct addr *a, bool added)
{
	const struct ipam_bounded *b = bounded_find(ipam, key);
	const struct ipam_pool *pool = b ? ipam_pool_of(ipam, a) : NULL;

	for (size_t i = 0; pool && i < b->n; i++) {
		struct ipam_quota *q = b->quotas[i];
		if (q->pool != pool || is_counted(ipam, q, key, a))
			continue;
		q->used += added ? 1 : -1ULL;
		if (added || q->is_freed)
			continue;
		q->is_freed = true;
		LL_PREPEND2(ipam->freed_quotas, q, next_freed);
	}
}

bool ipam_quota_is_freed(const struct ipam *ipam, const char *key, const struct ipam_pool *pool)
{
	const struct ipam_bounded *b = bounded_find(ipam, key);

	for (size_t i = 0; b && i < b->n; i++)
		if (b->quotas[i]->pool == pool && b->quotas[i]->is_freed)
			return true;
	return false;
}

void ipam_quotas_seen(struct ipam *ipam)
{
	for (struct ipam_quota *q = ipam->freed_quotas; q; q = q->next_freed)
		q->is_freed = false;
	ipam->freed_quotas = NULL;
}

bool ipam_has_quota(const struct ipam *ipam, const char *namespace, const struct ipam_pool *pool)
{
	const struct ipam_bounded *b = bounded_find(ipam, namespace);

	for (size_t i = 0; b && i < b->n; i++)
		if (b->quotas[i]->pool == pool &&
		    b->quotas[i]->used >= b->quotas[i]->conf->addresses)
			return false;
	return true;
}

uint64_t ipam_least_quota(const struct ipam *ipam, const char *namespace,
                          const struct ipam_pool *pool)
{
	const struct ipam_bounded *b = bounded_find(ipam, namespace);
	uint64_t least = UINT64_MAX;

	for (size_t i = 0; b && i < b->n; i++)
		if (b->quotas[i]->pool == pool && b->quotas[i]->conf->addresses < least)
			least = b->quotas[i]->conf->addresses;
	return least;
}

/* ---- a choice ---- */

static const struct addr *stays_of(const struct choice *c, const struct ipam_pool *pool, size_t f,
                                   const struct addr *addrs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct addr *a = &addrs[i];
		if (ipam_family_index(a->family) == f && choice_wants(c->r, a->family) &&
		    !choice_asks_for(c->r, a->family) && ipam_pool_of(c->ipam, a) == pool &&
		    choice_is_mine(c, a))
			return a;
	}
	return NULL;
}

/*
 * The address of that family that it has, or that is on its way, and that it keeps beside one of
 * the other family; NULL: none that counts here, as where it asks for others by name.
 */
static const struct addr *stays(const struct choice *c, const struct ipam_pool *pool, size_t f)
{
	const struct ipam_service *mine = ipam_service_find(c->ipam, c->key);

	if (!mine || (c->asked_pool && c->asked_pool != pool && !c->stays))
		return NULL;
	const struct addr *a = stays_of(c, pool, f, c->r->held, c->r->n_held);
	return a ? a : stays_of(c, pool, f, mine->held, mine->n);
}

/* How many the Service would add to those that count without it. */
static uint64_t added_by(const struct choice *c, const struct ipam_quota *q,
                         const struct choice_gain *gain)
{
	uint64_t n = gain->addr && !is_counted(c->ipam, q, c->key, gain->addr);

	for (size_t i = 0; i < c->picks.n; i++) {
		const struct addr *a = &c->picks.addrs[i];
		n += ipam_pool_of(c->ipam, a) == q->pool && !is_counted(c->ipam, q, c->key, a);
	}
	for (size_t i = 0; i < c->r->n_families; i++) {
		size_t f = ipam_family_index(c->r->families[i]);
		const struct addr *a = NULL;
		if (gain->families & 1u << f)
			n += !gain->addr;
		else if (!choice_has_family(c, c->r->families[i]))
			a = stays(c, q->pool, f);
		n += a && !is_counted(c->ipam, q, c->key, a);
	}
	return n;
}

/* How many count for it alone. */
static uint64_t counted_for(const struct choice *c, const struct ipam_quota *q)
{
	const struct ipam_service *mine = ipam_service_find(c->ipam, c->key);
	uint64_t n = 0;

	for (size_t i = 0; mine && i < mine->n; i++)
		n += ipam_pool_of(c->ipam, &mine->held[i]) == q->pool &&
		     !is_counted(c->ipam, q, c->key, &mine->held[i]);
	return n;
}

const struct config_quota *choice_quota_against(const struct choice *c,
                                                const struct ipam_pool *pool,
                                                const struct choice_gain *gain)
{
	const struct ipam_bounded *b = bounded_find(c->ipam, c->key);

	for (size_t i = 0; b && i < b->n; i++) {
		const struct ipam_quota *q = b->quotas[i];
		if (q->pool != pool)
			continue;
		uint64_t then = q->used - counted_for(c, q) + added_by(c, q, gain);
		if (then > q->conf->addresses && then > q->used)
			return q->conf;
	}
	return NULL;
}

bool choice_quota_allows(const struct choice *c, const struct ipam_pool *pool, const struct addr *a)
{
	const struct choice_gain gain = { .families = 1u << ipam_family_index(a->family),
		                          .addr = a };

	return !choice_quota_against(c, pool, &gain);
}

bool choice_quota_allows_new(const struct choice *c, const struct ipam_pool *pool, size_t f)
{
	const struct choice_gain gain = { .families = 1u << f };

	return !choice_quota_against(c, pool, &gain);
}

/* What the Service lacks: all of it if it needs both families, else the first. */
const struct config_quota *choice_quota_reached(const struct choice *c,
                                                const struct ipam_pool *pool)
{
	struct choice_gain gain = { .families = 0 };

	for (size_t i = 0; i < c->r->n_families; i++) {
		size_t f = ipam_family_index(c->r->families[i]);
		if (!choice_has_family(c, c->r->families[i]) &&
		    (!gain.families || c->r->needs_both))
			gain.families |= 1u << f;
	}
	return choice_quota_against(c, pool, &gain);
}
