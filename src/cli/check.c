/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fairlead config check`: would the controller take this configuration, and how would it read it?
 */
#include "config.h"

#include "cli/commands.h"
#include "cli/file.h"
#include "fairlead/mem.h"

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

static void put_answer(const char *path, const struct configuration *c,
                       const struct config_problems *errors, const struct config_problems *warnings,
                       struct out *o)
{
	out_object(o, NULL);
	out_bool(o, "valid", errors->n == 0);
	config_problems_put(errors, "errors", o);
	file_say_problems(path, errors, "", o);
	config_problems_put(warnings, "warnings", o);
	file_say_problems(path, warnings, "warning: ", o);
	if (c)
		configuration_print(c, o, "config");
	else
		out_str(o, "config", NULL);
	if (errors->n == 0)
		out_say(o, "%s: valid: %zu pool%s, %zu peer%s, %zu BFD profile%s", path, c->n_pools,
		        plural(c->n_pools), c->n_peers, plural(c->n_peers), c->n_bfd_profiles,
		        plural(c->n_bfd_profiles));
	out_close(o);
}

static int run_config_check(const struct command_options *o, struct err *e)
{
	const char *path = o->operands[0];
	cleanup(buf_fini) struct buf text = BUF_INIT;
	cleanup(command_answer_fini) struct command_answer a;
	cleanup(config_problems_fini) struct config_problems errors = { 0 }, warnings = { 0 };
	struct configuration *c = NULL;

	command_answer_init(&a, o);
	if (file_read_configuration_text(path, &text, e) < 0)
		return COMMAND_FAILED;
	if (configuration_parse_file(buf_str(&text), text.size, &c, &errors, &warnings) == 0) {
		configuration_warn_silent(c, &warnings);
		configuration_warn_no_pools(c, &warnings);
	}
	put_answer(path, c, &errors, &warnings, &a.out);
	command_print(&a);
	configuration_unref(c);
	return errors.n > 0 ? COMMAND_FAILED : COMMAND_OK;
}

const struct command command_config_check = {
	.words = { "config", "check" },
	.operands = "FILE",
	.names = NAMES_FILES,
	.n = 1,
	.flags = FLAGS_OUTPUT,
	.summary = "is this a configuration that the controller takes?  FILE is the YAML, or the "
		   "manifest of a ConfigMap that holds it",
	.exits = { [COMMAND_OK] = "it is valid",
	           [COMMAND_FAILED] = "it is not valid, or could not be read" },
	.run = run_config_check,
};
