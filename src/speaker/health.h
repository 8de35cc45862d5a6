/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_HEALTH_H
#define FAIRLEAD_SPEAKER_HEALTH_H

/*
 * What health checks are told, as kube-proxy tells it, byte for byte (its pkg/proxy/healthcheck):
 * of a Service on its health-check node port, of the data plane on /healthz and /livez.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/http_ports.h"
#include "fairlead/limits.h"
#include "fairlead/proxy.h"
#include "fairlead/view.h"

/*
 * How many different addresses of ready endpoints of the Service this node has; those that
 * terminate do not count, whichever port they serve does not matter.  Of a Service of two families
 * those of the first one.
 */
size_t health_local_endpoints(const struct view_service *s, const char *node);
/*
 * What a node may say while the kernel has other rules than the view has endpoints: @known says how
 * many it has by the rules that are in force, or fewer, @wanted by the view.  One that is lost
 * counts at once, one that has come as soon as rules lead to it (@applied).
 */
size_t health_told(size_t known, size_t wanted, bool applied);

/*
 * Where health-check node ports listen: with node ports at all addresses of both families *ret_all,
 * and no list.  Else those of the node's addresses (@local) that have node ports, each once; all of
 * a family are its address of zeros.  Returns how many there are, of which only the first
 * LIMIT_HEALTH_ADDRESSES are given.
 */
size_t health_addresses(const struct proxy_node *n, const struct addr *local, size_t n_local,
                        struct addr ret_addrs[static LIMIT_HEALTH_ADDRESSES], bool *ret_all);

/* The health of the data plane: something waits for longer than this, and nothing gets through. */
#define HEALTH_PENDING_MAX_MS 60000
struct health_sync {
	int64_t pending_since_ms; /* 0: nothing waits */
};
/*
 * Takes a look, to be taken every few seconds.  @settled: nothing waits; @last_success_ms: when
 * something was last written; @now_ms > 0.  Returns whether it is healthy.
 */
bool health_sync_look(struct health_sync *h, bool settled, int64_t last_success_ms, int64_t now_ms);

struct health_service {
	const char *namespace, *name;
	size_t local_endpoints;
	bool healthy; /* the data plane, and this node */
};
void health_answer_service(const struct health_service *h, struct http_answer *ret);

struct health_proxy {
	int64_t now_us, updated_us; /* wall clock */
	bool healthy;
	bool eligible; /* the node, for new traffic */
	bool v4, v6;   /* the families that it carries */
};
/* Of these two paths; 404 for any other. */
void health_answer_proxy(const char *path, const struct health_proxy *h, struct http_answer *ret);

#endif
