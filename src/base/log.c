/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fairlead/clock.h"
#include "fairlead/limits.h"

/*
 * One line is built on the stack and written at once, so that lines of several threads never mix.
 */
#define LOG_LINE_SIZE 4096
#define LOG_RATE_PERIOD_MS 60000

static _Atomic int current_level = LOG_INFO;
static _Atomic int log_fd = STDERR_FILENO;

static const char *const level_names[] = {
	[LOG_ERROR] = "error",
	[LOG_WARN] = "warn",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

/*
 * What always fits behind a line that is full: the quote of its last value, a word that says so,
 * and the newline.
 */
#define LOG_CUT " cut=true"
#define LOG_RESERVE (sizeof("\"" LOG_CUT "\n") - 1)

struct line {
	char text[LOG_LINE_SIZE];
	size_t size;
	bool full;
};

/* All of @s or nothing, so that no escape is cut in two; what is full stays full. */
static void line_puts(struct line *l, const char *s)
{
	size_t size = strlen(s);

	if (l->full || l->size + size > sizeof(l->text) - LOG_RESERVE) {
		l->full = true;
		return;
	}
	memcpy(l->text + l->size, s, size);
	l->size += size;
}

static void line_putc(struct line *l, char c)
{
	line_puts(l, (const char[]){ c, '\0' });
}

/* Into the room that is kept for the end of a line. */
static void line_end(struct line *l, const char *s)
{
	memcpy(l->text + l->size, s, strlen(s));
	l->size += strlen(s);
}

static bool is_plain(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == '"' || *s == '=' || *s == '\\' || *s == 0x7f)
			return false;
	return true;
}

static void line_put_value(struct line *l, const char *s)
{
	if (is_plain(s)) {
		while (*s && !l->full)
			line_putc(l, *s++);
		return;
	}
	line_putc(l, '"');
	if (l->full)
		return;
	for (; *s && !l->full; s++) {
		unsigned char c = (unsigned char)*s;
		char esc[8];
		if (c == '"' || c == '\\') {
			line_puts(l, c == '"' ? "\\\"" : "\\\\");
		} else if (c == '\n') {
			line_puts(l, "\\n");
		} else if (c < ' ' || c == 0x7f) {
			snprintf(esc, sizeof(esc), "\\x%02x", c);
			line_puts(l, esc);
		} else {
			line_putc(l, (char)c);
		}
	}
	line_end(l, "\"");
}

void log_write(enum log_level level, const char *msg, const struct log_kv *kvs)
{
	struct line l = { .size = 0 };
	char stamp[CLOCK_RFC3339_SIZE], number[24], key[64];

	line_puts(&l, "time=");
	line_puts(&l, clock_rfc3339_micro(clock_wall_us(), stamp));
	line_puts(&l, " level=");
	line_puts(&l, level_names[level]);
	line_puts(&l, " msg=");
	line_put_value(&l, msg);
	for (; kvs->key && !l.full; kvs++) {
		snprintf(key, sizeof(key), " %s=", kvs->key);
		line_puts(&l, key);
		if (l.full)
			break;
		if (kvs->is_int) {
			snprintf(number, sizeof(number), "%lld", kvs->i);
			line_puts(&l, number);
		} else {
			line_put_value(&l, kvs->s ? kvs->s : "");
		}
	}
	line_end(&l, l.full ? LOG_CUT "\n" : "\n");
	/* Nobody is left to tell when the log itself cannot be written. */
	while (write(log_fd, l.text, l.size) < 0 && errno == EINTR)
		;
}

void log_err(const char *msg, const struct err *e)
{
	enum log_level level = e->blame == ERR_CONFIG ? LOG_WARN : LOG_ERROR;

	if (e->blame == ERR_REMOTE)
		level = LOG_WARN;
	LOG_AT(level, msg, KV_S("error", e->msg), KV_S("blame", err_blame_name(e->blame)));
}

bool log_rate_take(struct log_rate *r, int64_t now_ms, unsigned long long *ret_left_out)
{
	if (!r->n || now_ms - r->since_ms >= LOG_RATE_PERIOD_MS) {
		r->since_ms = now_ms;
		r->n = 0;
	}
	if (r->n == LIMIT_LOG_RATE_LINES) {
		r->n_left_out++;
		return false;
	}
	r->n++;
	*ret_left_out = r->n_left_out;
	r->n_left_out = 0;
	return true;
}

bool log_enabled(enum log_level level)
{
	return (int)level <= current_level;
}

void log_set_level(enum log_level level)
{
	current_level = (int)level;
}

enum log_level log_get_level(void)
{
	return (enum log_level)current_level;
}

int log_level_parse(const char *s, enum log_level *ret_level)
{
	static const struct {
		const char *name;
		enum log_level level;
	} names[] = {
		{ "error", LOG_ERROR }, { "warn", LOG_WARN },   { "warning", LOG_WARN },
		{ "info", LOG_INFO },   { "debug", LOG_DEBUG }, { "all", LOG_DEBUG },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(s, names[i].name)) {
			*ret_level = names[i].level;
			return 0;
		}
	return -EINVAL;
}

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

void log_set_fd(int fd)
{
	log_fd = fd;
}
