/* SPDX-License-Identifier: Apache-2.0 */
/*
 *	chain prerouting, after connection tracking, before anything is translated
 *	  ct state new, TCP, no SYN         ┐ not from another node, time to live above 1,
 *	  ct state invalid, ICMP or SCTP    ┘ ways (interface, address) → gateway:
 *	                                      dup to gateway by that interface, drop
 *
 * Connection tracking takes a packet from the middle of a connection that it does not know for a
 * new one (unless nf_conntrack_tcp_loose is 0: then it is invalid), and the rules for Services
 * would lead it to any endpoint, which resets the connection.  It is dropped here before the kernel
 * makes an entry, so the next one is as unknown as the first.
 *
 * What is sent is a copy, made by `dup`: it goes to a neighbour whatever routes and policies the
 * node has, needs no mark, and does not pass the hook forward, where a firewall would refuse it as
 * it belongs to no connection.  No redirect tells the client of it.  A routing rule by a mark would
 * have all these troubles.
 *
 * Of TCP an invalid packet may also be one out of the window of a connection that is known, so
 * those are taken only where unknown ones are invalid, too.  UDP is not handed over: nothing tells
 * the first packet of a flow from others.
 *
 * That no packet goes round follows from the Ethernet source alone: what a node sent, whichever, is
 * never handed on.  The time to live, which `dup` lowers, would be the second bound.
 */
#include "config.h"

#include "fairlead/relay.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter_ipv4.h>

#include "fairlead/mem.h"
#include "proxy/liberal.h"
#include "proxy/nftables/frame_private.h"
#include "proxy/nftables/rule.h"
#include "proxy/nftables/wire.h"

#define TABLE "fairlead-relay"
#define CHAIN "prerouting"
#define WAYS "ways"
#define NODES "nodes"
/* Registers: the key is an interface and an address of up to four. */
#define REG_KEY 0
#define REG_ADDR 1
#define REG_GATEWAY 8
#define REG_DEVICE 12
/* Elements that one transaction adds or deletes. */
#define BATCH 2048

/* Keys and values as the kernel has them. */
struct element {
	unsigned char key[FRAME_KEY_MAX], value[FRAME_VALUE_MAX];
};

struct half {
	struct frame f;
	bool exists; /* as far as is known */
	bool read;   /* whatever an earlier process left has been dealt with */
	struct relay_way *ways;
	size_t n;
	struct relay_node *nodes;
	size_t n_nodes;
};

#define HALVES 2

struct relay {
	struct wire *w;
	bool loose;
	struct half halves[HALVES];
};

static const struct frame_base base = { CHAIN, "filter", NF_INET_PRE_ROUTING, NF_IP_PRI_MANGLE };
static const struct frame_row ways_row = {
	WAYS, { TYPE_INTERFACE, TYPE_ADDR }, { TYPE_ADDR }, NFT_SET_MAP
};
static const struct frame_row nodes_row = { NODES, { TYPE_MAC }, { 0 }, 0 };

static struct frame_shape shape_of(const struct frame *f, const struct frame_row *row)
{
	const struct frame_set set = frame_facts_of(f, row);

	return (struct frame_shape){ row->name, (uint8_t)set.key_size, (uint8_t)set.value_size,
		                     false };
}

int relay_way_cmp(const void *a, const void *b)
{
	const struct relay_way *x = a, *y = b;
	int r = addr_cmp(&x->addr, &y->addr);

	return r ? r : (x->interface > y->interface) - (x->interface < y->interface);
}

static int node_cmp(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct relay_node));
}

/* ---- the table ---- */

struct kind {
	uint8_t protocol;
	uint32_t states;
	bool middle; /* of TCP: no SYN */
	const char *comment;
};

static void put_rule(struct half *h, struct wire *w, const struct kind *k)
{
	struct frame_scribe s = { .f = &h->f, .w = w, .table = TABLE };
	struct rule *r = frame_rule_begin(&s);

	rule_connection_state(r, k->states);
	rule_protocol_is(r, k->protocol);
	if (k->middle)
		rule_has_no_syn(r);
	rule_may_travel_on(r);
	rule_load_sender(r, REG_KEY);
	rule_in_set(r, NODES, REG_KEY, false);
	rule_load_interface(r, REG_KEY);
	rule_load_destination(r, REG_ADDR);
	rule_load_from_map(r, WAYS, REG_KEY, REG_GATEWAY);
	rule_counter(r);
	rule_load_interface(r, REG_DEVICE);
	rule_duplicate(r, REG_GATEWAY, REG_DEVICE);
	rule_drop(r);
	frame_rule_end(&s, CHAIN, k->comment);
}

