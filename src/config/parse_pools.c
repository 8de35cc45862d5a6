/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address-pools: the rows of its keys, and the rules for what they say together.  A row's field is
 * the config_pool's; what reading needs besides stands behind the pool in struct pool_target.
 */
#include "config.h"

#include "config/parse.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

/* ---- addresses ---- */

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

static void read_addresses(struct schema_ctx *x, const struct schema_key *key,
                           const struct ynode *node, void *field)
{
	if (node->kind == YNODE_LIST && node->n_entries == 0)
		schema_error(x, node->line, "%s", key->required);
	else
		schema_list(x, node, CONFIG_RANGES_MAX, range_item, field);
}

static void print_addresses(struct out *o, const struct schema_key *key, const void *field)
{
	const struct config_pool *pool = field;

	schema_print_ranges(o, key->name, pool->ranges, pool->n_ranges);
}

static void free_addresses(void *field)
{
	struct config_pool *pool = field;

	free(pool->ranges);
}

static const struct schema_type addresses_type = {
	.form = "list of CIDRs and ranges",
	.value = SCHEMA_NOTATION,
	.is_list = true,
	.read = read_addresses,
	.print = print_addresses,
	.fini = free_addresses,
};

/* ---- protocol ---- */

/* By the position of their bits. */
static const char *const protocol_words[] = { "layer2", "bgp", NULL };
_Static_assert(PROTOCOL_LAYER2 == 1 && PROTOCOL_BGP == 2, "bits");

static void protocol_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct pool_target *t = target;
	const char *s = schema_text(x, node);

	if (!s)
		return;
	int i = schema_word_index(protocol_words, s);
	if (i < 0) {
		bool old = !strcmp(s, "arp") || !strcmp(s, "ndp") || !strcmp(s, "l2");
		schema_error(x, node->line, "unknown protocol \"%.64s\"; write layer2%s", s,
		             old ? "" : " or bgp");
	} else if (t->pool.protocols & 1u << i) {
		schema_repeated(x, node, s);
	} else {
		t->pool.protocols |= 1u << i;
	}
}

static void read_protocol(struct schema_ctx *x, const struct schema_key *key,
                          const struct ynode *node, void *field)
{
	struct pool_target *t = field;

	if (node->kind != YNODE_LIST)
		protocol_item(x, node, t);
	else if (node->n_entries == 0)
		schema_error(x, node->line, "%s", key->required);
	else
		schema_list(x, node, 2, protocol_item, t);
}

static void print_protocol(struct out *o, const struct schema_key *key, const void *field)
{
	const struct config_pool *pool = field;

	schema_print_bits(o, key, pool->protocols);
}

static const struct schema_type protocol_type = {
	.form = "word or list",
	.value = SCHEMA_TEXT,
	.words = protocol_words,
	.is_list = true,
	.or_one = true,
	.read = read_protocol,
	.print = print_protocol,
};

/* ---- use ---- */

static const char *const use_words[] = { "load-balancer", "external-ip", NULL };
_Static_assert(CONFIG_USE_LOAD_BALANCER == 1 && CONFIG_USE_EXTERNAL_IP == 2, "bits");

static void use_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct pool_target *t = target;
	const char *s = schema_text(x, node);

	if (!s)
		return;
	int i = schema_word_index(use_words, s);
	if (i < 0)
		schema_error(x, node->line,
		             "unknown use \"%.64s\"; write load-balancer or external-ip", s);
	else if (t->pool.uses & 1u << i)
		schema_repeated(x, node, s);
	else
		t->pool.uses |= 1u << i;
}

static void read_use(struct schema_ctx *x, const struct schema_key *key, const struct ynode *node,
                     void *field)
{
	struct pool_target *t = field;

	(void)key;
	if (node->kind != YNODE_LIST)
		use_item(x, node, t);
	else if (node->n_entries == 0)
		schema_error(x, node->line,
		             "a pool of no use; write [load-balancer], [external-ip] or both");
	else
		schema_list(x, node, 2, use_item, t);
}

static void print_use(struct out *o, const struct schema_key *key, const void *field)
{
	const struct config_pool *pool = field;

	schema_print_bits(o, key, pool->uses);
}

static const struct schema_type use_type = {
	.form = "word or list",
	.value = SCHEMA_TEXT,
	.words = use_words,
	.is_list = true,
	.or_one = true,
	.read = read_use,
	.print = print_use,
};

/* ---- terminating ---- */

/* By whether they hold. */
static const char *const terminating_words[] = { "give-way", "hold", NULL };

static void read_terminating(struct schema_ctx *x, const struct schema_key *key,
                             const struct ynode *node, void *field)
{
	struct config_pool *pool = field;
	const char *s = schema_text(x, node);
	int i = s ? schema_word_index(terminating_words, s) : -1;

	(void)key;
	if (s && i < 0)
		schema_error(
			x, node->line,
			"unknown way with terminating endpoints \"%.64s\"; write give-way or hold",
			s);
	else if (s)
		pool->holds_ending = i == 1;
}

