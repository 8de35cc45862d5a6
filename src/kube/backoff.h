/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_KUBE_BACKOFF_H
#define FAIRLEAD_KUBE_BACKOFF_H

/*
 * How long to wait before trying again: doubling from a first delay to a last one, with jitter, so
 * that many clients of a server that comes back do not return at one moment.
 */

#include <stdint.h>

/*
 * The longest delay of this client.  An API server that was away for minutes is followed again
 * within this much of its return, which a person waits for; a thousand nodes that ask it every few
 * seconds meanwhile are nothing to it.
 */
#define BACKOFF_LAST_MS 10000

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
