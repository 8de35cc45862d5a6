/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "yaml/yproblem.h"

#include <string.h>

const char *yproblem_skip_mark(const char *text, size_t *size)
{
	static const char mark[] = "\xef\xbb\xbf";

	if (*size < strlen(mark) || memcmp(text, mark, strlen(mark)) != 0)
		return text;
	*size -= strlen(mark);
	return text + strlen(mark);
}

static unsigned int lines_before(const char *text, size_t n)
{
	unsigned int lines = 0;

	for (size_t i = 0; i < n; i++)
		lines += text[i] == '\n';
	return lines;
}

/* Where the parser stands; its marks count characters.  NULL behind the end. */
static const char *place_of(const yaml_mark_t *mark, const char *text, size_t size)
{
	size_t chars = 0;

	for (size_t i = 0; i < size; i++)
		if (((unsigned char)text[i] & 0xc0) != 0x80 && chars++ == mark->index)
			return text + i;
	return NULL;
}

unsigned int yproblem_text(const yaml_parser_t *parser, const char *text, size_t size,
                           struct buf *out)
{
	const char *problem = parser->problem ? parser->problem : "unreadable";
	const char *place = place_of(&parser->problem_mark, text, size);

	buf_puts(out, "not YAML: ");
	if (parser->error == YAML_READER_ERROR) { /* this one has an offset, and no mark */
		size_t at = parser->problem_offset < size ? parser->problem_offset : size;
		buf_printf(out, "%s%s", problem,
		           strstr(problem, "UTF-8") ? "; write the file in UTF-8" : "");
		return lines_before(text, at) + 1;
	}
	if (parser->context)
		buf_printf(out, "%s, ", parser->context);
	buf_puts(out, problem);
	if (place && *place == '\t')
		buf_puts(out, "; indent with blanks, not with a tab");
	else if (place && strstr(problem, "cannot start any token") && *place > ' ' &&
	         *place < 0x7f)
		buf_printf(out, ": %c; write the text in quotes", *place);
	return (unsigned int)parser->problem_mark.line + 1;
}
