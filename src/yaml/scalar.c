/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/ytree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

static bool one_of(const char *s, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(s, words[i]))
			return true;
	return false;
}

bool ynode_is_null(const struct ynode *node)
{
	static const char *const words[] = { "", "~", "null", "Null", "NULL" };
	return node->kind == YNODE_SCALAR && !node->quoted &&
	       one_of(node->text, words, ARRAY_LEN(words));
}

int ynode_bool(const struct ynode *node, bool *ret_value)
{
	static const char *const yes[] = { "y",    "Y",    "yes",  "Yes", "YES", "on",
		                           "true", "True", "TRUE", "On",  "ON" };
	static const char *const no[] = { "n",     "N",     "no",    "No",  "NO", "off",
		                          "false", "False", "FALSE", "Off", "OFF" };
	if (node->kind != YNODE_SCALAR || node->quoted)
		return -EINVAL;
	bool is_yes = one_of(node->text, yes, ARRAY_LEN(yes));
	if (!is_yes && !one_of(node->text, no, ARRAY_LEN(no)))
		return -EINVAL;
	*ret_value = is_yes;
	return 0;
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

/*
 * Sign, then 0x, 0b, 0o or a leading zero for octal, underscores anywhere between digits: YAML 1.1
 * as yaml.v2 has it.
 */
int ynode_int(const struct ynode *node, int64_t *ret_value)
{
	if (node->kind != YNODE_SCALAR || node->quoted)
		return -EINVAL;
	const char *s = node->text;
	bool negative = *s == '-';
	int base = 10;
	int64_t v = 0;

	s += *s == '-' || *s == '+';
	if (s[0] == '0' && s[1] != '\0') {
		char c = s[1];
		base = c == 'x' || c == 'X' ? 16 : c == 'b' || c == 'B' ? 2 : 8;
		s += base != 8 || c == 'o' || c == 'O' ? 2 : 1;
	}
	if (digit_value(*s) >= base)
		return -EINVAL;
	for (; *s; s++) {
		if (*s == '_')
			continue;
		int d = digit_value(*s);
		if (d >= base)
			return -EINVAL;
		if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v))
			return -ERANGE;
	}
	*ret_value = negative ? -v : v;
	return 0;
}

/* The unit at *@s in nanoseconds, 0 if there is none; moves *@s behind it. */
static int64_t duration_unit(const char **s)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = {
		/* The longer of two with one beginning comes first. */
		{ "ns", 1 },           { "us", 1000 },
		{ "\xc2\xb5s", 1000 }, /* U+00B5, micro sign */
		{ "\xce\xbcs", 1000 }, /* U+03BC, Greek mu */
		{ "ms", 1000000 },     { "s", 1000000000 },
		{ "m", 60000000000 },  { "h", 3600000000000 },
	};

	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		size_t n = strlen(units[i].name);
		if (!strncmp(*s, units[i].name, n)) {
			*s += n;
			return units[i].ns;
		}
	}
	return 0;
}

int duration_parse(const char *s, int64_t *ret_ns)
{
	bool negative = *s == '-';
	int64_t total = 0;

	s += *s == '-' || *s == '+';
	if (!strcmp(s, "0")) {
		*ret_ns = 0;
		return 0;
	}
	if (*s == '\0')
		return -EINVAL;
	while (*s) {
		int64_t whole = 0, fraction = 0, scale = 1;
		size_t digits = 0;
		for (; *s >= '0' && *s <= '9'; s++, digits++)
			if (__builtin_mul_overflow(whole, 10, &whole) ||
			    __builtin_add_overflow(whole, *s - '0', &whole))
				return -ERANGE;
		if (*s == '.')
			for (s++; *s >= '0' && *s <= '9'; s++, digits++)
				if (scale < 1000000000) { /* no unit has finer parts that count */
					fraction = fraction * 10 + (*s - '0');
					scale *= 10;
				}
		int64_t unit = digits ? duration_unit(&s) : 0;
		if (unit == 0)
			return -EINVAL;
		if (__builtin_mul_overflow(whole, unit, &whole) ||
		    __builtin_add_overflow(total, whole, &total) ||
		    __builtin_add_overflow(total, (int64_t)((__int128)fraction * unit / scale),
		                           &total))
			return -ERANGE;
	}
	*ret_ns = negative ? -total : total;
	return 0;
}
