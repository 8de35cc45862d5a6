/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request is two things: what the process knows of (struct kube_request), which goes with the
 * process, and what is on the wire (struct wire), which does not.  All changes of the store stand
 * in one journal; an informer is a place in it.
 */
#include "config.h"

/*
 * The linker leads every call of these functions here (--wrap); so the headers declare them under
 * the names that it looks for.
 */
#define kube_request_start __wrap_kube_request_start
#define kube_request_cancel __wrap_kube_request_cancel
#define kube_informer_start __wrap_kube_informer_start
#define kube_informer_stop __wrap_kube_informer_stop
#define kube_informer_refresh __wrap_kube_informer_refresh
#define kube_informer_stats __wrap_kube_informer_stats
#define kube_client_new __wrap_kube_client_new
#define kube_client_bound_writes __wrap_kube_client_bound_writes
#define kube_client_free __wrap_kube_client_free
#define kube_client_stats __wrap_kube_client_stats
#define kube_client_server_addresses __wrap_kube_client_server_addresses
#define kube_event_emit __wrap_kube_event_emit
#define kube_access_load __wrap_kube_access_load
#define kube_access_free __wrap_kube_access_free
#define kube_access_server __wrap_kube_access_server
#define kube_access_namespace __wrap_kube_access_namespace
#define metrics_server_start __wrap_metrics_server_start
#define metrics_server_guard __wrap_metrics_server_guard
#define metrics_server_stop __wrap_metrics_server_stop

#include "virtual_kube.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "../apisim/js.h"
#include "../apisim/rest.h"
#include "../apisim/route.h"
#include "fairlead/buf.h"
#include "fairlead/hash.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"
#include "fairlead/metrics.h"
#include "virtual_loop.h"

#define HISTORY 16
#define QUEUED_MAX_MS 4000
#define RETRY_MS 100
#define LIST_AGAIN_MS 500

struct change {
	enum store_id id;
	enum event_type type;
	int64_t at_ms;
	uint64_t rv;
	struct version *now;
};

static struct {
	struct server server;
	struct event_base *base; /* the server's, and the wires' */
	struct change *journal;
	size_t n, cap;
	const struct virtual_ops *ops;
	struct kube_client *clients;
	struct wire *wires;
	const char *lists_fail; /* NULL: none */
	int list_status;
} world;

struct addr virtual_server = { .family = 4, .b = { 10, 255, 0, 1 } };
struct virtual_faults virtual_faults;

struct kube_client {
	struct event_base *base;
	bool cut;
	struct kube_request *requests;
	struct kube_informer *informers;
	struct kube_client *prev, *next;
};

struct wire {
	struct kube_request *owner;      /* NULL: gave up */
	const struct event_base *sender; /* NULL: is no more */
	char *method, *path, *body;
	enum kube_patch_type patch;
	bool answers, refused;
	struct event *effect;
	struct wire *prev, *next;
};

struct kube_request {
	struct kube_client *c;
	char *method, *path, *body;
	enum kube_patch_type patch;
	int timeout_ms, retries_left, status;
	bool sent, answered;
	int64_t give_up_ms;
	bool (*may_send)(void *arg);
	kube_request_cb *cb;
	void *arg;
	struct event *timer;
	struct wire *wire;
	struct json_object *answer;
	struct kube_request *prev, *next;
};

struct known {
	char *key, *uid;
	uint64_t rv;
	bool listed;
	UT_hash_handle hh;
};

struct kube_informer {
	struct kube_client *c;
	struct kube_informer_ops ops;
	void *arg;
	enum store_id id;
	char *ns; /* NULL: all */
	struct event *timer;
	int64_t lag_ms;
	size_t at; /* in the journal: the next change */
	bool synced, listing;
	unsigned int n_wanted, n_done; /* refreshes */
	struct {
		void (*done)(void *arg);
		void *arg;
	} refreshes[8];
	size_t n_refreshes, n_due; /* of them those that the list under way answers */
	struct version **list;
	size_t n_list;
	uint64_t list_rv;
	struct known *known;
	struct kube_informer *prev, *next;
};

static bool chance(unsigned int per_mille)
{
	return virtual_random(1000) < per_mille;
}

/* ---- the server ---- */

