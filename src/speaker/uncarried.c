/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "speaker/uncarried.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/hash.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"
#include "speaker/lasting.h"
#include "speaker/nowhere.h"

struct entry {
	uint8_t uid[VIEW_UID_SIZE];
	enum reason reason;
	UT_hash_handle hh;
	char key[];
};

struct uncarried {
	struct entry *entries;
	struct lasting *known; /* what was reported about each, by struct state */
};

struct state {
	uint8_t uid[VIEW_UID_SIZE];
	enum reason reason;
	char key[];
};

/* A look in progress. */
struct look {
	const struct uncarried *u;
	const struct view *view;
	uncarried_tell *tell;
	void *arg;
};

struct uncarried *uncarried_new(void)
{
	struct uncarried *u = xcalloc(1, sizeof(*u));

	u->known = lasting_new();
	return u;
}

static void drop(struct uncarried *u, struct entry *e)
{
	HASH_DEL(u->entries, e);
	free(e);
}

void uncarried_free(struct uncarried *u)
{
	struct entry *e, *next;

	if (!u)
		return;
	HASH_ITER(hh, u->entries, e, next)
		drop(u, e);
	lasting_free(u->known);
	free(u);
}

static struct entry *find(const struct uncarried *u, const char *key)
{
	struct entry *e = NULL;

	if (u->entries)
		HASH_FIND_STR(u->entries, key, e);
	return e;
}

void uncarried_drop(struct uncarried *u, const char *key)
{
	struct entry *e = find(u, key);

	if (e)
		drop(u, e);
}

void uncarried_set(struct uncarried *u, const struct view_service *s, enum reason reason)
{
	struct entry *e = find(u, s->key);

	if (reason == REASON_Candidate) {
		uncarried_drop(u, s->key);
		return;
	}
	if (!e) {
		e = xcalloc(1, sizeof(*e) + strlen(s->key) + 1);
		memcpy(e->key, s->key, strlen(s->key) + 1);
		HASH_ADD_STR(u->entries, key, e);
	}
	memcpy(e->uid, s->uid, sizeof(e->uid));
	e->reason = reason;
}

static bool is_told_by_address(const struct entry *e, const struct announce *t)
{
	const struct announcement *a = announce_of(t, e->key);

	while (a && a->reason != e->reason)
		a = a->next;
	return a != NULL;
}

/* The Service that the state was of, if it is to be carried still. */
static bool is_carried(const struct look *l, const struct state *state)
{
	const struct view_service *s = view_service_named(l->view, state->key);

	return s && !memcmp(s->uid, state->uid, sizeof(s->uid)) && !find(l->u, state->key) &&
	       (view_is_for_proxies(s, 4) || view_is_for_proxies(s, 6));
}

static void over(const void *key, void *arg)
{
	const struct state *state = key;
	const struct look *l = arg;

	if (is_carried(l, state))
		l->tell(state->key, state->uid, REASON_Candidate, l->arg);
}

static struct lasting_state *see(const struct uncarried *u, const struct entry *e, int64_t now_ms)
{
	size_t size = sizeof(struct state) + strlen(e->key) + 1;
	cleanup_free struct state *state = xcalloc(1, size);

	memcpy(state->uid, e->uid, sizeof(state->uid));
	state->reason = e->reason;
	memcpy(state->key, e->key, strlen(e->key) + 1);
	return lasting_see(u->known, state, size, now_ms);
}

void uncarried_look(struct uncarried *u, const struct view *v, const struct announce *t,
                    struct budget *budget, int64_t now_ms, uncarried_tell *tell, void *arg)
{
	struct look l = { u, v, tell, arg };
	bool ours = u->entries && nowhere_is_ours_to_tell(v);

	for (const struct entry *e = u->entries; e; e = e->hh.next) {
		if (is_told_by_address(e, t))
			continue;
		struct lasting_state *state = see(u, e, now_ms);
		if (ours && lasting_is_due(state, NOWHERE_LASTS_MS, budget, now_ms))
			tell(e->key, e->uid, e->reason, arg);
	}
	lasting_forget(u->known, 0, 0, now_ms, over, &l);
}

static size_t of_namespace_of(const char *key, const char *const *keys, size_t n)
{
	size_t len = strcspn(key, "/") + 1, n_same = 0;

	for (size_t i = 0; i < n; i++)
		n_same += !strncmp(keys[i], key, len);
	return n_same;
}

void uncarried_status(const struct uncarried *u, const struct announce *t, const char *name,
                      struct out *o)
{
	const char *keys[UNCARRIED_ROWS_MAX];
	size_t n = 0;

	out_list(o, name);
	for (const struct entry *e = u->entries; e && n < UNCARRIED_ROWS_MAX; e = e->hh.next) {
		if (is_told_by_address(e, t) ||
		    of_namespace_of(e->key, keys, n) == UNCARRIED_OF_NAMESPACE_MAX)
			continue;
		out_object(o, NULL);
		out_str(o, "service", e->key);
		out_str(o, "reason", reason_name(e->reason));
		out_close(o);
		keys[n++] = e->key;
	}
	out_close(o);
}

void uncarried_count(const struct uncarried *u, size_t counts[static REASON_COUNT])
{
	for (const struct entry *e = u->entries; e; e = e->hh.next)
		counts[e->reason]++;
}
