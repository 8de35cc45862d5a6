/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decision table, per destination class:
 *
 *   state                                   cluster IP            node port, address from outside
 *   no usable endpoint anywhere             REJECT                REJECT
 *   policy Cluster                          cluster set           masquerade, cluster set
 *   policy Local, local set not empty       local set             Pod: cluster set; host:
 *                                           masquerade, cluster set;
 *                                                                 else local set, client address
 *                                                                 kept
 *   policy Local, local set empty           DROP                  Pod and host as above; else DROP
 *
 * Toward a cluster IP, what does not come from a Pod is masqueraded (when the Pods' addresses are
 * known), and so is, always, an endpoint that reaches itself.
 *
 * The refusing rules stand first in FORWARD, the accepting ones last, or just before the rule by
 * which a host firewall refuses whatever comes (path.c): a network policy that drops is never
 * overruled, and what would be dropped only because nobody accepts it gets through.  Flows that
 * keep the client's address carry no packet mark, so they are recognised by the connection mark.
 */
#include "config.h"

#include "proxy/iptables/render.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

const struct render_jump render_jumps[RENDER_JUMPS] = {
	{ CHAIN_FILTER, "INPUT", "FL-IN", false },
	{ CHAIN_FILTER, "FORWARD", "FL-FWD", false },
	{ CHAIN_FILTER, "FORWARD", "FL-ACC", true },
	{ CHAIN_FILTER, "OUTPUT", "FL-OUT", false },
	{ CHAIN_NAT, "PREROUTING", "FL-SVC", false },
	{ CHAIN_NAT, "OUTPUT", "FL-SVC", false },
	{ CHAIN_NAT, "POSTROUTING", "FL-POST", false },
};

static const char *const index_names[BUCKET_KINDS] = { "FL-SVC", "FL-NP", "FL-FLT", "FL-NPF" };

/* Where each kind's numbers start, and where the last one's end. */
static const unsigned int bucket_first[BUCKET_KINDS + 1] = {
	0, BUCKETS_ADDR, BUCKETS_ADDR + BUCKETS_PORT, 2 * BUCKETS_ADDR + BUCKETS_PORT, BUCKETS,
};

enum bucket_kind bucket_kind(unsigned int bucket)
{
	unsigned int kind = BUCKET_KINDS - 1;

	while (bucket < bucket_first[kind])
		kind--;
	return (enum bucket_kind)kind;
}

void bucket_name(unsigned int bucket, char ret_name[static CHAIN_NAME_SIZE])
{
	enum bucket_kind kind = bucket_kind(bucket);
	unsigned int number = bucket - bucket_first[kind];

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

static const char *const proto_names[] = { "tcp", "udp", "sctp" };

/* The protocol's place among proto_names, -1 for one that the API does not know. */
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
	return bucket_first[kind] + a->b[a->family == 4 ? 3 : 15];
}

static unsigned int bucket_of_port(enum bucket_kind kind, uint8_t proto, uint16_t port)
{
	return bucket_first[kind] +
	       (((unsigned int)proto_index(proto) << 16 | port) >> BUCKET_PORT_BITS);
}

/* What becomes of a packet toward one destination class of a port. */
enum fate { FATE_FORWARD, FATE_REJECT, FATE_DROP };

static enum fate fate(const struct proxy_port *p, bool policy_local)
{
	if (!p->has_any || (!policy_local && p->n_cluster == 0))
		return FATE_REJECT;
	return policy_local && p->n_local == 0 ? FATE_DROP : FATE_FORWARD;
}

/* One port of one Service, with what follows from it. */
struct port_plan {
	const struct render_options *o;
	const struct proxy_service *s;
	const struct proxy_port *p;
	const char *proto;
	enum fate internal, external;
	bool outside;                        /* reachable from outside the cluster */
	bool filtered;                       /* only some sources may use the VIPs */
	bool cluster, local, external_chain; /* which chains there are */
	char id[CHAIN_ID_SIZE];
};

