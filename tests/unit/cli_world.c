/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include "cli_world.h"

#include <json-c/json.h>

#include "fairlead/mem.h"

struct json_object *world_parse(const char *text)
{
	cleanup_free char *copy = xstrdup(text);

	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	struct json_object *obj = json_tokener_parse(copy);
	if (!obj)
		fail_msg("not JSON: %s", text);
	return obj;
}

void world_put_service(struct model *m, const char *text)
{
	struct json_object *obj = world_parse(text);
	struct kube_service *s = NULL;
	struct err e = ERR_INIT;

	if (kube_service_parse(obj, &s, &e) < 0)
		fail_msg("%s", e.msg);
	cluster_put_service(m, s);
	kube_service_free(s);
	json_object_put(obj);
}

void world_put_node(struct model *m, const char *name, const char *ip)
{
	cleanup_free char *text = xasprintf(
		"{'metadata':{'name':'%s','uid':'u'},'status':{'conditions':[{'type':'Ready',"
		"'status':'True'}],'addresses':[{'type':'InternalIP','address':'%s'}]}}",
		name, ip);
	struct json_object *obj = world_parse(text);
	struct kube_node *n = NULL;
	struct err e = ERR_INIT;

	if (kube_node_parse(obj, &n, &e) < 0)
		fail_msg("%s", e.msg);
	cluster_put_node(m, n);
	kube_node_free(n);
	json_object_put(obj);
}

void world_put_configuration(struct model *m, const char *yaml)
{
	cleanup_free char *text =
		xasprintf("{'metadata':{'namespace':'ns','name':'fairlead-active','uid':'u',"
	                  "'annotations':{'fairlead.io/generation':'3'}},'data':{'config':'%s'}}",
	                  yaml);
	struct json_object *obj = world_parse(text);
	struct kube_config_map *map = NULL;
	struct err e = ERR_INIT;

	if (kube_config_map_parse(obj, &map, &e) < 0)
		fail_msg("%s", e.msg);
	cluster_put_configuration(m, map);
	kube_config_map_free(map);
	json_object_put(obj);
}

void world_put_speaker(struct model *m, const char *node, const char *services)
{
	cleanup_free char *text = xasprintf(
		"{'node':'%s','version':'0.1.0','config':{'generation':3},'api':{'fresh':true},"
		"'proxy':{'mode':'iptables'},'l2':{'peers':[{'node':'x','alive':true},"
		"{'node':'y','alive':false}]},'services':[%s]}",
		node, services);
	struct json_object *obj = world_parse(text);

	cluster_put_speaker(m, node, obj, NULL);
	json_object_put(obj);
}
