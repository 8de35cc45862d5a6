/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_LEASE_H
#define FAIRLEAD_LEASE_H

/*
 * Leader election over a coordination.k8s.io/v1 Lease, as client-go does it (never comparing the
 * record's times with our clock), with three stricter rules:
 *
 *  - a leader stops sending when its lease could run out within the time that a request may still
 *    take effect (lease_may_write()), and
 *  - a new leader, unless the lease was released cleanly, waits out the old lease plus that time
 *    before it leads, and
 *  - one that finds no Lease, or one that somebody emptied, waits as long as if a leader had
 *    renewed it just then.
 *
 * The state machine is pure: lease_step() takes what was observed and the time, and returns what to
 * do.  lease_elector runs it against a server.
 */

#include <stdbool.h>
#include <stdint.h>

#include "fairlead/err.h"

struct event_base;
struct kube_client;
struct lease_elector;

struct lease_timing {
	int duration_s; /* 15 */
	int renew_ms;   /* renew deadline, 10000 */
	int retry_ms;   /* 2000, and up to a fifth more at random */
	/* how long a write that was sent may still take effect: its timeout= at the server */
	int effect_ms;
};
#define LEASE_TIMING_DEFAULT                                                             \
	{                                                                                \
		.duration_s = 15, .renew_ms = 10000, .retry_ms = 2000, .effect_ms = 3000 \
	}

struct lease_elector_ops {
	/* We lead from now on: list consistently, then act. */
	void (*started)(void *arg);
	/* We no longer lead: stop writing at once.  Called before anything else happens. */
	void (*stopped)(void *arg);
	/* Somebody else leads; for status. */
	void (*observed)(const char *holder, void *arg);
	/*
	 * Could there be anything that a leader unknown to us could harm?  Asked before leading by
	 * a Lease that was missing or had lost its holder; while the answer is yes, the elector
	 * waits out the longest time for which such a leader may write.  NULL: no.
	 */
	bool (*at_stake)(void *arg);
};

struct lease_elector *lease_elector_start(struct kube_client *c, struct event_base *base,
                                          const char *namespace, const char *name,
                                          const char *identity, struct lease_timing timing,
                                          const struct lease_elector_ops *ops, void *arg);
/*
 * Ends the election without calling ops again.  @release hands the lease over at once
 * (holderIdentity ""); @done (may be NULL) is called from the event loop when that has succeeded,
 * failed or timed out.
 */
void lease_elector_stop(struct lease_elector *el, bool release, void (*done)(void *arg), void *arg);
/* Not from a callback of the elector's. */
void lease_elector_free(struct lease_elector *el);
/* at_stake() may give another answer now. */
void lease_elector_look_again(struct lease_elector *el);
bool lease_is_leader(const struct lease_elector *el);
/* Leading, and a write sent now would take effect before the lease can run out. */
bool lease_may_write(const struct lease_elector *el);
/* Who holds it as last seen; "" if nobody. */
const char *lease_holder(const struct lease_elector *el);

#endif
