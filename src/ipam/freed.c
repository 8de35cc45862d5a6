/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which waiting Services an address that became free concerns, so that not all of them are decided
 * again for each one.
 *
 * Addresses that are asked for by name, or that stand in an object though another Service has them,
 * are looked up.  For all others a mark at the pool suffices: a Service waits for the pool that it
 * names, or that its other address is of, or for any pool that assigns automatically.
 */
#include "config.h"

#include <string.h>

#include "ipam/choice.h"

/* ---- names ---- */

void ipam_tell_holders(struct ipam *ipam, bool tell)
{
	ipam->tells_holders = tell;
}

const char *ipam_name(const struct ipam *ipam, const char *key, const char *other)
{
	size_t n = strcspn(key, "/");

	if (ipam->tells_holders || (strcspn(other, "/") == n && !strncmp(key, other, n)))
		return other;
	return "a Service of another namespace";
}

/* ---- addresses ---- */

/*
 * It stands in the object and nobody has it: it becomes this Service's, or is in no pool, which has
 * to be reported.
 */
static bool is_left(const struct choice *c, const struct addr *a, bool any)
{
	return !ipam_holder_of(c->ipam, a) &&
	       (any || ipam_pool_of(c->ipam, a) || configuration_retained_of(c->ipam->config, a));
}

static bool inherits(const struct choice *c)
{
	const struct ipam_request *r = c->r;

	for (size_t i = 0; i < r->n_held; i++)
		if (is_left(c, &r->held[i], r->assigned_by_us))
			return true;
	for (size_t i = 0; i < r->n_written; i++)
		if (is_left(c, &r->written[i], false))
			return true;
	return false;
}

/* Would its pool give it, if the Service may have it at all? */
static bool is_to_be_had(const struct choice *c, const struct addr *a)
{
	const struct ipam_pool *pool = ipam_pool_of(c->ipam, a);

	return pool && choice_is_giving(c, pool) && !choice_is_taken(c, a) &&
	       !ipam_cools_for_another(c->ipam, c->key, a) &&
	       ipam_is_assignable(c->ipam, pool, a) && !ipam_is_withheld(c->ipam, c->key, a) &&
	       choice_quota_allows(c, pool, a);
}

/* No other Service has any of them, and at least one is free. */
static bool gets_asked(const struct choice *c)
{
	const struct ipam_request *r = c->r;
	bool any = false;

	for (size_t i = 0; i < r->n_asked; i++) {
		if (choice_is_mine(c, &r->asked[i]))
			continue;
		if (!is_to_be_had(c, &r->asked[i]))
			return false;
		any = true;
	}
	return any;
}

/* ---- pools ---- */

static bool is_freed(const struct choice *c, const struct ipam_pool *pool)
{
	bool has_quota = ipam_quota_is_freed(c->ipam, c->key, pool);

	for (size_t i = 0; i < c->r->n_families; i++) {
		size_t f = ipam_family_index(c->r->families[i]);
		if ((pool->freed[f] || has_quota) && !choice_asks_for(c->r, c->r->families[i]) &&
		    (c->r->tenancy || choice_quota_allows_new(c, pool, f)))
			return true;
	}
	return false;
}

/* Does the Service have something that it keeps, in this pool or, for NULL, anywhere? */
static bool has_in(const struct choice *c, const struct ipam_pool *pool)
{
	for (size_t i = 0; i < c->r->n_held; i++) {
		const struct addr *a = &c->r->held[i];
		if (choice_wants(c->r, a->family) && choice_is_mine(c, a) &&
		    (!pool || ipam_pool_of(c->ipam, a) == pool))
			return true;
	}
	return false;
}

static bool may_come_from(const struct choice *c, const struct ipam_pool *pool)
{
	if (!choice_is_giving(c, pool))
		return false;
	if (pool->conf->renumber || has_in(c, pool) ||
	    (c->r->pool && !strcmp(c->r->pool, pool->conf->name)))
		return true;
	return !c->r->pool && pool->conf->auto_assign && !has_in(c, NULL);
}

static bool has_family(const struct choice *c, uint8_t family)
{
	for (size_t i = 0; i < c->r->n_held; i++)
		if (c->r->held[i].family == family && choice_is_mine(c, &c->r->held[i]))
			return true;
	return false;
}

/* What is reserved for it is free, and it has none of that family, or may move there. */
static bool gets_reserved(const struct choice *c)
{
	for (size_t i = 0; i < c->ipam->n_pools; i++)
		for (size_t f = 0; f < c->r->n_families; f++) {
			const struct ipam_pool *pool = &c->ipam->pools[i];
			uint8_t family = c->r->families[f];
			const struct addr *a = choice_reserved(c, pool, family);
			if (a && !ipam_holder_of(c->ipam, a) &&
			    !ipam_cools_for_another(c->ipam, c->key, a) &&
			    choice_quota_allows(c, pool, a) &&
			    (pool->conf->renumber || !has_family(c, family)))
				return true;
		}
	return false;
}

/*
 * What somebody else says of sharing, or that he left, may have it go, or stay after all; and it
 * may go wherever it is given an address, if it should not stay.
 */
