/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules.  Registers live as long as a rule, so a packet's way is looked up by each rule that
 * needs it: to mark the packet, to find the kind of its set, to pick an endpoint.  Each is a
 * look-up in a hash table or two, for the first packet of a connection alone.
 */
#include "config.h"

#include <arpa/inet.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "proxy/nftables/frame_private.h"
#include "proxy/nftables/wire.h"

/* Where things are in registers. */
enum {
	REG_KEY = 0, /* address, protocol, port; or protocol, port */
	REG_WAY = 6,
	REG_SPARE = 7,
	REG_SET = 9, /* set, index: a key of FRAME_ENDPOINTS and FRAME_TICKETS */
	REG_INDEX = 10,
	REG_TICKET = 10, /* set, ticket: a key of FRAME_MEMBERS */
	REG_CLIENT = 11, /* port of a Service, address: a key of FRAME_AFFINITY */
	REG_CLIENT_ADDR = 12,
	REG_ADDR = 0,  /* address, port: of an endpoint */
	REG_GROUP = 9, /* group, address: a key of FRAME_RANGES */
	REG_GROUP_ADDR = 10,
	REG_DIRECTION = 8, /* direction, address, protocol, port: a key of what is counted */
	REG_COUNTED = 9,
};

struct rule *frame_rule_begin(struct frame_scribe *s)
{
	rule_begin(&s->r, s->f->family);
	return &s->r;
}

void frame_rule_end(struct frame_scribe *s, const char *chain, const char *comment)
{
	struct nlmsghdr *h =
		wire_add(s->w, NFT_MSG_NEWRULE, frame_nf_family(s->f), NLM_F_CREATE | NLM_F_APPEND);
	uint64_t digest = rule_end(&s->r, h, s->table, chain, comment);

	wire_added(s->w, h);
	if (s->told)
		s->told(chain, digest, s->arg);
}

/* ---- a packet's way ---- */

static bool is_of_node_ports(enum frame_map map)
{
	return map == FRAME_NODE_WAYS || map == FRAME_NODE_SHORTCUTS;
}

static void load_key(struct rule *r, enum frame_map map)
{
	unsigned int after = REG_KEY;

	if (!is_of_node_ports(map)) {
		rule_load_destination(r, REG_KEY);
		after += rule_addr_regs(r->family);
	}
	rule_load_protocol(r, after);
	rule_load_destination_port(r, after + 1);
}

unsigned int frame_load_way(struct rule *r, enum frame_map map)
{
	load_key(r, map);
	rule_load_from_map(r, frame_map_name(map), REG_KEY, REG_WAY);
	rule_settle(r, REG_WAY, REG_SPARE);
	return REG_WAY;
}

/* By the packet's mark, or with IPVS, which takes that, by the connection's. */
static void mark_to_masquerade(struct rule *r, const struct frame *f)
{
	if (f->ipvs)
		rule_set_connection_mark(r, frame_masquerade_bit(f), true);
	else
		rule_set_mark(r, f->mark, true);
}

/*
 * What has a way takes it.  A packet that meets the rules while a transaction replaces them may
 * find its way by the old ones, and then no set: the guard must not tell its sender that nothing is
 * here.
 */
static void put_way(struct frame_scribe *s, const char *chain, enum traffic_origin origin,
                    enum frame_map map)
{
	enum frame_side side = origin == TRAFFIC_OUTSIDE ? FRAME_OUTSIDE : FRAME_NEAR;
	struct rule *r = frame_rule_begin(s);

	frame_load_way(r, map);
	rule_any_bit(r, REG_WAY,
	             origin == TRAFFIC_POD ? FRAME_WAY_MASQUERADE_PODS
	                                   : FRAME_WAY_MASQUERADE_OTHERS);
	mark_to_masquerade(r, s->f);
	frame_rule_end(s, chain, "to be masqueraded");
	r = frame_rule_begin(s);
	frame_load_way(r, map);
	rule_load_masked(r, REG_WAY, REG_SET, FRAME_WAY_SET);
	rule_load_from_map(r, frame_map_name(FRAME_SETS), REG_SET, REG_WAY);
	rule_settle(r, REG_WAY, REG_SPARE);
	rule_verdict_from_map(r, frame_picks[side], REG_WAY);
	frame_rule_end(s, chain, "");
	frame_load_way(frame_rule_begin(s), map);
	rule_drop(r);
	frame_rule_end(s, chain, "sent again, as what leads on was just replaced or removed");
}

