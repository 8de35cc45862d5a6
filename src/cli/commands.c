/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"

#include <stdio.h>
#include <string.h>

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

const char *command_name(const struct command *c, char out[static COMMAND_NAME_SIZE])
{
	snprintf(out, COMMAND_NAME_SIZE, "%s%s%s", c->words[0], c->words[1] ? " " : "",
	         c->words[1] ? c->words[1] : "");
	return out;
}
