/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLAIMS_H
#define FAIRLEAD_CLAIMS_H

/*
 * Who owns which address on one segment, in virtual time.
 *
 * Pure: wants, messages, sightings by ARP or neighbour discovery, and the time come in; states, and
 * actions to carry out, come out.  It knows peers through src/claims and reads neither clock nor
 * network.
 *
 * A claim is (address, identity, epoch, node); only the node that made it may change it.  Each
 * node keeps its own claims and a copy of each peer's, brought up to date by deltas and, where the
 * digest in a heartbeat says that something was missed, by snapshots.  Of two claims for one
 * address one wins, and every node that knows both agrees which: that of the younger identity, then
 * the one not made in a minority, then the higher epoch, then the lower node name.  The loser gives
 * up at once.  A peer that does not hear us could never learn of ours, so its claim wins over ours
 * whatever they are.
 *
 * An address that nobody holds goes to the first candidate in an order that every node finds by
 * itself: a rendezvous hash with a bound on how many a node gets (spread.h).  The first claims at
 * once, each of the others one time step later, so that no round trip is needed where views agree,
 * and nothing is left unowned where they do not.
 *
 * Every way to answering passes one gate (gate.c): an address is probed, by ARP or neighbour
 * discovery, before this node answers for it, be it new, recalled after a restart, or kept through
 * a silence of our own, unless its holder is known to have let go.  Owners that know of each other
 * by these alone are detected and separated by rivals.c.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/hash.h"
#include "fairlead/ownership.h"
#include "fairlead/member.h"
#include "fairlead/spread.h"

#define CLAIMS_NEVER INT64_MAX
#define CLAIMS_NOBODY MEMBER_PEERS_MAX
/* How many claims of one peer are remembered; and how many addresses in total, ours included. */
#define CLAIMS_PER_PEER_MAX 16384
#define CLAIMS_ENTRIES_MAX 65536

/*
 * Until when others may be starting, too; 0: no segment of this process has listened to the end
 * yet.
 */
struct claims_start {
	int64_t until_ms;
};

struct claims_options {
	const char *node;
	struct l2_timing timing; /* until the view brings another */
	int restart_hold_ms;
	bool first_use_probe;
	struct claims_start *start; /* of all the process's segments; NULL: this one is alone */
};

enum claims_action_type {
	CLAIMS_PROBE,    /* send a probe */
	CLAIMS_ANNOUNCE, /* tell caches, unasked */
	CLAIMS_REMIND,   /* the same once more: what has not been announced yet comes first */
	CLAIMS_CHANGED,  /* the state of the address, as claims_state() tells it, changed */
	CLAIMS_GONE,     /* the address is not ours any more */
	CLAIMS_ASK_PEER, /* ask the peer in that slot for its node's own address */
};

struct claims_action {
	enum claims_action_type type;
	struct addr addr; /* CLAIMS_ASK_PEER: what the peer was heard from */
	uint16_t slot;    /* CLAIMS_ASK_PEER only */
};

struct claims_entry;
struct claims_order;

/* A claim of a peer. */
struct claims_held {
	struct wire_claim claim;
	struct member_peer *peer;
	struct claims_entry *entry;
	int64_t offered_until_ms; /* until when it counts as offered; 0: it does not */
	bool moves;               /* and that to the one alone to which it goes (rebalance.c) */
	bool former; /* made by an incarnation before the peer's current one, and held for it */
	bool recall_pending;                   /* to be told to it */
	struct claims_held *next;              /* of the entry */
	struct claims_held *prev_of, *next_of; /* of the peer */
};

/* How an address became free: decides whether to ask before claiming it. */
enum claims_freed {
	CLAIMS_UNKNOWN, /* nobody known held it */
	CLAIMS_YIELDED, /* its holder let go, at freed_ms */
	CLAIMS_DOUBTED, /* its holder let go, at freed_ms, but somebody else may answer for it */
	CLAIMS_LAPSED,  /* its holder was given up for dead */
};

