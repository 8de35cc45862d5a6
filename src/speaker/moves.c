/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "speaker/moves.h"

#include <stdlib.h>

#include "fairlead/addr.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"
#include "fairlead/reason.h"
#include "speaker/announcement.h"

struct move {
	char *key, *from;
	struct addr addr;
	enum reason cause;
	int64_t at_ms, took_ms;
};

struct moves {
	struct move last[MOVES_KEPT]; /* a ring */
	size_t n;                     /* ever */
	struct histogram seconds;
};

struct moves *moves_new(void)
{
	return xcalloc(1, sizeof(struct moves));
}

static void move_fini(struct move *m)
{
	free(m->key);
	free(m->from);
}

void moves_free(struct moves *m)
{
	for (size_t i = 0; m && i < MOVES_KEPT; i++)
		move_fini(&m->last[i]);
	free(m);
}

void moves_add(struct moves *m, const struct announcement *a, const char *from)
{
	struct move *at = &m->last[m->n++ % MOVES_KEPT];

	move_fini(at);
	*at = (struct move){ .key = xstrdup(a->key),
		             .from = xstrdup(from),
		             .addr = a->addr,
		             .cause = a->cause,
		             .at_ms = a->since_ms,
		             .took_ms = a->took_ms };
	if (a->took_ms >= 0)
		histogram_observe(&m->seconds, (double)a->took_ms / 1e3);
}

void moves_put(const struct moves *m, int64_t now_ms, struct out *o)
{
	size_t n = m->n < MOVES_KEPT ? m->n : MOVES_KEPT;

	out_list(o, "moves");
	for (size_t i = 1; i <= n; i++) {
		const struct move *move = &m->last[(m->n - i) % MOVES_KEPT];
		out_object(o, NULL);
		out_addr(o, "address", &move->addr);
		out_str(o, "service", move->key);
		out_str(o, "from", move->from);
		out_str(o, "cause", move->cause == REASON_COUNT ? NULL : reason_name(move->cause));
		out_int(o, "took_ms", move->took_ms);
		out_int(o, "ago_ms", now_ms - move->at_ms);
		out_close(o);
	}
	out_close(o);
}

const struct histogram *moves_histogram(const struct moves *m)
{
	return &m->seconds;
}
