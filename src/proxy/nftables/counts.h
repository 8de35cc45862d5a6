/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_NFTABLES_COUNTS_H
#define FAIRLEAD_PROXY_NFTABLES_COUNTS_H

/*
 * Reads what the rules of one family have counted, a slice in each turn of the event loop.  What
 * changes meanwhile may be missed; the next reading has it.
 */

#include <stdbool.h>

#include "fairlead/err.h"
#include "proxy/nftables/frame.h"

struct event_base;
struct counts;

/* Of the event loop's time. */
#define COUNTS_SLICE_MS 5

struct counts_ops {
	void (*counted)(const struct frame_counted *c, void *arg);
	/* @whole: all were read; @full: a set has no room for others. */
	void (*done)(bool whole, bool full, void *arg);
};

int counts_new(struct event_base *base, uint8_t family, const struct counts_ops *ops, void *arg,
               struct counts **ret_counts, struct err *e);
void counts_free(struct counts *c);
/* None is under way, and the last one is long enough ago (TALLY_GAPS). */
bool counts_may_read(const struct counts *c);
/* Begins a reading, and does its first slice at once. */
void counts_read(struct counts *c);

#endif
