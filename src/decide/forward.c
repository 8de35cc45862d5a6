/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This node carries what kube-proxy would carry: every Service with a cluster IP, whatever its
 * class and whether its address is announced from here or not; a packet may arrive at any node.
 * Three things differ, and are decided in decide.h: an external IP that is not admitted is not
 * carried, an address that two Services hold goes only to the one that comes first, as it does on
 * the wire, and the other ports of an address of our pools are closed, unless a machine has it.
 */
#include "config.h"

#include "fairlead/forward.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/decide.h"
#include "fairlead/mem.h"

static const struct addr *cluster_ip(const struct view_service *s, uint8_t family)
{
	for (size_t i = 0; i < s->n_cluster_ips; i++)
		if (s->cluster_ips[i].family == family)
			return &s->cluster_ips[i];
	return NULL;
}

static bool is_wanted(const struct view_service *s, uint8_t family, bool by_rules)
{
	return view_is_for_proxies(s, family) && decide_by_size(s, by_rules) == REASON_Candidate;
}

bool forward_wanted(const struct view *v, const struct view_service *s, uint8_t family)
{
	return is_wanted(s, family, view_node_rules(v).by_rules);
}

static bool is_open(const struct decision *d, const struct forward_node *node)
{
	switch (d->guard) {
	case DECIDE_OPEN:
		return true;
	case DECIDE_GUARDED_IF_ANNOUNCED:
		return !node->is_announced ||
		       !node->is_announced(d->service->key, &d->address->addr, node->arg);
	case DECIDE_GUARDED:
		break;
	}
	return false;
}

static void build_addresses(const struct view *v, const struct forward_node *node,
                            const struct view_service *s, uint8_t family, struct proxy_outside *p)
{
	size_t n = s->n_addresses;

	if (!n)
		return;
	struct addr *vips = xcalloc(n, sizeof(*vips)), *open = xcalloc(n, sizeof(*open));
	struct addr *external_ips = xcalloc(n, sizeof(*external_ips));
	for (size_t i = 0; i < n; i++) {
		const struct view_address *a = &s->addresses[i];
		if (a->addr.family != family)
			continue;
		struct decision d = decide_address(v, s, &a->addr);
		if (!d.carried)
			continue;
		if (a->external)
			external_ips[p->n_external_ips++] = a->addr;
		else
			vips[p->n_vips++] = a->addr;
		if (is_open(&d, node))
			open[p->n_open++] = a->addr;
	}
	p->vips = vips;
	p->external_ips = external_ips;
	p->open = open;
}

static bool any_contains(const struct prefix *ranges, size_t n, const struct addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (prefix_contains(&ranges[i], a))
			return true;
	return false;
}

static bool admits_node(const struct view *v, const char *name, const struct proxy_outside *p)
{
	const struct view_node *node = view_node_named(v, name);

	for (size_t i = 0; node && i < node->n_addresses; i++)
		if (any_contains(p->source_ranges, p->n_source_ranges, &node->addresses[i]))
			return true;
	return false;
}

/*
 * The ranges of the family; a /0 among them lets everybody in, so there is no filter.  Where a VIP
 * is bound on the node, the node reaches it from that very address: if the node may come in, so may
 * the VIP, as kube-proxy has it.
 */
static void build_source_ranges(const struct view *v, const struct forward_node *node,
                                const struct view_service *s, uint8_t family,
                                struct proxy_outside *p)
{
	size_t n = s->n_source_ranges;
	struct prefix *ranges = n ? xcalloc(n + p->n_vips, sizeof(*ranges)) : NULL;
	bool everybody = false;

	p->source_ranges = ranges;
	for (size_t i = 0; i < n; i++) {
		if (s->source_ranges[i].addr.family != family)
			continue;
		everybody |= s->source_ranges[i].len == 0;
		ranges[p->n_source_ranges++] = s->source_ranges[i];
	}
	if (everybody)
		p->n_source_ranges = 0;
	if (!admits_node(v, node->name, p))
		return;
	for (size_t i = 0; i < p->n_vips; i++)
		ranges[p->n_source_ranges++] = prefix_of(&p->vips[i], addr_bits(&p->vips[i]));
}

