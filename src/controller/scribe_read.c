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
/* So many differences are entered when a leader begins; of more only the number. */
#define FOUND_MAX 2000

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

struct comparison {
	struct controller *ctl;
	struct journal_holders *holders;
	size_t n;
	uint64_t left_out;
};

static void put_entry(struct journal_entry *e, void *arg)
{
	journal_holders_put(arg, e);
}

static void differs(struct comparison *c, struct journal_entry *e)
{
	if (c->n++ >= FOUND_MAX) {
		c->left_out++;
		return;
	}
	scribe_put_pool(c->ctl, e);
	scribe_enter(c->ctl, e);
}

static void compare_part(struct comparison *c, const struct record *r, const struct record_part *p,
                         const char *key)
{
	const struct journal_holder *known = journal_holder_of(c->holders, key);
	struct journal_entry e = scribe_entry_of(r, key, JOURNAL_FOUND, NULL, 0);

	e.n = scribe_held(r, p, e.addrs);
	journal_holders_mark(c->holders, key);
	if (journal_says(c->holders, key, r->uid, e.addrs, e.n))
		return;
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

static void compare(struct controller *ctl, struct journal_holders *holders)
{
	struct comparison c = { .ctl = ctl, .holders = holders };

	for (const struct record *r = ctl->records; r; r = r->hh.next) {
		compare_part(&c, r, &r->lb, r->key);
		if (r->external)
			compare_part(&c, r, r->external, r->external_key);
	}
	journal_holders_rest(holders, missed, &c);
	ctl->scribe->dropped += c.left_out;
	ctl->stats.journal_dropped += c.left_out;
	if (c.left_out > 0)
		log_warn("more has changed than the journal takes at once",
		         KV_I("entries", (int64_t)c.left_out));
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

static void all_read(struct controller *ctl)
{
	struct scribe *s = ctl->scribe;
	struct journal_holders *holders = journal_holders_new();
	struct map_seen *last = NULL;

	for (struct map_seen *m = next_map(s, 0); m; m = next_map(s, m->number)) {
		journal_read(m->text, strlen(m->text), put_entry, holders);
		m->is_old = *m->text &&
		            journal_older_than(m->text, strlen(m->text), scribe_oldest_us(ctl)) ==
		                    strlen(m->text);
		if (last)
			free(TAKE(last->text));
		last = m;
	}
	if (last) {
		s->newest = (size_t)(last - s->maps);
		drop_what_arrived(s, last);
	}
	s->sending = 0;
	journal_read(buf_str(&s->queue), s->queue.size, put_entry, holders);
	s->state = SCRIBE_READY;
	scribe_succeeded(s);
	s->read_ms = clock_ms();
	compare(ctl, holders);
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
