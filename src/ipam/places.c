/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which addresses of a pool are free, and in which order.
 *
 * An address is not free while somebody holds it, or while a machine has it: to announce a node's,
 * a router's or the API server's address cuts that machine off.  Free ones are of two kinds: those
 * that no object names, and those that somebody wrote into spec.externalIPs without being allowed
 * to.  The latter come last: with a kube-proxy their traffic may go astray, but if they were not
 * given at all, anybody who may write Services could empty every pool.
 *
 * The place of an address follows from its holder and from what is known about it; ipam_place() is
 * called whenever that changes.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "fairlead/mem.h"
#include "ipam/ipam.h"

static struct ipam_machine *machine_find(const struct ipam *ipam, const struct addr *a)
{
	struct ipam_machine *m;

	HASH_FIND(hh, ipam->machines, a, sizeof(*a), m);
	return m;
}

static struct ipam_squat *squat_find(const struct ipam *ipam, const struct addr *a)
{
	struct ipam_squat *q;

	HASH_FIND(hh, ipam->squats, a, sizeof(*a), q);
	return q;
}

const struct ipam_squat *ipam_squat_of(const struct ipam *ipam, const struct addr *a)
{
	return squat_find(ipam, a);
}

const char *ipam_squatter(const struct ipam *ipam, const struct addr *a)
{
	const struct ipam_squat *q = squat_find(ipam, a);

	return q ? q->services[0]->key : NULL;
}

/* ---- free or not ---- */

/* Whoever has it now. */
static bool gives(const struct ipam_pool *pool, const struct addr *a)
{
	return runs_usable(&pool->runs[ipam_family_index(a->family)], a) &&
	       !config_pool_excludes(pool->conf, a);
}

bool ipam_is_assignable(const struct ipam *ipam, const struct ipam_pool *pool, const struct addr *a)
{
	return gives(pool, a) && !machine_find(ipam, a);
}

void ipam_place(struct ipam *ipam, const struct addr *a)
{
	struct ipam_pool *pool = ipam_pool_of(ipam, a);
	size_t f = ipam_family_index(a->family);

	if (!pool)
		return;
	runs_take(&pool->runs[f], a);
	runs_take(&pool->squatted[f], a);
	if (!ipam_holder_of(ipam, a) && !ipam_reserved_for(ipam, a) && !ipam_cooling_of(ipam, a) &&
	    ipam_is_assignable(ipam, pool, a))
		runs_give(squat_find(ipam, a) ? &pool->squatted[f] : &pool->runs[f], a);
}

uint64_t ipam_total(const struct ipam_pool *pool, size_t family_index)
{
	uint64_t total = pool->runs[family_index].total;

	return total == UINT64_MAX ? total : total - pool->n_machines[family_index];
}

bool ipam_first_free(const struct ipam_pool *pool, size_t family_index, bool squatted,
                     struct addr *ret_addr)
{
	return runs_first(&pool->runs[family_index], ret_addr) ||
	       (squatted && runs_first(&pool->squatted[family_index], ret_addr));
}

static struct addr add(const struct addr *a, uint64_t n)
{
	struct addr sum = *a;

	for (size_t i = addr_bits(a) / 8; i-- > 0 && n > 0;) {
		n += sum.b[i];
		sum.b[i] = (uint8_t)n;
		n >>= 8;
	}
	return sum;
}

/* Of all addresses of the pool the one that the lot falls on, whoever has it; @a as it is: none. */
static void draw(const struct ipam_pool *pool, size_t family_index, uint64_t lot, struct addr *a)
{
	const struct config_pool *conf = pool->conf;
	uint64_t total = 0;

	for (size_t i = 0; i < conf->n_ranges; i++)
		if (ipam_family_index(conf->ranges[i].first.family) == family_index &&
		    __builtin_add_overflow(total, addr_range_count(&conf->ranges[i]), &total))
			total = UINT64_MAX;
	for (size_t i = 0; total > 0 && i < conf->n_ranges; i++) {
		const struct addr_range *r = &conf->ranges[i];
		if (ipam_family_index(r->first.family) != family_index)
			continue;
		uint64_t n = addr_range_count(r), at = lot % total;
		if (at < n) {
			*a = add(&r->first, at);
			return;
		}
		lot = at - n;
	}
}

