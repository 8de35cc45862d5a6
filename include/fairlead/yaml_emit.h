/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_YAML_EMIT_H
#define FAIRLEAD_YAML_EMIT_H

/*
 * A JSON value as YAML in block style, the way an administrator would write it.
 *
 * Text stays text to every reader: anything that YAML 1.1 or 1.2 could take for something else, or
 * for the end of the text, is quoted.  Keys keep their order.
 */

#include "fairlead/buf.h"

struct json_object;

/*
 * Adds @value and a line break. -EINVAL, and part of it may have been added, if some text is not
 * UTF-8.
 */
int yaml_emit(struct json_object *value, struct buf *out);

#endif
