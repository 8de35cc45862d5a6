/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "config/parse.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

/* ---- addresses ---- */

struct pool_target {
	struct draft *draft;
	struct config_pool pool;
	size_t cap_ranges, cap_advertisements, cap_renumber;
	const struct ynode *advertisement_nodes[CONFIG_ADVERTISEMENTS_MAX];
};

/* What no client can reach is accepted beside other addresses, and never given. */
static void warn_special(struct schema_ctx *x, const struct ynode *node, const struct addr_range *r)
{
	const struct addr_range *special;
	size_t n = addr_special_ranges(&special);
	char text[ADDR_RANGE_STR_SIZE];

	for (size_t i = 0; i < n; i++)
		if (addr_range_overlaps(&special[i], r)) {
			schema_warning(x, node->line,
			               "holds addresses of %s, which no client can reach; take "
			               "them out",
			               addr_range_format(&special[i], text));
			return;
		}
}

/* Of such a range not one address could be given. */
static bool is_useless(struct schema_ctx *x, const struct ynode *node, const struct addr_range *r)
{
	static const struct {
		const char *range, *what;
	} rows[] = {
		{ "0.0.0.0/8", "unspecified" }, { "127.0.0.0/8", "loopback" },
		{ "224.0.0.0/4", "multicast" }, { "::/128", "unspecified" },
		{ "::1/128", "loopback" },      { "ff00::/8", "multicast" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct prefix p = { 0 };
		prefix_parse(rows[i].range, false, &p);
		const struct addr_range whole = prefix_range(&p);
		if (!addr_range_contains(&whole, &r->first) ||
		    !addr_range_contains(&whole, &r->last))
			continue;
		schema_error(x, node->line,
		             "holds %s addresses alone (%s), which no client can reach; write the "
		             "addresses of your network",
		             rows[i].what, rows[i].range);
		return true;
	}
	return false;
}

static void range_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct pool_target *t = target;
	struct draft *d = t->draft;
	struct addr_range range;

	if (!range_parse(x, node, &range) || is_useless(x, node, &range))
		return;
	warn_special(x, node, &range);
	ARRAY_RESERVE(t->pool.ranges, t->cap_ranges, t->pool.n_ranges + 1);
	t->pool.ranges[t->pool.n_ranges++] = range;
	ARRAY_RESERVE(d->ranges, d->cap_ranges, d->n_ranges + 1);
	d->ranges[d->n_ranges] = (struct draft_range){ .range = range,
		                                       .order = d->n_ranges,
		                                       .pool = d->config->n_pools,
		                                       .line = node->line,
		                                       .path = xstrdup(buf_str(&x->path)) };
	d->n_ranges++;
}

static void set_addresses(struct schema_ctx *x, const struct schema_key *key,
                          const struct ynode *node, void *target)
{
	if (node->kind == YNODE_LIST && node->n_entries == 0)
		schema_error(x, node->line, "%s", key->required);
	else
		schema_list(x, node, CONFIG_RANGES_MAX, range_item, target);
}

/* ---- protocol ---- */

static void protocol_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct pool_target *t = target;
	const char *s = schema_text(x, node);

	if (!s)
		return;
	if (!strcmp(s, "layer2")) {
		t->pool.protocols |= PROTOCOL_LAYER2;
	} else if (!strcmp(s, "bgp")) {
		t->pool.protocols |= PROTOCOL_BGP;
	} else {
		bool old = !strcmp(s, "arp") || !strcmp(s, "ndp") || !strcmp(s, "l2");
		schema_error(x, node->line, "unknown protocol \"%.64s\"; write layer2%s", s,
		             old ? "" : " or bgp");
	}
}

static void set_protocol(struct schema_ctx *x, const struct schema_key *key,
                         const struct ynode *node, void *target)
{
	struct pool_target *t = target;

	if (node->kind != YNODE_LIST)
		protocol_item(x, node, t);
	else if (node->n_entries == 0)
		schema_error(x, node->line, "%s", key->required);
	else
		schema_list(x, node, 2, protocol_item, t);
}

/* ---- use ---- */

static void use_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct pool_target *t = target;
	const char *s = schema_text(x, node);

	if (!s)
		return;
	if (!strcmp(s, "load-balancer"))
		t->pool.uses |= CONFIG_USE_LOAD_BALANCER;
	else if (!strcmp(s, "external-ip"))
		t->pool.uses |= CONFIG_USE_EXTERNAL_IP;
	else
		schema_error(x, node->line,
		             "unknown use \"%.64s\"; write load-balancer or external-ip", s);
}

static void set_use(struct schema_ctx *x, const struct schema_key *key, const struct ynode *node,
                    void *target)
{
	struct pool_target *t = target;

	(void)key;
	if (node->kind != YNODE_LIST)
		use_item(x, node, t);
	else if (node->n_entries == 0)
		schema_error(x, node->line,
		             "a pool of no use; write [load-balancer], [external-ip] or both");
	else
		schema_list(x, node, 2, use_item, t);
}

