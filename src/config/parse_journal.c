/* SPDX-License-Identifier: Apache-2.0 */
/* journal: whether the leader keeps one of who had which address when, and for how long. */
#include "config.h"

#include "config/parse.h"
#include "fairlead/mem.h"

static const struct schema_key journal_keys[] = {
	{ .name = "days",
	  .type = &schema_int,
	  .min = 1,
	  .max = 3650,
	  .unit = "days, such as 90",
	  .by_default = CONFIG_JOURNAL_DAYS,
	  .invalid = "invalid number of days",
	  SCHEMA_FIELD(struct config_journal, days),
	  .doc = "Entries are dropped after so many days, or earlier where they take more room than "
	         "there is." },
};

const struct schema_table journal_table = SCHEMA_TABLE("journal", journal_keys);

void parse_journal(struct schema_ctx *x, const struct ynode *node, struct draft *d)
{
	schema_defaults(&journal_table, &d->config->journal);
	schema_read(x, &journal_table, node, &d->config->journal);
}
