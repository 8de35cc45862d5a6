/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stays.  No edit of the pools takes an address in use away: if its pool is gone, smaller, for
 * another use or more restrictive than before, the Service's message says that its address is
 * retained.  It goes when the Service asks for something else, or when the administrator lets a
 * pool take it in (renumber), which the controller does at a limited pace.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "ipam/choice.h"

/* ---- the choice ---- */

struct choice choice_of(const struct ipam *ipam, const char *key, const struct ipam_request *r)
{
	struct choice c = { .ipam = ipam, .key = key, .r = r };

	snprintf(c.namespace, sizeof(c.namespace), "%.*s", (int)strcspn(key, "/"), key);
	return c;
}

bool choice_is_external(const struct choice *c)
{
	return c->r->use == CONFIG_USE_EXTERNAL_IP;
}

bool choice_is_for_use(const struct choice *c, const struct ipam_pool *pool)
{
	return pool->conf->uses & c->r->use;
}

enum config_match choice_match(const struct choice *c, const struct ipam_pool *pool)
{
	return ipam_match(c->ipam, pool, c->namespace, &c->r->labels);
}

bool choice_may_use(const struct choice *c, const struct ipam_pool *pool)
{
	return choice_is_for_use(c, pool) && choice_match(c, pool) == CONFIG_MATCHES;
}

bool choice_is_giving(const struct choice *c, const struct ipam_pool *pool)
{
	return !pool->conf->disabled && choice_may_use(c, pool);
}

bool choice_may_give(const struct choice *c, const struct ipam_pool *pool)
{
	return !pool->conf->disabled && choice_is_for_use(c, pool) &&
	       choice_match(c, pool) == CONFIG_MATCHES_PERHAPS;
}

bool choice_is_automatic(const struct choice *c, const struct ipam_pool *pool)
{
	return pool->conf->auto_assign && choice_is_giving(c, pool);
}

bool choice_is_held(const struct ipam_request *r, const struct addr *a)
{
	return addrs_contain(r->held, r->n_held, a);
}

bool choice_is_mine(const struct choice *c, const struct addr *a)
{
	return ipam_holds(c->ipam, c->key, a);
}

bool choice_may_join(const struct choice *c, const struct addr *a)
{
	const struct ipam_pool *pool = ipam_pool_of(c->ipam, a);

	return c->r->tenancy && pool && ipam_tenants_of(c->ipam, a) && !choice_is_mine(c, a) &&
	       ipam_is_assignable(c->ipam, pool, a) && !ipam_is_withheld(c->ipam, c->key, a) &&
	       ipam_obstacle_of(c->ipam, c->key, c->r->tenancy, a).verdict.obstacle == TENANCY_NONE;
}

bool choice_is_taken(const struct choice *c, const struct addr *a)
{
	return ipam_tenants_of(c->ipam, a) && !choice_is_mine(c, a) && !choice_may_join(c, a);
}

bool choice_is_misfit(const struct choice *c, const struct addr *a)
{
	return choice_is_mine(c, a) &&
	       ipam_misfit(c->ipam, c->key, a).verdict.obstacle != TENANCY_NONE;
}

bool choice_has_misfit(const struct choice *c)
{
	const struct ipam_service *mine = ipam_service_find(c->ipam, c->key);

	for (size_t i = 0; mine && i < mine->n; i++)
		if (choice_is_misfit(c, &mine->held[i]))
			return true;
	return false;
}

static bool may_share(const struct addr *a, const void *arg)
{
	const struct choice *c = arg;

	return choice_quota_allows(c, ipam_pool_of(c->ipam, a), a);
}

bool choice_find_shared(const struct choice *c, const struct ipam_pool *pool, size_t family_index,
                        struct addr *ret_addr)
{
	return ipam_first_shared(c->ipam, c->key, c->r->tenancy, pool, family_index, may_share, c,
	                         ret_addr);
}

bool choice_find(const struct choice *c, const struct ipam_pool *pool, size_t family_index,
                 struct addr *ret_addr)
{
	return choice_find_shared(c, pool, family_index, ret_addr) ||
	       (choice_quota_allows_new(c, pool, family_index) &&
	        (ipam_first_cooling(c->ipam, c->key, pool, family_index, ret_addr) ||
	         ipam_next_free(pool, family_index, c->last_resort, c->r->lot, ret_addr)));
}

