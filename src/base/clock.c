/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

int64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t clock_ms(void)
{
	return clock_ns() / 1000000;
}

int64_t clock_wall_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static const char *format(int64_t wall_us, bool micro, char *out)
{
	time_t seconds = (time_t)(wall_us / 1000000);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	size_t n = strftime(out, CLOCK_RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	if (micro)
		snprintf(out + n, CLOCK_RFC3339_SIZE - n, ".%06dZ", (int)(wall_us % 1000000));
	else
		snprintf(out + n, CLOCK_RFC3339_SIZE - n, "Z");
	return out;
}

const char *clock_rfc3339(int64_t wall_us, char out[static CLOCK_RFC3339_SIZE])
{
	return format(wall_us, false, out);
}

const char *clock_rfc3339_micro(int64_t wall_us, char out[static CLOCK_RFC3339_SIZE])
{
	return format(wall_us, true, out);
}

/* The offset "Z" or "+hh:mm" in seconds; -EINVAL. */
static int parse_offset(const char *s, int *ret_seconds)
{
	int h, m, used = 0;

	if (!strcmp(s, "Z")) {
		*ret_seconds = 0;
		return 0;
	}
	if ((*s != '+' && *s != '-') || sscanf(s + 1, "%2d:%2d%n", &h, &m, &used) != 2 ||
	    s[1 + used])
		return -EINVAL;
	*ret_seconds = (h * 3600 + m * 60) * (*s == '-' ? -1 : 1);
	return 0;
}

int clock_parse_rfc3339(const char *s, int64_t *ret_wall_us)
{
	struct tm tm = { 0 };
	const char *rest = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);

	if (!rest)
		return -EINVAL;
	int64_t fraction_us = 0;
	if (*rest == '.') {
		int64_t unit = 100000;
		for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10)
			fraction_us += (*rest - '0') * unit;
	}
	int offset;
	if (parse_offset(rest, &offset) < 0)
		return -EINVAL;
	*ret_wall_us = ((int64_t)timegm(&tm) - offset) * 1000000 + fraction_us;
	return 0;
}

void clock_random(void *out, size_t size)
{
	char *p = out;

	while (size > 0) {
		ssize_t n = getrandom(p, size, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			abort(); /* Linux has had getrandom since 3.17. */
		p += n;
		size -= (size_t)n;
	}
}

uint64_t clock_random_below(uint64_t bound)
{
	uint64_t r;

	if (bound == 0)
		return 0;
	/* Reject the incomplete last stretch, so that every value is equally likely. */
	uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
	do
		clock_random(&r, sizeof(r));
	while (r >= limit);
	return r % bound;
}
