/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPVS_COMPARISON_H
#define FAIRLEAD_PROXY_IPVS_COMPARISON_H

/*
 * What the kernel has of one family's virtual servers, beside what is wanted of them: by a socket
 * of its own, a virtual server at a time.  Changes nothing, and has nothing mended.  What drains is
 * no difference.
 */

#include <stdbool.h>
#include <stdint.h>

#include "fairlead/err.h"
#include "proxy/ipvs/virtual_types.h"
#include "proxy/report.h"

struct comparison;
struct virtuals;

/* @words: of what it differs; NULL: all of it.  Good until this returns. */
typedef void comparison_fn(enum report_what what, struct virtual_id id, const char *words,
                           void *arg);

/* @v lives longer. */
int comparison_new(const struct virtuals *v, uint8_t family, comparison_fn *found, void *arg,
                   struct comparison **ret_comparison, struct err *e);
/* Accepts NULL. */
void comparison_free(struct comparison *c);

/*
 * A piece of it: 1 if there is more, 0 at the end, else a negative errno.  @patient: -EAGAIN where
 * the next one is being written, which it does not look at yet; otherwise it is told as it is.
 */
int comparison_step(struct comparison *c, bool patient);

#endif
