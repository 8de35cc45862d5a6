/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/yaml_emit.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include <json-c/json.h>

#include "fairlead/mem.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/*
 * May this text do without quotes?  Only where no version of YAML sees anything else in it: words
 * but those for booleans and null, dotted addresses with what belongs to them, and durations.  A
 * colon makes base-60 numbers and times.
 */
static bool is_plain(const char *text, size_t size)
{
	static const char *const words[] = { "true", "false", "yes",  "no", "on",
		                             "off",  "y",     "null", "n" };

	if (size == 0 || strspn(text, LETTERS DIGITS "._/-") != size)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (!strcasecmp(text, words[i]))
			return false;
	if (strchr(LETTERS, text[0]))
		return true;
	if (!strchr(DIGITS, text[0]))
		return false;
	const char *dot = strchr(text, '.');
	return (dot && strchr(dot + 1, '.')) || strchr("smh", text[size - 1]);
}

/* Takes over @ev; false if it was refused. */
static bool emit(yaml_emitter_t *emitter, yaml_event_t *ev, int made)
{
	return made && yaml_emitter_emit(emitter, ev);
}

static bool emit_scalar(yaml_emitter_t *emitter, const char *text, size_t size, bool plain)
{
	yaml_event_t ev;

	return emit(emitter, &ev,
	            yaml_scalar_event_initialize(
			    &ev, NULL, NULL, (const yaml_char_t *)text, (int)size, plain, 1,
			    plain ? YAML_PLAIN_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE));
}

static bool emit_text(yaml_emitter_t *emitter, const char *text, size_t size)
{
	return emit_scalar(emitter, text, size, is_plain(text, size));
}

static bool emit_value(yaml_emitter_t *emitter, struct json_object *value);

static bool emit_list(yaml_emitter_t *emitter, struct json_object *list)
{
	yaml_event_t ev;
	bool ok = emit(emitter, &ev,
	               yaml_sequence_start_event_initialize(&ev, NULL, NULL, 1,
	                                                    YAML_BLOCK_SEQUENCE_STYLE));

	for (size_t i = 0; ok && i < json_object_array_length(list); i++)
		ok = emit_value(emitter, json_object_array_get_idx(list, i));
	return ok && emit(emitter, &ev, yaml_sequence_end_event_initialize(&ev));
}

static bool emit_map(yaml_emitter_t *emitter, struct json_object *map)
{
	yaml_event_t ev;
	bool ok = emit(emitter, &ev,
	               yaml_mapping_start_event_initialize(&ev, NULL, NULL, 1,
	                                                   YAML_BLOCK_MAPPING_STYLE));

	json_object_object_foreach(map, key, value)
		ok = ok && emit_text(emitter, key, strlen(key)) && emit_value(emitter, value);
	return ok && emit(emitter, &ev, yaml_mapping_end_event_initialize(&ev));
}

static bool emit_value(yaml_emitter_t *emitter, struct json_object *value)
{
	const char *text;

	switch (json_object_get_type(value)) {
	case json_type_object:
		return emit_map(emitter, value);
	case json_type_array:
		return emit_list(emitter, value);
	case json_type_string:
		return emit_text(emitter, json_object_get_string(value),
		                 (size_t)json_object_get_string_len(value));
	case json_type_null:
	case json_type_boolean:
	case json_type_int:
	case json_type_double:
		break;
	}
	text = json_object_to_json_string(value);
	return emit_scalar(emitter, text, strlen(text), true);
}

static int write_out(void *out, unsigned char *data, size_t size)
{
	buf_add(out, data, size);
	return 1;
}

int yaml_emit(struct json_object *value, struct buf *out)
{
	yaml_emitter_t emitter;
	yaml_event_t ev;

	if (!yaml_emitter_initialize(&emitter))
		return -ENOMEM;
	yaml_emitter_set_output(&emitter, write_out, out);
	yaml_emitter_set_width(&emitter, -1);
	bool ok =
		emit(&emitter, &ev, yaml_stream_start_event_initialize(&ev, YAML_UTF8_ENCODING)) &&
		emit(&emitter, &ev,
	             yaml_document_start_event_initialize(&ev, NULL, NULL, NULL, 1)) &&
		emit_value(&emitter, value) &&
		emit(&emitter, &ev, yaml_document_end_event_initialize(&ev, 1)) &&
		emit(&emitter, &ev, yaml_stream_end_event_initialize(&ev));
	yaml_emitter_delete(&emitter);
	return ok ? 0 : -EINVAL;
}
