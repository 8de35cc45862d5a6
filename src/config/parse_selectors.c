/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of selectors, of a peer's nodes or a pool's namespaces and Services: each is a
 * metav1.LabelSelector, both of whose keys become conditions on labels.
 *
 * In Kubernetes an empty selector matches everything, and an empty list nothing.  For a peer's
 * nodes that is taken as it stands.  A pool's lists must say something: whoever leaves a list empty
 * by mistake would otherwise open the pool to everybody, or close it to all.
 */
#include "config.h"

#include "config/parse.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

/* Letters and digits at both ends, "-_." besides in between; at most 63. */
static bool is_label_name(const char *s, size_t n)
{
	if (n == 0 || n > 63 || !isalnum((unsigned char)s[0]) || !isalnum((unsigned char)s[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr("-_.", s[i]))
			return false;
	return true;
}

bool is_subdomain(const char *s, size_t n)
{
	if (n == 0 || n > 253)
		return false;
	for (size_t i = 0; i < n; i++) {
		bool alnum = islower((unsigned char)s[i]) || isdigit((unsigned char)s[i]);
		bool edge = i == 0 || i == n - 1 || s[i - 1] == '.' || s[i + 1] == '.';
		if (!alnum && (edge || (s[i] != '-' && s[i] != '.')))
			return false;
	}
	return true;
}

static bool is_label_key(const char *s)
{
	const char *slash = strchr(s, '/');

	if (!slash)
		return is_label_name(s, strlen(s));
	return is_subdomain(s, (size_t)(slash - s)) && is_label_name(slash + 1, strlen(slash + 1));
}

static struct label_requirement *requirement_new(struct label_selector *sel, const char *key,
                                                 enum label_op op)
{
	sel->requirements =
		xreallocarray(sel->requirements, sel->n + 1, sizeof(*sel->requirements));
	struct label_requirement *r = &sel->requirements[sel->n++];
	*r = (struct label_requirement){ .key = xstrdup(key), .op = op };
	return r;
}

static void requirement_add_value(struct label_requirement *r, const char *value)
{
	r->values = xreallocarray(r->values, r->n_values + 1, sizeof(*r->values));
	r->values[r->n_values++] = xstrdup(value);
}

/* The value of a label; null is an empty one. */
static const char *label_value(struct schema_ctx *x, const struct ynode *node)
{
	const char *s = ynode_is_null(node) ? "" : schema_text(x, node);

	if (s && s[0] && !is_label_name(s, strlen(s))) {
		schema_error(x, node->line, "parsing selector: \"%.64s\" is no label value", s);
		return NULL;
	}
	return s;
}

static void match_label(struct schema_ctx *x, const char *key, unsigned int line,
                        const struct ynode *node, void *target)
{
	const char *value = label_value(x, node);

	if (!is_label_key(key))
		schema_error(x, line, "parsing selector: \"%.64s\" is no label key", key);
	else if (value)
		requirement_add_value(requirement_new(target, key, LABEL_IN), value);
}

static void read_match_labels(struct schema_ctx *x, const struct schema_key *key,
                              const struct ynode *node, void *field)
{
	(void)key;
	schema_pairs(x, node, CONFIG_SELECTORS_MAX, match_label, field);
}

/* They are expressions, too, and printed among these. */
static void print_nothing(struct out *o, const struct schema_key *key, const void *field)
{
	(void)o;
	(void)key;
	(void)field;
}

const struct schema_type match_labels_type = {
	.form = "map of labels",
	.value = SCHEMA_MAP,
	.read = read_match_labels,
	.print = print_nothing,
};

struct expression_target {
	char *key;
	const char *op;
	size_t n_values;                 /* that were written */
	struct label_requirement values; /* only these: those that are right */
};

static void value_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct expression_target *t = target;
	const char *s = label_value(x, node);

	t->n_values++;
	if (s)
		requirement_add_value(&t->values, s);
}

static void read_values(struct schema_ctx *x, const struct schema_key *key,
                        const struct ynode *node, void *field)
{
	(void)key;
	schema_list(x, node, CONFIG_SELECTORS_MAX, value_item, field);
}

static void print_values(struct out *o, const struct schema_key *key, const void *field)
{
	const struct expression_target *t = field;

	schema_print_strings(o, key->name, t->values.values, t->values.n_values);
}

static void free_values(void *field)
{
	struct expression_target *t = field;

	for (size_t i = 0; t->values.values && i < t->values.n_values; i++)
		free(t->values.values[i]);
	free(t->values.values);
}

static const struct schema_type values_type = {
	.form = "list of texts",
	.value = SCHEMA_TEXT,
	.is_list = true,
	.read = read_values,
	.print = print_values,
	.fini = free_values,
};

static const char *const operator_words[] = {
	[LABEL_IN] = "In",
	[LABEL_NOT_IN] = "NotIn",
	[LABEL_EXISTS] = "Exists",
	[LABEL_DOES_NOT_EXIST] = "DoesNotExist",
	NULL,
};

static void read_operator(struct schema_ctx *x, const struct schema_key *key,
                          const struct ynode *node, void *field)
{
	const char **op = field;

	(void)key;
	*op = schema_text(x, node);
}

static const struct schema_type operator_type = {
	.form = "word",
	.value = SCHEMA_TEXT,
	.words = operator_words,
	.read = read_operator,
	.print = schema_print_string,
};

static const struct schema_key expression_keys[] = {
	{ .name = "key",
	  .type = &schema_string,
	  .required = "parsing selector: the expression has no key; write key: LABEL",
	  SCHEMA_FIELD(struct expression_target, key),
	  .doc = "The label's." },
	{ .name = "operator",
	  .type = &operator_type,
	  .required = "parsing selector: the expression has no operator; write In, NotIn, Exists "
	              "or DoesNotExist",
	  SCHEMA_FIELD(struct expression_target, op),
	  .doc = "`In`, `NotIn`, `Exists` or `DoesNotExist`." },
	{ .name = "values",
	  .type = &values_type,
	  .doc = "For the first two operators, and only these." },
};

const struct schema_table expression_table = SCHEMA_TABLE("match-expressions", expression_keys);

static void __attribute__((format(printf, 4, 5)))
expression_error(struct schema_ctx *x, const struct ynode *node, const char *key, const char *fmt,
                 ...)
{
	cleanup(buf_fini) struct buf why = BUF_INIT;
	size_t mark = schema_enter_key(x, key);
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&why, fmt, ap);
	va_end(ap);
	schema_error(x, schema_line(node, key), "parsing selector: %s", buf_str(&why));
	schema_leave(x, mark);
}

