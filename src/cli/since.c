/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/since.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/clock.h"
#include "fairlead/mem.h"

/* Ten years, which no journal is longer than. */
#define SINCE_MAX_S 315360000

static int parse_duration(const char *s, int64_t *ret_s)
{
	static const struct {
		char unit;
		int seconds;
	} units[] = { { '\0', 1 },   { 's', 1 },     { 'm', 60 },
		      { 'h', 3600 }, { 'd', 86400 }, { 'w', 604800 } };
	char *end;
	unsigned long n = *s >= '0' && *s <= '9' ? strtoul(s, &end, 10) : 0;

	for (size_t i = 0; n > 0 && n <= SINCE_MAX_S && i < ARRAY_LEN(units); i++)
		if (*end == units[i].unit && (!*end || !end[1]) &&
		    n <= (unsigned long)(SINCE_MAX_S / units[i].seconds)) {
			*ret_s = (int64_t)n * units[i].seconds;
			return 0;
		}
	return -EINVAL;
}

static int parse_date(const char *s, int64_t *ret_us)
{
	cleanup_free char *midnight = xasprintf("%.32sT00:00:00Z", s);

	return clock_parse_rfc3339(strchr(s, 'T') ? s : midnight, ret_us);
}

int since_parse(const char *s, int64_t now_us, int64_t *ret_us, struct err *e)
{
	int64_t n;

	if (parse_duration(s, &n) == 0)
		*ret_us = now_us - n * 1000000;
	else if (parse_date(s, &n) == 0 && n <= now_us)
		*ret_us = n;
	else if (parse_date(s, &n) == 0)
		return err_set(e, -EINVAL, ERR_CONFIG, "--since %.50s is still to come", s);
	else
		return err_set(e, -EINVAL, ERR_CONFIG,
		               "--since \"%.50s\": it is a number with s, m, h, d or w, as in 2h, "
		               "or a date, as in 2026-11-20",
		               s);
	return 0;
}
