/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kube-proxy's CategorizeEndpoints():
 *
 *   cluster set  ready ones; if there are none, all that serve and terminate.  Used unless internal
 *                traffic is Local and nothing comes from outside.  Where every ready one has hints
 *                of nodes and some name this one, or else the same with zones, those that do are
 *                enough.
 *   local set    the same rule among the endpoints of this node.  Used where either policy is
 *                Local.
 */
#include "config.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/decide.h"
#include "fairlead/mem.h"

/* One endpoint merged over its slices. */
struct merged {
	struct proxy_endpoint ep;
	const char *zones, *nodes;     /* hints: ",a,b," */
	bool ready, serving, fallback; /* fallback: serving and terminating */
	bool keeps;                    /* it may go on with what it has */
	bool elsewhere;                /* its hints leave it to others */
};

static int cmp_endpoints(const void *a, const void *b)
{
	const struct proxy_endpoint *x = a, *y = b;
	int c = addr_cmp(&x->addr, &y->addr);

	return c ? c : (x->port > y->port) - (x->port < y->port);
}

static int cmp_merged(const void *a, const void *b)
{
	const struct merged *x = a, *y = b;

	return cmp_endpoints(&x->ep, &y->ep);
}

/* Of two slices' hints for one endpoint, always the same. */
static const char *either(const char *a, const char *b)
{
	return !a || (b && strcmp(a, b) < 0) ? b : a;
}

/* Connections end with their Pod; an answer to a datagram of UDP takes one that serves. */
static bool keeps(const struct view_port *port, const struct view_endpoint *ep)
{
	return ep->serving || (ep->terminating && port->proto != IPPROTO_UDP);
}

/* All endpoints of the port, each address and port once; *ret_n of them. */
static struct merged *merge_slices(const struct view_service *s, const struct view_port *port,
                                   uint8_t family, const char *node, size_t *ret_n)
{
	struct merged *all = NULL;
	size_t n = 0, cap = 0, unique = 0;

	for (const struct view_slice *slice = s->slices; slice; slice = slice->next) {
		const struct view_port *target =
			slice->family == family ? view_slice_port(slice, port) : NULL;
		for (size_t i = 0; target && i < slice->n_endpoints; i++) {
			const struct view_endpoint *ep = &slice->endpoints[i];
			/*
			 * What serves nobody is not in the bound on a Service's size (size.c), and
			 * there may be a great many.
			 */
			if (!ep->ready && !keeps(port, ep))
				continue;
			ARRAY_RESERVE(all, cap, n + 1);
			all[n++] = (struct merged){
				.ep = { .addr = ep->addr,
				        .port = target->port,
				        .local =
				                ep->place->node && !strcmp(ep->place->node, node) },
				.zones = ep->place->hint_zones,
				.nodes = ep->place->hint_nodes,
				.ready = ep->ready,
				.serving = ep->serving,
				.fallback = ep->serving && ep->terminating,
				.keeps = keeps(port, ep),
			};
		}
	}
	if (n)
		qsort(all, n, sizeof(*all), cmp_merged);
	for (size_t i = 0; i < n; i++) {
		if (unique && !cmp_merged(&all[unique - 1], &all[i])) {
			all[unique - 1].ep.local |= all[i].ep.local;
			all[unique - 1].zones = either(all[unique - 1].zones, all[i].zones);
			all[unique - 1].nodes = either(all[unique - 1].nodes, all[i].nodes);
			all[unique - 1].ready |= all[i].ready;
			all[unique - 1].serving |= all[i].serving;
			all[unique - 1].fallback |= all[i].fallback;
			all[unique - 1].keeps |= all[i].keeps;
		} else {
			all[unique++] = all[i];
		}
	}
	*ret_n = unique;
	return all;
}

/* Whether the hints (",a,b," or NULL) name it. */
static bool names(const char *hints, const char *name)
{
	size_t len = name ? strlen(name) : 0;

	for (const char *at = len ? hints : NULL; at && *at; at = strchr(at + 1, ','))
		if (!strncmp(at + 1, name, len) && at[len + 1] == ',')
			return true;
	return false;
}

