/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_L2_TELLING_H
#define FAIRLEAD_L2_TELLING_H

/* What the urgent thread has to tell, from its segments to the board. */

#include "l2/attach.h"
#include "l2/board.h"

/*
 * Writes what has changed, with the current troubles.  True if other nodes are there than before,
 * or the same ones have other addresses.  The board's lock is held.
 */
bool telling_write(struct board *b, const struct attach *on, const struct troubles *found);

#endif
