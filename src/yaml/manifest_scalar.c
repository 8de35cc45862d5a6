/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "yaml/manifest_scalar.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "fairlead/mem.h"

#define DIGITS "0123456789"

static bool one_of(const char *s, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(s, words[i]))
			return true;
	return false;
}

/* 10 for [-+]?[0-9]+, 8 for 0o[0-7]+, 16 for 0x[0-9a-fA-F]+, 0 for none of these. */
static int integer_base(const char *s)
{
	static const struct {
		const char *head, *digits;
		int base;
	} kinds[] = { { "0o", "01234567", 8 }, { "0x", DIGITS "abcdefABCDEF", 16 } };

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (!strncmp(s, kinds[i].head, 2))
			return s[2] && !s[2 + strspn(s + 2, kinds[i].digits)] ? kinds[i].base : 0;
	s += *s == '-' || *s == '+';
	return *s && !s[strspn(s, DIGITS)] ? 10 : 0;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_float(const char *s)
{
	s += *s == '-' || *s == '+';
	size_t whole = strspn(s, DIGITS), part = 0;
	s += whole;
	if (*s == '.') {
		part = strspn(++s, DIGITS);
		s += part;
	}
	if (whole + part == 0)
		return false;
	if (*s == 'e' || *s == 'E') {
		s++;
		s += *s == '-' || *s == '+';
		if (!*s)
			return false;
		s += strspn(s, DIGITS);
	}
	return !*s;
}

struct json_object *manifest_scalar(const char *text, size_t size)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL" };
	static const char *const truths[] = { "true", "True", "TRUE" };
	static const char *const lies[] = { "false", "False", "FALSE" };

	if (strlen(text) != size)
		return json_object_new_string_len(text, (int)size);
	if (one_of(text, nulls, ARRAY_LEN(nulls)))
		return NULL;
	if (one_of(text, truths, ARRAY_LEN(truths)))
		return json_object_new_boolean(true);
	if (one_of(text, lies, ARRAY_LEN(lies)))
		return json_object_new_boolean(false);
	int base = integer_base(text);
	if (base) {
		errno = 0;
		long long n = strtoll(base == 10 ? text : text + 2, NULL, base);
		if (!errno)
			return json_object_new_int64(n);
		if (base == 10)
			return json_object_new_double(strtod(text, NULL));
		return json_object_new_string_len(text, (int)size);
	}
	if (is_float(text))
		return json_object_new_double(strtod(text, NULL));
	return json_object_new_string_len(text, (int)size);
}
