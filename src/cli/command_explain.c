/* SPDX-License-Identifier: Apache-2.0 */
/* `fairlead explain`: where a Service's addresses are announced, where not, and why. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "cli/commands.h"
#include "cli/explain.h"
#include "cli/file.h"
#include "cli/gather.h"
#include "cli/state.h"
#include "fairlead/buf.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

/* --config, else the published one among the objects, else that of the administrator. */
static int configure(const struct command_options *o, const struct state *s, struct view *v,
                     struct err *e)
{
	cleanup_free char *namespace = options_namespace(&o->kube);
	const struct kube_config_map *map =
		state_configuration(s, namespace, o->state.n == 0, o->config_map);
	struct configuration *c = NULL;

	if (o->config) {
		int r = file_read_configuration(o->config, &c, e);
		if (r == 0)
			view_set_configuration(v, c, 0);
		return r;
	}
	if (map)
		return view_load_configuration(v, map, e);
	if (o->state.n)
		return err_set(e, -EINVAL, ERR_CONFIG,
		               "no configuration: give --config FILE, or the ConfigMap among the "
		               "manifests");
	return 0;
}

static void fill(struct view *v, const struct state *s, const struct kube_node *const *nodes,
                 size_t n_nodes)
{
	size_t n;
	const struct kube_service **services = state_services(s, &n);

	for (size_t i = 0; i < n; i++)
		view_upsert_service(v, services[i]);
	free(services);
	const struct kube_slice **slices = state_slices(s, &n);
	for (size_t i = 0; i < n; i++)
		view_upsert_slice(v, slices[i]);
	free(slices);
	for (size_t i = 0; i < n_nodes; i++)
		view_upsert_node(v, nodes[i]);
}

struct hearing {
	struct explain *x;
	const struct pods *pods;
};

static void heard(const char *node, struct json_object *status, const char *why, void *arg)
{
	const struct hearing *h = arg;
	cleanup(buf_fini) struct buf words = BUF_INIT;
	enum reason silence = status ? REASON_Announced : pods_silence(h->pods, node, why, &words);

	explain_put_speaker(h->x, node, status, silence, buf_str(&words));
}

static void ask_speakers(const struct command_options *o, struct gather *g, const struct pods *pods,
                         const struct kube_node *const *nodes, size_t n, struct explain *x)
{
	static const struct addr none;
	struct gather_daemon *speakers = xcalloc(n + 1, sizeof(*speakers));
	struct hearing h = { .x = x, .pods = pods };
	size_t n_asked = 0;

	for (size_t i = 0; i < n; i++)
		if (!o->node || !strcmp(o->node, nodes[i]->meta.name))
			speakers[n_asked++] = pods_ask_speaker(
				pods, nodes[i]->meta.name,
				nodes[i]->n_internal_ips ? &nodes[i]->internal_ips[0] : &none,
				o->speaker.port);
	gather_daemons(g, speakers, n_asked, o->speaker.token_file, heard, &h);
	free(speakers);
}

static const struct kube_service *service_named(const struct state *s, const char *key)
{
	const struct kube_service *found = NULL;
	size_t n;
	const struct kube_service **services = state_services(s, &n);

	for (size_t i = 0; i < n && !found; i++)
		if (!strcmp(kube_key(&services[i]->meta), key))
			found = services[i];
	free(services);
	return found;
}

/* "; give its namespace: shop/web", if there is one of that name elsewhere. */
static const char *elsewhere(const struct state *s, const char *name, char out[static 400])
{
	size_t n;
	const struct kube_service **services = state_services(s, &n);

	out[0] = '\0';
	for (size_t i = 0; i < n && !out[0]; i++)
		if (!strcmp(services[i]->meta.name, name))
			snprintf(out, 400, "; give its namespace: %s",
			         kube_key(&services[i]->meta));
	free(services);
	return out;
}

/* @g: NULL: nobody is asked. */
static int answer(const struct command_options *o, const struct state *s, struct gather *g,
                  struct view *v, const struct kube_node *const *nodes, size_t n_nodes,
                  struct err *e)
{
	const char *name = o->operands[0];
	cleanup_free char *key = xasprintf("%s%s", strchr(name, '/') ? "" : "default/", name);
	cleanup(command_answer_fini) struct command_answer a;
	const struct kube_service *service = service_named(s, key);
	const struct view_service *vs = service ? view_service_named(v, key) : NULL;

	command_answer_init(&a, o);
	if (!vs) {
		char hint[400];
		err_set(e, -ENOENT, ERR_CONFIG, "there is no Service %.320s%s", key,
		        elsewhere(s, name, hint));
		return COMMAND_FAILED;
	}
	struct explain *x = explain_new(v, vs, nodes, n_nodes, o->node, !g);
	if (g)
		ask_speakers(o, g, &s->pods, nodes, n_nodes, x);
	explain_print(x, service, &a.out);
	command_print(&a);
	int exit_status = explain_is_complete(x) ? COMMAND_OK : COMMAND_INCOMPLETE;
	explain_free(x);
	return exit_status;
}

static int explain(const struct command_options *o, struct gather *g, struct err *e)
{
	cleanup(state_fini) struct state s = { 0 };
	cleanup_free char *namespace = options_namespace(&o->kube);
	int exit_status = COMMAND_FAILED;
	size_t n_nodes;
	int r = g ? state_read_live(&s, g, namespace, true, e) : state_read_files(&s, &o->state, e);

	if (r < 0)
		return COMMAND_FAILED;
	const struct kube_node **nodes = state_nodes(&s, &n_nodes);
	struct view *v = view_new(o->node ? o->node : "", o->load_balancer_class);
	fill(v, &s, nodes, n_nodes);
	if (configure(o, &s, v, e) == 0)
		exit_status = answer(o, &s, g, v, nodes, n_nodes, e);
	view_free(v);
	free(nodes);
	return exit_status == COMMAND_OK ? state_exit(&s, exit_status, e) : exit_status;
}

static int run_explain(const struct command_options *o, struct err *e)
{
	struct gather *g = NULL;

	if (o->config && !o->state.n) {
		err_set(e, -EINVAL, ERR_CONFIG,
		        "explain takes --config only with --state: a live cluster has its own");
		return COMMAND_USAGE;
	}
	if (!o->state.n && gather_open(&o->kube, &g, e) < 0)
		return COMMAND_FAILED;
	int exit_status = explain(o, g, e);
	gather_close(g);
	return exit_status;
}

const struct command command_explain = {
	.words = { "explain" },
	.operands = "[NAMESPACE/]SERVICE",
	.names = NAMES_SERVICES,
	.n = 1,
	.flags = FLAGS_NODE | FLAGS_CONFIG | FLAGS_ADMIN | FLAGS_CLUSTER | FLAGS_SPEAKERS |
	         FLAGS_OUTPUT,
	.summary = "where the Service's addresses are announced, where not and why, and what would "
		   "change it",
	.about = "The namespace is default if none is given.  With --state nobody is asked: the "
		 "answer is what the speakers' own function decides from the manifests.",
	.exits = { [COMMAND_FAILED] = "there is no such Service",
	           [COMMAND_INCOMPLETE] = "the answer was printed, but a speaker did not answer" },
	.run = run_explain,
};
