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
			"invalid community \"%.64s\": neither an alias of bgp-communities nor two "
			"numbers up to 65535 such as 65535:65281",
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
	.form = "list of aliases and \"A:B\"",
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
	.read = read_localpref,
	.print = print_localpref,
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
	  .doc = "The local preference, which only routers of the own AS are sent." },
	{ .name = "communities",
	  .type = &communities_type,
	  .doc = "Sent with the routes; an alias is one of `bgp-communities`. None twice." },
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
	.read = read_advertisements,
	.print = print_advertisements,
	.fini = free_advertisements,
};

static bool advertisement_eq(const struct config_advertisement *a,
                             const struct config_advertisement *b)
{
	if (a->aggregation_len != b->aggregation_len ||
	    a->aggregation_len_v6 != b->aggregation_len_v6 || a->localpref != b->localpref ||
	    a->n_communities != b->n_communities)
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