bool choice_wants(const struct ipam_request *r, uint8_t family)
{
	for (size_t i = 0; i < r->n_families; i++)
		if (r->families[i] == family)
			return true;
	return false;
}

bool choice_asks_for(const struct ipam_request *r, uint8_t family)
{
	return addrs_have_family(r->asked, r->n_asked, family);
}

void choice_pick(struct choice *c, const struct addr *a)
{
	c->picks.addrs[c->picks.n++] = *a;
	addrs_sort(c->picks.addrs, c->picks.n);
}

bool choice_has(const struct choice *c, const struct addr *a)
{
	return addrs_contain(c->picks.addrs, c->picks.n, a);
}

bool choice_has_family(const struct choice *c, uint8_t family)
{
	return addrs_have_family(c->picks.addrs, c->picks.n, family);
}

bool choice_has_any(const struct choice *c)
{
	return c->picks.n > 0;
}

bool choice_is_complete(const struct choice *c)
{
	for (size_t i = 0; i < c->r->n_families; i++)
		if (!choice_has_family(c, c->r->families[i]))
			return false;
	return true;
}

const struct ipam_pool *choice_pool(const struct choice *c)
{
	const struct ipam_pool *pool = NULL;

	for (size_t i = 0; i < c->picks.n && !pool; i++)
		pool = ipam_pool_of(c->ipam, &c->picks.addrs[i]);
	return pool;
}

bool choice_take_free(struct choice *c, const struct ipam_pool *pool)
{
	for (size_t i = 0; i < c->r->n_families; i++) {
		uint8_t family = c->r->families[i];
		struct addr a;
		if (!choice_has_family(c, family) &&
		    choice_find(c, pool, ipam_family_index(family), &a))
			choice_pick(c, &a);
	}
	return choice_is_complete(c);
}

bool choice_take_all_free(struct choice *c, const struct ipam_pool *pool)
{
	const struct choice_picks before = c->picks;

	if (choice_take_free(c, pool))
		return true;
	c->picks = before;
	return false;
}

/* ---- retained ---- */

/* Would its pool give it for this use, and to this Service as far as is known? */
static bool is_in_place(const struct choice *c, const struct addr *a)
{
	const struct ipam_pool *pool = ipam_pool_of(c->ipam, a);

	return pool && choice_is_for_use(c, pool) && choice_match(c, pool) != CONFIG_MATCHES_NOT &&
	       ipam_is_assignable(c->ipam, pool, a) && !ipam_is_withheld(c->ipam, c->key, a);
}

/* What is wrong with it; how to fix that is the reason's remedy. */
static void explain(const struct choice *c, const struct addr *a, char *out, size_t size)
{
	const struct ipam_pool *pool = ipam_pool_of(c->ipam, a);
	struct ipam_machine_view machine;

	if (ipam_machine_of(c->ipam, a, &machine))
		snprintf(out, size, "%s is the address of %.100s, so no node announces it",
		         addr_str(a), machine.what);
	else if (!pool)
		snprintf(out, size, "%s is in no pool any more", addr_str(a));
	else if (!choice_is_for_use(c, pool))
		snprintf(out, size, "pool " IPAM_NAME_TEXT " is no longer for %s", pool->conf->name,
		         choice_is_external(c) ? "external IPs" : "load balancers");
	else if (ipam_is_withheld(c->ipam, c->key, a))
		snprintf(out, size, "%s is reserved for %.160s", addr_str(a),
		         ipam_name(c->ipam, c->key, ipam_reserved_for(c->ipam, a)));
	else if (choice_match(c, pool) == CONFIG_MATCHES_NOT)
		snprintf(out, size, "pool " IPAM_NAME_TEXT " is for other Services",
		         pool->conf->name);
	else
		snprintf(out, size, "pool " IPAM_NAME_TEXT " no longer gives %s", pool->conf->name,
		         addr_str(a));
}

bool choice_retain(struct choice *c, const char *addrs)
{
	struct ipam_decision *out = c->out;
	const struct addr *retained = NULL;
	char why[256];

	for (size_t i = 0; i < out->n && !retained; i++)
		if (!is_in_place(c, &out->addrs[i]))
			retained = &out->addrs[i];
	if (!retained)
		return false;
	out->action = IPAM_KEEP;
	out->reason = REASON_Retained;
	explain(c, retained, why, sizeof(why));
	snprintf(out->message, sizeof(out->message), "%s%s%s" IPAM_NAME_TEXT "; %s",
	         choice_is_external(c) ? KUBE_CONFIRMS_KEPT : "keeps ", addrs,
	         c->r->pool ? "," IPAM_GIVEN_FOR : "", c->r->pool ? c->r->pool : "", why);
	return true;
}

