/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_YAML_MANIFEST_JSON_H
#define FAIRLEAD_YAML_MANIFEST_JSON_H

/*
 * JSON documents, one behind another, an object at a time: the items of a List are read one by one,
 * so that a file of a whole cluster costs its text and the largest object rather than a tree of
 * everything.
 */

#include <stddef.h>

#include "fairlead/err.h"

struct json_object;

/*
 * Where each document ends, in a new array for free(), and how many there are.  -EINVAL if this is
 * not JSON alone.
 */
int manifest_json_check(const char *text, size_t size, size_t **ret_ends, size_t *ret_n);

/*
 * @obj is good for the time of the call.  @kind (so much of it): what it is, where it does not say
 * so itself.
 */
typedef int manifest_json_fn(struct json_object *obj, const char *kind, size_t kind_len, void *arg,
                             struct err *e);
/* Each object of checked documents; what @fn returns, if less than 0, ends it. */
int manifest_json_each(const char *text, const size_t *ends, size_t n, manifest_json_fn *fn,
                       void *arg, struct err *e);

#endif
