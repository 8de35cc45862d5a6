/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON is read by json-c (manifest_json.h), which is many times as fast as libyaml.  Whether a text
 * is JSON is only known at its end: where it turns out not to be, it is read from its beginning as
 * YAML, which JSON is, and the objects that were delivered are counted, but not delivered again.
 */
#include "config.h"

#include "fairlead/manifest.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include <json-c/json.h>

#include "fairlead/buf.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"
#include "yaml/manifest_json.h"
#include "yaml/manifest_scalar.h"
#include "yaml/yproblem.h"

/* ---- documents into objects ---- */

/* Where the objects of a YAML document stand. */
struct places {
	unsigned int root;
	unsigned int *items; /* of a List */
	size_t n_items, cap_items;
};

/* Whom objects go to, how many have gone, and where the one on its way stands. */
struct sink {
	manifest_object_fn *fn;
	void *arg;
	struct manifest_problems *problems; /* NULL: the first one ends it */
	size_t n, n_delivered;
	const char *json;  /* the text, if it is read as JSON; else NULL */
	size_t at;         /* JSON: where the object stands */
	unsigned int line; /* YAML */
};

static unsigned int line_of(const struct sink *sink)
{
	unsigned int line = 1;

	if (!sink->json)
		return sink->line;
	for (size_t i = 0; i < sink->at; i++)
		line += sink->json[i] == '\n';
	return line;
}

static void add_problem(struct sink *sink, const char *message)
{
	struct manifest_problems *p = sink->problems;

	if (p->n > MANIFEST_PROBLEMS_MAX)
		return;
	struct manifest_problem *item = &p->items[p->n];
	*item = (struct manifest_problem){
		.line = line_of(sink),
		.message = xstrdup(p->n < MANIFEST_PROBLEMS_MAX ? message : "and more of these"),
	};
	buf_plain(item->message);
	p->n++;
}

void manifest_problems_fini(struct manifest_problems *p)
{
	while (p->n > 0)
		free(p->items[--p->n].message);
}

static int deliver_one(struct sink *sink, const char *kind, size_t kind_len,
                       struct json_object *obj, struct err *e)
{
	struct err own = ERR_INIT;

	if (++sink->n <= sink->n_delivered)
		return 0;
	sink->n_delivered = sink->n;
	cleanup_free char *copy = xstrndup(kind, kind_len);
	int r = json_object_is_type(obj, json_type_object)
	                ? sink->fn(copy, obj, sink->arg, &own)
	                : err_set(&own, -EINVAL, ERR_CONFIG, "no object, but %s",
	                          json_object_is_type(obj, json_type_array)
	                                  ? "a list; write kind: List and items"
	                                  : "a value alone");
	if (r < 0 && sink->problems) {
		add_problem(sink, own.msg);
		return 0;
	}
	if (r < 0)
		*e = own;
	return r;
}

/*
 * An object, or the items of a List, of which those of a "ServiceList" need not say what they are:
 * then @kind, so much of it, is what they are.
 */
static int deliver(struct sink *sink, struct json_object *obj, const char *kind, size_t kind_len,
                   const struct places *places, struct err *e)
{
	const char *own = kube_json_str(obj, "kind", NULL);
	struct json_object *items = kube_json_get(obj, "items", json_type_array, NULL);
	size_t len = own ? strlen(own) : kind_len;
	int r = 0;

	kind = own ? own : kind;
	if (!items || len < 4 || strncmp(kind + len - 4, "List", 4) != 0)
		return deliver_one(sink, kind, len, obj, e);
	for (size_t i = 0; i < json_object_array_length(items) && r == 0; i++) {
		if (places && i < places->n_items)
			sink->line = places->items[i];
		r = deliver(sink, json_object_array_get_idx(items, i), kind, len - 4, NULL, e);
	}
	return r;
}

/* ---- YAML ---- */

struct frame {
	struct json_object *value; /* a list or a map */
	char *key;                 /* map: the key whose value comes next */
};

struct builder {
	struct sink *sink;
	struct json_object *root;
	struct frame stack[MANIFEST_DEPTH_MAX];
	size_t depth;
	struct places places;
	unsigned int line; /* of what is read, or is wrong */
	struct err *e;
};

