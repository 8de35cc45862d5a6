/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_L2_ATTACH_H
#define FAIRLEAD_L2_ATTACH_H

/*
 * The node's interfaces and the segments on them: which are joined, which address goes to which,
 * and their links.  Only the urgent thread uses it; news goes to the board.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/l2.h"
#include "fairlead/want_map.h"
#include "l2/board.h"
#include "l2/groups.h"
#include "l2/ifaces.h"
#include "l2/link.h"
#include "l2/places.h"
#include "l2/segment.h"

#define ATTACH_SEGMENTS_MAX 32

struct attach;

/* An interface with a segment on it. */
struct attached {
	struct attach *of;
	struct iface iface;
	struct link *link; /* NULL: could not be opened yet */
	struct segment *segment;
	struct sniffer *sniffer; /* NULL: there has been nothing to look for */
	int64_t reopen_ms, look_ms, resniff_ms;
	bool has_lost; /* of the frames that are being received some were, and it is untold */
	bool complained;
	int64_t namesake_ms; /* when we last complained of one, 0: never */
};

struct attach {
	const struct l2_options *opts;
	struct wire_key *key;
	struct board *board;
	struct groups *groups;
	struct claims_start start;
	struct bpf_program *filters[LINK_QUEUES]; /* of filter.h */
	struct ifaces ifaces;
	uint64_t ifaces_generation; /* another one each time that they are replaced */
	/* Of the last snapshot; NULL before the first. */
	const struct l2_snapshot *view;
	const struct places *places;
	const struct want_map *wants;
	struct iface_tally *tally; /* by position in the interfaces */
	struct attached *list[ATTACH_SEGMENTS_MAX];
	size_t n;
	bool full; /* more interfaces than fit have segments to serve */
};

void attach_fini(struct attach *a);

/* Replaces the interfaces by these, which it takes over. */
void attach_set_ifaces(struct attach *a, const struct ifaces *fresh, int64_t now);
/*
 * Joins the segments that wants or pools lie on, and gives each its wants.  If two interfaces are
 * in one subnet, one stays silent until the other loses its carrier: on the wire, a node is one
 * speaker.  Only where places ask for both are both joined.
 *
 * With the view of before, and where the wants that differ from those of before leave an interface
 * neither its first nor without any, that costs what these wants do.  All are kept until the next
 * call.
 */
void attach_follow(struct attach *a, const struct l2_snapshot *view, const struct places *places,
                   const struct want_map *wants, int64_t now);
/* The interface for the want, NULL: none. */
const struct iface *attach_iface_for(const struct attach *a, const struct l2_want *w);
/* The segment on @iface, which may be NULL; NULL if it is not joined. */
const struct attached *attach_of(const struct attach *a, const struct iface *iface);

/* What frames of neighbours the links hand over from now on; takes the program. */
void attach_set_filter(struct attach *a, struct bpf_program *filter);

/* Opens the link if it should be open and it is time to try. */
void attached_try_open(struct attached *at, int64_t now);
void attached_close_link(struct attached *at, int64_t now);
/* Tells machines that send here for addresses that have moved, now and then. */
void attached_look_for_stragglers(struct attached *at, int64_t now);
/* Complains now and then of another speaker that uses our name here. */
void attached_review_namesake(struct attached *at, int64_t now);

#endif
