/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Service that changes while it is built is built to the end, and once more: one that never rests
 * is carried all the same, and the others have their turn in between.  So nobody may wait until a
 * Service rests: what is waited for is a pass that began late enough.
 */
#include "config.h"

#include "speaker/large.h"

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <utlist.h>

#include "fairlead/hash.h"
#include "fairlead/mem.h"

struct entry {
	UT_hash_handle hh;
	struct entry *prev, *next; /* among those that are due */
	struct forward_ports *ports;
	bool due, again;
	bool awaited;
	bool begun, passed; /* a pass is under way; some pass came to its end */
	/*
	 * As asked for; when the pass under way began; when the one that was passed on last began.
	 */
	uint64_t need, begun_need, passed_need;
	char key[];
};

struct large {
	const struct large_ops *ops;
	void *arg;
	struct event *timer;
	struct entry *entries, *due;
	size_t n_awaited;
	bool awaiting; /* arrived() is to be called */
	bool put_off;  /* the step that was due last was LARGE_NOT_NOW */
};

static struct entry *find(const struct large *l, const char *key)
{
	struct entry *e = NULL;

	if (l->entries)
		HASH_FIND_STR(l->entries, key, e);
	return e;
}

static void kick(struct large *l)
{
	static const struct timeval now = { 0, 0 };

	evtimer_add(l->timer, &now);
}

static void await_no_more(struct large *l, struct entry *e)
{
	l->n_awaited -= e->awaited;
	e->awaited = false;
}

/* The pass is over. */
static void end_pass(struct large *l, struct entry *e, bool passed_on)
{
	DL_DELETE(l->due, e);
	e->due = e->again;
	e->again = e->begun = false;
	if (e->due)
		DL_APPEND(l->due, e);
	if (passed_on) {
		e->passed = true;
		e->passed_need = e->begun_need;
	}
	await_no_more(l, e);
	forward_ports_again(e->ports);
}

static void step(struct large *l, struct entry *e)
{
	if (!e->begun)
		e->begun_need = e->need;
	e->begun = true;
	enum large_step s = l->ops->step(e->key, e->ports, LARGE_SLICE, l->arg);
	l->put_off = s == LARGE_NOT_NOW;
	switch (s) {
	case LARGE_GOES_ON:
	case LARGE_NOT_NOW:
		break;
	case LARGE_PASSED_ON:
	case LARGE_LET_GO:
		end_pass(l, e, s == LARGE_PASSED_ON);
		break;
	}
}

static void next(struct large *l)
{
	if (l->due)
		step(l, l->due);
	if (l->awaiting && !l->n_awaited) {
		l->awaiting = false;
		l->ops->arrived(l->arg);
	}
	if (l->due)
		kick(l);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	next(arg);
}

void large_go_on(struct large *l)
{
	if (l->put_off)
		next(l);
}

bool large_await(struct large *l)
{
	struct entry *e;

	DL_FOREACH(l->due, e) {
		l->n_awaited += !e->passed && !e->awaited;
		e->awaited = e->awaited || !e->passed;
	}
	l->awaiting = l->n_awaited > 0;
	return l->awaiting;
}

struct large *large_new(struct event_base *base, const struct large_ops *ops, void *arg)
{
	struct large *l = xcalloc(1, sizeof(*l));

	l->ops = ops;
	l->arg = arg;
	l->timer = evtimer_new(base, on_timer, l);
	return l;
}

static void drop(struct large *l, struct entry *e)
{
	if (e->due)
		DL_DELETE(l->due, e);
	await_no_more(l, e);
	HASH_DEL(l->entries, e);
	forward_ports_free(e->ports);
	free(e);
}

void large_free(struct large *l)
{
	struct entry *e, *next;

	if (!l)
		return;
	HASH_ITER(hh, l->entries, e, next)
		drop(l, e);
	event_free(l->timer);
	free(l);
}

void large_set(struct large *l, const char *key, uint64_t need)
{
	struct entry *e = find(l, key);
	size_t size = strlen(key) + 1;

	if (!e) {
		e = xcalloc(1, sizeof(*e) + size);
		memcpy(e->key, key, size);
		e->ports = forward_ports_new();
		HASH_ADD_STR(l->entries, key, e);
	}
	e->need = need;
	e->again = e->due;
	if (!e->due)
		DL_APPEND(l->due, e);
	e->due = true;
	kick(l);
}

void large_drop(struct large *l, const char *key)
{
	struct entry *e = find(l, key);

	if (!e)
		return;
	drop(l, e);
	kick(l); /* others may have waited for it */
}

bool large_is_due(const struct large *l, const char *key)
{
	const struct entry *e = find(l, key);

	return e && e->due;
}

bool large_any_due(const struct large *l)
{
	return l->due;
}

static bool suffices(const struct entry *e)
{
	return !e->due || (e->passed && e->passed_need >= e->need);
}

bool large_suffices(const struct large *l, const char *key)
{
	const struct entry *e = find(l, key);

	return !e || suffices(e);
}

bool large_all_suffice(const struct large *l)
{
	const struct entry *e;

	DL_FOREACH(l->due, e)
		if (!suffices(e))
			return false;
	return true;
}
