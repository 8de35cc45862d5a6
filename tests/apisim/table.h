/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APISIM_TABLE_H
#define APISIM_TABLE_H

/*
 * Server-side Tables (meta.k8s.io/v1), what `kubectl get` asks for and prints: the columns of the
 * real server for the kinds that people look at, NAME and AGE for the others.
 */

#include <event2/buffer.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kind.h"

struct version;

/*
 * @token and @left as in a list's metadata; @full: whole objects in the rows instead of their
 * metadata.
 */
void table_write_list(const struct kind *k, struct version **v, size_t n, uint64_t rv,
                      const char *token, size_t left, bool full, struct evbuffer *out);
/* One object, as get answers and as a watch event carries; @columns: with their definitions. */
void table_write_event(const struct kind *k, struct version *v, bool full, bool columns,
                       struct evbuffer *out);

#endif
