/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_DIFFS_H
#define FAIRLEAD_PROXY_DIFFS_H

/*
 * Comparisons that were asked for and are under way: see proxy_diff_start().  Each is told of its
 * end once, also if the backend goes away meanwhile.
 */

#include "proxy/backend.h"

/* All of them; NULL: none.  Moves nowhere while there is any. */
struct diffs {
	struct proxy_diff *list;
};

/* Starts one of the backend's. */
struct proxy_diff *diffs_start(struct diffs *all, const struct backend *b, void *self,
                               struct event_base *base, void (*done)(struct buf *text, void *arg),
                               void *arg);
/* The backend is about to stop. */
void diffs_stop(struct diffs *all);

#endif
