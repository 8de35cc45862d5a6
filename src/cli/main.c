/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "fairlead/buf.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/streams.h"

#define SPEAKER_PORT 17482
#define TIMEOUT_S 60
#define OPERANDS_MAX (OPTION_LIST_MAX + 2)

enum {
	TAKES_NODE = 1,
	TAKES_CONFIG = 2,
	TAKES_STATE = 4,
	TAKES_CLASS = 8,
	TAKES_UNINSTALL = 16,
	TAKES_VERDICT = 32,
	TAKES_SERVICES = 64,
};

static const struct command {
	const char *words[2]; /* the second one NULL: one word */
	const char *operands; /* what --help calls them; "": none */
	size_t n;             /* of its own; behind them may stand more files of --state */
	int (*run)(const struct command_options *o, struct err *e);
	unsigned int takes; /* of the options that others do not know */
	bool more;          /* n, or more of the same */
} commands[] = {
	{ { "bgp", NULL }, "", 0, command_bgp, TAKES_VERDICT },
	{ { "config", "check" }, "FILE", 1, command_config_check },
	{ { "config", "convert" }, "FILE…", 1, command_config_convert, .more = true },
	{ { "explain", NULL },
	  "[NAMESPACE/]SERVICE",
	  1,
	  command_explain,
	  TAKES_NODE | TAKES_CONFIG | TAKES_STATE | TAKES_CLASS },
	{ { "plan", NULL },
	  "--config FILE [--state FILE…]",
	  0,
	  command_plan,
	  TAKES_CONFIG | TAKES_STATE | TAKES_CLASS },
	{ { "pools", NULL }, "", 0, command_pools, TAKES_VERDICT },
	{ { "status", NULL }, "", 0, command_status, TAKES_VERDICT | TAKES_SERVICES },
	{ { "uninstall", NULL }, "", 0, command_uninstall, TAKES_UNINSTALL },
};

static const char after[] =
	"Commands:\n"
	"  bgp                         the BGP sessions of every node: state, uptime, last error, prefixes\n"
	"                              wanted and sent; and what stands in the way of BGP there\n"
	"  config check FILE           is this a configuration that the controller takes?  FILE is\n"
	"                              the YAML, or the manifest of a ConfigMap that holds it\n"
	"  config convert FILE…        MetalLB's custom resources as a configuration of Fairlead; what is\n"
	"                              lost is reported with its object.  FILE… are manifests, as kubectl\n"
	"                              get -o yaml prints them; - is standard input\n"
	"  explain [NAMESPACE/]SERVICE [--node NODE] [--config FILE --state FILE…]\n"
	"                              where the Service's addresses are announced, where not and why,\n"
	"                              and what would change it\n"
	"  plan --config FILE [--state FILE…] [--load-balancer-class NAME]\n"
	"                              what the controller would do with the Services' addresses under\n"
	"                              this configuration, in the live cluster or in that of the\n"
	"                              manifests; nothing is written\n"
	"  pools                       pools with their addresses, used and free\n"
	"  status                      whether all is well, and what is not, why, and what to do; pools,\n"
	"                              Services with addresses, owners and reasons, nodes with their\n"
	"                              speakers\n"
	"  uninstall [--release-addresses] [--timeout SECONDS] [--yes]\n"
	"                              tells every speaker to take away what it announces and its rules,\n"
	"                              and waits for it; to be followed by deleting the Pods\n"
	"\n"
	"Exit status:\n"
	"  0                           answered; config check: it is valid; status, pools, bgp: the verdict\n"
	"                              is OK\n"
	"  1                           status, pools, bgp: the verdict is degraded; a file or an object\n"
	"                              could not be read (the answer is then without that object), the API\n"
	"                              server could not be asked;\n"
	"                              config check, config convert: it is not valid; uninstall: not all\n"
	"                              has been cleaned up in time, or it cannot be verified\n"
	"  2                           status, pools, bgp: the verdict is down;\n"
	"  2                           plan: some Service's address moves or falls silent, or a\n"
	"                              Service fails;\n"
	"                              config convert: it is valid, and something was lost\n"
	"  3                           explain: printed, but a speaker did not answer\n"
	"  64                          wrong command line\n";