static void count_service(struct version *v, int sign)
{
	cleanup(js_put) struct json_object *o = v ? version_parse(v) : NULL;

	if (o)
		alloc_count(&world.server.alloc, o, sign);
}

static void wake_informers(void);

static void on_event(void *arg, enum store_id id, const struct event *e)
{
	(void)arg;
	if (id == STORE_SERVICES) {
		count_service(e->before, -1);
		if (e->type != EVENT_DELETED)
			count_service(e->now, +1);
	}
	ARRAY_RESERVE(world.journal, world.cap, world.n + 1);
	world.journal[world.n++] = (struct change){
		.id = id,
		.type = e->type,
		.at_ms = virtual_now(),
		.rv = e->rv,
		.now = version_ref(e->now),
	};
	cleanup(js_put) struct json_object *o =
		e->type == EVENT_DELETED ? NULL : version_parse(e->now);
	world.ops->changed(kind_of_store(id)->resource, e->now->key, o);
	wake_informers();
}

void virtual_kube_init(const struct virtual_ops *ops)
{
	struct prefix cidrs[2];

	memset(&world, 0, sizeof(world));
	prefix_parse("10.96.0.0/16", false, &cidrs[0]);
	prefix_parse("fd00:96::/112", false, &cidrs[1]);
	store_init(&world.server.store, HISTORY);
	alloc_init(&world.server.alloc, cidrs, 2);
	world.server.store.on_event = on_event;
	world.base = event_base_new();
	world.ops = ops;
	rest_create_namespaces(&world.server, NULL);
}

static void wire_free(struct wire *w)
{
	if (w->owner)
		w->owner->wire = NULL;
	DL_DELETE(world.wires, w);
	event_free(w->effect);
	free(w->method);
	free(w->path);
	free(w->body);
	free(w);
}

void virtual_kube_fini(void)
{
	while (world.wires)
		wire_free(world.wires);
	for (size_t i = 0; i < world.n; i++)
		version_unref(world.journal[i].now);
	free(world.journal);
	store_fini(&world.server.store);
	alloc_fini(&world.server.alloc);
	event_base_free(world.base);
}

static enum verb verb_of(const char *method, const struct route *route)
{
	if (!strcmp(method, "POST"))
		return VERB_CREATE;
	if (!strcmp(method, "PUT"))
		return VERB_UPDATE;
	if (!strcmp(method, "PATCH"))
		return VERB_PATCH;
	if (!strcmp(method, "DELETE"))
		return VERB_DELETE;
	return route->name ? VERB_GET : VERB_LIST;
}

static int handle(const char *method, const char *path, const char *body, enum patch_type patch,
                  struct json_object **ret_answer)
{
	cleanup(reply_fini) struct reply reply = REPLY_INIT;
	cleanup_free char *plain = xstrndup(path, strcspn(path, "?"));
	struct route route;
	struct evkeyvalq query;

	if (route_parse(plain, &route) < 0 || evhttp_parse_query_str("", &query) < 0)
		return 404;
	struct api_request rq = {
		.verb = verb_of(method, &route),
		.kind = route.kind,
		.ns = route.ns,
		.name = route.name,
		.sub = route.sub,
		.path = plain,
		.user_agent = "virtual",
		.query = &query,
		.body = body ? body : "",
		.body_size = body ? strlen(body) : 0,
		.patch = patch,
		.patch_known = true,
	};
	rest_handle(&world.server, &rq, &reply);
	evhttp_clear_headers(&query);
	if (ret_answer)
		*ret_answer =
			reply.version ? version_parse(reply.version) : json_object_get(reply.obj);
	return reply.code;
}

int virtual_kube_do(const char *method, const char *path, const char *body, ...)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;
	va_list ap;

	va_start(ap, body);
	buf_vprintf(&text, body, ap);
	va_end(ap);
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] == '\'')
			text.data[i] = '"';
	return handle(method, path, buf_str(&text), PATCH_MERGE, NULL);
}

struct json_object *virtual_kube_get(const char *path)
{
	struct json_object *answer = NULL;

	if (handle("GET", path, NULL, PATCH_MERGE, &answer) == 200)
		return answer;
	json_object_put(answer);
	return NULL;
}

/* ---- requests ---- */

static enum patch_type patch_of(enum kube_patch_type patch)
{
	return patch == KUBE_PATCH_STRATEGIC ? PATCH_STRATEGIC
	       : patch == KUBE_PATCH_JSON    ? PATCH_JSON
	                                     : PATCH_MERGE;
}

