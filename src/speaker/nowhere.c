/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "speaker/nowhere.h"

#include <string.h>

/* What is known goes by address and Service. */
struct key {
	struct addr addr;
	uint8_t uid[VIEW_UID_SIZE];
};

/* A look in progress. */
struct look {
	struct lasting *known;
	int64_t now_ms;
	struct budget *budget; /* NULL: another speaker tells */
	nowhere_tell *tell;
	void *arg;
};

/* The first Ready node's; where none is Ready, the first node's. */
static bool is_ours_to_tell(const struct view *v)
{
	size_t n, i = 0;
	const struct view_node *nodes = view_nodes(v, &n);

	while (i < n && !nodes[i].ready)
		i++;
	return n && !strcmp(nodes[i < n ? i : 0].name, view_self(v));
}

static void look_at(const struct announcement *a, void *arg)
{
	const struct look *l = arg;
	struct key key;

	if (a->nowhere == REASON_Candidate)
		return;
	memset(&key, 0, sizeof(key));
	key.addr = a->addr;
	memcpy(key.uid, a->uid, sizeof(key.uid));
	struct lasting_state *s = lasting_see(l->known, &key, sizeof(key), l->now_ms);
	if (l->budget && lasting_is_due(s, NOWHERE_LASTS_MS, l->budget, l->now_ms))
		l->tell(a, l->arg);
}

void nowhere_look(struct lasting *known, const struct view *v, const struct announce *t,
                  struct budget *budget, int64_t now_ms, nowhere_tell *tell, void *arg)
{
	struct look l = { .known = known,
		          .now_ms = now_ms,
		          .budget = is_ours_to_tell(v) ? budget : NULL,
		          .tell = tell,
		          .arg = arg };

	if (announce_n_nowhere(t))
		announce_each(t, look_at, &l);
	lasting_forget(known, 0, 0, now_ms, NULL);
}
