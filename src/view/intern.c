/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "view/intern.h"

#include <stddef.h>
#include <string.h>

#include "fairlead/hash.h"
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
