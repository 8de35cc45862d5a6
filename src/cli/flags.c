/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/flags.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "fairlead/mem.h"
#include "fairlead/proxy.h"

#define TIMEOUT_MAX_S 3600
/* Anybody may be told these. */
#define FLAGS_COMMON (FLAGS_CLUSTER | FLAGS_SPEAKERS | FLAGS_OUTPUT)

void flags_fill(struct command_options *o, struct flag_choices *choices,
                struct flag ret[static FLAGS_MAX])
{
	const struct option_row kube[] = { OPTIONS_KUBE(o->kube) };
	const struct option_row plane[] = { OPTIONS_FACTS(o->proxy.flags) };
	const struct flag flags[] = {
		{ { "output", 'o', "FORMAT", "what to print", OPTION_CHOICE, &choices->output,
		    .choices = "text|wide|json|yaml|name|markdown" },
		  FLAGS_OUTPUT,
		  NAMES_NONE },
		{ { "service-namespace", 'n', "NAME", "the Services of this namespace only",
		    OPTION_STRING, &o->service_namespace },
		  FLAGS_SERVICES,
		  NAMES_NAMESPACES },
		{ { "selector", 'l', "SELECTOR",
		    "the Services with these labels only, as with kubectl get", OPTION_STRING,
		    &o->selector },
		  FLAGS_SERVICES,
		  NAMES_NONE },
		{ { "summary", 0, NULL, "the verdict alone, or one line", OPTION_SWITCH,
		    &o->summary },
		  FLAGS_SERVICES | FLAGS_SUMMARY,
		  NAMES_NONE },
		{ { "watch", 'w', NULL, "again and again; plan: whenever a file was changed",
		    OPTION_SWITCH, &o->watch },
		  FLAGS_VERDICT | FLAGS_WATCH,
		  NAMES_NONE },
		{ { "wait", 0, "SECONDS",
		    "until the verdict is OK, for 60 seconds unless told, and print only then",
		    OPTION_INT, &o->wait_s, .min = 1, .max = 86400, .implied = "60" },
		  FLAGS_VERDICT,
		  NAMES_NONE },
		{ { "exit-code", 0, "WHAT",
		    "whether the exit status tells the verdict, or only that there is an answer",
		    OPTION_CHOICE, &choices->exit_code, .choices = "verdict|answer" },
		  FLAGS_VERDICT,
		  NAMES_NONE },
		{ kube[0], FLAGS_CLUSTER, NAMES_FILES },
		{ kube[1], FLAGS_CLUSTER, NAMES_NONE },
		{ kube[2], FLAGS_CLUSTER, NAMES_NAMESPACES },
		{ { "node", 0, "NAME", "this node only", OPTION_STRING, &o->node },
		  FLAGS_NODE,
		  NAMES_NODES },
		{ { "config", 0, "FILE",
		    "the configuration, as YAML or as the manifest of its ConfigMap", OPTION_STRING,
		    &o->config },
		  FLAGS_CONFIG | FLAGS_CONFIG_FILE,
		  NAMES_FILES },
		{ { "state", 0, "FILE…",
		    "manifests, YAML or JSON, instead of the live cluster; may be given again",
		    OPTION_LIST, &o->state },
		  FLAGS_CONFIG | FLAGS_STATE,
		  NAMES_FILES },
		{ { "pool", 0, "NAME",
		    "this pool only; move: any address of it; reserve: of which the address has to be",
		    OPTION_STRING, &o->pool },
		  FLAGS_POOL,
		  NAMES_NONE },
		{ { "addresses", 0, NULL,
		    "each address, with who has it or why nobody is given it; large pools in "
		    "blocks",
		    OPTION_SWITCH, &o->addresses },
		  FLAGS_ADDRESSES,
		  NAMES_NONE },
		{ { "load-balancer-class", 0, "NAME", "the class that the controller handles",
		    OPTION_STRING, &o->load_balancer_class },
		  FLAGS_CONFIG | FLAGS_TEST | FLAGS_CLASS,
		  NAMES_NONE },
		{ { "config-map", 0, "NAME",
		    "the administrator's ConfigMap, if its name is not the one that the controller "
		    "tells",
		    OPTION_STRING, &o->config_map },
		  FLAGS_ADMIN,
		  NAMES_NONE },
		{ { "client", 0, NULL, "that of this program alone; no cluster is asked",
		    OPTION_SWITCH, &o->client_only },
		  FLAGS_CLIENT,
		  NAMES_NONE },
		{ { "release-addresses", 0, NULL,
		    "take the addresses back out of the Services, too, so that nobody who installs "
		    "again finds them there",
		    OPTION_SWITCH, &o->release_addresses },
		  FLAGS_UNINSTALL,
		  NAMES_NONE },
		{ { "yes", 'y', NULL,
		    "move, rebalance, release and uninstall do not ask whether to go on; test --clean-up "
		    "removes also what another test may be using",
		    OPTION_SWITCH, &o->yes },
		  FLAGS_UNINSTALL | FLAGS_TEST | FLAGS_EDIT,
		  NAMES_NONE },
		{ { "dry-run", 0, NULL,
		    "show what would be done and what would come of it, and end", OPTION_SWITCH,
		    &o->dry_run },
		  FLAGS_EDIT,
		  NAMES_NONE },
		{ { "timeout", 0, "SECONDS", "how long to wait", OPTION_INT, &o->timeout_s,
		    .min = 0, .max = TIMEOUT_MAX_S },
		  FLAGS_UNINSTALL | FLAGS_TEST,
		  NAMES_NONE },
		{ { "image", 0, "IMAGE",
		    "what the test's Pod runs in place of Fairlead's own image; any answer to HTTP "
		    "with status 200 counts",
		    OPTION_STRING, &o->test.image },
		  FLAGS_TEST,
		  NAMES_NONE },
		{ { "port", 0, "PORT", "where that image answers HTTP", OPTION_INT, &o->test.port,
		    .min = 1, .max = UINT16_MAX },
		  FLAGS_TEST,
		  NAMES_NONE },
		{ { "address-pool", 0, "NAME", "the pool that the test's address is to be from",
		    OPTION_STRING, &o->test.address_pool },
		  FLAGS_TEST,
		  NAMES_NONE },
		{ { "test-namespace", 0, "NAME",
		    "what the test's namespace is to be called, which must not be there yet, "
		    "fairlead-test-XXXXX unless told; with --clean-up, the only one to remove",
		    OPTION_STRING, &o->test.namespace },
		  FLAGS_TEST,
		  NAMES_NONE },
		{ { "host-network", 0, NULL,
		    "let the Pods that ask use the network of their nodes, which policy Local "
		    "takes for clients from outside",
		    OPTION_SWITCH, &o->test.host_network },
		  FLAGS_TEST,
		  NAMES_NONE },
		{ { "keep", 0, NULL, "leave the test's namespace there", OPTION_SWITCH,
		    &o->test.keep },
		  FLAGS_TEST,
		  NAMES_NONE },
		{ { "clean-up", 0, NULL,
		    "test nothing; remove what earlier tests have left in the cluster",
		    OPTION_SWITCH, &o->test.clean_up },
		  FLAGS_TEST,
		  NAMES_NONE },
		{ { "file", 'f', "FILE",
		    "where to write it; one that is there is left as it is; -: to standard output; "
		    "fairlead-sysdump-DATE.tar.gz in the working directory unless told",
		    OPTION_STRING, &o->file },
		  FLAGS_SYSDUMP,
		  NAMES_FILES },
		{ { "since", 0, "TIME",
		    "logs, or entries, from then on only: so long ago, such as 90s, 30m, 2h, 3d or "
		    "1w, or a date, such as 2026-11-20",
		    OPTION_STRING, &o->since },
		  FLAGS_SYSDUMP | FLAGS_SINCE,
		  NAMES_NONE },
		{ { "tail-lines", 0, "LINES", "the last lines of each log, so many at most",
		    OPTION_INT, &o->tail_lines, .min = 1, .max = 1000000 },
		  FLAGS_SYSDUMP,
		  NAMES_NONE },
		{ { "kube-proxy-args", 0, "ARGS",
		    "kube-proxy's command line, instead of a FILE: in quotes, its flags with spaces "
		    "between them",
		    OPTION_STRING, &o->kube_proxy_args },
		  FLAGS_CONVERT,
		  NAMES_NONE },
		{ { "from", 0, "ADDRESS", "who sends the packet that is followed", OPTION_STRING,
		    &o->packet.from },
		  FLAGS_PACKET,
		  NAMES_NONE },
		{ { "to", 0, "ADDRESS[:PORT[/PROTO]]",
		    "where it goes, by TCP unless told; an IPv6 address stands in brackets; move: "
		    "the address to ask for, or several with commas between",
		    OPTION_STRING, &o->packet.to },
		  FLAGS_PACKET | FLAGS_TO,
		  NAMES_NONE },
		{ { "mode", 0, "MODE", "who carries the traffic (the speakers' --proxy-mode)",
		    OPTION_CHOICE, &o->proxy.mode, .choices = PROXY_MODES },
		  FLAGS_PROXY,
		  NAMES_NONE },
		{ plane[0], FLAGS_PROXY, NAMES_NONE },
		{ plane[1], FLAGS_PROXY, NAMES_NONE },
		{ plane[2], FLAGS_PROXY, NAMES_NONE },
		{ plane[3], FLAGS_PROXY, NAMES_NONE },
		{ plane[4], FLAGS_PROXY, NAMES_NONE },
		{ plane[5], FLAGS_PROXY, NAMES_NONE },
		{ plane[6], FLAGS_PROXY, NAMES_NONE },
		{ plane[7], FLAGS_PROXY, NAMES_NONE },
		{ { "family", 0, "FAMILY",
		    "IPv4 or IPv6 alone; without it those that the Services have", OPTION_CHOICE,
		    &o->proxy.family, .choices = "any|4|6" },
		  FLAGS_FAMILY,
		  NAMES_NONE },
		{ { "speaker-port", 0, "PORT", "where the speakers serve /status on their nodes",
		    OPTION_INT, &o->speaker.port, .min = 1, .max = UINT16_MAX },
		  FLAGS_SPEAKERS,
		  NAMES_NONE },
		{ { "speaker-token-file", 0, "FILE",
		    "the token that the speakers want for /status (their --http-token-file)",
		    OPTION_STRING, &o->speaker.token_file },
		  FLAGS_SPEAKERS,
		  NAMES_FILES },
	};