bool ipam_next_free(const struct ipam_pool *pool, size_t family_index, bool squatted, uint64_t lot,
                    struct addr *ret_addr)
{
	bool is_random = pool->conf->allocation == CONFIG_ALLOCATION_RANDOM;
	struct addr first, from;

	if (!ipam_first_free(pool, family_index, squatted, &first))
		return false;
	from = first;
	if (is_random)
		draw(pool, family_index, lot, &from);
	else if (!ipam_next_in_turn(pool, family_index, &from)) {
		*ret_addr = first;
		return true;
	}
	return runs_from(&pool->runs[family_index], &from, ret_addr) ||
	       runs_from(&pool->squatted[family_index], &from, ret_addr);
}

/* ---- machines ---- */

/*
 * An address that a machine has no longer counts among those that the pool may hand out, or counts
 * again.
 */
static void count_machine(struct ipam *ipam, const struct addr *a, bool added)
{
	struct ipam_pool *pool = ipam_pool_of(ipam, a);
	size_t f = ipam_family_index(a->family);

	if (!pool || !gives(pool, a))
		return;
	pool->n_machines[f] += added ? 1 : -1ULL;
	if (ipam_holder_of(ipam, a))
		pool->used_assignable[f] += added ? -1ULL : 1;
}

void ipam_add_machine(struct ipam *ipam, const struct addr *a, enum reason reason, const char *what)
{
	struct ipam_machine *m = machine_find(ipam, a);
	struct ipam_owner *o = xcalloc(1, sizeof(*o));

	o->reason = reason;
	o->what = xstrdup(what);
	if (m) {
		LL_APPEND(m->owners, o);
		return;
	}
	m = xcalloc(1, sizeof(*m));
	m->addr = *a;
	LL_APPEND(m->owners, o);
	HASH_ADD(hh, ipam->machines, addr, sizeof(m->addr), m);
	count_machine(ipam, a, true);
	ipam_place(ipam, a);
}

static void owner_free(struct ipam_machine *m, struct ipam_owner *o)
{
	LL_DELETE(m->owners, o);
	free(o->what);
	free(o);
}

void ipam_remove_machine(struct ipam *ipam, const struct addr *a, enum reason reason,
                         const char *what)
{
	struct ipam_machine *m = machine_find(ipam, a);
	struct ipam_owner *o = m ? m->owners : NULL;

	while (o && (o->reason != reason || strcmp(o->what, what) != 0))
		o = o->next;
	if (!o)
		return;
	owner_free(m, o);
	if (m->owners)
		return;
	HASH_DEL(ipam->machines, m);
	free(m);
	count_machine(ipam, a, false);
	ipam_place(ipam, a);
}

static struct ipam_machine_view view_of(const struct ipam *ipam, const struct ipam_machine *m)
{
	const struct ipam_pool *pool = ipam_pool_of(ipam, &m->addr);

	return (struct ipam_machine_view){ .addr = m->addr,
		                           .reason = m->owners->reason,
		                           .what = m->owners->what,
		                           .pool = pool ? pool->conf : NULL };
}

bool ipam_machine_of(const struct ipam *ipam, const struct addr *a,
                     struct ipam_machine_view *ret_machine)
{
	const struct ipam_machine *m = machine_find(ipam, a);

	if (!m)
		return false;
	*ret_machine = view_of(ipam, m);
	return true;
}

static int machine_cmp(const void *a, const void *b)
{
	const struct ipam_machine_view *ma = a, *mb = b;

	return addr_cmp(&ma->addr, &mb->addr);
}

struct ipam_machine_view *ipam_machines_in_pools(const struct ipam *ipam, size_t *ret_n)
{
	struct ipam_machine_view *all = xcalloc(HASH_COUNT(ipam->machines) + 1, sizeof(*all));
	size_t n = 0;

