/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_FLAGS_H
#define FAIRLEAD_CLI_FLAGS_H

/*
 * The flags of fairlead(1), a row each, by which they are parsed, refused, described and completed.
 */

#include "cli/commands.h"

#define FLAGS_MAX 60
/* What holds unless told otherwise. */
#define FLAGS_SPEAKER_PORT 17482
#define FLAGS_TIMEOUT_S 60
#define FLAGS_TEST_PORT 8080
#define FLAGS_TAIL_LINES 10000
#define COMMAND_OPTIONS_INIT                                                             \
	{                                                                                \
		.speaker.port = FLAGS_SPEAKER_PORT, .timeout_s = FLAGS_TIMEOUT_S,        \
		.test.port = FLAGS_TEST_PORT, .tail_lines = FLAGS_TAIL_LINES, .proxy = { \
			.mode = "iptables",                                              \
			.family = "any",                                                 \
			.flags = FACTS_FLAGS_INIT                                        \
		}                                                                        \
	}
#define FLAG_CHOICES_INIT                                \
	{                                                \
		.output = "text", .exit_code = "verdict" \
	}

struct flag {
	struct option_row row;    /* the help without the commands, which follow from the groups */
	unsigned int group;       /* FLAGS_… */
	enum command_names names; /* what its value is */
};

/* What choices are before they are understood. */
struct flag_choices {
	const char *output, *exit_code;
};

/* Fills @ret with those that write into @o and @choices; the name behind the last one is NULL. */
void flags_fill(struct command_options *o, struct flag_choices *choices,
                struct flag ret[static FLAGS_MAX]);
/*
 * The row as the command's own help has it: without what the flag means to others only.  NULL: the
 * row for all of them.
 */
struct option_row flags_row(const struct flag *f, const struct command *c);
/* What the command takes as its value, "a|b"; of all of them with NULL.  NULL: anything. */
const char *flags_choices(const struct flag *f, const struct command *c);
/* Takes over what stands in @choices. */
void flags_finish(struct command_options *o, const struct flag_choices *choices);
/*
 * -EINVAL if one of @given is in a group that the command has not: what it would not look at was
 * meant to change the answer.
 */
int flags_check(const struct flag *flags, uint64_t given, const struct command *c,
                const struct command_options *o, struct err *e);

#endif
