/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_L2_H
#define FAIRLEAD_L2_H

/*
 * Layer 2: which node answers for an address, by ARP or neighbour discovery, and the answering.
 *
 * Runs in a thread of its own on immutable snapshots, so that nothing the rest of the daemon does
 * can delay an answer or a heartbeat.  A snapshot says what this node would serve; ownership among
 * the nodes of a segment is settled by claims (see include/fairlead/claims.h), liveness by
 * heartbeats (src/claims).  What the thread did comes back as l2_state.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/buf.h"
#include "fairlead/err.h"
#include "fairlead/ownership.h"
#include "fairlead/reason.h"
#include "fairlead/want_map.h"

struct l2;

struct l2_peer {
	char node[64];
	char interface[16];
	/* what its node has on the segment, as far as it is known: none else */
	uint8_t mac[6];
	struct addr own4, own6;
	bool alive, restarting, view_fresh;
	bool refuses4, refuses6;  /* it says that it would carry no traffic for the family */
	int64_t last_heard_ms;    /* clock_ms() */
	unsigned int lost_lately; /* of its last L2_LOSS_WINDOW messages */
	uint64_t n_lost;          /* of all, since it is known */
};
#define L2_LOSS_WINDOW 64

/* An interface that this node serves addresses on, or would. */
struct l2_segment {
	char interface[16];
	unsigned int index;     /* of the interface */
	struct addr own4, own6; /* the node's, from which it speaks there; none: it has none */
	uint8_t mac[6];
	unsigned int mtu;
	bool up;    /* it has a carrier, and frames are sent and received */
	bool ready; /* up, and it has listened long enough to answer */
	size_t n_owned;
	int64_t dead_after_ms; /* of silence, its peers take over */
	/* machines that lately sent here for an address that is another node's, and were told */
	size_t n_stale_neighbours;
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

/* What the urgent thread was given beyond an ordinary one. */
struct l2_urgency {
	bool realtime;      /* it runs before all ordinary threads */
	bool memory_locked; /* the process's, as it is touched */
};

struct l2_options {
	const char *node;
	/* extended regular expression of interfaces to use; NULL: all that can carry ARP */
	const char *interface_pattern;
	/* heartbeat key; key_size 0: none, which makes every node a stranger to the others */
	const uint8_t *key;
	size_t key_size;
	struct l2_timing timing; /* until a snapshot brings another */
	int restart_hold_ms;     /* how long a peer that said `restarting` keeps its claims: 5000 */
	bool first_use_probe;    /* also probe before claiming an address that nobody has held */
};

/*
 * Called from the urgent thread when states changed, a peer came or went, or there is a complaint:
 * should wake the main loop, which then fetches all of them.
 */
typedef void l2_changed_cb(void *arg);

int l2_start(const struct l2_options *opts, l2_changed_cb *changed, void *arg, struct l2 **ret_l2,
             struct err *e);
/*
 * Publishes a snapshot, which is copied where it differs from the previous one, and this version of
 * the wants, which is shared.  The thread acts on the difference from the previous ones.  Versions
 * end in the thread that calls this, in it, in l2_set_answered() and in l2_stop().
 */
void l2_publish(struct l2 *l2, const struct l2_snapshot *s, const struct want_map *wants);
/*
 * When the API server last answered, in clock_ms().  A node whose view is fresh takes over from one
 * that has lost the server only if the server has answered it since.
 */
void l2_set_answered(struct l2 *l2, int64_t at_ms);
/*
 * The states of what is wanted, of those addresses whose state may be another one than when this
 * was called last; free() the array.
 */
void l2_take_states(struct l2 *l2, struct l2_state **ret_states, size_t *ret_n);
/* Copies of what is there; free() the arrays. */
void l2_peers(const struct l2 *l2, struct l2_peer **ret_peers, size_t *ret_n);
void l2_segments(const struct l2 *l2, struct l2_segment **ret_segments, size_t *ret_n);
void l2_troubles(const struct l2 *l2, struct l2_trouble **ret_troubles, size_t *ret_n);
struct l2_stats l2_stats(const struct l2 *l2);
/*
 * The urgent thread's complaints, one at a time; false if there are none.  The thread does not log
 * by itself, as that may block.
 */
bool l2_take_complaint(struct l2 *l2, struct err *ret_complaint);
struct l2_urgency l2_urgency(const struct l2 *l2);
/* For liveness probes: clock_ms() of the urgent thread's last turn. */
int64_t l2_last_turn_ms(const struct l2 *l2);

enum l2_stop {
	L2_STOP_RESTARTING /* peers hold our claims for a while */,
	L2_STOP_YIELD /* others take over now */
};
/* Says farewell on the segments, ends the thread and frees everything. */
void l2_stop(struct l2 *l2, enum l2_stop how);

#endif
