/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peers are slots of an array, whose numbers claims use as names, and are found by node name and by
 * incarnation.
 *
 *	unknown ── proof ──► ALIVE ◄──── heard ──── DEAD ── PEER_FORGET_MS ──► forgotten
 *	                       │  ──── silence ──────► ▲
 *	                       ├── "restarting" ─► RESTARTING ── time over
 *	                       └── "leaving" ────► LEFT ── PEER_FORGET_MS ───► forgotten
 *
 * An incarnation that is not known goes through the strangers' table first (strangers.h), and comes
 * out of it by a proof of one of two kinds: its heartbeat repeats a recent sequence number of ours,
 * or a peer that we believe vouches for it.  To make the first quick, we hurry our next heartbeat,
 * which then repeats the stranger's number; replays never get further than that, and so hurrying is
 * bounded.
 *
 * Being dead is a local judgement and costs nothing but a takeover that asks first (claims).  So it
 * errs towards life: what a living peer heard of another counts as heard, and a node that was away
 * itself excuses all others (member_excuse).
 */
#include "config.h"

#include "fairlead/member.h"

#include <string.h>

#include "claims/member_private.h"
#include "fairlead/mem.h"

/* How old our sequence number may be that a new incarnation repeats. */
#define PROOF_RECENT_MS 2000
/* How long, and for how many messages, a peer's word for another is good. */
#define VOUCH_MS 1000
#define VOUCH_MESSAGES 64
/* Strangers hold up our first claims for a few heartbeats only. */
#define STRANGER_HEARTBEATS 3
/* So many turns of an echo may be lost. */
#define ECHO_ROUNDS 4
/* How long a dead peer's claims are remembered and it counts as a known node. */
#define PEER_FORGET_MS 600000
/*
 * How many of them come in a row, and then how often one more: replays never prove themselves, and
 * must not keep us busy.
 */
#define HURRIED_MAX 60
#define HURRIED_BACK_MS 100
/* Strangers count, and peers are given to say that they hear us, at least so long. */
#define PATIENCE_MS 350

void member_init(struct member *m, const struct member_options *opts, int64_t now)
{
	memset(m, 0, sizeof(*m));
	m->opts = *opts;
	if (m->opts.peers_max == 0)
		m->opts.peers_max = MEMBER_PEERS_MAX;
	m->last_beat_ms = now - BEAT_GAP_MS;
	m->next_beat_ms = now;
	m->interval_ms = opts->heartbeat_ms;
	m->echo_room = WIRE_ECHO_MAX;
	m->v1_until_ms = m->v1_stranger_until_ms = INT64_MIN;
	strangers_init(&m->strangers, opts->seed);
}

static void peer_free(struct member *m, struct member_peer *p)
{
	m->peers[p->slot] = NULL;
	HASH_DELETE(by_name, m->by_name, p);
	if (p->incarnation)
		HASH_DELETE(by_incarnation, m->by_incarnation, p);
	free(p);
}

void member_fini(struct member *m)
{
	for (size_t i = 0; i < m->n_slots; i++)
		if (m->peers[i])
			peer_free(m, m->peers[i]);
	free(m->peers);
	free(m->echo_order);
	strangers_fini(&m->strangers);
}

void member_set_nodes(struct member *m, const char *const *nodes, size_t n)
{
	strangers_set_nodes(&m->strangers, nodes, n);
}

void member_set_echo_room(struct member *m, size_t n)
{
	m->echo_room = n < WIRE_ECHO_MAX ? n : WIRE_ECHO_MAX;
}

/* ---- looking up ---- */

struct member_peer *member_find(const struct member *m, const char *name)
{
	struct member_peer *p;

	HASH_FIND(by_name, m->by_name, name, strlen(name), p);
	return p;
}

static struct member_peer *peer_by_incarnation(const struct member *m, uint64_t incarnation)
{
	struct member_peer *p;

	HASH_FIND(by_incarnation, m->by_incarnation, &incarnation, sizeof(incarnation), p);
	return p;
}

