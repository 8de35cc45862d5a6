/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONTROLLER_RETAIN_H
#define FAIRLEAD_CONTROLLER_RETAIN_H

/* Addresses in use, when the pools are edited. */

#include "controller/state.h"

int retain_start(struct controller *ctl);
void retain_free(struct controller *ctl);
/* Adds what has to be retained if @next comes into force. */
void retain_print(const struct controller *ctl, const struct configuration *next, struct buf *out);
/* What an edit does to addresses in use, counted by Service. */
struct retain_effect {
	size_t n_moving;   /* into a pool that takes them in */
	size_t n_retained; /* that were in a pool before, and do not move */
	size_t n_silenced; /* that were announced by some protocol, and are by none */
	char *silenced;    /* the first of these, for free(); NULL: none */
};
/* When @next has just come into force in place of @was (NULL: nothing was). */
struct retain_effect retain_effect_of(struct controller *ctl, const struct configuration *was,
                                      const struct configuration *next);
/* An address was freed: what is retained is reviewed soon. */
void retain_freed(struct controller *ctl);
/* Before and after a decision: which Services may be renumbered, one after the other. */
void retain_request(struct record *r, int64_t now_ms);
void retain_decided(struct record *r, int64_t now_ms);

#endif
