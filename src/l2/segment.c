/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A segment is its members, its claims and the frames between them and the wire.  Every input is
 * one turn: begin_turn() notes whether we were away, the input goes to members or claims, which
 * only collect what follows from it, and flush() sends that. No callback runs within another, and
 * time is an argument, so that a test can be the wire.
 *
 * The order within flush() matters: messages to peers before gratuitous ARP, as a node that loses
 * an address has to stop answering before clients hear of the new owner; and a heartbeat last,
 * which carries the digest of the claims that were just sent.
 *
 * Being away (stopped, or on a stalled machine) for longer than peers wait for us is no different
 * from a link that was down: the claims ask again before they answer, and segment_answers() is
 * false from the moment on, not from the first turn after it.  Of shorter stalls the frames tell
 * that waited meanwhile: see gate.c.
 */
#include "config.h"

#include "l2/segment.h"

#include <errno.h>
#include <string.h>

#include "fairlead/mem.h"
#include "l2/neighbor.h"
#include "l2/segment_private.h"

/*
 * How many messages are sent in one turn; more wait a moment, so that receivers' buffers and our
 * own answers keep up.
 */
#define MESSAGES_PER_TURN 64
#define NEXT_TURN_MS 2
/* A datagram that every host accepts, and nearly every network carries (RFC 791). */
#define SMALL_DATAGRAM 576
/*
 * How many addresses are announced in how much time, two frames each: more would overflow the
 * receivers' buffers.
 */
#define ANNOUNCED_PER_TURN 32
/*
 * A farewell is sent several times: a lost one is not repeated, and then a restart would count as a
 * death.
 */
#define FAREWELLS 6
/*
 * Another speaker of our name is reported when it has sent so many messages for so long, without a
 * longer pause.
 */
#define NAMESAKE_MESSAGES 5
#define NAMESAKE_LASTS_MS 2000
#define NAMESAKE_GAP_MS 2000

static struct counts *counts_of(struct segment *s, const struct neighbor_ops *ops)
{
	return ops->family == 4 ? &s->arp : &s->ndp;
}

/*
 * Messages are no larger than all their receivers accept, and small where larger ones got lost.
 * Strangers only have to hear heartbeats, so a replay in the name of one with a small MTU makes
 * only these small.
 */
static void fit_messages(struct segment *s, int64_t now)
{
	size_t name_len = strlen(s->member.opts.node);
	size_t peers = member_mtu(&s->member, now, s->mtu, false);
	size_t all = member_mtu(&s->member, now, s->mtu, true);

	if (claims_small(&s->claims, now) && peers > SMALL_DATAGRAM)
		peers = SMALL_DATAGRAM;
	member_set_echo_room(&s->member, wire_room(WIRE_HEARTBEAT, name_len, all));
	claims_set_room(&s->claims, wire_room(WIRE_SNAPSHOT, name_len, peers),
	                wire_room(WIRE_REQUEST, name_len, peers));
}

struct segment *segment_new(const struct segment_options *opts, struct wire_key *key,
                            const struct segment_ops *ops, int64_t now)
{
	struct segment *s = xcalloc(1, sizeof(*s));
	struct member_options mo = { .node = opts->l2->node,
		                     .incarnation = opts->incarnation,
		                     .seed = opts->seed,
		                     .heartbeat_ms = opts->l2->timing.heartbeat_ms,
		                     .multiplier = opts->l2->timing.multiplier,
		                     .restart_hold_ms = opts->l2->restart_hold_ms,
		                     .peers_max = opts->peers_max };

	memcpy(mo.mac, opts->mac, sizeof(mo.mac));
	struct claims_options co = { .node = opts->l2->node,
		                     .timing = opts->l2->timing,
		                     .restart_hold_ms = opts->l2->restart_hold_ms,
		                     .first_use_probe = opts->l2->first_use_probe,
		                     .start = opts->start };
	member_init(&s->member, &mo, now);
	claims_init(&s->claims, &co, &s->member);
	s->key = key;
	s->ops = *ops;
	s->sources = opts->sources;
	s->mtu = opts->mtu ? opts->mtu : WIRE_DATAGRAM_MAX;
	fit_messages(s, now);
	s->last_turn_ms = now;
	return s;
}

void segment_free(struct segment *s)
{
	if (!s)
		return;
	claims_fini(&s->claims);
	member_fini(&s->member);
	stragglers_fini(&s->stragglers);
	free(s);
}

void segment_set_sources(struct segment *s, const struct segment_sources *sources)
{
	s->sources = *sources;
}