const struct member_peer *member_by_mac(const struct member *m, const uint8_t *mac)
{
	for (size_t i = 0; i < m->n_slots; i++)
		if (m->peers[i] && !memcmp(m->peers[i]->mac, mac, WIRE_MAC_SIZE))
			return m->peers[i];
	return NULL;
}

bool member_holds(const struct member_peer *p)
{
	return p->state == MEMBER_ALIVE || p->state == MEMBER_RESTARTING;
}

size_t member_n_there(const struct member *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n_slots; i++)
		n += m->peers[i] && member_holds(m->peers[i]);
	return n;
}

/*
 * Within this time every peer that hears us has said so; with many peers, echoes take turns, each
 * of which may be lost.  Ours are as many.
 */
static int64_t echo_window_ms(const struct member *m, const struct member_peer *p)
{
	size_t at_once = m->echo_room > 1 ? m->echo_room / 2 : 1;
	int64_t window = member_own_dead_ms(m) > p->dead_ms ? member_own_dead_ms(m) : p->dead_ms;

	if (at_once > member_echoes(m))
		at_once = member_echoes(m);
	if (window < PATIENCE_MS)
		window = PATIENCE_MS;
	return window + ECHO_ROUNDS * p->heartbeat_ms * (int64_t)(m->n_slots / at_once);
}

bool member_deaf(const struct member *m, const struct member_peer *p, int64_t now)
{
	return p->state == MEMBER_ALIVE && now - p->hears_us_ms > echo_window_ms(m, p);
}

int64_t member_stale_ms(const struct member_peer *p, int64_t now)
{
	return p->flags & WIRE_FRESH ? 0 : now - p->fresh_ms;
}

bool member_has_strangers(const struct member *m, int64_t now)
{
	int64_t lately = (int64_t)STRANGER_HEARTBEATS * m->interval_ms;

	return strangers_heard(&m->strangers, now, lately > PATIENCE_MS ? lately : PATIENCE_MS);
}

bool member_has_live(const struct member *m)
{
	for (size_t i = 0; i < m->n_slots; i++)
		if (m->peers[i] && m->peers[i]->state == MEMBER_ALIVE)
			return true;
	return false;
}

/*
 * Peers that fall silent together are found dead one after the other, so what counts is not which
 * ones are not dead yet, but which were heard within the last two of their heartbeat intervals.
 */
bool member_majority(const struct member *m, int64_t now)
{
	size_t known = 1, live = 1;

	for (size_t i = 0; i < m->n_slots; i++)
		if (m->peers[i] && m->peers[i]->state != MEMBER_LEFT) {
			known++;
			live += m->peers[i]->state == MEMBER_ALIVE &&
			        now - m->peers[i]->heard_ms <=
			                member_peer_heartbeat_ms(m, m->peers[i]) * 9 / 4;
		}
	return 2 * live > known;
}

/* ---- proofs ---- */

/*
 * The sequence number of our last heartbeat @ago_ms ago, 0 if we were not there yet, so that every
 * echo is later.  If that is no longer remembered, the oldest one that is.
 */
static uint32_t seq_at(const struct member *m, int64_t now, int64_t ago_ms)
{
	uint32_t seq = 0, oldest = UINT32_MAX;

	for (size_t i = 0; i < MEMBER_BEATS_KEPT && i < m->n_beats; i++) {
		if (m->beats[i].at_ms <= now - ago_ms && m->beats[i].seq > seq)
			seq = m->beats[i].seq;
		if (m->beats[i].seq < oldest)
			oldest = m->beats[i].seq;
	}
	return seq == 0 && m->n_beats > MEMBER_BEATS_KEPT ? oldest : seq;
}

