/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server.h"

#include <errno.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <string.h>

#include "fairlead/buf.h"
#include "fairlead/clock.h"
#include "fairlead/mem.h"
#include "fault.h"
#include "js.h"
#include "rest.h"
#include "service.h"
#include "validate.h"
#include "wlog.h"

/*
 * A write goes through the same steps whatever its verb: decode, take over from the old object what
 * clients may not change, default, validate, allocate, store.  A write that changes nothing keeps
 * its resourceVersion and makes no event, as the real server's does.
 */

#define GENERATE_NAME_TRIES 8
#define NAME_BASE_MAX 58

const char *const verb_names[VERB_N] = { "get",    "list",  "watch",  "create",
	                                 "update", "patch", "delete", "deletecollection" };

const char *request_query(const struct api_request *rq, const char *key)
{
	return rq->query ? evhttp_find_header(rq->query, key) : NULL;
}

bool request_flag(const struct api_request *rq, const char *key)
{
	const char *v = request_query(rq, key);

	return v && (!strcmp(v, "true") || !strcmp(v, "1"));
}

void rest_set_time(struct json_object *o, const char *path, int64_t plus_s)
{
	char text[CLOCK_RFC3339_SIZE];

	js_set_str(o, path, clock_rfc3339(clock_wall_us() + plus_s * 1000000, text));
}

static void set_uid(struct json_object *o)
{
	uint8_t b[16];
	char text[40];

	clock_random(b, sizeof(b));
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(text, sizeof(text),
	         "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
	         b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
	         b[15]);
	js_set_str(o, "metadata.uid", text);
}

struct version *rest_find(struct server *s, const struct api_request *rq, const char *name)
{
	cleanup_free char *key = store_key(rq->kind->namespaced ? rq->ns : NULL, name);

	return store_get(&s->store, rq->kind->store, key);
}

void rest_answer(const struct api_request *rq, struct reply *r, int code, struct version *v)
{
	struct version *as = version_ref(version_as(v, rq->kind));

	reply_fini(r);
	r->code = code;
	r->version = as;
}

void rest_note_change(struct server *s, struct reply *r)
{
	s->n_writes++;
	r->changed = true;
}

/* Answers with @o though it is not stored (a dry run). */
static void answer_object(const struct api_request *rq, struct reply *r, int code,
                          struct json_object *o)
{
	struct version *v = version_new(kind_of_store(rq->kind->store), 0, o);

	rest_answer(rq, r, code, v);
	version_unref(v);
}

/*
 * The body as an object in the store's spelling, checked against kind and path; NULL: @r says why.
 */
static struct json_object *decode(const struct api_request *rq, struct reply *r)
{
	struct err err = ERR_INIT;
	struct json_object *o = js_parse(rq->body, rq->body_size, &err);

	if (!js_is(o, json_type_object)) {
		json_object_put(o);
		reply_bad_request(r, "%s in version \"%s\" cannot be handled as a %s: %s",
		                  rq->kind->kind, rq->kind->version, rq->kind->kind,
		                  o ? "not an object" : err.msg);
		return NULL;
	}
	const char *kind = js_str0(o, "kind"), *version = js_str0(o, "apiVersion");
	if ((*kind && strcmp(kind, rq->kind->kind) != 0) ||
	    (*version && strcmp(version, kind_api_version(rq->kind)) != 0)) {
		reply_bad_request(
			r,
			"the object provided is unrecognized (must be of type %s): kind \"%s\", "
			"apiVersion \"%s\"",
			rq->kind->kind, kind, version);
		json_object_put(o);
		return NULL;
	}
	js_del(o, "kind");
	js_del(o, "apiVersion");
	return o;
}

