/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_BUCKETS_H
#define FAIRLEAD_BUCKETS_H

/*
 * How records that have numbers are found by their keys: linear hashing (Litwin 1980).  The table
 * grows by one bucket at a time, whose records come out of one other bucket; to double it at once
 * would hold up the event loop for as long as all records take.
 *
 * The records are the caller's, and so is the number of the next one in its bucket, which stands
 * in each of them.  Four bytes a record are all that this takes itself.
 */

#include <stddef.h>
#include <stdint.h>

/* What is known of a record by its number; @owner is the caller's own. */
struct buckets_ops {
	const void *(*key)(const void *owner, uint32_t number, size_t *ret_size);
	uint32_t *(*next)(const void *owner, uint32_t number);
};

/* All zero at first. */
struct buckets {
	uint32_t *heads; /* 0: empty */
	size_t n, cap;
	size_t split; /* buckets of the table before it began to grow: a power of two */
};

void buckets_fini(struct buckets *b);

/* 0: there is none. */
uint32_t buckets_find(const struct buckets *b, const struct buckets_ops *ops, const void *owner,
                      const void *key, size_t size);
/* @n_records with this one, whose key none of the others has. */
void buckets_put(struct buckets *b, const struct buckets_ops *ops, const void *owner,
                 uint32_t number, size_t n_records);
void buckets_take_out(struct buckets *b, const struct buckets_ops *ops, const void *owner,
                      uint32_t number);

#endif
