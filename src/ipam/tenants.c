/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Services that have one address together.
 *
 * They stand in the order of their creation, which nothing changes: what a Service says of itself
 * may, and then those that do not fit any more are found by going through them in that order, each
 * beside those before it that do.  So the oldest never loses its address to a younger one, and
 * every leader finds the same.  Nor does it to one that comes late: nobody is let in before
 * another.  One that does not fit stays until it has another address: the statuses, which list the
 * ports of an address that is shared, say that it was let in once.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "fairlead/mem.h"
#include "fairlead/seniority.h"
#include "ipam/ipam.h"

/* ---- by key ---- */

static struct ipam_sharers *sharers_of(const struct ipam *ipam, const char *key)
{
	struct ipam_sharers *g;

	HASH_FIND_STR(ipam->sharers, key, g);
	return g;
}

static void enlist(struct ipam *ipam, struct ipam_service *s)
{
	struct ipam_sharers *g = sharers_of(ipam, s->tenancy->key);

	if (!g) {
		g = xcalloc(1, sizeof(*g));
		g->key = xstrdup(s->tenancy->key);
		HASH_ADD_KEYPTR(hh, ipam->sharers, g->key, strlen(g->key), g);
	}
	DL_APPEND(g->services, s);
}

static void sharers_free(struct ipam *ipam, struct ipam_sharers *g)
{
	HASH_DEL(ipam->sharers, g);
	free(g->key);
	free(g);
}

void ipam_free_sharers(struct ipam *ipam)
{
	struct ipam_sharers *g, *next;

	HASH_ITER(hh, ipam->sharers, g, next)
		sharers_free(ipam, g);
}

void ipam_forget_tenancy(struct ipam *ipam, struct ipam_service *s)
{
	struct ipam_sharers *g =
		s->tenancy && s->tenancy->key ? sharers_of(ipam, s->tenancy->key) : NULL;

	if (g)
		DL_DELETE(g->services, s);
	if (g && !g->services)
		sharers_free(ipam, g);
	tenancy_free(TAKE(s->tenancy));
}

void ipam_gained(struct ipam *ipam, const struct ipam_service *s)
{
	struct ipam_sharers *g =
		s->tenancy && s->tenancy->key ? sharers_of(ipam, s->tenancy->key) : NULL;

	if (g)
		g->gained_in = ipam->gained_in = ipam->span;
}

bool ipam_sharers_gained(const struct ipam *ipam, const struct tenancy *t)
{
	const struct ipam_sharers *g = t && t->key ? sharers_of(ipam, t->key) : NULL;

	return g && g->gained_in == ipam->span;
}

bool ipam_may_concern_others(const struct ipam *ipam)
{
	return ipam->gained_in == ipam->span || ipam->reordered_in == ipam->span;
}

bool ipam_set_tenancy(struct ipam *ipam, const char *key, const struct tenancy *t)
{
	const struct ipam_service *known = ipam_service_find(ipam, key);

	if (tenancy_eq(known ? known->tenancy : NULL, t))
		return false;
	bool news = !tenancy_says_same(known ? known->tenancy : NULL, t);
	struct ipam_service *s = ipam_service_get(ipam, key);
	ipam_forget_tenancy(ipam, s);
	s->tenancy = tenancy_copy(t);
	if (t)
		s->creation_us = t->creation_us;
	if (t && t->key)
		enlist(ipam, s);
	/* Others may fit by now, or not any more. */
	for (size_t i = 0; news && i < s->n; i++) {
		struct ipam_pool *pool = ipam_pool_of(ipam, &s->held[i]);
		if (pool)
			pool->freed[ipam_family_index(s->held[i].family)] = true;
	}
	bool concerns = news && s->n > 0;
	ipam_service_drop(ipam, s);
	return concerns;
}

/* ---- who has it ---- */

static bool ranks_before(int64_t creation_us, const char *key, const struct ipam_service *other)
{
	const struct seniority one = seniority_of(creation_us, key);
	const struct seniority another = seniority_of(other->creation_us, other->key);

	return seniority_cmp(&one, &another) < 0;
}

static bool is_older(const struct ipam_service *a, const struct ipam_service *b)
{
	return ranks_before(a->creation_us, a->key, b);
}

static bool shares_across(const struct ipam *ipam, const struct addr *a)
{
	const struct ipam_pool *pool = ipam_pool_of(ipam, a);

	return pool && pool->conf->shares_across_namespaces;
}

/* Their statuses say that they were let share it once, whatever they say now. */
static bool were_let_in(const struct ipam_service *s, const struct ipam_service *t,
                        const struct addr *a)
{
	return tenancy_is_granted(s->tenancy, a) && tenancy_is_granted(t->tenancy, a) &&
	       s->tenancy->external == t->tenancy->external;
}

