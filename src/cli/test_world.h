/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_TEST_WORLD_H
#define FAIRLEAD_CLI_TEST_WORLD_H

/*
 * What `fairlead test` knows of its Service, of the Pods that it made and of the nodes, put
 * together from objects of the API and the speakers' answers.  Pure: the command fetches.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/test_probe.h"
#include "fairlead/addr.h"
#include "fairlead/kube_types.h"

/* What the Pods are labelled with. */
#define TEST_LABEL_NAME "app.kubernetes.io/name"
#define TEST_NAME "fairlead-test"
#define TEST_LABEL_COMPONENT "app.kubernetes.io/component"
#define TEST_ECHO "echo"
#define TEST_PROBE "probe"

struct json_object;

/* Nodes that are asked for their node ports, and that run a Pod which asks. */
#define TEST_NODES_MAX 16

/* What one speaker says of the address by one protocol. */
struct test_say {
	char *protocol, *reason, *message, *mac;
	bool announce;
};

struct test_node {
	char *name;
	struct addr ips[2]; /* of each family the first, none where it has none: IPv4, IPv6 */
	struct prefix pods[2];
	size_t n_pods;
	bool ready;
	bool excluded; /* by its label; so it need not have a speaker */
	bool is_windows;
	bool is_peer;  /* it is among those that are asked, and that ask */
	bool is_place; /* the echo may be on it */
	bool heard;    /* its speaker answered */
	char *silence; /* why it did not */
	struct test_say *says;
	size_t n_says;
	char *found;       /* by the Pod on it that asks; NULL: it is not through */
	char *pod_trouble; /* what keeps that Pod from it; NULL: nothing, or it is not known */
	bool pod_waits;    /* it may yet come to run */
};

struct test_world {
	struct test_node *nodes;
	size_t n_nodes, cap_nodes;
	/* The Service. */
	char *namespace, *name;
	struct addr vip, cluster_ip;
	uint16_t node_port;
	bool local;             /* its policy */
	char *reason, *message; /* of its condition; NULL: it has none */
	/* The echo's Pod: one that is ready, else any; NULL: there is none. */
	char *echo_pod, *echo_node, *echo_trouble;
	bool echo_ready;
	bool placed; /* it is to be on one of the nodes with is_place; else it may be anywhere */
	char *deployment_trouble; /* why no Pod is made; NULL: nothing is known of that */
};

/* What one of the Pods that ask, on the node @node, found. */
struct test_asked {
	const struct test_node *node;
	struct test_probe *probes;
	size_t n;
};

void test_world_fini(struct test_world *w);

/* ---- what is there ---- */

void test_world_put_node(struct test_world *w, const struct kube_node *n);
/*
 * Chooses those that are asked, and ask: Nodes that are Ready and can run our Pods, TEST_NODES_MAX
 * at most.
 */
void test_world_choose_peers(struct test_world *w);
size_t test_world_peers(const struct test_world *w);
struct test_node *test_world_node(const struct test_world *w, const char *name);
/* Its address of the family of the Service's; none: it has none. */
const struct addr *test_world_node_ip(const struct test_world *w, const struct test_node *n);
/* The node that has this address, as its own or as one of its Pods'; NULL: none. */
const struct test_node *test_world_node_of(const struct test_world *w, const struct addr *a);
void test_world_put_service(struct test_world *w, const struct kube_service *s);
/* These forget what was put of the echo, of the Pods that ask, and of what speakers said. */
void test_world_clear_echo(struct test_world *w);
void test_world_clear_asking(struct test_world *w);
void test_world_clear_says(struct test_world *w);
/* A Pod of the test, the echo's or a probe's by its label. */
void test_world_put_pod(struct test_world *w, struct json_object *pod);
/* The echo's, of which the Pod is. */
void test_world_put_deployment(struct test_world *w, struct json_object *deployment);
/* What a speaker answered to /status; NULL: @why it did not. */
void test_world_put_speaker(struct test_world *w, const char *node, struct json_object *status,
                            const char *why);
/* Whether a node may announce the address. */
bool test_world_is_announceable(const struct test_world *w);
/*
 * Whether the echo is on a node that may announce the address, by what the speakers say.  If not,
 * those that may become the ones it is to be on.
 */
bool test_world_is_well_placed(struct test_world *w);

#endif