/* ---- by origin ---- */

/* A rule for each way in which Pods are known: begins it, and @fn has the rest. */
typedef void pods_fn(struct frame_scribe *s, const char *chain, const char *to);

static void each_pods(struct frame_scribe *s, pods_fn *fn, const char *chain, const char *to)
{
	const struct frame *f = s->f;

	if (f->pods_by != PROXY_PODS_BY_SOURCE) {
		rule_comes_in_by(frame_rule_begin(s), f->pod_interface,
		                 f->pods_by == PROXY_PODS_BY_INTERFACE_PREFIX);
		fn(s, chain, to);
		return;
	}
	for (size_t i = 0; i < f->node.n_pod_cidrs; i++) {
		if (f->node.pod_cidrs[i].addr.family != f->family)
			continue;
		rule_source_in(frame_rule_begin(s), &f->node.pod_cidrs[i], true);
		fn(s, chain, to);
	}
}

static void go_to_pods(struct frame_scribe *s, const char *chain, const char *to)
{
	rule_goto(&s->r, to);
	frame_rule_end(s, chain, "from a Pod");
}

void frame_put_origins(struct frame_scribe *s, const char *chain,
                       const char *const to[static TRAFFIC_ORIGINS])
{
	each_pods(s, go_to_pods, chain, to[TRAFFIC_POD]);
	rule_source_is_local(frame_rule_begin(s));
	rule_goto(&s->r, to[TRAFFIC_NODE]);
	frame_rule_end(s, chain, "from this node");
	rule_goto(frame_rule_begin(s), to[TRAFFIC_OUTSIDE]);
	frame_rule_end(s, chain, "");
}

static void put_restriction(struct frame_scribe *s, const char *chain)
{
	struct rule *r = frame_rule_begin(s);

	load_key(r, FRAME_RESTRICTED);
	rule_load_from_map(r, frame_map_name(FRAME_RESTRICTED), REG_KEY, REG_GROUP);
	rule_settle(r, REG_GROUP, REG_SPARE);
	rule_load_source(r, REG_GROUP_ADDR);
	rule_in_set(r, frame_map_name(FRAME_RANGES), REG_GROUP, false);
	rule_drop(r);
	frame_rule_end(s, chain, "not of the source ranges");
}

static void put_guard(struct frame_scribe *s, const char *chain)
{
	struct rule *r = frame_rule_begin(s);

	rule_destination_is_local(r, false);
	rule_load_destination(r, REG_KEY);
	rule_load_from_map(r, frame_map_name(FRAME_GUARDED), REG_KEY, REG_WAY);
	rule_settle(r, REG_WAY, REG_SPARE); /* else a listing lacks the look-up */
	rule_goto(r, FRAME_CLOSED);
	frame_rule_end(s, chain, "at an address of Services");
}

/*
 * A transaction may have made way and guard after the packet had looked for the one and before it
 * met the other, so it looks once more.
 */
static void put_closed(struct frame_scribe *s)
{
	frame_load_way(frame_rule_begin(s), FRAME_WAYS);
	rule_drop(&s->r);
	frame_rule_end(s, FRAME_CLOSED, "sent again, as its way has just been made");
	rule_goto(frame_rule_begin(s), FRAME_REJECT);
	frame_rule_end(s, FRAME_CLOSED, "no Service has this port");
}

static struct prefix loopback(uint8_t family)
{
	struct prefix p = { .len = 0 };

	prefix_parse(family == 4 ? "127.0.0.0/8" : "::1/128", false, &p);
	return p;
}

static bool serves_localhost(const struct frame *f)
{
	return f->localhost_node_ports && f->family == 4;
}

/* Those of the node's addresses that have node ports. */
static void put_node_port_addresses(struct frame_scribe *s, const char *chain, const char *to)
{
	const struct proxy_node *n = &s->f->node;

	if (traffic_node_port_addresses(n, s->f->family) == TRAFFIC_ALL_ADDRESSES) {
		rule_destination_is_local(frame_rule_begin(s), true);
		rule_goto(&s->r, to);
		frame_rule_end(s, chain, "node ports");
		return;
	}
	for (size_t i = 0; i < n->n_node_port_cidrs; i++) {
		if (n->node_port_cidrs[i].addr.family != s->f->family)
			continue;
		rule_destination_in(frame_rule_begin(s), &n->node_port_cidrs[i], true);
		rule_destination_is_local(&s->r, true);
		rule_goto(&s->r, to);
		frame_rule_end(s, chain, "node ports");
	}
}