static const struct command *find_command(char **words, size_t n, size_t *ret_n_words)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		const struct command *c = &commands[i];
		size_t n_words = c->words[1] ? 2 : 1;
		if (n < n_words || strcmp(words[0], c->words[0]) != 0 ||
		    (c->words[1] && strcmp(words[1], c->words[1]) != 0))
			continue;
		*ret_n_words = n_words;
		return c;
	}
	return NULL;
}

static int no_command(char **words, size_t n, struct err *e)
{
	cleanup(buf_fini) struct buf all = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		buf_printf(&all, "%s%s%s%s", i ? ", " : "", commands[i].words[0],
		           commands[i].words[1] ? " " : "",
		           commands[i].words[1] ? commands[i].words[1] : "");
	if (n)
		return err_set(e, -EINVAL, ERR_CONFIG, "no command \"%.100s\"; there are %s",
		               words[0], buf_str(&all));
	return err_set(e, -EINVAL, ERR_CONFIG, "no command given; there are %s", buf_str(&all));
}

/*
 * What a command would not look at is refused: it was meant to change the answer.  But how to reach a cluster may be told to any,
 * as by an alias.
 */
static int check_taken(const struct command *c, const struct command_options *o, struct err *e)
{
	const struct {
		unsigned int bit;
		const char *name;
		bool given;
	} rows[] = {
		{ TAKES_NODE, "node", o->node },
		{ TAKES_CONFIG, "config", o->config },
		{ TAKES_STATE, "state", o->state.n > 0 },
		{ TAKES_CLASS, "load-balancer-class", o->load_balancer_class },
		{ TAKES_UNINSTALL, "release-addresses", o->release_addresses },
		{ TAKES_UNINSTALL, "yes", o->yes },
		{ TAKES_VERDICT, "output wide", o->format == OUT_WIDE },
		{ TAKES_VERDICT, "output name", o->format == OUT_NAME },
		{ TAKES_VERDICT, "watch", o->watch },
		{ TAKES_VERDICT, "wait", o->wait_s },
		{ TAKES_VERDICT, "exit-code", o->exit_by_answer },
		{ TAKES_SERVICES, "summary", o->summary },
		{ TAKES_SERVICES, "service-namespace", o->service_namespace },
		{ TAKES_SERVICES, "selector", o->selector },
		{ TAKES_UNINSTALL, "timeout", o->timeout_s != TIMEOUT_S },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].given && !(c->takes & rows[i].bit))
			return err_set(e, -EINVAL, ERR_CONFIG, "%s%s%s takes no --%s", c->words[0],
			               c->words[1] ? " " : "", c->words[1] ? c->words[1] : "",
			               rows[i].name);
	return 0;
}

static enum out_format format_named(const char *name)
{
	static const char *const names[] = { [OUT_JSON] = "json",
		                             [OUT_YAML] = "yaml",
		                             [OUT_TEXT] = "text",
		                             [OUT_WIDE] = "wide",
		                             [OUT_NAME] = "name" };
	size_t i = 0;

	while (i < OUT_NAME && strcmp(names[i], name) != 0)
		i++;
	return (enum out_format)i;
}

