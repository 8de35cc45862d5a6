/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "validate.h"

#include <string.h>

#include "fairlead/buf.h"
#include "fairlead/clock.h"
#include "fairlead/mem.h"
#include "js.h"

#define NAME_MAX_LEN 253
#define LABEL_MAX_LEN 63
#define ANNOTATIONS_MAX_BYTES (256 * 1024)
#define ENDPOINTS_MAX 1000
#define CONFIG_MAX_BYTES (1024 * 1024)

enum type {
	T_STRING,
	T_INT,
	T_BOOL,
	T_OBJECT,
	T_STRINGS,
	T_STRING_MAP,
	T_INT_OR_STRING,
	T_OBJECTS
};

/*
 * Types as decoding into the Go structs would demand them.  A path goes through an array where it
 * says "[]"; -1 is every kind.
 */
static const struct {
	int store;
	const char *path;
	enum type type;
} types[] = {
	{ -1, "metadata", T_OBJECT },
	{ -1, "metadata.name", T_STRING },
	{ -1, "metadata.generateName", T_STRING },
	{ -1, "metadata.namespace", T_STRING },
	{ -1, "metadata.uid", T_STRING },
	{ -1, "metadata.resourceVersion", T_STRING },
	{ -1, "metadata.deletionGracePeriodSeconds", T_INT },
	{ -1, "metadata.labels", T_STRING_MAP },
	{ -1, "metadata.annotations", T_STRING_MAP },
	{ -1, "metadata.finalizers", T_STRINGS },
	{ -1, "metadata.ownerReferences", T_OBJECTS },
	{ STORE_CONFIGMAPS, "data", T_STRING_MAP },
	{ STORE_CONFIGMAPS, "binaryData", T_STRING_MAP },
	{ STORE_SECRETS, "data", T_STRING_MAP },
	{ STORE_SERVICES, "spec", T_OBJECT },
	{ STORE_SERVICES, "spec.type", T_STRING },
	{ STORE_SERVICES, "spec.clusterIP", T_STRING },
	{ STORE_SERVICES, "spec.clusterIPs", T_STRINGS },
	{ STORE_SERVICES, "spec.externalIPs", T_STRINGS },
	{ STORE_SERVICES, "spec.loadBalancerIP", T_STRING },
	{ STORE_SERVICES, "spec.loadBalancerClass", T_STRING },
	{ STORE_SERVICES, "spec.loadBalancerSourceRanges", T_STRINGS },
	{ STORE_SERVICES, "spec.allocateLoadBalancerNodePorts", T_BOOL },
	{ STORE_SERVICES, "spec.externalTrafficPolicy", T_STRING },
	{ STORE_SERVICES, "spec.internalTrafficPolicy", T_STRING },
	{ STORE_SERVICES, "spec.healthCheckNodePort", T_INT },
	{ STORE_SERVICES, "spec.ipFamilies", T_STRINGS },
	{ STORE_SERVICES, "spec.ipFamilyPolicy", T_STRING },
	{ STORE_SERVICES, "spec.publishNotReadyAddresses", T_BOOL },
	{ STORE_SERVICES, "spec.selector", T_STRING_MAP },
	{ STORE_SERVICES, "spec.sessionAffinity", T_STRING },
	{ STORE_SERVICES, "spec.ports", T_OBJECTS },
	{ STORE_SERVICES, "spec.ports[].name", T_STRING },
	{ STORE_SERVICES, "spec.ports[].protocol", T_STRING },
	{ STORE_SERVICES, "spec.ports[].port", T_INT },
	{ STORE_SERVICES, "spec.ports[].nodePort", T_INT },
	{ STORE_SERVICES, "spec.ports[].targetPort", T_INT_OR_STRING },
	{ STORE_SERVICES, "spec.ports[].appProtocol", T_STRING },
	{ STORE_SERVICES, "status", T_OBJECT },
	{ STORE_SERVICES, "status.loadBalancer", T_OBJECT },
	{ STORE_SERVICES, "status.loadBalancer.ingress", T_OBJECTS },
	{ STORE_SERVICES, "status.loadBalancer.ingress[].ip", T_STRING },
	{ STORE_SERVICES, "status.loadBalancer.ingress[].hostname", T_STRING },
	{ STORE_SERVICES, "status.loadBalancer.ingress[].ipMode", T_STRING },
	{ STORE_SERVICES, "status.conditions", T_OBJECTS },
	{ STORE_SERVICES, "status.conditions[].type", T_STRING },
	{ STORE_SERVICES, "status.conditions[].status", T_STRING },
	{ STORE_SERVICES, "status.conditions[].reason", T_STRING },
	{ STORE_SERVICES, "status.conditions[].message", T_STRING },
	{ STORE_ENDPOINTSLICES, "addressType", T_STRING },
	{ STORE_ENDPOINTSLICES, "endpoints", T_OBJECTS },
	{ STORE_ENDPOINTSLICES, "endpoints[].addresses", T_STRINGS },
	{ STORE_ENDPOINTSLICES, "endpoints[].nodeName", T_STRING },
	{ STORE_ENDPOINTSLICES, "endpoints[].conditions", T_OBJECT },
	{ STORE_ENDPOINTSLICES, "ports", T_OBJECTS },
	{ STORE_ENDPOINTSLICES, "ports[].port", T_INT },
	{ STORE_ENDPOINTSLICES, "ports[].name", T_STRING },
	{ STORE_ENDPOINTSLICES, "ports[].protocol", T_STRING },
	{ STORE_LEASES, "spec", T_OBJECT },
	{ STORE_LEASES, "spec.holderIdentity", T_STRING },
	{ STORE_LEASES, "spec.leaseDurationSeconds", T_INT },
	{ STORE_LEASES, "spec.leaseTransitions", T_INT },
	{ STORE_LEASES, "spec.acquireTime", T_STRING },
	{ STORE_LEASES, "spec.renewTime", T_STRING },
	{ STORE_EVENTS, "involvedObject", T_OBJECT },
	{ STORE_EVENTS, "reason", T_STRING },
	{ STORE_EVENTS, "message", T_STRING },
	{ STORE_EVENTS, "count", T_INT },
	{ STORE_EVENTS, "series", T_OBJECT },
	{ STORE_NODES, "spec", T_OBJECT },
	{ STORE_NODES, "status", T_OBJECT },
	{ STORE_NODES, "status.conditions", T_OBJECTS },
	{ STORE_NODES, "status.addresses", T_OBJECTS },
	{ STORE_PODS, "spec", T_OBJECT },
	{ STORE_PODS, "spec.nodeName", T_STRING },
	{ STORE_PODS, "spec.containers", T_OBJECTS },
	{ STORE_PODS, "status", T_OBJECT },
	{ STORE_PODS, "status.conditions", T_OBJECTS },
};

