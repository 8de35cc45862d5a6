/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_OUT_H
#define FAIRLEAD_OUT_H

/*
 * One writer for everything that programs say in a structured way: the same calls give JSON, YAML,
 * aligned text or bare names.
 *
 *	static const struct out_table pools = { .title = "Pools", .columns = { { "name", "NAME" }, {
 *	"free", "FREE" } } };
 *
 *	out_table(o, &pools);                      text: a table follows
 *	out_list(o, "pools");
 *	for (each pool) {
 *		out_object(o, NULL);
 *		out_row(o);                        text: a row of it
 *		out_str(o, "name", pool->name);
 *		out_uint(o, "free", pool->free);
 *		out_close(o);
 *	}
 *	out_close(o);
 *	out_table_end(o);
 *
 * JSON and YAML hold every member, in the order of the calls.  Text holds lines (out_say) and
 * tables.  A member whose path from the row's object is the key of a column ("name",
 * "speaker.version") fills that cell; a list's elements are joined by commas; other members are not
 * shown.  Where people should read something other than programs do, out_cell() sets the text for
 * them.
 *
 * Strings may come from anybody: control characters are escaped in JSON and YAML, and become "?" in
 * text, so that nothing that a tenant wrote can move the reader's cursor.  Bytes that are not UTF-8
 * become U+FFFD in JSON and YAML, "?" in text.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/buf.h"

#define OUT_DEPTH_MAX 16
#define OUT_COLUMNS_MAX 20
#define OUT_WIDTH 100

enum out_format {
	OUT_JSON, /* compact, on one line */
	OUT_YAML,
	OUT_TEXT,
	OUT_WIDE, /* text, including the columns for which there is not always room */
	OUT_NAME, /* one name a line, as out_name() says */
};

enum out_colour { OUT_GREEN, OUT_YELLOW, OUT_RED };

struct out_column {
	const char *key;  /* of the member that fills it */
	const char *head; /* NULL ends the columns, if there are fewer than OUT_COLUMNS_MAX */
	bool wide;        /* OUT_WIDE only */
	bool if_any;      /* left out where none of its cells is filled */
};

struct out_table {
	const char *title; /* the line above, after an empty one; NULL: none */
	bool indented;     /* rows are, as always below a title */
	bool if_any;       /* without rows nothing is printed, not even the header */
	struct out_column columns[OUT_COLUMNS_MAX]; /* so that more of them do not compile */
};

struct out_level {
	const char *key; /* the key of the list or object in the enclosing one */
	bool list, any;
	bool in_list;  /* YAML: its first member follows the dash */
	size_t indent; /* YAML */
};

struct out {
	struct buf *buf;
	enum out_format format;
	bool lines;   /* JSON: each element of the outermost list begins a line */
	size_t width; /* text: a table's last column is cut here, with "…"; 0: it is never cut */
	bool colour;  /* text: for a terminal that has colours */
	/* The rest is the writer's own. */
	struct out_level levels[OUT_DEPTH_MAX];
	size_t depth;
	const struct out_table *table; /* NULL: none is open */
	bool in_row;
	size_t row_depth;
	struct buf *cells; /* row after row */
	size_t n_cells, cap_cells;
	bool filled[OUT_COLUMNS_MAX]; /* of the table that ends */
};

/*
 * What is written goes to @buf, which stays the caller's.  Keys and tables must last until the end.
 */
void out_init(struct out *o, enum out_format format, struct buf *buf);
/* Everything that was opened must be closed. */
void out_fini(struct out *o);

/* Whether it is for people; what only they see need not be made otherwise. */
bool out_is_text(const struct out *o);

/* ---- every format ---- */

/* @key: NULL in a list, and for the document itself. */
void out_object(struct out *o, const char *key);
void out_list(struct out *o, const char *key);
/* Closes what was opened last. */
void out_close(struct out *o);

void out_str(struct out *o, const char *key, const char *s); /* NULL: null */
void out_printf(struct out *o, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void out_int(struct out *o, const char *key, int64_t n);
void out_uint(struct out *o, const char *key, uint64_t n);
void out_bool(struct out *o, const char *key, bool yes);             /* text: yes, no */
void out_addr(struct out *o, const char *key, const struct addr *a); /* none: "" */

/* ---- text ---- */

/* An empty line, unless this is the start of the text. */
void out_gap(struct out *o);
/* A line. */
void out_say(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A line in this colour, where there are colours. */
void out_say_in(struct out *o, enum out_colour colour, const char *line);
/*
 * A paragraph, indented by so many columns and broken between words at OUT_WIDTH, or at o->width;
 * the backticks around `code` are removed.
 */
void out_wrap(struct out *o, size_t indent, const char *text);
/* Tables do not nest.  What is written between is the table's, with out_row() before each row. */
void out_table(struct out *o, const struct out_table *table);
void out_table_end(struct out *o);
/*
 * Members of the object that is open now fill the row's cells, until it is closed; a cell that
 * nothing fills is "-".
 */
void out_row(struct out *o);
/* Fills the cell of this key, wherever it is called. */
void out_cell(struct out *o, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- names ---- */

void out_name(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
