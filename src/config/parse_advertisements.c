/* SPDX-License-Identifier: Apache-2.0 */
/* A pool's bgp-advertisements: the rows of their keys, and whether they suit the pool. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "config/parse.h"
#include "fairlead/mem.h"

struct advertisement_target {
	struct config_advertisement adv;
	const struct draft *draft;
	size_t cap_communities;
};

static void community_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct advertisement_target *t = target;
	const char *s = schema_text(x, node);
	char *value = s ? community_resolve(t->draft, s) : NULL;

	if (s && !value)
		schema_error(
			x, node->line,
			"invalid community \"%.64s\": neither an alias of bgp-communities, nor two "
			"numbers up to 65535 such as 65535:65281, nor large:64500:1:2",
			s);
	for (size_t i = 0; value && i < t->adv.n_communities; i++)
		if (!strcmp(t->adv.communities[i], value)) {
			schema_error(x, node->line,
			             "duplicate definition of community \"%.64s\"; keep one", s);
			free(TAKE(value));
		}
	if (!value)
		return;
	ARRAY_RESERVE(t->adv.communities, t->cap_communities, t->adv.n_communities + 1);
	t->adv.communities[t->adv.n_communities++] = value;
}

static void read_communities(struct schema_ctx *x, const struct schema_key *key,
                             const struct ynode *node, void *field)
{
	(void)key;
	schema_list(x, node, CONFIG_ADVERTISEMENTS_MAX, community_item, field);
}

static void print_communities(struct out *o, const struct schema_key *key, const void *field)
{
	const struct config_advertisement *adv = field;

	schema_print_strings(o, key->name, adv->communities, adv->n_communities);
}

static void free_communities(void *field)
{
	struct config_advertisement *adv = field;

	for (size_t i = 0; i < adv->n_communities; i++)
		free(adv->communities[i]);
	free(adv->communities);
}

static const struct schema_type communities_type = {
	.form = "list of aliases, \"A:B\" and \"large:A:B:C\"",
	.value = SCHEMA_TEXT,
	.is_list = true,
	.read = read_communities,
	.print = print_communities,
	.fini = free_communities,
};

static void read_localpref(struct schema_ctx *x, const struct schema_key *key,
                           const struct ynode *node, void *field)
{
	struct config_advertisement *adv = field;

	adv->has_localpref = true;
	schema_read_int(x, key, node, &adv->localpref);
}

static void print_localpref(struct out *o, const struct schema_key *key, const void *field)
{
	const struct config_advertisement *adv = field;

	out_uint(o, key->name, adv->localpref);
}

static const struct schema_type localpref_type = {
	.form = "number",
	.value = SCHEMA_NUMBER,
	.read = read_localpref,
	.print = print_localpref,
};

/* ---- for whom ---- */

static const struct config_peer *peer_named(const struct configuration *c, const char *name)
{
	for (size_t i = 0; i < c->n_peers; i++)
		if (c->peers[i].is_named && !strcmp(c->peers[i].name, name))
			return &c->peers[i];
	return NULL;
}

static void peer_name_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct advertisement_target *t = target;
	const char *s = schema_text(x, node);

	if (!s)
		return;
	/* A peer may have gone since its address was retained. */
	if (!t->draft->retained && !peer_named(t->draft->config, s)) {
		schema_error(x, node->line,
		             "there is no peer \"%.64s\"; write a name that one of peers has, or "
		             "give it that one by name: %.64s",
		             s, s);
		return;
	}
	if (t->adv.n_peers > 0 && config_advertisement_reaches(&t->adv, s))
		schema_repeated(x, node, s);
	else
		t->adv.peers[t->adv.n_peers++] = xstrdup(s);
}

static void read_peer_names(struct schema_ctx *x, const struct schema_key *key,
                            const struct ynode *node, void *field)
{
	struct advertisement_target *t = field;

	if (ynode_is_null(node) || (node->kind == YNODE_LIST && node->n_entries == 0)) {
		schema_error(x, node->line,
		             "an empty list names nobody; write [NAME], or leave %s out",
		             key->name);
		return;
	}
	t->adv.peers = xcalloc(node->n_entries + 1, sizeof(*t->adv.peers));
	schema_list(x, node, CONFIG_PEERS_MAX, peer_name_item, t);
}

static void print_peer_names(struct out *o, const struct schema_key *key, const void *field)
{
	const struct config_advertisement *adv = field;

	if (adv->n_peers > 0)
		schema_print_strings(o, key->name, adv->peers, adv->n_peers);
}

static void free_peer_names(void *field)
{
	struct config_advertisement *adv = field;

	for (size_t i = 0; i < adv->n_peers; i++)
		free(adv->peers[i]);
	free(adv->peers);
}

static const struct schema_type peer_names_type = {
	.form = "list of names",
	.value = SCHEMA_TEXT,
	.is_list = true,
	.reads_null = true,
	.read = read_peer_names,
	.print = print_peer_names,
	.fini = free_peer_names,
};

