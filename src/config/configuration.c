/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The document's top level, and the configuration's life.  Parts are read in the order in which they refer to each
 * other, whatever their order in the document; reports are sorted by line at the end.
 */
#include "config.h"

#include "fairlead/configuration.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/parse.h"
#include "fairlead/mem.h"

struct top {
	const struct ynode *peers, *communities, *bfd_profiles, *pools, *external_ips;
};

static void set_node(struct schema_ctx *x, const struct schema_key *key, const struct ynode *node,
                     void *target)
{
	const struct ynode **field = target;
	(void)x;
	(void)key;
	*field = node;
}

static const struct schema_key top_keys[] = {
	{ .name = "peers", .set = set_node, SCHEMA_FIELD(struct top, peers) },
	{ .name = "bgp-communities",
	  .set = set_node,
	  SCHEMA_FIELD(struct top, communities),
	  .renamed = "communities" },
	{ .name = "bfd-profiles", .set = set_node, SCHEMA_FIELD(struct top, bfd_profiles) },
	{ .name = "address-pools", .set = set_node, SCHEMA_FIELD(struct top, pools) },
	{ .name = "external-ips", .set = set_node, SCHEMA_FIELD(struct top, external_ips) },
};

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

	if (!schema_map(x, top_keys, ARRAY_LEN(top_keys), root, &top))
		return;
	read_part(x, "bfd-profiles", top.bfd_profiles, d, parse_bfd_profiles);
	read_part(x, "peers", top.peers, d, parse_peers);
	read_part(x, "bgp-communities", top.communities, d, parse_communities);
	read_part(x, "address-pools", top.pools, d, parse_pools);
	read_part(x, "external-ips", top.external_ips, d, parse_external_ips);
	check_peers(x, d->config);
	check_overlap(x, d);
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

int parse_text(const char *yaml, size_t size, unsigned int lines_before,
               struct configuration **ret_config, struct config_problems *errors,
               struct config_problems *warnings)
{
	struct schema_ctx x = { .errors = errors, .warnings = warnings };
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
	return parse_text(yaml, size, 0, ret_config, errors, warnings);
}

struct configuration *configuration_ref(struct configuration *c)
{
	c->refs++;
	return c;
}

static void pool_fini(struct config_pool *pool)
{
	for (size_t i = 0; i < pool->n_advertisements; i++) {
		for (size_t k = 0; k < pool->advertisements[i].n_communities; k++)
			free(pool->advertisements[i].communities[k]);
		free(pool->advertisements[i].communities);
	}
	for (size_t i = 0; i < pool->n_renumber_services; i++)
		free(pool->renumber_services[i]);
	free(pool->renumber_services);
	free(pool->advertisements);
	free(pool->ranges);
	free(pool->name);
}

static void peer_fini(struct config_peer *peer)
{
	for (size_t i = 0; i < peer->n_node_selectors; i++)
		label_selector_fini(&peer->node_selectors[i]);
	free(peer->node_selectors);
	free(peer->name);
	free(peer->bfd_profile);
	if (peer->password)
		explicit_bzero(peer->password, strlen(peer->password));
	free(peer->password);
	free(peer->password_secret);
}

void configuration_unref(struct configuration *c)
{
	if (!c || --c->refs > 0)
		return;
	for (size_t i = 0; i < c->n_pools; i++)
		pool_fini(&c->pools[i]);
	for (size_t i = 0; i < c->n_retained; i++)
		pool_fini(&c->retained[i]);
	free(c->retained);
	free(c->retained_index);
	for (size_t i = 0; i < c->n_peers; i++)
		peer_fini(&c->peers[i]);
	for (size_t i = 0; i < c->n_bfd_profiles; i++)
		free(c->bfd_profiles[i].name);
	for (size_t i = 0; i < c->n_communities; i++) {
		free(c->communities[i].name);
		free(c->communities[i].value);
	}
	for (size_t i = 0; i < c->n_external_ips_namespaces; i++)
		free(c->external_ips_namespaces[i]);
	free(c->external_ips_namespaces);
	free(c->external_ips_allow);
	free(c->communities);
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
