/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs lease_fsm against a server: one request at a time, each ahead of all others of the client.
 * Fields of the Lease that we do not know are written back as they were read.
 */
#include "config.h"

#include "fairlead/lease.h"

#include <event2/event.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "fairlead/clock.h"
#include "fairlead/kube.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "kube/lease_fsm.h"

/* Two tries fit into the renew deadline. */
#define REQUEST_TIMEOUT_MAX_MS 5000
#define RELEASE_TIMEOUT_MS 2000
/* Nobody means to go longer without a sign of life than this. */
#define RECORD_DURATION_MAX_S 3600

struct lease_elector {
	struct kube_client *c;
	char *namespace, *name, *path;
	struct lease_fsm fsm;
	struct lease_elector_ops ops;
	void *arg;
	struct event *timer;
	struct kube_request *request;
	enum lease_request sent;
	struct json_object *lease; /* as last seen */
	bool stopped;
	void (*released)(void *arg);
	void *released_arg;
};

static void run(struct lease_elector *el, enum lease_seen seen, const struct lease_record *record);

/* What is too long is cut, which leaves it somebody else's. */
static void copy_text(char *out, size_t size, const char *s)
{
	cleanup_free char *cut = xstrndup(s ? s : "", size - 1);

	memcpy(out, cut, strlen(cut) + 1);
}

static int64_t bounded(int64_t n, int64_t max)
{
	return n < max ? n : max;
}

/*
 * Anybody may edit a Lease.  Whatever the server lets through is read as well as it can be: were it
 * refused, nobody would lead again until somebody deletes it.
 */
static bool read_record(struct json_object *lease, struct lease_record *r)
{
	bool bad = false;
	struct json_object *spec = kube_json_get(lease, "spec", json_type_object, &bad);
	struct json_object *meta = kube_json_get(lease, "metadata", json_type_object, &bad);
	const char *version = kube_json_str(meta, "resourceVersion", &bad);

	*r = (struct lease_record){ 0 };
	r->duration_s =
		(int)bounded(kube_json_int(spec, "leaseDurationSeconds", 0, INT64_MAX, 0, NULL),
	                     RECORD_DURATION_MAX_S);
	r->transitions = bounded(kube_json_int(spec, "leaseTransitions", 0, INT64_MAX, 0, NULL),
	                         INT32_MAX - 1);
	copy_text(r->holder, sizeof(r->holder), kube_json_str(spec, "holderIdentity", &bad));
	copy_text(r->renewed, sizeof(r->renewed), kube_json_str(spec, "renewTime", &bad));
	copy_text(r->version, sizeof(r->version), version);
	return !bad && *r->version;
}

static void set(struct json_object *obj, const char *key, struct json_object *value)
{
	json_object_object_add(obj, key, value);
}

static struct json_object *new_lease(const struct lease_elector *el)
{
	struct json_object *lease = json_object_new_object(), *meta = json_object_new_object();

	set(lease, "apiVersion", json_object_new_string("coordination.k8s.io/v1"));
	set(lease, "kind", json_object_new_string("Lease"));
	set(meta, "namespace", json_object_new_string(el->namespace));
	set(meta, "name", json_object_new_string(el->name));
	set(lease, "metadata", meta);
	return lease;
}

/* Writes @holder into the spec of @lease, whatever else is there. */
static void fill_spec(struct json_object *lease, const char *holder, int duration_s,
                      int64_t transitions, bool acquired)
{
	char now[CLOCK_RFC3339_SIZE];
	struct json_object *spec = kube_json_get(lease, "spec", json_type_object, NULL);

	if (!spec) {
		spec = json_object_new_object();
		set(lease, "spec", spec);
	}
	clock_rfc3339_micro(clock_wall_us(), now);
	set(spec, "holderIdentity", json_object_new_string(holder));
	set(spec, "leaseDurationSeconds", json_object_new_int(duration_s));
	set(spec, "leaseTransitions", json_object_new_int64(transitions));
	set(spec, "renewTime", json_object_new_string(now));
	if (acquired)
		set(spec, "acquireTime", json_object_new_string(now));
}

