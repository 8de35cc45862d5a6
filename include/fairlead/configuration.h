/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONFIGURATION_H
#define FAIRLEAD_CONFIGURATION_H

/*
 * The ConfigMap's YAML as one immutable value: pools, external IPs, peers, communities, router ids,
 * BFD profiles, how fast a dead node is noticed.
 *
 * A configuration either parses whole or not at all; every error found carries its line and the
 * path of the key (fairlead.yaml(5)).  Reference counted, so that a snapshot can outlive the next
 * edit.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/buf.h"
#include "fairlead/err.h"
#include "fairlead/labels.h"

struct out;

/* How an address is announced: one of them, or several as bits. */
enum protocol { PROTOCOL_LAYER2 = 1 << 0, PROTOCOL_BGP = 1 << 1 };
const char *protocol_name(enum protocol p); /* "layer2" */
enum { CONFIG_USE_LOAD_BALANCER = 1 << 0, CONFIG_USE_EXTERNAL_IP = 1 << 1 };

#define CONFIG_ADVERTISEMENTS_MAX 64 /* a pool */
struct config_advertisement {
	uint8_t aggregation_len, aggregation_len_v6;
	uint32_t localpref; /* 0: none */
	bool has_localpref;
	char **communities; /* resolved: "65535:65281" */
	size_t n_communities;
	char **peers; /* their names; none: all */
	size_t n_peers;
	struct label_selectors node_selectors, service_selectors; /* none: all */
	unsigned int line;
};

/* Some of them, by name. */
struct config_namespaces {
	char **names;
	size_t n;
};

/*
 * Whose Services a pool is for.  Of namespaces, one that is named or selected suffices; where both
 * namespaces and Services are given, both must match.
 */
struct config_audience {
	struct config_namespaces namespaces;
	struct label_selectors namespace_selectors; /* by the Namespace's labels */
	struct label_selectors service_selectors;   /* by the Service's labels */
};

/* Nodes that are preferred to others, by so much. */
struct config_preference {
	uint8_t weight; /* 1 to 100 */
	struct label_selector nodes;
};

/*
 * An entry of a pool's layer2: for these Services, these nodes announce the addresses on these
 * interfaces.  What is not given does not narrow anything.
 */
struct config_layer2 {
	/* extended regular expressions (POSIX), each of a whole name */
	char **interfaces;
	size_t n_interfaces;
	bool routed; /* on these also addresses that lie in no subnet of the node's there */
	struct label_selectors node_selectors, service_selectors;
	struct config_preference *preferred_nodes;
	size_t n_preferred_nodes;
	unsigned int line;
};
#define CONFIG_LAYER2_MAX 64 /* a pool: a set of them is a uint64_t */
/* that a Service may ask for, of one family of a pool; a Service's status is bounded by it */
#define CONFIG_ADDRESSES_PER_SERVICE_MAX 4
/* of all expressions of a pool in one, as config_pool_put_interfaces() may put them */
#define CONFIG_INTERFACES_BYTES_MAX 4096

/* An address that is for one Service. */
struct config_reservation {
	char *service; /* "namespace/name" */
	struct addr address;
	unsigned int line;
};

/* So many addresses of the pool may these namespaces hold, all of them together. */
struct config_quota {
	struct config_namespaces namespaces;
	uint32_t addresses;
};

/* Which of its free addresses a pool gives, and when it is tried. */
enum config_allocation {
	CONFIG_ALLOCATION_LOWEST,
	CONFIG_ALLOCATION_RANDOM,
	/*
	 * the lowest; before and among pools of its priority, the one with the smallest part in use
	 */
	CONFIG_ALLOCATION_LEAST_USED_POOL,
	CONFIG_ALLOCATION_ROUND_ROBIN, /* the next one after the one that was given last */
};

