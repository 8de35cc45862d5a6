/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "patch.h"

#include <errno.h>
#include <string.h>

#include "fairlead/mem.h"
#include "js.h"

int patch_apply(enum patch_type type, const struct kind *k, struct json_object **o,
                struct json_object *patch, struct err *err)
{
	if (type == PATCH_JSON)
		return patch_json(o, patch, err);
	if (!js_is(patch, json_type_object))
		return err_set(err, -EINVAL, ERR_REMOTE, "a patch must be an object");
	if (type == PATCH_STRATEGIC)
		return patch_strategic(k, *o, patch, err);
	patch_merge(*o, patch);
	return 0;
}

void patch_merge(struct json_object *target, struct json_object *patch)
{
	json_object_object_foreach(patch, key, val) {
		if (!val) {
			json_object_object_del(target, key);
			continue;
		}
		if (!js_is(val, json_type_object)) {
			json_object_object_add(target, key, js_copy(val));
			continue;
		}
		struct json_object *next = js_get(target, key);
		if (!js_is(next, json_type_object)) {
			next = json_object_new_object();
			json_object_object_add(target, key, next);
		}
		patch_merge(next, val);
	}
}

/* One reference token of a JSON pointer, unescaped and owned by the caller; NULL at the end. */
static char *pointer_token(const char **p)
{
	if (**p != '/')
		return NULL;
	const char *s = ++*p;
	size_t len = strcspn(s, "/");
	char *out = xmalloc(len + 1), *w = out;
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '~' && (s[i + 1] == '0' || s[i + 1] == '1'))
			*w++ = s[++i] == '0' ? '~' : '/';
		else
			*w++ = s[i];
	}
	*w = 0;
	*p = s + len;
	return out;
}

/* The index that @token names in @array; "-" is the one behind the end.  -EINVAL. */
static int array_index(struct json_object *array, const char *token, size_t *ret_i)
{
	size_t n = json_object_array_length(array);

	if (!strcmp(token, "-")) {
		*ret_i = n;
		return 0;
	}
	char *end;
	unsigned long i = strtoul(token, &end, 10);
	if (*end || *token < '0' || *token > '9' || i > n)
		return -EINVAL;
	*ret_i = i;
	return 0;
}

static struct json_object *child(struct json_object *o, const char *token)
{
	size_t i;

	if (js_is(o, json_type_array))
		return array_index(o, token, &i) < 0 ? NULL : json_object_array_get_idx(o, i);
	return js_get(o, token);
}

/* Walks to the container of what @path names; *@ret_last is its key there, owned by the caller. */
static int pointer_parent(struct json_object *o, const char *path, struct json_object **ret_parent,
                          char **ret_last, struct err *err)
{
	const char *p = path;
	char *token = pointer_token(&p);

	while (token && *p) {
		o = child(o, token);
		free(token);
		token = pointer_token(&p);
	}
	if (!token || (!js_is(o, json_type_object) && !js_is(o, json_type_array))) {
		free(token);
		return err_set(err, -EINVAL, ERR_REMOTE, "path \"%s\" does not exist", path);
	}
	*ret_parent = o;
	*ret_last = token;
	return 0;
}

static struct json_object *pointer_get(struct json_object *o, const char *path)
{
	char *token;

	while ((token = pointer_token(&path))) {
		o = child(o, token);
		free(token);
		if (!o)
			return NULL;
	}
	return o;
}

/* Whether @path names a member, be it null. */
static bool pointer_exists(struct json_object *parent, const char *last)
{
	size_t i;

	if (js_is(parent, json_type_array))
		return array_index(parent, last, &i) == 0 && i < json_object_array_length(parent);
	return json_object_object_get_ex(parent, last, NULL);
}

/* json-c 0.16 cannot insert: everything from @at on moves up by one. */
static void array_insert(struct json_object *array, size_t at, struct json_object *value)
{
	size_t n = json_object_array_length(array);

	for (size_t i = n; i > at; i--)
		json_object_array_put_idx(array, i,
		                          json_object_get(json_object_array_get_idx(array, i - 1)));
	json_object_array_put_idx(array, at, value);
}

