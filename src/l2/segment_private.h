/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_L2_SEGMENT_PRIVATE_H
#define FAIRLEAD_L2_SEGMENT_PRIVATE_H

/*
 * Shared only by segment.c, which takes part in the segment, and segment_tell.c, which tells of it.
 */

#include "l2/askers.h"
#include "l2/segment.h"
#include "l2/stragglers.h"

/* Another incarnation that speaks under our node's name. */
struct namesake {
	uint64_t incarnation;
	uint8_t mac[WIRE_MAC_SIZE];
	uint32_t seq;
	size_t n; /* messages in the order of their numbers */
	int64_t since_ms, heard_ms, told_ms;
};

/* Frames of one neighbour protocol. */
struct counts {
	uint64_t questions, answers, announcements, probes;
};

struct segment {
	struct member member;
	struct claims claims;
	struct wire_key *key;
	struct segment_ops ops;
	struct segment_sources sources;
	size_t mtu;
	bool up;
	bool pressed; /* there are more questions than there is time for */
	struct askers askers;
	struct stragglers stragglers;
	bool more; /* messages or announcements are waiting for the next turn */
	/* Announced since then. */
	int64_t announced_ms;
	size_t n_announced;
	int64_t last_turn_ms;
	bool has_namesake;
	uint8_t namesake_mac[WIRE_MAC_SIZE];
	struct namesake namesake;
	uint64_t claims_refused; /* as seen last, at claims_refused_ms */
	int64_t claims_refused_ms;
	int send_error; /* of the last frame that could not be sent: negative errno */
	int64_t send_error_ms;
	uint8_t farewell; /* WIRE_RESTARTING or WIRE_LEAVING once sent */
	struct l2_stats stats;
	struct counts arp, ndp;
};

#endif