static void put_endpoints(const struct view_service *s, const struct view_port *port,
                          uint8_t family, const struct forward_node *node, struct proxy_port *to)
{
	struct decide_endpoints e;

	decide_endpoints(s, port, family, node->name, node->zone, &e);
	to->cluster = e.cluster;
	to->n_cluster = e.n_cluster;
	to->local = e.local;
	to->n_local = e.n_local;
	to->kept = e.kept;
	to->n_kept = e.n_kept;
	to->has_any = e.has_any;
}

static void drop_endpoints(struct proxy_port *p)
{
	if (p->lists)
		return;
	free((void *)p->cluster);
	free((void *)p->local);
	free((void *)p->kept);
}

/* ---- ports that are built before ---- */

struct built_port {
	struct proxy_lists *lists; /* NULL: not yet */
	bool has_any;
};

struct forward_ports {
	struct view_port *made_for; /* a copy: those of the Service when the pass began */
	size_t n;
	bool has[PROXY_HALVES];
	struct built_port *built[PROXY_HALVES]; /* of each port */
	size_t next; /* of all, family by family; what comes before it is of this pass */
};

static const uint8_t families[PROXY_HALVES] = { 4, 6 };

struct forward_ports *forward_ports_new(void)
{
	return xcalloc(1, sizeof(struct forward_ports));
}

static void drop_ports(struct forward_ports *p)
{
	for (int i = 0; i < PROXY_HALVES; i++) {
		for (size_t k = 0; k < p->n; k++)
			proxy_lists_unref(p->built[i][k].lists);
		free(p->built[i]);
	}
	for (size_t k = 0; k < p->n; k++)
		free((void *)p->made_for[k].name);
	free(p->made_for);
	*p = (struct forward_ports){ .n = 0 };
}

void forward_ports_free(struct forward_ports *p)
{
	if (!p)
		return;
	drop_ports(p);
	free(p);
}

static bool is_made_for(const struct forward_ports *p, const struct view_service *s)
{
	bool same = p->n == s->n_ports;

	for (int i = 0; i < PROXY_HALVES; i++)
		same = same && p->has[i] == !!cluster_ip(s, families[i]);
	for (size_t i = 0; i < p->n && same; i++) {
		const struct view_port *a = &p->made_for[i], *b = &s->ports[i];
		same = a->proto == b->proto && a->port == b->port && !strcmp(a->name, b->name);
	}
	return same;
}

/* Other ports are built from the first one on. */
static void follow_ports(struct forward_ports *p, const struct view_service *s)
{
	if (is_made_for(p, s))
		return;
	drop_ports(p);
	p->n = s->n_ports;
	p->made_for = xmemdup(s->ports, s->n_ports * sizeof(*s->ports));
	/* The view's copy of a name may be gone at the next step. */
	for (size_t i = 0; i < p->n; i++)
		p->made_for[i].name = xstrdup(s->ports[i].name);
	for (int i = 0; i < PROXY_HALVES; i++) {
		p->has[i] = cluster_ip(s, families[i]);
		p->built[i] = xcalloc(p->n, sizeof(*p->built[i]));
	}
}

/* What has not changed stays the one that others may hold. */
static void build_port(struct built_port *to, const struct forward_node *node,
                       const struct view_service *s, size_t i, uint8_t family)
{
	struct proxy_port port = { .name = "" };

	put_endpoints(s, &s->ports[i], family, node, &port);
	struct proxy_lists *lists = proxy_lists_new(&port, family);
	drop_endpoints(&port);
	to->has_any = port.has_any;
	if (to->lists && proxy_lists_eq(to->lists, lists)) {
		proxy_lists_unref(lists);
		return;
	}
	proxy_lists_unref(to->lists);
	to->lists = lists;
}

