/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "patch.h"

#include <errno.h>
#include <string.h>

#include "fairlead/mem.h"
#include "js.h"

/*
 * Lists that merge, as the API's types declare them.  Paths leave list indices out, so an element
 * of spec.containers goes on as "spec.containers.env".  Key NULL: a set of primitives.
 */
static const struct {
	int store; /* -1: every kind */
	const char *path, *key;
} lists[] = {
	{ -1, "metadata.finalizers", NULL },
	{ -1, "metadata.ownerReferences", "uid" },
	{ -1, "status.conditions", "type" },
	{ STORE_SERVICES, "spec.ports", "port" },
	{ STORE_NODES, "spec.podCIDRs", NULL },
	{ STORE_NODES, "status.addresses", "type" },
	{ STORE_PODS, "status.podIPs", "ip" },
	{ STORE_PODS, "status.hostIPs", "ip" },
	{ STORE_PODS, "spec.containers", "name" },
	{ STORE_PODS, "spec.containers.env", "name" },
	{ STORE_PODS, "spec.containers.ports", "containerPort" },
	{ STORE_PODS, "spec.containers.volumeMounts", "mountPath" },
	{ STORE_PODS, "spec.initContainers", "name" },
	{ STORE_PODS, "spec.volumes", "name" },
	{ STORE_PODS, "spec.imagePullSecrets", "name" },
	{ STORE_PODS, "spec.hostAliases", "ip" },
	{ STORE_SERVICEACCOUNTS, "secrets", "name" },
	{ STORE_SERVICEACCOUNTS, "imagePullSecrets", "name" },
};

#define SET_ORDER "$setElementOrder/"
#define DELETE_FROM "$deleteFromPrimitiveList/"

struct merge {
	const struct kind *kind;
	struct err *err;
};

/* Whether the list at @path merges; *@ret_key is its key or NULL. */
static bool list_merges(const struct kind *k, const char *path, const char **ret_key)
{
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		if ((lists[i].store < 0 || lists[i].store == (int)k->store) &&
		    !strcmp(lists[i].path, path)) {
			*ret_key = lists[i].key;
			return true;
		}
	}
	return false;
}

static int merge_object(struct merge *m, const char *path, struct json_object *target,
                        struct json_object *patch);

/* Index of the element that equals @value, or has @key equal to @value's; the length if none. */
static size_t find_element(struct json_object *list, const char *key, struct json_object *value)
{
	struct json_object *want = key ? js_get(value, key) : value;
	size_t n = json_object_array_length(list), i;

	for (i = 0; i < n; i++) {
		struct json_object *e = json_object_array_get_idx(list, i);
		if (js_equal(key ? js_get(e, key) : e, want))
			break;
	}
	return i;
}

static void merge_set(struct json_object *list, struct json_object *patch)
{
	for (size_t i = 0; i < json_object_array_length(patch); i++) {
		struct json_object *v = json_object_array_get_idx(patch, i);
		if (find_element(list, NULL, v) == json_object_array_length(list))
			json_object_array_add(list, js_copy(v));
	}
}

static bool is_directive(struct json_object *o, const char *what)
{
	return js_is_str(js_get(o, "$patch"), what);
}

static int merge_list(struct merge *m, const char *path, const char *key, struct json_object *list,
                      struct json_object *patch)
{
	size_t n = json_object_array_length(patch);

