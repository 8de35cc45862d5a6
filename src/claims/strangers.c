/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Each stranger draws a lot when a heartbeat begins to owe it an echo.  Where places are short the
 * higher lots keep them: at the next heartbeat the strangers left are a fair sample of all that
 * came since the last one, so that one real node among n replays of its name waits for about n /
 * STRANGERS_PER_NAME heartbeats, and nobody without our random numbers can do better by timing.
 * Evicting at random alone would favour the newest, that is whoever sends most often.
 */
#include "fairlead/strangers.h"

#include <stdlib.h>
#include <string.h>

/* A stranger that was silent for this long may be forgotten. */
#define FORGET_MS 10000

void strangers_init(struct strangers *st, uint64_t seed)
{
	memset(st, 0, sizeof(*st));
	st->random = seed;
}

void strangers_forget(struct strangers *st, struct stranger *s)
{
	if (!s)
		return;
	HASH_DEL(st->all, s);
	free(s);
}

void strangers_fini(struct strangers *st)
{
	struct stranger *s, *next;

	HASH_ITER(hh, st->all, s, next)
		strangers_forget(st, s);
}

/* splitmix64; never 0, which is no lot. */
static uint32_t draw(struct strangers *st)
{
	uint64_t x = st->random += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return (uint32_t)(x >> 32) | 1;
}

static int by_name(const void *name, const void *node)
{
	return strcmp(name, *(const char *const *)node);
}

static bool is_known(const struct strangers *st, const char *name)
{
	return st->n_nodes && bsearch(name, st->nodes, st->n_nodes, sizeof(*st->nodes), by_name);
}

void strangers_set_nodes(struct strangers *st, const char *const *nodes, size_t n)
{
	st->nodes = nodes;
	st->n_nodes = n;
	for (struct stranger *s = st->all; s; s = s->hh.next)
		s->known = is_known(st, s->name);
}

struct stranger *strangers_find(const struct strangers *st, uint64_t incarnation)
{
	struct stranger *s;

	HASH_FIND(hh, st->all, &incarnation, sizeof(incarnation), s);
	return s;
}

/* Of the strangers that compete for the same places, the one to go first. */
struct room {
	size_t n;
	struct stranger *last;
};

static void count(struct room *r, int64_t now, struct stranger *s)
{
	if (now - s->heard_ms > FORGET_MS)
		s->lot = 0;
	r->n++;
	if (!r->last || s->lot < r->last->lot)
		r->last = s;
}

/* The one that would have to go for a new one of that name; NULL: there is room. */
static struct stranger *in_the_way(const struct strangers *st, int64_t now, const char *name,
                                   bool known)
{
	struct room same = { 0 }, unknown = { 0 }, all = { 0 };

	for (struct stranger *s = st->all; s; s = s->hh.next) {
		count(&all, now, s);
		if (!s->known)
			count(&unknown, now, s);
		if (!strcmp(s->name, name))
			count(&same, now, s);
	}
	if (same.n >= STRANGERS_PER_NAME)
		return same.last;
	if (!known && unknown.n >= STRANGERS_UNKNOWN_MAX)
		return unknown.last;
	return all.n >= STRANGERS_MAX ? all.last : NULL;
}

/* A place for a new one with that lot; NULL if others keep theirs. */
static struct stranger *settle_in(struct strangers *st, int64_t now, const struct wire_msg *msg,
                                  uint32_t lot)
{
	bool known = is_known(st, msg->name);
	struct stranger *other = in_the_way(st, now, msg->name, known);

	st->turned_away += other && other->lot;
	if (other && other->lot >= lot)
		return NULL;
	strangers_forget(st, other);
	struct stranger *s = xcalloc(1, sizeof(*s));
	memcpy(s->name, msg->name, sizeof(s->name));
	s->incarnation = msg->incarnation;
	s->known = known;
	HASH_ADD(hh, st->all, incarnation, sizeof(s->incarnation), s);
	return s;
}

struct stranger *strangers_meet(struct strangers *st, int64_t now, const struct wire_msg *msg)
{
	struct stranger *s = strangers_find(st, msg->incarnation);
	uint32_t lot = draw(st);

	if (s && msg->seq <= s->seq)
		return NULL;
	if (!s)
		s = settle_in(st, now, msg, lot);
	if (!s)
		return NULL;
	if (!s->lot)
		s->lot = lot;
	s->seq = msg->seq;
	s->heard_ms = now;
	s->mtu = msg->mtu;
	return s;
}

bool strangers_heard(const struct strangers *st, int64_t now, int64_t ms)
{
	for (const struct stranger *s = st->all; s; s = s->hh.next)
		if (now - s->heard_ms <= ms)
			return true;
	return false;
}

size_t strangers_mtu(const struct strangers *st, int64_t now, int64_t ms, size_t mtu)
{
	for (const struct stranger *s = st->all; s; s = s->hh.next)
		if (now - s->heard_ms <= ms && s->mtu && s->mtu < mtu)
			mtu = s->mtu;
	return mtu;
}

void strangers_echo(struct strangers *st, int64_t now, int64_t ms, size_t max, struct wire_msg *msg)
{
	struct stranger *s = st->all, *next;

	/* A repeated one moves to the end, and must not be repeated again in this round. */
	for (size_t left = HASH_COUNT(st->all), added = 0; left > 0 && added < max; left--) {
		next = s->hh.next;
		if (s->lot && now - s->heard_ms <= ms) {
			msg->echoes[msg->n++] = (struct wire_echo){ s->incarnation, s->seq, false };
			added++;
			s->lot = 0;
			HASH_DEL(st->all, s);
			HASH_ADD(hh, st->all, incarnation, sizeof(s->incarnation), s);
		}
		s = next;
	}
}
