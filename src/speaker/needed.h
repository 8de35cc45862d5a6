/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_NEEDED_H
#define FAIRLEAD_SPEAKER_NEEDED_H

/* Addresses that this node itself depends on. */

#include "speaker/state.h"

/*
 * Tells the view the addresses that this node itself depends on: gateways and the API server's.
 * Bounded work.
 */
void speaker_look_for_needed(struct speaker *sp);

#endif
