/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a Service had before an entry, the entry says if its writer knew, and otherwise the entries
 * before it.  So an address is found also where it was given up.
 */
#include "config.h"

#include "cli/history.h"

#include <stdlib.h>
#include <string.h>

#include "cli/state.h"
#include "fairlead/clock.h"
#include "fairlead/hash.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"

/* ---- reading ---- */

static void take(struct journal_entry *e, void *arg)
{
	struct history *h = arg;

	ARRAY_RESERVE(h->entries, h->cap, h->n + 1);
	h->entries[h->n++] = *e;
	*e = (struct journal_entry){ 0 };
}

static int map_cmp(const void *a, const void *b)
{
	const struct kube_config_map *const *ma = a, *const *mb = b;
	uint64_t na = journal_number(&(*ma)->data), nb = journal_number(&(*mb)->data);

	return (na > nb) - (na < nb);
}

/* What its writer did not know, but the entries before it tell. */
static void learn_before(const struct journal_holders *holders, struct journal_entry *e)
{
	const struct journal_holder *known =
		e->service ? journal_holder_of(holders, e->service) : NULL;

	if (e->n_before || !known || !known->uid || !e->uid || strcmp(known->uid, e->uid) != 0)
		return;
	memcpy(e->before, known->addrs, sizeof(e->before));
	e->n_before = known->n;
}

static void learn_all(struct history *h)
{
	h->holders = journal_holders_new();
	for (size_t i = 0; i < h->n; i++) {
		learn_before(h->holders, &h->entries[i]);
		journal_holders_put(h->holders, &h->entries[i]);
	}
}

void history_read(struct history *h, const struct state *s, const char *namespace)
{
	const struct kube_config_map *maps[JOURNAL_MAPS];

	for (size_t i = 0; i < JOURNAL_MAPS; i++) {
		cleanup_free char *name = xasprintf(JOURNAL_MAP_PREFIX "%zu", i);
		const struct kube_config_map *map = state_config_map(s, namespace, name);
		if (map)
			maps[h->n_maps++] = map;
	}
	if (h->n_maps)
		qsort(maps, h->n_maps, sizeof(maps[0]), map_cmp);
	for (size_t i = 0; i < h->n_maps; i++) {
		const char *text = labels_get(&maps[i]->data, JOURNAL_KEY_ENTRIES);
		if (text)
			h->n_unreadable += journal_read(text, strlen(text), take, h);
	}
	learn_all(h);
}

void history_fini(struct history *h)
{
	for (size_t i = 0; i < h->n; i++)
		journal_entry_fini(&h->entries[i]);
	free(h->entries);
	journal_holders_free(h->holders);
	*h = (struct history){ .n = 0 };
}

/* ---- what is asked for ---- */

/* The entry's is the Service's, or that of its external IPs. */
static bool is_of(const struct journal_entry *e, const char *service)
{
	size_t n = e->service ? strcspn(e->service, " ") : 0;

	return e->service && n == strlen(service) && !strncmp(e->service, service, n);
}

static bool same_namespace(const char *a, const char *b)
{
	size_t n = strcspn(a, "/");

	return n == strcspn(b, "/") && !strncmp(a, b, n);
}

static bool is_about(const struct history_question *q, const struct journal_entry *e)
{
	/* What was lost may have been about anything, or anything of a namespace. */
	if (e->event == JOURNAL_LOST)
		return !q->service || !e->service || same_namespace(q->service, e->service);
	if (q->service && !is_of(e, q->service))
		return false;
	return addr_is_none(&q->address) || addrs_contain(e->addrs, e->n, &q->address) ||
	       addrs_contain(e->before, e->n_before, &q->address);
}

/* By this entry, its Service had from then on what is asked for. */
static bool holds(const struct history_question *q, const struct journal_entry *e)
{
	return addr_is_none(&q->address) ? e->n > 0 : addrs_contain(e->addrs, e->n, &q->address);
}

const char *history_elsewhere(const struct history *h, const char *service)
{
	const char *name = strrchr(service, '/'), *found = NULL;

	for (size_t i = 0; i < h->n; i++) {
		const struct journal_entry *e = &h->entries[i];
		const char *its = e->service ? strchr(e->service, '/') : NULL;
		if (is_of(e, service))
			return NULL;
		if (its && !strchr(its, ' ') && !strcmp(its, name))
			found = e->service;
	}
	return found;
}

/* ---- before the period ---- */

/* The last entry about a Service. */
struct latest {
	const struct journal_entry *entry;
	UT_hash_handle hh;
};

