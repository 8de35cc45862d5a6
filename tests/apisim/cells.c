/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cells.h"

#include <string.h>

#include "fairlead/clock.h"
#include "fairlead/mem.h"
#include "js.h"

#define ENDPOINTS_SHOWN 3

#define CELL(name) static void cell_##name(struct buf *b, struct json_object *o, int64_t now_us)
#define UNUSED_NOW (void)now_us

void print_duration(struct buf *b, int64_t s)
{
	int64_t m = s / 60, h = m / 60, d = h / 24, y = d / 365;
	struct {
		int64_t major, minor;
		const char *unit, *sub;
	} f;

	if (s < 120)
		f = (__typeof__(f)){ s < 0 ? 0 : s, 0, "s", "" };
	else if (m < 10)
		f = (__typeof__(f)){ m, s % 60, "m", "s" };
	else if (m < 180)
		f = (__typeof__(f)){ m, 0, "m", "" };
	else if (h < 8)
		f = (__typeof__(f)){ h, m % 60, "h", "m" };
	else if (h < 48)
		f = (__typeof__(f)){ h, 0, "h", "" };
	else if (d < 8)
		f = (__typeof__(f)){ d, h % 24, "d", "h" };
	else if (y < 2)
		f = (__typeof__(f)){ d, 0, "d", "" };
	else
		f = (__typeof__(f)){ y, y < 8 ? d % 365 : 0, "y", "d" };
	buf_printf(b, "%lld%s", (long long)f.major, f.unit);
	if (f.minor)
		buf_printf(b, "%lld%s", (long long)f.minor, f.sub);
}

static void print_since(struct buf *b, const char *time, int64_t now_us)
{
	int64_t then;

	if (!time || clock_parse_rfc3339(time, &then) < 0)
		buf_puts(b, "<unknown>");
	else
		print_duration(b, (now_us - then) / 1000000);
}

/* @text or, if it is empty, @otherwise. */
static void print_or(struct buf *b, const char *text, const char *otherwise)
{
	buf_puts(b, text && *text ? text : otherwise);
}

CELL(name)
{
	UNUSED_NOW;
	buf_puts(b, js_str0(o, "metadata.name"));
}

CELL(age)
{
	print_since(b, js_str(o, "metadata.creationTimestamp"), now_us);
}

CELL(type)
{
	UNUSED_NOW;
	print_or(b, js_str(o, "spec.type"), js_str0(o, "type"));
}

CELL(phase)
{
	UNUSED_NOW;
	buf_puts(b, js_str0(o, "status.phase"));
}

CELL(data)
{
	UNUSED_NOW;
	struct json_object *data = js_object(o, "data"), *binary = js_object(o, "binaryData");
	buf_printf(b, "%d",
	           (data ? json_object_object_length(data) : 0) +
	                   (binary ? json_object_object_length(binary) : 0));
}

CELL(secrets)
{
	UNUSED_NOW;
	buf_printf(b, "%zu", js_len(js_array(o, "secrets")));
}

CELL(holder)
{
	UNUSED_NOW;
	buf_puts(b, js_str0(o, "spec.holderIdentity"));
}

CELL(cluster_ip)
{
	UNUSED_NOW;
	print_or(b, js_str(o, "spec.clusterIP"), "<none>");
}

static void join(struct buf *b, size_t start, const char *s)
{
	if (b->size > start)
		buf_putc(b, ',');
	buf_puts(b, s);
}

