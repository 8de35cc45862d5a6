/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk of a document by tables of keys, and the reports on the way.  The path in the context
 * grows where a key or an item is entered and is cut where it is left, so that a report needs no
 * more than its words; there are a bounded number of them, each of them one line of bounded length,
 * whatever the document's keys and values are.
 *
 * A key that no table has is compared with those that are there, without the letters that people
 * write differently, and the nearest is named: a misspelt key must not be left out silently, as it
 * would change what is announced.
 */
#include "config.h"

#include "config/schema.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

#define HAS_CONTROL "contains a line break or another control character"

/* ---- reports ---- */

/* Keys are users' strings too: one problem is one line of bounded length. */
static char *one_line(const char *text)
{
	size_t len = strnlen(text, SCHEMA_STRING_MAX + 1);

	if (len > SCHEMA_STRING_MAX) /* not within a character of UTF-8 */
		while (((unsigned char)text[--len] & 0xc0) == 0x80)
			;
	char *line = xstrndup(text, len);
	buf_plain(line);
	return line;
}

static void __attribute__((format(printf, 4, 0)))
report(struct config_problems *p, const char *path, unsigned int line, const char *fmt, va_list ap)
{
	if (!p || p->n > SCHEMA_PROBLEMS_MAX)
		return;
	ARRAY_RESERVE(p->items, p->cap, p->n + 1);
	struct config_problem *item = &p->items[p->n++];
	if (p->n > SCHEMA_PROBLEMS_MAX) {
		*item = (struct config_problem){ .line = line,
			                         .path = xstrdup(""),
			                         .message = xstrdup("and more of these") };
		return;
	}
	cleanup(buf_fini) struct buf text = BUF_INIT;
	buf_vprintf(&text, fmt, ap);
	*item = (struct config_problem){ .line = line,
		                         .path = one_line(path),
		                         .message = one_line(buf_str(&text)) };
}

void schema_error(struct schema_ctx *x, unsigned int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(x->errors, buf_str(&x->path), line, fmt, ap);
	va_end(ap);
}

void schema_warning(struct schema_ctx *x, unsigned int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(x->warnings, buf_str(&x->path), line, fmt, ap);
	va_end(ap);
}

void schema_refuse(struct schema_ctx *x, unsigned int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(x->accepted ? x->warnings : x->errors, buf_str(&x->path), line, fmt, ap);
	va_end(ap);
}

void schema_repeated(struct schema_ctx *x, const struct ynode *node, const char *value)
{
	schema_warning(x, node->line, "\"%.64s\" stands here twice; keep one", value);
}

/* ---- the path ---- */

size_t schema_enter_key(struct schema_ctx *x, const char *key)
{
	size_t mark = x->path.size;

	if (mark)
		buf_putc(&x->path, '.');
	buf_puts(&x->path, key);
	return mark;
}

size_t schema_enter_item(struct schema_ctx *x, size_t i)
{
	size_t mark = x->path.size;

	buf_printf(&x->path, "[%zu]", i);
	return mark;
}

void schema_leave(struct schema_ctx *x, size_t mark)
{
	x->path.size = mark;
	x->path.data[mark] = '\0';
}

/* The one old spelling that MetalLB's own example had, which its daemon refused. */
static const char *canonical(const char *key)
{
	return !strcmp(key, "bfdProfile") ? "bfd-profile" : key;
}

unsigned int schema_line(const struct ynode *map, const char *key)
{
	for (size_t i = 0; map->kind == YNODE_MAP && i < map->n_entries; i++)
		if (!strcmp(canonical(map->entries[i].key), key))
			return map->entries[i].value->line;
	return map->line;
}

/* ---- unknown keys ---- */

/*
 * The key without what people write differently: "bfdProfile" and "bfd_profile" are "bfdprofile".
 */
static void fold(const char *s, char out[static 64])
{
	size_t n = 0;

	for (; *s && n < 63; s++)
		if (*s != '-' && *s != '_')
			out[n++] = (char)tolower((unsigned char)*s);
	out[n] = '\0';
}

/* Levenshtein's distance of two short words. */
static size_t distance(const char *a, const char *b)
{
	size_t row[65], n = strlen(b);

	for (size_t k = 0; k <= n; k++)
		row[k] = k;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];
		row[0] = i + 1;
		for (size_t k = 1; k <= n; k++) {
			size_t replace = diagonal + (a[i] != b[k - 1]);
			diagonal = row[k];
			size_t best = row[k] < row[k - 1] ? row[k] + 1 : row[k - 1] + 1;
			row[k] = replace < best ? replace : best;
		}
	}
	return row[n];
}

