/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/spec.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include "fairlead/mem.h"

static int endpoint_cmp(const void *a, const void *b)
{
	const struct proxy_endpoint *x = a, *y = b;
	int r = addr_cmp(&x->addr, &y->addr);

	return r ? r : (int)x->port - (int)y->port;
}

static int vip_cmp(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

static int range_cmp(const void *a, const void *b)
{
	return prefix_cmp(a, b);
}

static int port_cmp(const void *a, const void *b)
{
	const struct proxy_port *x = a, *y = b;

	return x->proto != y->proto ? (int)x->proto - (int)y->proto : (int)x->port - (int)y->port;
}

/* Hands out pieces of one block of memory; with no block, only counts. */
struct carver {
	char *base;
	size_t size;
};

static void *carve(struct carver *c, size_t n, size_t size, size_t align)
{
	c->size = (c->size + align - 1) / align * align;
	void *p = c->base ? c->base + c->size : NULL;
	c->size += n * size;
	return p;
}

#define CARVE(c, n, type) ((type *)carve((c), (n), sizeof(type), _Alignof(type)))

/* Copies an array of one family, sorts it and drops duplicates; returns how many stay. */
static size_t copy_sorted(void *to, const void *from, size_t n, size_t size,
                          int (*cmp)(const void *, const void *), uint8_t family,
                          size_t addr_offset)
{
	size_t kept = 0;
	char *out = to;

	for (size_t i = 0; i < n; i++) {
		const char *item = (const char *)from + i * size;
		const struct addr *a = (const struct addr *)(const void *)(item + addr_offset);
		if (a->family == family)
			memcpy(out + kept++ * size, item, size);
	}
	if (kept == 0)
		return 0;
	qsort(out, kept, size, cmp);
	size_t last = 0;
	for (size_t i = 1; i < kept; i++)
		if (cmp(out + last * size, out + i * size) != 0 && ++last != i)
			memcpy(out + last * size, out + i * size, size);
	return last + 1;
}

static size_t bounded(size_t n, size_t max, bool *truncated)
{
	if (n <= max)
		return n;
	*truncated = true;
	return max;
}

static const char *copy_str(struct carver *c, const char *s)
{
	size_t size = strlen(s ? s : "") + 1;
	char *p = CARVE(c, size, char);

	if (p)
		memcpy(p, s ? s : "", size);
	return p;
}

static const struct proxy_endpoint *copy_endpoints(struct carver *c,
                                                   const struct proxy_endpoint *from, size_t n,
                                                   uint8_t family, uint32_t *ret_n, bool *truncated)
{
	n = bounded(n, SPEC_MAX_ENDPOINTS, truncated);
	struct proxy_endpoint *to = CARVE(c, n, struct proxy_endpoint);
	if (to)
		*ret_n = (uint32_t)copy_sorted(to, from, n, sizeof(*to), endpoint_cmp, family,
		                               offsetof(struct proxy_endpoint, addr));
	return to;
}

/* ---- lists of their own ---- */

struct proxy_lists {
	uint64_t digest;
	unsigned int refs;
	bool truncated;
	const struct proxy_endpoint *cluster, *local, *kept;
	uint32_t n_cluster, n_local, n_kept;
};

static size_t lay_out_lists(char *memory, const struct proxy_port *from, uint8_t family)
{
	struct carver c = { .base = memory };
	struct proxy_lists scratch = { .refs = 0 };
	struct proxy_lists *l = CARVE(&c, 1, struct proxy_lists);

	if (!l)
		l = &scratch;
	l->refs = 1;
	l->cluster = copy_endpoints(&c, from->cluster, from->n_cluster, family, &l->n_cluster,
	                            &l->truncated);
	l->local =
		copy_endpoints(&c, from->local, from->n_local, family, &l->n_local, &l->truncated);
	l->kept = copy_endpoints(&c, from->kept, from->n_kept, family, &l->n_kept, &l->truncated);
	return c.size;
}

static uint64_t digest_of_lists(const struct proxy_lists *l);

struct proxy_lists *proxy_lists_new(const struct proxy_port *p, uint8_t family)
{
	char *memory = xcalloc(1, lay_out_lists(NULL, p, family));
	struct proxy_lists *l = (struct proxy_lists *)(void *)memory;

	lay_out_lists(memory, p, family);
	l->digest = digest_of_lists(l);
	return l;
}

struct proxy_lists *proxy_lists_ref(struct proxy_lists *l)
{
	l->refs++;
	return l;
}

void proxy_lists_unref(struct proxy_lists *l)
{
	if (l && --l->refs == 0)
		free(l);
}

bool proxy_lists_eq(const struct proxy_lists *a, const struct proxy_lists *b)
{
	return a->digest == b->digest;
}

void proxy_lists_put(struct proxy_lists *l, struct proxy_port *p)
{
	p->lists = l;
	p->cluster = l->cluster;
	p->n_cluster = l->n_cluster;
	p->local = l->local;
	p->n_local = l->n_local;
	p->kept = l->kept;
	p->n_kept = l->n_kept;
}

/* ---- the copy itself, run twice: once to measure, once to fill ---- */

static void copy_port(struct carver *c, const struct proxy_port *from, uint8_t family,
                      struct proxy_port *ret, bool *truncated)
{
	*ret = *from;
	ret->name = copy_str(c, from->name);
	if (from->lists) {
		*truncated = *truncated || from->lists->truncated;
		return;
	}
	ret->cluster = copy_endpoints(c, from->cluster, from->n_cluster, family, &ret->n_cluster,
	                              truncated);
	ret->local =
		copy_endpoints(c, from->local, from->n_local, family, &ret->n_local, truncated);
	ret->kept = copy_endpoints(c, from->kept, from->n_kept, family, &ret->n_kept, truncated);
}

static bool is_outside(const struct proxy_outside *o)
{
	return o->n_vips || o->n_external_ips || o->n_open || o->n_source_ranges;
}

static const struct addr *copy_addrs(struct carver *c, const struct addr *from, size_t n,
                                     size_t max, uint8_t family, uint32_t *ret_n, bool *truncated)
{
	n = bounded(n, max, truncated);
	struct addr *to = CARVE(c, n, struct addr);
	if (to)
		*ret_n = (uint32_t)copy_sorted(to, from, n, sizeof(*to), vip_cmp, family, 0);
	return to;
}

/* NULL: none. */
static const struct proxy_outside *copy_outside(struct carver *c, const struct proxy_half *half,
                                                bool *truncated)
{
	const struct proxy_outside *from = proxy_outside(half);
	struct proxy_outside copy = { .n_vips = 0 };

	if (!is_outside(from))
		return NULL;
	struct proxy_outside *to = CARVE(c, 1, struct proxy_outside);
	copy.vips = copy_addrs(c, from->vips, from->n_vips, SPEC_MAX_VIPS, half->family,
	                       &copy.n_vips, truncated);
	copy.external_ips =
		copy_addrs(c, from->external_ips, from->n_external_ips, SPEC_MAX_EXTERNAL_IPS,
	                   half->family, &copy.n_external_ips, truncated);
	copy.open = copy_addrs(c, from->open, from->n_open, SPEC_MAX_VIPS + SPEC_MAX_EXTERNAL_IPS,
	                       half->family, &copy.n_open, truncated);
	size_t n = bounded(from->n_source_ranges, SPEC_MAX_SOURCE_RANGES, truncated);
	struct prefix *ranges = CARVE(c, n, struct prefix);
	if (!to)
		return NULL;
	copy.source_ranges = ranges;
	copy.n_source_ranges =
		(uint32_t)copy_sorted(ranges, from->source_ranges, n, sizeof(*ranges), range_cmp,
	                              half->family, offsetof(struct prefix, addr));
	*to = copy;
	return to;
}

static size_t lay_out(char *memory, const struct proxy_half *from, const char *key)
{
	struct carver c = { .base = memory };
	struct spec scratch = { .refs = 0 };
	struct spec *p = CARVE(&c, 1, struct spec);

	if (!p)
		p = &scratch;
	p->s = *from;
	p->refs = 1;
	p->truncated = false;

	size_t n_ports = bounded(from->n_ports, SPEC_MAX_PORTS, &p->truncated);
	struct proxy_port *ports = CARVE(&c, n_ports, struct proxy_port);
	for (size_t i = 0; i < n_ports; i++) {
		struct proxy_port copy;
		copy_port(&c, &from->ports[i], from->family, &copy, &p->truncated);
		if (ports)
			ports[i] = copy;
	}
	p->s.ports = ports;
	p->s.n_ports = (uint32_t)n_ports;

	p->s.outside = copy_outside(&c, from, &p->truncated);
	p->s.key = key ? key : copy_str(&c, from->key);
	if (from->traffic.scheduler)
		p->s.traffic.scheduler = copy_str(&c, from->traffic.scheduler);
	if (memory && n_ports)
		qsort(ports, n_ports, sizeof(*ports), port_cmp);
	return c.size;
}

/*
 * ---- the digest: every row of every struct; names of ports count only as labels, but they do
 * count ----
 */

static void addr_add(struct buf *b, const struct addr *a)
{
	buf_add(b, a, sizeof(*a));
}

static void prefix_add(struct buf *b, const struct prefix *p)
{
	addr_add(b, &p->addr);
	buf_add(b, &p->len, sizeof(p->len));
}

static void traffic_add(struct buf *b, const struct traffic *s)
{
	TRAFFIC_FIELDS(FIELD_ADD)
}

static void proxy_endpoint_add(struct buf *b, const struct proxy_endpoint *s)
{
	PROXY_ENDPOINT_FIELDS(FIELD_ADD)
}

static void all_of_port_add(struct buf *b, const struct proxy_port *s)
{
	PROXY_PORT_FIELDS(FIELD_ADD)
}

static void proxy_port_add(struct buf *b, const struct proxy_port *s)
{
	struct proxy_port rest = *s;

	if (s->lists) {
		buf_add(b, &s->lists->digest, sizeof(s->lists->digest));
		rest.n_cluster = rest.n_local = rest.n_kept = 0;
	}
	all_of_port_add(b, &rest);
}

static void proxy_outside_add(struct buf *b, const struct proxy_outside *s)
{
	PROXY_OUTSIDE_FIELDS(FIELD_ADD)
}

static void proxy_half_add(struct buf *b, const struct proxy_half *s)
{
	PROXY_HALF_FIELDS(FIELD_ADD)
}

static uint64_t digest_of(const struct buf *b)
{
	unsigned char md[SHA256_DIGEST_LENGTH];
	uint64_t v;

	SHA256((const unsigned char *)b->data, b->size, md);
	memcpy(&v, md, sizeof(v));
	return v;
}

static uint64_t digest(const struct proxy_half *s)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;

	proxy_half_add(&b, s);
	return digest_of(&b);
}

static uint64_t digest_of_lists(const struct proxy_lists *l)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;
	struct proxy_port port = { .name = "" };

	proxy_lists_put((struct proxy_lists *)(uintptr_t)l, &port);
	all_of_port_add(&b, &port);
	return digest_of(&b);
}

struct spec *spec_new(const struct proxy_half *s)
{
	return spec_new_keyed(s, NULL);
}

struct spec *spec_new_keyed(const struct proxy_half *s, const char *key)
{
	char *memory = xcalloc(1, lay_out(NULL, s, key));

	lay_out(memory, s, key);
	struct spec *p = (struct spec *)(void *)memory;
	for (size_t i = 0; i < p->s.n_ports; i++)
		if (p->s.ports[i].lists)
			proxy_lists_ref(p->s.ports[i].lists);
	p->digest = digest(&p->s);
	return p;
}

struct spec *spec_ref(struct spec *p)
{
	if (p)
		p->refs++;
	return p;
}

void spec_unref(struct spec *p)
{
	if (!p || --p->refs > 0)
		return;
	for (size_t i = 0; i < p->s.n_ports; i++)
		proxy_lists_unref(p->s.ports[i].lists);
	free(p);
}