/* Of two that do not have it together yet.  What they say of closing does not part the others. */
static struct tenancy_verdict judge_newcomer(const struct tenancy *a, const struct tenancy *b,
                                             bool across)
{
	struct tenancy_verdict v = tenancy_judge(a, b, across);

	if (v.obstacle == TENANCY_NONE && (a->closed || b->closed))
		v.obstacle = TENANCY_CLOSED;
	return v;
}

static bool may_be_among(const struct ipam *ipam, const struct ipam_service *s,
                         const struct ipam_holding *h)
{
	bool across = shares_across(ipam, &h->addr);

	for (const struct ipam_tenant *t = &h->first; t; t = t->next)
		if (!were_let_in(s, t->service, &h->addr) &&
		    judge_newcomer(s->tenancy, t->service->tenancy, across).obstacle !=
		            TENANCY_NONE)
			return false;
	return true;
}

bool ipam_join(struct ipam *ipam, struct ipam_holding *h, const char *key)
{
	struct ipam_service *s = ipam_service_find(ipam, key);
	struct ipam_tenant *before = NULL;

	if (!s || !may_be_among(ipam, s, h))
		return false;
	struct ipam_tenant *mine = xcalloc(1, sizeof(*mine));
	for (struct ipam_tenant *t = &h->first; t && is_older(t->service, s); t = t->next)
		before = t;
	if (before) {
		mine->service = s;
		mine->next = before->next;
		before->next = mine;
	} else {
		*mine = h->first;
		h->first = (struct ipam_tenant){ .service = s, .next = mine };
	}
	ARRAY_RESERVE(s->held, s->cap, s->n + 1);
	s->held[s->n++] = h->addr;
	ipam_gained(ipam, s);
	ipam_count_quotas(ipam, key, &h->addr, true);
	return true;
}

bool ipam_leave(struct ipam_holding *h, const struct ipam_service *s)
{
	struct ipam_tenant *t = &h->first, *next = t->next;

	if (t->service == s) {
		if (!next)
			return true;
		*t = *next;
		free(next);
		return false;
	}
	while (t->next && t->next->service != s)
		t = t->next;
	next = t->next;
	if (next) {
		t->next = next->next;
		free(next);
	}
	return false;
}

/* ---- who may ---- */

static bool is_in(const struct ipam_service *s, const char *namespace)
{
	size_t n = strlen(namespace);

	return !strncmp(s->key, namespace, n) && s->key[n] == '/';
}

bool ipam_is_across(const struct ipam *ipam, const char *key, const struct addr *a)
{
	size_t n = strcspn(key, "/");

	for (const struct ipam_tenant *t = ipam_tenants_of(ipam, a); t; t = t->next)
		if (strcspn(t->service->key, "/") != n || strncmp(t->service->key, key, n) != 0)
			return true;
	return false;
}

/* Of a Service of another namespace no more is said than that. */
static struct tenancy_verdict judge(const struct tenancy *t, const struct ipam_service *other,
                                    bool across)
{
	if (t && !across && !is_in(other, t->namespace))
		return (struct tenancy_verdict){ .obstacle = TENANCY_NAMESPACE };
	return judge_newcomer(t, other->tenancy, across);
}

/*
 * Would it come before one that has the address?  Of one namespace those do not count that were
 * created in the same second, by which creation is told: they come together, and the one with the
 * later name may have been the first to be seen.
 */
static bool comes_before(const char *key, const struct tenancy *t, const struct ipam_service *other)
{
	if (t->creation_us == other->creation_us && is_in(other, t->namespace))
		return false;
	return ranks_before(t->creation_us, key, other);
}

struct ipam_obstacle ipam_obstacle_of(const struct ipam *ipam, const char *key,
                                      const struct tenancy *t, const struct addr *a)
{
	bool across = shares_across(ipam, a);
	struct ipam_obstacle o = { .other = NULL };
	size_t n = 0;

	for (const struct ipam_tenant *other = ipam_tenants_of(ipam, a); other;
	     other = other->next) {
		o.verdict = judge(t, other->service, across);
		o.other = other->service;
		if (o.verdict.obstacle == TENANCY_NONE && comes_before(key, t, other->service))
			o.verdict.obstacle = TENANCY_AGE;
		if (o.verdict.obstacle != TENANCY_NONE)
			return o;
		n++;
	}
	if (n >= TENANCY_MAX)
		o.verdict.obstacle = TENANCY_FULL;
	return o;
}

bool ipam_claim(struct ipam *ipam, const char *key, const struct addr *a)
{
	const struct ipam_service *s = ipam_service_find(ipam, key);

	if (ipam_tenants_of(ipam, a) && !ipam_holds(ipam, key, a) &&
	    ipam_obstacle_of(ipam, key, s ? s->tenancy : NULL, a).verdict.obstacle != TENANCY_NONE)
		return false;
	return ipam_hold(ipam, key, a, 1) > 0;
}

