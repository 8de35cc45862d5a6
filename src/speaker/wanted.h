/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_WANTED_H
#define FAIRLEAD_SPEAKER_WANTED_H

/*
 * What layer 2 is to serve: announcements by address, each with the nodes that may own it.  From this come the snapshots for the
 * urgent thread.  The announcements stay their owner's, who takes out each before it goes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/l2.h"
#include "fairlead/view.h"
#include "speaker/announce.h"

struct wanted;

struct wanted *wanted_new(void);
/* Nothing is in it any more. */
void wanted_free(struct wanted *w);

/* The announcement of the address; NULL if it is not wanted. */
struct announcement *wanted_of(const struct wanted *w, const struct addr *addr);
/* Wants @a's address, which no other announcement has in here, with these candidates, at least one; or changes them. */
void wanted_put(struct wanted *w, struct announcement *a, const uint16_t *nodes, size_t n);
/* @a was put in. */
void wanted_take_out(struct wanted *w, struct announcement *a);
/* Something of an announcement has changed that snapshots hold. */
void wanted_touch(struct wanted *w);

/* Whether a new snapshot would differ from the last one taken. */
bool wanted_is_dirty(const struct wanted *w, const struct view *v);
struct wanted_snapshot {
	struct l2_snapshot l2;
	/* What it points to. */
	const char **nodes;
	struct l2_want *wants;
	struct addr_range *ranges;
};
/* Good until the view or the table changes. */
void wanted_snapshot(struct wanted *w, const struct view *v, bool view_fresh,
                     struct wanted_snapshot *ret);
void wanted_snapshot_fini(struct wanted_snapshot *s);

#endif
