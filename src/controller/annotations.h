/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONTROLLER_ANNOTATIONS_H
#define FAIRLEAD_CONTROLLER_ANNOTATIONS_H

#include <stdbool.h>

#include "fairlead/buf.h"
#include "fairlead/kube_types.h"

/*
 * Adds a message about the first annotation under fairlead.io/ on a Service that has no effect.
 * False if there is none.
 */
bool annotations_ignored(const struct labels *annotations, struct buf *out);

#endif
