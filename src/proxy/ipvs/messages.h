/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPVS_MESSAGES_H
#define FAIRLEAD_PROXY_IPVS_MESSAGES_H

/*
 * IPVS in bytes: what it is told and what it says, by linux/ip_vs.h.  Pure.  All of ours have
 * weight 1, or 0 while they are drained, and the forwarding method that rewrites destinations.
 */

#include <stdbool.h>
#include <stdint.h>

#include "fairlead/buf.h"
#include "proxy/ipvs/virtual_types.h"

struct nlmsghdr;

/* No scheduler: new connections are refused. */
#define IPVS_SCHEDULER_NONE "none"
/* Of virtual servers without persistence the time-out is of no use; ours have this one, in s. */
#define IPVS_STAMP_S 0x464c
/*
 * Flags of a virtual server that are of meaning here; those of schedulers differ by scheduler:
 * mh and sh look further where an endpoint has no weight, and mind the port.
 */
#define IPVS_FLAG_PERSISTENT 0x01u
#define IPVS_FLAG_ONE_PACKET 0x04u
#define IPVS_FLAG_FALLBACK 0x08u
#define IPVS_FLAG_PORT 0x10u
#define IPVS_FLAG_THIRD 0x20u
#define IPVS_FLAGS                                                                           \
	(IPVS_FLAG_PERSISTENT | IPVS_FLAG_ONE_PACKET | IPVS_FLAG_FALLBACK | IPVS_FLAG_PORT | \
	 IPVS_FLAG_THIRD)

enum ipvs_verb {
	IPVS_ADD_SERVER,
	IPVS_CHANGE_SERVER,
	IPVS_REMOVE_SERVER,
	IPVS_ADD_ENDPOINT,
	IPVS_CHANGE_ENDPOINT,
	IPVS_REMOVE_ENDPOINT,
};

struct ipvs_operation {
	enum ipvs_verb verb;
	struct virtual_id id;
	/* To add or change a virtual server: */
	char scheduler[VIRTUAL_SCHEDULER_SIZE];
	uint32_t flags;
	/* Of an endpoint: */
	struct virtual_endpoint endpoint;
	uint32_t weight;
	bool moves; /* it is removed only to be added at another place, by what follows */
};

/* "adds the endpoint 10.0.0.1:80", for people. */
void ipvs_describe(const struct ipvs_operation *o, struct buf *out);

/* @type: what generic netlink calls IPVS here; @flags besides NLM_F_REQUEST. */
void ipvs_put_operation(struct buf *out, uint16_t type, uint32_t sequence, uint16_t flags,
                        const struct ipvs_operation *o);
/* Asks for all virtual servers, for one, or for one's endpoints. */
void ipvs_put_list_servers(struct buf *out, uint16_t type, uint32_t sequence);
void ipvs_put_ask_server(struct buf *out, uint16_t type, uint32_t sequence, struct virtual_id id);
void ipvs_put_list_endpoints(struct buf *out, uint16_t type, uint32_t sequence,
                             struct virtual_id id);

/* A virtual server that is chosen by a mark. */
struct ipvs_server {
	struct virtual_id id;
	char scheduler[VIRTUAL_SCHEDULER_SIZE];
	uint32_t flags; /* of IPVS_FLAGS */
	bool stamped;   /* it is ours, of whatever tag */
	struct virtual_counters counters;
};

struct ipvs_endpoint {
	struct virtual_endpoint endpoint;
	bool rewrites; /* the forwarding method is the one of ours */
	uint32_t weight, active,
		idle; /* connections that are open; that are not, or not any more */
};

/* What one message of a list says; false: nothing of that kind, or nothing that makes sense. */
bool ipvs_read_server(const struct nlmsghdr *h, struct ipvs_server *ret_server);
bool ipvs_read_endpoint(const struct nlmsghdr *h, uint8_t family,
                        struct ipvs_endpoint *ret_endpoint);

#endif
