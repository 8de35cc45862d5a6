/* SPDX-License-Identifier: Apache-2.0 */
/* `fairlead plan`: what would become of the Services' addresses under another configuration. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/file.h"
#include "cli/plan.h"
#include "cli/trial.h"
#include "cli/watched.h"
#include "fairlead/mem.h"

static void print(const struct plan *p, struct command_answer *a, const struct command_options *o)
{
	cleanup(buf_fini) struct buf line = BUF_INIT;

	if (o->markdown) {
		plan_markdown(p, &a->text);
	} else if (o->summary) {
		plan_summary(p, &line);
		out_object(&a->out, NULL);
		out_str(&a->out, "summary", buf_str(&line));
		out_bool(&a->out, "bad", plan_is_bad(p));
		out_say(&a->out, "%s", buf_str(&line));
		out_close(&a->out);
	} else {
		plan_print(p, &a->out);
	}
}

static int plan_under(struct configuration *c, const struct command_options *o,
                      struct command_answer *a, struct err *e)
{
	cleanup(trial_fini) struct trial t = { .o = o };
	cleanup(buf_fini) struct buf warnings = BUF_INIT;

	if (trial_read_for(&t, o, c, e) < 0)
		return COMMAND_FAILED;
	struct plan *p = trial_plan_under(&t, c);
	plan_warnings(p, &warnings);
	fputs(buf_str(&warnings), stderr);
	print(p, a, o);
	int exit_status = plan_is_bad(p) ? COMMAND_CHANGES : COMMAND_OK;
	plan_free(p);
	return state_exit(&t.state, exit_status, e);
}

/* False: nobody reads it any more. */
static bool plan_once(const struct command_options *o, int *ret_status, struct err *e)
{
	cleanup(command_answer_fini) struct command_answer a;
	struct configuration *c = NULL;

	command_answer_init(&a, o);
	*ret_status = COMMAND_FAILED;
	if (file_read_configuration(o->config, &c, e) < 0)
		return true;
	*ret_status = plan_under(c, o, &a, e);
	configuration_unref(c);
	if (a.text.size == 0)
		return true;
	if (o->watch)
		return command_redraw(&a);
	command_print(&a);
	return true;
}

static int plan_again(const struct command_options *o, struct err *e)
{
	cleanup(watched_fini) struct watched w = { .n = 0 };
	int status;

	watched_add(&w, o->config);
	for (size_t i = 0; i < o->state.n; i++)
		watched_add(&w, o->state.items[i]);
	while (plan_once(o, &status, e)) {
		command_tell(e);
		watched_wait(&w);
	}
	return status;
}

static int run_plan(const struct command_options *o, struct err *e)
{
	int status;

	if (!o->config) {
		err_set(e, -EINVAL, ERR_CONFIG,
		        "plan needs --config FILE, or - for standard input");
		return COMMAND_USAGE;
	}
	if (o->watch && !strcmp(o->config, "-")) {
		err_set(e, -EINVAL, ERR_CONFIG,
		        "plan --watch waits for changes of a file: give its name to --config");
		return COMMAND_USAGE;
	}
	if (o->watch)
		return plan_again(o, e);
	plan_once(o, &status, e);
	return status;
}

const struct command command_plan = {
	.words = { "plan" },
	.operands = "--config FILE [--state FILE…]",
	.flags = FLAGS_CONFIG | FLAGS_ADMIN | FLAGS_CLUSTER | FLAGS_OUTPUT | FLAGS_MARKDOWN |
	         FLAGS_SUMMARY | FLAGS_WATCH,
	.summary = "what the controller would do with the Services' addresses under this "
		   "configuration, in the live cluster or in that of the manifests; nothing is "
		   "written",
	.exits = { [COMMAND_CHANGES] = "some Service's address moves or falls silent, or a Service "
	                               "fails" },
	.run = run_plan,
};
