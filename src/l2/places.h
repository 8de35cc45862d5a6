/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_L2_PLACES_H
#define FAIRLEAD_L2_PLACES_H

/*
 * On which of this node's interfaces each place of a snapshot (struct l2_place) has addresses
 * announced.
 *
 * Whoever publishes snapshots compiles the expressions, once for as long as snapshots have them:
 * the store knows those of the last one.  The urgent thread tries them on the names of the
 * interfaces, once for as long as the interfaces stay the same.  Places are shared by reference.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/ownership.h"
#include "l2/ifaces.h"

struct place;

/* Those of the last snapshot; the publishing thread's. */
struct place_store {
	struct place *by_text;
	uint64_t n_compiled; /* expressions, ever */
	uint64_t n_snapshots;
};
void place_store_fini(struct place_store *store);

/* Those of one snapshot, by their numbers. */
struct places {
	size_t n;
	struct place *list[];
};
struct places *places_new(struct place_store *store, const struct l2_snapshot *s);
void places_free(struct places *p);
/*
 * Looks which of the interfaces each allows, unless it has done so for those of that @generation,
 * which is not 0.  How many names were tried.
 */
size_t places_look(const struct places *p, const struct ifaces *ifaces, uint64_t generation);
/*
 * After places_look(), by position: which interfaces may announce addresses of their subnets (NULL:
 * all), and which of them any address (NULL: none).  @p may be NULL.
 */
const bool *places_allowed(const struct places *p, uint16_t place);
const bool *places_routed(const struct places *p, uint16_t place);
/* The interface for an address; NULL: none. */
const struct iface *places_find(const struct places *p, uint16_t place, const struct ifaces *ifaces,
                                const struct addr *a);
/*
 * Adds those, by position, that addresses of the range may be announced on: of interfaces that take
 * any address one, and only if some address of the range is in no other's subnet.
 */
void places_join(const struct places *p, uint16_t place, const struct ifaces *ifaces,
                 const struct addr_range *r, bool *chosen);

#endif
