/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two tables: by Service, so that one pass touches only what belongs to that Service, and by
 * address (served.c), for what layer 2 reports.  decide_address() gives an address to one Service
 * at a time, or to several that share it, so only these stand together in the second.
 */
#include "config.h"

#include "speaker/announce.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "fairlead/decide.h"
#include "fairlead/hash.h"
#include "fairlead/mem.h"
#include "speaker/served.h"

struct holder {
	char *key;
	struct announcement *first;
	UT_hash_handle hh;
};

struct announce {
	announce_changed_cb *changed;
	void *arg;
	struct holder *holders;
	struct served *served;         /* by layer 2 */
	struct announcement *pending;  /* candidates that are not eligible yet */
	struct announcement *eligible; /* by BGP */
	size_t n_pending;
	size_t n_nowhere;
	uint64_t routes_revision, candidates_revision;
	uint64_t n_waits; /* how often a candidate began to wait */
	bool withdrawn;   /* a route, since announce_update() began */
};

struct announce *announce_new(announce_changed_cb *changed, void *arg)
{
	struct announce *t = xcalloc(1, sizeof(*t));

	t->changed = changed;
	t->arg = arg;
	t->served = served_new();
	return t;
}

/* ---- reasons ---- */

static enum reason final_reason(const struct announcement *a)
{
	if (a->decided != REASON_Candidate)
		return a->decided;
	if (!a->eligible)
		return a->hindrance == REASON_Candidate ? REASON_RulesPending : a->hindrance;
	if (a->protocol == PROTOCOL_BGP)
		return a->route;
	if (a->two_owners)
		return REASON_TwoOwners;
	switch (a->ownership) {
	case L2_IDLE:
	case L2_WAITING:
	case L2_PROBING:
		return REASON_Candidate;
	case L2_OWNER:
		return REASON_Announced;
	case L2_OTHER:
		return REASON_NotOwner;
	case L2_STILL_ANSWERED:
		return REASON_OwnerStillAnswers;
	case L2_CONFLICT:
		return REASON_AddressInUse;
	case L2_KERNEL_ANSWERS:
		return REASON_KernelAnswers;
	case L2_NO_INTERFACE:
		return REASON_NoInterface;
	case L2_NOT_SELECTED:
		return REASON_InterfaceNotSelected;
	}
	return REASON_Candidate;
}

/* Sets what follows from the rest, and reports any difference; @owner: the previous one. */
static void refresh(struct announce *t, struct announcement *a, const char *owner)
{
	enum reason old = a->reason;

	a->reason = final_reason(a);
	if (t->changed && (a->reason != old || strcmp(owner, a->owner) != 0))
		t->changed(a, old, owner, t->arg);
}

static bool is_pending(const struct announcement *a)
{
	return (a->candidates || a->protocol == PROTOCOL_BGP) && a->decided == REASON_Candidate &&
	       !a->eligible;
}

static void set_pending(struct announce *t, struct announcement *a, bool pending)
{
	if (a->pending == pending)
		return;
	a->pending = pending;
	if (pending) {
		DL_APPEND2(t->pending, a, pending_prev, pending_next);
		t->n_pending++;
	} else {
		DL_DELETE2(t->pending, a, pending_prev, pending_next);
		t->n_pending--;
	}
}

static bool may_have_route(const struct announcement *a)
{
	return a->protocol == PROTOCOL_BGP && a->decided == REASON_Candidate;
}

static void set_eligible(struct announce *t, struct announcement *a, bool eligible)
{
	if (a->eligible == eligible)
		return;
	a->eligible = eligible;
	if (a->protocol == PROTOCOL_LAYER2) {
		served_touch(t->served, a);
		return;
	}
	if (eligible)
		DL_APPEND2(t->eligible, a, eligible_prev, eligible_next);
	else
		DL_DELETE2(t->eligible, a, eligible_prev, eligible_next);
	a->route = REASON_BgpPending;
	t->routes_revision++;
	t->withdrawn |= !eligible;
}

/* ---- announcements ---- */

static void forget_state(struct announcement *a)
{
	a->ownership = L2_IDLE;
	a->two_owners = false;
	memset(a->mac, 0, sizeof(a->mac));
	a->interface[0] = '\0';
	a->owner[0] = a->former[0] = '\0';
	a->since_ms = 0;
	a->took_ms = -1;
	a->cause = REASON_COUNT;
}

