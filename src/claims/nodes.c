/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Is the node of a restarting peer still there?
 *
 * A speaker that ends says that it restarts, and its peers hold its claims for some seconds.  But a
 * node that is rebooted ends its speaker in the same way, and then its network: nobody would answer
 * for the rest of the hold, which would be worse than a crash.  So while a peer restarts, its node
 * is asked, over and over and addressed to it alone, for the address that its heartbeats
 * came from, for which its kernel answers whether a speaker runs or not.  A node that leaves a few
 * questions in a row unanswered is gone, and the hold ends.
 *
 * A kernel may be set not to answer (arp_ignore 8), so silence counts only for a node that has
 * answered before; each peer is asked when it is new.  Only answers count: a request may come from
 * the speaker.
 */
#include "claims/private.h"

#include <string.h>

/*
 * The time between two questions to one node; with many peers, which all ask, it grows by this much
 * for each.
 */
#define ASK_MS 50
#define ASK_PER_PEER_MS 5
/*
 * Questions in a row without an answer; more if frames are being lost.  The losses may just have
 * begun: so after a few the questions come faster, and there are many in the time that a takeover
 * may take.
 */
#define UNANSWERED_MAX 12
#define UNANSWERED_MAX_LOSSY 24
/* times as fast */
#define UNANSWERED_FEW 3
#define URGENT 3
/* How often, and at which interval, a new peer is asked whether its node answers at all. */
#define GREETINGS 3
#define GREET_MS 1000

static int64_t ask_gap(const struct claims *c, const struct member_peer *p)
{
	if (p->state != MEMBER_RESTARTING)
		return GREET_MS;
	int64_t gap = (int64_t)c->member->n_slots * ASK_PER_PEER_MS;
	if (gap < ASK_MS)
		gap = ASK_MS;
	return c->tables[p->slot].unanswered < UNANSWERED_FEW ? gap : gap / URGENT;
}

/* When the next question to @p is due, or the conclusion from the previous ones. */
static int64_t due_ms(const struct claims *c, const struct member_peer *p)
{
	const struct claims_table *t = &c->tables[p->slot];
	bool asking = p->state == MEMBER_RESTARTING ||
	              (p->state == MEMBER_ALIVE && !t->answers && t->unanswered < GREETINGS);

	return asking && t->address.family ? t->asked_ms + ask_gap(c, p) : CLAIMS_NEVER;
}

void nodes_heard(struct claims *c, int64_t now, struct member_peer *p, enum member_state was,
                 bool is_new, const struct addr *source)
{
	struct claims_table *t = &c->tables[p->slot];

	if (!addr_eq(&t->address, source))
		t->answers = false;
	t->address = *source;
	if (is_new || was != p->state) {
		t->unanswered = 0;
		t->asked_ms = now - ask_gap(c, p);
	}
}

void claims_seen_node(struct claims *c, const struct addr *addr, const uint8_t *mac)
{
	const struct member_peer *p = member_by_mac(c->member, mac);

	if (!p || !addr_eq(&c->tables[p->slot].address, addr))
		return;
	c->tables[p->slot].answers = true;
	c->tables[p->slot].unanswered = 0;
}

static void ask(struct claims *c, int64_t now, struct member_peer *p)
{
	struct claims_table *t = &c->tables[p->slot];
	uint8_t max = now < c->doubt_until_ms ? UNANSWERED_MAX_LOSSY : UNANSWERED_MAX;

	if (p->state == MEMBER_RESTARTING && t->answers && t->unanswered >= max) {
		p->restart_until_ms = now; /* so that member_tick() ends the hold */
		t->asked_ms = now;
		return;
	}
	if (t->unanswered < UINT8_MAX)
		t->unanswered++;
	t->asked_ms = now;
	action_add(c, CLAIMS_ASK_PEER, &t->address);
	c->actions[c->n_actions - 1].slot = p->slot;
}

void nodes_tick(struct claims *c, int64_t now)
{
	if (!c->heard)
		return;
	for (size_t i = 0; i < c->member->n_slots; i++)
		if (c->member->peers[i] && due_ms(c, c->member->peers[i]) <= now)
			ask(c, now, c->member->peers[i]);
}

int64_t nodes_deadline(const struct claims *c)
{
	int64_t at = CLAIMS_NEVER;

	for (size_t i = 0; c->heard && i < c->member->n_slots; i++)
		if (c->member->peers[i] && due_ms(c, c->member->peers[i]) < at)
			at = due_ms(c, c->member->peers[i]);
	return at;
}
