/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONFIG_PARSE_H
#define FAIRLEAD_CONFIG_PARSE_H

/*
 * The document's parts: what of the schema is in which file, and the rules that look at several
 * parts at once.  Setters fill a struct draft, the configuration in the making; checks run on it
 * afterwards.
 */

#include "config/schema.h"
#include "fairlead/configuration.h"

#define CONFIG_POOLS_MAX 1000
/*
 * More than fit into a ConfigMap: what is retained must be readable wherever it can be published.
 */
#define CONFIG_RANGES_MAX 100000 /* a pool */
/* a pool */
#define CONFIG_RETAINED_MAX 20000
/* a pool */
#define CONFIG_EXCLUDED_MAX 1000
#define CONFIG_RESERVATIONS_MAX 1000
#define CONFIG_QUOTAS_MAX 1000
#define CONFIG_COOL_DOWN_MAX_S 86400
#define CONFIG_PEERS_MAX 1000
#define CONFIG_BFD_PROFILES_MAX 1000
#define CONFIG_COMMUNITIES_MAX 5000
/* Services a pool */
#define CONFIG_ROUTER_IDS_MAX 10000
/* a key */
#define CONFIG_RENUMBER_MAX 10000
#define CONFIG_SELECTORS_MAX 64
#define CONFIG_ALLOW_MAX 1000
#define CONFIG_NAMESPACES_MAX 1000

/* An entry of addresses, with where it stands, for the overlap rule. */
struct draft_range {
	struct addr_range range;
	size_t pool;  /* position */
	size_t order; /* in the document */
	unsigned int line;
	char *path;
};

/* The configuration in the making, and what only the checks need. */
struct draft {
	struct configuration *config;
	struct config_community *aliases; /* bgp-communities, by name */
	size_t n_aliases, cap_aliases;
	bool retained; /* checked once, with the rest of the configuration that it was in */
	struct reserved_address *reserved_addresses;
	struct reserved_service *reserved_services;
	struct draft_range *ranges;
	size_t n_ranges, cap_ranges;
	size_t cap_pools, cap_peers, cap_bfd_profiles, cap_router_ids;
};

/* A pool in the making.  Fields of its keys are those of the pool, which stands first. */
struct pool_target {
	struct config_pool pool;
	struct draft *draft;
	size_t cap_ranges, cap_advertisements, cap_renumber;
	struct renumbered *renumbered; /* while the list is read */
	const struct ynode *advertisement_nodes[CONFIG_ADVERTISEMENTS_MAX];
};

/*
 * configuration_parse() for a text with so many lines of its file before it.  @accepted: see
 * schema_refuse().
 */
int parse_text(const char *yaml, size_t size, unsigned int lines_before, bool accepted,
               struct configuration **ret_config, struct config_problems *errors,
               struct config_problems *warnings);

void draft_fini(struct draft *d);
/* check_overlap() has left the ranges in order. */
void make_index(struct draft *d);

/* The keys of each map: of the whole document, of its parts, and of the maps in these. */
extern const struct schema_table document_table, pool_table, advertisement_table, external_table,
	peer_table, reservation_table, quota_table, selector_table, expression_table, bfd_table,
	timing_table, rebalance_table, journal_table, layer2_table, preference_table;
/*
 * The types of a pool's bgp-advertisements, of a peer's node-selectors, and of a pool's selectors,
 * none of which may be empty.
 */
extern const struct schema_type advertisements_type, selectors_type, narrow_selectors_type;
/* The types of the two keys of one selector, at a struct label_selector; only one frees it. */
extern const struct schema_type match_labels_type, match_expressions_type;
/* The type of a pool's layer2, at a struct config_pool. */
extern const struct schema_type layer2_type;
/* Its entries, a member of the open object or, without a key, the value. */
void print_layer2(struct out *o, const char *key, const struct config_pool *pool);
/* The types of exclude and reservations, at a struct config_pool. */
extern const struct schema_type exclude_type, reservations_type;
/* The type of renumber, at a struct pool_target. */
extern const struct schema_type renumber_type;
/* The type of allocation, at an enum config_allocation. */
extern const struct schema_type allocation_type;
/* The type of cool-down, at a uint32_t. */
extern const struct schema_type cool_down_type;
/* The type of a pool's quota, at a struct config_pool. */
extern const struct schema_type quota_type;
/* The type of a list of names of namespaces, at a struct config_namespaces; none is an error. */
extern const struct schema_type named_namespaces_type;

