/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONTROLLER_COOLING_H
#define FAIRLEAD_CONTROLLER_COOLING_H

/* Addresses that cool down: when the next one is free, and how the next leader knows of them. */

#include "controller/state.h"

int cooling_start(struct controller *ctl);
void cooling_free(struct controller *ctl);
/* The ConfigMap as it was seen; NULL: it is gone. */
void cooling_seen(struct controller *ctl, const struct kube_config_map *m);
/* The books are new. */
void cooling_fill(struct controller *ctl);
/* Addresses may have been let go: they are written soon, and are free in time. */
void cooling_freed(struct controller *ctl);
/* What is not written yet is written now. */
void cooling_flush(struct controller *ctl);

#endif
