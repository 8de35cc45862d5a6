/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chains that are there whatever Services there are, and where the built-in ones jump to them.
 *
 * The refusing rules stand first in FORWARD, the accepting ones last, or just before the rule by
 * which a host firewall refuses whatever comes (path.c): a network policy that drops is never
 * overruled, and what would be dropped only because nobody accepts it gets through.  Flows that
 * keep the client's address carry no packet mark, so they are recognised by the connection mark.
 */
#include "config.h"

#include "proxy/iptables/render_private.h"

#include "proxy/traffic.h"

const struct render_jump render_jumps[RENDER_JUMPS] = {
	{ CHAIN_FILTER, "INPUT", "FL-IN", false },
	{ CHAIN_FILTER, "FORWARD", "FL-FWD", false },
	{ CHAIN_FILTER, "FORWARD", "FL-ACC", true },
	{ CHAIN_FILTER, "OUTPUT", "FL-OUT", false },
	{ CHAIN_NAT, "PREROUTING", "FL-SVC", false },
	{ CHAIN_NAT, "OUTPUT", "FL-SVC", false },
	{ CHAIN_NAT, "POSTROUTING", "FL-POST", false },
};

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

/* Adds rules for what goes to an address with node ports. */
static void rules_to_node_ports(const struct render_options *o, struct chain *c, const char *match,
                                const char *target)
{
	const struct proxy_node *n = &o->node;
	char cidr[PREFIX_STR_SIZE];

	if (traffic_node_port_addresses(n, o->family) == TRAFFIC_ALL_ADDRESSES) {
		chain_rule(c, "%s-m addrtype --dst-type LOCAL -j %s", match, target);
		return;
	}
	for (size_t i = 0; i < n->n_node_port_cidrs; i++)
		if (n->node_port_cidrs[i].addr.family == o->family)
			chain_rule(c, "-d %s %s-m addrtype --dst-type LOCAL -j %s",
			           prefix_format(&n->node_port_cidrs[i], cidr), match, target);
}

static bool serves_localhost(const struct render_options *o)
{
	return o->localhost_node_ports && o->family == 4;
}

/*
 * The sysctl that lets answers to 127.0.0.1 in lets in all that others send there, whatever source
 * it claims.  What belongs to a flow, or was translated, may pass.
 */
static void render_localhost(const struct render_options *o, struct chain *c)
{
	if (o->localhost_guard && o->family == 4)
		chain_rule(c, "-d 127.0.0.0/8 ! -i lo -m conntrack ! --ctstate "
		              "RELATED,ESTABLISHED,DNAT -j DROP");
	if (serves_localhost(o) &&
	    traffic_node_port_addresses(&o->node, 4) != TRAFFIC_ALL_ADDRESSES)
		chain_rule(c, "-d 127.0.0.0/8 -i lo -m conntrack --ctstate NEW -j FL-NPF");
}

/*
 * Whether source and destination are the same, in the classic instructions of BPF: each word of the
 * one is compared with its like of the other.
 */
static const char to_itself4[] = "6,32 0 0 12,7 0 0 0,32 0 0 16,29 0 1 0,6 0 0 65535,6 0 0 0";
static const char to_itself6[] =
	"18,32 0 0 8,7 0 0 0,32 0 0 24,29 0 13 0,32 0 0 12,7 0 0 0,32 0 0 28,29 0 9 0,"
	"32 0 0 16,7 0 0 0,32 0 0 32,29 0 5 0,32 0 0 20,7 0 0 0,32 0 0 36,29 0 1 0,"
	"6 0 0 65535,6 0 0 0";

