/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/cursor.h"

#include <string.h>

struct cursor cursor_of(const void *data, size_t size)
{
	return (struct cursor){ .p = data, .left = size };
}

bool cursor_ok(const struct cursor *c)
{
	return !c->bad;
}

const uint8_t *cursor_view(struct cursor *c, size_t size)
{
	if (c->bad || size > c->left) {
		c->bad = true;
		c->left = 0;
		return NULL;
	}
	const uint8_t *p = c->p;
	c->p += size;
	c->left -= size;
	return p;
}

static uint64_t read_be(struct cursor *c, size_t size)
{
	const uint8_t *p = cursor_view(c, size);
	uint64_t v = 0;

	for (size_t i = 0; p && i < size; i++)
		v = v << 8 | p[i];
	return v;
}

uint8_t cursor_u8(struct cursor *c)
{
	return (uint8_t)read_be(c, 1);
}

uint16_t cursor_u16(struct cursor *c)
{
	return (uint16_t)read_be(c, 2);
}

uint32_t cursor_u32(struct cursor *c)
{
	return (uint32_t)read_be(c, 4);
}

uint64_t cursor_u64(struct cursor *c)
{
	return read_be(c, 8);
}

void cursor_bytes(struct cursor *c, void *out, size_t size)
{
	const uint8_t *p = cursor_view(c, size);

	if (p)
		memcpy(out, p, size);
	else
		memset(out, 0, size);
}

void cursor_skip(struct cursor *c, size_t size)
{
	cursor_view(c, size);
}

struct writer writer_of(void *data, size_t cap)
{
	return (struct writer){ .p = data, .cap = cap };
}

bool writer_ok(const struct writer *w)
{
	return !w->bad;
}

void writer_bytes(struct writer *w, const void *data, size_t size)
{
	if (w->bad || size > w->cap - w->size) {
		w->bad = true;
		return;
	}
	if (size)
		memcpy(w->p + w->size, data, size);
	w->size += size;
}

static void write_be(struct writer *w, uint64_t v, size_t size)
{
	uint8_t b[8];

	for (size_t i = 0; i < size; i++)
		b[i] = (uint8_t)(v >> (8 * (size - 1 - i)));
	writer_bytes(w, b, size);
}

void writer_u8(struct writer *w, uint8_t v)
{
	write_be(w, v, 1);
}

void writer_u16(struct writer *w, uint16_t v)
{
	write_be(w, v, 2);
}

void writer_u32(struct writer *w, uint32_t v)
{
	write_be(w, v, 4);
}

void writer_u64(struct writer *w, uint64_t v)
{
	write_be(w, v, 8);
}
