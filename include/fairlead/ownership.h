/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_OWNERSHIP_H
#define FAIRLEAD_OWNERSHIP_H

/*
 * What a node would serve on layer 2, and who owns it: what comes into the decisions about
 * ownership, and what comes out of them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/identity.h"
#include "fairlead/reason.h"

/* How soon a node's death is noticed, and how long an answer to a probe may take. */
struct l2_timing {
	int heartbeat_ms; /* a node says something at least this often; */
	int multiplier;   /* after so many intervals of its own without anything it is dead */
	int probe_ms;
};

/* One address, as this node's view has it. */
struct l2_want {
	struct addr addr;
	struct identity identity; /* whom it is for */
	bool eligible; /* this node may own it: decide_node() said so and the data plane is up */
	/*
	 * Nodes that this node's view holds eligible, itself included, as indexes into
	 * l2_snapshot.nodes; ascending.
	 */
	const uint16_t *candidates;
	size_t n_candidates;
	/* By how much each is preferred to others, in the same order; NULL: none is. */
	const uint32_t *preferences;
	uint32_t preference; /* of this node */
	/* 0: on any interface of its subnet; else where places[place - 1] says */
	uint16_t place;
	/* Another number whenever the address is wanted anew: then its state is told again. */
	uint64_t added;
};

/* Where addresses are announced, as the configuration has it. */
struct l2_place {
	/*
	 * Extended regular expressions of the whole name: of the interfaces that may announce an
	 * address of their subnets ("": all); and of those that announce one that lies in no subnet
	 * of any of these ("": none).
	 */
	const char *interfaces, *routed;
};

struct l2_range {
	struct addr_range range;
	uint16_t place; /* as in l2_want */
};

/* How owners hand over what they own so that each node has its share; per_minute 0: never. */
struct l2_rebalance {
	unsigned int per_minute; /* so many Services at most, all nodes of the segment together */
	uint64_t asked; /* another number whenever somebody asks for it once, whatever per_minute */
};

/* What holds for all addresses. */
struct l2_snapshot {
	const char *const *nodes; /* every node of the cluster, sorted by name */
	size_t n_nodes;
	/*
	 * By node: it is Ready, so that at a start its speaker is waited for a moment where it is a
	 * candidate.  NULL: none is.
	 */
	const bool *awaited;
	/*
	 * The layer-2 pools: a segment that holds part of one is joined before the first want,
	 * which then need not wait.  Every want is in one of them; frames about other addresses
	 * are not seen.
	 */
	const struct l2_range *ranges;
	size_t n_ranges;
	const struct l2_place *places;
	size_t n_places;
	bool view_fresh; /* the API server was heard from lately */
	/* This node would carry no traffic for addresses of the family, and so owns none. */
	bool refuses4, refuses6;
	struct l2_timing timing; /* heartbeat_ms 0: what the options say */
	struct l2_rebalance rebalance;
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
	/* its place allows none that may announce it; @interface holds its subnet, if any does */
	L2_NOT_SELECTED,
};

struct l2_state {
	struct addr addr;
	enum l2_ownership ownership;
	char interface[16]; /* "" if none */
	char owner[64];     /* node name, this node's own if L2_OWNER, "" if unknown */
	uint32_t epoch;
	uint8_t mac[6]; /* who answers; zero if unknown */
	/* clock_ms() when @owner was first known to own it; 0: no owner is known */
	int64_t since_ms;
	enum reason cause; /* how this node came to own it; else, and if unknown, REASON_COUNT */
	/*
	 * With REASON_OwnerReleased, REASON_OwnerRebalanced and REASON_OwnerDied: from the last
	 * sign of the owner before until this node answered; else -1.
	 */
	int64_t took_ms;
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

#endif
