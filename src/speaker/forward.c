/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "speaker/forward.h"

#include <stdlib.h>

#include "fairlead/decide.h"
#include "fairlead/mem.h"

/*
 * What kube-proxy would carry, this node carries: every Service with a cluster IP, whatever its class and whether its
 * address is announced from here or not; a packet may come to any node.  Two things differ: an external IP that is not
 * admitted is not carried, and an address that two Services hold goes to the first claimant alone, as it does on the wire.
 */

static const struct addr *cluster_ip(const struct view_service *s, uint8_t family)
{
	for (size_t i = 0; i < s->n_cluster_ips; i++)
		if (s->cluster_ips[i].family == family)
			return &s->cluster_ips[i];
	return NULL;
}

bool forward_wanted(const struct view_service *s, uint8_t family)
{
	return s->known && !s->foreign_proxy && !s->proxyless && s->type != KUBE_EXTERNAL_NAME &&
	       s->n_ports && cluster_ip(s, family);
}

static void build_addresses(const struct view *v, const struct view_service *s, uint8_t family,
                            struct proxy_service *p)
{
	struct addr *vips, *external_ips;

	if (!s->n_addresses)
		return;
	vips = xcalloc(s->n_addresses, sizeof(*vips));
	external_ips = xcalloc(s->n_addresses, sizeof(*external_ips));
	for (size_t i = 0; i < s->n_addresses; i++) {
		const struct view_address *a = &s->addresses[i];
		if (a->addr.family != family || !decide_address(v, s, &a->addr).carried)
			continue;
		if (a->external)
			external_ips[p->n_external_ips++] = a->addr;
		else
			vips[p->n_vips++] = a->addr;
	}
	p->vips = vips;
	p->external_ips = external_ips;
}

/* Those of the family; a /0 among them lets everybody in, which is no filter. */
static void build_source_ranges(const struct view_service *s, uint8_t family,
                                struct proxy_service *p)
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
                        struct proxy_service *p)
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

void forward_build(const struct view *v, const struct view_service *s, uint8_t family,
                   struct proxy_service *ret)
{
	struct proxy_service p = {
		.key = s->key,
		.family = family,
		.cluster_ip = *cluster_ip(s, family),
		.external_local = s->external_local,
		.internal_local = s->internal_local,
		.affinity_s = s->affinity_s,
	};

	build_addresses(v, s, family, &p);
	build_source_ranges(s, family, &p);
	build_ports(v, s, family, &p);
	*ret = p;
}

void forward_fini(struct proxy_service *p)
{
	for (size_t i = 0; i < p->n_ports; i++) {
		free((void *)p->ports[i].cluster);
		free((void *)p->ports[i].local);
		free((void *)p->ports[i].kept);
	}
	free((void *)p->ports);
	free((void *)p->vips);
	free((void *)p->external_ips);
	free((void *)p->source_ranges);
	*p = (struct proxy_service){ 0 };
}
