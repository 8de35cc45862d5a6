/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/buckets.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/hash.h"
#include "fairlead/mem.h"

#define BUCKETS_MIN 16

void buckets_fini(struct buckets *b)
{
	free(b->heads);
	*b = (struct buckets){ .n = 0 };
}

/* Keys come from outside, like those of all tables: see fairlead/hash.h. */
static uint32_t *head_of(const struct buckets *b, const void *key, size_t size)
{
	size_t i = hash_keyed(key, size) & (2 * b->split - 1);

	return &b->heads[i < b->n ? i : i - b->split];
}

static uint32_t *head_of_record(const struct buckets *b, const struct buckets_ops *ops,
                                const void *owner, uint32_t number)
{
	size_t size;
	const void *key = ops->key(owner, number, &size);

	return head_of(b, key, size);
}

static void put(struct buckets *b, const struct buckets_ops *ops, const void *owner,
                uint32_t number)
{
	uint32_t *head = head_of_record(b, ops, owner, number);

	*ops->next(owner, number) = *head;
	*head = number;
}

static void grow(struct buckets *b, const struct buckets_ops *ops, const void *owner)
{
	size_t n = b->n ? b->n + 1 : BUCKETS_MIN;

	ARRAY_RESERVE(b->heads, b->cap, n);
	memset(b->heads + b->n, 0, (n - b->n) * sizeof(*b->heads));
	if (b->n == 0) {
		b->split = b->n = BUCKETS_MIN;
		return;
	}
	uint32_t *head = &b->heads[b->n - b->split], number = *head;
	*head = 0;
	b->n = n;
	while (number) {
		uint32_t next = *ops->next(owner, number);
		put(b, ops, owner, number);
		number = next;
	}
	if (n == 2 * b->split)
		b->split = n;
}

uint32_t buckets_find(const struct buckets *b, const struct buckets_ops *ops, const void *owner,
                      const void *key, size_t size)
{
	uint32_t number = b->n > 0 ? *head_of(b, key, size) : 0;

	for (; number; number = *ops->next(owner, number)) {
		size_t its_size;
		const void *its_key = ops->key(owner, number, &its_size);
		if (its_size == size && !memcmp(its_key, key, size))
			break;
	}
	return number;
}

void buckets_put(struct buckets *b, const struct buckets_ops *ops, const void *owner,
                 uint32_t number, size_t n_records)
{
	if (n_records > b->n)
		grow(b, ops, owner);
	put(b, ops, owner, number);
}

void buckets_take_out(struct buckets *b, const struct buckets_ops *ops, const void *owner,
                      uint32_t number)
{
	uint32_t *at = head_of_record(b, ops, owner, number);

	while (*at != number)
		at = ops->next(owner, *at);
	*at = *ops->next(owner, number);
}