static const struct served_nodes nobody;
static const struct l2_place anywhere = { "", "" };

/*
 * Adds the announcement to what layer 2 is to serve, with these candidates at that place, or takes
 * it out (nobody).
 */
static void set_candidates(struct announce *t, struct announcement *a,
                           const struct served_nodes *nodes, const struct l2_place *at, bool shared)
{
	if (!nodes->n) {
		if (!a->candidates)
			return;
		served_take_out(t->served, a);
		forget_state(a);
		return;
	}
	/*
	 * The Services that had the address have not been looked at yet in this turn: they will
	 * find it gone.
	 */
	for (struct announcement *other; !a->candidates && !shared;) {
		other = served_of(t->served, &a->addr);
		if (!other)
			break;
		set_candidates(t, other, &nobody, &anywhere, false);
		set_pending(t, other, is_pending(other));
	}
	served_put(t->served, a, nodes, at);
}

static void announcement_free(struct announce *t, struct announcement *a)
{
	set_pending(t, a, false);
	t->n_nowhere -= a->nowhere != REASON_Candidate;
	t->candidates_revision += may_have_route(a);
	set_candidates(t, a, &nobody, &anywhere, false);
	if (a->protocol == PROTOCOL_BGP)
		set_eligible(t, a, false);
	free(a->owner);
	free(a->former);
	free(a);
}

/* The nodes that may own the address by layer 2. */
static struct served_nodes candidate_nodes(const struct decision *d)
{
	size_t n;
	const struct view_node *nodes = view_nodes(d->view, &n);
	struct served_nodes out = { .nodes = xcalloc(n + 1, sizeof(*out.nodes)),
		                    .preferences = xcalloc(n + 1, sizeof(*out.preferences)) };

	for (size_t i = 0; i < n && i <= UINT16_MAX; i++)
		if (decide_node(d, nodes[i].name, PROTOCOL_LAYER2) == REASON_Candidate) {
			out.nodes[out.n] = (uint16_t)i;
			out.preferences[out.n++] = decide_preference(d, &nodes[i]);
		}
	return out;
}

static void served_nodes_fini(struct served_nodes *nodes)
{
	free(nodes->nodes);
	free(nodes->preferences);
}

/*
 * Where this node announces the address; where it does not, those of the other nodes, on which it
 * hears its owner and would follow.
 */
static void place(const struct decision *d, struct announcement *a, struct buf *interfaces,
                  struct buf *routed)
{
	const struct view_node *self = view_node_named(d->view, view_self(d->view));
	uint64_t here = self ? decide_layer2(d, self) : 0;

	a->preference = self ? decide_preference(d, self) : 0;
	if (!d->pool)
		return;
	config_pool_put_interfaces(d->pool, here ? here : d->layer2, interfaces);
	config_pool_put_routed(d->pool, here ? here : d->layer2, routed);
}

static void update_one(struct announce *t, const struct decision *d, struct announcement *a)
{
	const struct view_service *s = d->service;
	cleanup_free char *owner = xstrdup(a->owner);
	cleanup(served_nodes_fini) struct served_nodes nodes = { 0 };
	cleanup(buf_fini) struct buf interfaces = BUF_INIT, routed = BUF_INIT;
	const uint64_t advertisements = decide_advertisements(d, view_self(d->view));
	bool had_route = may_have_route(a), waited = a->pending;

	a->decided = decide_node(d, view_self(d->view), a->protocol);
	if (a->protocol == PROTOCOL_LAYER2 && d->reason == REASON_Candidate)
		nodes = candidate_nodes(d);
	if (memcmp(a->uid, s->uid, sizeof(a->uid)) || a->created_us != s->created_us) {
		/* Another Service with the same name: its rules are not the old one's. */
		memcpy(a->uid, s->uid, sizeof(a->uid));
		a->created_us = s->created_us;
		set_eligible(t, a, false);
		waited = false;
		if (a->candidates)
			served_resort(t->served, a);
	}
	place(d, a, &interfaces, &routed);
	const struct l2_place at = { buf_str(&interfaces), buf_str(&routed) };
	set_candidates(t, a, &nodes, &at, d->lead != NULL);
	if (a->decided != REASON_Candidate)
		set_eligible(t, a, false);
	if (a->eligible && a->protocol == PROTOCOL_BGP &&
	    (a->local != s->traffic.external_local || a->advertisements != advertisements))
		t->routes_revision++;
	a->local = s->traffic.external_local;
	a->advertisements = advertisements;
	t->candidates_revision += may_have_route(a) != had_route;
	set_pending(t, a, is_pending(a));
	if (a->pending && !waited)
		a->waits_since = ++t->n_waits;
	refresh(t, a, owner);
}

