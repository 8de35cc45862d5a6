/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APISIM_SELECTOR_H
#define APISIM_SELECTOR_H

/*
 * labelSelector and fieldSelector of list, watch and deletecollection:
 * "a=b,c!=d,e in (f,g),h notin (i),j,!k" and "metadata.name=x,spec.type!=y".
 */

#include <stdbool.h>

#include "fairlead/err.h"
#include "kind.h"

#define SELECTOR_MAX_TERMS 32

struct version;
struct selector;

/*
 * Either text may be NULL or empty; *@ret_selector is NULL where both are.  -EINVAL with the
 * server's words.
 */
int selector_parse(const struct kind *k, const char *labels, const char *fields,
                   struct selector **ret_selector, struct err *err);
void selector_free(struct selector *sel);
/* A NULL selector matches everything. */
bool selector_matches(const struct selector *sel, const struct version *v);

#endif
