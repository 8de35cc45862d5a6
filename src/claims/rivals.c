/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Others that answer for an address of ours: strangers, speakers with another key, peers that are
 * dead to us because heartbeats are filtered.  ARP is all that we share with them (RFC 5227 2.4).
 *
 * Meeting.  An owner sees another's gratuitous ARP by chance only, so while there may be speakers
 * that we do not hear (a Node of the cluster that is no living peer here, heartbeats refused) it
 * asks for its own addresses by a probe, each every few seconds, and all together at a bounded
 * rate.  An owner answers whoever asks.
 *
 * Proof.  Unsolicited frames prove nothing: one forged frame a second would silence an address for
 * ever.  Such a frame makes us say once that the address is ours, and ask.  Only an answer to that
 * probe, to us alone and in time, makes a rival.  A machine that answers each probe in another's
 * name can do what it likes with ARP anyway; one that cannot hear our probes must fill the short
 * time after each of them with forged answers, and as long as it does so, it takes the address.
 *
 * Parting.  Both owners know the address and both MAC addresses, and neither needs to know the
 * other's name, so the rendezvous order is over these.  Each announces once for each question of
 * its own that it has the address, from which the other learns of it (by neighbour discovery that
 * counts as an answer to the other's question: two that announced at each answer would do so as
 * fast as the wire carries it), and asks again: after a few answers the second in the
 * order stops, and tries later like every node that finds an address answered for.  (Had the
 * segment been apart and healed, heartbeats come before that, and claims know better which part
 * should prevail.)  A rival that goes on answering the first for CEASE_GAPS is not a speaker and
 * keeps the address: then the first stops, too.
 *
 * Kernels.  A living peer whose claims we know may answer and claim nothing: then its kernel has
 * the address on some interface, and answers whoever owns it (kube-proxy in IPVS mode).  A node
 * that asks before it claims gives way to it as to a stranger; an owner goes on, since stopping
 * would not help.  Both report it.  An owner looks for them once a minute or so.
 */
#include "claims/private.h"

#include <string.h>

/* RFC 5227 2.4: defend no more often. */
#define DEFEND_MS 10000
/*
 * An answer must come within so many times what a probe waits, and one address is verified no more
 * often than after so many times that, and than this: so answers count for a fifth of the time at
 * most.
 */
#define VERIFY_PROBES 4
#define GAP_PROBES 20
#define GAP_MS 500
/* After a sighting it is verified this many times more, as question or answer may be lost. */
#define SUSPICIONS 3
/*
 * How often, while unheard speakers may be about, but not within two such gaps; and how far apart
 * two addresses are verified at least.
 */
#define VERIFY_EVERY_MS 5000
#define VERIFY_EVERY_GAPS 2
#define VERIFY_SPACE_MS 20
/*
 * In gaps: how long a rival that answered is reported; and for how long the first in the order puts
 * up with one.
 */
#define TWO_OWNERS_GAPS 6
#define CEASE_GAPS 6
/*
 * In fifths of one: how long the second in the order goes on, so that the first is sure to have
 * seen it, too: it asks after a gap.
 */
#define YIELD_FIFTHS 8
/* After frames that were lost or refused there may be more of them. */
#define DOUBT_MS 5000
/*
 * A living peer that answers has claimed the address, and its claim comes within that time; or if
 * it was lost, its next heartbeat has us ask for it.
 */
#define PEER_TELLS_MS 200
/* A peer that answered this often and claims nothing does not know of it: its kernel answers. */
#define KERNEL_ANSWERS 3
/*
 * If all speakers are heard, how often kernels are looked for, and how far apart; one that was seen
 * counts for two rounds.
 */
#define KERNEL_EVERY_MS 60000
#define KERNEL_SPACE_MS 100

