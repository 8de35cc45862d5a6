/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/since.h"

#include <errno.h>
#include <stdlib.h>

#include "fairlead/mem.h"

#define SINCE_MAX_S 31536000

int since_parse(const char *s, int64_t *ret_s, struct err *e)
{
	static const struct {
		char unit;
		int seconds;
	} units[] = { { '\0', 1 }, { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	char *end;
	unsigned long n = *s >= '0' && *s <= '9' ? strtoul(s, &end, 10) : 0;

	for (size_t i = 0; n > 0 && n <= SINCE_MAX_S && i < ARRAY_LEN(units); i++)
		if (*end == units[i].unit && (!*end || !end[1]) &&
		    n <= (unsigned long)(SINCE_MAX_S / units[i].seconds)) {
			*ret_s = (int64_t)n * units[i].seconds;
			return 0;
		}
	return err_set(e, -EINVAL, ERR_CONFIG,
	               "--since \"%.50s\": it is a number with s, m, h or d, as in 2h", s);
}
