/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPTABLES_WHOLE_H
#define FAIRLEAD_PROXY_IPTABLES_WHOLE_H

/*
 * All chains that a node should have for a number of Services in one family, with the Service that
 * each rule is for: what the model arrives at by batches, in one pass, for those that show it and
 * for those that compare it.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>

#include "proxy/iptables/render.h"

struct spec;
struct whole;

/* @keys: for each rule of the chain the Service that it is for; NULL: it is the frame's. */
typedef void whole_chain_fn(const struct chain *c, const char *const *keys, void *arg);

/*
 * Takes over the specs' references, one a Service, in any order; what @o points to stays the
 * caller's, and as it is.
 */
struct whole *whole_new(const struct render_options *o, struct spec *const *specs, size_t n);
/* Accepts NULL. */
void whole_free(struct whole *w);
/*
 * The next chains, about @n_chains of them, each once: those of Services by key, then buckets by
 * number, then the frame.  False: these were the last.
 */
bool whole_step(struct whole *w, size_t n_chains, whole_chain_fn *fn, void *arg);

#endif
