/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The document's top level, and the configuration's life.  Parts are read in the order in which
 * they refer to each other, whatever their order in the document; reports are sorted by line at the
 * end.
 */
#include "config.h"

#include "fairlead/configuration.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/parse.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"

struct top {
	const struct ynode *peers, *communities, *router_ids, *bfd_profiles, *pools, *external_ips,
		*failover, *layer2_timing, *rebalance, *journal;
};

static void read_node(struct schema_ctx *x, const struct schema_key *key, const struct ynode *node,
                      void *field)
{
	const struct ynode **part = field;

	(void)x;
	(void)key;
	*part = node;
}

static void print_peers(struct out *o, const struct schema_key *key, const void *field)
{
	const struct configuration *c = field;

	out_list(o, key->name);
	for (size_t i = 0; i < c->n_peers; i++) {
		out_object(o, NULL);
		schema_print(o, &peer_table, &c->peers[i]);
		out_close(o);
	}
	out_close(o);
}

static void print_communities(struct out *o, const struct schema_key *key, const void *field)
{
	const struct configuration *c = field;

	out_object(o, key->name);
	for (size_t i = 0; i < c->n_communities; i++)
		out_str(o, c->communities[i].name, c->communities[i].value);
	out_close(o);
}

static void print_router_ids(struct out *o, const struct schema_key *key, const void *field)
{
	const struct configuration *c = field;

	out_object(o, key->name);
	for (size_t i = 0; i < c->n_router_ids; i++)
		out_str(o, c->router_ids[i].node, addr_str(&c->router_ids[i].id));
	out_close(o);
}

static void print_bfd_profiles(struct out *o, const struct schema_key *key, const void *field)
{
	const struct configuration *c = field;

	out_list(o, key->name);
	for (size_t i = 0; i < c->n_bfd_profiles; i++) {
		out_object(o, NULL);
		schema_print(o, &bfd_table, &c->bfd_profiles[i]);
		out_close(o);
	}
	out_close(o);
}

static void print_pools(struct out *o, const struct schema_key *key, const void *field)
{
	const struct configuration *c = field;

	out_list(o, key->name);
	for (size_t i = 0; i < c->n_pools; i++) {
		out_object(o, NULL);
		schema_print(o, &pool_table, &c->pools[i]);
		out_close(o);
	}
	out_close(o);
}

static void print_external(struct out *o, const struct schema_key *key, const void *field)
{
	out_object(o, key->name);
	schema_print(o, &external_table, field);
	out_close(o);
}

static void print_timing(struct out *o, const struct schema_key *key, const void *field)
{
	const struct configuration *c = field;

	out_object(o, key->name);
	schema_print(o, &timing_table, &c->layer2_timing);
	out_close(o);
}

/* Where there is none, the key is not written. */
static void print_rebalance(struct out *o, const struct schema_key *key, const void *field)
{
	const struct configuration *c = field;

	if (!c->rebalance.per_minute)
		return;
	out_object(o, key->name);
	schema_print(o, &rebalance_table, &c->rebalance);
	out_close(o);
}

/* Likewise. */
static void print_journal(struct out *o, const struct schema_key *key, const void *field)
{
	const struct configuration *c = field;

	if (!c->journal.days)
		return;
	out_object(o, key->name);
	schema_print(o, &journal_table, &c->journal);
	out_close(o);
}

static const struct schema_type peers_type = {
	.form = "list of maps",
	.value = SCHEMA_MAP,
	.keys = &peer_table,
	.is_list = true,
	.read = read_node,
	.print = print_peers,
};
static const struct schema_type communities_type = {
	.form = "map",
	.value = SCHEMA_MAP,
	.read = read_node,
	.print = print_communities,
};
static const struct schema_type router_ids_type = {
	.form = "map",
	.value = SCHEMA_MAP,
	.read = read_node,
	.print = print_router_ids,
};
static const struct schema_type bfd_profiles_type = {
	.form = "list of maps",
	.value = SCHEMA_MAP,
	.keys = &bfd_table,
	.is_list = true,
	.read = read_node,
	.print = print_bfd_profiles,
};
static const struct schema_type pools_type = {
	.form = "list of maps",
	.value = SCHEMA_MAP,
	.keys = &pool_table,
	.is_list = true,
	.read = read_node,
	.print = print_pools,
};
static const struct schema_type external_type = {
	.form = "map",
	.value = SCHEMA_MAP,
	.keys = &external_table,
	.read = read_node,
	.print = print_external,
};
static const struct schema_type failover_type = {
	.form = "fast, normal or calm",
	.value = SCHEMA_TEXT,
	.words = failover_words,
	.read = read_node,
	.print = print_failover,
};
static const struct schema_type timing_type = {
	.form = "map",
	.value = SCHEMA_MAP,
	.keys = &timing_table,
	.read = read_node,
	.print = print_timing,
};
static const struct schema_type rebalance_type = {
	.form = "map",
	.value = SCHEMA_MAP,
	.keys = &rebalance_table,
	.reads_null = true,
	.read = read_node,
	.print = print_rebalance,
};