/* ---- bgp-advertisements ---- */

struct advertisement_target {
	const struct draft *draft;
	struct config_advertisement adv;
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

static void set_communities(struct schema_ctx *x, const struct schema_key *key,
                            const struct ynode *node, void *target)
{
	(void)key;
	schema_list(x, node, CONFIG_ADVERTISEMENTS_MAX, community_item, target);
}

static void set_localpref(struct schema_ctx *x, const struct schema_key *key,
                          const struct ynode *node, void *target)
{
	struct config_advertisement *adv = target;
	adv->has_localpref = true;
	schema_set_int(x, key, node, &adv->localpref);
}

static const struct schema_key advertisement_keys[] = {
	{ .name = "aggregation-length",
	  .set = schema_set_int,
	  .min = 0,
	  .max = 32,
	  .invalid = "invalid aggregation length",
	  SCHEMA_FIELD(struct advertisement_target, adv.aggregation_len) },
	{ .name = "aggregation-length-v6",
	  .set = schema_set_int,
	  .min = 0,
	  .max = 128,
	  .invalid = "invalid aggregation length",
	  SCHEMA_FIELD(struct advertisement_target, adv.aggregation_len_v6) },
	{ .name = "localpref",
	  .set = set_localpref,
	  .min = 0,
	  .max = UINT32_MAX,
	  .invalid = "invalid local preference",
	  .offset = offsetof(struct advertisement_target, adv),
	  .size = sizeof(uint32_t) },
	{ .name = "communities", .set = set_communities },
};

static const struct config_advertisement advertisement_default = { .aggregation_len = 32,
	                                                           .aggregation_len_v6 = 128 };

static void advertisement_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct pool_target *t = target;
	struct advertisement_target a = { .draft = t->draft, .adv = advertisement_default };

	schema_map(x, advertisement_keys, ARRAY_LEN(advertisement_keys), node, &a);
	t->advertisement_nodes[t->pool.n_advertisements] = node;
	ARRAY_RESERVE(t->pool.advertisements, t->cap_advertisements, t->pool.n_advertisements + 1);
	t->pool.advertisements[t->pool.n_advertisements++] = a.adv;
}

static void set_advertisements(struct schema_ctx *x, const struct schema_key *key,
                               const struct ynode *node, void *target)
{
	(void)key;
	schema_list(x, node, CONFIG_ADVERTISEMENTS_MAX, advertisement_item, target);
}

static bool advertisement_eq(const struct config_advertisement *a,
                             const struct config_advertisement *b)
{
	if (a->aggregation_len != b->aggregation_len ||
	    a->aggregation_len_v6 != b->aggregation_len_v6 || a->localpref != b->localpref ||
	    a->n_communities != b->n_communities)
		return false;
	/* Each list is free of duplicates, so that one contains the other only if they are equal. */
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
		/* The first aligned block: the one that starts with the range, or the one after that. */
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

static void check_advertisements(struct schema_ctx *x, const struct pool_target *t)
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

/* ---- renumber ---- */

static void renumber_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct pool_target *t = target;
	const char *s = schema_text(x, node);
	const char *slash = s ? strchr(s, '/') : NULL;

	if (!s)
		return;
	if (!slash || slash == s || !slash[1] || strchr(slash + 1, '/')) {
		schema_error(x, node->line, "invalid Service \"%.128s\"; write namespace/name", s);
		return;
	}
	ARRAY_RESERVE(t->pool.renumber_services, t->cap_renumber, t->pool.n_renumber_services + 1);
	t->pool.renumber_services[t->pool.n_renumber_services++] = xstrdup(s);
}

/* true, or the Services that are meant. */
static void set_renumber(struct schema_ctx *x, const struct schema_key *key,
                         const struct ynode *node, void *target)
{
	struct pool_target *t = target;

	if (node->kind != YNODE_LIST) {
		schema_set_bool(x, key, node, &t->pool.renumber);
		return;
	}
	schema_list(x, node, CONFIG_RENUMBER_MAX, renumber_item, t);
	t->pool.renumber = t->pool.n_renumber_services > 0;
}

/* ---- pools ---- */

static void set_priority(struct schema_ctx *x, const struct schema_key *key,
                         const struct ynode *node, void *target)
{
	struct config_pool *pool = target;
	pool->has_priority = true;
	schema_set_int(x, key, node, &pool->priority);
}

static const struct schema_key pool_keys[] = {
	{ .name = "name",
	  .set = schema_set_string,
	  .required = "missing pool name; write name: NAME",
	  SCHEMA_FIELD(struct pool_target, pool.name) },
	{ .name = "protocol",
	  .set = set_protocol,
	  .required = "address pool is missing the protocol field; write protocol: layer2 or "
	              "protocol: bgp" },
	{ .name = "addresses",
	  .set = set_addresses,
	  .required = "pool has no prefixes defined; write addresses: [192.0.2.0/24], for example",
	  .renamed = "cidr" },
	{ .name = "avoid-buggy-ips",
	  .set = schema_set_bool,
	  SCHEMA_FIELD(struct pool_target, pool.avoid_buggy_ips) },
	{ .name = "auto-assign",
	  .set = schema_set_bool,
	  SCHEMA_FIELD(struct pool_target, pool.auto_assign) },
	{ .name = "use", .set = set_use },
	{ .name = "priority",
	  .set = set_priority,
	  .min = INT32_MIN,
	  .max = INT32_MAX,
	  .invalid = "invalid priority",
	  .offset = offsetof(struct pool_target, pool),
	  .size = sizeof(int32_t) },
	{ .name = "bgp-advertisements", .set = set_advertisements, .renamed = "advertisements" },
	{ .name = "renumber", .set = set_renumber },
};

