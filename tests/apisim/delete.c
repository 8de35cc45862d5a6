/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "rest.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "js.h"
#include "selector.h"

/*
 * Deletions: at once, or marked where finalizers or a node's kubelet have the last word; a
 * namespace takes its objects along.
 */

#define DEFAULT_GRACE_S 30

struct delete_options {
	int64_t grace_s; /* -1: not given */
	const char *uid, *rv;
};

/* How long a Pod that runs on a node gets; everything else goes at once. */
static int64_t grace_of(const struct kind *k, struct json_object *o,
                        const struct delete_options *opt)
{
	if (k->store != STORE_PODS || !*js_str0(o, "spec.nodeName"))
		return 0;
	if (opt->grace_s >= 0)
		return opt->grace_s;
	return js_int(o, "spec.terminationGracePeriodSeconds", DEFAULT_GRACE_S);
}

static int delete_contents(struct server *s, const char *ns, struct err *err)
{
	for (int id = 0; id < STORE_N; id++) {
		size_t begin, end;
		if (!kind_of_store((enum store_id)id)->namespaced)
			continue;
		for (;;) {
			store_range(&s->store, (enum store_id)id, ns, &begin, &end);
			if (begin == end)
				break;
			cleanup_free char *key = xstrdup(s->store.shelves[id].v[begin]->key);
			int r = store_delete(&s->store, (enum store_id)id, key, NULL, NULL, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* Marks it as being deleted; finalizers or the node's kubelet finish that. */
static int mark_deleted(struct server *s, const struct api_request *rq, struct version *v,
                        struct json_object *o, int64_t grace_s, struct reply *r)
{
	struct err err = ERR_INIT;
	int64_t before = js_int(o, "metadata.deletionGracePeriodSeconds", INT64_MAX);

	if (js_str(o, "metadata.deletionTimestamp") && grace_s >= before) {
		rest_answer(rq, r, 200, v);
		return 0;
	}
	rest_set_time(o, "metadata.deletionTimestamp", grace_s);
	js_set_int(o, "metadata.deletionGracePeriodSeconds", grace_s);
	if (store_put(&s->store, rq->kind->store, o, &v, &err) < 0)
		return rest_store_error(r, &err);
	rest_answer(rq, r, 200, v);
	rest_note_change(s, r);
	return 0;
}

static int delete_one(struct server *s, const struct api_request *rq, struct version *v,
                      const struct delete_options *opt, struct reply *r)
{
	struct err err = ERR_INIT;
	cleanup(js_put) struct json_object *o = version_parse(v);
	cleanup_free char *key = xstrdup(v->key), *name = xstrdup(version_name(v));
	const char *uid = js_str0(o, "metadata.uid"), *rv = js_str0(o, "metadata.resourceVersion");

	if (opt->uid && strcmp(opt->uid, uid) != 0) {
		cleanup_free char *why = xasprintf(
			"Precondition failed: UID in precondition: %s, UID in object meta: %s",
			opt->uid, uid);
		return reply_conflict(r, rq->kind, name, why);
	}
	if (opt->rv && strcmp(opt->rv, rv) != 0) {
		cleanup_free char *why =
			xasprintf("Precondition failed: ResourceVersion in precondition: "
		                  "%s, ResourceVersion in object meta: %s",
		                  opt->rv, rv);
		return reply_conflict(r, rq->kind, name, why);
	}
	int64_t grace_s = grace_of(rq->kind, o, opt);
	if (rq->dry_run) {
		rest_answer(rq, r, 200, v);
		return 0;
	}
	if (js_len(js_array(o, "metadata.finalizers")) || grace_s > 0)
		return mark_deleted(s, rq, v, o, grace_s, r);
	if (rq->kind->store == STORE_NAMESPACES && delete_contents(s, name, &err) < 0)
		return rest_store_error(r, &err);
	struct version *last;
	if (store_delete(&s->store, rq->kind->store, key, o, &last, &err) < 0)
		return rest_store_error(r, &err);
	if (rq->kind->delete_returns_object)
		rest_answer(rq, r, 200, last);
	else
		reply_deleted(r, rq->kind, name, js_str0(o, "metadata.uid"));
	rest_note_change(s, r);
	return 0;
}

/* From the body (DeleteOptions) and the query; @ret_body keeps what the strings belong to. */
static int delete_options(const struct api_request *rq, struct delete_options *opt,
                          struct json_object **ret_body, struct reply *r)
{
	struct err err = ERR_INIT;
	const char *grace = request_query(rq, "gracePeriodSeconds");

	*opt = (struct delete_options){ .grace_s = grace ? strtoll(grace, NULL, 10) : -1 };
	if (!rq->body_size)
		return 0;
	struct json_object *body = js_parse(rq->body, rq->body_size, &err);
	if (!js_is(body, json_type_object)) {
		json_object_put(body);
		return reply_bad_request(r, "DeleteOptions: %s", body ? "not an object" : err.msg);
	}
	*ret_body = body;
	opt->grace_s = js_int(body, "gracePeriodSeconds", opt->grace_s);
	opt->uid = js_str(body, "preconditions.uid");
	opt->rv = js_str(body, "preconditions.resourceVersion");
	return 0;
}

void rest_delete(struct server *s, const struct api_request *rq, struct reply *r)
{
	cleanup(js_put) struct json_object *body = NULL;
	struct delete_options opt;
	struct version *v = rest_find(s, rq, rq->name);

	if (delete_options(rq, &opt, &body, r))
		return;
	if (!v)
		reply_not_found(r, rq->kind, rq->name);
	else
		delete_one(s, rq, v, &opt, r);
}

void rest_deletecollection(struct server *s, const struct api_request *rq, struct reply *r)
{
	cleanup(js_put) struct json_object *body = NULL;
	struct delete_options opt;
	struct err err = ERR_INIT;
	struct selector *sel;

	if (delete_options(rq, &opt, &body, r))
		return;
	if (selector_parse(rq->kind, request_query(rq, "labelSelector"),
	                   request_query(rq, "fieldSelector"), &sel, &err) < 0) {
		reply_bad_request(r, "%s", err.msg);
		return;
	}
	size_t begin, end, n = 0;
	store_range(&s->store, rq->kind->store, rq->ns, &begin, &end);
	cleanup_free struct version **doomed = xcalloc(end - begin + 1, sizeof(*doomed));
	for (size_t i = begin; i < end; i++)
		if (selector_matches(sel, s->store.shelves[rq->kind->store].v[i]))
			doomed[n++] = version_ref(s->store.shelves[rq->kind->store].v[i]);
	selector_free(sel);
	struct json_object *items = json_object_new_array();
	int code = 0;
	for (size_t i = 0; i < n; i++) {
		if (!code)
			code = delete_one(s, rq, doomed[i], &opt, r);
		json_object_array_add(items, version_parse(doomed[i]));
		version_unref(doomed[i]);
	}
	if (code) {
		json_object_put(items);
		return;
	}
	reply_fini(r);
	r->code = 200;
	r->obj = json_object_new_object();
	cleanup_free char *list_kind = xasprintf("%sList", rq->kind->kind);
	cleanup_free char *rv = xasprintf("%" PRIu64, s->store.rv);
	js_set_str(r->obj, "kind", list_kind);
	js_set_str(r->obj, "apiVersion", kind_api_version(rq->kind));
	js_set_str(r->obj, "metadata.resourceVersion", rv);
	js_set(r->obj, "items", items);
}