struct config_pool {
	char *name;
	unsigned int protocols;    /* PROTOCOL_… bits */
	unsigned int uses;         /* CONFIG_USE_… bits; load balancers alone */
	struct addr_range *ranges; /* as written, in order; a CIDR is one range */
	size_t n_ranges;
	bool auto_assign;              /* true */
	bool avoid_buggy_ips;          /* false */
	bool disabled;                 /* false: gives nothing new */
	bool shares_across_namespaces; /* false: Services share addresses within one alone */
	struct addr_range *excluded;   /* never given; by first address, apart from each other */
	size_t n_excluded;
	struct config_reservation *reservations; /* no two of one address */
	size_t n_reservations;
	struct config_quota *quotas; /* a namespace may be in several: each holds */
	size_t n_quotas;
	uint32_t cool_down_s; /* 0: none */
	/* of one family, for a Service that asks for them; 1 */
	uint32_t addresses_per_service;
	enum config_allocation allocation;
	bool holds_ending; /* terminating: hold, for Services that do not set it */
	bool has_priority;
	int32_t priority; /* lower first; pools without one come last; ties by name */
	/* takes in Services whose address is retained; if any are named, only these */
	bool renumber;
	char **renumber_services; /* "namespace/name" */
	size_t n_renumber_services;
	struct config_audience audience;
	struct config_advertisement *advertisements;
	size_t n_advertisements;
	struct config_layer2 *layer2; /* none: everywhere */
	size_t n_layer2;
	unsigned int line; /* of the name */
};

struct config_peer {
	char *name; /* "peer-1" … by position if none is given */
	bool is_named;
	uint32_t my_asn, peer_asn;
	struct addr address, source_address, router_id;
	uint16_t port;                          /* 179 */
	uint32_t hold_time_s, keepalive_time_s; /* 90, a third of it */
	char *password,
		/* at most one; the second is a key in the Secret of BGP passwords */
		*password_secret;
	char *bfd_profile;
	bool ebgp_multihop;
	struct label_selectors node_selectors; /* none: all nodes */
	unsigned int line, asn_line, address_line, router_id_line;
};

struct config_bfd_profile {
	char *name;
	uint32_t receive_interval_ms, transmit_interval_ms, echo_interval_ms; /* 0: FRR's default */
	uint8_t detect_multiplier, minimum_ttl;                               /* 0: FRR's default */
	bool echo_mode, passive_mode;
};

struct config_community {
	char *name;
	char *value; /* "65535:65281" */
};

struct config_router_id {
	char *node;
	struct addr id;
	unsigned int line;
};

/* How fast a dead node is noticed by layer 2: names for timings that were measured together. */
enum failover { FAILOVER_NORMAL, FAILOVER_FAST, FAILOVER_CALM };
struct config_layer2_timing {
	uint16_t heartbeat_ms; /* how often a node says something */
	uint16_t probe_ms;     /* how long an answer to a probe is waited for */
	uint8_t multiplier;    /* dead after so many intervals without anything */
};

/* How owners by layer 2 hand over addresses to nodes that own less than their share. */
struct config_rebalance {
	uint16_t per_minute; /* so many Services, all nodes of a segment together; 0: never */
};

/* Whether the leader writes down who had which address when. */
#define CONFIG_JOURNAL_DAYS 90
struct config_journal {
	uint16_t days; /* for so long; 0: there is no journal */
};

struct config_range {
	struct addr_range range;
	size_t pool; /* position in pools */
};

struct configuration {
	unsigned int refs;
	struct config_pool *pools; /* in the order of the file */
	size_t n_pools;
	struct config_peer *peers;
	size_t n_peers;
	struct config_bfd_profile *bfd_profiles;
	size_t n_bfd_profiles;
	struct config_community *communities; /* bgp-communities, by name */
	size_t n_communities;
	struct config_router_id *router_ids; /* bgp-router-ids, by node */
	size_t n_router_ids;
	struct addr_range *external_ips_allow; /* for hand-written external IPs, as written */
	size_t n_external_ips_allow;
	char **external_ips_namespaces; /* where they are allowed; "*": everywhere */
	size_t n_external_ips_namespaces;
	enum failover failover;
	struct config_layer2_timing layer2_timing; /* that of failover where nothing else is said */
	struct config_rebalance rebalance;
	struct config_journal journal;
	/* every range of every pool, by first address; they never overlap */
	struct config_range *index;
	size_t n_index;
	/*
	 * Addresses in use that an edit left without a pool, or without one for their use, with the
	 * settings by which they are still announced: pools that give out nothing.  Only the
	 * configuration that the leader publishes has any.  Their names may occur twice, and may be
	 * those of pools.
	 */
	struct config_pool *retained;
	size_t n_retained;
	struct config_range *retained_index;
	size_t n_retained_index;
};

