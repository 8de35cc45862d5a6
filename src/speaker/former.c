/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "speaker/former.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

struct row {
	struct addr addr;
	unsigned int interface;
	char node[64];
	struct addr gateway; /* of a way that was adopted, as long as nobody has it */
	int64_t until_ms;    /* 0: that node owns it */
};

struct former {
	struct row *rows; /* by address */
	size_t n;
	struct relay_way *ways;
	size_t n_ways;
	struct relay_node *nodes;
	size_t n_nodes;
};

struct former *former_new(void)
{
	return xcalloc(1, sizeof(struct former));
}

void former_free(struct former *f)
{
	if (!f)
		return;
	free(f->rows);
	free(f->ways);
	free(f->nodes);
	free(f);
}

void former_adopt(struct former *f, int64_t now, const struct relay_way *ways, size_t n)
{
	f->rows = xreallocarray(f->rows, n + 1, sizeof(*f->rows));
	f->n = n;
	for (size_t i = 0; i < n; i++)
		f->rows[i] = (struct row){ .addr = ways[i].addr,
			                   .interface = ways[i].interface,
			                   .gateway = ways[i].gateway,
			                   .until_ms = now + FORMER_GRACE_MS };
}

/* ---- who is there ---- */

static bool holds(const struct l2_peer *p)
{
	return p->alive || p->restarting;
}

static int by_place(const void *a, const void *b)
{
	const struct l2_peer *const *x = a, *const *y = b;
	int r = strcmp((*x)->node, (*y)->node);

	return r ? r : strcmp((*x)->interface, (*y)->interface);
}

/* Those that hold, for look-ups; free it. */
struct directory {
	const struct l2_peer **peers;
	size_t n;
	const struct former_news *news;
};

static struct directory directory_of(const struct former_news *news)
{
	struct directory d = { .peers = xcalloc(news->n_peers + 1, sizeof(*d.peers)),
		               .news = news };

	for (size_t i = 0; i < news->n_peers; i++)
		if (holds(&news->peers[i]))
			d.peers[d.n++] = &news->peers[i];
	if (d.n > 0)
		qsort(d.peers, d.n, sizeof(*d.peers), by_place);
	return d;
}

static const char *name_of(const struct directory *d, unsigned int interface)
{
	for (size_t i = 0; i < d->news->n_segments; i++)
		if (d->news->segments[i].index == interface)
			return d->news->segments[i].interface;
	return NULL;
}

static unsigned int index_of(const struct directory *d, const char *interface)
{
	for (size_t i = 0; i < d->news->n_segments; i++)
		if (!strcmp(d->news->segments[i].interface, interface))
			return d->news->segments[i].index;
	return 0;
}

static const struct addr *gateway_of(const struct l2_peer *p, uint8_t family)
{
	return family == 4 ? &p->own4 : &p->own6;
}

/* NULL: it is not there. */
static const struct l2_peer *find_peer(const struct directory *d, const char *node,
                                       const char *interface)
{
	struct l2_peer key = { .node = "" };

	const struct l2_peer *const at = &key, **found;

	if (d->n == 0)
		return NULL;
	memcpy(key.node, node, strnlen(node, sizeof(key.node) - 1));
	memcpy(key.interface, interface, strnlen(interface, sizeof(key.interface) - 1));
	found = bsearch(&at, d->peers, d->n, sizeof(*d->peers), by_place);
	return found ? *found : NULL;
}

/* Which node has the address that an adopted way leads to. */
static void find_node(struct row *row, const struct directory *d)
{
	for (size_t i = 0; !row->node[0] && i < d->n; i++)
		if (addr_eq(gateway_of(d->peers[i], row->addr.family), &row->gateway))
			memcpy(row->node, d->peers[i]->node, sizeof(row->node));
}

/* ---- rows ---- */

