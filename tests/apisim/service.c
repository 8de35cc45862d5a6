/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "service.h"

#include <stdio.h>
#include <string.h>

#include "fairlead/buf.h"
#include "fairlead/mem.h"
#include "js.h"

static const char *type_of(struct json_object *svc)
{
	const char *type = js_str(svc, "spec.type");

	return type && *type ? type : "ClusterIP";
}

static bool is_type(struct json_object *svc, const char *type)
{
	return !strcmp(type_of(svc), type);
}

static bool needs_cluster_ip(struct json_object *svc)
{
	return !is_type(svc, "ExternalName");
}

static bool is_external(struct json_object *svc)
{
	return is_type(svc, "NodePort") || is_type(svc, "LoadBalancer");
}

static bool needs_policy(struct json_object *svc)
{
	return is_external(svc) ||
	       (is_type(svc, "ClusterIP") && js_len(js_array(svc, "spec.externalIPs")));
}

static bool needs_health_port(struct json_object *svc)
{
	return is_type(svc, "LoadBalancer") &&
	       js_is_str(js_at(svc, "spec.externalTrafficPolicy"), "Local");
}

static bool is_headless(struct json_object *svc)
{
	return js_is_str(js_at(svc, "spec.clusterIP"), "None") ||
	       (!js_str(svc, "spec.clusterIP") && js_len(js_array(svc, "spec.clusterIPs")) &&
	        js_is_str(json_object_array_get_idx(js_array(svc, "spec.clusterIPs"), 0), "None"));
}

static void default_str(struct json_object *o, const char *path, const char *value)
{
	if (!*js_str0(o, path))
		js_set_str(o, path, value);
}

static void default_port(struct json_object *port)
{
	default_str(port, "protocol", "TCP");
	struct json_object *target = js_get(port, "targetPort");
	if (!target || js_is_str(target, "") ||
	    (js_is(target, json_type_int) && !json_object_get_int64(target)))
		js_set_int(port, "targetPort", js_int(port, "port", 0));
}

/* The bits of the status that have defaults: ipMode, as the v1 conversion sets it. */
static void default_status(struct json_object *svc)
{
	if (!js_object(svc, "status.loadBalancer"))
		js_set(svc, "status.loadBalancer", json_object_new_object());
	struct json_object *ingress = js_array(svc, "status.loadBalancer.ingress");
	for (size_t i = 0; i < js_len(ingress) && is_type(svc, "LoadBalancer"); i++) {
		struct json_object *e = json_object_array_get_idx(ingress, i);
		if (*js_str0(e, "ip") && !js_get(e, "ipMode"))
			js_set_str(e, "ipMode", "VIP");
	}
	if (ingress && !js_len(ingress))
		js_del(svc, "status.loadBalancer.ingress");
}

void service_default(struct json_object *svc)
{
	default_str(svc, "spec.sessionAffinity", "None");
	default_str(svc, "spec.type", "ClusterIP");
	if (js_is_str(js_at(svc, "spec.sessionAffinity"), "None"))
		js_del(svc, "spec.sessionAffinityConfig");
	else if (!js_at(svc, "spec.sessionAffinityConfig.clientIP.timeoutSeconds"))
		js_set_int(svc, "spec.sessionAffinityConfig.clientIP.timeoutSeconds", 10800);
	struct json_object *ports = js_array(svc, "spec.ports");
	for (size_t i = 0; i < js_len(ports); i++)
		default_port(json_object_array_get_idx(ports, i));
	if (needs_policy(svc))
		default_str(svc, "spec.externalTrafficPolicy", "Cluster");
	if (needs_cluster_ip(svc))
		default_str(svc, "spec.internalTrafficPolicy", "Cluster");
	if (is_type(svc, "LoadBalancer") && !js_at(svc, "spec.allocateLoadBalancerNodePorts"))
		js_set(svc, "spec.allocateLoadBalancerNodePorts", json_object_new_boolean(1));
	default_status(svc);
}

