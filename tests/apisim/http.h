/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APISIM_HTTP_H
#define APISIM_HTTP_H

/*
 * From HTTP to api_request and back: listeners, TLS, the token, paths, content types, faults and
 * the control paths below /sim.
 */

#include <stdbool.h>

#include "fairlead/err.h"
#include "server.h"

struct http;

#define HTTP_MAX_LISTENERS 8
#define HTTP_DOWN_DELAY_MS 20

/* @cert and @key: files, both or neither NULL. */
int http_new(struct server *s, const char *cert, const char *key, struct http **ret_http,
             struct err *err);
void http_free(struct http *h);
/* "ADDRESS:PORT", "[ADDRESS]:PORT"; port 0 picks one. */
int http_listen(struct http *h, const char *address, struct err *err);
/* The URL of listener @i, NULL behind the last; owned by the caller. */
char *http_url(const struct http *h, size_t i);
/* Answers a request with @r. */
void http_reply(struct evhttp_request *req, const struct reply *r);

/* Paths below /sim; false if there is no such path. */
bool sim_handle(struct http *h, struct evhttp_request *req, const char *path);
/* For sim.c. */
struct server *http_server(struct http *h);
const char *http_body(struct evhttp_request *req, size_t *ret_size);
/* Ends every connection, once the present answer is out, and listens again after @ms. */
void http_go_down(struct http *h, int64_t ms);
/* Ends watches (NULL: of every resource) again and again; @ms 0 stops that. */
void http_cut_every(struct http *h, int64_t ms, const char *resource, bool clean);

#endif
