/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In which order candidates come for what nobody holds: what spread.c has to know of claims and
 * peers, and what follows from it for one address.
 *
 * Entries are gathered by identity when the order is asked for, which is only while something is
 * without an owner; another view, and peers that come and go, have it forgotten.  What is claimed
 * and given up meanwhile is followed one by one: with thousands of addresses that pass from node to
 * node everything would otherwise be gathered once for each message.
 *
 * A peer that listens claims nothing, and so is given nothing.  Nor is a node that has just let go
 * of something nobody has taken yet: where it is being drained, some views have it as a candidate
 * still and others have not, and those that count it would find other bounds than those that do
 * not, each itself the first, and claim without asking.
 *
 * A node whose firewall refuses what would have to be forwarded says so, and is passed over: others
 * would otherwise wait for it in vain, for each new address.
 */
#include "config.h"

#include "claims/private.h"
#include "fairlead/spread.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

struct claims_order {
	bool known;       /* what follows holds, */
	int64_t until_ms; /* before that time */
	struct spread spread;
	uint16_t self; /* our place; that of nodes that the view lacks is the last */
	struct claims_entry **entries; /* by identity, then address */
	size_t n_entries, entries_cap;
	size_t *begins; /* of each item, where its entries begin; and the end */
	size_t begins_cap;
	uint16_t *missing; /* Nodes that are Ready, and no live peers */
	size_t n_missing, missing_cap;
	uint64_t gathered; /* entries that were gathered, ever */
};

void order_init(struct claims *c)
{
	c->order = xcalloc(1, sizeof(*c->order));
}

void order_fini(struct claims *c)
{
	spread_fini(&c->order->spread);
	free(c->order->entries);
	free(c->order->begins);
	free(c->order->missing);
	free(TAKE(c->order));
}

void order_forget(struct claims *c)
{
	c->order->known = false;
}

uint64_t order_steps(const struct claims *c)
{
	return c->order->gathered + c->order->spread.steps;
}

int node_index(const struct l2_snapshot *s, const char *name)
{
	size_t low = 0, high = s->n_nodes;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strcmp(s->nodes[mid], name);
		if (order == 0)
			return (int)mid;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return -1;
}

static bool is_live(const struct member_peer *p)
{
	return p->state == MEMBER_ALIVE && !(p->flags & WIRE_LISTENING);
}

static uint16_t place_of(const struct claims *c, int index)
{
	return index < 0 ? (uint16_t)c->view->n_nodes : (uint16_t)index;
}

/* ---- gathering ---- */

/* Notes that what is gathered now is to be gathered again then. */
static void holds_until(struct claims_order *o, int64_t at_ms)
{
	if (at_ms < o->until_ms)
		o->until_ms = at_ms;
}

/*
 * Who has had no news of the cluster for long may be given nothing, unless nobody has any: others
 * would soon overrule it.
 */
static void leave_out_stale(struct claims *c, int64_t now)
{
	struct spread_place *places = c->order->spread.places;
	bool any = c->view_fresh;

	for (size_t i = 0; i < c->member->n_slots; i++) {
		const struct member_peer *p = c->member->peers[i];
		if (!p || !is_live(p))
			continue;
		bool fresh = member_stale_ms(p, now) <= CLAIMS_STALE_MS;
		if (fresh && !(p->flags & WIRE_FRESH))
			holds_until(c->order, p->fresh_ms + CLAIMS_STALE_MS + 1);
		any |= fresh;
	}
	if (!any)
		return;
	if (!c->view_fresh)
		places[c->order->self].live = false;
	for (size_t i = 0; i < c->member->n_slots; i++) {
		const struct member_peer *p = c->member->peers[i];
		if (p && c->tables[i].node_index >= 0 && member_stale_ms(p, now) > CLAIMS_STALE_MS)
			places[c->tables[i].node_index].live = false;
	}
}

