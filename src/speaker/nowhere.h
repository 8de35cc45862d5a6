/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_NOWHERE_H
#define FAIRLEAD_SPEAKER_NOWHERE_H

/*
 * Addresses that no node at all may announce: which of them are worth an Event on their Service,
 * and which speaker sends it.  When some node may announce one of those again, that is worth
 * another.
 *
 * Once the state has lasted for NOWHERE_LASTS_MS, the speaker of the first Ready node reports it,
 * once for as long as it lasts.  How many Events go out at all is bounded by @budget.  Pure: time
 * is an argument.
 */

#include <stdbool.h>
#include <stdint.h>

#include "fairlead/view.h"
#include "speaker/announce.h"
#include "speaker/lasting.h"

#define NOWHERE_LASTS_MS 10000

/*
 * Whether this speaker is the one that reports what holds on every node: that of the first Ready
 * node; if none is Ready, of the first node.
 */
bool nowhere_is_ours_to_tell(const struct view *v);

/* @a->nowhere is REASON_Candidate if it is over. */
typedef void nowhere_tell(const struct announcement *a, void *arg);

/* Looks at the current state; call it every few seconds.  @known is for these addresses alone. */
void nowhere_look(struct lasting *known, const struct view *v, const struct announce *t,
                  struct budget *budget, int64_t now_ms, nowhere_tell *tell, void *arg);

#endif