static void put_table(const struct relay *r, struct half *h)
{
	struct wire *w = r->w;
	const uint32_t unknown = r->loose ? NF_CT_STATE_BIT(IP_CT_NEW)
	                                  : NF_CT_STATE_BIT(IP_CT_NEW) | NF_CT_STATE_INVALID_BIT;
	const struct kind kinds[] = {
		{ IPPROTO_TCP, unknown, true, "connections that another node knows" },
		{ h->f.family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, NF_CT_STATE_INVALID_BIT, false,
		  "what became of their packets" },
		{ IPPROTO_SCTP, NF_CT_STATE_INVALID_BIT, false, "associations, likewise" },
	};
	const struct frame_set ways = frame_facts_of(&h->f, &ways_row);
	const struct frame_set nodes = frame_facts_of(&h->f, &nodes_row);

	wire_added(w, frame_table_message(&h->f, w, NFT_MSG_NEWTABLE, NLM_F_CREATE, TABLE));
	frame_put_set(&h->f, w, TABLE, WAYS, &ways);
	frame_put_set(&h->f, w, TABLE, NODES, &nodes);
	frame_put_base(&h->f, w, TABLE, &base);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		put_rule(h, w, &kinds[i]);
}

/* Whether there is one or not. */
static void drop_table(struct half *h, struct wire *w)
{
	wire_added(w, frame_table_message(&h->f, w, NFT_MSG_NEWTABLE, NLM_F_CREATE, TABLE));
	frame_drop_table(&h->f, w, TABLE);
}

/* ---- elements ---- */

static void key_of(const struct relay_way *way, struct element *ret)
{
	size_t size = addr_size(way->addr.family);

	*ret = (struct element){ .key = { 0 } };
	memcpy(ret->key, &way->interface, sizeof(way->interface));
	memcpy(ret->key + sizeof(way->interface), way->addr.b, size);
	memcpy(ret->value, way->gateway.b, size);
}

/* A transaction that grows, and begins anew where it is long enough. */
struct writing {
	struct relay *r;
	struct half *h;
	struct err *e;
	size_t n;
	int error;
};

static void put(struct writing *x, const struct frame_row *row, bool add, const struct element *el)
{
	const struct frame_shape shape = shape_of(&x->h->f, row);
	const struct frame_element one = { el->key, el->value };

	frame_put_list(&x->h->f, x->r->w, TABLE, &shape, add, &one, 1);
	x->n++;
}

static void flush(struct writing *x)
{
	if (x->n > 0 && x->error == 0)
		x->error = wire_commit(x->r->w, x->e);
	x->n = 0;
	wire_begin(x->r->w);
}

static void put_way(struct writing *x, bool add, const struct relay_way *way)
{
	struct element el;

	key_of(way, &el);
	put(x, &ways_row, add, &el);
}

static void put_node(struct writing *x, bool add, const struct relay_node *node)
{
	struct element el = { .key = { 0 } };

	memcpy(el.key, node->mac, sizeof(node->mac));
	put(x, &nodes_row, add, &el);
}

/* Nodes first: nothing leads to one before what comes from it is known. */
static void write_nodes(struct writing *x, const struct relay_node *nodes, size_t n)
{
	const struct half *h = x->h;

	for (size_t i = 0, k = 0; i < n || k < h->n_nodes;) {
		int order = i == n ? 1 : k == h->n_nodes ? -1 : node_cmp(&nodes[i], &h->nodes[k]);
		if (order < 0)
			put_node(x, true, &nodes[i]);
		if (order > 0)
			put_node(x, false, &h->nodes[k]);
		i += order <= 0;
		k += order >= 0;
	}
}