static size_t n_endpoints(const struct view_service *s)
{
	size_t n = 0;

	for (const struct view_slice *slice = s->slices; slice; slice = slice->next)
		n += slice->n_endpoints;
	return n;
}

bool forward_ports_step(struct forward_ports *p, const struct forward_node *node,
                        const struct view_service *s, size_t max)
{
	size_t each = 1 + n_endpoints(s), n = 0;

	follow_ports(p, s);
	for (; p->next < p->n * PROXY_HALVES && (n == 0 || n + each <= max); n += each) {
		size_t half = p->next / p->n, i = p->next % p->n;
		if (p->has[half])
			build_port(&p->built[half][i], node, s, i, families[half]);
		p->next++;
	}
	return p->next == p->n * PROXY_HALVES;
}

void forward_ports_again(struct forward_ports *p)
{
	p->next = 0;
}

/* ---- a half ---- */

static void build_ports(const struct forward_node *node, const struct forward_ports *built,
                        const struct view_service *s, uint8_t family, struct proxy_half *p)
{
	struct proxy_port *ports = xcalloc(s->n_ports, sizeof(*ports));
	bool has_node_ports = s->type == KUBE_NODE_PORT || s->type == KUBE_LOAD_BALANCER;

	for (size_t i = 0; i < s->n_ports; i++) {
		const struct built_port *b = built ? &built->built[family == 6][i] : NULL;
		ports[i] = (struct proxy_port){
			.name = s->ports[i].name,
			.proto = s->ports[i].proto,
			.port = s->ports[i].port,
			.node_port = has_node_ports ? s->ports[i].node_port : 0,
		};
		if (b) {
			ports[i].has_any = b->has_any;
			proxy_lists_put(b->lists, &ports[i]);
		} else {
			put_endpoints(s, &s->ports[i], family, node, &ports[i]);
		}
	}
	p->ports = ports;
	p->n_ports = s->n_ports;
}

static void build_half(const struct view *v, const struct forward_node *node,
                       const struct forward_ports *built, const struct view_service *s,
                       uint8_t family, struct proxy_outside *outside, struct proxy_half *ret)
{
	*ret = (struct proxy_half){
		.key = s->key,
		.family = family,
		.created_us = s->created_us,
		.cluster_ip = *cluster_ip(s, family),
		.outside = outside,
		.traffic = s->traffic,
	};
	build_addresses(v, node, s, family, outside);
	build_source_ranges(v, node, s, family, outside);
	build_ports(node, built, s, family, ret);
}

void forward_build(const struct view *v, const struct forward_node *node,
                   const struct view_service *s, const struct forward_ports *built,
                   struct forward *ret)
{
	bool by_rules = node->by_rules || view_node_rules(v).by_rules;

	*ret = (struct forward){ .service.key = s->key };
	for (int i = 0; i < PROXY_HALVES; i++) {
		if (!is_wanted(s, families[i], by_rules))
			continue;
		build_half(v, node, built, s, families[i], &ret->outside[i], &ret->halves[i]);
		ret->service.halves[i] = &ret->halves[i];
	}
}

static void half_fini(struct proxy_half *p)
{
	for (size_t i = 0; i < p->n_ports; i++)
		drop_endpoints((struct proxy_port *)(uintptr_t)&p->ports[i]);
	free((void *)p->ports);
}

static void outside_fini(struct proxy_outside *p)
{
	free((void *)p->vips);
	free((void *)p->external_ips);
	free((void *)p->open);
	free((void *)p->source_ranges);
}

void forward_fini(struct forward *f)
{
	for (int i = 0; i < PROXY_HALVES; i++) {
		half_fini(&f->halves[i]);
		outside_fini(&f->outside[i]);
	}
	*f = (struct forward){ .service.key = NULL };
}
