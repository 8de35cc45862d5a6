/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_FORWARD_H
#define FAIRLEAD_SPEAKER_FORWARD_H

/*
 * From a Service in the view to what the proxy should do for it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "fairlead/proxy.h"
#include "fairlead/view.h"
#include "speaker/announce.h"

/*
 * Whether this node forwards the Service in @family: it has a cluster IP there, and is not another
 * proxy's.
 */
bool forward_wanted(const struct view_service *s, uint8_t family);

struct forward {
	struct proxy_service service; /* with those of the halves that are wanted */
	struct proxy_half halves[PROXY_HALVES];
};

/*
 * Builds the Service for the proxy, with the guards that depend on what is announced (@t; NULL:
 * nothing is).  The result points into the view, into itself and to memory of its own, which
 * forward_fini() frees.
 */
void forward_build(const struct view *v, const struct announce *t, const struct view_service *s,
                   struct forward *ret);
void forward_fini(struct forward *f);

#endif
