/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_NFTABLES_PLAN_H
#define FAIRLEAD_PROXY_NFTABLES_PLAN_H

/* The decision table (traffic.h) as elements of the frame's maps.  Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/proxy.h"
#include "proxy/nftables/frame.h"
#include "proxy/traffic.h"

struct plan_element {
	uint8_t map;                                              /* enum frame_map */
	unsigned char key[FRAME_KEY_MAX], value[FRAME_VALUE_MAX]; /* zero beyond their sizes */
};

/* The endpoints of one set, in any order. */
struct plan_set {
	uint32_t set;
	uint8_t proto;
	bool affinity;
	bool outside; /* other destinations than a cluster IP lead to it */
	const struct proxy_endpoint *list;
	size_t n;
	const struct proxy_port *port; /* whose set it is: its other endpoints may have flows */
};

/*
 * Everything but FRAME_ENDPOINTS and FRAME_TICKETS, whose order is the kernel's (order.h): they are
 * in sets.
 */
struct plan {
	struct plan_element *elements; /* sorted by map and key; each once */
	size_t n_elements, cap_elements;
	struct plan_set *sets;
	size_t n_sets, cap_sets;
};

/*
 * @ids: for each port of @s the number of its sets, the cluster set's; the local set's is the next
 * one.  0 for a port that has none. @group: of its source ranges.
 */
void plan_half(const struct traffic_node *node, const struct proxy_half *s, const uint32_t *ids,
               uint32_t group, struct plan *ret_plan);
/* The same in parts, each of which is freed by itself; @group of both but the last. */
void plan_ranges(const struct proxy_half *s, uint32_t group, struct plan *ret_plan);
void plan_port(const struct traffic_node *node, const struct proxy_half *s, size_t port,
               uint32_t id, uint32_t group, struct plan *ret_plan);
void plan_guards(const struct proxy_half *s, struct plan *ret_plan);
void plan_fini(struct plan *p);
int plan_cmp(const struct plan_element *a, const struct plan_element *b);
/* Whether it has no owner (store.h). */
bool plan_is_shared(enum frame_map map);

/*
 * Of the numbers that a port's sets may have, and a group of source ranges, the one to be tried in
 * the @attempt-th place, from 0.  They follow from names, ports and ranges alone, so they are the
 * same after a restart; but nobody can choose those such that more than a few attempts fail.  For
 * any one number a name can be found, so that a number alone does not tell whose a set is.
 */
uint32_t plan_set_number(const struct proxy_half *s, size_t port, uint32_t attempt);
uint32_t plan_group_number(const struct proxy_half *s, uint32_t attempt);

/* By address, protocol and port, or for a node port by the latter two. */
void plan_key(const struct traffic_destination *d, uint8_t family,
              unsigned char ret_key[static FRAME_KEY_MAX]);

/* Whether any source range is to be kept. */
bool plan_has_group(const struct traffic_node *node, const struct proxy_half *s);

/* A key of FRAME_ENDPOINTS, FRAME_TICKETS and FRAME_MEMBERS; a value of the first and the last. */
void plan_pair(uint32_t set, uint32_t number, unsigned char ret_key[static FRAME_KEY_MAX]);
void plan_endpoint(const struct proxy_endpoint *e, unsigned char ret[static FRAME_VALUE_MAX]);
/*
 * A client's ticket for an endpoint.  Where two endpoints of a set have the same, clients of both
 * go to one of them.
 */
uint32_t plan_ticket(const struct proxy_endpoint *e);

#endif
