/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chooses the addresses that a Service should have: of each family those asked for, else the one it
 * has (in its status, or on its way there), else the lowest free one of the pool in question.
 */
#include "config.h"

#include "ipam/choice.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fairlead/clock.h"

#define POOLS_NAMED_MAX 8 /* in a message */

static bool refuse_use(struct choice *c, const struct ipam_pool *pool)
{
	return choice_refuse(c, REASON_PoolNotForUse, "pool %s is not for %s; see its use",
	                     pool->conf->name,
	                     choice_is_external(c) ? "external IPs" : "load balancers");
}

/* It is for other Services, or may be. */
static bool refuse_match(struct choice *c, const struct ipam_pool *pool)
{
	if (choice_match(c, pool) == CONFIG_MATCHES_PERHAPS)
		return choice_refuse(c, REASON_NamespaceUnknown,
		                     "pool %s is for namespaces by their labels, and those of "
		                     "namespace %s are not known",
		                     pool->conf->name, c->namespace);
	return choice_refuse(c, REASON_PoolNotForService, "pool %s is for other Services",
	                     pool->conf->name);
}

static bool refuse_disabled(struct choice *c, const struct ipam_pool *pool)
{
	return choice_refuse(c, REASON_PoolDisabled, "pool %s is disabled, and gives nothing new",
	                     pool->conf->name);
}

static bool refuse_quota(struct choice *c, const struct ipam_pool *pool, const struct addr *a)
{
	const struct choice_gain gain = { .families = 1u << ipam_family_index(a->family),
		                          .addr = a };
	char why[256];

	choice_explain_quota(c, choice_quota_against(c, pool, &gain), pool->conf->name, why,
	                     sizeof(why));
	return choice_refuse(c, REASON_QuotaReached, "%s is not given: %s", addr_str(a), why);
}

static bool refuse_cooling(struct choice *c, const struct addr *a)
{
	char until[CLOCK_RFC3339_SIZE];

	return choice_refuse(c, REASON_CoolingDown,
	                     "%s cools down until %s: another Service had it", addr_str(a),
	                     clock_rfc3339(ipam_cooled_at(c->ipam, a) * 1000000, until));
}

/* It would share the address, and may not: what is in the way. */
static bool refuse_sharing(struct choice *c, const struct addr *a, const struct ipam_obstacle *o)
{
	cleanup(buf_fini) struct buf why = BUF_INIT;

	c->out->holder = o->other->key;
	choice_put_obstacle(c, o, &why);
	return choice_refuse(c, REASON_AddressNotShared,
	                     "%s was asked for, but cannot be shared: %s", addr_str(a),
	                     buf_str(&why));
}

static bool refuse_taken(struct choice *c, const struct addr *a, const struct ipam_service *holder)
{
	if (c->r->tenancy && c->r->tenancy->key) {
		struct ipam_obstacle o = ipam_obstacle_of(c->ipam, c->key, c->r->tenancy, a);
		if (o.verdict.obstacle != TENANCY_NONE)
			return refuse_sharing(c, a, &o);
	}
	c->out->holder = holder->key;
	return choice_refuse(c, REASON_AddressTaken, "%s was asked for, but belongs to %s",
	                     addr_str(a), ipam_name(c->ipam, c->key, holder->key));
}

static bool refuse_many(struct choice *c, const struct ipam_pool *pool, uint8_t family, size_t n)
{
	const uint32_t most = pool->conf->addresses_per_service;
	char at_most[64] = "one";

	if (most > 1)
		snprintf(at_most, sizeof(at_most), "%" PRIu32 " at most", most);
	return choice_refuse(c, REASON_TooManyAddresses,
	                     "%zu IPv%u addresses were asked for, but pool " IPAM_NAME_TEXT
	                     " gives a Service %s (addresses-per-service)",
	                     n, family, pool->conf->name, at_most);
}

static size_t n_asked(const struct ipam_request *r, uint8_t family)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_asked; i++)
		n += r->asked[i].family == family;
	return n;
}

