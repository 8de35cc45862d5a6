/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/nftables/elements.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

#define BLOCK 256u

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
	buckets_fini(&t->buckets);
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

static const void *key_of(const void *owner, uint32_t number, size_t *ret_size)
{
	const struct elements *t = owner;

	*ret_size = t->shape.key;
	return elements_at(t, number)->data;
}

static uint32_t *next_of(const void *owner, uint32_t number)
{
	return &elements_at(owner, number)->next;
}

static const struct buckets_ops ops = { .key = key_of, .next = next_of };

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
	return buckets_find(&t->buckets, &ops, t, key, t->shape.key);
}

uint32_t elements_get(struct elements *t, const void *key)
{
	uint32_t number = elements_find(t, key);

	if (number)
		return number;
	number = take_record(t);
	struct element *e = memset(elements_at(t, number), 0, t->record);
	e->used = true;
	memcpy(e->data, key, t->shape.key);
	buckets_put(&t->buckets, &ops, t, number, ++t->n);
	return number;
}

void elements_drop(struct elements *t, uint32_t number)
{
	struct element *e = elements_at(t, number);

	buckets_take_out(&t->buckets, &ops, t, number);
	e->used = false;
	e->next = t->free;
	t->free = number;
	if (--t->n == 0)
		elements_fini(t);
}
