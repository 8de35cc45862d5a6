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
#include "cli/follow.h"
#include "cli/gather.h"
#include "cli/scene.h"
#include "fairlead/buf.h"
#include "fairlead/mem.h"

struct hearing {
	struct explain *x;
	struct follow *f; /* NULL: no packet is followed */
	const struct pods *pods;
};

static void heard(const char *node, struct json_object *status, const char *why, void *arg)
{
	const struct hearing *h = arg;
	cleanup(buf_fini) struct buf words = BUF_INIT;
	enum reason silence = status ? REASON_Announced : pods_silence(h->pods, node, why, &words);

	explain_put_speaker(h->x, node, status, silence, buf_str(&words));
	if (h->f && status)
		follow_put_speaker(h->f, node, status);
}

static void ask_speakers(const struct command_options *o, struct gather *g, const struct pods *pods,
                         const struct kube_node *const *nodes, size_t n, struct explain *x,
                         struct follow *f)
{
	static const struct addr none;
	struct gather_daemon *speakers = xcalloc(n + 1, sizeof(*speakers));
	struct hearing h = { .x = x, .f = f, .pods = pods };
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

/* What @x says, or what becomes of the packet. */
struct question {
	bool follows;
	struct packet packet;
	struct scene_plane plane;
};

static int read_question(const struct command_options *o, struct question *q, struct err *e)
{
	int r = scene_plane(o, &q->plane, e);

	q->follows = o->packet.from && o->packet.to;
	if (r == 0 && !o->packet.from != !o->packet.to)
		r = err_set(e, -EINVAL, ERR_CONFIG, "--from and --to: give both, or none");
	if (r == 0 && q->follows)
		r = follow_parse(o->packet.from, o->packet.to, &q->packet, e);
	return r;
}

static struct follow *follow_of(const struct scene *s, const struct question *q,
                                const struct view_service *known, const struct explain *x)
{
	const struct follow_input in = { .view = s->view,
		                         .service = known,
		                         .nodes = s->nodes,
		                         .n_nodes = s->n_nodes,
		                         .node = s->o->node,
		                         .explain = x,
		                         .options = &q->plane.options,
		                         .flags = &q->plane.flags };

	return q->follows ? follow_new(&in, &q->packet) : NULL;
}

/* @g: NULL: nobody is asked. */
static int answer(const struct scene *s, const struct question *q, struct gather *g, struct err *e)
{
	const struct command_options *o = s->o;
	cleanup(command_answer_fini) struct command_answer a;
	const struct kube_service *service;
	const struct view_service *known;

	command_answer_init(&a, o);
	if (scene_service(s, o->operands[0], &service, &known, e) < 0)
		return COMMAND_FAILED;
	struct explain *x = explain_new(s->view, known, s->nodes, s->n_nodes, o->node, !g);
	struct follow *f = follow_of(s, q, known, x);
	const struct kube_object *namespace = scene_namespace(s, service->meta.namespace);
	if (namespace)
		explain_put_namespace(x, &namespace->meta.labels);
	const char *cooling = scene_cooling(s);
	if (cooling)
		explain_put_cooling(x, cooling);
	if (g)
		ask_speakers(o, g, &s->state.pods, s->nodes, s->n_nodes, x, f);
	if (f)
		follow_print(f, &a.out);
	else
		explain_print(x, service, &a.out);
	command_print(&a);
	int exit_status = explain_is_complete(x) ? COMMAND_OK : COMMAND_INCOMPLETE;
	follow_free(f);
	explain_free(x);
	return exit_status;
}

/* What the configuration makes worth knowing. */
static int read_more(struct scene *s, struct gather *g, struct err *e)
{
	const struct configuration *c = view_configuration(s->view);
	cleanup_free char *namespace = options_namespace(&s->o->kube);
	int r = 0;

	if (g && c && configuration_selects_namespaces(c))
		r = state_read_namespaces(&s->state, g, e);
	if (r == 0 && g && c && configuration_is_noted(c))
		r = state_read_cooling(&s->state, g, namespace, e);
	return r;
}

static int explain(const struct command_options *o, const struct question *q, struct gather *g,
                   struct err *e)
{
	struct scene s;

	if (scene_open(&s, o, g, e) < 0)
		return COMMAND_FAILED;
	int exit_status = COMMAND_FAILED;
	if (read_more(&s, g, e) == 0)
		exit_status = answer(&s, q, g, e);
	if (exit_status == COMMAND_OK)
		exit_status = state_exit(&s.state, exit_status, e);
	scene_close(&s);
	return exit_status;
}

static int run_explain(const struct command_options *o, struct err *e)
{
	struct gather *g = NULL;
	struct question q = { .follows = false };

	if (read_question(o, &q, e) < 0)
		return COMMAND_USAGE;
	if (o->config && !o->state.n) {
		err_set(e, -EINVAL, ERR_CONFIG,
		        "explain takes --config only with --state: a live cluster has its own");
		return COMMAND_USAGE;
	}
	if (!o->state.n && gather_open(&o->kube, &g, e) < 0)
		return COMMAND_FAILED;
	int exit_status = explain(o, &q, g, e);
	gather_close(g);
	return exit_status;
}

const struct command command_explain = {
	.words = { "explain" },
	.operands = "[NAMESPACE/]SERVICE",
	.names = NAMES_SERVICES,
	.n = 1,
	.flags = FLAGS_NODE | FLAGS_CONFIG | FLAGS_ADMIN | FLAGS_CLUSTER | FLAGS_SPEAKERS |
	         FLAGS_OUTPUT | FLAGS_PROXY | FLAGS_PACKET,
	.summary = "where the Service's addresses are announced, where not and why, and what would "
		   "change it; or where a packet to it goes",
	.about =
		"The namespace is default if none is given.  With --state nobody is asked: the "
		"answer is what the speakers' own function decides from the manifests, where they "
		"run in the mode of --mode.  With --from and --to it follows a packet: at each node that it may come to, which rule "
		"catches it, which endpoints it can reach and what they see as its source, or why "
		"it is dropped or refused.",
	.exits = { [COMMAND_FAILED] = "there is no such Service",
	           [COMMAND_INCOMPLETE] = "the answer was printed, but a speaker did not answer" },
	.run = run_explain,
};
