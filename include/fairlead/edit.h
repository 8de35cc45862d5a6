/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_EDIT_H
#define FAIRLEAD_EDIT_H

/*
 * What an edit of the configuration means for addresses in use.  Pure: the leader asks before it
 * publishes, `fairlead plan` before anybody writes.
 */

#include <stdbool.h>
#include <stddef.h>

#include "fairlead/buf.h"
#include "fairlead/configuration.h"
#include "fairlead/record.h"

struct edit {
	const struct configuration *now, *next; /* in force, and to come */
	/* Found so far. */
	struct config_retention *retained;
	size_t n_retained, cap_retained;
};

/*
 * Adds the addresses that the record's Service holds, or is about to, and that no pool of @next
 * would give: they have to be retained.
 */
void edit_retain(struct edit *e, const struct record *r);
/* Adds that as text for configuration_parse_published(); nothing where nothing is retained. */
void edit_print_retained(struct edit *e, struct buf *out);
void edit_fini(struct edit *e);

struct edit_effect {
	bool orphans;  /* a pool gives the address now, and none will */
	bool silences; /* by its pool's protocols the address is announced now, and will not be */
};
/* On the Service of the record. */
struct edit_effect edit_effect_on(const struct edit *e, const struct record *r);

struct edit_fate {
	bool moves; /* a pool takes the Service in, and has room for it */
	bool stays; /* some of its addresses are retained all the same */
};
/*
 * Which Services move under the configuration of these books, in the order of the controller's
 * turns (turn.h).  The books have adopted the records, which are sorted; they are of no other use
 * afterwards.
 */
void edit_foresee(struct ipam *ipam, struct record *const *records, size_t n,
                  struct edit_fate *ret_fates);

#endif
