/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linear hashing (Litwin 1980): the table grows by one bucket at a time, whose elements come out of
 * one other bucket.  To double it at once would hold up the event loop for as long as all elements
 * take.
 */
#include "config.h"

#include "proxy/nftables/elements.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/hash.h"
#include "fairlead/mem.h"

#define BLOCK 256u
#define BUCKETS_MIN 16

void elements_init(struct elements *t, uint8_t family, enum frame_map map)
{
	*t = (struct elements){ .map = map, .shape = frame_shape(family, map) };
	size_t found = t->shape.intervals ? t->shape.value : 0;
	size_t size = offsetof(struct element, data) + t->shape.key + t->shape.value + found;
	size_t align = _Alignof(struct element);

	t->record = (size + align - 1) / align * align;
}

void elements_fini(struct elements *t)
{
	for (size_t i = 0; i < t->n_blocks; i++)
		free(t->blocks[i]);
	free(t->blocks);
	free(t->buckets);
	*t = (struct elements){ .map = t->map, .shape = t->shape, .record = t->record };
}

struct element *elements_at(const struct elements *t, uint32_t number)
{
	uint32_t i = number - 1;

	return (void *)(t->blocks[i / BLOCK] + i % BLOCK * t->record);
}

unsigned char *elements_value(const struct elements *t, struct element *e)
{
	return e->data + t->shape.key;
}

unsigned char *elements_value_there(const struct elements *t, struct element *e)
{
	return elements_value(t, e) + (t->shape.intervals ? t->shape.value : 0);
}

uint32_t elements_next(const struct elements *t, uint32_t number)
{
	while (number < t->last)
		if (elements_at(t, ++number)->used)
			return number;
	return 0;
}

/* ---- buckets ---- */

/* Keys come from outside, like those of all tables: see fairlead/hash.h. */
static uint32_t *bucket_of(const struct elements *t, const void *key)
{
	uint32_t hash = hash_keyed(key, t->shape.key);
	size_t i = hash & (2 * t->split - 1);

	return &t->buckets[i < t->n_buckets ? i : i - t->split];
}

static void put(struct elements *t, uint32_t number)
{
	struct element *e = elements_at(t, number);
	uint32_t *bucket = bucket_of(t, e->data);

	e->next = *bucket;
	*bucket = number;
}

static void grow(struct elements *t)
{
	size_t n = t->n_buckets ? t->n_buckets + 1 : BUCKETS_MIN;

	ARRAY_RESERVE(t->buckets, t->cap_buckets, n);
	memset(t->buckets + t->n_buckets, 0, (n - t->n_buckets) * sizeof(*t->buckets));
	if (t->n_buckets == 0) {
		t->split = t->n_buckets = BUCKETS_MIN;
		return;
	}
	uint32_t *bucket = &t->buckets[t->n_buckets - t->split], number = *bucket;
	*bucket = 0;
	t->n_buckets = n;
	while (number) {
		uint32_t next = elements_at(t, number)->next;
		put(t, number);
		number = next;
	}
	if (n == 2 * t->split)
		t->split = n;
}

/* Where its number stands; of a key that is not there, the end of its bucket. */
static uint32_t *place(const struct elements *t, const void *key)
{
	uint32_t *at = bucket_of(t, key);

	while (*at && memcmp(elements_at(t, *at)->data, key, t->shape.key) != 0)
		at = &elements_at(t, *at)->next;
	return at;
}

/* ---- records ---- */

static uint32_t take_record(struct elements *t)
{
	uint32_t number = t->free;

	if (number) {
		t->free = elements_at(t, number)->next;
		return number;
	}
	if (t->last == t->n_blocks * BLOCK) {
		ARRAY_RESERVE(t->blocks, t->cap_blocks, t->n_blocks + 1);
		t->blocks[t->n_blocks++] = xmalloc(BLOCK * t->record);
	}
	return ++t->last;
}

uint32_t elements_find(const struct elements *t, const void *key)
{
	return t->n_buckets > 0 ? *place(t, key) : 0;
}

uint32_t elements_get(struct elements *t, const void *key)
{
	uint32_t number = elements_find(t, key);

	if (number)
		return number;
	if (t->n >= t->n_buckets)
		grow(t);
	number = take_record(t);
	struct element *e = memset(elements_at(t, number), 0, t->record);
	e->used = true;
	memcpy(e->data, key, t->shape.key);
	put(t, number);
	t->n++;
	return number;
}

void elements_drop(struct elements *t, uint32_t number)
{
	struct element *e = elements_at(t, number);
	uint32_t *at = bucket_of(t, e->data);

	while (*at != number)
		at = &elements_at(t, *at)->next;
	*at = e->next;
	e->used = false;
	e->next = t->free;
	t->free = number;
	if (--t->n == 0)
		elements_fini(t);
}
