/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONTROLLER_CONTEST_H
#define FAIRLEAD_CONTROLLER_CONTEST_H

/* Others who write the same statuses. */

#include "controller/state.h"

int contest_start(struct controller *ctl);
void contest_free(struct controller *ctl);
/* @what of the status, as record_overwritten() says; @writer NULL: not known. */
void contest_overwritten(struct record *r, const char *what, const char *writer);
/* A status is about to be written: is that too often, each time too soon after the previous one? */
bool contest_is_rapid(struct record *r, int64_t now_ms);

#endif