CELL(external_ip)
{
	UNUSED_NOW;
	size_t start = b->size;
	struct json_object *ingress = js_array(o, "status.loadBalancer.ingress");
	struct json_object *external = js_array(o, "spec.externalIPs");
	const char *type = js_str0(o, "spec.type");
	if (!strcmp(type, "ExternalName")) {
		buf_puts(b, js_str0(o, "spec.externalName"));
		return;
	}
	for (size_t i = 0; i < js_len(ingress) && !strcmp(type, "LoadBalancer"); i++) {
		struct json_object *e = json_object_array_get_idx(ingress, i);
		const char *ip = js_str0(e, "ip");
		join(b, start, *ip ? ip : js_str0(e, "hostname"));
	}
	for (size_t i = 0; i < js_len(external); i++)
		join(b, start, json_object_get_string(json_object_array_get_idx(external, i)));
	if (b->size == start)
		buf_puts(b, strcmp(type, "LoadBalancer") ? "<none>" : "<pending>");
}

CELL(ports)
{
	UNUSED_NOW;
	struct json_object *ports = js_array(o, "spec.ports");
	for (size_t i = 0; i < js_len(ports); i++) {
		struct json_object *p = json_object_array_get_idx(ports, i);
		buf_printf(b, "%s%lld", i ? "," : "", (long long)js_int(p, "port", 0));
		if (js_int(p, "nodePort", 0))
			buf_printf(b, ":%lld", (long long)js_int(p, "nodePort", 0));
		buf_printf(b, "/%s", js_str0(p, "protocol"));
	}
	if (!js_len(ports))
		buf_puts(b, "<none>");
}

CELL(selector)
{
	UNUSED_NOW;
	size_t start = b->size;
	struct json_object *selector = js_object(o, "spec.selector");
	if (selector) {
		json_object_object_foreach(selector, key, val) {
			join(b, start, key);
			buf_printf(b, "=%s", json_object_get_string(val));
		}
	}
	if (b->size == start)
		buf_puts(b, "<none>");
}

CELL(pod_ready)
{
	UNUSED_NOW;
	struct json_object *statuses = js_array(o, "status.containerStatuses");
	struct json_object *conditions = js_array(o, "status.conditions");
	size_t ready = 0, n = js_len(js_array(o, "spec.containers"));
	for (size_t i = 0; i < js_len(statuses); i++)
		ready += js_bool(json_object_array_get_idx(statuses, i), "ready", false);
	/* Who runs Pods without telling of containers still says whether they are ready. */
	for (size_t i = 0; i < js_len(conditions) && !statuses; i++) {
		struct json_object *c = json_object_array_get_idx(conditions, i);
		if (!strcmp(js_str0(c, "type"), "Ready") && !strcmp(js_str0(c, "status"), "True"))
			ready = n;
	}
	buf_printf(b, "%zu/%zu", ready, n);
}

CELL(pod_status)
{
	UNUSED_NOW;
	if (js_str(o, "metadata.deletionTimestamp"))
		buf_puts(b, "Terminating");
	else
		print_or(b, js_str(o, "status.reason"), js_str0(o, "status.phase"));
}

CELL(restarts)
{
	UNUSED_NOW;
	int64_t n = 0;
	struct json_object *statuses = js_array(o, "status.containerStatuses");
	for (size_t i = 0; i < js_len(statuses); i++)
		n += js_int(json_object_array_get_idx(statuses, i), "restartCount", 0);
	buf_printf(b, "%lld", (long long)n);
}

CELL(pod_ip)
{
	UNUSED_NOW;
	print_or(b, js_str(o, "status.podIP"), "<none>");
}

CELL(pod_node)
{
	UNUSED_NOW;
	print_or(b, js_str(o, "spec.nodeName"), "<none>");
}

CELL(none)
{
	UNUSED_NOW;
	(void)o;
	buf_puts(b, "<none>");
}

CELL(node_status)
{
	UNUSED_NOW;
	const char *status = "Unknown";
	struct json_object *conditions = js_array(o, "status.conditions");
	for (size_t i = 0; i < js_len(conditions); i++) {
		struct json_object *c = json_object_array_get_idx(conditions, i);
		if (!strcmp(js_str0(c, "type"), "Ready"))
			status = strcmp(js_str0(c, "status"), "True") ? "NotReady" : "Ready";
	}
	buf_puts(b, status);
	if (js_bool(o, "spec.unschedulable", false))
		buf_puts(b, ",SchedulingDisabled");
}

