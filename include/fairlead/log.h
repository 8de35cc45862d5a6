/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_LOG_H
#define FAIRLEAD_LOG_H

/*
 * Structured log lines in logfmt on stderr.
 *
 *	log_info("address assigned", KV_S("service", key), KV_S("pool", name));
 *	time=2026-01-02T03:04:05.678Z level=info msg="address assigned" service=shop/web pool=lan
 *
 * Values are quoted when they need it and control characters are escaped, so that no input can
 * forge a line.  Safe from any thread; one write() a line.  The level can be changed while running.
 * Programs log; rooms that are pure return errors instead.
 */

#include <stdbool.h>
#include <stdint.h>

#include "fairlead/err.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log_kv {
	const char *key; /* NULL ends the list */
	bool is_int;     /* the value is @i rather than @s */
	const char *s;
	long long i;
};

/* A string value (NULL prints as an empty one), a signed integer. */
#define KV_S(k, v) ((struct log_kv){ .key = (k), .s = (v) })
#define KV_I(k, v) ((struct log_kv){ .key = (k), .is_int = true, .i = (long long)(v) })

void log_write(enum log_level level, const char *msg, const struct log_kv *kvs);

#define LOG_AT(level, msg, ...)                                                      \
	do {                                                                         \
		if (log_enabled(level))                                              \
			log_write((level), (msg),                                    \
			          (const struct log_kv[]){                           \
					  __VA_ARGS__ __VA_OPT__(, ){ .key = 0 } }); \
	} while (0)
#define log_error(...) LOG_AT(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) LOG_AT(LOG_WARN, __VA_ARGS__)
#define log_info(...) LOG_AT(LOG_INFO, __VA_ARGS__)
#define log_debug(...) LOG_AT(LOG_DEBUG, __VA_ARGS__)

/*
 * What others can cause over and over is logged at most LIMIT_LOG_RATE_LINES times a minute.
 * log_rate_take() says whether it may be logged now and, if so, how many lines have been
 * suppressed; not safe from several threads.
 */
struct log_rate {
	int64_t since_ms;
	unsigned int n; /* lines in the minute from @since_ms on */
	unsigned long long n_left_out;
};
bool log_rate_take(struct log_rate *r, int64_t now_ms, unsigned long long *ret_left_out);

/* Logs an error value at the level its blame calls for: "MSG" error="…" blame=…. */
void log_err(const char *msg, const struct err *e);

bool log_enabled(enum log_level level);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* "error", "warn", "info", "debug" (also "warning", "all"); -EINVAL for anything else. */
int log_level_parse(const char *s, enum log_level *ret_level);
const char *log_level_name(enum log_level level);
/* Where lines go; stderr until it is called.  For tests. */
void log_set_fd(int fd);

#endif