static const struct schema_key *nearest_key(const struct schema_table *t, const char *word)
{
	char folded[64], other[64];
	const struct schema_key *best = NULL;
	size_t best_distance = SIZE_MAX;

	fold(word, folded);
	for (size_t i = 0; i < t->n_keys; i++) {
		if (t->keys[i].renamed && !strcmp(t->keys[i].renamed, word))
			return &t->keys[i];
		fold(t->keys[i].name, other);
		size_t d = distance(folded, other);
		if (d < best_distance) {
			best_distance = d;
			best = &t->keys[i];
		}
	}
	/* A third of the letters may differ; beyond that a guess would only confuse. */
	return best && best_distance * 3 <= strlen(folded) ? best : NULL;
}

/* As part of a path; a key of other letters, or of great length, is only quoted in the message. */
static bool is_word(const char *key)
{
	size_t n = strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

	return n > 0 && n <= 64 && !key[n];
}

/* The key that was meant, or NULL. */
static const struct schema_key *unknown_key(struct schema_ctx *x, const struct schema_table *t,
                                            const struct ynode_entry *e)
{
	const struct schema_key *near = nearest_key(t, e->key);
	cleanup(buf_fini) struct buf list = BUF_INIT;
	bool is_part = is_word(e->key);
	size_t mark = is_part ? schema_enter_key(x, e->key) : 0;

	for (size_t i = 0; !near && i < t->n_keys; i++)
		buf_printf(&list, "%s%s", i ? ", " : "", t->keys[i].name);
	if (near)
		schema_error(x, e->line, "unknown key \"%.64s\"; write \"%s\"", e->key, near->name);
	else
		schema_error(x, e->line, "unknown key \"%.64s\"; the keys here are %s", e->key,
		             buf_str(&list));
	if (is_part)
		schema_leave(x, mark);
	return near;
}

/* ---- maps and lists ---- */

const char *schema_kind(const struct ynode *node)
{
	switch (node->kind) {
	case YNODE_SCALAR:
		return "a single value";
	case YNODE_LIST:
		return "a list";
	case YNODE_MAP:
		return "a map";
	}
	return "";
}

#define KEYS_MAX 32 /* no table is longer */

/* What a map has of its table's keys. */
struct given {
	unsigned int lines[KEYS_MAX]; /* 0: not there */
	bool meant[KEYS_MAX];         /* another key is there that is most likely this one */
};

static void read_entry(struct schema_ctx *x, const struct schema_table *t,
                       const struct ynode_entry *e, struct given *given, void *target)
{
	const struct schema_key *key = t->keys, *end = t->keys + t->n_keys;
	unsigned int *line;

	while (key < end && strcmp(key->name, canonical(e->key)) != 0)
		key++;
	if (key == end) {
		key = unknown_key(x, t, e);
		if (key)
			given->meant[key - t->keys] = true;
		return;
	}
	line = &given->lines[key - t->keys];
	size_t mark = schema_enter_key(x, key->name);
	if (*line) {
		schema_error(x, e->line, "given twice, first on line %u; keep one", *line);
	} else if (!ynode_is_null(e->value) || key->type->reads_null) {
		*line = e->line;
		key->type->read(x, key, e->value, (char *)target + key->offset);
	}
	schema_leave(x, mark);
}

/* ", such as journal: {days: 90}", where the table's first key has a number by default. */
static void put_example(const struct schema_ctx *x, const struct schema_table *t, struct buf *out)
{
	const struct schema_key *key = &t->keys[0];
	const char *path = buf_str(&x->path), *dot = strrchr(path, '.');
	bool is_item = !*path || path[strlen(path) - 1] == ']';

	if (key->type->value == SCHEMA_NUMBER && key->by_default)
		buf_printf(out, ", such as %s%s{%s: %" PRId64 "}",
		           is_item ? ""
		           : dot   ? dot + 1
		                   : path,
		           is_item ? "" : ": ", key->name, key->by_default);
}

