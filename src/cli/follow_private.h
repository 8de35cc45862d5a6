/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_FOLLOW_PRIVATE_H
#define FAIRLEAD_CLI_FOLLOW_PRIVATE_H

/* The tables of an answer, for what makes them (follow.c) and what prints them (follow_print.c). */

#include "cli/follow.h"

/* A node that the packet may come to. */
struct follow_node {
	const char *name;
	const struct kube_node *node; /* NULL: the cluster has no such Node */
	struct proxy_options options; /* its speaker's, and what that knows of the node */
	struct proxy_node facts;
	struct addr *addresses; /* its own, as far as its Node tells */
	size_t n_addresses;
	const struct explain *announces; /* who does */
	bool carried;                    /* the Service is, in this family */
	bool passed;                     /* printed with another that does the same */
	struct packet_answer answer;
	char *substitute; /* for the scheduler of IPVS, as its speaker says; NULL: none */
};

/* Why the nodes are these. */
enum follow_choice {
	FOLLOW_GIVEN,      /* by --node */
	FOLLOW_HAS_TARGET, /* the address is its own */
	FOLLOW_HAS_SOURCE, /* the packet begins there */
	FOLLOW_ANNOUNCES,
	FOLLOW_EACH,
};

struct follow {
	struct follow_input in;
	struct packet packet;
	enum follow_choice choice;
	struct follow_node *nodes;
	size_t n_nodes;
	const struct view_service *other; /* that has this port there; NULL: none */
};

/* Chooses the nodes, and follows the packet at each. */
void follow_run(struct follow *f);
/* The node of an endpoint; NULL: not known. */
const char *follow_node_of(const struct follow *f, const struct proxy_endpoint *e);

#endif