struct config_problem {
	unsigned int line; /* from 1; 0: the document as a whole */
	char *path;        /* "address-pools[0].addresses[1]" */
	char *message;     /* what is wrong, and what would be right */
};

struct config_problems {
	struct config_problem *items;
	size_t n, cap;
};
void config_problems_fini(struct config_problems *p);
/* Adds one about the document as a whole; takes the message. */
void config_problems_add(struct config_problems *p, char *message);
/* "line 3: address-pools[0].name: …; line 5: …", no more than so many, and how many are left. */
void config_problems_say(const struct config_problems *p, size_t most, struct buf *out);
/* A list of them, as `config check` and /status have it: line, path, message. */
void config_problems_put(const struct config_problems *p, const char *key, struct out *o);

/*
 * Parses the YAML text.  On failure returns -EINVAL and fills @errors (sorted by line) with every
 * error, not only the first.  @warnings collects what is accepted but looks like a mistake.  An
 * empty document is a valid, empty configuration.
 */
int configuration_parse(const char *yaml, size_t size, struct configuration **ret_config,
                        struct config_problems *errors, struct config_problems *warnings);
/*
 * The same for a ConfigMap of this name; @text NULL: it has not the key, which is an error, too.
 * With every warning.
 */
int configuration_judge(const char *namespace, const char *config_map, const char *text,
                        struct configuration **ret_config, struct config_problems *errors,
                        struct config_problems *warnings);
/*
 * The same for what an administrator has in a file: the text itself, or the manifest of a ConfigMap
 * that holds it.  Lines are those of the file; where the manifest's quoting hides them, the line is
 * that of the key, and the message gives the line within the text.
 */
int configuration_parse_file(const char *text, size_t size, struct configuration **ret_config,
                             struct config_problems *errors, struct config_problems *warnings);
/*
 * Warns of pools that nobody announces, because they are for BGP alone and there are no peers
 * (which may come later).
 */
void configuration_warn_silent(const struct configuration *c, struct config_problems *warnings);
/*
 * Warns if there is no pool at all: whatever generates the configuration may have failed.  An empty
 * ConfigMap is still valid.
 */
void configuration_warn_no_pools(const struct configuration *c, struct config_problems *warnings);
/*
 * The same for what the leader has published: the text, and what is retained beside it.  NULL texts
 * are empty ones.
 */
int configuration_parse_published(const char *yaml, const char *retained,
                                  struct configuration **ret_config, struct config_problems *errors,
                                  struct config_problems *warnings);
/* An address in use, and the pool by which it was announced last. */
struct config_retention {
	const struct config_pool *pool;
	struct addr addr;
};
/* Adds the text of these as configuration_parse_published() reads it; sorts them. */
void configuration_print_retained(struct config_retention *items, size_t n, struct buf *out);
/*
 * Takes such a text into a configuration without retained addresses, which nobody else has yet.  On
 * failure it is unchanged, and @errors says why.
 */
int configuration_retain(struct configuration *c, const char *retained,
                         struct config_problems *errors);
/*
 * The configuration as an object with the keys of the YAML: every default filled in, a pool's
 * protocol a list, durations as "90s", ranges canonical, passwords "***".  @key: the object's key
 * in the enclosing one, or NULL.
 */
void configuration_print(const struct configuration *c, struct out *o, const char *key);
/* The same as JSON. */
void configuration_json(const struct configuration *c, struct buf *json);
/* What such a document may be, as a JSON Schema (draft-07) for editors. */
void configuration_schema(struct buf *json);
struct configuration *configuration_ref(struct configuration *c);
void configuration_unref(struct configuration *c);
/*
 * The peers of a node with these labels, in the order of the file.  bgpd has one instance there, in
 * which not all of them may work together; of two that do not, the first is used.
 */
struct config_node_peer {
	const struct config_peer *peer;
	char *refused; /* why it cannot be used, in words; NULL: it can */
};
size_t config_node_peers(const struct configuration *c, const struct labels *labels,
                         struct config_node_peer **ret_peers);
