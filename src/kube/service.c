/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/kube_types.h"

#include <json-c/json.h>
#include <string.h>

#include "fairlead/hash.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"
#include "kube/parse.h"

/*
 * core/v1 Service.  The API bounds few of these lists; nothing sensible comes near these numbers.
 */
#define SERVICE_PORTS_MAX 4096
#define SERVICE_EXTERNAL_IPS_MAX 256
#define SERVICE_SOURCE_RANGES_MAX 4096
#define SERVICE_INGRESS_MAX 64
#define SERVICE_SELECTOR_MAX 1024
#define SERVICE_CONDITIONS_MAX 64
#define SERVICE_STRING_MAX 253
#define SERVICE_ADDR_TEXT_MAX 64
#define SERVICE_REASON_MAX 1024
#define SERVICE_MESSAGE_MAX 32768
#define SERVICE_AFFINITY_DEFAULT_S 10800

static const char *const proto_names[] = {
	[KUBE_TCP] = "TCP", [KUBE_UDP] = "UDP", [KUBE_SCTP] = "SCTP", NULL
};
static const char *const type_names[] = {
	[KUBE_CLUSTER_IP] = "ClusterIP",
	[KUBE_NODE_PORT] = "NodePort",
	[KUBE_LOAD_BALANCER] = "LoadBalancer",
	[KUBE_EXTERNAL_NAME] = "ExternalName",
	NULL,
};
static const char *const family_policy_names[] = {
	[KUBE_SINGLE_STACK] = "SingleStack",
	[KUBE_PREFER_DUAL_STACK] = "PreferDualStack",
	[KUBE_REQUIRE_DUAL_STACK] = "RequireDualStack",
	NULL,
};
static const char *const traffic_policy_names[] = { "Cluster", "Local", NULL };
static const char *const affinity_names[] = { "None", "ClientIP", NULL };
static const char *const ip_mode_names[] = { "VIP", "Proxy", NULL };

const char *kube_service_type_name(enum kube_service_type t)
{
	return type_names[t];
}

enum kube_proto parse_proto(struct parse *p, struct json_object *obj)
{
	return (enum kube_proto)parse_enum(p, obj, "protocol", proto_names, KUBE_TCP);
}

const char *kube_proto_name(enum kube_proto p)
{
	return proto_names[p];
}

uint64_t kube_port_digest(enum kube_proto proto, uint16_t port)
{
	const uint8_t bytes[] = { (uint8_t)proto, (uint8_t)(port >> 8), (uint8_t)port };

	return hash64(bytes, sizeof(bytes), 0) | 1;
}

uint64_t kube_ports_digest(const struct kube_service *s)
{
	uint64_t digest = 0;

	for (size_t i = 0; i < s->n_ports; i++)
		digest += kube_port_digest(s->ports[i].proto, s->ports[i].port);
	return digest;
}

static void parse_ports(struct parse *p, struct json_object *spec, struct kube_service *s)
{
	size_t n;

	parse_at(p, "spec");
	struct json_object *list = parse_array(p, spec, "ports", SERVICE_PORTS_MAX, &n);
	if (n == 0)
		return;
	parse_at(p, "spec.ports");
	s->ports = xcalloc(n, sizeof(*s->ports));
	for (size_t i = 0; i < n && !p->ret; i++) {
		struct json_object *o = parse_item(p, list, i);
		struct kube_service_port *port = &s->ports[s->n_ports++];
		port->name = parse_dup(p, o, "name", SERVICE_STRING_MAX, "");
		port->proto = parse_proto(p, o);
		port->port = (uint16_t)parse_int(p, o, "port", 1, UINT16_MAX, 0);
		port->node_port = (uint16_t)parse_int(p, o, "nodePort", 0, UINT16_MAX, 0);
		if (port->port == 0)
			parse_fail(p, "port", "missing");
	}
}

