/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For whom a pool is: namespaces by name or by their labels, and Services by theirs.  Names and
 * selectors of namespaces are one set, since both say which tenant is meant; Services narrow that
 * down.  Who is meant is decided anew at each look, so that labels may change; what a Service holds
 * by then it keeps.
 *
 * The labels of a Namespace may not be known: nobody watches Namespaces until a pool needs them,
 * and one that was just made may be seen later than its Services.  Only where they would decide is
 * the answer open.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "config/parse.h"
#include "fairlead/mem.h"

/* ---- namespaces ---- */

bool config_namespaces_have(const struct config_namespaces *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (!strcmp(list->names[i], name))
			return true;
	return false;
}

void config_namespaces_put(const struct config_namespaces *list, struct buf *out)
{
	for (size_t i = 0; i < list->n; i++)
		buf_printf(out, "%s%s", i ? ", " : "", list->names[i]);
}

static void namespace_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct config_namespaces *list = target;
	const char *s = schema_text(x, node);

	if (!s)
		return;
	if (!is_namespace(s)) {
		schema_error(x, node->line, "\"%.64s\" is no name of a namespace; write one%s", s,
		             strcmp(s, "*") != 0
		                     ? ""
		                     : ", or leave namespaces out if the pool is for all");
		return;
	}
	if (config_namespaces_have(list, s))
		schema_repeated(x, node, s);
	else
		list->names[list->n++] = xstrdup(s);
}

static void read_namespaces(struct schema_ctx *x, const struct schema_key *key,
                            const struct ynode *node, void *field)
{
	struct config_namespaces *list = field;

	if (ynode_is_null(node) || (node->kind == YNODE_LIST && node->n_entries == 0)) {
		schema_error(x, node->line,
		             "an empty list names nobody; write [NAME], or leave %s out",
		             key->name);
		return;
	}
	list->names = xcalloc(node->n_entries + 1, sizeof(*list->names));
	schema_list(x, node, CONFIG_NAMESPACES_MAX, namespace_item, list);
}

static void print_namespaces(struct out *o, const struct schema_key *key, const void *field)
{
	const struct config_namespaces *list = field;

	if (list->n > 0)
		schema_print_strings(o, key->name, list->names, list->n);
}

static void free_namespaces(void *field)
{
	struct config_namespaces *list = field;

	for (size_t i = 0; i < list->n; i++)
		free(list->names[i]);
	free(list->names);
}

const struct schema_type named_namespaces_type = {
	.form = "list of names",
	.value = SCHEMA_TEXT,
	.is_list = true,
	.reads_null = true,
	.read = read_namespaces,
	.print = print_namespaces,
	.fini = free_namespaces,
};

/* ---- who is meant ---- */

static bool is_narrowed(const struct config_audience *a)
{
	return a->namespaces.n + a->namespace_selectors.n > 0;
}

bool config_pool_is_reserved(const struct config_pool *pool)
{
	return is_narrowed(&pool->audience) || pool->audience.service_selectors.n > 0;
}

static enum config_match match_namespace(const struct config_audience *a, const char *namespace,
                                         const struct labels *labels)
{
	if (!is_narrowed(a))
		return CONFIG_MATCHES;
	if (config_namespaces_have(&a->namespaces, namespace))
		return CONFIG_MATCHES;
	if (a->namespace_selectors.n == 0)
		return CONFIG_MATCHES_NOT;
	if (!labels)
		return CONFIG_MATCHES_PERHAPS;
	return label_selectors_match(&a->namespace_selectors, labels) ? CONFIG_MATCHES
	                                                              : CONFIG_MATCHES_NOT;
}

enum config_match config_pool_matches(const struct config_pool *pool, const char *namespace,
                                      const struct labels *namespace_labels,
                                      const struct labels *labels)
{
	const struct config_audience *a = &pool->audience;

	if (a->service_selectors.n > 0 && !label_selectors_match(&a->service_selectors, labels))
		return CONFIG_MATCHES_NOT;
	return match_namespace(a, namespace, namespace_labels);
}

const struct config_pool *configuration_selects_namespaces(const struct configuration *c)
{
	for (size_t i = 0; i < c->n_pools; i++)
		if (c->pools[i].audience.namespace_selectors.n > 0)
			return &c->pools[i];
	return NULL;
}

int config_pool_cmp(const struct config_pool *a, const struct config_pool *b)
{
	bool ra = config_pool_is_reserved(a), rb = config_pool_is_reserved(b);

	if (ra != rb)
		return ra ? -1 : 1;
	if (a->has_priority != b->has_priority)
		return a->has_priority ? -1 : 1;
	if (a->has_priority && a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;
	return strcmp(a->name, b->name);
}

/* ---- in words ---- */

void config_pool_say_audience(const struct config_pool *pool, struct buf *out)
{
	const struct config_audience *a = &pool->audience;

	if (is_narrowed(a)) {
		buf_puts(out, "namespaces ");
		config_namespaces_put(&a->namespaces, out);
		buf_puts(out, a->namespaces.n && a->namespace_selectors.n ? ", " : "");
		label_selectors_put(&a->namespace_selectors, out);
	}
	if (a->service_selectors.n > 0) {
		buf_printf(out, "%sServices ", is_narrowed(a) ? "; " : "");
		label_selectors_put(&a->service_selectors, out);
	}
}

static void put_selectors(const struct label_selectors *s, const char *key, struct out *o)
{
	out_list(o, key);
	for (size_t i = 0; i < s->n; i++) {
		cleanup(buf_fini) struct buf text = BUF_INIT;
		label_selector_put(&s->items[i], &text);
		out_str(o, NULL, buf_str(&text));
	}
	out_close(o);
}

void config_pool_put_audience(const struct config_pool *pool, const char *key, struct out *o)
{
	const struct config_audience *a = &pool->audience;

	if (!config_pool_is_reserved(pool))
		return;
	out_object(o, key);
	schema_print_strings(o, "namespaces", a->namespaces.names, a->namespaces.n);
	put_selectors(&a->namespace_selectors, "namespace_selectors", o);
	put_selectors(&a->service_selectors, "service_selectors", o);
	out_close(o);
}