static bool all_members(struct json_object *v, enum json_type type)
{
	if (js_is(v, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(v); i++)
			if (!js_is(json_object_array_get_idx(v, i), type))
				return false;
		return true;
	}
	if (!js_is(v, json_type_object))
		return false;
	json_object_object_foreach(v, key, val) {
		(void)key;
		if (!js_is(val, type))
			return false;
	}
	return true;
}

static bool is_int32(struct json_object *v)
{
	if (!js_is(v, json_type_int))
		return false;
	int64_t n = json_object_get_int64(v);
	return n >= INT32_MIN && n <= INT32_MAX;
}

static bool has_type(struct json_object *v, enum type type)
{
	switch (type) {
	case T_STRING:
		return js_is(v, json_type_string);
	case T_INT:
		return is_int32(v);
	case T_BOOL:
		return js_is(v, json_type_boolean);
	case T_OBJECT:
		return js_is(v, json_type_object);
	case T_STRINGS:
		return js_is(v, json_type_array) && all_members(v, json_type_string);
	case T_OBJECTS:
		return js_is(v, json_type_array) && all_members(v, json_type_object);
	case T_STRING_MAP:
		return js_is(v, json_type_object) && all_members(v, json_type_string);
	case T_INT_OR_STRING:
		return js_is(v, json_type_string) || is_int32(v);
	}
	return false;
}

