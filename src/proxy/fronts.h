/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_FRONTS_H
#define FAIRLEAD_PROXY_FRONTS_H

/*
 * Fronts: where clients of UDP ports send to, each an address and a port, or a node port alone.
 * The index has for each front the ports of all states of Services that have it, so that who looks
 * for a few of them need not ask every Service.  What is in it stays its owner's, and where it is,
 * until it is taken out.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/proxy.h"

/* Bytes only, so that equal keys are equal memory. */
struct front_key {
	struct addr addr; /* none: any address of the node, a node port */
	uint8_t port[2];  /* big endian */
};

/* @a: NULL, a node port. */
struct front_key front_key(const struct addr *a, uint16_t port);
static inline bool front_is_node_port(const struct front_key *k)
{
	return addr_is_none(&k->addr);
}

typedef void front_fn(const struct front_key *k, const struct proxy_port *p, void *arg);
/* Calls @fn for each front of the Service. */
void front_each_of(const struct proxy_half *s, front_fn *fn, void *arg);

struct fronts;

struct fronts *fronts_new(void);
/* Accepts NULL. */
void fronts_free(struct fronts *f);
/* Of one owner, @now in place of @before; either may be NULL, and several may have the same. */
void fronts_swap(struct fronts *f, const struct proxy_half *before, const struct proxy_half *now);
/* Each port that has this front, once. */
void fronts_each_port(const struct fronts *f, const struct front_key *k, front_fn *fn, void *arg);
/* Each node port, once. */
void fronts_each_node_port(const struct fronts *f, void (*fn)(const struct front_key *k, void *arg),
                           void *arg);

#endif