	_Static_assert(ARRAY_LEN(kube) == 3 && ARRAY_LEN(plane) == OPTIONS_FACTS_N &&
	                       ARRAY_LEN(flags) < FLAGS_MAX,
	               "rows");
	memcpy(ret, flags, sizeof(flags));
	ret[ARRAY_LEN(flags)] = (struct flag){ .row = { .name = NULL } };
}

/* Flags that mean something else to some commands than to others: the last row that fits counts. */
#define TIMES "so long ago, such as 90s, 30m, 2h, 3d or 1w, or a date, such as 2026-11-20"
static const struct {
	const char *flag;
	unsigned int group; /* of the commands */
	const char *help;
	const char *value; /* NULL: the row's */
} own[] = {
	{ "summary", FLAGS_SERVICES, "the verdict alone", NULL },
	{ "summary", FLAGS_SUMMARY, "the answer in one line", NULL },
	{ "watch", FLAGS_VERDICT, "again and again", NULL },
	{ "watch", FLAGS_WATCH, "again whenever a file was changed", NULL },
	{ "dry-run", FLAGS_SPEAKERS, "show what would go from whom to whom, and end", NULL },
	{ "pool", FLAGS_ADDRESSES, "this pool only", NULL },
	{ "pool", FLAGS_CLASS, "the address has to be of this pool", NULL },
	{ "pool", FLAGS_TO, "ask for any address of this pool", NULL },
	{ "yes", FLAGS_UNINSTALL, "do not ask at a terminal whether to go on", NULL },
	{ "yes", FLAGS_EDIT, "do not ask whether to go on", NULL },
	{ "yes", FLAGS_TEST, "with --clean-up, remove also what another test may be using", NULL },
	{ "since", FLAGS_SYSDUMP, "logs from then on only: " TIMES, NULL },
	{ "since", FLAGS_SINCE, "entries from then on only: " TIMES, NULL },
	{ "to", FLAGS_PACKET,
	  "where it goes, by TCP unless told; an IPv6 address stands in brackets",
	  "ADDRESS:PORT[/PROTO]" },
	{ "to", FLAGS_TO, "the address to ask for, or several with commas between",
	  "ADDRESS[,ADDRESS]..." },
	/* Its other words are Services. */
	{ "state", FLAGS_FAMILY,
	  "manifests, YAML or JSON, instead of the live cluster; given again before each further "
	  "file",
	  "FILE" },
};

