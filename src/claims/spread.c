/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rendezvous hashing alone gives a node about its share on average, which for a dozen Services may
 * be all or nothing.  A bound mends that (Mirrokni, Thorup, Zadimoghaddam: consistent hashing with
 * bounded loads): who has reached it is passed over.
 *
 * The bound counts what is owned and what is not alike.  So it does not change while one node after
 * the other claims what it was given, and neither do the places of the rest: an identity was passed
 * over by a place only because others before it filled that place, and these fill it all the same
 * when they are owned.  A node that learns of the others' claims in between still agrees with them.
 *
 * Identities that few may own come first, as under policy Local: those that many may own get by
 * with what is left.  Of those with as many candidates the lower identity comes first, which is
 * arbitrary and the same everywhere.  If all candidates of one have reached their bounds, because
 * they own more than that from earlier times, or have just lost another candidate, the one goes
 * beyond that is least beyond.
 *
 * What is owned goes elsewhere only where somebody asked for it, one by one (spread_next()).  It
 * goes to where most is lacking rather than to the first in the order, since a few moves are to be
 * enough, and begins only where the bound, or its counterpart below the share, is passed: what was
 * placed by the rule above is mostly left alone.  A move between places that are preferred alike
 * needs a difference of more than one, so each lowers the sum of the squares of what places have
 * beyond their shares; and one to a place that is preferred to another is not undone by these.
 */
#include "config.h"

#include "fairlead/spread.h"

#include <stdlib.h>

#include "fairlead/hash.h"
#include "fairlead/mem.h"

/* 1.25 times the share */
#define BOUND_NUMERATOR 5
#define BOUND_DENOMINATOR 4
#define ONE ((uint64_t)1 << 32)

uint64_t spread_weight(const struct identity *identity, uint64_t name_hash)
{
	return hash64(identity->id, sizeof(identity->id), name_hash);
}

void spread_fini(struct spread *s)
{
	free(s->places);
	free(s->items);
	free(s->refusals);
	free(s->order);
	*s = (struct spread){ 0 };
}

bool spread_may_have(const struct spread *s, const struct spread_item *item, uint16_t place)
{
	return s->places[place].live && !(s->places[place].refuses & item->families);
}

/* ---- bounds ---- */

static uint32_t preference_of(const struct spread_item *item, size_t candidate)
{
	return item->preferences ? item->preferences[candidate] : 0;
}

static void count_live(struct spread *s, struct spread_item *item)
{
	item->preference = 0;
	item->n_live = 0;
	for (size_t i = 0; i < item->n_candidates; i++) {
		uint32_t preference = preference_of(item, i);
		if (!spread_may_have(s, item, item->candidates[i]) || preference < item->preference)
			continue;
		item->n_live = preference > item->preference ? 1 : item->n_live + 1;
		item->preference = preference;
	}
	s->steps += item->n_candidates;
}

/* Adds an item's share to its places' @times. */
static void add_shares(struct spread *s, const struct spread_item *item, size_t times)
{
	for (size_t i = 0; item->n_live && i < item->n_candidates; i++)
		if (preference_of(item, i) == item->preference)
			s->places[item->candidates[i]].share += times * ONE / item->n_live;
}

static bool have_same_candidates(const struct spread_item *a, const struct spread_item *b)
{
	return a->candidates == b->candidates && a->n_candidates == b->n_candidates &&
	       a->preferences == b->preferences && a->families == b->families;
}

/* Items in a row usually have the same candidates, which are looked at once. */
static void set_bounds(struct spread *s)
{
	for (size_t i = 0, next; i < s->n_items; i = next) {
		struct spread_item *first = &s->items[i];
		count_live(s, first);
		for (next = i + 1;
		     next < s->n_items && have_same_candidates(&s->items[next], first); next++) {
			s->items[next].preference = first->preference;
			s->items[next].n_live = first->n_live;
		}
		add_shares(s, first, next - i);
	}
	for (size_t i = 0; i < s->n_places; i++) {
		struct spread_place *p = &s->places[i];
		const uint64_t unit = BOUND_DENOMINATOR * ONE;
		p->max = (int64_t)((p->share * BOUND_NUMERATOR + unit - 1) / unit);
		const uint64_t least = BOUND_NUMERATOR * ONE;
		p->min = (int64_t)((p->share * BOUND_DENOMINATOR + least - 1) / least);
	}
}

