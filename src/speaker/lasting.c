/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "speaker/lasting.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/hash.h"
#include "fairlead/mem.h"

struct lasting_state {
	int64_t since_ms, seen_ms;
	bool told;
	UT_hash_handle hh;
	_Alignas(max_align_t) unsigned char key[];
};

struct lasting {
	struct lasting_state *states;
};

struct lasting *lasting_new(void)
{
	return xcalloc(1, sizeof(struct lasting));
}

static void drop(struct lasting *l, struct lasting_state *s)
{
	HASH_DEL(l->states, s);
	free(s);
}

void lasting_free(struct lasting *l)
{
	struct lasting_state *s, *next;

	if (!l)
		return;
	HASH_ITER(hh, l->states, s, next)
		drop(l, s);
	free(l);
}

struct lasting_state *lasting_see(struct lasting *l, const void *key, size_t size, int64_t now_ms)
{
	struct lasting_state *s;

	HASH_FIND(hh, l->states, key, size, s);
	if (!s) {
		s = xcalloc(1, sizeof(*s) + size);
		memcpy(s->key, key, size);
		s->since_ms = now_ms;
		HASH_ADD_KEYPTR(hh, l->states, s->key, size, s);
	}
	s->seen_ms = now_ms;
	return s;
}

bool lasting_is_due(struct lasting_state *s, int64_t lasts_ms, struct budget *budget,
                    int64_t now_ms)
{
	if (s->told || now_ms - s->since_ms < lasts_ms || !budget_take(budget, now_ms))
		return false;
	s->told = true;
	return true;
}

void lasting_forget(struct lasting *l, int64_t untold_ms, int64_t told_ms, int64_t now_ms,
                    void (*over)(const void *key, void *arg), void *arg)
{
	struct lasting_state *s, *next;

	HASH_ITER(hh, l->states, s, next) {
		if (s->seen_ms == now_ms || now_ms - s->seen_ms < (s->told ? told_ms : untold_ms))
			continue;
		if (s->told && over)
			over(s->key, arg);
		drop(l, s);
	}
}
