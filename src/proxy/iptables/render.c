/* SPDX-License-Identifier: Apache-2.0 */
/* The decision table (traffic.h) as chains: those of a Service, and the lines that lead there. */
#include "config.h"

#include "proxy/iptables/render_private.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "proxy/traffic.h"

static const char *const index_names[BUCKET_KINDS] = { "FL-SVC", "FL-NP", "FL-FLT", "FL-NPF" };

const unsigned int render_bucket_first[BUCKET_KINDS + 1] = {
	0, BUCKETS_ADDR, BUCKETS_ADDR + BUCKETS_PORT, 2 * BUCKETS_ADDR + BUCKETS_PORT, BUCKETS,
};

enum bucket_kind bucket_kind(unsigned int bucket)
{
	unsigned int kind = BUCKET_KINDS - 1;

	while (bucket < render_bucket_first[kind])
		kind--;
	return (enum bucket_kind)kind;
}

const char *render_index_name(enum bucket_kind kind)
{
	return index_names[kind];
}

void bucket_name(unsigned int bucket, char ret_name[static CHAIN_NAME_SIZE])
{
	enum bucket_kind kind = bucket_kind(bucket);
	unsigned int number = bucket - render_bucket_first[kind];

	switch (kind) {
	case BUCKET_NAT_ADDR:
		snprintf(ret_name, CHAIN_NAME_SIZE, "FL-B-%02x", number);
		break;
	case BUCKET_NAT_PORT:
		snprintf(ret_name, CHAIN_NAME_SIZE, "FL-N-%03x", number);
		break;
	case BUCKET_FILTER_ADDR:
		snprintf(ret_name, CHAIN_NAME_SIZE, "FL-D-%02x", number);
		break;
	case BUCKET_FILTER_PORT:
		snprintf(ret_name, CHAIN_NAME_SIZE, "FL-R-%03x", number);
		break;
	}
}

const char *const render_protos[RENDER_PROTOS] = { "tcp", "udp", "sctp" };

/* The protocol's index in render_protos, -1 for one that the API does not know. */
static int proto_index(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return 0;
	case IPPROTO_UDP:
		return 1;
	case IPPROTO_SCTP:
		return 2;
	default:
		return -1;
	}
}

static unsigned int bucket_of_addr(enum bucket_kind kind, const struct addr *a)
{
	return render_bucket_first[kind] + a->b[a->family == 4 ? 3 : 15];
}

static unsigned int bucket_of_port(enum bucket_kind kind, uint8_t proto, uint16_t port)
{
	return render_bucket_first[kind] +
	       (((unsigned int)proto_index(proto) << 16 | port) >> BUCKET_PORT_BITS);
}

/* One port of one Service, with the names of what follows from it. */
struct port_plan {
	const struct render_options *o;
	const struct proxy_half *s;
	const struct proxy_port *p;
	const char *proto;
	struct traffic_port traffic;
	bool external_chain; /* some of what comes from outside is forwarded, or dropped */
	char id[CHAIN_ID_SIZE];
};

bool render_knows_pods(const struct render_options *o)
{
	return traffic_knows_pods(o->pods_by, &o->node, o->family);
}

static bool plan_port(const struct render_options *o, const struct proxy_half *s, size_t i,
                      struct port_plan *ret_plan)
{
	struct port_plan n = { .o = o, .s = s, .p = &s->ports[i] };
	char text[CHAIN_NAME_SIZE + 320];

	const struct traffic_node node = { .knows_pods = render_knows_pods(o),
		                           .masquerade_all = o->masquerade_all };

	if (!traffic_plan(&node, s, i, &n.traffic))
		return false;
	n.proto = render_protos[proto_index(n.p->proto)];
	n.external_chain =
		n.traffic.outside && n.traffic.external[TRAFFIC_OUTSIDE].fate != TRAFFIC_REJECT;
	snprintf(text, sizeof(text), "%s|%s|%d", s->key, n.proto, n.p->port);
	chain_id(text, n.id);
	*ret_plan = n;
	return true;
}

static void endpoint_name(const struct port_plan *n, const struct proxy_endpoint *e,
                          char ret_name[static CHAIN_NAME_SIZE])
{
	char text[CHAIN_ID_SIZE + ADDR_STR_SIZE + 16], id[CHAIN_ID_SIZE];

	snprintf(text, sizeof(text), "%s|%s|%d", n->id, addr_str(&e->addr), e->port);
	chain_id(text, id);
	snprintf(ret_name, CHAIN_NAME_SIZE, "FL-P-%s", id);
}

static void begin(const struct port_plan *n, struct chain *c, const char *name)
{
	char label[CHAIN_LABEL_SIZE];

	snprintf(label, sizeof(label), "%s:%s", n->s->key, *n->p->name ? n->p->name : n->proto);
	chain_begin(c, name, label);
}

