/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_MEMBER_H
#define FAIRLEAD_MEMBER_H

/*
 * Who is alive on a segment: heartbeats, judged in virtual time.
 *
 * It reads no clock and no socket: correctly signed messages come in together with the time, and
 * what may be believed comes out.  What messages are about (claims) is not its concern.
 *
 * A signature says that a message was once written by a speaker, not when.  So a node's new
 * incarnation is believed only when it has proven to be there now: its heartbeat repeats our own
 * random incarnation with a recent sequence number of ours, or a peer that we believe, and that we
 * hear now, says that it has that proof.  From then on its sequence numbers must grow, and its
 * former incarnation is not believed as long as this one is there.  No clock is compared with
 * another machine's.
 *
 * A peer lives while we hear it, or while one that we hear has heard it later than we did: so a
 * filter between just two nodes makes neither dead.  Times are milliseconds.
 *
 * How long a peer may be silent is the peer's own affair: each heartbeat says how often there is
 * one and after how many of these intervals its sender is dead, and a sender that has been silent
 * for so long knows that the others have given it up.  So nodes of different settings understand
 * each other.  What others heard of a peer does not say that, so one that only they hear may be
 * silent for as long as we may ourselves, if that is longer.
 *
 * What all of them say together is bounded: the more speakers there are, the longer is the
 * interval, and the fewer peers each heartbeat repeats (member_timing.c).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/hash.h"
#include "fairlead/strangers.h"
#include "fairlead/wire.h"

/*
 * Peers known on one segment; with more, heartbeats that repeat 32 of them at a time would take too
 * long to go round.
 */
#define MEMBER_PEERS_MAX 1024
#define MEMBER_RETIRED_MAX 8
#define MEMBER_BEATS_KEPT 64

struct member_options {
	const char *node; /* shorter than WIRE_NAME_SIZE */
	uint8_t mac[WIRE_MAC_SIZE];
	uint64_t incarnation; /* random */
	uint64_t seed;        /* random, and never sent */
	/* see struct l2_timing; and how long a peer that restarts may take */
	int heartbeat_ms, multiplier, restart_hold_ms;
	/* 0: MEMBER_PEERS_MAX; fewer for tests of what becomes of those that find no place */
	size_t peers_max;
};

enum member_state {
	MEMBER_ALIVE,
	MEMBER_RESTARTING, /* said so, and has until restart_until_ms to come back */
	MEMBER_DEAD,       /* unheard for too long */
	MEMBER_LEFT,       /* said farewell */
};

struct member_peer {
	char name[WIRE_NAME_SIZE];
	uint8_t mac[WIRE_MAC_SIZE];
	uint16_t slot; /* its index in member.peers; stays while the peer is known */
	enum member_state state;
	uint64_t incarnation;
	uint32_t seq; /* the highest heard from itself */
	/* Of its messages up to that one: bit n is whether the n-th last was heard. */
	uint64_t heard_bits;
	uint64_t n_lost; /* that were not heard at all, or too late; of all its incarnations */
	/* the highest that anybody has said he heard, ourselves included, and since when that is */
	uint32_t hearsay_seq;
	int64_t hearsay_ms;
	int64_t heard_ms;          /* by us or by others */
	int64_t heard_directly_ms; /* by us */
	int64_t hears_us_ms;       /* when we sent the last thing that it is known to have heard */
	int64_t restart_until_ms;
	int64_t fresh_ms; /* when it last said that its view is fresh */
	uint8_t flags;    /* of its last message */
	uint16_t mtu;     /* the largest datagram it takes; 0: any */
	uint8_t version;  /* of what it says: 1 or 2 */
	bool echoed;      /* a heartbeat of ours has said that we hear it */
	/* how often it says something, and how long it may be silent */
	int64_t heartbeat_ms, dead_ms;
	uint64_t retired[MEMBER_RETIRED_MAX];
	size_t n_retired; /* ever; the oldest are overwritten */
	UT_hash_handle by_name, by_incarnation;
};

struct member {
	struct member_options opts;
	struct member_peer **peers; /* by slot; NULL: free */
	size_t n_slots, slots_cap;
	struct member_peer *by_name, *by_incarnation;
	struct strangers strangers;
	uint64_t peers_refused; /* messages of nodes that found no place, all peers being there */
	int64_t refused_ms;     /* the last of them */
	size_t echo_room;       /* echoes that fit a heartbeat */
	uint32_t seq;           /* of the last message sent */
	struct {
		int64_t at_ms;
		uint32_t seq;
	} beats[MEMBER_BEATS_KEPT]; /* of the last heartbeats sent */
	size_t n_beats;
	/*
	 * The slots in an order of our own, drawn by lot, and where in it the next heartbeat's
	 * echoes begin, if they are too many for one.
	 */
	uint16_t *echo_order;
	size_t echo_order_cap, echo_next;
	int64_t last_beat_ms, next_beat_ms;
	int64_t interval_ms; /* that we tell: that of opts, or more where there are many */
	/* What peers may still believe after a change: good for so many more heartbeats. */
	struct {
		int64_t heartbeat_ms, dead_ms;
		unsigned int beats;
	} former;
	/* until when there may be peers that know version 1 only, and strangers */
	int64_t v1_until_ms, v1_stranger_until_ms;
	unsigned int n_hurried; /* heartbeats out of turn that were not compensated for yet */
	int64_t hurry_back_ms;  /* when one more is */
};

