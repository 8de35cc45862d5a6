/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/labels.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/buf.h"
#include "fairlead/mem.h"

const char *labels_get(const struct labels *l, const char *key)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->kvs[i].key, key))
			return l->kvs[i].value;
	return NULL;
}

bool labels_eq(const struct labels *a, const struct labels *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const char *other = labels_get(b, a->kvs[i].key);
		if (!other || strcmp(a->kvs[i].value, other) != 0)
			return false;
	}
	return true;
}

struct labels labels_copy(const struct labels *l)
{
	struct labels copy = { .kvs = xcalloc(l->n + 1, sizeof(*copy.kvs)), .n = l->n };

	for (size_t i = 0; i < l->n; i++)
		copy.kvs[i] = (struct label){ .key = xstrdup(l->kvs[i].key),
			                      .value = xstrdup(l->kvs[i].value) };
	return copy;
}

void labels_fini(struct labels *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->kvs[i].key);
		free(l->kvs[i].value);
	}
	free(l->kvs);
	*l = (struct labels){ 0 };
}

/* metav1.LabelSelector: NotIn also holds where the key is missing. */

static bool has_value(const struct label_requirement *r, const char *value)
{
	for (size_t i = 0; i < r->n_values; i++)
		if (!strcmp(r->values[i], value))
			return true;
	return false;
}

static bool holds(const struct label_requirement *r, const struct labels *labels)
{
	const char *value = labels_get(labels, r->key);

	switch (r->op) {
	case LABEL_IN:
		return value && has_value(r, value);
	case LABEL_NOT_IN:
		return !value || !has_value(r, value);
	case LABEL_EXISTS:
		return value != NULL;
	case LABEL_DOES_NOT_EXIST:
		return value == NULL;
	}
	return false;
}

bool label_selector_matches(const struct label_selector *sel, const struct labels *labels)
{
	for (size_t i = 0; i < sel->n; i++)
		if (!holds(&sel->requirements[i], labels))
			return false;
	return true;
}

static void put_values(const struct label_requirement *r, struct buf *out)
{
	buf_puts(out, r->op == LABEL_IN ? " in (" : " notin (");
	for (size_t i = 0; i < r->n_values; i++)
		buf_printf(out, "%s%s", i ? "," : "", r->values[i]);
	buf_putc(out, ')');
}

void label_selector_put(const struct label_selector *sel, struct buf *out)
{
	for (size_t i = 0; i < sel->n; i++) {
		const struct label_requirement *r = &sel->requirements[i];
		bool is_pair = r->op == LABEL_IN && r->n_values == 1;
		buf_printf(out, "%s%s%s", i ? "," : "", r->op == LABEL_DOES_NOT_EXIST ? "!" : "",
		           r->key);
		if (is_pair)
			buf_printf(out, "=%s", r->values[0]);
		else if (r->n_values > 0)
			put_values(r, out);
	}
}

void label_selector_fini(struct label_selector *sel)
{
	for (size_t i = 0; i < sel->n; i++) {
		struct label_requirement *r = &sel->requirements[i];
		for (size_t j = 0; j < r->n_values; j++)
			free(r->values[j]);
		free(r->values);
		free(r->key);
	}
	free(sel->requirements);
	*sel = (struct label_selector){ 0 };
}

void label_selectors_put(const struct label_selectors *s, struct buf *out)
{
	for (size_t i = 0; i < s->n; i++) {
		buf_puts(out, i ? ", " : "");
		label_selector_put(&s->items[i], out);
	}
}

static bool requirement_eq(const struct label_requirement *a, const struct label_requirement *b)
{
	if (a->op != b->op || a->n_values != b->n_values || strcmp(a->key, b->key) != 0)
		return false;
	for (size_t i = 0; i < a->n_values; i++)
		if (strcmp(a->values[i], b->values[i]) != 0)
			return false;
	return true;
}

bool label_selector_eq(const struct label_selector *a, const struct label_selector *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!requirement_eq(&a->requirements[i], &b->requirements[i]))
			return false;
	return true;
}

bool label_selectors_eq(const struct label_selectors *a, const struct label_selectors *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!label_selector_eq(&a->items[i], &b->items[i]))
			return false;
	return true;
}

bool label_selectors_match(const struct label_selectors *s, const struct labels *labels)
{
	for (size_t i = 0; i < s->n; i++)
		if (label_selector_matches(&s->items[i], labels))
			return true;
	return false;
}

void label_selectors_fini(struct label_selectors *s)
{
	for (size_t i = 0; i < s->n; i++)
		label_selector_fini(&s->items[i]);
	free(s->items);
	*s = (struct label_selectors){ 0 };
}