static void begin_kind(const struct port_plan *n, struct chain *c, char kind)
{
	char name[CHAIN_NAME_SIZE];

	snprintf(name, sizeof(name), "FL-%c-%s", kind, n->id);
	begin(n, c, name);
}

void render_from_pods(const struct render_options *o, struct chain *c, const char *match,
                      const char *target)
{
	const char *space = *match ? " " : "", *plus = "";

	/* A prefix that is as long as names can be is a name. */
	if (o->pods_by == PROXY_PODS_BY_INTERFACE_PREFIX && strlen(o->pod_interface) < IFNAMSIZ - 1)
		plus = "+";
	if (o->pods_by != PROXY_PODS_BY_SOURCE) {
		chain_rule(c, "-i %s%s %s%s-j %s", o->pod_interface, plus, match, space, target);
		return;
	}
	for (size_t i = 0; i < o->node.n_pod_cidrs; i++) {
		char cidr[PREFIX_STR_SIZE];
		if (o->node.pod_cidrs[i].addr.family == o->family)
			chain_rule(c, "-s %s %s%s-j %s", prefix_format(&o->node.pod_cidrs[i], cidr),
			           match, space, target);
	}
}

static char set_letter(enum traffic_set set)
{
	return set == TRAFFIC_LOCAL_SET ? 'L' : 'C';
}

/* Whether an endpoint has a chain of its own, rather than a rule in each set's. */
static bool has_endpoint_chains(const struct port_plan *n)
{
	return n->traffic.affinity_s || !n->o->knows_bpf;
}

#define DNAT_SIZE (ADDR_STR_SIZE + 32)

static const char *dnat(const struct proxy_endpoint *e, char ret_text[static DNAT_SIZE])
{
	bool six = e->addr.family == 6;

	snprintf(ret_text, DNAT_SIZE, "DNAT --to-destination %s%s%s:%d", six ? "[" : "",
	         addr_str(&e->addr), six ? "]" : "", e->port);
	return ret_text;
}

/* One of @n_left endpoints, if it is drawn. */
static void rule_of_lot(const struct port_plan *n, const struct proxy_endpoint *e, size_t n_left,
                        struct chain *c)
{
	char lot[64] = "", target[DNAT_SIZE];

	if (n_left > 1)
		snprintf(lot, sizeof(lot), "-m statistic --mode random --probability %.10f ",
		         1.0 / (double)n_left);
	if (has_endpoint_chains(n)) {
		endpoint_name(n, e, target);
		chain_rule(c, "%s-j %s", lot, target);
	} else {
		chain_rule(c, "-p %s %s-j %s", n->proto, lot, dnat(e, target));
	}
}

/* The cluster or the local set: masquerade toward the cluster IP, known clients, then by lot. */
static void render_set(const struct port_plan *n, enum traffic_set set,
                       const struct proxy_endpoint *e, size_t n_e, struct chain *c)
{
	const struct addr *ip = &n->s->cluster_ip;
	const struct traffic_way *way = &n->traffic.internal[TRAFFIC_OUTSIDE];
	const char *who = n->traffic.internal[TRAFFIC_POD].masquerade ? "FL-MARK" : "FL-NODE";
	char name[CHAIN_NAME_SIZE];

	begin_kind(n, c, set_letter(set));
	if (n->traffic.inside && way->set == set && way->masquerade && !n->external_chain)
		chain_rule(c, "-j %s", who); /* nothing else comes here */
	else if (n->traffic.inside && way->set == set && way->masquerade)
		chain_rule(c, "-d %s/%u -p %s -m %s --dport %d -j %s", addr_str(ip), addr_bits(ip),
		           n->proto, n->proto, n->p->port, who);
	for (size_t i = 0; n->traffic.affinity_s && i < n_e; i++) {
		endpoint_name(n, &e[i], name);
		chain_rule(c, "-m recent --name %s --rcheck --seconds %u --reap -j %s", name,
		           n->traffic.affinity_s, name);
	}
	for (size_t i = 0; i < n_e; i++)
		rule_of_lot(n, &e[i], n_e - i, c);
}

static void render_endpoint(const struct port_plan *n, const struct proxy_endpoint *e,
                            struct chain *c)
{
	char name[CHAIN_NAME_SIZE], to[DNAT_SIZE], recent[CHAIN_NAME_SIZE + 32] = "";

	endpoint_name(n, e, name);
	begin(n, c, name);
	if (!n->o->knows_bpf)
		chain_rule(c, "-s %s/%u -j FL-MARK", addr_str(&e->addr), addr_bits(&e->addr));
	if (n->traffic.affinity_s)
		snprintf(recent, sizeof(recent), "-m recent --name %s --set ", name);
	chain_rule(c, "-p %s %s-j %s", n->proto, recent, dnat(e, to));
}