static void gather_places(struct claims *c, int64_t now)
{
	struct claims_order *o = c->order;
	struct spread *s = &o->spread;

	s->n_places = c->view->n_nodes + 1;
	ARRAY_RESERVE(s->places, s->places_cap, s->n_places);
	memset(s->places, 0, s->n_places * sizeof(*s->places));
	o->self = place_of(c, node_index(c->view, c->opts.node));
	s->places[o->self].name_hash = c->name_hash;
	s->places[o->self].live = true;
	s->places[o->self].refuses = claims_more(c) & WIRE_REFUSES;
	for (size_t i = 0; i < c->member->n_slots; i++) {
		const struct member_peer *p = c->member->peers[i];
		if (!p || c->tables[i].node_index < 0)
			continue;
		s->places[c->tables[i].node_index].name_hash = c->tables[i].name_hash;
		s->places[c->tables[i].node_index].live = is_live(p);
		s->places[c->tables[i].node_index].refuses = c->tables[i].refuses;
	}
	s->places[c->view->n_nodes].live = false;
	o->n_missing = 0;
	ARRAY_RESERVE(o->missing, o->missing_cap, s->n_places);
	for (size_t i = 0; c->view->awaited && i < c->view->n_nodes; i++)
		if (c->view->awaited[i] && !s->places[i].live)
			o->missing[o->n_missing++] = (uint16_t)i;
	leave_out_stale(c, now);
	holds_until(o, untaken_apply(c, now, s));
}

static int by_identity(const void *a, const void *b)
{
	const struct claims_entry *x = *(struct claims_entry *const *)a;
	const struct claims_entry *y = *(struct claims_entry *const *)b;
	int order = identity_order(&x->want->identity, &y->want->identity);

	return order ? order : addr_cmp(&x->addr, &y->addr);
}

/* Where the entry's claim in force is, for whom it is wanted; SPREAD_NOWHERE if there is none. */
static uint16_t holder_of(const struct claims *c, const struct claims_entry *e, int64_t now,
                          const struct claims_held *rival)
{
	if (e->claimed)
		return e->offered_until_ms ? SPREAD_NOWHERE : c->order->self;
	if (!rival || !same_identity(e->want, &rival->claim) || is_offered(rival, now))
		return SPREAD_NOWHERE;
	return place_of(c, c->tables[rival->peer->slot].node_index);
}

/* The place of the owner that hands it over to a certain other one; SPREAD_NOWHERE: none does. */
static uint16_t going_from(const struct claims *c, const struct claims_entry *e, int64_t now,
                           const struct claims_held *rival)
{
	if (e->claimed)
		return e->moves ? c->order->self : SPREAD_NOWHERE;
	if (!rival || !rival->moves || !is_offered(rival, now) ||
	    !same_identity(e->want, &rival->claim))
		return SPREAD_NOWHERE;
	return place_of(c, c->tables[rival->peer->slot].node_index);
}

/*
 * The place of a node that offers the entry, or let go of it a moment ago; SPREAD_NOWHERE if none.
 */
static uint16_t let_go_at(const struct claims *c, const struct claims_entry *e, int64_t now,
                          const struct claims_held *rival)
{
	if (e->goes_from != SPREAD_NOWHERE)
		return SPREAD_NOWHERE;
	if (now < e->let_go_until_ms || e->offered_until_ms)
		return c->order->self;
	if (rival && is_offered(rival, now))
		return place_of(c, c->tables[rival->peer->slot].node_index);
	if (has_just_let_go(e, e->yielder, now))
		return place_of(c, c->tables[e->yielder].node_index);
	return SPREAD_NOWHERE;
}

static void gather_entries(struct claims *c, int64_t now)
{
	struct claims_order *o = c->order;
	size_t n = 0;

	ARRAY_RESERVE(o->entries, o->entries_cap, HASH_COUNT(c->entries));
	for (struct claims_entry *e = c->entries; e; e = e->hh.next) {
		if (!e->want)
			continue;
		const struct claims_held *rival = best_rival(c, e);
		e->held_at = holder_of(c, e, now, rival);
		e->goes_from = going_from(c, e, now, rival);
		if (e->goes_from != SPREAD_NOWHERE)
			holds_until(o, e->claimed ? e->offered_until_ms : rival->offered_until_ms);
		o->entries[n++] = e;
		o->gathered++;
		uint16_t let_go = let_go_at(c, e, now, rival);
		if (e->held_at != SPREAD_NOWHERE || let_go == SPREAD_NOWHERE)
			continue;
		o->spread.places[let_go].live = false;
		holds_until(o, now + CLAIMS_YIELDED_MS);
	}
	if (n > 1)
		qsort(o->entries, n, sizeof(struct claims_entry *), by_identity);
	o->n_entries = n;
}

/*
 * Where the item's entries are held; where several are, preferably there.  SPREAD_NOWHERE: none is.
 */
