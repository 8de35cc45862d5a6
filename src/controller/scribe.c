/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal's writer.
 *
 *	OFF --- leads, and the configuration has a journal ---> READING --- all seen ---> READY
 *	 ^                                                        ^   |                     |
 *	 '--- leads no longer, or there is none any more ---------'---'--- conflict, lost --'
 *
 * A new leader reads the ConfigMaps once, one after another: which is the newest, and what the
 * journal says that Services have.  What they have by their statuses is compared with that, and
 * what differs is entered as found or missed: so what a leader could not write before it died, what
 * happened while nobody led, and what a restored cluster has forgotten is known from then on, only
 * without its time.
 *
 * No lease guards these writes, but the version that they are made from does: of two leaders one
 * reads anew.
 *
 * Entries about those who still have something are repeated before they go, with the time since
 * when; what is too much for one look waits for the next ones.
 *
 * From then on entries wait in a queue and go out together, some time after the first of them, each
 * time as a patch of the newest ConfigMap.  Where others have written it, it is read anew.  When it
 * is full, the next one, whose place is that of the oldest, is begun.  The queue has a bound; what
 * it cannot hold is counted, and an entry says how many are missing.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <json-c/json.h>

#include "controller/scribe_private.h"
#include "fairlead/clock.h"
#include "fairlead/journal.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"

/* ---- writing ---- */

static void written(struct controller *ctl, const struct kube_config_map *map)
{
	struct scribe *s = ctl->scribe;
	struct map_seen *m = &s->maps[s->at];

	if (s->at != s->newest && !s->clears) {
		free(TAKE(s->maps[s->newest].text));
		s->newest = s->at;
		/* What the next one will take the place of may say who still has something. */
		scribe_save_soon(ctl);
	}
	free(m->version);
	free(m->text);
	m->version = xstrdup(map->meta.resource_version);
	m->text = s->at == s->newest ? buf_take(&s->sent_text) : NULL;
	m->number = s->sent_number;
	m->is_old = false;
	buf_consume(&s->queue, s->sending);
	s->sending = 0;
	s->written_ms = clock_ms();
	scribe_succeeded(s);
}

static void on_written(int status, struct json_object *obj, const struct err *e, void *arg)
{
	struct controller *ctl = arg;
	struct scribe *s = ctl->scribe;
	struct kube_config_map *map;

	s->request = NULL;
	s->writes = false;
	if (s->state == SCRIBE_READY && status >= 200 && status < 300 && obj &&
	    kube_config_map_parse(obj, &map, NULL) == 0) {
		written(ctl, map);
		kube_config_map_free(map);
		scribe_arm_write(ctl);
		scribe_arm_look(ctl);
	} else if (s->state == SCRIBE_READY && (status == 404 || status == 409)) {
		s->saves = false;
		scribe_read_all(ctl); /* somebody has removed it, or written it */
	} else if (s->state == SCRIBE_READY) {
		/* It may have been written all the same. */
		s->state = SCRIBE_READING;
		scribe_failed(ctl, e ? e->msg : "it answers with something unreadable");
	}
	if (ctl->stopping && ctl->resigned)
		event_base_loopbreak(ctl->base);
}

/* As many whole lines of the queue as fit into so many bytes. */
static size_t lines_within(const struct buf *queue, size_t room)
{
	if (queue->size <= room)
		return queue->size;
	while (room > 0 && queue->data[room - 1] != '\n')
		room--;
	return room;
}

/* What the queue could not hold, before what came later. */
static void enter_dropped(struct controller *ctl)
{
	struct scribe *s = ctl->scribe;
	struct journal_entry e = { .event = JOURNAL_LOST,
		                   .time_us = clock_wall_us(),
		                   .by = ctl->identity,
		                   .count = s->dropped };

	scribe_tell_lost(ctl);
	if (!s->dropped)
		return;
	journal_print(&e, &s->queue);
	s->dropped = 0;
}

/* Which ConfigMap is to hold what. */
static void choose(struct controller *ctl)
{
	struct scribe *s = ctl->scribe;
	const struct map_seen *newest = &s->maps[s->newest];
	const char *text = newest->number && newest->text ? newest->text : "";
	size_t len = strlen(text);
	size_t old = journal_older_than(text, len, scribe_oldest_us(ctl));

	s->at = s->newest;
	s->sent_number = newest->number;
	s->sending = lines_within(
		&s->queue, JOURNAL_MAP_BYTES > len - old ? JOURNAL_MAP_BYTES - (len - old) : 0);
	if (newest->number == 0 || s->sending == 0) {
		s->sent_number = newest->number + 1;
		s->at = (s->sent_number - 1) % JOURNAL_MAPS;
		s->sending = lines_within(&s->queue, JOURNAL_MAP_BYTES);
		old = len;
	}
	buf_clear(&s->sent_text);
	buf_puts(&s->sent_text, text + old);
	buf_add(&s->sent_text, s->queue.data, s->sending);
}