static void no_map(struct schema_ctx *x, const struct schema_table *t, const struct ynode *node)
{
	cleanup(buf_fini) struct buf example = BUF_INIT;

	put_example(x, t, &example);
	schema_error(x, node->line, "is %s; write a map of key: value%s", schema_kind(node),
	             buf_str(&example));
}

bool schema_read(struct schema_ctx *x, const struct schema_table *t, const struct ynode *node,
                 void *target)
{
	struct given given = { { 0 }, { false } };

	if (!ynode_is_null(node)) {
		if (node->kind != YNODE_MAP) {
			no_map(x, t, node);
			return false;
		}
		for (size_t i = 0; i < node->n_entries; i++)
			read_entry(x, t, &node->entries[i], &given, target);
	}
	for (size_t i = 0; i < t->n_keys && i < KEYS_MAX; i++)
		if (t->keys[i].required && !given.lines[i] && !given.meant[i]) {
			size_t mark = schema_enter_key(x, t->keys[i].name);
			schema_error(x, node->line, "%s", t->keys[i].required);
			schema_leave(x, mark);
		}
	return true;
}

bool schema_list(struct schema_ctx *x, const struct ynode *node, size_t max,
                 void (*item)(struct schema_ctx *x, const struct ynode *node, void *target),
                 void *target)
{
	if (ynode_is_null(node))
		return true;
	if (node->kind != YNODE_LIST) {
		schema_error(x, node->line, "is %s; write a list", schema_kind(node));
		return false;
	}
	if (node->n_entries > max) {
		schema_error(x, node->line, "holds %zu items; at most %zu are taken",
		             node->n_entries, max);
		return false;
	}
	for (size_t i = 0; i < node->n_entries; i++) {
		size_t mark = schema_enter_item(x, i);
		item(x, node->entries[i].value, target);
		schema_leave(x, mark);
	}
	return true;
}

static bool has_control(const char *s)
{
	while (*s && !buf_control_len(s))
		s++;
	return *s;
}

static int entry_cmp(const void *a, const void *b)
{
	const struct ynode_entry *const *ea = a, *const *eb = b;
	int c = strcmp((*ea)->key, (*eb)->key);
	/* By position among equals, so that the first one counts. */
	return c ? c : (*ea > *eb) - (*ea < *eb);
}

bool schema_pairs(struct schema_ctx *x, const struct ynode *node, size_t max,
                  void (*pair)(struct schema_ctx *x, const char *key, unsigned int line,
                               const struct ynode *node, void *target),
                  void *target)
{
	if (ynode_is_null(node))
		return true;
	if (node->kind != YNODE_MAP || node->n_entries > max) {
		schema_error(x, node->line, "is %s%s; write a map of at most %zu key: value",
		             schema_kind(node), node->kind == YNODE_MAP ? " that is too large" : "",
		             max);
		return false;
	}
	const struct ynode_entry **sorted = xcalloc(node->n_entries + 1, sizeof(const void *));
	for (size_t i = 0; i < node->n_entries; i++)
		sorted[i] = &node->entries[i];
	qsort(sorted, node->n_entries, sizeof(const void *), entry_cmp);
	for (size_t i = 0; i < node->n_entries; i++) {
		const struct ynode_entry *e = sorted[i];
		size_t mark = schema_enter_key(x, e->key);
		if (i > 0 && !strcmp(sorted[i - 1]->key, e->key))
			schema_error(x, e->line, "given twice, first on line %u; keep one",
			             sorted[i - 1]->line);
		else if (has_control(e->key))
			schema_error(x, e->line, "the key " HAS_CONTROL);
		else
			pair(x, e->key, e->line, e->value, target);
		schema_leave(x, mark);
	}
	free(sorted);
	return true;
}

const char *schema_text(struct schema_ctx *x, const struct ynode *node)
{
	if (node->kind != YNODE_SCALAR) {
		schema_error(x, node->line, "is %s; write a single value", schema_kind(node));
		return NULL;
	}
	if (ynode_is_null(node)) {
		schema_error(x, node->line, "is empty; write a value");
		return NULL;
	}
	if (strlen(node->text) > SCHEMA_STRING_MAX) {
		schema_error(x, node->line, "is longer than %d characters", SCHEMA_STRING_MAX);
		return NULL;
	}
	if (has_control(node->text)) {
		schema_error(x, node->line, HAS_CONTROL);
		return NULL;
	}
	return node->text;
}
