/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_TESTS_LOOPBACK_H
#define FAIRLEAD_TESTS_LOOPBACK_H

/*
 * A scripted HTTP/1.1 server on the test's own event loop: it reads whole requests and leaves every
 * byte of the answers to the test, which may cut them into single bytes, stop in the middle, or
 * answer nothing at all.
 */

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

struct event_base;
struct loopback;
struct loopback_conn;

struct loopback_request {
	const char *method, *path, *head /* all header lines */, *body;
};

typedef void loopback_handler(struct loopback_conn *conn, const struct loopback_request *request,
                              void *arg);

/* Plain HTTP with @tls NULL. */
struct loopback *loopback_start(struct event_base *base, SSL_CTX *tls, loopback_handler *handler,
                                void *arg);
void loopback_stop(struct loopback *l);
int loopback_port(const struct loopback *l);
/* Every byte of what is sent from now on goes out in a write of its own. */
void loopback_split(struct loopback *l, bool split);
size_t loopback_accepted(const struct loopback *l);

/* Raw bytes. */
void loopback_send(struct loopback_conn *conn, const char *text);
/* A whole answer with Content-Length; @head: more header lines, each with its \r\n, or "". */
void loopback_answer(struct loopback_conn *conn, int status, const char *head, const char *body);
/* The head of an answer without length that ends with the connection, or in chunks. */
void loopback_open(struct loopback_conn *conn, bool chunked);
void loopback_chunk(struct loopback_conn *conn, const char *text);
/* Closes once all is sent. */
void loopback_close(struct loopback_conn *conn);

/*
 * A CA made on the spot, as PEM, and a server context with a certificate of it for @name
 * ("IP:127.0.0.1", "DNS:a.b").
 */
struct loopback_ca;
struct loopback_ca *loopback_ca_new(void);
void loopback_ca_free(struct loopback_ca *ca);
const char *loopback_ca_pem(const struct loopback_ca *ca);
SSL_CTX *loopback_ca_server(struct loopback_ca *ca, const char *name);

#endif
