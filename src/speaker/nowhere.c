/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "speaker/nowhere.h"

#include <string.h>

#include "fairlead/mem.h"

/* States are known by address and Service. */
struct key {
	struct addr addr;
	uint8_t uid[VIEW_UID_SIZE];
	char service[];
};

/* A look in progress. */
struct look {
	struct lasting *known;
	const struct announce *table;
	int64_t now_ms;
	struct budget *budget; /* NULL: another speaker reports */
	nowhere_tell *tell;
	void *arg;
};

bool nowhere_is_ours_to_tell(const struct view *v)
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
	size_t size = sizeof(struct key) + strlen(a->key) + 1;

	if (a->nowhere == REASON_Candidate)
		return;
	cleanup_free struct key *key = xcalloc(1, size);
	key->addr = a->addr;
	memcpy(key->uid, a->uid, sizeof(key->uid));
	memcpy(key->service, a->key, size - sizeof(*key));
	struct lasting_state *s = lasting_see(l->known, key, size, l->now_ms);
	if (l->budget && lasting_is_due(s, NOWHERE_LASTS_MS, l->budget, l->now_ms))
		l->tell(a, l->arg);
}

/* If the Service still has the address, some node may announce it now. */
static void over(const void *state, void *arg)
{
	const struct key *key = state;
	const struct look *l = arg;
	const struct announcement *a = announce_of(l->table, key->service);

	while (a && (!addr_eq(&a->addr, &key->addr) || memcmp(a->uid, key->uid, sizeof(a->uid))))
		a = a->next;
	if (a)
		l->tell(a, l->arg);
}

void nowhere_look(struct lasting *known, const struct view *v, const struct announce *t,
                  struct budget *budget, int64_t now_ms, nowhere_tell *tell, void *arg)
{
	struct look l = { .known = known,
		          .table = t,
		          .now_ms = now_ms,
		          .budget = nowhere_is_ours_to_tell(v) ? budget : NULL,
		          .tell = tell,
		          .arg = arg };

	if (announce_n_nowhere(t))
		announce_each(t, look_at, &l);
	lasting_forget(known, 0, 0, now_ms, over, &l);
}
