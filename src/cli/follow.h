/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_FOLLOW_H
#define FAIRLEAD_CLI_FOLLOW_H

/*
 * Where a packet goes: what each node that it may come to does with it.  Pure; what is decided is
 * decided by the data plane's own table (packet.h) for the Service as that node's speaker would be
 * given it (forward.h).
 */

#include <stdbool.h>
#include <stddef.h>

#include "cli/explain.h"
#include "fairlead/err.h"
#include "fairlead/facts.h"
#include "fairlead/packet.h"

struct follow;
struct json_object;
struct out;

/* "10.0.0.9" and "192.168.1.241:80/TCP", "[2001:db8::1]:53/udp"; TCP unless told. */
int follow_parse(const char *from, const char *to, struct packet *ret_packet, struct err *e);

struct follow_input {
	const struct view *view;
	const struct view_service *service;
	const struct kube_node *const *nodes;
	size_t n_nodes;
	const char *node;              /* only this one, or NULL */
	const struct explain *explain; /* who announces what; outlives the answer */
	/* Of speakers that say nothing of theirs. */
	const struct proxy_options *options;
	const struct facts_flags *flags;
};

/* All of @in stays the caller's, and as it is. */
struct follow *follow_new(const struct follow_input *in, const struct packet *p);
void follow_free(struct follow *f);
/* What the node's speaker says to /status of how it carries traffic. */
void follow_put_speaker(struct follow *f, const char *node, struct json_object *status);
/* When all have been put. */
void follow_print(struct follow *f, struct out *o);

#endif