/* Packets that do not take the usual way. */
static void render_short_circuits(const struct port_plan *n, struct chain *c)
{
	static const char from_node[] = "-m addrtype --src-type LOCAL";
	const struct traffic_way *ways = n->traffic.external;
	const struct traffic_way *pod = &ways[TRAFFIC_POD], *node = &ways[TRAFFIC_NODE];
	char set[CHAIN_NAME_SIZE];

	if (!traffic_way_eq(pod, &ways[TRAFFIC_OUTSIDE])) {
		snprintf(set, sizeof(set), "FL-%c-%s", set_letter(pod->set), n->id);
		render_from_pods(n->o, c, "", set);
	}
	if (!traffic_way_eq(node, &ways[TRAFFIC_OUTSIDE])) {
		chain_rule(c, "%s -j FL-MARK", from_node);
		chain_rule(c, "%s -j FL-%c-%s", from_node, set_letter(node->set), n->id);
	}
}

static void render_external(const struct port_plan *n, struct chain *c)
{
	const struct traffic_way *way = &n->traffic.external[TRAFFIC_OUTSIDE];
	uint32_t m = n->o->mark;

	begin_kind(n, c, 'E');
	render_short_circuits(n, c);
	if (way->fate != TRAFFIC_FORWARD)
		return;
	if (way->masquerade)
		chain_rule(c, "-j FL-MARK");
	else
		chain_rule(c, "-j CONNMARK --set-xmark 0x%x/0x%x", m, m);
	chain_rule(c, "-j FL-%c-%s", set_letter(way->set), n->id);
}

static void render_source_ranges(const struct port_plan *n, struct chain *c)
{
	const struct proxy_outside *o = proxy_outside(n->s);

	begin_kind(n, c, 'F');
	for (size_t i = 0; i < o->n_source_ranges; i++) {
		char cidr[PREFIX_STR_SIZE];
		chain_rule(c, "-s %s -j FL-E-%s", prefix_format(&o->source_ranges[i], cidr), n->id);
	}
}

static bool contains(const struct proxy_endpoint *set, size_t n, const struct proxy_endpoint *e)
{
	for (size_t i = 0; i < n; i++)
		if (set[i].port == e->port && addr_eq(&set[i].addr, &e->addr))
			return true;
	return false;
}

static void render_port(const struct port_plan *n, struct chain *c, render_chain_fn *fn, void *arg)
{
	const struct proxy_port *p = n->p;
	bool cluster = n->traffic.uses[TRAFFIC_CLUSTER_SET];
	bool local = n->traffic.uses[TRAFFIC_LOCAL_SET];

	if (n->external_chain) {
		render_external(n, c);
		fn(c, arg);
	}
	if (n->external_chain && n->traffic.restricted && proxy_outside(n->s)->n_vips) {
		render_source_ranges(n, c);
		fn(c, arg);
	}
	if (cluster) {
		render_set(n, TRAFFIC_CLUSTER_SET, p->cluster, p->n_cluster, c);
		fn(c, arg);
	}
	if (local) {
		render_set(n, TRAFFIC_LOCAL_SET, p->local, p->n_local, c);
		fn(c, arg);
	}
	if (!has_endpoint_chains(n))
		return;
	for (size_t i = 0; cluster && i < p->n_cluster; i++) {
		render_endpoint(n, &p->cluster[i], c);
		fn(c, arg);
	}
	for (size_t i = 0; local && i < p->n_local; i++) {
		if (cluster && contains(p->cluster, p->n_cluster, &p->local[i]))
			continue;
		render_endpoint(n, &p->local[i], c);
		fn(c, arg);
	}
}

void render_service(const struct render_options *o, const struct proxy_half *s, render_chain_fn *fn,
                    void *arg)
{
	struct chain c = { .n_rules = 0 };

	for (size_t i = 0; i < s->n_ports; i++) {
		struct port_plan n;
		if (plan_port(o, s, i, &n))
			render_port(&n, &c, fn, arg);
	}
	chain_fini(&c);
}

/* Dispatch lines of one port: nat where it forwards, filter where it refuses. */
struct line_sink {
	unsigned int only; /* lines of this bucket, BUCKETS: of all */
	render_line_fn *fn;
	void *arg;
};

static bool wants(const struct line_sink *to, unsigned int bucket)
{
	return to->only == BUCKETS || to->only == bucket;
}