void segment_set_mtu(struct segment *s, int64_t now, size_t mtu)
{
	if (s->mtu == mtu)
		return;
	s->mtu = mtu;
	fit_messages(s, now);
}

/* ---- sending ---- */

static void send_frame(struct segment *s, const void *frame, size_t size)
{
	int r = s->ops.send(frame, size, s->ops.arg);

	if (r >= 0)
		return;
	s->stats.send_failures++;
	s->send_error = r;
	s->send_error_ms = s->last_turn_ms;
}

static void send_message(struct segment *s, struct wire_msg *msg)
{
	uint8_t frame[WIRE_FRAME_MAX];

	msg->flags = s->farewell;
	if (s->claims.view_fresh)
		msg->flags |= WIRE_FRESH;
	if (!s->claims.ready)
		msg->flags |= WIRE_LISTENING;
	msg->mtu = s->mtu < WIRE_DATAGRAM_MAX ? (uint16_t)s->mtu : 0;
	msg->digest = s->claims.digest;
	msg->digest_v4 = s->claims.digest_v4;
	msg->n_claims = (uint32_t)s->claims.n_owned;
	msg->n_claims_v4 = (uint32_t)s->claims.n_owned_v4;
	/* One stream, also where there are both families: who has one of them hears it. */
	const struct addr *source = s->sources.v4.family ? &s->sources.v4 : &s->sources.v6;
	/*
	 * Version 1 as well, where somebody may know no other; and while we listen, as those who
	 * would have to tell us what they own may not have said anything yet.
	 */
	bool v1 = member_speaks_v1(&s->member, s->last_turn_ms) || !s->claims.ready;
	for (uint8_t version = 2; version >= (v1 && source->family == 4 ? 1 : 2); version--) {
		msg->version = version;
		size_t size = wire_encode(s->key, msg, source, frame);
		if (size > 0)
			send_frame(s, frame, size);
	}
}

static void send_heartbeat(struct segment *s, int64_t now)
{
	struct wire_msg msg;

	fit_messages(s, now);
	member_beat(&s->member, now, &msg);
	msg.more = claims_more(&s->claims);
	msg.source6 = s->sources.v6;
	if (wire_key_empty(s->key))
		return;
	send_message(s, &msg);
	s->stats.heartbeats_sent++;
}

static void announce(struct segment *s, const struct neighbor_ops *ops, const struct addr *addr)
{
	uint8_t frame[NEIGHBOR_FRAME_MAX];
	size_t size;

	for (size_t i = 0; (size = ops->announce(s->member.opts.mac, addr, i, frame)) > 0; i++) {
		send_frame(s, frame, size);
		counts_of(s, ops)->announcements++;
	}
}

/*
 * Without an address of ours a question by neighbour discovery would be a probe, at which a machine
 * that is about to use the very address gives it up (RFC 4862 5.4.3).  So nothing is asked, and
 * whether the peer answers is not known.
 */
static void ask_peer(struct segment *s, const struct neighbor_ops *ops,
                     const struct claims_action *a)
{
	uint8_t frame[NEIGHBOR_FRAME_MAX];
	const struct addr *source = a->addr.family == 4 ? &s->sources.v4 : &s->sources.v6;

	if (a->addr.family == 6 && !source->family) {
		s->claims.tables[a->slot].answers = false;
		return;
	}
	size_t size = ops->ask(s->member.opts.mac, s->member.peers[a->slot]->mac, source, &a->addr,
	                       frame);

	send_frame(s, frame, size);
}

static void probe(struct segment *s, const struct neighbor_ops *ops, const struct addr *addr)
{
	uint8_t frame[NEIGHBOR_FRAME_MAX];
	size_t size = ops->probe(s->member.opts.mac, addr, frame);

	send_frame(s, frame, size);
	counts_of(s, ops)->probes++;
}

static void carry_out(struct segment *s, const struct claims_action *a)
{
	const struct neighbor_ops *ops = neighbor_of(a->addr.family);

	switch (a->type) {
	case CLAIMS_CHANGED:
		s->ops.changed(&a->addr, s->ops.arg);
		break;
	case CLAIMS_GONE:
		stragglers_watch(&s->stragglers, s->last_turn_ms, &a->addr);
		break;
	case CLAIMS_PROBE:
		probe(s, ops, &a->addr);
		break;
	case CLAIMS_ASK_PEER:
		ask_peer(s, ops, a);
		break;
	case CLAIMS_ANNOUNCE:
	case CLAIMS_REMIND:
		announce(s, ops, &a->addr);
		break;
	}
}

