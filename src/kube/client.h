/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_KUBE_CLIENT_H
#define FAIRLEAD_KUBE_CLIENT_H

/*
 * What the parts of a client share: two lanes of connections, so that neither a large list nor a
 * stuck watch ever delays a patch or a Lease renewal, and lists of what is under way.
 *
 * Writes share one connection of HTTP/2, which libcurl goes on using when exchanges on it time out.
 * Where a balancer between acknowledges what a server that is gone will never see, TCP does not
 * notice either.  So a lane on which a write got no answer takes no more; it is freed when the last
 * transfer on it has ended.
 *
 * What a write's effect may be waited for is bounded: the server gives up after its timeout=, we
 * close after the same time, and a stalled connection drops what it has not brought across by then.
 * Where a proxy ends the connection and passes requests on when it likes, nothing but
 * resourceVersions helps: none that holds requests back belongs in between.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/kube.h"
#include "kube/multi.h"

/* Requests under way at a time; more wait in order.  Urgent ones do not wait. */
#define KUBE_IN_FLIGHT_MAX 32
/* Larger answers are refused. */
#define KUBE_ANSWER_SIZE_MAX (4u << 20)

/* Former lanes of writes that may be there at a time; beyond that the last one is kept. */
#define KUBE_LANES_LEFT_MAX 8

struct buf;
struct event;

struct kube_client {
	struct event_base *base;
	struct kube_access *access;
	struct multi *reading, *writing;
	int stall_ms; /* of the writing lane; see kube_client_bound_writes() */
	char *user_agent;
	struct multi *left[KUBE_LANES_LEFT_MAX]; /* former writing lanes with transfers under way */
	size_t n_left;
	struct multi_stats past;                            /* of lanes that are gone */
	struct kube_request *urgent, *waiting, *background; /* for their turn, first come first */
	struct kube_request *under_way;                     /* sent, or pausing before a retry */
	struct kube_informer *informers;
	size_t n_in_flight, n_background; /* sent; of these, in the background */
	size_t n_events;                  /* not yet recorded */
	int64_t events_told_ms;           /* the log last said that some were lost; 0: never */
	struct event *pump;
	struct kube_client_stats stats;
};

/* client.c: a write by that lane got no answer. */
void client_leave_lane(struct kube_client *c, const struct multi *lane);
/* Frees lanes that were left and are idle.  Not from a callback of a transfer. */
void client_free_lanes(struct kube_client *c);

/* request.c */
void request_pump(struct kube_client *c);
void request_free(struct kube_request *r);
/* "METHOD /path: 403 Forbidden: the server's words", from an answer that is no success. */
void request_describe(const char *method, const char *path, int status, struct json_object *answer,
                      struct err *e);

/* events.c: the Event as JSON. */
void kube_event_body(struct buf *b, const char *controller, const char *instance,
                     const struct kube_event *ev, int64_t wall_us, uint64_t unique);

#endif
