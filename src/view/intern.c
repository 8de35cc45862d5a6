/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "view/intern.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/hash.h"
#include "fairlead/labels.h"
#include "fairlead/mem.h"

struct intern {
	UT_hash_handle hh;
	unsigned int refs;
	char text[];
};

const char *intern_get(struct intern **table, const char *s)
{
	struct intern *i;

	if (!s)
		return NULL;
	size_t len = strlen(s);
	HASH_FIND(hh, *table, s, len, i);
	if (!i) {
		i = xcalloc(1, sizeof(*i) + len + 1);
		memcpy(i->text, s, len + 1);
		HASH_ADD_KEYPTR(hh, *table, i->text, len, i);
	}
	i->refs++;
	return i->text;
}

void intern_drop(struct intern **table, const char *s)
{
	struct intern *i;

	if (!s)
		return;
	HASH_FIND(hh, *table, s, strlen(s), i);
	if (!i || --i->refs)
		return;
	HASH_DEL(*table, i);
	free(i);
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
