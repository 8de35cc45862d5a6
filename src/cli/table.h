/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_TABLE_H
#define FAIRLEAD_CLI_TABLE_H

/*
 * Text in aligned columns.  Cells are copied; control characters become "?", so that nothing that a cluster's user wrote
 * can move the cursor of who looks at it.  An empty cell prints as "-".
 */

#include <stddef.h>

#include "fairlead/buf.h"

#define TABLE_COLUMNS_MAX 10

struct table {
	size_t n_columns;
	char **cells; /* row after row, the first is the head */
	size_t n_cells, cap_cells;
};

/* @head: n_columns words. */
void table_init(struct table *t, size_t n_columns, const char *const *head);
void table_fini(struct table *t);
/* One cell; a row is full after n_columns of them. */
void table_cell(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Each line begins with @indent. */
void table_print(const struct table *t, const char *indent, struct buf *out);

#endif
