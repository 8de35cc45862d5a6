/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a pool does not give to everybody who may have its addresses: those that it excludes, those
 * that it reserves for one Service, and for a while those that another one has given up.  They stay
 * the pool's: whoever holds one keeps it, and it is announced as the others are.  And which of the
 * others it gives first, and whom it takes in.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "config/parse.h"
#include "fairlead/hash.h"
#include "fairlead/mem.h"

/* ---- exclude ---- */

static void excluded_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct config_pool *pool = target;

	if (range_parse(x, node, &pool->excluded[pool->n_excluded]))
		pool->n_excluded++;
}

static int range_cmp(const void *a, const void *b)
{
	const struct addr_range *ra = a, *rb = b;

	return addr_cmp(&ra->first, &rb->first);
}

/* In order, and of those that overlap or touch one is made: a look-up then is a search. */
static void merge_excluded(struct config_pool *pool)
{
	struct addr_range *r = pool->excluded;
	struct addr next;
	size_t n = 0;

	if (pool->n_excluded > 0)
		qsort(r, pool->n_excluded, sizeof(*r), range_cmp);
	for (size_t i = 0; i < pool->n_excluded; i++) {
		bool touches = n > 0 && r[n - 1].last.family == r[i].first.family &&
		               (addr_cmp(&r[i].first, &r[n - 1].last) <= 0 ||
		                (addr_next(&r[n - 1].last, &next) && addr_eq(&next, &r[i].first)));
		if (!touches)
			r[n++] = r[i];
		else if (addr_cmp(&r[i].last, &r[n - 1].last) > 0)
			r[n - 1].last = r[i].last;
	}
	pool->n_excluded = n;
}

static void read_exclude(struct schema_ctx *x, const struct schema_key *key,
                         const struct ynode *node, void *field)
{
	struct config_pool *pool = field;

	(void)key;
	pool->excluded = xcalloc(node->n_entries + 1, sizeof(*pool->excluded));
	schema_list(x, node, CONFIG_EXCLUDED_MAX, excluded_item, pool);
	merge_excluded(pool);
}

static void print_exclude(struct out *o, const struct schema_key *key, const void *field)
{
	const struct config_pool *pool = field;

	if (pool->n_excluded > 0)
		schema_print_ranges(o, key->name, pool->excluded, pool->n_excluded);
}

static void free_exclude(void *field)
{
	struct config_pool *pool = field;

	free(pool->excluded);
}

const struct schema_type exclude_type = {
	.form = "list of CIDRs and ranges",
	.value = SCHEMA_NOTATION,
	.is_list = true,
	.read = read_exclude,
	.print = print_exclude,
	.fini = free_exclude,
};

bool config_pool_excludes(const struct config_pool *pool, const struct addr *a)
{
	size_t i = addr_ranges_find(pool->excluded, pool->n_excluded, a);

	return i < pool->n_excluded && addr_range_contains(&pool->excluded[i], a);
}

static bool overlaps_any(const struct config_pool *pool, const struct addr_range *r)
{
	for (size_t i = 0; i < pool->n_ranges; i++)
		if (addr_range_overlaps(&pool->ranges[i], r))
			return true;
	return false;
}

void check_excluded(struct schema_ctx *x, const struct ynode *node, const struct config_pool *pool)
{
	size_t mark = schema_enter_key(x, "exclude");
	char text[ADDR_RANGE_STR_SIZE];

	for (size_t i = 0; i < pool->n_excluded; i++)
		if (!overlaps_any(pool, &pool->excluded[i]))
			schema_warning(x, schema_line(node, "exclude"),
			               "%s is not among the pool's addresses; take it out",
			               addr_range_format(&pool->excluded[i], text));
	schema_leave(x, mark);
}

/* ---- reservations ---- */

static void read_service(struct schema_ctx *x, const struct schema_key *key,
                         const struct ynode *node, void *field)
{
	char **service = field;
	const char *s = schema_text(x, node);

	(void)key;
	if (s && is_service_key(s))
		*service = xstrdup(s);
	else if (s)
		schema_error(x, node->line, "invalid Service \"%.128s\"; write namespace/name", s);
}

