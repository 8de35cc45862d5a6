/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_PACE_H
#define FAIRLEAD_PROXY_PACE_H

/*
 * How soon after a batch the next one may start.  A few may follow at once, since one Service often
 * comes in two or three steps (cluster IP, endpoints, address); if changes keep coming, they then
 * wait twice the time of a batch, so that iptables takes at most a third of a processor.  Pure.
 */

#include <stdint.h>

/* A gap is twice what the last batch took, within these. */
#define PACE_GAP_MIN_MS 20
#define PACE_GAP_MAX_MS 5000
/*
 * How long a change waits for what belongs to it: the address comes milliseconds after the Service.
 */
#define PACE_SETTLE_MS 4
/* Gaps that may be left out in a row; one comes back in so many gaps of rest. */
#define PACE_CREDITS 3
#define PACE_CREDIT_GAPS 10

struct pace {
	unsigned int spent; /* of PACE_CREDITS */
	int64_t refill_ms;  /* when the next one comes back */
};

/* A batch that took @took_ms has ended at @now_ms: the time before which no other shall start. */
int64_t pace_next_ms(struct pace *p, int64_t now_ms, int64_t took_ms);

/* The pause after so many failures before this one: doubling from @min_ms, never over @max_ms. */
int64_t pace_pause_ms(unsigned int failures, int64_t min_ms, int64_t max_ms);

#endif
