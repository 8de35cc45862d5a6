/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_LATENCY_H
#define FAIRLEAD_SPEAKER_LATENCY_H

/*
 * How long changes of endpoints take from their cause to the kernel, as kube-proxy measures it:
 * whoever writes an EndpointSlice notes on it when the Pod, or the Service, changed.
 *
 * A change is noted as it comes in, given with the Service's next state to the data plane, and over
 * once that state is in the kernel.  Of changes of one Service that come together the first one
 * counts, so that there is at most one of each stage for a Service.  Pure: all times are given, in
 * microseconds since 1970.
 */

#include <stdbool.h>
#include <stdint.h>

#include "fairlead/histogram.h"

struct latency;

/* Older ones are no news: the speaker, or the API server, was away. */
#define LATENCY_MAX_US (INT64_C(3600) * 1000000)

struct latency *latency_new(void);
void latency_free(struct latency *l);
/* 0, a time to come, or one too long ago: nothing is noted. */
void latency_note(struct latency *l, const char *key, int64_t trigger_us, int64_t now_us);
/* The Service's state went to the data plane; @applied: which had it already. */
void latency_give(struct latency *l, const char *key, bool applied);
void latency_forget(struct latency *l, const char *key);
/* Counts those that were given and are in the kernel, as @is_applied says. */
void latency_settle(struct latency *l, bool (*is_applied)(const char *key, void *arg), void *arg,
                    int64_t now_us);
const struct histogram *latency_histogram(const struct latency *l);

#endif
