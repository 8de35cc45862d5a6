/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Speaking of another node's address: answering in the name of one whose speaker restarts, and
 * sending on whoever takes us for the owner of what has moved.
 *
 * Such a node keeps its addresses, and its kernel goes on forwarding, but nobody there answers
 * until the new speaker has listened and asked: who has the address in no cache, or looks whether
 * it is still there, would wait, and give up after a few seconds.  So one of the peers that hold
 * the claim for it answers, with the Ethernet address of the owner: nothing moves, and whoever asks
 * learns nothing that would be wrong afterwards.
 *
 * Which one, each finds by itself: the first in an order over the names of the peers that it hears,
 * of those that are candidates if any is.  Others may not be asked at all, having no interface for
 * it.
 * Where two find differently, two say the same, or nobody answers this once.
 *
 * Speakers on the segment get no such answer to a probe.  The owner itself asks before it resumes;
 * and who probes since for him the time of the hold is over, knows better.
 */
#include "claims/private.h"

#include <string.h>

/*
 * For a Service that is there still, and announced: what went meanwhile its owner gives up when it
 * is back.
 */
static bool is_wanted(const struct claims_entry *e, const struct claims_held *h)
{
	return e->want && same_identity(e->want, &h->claim);
}

/* Its owner has said that it restarts, or has come back and not claimed it yet. */
static bool is_away(const struct claims_held *h)
{
	return h->peer->state == MEMBER_RESTARTING || h->former;
}

/* A candidate's comes before that of any other. */
struct standing {
	bool candidate;
	uint64_t score;
};

static struct standing standing_of(const struct claims_entry *e, int index, uint64_t name_hash)
{
	return (struct standing){ is_candidate(e->want, index), score(&e->addr, name_hash) };
}

static bool goes_before(const struct standing *a, const struct standing *b)
{
	return a->candidate != b->candidate ? a->candidate : a->score > b->score;
}

/* Of all that could do it. */
static bool is_first(const struct claims *c, const struct claims_entry *e,
                     const struct member_peer *owner)
{
	struct standing own = standing_of(e, node_index(c->view, c->opts.node), c->name_hash);

	for (size_t i = 0; i < c->member->n_slots; i++) {
		const struct member_peer *p = c->member->peers[i];
		struct standing other =
			standing_of(e, c->tables[i].node_index, c->tables[i].name_hash);
		if (p && p != owner && p->state == MEMBER_ALIVE && !(p->flags & WIRE_LISTENING) &&
		    p->version != 1 && goes_before(&other, &own))
			return false;
	}
	return true;
}

const uint8_t *claims_stand_in(const struct claims *c, const struct addr *addr,
                               const uint8_t *asker, bool is_probe)
{
	const struct claims_entry *e = entry_find(c, addr);
	const struct claims_held *h =
		c->ready && e && e->state == L2_OTHER ? best_rival(c, e) : NULL;

	/* What is weak may have another owner, which we do not hear. */
	if (!h || !is_wanted(e, h) || !is_away(h) || (h->claim.flags & WIRE_CLAIM_WEAK) ||
	    !memcmp(asker, h->peer->mac, WIRE_MAC_SIZE) ||
	    (is_probe && member_by_mac(c->member, asker)) || !is_first(c, e, h->peer))
		return NULL;
	return h->peer->mac;
}

/* Whoever is told goes there: so what is about to move, or may have another owner, is nowhere. */
const uint8_t *claims_elsewhere(const struct claims *c, int64_t now, const struct addr *addr,
                                const uint8_t *asker)
{
	const struct claims_entry *e = entry_find(c, addr);
	const struct claims_held *h =
		c->ready && e && e->state == L2_OTHER ? best_rival(c, e) : NULL;

	bool settled = h && h->peer->state == MEMBER_ALIVE && !h->former && !is_offered(h, now) &&
	               !(h->claim.flags & WIRE_CLAIM_WEAK);

	return settled && !member_by_mac(c->member, asker) ? h->peer->mac : NULL;
}