/* Takes @value. */
static int op_add(struct json_object **o, const char *path, struct json_object *value,
                  struct err *err)
{
	if (!*path) {
		json_object_put(*o);
		*o = value;
		return 0;
	}
	struct json_object *parent;
	cleanup_free char *last = NULL;
	int r = pointer_parent(*o, path, &parent, &last, err);
	size_t i = 0;
	if (r == 0 && js_is(parent, json_type_array) && array_index(parent, last, &i) < 0)
		r = err_set(err, -EINVAL, ERR_REMOTE, "bad index in path \"%s\"", path);
	if (r < 0) {
		json_object_put(value);
		return r;
	}
	if (js_is(parent, json_type_array))
		array_insert(parent, i, value);
	else
		json_object_object_add(parent, last, value);
	return 0;
}

static int op_remove(struct json_object *o, const char *path, struct err *err)
{
	struct json_object *parent;
	cleanup_free char *last = NULL;
	int r = pointer_parent(o, path, &parent, &last, err);

	if (r < 0)
		return r;
	if (!pointer_exists(parent, last))
		return err_set(err, -EINVAL, ERR_REMOTE, "remove: path \"%s\" does not exist",
		               path);
	size_t i = 0;
	if (js_is(parent, json_type_object))
		json_object_object_del(parent, last);
	else if (array_index(parent, last, &i) == 0)
		json_object_array_del_idx(parent, i, 1);
	return 0;
}

static int op_replace(struct json_object **o, const char *path, struct json_object *value,
                      struct err *err)
{
	if (!*path)
		return op_add(o, path, js_copy(value), err);
	struct json_object *parent;
	cleanup_free char *last = NULL;
	int r = pointer_parent(*o, path, &parent, &last, err);
	if (r < 0)
		return r;
	if (!pointer_exists(parent, last))
		return err_set(err, -EINVAL, ERR_REMOTE, "replace: path \"%s\" does not exist",
		               path);
	size_t i = 0;
	if (js_is(parent, json_type_object))
		json_object_object_add(parent, last, js_copy(value));
	else if (array_index(parent, last, &i) == 0)
		json_object_array_put_idx(parent, i, js_copy(value));
	return 0;
}

static int one_op(struct json_object **o, struct json_object *op, struct err *err)
{
	const char *verb = js_str0(op, "op"), *path = js_str(op, "path"),
		   *from = js_str(op, "from");
	struct json_object *value = js_get(op, "value");

	if (!path || (*path && *path != '/'))
		return err_set(err, -EINVAL, ERR_REMOTE, "operation without a path");
	if (!strcmp(verb, "add"))
		return op_add(o, path, js_copy(value), err);
	if (!strcmp(verb, "remove"))
		return op_remove(*o, path, err);
	if (!strcmp(verb, "replace"))
		return op_replace(o, path, value, err);
	if (!strcmp(verb, "test")) {
		if (js_equal(pointer_get(*o, path), value))
			return 0;
		return err_set(err, -EINVAL, ERR_REMOTE, "testing path \"%s\" failed", path);
	}
	bool move = !strcmp(verb, "move");
	if (!move && strcmp(verb, "copy") != 0)
		return err_set(err, -EINVAL, ERR_REMOTE, "unexpected kind of operation: \"%s\"",
		               verb);
	struct json_object *source = from && *from == '/' ? pointer_get(*o, from) : NULL;
	if (!source)
		return err_set(err, -EINVAL, ERR_REMOTE, "%s: nothing at \"%s\"", verb,
		               from ? from : "");
	struct json_object *copy = js_copy(source);
	int r = move ? op_remove(*o, from, err) : 0;
	if (r < 0) {
		json_object_put(copy);
		return r;
	}
	return op_add(o, path, copy, err);
}

int patch_json(struct json_object **o, struct json_object *ops, struct err *err)
{
	if (!js_is(ops, json_type_array))
		return err_set(err, -EINVAL, ERR_REMOTE, "a JSON patch must be an array");
	size_t n = json_object_array_length(ops);
	if (n > PATCH_MAX_OPS)
		return err_set(err, -E2BIG, ERR_LIMIT, "more than %d operations", PATCH_MAX_OPS);
	for (size_t i = 0; i < n; i++) {
		int r = one_op(o, json_object_array_get_idx(ops, i), err);
		if (r < 0)
			return r;
	}
	return 0;
}