/* Each reads one top-level key's value; what others refer to comes first. */
void parse_communities(struct schema_ctx *x, const struct ynode *node, struct draft *d);
void parse_router_ids(struct schema_ctx *x, const struct ynode *node, struct draft *d);
void parse_bfd_profiles(struct schema_ctx *x, const struct ynode *node, struct draft *d);
void parse_peers(struct schema_ctx *x, const struct ynode *node, struct draft *d);
void parse_pools(struct schema_ctx *x, const struct ynode *node, struct draft *d);
/* A list of pools that were checked once, when they were the administrator's. */
void parse_retained(struct schema_ctx *x, const struct ynode *node, struct draft *d);
void parse_external_ips(struct schema_ctx *x, const struct ynode *node, struct draft *d);
void parse_failover(struct schema_ctx *x, const struct ynode *node, struct draft *d);
void parse_layer2_timing(struct schema_ctx *x, const struct ynode *node, struct draft *d);
void parse_rebalance(struct schema_ctx *x, const struct ynode *node, struct draft *d);
void parse_journal(struct schema_ctx *x, const struct ynode *node, struct draft *d);
/* By enum failover; NULL ends them. */
extern const char *const failover_words[];
/* The member of the key's name. */
void print_failover(struct out *o, const struct schema_key *key, const void *config);
/* What layer2-timing leaves open is as failover says. */
void fill_layer2_timing(struct configuration *c);

/* Whether two advertisements are for the same peers, nodes and Services, as they are written. */
bool config_advertisements_are_for_the_same(const struct config_advertisement *a,
                                            const struct config_advertisement *b);

/* A CIDR or a range.  False, and reported, for anything else. */
bool range_parse(struct schema_ctx *x, const struct ynode *node, struct addr_range *ret_range);

/* Whole seconds of a duration such as "90s".  False, and reported, where @what is none. */
bool read_seconds(struct schema_ctx *x, const char *what, const struct ynode *node, int64_t *ret_s);
/* The member of the key's name, at a uint32_t. */
void print_seconds(struct out *o, const struct schema_key *key, const void *field);
/* "namespace/name" */
bool is_service_key(const char *s);
/* None of 0/8, 127/8 and 224/3, for which routers refuse a session. */
bool is_router_id(const struct addr *a);
/* RFC 1123: small letters, digits and hyphens, none of those at either end. */
bool is_namespace(const char *s);
/* A DNS subdomain of @n characters: lower-case labels with dots. */
bool is_subdomain(const char *s, size_t n);

/*
 * "65535:65281", two numbers of 16 bits, or "large:64500:1:2", three of 32 (RFC 8092); canonical
 * text to be freed, or NULL.
 */
char *community_parse(const char *s);
/* The value of a community or of an alias; the text to be freed, or NULL. */
char *community_resolve(const struct draft *d, const char *s);

/* Rules across parts, on a whole draft. */
void check_peers(struct schema_ctx *x, const struct configuration *c);
void check_overlap(struct schema_ctx *x, struct draft *d);
/* Once check_overlap() has put the ranges in order. */
void check_peers_apart_from_pools(struct schema_ctx *x, const struct draft *d);
/* Rules of one pool, beside those before it; @node: the pool. */
void check_reservations(struct schema_ctx *x, struct draft *d, const struct config_pool *pool);
void free_seen_reservations(struct draft *d);
void check_excluded(struct schema_ctx *x, const struct ynode *node, const struct config_pool *pool);
void check_advertisements(struct schema_ctx *x, const struct pool_target *t);
void check_layer2(struct schema_ctx *x, const struct config_pool *pool);

#endif
