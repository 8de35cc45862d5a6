/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONTROLLER_PUBLISH_H
#define FAIRLEAD_CONTROLLER_PUBLISH_H

/* The ConfigMaps: the administrator's, and the published one. */

#include "controller/state.h"

extern const struct kube_informer_ops publish_ops;
int publish_start(struct controller *ctl);
/* The leader has seen everything: puts the configuration in force and publishes what is needed. */
void publish_lead(struct controller *ctl);
/* Tells of the last edit by an Event, as soon as it is known what that does. */
void publish_tell_effect(struct controller *ctl);
void publish_free(struct controller *ctl);
/* What is published may be more or less by now: addresses were freed. */
void publish_again(struct controller *ctl);

#endif
