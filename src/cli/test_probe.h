/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_TEST_PROBE_H
#define FAIRLEAD_CLI_TEST_PROBE_H

/*
 * Asking targets by HTTP, all at once and again until each is as it should be: those that are to
 * answer, and those that are to be silent.  `fairlead test` does so itself, and has Pods do the
 * same on the nodes, which say in JSON what they found.
 *
 * Traffic may go by many ways, by lot: a target is as it should be once it was so several times
 * running, each time by a connection of its own.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>

#include "fairlead/addr.h"
#include "fairlead/buf.h"
#include "fairlead/err.h"

#define TEST_PROBE_NAME_SIZE 272 /* a node's has 253 characters at most */
#define TEST_PROBE_WHY_SIZE 64
#define TEST_PROBE_NODE_SIZE 256
#define TEST_PROBES_MAX 64

struct test_probe {
	/* What is asked. */
	char name[TEST_PROBE_NAME_SIZE]; /* "vip", "node-port/n1" */
	struct addr addr;
	uint16_t port;
	bool silent; /* it should not answer */
	/* What came of it, of the last time. */
	bool good;                       /* as it should be */
	bool answered;                   /* with HTTP status 200 */
	char why[TEST_PROBE_WHY_SIZE];   /* it did not: "refused", "HTTP status 503" */
	char node[TEST_PROBE_NODE_SIZE]; /* whose Pod answered; "": it does not say */
	struct addr client;              /* as that Pod saw us; none: it does not say */
	struct addr self;                /* our own address; none: no connection came about */
};

/*
 * Asks for so many seconds at most; less once all are good, or once *@stop is set by a signal
 * (NULL: never).
 */
void test_probe_all(struct test_probe *probes, size_t n, int timeout_s,
                    const volatile sig_atomic_t *stop);

/* "+NAME=192.0.2.1:80", with a minus if it should be silent. */
char *test_probe_word(const struct test_probe *p);
int test_probe_parse(const char *word, struct test_probe *ret_probe, struct err *e);
/* A JSON array of what came of them, and back: fills those of @probes that it tells of. */
void test_probe_put(const struct test_probe *probes, size_t n, struct buf *out);
/* -EPROTO if @text is no such array, or leaves one out. */
int test_probe_read(const char *text, struct test_probe *probes, size_t n);

#endif
