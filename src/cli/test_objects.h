/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_TEST_OBJECTS_H
#define FAIRLEAD_CLI_TEST_OBJECTS_H

/*
 * The objects that `fairlead test` makes, as JSON.  Pure.  All of them lie in a namespace of its
 * own, and nothing in them needs a right on a node: no privilege, no host path, no token of the
 * API; where it is asked for, the network of the host for the Pods that ask, which listen nowhere.
 */

#include <stdbool.h>
#include <stdint.h>

#include "cli/test_world.h"
#include "fairlead/buf.h"

/* The label that says whose a namespace is, and the annotation that says until when it may be. */
#define TEST_LABEL_MANAGER "app.kubernetes.io/managed-by"
#define TEST_ANNOTATION_UNTIL "fairlead.io/test-until"
/* The names of Service and Deployment. */
#define TEST_SERVICE "echo"
/* The label that says in which round of them a Pod asks. */
#define TEST_LABEL_ROUND "fairlead.io/test-round"

struct test_plan {
	const char *namespace;
	const char *image;       /* of the echo */
	bool own_image;          /* which is Fairlead's, and so has our echo */
	const char *probe_image; /* Fairlead's, for the Pods that ask; NULL: there are none */
	int port;                /* of the echo's container */
	bool host_network;       /* of the Pods that ask */
	const char *class;       /* of the Service; NULL: none */
	const char *pool;        /* that its address is to be from; NULL: any */
};

/* @until_us: by the wall clock. */
void test_objects_namespace(const struct test_plan *p, int64_t until_us, struct buf *out);
void test_objects_service(const struct test_plan *p, struct buf *out);
void test_objects_deployment(const struct test_plan *p, struct buf *out);
/* How to delete what has this UID, and nothing else of its name; "" or NULL: whatever it has. */
void test_objects_delete(const char *uid, struct buf *out);
/* A merge patch of that Deployment, so that its Pod runs on one of the nodes with is_place. */
void test_objects_move(const struct test_world *w, struct buf *out);
/* A Pod of that round and name on the node, however that is tainted, which asks once. */
void test_objects_probe(const struct test_plan *p, int round, const char *name,
                        const struct test_asked *asked, int seconds, struct buf *out);

#endif
