/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_TALLY_H
#define FAIRLEAD_PROXY_TALLY_H

/*
 * What the traffic of each Service amounts to, from counters of the kernel that come and go: a
 * counter that was written anew begins at 0 again, and may then be another Service's.  A total
 * never goes back as long as its Service is there.  Pure.
 *
 * A reading is a pass over all counters that the kernel has.  What several of them have not met is
 * forgotten, and so are Services that are gone.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct metrics_writer;
struct tally;

/* Services with a total; the counters of others are left out. */
#define TALLY_SERVICES_MAX 5000
/* The kernel may pass over one while it makes room for more. */
#define TALLY_MISSES 3
/*
 * Whoever asks, a reading waits so many times what the last one took: /metrics is open to many, and
 * there may be much to read.
 */
#define TALLY_GAPS 100
/* An id is never longer. */
#define TALLY_ID_MAX 40

enum tally_what {
	TALLY_CONNECTIONS,
	TALLY_TO,   /* packets from clients */
	TALLY_FROM, /* the answers to them */
	TALLY_WHATS
};

struct tally *tally_new(void);
void tally_free(struct tally *t);

/*
 * Readings of several sources (a family each) may take turns; each has a number from 0 to
 * TALLY_SOURCES - 1.
 */
#define TALLY_SOURCES 2
void tally_begin(struct tally *t, unsigned int source);
/*
 * A counter as it is now, of @service ("namespace/name"; NULL: of none any more, so that what it
 * has counted is never the next one's).  @id: @size bytes, up to TALLY_ID_MAX, that tell it from
 * all others of the source for as long as it lives.
 */
void tally_count(struct tally *t, unsigned int source, const void *id, size_t size,
                 const char *service, enum tally_what what, uint64_t packets, uint64_t bytes);
/*
 * The end of one that was whole.  @full: the kernel has no room for further counters.  @is_there:
 * whether the Service still is.
 */
void tally_end(struct tally *t, unsigned int source, bool full,
               bool (*is_there)(const char *service, void *arg), void *arg);

/* @packets: beside connections also packets and bytes are known. */
void tally_metrics(const struct tally *t, bool packets, struct metrics_writer *w);

#endif
