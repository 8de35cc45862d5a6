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
}

void history_fini(struct history *h)
{
	for (size_t i = 0; i < h->n; i++)
		journal_entry_fini(&h->entries[i]);
	free(h->entries);
	*h = (struct history){ .n = 0 };
}

struct journal_holders *history_holders(const struct history *h)
{
	struct journal_holders *holders = journal_holders_new();

	for (size_t i = 0; i < h->n; i++)
		journal_holders_put(holders, &h->entries[i]);
	return holders;
}

/* ---- printing ---- */

static const struct out_table table = {
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

struct before {
	const struct addr *addrs;
	size_t n;
};

static struct before before_of(const struct journal_holders *holders, const struct journal_entry *e)
{
	const struct journal_holder *known =
		e->service ? journal_holder_of(holders, e->service) : NULL;

	if (e->n_before || !known || !known->uid || !e->uid || strcmp(known->uid, e->uid) != 0)
		return (struct before){ e->before, e->n_before };
	return (struct before){ known->addrs, known->n };
}

/* The entry's is the Service's, or that of its external IPs. */
static bool is_of(const struct journal_entry *e, const char *service)
{
	size_t n = e->service ? strcspn(e->service, " ") : 0;

	return e->service && n == strlen(service) && !strncmp(e->service, service, n);
}

static bool is_asked(const struct history_question *q, const struct journal_entry *e,
                     struct before before)
{
	if (e->time_us < q->since_us)
		return false;
	/* What was lost may have been about anything. */
	if (e->event == JOURNAL_LOST)
		return true;
	if (q->service && !is_of(e, q->service))
		return false;
	return addr_is_none(&q->address) || addrs_contain(e->addrs, e->n, &q->address) ||
	       addrs_contain(before.addrs, before.n, &q->address);
}

static void put_addrs(const char *key, const struct addr *addrs, size_t n, struct out *o)
{
	out_list(o, key);
	for (size_t i = 0; i < n; i++)
		out_addr(o, NULL, &addrs[i]);
	out_close(o);
}

static void put(const struct journal_entry *e, struct before before, struct out *o)
{
	char time[CLOCK_RFC3339_SIZE];

	out_object(o, NULL);
	out_row(o);
	out_str(o, "time", clock_rfc3339(e->time_us, time));
	out_str(o, "event", journal_event_name(e->event));
	out_str(o, "service", e->service);
	out_str(o, "uid", e->uid);
	put_addrs("before", before.addrs, before.n, o);
	put_addrs("addresses", e->addrs, e->n, o);
	out_str(o, "pool", e->pool);
	out_str(o, "reason", e->reason);
	out_str(o, "by", e->by);
	if (e->event == JOURNAL_LOST) {
		out_uint(o, "count", e->count);
		out_cell(o, "reason", "%llu entries were dropped", (unsigned long long)e->count);
	}
	out_close(o);
}

void history_print(const struct history *h, const struct history_question *q, struct out *o)
{
	struct journal_holders *holders = journal_holders_new();

	o->lines = true;
	out_table(o, &table);
	out_list(o, NULL);
	for (size_t i = 0; i < h->n; i++) {
		const struct journal_entry *e = &h->entries[i];
		struct before before = before_of(holders, e);
		if (is_asked(q, e, before))
			put(e, before, o);
		journal_holders_put(holders, e);
	}
	out_close(o);
	out_table_end(o);
	journal_holders_free(holders);
}
