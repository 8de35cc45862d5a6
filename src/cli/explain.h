/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_EXPLAIN_H
#define FAIRLEAD_CLI_EXPLAIN_H

/*
 * Why a Service's addresses are announced where they are.  Pure: first what the speakers' own
 * function decides from the cluster's objects; then, on a live cluster, what each speaker reports
 * about itself takes its place.
 */

#include <stdbool.h>
#include <stddef.h>

#include "fairlead/kube_types.h"
#include "fairlead/reason.h"
#include "fairlead/view.h"

struct explain;
struct json_object;
struct labels;
struct out;

/*
 * @node: only this one, or NULL.  @nodes_stand_for_speakers: a node's being Ready is all that is
 * known of its speaker.  The view stays as it is as long as the answer lives.
 */
struct explain *explain_new(const struct view *v, const struct view_service *s,
                            const struct kube_node *const *nodes, size_t n_nodes, const char *node,
                            bool nodes_stand_for_speakers);
void explain_free(struct explain *x);
/* What the node's speaker answered to /status, or NULL, the reason that it did not, and why. */
void explain_put_speaker(struct explain *x, const char *node, struct json_object *status,
                         enum reason silence, const char *why);
/*
 * The labels of the Service's Namespace, which stay as long as the answer; without this call they
 * are not known.
 */
void explain_put_namespace(struct explain *x, const struct labels *labels);
/* Which addresses cool down, as the leader has written it (ipam.h); without this call none does. */
void explain_put_cooling(struct explain *x, const char *text);
/* Did every speaker that was put answer? */
bool explain_is_complete(const struct explain *x);

/* Whether the node announces the address, or would as far as the objects tell. */
bool explain_announces(const struct explain *x, const struct addr *a, const char *node);

/* A list of addresses.  @service: its conditions say why it has none. */
void explain_print(const struct explain *x, const struct kube_service *service, struct out *o);

#endif
