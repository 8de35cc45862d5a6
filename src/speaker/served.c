/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "speaker/served.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/hash.h"
#include "fairlead/mem.h"
#include "fairlead/seniority.h"

/* The sets of candidate nodes repeat (usually "all of them"), so equal ones are shared. */
struct node_set {
	struct want_arrays arrays; /* first: with the set itself, those who keep it */
	UT_hash_handle hh;
	unsigned int refs;
	size_t n;
	bool prefers;    /* some preference is not 0 */
	uint32_t data[]; /* n preferences, then n nodes of 16 bits: the key */
};

/* So are the places, of which there are as many as ways in which entries of pools combine. */
struct place_text {
	UT_hash_handle hh;
	unsigned int refs;
	uint16_t number; /* in the snapshot in the making */
	size_t routed_at;
	char text[]; /* as in l2_place: interfaces, NUL, routed at routed_at */
};

/*
 * Whom an address is for, as the nodes tell it apart, is the oldest Service that has it.  Where
 * that one goes, or an older one comes, the nodes hear of it one after the other, and one that
 * thinks it is for a younger Service than the owner does would take it over.  So who would
 * otherwise take it, or have it taken, waits for the others: for this long.
 */
#define PATIENCE_MS 3000

/* An address, with all that share it. */
struct served_address {
	struct addr addr;
	struct announcement *first;
	struct identity identity; /* as it was published last */
	bool published, was_shared;
	int64_t other_since_ms; /* since when it should be another one; 0: it should not */
	uint64_t added;
	size_t changed; /* its place among those that have, from 1; 0: it has not */
	UT_hash_handle hh;
};

struct served {
	struct served_address *list;
	struct node_set *sets;
	struct place_text *places;
	struct want_map wants; /* as of the last snapshot, but for what is gone */
	/* To be looked at for the next one, those whose identity waits among them. */
	struct served_address **changed;
	size_t n_changed, changed_cap;
	bool dirty;        /* some address is gone */
	bool renumber;     /* the places are others */
	uint64_t n_added;  /* addresses, ever */
	uint64_t revision; /* of the view, at the last snapshot */
};

struct served *served_new(void)
{
	return xcalloc(1, sizeof(struct served));
}

void served_free(struct served *w)
{
	want_map_fini(&w->wants);
	free(w->changed);
	free(w);
}

/* ---- what has changed ---- */

static void mark(struct served *w, struct served_address *x)
{
	if (x->changed)
		return;
	ARRAY_RESERVE(w->changed, w->changed_cap, w->n_changed + 1);
	w->changed[w->n_changed++] = x;
	x->changed = w->n_changed;
}

static void unmark(struct served *w, struct served_address *x)
{
	if (!x->changed)
		return;
	struct served_address *last = w->changed[--w->n_changed];
	w->changed[x->changed - 1] = last;
	last->changed = x->changed;
	x->changed = 0;
}

/* ---- which addresses, and who may own them ---- */

static struct node_set *set_new(const struct served_nodes *nodes, size_t size)
{
	struct node_set *set = xcalloc(1, sizeof(*set) + size);

	set->arrays.refs = 1;
	set->n = nodes->n;
	memcpy(set->data, nodes->preferences, nodes->n * sizeof(*nodes->preferences));
	memcpy(set->data + nodes->n, nodes->nodes, nodes->n * sizeof(*nodes->nodes));
	for (size_t i = 0; i < nodes->n; i++)
		set->prefers |= nodes->preferences[i] > 0;
	return set;
}

static const uint16_t *set_nodes(const struct node_set *set)
{
	return (const uint16_t *)(set->data + set->n);
}

static struct node_set *set_get(struct served *w, const struct served_nodes *nodes)
{
	size_t size = nodes->n * (sizeof(*nodes->preferences) + sizeof(*nodes->nodes));
	struct node_set *fresh = set_new(nodes, size), *set;

	HASH_FIND(hh, w->sets, fresh->data, size, set);
	if (!set) {
		set = TAKE(fresh);
		HASH_ADD_KEYPTR(hh, w->sets, set->data, size, set);
	}
	free(fresh);
	set->refs++;
	return set;
}

static void set_drop(struct served *w, struct node_set *set)
{
	if (!set || --set->refs)
		return;
	HASH_DEL(w->sets, set);
	want_arrays_unref(&set->arrays);
}

