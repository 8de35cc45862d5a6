/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass, one byte at a time, no look-ahead: strings with their escapes are skipped, brackets
 * counted.  At depth 1 the keys are read; inside "items" whatever opens at depth 2 is captured
 * until it closes.  Bytes between are copied in runs.  Bracket kinds are checked down to 64 levels;
 * deeper ones are only counted: the parser that gets the object sees to them.
 */
#include "config.h"

#include "kube/scanner.h"

#include <errno.h>
#include <string.h>

/* A page's own metadata: resourceVersion and continue token. */
#define METADATA_SIZE_MAX (256u << 10)
/* Memory for objects larger than this is given back after each. */
#define KEEP_BYTES 16384u

static void reset_capture(struct buf *b)
{
	if (b->cap > KEEP_BYTES)
		buf_fini(b);
	else
		buf_clear(b);
}

void scanner_init(struct scanner *s, scanner_cb *cb, void *arg)
{
	*s = (struct scanner){ .cb = cb, .arg = arg, .max = SCANNER_OBJECT_SIZE_MAX };
}

void scanner_fini(struct scanner *s)
{
	buf_fini(&s->capture);
	buf_fini(&s->metadata);
	outline_fini(&s->outline);
}

/*
 * Adds a run to @b, of at most @max bytes in all.  What does not fit goes into @outline alone, with
 * all that came before it; *@cut_short says that this has begun.
 */
static void add_bounded(struct buf *b, const char *data, size_t size, size_t max, bool *cut_short,
                        struct outline *outline, bool event)
{
	size_t room = max - b->size, fits = size < room ? size : room;

	if (fits)
		buf_add(b, data, fits);
	if (fits < size && !*cut_short) {
		*cut_short = true;
		outline_fini(outline);
		outline_of(outline, event, b->data, b->size);
	}
	if (*cut_short)
		outline_feed(outline, data + fits, size - fits);
}

static void capture_run(struct scanner *s, const char *data, size_t size)
{
	size_t max = s->member == SCANNER_METADATA ? METADATA_SIZE_MAX : s->max;

	add_bounded(&s->capture, data, size, max, &s->cut_short, &s->outline, false);
}

static bool end_capture(struct scanner *s)
{
	bool go_on = true;

	s->capturing = false;
	if (s->member == SCANNER_METADATA) {
		/* The last one wins, as in the parser; one that is too large is as good as none. */
		buf_clear(&s->metadata);
		if (!s->cut_short)
			buf_add(&s->metadata, s->capture.data, s->capture.size);
	} else {
		go_on = s->cb(s->capture.data, s->capture.size, s->cut_short ? &s->outline : NULL,
		              s->arg);
	}
	reset_capture(&s->capture);
	return go_on;
}

static void end_key(struct scanner *s)
{
	s->in_key = false;
	s->member = SCANNER_OTHER;
	if (s->key_len == 5 && !memcmp(s->key, "items", 5))
		s->member = SCANNER_ITEMS;
	else if (s->key_len == 8 && !memcmp(s->key, "metadata", 8))
		s->member = SCANNER_METADATA;
}

static void string_byte(struct scanner *s, char c)
{
	if (s->escaped) {
		s->escaped = false;
	} else if (c == '\\') {
		s->escaped = true;
	} else if (c == '"') {
		s->in_string = false;
		if (s->in_key)
			end_key(s);
		return;
	}
	if (s->in_key && s->key_len < sizeof(s->key))
		s->key[s->key_len++] = c;
}

/* An element of "items" that is no object: a string, a number, null. */
static bool end_stray(struct scanner *s)
{
	if (!s->stray_item)
		return true;
	s->stray_item = false;
	return s->cb("null", 4, NULL, s->arg);
}

/* Returns true where a capture starts with this bracket. */
static bool open_bracket(struct scanner *s, char c)
{
	if (s->depth == 0 && (c != '{' || s->complete)) {
		s->bad = true;
		return false;
	}
	if (s->depth < 64) {
		uint64_t bit = (uint64_t)1 << s->depth;
		s->maps = c == '{' ? s->maps | bit : s->maps & ~bit;
	}
	s->depth++;
	if (s->depth == 1)
		s->expect_key = true;
	if (s->depth == 2 && s->member == SCANNER_ITEMS && c != '[')
		s->bad = true;
	if (s->capturing)
		return false;
	return (s->depth == 2 && c == '{' && s->member == SCANNER_METADATA) ||
	       (s->depth == 3 && s->member == SCANNER_ITEMS);
}

