/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_UNINSTALL_H
#define FAIRLEAD_SPEAKER_UNINSTALL_H

/* The end of a speaker that is uninstalled. */

#include "speaker/state.h"

/*
 * The cluster says that we are being uninstalled: from now on this process only removes what it
 * made.
 */
void speaker_uninstall(struct speaker *sp);
/* The next step, if there is one. */
void speaker_uninstall_tick(struct speaker *sp);
const char *speaker_uninstall_name(const struct speaker *sp);

#endif
