/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/redact.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include <json-c/json.h>

#include "fairlead/buf.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

#define MASK "***"

static const char *const words[] = {
	"password",   "passwd",        "passphrase",   "token",         "api-key",
	"apikey",     "secret-key",    "secretkey",    "private-key",   "privatekey",
	"key-string", "heartbeat-key", "heartbeatkey", "heartbeat_key",
};

/* Whether what ends at @end, not before @start, ends with such a word. */
static bool ends_secret(const char *start, const char *end)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		size_t len = strlen(words[i]);
		if ((size_t)(end - start) >= len && !strncasecmp(end - len, words[i], len))
			return true;
	}
	return false;
}

/* ---- text ---- */

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.';
}

static bool begins(const char *s, const char *end, const char *word)
{
	return (size_t)(end - s) >= strlen(word) && !strncmp(s, word, strlen(word));
}

/* As bgpd has it: "neighbor 192.0.2.1 password WORD", "password WORD". */
static bool is_command(const char *line, const char *name, const char *end)
{
	while (line < name && *line == ' ')
		line++;
	if (line == name || begins(line, name, "enable "))
		return true;
	for (; line < name; line++)
		if (begins(line, name, "neighbor "))
			return true;
	return begins(name, end, "key-string");
}

/*
 * Where the value of a secret begins in this line, with the name that it has; NULL: there is none.
 */
static const char *find(const char *line, const char *end, const char **ret_name)
{
	for (const char *p = line; p < end; p++) {
		if (!is_name(*p))
			continue;
		const char *name = p;
		while (p < end && is_name(*p))
			p++;
		if (!ends_secret(name, p))
			continue;
		const char *value = p;
		while (value < end && strchr("\\\"' \t", *value))
			value++;
		*ret_name = name;
		if (value < end && (*value == ':' || *value == '='))
			return value + 1;
		if (value > p && value < end && *p == ' ' && is_command(line, name, end))
			return p;
	}
	return NULL;
}

static size_t indentation(const char *line, const char *end)
{
	const char *p = line;

	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return (size_t)(p - line);
}

/*
 * How far lines below have to be indented to belong to the value: more than its key, or, within
 * brackets, than the line.
 */
static size_t depth_of(const char *line, const char *name)
{
	for (const char *p = line; p < name; p++)
		if (*p == '{' || *p == '[')
			return indentation(line, name);
	return (size_t)(name - line) - (name > line && strchr("\"'", name[-1]) != NULL);
}

void redact_text(const char *text, size_t size, struct buf *out)
{
	const char *end = text + size, *name;
	bool within = false; /* a value that goes on */
	size_t depth = 0;

	for (const char *line = text, *next; line < end; line = next) {
		const char *nl = memchr(line, '\n', (size_t)(end - line));
		const char *stop = nl ? nl : end;
		next = nl ? nl + 1 : end;
		size_t indent = indentation(line, stop);
		bool is_blank = line + indent == stop;
		if (within && (is_blank || indent > depth))
			continue;
		const char *value = find(line, stop, &name);
		within = value != NULL;
		buf_add(out, line, (size_t)((value ? value : stop) - line));
		if (value) {
			depth = depth_of(line, name);
			buf_puts(out, " " MASK);
		}
		if (nl)
			buf_putc(out, '\n');
	}
}

/* ---- JSON ---- */

/* What goes in the place of the string, or NULL: it may stay. */
static struct json_object *redact_string(struct json_object *s)
{
	const char *text = json_object_get_string(s);
	size_t size = (size_t)json_object_get_string_len(s);
	struct json_object *inner =
		*text == '{' || *text == '[' ? kube_json_parse(text, size) : NULL;
	cleanup(buf_fini) struct buf b = BUF_INIT;

	if (inner) {
		redact_json(inner);
		buf_puts(&b, json_object_to_json_string_ext(inner, REDACT_JSON_FLAGS));
		json_object_put(inner);
	} else {
		redact_text(text, size, &b);
		if (b.size == size && !memcmp(buf_str(&b), text, size))
			return NULL;
	}
	return json_object_new_string_len(buf_str(&b), (int)b.size);
}

static bool is_scalar(struct json_object *o)
{
	return json_object_is_type(o, json_type_string) || json_object_is_type(o, json_type_int) ||
	       json_object_is_type(o, json_type_double);
}

static struct json_object *redact_value(struct json_object *o)
{
	if (json_object_is_type(o, json_type_string))
		return redact_string(o);
	redact_json(o);
	return NULL;
}

static void redact_list(struct json_object *list, bool is_env)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *item = json_object_array_get_idx(list, i);
		struct json_object *new = redact_value(item);
		if (new)
			json_object_array_put_idx(list, i, new);
		if (is_env && json_object_is_type(item, json_type_object) &&
		    json_object_object_get_ex(item, "value", NULL))
			json_object_object_add(item, "value", json_object_new_string(MASK));
	}
}

static void redact_object(struct json_object *obj)
{
	struct json_object_iterator it = json_object_iter_begin(obj);
	struct json_object_iterator end = json_object_iter_end(obj);

	/* Putting another value under a key that is there leaves the iterator valid. */
	for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
		const char *key = json_object_iter_peek_name(&it);
		struct json_object *value = json_object_iter_peek_value(&it);
		if (json_object_is_type(value, json_type_array)) {
			redact_list(value, !strcmp(key, "env"));
			continue;
		}
		struct json_object *new = ends_secret(key, key + strlen(key)) && is_scalar(value)
		                                  ? json_object_new_string(MASK)
		                                  : redact_value(value);
		if (new)
			json_object_object_add(obj, key, new);
	}
}

void redact_json(struct json_object *obj)
{
	if (json_object_is_type(obj, json_type_object))
		redact_object(obj);
	else if (json_object_is_type(obj, json_type_array))
		redact_list(obj, false);
}