static bool may_announce(struct segment *s, int64_t now)
{
	if (now - s->announced_ms >= NEXT_TURN_MS) {
		s->announced_ms = now;
		s->n_announced = 0;
	}
	return s->n_announced < ANNOUNCED_PER_TURN;
}

/* Carries out the reminders, or all else, except for announcements that have to wait. */
static void carry_out_part(struct segment *s, int64_t now, bool reminders)
{
	struct claims *c = &s->claims;
	size_t kept = 0;

	for (size_t i = 0; i < c->n_actions; i++) {
		struct claims_action a = c->actions[i];
		if ((a.type == CLAIMS_REMIND) != reminders) {
			c->actions[kept++] = a;
			continue;
		}
		if (!s->up && a.type != CLAIMS_CHANGED && a.type != CLAIMS_GONE)
			continue;
		if (a.type != CLAIMS_ANNOUNCE && a.type != CLAIMS_REMIND) {
			carry_out(s, &a);
		} else if (!may_announce(s, now)) {
			c->actions[kept++] = a;
		} else if (claims_answers(c, &a.addr)) { /* still */
			carry_out(s, &a);
			s->n_announced++;
		}
	}
	c->n_actions = kept;
}

/*
 * When very many addresses are taken over, the first are to be announced again before the last have
 * been at all.
 */
static void carry_out_all(struct segment *s, int64_t now)
{
	carry_out_part(s, now, false);
	carry_out_part(s, now, true);
	s->more |= s->claims.n_actions > 0;
}

/*
 * Sends what came out of an input.  Peers learn of a claim before caches do: a node that loses it
 * stops answering before its clients learn of the new owner.
 */
static void flush(struct segment *s, int64_t now)
{
	struct wire_msg msg;
	size_t sent = 0;

	for (; s->up && sent < MESSAGES_PER_TURN && claims_next_message(&s->claims, &msg); sent++) {
		member_stamp(&s->member, &msg, msg.type);
		send_message(s, &msg);
	}
	s->more = sent == MESSAGES_PER_TURN;
	carry_out_all(s, now);
	if (s->up && member_beat_due(&s->member, now))
		send_heartbeat(s, now);
}

/* ---- inputs ---- */

static void member_event(struct member_peer *p, enum member_event event, void *arg)
{
	struct segment *s = arg;

	claims_peer_event(&s->claims, s->last_turn_ms, p, event);
}

/*
 * Others wait for us for so long after our last heartbeat, which may have gone out some time before
 * we were stopped.  From then on we must not go on as if nothing had happened.
 */
static bool was_away(const struct segment *s, int64_t now)
{
	int64_t patience = member_patience_ms(&s->member, now);

	return now - s->member.last_beat_ms > patience || now - s->last_turn_ms > patience;
}

/* Every input begins here. */
static void begin_turn(struct segment *s, int64_t now)
{
	bool away = was_away(s, now);

	s->last_turn_ms = now;
	if (s->up && away) {
		member_excuse(&s->member, now);
		claims_listen(&s->claims, now);
	}
}

void segment_link(struct segment *s, int64_t now, bool up)
{
	if (s->up == up)
		return;
	begin_turn(s, now);
	s->up = up;
	if (up) {
		member_excuse(&s->member, now);
		claims_listen(&s->claims, now);
	} else {
		claims_deafen(&s->claims, now);
	}
	flush(s, now);
}

void segment_set_wants(struct segment *s, int64_t now, const struct l2_snapshot *view,
                       const struct l2_want *const *wants, size_t n)
{
	begin_turn(s, now);
	if (view->timing.heartbeat_ms)
		member_set_timing(&s->member, now, view->timing.heartbeat_ms,
		                  view->timing.multiplier);
	member_set_nodes(&s->member, view->nodes, view->n_nodes);
	claims_set_wants(&s->claims, now, view, wants, n);
	flush(s, now);
}

void segment_change_wants(struct segment *s, int64_t now, const struct claims_change *changes,
                          size_t n)
{
	begin_turn(s, now);
	claims_change_wants(&s->claims, now, changes, n);
	flush(s, now);
}

bool segment_is_crowded(const struct segment *s)
{
	return s->claims.crowded;
}

/* Answers for a node whose speaker restarts, if that is our part. */
static void stand_in(struct segment *s, const struct neighbor_ops *ops,
                     const struct neighbor_packet *p)
{
	uint8_t frame[NEIGHBOR_FRAME_MAX];
	const uint8_t *owner = claims_stand_in(&s->claims, &p->target, p->mac, !p->sender.family);

	if (!owner)
		return;
	size_t size = neighbor_answer_for(ops, s->member.opts.mac, owner, p, frame);
	s->stats.stood_in++;
	send_frame(s, frame, size);
}

