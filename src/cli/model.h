/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_MODEL_H
#define FAIRLEAD_CLI_MODEL_H

/*
 * What `fairlead status` shows, put together from what the API server and the speakers said.  Pure:
 * the command fetches, this combines and prints.  Services and nodes come before the speakers that
 * speak about them.
 */

#include <stdbool.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/buf.h"
#include "fairlead/kube_types.h"

struct configuration;
struct gather_daemon;
struct history;
struct json_object;
struct model;
struct out;

struct model *cluster_new(void);
void cluster_free(struct model *m);

/* One that was read already; the model takes it over. */
void cluster_set_configuration(struct model *m, struct configuration *c);
/* The ConfigMap fairlead-active. */
void cluster_put_configuration(struct model *m, const struct kube_config_map *map);
/* The ConfigMap that says which addresses cool down, or were given last (ipam.h). */
void cluster_put_cooling(struct model *m, const struct kube_config_map *map);
/* Would that be of interest: does any pool let addresses cool down? */
bool cluster_is_noted(const struct model *m);
/* The administrator's, which the controller takes or rejects. */
void cluster_put_wanted(struct model *m, const struct kube_config_map *map);
/* Only those of type LoadBalancer and those with external IPs are kept. */
void cluster_put_service(struct model *m, const struct kube_service *s);
void cluster_put_node(struct model *m, const struct kube_node *n);
/*
 * @holder: "" if nobody leads.  @silent_s: for so long the Lease has been expired, 0: it has not.
 */
void cluster_put_leader(struct model *m, const char *holder, int64_t silent_s);
/* What may not be read is not missing. */
void cluster_hide_leader(struct model *m);
void cluster_hide_configuration(struct model *m);
void cluster_hide_pods(struct model *m);
/* A Pod of Fairlead's.  Those of speakers that run by hand are not there. */
int cluster_put_pod(struct model *m, struct json_object *obj, struct err *e);
/* All of them have been put. */
void cluster_end_pods(struct model *m);
/* The journal; the model takes over what @h has. */
void cluster_set_history(struct model *m, struct history *h);
/* What the controller in that Pod answered to /status, or why it did not. */
void cluster_put_controller(struct model *m, const char *pod, struct json_object *status,
                            const char *error);
/* What the speaker of that node answered to /status, or why it did not. */
void cluster_put_speaker(struct model *m, const char *node, struct json_object *status,
                         const char *error);

/*
 * Only Services of this namespace, and with these labels, are printed; NULL: any.  Problems are
 * found in all of them.
 */
struct label_selector;
void cluster_show_only(struct model *m, const char *namespace,
                       const struct label_selector *selector);

/*
 * Only this pool is printed where pools are; NULL: all.  With @addresses each of its addresses, or
 * blocks of them.  -ENOENT if the configuration has no such pool.
 */
int cluster_show_pools(struct model *m, const char *pool, bool addresses, struct err *e);

/*
 * How the nodes' speakers are asked, as many as there are nodes: an array for free(), of what
 * belongs to the model.
 */
struct gather_daemon *cluster_speakers(const struct model *m, int port, size_t *ret_n);
/* The same of the controllers that run in Pods. */
struct gather_daemon *cluster_controllers(const struct model *m, size_t *ret_n);
/* Whether nothing is published, as far as one may know. */
bool cluster_is_blank(const struct model *m);
/* The name of the administrator's ConfigMap as the controller reports it; NULL: not reported. */
const char *cluster_source(const struct model *m);
/* Why the one in force cannot be read; NULL: it can, or there is none. */
const char *cluster_configuration_error(const struct model *m);
/* Whether every node's speaker answered. */
bool cluster_is_complete(const struct model *m);

/* Each prints what is wrong first: @f is what verdict_find() found. */
struct findings;
/* The whole of it. */
void cluster_print(struct model *m, const struct findings *f, struct out *o);
/* The verdict alone. */
void cluster_summary_print(struct model *m, const struct findings *f, struct out *o);
/* The pools alone. */
void cluster_pools_print(struct model *m, const struct findings *f, struct out *o);
/* BGP: nodes with their sessions; as text, a table of each. */
void cluster_bgp_print(struct model *m, const struct findings *f, struct out *o);
/* Layer 2: segments, whom each node hears there, owners and moves. */
void cluster_l2_print(struct model *m, const struct findings *f, struct out *o);
/*
 * What would go from node to node by layer 2 so that each has its share, if it were asked for;
 * false if nothing would.
 */
bool cluster_rebalance_print(struct model *m, struct out *o);
/* The versions of this program and of all daemons. */
void cluster_version_print(struct model *m, const struct findings *f, struct out *o);

#endif
