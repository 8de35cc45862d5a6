/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/conntrack.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/hash.h"
#include "proxy/traffic.h"

/* Bytes only, so that equal keys are equal memory. */
struct endpoint_key {
	struct addr addr; /* none: any address of the node, a node port */
	uint8_t port[2];
};

/* Where clients send to, and who may answer. */
struct front {
	UT_hash_handle hh;
	struct endpoint_key key;
	struct endpoint_key *back;
	size_t n_back, cap_back;
	bool sorted;
};

struct local_addr {
	UT_hash_handle hh;
	struct addr addr;
};

struct conntrack_job {
	uint8_t family;
	struct front *fronts;
	struct local_addr *locals;
	bool has_node, localhost;
	struct proxy_node node;
	uint32_t refusal;
};

struct conntrack_job *conntrack_job_new(uint8_t family)
{
	struct conntrack_job *j = xcalloc(1, sizeof(*j));

	j->family = family;
	return j;
}

void conntrack_job_free(struct conntrack_job *j)
{
	struct front *f, *next;
	struct local_addr *l, *next_local;

	if (!j)
		return;
	HASH_ITER(hh, j->fronts, f, next) {
		HASH_DEL(j->fronts, f);
		free(f->back);
		free(f);
	}
	HASH_ITER(hh, j->locals, l, next_local) {
		HASH_DEL(j->locals, l);
		free(l);
	}
	free(j);
}

static struct endpoint_key make_key(const struct addr *a, uint16_t port)
{
	struct endpoint_key k = { .port = { (uint8_t)(port >> 8), (uint8_t)port } };

	if (a)
		k.addr = *a;
	return k;
}

static int by_key(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct endpoint_key));
}

static struct front *find_front(const struct conntrack_job *j, const struct addr *a, uint16_t port)
{
	struct endpoint_key k = make_key(a, port);
	struct front *f;

	HASH_FIND(hh, j->fronts, &k, sizeof(k), f);
	return f;
}

static void touch_key(struct conntrack_job *j, const struct endpoint_key *k)
{
	struct front *f;

	HASH_FIND(hh, j->fronts, k, sizeof(*k), f);
	if (f)
		return;
	f = xcalloc(1, sizeof(*f));
	f->key = *k;
	HASH_ADD(hh, j->fronts, key, sizeof(f->key), f);
}

void conntrack_job_touch_front(struct conntrack_job *j, const struct addr *a, uint16_t port)
{
	struct endpoint_key k = make_key(a, port);

	touch_key(j, &k);
}

void conntrack_job_touch_all(struct conntrack_job *j, const struct conntrack_job *from)
{
	for (const struct front *f = from->fronts; f; f = f->hh.next)
		touch_key(j, &f->key);
}

/* Calls @fn for each address by which clients reach the port. */
static void each_front(struct conntrack_job *j, const struct proxy_half *s,
                       const struct proxy_port *p,
                       void (*fn)(struct conntrack_job *j, const struct addr *a, uint16_t port,
                                  const struct proxy_port *p))
{
	const struct proxy_outside *o = proxy_outside(s);

	if (!addr_is_none(&s->cluster_ip))
		fn(j, &s->cluster_ip, p->port, p);
	for (size_t v = 0; v < o->n_vips; v++)
		fn(j, &o->vips[v], p->port, p);
	for (size_t v = 0; v < o->n_external_ips; v++)
		fn(j, &o->external_ips[v], p->port, p);
	if (p->node_port)
		fn(j, NULL, p->node_port, p);
}

static void touch(struct conntrack_job *j, const struct addr *a, uint16_t port,
                  const struct proxy_port *p)
{
	(void)p;
	conntrack_job_touch_front(j, a, port);
}

void conntrack_job_touch(struct conntrack_job *j, const struct proxy_half *s)
{
	for (size_t i = 0; i < s->n_ports; i++)
		if (s->ports[i].proto == IPPROTO_UDP)
			each_front(j, s, &s->ports[i], touch);
}

void conntrack_job_touch_node_ports(struct conntrack_job *j, const struct proxy_half *s)
{
	for (size_t i = 0; i < s->n_ports; i++)
		if (s->ports[i].proto == IPPROTO_UDP && s->ports[i].node_port)
			conntrack_job_touch_front(j, NULL, s->ports[i].node_port);
}

static void add_back(struct front *f, const struct proxy_endpoint *e, size_t n)
{
	for (size_t i = 0; i < n; i++)
		f->back[f->n_back++] = make_key(&e[i].addr, e[i].port);
}

