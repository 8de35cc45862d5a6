/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `fairlead rebalance` would have speakers do: from what each tells of its own part, by the
 * rule that they go by (spread.h).  What they alone know is left out: which of them is about to
 * come or go, what else is wrong on the segment, where somebody else may have an address, and what
 * was offered and not taken.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/model_private.h"
#include "cli/verdict.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"
#include "fairlead/seniority.h"
#include "fairlead/spread.h"

/* An address with its nodes, each by its interface: a place. */
struct stand {
	const struct model_service *service;
	const struct model_address *address;
	uint16_t owner; /* SPREAD_NOWHERE: none */
	uint16_t *places;
	uint32_t *preferences;
	size_t n;
};

struct place_name {
	const char *node, *interface;
};

struct scales {
	struct place_name *names;
	size_t n_names, names_cap;
	struct stand *stands; /* by address; then in the order of the items */
	size_t n, cap;
	size_t *begins; /* of each item, among the stands */
	struct spread spread;
	bool lacks; /* some address has no owner, though nodes may own it */
};

static void scales_fini(struct scales *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->stands[i].places);
		free(s->stands[i].preferences);
	}
	free(s->stands);
	free(s->begins);
	free(s->names);
	spread_fini(&s->spread);
}

/* ---- what the speakers tell ---- */

static uint16_t place_of(struct scales *s, const struct verdict *d)
{
	for (size_t i = 0; i < s->n_names; i++)
		if (!strcmp(s->names[i].node, d->node) &&
		    !strcmp(s->names[i].interface, d->interface))
			return (uint16_t)i;
	ARRAY_RESERVE(s->names, s->names_cap, s->n_names + 1);
	s->names[s->n_names] = (struct place_name){ d->node, d->interface };
	return (uint16_t)s->n_names++;
}

static void add(struct scales *s, const struct model_service *service,
                const struct model_address *a)
{
	struct stand x = { .service = service, .address = a, .owner = SPREAD_NOWHERE };

	x.places = xcalloc(a->n_verdicts + 1, sizeof(*x.places));
	x.preferences = xcalloc(a->n_verdicts + 1, sizeof(*x.preferences));
	for (size_t i = 0; i < a->n_verdicts; i++) {
		const struct verdict *d = &a->verdicts[i];
		if (!model_may_own(d) || !*d->interface)
			continue;
		uint16_t place = place_of(s, d);
		x.places[x.n] = place;
		x.preferences[x.n++] = (uint32_t)d->preference;
		if (d->announce)
			x.owner = place;
	}
	s->lacks |= x.n > 0 && x.owner == SPREAD_NOWHERE;
	ARRAY_RESERVE(s->stands, s->cap, s->n + 1);
	s->stands[s->n++] = x;
}

static int by_address(const void *a, const void *b)
{
	const struct stand *x = a, *y = b;
	int order = addr_cmp(&x->address->address.addr, &y->address->address.addr);
	const struct seniority one = seniority_of(x->service->identity.since_us, x->service->key);
	const struct seniority another =
		seniority_of(y->service->identity.since_us, y->service->key);

	return order ? order : seniority_cmp(&one, &another);
}

/* An address that several Services have is that of the oldest. */
static void drop_others(struct scales *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n; i++) {
		if (kept > 0 && addr_eq(&s->stands[i].address->address.addr,
		                        &s->stands[kept - 1].address->address.addr)) {
			free(s->stands[i].places);
			free(s->stands[i].preferences);
			continue;
		}
		s->stands[kept++] = s->stands[i];
	}
	s->n = kept;
}

/* Of one Service, and the same places may have them: what lies on two segments are two items. */
static int by_item(const void *a, const void *b)
{
	const struct stand *x = a, *y = b;
	int order = identity_order(&x->service->identity, &y->service->identity);

	if (order == 0)
		order = (x->n > y->n) - (x->n < y->n);
	if (order == 0)
		order = memcmp(x->places, y->places, x->n * sizeof(*x->places));
	return order;
}