static const struct schema_type journal_type = {
	.form = "map",
	.value = SCHEMA_MAP,
	.keys = &journal_table,
	.reads_null = true,
	.null_is_empty = true,
	.read = read_node,
	.print = print_journal,
};

/*
 * Fields are those of struct top, by which the parts are read in another order; printed is the
 * configuration.
 */
static const struct schema_key document_keys[] = {
	{ .name = "peers",
	  .type = &peers_type,
	  SCHEMA_FIELD(struct top, peers),
	  .doc = "The BGP routers that announcements go to." },
	{ .name = "bgp-communities",
	  .type = &communities_type,
	  SCHEMA_FIELD(struct top, communities),
	  .renamed = "communities",
	  .doc = "Aliases of communities." },
	{ .name = "bgp-router-ids",
	  .type = &router_ids_type,
	  SCHEMA_FIELD(struct top, router_ids),
	  .doc = "Router ids of nodes, by their names." },
	{ .name = "bfd-profiles",
	  .type = &bfd_profiles_type,
	  SCHEMA_FIELD(struct top, bfd_profiles),
	  .doc = "How fast a dead router is noticed." },
	{ .name = "address-pools",
	  .type = &pools_type,
	  SCHEMA_FIELD(struct top, pools),
	  .doc = "The addresses that may be assigned, and how they are announced." },
	{ .name = "external-ips",
	  .type = &external_type,
	  SCHEMA_FIELD(struct top, external_ips),
	  .doc = "Which external IPs that somebody wrote by hand are served." },
	{ .name = "failover",
	  .type = &failover_type,
	  SCHEMA_FIELD(struct top, failover),
	  .otherwise = "normal",
	  .doc = "How fast a dead owner of an address of layer 2 is replaced." },
	{ .name = "layer2-timing",
	  .type = &timing_type,
	  SCHEMA_FIELD(struct top, layer2_timing),
	  .doc = "The same in numbers." },
	{ .name = "rebalance",
	  .type = &rebalance_type,
	  SCHEMA_FIELD(struct top, rebalance),
	  .doc = "Owners by layer 2 hand over addresses to nodes that own less than their share." },
	{ .name = "journal",
	  .type = &journal_type,
	  SCHEMA_FIELD(struct top, journal),
	  .doc = "Keeps a journal of who had which address when." },
};

const struct schema_table document_table = SCHEMA_TABLE("document", document_keys);

void configuration_print(const struct configuration *c, struct out *o, const char *key)
{
	out_object(o, key);
	for (size_t i = 0; i < ARRAY_LEN(document_keys); i++)
		document_keys[i].type->print(o, &document_keys[i], c);
	out_close(o);
}

void configuration_json(const struct configuration *c, struct buf *json)
{
	struct out o;

	out_init(&o, OUT_JSON, json);
	configuration_print(c, &o, NULL);
	out_fini(&o);
}

static void read_part(struct schema_ctx *x, const char *key, const struct ynode *node,
                      struct draft *d,
                      void (*read)(struct schema_ctx *x, const struct ynode *node, struct draft *d))
{
	if (!node)
		return;
	size_t mark = schema_enter_key(x, key);
	read(x, node, d);
	schema_leave(x, mark);
}

static void read_document(struct schema_ctx *x, const struct ynode *root, struct draft *d)
{
	struct top top = { 0 };

	if (!schema_read(x, &document_table, root, &top))
		return;
	read_part(x, "bfd-profiles", top.bfd_profiles, d, parse_bfd_profiles);
	read_part(x, "peers", top.peers, d, parse_peers);
	read_part(x, "bgp-communities", top.communities, d, parse_communities);
	read_part(x, "bgp-router-ids", top.router_ids, d, parse_router_ids);
	read_part(x, "address-pools", top.pools, d, parse_pools);
	read_part(x, "external-ips", top.external_ips, d, parse_external_ips);
	read_part(x, "failover", top.failover, d, parse_failover);
	read_part(x, "layer2-timing", top.layer2_timing, d, parse_layer2_timing);
	read_part(x, "rebalance", top.rebalance, d, parse_rebalance);
	read_part(x, "journal", top.journal, d, parse_journal);
	check_peers(x, d->config);
	check_overlap(x, d);
	check_peers_apart_from_pools(x, d);
}

