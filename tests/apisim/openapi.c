/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "openapi.h"

#include <event2/buffer.h>
#include <string.h>

#include "fairlead/buf.h"
#include "fairlead/mem.h"
#include "kind.h"

/* The release whose manners are imitated. */
#define K8S_MAJOR "1"
#define K8S_MINOR "34"
#define K8S_VERSION "v1.34.4+fairlead-apisim"

static bool first_of_group(size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (!strcmp(kinds[j].group, kinds[i].group))
			return false;
	return true;
}

static void put_version(struct buf *b)
{
	buf_puts(b, "{\"major\":\"" K8S_MAJOR "\",\"minor\":\"" K8S_MINOR
	            "\",\"gitVersion\":\"" K8S_VERSION "\",\"gitTreeState\":\"clean\",\"platform\":"
	            "\"linux/amd64\"}");
}

static void put_group(struct buf *b, const char *group)
{
	buf_printf(b,
	           "\"name\":\"%s\",\"versions\":[{\"groupVersion\":\"%s/v1\",\"version\":\"v1\"}],"
	           "\"preferredVersion\":{\"groupVersion\":\"%s/v1\",\"version\":\"v1\"}}",
	           group, group, group);
}

static void put_groups(struct buf *b)
{
	bool any = false;

	buf_puts(b, "{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[");
	for (size_t i = 0; i < n_kinds; i++) {
		if (!*kinds[i].group || !first_of_group(i))
			continue;
		buf_puts(b, any ? ",{" : "{");
		put_group(b, kinds[i].group);
		any = true;
	}
	buf_puts(b, "]}");
}

static void put_resource(struct buf *b, const struct kind *k, bool status)
{
	cleanup_free char *singular = xstrdup(k->kind);

	for (char *s = singular; *s; s++)
		*s = *s >= 'A' && *s <= 'Z' ? (char)(*s + 32) : *s;
	buf_printf(b,
	           "{\"name\":\"%s%s\",\"singularName\":\"%s\",\"namespaced\":%s,\"kind\":\"%s\"",
	           k->resource, status ? "/status" : "", status ? "" : singular,
	           k->namespaced ? "true" : "false", k->kind);
	if (status) {
		buf_puts(b, ",\"verbs\":[\"get\",\"patch\",\"update\"]}");
		return;
	}
	buf_puts(
		b,
		",\"verbs\":[\"create\",\"delete\",\"deletecollection\",\"get\",\"list\",\"patch\","
		"\"update\",\"watch\"]");
	if (k->short_name)
		buf_printf(b, ",\"shortNames\":[\"%s\"]", k->short_name);
	if (k->store == STORE_SERVICES || k->store == STORE_PODS)
		buf_puts(b, ",\"categories\":[\"all\"]");
	buf_putc(b, '}');
}

static void put_resources(struct buf *b, const char *group)
{
	bool any = false;

	buf_printf(
		b,
		"{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",\"groupVersion\":\"%s%sv1\","
		"\"resources\":[",
		group, *group ? "/" : "");
	for (size_t i = 0; i < n_kinds; i++) {
		if (strcmp(kinds[i].group, group) != 0)
			continue;
		if (any)
			buf_putc(b, ',');
		put_resource(b, &kinds[i], false);
		if (kinds[i].has_status) {
			buf_putc(b, ',');
			put_resource(b, &kinds[i], true);
		}
		any = true;
	}
	buf_puts(b, "]}");
}

static void put_openapi_index(struct buf *b)
{
	bool any = false;

	buf_puts(b, "{\"paths\":{");
	for (size_t i = 0; i < n_kinds; i++) {
		if (!first_of_group(i))
			continue;
		cleanup_free char *path = *kinds[i].group ? xasprintf("apis/%s/v1", kinds[i].group)
		                                          : xstrdup("api/v1");
		buf_printf(b, "%s\"%s\":{\"serverRelativeURL\":\"/openapi/v3/%s\"}", any ? "," : "",
		           path, path);
		any = true;
	}
	buf_puts(b, "}}");
}