/*
 * Tells who takes us for the owner of what has moved where that is; a group, in whose name somebody
 * asks, is nobody who does.
 */
static void send_on(struct segment *s, int64_t now, const struct neighbor_packet *question)
{
	uint8_t frame[NEIGHBOR_FRAME_MAX];
	const uint8_t *owner = claims_elsewhere(&s->claims, now, &question->target, question->mac);

	if (question->mac[0] & 1 || !owner ||
	    !stragglers_may_tell(&s->stragglers, now, &question->target, question->mac))
		return;
	send_frame(s, frame,
	           neighbor_send_on(neighbor_of(question->target.family), s->member.opts.mac, owner,
	                            question, frame));
	s->stats.stale_neighbours++;
}

static void receive_neighbor(struct segment *s, int64_t now, int64_t waited_ms,
                             const struct neighbor_ops *ops, const struct neighbor_packet *p)
{
	const uint8_t *mac = s->member.opts.mac;
	bool to_us = p->to_all || !memcmp(p->dst, mac, NEIGHBOR_MAC_SIZE);

	if (!memcmp(p->mac, mac, NEIGHBOR_MAC_SIZE))
		return;
	bool answers = claims_answers(&s->claims, &p->target);
	if (p->sender.family) {
		claims_seen(&s->claims, now, waited_ms, &p->sender, p->mac,
		            p->may_answer_probe && to_us);
		if (!p->asks)
			claims_seen_node(&s->claims, &p->sender, p->mac);
	} else if (p->asks) {
		/* It takes over, and our last words were said. */
		if (s->farewell && member_by_mac(&s->member, p->mac))
			claims_fall_silent(&s->claims, &p->target);
		answers = claims_seen_probe(&s->claims, now, waited_ms, &p->target, p->mac);
	}

	if (!p->asks || !to_us || addr_eq(&p->sender, &p->target))
		return;
	if (!answers) {
		stand_in(s, ops, p);
		if (!p->to_all && p->sender.family)
			send_on(s, now, p);
		return;
	}
	counts_of(s, ops)->questions++;
	/* Who asks without a sender makes sure that nobody has the address: each time counts. */
	if (s->pressed && p->sender.family && !askers_may(&s->askers, now, p))
		return;
	uint8_t frame[NEIGHBOR_FRAME_MAX];
	size_t size = ops->answer(mac, p, frame);
	counts_of(s, ops)->answers++;
	send_frame(s, frame, size);
}

/*
 * A speaker that goes on is neither a replay of a single frame nor the last words of our previous
 * incarnation: a replaced Pod may end a moment after the new one has started.  A clone of this
 * machine has its Ethernet address, too.
 */
static void hear_namesake(struct segment *s, int64_t now, const struct wire_msg *msg)
{
	struct namesake *n = &s->namesake;

	if (n->incarnation != msg->incarnation && now - n->heard_ms > NAMESAKE_GAP_MS)
		*n = (struct namesake){ .incarnation = msg->incarnation, .since_ms = now };
	if (n->incarnation != msg->incarnation || msg->seq <= n->seq)
		return;
	if (now - n->heard_ms > NAMESAKE_GAP_MS)
		n->since_ms = now;
	n->seq = msg->seq;
	n->heard_ms = now;
	memcpy(n->mac, msg->mac, sizeof(n->mac));
	if (++n->n >= NAMESAKE_MESSAGES && now - n->since_ms >= NAMESAKE_LASTS_MS)
		n->told_ms = now;
}

static void receive_message(struct segment *s, int64_t now, const struct wire_msg *msg)
{
	struct member_peer *p = NULL;
	const struct member_peer *known = member_find(&s->member, msg->name);
	enum member_state was = known ? known->state : MEMBER_DEAD;
	enum member_verdict verdict = member_receive(&s->member, now, msg, &p);

	switch (verdict) {
	case MEMBER_BELIEVED:
	case MEMBER_NEW:
		s->stats.heartbeats_received++;
		claims_receive(&s->claims, now, p, was, verdict == MEMBER_NEW, msg);
		if (msg->mtu || msg->type == WIRE_REQUEST)
			fit_messages(s, now);
		break;
	case MEMBER_REPLAYED:
		s->stats.heartbeats_refused++;
		break;
	case MEMBER_SELF:
		/* Our own frames may come back. */
		if (msg->incarnation != s->member.opts.incarnation)
			hear_namesake(s, now, msg);
		if (memcmp(msg->mac, s->member.opts.mac, sizeof(msg->mac)) != 0) {
			s->has_namesake = true;
			memcpy(s->namesake_mac, msg->mac, sizeof(s->namesake_mac));
		}
		break;
	case MEMBER_STRANGER:
		break;
	}
}