struct option_row flags_row(const struct flag *f, const struct command *c)
{
	struct option_row row = f->row;

	row.choices = flags_choices(f, c);
	for (size_t i = 0; c && i < ARRAY_LEN(own); i++) {
		if (!(own[i].group & c->flags) || strcmp(own[i].flag, row.name) != 0)
			continue;
		row.help = own[i].help;
		row.value = own[i].value ? own[i].value : row.value;
	}
	return row;
}

const char *flags_choices(const struct flag *f, const struct command *c)
{
	if (f->group == FLAGS_OUTPUT && c)
		return c->flags & FLAGS_VERDICT    ? "text|wide|json|yaml|name"
		       : c->flags & FLAGS_WIDE     ? "text|wide|json|yaml"
		       : c->flags & FLAGS_MARKDOWN ? "text|json|yaml|markdown"
		                                   : "text|json|yaml";
	return f->row.choices;
}

void flags_finish(struct command_options *o, const struct flag_choices *choices)
{
	static const char *const names[] = { [OUT_JSON] = "json",
		                             [OUT_YAML] = "yaml",
		                             [OUT_TEXT] = "text",
		                             [OUT_WIDE] = "wide",
		                             [OUT_NAME] = "name" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(names[i], choices->output))
			o->format = (enum out_format)i;
	o->markdown = !strcmp(choices->output, "markdown");
	if (o->markdown)
		o->format = OUT_TEXT;
	o->exit_by_answer = !strcmp(choices->exit_code, "answer");
}

