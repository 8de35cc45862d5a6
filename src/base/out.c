/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stack of what is open is all that JSON and YAML need, which are written as the calls come.
 * Text is written table by table, for the widths of columns are known at a table's end only.  A
 * format passes over the calls that are not for it, so that callers never ask which one it is.
 */
#include "config.h"

#include "fairlead/out.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fairlead/mem.h"

#define YAML_INDENT 2
#define TABLE_INDENT 2
#define TABLE_GAP 2
#define NUMBER_SIZE 24

void out_init(struct out *o, enum out_format format, struct buf *buf)
{
	*o = (struct out){ .buf = buf, .format = format };
}

void out_fini(struct out *o)
{
	assert(o->depth == 0 && !o->table);
	free(o->cells);
}

bool out_is_text(const struct out *o)
{
	return o->format == OUT_TEXT || o->format == OUT_WIDE;
}

static struct out_level *top(struct out *o)
{
	return o->depth ? &o->levels[o->depth - 1] : NULL;
}

/* ---- JSON ---- */

static void json_lead(struct out *o, const char *key)
{
	struct out_level *l = top(o);

	if (l && l->any)
		buf_puts(o->buf, o->lines && o->depth == 1 ? ",\n" : ",");
	if (key) {
		buf_json_str(o->buf, key);
		buf_putc(o->buf, ':');
	}
}

/* ---- YAML ---- */

