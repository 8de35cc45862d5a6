/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_NFTABLES_ELEMENTS_H
#define FAIRLEAD_PROXY_NFTABLES_ELEMENTS_H

/*
 * The elements of one map, found by key.  There are several for each Service, so they are packed:
 * records of one size in blocks, named by numbers.  A record stays where it is until it is dropped,
 * and no call does more than a bounded piece of work, however many there are.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/buckets.h"
#include "proxy/nftables/frame.h"

struct element {
	uint32_t next;  /* in its bucket, or among those that are free; 0: none */
	uint32_t who;   /* the owner's number; of a shared one how many share it */
	uint32_t waits; /* its place in the queue (queue.h); 0: none */
	uint16_t used : 1;
	uint16_t there : 1;   /* the kernel has the key */
	uint16_t same : 1;    /* and the value is the one wanted */
	uint16_t wanted : 1;  /* by its owner, or by a share */
	uint16_t claimed : 1; /* in which of its owner's turns it was wanted last */
	uint16_t contested : 1;
	uint16_t was_there : 1; /* before it was forgotten */
	uint16_t was_right : 1; /* and as it is wanted since */
	uint16_t seen : 1;      /* by a look */
	/* key, value; of an interval, where it ends in the kernel */
	unsigned char data[];
};

struct elements {
	struct frame_shape shape;
	enum frame_map map;
	size_t record; /* bytes */
	unsigned char **blocks;
	size_t n_blocks, cap_blocks;
	uint32_t last, free; /* number of the last record; the first free one */
	size_t n;
	struct buckets buckets;
};

void elements_init(struct elements *t, uint8_t family, enum frame_map map);
void elements_fini(struct elements *t);

/* 0: there is none. */
uint32_t elements_find(const struct elements *t, const void *key);
/* Made if it is not there, all zero but the key. */
uint32_t elements_get(struct elements *t, const void *key);
void elements_drop(struct elements *t, uint32_t number);

struct element *elements_at(const struct elements *t, uint32_t number);
unsigned char *elements_value(const struct elements *t, struct element *e);
/*
 * What the kernel has to be told to delete it: an interval goes by both ends, and may end elsewhere
 * than is wanted.
 */
unsigned char *elements_value_there(const struct elements *t, struct element *e);

/*
 * One after another: the first after @number, 0 being before all; 0 at the end.  Whatever is
 * dropped meanwhile, the others come once.
 */
uint32_t elements_next(const struct elements *t, uint32_t number);

#endif
