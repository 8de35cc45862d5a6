/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_ANNOUNCEMENT_H
#define FAIRLEAD_SPEAKER_ANNOUNCEMENT_H

/* One row of the table of announcements (announce.h), which everything may read. */

#include <stdbool.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/configuration.h"
#include "fairlead/l2.h"
#include "fairlead/reason.h"
#include "fairlead/view.h"

struct node_set;
struct place_text;

/*
 * One address of one Service, of the load balancer of our class or an external IP, by one protocol.
 */
struct announcement {
	const char *key; /* of the Service */
	struct addr addr;
	enum protocol protocol;
	enum reason decided; /* by decide_node() for this one */
	enum reason reason;  /* with the data plane and layer 2 taken into account */
	bool eligible; /* candidate, the data plane was ready once since, and is not hindered */
	uint64_t waits_since;  /* announce_waits_since(); good while it waits for the data plane */
	enum reason hindrance; /* REASON_Candidate: the data plane has no hindrance */
	enum reason nowhere;   /* decide_nowhere(); of the first protocol of an address only */
	/* What layer 2 says. */
	enum l2_ownership ownership;
	uint8_t mac[6];
	bool two_owners; /* another machine, @rival, answered for it just now, too */
	uint8_t rival[6];
	char *owner; /* "" if unknown */
	/* As in l2_state. */
	int64_t since_ms, took_ms;
	enum reason cause;
	/* the other node that owned it just before this one; "" if none */
	char *former;
	char interface[16];
	/* By BGP: what bgpd made of it, and whether only nodes with an endpoint announce it. */
	enum reason route;
	bool local;
	uint64_t advertisements; /* decide_advertisements() of this node */
	/* For the snapshot. */
	uint8_t uid[VIEW_UID_SIZE];
	int64_t created_us;
	uint32_t preference;         /* of this node, as a candidate */
	struct place_text *place;    /* NULL: on any interface */
	struct node_set *candidates; /* NULL: no node may own it, it is not part of the snapshot */
	struct announcement *next;   /* of the same Service */
	/* Of the next younger Service that shares the address, while it is part of the snapshot. */
	struct announcement *beside;
	/* Among the candidates that are not eligible yet. */
	bool pending;
	struct announcement *pending_prev, *pending_next;
	/* Among those that are eligible by BGP. */
	struct announcement *eligible_prev, *eligible_next;
};

#endif