static void arm(struct event *timer, int64_t in_ms)
{
	const struct timeval tv = { in_ms / 1000, in_ms % 1000 * 1000 };

	event_add(timer, &tv);
}

static int64_t short_while(void)
{
	return 1 + (int64_t)virtual_random(chance(200) ? 200 : 10);
}

/* As an API server that knows no conditions of Services does. */
static void drop_conditions(struct wire *w)
{
	struct json_object *o = js_parse(w->body, strlen(w->body), NULL);

	js_del(o, "status.conditions");
	free(w->body);
	w->body = xstrdup(json_object_to_json_string(o));
	json_object_put(o);
}

/* What concerns Services has more of a delay than what decides who leads. */
static bool is_late(const char *path)
{
	return chance(strstr(path, "/services/") ? virtual_faults.late : virtual_faults.late / 4);
}

static void on_effect(evutil_socket_t fd, short what, void *arg)
{
	struct wire *w = arg;
	struct kube_request *r = w->owner;
	struct json_object *answer = NULL;

	(void)fd, (void)what;
	if (virtual_faults.drops_conditions && strstr(w->path, "/status"))
		drop_conditions(w);
	int status =
		w->refused ? 503 : handle(w->method, w->path, w->body, patch_of(w->patch), &answer);
	int64_t back_ms = r && is_late(r->path) ? (int64_t)virtual_random((uint64_t)r->timeout_ms)
	                                        : short_while();
	if (r && w->answers && !r->c->cut && virtual_now() + back_ms < r->give_up_ms) {
		r->answered = true;
		r->status = status;
		r->answer = json_object_get(answer);
		arm(r->timer, back_ms);
	}
	json_object_put(answer);
	wire_free(w);
}

static void request_free(struct kube_request *r)
{
	if (r->wire)
		r->wire->owner = NULL;
	DL_DELETE(r->c->requests, r);
	event_free(r->timer);
	json_object_put(r->answer);
	free(r->method);
	free(r->path);
	free(r->body);
	free(r);
}

void kube_request_cancel(struct kube_request *r)
{
	if (r)
		request_free(r);
}

static void finish(struct kube_request *r, int status, const char *why)
{
	kube_request_cb *cb = r->cb;
	void *arg = r->arg;
	struct json_object *answer = json_object_get(r->answer);
	struct err e = ERR_INIT;

	if (status < 200 || status > 299)
		err_set(&e, -EIO, ERR_REMOTE, "%s: %d %s", r->path, status, why);
	request_free(r);
	if (cb)
		cb(status, answer, status >= 200 && status <= 299 ? NULL : &e, arg);
	json_object_put(answer);
}

/*
 * A write takes effect within timeout=, as the server promises; all else within the client's
 * patience.
 */
static int64_t effect_bound_ms(const struct kube_request *r)
{
	const char *timeout = strstr(r->path, "timeout=");
	int64_t ms = timeout ? strtol(timeout + 8, NULL, 10) : r->timeout_ms;

	return ms > 1 ? ms - 1 : 1;
}

static void send_request(struct kube_request *r)
{
	struct wire *w = xcalloc(1, sizeof(*w));
	bool writes = strcmp(r->method, "GET") != 0;

	if (writes)
		world.ops->sends(r->c->base, r->path);
	r->sent = true;
	bool answers = !r->c->cut && !chance(virtual_faults.unanswered);
	/* What gets no answer ends by its timeout, or because the connection breaks before. */
	int64_t patience_ms = answers || chance(500)
	                              ? r->timeout_ms
	                              : (int64_t)virtual_random((uint64_t)r->timeout_ms);
	r->give_up_ms = virtual_now() + patience_ms;
	arm(r->timer, patience_ms);
	if (r->c->cut || chance(virtual_faults.lost)) {
		free(w);
		return;
	}
	*w = (struct wire){
		.owner = r,
		.sender = r->c->base,
		.method = xstrdup(r->method),
		.path = xstrdup(r->path),
		.body = xstrdup_null(r->body),
		.patch = r->patch,
		.answers = answers,
		.refused = chance(virtual_faults.refused),
	};
	r->wire = w;
	w->effect = evtimer_new(world.base, on_effect, w);
	DL_APPEND(world.wires, w);
	arm(w->effect, writes && is_late(r->path)
	                       ? (int64_t)virtual_random((uint64_t)effect_bound_ms(r))
	                       : short_while());
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct kube_request *r = arg;

	(void)fd, (void)what;
	if (!r->sent) {
		if (r->may_send && !r->may_send(r->arg))
			finish(r, 0, "not sent: no longer allowed to");
		else
			send_request(r);
		return;
	}
	if ((!r->answered || r->status >= 500) && r->retries_left > 0) {
		if (r->wire)
			r->wire->owner = NULL;
		r->wire = NULL;
		json_object_put(r->answer);
		r->answer = NULL;
		r->sent = r->answered = false;
		r->retries_left--;
		arm(r->timer, RETRY_MS);
		return;
	}
	finish(r, r->answered ? r->status : 0, r->answered ? "refused" : "no answer");
}

