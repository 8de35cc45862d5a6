/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_NFTABLES_STORE_PRIVATE_H
#define FAIRLEAD_PROXY_NFTABLES_STORE_PRIVATE_H

/*
 * The inside of the store: store.c has what is wanted and what is to be written, found.c what the
 * kernel has, held.c what waits for what the kernel refuses.
 */

#include "proxy/nftables/elements.h"
#include "proxy/nftables/owners.h"
#include "proxy/nftables/queue.h"
#include "proxy/nftables/store.h"

/* Where a pass over all elements has come to: it goes on with the record after this one. */
struct store_cursor {
	int map;
	uint32_t number;
};

/* What is lacking, of one lane, and the new rounds for it. */
struct store_rounds {
	size_t n_lacking, n;
	uint32_t first;
};

struct store_link;

struct store {
	const struct store_ops *ops;
	void *arg;
	struct elements maps[FRAME_MAPS];
	struct queue queue;
	struct owners owners;
	size_t n_wanted, n_damaged;
	uint32_t *taken; /* places in the queue, of the transaction under way */
	size_t n_taken, cap_taken;
	struct store_link *links;   /* that deferred ones have */
	size_t n_astray;            /* deferred: in the kernel they lead to what is not known */
	size_t n_strays, n_leaving; /* there though unwanted: as found, as expected */
	struct store_cursor at;     /* of the pass under way */
	struct store_cursor look;   /* of a look's */
	bool forgetting;            /* it is one that forgets */
	bool forgotten;             /* and not compared since */
	bool placing;               /* what is lacking is put into rounds */
	struct store_rounds rounds[QUEUE_LANES];
	size_t n_owners;            /* when that began */
	struct frame_element *list; /* of one call to write */
	size_t cap_list;
};

/* One in its map. */
struct store_place {
	struct elements *map;
	uint32_t number;
	struct element *e; /* NULL: there is none */
};

struct store_place store_place_at(struct elements *map, uint32_t number);
struct store_place store_find_place(const struct store *s, enum frame_map map, const void *key);
/* Made if it is not there. */
struct store_place store_get_place(struct store *s, enum frame_map map, const void *key);
unsigned char *store_place_value(const struct store_place *p);
/* NULL: nobody, or several. */
struct store_owner *store_place_owner(const struct store *s, const struct store_place *p);

/* Whether the kernel has it as it is wanted. */
static inline bool store_is_right(const struct element *e)
{
	return e->wanted ? e->there && e->same : !e->there;
}

/* Before it is changed in any way. */
void store_dequeue(struct store *s, struct store_place *p);
void store_enqueue(struct store *s, struct store_place *p, enum queue_part part,
                   enum queue_lane lane, uint32_t round);
/* @owner: NULL, nobody. */
enum queue_lane store_lane(const struct store_owner *owner);
/* At the end of the lane's round, wherever it was; or in none.  It may be gone afterwards. */
void store_changed(struct store *s, struct store_place *p, enum queue_lane lane);

/* ---- held.c ---- */

/* Packets, or others of its map, are led on by what is in it. */
bool store_leads(enum frame_map map);

/* It is deferred; the same again, as it was then, when it is not any more. */
void store_hold(struct store *s, const struct store_place *p);
void store_unhold(struct store *s, const struct store_place *p);
void store_unhold_all(struct store *s);
/* Whether it has to wait for one that is deferred. */
bool store_is_held(const struct store *s, const struct store_place *p);

#endif
