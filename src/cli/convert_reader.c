/* SPDX-License-Identifier: Apache-2.0 */
/* MetalLB's fields by their tables, and those that are of any kind. */
#include "config.h"

#include <string.h>

#include "cli/convert_private.h"
#include "fairlead/mem.h"

bool convert_is_unset(struct json_object *value)
{
	static const char *const unset[] = { "null", "false", "0", "\"\"", "[ ]", "{ }" };
	const char *text = json_object_to_json_string(value);

	for (size_t i = 0; i < ARRAY_LEN(unset); i++)
		if (!strcmp(text, unset[i]))
			return true;
	return false;
}

static void read_field(struct convert_reader *r, const struct convert_field *f)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(r->from, f->name, &value) || !value)
		return;
	if (f->read) {
		f->read(r, f, value);
	} else if (f->lost && !convert_is_unset(value)) {
		convert_note(r->c, "%s%s: %s", r->at, f->name, f->lost);
		r->left_out |= f->needed;
	}
}

static void note_unknown(const struct convert_reader *r, const struct convert_field *fields,
                         size_t n)
{
	json_object_object_foreach(r->from, key, value) {
		size_t i = 0;
		while (i < n && strcmp(fields[i].name, key) != 0)
			i++;
		if (i == n && value)
			convert_note(r->c, "%s%.64s: not known here, and not carried over", r->at,
			             key);
	}
}

void convert_read_fields(struct convert_reader *r, const struct convert_field *fields, size_t n)
{
	if (!r->from)
		return;
	if (!json_object_is_type(r->from, json_type_object)) {
		/* Without the dot behind it. */
		int len = *r->at ? (int)strlen(r->at) - 1 : 4;
		convert_note(r->c, "%.*s: is no map, and is not carried over", len,
		             *r->at ? r->at : "spec");
		return;
	}
	for (size_t i = 0; i < n; i++)
		read_field(r, &fields[i]);
	note_unknown(r, fields, n);
}

/* ---- fields of any kind ---- */

void convert_read_value(struct convert_reader *r, const struct convert_field *f,
                        struct json_object *value)
{
	const char *text = json_object_to_json_string(value);

	if (!strcmp(text, "\"\"") || !strcmp(text, "[ ]") || (f->omit && !strcmp(text, f->omit)))
		return;
	json_object_object_add(r->to, f->key, json_object_get(value));
}

static const struct convert_field selector_fields[] = {
	{ "matchLabels", .read = convert_read_value, .key = "match-labels" },
	{ "matchExpressions", .read = convert_read_value, .key = "match-expressions" },
};

static void read_selector(struct conversion *c, const char *at, struct json_object *from,
                          struct json_object *to)
{
	struct convert_reader nested = { .c = c, .at = at, .from = from, .to = to };

	convert_read_fields(&nested, selector_fields, ARRAY_LEN(selector_fields));
}

void convert_read_selector(struct convert_reader *r, const struct convert_field *f,
                           struct json_object *value)
{
	cleanup_free char *at = xasprintf("%s%s.", r->at, f->name);

	read_selector(r->c, at, value, r->to);
}

void convert_read_selectors(struct convert_reader *r, const struct convert_field *f,
                            struct json_object *value)
{
	if (!json_object_is_type(value, json_type_array) || json_object_array_length(value) == 0) {
		convert_read_value(r, f, value);
		return;
	}
	struct json_object *list = json_object_new_array();
	for (size_t i = 0; i < json_object_array_length(value); i++) {
		struct json_object *item = json_object_array_get_idx(value, i);
		cleanup_free char *at = xasprintf("%s%s[%zu].", r->at, f->name, i);
		if (!json_object_is_type(item, json_type_object)) {
			json_object_array_add(list, json_object_get(item));
			continue;
		}
		struct json_object *map = json_object_new_object();
		read_selector(r->c, at, item, map);
		json_object_array_add(list, map);
	}
	json_object_object_add(r->to, f->key, list);
}