static void check_name_unique(struct schema_ctx *x, const struct configuration *c,
                              const struct config_pool *pool)
{
	for (size_t i = 0; pool->name && i < c->n_pools; i++)
		if (c->pools[i].name && !strcmp(c->pools[i].name, pool->name)) {
			size_t mark = schema_enter_key(x, "name");
			schema_error(
				x, pool->line,
				"duplicate definition of pool \"%.64s\", first on line %u; give it "
				"another name",
				pool->name, c->pools[i].line);
			schema_leave(x, mark);
			return;
		}
}

static void read_pool(struct schema_ctx *x, const struct ynode *node, struct draft *d,
                      bool retained)
{
	struct configuration *c = d->config;
	struct pool_target t = {
		.draft = d, .pool = { .auto_assign = true, .line = schema_line(node, "name") }
	};

	schema_map(x, pool_keys, ARRAY_LEN(pool_keys), node, &t);
	if (!retained) {
		check_advertisements(x, &t);
		check_name_unique(x, c, &t.pool);
	}
	if (t.pool.uses == 0)
		t.pool.uses = CONFIG_USE_LOAD_BALANCER;
	if (t.pool.protocols & PROTOCOL_BGP && t.pool.n_advertisements == 0) {
		t.pool.advertisements =
			xmemdup(&advertisement_default, sizeof(advertisement_default));
		t.pool.n_advertisements = 1;
	}
	ARRAY_RESERVE(c->pools, d->cap_pools, c->n_pools + 1);
	c->pools[c->n_pools++] = t.pool;
}

static void pool_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	read_pool(x, node, target, false);
}

static void retained_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	read_pool(x, node, target, true);
}

void parse_retained(struct schema_ctx *x, const struct ynode *node, struct draft *d)
{
	schema_list(x, node, CONFIG_RETAINED_MAX, retained_item, d);
}

void parse_pools(struct schema_ctx *x, const struct ynode *node, struct draft *d)
{
	schema_list(x, node, CONFIG_POOLS_MAX, pool_item, d);
}

static int range_cmp(const void *a, const void *b)
{
	const struct draft_range *ra = a, *rb = b;
	int c = addr_cmp(&ra->range.first, &rb->range.first);
	return c ? c : (ra->order > rb->order) - (ra->order < rb->order);
}

/* Of two that overlap the one further down the document is at fault.  False if they do not. */
static bool report_overlap(struct schema_ctx *x, const struct configuration *c,
                           const struct draft_range *a, const struct draft_range *b)
{
	const struct draft_range *first = a->order < b->order ? a : b, *second = a == first ? b : a;
	const struct config_pool *pool = &c->pools[second->pool], *before = &c->pools[first->pool];
	char text[ADDR_RANGE_STR_SIZE], before_text[ADDR_RANGE_STR_SIZE];

	if (!addr_range_overlaps(&a->range, &b->range))
		return false;
	size_t mark = schema_enter_key(x, second->path);
	schema_error(x, second->line,
	             "CIDR \"%s\" in pool \"%.64s\" overlaps with already defined CIDR "
	             "\"%s\" in pool \"%.64s\" on line %u; take it out of one of them",
	             addr_range_format(&second->range, text), pool->name ? pool->name : "",
	             addr_range_format(&first->range, before_text),
	             before->name ? before->name : "", first->line);
	schema_leave(x, mark);
	return true;
}

/*
 * In order of their first address.  Whoever is at fault is set aside; those that are left have nothing in common, so that
 * the last one of them is the only one that the next can overlap.  Every range that is at fault is told, and of one that
 * covers many, all of them.
 */
void check_overlap(struct schema_ctx *x, struct draft *d)
{
	const struct draft_range *good = NULL, *aside = NULL;

	if (d->n_ranges > 0)
		qsort(d->ranges, d->n_ranges, sizeof(d->ranges[0]), range_cmp);
	for (size_t i = 0; i < d->n_ranges; i++) {
		const struct draft_range *r = &d->ranges[i], *bad = NULL;

		if (aside && aside->order > r->order)
			report_overlap(x, d->config, aside, r);
		if (good && report_overlap(x, d->config, good, r))
			bad = good->order > r->order ? good : r;
		if (bad != r)
			good = r;
		if (bad && (!aside || addr_cmp(&bad->range.last, &aside->range.last) > 0))
			aside = bad;
	}
}
