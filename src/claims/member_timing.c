/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each speaker says how often it says something, and after how many of these intervals it is dead.
 * So what counts is never our own timing but the peer's, as far as we know it: who is to be given
 * up by it, and by which we are given up ourselves.  What peers may not have heard of yet, or
 * cannot (version 1), is assumed to be the shorter of the two.
 *
 * Of a peer that others heard later than we did we do not know what it says of its timing now: the
 * longer of what it said last and of what we go by, as all nodes get the same configuration.
 *
 * Many speakers.  Everybody hears everybody, so at a fixed interval the work of each node, and what
 * every port carries, grow with their number, and what heartbeats repeat of others even with its
 * square.  So beyond SPEAKERS_AT_ONCE (or as many as the interval has milliseconds, if that is
 * more) the interval grows with the number of those that are there: together they say as much as so
 * many would.  And the more there are, the fewer of them each heartbeat repeats: all of them
 * together mention each peer ECHOES_MIN times in an interval on average.  Hearsay needs that nobody
 * is left out for long.  So each has an order of its own, as they may all speak at the same moment;
 * and whom chance leaves out for longer than an interval is mentioned by whoever speaks next.
 * There is nothing to agree on, since each tells its own interval; one that comes or goes changes
 * it by as little as it counts.  What is longer than before is told first, and kept to later.
 */
#include "config.h"

#include "claims/member_private.h"

/* Nobody waits longer for a peer, whatever it says. */
#define DEAD_MAX_MS 60000
/* After so many heartbeats peers surely know of another timing. */
#define TIMING_BEATS 20
/* So many may speak as often as the configuration says. */
#define SPEAKERS_AT_ONCE 70
/* What all speakers' heartbeats of one round repeat, and the least of one. */
#define ECHOES_OF_A_ROUND 420
#define ECHOES_MIN 6
/*
 * In quarters of an interval: how long nobody may have said anything new of one.  Where all speak
 * at the same moment, it was left out of one round then.
 */
#define OVERDUE_QUARTERS 5
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
	return m->interval_ms * m->opts.multiplier;
}

static bool is_hearsay(const struct member_peer *p)
{
	return p->hearsay_seq > p->seq;
}

int64_t member_peer_heartbeat_ms(const struct member *m, const struct member_peer *p)
{
	return is_hearsay(p) ? most(p->heartbeat_ms, m->interval_ms) : p->heartbeat_ms;
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
	int64_t pace = m->interval_ms;

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

/* Of two changes in a row the first may not have been heard either. */
static void keep_former(struct member *m, int64_t now)
{
	m->former.heartbeat_ms = member_pace_ms(m, now);
	m->former.dead_ms = member_patience_ms(m, now);
	m->former.beats = TIMING_BEATS;
}

static int64_t interval_of(const struct member *m)
{
	int64_t interval = m->opts.heartbeat_ms, at_once = most(SPEAKERS_AT_ONCE, interval);
	int64_t n = 1 + (int64_t)member_n_there(m);

	return n <= at_once ? interval : least(interval * n / at_once, UINT16_MAX);
}

void member_set_timing(struct member *m, int64_t now, int heartbeat_ms, int multiplier)
{
	if (heartbeat_ms == m->opts.heartbeat_ms && multiplier == m->opts.multiplier)
		return;
	keep_former(m, now);
	m->opts.heartbeat_ms = heartbeat_ms;
	m->opts.multiplier = multiplier;
	m->interval_ms = interval_of(m);
	m->next_beat_ms = now;
}

void member_follow_number(struct member *m, int64_t now)
{
	int64_t interval = interval_of(m);

	if (interval > m->interval_ms && m->former.beats)
		return;
	if (interval > m->interval_ms)
		keep_former(m, now);
	m->interval_ms = interval;
}

size_t member_echoes(const struct member *m)
{
	size_t n = ECHOES_OF_A_ROUND / (1 + member_n_there(m));

	return n > ECHOES_MIN ? n : ECHOES_MIN;
}

bool member_is_overdue(const struct member *m, const struct member_peer *p, int64_t now)
{
	return p->seq > p->hearsay_seq &&
	       now - p->hearsay_ms >= m->interval_ms * OVERDUE_QUARTERS / 4;
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