static const struct schema_key advertisement_keys[] = {
	{ .name = "aggregation-length",
	  .type = &schema_int,
	  .min = 0,
	  .max = 32,
	  .by_default = 32,
	  .invalid = "invalid aggregation length",
	  SCHEMA_FIELD(struct config_advertisement, aggregation_len),
	  .doc = "Services of policy Cluster are announced by the prefix of this length around "
	         "their IPv4 address, in which many may be one route; an address of policy Local "
	         "is always announced by itself. It must not be shorter than the widest prefix in "
	         "any of the pool's entries." },
	{ .name = "aggregation-length-v6",
	  .type = &schema_int,
	  .min = 0,
	  .max = 128,
	  .by_default = 128,
	  .invalid = "invalid aggregation length",
	  SCHEMA_FIELD(struct config_advertisement, aggregation_len_v6),
	  .doc = "The same for IPv6." },
	{ .name = "localpref",
	  .type = &localpref_type,
	  .min = 0,
	  .max = UINT32_MAX,
	  .invalid = "invalid local preference",
	  .size = sizeof(uint32_t),
	  .otherwise = "none",
	  .doc = "The local preference, which only routers of the own AS are sent. Two "
	         "advertisements with different ones must not lead to one prefix of one length for "
	         "the same peers, nodes and Services." },
	{ .name = "communities",
	  .type = &communities_type,
	  .doc = "Sent with the routes; an alias is one of `bgp-communities`. None twice." },
	{ .name = "peers",
	  .type = &peer_names_type,
	  .otherwise = "all",
	  .doc = "The peers that are sent this advertisement, by the `name` that each has in `peers`; "
	         "of these, a node sends it to its own." },
	{ .name = "node-selectors",
	  .type = &narrow_selectors_type,
	  SCHEMA_FIELD(struct config_advertisement, node_selectors),
	  .otherwise = "all",
	  .doc = "It is for the nodes that one of these selects by the labels of the Node." },
	{ .name = "service-selectors",
	  .type = &narrow_selectors_type,
	  SCHEMA_FIELD(struct config_advertisement, service_selectors),
	  .otherwise = "all",
	  .doc = "It is for the Services that one of these selects by the labels of the Service." },
};

const struct schema_table advertisement_table =
	SCHEMA_TABLE("bgp-advertisements", advertisement_keys);

void config_advertisement_init(struct config_advertisement *adv)
{
	*adv = (struct config_advertisement){ 0 };
	schema_defaults(&advertisement_table, adv);
}

static void advertisement_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct pool_target *t = target;
	struct advertisement_target a = { .draft = t->draft };

	config_advertisement_init(&a.adv);
	a.adv.line = node->line;
	schema_read(x, &advertisement_table, node, &a);
	t->advertisement_nodes[t->pool.n_advertisements] = node;
	ARRAY_RESERVE(t->pool.advertisements, t->cap_advertisements, t->pool.n_advertisements + 1);
	t->pool.advertisements[t->pool.n_advertisements++] = a.adv;
}

static void read_advertisements(struct schema_ctx *x, const struct schema_key *key,
                                const struct ynode *node, void *field)
{
	(void)key;
	schema_list(x, node, CONFIG_ADVERTISEMENTS_MAX, advertisement_item, field);
}

static void print_advertisements(struct out *o, const struct schema_key *key, const void *field)
{
	const struct config_pool *pool = field;

	out_list(o, key->name);
	for (size_t i = 0; i < pool->n_advertisements; i++) {
		out_object(o, NULL);
		schema_print(o, &advertisement_table, &pool->advertisements[i]);
		out_close(o);
	}
	out_close(o);
}

static void free_advertisements(void *field)
{
	struct config_pool *pool = field;

	for (size_t i = 0; i < pool->n_advertisements; i++)
		schema_fini(&advertisement_table, &pool->advertisements[i]);
	free(pool->advertisements);
}

const struct schema_type advertisements_type = {
	.form = "list of maps",
	.value = SCHEMA_MAP,
	.keys = &advertisement_table,
	.is_list = true,
	.read = read_advertisements,
	.print = print_advertisements,
	.fini = free_advertisements,
};

static bool advertisement_eq(const struct config_advertisement *a,
                             const struct config_advertisement *b)
{
	if (a->aggregation_len != b->aggregation_len ||
	    a->aggregation_len_v6 != b->aggregation_len_v6 || a->localpref != b->localpref ||
	    a->n_communities != b->n_communities || !config_advertisements_are_for_the_same(a, b))
		return false;
	/*
	 * Each list is free of duplicates, so that one contains the other only if they are equal.
	 */
	for (size_t i = 0; i < a->n_communities; i++) {
		size_t k = 0;
		while (k < b->n_communities && strcmp(a->communities[i], b->communities[k]) != 0)
			k++;
		if (k == b->n_communities)
			return false;
	}
	return true;
}

