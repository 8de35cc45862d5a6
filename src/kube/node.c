/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/kube_types.h"

#include <string.h>

#include "fairlead/mem.h"
#include "kube/parse.h"

/* core/v1 Node: a small part of a large object. */
#define NODE_CONDITIONS_MAX 256
#define NODE_ADDRESSES_MAX 256
#define NODE_TAINTS_MAX 1024
#define NODE_MESSAGE_MAX (32 * 1024)
#define NODE_STRING_MAX 253
#define NODE_ADDR_TEXT_MAX 64

#define EXCLUDE_LABEL "node.kubernetes.io/exclude-from-external-load-balancers"
#define DRAIN_ANNOTATION "fairlead.io/drain"

#define OUT_OF_SERVICE_TAINT "node.kubernetes.io/out-of-service"
/* The cluster autoscaler's: the machine goes as soon as its Pods are gone. */
#define TO_BE_DELETED_TAINT "ToBeDeletedByClusterAutoscaler"
#define SHUTDOWN_TAINT "node.cloudprovider.kubernetes.io/shutdown"
/*
 * The kubelet's graceful shutdown has no reason of its own, only these words in the message of
 * condition Ready.
 */
#define SHUTDOWN_WORDS "node is shutting down"

/*
 * The value is read as Go's strconv.ParseBool reads it; anything that is not a bool counts as true.
 */
static bool is_set(const struct labels *labels, const char *key)
{
	static const char *const no[] = { "0", "f", "F", "false", "False", "FALSE" };
	const char *v = labels_get(labels, key);
	if (!v)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		if (!strcmp(v, no[i]))
			return false;
	return true;
}

static void parse_node_conditions(struct parse *p, struct json_object *status,
                                  struct kube_node *node)
{
	size_t n;

	parse_at(p, "status");
	struct json_object *list = parse_array(p, status, "conditions", NODE_CONDITIONS_MAX, &n);
	parse_at(p, "status.conditions");
	for (size_t i = 0; i < n && !p->ret; i++) {
		struct json_object *o = parse_item(p, list, i);
		const char *type = parse_str(p, o, "type", NODE_STRING_MAX + 64);
		const char *value = parse_str(p, o, "status", 16);
		bool yes = value && !strcmp(value, "True");
		if (type && !strcmp(type, "Ready")) {
			const char *message = parse_str(p, o, "message", NODE_MESSAGE_MAX);
			node->ready = yes;
			node->shutting_down |= !yes && message && strstr(message, SHUTDOWN_WORDS);
		}
		if (type && !strcmp(type, "NetworkUnavailable"))
			node->network_unavailable = yes;
	}
}

static void parse_taints(struct parse *p, struct json_object *spec, struct kube_node *node)
{
	size_t n;

	parse_at(p, "spec");
	struct json_object *list = parse_array(p, spec, "taints", NODE_TAINTS_MAX, &n);
	parse_at(p, "spec.taints");
	for (size_t i = 0; i < n && !p->ret; i++) {
		const char *key = parse_str(p, parse_item(p, list, i), "key", 2 * NODE_STRING_MAX);
		node->out_of_service |= key && !strcmp(key, OUT_OF_SERVICE_TAINT);
		node->shutting_down |= key && !strcmp(key, SHUTDOWN_TAINT);
		node->to_be_deleted |= key && !strcmp(key, TO_BE_DELETED_TAINT);
	}
}

static void parse_node_addresses(struct parse *p, struct json_object *status,
                                 struct kube_node *node)
{
	size_t n;

	parse_at(p, "status");
	struct json_object *list = parse_array(p, status, "addresses", NODE_ADDRESSES_MAX, &n);
	if (n == 0)
		return;
	parse_at(p, "status.addresses");
	node->internal_ips = xcalloc(n, sizeof(*node->internal_ips));
	node->external_ips = xcalloc(n, sizeof(*node->external_ips));
	for (size_t i = 0; i < n && !p->ret; i++) {
		struct json_object *o = parse_item(p, list, i);
		const char *type = parse_str(p, o, "type", NODE_STRING_MAX);
		const char *text = parse_str(p, o, "address", NODE_STRING_MAX);
		if (type && text && !strcmp(type, "InternalIP"))
			node->internal_ips[node->n_internal_ips++] = parse_addr(p, "address", text);
		/* Nothing depends on such a one but that it is left alone. */
		else if (type && text && !strcmp(type, "ExternalIP") &&
		         addr_parse(text, &node->external_ips[node->n_external_ips]) == 0)
			node->n_external_ips++;
	}
}

static void parse_pod_cidrs(struct parse *p, struct json_object *spec, struct kube_node *node)
{
	size_t n;

	parse_at(p, "spec");
	const char *single = parse_str(p, spec, "podCIDR", NODE_ADDR_TEXT_MAX);
	struct json_object *list = parse_array(p, spec, "podCIDRs", ARRAY_LEN(node->pod_cidrs), &n);
	parse_at(p, "spec.podCIDRs");
	for (size_t i = 0; i < (n ? n : 1) && !p->ret; i++) {
		const char *text = n ? parse_item_str(p, list, i, NODE_ADDR_TEXT_MAX) : single;
		if (text && *text)
			node->pod_cidrs[node->n_pod_cidrs++] = parse_prefix(p, NULL, text);
	}
}

int kube_node_parse(struct json_object *obj, struct kube_node **ret_node, struct err *e)
{
	struct parse p = { .kind = "Node", .index = -1, .e = e };
	struct kube_node *node = xcalloc(1, sizeof(*node));

	parse_meta(&p, obj, &node->meta);
	parse_at(&p, NULL);
	struct json_object *spec = parse_object(&p, obj, "spec");
	struct json_object *status = parse_object(&p, obj, "status");
	node->excluded = is_set(&node->meta.labels, EXCLUDE_LABEL);
	node->drained = is_set(&node->meta.annotations, DRAIN_ANNOTATION);
	node->cordoned = parse_bool(&p, spec, "unschedulable", false);
	parse_taints(&p, spec, node);
	parse_node_conditions(&p, status, node);
	parse_node_addresses(&p, status, node);
	parse_pod_cidrs(&p, spec, node);
	if (p.ret)
		kube_node_free(node);
	else
		*ret_node = node;
	return p.ret;
}

void kube_node_free(struct kube_node *n)
{
	if (!n)
		return;
	kube_meta_fini(&n->meta);
	free(n->internal_ips);
	free(n->external_ips);
	free(n);
}

struct addr *kube_node_addresses(const struct kube_node *node, size_t *ret_n)
{
	size_t n = 0, n_all = node->n_internal_ips + node->n_external_ips;
	struct addr *addrs = xcalloc(n_all + 1, sizeof(*addrs));

	for (size_t i = 0; i < n_all; i++) {
		const struct addr *a = i < node->n_internal_ips
		                               ? &node->internal_ips[i]
		                               : &node->external_ips[i - node->n_internal_ips];
		if (!addrs_contain(addrs, n, a))
			addrs[n++] = *a;
	}
	*ret_n = n;
	return addrs;
}