/*
 * What became of its pool since then is no reason to give it up, nor what the pool says of numbers
 * by now.
 */
static bool asked_stays(const struct choice *c, const struct addr *a)
{
	bool stays = c->stays || !c->asked_pool || ipam_pool_of(c->ipam, a) == c->asked_pool;

	return stays && choice_wants(c->r, a->family) && choice_is_held(c->r, a) &&
	       choice_is_mine(c, a) && ipam_is_confirmed(c->r, a);
}

/* Another pool of which something is chosen; NULL: none. */
static const struct ipam_pool *pool_beside(const struct choice *c, const struct ipam_pool *pool)
{
	for (size_t i = 0; i < c->picks.n; i++) {
		const struct ipam_pool *other = ipam_pool_of(c->ipam, &c->picks.addrs[i]);
		if (other && other != pool)
			return other;
	}
	return NULL;
}

static bool take_asked(struct choice *c, const struct addr *a)
{
	const struct ipam_pool *pool = ipam_pool_of(c->ipam, a), *other = pool_beside(c, pool);
	const struct ipam_service *holder = ipam_holder_of(c->ipam, a);
	struct ipam_machine_view machine;

	if (!choice_wants(c->r, a->family))
		return choice_refuse(c, REASON_FamilyMismatch,
		                     "%s was asked for, but the Service has no IPv%u cluster IP",
		                     addr_str(a), a->family);
	if (addr_is_special(a))
		return choice_refuse(
			c, REASON_AddressUnusable,
			"%s is unspecified, loopback, link-local, multicast or reserved",
			addr_str(a));
	if (ipam_machine_of(c->ipam, a, &machine))
		return choice_refuse(c, machine.reason,
		                     "%s was asked for, but is the address of %s", addr_str(a),
		                     machine.what);
	/* Also where it is retained. */
	if (!pool && choice_is_taken(c, a))
		return refuse_taken(c, a, holder);
	if (!pool)
		return choice_refuse(c, REASON_AddressOutsidePools,
		                     "%s was asked for, but is in no pool", addr_str(a));
	if (!choice_is_for_use(c, pool))
		return refuse_use(c, pool);
	if (!choice_may_use(c, pool))
		return refuse_match(c, pool);
	if (pool->conf->disabled)
		return refuse_disabled(c, pool);
	if (ipam_is_anothers(c->ipam, c->key, a) && !choice_is_mine(c, a) && !choice_may_join(c, a))
		return choice_refuse(c, REASON_AddressReserved,
		                     "%s was asked for, but is reserved for %s", addr_str(a),
		                     ipam_name(c->ipam, c->key, ipam_reserved_for(c->ipam, a)));
	if (c->asked_pool && pool != c->asked_pool)
		return choice_refuse(c, REASON_AddressNotInNamedPool,
		                     "%s was asked for from pool %s, but is in pool %s",
		                     addr_str(a), c->asked_pool->conf->name, pool->conf->name);
	if (other)
		return choice_refuse(
			c, REASON_InvalidRequest,
			"all addresses must come from one pool; %s is in pool %s, another one in "
			"pool %s",
			addr_str(a), pool->conf->name, other->conf->name);
	if (n_asked(c->r, a->family) > pool->conf->addresses_per_service)
		return refuse_many(c, pool, a->family, n_asked(c->r, a->family));
	if (choice_is_taken(c, a))
		return refuse_taken(c, a, holder);
	if (!holder && !ipam_is_assignable(c->ipam, pool, a))
		return choice_refuse(c, REASON_AddressUnusable, "%s was asked for, but pool %s %s",
		                     addr_str(a), pool->conf->name,
		                     config_pool_excludes(pool->conf, a) ? "excludes it"
		                                                         : "has avoid-buggy-ips");
	if (ipam_cools_for_another(c->ipam, c->key, a))
		return refuse_cooling(c, a);
	if (!choice_is_mine(c, a) && !choice_quota_allows(c, pool, a))
		return refuse_quota(c, pool, a);
	choice_pick(c, a);
	return true;
}

