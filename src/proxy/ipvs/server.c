/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/ipvs/server.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

/* What schedulers need to be told; all others need nothing. */
static const struct {
	const char *name;
	uint32_t flags;
} hashing[] = {
	{ "mh", IPVS_FLAG_FALLBACK | IPVS_FLAG_PORT },
	{ "sh", IPVS_FLAG_FALLBACK | IPVS_FLAG_PORT },
};

bool server_scheduler_hashes(const char *scheduler)
{
	return server_scheduler_flags(scheduler) != 0;
}

uint32_t server_scheduler_flags(const char *scheduler)
{
	for (size_t i = 0; i < ARRAY_LEN(hashing); i++)
		if (!strcmp(hashing[i].name, scheduler))
			return hashing[i].flags;
	return 0;
}

static int compare(const struct virtual_endpoint *a, const struct virtual_endpoint *b)
{
	int r = addr_cmp(&a->addr, &b->addr);

	return r ? r : (a->port > b->port) - (a->port < b->port);
}

/* ---- what is wanted ---- */

/* The endpoints that are named, by endpoint, each once: those that are wanted, or only kept. */
struct wish {
	struct virtual_endpoint at;
	bool kept;
};

static int by_wish(const void *a, const void *b)
{
	const struct wish *x = a, *y = b;
	int r = compare(&x->at, &y->at);

	return r ? r : x->kept - y->kept;
}

static struct wish *sorted(const struct virtual_server *v, size_t *ret_n)
{
	size_t n_all = v->n_endpoints + v->n_kept, n = 0;
	struct wish *list = xcalloc(n_all + 1, sizeof(*list));

	for (size_t i = 0; i < v->n_endpoints; i++)
		list[i].at = v->endpoints[i];
	for (size_t i = 0; i < v->n_kept; i++)
		list[v->n_endpoints + i] = (struct wish){ v->kept[i], true };
	qsort(list, n_all, sizeof(*list), by_wish);
	for (size_t i = 0; i < n_all; i++)
		if (n == 0 || compare(&list[n - 1].at, &list[i].at) != 0)
			list[n++] = list[i];
	*ret_n = n;
	return list;
}

static int by_name(const void *a, const void *b)
{
	const struct wish *x = a, *y = b;

	return compare(&x->at, &y->at);
}

/* Where in the sorted list; @n: it is not in it. */
static size_t position(const struct wish *list, size_t n, const struct virtual_endpoint *e)
{
	const struct wish key = { .at = *e };
	const struct wish *at = bsearch(&key, list, n, sizeof(*list), by_name);

	return at ? (size_t)(at - list) : n;
}

static struct server_endpoint *append(struct server *s, const struct virtual_endpoint *e)
{
	ARRAY_RESERVE(s->list, s->cap, s->n + 1);
	s->list[s->n] = (struct server_endpoint){ .at = *e };
	return &s->list[s->n++];
}

/* There may be many servers of few endpoints, so none has room to spare. */
static void fit(struct server *s)
{
	size_t cap = s->n ? s->n : 1;

	if (s->cap <= cap)
		return;
	s->list = xreallocarray(s->list, cap, sizeof(*s->list));
	s->cap = cap;
}

/* Of those that are not there nothing else is known. */
static void forget_wishes(struct server *s)
{
	s->n = s->n_there;
	for (size_t i = 0; i < s->n; i++)
		s->list[i].wanted = s->list[i].kept = false;
}

static void set_wish(struct server_endpoint *e, const struct wish *wish)
{
	e->wanted = !wish->kept;
	e->kept = wish->kept;
}

bool server_schedule(struct server *s, const char *scheduler)
{
	if (!strcmp(s->scheduler, scheduler))
		return false;
	strcpy(s->scheduler, scheduler);
	s->hashes = server_scheduler_hashes(scheduler);
	s->flags = server_scheduler_flags(scheduler);
	return true;
}

void server_want(struct server *s, const struct virtual_server *v)
{
	size_t n;
	cleanup_free struct wish *list = sorted(v, &n);
	cleanup_free bool *found = xcalloc(n + 1, sizeof(*found));

	s->wanted = true;
	s->drains = v->proto == IPPROTO_TCP;
	s->grace_s = v->grace_s ? v->grace_s : VIRTUAL_GRACE_S;
	s->until_s = 0;
	forget_wishes(s);
	for (size_t i = 0; i < s->n_there; i++) {
		size_t at = position(list, n, &s->list[i].at);
		if (at < n)
			set_wish(&s->list[i], &list[at]);
		found[at] = true;
	}
	for (size_t i = 0; i < n; i++)
		if (!found[i])
			set_wish(append(s, &list[i].at), &list[i]);
	fit(s);
}

