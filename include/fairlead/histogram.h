/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_HISTOGRAM_H
#define FAIRLEAD_HISTOGRAM_H

/*
 * How long something took, counted by how long: plain values, all with the same bounds.  Times are
 * seconds.
 */

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BOUNDS 17

struct histogram {
	/* Each counts what is above the bound before it, up to its own; the last one all beyond. */
	uint64_t counts[HISTOGRAM_BOUNDS + 1];
	double sum;
};

/* From a millisecond to five minutes, ascending. */
extern const double histogram_bounds[HISTOGRAM_BOUNDS];

/* Below zero, or no number: not counted. */
void histogram_observe(struct histogram *h, double seconds);
/* Adds what @from has counted. */
void histogram_add(struct histogram *h, const struct histogram *from);
uint64_t histogram_count(const struct histogram *h);

#endif