	for (const struct ipam_machine *m = ipam->machines; m; m = m->hh.next) {
		all[n] = view_of(ipam, m);
		n += all[n].pool != NULL;
	}
	qsort(all, n, sizeof(*all), machine_cmp);
	*ret_n = n;
	return all;
}

void ipam_put_machine(const struct ipam_machine_view *m, struct buf *out)
{
	buf_printf(out, "pool %s holds %s, the address of %s: it is assigned to nobody",
	           m->pool->name, addr_str(&m->addr), m->what);
}

/* ---- squatted ---- */

static void squat_add(struct ipam *ipam, struct ipam_service *s, const struct addr *a)
{
	struct ipam_pool *pool = ipam_pool_of(ipam, a);
	struct ipam_squat *q = squat_find(ipam, a);

	if (!pool || addrs_contain(s->squatted, s->n_squatted, a))
		return;
	ARRAY_RESERVE(s->squatted, s->cap_squatted, s->n_squatted + 1);
	s->squatted[s->n_squatted++] = *a;
	if (!q) {
		q = xcalloc(1, sizeof(*q));
		q->addr = *a;
		HASH_ADD(hh, ipam->squats, addr, sizeof(q->addr), q);
		pool->n_squatted[ipam_family_index(a->family)]++;
	}
	ARRAY_RESERVE(q->services, q->cap, q->n + 1);
	q->services[q->n++] = s;
	ipam_place(ipam, a);
}

static void squat_free(struct ipam *ipam, struct ipam_squat *q)
{
	HASH_DEL(ipam->squats, q);
	free(q->services);
	free(q);
}

static void squat_remove(struct ipam *ipam, struct ipam_service *s, const struct addr *a)
{
	struct ipam_squat *q = squat_find(ipam, a);
	size_t i = 0;

	while (q->services[i] != s)
		i++;
	memmove(&q->services[i], &q->services[i + 1],
	        (q->n - i - 1) * sizeof(struct ipam_service *));
	if (--q->n > 0)
		return;
	squat_free(ipam, q);
	ipam_pool_of(ipam, a)->n_squatted[ipam_family_index(a->family)]--;
	ipam_place(ipam, a);
}

void ipam_squat(struct ipam *ipam, const char *key, const struct addr *addrs, size_t n)
{
	const struct ipam_service *known = ipam_service_find(ipam, key);
	size_t kept = 0;

	if (n == 0 && (!known || known->n_squatted == 0))
		return;
	struct ipam_service *s = ipam_service_get(ipam, key);
	for (size_t i = 0; i < s->n_squatted; i++) {
		const struct addr a = s->squatted[i];
		if (addrs_contain(addrs, n, &a))
			s->squatted[kept++] = a;
		else
			squat_remove(ipam, s, &a);
	}
	s->n_squatted = kept;
	for (size_t i = 0; i < n; i++)
		squat_add(ipam, s, &addrs[i]);
	ipam_service_drop(ipam, s);
}

size_t ipam_n_squatted(const struct ipam *ipam, const char *key)
{
	const struct ipam_service *s = ipam_service_find(ipam, key);

	return s ? s->n_squatted : 0;
}

/* The earliest in the order of keys, so that the answer does not depend on which was read first. */
const char *ipam_squatter_in(const struct ipam *ipam, const struct ipam_pool *pool)
{
	const char *first = NULL;

	if (pool->n_squatted[0] + pool->n_squatted[1] == 0)
		return NULL;
	for (const struct ipam_squat *q = ipam->squats; q; q = q->hh.next)
		if (ipam_pool_of(ipam, &q->addr) == pool &&
		    (!first || strcmp(q->services[0]->key, first) < 0))
			first = q->services[0]->key;
	return first;
}

void ipam_free_marks(struct ipam *ipam)
{
	struct ipam_machine *m, *next_m;
	struct ipam_squat *q, *next_q;

	HASH_ITER(hh, ipam->squats, q, next_q)
		squat_free(ipam, q);
	HASH_ITER(hh, ipam->machines, m, next_m) {
		while (m->owners)
			owner_free(m, m->owners);
		HASH_DEL(ipam->machines, m);
		free(m);
	}
}
