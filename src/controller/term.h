/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONTROLLER_TERM_H
#define FAIRLEAD_CONTROLLER_TERM_H

/*
 * How long this replica may write: as long as it leads, the lease outlasts the write, and it was
 * not asked to end.
 */

#include "controller/state.h"

bool term_may_write(const struct controller *ctl);
/*
 * A write ended without an answer that tells what became of it: the lease stays ours until it can
 * take no effect.
 */
void term_unanswered(struct controller *ctl);
/* A write is under way, or got no answer, and may still take effect. */
bool term_is_open(const struct controller *ctl);

#endif
