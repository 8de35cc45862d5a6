/* SPDX-License-Identifier: Apache-2.0 */
/* What the journal says, and what is otherwise by the statuses. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "controller/scribe_private.h"
#include "fairlead/clock.h"
#include "fairlead/journal.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

#define AGAIN_FIRST_MS 5000
#define AGAIN_DOUBLINGS_MAX 6
/*
 * A look that left something out is followed by another one, so many times a day: each reads all
 * of the journal, and more than that would write over it in a few hours.
 */
#define MORE_MS 120000
/* where a namespace has entered all that it may */
#define MORE_MAX 8
#define NO_SHARE_MS 3600000
#define DAY_MS (24 * 3600 * 1000)

void scribe_forget(struct scribe *s)
{
	for (size_t i = 0; i < JOURNAL_MAPS; i++) {
		free(s->maps[i].version);
		free(s->maps[i].text);
		s->maps[i] = (struct map_seen){ .number = 0 };
	}
	s->at = s->newest = 0;
}

void scribe_failed(struct controller *ctl, const char *why)
{
	struct scribe *s = ctl->scribe;

	if (s->n_failed == 0)
		log_warn("the journal cannot be read or written; trying again", KV_S("error", why));
	free(s->error);
	s->error = xstrdup(why);
	scribe_arm(ctl, (int64_t)AGAIN_FIRST_MS << s->n_failed);
	if (s->n_failed < AGAIN_DOUBLINGS_MAX)
		s->n_failed++;
}

void scribe_succeeded(struct scribe *s)
{
	free(s->error);
	s->error = NULL;
	s->n_failed = 0;
}

static void see(struct map_seen *m, const struct kube_config_map *map)
{
	const char *text = labels_get(&map->data, JOURNAL_KEY_ENTRIES);

	free(m->version);
	free(m->text);
	m->version = xstrdup(map->meta.resource_version);
	m->text = xstrdup(text ? text : "");
	m->number = journal_number(&map->data);
}

/* ---- what differs ---- */

struct reading {
	struct journal_holders *holders;
	int64_t last_us; /* of the entries so far */
};

static void put_entry(struct journal_entry *e, void *arg)
{
	struct reading *r = arg;

	journal_holders_put(r->holders, e);
	if (e->time_us > r->last_us)
		r->last_us = e->time_us;
}

struct comparison {
	struct controller *ctl;
	struct journal_holders *holders;
	int64_t goes_us; /* what was entered before that is about to go */
	size_t n, n_kept;
	bool is_more;     /* than a look takes */
	bool has_to_wait; /* for its namespace may not enter more now */
};

static bool may_enter(struct comparison *c, const struct journal_entry *e)
{
	bool keeps = e->event == JOURNAL_KEPT;

	if (c->ctl->scribe->saves && !keeps)
		return false;
	if (c->n >= SCRIBE_FOUND_MAX || (keeps && c->n_kept >= SCRIBE_KEPT_MAX)) {
		c->is_more = true;
		return false;
	}
	if (!scribe_has_share(c->ctl->scribe, e->service)) {
		c->has_to_wait = true;
		return false;
	}
	return true;
}

static void differs(struct comparison *c, struct journal_entry *e)
{
	if (!may_enter(c, e))
		return;
	c->n++;
	c->n_kept += e->event == JOURNAL_KEPT;
	scribe_put_pool(c->ctl, e);
	scribe_enter(c->ctl, e);
}

/* Since when it has had all of them; 0: nobody knows of some. */
static int64_t since_of(const struct journal_holder *holder)
{
	int64_t since_us = 0;

	for (size_t i = 0; i < holder->n; i++) {
		if (!holder->since_us[i])
			return 0;
		if (holder->since_us[i] > since_us)
			since_us = holder->since_us[i];
	}
	return since_us;
}

static void keep(struct comparison *c, const struct journal_holder *known, struct journal_entry *e)
{
	if (e->n == 0 || known->told_us >= c->goes_us)
		return;
	e->event = JOURNAL_KEPT;
	e->since_us = since_of(known);
	differs(c, e);
}

static void compare_part(struct comparison *c, const struct record *r, const struct record_part *p,
                         const char *key)
{
	const struct journal_holder *known = journal_holder_of(c->holders, key);
	struct journal_entry e = scribe_entry_of(r, key, JOURNAL_FOUND, NULL, 0);

	e.n = scribe_held(r, p, e.addrs);
	journal_holders_mark(c->holders, key);
	if (journal_says(c->holders, key, r->uid, e.addrs, e.n)) {
		keep(c, known, &e);
		return;
	}
	if (e.n == 0)
		e.event = JOURNAL_MISSED;
	if (known)
		e.n_before = scribe_ours(c->ctl, e.before, known->addrs, known->n);
	differs(c, &e);
}

static void missed(const struct journal_holder *holder, void *arg)
{
	struct journal_entry e = { .event = JOURNAL_MISSED,
		                   .service = (char *)(uintptr_t)holder->service,
		                   .uid = (char *)(uintptr_t)holder->uid };

	/* Also where its pool is gone: that it has it no more is to be known. */
	for (; e.n_before < holder->n; e.n_before++)
		e.before[e.n_before] = holder->addrs[e.n_before];
	differs(arg, &e);
}