static struct place_text *place_new(const struct l2_place *place, size_t *ret_size)
{
	size_t size = strlen(place->interfaces) + 1, routed_size = strlen(place->routed) + 1;
	struct place_text *p = xcalloc(1, sizeof(*p) + size + routed_size);

	p->routed_at = size;
	memcpy(p->text, place->interfaces, size);
	memcpy(p->text + size, place->routed, routed_size);
	*ret_size = size + routed_size;
	return p;
}

static bool is_anywhere(const struct l2_place *place)
{
	return !*place->interfaces && !*place->routed;
}

/* NULL for any interface. */
static struct place_text *place_get(struct served *w, const struct l2_place *place)
{
	struct place_text *fresh, *p;
	size_t size;

	if (is_anywhere(place))
		return NULL;
	fresh = place_new(place, &size);
	HASH_FIND(hh, w->places, fresh->text, size, p);
	if (!p) {
		p = TAKE(fresh);
		HASH_ADD_KEYPTR(hh, w->places, p->text, size, p);
		w->renumber = true;
	}
	free(fresh);
	p->refs++;
	return p;
}

static void place_drop(struct served *w, struct place_text *p)
{
	if (!p || --p->refs)
		return;
	HASH_DEL(w->places, p);
	w->renumber = true;
	free(p);
}

static struct served_address *find(const struct served *w, const struct addr *addr)
{
	struct served_address *x;

	HASH_FIND(hh, w->list, addr, sizeof(*addr), x);
	return x;
}

struct announcement *served_of(const struct served *w, const struct addr *addr)
{
	const struct served_address *x = find(w, addr);

	return x ? x->first : NULL;
}

static bool is_older(const struct announcement *a, const struct announcement *b)
{
	const struct seniority one = seniority_of(a->created_us, a->key);
	const struct seniority another = seniority_of(b->created_us, b->key);

	return seniority_cmp(&one, &another) < 0;
}

/* What layer 2 said of the address holds for each that shares it. */
static void copy_state(struct announcement *to, const struct announcement *from)
{
	to->ownership = from->ownership;
	to->since_ms = from->since_ms;
	to->cause = from->cause;
	to->took_ms = from->took_ms;
	memcpy(to->mac, from->mac, sizeof(to->mac));
	to->two_owners = from->two_owners;
	memcpy(to->rival, from->rival, sizeof(to->rival));
	memcpy(to->interface, from->interface, sizeof(to->interface));
	free(to->owner);
	to->owner = xstrdup(from->owner);
}

static void put_in_order(struct served_address *x, struct announcement *a)
{
	struct announcement **at;

	for (at = &x->first; *at && is_older(*at, a); at = &(*at)->beside)
		;
	a->beside = *at;
	*at = a;
}

/* The place of @a among those of its address. */
static struct announcement **place_of(struct served_address *x, const struct announcement *a)
{
	struct announcement **at = &x->first;

	while (*at != a)
		at = &(*at)->beside;
	return at;
}

static void add(struct served *w, struct announcement *a)
{
	struct served_address *x = find(w, &a->addr);

	if (x) {
		copy_state(a, x->first);
	} else {
		x = xcalloc(1, sizeof(*x));
		x->addr = a->addr;
		x->added = ++w->n_added;
		HASH_ADD(hh, w->list, addr, sizeof(x->addr), x);
	}
	put_in_order(x, a);
	mark(w, x);
}

void served_resort(struct served *w, struct announcement *a)
{
	struct served_address *x = find(w, &a->addr);

	*place_of(x, a) = TAKE(a->beside);
	put_in_order(x, a);
	mark(w, x);
}

static void take_out(struct served *w, struct announcement *a)
{
	struct served_address *x = find(w, &a->addr);

	*place_of(x, a) = TAKE(a->beside);
	if (x->first) {
		mark(w, x);
		return;
	}
	unmark(w, x);
	w->dirty |= want_map_remove(&w->wants, &x->addr);
	HASH_DEL(w->list, x);
	free(x);
}

