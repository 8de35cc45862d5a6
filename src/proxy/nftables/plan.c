/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/nftables/plan.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include "fairlead/buf.h"
#include "fairlead/hash.h"
#include "fairlead/mem.h"

/* ---- keys and values ---- */

static void put_number(unsigned char *to, uint32_t n)
{
	memcpy(to, &n, sizeof(n));
}

static void put_port(unsigned char *to, uint16_t port)
{
	const uint16_t n = htons(port);

	memcpy(to, &n, sizeof(n));
}

void plan_key(const struct traffic_destination *d, uint8_t family,
              unsigned char ret_key[static FRAME_KEY_MAX])
{
	size_t size = d->addr ? addr_size(family) : 0;

	memset(ret_key, 0, FRAME_KEY_MAX);
	if (d->addr)
		memcpy(ret_key, d->addr->b, size);
	ret_key[size] = d->proto;
	put_port(ret_key + size + 4, d->port);
}

void plan_pair(uint32_t set, uint32_t number, unsigned char ret_key[static FRAME_KEY_MAX])
{
	memset(ret_key, 0, FRAME_KEY_MAX);
	put_number(ret_key, set);
	put_number(ret_key + 4, number);
}

void plan_endpoint(const struct proxy_endpoint *e, unsigned char ret[static FRAME_VALUE_MAX])
{
	size_t size = addr_size(e->addr.family);

	memset(ret, 0, FRAME_VALUE_MAX);
	memcpy(ret, e->addr.b, size);
	put_port(ret + size, e->port);
}

static uint32_t hash_end(uint64_t h)
{
	return (uint32_t)(h ^ h >> 32);
}

uint32_t plan_ticket(const struct proxy_endpoint *e)
{
	unsigned char value[FRAME_VALUE_MAX];

	plan_endpoint(e, value);
	return hash_end(hash_fnv(HASH_FNV_BEGIN, value, sizeof(value)));
}

int plan_cmp(const struct plan_element *a, const struct plan_element *b)
{
	return a->map != b->map ? (int)a->map - (int)b->map
	                        : memcmp(a->key, b->key, sizeof(a->key));
}

bool plan_is_shared(enum frame_map map)
{
	return map == FRAME_HAIRPIN || map == FRAME_GUARDED;
}

/* ---- the plan ---- */

struct planner {
	const struct traffic_node *node;
	const struct proxy_half *s;
	struct plan *p;
	struct traffic_port t;
	uint32_t id, group;
};

static struct plan_element *add(struct plan *p, enum frame_map map)
{
	ARRAY_RESERVE(p->elements, p->cap_elements, p->n_elements + 1);
	struct plan_element *e = &p->elements[p->n_elements++];
	*e = (struct plan_element){ .map = (uint8_t)map };
	return e;
}

static uint32_t set_of(const struct traffic_way *way, uint32_t id)
{
	switch (way->fate) {
	case TRAFFIC_DROP:
		return FRAME_WAY_DROP;
	case TRAFFIC_REJECT:
		return FRAME_WAY_REJECT;
	case TRAFFIC_FORWARD:
		break;
	}
	return id + (way->set == TRAFFIC_LOCAL_SET);
}

/* Of two origins that share a set. */
static uint32_t way_of(const struct traffic_way *pod, const struct traffic_way *other, uint32_t id)
{
	return set_of(other, id) | (pod->masquerade ? FRAME_WAY_MASQUERADE_PODS : 0) |
	       (other->masquerade ? FRAME_WAY_MASQUERADE_OTHERS : 0);
}

static bool shares(const struct traffic_way *a, const struct traffic_way *b)
{
	return a->fate == b->fate && (a->fate != TRAFFIC_FORWARD || a->set == b->set);
}

static bool forwards(const struct traffic_way *ways)
{
	for (int i = 0; i < TRAFFIC_ORIGINS; i++)
		if (ways[i].fate == TRAFFIC_FORWARD)
			return true;
	return false;
}

static void add_way(struct planner *at, enum frame_map map, const struct traffic_destination *d,
                    uint32_t way)
{
	struct plan_element *e = add(at->p, map);

	plan_key(d, at->s->family, e->key);
	put_number(e->value, way);
}

