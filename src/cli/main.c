/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/complete.h"
#include "cli/flags.h"
#include "cli/help.h"
#include "cli/test_pods.h"
#include "fairlead/buf.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/streams.h"

#define OPERANDS_MAX (OPTION_LIST_MAX + 2)

/* Those that are more than the command's own are files of --state. */
static int take_operands(const struct command *c, struct command_options *o, size_t n,
                         struct err *e)
{
	char name[COMMAND_NAME_SIZE];
	size_t i = c->n;

	while (!c->more && o->state.n && o->state.n < OPTION_LIST_MAX && i < n)
		o->state.items[o->state.n++] = o->operands[i++];
	n -= i > c->n ? i - c->n : 0;
	o->n_operands = n;
	if (c->more ? n >= c->n : n == c->n || (c->optional && n < c->n))
		return 0;
	return err_set(e, -EINVAL, ERR_CONFIG, "usage: fairlead %s%s%s", command_name(c, name),
	               *c->operands ? " " : "", c->operands);
}

static int parse(int argc, char **argv, struct command_options *o,
                 const struct command **ret_command, struct err *e)
{
	struct flag_choices choices = FLAG_CHOICES_INIT;
	struct flag flags[FLAGS_MAX];
	struct option_row rows[FLAGS_MAX];
	bool help = false;
	uint64_t given = 0;
	const struct options options = { .usage = "fairlead [OPTION]… COMMAND",
		                         .rows = rows,
		                         .max_operands = OPERANDS_MAX,
		                         .help = &help,
		                         .given = &given };
	size_t n = 0, n_words = 0;

	flags_fill(o, &choices, flags);
	for (size_t i = 0; i < FLAGS_MAX; i++)
		rows[i] = flags[i].row;
	int r = options_parse(&options, argc, argv, &n, e);
	if (r != OPTIONS_RUN)
		return r;
	flags_finish(o, &choices);
	const struct command *c = command_find(argv + 1, n, &n_words);
	if (help && (c || !n)) {
		help_print(c);
		return OPTIONS_DONE;
	}
	if (!c)
		return command_missing(argv + 1, n, e);
	r = flags_check(flags, given, c, o, e);
	if (r < 0)
		return r;
	o->operands = argv + 1 + n_words;
	*ret_command = c;
	r = take_operands(c, o, n - n_words, e);
	return r < 0 ? r : OPTIONS_RUN;
}

/*
 * An answer that could not be written is a failure, unless the reader closed the pipe because it
 * has seen enough.
 */
static int flush(int exit_status)
{
	errno = 0;
	if ((fflush(stdout) == 0 && !ferror(stdout)) || errno == EPIPE)
		return exit_status;
	fprintf(stderr, "fairlead: standard output: %s\n", errno ? strerror(errno) : "not written");
	return exit_status == COMMAND_OK ? COMMAND_FAILED : exit_status;
}

int main(int argc, char **argv)
{
	struct command_options o = COMMAND_OPTIONS_INIT;
	const struct command *command = NULL;
	struct err e = ERR_INIT;

	streams_hold();
	/* The rooms log what a daemon would; here only what went wrong is of interest. */
	log_set_level(LOG_ERROR);
	signal(SIGPIPE, SIG_IGN);
	if (argc > 1 && !strcmp(argv[1], COMPLETE_WORD)) {
		complete(argv + 2, (size_t)argc - 2);
		return flush(COMMAND_OK);
	}
	if (argc > 1 && !strcmp(argv[1], TEST_ECHO_WORD))
		return test_echo_main(argv + 2);
	if (argc > 1 && !strcmp(argv[1], TEST_PROBE_WORD))
		return test_probe_main(argv + 2);
	int r = parse(argc, argv, &o, &command, &e);

	if (r == OPTIONS_DONE)
		return flush(COMMAND_OK);
	if (r < 0) {
		buf_plain(e.msg);
		fprintf(stderr, "fairlead: %s\n", e.msg);
		return COMMAND_USAGE;
	}
	r = command->run(&o, &e);
	buf_plain(e.msg);
	if (e.blame != ERR_NONE)
		fprintf(stderr, "fairlead: %s\n", e.msg);
	return flush(r);
}