/* Nulls go, types are checked, empty maps of metadata go. */
static int normalize(const struct api_request *rq, struct json_object *o, struct reply *r)
{
	static const char *const maps[] = { "metadata.labels", "metadata.annotations" };
	static const char *const lists[] = { "metadata.finalizers", "metadata.ownerReferences" };
	kind_convert_in(rq->kind, o);
	js_drop_nulls(o);
	if (!js_get(o, "metadata"))
		js_set(o, "metadata", json_object_new_object());
	int code = validate_types(rq->kind, o, r);
	if (code)
		return code;
	js_del(o, "metadata.managedFields");
	js_del(o, "metadata.selfLink");
	for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
		struct json_object *map = js_object(o, maps[i]);
		if (map && !json_object_object_length(map))
			js_del(o, maps[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		if (js_array(o, lists[i]) && !js_len(js_array(o, lists[i])))
			js_del(o, lists[i]);
	return 0;
}

static int check_namespace(struct server *s, const struct api_request *rq, struct json_object *o,
                           struct reply *r)
{
	if (!rq->kind->namespaced) {
		js_del(o, "metadata.namespace");
		return 0;
	}
	const char *ns = js_str0(o, "metadata.namespace");
	if (*ns && strcmp(ns, rq->ns) != 0)
		return reply_bad_request(r,
		                         "the namespace of the provided object does not match the "
		                         "namespace sent on the request");
	js_set_str(o, "metadata.namespace", rq->ns);
	const struct kind *k = kind_of_store(STORE_NAMESPACES);
	struct version *v = store_get(&s->store, STORE_NAMESPACES, rq->ns);
	return v ? 0 : reply_not_found(r, k, rq->ns);
}

static void default_created(const struct kind *k, struct json_object *o)
{
	switch (k->store) {
	case STORE_NAMESPACES:
		js_set_str(o, "status.phase", "Active");
		if (!js_object(o, "metadata.labels"))
			js_set(o, "metadata.labels", json_object_new_object());
		json_object_object_add(js_object(o, "metadata.labels"),
		                       "kubernetes.io/metadata.name",
		                       json_object_new_string(js_str0(o, "metadata.name")));
		break;
	case STORE_PODS:
		js_del(o, "status");
		js_set_str(o, "status.phase", "Pending");
		break;
	case STORE_SERVICES:
		js_del(o, "status");
		break;
	case STORE_SECRETS:
		if (!*js_str0(o, "type"))
			js_set_str(o, "type", "Opaque");
		break;
	case STORE_NODES:
	case STORE_CONFIGMAPS:
	case STORE_SERVICEACCOUNTS:
	case STORE_EVENTS:
	case STORE_ENDPOINTSLICES:
	case STORE_LEASES:
	case STORE_N:
		break;
	}
}

/* Defaults, validation and allocation of a whole object; 0 or the code. */
static bool list_has(struct json_object *list, struct json_object *value)
{
	for (size_t i = 0; i < js_len(list); i++)
		if (js_equal(json_object_array_get_idx(list, i), value))
			return true;
	return false;
}

/* DenyServiceExternalIPs: those that are there may stay or go. */
static int admit(struct server *s, const struct api_request *rq, struct json_object *o,
                 struct json_object *old, struct reply *r)
{
	struct json_object *now = js_array(o, "spec.externalIPs");
	struct json_object *had = old ? js_array(old, "spec.externalIPs") : NULL;
	const char *name = js_str0(o, "metadata.name");

	if (rq->kind->store != STORE_SERVICES || !fault_denies_external_ips(s->faults))
		return 0;
	for (size_t i = 0; i < js_len(now); i++)
		if (!list_has(had, json_object_array_get_idx(now, i)))
			return reply_status(r, 403, "Forbidden", rq->kind, name,
			                    "services \"%s\" is forbidden: Use of external IPs "
			                    "is denied by admission control",
			                    name);
	return 0;
}

static int settle(struct server *s, const struct api_request *rq, struct json_object *o,
                  struct json_object *old, struct reply *r)
{
	cleanup(causes_fini) struct causes c = { .list = NULL };
	bool is_service = rq->kind->store == STORE_SERVICES;

	if (is_service) {
		service_carry_over(o, old);
		service_default(o);
	}
	validate_object(rq->kind, o, old, &c);
	if (is_service && !js_len(c.list)) {
		int denied = admit(s, rq, o, old, r);
		if (denied)
			return denied;
		service_allocate(&s->alloc, o, old, &c);
	}
	return reply_invalid(r, rq->kind, js_str0(o, "metadata.name"), &c);
}

static void generate_name(struct server *s, const struct api_request *rq, struct json_object *o)
{
	static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
	const char *base = js_str0(o, "metadata.generateName");

	for (int tries = 0; tries < GENERATE_NAME_TRIES; tries++) {
		char suffix[6] = "";
		for (int i = 0; i < 5; i++)
			suffix[i] = letters[clock_random_below(sizeof(letters) - 1)];
		cleanup_free char *name = xasprintf("%.*s%s", NAME_BASE_MAX, base, suffix);
		js_set_str(o, "metadata.name", name);
		if (!rest_find(s, rq, name))
			return;
	}
}

int rest_store_error(struct reply *r, const struct err *err)
{
	return reply_internal(r, "%s", err->msg);
}

static int create_decoded(struct server *s, const struct api_request *rq, struct json_object *o,
                          struct reply *r)
{
	int code = normalize(rq, o, r);

	if (!code)
		code = check_namespace(s, rq, o, r);
	if (code)
		return code;
	if (*js_str0(o, "metadata.resourceVersion"))
		return reply_bad_request(
			r, "resourceVersion should not be set on objects to be created");
	if (!*js_str0(o, "metadata.name") && *js_str0(o, "metadata.generateName"))
		generate_name(s, rq, o);
	const char *name = js_str0(o, "metadata.name");
	if (rq->name && strcmp(name, rq->name) != 0)
		return reply_bad_request(
			r, "the name of the object (%s) does not match the name on the URL (%s)",
			name, rq->name);
	js_del(o, "metadata.deletionTimestamp");
	js_del(o, "metadata.deletionGracePeriodSeconds");
	set_uid(o);
	rest_set_time(o, "metadata.creationTimestamp", 0);
	default_created(rq->kind, o);
	if (rest_find(s, rq, name))
		return reply_exists(r, rq->kind, name);
	code = settle(s, rq, o, NULL, r);
	if (code)
		return code;
	if (rq->dry_run) {
		answer_object(rq, r, 201, o);
		return 0;
	}
	struct err err = ERR_INIT;
	struct version *v;
	if (store_put(&s->store, rq->kind->store, o, &v, &err) < 0)
		return rest_store_error(r, &err);
	rest_answer(rq, r, 201, v);
	rest_note_change(s, r);
	return 0;
}

static void handle_create(struct server *s, const struct api_request *rq, struct reply *r)
{
	cleanup(js_put) struct json_object *o = decode(rq, r);

	if (o)
		create_decoded(s, rq, o, r);
}

/* What no update changes. */
static void keep_identity(struct json_object *o, struct json_object *old)
{
	static const char *const fixed[] = { "metadata.name",
		                             "metadata.namespace",
		                             "metadata.uid",
		                             "metadata.creationTimestamp",
		                             "metadata.generateName",
		                             "metadata.deletionTimestamp",
		                             "metadata.deletionGracePeriodSeconds" };
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
		struct json_object *v = js_at(old, fixed[i]);
		if (v)
			js_set(o, fixed[i], json_object_get(v));
		else
			js_del(o, fixed[i]);
	}
}

/* A status write changes status and metadata only, any other write everything but the status. */
static struct json_object *merge_halves(const struct api_request *rq, struct json_object *o,
                                        struct json_object *old)
{
	if (!rq->kind->has_status)
		return json_object_get(o);
	struct json_object *whole, *status;
	bool is_status = rq->sub && !strcmp(rq->sub, "status");
	if (is_status) {
		whole = js_copy(old);
		js_set(whole, "metadata", js_copy(js_get(o, "metadata")));
		status = js_get(o, "status");
	} else {
		whole = json_object_get(o);
		status = js_get(old, "status");
	}
	if (status)
		js_set(whole, "status", js_copy(status));
	else
		js_del(whole, "status");
	return whole;
}

static void check_finalizers(struct json_object *o, struct json_object *old, struct causes *c)
{
	struct json_object *now = js_array(o, "metadata.finalizers"),
			   *had = js_array(old, "metadata.finalizers");

	if (!js_str(old, "metadata.deletionTimestamp"))
		return;
	for (size_t i = 0; i < js_len(now); i++) {
		bool known = false;
		for (size_t j = 0; j < js_len(had) && !known; j++)
			known = js_equal(json_object_array_get_idx(now, i),
			                 json_object_array_get_idx(had, j));
		if (!known)
			cause_forbidden(
				c, "metadata.finalizers",
				"no new finalizers can be added if the object is being deleted");
	}
}

/* uid and resourceVersion, where the new object states them. */
static int check_preconditions(const struct api_request *rq, struct json_object *o,
                               struct json_object *old, const char *name, struct reply *r)
{
	const char *uid = js_str0(o, "metadata.uid"), *rv = js_str0(o, "metadata.resourceVersion");

	if (*uid && strcmp(uid, js_str0(old, "metadata.uid")) != 0) {
		cleanup_free char *why = xasprintf(
			"Precondition failed: UID in precondition: %s, UID in object meta: %s", uid,
			js_str0(old, "metadata.uid"));
		return reply_conflict(r, rq->kind, name, why);
	}
	if (*rv && strcmp(rv, js_str0(old, "metadata.resourceVersion")) != 0)
		return reply_conflict(r, rq->kind, name, NULL);
	if (*rv || rq->verb != VERB_UPDATE || !rq->kind->update_needs_version)
		return 0;
	cleanup(causes_fini) struct causes c = { .list = NULL };
	cause_invalid(&c, "metadata.resourceVersion", "0x0", "must be specified for an update");
	return reply_invalid(r, rq->kind, name, &c);
}

static int store_update(struct server *s, const struct api_request *rq, struct version *have,
                        struct json_object *o, struct json_object *old, struct reply *r)
{
	struct err err = ERR_INIT;
	struct version *v = have;

	js_set(o, "metadata.resourceVersion", js_copy(js_at(old, "metadata.resourceVersion")));
	if (json_object_equal(o, old)) {
		rest_answer(rq, r, 200, have);
		return 0;
	}
	if (rq->dry_run) {
		answer_object(rq, r, 200, o);
		return 0;
	}
	bool last_finalizer = js_str(old, "metadata.deletionTimestamp") &&
	                      js_len(js_array(old, "metadata.finalizers")) &&
	                      !js_len(js_array(o, "metadata.finalizers")) &&
	                      !js_int(old, "metadata.deletionGracePeriodSeconds", 0);
	cleanup_free char *key = xstrdup(have->key);
	int e = last_finalizer ? store_delete(&s->store, rq->kind->store, key, o, &v, &err)
	                       : store_put(&s->store, rq->kind->store, o, &v, &err);
	if (e < 0)
		return rest_store_error(r, &err);
	rest_answer(rq, r, 200, v);
	rest_note_change(s, r);
	return 0;
}

/* @o: what the client wants the object to be. */
static int update_decoded(struct server *s, const struct api_request *rq, struct version *have,
                          struct json_object *o, struct json_object *old, struct reply *r)
{
	const char *name = rq->name, *given = js_str0(o, "metadata.name");

	if (*given && strcmp(given, name) != 0)
		return reply_bad_request(
			r, "the name of the object (%s) does not match the name on the URL (%s)",
			given, name);
	int code = normalize(rq, o, r);
	if (!code)
		code = check_namespace(s, rq, o, r);
	if (!code)
		code = check_preconditions(rq, o, old, name, r);
	if (code)
		return code;
	keep_identity(o, old);
	/*
	 * Before the halves are merged: what the rest of the object says decides about the status'
	 * defaults.
	 */
	if (rq->kind->store == STORE_SERVICES)
		service_default(o);
	cleanup(js_put) struct json_object *whole = merge_halves(rq, o, old);
	cleanup(causes_fini) struct causes c = { .list = NULL };
	check_finalizers(whole, old, &c);
	bool is_status = rq->sub && !strcmp(rq->sub, "status");
	if (is_status)
		validate_status(rq->kind, whole, old, &c);
	code = reply_invalid(r, rq->kind, name, &c);
	if (!code && !is_status)
		code = settle(s, rq, whole, old, r);
	return code ? code : store_update(s, rq, have, whole, old, r);
}

static void handle_update(struct server *s, const struct api_request *rq, struct reply *r)
{
	cleanup(js_put) struct json_object *o = decode(rq, r);

	if (!o)
		return;
	struct version *have = rest_find(s, rq, rq->name);
	if (!have && (rq->sub || !rq->kind->create_on_update || *js_str0(o, "metadata.uid") ||
	              *js_str0(o, "metadata.resourceVersion"))) {
		reply_not_found(r, rq->kind, rq->name);
		return;
	}
	if (!have) {
		create_decoded(s, rq, o, r);
		return;
	}
	cleanup(js_put) struct json_object *old = version_parse(have);
	update_decoded(s, rq, have, o, old, r);
}

static void handle_patch(struct server *s, const struct api_request *rq, struct reply *r)
{
	struct err err = ERR_INIT;

	if (!rq->patch_known) {
		reply_status(
			r, 415, "UnsupportedMediaType", NULL, NULL,
			"the body of the request was in an unknown format - accepted media "
			"types include: application/json-patch+json, "
			"application/merge-patch+json, application/strategic-merge-patch+json");
		return;
	}
	cleanup(js_put) struct json_object *patch = js_parse(rq->body, rq->body_size, &err);
	if (!patch) {
		reply_bad_request(r, "error decoding patch: %s", err.msg);
		return;
	}
	struct version *have = rest_find(s, rq, rq->name);
	if (!have) {
		reply_not_found(r, rq->kind, rq->name);
		return;
	}
	cleanup(js_put) struct json_object *old = version_parse(have);
	cleanup(js_put) struct json_object *o = js_copy(old);
	kind_convert_out(rq->kind, o);
	if (patch_apply(rq->patch, rq->kind, &o, patch, &err) < 0) {
		if (rq->patch == PATCH_JSON)
			reply_status(r, 422, "Invalid", NULL, NULL,
			             "the server rejected our request due to an error in our "
			             "request: %s",
			             err.msg);
		else
			reply_bad_request(r, "%s", err.msg);
		return;
	}
	if (!js_is(o, json_type_object)) {
		reply_bad_request(r, "the patched value is no object");
		return;
	}
	js_del(o, "kind");
	js_del(o, "apiVersion");
	update_decoded(s, rq, have, o, old, r);
}

static bool is_binding(const struct api_request *rq)
{
	return rq->verb == VERB_CREATE && rq->kind->store == STORE_PODS && rq->name && rq->sub &&
	       !strcmp(rq->sub, "binding");
}

static bool sub_is_known(const struct api_request *rq)
{
	return !rq->sub || is_binding(rq) ||
	       (!strcmp(rq->sub, "status") && rq->kind->has_status &&
	        (rq->verb == VERB_GET || rq->verb == VERB_UPDATE || rq->verb == VERB_PATCH));
}

static void handle_get(struct server *s, const struct api_request *rq, struct reply *r)
{
	struct version *v = rest_find(s, rq, rq->name);

	if (v)
		rest_answer(rq, r, 200, v);
	else
		reply_not_found(r, rq->kind, rq->name);
}

void rest_handle(struct server *s, const struct api_request *rq, struct reply *r)
{
	if (!sub_is_known(rq)) {
		reply_unknown_path(r);
		return;
	}
	switch (rq->verb) {
	case VERB_GET:
		handle_get(s, rq, r);
		return;
	case VERB_CREATE:
		if (is_binding(rq))
			rest_bind(s, rq, r);
		else
			handle_create(s, rq, r);
		break;
	case VERB_UPDATE:
		handle_update(s, rq, r);
		break;
	case VERB_PATCH:
		handle_patch(s, rq, r);
		break;
	case VERB_DELETE:
		rest_delete(s, rq, r);
		break;
	case VERB_DELETECOLLECTION:
		rest_deletecollection(s, rq, r);
		break;
	case VERB_LIST:
	case VERB_WATCH:
	case VERB_N:
		reply_code(r, 405, 0);
		return;
	}
	wlog_add(s->wlog, rq, r);
}

int rest_create_namespaces(struct server *s, struct err *err)
{
	static const char *const names[] = { "default", "kube-system", "fairlead-system" };
	const struct kind *k = kind_of_store(STORE_NAMESPACES);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (store_get(&s->store, STORE_NAMESPACES, names[i]))
			continue;
		cleanup(buf_fini) struct buf b = BUF_INIT;
		buf_printf(&b,
		           "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"finalizers\":["
		           "\"kubernetes\"]}}",
		           names[i]);
		cleanup(reply_fini) struct reply r = REPLY_INIT;
		struct api_request rq = { .verb = VERB_CREATE,
			                  .kind = k,
			                  .path = "/api/v1/namespaces",
			                  .user_agent = "apisim",
			                  .body = buf_str(&b),
			                  .body_size = b.size };
		rest_handle(s, &rq, &r);
		if (r.code != 201)
			return err_set(err, -EIO, ERR_SYSTEM, "namespace %s: %s", names[i],
			               js_str0(r.obj, "message"));
	}
	return 0;
}