static const char *hints_of(const struct merged *m, bool by_node)
{
	return by_node ? m->nodes : m->zones;
}

/*
 * Leaves to others what is meant for them; false, and nothing left, where hints are missing or none
 * is for us.
 */
static bool heed_hints(struct merged *all, size_t n, bool by_node, const char *name)
{
	bool ours = false;

	for (size_t i = 0; i < n; i++) {
		if (!all[i].ready)
			continue;
		if (!hints_of(&all[i], by_node))
			return false;
		ours |= names(hints_of(&all[i], by_node), name);
	}
	for (size_t i = 0; ours && i < n; i++)
		all[i].elsewhere = !names(hints_of(&all[i], by_node), name);
	return ours;
}

/* The ready ones, else those of the fallback. */
static size_t pick(const struct merged *all, size_t n, bool local_only,
                   struct proxy_endpoint **ret_set)
{
	struct proxy_endpoint *set = n ? xcalloc(n, sizeof(*set)) : NULL;
	size_t picked = 0;

	for (int fallback = 0; fallback <= 1 && !picked; fallback++)
		for (size_t i = 0; i < n; i++)
			if ((fallback ? all[i].fallback : all[i].ready) &&
			    (local_only ? all[i].ep.local : fallback || !all[i].elsewhere))
				set[picked++] = all[i].ep;
	if (!picked) {
		free(set);
		set = NULL;
	}
	*ret_set = set;
	return picked;
}

static bool is_in(const struct proxy_endpoint *set, size_t n, const struct merged *m)
{
	return n && bsearch(&m->ep, set, n, sizeof(*set), cmp_endpoints);
}

/* Those that are in no set and may have connections all the same. */
static void pick_kept(const struct merged *all, size_t n, bool local_only,
                      struct decide_endpoints *e)
{
	struct proxy_endpoint *set = n ? xcalloc(n, sizeof(*set)) : NULL;

	for (size_t i = 0; i < n; i++)
		if (all[i].keeps && (all[i].ep.local || !local_only) &&
		    !is_in(e->cluster, e->n_cluster, &all[i]) &&
		    !is_in(e->local, e->n_local, &all[i]))
			set[e->n_kept++] = all[i].ep;
	if (!e->n_kept) {
		free(set);
		set = NULL;
	}
	e->kept = set;
}

bool decide_is_external(const struct view_service *s, const struct view_port *port, uint8_t family)
{
	if (s->type == KUBE_NODE_PORT || s->type == KUBE_LOAD_BALANCER) {
		if (port->node_port)
			return true;
	}
	for (size_t i = 0; i < s->n_addresses; i++)
		if (s->addresses[i].addr.family == family && !s->addresses[i].ip_mode_proxy)
			return true;
	return false;
}

void decide_endpoints(const struct view_service *s, const struct view_port *port, uint8_t family,
                      const char *node, const char *zone, struct decide_endpoints *ret)
{
	bool external = decide_is_external(s, port, family);
	struct decide_endpoints e = { 0 };
	size_t n;
	struct merged *all = merge_slices(s, port, family, node, &n);

	for (size_t i = 0; i < n; i++)
		e.has_any |= all[i].ready || all[i].fallback;
	if (!heed_hints(all, n, true, node))
		heed_hints(all, n, false, zone);
	bool cluster = !s->traffic.internal_local || external;
	if (cluster)
		e.n_cluster = pick(all, n, false, &e.cluster);
	if (s->traffic.internal_local || (s->traffic.external_local && external))
		e.n_local = pick(all, n, true, &e.local);
	pick_kept(all, n, port->proto != IPPROTO_UDP && !cluster, &e);
	free(all);
	*ret = e;
}

void decide_endpoints_fini(struct decide_endpoints *e)
{
	free(e->cluster);
	free(e->local);
	free(e->kept);
	*e = (struct decide_endpoints){ 0 };
}
