/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_BUF_H
#define FAIRLEAD_BUF_H

/*
 * A growing byte string, always followed by a NUL that is not counted.
 *
 *	cleanup(buf_fini) struct buf b = BUF_INIT;
 *	buf_printf(&b, "%d", 42);
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data;  /* NULL only while nothing was ever added; use buf_str() for a C string */
	size_t size; /* bytes in use */
	size_t cap;  /* bytes allocated */
};

#define BUF_INIT                                  \
	{                                         \
		.data = NULL, .size = 0, .cap = 0 \
	}

void buf_fini(struct buf *b);
/* Empties the buffer and keeps its memory. */
void buf_clear(struct buf *b);
/* Makes room for @extra more bytes and returns where they go; add them with buf_advance(). */
char *buf_reserve(struct buf *b, size_t extra);
void buf_advance(struct buf *b, size_t size);
void buf_add(struct buf *b, const void *data, size_t size);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/*
 * Adds @s as a JSON string with its quotes (RFC 8259); bytes that are not UTF-8 become U+FFFD, and
 * every control character is escaped, so that the text may go to a terminal.  NULL: null.
 */
void buf_json_str(struct buf *b, const char *s);
/*
 * How many bytes the control character at @s takes, those of C1 (U+0080 to U+009F) included; 0:
 * there is none.
 */
size_t buf_control_len(const char *s);
/*
 * Replaces every control character, and each byte that is not UTF-8, by '?', so that text from
 * others can go to a terminal, or into one line: in another encoding such bytes may be control
 * characters.
 */
void buf_plain(char *s);
/*
 * Replaces each byte that is not UTF-8 by '?', so that a JSON string made of it reads back the
 * same.
 */
void buf_mend(char *s);
/* Drops the first @size bytes. */
void buf_consume(struct buf *b, size_t size);
/* The text, "" if there is none; valid until the next change. */
const char *buf_str(const struct buf *b);
/* Hands the memory (a C string) to the caller and leaves the buffer empty. */
char *buf_take(struct buf *b);

#endif