void segment_lost(struct segment *s, int64_t now, int64_t waited_ms)
{
	if (!s->up)
		return;
	begin_turn(s, now);
	claims_seen_loss(&s->claims, now, waited_ms);
	flush(s, now);
}

void segment_receive(struct segment *s, int64_t now, int64_t waited_ms, const void *frame,
                     size_t size)
{
	const struct neighbor_ops *ops;
	struct neighbor_packet packet;
	struct wire_msg msg;

	if (!s->up)
		return;
	s->stats.frames++;
	begin_turn(s, now);
	if (neighbor_decode(frame, size, &ops, &packet) == 0) {
		receive_neighbor(s, now, waited_ms, ops, &packet);
	} else {
		int r = wire_decode(s->key, frame, size, &msg);
		if (r == 0)
			receive_message(s, now, &msg);
		else if (r != -ENOMSG) {
			s->stats.heartbeats_refused++;
			claims_seen_refused(&s->claims, now);
		}
	}
	flush(s, now);
}

static bool has_moved(const struct addr *addr, void *arg)
{
	static const uint8_t anybody[WIRE_MAC_SIZE];
	const struct segment *s = arg;

	return claims_elsewhere(&s->claims, s->last_turn_ms, addr, anybody);
}

bool segment_stragglers(struct segment *s, int64_t now,
                        struct addr ret_addrs[static STRAGGLERS_AT_ONCE], size_t *ret_n)
{
	*ret_n = s->up ? stragglers_next(&s->stragglers, now, has_moved, s, ret_addrs) : 0;
	return stragglers_any(&s->stragglers, now);
}

/* Who sent an IPv6 packet may be a router, whose own address is not known: so none is named. */
void segment_seen_straggler(struct segment *s, int64_t now, const uint8_t *mac,
                            const struct addr *source, const struct addr *addr)
{
	struct neighbor_packet question = { .target = *addr };

	if (!s->up || was_away(s, now))
		return;
	if (source->family == 4)
		question.sender = *source;
	memcpy(question.mac, mac, sizeof(question.mac));
	send_on(s, now, &question);
}

void segment_set_pressed(struct segment *s, bool pressed)
{
	s->pressed = pressed;
}

void segment_set_answered(struct segment *s, int64_t at_ms)
{
	s->claims.answered_ms = at_ms;
}

void segment_tick(struct segment *s, int64_t now)
{
	begin_turn(s, now);
	member_tick(&s->member, now, member_event, s);
	claims_tick(&s->claims, now);
	flush(s, now);
}

int64_t segment_deadline(const struct segment *s)
{
	int64_t members = member_deadline(&s->member), claims = claims_deadline(&s->claims);
	int64_t at = members < claims ? members : claims;

	/* Heartbeats are not due while the link is down. */
	if (!s->up && at <= s->last_turn_ms)
		at = s->last_turn_ms + s->member.opts.heartbeat_ms;
	if (s->more && s->last_turn_ms + NEXT_TURN_MS < at)
		at = s->last_turn_ms + NEXT_TURN_MS;
	return at;
}

void segment_farewell(struct segment *s, int64_t now, enum l2_stop how)
{
	begin_turn(s, now);
	if (how == L2_STOP_YIELD)
		claims_yield_all(&s->claims, now);
	s->farewell = how == L2_STOP_YIELD ? WIRE_LEAVING : WIRE_RESTARTING;
	flush(s, now);
	for (int i = 0; s->up && i < FAREWELLS; i++)
		send_heartbeat(s, now);
}

/* ---- questions ---- */

void segment_state(const struct segment *s, const struct addr *addr, struct l2_state *ret_state)
{
	claims_state(&s->claims, addr, ret_state);
}

bool segment_answers(const struct segment *s, int64_t now, const struct addr *addr)
{
	return s->up && !was_away(s, now) && claims_answers(&s->claims, addr);
}

bool segment_stands_in(const struct segment *s, int64_t now, const struct addr *addr)
{
	static const uint8_t anybody[WIRE_MAC_SIZE];

	return s->up && !was_away(s, now) && claims_stand_in(&s->claims, addr, anybody, false);
}
