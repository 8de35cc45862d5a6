/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "suite.h"

#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fairlead/buf.h"
#include "fairlead/clock.h"
#include "fairlead/mem.h"

void suite_fail(struct suite *s, const char *fmt, ...)
{
	va_list ap;

	if (*s->why)
		return;
	va_start(ap, fmt);
	vsnprintf(s->why, sizeof(s->why), fmt, ap);
	va_end(ap);
}

static void wake(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
}

static bool run_loop(struct suite *s, const int *counter, int want, int ms)
{
	int64_t deadline = clock_ms() + ms;
	struct event *tick = event_new(s->base, -1, EV_PERSIST, wake, NULL);
	struct timeval period = { 0, 20000 };

	event_add(tick, &period);
	while ((!counter || *counter < want) && clock_ms() < deadline)
		event_base_loop(s->base, EVLOOP_ONCE);
	event_free(tick);
	return counter && *counter >= want;
}

bool suite_wait(struct suite *s, const int *counter, int want)
{
	return run_loop(s, counter, want, SUITE_PATIENCE_MS);
}

void suite_wait_for_ends(struct suite *s, const int *counter, int want)
{
	while (!suite_wait(s, counter, want))
		continue;
}

void suite_run_for(struct suite *s, int ms)
{
	run_loop(s, NULL, 0, ms);
}

struct call {
	int done, status;
	struct json_object *answer;
};

static void on_answer(int status, struct json_object *obj, const struct err *e, void *arg)
{
	struct call *call = arg;

	(void)e;
	call->done = 1;
	call->status = status;
	call->answer = json_object_get(obj);
}

int suite_call(struct suite *s, const char *method, const char *path, const char *body,
               enum kube_patch_type patch, struct json_object **ret_answer)
{
	struct call call = { 0 };
	const struct kube_request_spec spec = {
		.method = method, .path = path, .body = body, .patch = patch, .timeout_ms = 10000
	};

	kube_request_start(s->client, &spec, on_answer, &call);
	suite_wait_for_ends(s, &call.done, 1);
	if (ret_answer)
		*ret_answer = call.answer;
	else
		json_object_put(call.answer);
	return call.status;
}

const char *suite_path(struct suite *s, const char *api, const char *resource, const char *name)
{
	static char ring[4][512];
	static unsigned int next;
	char *out = ring[next++ % ARRAY_LEN(ring)];

	snprintf(out, sizeof(ring[0]), "%s/namespaces/%s/%s%s%s%s%s", api, s->namespace, resource,
	         *name ? "/" : "", *name ? s->run : "", *name ? "-" : "", name);
	return out;
}

int suite_put_map(struct suite *s, const char *name, const char *value)
{
	cleanup(buf_fini) struct buf body = BUF_INIT;

	buf_printf(&body,
	           "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"%s-%s\","
	           "\"labels\":{\"suite\":\"%s\"}},\"data\":{\"v\":",
	           s->run, name, s->run);
	buf_json_str(&body, value);
	buf_puts(&body, "}}");
	int status = suite_call(s, "PUT", suite_path(s, "/api/v1", "configmaps", name),
	                        buf_str(&body), KUBE_PATCH_NONE, NULL);
	if (status != 404)
		return status;
	return suite_call(s, "POST", suite_path(s, "/api/v1", "configmaps", ""), buf_str(&body),
	                  KUBE_PATCH_NONE, NULL);
}

int suite_delete_map(struct suite *s, const char *name)
{
	return suite_call(s, "DELETE", suite_path(s, "/api/v1", "configmaps", name), NULL,
	                  KUBE_PATCH_NONE, NULL);
}

struct json_object *suite_get(struct json_object *obj, const char *dotted)
{
	cleanup_free char *path = xstrdup(dotted);

	for (char *save, *key = strtok_r(path, ".", &save); key && obj;
	     key = strtok_r(NULL, ".", &save)) {
		struct json_object *v = NULL;
		json_object_object_get_ex(obj, key, &v);
		obj = v;
	}
	return obj;
}

const char *suite_str(struct json_object *obj, const char *dotted)
{
	struct json_object *v = suite_get(obj, dotted);

	return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL;
}

/* ---- the counting informer ---- */

/* Without the prefix of this run. */
static void note_name(struct seen *seen, char out[static SEEN_NAME_SIZE], const char *name)
{
	size_t prefix = strlen(seen->s->run) + 1;

	snprintf(out, SEEN_NAME_SIZE, "%s", strlen(name) > prefix ? name + prefix : name);
}

static int on_upsert(struct json_object *obj, void *arg, struct err *e)
{
	struct seen *seen = arg;
	const char *name = suite_str(obj, "metadata.name"), *value = suite_str(obj, "data.v");

	if (!name)
		return err_set(e, -1, ERR_REMOTE, "an object without a name");
	seen->n_upserts++;
	note_name(seen, seen->last, name);
	snprintf(seen->last_value, sizeof(seen->last_value), "%s", value ? value : "");
	return 0;
}

static void on_remove(const char *namespace, const char *name, const char *uid, void *arg)
{
	struct seen *seen = arg;

	(void)namespace, (void)uid;
	seen->n_removes++;
	note_name(seen, seen->last_removed, name);
}

static void on_synced(void *arg)
{
	struct seen *seen = arg;

	seen->n_synced++;
}

static void on_refreshed(void *arg)
{
	struct seen *seen = arg;

	seen->n_refreshed++;
}

void seen_start(struct seen *seen, struct suite *s, int silence_ms)
{
	static const struct kube_informer_ops ops = { on_upsert, on_remove, on_synced };
	char query[64];

	*seen = (struct seen){ .s = s };
	snprintf(query, sizeof(query), "labelSelector=suite%%3D%s", s->run);
	const struct kube_informer_spec spec = { .path = suite_path(s, "/api/v1", "configmaps", ""),
		                                 .query = query,
		                                 .what = "configmaps",
		                                 .silence_ms = silence_ms };
	seen->inf = kube_informer_start(s->client, &spec, &ops, seen);
}

void seen_refresh(struct seen *seen)
{
	kube_informer_refresh(seen->inf, on_refreshed, seen);
}
