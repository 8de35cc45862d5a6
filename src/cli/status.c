/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fairlead status`: first the API server's lists, all at once, then every speaker, all at once; then one picture.
 * `fairlead pools` and `fairlead bgp` are parts of it: one without the speakers, one with little else.
 */
#include "config.h"

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

static void put_config_map(struct json_object *obj, void *arg)
{
	struct kube_config_map *m = NULL;

	if (kube_config_map_parse(obj, &m, NULL) == 0)
		cluster_put_configuration(arg, m);
	kube_config_map_free(m);
}

static void put_service(struct json_object *obj, void *arg)
{
	struct kube_service *s = NULL;

	if (kube_service_parse(obj, &s, NULL) == 0)
		cluster_put_service(arg, s);
	kube_service_free(s);
}

static void put_node(struct json_object *obj, void *arg)
{
	struct kube_node *n = NULL;

	if (kube_node_parse(obj, &n, NULL) == 0)
		cluster_put_node(arg, n);
	kube_node_free(n);
}

static void put_lease(struct json_object *obj, void *arg)
{
	struct json_object *spec = kube_json_get(obj, "spec", json_type_object, NULL);
	const char *holder = spec ? kube_json_str(spec, "holderIdentity", NULL) : NULL;

	cluster_put_leader(arg, holder ? holder : "");
}

static void put_speaker(const char *node, struct json_object *status, const char *why, void *arg)
{
	cluster_put_speaker(arg, node, status, why);
}

static int ask_api(const struct command_options *o, struct model *m, struct err *e)
{
	cleanup_free char *namespace = options_namespace(&o->kube);
	cleanup_free char *map_path =
		xasprintf("/api/v1/namespaces/%s/configmaps/%s", namespace, CONFIG_MAP_ACTIVE);
	cleanup_free char *lease_path = xasprintf(
		"/apis/coordination.k8s.io/v1/namespaces/%s/leases/%s", namespace, LEASE_NAME);
	const struct gather_row rows[] = {
		{ map_path, false, true, put_config_map },
		{ "/api/v1/services", true, false, put_service },
		{ lease_path, false, true, put_lease },
		{ "/api/v1/nodes", true, false, put_node },
	};

	return gather_api(&o->kube, rows, ARRAY_LEN(rows), m, e);
}

static void ask_speakers(const struct command_options *o, struct model *m)
{
	size_t n = cluster_nodes(m);
	struct gather_speaker *speakers = xcalloc(n + 1, sizeof(*speakers));

	for (size_t i = 0; i < n; i++)
		speakers[i] = (struct gather_speaker){ .node = cluster_node_name(m, i),
			                               .address = cluster_node_address(m, i) };
	gather_speakers(&o->kube, speakers, n, o->speaker_port, put_speaker, m);
	free(speakers);
}

int command_status(const struct command_options *o, struct err *e)
{
	struct model *m = cluster_new();
	cleanup(buf_fini) struct buf out = BUF_INIT;
	int exit_status = COMMAND_FAILED;

	if (ask_api(o, m, e) == 0) {
		ask_speakers(o, m);
		if (o->json)
			cluster_json(m, &out);
		else
			cluster_text(m, &out);
		fputs(buf_str(&out), stdout);
		exit_status = cluster_is_complete(m) ? COMMAND_OK : COMMAND_INCOMPLETE;
	}
	cluster_free(m);
	return exit_status;
}

int command_pools(const struct command_options *o, struct err *e)
{
	struct model *m = cluster_new();
	cleanup(buf_fini) struct buf out = BUF_INIT;
	int exit_status = COMMAND_FAILED;

	if (ask_api(o, m, e) == 0) {
		if (o->json)
			cluster_pools_json(m, &out);
		else
			cluster_pools_text(m, &out);
		fputs(buf_str(&out), stdout);
		exit_status = COMMAND_OK;
	}
	cluster_free(m);
	return exit_status;
}

int command_bgp(const struct command_options *o, struct err *e)
{
	const struct gather_row nodes = { "/api/v1/nodes", true, false, put_node };
	struct model *m = cluster_new();
	cleanup(buf_fini) struct buf out = BUF_INIT;
	int exit_status = COMMAND_FAILED;

	if (gather_api(&o->kube, &nodes, 1, m, e) == 0) {
		ask_speakers(o, m);
		if (o->json)
			cluster_bgp_json(m, &out);
		else
			cluster_bgp_text(m, &out);
		fputs(buf_str(&out), stdout);
		exit_status = cluster_is_complete(m) ? COMMAND_OK : COMMAND_INCOMPLETE;
	}
	cluster_free(m);
	return exit_status;
}
