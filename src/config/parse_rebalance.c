/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rebalance: whether owners by layer 2 hand over addresses to nodes that own less than their share,
 * and how fast.
 */
#include "config.h"

#include "config/parse.h"
#include "fairlead/mem.h"

static const struct schema_key rebalance_keys[] = {
	{ .name = "per-minute",
	  .type = &schema_int,
	  .min = 1,
	  .max = 600,
	  .required = "how fast? write per-minute: 10, for example",
	  .unit = "Services in a minute, such as 10",
	  .invalid = "invalid number of Services in a minute",
	  SCHEMA_FIELD(struct config_rebalance, per_minute),
	  .doc = "How many Services go to another node in a minute at most, counted over all nodes of "
	         "a segment." },
};

const struct schema_table rebalance_table = SCHEMA_TABLE("rebalance", rebalance_keys);

void parse_rebalance(struct schema_ctx *x, const struct ynode *node, struct draft *d)
{
	schema_read(x, &rebalance_table, node, &d->config->rebalance);
}
