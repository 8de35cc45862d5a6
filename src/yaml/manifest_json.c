/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text is cut into values by brackets and quotes alone, and the judgement is left to json-c:
 * what was cut wrongly it refuses.
 */
#include "config.h"

#include "yaml/manifest_json.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "fairlead/buf.h"
#include "fairlead/kube.h"
#include "fairlead/manifest.h"
#include "fairlead/mem.h"

/* One document, its List's items apart. */
struct document {
	size_t from, to; /* in the text */
	size_t items_from,
		items_to; /* between the brackets of the member "items"; 0: there is none */
};

static size_t skip_space(const char *text, size_t i, size_t end)
{
	while (i < end && isspace((unsigned char)text[i]))
		i++;
	return i;
}

static size_t string_end(const char *text, size_t i, size_t end)
{
	for (i++; i < end && text[i] != '"'; i++)
		if (text[i] == '\\')
			i++;
	return i < end ? i + 1 : 0;
}

/* Behind the value that starts at @i; 0: it has no end. */
static size_t value_end(const char *text, size_t i, size_t end)
{
	size_t depth = 0;

	do {
		if (i >= end)
			return 0;
		if (text[i] == '"') {
			i = string_end(text, i, end);
			if (!i)
				return 0;
			continue;
		}
		if (text[i] == '{' || text[i] == '[')
			depth++;
		else if ((text[i] == '}' || text[i] == ']') && depth-- == 0)
			return 0;
		i++;
		/* A number, or a word: as far as it goes. */
		while (depth == 0 && i < end && !strchr("{}[]\",: \t\r\n", text[i]))
			i++;
	} while (depth > 0);
	return i;
}

/*
 * Finds the items of the document.  False if it is not an object; the parser finds most errors.
 */
static bool find_items(const char *text, struct document *d)
{
	size_t i = skip_space(text, d->from + 1, d->to), n_items = 0;

	while (i < d->to && text[i] == '"') {
		size_t key = i, key_end = string_end(text, i, d->to);
		i = key_end ? skip_space(text, key_end, d->to) : d->to;
		if (i >= d->to || text[i] != ':')
			return false;
		i = skip_space(text, i + 1, d->to);
		size_t value = i;
		i = value_end(text, i, d->to);
		if (!i)
			return false;
		if (key_end - key == 7 && !memcmp(text + key, "\"items\"", 7)) {
			/* Of a key given twice the parser takes the last. */
			bool apart = n_items++ == 0 && text[value] == '[';
			d->items_from = apart ? value + 1 : 0;
			d->items_to = apart ? i - 1 : 0;
		}
		i = skip_space(text, i, d->to);
		if (i < d->to && text[i] == ',')
			i = skip_space(text, i + 1, d->to);
	}
	return true;
}

static struct json_object *parse(const char *text, size_t size)
{
	struct json_tokener *tok = json_tokener_new_ex(MANIFEST_DEPTH_MAX);
	struct json_object *obj = NULL;

	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	if (size <= INT32_MAX)
		obj = json_tokener_parse_ex(tok, text, (int)size);
	enum json_tokener_error error = json_tokener_get_error(tok);
	json_tokener_free(tok);
	/* As anybody may make it, and as everything is read that comes from the API server. */
	return !obj && error == json_tokener_error_depth ? kube_json_parse(text, size) : obj;
}

/* The document without its items, which are an empty list there. */
static struct json_object *parse_head(const char *text, const struct document *d)
{
	cleanup(buf_fini) struct buf head = BUF_INIT;

	if (!d->items_from)
		return parse(text + d->from, d->to - d->from);
	buf_add(&head, text + d->from, d->items_from - d->from);
	buf_add(&head, text + d->items_to, d->to - d->items_to);
	return parse(head.data, head.size);
}

/* How much of a List's kind is that of its items; SIZE_MAX: it is none. */
static size_t item_kind_len(struct json_object *head)
{
	const char *kind = kube_json_str(head, "kind", NULL);
	size_t len = kind ? strlen(kind) : 0;

	return len >= 4 && !strcmp(kind + len - 4, "List") ? len - 4 : SIZE_MAX;
}

/* NULL: it cannot be read, which the word null can. */
static struct json_object *parse_item(const char *text, size_t size)
{
	struct json_object *item = parse(text, size);

	if (item || strchr("{[\"", *text))
		return item;
	/* json-c takes a number as complete once something follows it. */
	cleanup_free char *number = xasprintf("%.*s ", (int)size, text);
	return parse(number, size + 1);
}

static int each_item(const char *text, const struct document *d, const char *kind, size_t kind_len,
                     manifest_json_fn *fn, void *arg, struct err *e)
{
	size_t i = skip_space(text, d->items_from, d->items_to);
	int r = 0;

	while (i < d->items_to && r == 0) {
		size_t end = value_end(text, i, d->items_to);
		bool null = end == i + 4 && !memcmp(text + i, "null", 4);
		struct json_object *item = end && !null ? parse_item(text + i, end - i) : NULL;

		if (!item && !null)
			return MANIFEST_NOT_JSON;
		r = fn(item, i, kind, kind_len, arg, e);
		json_object_put(item);
		if (r < 0)
			return r; /* whatever comes behind it */
		i = skip_space(text, end, d->items_to);
		if (i < d->items_to && text[i] != ',')
			return MANIFEST_NOT_JSON;
		if (i < d->items_to) {
			i = skip_space(text, i + 1, d->items_to);
			if (i == d->items_to)
				return MANIFEST_NOT_JSON; /* a comma, and nothing behind it */
		}
	}
	return r;
}

static int each_of(const char *text, struct document *d, manifest_json_fn *fn, void *arg,
                   struct err *e)
{
	struct json_object *head = find_items(text, d) ? parse_head(text, d) : NULL;
	size_t kind_len = item_kind_len(head);
	int r = head ? 0 : MANIFEST_NOT_JSON;

	if (r == 0 && d->items_from && kind_len != SIZE_MAX) {
		r = each_item(text, d, kube_json_str(head, "kind", NULL), kind_len, fn, arg, e);
	} else if (r == 0 && d->items_from) {
		/* Something else that has items. */
		struct json_object *whole = parse(text + d->from, d->to - d->from);
		r = whole ? fn(whole, d->from, "", 0, arg, e) : MANIFEST_NOT_JSON;
		json_object_put(whole);
	} else if (r == 0) {
		r = fn(head, d->from, "", 0, arg, e);
	}
	json_object_put(head);
	return r;
}

int manifest_json_each(const char *text, size_t size, manifest_json_fn *fn, void *arg,
                       struct err *e)
{
	size_t at = skip_space(text, 0, size);
	int r = 0;

	while (at < size && r == 0) {
		struct document d = { .from = at,
			              .to = text[at] == '{' ? value_end(text, at, size) : 0 };
		r = d.to ? each_of(text, &d, fn, arg, e) : MANIFEST_NOT_JSON;
		at = skip_space(text, d.to, size);
	}
	return r;
}
