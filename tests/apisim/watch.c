/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <inttypes.h>
#include <string.h>

#include "fairlead/buf.h"
#include "fairlead/clock.h"
#include "fairlead/mem.h"
#include "fault.h"
#include "js.h"
#include "selector.h"
#include "table.h"

/*
 * Watches: what happened since a version, and from then on each change as it happens.  A client
 * that does not read is cut off once too much waits for it.
 */

#define WATCH_MAX_BACKLOG (64u << 20)
#define WATCH_DEFAULT_MIN_S 1800
#define WATCH_DEFAULT_SPREAD_S 1800

struct watcher {
	struct watcher *next, **at;
	struct server *server;
	const struct kind *kind;
	char *ns; /* NULL: all */
	struct selector *sel;
	struct evhttp_request *http;
	struct evhttp_connection *conn;
	struct event *timeout, *bookmark;
	bool bookmarks;
	bool table, table_full, table_began;
	bool dead;
};

static const char *const event_names[] = { "ADDED", "MODIFIED", "DELETED" };

static void watcher_free(struct watcher *w)
{
	*w->at = w->next;
	if (w->next)
		w->next->at = w->at;
	w->server->n_watchers--;
	event_free(w->timeout);
	event_free(w->bookmark);
	selector_free(w->sel);
	free(w->ns);
	free(w);
}

/* A request whose connection the client ended was left to us; one that we end goes with it. */
static void on_close(struct evhttp_connection *conn, void *arg)
{
	struct watcher *w = arg;
	struct evhttp_request *http = w->http;

	(void)conn;
	watcher_free(w);
	if (!evhttp_request_get_connection(http))
		evhttp_request_free(http);
}

/* Ends the stream as at its timeout; the connection may be used again. */
static void watcher_end(struct watcher *w)
{
	struct evhttp_request *http = w->http;

	evhttp_connection_set_closecb(w->conn, NULL, NULL);
	watcher_free(w);
	evhttp_send_reply_end(http);
}

/* Drops the connection in the middle of the stream. */
static void watcher_drop(struct watcher *w)
{
	struct evhttp_connection *conn = w->conn;

	evhttp_connection_set_closecb(conn, NULL, NULL);
	watcher_free(w);
	evhttp_connection_free(conn);
}

static void send_line(struct watcher *w, struct evbuffer *line)
{
	if (fault_watches_silent(w->server->faults, w->kind->resource)) {
		evbuffer_drain(line, evbuffer_get_length(line));
		return;
	}
	evhttp_send_reply_chunk(w->http, line);
	struct bufferevent *bev = evhttp_connection_get_bufferevent(w->conn);
	if (evbuffer_get_length(bufferevent_get_output(bev)) > WATCH_MAX_BACKLOG)
		w->dead = true;
}

static void send_version(struct watcher *w, const char *type, struct version *v)
{
	struct evbuffer *line = evbuffer_new();

	evbuffer_add_printf(line, "{\"type\":\"%s\",\"object\":", type);
	if (w->table) {
		table_write_event(w->kind, v, w->table_full, !w->table_began, line);
		w->table_began = true;
	} else {
		list_add_text(line, version_as(v, w->kind), 0);
	}
	evbuffer_add(line, "}\n", 2);
	send_line(w, line);
	evbuffer_free(line);
	w->server->n_watch_events++;
}

static void send_bookmark(struct watcher *w)
{
	struct evbuffer *line = evbuffer_new();

	evbuffer_add_printf(
		line,
		"{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"%s\",\"apiVersion\":\"%s\","
		"\"metadata\":{\"resourceVersion\":\"%" PRIu64 "\",\"creationTimestamp\":null}}}\n",
		w->kind->kind, kind_api_version(w->kind), w->server->store.rv);
	send_line(w, line);
	evbuffer_free(line);
}

static bool in_namespace(const struct watcher *w, const struct version *v)
{
	size_t len = w->ns ? strlen(w->ns) : 0;

	return !w->ns || (!strncmp(v->key, w->ns, len) && v->key[len] == '/');
}

