/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_L2_TROUBLES_H
#define FAIRLEAD_L2_TROUBLES_H

/*
 * The current layer-2 problems of this node that are not about single addresses: gathered anew each
 * time from segments, interfaces and states.
 */

#include "fairlead/l2.h"
#include "fairlead/want_map.h"
#include "l2/ifaces.h"
#include "l2/places.h"
#include "l2/segment.h"

struct troubles {
	struct l2_trouble *list;
	size_t n, cap;
};

void troubles_fini(struct troubles *t);
bool troubles_eq(const struct troubles *a, const struct troubles *b);
void troubles_add(struct troubles *t, enum reason reason, const char *interface, const char *fmt,
                  ...) __attribute__((format(printf, 4, 5)));

/* Messages that cannot be sent, limits that were reached, another speaker of our name. */
void troubles_of_segment(struct troubles *t, struct segment *s, int64_t now,
                         const struct iface *iface);
/*
 * Questions for IPv6 addresses that may not reach the node: of so many groups as could not be
 * joined, @error (a negative errno) says why.
 */
void troubles_of_groups(struct troubles *t, size_t n, int error);
/* The kernel answers by itself for what the node wants, or may answer for anything. */
void troubles_of_kernel(struct troubles *t, const struct ifaces *ifaces,
                        const struct places *places, const struct want_map *wants,
                        const struct iface_tally *tally);
/* Another machine answers for it, as troubles_of_states() looks at. */
bool troubles_suspects(const struct l2_state *s);
/* A peer's kernel answers; or one and the same stranger answers for several addresses. */
void troubles_of_states(struct troubles *t, const struct l2_state *states, size_t n);

#endif
