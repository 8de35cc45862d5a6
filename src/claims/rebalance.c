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
 * nobody takes what is offered, another answers for an address, or a claim is lost, it waits until
 * nothing of that has happened for CALM_MS.  Nor does anything go while an address has no owner: a
 * node that finds one in use by a stranger knows that alone, but all know that nobody has it.  A
 * pass that was asked for once ends there, and where nothing is to go any more.  Each begins with
 * the Service behind the one that went last, so that one that nobody takes keeps none of the
 * others.
 */
#include "claims/private.h"

#define CALM_MS 60000
#define MINUTE_MS 60000
/* The rate of a pass, where the configuration has none. */
#define PASS_PER_MINUTE 60
/* How often it is looked whether anything is to go. */
#define LOOK_MS 1000

static unsigned int per_minute(const struct claims *c)
{
	unsigned int n = c->view ? c->view->rebalance.per_minute : 0;

	return n || !c->rebalance.pass ? n : PASS_PER_MINUTE;
}

static int64_t gap_ms(const struct claims *c)
{
	return (MINUTE_MS + per_minute(c) - 1) / per_minute(c);
}

void rebalance_follow(struct claims *c, int64_t now)
{
	const struct l2_rebalance *r = &c->view->rebalance;

	/* What was asked for before this segment was joined is none of its affair. */
	c->rebalance.pass |= c->rebalance.follows && r->asked != c->rebalance.asked;
	c->rebalance.follows = true;
	c->rebalance.asked = r->asked;
	c->rebalance.look_ms = per_minute(c) ? now : CLAIMS_NEVER;
}

void rebalance_trouble(struct claims *c, int64_t now)
{
	c->rebalance.troubled_ms = now;
	c->rebalance.pass = false;
}

void rebalance_saw(struct claims *c, int64_t now)
{
	c->rebalance.handed_ms = now;
}

bool rebalance_ends(struct claims *c, int64_t now, const struct claims_entry *e)
{
	if (entitled(e) && now < e->offered_until_ms)
		return false;
	rebalance_trouble(c, now);
	return true;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t turn_ms(const struct claims *c)
{
	int64_t calm = later(c->calm_since_ms, c->rebalance.troubled_ms) + CALM_MS;

	return later(calm, c->rebalance.handed_ms + gap_ms(c));
}

/* It hears most nodes, and knows what they and the API server say. */
static bool sees_all(const struct claims *c, int64_t now)
{
	return c->ready && c->synced && c->view_fresh && !member_knows_v1(c->member, now) &&
	       member_majority(c->member, now);
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
	rebalance_saw(c, now);
}

void rebalance_tick(struct claims *c, int64_t now)
{
	struct order_move m;

	if (now < c->rebalance.look_ms)
		return;
	if (!per_minute(c)) {
		c->rebalance.look_ms = CLAIMS_NEVER;
		return;
	}
	int64_t turn = turn_ms(c), gap = gap_ms(c);
	c->rebalance.look_ms = turn > now ? turn : now + (gap < LOOK_MS ? gap : LOOK_MS);
	if (turn > now || !sees_all(c, now))
		return;
	if (!order_next_move(c, now, &c->rebalance.after, &m)) {
		c->rebalance.pass = false;
		c->rebalance.after = (struct identity){ 0 };
	} else if (m.n > 0) {
		hand_over(c, now, &m);
	}
}
