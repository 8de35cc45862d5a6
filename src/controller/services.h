/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONTROLLER_SERVICES_H
#define FAIRLEAD_CONTROLLER_SERVICES_H

/* Services as the API server has them, into the books. */

#include "controller/state.h"

extern const struct kube_informer_ops services_ops;
/* A new leader says what cannot be made out; nothing where all can. */
void services_tell_lost(struct controller *ctl);

#endif
