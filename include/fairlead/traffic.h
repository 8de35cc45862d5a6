/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_TRAFFIC_H
#define FAIRLEAD_TRAFFIC_H

/*
 * What a Service's spec says about its traffic, as it comes from the API server and as the rules
 * need it: the parser fills it in, the view keeps it, the data plane reads it, and everything in
 * between passes it on without looking inside.  The name in it is whoever's the struct is part of.
 */

#include "fairlead/fields.h"

/* As the kernel bounds it, with the NUL. */
#define TRAFFIC_SCHEDULER_SIZE 16

#define TRAFFIC_FIELDS(X)                                                                    \
	X(OPTION, scheduler)            /* of IPVS; NULL: the default one */                 \
	X(VALUE, uint32_t, affinity_s)  /* sessionAffinity ClientIP: its timeout; 0: none */ \
	X(VALUE, uint16_t, health_port) /* healthCheckNodePort; 0: none, or of no use */     \
	X(VALUE, bool, external_local)  /* externalTrafficPolicy: Local */                   \
	X(VALUE, bool, internal_local)  /* internalTrafficPolicy: Local */

struct traffic {
	TRAFFIC_FIELDS(FIELD_DECLARE)
};

static inline bool traffic_eq(const struct traffic *a, const struct traffic *b)
{
	return true TRAFFIC_FIELDS(FIELD_EQ);
}

#endif