/* The message repeats a sequence number of ours that is no older than @recent_ms. */
static bool echoes_us(const struct member *m, int64_t now, const struct wire_msg *msg,
                      int64_t recent_ms)
{
	if (msg->type != WIRE_HEARTBEAT)
		return false;
	for (size_t i = 0; i < msg->n; i++)
		if (msg->echoes[i].incarnation == m->opts.incarnation)
			return msg->echoes[i].seq <= m->seq &&
			       msg->echoes[i].seq > seq_at(m, now, recent_ms);
	return false;
}

/*
 * When we sent the newest thing that the heartbeat says its sender heard from us; -1 if it does not
 * say so.
 */
static int64_t heard_of_us_ms(const struct member *m, int64_t now, const struct wire_msg *msg)
{
	if (!echoes_us(m, now, msg, PROOF_RECENT_MS))
		return -1;
	uint32_t seq = 0, best = 0;
	for (size_t i = 0; i < msg->n; i++)
		if (msg->echoes[i].incarnation == m->opts.incarnation)
			seq = msg->echoes[i].seq;
	int64_t at = now;
	for (size_t i = 0; i < MEMBER_BEATS_KEPT && i < m->n_beats; i++)
		if (m->beats[i].seq <= seq && m->beats[i].seq > best) {
			best = m->beats[i].seq;
			at = m->beats[i].at_ms;
		}
	return at;
}

static bool vouched(const struct stranger *s, int64_t now, const struct wire_msg *msg)
{
	return s && s->vouched_ms && now - s->vouched_ms <= VOUCH_MS &&
	       msg->seq >= s->vouched_seq && msg->seq - s->vouched_seq <= VOUCH_MESSAGES;
}

static bool is_retired(const struct member_peer *p, uint64_t incarnation)
{
	for (size_t i = 0; i < MEMBER_RETIRED_MAX && i < p->n_retired; i++)
		if (p->retired[i] == incarnation)
			return true;
	return false;
}

/* One more heartbeat may go out before its time. */
static bool may_hurry(struct member *m, int64_t now)
{
	while (m->n_hurried > 0 && now >= m->hurry_back_ms) {
		m->n_hurried--;
		m->hurry_back_ms += HURRIED_BACK_MS;
	}
	if (m->n_hurried == HURRIED_MAX)
		return false;
	if (m->n_hurried++ == 0)
		m->hurry_back_ms = now + HURRIED_BACK_MS;
	return true;
}

/* Remembers that we heard @msg, so that our next heartbeat says so, and hurries that along. */
static enum member_verdict meet_stranger(struct member *m, int64_t now, const struct wire_msg *msg)
{
	if (!strangers_meet(&m->strangers, now, msg))
		return MEMBER_REPLAYED;
	int64_t soon = m->last_beat_ms + BEAT_GAP_MS;
	if (soon < m->next_beat_ms && may_hurry(m, now))
		m->next_beat_ms = soon;
	member_hear_strange_version(m, now, msg);
	return MEMBER_STRANGER;
}

/* One more slot, at any place of the order: nobody else has the same, nor needs to know it. */
static void draw_place(struct member *m)
{
	size_t n = m->n_slots++, at = hash64(&n, sizeof(n), m->opts.seed) % (n + 1);

	ARRAY_RESERVE(m->echo_order, m->echo_order_cap, n + 1);
	m->echo_order[n] = (uint16_t)n;
	m->echo_order[n] = m->echo_order[at];
	m->echo_order[at] = (uint16_t)n;
}

/* NULL if there are too many. */
static struct member_peer *peer_new(struct member *m, const char *name)
{
	size_t slot = 0;

	while (slot < m->n_slots && m->peers[slot])
		slot++;
	if (slot == m->opts.peers_max)
		return NULL;
	ARRAY_RESERVE(m->peers, m->slots_cap, slot + 1);
	struct member_peer *p = xcalloc(1, sizeof(*p));
	memcpy(p->name, name, sizeof(p->name));
	p->slot = (uint16_t)slot;
	m->peers[slot] = p;
	if (slot == m->n_slots)
		draw_place(m);
	HASH_ADD_KEYPTR(by_name, m->by_name, p->name, strlen(p->name), p);
	return p;
}