int flags_check(const struct flag *flags, uint64_t given, const struct command *c,
                const struct command_options *o, struct err *e)
{
	char name[COMMAND_NAME_SIZE];

	for (size_t i = 0; flags[i].row.name; i++)
		if ((given & UINT64_C(1) << i) && !(flags[i].group & (c->flags | FLAGS_COMMON)))
			return err_set(e, -EINVAL, ERR_CONFIG, "%s takes no --%s",
			               command_name(c, name), flags[i].row.name);
	if ((c->flags & FLAGS_TEST) && o->timeout_s == 0)
		return err_set(
			e, -EINVAL, ERR_CONFIG,
			"%s: --timeout 0 leaves no time for any check: it is a whole number from "
			"1 to %d",
			command_name(c, name), TIMEOUT_MAX_S);
	if (o->markdown && !(c->flags & FLAGS_MARKDOWN))
		return err_set(e, -EINVAL, ERR_CONFIG, "%s takes no --output markdown",
		               command_name(c, name));
	if ((o->format == OUT_NAME && !(c->flags & FLAGS_VERDICT)) ||
	    (o->format == OUT_WIDE && !(c->flags & (FLAGS_VERDICT | FLAGS_WIDE))))
		return err_set(e, -EINVAL, ERR_CONFIG, "%s takes no --output %s",
		               command_name(c, name), o->format == OUT_WIDE ? "wide" : "name");
	return 0;
}
