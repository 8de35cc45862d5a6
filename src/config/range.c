/* SPDX-License-Identifier: Apache-2.0 */
/* One entry of addresses: a CIDR or a range, and in words what is wrong with one. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/parse.h"
#include "fairlead/mem.h"

static void trim(char *s)
{
	size_t n = strlen(s), lead = strspn(s, " \t");

	memmove(s, s + lead, n - lead + 1);
	for (n -= lead; n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t'); n--)
		s[n - 1] = '\0';
}

#define NO_END "\"%.64s\" is no IP address; write a range such as 192.0.2.10-192.0.2.20"

/* "FIRST-LAST"; what is wrong goes to @why. */
static bool parse_ends(const char *s, const char *dash, struct addr_range *ret,
                       char why[static 256])
{
	cleanup_free char *first = xstrndup(s, (size_t)(dash - s));
	cleanup_free char *last = xstrdup(dash + 1);

	trim(first);
	trim(last);
	if (addr_parse(first, &ret->first) < 0) {
		snprintf(why, 256, NO_END, first);
		return false;
	}
	if (addr_parse(last, &ret->last) < 0) {
		snprintf(why, 256, NO_END, last);
		return false;
	}
	if (ret->first.family != ret->last.family) {
		snprintf(why, 256, "the range mixes IPv4 and IPv6; write one range for each");
		return false;
	}
	if (addr_cmp(&ret->first, &ret->last) > 0) {
		snprintf(why, 256, "the range ends before it starts; write %s-%s",
		         addr_str(&ret->last), addr_str(&ret->first));
		return false;
	}
	return true;
}

/* Which part of "ADDRESS/LENGTH" is wrong. */
static void blame_prefix(const char *s, const char *slash, char why[static 256])
{
	cleanup_free char *first = xstrndup(s, (size_t)(slash - s));
	struct addr a;

	if (addr_parse(first, &a) < 0)
		snprintf(why, 256, "\"%.64s\" is no IP address; write a CIDR such as 192.0.2.0/24",
		         first);
	else
		snprintf(why, 256, "\"%.64s\" is no prefix length; write a number from 0 to %u",
		         slash + 1, addr_bits(&a));
}

/*
 * The dash of what was to be a range, whatever is wrong with it; a CIDR has none before its slash.
 */
static const char *dash_of(const char *s)
{
	const char *dash = strchr(s, '-'), *slash = strchr(s, '/');

	return dash && (!slash || dash < slash) ? dash : NULL;
}

static bool parse_text_range(const char *s, struct addr_range *ret, char why[static 256])
{
	struct addr a;
	struct prefix p;
	const char *dash = dash_of(s), *slash = strchr(s, '/');

	if (dash)
		return parse_ends(s, dash, ret, why);
	if (addr_parse(s, &a) == 0) {
		snprintf(why, 256, "%s is a single address; write %s/%u or %s-%s", s, addr_str(&a),
		         addr_bits(&a), addr_str(&a), addr_str(&a));
		return false;
	}
	if (prefix_parse(s, false, &p) < 0 && slash) {
		blame_prefix(s, slash, why);
		return false;
	}
	if (!slash) {
		snprintf(why, 256,
		         "write a CIDR such as 192.0.2.0/24 or a range such as "
		         "192.0.2.10-192.0.2.20");
		return false;
	}
	*ret = prefix_range(&p);
	return true;
}

bool range_parse(struct schema_ctx *x, const struct ynode *node, struct addr_range *ret_range)
{
	char why[256];
	const char *s = schema_text(x, node);

	if (!s)
		return false;
	if (parse_text_range(s, ret_range, why))
		return true;
	schema_error(x, node->line, "invalid %s \"%.100s\": %s", dash_of(s) ? "range" : "CIDR", s,
	             why);
	return false;
}
