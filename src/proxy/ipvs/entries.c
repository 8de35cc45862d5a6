/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/ipvs/entries.h"

#include <stdlib.h>

#include <utlist.h>

#include "fairlead/mem.h"

static uint64_t key_of(struct virtual_id id)
{
	return (uint64_t)id.family << 32 | id.mark;
}

void entries_init(struct entries *b)
{
	*b = (struct entries){ .due_ms = ENTRIES_NEVER };
	schedulers_init(&b->schedulers);
}

void entries_fini(struct entries *b)
{
	struct entry *e, *next;

	HASH_ITER(hh, b->all, e, next)
		entries_drop(b, e);
}

struct entry *entries_find(const struct entries *b, struct virtual_id id)
{
	uint64_t key = key_of(id);
	struct entry *e;

	HASH_FIND(hh, b->all, &key, sizeof(key), e);
	return e;
}

void entries_move(struct entries *b, struct entry *e, enum entry_place place)
{
	if (e->place != ENTRY_REST)
		DL_DELETE(b->places[e->place], e);
	e->place = place;
	if (place != ENTRY_REST)
		DL_APPEND(b->places[place], e);
}

void entries_hurry(struct entries *b, struct entry *e)
{
	DL_DELETE(b->places[e->place], e);
	DL_PREPEND(b->places[e->place], e);
}

void entries_set_changing(struct entries *b, struct entry *e, bool changing)
{
	b->n_changing += changing;
	b->n_changing -= e->changing;
	e->changing = changing;
}

void entries_set_damaged(struct entries *b, struct entry *e, bool damaged)
{
	size_t *n = &b->n_damaged[e->s.id.family == 6];

	*n += damaged;
	*n -= e->damaged;
	e->damaged = damaged;
}

void entries_refuse(struct entries *b, struct entry *e, const char *error)
{
	size_t *n = &b->n_refused[e->s.id.family == 6];

	if (error)
		entries_set_changing(b, e, true);

	*n += error != NULL;
	*n -= e->refusal != NULL;
	free(e->refusal);
	e->refusal = xstrdup_null(error);
}

void entries_pause(struct entries *b, struct entry *e, int64_t due_ms)
{
	e->due_ms = due_ms;
	entries_move(b, e, ENTRY_PAUSED);
	if (due_ms < b->due_ms)
		b->due_ms = due_ms;
}

void entries_drop(struct entries *b, struct entry *e)
{
	entries_move(b, e, ENTRY_REST);
	entries_set_changing(b, e, false);
	entries_set_damaged(b, e, false);
	entries_refuse(b, e, NULL);
	if (b->audited == e)
		b->audited = e->hh.next;
	HASH_DEL(b->all, e);
	server_fini(&e->s);
	free(e->counters);
	free(e);
}

void entries_rest(struct entries *b, struct entry *e, int64_t now_ms)
{
	if (!e->s.wanted && !e->s.there) {
		entries_drop(b, e);
		return;
	}
	entries_set_changing(b, e, false);
	entries_set_damaged(b, e, false);
	entries_refuse(b, e, NULL);
	e->failures = 0;
	if (!server_is_draining(&e->s)) {
		entries_move(b, e, ENTRY_REST);
		return;
	}
	int64_t over_ms = (int64_t)server_over_s(&e->s) * 1000, look_ms = now_ms + ENTRIES_LOOK_MS;
	entries_pause(b, e, over_ms < look_ms ? over_ms : look_ms);
}

struct entry *entries_get(struct entries *b, struct virtual_id id)
{
	struct entry *e = entries_find(b, id);

	if (e)
		return e;
	e = xcalloc(1, sizeof(*e));
	e->key = key_of(id);
	e->s.id = id;
	/* As long as nobody says more of it. */
	e->s.drains = true;
	e->s.grace_s = VIRTUAL_GRACE_S;
	e->scheduler = SCHEDULERS_NONE;
	HASH_ADD(hh, b->all, key, sizeof(e->key), e);
	return e;
}