/* The operator's rule for values; false, and reported, where it is broken. */
static bool settle_expression(struct schema_ctx *x, const struct expression_target *t,
                              const struct ynode *node, enum label_op *ret_op)
{
	int op = schema_word_index(operator_words, t->op);
	bool wants_values = op == LABEL_IN || op == LABEL_NOT_IN;

	if (op < 0) {
		expression_error(x, node, "operator",
		                 "\"%.64s\" is not a valid operator; write In, NotIn, Exists or "
		                 "DoesNotExist",
		                 t->op);
		return false;
	}
	if (wants_values != (t->n_values > 0)) {
		expression_error(x, node, "values", "operator %s %s values", t->op,
		                 wants_values ? "needs" : "takes no");
		return false;
	}
	*ret_op = (enum label_op)op;
	return true;
}

static void expression_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct expression_target t = { 0 };
	enum label_op op;

	schema_read(x, &expression_table, node, &t);
	if (t.key && !is_label_key(t.key)) {
		expression_error(x, node, "key", "\"%.64s\" is no label key", t.key);
	} else if (t.key && t.op && settle_expression(x, &t, node, &op)) {
		struct label_requirement *r = requirement_new(target, t.key, op);
		r->values = TAKE(t.values.values);
		r->n_values = t.values.n_values;
	}
	schema_fini(&expression_table, &t);
}

static void read_match_expressions(struct schema_ctx *x, const struct schema_key *key,
                                   const struct ynode *node, void *field)
{
	(void)key;
	schema_list(x, node, CONFIG_SELECTORS_MAX, expression_item, field);
}

