/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "validate.h"

#include <string.h>

#include "fairlead/addr.h"
#include "fairlead/buf.h"
#include "fairlead/clock.h"
#include "fairlead/mem.h"
#include "js.h"
#include "service.h"

/* Services, field by field, after defaults and carry-over, before anything is allocated. */

#define IP_MSG "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
#define PORT_NAME_MAX 63
#define SERVICE_PORT_NAME_MAX 15

static bool is(struct json_object *svc, const char *type)
{
	return js_is_str(js_at(svc, "spec.type"), type);
}

static void check_choice(struct json_object *o, const char *path, const char *const *allowed,
                         const char *printed, struct causes *c)
{
	const char *value = js_str(o, path);

	for (size_t i = 0; value && allowed[i]; i++)
		if (!strcmp(value, allowed[i]))
			return;
	if (value)
		cause_unsupported(c, path, value, printed);
}

static void check_choices(struct json_object *svc, struct causes *c)
{
	static const char *const type[] = { "ClusterIP", "ExternalName", "LoadBalancer", "NodePort",
		                            NULL };
	static const char *const policy[] = { "Cluster", "Local", NULL };
	static const char *const affinity[] = { "ClientIP", "None", NULL };
	static const char *const family[] = { "SingleStack", "PreferDualStack", "RequireDualStack",
		                              NULL };
	check_choice(svc, "spec.type", type,
	             "\"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"", c);
	check_choice(svc, "spec.externalTrafficPolicy", policy, "\"Cluster\", \"Local\"", c);
	check_choice(svc, "spec.internalTrafficPolicy", policy, "\"Cluster\", \"Local\"", c);
	check_choice(svc, "spec.sessionAffinity", affinity, "\"ClientIP\", \"None\"", c);
	check_choice(svc, "spec.ipFamilyPolicy", family,
	             "\"PreferDualStack\", \"RequireDualStack\", \"SingleStack\"", c);
}

static void check_number(struct causes *c, const char *field, int64_t n)
{
	if (n >= 1 && n <= 65535)
		return;
	cleanup_free char *value = xasprintf("%lld", (long long)n);
	cause_invalid(c, field, value, "must be between 1 and 65535, inclusive");
}

/* An IANA service name: at most 15 of a-z, 0-9 and '-', with a letter, no "--". */
static bool is_service_port_name(const char *s)
{
	return strlen(s) <= SERVICE_PORT_NAME_MAX && is_dns_label(s) && !strstr(s, "--") &&
	       strpbrk(s, "abcdefghijklmnopqrstuvwxyz");
}

static void check_target(struct json_object *port, const char *prefix, struct causes *c)
{
	struct json_object *target = js_get(port, "targetPort");
	cleanup_free char *field = xasprintf("%s.targetPort", prefix);

	if (js_is(target, json_type_int))
		check_number(c, field, json_object_get_int64(target));
	else if (target && !is_service_port_name(json_object_get_string(target)))
		cause_invalid_str(
			c, field, json_object_get_string(target),
			"must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
}

static void check_port(struct json_object *svc, struct json_object *port, size_t i, bool many,
                       struct causes *c)
{
	static const char *const protocols[] = { "SCTP", "TCP", "UDP", NULL };
	cleanup_free char *prefix = xasprintf("spec.ports[%zu]", i);
	cleanup_free char *name_field = xasprintf("%s.name", prefix);
	cleanup_free char *port_field = xasprintf("%s.port", prefix);
	cleanup_free char *node_field = xasprintf("%s.nodePort", prefix);
	const char *name = js_str0(port, "name"), *protocol = js_str0(port, "protocol");
	int64_t node_port = js_int(port, "nodePort", 0);
	if (!*name && many)
		cause_required(c, name_field, "");
	else if (*name && !is_dns_label(name))
		cause_invalid_str(c, name_field, name, DNS_LABEL_MSG);
	check_number(c, port_field, js_int(port, "port", 0));
	bool known = false;
	for (size_t p = 0; protocols[p]; p++)
		known = known || !strcmp(protocol, protocols[p]);
	if (!known) {
		cleanup_free char *field = xasprintf("%s.protocol", prefix);
		cause_unsupported(c, field, protocol, "\"SCTP\", \"TCP\", \"UDP\"");
	}
	check_target(port, prefix, c);
	if (node_port && (is(svc, "ClusterIP") || is(svc, "ExternalName"))) {
		cleanup_free char *why =
			xasprintf("may not be used when `type` is '%s'", js_str0(svc, "spec.type"));
		cause_forbidden(c, node_field, why);
	}
}

static void check_duplicates(struct json_object *ports, size_t i, struct causes *c)
{
	struct json_object *a = json_object_array_get_idx(ports, i);

	for (size_t j = 0; j < i; j++) {
		struct json_object *b = json_object_array_get_idx(ports, j);
		bool same_protocol = !strcmp(js_str0(a, "protocol"), js_str0(b, "protocol"));
		int64_t node_port = js_int(a, "nodePort", 0);
		cleanup_free char *prefix = xasprintf("spec.ports[%zu]", i);
		if (*js_str0(a, "name") && !strcmp(js_str0(a, "name"), js_str0(b, "name"))) {
			cleanup_free char *field = xasprintf("%s.name", prefix);
			cleanup_free char *value = xasprintf("\"%s\"", js_str0(a, "name"));
			cause_duplicate(c, field, value);
		}
		if (same_protocol && js_int(a, "port", 0) == js_int(b, "port", 0)) {
			cleanup_free char *value =
				xasprintf("{\"Name\":\"\",\"Protocol\":\"%s\",\"AppProtocol\":null,"
			                  "\"Port\":%lld,\"TargetPort\":0,\"NodePort\":0}",
			                  js_str0(a, "protocol"), (long long)js_int(a, "port", 0));
			cause_duplicate(c, prefix, value);
		}
		if (same_protocol && node_port && node_port == js_int(b, "nodePort", 0)) {
			cleanup_free char *field = xasprintf("%s.nodePort", prefix);
			cleanup_free char *value = xasprintf("%lld", (long long)node_port);
			cause_duplicate(c, field, value);
		}
	}
}

static void check_ports(struct json_object *svc, struct causes *c)
{
	struct json_object *ports = js_array(svc, "spec.ports");
	size_t n = js_len(ports);
	bool headless = js_is_str(js_at(svc, "spec.clusterIP"), "None");

	if (!n && !headless && !is(svc, "ExternalName"))
		cause_required(c, "spec.ports", "");
	if (n > SERVICE_MAX_PORTS) {
		cause_too_many(c, "spec.ports", n, SERVICE_MAX_PORTS);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		check_port(svc, json_object_array_get_idx(ports, i), i, n > 1, c);
		check_duplicates(ports, i, c);
	}
}

static bool in_prefix(const struct addr *a, const char *prefix)
{
	struct prefix p;

	return prefix_parse(prefix, false, &p) == 0 && prefix_contains(&p, a);
}

static void check_external_ip(const char *field, const char *text, struct causes *c)
{
	struct addr a;

	if (addr_parse(text, &a) < 0)
		cause_invalid_str(c, field, text, IP_MSG);
	else if (in_prefix(&a, "0.0.0.0/32") || in_prefix(&a, "::/128"))
		cause_invalid_str(c, field, text, "may not be unspecified (0.0.0.0 or ::)");
	else if (in_prefix(&a, "127.0.0.0/8") || in_prefix(&a, "::1/128"))
		cause_invalid_str(c, field, text,
		                  "may not be in the loopback range (127.0.0.0/8, ::1/128)");
	else if (in_prefix(&a, "169.254.0.0/16") || in_prefix(&a, "fe80::/10"))
		cause_invalid_str(c, field, text,
		                  "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
	else if (in_prefix(&a, "224.0.0.0/24") || in_prefix(&a, "ff02::/10"))
		cause_invalid_str(
			c, field, text,
			"may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
}

static void check_addresses(struct json_object *svc, struct causes *c)
{
	struct json_object *external = js_array(svc, "spec.externalIPs");
	struct json_object *ranges = js_array(svc, "spec.loadBalancerSourceRanges");

	for (size_t i = 0; i < js_len(external); i++) {
		cleanup_free char *field = xasprintf("spec.externalIPs[%zu]", i);
		check_external_ip(
			field, json_object_get_string(json_object_array_get_idx(external, i)), c);
	}
	if (js_len(ranges) && !is(svc, "LoadBalancer"))
		cause_forbidden(c, "spec.loadBalancerSourceRanges",
		                "may only be used when `type` is 'LoadBalancer'");
	for (size_t i = 0; i < js_len(ranges); i++) {
		struct prefix p;
		const char *text = json_object_get_string(json_object_array_get_idx(ranges, i));
		cleanup_free char *field = xasprintf("spec.loadBalancerSourceRanges[%zu]", i);
		if (prefix_parse(text, false, &p) < 0)
			cause_invalid_str(c, field, text,
			                  "must be a valid CIDR value, (e.g. 10.9.8.0/24 or "
			                  "2001:db8::/64)");
	}
}

static void check_one_cluster_ip(struct json_object *svc, struct json_object *ips, size_t i,
                                 struct causes *c)
{
	struct addr a;
	const char *text = json_object_get_string(json_object_array_get_idx(ips, i));
	cleanup_free char *field = xasprintf("spec.clusterIPs[%zu]", i);

	if (!strcmp(text, "None")) {
		if (js_len(ips) > 1)
			cause_invalid_str(c, field, text,
			                  "'None' must be the first and only value");
		else if (!is(svc, "ClusterIP")) {
			cleanup_free char *why =
				xasprintf("may not be set to 'None' for %s services",
			                  js_str0(svc, "spec.type"));
			cause_invalid_str(c, field, text, why);
		}
	} else if (addr_parse(text, &a) < 0) {
		cause_invalid_str(c, field, text, IP_MSG);
	}
}

static void check_families(struct json_object *svc, struct causes *c)
{
	struct json_object *families = js_array(svc, "spec.ipFamilies");

	if (js_len(families) > 2)
		cause_too_many(c, "spec.ipFamilies", js_len(families), 2);
	for (size_t i = 0; i < js_len(families); i++) {
		const char *name = json_object_get_string(json_object_array_get_idx(families, i));
		cleanup_free char *field = xasprintf("spec.ipFamilies[%zu]", i);
		if (strcmp(name, "IPv4") != 0 && strcmp(name, "IPv6") != 0)
			cause_unsupported(c, field, name, "\"IPv4\", \"IPv6\"");
		else if (i == 1 && js_is_str(json_object_array_get_idx(families, 0), name))
			cause_duplicate(c, field, name);
	}
}

static void check_cluster_ips(struct json_object *svc, struct causes *c)
{
	struct json_object *ips = js_array(svc, "spec.clusterIPs");
	const char *ip = js_str0(svc, "spec.clusterIP");

	check_families(svc, c);
	if (is(svc, "ExternalName")) {
		if (js_len(ips))
			cause_forbidden(c, "spec.clusterIPs",
			                "may not be set for ExternalName services");
		if (!*js_str0(svc, "spec.externalName"))
			cause_required(c, "spec.externalName", "");
		return;
	}
	if (js_len(ips) > 2)
		cause_too_many(c, "spec.clusterIPs", js_len(ips), 2);
	if (js_len(ips) && !js_is_str(json_object_array_get_idx(ips, 0), ip))
		cause_invalid(c, "spec.clusterIPs", js_text(ips, NULL),
		              "first value must match `clusterIP`");
	for (size_t i = 0; i < js_len(ips); i++)
		check_one_cluster_ip(svc, ips, i, c);
}

/* Fields that belong to one type only. */
static void check_type_fields(struct json_object *svc, struct causes *c)
{
	static const char only_lb[] = "may only be used when `type` is 'LoadBalancer'";
	bool lb = is(svc, "LoadBalancer");
	const char *class = js_str(svc, "spec.loadBalancerClass");
	const char *policy = js_str0(svc, "spec.externalTrafficPolicy");
	bool external = lb || is(svc, "NodePort") ||
	                (is(svc, "ClusterIP") && js_len(js_array(svc, "spec.externalIPs")));

	if (js_at(svc, "spec.allocateLoadBalancerNodePorts") && !lb)
		cause_forbidden(c, "spec.allocateLoadBalancerNodePorts", only_lb);
	if (class && !lb)
		cause_forbidden(c, "spec.loadBalancerClass", only_lb);
	else if (class && !is_qualified_name(class))
		cause_invalid_str(c, "spec.loadBalancerClass", class, QUALIFIED_NAME_MSG);
	if (*policy && !external)
		cause_invalid_str(c, "spec.externalTrafficPolicy", policy,
		                  "may only be set for externally-accessible services");
	int64_t health = js_int(svc, "spec.healthCheckNodePort", 0);
	if (health && !(lb && !strcmp(policy, "Local"))) {
		cleanup_free char *value = xasprintf("%lld", (long long)health);
		cause_invalid(c, "spec.healthCheckNodePort", value,
		              "may only be set when `type` is 'LoadBalancer' and "
		              "`externalTrafficPolicy` is 'Local'");
	}
}

static bool is_external_name(struct json_object *svc)
{
	return is(svc, "ExternalName");
}

static void check_immutable(struct json_object *svc, struct json_object *old, struct causes *c)
{
	struct json_object *now = js_array(svc, "spec.clusterIPs"),
			   *had = js_array(old, "spec.clusterIPs");
	struct json_object *fam = js_array(svc, "spec.ipFamilies"),
			   *had_fam = js_array(old, "spec.ipFamilies");

	if (!is_external_name(svc) && !is_external_name(old)) {
		if (js_len(now) && js_len(had) &&
		    !js_equal(json_object_array_get_idx(now, 0), json_object_array_get_idx(had, 0)))
			cause_invalid(c, "spec.clusterIPs[0]", js_text(now, NULL),
			              "may not change once set");
		if (js_len(fam) && js_len(had_fam) &&
		    !js_equal(json_object_array_get_idx(fam, 0),
		              json_object_array_get_idx(had_fam, 0)))
			cause_invalid_str(c, "spec.ipFamilies[0]",
			                  json_object_get_string(json_object_array_get_idx(fam, 0)),
			                  "may not change once set");
	}
	if (!is(svc, "LoadBalancer") || !is(old, "LoadBalancer"))
		return;
	if (!js_equal(js_at(svc, "spec.loadBalancerClass"), js_at(old, "spec.loadBalancerClass")))
		cause_invalid_str(c, "spec.loadBalancerClass",
		                  js_str0(svc, "spec.loadBalancerClass"),
		                  "may not change once set");
	int64_t health = js_int(svc, "spec.healthCheckNodePort", 0);
	int64_t had_health = js_int(old, "spec.healthCheckNodePort", 0);
	if (health && had_health && health != had_health) {
		cleanup_free char *value = xasprintf("%lld", (long long)health);
		cause_invalid(c, "spec.healthCheckNodePort", value, "field is immutable");
	}
}

static void check_conditions(struct json_object *svc, struct causes *c)
{
	static const char *const status[] = { "False", "True", "Unknown", NULL };
	struct json_object *list = js_array(svc, "status.conditions");
	for (size_t i = 0; i < js_len(list); i++) {
		struct json_object *e = json_object_array_get_idx(list, i);
		cleanup_free char *prefix = xasprintf("status.conditions[%zu]", i);
		cleanup_free char *type = xasprintf("%s.type", prefix);
		cleanup_free char *stat = xasprintf("%s.status", prefix);
		cleanup_free char *reason = xasprintf("%s.reason", prefix);
		cleanup_free char *time = xasprintf("%s.lastTransitionTime", prefix);
		cleanup_free char *message = xasprintf("%s.message", prefix);
		int64_t us;
		bool known = false;
		for (size_t j = 0; status[j]; j++)
			known = known || !strcmp(js_str0(e, "status"), status[j]);
		if (!*js_str0(e, "type"))
			cause_required(c, type, "must be set");
		else if (!is_qualified_name(js_str0(e, "type")))
			cause_invalid_str(c, type, js_str0(e, "type"), QUALIFIED_NAME_MSG);
		if (!known)
			cause_unsupported(c, stat, js_str0(e, "status"),
			                  "\"False\", \"True\", \"Unknown\"");
		if (!*js_str0(e, "reason"))
			cause_required(c, reason, "must be set");
		if (clock_parse_rfc3339(js_str0(e, "lastTransitionTime"), &us) < 0)
			cause_required(c, time, "must be set");
		if (strlen(js_str0(e, "message")) > 32 * 1024)
			cause_too_long(c, message, 32 * 1024);
	}
}

static void check_ingress(struct json_object *e, size_t i, struct causes *c)
{
	struct addr a;
	cleanup_free char *ip_field = xasprintf("status.loadBalancer.ingress[%zu].ip", i);
	cleanup_free char *mode_field = xasprintf("status.loadBalancer.ingress[%zu].ipMode", i);
	cleanup_free char *host_field = xasprintf("status.loadBalancer.ingress[%zu].hostname", i);
	const char *ip = js_str0(e, "ip"), *mode = js_str(e, "ipMode"),
		   *host = js_str0(e, "hostname");

	if (*ip && addr_parse(ip, &a) < 0)
		cause_invalid_str(c, ip_field, ip, IP_MSG);
	if (*ip && !mode)
		cause_required(c, mode_field, "must be specified when `ip` is set");
	else if (!*ip && mode)
		cause_forbidden(c, mode_field, "may not be specified when `ip` is not set");
	else if (mode && strcmp(mode, "VIP") != 0 && strcmp(mode, "Proxy") != 0)
		cause_unsupported(c, mode_field, mode, "\"Proxy\", \"VIP\"");
	if (*host && addr_parse(host, &a) == 0)
		cause_invalid_str(c, host_field, host, "must be a DNS name, not an IP address");
	else if (*host && !is_dns_subdomain(host))
		cause_invalid_str(c, host_field, host, "must be a DNS name");
}

void validate_service_status(struct json_object *svc, struct causes *c)
{
	struct json_object *ingress = js_array(svc, "status.loadBalancer.ingress");

	if (js_len(ingress) && !is(svc, "LoadBalancer"))
		cause_forbidden(c, "status.loadBalancer.ingress",
		                "may only be used when `spec.type` is \"LoadBalancer\"");
	for (size_t i = 0; i < js_len(ingress); i++)
		check_ingress(json_object_array_get_idx(ingress, i), i, c);
	check_conditions(svc, c);
}

void validate_service(struct json_object *svc, struct json_object *old, struct causes *c)
{
	check_choices(svc, c);
	check_ports(svc, c);
	check_cluster_ips(svc, c);
	check_addresses(svc, c);
	check_type_fields(svc, c);
	if (old)
		check_immutable(svc, old, c);
}
