/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "selector.h"

#include <errno.h>
#include <string.h>

#include "fairlead/mem.h"
#include "store.h"

enum op { OP_IN, OP_NOT_IN, OP_EXISTS, OP_ABSENT };

enum { FIELD_NAME = -1, FIELD_NAMESPACE = -2 };

struct term {
	enum op op;
	char *key;
	char *values; /* "A\0B\0\0"-like: n_values of them, one after the other */
	size_t n_values;
	int field; /* of field terms: an index of kind->fields, or one of the above */
};

struct selector {
	struct term labels[SELECTOR_MAX_TERMS];
	size_t n_labels;
	struct term fields[SELECTOR_MAX_TERMS];
	size_t n_fields;
};

void selector_free(struct selector *sel)
{
	if (!sel)
		return;
	for (size_t i = 0; i < sel->n_labels; i++) {
		free(sel->labels[i].key);
		free(sel->labels[i].values);
	}
	for (size_t i = 0; i < sel->n_fields; i++) {
		free(sel->fields[i].key);
		free(sel->fields[i].values);
	}
	free(sel);
}

static const char *skip_space(const char *s)
{
	return s + strspn(s, " \t");
}

/* A key or value up to an operator or separator, owned by the caller. */
static char *word(const char **s, const char *stops)
{
	*s = skip_space(*s);
	size_t len = strcspn(*s, stops);
	char *w = xstrndup(*s, len);
	*s = skip_space(*s + len);
	return w;
}

/* "(a, b)" into @t; -EINVAL. */
static int parse_set(const char **s, struct term *t)
{
	if (**s != '(')
		return -EINVAL;
	size_t cap = strlen(*s) + 1, used = 0;
	t->values = xcalloc(1, cap);
	do {
		(*s)++;
		cleanup_free char *w = word(s, " \t,)");
		memcpy(t->values + used, w, strlen(w) + 1);
		used += strlen(w) + 1;
		t->n_values++;
	} while (**s == ',');
	if (**s != ')')
		return -EINVAL;
	*s = skip_space(*s + 1);
	return 0;
}

static int parse_label(const char **s, struct term *t)
{
	*s = skip_space(*s);
	t->op = OP_EXISTS;
	if (**s == '!') {
		(*s)++;
		t->op = OP_ABSENT;
	}
	t->key = word(s, " \t,=!()");
	if (!*t->key)
		return -EINVAL;
	if (!**s || **s == ',')
		return 0;
	if (t->op == OP_ABSENT)
		return -EINVAL;
	if (!strncmp(*s, "in", 2) || !strncmp(*s, "notin", 5)) {
		t->op = **s == 'n' ? OP_NOT_IN : OP_IN;
		*s = skip_space(*s + (**s == 'n' ? 5 : 2));
		return parse_set(s, t);
	}
	t->op = **s == '!' ? OP_NOT_IN : OP_IN;
	if (!strncmp(*s, "!=", 2) || !strncmp(*s, "==", 2))
		*s += 2;
	else if (**s == '=')
		*s += 1;
	else
		return -EINVAL;
	t->values = word(s, " \t,=!()");
	t->n_values = 1;
	return 0;
}

static int parse_field(const struct kind *k, const char **s, struct term *t, struct err *err)
{
	t->key = word(s, ",=!");
	t->op = **s == '!' ? OP_NOT_IN : OP_IN;
	if (!strncmp(*s, "!=", 2) || !strncmp(*s, "==", 2))
		*s += 2;
	else if (**s == '=')
		*s += 1;
	else
		return err_set(err, -EINVAL, ERR_REMOTE,
		               "invalid selector: '%s'; can't understand '%s'", t->key, t->key);
	size_t len = strcspn(*s, ",");
	t->values = xstrndup(*s, len);
	t->n_values = 1;
	*s += len;
	if (!strcmp(t->key, "metadata.name")) {
		t->field = FIELD_NAME;
		return 0;
	}
	if (!strcmp(t->key, "metadata.namespace") && k->namespaced) {
		t->field = FIELD_NAMESPACE;
		return 0;
	}
	for (int i = 0; i < KIND_FIELDS_MAX && k->fields[i]; i++) {
		if (!strcmp(k->fields[i], t->key)) {
			t->field = i;
			return 0;
		}
	}
	return err_set(err, -EINVAL, ERR_REMOTE, "field label not supported: %s", t->key);
}

int selector_parse(const struct kind *k, const char *labels, const char *fields,
                   struct selector **ret_selector, struct err *err)
{
	*ret_selector = NULL;
	if ((!labels || !*labels) && (!fields || !*fields))
		return 0;
	struct selector *sel = xcalloc(1, sizeof(*sel));
	int r = 0;
	for (const char *s = labels; r == 0 && s && *s; s += *s == ',') {
		if (sel->n_labels == SELECTOR_MAX_TERMS) {
			r = err_set(err, -E2BIG, ERR_LIMIT, "too many label selector terms");
			break;
		}
		if (parse_label(&s, &sel->labels[sel->n_labels++]) < 0 || (*s && *s != ','))
			r = err_set(
				err, -EINVAL, ERR_REMOTE,
				"unable to parse requirement: found '%s', expected: ',' or 'end "
				"of string'",
				s);
	}
	for (const char *s = fields; r == 0 && s && *s; s += *s == ',') {
		if (sel->n_fields == SELECTOR_MAX_TERMS)
			r = err_set(err, -E2BIG, ERR_LIMIT, "too many field selector terms");
		else
			r = parse_field(k, &s, &sel->fields[sel->n_fields++], err);
	}
	if (r < 0) {
		selector_free(sel);
		return r;
	}
	*ret_selector = sel;
	return 0;
}

static const char *label_value(const struct version *v, const char *key)
{
	for (const char *p = v->labels; *p;) {
		const char *value = p + strlen(p) + 1;
		if (!strcmp(p, key))
			return value;
		p = value + strlen(value) + 1;
	}
	return NULL;
}

/* @value NULL: absent, which no "in" matches and every "notin" does. */
static bool term_matches(const struct term *t, const char *value)
{
	bool found = false;
	const char *p = t->values;

	for (size_t i = 0; value && i < t->n_values && !found; i++, p += strlen(p) + 1)
		found = !strcmp(p, value);
	switch (t->op) {
	case OP_IN:
		return found;
	case OP_NOT_IN:
		return !found;
	case OP_EXISTS:
		return value;
	case OP_ABSENT:
		return !value;
	}
	return false;
}

static bool field_matches(const struct term *t, const struct version *v)
{
	if (t->field == FIELD_NAME)
		return term_matches(t, version_name(v));
	if (t->field == FIELD_NAMESPACE) {
		cleanup_free char *ns = xstrndup(v->key, strcspn(v->key, "/"));
		return term_matches(t, ns);
	}
	return term_matches(t, version_field(v, (size_t)t->field));
}

bool selector_matches(const struct selector *sel, const struct version *v)
{
	if (!sel)
		return true;
	for (size_t i = 0; i < sel->n_labels; i++)
		if (!term_matches(&sel->labels[i], label_value(v, sel->labels[i].key)))
			return false;
	for (size_t i = 0; i < sel->n_fields; i++)
		if (!field_matches(&sel->fields[i], v))
			return false;
	return true;
}
