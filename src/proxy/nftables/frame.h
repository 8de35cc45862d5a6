/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_NFTABLES_FRAME_H
#define FAIRLEAD_PROXY_NFTABLES_FRAME_H

/*
 * Our table of one family: sets, chains and rules, whose number does not depend on the number of
 * Services.  Everything that comes and goes with Services is an element of one of the maps below.
 *
 *   prerouting, output → pods, node, outside, by origin of the packet
 *     restricted, source-ranges   drops what may not use the address
 *     short-cuts, ways            address, protocol, port → way; the first not from outside
 *     sets                        way → kind of set
 *     near-picks, outside-picks   kind of set → drop, reject, or the chain that picks an endpoint
 *     guarded → closed            rejects what no Service has
 *     the node's own addresses    → pods-node-ports, …: the same by protocol and port alone
 *   near-N, outside-N             pick one of N: endpoints (set, index) → address, port
 *   near-N-for-Ts, …              with affinity: tickets (set, index) → ticket, which is kept by
 *                                 client; members (set, ticket) → address, port
 *   postrouting                   masquerades what is marked, and what reaches itself (hairpin)
 *   count-in, count-out           where packets are counted: by what they were meant for, of ways
 *
 * A way is the number of a set of endpoints, with bits that say who is masqueraded; 0 drops, 1
 * rejects.
 *
 * With IPVS, which picks the endpoints of all sets without affinity, these have one kind, and the
 * connection mark has the bit of `mark`.  From then on that is asked of each packet:
 *
 *   to-ipvs                     gives the packet that bit, by which it is routed to this node
 *   before-ipvs-input, -output  → schedule → near-marks, outside-marks: the mark is that of the
 *                               set's virtual server
 *   after-ipvs-input, -output   the mark is 0; what has no virtual server is dropped
 *   from-ipvs                   likewise, where IPVS has sent it on
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/buf.h"
#include "fairlead/err.h"
#include "fairlead/proxy.h"

struct wire;

#define FRAME_TABLE "fairlead"

/* Keys and values are 32-bit numbers in the host's order, but addresses and ports. */
enum frame_map {
	/* In the order in which they are written, so that what is new leads to what is there. */
	FRAME_ENDPOINTS,  /* set, index → address, port; of sets without affinity */
	FRAME_MEMBERS,    /* set, ticket → address, port; of sets with it */
	FRAME_TICKETS,    /* set, index → ticket */
	FRAME_HAIRPIN,    /* address, the same again */
	FRAME_RANGES,     /* group, address: intervals */
	FRAME_RESTRICTED, /* address, protocol, port → group */
	FRAME_SETS,       /* set → kind */
	FRAME_SHORTCUTS,  /* as the next two, where Pods or this node take another way */
	FRAME_NODE_SHORTCUTS,
	FRAME_WAYS,      /* address, protocol, port → way */
	FRAME_NODE_WAYS, /* protocol, node port → way */
	FRAME_GUARDED,   /* address → 0 */
	FRAME_MAPS
};

/* The longest of all are IPv6's: of FRAME_HAIRPIN and of FRAME_ENDPOINTS. */
#define FRAME_KEY_MAX 32
#define FRAME_VALUE_MAX 20

#define FRAME_WAY_DROP 0u
#define FRAME_WAY_REJECT 1u
/* What comes from a Pod is masqueraded; what comes from elsewhere is. */
#define FRAME_WAY_MASQUERADE_PODS 0x40000000u
#define FRAME_WAY_MASQUERADE_OTHERS 0x80000000u
#define FRAME_WAY_SET 0x3fffffffu
/*
 * Two sets of a port have neighbouring numbers: the client of one keeps its endpoint in both.  Of
 * what leads to no set nothing is left.
 */
#define FRAME_PORT_MASK 0x3ffffffeu

/* Of a set: how many endpoints it has, and for how long a client stays, in seconds. */
typedef uint32_t frame_kind;
#define FRAME_KIND_COUNT_BITS 15
/* Those without any are told apart by the seconds. */
#define FRAME_KIND_DROP 0u
#define FRAME_KIND_REJECT (1u << FRAME_KIND_COUNT_BITS)
/* IPVS picks one of however many there are. */
#define FRAME_KIND_VIRTUAL (2u << FRAME_KIND_COUNT_BITS)
frame_kind frame_kind_of(size_t n_endpoints, uint32_t affinity_s);
/* With the time rounded up to one of a few, which is itself where it is one of them already. */
frame_kind frame_kind_rounded(frame_kind kind);

/* As struct proxy_options and struct proxy_node have it. */
struct frame {
	uint8_t family;
	uint32_t mark;
	enum proxy_pods pods_by;
	char pod_interface[IFNAMSIZ];
	bool localhost_node_ports, localhost_guard; /* the latter keeps others from there */
	struct proxy_node node;
	bool drop_invalid; /* Pods' packets that conntrack cannot place would leave untranslated */
	bool ipvs;
	int clamp_mss;
	bool counts; /* what goes to Services, and their answers */
};

