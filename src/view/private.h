/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_VIEW_PRIVATE_H
#define FAIRLEAD_VIEW_PRIVATE_H

/* What the files of this room share: the tables behind the door. */

#include "fairlead/hash.h"
#include "fairlead/table.h"
#include "fairlead/view.h"
#include "view/intern.h"
#include "view/ration.h"

/* kube-proxy passes over Services and slices with either of them, whatever the value. */
#define VIEW_LABEL_PROXY_NAME "service.kubernetes.io/service-proxy-name"
#define VIEW_LABEL_HEADLESS "service.kubernetes.io/headless"

struct slice {
	struct view_slice pub;
	struct service *service;
	const struct view_port *served_of; /* the Service's ports when they were counted; or NULL */
	uint8_t owner[VIEW_UID_SIZE]; /* the Service that it was made for; 0: it does not say */
	struct table_link link;
	bool foreign_proxy; /* labelled for another proxy */
	char key[];         /* "namespace/name" */
};

struct service {
	struct view_service pub;
	/* of another Service that had this name, or will have it, or for another proxy */
	const struct view_slice *strays;
	struct table_link link;
	struct ration_share *share; /* NULL: it is not large */
	bool dirty;
	char key[];
};

/*
 * The Services that may have an address from outside, and what was found out about which of them
 * comes first.
 */
struct claim {
	struct addr addr;
	struct service **services;
	size_t n, cap;
	/* Those whose record names it, and that may not have it: what they say hangs on who has. */
	struct service **watchers;
	size_t n_watchers, cap_watchers;
	bool first_known;
	uint64_t first_revision; /* of the configuration by which it was judged */
	const struct view_service *first;
	UT_hash_handle hh;
};

/* An address of Nodes. */
struct node_address {
	struct addr addr;
	unsigned int n; /* how many have it */
	UT_hash_handle hh;
};

struct view {
	char *class;
	const char *self, *zone;
	struct intern *strings, *places, *ports;
	struct table services, slices; /* by key */
	struct claim *claims;
	struct view_node_rules node_rules;
	struct view_node *nodes; /* sorted by name */
	size_t n_nodes, cap_nodes;
	struct node_address *node_addresses;
	struct addr *needed;
	size_t n_needed;
	struct configuration *config;
	uint64_t generation, revision;
	struct ration ration; /* of elements, among large Services */
	struct service **dirty;
	size_t n_dirty, cap_dirty;
	struct view_stats stats;
};

extern const struct table_kind view_service_kind, view_slice_kind;

void view_mark(struct view *v, struct service *s);
/* Those that share an address with it: where that is announced hangs on its endpoints. */
void view_mark_company(struct view *v, const struct service *s);
/* The record of that key, made if it is missing. */
struct service *view_service_get(struct view *v, const char *namespace, const char *name);
/* Frees the record if nothing is known of it any more. */
void view_service_reap(struct view *v, struct service *s);
/* Marks the Services whose answers depend on nodes and other machines. */
void view_mark_announced(struct view *v);

/* Takes the addresses of @s out of the index, or puts them in; marks the others that have them. */
void view_claims_drop(struct view *v, struct service *s);
void view_claims_add(struct view *v, struct service *s);
/*
 * Marks every Service that an answer about an address of @s may be different for under the new
 * configuration.
 */
void view_claims_compare(struct view *v, struct service *s, const struct configuration *old,
                         const struct configuration *new);
/* By namespace, then name. */
int view_by_name(const struct view_service *a, const struct view_service *b);

/* IPPROTO_… */
uint8_t view_proto_number(enum kube_proto p);
bool view_port_eq(const struct view_port *a, const struct view_port *b);
/*
 * Of many Services and slices the lists of ports are equal, and then they are one.  The names are
 * of v->strings, counted for this list, and are dropped with it.  NULL: there are none.
 */
const struct view_port *view_ports_get(struct view *v, const struct view_port *ports, size_t n);
void view_ports_drop(struct view *v, const struct view_port *ports, size_t n);
void view_slice_free(struct view *v, struct slice *s);
/* Tells the slices of @s from the strays anew, after its UID has changed. */
void view_slices_sort(struct service *s);

#endif
