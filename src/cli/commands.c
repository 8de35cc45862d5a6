/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fairlead/buf.h"
#include "fairlead/mem.h"

const struct command *const commands[] = {
#define COMMAND_ENTRY(name) &command_##name,
	COMMANDS(COMMAND_ENTRY) NULL,
};

const struct command *command_find(char *const *words, size_t n, size_t *ret_n_words)
{
	for (size_t i = 0; commands[i]; i++) {
		const struct command *c = commands[i];
		size_t n_words = c->words[1] ? 2 : 1;
		if (n < n_words || strcmp(words[0], c->words[0]) != 0 ||
		    (c->words[1] && strcmp(words[1], c->words[1]) != 0))
			continue;
		*ret_n_words = n_words;
		return c;
	}
	return NULL;
}

/* "check, convert or schema": the second words of those that begin with this one. */
static void put_second_words(const char *first, struct buf *out)
{
	const char *last = NULL;

	for (size_t i = 0; commands[i]; i++) {
		if (!commands[i]->words[1] || strcmp(commands[i]->words[0], first) != 0)
			continue;
		if (last)
			buf_printf(out, "%s%s", out->size ? ", " : "", last);
		last = commands[i]->words[1];
	}
	if (last)
		buf_printf(out, "%s%s", out->size ? " or " : "", last);
}

int command_missing(char *const *words, size_t n, struct err *e)
{
	cleanup(buf_fini) struct buf all = BUF_INIT;
	char name[COMMAND_NAME_SIZE];

	if (n)
		put_second_words(words[0], &all);
	if (all.size)
		return err_set(e, -EINVAL, ERR_CONFIG, "%s takes %s%s%.100s%s", words[0],
		               buf_str(&all), n > 1 ? ", not \"" : "", n > 1 ? words[1] : "",
		               n > 1 ? "\"" : "");
	for (size_t i = 0; commands[i]; i++)
		buf_printf(&all, "%s%s", i ? ", " : "", command_name(commands[i], name));
	if (n)
		return err_set(e, -EINVAL, ERR_CONFIG, "no command \"%.100s\"; there are %s",
		               words[0], buf_str(&all));
	return err_set(e, -EINVAL, ERR_CONFIG, "no command given; there are %s", buf_str(&all));
}

const char *command_name(const struct command *c, char out[static COMMAND_NAME_SIZE])
{
	snprintf(out, COMMAND_NAME_SIZE, "%s%s%s", c->words[0], c->words[1] ? " " : "",
	         c->words[1] ? c->words[1] : "");
	return out;
}
