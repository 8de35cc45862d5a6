/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_L2_BOARD_H
#define FAIRLEAD_L2_BOARD_H

/*
 * The board on which the urgent thread publishes, and what it has gathered for that.
 *
 * What others read lies behind a lock that the thread only ever tries to take: readers may wait for
 * the thread, but it may not wait for them.  What is still to be published belongs to the thread.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/err.h"
#include "fairlead/hash.h"
#include "fairlead/l2.h"
#include "l2/troubles.h"

/* Complaints that wait to be taken. */
#define BOARD_COMPLAINTS_MAX 8

struct board_complaints {
	struct err list[BOARD_COMPLAINTS_MAX];
	size_t n;
};

/* The state of an address, by address. */
struct board_state {
	struct l2_state state;
	UT_hash_handle hh;
};

struct board {
	/* Under the lock. */
	pthread_mutex_t lock;
	struct board_state *news; /* of what has changed since it was taken */
	struct l2_peer *peers;
	size_t n_peers, peers_cap;
	uint64_t peers_digest; /* of whom there is, and where: the thread's own */
	struct l2_segment *segments;
	size_t n_segments, segments_cap;
	struct l2_stats stats;
	struct board_complaints said;
	struct troubles troubles;

	/* The thread's own. */
	struct board_complaints unsaid;
	struct addr *changes; /* addresses whose state is to be published */
	size_t n_changes, changes_cap;
	bool republish; /* all states */
	/* Those that tell of others that answer; the rest is not kept. */
	struct board_state *suspects;
};

void board_init(struct board *b);
void board_fini(struct board *b);

/* ---- for the thread ---- */

void board_complain(struct board *b, const struct err *e);
/* The state of @addr has changed. */
void board_change(struct board *b, const struct addr *addr);
/*
 * Publishes a state; forgets that of an address, or all.  The lock is held, here and below.
 */
void board_put_state(struct board *b, const struct l2_state *state);
void board_drop_state(struct board *b, const struct addr *addr);
void board_drop_states(struct board *b);
/* Complaints become readable. */
void board_say(struct board *b);

/* ---- for readers ---- */

/* As in l2.h: copies, for free(). */
void board_take_states(struct board *b, struct l2_state **ret_states, size_t *ret_n);
void board_peers(const struct board *b, struct l2_peer **ret_peers, size_t *ret_n);
void board_segments(const struct board *b, struct l2_segment **ret_segments, size_t *ret_n);
void board_troubles(const struct board *b, struct l2_trouble **ret_troubles, size_t *ret_n);
struct l2_stats board_stats(const struct board *b);
bool board_take_complaint(struct board *b, struct err *ret_complaint);

#endif
