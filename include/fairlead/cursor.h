/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CURSOR_H
#define FAIRLEAD_CURSOR_H

/*
 * Reading and writing packets within bounds.
 *
 * A read past the end yields zero and sets a sticky error, so that a decoder reads all its fields
 * and checks cursor_ok() once.  A write past the end likewise.  All integers are big-endian.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cursor {
	const uint8_t *p;
	size_t left; /* bytes */
	bool bad;
};

struct writer {
	uint8_t *p;
	size_t size; /* bytes written */
	size_t cap;
	bool bad;
};

struct cursor cursor_of(const void *data, size_t size);
bool cursor_ok(const struct cursor *c);
uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_u16(struct cursor *c);
uint32_t cursor_u32(struct cursor *c);
uint64_t cursor_u64(struct cursor *c);
/* Copies @size bytes out, zeros if there are not so many. */
void cursor_bytes(struct cursor *c, void *out, size_t size);
/* A view of the next @size bytes, NULL if there are not so many. */
const uint8_t *cursor_view(struct cursor *c, size_t size);
void cursor_skip(struct cursor *c, size_t size);

struct writer writer_of(void *data, size_t cap);
bool writer_ok(const struct writer *w);
void writer_u8(struct writer *w, uint8_t v);
void writer_u16(struct writer *w, uint16_t v);
void writer_u32(struct writer *w, uint32_t v);
void writer_u64(struct writer *w, uint64_t v);
void writer_bytes(struct writer *w, const void *data, size_t size);

#endif
