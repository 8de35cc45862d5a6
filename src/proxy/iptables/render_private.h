/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPTABLES_RENDER_PRIVATE_H
#define FAIRLEAD_PROXY_IPTABLES_RENDER_PRIVATE_H

/* What the chains of Services (render.c) and the frame around them (frame.c) have in common. */

#include "proxy/iptables/render.h"

/* Where each kind's numbers start, and where the last one's end. */
extern const unsigned int render_bucket_first[BUCKET_KINDS + 1];
/* The protocols, in the order of the numbers of port buckets. */
#define RENDER_PROTOS 3
extern const char *const render_protos[RENDER_PROTOS];

/* Whether it can be told who is a Pod. */
bool render_knows_pods(const struct render_options *o);
/* Adds "MATCH -j TARGET" for what Pods sent.  In OUTPUT no interface matches, as none came in. */
void render_from_pods(const struct render_options *o, struct chain *c, const char *match,
                      const char *target);

#endif
