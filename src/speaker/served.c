/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "speaker/served.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/hash.h"
#include "fairlead/mem.h"

/* The sets of candidate nodes repeat (usually "all of them"), so equal ones are shared. */
struct node_set {
	UT_hash_handle hh;
	unsigned int refs;
	size_t n;
	uint16_t nodes[];
};

struct served {
	struct announcement *list; /* by address */
	struct node_set *sets;
	bool dirty;
	uint64_t revision; /* of the view, at the last snapshot */
};

struct served *served_new(void)
{
	return xcalloc(1, sizeof(struct served));
}

void served_free(struct served *w)
{
	free(w);
}

/* ---- which addresses, and who may own them ---- */

static struct node_set *set_get(struct served *w, const uint16_t *nodes, size_t n)
{
	struct node_set *set;

	HASH_FIND(hh, w->sets, nodes, n * sizeof(*nodes), set);
	if (!set) {
		set = xcalloc(1, sizeof(*set) + n * sizeof(*nodes));
		set->n = n;
		memcpy(set->nodes, nodes, n * sizeof(*nodes));
		HASH_ADD_KEYPTR(hh, w->sets, set->nodes, n * sizeof(*nodes), set);
	}
	set->refs++;
	return set;
}

static void set_drop(struct served *w, struct node_set *set)
{
	if (!set || --set->refs)
		return;
	HASH_DEL(w->sets, set);
	free(set);
}

struct announcement *served_of(const struct served *w, const struct addr *addr)
{
	struct announcement *a;

	HASH_FIND(hh, w->list, addr, sizeof(*addr), a);
	return a;
}

void served_put(struct served *w, struct announcement *a, const uint16_t *nodes, size_t n)
{
	struct node_set *old = a->candidates;

	a->candidates = set_get(w, nodes, n);
	if (!old)
		HASH_ADD(hh, w->list, addr, sizeof(a->addr), a);
	if (a->candidates != old)
		w->dirty = true;
	set_drop(w, old);
}

void served_take_out(struct served *w, struct announcement *a)
{
	HASH_DEL(w->list, a);
	set_drop(w, TAKE(a->candidates));
	w->dirty = true;
}

void served_touch(struct served *w)
{
	w->dirty = true;
}

/* ---- snapshots ---- */

bool served_is_dirty(const struct served *w, const struct view *v)
{
	/* Candidates are indexes: equal ones may stand for other nodes. */
	return w->dirty || w->revision != view_revision(v);
}

static int cmp_wants(const void *a, const void *b)
{
	const struct l2_want *x = a, *y = b;

	return addr_cmp(&x->addr, &y->addr);
}

static size_t add_ranges(struct addr_range *to, const struct addr_range *ranges, size_t n)
{
	if (n)
		memcpy(to, ranges, n * sizeof(*ranges));
	return n;
}

/* The pools of layer 2, and where hand-written external IPs may be. */
static size_t layer2_ranges(const struct configuration *c, struct addr_range **ret_ranges)
{
	size_t n = 0, max = c ? c->n_index + c->n_external_ips_allow : 0;
	struct addr_range *ranges = xcalloc(max + 1, sizeof(*ranges));

	for (size_t i = 0; c && i < c->n_pools; i++) {
		const struct config_pool *p = &c->pools[i];
		if (p->protocols & PROTOCOL_LAYER2)
			n += add_ranges(ranges + n, p->ranges, p->n_ranges);
	}
	if (c)
		n += add_ranges(ranges + n, c->external_ips_allow, c->n_external_ips_allow);
	*ret_ranges = ranges;
	return n;
}

struct l2_timing served_timing(const struct configuration *c)
{
	struct config_layer2_timing t =
		c ? c->layer2_timing : config_failover_timing(FAILOVER_NORMAL);

	return (struct l2_timing){ t.heartbeat_ms, t.multiplier, t.probe_ms };
}

void served_snapshot(struct served *w, const struct view *v, bool view_fresh,
                     struct served_snapshot *ret)
{
	struct served_snapshot s = { .l2.view_fresh = view_fresh };
	const struct view_node *nodes = view_nodes(v, &s.l2.n_nodes);

	s.nodes = xcalloc(s.l2.n_nodes + 1, sizeof(*s.nodes));
	for (size_t i = 0; i < s.l2.n_nodes; i++)
		s.nodes[i] = nodes[i].name;
	s.wants = xcalloc(HASH_COUNT(w->list) + 1, sizeof(*s.wants));
	for (const struct announcement *a = w->list; a; a = a->hh.next) {
		struct l2_want *x = &s.wants[s.l2.n_wants++];
		x->addr = a->addr;
		memcpy(x->identity.id, a->uid, sizeof(x->identity.id));
		x->identity.since_us = a->created_us;
		x->eligible = a->eligible;
		x->candidates = a->candidates->nodes;
		x->n_candidates = a->candidates->n;
	}
	qsort(s.wants, s.l2.n_wants, sizeof(*s.wants), cmp_wants);
	s.l2.n_ranges = layer2_ranges(view_configuration(v), &s.ranges);
	s.l2.timing = served_timing(view_configuration(v));
	s.l2.nodes = s.nodes;
	s.l2.wants = s.wants;
	s.l2.ranges = s.ranges;
	w->dirty = false;
	w->revision = view_revision(v);
	*ret = s;
}

void served_snapshot_fini(struct served_snapshot *s)
{
	free(s->nodes);
	free(s->wants);
	free(s->ranges);
	*s = (struct served_snapshot){ 0 };
}