static void plan_destination(const struct traffic_destination *d, void *arg)
{
	struct planner *at = arg;
	const struct traffic_way *ways =
		d->class == TRAFFIC_CLUSTER_IP ? at->t.internal : at->t.external;
	const struct traffic_way *pod = &ways[TRAFFIC_POD], *node = &ways[TRAFFIC_NODE];
	const struct traffic_way *outside = &ways[TRAFFIC_OUTSIDE];
	/* Where Pods are not known, none is taken for one. */
	bool known = at->node->knows_pods, node_port = !d->addr;

	if (!traffic_way_eq(node, outside) || (known && !shares(pod, outside)))
		add_way(at, node_port ? FRAME_NODE_SHORTCUTS : FRAME_SHORTCUTS, d,
		        way_of(known ? pod : node, node, at->id));
	add_way(at, node_port ? FRAME_NODE_WAYS : FRAME_WAYS, d,
	        way_of(known ? pod : outside, outside, at->id));
	if (d->class != TRAFFIC_VIP || !at->t.restricted || !forwards(ways))
		return;
	struct plan_element *e = add(at->p, FRAME_RESTRICTED);
	plan_key(d, at->s->family, e->key);
	put_number(e->value, at->group);
}

static bool serves_outside(const struct traffic_port *t, enum traffic_set which)
{
	for (int i = 0; t->outside && i < TRAFFIC_ORIGINS; i++)
		if (t->external[i].fate == TRAFFIC_FORWARD && t->external[i].set == which)
			return true;
	return false;
}

static void plan_endpoints(struct planner *at, enum traffic_set which,
                           const struct proxy_endpoint *list, size_t n)
{
	uint32_t set = at->id + (which == TRAFFIC_LOCAL_SET);
	size_t size = addr_size(at->s->family);

	if (!at->t.uses[which])
		return;
	struct plan_element *e = add(at->p, FRAME_SETS);
	put_number(e->key, set);
	put_number(e->value, frame_kind_of(n, at->t.affinity_s));
	ARRAY_RESERVE(at->p->sets, at->p->cap_sets, at->p->n_sets + 1);
	at->p->sets[at->p->n_sets++] = (struct plan_set){ .set = set,
		                                          .proto = at->t.port->proto,
		                                          .affinity = at->t.affinity_s > 0,
		                                          .outside = serves_outside(&at->t, which),
		                                          .list = list,
		                                          .n = n,
		                                          .port = at->t.port };
	for (size_t i = 0; i < n; i++) {
		e = add(at->p, FRAME_HAIRPIN);
		memcpy(e->key, list[i].addr.b, size);
		memcpy(e->key + size, list[i].addr.b, size);
		if (!at->t.affinity_s)
			continue;
		e = add(at->p, FRAME_MEMBERS);
		plan_pair(set, plan_ticket(&list[i]), e->key);
		plan_endpoint(&list[i], e->value);
	}
}

/* The first address of the interval, and the first after it. */
static void add_interval(struct plan *p, uint32_t group, const struct addr_range *r)
{
	struct plan_element *e = add(p, FRAME_RANGES);
	size_t size = addr_size(r->first.family);
	bool carry = true;

	put_number(e->key, group);
	memcpy(e->key + sizeof(group), r->first.b, size);
	put_number(e->value, group);
	memcpy(e->value + sizeof(group), r->last.b, size);
	for (size_t i = sizeof(group) + size; carry && i-- > 0;)
		carry = ++e->value[i] == 0;
}

/* What overlaps or follows without a gap is one interval. */
static void add_ranges(const struct proxy_half *s, uint32_t group, struct plan *p)
{
	const struct proxy_outside *o = proxy_outside(s);

	for (size_t i = 0; i < o->n_source_ranges;) {
		struct addr_range r = prefix_range(&o->source_ranges[i]);
		struct addr next;
		for (i++; i < o->n_source_ranges; i++) {
			struct addr_range more = prefix_range(&o->source_ranges[i]);
			if (addr_next(&r.last, &next) && addr_cmp(&more.first, &next) > 0)
				break;
			if (addr_cmp(&more.last, &r.last) > 0)
				r.last = more.last;
		}
		add_interval(p, group, &r);
	}
}

static void add_guard(const struct addr *a, void *arg)
{
	memcpy(add(arg, FRAME_GUARDED)->key, a->b, addr_size(a->family));
}

static int by_place(const void *a, const void *b)
{
	return plan_cmp(a, b);
}

