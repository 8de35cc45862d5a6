/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_L2_ATTACH_H
#define FAIRLEAD_L2_ATTACH_H

/*
 * The node's interfaces and the segments on them: which are joined, which address goes to which,
 * and their links.  The urgent thread's own; what is news goes to the board.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/l2.h"
#include "l2/board.h"
#include "l2/ifaces.h"
#include "l2/link.h"
#include "l2/segment.h"

#define ATTACH_SEGMENTS_MAX 32

struct attach;

/* An interface with a segment on it. */
struct attached {
	struct attach *of;
	struct iface iface;
	struct link *link; /* NULL: could not be opened yet */
	struct segment *segment;
	int64_t reopen_ms;
	bool complained;
	int64_t namesake_ms; /* when one was complained of, 0: never */
};

struct attach {
	const struct l2_options *opts;
	struct wire_key *key;
	struct board *board;
	struct ifaces ifaces;
	struct attached *list[ATTACH_SEGMENTS_MAX];
	size_t n;
	bool full; /* more interfaces have segments to serve */
};

void attach_fini(struct attach *a);

/*
 * The interfaces are these from now on; takes them over.  @s: what is wanted, NULL before the first
 * snapshot.
 */
void attach_set_ifaces(struct attach *a, const struct ifaces *fresh, const struct l2_snapshot *s,
                       int64_t now);
/*
 * Joins the segments that wants or pools lie on, and tells each its wants.  Of two interfaces in
 * one subnet one stays silent until the other loses its carrier: on the wire, a node is one
 * speaker.
 */
void attach_distribute(struct attach *a, const struct l2_snapshot *s, int64_t now);
/* The segment on @iface, which may be NULL; NULL if it is not joined. */
const struct attached *attach_of(const struct attach *a, const struct iface *iface);

/* As segments have it: host order. */
uint32_t attach_number_of(const struct addr *a);

/* Opens the link, if it is to be and it is time. */
void attached_try_open(struct attached *at, int64_t now);
void attached_close_link(struct attached *at, int64_t now);
/* Complains, now and then, of whoever else calls itself by our name here. */
void attached_review_namesake(struct attached *at, int64_t now);

#endif
