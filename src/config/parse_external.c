/* SPDX-License-Identifier: Apache-2.0 */
/*
 * external-ips: where external IPs that somebody wrote by hand are served.  Anybody who may create
 * a Service can name any address there (CVE-2020-8554), so nothing is allowed unless it is listed:
 * both lists are empty unless given, and a list that an edit has left empty means what it says.
 */
#include "config.h"

#include "config/parse.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

#define LABEL_MAX 63

/* Fields of the keys are the configuration's; reading needs this in its place. */
struct external_target {
	struct configuration *config;
	size_t cap_allow, cap_namespaces;
};

static void allow_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct external_target *t = target;
	struct configuration *c = t->config;
	struct addr_range range;

	if (!range_parse(x, node, &range))
		return;
	ARRAY_RESERVE(c->external_ips_allow, t->cap_allow, c->n_external_ips_allow + 1);
	c->external_ips_allow[c->n_external_ips_allow++] = range;
}

static void read_allow(struct schema_ctx *x, const struct schema_key *key, const struct ynode *node,
                       void *field)
{
	(void)key;
	schema_list(x, node, CONFIG_ALLOW_MAX, allow_item, field);
}

static void print_allow(struct out *o, const struct schema_key *key, const void *field)
{
	const struct configuration *c = field;

	schema_print_ranges(o, key->name, c->external_ips_allow, c->n_external_ips_allow);
}

static void free_allow(void *field)
{
	struct configuration *c = field;

	free(c->external_ips_allow);
}

static const struct schema_type allow_type = {
	.form = "list of CIDRs and ranges",
	.value = SCHEMA_NOTATION,
	.is_list = true,
	.read = read_allow,
	.print = print_allow,
	.fini = free_allow,
};

bool is_namespace(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n <= LABEL_MAX && s[0] != '-' && s[n - 1] != '-' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static void namespace_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct external_target *t = target;
	struct configuration *c = t->config;
	const char *s = schema_text(x, node);

	if (!s)
		return;
	if (!is_namespace(s) && strcmp(s, "*") != 0) {
		schema_error(x, node->line,
		             "\"%.64s\" is no name of a namespace; write one, or \"*\" for all", s);
		return;
	}
	for (size_t i = 0; i < c->n_external_ips_namespaces; i++)
		if (!strcmp(c->external_ips_namespaces[i], s)) {
			schema_repeated(x, node, s);
			return;
		}
	ARRAY_RESERVE(c->external_ips_namespaces, t->cap_namespaces,
	              c->n_external_ips_namespaces + 1);
	c->external_ips_namespaces[c->n_external_ips_namespaces++] = xstrdup(s);
}

static void read_namespaces(struct schema_ctx *x, const struct schema_key *key,
                            const struct ynode *node, void *field)
{
	(void)key;
	schema_list(x, node, CONFIG_NAMESPACES_MAX, namespace_item, field);
}

static void print_namespaces(struct out *o, const struct schema_key *key, const void *field)
{
	const struct configuration *c = field;

	schema_print_strings(o, key->name, c->external_ips_namespaces,
	                     c->n_external_ips_namespaces);
}

static void free_namespaces(void *field)
{
	struct configuration *c = field;

	for (size_t i = 0; i < c->n_external_ips_namespaces; i++)
		free(c->external_ips_namespaces[i]);
	free(c->external_ips_namespaces);
}

static const struct schema_type namespaces_type = {
	.form = "list of names",
	.value = SCHEMA_TEXT,
	.is_list = true,
	.read = read_namespaces,
	.print = print_namespaces,
	.fini = free_namespaces,
};

static const struct schema_key external_keys[] = {
	{ .name = "allow",
	  .type = &allow_type,
	  .otherwise = "none",
	  .doc = "Addresses, written as those of a pool; they may overlap each other and the "
	         "pools. Loopback, link-local, multicast and unspecified addresses are never "
	         "allowed." },
	{ .name = "namespaces",
	  .type = &namespaces_type,
	  .otherwise = "none",
	  .doc = "Where they are allowed; `\"*\"` stands for all. Without it, and with an empty "
	         "list, no namespace is allowed, whatever `allow` says; that gives a warning." },
};

const struct schema_table external_table = SCHEMA_TABLE("external-ips", external_keys);

void parse_external_ips(struct schema_ctx *x, const struct ynode *node, struct draft *d)
{
	struct configuration *c = d->config;
	struct external_target t = { .config = c };
	size_t before = x->errors->n;

	schema_read(x, &external_table, node, &t);
	if (x->errors->n > before)
		return;
	if (c->n_external_ips_allow > 0 && c->n_external_ips_namespaces == 0)
		schema_warning(
			x, node->line,
			"allows nothing: no namespaces are named; write namespaces: [NAME], or "
			"namespaces: [\"*\"] for all");
	if (c->n_external_ips_allow == 0 && c->n_external_ips_namespaces > 0)
		schema_warning(
			x, node->line,
			"allows nothing: no addresses are named; write allow: [192.0.2.0/24], "
			"for example");
}
