/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONTROLLER_NAMESPACES_H
#define FAIRLEAD_CONTROLLER_NAMESPACES_H

/* Namespaces and their labels, followed while a pool selects by them. */

#include "controller/state.h"

/*
 * New books, or a new configuration: follows Namespaces if that needs it, and enters the known
 * ones.
 */
void namespaces_fill(struct controller *ctl);
/* They are followed, and nothing that lasts is known to be in the way. */
bool namespaces_are_followed(const struct controller *ctl);
/* Not seen yet, and nothing that lasts is known to be in the way. */
bool namespaces_are_awaited(const struct controller *ctl);
/* Why they cannot be seen; NULL: they can, or need not. */
const char *namespaces_error(const struct controller *ctl);
size_t namespaces_count(const struct controller *ctl);
void namespaces_free(struct controller *ctl);

#endif