/* Of the virtual server of a set, whose number never has the bit of the mark. */
uint32_t frame_virtual_mark(const struct frame *f, uint32_t set);
/* The other way round. */
uint32_t frame_virtual_set(const struct frame *f, uint32_t mark);

/* Bytes of the map's keys and values; 0: a set. */
struct frame_shape {
	const char *name;
	uint8_t key, value;
	bool intervals;
};
struct frame_shape frame_shape(uint8_t family, enum frame_map map);

/* ---- into a transaction ---- */

/* The whole table, which must not be there. */
void frame_put_table(const struct frame *f, struct wire *w, const char *table, bool dormant);
void frame_drop_table(const struct frame *f, struct wire *w, const char *table);
/* The rules of all chains but those of kinds, in place of what is in them. */
void frame_put_rules(const struct frame *f, struct wire *w);
/* @again: its chains are there, with anything in them, and perhaps the way to them. */
void frame_put_kind(const struct frame *f, struct wire *w, const char *table, frame_kind kind,
                    bool again);
void frame_drop_kind(const struct frame *f, struct wire *w, frame_kind kind);
/* Adds or deletes elements of one map. */
struct frame_element {
	const void *key, *value;
};
void frame_put_elements(const struct frame *f, struct wire *w, enum frame_map map, bool add,
                        const struct frame_element *elements, size_t n);

/*
 * An element as nft reads it, "10.96.0.10 . tcp . 80 : 0x12345678"; without a value if that is
 * NULL.
 */
void frame_format_element(uint8_t family, enum frame_map map, const void *key, const void *value,
                          struct buf *out);

/* ---- what the kernel has ---- */

enum frame_state {
	FRAME_ABSENT,  /* no table */
	FRAME_FOREIGN, /* not as this program makes it: to be made anew */
	FRAME_DAMAGED, /* rules are not as they should be */
	FRAME_RIGHT,
};

typedef void frame_kind_fn(frame_kind kind, bool right, void *arg);
/*
 * Reads table, sets, chains and rules; blocks for as long as the kernel takes to tell some hundred
 * rules.  @fn gets each kind that the kernel has chains of.
 */
int frame_look(const struct frame *f, struct wire *w, frame_kind_fn *fn, void *arg,
               enum frame_state *ret_state, struct err *e);
/*
 * One element as the kernel tells it; false: not of the map's shape.  Of FRAME_RANGES it tells
 * where an interval begins and where one ends apart, the latter with *@ret_ends.
 */
struct nlattr;
bool frame_read_element(const struct frame *f, enum frame_map map, const struct nlattr *a,
                        unsigned char ret_key[static FRAME_KEY_MAX],
                        unsigned char ret_value[static FRAME_VALUE_MAX], bool *ret_ends);

/* All elements, map by map; a list that is begun again begins with the first map. */
struct frame_list {
	enum frame_map map;
	bool odd;         /* there are some as we do not make them */
	bool in_interval; /* where it begins is yet to come */
	unsigned char interval_end[FRAME_KEY_MAX];
};
typedef void frame_element_fn(enum frame_map map, const void *key, const void *value, void *arg);
int frame_list_begin(const struct frame *f, struct wire *w, struct frame_list *ret_list);
/*
 * The next datagram: 1 while more is to come, 0 at the end, else a negative errno of wire_step().
 */
int frame_list_step(const struct frame *f, struct wire *w, struct frame_list *l,
                    frame_element_fn *fn, void *arg);

/* ---- what was counted ---- */

/* The sets that rules fill: connections; and packets with their direction.  By way or node port. */
enum frame_count {
	FRAME_COUNT_CONNECTIONS,
	FRAME_COUNT_NODE_CONNECTIONS,
	FRAME_COUNT_TRAFFIC,
	FRAME_COUNT_NODE_TRAFFIC,
	FRAME_COUNTS
};
/* Elements of one of them; what comes then is not counted. */
#define FRAME_COUNTED_MAX 65536
/* What has no packets for so long is forgotten. */
#define FRAME_COUNTED_S 3600

struct frame_counted {
	enum frame_count count;
	unsigned char id[FRAME_KEY_MAX]; /* the element's own key, of a size that the set has */
	size_t id_size;
	enum frame_map map; /* of ways, and the key there */
	unsigned char key[FRAME_KEY_MAX];
	bool is_answer; /* of traffic: the packets are answers */
	uint64_t packets, bytes;
};
/* Asks for all elements of one. */
int frame_counts_begin(const struct frame *f, struct wire *w, enum frame_count count);
typedef void frame_counted_fn(const struct frame_counted *c, void *arg);
/* The next datagram of them: as frame_list_step(). */
int frame_counts_step(const struct frame *f, struct wire *w, enum frame_count count,
                      frame_counted_fn *fn, void *arg);
/* One element as the kernel tells it; false: not of the set's shape. */
bool frame_read_count(const struct frame *f, enum frame_count count, const struct nlattr *a,
                      struct frame_counted *ret);

#endif