static bool is_named(const struct server_endpoint *e)
{
	return e->wanted || e->kept;
}

bool server_wants(const struct server *s, const struct virtual_server *v)
{
	size_t n, n_named = 0;
	bool same = s->wanted && s->drains == (v->proto == IPPROTO_TCP) &&
	            s->grace_s == (v->grace_s ? v->grace_s : VIRTUAL_GRACE_S);

	if (!same)
		return false;
	cleanup_free struct wish *list = sorted(v, &n);
	for (size_t i = 0; i < s->n && same; i++) {
		const struct server_endpoint *e = &s->list[i];
		if (!is_named(e))
			continue;
		size_t at = position(list, n, &e->at);
		n_named++;
		same = at < n && list[at].kept == e->kept;
	}
	return same && n_named == n;
}

size_t server_n_wanted(const struct server *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->list[i].wanted;
	return n;
}

void server_unwant(struct server *s)
{
	s->wanted = false;
	forget_wishes(s);
}

void server_fini(struct server *s)
{
	free(s->list);
}

/* ---- what the kernel has ---- */

void server_lost(struct server *s)
{
	size_t n = 0;

	s->there = s->idle = false;
	s->until_s = 0;
	for (size_t i = 0; i < s->n; i++)
		if (is_named(&s->list[i]))
			s->list[n++] = (struct server_endpoint){ .at = s->list[i].at,
				                                 .wanted = s->list[i].wanted,
				                                 .kept = s->list[i].kept };
	s->n = n;
	s->n_there = 0;
}

/* No scheduler has this name. */
void server_unstamped(struct server *s)
{
	s->has_scheduler[0] = '\0';
}

static int by_place(const void *a, const void *b)
{
	const struct server_endpoint *const *x = a, *const *y = b;

	return compare(&(*x)->at, &(*y)->at);
}

/* By endpoint, to find them. */
static struct server_endpoint **index_of(struct server_endpoint *list, size_t n)
{
	struct server_endpoint **index = xmalloc((n + 1) * sizeof(struct server_endpoint *));

	for (size_t i = 0; i < n; i++)
		index[i] = &list[i];
	qsort(index, n, sizeof(struct server_endpoint *), by_place);
	return index;
}

static struct server_endpoint *look_up(struct server_endpoint **index, size_t n,
                                       const struct virtual_endpoint *e)
{
	const struct server_endpoint key = { .at = *e }, *at = &key;
	struct server_endpoint **found =
		bsearch(&at, index, n, sizeof(struct server_endpoint *), by_place);

	return found ? *found : NULL;
}

size_t server_n_found(const struct server *s, const struct ipvs_endpoint *found, size_t n)
{
	cleanup_free struct server_endpoint **index = index_of(s->list, s->n_there);
	size_t n_found = 0;

	for (size_t i = 0; i < n; i++)
		n_found += look_up(index, s->n_there, &found[i].endpoint) != NULL;
	return n_found;
}

static struct server_endpoint as_found(const struct ipvs_endpoint *f,
                                       const struct server_endpoint *known)
{
	bool rests = f->rewrites && f->weight == 0;

	return (struct server_endpoint){
		.at = f->endpoint,
		.wanted = known && known->wanted,
		.kept = known && known->kept,
		.there = true,
		.serves = f->rewrites && f->weight == 1,
		.rests = rests,
		.idle = f->active == 0 && f->idle == 0,
		.until_s = known && rests ? known->until_s : 0,
	};
}

static bool is_same(const struct server_endpoint *a, const struct server_endpoint *b)
{
	return compare(&a->at, &b->at) == 0 && a->serves == b->serves && a->rests == b->rests;
}