static void put_body(const struct controller *ctl, struct buf *body)
{
	const struct scribe *s = ctl->scribe;
	const struct map_seen *m = &s->maps[s->at];

	buf_printf(
		body,
		"{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"" JOURNAL_MAP_PREFIX
		"%zu\",\"namespace\":",
		s->at);
	buf_json_str(body, ctl->namespace);
	if (m->version) {
		buf_puts(body, ",\"resourceVersion\":");
		buf_json_str(body, m->version);
	}
	buf_printf(body,
	           "},\"data\":{\"" JOURNAL_KEY_NUMBER "\":\"%" PRIu64 "\",\"" JOURNAL_KEY_ENTRIES
	           "\":",
	           s->sent_number);
	buf_json_str(body, buf_str(&s->sent_text));
	buf_puts(body, "}}");
}

static bool may_send(void *arg)
{
	const struct controller *ctl = arg;

	return ctl->leading || ctl->stopping;
}

/* Nothing of it is young enough: it is emptied, and keeps its number. */
static void choose_old(struct scribe *s)
{
	s->at = 0;
	while (!s->maps[s->at].is_old)
		s->at++;
	s->sent_number = s->maps[s->at].number;
	s->sending = 0;
	buf_clear(&s->sent_text);
}

static void send_it(struct controller *ctl)
{
	struct scribe *s = ctl->scribe;
	cleanup(buf_fini) struct buf path = BUF_INIT, body = BUF_INIT;

	enter_dropped(ctl);
	s->clears = s->queue.size == 0;
	if (s->clears)
		choose_old(s);
	else
		choose(ctl);
	bool exists = s->maps[s->at].version;
	buf_printf(&path, "/api/v1/namespaces/%s/configmaps", ctl->namespace);
	if (exists)
		buf_printf(&path, "/" JOURNAL_MAP_PREFIX "%zu", s->at);
	put_body(ctl, &body);
	const struct kube_request_spec spec = {
		.method = exists ? "PATCH" : "POST",
		.path = buf_str(&path),
		.body = buf_str(&body),
		.patch = exists ? KUBE_PATCH_MERGE : KUBE_PATCH_NONE,
		.may_send = may_send,
		.background = true,
	};
	s->writes = true;
	s->request = kube_request_start(ctl->client, &spec, on_written, ctl);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct controller *ctl = arg;
	struct scribe *s = ctl->scribe;

	(void)fd;
	(void)what;
	if (s->request || !ctl->leading || s->state == SCRIBE_OFF)
		return;
	/* A look comes first: it may have to save what the next write takes the place of. */
	if (s->state == SCRIBE_READING || scribe_is_look_due(s))
		scribe_read_all(ctl);
	else if (s->queue.size || s->dropped || scribe_any_lost(s) || scribe_any_old(s))
		send_it(ctl);
	else
		scribe_arm_look(ctl);
}

/* ---- from outside ---- */

int scribe_start(struct controller *ctl)
{
	ctl->scribe = xcalloc(1, sizeof(*ctl->scribe));
	ctl->scribe->timer = evtimer_new(ctl->base, on_timer, ctl);
	return ctl->scribe->timer ? scribe_copy_start(ctl) : -1;
}

void scribe_stop(struct controller *ctl)
{
	struct scribe *s = ctl->scribe;

	if (s->request && !s->writes)
		kube_request_cancel(TAKE(s->request));
	evtimer_del(s->timer);
	scribe_forget(s);
	s->state = SCRIBE_OFF;
	buf_clear(&s->queue);
	s->sending = 0;
	s->dropped = 0;
	s->saves = false;
	scribe_prune_shares(s, true);
}

void scribe_turn(struct controller *ctl)
{
	struct scribe *s = ctl->scribe;
	bool wanted = ctl->leading && scribe_days(ctl) > 0;

	if (wanted == (s->state != SCRIBE_OFF))
		return;
	if (!wanted) {
		scribe_stop(ctl);
		return;
	}
	/* A write of an earlier time at the top: whatever becomes of it will be seen. */
	if (s->request)
		kube_request_cancel(TAKE(s->request));
	s->written_ms = 0;
	s->n_failed = 0;
	scribe_read_all(ctl);
}

void scribe_flush(struct controller *ctl)
{
	struct scribe *s = ctl->scribe;

	scribe_copy_flush(ctl);
	if (s->state == SCRIBE_READY && ctl->leading && !s->request && s->queue.size)
		send_it(ctl);
}

bool scribe_is_busy(const struct controller *ctl)
{
	return ctl->scribe->request && ctl->scribe->writes;
}

void scribe_put(const struct controller *ctl, struct out *o)
{
	static const char *const states[] = { "off", "reading", "on" };
	const struct scribe *s = ctl->scribe;

	out_object(o, "journal");
	out_str(o, "state", states[s->state]);
	out_int(o, "days", scribe_days(ctl));
	out_uint(o, "waiting_bytes", s->queue.size);
	out_uint(o, "dropped", ctl->stats.journal_dropped);
	out_str(o, "error", s->error);
	scribe_copy_put(ctl, o);
	out_close(o);
}

void scribe_free(struct controller *ctl)
{
	struct scribe *s = ctl->scribe;

	if (!s)
		return;
	scribe_copy_flush(ctl);
	scribe_forget(s);
	scribe_prune_shares(s, true);
	if (s->timer)
		event_free(s->timer);
	scribe_copy_fini(&s->copy);
	buf_fini(&s->queue);
	buf_fini(&s->sent_text);
	free(s->error);
	free(s);
}
