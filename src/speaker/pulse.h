/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_PULSE_H
#define FAIRLEAD_SPEAKER_PULSE_H

/* Whether the API server answers. */

#include "speaker/state.h"

/* Asks it, if it is time; call this every two seconds or so. */
void speaker_pulse(struct speaker *sp);
/* When the API server last answered, or a watch brought something. */
int64_t speaker_answered_ms(const struct speaker *sp);
/* What the speaker knows of the cluster is up to date. */
bool speaker_is_fresh(const struct speaker *sp);

#endif
