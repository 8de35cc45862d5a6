/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_L2_PLACES_H
#define FAIRLEAD_L2_PLACES_H

/*
 * Which of this node's interfaces each place of a snapshot (struct l2_place) allows.  Expressions
 * are compiled when they change and tried when interfaces do, so that a look costs nothing.
 */

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/ownership.h"
#include "l2/ifaces.h"

struct place {
	char *interfaces;
	regex_t pattern;
	bool has_pattern; /* else all are allowed */
	bool *allows;     /* by position in the interfaces */
};

struct places {
	struct place *list;
	size_t n;
};

/* Takes those of @s, NULL: none, and looks which of the interfaces each allows. */
void places_set(struct places *p, const struct l2_snapshot *s, const struct ifaces *ifaces);
void places_fini(struct places *p);
/* For ifaces_find(): what l2_want.place or l2_range.place stands for. */
const bool *places_allowed(const struct places *p, uint16_t place);

#endif
