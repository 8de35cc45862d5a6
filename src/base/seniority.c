/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/seniority.h"

#include <string.h>

struct seniority seniority_of(int64_t creation_us, const char *key)
{
	const char *slash = strchr(key, '/');

	return (struct seniority){ .creation_us = creation_us,
		                   .namespace = key,
		                   .name = slash ? slash + 1 : "" };
}

/* As if each ended at its slash: "a" comes before "a-b". */
static int namespace_cmp(const char *a, const char *b)
{
	size_t na = strcspn(a, "/"), nb = strcspn(b, "/");
	int c = memcmp(a, b, na < nb ? na : nb);

	return c ? c : (na > nb) - (na < nb);
}

int seniority_cmp(const struct seniority *a, const struct seniority *b)
{
	if (a->creation_us != b->creation_us) {
		if (a->creation_us == 0 || b->creation_us == 0)
			return a->creation_us == 0 ? 1 : -1;
		return a->creation_us < b->creation_us ? -1 : 1;
	}
	int c = namespace_cmp(a->namespace, b->namespace);
	return c ? c : strcmp(a->name, b->name);
}