/* Of what it asks for, what is its own by the books, as what is on its way, or what is not. */
static bool take_asked_of(struct choice *c, bool mine)
{
	const struct ipam_request *r = c->r;

	for (size_t i = 0; i < r->n_asked; i++)
		if (choice_is_mine(c, &r->asked[i]) == mine && !choice_has(c, &r->asked[i]) &&
		    !take_asked(c, &r->asked[i]))
			return false;
	return true;
}

/*
 * All of it, or nothing: what stays comes first, and then what is on its way, so that the order of
 * names makes no difference.
 */
static bool take_all_asked(struct choice *c)
{
	const struct ipam_request *r = c->r;

	for (size_t i = 0; i < r->n_asked; i++)
		if (asked_stays(c, &r->asked[i]))
			choice_pick(c, &r->asked[i]);
	return take_asked_of(c, true) && take_asked_of(c, false);
}

/*
 * Anybody may have written it into the record, so it counts as asked for: unless we know that we
 * gave it, it must be one that its pool would give to this Service.  And an address that is still
 * on its way does not stay if a machine has it by now.
 */
static bool may_confirm(const struct choice *c, const struct addr *a)
{
	const struct ipam_pool *pool = ipam_pool_of(c->ipam, a);
	struct ipam_machine_view machine;

	if (!choice_is_held(c->r, a))
		return !ipam_machine_of(c->ipam, a, &machine);
	if (ipam_is_confirmed(c->r, a))
		return true;
	if (!pool || !choice_is_giving(c, pool) || pool != c->asked_pool)
		return false;
	return addrs_contain(c->r->given, c->r->n_given, a) ||
	       (ipam_is_assignable(c->ipam, pool, a) && !ipam_is_anothers(c->ipam, c->key, a));
}

/*
 * Chooses what the Service has already, first from its status, then from what is on its way there.
 */
static void take_held(struct choice *c, const struct addr *addrs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct ipam_pool *pool = ipam_pool_of(c->ipam, &addrs[i]);
		const struct ipam_pool *other = choice_pool(c);
		bool elsewhere = c->asked_pool && c->asked_pool != pool && !c->stays;

		if (!choice_wants(c->r, addrs[i].family) || (other && other != pool) || elsewhere ||
		    choice_has_family(c, addrs[i].family) || !choice_is_mine(c, &addrs[i]) ||
		    !may_confirm(c, &addrs[i]) ||
		    (c->avoids_misfits && choice_is_misfit(c, &addrs[i])))
			continue;
		choice_pick(c, &addrs[i]);
	}
}

/*
 * If one family stays with its address, so does the other, even if another pool has it by now.
 */
static void take_divided(struct choice *c)
{
	bool stays = choice_has_any(c);

	for (size_t i = 0; i < c->picks.n; i++)
		stays &= choice_is_held(c->r, &c->picks.addrs[i]);
	for (size_t i = 0; stays && i < c->r->n_held; i++) {
		const struct addr *a = &c->r->held[i];
		if (choice_wants(c->r, a->family) && !choice_has_family(c, a->family) &&
		    choice_is_mine(c, a) && may_confirm(c, a) &&
		    !(c->avoids_misfits && choice_is_misfit(c, a)))
			choice_pick(c, a);
	}
}

/* There is none that it may use. */
static bool refuse_poolless(struct choice *c)
{
	bool any = false;

	for (size_t i = 0; i < c->ipam->n_pools; i++)
		any |= choice_is_for_use(c, &c->ipam->pools[i]);
	if (any)
		return choice_refuse(c, REASON_NoPoolForService,
		                     "every pool for %s is for other Services",
		                     choice_is_external(c) ? "external IPs" : "load balancers");
	return choice_refuse(c, REASON_NoPools, "the configuration has no address pools%s",
	                     c->ipam->n_pools ? " for load balancers" : "");
}

