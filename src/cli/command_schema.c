/* SPDX-License-Identifier: Apache-2.0 */
/* `fairlead config schema`: what a configuration may be, for editors. */
#include "config.h"

#include <stdio.h>

#include "cli/commands.h"
#include "fairlead/configuration.h"
#include "fairlead/mem.h"

static int run_config_schema(const struct command_options *o, struct err *e)
{
	cleanup(buf_fini) struct buf json = BUF_INIT;

	(void)o;
	(void)e;
	configuration_schema(&json);
	fputs(buf_str(&json), stdout);
	return COMMAND_OK;
}

const struct command command_config_schema = {
	.words = { "config", "schema" },
	.operands = "",
	.summary =
		"the JSON Schema of the configuration, by which an editor completes and checks it",
	.run = run_config_schema,
};
