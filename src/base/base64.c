/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/base64.h"

#include <errno.h>
#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const void *data, size_t size, struct buf *out)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < size; i += 3) {
		size_t left = size - i;
		uint32_t bits = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
		                (left > 2 ? p[i + 2] : 0);
		buf_putc(out, alphabet[bits >> 18]);
		buf_putc(out, alphabet[bits >> 12 & 63]);
		buf_putc(out, left > 1 ? alphabet[bits >> 6 & 63] : '=');
		buf_putc(out, left > 2 ? alphabet[bits & 63] : '=');
	}
}

static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int base64_decode(const char *s, struct buf *out)
{
	uint32_t bits = 0;
	int n = 0, pad = 0;

	for (; *s; s++) {
		if (*s == '\n' || *s == '\r')
			continue;
		int v = value_of(*s);
		if (*s == '=' ? ++pad > 2 : v < 0 || pad)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)(v < 0 ? 0 : v);
		if (++n % 4)
			continue;
		for (int i = 0; i < 3 - pad; i++)
			buf_putc(out, (char)(bits >> (16 - 8 * i)));
		bits = 0;
	}
	return n % 4 == 0 ? 0 : -EINVAL;
}