/*
 * At loopback addresses only where that was chosen, and only for what the node itself sends: of
 * what comes in from elsewhere nothing goes out by lo.
 */
static void put_node_ports(struct frame_scribe *s, const char *chain, enum traffic_origin origin)
{
	const struct prefix lo = loopback(s->f->family);
	char to[FRAME_NAME_SIZE];

	frame_node_ports_name(origin, to);
	if (serves_localhost(s->f)) {
		rule_destination_in(frame_rule_begin(s), &lo, true);
		rule_goes_out_by_lo(&s->r);
		rule_goto(&s->r, to);
		frame_rule_end(s, chain, "node ports, for this node alone");
	}
	rule_destination_in(frame_rule_begin(s), &lo, true);
	rule_return(&s->r);
	frame_rule_end(s, chain, "node ports are not there");
	put_node_port_addresses(s, chain, to);
}

static void put_origin(struct frame_scribe *s, enum traffic_origin origin)
{
	const char *chain = frame_origins[origin];
	char node_ports[FRAME_NAME_SIZE];

	frame_node_ports_name(origin, node_ports);
	put_restriction(s, chain);
	if (origin != TRAFFIC_OUTSIDE)
		put_way(s, chain, origin, FRAME_SHORTCUTS);
	put_way(s, chain, origin, FRAME_WAYS);
	put_guard(s, chain);
	put_node_ports(s, chain, origin);
	if (origin != TRAFFIC_OUTSIDE)
		put_way(s, node_ports, origin, FRAME_NODE_SHORTCUTS);
	put_way(s, node_ports, origin, FRAME_NODE_WAYS);
}

/* ---- the others ---- */

static void put_refused(struct frame_scribe *s)
{
	rule_reject_tcp(frame_rule_begin(s));
	frame_rule_end(s, FRAME_REJECT, "");
	rule_reject(frame_rule_begin(s));
	frame_rule_end(s, FRAME_REJECT, "");
}

/* A rule for each way in which a connection is translated: begins it, and @fn has the rest. */
static void each_translated(struct frame_scribe *s,
                            void (*fn)(struct frame_scribe *s, const char *chain),
                            const char *chain)
{
	rule_is_translated(frame_rule_begin(s));
	fn(s, chain);
	if (!s->f->ipvs)
		return;
	rule_has_connection_mark(frame_rule_begin(s), s->f->mark);
	fn(s, chain);
}

static void put_hairpin(struct frame_scribe *s, const char *chain)
{
	struct rule *r = &s->r;

	rule_load_source(r, REG_KEY);
	rule_load_destination(r, REG_KEY + rule_addr_regs(r->family));
	rule_in_set(r, frame_map_name(FRAME_HAIRPIN), REG_KEY, true);
	rule_masquerade(r);
	frame_rule_end(s, chain, "an endpoint that reaches itself");
}

static void put_postrouting(struct frame_scribe *s)
{
	static const char chain[] = "postrouting";
	struct rule *r = frame_rule_begin(s);

	if (s->f->ipvs) {
		rule_has_connection_mark(r, frame_masquerade_bit(s->f));
		rule_set_connection_mark(r, frame_masquerade_bit(s->f), false);
	} else {
		rule_has_mark(r, s->f->mark);
		rule_set_mark(r, s->f->mark, false);
	}
	rule_masquerade(r);
	frame_rule_end(s, chain, "");
	each_translated(s, put_hairpin, chain);
}

static void drop_invalid(struct frame_scribe *s, const char *chain, const char *to)
{
	(void)to;
	rule_is_invalid(&s->r);
	rule_drop(&s->r);
	frame_rule_end(s, chain, "would leave untranslated");
}

/*
 * The sysctl that lets answers to 127.0.0.1 in lets in all that others send there, whatever source
 * it claims.
 */
