/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_SINKS_H
#define FAIRLEAD_SPEAKER_SINKS_H

/*
 * Packets to announced but unused addresses end at this node.  An aggregate attracts packets to
 * addresses that no Service has; the node would send them by its default route, to the router,
 * which sends them back, until their TTL is used up.  So for each aggregate there are rules of
 * policy routing in the kernel that answer such packets with "unreachable".
 *
 * They apply to forwarded packets alone, after the data plane has translated what is for a Service:
 * addresses that are used, and what the node itself sends, are not concerned.  A route of the main
 * table for the aggregate, or for a part of it, comes first; and where the aggregate lies in a
 * subnet of the node, whose hosts are reached without a router, there are no rules.
 *
 * Rules stay when the process ends, as routes in bgpd do.  All functions block for the kernel
 * alone.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/err.h"
#include "fairlead/metrics.h"

struct sinks;

struct sinks *sinks_new(void);
/* Leaves the rules in place. */
void sinks_free(struct sinks *s);
/*
 * Sets the wanted aggregates, n of them, in any order; with @only_less the existing ones stay as
 * well, for the moment.
 */
void sinks_want(struct sinks *s, const struct prefix *prefixes, size_t n, bool only_less);
/*
 * Adds what is missing and, if nothing unwanted leads here any more (@may_remove), removes the
 * rest; at once when the wanted set changes, and every half minute because others may have changed
 * the rules.  Failures are logged, and counted by the metric.
 */
void sinks_update(struct sinks *s, bool may_remove, int64_t now_ms);
void sinks_metrics(const struct sinks *s, struct metrics_writer *w);
/* Removes all our rules. */
int sinks_cleanup(struct err *e);

/* Whether an aggregate needs them, on a node with these subnets. */
bool sinks_is_needed(const struct prefix *aggregate, const struct prefix *subnets, size_t n);

#endif
