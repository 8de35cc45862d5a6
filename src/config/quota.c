/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many addresses of a pool some namespaces may hold.  An entry is one bound for all that it
 * names together, so that a team with several namespaces has one share; namespaces that are to
 * have a bound each stand in entries of their own.
 */
#include "config.h"

#include <stdlib.h>

#include "config/parse.h"
#include "fairlead/mem.h"

static const struct schema_key quota_keys[] = {
	{ .name = "namespaces",
	  .type = &named_namespaces_type,
	  .required = "missing namespaces; write namespaces: [NAME]",
	  SCHEMA_FIELD(struct config_quota, namespaces),
	  .doc = "Names of namespaces, which have the quota together. Give each an entry of its own "
	         "if each is to have so many." },
	{ .name = "addresses",
	  .type = &schema_int,
	  .required = "missing number of addresses; write addresses: 10, for example",
	  .max = INT32_MAX,
	  SCHEMA_FIELD(struct config_quota, addresses),
	  .doc = "How many addresses, of either family, their Services may hold. One that several of "
	         "them share counts once. Who holds more keeps them, and gets no further ones "
	         "(`QuotaReached`)." },
};

const struct schema_table quota_table = SCHEMA_TABLE("quota", quota_keys);

static void quota_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct config_pool *pool = target;

	schema_read(x, &quota_table, node, &pool->quotas[pool->n_quotas++]);
}

static void read_quota(struct schema_ctx *x, const struct schema_key *key, const struct ynode *node,
                       void *field)
{
	struct config_pool *pool = field;

	(void)key;
	pool->quotas = xcalloc(node->n_entries + 1, sizeof(*pool->quotas));
	schema_list(x, node, CONFIG_QUOTAS_MAX, quota_item, pool);
}

static void print_quota(struct out *o, const struct schema_key *key, const void *field)
{
	const struct config_pool *pool = field;

	if (pool->n_quotas == 0)
		return;
	out_list(o, key->name);
	for (size_t i = 0; i < pool->n_quotas; i++) {
		out_object(o, NULL);
		schema_print(o, &quota_table, &pool->quotas[i]);
		out_close(o);
	}
	out_close(o);
}

static void free_quota(void *field)
{
	struct config_pool *pool = field;

	for (size_t i = 0; i < pool->n_quotas; i++)
		schema_fini(&quota_table, &pool->quotas[i]);
	free(pool->quotas);
}

const struct schema_type quota_type = {
	.form = "list of maps",
	.value = SCHEMA_MAP,
	.keys = &quota_table,
	.is_list = true,
	.read = read_quota,
	.print = print_quota,
	.fini = free_quota,
};
