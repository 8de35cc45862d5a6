/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_MOVES_H
#define FAIRLEAD_SPEAKER_MOVES_H

/*
 * The addresses that came to this node from other nodes of their segments: the last ones, with
 * cause and duration, for /status, and how long all of them took, for /metrics.  Pure: times are
 * given, in clock_ms().
 */

#include <stdint.h>

#include "fairlead/histogram.h"

/* The oldest is forgotten for one more. */
#define MOVES_KEPT 64

struct announcement;
struct moves;
struct out;

struct moves *moves_new(void);
void moves_free(struct moves *m);
/* This node announces the address since a->since_ms, and the node @from did before. */
void moves_add(struct moves *m, const struct announcement *a, const char *from);
/* The list "moves", the latest first. */
void moves_put(const struct moves *m, int64_t now_ms, struct out *o);
/* Of those whose duration is known. */
const struct histogram *moves_histogram(const struct moves *m);

#endif
