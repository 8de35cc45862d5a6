/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_FLOWS_H
#define FAIRLEAD_PROXY_FLOWS_H

/*
 * How full conntrack's table is.  Whoever carries Services' traffic needs an entry for each
 * connection; where there is no room, the kernel drops the first packet of a new one, while those
 * that are there go on.
 */

#include <stdbool.h>

#include "fairlead/proxy.h"

/* Percent of the table: from so much on it is full, and below this it is not any more. */
#define FLOWS_FULL 95
#define FLOWS_ROOM 85

/* Pure.  @max 0: the kernel has no bound. */
void flows_update(struct proxy_flows *f, uint64_t count, uint64_t max);
/* The same with what the kernel says; nothing changes where it does not. */
void flows_read(struct proxy_flows *f);

#endif