static bool has_company(const struct choice *c)
{
	bool has_to_go = c->r->tenancy && choice_has_misfit(c);

	for (size_t i = 0; c->r->tenancy && i < c->ipam->n_pools; i++) {
		const struct ipam_pool *pool = &c->ipam->pools[i];
		if (is_freed(c, pool) &&
		    (has_in(c, pool) || (has_to_go && choice_is_giving(c, pool))))
			return true;
	}
	return false;
}

static bool gets_any(const struct choice *c)
{
	for (size_t i = 0; i < c->ipam->n_pools; i++)
		if (is_freed(c, &c->ipam->pools[i]) && may_come_from(c, &c->ipam->pools[i]))
			return true;
	return false;
}

static bool has_any_of(const struct ipam_service *s, uint8_t family)
{
	return s && addrs_have_family(s->held, s->n, family);
}

/*
 * It lacks an address, and one that shares by the same key was given one: which of the two is
 * decided first must make no difference.
 */
static bool may_join(const struct choice *c)
{
	const struct ipam_service *mine = ipam_service_find(c->ipam, c->key);
	struct addr any;

	if (!ipam_sharers_gained(c->ipam, c->r->tenancy))
		return false;
	for (size_t i = 0; i < c->ipam->n_pools; i++)
		for (size_t k = 0; k < c->r->n_families; k++) {
			const struct ipam_pool *pool = &c->ipam->pools[i];
			uint8_t family = c->r->families[k];
			if (!has_any_of(mine, family) && !choice_asks_for(c->r, family) &&
			    may_come_from(c, pool) &&
			    choice_find_shared(c, pool, ipam_family_index(family), &any))
				return true;
		}
	return false;
}

static bool begins_to_cool(const struct choice *c, const struct addr *a)
{
	const struct ipam_cooling *cooling = a ? ipam_cooling_of(c->ipam, a) : NULL;

	return cooling && cooling->began_in == c->ipam->span &&
	       ipam_cools_for_another(c->ipam, c->key, a);
}

/* It gets nothing by that, but is told until when it waits.  Once for a pool. */
static bool waits_for_cooling(const struct choice *c)
{
	const struct ipam_service *mine = ipam_service_find(c->ipam, c->key);

	for (size_t i = 0; i < c->r->n_asked; i++)
		if (begins_to_cool(c, &c->r->asked[i]))
			return true;
	for (size_t i = 0; i < c->ipam->n_pools; i++)
		for (size_t k = 0; k < c->r->n_families; k++) {
			const struct ipam_pool *pool = &c->ipam->pools[i];
			uint8_t family = c->r->families[k];
			if (has_any_of(mine, family) || choice_asks_for(c->r, family))
				continue;
			if (begins_to_cool(c, choice_reserved(c, pool, family)) ||
			    (pool->began_in[ipam_family_index(family)] == c->ipam->span &&
			     may_come_from(c, pool)))
				return true;
		}
	return false;
}

/*
 * It waits since a pool may be for it, which would come first: by how much of it was in use, so
 * that another one may come before it now.
 */
static bool is_open(const struct choice *c)
{
	if (c->ipam->reordered_in != c->ipam->span || c->r->pool)
		return false;
	for (size_t i = 0; i < c->ipam->n_pools; i++) {
		const struct ipam_pool *pool = &c->ipam->pools[i];
		if (pool->conf->allocation == CONFIG_ALLOCATION_LEAST_USED_POOL &&
		    pool->conf->auto_assign && choice_may_give(c, pool))
			return true;
	}
	return false;
}

bool ipam_is_concerned(const struct ipam *ipam, const char *key, const struct ipam_request *r)
{
	const struct choice c = choice_of(ipam, key, r);

	return inherits(&c) ||
	       (r->wish == IPAM_WISH_ADDRESS &&
	        (gets_asked(&c) || gets_reserved(&c) || gets_any(&c) || may_join(&c) ||
	         waits_for_cooling(&c) || has_company(&c) || is_open(&c)));
}

/* A reservation may be for a family that it asks for, too. */
bool ipam_goes_by_name(const struct ipam *ipam, const char *key, const struct ipam_request *r)
{
	if (r->wish != IPAM_WISH_ADDRESS)
		return true;
	for (size_t i = 0; i < r->n_families; i++)
		if (!choice_asks_for(r, r->families[i]))
			return false;
	return !r->tenancy && !ipam_has_reservation(ipam, key);
}

void ipam_note_freed(struct ipam *ipam, const struct addr *a)
{
	ARRAY_RESERVE(ipam->freed, ipam->cap_freed, ipam->n_freed + 1);
	ipam->freed[ipam->n_freed++] = *a;
}

const struct addr *ipam_freed(const struct ipam *ipam, size_t *ret_n)
{
	*ret_n = ipam->n_freed;
	return ipam->freed;
}

bool ipam_freed_more(const struct ipam *ipam)
{
	return ipam->freed_quotas || ipam->reordered_in == ipam->span;
}

void ipam_freed_seen(struct ipam *ipam)
{
	ipam->n_freed = 0;
	for (size_t i = 0; i < ipam->n_pools; i++)
		memset(ipam->pools[i].freed, 0, sizeof(ipam->pools[i].freed));
	ipam_quotas_seen(ipam);
	ipam->span++;
}
