/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_KUBE_STORE_H
#define FAIRLEAD_KUBE_STORE_H

/*
 * What an informer remembers of each object that it delivered: name, uid, and which
 * resourceVersion, as a hash, since all it has to know is whether that changed.  About 110 bytes an
 * object.
 */

#include <stddef.h>
#include <stdint.h>

#include "fairlead/table.h"

struct store_entry {
	struct table_link link;
	uint64_t version; /* hash of the resourceVersion */
	uint32_t list;    /* number of the list that saw it last */
	uint16_t name_at; /* in @text */
	uint16_t uid_at;
	char text[]; /* namespace, name and uid, each with its NUL */
};

struct store {
	struct table entries;
};

void store_init(struct store *s);
void store_fini(struct store *s);
size_t store_count(const struct store *s);
struct store_entry *store_find(const struct store *s, const char *namespace, const char *name);
/*
 * There must be none of that name yet.  NULL if the names are longer than any that the API allows.
 */
struct store_entry *store_add(struct store *s, const char *namespace, const char *name,
                              const char *uid);
void store_remove(struct store *s, struct store_entry *entry);
/* As table_next(). */
struct store_entry *store_next(const struct store *s, uint32_t *at);

#endif
