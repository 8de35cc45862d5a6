/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/kube_types.h"

#include <string.h>

#include "fairlead/buf.h"
#include "fairlead/clock.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"
#include "kube/parse.h"

/* discovery.k8s.io/v1 EndpointSlice, within the limits of that API. */
#define SLICE_ENDPOINTS_MAX 1000
#define SLICE_PORTS_MAX 20000
#define SLICE_ADDRESSES_MAX 100
#define SLICE_STRING_MAX 253
/* the API allows 8 */
#define SLICE_OWNERS_MAX 64
#define SLICE_HINTS_MAX 64

#define SERVICE_NAME_LABEL "kubernetes.io/service-name"
#define TRIGGER_ANNOTATION "endpoints.kubernetes.io/last-change-trigger-time"

/*
 * The UID of the first owner that is a Service; others (an Endpoints object, where slices mirror
 * one) say nothing here.
 */
static char *parse_owner(struct parse *p, struct json_object *obj)
{
	char *uid = NULL;
	size_t n;

	parse_at(p, "metadata");
	struct json_object *list = parse_array(p, parse_object(p, obj, "metadata"),
	                                       "ownerReferences", SLICE_OWNERS_MAX, &n);
	parse_at(p, "metadata.ownerReferences");
	for (size_t i = 0; i < n && !p->ret && !uid; i++) {
		struct json_object *o = parse_item(p, list, i);
		const char *kind = parse_str(p, o, "kind", SLICE_STRING_MAX);
		const char *version = parse_str(p, o, "apiVersion", SLICE_STRING_MAX);
		if (kind && version && !strcmp(kind, "Service") && !strcmp(version, "v1"))
			uid = parse_dup(p, o, "uid", SLICE_STRING_MAX, "");
	}
	return uid ? uid : xstrdup("");
}

/* For a metric alone, so that nonsense in it is no reason to refuse the slice. */
static int64_t parse_trigger(struct json_object *obj)
{
	struct json_object *meta = kube_json_get(obj, "metadata", json_type_object, NULL);
	struct json_object *notes = kube_json_get(meta, "annotations", json_type_object, NULL);
	const char *text = kube_json_str(notes, TRIGGER_ANNOTATION, NULL);
	int64_t us = 0;

	if (!text || clock_parse_rfc3339(text, &us) < 0)
		return 0;
	return us;
}

/* The names of one list of hints in one text, which many endpoints share. */
static char *parse_hints(struct parse *p, struct json_object *hints, const char *key)
{
	cleanup(buf_fini) struct buf names = BUF_INIT;
	size_t n;
	struct json_object *list = parse_array(p, hints, key, SLICE_HINTS_MAX, &n);

	for (size_t i = 0; i < n; i++) {
		struct json_object *hint = json_object_array_get_idx(list, i);
		const char *name = parse_str(p, hint, "name", SLICE_STRING_MAX);
		if (name && *name)
			buf_printf(&names, "%s%s,", names.size ? "" : ",", name);
	}
	return names.size ? buf_take(&names) : NULL;
}

static void parse_endpoint(struct parse *p, struct json_object *o, struct kube_slice *s)
{
	struct kube_endpoint *ep = &s->endpoints[s->n_endpoints++];
	size_t n;
	struct json_object *addresses = parse_array(p, o, "addresses", SLICE_ADDRESSES_MAX, &n);
	struct json_object *conditions = parse_object(p, o, "conditions");
	struct json_object *first = n ? json_object_array_get_idx(addresses, 0) : NULL;

	if (!json_object_is_type(first, json_type_string)) {
		parse_fail(p, "addresses", "no address in it");
		return;
	}
	/* Only the first address counts; the others were never given a meaning. */
	ep->addr = parse_addr(p, "addresses", json_object_get_string(first));
	if (ep->addr.family != s->family)
		parse_fail(p, "addresses", "not of the slice's address type");
	ep->node = parse_dup(p, o, "nodeName", SLICE_STRING_MAX, NULL);
	struct json_object *hints = parse_object(p, o, "hints");
	ep->hint_zones = parse_hints(p, hints, "forZones");
	ep->hint_nodes = parse_hints(p, hints, "forNodes");
	ep->ready = parse_bool(p, conditions, "ready", true);
	ep->serving = parse_bool(p, conditions, "serving", true);
	ep->terminating = parse_bool(p, conditions, "terminating", false);
}

static void parse_endpoints(struct parse *p, struct json_object *obj, struct kube_slice *s)
{
	size_t n;

	parse_at(p, NULL);
	struct json_object *list = parse_array(p, obj, "endpoints", SLICE_ENDPOINTS_MAX, &n);
	if (n == 0 || s->family == 0)
		return;
	parse_at(p, "endpoints");
	s->endpoints = xcalloc(n, sizeof(*s->endpoints));
	for (size_t i = 0; i < n && !p->ret; i++) {
		struct json_object *o = parse_item(p, list, i);
		if (o)
			parse_endpoint(p, o, s);
	}
}

static void parse_slice_ports(struct parse *p, struct json_object *obj, struct kube_slice *s)
{
	size_t n;

	parse_at(p, NULL);
	struct json_object *list = parse_array(p, obj, "ports", SLICE_PORTS_MAX, &n);
	if (n == 0)
		return;
	parse_at(p, "ports");
	s->ports = xcalloc(n, sizeof(*s->ports));
	for (size_t i = 0; i < n && !p->ret; i++) {
		struct json_object *o = parse_item(p, list, i);
		int64_t number = parse_int(p, o, "port", 0, UINT16_MAX, 0);
		/* No number means "all ports", which nothing can forward to. */
		if (number == 0)
			continue;
		s->ports[s->n_ports++] = (struct kube_endpoint_port){
			.name = parse_dup(p, o, "name", SLICE_STRING_MAX, ""),
			.proto = parse_proto(p, o),
			.port = (uint16_t)number,
		};
	}
}

int kube_slice_parse(struct json_object *obj, struct kube_slice **ret_slice, struct err *e)
{
	struct parse p = { .kind = "EndpointSlice", .index = -1, .e = e };
	struct kube_slice *s = xcalloc(1, sizeof(*s));

	parse_meta(&p, obj, &s->meta);
	parse_at(&p, NULL);
	const char *service = labels_get(&s->meta.labels, SERVICE_NAME_LABEL);
	s->service = xstrdup(service ? service : "");
	s->owner_uid = parse_owner(&p, obj);
	s->trigger_us = parse_trigger(obj);
	parse_at(&p, NULL);
	const char *type = p.ret ? NULL : parse_str(&p, obj, "addressType", SLICE_STRING_MAX);
	if (type && !strcmp(type, "IPv4"))
		s->family = 4;
	else if (type && !strcmp(type, "IPv6"))
		s->family = 6;
	if (!p.ret) {
		parse_endpoints(&p, obj, s);
		parse_slice_ports(&p, obj, s);
	}
	if (p.ret)
		kube_slice_free(s);
	else
		*ret_slice = s;
	return p.ret;
}

void kube_slice_free(struct kube_slice *s)
{
	if (!s)
		return;
	kube_meta_fini(&s->meta);
	free(s->service);
	free(s->owner_uid);
	for (size_t i = 0; i < s->n_endpoints; i++) {
		free(s->endpoints[i].node);
		free(s->endpoints[i].hint_zones);
		free(s->endpoints[i].hint_nodes);
	}
	free(s->endpoints);
	for (size_t i = 0; i < s->n_ports; i++)
		free(s->ports[i].name);
	free(s->ports);
	free(s);
}