/* Peers that left go before those that died, and the longest gone go first. */
static bool goes_before(const struct member_peer *a, const struct member_peer *b)
{
	if (a->state != b->state)
		return a->state == MEMBER_LEFT;
	return a->heard_ms < b->heard_ms;
}

/*
 * A peer that is gone is forgotten at the next tick, and leaves its place to one that is there.  A
 * peer that is there keeps its place, whoever comes.
 */
static void make_room(struct member *m, int64_t now)
{
	struct member_peer *first = NULL;

	for (size_t i = 0; i < m->n_slots; i++) {
		struct member_peer *p = m->peers[i];
		if (p && !member_holds(p) && (!first || goes_before(p, first)))
			first = p;
	}
	if (!first) {
		m->peers_refused++;
		m->refused_ms = now;
	} else if (first->heard_ms > now - PEER_FORGET_MS) {
		first->heard_ms = now - PEER_FORGET_MS;
	}
}

/* ---- receiving ---- */

/* What a believed heartbeat says about others: that they live, and that a stranger is no replay. */
static void hear_echoes(struct member *m, int64_t now, const struct wire_msg *msg)
{
	for (size_t i = 0; i < msg->n; i++) {
		const struct wire_echo *echo = &msg->echoes[i];
		if (echo->incarnation == 0)
			continue;
		struct member_peer *p = peer_by_incarnation(m, echo->incarnation);
		if (p && p->state == MEMBER_ALIVE && echo->seq > p->hearsay_seq) {
			p->hearsay_seq = echo->seq;
			p->hearsay_ms = now;
			if (echo->seq > p->seq)
				p->heard_ms = now;
		}
		struct stranger *s =
			echo->proven ? strangers_find(&m->strangers, echo->incarnation) : NULL;
		if (s) {
			s->vouched_ms = now;
			s->vouched_seq = echo->seq;
		}
	}
}

/* What stands between the last message and this one is lost: whatever comes late is refused. */
static void note_loss(struct member_peer *p, uint32_t seq)
{
	uint32_t gap = seq - p->seq;

	p->heard_bits = gap < MEMBER_LOSS_WINDOW ? p->heard_bits << gap | 1 : 1;
	p->n_lost += gap - 1;
}

unsigned int member_lost_lately(const struct member_peer *p)
{
	return MEMBER_LOSS_WINDOW - (unsigned int)__builtin_popcountll(p->heard_bits);
}

static int64_t peer_deadline(const struct member *m, const struct member_peer *p)
{
	switch (p->state) {
	case MEMBER_ALIVE:
		return p->heard_ms + member_peer_dead_ms(m, p) + 1;
	case MEMBER_RESTARTING:
		return p->restart_until_ms;
	case MEMBER_DEAD:
	case MEMBER_LEFT:
		break;
	}
	return p->heard_ms + PEER_FORGET_MS;
}

static void note(struct member *m, int64_t now, const struct wire_msg *msg, struct member_peer *p)
{
	if (!member_holds(p))
		p->hears_us_ms = now; /* it gets the time that it needs to say so */
	note_loss(p, msg->seq);
	p->seq = msg->seq;
	p->heard_ms = p->heard_directly_ms = now;
	p->flags = msg->flags;
	p->mtu = msg->mtu;
	p->version = msg->version == 1 ? 1 : 2;
	member_note_timing(msg, p);
	memcpy(p->mac, msg->mac, sizeof(p->mac));
	if (msg->flags & WIRE_FRESH)
		p->fresh_ms = now;
	if (msg->flags & WIRE_LEAVING)
		p->state = MEMBER_LEFT;
	else if (!(msg->flags & WIRE_RESTARTING))
		p->state = MEMBER_ALIVE;
	else if (p->state != MEMBER_RESTARTING) {
		p->state = MEMBER_RESTARTING;
		p->restart_until_ms = now + m->opts.restart_hold_ms;
	}
	if (msg->type != WIRE_HEARTBEAT)
		return;
	int64_t at = heard_of_us_ms(m, now, msg);
	if (at > p->hears_us_ms)
		p->hears_us_ms = at;
	hear_echoes(m, now, msg);
}

