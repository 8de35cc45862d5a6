/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "speaker/nowhere.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/hash.h"
#include "fairlead/mem.h"

struct known {
	struct addr addr;
	uint8_t uid[VIEW_UID_SIZE]; /* of the Service */
	int64_t since_ms, seen_ms;
	bool told;
	UT_hash_handle hh;
};

struct nowhere {
	struct known *list; /* by address and UID */
};

/* A look in progress. */
struct look {
	struct nowhere *n;
	int64_t now_ms;
	struct news *news; /* NULL: another speaker tells */
	nowhere_tell *tell;
	void *arg;
};

struct nowhere *nowhere_new(void)
{
	return xcalloc(1, sizeof(struct nowhere));
}

static void forget(struct nowhere *n, struct known *k)
{
	HASH_DEL(n->list, k);
	free(k);
}

void nowhere_free(struct nowhere *n)
{
	struct known *k, *next;

	if (!n)
		return;
	HASH_ITER(hh, n->list, k, next)
		forget(n, k);
	free(n);
}

/* The first Ready node's; where none is Ready, the first node's. */
static bool is_ours_to_tell(const struct view *v)
{
	size_t n, i = 0;
	const struct view_node *nodes = view_nodes(v, &n);

	while (i < n && !nodes[i].ready)
		i++;
	return n && !strcmp(nodes[i < n ? i : 0].name, view_self(v));
}

static struct known *known_of(const struct look *l, const struct announcement *a)
{
	struct known *k, key = { .addr = a->addr };
	size_t size = sizeof(key.addr) + sizeof(key.uid);

	memcpy(key.uid, a->uid, sizeof(key.uid));
	HASH_FIND(hh, l->n->list, &key.addr, size, k);
	if (!k) {
		k = xmemdup(&key, sizeof(key));
		k->since_ms = l->now_ms;
		HASH_ADD_KEYPTR(hh, l->n->list, &k->addr, size, k);
	}
	return k;
}

static void look_at(const struct announcement *a, void *arg)
{
	const struct look *l = arg;

	if (a->nowhere == REASON_Candidate)
		return;
	struct known *k = known_of(l, a);
	k->seen_ms = l->now_ms;
	if (!l->news || k->told || l->now_ms - k->since_ms < NOWHERE_LASTS_MS ||
	    !news_allow(l->news, l->now_ms))
		return;
	k->told = true;
	l->tell(a, l->arg);
}

void nowhere_look(struct nowhere *n, const struct view *v, const struct announce *t, int64_t now_ms,
                  struct news *news, nowhere_tell *tell, void *arg)
{
	struct look l = { .n = n,
		          .now_ms = now_ms,
		          .news = is_ours_to_tell(v) ? news : NULL,
		          .tell = tell,
		          .arg = arg };
	struct known *k, *next;

	if (announce_n_nowhere(t))
		announce_each(t, look_at, &l);
	HASH_ITER(hh, n->list, k, next)
		if (k->seen_ms != now_ms)
			forget(n, k);
}
