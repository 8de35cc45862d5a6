/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table, which is kube-proxy's:
 *
 *   state                              cluster IP          node port, address from outside
 *   no usable endpoint anywhere        REJECT              REJECT
 *   policy Cluster                     cluster set         masquerade, cluster set
 *   policy Local, local set not empty  local set           Pod: cluster set
 *                                                          node: masquerade, cluster set
 *                                                          else: local set, client address kept
 *   policy Local, local set empty      DROP                Pod and node as above; else DROP
 *
 * Toward a cluster IP, what does not come from a Pod is masqueraded.  Where Pods are not known,
 * nothing is toward a cluster IP, and from outside a Pod is like everybody else.  If the
 * node is set to masquerade all, everything toward a cluster IP is.
 */
#include "config.h"

#include "proxy/traffic.h"

#include <netinet/in.h>
#include <string.h>

#include "fairlead/seniority.h"

bool traffic_knows_pods(enum proxy_pods by, const struct proxy_node *n, uint8_t family)
{
	if (by != PROXY_PODS_BY_SOURCE)
		return true;
	for (size_t i = 0; i < n->n_pod_cidrs; i++)
		if (n->pod_cidrs[i].addr.family == family)
			return true;
	return false;
}

enum traffic_addresses traffic_node_port_addresses(const struct proxy_node *n, uint8_t family)
{
	enum traffic_addresses which = TRAFFIC_NO_ADDRESS;

	for (size_t i = 0; i < n->n_node_port_cidrs; i++) {
		const struct prefix *p = &n->node_port_cidrs[i];
		if (p->addr.family != family)
			continue;
		if (p->len == 0)
			return TRAFFIC_ALL_ADDRESSES;
		which = TRAFFIC_CHOSEN_ADDRESSES;
	}
	return which;
}

/* What happens to all sources, except for the short circuits of policy Local. */
static struct traffic_way common_way(const struct proxy_port *p, bool policy_local)
{
	if (!p->has_any || (!policy_local && p->n_cluster == 0))
		return (struct traffic_way){ .fate = TRAFFIC_REJECT, .why = TRAFFIC_NO_ENDPOINT };
	if (policy_local && p->n_local == 0)
		return (struct traffic_way){ .fate = TRAFFIC_DROP,
			                     .why = TRAFFIC_NO_LOCAL_ENDPOINT };
	return (struct traffic_way){
		.fate = TRAFFIC_FORWARD,
		.set = policy_local ? TRAFFIC_LOCAL_SET : TRAFFIC_CLUSTER_SET,
	};
}

static void plan_internal(struct traffic_port *t, const struct traffic_node *node)
{
	struct traffic_way way = common_way(t->port, t->service->traffic.internal_local);

	way.masquerade = way.fate == TRAFFIC_FORWARD && node->masquerade_all;
	t->internal[TRAFFIC_POD] = way;
	way.masquerade |= way.fate == TRAFFIC_FORWARD && node->knows_pods;
	t->internal[TRAFFIC_NODE] = t->internal[TRAFFIC_OUTSIDE] = way;
}

static void plan_external(struct traffic_port *t, const struct traffic_node *node)
{
	bool policy_local = t->service->traffic.external_local;
	struct traffic_way way = common_way(t->port, policy_local);

	way.masquerade = way.fate == TRAFFIC_FORWARD && !policy_local;
	for (int i = 0; i < TRAFFIC_ORIGINS; i++)
		t->external[i] = way;
	if (!policy_local || way.fate == TRAFFIC_REJECT || t->port->n_cluster == 0)
		return;
	way = (struct traffic_way){ .fate = TRAFFIC_FORWARD, .set = TRAFFIC_CLUSTER_SET };
	if (node->knows_pods)
		t->external[TRAFFIC_POD] = way;
	way.masquerade = true;
	t->external[TRAFFIC_NODE] = way;
}

static void note_sets(struct traffic_port *t, const struct traffic_way *ways)
{
	for (int i = 0; i < TRAFFIC_ORIGINS; i++)
		if (ways[i].fate == TRAFFIC_FORWARD)
			t->uses[ways[i].set] = true;
}

/* A range of everybody is no restriction. */
static bool is_restricted(const struct proxy_half *s)
{
	const struct proxy_outside *o = proxy_outside(s);

	for (size_t i = 0; i < o->n_source_ranges; i++)
		if (o->source_ranges[i].len == 0)
			return false;
	return o->n_source_ranges > 0;
}