struct claims_entry {
	struct addr addr;
	uint32_t epoch_floor;       /* the highest epoch seen */
	const struct l2_want *want; /* in the caller's snapshot; NULL: none */
	struct claims_held *others;
	struct wire_claim own; /* if claimed */
	/* what our former incarnation claimed, until recalled_until_ms */
	struct wire_claim *recalled;
	int64_t recalled_until_ms;
	int64_t freed_ms, free_since_ms, defended_ms;
	int64_t let_go_until_ms; /* until when it counts that we let go of it last (order.c) */
	int64_t asked_since_ms;  /* since when others' probes delay our claim, 0: they do not */
	int64_t at_ms;           /* when to look at it again */
	/*
	 * As an owner: when to announce it again, and when to ask whether somebody else answers,
	 * too.
	 */
	int64_t announce_at_ms, verify_at_ms;
	int64_t verified_ms;       /* when that was last asked, 0: not since it is ours */
	int64_t told_ms;           /* the last question whose answer had us announce it */
	int64_t kernel_until_ms;   /* until when kernel_seen holds */
	int64_t since_ms, took_ms; /* as in l2_state */
	int64_t rival_since_ms, rival_until_ms; /* when two owners were seen, if two_owners */
	/*
	 * As an owner that may not be one any more: until when it waits for another; 0: it does not
	 */
	int64_t offered_until_ms;
	size_t heap_index;
	/* of order, in which it is at held_at, or goes from goes_from (order.c) */
	size_t item;
	uint16_t cause;   /* enum reason: why it was claimed last */
	uint16_t yielder; /* slot of the peer that let go last */
	uint16_t holder;  /* slot of the peer that holds it, CLAIMS_NOBODY if none does */
	uint16_t held_at, goes_from;
	uint8_t step;           /* of the schedule of announcements, or of the backoff */
	uint8_t state;          /* enum l2_ownership */
	uint8_t freed;          /* enum claims_freed */
	uint8_t asks;           /* in L2_PROBING: probes still to send */
	bool asked_twice;       /* as an owner, in the last verification */
	uint8_t suspicions;     /* verifications still to come because of what was seen */
	uint8_t kernel_answers; /* answers by a living peer that claims nothing, in a row */
	bool claimed, contested, telling;
	bool moves;       /* offered, and that to the one alone to which it goes (rebalance.c) */
	bool kernel_seen; /* a peer's kernel answers for it, too */
	/* claimed, and kept through a silence of our own: not answered for until we have asked */
	bool unproven;
	/* and that is no silence, but a stall in which somebody asked: only who asks is answered */
	bool asks_again;
	bool two_owners; /* somebody else answered for it just now while we did, too */
	/*
	 * The Ethernet address that answered, in L2_STILL_ANSWERED, L2_CONFLICT, L2_KERNEL_ANSWERS,
	 * with two_owners and kernel_seen; or that announced the address, with asks_again.
	 */
	uint8_t rival_mac[WIRE_MAC_SIZE];
	UT_hash_handle hh;
};

/* What is known of one peer's claims. */
struct claims_table {
	struct claims_held *list;
	size_t n; /* without former ones */
	uint64_t digest;
	uint64_t name_hash;
	int node_index;   /* in the snapshot's nodes, -1 if not there */
	bool synced;      /* as the peer's last message says */
	bool listening;   /* likewise */
	bool fresh;       /* likewise: its view is */
	uint8_t refuses;  /* as its last heartbeat says: as in l2_snapshot */
	bool knows_moves; /* likewise: it knows WIRE_CLAIM_MOVES */
	bool died;        /* and what it held is to be looked at in the next tick */
	/*
	 * The peer was dead and is back: its former claims count only once it is known to make them
	 * still.
	 */
	bool unconfirmed;
	bool request;          /* we have to ask for its snapshot */
	int64_t idle_until_ms; /* until when it is not waited for (rebalance.c) */
	int64_t former_until_ms, recalled_ms;
	int64_t requested_ms; /* when the peer last asked for our snapshot, 0: never */
	uint32_t last_seq;    /* of its own last message: a gap is a loss */
	/*
	 * Its node's own address, according to its messages, and what is known about whether the
	 * node answers for it.
	 */
	struct addr address;
	struct addr address6; /* its IPv6 one, according to its heartbeats; none: not known */
	int64_t asked_ms;
	uint8_t unanswered; /* questions in a row */
	bool answers;       /* it has answered once */
};

