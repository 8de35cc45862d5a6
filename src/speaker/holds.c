/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "speaker/holds.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

static void drop(struct holds *h, struct hold *one)
{
	HASH_DEL(h->list, one);
	free(one->key);
	free(one);
}

void holds_fini(struct holds *h)
{
	struct hold *one, *next;

	HASH_ITER(hh, h->list, one, next)
		drop(h, one);
}

static struct hold *hold_of(const struct holds *h, const char *key)
{
	struct hold *one;

	HASH_FIND(hh, h->list, key, strlen(key), one);
	return one;
}

void holds_put(struct holds *h, const char *key, uint64_t generation, int64_t until_ms)
{
	struct hold *one = hold_of(h, key);

	if (!one) {
		one = xcalloc(1, sizeof(*one));
		one->key = xstrdup(key);
		one->until_ms = until_ms;
		HASH_ADD_KEYPTR(hh, h->list, one->key, strlen(one->key), one);
	}
	one->generation = generation;
}

bool holds_has(const struct holds *h, const char *key)
{
	return hold_of(h, key) != NULL;
}

void holds_release(struct holds *h, uint64_t withdrawn, int64_t now_ms,
                   void (*go)(const char *key, void *arg), void *arg)
{
	struct hold *one, *next;

	HASH_ITER(hh, h->list, one, next) {
		if (one->generation > withdrawn && now_ms < one->until_ms)
			continue;
		go(one->key, arg);
		drop(h, one);
	}
}
