/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_BGP_MODEL_H
#define FAIRLEAD_BGP_MODEL_H

/*
 * What we have in bgpd, or want there: one shape for both, so that the difference is a walk over
 * two sorted lists.
 *
 * Policy is content-addressed: a route-map's name is the hash of its lines, so that a class never
 * changes once made, changing a prefix's policy takes one network line, and the name in the running
 * configuration already tells what it means.  Lines are kept canonical (communities as numbers,
 * sorted), because bgpd prints them differently from how they were entered.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/buf.h"
#include "fairlead/err.h"

#define BGP_MARK "FAIRLEAD"
#define BGP_MAP_PREFIX BGP_MARK "-"
#define BGP_CLASS_PREFIX BGP_MARK "-A-"
#define BGP_MAP_IN BGP_MARK "-IN"
#define BGP_MAP_OUT_PREFIX BGP_MARK "-OUT-"
#define BGP_INSTANCE_LIST BGP_MARK "-INSTANCE"
#define BGP_CLAIM_PREFIX BGP_MARK "-PEER-"
/*
 * The route tag by which the outbound policy knows our networks, plus their scope; it never leaves
 * bgpd.
 */
#define BGP_TAG 74710179u
/*
 * no-export, no-advertise and local-AS are for the router, but a bgpd that has a route with one of
 * them obeys it and does not send the route.  So they stand in no class: its tag says which of them
 * (one bit each) the outbound policy adds.
 */
#define BGP_SCOPES 8u
/* From here on: the tags of policies that are not the same for all peers. */
#define BGP_TAG_FIRST 0x80000000u
/* bgpd's own default is 120 s, too long to wait for a router that rebooted. */
#define BGP_CONNECT_RETRY_S 5
/* What our maps begin with; further entries follow at the same distance. */
#define BGP_SEQ 10u

/* ---- a sorted set of strings ---- */

struct bgp_lines {
	char **v;
	size_t n, cap;
};
void bgp_lines_fini(struct bgp_lines *l);
void bgp_lines_add(struct bgp_lines *l, const char *line); /* once; keeps the order */
bool bgp_lines_has(const struct bgp_lines *l, const char *line);
bool bgp_lines_eq(const struct bgp_lines *a, const struct bgp_lines *b);
void bgp_lines_copy(struct bgp_lines *to, const struct bgp_lines *from);

/* ---- policy ---- */

struct bgp_attr {
	bool has_localpref;
	uint32_t localpref;
	uint32_t *communities; /* sorted, distinct */
	size_t n_communities, cap_communities;
	struct bgp_large {
		uint32_t v[3];
	} * large; /* sorted, distinct */
	size_t n_large, cap_large;
};
void bgp_attr_fini(struct bgp_attr *a);
/*
 * "65535:65281", "large:1:2:3"; also bgpd's names and plain numbers, as it prints them.  -EINVAL,
 * -E2BIG.
 */
int bgp_attr_add(struct bgp_attr *a, const char *community, struct err *e);
/* Union of communities, the higher localpref. */
int bgp_attr_merge(struct bgp_attr *to, const struct bgp_attr *from, struct err *e);
bool bgp_attr_eq(const struct bgp_attr *a, const struct bgp_attr *b);
unsigned int bgp_attr_scope(const struct bgp_attr *a);
/* The canonical `set` lines of a class of ours. */
void bgp_attr_lines(const struct bgp_attr *a, struct bgp_lines *out);
/* The line of a class that has nothing but a tag. */
void bgp_tag_line(uint32_t tag, struct bgp_lines *out);
/* The lines of the outbound policy's entry for that scope, and for a tag with these attributes. */
void bgp_scope_lines(unsigned int scope, struct bgp_lines *out);
void bgp_attr_out_lines(const struct bgp_attr *a, uint32_t tag, struct bgp_lines *out);
/* A route-map's line as bgpd prints it, made canonical. */
char *bgp_canonical_line(const char *line);
uint64_t bgp_lines_hash(const struct bgp_lines *l);

/* One entry of a route-map. */
struct bgp_map {
	char *name;
	uint32_t seq;
	bool permit;
	struct bgp_lines lines;
};

/* ---- state ---- */

#define BGP_CLASS_NAME_SIZE 32

