/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/conntrack.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/hash.h"
#include "proxy/traffic.h"

/* Where clients send to, and who may answer. */
struct front {
	UT_hash_handle hh;
	struct front_key key;
	struct front_key *back;
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

static int by_key(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct front_key));
}

static struct front *find_front(const struct conntrack_job *j, const struct front_key *k)
{
	struct front *f;

	HASH_FIND(hh, j->fronts, k, sizeof(*k), f);
	return f;
}

void conntrack_job_touch_front(struct conntrack_job *j, const struct front_key *k)
{
	struct front *f = find_front(j, k);

	if (f)
		return;
	f = xcalloc(1, sizeof(*f));
	f->key = *k;
	HASH_ADD(hh, j->fronts, key, sizeof(f->key), f);
}

void conntrack_job_touch_all(struct conntrack_job *j, const struct conntrack_job *from)
{
	for (const struct front *f = from->fronts; f; f = f->hh.next)
		conntrack_job_touch_front(j, &f->key);
}

static void touch(const struct front_key *k, const struct proxy_port *p, void *arg)
{
	(void)p;
	conntrack_job_touch_front(arg, k);
}

void conntrack_job_touch(struct conntrack_job *j, const struct proxy_half *s)
{
	front_each_of(s, touch, j);
}

static void add_back(struct front *f, const struct proxy_endpoint *e, size_t n)
{
	for (size_t i = 0; i < n; i++)
		f->back[f->n_back++] = front_key(&e[i].addr, e[i].port);
}

void conntrack_job_allow_port(struct conntrack_job *j, const struct front_key *k,
                              const struct proxy_port *p)
{
	struct front *f = find_front(j, k);
	size_t n = p->n_cluster + p->n_local + p->n_kept;

	if (!f || n == 0)
		return;
	ARRAY_RESERVE(f->back, f->cap_back, f->n_back + n);
	add_back(f, p->cluster, p->n_cluster);
	add_back(f, p->local, p->n_local);
	add_back(f, p->kept, p->n_kept);
	f->sorted = false;
}

static void allow(const struct front_key *k, const struct proxy_port *p, void *arg)
{
	conntrack_job_allow_port(arg, k, p);
}

void conntrack_job_allow(struct conntrack_job *j, const struct proxy_half *s)
{
	front_each_of(s, allow, j);
}

void conntrack_job_each_front(const struct conntrack_job *j,
                              void (*fn)(const struct front_key *k, void *arg), void *arg)
{
	for (const struct front *f = j->fronts; f; f = f->hh.next)
		fn(&f->key, arg);
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
	const struct front_key at = front_key(to, to_port), of_node = front_key(NULL, to_port);
	struct front *f = find_front(j, &at);

	/*
	 * A flow through this node to another machine may use the number of a node port, and is
	 * none of our business.
	 */
	if (!f && is_local(j, to)) {
		f = find_front(j, &of_node);
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
	struct front_key answer = front_key(from, from_port);
	return bsearch(&answer, f->back, f->n_back, sizeof(*f->back), by_key) ? CONNTRACK_RIGHT
	                                                                      : CONNTRACK_STALE;
}

bool conntrack_is_stale(struct conntrack_job *j, const struct addr *to, uint16_t to_port,
                        const struct addr *from, uint16_t from_port)
{
	return conntrack_judge(j, to, to_port, from, from_port) >= CONNTRACK_STALE;
}