	for (size_t i = 0; i < n; i++) {
		if (is_directive(json_object_array_get_idx(patch, i), "replace"))
			json_object_array_del_idx(list, 0, json_object_array_length(list));
	}
	for (size_t i = 0; i < n; i++) {
		struct json_object *e = json_object_array_get_idx(patch, i);
		if (is_directive(e, "replace"))
			continue;
		if (!js_get(e, key))
			return err_set(m->err, -EINVAL, ERR_REMOTE,
			               "map: %s does not contain declared merge key: %s", path,
			               key);
		size_t at = find_element(list, key, e);
		bool found = at < json_object_array_length(list);
		if (is_directive(e, "delete")) {
			if (found)
				json_object_array_del_idx(list, at, 1);
			continue;
		}
		if (!found)
			json_object_array_add(list, json_object_new_object());
		int r = merge_object(m, path, json_object_array_get_idx(list, at), e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Listed elements take the listed order in the places that they hold together; others stay. */
static void order_list(struct json_object *list, const char *key, struct json_object *order)
{
	size_t n = json_object_array_length(list), at = 0;
	cleanup(js_put) struct json_object *sorted = json_object_new_array();

	for (size_t i = 0; i < json_object_array_length(order); i++) {
		size_t j = find_element(list, key, json_object_array_get_idx(order, i));
		if (j < n)
			json_object_array_add(sorted,
			                      json_object_get(json_object_array_get_idx(list, j)));
	}
	size_t n_sorted = json_object_array_length(sorted);
	for (size_t i = 0; i < n && at < n_sorted; i++) {
		struct json_object *e = json_object_array_get_idx(list, i);
		if (find_element(sorted, key, e) == n_sorted)
			continue;
		json_object_array_put_idx(list, i,
		                          json_object_get(json_object_array_get_idx(sorted, at++)));
	}
}

static int merge_array(struct merge *m, const char *path, struct json_object *target,
                       const char *name, struct json_object *patch)
{
	const char *key = NULL;
	struct json_object *list = js_get(target, name);
	bool merges = list_merges(m->kind, path, &key);

	if (!js_is(list, json_type_array) || !merges) {
		list = json_object_new_array();
		json_object_object_add(target, name, list);
	}
	if (merges && key)
		return merge_list(m, path, key, list, patch);
	if (merges) {
		merge_set(list, patch);
		return 0;
	}
	json_object_object_add(target, name, js_copy(patch));
	return 0;
}

static void retain_keys(struct json_object *target, struct json_object *keep)
{
	json_object_object_foreach(target, key, val) {
		(void)val;
		bool kept = false;
		for (size_t i = 0; i < json_object_array_length(keep) && !kept; i++)
			kept = js_is_str(json_object_array_get_idx(keep, i), key);
		if (!kept)
			json_object_object_del(target, key);
	}
}

static void delete_from(struct json_object *target, const char *name, struct json_object *values)
{
	struct json_object *list = js_get(target, name);

	if (!js_is(list, json_type_array) || !js_is(values, json_type_array))
		return;
	for (size_t i = 0; i < json_object_array_length(values); i++) {
		size_t at = find_element(list, NULL, json_object_array_get_idx(values, i));
		if (at < json_object_array_length(list))
			json_object_array_del_idx(list, at, 1);
	}
}

static int merge_member(struct merge *m, const char *path, struct json_object *target,
                        const char *name, struct json_object *val)
{
	if (!val || is_directive(val, "delete")) {
		json_object_object_del(target, name);
		return 0;
	}
	cleanup_free char *sub = *path ? xasprintf("%s.%s", path, name) : xstrdup(name);
	if (js_is(val, json_type_array))
		return merge_array(m, sub, target, name, val);
	if (!js_is(val, json_type_object)) {
		json_object_object_add(target, name, js_copy(val));
		return 0;
	}
	struct json_object *next = js_get(target, name);
	if (!js_is(next, json_type_object)) {
		next = json_object_new_object();
		json_object_object_add(target, name, next);
	}
	return merge_object(m, sub, next, val);
}

static bool starts_with(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

static int merge_object(struct merge *m, const char *path, struct json_object *target,
                        struct json_object *patch)
{
	if (is_directive(patch, "replace")) {
		json_object_object_foreach(target, gone, gone_val) {
			(void)gone_val;
			json_object_object_del(target, gone);
		}
	}
	struct json_object *keep = js_get(patch, "$retainKeys");
	if (js_is(keep, json_type_array))
		retain_keys(target, keep);
	json_object_object_foreach(patch, key, val) {
		if (starts_with(key, DELETE_FROM)) {
			delete_from(target, key + strlen(DELETE_FROM), val);
		} else if (*key != '$') {
			int r = merge_member(m, path, target, key, val);
			if (r < 0)
				return r;
		}
	}
	json_object_object_foreach(patch, directive, order) {
		if (!starts_with(directive, SET_ORDER) || !js_is(order, json_type_array))
			continue;
		const char *name = directive + strlen(SET_ORDER), *merge_key = NULL;
		cleanup_free char *sub = *path ? xasprintf("%s.%s", path, name) : xstrdup(name);
		struct json_object *list = js_get(target, name);
		if (js_is(list, json_type_array) && list_merges(m->kind, sub, &merge_key))
			order_list(list, merge_key, order);
	}
	return 0;
}

int patch_strategic(const struct kind *k, struct json_object *target, struct json_object *patch,
                    struct err *err)
{
	struct merge m = { .kind = k, .err = err };

	return merge_object(&m, "", target, patch);
}
