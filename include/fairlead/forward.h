/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_FORWARD_H
#define FAIRLEAD_FORWARD_H

/*
 * From a Service in the view to what a node's proxy should do for it: what the speaker programs,
 * and what fairlead(1) shows of any node.  Pure.
 */

#include <stdbool.h>
#include <stdint.h>

#include "fairlead/proxy.h"
#include "fairlead/view.h"

/*
 * Whether this node forwards the Service in @family: it has a cluster IP there, and is not another
 * proxy's.
 */
bool forward_wanted(const struct view *v, const struct view_service *s, uint8_t family);

struct forward {
	struct proxy_service service; /* with those of the halves that are wanted */
	struct proxy_half halves[PROXY_HALVES];
	struct proxy_outside outside[PROXY_HALVES]; /* theirs: it is not to be copied */
};

/* The node for which it is built. */
struct forward_node {
	const char *name;
	const char *zone; /* NULL: none, or not known */
	bool by_rules;    /* the node's mode is iptables; or the view's rules say so */
	/*
	 * Whether the node announces the Service's address: some guards depend on it.  NULL: it
	 * announces none.
	 */
	bool (*is_announced)(const char *key, const struct addr *a, const void *arg);
	const void *arg;
};

/*
 * The ports of a Service that is large (size_is_large()), built some at a time, pass after pass.
 * Between two steps the Service may change: what was built is as it was then, so that another pass
 * has to follow, and if it has other ports now, the pass begins anew by itself.
 */
struct forward_ports;
struct forward_ports *forward_ports_new(void);
void forward_ports_free(struct forward_ports *p);
/*
 * Builds ports, as many as take a look at @max endpoints together, and at least one.  True: all are
 * built.
 */
bool forward_ports_step(struct forward_ports *p, const struct forward_node *node,
                        const struct view_service *s, size_t max);
/* Another pass; until its end the ports are partly those of before. */
void forward_ports_again(struct forward_ports *p);

/*
 * Builds the Service for the node's proxy.  The result points into the view, into itself, into
 * @built and to memory of its own, which forward_fini() frees.  @built: its ports, all of them, of
 * the Service as it is; NULL: they are built here.
 */
void forward_build(const struct view *v, const struct forward_node *node,
                   const struct view_service *s, const struct forward_ports *built,
                   struct forward *ret);
void forward_fini(struct forward *f);

#endif
