/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APISIM_ALLOC_H
#define APISIM_ALLOC_H

/*
 * Which clusterIPs and node ports are taken.  It follows the store: the server tells it of each
 * Service that came or went, so that it can always be rebuilt and never leaks.  It hands out, it
 * does not hold.
 */

#include <json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"

#define NODE_PORT_MIN 30000
#define NODE_PORT_MAX 32767

struct alloc_ip;

struct alloc {
	struct prefix ranges[2]; /* the first one is the default family */
	size_t n_ranges;
	struct addr next[2]; /* where the next search begins */
	struct alloc_ip *ips;
	uint16_t ports[NODE_PORT_MAX - NODE_PORT_MIN + 1]; /* uses */
	unsigned int next_port;
};

void alloc_init(struct alloc *a, const struct prefix *ranges, size_t n_ranges);
void alloc_fini(struct alloc *a);
/* Counts what the Service holds; @sign +1 or -1. */
void alloc_count(struct alloc *a, struct json_object *service, int sign);
/* The range of a family (4 or 6), NULL if the cluster has none. */
const struct prefix *alloc_range(const struct alloc *a, int family);
bool alloc_ip_taken(const struct alloc *a, const struct addr *ip);
/* False where the range is full. */
bool alloc_next_ip(struct alloc *a, int family, struct addr *ret_ip);
bool alloc_port_taken(const struct alloc *a, int64_t port);
/* A free one that is not in @but; 0 where there is none. */
int64_t alloc_next_port(struct alloc *a, const int64_t *but, size_t n_but);

#endif
