/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

void buf_fini(struct buf *b)
{
	free(b->data);
	*b = (struct buf)BUF_INIT;
}

void buf_clear(struct buf *b)
{
	b->size = 0;
	if (b->data)
		b->data[0] = '\0';
}

char *buf_reserve(struct buf *b, size_t extra)
{
	ARRAY_RESERVE(b->data, b->cap, b->size + extra + 1);
	return b->data + b->size;
}

void buf_advance(struct buf *b, size_t size)
{
	b->size += size;
	b->data[b->size] = '\0';
}

void buf_add(struct buf *b, const void *data, size_t size)
{
	char *to = buf_reserve(b, size);

	if (size)
		memcpy(to, data, size);
	buf_advance(b, size);
}

void buf_puts(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_putc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;

	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n <= 0)
		return;
	char *to = buf_reserve(b, (size_t)n);
	vsnprintf(to, (size_t)n + 1, fmt, ap);
	buf_advance(b, (size_t)n);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

/* Length of the UTF-8 sequence at @s (RFC 3629), 0 if it is not one. */
static size_t utf8_sequence_size(const unsigned char *s)
{
	size_t n;
	unsigned char low = 0x80, high = 0xbf;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf) {
		n = 2;
	} else if (s[0] >= 0xe0 && s[0] <= 0xef) {
		n = 3;
		if (s[0] == 0xe0)
			low = 0xa0; /* overlong */
		if (s[0] == 0xed)
			high = 0x9f; /* surrogates */
	} else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		n = 4;
		if (s[0] == 0xf0)
			low = 0x90;
		if (s[0] == 0xf4)
			high = 0x8f; /* beyond U+10FFFF */
	} else {
		return 0;
	}
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return n;
}

void buf_mend(char *s)
{
	while (*s) {
		size_t n = utf8_sequence_size((unsigned char *)s);
		if (n == 0)
			*s = '?';
		s += n ? n : 1;
	}
}

void buf_json_str(struct buf *b, const char *s)
{
	if (!s) {
		buf_puts(b, "null");
		return;
	}
	buf_putc(b, '"');
	for (const unsigned char *p = (const unsigned char *)s; *p;) {
		size_t n = utf8_sequence_size(p), control = buf_control_len((const char *)p);
		if (n == 0) {
			buf_puts(b, "\\ufffd");
			p++;
		} else if (control) {
			/*
			 * Of two bytes, those of C1, the second one is the number of the character.
			 */
			buf_printf(b, "\\u%04x", p[control - 1]);
			p += control;
		} else if (n > 1) {
			buf_add(b, p, n);
			p += n;
		} else {
			if (*p == '"' || *p == '\\')
				buf_printf(b, "\\%c", *p);
			else
				buf_putc(b, (char)*p);
			p++;
		}
	}
	buf_putc(b, '"');
}

size_t buf_control_len(const char *s)
{
	const unsigned char *u = (const unsigned char *)s;

	if (u[0] == 0xc2 && u[1] >= 0x80 && u[1] < 0xa0)
		return 2;
	return (u[0] && u[0] < ' ') || u[0] == 0x7f;
}

void buf_plain(char *s)
{
	char *to = s;

	while (*s) {
		size_t n = utf8_sequence_size((const unsigned char *)s),
		       control = buf_control_len(s);
		if (n == 0 || control) {
			*to++ = '?';
			s += control ? control : 1;
			continue;
		}
		memmove(to, s, n);
		to += n;
		s += n;
	}
	*to = '\0';
}

void buf_consume(struct buf *b, size_t size)
{
	if (size >= b->size) {
		buf_clear(b);
		return;
	}
	memmove(b->data, b->data + size, b->size - size + 1);
	b->size -= size;
}

const char *buf_str(const struct buf *b)
{
	return b->data ? b->data : "";
}

char *buf_take(struct buf *b)
{
	char *s = b->data ? b->data : xstrdup("");

	*b = (struct buf)BUF_INIT;
	return s;
}