static const struct schema_type service_type = {
	.form = "namespace/name",
	.value = SCHEMA_NOTATION,
	.read = read_service,
	.print = schema_print_string,
	.fini = schema_free_string,
};

static const struct schema_key reservation_keys[] = {
	{ .name = "service",
	  .type = &service_type,
	  .required = "missing Service; write service: NAMESPACE/NAME",
	  SCHEMA_FIELD(struct config_reservation, service),
	  .doc = "Namespace and name of the Service, which need not exist yet." },
	{ .name = "address",
	  .type = &schema_addr,
	  .required = "missing address; write address: 192.0.2.1, for example",
	  SCHEMA_FIELD(struct config_reservation, address),
	  .doc = "One of `addresses`. A Service has one reservation of each family at most." },
};

const struct schema_table reservation_table = SCHEMA_TABLE("reservations", reservation_keys);

static void reservation_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct config_pool *pool = target;
	struct config_reservation *r = &pool->reservations[pool->n_reservations++];

	r->line = node->line;
	schema_read(x, &reservation_table, node, r);
}

static void read_reservations(struct schema_ctx *x, const struct schema_key *key,
                              const struct ynode *node, void *field)
{
	struct config_pool *pool = field;

	(void)key;
	pool->reservations = xcalloc(node->n_entries + 1, sizeof(*pool->reservations));
	schema_list(x, node, CONFIG_RESERVATIONS_MAX, reservation_item, pool);
}

static void print_reservations(struct out *o, const struct schema_key *key, const void *field)
{
	const struct config_pool *pool = field;

	if (pool->n_reservations == 0)
		return;
	out_list(o, key->name);
	for (size_t i = 0; i < pool->n_reservations; i++) {
		out_object(o, NULL);
		schema_print(o, &reservation_table, &pool->reservations[i]);
		out_close(o);
	}
	out_close(o);
}

static void free_reservations(void *field)
{
	struct config_pool *pool = field;

	for (size_t i = 0; i < pool->n_reservations; i++)
		schema_fini(&reservation_table, &pool->reservations[i]);
	free(pool->reservations);
}

const struct schema_type reservations_type = {
	.form = "list of maps",
	.value = SCHEMA_MAP,
	.keys = &reservation_table,
	.is_list = true,
	.read = read_reservations,
	.print = print_reservations,
	.fini = free_reservations,
};

/* ---- cool-down ---- */

static void read_cool_down(struct schema_ctx *x, const struct schema_key *key,
                           const struct ynode *node, void *field)
{
	uint32_t *cool_down_s = field;
	int64_t s;

	(void)key;
	if (!read_seconds(x, "cool-down", node, &s))
		return;
	if (s < 0 || s > CONFIG_COOL_DOWN_MAX_S)
		schema_error(x, node->line, "invalid cool-down \"%.64s\": write 0s to 24h",
		             node->text);
	else
		*cool_down_s = (uint32_t)s;
}

const struct schema_type cool_down_type = {
	.form = "duration",
	.value = SCHEMA_TEXT,
	.read = read_cool_down,
	.print = print_seconds,
};

bool configuration_is_noted(const struct configuration *c)
{
	for (size_t i = 0; i < c->n_pools; i++)
		if (c->pools[i].cool_down_s > 0 ||
		    c->pools[i].allocation == CONFIG_ALLOCATION_ROUND_ROBIN)
			return true;
	return false;
}

/* ---- allocation ---- */

/* By enum config_allocation. */
static const char *const allocation_words[] = { "lowest", "random", "least-used-pool",
	                                        "round-robin", NULL };

