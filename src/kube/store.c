/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "kube/store.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

/* Longest "namespace" + "name" that a key can have; the API's limits are 63 and 253. */
#define STORE_KEY_MAX 1024

/* The key is the text up to the uid: "namespace\0name". */
static size_t make_key(char out[static STORE_KEY_MAX], const char *namespace, const char *name)
{
	size_t a = strlen(namespace), b = strlen(name);

	if (a + b + 1 > STORE_KEY_MAX)
		return 0;
	memcpy(out, namespace, a + 1);
	memcpy(out + a + 1, name, b);
	return a + 1 + b;
}

static const void *key_of(const void *record, size_t *ret_size)
{
	const struct store_entry *e = record;

	*ret_size = e->uid_at - 1u;
	return e->text;
}

static const struct table_kind kind = { .link = offsetof(struct store_entry, link), .key = key_of };

void store_init(struct store *s)
{
	*s = (struct store){ .entries.kind = &kind };
}

void store_fini(struct store *s)
{
	struct store_entry *e;

	for (uint32_t at = 0; (e = store_next(s, &at));)
		store_remove(s, e);
}

size_t store_count(const struct store *s)
{
	return s->entries.n;
}

struct store_entry *store_find(const struct store *s, const char *namespace, const char *name)
{
	char key[STORE_KEY_MAX];
	size_t size = make_key(key, namespace, name);

	return size ? table_find(&s->entries, key, size) : NULL;
}

struct store_entry *store_add(struct store *s, const char *namespace, const char *name,
                              const char *uid)
{
	char key[STORE_KEY_MAX];
	size_t size = make_key(key, namespace, name), uid_size = strlen(uid) + 1;

	if (!size || uid_size > STORE_KEY_MAX)
		return NULL;
	struct store_entry *e = xcalloc(1, sizeof(*e) + size + 1 + uid_size);
	memcpy(e->text, key, size);
	memcpy(e->text + size + 1, uid, uid_size);
	e->name_at = (uint16_t)(strlen(namespace) + 1);
	e->uid_at = (uint16_t)(size + 1);
	table_add(&s->entries, e);
	return e;
}

void store_remove(struct store *s, struct store_entry *entry)
{
	table_remove(&s->entries, entry);
	free(entry);
}

struct store_entry *store_next(const struct store *s, uint32_t *at)
{
	return table_next(&s->entries, at);
}
