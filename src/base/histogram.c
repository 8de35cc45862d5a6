/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/histogram.h"

#include <math.h>

const double histogram_bounds[HISTOGRAM_BOUNDS] = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
	                                            0.1,   0.25,   0.5,   1,    2.5,   5,
	                                            10,    30,     60,    120,  300 };

void histogram_observe(struct histogram *h, double seconds)
{
	size_t i = 0;

	if (isnan(seconds) || isinf(seconds) || seconds < 0)
		return;
	while (i < HISTOGRAM_BOUNDS && seconds > histogram_bounds[i])
		i++;
	h->counts[i]++;
	h->sum += seconds;
}

void histogram_add(struct histogram *h, const struct histogram *from)
{
	for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++)
		h->counts[i] += from->counts[i];
	h->sum += from->sum;
}

uint64_t histogram_count(const struct histogram *h)
{
	uint64_t n = 0;

	for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++)
		n += h->counts[i];
	return n;
}