/* The table stays in the order of the entries. */
static void put_latest(struct latest **all, const struct journal_entry *e)
{
	struct latest *l;

	HASH_FIND_STR(*all, e->service, l);
	if (l)
		HASH_DEL(*all, l);
	else
		l = xcalloc(1, sizeof(*l));
	l->entry = e;
	HASH_ADD_KEYPTR(hh, *all, e->service, strlen(e->service), l);
}

struct chosen {
	const struct journal_entry **entries;
	size_t n;
	/* of these, from before the period, and about nothing that is known */
	size_t n_before, n_lost;
};

static void choose_before(const struct history *h, const struct history_question *q,
                          struct chosen *c)
{
	struct latest *all = NULL, *l, *next;
	const struct journal_entry *last = NULL;

	for (size_t i = 0; i < h->n; i++) {
		const struct journal_entry *e = &h->entries[i];
		if (e->time_us < q->since_us && e->service && e->event != JOURNAL_LOST &&
		    is_about(q, e)) {
			put_latest(&all, e);
			last = e;
		}
	}
	HASH_ITER(hh, all, l, next) {
		if (holds(q, l->entry))
			c->entries[c->n++] = l->entry;
		HASH_DEL(all, l);
		free(l);
	}
	if (c->n == 0 && last)
		c->entries[c->n++] = last;
	c->n_before = c->n;
}

static void choose(const struct history *h, const struct history_question *q, struct chosen *c)
{
	*c = (struct chosen){ .entries = xcalloc(2 * h->n + 1, sizeof(const void *)) };
	if (q->service || !addr_is_none(&q->address))
		choose_before(h, q, c);
	for (size_t i = 0; i < h->n; i++)
		if (h->entries[i].time_us >= q->since_us && is_about(q, &h->entries[i])) {
			c->entries[c->n++] = &h->entries[i];
			c->n_lost += h->entries[i].event == JOURNAL_LOST;
		}
}

/* ---- printing ---- */

static const struct out_table table = {
	.if_any = true,
	.columns = { { "time", "TIME" },
	             { "event", "EVENT" },
	             { "service", "SERVICE" },
	             { "before", "BEFORE" },
	             { "addresses", "ADDRESSES" },
	             { "pool", "POOL" },
	             { "reason", "REASON" },
	             { "uid", "UID", .wide = true },
	             { "by", "BY", .wide = true } },
};

static void put_addrs(const char *key, const struct addr *addrs, size_t n, struct out *o)
{
	out_list(o, key);
	for (size_t i = 0; i < n; i++)
		out_addr(o, NULL, &addrs[i]);
	out_close(o);
}

static void put(const struct journal_entry *e, bool from_before, struct out *o)
{
	char time[CLOCK_RFC3339_SIZE];

	out_object(o, NULL);
	out_row(o);
	out_str(o, "time", clock_rfc3339(e->time_us, time));
	out_str(o, "event", journal_event_name(e->event));
	out_str(o, "service", e->service);
	out_str(o, "uid", e->uid);
	put_addrs("before", e->before, e->n_before, o);
	put_addrs("addresses", e->addrs, e->n, o);
	out_str(o, "pool", e->pool);
	out_str(o, "reason", e->reason);
	out_str(o, "by", e->by);
	if (e->since_us) {
		out_str(o, "since", clock_rfc3339(e->since_us, time));
		out_cell(o, "reason", "since %s", time);
	}
	if (e->event == JOURNAL_LOST) {
		out_uint(o, "count", e->count);
		out_cell(o, "reason", "%llu entries were dropped", (unsigned long long)e->count);
	}
	if (from_before) {
		out_bool(o, "from_before", true);
		out_cell(o, "event", "%s (earlier)", journal_event_name(e->event));
	}
	out_close(o);
}

/* In place of an empty table, or below one that has nothing about what is asked for. */
static void say_none(const struct history *h, const struct history_question *q,
                     const struct chosen *c, struct out *o)
{
	const char *what = q->service                  ? q->service
	                   : addr_is_none(&q->address) ? NULL
	                                               : addr_str(&q->address);
	char time[CLOCK_RFC3339_SIZE];

	if (h->n_maps == 0)
		return;
	if (c->n == c->n_lost && (what || !h->n))
		out_say(o, "No entry%s%s.", what ? " for " : "", what ? what : "");
	else if (c->n == c->n_before)
		out_say(o, "Nothing has changed since %s.", clock_rfc3339(q->since_us, time));
}

void history_print(const struct history *h, const struct history_question *q, struct out *o)
{
	struct chosen c;

	choose(h, q, &c);
	o->lines = true;
	out_table(o, &table);
	out_list(o, NULL);
	for (size_t i = 0; i < c.n; i++)
		put(c.entries[i], i < c.n_before, o);
	out_close(o);
	out_table_end(o);
	say_none(h, q, &c, o);
	free(c.entries);
}