/* ---- places ---- */

/* What the place has beyond its share, in 2^-32. */
static int64_t beyond(const struct spread_place *p)
{
	return p->load * (int64_t)ONE - (int64_t)p->share;
}

/* Whether the place is to be taken rather than @than, if they are equally preferred. */
static bool goes_before(const struct spread_item *item, const struct spread_place *p,
                        uint64_t weight, const struct spread_place *than, uint64_t than_weight)
{
	if (item->goes && beyond(p) != beyond(than))
		return beyond(p) < beyond(than);
	if (item->goes)
		return weight > than_weight;
	int64_t over = p->load < p->max ? -1 : p->load - p->max;
	int64_t than_over = than->load < than->max ? -1 : than->load - than->max;

	return over != than_over ? over < than_over : weight > than_weight;
}

static bool is_refused(const struct spread *s, const struct spread_item *item)
{
	for (size_t i = 0; i < s->n_refusals; i++)
		if (identity_eq(&s->refusals[i].identity, item->identity))
			return true;
	return false;
}

/* Whether the item, which goes, may go to the place; @refused: to some it may not. */
static bool may_come(const struct spread *s, const struct spread_item *item, bool refused,
                     uint16_t at)
{
	if (at == item->from || s->places[at].unwilling)
		return false;
	for (size_t i = 0; refused && i < s->n_refusals; i++)
		if (s->refusals[i].name_hash == s->places[at].name_hash &&
		    identity_eq(&s->refusals[i].identity, item->identity))
			return false;
	return true;
}

static uint16_t choose(struct spread *s, const struct spread_item *item)
{
	uint16_t best = SPREAD_NOWHERE;
	uint64_t best_weight = 0;
	uint32_t best_preference = 0;
	bool refused = item->goes && is_refused(s, item);

	for (size_t i = 0; i < item->n_candidates; i++) {
		uint16_t at = item->candidates[i];
		const struct spread_place *p = &s->places[at];
		uint32_t preference = preference_of(item, i);
		if (!spread_may_have(s, item, at) || preference < best_preference ||
		    (item->goes && !may_come(s, item, refused, at)))
			continue;
		uint64_t weight = spread_weight(item->identity, p->name_hash);
		if (best != SPREAD_NOWHERE && preference == best_preference &&
		    !goes_before(item, p, weight, &s->places[best], best_weight))
			continue;
		best = at;
		best_weight = weight;
		best_preference = preference;
	}
	s->steps += item->n_candidates;
	return best;
}

static void place(struct spread *s, struct spread_item *item)
{
	item->held = false;
	item->at = choose(s, item);
	if (item->at != SPREAD_NOWHERE)
		s->places[item->at].load++;
}

static int by_turn(const void *a, const void *b)
{
	const struct spread_item *x = *(struct spread_item *const *)a;
	const struct spread_item *y = *(struct spread_item *const *)b;

	/* What goes from one place to another was to find the rest as it is. */
	if (x->goes != y->goes)
		return x->goes ? 1 : -1;
	if (x->n_live != y->n_live)
		return x->n_live < y->n_live ? -1 : 1;
	return identity_order(x->identity, y->identity);
}

void spread_all(struct spread *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_places; i++)
		s->places[i].load = 0, s->places[i].share = 0;
	set_bounds(s);
	ARRAY_RESERVE(s->order, s->order_cap, s->n_items);
	for (size_t i = 0; i < s->n_items; i++)
		if (s->items[i].held)
			s->places[s->items[i].at].load++;
		else
			s->order[n++] = &s->items[i];
	if (n > 1)
		qsort(s->order, n, sizeof(struct spread_item *), by_turn);
	for (size_t i = 0; i < n; i++)
		place(s, s->order[i]);
}

static void take_away(struct spread *s, const struct spread_item *item)
{
	if (item->at != SPREAD_NOWHERE)
		s->places[item->at].load--;
}

