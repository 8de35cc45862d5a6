/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_SPEAKER_H
#define FAIRLEAD_SPEAKER_SPEAKER_H

/*
 * The speaker: informers feed the view, and once in each turn of the event loop the dirty Services
 * are decided, layer 2 gets a new snapshot, bgpd its routes, and the proxy its Services.
 */

#include "speaker/state.h"

int speaker_start(struct speaker *sp, struct err *e);
/* As for a restart: rules stay, and the peers hold our claims for a while. */
void speaker_stop(struct speaker *sp);

#endif
