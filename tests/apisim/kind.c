/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "kind.h"

#include <stdio.h>
#include <string.h>

#include "fairlead/mem.h"
#include "js.h"

const struct kind kinds[] = {
	{ .group = "",
	  .version = "v1",
	  .resource = "namespaces",
	  .kind = "Namespace",
	  .short_name = "ns",
	  .store = STORE_NAMESPACES,
	  .has_status = true,
	  .fields = { "status.phase" } },
	{ .group = "",
	  .version = "v1",
	  .resource = "nodes",
	  .kind = "Node",
	  .short_name = "no",
	  .store = STORE_NODES,
	  .has_status = true,
	  .fields = { "spec.unschedulable" } },
	{ .group = "",
	  .version = "v1",
	  .resource = "services",
	  .kind = "Service",
	  .short_name = "svc",
	  .store = STORE_SERVICES,
	  .namespaced = true,
	  .has_status = true,
	  .create_on_update = true,
	  .delete_returns_object = true,
	  .fields = { "spec.clusterIP", "spec.type" } },
	{ .group = "",
	  .version = "v1",
	  .resource = "configmaps",
	  .kind = "ConfigMap",
	  .short_name = "cm",
	  .store = STORE_CONFIGMAPS,
	  .namespaced = true },
	{ .group = "",
	  .version = "v1",
	  .resource = "secrets",
	  .kind = "Secret",
	  .store = STORE_SECRETS,
	  .namespaced = true,
	  .fields = { "type" } },
	{ .group = "",
	  .version = "v1",
	  .resource = "pods",
	  .kind = "Pod",
	  .short_name = "po",
	  .store = STORE_PODS,
	  .namespaced = true,
	  .has_status = true,
	  .delete_returns_object = true,
	  .fields = { "spec.nodeName", "spec.restartPolicy", "spec.schedulerName",
	              "spec.serviceAccountName", "spec.hostNetwork", "status.phase", "status.podIP",
	              "status.nominatedNodeName" } },
	{ .group = "",
	  .version = "v1",
	  .resource = "serviceaccounts",
	  .kind = "ServiceAccount",
	  .short_name = "sa",
	  .store = STORE_SERVICEACCOUNTS,
	  .namespaced = true,
	  .delete_returns_object = true },
	{ .group = "",
	  .version = "v1",
	  .resource = "events",
	  .kind = "Event",
	  .short_name = "ev",
	  .store = STORE_EVENTS,
	  .namespaced = true,
	  .create_on_update = true,
	  .fields = { "involvedObject.kind", "involvedObject.namespace", "involvedObject.name",
	              "involvedObject.uid", "involvedObject.apiVersion",
	              "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
	              "reportingComponent", "source", "type" } },
	{ .group = "events.k8s.io",
	  .version = "v1",
	  .resource = "events",
	  .kind = "Event",
	  .short_name = "ev",
	  .store = STORE_EVENTS,
	  .namespaced = true,
	  .converts = true,
	  .create_on_update = true,
	  .fields = { "regarding.kind", "regarding.namespace", "regarding.name", "regarding.uid",
	              "regarding.apiVersion", "regarding.resourceVersion", "regarding.fieldPath",
	              "reason", "reportingController", "source", "type" } },
	{ .group = "discovery.k8s.io",
	  .version = "v1",
	  .resource = "endpointslices",
	  .kind = "EndpointSlice",
	  .store = STORE_ENDPOINTSLICES,
	  .namespaced = true },
	{ .group = "coordination.k8s.io",
	  .version = "v1",
	  .resource = "leases",
	  .kind = "Lease",
	  .store = STORE_LEASES,
	  .namespaced = true,
	  .create_on_update = true,
	  .update_needs_version = true },
};
const size_t n_kinds = ARRAY_LEN(kinds);

const struct kind *kind_find(const char *group, const char *version, const char *resource)
{
	for (size_t i = 0; i < n_kinds; i++)
		if (!strcmp(kinds[i].resource, resource) && !strcmp(kinds[i].group, group) &&
		    !strcmp(kinds[i].version, version))
			return &kinds[i];
	return NULL;
}

const struct kind *kind_of_store(enum store_id store)
{
	for (size_t i = 0; i < n_kinds; i++)
		if (kinds[i].store == store && !kinds[i].converts)
			return &kinds[i];
	return NULL;
}

const struct kind *kind_of_resource(const char *resource)
{
	for (size_t i = 0; i < n_kinds; i++)
		if (!kinds[i].converts && !strcmp(kinds[i].resource, resource))
			return &kinds[i];
	return NULL;
}

const char *kind_api_version(const struct kind *k)
{
	static char text[64];

	snprintf(text, sizeof(text), "%s%s%s", k->group, *k->group ? "/" : "", k->version);
	return text;
}

const char *kind_qualified(const struct kind *k)
{
	static char text[96];

	snprintf(text, sizeof(text), "%s%s%s", k->resource, *k->group ? "." : "", k->group);
	return text;
}

/* The store's (core/v1) name of each field, and the one of events.k8s.io/v1. */
static const struct {
	const char *core, *events;
} event_fields[] = {
	{ "involvedObject", "regarding" },
	{ "message", "note" },
	{ "reportingComponent", "reportingController" },
	{ "source", "deprecatedSource" },
	{ "firstTimestamp", "deprecatedFirstTimestamp" },
	{ "lastTimestamp", "deprecatedLastTimestamp" },
	{ "count", "deprecatedCount" },
};

static void rename_key(struct json_object *o, const char *from, const char *to)
{
	struct json_object *v = js_get(o, from);

	if (!v)
		return;
	json_object_object_add(o, to, json_object_get(v));
	json_object_object_del(o, from);
}

void kind_convert_in(const struct kind *k, struct json_object *o)
{
	if (!k->converts)
		return;
	for (size_t i = 0; i < ARRAY_LEN(event_fields); i++)
		rename_key(o, event_fields[i].events, event_fields[i].core);
}

void kind_convert_out(const struct kind *k, struct json_object *o)
{
	if (!k->converts)
		return;
	for (size_t i = 0; i < ARRAY_LEN(event_fields); i++)
		rename_key(o, event_fields[i].core, event_fields[i].events);
}
