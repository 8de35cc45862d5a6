/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "scanner.h"

#include <errno.h>
#include <string.h>

/*
 * One pass, one byte at a time, no look-ahead: strings with their escapes are skipped, brackets counted.  At depth 1 the
 * keys are read; inside "items" whatever opens at depth 2 is captured until it closes.  Bytes between are copied in
 * runs.  Bracket kinds are checked down to 64 levels; deeper ones are only counted, as the parser that gets
 * the object refuses it anyway.
 */

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
}

/* Adds a run to @b, of at most @max bytes in all; false if it did not fit. */
static bool add_bounded(struct buf *b, const char *data, size_t size, size_t max)
{
	size_t room = max - b->size;
	if (size)
		buf_add(b, data, size < room ? size : room);
	return size <= room;
}

static void capture_run(struct scanner *s, const char *data, size_t size)
{
	size_t max = s->member == SCANNER_METADATA ? METADATA_SIZE_MAX : s->max;
	if (!add_bounded(&s->capture, data, size, max))
		s->cut_short = true;
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
		go_on = s->cb(s->capture.data, s->capture.size, s->cut_short, s->arg);
	}
	reset_capture(&s->capture);
	return go_on;
}

static void end_key(struct scanner *s)
{
	s->in_key = false;
	s->member = SCANNER_OTHER;
	if (s->key_len == 5 && memcmp(s->key, "items", 5) == 0)
		s->member = SCANNER_ITEMS;
	else if (s->key_len == 8 && memcmp(s->key, "metadata", 8) == 0)
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
	return s->cb("null", 4, false, s->arg);
}

/* Returns true where a capture starts with this bracket. */
static bool open_bracket(struct scanner *s, char c)
{
	if (s->depth == 0 && (c != '{' || s->complete)) {
		s->bad = true;
		return false;
	}
	s->kind = s->kind << 1 | (c == '{');
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
	if (s->depth == 0 || (s->depth <= 64 && (s->kind & 1) != (c == '}'))) {
		s->bad = true;
		return false;
	}
	s->kind >>= 1;
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
}

static bool end_line(struct lines *l, const char *data, size_t size)
{
	bool go_on = true;
	while (size > 0 && (data[size - 1] == '\r' || data[size - 1] == ' '))
		size--;
	if (size > 0)
		go_on = l->cb(data, size, l->cut_short, l->arg);
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
			l->cut_short |= !add_bounded(&l->line, data, n, l->max);
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

/* The string that starts at @data + @i (behind its quote) compared with and copied as needed; returns where it ends. */
static size_t skip_string(const char *data, size_t size, size_t i)
{
	for (; i < size && data[i] != '"'; i++)
		if (data[i] == '\\')
			i++;
	return i;
}

static bool is_text(const char *data, size_t from, size_t to, const char *text)
{
	return to - from == strlen(text) && memcmp(data + from, text, to - from) == 0;
}

void scanner_find_meta(const char *data, size_t size, const char *key, char *out, size_t out_size)
{
	unsigned int depth = 0, meta_depth = 0 /* in "metadata" while depth is this */, base = 1;
	size_t key_from = 0, key_to = 0;
	bool have_key = false;
	*out = '\0';
	for (size_t i = 0; i < size; i++) {
		char c = data[i];
		if (c == '"') {
			size_t end = skip_string(data, size, i + 1);
			bool wanted = have_key && depth == meta_depth && meta_depth &&
			              is_text(data, key_from, key_to, key);
			if (end >= size)
				return;
			if (wanted && end - i - 1 < out_size) {
				memcpy(out, data + i + 1, end - i - 1);
				out[end - i - 1] = '\0';
				return;
			}
			if (!have_key) {
				key_from = i + 1;
				key_to = end;
			}
			i = end;
		} else if (c == ':') {
			have_key = true;
		} else if (c == '{' || c == '[') {
			depth++;
			if (c == '{' && have_key && depth == base + 1) {
				if (is_text(data, key_from, key_to, "metadata"))
					meta_depth = depth;
				else if (base == 1 && is_text(data, key_from, key_to, "object"))
					base = 2;
			}
			have_key = false;
		} else if (c == '}' || c == ']') {
			if (depth == meta_depth)
				meta_depth = 0;
			if (depth-- == 0)
				return;
			have_key = false;
		} else if (c == ',') {
			have_key = false;
		}
	}
}
