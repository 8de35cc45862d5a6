/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool's layer2: the rows of its entries' keys.
 *
 * Interfaces are named as --interface of the speaker does it, by an extended regular expression of
 * the whole name, since a plain name is one as well.  What takes time or memory without bound in an
 * expression is refused: counts in braces, which multiply, and references to what matched before.
 */
#include "config.h"

#include <ctype.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "config/parse.h"
#include "fairlead/mem.h"

#define INTERFACES_MAX 64     /* an entry */
#define INTERFACE_SIZE_MAX 64 /* an expression; a name has at most 15 characters */

/* ---- interfaces ---- */

static bool is_too_mighty(const char *s)
{
	if (strchr(s, '{'))
		return true;
	for (; *s; s++)
		if (*s == '\\' && *++s && isalnum((unsigned char)*s))
			return true;
		else if (!*s)
			break;
	return false;
}

/* NULL, and reported, if it is no expression that we take. */
static const char *pattern(struct schema_ctx *x, const struct ynode *node)
{
	const char *s = schema_text(x, node);
	regex_t compiled;
	char why[128];

	if (!s)
		return NULL;
	if (!*s || strlen(s) > INTERFACE_SIZE_MAX || is_too_mighty(s)) {
		schema_error(
			x, node->line,
			"invalid interface \"%.64s\": write a name such as eth1, or an extended "
			"regular expression of at most %d characters without counts in braces, "
			"such as eth[0-9]+",
			s, INTERFACE_SIZE_MAX);
		return NULL;
	}
	int r = regcomp(&compiled, s, REG_EXTENDED);
	if (r == 0) {
		regfree(&compiled);
		return s;
	}
	regerror(r, &compiled, why, sizeof(why));
	schema_error(x, node->line,
	             "invalid interface \"%.64s\": %s; write a name such as eth1, or an extended "
	             "regular expression",
	             s, why);
	return NULL;
}

static void interface_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct config_layer2 *entry = target;
	const char *s = pattern(x, node);

	if (s)
		entry->interfaces[entry->n_interfaces++] = xstrdup(s);
}

static void read_interfaces(struct schema_ctx *x, const struct schema_key *key,
                            const struct ynode *node, void *field)
{
	struct config_layer2 *entry = field;

	if (ynode_is_null(node) || (node->kind == YNODE_LIST && node->n_entries == 0)) {
		schema_error(
			x, node->line,
			"an empty list names no interface; write [eth1], for example, or leave "
			"%s out",
			key->name);
		return;
	}
	entry->interfaces = xcalloc(node->n_entries + 1, sizeof(*entry->interfaces));
	schema_list(x, node, INTERFACES_MAX, interface_item, entry);
}

static void print_interfaces(struct out *o, const struct schema_key *key, const void *field)
{
	const struct config_layer2 *entry = field;

	if (entry->n_interfaces > 0)
		schema_print_strings(o, key->name, entry->interfaces, entry->n_interfaces);
}

static void free_interfaces(void *field)
{
	struct config_layer2 *entry = field;

	for (size_t i = 0; i < entry->n_interfaces; i++)
		free(entry->interfaces[i]);
	free(entry->interfaces);
}

static const struct schema_type interfaces_type = {
	.form = "list of names",
	.value = SCHEMA_TEXT,
	.is_list = true,
	.reads_null = true,
	.read = read_interfaces,
	.print = print_interfaces,
	.fini = free_interfaces,
};

/* ---- subnet ---- */

/* By whether it is routed. */
static const char *const subnet_words[] = { "local", "routed", NULL };

static void read_subnet(struct schema_ctx *x, const struct schema_key *key,
                        const struct ynode *node, void *field)
{
	struct config_layer2 *entry = field;
	const char *s = schema_text(x, node);
	int i = s ? schema_word_index(subnet_words, s) : -1;

	(void)key;
	if (s && i < 0)
		schema_error(x, node->line, "unknown subnet \"%.64s\"; write local or routed", s);
	else if (s)
		entry->routed = i == 1;
}

static void print_subnet(struct out *o, const struct schema_key *key, const void *field)
{
	const struct config_layer2 *entry = field;

	if (entry->routed)
		out_str(o, key->name, subnet_words[1]);
}

