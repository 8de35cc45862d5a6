/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPVS_VIRTUAL_TYPES_H
#define FAIRLEAD_PROXY_IPVS_VIRTUAL_TYPES_H

/* Virtual servers as values. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/histogram.h"

/* As the kernel bounds it: with the NUL. */
#define VIRTUAL_SCHEDULER_SIZE 16
/* All nodes pick the same endpoint for a flow by it, in whatever order endpoints came. */
#define VIRTUAL_SCHEDULER_DEFAULT "mh"
/* Different schedulers at a time; what asks for more gets the default one. */
#define VIRTUAL_SCHEDULERS_MAX 64

/* A wire-independent name of a virtual server: one of each family may have a mark. */
struct virtual_id {
	uint32_t mark;
	uint8_t family; /* 4, 6 */
};

struct virtual_endpoint {
	struct addr addr;
	uint16_t port; /* in the host's order; never 0 */
};

struct virtual_server {
	struct virtual_id id; /* the tag and more: the tag alone is what kernels are probed with */
	uint8_t proto;        /* IPPROTO_TCP: endpoints that go are drained; others go at once */
	char scheduler[VIRTUAL_SCHEDULER_SIZE];   /* "": the default one */
	const struct virtual_endpoint *endpoints; /* of the same family, in any order */
	size_t n_endpoints;
	/*
	 * Those that get no new connections, but keep what they have for as long as they are named
	 * here; what is among @endpoints, too, counts as one of those.
	 */
	const struct virtual_endpoint *kept;
	size_t n_kept;
	uint32_t grace_s; /* how long one that goes may be drained; 0: VIRTUAL_GRACE_S */
};

/* As long as a Pod has unless it says otherwise. */
#define VIRTUAL_GRACE_S 30

struct virtual_counters {
	uint64_t connections, in_packets, out_packets, in_bytes, out_bytes;
};

struct virtuals_stats {
	uint64_t servers, endpoints; /* wanted */
	uint64_t draining;           /* endpoints, or whole virtual servers, that are */
	uint64_t refused;            /* virtual servers */
	uint64_t operations;         /* written, of whatever kind */
	uint64_t batches, failures;  /* sent; operations that were refused */
	uint64_t readings, repairs;  /* of all virtual servers; others' changes that were undone */
	struct histogram batch_seconds; /* how long each of the batches took */
	int64_t last_success_ms;        /* clock_ms(); 0: never */
};

#endif