static int parse(int argc, char **argv, struct command_options *o,
                 const struct command **ret_command, struct err *e)
{
	const char *output = "text", *exit_code = "verdict";
	const struct option_row rows[] = {
		{ "output", 'o', "FORMAT", "what to print (wide and name: status, pools, bgp)",
		  OPTION_CHOICE, &output, .choices = "text|wide|json|yaml|name" },
		{ "service-namespace", 'n', "NAME", "status: the Services of this namespace only",
		  OPTION_STRING, &o->service_namespace },
		{ "selector", 'l', "SELECTOR",
		  "status: the Services with these labels only, as with kubectl get", OPTION_STRING,
		  &o->selector },
		{ "summary", 0, NULL, "status: the verdict alone", OPTION_SWITCH, &o->summary },
		{ "watch", 'w', NULL, "status, pools, bgp: again and again", OPTION_SWITCH,
		  &o->watch },
		{ "wait", 0, "SECONDS",
		  "status, pools, bgp: until the verdict is OK, for 60 seconds unless told, and "
		  "print only then",
		  OPTION_INT, &o->wait_s, .min = 1, .max = 86400, .implied = "60" },
		{ "exit-code", 0, "WHAT",
		  "status, pools, bgp: whether the exit status tells the verdict, or only that "
		  "there is an answer",
		  OPTION_CHOICE, &exit_code, .choices = "verdict|answer" },
		OPTIONS_KUBE(o->kube),
		{ "node", 0, "NAME", "explain: this node only", OPTION_STRING, &o->node },
		{ "config", 0, "FILE",
		  "plan, explain: the configuration, as YAML or as the manifest of its ConfigMap",
		  OPTION_STRING, &o->config },
		{ "state", 0, "FILE…",
		  "plan, explain: manifests, YAML or JSON, instead of the live cluster; may be given "
		  "again",
		  OPTION_LIST, &o->state },
		{ "load-balancer-class", 0, "NAME",
		  "plan, explain: the class that the controller handles", OPTION_STRING,
		  &o->load_balancer_class },
		{ "release-addresses", 0, NULL,
		  "uninstall: take the addresses back out of the Services, too, so that nobody who "
		  "installs again finds them there",
		  OPTION_SWITCH, &o->release_addresses },
		{ "yes", 'y', NULL, "uninstall: do not ask at a terminal whether to go on",
		  OPTION_SWITCH, &o->yes },
		{ "timeout", 0, "SECONDS", "uninstall: how long to wait", OPTION_INT, &o->timeout_s,
		  .min = 0, .max = 3600 },
		{ "speaker-port", 0, "PORT", "where the speakers serve /status on their nodes",
		  OPTION_INT, &o->speaker.port, .min = 1, .max = UINT16_MAX },
		{ "speaker-token-file", 0, "FILE",
		  "the token that the speakers want for /status (their --http-token-file)",
		  OPTION_STRING, &o->speaker.token_file },
		{ 0 },
	};
	const struct options options = {
		.usage = "fairlead [OPTION]… COMMAND",
		.about = "Says what Fairlead does in this cluster, what it would do, and why.  It "
			 "changes nothing, but for uninstall.",
		.rows = rows,
		.after = after,
		.max_operands = OPERANDS_MAX,
	};
	size_t n = 0, n_words = 0;
	int r = options_parse(&options, argc, argv, &n, e);

	if (r != OPTIONS_RUN)
		return r;
	o->format = format_named(output);
	o->exit_by_answer = !strcmp(exit_code, "answer");
	const struct command *c = find_command(argv + 1, n, &n_words);
	if (!c)
		return no_command(argv + 1, n, e);
	r = check_taken(c, o, e);
	if (r < 0)
		return r;
	o->operands = argv + 1 + n_words;
	n -= n_words;
	size_t i = c->n;
	while (o->state.n && o->state.n < OPTION_LIST_MAX && i < n)
		o->state.items[o->state.n++] = o->operands[i++];
	n -= i - c->n;
	o->n_operands = n;
	if (c->more ? n < c->n : n != c->n)
		return err_set(e, -EINVAL, ERR_CONFIG, "usage: fairlead %s%s%s%s%s", c->words[0],
		               c->words[1] ? " " : "", c->words[1] ? c->words[1] : "",
		               *c->operands ? " " : "", c->operands);
	*ret_command = c;
	return OPTIONS_RUN;
}

/* An answer that could not be written is none; whoever closed the pipe wanted no more. */
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
	struct command_options o = { .speaker.port = SPEAKER_PORT, .timeout_s = TIMEOUT_S };
	const struct command *command = NULL;
	struct err e = ERR_INIT;

	streams_hold();
	int r = parse(argc, argv, &o, &command, &e);

	if (r == OPTIONS_DONE)
		return flush(COMMAND_OK);
	if (r < 0) {
		fprintf(stderr, "fairlead: %s\n", e.msg);
		return COMMAND_USAGE;
	}
	/* The rooms log what a daemon would; here only what went wrong is of interest. */
	log_set_level(LOG_ERROR);
	signal(SIGPIPE, SIG_IGN);
	r = command->run(&o, &e);
	buf_plain(e.msg);
	if (e.blame != ERR_NONE)
		fprintf(stderr, "fairlead: %s\n", e.msg);
	return flush(r);
}