bool server_found(struct server *s, const struct ipvs_endpoint *found, size_t n)
{
	struct server_endpoint *old = s->list;
	size_t n_old = s->n, n_old_there = s->n_there;
	cleanup_free struct server_endpoint **index = index_of(old, n_old);
	bool same = n == n_old_there;

	s->list = NULL;
	s->n = s->cap = 0;
	s->idle = true;
	for (size_t i = 0; i < n; i++) {
		const struct ipvs_endpoint *f = &found[n - 1 - i];
		struct server_endpoint *known = look_up(index, n_old, &f->endpoint);
		struct server_endpoint *e = append(s, &f->endpoint);
		*e = as_found(f, known);
		s->idle = s->idle && e->idle;
		same = same && is_same(&old[i], e);
		if (known)
			known->wanted = known->kept = false; /* it has been taken over */
	}
	s->n_there = n;
	for (size_t i = 0; i < n_old; i++) {
		if (!is_named(&old[i]))
			continue;
		struct server_endpoint *e = append(s, &old[i].at);
		e->wanted = old[i].wanted;
		e->kept = old[i].kept;
	}
	free(old);
	fit(s);
	return same;
}

/* ---- what is to be done ---- */

static struct ipvs_operation *add(const struct server *s, struct server_operations *ops,
                                  enum ipvs_verb verb)
{
	ARRAY_RESERVE(ops->list, ops->cap, ops->n + 1);
	ops->list[ops->n] = (struct ipvs_operation){ .verb = verb, .id = s->id };
	return &ops->list[ops->n++];
}

static void add_server(struct server *s, struct server_operations *ops, enum ipvs_verb verb,
                       const char *scheduler)
{
	struct ipvs_operation *o = add(s, ops, verb);

	strcpy(o->scheduler, scheduler);
	o->flags = s->flags;
	strcpy(s->has_scheduler, scheduler);
	s->has_flags = s->flags;
	s->there = true;
}

static void add_endpoint(const struct server *s, struct server_operations *ops, enum ipvs_verb verb,
                         struct server_endpoint *e, uint32_t weight)
{
	struct ipvs_operation *o = add(s, ops, verb);

	o->endpoint = e->at;
	o->weight = weight;
	e->there = true;
	e->serves = weight > 0;
	e->rests = !e->serves;
	e->until_s = 0;
}

static bool is_unbound(const struct server *s)
{
	return !strcmp(s->has_scheduler, IPVS_SCHEDULER_NONE);
}

/*
 * It is made alone: if somebody else has one of this mark, nothing of ours must get into that.
 * Without a scheduler at first where that has a table, which is filled once, when all endpoints are
 * there, and not at each of them.
 */
static void plan_making(struct server *s, struct server_operations *ops)
{
	add_server(s, ops, IPVS_ADD_SERVER, s->hashes ? IPVS_SCHEDULER_NONE : s->scheduler);
}

static void plan_change(struct server *s, struct server_operations *ops)
{
	bool same = !strcmp(s->scheduler, s->has_scheduler) && s->flags == s->has_flags;

	if (!same && !(s->hashes && is_unbound(s)))
		add_server(s, ops, IPVS_CHANGE_SERVER, s->scheduler);
}

static void plan_binding(struct server *s, struct server_operations *ops)
{
	if (is_unbound(s))
		add_server(s, ops, IPVS_CHANGE_SERVER, s->scheduler);
}

/* The first so many of those that are wanted, sorted, stand in the kernel as they should. */
static size_t n_in_order(const struct server *s, struct server_endpoint **index)
{
	size_t k = 0;

	for (size_t i = 0; i < s->n_there; i++) {
		while (k < s->n && !index[k]->wanted)
			k++;
		if (k < s->n && index[k] == &s->list[i])
			k++;
	}
	return k;
}

static void put(struct server *s, struct server_operations *ops, struct server_endpoint *e,
                bool in_place)
{
	if (e->there && !in_place) {
		add_endpoint(s, ops, IPVS_REMOVE_ENDPOINT, e, 0);
		ops->list[ops->n - 1].moves = true;
		e->there = false;
	}
	if (!e->there)
		add_endpoint(s, ops, IPVS_ADD_ENDPOINT, e, 1);
	else if (!e->serves)
		add_endpoint(s, ops, IPVS_CHANGE_ENDPOINT, e, 1);
	e->until_s = 0;
}

/* Those that were put anew stand at the end, in the order in which they were. */
static void reorder(struct server *s, struct server_endpoint **index, size_t n_kept)
{
	struct server_endpoint *list = xmalloc((s->n + 1) * sizeof(*list));
	cleanup_free bool *moved = xcalloc(s->n + 1, sizeof(*moved));
	size_t n = 0;

	for (size_t k = n_kept; k < s->n; k++)
		if (index[k]->wanted)
			moved[index[k] - s->list] = true;
	for (size_t i = 0; i < s->n; i++)
		if (!moved[i] && s->list[i].there)
			list[n++] = s->list[i];
	for (size_t k = n_kept; k < s->n; k++)
		if (index[k]->wanted)
			list[n++] = *index[k];
	s->n_there = n;
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i].kept && !s->list[i].there)
			list[n++] = s->list[i];
	free(s->list);
	s->list = list;
	s->cap = s->n + 1;
	s->n = n;
	fit(s);
}

