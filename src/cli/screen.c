/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/screen.h"

#include <stdbool.h>
#include <string.h>

#define HOME "\033[H"
#define ERASE_LINE "\033[K"
#define ERASE_BELOW "\033[J"

/* Characters that are seen: neither a colour's nor those inside of UTF-8. */
static size_t width_of(const char *line, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (line[i] == '\033') {
			while (i < len && line[i] != 'm')
				i++;
			continue;
		}
		n += ((unsigned char)line[i] & 0xc0) != 0x80;
	}
	return n;
}

/* How many rows it fills; *ret_full: to the last column, behind which nothing is to be erased. */
static size_t rows_of(const char *line, size_t len, size_t columns, bool *ret_full)
{
	size_t width = width_of(line, len);

	*ret_full = columns && width && width % columns == 0;
	return columns && width > columns ? (width + columns - 1) / columns : 1;
}

static size_t count_rows(const char *text, size_t columns, size_t *ret_lines)
{
	size_t n = 0, lines = 0;
	bool full;

	for (; *text; text += strcspn(text, "\n") + 1, lines++)
		n += rows_of(text, strcspn(text, "\n"), columns, &full);
	*ret_lines = lines;
	return n;
}

void screen_draw(const char *text, size_t rows, size_t columns, struct buf *out)
{
	size_t left, used = 0;
	bool fits = count_rows(text, columns, &left) < rows || !rows, full;

	buf_puts(out, HOME);
	for (; *text; left--) {
		size_t len = strcspn(text, "\n");
		used += rows_of(text, len, columns, &full);
		if (!fits && used >= rows)
			break;
		buf_add(out, text, len);
		/* At the last column it would take the character that was just written. */
		buf_puts(out, full ? "\n" : ERASE_LINE "\n");
		text += len + 1;
	}
	if (left)
		buf_printf(out, "… %zu more lines" ERASE_LINE, left);
	buf_puts(out, ERASE_BELOW);
}