/*
 * It is written back as it was read; but for who wrote what, which the server keeps by itself, and
 * which may be cut.
 */
static void keep(struct lease_elector *el, struct json_object *lease)
{
	struct json_object *meta = kube_json_get(lease, "metadata", json_type_object, NULL);

	if (meta)
		json_object_object_del(meta, "managedFields");
	json_object_put(el->lease);
	el->lease = json_object_get(lease);
}

static void on_answer(int status, struct json_object *obj, const struct err *e, void *arg)
{
	struct lease_elector *el = arg;
	struct lease_record record;
	enum lease_seen seen = LEASE_FAILED;

	el->request = NULL;
	if (!e && read_record(obj, &record)) {
		seen = el->sent == LEASE_GET ? LEASE_READ : LEASE_WRITTEN;
		keep(el, obj);
	} else if (status == 404 && el->sent == LEASE_GET) {
		seen = LEASE_MISSING;
	} else if (status == 409 || (status == 404 && el->sent == LEASE_UPDATE)) {
		seen = LEASE_CONFLICT;
	} else {
		log_warn("lease", KV_S("name", el->name),
		         KV_S("error", e ? e->msg : "not readable"));
	}
	run(el, seen, &record);
}

static struct kube_request *send_lease(struct lease_elector *el, enum lease_request what,
                                       int timeout_ms, kube_request_cb *cb)
{
	static const char *const methods[] = {
		[LEASE_NOTHING] = NULL,
		[LEASE_GET] = "GET",
		[LEASE_CREATE] = "POST",
		[LEASE_UPDATE] = "PUT",
	};
	cleanup_free char *path =
		xasprintf(what == LEASE_CREATE ? "%s" : "%s/%s", el->path, el->name);
	const struct kube_request_spec spec = {
		.method = methods[what],
		.path = path,
		.body = what == LEASE_GET ? NULL : json_object_to_json_string(el->lease),
		.timeout_ms = timeout_ms,
		.urgent = true,
	};
	el->sent = what;
	return kube_request_start(el->c, &spec, cb, el);
}

static void perform(struct lease_elector *el, const struct lease_action *a)
{
	int timeout_ms = el->fsm.timing.renew_ms / 2;

	if (timeout_ms > REQUEST_TIMEOUT_MAX_MS)
		timeout_ms = REQUEST_TIMEOUT_MAX_MS;
	if (a->request == LEASE_CREATE) {
		json_object_put(el->lease);
		el->lease = new_lease(el);
	}
	if (a->request == LEASE_CREATE || a->request == LEASE_UPDATE)
		fill_spec(el->lease, el->fsm.identity, el->fsm.timing.duration_s, a->transitions,
		          a->acquire);
	el->request = send_lease(el, a->request, timeout_ms, on_answer);
}

static void run(struct lease_elector *el, enum lease_seen seen, const struct lease_record *record)
{
	int64_t now = clock_ms();
	const struct lease_observation o = {
		.seen = seen,
		.record = record,
		.chance = clock_random_below(UINT64_MAX),
		.at_stake = el->ops.at_stake && el->ops.at_stake(el->arg),
	};
	struct lease_action a = lease_step(&el->fsm, now, &o);

	/* First of all, so that nothing is written any more. */
	if (a.stopped && el->ops.stopped)
		el->ops.stopped(el->arg);
	if (!el->stopped && a.request != LEASE_NOTHING)
		perform(el, &a);
	if (!el->stopped && a.again_ms != INT64_MAX) {
		int64_t wait_ms = a.again_ms > now ? a.again_ms - now : 0;
		struct timeval tv = { wait_ms / 1000, wait_ms % 1000 * 1000 };
		evtimer_add(el->timer, &tv);
	}
	if (!el->stopped && a.observed && el->ops.observed)
		el->ops.observed(el->fsm.record.holder, el->arg);
	if (!el->stopped && a.started && el->ops.started)
		el->ops.started(el->arg);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	run(arg, LEASE_TICK, NULL);
}

