/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "js.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "fairlead/mem.h"

#define KEY_MAX 128

struct json_object *js_parse(const char *data, size_t size, struct err *err)
{
	if (size > INT_MAX || size == 0) {
		err_set(err, -EINVAL, ERR_REMOTE,
		        size ? "too large" : "unexpected end of JSON input");
		return NULL;
	}
	struct json_tokener *tok = json_tokener_new_ex(JS_MAX_DEPTH);
	if (!tok)
		abort();
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8 |
	                                    JSON_TOKENER_ALLOW_TRAILING_CHARS);
	struct json_object *o = json_tokener_parse_ex(tok, data, (int)size);
	enum json_tokener_error e = json_tokener_get_error(tok);
	size_t end = json_tokener_get_parse_end(tok);
	if (e == json_tokener_continue) {
		/* A bare number ends only when something follows it. */
		o = json_tokener_parse_ex(tok, "\n", 1);
		e = json_tokener_get_error(tok);
		end = size;
	}
	json_tokener_free(tok);
	if (e == json_tokener_success) {
		while (end < size && strchr(" \t\r\n", data[end]) && data[end])
			end++;
		if (end >= size)
			return o;
		json_object_put(o);
		err_set(err, -EINVAL, ERR_REMOTE, "invalid character after top-level value");
		return NULL;
	}
	json_object_put(o);
	err_set(err, -EINVAL, ERR_REMOTE, "%s", json_tokener_error_desc(e));
	return NULL;
}

void js_put(struct json_object **o)
{
	json_object_put(*o);
}

struct json_object *js_get(struct json_object *o, const char *key)
{
	struct json_object *v = NULL;

	if (!json_object_is_type(o, json_type_object))
		return NULL;
	json_object_object_get_ex(o, key, &v);
	return v;
}

/* Cuts the first key off @path; false where it is too long to be one. */
static bool path_key(const char **path, char key[static KEY_MAX])
{
	size_t len = strcspn(*path, ".");

	if (len >= KEY_MAX)
		return false;
	memcpy(key, *path, len);
	key[len] = 0;
	*path += len + ((*path)[len] == '.');
	return true;
}

struct json_object *js_at(struct json_object *o, const char *path)
{
	char key[KEY_MAX];

	while (o && *path) {
		if (!path_key(&path, key))
			return NULL;
		o = js_get(o, key);
	}
	return o;
}

bool js_is(struct json_object *o, enum json_type type)
{
	return o && json_object_is_type(o, type);
}

bool js_is_str(struct json_object *o, const char *s)
{
	return js_is(o, json_type_string) && !strcmp(json_object_get_string(o), s);
}

const char *js_str(struct json_object *o, const char *path)
{
	struct json_object *v = js_at(o, path);

	return js_is(v, json_type_string) ? json_object_get_string(v) : NULL;
}

const char *js_str0(struct json_object *o, const char *path)
{
	const char *s = js_str(o, path);

	return s ? s : "";
}

int64_t js_int(struct json_object *o, const char *path, int64_t otherwise)
{
	struct json_object *v = js_at(o, path);

	return js_is(v, json_type_int) ? json_object_get_int64(v) : otherwise;
}

bool js_bool(struct json_object *o, const char *path, bool otherwise)
{
	struct json_object *v = js_at(o, path);

	return js_is(v, json_type_boolean) ? json_object_get_boolean(v) : otherwise;
}

struct json_object *js_object(struct json_object *o, const char *path)
{
	struct json_object *v = js_at(o, path);

	return js_is(v, json_type_object) ? v : NULL;
}

struct json_object *js_array(struct json_object *o, const char *path)
{
	struct json_object *v = js_at(o, path);

	return js_is(v, json_type_array) ? v : NULL;
}

size_t js_len(struct json_object *array)
{
	return array ? json_object_array_length(array) : 0;
}

bool js_equal(struct json_object *a, struct json_object *b)
{
	if (!a || !b)
		return !a && !b;
	return json_object_equal(a, b);
}

void js_set(struct json_object *o, const char *path, struct json_object *value)
{
	char key[KEY_MAX];

	for (;;) {
		if (!path_key(&path, key)) {
			json_object_put(value);
			return;
		}
		if (!*path)
			break;
		struct json_object *next = js_get(o, key);
		if (!js_is(next, json_type_object)) {
			next = json_object_new_object();
			json_object_object_add(o, key, next);
		}
		o = next;
	}
	json_object_object_add(o, key, value);
}

void js_set_str(struct json_object *o, const char *path, const char *value)
{
	js_set(o, path, json_object_new_string(value));
}

void js_set_int(struct json_object *o, const char *path, int64_t value)
{
	js_set(o, path, json_object_new_int64(value));
}

void js_del(struct json_object *o, const char *path)
{
	char key[KEY_MAX];

	while (js_is(o, json_type_object) && path_key(&path, key)) {
		if (!*path) {
			json_object_object_del(o, key);
			return;
		}
		o = js_get(o, key);
	}
}

void js_drop_nulls(struct json_object *o)
{
	if (js_is(o, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(o); i++)
			js_drop_nulls(json_object_array_get_idx(o, i));
		return;
	}
	if (!js_is(o, json_type_object))
		return;
	/* The iteration macro fetches the next entry first, so that the current one may go. */
	json_object_object_foreach(o, key, val) {
		if (val)
			js_drop_nulls(val);
		else
			json_object_object_del(o, key);
	}
}

struct json_object *js_copy(struct json_object *o)
{
	struct json_object *copy = NULL;

	if (o && json_object_deep_copy(o, &copy, NULL) < 0)
		abort();
	return copy;
}

const char *js_text(struct json_object *o, size_t *ret_size)
{
	size_t size;
	const char *s = json_object_to_json_string_length(o, JS_FLAGS, &size);

	if (!s)
		abort();
	if (ret_size)
		*ret_size = size;
	return s;
}