/*
 * How many probes of others are remembered.  Forgetting one to make room does no harm: a node that
 * asked announces when it claims, and that is before any that asked later may claim.
 */
#define CLAIMS_PROBES_HEARD 32

/*
 * After so many silences of our own in a short time (flapping links) this node lets go of what it
 * owns.
 */
#define CLAIMS_SILENCES 3

/* What was offered to a node, and not taken when the offer ended, at from_ms (untaken.c). */
struct claims_untaken {
	struct spread_refusal what;
	int64_t from_ms, until_ms; /* counts from then until then; 0: unused */
};

/* So many are remembered: of two Services for each node of a large segment, and of some more. */
#define CLAIMS_UNTAKEN 64

struct claims {
	struct claims_options opts;
	struct member *member;
	const struct l2_snapshot *view; /* NULL before the first */
	uint64_t name_hash;
	struct claims_entry *entries; /* hash by address */
	struct claims_entry **heap;   /* by at_ms */
	size_t n_heap, heap_cap;
	struct {
		struct addr addr;
		bool of_peer;
		int64_t at_ms;
	} probes_heard[CLAIMS_PROBES_HEARD]; /* the oldest is replaced */
	size_t next_probe_heard;
	/* Probes sent since at_ms; and those whose turn is at at_ms. */
	struct {
		int64_t at_ms;
		size_t n;
	} probed, held_back;
	/* by the peer's slot; as many as member has slots when it was heard last */
	struct claims_table *tables;
	size_t n_tables;
	struct claims_order *order; /* of candidates */

	bool ready; /* listened long enough: may answer and claim */
	bool heard; /* the link is up, listening or ready */
	int64_t listen_since_ms, listen_until_ms, listen_check_ms;
	struct claims_start *start, own_start;
	bool settled; /* since settled_ms others that may be starting are not waited for */
	int64_t settled_ms;
	int64_t silences_ms[CLAIMS_SILENCES]; /* when the last silences of our own ended, in turn */
	size_t n_silences;
	bool synced; /* every living peer's claims are known */
	bool view_fresh;
	int64_t fresh_since_ms; /* if so */
	int64_t answered_ms;    /* when the API server last answered this node */
	bool exposed; /* at the last review, there might be speakers that we do not hear */
	/* frames were lost or refused, or two owners seen: until when to ask more often */
	int64_t doubt_until_ms;
	int64_t lost_ms;       /* when all was asked for again as frames were lost; 0: never */
	int64_t calm_since_ms; /* no peer came or went since */
	int64_t next_review_ms;
	/* Handing over so that all have their share (rebalance.c). */
	struct {
		bool follows;          /* asked is known */
		int64_t pass_until_ms; /* when the pass that was asked for is over; 0: it is */
		int64_t pass_began_ms; /* when something was first offered in it; 0: not yet */
		uint64_t asked;        /* as in l2_rebalance */
		struct identity after; /* what went last */
		int64_t look_ms;       /* when to look for what is to go, or NEVER */
		int64_t handed_ms;     /* when anything was last seen to change hands */
		int64_t troubled_ms;   /* when something was last seen to be wrong */
		int awaited;           /* the node whose turn it was last, by its index; */
		int64_t awaited_ms;    /* and since when */
	} rebalance;
	struct claims_untaken untaken[CLAIMS_UNTAKEN];
	size_t next_untaken;
	int64_t news_ms; /* since when everything is to be looked at in the next tick, or NEVER */

	uint64_t digest, digest_v4; /* of our claims; of those for IPv4 addresses */
	size_t n_owned, n_owned_v4;
	uint32_t version; /* grows with each change of ours */

	struct claims_action *actions;
	size_t n_actions, actions_cap;
	struct addr *tell; /* addresses whose change peers have to be told */
	size_t n_tell, tell_cap;
	bool recall_pending, request_pending; /* of some table */
	int64_t small_until_ms; /* until when messages are small, as larger ones did not arrive */
	size_t claims_room,
		/* what fits a message; 0: none can be sent, and changes wait */
		targets_room;
	struct {
		bool active;
		struct addr *addrs; /* ours, sorted, as of version */
		size_t n, next;
		uint32_t version;
	} snapshot;

	uint64_t takeovers, yields, rebalanced, conflicts, two_owners;
	uint64_t refused; /* how often an address or a claim found no place */
	bool crowded;     /* of the wants that were set last, some found none */
};