/* False: the pool's reservation for it is another's now, and it has nothing, so it waits. */
static bool take_reserved_in(struct choice *c, const struct ipam_pool *pool)
{
	for (size_t i = 0; i < c->r->n_families; i++) {
		uint8_t family = c->r->families[i];
		const struct addr *a = choice_reserved(c, pool, family);
		if (!a || choice_has_family(c, family) ||
		    (choice_has_any(c) && choice_pool(c) != pool))
			continue;
		const struct ipam_service *holder = ipam_holder_of(c->ipam, a);
		bool is_free = !choice_is_taken(c, a);
		bool cools = ipam_cools_for_another(c->ipam, c->key, a);
		if (is_free && !cools && choice_quota_allows(c, pool, a)) {
			choice_pick(c, a);
		} else if (is_free && !choice_has_any(c)) {
			return cools ? refuse_cooling(c, a) : refuse_quota(c, pool, a);
		} else if (!choice_has_any(c)) {
			c->out->holder = holder->key;
			return choice_refuse(c, REASON_AddressTaken,
			                     "%s is reserved for it, but belongs to %s",
			                     addr_str(a), ipam_name(c->ipam, c->key, holder->key));
		}
	}
	return true;
}

/*
 * What it asks for comes first, and then what it has: a reservation moves nobody.  So one of a pool
 * that may be for the Service is waited for: what another pool gave would stay.
 */
static bool take_reserved(struct choice *c)
{
	for (size_t i = 0; i < c->ipam->n_pools; i++) {
		const struct ipam_pool *pool = &c->ipam->pools[i];
		if (c->asked_pool && pool != c->asked_pool && !c->stays)
			continue;
		if (choice_is_giving(c, pool)) {
			if (!take_reserved_in(c, pool))
				return false;
		} else if (choice_may_give(c, pool) && !choice_has_any(c) &&
		           choice_has_reserved(c, pool)) {
			return refuse_match(c, pool);
		}
	}
	return true;
}

/* It has what the Service lacks, but for a quota. */
static bool is_beyond_quota(const struct choice *c, const struct ipam_pool *pool)
{
	size_t n_lacking = 0, n_free = 0;
	struct addr any;

	for (size_t i = 0; i < c->r->n_families; i++) {
		size_t f = ipam_family_index(c->r->families[i]);
		if (choice_has_family(c, c->r->families[i]))
			continue;
		n_lacking++;
		n_free += ipam_first_free(pool, f, true, &any);
	}
	return (c->r->needs_both ? n_free == n_lacking : n_free > 0) &&
	       choice_quota_reached(c, pool);
}

/* Of what the Service lacks, some is free after a while. */
static bool has_cooling(const struct choice *c, const struct ipam_pool *pool)
{
	for (size_t i = 0; i < c->r->n_families; i++) {
		size_t f = ipam_family_index(c->r->families[i]);
		if (!choice_has_family(c, c->r->families[i]) &&
		    ipam_pool_cooled_at(c->ipam, pool, f))
			return true;
	}
	return false;
}

static enum reason worse(enum reason a, enum reason b)
{
	return a == REASON_QuotaReached || b == REASON_PoolExhausted ? a : b;
}

/* Why this pool, which may be for the Service, gave nothing. */
static enum reason reason_of(const struct choice *c, const struct ipam_pool *pool,
                             const struct ipam_pool *only)
{
	if (!choice_is_giving(c, pool) || !(only || pool->conf->auto_assign))
		return REASON_PoolExhausted;
	if (is_beyond_quota(c, pool))
		return REASON_QuotaReached;
	return has_cooling(c, pool) ? REASON_CoolingDown : REASON_PoolExhausted;
}

