/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <stdlib.h>

#include <json-c/json.h>

#include "fairlead/buf.h"
#include "fairlead/kube_types.h"
#include "fairlead/mem.h"
#include "world.h"

static void put_object(struct view *v, struct json_object *obj)
{
	const char *kind = json_object_get_string(json_object_object_get(obj, "kind"));
	struct err e = ERR_INIT;
	int r;

	if (!strcmp(kind, "Service")) {
		struct kube_service *s = NULL;
		r = kube_service_parse(obj, &s, &e);
		if (r == 0)
			view_upsert_service(v, s);
		kube_service_free(s);
	} else if (!strcmp(kind, "EndpointSlice")) {
		struct kube_slice *s = NULL;
		r = kube_slice_parse(obj, &s, &e);
		if (r == 0)
			view_upsert_slice(v, s);
		kube_slice_free(s);
	} else if (!strcmp(kind, "Node")) {
		struct kube_node *n = NULL;
		r = kube_node_parse(obj, &n, &e);
		if (r == 0)
			view_upsert_node(v, n);
		kube_node_free(n);
	} else {
		struct kube_config_map *m = NULL;
		r = kube_config_map_parse(obj, &m, &e);
		if (r == 0)
			r = view_load_configuration(v, m, &e);
		kube_config_map_free(m);
	}
	if (r < 0)
		fail_msg("%s: %s", kind, e.msg);
}

void world_put(struct view *v, const char *json, ...)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;
	va_list ap;

	va_start(ap, json);
	buf_vprintf(&text, json, ap);
	va_end(ap);
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] == '\'')
			text.data[i] = '"';
	struct json_object *obj = json_tokener_parse(buf_str(&text));
	if (!obj)
		fail_msg("not JSON: %s", buf_str(&text));
	put_object(v, obj);
	json_object_put(obj);
}

void world_service(struct view *v, const char *name, const char *ip, const char *more)
{
	world_put(
		v,
		"{'kind':'Service','metadata':{'namespace':'shop','name':'%s','uid':'uid-%s',"
		"'creationTimestamp':'2026-01-01T00:00:00Z'},"
		"'spec':{'type':'LoadBalancer','clusterIP':'10.96.0.9','clusterIPs':['10.96.0.9'],"
		"'ipFamilies':['IPv4'],'ports':[{'port':80,'nodePort':30080}]%s},"
		"'status':{'loadBalancer':{'ingress':[{'ip':'%s'}]}}}",
		name, name, more, ip);
}

void world_external(struct view *v, const char *name, const char *type, const char *external_ips,
                    const char *record, const char *more)
{
	cleanup(buf_fini) struct buf list = BUF_INIT, confirmed = BUF_INIT;
	cleanup_free char *copy = xstrdup(external_ips), *recorded = xstrdup(record);
	char *save = NULL;

	for (char *ip = strtok_r(copy, ",", &save); ip; ip = strtok_r(NULL, ",", &save))
		buf_printf(&list, "%s'%s'", list.size ? "," : "", ip);
	for (char *ip = strtok_r(recorded, ",", &save); ip; ip = strtok_r(NULL, ",", &save))
		buf_printf(&confirmed, "%s%s", confirmed.size ? ", " : "assigned external IP ", ip);
	world_put(v,
	          "{'kind':'Service','metadata':{'namespace':'shop','name':'%s','uid':'uid-%s',"
	          "'creationTimestamp':'2026-01-01T00:00:00Z',"
	          "'annotations':{'fairlead.io/external-ips-assigned':'%s'}},"
	          "'spec':{'type':'%s','clusterIP':'10.96.0.9','clusterIPs':['10.96.0.9'],"
	          "'ipFamilies':['IPv4'],'externalIPs':[%s],'ports':[{'port':80}]%s},"
	          "'status':{'conditions':[{'type':'fairlead.io/ExternalIPsAssigned',"
	          "'status':'True','reason':'Assigned','message':'%s from pool p'}]}}",
	          name, name, record, type, buf_str(&list), more, buf_str(&confirmed));
}

void world_slice(struct view *v, const char *service, const char *name, const char *endpoints)
{
	cleanup(buf_fini) struct buf eps = BUF_INIT;
	cleanup_free char *copy = xstrdup(endpoints);
	char *save = NULL;

	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		size_t len = strlen(word);
		bool terminating = word[len - 1] == '~', unready = word[len - 1] == '!';
		if (terminating || unready)
			word[len - 1] = '\0';
		char *at = strchr(word, '@');
		if (at)
			*at = '\0';
		buf_printf(&eps,
		           "%s{'addresses':['%s'],'conditions':{'ready':%s,'serving':%s,"
		           "'terminating':%s}",
		           eps.size ? "," : "", word, terminating || unready ? "false" : "true",
		           unready ? "false" : "true", terminating ? "true" : "false");
		if (at)
			buf_printf(&eps, ",'nodeName':'%s'", at + 1);
		buf_putc(&eps, '}');
	}
	world_put(v,
	          "{'kind':'EndpointSlice','metadata':{'namespace':'shop','name':'%s','uid':'u',"
	          "'labels':{'kubernetes.io/service-name':'%s'}},'addressType':'IPv4',"
	          "'endpoints':[%s],'ports':[{'name':'','port':8080,'protocol':'TCP'}]}",
	          name, service, buf_str(&eps));
}

void world_node(struct view *v, const char *name)
{
	world_put(v, "{'kind':'Node','metadata':{'name':'%s','uid':'u'}}", name);
}

void world_configuration(struct view *v)
{
	world_put(
		v,
		"{'kind':'ConfigMap','metadata':{'namespace':'fairlead-system',"
		"'name':'fairlead-active','uid':'u',"
		"'annotations':{'fairlead.io/generation':'7'}},'data':{'config':'"
		"address-pools:\\n"
		"- {name: lan, protocol: layer2, addresses: [192.0.2.0/24, 2001:db8::/64]}\\n"
		"- {name: far, protocol: bgp, addresses: [198.51.100.0/24]}\\n"
		"- {name: out, protocol: layer2, addresses: [100.64.1.0/24], use: external-ip}\\n"
		"- {name: away, protocol: bgp, addresses: [100.64.2.0/24], use: external-ip}\\n"
		"external-ips: {allow: [203.0.113.0/25, 198.51.100.0/25], namespaces: [shop]}\\n'}}");
}

size_t world_passes(struct view *v)
{
	size_t n;

	view_take_dirty(v, &n);
	view_clean(v);
	return n;
}
