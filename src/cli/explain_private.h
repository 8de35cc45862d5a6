/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_EXPLAIN_PRIVATE_H
#define FAIRLEAD_CLI_EXPLAIN_PRIVATE_H

/* The tables of an explanation, for what combines (explain.c) and what prints (explain_print.c). */

#include "cli/explain.h"
#include "fairlead/decide.h"
#include "fairlead/ipam.h"

/* What is reported about one address on one node by one protocol. */
struct explain_row {
	char *node;
	enum protocol protocol;
	bool announce;
	char *reason, *message;
	/*
	 * By layer 2, as the speaker says: the owner, for how long it has been that, and of this
	 * node why; "", -1, "": it does not say.
	 */
	char *owner, *cause;
	int64_t held_ms;
};

struct explain_address {
	struct addr addr;
	struct decision decision;
	struct explain_row *rows;
	size_t n_rows;
};

struct explain {
	const struct view *view;
	const struct view_service *service;
	struct explain_address *addresses;
	size_t n_addresses;
	const struct labels *namespace_labels; /* NULL: not known */
	struct ipam *cooling; /* of what cools down alone; NULL: it is not known what does */
	bool is_live;         /* speakers were asked */
	bool is_of_one_node;  /* of which alone there are rows */
	bool incomplete;
};

/* Which entries of the pool's layer2 are for the Service, and for which nodes. */
void explain_say_layer2(const struct decision *d, struct out *o);
void explain_put_layer2(const struct decision *d, struct out *o);

/* From which pools the Service may be given addresses, where some are not for everybody. */
void explain_say_pools(const struct explain *x, const struct kube_service *service, struct out *o);

#endif
