/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster's objects by what the API server answers. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/gather.h"
#include "cli/state.h"
#include "fairlead/configuration.h"
#include "fairlead/ipam.h"
#include "fairlead/journal.h"
#include "fairlead/mem.h"

/* One that cannot be read is reported on standard error, and counted. */
static void put(struct state *s, const char *kind, struct json_object *obj)
{
	struct err e = ERR_INIT;

	if (state_put(s, kind, obj, &e) < 0)
		gather_pass_over(&e, &s->n_unreadable);
}

#define ADAPT(name, kind)                                                                 \
	static void put_##name(struct json_object *obj, void *arg)                        \
	{                                                                                 \
		put(arg, kind, obj);                                                      \
	}                                                                                 \
	static void pass_over_##name(const struct kube_remains *r, const struct err *why, \
	                             void *arg)                                           \
	{                                                                                 \
		state_pass_over(arg, kind, r, why);                                       \
	}
ADAPT(service, "Service")
ADAPT(slice, "EndpointSlice")
ADAPT(node, "Node")
ADAPT(namespace, "Namespace")

static void put_config_map(struct json_object *obj, void *arg)
{
	put(arg, "ConfigMap", obj);
}

static void put_pod(struct json_object *obj, void *arg)
{
	struct state *s = arg;
	struct err e = ERR_INIT;

	if (pods_put(&s->pods, obj, &e) < 0)
		gather_pass_over(&e, &s->n_unreadable);
}

/* Then speakers that cannot be reached from here are asked by way of their nodes. */
static void denied_pods(const struct err *why, void *arg)
{
	(void)why, (void)arg;
}

int state_read_live(struct state *s, struct gather *g, const char *namespace, bool with_speakers,
                    struct err *e)
{
	cleanup_free char *active =
		xasprintf("/api/v1/namespaces/%s/configmaps/" CONFIG_MAP_ACTIVE, namespace);
	cleanup_free char *pods = gather_pods_path(namespace);
	const struct gather_row rows[] = {
		{ active, false, true, put_config_map },
		{ "/api/v1/services", true, false, put_service, pass_over_service },
		{ "/api/v1/nodes", true, false, put_node, pass_over_node },
		{ "/apis/discovery.k8s.io/v1/endpointslices", true, false, put_slice,
		  pass_over_slice },
		{ pods, true, false, put_pod, NULL, denied_pods },
	};

	return gather_api(g, rows, with_speakers ? ARRAY_LEN(rows) : 3, s, e);
}

static void denied_namespaces(const struct err *why, void *arg)
{
	(void)arg;
	fprintf(stderr, "warning: what pools select by the labels of Namespaces is not known: %s\n",
	        why->msg);
}

int state_read_namespaces(struct state *s, struct gather *g, struct err *e)
{
	static const struct gather_row row = {
		"/api/v1/namespaces", true, false, put_namespace, pass_over_namespace,
		denied_namespaces
	};

	return gather_api(g, &row, 1, s, e);
}

void state_tell_unknown_cooling(const struct err *why)
{
	fprintf(stderr,
	        "warning: which addresses cool down, or were given last, is not known: %s\n",
	        why->msg);
}

static void denied_cooling(const struct err *why, void *arg)
{
	(void)arg;
	state_tell_unknown_cooling(why);
}

int state_read_cooling(struct state *s, struct gather *g, const char *namespace, struct err *e)
{
	cleanup_free char *path =
		xasprintf("/api/v1/namespaces/%s/configmaps/" IPAM_COOLING_MAP, namespace);
	const struct gather_row row = { path, false, true, put_config_map, NULL, denied_cooling };

	return gather_api(g, &row, 1, s, e);
}

int state_read_journal(struct state *s, struct gather *g, const char *namespace, struct err *e)
{
	struct gather_row rows[JOURNAL_MAPS] = { { .path = NULL } };
	char *paths[JOURNAL_MAPS];

	for (size_t i = 0; i < JOURNAL_MAPS; i++) {
		paths[i] = xasprintf("/api/v1/namespaces/%s/configmaps/" JOURNAL_MAP_PREFIX "%zu",
		                     namespace, i);
		rows[i] = (struct gather_row){ paths[i], false, true, put_config_map };
	}
	int r = gather_api(g, rows, JOURNAL_MAPS, s, e);
	for (size_t i = 0; i < JOURNAL_MAPS; i++)
		free(paths[i]);
	return r;
}
