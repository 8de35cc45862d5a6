/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_L2_H
#define FAIRLEAD_L2_H

/*
 * Layer 2: which node answers ARP for an address, and the answering.
 *
 * Runs in a thread of its own on immutable snapshots, so that nothing the rest of the daemon does
 * can delay an answer or a heartbeat.  A snapshot says what this node would serve; ownership among
 * the nodes of a segment is settled by claims (see src/l2/claims.h), liveness by heartbeats
 * (src/member).  What the thread did comes back as l2_state.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/buf.h"
#include "fairlead/err.h"
#include "fairlead/reason.h"

struct l2;

/* One address of one Service, as this node's view has it. */
struct l2_want {
	struct addr addr; /* IPv4 */
	uint8_t uid[16];  /* the Service's UID */
	/* the Service's creation: of two claims for one address the newer Service's wins */
	int64_t created_us;
	bool eligible; /* this node may own it: decide_node() said so and the data plane is up */
	/*
	 * Nodes that this node's view holds eligible, itself included, as indexes into
	 * l2_snapshot.nodes; ascending.
	 */
	const uint16_t *candidates;
	size_t n_candidates;
};

struct l2_snapshot {
	const char *const *nodes; /* every node of the cluster, sorted by name */
	size_t n_nodes;
	const struct l2_want *wants; /* sorted by address, each address once */
	size_t n_wants;
	/*
	 * The layer-2 pools: a segment that holds part of one is joined before the first want,
	 * which then need not wait.
	 */
	const struct addr_range *ranges;
	size_t n_ranges;
	bool view_fresh; /* the API server was heard from lately */
};

enum l2_ownership {
	L2_IDLE,           /* not ours: no interface, or not eligible */
	L2_WAITING,        /* listening before the first claim, or another node has precedence */
	L2_PROBING,        /* asking whether anybody still answers for it */
	L2_OWNER,          /* ours: answering */
	L2_OTHER,          /* another node owns it */
	L2_STILL_ANSWERED, /* its former owner, from which nothing is heard, still answers ARP */
	L2_CONFLICT,       /* a stranger on the segment uses the address */
	/* not ours, and the kernel of this node or of a peer answers for it, whoever owns it */
	L2_KERNEL_ANSWERS,
	L2_NO_INTERFACE, /* no interface of this node holds the address's subnet */
};

struct l2_state {
	struct addr addr;
	enum l2_ownership ownership;
	char interface[16]; /* "" if none */
	char owner[64];     /* node name, this node's own if L2_OWNER, "" if unknown */
	uint32_t epoch;
	uint8_t mac[6]; /* who answers; zero if unknown */
	/*
	 * The kernel of a peer, which does not own it, answers for it: at mac in L2_KERNEL_ANSWERS,
	 * else at rival.
	 */
	bool peer_kernel;
	/*
	 * Just now this node and another machine, @rival, both answered for it: one of them gives
	 * way.
	 */
	bool two_owners;
	uint8_t rival[6];
};

struct l2_peer {
	char node[64];
	char interface[16];
	bool alive, restarting, view_fresh;
	int64_t last_heard_ms; /* clock_ms() */
};

/*
 * A layer-2 problem of this node that is not about a single address; padded with zeros.
 */
struct l2_trouble {
	enum reason reason;
	char interface[16]; /* "": all of them */
	char message[192];  /* the details */
};

struct l2_stats {
#define L2_STAT(member, from, name, help) uint64_t member;
#include "fairlead/metrics.def"
};

struct l2_options {
	const char *node;
	/* extended regular expression of interfaces to use; NULL: all that can carry ARP */
	const char *interface_pattern;
	/* heartbeat key; key_size 0: none, which makes every node a stranger to the others */
	const uint8_t *key;
	size_t key_size;
	int heartbeat_ms;     /* 100 */
	int dead_ms;          /* a peer without a heartbeat for this long is dead: 350 */
	int restart_hold_ms;  /* how long a peer that said `restarting` keeps its claims: 5000 */
	int probe_ms;         /* how long an ARP probe waits for an answer: 25 */
	bool first_use_probe; /* also probe before claiming an address that nobody has held */
};

/*
 * Called from the urgent thread when states changed or there is a complaint: should wake the main
 * loop, which then fetches both.
 */
typedef void l2_changed_cb(void *arg);

int l2_start(const struct l2_options *opts, l2_changed_cb *changed, void *arg, struct l2 **ret_l2,
             struct err *e);
/*
 * Publishes a snapshot, which is copied whole.  The thread acts on the difference from the previous
 * one.
 */
void l2_publish(struct l2 *l2, const struct l2_snapshot *s);
/*
 * When the API server last answered, in clock_ms().  A node whose view is fresh takes over from one
 * that has lost the server only if the server has answered it since.
 */
void l2_set_answered(struct l2 *l2, int64_t at_ms);
/* Copies of what is there; free() the arrays. */
void l2_states(const struct l2 *l2, struct l2_state **ret_states, size_t *ret_n);
void l2_peers(const struct l2 *l2, struct l2_peer **ret_peers, size_t *ret_n);
void l2_troubles(const struct l2 *l2, struct l2_trouble **ret_troubles, size_t *ret_n);
struct l2_stats l2_stats(const struct l2 *l2);
/*
 * The urgent thread's complaints, one at a time; false if there are none.  The thread does not log
 * by itself, as that may block.
 */
bool l2_take_complaint(struct l2 *l2, struct err *ret_complaint);
/* For liveness probes: clock_ms() of the urgent thread's last turn. */
int64_t l2_last_turn_ms(const struct l2 *l2);

enum l2_stop {
	L2_STOP_RESTARTING /* peers hold our claims for a while */,
	L2_STOP_YIELD /* others take over now */
};
/* Says farewell on the segments, ends the thread and frees everything. */
void l2_stop(struct l2 *l2, enum l2_stop how);

#endif
