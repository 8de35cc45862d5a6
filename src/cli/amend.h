/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_AMEND_H
#define FAIRLEAD_CLI_AMEND_H

/*
 * What a person would edit in a Service so that it asks for another address: its annotations, and
 * spec.loadBalancerIP.  The same edit is to be had as commands for kubectl, as a patch, and as the
 * Service that would come of it.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>

#include "fairlead/buf.h"
#include "fairlead/kube_types.h"

struct amendment {
	const struct kube_service *was; /* borrowed */
	/* as it would be: its annotations are the amendment's, all else is the other's */
	struct kube_service service;
	struct labels set; /* annotations; with the value NULL they are taken away */
	bool drops_ip;     /* spec.loadBalancerIP */
};

/* @s must last for as long as the amendment. */
void amend_init(struct amendment *m, const struct kube_service *s);
void amend_fini(struct amendment *m);
/*
 * It asks for these addresses and for no others.  @pool: whose they are, or NULL; a request for
 * another pool, which would contradict, is taken away.
 */
void amend_ask_addresses(struct amendment *m, const struct addr *addrs, size_t n, const char *pool);
/* It asks for any address of the pool. */
void amend_ask_pool(struct amendment *m, const char *pool);
/* It asks for no particular address. */
void amend_ask_any(struct amendment *m);
bool amend_is_empty(const struct amendment *m);

/* One command for kubectl, or two, a line each. */
void amend_put_commands(const struct amendment *m, struct buf *out);
/*
 * A JSON merge patch (RFC 7386).  With the version of the Service that was looked at, so that the
 * API server refuses it (409) if somebody has edited that since.
 */
void amend_put_patch(const struct amendment *m, struct buf *out);

#endif
