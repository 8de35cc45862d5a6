/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_L2_SEGMENT_H
#define FAIRLEAD_L2_SEGMENT_H

/*
 * One node's part in one segment: frames and time in, frames and states out.
 *
 * Ties heartbeats (src/claims), claims and the neighbour protocols together.  It is still pure: the
 * thread gives it what pcap received and sends what it wants sent, and a test does the same with a
 * simulated wire.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/l2.h"
#include "fairlead/member.h"
#include "fairlead/wire.h"
#include "fairlead/claims.h"
#include "l2/stragglers.h"

/* The interface's own addresses, from which we send; none where it has none of the family. */
struct segment_sources {
	struct addr v4, v6;
};

struct segment_options {
	const struct l2_options *l2;
	uint8_t mac[WIRE_MAC_SIZE];
	struct segment_sources sources;
	size_t mtu; /* of the interface; 0: not known, so that messages may have any size */
	uint64_t incarnation;       /* random, not 0 */
	uint64_t seed;              /* random, and never sent */
	size_t peers_max;           /* as in member_options */
	struct claims_start *start; /* as in claims_options */
};

struct segment;

/* 0, or -errno for a frame that could not be sent. */
typedef int segment_send_fn(const void *frame, size_t size, void *arg);
typedef void segment_changed_fn(const struct addr *addr, void *arg);

/* The callbacks that carry out what the segment wants; called from within the functions below. */
struct segment_ops {
	segment_send_fn *send;
	segment_changed_fn *changed; /* the state of an address changed */
	void *arg;
};

/* @key must outlive the segment. */
struct segment *segment_new(const struct segment_options *opts, struct wire_key *key,
                            const struct segment_ops *ops, int64_t now);
void segment_free(struct segment *s);

/* The link is up or down; it is down at first. */
void segment_link(struct segment *s, int64_t now, bool up);
void segment_set_sources(struct segment *s, const struct segment_sources *sources);
/* The interface's MTU; messages become no larger than it, and than the peers' interfaces take. */
void segment_set_mtu(struct segment *s, int64_t now, size_t mtu);
/* As claims_set_wants(). */
void segment_set_wants(struct segment *s, int64_t now, const struct l2_snapshot *view,
                       const struct l2_want *const *wants, size_t n);
/* As claims_change_wants(). */
void segment_change_wants(struct segment *s, int64_t now, const struct claims_change *changes,
                          size_t n);
/* Some wants have no place: they are to be set again when others go. */
bool segment_is_crowded(const struct segment *s);
/* The API server answered this node at @at_ms. */
void segment_set_answered(struct segment *s, int64_t at_ms);
/* There are more questions than there is time for, or no longer: see askers.h. */
void segment_set_pressed(struct segment *s, bool pressed);
/*
 * Before what has arrived is received: frames were lost between the wire and us, as there was no
 * room for them.  The oldest that was not has waited for @waited_ms.
 */
void segment_lost(struct segment *s, int64_t now, int64_t waited_ms);
/* @waited_ms: how long ago the frame arrived here. */
void segment_receive(struct segment *s, int64_t now, int64_t waited_ms, const void *frame,
                     size_t size);
void segment_tick(struct segment *s, int64_t now);
int64_t segment_deadline(const struct segment *s);
/* The last words. */
void segment_farewell(struct segment *s, int64_t now, enum l2_stop how);

void segment_state(const struct segment *s, const struct addr *addr, struct l2_state *ret_state);
/*
 * Addresses that moved from this node to another one, packets for which are to be looked at until
 * this is asked again, and how many; false if there has been none for long.
 */
bool segment_stragglers(struct segment *s, int64_t now,
                        struct addr ret_addrs[static STRAGGLERS_AT_ONCE], size_t *ret_n);
/* The machine at @mac sent us a packet from @source, which may be behind it, to @addr. */
void segment_seen_straggler(struct segment *s, int64_t now, const uint8_t *mac,
                            const struct addr *source, const struct addr *addr);
/* Whether a question for @addr that came now would be answered. */
bool segment_answers(const struct segment *s, int64_t now, const struct addr *addr);
/* Whether it would be answered in the name of a node whose speaker restarts. */
bool segment_stands_in(const struct segment *s, int64_t now, const struct addr *addr);
/* Complaints; times are 0 for never. */
struct segment_health {
	size_t mtu, mtu_min; /* the interface's, and what it takes to say everything */
	int send_error;      /* negative errno of the last frame that could not be sent */
	int64_t send_error_ms;
	int64_t peers_refused_ms;  /* a speaker found no place among the peers */
	int64_t claims_refused_ms; /* an address or a claim found no place */
	int64_t namesake_ms; /* another speaker that goes on under our node's name was heard */
	uint8_t namesake_mac[WIRE_MAC_SIZE];
};
void segment_health(struct segment *s, int64_t now, struct segment_health *ret_health);
/* Yields, once for each other speaker under our node's name, its Ethernet address. */
bool segment_take_namesake(struct segment *s, uint8_t ret_mac[static WIRE_MAC_SIZE]);
void segment_add_stats(const struct segment *s, struct l2_stats *stats);
/* Of itself; the caller fills in the interface. */
void segment_tell(const struct segment *s, struct l2_segment *ret_segment);
/*
 * The peer in @slot (0 .. segment_n_slots() - 1); false if it is free.  The caller fills in the
 * interface.
 */
size_t segment_n_slots(const struct segment *s);
bool segment_peer(const struct segment *s, size_t slot, struct l2_peer *ret_peer);

#endif
