/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APISIM_PATCH_H
#define APISIM_PATCH_H

/*
 * The three patch formats, pure: an object and a patch in, the object changed.
 *
 * merge      RFC 7386.  json       RFC 6902.  strategic  Kubernetes' own: lists that have a merge
 * key are merged by it ("ports" by port, "conditions"
 *            by type), "finalizers" is a set, and the directives $patch, $retainKeys,
 *            $setElementOrder/LIST and $deleteFromPrimitiveList/LIST are understood.  Which list
 *            has which key is a table in strategic.c; lists that are not in it are replaced.
 */

#include <json.h>

#include "fairlead/err.h"
#include "kind.h"

#define PATCH_MAX_OPS 10000 /* as the real server */

enum patch_type { PATCH_MERGE, PATCH_JSON, PATCH_STRATEGIC };

/*
 * Changes *@o, which may become another object.  -EINVAL: the patch is malformed or does not apply.
 */
int patch_apply(enum patch_type type, const struct kind *k, struct json_object **o,
                struct json_object *patch, struct err *err);
void patch_merge(struct json_object *target, struct json_object *patch);
int patch_json(struct json_object **o, struct json_object *ops, struct err *err);
int patch_strategic(const struct kind *k, struct json_object *target, struct json_object *patch,
                    struct err *err);

#endif
