/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONTROLLER_HEARTBEAT_KEY_H
#define FAIRLEAD_CONTROLLER_HEARTBEAT_KEY_H

/* The speakers' key. */

#include "controller/state.h"

#define CONTROLLER_KEY_NAME "key"
int heartbeat_key_start(struct controller *ctl);
/* A leader creates it unless it exists. */
void heartbeat_key_lead(struct controller *ctl);

#endif