/* Paths name one; schemas have a list of them. */
static void put_gvk(struct buf *b, const struct kind *k, bool as_list)
{
	buf_printf(
		b,
		"\"x-kubernetes-group-version-kind\":%s{\"group\":\"%s\",\"version\":\"v1\",\"kind\":"
		"\"%s\"}%s",
		as_list ? "[" : "", k->group, k->kind, as_list ? "]" : "");
}

/* One path and one schema a kind: kubectl looks for the parameter fieldValidation of a patch. */
static void put_openapi_group(struct buf *b, const char *group)
{
	static const char parameter[] = "{\"name\":\"%s\",\"in\":\"query\",\"schema\":{\"type\":"
					"\"string\",\"uniqueItems\":true}}";
	bool any = false;

	buf_puts(b, "{\"openapi\":\"3.0.0\",\"info\":{\"title\":\"Kubernetes\",\"version\":"
	            "\"" K8S_VERSION "\"},\"paths\":{");
	for (size_t i = 0; i < n_kinds; i++) {
		const struct kind *k = &kinds[i];
		if (strcmp(k->group, group) != 0)
			continue;
		buf_printf(b, "%s\"/%s%s/v1/%s%s/{name}\":{\"patch\":{", any ? "," : "",
		           *group ? "apis/" : "api", group,
		           k->namespaced ? "namespaces/{namespace}/" : "", k->resource);
		buf_puts(b, "\"x-kubernetes-action\":\"patch\",");
		put_gvk(b, k, false);
		buf_puts(b, ",\"parameters\":[");
		buf_printf(b, parameter, "dryRun");
		buf_putc(b, ',');
		buf_printf(b, parameter, "fieldManager");
		buf_putc(b, ',');
		buf_printf(b, parameter, "fieldValidation");
		buf_puts(b, "],\"responses\":{\"200\":{\"description\":\"OK\"}}}}");
		any = true;
	}
	buf_puts(b, "},\"components\":{\"schemas\":{");
	any = false;
	for (size_t i = 0; i < n_kinds; i++) {
		if (strcmp(kinds[i].group, group) != 0)
			continue;
		buf_printf(b,
		           "%s\"io.k8s.api.%s.v1.%s\":{\"type\":\"object\",\"x-kubernetes-preserve-"
		           "unknown-fields\":true,",
		           any ? "," : "", *group ? group : "core", kinds[i].kind);
		put_gvk(b, &kinds[i], true);
		buf_putc(b, '}');
		any = true;
	}
	buf_puts(b, "}}}");
}

/* The group that "/apis/GROUP" + @tail names, NULL if it is none of ours. */
static const char *group_in(const char *path, const char *prefix, const char *tail)
{
	for (size_t i = 0; i < n_kinds; i++) {
		if (!*kinds[i].group || !first_of_group(i))
			continue;
		cleanup_free char *want = xasprintf("%s%s%s", prefix, kinds[i].group, tail);
		if (!strcmp(path, want))
			return kinds[i].group;
	}
	return NULL;
}

bool openapi_handle(struct evhttp_request *req, const char *path)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;
	const char *group;

	if (!strcmp(path, "/version"))
		put_version(&b);
	else if (!strcmp(path, "/api"))
		buf_puts(&b, "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"],"
		             "\"serverAddressByClientCIDRs\":[]}");
	else if (!strcmp(path, "/apis"))
		put_groups(&b);
	else if (!strcmp(path, "/api/v1"))
		put_resources(&b, "");
	else if (!strcmp(path, "/openapi/v3"))
		put_openapi_index(&b);
	else if (!strcmp(path, "/openapi/v3/api/v1"))
		put_openapi_group(&b, "");
	else if ((group = group_in(path, "/openapi/v3/apis/", "/v1")))
		put_openapi_group(&b, group);
	else if ((group = group_in(path, "/apis/", "/v1")))
		put_resources(&b, group);
	else if ((group = group_in(path, "/apis/", ""))) {
		buf_puts(&b, "{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\",");
		put_group(&b, group);
	} else {
		return false;
	}
	struct evbuffer *body = evbuffer_new();
	evbuffer_add(body, b.data, b.size);
	evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type",
	                  "application/json");
	evhttp_send_reply(req, 200, "OK", body);
	evbuffer_free(body);
	return true;
}
