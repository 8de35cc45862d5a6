/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_MANIFEST_H
#define FAIRLEAD_MANIFEST_H

/*
 * Kubernetes objects from a file: JSON, or YAML of several documents; Lists are opened.
 *
 * Plain scalars are read by YAML 1.2's core schema.  Aliases are refused, so that a file cannot be
 * larger than it looks; so are keys given twice.  It knows nothing of what the objects mean.
 */

#include <stddef.h>

#include "fairlead/err.h"

struct json_object;

#define MANIFEST_MAX_BYTES (256 << 20)
#define MANIFEST_DEPTH_MAX 64
#define MANIFEST_PROBLEMS_MAX 20

/* One object, with its kind ("" if it names none).  @obj is good for the time of the call. */
typedef int manifest_object_fn(const char *kind, struct json_object *obj, void *arg, struct err *e);

/*
 * Objects that @fn refused, each with its line, from 1, and why; with too many of them the last one
 * says so.
 */
struct manifest_problems {
	struct manifest_problem {
		unsigned int line;
		char *message;
	} items[MANIFEST_PROBLEMS_MAX + 1];
	size_t n;
};
void manifest_problems_fini(struct manifest_problems *p);

/*
 * If @fn fails, the object is skipped and goes to @problems, or reading ends if that is NULL.
 * Returns -EINVAL for what cannot be read, or what @fn returned; *ret_line is then the line, from
 * 1.  Objects before it were delivered.
 */
int manifest_read(const char *text, size_t size, manifest_object_fn *fn, void *arg,
                  struct manifest_problems *problems, unsigned int *ret_line, struct err *e);

#endif
