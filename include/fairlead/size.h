/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SIZE_H
#define FAIRLEAD_SIZE_H

/* How much a Service asks of the data plane, and how much it may have.  Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/view.h"

/*
 * What a Service may take in one family that a proxy is to carry it in: where a rule is written for
 * each endpoint of each port, and where elements of maps are.
 */
#define SIZE_RULES_MAX 40000
#define SIZE_ELEMENTS_MAX 2500000
/*
 * And what all that are large may take together, in both families.  Services that are not large
 * always fit.
 */
#define SIZE_ALL_ELEMENTS_MAX 5000000

/*
 * Whether the Service takes more than that in either family: the speakers' data plane does not
 * carry it, on any node.  @by_rules: by which of the two they do it.
 */
bool size_is_too_large(const struct view_service *s, bool by_rules);
/*
 * Whether it takes long to build (forward.h): it is too large to be carried by rules, whoever
 * carries it.
 */
bool size_is_large(const struct view_service *s);
/*
 * The elements, in both families, of one that is large: exactly those by which it is too large or
 * not.  0 for any other, and for one that is too large by itself.
 */
size_t size_of_large(const struct view_service *s);

#endif