static void line(const struct line_sink *to, unsigned int bucket, bool after, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void line(const struct line_sink *to, unsigned int bucket, bool after, const char *fmt, ...)
{
	char rule[256];
	va_list ap;

	if (!wants(to, bucket))
		return;
	va_start(ap, fmt);
	vsnprintf(rule, sizeof(rule), fmt, ap);
	va_end(ap);
	to->fn(bucket, after, rule, to->arg);
}

static const char *refusal(enum traffic_fate f)
{
	return f == TRAFFIC_DROP ? "DROP" : "REJECT";
}

struct dispatch {
	const struct port_plan *n;
	const struct line_sink *to;
};

/* The chain that nat leads to, '\0' if to none. */
static char first_chain(const struct port_plan *n, enum traffic_class class)
{
	const struct traffic_way *inside = &n->traffic.internal[TRAFFIC_OUTSIDE];

	if (class == TRAFFIC_CLUSTER_IP)
		return inside->fate == TRAFFIC_FORWARD ? set_letter(inside->set) : '\0';
	if (!n->external_chain)
		return '\0';
	return class == TRAFFIC_VIP && n->traffic.restricted ? 'F' : 'E';
}

static void dispatch_destination(const struct traffic_destination *d, void *arg)
{
	const struct dispatch *at = arg;
	const struct port_plan *n = at->n;
	/* Filter sees what no nat rule took, and so no source that may come in. */
	enum traffic_fate left = traffic_way(&n->traffic, d->class, TRAFFIC_OUTSIDE, false).fate;
	unsigned int nat = d->addr ? bucket_of_addr(BUCKET_NAT_ADDR, d->addr)
	                           : bucket_of_port(BUCKET_NAT_PORT, d->proto, d->port);
	unsigned int filter = d->addr ? bucket_of_addr(BUCKET_FILTER_ADDR, d->addr)
	                              : bucket_of_port(BUCKET_FILTER_PORT, d->proto, d->port);
	char to_addr[ADDR_STR_SIZE + 16] = "", chain = first_chain(n, d->class);

	if (!wants(at->to, nat) && !wants(at->to, filter))
		return;
	if (d->addr)
		snprintf(to_addr, sizeof(to_addr), "-d %s/%u ", addr_str(d->addr),
		         addr_bits(d->addr));
	if (chain)
		line(at->to, nat, false, "%s-p %s -m %s --dport %d -j FL-%c-%s", to_addr, n->proto,
		     n->proto, d->port, chain, n->id);
	if (left != TRAFFIC_FORWARD)
		line(at->to, filter, false, "%s-p %s -m %s --dport %d -j %s", to_addr, n->proto,
		     n->proto, d->port, refusal(left));
}

static void dispatch_guard(const struct addr *a, void *arg)
{
	line(arg, bucket_of_addr(BUCKET_FILTER_ADDR, a), true,
	     "-d %s/%u -m addrtype ! --dst-type LOCAL -j REJECT", addr_str(a), addr_bits(a));
}

/*
 * Here the speaker answers for this node, and no firewall of the host keeps that from whoever asks.
 * Only the first packet comes here: the others are known by the mark.
 */
static void dispatch_health(const struct render_options *o, uint16_t port,
                            const struct line_sink *to)
{
	unsigned int bucket = bucket_of_port(BUCKET_FILTER_PORT, IPPROTO_TCP, port);

	line(to, bucket, false, "-p tcp -m tcp --dport %d -j CONNMARK --set-xmark 0x%x/0x%x", port,
	     o->mark, o->mark);
	line(to, bucket, false, "-p tcp -m tcp --dport %d -j ACCEPT", port);
}

static void dispatch(const struct render_options *o, const struct proxy_half *s,
                     struct line_sink to)
{
	for (size_t i = 0; i < s->n_ports; i++) {
		struct port_plan n;
		if (plan_port(o, s, i, &n))
			traffic_each_destination(&n.traffic, dispatch_destination,
			                         &(struct dispatch){ &n, &to });
	}
	if (s->traffic.health_port)
		dispatch_health(o, s->traffic.health_port, &to);
	traffic_each_guarded(s, dispatch_guard, &to);
}

void render_dispatch(const struct render_options *o, const struct proxy_half *s, render_line_fn *fn,
                     void *arg)
{
	dispatch(o, s, (struct line_sink){ BUCKETS, fn, arg });
}

void render_bucket(const struct render_options *o, const struct proxy_half *s, unsigned int bucket,
                   render_line_fn *fn, void *arg)
{
	dispatch(o, s, (struct line_sink){ bucket, fn, arg });
}

void render_caught(const struct render_options *o, const struct proxy_half *s, size_t port,
                   const struct traffic_destination *d, render_line_fn *fn, void *arg)
{
	struct line_sink to = { BUCKETS, fn, arg };
	struct port_plan n;

	if (plan_port(o, s, port, &n))
		dispatch_destination(d, &(struct dispatch){ &n, &to });
}

void render_guard(const struct addr *a, render_line_fn *fn, void *arg)
{
	dispatch_guard(a, &(struct line_sink){ BUCKETS, fn, arg });
}
