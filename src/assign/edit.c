/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/edit.h"

#include <stdlib.h>

#include "fairlead/mem.h"

/* ---- addresses in use ---- */

typedef void visitor(const struct addr *a, unsigned int use, void *arg);

static bool is_in_use(const struct record_part *p)
{
	return p->request.wish != IPAM_WISH_OTHER && p->request.wish != IPAM_WISH_NONE;
}

/*
 * What the object holds, and what is on its way there.  What it only names, and is denied, is not
 * in use.
 */
static void visit_part(const struct record_part *p, visitor *visit, void *arg)
{
	const struct ipam_request *q = &p->request;
	bool comes = p->decided && (p->action == IPAM_ASSIGN || p->action == IPAM_MOVE);

	if (!is_in_use(p))
		return;
	for (size_t i = 0; i < q->n_held; i++)
		if (ipam_is_confirmed(q, &q->held[i]) ||
		    (p->decided && addrs_contain(p->given, p->n_given, &q->held[i])))
			visit(&q->held[i], q->use, arg);
	/* The addresses that a long status has beyond the first ones. */
	for (size_t i = 0; q->use == CONFIG_USE_LOAD_BALANCER && i < q->n_written; i++)
		visit(&q->written[i], q->use, arg);
	for (size_t i = 0; comes && i < p->n_want; i++)
		if (!addrs_contain(q->held, q->n_held, &p->want[i]))
			visit(&p->want[i], q->use, arg);
}

static void visit_record(const struct record *r, visitor *visit, void *arg)
{
	visit_part(&r->lb, visit, arg);
	if (r->external)
		visit_part(r->external, visit, arg);
}

/* Is there a pool for it?  A load balancer's address is announced whatever its pool is for. */
static bool has_pool(const struct configuration *c, const struct addr *a, unsigned int use)
{
	const struct config_pool *pool = configuration_giving_pool_of(c, a);

	return pool && (use == CONFIG_USE_LOAD_BALANCER || pool->uses & use);
}

/* ---- retained ---- */

static void add_retained(const struct addr *a, unsigned int use, void *arg)
{
	struct edit *e = arg;
	const struct config_pool *pool = configuration_pool_of(e->now, a);

	if (!pool || has_pool(e->next, a, use))
		return;
	ARRAY_RESERVE(e->retained, e->cap_retained, e->n_retained + 1);
	e->retained[e->n_retained++] = (struct config_retention){ .pool = pool, .addr = *a };
}

void edit_retain(struct edit *e, const struct record *r)
{
	visit_record(r, add_retained, e);
}

void edit_print_retained(struct edit *e, struct buf *out)
{
	configuration_print_retained(e->retained, e->n_retained, out);
}

void edit_fini(struct edit *e)
{
	free(e->retained);
	*e = (struct edit){ .now = NULL };
}

/* ---- what it does to a Service ---- */

struct effect {
	const struct edit *edit;
	struct edit_effect found;
};

static bool is_announced(const struct configuration *c, const struct config_pool *pool)
{
	return configuration_effective_protocols(c, pool->protocols) != 0;
}

static void add_effect(const struct addr *a, unsigned int use, void *arg)
{
	struct effect *x = arg;
	const struct configuration *now = x->edit->now, *next = x->edit->next;
	const struct config_pool *before = configuration_pool_of(now, a);
	bool keeps_pool = has_pool(next, a, use);
	const struct config_pool *after =
		keeps_pool ? configuration_giving_pool_of(next, a) : before;

	if (!before)
		return;
	x->found.orphans |= !keeps_pool && has_pool(now, a, use);
	x->found.silences |= is_announced(now, before) && !is_announced(next, after);
}

struct edit_effect edit_effect_on(const struct edit *e, const struct record *r)
{
	struct effect x = { .edit = e };

	visit_record(r, add_effect, &x);
	return x.found;
}

/* ---- who moves ---- */

/* Takes what is given; what the record says stays as it is. */
static void foresee_part(struct ipam *ipam, const char *key, const struct record_part *p,
                         enum ipam_renumber renumber, struct edit_fate *fate)
{
	struct ipam_decision d;

	if (!p)
		return;
	struct ipam_request q = p->request; /* borrows all that it points to */
	q.renumber = renumber;
	ipam_decide(ipam, key, &q, &d);
	if (d.action == IPAM_ASSIGN || d.action == IPAM_MOVE)
		ipam_hold(ipam, key, d.addrs, d.n);
	fate->moves |= d.renumbers && (d.action == IPAM_MOVE || renumber == IPAM_RENUMBER_LATER);
	fate->stays |= d.reason == REASON_Retained;
}

static struct edit_fate foresee(struct ipam *ipam, const struct record *r,
                                enum ipam_renumber renumber)
{
	struct edit_fate fate = { .moves = false };

	foresee_part(ipam, r->key, &r->lb, renumber, &fate);
	foresee_part(ipam, r->external_key, r->external, renumber, &fate);
	return fate;
}

/* First without any move, as in turns; then the Services that a pool would take in. */
void edit_foresee(struct ipam *ipam, struct record *const *records, size_t n,
                  struct edit_fate *ret_fates)
{
	for (size_t i = 0; i < n; i++)
		ret_fates[i] = foresee(ipam, records[i], IPAM_RENUMBER_LATER);
	for (size_t i = 0; i < n; i++)
		if (ret_fates[i].moves)
			ret_fates[i] = foresee(ipam, records[i], IPAM_RENUMBER_AT_ONCE);
}
