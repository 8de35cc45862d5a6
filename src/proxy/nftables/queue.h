/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_NFTABLES_QUEUE_H
#define FAIRLEAD_PROXY_NFTABLES_QUEUE_H

/*
 * The order in which elements are written: of small Services what is new, by rounds, then what is
 * old; the same of large ones; then what was deferred.  In a round maps come in their order, among
 * what is old the other way round.  A round is some Services whole, so that they are all there when
 * it is written, however many follow.
 *
 * So what is written leads to what is there already, wherever the queue is cut, if all that
 * anything in a round leads to is in that round or before it; and what goes is led to by nothing,
 * if nothing of a large Service that is yet to be written leads there.  While something may, all
 * that is old waits for all that is new.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/nftables/frame.h"

/* A round takes no further Service when it has so many elements. */
#define QUEUE_ROUND 2048

enum queue_part { QUEUE_NEW, QUEUE_OLD, QUEUE_DEFERRED };

struct queue_list {
	uint32_t first, last; /* 0: none */
};

struct queue_round {
	struct queue_list maps[FRAME_MAPS];
	size_t n;      /* that are in it */
	size_t n_ever; /* that were put into it */
};

/* What belongs to Services that are large waits until all the rest was written. */
enum queue_lane { QUEUE_SMALL, QUEUE_LARGE };
#define QUEUE_LANES 2

struct queue_rounds {
	struct queue_round *list; /* from the number @first on; there is always one */
	size_t n, cap;
	uint32_t first;
};

/* A place in the queue. */
struct queue_item {
	uint32_t prev, next; /* in its list, or among those that are free */
	uint32_t element;    /* its number in its map */
	uint32_t round;      /* of what is new */
	uint64_t stamp;      /* grows from item to item of a list */
	uint8_t map, part, lane;
	bool crosses;
};

struct queue {
	struct queue_item *items; /* by number, from 1 */
	size_t cap_items;
	uint32_t last, free;
	struct queue_rounds lanes[QUEUE_LANES];
	struct queue_list old[QUEUE_LANES][FRAME_MAPS], deferred[QUEUE_LANES];
	size_t n, n_deferred, n_crossing;
	uint64_t stamp;
	bool retry; /* deferred small ones come before all that is large, unless anything crosses */
};

void queue_init(struct queue *q);
void queue_fini(struct queue *q);

/* The round that what comes next is put into. */
uint32_t queue_round(const struct queue *q, enum queue_lane lane);
/* Between Services: the round is full, or takes what comes next, too. */
void queue_cut(struct queue *q, enum queue_lane lane);
/* So many rounds more, of which this is the first. */
uint32_t queue_add_rounds(struct queue *q, enum queue_lane lane, size_t n);

/* At the end of its list; its number, not 0.  @round: for what is new. */
uint32_t queue_put(struct queue *q, enum queue_part part, enum queue_lane lane, uint32_t round,
                   enum frame_map map, uint32_t element);
/* Until this one of the large lane is written, the kernel may be led to what is small and old. */
void queue_cross(struct queue *q, uint32_t item);
void queue_take_out(struct queue *q, uint32_t item);

const struct queue_item *queue_at(const struct queue *q, uint32_t item);
/* 0: none. */
uint32_t queue_first(const struct queue *q);
uint32_t queue_next(const struct queue *q, uint32_t item);
/* No item of what is new in the lane has this stamp or an earlier one. */
uint64_t queue_new_stamp(const struct queue *q, enum queue_lane lane);
/* The same of what is new or old in it; and of what is deferred. */
uint64_t queue_fresh_stamp(const struct queue *q, enum queue_lane lane);
uint64_t queue_deferred_stamp(const struct queue *q, enum queue_lane lane);

#endif
