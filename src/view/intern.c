/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "view/intern.h"

#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/hash.h"
#include "fairlead/labels.h"
#include "fairlead/mem.h"

struct intern {
	UT_hash_handle hh;
	unsigned int refs;
	alignas(max_align_t) char data[];
};

const void *intern_get_bytes(struct intern **table, const void *data, size_t size)
{
	struct intern *i;

	HASH_FIND(hh, *table, data, size, i);
	if (!i) {
		i = xcalloc(1, sizeof(*i) + size);
		memcpy(i->data, data, size);
		HASH_ADD_KEYPTR(hh, *table, i->data, size, i);
	}
	i->refs++;
	return i->data;
}

void intern_drop_bytes(struct intern **table, const void *data, size_t size)
{
	struct intern *i;

	HASH_FIND(hh, *table, data, size, i);
	if (!i || --i->refs)
		return;
	HASH_DEL(*table, i);
	free(i);
}

const char *intern_get(struct intern **table, const char *s)
{
	return s ? intern_get_bytes(table, s, strlen(s) + 1) : NULL;
}

void intern_drop(struct intern **table, const char *s)
{
	if (s)
		intern_drop_bytes(table, s, strlen(s) + 1);
}

struct labels intern_labels(struct intern **table, const struct labels *l)
{
	struct labels copy = { .n = l->n };

	if (l->n)
		copy.kvs = xcalloc(l->n, sizeof(*copy.kvs));
	for (size_t i = 0; i < l->n; i++)
		copy.kvs[i] = (struct label){ .key = (char *)intern_get(table, l->kvs[i].key),
			                      .value = (char *)intern_get(table, l->kvs[i].value) };
	return copy;
}

void intern_drop_labels(struct intern **table, struct labels *l)
{
	for (size_t i = 0; i < l->n; i++) {
		intern_drop(table, l->kvs[i].key);
		intern_drop(table, l->kvs[i].value);
	}
	free(l->kvs);
	*l = (struct labels){ 0 };
}