/* ---- renumber ---- */

/* "shop/web" or "shop/web (external IPs)" */
static bool is_named(const struct config_pool *pool, const char *key)
{
	size_t n = strcspn(key, " ");

	for (size_t i = 0; i < pool->n_renumber_services; i++)
		if (strlen(pool->renumber_services[i]) == n &&
		    !strncmp(pool->renumber_services[i], key, n))
			return true;
	return pool->n_renumber_services == 0;
}

/* If what is held is no longer where it belongs, or was asked for from another pool. */
static bool is_displaced(const struct choice *c)
{
	for (size_t i = 0; i < c->r->n_held; i++) {
		const struct addr *a = &c->r->held[i];
		bool elsewhere = c->asked_pool && ipam_pool_of(c->ipam, a) != c->asked_pool;
		if (choice_is_mine(c, a) && ipam_is_confirmed(c->r, a) &&
		    choice_wants(c->r, a->family) && (elsewhere || !is_in_place(c, a)))
			return true;
	}
	return false;
}

/* Does the pool take the Service in, if it is for it? */
static bool takes_in(const struct choice *c, const struct ipam_pool *pool)
{
	return pool->conf->renumber && is_named(pool->conf, c->key) &&
	       (choice_is_giving(c, pool) || choice_may_give(c, pool)) &&
	       (c->asked_pool ? pool == c->asked_pool
	                      : pool->conf->auto_assign || choice_has_reserved(c, pool));
}

/*
 * The pool that reserves an address for the Service, which is one at most, and takes it in; NULL:
 * none.  It comes before all others, also where another Service has that address from before: what
 * another pool gave would stay.
 */
static const struct ipam_pool *pool_with_reserved(const struct choice *c)
{
	for (size_t i = 0; i < c->ipam->n_pools; i++)
		if (takes_in(c, &c->ipam->pools[i]) && choice_has_reserved(c, &c->ipam->pools[i]))
			return &c->ipam->pools[i];
	return NULL;
}

/* What it holds of the pool already stays. */
static void take_in_place(struct choice *c, const struct ipam_pool *pool)
{
	for (size_t i = 0; i < c->r->n_held; i++) {
		const struct addr *a = &c->r->held[i];
		if (choice_is_mine(c, a) && ipam_pool_of(c->ipam, a) == pool && is_in_place(c, a) &&
		    choice_wants(c->r, a->family) && !choice_has_family(c, a->family))
			choice_pick(c, a);
	}
}

/* False: another Service has, or had, what is reserved for this one, or a quota is against it. */
static bool take_reserved(struct choice *c, const struct ipam_pool *pool)
{
	for (size_t i = 0; i < c->r->n_families; i++) {
		uint8_t family = c->r->families[i];
		const struct addr *a = choice_reserved(c, pool, family);
		if (!a || choice_has_family(c, family))
			continue;
		if (choice_is_taken(c, a) || ipam_cools_for_another(c->ipam, c->key, a) ||
		    !choice_quota_allows(c, pool, a))
			return false;
		choice_pick(c, a);
	}
	return true;
}

static bool try_pool(struct choice *c, const struct ipam_pool *pool)
{
	const struct choice_picks before = c->picks;

	take_in_place(c, pool);
	if (take_reserved(c, pool) && choice_take_free(c, pool))
		return true;
	c->picks = before;
	return false;
}

/* A pool that may be for the Service is waited for, as for one that has no address. */
bool choice_renumber(struct choice *c)
{
	const struct ipam_pool *reserved;
	bool found = false, waits = false;

	if (c->r->n_asked > 0 || !is_displaced(c))
		return false;
	reserved = pool_with_reserved(c);
	c->last_resort = true;
	for (size_t i = 0; i < c->ipam->n_pools && !found && !waits; i++) {
		const struct ipam_pool *pool = &c->ipam->pools[i];
		if (!takes_in(c, pool) || (reserved && pool != reserved))
			continue;
		waits = choice_may_give(c, pool);
		found = !waits && try_pool(c, pool);
	}
	c->last_resort = false;
	c->out->renumbers = found;
	if (found && c->r->renumber != IPAM_RENUMBER_LATER)
		return true;
	c->picks.n = 0;
	return false;
}
