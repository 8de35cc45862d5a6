/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONTROLLER_COOLING_H
#define FAIRLEAD_CONTROLLER_COOLING_H

/*
 * Addresses that cool down: when the next one is free, and how the next leader knows of them, and
 * of which address each pool gave last.
 */

#include "controller/state.h"

int cooling_start(struct controller *ctl);
void cooling_free(struct controller *ctl);
/* The ConfigMap as it was seen; NULL: it is gone. */
void cooling_seen(struct controller *ctl, const struct kube_config_map *m);
/* The books are new. */
void cooling_fill(struct controller *ctl);
/*
 * Addresses may have been let go, or given in turn: that is written soon, and those that were let
 * go are free in time.
 */
void cooling_look(struct controller *ctl);
/* What is not written yet is written now. */
void cooling_flush(struct controller *ctl);

#endif
