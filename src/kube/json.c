/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/kube.h"

#include <json-c/json.h>
#include <string.h>

/*
 * json-c's getters turn "80" into 80, null into 0 and 22 digits into INT64_MAX, so that a wrong document
 * reads like a right one.  These readers look at the type first.  null counts as missing, as it
 * does to the API server.
 */

static void set_bad(bool *bad)
{
	if (bad)
		*bad = true;
}

struct json_object *kube_json_get(struct json_object *obj, const char *key, int json_type,
                                  bool *bad)
{
	struct json_object *v = NULL;
	if (!obj || !json_object_is_type(obj, json_type_object) ||
	    !json_object_object_get_ex(obj, key, &v) || !v)
		return NULL;
	if (json_object_get_type(v) != (enum json_type)json_type) {
		set_bad(bad);
		return NULL;
	}
	return v;
}

const char *kube_json_str(struct json_object *obj, const char *key, bool *bad)
{
	struct json_object *v = kube_json_get(obj, key, json_type_string, bad);
	if (!v)
		return NULL;
	const char *s = json_object_get_string(v);
	/* "\u0000" inside would cut the value short without a word. */
	if (strlen(s) != (size_t)json_object_get_string_len(v)) {
		set_bad(bad);
		return NULL;
	}
	return s;
}

int64_t kube_json_int(struct json_object *obj, const char *key, int64_t min, int64_t max,
                      int64_t absent, bool *bad)
{
	bool wrong = false;
	struct json_object *v = kube_json_get(obj, key, json_type_int, &wrong);
	if (!v) {
		if (wrong)
			set_bad(bad);
		return absent;
	}
	int64_t n = json_object_get_int64(v);
	if (n < min || n > max) {
		set_bad(bad);
		return absent;
	}
	return n;
}

bool kube_json_bool(struct json_object *obj, const char *key, bool absent, bool *bad)
{
	struct json_object *v = kube_json_get(obj, key, json_type_boolean, bad);
	return v ? json_object_get_boolean(v) : absent;
}
