/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/waiting.h"

#include <stdlib.h>

#include <utlist.h>

#include "fairlead/hash.h"
#include "fairlead/mem.h"
#include "fairlead/turn.h"

/* One that waits, under an address that it names. */
struct mention {
	struct waiter *waiter;
	struct waiting_name *name;
	struct mention *prev, *next; /* of the address */
};

struct waiting_name {
	struct addr addr;
	struct mention *mentions;
	UT_hash_handle hh;
};

struct waiter {
	struct record *record;
	struct waiter *prev, *next;
	bool by_name;
	uint64_t seen; /* the last round that looked at it */
	size_t n;
	struct mention mentions[];
};

/* ---- who waits ---- */

static struct waiter **list_of(struct waiting *w, const struct waiter *waiter)
{
	return waiter->by_name ? &w->by_name : &w->open;
}

static void mention(struct waiting *w, struct waiter *waiter, const struct addr *a)
{
	struct mention *m = &waiter->mentions[waiter->n++];

	HASH_FIND(hh, w->names, a, sizeof(*a), m->name);
	if (!m->name) {
		m->name = xcalloc(1, sizeof(*m->name));
		m->name->addr = *a;
		HASH_ADD(hh, w->names, addr, sizeof(m->name->addr), m->name);
	}
	m->waiter = waiter;
	DL_APPEND(m->name->mentions, m);
}

static size_t n_mentions(const struct record_part *p)
{
	return p ? (size_t)p->request.n_asked + p->request.n_held + p->request.n_written : 0;
}

static void mention_all(struct waiting *w, struct waiter *waiter, const struct record_part *p)
{
	for (size_t i = 0; p && i < p->request.n_asked; i++)
		mention(w, waiter, &p->request.asked[i]);
	for (size_t i = 0; p && i < p->request.n_held; i++)
		mention(w, waiter, &p->request.held[i]);
	for (size_t i = 0; p && i < p->request.n_written; i++)
		mention(w, waiter, &p->request.written[i]);
}

void waiting_put(struct waiting *w, const struct ipam *ipam, struct record *r)
{
	waiting_remove(w, r);
	size_t n = n_mentions(&r->lb) + n_mentions(r->external);
	struct waiter *waiter = xcalloc(1, sizeof(*waiter) + n * sizeof(struct mention));

	waiter->record = r;
	waiter->by_name =
		ipam_goes_by_name(ipam, r->key, &r->lb.request) &&
		(!r->external || ipam_goes_by_name(ipam, r->external_key, &r->external->request));
	DL_APPEND(*list_of(w, waiter), waiter);
	r->waiter = waiter;
	if (!waiter->by_name)
		return;
	mention_all(w, waiter, &r->lb);
	mention_all(w, waiter, r->external);
}

void waiting_remove(struct waiting *w, struct record *r)
{
	struct waiter *waiter = TAKE(r->waiter);

	if (!waiter)
		return;
	for (size_t i = 0; i < waiter->n; i++) {
		struct mention *m = &waiter->mentions[i];
		DL_DELETE(m->name->mentions, m);
		if (m->name->mentions)
			continue;
		HASH_DEL(w->names, m->name);
		free(m->name);
	}
	DL_DELETE(*list_of(w, waiter), waiter);
	free(waiter);
}

static void each(const struct waiter *list, void (*fn)(struct record *r, void *arg), void *arg)
{
	const struct waiter *waiter;

	DL_FOREACH(list, waiter)
		fn(waiter->record, arg);
}

void waiting_each(const struct waiting *w, void (*fn)(struct record *r, void *arg), void *arg)
{
	each(w->open, fn, arg);
	each(w->by_name, fn, arg);
}

/* ---- whom it concerns ---- */

struct concerned {
	struct waiting *w;
	const struct ipam *ipam;
	struct record **records;
	size_t n, cap;
};

static void look(struct concerned *c, struct waiter *waiter)
{
	if (waiter->seen == c->w->round)
		return;
	waiter->seen = c->w->round;
	c->w->n_looks++;
	if (!turn_is_concerned(c->ipam, waiter->record))
		return;
	ARRAY_RESERVE(c->records, c->cap, c->n + 1);
	c->records[c->n++] = waiter->record;
}

static void look_at_list(struct concerned *c, struct waiter *list)
{
	struct waiter *waiter;

	DL_FOREACH(list, waiter)
		look(c, waiter);
}

static void look_at_names(struct concerned *c)
{
	size_t n;
	const struct addr *freed = ipam_freed(c->ipam, &n);

	for (size_t i = 0; i < n; i++) {
		const struct waiting_name *name;
		const struct mention *m;
		HASH_FIND(hh, c->w->names, &freed[i], sizeof(freed[i]), name);
		if (!name)
			continue;
		DL_FOREACH(name->mentions, m)
			look(c, m->waiter);
	}
}

struct record **waiting_concerned(struct waiting *w, const struct ipam *ipam, size_t *ret_n)
{
	struct concerned c = { .w = w, .ipam = ipam };

	w->round++;
	look_at_list(&c, w->open);
	if (ipam_freed_more(ipam))
		look_at_list(&c, w->by_name);
	else
		look_at_names(&c);
	*ret_n = c.n;
	return c.records;
}
