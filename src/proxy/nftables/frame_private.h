/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_NFTABLES_FRAME_PRIVATE_H
#define FAIRLEAD_PROXY_NFTABLES_FRAME_PRIVATE_H

/*
 * The inside of a frame: frame.c says what should be there, sets.c which maps, rules.c and others
 * which rules; look.c compares.
 */

#include "proxy/nftables/frame.h"
#include "proxy/nftables/rule.h"
#include "proxy/traffic.h"

/* Changed with the sets: a table of another layout is made anew. */
#define FRAME_LAYOUT "Fairlead, layout 1"
#define FRAME_LAYOUT_SIZE 48
const char *frame_layout(const struct frame *f);

/* The map of clients and their endpoints, which rules fill. */
#define FRAME_AFFINITY "affinity"
/* The chain for what is refused, and that for what has no way at a guarded address. */
#define FRAME_REJECT "refused"
#define FRAME_CLOSED "closed"
/* With IPVS: the chain for a connection that it gets, and that for each of its packets. */
#define FRAME_VIRTUAL "virtual"
#define FRAME_SCHEDULE "schedule"

/* Of a chain or a set. */
#define FRAME_NAME_SIZE 48

struct frame_set {
	uint32_t flags, key_type, key_size, value_type, value_size;
	uint32_t size; /* 0: whatever memory there is */
};

/* The numbers by which nft knows the types of what it prints. */
enum frame_type {
	TYPE_INTEGER = 4,
	TYPE_ADDR4 = 7,
	TYPE_ADDR6 = 8,
	TYPE_MAC = 9,
	TYPE_PROTOCOL = 12,
	TYPE_PORT = 13,
	TYPE_MARK = 19,
	TYPE_INTERFACE = 20,
	TYPE_DIRECTION = 27,
	TYPE_BITS = 6,
	TYPE_ADDR = 1, /* of the family; ours alone */
};

#define FRAME_FIELDS_MAX 4
struct frame_row {
	const char *name;
	uint8_t key[FRAME_FIELDS_MAX], value[FRAME_FIELDS_MAX];
	uint32_t flags;
	uint32_t size; /* 0: whatever memory there is */
};
struct frame_set frame_facts_of(const struct frame *f, const struct frame_row *row);

struct frame_base {
	const char *name, *type;
	uint32_t hook;
	int32_t priority;
	bool counts, ipvs; /* it is there only where that is wanted */
};

/* The @i-th, NULL: there are no more. */
const struct frame_base *frame_base(const struct frame *f, size_t i);

/* ---- frame.c: parts of a table, ours or another of this program ---- */

/* NFT_MSG_NEWTABLE or NFT_MSG_DELTABLE, to be completed and added. */
struct nlmsghdr *frame_table_message(const struct frame *f, struct wire *w, int type,
                                     uint16_t flags, const char *table);
void frame_put_base(const struct frame *f, struct wire *w, const char *table,
                    const struct frame_base *row);
void frame_put_set(const struct frame *f, struct wire *w, const char *table, const char *name,
                   const struct frame_set *set);
/* As frame_put_elements(), of the set or map that @shape names. */
void frame_put_list(const struct frame *f, struct wire *w, const char *table,
                    const struct frame_shape *shape, bool add, const struct frame_element *elements,
                    size_t n);
/* An element as the kernel tells it; false: not of that shape. */
bool frame_read_pair(const struct nlattr *a, const struct frame_shape *shape, void *ret_key,
                     void *ret_value);

typedef void frame_set_fn(const char *name, const struct frame_set *set, void *arg);
void frame_each_set(const struct frame *f, frame_set_fn *fn, void *arg);

typedef void frame_chain_fn(const char *name, void *arg);
/* Those that are there whatever Services there are, but for the base chains. */
void frame_each_chain(const struct frame *f, frame_chain_fn *fn, void *arg);

/* The rules in their order; the transaction in @w is lost. */
typedef void frame_rule_fn(const char *chain, uint64_t digest, void *arg);
void frame_each_rule(const struct frame *f, struct wire *w, frame_rule_fn *fn, void *arg);
void frame_each_kind_rule(const struct frame *f, struct wire *w, frame_kind kind, frame_rule_fn *fn,
                          void *arg);

/* Each kind has a chain for what comes from Pods and this node, and one for the rest. */
enum frame_side { FRAME_NEAR, FRAME_OUTSIDE };
#define FRAME_SIDES 2
void frame_kind_name(enum frame_side side, frame_kind kind, char ret[static FRAME_NAME_SIZE]);
/* False: the chain is none of a kind's. */
bool frame_kind_parse(const char *chain, enum frame_side *ret_side, frame_kind *ret_kind);
/* The map that leads from kinds to their chains. */
extern const char *const frame_picks[FRAME_SIDES];
/* With IPVS: where each packet of a side is marked. */
extern const char *const frame_marks[FRAME_SIDES];
/*
 * Kinds that are there whatever Services there are: @i from 0 until it returns false. *ret_chain
 * NULL: it drops.
 */
bool frame_fixed_kind(const struct frame *f, size_t i, frame_kind *ret_kind,
                      const char **ret_chain);

extern const char *const frame_origins[TRAFFIC_ORIGINS];
void frame_node_ports_name(enum traffic_origin origin, char ret[static FRAME_NAME_SIZE]);
const char *frame_map_name(enum frame_map map);
uint32_t frame_kind_count(frame_kind kind);
uint32_t frame_kind_affinity_s(frame_kind kind);
/* Of its own; others lead to static ones, or nowhere. */
bool frame_kind_has_chains(frame_kind kind);

/* ---- rules.c ---- */

/* Where rules go. */
struct frame_scribe {
	const struct frame *f;
	struct wire *w;
	const char *table;
	frame_rule_fn *told; /* of each; NULL: nobody */
	void *arg;
	struct rule r; /* the one that is being written */
};

void frame_put_static_rules(struct frame_scribe *s);
void frame_put_kind_rules(struct frame_scribe *s, enum frame_side side, frame_kind kind);

/* A rule, and its end. */
struct rule *frame_rule_begin(struct frame_scribe *s);
void frame_rule_end(struct frame_scribe *s, const char *chain, const char *comment);
/* Returns the register. */
unsigned int frame_load_way(struct rule *r, enum frame_map map);
/* Those by which packets of a side may have come, in the order in which to look; how many. */
#define FRAME_WAY_MAPS 4
size_t frame_way_maps(enum frame_side side, enum frame_map ret[static FRAME_WAY_MAPS]);
/* The rest of a rule whose conditions are there. */
void frame_put_clamp(struct frame_scribe *s, const char *chain);
/* Goes to the chain of the packet's origin. */
void frame_put_origins(struct frame_scribe *s, const char *chain,
                       const char *const to[static TRAFFIC_ORIGINS]);

/* ---- virtual.c: with IPVS ---- */

void frame_put_virtual_rules(struct frame_scribe *s);
/* Of connection marks: the connection is to be masqueraded. */
uint32_t frame_masquerade_bit(const struct frame *f);

uint8_t frame_nf_family(const struct frame *f);

/* ---- counting.c ---- */

/* The chain where packets are counted. */
#define FRAME_COUNTING "counting"
void frame_each_count(const struct frame *f, frame_set_fn *fn, void *arg);
const char *frame_count_name(enum frame_count count);
bool frame_count_has_direction(enum frame_count count);
/* What leads somewhere is counted. */
enum frame_map frame_count_ways(enum frame_count count);

#endif
