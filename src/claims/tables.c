/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Each peer's claims, as it reported them.
 *
 * A copy is right when its digest equals the one in the peer's heartbeat.  A delta keeps it right;
 * if one was lost, the next heartbeat shows it, and we ask for a snapshot.  A snapshot comes in
 * parts, each of which is the whole truth for a range of addresses at the moment it was sent, so
 * that a part helps even where others are lost.  Messages of one peer are accepted only in the
 * order of their sequence numbers, so an old part never overwrites a newer delta.
 */
#include "claims/private.h"

#include <string.h>

#include "fairlead/mem.h"

/* How often a node that listens is told what it claimed before. */
#define RECALL_GAP_MS 150
/* A peer that asks for our snapshot again within so many heartbeats did not get it. */
#define REPEATED_HEARTBEATS 10
/* How long messages are then small. */
#define SMALL_MS 60000

/* ---- the copy ---- */

void tables_reserve(struct claims *c, size_t n_slots)
{
	if (n_slots <= c->n_tables)
		return;
	c->tables = xreallocarray(c->tables, n_slots, sizeof(*c->tables));
	memset(c->tables + c->n_tables, 0, (n_slots - c->n_tables) * sizeof(*c->tables));
	c->n_tables = n_slots;
}

void table_drop(struct claims *c, struct claims_held *h)
{
	struct claims_table *t = &c->tables[h->peer->slot];
	struct claims_held **link = &h->entry->others;

	while (*link != h)
		link = &(*link)->next;
	*link = h->next;
	if (h->prev_of)
		h->prev_of->next_of = h->next_of;
	else
		t->list = h->next_of;
	if (h->next_of)
		h->next_of->prev_of = h->prev_of;
	if (!h->former) {
		t->digest -= claim_digest(&h->claim);
		t->n--;
	}
	free(h);
}

static struct claims_held *table_find(const struct claims_entry *e, const struct member_peer *p)
{
	struct claims_held *h = e->others;

	while (h && h->peer != p)
		h = h->next;
	return h;
}

bool table_put(struct claims *c, int64_t now, struct member_peer *p, const struct wire_claim *claim)
{
	struct claims_table *t = &c->tables[p->slot];
	bool full = t->n >= CLAIMS_PER_PEER_MAX;
	struct claims_entry *e = full ? entry_find(c, &claim->addr) : entry_get(c, &claim->addr);
	struct claims_held *h = e ? table_find(e, p) : NULL;

	if (full && !h)
		c->refused++;
	if (!e || (full && !h))
		return false;
	if (h)
		table_drop(c, h);
	h = xcalloc(1, sizeof(*h));
	h->claim = *claim;
	h->claim.flags &= WIRE_CLAIM_WEAK;
	if (claim->flags & WIRE_CLAIM_OFFERED) {
		h->offered_until_ms = now + CLAIMS_OFFER_MS;
		h->moves = claim->flags & WIRE_CLAIM_MOVES;
		rebalance_saw(c, now);
	}
	h->peer = p;
	h->entry = e;
	h->next = e->others;
	e->others = h;
	h->next_of = t->list;
	if (t->list)
		t->list->prev_of = h;
	t->list = h;
	t->digest += claim_digest(claim);
	t->n++;
	if (claim->epoch > e->epoch_floor)
		e->epoch_floor = claim->epoch;
	return true;
}

void table_renew(struct claims *c, int64_t now, struct member_peer *p, bool hold)
{
	struct claims_table *t = &c->tables[p->slot];

	if (!hold) {
		table_clear(c, now, p, false, CLAIMS_LAPSED);
	} else {
		for (struct claims_held *h = t->list; h; h = h->next_of)
			h->former = true;
		if (t->list)
			t->former_until_ms = now + c->opts.restart_hold_ms;
	}
	t->digest = 0;
	t->n = 0;
	t->recalled_ms = 0;
}

