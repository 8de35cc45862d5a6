/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/kube_types.h"

#include <string.h>

#include "fairlead/mem.h"
#include "kube/parse.h"

/* core/v1 Pod: a small part of a large object. */
#define POD_CONTAINERS_MAX 256
#define POD_PORTS_MAX 256
#define POD_CONDITIONS_MAX 256
#define POD_TERMS_MAX 64
#define POD_STRING_MAX 253
#define POD_MESSAGE_MAX (64 * 1024)

#define HTTP_PORT "http"

/* One whose list of statuses is shorter than that of its containers has not come that far. */
static void parse_state(struct parse *p, struct json_object *o, struct kube_container *c)
{
	struct json_object *state = parse_object(p, o, "state");
	struct json_object *last = parse_object(p, o, "lastState");
	struct json_object *waiting = parse_object(p, state, "waiting");
	struct json_object *ended = parse_object(p, state, "terminated");
	struct json_object *before = parse_object(p, last, "terminated");

	c->runs = parse_object(p, state, "running") != NULL;
	c->has_ended = ended != NULL;
	c->reason = parse_dup(p, waiting ? waiting : ended, "reason", POD_STRING_MAX, NULL);
	c->message = parse_dup(p, waiting ? waiting : ended, "message", POD_MESSAGE_MAX, NULL);
	c->exit_code =
		(int)parse_int(p, ended ? ended : before, "exitCode", INT32_MIN, INT32_MAX, 0);
	c->exit_reason = parse_dup(p, ended ? ended : before, "reason", POD_STRING_MAX, NULL);
}

static void parse_containers(struct parse *p, struct json_object *status, const char *key,
                             bool is_init, struct kube_pod *pod)
{
	size_t n;

	parse_at(p, "status");
	struct json_object *list = parse_array(p, status, key, POD_CONTAINERS_MAX, &n);
	parse_at(p, key);
	pod->containers =
		xreallocarray(pod->containers, pod->n_containers + n + 1, sizeof(*pod->containers));
	for (size_t i = 0; i < n && !p->ret; i++) {
		struct json_object *o = parse_item(p, list, i);
		struct kube_container *c = &pod->containers[pod->n_containers++];
		*c = (struct kube_container){ .name = parse_dup(p, o, "name", POD_STRING_MAX, ""),
			                      .is_init = is_init };
		parse_state(p, o, c);
	}
}

static void parse_pod_conditions(struct parse *p, struct json_object *status, struct kube_pod *pod)
{
	size_t n;

	parse_at(p, "status");
	struct json_object *list = parse_array(p, status, "conditions", POD_CONDITIONS_MAX, &n);
	parse_at(p, "status.conditions");
	for (size_t i = 0; i < n && !p->ret; i++) {
		struct json_object *o = parse_item(p, list, i);
		const char *type = parse_str(p, o, "type", POD_STRING_MAX + 64);
		const char *value = parse_str(p, o, "status", 16);
		if (type && value && !strcmp(type, "PodScheduled") && !strcmp(value, "False") &&
		    !pod->unscheduled)
			pod->unscheduled = parse_dup(p, o, "message", POD_MESSAGE_MAX, "");
	}
}

/* The port of that name, of the first container that has one. */
static void parse_http_port(struct parse *p, struct json_object *spec, struct kube_pod *pod)
{
	size_t n, n_ports;

	parse_at(p, "spec");
	struct json_object *list = parse_array(p, spec, "containers", POD_CONTAINERS_MAX, &n);
	for (size_t i = 0; i < n && !p->ret; i++) {
		parse_at(p, "spec.containers");
		struct json_object *ports =
			parse_array(p, parse_item(p, list, i), "ports", POD_PORTS_MAX, &n_ports);
		parse_at(p, "spec.containers.ports");
		for (size_t k = 0; k < n_ports && !p->ret; k++) {
			struct json_object *port = parse_item(p, ports, k);
			const char *name = parse_str(p, port, "name", POD_STRING_MAX);
			if (name && !strcmp(name, HTTP_PORT) && !pod->http_port)
				pod->http_port = (uint16_t)parse_int(p, port, "containerPort", 1,
				                                     UINT16_MAX, 0);
		}
	}
}

/*
 * The node that a DaemonSet's Pod waits for: the controller of DaemonSets says it in this way, and
 * leaves the rest to the scheduler.
 */
static const char *daemon_node(struct parse *p, struct json_object *spec)
{
	size_t n_terms, n_fields, n_values;

	parse_at(p, "spec");
	struct json_object *o = parse_object(p, spec, "affinity");
	o = parse_object(p, o, "nodeAffinity");
	o = parse_object(p, o, "requiredDuringSchedulingIgnoredDuringExecution");
	struct json_object *terms = parse_array(p, o, "nodeSelectorTerms", POD_TERMS_MAX, &n_terms);
	for (size_t i = 0; i < n_terms && !p->ret; i++) {
		struct json_object *fields = parse_array(p, parse_item(p, terms, i), "matchFields",
		                                         POD_TERMS_MAX, &n_fields);
		for (size_t k = 0; k < n_fields && !p->ret; k++) {
			struct json_object *field = parse_item(p, fields, k);
			const char *key = parse_str(p, field, "key", POD_STRING_MAX);
			struct json_object *values =
				parse_array(p, field, "values", POD_TERMS_MAX, &n_values);
			if (key && !strcmp(key, "metadata.name") && n_values == 1)
				return parse_item_str(p, values, 0, POD_STRING_MAX);
		}
	}
	return NULL;
}

int kube_pod_parse(struct json_object *obj, struct kube_pod **ret_pod, struct err *e)
{
	struct parse p = { .kind = "Pod", .index = -1, .e = e };
	struct kube_pod *pod = xcalloc(1, sizeof(*pod));

	parse_meta(&p, obj, &pod->meta);
	parse_at(&p, NULL);
	struct json_object *spec = parse_object(&p, obj, "spec");
	struct json_object *status = parse_object(&p, obj, "status");
	parse_at(&p, "spec");
	pod->node = parse_dup(&p, spec, "nodeName", POD_STRING_MAX, daemon_node(&p, spec));
	parse_http_port(&p, spec, pod);
	parse_at(&p, "status");
	pod->phase = parse_dup(&p, status, "phase", POD_STRING_MAX, "Pending");
	pod->reason = parse_dup(&p, status, "reason", POD_STRING_MAX, NULL);
	pod->message = parse_dup(&p, status, "message", POD_MESSAGE_MAX, NULL);
	const char *ip = parse_str(&p, status, "podIP", POD_STRING_MAX);
	if (ip && *ip)
		pod->ip = parse_addr(&p, "podIP", ip);
	parse_containers(&p, status, "initContainerStatuses", true, pod);
	parse_containers(&p, status, "containerStatuses", false, pod);
	parse_pod_conditions(&p, status, pod);
	if (p.ret)
		kube_pod_free(pod);
	else
		*ret_pod = pod;
	return p.ret;
}

void kube_pod_free(struct kube_pod *pod)
{
	if (!pod)
		return;
	for (size_t i = 0; i < pod->n_containers; i++) {
		free(pod->containers[i].name);
		free(pod->containers[i].reason);
		free(pod->containers[i].message);
		free(pod->containers[i].exit_reason);
	}
	free(pod->containers);
	free(pod->node);
	free(pod->phase);
	free(pod->reason);
	free(pod->message);
	free(pod->unscheduled);
	kube_meta_fini(&pod->meta);
	free(pod);
}