static bool plan_port(const struct render_options *o, const struct proxy_service *s, size_t i,
                      struct port_plan *ret_plan)
{
	const struct proxy_port *p = &s->ports[i];

	if (proto_index(p->proto) < 0 || p->port == 0)
		return false;
	struct port_plan n = {
		.o = o, .s = s, .p = p, .proto = proto_names[proto_index(p->proto)]
	};
	if (i > 0 && s->ports[i - 1].proto == p->proto && s->ports[i - 1].port == p->port)
		return false;

	bool inside = !addr_is_none(&s->cluster_ip);
	n.outside = p->node_port || s->n_vips || s->n_external_ips;
	n.internal = fate(p, s->traffic.internal_local);
	n.external = fate(p, s->traffic.external_local);
	n.filtered = s->n_source_ranges > 0;
	for (size_t r = 0; r < s->n_source_ranges; r++)
		n.filtered = n.filtered && s->source_ranges[r].len > 0;
	n.external_chain = n.outside && n.external != FATE_REJECT;
	n.cluster =
		p->has_any && p->n_cluster && ((inside && !s->traffic.internal_local) || n.outside);
	n.local =
		p->has_any && p->n_local &&
		((inside && s->traffic.internal_local) || (n.outside && s->traffic.external_local));

	char text[CHAIN_NAME_SIZE + 320];
	snprintf(text, sizeof(text), "%s|%s|%d", s->key, n.proto, p->port);
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

static bool knows_pods(const struct render_options *o)
{
	for (size_t i = 0; i < o->n_cluster_cidrs; i++)
		if (o->cluster_cidrs[i].addr.family == o->family)
			return true;
	return false;
}

/* Adds "-s CIDR MATCH -j TARGET" for all Pods' addresses. */
static void rules_from_pods(const struct render_options *o, struct chain *c, const char *match,
                            const char *target)
{
	for (size_t i = 0; i < o->n_cluster_cidrs; i++) {
		char cidr[PREFIX_STR_SIZE];
		if (o->cluster_cidrs[i].addr.family == o->family)
			chain_rule(c, "-s %s %s%s-j %s", prefix_format(&o->cluster_cidrs[i], cidr),
			           match, *match ? " " : "", target);
	}
}

/* The cluster or the local set: masquerade toward the cluster IP, known clients, then by lot. */
static void render_set(const struct port_plan *n, char kind, const struct proxy_endpoint *e,
                       size_t n_e, struct chain *c)
{
	const struct proxy_service *s = n->s;
	unsigned int bits = addr_bits(&s->cluster_ip);
	bool internal = kind == (s->traffic.internal_local ? 'L' : 'C');
	char name[CHAIN_NAME_SIZE];

	begin_kind(n, c, kind);
	if (internal && !addr_is_none(&s->cluster_ip) && knows_pods(n->o))
		chain_rule(c, "-d %s/%u -p %s -m %s --dport %d -j FL-NODE",
		           addr_str(&s->cluster_ip), bits, n->proto, n->proto, n->p->port);
	for (size_t i = 0; s->traffic.affinity_s && i < n_e; i++) {
		endpoint_name(n, &e[i], name);
		chain_rule(c, "-m recent --name %s --rcheck --seconds %u --reap -j %s", name,
		           s->traffic.affinity_s, name);
	}
	for (size_t i = 0; i < n_e; i++) {
		endpoint_name(n, &e[i], name);
		if (i + 1 < n_e)
			chain_rule(c, "-m statistic --mode random --probability %.10f -j %s",
			           1.0 / (double)(n_e - i), name);
		else
			chain_rule(c, "-j %s", name);
	}
}

static void render_endpoint(const struct port_plan *n, const struct proxy_endpoint *e,
                            struct chain *c)
{
	bool six = e->addr.family == 6;
	char name[CHAIN_NAME_SIZE], recent[CHAIN_NAME_SIZE + 32] = "";

