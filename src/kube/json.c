/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json-c's getters turn "80" into 80, null into 0 and 22 digits into INT64_MAX, so that a wrong
 * document reads like a right one.  These readers look at the type first.  null counts as missing,
 * as it does to the API server.
 */
#include "config.h"

#include "fairlead/kube.h"

#include <json-c/json.h>
#include <string.h>

#include "fairlead/buf.h"
#include "fairlead/mem.h"

/*
 * Depth.  Anybody may write metadata.managedFields of any depth, the API server takes 10 000
 * levels, and json-c frees and prints by recursion.  So a document that is deeper than what we look
 * at is cut first: below that level null takes the place of everything.  Nothing of it is lost to a
 * reader, and it is the exception, so the second pass costs nothing.
 */

#define BIT_WORDS (KUBE_JSON_DEPTH_MAX / 64 + 1)

struct cut {
	uint64_t kinds[BIT_WORDS]; /* of each open bracket: 1 for { */
	size_t depth;
	struct buf out;
};

static size_t string_end(const char *data, size_t size, size_t i)
{
	for (i++; i < size && data[i] != '"'; i++)
		if (data[i] == '\\')
			i++;
	return i;
}

static bool take_bracket(struct cut *c, char bracket)
{
	bool is_map = bracket == '{' || bracket == '}';

	if (bracket == '{' || bracket == '[') {
		if (c->depth == KUBE_JSON_DEPTH_MAX)
			return false;
		uint64_t bit = (uint64_t)1 << c->depth % 64;
		c->kinds[c->depth / 64] &= ~bit;
		c->kinds[c->depth / 64] |= is_map ? bit : 0;
		if (c->depth++ == KUBE_JSON_DEPTH_READ)
			buf_puts(&c->out, "null");
		return true;
	}
	if (c->depth == 0)
		return false;
	c->depth--;
	return (c->kinds[c->depth / 64] >> c->depth % 64 & 1) == is_map;
}

/* Fills c->out.  False if the brackets do not match, or are too deep. */
static bool cut_depth(struct cut *c, const char *data, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		size_t from = i;
		bool was_deep = c->depth > KUBE_JSON_DEPTH_READ;
		if (data[i] == '"')
			i = string_end(data, size, i);
		else if (strchr("{}[]", data[i]) && data[i] && !take_bracket(c, data[i]))
			return false;
		if (i >= size)
			return false;
		if (!was_deep && c->depth <= KUBE_JSON_DEPTH_READ)
			buf_add(&c->out, data + from, i + 1 - from);
	}
	return c->depth == 0;
}

static struct json_object *parse(const char *data, size_t size, enum json_tokener_error *ret_error)
{
	struct json_tokener *tok = json_tokener_new();
	struct json_object *obj = NULL;

	if (!tok)
		abort();
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	if (size <= INT32_MAX)
		obj = json_tokener_parse_ex(tok, data, (int)size);
	/* A number at the very end is complete only once something follows it. */
	if (!obj && json_tokener_get_error(tok) == json_tokener_continue)
		obj = json_tokener_parse_ex(tok, "", 1);
	*ret_error = json_tokener_get_error(tok);
	json_tokener_free(tok);
	return obj;
}

struct json_object *kube_json_parse(const char *data, size_t size)
{
	enum json_tokener_error error = json_tokener_success;
	struct json_object *obj = parse(data, size, &error);

	if (obj || error != json_tokener_error_depth)
		return obj;
	struct cut *c = xcalloc(1, sizeof(*c));
	if (cut_depth(c, data, size))
		obj = parse(c->out.data, c->out.size, &error);
	buf_fini(&c->out);
	free(c);
	return obj;
}

static void set_bad(bool *bad)
{
	if (bad)
		*bad = true;
}

struct json_object *kube_json_get(struct json_object *obj, const char *key, int json_type,
                                  bool *bad)
{
	struct json_object *v = NULL;

	if (!obj || !json_object_is_type(obj, json_type_object) ||
	    !json_object_object_get_ex(obj, key, &v) || !v)
		return NULL;
	if (json_object_get_type(v) != (enum json_type)json_type) {
		set_bad(bad);
		return NULL;
	}
	return v;
}

const char *kube_json_str(struct json_object *obj, const char *key, bool *bad)
{
	struct json_object *v = kube_json_get(obj, key, json_type_string, bad);

	if (!v)
		return NULL;
	const char *s = json_object_get_string(v);
	/* "\u0000" inside would cut the value short without a word. */
	if (strlen(s) != (size_t)json_object_get_string_len(v)) {
		set_bad(bad);
		return NULL;
	}
	return s;
}

int64_t kube_json_int(struct json_object *obj, const char *key, int64_t min, int64_t max,
                      int64_t absent, bool *bad)
{
	bool wrong = false;
	struct json_object *v = kube_json_get(obj, key, json_type_int, &wrong);

	if (!v) {
		if (wrong)
			set_bad(bad);
		return absent;
	}
	int64_t n = json_object_get_int64(v);
	if (n < min || n > max) {
		set_bad(bad);
		return absent;
	}
	return n;
}

bool kube_json_bool(struct json_object *obj, const char *key, bool absent, bool *bad)
{
	struct json_object *v = kube_json_get(obj, key, json_type_boolean, bad);

	return v ? json_object_get_boolean(v) : absent;
}