enum member_verdict {
	MEMBER_BELIEVED,
	MEMBER_NEW,      /* believed, and the first of this incarnation */
	MEMBER_STRANGER, /* not proven yet: a heartbeat of ours will let it prove itself */
	MEMBER_REPLAYED, /* refused */
	MEMBER_SELF,     /* our own node's name */
};

enum member_event { MEMBER_DIED, MEMBER_FORGOTTEN };
/*
 * Called by member_tick() for each peer whose state time has changed.  A forgotten one is freed
 * afterwards.
 */
typedef void member_event_cb(struct member_peer *p, enum member_event event, void *arg);

void member_init(struct member *m, const struct member_options *opts, int64_t now);
void member_fini(struct member *m);

/*
 * The cluster's Nodes by name, sorted, which must stay until the next call: strangers of these
 * names have places.
 */
void member_set_nodes(struct member *m, const char *const *nodes, size_t n);
/*
 * Another heartbeat interval and multiplier from now on.  Peers learn of it at once; what is slower
 * than before takes effect when they surely have.
 */
void member_set_timing(struct member *m, int64_t now, int heartbeat_ms, int multiplier);
/* After how long a silence we are dead to those who know our present timing. */
int64_t member_own_dead_ms(const struct member *m);
/* How long this node may have been silent without any peer's having given it up. */
int64_t member_patience_ms(const struct member *m, int64_t now);
/*
 * There may be speakers that understand version 1 only: ones that were proven to be there, or also
 * strangers, which may be replays.
 */
bool member_knows_v1(const struct member *m, int64_t now);
bool member_speaks_v1(const struct member *m, int64_t now);
/* How many echoes a heartbeat may have; at first WIRE_ECHO_MAX. */
void member_set_echo_room(struct member *m, size_t n);

/* Judges a message; *@ret_peer is the sending peer for MEMBER_BELIEVED and MEMBER_NEW. */
enum member_verdict member_receive(struct member *m, int64_t now, const struct wire_msg *msg,
                                   struct member_peer **ret_peer);
void member_tick(struct member *m, int64_t now, member_event_cb *cb, void *arg);
/* When member_tick() has something to do, or the next heartbeat is due. */
int64_t member_deadline(const struct member *m);

/* Fills in what every message of ours has; flags, digest and body are the caller's. */
void member_stamp(struct member *m, struct wire_msg *msg, enum wire_type type);
/* The next heartbeat is due at once: it says something that others wait for. */
void member_beat_soon(struct member *m, int64_t now);
bool member_beat_due(const struct member *m, int64_t now);
/*
 * The smallest MTU of the peers that are there and, for heartbeats, of the strangers; @mtu if none
 * is smaller.
 */
size_t member_mtu(const struct member *m, int64_t now, size_t mtu, bool strangers);
/* A heartbeat with its echoes, and the time of the next one. */
void member_beat(struct member *m, int64_t now, struct wire_msg *msg);
/* We were away ourselves: nobody counts as dead because we did not listen. */
void member_excuse(struct member *m, int64_t now);

/* Of the last MEMBER_LOSS_WINDOW messages of @p those that were not heard. */
#define MEMBER_LOSS_WINDOW 64
unsigned int member_lost_lately(const struct member_peer *p);
/* Alive, or restarting within its hold: what it claimed holds. */
bool member_holds(const struct member_peer *p);
/* Alive, and does not hear us: it cannot learn what we say. */
bool member_deaf(const struct member *m, const struct member_peer *p, int64_t now);
/* How long its view has been stale, 0 if fresh. */
int64_t member_stale_ms(const struct member_peer *p, int64_t now);
/* Strangers heard lately: nodes that may be about to prove themselves. */
bool member_has_strangers(const struct member *m, int64_t now);
/* How many peers are there: alive, or restarting within their hold. */
size_t member_n_there(const struct member *m);
/* Some peer is alive. */
bool member_has_live(const struct member *m);
/* Most of the nodes known on this segment, ourselves included, were heard lately. */
bool member_majority(const struct member *m, int64_t now);
/* The peer of that node, NULL if none. */
struct member_peer *member_find(const struct member *m, const char *node);
/* The peer whose Ethernet address this is, NULL if none. */
const struct member_peer *member_by_mac(const struct member *m, const uint8_t *mac);

#endif