	endpoint_name(n, e, name);
	begin(n, c, name);
	chain_rule(c, "-s %s/%u -j FL-MARK", addr_str(&e->addr), addr_bits(&e->addr));
	if (n->s->traffic.affinity_s)
		snprintf(recent, sizeof(recent), "-m recent --name %s --set ", name);
	chain_rule(c, "-p %s %s-j DNAT --to-destination %s%s%s:%d", n->proto, recent,
	           six ? "[" : "", addr_str(&e->addr), six ? "]" : "", e->port);
}

static void render_external(const struct port_plan *n, struct chain *c)
{
	char set[CHAIN_NAME_SIZE];

	snprintf(set, sizeof(set), "FL-C-%s", n->id);
	begin_kind(n, c, 'E');
	if (!n->s->traffic.external_local) {
		chain_rule(c, "-j FL-MARK");
		chain_rule(c, "-j %s", set);
		return;
	}
	if (n->cluster) {
		rules_from_pods(n->o, c, "", set);
		chain_rule(c, "-m addrtype --src-type LOCAL -j FL-MARK");
		chain_rule(c, "-m addrtype --src-type LOCAL -j %s", set);
	}
	if (n->local) {
		chain_rule(c, "-j CONNMARK --set-xmark 0x%x/0x%x", n->o->mark, n->o->mark);
		chain_rule(c, "-j FL-L-%s", n->id);
	}
}

static void render_source_ranges(const struct port_plan *n, struct chain *c)
{
	begin_kind(n, c, 'F');
	for (size_t i = 0; i < n->s->n_source_ranges; i++) {
		char cidr[PREFIX_STR_SIZE];
		chain_rule(c, "-s %s -j FL-E-%s", prefix_format(&n->s->source_ranges[i], cidr),
		           n->id);
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

	if (n->external_chain) {
		render_external(n, c);
		fn(c, arg);
	}
	if (n->external_chain && n->filtered && n->s->n_vips) {
		render_source_ranges(n, c);
		fn(c, arg);
	}
	if (n->cluster) {
		render_set(n, 'C', p->cluster, p->n_cluster, c);
		fn(c, arg);
	}
	if (n->local) {
		render_set(n, 'L', p->local, p->n_local, c);
		fn(c, arg);
	}
	for (size_t i = 0; n->cluster && i < p->n_cluster; i++) {
		render_endpoint(n, &p->cluster[i], c);
		fn(c, arg);
	}
	for (size_t i = 0; n->local && i < p->n_local; i++) {
		if (n->cluster && contains(p->cluster, p->n_cluster, &p->local[i]))
			continue;
		render_endpoint(n, &p->local[i], c);
		fn(c, arg);
	}
}

void render_service(const struct render_options *o, const struct proxy_service *s,
                    render_chain_fn *fn, void *arg)
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

static const char *refusal(enum fate f)
{
	return f == FATE_DROP ? "DROP" : "REJECT";
}

/* What the address is to the Service. */
enum place { PLACE_CLUSTER_IP, PLACE_VIP, PLACE_EXTERNAL_IP };

static void dispatch_addr(const struct port_plan *n, const struct line_sink *to,
                          const struct addr *a, enum place place)
{
	char match[ADDR_STR_SIZE + 64];
	unsigned int nat = bucket_of_addr(BUCKET_NAT_ADDR, a);
	unsigned int filter = bucket_of_addr(BUCKET_FILTER_ADDR, a);

	if (!wants(to, nat) && !wants(to, filter))
		return;
	snprintf(match, sizeof(match), "-d %s/%u -p %s -m %s --dport %d", addr_str(a), addr_bits(a),
	         n->proto, n->proto, n->p->port);
	bool outside = place != PLACE_CLUSTER_IP, filtered = place == PLACE_VIP && n->filtered;
	enum fate f = outside ? n->external : n->internal;
	if (!outside && f == FATE_FORWARD)
		line(to, nat, false, "%s -j FL-%c-%s", match,
		     n->s->traffic.internal_local ? 'L' : 'C', n->id);
	if (outside && n->external_chain)
		line(to, nat, false, "%s -j FL-%c-%s", match, filtered ? 'F' : 'E', n->id);
	if (f != FATE_FORWARD)
		line(to, filter, false, "%s -j %s", match, refusal(f));
	else if (filtered)
		line(to, filter, false, "%s -j DROP", match);
}

static void dispatch_node_port(const struct port_plan *n, const struct line_sink *to)
{
	uint16_t port = n->p->node_port;

	if (n->external_chain)
		line(to, bucket_of_port(BUCKET_NAT_PORT, n->p->proto, port), false,
		     "-p %s -m %s --dport %d -j FL-E-%s", n->proto, n->proto, port, n->id);
	if (n->external != FATE_FORWARD)
		line(to, bucket_of_port(BUCKET_FILTER_PORT, n->p->proto, port), false,
		     "-p %s -m %s --dport %d -j %s", n->proto, n->proto, port,
		     refusal(n->external));
}

static void dispatch(const struct render_options *o, const struct proxy_service *s,
                     const struct line_sink *to)
{
	for (size_t i = 0; i < s->n_ports; i++) {
		struct port_plan n;
		if (!plan_port(o, s, i, &n))
			continue;
		if (!addr_is_none(&s->cluster_ip))
			dispatch_addr(&n, to, &s->cluster_ip, PLACE_CLUSTER_IP);
		for (size_t v = 0; v < s->n_vips; v++)
			dispatch_addr(&n, to, &s->vips[v], PLACE_VIP);
		for (size_t v = 0; v < s->n_external_ips; v++)
			dispatch_addr(&n, to, &s->external_ips[v], PLACE_EXTERNAL_IP);
		if (n.p->node_port)
			dispatch_node_port(&n, to);
	}
	/*
	 * The guard: an address from outside has no other ports, neither here nor back at the
	 * router.  But where it may be a machine's own, or is the node's, the machine's other ports
	 * are nobody's to close.
	 */
	for (size_t v = 0; v < s->n_vips + s->n_external_ips; v++) {
		const struct addr *a =
			v < s->n_vips ? &s->vips[v] : &s->external_ips[v - s->n_vips];
		if (addrs_contain(s->open, s->n_open, a))
			continue;
		line(to, bucket_of_addr(BUCKET_FILTER_ADDR, a), true,
		     "-d %s/%u -m addrtype ! --dst-type LOCAL -j REJECT", addr_str(a),
		     addr_bits(a));
	}
}

void render_dispatch(const struct render_options *o, const struct proxy_service *s,
                     render_line_fn *fn, void *arg)
{
	dispatch(o, s, &(struct line_sink){ BUCKETS, fn, arg });
}

void render_bucket(const struct render_options *o, const struct proxy_service *s,
                   unsigned int bucket, render_line_fn *fn, void *arg)
{
	dispatch(o, s, &(struct line_sink){ bucket, fn, arg });
}

/*
 * Of flows that are translated, in both directions; where a packet too large is told of may be
 * another node (ECMP).
 */
static void render_clamp(const struct render_options *o, struct chain *c)
{
	static const char match[] =
		"-p tcp -m tcp --tcp-flags SYN,RST SYN -m conntrack --ctstate DNAT";

	if (o->clamp_mss == PROXY_CLAMP_PMTU)
		chain_rule(c, "%s -j TCPMSS --clamp-mss-to-pmtu", match);
	else
		chain_rule(c, "%s -j TCPMSS --set-mss %d", match, o->clamp_mss);
}

void render_frame(const struct render_options *o, render_chain_fn *fn, void *arg)
{
	struct chain c = { .n_rules = 0 };
	uint32_t m = o->mark;

	chain_begin(&c, "FL-IN", NULL);
	chain_rule(&c, "-m conntrack --ctstate NEW -j FL-FLT");
	chain_rule(&c, "-m conntrack --ctstate NEW -m addrtype --dst-type LOCAL -j FL-NPF");
	fn(&c, arg);
	chain_begin(&c, "FL-OUT", NULL);
	chain_rule(&c, "-m conntrack --ctstate NEW -j FL-FLT");
	fn(&c, arg);
	chain_begin(&c, "FL-FWD", NULL);
	if (o->drop_invalid)
		rules_from_pods(o, &c, "-m conntrack --ctstate INVALID", "DROP");
	if (o->clamp_mss)
		render_clamp(o, &c);
	chain_rule(&c, "-m conntrack --ctstate NEW -j FL-FLT");
	fn(&c, arg);
	chain_begin(&c, "FL-ACC", NULL);
	chain_rule(&c, "-m mark --mark 0x%x/0x%x -j ACCEPT", m, m);
	chain_rule(&c, "-m connmark --mark 0x%x/0x%x -m conntrack --ctstate DNAT -j ACCEPT", m, m);
	chain_rule(
		&c,
		"-m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctstate DNAT -j ACCEPT");
	fn(&c, arg);
	chain_begin(&c, "FL-MARK", NULL);
	chain_rule(&c, "-j MARK --set-xmark 0x%x/0x%x", m, m);
	fn(&c, arg);
	if (knows_pods(o)) {
		chain_begin(&c, "FL-NODE", NULL);
		rules_from_pods(o, &c, "", "RETURN");
		chain_rule(&c, "-j FL-MARK");
		fn(&c, arg);
	}
	chain_begin(&c, "FL-POST", NULL);
	chain_rule(&c, "-m mark ! --mark 0x%x/0x%x -j RETURN", m, m);
	chain_rule(&c, "-j MARK --set-xmark 0x0/0x%x", m);
	chain_rule(&c, "-j MASQUERADE%s", o->random_fully ? " --random-fully" : "");
	fn(&c, arg);
	chain_fini(&c);
}

static void index_rule(const struct render_options *o, unsigned int bucket, struct chain *c)
{
	enum bucket_kind kind = bucket_kind(bucket);
	unsigned int number = bucket - bucket_first[kind];
	char name[CHAIN_NAME_SIZE];

	bucket_name(bucket, name);
	if (kind == BUCKET_NAT_PORT || kind == BUCKET_FILTER_PORT) {
		const char *proto = proto_names[number << BUCKET_PORT_BITS >> 16];
		unsigned int first = (number << BUCKET_PORT_BITS) & 0xffff;
		chain_rule(c, "-p %s -m %s --dport %u:%u -j %s", proto, proto, first,
		           first + (1u << BUCKET_PORT_BITS) - 1, name);
	} else if (o->family == 4) {
		chain_rule(c, "-d 0.0.0.%u/0.0.0.255 -j %s", number, name);
	} else {
		chain_rule(c, "-d ::%x/::ff -j %s", number, name);
	}
}

void render_index(const struct render_options *o, enum bucket_kind kind,
                  bool (*in_use)(unsigned int bucket, void *arg), void *arg,
                  struct chain *ret_chain)
{
	chain_begin(ret_chain, index_names[kind], NULL);
	for (unsigned int i = bucket_first[kind]; i < bucket_first[kind + 1]; i++)
		if (in_use(i, arg))
			index_rule(o, i, ret_chain);
	/*
	 * Services do not listen on loopback addresses: that would take route_localnet, which is
	 * not ours to set.
	 */
	if (kind == BUCKET_NAT_ADDR)
		chain_rule(ret_chain, "! -d %s -m addrtype --dst-type LOCAL -j FL-NP",
		           o->family == 4 ? "127.0.0.0/8" : "::1/128");
}
