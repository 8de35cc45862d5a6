/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_YAML_MANIFEST_SCALAR_H
#define FAIRLEAD_YAML_MANIFEST_SCALAR_H

/* What a plain scalar means: YAML 1.2, 10.3.2, the core schema. */

#include <stddef.h>

struct json_object;

/*
 * A new value; NULL is null.  ".inf" and ".nan", which JSON has not, stay text;
 * so do hexadecimal and octal numbers beyond 64 bits, while decimal ones become floats.
 */
struct json_object *manifest_scalar(const char *text, size_t size);

#endif
