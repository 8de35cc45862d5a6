/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONTROLLER_TELL_H
#define FAIRLEAD_CONTROLLER_TELL_H

/* Events about what the controller does and finds. */

#include "controller/state.h"

/*
 * An Event about an object: @what, in the words of this case, followed by the remedy of @reason.
 */
void tell_event(struct controller *ctl, const char *kind, const char *namespace, const char *name,
                const char *uid, bool warning, enum reason reason, const char *action,
                const char *what);
/* The same about a Service. */
void tell_event_of(struct record *r, bool warning, enum reason reason, const char *action,
                   const char *what);

#endif
