/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wait after a start.
 *
 * Where all speakers start together, as after an installation, one of them is the first by some
 * tenths of a second, and would find itself the only candidate for everything.  So for a while it
 * claims what nobody has held only once all candidates whose Nodes are Ready are there (gate.c).
 *
 * One of these may never come, since a node that runs no speaker is Ready, too.  Then the wait ends
 * by itself, and has to end for all at once: each began at its own start, and who was the first
 * would find the others waiting still, give them their turns in vain, and take everything.  So who
 * waits no more says so, and whoever hears that does not wait any more either.  What nobody has is
 * spread over those that are there by then; who comes later gets of what is new later.
 *
 * The wait is the process's, not the segment's: when an interface appears on a node that has been
 * running for long, its peers there are no more likely to be starting than at any other time.
 */
#include "config.h"

#include "claims/private.h"

/* For how long, from when the first of the process's segments has listened to the end. */
#define CLAIMS_START_MS 2000

/*
 * If somebody is missing, what waited is looked at again in the next tick, and peers, which may
 * wait, too, hear of it at once.
 */
static void end_wait(struct claims *c, int64_t now)
{
	c->settled = true;
	c->settled_ms = now;
	if (!order_lacks_nodes(c, now))
		return;
	c->news_ms = now;
	if (member_has_live(c->member))
		member_beat_soon(c->member, now);
}

void start_listened(struct claims *c, int64_t now)
{
	if (!c->start->until_ms)
		c->start->until_ms = now + CLAIMS_START_MS;
	start_tick(c, now);
}

/* What waits has this looked at in time; else the next heartbeat is early enough. */
void start_tick(struct claims *c, int64_t now)
{
	if (c->ready && !c->settled && now >= c->start->until_ms)
		end_wait(c, now);
}

void start_heard(struct claims *c, int64_t now, const struct member_peer *p,
                 const struct wire_msg *msg)
{
	if (c->ready && !c->settled && msg->more & WIRE_SETTLED && p->state == MEMBER_ALIVE)
		end_wait(c, now);
}