/* Absent is fine everywhere. */
static bool type_fits(struct json_object *o, const char *path, enum type type)
{
	const char *brackets = strstr(path, "[].");

	if (!brackets) {
		struct json_object *v = js_at(o, path);
		return !v || has_type(v, type);
	}
	cleanup_free char *head = xstrndup(path, (size_t)(brackets - path));
	struct json_object *list = js_array(o, head);
	for (size_t i = 0; i < js_len(list); i++)
		if (!type_fits(json_object_array_get_idx(list, i), brackets + 3, type))
			return false;
	return true;
}

int validate_types(const struct kind *k, struct json_object *o, struct reply *r)
{
	static const char *const names[] = { "string",      "int32",    "bool",
		                             "object",      "[]string", "map[string]string",
		                             "IntOrString", "[]object" };
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if ((types[i].store >= 0 && types[i].store != (int)k->store) ||
		    type_fits(o, types[i].path, types[i].type))
			continue;
		return reply_bad_request(
			r,
			"%s in version \"%s\" cannot be handled as a %s: json: cannot "
			"unmarshal value into Go struct field %s.%s of type %s",
			k->kind, k->version, k->kind, k->kind, types[i].path, names[types[i].type]);
	}
	return 0;
}

static bool is_alnum(char c, bool upper)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (upper && c >= 'A' && c <= 'Z');
}

/* @len characters: alphanumeric at both ends, those or one of @inner between. */
static bool is_name(const char *s, size_t len, bool upper, const char *inner)
{
	if (!len || !is_alnum(s[0], upper) || !is_alnum(s[len - 1], upper))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_alnum(s[i], upper) && !strchr(inner, s[i]))
			return false;
	return true;
}

bool is_dns_label(const char *s)
{
	size_t len = strlen(s);

	return len <= LABEL_MAX_LEN && is_name(s, len, false, "-");
}

bool is_dns1035_label(const char *s)
{
	return is_dns_label(s) && *s >= 'a';
}

bool is_dns_subdomain(const char *s)
{
	if (strlen(s) > NAME_MAX_LEN)
		return false;
	for (;;) {
		size_t len = strcspn(s, ".");
		if (!is_name(s, len, false, "-"))
			return false;
		if (!s[len])
			return true;
		s += len + 1;
	}
}

bool is_qualified_name(const char *s)
{
	const char *slash = strchr(s, '/'), *name = slash ? slash + 1 : s;
	size_t len = strlen(name);

	if (len > LABEL_MAX_LEN || !is_name(name, len, true, "-_."))
		return false;
	if (!slash)
		return true;
	cleanup_free char *prefix = xstrndup(s, (size_t)(slash - s));
	return is_dns_subdomain(prefix);
}

void cause_invalid_str(struct causes *c, const char *field, const char *value, const char *msg)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;

	buf_json_str(&b, value);
	cause_invalid(c, field, buf_str(&b), "%s", msg);
}

#define SUBDOMAIN_MSG                                                                             \
	"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' " \
	"or "                                                                                     \
	"'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex "  \
	"used for validation is "                                                                 \
	"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
#define DNS1035_MSG                                                                               \
	"a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with " \
	"an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or "   \
	"'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"

static void check_name(const struct kind *k, struct json_object *o, struct causes *c)
{
	const char *name = js_str0(o, "metadata.name");

	if (!*name) {
		cause_required(c, "metadata.name", "name or generateName is required");
		return;
	}
	if (k->store == STORE_SERVICES) {
		if (!is_dns1035_label(name))
			cause_invalid_str(c, "metadata.name", name, DNS1035_MSG);
	} else if (k->store == STORE_NAMESPACES) {
		if (!is_dns_label(name))
			cause_invalid_str(c, "metadata.name", name, DNS_LABEL_MSG);
	} else if (!is_dns_subdomain(name)) {
		cause_invalid_str(c, "metadata.name", name, SUBDOMAIN_MSG);
	}
}