/* Returns true where a capture ends with this bracket. */
static bool close_bracket(struct scanner *s, char c)
{
	if (s->depth == 0 || (s->depth <= 64 && (s->maps >> (s->depth - 1) & 1) != (c == '}'))) {
		s->bad = true;
		return false;
	}
	s->depth--;
	if (s->depth == 0)
		s->complete = true;
	return s->capturing && s->depth == (s->member == SCANNER_METADATA ? 1 : 2);
}

static void plain_byte(struct scanner *s, char c)
{
	bool blank = c == ' ' || c == '\t' || c == '\r' || c == '\n';

	if (s->depth == 0 && !blank)
		s->bad = true;
	else if (s->depth == 1 && c == ',')
		s->expect_key = true;
	else if (s->depth == 2 && s->member == SCANNER_ITEMS && !blank && c != ',')
		s->stray_item = true;
}

static void open_string(struct scanner *s)
{
	s->in_string = true;
	if (s->depth == 0)
		s->bad = true;
	if (s->depth == 1 && s->expect_key) {
		s->expect_key = false;
		s->in_key = true;
		s->key_len = 0;
	}
	if (s->depth == 2 && s->member == SCANNER_ITEMS)
		s->stray_item = true;
}

int scanner_feed(struct scanner *s, const char *data, size_t size)
{
	size_t from = 0; /* where the run to capture starts */

	for (size_t i = 0; i < size && !s->bad; i++) {
		char c = data[i];
		if (s->in_string) {
			string_byte(s, c);
		} else if (c == '"') {
			open_string(s);
		} else if (c == '{' || c == '[') {
			if (open_bracket(s, c)) {
				s->capturing = true;
				s->cut_short = false;
				from = i;
			}
		} else if (c == '}' || c == ']') {
			if (close_bracket(s, c)) {
				capture_run(s, data + from, i + 1 - from);
				if (!end_capture(s))
					return -ECANCELED;
			} else if (s->depth == 1 && !end_stray(s)) {
				return -ECANCELED;
			}
		} else {
			plain_byte(s, c);
			if (c == ',' && s->depth == 2 && !end_stray(s))
				return -ECANCELED;
		}
	}
	if (s->capturing && !s->bad)
		capture_run(s, data + from, size - from);
	return s->bad ? -EINVAL : 0;
}

bool scanner_complete(const struct scanner *s)
{
	return s->complete && !s->bad;
}

void lines_init(struct lines *l, scanner_cb *cb, void *arg)
{
	*l = (struct lines){ .cb = cb, .arg = arg, .max = SCANNER_OBJECT_SIZE_MAX };
}

void lines_fini(struct lines *l)
{
	buf_fini(&l->line);
	outline_fini(&l->outline);
}

static bool end_line(struct lines *l, const char *data, size_t size)
{
	bool go_on = true;

	while (size > 0 && (data[size - 1] == '\r' || data[size - 1] == ' '))
		size--;
	if (size > 0)
		go_on = l->cb(data, size, l->cut_short ? &l->outline : NULL, l->arg);
	l->cut_short = false;
	reset_capture(&l->line);
	return go_on;
}

int lines_feed(struct lines *l, const char *data, size_t size)
{
	while (size > 0) {
		const char *newline = memchr(data, '\n', size);
		size_t n = newline ? (size_t)(newline - data) : size;
		bool go_on = true;
		if (newline && l->line.size == 0 && n <= l->max) {
			/* The whole line is here: no need to copy it. */
			go_on = end_line(l, data, n);
		} else {
			add_bounded(&l->line, data, n, l->max, &l->cut_short, &l->outline, true);
			if (newline)
				go_on = end_line(l, l->line.data, l->line.size);
		}
		if (!go_on)
			return -ECANCELED;
		data += n + (newline != NULL);
		size -= n + (newline != NULL);
	}
	return 0;
}