static void write_ways(struct writing *x, const struct relay_way *ways, size_t n)
{
	const struct half *h = x->h;

	for (size_t i = 0, k = 0; i < n || k < h->n;) {
		int order = i == n ? 1 : k == h->n ? -1 : relay_way_cmp(&ways[i], &h->ways[k]);
		bool other = order == 0 && !addr_eq(&ways[i].gateway, &h->ways[k].gateway);
		if (order > 0 || other)
			put_way(x, false, &h->ways[k]);
		if (order < 0 || other)
			put_way(x, true, &ways[i]);
		i += order <= 0;
		k += order >= 0;
		if (x->n >= BATCH)
			flush(x);
	}
}

/* ---- what is wanted ---- */

static void forget(struct half *h)
{
	free(TAKE(h->ways));
	free(TAKE(h->nodes));
	h->n = h->n_nodes = 0;
	h->exists = false;
}

static void keep(struct half *h, const struct relay_way *ways, size_t n,
                 const struct relay_node *nodes, size_t n_nodes)
{
	forget(h);
	h->exists = true;
	h->ways = xmemdup(ways, n * sizeof(*ways));
	h->n = n;
	h->nodes = xmemdup(nodes, n_nodes * sizeof(*nodes));
	h->n_nodes = n_nodes;
}

static bool is_same(const struct half *h, const struct relay_way *ways, size_t n,
                    const struct relay_node *nodes, size_t n_nodes)
{
	bool same = h->exists && h->n == n && h->n_nodes == n_nodes;

	for (size_t i = 0; same && i < n; i++)
		same = relay_way_cmp(&ways[i], &h->ways[i]) == 0 &&
		       addr_eq(&ways[i].gateway, &h->ways[i].gateway);
	return same && (n_nodes == 0 || !memcmp(nodes, h->nodes, n_nodes * sizeof(*nodes)));
}

static int remove_table(struct relay *r, struct half *h, struct err *e)
{
	if (h->read && !h->exists)
		return 0;
	wire_begin(r->w);
	drop_table(h, r->w);
	int error = wire_commit(r->w, e);
	if (error == 0) {
		forget(h);
		h->read = true;
	}
	return error;
}

static int set_half(struct relay *r, struct half *h, const struct relay_way *ways, size_t n,
                    const struct relay_node *nodes, size_t n_nodes, struct err *e)
{
	struct writing x = { .r = r, .h = h, .e = e };

	if (n == 0)
		return remove_table(r, h, e);
	if (is_same(h, ways, n, nodes, n_nodes))
		return 0;
	wire_begin(r->w);
	if (!h->exists) {
		drop_table(h, r->w);
		put_table(r, h);
		forget(h);
	}
	write_nodes(&x, nodes, n_nodes);
	write_ways(&x, ways, n);
	x.n++;
	flush(&x);
	if (x.error < 0) {
		forget(h);
		h->read = false;
		return x.error;
	}
	keep(h, ways, n, nodes, n_nodes);
	h->read = true;
	return 0;
}

int relay_set(struct relay *r, const struct relay_way *ways, size_t n,
              const struct relay_node *nodes, size_t n_nodes, struct err *e)
{
	size_t n4 = 0;

	while (n4 < n && ways[n4].addr.family == 4)
		n4++;
	int r4 = set_half(r, &r->halves[0], ways, n4, nodes, n_nodes, e);
	int r6 = set_half(r, &r->halves[1], ways + n4, n - n4, nodes, n_nodes, r4 ? NULL : e);
	return r4 ? r4 : r6;
}

/* ---- what there is ---- */

struct finding {
	const struct half *h;
	struct relay_way *ways;
	size_t n, cap;
};

static void note_way(struct finding *f, const struct nlattr *a)
{
	const struct frame_shape shape = shape_of(&f->h->f, &ways_row);
	struct relay_way way = { .addr.family = f->h->f.family, .gateway.family = f->h->f.family };
	struct element el;

	if (!frame_read_pair(a, &shape, el.key, el.value))
		return;
	memcpy(&way.interface, el.key, sizeof(way.interface));
	memcpy(way.addr.b, el.key + sizeof(way.interface), addr_size(way.addr.family));
	memcpy(way.gateway.b, el.value, addr_size(way.addr.family));
	ARRAY_RESERVE(f->ways, f->cap, f->n + 1);
	f->ways[f->n++] = way;
}

