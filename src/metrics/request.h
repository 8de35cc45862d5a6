/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_METRICS_REQUEST_H
#define FAIRLEAD_METRICS_REQUEST_H

/*
 * One HTTP/1 request (RFC 9112) out of the bytes that a client sent: pure, bounded, and no more of
 * HTTP than our paths need.  There are no chunked bodies and no second request on a connection.
 */

#include <stddef.h>

#include "fairlead/limits.h"

enum request_method {
	REQUEST_GET = 1,
	REQUEST_HEAD = 2,
	REQUEST_PUT = 4,
	REQUEST_OTHER = 8,
};

#define REQUEST_PATH_SIZE 64
#define REQUEST_TOKEN_SIZE 512
/* What has to be kept of a client's bytes. */
#define REQUEST_SIZE (LIMIT_HTTP_HEAD_BYTES + LIMIT_HTTP_BODY_BYTES)

struct request {
	enum request_method method;
	/* without the query; "" where it is longer than any of ours */
	char path[REQUEST_PATH_SIZE];
	char token[REQUEST_TOKEN_SIZE]; /* Authorization: Bearer …; "": none */
	char body[LIMIT_HTTP_BODY_BYTES + 1];
};

/*
 * Reads the first @size bytes that came.  0: *@ret_request is complete; -EAGAIN: more has to come;
 * otherwise the status code to answer, as a negative number: -400, -411 (a body without length),
 * -413, -431.
 */
int request_parse(const char *data, size_t size, struct request *ret_request);

#endif
