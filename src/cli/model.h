/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_MODEL_H
#define FAIRLEAD_CLI_MODEL_H

/*
 * What `fairlead status` shows, put together from what the API server and the speakers said.  Pure: the command fetches,
 * this combines and prints.  Services and nodes come before the speakers that speak about them.
 */

#include <stdbool.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/buf.h"
#include "fairlead/kube_types.h"

struct json_object;
struct model;
struct out;

struct model *cluster_new(void);
void cluster_free(struct model *m);

/* The ConfigMap fairlead-active. */
void cluster_put_configuration(struct model *m, const struct kube_config_map *map);
/* Only those of type LoadBalancer and those with external IPs are kept. */
void cluster_put_service(struct model *m, const struct kube_service *s);
void cluster_put_node(struct model *m, const struct kube_node *n);
/* @holder: "" if nobody leads. */
void cluster_put_leader(struct model *m, const char *holder);
/* What the speaker of that node answered to /status, or why it did not. */
void cluster_put_speaker(struct model *m, const char *node, struct json_object *status,
                         const char *error);

/* The nodes, with the address their speaker may be asked at (none: none is known). */
size_t cluster_nodes(const struct model *m);
const char *cluster_node_name(const struct model *m, size_t i);
const struct addr *cluster_node_address(const struct model *m, size_t i);
/* Whether every node's speaker answered. */
bool cluster_is_complete(const struct model *m);

/* The whole of it. */
void cluster_print(struct model *m, struct out *o);
/* The pools alone: a list of them. */
void cluster_pools_print(struct model *m, struct out *o);
/* BGP: a list of nodes; as text, a table of sessions and one of nodes. */
void cluster_bgp_print(struct model *m, struct out *o);

#endif
