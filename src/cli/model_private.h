/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_MODEL_PRIVATE_H
#define FAIRLEAD_CLI_MODEL_PRIVATE_H

/* The tables of the model, for what combines (model.c, model_bgp.c) and what prints (model_print.c, model_bgp.c). */

#include "cli/model.h"
#include "fairlead/configuration.h"
#include "fairlead/decide.h"
#include "fairlead/hash.h"
#include "fairlead/view.h"

/* What one speaker says about one address by one protocol. */
struct verdict {
	char *node, *reason, *message, *owner, *interface, *mac;
	enum protocol protocol;
	bool announce;
};

struct model_address {
	struct view_address address;
	struct verdict *verdicts; /* sorted before they are printed: speakers answer as they come */
	size_t n_verdicts;
};

struct model_service {
	char *key, *namespace, *name;
	char *reason, *message; /* of the condition AddressAssigned; "" if it is missing */
	char *external_reason, *external_message; /* of ExternalIPsAssigned, likewise */
	char *class;                              /* of load balancers; NULL: none */
	bool waits;          /* of type LoadBalancer, and its status holds no address */
	bool external_waits; /* names a pool for external IPs, and has none from it */
	struct model_address *addresses;
	size_t n_addresses;
	UT_hash_handle hh;
};

/* One session of a node's bgpd. */
struct model_session {
	char *peer, *address, *state, *error, *reason;
	char *bfd; /* NULL: without BFD */
	int64_t my_asn, asn, uptime_ms, wanted, sent, resets;
	bool established;
};

/* What a speaker says of BGP; NULL strings where it says nothing. */
struct model_bgp {
	char *reason, *message;
	bool connected, own_instance;
	int64_t asn; /* of bgpd's instance; 0: none */
	int64_t wanted, set;
	struct model_session *sessions;
	size_t n_sessions;
};

/* Something that is wrong with layer 2 on a node. */
struct model_trouble {
	char *interface, *reason, *message;
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
	struct model_trouble *troubles;
	size_t n_troubles;
	struct model_bgp bgp;
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

/* A copy of the member; "" if there is none. */
char *model_dup_str(struct json_object *obj, const char *key);
/* Takes the member `bgp` out of a speaker's status. */
void model_read_bgp(struct json_object *status, struct model_bgp *ret);
void model_bgp_fini(struct model_bgp *b);

#endif
