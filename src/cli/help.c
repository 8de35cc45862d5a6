/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/help.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/flags.h"
#include "fairlead/mem.h"

/* ---- all commands ---- */

/* "pools, status: ", which commands know a flag; "" for what most of them do. */
static void put_owners(unsigned int group, struct buf *out)
{
	char name[COMMAND_NAME_SIZE];
	size_t n = 0;

	if (group & (FLAGS_CLUSTER | FLAGS_SPEAKERS | FLAGS_OUTPUT))
		return;
	for (size_t i = 0; commands[i]; i++)
		if (commands[i]->flags & group)
			buf_printf(out, "%s%s", n++ ? ", " : "", command_name(commands[i], name));
	buf_puts(out, ": ");
}

static void put_commands(struct buf *out)
{
	char name[COMMAND_NAME_SIZE];

	buf_puts(out, "Commands:\n");
	for (size_t i = 0; commands[i]; i++) {
		const struct command *c = commands[i];
		cleanup_free char *words = xasprintf("  %s%s%s", command_name(c, name),
		                                     *c->operands ? " " : "", c->operands);
		options_put(out, words, c->summary);
	}
}

static bool is_told(size_t i, int code)
{
	for (size_t k = 0; k < i; k++)
		if (commands[k]->exits[code] &&
		    !strcmp(commands[k]->exits[code], commands[i]->exits[code]))
			return true;
	return false;
}

/* What COMMAND_FAILED means for any of them that reads something. */
static const char no_answer[] = "a file, an object or the API server could not be read";

/* "bgp, pools, status: the verdict is OK; config check: it is valid" */
static void put_meanings(int code, struct buf *out)
{
	char name[COMMAND_NAME_SIZE];

	if (code == COMMAND_FAILED)
		buf_puts(out, no_answer);
	for (size_t i = 0; commands[i]; i++) {
		const char *means = commands[i]->exits[code];
		size_t n = 0;
		if (!means || is_told(i, code))
			continue;
		if (out->size)
			buf_puts(out, "; ");
		for (size_t k = i; commands[k]; k++)
			if (commands[k]->exits[code] && !strcmp(commands[k]->exits[code], means))
				buf_printf(out, "%s%s", n++ ? ", " : "",
				           command_name(commands[k], name));
		buf_printf(out, ": %s", means);
	}
}

static void put_exit(int code, const char *means, struct buf *out)
{
	cleanup_free char *number = xasprintf("  %d", code);

	options_put(out, number, means);
}

static void put_all_exits(struct buf *out)
{
	buf_puts(out, "\nExit status:\n");
	for (int code = 0; code < COMMAND_EXITS; code++) {
		cleanup(buf_fini) struct buf means = BUF_INIT;
		put_meanings(code, &means);
		put_exit(code, buf_str(&means), out);
	}
	put_exit(COMMAND_USAGE, "wrong command line", out);
}

/* ---- one command ---- */

/* As a sentence: the list of commands has it without a capital and a full stop. */
static char *about(const struct command *c)
{
	char *s = xasprintf("%s.%s%s", c->summary, c->about ? " " : "", c->about ? c->about : "");

	s[0] = (char)toupper((unsigned char)s[0]);
	return s;
}

static void put_exits(const struct command *c, struct buf *out)
{
	buf_puts(out, "Exit status:\n");
	for (int code = 0; code < COMMAND_EXITS; code++) {
		cleanup(buf_fini) struct buf means = BUF_INIT;
		if (c->exits[code])
			buf_puts(&means, c->exits[code]);
		else if (code == COMMAND_OK)
			buf_puts(&means, "answered");
		if (code == (c->unreadable ? c->unreadable : COMMAND_FAILED) &&
		    (c->flags & FLAGS_CLUSTER))
			buf_printf(&means, "%s%s", means.size ? "; or " : "", no_answer);
		if (means.size)
			put_exit(code, buf_str(&means), out);
	}
	put_exit(COMMAND_USAGE, "wrong command line", out);
}

/* ---- both ---- */

void help_print(const struct command *c)
{
	struct command_options unused = COMMAND_OPTIONS_INIT;
	struct flag_choices choices = FLAG_CHOICES_INIT;
	struct flag flags[FLAGS_MAX];
	struct option_row rows[FLAGS_MAX] = { { .name = NULL } };
	char *helps[FLAGS_MAX];
	cleanup(buf_fini) struct buf after = BUF_INIT;
	char name[COMMAND_NAME_SIZE];
	size_t n = 0;

	flags_fill(&unused, &choices, flags);
	for (const struct flag *f = flags; f->row.name; f++) {
		struct buf help = BUF_INIT;
		if (c && !(f->group & c->flags))
			continue;
		if (!c)
			put_owners(f->group, &help);
		rows[n] = flags_row(f, c);
		buf_puts(&help, rows[n].help);
		helps[n] = buf_take(&help);
		rows[n].help = helps[n];
		n++;
	}
	if (c)
		put_exits(c, &after);
	else {
		put_commands(&after);
		put_all_exits(&after);
	}
	cleanup_free char *usage = c ? xasprintf("fairlead %s%s%s [OPTION]…", command_name(c, name),
	                                         *c->operands ? " " : "", c->operands)
	                             : xstrdup("fairlead [OPTION]… COMMAND");
	cleanup_free char *sentence =
		c ? about(c)
		  : xstrdup("Says what Fairlead does in this cluster, what it would do, and why. "
	                    "Only move, rebalance, release, test and uninstall change anything. "
	                    "`fairlead help COMMAND` says more of a command.");
	const struct options options = {
		.usage = usage, .about = sentence, .rows = rows, .after = buf_str(&after)
	};
	options_help(&options);
	for (size_t i = 0; i < n; i++)
		free(helps[i]);
}

/* ---- as a command ---- */

static int run_help(const struct command_options *o, struct err *e)
{
	size_t n_words = 0;
	const struct command *c =
		o->n_operands ? command_find(o->operands, o->n_operands, &n_words) : NULL;

	if (o->n_operands && !c) {
		command_missing(o->operands, o->n_operands, e);
		return COMMAND_USAGE;
	}
	if (n_words < o->n_operands) {
		err_set(e, -EINVAL, ERR_CONFIG,
		        "no command \"%.100s%s%.100s\"; see fairlead --help", o->operands[0],
		        o->n_operands > 1 ? " " : "", o->n_operands > 1 ? o->operands[1] : "");
		return COMMAND_USAGE;
	}
	help_print(c);
	return COMMAND_OK;
}

const struct command command_help = {
	.words = { "help" },
	.operands = "[COMMAND]",
	.names = NAMES_COMMANDS,
	.more = true,
	.summary = "what a command does, its flags and its exit statuses",
	.run = run_help,
};
