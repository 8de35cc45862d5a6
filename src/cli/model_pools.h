/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_MODEL_POOLS_H
#define FAIRLEAD_CLI_MODEL_POOLS_H

/*
 * What the pools of the model hold.  The books follow from configuration, Services and Nodes when
 * they are first asked for; whoever puts more of these resets them.
 */

#include "fairlead/configuration.h"
#include "fairlead/hash.h"
#include "fairlead/ipam.h"

struct findings;
struct model;
struct model_service;
struct out;

/* Those that have an address, but for external IPs that are denied; in the order of printing. */
struct model_holding {
	struct addr addr;
	const struct model_service **services;
	size_t n, cap;
	UT_hash_handle hh;
};
/* NULL: nobody. */
const struct model_holding *model_holders(const struct model *m, const struct addr *a);

/* NULL without a configuration. */
const struct ipam *model_ipam(const struct model *m);
/* Of both families together, UINT64_MAX: that many or more. */
uint64_t model_pool_total(const struct model *m, const struct config_pool *p);
uint64_t model_pool_free(const struct model *m, const struct config_pool *p);

/* A namespace and how many of a pool's addresses its Services have. */
struct model_tenant {
	const char *namespace; /* the model's */
	uint64_t used;
};
/* Those with the most first, in a new array for free(). */
struct model_tenant *model_pool_tenants(const struct model *m, const struct config_pool *p,
                                        size_t *ret_n);

/* ---- printing ---- */

/* The table of pools, or of the one that is to be shown; the list "pools". */
void pools_put(const struct model *m, struct out *o);
/* The addresses that no pool gives any more; the list "retained". */
void pools_put_retained(const struct model *m, struct out *o);

#endif