static const struct schema_type subnet_type = {
	.form = "word",
	.value = SCHEMA_TEXT,
	.words = subnet_words,
	.read = read_subnet,
	.print = print_subnet,
};

/* ---- preferred nodes ---- */

static const struct schema_key preference_keys[] = {
	{ .name = "weight",
	  .type = &schema_int,
	  .min = 1,
	  .max = 100,
	  .required = "a preference has no weight; write weight: 10, for example",
	  .invalid = "invalid weight",
	  SCHEMA_FIELD(struct config_preference, weight),
	  .doc = "From 1 to 100. A node's weights in all entries that are for it and the Service "
	         "are added up." },
	{ .name = "match-labels",
	  .type = &match_labels_type,
	  SCHEMA_FIELD(struct config_preference, nodes),
	  .doc = "Labels that the Node must have, with these values." },
	{ .name = "match-expressions",
	  .type = &match_expressions_type,
	  SCHEMA_FIELD(struct config_preference, nodes),
	  .doc = "Conditions on its labels, all of which must hold." },
};

const struct schema_table preference_table = SCHEMA_TABLE("preferred-nodes", preference_keys);

static void preference_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct config_layer2 *entry = target;
	struct config_preference *p = &entry->preferred_nodes[entry->n_preferred_nodes++];
	size_t before = x->errors->n;

	schema_read(x, &preference_table, node, p);
	if (p->nodes.n == 0 && x->errors->n == before)
		schema_error(x, node->line,
		             "prefers every node, and so none; write match-labels: {KEY: VALUE} "
		             "beside the weight, or leave it out");
}

static void read_preferred(struct schema_ctx *x, const struct schema_key *key,
                           const struct ynode *node, void *field)
{
	struct config_layer2 *entry = field;

	(void)key;
	entry->preferred_nodes = xcalloc(node->n_entries + 1, sizeof(*entry->preferred_nodes));
	schema_list(x, node, CONFIG_SELECTORS_MAX, preference_item, entry);
}

static void print_preferred(struct out *o, const struct schema_key *key, const void *field)
{
	const struct config_layer2 *entry = field;

	if (entry->n_preferred_nodes == 0)
		return;
	out_list(o, key->name);
	for (size_t i = 0; i < entry->n_preferred_nodes; i++) {
		out_object(o, NULL);
		schema_print(o, &preference_table, &entry->preferred_nodes[i]);
		out_close(o);
	}
	out_close(o);
}

static void free_preferred(void *field)
{
	struct config_layer2 *entry = field;

	for (size_t i = 0; i < entry->n_preferred_nodes; i++)
		schema_fini(&preference_table, &entry->preferred_nodes[i]);
	free(entry->preferred_nodes);
}

static const struct schema_type preferred_type = {
	.form = "list of maps",
	.value = SCHEMA_MAP,
	.keys = &preference_table,
	.is_list = true,
	.read = read_preferred,
	.print = print_preferred,
	.fini = free_preferred,
};

/* ---- entries ---- */

static const struct schema_key layer2_keys[] = {
	{ .name = "interfaces",
	  .type = &interfaces_type,
	  .otherwise = "all",
	  .doc = "Names of interfaces, such as `eth1`, or extended regular expressions that match "
	         "the whole name, such as `bond[0-9]+`; counts in braces are not taken. Of the "
	         "interfaces that the speaker's `--interface` leaves it, the address is announced "
	         "on one of these alone. A node that has none of them announces nothing "
	         "(`InterfaceNotSelected`)." },
	{ .name = "subnet",
	  .type = &subnet_type,
	  .otherwise = "local",
	  .doc = "`routed`: the entry's `interfaces`, which must be given, announce addresses of any "
	         "subnet, for networks whose routers have a route to the pool by the link itself. "
	         "An interface that has a subnet of the address comes first. `local`: an interface "
	         "announces only addresses of its own subnets (`NoInterface`)." },
	{ .name = "node-selectors",
	  .type = &narrow_selectors_type,
	  SCHEMA_FIELD(struct config_layer2, node_selectors),
	  .otherwise = "all",
	  .doc = "The entry is for nodes that one of these selects by the labels of the Node. Where "
	         "no entry is for a node, it does not announce the address (`NodeNotSelected`)." },
	{ .name = "service-selectors",
	  .type = &narrow_selectors_type,
	  SCHEMA_FIELD(struct config_layer2, service_selectors),
	  .otherwise = "all",
	  .doc = "The entry is for Services that one of these selects by the labels of the Service. "
	         "Where no entry is for a Service, its address is assigned, and no node announces "
	         "it by layer 2 (`ServiceNotSelected`)." },
	{ .name = "preferred-nodes",
	  .type = &preferred_type,
	  .otherwise = "none",
	  .doc = "Nodes that get an address that nobody has before others, by the weight of those "
	         "that select them; see below. Who has an address keeps it, also when a node comes "
	         "that is preferred, unless `rebalance` is set." },
};