bool traffic_plan(const struct traffic_node *node, const struct proxy_half *s, size_t i,
                  struct traffic_port *ret_port)
{
	const struct proxy_port *p = &s->ports[i], *before = i > 0 ? p - 1 : NULL;
	const struct proxy_outside *o = proxy_outside(s);

	if (p->port == 0 ||
	    (p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP && p->proto != IPPROTO_SCTP))
		return false;
	if (before && before->proto == p->proto && before->port == p->port)
		return false;
	struct traffic_port t = {
		.service = s,
		.port = p,
		.inside = !addr_is_none(&s->cluster_ip),
		.outside = p->node_port || o->n_vips || o->n_external_ips,
		.restricted = is_restricted(s),
		.affinity_s = s->traffic.affinity_s,
	};
	plan_internal(&t, node);
	plan_external(&t, node);
	if (t.inside)
		note_sets(&t, t.internal);
	if (t.outside)
		note_sets(&t, t.external);
	*ret_port = t;
	return true;
}

struct traffic_way traffic_way(const struct traffic_port *t, enum traffic_class class,
                               enum traffic_origin origin, bool in_ranges)
{
	struct traffic_way way =
		class == TRAFFIC_CLUSTER_IP ? t->internal[origin] : t->external[origin];

	if (class == TRAFFIC_VIP && t->restricted && !in_ranges && way.fate == TRAFFIC_FORWARD)
		return (struct traffic_way){ .fate = TRAFFIC_DROP, .why = TRAFFIC_NOT_IN_RANGES };
	return way;
}

bool traffic_way_eq(const struct traffic_way *a, const struct traffic_way *b)
{
	return a->fate == b->fate && a->set == b->set && a->masquerade == b->masquerade;
}

int traffic_precedence(const struct proxy_half *a, const struct proxy_half *b)
{
	const struct seniority one = seniority_of(a->created_us, a->key);
	const struct seniority another = seniority_of(b->created_us, b->key);

	return seniority_cmp(&one, &another);
}

bool traffic_in_any(const struct prefix *prefixes, size_t n, const struct addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (prefix_contains(&prefixes[i], a))
			return true;
	return false;
}

bool traffic_is_loopback(const struct addr *a)
{
	static const struct addr six = { .family = 6, .b = { [15] = 1 } };

	return a->family == 4 ? a->b[0] == 127 : addr_eq(a, &six);
}

bool traffic_has_node_ports(const struct proxy_options *o, const struct proxy_node *n,
                            enum traffic_origin from, const struct addr *a)
{
	if (traffic_is_loopback(a))
		return o->localhost_node_ports && a->family == 4 && from == TRAFFIC_NODE;
	return traffic_in_any(n->node_port_cidrs, n->n_node_port_cidrs, a);
}

void traffic_each_destination(const struct traffic_port *t, traffic_destination_fn *fn, void *arg)
{
	const struct proxy_half *s = t->service;
	const struct proxy_outside *o = proxy_outside(s);
	struct traffic_destination d = { .proto = t->port->proto, .port = t->port->port };

	if (t->inside) {
		d.class = TRAFFIC_CLUSTER_IP;
		d.addr = &s->cluster_ip;
		fn(&d, arg);
	}
	d.class = TRAFFIC_VIP;
	for (size_t i = 0; i < o->n_vips; i++) {
		d.addr = &o->vips[i];
		fn(&d, arg);
	}
	d.class = TRAFFIC_EXTERNAL_IP;
	for (size_t i = 0; i < o->n_external_ips; i++) {
		d.addr = &o->external_ips[i];
		fn(&d, arg);
	}
	if (t->port->node_port) {
		d.class = TRAFFIC_NODE_PORT;
		d.addr = NULL;
		d.port = t->port->node_port;
		fn(&d, arg);
	}
}

static void guard(const struct proxy_outside *o, const struct addr *a, size_t n,
                  traffic_guarded_fn *fn, void *arg)
{
	for (size_t i = 0; i < n; i++)
		if (!addrs_contain(o->open, o->n_open, &a[i]))
			fn(&a[i], arg);
}

void traffic_each_guarded(const struct proxy_half *s, traffic_guarded_fn *fn, void *arg)
{
	const struct proxy_outside *o = proxy_outside(s);

	guard(o, o->vips, o->n_vips, fn, arg);
	guard(o, o->external_ips, o->n_external_ips, fn, arg);
}