void config_node_peers_free(struct config_node_peer *peers, size_t n);
/* Does the peer select a node with these labels? */
bool config_peer_selects(const struct config_peer *p, const struct labels *labels);
/* As its ranges are written, with what it excludes.  O(ranges). */
bool config_pool_contains(const struct config_pool *pool, const struct addr *a);
/*
 * The pool by which @a is announced, or NULL: where it is retained, that one's settings count.
 * O(log n).
 */
const struct config_pool *configuration_pool_of(const struct configuration *c,
                                                const struct addr *a);
/* The pool that may give @a, or NULL. */
const struct config_pool *configuration_giving_pool_of(const struct configuration *c,
                                                       const struct addr *a);
/* The retained one, or NULL. */
const struct config_pool *configuration_retained_of(const struct configuration *c,
                                                    const struct addr *a);
/*
 * The subset of these PROTOCOL_… bits by which addresses can be announced at all: BGP needs a peer.
 */
unsigned int configuration_effective_protocols(const struct configuration *c,
                                               unsigned int protocols);
/* The first peer of this address, or NULL. */
const struct config_peer *configuration_peer_of(const struct configuration *c,
                                                const struct addr *a);
/*
 * The router id for the node of this name, or NULL: then the peers' applies, or bgpd chooses.
 * O(log n).
 */
const struct addr *configuration_router_id_of(const struct configuration *c, const char *node);
bool config_pool_excludes(const struct config_pool *pool, const struct addr *a);
bool config_namespaces_have(const struct config_namespaces *list, const char *name);
/* "shop, edge" */
void config_namespaces_put(const struct config_namespaces *list, struct buf *out);
/* Is the pool for some Services alone? */
bool config_pool_is_reserved(const struct config_pool *pool);
/*
 * Which of a pool's bgp-advertisements apply: the set of those, bit i for bgp-advertisements[i],
 * that are for a Service with these labels; and of a set those that are for a node with these, and
 * for a peer of it or for all peers.  A pool without any has one with default values.
 */
uint64_t config_pool_advertisements_for_service(const struct config_pool *pool,
                                                const struct labels *service);
uint64_t config_pool_advertisements_for_node(const struct configuration *c,
                                             const struct config_pool *pool,
                                             uint64_t advertisements, const struct labels *node);
/* For whom it is, in words: "to tor-a, tor-b; from nodes rack=a; for Services app=web". */
void config_advertisement_say(const struct config_advertisement *adv, struct buf *out);
/*
 * Adds which of the pool's are in the set, where any is not for everybody: "; by
 * bgp-advertisements[0] (to tor-a)".  @pool: may be NULL.
 */
void config_pool_say_advertisements(const struct config_pool *pool, uint64_t set, struct buf *out);
/* Is it for this peer? */
bool config_advertisement_reaches(const struct config_advertisement *adv, const char *peer);
/*
 * Whether the advertisements of two pools are for the same Services, nodes and peers, one by one.
 * Those that name peers are not, as these may have changed.
 */
bool config_pools_advertise_alike(const struct config_pool *a, const struct config_pool *b);
/*
 * Where a pool's addresses are announced by layer 2: the set of its entries, bit i for layer2[i],
 * that are for a Service with these labels, and of a set those that are for a node with these.  A
 * pool without entries has only these two sets, all and none, and all is what it gives.
 */
#define CONFIG_LAYER2_ALL UINT64_MAX
uint64_t config_pool_layer2_for_service(const struct config_pool *pool,
                                        const struct labels *service);
uint64_t config_pool_layer2_for_node(const struct config_pool *pool, uint64_t entries,
                                     const struct labels *node);
/* By how much a node is preferred: the weights that it has in these entries, added up. */
uint32_t config_pool_preference(const struct config_pool *pool, uint64_t entries,
                                const struct labels *node);
/*
 * The interfaces of these entries, at least one, as one extended regular expression of the whole
 * name; "": all.
 */
