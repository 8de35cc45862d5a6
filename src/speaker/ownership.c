/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "speaker/ownership.h"

#include <string.h>

#include "fairlead/mem.h"

struct ownership {
	struct ownership_change first[OWNERSHIP_EACH_MAX];
	size_t n;         /* including those for which there is no room */
	int64_t since_ms; /* of the first */
};

struct ownership *ownership_new(void)
{
	return xcalloc(1, sizeof(struct ownership));
}

static void clear(struct ownership *o)
{
	for (size_t i = 0; i < o->n && i < OWNERSHIP_EACH_MAX; i++) {
		free(o->first[i].key);
		free(o->first[i].from);
	}
	o->n = 0;
}

void ownership_free(struct ownership *o)
{
	if (!o)
		return;
	clear(o);
	free(o);
}

void ownership_add(struct ownership *o, const struct announcement *a, const char *from,
                   int64_t now_ms)
{
	if (!o->n)
		o->since_ms = now_ms;
	if (o->n < OWNERSHIP_EACH_MAX) {
		struct ownership_change *c = &o->first[o->n];
		*c = (struct ownership_change){ .key = xstrdup(a->key),
			                        .addr = a->addr,
			                        .from = xstrdup(from),
			                        .cause = a->cause };
		memcpy(c->uid, a->uid, sizeof(c->uid));
	}
	o->n++;
}

void ownership_look(struct ownership *o, struct budget *budget, int64_t now_ms,
                    ownership_tell *tell, void *arg)
{
	if (!o->n || now_ms - o->since_ms < OWNERSHIP_COLLECT_MS || !budget_take(budget, now_ms))
		return;
	tell(o->first, o->n, arg);
	clear(o);
}
