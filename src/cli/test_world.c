/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/test_world.h"

#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "fairlead/ipam.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"
#include "fairlead/reason.h"

#define OS_LABEL "kubernetes.io/os"

static void set(char **s, const char *value)
{
	char *copy = xstrdup_null(value);

	free(*s);
	*s = copy;
}

static void clear_node_says(struct test_node *n)
{
	for (size_t i = 0; i < n->n_says; i++) {
		free(n->says[i].protocol);
		free(n->says[i].reason);
		free(n->says[i].message);
		free(n->says[i].mac);
	}
	free(TAKE(n->says));
	n->n_says = 0;
	n->heard = false;
	set(&n->silence, NULL);
}

void test_world_clear_says(struct test_world *w)
{
	for (size_t i = 0; i < w->n_nodes; i++)
		clear_node_says(&w->nodes[i]);
}

void test_world_clear_asking(struct test_world *w)
{
	for (size_t i = 0; i < w->n_nodes; i++) {
		set(&w->nodes[i].found, NULL);
		set(&w->nodes[i].pod_trouble, NULL);
		w->nodes[i].pod_waits = false;
	}
}

void test_world_clear_echo(struct test_world *w)
{
	set(&w->echo_pod, NULL);
	set(&w->echo_node, NULL);
	set(&w->echo_trouble, NULL);
	set(&w->deployment_trouble, NULL);
	w->echo_ready = false;
}

void test_world_fini(struct test_world *w)
{
	test_world_clear_says(w);
	test_world_clear_asking(w);
	test_world_clear_echo(w);
	for (size_t i = 0; i < w->n_nodes; i++)
		free(w->nodes[i].name);
	free(w->nodes);
	free(w->namespace);
	free(w->name);
	free(w->reason);
	free(w->message);
}

/* ---- nodes ---- */

void test_world_put_node(struct test_world *w, const struct kube_node *n)
{
	const char *os = labels_get(&n->meta.labels, OS_LABEL);

	ARRAY_RESERVE(w->nodes, w->cap_nodes, w->n_nodes + 1);
	struct test_node *node = &w->nodes[w->n_nodes++];
	*node = (struct test_node){ .name = xstrdup(n->meta.name),
		                    .ready = n->ready,
		                    .excluded = n->excluded,
		                    .is_windows = os && !strcmp(os, "windows"),
		                    .n_pods = n->n_pod_cidrs };
	memcpy(node->pods, n->pod_cidrs, sizeof(node->pods));
	for (size_t i = 0; i < n->n_internal_ips; i++) {
		struct addr *ip = &node->ips[n->internal_ips[i].family == 6];
		if (addr_is_none(ip))
			*ip = n->internal_ips[i];
	}
}

void test_world_choose_peers(struct test_world *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n_nodes; i++) {
		const struct test_node *node = &w->nodes[i];
		w->nodes[i].is_peer = node->ready && !node->is_windows && n < TEST_NODES_MAX;
		n += w->nodes[i].is_peer;
	}
}

size_t test_world_peers(const struct test_world *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n_nodes; i++)
		n += w->nodes[i].is_peer;
	return n;
}

struct test_node *test_world_node(const struct test_world *w, const char *name)
{
	for (size_t i = 0; i < w->n_nodes; i++)
		if (!strcmp(w->nodes[i].name, name))
			return &w->nodes[i];
	return NULL;
}

const struct addr *test_world_node_ip(const struct test_world *w, const struct test_node *n)
{
	return &n->ips[w->vip.family == 6];
}

static bool has(const struct test_node *n, const struct addr *a)
{
	for (size_t i = 0; i < n->n_pods; i++)
		if (prefix_contains(&n->pods[i], a))
			return true;
	return addr_eq(&n->ips[0], a) || addr_eq(&n->ips[1], a);
}

const struct test_node *test_world_node_of(const struct test_world *w, const struct addr *a)
{
	if (addr_is_none(a))
		return NULL;
	for (size_t i = 0; i < w->n_nodes; i++)
		if (has(&w->nodes[i], a))
			return &w->nodes[i];
	return NULL;
}

/* ---- the Service ---- */

