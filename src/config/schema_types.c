/* SPDX-License-Identifier: Apache-2.0 */
/* What the values of most keys are: text, numbers, yes or no, addresses. */
#include "config.h"

#include "config/schema.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

/* ---- reading ---- */

void schema_read_string(struct schema_ctx *x, const struct schema_key *key,
                        const struct ynode *node, void *field)
{
	char **string = field;
	const char *s = schema_text(x, node);

	if (s && s[0] == '\0' && key->required)
		schema_error(x, node->line, "%s", key->required);
	else if (s && s[0])
		*string = xstrdup(s);
}

void schema_read_word(struct schema_ctx *x, const struct schema_key *key, const struct ynode *node,
                      void *field)
{
	const char *s = schema_text(x, node);

	for (const char *p = s; p && *p; p++)
		if (*p <= ' ' || *p > '~') {
			schema_error(x, node->line,
			             "contains a blank or a character outside ASCII, which bgpd "
			             "does not take");
			return;
		}
	if (s && strlen(s) > (size_t)key->max)
		schema_error(x, node->line, "is longer than %d characters", (int)key->max);
	else if (s)
		schema_read_string(x, key, node, field);
}

void schema_read_bool(struct schema_ctx *x, const struct schema_key *key, const struct ynode *node,
                      void *field)
{
	(void)key;
	if (ynode_bool(node, field) == 0)
		return;
	if (node->kind == YNODE_SCALAR)
		schema_error(x, node->line,
		             "\"%.64s\" is neither true nor false; write one of the two, "
		             "without quotes",
		             node->text);
	else
		schema_error(x, node->line, "is %s; write true or false", schema_kind(node));
}

/*
 * The table's bounds keep the value inside the field's type; signed and unsigned have the same
 * bytes then.
 */
static void store(void *field, unsigned char size, int64_t v)
{
	switch (size) {
	case 1:
		*(uint8_t *)field = (uint8_t)v;
		break;
	case 2:
		*(uint16_t *)field = (uint16_t)v;
		break;
	case 4:
		*(uint32_t *)field = (uint32_t)v;
		break;
	default:
		*(int64_t *)field = v;
		break;
	}
}

void schema_read_int(struct schema_ctx *x, const struct schema_key *key, const struct ynode *node,
                     void *field)
{
	const char *what = key->invalid ? key->invalid : "invalid number";
	int64_t v;
	int r = ynode_int(node, &v);

	if (node->kind != YNODE_SCALAR) {
		schema_error(x, node->line, "is %s; write a number", schema_kind(node));
		return;
	}
	if (r == -EINVAL) {
		schema_error(x, node->line, "%s \"%.64s\": write a whole number%s%s%s%s", what,
		             node->text, key->unit ? " of " : "", key->unit ? key->unit : "",
		             key->unit && node->quoted ? "," : "",
		             node->quoted ? " without quotes" : "");
		return;
	}
	if (r == -ERANGE || v < key->min || v > key->max) {
		schema_error(x, node->line, "%s %.64s: write a number from %" PRId64 " to %" PRId64,
		             what, node->text, key->min, key->max);
		return;
	}
	store(field, key->size, v);
}

void schema_read_addr(struct schema_ctx *x, const struct schema_key *key, const struct ynode *node,
                      void *field)
{
	const char *s = schema_text(x, node);

	if (s && !s[0] && !key->required)
		return; /* "" is how templates leave it out */
	if (s && addr_parse(s, field) < 0)
		schema_error(x, node->line, "%s \"%.64s\": write an IPv4 or IPv6 address",
		             key->invalid ? key->invalid : "invalid IP", s);
}

int schema_word_index(const char *const *words, const char *s)
{
	for (int i = 0; words[i]; i++)
		if (!strcmp(words[i], s))
			return i;
	return -1;
}

/* ---- printing ---- */

void schema_print_string(struct out *o, const struct schema_key *key, const void *field)
{
	out_str(o, key->name, *(char *const *)field);
}

static void print_bool(struct out *o, const struct schema_key *key, const void *field)
{
	out_bool(o, key->name, *(const bool *)field);
}

static int64_t load(const void *field, unsigned char size)
{
	switch (size) {
	case 1:
		return *(const uint8_t *)field;
	case 2:
		return *(const uint16_t *)field;
	case 4:
		return *(const uint32_t *)field;
	default:
		return *(const int64_t *)field;
	}
}

static void print_int(struct out *o, const struct schema_key *key, const void *field)
{
	out_int(o, key->name, load(field, key->size));
}

static void print_others_int(struct out *o, const struct schema_key *key, const void *field)
{
	int64_t v = load(field, key->size);

	out_int(o, key->name, v ? v : key->by_default);
}

void schema_print_addr(struct out *o, const struct schema_key *key, const void *field)
{
	const struct addr *a = field;

	out_str(o, key->name, addr_is_none(a) ? NULL : addr_str(a));
}

void schema_print_strings(struct out *o, const char *key, char *const *values, size_t n)
{
	out_list(o, key);
	for (size_t i = 0; i < n; i++)
		out_str(o, NULL, values[i]);
	out_close(o);
}

void schema_print_ranges(struct out *o, const char *key, const struct addr_range *ranges, size_t n)
{
	char text[ADDR_RANGE_STR_SIZE];

	out_list(o, key);
	for (size_t i = 0; i < n; i++)
		out_str(o, NULL, addr_range_format(&ranges[i], text));
	out_close(o);
}

void schema_print_bits(struct out *o, const struct schema_key *key, unsigned int bits)
{
	out_list(o, key->name);
	for (size_t i = 0; key->type->words[i]; i++)
		if (bits & 1u << i)
			out_str(o, NULL, key->type->words[i]);
	out_close(o);
}

/* ---- the whole table ---- */

void schema_defaults(const struct schema_table *t, void *target)
{
	for (const struct schema_key *key = t->keys; key < t->keys + t->n_keys; key++)
		if (key->by_default && key->type != &schema_others_int)
			store((char *)target + key->offset, key->size, key->by_default);
}

void schema_print(struct out *o, const struct schema_table *t, const void *target)
{
	for (const struct schema_key *key = t->keys; key < t->keys + t->n_keys; key++)
		key->type->print(o, key, (const char *)target + key->offset);
}

void schema_fini(const struct schema_table *t, void *target)
{
	for (const struct schema_key *key = t->keys; key < t->keys + t->n_keys; key++)
		if (key->type->fini)
			key->type->fini((char *)target + key->offset);
}

void schema_free_string(void *field)
{
	free(*(char **)field);
}

/* ---- types ---- */

const struct schema_type schema_string = {
	.form = "text",
	.value = SCHEMA_TEXT,
	.read = schema_read_string,
	.print = schema_print_string,
	.fini = schema_free_string,
};

const struct schema_type schema_word = {
	.form = "word",
	.value = SCHEMA_TEXT,
	.read = schema_read_word,
	.print = schema_print_string,
	.fini = schema_free_string,
};

const struct schema_type schema_int = {
	.form = "number",
	.value = SCHEMA_NUMBER,
	.read = schema_read_int,
	.print = print_int,
};

const struct schema_type schema_others_int = {
	.form = "number",
	.value = SCHEMA_NUMBER,
	.read = schema_read_int,
	.print = print_others_int,
};

const struct schema_type schema_bool = {
	.form = "true or false",
	.value = SCHEMA_BOOL,
	.read = schema_read_bool,
	.print = print_bool,
};

const struct schema_type schema_addr = {
	.form = "address",
	.value = SCHEMA_NOTATION,
	.read = schema_read_addr,
	.print = schema_print_addr,
};