void draft_fini(struct draft *d)
{
	for (size_t i = 0; i < d->n_aliases; i++) {
		free(d->aliases[i].name);
		free(d->aliases[i].value);
	}
	free(d->aliases);
	for (size_t i = 0; i < d->n_ranges; i++)
		free(d->ranges[i].path);
	free(d->ranges);
	free_seen_reservations(d);
	configuration_unref(d->config);
}

void make_index(struct draft *d)
{
	struct configuration *c = d->config;

	c->index = xcalloc(d->n_ranges + 1, sizeof(*c->index));
	c->n_index = d->n_ranges;
	for (size_t i = 0; i < d->n_ranges; i++)
		c->index[i] = (struct config_range){ .range = d->ranges[i].range,
			                             .pool = d->ranges[i].pool };
}

struct sortable {
	struct config_problem problem;
	size_t position;
};

static int problem_cmp(const void *a, const void *b)
{
	const struct sortable *pa = a, *pb = b;

	if (pa->problem.line != pb->problem.line)
		return pa->problem.line < pb->problem.line ? -1 : 1;
	return (pa->position > pb->position) - (pa->position < pb->position);
}

static void problems_sort(struct config_problems *p)
{
	struct sortable *s = xcalloc(p->n + 1, sizeof(*s));

	for (size_t i = 0; i < p->n; i++)
		s[i] = (struct sortable){ .problem = p->items[i], .position = i };
	qsort(s, p->n, sizeof(*s), problem_cmp);
	for (size_t i = 0; i < p->n; i++)
		p->items[i] = s[i].problem;
	free(s);
}

int parse_text(const char *yaml, size_t size, unsigned int lines_before, bool accepted,
               struct configuration **ret_config, struct config_problems *errors,
               struct config_problems *warnings)
{
	struct schema_ctx x = { .errors = errors, .warnings = warnings, .accepted = accepted };
	struct ytree tree;
	struct ytree_error broken;
	size_t before = errors->n;

	if (ytree_parse(yaml, size, lines_before, &tree, &broken) < 0) {
		schema_error(&x, broken.line, "%s", broken.message);
		buf_fini(&x.path);
		return -EINVAL;
	}
	struct draft d = { .config = xcalloc(1, sizeof(*d.config)) };
	d.config->refs = 1;
	if (tree.root)
		read_document(&x, tree.root, &d);
	ytree_fini(&tree);
	buf_fini(&x.path);
	problems_sort(errors);
	if (warnings)
		problems_sort(warnings);
	if (errors->n > before) {
		draft_fini(&d);
		return -EINVAL;
	}
	make_index(&d);
	fill_layer2_timing(d.config);
	d.config->communities = TAKE(d.aliases);
	d.config->n_communities = d.n_aliases;
	d.n_aliases = 0;
	*ret_config = TAKE(d.config);
	draft_fini(&d);
	return 0;
}

int configuration_parse(const char *yaml, size_t size, struct configuration **ret_config,
                        struct config_problems *errors, struct config_problems *warnings)
{
	return parse_text(yaml, size, 0, false, ret_config, errors, warnings);
}

int configuration_judge(const char *namespace, const char *config_map, const char *text,
                        struct configuration **ret_config, struct config_problems *errors,
                        struct config_problems *warnings)
{
	*ret_config = NULL;
	if (!text) {
		config_problems_add(errors, xasprintf("ConfigMap %s/%s has no key " CONFIG_MAP_KEY
		                                      "; add it",
		                                      namespace, config_map));
		return -EINVAL;
	}
	int r = configuration_parse(text, strlen(text), ret_config, errors, warnings);
	if (r == 0)
		configuration_warn_silent(*ret_config, warnings);
	return r;
}

struct configuration *configuration_ref(struct configuration *c)
{
	c->refs++;
	return c;
}