/*
 * @h is dropped, and its address becomes free as @how says.  An address that a peer kept through a
 * silence of its own, or claimed in a minority, may have another owner that the peer does not hear:
 * when the peer lets go of it, nobody may take it without asking.  Nor where the peer offered it to
 * another one, which has it by now, as its claim will tell.
 */
static void table_release(struct claims *c, int64_t now, struct claims_held *h,
                          enum claims_freed how)
{
	struct claims_entry *e = h->entry;
	const struct member_peer *p = h->peer;

	if (how == CLAIMS_YIELDED && ((h->claim.flags & WIRE_CLAIM_WEAK) || h->moves))
		how = CLAIMS_DOUBTED;
	table_drop(c, h);
	freed_by(e, now, p, how);
	settle(c, now, e);
}

void table_clear(struct claims *c, int64_t now, struct member_peer *p, bool former_only,
                 enum claims_freed how)
{
	struct claims_table *t = &c->tables[p->slot];

	for (struct claims_held *h = t->list, *next; h; h = next) {
		next = h->next_of;
		if (!former_only || h->former)
			table_release(c, now, h, how);
	}
	t->former_until_ms = 0;
}

void tables_review_synced(struct claims *c)
{
	c->synced = true;
	for (size_t i = 0; i < c->member->n_slots; i++)
		if (c->member->peers[i] && c->member->peers[i]->state == MEMBER_ALIVE &&
		    !c->tables[i].synced)
			c->synced = false;
}

/* ---- receiving ---- */

static void receive_claim(struct claims *c, int64_t now, struct member_peer *p,
                          const struct wire_claim *claim)
{
	if (!table_put(c, now, p, claim))
		return;
	settle(c, now, entry_find(c, &claim->addr));
	if (claim->flags & WIRE_CLAIM_OFFERED && claim->flags & WIRE_CLAIM_MOVES)
		rebalance_offered(c, now, p, entry_find(c, &claim->addr));
}

/* @how: CLAIMS_DOUBTED unless the peer is known to have been the only one to answer. */
static void receive_gone(struct claims *c, int64_t now, struct member_peer *p,
                         const struct addr *addr, enum claims_freed how)
{
	struct claims_entry *e = entry_find(c, addr);
	struct claims_held *h = e ? table_find(e, p) : NULL;

	if (h)
		table_release(c, now, h, how);
}

static bool in_part(const struct wire_msg *msg, const struct addr *addr)
{
	return addr_cmp(addr, &msg->first) >= 0 && addr_cmp(addr, &msg->last) <= 0;
}

static bool part_has(const struct wire_msg *msg, const struct addr *addr)
{
	for (size_t i = 0; i < msg->n; i++)
		if (addr_eq(&msg->claims[i].addr, addr))
			return true;
	return false;
}

static void receive_part(struct claims *c, int64_t now, struct member_peer *p,
                         const struct wire_msg *msg)
{
	/*
	 * New claims first: an address that another entry of the same part settles must not look
	 * free in between.
	 */
	for (size_t i = 0; i < msg->n; i++)
		if (in_part(msg, &msg->claims[i].addr))
			receive_claim(c, now, p, &msg->claims[i]);
	for (struct claims_held *h = c->tables[p->slot].list, *next; h; h = next) {
		next = h->next_of;
		if (!h->former && in_part(msg, &h->claim.addr) && !part_has(msg, &h->claim.addr))
			receive_gone(c, now, p, &h->claim.addr, CLAIMS_DOUBTED);
	}
}

static void receive_recall(struct claims *c, int64_t now, const struct wire_msg *msg)
{
	if (msg->target != c->member->opts.incarnation)
		return;
	for (size_t i = 0; i < msg->n; i++) {
		const struct wire_claim *claim = &msg->claims[i];
		struct claims_entry *e = entry_get(c, &claim->addr);
		if (!e || (e->recalled && e->recalled->epoch >= claim->epoch))
			continue;
		entry_forget_recalled(e);
		e->recalled = xmemdup(claim, sizeof(*claim));
		e->recalled->flags &= WIRE_CLAIM_WEAK;
		e->recalled_until_ms = now + c->opts.restart_hold_ms;
		if (claim->epoch > e->epoch_floor)
			e->epoch_floor = claim->epoch;
		settle(c, now, e);
	}
}

