/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_WORLD_H
#define CLI_WORLD_H

/*
 * Models of clusters for the tests of `fairlead status`, put together from short texts: JSON with '
 * for ".
 */

#include "cli/model.h"

struct json_object;

/* Fails the test where it is no JSON. */
struct json_object *world_parse(const char *text);
void world_put_service(struct model *m, const char *text);
/* A Node that is Ready. */
void world_put_node(struct model *m, const char *name, const char *ip);
/* Generation 3. */
void world_put_configuration(struct model *m, const char *yaml);
/* A speaker of that generation, fresh, that says so much of Services. */
void world_put_speaker(struct model *m, const char *node, const char *services);

#define SERVICE(name, ingress)                                                                    \
	"{'metadata':{'namespace':'shop','name':'" name "','uid':'u'},'spec':{'type':"            \
	"'LoadBalancer','clusterIP':'10.96.0.1','clusterIPs':['10.96.0.1'],'ports':[{'port':80}]" \
	"},'status':{" ingress "}}"
#define INGRESS(ip) "'loadBalancer':{'ingress':[{'ip':'" ip "'}]}"
#define SAYS(name, ip, announce, reason)                                     \
	"{'namespace':'shop','name':'" name "','addresses':[{'address':'" ip \
	"','announce':" announce ",'reason':'" reason                        \
	"','message':'because','owner':'n1','interface':'eth0',"             \
	"'mac':'02:00:00:00:00:01'}]}"

#endif
