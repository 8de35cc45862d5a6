/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_ROUTES_H
#define FAIRLEAD_SPEAKER_ROUTES_H

/*
 * From configuration, node labels and announcements to what bgpd should announce, and the Services
 * whose rules wait until a route is withdrawn.
 *
 * Before the announcements are complete, bgpd only gets withdrawals: what stands from an earlier
 * run of the speaker is taken over, not withdrawn and announced again.  While the configuration has
 * no peer for this node, each bgpd is contacted only once, to remove what may be left there of
 * former peers.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/bgp.h"
#include "fairlead/buf.h"
#include "fairlead/kube_types.h"
#include "fairlead/metrics.h"
#include "fairlead/reason.h"
#include "fairlead/view.h"
#include "speaker/announce.h"
#include "speaker/news.h"

struct event_base;
struct out;
struct routes;

/*
 * How long the first publication that adds something waits at most for the data plane of all
 * Services.
 */
#define ROUTES_BEGIN_MS 10000
/* How long rules wait at most for bgpd to withdraw what leads to them. */
#define ROUTES_HOLD_MS 1000

/*
 * How long a bgpd for which we have no peer is watched: it may have been reading its own
 * configuration, with lines of ours that somebody saved, when we first looked.  Longer than the
 * engine's BGP_RESYNC_MS.
 */
#define ROUTES_LOOK_MS 40000

struct routes_options {
	/*
	 * this node's name, from which a router id is derived if there is no IPv4; NULL: bgpd
	 * chooses
	 */
	const char *node;
	const char *socket_dir; /* where bgpd.vty and bfdd.vty are, NULL: no BGP at all */
	bool shared_instance;
	unsigned int look_ms; /* 0: ROUTES_LOOK_MS */
	bool sinks;           /* what is announced and not used ends at this node: sinks.h */
};

/*
 * @changed is called from the event loop when a reason may have changed, or a held Service may go
 * on.
 */
struct routes *routes_new(struct event_base *base, const struct routes_options *o,
                          void (*changed)(void *arg), void *arg);
/* No more contact with bgpd, in which everything stays as it is. */
void routes_stop(struct routes *r);
/* Leaves every route in place. */
void routes_free(struct routes *r);
/* The labels of this node, which select its peers. */
void routes_set_labels(struct routes *r, const struct labels *labels);

/*
 * The peers' passwords are in this Secret.  A peer whose password is not known, or not yet (before
 * routes_set_passwords()), keeps the neighbour that bgpd has for it as it is; nothing else waits
 * for it.
 */
void routes_await_passwords(struct routes *r, const char *secret);
/*
 * What the Secret holds; takes over @s.  NULL: there is none; passwords that were known stay in
 * force.
 */
void routes_set_passwords(struct routes *r, struct kube_secret *s);

/* Publishes if anything has changed, and gives the announcements their reasons. */
void routes_update(struct routes *r, const struct view *v, struct announce *t);

/*
 * After the first update: whether the data plane may be changed, because what an earlier run
 * announced and nobody wants any more is withdrawn, or cannot be.
 */
bool routes_may_program(struct routes *r);
/* Until then any Service may have a route from an earlier run. */
bool routes_have_begun(const struct routes *r);
/*
 * The Service's rules wait until the last publication is applied; returns false if nothing has to
 * wait.
 */
bool routes_hold(struct routes *r, const char *key);
bool routes_is_held(const struct routes *r, const char *key);
/* Calls @go for each Service that need not wait any longer. */
void routes_release(struct routes *r, void (*go)(const char *key, void *arg), void *arg);

/* Why an eligible address is announced or not. */
enum reason routes_reason_of(const struct routes *r, const struct addr *a, struct buf *msg);
/* Lets @news look at the current state. */
void routes_tell(const struct routes *r, struct news *news, struct budget *budget, int64_t now_ms,
                 news_tell *tell, void *arg);
void routes_status(const struct routes *r, const char *key, struct out *o);
void routes_metrics(const struct routes *r, struct metrics_writer *w);
/* Removes everything of ours from bgpd and bfdd. */
int routes_cleanup(const char *socket_dir, struct err *e);

#endif