static void snapshot_begin(struct claims *c)
{
	c->snapshot.addrs = xreallocarray(c->snapshot.addrs, c->n_owned, sizeof(struct addr));
	c->snapshot.n = c->snapshot.next = 0;
	for (struct claims_entry *e = c->entries; e; e = e->hh.next)
		if (e->claimed)
			c->snapshot.addrs[c->snapshot.n++] = e->addr;
	addrs_sort(c->snapshot.addrs, c->snapshot.n);
	c->snapshot.version = c->version;
	c->snapshot.active = true;
}

/*
 * The peer asked a few heartbeats ago, was sent the snapshot, and asks again: it was lost.  That
 * may be chance; or the wire carries less than the interfaces promise, and would never let it pass.
 */
static bool asks_again(const struct claims *c, int64_t now, const struct claims_table *t)
{
	int64_t ago = now - t->requested_ms;

	return t->requested_ms && ago >= c->opts.timing.heartbeat_ms / 2 &&
	       ago <= (int64_t)REPEATED_HEARTBEATS * c->opts.timing.heartbeat_ms;
}

static void receive_request(struct claims *c, int64_t now, struct claims_table *t,
                            const struct wire_msg *msg)
{
	for (size_t i = 0; i < msg->n; i++) {
		if (msg->targets[i] != c->member->opts.incarnation || c->snapshot.active)
			continue;
		if (asks_again(c, now, t))
			c->small_until_ms = now + SMALL_MS;
		t->requested_ms = now;
		snapshot_begin(c);
	}
}

/* A peer that listens may have lost what it knew: we tell it what it claimed before. */
static void remind(struct claims *c, int64_t now, struct member_peer *p)
{
	struct claims_table *t = &c->tables[p->slot];

	if (!(p->flags & WIRE_LISTENING) || !t->former_until_ms ||
	    now - t->recalled_ms < RECALL_GAP_MS)
		return;
	t->recalled_ms = now;
	for (struct claims_held *h = t->list; h; h = h->next_of)
		if (h->former)
			h->recall_pending = c->recall_pending = true;
}

static bool has_room(const struct claims *c, const struct claims_table *t)
{
	return t->n < CLAIMS_PER_PEER_MAX && HASH_COUNT(c->entries) < CLAIMS_ENTRIES_MAX;
}

void tables_receive(struct claims *c, int64_t now, struct member_peer *p,
                    const struct wire_msg *msg)
{
	struct claims_table *t = &c->tables[p->slot];

	switch (msg->type) {
	case WIRE_HEARTBEAT:
		break;
	case WIRE_DELTA:
		for (size_t i = 0; i < msg->n; i++)
			if (msg->claims[i].flags & WIRE_CLAIM_GONE)
				receive_gone(c, now, p, &msg->claims[i].addr,
				             msg->claims[i].flags & WIRE_CLAIM_WEAK
				                     ? CLAIMS_DOUBTED
				                     : CLAIMS_YIELDED);
			else
				receive_claim(c, now, p, &msg->claims[i]);
		break;
	case WIRE_SNAPSHOT:
		receive_part(c, now, p, msg);
		break;
	case WIRE_REQUEST:
		receive_request(c, now, t, msg);
		break;
	case WIRE_RECALL:
		receive_recall(c, now, msg);
		break;
	}
	t->synced = t->digest == msg->digest && t->n == msg->n_claims;
	/*
	 * Only a heartbeat comes when nothing else is under way.  Claims for which there is no room
	 * are not requested over and over.
	 */
	if (!t->synced && msg->type == WIRE_HEARTBEAT && has_room(c, t))
		t->request = c->request_pending = true;
	remind(c, now, p);
	if (!t->synced || !c->synced)
		tables_review_synced(c);
}

