/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

#define SPEAKER_PORT 7472

static const struct command {
	const char *name;
	int (*run)(const struct command_options *o, struct err *e);
} commands[] = {
	{ "status", command_status },
};

static const char after[] =
	"Commands:\n"
	"  status                      pools, Services with addresses, owners and reasons, nodes with\n"
	"                              their speakers\n"
	"\n"
	"Exit status: 0 if all were asked and answered, 1 if the API server could not be asked,\n"
	"2 for a wrong command line, 3 if the answer was printed but a speaker did not answer.\n";

static int parse(int argc, char **argv, struct command_options *o,
                 const struct command **ret_command, struct err *e)
{
	const char *output = "text";
	const struct option_row rows[] = {
		{ "output", 'o', "FORMAT", "what to print", OPTION_CHOICE, &output,
		  .choices = "text|json" },
		OPTIONS_KUBE(o->kube),
		{ "speaker-port", 0, "PORT", "where the speakers serve /status on their nodes",
		  OPTION_INT, &o->speaker_port, .min = 1, .max = UINT16_MAX },
		{ 0 },
	};
	const struct options options = {
		.usage = "fairlead [OPTION]… COMMAND",
		.about = "Asks the API server and every node's speaker what Fairlead does in this "
			 "cluster, and why.",
		.rows = rows,
		.after = after,
		.max_operands = 1,
	};
	size_t n = 0;
	int r = options_parse(&options, argc, argv, &n, e);

	if (r != OPTIONS_RUN)
		return r;
	o->json = !strcmp(output, "json");
	for (size_t i = 0; n && i < ARRAY_LEN(commands); i++)
		if (!strcmp(argv[1], commands[i].name)) {
			*ret_command = &commands[i];
			return OPTIONS_RUN;
		}
	if (n)
		return err_set(e, -EINVAL, ERR_CONFIG, "no command \"%.100s\"; there is status",
		               argv[1]);
	return err_set(e, -EINVAL, ERR_CONFIG, "no command given; there is status");
}

int main(int argc, char **argv)
{
	struct command_options o = { .speaker_port = SPEAKER_PORT };
	const struct command *command = NULL;
	struct err e = ERR_INIT;
	int r = parse(argc, argv, &o, &command, &e);

	if (r == OPTIONS_DONE)
		return COMMAND_OK;
	if (r < 0) {
		fprintf(stderr, "fairlead: %s\n", e.msg);
		return COMMAND_USAGE;
	}
	/* The rooms log what a daemon would; here only what went wrong is of interest. */
	log_set_level(LOG_ERROR);
	signal(SIGPIPE, SIG_IGN);
	r = command->run(&o, &e);
	if (r == COMMAND_FAILED)
		fprintf(stderr, "fairlead: %s\n", e.msg);
	return r;
}
