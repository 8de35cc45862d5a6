/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONTROLLER_SERVICES_H
#define FAIRLEAD_CONTROLLER_SERVICES_H

/* Takes Services from the API server into the books. */

#include "controller/state.h"

extern const struct kube_informer_ops services_ops;
/* A new leader reports what cannot be read; nothing if everything can. */
void services_tell_lost(struct controller *ctl);

#endif
