/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APISIM_SERVICE_H
#define APISIM_SERVICE_H

/*
 * What the real server's Service registry does between decoding and validation: defaults, fields
 * that belong to another type dropped, values carried over from the old object, families,
 * clusterIPs and node ports given out.
 */

#include <json.h>

#include "alloc.h"
#include "reply.h"

#define SERVICE_MAX_PORTS 1000

/* Defaults of the v1 API; also for status writes. */
void service_default(struct json_object *svc);
/*
 * Carries over and drops; @old NULL for a creation.  Before service_default() has run on neither.
 */
void service_carry_over(struct json_object *svc, struct json_object *old);
/* Families, clusterIPs, nodePorts, healthCheckNodePort.  Only on a valid Service. */
void service_allocate(struct alloc *a, struct json_object *svc, struct json_object *old,
                      struct causes *c);

#endif