/* Values that the user left out and that were allocated before. */
static void carry_allocated(struct json_object *svc, struct json_object *old)
{
	static const char *const family[] = { "spec.ipFamilies", "spec.ipFamilyPolicy" };
	if (needs_cluster_ip(old) && needs_cluster_ip(svc)) {
		if (!*js_str0(svc, "spec.clusterIP") && js_at(old, "spec.clusterIP"))
			js_set(svc, "spec.clusterIP", js_copy(js_at(old, "spec.clusterIP")));
		if (!js_len(js_array(svc, "spec.clusterIPs")) && *js_str0(svc, "spec.clusterIP") &&
		    js_at(old, "spec.clusterIPs"))
			js_set(svc, "spec.clusterIPs", js_copy(js_at(old, "spec.clusterIPs")));
		for (size_t i = 0; i < ARRAY_LEN(family); i++)
			if (!js_at(svc, family[i]) && js_at(old, family[i]))
				js_set(svc, family[i], js_copy(js_at(old, family[i])));
	}
	if (needs_health_port(old) && needs_health_port(svc) &&
	    !js_int(svc, "spec.healthCheckNodePort", 0))
		js_set(svc, "spec.healthCheckNodePort",
		       js_copy(js_at(old, "spec.healthCheckNodePort")));
}

static bool uses_node_port(struct json_object *ports, int64_t node_port)
{
	for (size_t i = 0; i < js_len(ports); i++)
		if (js_int(json_object_array_get_idx(ports, i), "nodePort", 0) == node_port)
			return true;
	return false;
}

/* By port name, as the real one: the number may have changed. */
static void carry_node_ports(struct json_object *svc, struct json_object *old)
{
	if (!is_external(svc) || !is_external(old))
		return;
	struct json_object *ports = js_array(svc, "spec.ports"),
			   *before = js_array(old, "spec.ports");
	for (size_t i = 0; i < js_len(ports); i++) {
		struct json_object *p = json_object_array_get_idx(ports, i);
		if (js_int(p, "nodePort", 0))
			continue;
		for (size_t j = 0; j < js_len(before); j++) {
			struct json_object *b = json_object_array_get_idx(before, j);
			int64_t had = js_int(b, "nodePort", 0);
			if (had && !strcmp(js_str0(b, "name"), js_str0(p, "name")) &&
			    !uses_node_port(ports, had))
				js_set_int(p, "nodePort", had);
		}
	}
}

static bool same(struct json_object *svc, struct json_object *old, const char *path)
{
	return js_equal(js_at(svc, path), js_at(old, path));
}

static bool same_node_ports(struct json_object *svc, struct json_object *old)
{
	struct json_object *a = js_array(svc, "spec.ports"), *b = js_array(old, "spec.ports");

	for (size_t i = 0; i < js_len(a); i++) {
		int64_t np = js_int(json_object_array_get_idx(a, i), "nodePort", 0);
		if (np && !uses_node_port(b, np))
			return false;
	}
	return true;
}

/* A user who switches the type and leaves the old type's fields as they were means them to go. */
static void drop_for_type(struct json_object *svc, struct json_object *old)
{
	if (needs_cluster_ip(old) && !needs_cluster_ip(svc) && same(svc, old, "spec.clusterIP")) {
		js_del(svc, "spec.clusterIP");
		js_del(svc, "spec.clusterIPs");
		js_del(svc, "spec.ipFamilies");
		js_del(svc, "spec.ipFamilyPolicy");
		if (same(svc, old, "spec.internalTrafficPolicy"))
			js_del(svc, "spec.internalTrafficPolicy");
	}
	if (is_external(old) && !is_external(svc) && same_node_ports(svc, old)) {
		struct json_object *ports = js_array(svc, "spec.ports");
		for (size_t i = 0; i < js_len(ports); i++)
			js_del(json_object_array_get_idx(ports, i), "nodePort");
	}
	if (needs_policy(old) && !needs_policy(svc) && same(svc, old, "spec.externalTrafficPolicy"))
		js_del(svc, "spec.externalTrafficPolicy");
	if (needs_health_port(old) && !needs_health_port(svc) &&
	    same(svc, old, "spec.healthCheckNodePort"))
		js_del(svc, "spec.healthCheckNodePort");
	if (!is_type(old, "LoadBalancer") || is_type(svc, "LoadBalancer"))
		return;
	if (same(svc, old, "spec.allocateLoadBalancerNodePorts"))
		js_del(svc, "spec.allocateLoadBalancerNodePorts");
	if (same(svc, old, "spec.loadBalancerClass"))
		js_del(svc, "spec.loadBalancerClass");
}

/* Back to a single stack: second values that the user left alone go, the first ones stay. */
static void drop_second_family(struct json_object *svc, struct json_object *old)
{
	static const char *const lists[] = { "spec.ipFamilies", "spec.clusterIPs" };
	if (!js_is_str(js_at(svc, "spec.ipFamilyPolicy"), "SingleStack") ||
	    js_is_str(js_at(old, "spec.ipFamilyPolicy"), "SingleStack"))
		return;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct json_object *list = js_array(svc, lists[i]);
		if (js_len(list) == 2 && same(svc, old, lists[i]))
			json_object_array_del_idx(list, 1, 1);
	}
}