static bool refuse_exhausted(struct choice *c, const struct ipam_pool *only)
{
	char list[IPAM_MESSAGE_SIZE / 2] = "";
	size_t used = 0, named = 0;
	bool any_auto = only;
	enum reason reason = REASON_PoolExhausted;

	for (size_t i = 0; i < c->ipam->n_pools; i++) {
		const struct ipam_pool *pool = &c->ipam->pools[i];
		if (only ? pool != only : !choice_may_use(c, pool))
			continue;
		for (size_t f = 0; f < c->r->n_families; f++)
			any_auto |= pool->conf->auto_assign && !pool->conf->disabled &&
			            ipam_total(pool, ipam_family_index(c->r->families[f])) > 0;
		reason = worse(reason, reason_of(c, pool, only));
		if (named++ < POOLS_NAMED_MAX && used < sizeof(list)) {
			char why[256];
			choice_explain_pool(c, pool, why, sizeof(why));
			used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
			                         used ? "; " : "", why);
		}
	}
	if (named == 0)
		return refuse_poolless(c);
	if (!any_auto)
		return choice_refuse(c, REASON_NoAutoAssignPool,
		                     "no pool of the Service's family assigns automatically: %s",
		                     list);
	cleanup(buf_fini) struct buf sharing = BUF_INIT;
	choice_explain_sharing(c, &sharing);
	return choice_refuse(c, reason, "no %s address: %s%s%s",
	                     reason == REASON_QuotaReached ? "further" : "free", list,
	                     named > POOLS_NAMED_MAX ? "; and more pools" : "", buf_str(&sharing));
}

/* Fills up from the pool of the addresses that are already chosen. */
static bool choose_in(struct choice *c, const struct ipam_pool *pool)
{
	c->last_resort = true;
	/* PreferDualStack makes do with one. */
	if (pool && choice_is_giving(c, pool) && choice_take_free(c, pool))
		return true;
	if (!c->r->needs_both && choice_has_any(c))
		return true;
	if (!pool)
		return choice_refuse(
			c, REASON_PoolExhausted,
			"its address is of no pool any more, so there is none of the other "
			"family");
	return refuse_exhausted(c, pool);
}

/* ---- from any pool ---- */

static const struct ipam_pool *pool_at(const struct choice *c, size_t i)
{
	return c->order ? c->order[i] : &c->ipam->pools[i];
}

/*
 * Of the pools for some, or those for all.  One that may be for the Service comes before all that
 * give to everybody: what is given too early would stay.  So nothing behind it is tried, and it is
 * *@ret_open.
 */
static bool choose_among(struct choice *c, bool for_some, const struct ipam_pool **ret_open)
{
	const struct ipam *ipam = c->ipam;

	for (size_t i = 0; i < ipam->n_pools; i++) {
		const struct ipam_pool *pool = pool_at(c, i);
		if (config_pool_is_reserved(pool->conf) != for_some)
			continue;
		if (choice_is_automatic(c, pool) && choice_take_all_free(c, pool))
			return true;
		if (pool->conf->auto_assign && choice_may_give(c, pool)) {
			*ret_open = pool;
			return false;
		}
	}
	return false;
}

/* One family alone. */
static bool choose_one(struct choice *c, uint8_t family, bool for_some)
{
	const struct ipam *ipam = c->ipam;
	struct addr a;

	for (size_t i = 0; i < ipam->n_pools; i++)
		if (config_pool_is_reserved(pool_at(c, i)->conf) == for_some &&
		    choice_is_automatic(c, pool_at(c, i)) &&
		    choice_find(c, pool_at(c, i), ipam_family_index(family), &a)) {
			choice_pick(c, &a);
			return true;
		}
	return false;
}

/* PreferDualStack makes do with its primary family where a pool for some has that. */
static bool choose_for_some(struct choice *c, const struct ipam_pool **ret_open)
{
	bool makes_do = c->r->n_families > 1 && !c->r->needs_both;

	c->last_resort = false;
	if (choose_among(c, true, ret_open))
		return true;
	if (*ret_open)
		return false;
	c->last_resort = true;
	return choose_among(c, true, ret_open) ||
	       (makes_do && choose_one(c, c->r->families[0], true));
}

static bool choose_for_all(struct choice *c)
{
	const struct ipam_pool *open = NULL;

	c->last_resort = false;
	if (choose_among(c, false, &open))
		return true;
	c->last_resort = true;
	return choose_among(c, false, &open);
}

