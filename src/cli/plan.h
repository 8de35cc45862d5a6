/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_PLAN_H
#define FAIRLEAD_CLI_PLAN_H

/*
 * What the controller would do with these Services under this configuration: the rules of its turns (controller/turn.h),
 * with every write taken as made, until nothing is left to do.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>

#include "fairlead/buf.h"
#include "fairlead/configuration.h"
#include "fairlead/kube_types.h"

struct plan;

/*
 * @class: the controller's --load-balancer-class, or NULL.  @remains: of Services that cannot be read; they keep what they
 * hold.  The configuration is kept by reference.
 */
struct plan *plan_new(struct configuration *c, const char *class,
                      const struct kube_service *const *services, size_t n,
                      const struct kube_remains *const *remains, size_t n_remains);
void plan_free(struct plan *p);
/* Does any Service move or fail? */
bool plan_is_bad(const struct plan *p);
void plan_json(const struct plan *p, struct buf *out);
void plan_text(const struct plan *p, struct buf *out);

#endif
