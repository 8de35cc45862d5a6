/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_KUBE_STORE_H
#define FAIRLEAD_KUBE_STORE_H

/*
 * What an informer remembers of each object that it delivered: name, UID, and which
 * resourceVersion, as a hash, since all it has to know is whether that changed.  About 80 bytes an
 * object; a UID takes 16 of them, as all are UUIDs, and one that is not is kept as it came.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/table.h"

struct store_entry {
	struct table_link link;
	uint64_t version; /* hash of the resourceVersion */
	uint32_t list;    /* number of the list that saw it last */
	uint16_t name_at; /* in @text */
	uint16_t uid_at : 15;
	uint16_t has_uuid : 1;
	char text[]; /* namespace and name, each with its NUL; the UUID's bytes, or the UID so */
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
bool store_has_uid(const struct store_entry *entry, const char *uid);
/* A new string. */
char *store_uid(const struct store_entry *entry);
void store_remove(struct store *s, struct store_entry *entry);
/* As table_next(). */
struct store_entry *store_next(const struct store *s, uint32_t *at);

#endif