static void sort(struct plan *p)
{
	size_t n = 0;

	if (p->n_elements > 0)
		qsort(p->elements, p->n_elements, sizeof(*p->elements), by_place);
	for (size_t i = 0; i < p->n_elements; i++)
		if (n == 0 || plan_cmp(&p->elements[n - 1], &p->elements[i]) != 0)
			p->elements[n++] = p->elements[i];
	p->n_elements = n;
}

/* Whether it is restricted. */
static bool add_port(struct planner *at, size_t i, uint32_t id)
{
	const struct proxy_port *port = &at->s->ports[i];

	if (!traffic_plan(at->node, at->s, i, &at->t))
		return false;
	at->id = id;
	plan_endpoints(at, TRAFFIC_CLUSTER_SET, port->cluster, port->n_cluster);
	plan_endpoints(at, TRAFFIC_LOCAL_SET, port->local, port->n_local);
	traffic_each_destination(&at->t, plan_destination, at);
	return at->t.restricted && proxy_outside(at->s)->n_vips > 0;
}

void plan_ranges(const struct proxy_half *s, uint32_t group, struct plan *ret_plan)
{
	*ret_plan = (struct plan){ .n_elements = 0 };
	add_ranges(s, group, ret_plan);
	sort(ret_plan);
}

void plan_port(const struct traffic_node *node, const struct proxy_half *s, size_t port,
               uint32_t id, uint32_t group, struct plan *ret_plan)
{
	struct planner at = { .node = node, .s = s, .p = ret_plan, .group = group };

	*ret_plan = (struct plan){ .n_elements = 0 };
	add_port(&at, port, id);
	sort(ret_plan);
}

void plan_guards(const struct proxy_half *s, struct plan *ret_plan)
{
	*ret_plan = (struct plan){ .n_elements = 0 };
	traffic_each_guarded(s, add_guard, ret_plan);
	sort(ret_plan);
}

void plan_half(const struct traffic_node *node, const struct proxy_half *s, const uint32_t *ids,
               uint32_t group, struct plan *ret_plan)
{
	struct planner at = { .node = node, .s = s, .p = ret_plan, .group = group };
	bool restricted = false;

	*ret_plan = (struct plan){ .n_elements = 0 };
	for (size_t i = 0; i < s->n_ports; i++)
		restricted = add_port(&at, i, ids[i]) || restricted;
	if (restricted)
		add_ranges(s, group, ret_plan);
	traffic_each_guarded(s, add_guard, ret_plan);
	sort(ret_plan);
}

void plan_fini(struct plan *p)
{
	free(p->elements);
	free(p->sets);
	*p = (struct plan){ .n_elements = 0 };
}

/* ---- numbers ---- */

bool plan_has_group(const struct traffic_node *node, const struct proxy_half *s)
{
	struct traffic_port t;
	bool any = false;

	for (size_t i = 0; i < s->n_ports && proxy_outside(s)->n_vips > 0 && !any; i++)
		any = traffic_plan(node, s, i, &t) && t.restricted;
	return any;
}

/* It takes 2^29 tries to find names that begin alike, and for two attempts already the square. */
static uint32_t number_of(struct buf *name, uint32_t attempt)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	uint32_t number;

	buf_add(name, &attempt, sizeof(attempt));
	SHA256((const unsigned char *)name->data, name->size, digest);
	buf_fini(name);
	memcpy(&number, digest, sizeof(number));
	return number;
}

uint32_t plan_set_number(const struct proxy_half *s, size_t port, uint32_t attempt)
{
	const struct proxy_port *p = &s->ports[port];
	struct buf name = BUF_INIT;

	buf_add(&name, s->key, strlen(s->key) + 1);
	buf_add(&name, &p->proto, sizeof(p->proto));
	buf_add(&name, &p->port, sizeof(p->port));
	return number_of(&name, attempt);
}

/* Other ranges are another group, so that what is new never meets what is old. */
uint32_t plan_group_number(const struct proxy_half *s, uint32_t attempt)
{
	const struct proxy_outside *o = proxy_outside(s);
	struct buf name = BUF_INIT;

	buf_add(&name, s->key, strlen(s->key) + 1);
	for (size_t i = 0; i < o->n_source_ranges; i++) {
		buf_add(&name, o->source_ranges[i].addr.b, sizeof(o->source_ranges[i].addr.b));
		buf_add(&name, &o->source_ranges[i].len, sizeof(o->source_ranges[i].len));
	}
	return number_of(&name, attempt);
}