void configuration_unref(struct configuration *c)
{
	if (!c || --c->refs > 0)
		return;
	for (size_t i = 0; i < c->n_pools; i++)
		schema_fini(&pool_table, &c->pools[i]);
	for (size_t i = 0; i < c->n_retained; i++)
		schema_fini(&pool_table, &c->retained[i]);
	free(c->retained);
	free(c->retained_index);
	for (size_t i = 0; i < c->n_peers; i++)
		schema_fini(&peer_table, &c->peers[i]);
	for (size_t i = 0; i < c->n_bfd_profiles; i++)
		schema_fini(&bfd_table, &c->bfd_profiles[i]);
	schema_fini(&external_table, c);
	for (size_t i = 0; i < c->n_communities; i++) {
		free(c->communities[i].name);
		free(c->communities[i].value);
	}
	free(c->communities);
	for (size_t i = 0; i < c->n_router_ids; i++)
		free(c->router_ids[i].node);
	free(c->router_ids);
	free(c->pools);
	free(c->peers);
	free(c->bfd_profiles);
	free(c->index);
	free(c);
}

const char *protocol_name(enum protocol p)
{
	return p == PROTOCOL_BGP ? "bgp" : "layer2";
}

static const struct config_pool *find_pool(const struct config_pool *pools,
                                           const struct config_range *index, size_t n,
                                           const struct addr *a)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (addr_cmp(&index[mid].range.last, a) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == n || !addr_range_contains(&index[low].range, a))
		return NULL;
	return &pools[index[low].pool];
}

const struct config_pool *configuration_giving_pool_of(const struct configuration *c,
                                                       const struct addr *a)
{
	return find_pool(c->pools, c->index, c->n_index, a);
}

const struct config_pool *configuration_retained_of(const struct configuration *c,
                                                    const struct addr *a)
{
	return find_pool(c->retained, c->retained_index, c->n_retained_index, a);
}

unsigned int configuration_effective_protocols(const struct configuration *c,
                                               unsigned int protocols)
{
	return c->n_peers > 0 ? protocols : protocols & PROTOCOL_LAYER2;
}

const struct config_pool *configuration_pool_of(const struct configuration *c, const struct addr *a)
{
	const struct config_pool *pool = configuration_retained_of(c, a);

	return pool ? pool : configuration_giving_pool_of(c, a);
}

const struct config_peer *configuration_peer_of(const struct configuration *c, const struct addr *a)
{
	for (size_t i = 0; i < c->n_peers; i++)
		if (addr_eq(&c->peers[i].address, a))
			return &c->peers[i];
	return NULL;
}

const struct config_pool *configuration_pool_named(const struct configuration *c, const char *name)
{
	for (size_t i = 0; i < c->n_pools; i++)
		if (!strcmp(c->pools[i].name, name))
			return &c->pools[i];
	return NULL;
}

static bool in_allowed_range(const struct configuration *c, const struct addr *a)
{
	for (size_t i = 0; i < c->n_external_ips_allow; i++)
		if (addr_range_contains(&c->external_ips_allow[i], a))
			return true;
	return false;
}

static bool in_allowed_namespace(const struct configuration *c, const char *namespace)
{
	for (size_t i = 0; i < c->n_external_ips_namespaces; i++)
		if (!strcmp(c->external_ips_namespaces[i], "*") ||
		    !strcmp(c->external_ips_namespaces[i], namespace))
			return true;
	return false;
}

bool configuration_external_ip_allowed(const struct configuration *c, const struct addr *a,
                                       const char *namespace)
{
	return !addr_is_special(a) && in_allowed_range(c, a) && in_allowed_namespace(c, namespace);
}

void config_problems_fini(struct config_problems *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->items[i].path);
		free(p->items[i].message);
	}
	free(p->items);
	*p = (struct config_problems){ 0 };
}

void config_problems_add(struct config_problems *p, char *message)
{
	ARRAY_RESERVE(p->items, p->cap, p->n + 1);
	p->items[p->n++] = (struct config_problem){ .path = xstrdup(""), .message = message };
}

void config_problems_say(const struct config_problems *p, size_t most, struct buf *out)
{
	for (size_t i = 0; i < p->n && i < most; i++) {
		const struct config_problem *item = &p->items[i];
		buf_puts(out, i ? "; " : "");
		if (item->line)
			buf_printf(out, "line %u: ", item->line);
		buf_printf(out, "%s%s%s", item->path, *item->path ? ": " : "", item->message);
	}
	if (p->n > most)
		buf_printf(out, "; and %zu more", p->n - most);
}

void config_problems_put(const struct config_problems *p, const char *key, struct out *o)
{
	out_list(o, key);
	for (size_t i = 0; i < p->n; i++) {
		out_object(o, NULL);
		out_uint(o, "line", p->items[i].line);
		out_str(o, "path", p->items[i].path);
		out_str(o, "message", p->items[i].message);
		out_close(o);
	}
	out_close(o);
}
