/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_TABLE_H
#define FAIRLEAD_TABLE_H

/*
 * Records found by their keys, of which there may be very many: a record costs 20 bytes here, and
 * 80 in a table of uthash.  The records are the caller's and stay where they are; in each stand
 * its key and a struct table_link, both untouched while it is in the table.
 *
 * A table is gone through in the order in which records came, but one that comes after another has
 * gone takes its place.
 */

#include <stddef.h>
#include <stdint.h>

#include "fairlead/buckets.h"

struct table_link {
	uint32_t number, next;
};

struct table_kind {
	size_t link; /* where the struct table_link is in a record */
	const void *(*key)(const void *record, size_t *ret_size);
};

/* All zero at first, but for its kind. */
struct table {
	const struct table_kind *kind;
	struct buckets buckets;
	void **records; /* by number, the first being 1; NULL: none */
	size_t n, last, cap;
	uint32_t *free; /* numbers up to the last one that no record has */
	size_t n_free, cap_free;
};

/* It is empty again; the records are left alone. */
void table_fini(struct table *t);

/* NULL: there is none. */
void *table_find(const struct table *t, const void *key, size_t size);
/* There must be none of that key. */
void table_add(struct table *t, void *record);
void table_remove(struct table *t, void *record);

/*
 * One after another, *@at being 0 at first; NULL at the end.  Whatever is removed meanwhile, the
 * others come once.
 */
void *table_next(const struct table *t, uint32_t *at);

#endif
