/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Make before break: an owner that may not own an address any more, because its node is drained or
 * excluded or has no endpoint left, offers it, and answers until another node has claimed it.
 *
 *	owner                                     heir
 *	may not own it: claim, OFFERED ────────►  its turn: claims it without asking, as the owner
 *	answers on                                is known to let go; answers, announces
 *	their claim wins: answers no more  ◄────  claim, a higher epoch
 *	gives up its own ──────────────────────►
 *
 * So there is always one that answers, and two for as long as the heir's message is under way.
 * Should that get lost, its announcement ends the wait as well.  Whoever does not know the flag,
 * and whoever missed it, sees a claim that stands; so the wait is bounded, and then the owner gives
 * up as if there were no offer: somebody may be the next, but has nobody to relieve.
 *
 * Nothing is offered that another machine may have as well, since the heir does not ask: what was
 * kept through a silence, claimed in a minority, or is answered by two.  Nor where there is nobody
 * to follow; nor while there may be speakers of version 1, which cannot be told.
 *
 * An owner that may stay one offers what it owns as well, where that is to go to another node
 * (rebalance.c): then only that one takes it, and if it does not, the owner keeps it.
 */
#include "claims/private.h"

static void set_flags(struct claims *c, struct claims_entry *e, uint8_t flags)
{
	struct wire_claim claim = e->own;

	claim.flags &= (uint8_t) ~(WIRE_CLAIM_OFFERED | WIRE_CLAIM_MOVES);
	claim.flags |= flags;
	own_set(c, e, &claim);
}

/* It answers, for that Service, and alone. */
static bool is_sound(const struct claims *c, const struct claims_entry *e)
{
	return c->ready && e->state == L2_OWNER && !e->unproven && !e->two_owners && e->want &&
	       same_identity(e->want, &e->own) && !(e->own.flags & WIRE_CLAIM_WEAK);
}

bool hands_over(struct claims *c, int64_t now, struct claims_entry *e)
{
	if (!is_sound(c, e))
		return false;
	if (e->offered_until_ms)
		return now < e->offered_until_ms;
	if (member_knows_v1(c->member, now) || !order_has_heir(c, e))
		return false;
	e->offered_until_ms = now + CLAIMS_OFFER_MS;
	set_flags(c, e, WIRE_CLAIM_OFFERED);
	return true;
}

bool handover_may_move(const struct claims *c, const struct claims_entry *e)
{
	return is_sound(c, e) && entitled(e) && !e->offered_until_ms;
}

void handover_move(struct claims *c, int64_t now, struct claims_entry *e)
{
	e->offered_until_ms = now + CLAIMS_OFFER_MS;
	e->moves = true;
	set_flags(c, e, WIRE_CLAIM_OFFERED | WIRE_CLAIM_MOVES);
}

void handover_cancel(struct claims *c, struct claims_entry *e)
{
	if (!e->offered_until_ms)
		return;
	e->offered_until_ms = 0;
	e->moves = false;
	set_flags(c, e, 0);
}

bool handover_ends(struct claims *c, int64_t now, struct claims_entry *e,
                   const struct member_peer *p)
{
	if (!e->offered_until_ms || !p || p->state != MEMBER_ALIVE || !e->want ||
	    !is_candidate(e->want, c->tables[p->slot].node_index) ||
	    (e->moves && c->tables[p->slot].name_hash != order_goes_to(c, now, e)))
		return false;
	if (e->moves) {
		/* We may own it still, but not before we have asked. */
		own_clear(c, now, e);
		c->rebalanced++;
		e->freed = CLAIMS_DOUBTED;
		e->freed_ms = now;
		e->yielder = CLAIMS_NOBODY;
	} else {
		e->offered_until_ms = now;
	}
	settle(c, now, e);
	return true;
}
