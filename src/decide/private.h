/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_DECIDE_PRIVATE_H
#define FAIRLEAD_DECIDE_PRIVATE_H

/* What the files of this room share. */

#include "fairlead/decide.h"

/* Sets has_endpoint and ready. */
void decide_count_endpoints(struct decision *d);

/* What the pool has, where nothing of it applies. */
void decide_say_unadvertised(const struct decision *d, struct buf *out);

#endif