enum bgp_af { BGP_AF4, BGP_AF6, BGP_N_AF };

struct bgp_network {
	struct prefix prefix;
	uint64_t class; /* the hash in the route-map's name; 0: ours, but not a name that we give */
};

struct bgp_peer {
	struct addr address;
	bool waits; /* if wanted: its password is not known, so it may stay but not be made */
	uint32_t remote_as;
	struct bgp_lines lines; /* what follows "neighbor X ", for the keywords that we manage */
	struct {
		bool active;
		char *in, *out; /* route-maps */
	} af[BGP_N_AF];
};

/*
 * Our claim, in a list named after the address, that a neighbour with this AS number there is ours
 * though it has no description yet.  Between the command that makes it and the one that describes
 * it bgpd may stop listening to us: it does so when it cannot deliver a reply, because we have died
 * or given up.
 */
struct bgp_claim {
	struct addr address;
	uint32_t remote_as;
};

struct bgp_state {
	uint32_t asn;                 /* of the instance; 0: none */
	bool own;                     /* the instance is ours */
	uint32_t marker;              /* the AS number in FAIRLEAD-INSTANCE, 0: no such list */
	struct bgp_lines instance;    /* of the settings that we make in an instance of ours */
	struct bgp_network *networks; /* sorted by prefix, IPv4 first */
	size_t n_networks, cap_networks;
	struct bgp_map *maps; /* sorted by name and seq */
	size_t n_maps, cap_maps;
	struct bgp_peer *peers; /* sorted by address */
	size_t n_peers, cap_peers;
	struct bgp_claim *claims;
	size_t n_claims, cap_claims;
};
void bgp_state_fini(struct bgp_state *s);
void bgp_state_copy(struct bgp_state *to, const struct bgp_state *from);
bool bgp_state_eq(const struct bgp_state *a, const struct bgp_state *b);
void bgp_state_sort(struct bgp_state *s);
/*
 * The entry, created (as a permitting one) if need be; valid until the next one is made. *ret_new
 * may be NULL.
 */
struct bgp_map *bgp_state_map(struct bgp_state *s, const char *name, uint32_t seq, bool *ret_new);
/* The first entry of that name. */
const struct bgp_map *bgp_state_find_map(const struct bgp_state *s, const char *name);
const struct bgp_map *bgp_state_find_entry(const struct bgp_state *s, const char *name,
                                           uint32_t seq);
/*
 * An outbound policy of these entries, made if need be; sorts them.  Its name follows from what
 * they say.
 */
void bgp_out_map(struct bgp_state *s, struct bgp_lines *entries, size_t n,
                 char ret_name[static BGP_CLASS_NAME_SIZE]);
void bgp_state_claim(struct bgp_state *s, const struct addr *a, uint32_t remote_as);
const struct bgp_claim *bgp_state_find_claim(const struct bgp_state *s, const struct addr *a);
const struct bgp_peer *bgp_state_find_peer(const struct bgp_state *s, const struct addr *a);
const struct bgp_network *bgp_state_find_network(const struct bgp_state *s, const struct prefix *p);
void bgp_state_add_network(struct bgp_state *s, const struct bgp_network *n);
struct bgp_peer *bgp_state_add_peer(struct bgp_state *s, const struct addr *a);
void bgp_peer_copy(struct bgp_peer *to, const struct bgp_peer *from);
void bgp_peer_fini(struct bgp_peer *p);
void bgp_map_fini(struct bgp_map *m);
void bgp_map_copy(struct bgp_map *to, const struct bgp_map *from);
bool bgp_map_eq(const struct bgp_map *a, const struct bgp_map *b);
bool bgp_peer_eq(const struct bgp_peer *a, const struct bgp_peer *b);
/* It has its description; if not, only a claim makes it ours. */
bool bgp_peer_is_described(const struct bgp_peer *p);

const char *bgp_class_name(uint64_t class, char out[static BGP_CLASS_NAME_SIZE]);
/* 0 if the name is none of ours. */
uint64_t bgp_class_of_name(const char *name);

/*
 * The length of the managed keyword that @line (what follows "neighbor X ") begins with, 0 if we do
 * not manage it.
 */
size_t bgp_peer_keyword(const char *line);

#endif