CELL(node_roles)
{
	static const char prefix[] = "node-role.kubernetes.io/";

	UNUSED_NOW;
	size_t start = b->size;
	struct json_object *labels = js_object(o, "metadata.labels");
	if (labels) {
		json_object_object_foreach(labels, key, val) {
			(void)val;
			if (!strncmp(key, prefix, sizeof(prefix) - 1))
				join(b, start, key + sizeof(prefix) - 1);
		}
	}
	if (b->size == start)
		buf_puts(b, "<none>");
}

static void print_node_address(struct buf *b, struct json_object *o, const char *type)
{
	struct json_object *list = js_array(o, "status.addresses");

	for (size_t i = 0; i < js_len(list); i++) {
		struct json_object *a = json_object_array_get_idx(list, i);
		if (!strcmp(js_str0(a, "type"), type)) {
			buf_puts(b, js_str0(a, "address"));
			return;
		}
	}
	buf_puts(b, "<none>");
}

CELL(node_version)
{
	UNUSED_NOW;
	buf_puts(b, js_str0(o, "status.nodeInfo.kubeletVersion"));
}

CELL(node_internal)
{
	UNUSED_NOW;
	print_node_address(b, o, "InternalIP");
}

CELL(node_external)
{
	UNUSED_NOW;
	print_node_address(b, o, "ExternalIP");
}

CELL(node_os)
{
	UNUSED_NOW;
	print_or(b, js_str(o, "status.nodeInfo.osImage"), "<unknown>");
}

CELL(node_kernel)
{
	UNUSED_NOW;
	print_or(b, js_str(o, "status.nodeInfo.kernelVersion"), "<unknown>");
}

CELL(node_runtime)
{
	UNUSED_NOW;
	print_or(b, js_str(o, "status.nodeInfo.containerRuntimeVersion"), "<unknown>");
}

CELL(address_type)
{
	UNUSED_NOW;
	buf_puts(b, js_str0(o, "addressType"));
}

CELL(slice_ports)
{
	UNUSED_NOW;
	struct json_object *ports = js_array(o, "ports");
	for (size_t i = 0; i < js_len(ports); i++) {
		struct json_object *p = json_object_array_get_idx(ports, i);
		if (i == ENDPOINTS_SHOWN) {
			buf_printf(b, " + %zu more...", js_len(ports) - i);
			return;
		}
		buf_printf(b, "%s%lld", i ? "," : "", (long long)js_int(p, "port", 0));
	}
	if (!js_len(ports))
		buf_puts(b, "<unset>");
}

CELL(slice_endpoints)
{
	UNUSED_NOW;
	size_t n = 0;
	struct json_object *endpoints = js_array(o, "endpoints");
	for (size_t i = 0; i < js_len(endpoints); i++) {
		struct json_object *a =
			js_array(json_object_array_get_idx(endpoints, i), "addresses");
		for (size_t j = 0; j < js_len(a); j++, n++)
			if (n < ENDPOINTS_SHOWN)
				buf_printf(b, "%s%s", n ? "," : "",
				           json_object_get_string(json_object_array_get_idx(a, j)));
	}
	if (n > ENDPOINTS_SHOWN)
		buf_printf(b, " + %zu more...", n - ENDPOINTS_SHOWN);
	if (!n)
		buf_puts(b, "<unset>");
}

CELL(event_seen)
{
	const char *paths[] = { "series.lastObservedTime", "lastTimestamp", "eventTime",
		                "metadata.creationTimestamp" };

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		if (js_str(o, paths[i])) {
			print_since(b, js_str(o, paths[i]), now_us);
			return;
		}
	}
}

CELL(event_reason)
{
	UNUSED_NOW;
	buf_puts(b, js_str0(o, "reason"));
}