static void put_input(struct frame_scribe *s)
{
	const struct prefix lo = loopback(s->f->family);

	if (!s->f->localhost_guard || s->f->family != 4)
		return;
	rule_destination_in(frame_rule_begin(s), &lo, true);
	rule_comes_in_by_lo(&s->r, false);
	rule_is_unrelated(&s->r);
	rule_drop(&s->r);
	frame_rule_end(s, "input", "from others to this node's own");
}

void frame_put_clamp(struct frame_scribe *s, const char *chain)
{
	int clamp = s->f->clamp_mss;

	rule_is_tcp_syn(&s->r);
	rule_clamp_mss(&s->r, clamp == PROXY_CLAMP_PMTU ? 0 : (uint16_t)clamp);
	frame_rule_end(s, chain, "");
}

static void put_forward(struct frame_scribe *s)
{
	static const char chain[] = "forward";

	if (s->f->drop_invalid)
		each_pods(s, drop_invalid, chain, NULL);
	if (s->f->clamp_mss)
		each_translated(s, frame_put_clamp, chain);
}

/* ---- counting ---- */

static void put_count(struct frame_scribe *s, enum frame_count count)
{
	bool direction = frame_count_has_direction(count);
	struct rule *r = frame_rule_begin(s);
	unsigned int after = REG_COUNTED;

	if (!direction)
		rule_is_first_of_all(r);
	if (!is_of_node_ports(frame_count_ways(count))) {
		rule_load_first_destination(r, REG_COUNTED);
		after += rule_addr_regs(r->family);
	}
	rule_load_protocol(r, after);
	rule_load_first_destination_port(r, after + 1);
	rule_load_from_map(r, frame_map_name(frame_count_ways(count)), REG_COUNTED, REG_WAY);
	if (direction)
		rule_load_direction(r, REG_DIRECTION);
	rule_count(r, frame_count_name(count), direction ? REG_DIRECTION : REG_COUNTED,
	           FRAME_COUNTED_S);
	if (count == FRAME_COUNT_TRAFFIC)
		rule_return(r); /* it is for no node port */
	frame_rule_end(s, FRAME_COUNTING, "");
}

static void go_to_counting(struct frame_scribe *s, const char *chain)
{
	rule_goto(&s->r, FRAME_COUNTING);
	frame_rule_end(s, chain, "");
}

/* What goes to IPVS from here is counted before that, and comes from there once more. */
static void put_counting_out(struct frame_scribe *s)
{
	static const char chain[] = "count-out";

	rule_is_translated(frame_rule_begin(s));
	go_to_counting(s, chain);
	if (!s->f->ipvs)
		return;
	rule_is_reply(frame_rule_begin(s), true);
	rule_has_connection_mark(&s->r, s->f->mark);
	go_to_counting(s, chain);
}

static void put_counting(struct frame_scribe *s)
{
	/* What was meant for an address is done with before node ports are looked at. */
	static const enum frame_count order[] = { FRAME_COUNT_CONNECTIONS, FRAME_COUNT_TRAFFIC,
		                                  FRAME_COUNT_NODE_CONNECTIONS,
		                                  FRAME_COUNT_NODE_TRAFFIC };

	rule_comes_in_by_lo(frame_rule_begin(s), true);
	rule_return(&s->r);
	frame_rule_end(s, "count-in", "counted as it was sent");
	each_translated(s, go_to_counting, "count-in");
	put_counting_out(s);
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		put_count(s, order[i]);
}

void frame_put_static_rules(struct frame_scribe *s)
{
	frame_put_origins(s, "prerouting", frame_origins);
	frame_put_origins(s, "output", frame_origins);
	for (int i = 0; i < TRAFFIC_ORIGINS; i++)
		put_origin(s, (enum traffic_origin)i);
	put_closed(s);
	put_refused(s);
	put_postrouting(s);
	put_input(s);
	put_forward(s);
	if (s->f->counts)
		put_counting(s);
	if (s->f->ipvs)
		frame_put_virtual_rules(s);
}

/* ---- kinds of sets ---- */

static void redirect(struct frame_scribe *s)
{
	rule_redirect_to(&s->r, REG_ADDR, REG_ADDR + rule_addr_regs(s->f->family));
}

static void put_pick(struct frame_scribe *s, const char *chain, enum frame_map map, uint32_t n)
{
	struct rule *r = frame_rule_begin(s);

	frame_load_way(r, map);
	rule_load_masked(r, REG_WAY, REG_SET, FRAME_WAY_SET);
	rule_load_lot(r, REG_INDEX, n);
	rule_load_from_map(r, frame_map_name(FRAME_ENDPOINTS), REG_SET, REG_ADDR);
	redirect(s);
	frame_rule_end(s, chain, "");
}