void doubt(struct claims *c, int64_t now)
{
	bool began = now >= c->doubt_until_ms;

	c->doubt_until_ms = now + DOUBT_MS;
	/* An address that is being probed was to be probed once. */
	for (struct claims_entry *e = began ? c->entries : NULL; e; e = e->hh.next)
		if (e->state == L2_PROBING && !e->asks)
			e->asks = CLAIMS_ASKS_UNSURE - 1;
}

/* ---- looking for them ---- */

static int64_t gap_ms(const struct claims *c)
{
	int64_t gap = GAP_PROBES * (int64_t)c->opts.timing.probe_ms;

	return gap > GAP_MS ? gap : GAP_MS;
}

/* Are there, or could there be, speakers that do not hear our claims? */
static bool is_exposed(const struct claims *c, int64_t now)
{
	size_t heard = 0;

	if (now < c->doubt_until_ms || !c->view || member_has_strangers(c->member, now))
		return true;
	for (size_t i = 0; i < c->member->n_slots; i++) {
		const struct member_peer *p = c->member->peers[i];
		if (p && p->state == MEMBER_ALIVE && c->tables[i].node_index >= 0)
			heard++;
	}
	return heard + 1 < c->view->n_nodes;
}

/* Spread, so that many addresses do not stay in step. */
static int64_t round_ms(const struct claims *c)
{
	int64_t every = (int64_t)c->n_owned * (c->exposed ? VERIFY_SPACE_MS : KERNEL_SPACE_MS);
	int64_t least = c->exposed ? VERIFY_EVERY_MS : KERNEL_EVERY_MS;

	if (least < VERIFY_EVERY_GAPS * gap_ms(c))
		least = VERIFY_EVERY_GAPS * gap_ms(c);
	return every > least ? every : least;
}

static int64_t next_verification(const struct claims *c, int64_t now, const struct claims_entry *e)
{
	int64_t every = round_ms(c);

	return now + every / 2 + (int64_t)(score(&e->addr, (uint64_t)now) % (uint64_t)(every / 2));
}

static void schedule(struct claims *c, int64_t now, struct claims_entry *e)
{
	e->verify_at_ms = next_verification(c, now, e);
}

void rivals_begin(struct claims *c, int64_t now, struct claims_entry *e)
{
	e->verified_ms = 0;
	e->suspicions = 0;
	schedule(c, now, e);
}

void rivals_verify(struct claims *c, int64_t now, struct claims_entry *e)
{
	if (now < e->verify_at_ms)
		return;
	int64_t turn = probe_turn(c, now);
	if (turn > now) {
		e->verify_at_ms = turn;
		return;
	}
	action_add(c, CLAIMS_PROBE, &e->addr);
	e->verified_ms = now;
	schedule(c, now, e);
	/* Where frames get lost, a question that is lost would not be missed for a long time. */
	e->asked_twice = now < c->doubt_until_ms && !e->asked_twice;
	if (e->asked_twice) {
		e->verify_at_ms = now + c->opts.timing.probe_ms;
	} else if (e->suspicions > 0) {
		e->suspicions--;
		e->verify_at_ms = now + gap_ms(c);
	}
}

static void verify_soon(struct claims *c, int64_t now, struct claims_entry *e)
{
	int64_t at = e->verified_ms ? e->verified_ms + gap_ms(c) : now;

	e->suspicions = SUSPICIONS;
	if (at < now)
		at = now;
	if (at < e->verify_at_ms)
		e->verify_at_ms = at;
	if (at < e->at_ms)
		entry_wake_at(c, e, at);
}

void rivals_review(struct claims *c, int64_t now)
{
	bool was = c->exposed;

	c->exposed = is_exposed(c, now);
	if (was == c->exposed)
		return;
	for (struct claims_entry *e = c->entries; e; e = e->hh.next) {
		int64_t at = next_verification(c, now, e);
		bool sooner = at < e->verify_at_ms;
		if (e->state != L2_OWNER || e->suspicions || sooner != c->exposed)
			continue;
		e->verify_at_ms = at;
		if (at < e->at_ms)
			entry_wake_at(c, e, at);
	}
}

