/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_SECRETS_H
#define FAIRLEAD_SPEAKER_SECRETS_H

/* What the speaker reads from Secrets. */

#include "speaker/state.h"

extern const char *const speaker_secret_names[N_SECRETS];
void speaker_secrets_start(struct speaker *sp);

#endif