void served_put(struct served *w, struct announcement *a, const struct served_nodes *nodes,
                const struct l2_place *at)
{
	struct node_set *old = a->candidates;
	struct place_text *place = a->place;

	a->candidates = set_get(w, nodes);
	a->place = place_get(w, at);
	if (!old)
		add(w, a);
	if (a->candidates != old || a->place != place)
		mark(w, find(w, &a->addr));
	set_drop(w, old);
	place_drop(w, place);
}

void served_take_out(struct served *w, struct announcement *a)
{
	take_out(w, a);
	set_drop(w, TAKE(a->candidates));
	place_drop(w, TAKE(a->place));
}

void served_touch(struct served *w, const struct announcement *a)
{
	if (a->candidates)
		mark(w, find(w, &a->addr));
}

/* ---- snapshots ---- */

bool served_is_dirty(const struct served *w, const struct view *v)
{
	/* Candidates are indexes: equal ones may stand for other nodes. */
	return w->dirty || w->n_changed > 0 || w->renumber || w->revision != view_revision(v);
}

static void add_place(struct served_snapshot *s, const char *interfaces, const char *routed)
{
	s->places[s->l2.n_places++] =
		(struct l2_place){ .interfaces = interfaces, .routed = routed };
}

/* Numbers them from 1; a snapshot has room for one more for each pool, retained ones too. */
static void add_places(const struct served *w, size_t n_pools, struct served_snapshot *s)
{
	s->places = xcalloc(HASH_COUNT(w->places) + n_pools + 1, sizeof(*s->places));
	s->texts = xcalloc(2 * n_pools + 1, sizeof(*s->texts));
	s->n_texts = 2 * n_pools;
	for (struct place_text *p = w->places; p; p = p->hh.next) {
		add_place(s, p->text, p->text + p->routed_at);
		p->number = (uint16_t)s->l2.n_places;
	}
}

/*
 * Where a pool is announced from this node, for any Service; where it is not, by the entries for
 * other nodes, so that this one is there when it is to be.
 */
static uint16_t place_of_pool(const struct config_pool *p, const struct view *v, size_t i,
                              struct served_snapshot *s)
{
	const struct view_node *self = view_node_named(v, view_self(v));
	static const struct labels none = { 0 };
	struct buf interfaces = BUF_INIT, routed = BUF_INIT;
	uint64_t here =
		config_pool_layer2_for_node(p, CONFIG_LAYER2_ALL, self ? &self->labels : &none);

	config_pool_put_interfaces(p, here ? here : CONFIG_LAYER2_ALL, &interfaces);
	config_pool_put_routed(p, here ? here : CONFIG_LAYER2_ALL, &routed);
	buf_puts(&interfaces, "");
	buf_puts(&routed, "");
	const struct l2_place at = { s->texts[2 * i] = buf_take(&interfaces),
		                     s->texts[2 * i + 1] = buf_take(&routed) };
	if (is_anywhere(&at))
		return 0;
	for (size_t k = 0; k < s->l2.n_places; k++)
		if (!strcmp(s->places[k].interfaces, at.interfaces) &&
		    !strcmp(s->places[k].routed, at.routed))
			return (uint16_t)(k + 1);
	add_place(s, at.interfaces, at.routed);
	return (uint16_t)s->l2.n_places;
}

static void add_ranges(struct served_snapshot *s, const struct addr_range *ranges, size_t n,
                       uint16_t place)
{
	for (size_t i = 0; i < n; i++)
		s->ranges[s->l2.n_ranges++] = (struct l2_range){ ranges[i], place };
}

/* The pools of layer 2, and where retained addresses are and hand-written external IPs may be. */
static void add_layer2_ranges(const struct view *v, struct served_snapshot *s)
{
	const struct configuration *c = view_configuration(v);

	s->ranges =
		xcalloc((c ? c->n_index + c->n_retained_index + c->n_external_ips_allow : 0) + 1,
	                sizeof(*s->ranges));
	for (size_t i = 0; c && i < c->n_pools; i++) {
		const struct config_pool *p = &c->pools[i];
		if (p->protocols & PROTOCOL_LAYER2)
			add_ranges(s, p->ranges, p->n_ranges, place_of_pool(p, v, i, s));
	}
	for (size_t i = 0; c && i < c->n_retained; i++)
		if (c->retained[i].protocols & PROTOCOL_LAYER2)
			add_ranges(s, c->retained[i].ranges, c->retained[i].n_ranges,
			           place_of_pool(&c->retained[i], v, c->n_pools + i, s));
	if (c)
		add_ranges(s, c->external_ips_allow, c->n_external_ips_allow, 0);
}