/* What becomes of the row of one address; @row is zero if there was none.  False: nothing. */
static bool follow(struct row *row, int64_t now, const struct l2_state *s,
                   const struct directory *d)
{
	unsigned int interface = index_of(d, s->interface);

	if (interface == 0)
		return false;
	if (row->interface != interface)
		*row = (struct row){ .addr = s->addr, .interface = interface };
	if (s->ownership == L2_OTHER && *s->owner) {
		memcpy(row->node, s->owner, sizeof(row->node));
		row->until_ms = 0;
		return find_peer(d, row->node, s->interface);
	}
	find_node(row, d);
	if (row->until_ms == 0)
		row->until_ms = now + FORMER_GRACE_MS;
	if (!row->node[0])
		return row->gateway.family && now < row->until_ms;
	return now < row->until_ms && find_peer(d, row->node, s->interface);
}

static void follow_all(struct former *f, int64_t now, const struct directory *d)
{
	struct row *fresh = xcalloc(d->news->n_states + 1, sizeof(*fresh));
	size_t n = 0, old = 0;

	for (size_t i = 0; i < d->news->n_states; i++) {
		const struct l2_state *s = &d->news->states[i];
		while (old < f->n && addr_cmp(&f->rows[old].addr, &s->addr) < 0)
			old++;
		bool known = old < f->n && addr_eq(&f->rows[old].addr, &s->addr);
		fresh[n] = known ? f->rows[old] : (struct row){ .addr = s->addr };
		n += follow(&fresh[n], now, s, d);
	}
	free(f->rows);
	f->rows = fresh;
	f->n = n;
}

static void list_ways(struct former *f, const struct directory *d)
{
	f->ways = xreallocarray(f->ways, f->n + 1, sizeof(*f->ways));
	f->n_ways = 0;
	for (size_t i = 0; i < f->n; i++) {
		const struct row *row = &f->rows[i];
		const char *interface = name_of(d, row->interface);
		const struct l2_peer *p = find_peer(d, row->node, interface ? interface : "");
		struct addr gateway = p ? *gateway_of(p, row->addr.family) : row->gateway;
		if (gateway.family)
			f->ways[f->n_ways++] =
				(struct relay_way){ row->addr, row->interface, gateway };
	}
}

static int node_cmp(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct relay_node));
}

/* Also of those that are silent: what comes from them does. */
static void list_nodes(struct former *f, const struct former_news *news)
{
	f->nodes = xreallocarray(f->nodes, news->n_peers + 1, sizeof(*f->nodes));
	f->n_nodes = 0;
	for (size_t i = 0; i < news->n_peers; i++)
		memcpy(f->nodes[i].mac, news->peers[i].mac, sizeof(f->nodes[i].mac));
	if (news->n_peers > 0)
		qsort(f->nodes, news->n_peers, sizeof(*f->nodes), node_cmp);
	for (size_t i = 0; i < news->n_peers; i++)
		if (f->n_nodes == 0 || node_cmp(&f->nodes[i], &f->nodes[f->n_nodes - 1]) != 0)
			f->nodes[f->n_nodes++] = f->nodes[i];
}

void former_update(struct former *f, int64_t now, const struct former_news *news)
{
	struct directory d = directory_of(news);

	follow_all(f, now, &d);
	list_ways(f, &d);
	list_nodes(f, news);
	free(d.peers);
}

/* ---- what follows ---- */

const struct relay_way *former_ways(const struct former *f, size_t *ret_n)
{
	*ret_n = f->n_ways;
	return f->ways;
}

const struct relay_node *former_nodes(const struct former *f, size_t *ret_n)
{
	*ret_n = f->n_nodes;
	return f->nodes;
}

bool former_next(const struct former *f, size_t *at, struct former_address *ret)
{
	while (*at < f->n && f->rows[*at].until_ms == 0)
		++*at;
	if (*at >= f->n)
		return false;
	const struct row *row = &f->rows[(*at)++];
	*ret = (struct former_address){ row->addr, row->node, row->until_ms };
	return true;
}
