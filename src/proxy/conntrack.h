/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_CONNTRACK_H
#define FAIRLEAD_PROXY_CONNTRACK_H

/*
 * Old UDP flows.  nat looks at the first packet of a flow only, and a UDP flow lasts as long as somebody keeps sending: a
 * client that has one would go on talking to an endpoint that is no more.  So after the rules of a UDP port were
 * written, flows toward it that are answered by none of its endpoints, nor by one that is kept, are deleted.  TCP needs none of this, its peers
 * notice by themselves.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/err.h"
#include "fairlead/proxy.h"

/* At most so many flows are deleted at a time. */
#define CONNTRACK_MAX_DELETES 65536

struct conntrack_job;

struct conntrack_job *conntrack_job_new(uint8_t family);
void conntrack_job_free(struct conntrack_job *j);
/* Adds the Service's UDP ports, copied; ports without endpoints are left alone. */
void conntrack_job_add(struct conntrack_job *j, const struct proxy_service *s);
bool conntrack_job_is_empty(const struct conntrack_job *j);
/* Whether a UDP flow toward @to, answered by @from, is one to delete. */
bool conntrack_is_stale(const struct conntrack_job *j, const struct addr *to, uint16_t to_port,
                        const struct addr *from, uint16_t from_port);
/* Reads the kernel's table and deletes what is stale.  Blocks while it reads. */
int conntrack_run(const struct conntrack_job *j, size_t *ret_n_deleted, struct err *e);

#endif