/* When all is read the next time. */
static void plan_look(const struct comparison *c)
{
	struct scribe *s = c->ctl->scribe;
	int64_t now = clock_ms();

	if (now - s->day_ms >= DAY_MS) {
		s->day_ms = now;
		s->n_more = 0;
	}
	if (!s->saves)
		s->find_ms = now + scribe_margin_ms(c->ctl) / 2;
	s->look_ms = s->find_ms;
	s->saves = false;
	if (c->is_more && s->n_more < MORE_MAX) {
		s->n_more++;
		scribe_look_within(c->ctl, MORE_MS);
	} else if (c->has_to_wait) {
		scribe_look_within(c->ctl, NO_SHARE_MS);
	}
}

static void compare(struct controller *ctl, struct journal_holders *holders, int64_t goes_us)
{
	struct comparison c = { .ctl = ctl, .holders = holders, .goes_us = goes_us };

	for (const struct record *r = ctl->records; r; r = r->hh.next) {
		compare_part(&c, r, &r->lb, r->key);
		if (r->external)
			compare_part(&c, r, r->external, r->external_key);
	}
	journal_holders_rest(holders, missed, &c);
	plan_look(&c);
}

/* The one with the next higher number than @above; NULL: there is none. */
static struct map_seen *next_map(struct scribe *s, uint64_t above)
{
	struct map_seen *next = NULL;

	for (size_t i = 0; i < JOURNAL_MAPS; i++) {
		struct map_seen *m = &s->maps[i];
		if (m->number > above && (!next || m->number < next->number))
			next = m;
	}
	return next;
}

/* What was sent and not answered may be there. */
static void drop_what_arrived(struct scribe *s, const struct map_seen *newest)
{
	size_t n = s->sending, len = newest->text ? strlen(newest->text) : 0;

	s->sending = 0;
	if (n == 0 || len < n || memcmp(newest->text + len - n, s->queue.data, n) != 0)
		return;
	buf_consume(&s->queue, n);
}

/* Reads all; returns before when what was entered is about to go. */
static int64_t read_maps(struct controller *ctl, struct journal_holders *holders)
{
	struct scribe *s = ctl->scribe;
	struct reading r = { .holders = holders, .last_us = INT64_MIN };
	struct map_seen *last = NULL;
	int64_t oldest_us = scribe_oldest_us(ctl);
	int64_t goes_us = oldest_us + scribe_margin_ms(ctl) * 1000;
	uint64_t newest = 0;

	for (struct map_seen *m = next_map(s, 0); m; m = next_map(s, m->number))
		newest = m->number;
	for (struct map_seen *m = next_map(s, 0); m; m = next_map(s, m->number)) {
		size_t len = strlen(m->text);
		journal_read(m->text, len, put_entry, &r);
		m->is_old = len && journal_older_than(m->text, len, oldest_us) == len;
		/* The next one takes the place of the first. */
		if (!last && m == &s->maps[newest % JOURNAL_MAPS] && r.last_us >= goes_us)
			goes_us = r.last_us + 1;
		if (last)
			free(TAKE(last->text));
		last = m;
	}
	if (last) {
		s->newest = (size_t)(last - s->maps);
		drop_what_arrived(s, last);
	}
	s->sending = 0;
	journal_read(buf_str(&s->queue), s->queue.size, put_entry, &r);
	return goes_us;
}

static void all_read(struct controller *ctl)
{
	struct scribe *s = ctl->scribe;
	struct journal_holders *holders = journal_holders_new();
	int64_t goes_us = read_maps(ctl, holders);

	s->state = SCRIBE_READY;
	scribe_succeeded(s);
	scribe_prune_shares(s, false);
	compare(ctl, holders, goes_us);
	journal_holders_free(holders);
	scribe_arm_write(ctl);
	scribe_arm_look(ctl);
}

/* ---- reading ---- */

static void read_next(struct controller *ctl);

static void on_read(int status, struct json_object *obj, const struct err *e, void *arg)
{
	struct controller *ctl = arg;
	struct scribe *s = ctl->scribe;
	struct kube_config_map *map;

	s->request = NULL;
	if (s->state != SCRIBE_READING)
		return;
	if (status >= 200 && status < 300 && obj && kube_config_map_parse(obj, &map, NULL) == 0) {
		see(&s->maps[s->at], map);
		kube_config_map_free(map);
	} else if (status != 404) {
		scribe_failed(ctl, e ? e->msg : "it answers with something unreadable");
		return;
	}
	if (++s->at < JOURNAL_MAPS)
		read_next(ctl);
	else
		all_read(ctl);
}

static void read_next(struct controller *ctl)
{
	struct scribe *s = ctl->scribe;
	cleanup_free char *path =
		xasprintf("/api/v1/namespaces/%s/configmaps/" JOURNAL_MAP_PREFIX "%zu",
	                  ctl->namespace, s->at);
	const struct kube_request_spec spec = { .method = "GET", .path = path, .background = true };

	s->writes = false;
	s->request = kube_request_start(ctl->client, &spec, on_read, ctl);
}

void scribe_read_all(struct controller *ctl)
{
	scribe_forget(ctl->scribe);
	ctl->scribe->state = SCRIBE_READING;
	read_next(ctl);
}