/*
 * An object that no longer matches is a deletion to the watcher: its last matching state, newly
 * numbered.
 */
static void send_gone(struct watcher *w, const struct event *e)
{
	cleanup(js_put) struct json_object *o = version_parse(e->before);
	cleanup_free char *rv = xasprintf("%" PRIu64, e->rv);

	js_set_str(o, "metadata.resourceVersion", rv);
	struct version *v = version_new(e->before->kind, e->rv, o);
	send_version(w, "DELETED", v);
	version_unref(v);
}

static void deliver(struct watcher *w, const struct event *e)
{
	if (!in_namespace(w, e->now))
		return;
	bool now = selector_matches(w->sel, e->now);
	bool before = e->before && selector_matches(w->sel, e->before);
	if (e->type == EVENT_DELETED) {
		if (now || before)
			send_version(w, "DELETED", e->now);
	} else if (now) {
		send_version(w, before ? event_names[EVENT_MODIFIED] : event_names[EVENT_ADDED],
		             e->now);
	} else if (before) {
		send_gone(w, e);
	}
}

void watch_deliver(struct server *s, enum store_id id, const struct event *e)
{
	struct watcher *w = s->watchers, *next;

	for (; w; w = next) {
		next = w->next;
		if (w->kind->store == id)
			deliver(w, e);
		if (w->dead)
			watcher_drop(w);
	}
}

void watch_cut(struct server *s, const char *resource, bool clean)
{
	struct watcher *w = s->watchers, *next;

	for (; w; w = next) {
		next = w->next;
		if (resource && strcmp(resource, w->kind->resource) != 0)
			continue;
		if (clean)
			watcher_end(w);
		else
			watcher_drop(w);
	}
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct watcher *w = arg;

	(void)fd;
	(void)what;
	if (w->bookmarks && !w->table)
		send_bookmark(w);
	watcher_end(w);
}

static void on_bookmark(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	send_bookmark(arg);
}

/*
 * A watch that cannot begin where it wants: 200, one ERROR event, the end, as the real server does.
 */
static void answer_gone(struct evhttp_request *http, uint64_t rv, uint64_t oldest)
{
	cleanup(reply_fini) struct reply r = REPLY_INIT;
	struct evbuffer *line = evbuffer_new();

	reply_status(&r, 410, "Expired", NULL, NULL,
	             "too old resource version: %" PRIu64 " (%" PRIu64 ")", rv, oldest);
	evbuffer_add_printf(line, "{\"type\":\"ERROR\",\"object\":%s}\n", js_text(r.obj, NULL));
	evhttp_send_reply_start(http, 200, "OK");
	evhttp_send_reply_chunk(http, line);
	evhttp_send_reply_end(http);
	evbuffer_free(line);
}

static int parse_start(struct server *s, const struct api_request *rq, uint64_t *ret_rv,
                       bool *ret_state, struct reply *r)
{
	const char *text = request_query(rq, "resourceVersion");
	char *end;

	*ret_rv = text ? strtoull(text, &end, 10) : 0;
	if (text && *end)
		return reply_bad_request(
			r,
			"Invalid value: \"%s\": strconv.ParseUint: parsing \"%s\": "
			"invalid syntax",
			text, text);
	if (request_flag(rq, "sendInitialEvents") || request_query(rq, "resourceVersionMatch")) {
		cleanup(causes_fini) struct causes c = { .list = NULL };
		cause_forbidden(
			&c, "sendInitialEvents",
			"sendInitialEvents is forbidden for watch unless the WatchList feature "
			"gate is enabled");
		reply_status(
			r, 422, "Invalid", NULL, NULL,
			"ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: "
			"sendInitialEvents is forbidden for watch unless the WatchList feature "
			"gate "
			"is enabled");
		js_set_str(r->obj, "details.group", "meta.k8s.io");
		js_set_str(r->obj, "details.kind", "ListOptions");
		js_set(r->obj, "details.causes", json_object_get(c.list));
		return 422;
	}
	*ret_state = *ret_rv == 0;
	if (*ret_state)
		*ret_rv = s->store.rv;
	return 0;
}