void claims_init(struct claims *c, const struct claims_options *opts, struct member *m);
void claims_fini(struct claims *c);

/*
 * What this node would serve on the segment, sorted by address.  @s and @wants must live until the
 * next call.
 */
void claims_set_wants(struct claims *c, int64_t now, const struct l2_snapshot *s,
                      const struct l2_want *const *wants, size_t n);
/* One address that is wanted otherwise than before; NULL: not any more. */
struct claims_change {
	struct addr addr;
	const struct l2_want *want;
};
/*
 * The same by what has changed, each address once, where all of the view stayed as it was.  Wants
 * must live until another comes in their place.
 */
void claims_change_wants(struct claims *c, int64_t now, const struct claims_change *changes,
                         size_t n);
/* The link came up, or we were away: listen before answering again.  Or it went down. */
void claims_listen(struct claims *c, int64_t now);
void claims_deafen(struct claims *c, int64_t now);

/*
 * A believed message of @p; @was: its state before, for a peer known before; @is_new: a new
 * incarnation.
 */
void claims_receive(struct claims *c, int64_t now, struct member_peer *p, enum member_state was,
                    bool is_new, const struct wire_msg *msg);
void claims_peer_event(struct claims *c, int64_t now, struct member_peer *p,
                       enum member_event event);

/*
 * Another machine said that it has @addr (@is_answer: in answer to a probe of ours, and to us
 * alone), or asks whether it may have it.  The frame arrived @waited_ms ago.
 */
void claims_seen(struct claims *c, int64_t now, int64_t waited_ms, const struct addr *addr,
                 const uint8_t *mac, bool is_answer);
/* True if the probe is to be answered. */
bool claims_seen_probe(struct claims *c, int64_t now, int64_t waited_ms, const struct addr *addr,
                       const uint8_t *mac);
/*
 * The machine at @mac answered that it has @addr: if that is the own address of a peer's node, the
 * node is there.
 */
void claims_seen_node(struct claims *c, const struct addr *addr, const uint8_t *mac);
/* A heartbeat came that we cannot trust: there may be a speaker with another key. */
void claims_seen_refused(struct claims *c, int64_t now);
/*
 * The Ethernet address of the owner of @addr, if its speaker restarts and this node is to answer
 * the machine at @asker in its name; else NULL.
 */
const uint8_t *claims_stand_in(const struct claims *c, const struct addr *addr,
                               const uint8_t *asker, bool is_probe);
/*
 * The Ethernet address of the living peer that is known to have @addr, for the machine at @asker,
 * which takes us for its owner; NULL if we are, if none is, or if that is a speaker's machine.
 */
const uint8_t *claims_elsewhere(const struct claims *c, int64_t now, const struct addr *addr,
                                const uint8_t *asker);
/*
 * Frames were lost on their way to us, for want of room: the oldest that was not has waited for
 * @waited_ms.
 */
void claims_seen_loss(struct claims *c, int64_t now, int64_t waited_ms);
/* This node answers for @addr. */
bool claims_answers(const struct claims *c, const struct addr *addr);

void claims_tick(struct claims *c, int64_t now);
int64_t claims_deadline(const struct claims *c);

/* Peers keep asking for what was sent to them: larger messages may get lost. */
bool claims_small(const struct claims *c, int64_t now);
/* How many claims, or targets, fit a message. */
void claims_set_room(struct claims *c, size_t claims, size_t targets);
/* The next message to send, except for its stamp; false if there is none. */
bool claims_next_message(struct claims *c, struct wire_msg *msg);
/* More flags for a heartbeat. */
uint8_t claims_more(const struct claims *c);
/* After a farewell: a speaker takes @addr over, so nobody gets an answer any more. */
void claims_fall_silent(struct claims *c, const struct addr *addr);
/* Gives everything up, for a farewell. */
void claims_yield_all(struct claims *c, int64_t now);

void claims_state(const struct claims *c, const struct addr *addr, struct l2_state *ret_state);
/* Of two claims: > 0 if @a wins over @b. */
int claims_order(const struct wire_claim *a, const char *a_node, const struct wire_claim *b,
                 const char *b_node);

#endif