/*
 * All that the pools for some have comes before those for all, also what somebody named who may not
 * have it: who is sent elsewhere stays there, and lists of hand must not do that.
 */
static bool choose_in_order(struct choice *c)
{
	const struct ipam_pool *open = NULL;

	if (choose_for_some(c, &open))
		return true;
	if (open)
		return refuse_match(c, open);
	if (choose_for_all(c))
		return true;
	if (c->r->n_families < 2 || c->r->needs_both)
		return refuse_exhausted(c, NULL);
	/* PreferDualStack: no pool has both; the primary family, else the other. */
	for (size_t f = 0; f < c->r->n_families; f++)
		if (choose_one(c, c->r->families[f], true) ||
		    choose_one(c, c->r->families[f], false))
			return true;
	return refuse_exhausted(c, NULL);
}

static bool choose_anywhere(struct choice *c)
{
	cleanup_free const struct ipam_pool **order = ipam_order(c->ipam, c->r->families[0]);

	c->order = order;
	bool found = choose_in_order(c);
	c->order = NULL;
	return found;
}

/* The pool asked for: is there one, and is it for this use? */
static bool check_asked_pool(struct choice *c)
{
	if (c->r->pool && !c->asked_pool)
		return choice_refuse(c, REASON_NoSuchPool,
		                     "pool %.100s was asked for, but does not exist", c->r->pool);
	if (c->asked_pool && !choice_is_for_use(c, c->asked_pool))
		return refuse_use(c, c->asked_pool);
	if (c->asked_pool && !choice_may_use(c, c->asked_pool))
		return refuse_match(c, c->asked_pool);
	if (c->asked_pool && c->asked_pool->conf->disabled)
		return refuse_disabled(c, c->asked_pool);
	return true;
}

/* What there is to choose, without regard to who else has what is held. */
static bool choose(struct choice *c)
{
	const struct ipam_request *r = c->r;
	const struct ipam_service *mine = ipam_service_find(c->ipam, c->key);

	if (!c->stays && !check_asked_pool(c))
		return false;
	if (!take_all_asked(c))
		return false;
	if (choice_renumber(c))
		return true;
	take_held(c, r->held, r->n_held);
	take_divided(c);
	if (mine)
		take_held(c, mine->held, mine->n);
	if (choice_is_complete(c))
		return true;
	if (!take_reserved(c))
		return false;
	if (choice_is_complete(c))
		return true;
	if (c->stays && choice_has_any(c))
		return choose_in(c, choice_pool(c));
	if (!check_asked_pool(c))
		return false;
	if (c->asked_pool)
		return choose_in(c, c->asked_pool);
	if (choice_has_any(c))
		return choose_in(c, choice_pool(c));
	return choose_anywhere(c);
}

/* ---- addresses that the Service may not share any more ---- */

/* Is there one of each family of which it has one? */
static bool replaces_all(const struct choice *c)
{
	for (size_t i = 0; i < c->r->n_held; i++) {
		const struct addr *a = &c->r->held[i];
		if (choice_wants(c->r, a->family) && choice_is_mine(c, a) &&
		    !choice_has_family(c, a->family))
			return false;
	}
	return true;
}

static bool picks_misfit(const struct choice *c)
{
	for (size_t i = 0; i < c->picks.n; i++)
		if (choice_is_misfit(c, &c->picks.addrs[i]))
			return true;
	return false;
}

/* It loses such an address only for another one. */
bool choice_make(struct choice *c)
{
	if (!choice_has_misfit(c))
		return choose(c);
	c->avoids_misfits = true;
	if (!choose(c) || !replaces_all(c)) {
		c->picks.n = 0;
		*c->out = (struct ipam_decision){ .action = IPAM_NONE };
		c->avoids_misfits = false;
		if (!choose(c))
			return false;
	}
	c->overstays = picks_misfit(c);
	return true;
}