static void parse_cluster_ips(struct parse *p, struct json_object *spec, struct kube_service *s)
{
	size_t n;

	parse_at(p, "spec");
	const char *single = parse_str(p, spec, "clusterIP", SERVICE_ADDR_TEXT_MAX);
	struct json_object *list =
		parse_array(p, spec, "clusterIPs", ARRAY_LEN(s->cluster_ips), &n);
	parse_at(p, "spec.clusterIPs");
	for (size_t i = 0; i < (n ? n : 1) && !p->ret; i++) {
		/* An old server, or an old object, has the one field only. */
		const char *ip = n ? parse_item_str(p, list, i, SERVICE_ADDR_TEXT_MAX) : single;
		if (ip && !strcmp(ip, "None"))
			s->headless = true;
		else if (ip && *ip)
			s->cluster_ips[s->n_cluster_ips++] = parse_addr(p, NULL, ip);
	}
}

static void parse_families(struct parse *p, struct json_object *spec, struct kube_service *s)
{
	size_t n;

	parse_at(p, "spec");
	s->family_policy = (enum kube_family_policy)parse_enum(
		p, spec, "ipFamilyPolicy", family_policy_names, KUBE_SINGLE_STACK);
	struct json_object *list = parse_array(p, spec, "ipFamilies", ARRAY_LEN(s->families), &n);
	parse_at(p, "spec.ipFamilies");
	for (size_t i = 0; i < n && !p->ret; i++) {
		const char *f = parse_item_str(p, list, i, SERVICE_ADDR_TEXT_MAX);
		if (f && !strcmp(f, "IPv4"))
			s->families[i] = 4;
		else if (f && !strcmp(f, "IPv6"))
			s->families[i] = 6;
		else
			parse_fail(p, NULL, "neither IPv4 nor IPv6");
	}
}

static void parse_external_ips(struct parse *p, struct json_object *spec, struct kube_service *s)
{
	size_t n;

	parse_at(p, "spec");
	struct json_object *list =
		parse_array(p, spec, "externalIPs", SERVICE_EXTERNAL_IPS_MAX, &n);
	if (n == 0)
		return;
	parse_at(p, "spec.externalIPs");
	s->external_ips = xcalloc(n, sizeof(*s->external_ips));
	for (size_t i = 0; i < n && !p->ret; i++)
		s->external_ips[s->n_external_ips++] =
			parse_addr(p, NULL, parse_item_str(p, list, i, SERVICE_ADDR_TEXT_MAX));
}

/*
 * Anybody may edit an annotation: what cannot be read counts for nothing, and is no reason to
 * refuse the Service.
 */
static bool read_record(const char *list, struct kube_service *s)
{
	while (*(list += strspn(list, " ,"))) {
		size_t n = strcspn(list, " ,");
		char text[ADDR_STR_SIZE];
		struct addr a;

		if (n >= sizeof(text) || s->n_external_assigned == ARRAY_LEN(s->external_assigned))
			return false;
		memcpy(text, list, n);
		text[n] = '\0';
		if (addr_parse(text, &a) < 0 ||
		    (s->n_external_assigned > 0 && s->external_assigned[0].family == a.family))
			return false;
		s->external_assigned[s->n_external_assigned++] = a;
		list += n;
	}
	return true;
}