void lease_elector_look_again(struct lease_elector *el)
{
	const struct timeval now = { 0, 0 };

	if (!el->stopped && el->fsm.held && !el->fsm.leading)
		evtimer_add(el->timer, &now);
}

struct lease_elector *lease_elector_start(struct kube_client *c, struct event_base *base,
                                          const char *namespace, const char *name,
                                          const char *identity, struct lease_timing timing,
                                          const struct lease_elector_ops *ops, void *arg)
{
	struct lease_elector *el = xcalloc(1, sizeof(*el));
	struct timeval now = { 0, 0 };

	el->c = c;
	el->namespace = xstrdup(namespace);
	el->name = xstrdup(name);
	el->path = xasprintf("/apis/coordination.k8s.io/v1/namespaces/%s/leases", namespace);
	el->ops = *ops;
	el->arg = arg;
	lease_fsm_init(&el->fsm, identity, timing);
	el->timer = evtimer_new(base, on_timer, el);
	evtimer_add(el->timer, &now);
	return el;
}

/* ---- giving it up ---- */

static void call_released(struct lease_elector *el)
{
	void (*released)(void *arg) = el->released;

	el->released = NULL;
	if (released)
		released(el->released_arg);
}

static void on_released(int status, struct json_object *obj, const struct err *e, void *arg)
{
	struct lease_elector *el = arg;

	(void)status, (void)obj;
	el->request = NULL;
	if (e)
		log_warn("lease not released", KV_S("name", el->name), KV_S("error", e->msg));
	call_released(el);
}

/* Read again first: a renewal that was under way may have gone through or not. */
static void on_read_for_release(int status, struct json_object *obj, const struct err *e, void *arg)
{
	struct lease_elector *el = arg;
	struct lease_record record;

	(void)status;
	el->request = NULL;
	if (e || !read_record(obj, &record) || strcmp(record.holder, el->fsm.identity) != 0) {
		call_released(el);
		return;
	}
	keep(el, obj);
	fill_spec(el->lease, "", LEASE_RELEASED_S, record.transitions, true);
	el->request = send_lease(el, LEASE_UPDATE, RELEASE_TIMEOUT_MS, on_released);
}

static void on_nothing_to_release(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	call_released(arg);
}

void lease_elector_stop(struct lease_elector *el, bool release, void (*done)(void *arg), void *arg)
{
	/*
	 * A candidate that has not led yet still waits for a predecessor's writes, and so must the
	 * next one.
	 */
	bool give_up = release && el->fsm.leading;

	el->stopped = true;
	el->fsm.held = el->fsm.leading = false;
	el->released = done;
	el->released_arg = arg;
	kube_request_cancel(el->request);
	el->request = NULL;
	evtimer_del(el->timer);
	if (give_up) {
		el->request = send_lease(el, LEASE_GET, RELEASE_TIMEOUT_MS, on_read_for_release);
		return;
	}
	struct event_base *base = event_get_base(el->timer);
	struct timeval now = { 0, 0 };
	event_free(el->timer);
	el->timer = evtimer_new(base, on_nothing_to_release, el);
	evtimer_add(el->timer, &now);
}

void lease_elector_free(struct lease_elector *el)
{
	if (!el)
		return;
	kube_request_cancel(el->request);
	event_free(el->timer);
	json_object_put(el->lease);
	free(el->namespace);
	free(el->name);
	free(el->path);
	free(el);
}

bool lease_is_leader(const struct lease_elector *el)
{
	return el->fsm.leading && clock_ms() < el->fsm.renewed_ms + el->fsm.timing.renew_ms;
}

bool lease_may_write(const struct lease_elector *el)
{
	return lease_fsm_may_write(&el->fsm, clock_ms());
}

const char *lease_holder(const struct lease_elector *el)
{
	return el->fsm.record.holder;
}
