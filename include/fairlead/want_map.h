/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_WANT_MAP_H
#define FAIRLEAD_WANT_MAP_H

/*
 * What a node would serve on layer 2, by address, in versions that share what they have in common.
 *
 * A version never changes once it has been shared: an edit copies the few nodes from the root down
 * to the address, and of two versions the difference is found where their nodes are not the same.
 * So an edit, and following it, cost the same with a hundred addresses and a hundred thousand.
 *
 * One thread makes, shares and ends versions, since that is where references are counted; others
 * may read one while it is kept for them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/ownership.h"

struct want_node;

/* Heads a block from malloc() that arrays of wants lie in, which is freed with the last of them. */
struct want_arrays {
	size_t refs;
};
/* Accept NULL. */
struct want_arrays *want_arrays_ref(struct want_arrays *arrays);
void want_arrays_unref(struct want_arrays *arrays);

/* One version; all zero: nothing is wanted. */
struct want_map {
	struct want_node *root;
	size_t n;
	/* Nodes made by edits so far, and their size. */
	uint64_t n_made, made_bytes;
};

/*
 * Adds the want, or replaces that of its address; @arrays: what its arrays lie in, kept as long as
 * the want is, or NULL if they outlive it.  False if nothing differs.
 */
bool want_map_put(struct want_map *m, const struct l2_want *want, struct want_arrays *arrays);
/* False if there is none. */
bool want_map_remove(struct want_map *m, const struct addr *addr);
/* The same version, which stays as it is whatever becomes of @m; for want_map_fini(). */
struct want_map want_map_share(const struct want_map *m);
void want_map_fini(struct want_map *m);

/* NULL if there is none.  What is returned stays where it is in all versions that have it. */
const struct l2_want *want_map_find(const struct want_map *m, const struct addr *addr);
/* By address, ascending. */
void want_map_each(const struct want_map *m, void (*fn)(const struct l2_want *want, void *arg),
                   void *arg);
/*
 * What differs, by address: @before or @after is NULL where an address is new or gone.  How many
 * nodes were looked at.
 */
typedef void want_map_diff_fn(const struct l2_want *before, const struct l2_want *after, void *arg);
size_t want_map_diff(const struct want_map *before, const struct want_map *after,
                     want_map_diff_fn *fn, void *arg);

#endif
