/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_MANIFEST_H
#define FAIRLEAD_CLI_MANIFEST_H

/*
 * Kubernetes objects from a file: JSON, or YAML of several documents; Lists are opened.
 *
 * Plain scalars are read by YAML 1.2's core schema.  Aliases are refused, so that a file cannot be larger than it looks;
 * so are keys given twice.  It knows nothing of what the objects mean.
 */

#include <stddef.h>

#include "fairlead/err.h"

struct json_object;

#define MANIFEST_MAX_BYTES (256 << 20)
#define MANIFEST_DEPTH_MAX 64

/*
 * One object, with its kind ("" if it names none).  @obj is good for the time of the call; an error return ends the reading.
 */
typedef int manifest_object_fn(const char *kind, struct json_object *obj, void *arg, struct err *e);

/* -EINVAL, or what @fn returned; *ret_line is then where, from 1.  Objects before that were delivered. */
int manifest_read(const char *text, size_t size, manifest_object_fn *fn, void *arg,
                  unsigned int *ret_line, struct err *e);

#endif
