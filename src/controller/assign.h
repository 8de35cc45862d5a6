/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONTROLLER_ASSIGN_H
#define FAIRLEAD_CONTROLLER_ASSIGN_H

/* Decisions. */

#include "controller/state.h"

/* Decides about every record that changed since the last turn. */
void assign_turn(struct controller *ctl);

#endif
