/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONTROLLER_CONTROLLER_H
#define FAIRLEAD_CONTROLLER_CONTROLLER_H

/*
 * The controller's wiring.
 *
 *	informers --> records, configuration --> dirty records --turn--> ipam_decide() --> queue -->
 *	patches
 *
 * Every replica follows Services, Nodes and ConfigMaps and keeps its books.  Only the elected
 * leader decides and writes, and it starts with a consistent look at everything.  What a record
 * says comes from the informer, and from the answer to our own patch until the informer has shown
 * that; so its version never runs backwards.
 */

#include "controller/state.h"

int controller_options_parse(int argc, char **argv, struct controller_options *ret, struct err *e);
int controller_start(struct controller *ctl, struct err *e);
void controller_stop(struct controller *ctl);

#endif
