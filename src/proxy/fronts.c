/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nearly every front is one Service's, in one state or two.  Where many name the same external IP,
 * a change among them costs a search by halves and a move of memory.
 */
#include "config.h"

#include "proxy/fronts.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "fairlead/table.h"

struct holder {
	const struct proxy_port *port;
	size_t refs;
};

struct front {
	struct table_link link;
	struct front_key key;
	struct holder *holders; /* by where their ports are in memory */
	size_t n, cap;
};

struct fronts {
	struct table table;
};

/* ---- keys ---- */

struct front_key front_key(const struct addr *a, uint16_t port)
{
	struct front_key k = { .port = { (uint8_t)(port >> 8), (uint8_t)port } };

	if (a)
		k.addr = *a;
	return k;
}

static void at(const struct addr *a, uint16_t port, const struct proxy_port *p, front_fn *fn,
               void *arg)
{
	const struct front_key k = front_key(a, port);

	fn(&k, p, arg);
}

static void each_of_port(const struct proxy_half *s, const struct proxy_port *p, front_fn *fn,
                         void *arg)
{
	const struct proxy_outside *o = proxy_outside(s);

	if (!addr_is_none(&s->cluster_ip))
		at(&s->cluster_ip, p->port, p, fn, arg);
	for (size_t i = 0; i < o->n_vips; i++)
		at(&o->vips[i], p->port, p, fn, arg);
	for (size_t i = 0; i < o->n_external_ips; i++)
		at(&o->external_ips[i], p->port, p, fn, arg);
	if (p->node_port)
		at(NULL, p->node_port, p, fn, arg);
}

void front_each_of(const struct proxy_half *s, front_fn *fn, void *arg)
{
	for (size_t i = 0; i < s->n_ports; i++)
		if (s->ports[i].proto == IPPROTO_UDP)
			each_of_port(s, &s->ports[i], fn, arg);
}

/* ---- the index ---- */

static const void *key_of(const void *record, size_t *ret_size)
{
	const struct front *f = record;

	*ret_size = sizeof(f->key);
	return &f->key;
}

static const struct table_kind kind = { .link = offsetof(struct front, link), .key = key_of };

struct fronts *fronts_new(void)
{
	struct fronts *f = xcalloc(1, sizeof(*f));

	f->table.kind = &kind;
	return f;
}

static void drop(struct fronts *f, struct front *front)
{
	table_remove(&f->table, front);
	free(front->holders);
	free(front);
}

void fronts_free(struct fronts *f)
{
	struct front *front;

	if (!f)
		return;
	for (uint32_t i = 0; (front = table_next(&f->table, &i));)
		drop(f, front);
	table_fini(&f->table);
	free(f);
}

/* Where the port is, or would be. */
static size_t place_of(const struct front *front, const struct proxy_port *p)
{
	size_t low = 0, high = front->n;

	while (low < high) {
		size_t mid = (low + high) / 2;
		if ((uintptr_t)front->holders[mid].port < (uintptr_t)p)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void put(const struct front_key *k, const struct proxy_port *p, void *arg)
{
	struct fronts *f = arg;
	struct front *front = table_find(&f->table, k, sizeof(*k));

	if (!front) {
		front = xcalloc(1, sizeof(*front));
		front->key = *k;
		front->cap = 2;
		front->holders = xcalloc(front->cap, sizeof(*front->holders));
		table_add(&f->table, front);
	}
	size_t i = place_of(front, p);
	if (i == front->n || front->holders[i].port != p) {
		ARRAY_RESERVE(front->holders, front->cap, front->n + 1);
		memmove(front->holders + i + 1, front->holders + i,
		        (front->n++ - i) * sizeof(*front->holders));
		front->holders[i] = (struct holder){ .port = p };
	}
	front->holders[i].refs++;
}

static void take_out(const struct front_key *k, const struct proxy_port *p, void *arg)
{
	struct fronts *f = arg;
	struct front *front = table_find(&f->table, k, sizeof(*k));
	size_t i = place_of(front, p);

	if (--front->holders[i].refs > 0)
		return;
	memmove(front->holders + i, front->holders + i + 1,
	        (--front->n - i) * sizeof(*front->holders));
	if (front->n == 0)
		drop(f, front);
}

void fronts_swap(struct fronts *f, const struct proxy_half *before, const struct proxy_half *now)
{
	if (before == now)
		return;
	if (now)
		front_each_of(now, put, f);
	if (before)
		front_each_of(before, take_out, f);
}

void fronts_each_port(const struct fronts *f, const struct front_key *k, front_fn *fn, void *arg)
{
	const struct front *front = table_find(&f->table, k, sizeof(*k));

	for (size_t i = 0; front && i < front->n; i++)
		fn(k, front->holders[i].port, arg);
}

void fronts_each_node_port(const struct fronts *f, void (*fn)(const struct front_key *k, void *arg),
                           void *arg)
{
	const struct front *front;

	for (uint32_t i = 0; (front = table_next(&f->table, &i));)
		if (front_is_node_port(&front->key))
			fn(&front->key, arg);
}