void config_pool_put_interfaces(const struct config_pool *pool, uint64_t entries, struct buf *out);
/* Likewise those of the entries with `subnet: routed`; "": none. */
void config_pool_put_routed(const struct config_pool *pool, uint64_t entries, struct buf *out);
/* What an entry narrows, in words: "interfaces eth1; nodes rack=a; Services app=web". */
void config_layer2_say(const struct config_layer2 *entry, struct buf *out);
/* Whether two pools announce in the same places, whatever Services and nodes there are. */
bool config_pool_layer2_eq(const struct config_pool *a, const struct config_pool *b);
/* Whether a node with the second labels would announce otherwise than with the first. */
bool config_pool_layer2_tells_apart(const struct config_pool *pool, const struct labels *a,
                                    const struct labels *b);
/* Whether some pool would announce elsewhere if a node had the second labels, not the first. */
bool configuration_tells_nodes_apart(const struct configuration *c, const struct labels *a,
                                     const struct labels *b);
enum config_match { CONFIG_MATCHES_NOT, CONFIG_MATCHES, CONFIG_MATCHES_PERHAPS };
/*
 * Is the pool for a Service with these labels in this namespace, whose own labels are
 * @namespace_labels?  Perhaps, if these are not known (NULL) and decide it.
 */
enum config_match config_pool_matches(const struct config_pool *pool, const char *namespace,
                                      const struct labels *namespace_labels,
                                      const struct labels *labels);
/*
 * For whom a reserved pool is, in words: "namespaces shop, env=prod; Services app=web".  And as an
 * object, the member @key; nothing for other pools.
 */
void config_pool_say_audience(const struct config_pool *pool, struct buf *out);
void config_pool_put_audience(const struct config_pool *pool, const char *key, struct out *o);
/* The order in which pools are tried: those for some Services first, by priority, by name. */
int config_pool_cmp(const struct config_pool *a, const struct config_pool *b);
/* A pool that has to know the labels of Namespaces, or NULL. */
const struct config_pool *configuration_selects_namespaces(const struct configuration *c);
/*
 * Does any pool go by what no object tells, and leaders write down: does it let addresses cool
 * down, or give them in turn?
 */
bool configuration_is_noted(const struct configuration *c);
const struct config_pool *configuration_pool_named(const struct configuration *c, const char *name);
/*
 * May a Service of this namespace have the external IP @a that somebody wrote by hand?  Only inside
 * external-ips.allow and external-ips.namespaces; anything else is denied, and so is a special
 * address whatever the ranges.
 */
bool configuration_external_ip_allowed(const struct configuration *c, const struct addr *a,
                                       const char *namespace);

/* What the name stands for. */
struct config_layer2_timing config_failover_timing(enum failover f);

/* A configuration with every key at its default. */
void config_advertisement_init(struct config_advertisement *adv);
/*
 * Which ConfigMap: the administrator's, and the one by which the leader publishes what it accepted.
 */
/* What bgpd and bfdd take as one word. */
#define CONFIG_PASSWORD_MAX 80 /* TCP_MD5SIG_MAXKEYLEN */
#define CONFIG_BFD_PROFILE_NAME_MAX 55

#define CONFIG_MAP_NAME "fairlead"
#define CONFIG_MAP_KEY "config"
#define CONFIG_MAP_ACTIVE "fairlead-active"
#define CONFIG_MAP_RETAINED "retained" /* key of the published one */
/* Annotation on the active one: the name of the administrator's that it was published from. */
#define CONFIG_SOURCE_ANNOTATION "fairlead.io/config-map"
/* Annotation on the active one: a number that grows with every accepted change. */
#define CONFIG_GENERATION_ANNOTATION "fairlead.io/generation"
/*
 * Annotation on the active one: Fairlead is being uninstalled.  Every daemon that has seen it stops
 * for good, whatever becomes of it later: speakers clean up, and the leader assigns nothing more
 * and, if asked to, takes all addresses back.
 */
#define UNINSTALL_ANNOTATION "fairlead.io/uninstall"
#define UNINSTALL_KEEP "keep-addresses"
#define UNINSTALL_RELEASE "release-addresses"
#define UNINSTALL_RELEASED "released" /* the leader's answer */
/*
 * Annotation on the active one: each time that it becomes another word, speakers hand over once
 * addresses to nodes that own less than their share (l2_rebalance).
 */
#define REBALANCE_ANNOTATION "fairlead.io/rebalance"

#endif