static void adopt(struct member *m, int64_t now, const struct wire_msg *msg, struct member_peer *p)
{
	if (p->incarnation) {
		p->retired[p->n_retired++ % MEMBER_RETIRED_MAX] = p->incarnation;
		HASH_DELETE(by_incarnation, m->by_incarnation, p);
	}
	p->incarnation = msg->incarnation;
	p->seq = msg->seq - 1; /* of those before nothing is known */
	p->heard_bits = UINT64_MAX;
	HASH_ADD(by_incarnation, m->by_incarnation, incarnation, sizeof(p->incarnation), p);
	p->hearsay_seq = 0;
	p->hearsay_ms = now;
	p->echoed = false;
	p->heartbeat_ms = m->interval_ms; /* until it says otherwise */
	p->dead_ms = member_own_dead_ms(m);
	p->fresh_ms = now;
	p->hears_us_ms = now;
}

/*
 * What a speaker of version 2 says in version 1 as well is told from what one of version 1 says by
 * its source port alone, which nobody has signed.
 */
static bool is_altered_copy(const struct member_peer *p, const struct wire_msg *msg)
{
	return p->version == 2 && msg->version == 1;
}

enum member_verdict member_receive(struct member *m, int64_t now, const struct wire_msg *msg,
                                   struct member_peer **ret_peer)
{
	if (!strcmp(msg->name, m->opts.node))
		return MEMBER_SELF;
	if (msg->incarnation == 0)
		return MEMBER_REPLAYED;
	struct member_peer *p = member_find(m, msg->name);
	if (p && p->incarnation == msg->incarnation) {
		if (msg->seq <= p->seq || is_altered_copy(p, msg))
			return MEMBER_REPLAYED;
		member_hear_version(m, now, msg);
		note(m, now, msg, p);
		*ret_peer = p;
		return MEMBER_BELIEVED;
	}
	if (p && member_holds(p) && is_retired(p, msg->incarnation))
		return MEMBER_REPLAYED;

	struct stranger *s = strangers_find(&m->strangers, msg->incarnation);
	if (!echoes_us(m, now, msg, PROOF_RECENT_MS) && !vouched(s, now, msg))
		return meet_stranger(m, now, msg);
	member_hear_version(m, now, msg);
	if (!p)
		p = peer_new(m, msg->name);
	if (!p) {
		make_room(m, now);
		return MEMBER_STRANGER;
	}
	strangers_forget(&m->strangers, s);
	adopt(m, now, msg, p);
	note(m, now, msg, p);
	*ret_peer = p;
	return MEMBER_NEW;
}

/* ---- time ---- */

void member_tick(struct member *m, int64_t now, member_event_cb *cb, void *arg)
{
	for (size_t i = 0; i < m->n_slots; i++) {
		struct member_peer *p = m->peers[i];
		if (!p || now < peer_deadline(m, p))
			continue;
		if (member_holds(p)) {
			p->state = MEMBER_DEAD;
			cb(p, MEMBER_DIED, arg);
		} else {
			cb(p, MEMBER_FORGOTTEN, arg);
			peer_free(m, p);
		}
	}
}

int64_t member_deadline(const struct member *m)
{
	int64_t at = m->next_beat_ms;

	for (size_t i = 0; i < m->n_slots; i++)
		if (m->peers[i] && peer_deadline(m, m->peers[i]) < at)
			at = peer_deadline(m, m->peers[i]);
	return at;
}

void member_excuse(struct member *m, int64_t now)
{
	for (size_t i = 0; i < m->n_slots; i++)
		if (m->peers[i] && m->peers[i]->state == MEMBER_ALIVE)
			m->peers[i]->heard_ms = m->peers[i]->hears_us_ms = now;
}

/* ---- sending ---- */

