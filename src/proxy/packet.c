/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/packet.h"

#include <netinet/in.h>
#include <string.h>

#include "fairlead/mem.h"
#include "proxy/backend.h"
#include "proxy/spec.h"
#include "proxy/traffic.h"

static bool is_of_node(const struct packet_node *node, const struct addr *a)
{
	return traffic_is_loopback(a) || addrs_contain(node->addresses, node->n, a);
}

static enum traffic_origin origin_of(const struct packet_node *node, const struct addr *from)
{
	const struct proxy_node *n = node->facts;

	if (traffic_in_any(n->pod_cidrs, n->n_pod_cidrs, from))
		return TRAFFIC_POD;
	return is_of_node(node, from) ? TRAFFIC_NODE : TRAFFIC_OUTSIDE;
}

/* ---- which destination it is ---- */

struct search {
	const struct packet_node *node;
	const struct packet *p;
	enum traffic_origin origin;
	size_t i;                 /* the port that is looked at */
	struct traffic_port port; /* likewise */
	bool found, not_chosen;
	size_t found_i;
	struct traffic_port found_port;
	struct traffic_destination at;
};

/* An address is looked at before node ports are. */
static void look(const struct traffic_destination *d, void *arg)
{
	struct search *s = arg;

	if (d->proto != s->p->proto || d->port != s->p->port)
		return;
	if (d->addr ? !addr_eq(d->addr, &s->p->to) : !is_of_node(s->node, &s->p->to))
		return;
	if (!d->addr &&
	    !traffic_has_node_ports(s->node->options, s->node->facts, s->origin, &s->p->to)) {
		s->not_chosen = true;
		return;
	}
	if (s->found && (s->at.addr || !d->addr))
		return;
	s->found = true;
	s->found_i = s->i;
	s->found_port = s->port;
	s->at = *d;
}

static void search(struct search *s, const struct proxy_half *half)
{
	const struct proxy_options *o = s->node->options;
	const struct traffic_node node = {
		.knows_pods = traffic_knows_pods(o->pods_by, s->node->facts, half->family),
		.masquerade_all = o->masquerade_all,
	};

	for (s->i = 0; s->i < half->n_ports; s->i++)
		if (traffic_plan(&node, half, s->i, &s->port))
			traffic_each_destination(&s->port, look, s);
}

/* ---- what it meets ---- */

static void catch_at(const struct packet_node *node, const struct proxy_half *half, size_t i,
                     const struct traffic_destination *d, const struct addr *guarded,
                     struct packet_answer *ret)
{
	const struct backend *b = backend_of(node->options->mode);

	const struct proxy_options o = backend_options(node->options);

	if (b->caught_by)
		b->caught_by(&o, node->facts, half, i, d, guarded, ret);
}

static void serve(const struct search *s, const struct proxy_half *half, struct packet_answer *ret)
{
	const struct proxy_outside *o = proxy_outside(half);
	bool in_ranges = traffic_in_any(o->source_ranges, o->n_source_ranges, &s->p->from);
	const struct traffic_way way =
		traffic_way(&s->found_port, s->at.class, ret->origin, in_ranges);
	const struct proxy_port *port = s->found_port.port;
	bool local = way.set == TRAFFIC_LOCAL_SET;

	ret->end = PACKET_SERVED;
	ret->class = s->at.class;
	ret->fate = way.fate;
	ret->why = way.why;
	if (way.fate == TRAFFIC_FORWARD) {
		ret->set = way.set;
		ret->masquerade = way.masquerade;
		ret->affinity_s = s->found_port.affinity_s;
		ret->endpoints = local ? port->local : port->cluster;
		ret->n_endpoints = local ? port->n_local : port->n_cluster;
	}
	catch_at(s->node, half, s->found_i, &s->at, NULL, ret);
	ret->scheduler_named = *ret->scheduler && half->traffic.scheduler;
}

struct guards {
	const struct addr *to;
	bool found;
};

static void look_guarded(const struct addr *a, void *arg)
{
	struct guards *g = arg;

	g->found = g->found || addr_eq(a, g->to);
}

static bool has_address(const struct proxy_half *s, const struct addr *a)
{
	const struct proxy_outside *o = proxy_outside(s);

	return addr_eq(&s->cluster_ip, a) || addrs_contain(o->vips, o->n_vips, a) ||
	       addrs_contain(o->external_ips, o->n_external_ips, a);
}

static void miss(const struct search *s, const struct proxy_half *half, struct packet_answer *ret)
{
	struct guards g = { .to = &s->p->to };
	bool own = is_of_node(s->node, g.to);

	traffic_each_guarded(half, look_guarded, &g);
	if (g.found && !own) {
		ret->end = PACKET_GUARDED;
		catch_at(s->node, half, 0, NULL, g.to, ret);
	} else if (own && s->p->proto == IPPROTO_TCP && half->traffic.health_port &&
	           s->p->port == half->traffic.health_port) {
		ret->end = PACKET_HEALTH;
	} else if (s->not_chosen) {
		ret->end = PACKET_NOT_CHOSEN;
	} else {
		ret->end = has_address(half, g.to) ? PACKET_OTHER_PORT : PACKET_NOT_ITS_OWN;
	}
}

void packet_follow(const struct proxy_half *half, const struct packet_node *node,
                   const struct packet *p, struct packet_answer *ret)
{
	struct spec *spec = spec_new(half);
	struct search s = { .node = node, .p = p, .origin = origin_of(node, &p->from) };

	*ret = (struct packet_answer){ .origin = s.origin, .caught_by = BUF_INIT, .spec = spec };
	search(&s, &spec->s);
	if (s.found)
		serve(&s, &spec->s, ret);
	else
		miss(&s, &spec->s, ret);
}

void packet_answer_fini(struct packet_answer *a)
{
	buf_fini(&a->caught_by);
	spec_unref(a->spec);
	*a = (struct packet_answer){ .spec = NULL };
}

static bool endpoints_eq(const struct packet_answer *a, const struct packet_answer *b)
{
	if (a->n_endpoints != b->n_endpoints)
		return false;
	for (size_t i = 0; i < a->n_endpoints; i++)
		if (a->endpoints[i].port != b->endpoints[i].port ||
		    !addr_eq(&a->endpoints[i].addr, &b->endpoints[i].addr))
			return false;
	return true;
}

bool packet_answer_eq(const struct packet_answer *a, const struct packet_answer *b)
{
	return a->end == b->end && a->origin == b->origin && a->class == b->class &&
	       a->fate == b->fate && a->why == b->why && a->set == b->set &&
	       a->masquerade == b->masquerade && a->affinity_s == b->affinity_s &&
	       !strcmp(a->scheduler, b->scheduler) && a->scheduler_named == b->scheduler_named &&
	       endpoints_eq(a, b) && !strcmp(buf_str(&a->caught_by), buf_str(&b->caught_by));
}
