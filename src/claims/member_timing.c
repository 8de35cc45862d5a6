/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each speaker says how often it says something, and after how many of these intervals it is dead.
 * So what counts is never our own timing but the peer's, as far as we know it: who is to be given
 * up by it, and by which we are given up ourselves.  What peers may not have heard of yet, or
 * cannot (version 1), is assumed to be the shorter of the two.
 *
 * Of a peer that others heard later than we did we do not know what it says of its timing now: the
 * longer of what it said last and of what we go by, as all nodes get the same configuration.
 */
#include "config.h"

#include "claims/member_private.h"

/* Nobody waits longer for a peer, whatever it says. */
#define DEAD_MAX_MS 60000
/* After so many heartbeats peers surely know of another timing. */
#define TIMING_BEATS 20
/*
 * A speaker of version 1 that was heard may be there for so long, dead or not.  One that comes back
 * later is heard before it has listened to the end.
 */
#define V1_MS 600000
/* One that has not proven itself understands us for so long after each thing that it says. */
#define V1_STRANGER_MS 3000

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

int64_t member_own_dead_ms(const struct member *m)
{
	return (int64_t)m->opts.heartbeat_ms * m->opts.multiplier;
}

static bool is_hearsay(const struct member_peer *p)
{
	return p->hearsay_seq > p->seq;
}

int64_t member_peer_heartbeat_ms(const struct member *m, const struct member_peer *p)
{
	return is_hearsay(p) ? most(p->heartbeat_ms, m->opts.heartbeat_ms) : p->heartbeat_ms;
}

int64_t member_peer_dead_ms(const struct member *m, const struct member_peer *p)
{
	return is_hearsay(p) ? most(p->dead_ms, member_own_dead_ms(m)) : p->dead_ms;
}

bool member_knows_v1(const struct member *m, int64_t now)
{
	return now < m->v1_until_ms;
}

bool member_speaks_v1(const struct member *m, int64_t now)
{
	return member_knows_v1(m, now) || now < m->v1_stranger_until_ms;
}

/*
 * Peers of version 1 know one interval only, and so may those that have not heard of another yet.
 */
int64_t member_pace_ms(const struct member *m, int64_t now)
{
	int64_t pace = m->opts.heartbeat_ms;

	if (m->former.beats)
		pace = least(pace, m->former.heartbeat_ms);
	return member_knows_v1(m, now) ? least(pace, WIRE_V1_HEARTBEAT_MS) : pace;
}

int64_t member_patience_ms(const struct member *m, int64_t now)
{
	int64_t patience = member_own_dead_ms(m);

	if (m->former.beats)
		patience = least(patience, m->former.dead_ms);
	return member_knows_v1(m, now) ? least(patience, WIRE_V1_DEAD_MS) : patience;
}

void member_set_timing(struct member *m, int64_t now, int heartbeat_ms, int multiplier)
{
	if (heartbeat_ms == m->opts.heartbeat_ms && multiplier == m->opts.multiplier)
		return;
	/* Of two changes in a row the first may not have been heard either. */
	m->former.heartbeat_ms = member_pace_ms(m, now);
	m->former.dead_ms = member_patience_ms(m, now);
	m->former.beats = TIMING_BEATS;
	m->opts.heartbeat_ms = heartbeat_ms;
	m->opts.multiplier = multiplier;
	m->next_beat_ms = now;
}

/* ---- what others say ---- */

void member_note_timing(const struct wire_msg *msg, struct member_peer *p)
{
	if (p->version == 1) {
		p->heartbeat_ms = WIRE_V1_HEARTBEAT_MS;
		p->dead_ms = WIRE_V1_DEAD_MS;
	} else if (msg->type == WIRE_HEARTBEAT && msg->heartbeat_ms) {
		p->heartbeat_ms = msg->heartbeat_ms;
		p->dead_ms = least((int64_t)msg->heartbeat_ms * msg->multiplier, DEAD_MAX_MS);
	}
}

void member_hear_version(struct member *m, int64_t now, const struct wire_msg *msg)
{
	if (msg->version != 1)
		return;
	if (!member_knows_v1(m, now))
		m->next_beat_ms = least(m->next_beat_ms, m->last_beat_ms + BEAT_GAP_MS);
	m->v1_until_ms = now + V1_MS;
}

void member_hear_strange_version(struct member *m, int64_t now, const struct wire_msg *msg)
{
	if (msg->version == 1)
		m->v1_stranger_until_ms = now + V1_STRANGER_MS;
}