static void check_metadata(const struct kind *k, struct json_object *o, struct causes *c)
{
	size_t bytes = 0;
	struct json_object *labels = js_object(o, "metadata.labels");
	struct json_object *annotations = js_object(o, "metadata.annotations");
	struct json_object *finalizers = js_array(o, "metadata.finalizers");

	check_name(k, o, c);
	if (labels) {
		json_object_object_foreach(labels, key, val) {
			const char *s = json_object_get_string(val);
			if (!is_qualified_name(key))
				cause_invalid_str(c, "metadata.labels", key, QUALIFIED_NAME_MSG);
			if (*s &&
			    (strlen(s) > LABEL_MAX_LEN || !is_name(s, strlen(s), true, "-_.")))
				cause_invalid_str(
					c, "metadata.labels", s,
					"a valid label must be an empty string or consist of "
					"alphanumeric characters, '-', '_' or '.', and must start "
					"and "
					"end with an alphanumeric character");
		}
	}
	if (annotations) {
		json_object_object_foreach(annotations, name, text) {
			bytes += strlen(name) + (size_t)json_object_get_string_len(text);
			cleanup_free char *lower = xstrdup(name);
			for (char *s = lower; *s; s++)
				*s = *s >= 'A' && *s <= 'Z' ? (char)(*s + 32) : *s;
			if (!is_qualified_name(lower))
				cause_invalid_str(c, "metadata.annotations", name,
				                  QUALIFIED_NAME_MSG);
		}
	}
	if (bytes > ANNOTATIONS_MAX_BYTES)
		cause_too_long(c, "metadata.annotations", ANNOTATIONS_MAX_BYTES);
	for (size_t i = 0; i < js_len(finalizers); i++) {
		const char *s = json_object_get_string(json_object_array_get_idx(finalizers, i));
		if (!is_qualified_name(s))
			cause_invalid_str(c, "metadata.finalizers", s, QUALIFIED_NAME_MSG);
	}
}

static void check_endpoint(struct json_object *e, size_t i, struct causes *c)
{
	struct json_object *addresses = js_array(e, "addresses");
	cleanup_free char *field = xasprintf("endpoints[%zu].addresses", i);

	if (!js_len(addresses))
		cause_required(c, field, "must contain at least 1 address");
	else if (js_len(addresses) > 100)
		cause_too_many(c, field, js_len(addresses), 100);
}

static void check_slice(struct json_object *o, struct json_object *old, struct causes *c)
{
	const char *type = js_str0(o, "addressType");
	struct json_object *endpoints = js_array(o, "endpoints"), *ports = js_array(o, "ports");

	if (!*type)
		cause_required(c, "addressType", "");
	else if (strcmp(type, "IPv4") != 0 && strcmp(type, "IPv6") != 0 &&
	         strcmp(type, "FQDN") != 0)
		cause_unsupported(c, "addressType", type, "\"FQDN\", \"IPv4\", \"IPv6\"");
	if (old && strcmp(type, js_str0(old, "addressType")) != 0)
		cause_invalid_str(c, "addressType", type, "field is immutable");
	if (js_len(endpoints) > ENDPOINTS_MAX)
		cause_too_many(c, "endpoints", js_len(endpoints), ENDPOINTS_MAX);
	for (size_t i = 0; i < js_len(endpoints); i++)
		check_endpoint(json_object_array_get_idx(endpoints, i), i, c);
	for (size_t i = 0; i < js_len(ports); i++) {
		struct json_object *p = json_object_array_get_idx(ports, i);
		if (!*js_str0(p, "protocol"))
			js_set_str(p, "protocol", "TCP");
		if (!js_get(p, "name"))
			js_set_str(p, "name", "");
	}
}

static void check_positive(struct json_object *o, const char *path, bool zero_allowed,
                           struct causes *c)
{
	struct json_object *v = js_at(o, path);

	if (!v || json_object_get_int64(v) > 0 || (zero_allowed && json_object_get_int64(v) == 0))
		return;
	cause_invalid(c, path, json_object_get_string(v), "must be greater than%s 0",
	              zero_allowed ? " or equal to" : "");
}

