/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "kube/parse.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fairlead/clock.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

/* Longest key of a map: a DNS subdomain, a slash and a name. */
#define PARSE_KEY_MAX 317

void parse_fail(struct parse *p, const char *key, const char *fmt, ...)
{
	if (p->ret)
		return;
	char why[256], index[24] = "";
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (p->index >= 0)
		snprintf(index, sizeof(index), "[%ld]", p->index);
	p->ret = err_set(p->e, -EINVAL, ERR_REMOTE, "%s %s%s%s: %s%s%s%s: %s", p->kind,
	                 p->namespace ? p->namespace : "", p->namespace && *p->namespace ? "/" : "",
	                 p->name && *p->name ? p->name : "(no name)", p->at ? p->at : "", index,
	                 p->at && key ? "." : "", key ? key : "", why);
}

void parse_at(struct parse *p, const char *at)
{
	p->at = at;
	p->index = -1;
}

struct json_object *parse_object(struct parse *p, struct json_object *obj, const char *key)
{
	bool bad = false;
	struct json_object *v = kube_json_get(obj, key, json_type_object, &bad);

	if (bad)
		parse_fail(p, key, "not an object");
	return v;
}

struct json_object *parse_array(struct parse *p, struct json_object *obj, const char *key,
                                size_t max, size_t *ret_n)
{
	bool bad = false;
	struct json_object *v = kube_json_get(obj, key, json_type_array, &bad);
	size_t n = v ? json_object_array_length(v) : 0;

	if (bad)
		parse_fail(p, key, "not a list");
	if (n > max) {
		parse_fail(p, key, "%zu entries, more than the %zu that are taken", n, max);
		n = 0;
	}
	*ret_n = n;
	return v;
}

struct json_object *parse_item(struct parse *p, struct json_object *array, size_t i)
{
	struct json_object *v = json_object_array_get_idx(array, i);

	p->index = (long)i;
	if (!json_object_is_type(v, json_type_object)) {
		parse_fail(p, NULL, "not an object");
		return NULL;
	}
	return v;
}

static const char *checked_str(struct parse *p, const char *key, struct json_object *v,
                               size_t max_len)
{
	if (!json_object_is_type(v, json_type_string)) {
		parse_fail(p, key, "not a string");
		return NULL;
	}
	const char *s = json_object_get_string(v);
	size_t len = (size_t)json_object_get_string_len(v);
	if (strlen(s) != len)
		parse_fail(p, key, "holds a NUL character");
	else if (len > max_len)
		parse_fail(p, key, "%zu characters, more than the %zu that are taken", len,
		           max_len);
	else
		return s;
	return NULL;
}

const char *parse_item_str(struct parse *p, struct json_object *array, size_t i, size_t max_len)
{
	p->index = (long)i;
	return checked_str(p, NULL, json_object_array_get_idx(array, i), max_len);
}

const char *parse_str(struct parse *p, struct json_object *obj, const char *key, size_t max_len)
{
	struct json_object *v = NULL;

	if (!obj || !json_object_object_get_ex(obj, key, &v) || !v)
		return NULL;
	return checked_str(p, key, v, max_len);
}

char *parse_dup(struct parse *p, struct json_object *obj, const char *key, size_t max_len,
                const char *absent)
{
	const char *s = parse_str(p, obj, key, max_len);

	return xstrdup_null(s ? s : absent);
}

int64_t parse_int(struct parse *p, struct json_object *obj, const char *key, int64_t min,
                  int64_t max, int64_t absent)
{
	bool bad = false;
	int64_t n = kube_json_int(obj, key, min, max, absent, &bad);

	if (bad)
		parse_fail(p, key, "not a whole number between %lld and %lld", (long long)min,
		           (long long)max);
	return n;
}

bool parse_bool(struct parse *p, struct json_object *obj, const char *key, bool absent)
{
	bool bad = false;
	bool v = kube_json_bool(obj, key, absent, &bad);

	if (bad)
		parse_fail(p, key, "neither true nor false");
	return v;
}

int parse_enum(struct parse *p, struct json_object *obj, const char *key, const char *const *names,
               int absent)
{
	const char *s = parse_str(p, obj, key, 64);

	if (!s || !*s)
		return absent;
	for (int i = 0; names[i]; i++)
		if (!strcmp(s, names[i]))
			return i;
	parse_fail(p, key, "unknown value \"%s\"", s);
	return absent;
}

struct addr parse_addr(struct parse *p, const char *key, const char *s)
{
	struct addr a = { 0 };

	if (s && addr_parse(s, &a) < 0)
		parse_fail(p, key, "\"%.64s\" is no IP address", s);
	return a;
}

struct prefix parse_prefix(struct parse *p, const char *key, const char *s)
{
	struct prefix prefix = { 0 };

	if (s && prefix_parse(s, false, &prefix) < 0)
		parse_fail(p, key, "\"%.64s\" is no CIDR", s);
	return prefix;
}

int64_t parse_time(struct parse *p, struct json_object *obj, const char *key)
{
	int64_t us = 0;
	const char *s = parse_str(p, obj, key, 64);

	if (s && clock_parse_rfc3339(s, &us) < 0)
		parse_fail(p, key, "\"%s\" is no RFC 3339 time", s);
	return us;
}

struct labels parse_map(struct parse *p, struct json_object *obj, const char *key, size_t max_n,
                        size_t max_value_len, bool (*keep)(const char *key))
{
	struct labels l = { 0 };
	struct json_object *map = parse_object(p, obj, key);
	size_t n = 0;

	if (!map)
		return l;
	json_object_object_foreach(map, k, ignored) {
		(void)ignored;
		n += !keep || keep(k);
	}
	if (n > max_n) {
		parse_fail(p, key, "%zu entries, more than the %zu that are taken", n, max_n);
		return l;
	}
	if (n == 0)
		return l;
	l.kvs = xcalloc(n, sizeof(*l.kvs));
	json_object_object_foreach(map, name, v) {
		if (keep && !keep(name))
			continue;
		const char *s = v ? checked_str(p, key, v, max_value_len) : "";
		if (!s || strlen(name) > PARSE_KEY_MAX) {
			parse_fail(p, key, "a key longer than %d characters", PARSE_KEY_MAX);
			break;
		}
		l.kvs[l.n++] = (struct label){ .key = xstrdup(name), .value = xstrdup(s) };
	}
	return l;
}
