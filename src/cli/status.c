/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fairlead status`: first the API server's lists, all at once, then every speaker, all at once; then one picture.
 * `fairlead pools` and `fairlead bgp` are parts of it: one without the speakers, one with little else.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <json-c/json.h>

#include "cli/commands.h"
#include "cli/gather.h"
#include "cli/model.h"
#include "fairlead/configuration.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

#define LEASE_NAME "fairlead-controller"

struct picture {
	struct model *model;
	size_t n_unreadable; /* objects that were told of and passed over */
};

static void pass_over(const struct kube_remains *r, const struct err *why, void *arg)
{
	struct picture *p = arg;
	struct err e = *why;

	err_prefix(&e, "%s", r ? kube_key(&r->meta) : "(no name)");
	gather_pass_over(&e, &p->n_unreadable);
}

static void put_config_map(struct json_object *obj, void *arg)
{
	struct picture *p = arg;
	struct kube_config_map *m = NULL;
	struct err e = ERR_INIT;

	if (kube_config_map_parse(obj, &m, &e) == 0)
		cluster_put_configuration(p->model, m);
	else
		gather_pass_over(&e, &p->n_unreadable);
	kube_config_map_free(m);
}

static void put_service(struct json_object *obj, void *arg)
{
	struct picture *p = arg;
	struct kube_service *s = NULL;
	struct err e = ERR_INIT;

	if (kube_service_parse(obj, &s, &e) == 0)
		cluster_put_service(p->model, s);
	else
		gather_pass_over(&e, &p->n_unreadable);
	kube_service_free(s);
}

static void put_node(struct json_object *obj, void *arg)
{
	struct picture *p = arg;
	struct kube_node *n = NULL;
	struct err e = ERR_INIT;

	if (kube_node_parse(obj, &n, &e) == 0)
		cluster_put_node(p->model, n);
	else
		gather_pass_over(&e, &p->n_unreadable);
	kube_node_free(n);
}

static void put_lease(struct json_object *obj, void *arg)
{
	struct json_object *spec = kube_json_get(obj, "spec", json_type_object, NULL);
	const char *holder = spec ? kube_json_str(spec, "holderIdentity", NULL) : NULL;

	cluster_put_leader(((struct picture *)arg)->model, holder ? holder : "");
}

static void put_speaker(const char *node, struct json_object *status, const char *why, void *arg)
{
	cluster_put_speaker(arg, node, status, why);
}

static int ask_api(const struct command_options *o, struct picture *p, struct err *e)
{
	cleanup_free char *namespace = options_namespace(&o->kube);
	cleanup_free char *map_path =
		xasprintf("/api/v1/namespaces/%s/configmaps/%s", namespace, CONFIG_MAP_ACTIVE);
	cleanup_free char *lease_path = xasprintf(
		"/apis/coordination.k8s.io/v1/namespaces/%s/leases/%s", namespace, LEASE_NAME);
	const struct gather_row rows[] = {
		{ map_path, false, true, put_config_map },
		{ "/api/v1/services", true, false, put_service, pass_over },
		{ lease_path, false, true, put_lease },
		{ "/api/v1/nodes", true, false, put_node, pass_over },
	};

	return gather_api(&o->kube, rows, ARRAY_LEN(rows), p, e);
}

static void ask_speakers(const struct command_options *o, struct model *m)
{
	size_t n = cluster_nodes(m);
	struct gather_speaker *speakers = xcalloc(n + 1, sizeof(*speakers));

	for (size_t i = 0; i < n; i++)
		speakers[i] = (struct gather_speaker){ .node = cluster_node_name(m, i),
			                               .address = cluster_node_address(m, i) };
	gather_speakers(&o->kube, speakers, n, &o->speaker, put_speaker, m);
	free(speakers);
}

static int exit_status_of(const struct picture *p, bool complete, struct err *e)
{
	if (p->n_unreadable == 0)
		return complete ? COMMAND_OK : COMMAND_INCOMPLETE;
	err_set(e, -EINVAL, ERR_REMOTE, "not everything could be read; the answer is without it");
	return COMMAND_FAILED;
}

static void show(const struct command_options *opts, struct model *m,
                 void (*put)(struct model *m, struct out *o))
{
	cleanup(command_answer_fini) struct command_answer a;

	command_answer_init(&a, opts);
	put(m, &a.out);
	command_print(&a);
}

int command_status(const struct command_options *o, struct err *e)
{
	struct picture p = { .model = cluster_new() };
	int exit_status = COMMAND_FAILED;

	if (ask_api(o, &p, e) == 0) {
		ask_speakers(o, p.model);
		show(o, p.model, cluster_print);
		exit_status = exit_status_of(&p, cluster_is_complete(p.model), e);
	}
	cluster_free(p.model);
	return exit_status;
}

int command_pools(const struct command_options *o, struct err *e)
{
	struct picture p = { .model = cluster_new() };
	int exit_status = COMMAND_FAILED;

	if (ask_api(o, &p, e) == 0) {
		show(o, p.model, cluster_pools_print);
		exit_status = exit_status_of(&p, true, e);
	}
	cluster_free(p.model);
	return exit_status;
}

int command_bgp(const struct command_options *o, struct err *e)
{
	const struct gather_row nodes = { "/api/v1/nodes", true, false, put_node, pass_over };
	struct picture p = { .model = cluster_new() };
	int exit_status = COMMAND_FAILED;

	if (gather_api(&o->kube, &nodes, 1, &p, e) == 0) {
		ask_speakers(o, p.model);
		show(o, p.model, cluster_bgp_print);
		exit_status = exit_status_of(&p, cluster_is_complete(p.model), e);
	}
	cluster_free(p.model);
	return exit_status;
}
