/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pools an advertisement selects: those that it names, those whose labels match one of its
 * selectors, or with neither all.  A selection that cannot be read selects none: nothing is
 * announced because of a mistake.  AddressPools say themselves how they are announced; no
 * advertisement selects them.
 */
#include "config.h"

#include <string.h>

#include "cli/convert_private.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

#define VALUES_MAX 64 /* of one expression */

static bool is_text(struct json_object *value)
{
	return json_object_is_type(value, json_type_string);
}

/* One requirement, whose text belongs to the JSON. */
static bool holds(const char *key, enum label_op op, const char **values, size_t n,
                  const struct labels *labels)
{
	struct label_requirement one = {
		.key = (char *)key, .op = op, .values = (char **)values, .n_values = n
	};
	const struct label_selector selector = { .requirements = &one, .n = 1 };

	return label_selector_matches(&selector, labels);
}

static bool expression_holds(struct json_object *expression, const struct labels *labels, bool *bad)
{
	static const char *const ops[] = { [LABEL_IN] = "In",
		                           [LABEL_NOT_IN] = "NotIn",
		                           [LABEL_EXISTS] = "Exists",
		                           [LABEL_DOES_NOT_EXIST] = "DoesNotExist" };
	const char *key = kube_json_str(expression, "key", bad);
	const char *op_name = kube_json_str(expression, "operator", bad);
	struct json_object *list = kube_json_get(expression, "values", json_type_array, bad);
	size_t n = list ? json_object_array_length(list) : 0, op = 0;
	const char *values[VALUES_MAX];

	while (op_name && op < ARRAY_LEN(ops) && strcmp(op_name, ops[op]) != 0)
		op++;
	bool listed = op == LABEL_IN || op == LABEL_NOT_IN;
	if (!key || !op_name || op == ARRAY_LEN(ops) || n > VALUES_MAX || listed != (n > 0)) {
		*bad = true;
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		struct json_object *value = json_object_array_get_idx(list, i);
		*bad |= !is_text(value);
		values[i] = is_text(value) ? json_object_get_string(value) : "";
	}
	return holds(key, (enum label_op)op, values, n, labels);
}

/*
 * metav1.LabelSelector.  Whether it is one, which *@bad tells otherwise, does not depend on the
 * labels.
 */
static bool selector_matches(struct json_object *selector, const struct labels *labels, bool *bad)
{
	struct json_object *pairs = kube_json_get(selector, "matchLabels", json_type_object, bad);
	struct json_object *list =
		kube_json_get(selector, "matchExpressions", json_type_array, bad);
	size_t n = list ? json_object_array_length(list) : 0;
	bool all = true;

	if (!json_object_is_type(selector, json_type_object))
		*bad = true;
	if (pairs) {
		json_object_object_foreach(pairs, key, value) {
			const char *text = is_text(value) ? json_object_get_string(value) : NULL;
			*bad |= !text;
			all &= text && holds(key, LABEL_IN, &text, 1, labels);
		}
	}
	for (size_t i = 0; i < n; i++)
		all &= expression_holds(json_object_array_get_idx(list, i), labels, bad);
	return all;
}

static bool any_selector_matches(struct json_object *selectors, const struct labels *labels,
                                 bool *bad)
{
	size_t n = selectors ? json_object_array_length(selectors) : 0;
	bool any = false;

	for (size_t i = 0; i < n; i++)
		any |= selector_matches(json_object_array_get_idx(selectors, i), labels, bad);
	return any;
}

static bool is_named(struct json_object *names, const char *name, bool *bad)
{
	size_t n = names ? json_object_array_length(names) : 0;
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		struct json_object *item = json_object_array_get_idx(names, i);
		*bad |= !is_text(item);
		any |= is_text(item) && !strcmp(json_object_get_string(item), name);
	}
	return any;
}

static bool is_selectable(const struct convert_pool *pool)
{
	return pool->from->kind == CONVERT_POOL;
}

static void note_missing(struct conversion *c, struct json_object *names)
{
	for (size_t i = 0; names && i < json_object_array_length(names); i++) {
		const char *name = json_object_get_string(json_object_array_get_idx(names, i));
		size_t k = 0;
		while (k < c->n_pools && !(is_selectable(&c->pools[k]) &&
		                           !strcmp(c->pools[k].from->object->meta.name, name)))
			k++;
		if (k == c->n_pools)
			convert_note(c,
			             "ipAddressPools: there is no IPAddressPool \"%.64s\" in what "
			             "was read",
			             name);
	}
}

void convert_select(struct conversion *c, struct json_object *spec,
                    void (*fn)(struct convert_pool *pool, void *arg), void *arg)
{
	static const struct labels no_labels = { 0 };
	bool bad = spec && !json_object_is_type(spec, json_type_object);
	struct json_object *names = kube_json_get(spec, "ipAddressPools", json_type_array, &bad);
	struct json_object *selectors =
		kube_json_get(spec, "ipAddressPoolSelectors", json_type_array, &bad);
	bool all = !(names && json_object_array_length(names)) &&
	           !(selectors && json_object_array_length(selectors));

	is_named(names, "", &bad);
	any_selector_matches(selectors, &no_labels, &bad);
	if (bad) {
		convert_note(c, "ipAddressPools, ipAddressPoolSelectors: these are no names and "
		                "label selectors, so that no pool is selected; correct them");
		return;
	}
	note_missing(c, names);
	for (size_t i = 0; i < c->n_pools; i++) {
		struct convert_pool *pool = &c->pools[i];
		const struct kube_meta *meta = &pool->from->object->meta;
		if (is_selectable(pool) && (all || is_named(names, meta->name, &bad) ||
		                            any_selector_matches(selectors, &meta->labels, &bad)))
			fn(pool, arg);
	}
}
