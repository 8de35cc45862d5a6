/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_HTTP_H
#define FAIRLEAD_CLI_HTTP_H

/* One GET to a daemon, directly, without the API server. */

#include <stddef.h>

#include "fairlead/addr.h"

struct event_base;
struct http_call;

struct http_answer {
	int code; /* HTTP status; 0: none, and why says so */
	const char *data;
	size_t size;
	const char *why;
};

struct http_question {
	const struct addr *address;
	int port;
	const char *path;
	const char *authorization; /* the header's value; "": none */
	int silence_s;             /* without a byte for so long, it is given up */
	size_t max_bytes;          /* of the answer's body */
};

/*
 * @done is called once, from the event loop or from here.  The call is the caller's to free, but
 * not from @done; freed before its answer it ends without one.
 */
struct http_call *http_get(struct event_base *base, const struct http_question *q,
                           void (*done)(const struct http_answer *a, void *arg), void *arg);
void http_call_free(struct http_call *c);

#endif
