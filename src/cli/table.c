/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/table.h"

#include <stdarg.h>
#include <stdlib.h>

#include "fairlead/mem.h"

#define GAP 2

static void add_cell(struct table *t, char *text)
{
	ARRAY_RESERVE(t->cells, t->cap_cells, t->n_cells + 1);
	buf_plain(text);
	t->cells[t->n_cells++] = text;
}

void table_init(struct table *t, size_t n_columns, const char *const *head)
{
	*t = (struct table){ .n_columns = n_columns };
	for (size_t i = 0; i < n_columns; i++)
		add_cell(t, xstrdup(head[i]));
}

void table_fini(struct table *t)
{
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cells[i]);
	free(t->cells);
	*t = (struct table){ 0 };
}

void table_cell(struct table *t, const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	if (!b.size)
		buf_putc(&b, '-');
	add_cell(t, buf_take(&b));
}

/* Characters, not bytes, of UTF-8. */
static size_t width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

void table_print(const struct table *t, const char *indent, struct buf *out)
{
	size_t widths[TABLE_COLUMNS_MAX] = { 0 };

	for (size_t i = 0; i < t->n_cells; i++) {
		size_t w = width(t->cells[i]);
		if (w > widths[i % t->n_columns])
			widths[i % t->n_columns] = w;
	}
	for (size_t i = 0; i < t->n_cells; i++) {
		size_t column = i % t->n_columns;
		bool last = column + 1 == t->n_columns;
		if (!column)
			buf_puts(out, indent);
		buf_puts(out, t->cells[i]);
		if (last)
			buf_putc(out, '\n');
		else
			buf_printf(out, "%*s", (int)(widths[column] - width(t->cells[i]) + GAP),
			           "");
	}
}
