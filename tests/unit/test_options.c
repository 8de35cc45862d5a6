/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <errno.h>

#include "fairlead/mem.h"
#include "fairlead/options.h"

static struct options_daemon daemon_options;
static const char *mode, *output;
static int seconds;
static bool clean;

static const struct option_row rows[] = {
	OPTIONS_DAEMON(daemon_options),
	{ "mode", 0, "MODE", "how", OPTION_CHOICE, &mode, .choices = "none|iptables" },
	{ "output", 'o', "FORMAT", "as what", OPTION_CHOICE, &output, .choices = "text|json" },
	{ "seconds", 0, "SECONDS", "how long", OPTION_INT, &seconds, .min = 1, .max = 60 },
	{ "cleanup", 0, NULL, "clean up", OPTION_SWITCH, &clean },
	{ 0 },
};
static const struct options options = {
	.usage = "test [OPTION…]", .about = "A test.", .rows = rows, .max_operands = 2
};

static int parse(const char *const *args, size_t *ret_n, char **ret_argv, struct err *e)
{
	int argc = 0;

	daemon_options = (struct options_daemon){ .http = "0.0.0.0:1", .log_level = LOG_INFO };
	mode = "none";
	output = "text";
	seconds = 15;
	clean = false;
	ret_argv[argc++] = (char *)(uintptr_t) "test";
	for (; *args; args++)
		ret_argv[argc++] = (char *)(uintptr_t)*args;
	ret_argv[argc] = NULL;
	return options_parse(&options, argc, ret_argv, ret_n, e);
}

static void values_are_taken(void **state)
{
	(void)state;
	static const char *const args[] = { "status",       "--kubeconfig",
		                            "/f",           "--http=[::]:1",
		                            "--log-level",  "debug",
		                            "--mode",       "iptables",
		                            "-ojson",       "--seconds=60",
		                            "--cleanup",    "--",
		                            "--not-a-flag", NULL };
	char *argv[20];
	size_t n = 0;
	struct err e = ERR_INIT;

	assert_int_equal(parse(args, &n, argv, &e), OPTIONS_RUN);
	assert_int_equal(n, 2);
	assert_string_equal(argv[1], "status");
	assert_string_equal(argv[2], "--not-a-flag");
	assert_string_equal(daemon_options.kube.kubeconfig, "/f");
	assert_null(daemon_options.kube.context);
	assert_string_equal(daemon_options.http, "[::]:1");
	assert_int_equal(daemon_options.log_level, LOG_DEBUG);
	assert_string_equal(mode, "iptables");
	assert_string_equal(output, "json");
	assert_int_equal(seconds, 60);
	assert_true(clean);
}

static void errors_name_the_flag_and_what_is_right(void **state)
{
	(void)state;
	static const struct {
		const char *args[4];
		const char *says[2];
	} cases[] = {
		{ { "--nope" }, { "--nope", "--help" } },
		{ { "--nope=x" }, { "flag --nope;", "--help" } },
		{ { "--http" }, { "--http", "ADDRESS:PORT" } },
		{ { "--http=" }, { "--http", "ADDRESS:PORT" } },
		{ { "--mode", "ipvs" }, { "--mode ipvs", "none|iptables" } },
		{ { "--mode", "none|iptables" }, { "--mode", "one of" } },
		{ { "--mode=" }, { "--mode", "none|iptables" } },
		{ { "-o", "yaml" }, { "--output yaml", "text|json" } },
		{ { "--seconds", "0" }, { "--seconds 0", "from 1 to 60" } },
		{ { "--seconds", "1x" }, { "--seconds 1x", "whole number" } },
		{ { "--seconds", "99999999999999999999" }, { "--seconds", "from 1 to 60" } },
		{ { "--cleanup=yes" }, { "--cleanup", "no value" } },
		{ { "--log-level", "loud" }, { "--log-level loud", "debug" } },
		{ { "a", "b", "c" }, { "\"c\"", "usage: test" } },
		{ { "-x" }, { "-x", "--help" } },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *argv[6];
		size_t n = 0;
		struct err e = ERR_INIT;
		assert_int_equal(parse(cases[i].args, &n, argv, &e), -EINVAL);
		assert_int_equal(e.blame, ERR_CONFIG);
		for (size_t k = 0; k < 2; k++)
			if (!strstr(e.msg, cases[i].says[k]))
				fail_msg("\"%s\" does not say \"%s\"", e.msg, cases[i].says[k]);
	}
}

static void namespace_has_a_default(void **state)
{
	(void)state;
	struct options_kube k = { .kubeconfig = "/f" };
	cleanup_free char *fallback = options_namespace(&k);
	assert_string_equal(fallback, "fairlead-system");
	k.namespace = "lb";
	cleanup_free char *given = options_namespace(&k);
	assert_string_equal(given, "lb");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_taken),
		cmocka_unit_test(errors_name_the_flag_and_what_is_right),
		cmocka_unit_test(namespace_has_a_default),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