void claims_seen_refused(struct claims *c, int64_t now)
{
	doubt(c, now);
}

/*
 * What was lost while we stood still may have been the probe for any address of ours.  But whoever
 * floods us must not silence us for good: within a gap we ask once more, and answer meanwhile.
 */
void claims_seen_loss(struct claims *c, int64_t now, int64_t waited_ms)
{
	if (!came_late(c, waited_ms) || !is_exposed(c, now))
		return;
	bool often = c->lost_ms && now - c->lost_ms < gap_ms(c);

	if (!often)
		c->lost_ms = now;
	for (struct claims_entry *e = c->entries; e; e = e->hh.next)
		if (e->state == L2_OWNER && often)
			verify_soon(c, now, e);
		else if (e->state == L2_OWNER)
			ask_again(c, now, e);
}

/* ---- two owners ---- */

/* Does the one at @mac come before us in the order for this address? */
static bool comes_first(const struct claims *c, const struct claims_entry *e, const uint8_t *mac)
{
	uint64_t ours = score(&e->addr, hash64(c->member->opts.mac, WIRE_MAC_SIZE, 0));
	uint64_t theirs = score(&e->addr, hash64(mac, WIRE_MAC_SIZE, 0));

	if (theirs != ours)
		return theirs > ours;
	return memcmp(mac, c->member->opts.mac, WIRE_MAC_SIZE) < 0;
}

/* Gives the address up to the machine that answers at @mac. */
static void cease(struct claims *c, int64_t now, struct claims_entry *e, const uint8_t *mac)
{
	const struct member_peer *p = member_by_mac(c->member, mac);

	if (e->claimed)
		own_clear(c, now, e);
	back_off(c, now, e, p || orphaned(e) ? L2_STILL_ANSWERED : L2_CONFLICT, mac);
}

/* A machine sent an unsolicited frame as if it had the address. */
static void defend(struct claims *c, int64_t now, struct claims_entry *e)
{
	if (now - e->defended_ms >= DEFEND_MS) {
		e->defended_ms = now;
		c->conflicts++;
		action_add(c, CLAIMS_ANNOUNCE, &e->addr);
	}
	verify_soon(c, now, e);
}

static void part(struct claims *c, int64_t now, struct claims_entry *e, const uint8_t *mac)
{
	int64_t gap = gap_ms(c);

	rebalance_trouble(c, now);
	if (!e->two_owners) {
		e->two_owners = true;
		e->rival_since_ms = now;
		e->defended_ms = now;
		c->two_owners++;
		c->conflicts++;
	}
	e->rival_until_ms = now + TWO_OWNERS_GAPS * gap;
	memcpy(e->rival_mac, mac, WIRE_MAC_SIZE);
	action_add(c, CLAIMS_CHANGED, &e->addr);
	int64_t since = now - e->rival_since_ms;
	if (since >= CEASE_GAPS * gap ||
	    (since >= YIELD_FIFTHS * gap / 5 && comes_first(c, e, mac))) {
		e->step = 0;
		cease(c, now, e, mac);
		return;
	}
	if (e->told_ms != e->verified_ms)
		action_add(c, CLAIMS_ANNOUNCE, &e->addr);
	e->told_ms = e->verified_ms;
	verify_soon(c, now, e);
}

void rivals_expire(struct claims *c, int64_t now, struct claims_entry *e)
{
	if (e->kernel_seen && (now >= e->kernel_until_ms || e->state != L2_OWNER)) {
		e->kernel_seen = false;
		if (e->want)
			action_add(c, CLAIMS_CHANGED, &e->addr);
	}
	if (!e->two_owners || now < e->rival_until_ms)
		return;
	e->two_owners = false;
	if (e->want)
		action_add(c, CLAIMS_CHANGED, &e->addr);
}