struct kube_request *kube_request_start(struct kube_client *c, const struct kube_request_spec *spec,
                                        kube_request_cb *cb, void *arg)
{
	struct kube_request *r = xcalloc(1, sizeof(*r));

	*r = (struct kube_request){
		.c = c,
		.method = xstrdup(spec->method),
		.path = xstrdup(spec->path),
		.body = xstrdup_null(spec->body),
		.patch = spec->patch,
		.timeout_ms = spec->timeout_ms ? spec->timeout_ms : KUBE_REQUEST_TIMEOUT_MS,
		.retries_left = spec->max_retries,
		.may_send = spec->may_send,
		.cb = cb,
		.arg = arg,
	};
	r->timer = evtimer_new(c->base, on_timer, r);
	DL_APPEND(c->requests, r);
	arm(r->timer, !spec->urgent && chance(virtual_faults.queued)
	                      ? (int64_t)virtual_random(chance(500) ? 300 : QUEUED_MAX_MS)
	                      : 0);
	return r;
}

/* ---- informers ---- */

static bool concerns(const struct kube_informer *inf, const struct version *v)
{
	size_t n = inf->ns ? strlen(inf->ns) : 0;

	return !inf->ns || (!strncmp(v->key, inf->ns, n) && v->key[n] == '/');
}

static void forget(struct kube_informer *inf, struct known *k)
{
	HASH_DEL(inf->known, k);
	free(k->key);
	free(k->uid);
	free(k);
}

static void tell_gone(struct kube_informer *inf, struct known *k)
{
	char *slash = strchr(k->key, '/');
	cleanup_free char *ns = slash ? xstrndup(k->key, (size_t)(slash - k->key)) : xstrdup("");
	cleanup_free char *name = xstrdup(slash ? slash + 1 : k->key);
	cleanup_free char *uid = xstrdup(k->uid);

	forget(inf, k);
	inf->ops.remove(ns, name, uid, inf->arg);
}

static void tell(struct kube_informer *inf, struct version *v, bool gone)
{
	cleanup(js_put) struct json_object *o = version_parse(v);
	struct known *k;

	HASH_FIND_STR(inf->known, v->key, k);
	if (gone) {
		if (k)
			tell_gone(inf, k);
		return;
	}
	if (!k) {
		k = xcalloc(1, sizeof(*k));
		k->key = xstrdup(v->key);
		HASH_ADD_KEYPTR(hh, inf->known, k->key, strlen(k->key), k);
	}
	free(k->uid);
	k->uid = xstrdup(js_str0(o, "metadata.uid"));
	k->listed = true;
	if (k->rv == v->rv)
		return;
	k->rv = v->rv;
	struct err e = ERR_INIT;
	inf->ops.upsert(o, inf->arg, &e);
}

static void drop_list(struct kube_informer *inf)
{
	for (size_t i = 0; i < inf->n_list; i++)
		version_unref(inf->list[i]);
	free(inf->list);
	inf->list = NULL;
	inf->n_list = 0;
}

/* What the server has now, which will be here a little later. */
static void take_list(struct kube_informer *inf)
{
	const struct shelf *shelf = &world.server.store.shelves[inf->id];

	inf->list = xcalloc(shelf->n + 1, sizeof(struct version *));
	for (size_t i = 0; i < shelf->n; i++)
		if (concerns(inf, shelf->v[i]))
			inf->list[inf->n_list++] = version_ref(shelf->v[i]);
	inf->at = world.n;
	inf->n_due = inf->n_refreshes;
}