static void allow(struct conntrack_job *j, const struct addr *a, uint16_t port,
                  const struct proxy_port *p)
{
	struct front *f = find_front(j, a, port);
	size_t n = p->n_cluster + p->n_local + p->n_kept;

	if (!f || n == 0)
		return;
	ARRAY_RESERVE(f->back, f->cap_back, f->n_back + n);
	add_back(f, p->cluster, p->n_cluster);
	add_back(f, p->local, p->n_local);
	add_back(f, p->kept, p->n_kept);
	f->sorted = false;
}

void conntrack_job_allow(struct conntrack_job *j, const struct proxy_half *s)
{
	for (size_t i = 0; i < s->n_ports; i++)
		if (s->ports[i].proto == IPPROTO_UDP)
			each_front(j, s, &s->ports[i], allow);
}

void conntrack_job_set_node(struct conntrack_job *j, const struct proxy_node *n, bool localhost)
{
	j->node = *n;
	j->localhost = localhost;
	j->has_node = true;
}

void conntrack_job_add_local(struct conntrack_job *j, const struct addr *a)
{
	struct local_addr *l;

	HASH_FIND(hh, j->locals, a, sizeof(*a), l);
	if (l)
		return;
	l = xcalloc(1, sizeof(*l));
	l->addr = *a;
	HASH_ADD(hh, j->locals, addr, sizeof(l->addr), l);
}

void conntrack_job_refuse(struct conntrack_job *j, uint32_t mark)
{
	j->refusal = mark;
}

uint32_t conntrack_refusal(uint32_t tag)
{
	return 0x464c0000 & ~(tag << 1 | tag | tag >> 1);
}

uint32_t conntrack_job_refusal(const struct conntrack_job *j)
{
	return j->refusal;
}

uint8_t conntrack_job_family(const struct conntrack_job *j)
{
	return j->family;
}

bool conntrack_job_is_empty(const struct conntrack_job *j)
{
	return !j->fronts;
}

static bool is_local(const struct conntrack_job *j, const struct addr *a)
{
	struct local_addr *l;

	HASH_FIND(hh, j->locals, a, sizeof(*a), l);
	return l;
}

bool conntrack_job_is_here(const struct conntrack_job *j, const struct addr *from,
                           const struct addr *to)
{
	return is_local(j, from) || is_local(j, to);
}

/* Whoever sends there: only the node itself has any use for a loopback address. */
static bool has_node_ports(const struct conntrack_job *j, const struct addr *a)
{
	const struct proxy_options o = { .localhost_node_ports = j->localhost };

	return !j->has_node || traffic_has_node_ports(&o, &j->node, TRAFFIC_NODE, a);
}

static bool is_translated(const struct addr *to, uint16_t to_port, const struct addr *from,
                          uint16_t from_port)
{
	return to_port != from_port || !addr_eq(to, from);
}

/* What is not translated is answered by whoever has the address. */
static enum conntrack_fate deserted(const struct addr *to, uint16_t to_port,
                                    const struct addr *from, uint16_t from_port,
                                    enum conntrack_fate else_fate)
{
	return is_translated(to, to_port, from, from_port) ? CONNTRACK_DESERTED : else_fate;
}

enum conntrack_fate conntrack_judge(struct conntrack_job *j, const struct addr *to,
                                    uint16_t to_port, const struct addr *from, uint16_t from_port)
{
	struct front *f = find_front(j, to, to_port);

	/*
	 * A flow through this node to another machine may use the number of a node port, and is
	 * none of our business.
	 */
	if (!f && is_local(j, to)) {
		f = find_front(j, NULL, to_port);
		if (f && !has_node_ports(j, to))
			return deserted(to, to_port, from, from_port, CONNTRACK_OTHER);
	}
	if (!f)
		return CONNTRACK_OTHER;
	if (!f->n_back)
		return deserted(to, to_port, from, from_port, CONNTRACK_STALE);
	if (!f->sorted)
		qsort(f->back, f->n_back, sizeof(*f->back), by_key);
	f->sorted = true;
	struct endpoint_key answer = make_key(from, from_port);
	return bsearch(&answer, f->back, f->n_back, sizeof(*f->back), by_key) ? CONNTRACK_RIGHT
	                                                                      : CONNTRACK_STALE;
}

bool conntrack_is_stale(struct conntrack_job *j, const struct addr *to, uint16_t to_port,
                        const struct addr *from, uint16_t from_port)
{
	return conntrack_judge(j, to, to_port, from, from_port) >= CONNTRACK_STALE;
}
