/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPREAD_H
#define FAIRLEAD_SPREAD_H

/*
 * Which node is to own what nobody owns: a rendezvous with bounded load.
 *
 * Pure: the nodes (places, by their number), the identities with their candidates, and who owns
 * them come in; a place for each identity comes out.  Every node that knows the same finds the
 * same.
 *
 * Of an identity's live candidates those count that are preferred most.  A place's share is the
 * number of identities for which it is one of these, each divided among them, owned or not; its
 * bound is 1.25 times that, rounded up.  An identity goes to the first of them, in the order of
 * their weights, that owns less than its bound.
 *
 * What is owned stays where it is, also beyond the bound.  An identity that is owned where it was
 * to go changes nothing for the others.
 *
 * Only where it is asked for, spread_next() says which one is to go elsewhere next: away from a
 * place that is not among those preferred most, from one that owns more than its bound, or to one
 * that owns less than its share divided by 1.25, rounded up.  The last two only if it brings both
 * places nearer to their shares, so there is an end to it.  It passes over places that are
 * unwilling, or refuse that item; they have their shares all the same.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/identity.h"

#define SPREAD_NOWHERE UINT16_MAX

struct spread_place {
	uint64_t name_hash;
	bool live;       /* may be given something, */
	uint8_t refuses; /* but for items of these families */
	bool unwilling;  /* is given nothing that another one owns; */
	bool idle;       /* gives nothing: both for spread_next() alone */
	uint64_t share;  /* in 2^-32 */
	/* identities that are there or are to be there; the bound, and with less it may get one */
	int64_t load, max, min;
};

struct spread_item {
	const struct identity *identity;
	const uint16_t *candidates; /* places, ascending */
	size_t n_candidates;
	uint8_t families; /* of its addresses, a bit each */
	/* By how much each is preferred to others, in the same order; NULL: none is. */
	const uint32_t *preferences;
	uint16_t at; /* where it is or is to be; SPREAD_NOWHERE if there is no live candidate */
	uint32_t preference; /* the greatest of a live candidate, */
	uint16_t n_live;     /* which so many have */
	bool held;           /* it is owned, at that place */
	bool stays;          /* and is not to go elsewhere: for spread_next() alone */
	/* It is not held, but goes from that place to the one that spread_next() said. */
	bool goes;
	uint16_t from;
};

enum spread_why { SPREAD_PREFERRED, SPREAD_ABOVE, SPREAD_BELOW };

/* What is not to go from elsewhere to the place of that name. */
struct spread_refusal {
	struct identity identity;
	uint64_t name_hash;
};

/* An item that is to go from a place to another. */
struct spread_move {
	size_t item;
	uint16_t from, to;
	enum spread_why why;
};

struct spread {
	struct spread_place *places;
	size_t n_places, places_cap;
	struct spread_item *items;
	size_t n_items, items_cap;
	struct spread_refusal *refusals;
	size_t n_refusals, refusals_cap;
	struct spread_item **order; /* for spread_all() */
	size_t order_cap;
	uint64_t steps; /* candidates, and by spread_next() items, that were looked at, ever */
};

/* A place's weight for an identity; the highest comes first. */
uint64_t spread_weight(const struct identity *identity, uint64_t name_hash);

void spread_fini(struct spread *s);
/* The item may be given to the place, as far as that is concerned. */
bool spread_may_have(const struct spread *s, const struct spread_item *item, uint16_t place);
/*
 * Everything anew, from places' name_hash and live, and from items but for preference and n_live,
 * and for `at` of those that are not held.  Sorts what is not held; looks at each of its candidates
 * twice at most.
 */
void spread_all(struct spread *s);
/* The item is owned, at @at; others keep their places. */
void spread_hold(struct spread *s, struct spread_item *item, uint16_t at);
/* It is not owned any more, and gets another place. */
void spread_release(struct spread *s, struct spread_item *item);
/*
 * The next that is to go elsewhere, of items that are held and do not stay; false if there is none.
 * Of one place's items those come first that come behind @after, which may be NULL.
 */
bool spread_next(struct spread *s, const struct identity *after, struct spread_move *ret_move);

#endif
