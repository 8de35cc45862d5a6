/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Where somebody asks for it, owners hand over what they own so that each node comes to its share.
 *
 * Which Service goes next, from whom to whom, every node finds by itself from the claims that all
 * know (spread_next()), and the one that owns it offers it (handover.c); only the one to which it
 * goes takes it.  So nobody has to be agreed with, and the rate is one for the whole segment: a
 * node begins nothing before the time that is due has passed since it last saw anything offered or
 * change hands, whoever's it was.  Two begin together only if their views differ and neither has
 * heard of the other's offer yet, that is within what a message is under way.
 *
 * It is no repair, and stops where something is wrong: whenever a peer comes, goes or restarts,
 * another answers for an address, or a claim is lost, it waits until nothing of that has happened
 * for CALM_MS.  Nor does anything go while an address has no owner: a node that finds one in use by
 * a stranger knows that alone, but all know that nobody has it.  What is offered and not taken
 * stays, and for a while does not go there again (untaken.c): the next one is another.  A node that
 * offers nothing for CALM_MS though it is its turn, for reasons that it alone knows, is not waited
 * for any longer.
 *
 * A pass that was asked for once waits for that, too, as whoever asks may do so a moment before all
 * have noticed what came or went.  Once it has begun it ends where something is wrong, which not
 * all may notice; and wherever nothing was offered for PASS_IDLE_MS.
 */
#include "claims/private.h"

#define CALM_MS 60000
#define MINUTE_MS 60000
/* The rate of a pass, where the configuration has none. */
#define PASS_PER_MINUTE 60
/* How often it is looked whether anything is to go. */
#define LOOK_MS 1000
/* Longer than CALM_MS, for which it may have to wait, and than the time between two offers. */
#define PASS_IDLE_MS 120000
/* For how long a node is not waited for that has not offered what it was to. */
#define IDLE_MS (5 * 60000)

static bool in_pass(const struct claims *c, int64_t now)
{
	return now < c->rebalance.pass_until_ms &&
	       (!c->rebalance.pass_began_ms || c->calm_since_ms <= c->rebalance.pass_began_ms);
}

static unsigned int per_minute(const struct claims *c, int64_t now)
{
	unsigned int n = c->view ? c->view->rebalance.per_minute : 0;

	return n || !in_pass(c, now) ? n : PASS_PER_MINUTE;
}

static int64_t gap_ms(const struct claims *c, int64_t now)
{
	return (MINUTE_MS + per_minute(c, now) - 1) / per_minute(c, now);
}

void rebalance_follow(struct claims *c, int64_t now)
{
	const struct l2_rebalance *r = &c->view->rebalance;

	/* What was asked for before this segment was joined is none of its affair. */
	if (c->rebalance.follows && r->asked != c->rebalance.asked) {
		c->rebalance.pass_began_ms = 0;
		c->rebalance.pass_until_ms = now + PASS_IDLE_MS;
		untaken_reset(c);
	}
	c->rebalance.follows = true;
	c->rebalance.asked = r->asked;
	c->rebalance.look_ms = per_minute(c, now) ? now : CLAIMS_NEVER;
}

void rebalance_trouble(struct claims *c, int64_t now)
{
	c->rebalance.troubled_ms = now;
	if (c->rebalance.pass_began_ms)
		c->rebalance.pass_until_ms = 0;
}

void rebalance_saw(struct claims *c, int64_t now)
{
	c->rebalance.handed_ms = now;
}

static void note_offer(struct claims *c, int64_t now, const struct identity *identity,
                       uint64_t name_hash)
{
	rebalance_saw(c, now);
	if (in_pass(c, now)) {
		c->rebalance.pass_until_ms = now + PASS_IDLE_MS;
		if (!c->rebalance.pass_began_ms)
			c->rebalance.pass_began_ms = now;
	}
	if (name_hash)
		untaken_note(c, now + CLAIMS_OFFER_MS, identity, name_hash);
}

void rebalance_offered(struct claims *c, int64_t now, const struct member_peer *p,
                       const struct claims_entry *e)
{
	c->tables[p->slot].idle_until_ms = 0;
	if (e->want)
		note_offer(c, now, &e->want->identity, order_goes_to(c, now, e));
}

bool rebalance_ends(struct claims *c, int64_t now, const struct claims_entry *e)
{
	if (entitled(e) && now < e->offered_until_ms)
		return false;
	if (!entitled(e))
		rebalance_trouble(c, now);
	return true;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t turn_ms(const struct claims *c, int64_t now)
{
	int64_t calm = later(c->calm_since_ms, c->rebalance.troubled_ms) + CALM_MS;

	return later(later(calm, untaken_settled_ms(c, now)),
	             c->rebalance.handed_ms + gap_ms(c, now));
}

/* Speakers that know no moves would each take what goes to one of them. */
static bool all_know_moves(const struct claims *c)
{
	for (size_t i = 0; i < c->member->n_slots; i++)
		if (c->member->peers[i] && c->member->peers[i]->state == MEMBER_ALIVE &&
		    !c->tables[i].knows_moves)
			return false;
	return true;
}

/* It hears most nodes, and knows what they and the API server say. */
static bool sees_all(const struct claims *c, int64_t now)
{
	return c->ready && c->synced && c->view_fresh && !member_knows_v1(c->member, now) &&
	       member_majority(c->member, now) && all_know_moves(c);
}

static void hand_over(struct claims *c, int64_t now, const struct order_move *m)
{
	c->rebalance.after = m->entries[0]->want->identity;
	for (size_t i = 0; i < m->n; i++)
		if (!handover_may_move(c, m->entries[i]))
			return;
	for (size_t i = 0; i < m->n; i++)
		handover_move(c, now, m->entries[i]);
	for (size_t i = 0; i < m->n; i++)
		settle(c, now, m->entries[i]);
	note_offer(c, now, &c->rebalance.after, m->name_hash);
}

/* It is the turn of another one's, since @since_ms or, where that is later, the first look. */
static void await(struct claims *c, int64_t now, int64_t since_ms, int from)
{
	if (c->rebalance.awaited != from) {
		c->rebalance.awaited = from;
		c->rebalance.awaited_ms = now;
	} else if (now - later(c->rebalance.awaited_ms, since_ms) >= CALM_MS) {
		for (size_t i = 0; i < c->n_tables; i++)
			if (c->tables[i].node_index == from)
				c->tables[i].idle_until_ms = now + IDLE_MS;
	}
}

void rebalance_tick(struct claims *c, int64_t now)
{
	struct order_move m;

	if (now < c->rebalance.look_ms)
		return;
	if (!per_minute(c, now)) {
		c->rebalance.look_ms = CLAIMS_NEVER;
		return;
	}
	int64_t turn = turn_ms(c, now), gap = gap_ms(c, now);
	c->rebalance.look_ms = turn > now ? turn : now + (gap < LOOK_MS ? gap : LOOK_MS);
	if (turn > now || !sees_all(c, now))
		return;
	if (!order_next_move(c, now, &c->rebalance.after, &m)) {
		c->rebalance.after = (struct identity){ 0 };
	} else if (m.entries) {
		hand_over(c, now, &m);
	} else if (m.from >= 0) {
		await(c, now, turn, m.from);
	}
}
