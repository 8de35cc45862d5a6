/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONTROLLER_UNINSTALL_H
#define FAIRLEAD_CONTROLLER_UNINSTALL_H

/* The mark on what is published. */

#include "controller/state.h"

/* @active NULL: that is gone. */
void uninstall_see(struct controller *ctl, const struct kube_config_map *active);
/* If addresses are taken back, no Service wants one. */
void uninstall_request(struct record *r);
/* And the decision that comes of it says so. */
void uninstall_explain(struct record *r);
/*
 * If addresses are taken back, and all have been: says so.  Called at the end of a turn, and after
 * patches.
 */
void uninstall_answer(struct controller *ctl);

#endif
