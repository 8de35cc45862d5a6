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
 * @obj is good for the time of the call.  @kind (so much of it): what it is, where it does not say
 * so itself.  @at: where it stands in the text, or the item of a List that it is part of.
 */
typedef int manifest_json_fn(struct json_object *obj, size_t at, const char *kind, size_t kind_len,
                             void *arg, struct err *e);
/*
 * Each object of the text; what @fn returns, if less than 0, ends it.  MANIFEST_NOT_JSON: the text
 * is not, or not to its end; objects before that place may have been delivered.
 */
#define MANIFEST_NOT_JSON 1
int manifest_json_each(const char *text, size_t size, manifest_json_fn *fn, void *arg,
                       struct err *e);

#endif