/*
 * Is the sender a living peer whose claims we know, and that claims nothing here?  Then its claim
 * is on the way, or its kernel answers.  If the peer claims it, too, claims should have settled it;
 * if they have not, it does not know ours.
 */
static bool is_known(const struct claims *c, const struct claims_entry *e,
                     const struct member_peer *p)
{
	if (!p || !member_holds(p) || !c->tables[p->slot].synced)
		return false;
	for (const struct claims_held *h = e->others; h; h = h->next)
		if (h->peer == p)
			return false;
	return true;
}

/*
 * The kernel of @p answers for an address that we own: nothing that we do ends that, so we report
 * it.
 */
static void note_kernel(struct claims *c, int64_t now, struct claims_entry *e, const uint8_t *mac)
{
	if (!e->kernel_seen)
		action_add(c, CLAIMS_CHANGED, &e->addr);
	e->kernel_seen = true;
	e->kernel_until_ms = now + 2 * round_ms(c);
	memcpy(e->rival_mac, mac, WIRE_MAC_SIZE);
}

static void seen_while_asking(struct claims *c, int64_t now, struct claims_entry *e,
                              const struct member_peer *p, const uint8_t *mac)
{
	if (is_known(c, e, p) && ++e->kernel_answers >= KERNEL_ANSWERS) {
		if (e->claimed)
			own_clear(c, now, e);
		e->kernel_answers = KERNEL_ANSWERS;
		back_off(c, now, e, L2_KERNEL_ANSWERS, mac);
		return;
	}
	if (p && p->state == MEMBER_ALIVE && c->tables[p->slot].synced) {
		/* It has claimed the address meanwhile, and its message will say so. */
		int64_t tells = p->heartbeat_ms > PEER_TELLS_MS ? p->heartbeat_ms : PEER_TELLS_MS;
		entry_wake_at(c, e, now + tells);
		e->free_since_ms = e->at_ms;
		set_state(c, e, L2_WAITING);
		return;
	}
	if (p)
		doubt(c, now); /* given up, yet there: its other addresses may still be in use */
	else
		c->conflicts++;
	cease(c, now, e, mac);
}

/* The frame answers the last question that we asked as an owner. */
static bool is_timely(const struct claims *c, int64_t now, const struct claims_entry *e,
                      bool is_answer)
{
	return is_answer && e->verified_ms &&
	       now - e->verified_ms <= VERIFY_PROBES * (int64_t)c->opts.timing.probe_ms;
}

void claims_seen(struct claims *c, int64_t now, int64_t waited_ms, const struct addr *addr,
                 const uint8_t *mac, bool is_answer)
{
	struct claims_entry *e = entry_find(c, addr);
	const struct member_peer *p = member_by_mac(c->member, mac);

	if (!e)
		return;
	if (!is_timely(c, now, e, is_answer) && handover_ends(c, now, e, p))
		return;
	/* Let go by its holder, and taken since. */
	if (e->freed == CLAIMS_YIELDED)
		e->freed = CLAIMS_DOUBTED;
	/* An owner that asks again is one that only an answer disproves. */
	if (e->state == L2_PROBING && (is_answer || !e->asks_again)) {
		seen_while_asking(c, now, e, p, mac);
	} else if (e->state == L2_OWNER && is_known(c, e, p)) {
		if (is_timely(c, now, e, is_answer) && !e->two_owners)
			note_kernel(c, now, e, mac);
	} else if (e->asks_again || (e->state == L2_OWNER && came_late(c, waited_ms))) {
		if (!e->asks_again)
			ask_again(c, now, e);
		memcpy(e->rival_mac, mac, WIRE_MAC_SIZE);
	} else if (e->state == L2_OWNER) {
		doubt(c, now);
		if (is_timely(c, now, e, is_answer))
			part(c, now, e, mac);
		else
			defend(c, now, e);
	}
}
