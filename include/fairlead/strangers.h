/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_STRANGERS_H
#define FAIRLEAD_STRANGERS_H

/*
 * Incarnations that were heard, correctly signed, but have not yet proven that they are not
 * replays.
 *
 * A stranger can prove itself only if a heartbeat of ours repeats what it said, so what matters is
 * that each gets into a heartbeat soon.  Anybody who can record frames can replay any number of
 * former incarnations; so places are limited, by name and for names that the cluster does not know.
 * If more come than there are places, lots decide until the next heartbeat.  Thus replays in other
 * names take nothing from a node that the cluster knows, and replays in its own name make it wait
 * for a few heartbeats, however many they are.
 *
 * Pure; times are milliseconds.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/hash.h"
#include "fairlead/wire.h"

/*
 * Places for the incarnations of one name; for all names that are not Nodes of the cluster; and in
 * total.
 */
#define STRANGERS_PER_NAME 8
#define STRANGERS_UNKNOWN_MAX 64
#define STRANGERS_MAX 8192

struct stranger {
	char name[WIRE_NAME_SIZE];
	uint64_t incarnation;
	uint32_t seq;
	int64_t heard_ms, vouched_ms;
	uint32_t vouched_seq;
	uint16_t mtu; /* as in wire_msg */
	/* the higher stays; 0: no heartbeat owes it an echo, so that anybody may have its place */
	uint32_t lot;
	bool known; /* a Node of the cluster has the name */
	UT_hash_handle hh;
};

struct strangers {
	/* hash by incarnation, in the order in which heartbeats repeat them */
	struct stranger *all;
	const char *const *nodes; /* sorted; the caller's */
	size_t n_nodes;
	uint64_t random;
	/* how often one found no place, or lost its own before a heartbeat repeated it */
	uint64_t turned_away;
};

/* @seed: random, and kept secret. */
void strangers_init(struct strangers *st, uint64_t seed);
void strangers_fini(struct strangers *st);
/* The cluster's Nodes by name, sorted; they must stay until the next call. */
void strangers_set_nodes(struct strangers *st, const char *const *nodes, size_t n);

struct stranger *strangers_find(const struct strangers *st, uint64_t incarnation);
/* @msg came from a stranger.  NULL: it is a replay, or there is no place for it. */
struct stranger *strangers_meet(struct strangers *st, int64_t now, const struct wire_msg *msg);
/* It is no longer a stranger; NULL is accepted. */
void strangers_forget(struct strangers *st, struct stranger *s);
/* One was heard in the last @ms. */
bool strangers_heard(const struct strangers *st, int64_t now, int64_t ms);
/* The smallest MTU of those heard in the last @ms; @mtu if none is smaller. */
size_t strangers_mtu(const struct strangers *st, int64_t now, int64_t ms, size_t mtu);
/*
 * Adds up to @max echoes of those heard in the last @ms to the heartbeat, the longest waiting
 * first.
 */
void strangers_echo(struct strangers *st, int64_t now, int64_t ms, size_t max,
                    struct wire_msg *msg);

#endif
