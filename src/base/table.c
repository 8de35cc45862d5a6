/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/table.h"

#include <stdlib.h>

#include "fairlead/mem.h"

static struct table_link *link_of(const struct table *t, void *record)
{
	return (void *)((char *)record + t->kind->link);
}

static const void *key_of(const void *owner, uint32_t number, size_t *ret_size)
{
	const struct table *t = owner;

	return t->kind->key(t->records[number], ret_size);
}

static uint32_t *next_of(const void *owner, uint32_t number)
{
	const struct table *t = owner;

	return &link_of(t, t->records[number])->next;
}

static const struct buckets_ops ops = { .key = key_of, .next = next_of };

void table_fini(struct table *t)
{
	buckets_fini(&t->buckets);
	free(t->records);
	free(t->free);
	*t = (struct table){ .kind = t->kind };
}

void *table_find(const struct table *t, const void *key, size_t size)
{
	uint32_t number = buckets_find(&t->buckets, &ops, t, key, size);

	return number ? t->records[number] : NULL;
}

static uint32_t take_number(struct table *t)
{
	if (t->n_free > 0)
		return t->free[--t->n_free];
	ARRAY_RESERVE(t->records, t->cap, t->last + 2);
	return (uint32_t)++t->last;
}

void table_add(struct table *t, void *record)
{
	uint32_t number = take_number(t);

	t->records[number] = record;
	link_of(t, record)->number = number;
	buckets_put(&t->buckets, &ops, t, number, ++t->n);
}

void table_remove(struct table *t, void *record)
{
	uint32_t number = link_of(t, record)->number;

	buckets_take_out(&t->buckets, &ops, t, number);
	t->records[number] = NULL;
	ARRAY_RESERVE(t->free, t->cap_free, t->n_free + 1);
	t->free[t->n_free++] = number;
	if (--t->n == 0)
		table_fini(t);
}

void *table_next(const struct table *t, uint32_t *at)
{
	while (*at < t->last) {
		void *record = t->records[++*at];
		if (record)
			return record;
	}
	return NULL;
}
