/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_KUBE_MULTI_H
#define FAIRLEAD_KUBE_MULTI_H

/*
 * One libcurl multi handle (connections and their cache) driven by a libevent loop, and the HTTP
 * exchanges on it.
 *
 * A transfer is one exchange: it is started, hands over the answer's body as it comes, and ends
 * once, with the HTTP status or an error.  libcurl forbids adding and removing handles from within
 * its callbacks; here both are allowed at any time (they are put off until libcurl has returned),
 * but freeing the multi is not.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/err.h"

struct event_base;
struct kube_access;
struct multi;
struct transfer;

struct multi_stats {
	uint64_t connects, bytes_received;
};

/*
 * What its transfers are sent by.  One for all, because libcurl 7.88 notes for a host, not for a
 * connection, whether exchanges may share: with both kinds in one multi it sends a second request
 * on a busy connection of HTTP/1.1, and the answers are swapped.
 */
enum multi_protocol {
	/*
	 * A connection serves one exchange at a time: for answers that may be large or without an
	 * end.  Where several such share a connection of HTTP/2 and one of them is cancelled,
	 * libcurl 7.88 may never deliver the end of another.
	 */
	MULTI_HTTP1,
	/* HTTP/2 where the server offers it by TLS: many small exchanges on one connection. */
	MULTI_HTTP2,
};

/*
 * @max_connections: open at a time, in use or kept for the next exchange.
 *
 * @stall_ms (0: a default that suits reading): a connection whose peer does not acknowledge what
 * was sent for that long is given up, and what a connection that is closed has not sent yet is
 * dropped rather than sent later.
 */
struct multi *multi_new(struct event_base *base, struct kube_access *access, const char *user_agent,
                        enum multi_protocol protocol, long max_connections, int stall_ms);
/* Every transfer must have ended or been cancelled. */
void multi_free(struct multi *m);
struct multi_stats multi_stats(const struct multi *m);
/* The server's end of the connection by which an answer came last; none before the first. */
struct addr multi_peer(const struct multi *m);
/* Whether no transfer is under way. */
bool multi_is_idle(const struct multi *m);

struct transfer_spec {
	const char *method, *path;
	const char *body;         /* NULL: none; must live as long as the transfer */
	const char *content_type; /* of the body */
	long timeout_ms;          /* the whole exchange; 0: none */
	bool fresh_connection;
	/* The answer's header came.  May be NULL. */
	void (*on_open)(int status, void *arg);
	/* A piece of the body; false ends the transfer as cut by us. */
	bool (*on_data)(const char *data, size_t size, int status, void *arg);
	/*
	 * The end.  @status is 0 if no answer came, then (and where the answer was cut short) @e
	 * says why; it is NULL if the exchange went through, whatever the status.  @retry_after_s
	 * is 0 if the server did not say.  Called once, from the event loop; the transfer is freed
	 * after it.
	 */
	void (*on_end)(int status, int retry_after_s, const struct err *e, void *arg);
	void *arg;
};

struct transfer *transfer_start(struct multi *m, const struct transfer_spec *spec);
/* Ends it without calling back.  Not from its own on_end. */
void transfer_cancel(struct transfer *t);

#endif