static uint16_t held_at(const struct claims_order *o, size_t item, uint16_t preferred)
{
	const struct spread_item *it = &o->spread.items[item];
	uint16_t at = SPREAD_NOWHERE;

	for (size_t i = o->begins[item]; i < o->begins[item + 1]; i++) {
		uint16_t held = o->entries[i]->held_at;
		if (it->goes && held == it->from)
			continue;
		if (held != SPREAD_NOWHERE && (at == SPREAD_NOWHERE || held == preferred))
			at = held;
	}
	return at;
}

static void gather_items(struct claims *c)
{
	struct claims_order *o = c->order;
	struct spread *s = &o->spread;

	s->n_items = 0;
	ARRAY_RESERVE(s->items, s->items_cap, o->n_entries);
	ARRAY_RESERVE(o->begins, o->begins_cap, o->n_entries + 1);
	for (size_t i = 0; i < o->n_entries; i++) {
		const struct l2_want *w = o->entries[i]->want;
		if (i == 0 || !identity_eq(&w->identity, &o->entries[i - 1]->want->identity)) {
			o->begins[s->n_items] = i;
			s->items[s->n_items++] = (struct spread_item){
				.identity = &w->identity,
				.candidates = w->candidates,
				.n_candidates = w->n_candidates,
				.preferences = w->preferences,
			};
		}
		o->entries[i]->item = s->n_items - 1;
		struct spread_item *item = &s->items[s->n_items - 1];
		item->families |= o->entries[i]->addr.family == 4 ? WIRE_REFUSES_4 : WIRE_REFUSES_6;
		if (o->entries[i]->goes_from != SPREAD_NOWHERE) {
			item->goes = true;
			item->from = o->entries[i]->goes_from;
		}
	}
	o->begins[s->n_items] = o->n_entries;
	for (size_t i = 0; i < s->n_items; i++) {
		s->items[i].at = held_at(o, i, SPREAD_NOWHERE);
		s->items[i].held = s->items[i].at != SPREAD_NOWHERE;
	}
}

static void find_order(struct claims *c, int64_t now)
{
	if (c->order->known && now < c->order->until_ms)
		return;
	c->order->until_ms = CLAIMS_NEVER;
	gather_places(c, now);
	gather_entries(c, now);
	gather_items(c);
	spread_all(&c->order->spread);
	c->order->known = true;
}

/* ---- what follows ---- */

void order_follow(struct claims *c, int64_t now, struct claims_entry *e,
                  const struct claims_held *rival)
{
	struct claims_order *o = c->order;

	if (!o->known || !e->want)
		return;
	if (going_from(c, e, now, rival) != e->goes_from) {
		order_forget(c);
		return;
	}
	uint16_t before = e->held_at;
	e->held_at = holder_of(c, e, now, rival);
	if (e->held_at == before)
		return;
	struct spread_item *item = &o->spread.items[e->item];
	uint16_t at = held_at(o, e->item, item->at);
	if (at != SPREAD_NOWHERE) {
		spread_hold(&o->spread, item, at);
	} else if (item->held) {
		uint16_t let_go = let_go_at(c, e, now, rival);
		if (let_go != SPREAD_NOWHERE && o->spread.places[let_go].live)
			order_forget(c); /* once: then it is not live */
		else
			spread_release(&o->spread, item);
	}
}

bool order_lacks_nodes(struct claims *c, int64_t now)
{
	if (!c->view)
		return false;
	find_order(c, now);
	return c->order->n_missing > 0;
}

bool order_awaits(struct claims *c, int64_t now, const struct claims_entry *e)
{
	find_order(c, now);
	for (size_t i = 0; i < c->order->n_missing; i++)
		if (is_candidate(e->want, c->order->missing[i]))
			return true;
	return false;
}

/* A speaker of version 1 claims IPv4 addresses only. */
static bool can_claim(const struct member_peer *p, const struct claims_entry *e)
{
	return p->version != 1 || e->addr.family == 4;
}

bool order_has_heir(const struct claims *c, const struct claims_entry *e)
{
	for (size_t i = 0; i < c->member->n_slots; i++) {
		const struct member_peer *p = c->member->peers[i];
		if (p && is_live(p) && is_candidate(e->want, c->tables[i].node_index) &&
		    can_claim(p, e))
			return true;
	}
	return false;
}

/*
 * By whom the address is for: those of one Service, in both families, go to one node.  Speakers of
 * version 1 go by the address, and everybody does while there may be one: two orders would have two
 * nodes first.
 */
static uint64_t weight(const struct claims_entry *e, uint64_t name_hash, bool v1)
{
	return v1 ? score(&e->addr, name_hash) : spread_weight(&e->want->identity, name_hash);
}

