/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This node carries what kube-proxy would carry: every Service with a cluster IP, whatever its
 * class and whether its address is announced from here or not; a packet may arrive at any node.
 * Three things differ, and are decided in decide.h: an external IP that is not admitted is not
 * carried, an address that two Services hold goes only to the one that comes first, as it does on
 * the wire, and the other ports of an address of our pools are closed, unless a machine has it.
 */
#include "config.h"

#include "speaker/forward.h"

#include <stdlib.h>

#include "fairlead/decide.h"
#include "fairlead/mem.h"

static const struct addr *cluster_ip(const struct view_service *s, uint8_t family)
{
	for (size_t i = 0; i < s->n_cluster_ips; i++)
		if (s->cluster_ips[i].family == family)
			return &s->cluster_ips[i];
	return NULL;
}

bool forward_wanted(const struct view_service *s, uint8_t family)
{
	return s->known && !s->foreign_proxy && !s->proxyless && !decide_is_too_large(s) &&
	       s->type != KUBE_EXTERNAL_NAME && s->n_ports && cluster_ip(s, family);
}

static bool is_open(const struct decision *d, const struct announce *t)
{
	switch (d->guard) {
	case DECIDE_OPEN:
		return true;
	case DECIDE_GUARDED_IF_ANNOUNCED:
		return !t || !announce_has(t, d->service->key, &d->address->addr);
	case DECIDE_GUARDED:
		break;
	}
	return false;
}

static void build_addresses(const struct view *v, const struct announce *t,
                            const struct view_service *s, uint8_t family, struct proxy_half *p)
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
		if (is_open(&d, t))
			open[p->n_open++] = a->addr;
	}
	p->vips = vips;
	p->external_ips = external_ips;
	p->open = open;
}

/* The ranges of the family; a /0 among them lets everybody in, so there is no filter. */
static void build_source_ranges(const struct view_service *s, uint8_t family, struct proxy_half *p)
{
	struct prefix *ranges =
		s->n_source_ranges ? xcalloc(s->n_source_ranges, sizeof(*ranges)) : NULL;
	bool everybody = false;

	for (size_t i = 0; i < s->n_source_ranges; i++) {
		if (s->source_ranges[i].addr.family != family)
			continue;
		everybody |= s->source_ranges[i].len == 0;
		ranges[p->n_source_ranges++] = s->source_ranges[i];
	}
	if (everybody)
		p->n_source_ranges = 0;
	p->source_ranges = ranges;
}

static void build_ports(const struct view *v, const struct view_service *s, uint8_t family,
                        struct proxy_half *p)
{
	struct proxy_port *ports = xcalloc(s->n_ports, sizeof(*ports));
	bool has_node_ports = s->type == KUBE_NODE_PORT || s->type == KUBE_LOAD_BALANCER;

	for (size_t i = 0; i < s->n_ports; i++) {
		struct decide_endpoints e;
		decide_endpoints(s, &s->ports[i], family, view_self(v), view_zone(v), &e);
		ports[i] = (struct proxy_port){
			.name = s->ports[i].name,
			.proto = s->ports[i].proto,
			.port = s->ports[i].port,
			.node_port = has_node_ports ? s->ports[i].node_port : 0,
			.cluster = e.cluster,
			.n_cluster = e.n_cluster,
			.local = e.local,
			.n_local = e.n_local,
			.kept = e.kept,
			.n_kept = e.n_kept,
			.has_any = e.has_any,
		};
	}
	p->ports = ports;
	p->n_ports = s->n_ports;
}

static void build_half(const struct view *v, const struct announce *t, const struct view_service *s,
                       uint8_t family, struct proxy_half *ret)
{
	*ret = (struct proxy_half){
		.key = s->key,
		.family = family,
		.cluster_ip = *cluster_ip(s, family),
		.traffic = s->traffic,
	};
	build_addresses(v, t, s, family, ret);
	build_source_ranges(s, family, ret);
	build_ports(v, s, family, ret);
}

void forward_build(const struct view *v, const struct announce *t, const struct view_service *s,
                   struct forward *ret)
{
	static const uint8_t families[PROXY_HALVES] = { 4, 6 };

	*ret = (struct forward){ .service.key = s->key };
	for (int i = 0; i < PROXY_HALVES; i++) {
		if (!forward_wanted(s, families[i]))
			continue;
		build_half(v, t, s, families[i], &ret->halves[i]);
		ret->service.halves[i] = &ret->halves[i];
	}
}

static void half_fini(struct proxy_half *p)
{
	for (size_t i = 0; i < p->n_ports; i++) {
		free((void *)p->ports[i].cluster);
		free((void *)p->ports[i].local);
		free((void *)p->ports[i].kept);
	}
	free((void *)p->ports);
	free((void *)p->vips);
	free((void *)p->external_ips);
	free((void *)p->open);
	free((void *)p->source_ranges);
}

void forward_fini(struct forward *f)
{
	for (int i = 0; i < PROXY_HALVES; i++)
		half_fini(&f->halves[i]);
	*f = (struct forward){ .service.key = NULL };
}