/* ---- sending ---- */

static bool next_delta(struct claims *c, struct wire_msg *msg)
{
	if (c->n_tell == 0)
		return false;
	msg->type = WIRE_DELTA;
	while (c->n_tell > 0 && msg->n < c->claims_room) {
		const struct addr *addr = &c->tell[--c->n_tell];
		struct claims_entry *e = entry_find(c, addr);
		struct wire_claim *claim = &msg->claims[msg->n++];
		if (e)
			e->telling = false;
		if (e && e->claimed)
			*claim = e->own;
		else
			*claim = (struct wire_claim){ .addr = *addr, .flags = WIRE_CLAIM_GONE };
		/*
		 * Given up to another machine that answers, or after a silence of ours: no peer may
		 * take it without asking.
		 */
		if ((claim->flags & WIRE_CLAIM_GONE) && (!c->ready || (e && backing_off(e))))
			claim->flags |= WIRE_CLAIM_WEAK;
	}
	return true;
}

static bool next_recall(struct claims *c, struct wire_msg *msg)
{
	struct member_peer *to = NULL;

	for (size_t i = 0; c->recall_pending && !to && i < c->member->n_slots; i++)
		for (struct claims_held *h = c->tables[i].list; h && msg->n < c->claims_room;
		     h = h->next_of) {
			if (!h->recall_pending)
				continue;
			h->recall_pending = false;
			to = h->peer;
			msg->claims[msg->n++] = h->claim;
		}
	if (!to) {
		c->recall_pending = false;
		return false;
	}
	msg->type = WIRE_RECALL;
	msg->target = to->incarnation;
	return true;
}

static bool next_part(struct claims *c, struct wire_msg *msg)
{
	if (!c->snapshot.active)
		return false;
	if (c->snapshot.version != c->version)
		snapshot_begin(c);
	msg->type = WIRE_SNAPSHOT;
	msg->first = wire_first;
	if (c->snapshot.next)
		addr_next(&c->snapshot.addrs[c->snapshot.next - 1], &msg->first);
	for (; c->snapshot.next < c->snapshot.n && msg->n < c->claims_room; c->snapshot.next++)
		msg->claims[msg->n++] = entry_find(c, &c->snapshot.addrs[c->snapshot.next])->own;
	msg->last = wire_last;
	if (c->snapshot.next < c->snapshot.n)
		msg->last = c->snapshot.addrs[c->snapshot.next - 1];
	else
		c->snapshot.active = false;
	return true;
}

static bool next_request(struct claims *c, struct wire_msg *msg)
{
	for (size_t i = 0; c->request_pending && i < c->member->n_slots && msg->n < c->targets_room;
	     i++) {
		const struct member_peer *p = c->member->peers[i];
		if (!c->tables[i].request)
			continue;
		c->tables[i].request = false;
		if (p && p->state == MEMBER_ALIVE)
			msg->targets[msg->n++] = p->incarnation;
	}
	if (msg->n < c->targets_room)
		c->request_pending = false;
	msg->type = WIRE_REQUEST;
	return msg->n > 0;
}

bool claims_small(const struct claims *c, int64_t now)
{
	return now < c->small_until_ms;
}

void claims_set_room(struct claims *c, size_t claims, size_t targets)
{
	c->claims_room = claims < WIRE_CLAIM_MAX ? claims : WIRE_CLAIM_MAX;
	c->targets_room = targets < WIRE_TARGET_MAX ? targets : WIRE_TARGET_MAX;
}

bool claims_next_message(struct claims *c, struct wire_msg *msg)
{
	msg->n = 0;
	if (c->claims_room == 0 || c->targets_room == 0)
		return false;
	return next_delta(c, msg) || next_recall(c, msg) || next_part(c, msg) ||
	       next_request(c, msg);
}
