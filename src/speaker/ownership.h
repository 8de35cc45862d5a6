/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_OWNERSHIP_H
#define FAIRLEAD_SPEAKER_OWNERSHIP_H

/*
 * Addresses that this node took over from other nodes, for Events: a few get one each, on their
 * Services; many at a time, as after the death of a node, get one together, on this Node.  So they
 * are collected for a moment.  Pure: time is an argument.
 */

#include <stddef.h>
#include <stdint.h>

#include "speaker/announce.h"
#include "speaker/budget.h"

#define OWNERSHIP_EACH_MAX 4
#define OWNERSHIP_COLLECT_MS 1000

struct ownership;

struct ownership_change {
	char *key; /* of the Service */
	uint8_t uid[VIEW_UID_SIZE];
	struct addr addr;
	char *from;        /* the node that had it */
	enum reason cause; /* REASON_COUNT: unknown */
};

struct ownership *ownership_new(void);
void ownership_free(struct ownership *o);

/* This node announces the address now, and @from did before. */
void ownership_add(struct ownership *o, const struct announcement *a, const char *from,
                   int64_t now_ms);

/* @changes: all of them, or the first OWNERSHIP_EACH_MAX of @n. */
typedef void ownership_tell(const struct ownership_change *changes, size_t n, void *arg);

/*
 * Reports what was collected, if that is due and @budget allows it; otherwise later, with what is
 * added until then.
 */
void ownership_look(struct ownership *o, struct budget *budget, int64_t now_ms,
                    ownership_tell *tell, void *arg);

#endif