/* The length of the widest prefix that lies inside @r. */
static unsigned int widest_prefix(const struct addr_range *r)
{
	unsigned int len;

	for (len = 0; len < addr_bits(&r->first); len++) {
		struct prefix p = prefix_of(&r->first, len);
		struct addr_range block = prefix_range(&p);
		/*
		 * The first aligned block: the one that starts with the range, or the one after
		 * that.
		 */
		if (!addr_eq(&block.first, &r->first)) {
			if (!addr_next(&block.last, &block.first))
				continue;
			p = prefix_of(&block.first, len);
			block = prefix_range(&p);
		}
		if (addr_cmp(&block.last, &r->last) <= 0)
			break;
	}
	return len;
}

static void check_aggregation(struct schema_ctx *x, const struct pool_target *t, size_t i)
{
	const struct config_advertisement *adv = &t->pool.advertisements[i];

	for (size_t k = 0; k < t->pool.n_ranges; k++) {
		const struct addr_range *r = &t->pool.ranges[k];
		bool is_v4 = r->first.family == 4;
		const char *key = is_v4 ? "aggregation-length" : "aggregation-length-v6";
		unsigned int len = is_v4 ? adv->aggregation_len : adv->aggregation_len_v6;
		unsigned int widest = widest_prefix(r);
		char text[ADDR_RANGE_STR_SIZE];

		if (len >= widest)
			continue;
		size_t mark = schema_enter_key(x, key);
		schema_error(x, schema_line(t->advertisement_nodes[i], key),
		             "invalid aggregation length %u: prefix %u in this pool is more "
		             "specific than the aggregation length for addresses %s; write %u or "
		             "more",
		             len, widest, addr_range_format(r, text), widest);
		schema_leave(x, mark);
		return;
	}
}

static bool may_meet(const struct label_selectors *a, const struct label_selectors *b)
{
	return a->n == 0 || b->n == 0 || label_selectors_eq(a, b);
}

static bool shares_a_peer(const struct config_advertisement *a,
                          const struct config_advertisement *b)
{
	bool shares = a->n_peers == 0 || b->n_peers == 0;

	for (size_t i = 0; i < a->n_peers && !shares; i++)
		shares = config_advertisement_reaches(b, a->peers[i]);
	return shares;
}

static bool has_family(const struct config_pool *pool, uint8_t family)
{
	bool has = false;

	for (size_t i = 0; i < pool->n_ranges && !has; i++)
		has = pool->ranges[i].first.family == family;
	return has;
}

/*
 * Whether a peer would be sent one prefix with two local preferences.  Two that select nodes, or
 * Services, by different labels may be for different ones.
 */
static bool contradict(const struct config_pool *pool, const struct config_advertisement *a,
                       const struct config_advertisement *b)
{
	bool same_prefix = (a->aggregation_len == b->aggregation_len && has_family(pool, 4)) ||
	                   (a->aggregation_len_v6 == b->aggregation_len_v6 && has_family(pool, 6));

	return same_prefix && a->has_localpref && b->has_localpref &&
	       a->localpref != b->localpref && shares_a_peer(a, b) &&
	       may_meet(&a->node_selectors, &b->node_selectors) &&
	       may_meet(&a->service_selectors, &b->service_selectors);
}

static void check_localpref(struct schema_ctx *x, const struct pool_target *t, size_t i)
{
	const struct config_advertisement *ads = t->pool.advertisements;

	for (size_t k = 0; k < i; k++) {
		if (!contradict(&t->pool, &ads[k], &ads[i]))
			continue;
		size_t mark = schema_enter_key(x, "localpref");
		schema_refuse(
			x, schema_line(t->advertisement_nodes[i], "localpref"),
			"%u contradicts the %u of advertisement %zu, on line %u, for the same "
			"prefixes; write one of the two, or tell them apart by peers",
			ads[i].localpref, ads[k].localpref, k + 1, ads[k].line);
		schema_leave(x, mark);
		return;
	}
}

void check_advertisements(struct schema_ctx *x, const struct pool_target *t)
{
	const struct config_pool *pool = &t->pool;
	size_t key = schema_enter_key(x, "bgp-advertisements");

	if (pool->n_advertisements > 0 && pool->protocols == PROTOCOL_LAYER2)
		schema_error(x, t->advertisement_nodes[0]->line,
		             "cannot have bgp-advertisements configuration element in a layer2 "
		             "address pool; remove it, or write protocol: bgp");
	for (size_t i = 0; i < pool->n_advertisements; i++) {
		size_t item = schema_enter_item(x, i);
		check_aggregation(x, t, i);
		check_localpref(x, t, i);
		for (size_t k = 0; k < i; k++)
			if (advertisement_eq(&pool->advertisements[k], &pool->advertisements[i]))
				schema_error(x, t->advertisement_nodes[i]->line,
				             "duplicate definition of bgpadvertisements. "
				             "advertisement %zu and %zu are equal; remove one",
				             k + 1, i + 1);
		schema_leave(x, item);
	}
	schema_leave(x, key);
}