struct l2_timing served_timing(const struct configuration *c)
{
	struct config_layer2_timing t =
		c ? c->layer2_timing : config_failover_timing(FAILOVER_NORMAL);

	return (struct l2_timing){ t.heartbeat_ms, t.multiplier, t.probe_ms };
}

static struct identity identity_of(const struct announcement *a)
{
	struct identity id = { .since_us = a->created_us };

	memcpy(id.id, a->uid, sizeof(id.id));
	return id;
}

/* False if it waits. */
static bool update_identity(struct served_address *x, int64_t now_ms)
{
	const struct identity now = identity_of(x->first);
	int order = identity_order(&now, &x->identity);
	bool shared = x->first->beside || x->was_shared || x->other_since_ms;
	bool waits = shared && (order > 0) != (x->first->ownership == L2_OWNER);

	x->was_shared = x->first->beside;
	if (!x->published || order == 0 || !waits ||
	    (x->other_since_ms && now_ms - x->other_since_ms >= PATIENCE_MS)) {
		x->identity = now;
		x->published = true;
		x->other_since_ms = 0;
		return true;
	}
	if (!x->other_since_ms)
		x->other_since_ms = now_ms;
	return false;
}

/* Where Services share it, the nodes of each are among those of one of them (decide.h). */
static void put_want(struct served *w, const struct served_address *x)
{
	const struct announcement *most = x->first;
	struct l2_want want = { .addr = x->addr, .identity = x->identity, .added = x->added };

	for (const struct announcement *a = x->first; a; a = a->beside) {
		want.eligible |= a->eligible;
		if (a->candidates->n > most->candidates->n)
			most = a;
	}
	want.candidates = set_nodes(most->candidates);
	want.preferences = most->candidates->prefers ? most->candidates->data : NULL;
	want.preference = most->preference;
	want.n_candidates = most->candidates->n;
	want.place = most->place ? most->place->number : 0;
	want_map_put(&w->wants, &want, &most->candidates->arrays);
}

/* Those that have changed; whose identity waits is looked at again the next time. */
static void update_wants(struct served *w, int64_t now_ms)
{
	for (size_t i = w->n_changed; i-- > 0;) {
		struct served_address *x = w->changed[i];
		if (update_identity(x, now_ms))
			unmark(w, x);
		put_want(w, x);
	}
}

void served_snapshot(struct served *w, const struct view *v, bool view_fresh, int64_t now_ms,
                     struct served_snapshot *ret)
{
	struct served_snapshot s = { .l2.view_fresh = view_fresh };
	const struct configuration *c = view_configuration(v);
	const struct view_node *nodes = view_nodes(v, &s.l2.n_nodes);

	s.nodes = xcalloc(s.l2.n_nodes + 1, sizeof(*s.nodes));
	s.awaited = xcalloc(s.l2.n_nodes + 1, sizeof(*s.awaited));
	for (size_t i = 0; i < s.l2.n_nodes; i++) {
		s.nodes[i] = nodes[i].name;
		s.awaited[i] = nodes[i].ready;
	}
	add_places(w, c ? c->n_pools + c->n_retained : 0, &s);
	if (w->renumber || w->revision != view_revision(v))
		for (struct served_address *x = w->list; x; x = x->hh.next)
			mark(w, x);
	update_wants(w, now_ms);
	s.wants = &w->wants;
	add_layer2_ranges(v, &s);
	s.l2.timing = served_timing(c);
	s.l2.rebalance.per_minute = c ? c->rebalance.per_minute : 0;
	s.l2.nodes = s.nodes;
	s.l2.awaited = s.awaited;
	s.l2.ranges = s.ranges;
	s.l2.places = s.places;
	w->dirty = w->renumber = false;
	w->revision = view_revision(v);
	*ret = s;
}

void served_snapshot_fini(struct served_snapshot *s)
{
	free(s->nodes);
	free(s->awaited);
	free(s->ranges);
	free(s->places);
	for (char **text = s->texts; text && text < s->texts + s->n_texts; text++)
		free(*text);
	free(s->texts);
	*s = (struct served_snapshot){ 0 };
}
