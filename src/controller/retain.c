/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Edits of the pools and the addresses in use.
 *
 * What is published says, beside the administrator's text, which addresses in use that text leaves without a pool, and how they
 * were announced; speakers go on as before.  It is printed from what is in force, retained ones included, and from what Services
 * hold: so it survives restarts and further edits, is dropped when the address is free, and becomes a pool's again when the
 * range comes back.
 *
 * A pool with renumber takes such Services in, one every RENUMBER_MS: the new address is put before the old one, and
 * HANDOVER_MS later the old one is given up.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "controller/controller.h"
#include "fairlead/clock.h"
#include "fairlead/mem.h"

#define RENUMBER_MS 250
#define HANDOVER_MS 10000
#define FREED_MS 2000

/* ---- addresses in use ---- */

typedef void visitor(const struct record *r, const struct addr *a, unsigned int use, void *arg);

static bool is_in_use(const struct record_part *p)
{
	return p->request.wish != IPAM_WISH_OTHER && p->request.wish != IPAM_WISH_NONE;
}

/* What the object holds, and what is on its way there. */
static void visit_part(const struct record *r, const struct record_part *p, visitor *visit,
                       void *arg)
{
	const struct ipam_request *q = &p->request;
	bool comes = p->decided && (p->action == IPAM_ASSIGN || p->action == IPAM_MOVE);

	if (!is_in_use(p))
		return;
	for (size_t i = 0; i < q->n_held; i++)
		if (ipam_is_confirmed(q, &q->held[i]) ||
		    (p->decided && addrs_contain(p->want, p->n_want, &q->held[i])))
			visit(r, &q->held[i], q->use, arg);
	/* Those that a long status has beyond the first ones. */
	for (size_t i = 0; q->use == CONFIG_USE_LOAD_BALANCER && i < q->n_written; i++)
		visit(r, &q->written[i], q->use, arg);
	for (size_t i = 0; comes && i < p->n_want; i++)
		if (!addrs_contain(q->held, q->n_held, &p->want[i]))
			visit(r, &p->want[i], q->use, arg);
}

static void visit_all(const struct controller *ctl, visitor *visit, void *arg)
{
	for (const struct record *r = ctl->records; r; r = r->hh.next) {
		visit_part(r, &r->lb, visit, arg);
		if (r->external)
			visit_part(r, r->external, visit, arg);
	}
}

/* Is there a pool for it?  A load balancer's address is announced whatever its pool is for. */
static bool has_pool(const struct configuration *c, const struct addr *a, unsigned int use)
{
	const struct config_pool *pool = configuration_giving_pool_of(c, a);

	return pool && (use == CONFIG_USE_LOAD_BALANCER || pool->uses & use);
}

struct retained {
	const struct configuration *now, *next;
	struct config_retention *items;
	size_t n, cap;
};

static void add_retained(const struct record *r, const struct addr *a, unsigned int use, void *arg)
{
	struct retained *x = arg;
	const struct config_pool *pool = configuration_pool_of(x->now, a);

	(void)r;
	if (!pool || has_pool(x->next, a, use))
		return;
	ARRAY_RESERVE(x->items, x->cap, x->n + 1);
	x->items[x->n++] = (struct config_retention){ .pool = pool, .addr = *a };
}

void retain_print(const struct controller *ctl, const struct configuration *next, struct buf *out)
{
	struct retained x = { .now = ctl->config.in_force, .next = next };

	if (!x.now || !next)
		return;
	visit_all(ctl, add_retained, &x);
	configuration_print_retained(x.items, x.n, out);
	free(x.items);
}

/* ---- what an edit does ---- */

struct effect {
	const struct configuration *now, *next;
	const struct record *last_retained, *last_silenced;
	struct retain_effect found;
};

/* By layer 2 nobody answers for IPv6, and BGP needs a peer. */
static bool is_announced(const struct configuration *c, const struct config_pool *pool,
                         const struct addr *a)
{
	return (pool->protocols & PROTOCOL_LAYER2 && a->family == 4) ||
	       (pool->protocols & PROTOCOL_BGP && c->n_peers > 0);
}