static void check_lease(struct json_object *o, struct causes *c)
{
	static const char *const times[] = { "spec.acquireTime", "spec.renewTime" };
	check_positive(o, "spec.leaseDurationSeconds", false, c);
	check_positive(o, "spec.leaseTransitions", true, c);
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		int64_t us;
		const char *s = js_str(o, times[i]);
		if (s && clock_parse_rfc3339(s, &us) < 0)
			cause_invalid_str(c, times[i], s, "must be a time in RFC 3339 form");
	}
}

static void check_data(struct json_object *o, struct causes *c)
{
	size_t bytes = 0;
	struct json_object *data = js_object(o, "data");

	if (!data)
		return;
	json_object_object_foreach(data, key, val) {
		bytes += (size_t)json_object_get_string_len(val);
		cleanup_free char *field = xasprintf("data[%s]", key);
		if (strlen(key) > NAME_MAX_LEN || !*key || strspn(key, ".") == strlen(key) ||
		    strspn(key,
		           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") !=
		            strlen(key))
			cause_invalid_str(
				c, field, key,
				"a valid config key must consist of alphanumeric characters, '-', "
				"'_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', "
				"regex "
				"used for validation is '[-._a-zA-Z0-9]+')");
	}
	if (bytes > CONFIG_MAX_BYTES)
		cause_too_long(c, "", CONFIG_MAX_BYTES);
}

/* Events of either spelling must lie where their object lies. */
static void check_event(struct json_object *o, struct causes *c)
{
	const char *ns = js_str0(o, "involvedObject.namespace");
	const char *mine = js_str0(o, "metadata.namespace"), *type = js_str0(o, "type");

	if (*ns ? strcmp(ns, mine) != 0 : strcmp(mine, "default") && strcmp(mine, "kube-system"))
		cause_invalid_str(c, "involvedObject.namespace", ns,
		                  "does not match event.namespace");
	/* eventTime marks what came by events.k8s.io, whose rules are stricter. */
	if (!*js_str0(o, "eventTime"))
		return;
	if (!*js_str0(o, "reportingComponent"))
		cause_required(c, "reportingController", "");
	else if (!is_qualified_name(js_str0(o, "reportingComponent")))
		cause_invalid_str(c, "reportingController", js_str0(o, "reportingComponent"),
		                  QUALIFIED_NAME_MSG);
	if (!*js_str0(o, "reportingInstance"))
		cause_required(c, "reportingInstance", "");
	if (strlen(js_str0(o, "reportingInstance")) > 128)
		cause_too_long(c, "reportingInstance", 128);
	if (!*js_str0(o, "action"))
		cause_required(c, "action", "");
	if (!*js_str0(o, "reason"))
		cause_required(c, "reason", "");
	if (strlen(js_str0(o, "message")) > 1024)
		cause_too_long(c, "note", 1024);
	if (strcmp(type, "Normal") != 0 && strcmp(type, "Warning") != 0)
		cause_invalid_str(c, "type", type, "has invalid value");
}

void validate_object(const struct kind *k, struct json_object *o, struct json_object *old,
                     struct causes *c)
{
	check_metadata(k, o, c);
	switch (k->store) {
	case STORE_SERVICES:
		validate_service(o, old, c);
		break;
	case STORE_ENDPOINTSLICES:
		check_slice(o, old, c);
		break;
	case STORE_LEASES:
		check_lease(o, c);
		break;
	case STORE_CONFIGMAPS:
	case STORE_SECRETS:
		check_data(o, c);
		break;
	case STORE_EVENTS:
		check_event(o, c);
		break;
	case STORE_NAMESPACES:
	case STORE_NODES:
	case STORE_PODS:
	case STORE_SERVICEACCOUNTS:
	case STORE_N:
		break;
	}
}

void validate_status(const struct kind *k, struct json_object *o, struct json_object *old,
                     struct causes *c)
{
	(void)old;
	check_metadata(k, o, c);
	if (k->store == STORE_SERVICES)
		validate_service_status(o, c);
}
