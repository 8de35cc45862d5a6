/* SPDX-License-Identifier: Apache-2.0 */
/* `fairlead plan`: what would become of the Services' addresses under another configuration. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/file.h"
#include "cli/gather.h"
#include "cli/plan.h"
#include "cli/state.h"
#include "fairlead/mem.h"

/* The controller passes over what it cannot read, too, but for the addresses in it. */
static int read_state(const struct command_options *o, const struct configuration *c,
                      struct state *s, struct err *e)
{
	cleanup_free char *namespace = options_namespace(&o->kube);
	struct gather *g;

	if (o->state.n)
		return state_read_files(s, &o->state, e);
	int r = gather_open(&o->kube, &g, e);
	if (r < 0)
		return r;
	r = state_read_live(s, g, namespace, false, e);
	if (r == 0 && configuration_selects_namespaces(c))
		r = state_read_namespaces(s, g, e);
	gather_close(g);
	return r;
}

/*
 * What was published, else what the administrator has among the manifests.  NULL: neither is there,
 * or it cannot be used, which may be why somebody plans another one.
 */
static struct configuration *read_in_force(const struct command_options *o, const struct state *s)
{
	cleanup_free char *namespace = options_namespace(&o->kube);
	const struct kube_config_map *map =
		state_configuration(s, namespace, o->state.n == 0, o->config_map);
	struct config_problems problems = { 0 };
	struct configuration *c = NULL;

	if (map && labels_get(&map->data, CONFIG_MAP_KEY))
		configuration_parse_published(labels_get(&map->data, CONFIG_MAP_KEY),
		                              labels_get(&map->data, CONFIG_MAP_RETAINED), &c,
		                              &problems, NULL);
	config_problems_fini(&problems);
	return c;
}

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

static int run_plan(const struct command_options *o, struct err *e)
{
	cleanup(state_fini) struct state s = { 0 };
	cleanup(buf_fini) struct buf warnings = BUF_INIT;
	cleanup(command_answer_fini) struct command_answer a;
	struct configuration *c = NULL;
	struct plan_input in = { 0 };

	command_answer_init(&a, o);
	if (!o->config) {
		err_set(e, -EINVAL, ERR_CONFIG,
		        "plan needs --config FILE, or - for standard input");
		return COMMAND_USAGE;
	}
	if (file_read_configuration(o->config, &c, e) < 0)
		return COMMAND_FAILED;
	if (read_state(o, c, &s, e) < 0) {
		configuration_unref(c);
		return COMMAND_FAILED;
	}
	const struct kube_service **services = state_services(&s, &in.n_services);
	const struct kube_remains **remains = state_remains(&s, &in.n_remains);
	const struct kube_node **nodes = state_nodes(&s, &in.n_nodes);
	const struct kube_object **namespaces = state_namespaces(&s, &in.n_namespaces);
	in.services = services;
	in.remains = remains;
	in.nodes = nodes;
	in.namespaces = namespaces;
	in.in_force = read_in_force(o, &s);
	struct plan *p = plan_new(c, o->load_balancer_class, &in);
	plan_warnings(p, &warnings);
	fputs(buf_str(&warnings), stderr);
	print(p, &a, o);
	command_print(&a);
	int exit_status = plan_is_bad(p) ? COMMAND_CHANGES : COMMAND_OK;
	plan_free(p);
	free(namespaces);
	free(nodes);
	free(remains);
	free(services);
	configuration_unref(in.in_force);
	configuration_unref(c);
	return state_exit(&s, exit_status, e);
}

const struct command command_plan = {
	.words = { "plan" },
	.operands = "--config FILE [--state FILE…]",
	.flags = FLAGS_CONFIG | FLAGS_ADMIN | FLAGS_CLUSTER | FLAGS_OUTPUT | FLAGS_MARKDOWN |
	         FLAGS_SUMMARY,
	.summary = "what the controller would do with the Services' addresses under this "
		   "configuration, in the live cluster or in that of the manifests; nothing is "
		   "written",
	.exits = { [COMMAND_CHANGES] = "some Service's address moves or falls silent, or a Service "
	                               "fails" },
	.run = run_plan,
};