static void add_effect(const struct record *r, const struct addr *a, unsigned int use, void *arg)
{
	struct effect *x = arg;
	const struct config_pool *before = configuration_pool_of(x->now, a);
	const struct config_pool *after =
		has_pool(x->next, a, use) ? configuration_giving_pool_of(x->next, a) : before;

	if (!before)
		return;
	if (has_pool(x->now, a, use) && !has_pool(x->next, a, use) && x->last_retained != r) {
		x->last_retained = r;
		x->found.n_retained++;
	}
	if (is_announced(x->now, before, a) && !is_announced(x->next, after, a) &&
	    x->last_silenced != r) {
		x->last_silenced = r;
		if (x->found.n_silenced++ == 0)
			x->found.silenced = xstrdup(r->key);
	}
}

struct retain_effect retain_effect_of(const struct controller *ctl,
                                      const struct configuration *next)
{
	struct effect x = { .now = ctl->config.in_force, .next = next };

	if (x.now && next)
		visit_all(ctl, add_effect, &x);
	return x.found;
}

/* ---- what becomes free ---- */

static void arm(struct event *ev, int64_t ms)
{
	const struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	if (!evtimer_pending(ev, NULL))
		evtimer_add(ev, &tv);
}

void retain_freed(struct controller *ctl)
{
	if (ctl->leading && ctl->config.in_force && ctl->config.in_force->n_retained > 0)
		arm(ctl->retain, FREED_MS);
}

static void on_freed(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	publish_again(arg);
}

/* ---- renumbering ---- */

void retain_request(struct record *r, int64_t now_ms)
{
	r->lb.request.renumber =
		r->ctl->may_renumber ? IPAM_RENUMBER_OVERLAPPING : IPAM_RENUMBER_LATER;
	r->lb.request.hands_over = r->handover_ms > now_ms;
	if (r->external)
		r->external->request.renumber = r->lb.request.renumber;
}

static bool waits(const struct record_part *p)
{
	return p && p->decided && p->renumbers && p->action != IPAM_MOVE;
}

void retain_decided(struct record *r, int64_t now_ms)
{
	struct controller *ctl = r->ctl;
	bool lb = r->lb.renumbers && r->lb.action == IPAM_MOVE;
	bool external = r->external && r->external->renumbers && r->external->action == IPAM_MOVE;

	if (lb)
		r->handover_ms = now_ms + HANDOVER_MS;
	else if (r->handover_ms <= now_ms)
		r->handover_ms = 0;
	if (lb || external)
		ctl->may_renumber = false;
	if (r->handover_ms || waits(&r->lb) || waits(r->external))
		arm(ctl->renumber, RENUMBER_MS);
}

static void on_renumber(evutil_socket_t fd, short what, void *arg)
{
	struct controller *ctl = arg;
	int64_t now_ms = clock_ms();
	bool pending = false;

	(void)fd;
	(void)what;
	ctl->may_renumber = false;
	for (struct record *r = ctl->records; r && ctl->leading; r = r->hh.next) {
		bool ends = r->handover_ms && r->handover_ms <= now_ms;
		bool next = !ctl->may_renumber && (waits(&r->lb) || waits(r->external)) &&
		            r->flight == RECORD_IDLE && !r->dirty;
		ctl->may_renumber |= next;
		if (ends || next)
			registry_mark(r);
		pending |= r->handover_ms || waits(&r->lb) || waits(r->external);
	}
	if (pending)
		arm(ctl->renumber, RENUMBER_MS);
}

int retain_start(struct controller *ctl)
{
	ctl->renumber = evtimer_new(ctl->base, on_renumber, ctl);
	ctl->retain = evtimer_new(ctl->base, on_freed, ctl);
	return ctl->renumber && ctl->retain ? 0 : -1;
}

void retain_free(struct controller *ctl)
{
	if (ctl->renumber)
		event_free(ctl->renumber);
	if (ctl->retain)
		event_free(ctl->retain);
}
