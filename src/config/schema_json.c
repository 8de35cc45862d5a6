/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows as a JSON Schema: the form of a document, not what its parts say about each other.  What
 * it refuses the reader refuses as well, but for spellings that are not offered to editors: "yes"
 * and its like, which are no booleans in YAML 1.2, and "bfdProfile".
 */
#include "config.h"

#include <json-c/json.h>

#include "config/parse.h"
#include "fairlead/mem.h"

static void put_keys(struct json_object *o, const struct schema_table *t);

static void put_str(struct json_object *o, const char *name, const char *s)
{
	json_object_object_add(o, name, json_object_new_string(s));
}

/* The array @name of texts, which NULL ends. */
static struct json_object *put_texts(struct json_object *o, const char *name,
                                     const char *const *texts)
{
	struct json_object *array = json_object_new_array();

	for (; *texts; texts++)
		json_object_array_add(array, json_object_new_string(*texts));
	json_object_object_add(o, name, array);
	return array;
}

static void put_type(struct json_object *o, const char *const *types, bool or_null)
{
	if (or_null)
		json_object_array_add(put_texts(o, "type", types), json_object_new_string("null"));
	else if (types[1])
		put_texts(o, "type", types);
	else
		put_str(o, "type", types[0]);
}

static void put_value_type(struct json_object *o, enum schema_value value, bool or_null)
{
	static const char *const types[][4] = {
		[SCHEMA_TEXT] = { "string", "number", "boolean", NULL },
		[SCHEMA_NOTATION] = { "string", NULL },
		[SCHEMA_NUMBER] = { "integer", NULL },
		[SCHEMA_BOOL] = { "boolean", NULL },
		[SCHEMA_MAP] = { "object", NULL },
	};

	if (value != SCHEMA_VALUE_NONE) /* no row has it: tests/unit/test_tables.c */
		put_type(o, types[value], or_null);
}

static void put_words(struct json_object *o, const char *const *words, bool or_null)
{
	struct json_object *array = put_texts(o, "enum", words);

	if (or_null)
		json_object_array_add(array, NULL);
}

/* A map whose keys are anybody's, with a text each. */
static void put_any_keys(struct json_object *o)
{
	struct json_object *text = json_object_new_object();

	put_value_type(text, SCHEMA_TEXT, true);
	json_object_object_add(o, "additionalProperties", text);
}

/* What the key takes, or a list's item. */
static void put_value(struct json_object *o, const struct schema_key *key, bool or_null)
{
	const struct schema_type *t = key->type;

	if (t->words) {
		put_words(o, t->words, or_null);
		return;
	}
	put_value_type(o, t->value, or_null);
	if (t->value == SCHEMA_TEXT && key->max)
		json_object_object_add(o, "maxLength", json_object_new_int64(key->max));
	if (t->value == SCHEMA_NUMBER && key->max) {
		json_object_object_add(o, "minimum", json_object_new_int64(key->min));
		json_object_object_add(o, "maximum", json_object_new_int64(key->max));
	}
	if (t->value == SCHEMA_MAP && t->keys)
		put_keys(o, t->keys);
	else if (t->value == SCHEMA_MAP)
		put_any_keys(o);
}

static void put_list(struct json_object *o, const struct schema_key *key, bool or_null)
{
	static const char *const array[] = { "array", NULL };
	struct json_object *item = json_object_new_object();

	put_type(o, array, or_null);
	if (key->required)
		json_object_object_add(o, "minItems", json_object_new_int(1));
	/* An item that is empty may say something. */
	put_value(item, key, !key->type->words);
	json_object_object_add(o, "items", item);
}

/* A list, or what may stand in its place. */
static void put_list_or_other(struct json_object *o, const struct schema_key *key, bool or_null)
{
	struct json_object *list = json_object_new_object(), *other = json_object_new_object(),
			   *either = json_object_new_array();

	if (key->type->or_one)
		put_value(other, key, or_null);
	else
		put_value_type(other, SCHEMA_BOOL, or_null);
	put_list(list, key, false);
	json_object_array_add(either, other);
	json_object_array_add(either, list);
	json_object_object_add(o, "anyOf", either);
}

static void put_words_about(struct json_object *o, const struct schema_key *key)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;

	buf_puts(&text, key->doc);
	if (key->otherwise)
		buf_printf(&text, " Default: %s.", key->otherwise);
	put_str(o, "description", buf_str(&text));
	if (key->required || key->otherwise)
		return;
	if (key->type->value == SCHEMA_BOOL)
		json_object_object_add(o, "default", json_object_new_boolean(key->by_default != 0));
	else if (key->by_default)
		json_object_object_add(o, "default", json_object_new_int64(key->by_default));
}

static struct json_object *key_schema(const struct schema_key *key)
{
	const struct schema_type *t = key->type;
	struct json_object *o = json_object_new_object();
	/* Without a value a key is as if it were not there, or empty. */
	bool or_null = !key->required && (!t->reads_null || t->null_is_empty);

	put_words_about(o, key);
	if (t->or_one || t->or_bool)
		put_list_or_other(o, key, or_null);
	else if (t->is_list)
		put_list(o, key, or_null);
	else
		put_value(o, key, or_null);
	return o;
}

static void put_keys(struct json_object *o, const struct schema_table *t)
{
	struct json_object *properties = json_object_new_object(),
			   *required = json_object_new_array();

	for (const struct schema_key *key = t->keys; key < t->keys + t->n_keys; key++) {
		json_object_object_add(properties, key->name, key_schema(key));
		if (key->required)
			json_object_array_add(required, json_object_new_string(key->name));
	}
	json_object_object_add(o, "additionalProperties", json_object_new_boolean(false));
	if (json_object_array_length(required) > 0)
		json_object_object_add(o, "required", required);
	else
		json_object_put(required);
	json_object_object_add(o, "properties", properties);
}

void configuration_schema(struct buf *json)
{
	struct json_object *o = json_object_new_object();

	put_str(o, "$schema", "http://json-schema.org/draft-07/schema#");
	put_str(o, "title", "The configuration of Fairlead, see fairlead.yaml(5)");
	put_value_type(o, SCHEMA_MAP, true);
	put_keys(o, &document_table);
	buf_puts(json, json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY |
	                                                         JSON_C_TO_STRING_SPACED |
	                                                         JSON_C_TO_STRING_NOSLASHESCAPE));
	buf_putc(json, '\n');
	json_object_put(o);
}