/* Words that YAML 1.1, which many still read, takes for something else than a string. */
static bool is_yaml_word(const char *s)
{
	static const char *const words[] = { "true", "false", "yes", "no",  "on",
		                             "off",  "y",     "n",   "null" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (!strcasecmp(s, words[i]))
			return true;
	return false;
}

/* Whether it is certainly the same string without quotes. */
static bool is_yaml_plain(const char *s)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	static const char others[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789/._- ";
	size_t len = strlen(s);

	return len > 0 && strchr(letters, s[0]) && strspn(s, others) == len && s[len - 1] != ' ' &&
	       !is_yaml_word(s);
}

static void yaml_lead(struct out *o, const char *key)
{
	struct out_level *l = top(o);

	if (!l)
		return;
	if (!l->any && !l->in_list && o->depth > 1)
		buf_putc(o->buf, '\n');
	if (l->any || !l->in_list)
		buf_printf(o->buf, "%*s", (int)l->indent, "");
	if (key && is_yaml_plain(key))
		buf_puts(o->buf, key);
	else if (key)
		buf_json_str(o->buf, key);
	buf_putc(o->buf, key ? ':' : '-');
}

/* Where members of what is opened now begin: a list's dashes stand under its key. */
static size_t yaml_indent(const struct out_level *around, bool list)
{
	if (!around)
		return 0;
	return around->indent + (list && !around->list ? 0 : YAML_INDENT);
}

static void yaml_close(struct out *o, const struct out_level *l)
{
	if (!l->any)
		buf_printf(o->buf, "%s%s\n", o->depth && !l->in_list ? " " : "",
		           l->list ? "[]" : "{}");
}

/* ---- text ---- */

static const struct out_column *columns(const struct out *o)
{
	return o->table->columns;
}

static size_t n_columns(const struct out *o)
{
	size_t n = 0;

	while (n < OUT_COLUMNS_MAX && columns(o)[n].head)
		n++;
	return n;
}

/* The cell of the row that is being filled; NULL: the table has no such column, or no row yet. */
static struct buf *cell_of(struct out *o, const char *key, size_t len)
{
	size_t n = o->table ? n_columns(o) : 0;

	for (size_t i = 0; i < n && o->n_cells > 0; i++)
		if (!strncmp(columns(o)[i].key, key, len) && !columns(o)[i].key[len])
			return &o->cells[o->n_cells - n + i];
	return NULL;
}

/*
 * The member's path from the row's object; false: it is in a list of objects, or outside the row.
 */
static bool path_of(const struct out *o, const char *key, struct buf *path)
{
	if (o->depth < o->row_depth)
		return false;
	for (size_t i = o->row_depth; i < o->depth; i++) {
		if (!o->levels[i].key)
			return false;
		buf_printf(path, "%s%s", path->size ? "." : "", o->levels[i].key);
	}
	if (key)
		buf_printf(path, "%s%s", path->size ? "." : "", key);
	return path->size > 0;
}

static void text_member(struct out *o, const char *key, const char *text)
{
	cleanup(buf_fini) struct buf path = BUF_INIT;

	if (!o->table || !o->in_row || !path_of(o, key, &path))
		return;
	struct buf *cell = cell_of(o, buf_str(&path), path.size);
	if (!cell)
		return;
	if (cell->size && text[0])
		buf_putc(cell, ',');
	buf_puts(cell, text);
}

/* Characters, not bytes, of UTF-8. */
static size_t width_of(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

/*
 * Adds the first @room characters of it at most, the last one being "…" if there are more; cut
 * behind a word, since half a flag or address is worse than none.
 */
static void put_cut(const char *s, size_t room, struct buf *out)
{
	size_t len = 0, words = 0;

	if (width_of(s) <= room) {
		buf_puts(out, s);
		return;
	}
	for (size_t n = 1; n < room; n++) {
		do
			len++;
		while (((unsigned char)s[len] & 0xc0) == 0x80);
		if (s[len] == ' ')
			words = len;
	}
	buf_add(out, s, words ? words : len);
	buf_puts(out, "…");
}

static bool is_shown(const struct out *o, size_t column)
{
	const struct out_column *c = &columns(o)[column];

	return (o->format == OUT_WIDE || !c->wide) && (!c->if_any || o->filled[column]);
}

static size_t last_shown(const struct out *o)
{
	size_t last = n_columns(o) - 1;

	while (last > 0 && !is_shown(o, last))
		last--;
	return last;
}

/* @cells: a row of strings; NULL: the head. */
static void put_line(struct out *o, const struct buf *cells, const size_t *widths)
{
	size_t last = last_shown(o);
	size_t at = o->table->title || o->table->indented ? TABLE_INDENT : 0;

	buf_printf(o->buf, "%*s", (int)at, "");
	for (size_t i = 0; i <= last; i++) {
		const char *text = cells ? buf_str(&cells[i]) : columns(o)[i].head;
		if (!is_shown(o, i))
			continue;
		if (i < last)
			buf_printf(o->buf, "%s%*s", text,
			           (int)(widths[i] - width_of(text) + TABLE_GAP), "");
		else if (o->width > at + width_of(columns(o)[i].head))
			put_cut(text, o->width - at, o->buf);
		else
			buf_puts(o->buf, text);
		at += widths[i] + TABLE_GAP;
	}
	buf_putc(o->buf, '\n');
}

static void finish_cells(struct out *o, size_t n, size_t *widths)
{
	for (size_t i = 0; i < n; i++) {
		widths[i] = width_of(columns(o)[i].head);
		o->filled[i] = false;
	}
	for (size_t i = 0; i < o->n_cells; i++) {
		o->filled[i % n] |= o->cells[i].size > 0;
		if (!o->cells[i].size)
			buf_putc(&o->cells[i], '-');
		buf_plain(o->cells[i].data);
		size_t w = width_of(o->cells[i].data);
		if (w > widths[i % n])
			widths[i % n] = w;
	}
}

void out_gap(struct out *o)
{
	if (out_is_text(o) && o->buf->size)
		buf_putc(o->buf, '\n');
}

void out_table(struct out *o, const struct out_table *table)
{
	assert(!o->table);
	o->table = table;
}

void out_table_end(struct out *o)
{
	size_t widths[OUT_COLUMNS_MAX], n = n_columns(o);

	if (out_is_text(o) && (o->n_cells || !o->table->if_any)) {
		finish_cells(o, n, widths);
		if (o->table->title) {
			out_gap(o);
			buf_printf(o->buf, "%s\n", o->table->title);
		}
		put_line(o, NULL, widths);
		for (size_t i = 0; i < o->n_cells; i += n)
			put_line(o, &o->cells[i], widths);
	}
	for (size_t i = 0; i < o->n_cells; i++)
		buf_fini(&o->cells[i]);
	o->n_cells = 0;
	o->in_row = false;
	o->table = NULL;
}

void out_row(struct out *o)
{
	if (!out_is_text(o))
		return;
	size_t n = n_columns(o);
	ARRAY_RESERVE(o->cells, o->cap_cells, o->n_cells + n);
	for (size_t i = 0; i < n; i++)
		o->cells[o->n_cells++] = (struct buf)BUF_INIT;
	o->row_depth = o->depth;
	o->in_row = true;
}

void out_cell(struct out *o, const char *key, const char *fmt, ...)
{
	va_list ap;

	if (!out_is_text(o))
		return;
	struct buf *cell = cell_of(o, key, strlen(key));
	assert(cell);
	buf_clear(cell);
	va_start(ap, fmt);
	buf_vprintf(cell, fmt, ap);
	va_end(ap);
}

static __attribute__((format(printf, 2, 0))) void put_plain_line(struct buf *out, const char *fmt,
                                                                 va_list ap)
{
	cleanup(buf_fini) struct buf line = BUF_INIT;

	buf_vprintf(&line, fmt, ap);
	if (line.data)
		buf_plain(line.data);
	buf_printf(out, "%s\n", buf_str(&line));
}

void out_say(struct out *o, const char *fmt, ...)
{
	va_list ap;

	if (!out_is_text(o))
		return;
	assert(!o->table);
	va_start(ap, fmt);
	put_plain_line(o->buf, fmt, ap);
	va_end(ap);
}

/* Without the marks around `code`, which a terminal needs not, and safe to print. */
static char *plain_of(const char *text)
{
	struct buf plain = BUF_INIT;

	for (; *text; text++)
		if (*text != '`')
			buf_putc(&plain, *text);
	char *s = buf_take(&plain);
	buf_plain(s);
	return s;
}

void out_say_in(struct out *o, enum out_colour colour, const char *line)
{
	static const char *const codes[] = {
		[OUT_GREEN] = "32", [OUT_YELLOW] = "33", [OUT_RED] = "31"
	};

	if (!o->colour || !out_is_text(o)) {
		out_say(o, "%s", line);
		return;
	}
	cleanup_free char *plain = plain_of(line);
	buf_printf(o->buf, "\033[%sm%s\033[0m\n", codes[colour], plain);
}

void out_wrap(struct out *o, size_t indent, const char *text)
{
	size_t width = o->width ? o->width : OUT_WIDTH, at = 0;

	if (!out_is_text(o))
		return;
	cleanup_free char *plain = plain_of(text);
	for (char *save, *word = strtok_r(plain, " ", &save); word;
	     word = strtok_r(NULL, " ", &save)) {
		size_t wide = width_of(word);
		if (at && at + 1 + wide > width) {
			buf_putc(o->buf, '\n');
			at = 0;
		}
		buf_printf(o->buf, "%*s%s", at ? 1 : (int)indent, "", word);
		at += wide + (at ? 1 : indent);
	}
	buf_putc(o->buf, '\n');
}

void out_name(struct out *o, const char *fmt, ...)
{
	va_list ap;

	if (o->format != OUT_NAME)
		return;
	va_start(ap, fmt);
	put_plain_line(o->buf, fmt, ap);
	va_end(ap);
}

/* ---- every format ---- */

/* What stands before a member's value. */
static void lead(struct out *o, const char *key)
{
	struct out_level *l = top(o);

	assert(!l == !o->depth && (!key || (l && !l->list)));
	if (o->format == OUT_JSON)
		json_lead(o, key);
	else if (o->format == OUT_YAML)
		yaml_lead(o, key);
	if (l)
		l->any = true;
}

static void open_level(struct out *o, const char *key, bool list)
{
	struct out_level *around = top(o);
	bool in_list = around && around->list;

	assert(o->depth < OUT_DEPTH_MAX);
	lead(o, key);
	o->levels[o->depth++] = (struct out_level){
		.key = key, .list = list, .in_list = in_list, .indent = yaml_indent(around, list)
	};
	if (o->format == OUT_JSON)
		buf_putc(o->buf, list ? '[' : '{');
	else if (o->format == OUT_YAML && in_list)
		buf_putc(o->buf, ' ');
}

void out_object(struct out *o, const char *key)
{
	open_level(o, key, false);
}

void out_list(struct out *o, const char *key)
{
	open_level(o, key, true);
}

void out_close(struct out *o)
{
	assert(o->depth > 0);
	const struct out_level l = o->levels[--o->depth];

	o->in_row = o->in_row && o->depth >= o->row_depth;
	if (o->format == OUT_JSON)
		buf_putc(o->buf, l.list ? ']' : '}');
	else if (o->format == OUT_YAML)
		yaml_close(o, &l);
}

/* A scalar: @token as JSON has it, which YAML takes, too. */
static void put_token(struct out *o, const char *key, const char *token, const char *text)
{
	lead(o, key);
	if (o->format == OUT_JSON)
		buf_puts(o->buf, token);
	else if (o->format == OUT_YAML)
		buf_printf(o->buf, "%s%s\n", o->depth ? " " : "", token);
	else if (out_is_text(o))
		text_member(o, key, text);
}

void out_str(struct out *o, const char *key, const char *s)
{
	cleanup(buf_fini) struct buf token = BUF_INIT;

	if (o->format == OUT_YAML && s && is_yaml_plain(s))
		buf_puts(&token, s);
	else if (!out_is_text(o))
		buf_json_str(&token, s);
	put_token(o, key, buf_str(&token), s ? s : "");
}

void out_printf(struct out *o, const char *key, const char *fmt, ...)
{
	cleanup(buf_fini) struct buf s = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&s, fmt, ap);
	va_end(ap);
	out_str(o, key, buf_str(&s));
}

void out_int(struct out *o, const char *key, int64_t n)
{
	char token[NUMBER_SIZE];

	snprintf(token, sizeof(token), "%" PRId64, n);
	put_token(o, key, token, token);
}

void out_uint(struct out *o, const char *key, uint64_t n)
{
	char token[NUMBER_SIZE];

	snprintf(token, sizeof(token), "%" PRIu64, n);
	put_token(o, key, token, token);
}

void out_bool(struct out *o, const char *key, bool yes)
{
	put_token(o, key, yes ? "true" : "false", yes ? "yes" : "no");
}

void out_addr(struct out *o, const char *key, const struct addr *a)
{
	out_str(o, key, addr_is_none(a) ? "" : addr_str(a));
}
