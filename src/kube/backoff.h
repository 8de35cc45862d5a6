/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_KUBE_BACKOFF_H
#define FAIRLEAD_KUBE_BACKOFF_H

/*
 * How long to wait before trying again: doubling from a first delay to a last one, with jitter, so that many clients
 * of a server that comes back do not return at one moment.
 */

#include <stdint.h>

struct backoff {
	int first_ms, last_ms;
	unsigned int failures; /* in a row */
};

/*
 * The delay after one more failure; @chance is a random number.  Between the half and the whole of
 * first_ms * 2^(failures - 1), at most last_ms.
 */
int backoff_next_ms(struct backoff *b, uint64_t chance);
void backoff_reset(struct backoff *b);
/* Between the half and the whole of @ms. */
int backoff_jitter_ms(int ms, uint64_t chance);

#endif
