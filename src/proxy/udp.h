/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_UDP_H
#define FAIRLEAD_PROXY_UDP_H

/*
 * When old UDP flows are ended: after each batch that changed an address or an endpoint of a UDP
 * port, one run at a time, after a pause where many follow each other (pace.h), or one failed.
 * Nothing is forgotten until a run that looked for it has succeeded.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/err.h"
#include "fairlead/proxy.h"

/* After a failure, doubling. */
#define UDP_RETRY_MIN_MS 1000
#define UDP_RETRY_MAX_MS 60000
/*
 * So many interrupted runs in a row, which found nearly everything, are as good as one that was not
 * interrupted.
 */
#define UDP_INTERRUPTIONS_MAX 3

struct event_base;
struct fronts;
struct udp;

struct udp_ops {
	void (*failed)(const struct err *e, void *arg);
	/* A run has ended, and no other follows at once. */
	void (*idle)(void *arg);
};

struct udp_stats {
	uint64_t n_deleted, failures;
};

/* @fronts: of each Service that is wanted or in the kernel: their endpoints may answer. */
struct udp *udp_new(struct event_base *base, uint8_t family, const struct fronts *fronts,
                    const struct udp_ops *ops, void *arg);
void udp_free(struct udp *u);
/* Flows that nobody may answer any more are refused, as conntrack_job_refuse() says. */
void udp_refuse(struct udp *u, uint32_t mark);
/* A batch took the Service from @before to @now; either may be NULL. */
void udp_changed(struct udp *u, const struct proxy_half *before, const struct proxy_half *now);
/* Somebody may have flows toward this address and port, or with NULL toward this node port. */
void udp_touch(struct udp *u, const struct addr *a, uint16_t port);
/*
 * Which of the node's addresses have node ports in the kernel from now on, as
 * conntrack_job_set_node() says; flows toward the others end.  At first none has.
 */
void udp_set_node(struct udp *u, const struct proxy_node *n, bool localhost);
/* Starts a run if there is anything to look for. */
void udp_run(struct udp *u);
/* Or is about to, but for the pause after a failure. */
bool udp_is_running(const struct udp *u);
struct udp_stats udp_stats(const struct udp *u);

#endif
