/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools that give their addresses in turn (round-robin): the next one is the first free one after
 * the one that was given last, and after the highest the lowest.  An address that was asked for, or
 * that waited for its Service, is out of turn.
 *
 * Which one was the last no object tells, so the leader writes it down with what cools down.  The
 * pool is the one that has the address, whatever it is called by now.  Its name is there as well:
 * where no pool that gives in turn has the address any more, the one of that name goes on after it.
 */
#include "config.h"

#include "fairlead/mem.h"
#include "ipam/ipam.h"

static bool goes_round(const struct ipam_pool *pool)
{
	return pool && pool->conf->allocation == CONFIG_ALLOCATION_ROUND_ROBIN;
}

bool ipam_next_in_turn(const struct ipam_pool *pool, size_t family_index, struct addr *ret_addr)
{
	const struct addr *last = &pool->given_last[family_index];

	return goes_round(pool) && !addr_is_none(last) && addr_next(last, ret_addr);
}

/* Would it be given now to whoever comes? */
static bool is_next(const struct ipam *ipam, const struct ipam_pool *pool, const struct addr *a)
{
	struct addr next;

	return !ipam_holder_of(ipam, a) &&
	       ipam_next_free(pool, ipam_family_index(a->family), true, 0, &next) &&
	       addr_eq(&next, a);
}

size_t ipam_give(struct ipam *ipam, const char *key, const struct addr *addrs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct ipam_pool *pool = ipam_pool_of(ipam, &addrs[i]);
		if (!goes_round(pool) || !is_next(ipam, pool, &addrs[i]))
			continue;
		pool->given_last[ipam_family_index(addrs[i].family)] = addrs[i];
		ipam->n_noted++;
	}
	return ipam_hold(ipam, key, addrs, n);
}

void ipam_print_turns(const struct ipam *ipam, struct buf *out)
{
	for (size_t i = 0; i < ipam->n_pools; i++)
		for (size_t f = 0; f < 2; f++)
			if (!addr_is_none(&ipam->pools[i].given_last[f]))
				buf_printf(out, "last %s %s\n",
				           addr_str(&ipam->pools[i].given_last[f]),
				           ipam->pools[i].conf->name);
}

static struct ipam_pool *pool_named(struct ipam *ipam, const char *name)
{
	const struct config_pool *conf = configuration_pool_named(ipam->config, name);

	return conf ? &ipam->pools[ipam->position[conf - ipam->config->pools]] : NULL;
}

void ipam_read_turn(struct ipam *ipam, const struct addr *a, const char *name)
{
	struct ipam_pool *pool = ipam_pool_of(ipam, a);

	if (!goes_round(pool))
		pool = pool_named(ipam, name);
	if (goes_round(pool))
		pool->given_last[ipam_family_index(a->family)] = *a;
}