static void read_allocation(struct schema_ctx *x, const struct schema_key *key,
                            const struct ynode *node, void *field)
{
	enum config_allocation *allocation = field;
	const char *s = schema_text(x, node);
	int i = s ? schema_word_index(allocation_words, s) : -1;

	(void)key;
	if (i >= 0)
		*allocation = (enum config_allocation)i;
	else if (s)
		schema_error(x, node->line,
		             "unknown allocation \"%.64s\"; write lowest, random, "
		             "least-used-pool or round-robin",
		             s);
}

static void print_allocation(struct out *o, const struct schema_key *key, const void *field)
{
	const enum config_allocation *allocation = field;

	out_str(o, key->name, allocation_words[*allocation]);
}

const struct schema_type allocation_type = {
	.form = "word",
	.value = SCHEMA_TEXT,
	.words = allocation_words,
	.read = read_allocation,
	.print = print_allocation,
};

/* ---- the rules of reservations ---- */

bool config_pool_contains(const struct config_pool *pool, const struct addr *a)
{
	for (size_t i = 0; i < pool->n_ranges; i++)
		if (addr_range_contains(&pool->ranges[i], a))
			return true;
	return false;
}

/* Those that stand before in the document, so that none has to be compared with all. */
struct reserved_address {
	const struct config_reservation *first;
	UT_hash_handle hh;
};

struct reserved_service {
	size_t pool;                               /* position */
	const struct config_reservation *first[2]; /* by family; NULL: none */
	UT_hash_handle hh;
};

static const struct config_reservation *see_address(struct draft *d,
                                                    const struct config_reservation *r)
{
	struct reserved_address *seen;

	HASH_FIND(hh, d->reserved_addresses, &r->address, sizeof(r->address), seen);
	if (seen)
		return seen->first;
	seen = xcalloc(1, sizeof(*seen));
	seen->first = r;
	HASH_ADD_KEYPTR(hh, d->reserved_addresses, &r->address, sizeof(r->address), seen);
	return NULL;
}

static struct reserved_service *see_service(struct draft *d, const struct config_reservation *r)
{
	struct reserved_service *seen;

	HASH_FIND_STR(d->reserved_services, r->service, seen);
	if (seen)
		return seen;
	seen = xcalloc(1, sizeof(*seen));
	seen->pool = d->config->n_pools;
	HASH_ADD_KEYPTR(hh, d->reserved_services, r->service, strlen(r->service), seen);
	return seen;
}

void free_seen_reservations(struct draft *d)
{
	struct reserved_address *a, *next_a;
	struct reserved_service *s, *next_s;

	HASH_ITER(hh, d->reserved_addresses, a, next_a) {
		HASH_DEL(d->reserved_addresses, a);
		free(a);
	}
	HASH_ITER(hh, d->reserved_services, s, next_s) {
		HASH_DEL(d->reserved_services, s);
		free(s);
	}
}

static void clash(struct schema_ctx *x, const struct config_reservation *r,
                  const struct config_reservation *before, const char *what)
{
	schema_error(x, r->line, "%s, on line %u; keep one", what, before->line);
}

static void check_reservation(struct schema_ctx *x, struct draft *d, const struct config_pool *pool,
                              const struct config_reservation *r)
{
	size_t f = r->address.family == 6;

	if (!config_pool_contains(pool, &r->address)) {
		schema_error(x, r->line,
		             "%s is not among the pool's addresses; reserve one of these",
		             addr_str(&r->address));
		return;
	}
	const struct config_reservation *before = see_address(d, r);
	struct reserved_service *seen = see_service(d, r);
	const struct config_reservation *other = seen->first[f] ? seen->first[f] : seen->first[!f];
	if (before)
		clash(x, r, before, "the address is reserved already");
	else if (seen->first[f])
		clash(x, r, other, "the Service has a reservation of this family already");
	else if (other && seen->pool != d->config->n_pools)
		clash(x, r, other, "the Service has a reservation in another pool already");
	if (!seen->first[f])
		seen->first[f] = r;
}

