/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPVS_DIRECTOR_H
#define FAIRLEAD_PROXY_IPVS_DIRECTOR_H

/*
 * All that mode ipvs has in the kernel besides its tables: the sysctls of IPVS, the way by which
 * marked packets come to it, and the virtual servers.
 */

#include <stdbool.h>
#include <stdint.h>

#include "fairlead/err.h"
#include "proxy/ipvs/virtual.h"

struct director;
struct proxy_stats;

/* As virtuals_start(); @ops are called likewise. */
int director_start(struct event_base *base, uint32_t tag, const struct virtuals_ops *ops, void *arg,
                   struct director **ret_director, struct err *e);
/* Leaves everything in the kernel.  NULL: nothing to do. */
void director_stop(struct director *d);
/* NULL for NULL. */
struct virtuals *director_virtuals(const struct director *d);
void director_audit(struct director *d);
/* Whether marked packets are led to IPVS no more, and cannot be. */
bool director_is_lost(const struct director *d, uint8_t family);
/* Whether others changed what is ours, and it is not mended yet. */
bool director_is_damaged(const struct director *d, uint8_t family);
/* What was written to IPVS and mended there, and of the way to it, beside what stands there. */
void director_add_stats(const struct director *d, struct proxy_stats *st);

/* ---- without one that runs: as struct place has it ---- */

bool director_has_ours(const void *what);
int director_clean(const void *what, struct err *e);

#endif