void spread_hold(struct spread *s, struct spread_item *item, uint16_t at)
{
	take_away(s, item);
	item->at = at;
	item->held = true;
	s->places[at].load++;
}

void spread_release(struct spread *s, struct spread_item *item)
{
	take_away(s, item);
	place(s, item);
}

/* ---- from place to place ---- */

static bool is_candidate(const struct spread_item *item, uint16_t place, uint32_t *ret_preference)
{
	for (size_t i = 0; i < item->n_candidates; i++)
		if (item->candidates[i] == place) {
			*ret_preference = preference_of(item, i);
			return true;
		}
	return false;
}

/* Whether the item may be one to go, whose place and reason are then in *@ret. */
static bool may_go(const struct spread *s, size_t i, struct spread_move *ret)
{
	const struct spread_item *item = &s->items[i];
	uint32_t preference;

	if (!item->held || item->stays || !item->n_live || !spread_may_have(s, item, item->at) ||
	    !is_candidate(item, item->at, &preference))
		return false;
	const struct spread_place *from = &s->places[item->at];
	if (from->idle)
		return false;
	*ret = (struct spread_move){ .item = i,
		                     .from = item->at,
		                     .why = preference < item->preference ? SPREAD_PREFERRED
		                            : from->load > from->max      ? SPREAD_ABOVE
		                                                          : SPREAD_BELOW };
	return ret->why == SPREAD_PREFERRED || beyond(from) > 0;
}

/* Where it is to go, too; false if it is to stay. */
static bool finds_place(struct spread *s, struct spread_move *m)
{
	struct spread_item going = s->items[m->item];
	const struct spread_place *from = &s->places[m->from];
	uint32_t preference, before;

	going.goes = true;
	going.from = m->from;
	m->to = choose(s, &going);
	if (m->to == SPREAD_NOWHERE || !is_candidate(&going, m->to, &preference))
		return false;
	if (m->why == SPREAD_PREFERRED)
		return is_candidate(&going, m->from, &before) && preference > before;
	const struct spread_place *to = &s->places[m->to];
	return preference == going.preference && (m->why == SPREAD_ABOVE || to->load < to->min) &&
	       beyond(from) - beyond(to) > (int64_t)ONE;
}

/*
 * First what is preferred elsewhere, then what is at the place that has most beyond its share; of
 * one place what is behind @after, and then the lower identity.
 */
static bool moves_before(const struct spread *s, const struct spread_move *a,
                         const struct spread_move *b, const struct identity *after)
{
	int64_t over = beyond(&s->places[a->from]), than = beyond(&s->places[b->from]);
	const struct identity *x = s->items[a->item].identity, *y = s->items[b->item].identity;
	bool behind = after && identity_order(x, after) > 0;

	if ((a->why == SPREAD_PREFERRED) != (b->why == SPREAD_PREFERRED))
		return a->why == SPREAD_PREFERRED;
	if (a->why != SPREAD_PREFERRED && over != than)
		return over > than;
	if (a->from != b->from)
		return a->from < b->from;
	if (after && behind != (identity_order(y, after) > 0))
		return behind;
	return identity_order(x, y) < 0;
}

/* Some place has more or less than it should, or some are preferred. */
static bool may_move(const struct spread *s)
{
	for (size_t i = 0; i < s->n_places; i++)
		if (s->places[i].live &&
		    (s->places[i].load > s->places[i].max || s->places[i].load < s->places[i].min))
			return true;
	for (size_t i = 0; i < s->n_items; i++)
		if (s->items[i].preference > 0)
			return true;
	return false;
}

bool spread_next(struct spread *s, const struct identity *after, struct spread_move *ret_move)
{
	struct spread_move best = { 0 }, m;
	size_t n = may_move(s) ? s->n_items : 0;
	bool found = false;

	for (size_t i = 0; i < n; i++)
		if (may_go(s, i, &m) && (!found || moves_before(s, &m, &best, after)) &&
		    finds_place(s, &m)) {
			best = m;
			found = true;
		}
	s->steps += n;
	if (found)
		*ret_move = best;
	return found;
}