static void send_state(struct watcher *w)
{
	struct store *st = &w->server->store;
	size_t begin, end;

	store_range(st, w->kind->store, w->ns, &begin, &end);
	for (size_t i = begin; i < end; i++)
		if (selector_matches(w->sel, st->shelves[w->kind->store].v[i]))
			send_version(w, "ADDED", st->shelves[w->kind->store].v[i]);
}

static void send_history(struct watcher *w, uint64_t rv)
{
	struct store *st = &w->server->store;
	size_t n = st->shelves[w->kind->store].n_events;

	for (size_t i = store_first_event(st, w->kind->store, rv); i < n; i++)
		deliver(w, store_event(st, w->kind->store, i));
}

static struct watcher *watcher_new(struct server *s, const struct api_request *rq,
                                   struct evhttp_request *http, struct selector *sel)
{
	const char *text = request_query(rq, "timeoutSeconds");
	struct watcher *w = xcalloc(1, sizeof(*w));

	*w = (struct watcher){ .next = s->watchers,
		               .at = &s->watchers,
		               .server = s,
		               .kind = rq->kind,
		               .ns = rq->kind->namespaced ? xstrdup_null(rq->ns) : NULL,
		               .sel = sel,
		               .http = http,
		               .conn = evhttp_request_get_connection(http),
		               .bookmarks = request_flag(rq, "allowWatchBookmarks"),
		               .table = rq->table,
		               .table_full = rq->table_full };
	if (s->watchers)
		s->watchers->at = &w->next;
	s->watchers = w;
	s->n_watchers++;
	int64_t timeout_s = text ? strtoll(text, NULL, 10) : 0;
	if (timeout_s <= 0)
		timeout_s =
			WATCH_DEFAULT_MIN_S + (int64_t)clock_random_below(WATCH_DEFAULT_SPREAD_S);
	w->timeout = evtimer_new(s->base, on_timeout, w);
	w->bookmark = event_new(s->base, -1, EV_PERSIST, on_bookmark, w);
	event_add(w->timeout, &(struct timeval){ .tv_sec = timeout_s });
	if (w->bookmarks && !w->table)
		event_add(w->bookmark,
		          &(struct timeval){ .tv_sec = s->bookmark_ms / 1000,
		                             .tv_usec = s->bookmark_ms % 1000 * 1000 });
	evhttp_connection_set_closecb(w->conn, on_close, w);
	return w;
}

int watch_start(struct server *s, const struct api_request *rq, struct evhttp_request *http,
                struct reply *r)
{
	struct err err = ERR_INIT;
	struct selector *sel;
	uint64_t rv;
	bool from_state;
	int code = parse_start(s, rq, &rv, &from_state, r);

	if (code)
		return code;
	if (rv > s->store.rv && !s->store.was_reset)
		return reply_status(r, 504, "Timeout", NULL, NULL,
		                    "Timeout: Too large resource version: %" PRIu64
		                    ", current: %" PRIu64,
		                    rv, s->store.rv);
	if (selector_parse(rq->kind, request_query(rq, "labelSelector"),
	                   request_query(rq, "fieldSelector"), &sel, &err) < 0)
		return reply_bad_request(r, "%s", err.msg);
	struct evkeyvalq *headers = evhttp_request_get_output_headers(http);
	evhttp_add_header(headers, "Content-Type", "application/json");
	if (!from_state && !store_reaches(&s->store, rq->kind->store, rv)) {
		selector_free(sel);
		answer_gone(http, rv, s->store.shelves[rq->kind->store].floor);
		return 0;
	}
	evhttp_send_reply_start(http, 200, "OK");
	struct watcher *w = watcher_new(s, rq, http, sel);
	if (from_state)
		send_state(w);
	else
		send_history(w, rv);
	return 0;
}
