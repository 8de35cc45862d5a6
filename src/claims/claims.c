/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * The decisions about ownership.  Everything goes through settle(), which looks at one address as
 * it is known now (our want, our claim, the peers' claims, the time) and brings it to the state
 * that follows; whatever changes any of these calls it again.  So there are no transitions to
 * forget:
 *
 *	claimed?  keep it, unless no longer entitled and no other node is to follow (handover.c),
 *	          or a rival's claim wins; after a silence through the gate
 *	not entitled:           L2_IDLE, or L2_OTHER
 *	a rival holds it:       L2_OTHER, unless the rival's claim is outdated
 *	free:                   through the gate, L2_WAITING (turn in the rendezvous order) →
 *	                        L2_PROBING → claim, or L2_STILL_ANSWERED / L2_CONFLICT with backoff
 *	                        if somebody answers the probe
 *
 * Weak claims.  When a segment falls apart, each part finds the other's nodes dead and takes over;
 * when it heals, the claims of the larger part should stand, so that what kept working goes on.  So
 * a claim made while most known nodes are not heard is weak, and so is one kept through a silence
 * of our own (link down, process stopped).  It becomes a full one when, for a while, most nodes are
 * heard and nobody has contested it.
 *
 * Silences.  A claim is kept through a silence, so that what nobody else took in the meantime does
 * not move.  It is not kept through one silence after another: peers that hear from us in between
 * wait, we listen, and nobody would answer.
 */
#include "claims/private.h"

#include <arpa/inet.h>
#include <string.h>

#include "fairlead/mem.h"

/*
 * A starting node listens for so many heartbeats, at least for so long, as long as one that stands
 * still may do so without being given up, and for the claims of those it heard; but not for ever.
 */
#define LISTEN_HEARTBEATS 3
#define LISTEN_MS 300
#define LISTEN_PATIENCE_MS 2000
/* How often it checks whether it still has to listen. */
#define LISTEN_POLL_MS 10
#define REVIEW_MS 1000
/*
 * After CLAIMS_SILENCES of our own within this time, what we own is better owned by another node.
 */
#define RESTLESS_MS 10000
/* A weak claim becomes a full one after this long without a peer coming or going. */
#define CALM_MS 1000
/* When announcements go out after becoming owner, and how often after that. */
static const int announce_gaps_ms[] = { 100, 200, 700, 1000, 3000 };
#define REFRESH_MS 60000

/* ---- life ---- */

void claims_init(struct claims *c, const struct claims_options *opts, struct member *m)
{
	memset(c, 0, sizeof(*c));
	c->opts = *opts;
	c->member = m;
	c->name_hash = hash64_str(opts->node, 0);
	c->start = opts->start ? opts->start : &c->own_start;
	c->synced = true;
	c->rebalance.awaited = -1;
	c->claims_room = WIRE_CLAIM_MAX;
	c->targets_room = WIRE_TARGET_MAX;
	c->next_review_ms = c->news_ms = c->rebalance.look_ms = CLAIMS_NEVER;
	order_init(c);
}

void claims_fini(struct claims *c)
{
	for (size_t i = 0; i < c->n_tables; i++)
		while (c->tables[i].list)
			table_drop(c, c->tables[i].list);
	free(c->tables);
	entries_free(c);
	order_fini(c);
	free(c->actions);
	free(c->tell);
	free(c->snapshot.addrs);
}

/* ---- settling ---- */

void freed_by(struct claims_entry *e, int64_t now, const struct member_peer *p,
              enum claims_freed how)
{
	e->freed = (uint8_t)how;
	e->freed_ms = now;
	e->yielder = p->slot;
	e->let_go_until_ms = 0;
}

static void announce(struct claims *c, int64_t now, struct claims_entry *e)
{
	int64_t gap = REFRESH_MS * 3 / 4;
	bool again = e->step > 0;

	if (e->step < ARRAY_LEN(announce_gaps_ms))
		gap = announce_gaps_ms[e->step++];
	else /* spread, so that many addresses do not stay in step */
		gap += (int64_t)(score(&e->addr, (uint64_t)now) % (REFRESH_MS / 2));
	action_add(c, again ? CLAIMS_REMIND : CLAIMS_ANNOUNCE, &e->addr);
	e->announce_at_ms = now + gap;
}

/* What an owner does as time passes. */
static void maintain(struct claims *c, int64_t now, struct claims_entry *e)
{
	if (now >= e->announce_at_ms)
		announce(c, now, e);
	rivals_verify(c, now, e);
	int64_t at = e->announce_at_ms;
	if (e->verify_at_ms < at)
		at = e->verify_at_ms;
	if (e->two_owners && e->rival_until_ms < at)
		at = e->rival_until_ms;
	if (e->offered_until_ms && e->offered_until_ms < at)
		at = e->offered_until_ms;
	entry_wake_at(c, e, at);
}

static struct wire_claim claim_for(const struct claims *c, int64_t now,
                                   const struct claims_entry *e, uint32_t epoch)
{
	return (struct wire_claim){
		.identity = e->want->identity,
		.epoch = epoch,
		.flags = member_majority(c->member, now) ? 0 : WIRE_CLAIM_WEAK,
	};
}

static void keep(struct claims *c, int64_t now, struct claims_entry *e, bool contested)
{
	if ((!c->ready || e->unproven) && !gate_passes(c, now, e, false))
		return;
	e->unproven = e->asks_again = false;
	gate_close(e);
	if (!same_identity(e->want, &e->own)) {
		struct wire_claim claim = claim_for(c, now, e, e->epoch_floor + 1);
		own_set(c, e, &claim);
	}
	/* The node that lost to us may have told caches on the segment otherwise. */
	bool won = e->contested && !contested;
	e->contested = contested;
	if (e->state != L2_OWNER || won) {
		set_state(c, e, L2_OWNER);
		e->step = 0;
		e->announce_at_ms = now;
		rivals_begin(c, now, e);
	}
	maintain(c, now, e);
}

static void claim_it(struct claims *c, int64_t now, struct claims_entry *e,
                     const struct claims_held *rival)
{
	bool resumed = resumes(e, now);
	struct wire_claim claim = claim_for(c, now, e, e->epoch_floor + (resumed ? 0 : 1));

	note_cause(now, e, rival);
	if (resumed)
		claim.flags = e->recalled->flags;
	else if (orphaned(e) || e->freed == CLAIMS_LAPSED)
		c->takeovers++;
	own_set(c, e, &claim);
	entry_forget_recalled(e);
	e->freed = CLAIMS_UNKNOWN;
	e->contested = e->unproven = false;
	keep(c, now, e, false);
}

static void stand_by(struct claims *c, int64_t now, struct claims_entry *e,
                     const struct claims_held *rival)
{
	gate_close(e);
	if (e->recalled && now >= e->recalled_until_ms)
		entry_forget_recalled(e);
	set_state(c, e, rival ? L2_OTHER : L2_IDLE);
	entry_wake_at(c, e, e->recalled ? e->recalled_until_ms : CLAIMS_NEVER);
}

/* Ours is claimed: it ends where another's prevails, or we may not be the owner any more. */
static void let_go_if_due(struct claims *c, int64_t now, struct claims_entry *e)
{
	bool lost = contested_and_lost(c, now, e);

	if (lost && !e->offered_until_ms)
		rebalance_trouble(c, now);
	c->rebalanced += lost && e->moves;
	if (e->moves ? !lost && rebalance_ends(c, now, e) : entitled(e))
		handover_cancel(c, e);
	if (!lost && (entitled(e) || hands_over(c, now, e)))
		return;
	c->yields += !entitled(e);
	own_clear(c, now, e);
}

void settle(struct claims *c, int64_t now, struct claims_entry *e)
{
	const struct claims_held *rival = best_rival(c, e);
	bool had = e->claimed;

	if (e->claimed)
		let_go_if_due(c, now, e);
	order_follow(c, now, e, rival);
	if (e->claimed)
		keep(c, now, e, rival != NULL);
	else if (!entitled(e) || (rival && !outdated(c, now, e, rival)))
		stand_by(c, now, e, rival);
	else if (gate_passes(c, now, e, rival != NULL))
		claim_it(c, now, e, rival);
	order_follow(c, now, e, rival);
	rivals_expire(c, now, e);
	uint16_t holder = rival ? rival->peer->slot : CLAIMS_NOBODY;
	if (e->holder != holder && e->want)
		action_add(c, CLAIMS_CHANGED, &e->addr);
	if (e->claimed ? !had : had || e->holder != holder) {
		e->since_ms = now;
		if ((had || e->holder != CLAIMS_NOBODY) && (e->claimed || rival)) {
			rebalance_saw(c, now);
			untaken_forget(c, e->claimed ? &e->own.identity : &rival->claim.identity);
		}
	}
	e->holder = holder;
	entry_prune(c, e);
}

static void settle_all(struct claims *c, int64_t now)
{
	struct claims_entry *e, *next;

	HASH_ITER(hh, c->entries, e, next)
		settle(c, now, e);
}

/* ---- inputs ---- */

/* How long it takes to hear of all that are there. */
static int64_t listen_ms(const struct l2_timing *t)
{
	int64_t beats = t->multiplier > LISTEN_HEARTBEATS ? t->multiplier : LISTEN_HEARTBEATS;
	int64_t ms = beats * t->heartbeat_ms;

	return ms > LISTEN_MS ? ms : LISTEN_MS;
}

static void set_timing(struct claims *c, const struct l2_timing *t)
{
	if (c->heard && !c->ready) {
		int64_t more = listen_ms(t) - listen_ms(&c->opts.timing);
		c->listen_until_ms += more;
		c->listen_check_ms += more;
	}
	c->opts.timing = *t;
}

void claims_set_wants(struct claims *c, int64_t now, const struct l2_snapshot *s,
                      const struct l2_want *const *wants, size_t n)
{
	order_forget(c);
	c->view = s;
	if (s->timing.heartbeat_ms)
		set_timing(c, &s->timing);
	if (s->view_fresh && !c->view_fresh)
		c->fresh_since_ms = now;
	c->view_fresh = s->view_fresh;
	for (size_t i = 0; i < c->member->n_slots; i++)
		if (c->member->peers[i])
			c->tables[i].node_index = node_index(s, c->member->peers[i]->name);
	for (struct claims_entry *e = c->entries; e; e = e->hh.next)
		e->want = NULL;
	c->crowded = false;
	for (size_t i = 0; i < n; i++) {
		struct claims_entry *e = entry_get(c, &wants[i]->addr);
		if (e)
			e->want = wants[i];
		c->crowded |= !e;
	}
	rebalance_follow(c, now);
	settle_all(c, now);
}

void claims_change_wants(struct claims *c, int64_t now, const struct claims_change *changes,
                         size_t n)
{
	order_forget(c);
	for (size_t i = 0; i < n; i++) {
		struct claims_entry *e = changes[i].want ? entry_get(c, &changes[i].addr)
		                                         : entry_find(c, &changes[i].addr);
		if (e)
			e->want = changes[i].want;
		c->crowded |= !e && changes[i].want;
	}
	for (size_t i = 0; i < n; i++) {
		struct claims_entry *e = entry_find(c, &changes[i].addr);
		if (e)
			settle(c, now, e);
	}
}

/*
 * Peers wait for an owner that falls silent for a moment, and it does not answer before it has
 * listened again: if it fell silent over and over, as with a flapping link, nobody would answer.
 * So it lets go of what it owns.
 */
static bool is_restless(struct claims *c, int64_t now)
{
	c->silences_ms[c->n_silences++ % CLAIMS_SILENCES] = now;
	int64_t first_ms = c->silences_ms[c->n_silences % CLAIMS_SILENCES];
	return c->n_silences >= CLAIMS_SILENCES && now - first_ms < RESTLESS_MS;
}

static void let_go(struct claims *c, int64_t now, struct claims_entry *e)
{
	if (e->claimed) {
		own_clear(c, now, e);
		c->yields++;
	}
	entry_forget_recalled(e);
}

void claims_listen(struct claims *c, int64_t now)
{
	bool restless = is_restless(c, now);

	c->heard = true;
	c->ready = false;
	c->calm_since_ms = now;
	c->listen_since_ms = now;
	c->listen_until_ms = now + listen_ms(&c->opts.timing);
	c->listen_check_ms = c->listen_until_ms;
	for (struct claims_entry *e = c->entries; e; e = e->hh.next) {
		if (restless)
			let_go(c, now, e);
		e->unproven = e->claimed;
		e->asks_again = false;
		if (e->claimed && !(e->own.flags & WIRE_CLAIM_WEAK)) {
			struct wire_claim claim = e->own;
			claim.flags |= WIRE_CLAIM_WEAK;
			own_set(c, e, &claim);
		}
	}
	settle_all(c, now);
}

void claims_deafen(struct claims *c, int64_t now)
{
	c->heard = c->ready = false;
	settle_all(c, now);
}

/* @p came, went, or came back: who owns what it holds is an open question again. */
static void settle_peer(struct claims *c, int64_t now, const struct member_peer *p)
{
	for (struct claims_held *h = c->tables[p->slot].list, *next; h; h = next) {
		next = h->next_of;
		settle(c, now, h->entry);
	}
}

void claims_receive(struct claims *c, int64_t now, struct member_peer *p, enum member_state was,
                    bool is_new, const struct wire_msg *msg)
{
	tables_reserve(c, c->member->n_slots);
	struct claims_table *t = &c->tables[p->slot];
	bool listened = t->listening;
	t->listening = p->flags & WIRE_LISTENING;
	bool was_fresh = t->fresh;
	t->fresh = p->flags & WIRE_FRESH;
	bool refused = msg->type == WIRE_HEARTBEAT && t->refuses != (msg->more & WIRE_REFUSES);
	if (refused)
		t->refuses = msg->more & WIRE_REFUSES;
	if (is_new || was != p->state || listened != t->listening || was_fresh != t->fresh ||
	    refused)
		order_forget(c);
	if (is_new) {
		t->name_hash = hash64_str(p->name, 0);
		t->node_index = c->view ? node_index(c->view, p->name) : -1;
		t->request = msg->n_claims > 0;
		c->request_pending |= t->request;
		table_renew(c, now, p, was == MEMBER_ALIVE || was == MEMBER_RESTARTING);
	}
	if (is_new || was != p->state)
		c->calm_since_ms = now;
	if (p->state == MEMBER_LEFT)
		table_clear(c, now, p, false, CLAIMS_YIELDED);
	if (was == MEMBER_DEAD && !is_new)
		t->unconfirmed = true;
	nodes_heard(c, now, p, was, is_new, &msg->source);
	if (is_new || msg->type == WIRE_HEARTBEAT)
		t->knows_moves = msg->type == WIRE_HEARTBEAT && msg->more & WIRE_KNOWS_MOVES;
	if (msg->type == WIRE_HEARTBEAT)
		t->address6 = msg->source.family == 6 ? msg->source : msg->source6;
	if (!is_new && msg->seq != t->last_seq + 1)
		doubt(c, now);
	t->last_seq = msg->seq;
	tables_receive(c, now, p, msg);
	bool confirmed = t->unconfirmed && t->synced;
	if (confirmed) {
		t->unconfirmed = false;
		order_forget(c);
	}
	/*
	 * A peer that does not hear us wins over us, and no message says when it stopped hearing
	 * us.
	 */
	if (was != p->state || confirmed || (t->n > 0 && member_deaf(c->member, p, now)))
		settle_peer(c, now, p);
	/* It may have been waited for. */
	if (c->ready && !c->settled && !t->listening && (is_new || listened))
		c->news_ms = now;
	start_heard(c, now, p, msg);
}

void claims_peer_event(struct claims *c, int64_t now, struct member_peer *p,
                       enum member_event event)
{
	c->calm_since_ms = now;
	order_forget(c);
	switch (event) {
	case MEMBER_DIED:
		rebalance_trouble(c, now);
		c->tables[p->slot].died = true;
		break;
	case MEMBER_FORGOTTEN:
		table_clear(c, now, p, false, CLAIMS_LAPSED);
		c->tables[p->slot] = (struct claims_table){ .node_index = -1 };
		break;
	}
	tables_review_synced(c);
}

uint8_t claims_more(const struct claims *c)
{
	uint8_t more = WIRE_KNOWS_MOVES;

	if (c->settled)
		more |= WIRE_SETTLED;
	if (c->view && c->view->refuses4)
		more |= WIRE_REFUSES_4;
	if (c->view && c->view->refuses6)
		more |= WIRE_REFUSES_6;
	return more;
}

bool claims_answers(const struct claims *c, const struct addr *addr)
{
	const struct claims_entry *e = entry_find(c, addr);

	return e && e->state == L2_OWNER;
}

void claims_fall_silent(struct claims *c, const struct addr *addr)
{
	struct claims_entry *e = entry_find(c, addr);

	if (e && e->state == L2_OWNER)
		set_state(c, e, L2_WAITING);
}

void claims_yield_all(struct claims *c, int64_t now)
{
	order_forget(c);
	for (struct claims_entry *e = c->entries; e; e = e->hh.next)
		e->want = NULL;
	settle_all(c, now);
}

/* ---- time ---- */

static void strengthen(struct claims *c)
{
	for (struct claims_entry *e = c->entries; e; e = e->hh.next)
		if (e->claimed && (e->own.flags & WIRE_CLAIM_WEAK) && !e->contested &&
		    !e->unproven) {
			struct wire_claim claim = e->own;
			claim.flags = 0;
			own_set(c, e, &claim);
		}
}

/* What changes with time alone. */
static void review(struct claims *c, int64_t now)
{
	for (size_t i = 0; i < c->member->n_slots; i++) {
		const struct member_peer *p = c->member->peers[i];
		if (p && p->state == MEMBER_ALIVE && member_stale_ms(p, now) > CLAIMS_STALE_MS)
			settle_peer(c, now, p);
	}
	rivals_review(c, now);
	if (c->ready && c->synced && member_majority(c->member, now) &&
	    now - c->calm_since_ms >= CALM_MS)
		strengthen(c);
}

static void end_listening(struct claims *c, int64_t now)
{
	int64_t stall_ends_ms = c->listen_since_ms + member_own_dead_ms(c->member);

	/* Where there are many, who stands still may do so for longer. */
	if (now < stall_ends_ms) {
		c->listen_check_ms = stall_ends_ms;
		return;
	}
	bool waiting = !c->synced || member_has_strangers(c->member, now);

	if (waiting && now < c->listen_until_ms + LISTEN_PATIENCE_MS) {
		c->listen_check_ms = now + LISTEN_POLL_MS;
		return;
	}
	c->ready = true;
	start_listened(c, now);
	member_beat_soon(c->member, now);
	c->next_review_ms = now + REVIEW_MS;
	rivals_review(c, now);
	settle_all(c, now);
}

/*
 * What arose since the last tick is looked at once: each time everybody's places are found anew,
 * and many peers die, or have listened to the end, together.
 */
static void settle_news(struct claims *c, int64_t now)
{
	for (size_t i = 0; i < c->n_tables; i++)
		if (c->tables[i].died) {
			c->tables[i].died = false;
			settle_peer(c, now, c->member->peers[i]);
		}
	if (now >= c->news_ms) {
		c->news_ms = CLAIMS_NEVER;
		settle_all(c, now);
	}
}

void claims_tick(struct claims *c, int64_t now)
{
	start_tick(c, now);
	settle_news(c, now);
	if (c->heard && !c->ready && now >= c->listen_check_ms)
		end_listening(c, now);
	if (now >= c->next_review_ms) {
		c->next_review_ms = now + REVIEW_MS;
		review(c, now);
	}
	for (size_t i = 0; i < c->member->n_slots; i++)
		if (c->member->peers[i] && c->tables[i].former_until_ms &&
		    now >= c->tables[i].former_until_ms)
			table_clear(c, now, c->member->peers[i], true, CLAIMS_LAPSED);
	nodes_tick(c, now);
	rebalance_tick(c, now);
	while (c->n_heap > 0 && c->heap[0]->at_ms <= now) {
		struct claims_entry *e = c->heap[0];
		int64_t at = e->at_ms;
		settle(c, now, e);
		/* Whatever was due must have been rescheduled; an entry that was not would spin. */
		if (c->n_heap > 0 && c->heap[0] == e && e->at_ms == at)
			entry_wake_at(c, e, now + 1);
	}
}

int64_t claims_deadline(const struct claims *c)
{
	int64_t at = c->n_heap > 0 ? c->heap[0]->at_ms : CLAIMS_NEVER;

	if (c->news_ms < at)
		at = c->news_ms;
	if (c->heard && !c->ready && c->listen_check_ms < at)
		at = c->listen_check_ms;
	if (c->next_review_ms < at)
		at = c->next_review_ms;
	if (c->rebalance.look_ms < at)
		at = c->rebalance.look_ms;
	for (size_t i = 0; i < c->member->n_slots; i++)
		if (c->tables[i].former_until_ms && c->tables[i].former_until_ms < at)
			at = c->tables[i].former_until_ms;
	int64_t nodes = nodes_deadline(c);
	return nodes < at ? nodes : at;
}

/* ---- telling ---- */

void claims_state(const struct claims *c, const struct addr *addr, struct l2_state *ret_state)
{
	struct l2_state s = { .addr = *addr, .cause = REASON_COUNT, .took_ms = -1 };
	const struct claims_entry *e = entry_find(c, addr);
	const struct claims_held *rival = e ? best_rival(c, e) : NULL;

	if (e)
		s.ownership = (enum l2_ownership)e->state;
	if (s.ownership == L2_OWNER) {
		memcpy(s.owner, c->opts.node, strlen(c->opts.node) + 1);
		memcpy(s.mac, c->member->opts.mac, sizeof(s.mac));
		s.epoch = e->own.epoch;
		s.since_ms = e->since_ms;
		s.cause = (enum reason)e->cause;
		s.took_ms = e->took_ms;
	} else if (rival) {
		memcpy(s.owner, rival->peer->name, sizeof(s.owner));
		memcpy(s.mac, rival->peer->mac, sizeof(s.mac));
		s.epoch = rival->claim.epoch;
		s.since_ms = e->since_ms;
	} else if (e && backing_off(e)) {
		memcpy(s.mac, e->rival_mac, sizeof(s.mac));
		s.peer_kernel = s.ownership == L2_KERNEL_ANSWERS;
	}
	if (s.ownership == L2_OWNER && e->kernel_seen) {
		s.peer_kernel = true;
		memcpy(s.rival, e->rival_mac, sizeof(s.rival));
	}
	if (e && e->two_owners) {
		s.two_owners = true;
		memcpy(s.rival, e->rival_mac, sizeof(s.rival));
	}
	*ret_state = s;
}