static void some_ways(const struct nlmsghdr *h, void *arg)
{
	const struct nlattr *list, *a;

	mnl_attr_for_each(list, h, sizeof(struct nfgenmsg))
		if (mnl_attr_get_type(list) == NFTA_SET_ELEM_LIST_ELEMENTS)
			mnl_attr_for_each_nested(a, list)
				note_way(arg, a);
}

int relay_read(struct relay *r, struct relay_way **ret_ways, size_t *ret_n, struct err *e)
{
	struct finding f = { .ways = NULL };
	int error = 0;

	for (size_t i = 0; i < HALVES && error == 0; i++) {
		f.h = &r->halves[i];
		error = wire_read(r->w, NFT_MSG_GETSETELEM, frame_nf_family(&f.h->f), TABLE, WAYS,
		                  some_ways, &f);
		error = error == -ENOENT ? 0 : error;
	}
	if (error < 0) {
		free(f.ways);
		return err_set(e, error, ERR_SYSTEM, "cannot read the table " TABLE ": %s",
		               strerror(-error));
	}
	if (f.n > 0)
		qsort(f.ways, f.n, sizeof(*f.ways), relay_way_cmp);
	*ret_ways = f.ways;
	*ret_n = f.n;
	return 0;
}

static void note_table(const struct nlmsghdr *h, void *arg)
{
	bool *found = arg;
	const char *table = wire_table(h);

	*found = *found || (table && !strcmp(table, TABLE));
}

static bool has_table(struct wire *w, const struct frame *f)
{
	bool found = false;

	return wire_read(w, NFT_MSG_GETTABLE, frame_nf_family(f), NULL, NULL, note_table, &found) ==
	               0 &&
	       found;
}

void relay_audit(struct relay *r)
{
	for (size_t i = 0; i < HALVES; i++)
		if (r->halves[i].exists && !has_table(r->w, &r->halves[i].f))
			forget(&r->halves[i]);
}

static int add_counter(struct nftnl_expr *e, void *arg)
{
	uint64_t *packets = arg;

	if (!strcmp(nftnl_expr_get_str(e, NFTNL_EXPR_NAME), "counter"))
		*packets += nftnl_expr_get_u64(e, NFTNL_EXPR_CTR_PACKETS);
	return 0;
}

static void count_rule(const struct nlmsghdr *h, void *arg)
{
	struct nftnl_rule *rule = nftnl_rule_alloc();

	if (!rule)
		abort();
	if (nftnl_rule_nlmsg_parse(h, rule) == 0)
		nftnl_expr_foreach(rule, add_counter, arg);
	nftnl_rule_free(rule);
}

uint64_t relay_packets(struct relay *r)
{
	uint64_t packets = 0;

	for (size_t i = 0; i < HALVES; i++)
		if (r->halves[i].exists)
			wire_read(r->w, NFT_MSG_GETRULE, frame_nf_family(&r->halves[i].f), TABLE,
			          NULL, count_rule, &packets);
	return packets;
}

/* ---- its life ---- */

int relay_new(struct relay **ret_relay, struct err *e)
{
	struct wire *w;
	int error = wire_new(&w, e);

	if (error < 0)
		return error;
	struct relay *r = xcalloc(1, sizeof(*r));
	r->w = w;
	r->loose = liberal_is_loose();
	r->halves[0].f.family = 4;
	r->halves[1].f.family = 6;
	*ret_relay = r;
	return 0;
}

void relay_free(struct relay *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < HALVES; i++)
		forget(&r->halves[i]);
	wire_free(r->w);
	free(r);
}

bool relay_has_leftovers(void)
{
	struct relay *r;
	bool any = false;

	if (relay_new(&r, NULL) < 0)
		return false;
	for (size_t i = 0; i < HALVES; i++)
		any = has_table(r->w, &r->halves[i].f) || any;
	relay_free(r);
	return any;
}

int relay_cleanup(struct err *e)
{
	struct relay *r;
	int error;

	if (!relay_has_leftovers())
		return 0;
	error = relay_new(&r, e);
	if (error < 0)
		return error;
	for (size_t i = 0; i < HALVES && error == 0; i++)
		if (has_table(r->w, &r->halves[i].f))
			error = remove_table(r, &r->halves[i], e);
	relay_free(r);
	return error;
}