/* ---- with affinity ---- */

static void load_client(struct rule *r, enum frame_map map)
{
	frame_load_way(r, map);
	rule_load_masked(r, REG_WAY, REG_CLIENT, FRAME_PORT_MASK);
	rule_load_source(r, REG_CLIENT_ADDR);
	rule_load_masked(r, REG_WAY, REG_SET, FRAME_WAY_SET);
}

static void go_by_ticket(struct frame_scribe *s)
{
	rule_load_from_map(&s->r, frame_map_name(FRAME_MEMBERS), REG_SET, REG_ADDR);
	redirect(s);
}

/* Its endpoint is looked up before the ticket is renewed: it may have left the set. */
static void put_known_client(struct frame_scribe *s, const char *chain, enum frame_map map,
                             uint32_t affinity_s)
{
	struct rule *r = frame_rule_begin(s);

	load_client(r, map);
	rule_load_from_map(r, FRAME_AFFINITY, REG_CLIENT, REG_TICKET);
	rule_settle(r, REG_TICKET, REG_SPARE);
	rule_load_from_map(r, frame_map_name(FRAME_MEMBERS), REG_SET, REG_ADDR);
	rule_remember(r, FRAME_AFFINITY, REG_CLIENT, REG_TICKET, affinity_s);
	redirect(s);
	frame_rule_end(s, chain, "a known client");
	r = frame_rule_begin(s);
	load_client(r, map);
	rule_forget(r, FRAME_AFFINITY, REG_CLIENT);
	frame_rule_end(s, chain, "its endpoint is gone");
}

/* @affinity_s: 0, the client is not remembered; its address leads it to the same endpoint. */
static void put_new_client(struct frame_scribe *s, const char *chain, enum frame_map map,
                           uint32_t n, uint32_t affinity_s)
{
	struct rule *r = frame_rule_begin(s);

	load_client(r, map);
	if (affinity_s)
		rule_load_lot(r, REG_INDEX, n);
	else
		rule_load_share(r, REG_CLIENT_ADDR, 4 * rule_addr_regs(r->family), REG_INDEX, n);
	rule_load_from_map(r, frame_map_name(FRAME_TICKETS), REG_SET, REG_TICKET);
	rule_settle(r, REG_TICKET, REG_SPARE);
	if (affinity_s)
		rule_remember(r, FRAME_AFFINITY, REG_CLIENT, REG_TICKET, affinity_s);
	go_by_ticket(s);
	frame_rule_end(s, chain, affinity_s ? "a new client" : "one too many to remember");
}

size_t frame_way_maps(enum frame_side side, enum frame_map ret[static FRAME_WAY_MAPS])
{
	/* A packet that came by one of them is not in those before it. */
	static const enum frame_map by[FRAME_WAY_MAPS] = { FRAME_SHORTCUTS, FRAME_WAYS,
		                                           FRAME_NODE_SHORTCUTS, FRAME_NODE_WAYS };
	size_t n = 0;

	for (size_t i = 0; i < FRAME_WAY_MAPS; i++)
		if (side != FRAME_OUTSIDE ||
		    (by[i] != FRAME_SHORTCUTS && by[i] != FRAME_NODE_SHORTCUTS))
			ret[n++] = by[i];
	return n;
}

void frame_put_kind_rules(struct frame_scribe *s, enum frame_side side, frame_kind kind)
{
	uint32_t count = frame_kind_count(kind), affinity_s = frame_kind_affinity_s(kind);
	enum frame_map by[FRAME_WAY_MAPS];
	size_t n = frame_way_maps(side, by);
	char chain[FRAME_NAME_SIZE];

	frame_kind_name(side, kind, chain);
	for (size_t i = 0; i < n; i++) {
		if (affinity_s) {
			put_known_client(s, chain, by[i], affinity_s);
			put_new_client(s, chain, by[i], count, affinity_s);
			put_new_client(s, chain, by[i], count, 0);
		} else {
			put_pick(s, chain, by[i], count);
		}
	}
	rule_drop(frame_rule_begin(s));
	frame_rule_end(s, chain, "sent again, as its endpoint was just removed");
}