/*
 * The first of @fit that does not go with it.  Whether the pool shares across namespaces was asked
 * when it was let in: no edit of the pools moves anybody.
 */
static struct ipam_obstacle obstacle_among(const struct ipam_service *const *fit, size_t n,
                                           const struct ipam_service *s)
{
	struct ipam_obstacle o = { .other = NULL };

	for (size_t i = 0; i < n; i++) {
		o.verdict = tenancy_judge(s->tenancy, fit[i]->tenancy, true);
		o.other = fit[i];
		if (o.verdict.obstacle != TENANCY_NONE)
			return o;
	}
	return (struct ipam_obstacle){ .other = NULL };
}

struct ipam_obstacle ipam_misfit(const struct ipam *ipam, const char *key, const struct addr *a)
{
	const struct ipam_service *fit[TENANCY_MAX];
	size_t n = 0;

	for (const struct ipam_tenant *t = ipam_tenants_of(ipam, a); t && n < ARRAY_LEN(fit);
	     t = t->next) {
		struct ipam_obstacle o = obstacle_among(fit, n, t->service);
		if (!strcmp(t->service->key, key))
			return o;
		if (o.verdict.obstacle == TENANCY_NONE)
			fit[n++] = t->service;
	}
	return (struct ipam_obstacle){ .other = NULL };
}

/*
 * Calls @fn for each address of those that say the same key, once: for the first that has it.
 */
typedef void sharers_fn(const struct addr *a, void *arg);
static void each_shared(const struct ipam *ipam, const char *key, const struct tenancy *t,
                        sharers_fn *fn, void *arg)
{
	const struct ipam_sharers *g = t && t->key ? sharers_of(ipam, t->key) : NULL;

	for (const struct ipam_service *s = g ? g->services : NULL; s; s = s->next)
		for (size_t i = 0; i < s->n; i++)
			if (ipam_holder_of(ipam, &s->held[i]) == s &&
			    !ipam_holds(ipam, key, &s->held[i]))
				fn(&s->held[i], arg);
}

struct search {
	const struct ipam *ipam;
	const char *key;
	const struct tenancy *tenancy;
	const struct ipam_pool *pool;
	size_t family_index;
	ipam_may_fn *may;
	const void *arg;
	bool found;
	struct addr addr;
	struct ipam_obstacle obstacle;
};

static bool is_lower(const struct search *x, const struct addr *a)
{
	return !x->found || addr_cmp(a, &x->addr) < 0;
}

static void look_shared(const struct addr *a, void *arg)
{
	struct search *x = arg;

	if (ipam_family_index(a->family) != x->family_index || !is_lower(x, a) ||
	    ipam_pool_of(x->ipam, a) != x->pool || !ipam_is_assignable(x->ipam, x->pool, a) ||
	    ipam_is_withheld(x->ipam, x->key, a) ||
	    ipam_obstacle_of(x->ipam, x->key, x->tenancy, a).verdict.obstacle != TENANCY_NONE ||
	    !x->may(a, x->arg))
		return;
	x->addr = *a;
	x->found = true;
}

bool ipam_first_shared(const struct ipam *ipam, const char *key, const struct tenancy *t,
                       const struct ipam_pool *pool, size_t family_index, ipam_may_fn *may,
                       const void *arg, struct addr *ret_addr)
{
	struct search x = { .ipam = ipam,
		            .key = key,
		            .tenancy = t,
		            .pool = pool,
		            .family_index = family_index,
		            .may = may,
		            .arg = arg };

	each_shared(ipam, key, t, look_shared, &x);
	if (x.found)
		*ret_addr = x.addr;
	return x.found;
}

static void look_unshared(const struct addr *a, void *arg)
{
	struct search *x = arg;

	if (!is_lower(x, a))
		return;
	struct ipam_obstacle o = ipam_obstacle_of(x->ipam, x->key, x->tenancy, a);
	if (o.verdict.obstacle == TENANCY_NONE || o.verdict.obstacle == TENANCY_NAMESPACE)
		return;
	x->addr = *a;
	x->obstacle = o;
	x->found = true;
}

bool ipam_first_unshared(const struct ipam *ipam, const char *key, const struct tenancy *t,
                         struct addr *ret_addr, struct ipam_obstacle *ret_obstacle)
{
	struct search x = { .ipam = ipam, .key = key, .tenancy = t };

	each_shared(ipam, key, t, look_unshared, &x);
	if (x.found) {
		*ret_addr = x.addr;
		*ret_obstacle = x.obstacle;
	}
	return x.found;
}