void service_carry_over(struct json_object *svc, struct json_object *old)
{
	if (old) {
		carry_allocated(svc, old);
		carry_node_ports(svc, old);
		drop_for_type(svc, old);
		drop_second_family(svc, old);
	}
	if (!is_type(svc, "LoadBalancer"))
		js_set(svc, "status.loadBalancer", json_object_new_object());
	/* Either spelling of the address sets the other. */
	if (js_str(svc, "spec.clusterIP") && *js_str0(svc, "spec.clusterIP") &&
	    !js_len(js_array(svc, "spec.clusterIPs"))) {
		struct json_object *ips = json_object_new_array();
		json_object_array_add(ips, json_object_new_string(js_str(svc, "spec.clusterIP")));
		js_set(svc, "spec.clusterIPs", ips);
	}
}

static int family_number(const char *name)
{
	return !strcmp(name, "IPv4") ? 4 : !strcmp(name, "IPv6") ? 6 : 0;
}

static const char *family_name(int family)
{
	return family == 6 ? "IPv6" : "IPv4";
}

static void add_family(struct json_object *families, int family)
{
	for (size_t i = 0; i < json_object_array_length(families); i++)
		if (js_is_str(json_object_array_get_idx(families, i), family_name(family)))
			return;
	json_object_array_add(families, json_object_new_string(family_name(family)));
}

/* ipFamilyPolicy and ipFamilies, from what the user gave and what the cluster has. */
static void choose_families(struct alloc *a, struct json_object *svc, struct causes *c)
{
	struct json_object *ips = js_array(svc, "spec.clusterIPs");
	struct json_object *families = js_array(svc, "spec.ipFamilies");
	bool selectorless = is_headless(svc) && !js_object(svc, "spec.selector");

	if (!families) {
		families = json_object_new_array();
		js_set(svc, "spec.ipFamilies", families);
	}
	for (size_t i = 0; i < js_len(ips); i++) {
		struct addr ip;
		const char *s = json_object_get_string(json_object_array_get_idx(ips, i));
		if (addr_parse(s ? s : "", &ip) == 0)
			add_family(families, ip.family);
	}
	if (!js_str(svc, "spec.ipFamilyPolicy"))
		js_set_str(svc, "spec.ipFamilyPolicy",
		           selectorless ? "RequireDualStack" : "SingleStack");
	const char *policy = js_str0(svc, "spec.ipFamilyPolicy");
	for (size_t i = 0; i < json_object_array_length(families); i++) {
		const char *name = json_object_get_string(json_object_array_get_idx(families, i));
		if (selectorless || alloc_range(a, family_number(name)))
			continue;
		cleanup(buf_fini) struct buf value = BUF_INIT;
		cleanup_free char *field = xasprintf("spec.ipFamilies[%zu]", i);
		buf_json_str(&value, name);
		cause_invalid(c, field, buf_str(&value), "not configured on this cluster");
	}
	if (!strcmp(policy, "RequireDualStack") && a->n_ranges < 2 && !selectorless)
		cause_invalid(c, "spec.ipFamilyPolicy", "\"RequireDualStack\"",
		              "this cluster is not configured for dual-stack services");
	if (!strcmp(policy, "SingleStack") && json_object_array_length(families) > 1)
		cause_invalid(c, "spec.ipFamilyPolicy", "\"SingleStack\"",
		              "must be 'RequireDualStack' or 'PreferDualStack' when multiple "
		              "ipFamilies are specified");
	if (!json_object_array_length(families))
		add_family(families, a->ranges[0].addr.family);
	if (strcmp(policy, "SingleStack") != 0 && (a->n_ranges > 1 || selectorless)) {
		add_family(families, 4);
		add_family(families, 6);
	}
}

static void ip_problem(struct json_object *ips, const char *ip, struct causes *c, const char *what)
{
	cause_invalid(c, "spec.clusterIPs", js_text(ips, NULL), "failed to allocate IP %s: %s", ip,
	              what);
}

