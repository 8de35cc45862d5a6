/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONTROLLER_WRITER_H
#define FAIRLEAD_CONTROLLER_WRITER_H

/* Patches to Services. */

#include "controller/state.h"

int writer_start(struct controller *ctl);
void writer_free(struct controller *ctl);
void writer_queue(struct record *r);
void writer_run(struct controller *ctl);
/*
 * The object was seen while it was not known whether our write took effect: if it did, log and
 * Events report it now.
 */
void writer_tell_found(struct record *r);

#endif
