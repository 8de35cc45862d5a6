/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "http.h"

#include <errno.h>
#include <event2/buffer.h>
#include <string.h>
#include <unistd.h>

#include "fairlead/clock.h"
#include "fairlead/mem.h"
#include "fault.h"
#include "js.h"

/* The control paths: faults, the history, counters.  See fault.h for what can be asked. */

#define REFUSE_MAX_MS 3600000

/* "true" is every resource, a string names one; false where the key is absent. */
static bool which(struct json_object *o, const char *key, const char **ret_resource)
{
	struct json_object *v = js_get(o, key);

	*ret_resource = js_is(v, json_type_string) ? json_object_get_string(v) : NULL;
	return *ret_resource || js_bool(o, key, false);
}

static int put_faults(struct http *h, struct json_object *o, struct err *err)
{
	static const char *const known[] = { "rules",        "silent",           "cut",
		                             "cut_every_ms", "cut_clean",        "drop_connections",
		                             "refuse_ms",    "deny_external_ips" };
	json_object_object_foreach(o, key, val) {
		bool ok = false;
		(void)val;
		for (size_t i = 0; i < ARRAY_LEN(known) && !ok; i++)
			ok = !strcmp(key, known[i]);
		if (!ok)
			return err_set(err, -EINVAL, ERR_CONFIG, "unknown key \"%s\"", key);
	}
	int64_t refuse_ms = js_int(o, "refuse_ms", 0), every_ms = js_int(o, "cut_every_ms", 0);
	if (refuse_ms < 0 || refuse_ms > REFUSE_MAX_MS || every_ms < 0)
		return err_set(err, -EINVAL, ERR_CONFIG, "a number is out of range");
	struct server *s = http_server(h);
	int r = fault_set_rules(s->faults, o, err);
	if (r < 0)
		return r;
	const char *resource;
	bool clean = js_bool(o, "cut_clean", false), cut = which(o, "cut", &resource);
	http_cut_every(h, every_ms, resource, clean);
	if (cut)
		watch_cut(s, resource, clean);
	if (refuse_ms || js_bool(o, "drop_connections", false))
		http_go_down(h, refuse_ms);
	return 0;
}

static struct json_object *counts(const struct server *s)
{
	struct json_object *o = json_object_new_object();

	for (int v = 0; v < VERB_N; v++) {
		struct json_object *by = json_object_new_object();
		for (int id = 0; id < STORE_N; id++)
			if (s->counts[v][id])
				js_set_int(by, kind_of_store((enum store_id)id)->resource,
				           (int64_t)s->counts[v][id]);
		js_set(o, verb_names[v], by);
	}
	return o;
}

static struct json_object *stats(const struct server *s)
{
	struct json_object *o = json_object_new_object(), *objects = json_object_new_object();

	for (int id = 0; id < STORE_N; id++)
		js_set_int(objects, kind_of_store((enum store_id)id)->resource,
		           (int64_t)s->store.shelves[id].n);
	js_set(o, "requests", counts(s));
	js_set(o, "objects", objects);
	js_set_int(o, "resource_version", (int64_t)s->store.rv);
	js_set_int(o, "writes", (int64_t)s->n_writes);
	js_set_int(o, "watches", (int64_t)s->n_watchers);
	js_set_int(o, "watch_events", (int64_t)s->n_watch_events);
	js_set_int(o, "uptime_ms", clock_ms() - s->started_ms);
	js_set_int(o, "pid", getpid());
	return o;
}

static void reset_history(struct server *s, struct reply *r)
{
	struct err err = ERR_INIT;

	watch_cut(s, NULL, false);
	list_forget_snapshots(s);
	if (store_reset_history(&s->store, &err) < 0) {
		reply_internal(r, "%s", err.msg);
		return;
	}
	r->code = 200;
	r->obj = stats(s);
}

static void handle_faults(struct http *h, struct evhttp_request *req, struct reply *r)
{
	struct err err = ERR_INIT;
	struct server *s = http_server(h);
	size_t size;
	const char *body = http_body(req, &size);
	enum evhttp_cmd_type method = evhttp_request_get_command(req);

	if (method == EVHTTP_REQ_DELETE) {
		fault_clear(s->faults);
		http_cut_every(h, 0, NULL, false);
	} else if (method == EVHTTP_REQ_PUT || method == EVHTTP_REQ_POST) {
		cleanup(js_put) struct json_object *o = js_parse(body, size, &err);
		if (!js_is(o, json_type_object) || put_faults(h, o, &err) < 0) {
			reply_bad_request(r, "faults: %s", *err.msg ? err.msg : "not an object");
			return;
		}
	}
	r->code = 200;
	r->obj = fault_show(s->faults);
}

bool sim_handle(struct http *h, struct evhttp_request *req, const char *path)
{
	cleanup(reply_fini) struct reply r = REPLY_INIT;
	struct server *s = http_server(h);
	enum evhttp_cmd_type method = evhttp_request_get_command(req);

	if (!strcmp(path, "/sim/faults")) {
		handle_faults(h, req, &r);
	} else if (!strcmp(path, "/sim/stats") && method == EVHTTP_REQ_GET) {
		r.code = 200;
		r.obj = stats(s);
	} else if (!strcmp(path, "/sim/reset-history") && method == EVHTTP_REQ_POST) {
		reset_history(s, &r);
	} else {
		return false;
	}
	http_reply(req, &r);
	return true;
}