static void watch_on(struct kube_informer *inf)
{
	if (inf->listing || !inf->synced)
		return;
	while (inf->at < world.n &&
	       (world.journal[inf->at].id != inf->id || !concerns(inf, world.journal[inf->at].now)))
		inf->at++;
	if (inf->at == world.n) {
		event_del(inf->timer);
		return;
	}
	int64_t due_ms = world.journal[inf->at].at_ms + inf->lag_ms;
	arm(inf->timer, due_ms > virtual_now() ? due_ms - virtual_now() : 0);
}

static void wake_informers(void)
{
	struct kube_client *c;
	struct kube_informer *inf;

	DL_FOREACH(world.clients, c)
		DL_FOREACH(c->informers, inf)
			if (!event_pending(inf->timer, EV_TIMEOUT, NULL))
				watch_on(inf);
}

static void list_complete(struct kube_informer *inf)
{
	struct known *k, *next;

	for (k = inf->known; k; k = k->hh.next)
		k->listed = false;
	for (size_t i = 0; i < inf->n_list; i++)
		tell(inf, inf->list[i], false);
	HASH_ITER(hh, inf->known, k, next)
		if (!k->listed)
			tell_gone(inf, k);
	drop_list(inf);
	inf->listing = false;
	if (!inf->synced && inf->ops.synced)
		inf->ops.synced(inf->arg);
	inf->synced = true;
	size_t n = inf->n_due;
	for (size_t i = 0; i < n; i++)
		inf->refreshes[i].done(inf->refreshes[i].arg);
	inf->n_refreshes -= n;
	memmove(inf->refreshes, inf->refreshes + n, inf->n_refreshes * sizeof(inf->refreshes[0]));
	inf->n_due = 0;
}

/* True if this list is refused, or its answer still on its way. */
static bool fail_list(struct kube_informer *inf)
{
	bool fails = world.lists_fail && inf->listing &&
	             !strcmp(kind_of_store(inf->id)->resource, world.lists_fail);
	struct err e = ERR_INIT;

	if (!fails || (world.list_status < 0 && !inf->list))
		return false;
	if (world.list_status > 0) {
		drop_list(inf);
		err_set(&e, -EIO, ERR_REMOTE, "refused with %d", world.list_status);
		if (inf->ops.failed)
			inf->ops.failed(world.list_status, &e, inf->arg);
	}
	arm(inf->timer, LIST_AGAIN_MS);
	return true;
}

static void on_informer(evutil_socket_t fd, short what, void *arg)
{
	struct kube_informer *inf = arg;

	(void)fd, (void)what;
	if (inf->c->cut) {
		drop_list(inf);
		arm(inf->timer, LIST_AGAIN_MS);
		return;
	}
	if (fail_list(inf))
		return;
	if (inf->listing && !inf->list) {
		take_list(inf);
		arm(inf->timer, short_while());
		return;
	}
	if (inf->listing) {
		list_complete(inf);
		inf->listing = inf->n_refreshes > 0;
		if (inf->listing)
			arm(inf->timer, short_while());
	}
	while (!inf->listing && inf->at < world.n &&
	       world.journal[inf->at].at_ms + inf->lag_ms <= virtual_now()) {
		const struct change *c = &world.journal[inf->at++];
		if (c->id == inf->id && concerns(inf, c->now))
			tell(inf, c->now, c->type == EVENT_DELETED);
	}
	watch_on(inf);
}

struct kube_informer *kube_informer_start(struct kube_client *c,
                                          const struct kube_informer_spec *spec,
                                          const struct kube_informer_ops *ops, void *arg)
{
	struct kube_informer *inf = xcalloc(1, sizeof(*inf));
	struct route route;

	if (route_parse(spec->path, &route) < 0)
		abort();
	*inf = (struct kube_informer){
		.c = c,
		.ops = *ops,
		.arg = arg,
		.id = route.kind->store,
		.ns = xstrdup_null(route.ns),
		.lag_ms = virtual_faults.lag_ms
		                  ? (int64_t)virtual_random((uint64_t)virtual_faults.lag_ms)
		                  : 0,
		.listing = true,
	};
	inf->timer = evtimer_new(c->base, on_informer, inf);
	arm(inf->timer, short_while());
	DL_APPEND(c->informers, inf);
	return inf;
}

