/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * The decisions about ownership.  Everything goes through settle(), which looks at one address as it is known now (our
 * want, our claim, the peers' claims, the time) and brings it to the state that follows; whatever changes any of these
 * calls it again.  So there are no transitions to forget:
 *
 *	claimed?  keep it, unless no longer entitled, or a rival's claim wins
 *	not entitled:           L2_IDLE, or L2_OTHER
 *	a rival holds it:       L2_OTHER, unless the rival's claim is outdated
 *	free:                   L2_WAITING (turn in the rendezvous order) → L2_PROBING → claim, or
 *	                        L2_STILL_ANSWERED / L2_CONFLICT with backoff if somebody answers the probe
 *
 * Weak claims.  When a segment falls apart, both parts find the other's nodes dead and take over; when it heals, the
 * claims of the larger part should stand, so that what went on working goes on.  So a claim made while most known nodes are
 * unheard is weak, and so is one kept through a silence of our own (link down, process stopped).  It becomes a full one
 * when most nodes are heard, and nobody has contested it, for a while.
 */
#include "l2/claims_internal.h"

#include <arpa/inet.h>
#include <string.h>

#include "fairlead/mem.h"

/* The n-th candidate waits n times so long before it claims what nobody holds. */
#define RANK_STEP_MS 150
/* A node that starts listens for so many heartbeats, and for the claims of those it heard; but not for ever. */
#define LISTEN_HEARTBEATS 3
#define LISTEN_PATIENCE_MS 2000
/* How long the first candidate waits for the claims of a peer that is known to have claims we have not seen. */
#define SYNC_PATIENCE_MS 500
#define SYNC_POLL_MS 10
#define REVIEW_MS 1000
/* After so long without a peer coming or going a weak claim becomes a full one. */
#define CALM_MS 1000
/* Who finds an address answered for asks again after this, doubled each time. */
#define BACKOFF_MS 200
#define BACKOFF_STEPS 5
/* Strangers that ask for an address, and do not take it, hold up its claim for so long, or up to twice that. */
#define GIVE_WAY_MS 500
/*
 * So many probes go out at once, and as many after each pause: the receive buffer of who should answer holds a hundred or
 * so frames, and a probe that it loses makes a second owner.
 */
#define PROBES_AT_ONCE 32
#define PROBES_PAUSE_MS 2
/* RFC 5227 2.4: defend no more often. */
#define DEFEND_MS 10000

/* When gratuitous ARP goes out after becoming owner, and how often after that. */
static const int announce_gaps_ms[] = { 100, 200, 700, 1000, 3000 };
#define REFRESH_MS 60000

/* ---- life ---- */

void claims_init(struct claims *c, const struct claims_options *opts, struct member *m)
{
	memset(c, 0, sizeof(*c));
	c->opts = *opts;
	c->member = m;
	c->name_hash = hash64_str(opts->node, 0);
	c->synced = true;
	c->claims_room = WIRE_CLAIM_MAX;
	c->targets_room = WIRE_TARGET_MAX;
	c->next_review_ms = CLAIMS_NEVER;
}

void claims_fini(struct claims *c)
{
	for (size_t i = 0; i < c->n_tables; i++)
		while (c->tables[i].list)
			table_drop(c, c->tables[i].list);
	free(c->tables);
	entries_free(c);
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
}

static void announce(struct claims *c, int64_t now, struct claims_entry *e)
{
	int64_t gap = REFRESH_MS * 3 / 4;
	if (e->step < ARRAY_LEN(announce_gaps_ms))
		gap = announce_gaps_ms[e->step++];
	else /* spread, so that many addresses do not stay in step */
		gap += (int64_t)(score(e->addr, (uint64_t)now) % (REFRESH_MS / 2));
	action_add(c, CLAIMS_ANNOUNCE, e->addr);
	entry_wake_at(c, e, now + gap);
}

static void announce_anew(struct claims *c, int64_t now, struct claims_entry *e)
{
	e->step = 0;
	announce(c, now, e);
}

static struct wire_claim claim_for(const struct claims *c, int64_t now,
                                   const struct claims_entry *e, uint32_t epoch)
{
	struct wire_claim claim = { .created_us = e->want->created_us,
		                    .epoch = epoch,
		                    .flags =
		                            member_majority(c->member, now) ? 0 : WIRE_CLAIM_WEAK };
	memcpy(claim.uid, e->want->uid, sizeof(claim.uid));
	return claim;
}

static void keep(struct claims *c, int64_t now, struct claims_entry *e, bool contested)
{
	if (!c->ready) {
		set_state(c, e, L2_WAITING);
		entry_wake_at(c, e, CLAIMS_NEVER);
		return;
	}
	if (!same_service(e->want, &e->own)) {
		struct wire_claim claim = claim_for(c, now, e, e->epoch_floor + 1);
		own_set(c, e, &claim);
	}
	/* Who lost to us may have told caches on the segment otherwise. */
	bool won = e->contested && !contested;
	e->contested = contested;
	if (e->state != L2_OWNER || won) {
		set_state(c, e, L2_OWNER);
		announce_anew(c, now, e);
	} else if (now >= e->at_ms) {
		announce(c, now, e);
	}
}

static void claim_it(struct claims *c, int64_t now, struct claims_entry *e)
{
	bool resumed = resumes(e, now);
	struct wire_claim claim = claim_for(c, now, e, e->epoch_floor + (resumed ? 0 : 1));
	if (resumed)
		claim.flags = e->recalled->flags;
	else if (orphaned(e) || e->freed == CLAIMS_LAPSED)
		c->takeovers++;
	own_set(c, e, &claim);
	entry_forget_recalled(e);
	e->freed = CLAIMS_UNKNOWN;
	e->free_since_ms = e->asked_since_ms = 0;
	e->contested = false;
	keep(c, now, e, false);
}

static bool backing_off(const struct claims_entry *e)
{
	return e->state == L2_STILL_ANSWERED || e->state == L2_CONFLICT;
}

/* Who has found the address answered for still says so while he waits. */
static void wait_until(struct claims *c, struct claims_entry *e, int64_t at_ms)
{
	if (!backing_off(e))
		set_state(c, e, L2_WAITING);
	entry_wake_at(c, e, at_ms);
}

/*
 * Is a probe by who is no peer reason to wait?  A speaker that asks claims soon after, or was answered; who asks on and on is
 * some other program, and must not keep the address from everybody.  Speakers that do not know each other lose patience
 * at different times.
 */
static bool is_patient(const struct claims *c, int64_t now, const struct claims_entry *e)
{
	int64_t patience = GIVE_WAY_MS + (int64_t)(score(e->addr, c->name_hash) % GIVE_WAY_MS);
	return !e->asked_since_ms || now - e->asked_since_ms < patience;
}

/*
 * When somebody else last asked for the address, CLAIMS_NEVER negated if that is not known or no reason to wait.  It need not
 * be wanted here yet: news of a Service come to two nodes a moment apart.
 */
static int64_t heard_probe_ms(const struct claims *c, int64_t now, const struct claims_entry *e)
{
	bool patient = is_patient(c, now, e);
	int64_t at = -CLAIMS_NEVER;
	for (size_t i = 0; i < ARRAY_LEN(c->probes_heard); i++)
		if (c->probes_heard[i].addr == e->addr && c->probes_heard[i].at_ms > at &&
		    (patient || c->probes_heard[i].of_peer))
			at = c->probes_heard[i].at_ms;
	return at;
}

/* When this node may ask for what nobody holds, or claim it. */
static int64_t turn_of(const struct claims *c, int64_t now, const struct claims_entry *e)
{
	int64_t turn = e->free_since_ms;
	int64_t give_way_until = heard_probe_ms(c, now, e) + RANK_STEP_MS;
	if (!backing_off(e) && !resumes(e, now))
		turn += (int64_t)rank(c, now, e) * RANK_STEP_MS;
	return turn > give_way_until ? turn : give_way_until;
}

/* When one more probe may go out, which then counts as sent if that is @now. */
static int64_t probe_turn(struct claims *c, int64_t now)
{
	if (now - c->probed.at_ms >= PROBES_PAUSE_MS) {
		c->probed.at_ms = now;
		c->probed.n = 0;
	}
	if (c->probed.n < PROBES_AT_ONCE) {
		c->probed.n++;
		return now;
	}
	if (c->held_back.at_ms <= now) {
		c->held_back.at_ms = c->probed.at_ms + PROBES_PAUSE_MS;
		c->held_back.n = 0;
	} else if (c->held_back.n == PROBES_AT_ONCE) {
		c->held_back.at_ms += PROBES_PAUSE_MS;
		c->held_back.n = 0;
	}
	c->held_back.n++;
	return c->held_back.at_ms;
}

static void ask(struct claims *c, int64_t now, struct claims_entry *e)
{
	int64_t turn = probe_turn(c, now);
	if (turn > now) {
		wait_until(c, e, turn);
		return;
	}
	if (!backing_off(e))
		e->step = 0;
	set_state(c, e, L2_PROBING);
	action_add(c, CLAIMS_PROBE, e->addr);
	entry_wake_at(c, e, now + c->opts.probe_ms);
}

/* The address may become ours: wait for our turn, ask, claim. @overrule: a rival holds it and will let go. */
static void pursue(struct claims *c, int64_t now, struct claims_entry *e, bool overrule)
{
	if (!c->ready) {
		e->free_since_ms = e->asked_since_ms = 0;
		set_state(c, e, L2_WAITING);
		entry_wake_at(c, e, CLAIMS_NEVER);
		return;
	}
	if (backing_off(e) && now < e->at_ms)
		return;
	if (e->state == L2_PROBING) {
		if (now >= e->at_ms)
			claim_it(c, now, e);
		return;
	}
	if (!e->free_since_ms)
		e->free_since_ms = now;
	int64_t turn = turn_of(c, now, e);
	if (now < turn) {
		wait_until(c, e, turn);
	} else if (!c->synced && now < turn + SYNC_PATIENCE_MS) {
		wait_until(c, e, now + SYNC_POLL_MS);
	} else if (!overrule && must_ask(c, now, e)) {
		ask(c, now, e);
	} else {
		claim_it(c, now, e);
	}
}

static void stand_by(struct claims *c, int64_t now, struct claims_entry *e,
                     const struct claims_held *rival)
{
	e->free_since_ms = e->asked_since_ms = 0;
	if (e->recalled && now >= e->recalled_until_ms)
		entry_forget_recalled(e);
	set_state(c, e, rival ? L2_OTHER : L2_IDLE);
	entry_wake_at(c, e, e->recalled ? e->recalled_until_ms : CLAIMS_NEVER);
}

void settle(struct claims *c, int64_t now, struct claims_entry *e)
{
	const struct claims_held *rival = best_rival(c, e);
	if (e->claimed && !entitled(e)) {
		own_clear(c, e);
		c->yields++;
	} else if (e->claimed && contested_and_lost(c, now, e)) {
		own_clear(c, e);
	}
	if (e->claimed)
		keep(c, now, e, rival != NULL);
	else if (!entitled(e) || (rival && !outdated(c, now, e, rival)))
		stand_by(c, now, e, rival);
	else
		pursue(c, now, e, rival != NULL);
	uint16_t holder = rival ? rival->peer->slot : CLAIMS_NOBODY;
	if (e->holder != holder && e->want)
		action_add(c, CLAIMS_CHANGED, e->addr);
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

static int node_index(const struct l2_snapshot *s, const char *name)
{
	size_t low = 0, high = s->n_nodes;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strcmp(s->nodes[mid], name);
		if (order == 0)
			return (int)mid;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return -1;
}

void claims_set_wants(struct claims *c, int64_t now, const struct l2_snapshot *s,
                      const struct l2_want *const *wants, size_t n)
{
	c->view = s;
	c->view_fresh = s->view_fresh;
	for (size_t i = 0; i < c->member->n_slots; i++)
		if (c->member->peers[i])
			c->tables[i].node_index = node_index(s, c->member->peers[i]->name);
	for (struct claims_entry *e = c->entries; e; e = e->hh.next)
		e->want = NULL;
	for (size_t i = 0; i < n; i++) {
		const uint8_t *b = wants[i]->addr.b;
		uint32_t addr =
			(uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
		struct claims_entry *e = entry_get(c, addr);
		if (e)
			e->want = wants[i];
	}
	settle_all(c, now);
}

void claims_listen(struct claims *c, int64_t now)
{
	c->heard = true;
	c->ready = false;
	c->calm_since_ms = now;
	c->listen_until_ms = now + (int64_t)LISTEN_HEARTBEATS * c->opts.heartbeat_ms;
	c->listen_check_ms = c->listen_until_ms;
	for (struct claims_entry *e = c->entries; e; e = e->hh.next)
		if (e->claimed && !(e->own.flags & WIRE_CLAIM_WEAK)) {
			struct wire_claim claim = e->own;
			claim.flags |= WIRE_CLAIM_WEAK;
			own_set(c, e, &claim);
		}
	settle_all(c, now);
}

void claims_deafen(struct claims *c, int64_t now)
{
	c->heard = c->ready = false;
	settle_all(c, now);
}

/* @p came, went, or came back: whoever holds what it holds is a question again. */
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
	if (is_new) {
		t->name_hash = hash64_str(p->name, 0);
		t->node_index = c->view ? node_index(c->view, p->name) : -1;
		t->request = msg->n_claims > 0;
		table_renew(c, now, p, was == MEMBER_ALIVE || was == MEMBER_RESTARTING);
	}
	if (is_new || was != p->state)
		c->calm_since_ms = now;
	if (p->state == MEMBER_LEFT)
		table_clear(c, now, p, false, CLAIMS_YIELDED);
	if (was == MEMBER_DEAD && !is_new)
		t->unconfirmed = true;
	tables_receive(c, now, p, msg);
	bool confirmed = t->unconfirmed && t->synced;
	if (confirmed)
		t->unconfirmed = false;
	/* One that does not hear us wins over us; when it stopped to hear us, no message says. */
	if (was != p->state || confirmed || (t->n > 0 && member_deaf(c->member, p, now)))
		settle_peer(c, now, p);
}

void claims_peer_event(struct claims *c, int64_t now, struct member_peer *p,
                       enum member_event event)
{
	c->calm_since_ms = now;
	switch (event) {
	case MEMBER_DIED:
		settle_peer(c, now, p);
		break;
	case MEMBER_FORGOTTEN:
		table_clear(c, now, p, false, CLAIMS_LAPSED);
		memset(&c->tables[p->slot], 0, sizeof(c->tables[p->slot]));
		break;
	}
	tables_review_synced(c);
}

static void back_off(struct claims *c, int64_t now, struct claims_entry *e, enum l2_ownership state,
                     const uint8_t *mac)
{
	if (e->step < BACKOFF_STEPS)
		e->step++;
	memcpy(e->rival_mac, mac, WIRE_MAC_SIZE);
	e->asked_since_ms = 0;
	set_state(c, e, state);
	entry_wake_at(c, e, now + (BACKOFF_MS << (e->step - 1)));
}

void claims_seen(struct claims *c, int64_t now, uint32_t addr, const uint8_t *mac)
{
	struct claims_entry *e = entry_find(c, addr);
	if (!e)
		return;
	const struct member_peer *p = member_by_mac(c->member, mac);
	if (e->state == L2_PROBING && p && p->state == MEMBER_ALIVE) {
		/* It claimed the address meanwhile, and will tell. */
		e->free_since_ms = now + BACKOFF_MS;
		wait_until(c, e, e->free_since_ms);
	} else if (e->state == L2_PROBING) {
		if (!p)
			c->conflicts++;
		back_off(c, now, e, p || orphaned(e) ? L2_STILL_ANSWERED : L2_CONFLICT, mac);
	} else if (e->state == L2_OWNER && !p && now - e->defended_ms >= DEFEND_MS) {
		/* With peers, claims settle it; their gratuitous ARP may come before their claim. */
		e->defended_ms = now;
		c->conflicts++;
		action_add(c, CLAIMS_ANNOUNCE, addr);
	}
}

void claims_seen_probe(struct claims *c, int64_t now, uint32_t addr, const uint8_t *mac)
{
	size_t i = c->next_probe_heard++ % ARRAY_LEN(c->probes_heard);
	bool of_peer = member_by_mac(c->member, mac) != NULL;
	c->probes_heard[i].addr = addr;
	c->probes_heard[i].of_peer = of_peer;
	c->probes_heard[i].at_ms = now;
	struct claims_entry *e = entry_find(c, addr);
	if (!e)
		return;
	if (!of_peer && e->free_since_ms && !e->asked_since_ms)
		e->asked_since_ms = now;
	/* RFC 5227 2.1.1 has both give way; so that one goes on, it is the lower address here. */
	if (e->state == L2_PROBING && memcmp(mac, c->member->opts.mac, WIRE_MAC_SIZE) < 0 &&
	    (of_peer || is_patient(c, now, e)))
		wait_until(c, e, now + RANK_STEP_MS);
}

bool claims_answers(const struct claims *c, uint32_t addr)
{
	const struct claims_entry *e = entry_find(c, addr);
	return e && e->state == L2_OWNER;
}

void claims_yield_all(struct claims *c, int64_t now)
{
	for (struct claims_entry *e = c->entries; e; e = e->hh.next)
		e->want = NULL;
	settle_all(c, now);
}

/* ---- time ---- */

static void strengthen(struct claims *c)
{
	for (struct claims_entry *e = c->entries; e; e = e->hh.next)
		if (e->claimed && (e->own.flags & WIRE_CLAIM_WEAK) && !e->contested) {
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
	if (c->ready && c->synced && member_majority(c->member, now) &&
	    now - c->calm_since_ms >= CALM_MS)
		strengthen(c);
}

static void end_listening(struct claims *c, int64_t now)
{
	bool waiting = !c->synced || member_has_strangers(c->member, now);
	if (waiting && now < c->listen_until_ms + LISTEN_PATIENCE_MS) {
		c->listen_check_ms = now + SYNC_POLL_MS;
		return;
	}
	c->ready = true;
	c->next_review_ms = now + REVIEW_MS;
	settle_all(c, now);
}

void claims_tick(struct claims *c, int64_t now)
{
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
	while (c->n_heap > 0 && c->heap[0]->at_ms <= now) {
		struct claims_entry *e = c->heap[0];
		int64_t at = e->at_ms;
		settle(c, now, e);
		/* Whatever was due must have moved on; an entry that did not would spin. */
		if (c->n_heap > 0 && c->heap[0] == e && e->at_ms == at)
			entry_wake_at(c, e, now + 1);
	}
}

int64_t claims_deadline(const struct claims *c)
{
	int64_t at = c->n_heap > 0 ? c->heap[0]->at_ms : CLAIMS_NEVER;
	if (c->heard && !c->ready && c->listen_check_ms < at)
		at = c->listen_check_ms;
	if (c->next_review_ms < at)
		at = c->next_review_ms;
	for (size_t i = 0; i < c->member->n_slots; i++)
		if (c->tables[i].former_until_ms && c->tables[i].former_until_ms < at)
			at = c->tables[i].former_until_ms;
	return at;
}

/* ---- telling ---- */

static struct addr addr_of(uint32_t addr)
{
	return addr_from_in((struct in_addr){ .s_addr = htonl(addr) });
}

void claims_state(const struct claims *c, uint32_t addr, struct l2_state *ret_state)
{
	struct l2_state s = { .addr = addr_of(addr) };
	const struct claims_entry *e = entry_find(c, addr);
	const struct claims_held *rival = e ? best_rival(c, e) : NULL;
	if (e)
		s.ownership = (enum l2_ownership)e->state;
	if (s.ownership == L2_OWNER) {
		memcpy(s.owner, c->opts.node, strlen(c->opts.node) + 1);
		memcpy(s.mac, c->member->opts.mac, sizeof(s.mac));
		s.epoch = e->own.epoch;
	} else if (rival) {
		memcpy(s.owner, rival->peer->name, sizeof(s.owner));
		memcpy(s.mac, rival->peer->mac, sizeof(s.mac));
		s.epoch = rival->claim.epoch;
	} else if (s.ownership == L2_STILL_ANSWERED || s.ownership == L2_CONFLICT) {
		memcpy(s.mac, e->rival_mac, sizeof(s.mac));
	}
	*ret_state = s;
}
