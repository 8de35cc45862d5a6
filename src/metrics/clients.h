/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_METRICS_CLIENTS_H
#define FAIRLEAD_METRICS_CLIENTS_H

/*
 * The connections of the HTTP server: accepted within bounds, read, answered once and closed, each
 * within its deadlines.  What they ask for is the caller's.  Runs on the daemon's event loop.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/buf.h"
#include "metrics/page.h"
#include "metrics/request.h"

struct event_base;
struct client;
struct clients;
struct listener;

/* Why clients went away without what they came for; each a value of the label "reason". */
#define CLIENTS_REFUSALS(X) \
	X(busy)             \
	X(evicted)          \
	X(slow)             \
	X(malformed)        \
	X(memory)           \
	X(descriptors)

enum clients_refusal {
#define X(name) CLIENTS_##name,
	CLIENTS_REFUSALS(X)
#undef X
		CLIENTS_N_REFUSALS
};

const char *clients_refusal_name(enum clients_refusal why);

struct clients_stats {
	size_t n;          /* connected */
	uint64_t requests; /* read completely */
	uint64_t refused[CLIENTS_N_REFUSALS];
};

/* Answers the request, or holds it, before it returns, by one of the functions below. */
typedef void clients_serve_fn(struct client *c, const struct request *r, void *arg);

/* How many at a time; who comes beyond them gets one of LIMIT_HTTP_PROBES places. */
struct clients_bounds {
	size_t all, per_listener;
};

/* A crowd with one set of bounds, whichever sockets they come by. */
struct clients *clients_new(struct event_base *base, const struct clients_bounds *bounds,
                            clients_serve_fn *serve, void *arg);
/* Closes all listeners and connections. */
void clients_free(struct clients *cs);
/* Listens on @fd, a bound socket, which it owns from now on.  @tag: the caller's. */
struct listener *clients_listen(struct clients *cs, int fd, void *tag);
/* With all connections that came by it. */
void listener_close(struct listener *l);
const struct clients_stats *clients_stats(const struct clients *cs);

/* It came beyond the bounds: only a probe gets its answer. */
bool client_is_extra(const struct client *c);
/* The tag of the listener that it came by. */
void *client_tag(const struct client *c);
/* It called over the loopback, or from the very address that it called. */
bool client_is_of_this_host(const struct client *c);
/* The address that it called from. */
struct addr client_address(const struct client *c);
/* Counts, and logs now and then, that @c does not get what it came for. */
void client_refused(struct client *c, enum clients_refusal why);

/* @header: one more line with its end, or "". */
void client_answer(struct client *c, int code, const char *type, const char *header,
                   const char *body, size_t size);
void client_answer_page(struct client *c, const char *type, struct page *page);

/*
 * It waits for an answer that is being made, for which many may wait: @what identifies it.  A
 * client that waits longer than @ms goes without.
 */
void client_hold(struct client *c, const void *what, int ms);
/* From the event loop, not from a callback of ours: all who wait for @what get the page. */
void clients_answer_held(struct clients *cs, const void *what, const char *type, struct page *page);

#endif