void test_world_put_service(struct test_world *w, const struct kube_service *s)
{
	static const struct addr none;
	const struct kube_condition *c = NULL;

	for (size_t i = 0; i < s->n_conditions; i++)
		if (!strcmp(s->conditions[i].type, IPAM_CONDITION))
			c = &s->conditions[i];
	set(&w->namespace, s->meta.namespace);
	set(&w->name, s->meta.name);
	set(&w->reason, c ? c->reason : NULL);
	set(&w->message, c ? c->message : NULL);
	w->vip = s->n_ingress ? s->ingress[0].ip : none;
	w->cluster_ip = s->n_cluster_ips ? s->cluster_ips[0] : none;
	w->node_port = s->n_ports ? s->ports[0].node_port : 0;
	w->local = s->traffic.external_local;
}

/* ---- Pods ---- */

/* What the cluster puts beside it, such as a mesh's proxy, has its own troubles. */
static struct json_object *our_container(struct json_object *status)
{
	struct json_object *list =
		kube_json_get(status, "containerStatuses", json_type_array, NULL);

	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *c = json_object_array_get_idx(list, i);
		const char *name = kube_json_str(c, "name", NULL);
		if (name && !strcmp(name, TEST_NAME))
			return c;
	}
	return NULL;
}

/* The condition of that type; NULL: it has none. */
static struct json_object *condition(struct json_object *status, const char *type)
{
	struct json_object *list = kube_json_get(status, "conditions", json_type_array, NULL);

	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *c = json_object_array_get_idx(list, i);
		const char *t = kube_json_str(c, "type", NULL);
		if (t && !strcmp(t, type))
			return c;
	}
	return NULL;
}

static bool is(struct json_object *cond, const char *value)
{
	const char *s = kube_json_str(cond, "status", NULL);

	return s && !strcmp(s, value);
}

/* "REASON: message", of what has such members; NULL if it has none. */
static char *words_of(struct json_object *obj)
{
	const char *reason = kube_json_str(obj, "reason", NULL);
	const char *message = kube_json_str(obj, "message", NULL);
	bool both = reason && *reason && message && *message;

	if (both)
		return xasprintf("%s: %s", reason, message);
	return reason && *reason ? xstrdup(reason) : xstrdup_null(message);
}

static struct json_object *container_state(struct json_object *status, const char *key)
{
	struct json_object *container = our_container(status);

	return kube_json_get(kube_json_get(container, "state", json_type_object, NULL), key,
	                     json_type_object, NULL);
}

/* What keeps it from running; NULL: nothing that the status tells. */
static char *trouble_of(struct json_object *status)
{
	struct json_object *waiting = container_state(status, "waiting");
	struct json_object *ended = container_state(status, "terminated");
	struct json_object *scheduled = condition(status, "PodScheduled");
	const char *phase = kube_json_str(status, "phase", NULL);

	if (waiting)
		return words_of(waiting);
	if (ended && kube_json_int(ended, "exitCode", 0, INT32_MAX, 0, NULL) != 0)
		return words_of(ended);
	if (phase && !strcmp(phase, "Failed"))
		return words_of(status);
	return is(scheduled, "False") ? words_of(scheduled) : NULL;
}

static void put_echo(struct test_world *w, const char *name, const char *node,
                     struct json_object *status)
{
	bool ready = is(condition(status, "Ready"), "True");
	char *trouble;

	if (w->echo_pod && !ready)
		return;
	trouble = ready ? NULL : trouble_of(status);
	set(&w->echo_pod, name);
	set(&w->echo_node, node);
	set(&w->echo_trouble, trouble);
	free(trouble);
	w->echo_ready = ready;
}

static void put_probe(struct test_node *n, struct json_object *status)
{
	struct json_object *ended = container_state(status, "terminated");
	const char *message = ended ? kube_json_str(ended, "message", NULL) : NULL;

	set(&n->found, NULL);
	free(n->pod_trouble);
	n->pod_trouble = trouble_of(status);
	n->pod_waits = container_state(status, "waiting") && !ended;
	if (!n->pod_trouble && ended && !message)
		n->pod_trouble = xstrdup("it left no message behind");
	else if (!n->pod_trouble && ended)
		n->found = xstrdup(message);
}

