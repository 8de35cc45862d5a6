/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_SERVED_H
#define FAIRLEAD_SPEAKER_SERVED_H

/*
 * What layer 2 is to serve: announcements by address, each with the nodes that may own it.  From
 * this come the snapshots for the urgent thread.  The announcements stay with their owner, which
 * takes each one out before freeing it.
 *
 * Several Services may share an address, which has one owner all the same: to layer 2 it is that of
 * the oldest of them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/l2.h"
#include "fairlead/view.h"
#include "speaker/announcement.h"

struct served;

/* Candidates as l2_want has them; preferences are all there, and 0 where there are none. */
struct served_nodes {
	uint16_t *nodes;
	uint32_t *preferences;
	size_t n;
};

struct served *served_new(void);
/* Nothing is in it any more. */
void served_free(struct served *w);

/*
 * The announcements of the address, the oldest Service's first and the others beside it; NULL if it
 * is not wanted.
 */
struct announcement *served_of(const struct served *w, const struct addr *addr);
/*
 * Adds @a with these candidates, at least one, at that place, beside those of Services that share
 * its address; or changes them.
 */
void served_put(struct served *w, struct announcement *a, const struct served_nodes *nodes,
                const struct l2_place *place);
/* The Service of @a, which was put in before, is another one, and may be of another age. */
void served_resort(struct served *w, struct announcement *a);
/* Takes out @a, which was put in before. */
void served_take_out(struct served *w, struct announcement *a);
/* Something in an announcement that snapshots contain has changed. */
void served_touch(struct served *w, const struct announcement *a);

/* Whether a new snapshot would differ from the last one taken. */
bool served_is_dirty(const struct served *w, const struct view *v);
struct served_snapshot {
	struct l2_snapshot l2;
	const struct want_map *wants;
	/* What it points to. */
	const char **nodes;
	bool *awaited;
	struct l2_range *ranges;
	struct l2_place *places;
	char **texts; /* of the pools' places */
	size_t n_texts;
};
/* What a configuration says of it; NULL: what holds before there is one. */
struct l2_timing served_timing(const struct configuration *c);
/*
 * Good until the view or the table changes.  Costs what has changed since the last one, but where
 * nodes or the configuration are others now.
 */
void served_snapshot(struct served *w, const struct view *v, bool view_fresh, int64_t now_ms,
                     struct served_snapshot *ret);
void served_snapshot_fini(struct served_snapshot *s);

#endif
