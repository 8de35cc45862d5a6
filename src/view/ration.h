/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_VIEW_RATION_H
#define FAIRLEAD_VIEW_RATION_H

/*
 * Who gets some of what is bounded.  Each asks for an amount, and gets all of it or nothing: the
 * oldest are served first (seniority.h), and one whose amount does not fit any more is passed over.
 * Who has something at rest follows from who asks for how much alone, not from the order in which
 * that came about.
 */

#include <stdbool.h>
#include <stdint.h>

#include "fairlead/seniority.h"

struct ration_share;

/* All zero at first, but for the bound. */
struct ration {
	uint64_t bound;
	struct ration_share *root;
};

/* Its strings, and the owner, have to outlive the share. */
struct ration_share *ration_ask(struct ration *r, const struct seniority *order, uint64_t amount,
                                void *owner);
/* Frees the share.  Accepts NULL. */
void ration_leave(struct ration *r, struct ration_share *share);
/*
 * The owner of the oldest share that ration_has() says something else of from now on; NULL: nothing
 * changes any more.  New shares have nothing until this says so.  To be called until then, after
 * each change, or after many: O(log n) for each that changes, and once more.
 */
void *ration_settle(struct ration *r);

bool ration_has(const struct ration_share *share);
uint64_t ration_amount(const struct ration_share *share);
const struct seniority *ration_order(const struct ration_share *share);

#endif
