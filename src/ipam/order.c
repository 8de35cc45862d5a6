/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In which order pools are tried.  It is that of the configuration, where pools of one priority
 * stand by name, unless some of them go by how much of them is in use (least-used-pool): these come
 * before the others of their priority, the one of which the smallest part is in use first.
 */
#include "config.h"

#include <stdlib.h>

#include "fairlead/mem.h"
#include "ipam/ipam.h"

struct ranked {
	const struct ipam_pool *pool;
	size_t position; /* as they stand */
	uint64_t used, total;
};

static bool is_balanced(const struct ranked *r)
{
	return r->pool->conf->allocation == CONFIG_ALLOCATION_LEAST_USED_POOL;
}

static bool has_same_priority(const struct config_pool *a, const struct config_pool *b)
{
	return config_pool_is_reserved(a) == config_pool_is_reserved(b) &&
	       a->has_priority == b->has_priority &&
	       (!a->has_priority || a->priority == b->priority);
}

static int ranked_cmp(const void *a, const void *b)
{
	const struct ranked *ra = a, *rb = b;

	if (has_same_priority(ra->pool->conf, rb->pool->conf)) {
		if (is_balanced(ra) != is_balanced(rb))
			return is_balanced(ra) ? -1 : 1;
		unsigned __int128 x = (unsigned __int128)ra->used * rb->total;
		unsigned __int128 y = (unsigned __int128)rb->used * ra->total;
		if (is_balanced(ra) && x != y)
			return x < y ? -1 : 1;
	}
	return (ra->position > rb->position) - (ra->position < rb->position);
}

const struct ipam_pool **ipam_order(const struct ipam *ipam, uint8_t family)
{
	size_t n = ipam->n_pools, f = ipam_family_index(family);

	if (!ipam->balances)
		return NULL;
	cleanup_free struct ranked *ranked = xcalloc(n, sizeof(*ranked));
	const struct ipam_pool **order = xcalloc(n, sizeof(*order));
	for (size_t i = 0; i < n; i++) {
		const struct ipam_pool *pool = &ipam->pools[i];
		uint64_t total = ipam_total(pool, f);
		/* One that has none of the family is as full as can be. */
		ranked[i] = (struct ranked){ .pool = pool,
			                     .position = i,
			                     .used = total ? pool->used_assignable[f] : 1,
			                     .total = total ? total : 1 };
	}
	qsort(ranked, n, sizeof(*ranked), ranked_cmp);
	for (size_t i = 0; i < n; i++)
		order[i] = ranked[i].pool;
	return order;
}