void check_reservations(struct schema_ctx *x, struct draft *d, const struct config_pool *pool)
{
	size_t mark = schema_enter_key(x, "reservations");

	for (size_t i = 0; i < pool->n_reservations; i++) {
		const struct config_reservation *r = &pool->reservations[i];
		size_t item = schema_enter_item(x, i);
		if (r->service && !addr_is_none(&r->address))
			check_reservation(x, d, pool, r);
		schema_leave(x, item);
	}
	schema_leave(x, mark);
}

/* ---- renumber ---- */

bool is_service_key(const char *s)
{
	const char *slash = strchr(s, '/');

	return slash && slash != s && slash[1] && !strchr(slash + 1, '/');
}

/* Those of the list that were read, so that none has to be compared with all. */
struct renumbered {
	const char *service;
	UT_hash_handle hh;
};

/* True if it was there before. */
static bool see_renumbered(struct pool_target *t, const char *service)
{
	struct renumbered *seen;

	HASH_FIND_STR(t->renumbered, service, seen);
	if (seen)
		return true;
	seen = xcalloc(1, sizeof(*seen));
	seen->service = service;
	HASH_ADD_KEYPTR(hh, t->renumbered, service, strlen(service), seen);
	return false;
}

static void forget_renumbered(struct pool_target *t)
{
	struct renumbered *seen, *next;

	HASH_ITER(hh, t->renumbered, seen, next) {
		HASH_DEL(t->renumbered, seen);
		free(seen);
	}
}

static void renumber_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct pool_target *t = target;
	const char *s = schema_text(x, node);

	if (!s)
		return;
	if (!is_service_key(s)) {
		schema_error(x, node->line, "invalid Service \"%.128s\"; write namespace/name", s);
		return;
	}
	if (see_renumbered(t, s)) {
		schema_repeated(x, node, s);
		return;
	}
	ARRAY_RESERVE(t->pool.renumber_services, t->cap_renumber, t->pool.n_renumber_services + 1);
	t->pool.renumber_services[t->pool.n_renumber_services++] = xstrdup(s);
}

/* One Service may have been meant. */
static void read_one_renumber(struct schema_ctx *x, const struct schema_key *key,
                              const struct ynode *node, struct pool_target *t)
{
	const char *s = node->text;

	if (node->kind == YNODE_SCALAR && is_service_key(s))
		schema_error(x, node->line,
		             "\"%.128s\" is neither true nor false; write true, false or a list: "
		             "[%.128s]",
		             s, s);
	else if (node->kind != YNODE_SCALAR || node->quoted ||
	         ynode_bool(node, &t->pool.renumber) == 0)
		schema_read_bool(x, key, node, &t->pool.renumber);
	else
		schema_error(x, node->line,
		             "\"%.128s\" is neither true nor false; write true, false or a list of "
		             "namespace/name",
		             s);
}

static void read_renumber(struct schema_ctx *x, const struct schema_key *key,
                          const struct ynode *node, void *field)
{
	struct pool_target *t = field;

	if (node->kind != YNODE_LIST) {
		read_one_renumber(x, key, node, t);
		return;
	}
	schema_list(x, node, CONFIG_RENUMBER_MAX, renumber_item, t);
	forget_renumbered(t);
	t->pool.renumber = t->pool.n_renumber_services > 0;
}

static void print_renumber(struct out *o, const struct schema_key *key, const void *field)
{
	const struct config_pool *pool = field;

	if (pool->n_renumber_services > 0)
		schema_print_strings(o, key->name, pool->renumber_services,
		                     pool->n_renumber_services);
	else if (pool->renumber)
		out_bool(o, key->name, true);
}

static void free_renumber(void *field)
{
	struct config_pool *pool = field;

	for (size_t i = 0; i < pool->n_renumber_services; i++)
		free(pool->renumber_services[i]);
	free(pool->renumber_services);
}

const struct schema_type renumber_type = {
	.form = "true or false, or list of Services",
	.value = SCHEMA_NOTATION,
	.is_list = true,
	.or_bool = true,
	.read = read_renumber,
	.print = print_renumber,
	.fini = free_renumber,
};
