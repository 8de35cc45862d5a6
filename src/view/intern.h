/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_VIEW_INTERN_H
#define FAIRLEAD_VIEW_INTERN_H

/*
 * One copy of what many objects share: node names, namespaces, port names, classes; places of
 * endpoints; lists of ports.  Counted: the last intern_drop() frees.  What is equal in one table
 * are equal pointers.
 */

#include <stddef.h>

struct intern;
struct labels;

/* A counted copy of @s; NULL for NULL.  The table starts as NULL and grows as needed. */
const char *intern_get(struct intern **table, const char *s);
void intern_drop(struct intern **table, const char *s);
/* The same for bytes; @data of the second one is what the first returned. */
const void *intern_get_bytes(struct intern **table, const void *data, size_t size);
void intern_drop_bytes(struct intern **table, const void *data, size_t size);
/*
 * The same for labels, whose keys and values are all counted; only intern_drop_labels() frees it.
 */
struct labels intern_labels(struct intern **table, const struct labels *l);
void intern_drop_labels(struct intern **table, struct labels *l);

#endif
