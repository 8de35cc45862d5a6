/* SPDX-License-Identifier: Apache-2.0 */
/* `fairlead config check`: would the controller take this configuration, and how would it read it? */
#include "config.h"

#include <stdio.h>

#include "cli/commands.h"
#include "cli/file.h"
#include "fairlead/mem.h"

static void put_problems(const char *key, const struct config_problems *p, struct buf *out)
{
	buf_printf(out, "\"%s\":[", key);
	for (size_t i = 0; i < p->n; i++) {
		buf_printf(out, "%s{\"line\":%u,\"path\":", i ? "," : "", p->items[i].line);
		buf_json_str(out, p->items[i].path);
		buf_puts(out, ",\"message\":");
		buf_json_str(out, p->items[i].message);
		buf_putc(out, '}');
	}
	buf_putc(out, ']');
}

static void put_json(const struct configuration *c, const struct config_problems *errors,
                     const struct config_problems *warnings, struct buf *out)
{
	buf_printf(out, "{\"valid\":%s,", errors->n == 0 ? "true" : "false");
	put_problems("errors", errors, out);
	buf_putc(out, ',');
	put_problems("warnings", warnings, out);
	buf_puts(out, ",\"config\":");
	if (c)
		configuration_json(c, out);
	else
		buf_puts(out, "null");
	buf_puts(out, "}\n");
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

static void put_text(const char *path, const struct configuration *c,
                     const struct config_problems *errors, const struct config_problems *warnings,
                     struct buf *out)
{
	file_problems_text(path, errors, "", out);
	file_problems_text(path, warnings, "warning: ", out);
	if (errors->n == 0)
		buf_printf(out, "%s: valid: %zu pool%s, %zu peer%s, %zu BFD profile%s\n", path,
		           c->n_pools, plural(c->n_pools), c->n_peers, plural(c->n_peers),
		           c->n_bfd_profiles, plural(c->n_bfd_profiles));
}

int command_config_check(const struct command_options *o, struct err *e)
{
	const char *path = o->operands[0];
	cleanup(buf_fini) struct buf text = BUF_INIT, out = BUF_INIT;
	cleanup(config_problems_fini) struct config_problems errors = { 0 }, warnings = { 0 };
	struct configuration *c = NULL;

	if (file_read(path, FILE_CONFIG_MAX_BYTES, &text, e) < 0)
		return COMMAND_FAILED;
	if (configuration_parse_file(buf_str(&text), text.size, &c, &errors, &warnings) == 0) {
		configuration_warn_silent(c, &warnings);
		/* The controller takes it all the same, for the sake of what else it says. */
		configuration_find_unanswered(c, &errors);
	}
	if (o->json)
		put_json(c, &errors, &warnings, &out);
	else
		put_text(path, c, &errors, &warnings, &out);
	fputs(buf_str(&out), stdout);
	configuration_unref(c);
	return errors.n > 0 ? COMMAND_FAILED : COMMAND_OK;
}