static void print_match_expressions(struct out *o, const struct schema_key *key, const void *field)
{
	const struct label_selector *selector = field;

	out_list(o, key->name);
	for (size_t i = 0; i < selector->n; i++) {
		const struct label_requirement *r = &selector->requirements[i];
		const struct expression_target t = { .key = r->key,
			                             .op = operator_words[r->op],
			                             .values = *r };
		out_object(o, NULL);
		schema_print(o, &expression_table, &t);
		out_close(o);
	}
	out_close(o);
}

static void free_selector(void *field)
{
	label_selector_fini(field);
}

const struct schema_type match_expressions_type = {
	.form = "list of maps",
	.value = SCHEMA_MAP,
	.keys = &expression_table,
	.is_list = true,
	.read = read_match_expressions,
	.print = print_match_expressions,
	.fini = free_selector,
};

static const struct schema_key selector_keys[] = {
	{ .name = "match-labels",
	  .type = &match_labels_type,
	  .doc = "Labels that it must have, with these values." },
	{ .name = "match-expressions",
	  .type = &match_expressions_type,
	  .doc = "Conditions on labels, all of which must hold: maps of `key`, `operator` and "
	         "`values`." },
};

const struct schema_table selector_table = SCHEMA_TABLE("selectors", selector_keys);

static void selector_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct label_selectors *s = target;

	schema_read(x, &selector_table, node, &s->items[s->n++]);
}

static void read_selectors(struct schema_ctx *x, const struct schema_key *key,
                           const struct ynode *node, void *field)
{
	struct label_selectors *s = field;

	(void)key;
	s->items = xcalloc(node->n_entries + 1, sizeof(*s->items));
	schema_list(x, node, CONFIG_SELECTORS_MAX, selector_item, s);
}

static void print_selectors(struct out *o, const struct schema_key *key, const void *field)
{
	const struct label_selectors *s = field;

	out_list(o, key->name);
	for (size_t i = 0; i < s->n; i++) {
		out_object(o, NULL);
		schema_print(o, &selector_table, &s->items[i]);
		out_close(o);
	}
	out_close(o);
}

static void free_selectors(void *field)
{
	label_selectors_fini(field);
}

const struct schema_type selectors_type = {
	.form = "list of maps",
	.value = SCHEMA_MAP,
	.keys = &selector_table,
	.is_list = true,
	.read = read_selectors,
	.print = print_selectors,
	.fini = free_selectors,
};

/* ---- those that must say something ---- */

static void narrow_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct label_selectors *s = target;
	size_t before = x->errors->n;

	selector_item(x, node, s);
	if (s->items[s->n - 1].n == 0 && x->errors->n == before)
		schema_error(x, node->line,
		             "an empty selector names nobody; write match-labels: {KEY: VALUE}, "
		             "or leave the selector out");
}

static void read_narrow(struct schema_ctx *x, const struct schema_key *key,
                        const struct ynode *node, void *field)
{
	struct label_selectors *s = field;

	if (ynode_is_null(node) || (node->kind == YNODE_LIST && node->n_entries == 0)) {
		schema_error(x, node->line,
		             "an empty list names nobody; write [{match-labels: {KEY: VALUE}}], "
		             "or leave %s out",
		             key->name);
		return;
	}
	s->items = xcalloc(node->n_entries + 1, sizeof(*s->items));
	schema_list(x, node, CONFIG_SELECTORS_MAX, narrow_item, s);
}

/* Without them nothing is printed: a list that is empty would be an error. */
static void print_narrow(struct out *o, const struct schema_key *key, const void *field)
{
	const struct label_selectors *s = field;

	if (s->n > 0)
		print_selectors(o, key, field);
}

const struct schema_type narrow_selectors_type = {
	.form = "list of maps",
	.value = SCHEMA_MAP,
	.keys = &selector_table,
	.is_list = true,
	.reads_null = true,
	.read = read_narrow,
	.print = print_narrow,
	.fini = free_selectors,
};
