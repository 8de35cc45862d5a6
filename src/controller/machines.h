/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONTROLLER_MACHINES_H
#define FAIRLEAD_CONTROLLER_MACHINES_H

/* Addresses that machines have, which nobody is given. */

#include "controller/state.h"

extern const struct kube_informer_ops machines_ops;
/* Enters the known ones into new books. */
void machines_fill(struct controller *ctl);
/* The API server may answer from another address by now. */
void machines_see_api_server(struct controller *ctl);
/* Adds "; pool … holds …" for those in pools. */
void machines_tell(const struct controller *ctl, struct buf *note);
void machines_free(struct controller *ctl);

#endif
