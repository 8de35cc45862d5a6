/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_L2_SNAPSHOT_H
#define FAIRLEAD_L2_SNAPSHOT_H

/* A whole copy of an l2_snapshot in one piece of memory, which free() frees. */

#include "fairlead/l2.h"

struct l2_snapshot *snapshot_copy(const struct l2_snapshot *s);
bool snapshot_eq(const struct l2_snapshot *a, const struct l2_snapshot *b);

#endif