static struct holder *holder_get(struct announce *t, const char *key, bool make)
{
	struct holder *h;

	HASH_FIND(hh, t->holders, key, strlen(key), h);
	if (!h && make) {
		h = xcalloc(1, sizeof(*h));
		h->key = xstrdup(key);
		HASH_ADD_KEYPTR(hh, t->holders, h->key, strlen(h->key), h);
	}
	return h;
}

static struct announcement *take_out(struct announcement **list, const struct addr *addr,
                                     enum protocol protocol)
{
	for (; *list; list = &(*list)->next)
		if (addr_eq(&(*list)->addr, addr) && (*list)->protocol == protocol) {
			struct announcement *a = *list;
			*list = a->next;
			return a;
		}
	return NULL;
}

static struct announcement *announcement_new(const struct holder *h, const struct addr *addr,
                                             enum protocol protocol)
{
	struct announcement *a = xcalloc(1, sizeof(*a));

	a->key = h->key;
	a->addr = *addr;
	a->protocol = protocol;
	a->reason = REASON_COUNT; /* none said yet */
	a->hindrance = a->nowhere = REASON_Candidate;
	a->cause = REASON_COUNT;
	a->took_ms = -1;
	a->owner = xstrdup("");
	a->former = xstrdup("");
	return a;
}

static void set_nowhere(struct announce *t, struct announcement *a, enum reason nowhere)
{
	t->n_nowhere -= a->nowhere != REASON_Candidate;
	a->nowhere = nowhere;
	t->n_nowhere += nowhere != REASON_Candidate;
}

/* Decides about one address; moves its announcements from @old to the end of the new list. */
static struct announcement **update_address(struct announce *t, const struct decision *d,
                                            struct holder *h, struct announcement **old,
                                            struct announcement **end)
{
	static const enum protocol protocols[] = { PROTOCOL_LAYER2, PROTOCOL_BGP };
	const struct addr *addr = &d->address->addr;
	struct announcement *first = NULL;
	bool somewhere = false;

	for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
		if (!d->ours || !(d->protocols & protocols[i]))
			continue;
		struct announcement *a = take_out(old, addr, protocols[i]);
		if (!a)
			a = announcement_new(h, addr, protocols[i]);
		a->next = NULL;
		*end = a;
		end = &a->next;
		update_one(t, d, a);
		set_nowhere(t, a, REASON_Candidate);
		somewhere |= a->candidates || a->decided == REASON_Candidate;
		first = first ? first : a;
	}
	/* Usually we know by now that some node may, and need not check the nodes again. */
	if (first && !somewhere)
		set_nowhere(t, first, decide_nowhere(d));
	return end;
}

bool announce_update(struct announce *t, const struct view *v, const struct view_service *s)
{
	struct holder *h = holder_get(t, s->key, s->n_addresses > 0);
	struct announcement *old = h ? h->first : NULL, **end;

	if (!h)
		return false;
	t->withdrawn = false;
	h->first = NULL;
	end = &h->first;
	for (size_t i = 0; i < s->n_addresses; i++) {
		struct decision d = decide_address(v, s, &s->addresses[i].addr);
		end = update_address(t, &d, h, &old, end);
	}
	while (old) {
		struct announcement *next = old->next;
		announcement_free(t, old);
		old = next;
	}
	if (!h->first) {
		HASH_DEL(t->holders, h);
		free(h->key);
		free(h);
	}
	return t->withdrawn;
}

void announce_free(struct announce *t)
{
	struct holder *h, *next;

	if (!t)
		return;
	HASH_ITER(hh, t->holders, h, next) {
		for (struct announcement *a = h->first, *after; a; a = after) {
			after = a->next;
			announcement_free(t, a);
		}
		HASH_DEL(t->holders, h);
		free(h->key);
		free(h);
	}
	served_free(t->served);
	free(t);
}

size_t announce_n_nowhere(const struct announce *t)
{
	return t->n_nowhere;
}