static void give_ips(struct alloc *a, struct json_object *svc, struct causes *c)
{
	struct json_object *ips = js_array(svc, "spec.clusterIPs");
	struct json_object *families = js_array(svc, "spec.ipFamilies");

	if (!ips) {
		ips = json_object_new_array();
		js_set(svc, "spec.clusterIPs", ips);
	}
	for (size_t i = 0; i < json_object_array_length(families); i++) {
		int family = family_number(
			json_object_get_string(json_object_array_get_idx(families, i)));
		struct addr ip;
		if (i >= json_object_array_length(ips)) {
			if (!alloc_next_ip(a, family, &ip)) {
				ip_problem(ips, family_name(family), c, "range is full");
				return;
			}
			json_object_array_add(ips, json_object_new_string(addr_str(&ip)));
			continue;
		}
		const char *text = json_object_get_string(json_object_array_get_idx(ips, i));
		if (addr_parse(text, &ip) < 0)
			continue;
		const struct prefix *range = alloc_range(a, ip.family);
		if (!range || !prefix_contains(range, &ip)) {
			ip_problem(ips, text, c,
			           "the provided network does not match the current range");
		} else if (alloc_ip_taken(a, &ip)) {
			ip_problem(ips, text, c, "provided IP is already allocated");
		}
	}
	if (json_object_array_length(ips))
		js_set(svc, "spec.clusterIP", json_object_get(json_object_array_get_idx(ips, 0)));
}

static void check_port(struct alloc *a, const char *field, int64_t port, struct causes *c)
{
	char value[24];

	snprintf(value, sizeof(value), "%lld", (long long)port);
	if (port < NODE_PORT_MIN || port > NODE_PORT_MAX)
		cause_invalid(
			c, field, value,
			"provided port is not in the valid range. The range of valid ports is "
			"%d-%d",
			NODE_PORT_MIN, NODE_PORT_MAX);
	else if (alloc_port_taken(a, port))
		cause_invalid(c, field, value, "provided port is already allocated");
}

/* The node port that an earlier entry with the same port (of another protocol) got. */
static int64_t twin_port(struct json_object *ports, size_t i)
{
	int64_t port = js_int(json_object_array_get_idx(ports, i), "port", 0);

	for (size_t j = 0; j < i; j++) {
		struct json_object *p = json_object_array_get_idx(ports, j);
		if (js_int(p, "port", 0) == port && js_int(p, "nodePort", 0))
			return js_int(p, "nodePort", 0);
	}
	return 0;
}

static void give_node_ports(struct alloc *a, struct json_object *svc, struct causes *c)
{
	struct json_object *ports = js_array(svc, "spec.ports");
	int64_t mine[SERVICE_MAX_PORTS + 1];
	size_t n_mine = 0;

	for (size_t i = 0; i < js_len(ports); i++) {
		int64_t np = js_int(json_object_array_get_idx(ports, i), "nodePort", 0);
		cleanup_free char *field = xasprintf("spec.ports[%zu].nodePort", i);
		if (np) {
			check_port(a, field, np, c);
			mine[n_mine++] = np;
		}
	}
	bool gives = is_type(svc, "NodePort") ||
	             (is_type(svc, "LoadBalancer") &&
	              js_bool(svc, "spec.allocateLoadBalancerNodePorts", true));
	for (size_t i = 0; i < js_len(ports) && gives; i++) {
		struct json_object *p = json_object_array_get_idx(ports, i);
		if (js_int(p, "nodePort", 0))
			continue;
		int64_t np = twin_port(ports, i);
		if (!np)
			np = alloc_next_port(a, mine, n_mine);
		if (!np) {
			cleanup_free char *field = xasprintf("spec.ports[%zu].nodePort", i);
			cause_invalid(c, field, "0",
			              "failed to allocate a nodePort: range is full");
			return;
		}
		js_set_int(p, "nodePort", np);
		mine[n_mine++] = np;
	}
	if (!needs_health_port(svc))
		return;
	int64_t hc = js_int(svc, "spec.healthCheckNodePort", 0);
	if (hc)
		check_port(a, "spec.healthCheckNodePort", hc, c);
	else
		js_set_int(svc, "spec.healthCheckNodePort", alloc_next_port(a, mine, n_mine));
}

void service_allocate(struct alloc *a, struct json_object *svc, struct json_object *old,
                      struct causes *c)
{
	if (old)
		alloc_count(a, old, -1);
	if (needs_cluster_ip(svc)) {
		choose_families(a, svc, c);
		if (!js_len(c->list) && !is_headless(svc))
			give_ips(a, svc, c);
		else if (is_headless(svc))
			js_set_str(svc, "spec.clusterIP", "None");
	}
	give_node_ports(a, svc, c);
	/* What is new counts only once it is stored. */
	if (old)
		alloc_count(a, old, +1);
}
