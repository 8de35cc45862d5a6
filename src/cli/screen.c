/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/screen.h"

#include <string.h>

#define HOME "\033[H"
#define ERASE_LINE "\033[K"
#define ERASE_BELOW "\033[J"

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

void screen_draw(const char *text, size_t rows, struct buf *out)
{
	size_t n = count_lines(text), shown = rows && n >= rows ? rows - 1 : n;

	buf_puts(out, HOME);
	for (size_t i = 0; i < shown; i++) {
		size_t len = strcspn(text, "\n");
		buf_add(out, text, len);
		buf_puts(out, ERASE_LINE "\n");
		text += len + 1;
	}
	if (shown < n)
		buf_printf(out, "… %zu more lines" ERASE_LINE, n - shown);
	buf_puts(out, ERASE_BELOW);
}