void announce_settle(struct announce *t,
                     bool (*applied)(const char *key, uint8_t family, void *arg), void *arg)
{
	struct announcement *a, *next;

	DL_FOREACH_SAFE2(t->pending, a, next, pending_next)
	{
		if (a->hindrance != REASON_Candidate || !applied(a->key, a->addr.family, arg))
			continue;
		set_eligible(t, a, true);
		set_pending(t, a, false);
		refresh(t, a, a->owner);
	}
}

void announce_hinder(struct announce *t,
                     enum reason (*hindrance)(const struct announcement *a, void *arg), void *arg)
{
	for (struct holder *h = t->holders; h; h = h->hh.next)
		for (struct announcement *a = h->first; a; a = a->next) {
			a->hindrance = hindrance(a, arg);
			if (a->hindrance != REASON_Candidate)
				set_eligible(t, a, false);
			set_pending(t, a, is_pending(a));
			refresh(t, a, a->owner);
		}
}

static void take_state(struct announce *t, struct announcement *a, const struct l2_state *st)
{
	cleanup_free char *owner = TAKE(a->owner);

	a->owner = xstrndup(st->owner, sizeof(st->owner));
	a->ownership = st->ownership;
	a->since_ms = st->since_ms;
	a->cause = st->cause;
	a->took_ms = st->took_ms;
	memcpy(a->mac, st->mac, sizeof(a->mac));
	a->two_owners = st->two_owners;
	memcpy(a->rival, st->rival, sizeof(a->rival));
	memcpy(a->interface, st->interface, sizeof(a->interface));
	a->interface[sizeof(a->interface) - 1] = '\0';
	if (a->ownership == L2_OTHER) {
		free(a->former);
		a->former = xstrdup(a->owner);
	}
	refresh(t, a, owner);
	if (a->ownership == L2_OWNER)
		a->former[0] = '\0';
}

void announce_states(struct announce *t, const struct l2_state *states, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct l2_state *st = &states[i];
		for (struct announcement *a = served_of(t->served, &st->addr); a; a = a->beside)
			take_state(t, a, st);
	}
}

/* ---- routes ---- */

uint64_t announce_routes_revision(const struct announce *t)
{
	return t->routes_revision;
}

uint64_t announce_candidates_revision(const struct announce *t)
{
	return t->candidates_revision;
}

size_t announce_n_pending(const struct announce *t)
{
	return t->n_pending;
}

uint64_t announce_waits_since(const struct announce *t, const char *key)
{
	uint64_t last = 0;

	for (const struct announcement *a = announce_of(t, key); a; a = a->next)
		last = a->waits_since > last ? a->waits_since : last;
	return last;
}

void announce_routes(struct announce *t, enum reason (*reason_of)(const struct addr *a, void *arg),
                     void *arg)
{
	struct announcement *a;

	DL_FOREACH2(t->eligible, a, eligible_next)
	{
		a->route = reason_of(&a->addr, arg);
		refresh(t, a, a->owner);
	}
}

/* ---- reading ---- */

struct served *announce_served(const struct announce *t)
{
	return t->served;
}

const struct announcement *announce_of(const struct announce *t, const char *key)
{
	const struct holder *h;

	HASH_FIND(hh, t->holders, key, strlen(key), h);
	return h ? h->first : NULL;
}

bool announce_is_announced(const struct announcement *a)
{
	return a->reason == REASON_Announced || a->reason == REASON_NotOwner ||
	       a->reason == REASON_TwoOwners;
}

bool announce_has(const struct announce *t, const char *key, const struct addr *addr)
{
	for (const struct announcement *a = announce_of(t, key); a; a = a->next)
		if (addr_eq(&a->addr, addr) && announce_is_announced(a))
			return true;
	return false;
}

void announce_each(const struct announce *t, void (*fn)(const struct announcement *a, void *arg),
                   void *arg)
{
	for (const struct holder *h = t->holders; h; h = h->hh.next)
		for (const struct announcement *a = h->first; a; a = a->next)
			fn(a, arg);
}

void announce_count(const struct announce *t, size_t counts[static REASON_COUNT])
{
	memset(counts, 0, REASON_COUNT * sizeof(*counts));
	for (const struct holder *h = t->holders; h; h = h->hh.next)
		for (const struct announcement *a = h->first; a; a = a->next)
			counts[a->reason]++;
}