static int __attribute__((format(printf, 2, 3))) fail(struct builder *b, const char *fmt, ...)
{
	char text[ERR_MSG_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(b->e, -EINVAL, ERR_CONFIG, "%s", text);
}

/*
 * Puts @value, which may be null and changes hands, where the innermost open collection expects
 * one.
 */
static void place(struct builder *b, struct json_object *value)
{
	if (b->depth == 0) {
		b->root = value;
		b->places.root = b->line;
		return;
	}
	struct frame *f = &b->stack[b->depth - 1];
	if (json_object_is_type(f->value, json_type_array)) {
		if (b->depth == 2 && !strcmp(b->stack[0].key ? b->stack[0].key : "", "items")) {
			struct places *p = &b->places;
			ARRAY_RESERVE(p->items, p->cap_items, p->n_items + 1);
			p->items[p->n_items++] = b->line;
		}
		json_object_array_add(f->value, value);
		return;
	}
	json_object_object_add(f->value, f->key, value);
}

/* The value that place() was called for is complete. */
static void placed(struct builder *b)
{
	if (b->depth == 0)
		return;
	free(b->stack[b->depth - 1].key);
	b->stack[b->depth - 1].key = NULL;
}

static bool wants_key(const struct builder *b)
{
	return b->depth > 0 &&
	       json_object_is_type(b->stack[b->depth - 1].value, json_type_object) &&
	       !b->stack[b->depth - 1].key;
}

static int open_collection(struct builder *b, struct json_object *value)
{
	if (b->depth == MANIFEST_DEPTH_MAX || wants_key(b)) {
		json_object_put(value);
		return b->depth == MANIFEST_DEPTH_MAX
		               ? fail(b, "nested deeper than %d levels", MANIFEST_DEPTH_MAX)
		               : fail(b, "a key must be a word, not a list or a map");
	}
	place(b, value);
	b->stack[b->depth++] = (struct frame){ .value = value };
	return 0;
}

static int close_collection(struct builder *b)
{
	b->depth--;
	placed(b);
	return 0;
}

static int take_scalar(struct builder *b, const yaml_event_t *ev)
{
	const char *text = (const char *)ev->data.scalar.value;
	const char *tag = (const char *)ev->data.scalar.tag;
	size_t size = ev->data.scalar.length;

	if (wants_key(b)) {
		struct frame *f = &b->stack[b->depth - 1];
		if (strlen(text) != size)
			return fail(b, "a key contains a NUL character");
		if (json_object_object_get_ex(f->value, text, NULL))
			return fail(b, "the key \"%.100s\" is given twice", text);
		f->key = xstrdup(text);
		return 0;
	}
	bool is_text = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE ||
	               (tag && !strcmp(tag, YAML_STR_TAG));
	place(b,
	      is_text ? json_object_new_string_len(text, (int)size) : manifest_scalar(text, size));
	placed(b);
	return 0;
}

static int end_document(struct builder *b)
{
	b->sink->line = b->places.root;
	int r = b->root ? deliver(b->sink, b->root, "", 0, &b->places, b->e) : 0;

	if (r < 0)
		b->line = b->sink->line;
	json_object_put(TAKE(b->root));
	b->places.n_items = 0;
	return r;
}

/* 1: the end. */
static int take_event(struct builder *b, const yaml_event_t *ev)
{
	b->line = (unsigned int)ev->start_mark.line + 1;
	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		return take_scalar(b, ev);
	case YAML_ALIAS_EVENT:
		return fail(b, "aliases (\"*%.64s\") are not read here; write it out",
		            (const char *)ev->data.alias.anchor);
	case YAML_SEQUENCE_START_EVENT:
		return open_collection(b, json_object_new_array());
	case YAML_MAPPING_START_EVENT:
		return open_collection(b, json_object_new_object());
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return close_collection(b);
	case YAML_DOCUMENT_END_EVENT:
		return end_document(b);
	case YAML_STREAM_END_EVENT:
		return 1;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_START_EVENT:
		return 0;
	}
	return 0;
}

static int build(struct builder *b, yaml_parser_t *parser, const char *text, size_t size)
{
	for (;;) {
		yaml_event_t ev;
		if (!yaml_parser_parse(parser, &ev)) {
			cleanup(buf_fini) struct buf why = BUF_INIT;
			b->line = yproblem_text(parser, text, size, &why);
			return fail(b, "%s", buf_str(&why));
		}
		int r = take_event(b, &ev);
		yaml_event_delete(&ev);
		if (r != 0)
			return r;
	}
}

static int read_yaml(const char *text, size_t size, struct sink *sink, unsigned int *ret_line,
                     struct err *e)
{
	struct builder b = { .sink = sink, .e = e };
	yaml_parser_t parser;

	if (!yaml_parser_initialize(&parser))
		return err_set(e, -ENOMEM, ERR_SYSTEM, "libyaml cannot start");
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
	int r = build(&b, &parser, text, size);
	yaml_parser_delete(&parser);
	for (size_t i = 0; i < b.depth; i++)
		free(b.stack[i].key);
	json_object_put(b.root);
	free(b.places.items);
	*ret_line = b.line;
	return r < 0 ? r : 0;
}

/* ---- JSON ---- */

static int deliver_json(struct json_object *obj, size_t at, const char *kind, size_t kind_len,
                        void *arg, struct err *e)
{
	struct sink *sink = arg;

	sink->at = at;
	return deliver(sink, obj, kind, kind_len, NULL, e);
}

int manifest_read(const char *text, size_t size, manifest_object_fn *fn, void *arg,
                  struct manifest_problems *problems, unsigned int *ret_line, struct err *e)
{
	struct sink sink = { .fn = fn, .arg = arg, .problems = problems };

	*ret_line = 0;
	text = yproblem_skip_mark(text, &size);
	if (size > MANIFEST_MAX_BYTES)
		return err_set(e, -EFBIG, ERR_LIMIT, "longer than %d bytes", MANIFEST_MAX_BYTES);
	sink.json = text;
	int r = manifest_json_each(text, size, deliver_json, &sink, e);
	if (r == MANIFEST_NOT_JSON) {
		sink.json = NULL;
		sink.n = 0;
		return read_yaml(text, size, &sink, ret_line, e);
	}
	if (r < 0)
		*ret_line = line_of(&sink);
	return r;
}