void render_frame(const struct render_options *o, render_chain_fn *fn, void *arg)
{
	struct chain c = { .n_rules = 0 };
	uint32_t m = o->mark;

	chain_begin(&c, "FL-IN", NULL);
	render_localhost(o, &c);
	chain_rule(&c, "-m conntrack --ctstate NEW -j FL-FLT");
	rules_to_node_ports(o, &c, "-m conntrack --ctstate NEW ", "FL-NPF");
	chain_rule(&c, "-m connmark --mark 0x%x/0x%x -m conntrack ! --ctstate DNAT -j ACCEPT", m,
	           m);
	fn(&c, arg);
	chain_begin(&c, "FL-OUT", NULL);
	chain_rule(&c, "-m conntrack --ctstate NEW -j FL-FLT");
	fn(&c, arg);
	chain_begin(&c, "FL-FWD", NULL);
	if (o->drop_invalid)
		render_from_pods(o, &c, "-m conntrack --ctstate INVALID", "DROP");
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
	if (render_knows_pods(o)) {
		chain_begin(&c, "FL-NODE", NULL);
		render_from_pods(o, &c, "", "RETURN");
		chain_rule(&c, "-j FL-MARK");
		fn(&c, arg);
	}
	chain_begin(&c, "FL-POST", NULL);
	if (o->knows_bpf)
		chain_rule(&c, "-m conntrack --ctstate DNAT -m bpf --bytecode \"%s\" -j FL-MARK",
		           o->family == 4 ? to_itself4 : to_itself6);
	chain_rule(&c, "-m mark ! --mark 0x%x/0x%x -j RETURN", m, m);
	chain_rule(&c, "-j MARK --set-xmark 0x0/0x%x", m);
	chain_rule(&c, "-j MASQUERADE%s", o->random_fully ? " --random-fully" : "");
	fn(&c, arg);
	chain_fini(&c);
}

static void index_rule(const struct render_options *o, unsigned int bucket, struct chain *c)
{
	enum bucket_kind kind = bucket_kind(bucket);
	unsigned int number = bucket - render_bucket_first[kind];
	char name[CHAIN_NAME_SIZE];

	bucket_name(bucket, name);
	if (kind == BUCKET_NAT_PORT || kind == BUCKET_FILTER_PORT) {
		const char *proto = render_protos[number << BUCKET_PORT_BITS >> 16];
		unsigned int first = (number << BUCKET_PORT_BITS) & 0xffff;
		chain_rule(c, "-p %s -m %s --dport %u:%u -j %s", proto, proto, first,
		           first + (1u << BUCKET_PORT_BITS) - 1, name);
	} else if (o->family == 4) {
		chain_rule(c, "-d 0.0.0.%u/0.0.0.255 -j %s", number, name);
	} else {
		chain_rule(c, "-d ::%x/::ff -j %s", number, name);
	}
}

static const char *loopback(const struct render_options *o)
{
	return o->family == 4 ? "127.0.0.0/8" : "::1/128";
}

/*
 * On loopback addresses only where that was chosen, and only for what the node itself sends: of
 * what comes in from elsewhere nothing goes out by lo.
 */
static void index_node_ports(const struct render_options *o, struct chain *c)
{
	if (serves_localhost(o))
		chain_rule(c, "-d %s -o lo -j FL-NP", loopback(o));
	if (traffic_node_port_addresses(&o->node, o->family) == TRAFFIC_ALL_ADDRESSES) {
		chain_rule(c, "! -d %s -m addrtype --dst-type LOCAL -j FL-NP", loopback(o));
		return;
	}
	chain_rule(c, "-d %s -j RETURN", loopback(o));
	rules_to_node_ports(o, c, "", "FL-NP");
}

void render_index(const struct render_options *o, enum bucket_kind kind,
                  bool (*in_use)(unsigned int bucket, void *arg), void *arg,
                  struct chain *ret_chain)
{
	chain_begin(ret_chain, render_index_name(kind), NULL);
	/* Where no node port is served, who listens there on the same port is not to be cut off. */
	if (kind == BUCKET_FILTER_PORT && !serves_localhost(o))
		chain_rule(ret_chain, "-d %s -j RETURN", loopback(o));
	for (unsigned int i = render_bucket_first[kind]; i < render_bucket_first[kind + 1]; i++)
		if (in_use(i, arg))
			index_rule(o, i, ret_chain);
	if (kind == BUCKET_NAT_ADDR)
		index_node_ports(o, ret_chain);
}