void test_world_put_pod(struct test_world *w, struct json_object *pod)
{
	struct json_object *meta = kube_json_get(pod, "metadata", json_type_object, NULL);
	struct json_object *spec = kube_json_get(pod, "spec", json_type_object, NULL);
	struct json_object *status = kube_json_get(pod, "status", json_type_object, NULL);
	struct json_object *labels = kube_json_get(meta, "labels", json_type_object, NULL);
	const char *name = kube_json_str(meta, "name", NULL);
	const char *component = kube_json_str(labels, TEST_LABEL_COMPONENT, NULL);
	const char *node = kube_json_str(spec, "nodeName", NULL);
	struct test_node *n = node ? test_world_node(w, node) : NULL;

	if (!name || !component || kube_json_str(meta, "deletionTimestamp", NULL))
		return;
	if (!strcmp(component, TEST_ECHO))
		put_echo(w, name, node, status);
	else if (n && !strcmp(component, TEST_PROBE))
		put_probe(n, status);
}

void test_world_put_deployment(struct test_world *w, struct json_object *deployment)
{
	struct json_object *status = kube_json_get(deployment, "status", json_type_object, NULL);
	struct json_object *failure = condition(status, "ReplicaFailure");

	free(w->deployment_trouble);
	w->deployment_trouble = is(failure, "True") ? words_of(failure) : NULL;
}

/* ---- speakers ---- */

static void put_address(struct test_world *w, struct test_node *n, struct json_object *obj)
{
	const char *text = kube_json_str(obj, "address", NULL);
	struct addr a;

	if (!text || addr_parse(text, &a) < 0 || !addr_eq(&a, &w->vip))
		return;
	n->says = xreallocarray(n->says, n->n_says + 1, sizeof(*n->says));
	n->says[n->n_says++] = (struct test_say){
		.protocol = xstrdup_null(kube_json_str(obj, "protocol", NULL)),
		.reason = xstrdup_null(kube_json_str(obj, "reason", NULL)),
		.message = xstrdup_null(kube_json_str(obj, "message", NULL)),
		.mac = xstrdup_null(kube_json_str(obj, "mac", NULL)),
		.announce = kube_json_bool(obj, "announce", false, NULL),
	};
}

static bool is_ours(const struct test_world *w, struct json_object *service)
{
	const char *namespace = kube_json_str(service, "namespace", NULL);
	const char *name = kube_json_str(service, "name", NULL);

	return namespace && name && w->namespace && !strcmp(namespace, w->namespace) &&
	       !strcmp(name, w->name);
}

void test_world_put_speaker(struct test_world *w, const char *node, struct json_object *status,
                            const char *why)
{
	struct test_node *n = test_world_node(w, node);
	struct json_object *services = kube_json_get(status, "services", json_type_array, NULL);

	if (!n)
		return;
	clear_node_says(n);
	n->heard = status != NULL;
	set(&n->silence, status ? NULL : why);
	for (size_t i = 0; services && i < json_object_array_length(services); i++) {
		struct json_object *s = json_object_array_get_idx(services, i);
		struct json_object *list = kube_json_get(s, "addresses", json_type_array, NULL);
		for (size_t k = 0; list && is_ours(w, s) && k < json_object_array_length(list); k++)
			put_address(w, n, json_object_array_get_idx(list, k));
	}
}

static bool may_announce(const struct test_node *n)
{
	for (size_t i = 0; i < n->n_says; i++) {
		const char *reason = n->says[i].reason;
		if (n->says[i].announce ||
		    (reason && !strcmp(reason, reason_name(REASON_NotOwner))))
			return true;
	}
	return false;
}

bool test_world_is_announceable(const struct test_world *w)
{
	for (size_t i = 0; i < w->n_nodes; i++)
		if (w->nodes[i].ready && may_announce(&w->nodes[i]))
			return true;
	return false;
}

bool test_world_is_well_placed(struct test_world *w)
{
	const struct test_node *echo = w->echo_node ? test_world_node(w, w->echo_node) : NULL;

	if (echo && may_announce(echo))
		return true;
	w->placed = true;
	for (size_t i = 0; i < w->n_nodes; i++)
		w->nodes[i].is_place = w->nodes[i].ready && may_announce(&w->nodes[i]);
	return false;
}