void kube_informer_stop(struct kube_informer *inf)
{
	struct known *k, *next;

	HASH_ITER(hh, inf->known, k, next)
		forget(inf, k);
	drop_list(inf);
	DL_DELETE(inf->c->informers, inf);
	event_free(inf->timer);
	free(inf->ns);
	free(inf);
}

void kube_informer_refresh(struct kube_informer *inf, void (*done)(void *arg), void *arg)
{
	if (inf->n_refreshes == ARRAY_LEN(inf->refreshes))
		abort();
	inf->refreshes[inf->n_refreshes].done = done;
	inf->refreshes[inf->n_refreshes++].arg = arg;
	if (inf->listing)
		return;
	inf->listing = true;
	arm(inf->timer, short_while());
}

struct kube_informer_stats kube_informer_stats(const struct kube_informer *inf)
{
	return (struct kube_informer_stats){ .synced = inf->synced, .watching = inf->synced };
}

/* ---- the rest of the client ---- */

struct kube_client *kube_client_new(struct event_base *base, struct kube_access *access,
                                    const char *user_agent)
{
	struct kube_client *c = xcalloc(1, sizeof(*c));

	(void)access, (void)user_agent;
	c->base = base;
	DL_APPEND(world.clients, c);
	return c;
}

void kube_client_free(struct kube_client *c)
{
	if (!c)
		return;
	struct wire *w;

	DL_FOREACH(world.wires, w)
		if (w->sender == c->base)
			w->sender = NULL;
	while (c->requests)
		request_free(c->requests);
	while (c->informers)
		kube_informer_stop(c->informers);
	DL_DELETE(world.clients, c);
	free(c);
}

bool virtual_kube_is_open(const struct event_base *base, const char *part)
{
	struct wire *w;

	DL_FOREACH(world.wires, w)
		if (w->sender == base && strcmp(w->method, "GET") != 0 && strstr(w->path, part))
			return true;
	return false;
}

void virtual_kube_cut(struct event_base *base, bool cut)
{
	struct kube_client *c;

	DL_FOREACH(world.clients, c)
		if (c->base == base)
			c->cut = cut;
}

void virtual_kube_fail_lists(const char *what, int status)
{
	world.lists_fail = status ? what : NULL;
	world.list_status = status;
}

/* A connection that stalls is what effect_bound_ms() says. */
void kube_client_bound_writes(struct kube_client *c, int stall_ms)
{
	(void)c, (void)stall_ms;
}

size_t kube_client_server_addresses(const struct kube_client *c,
                                    struct addr ret_addrs[static KUBE_SERVER_ADDRESSES_MAX])
{
	(void)c;
	ret_addrs[0] = virtual_server;
	return !addr_is_none(&virtual_server);
}

struct kube_client_stats kube_client_stats(const struct kube_client *c)
{
	(void)c;
	return (struct kube_client_stats){ .requests = 0 };
}

void kube_event_emit(struct kube_client *c, const char *controller, const char *instance,
                     const struct kube_event *ev)
{
	(void)c, (void)controller, (void)instance;
	if (world.ops->records)
		world.ops->records(ev);
}

int kube_access_load(const char *path, const char *context, struct kube_access **ret_access,
                     struct err *e)
{
	(void)path, (void)context, (void)e;
	*ret_access = NULL;
	return 0;
}

void kube_access_free(struct kube_access *a)
{
	(void)a;
}

const char *kube_access_server(const struct kube_access *a)
{
	(void)a;
	return "virtual";
}

const char *kube_access_namespace(const struct kube_access *a)
{
	(void)a;
	return "default";
}

int metrics_server_start(struct event_base *base, const char *address,
                         const struct metrics_server_ops *ops, void *arg,
                         struct metrics_server **ret_server, struct err *e)
{
	(void)base, (void)address, (void)ops, (void)arg, (void)e;
	*ret_server = NULL;
	return 0;
}

int metrics_server_guard(struct metrics_server *s, const struct metrics_guard *g, struct err *e)
{
	(void)s, (void)g, (void)e;
	return 0;
}

void metrics_server_stop(struct metrics_server *s)
{
	(void)s;
}