static void plan_in_order(struct server *s, struct server_operations *ops)
{
	cleanup_free struct server_endpoint **index = index_of(s->list, s->n);
	size_t n_kept = n_in_order(s, index);

	for (size_t k = 0; k < s->n; k++)
		if (index[k]->wanted)
			put(s, ops, index[k], k < n_kept);
	reorder(s, index, n_kept);
}

/* Those that are new there stand behind the others; what is only kept is not made. */
static void plan_in_any_order(struct server *s, struct server_operations *ops)
{
	for (size_t i = 0; i < s->n; i++) {
		size_t at = i < s->n_there ? i : s->n_there;
		if (!s->list[i].wanted)
			continue;
		struct server_endpoint e = s->list[i];
		s->list[i] = s->list[at];
		s->list[at] = e;
		put(s, ops, &s->list[at], true);
		s->n_there += at == s->n_there;
	}
}

static void plan_leaving(const struct server *s, uint32_t now_s, struct server_operations *ops,
                         struct server_endpoint *e)
{
	bool over = e->until_s && (e->idle || now_s >= e->until_s);

	if (!s->drains || over) {
		add_endpoint(s, ops, IPVS_REMOVE_ENDPOINT, e, 0);
		e->there = false;
		return;
	}
	if (!e->rests)
		add_endpoint(s, ops, IPVS_CHANGE_ENDPOINT, e, 0);
	if (e->until_s == 0) {
		e->until_s = now_s + s->grace_s;
		e->idle = false;
	}
}

static void plan_keeping(const struct server *s, struct server_operations *ops,
                         struct server_endpoint *e)
{
	if (e->there && !e->rests)
		add_endpoint(s, ops, IPVS_CHANGE_ENDPOINT, e, 0);
	e->until_s = 0;
}

static void plan_all_leaving(struct server *s, uint32_t now_s, struct server_operations *ops)
{
	size_t n = 0, n_there = 0;

	for (size_t i = 0; i < s->n; i++) {
		struct server_endpoint *e = &s->list[i];
		if (e->kept)
			plan_keeping(s, ops, e);
		else if (!e->wanted)
			plan_leaving(s, now_s, ops, e);
		n_there += e->there;
		if (e->there || e->kept)
			s->list[n++] = *e;
	}
	s->n = n;
	s->n_there = n_there;
}

/* Nothing leads to it any more, so its endpoints need no other weight. */
static void plan_removal(struct server *s, uint32_t now_s, struct server_operations *ops)
{
	if (!s->there)
		return;
	if (s->drains && s->n_there > 0 && s->until_s == 0) {
		s->until_s = now_s + s->grace_s;
		s->idle = false;
	}
	if (s->until_s && !s->idle && now_s < s->until_s)
		return;
	add(s, ops, IPVS_REMOVE_SERVER);
	server_lost(s);
}

void server_plan(struct server *s, uint32_t now_s, struct server_operations *ops)
{
	if (!s->wanted) {
		plan_removal(s, now_s, ops);
	} else if (!s->there) {
		plan_making(s, ops);
	} else {
		plan_change(s, ops);
		if (s->hashes)
			plan_in_order(s, ops);
		else
			plan_in_any_order(s, ops);
		plan_binding(s, ops);
		plan_all_leaving(s, now_s, ops);
	}
}

size_t server_n_draining(const struct server *s)
{
	size_t n = s->until_s > 0;

	for (size_t i = 0; i < s->n && s->wanted; i++)
		n += s->list[i].until_s > 0;
	return n;
}

bool server_is_draining(const struct server *s)
{
	return server_n_draining(s) > 0;
}

uint32_t server_over_s(const struct server *s)
{
	uint32_t first = s->until_s ? s->until_s : SERVER_FOREVER;

	/* If it goes as a whole, that its endpoints were drained before does not matter. */
	for (size_t i = 0; i < s->n && s->wanted; i++)
		if (s->list[i].until_s && s->list[i].until_s < first)
			first = s->list[i].until_s;
	return first;
}