static void put_on(struct scales *s)
{
	struct spread *p = &s->spread;

	if (s->n > 1)
		qsort(s->stands, s->n, sizeof(*s->stands), by_item);
	s->begins = xcalloc(s->n + 1, sizeof(*s->begins));
	ARRAY_RESERVE(p->items, p->items_cap, s->n + 1);
	for (size_t i = 0; i < s->n; i++) {
		const struct stand *x = &s->stands[i];
		if (i == 0 || by_item(x, x - 1) != 0) {
			s->begins[p->n_items] = i;
			p->items[p->n_items++] =
				(struct spread_item){ .identity = &x->service->identity,
				                      .candidates = x->places,
				                      .n_candidates = x->n,
				                      .preferences = x->preferences,
				                      .at = x->owner,
				                      .held = x->owner != SPREAD_NOWHERE };
		}
		p->items[p->n_items - 1].stays |= x->owner != p->items[p->n_items - 1].at;
	}
	s->begins[p->n_items] = s->n;
	ARRAY_RESERVE(p->places, p->places_cap, s->n_names + 1);
	for (; p->n_places < s->n_names; p->n_places++)
		p->places[p->n_places] = (struct spread_place){
			.name_hash = hash64_str(s->names[p->n_places].node, 0), .live = true
		};
	spread_all(p);
}

static void weigh(struct scales *s, const struct model *m)
{
	for (const struct model_service *x = m->services; x; x = x->hh.next)
		for (size_t i = 0; i < x->n_addresses; i++)
			add(s, x, &x->addresses[i]);
	if (s->n > 1)
		qsort(s->stands, s->n, sizeof(*s->stands), by_address);
	drop_others(s);
	put_on(s);
}

/* ---- what follows ---- */

static const struct out_table moves_table = {
	.title = "From node to node",
	.if_any = true,
	.columns = { { "service", "SERVICE" },
	             { "addresses", "ADDRESSES" },
	             { "from", "FROM" },
	             { "to", "TO" },
	             { "why", "WHY" } },
};

static void put_why(const struct scales *s, const struct spread_move *mv, struct out *o)
{
	const struct spread_place *from = &s->spread.places[mv->from];
	const struct spread_place *to = &s->spread.places[mv->to];
	const char *from_node = s->names[mv->from].node, *to_node = s->names[mv->to].node;

	switch (mv->why) {
	case SPREAD_PREFERRED:
		out_printf(o, "why", "%s is preferred", to_node);
		break;
	case SPREAD_ABOVE:
		out_printf(o, "why", "%s has %" PRId64 ", at most %" PRId64 " by its share",
		           from_node, from->load, from->max);
		break;
	case SPREAD_BELOW:
		out_printf(o, "why", "%s has %" PRId64 ", at least %" PRId64 " by its share",
		           to_node, to->load, to->min);
		break;
	}
}

static void put_move(const struct scales *s, const struct spread_move *mv, struct out *o)
{
	out_object(o, NULL);
	out_row(o);
	out_str(o, "service", s->stands[s->begins[mv->item]].service->key);
	out_list(o, "addresses");
	for (size_t i = s->begins[mv->item]; i < s->begins[mv->item + 1]; i++)
		out_addr(o, NULL, &s->stands[i].address->address.addr);
	out_close(o);
	out_str(o, "from", s->names[mv->from].node);
	out_str(o, "to", s->names[mv->to].node);
	put_why(s, mv, o);
	out_close(o);
}

static size_t put_moves(struct scales *s, struct out *o)
{
	struct spread_move mv;
	size_t n = 0;

	out_table(o, &moves_table);
	out_list(o, "moves");
	/* Each node begins with the lowest of its own, unless something failed before. */
	for (; spread_next(&s->spread, NULL, &mv); n++) {
		put_move(s, &mv, o);
		spread_hold(&s->spread, &s->spread.items[mv.item], mv.to);
	}
	out_close(o);
	out_table_end(o);
	return n;
}

bool cluster_rebalance_print(struct model *m, struct out *o)
{
	cleanup(scales_fini) struct scales s = { .lacks = false };
	unsigned int per_minute = m->config ? m->config->rebalance.per_minute : 0;

	model_sort(m);
	weigh(&s, m);
	out_object(o, NULL);
	size_t n = put_moves(&s, o);
	out_bool(o, "waits", s.lacks);
	out_uint(o, "per_minute", per_minute);
	if (!n)
		out_say(o, "Every node has its share: nothing is to be handed over.");
	if (n && s.lacks)
		out_say(o, "Nothing is handed over while an address that a node may own has no "
		           "owner: see fairlead status.");
	if (n && per_minute)
		out_say(o, "By rebalance in the configuration this is done anyway, %u in a minute.",
		        per_minute);
	out_close(o);
	return n > 0;
}
