/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libyaml's events become nodes by way of a stack of open collections.  A node belongs to the
 * tree's list, not to its parent, because an alias gives it several parents; the whole list is
 * freed at once.  An anchor is known only once its node is complete, so that no node can contain
 * itself.
 */
#include "config.h"

#include "fairlead/ytree.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "fairlead/buf.h"
#include "fairlead/mem.h"
#include "yaml/yproblem.h"

struct anchor {
	char *name;
	struct ynode *node;
};

struct frame {
	struct ynode *node;
	char *anchor;            /* to be known when the node is complete */
	const struct ynode *key; /* map: the key whose value comes next */
};

struct builder {
	struct ytree tree;
	struct frame stack[YTREE_DEPTH_MAX];
	size_t depth;
	struct anchor *anchors;
	size_t n_anchors, cap_anchors;
	struct ynode *stream;  /* the list of documents; NULL: there may be one */
	unsigned int document; /* the line where the latest one began */
	unsigned int lines_before;
	struct ytree_error *error;
};

static int __attribute__((format(printf, 3, 4)))
fail(struct builder *b, unsigned int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	b->error->line = line;
	vsnprintf(b->error->message, sizeof(b->error->message), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static struct ynode *node_new(struct builder *b, enum ynode_kind kind, unsigned int line)
{
	struct ynode *node = xcalloc(1, sizeof(*node));

	node->kind = kind;
	node->line = line;
	node->weight = 1;
	ARRAY_RESERVE(b->tree.nodes, b->tree.cap_nodes, b->tree.n_nodes + 1);
	b->tree.nodes[b->tree.n_nodes++] = node;
	return node;
}

static void append(struct ynode *parent, const char *key, unsigned int line,
                   const struct ynode *value)
{
	ARRAY_RESERVE(parent->entries, parent->cap_entries, parent->n_entries + 1);
	parent->entries[parent->n_entries++] =
		(struct ynode_entry){ .key = key, .line = line, .value = value };
}

static int anchor_define(struct builder *b, const char *name, struct ynode *node)
{
	if (!name)
		return 0;
	if (b->n_anchors >= YTREE_ANCHORS_MAX)
		return fail(b, node->line, "more than %d anchors", YTREE_ANCHORS_MAX);
	ARRAY_RESERVE(b->anchors, b->cap_anchors, b->n_anchors + 1);
	b->anchors[b->n_anchors++] = (struct anchor){ .name = xstrdup(name), .node = node };
	return 0;
}

/* The latest anchor of that name, as YAML has it. */
static struct ynode *anchor_find(const struct builder *b, const char *name)
{
	for (size_t i = b->n_anchors; i > 0; i--)
		if (!strcmp(b->anchors[i - 1].name, name))
			return b->anchors[i - 1].node;
	return NULL;
}

/*
 * Empty documents before and behind the one, as generators of manifests leave them, do not count.
 */
static int place_root(struct builder *b, struct ynode *node)
{
	bool had_root = b->tree.root && !ynode_is_null(b->tree.root);

	if (b->stream && !ynode_is_null(node))
		append(b->stream, NULL, node->line, node);
	else if (b->stream)
		return 0;
	else if (!had_root)
		b->tree.root = node;
	else if (!ynode_is_null(node))
		return fail(b, b->document, "a second YAML document; write everything in one");
	return 0;
}

/* They are each document's own. */
static void forget_anchors(struct builder *b)
{
	while (b->n_anchors > 0)
		free(b->anchors[--b->n_anchors].name);
}

/* Puts a complete value, or a key, where the innermost open collection expects one. */
static int place(struct builder *b, struct ynode *node, unsigned int line)
{
	if (b->depth == 0)
		return place_root(b, node);
	struct frame *f = &b->stack[b->depth - 1];
	if (f->node->kind == YNODE_MAP && !f->key) {
		if (node->kind != YNODE_SCALAR)
			return fail(b, line, "a key must be a word, not a list or a map");
		f->key = node;
		return 0;
	}
	f->node->weight += node->weight;
	if (f->node->weight > YTREE_NODES_MAX)
		return fail(b, line, "more than %d values, aliases counted each time",
		            YTREE_NODES_MAX);
	append(f->node, f->key ? f->key->text : NULL, f->key ? f->key->line : line, node);
	f->key = NULL;
	return 0;
}

static bool has_key(const struct ynode *map, const char *key)
{
	for (size_t i = 0; i < map->n_entries; i++)
		if (!strcmp(map->entries[i].key, key))
			return true;
	return false;
}

static int merge_map(struct builder *b, struct ynode *into, const struct ynode *from,
                     unsigned int line)
{
	if (from->kind != YNODE_MAP)
		return fail(b, line, "the merge key \"<<\" wants a map or a list of maps");
	if (from->n_entries > YTREE_MERGED_KEYS_MAX || into->n_entries > YTREE_MERGED_KEYS_MAX)
		return fail(b, line, "the merge key \"<<\" with more than %d keys",
		            YTREE_MERGED_KEYS_MAX);
	for (size_t i = 0; i < from->n_entries; i++)
		if (!has_key(into, from->entries[i].key))
			append(into, from->entries[i].key, line, from->entries[i].value);
	return 0;
}

/* Replaces a "<<" entry by the keys that it brings; those written out win. */
static int resolve_merge(struct builder *b, struct ynode *map)
{
	for (size_t i = 0; i < map->n_entries; i++) {
		const struct ynode_entry e = map->entries[i];
		int r = 0;

		if (strcmp(e.key, "<<") != 0)
			continue;
		memmove(&map->entries[i], &map->entries[i + 1],
		        (--map->n_entries - i) * sizeof(map->entries[0]));
		if (e.value->kind != YNODE_LIST)
			return merge_map(b, map, e.value, e.line);
		for (size_t k = 0; k < e.value->n_entries && r == 0; k++)
			r = merge_map(b, map, e.value->entries[k].value, e.line);
		return r;
	}
	return 0;
}

static int open_collection(struct builder *b, enum ynode_kind kind, const char *anchor,
                           unsigned int line)
{
	if (b->depth >= YTREE_DEPTH_MAX)
		return fail(b, line, "nested deeper than %d levels", YTREE_DEPTH_MAX);
	b->stack[b->depth++] =
		(struct frame){ .node = node_new(b, kind, line), .anchor = xstrdup_null(anchor) };
	return 0;
}

static int close_collection(struct builder *b)
{
	struct frame *f = &b->stack[b->depth - 1];
	struct ynode *node = f->node;
	cleanup_free char *anchor = TAKE(f->anchor);
	int r = node->kind == YNODE_MAP ? resolve_merge(b, node) : 0;

	b->depth--;
	if (r == 0)
		r = anchor_define(b, anchor, node);
	return r < 0 ? r : place(b, node, node->line);
}

static int add_scalar(struct builder *b, const yaml_event_t *ev, unsigned int line)
{
	const char *value = (const char *)ev->data.scalar.value;
	const char *tag = (const char *)ev->data.scalar.tag;

	struct ynode *node = node_new(b, YNODE_SCALAR, line);
	node->text = xmemdup(value, ev->data.scalar.length + 1);
	/*
	 * An escaped NUL would end the text; any other control character is refused where it
	 * stands.
	 */
	for (size_t i = 0; i < ev->data.scalar.length; i++)
		if (!node->text[i])
			node->text[i] = '\x01';
	node->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	node->literal = ev->data.scalar.style == YAML_LITERAL_SCALAR_STYLE;
	if (tag && !strcmp(tag, YAML_STR_TAG))
		node->quoted = true;
	int r = anchor_define(b, (const char *)ev->data.scalar.anchor, node);
	return r < 0 ? r : place(b, node, line);
}

static int add_alias(struct builder *b, const char *name, unsigned int line)
{
	struct ynode *node = anchor_find(b, name);

	if (!node)
		return fail(b, line, "the alias *%s names nothing that is complete before it",
		            name);
	return place(b, node, line);
}

/* 1: the document is complete. */
static int take_event(struct builder *b, const yaml_event_t *ev)
{
	unsigned int line = b->lines_before + (unsigned int)ev->start_mark.line + 1;

	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		return add_scalar(b, ev, line);
	case YAML_ALIAS_EVENT:
		return add_alias(b, (const char *)ev->data.alias.anchor, line);
	case YAML_SEQUENCE_START_EVENT:
		return open_collection(b, YNODE_LIST, (const char *)ev->data.sequence_start.anchor,
		                       line);
	case YAML_MAPPING_START_EVENT:
		return open_collection(b, YNODE_MAP, (const char *)ev->data.mapping_start.anchor,
		                       line);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return close_collection(b);
	case YAML_DOCUMENT_START_EVENT:
		b->document = line;
		forget_anchors(b);
		return 0;
	case YAML_STREAM_END_EVENT:
		return 1;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		return 0;
	}
	return 0;
}

static int build(struct builder *b, yaml_parser_t *parser, const char *yaml, size_t size)
{
	for (;;) {
		yaml_event_t ev;
		if (!yaml_parser_parse(parser, &ev)) {
			cleanup(buf_fini) struct buf why = BUF_INIT;
			unsigned int line = yproblem_text(parser, yaml, size, &why);
			return fail(b, b->lines_before + line, "%s", buf_str(&why));
		}
		int r = take_event(b, &ev);
		yaml_event_delete(&ev);
		if (r != 0)
			return r;
	}
}

static unsigned int count_lines(const char *text, size_t size)
{
	unsigned int n = 0;

	for (size_t i = 0; i < size; i++)
		n += text[i] == '\n' || i == size - 1;
	return n > 0 ? n : 1;
}

static int parse(const char *yaml, size_t size, unsigned int lines_before, bool many,
                 struct ytree *ret_tree, struct ytree_error *ret_error)
{
	struct builder b = { .lines_before = lines_before, .error = ret_error };
	yaml_parser_t parser;

	if (size > YTREE_SIZE_MAX)
		return fail(&b, 0, "longer than %d bytes", YTREE_SIZE_MAX);
	if (!yaml_parser_initialize(&parser))
		return fail(&b, 0, "libyaml cannot start");
	if (many)
		b.tree.root = b.stream = node_new(&b, YNODE_LIST, 1);
	yaml = yproblem_skip_mark(yaml, &size);
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)yaml, size);
	int r = build(&b, &parser, yaml, size);
	yaml_parser_delete(&parser);
	/* What is missing at the end is missing on the last line, not behind it. */
	if (r < 0 && ret_error->line > lines_before + count_lines(yaml, size))
		ret_error->line = lines_before + count_lines(yaml, size);

	for (size_t i = 0; i < b.depth; i++)
		free(b.stack[i].anchor);
	forget_anchors(&b);
	free(b.anchors);
	if (r < 0) {
		ytree_fini(&b.tree);
		return r;
	}
	*ret_tree = b.tree;
	return 0;
}

int ytree_parse(const char *yaml, size_t size, unsigned int lines_before, struct ytree *ret_tree,
                struct ytree_error *ret_error)
{
	return parse(yaml, size, lines_before, false, ret_tree, ret_error);
}

int ytree_parse_stream(const char *yaml, size_t size, struct ytree *ret_tree,
                       struct ytree_error *ret_error)
{
	return parse(yaml, size, 0, true, ret_tree, ret_error);
}

void ytree_fini(struct ytree *t)
{
	for (size_t i = 0; i < t->n_nodes; i++) {
		free(t->nodes[i]->text);
		free(t->nodes[i]->entries);
		free(t->nodes[i]);
	}
	free(t->nodes);
	*t = (struct ytree){ 0 };
}
