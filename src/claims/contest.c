/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Who wins, and whether to ask first: the questions about one address that claims.c decides by.
 * Nothing is changed here.
 */
#include "claims/private.h"

#include <string.h>

/* A peer that fell silent no longer ago than this was heard well until then. */
#define HEARD_LATELY_MS 2000
/* Probes to send if somebody answered before and there is no hurry. */
#define ASKS_ANSWERED 6

int claims_order(const struct wire_claim *a, const char *a_node, const struct wire_claim *b,
                 const char *b_node)
{
	int identity = identity_order(&a->identity, &b->identity);

	if (identity)
		return identity;
	int weak = (b->flags & WIRE_CLAIM_WEAK) - (a->flags & WIRE_CLAIM_WEAK);
	if (weak)
		return weak;
	if (a->epoch != b->epoch)
		return a->epoch > b->epoch ? 1 : -1;
	return strcmp(b_node, a_node);
}

bool entitled(const struct claims_entry *e)
{
	return e->want && e->want->eligible;
}

bool same_identity(const struct l2_want *w, const struct wire_claim *claim)
{
	return identity_eq(&w->identity, &claim->identity);
}

int position(const struct l2_want *w, int node_index)
{
	size_t low = 0, high = w->n_candidates;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (w->candidates[mid] == node_index)
			return (int)mid;
		if (w->candidates[mid] < node_index)
			low = mid + 1;
		else
			high = mid;
	}
	return -1;
}

bool is_candidate(const struct l2_want *w, int node_index)
{
	return position(w, node_index) >= 0;
}

static bool stands(const struct claims *c, const struct claims_held *h)
{
	const struct member_peer *p = h->peer;

	/*
	 * A restarting peer gets back only what its node may still own: nothing if that is drained,
	 * off or deleted.
	 */
	if (p->state == MEMBER_RESTARTING && entitled(h->entry) &&
	    !is_candidate(h->entry->want, c->tables[p->slot].node_index))
		return false;
	return member_holds(p) && !c->tables[p->slot].unconfirmed;
}

/* The best claim of a peer that still stands; NULL if none. */
const struct claims_held *best_rival(const struct claims *c, const struct claims_entry *e)
{
	const struct claims_held *best = NULL;

	for (const struct claims_held *h = e->others; h; h = h->next)
		if (stands(c, h) && (!best || claims_order(&h->claim, h->peer->name, &best->claim,
		                                           best->peer->name) > 0))
			best = h;
	return best;
}

/* The last holder known is a peer that died. */
bool orphaned(const struct claims_entry *e)
{
	for (const struct claims_held *h = e->others; h; h = h->next)
		if (!member_holds(h->peer) && h->claim.epoch >= e->epoch_floor)
			return true;
	return false;
}

bool contested_and_lost(const struct claims *c, int64_t now, const struct claims_entry *e)
{
	for (const struct claims_held *h = e->others; h; h = h->next) {
		if (!stands(c, h))
			continue;
		if (!h->former && member_deaf(c->member, h->peer, now))
			return true;
		if (claims_order(&h->claim, h->peer->name, &e->own, c->opts.node) > 0)
			return true;
	}
	return false;
}

uint64_t score(const struct addr *addr, uint64_t name_hash)
{
	return hash64(addr->b, addr_size(addr->family), name_hash);
}

bool is_offered(const struct claims_held *h, int64_t now)
{
	return now < h->offered_until_ms;
}

static bool offers(const struct claims_entry *e, uint16_t slot, int64_t now)
{
	const struct claims_held *h = e->others;

	while (h && h->peer->slot != slot)
		h = h->next;
	return h && is_offered(h, now);
}

bool has_just_let_go(const struct claims_entry *e, uint16_t slot, int64_t now)
{
	if (offers(e, slot, now))
		return true;
	return e->yielder == slot && (e->freed == CLAIMS_YIELDED || e->freed == CLAIMS_DOUBTED) &&
	       now - e->freed_ms < CLAIMS_YIELDED_MS;
}

bool resumes(const struct claims_entry *e, int64_t now)
{
	return e->recalled && now < e->recalled_until_ms && same_identity(e->want, e->recalled);
}

/*
 * Whether we have to ask, as it is not certain that nobody answers for it.  After a silence of our
 * own, whether by a restart or not, we never know what was claimed meanwhile by speakers that do
 * not hear us.
 */
bool must_ask(const struct claims *c, int64_t now, const struct claims_entry *e)
{
	if (e->unproven || resumes(e, now) || backing_off(e) || orphaned(e) || !c->synced ||
	    e->freed == CLAIMS_LAPSED || e->freed == CLAIMS_DOUBTED)
		return true;
	/*
	 * Somebody that we do not hear may have taken it since; a node that wanted it when it was
	 * let go is in time.
	 */
	if (e->freed == CLAIMS_YIELDED && now - e->freed_ms < CLAIMS_YIELDED_MS)
		return c->exposed && e->free_since_ms > e->freed_ms;
	return c->opts.first_use_probe;
}

static bool hears_peers(const struct claims *c, int64_t now)
{
	for (size_t i = 0; i < c->member->n_slots; i++)
		if (c->member->peers[i] &&
		    now - c->member->peers[i]->heard_directly_ms <= HEARD_LATELY_MS)
			return true;
	return false;
}

uint8_t asks_needed(const struct claims *c, int64_t now, const struct claims_entry *e)
{
	if (backing_off(e))
		return ASKS_ANSWERED;
	bool sure = c->synced && hears_peers(c, now) && now >= c->doubt_until_ms;
	return sure ? 1 : CLAIMS_ASKS_UNSURE;
}

/*
 * A rival's claim that we may overrule: one for an older identity (the address was given to another
 * since), one that is offered by a node that will hear of ours, to us if not to anybody, or one by
 * a node that has had no news of the cluster for long.
 */
bool outdated(struct claims *c, int64_t now, const struct claims_entry *e,
              const struct claims_held *rival)
{
	struct wire_claim ours = { .identity = e->want->identity, .epoch = 0 };

	if (!same_identity(e->want, &rival->claim))
		return claims_order(&ours, c->opts.node, &rival->claim, rival->peer->name) > 0;
	if (is_offered(rival, now))
		return !member_deaf(c->member, rival->peer, now) &&
		       (!rival->moves || order_goes_to_us(c, now, e));
	/*
	 * When the server is gone for everybody, some nodes notice sooner than others, both that it
	 * is gone and that it is back, which is no reason to move anything.  The rival alone has
	 * lost it only if it answered us after the rival had missed it, for as long as the rival
	 * may take to look again.
	 */
	int64_t stale_ms = member_stale_ms(rival->peer, now);
	return c->view_fresh && now - c->fresh_since_ms >= CLAIMS_FRESH_MS &&
	       stale_ms > CLAIMS_STALE_MS && c->answered_ms > now - stale_ms &&
	       rival->peer->state == MEMBER_ALIVE && member_majority(c->member, now);
}