/*
 * Those that may be given something come first, of these the preferred ones, and among equals those
 * of greater weight; for speakers of version 1 weight alone counts.
 */
static bool goes_before(const struct claims *c, const struct claims_entry *e,
                        const struct claims_table *t, bool v1, uint64_t own_weight)
{
	const struct spread *s = &c->order->spread;
	const struct l2_want *w = e->want;
	bool live = spread_may_have(s, &s->items[e->item], (uint16_t)t->node_index);
	uint32_t theirs = w->preferences ? w->preferences[position(w, t->node_index)] : 0;

	if (!v1 && live != spread_may_have(s, &s->items[e->item], c->order->self))
		return live;
	if (!v1 && theirs != w->preference)
		return theirs > w->preference;
	return weight(e, t->name_hash, v1) > own_weight;
}

size_t rank(struct claims *c, int64_t now, const struct claims_entry *e)
{
	bool v1 = member_knows_v1(c->member, now);
	size_t before = 0;

	find_order(c, now);
	uint16_t first = v1 ? SPREAD_NOWHERE : c->order->spread.items[e->item].at;
	if (first == c->order->self)
		return 0;
	uint64_t own_weight = weight(e, c->name_hash, v1);
	for (size_t i = 0; i < c->member->n_slots; i++) {
		const struct member_peer *p = c->member->peers[i];
		const struct claims_table *t = &c->tables[i];
		if (!p || !is_live(p) || t->node_index < 0 ||
		    !is_candidate(e->want, t->node_index) || !can_claim(p, e) ||
		    has_just_let_go(e, (uint16_t)i, now))
			continue;
		before += t->node_index == first || goes_before(c, e, t, v1, own_weight);
	}
	return before;
}

/* ---- what goes from one to another ---- */

uint64_t order_goes_to(struct claims *c, int64_t now, const struct claims_entry *e)
{
	find_order(c, now);
	const struct spread_item *item = &c->order->spread.items[e->item];

	return item->goes && item->at != SPREAD_NOWHERE
	               ? c->order->spread.places[item->at].name_hash
	               : 0;
}

bool order_goes_to_us(struct claims *c, int64_t now, const struct claims_entry *e)
{
	struct claims_order *o = c->order;

	if (order_goes_to(c, now, e) != c->name_hash)
		return false;
	for (size_t i = o->begins[e->item]; i < o->begins[e->item + 1]; i++)
		if (!entitled(o->entries[i]))
			return false;
	return true;
}

static bool is_weak(const struct claims *c, const struct claims_entry *e)
{
	const struct claims_held *rival = e->claimed ? NULL : best_rival(c, e);

	return (rival ? rival->claim.flags : e->own.flags) & WIRE_CLAIM_WEAK;
}

/* All of it is owned at one place, and nobody else may have it. */
static bool is_whole(const struct claims *c, size_t item)
{
	const struct claims_order *o = c->order;

	for (size_t i = o->begins[item]; i < o->begins[item + 1]; i++)
		if (o->entries[i]->held_at != o->spread.items[item].at || is_weak(c, o->entries[i]))
			return false;
	return true;
}

/* Something goes from one to another, or has no owner though somebody is there that may be. */
static bool lacks_owners(const struct claims_order *o)
{
	for (size_t i = 0; i < o->n_entries; i++)
		if (o->entries[i]->held_at == SPREAD_NOWHERE &&
		    o->spread.items[o->entries[i]->item].n_live > 0)
			return true;
	return false;
}

bool order_next_move(struct claims *c, int64_t now, const struct identity *after,
                     struct order_move *ret_move)
{
	struct claims_order *o = c->order;
	struct spread_move m;

	if (!c->view)
		return false;
	find_order(c, now);
	*ret_move = (struct order_move){ .from = -1 };
	if (lacks_owners(o))
		return true;
	for (size_t i = 0; i < c->member->n_slots; i++)
		if (c->member->peers[i] && c->tables[i].node_index >= 0)
			o->spread.places[c->tables[i].node_index].idle =
				now < c->tables[i].idle_until_ms;
	for (size_t i = 0; i < o->spread.n_items; i++)
		o->spread.items[i].stays = !is_whole(c, i);
	if (!spread_next(&o->spread, after, &m))
		return false;
	size_t begin = o->begins[m.item];
	*ret_move = (struct order_move){ .entries = m.from == o->self ? o->entries + begin : NULL,
		                         .n = o->begins[m.item + 1] - begin,
		                         .from = m.from,
		                         .name_hash = o->spread.places[m.to].name_hash };
	return true;
}