CELL(event_object)
{
	UNUSED_NOW;
	for (const char *s = js_str0(o, "involvedObject.kind"); *s; s++)
		buf_putc(b, *s >= 'A' && *s <= 'Z' ? (char)(*s + 32) : *s);
	buf_printf(b, "/%s", js_str0(o, "involvedObject.name"));
}

CELL(event_message)
{
	UNUSED_NOW;
	buf_puts(b, js_str0(o, "message"));
}

CELL(event_source)
{
	UNUSED_NOW;
	print_or(b, js_str(o, "source.component"), js_str0(o, "reportingComponent"));
}

#define COLUMNS(...)                                                     \
	{                                                                \
		.v = (const struct column[]){ __VA_ARGS__ },             \
		.n = ARRAY_LEN(((const struct column[]){ __VA_ARGS__ })) \
	}
#define NAME                                \
	{                                   \
		"Name", 0, false, cell_name \
	}
#define AGE                               \
	{                                 \
		"Age", 0, false, cell_age \
	}

static const struct columns columns[STORE_N] = {
	[STORE_NAMESPACES] = COLUMNS(NAME, { "Status", 0, false, cell_phase }, AGE),
	[STORE_NODES] = COLUMNS(NAME, { "Status", 0, false, cell_node_status },
	                        { "Roles", 0, false, cell_node_roles }, AGE,
	                        { "Version", 0, false, cell_node_version },
	                        { "Internal-IP", 1, false, cell_node_internal },
	                        { "External-IP", 1, false, cell_node_external },
	                        { "OS-Image", 1, false, cell_node_os },
	                        { "Kernel-Version", 1, false, cell_node_kernel },
	                        { "Container-Runtime", 1, false, cell_node_runtime }),
	[STORE_SERVICES] = COLUMNS(
		NAME, { "Type", 0, false, cell_type }, { "Cluster-IP", 0, false, cell_cluster_ip },
		{ "External-IP", 0, false, cell_external_ip }, { "Port(s)", 0, false, cell_ports },
		AGE, { "Selector", 1, false, cell_selector }),
	[STORE_CONFIGMAPS] = COLUMNS(NAME, { "Data", 0, true, cell_data }, AGE),
	[STORE_SECRETS] =
		COLUMNS(NAME, { "Type", 0, false, cell_type }, { "Data", 0, true, cell_data }, AGE),
	[STORE_PODS] = COLUMNS(NAME, { "Ready", 0, false, cell_pod_ready },
	                       { "Status", 0, false, cell_pod_status },
	                       { "Restarts", 0, false, cell_restarts }, AGE,
	                       { "IP", 1, false, cell_pod_ip }, { "Node", 1, false, cell_pod_node },
	                       { "Nominated Node", 1, false, cell_none },
	                       { "Readiness Gates", 1, false, cell_none }),
	[STORE_SERVICEACCOUNTS] = COLUMNS(NAME, { "Secrets", 0, true, cell_secrets }, AGE),
	[STORE_EVENTS] = COLUMNS(
		{ "Last Seen", 0, false, cell_event_seen }, { "Type", 0, false, cell_type },
		{ "Reason", 0, false, cell_event_reason },
		{ "Object", 0, false, cell_event_object },
		{ "Source", 1, false, cell_event_source },
		{ "Message", 0, false, cell_event_message }, { "Name", 1, false, cell_name }),
	[STORE_ENDPOINTSLICES] = COLUMNS(NAME, { "AddressType", 0, false, cell_address_type },
	                                 { "Ports", 0, false, cell_slice_ports },
	                                 { "Endpoints", 0, false, cell_slice_endpoints }, AGE),
	[STORE_LEASES] = COLUMNS(NAME, { "Holder", 0, false, cell_holder }, AGE),
};

const struct columns *columns_of(enum store_id store)
{
	return &columns[store];
}
