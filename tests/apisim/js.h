/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APISIM_JS_H
#define APISIM_JS_H

/*
 * Short names for what the API server does with JSON all the time.
 *
 * Paths are keys joined by dots ("spec.type"), without array indices; keys that hold dots
 * themselves (labels, annotations) go through js_get().  Getters answer NULL or the default where
 * the value is absent or of another type: they never convert.  Ownership is json-c's: what is added
 * belongs to the container, what is returned is borrowed unless the comment says otherwise.
 */

#include <json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/err.h"

/*
 * As deep as the real server lets a decoder go would be 10 000; no object of ours needs more than
 * this.
 */
#define JS_MAX_DEPTH 64
#define JS_FLAGS (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

/* Owned by the caller.  NULL with @err filled for anything but exactly one JSON value. */
struct json_object *js_parse(const char *data, size_t size, struct err *err);
void js_put(struct json_object **o); /* for cleanup() */

struct json_object *js_get(struct json_object *o, const char *key);
struct json_object *js_at(struct json_object *o, const char *path);
const char *js_str(struct json_object *o, const char *path);
/* "" instead of NULL. */
const char *js_str0(struct json_object *o, const char *path);
int64_t js_int(struct json_object *o, const char *path, int64_t otherwise);
bool js_bool(struct json_object *o, const char *path, bool otherwise);
/* The object or array at @path, NULL if it is absent or something else. */
struct json_object *js_object(struct json_object *o, const char *path);
struct json_object *js_array(struct json_object *o, const char *path);
size_t js_len(struct json_object *array); /* 0 for NULL */
bool js_is(struct json_object *o, enum json_type type);
bool js_is_str(struct json_object *o, const char *s);
/* Same value; absent equals absent. */
bool js_equal(struct json_object *a, struct json_object *b);

/* Creates the objects on the way; takes @value. */
void js_set(struct json_object *o, const char *path, struct json_object *value);
void js_set_str(struct json_object *o, const char *path, const char *value);
void js_set_int(struct json_object *o, const char *path, int64_t value);
void js_del(struct json_object *o, const char *path);
/* Removes members whose value is null, everywhere, as decoding into Go structs does. */
void js_drop_nulls(struct json_object *o);
/* A deep copy, owned by the caller; NULL for NULL. */
struct json_object *js_copy(struct json_object *o);
/* Compact text, valid until @o changes. */
const char *js_text(struct json_object *o, size_t *ret_size);

#endif
