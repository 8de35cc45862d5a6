/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_PROXY_PRIVATE_H
#define FAIRLEAD_PROXY_PROXY_PRIVATE_H

/* The inside of the door: proxy.c is its life, status.c what it reports about itself. */

#include "fairlead/proxy.h"
#include "proxy/backend.h"
#include "proxy/diffs.h"

struct proxy {
	enum proxy_mode mode; /* that it was started in */
	const struct backend *b;
	void *self; /* the backend's own; NULL where it has nothing to start */
	struct event *audit;
	struct sole *sole;         /* both NULL where others carry the traffic */
	struct takeover *takeover; /* not before this is the sole proxy here */
	bool complete, behind;
	struct event_base *base;
	int retry_ms;
	struct proxy_node node; /* as the backend was told */
	struct proxy_flows flows;
	bool masquerade_all, localhost_node_ports;
	enum proxy_pods pods_by;
	/* Why they are not there, or the sysctl still is; no blame: nothing is wrong. */
	struct err localhost_error;
	struct diffs diffs;
	struct tally *tally; /* NULL: Services' traffic is not counted */
	struct proxy_ops ops;
	void *arg;
};

#endif
