/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_RELAYING_H
#define FAIRLEAD_SPEAKER_RELAYING_H

/* Handing packets of connections that this node does not know to the node that does. */

#include "fairlead/l2.h"

struct speaker;

/* Layer 2 has news; @states as l2_take_states() gives them. */
void relaying_follow(struct speaker *sp, const struct l2_state *states, size_t n);
/* From time to time: what was to end ends, and what failed is tried again. */
void relaying_tick(struct speaker *sp);

#endif
