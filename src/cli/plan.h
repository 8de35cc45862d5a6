/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_PLAN_H
#define FAIRLEAD_CLI_PLAN_H

/*
 * What the controller would do with these Services under this configuration: the rules of its turns
 * (fairlead/turn.h), with every write taken as made, until nothing is left to do; and by which
 * protocols its addresses would then be announced.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>

#include "fairlead/buf.h"
#include "fairlead/configuration.h"
#include "fairlead/kube_types.h"

struct plan;
struct out;

/* The cluster as it is: borrowed while plan_new() runs. */
struct plan_input {
	const struct kube_service *const *services;
	size_t n_services;
	/* of Services that cannot be read; they keep what they hold */
	const struct kube_remains *const *remains;
	size_t n_remains;
	const struct kube_node *const *nodes; /* none: nothing is known of nodes */
	size_t n_nodes;
	/* as far as their labels are known */
	const struct kube_object *const *namespaces;
	size_t n_namespaces;
	struct configuration *in_force; /* NULL: not known */
	/* which addresses cool down, or were given last (ipam.h); NULL: not known */
	const char *cooling;
};

/*
 * @class: the controller's --load-balancer-class, or NULL.  The configuration is kept by reference,
 * and takes in what the leader would retain; nobody else has it yet.
 */
struct plan *plan_new(struct configuration *c, const char *class, const struct plan_input *in);
void plan_free(struct plan *p);
/* Does any Service move or fail, or lose who announces it? */
bool plan_is_bad(const struct plan *p);
/* What about the configuration is of no use in this cluster, a line each: "warning: …". */
void plan_warnings(const struct plan *p, struct buf *out);
/* In one line: "3 Services: 2 keep, 1 fail". */
void plan_summary(const struct plan *p, struct buf *out);
/* For a pull request: the summary, and a table of the Services that something changes for. */
void plan_markdown(const struct plan *p, struct buf *out);
/* A list of Services. */
void plan_print(const struct plan *p, struct out *o);

/* ---- of one Service, which was edited ---- */

/* What becomes of the addresses of its load balancer. */
struct plan_outcome {
	bool fails;         /* the controller refuses what it asks for; what it has stays */
	bool is_silent;     /* nobody would announce some address that it has in the end */
	const char *reason; /* of the plan; by its name */
	char *message;
	struct addr *before, *after;
	size_t n_before, n_after;
};
/* False if there is nothing of a load balancer to be decided. */
bool plan_outcome_of(const struct plan *p, const char *key, struct plan_outcome *ret_outcome);
void plan_outcome_fini(struct plan_outcome *outcome);
/*
 * Another Service with that address in the end, or NULL; *ret_had: it has it now, too.
 */
const char *plan_other_with(const struct plan *p, const char *key, const struct addr *a,
                            bool *ret_had);
/*
 * The list @name: the Service, and those that fare otherwise than by the plan @without the edit.
 */
void plan_print_part(const struct plan *p, const struct plan *without, const char *key,
                     const char *name, struct out *o);

#endif
