/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_HTTP_PORTS_H
#define FAIRLEAD_HTTP_PORTS_H

/*
 * Many ports on which a probe asks and gets a few lines: HTTP/1, one answer a connection, whatever
 * the method.
 *
 * Anybody may connect, and whoever makes Services decides how many ports there are, so connections
 * are bounded for each port and for all of them together (limits.h).  Beyond that the newest pushes
 * out the oldest: a probe sends its request at once, and is answered.  Ports are bounded, too: each
 * is a descriptor.
 */

#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/buf.h"
#include "fairlead/err.h"

struct event_base;
struct http_ports;
struct http_port;
struct metrics_writer;

struct http_answer {
	int code;          /* 200, 404, 503 */
	const char *type;  /* Content-Type */
	struct buf header; /* further lines, each with its CRLF */
	struct buf body;
};

/* @path: without the query; "" for one that is too long to be any of ours. */
typedef void http_port_serve_fn(const char *path, struct http_answer *ret, void *arg);

struct http_ports *http_ports_new(struct event_base *base);
/* Closes all ports. */
void http_ports_free(struct http_ports *ps);
/*
 * Listens on @a, or with NULL on all addresses.  -ENFILE: there are as many ports as there may be;
 * else the errno of bind(2) and its like.
 */
int http_port_open(struct http_ports *ps, const struct addr *a, uint16_t port,
                   http_port_serve_fn *serve, void *arg, struct http_port **ret_port);
/* The same on @a, where :: is all addresses of IPv6 alone. */
int http_port_open_apart(struct http_ports *ps, const struct addr *a, uint16_t port,
                         http_port_serve_fn *serve, void *arg, struct http_port **ret_port);
/* With its connections.  Accepts NULL; not to be called while it serves. */
void http_port_close(struct http_port *p);
/* As a family has it: clients that went without an answer, by reason. */
void http_ports_metrics(const struct http_ports *ps, struct metrics_writer *w);

/*
 * "ADDRESS:PORT", an IPv6 address in brackets; also one of IPv4, for whoever puts in an address of
 * either family.
 */
int http_address_parse(const char *s, struct addr *ret_addr, uint16_t *ret_port, struct err *e);

#endif