bool kube_is_scheduler(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len < TRAFFIC_SCHEDULER_SIZE &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

static void read_scheduler(struct kube_service *s)
{
	const char *name = labels_get(&s->meta.annotations, KUBE_ANNOTATION_SCHEDULER);

	s->traffic.scheduler = name && kube_is_scheduler(name) ? name : NULL;
}

static void read_external_annotations(struct kube_service *s)
{
	const struct labels *notes = &s->meta.annotations;
	const char *pool = labels_get(notes, KUBE_ANNOTATION_EXTERNAL_IPS);
	const char *record = labels_get(notes, KUBE_ANNOTATION_EXTERNAL_IPS_ASSIGNED);

	if (pool && pool[strspn(pool, " ")])
		s->external_pool = xstrdup(pool);
	if (record && !read_record(record, s)) {
		s->external_record_malformed = true;
		s->n_external_assigned = 0;
	}
}

static void parse_source_ranges(struct parse *p, struct json_object *spec, struct kube_service *s)
{
	size_t n;

	parse_at(p, "spec");
	struct json_object *list =
		parse_array(p, spec, "loadBalancerSourceRanges", SERVICE_SOURCE_RANGES_MAX, &n);
	if (n == 0)
		return;
	parse_at(p, "spec.loadBalancerSourceRanges");
	s->source_ranges = xcalloc(n, sizeof(*s->source_ranges));
	for (size_t i = 0; i < n && !p->ret; i++) {
		const char *text = parse_item_str(p, list, i, SERVICE_ADDR_TEXT_MAX);
		if (!text)
			continue;
		/* The API server takes blanks around a CIDR. */
		text += strspn(text, " \t");
		cleanup_free char *trimmed = xstrndup(text, strcspn(text, " \t"));
		s->source_ranges[s->n_source_ranges++] = parse_prefix(p, NULL, trimmed);
	}
}

static void parse_policies(struct parse *p, struct json_object *spec, struct kube_service *s)
{
	parse_at(p, "spec");
	s->type = (enum kube_service_type)parse_enum(p, spec, "type", type_names, KUBE_CLUSTER_IP);
	s->traffic.external_local =
		parse_enum(p, spec, "externalTrafficPolicy", traffic_policy_names, 0) == 1;
	s->traffic.internal_local =
		parse_enum(p, spec, "internalTrafficPolicy", traffic_policy_names, 0) == 1;
	int64_t health_port = parse_int(p, spec, "healthCheckNodePort", 0, UINT16_MAX, 0);
	if (s->type == KUBE_LOAD_BALANCER && s->traffic.external_local)
		s->traffic.health_port = (uint16_t)health_port;
	s->load_balancer_ip = parse_dup(p, spec, "loadBalancerIP", SERVICE_STRING_MAX, NULL);
	if (s->load_balancer_ip && !*s->load_balancer_ip) {
		free(s->load_balancer_ip);
		s->load_balancer_ip = NULL;
	}
	s->load_balancer_class =
		parse_dup(p, spec, "loadBalancerClass", SERVICE_STRING_MAX + 64, NULL);
	if (parse_enum(p, spec, "sessionAffinity", affinity_names, 0) == 1) {
		struct json_object *config = parse_object(p, spec, "sessionAffinityConfig");
		struct json_object *client_ip = parse_object(p, config, "clientIP");
		parse_at(p, "spec.sessionAffinityConfig.clientIP");
		s->traffic.affinity_s = (uint32_t)parse_int(p, client_ip, "timeoutSeconds", 1,
		                                            86400, SERVICE_AFFINITY_DEFAULT_S);
	}
}

/* What some controllers list here means nothing to us; what cannot be read neither. */
static uint64_t read_listed(struct json_object *ingress)
{
	struct json_object *list = kube_json_get(ingress, "ports", json_type_array, NULL);
	size_t n = list ? json_object_array_length(list) : 0;
	uint64_t digest = 0;

	for (size_t i = 0; i < n && i < SERVICE_PORTS_MAX; i++) {
		struct json_object *o = json_object_array_get_idx(list, i);
		const char *proto = kube_json_str(o, "protocol", NULL);
		int64_t port = kube_json_int(o, "port", 0, UINT16_MAX, 0, NULL);
		for (int k = KUBE_TCP; proto && k <= KUBE_SCTP; k++)
			if (!strcmp(proto, proto_names[k]))
				digest += kube_port_digest((enum kube_proto)k, (uint16_t)port);
	}
	return digest;
}

static void parse_ingress(struct parse *p, struct json_object *status, struct kube_service *s)
{
	size_t n;

	parse_at(p, "status");
	struct json_object *lb = parse_object(p, status, "loadBalancer");
	struct json_object *list = parse_array(p, lb, "ingress", SERVICE_INGRESS_MAX, &n);
	if (n == 0)
		return;
	parse_at(p, "status.loadBalancer.ingress");
	s->ingress = xcalloc(n, sizeof(*s->ingress));
	for (size_t i = 0; i < n && !p->ret; i++) {
		struct json_object *o = parse_item(p, list, i);
		struct kube_ingress *in = &s->ingress[s->n_ingress++];
		const char *ip = parse_str(p, o, "ip", SERVICE_ADDR_TEXT_MAX);
		if (ip && *ip)
			in->ip = parse_addr(p, "ip", ip);
		else
			in->hostname = parse_dup(p, o, "hostname", SERVICE_STRING_MAX, NULL);
		int mode = parse_enum(p, o, "ipMode", ip_mode_names, -1);
		in->has_ip_mode = mode >= 0;
		in->ip_mode_proxy = mode == 1;
		in->ports = read_listed(o);
	}
}

static void parse_conditions(struct parse *p, struct json_object *status, struct kube_service *s)
{
	size_t n;

	parse_at(p, "status");
	struct json_object *list = parse_array(p, status, "conditions", SERVICE_CONDITIONS_MAX, &n);
	if (n == 0)
		return;
	parse_at(p, "status.conditions");
	s->conditions = xcalloc(n, sizeof(*s->conditions));
	for (size_t i = 0; i < n && !p->ret; i++) {
		struct json_object *o = parse_item(p, list, i);
		struct kube_condition *c = &s->conditions[s->n_conditions++];
		c->type = parse_dup(p, o, "type", SERVICE_STRING_MAX + 64, "");
		c->status = parse_dup(p, o, "status", 16, "");
		c->reason = parse_dup(p, o, "reason", SERVICE_REASON_MAX, "");
		c->message = parse_dup(p, o, "message", SERVICE_MESSAGE_MAX, "");
		c->transition_us = parse_time(p, o, "lastTransitionTime");
		c->observed_generation = parse_int(p, o, "observedGeneration", 0, INT64_MAX - 1, 0);
	}
}

int kube_service_parse(struct json_object *obj, struct kube_service **ret_service, struct err *e)
{
	struct parse p = { .kind = "Service", .index = -1, .e = e };
	struct kube_service *s = xcalloc(1, sizeof(*s));

	parse_meta(&p, obj, &s->meta);
	parse_at(&p, NULL);
	struct json_object *spec = parse_object(&p, obj, "spec");
	struct json_object *status = parse_object(&p, obj, "status");
	parse_policies(&p, spec, s);
	parse_cluster_ips(&p, spec, s);
	parse_families(&p, spec, s);
	parse_ports(&p, spec, s);
	parse_at(&p, "spec");
	if (s->traffic.external_local)
		s->selector = parse_map(&p, spec, "selector", SERVICE_SELECTOR_MAX,
		                        SERVICE_STRING_MAX, NULL);
	parse_external_ips(&p, spec, s);
	read_external_annotations(s);
	read_scheduler(s);
	parse_source_ranges(&p, spec, s);
	parse_ingress(&p, status, s);
	parse_conditions(&p, status, s);
	if (p.ret)
		kube_service_free(s);
	else
		*ret_service = s;
	return p.ret;
}

const char *kube_service_status_writer(struct json_object *obj, const char *but)
{
	struct json_object *meta = kube_json_get(obj, "metadata", json_type_object, NULL);
	struct json_object *list = kube_json_get(meta, "managedFields", json_type_array, NULL);
	const char *writer = NULL, *latest = "";

	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *entry = json_object_array_get_idx(list, i);
		const char *part = kube_json_str(entry, "subresource", NULL);
		const char *manager = kube_json_str(entry, "manager", NULL);
		const char *time = kube_json_str(entry, "time", NULL);

		/* RFC 3339 in UTC, whole seconds: its order is that of the text. */
		if (!part || strcmp(part, "status") != 0 || !manager || !strcmp(manager, but) ||
		    !time || strcmp(time, latest) < 0)
			continue;
		writer = manager;
		latest = time;
	}
	return writer;
}

void kube_service_free(struct kube_service *s)
{
	if (!s)
		return;
	kube_meta_fini(&s->meta);
	for (size_t i = 0; i < s->n_ports; i++)
		free(s->ports[i].name);
	free(s->ports);
	labels_fini(&s->selector);
	free(s->external_ips);
	free(s->external_pool);
	free(s->load_balancer_ip);
	free(s->load_balancer_class);
	free(s->source_ranges);
	for (size_t i = 0; i < s->n_ingress; i++)
		free(s->ingress[i].hostname);
	free(s->ingress);
	for (size_t i = 0; i < s->n_conditions; i++) {
		free(s->conditions[i].type);
		free(s->conditions[i].status);
		free(s->conditions[i].reason);
		free(s->conditions[i].message);
	}
	free(s->conditions);
	free(s);
}
