/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_MODEL_PRIVATE_H
#define FAIRLEAD_CLI_MODEL_PRIVATE_H

/* The tables of the model, for what combines (model.c) and what prints (model_print.c). */

#include "cli/model.h"
#include "fairlead/configuration.h"
#include "fairlead/hash.h"

/* What one speaker says about one address. */
struct verdict {
	char *node, *reason, *message, *owner, *interface, *mac;
	bool announce;
};

struct model_address {
	struct addr addr;
	struct verdict *verdicts;
	size_t n_verdicts;
};

struct model_service {
	char *key, *namespace, *name;
	char *reason, *message; /* of the condition AddressAssigned; "" if it is missing */
	struct model_address *addresses;
	size_t n_addresses;
	UT_hash_handle hh;
};

struct model_node {
	char *name;
	struct addr addr;
	bool ready;
	bool asked, answered;
	char *error;
	char *version, *proxy;
	int64_t generation;
	bool fresh;
	size_t n_announced, n_peers, n_peers_alive;
};

struct model {
	struct configuration *config;
	char *config_error; /* NULL: it parsed, or there is none */
	int64_t generation;
	char *leader;
	struct model_service *services;
	struct model_node *nodes;
	size_t n_nodes, cap_nodes;
};

#endif