static void print_terminating(struct out *o, const struct schema_key *key, const void *field)
{
	const struct config_pool *pool = field;

	out_str(o, key->name, terminating_words[pool->holds_ending]);
}

static const struct schema_type terminating_type = {
	.form = "word",
	.value = SCHEMA_TEXT,
	.words = terminating_words,
	.read = read_terminating,
	.print = print_terminating,
};

/* ---- pools ---- */

static void read_priority(struct schema_ctx *x, const struct schema_key *key,
                          const struct ynode *node, void *field)
{
	struct config_pool *pool = field;

	pool->has_priority = true;
	schema_read_int(x, key, node, &pool->priority);
}

static void print_priority(struct out *o, const struct schema_key *key, const void *field)
{
	const struct config_pool *pool = field;

	if (pool->has_priority)
		out_int(o, key->name, pool->priority);
	else
		out_str(o, key->name, NULL);
}

static const struct schema_type priority_type = {
	.form = "number",
	.value = SCHEMA_NUMBER,
	.read = read_priority,
	.print = print_priority,
};

static const struct schema_key pool_keys[] = {
	{ .name = "name",
	  .type = &schema_string,
	  .required = "missing pool name; write name: NAME",
	  SCHEMA_FIELD(struct config_pool, name),
	  .doc = "No two pools may have the same." },
	{ .name = "protocol",
	  .type = &protocol_type,
	  .required = "address pool is missing the protocol field; write protocol: layer2 or "
	              "protocol: bgp",
	  .doc = "How the addresses are announced: `layer2`, `bgp`, or a list of both." },
	{ .name = "addresses",
	  .type = &addresses_type,
	  .required = "pool has no prefixes defined; write addresses: [192.0.2.0/24], for example",
	  .renamed = "cidr",
	  .doc = "CIDRs (`192.0.2.0/24`; host bits are ignored) and ranges "
	         "(`192.0.2.10-192.0.2.20`, both ends included), IPv4 and IPv6. A single address "
	         "is `192.0.2.1/32` or `192.0.2.1-192.0.2.1`. No address may be in two of them, "
	         "anywhere. Loopback, link-local, multicast and unspecified addresses give a "
	         "warning." },
	{ .name = "use",
	  .type = &use_type,
	  .otherwise = "load-balancer",
	  .doc = "What the addresses are for: `load-balancer`, `external-ip`, or a list of both. "
	         "Services of type LoadBalancer get addresses only from pools for the former; "
	         "external IPs that are asked for by the annotation `fairlead.io/external-ips` "
	         "come only from pools for the latter (`fairlead-controller`(8)). An address of a "
	         "pool for both belongs to one Service at most, as whichever of the two." },
	{ .name = "avoid-buggy-ips",
	  .type = &schema_bool,
	  SCHEMA_FIELD(struct config_pool, avoid_buggy_ips),
	  .doc = "IPv4 addresses that end in .0 or .255 are not assigned." },
	{ .name = "exclude",
	  .type = &exclude_type,
	  .otherwise = "none",
	  .doc = "Addresses among `addresses`, written likewise, that are not assigned, such as those "
	         "of routers. Who has one keeps it (`Retained`)." },
	{ .name = "reservations",
	  .type = &reservations_type,
	  .otherwise = "none",
	  .doc = "Addresses that each are for one Service; see below." },
	{ .name = "quota",
	  .type = &quota_type,
	  .otherwise = "none",
	  .doc = "How many addresses of the pool namespaces may hold; see below." },
	{ .name = "addresses-per-service",
	  .type = &schema_int,
	  .min = 1,
	  .max = CONFIG_ADDRESSES_PER_SERVICE_MAX,
	  .by_default = 1,
	  SCHEMA_FIELD(struct config_pool, addresses_per_service),
	  .doc = "So many addresses of the pool, of each family, a Service may have that asks for them "
	         "by name (`fairlead.io/addresses`, `fairlead-controller`(8)); with more it gets "
	         "none of them (`TooManyAddresses`). Others get one. Who has more keeps them." },
	{ .name = "cool-down",
	  .type = &cool_down_type,
	  SCHEMA_FIELD(struct config_pool, cool_down_s),
	  .otherwise = "0s",
	  .doc = "For so long, `5m` for example and at most 24h, an address that was given up goes "
	         "to no other Service (`CoolingDown`); see `COOLING DOWN`." },
	{ .name = "allocation",
	  .type = &allocation_type,
	  SCHEMA_FIELD(struct config_pool, allocation),
	  .otherwise = "lowest",
	  .doc = "Which of its free addresses the pool gives: the `lowest`; a `random` one, which is "
	         "drawn by the UID of the Service, and is the same for whichever controller leads; "
	         "with `round-robin`, in each family the next one after the one that it gave last, "
	         "and after the highest the lowest again; or, with `least-used-pool`, the lowest "
	         "of that pool among those of the same priority with this word of which the "
	         "smallest part is in use. These come before others of that priority." },
	{ .name = "disabled",
	  .type = &schema_bool,
	  SCHEMA_FIELD(struct config_pool, disabled),
	  .doc = "The pool gives nothing new, not even to those who ask for it (`PoolDisabled`). Who "
	         "has an address of it keeps it, and it is announced as before." },
	{ .name = "auto-assign",
	  .type = &schema_bool,
	  .by_default = true,
	  SCHEMA_FIELD(struct config_pool, auto_assign),
	  .doc = "Services that name no pool may get an address from this one." },
	{ .name = "share-across-namespaces",
	  .type = &schema_bool,
	  SCHEMA_FIELD(struct config_pool, shares_across_namespaces),
	  .doc = "Services of different namespaces may have one address of the pool together, if both say "
	         "`fairlead.io/allow-shared-ip` with one value (`fairlead-controller`(8)). Otherwise "
	         "Services of one namespace alone may." },
	{ .name = "priority",
	  .type = &priority_type,
	  .min = INT32_MIN,
	  .max = INT32_MAX,
	  .invalid = "invalid priority",
	  .size = sizeof(int32_t),
	  .form = "whole number",
	  .otherwise = "none",
	  .doc = "Pools with lower ones are tried first, pools without one last, ties by name; but "
	         "pools that are for some Services alone come before all others." },
	{ .name = "namespaces",
	  .type = &named_namespaces_type,
	  SCHEMA_FIELD(struct config_pool, audience.namespaces),
	  .otherwise = "all",
	  .doc = "The pool is for Services of these namespaces; see `POOLS FOR SOME`." },
	{ .name = "namespace-selectors",
	  .type = &narrow_selectors_type,
	  SCHEMA_FIELD(struct config_pool, audience.namespace_selectors),
	  .otherwise = "all",
	  .doc = "And for Services of namespaces that one of these selects by the labels of the "
	         "Namespace. The controller then has to list and watch Namespaces." },
	{ .name = "service-selectors",
	  .type = &narrow_selectors_type,
	  SCHEMA_FIELD(struct config_pool, audience.service_selectors),
	  .otherwise = "all",
	  .doc = "The pool is for Services that one of these selects by the labels of the Service." },
	{ .name = "terminating",
	  .type = &terminating_type,
	  .otherwise = "give-way",
	  .doc = "For Services of policy Local: a node whose endpoints are all ending gives way to "
	         "nodes with ready ones (`give-way`), or stays announced until the last one has "
	         "ended (`hold`). The annotation `fairlead.io/terminating` of a Service, with "
	         "either value, comes before it." },
	{ .name = "renumber",
	  .type = &renumber_type,
	  .otherwise = "false",
	  .doc = "With `true` the pool takes in Services whose address is retained (see `EDITS`), "
	         "with a list of `namespace/name` only these. A Service that asks for a pool is "
	         "taken in only by that one, if it exists. Four a second move, the oldest first, "
	         "when no Service waits that has no address and could have one of the pool; the "
	         "new address is put before the old one in the status, and the old one is given up ten seconds "
	         "later. External IPs change at once." },
	{ .name = "bgp-advertisements",
	  .type = &advertisements_type,
	  .renamed = "advertisements",
	  .otherwise = "one with all defaults",
	  .doc = "How BGP announces the addresses, only with protocol `bgp`; see below. No two "
	         "may be equal." },
	{ .name = "layer2",
	  .type = &layer2_type,
	  .otherwise = "one without any key",
	  .doc = "Where layer 2 announces the addresses, only with protocol `layer2`; see below. Of "
	         "several entries each adds to the others: an address may be announced by every "
	         "node that one of them selects, on every interface that those name." },
};

const struct schema_table pool_table = SCHEMA_TABLE("address-pools", pool_keys);

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
	struct pool_target t = { .draft = d, .pool = { .line = schema_line(node, "name") } };

	schema_defaults(&pool_table, &t.pool);
	schema_read(x, &pool_table, node, &t);
	if (!retained) {
		check_advertisements(x, &t);
		check_layer2(x, &t.pool);
		check_excluded(x, node, &t.pool);
		check_reservations(x, d, &t.pool);
		check_name_unique(x, c, &t.pool);
	}
	if (t.pool.uses == 0)
		t.pool.uses = CONFIG_USE_LOAD_BALANCER;
	if (t.pool.protocols & PROTOCOL_BGP && t.pool.n_advertisements == 0) {
		t.pool.advertisements = xcalloc(1, sizeof(*t.pool.advertisements));
		config_advertisement_init(&t.pool.advertisements[0]);
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
 * In order of their first address.  Ranges at fault are set aside; those that are left have nothing
 * in common, so the last of them is the only one that the next can overlap.  Every range at fault
 * is reported, and if one covers many, all of them.
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
