/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/dump_pods.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "fairlead/kube.h"
#include "fairlead/mem.h"

#define COMPONENT_LABEL "app.kubernetes.io/component"

void dump_pods_fini(struct dump_pods *p)
{
	for (size_t i = 0; i < p->n; i++) {
		struct dump_pod *pod = &p->list[i];
		for (size_t k = 0; k < pod->n_containers; k++)
			free(pod->containers[k].name);
		free(pod->containers);
		free(pod->namespace);
		free(pod->name);
		free(pod->component);
		free(pod->node);
	}
	free(p->list);
}

static const char *str(struct json_object *obj, const char *key)
{
	const char *s = obj ? kube_json_str(obj, key, NULL) : NULL;

	return s ? s : "";
}

static struct json_object *object(struct json_object *obj, const char *key)
{
	return obj ? kube_json_get(obj, key, json_type_object, NULL) : NULL;
}

static struct json_object *list(struct json_object *obj, const char *key, size_t *ret_n)
{
	struct json_object *l = obj ? kube_json_get(obj, key, json_type_array, NULL) : NULL;

	*ret_n = l ? json_object_array_length(l) : 0;
	return l;
}

static bool has_previous(struct json_object *status, const char *kind, const char *name)
{
	size_t n;
	struct json_object *all = list(status, kind, &n);

	for (size_t i = 0; i < n; i++) {
		struct json_object *c = json_object_array_get_idx(all, i);
		if (!strcmp(str(c, "name"), name))
			return object(object(c, "lastState"), "terminated") != NULL;
	}
	return false;
}

static int http_port(struct json_object *container)
{
	size_t n;
	struct json_object *ports = list(container, "ports", &n);

	for (size_t i = 0; i < n; i++) {
		struct json_object *port = json_object_array_get_idx(ports, i);
		if (!strcmp(str(port, "name"), "http"))
			return (int)kube_json_int(port, "containerPort", 1, UINT16_MAX, 0, NULL);
	}
	return 0;
}

static void add_containers(struct dump_pod *pod, struct json_object *obj, const char *key,
                           const char *statuses)
{
	size_t n;
	struct json_object *all = list(object(obj, "spec"), key, &n);

	pod->containers =
		xreallocarray(pod->containers, pod->n_containers + n + 1, sizeof(*pod->containers));
	for (size_t i = 0; i < n; i++) {
		struct json_object *c = json_object_array_get_idx(all, i);
		const char *name = str(c, "name");
		if (!pod->http_port)
			pod->http_port = http_port(c);
		if (*name)
			pod->containers[pod->n_containers++] = (struct dump_container){
				xstrdup(name), has_previous(object(obj, "status"), statuses, name)
			};
	}
}

void dump_pods_add(struct dump_pods *p, struct json_object *obj)
{
	struct json_object *meta = object(obj, "metadata");
	const char *ip = str(object(obj, "status"), "podIP");

	if (!*str(meta, "name") || !*str(meta, "namespace"))
		return;
	ARRAY_RESERVE(p->list, p->cap, p->n + 1);
	struct dump_pod *pod = &p->list[p->n++];
	*pod = (struct dump_pod){
		.namespace = xstrdup(str(meta, "namespace")),
		.name = xstrdup(str(meta, "name")),
		.component = xstrdup(str(object(meta, "labels"), COMPONENT_LABEL)),
		.node = xstrdup(str(object(obj, "spec"), "nodeName")),
	};
	if (*ip)
		addr_parse(ip, &pod->address);
	add_containers(pod, obj, "containers", "containerStatuses");
	add_containers(pod, obj, "initContainers", "initContainerStatuses");
}

const struct dump_pod *dump_pods_on_node(const struct dump_pods *p, const char *component,
                                         const char *node)
{
	for (size_t i = 0; i < p->n; i++)
		if (!strcmp(p->list[i].component, component) && !strcmp(p->list[i].node, node))
			return &p->list[i];
	return NULL;
}