/* For how long a stranger waits for an echo. */
static int64_t stranger_ms(const struct member *m)
{
	return member_own_dead_ms(m) > PATIENCE_MS ? member_own_dead_ms(m) : PATIENCE_MS;
}

size_t member_mtu(const struct member *m, int64_t now, size_t mtu, bool strangers)
{
	for (size_t i = 0; i < m->n_slots; i++) {
		const struct member_peer *p = m->peers[i];
		if (p && member_holds(p) && p->mtu && p->mtu < mtu)
			mtu = p->mtu;
	}
	return strangers ? strangers_mtu(&m->strangers, now, stranger_ms(m), mtu) : mtu;
}

void member_stamp(struct member *m, struct wire_msg *msg, enum wire_type type)
{
	msg->version = 2;
	msg->type = type;
	memcpy(msg->name, m->opts.node, strlen(m->opts.node) + 1);
	memcpy(msg->mac, m->opts.mac, WIRE_MAC_SIZE);
	msg->incarnation = m->opts.incarnation;
	msg->seq = ++m->seq;
}

void member_beat_soon(struct member *m, int64_t now)
{
	if (now < m->next_beat_ms)
		m->next_beat_ms = now;
}

bool member_beat_due(const struct member *m, int64_t now)
{
	return now >= m->next_beat_ms;
}

static void echo(const struct member *m, int64_t now, struct member_peer *p, struct wire_msg *msg)
{
	if (!p || p->state != MEMBER_ALIVE || now - p->heard_directly_ms > p->dead_ms ||
	    msg->n == m->echo_room)
		return;
	msg->echoes[msg->n++] = (struct wire_echo){ p->incarnation, p->seq, true };
	p->echoed = true;
	if (p->seq > p->hearsay_seq) {
		p->hearsay_seq = p->seq;
		p->hearsay_ms = now;
	}
}

/*
 * Peers that we hear: first those that are new, as they and others wait for that; then, in turn
 * where they are too many for one heartbeat, all; and those that we have heard since anybody last
 * said so, if that is long ago.
 */
static void echo_peers(struct member *m, int64_t now, struct wire_msg *msg)
{
	size_t start = m->echo_next, most = 0;

	for (size_t i = 0; i < m->n_slots; i++)
		if (m->peers[i] && !m->peers[i]->echoed)
			echo(m, now, m->peers[i], msg);
	most = msg->n + member_echoes(m);
	for (size_t i = 0; i < m->n_slots && msg->n < m->echo_room && msg->n < most; i++) {
		m->echo_next = (start + i + 1) % m->n_slots;
		echo(m, now, m->peers[m->echo_order[(start + i) % m->n_slots]], msg);
	}
	most = msg->n + MEMBER_OVERDUE_MAX;
	for (size_t i = 0; i < m->n_slots && msg->n < most; i++) {
		struct member_peer *p = m->peers[m->echo_order[i]];
		if (p && member_is_overdue(m, p, now))
			echo(m, now, p, msg);
	}
}

void member_beat(struct member *m, int64_t now, struct wire_msg *msg)
{
	member_follow_number(m, now);
	member_stamp(m, msg, WIRE_HEARTBEAT);
	msg->n = 0;
	msg->heartbeat_ms = (uint16_t)m->interval_ms;
	msg->multiplier = (uint8_t)m->opts.multiplier;
	/* Strangers first, as they wait for it; but replays must not leave peers without echoes. */
	size_t share = m->n_slots > 0 ? (m->echo_room + 1) / 2 : m->echo_room;
	strangers_echo(&m->strangers, now, stranger_ms(m), share, msg);
	echo_peers(m, now, msg);
	size_t slot = m->n_beats++ % MEMBER_BEATS_KEPT;
	m->beats[slot].at_ms = now;
	m->beats[slot].seq = msg->seq;
	m->last_beat_ms = now;
	m->next_beat_ms = now + member_pace_ms(m, now);
	if (m->former.beats)
		m->former.beats--;
}