const struct schema_table layer2_table = SCHEMA_TABLE("layer2", layer2_keys);

static void layer2_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct config_pool *pool = target;
	struct config_layer2 *entry = &pool->layer2[pool->n_layer2++];

	size_t before = x->errors->n;

	entry->line = node->line;
	schema_read(x, &layer2_table, node, entry);
	if (entry->routed && entry->n_interfaces == 0 && x->errors->n == before) {
		size_t key = schema_enter_key(x, "subnet");
		schema_error(
			x, node->line,
			"routed says nothing without interfaces; write interfaces: [eth1], for "
			"example, beside it");
		schema_leave(x, key);
	}
}

static void read_layer2(struct schema_ctx *x, const struct schema_key *key,
                        const struct ynode *node, void *field)
{
	struct config_pool *pool = field;

	if (ynode_is_null(node) || (node->kind == YNODE_LIST && node->n_entries == 0)) {
		schema_error(x, node->line,
		             "an empty list announces nowhere; write [{interfaces: [eth1]}], for "
		             "example, or leave %s out",
		             key->name);
		return;
	}
	pool->layer2 = xcalloc(node->n_entries + 1, sizeof(*pool->layer2));
	schema_list(x, node, CONFIG_LAYER2_MAX, layer2_item, pool);
}

void print_layer2(struct out *o, const char *key, const struct config_pool *pool)
{
	out_list(o, key);
	for (size_t i = 0; i < pool->n_layer2; i++) {
		out_object(o, NULL);
		schema_print(o, &layer2_table, &pool->layer2[i]);
		out_close(o);
	}
	out_close(o);
}

/* Without entries nothing is printed: a list that is empty would be an error. */
static void print_entries(struct out *o, const struct schema_key *key, const void *field)
{
	const struct config_pool *pool = field;

	if (pool->n_layer2 > 0)
		print_layer2(o, key->name, pool);
}

static void free_layer2(void *field)
{
	struct config_pool *pool = field;

	for (size_t i = 0; i < pool->n_layer2; i++)
		schema_fini(&layer2_table, &pool->layer2[i]);
	free(pool->layer2);
}

const struct schema_type layer2_type = {
	.form = "list of maps",
	.value = SCHEMA_MAP,
	.keys = &layer2_table,
	.is_list = true,
	.reads_null = true,
	.read = read_layer2,
	.print = print_entries,
	.fini = free_layer2,
};

/* Of all its expressions, each in parentheses and apart from the next. */
static size_t interfaces_size(const struct config_pool *pool)
{
	size_t size = 0;

	for (size_t i = 0; i < pool->n_layer2; i++)
		for (size_t k = 0; k < pool->layer2[i].n_interfaces; k++)
			size += strlen(pool->layer2[i].interfaces[k]) + strlen("|()");
	return size;
}

void check_layer2(struct schema_ctx *x, const struct config_pool *pool)
{
	size_t key = schema_enter_key(x, "layer2");

	if (pool->n_layer2 > 0 && !(pool->protocols & PROTOCOL_LAYER2) && pool->protocols)
		schema_error(x, pool->layer2[0].line,
		             "says where layer 2 announces, which the pool's protocol leaves out; "
		             "remove it, or write protocol: [layer2, bgp]");
	size_t size = interfaces_size(pool);
	if (size > CONFIG_INTERFACES_BYTES_MAX)
		schema_error(
			x, pool->layer2[0].line,
			"the interfaces of all entries take %zu bytes, and %d are the most; use "
			"expressions such as eth[0-9]+ in place of long lists",
			size, CONFIG_INTERFACES_BYTES_MAX);
	schema_leave(x, key);
}
