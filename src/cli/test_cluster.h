/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_TEST_CLUSTER_H
#define FAIRLEAD_CLI_TEST_CLUSTER_H

/*
 * What `fairlead test` reads from the cluster into its world, and what it writes: its own namespace
 * and what lies in it, nothing else.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/commands.h"
#include "cli/pods.h"
#include "cli/test_objects.h"
#include "cli/test_world.h"
#include "fairlead/err.h"

struct json_object;

struct test_cluster {
	const struct command_options *o;
	struct test_plan plan; /* points into what follows, and into the options */
	struct test_world world;
	char *namespace, *image, *class;
	bool made;             /* the namespace is ours */
	char *uid;             /* its; NULL: it cannot be told */
	char *service_uid;     /* NULL: as far as is known, there is no Service */
	int64_t until_us;      /* as the namespace says */
	int round;             /* of Pods that ask */
	struct gather *gather; /* the caller's */
	struct pods pods;
};

void test_cluster_fini(struct test_cluster *c);

/* The nodes, and Fairlead's image as its DaemonSet has it.  -ENOENT: there is no image to use. */
int test_cluster_open(struct test_cluster *c, const struct command_options *o, struct gather *g,
                      struct err *e);
/* Makes the namespace, the Deployment and the Service. */
int test_cluster_make(struct test_cluster *c, struct err *e);
int test_cluster_set_local(struct test_cluster *c, struct err *e);
/* To one of the nodes of the world with is_place. */
int test_cluster_move_echo(struct test_cluster *c, struct err *e);
/*
 * Makes the Pods of the next round, one on each peer, which ask the targets of @asked for so long.
 * If one cannot be made, the cause becomes its node's trouble.
 */
void test_cluster_ask(struct test_cluster *c, const struct test_asked *asked, size_t n,
                      int seconds);

/* Each of these reads anew. */
int test_cluster_look_speakers(struct test_cluster *c, struct err *e);
int test_cluster_look_service(struct test_cluster *c, struct err *e);
int test_cluster_look_echo(struct test_cluster *c, struct err *e);
/* Service, echo and speakers. */
int test_cluster_look_all(struct test_cluster *c, struct err *e);
/* The Pods of this round. */
int test_cluster_look_asking(struct test_cluster *c, struct err *e);

/*
 * Removes Service and namespace, and waits until that is gone, so many seconds at most.  0: nothing
 * is left; else @e says what is.
 */
int test_cluster_remove(struct test_cluster *c, int timeout_s, struct err *e);

/* ---- what is left of others ---- */

struct test_remains {
	char *namespace, *uid, *since, *until; /* "" where it does not say */
};

struct test_remains_list {
	struct test_remains *items;
	size_t n, cap;
};

void test_remains_fini(struct test_remains_list *l);
/* Takes a namespace, if it says that it is of a test and is not being deleted yet. */
void test_remains_put(struct test_remains_list *l, struct json_object *namespace);
/* Namespaces with our label and annotation, which a label alone that somebody gave is not. */
int test_remains_find(struct gather *g, struct test_remains_list *ret, struct err *e);
/* Whether a test may be running in it yet. */
bool test_remains_are_in_use(const struct test_remains *r, int64_t now_us);
/* Starts their removal, which goes on by itself; -EIO. */
int test_remains_remove(struct gather *g, const struct test_remains *r, struct err *e);

#endif
