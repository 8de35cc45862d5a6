/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data maps are cheap to change.  A verdict that leads to a chain is not: the kernel walks all
 * chains that can be reached, so there is one only for each kind of set, and none for a Service.
 */
#include "config.h"

#include "proxy/nftables/frame_private.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter_ipv4.h>

#include "fairlead/mem.h"
#include "proxy/nftables/rule.h"
#include "proxy/nftables/wire.h"
#include "proxy/traffic.h"

/* Before what others have at the same place: kube-proxy's and the port mappings of a CNI. */
#define PRIORITY_BEFORE 5

const char *const frame_origins[TRAFFIC_ORIGINS] = {
	[TRAFFIC_POD] = "pods",
	[TRAFFIC_NODE] = "node",
	[TRAFFIC_OUTSIDE] = "outside",
};

static const char *const sides[FRAME_SIDES] = {
	[FRAME_NEAR] = "near", [FRAME_OUTSIDE] = "outside"
};
const char *const frame_picks[FRAME_SIDES] = {
	[FRAME_NEAR] = "near-picks", [FRAME_OUTSIDE] = "outside-picks"
};
const char *const frame_marks[FRAME_SIDES] = {
	[FRAME_NEAR] = "near-marks", [FRAME_OUTSIDE] = "outside-marks"
};

const char *frame_layout(const struct frame *f)
{
	static const char layouts[2][2][FRAME_LAYOUT_SIZE] = {
		{ FRAME_LAYOUT, FRAME_LAYOUT ", counting" },
		{ FRAME_LAYOUT ", with IPVS", FRAME_LAYOUT ", with IPVS, counting" },
	};

	return layouts[f->ipvs][f->counts];
}

frame_kind frame_kind_of(size_t n_endpoints, uint32_t affinity_s)
{
	return (frame_kind)n_endpoints | affinity_s << FRAME_KIND_COUNT_BITS;
}

uint32_t frame_kind_count(frame_kind kind)
{
	return kind & ((1u << FRAME_KIND_COUNT_BITS) - 1);
}

uint32_t frame_kind_affinity_s(frame_kind kind)
{
	return kind >> FRAME_KIND_COUNT_BITS;
}

bool frame_kind_has_chains(frame_kind kind)
{
	return frame_kind_count(kind) > 0;
}

bool frame_fixed_kind(const struct frame *f, size_t i, frame_kind *ret_kind, const char **ret_chain)
{
	static const struct {
		frame_kind kind;
		const char *chain;
	} fixed[] = { { FRAME_KIND_DROP, NULL },
		      { FRAME_KIND_REJECT, FRAME_REJECT },
		      { FRAME_KIND_VIRTUAL, FRAME_VIRTUAL } };

	if (i >= ARRAY_LEN(fixed) - !f->ipvs)
		return false;
	*ret_kind = fixed[i].kind;
	*ret_chain = fixed[i].chain;
	return true;
}

frame_kind frame_kind_rounded(frame_kind kind)
{
	/* Kubernetes' own default is three hours, its longest a day. */
	static const uint32_t times_s[] = { 0, 60, 600, 3600, 10800, 86400 };

	for (size_t i = 0; frame_kind_count(kind) > 0 && i < ARRAY_LEN(times_s); i++)
		if (frame_kind_affinity_s(kind) <= times_s[i])
			return frame_kind_of(frame_kind_count(kind), times_s[i]);
	return kind;
}

uint8_t frame_nf_family(const struct frame *f)
{
	return f->family == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
}

/* ---- chains ---- */

static const struct frame_base bases[] = {
	{ "prerouting", "nat", NF_INET_PRE_ROUTING, NF_IP_PRI_NAT_DST - PRIORITY_BEFORE },
	{ "output", "nat", NF_INET_LOCAL_OUT, NF_IP_PRI_NAT_DST - PRIORITY_BEFORE },
	{ "postrouting", "nat", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC - PRIORITY_BEFORE },
	{ "input", "filter", NF_INET_LOCAL_IN, NF_IP_PRI_FILTER - PRIORITY_BEFORE },
	{ "forward", "filter", NF_INET_FORWARD, NF_IP_PRI_FILTER - PRIORITY_BEFORE },
	{ "count-in", "filter", NF_INET_PRE_ROUTING, NF_IP_PRI_NAT_DST + PRIORITY_BEFORE,
	  .counts = true },
	{ "count-out", "filter", NF_INET_LOCAL_OUT, NF_IP_PRI_NAT_DST + PRIORITY_BEFORE,
	  .counts = true },
	/* IPVS' own hooks are two before and one before NAT_SRC, one and two after NAT_DST. */
	{ "from-ipvs", "filter", NF_INET_LOCAL_OUT, NF_IP_PRI_RAW, .ipvs = true },
	{ "to-ipvs", "filter", NF_INET_PRE_ROUTING, NF_IP_PRI_NAT_DST + 1, .ipvs = true },
	{ "before-ipvs-input", "filter", NF_INET_LOCAL_IN, NF_IP_PRI_NAT_SRC - 3, .ipvs = true },
	{ "before-ipvs-output", "filter", NF_INET_LOCAL_OUT, NF_IP_PRI_NAT_DST + 1, .ipvs = true },
	{ "after-ipvs-input", "filter", NF_INET_LOCAL_IN, NF_IP_PRI_NAT_SRC + 1, .ipvs = true },
	/* What goes to an endpoint on the node itself IPVS leaves on its old route, elsewhere. */
	{ "after-ipvs-output", "route", NF_INET_LOCAL_OUT, NF_IP_PRI_NAT_DST + 3, .ipvs = true },
};

const struct frame_base *frame_base(const struct frame *f, size_t i)
{
	for (const struct frame_base *b = bases; b < bases + ARRAY_LEN(bases); b++)
		if ((f->counts || !b->counts) && (f->ipvs || !b->ipvs) && i-- == 0)
			return b;
	return NULL;
}

void frame_node_ports_name(enum traffic_origin origin, char ret[static FRAME_NAME_SIZE])
{
	snprintf(ret, FRAME_NAME_SIZE, "%s-node-ports", frame_origins[origin]);
}

void frame_kind_name(enum frame_side side, frame_kind kind, char ret[static FRAME_NAME_SIZE])
{
	if (frame_kind_affinity_s(kind))
		snprintf(ret, FRAME_NAME_SIZE, "%s-%u-for-%us", sides[side], frame_kind_count(kind),
		         frame_kind_affinity_s(kind));
	else
		snprintf(ret, FRAME_NAME_SIZE, "%s-%u", sides[side], frame_kind_count(kind));
}

/* "outside-3", "near-12-for-10800s": as it is written above, and not otherwise. */
bool frame_kind_parse(const char *chain, enum frame_side *ret_side, frame_kind *ret_kind)
{
	char name[FRAME_NAME_SIZE];

	for (int i = 0; i < FRAME_SIDES; i++) {
		unsigned int n = 0, affinity_s = 0;
		size_t len = strlen(sides[i]);
		if (strncmp(chain, sides[i], len) != 0 ||
		    sscanf(chain + len, "-%u-for-%us", &n, &affinity_s) < 1)
			continue;
		frame_kind kind = frame_kind_of(n, affinity_s);
		frame_kind_name((enum frame_side)i, kind, name);
		if (strcmp(chain, name) != 0)
			continue;
		*ret_side = (enum frame_side)i;
		*ret_kind = kind;
		return true;
	}
	return false;
}

static struct nlmsghdr *chain_message(const struct frame *f, struct wire *w, int type,
                                      const char *table, const char *name)
{
	struct nlmsghdr *h =
		wire_add(w, type, frame_nf_family(f), type == NFT_MSG_NEWCHAIN ? NLM_F_CREATE : 0);

	/* Table and name have the same numbers in rules. */
	mnl_attr_put_strz(h, NFTA_CHAIN_TABLE, table);
	mnl_attr_put_strz(h, type == NFT_MSG_DELRULE ? NFTA_RULE_CHAIN : NFTA_CHAIN_NAME, name);
	return h;
}

static void put_chain(const struct frame *f, struct wire *w, const char *table, const char *name)
{
	wire_added(w, chain_message(f, w, NFT_MSG_NEWCHAIN, table, name));
}

void frame_put_base(const struct frame *f, struct wire *w, const char *table,
                    const struct frame_base *row)
{
	struct nlmsghdr *h = chain_message(f, w, NFT_MSG_NEWCHAIN, table, row->name);
	struct nlattr *hook = mnl_attr_nest_start(h, NFTA_CHAIN_HOOK);

	mnl_attr_put_u32(h, NFTA_HOOK_HOOKNUM, htonl(row->hook));
	mnl_attr_put_u32(h, NFTA_HOOK_PRIORITY, htonl((uint32_t)row->priority));
	mnl_attr_nest_end(h, hook);
	mnl_attr_put_u32(h, NFTA_CHAIN_POLICY, htonl(NF_ACCEPT));
	mnl_attr_put_strz(h, NFTA_CHAIN_TYPE, row->type);
	wire_added(w, h);
}

static void flush(const struct frame *f, struct wire *w, const char *chain)
{
	wire_added(w, chain_message(f, w, NFT_MSG_DELRULE, FRAME_TABLE, chain));
}

void frame_each_chain(const struct frame *f, frame_chain_fn *fn, void *arg)
{
	char name[FRAME_NAME_SIZE];

	fn(FRAME_REJECT, arg);
	fn(FRAME_CLOSED, arg);
	if (f->counts)
		fn(FRAME_COUNTING, arg);
	if (f->ipvs) {
		fn(FRAME_VIRTUAL, arg);
		fn(FRAME_SCHEDULE, arg);
		for (int i = 0; i < FRAME_SIDES; i++)
			fn(frame_marks[i], arg);
	}
	for (int i = 0; i < TRAFFIC_ORIGINS; i++) {
		fn(frame_origins[i], arg);
		frame_node_ports_name((enum traffic_origin)i, name);
		fn(name, arg);
	}
}

/* ---- kinds of sets ---- */

static void put_verdict(struct nlmsghdr *h, int code, const char *chain)
{
	struct nlattr *data = mnl_attr_nest_start(h, NFTA_SET_ELEM_DATA);
	struct nlattr *v = mnl_attr_nest_start(h, NFTA_DATA_VERDICT);

	mnl_attr_put_u32(h, NFTA_VERDICT_CODE, htonl((uint32_t)code));
	if (chain)
		mnl_attr_put_strz(h, NFTA_VERDICT_CHAIN, chain);
	mnl_attr_nest_end(h, v);
	mnl_attr_nest_end(h, data);
}

static struct nlattr *begin_elements(const struct frame *f, struct wire *w, const char *table,
                                     const char *set, bool add_them, struct nlmsghdr **ret_h)
{
	struct nlmsghdr *h = wire_add(w, add_them ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM,
	                              frame_nf_family(f), add_them ? NLM_F_CREATE : 0);

	mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_TABLE, table);
	mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, set);
	*ret_h = h;
	return mnl_attr_nest_start(h, NFTA_SET_ELEM_LIST_ELEMENTS);
}

static void put_value(struct nlmsghdr *h, uint16_t attribute, const void *data, size_t size)
{
	struct nlattr *nest = mnl_attr_nest_start(h, attribute);

	mnl_attr_put(h, NFTA_DATA_VALUE, size, data);
	mnl_attr_nest_end(h, nest);
}

/* What a kind of set leads to; @chain NULL: it drops. */
static void put_picks(const struct frame *f, struct wire *w, const char *table,
                      enum frame_side side, frame_kind kind, const char *chain, bool add_it)
{
	struct nlmsghdr *h;

	struct nlattr *list = begin_elements(f, w, table, frame_picks[side], add_it, &h);
	struct nlattr *element = mnl_attr_nest_start(h, NFTA_LIST_ELEM);
	put_value(h, NFTA_SET_ELEM_KEY, &kind, sizeof(kind));
	put_verdict(h, chain ? NFT_GOTO : NF_DROP, chain);
	mnl_attr_nest_end(h, element);
	mnl_attr_nest_end(h, list);
	wire_added(w, h);
}

void frame_put_kind(const struct frame *f, struct wire *w, const char *table, frame_kind kind,
                    bool again)
{
	struct frame_scribe s = { .f = f, .w = w, .table = table };
	char chain[FRAME_NAME_SIZE];

	for (int i = 0; i < FRAME_SIDES; i++) {
		enum frame_side side = (enum frame_side)i;
		frame_kind_name(side, kind, chain);
		put_chain(f, w, table, chain);
		if (again)
			flush(f, w, chain);
		frame_put_kind_rules(&s, side, kind);
		put_picks(f, w, table, side, kind, chain, true);
	}
}

void frame_drop_kind(const struct frame *f, struct wire *w, frame_kind kind)
{
	char chain[FRAME_NAME_SIZE];

	for (int i = 0; i < FRAME_SIDES; i++) {
		enum frame_side side = (enum frame_side)i;
		frame_kind_name(side, kind, chain);
		put_picks(f, w, FRAME_TABLE, side, kind, chain, false);
		flush(f, w, chain);
		wire_added(w, chain_message(f, w, NFT_MSG_DELCHAIN, FRAME_TABLE, chain));
	}
}

/* ---- the table ---- */

struct target {
	const struct frame *f;
	struct wire *w;
	const char *table;
};

/*
 * For nft: keys, unless they are addresses, and values are numbers of this machine; each time type,
 * size, number.
 */
static const unsigned char host_order[] = { NFTNL_UDATA_SET_KEYBYTEORDER,  4, 1, 0, 0, 0,
	                                    NFTNL_UDATA_SET_DATABYTEORDER, 4, 1, 0, 0, 0 };
#define HOST_ORDER_SIZE 6

void frame_put_set(const struct frame *f, struct wire *w, const char *table, const char *name,
                   const struct frame_set *set)
{
	bool is_address = set->key_type == TYPE_ADDR4 || set->key_type == TYPE_ADDR6;
	size_t skipped = is_address ? HOST_ORDER_SIZE : 0;
	struct nlmsghdr *h =
		wire_add(w, NFT_MSG_NEWSET, frame_nf_family(f), NLM_F_CREATE | NLM_F_EXCL);

	mnl_attr_put_strz(h, NFTA_SET_TABLE, table);
	mnl_attr_put_strz(h, NFTA_SET_NAME, name);
	mnl_attr_put_u32(h, NFTA_SET_FLAGS, htonl(set->flags));
	mnl_attr_put_u32(h, NFTA_SET_KEY_TYPE, htonl(set->key_type));
	mnl_attr_put_u32(h, NFTA_SET_KEY_LEN, htonl(set->key_size));
	mnl_attr_put_u32(h, NFTA_SET_ID, htonl(1)); /* that nobody refers to */
	if (set->flags & NFT_SET_MAP) {
		mnl_attr_put_u32(h, NFTA_SET_DATA_TYPE, htonl(set->value_type));
		mnl_attr_put_u32(h, NFTA_SET_DATA_LEN, htonl(set->value_size));
	}
	if (set->size) {
		struct nlattr *desc = mnl_attr_nest_start(h, NFTA_SET_DESC);
		mnl_attr_put_u32(h, NFTA_SET_DESC_SIZE, htonl(set->size));
		mnl_attr_nest_end(h, desc);
	}
	if (set->value_type == TYPE_MARK)
		mnl_attr_put(h, NFTA_SET_USERDATA, 2 * HOST_ORDER_SIZE - skipped,
		             host_order + skipped);
	else if (set->key_type == TYPE_MARK)
		mnl_attr_put(h, NFTA_SET_USERDATA, HOST_ORDER_SIZE, host_order);
	wire_added(w, h);
}

static void put_set(const char *name, const struct frame_set *set, void *arg)
{
	const struct target *t = arg;

	frame_put_set(t->f, t->w, t->table, name, set);
}

static void put_one_chain(const char *name, void *arg)
{
	const struct target *t = arg;

	put_chain(t->f, t->w, t->table, name);
}

struct nlmsghdr *frame_table_message(const struct frame *f, struct wire *w, int type,
                                     uint16_t flags, const char *table)
{
	struct nlmsghdr *h = wire_add(w, type, frame_nf_family(f), flags);

	mnl_attr_put_strz(h, NFTA_TABLE_NAME, table);
	return h;
}

/* A comment, as nft writes and prints it: type, size, text. */
static void put_layout(const struct frame *f, struct nlmsghdr *h)
{
	const char *layout = frame_layout(f);
	unsigned char data[2 + FRAME_LAYOUT_SIZE] = { 0 };

	data[1] = (unsigned char)(strlen(layout) + 1);
	memcpy(data + 2, layout, data[1]);
	mnl_attr_put(h, NFTA_TABLE_USERDATA, 2u + data[1], data);
}

static void put_fixed_kinds(const struct frame *f, struct wire *w, const char *table)
{
	const char *chain;
	frame_kind kind;

	for (size_t i = 0; frame_fixed_kind(f, i, &kind, &chain); i++)
		for (int side = 0; side < FRAME_SIDES; side++)
			put_picks(f, w, table, (enum frame_side)side, kind, chain, true);
}

void frame_put_table(const struct frame *f, struct wire *w, const char *table, bool dormant)
{
	struct target t = { f, w, table };
	const struct frame_base *base;
	struct frame_scribe s = { .f = f, .w = w, .table = table };
	struct nlmsghdr *h =
		frame_table_message(f, w, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, table);

	mnl_attr_put_u32(h, NFTA_TABLE_FLAGS, htonl(dormant ? NFT_TABLE_F_DORMANT : 0));
	put_layout(f, h);
	wire_added(w, h);
	frame_each_set(f, put_set, &t);
	for (size_t i = 0; (base = frame_base(f, i)); i++)
		frame_put_base(f, w, table, base);
	frame_each_chain(f, put_one_chain, &t);
	frame_put_static_rules(&s);
	put_fixed_kinds(f, w, table);
}

void frame_drop_table(const struct frame *f, struct wire *w, const char *table)
{
	wire_added(w, frame_table_message(f, w, NFT_MSG_DELTABLE, 0, table));
}

static void flush_one_chain(const char *name, void *arg)
{
	const struct target *t = arg;

	flush(t->f, t->w, name);
}

void frame_put_rules(const struct frame *f, struct wire *w)
{
	struct target t = { f, w, FRAME_TABLE };
	const struct frame_base *base;
	struct frame_scribe s = { .f = f, .w = w, .table = FRAME_TABLE };

	for (size_t i = 0; (base = frame_base(f, i)); i++)
		flush(f, w, base->name);
	frame_each_chain(f, flush_one_chain, &t);
	frame_put_static_rules(&s);
	put_fixed_kinds(f, w, FRAME_TABLE);
}

/* ---- what should be there ---- */

void frame_each_rule(const struct frame *f, struct wire *w, frame_rule_fn *fn, void *arg)
{
	struct frame_scribe s = { .f = f, .w = w, .table = FRAME_TABLE, .told = fn, .arg = arg };

	wire_begin(w);
	frame_put_static_rules(&s);
}

void frame_each_kind_rule(const struct frame *f, struct wire *w, frame_kind kind, frame_rule_fn *fn,
                          void *arg)
{
	struct frame_scribe s = { .f = f, .w = w, .table = FRAME_TABLE, .told = fn, .arg = arg };

	wire_begin(w);
	for (int i = 0; i < FRAME_SIDES; i++)
		frame_put_kind_rules(&s, (enum frame_side)i, kind);
}

/* ---- elements ---- */

/* An element takes at most so much of a message: key, value, headers, or twice a key. */
#define ELEMENT_MAX (2 * FRAME_KEY_MAX + 60)
/* A nested attribute is never longer. */
#define ELEMENTS_MAX (UINT16_MAX / ELEMENT_MAX - 8)

static void put_element(struct nlmsghdr *h, const struct frame_shape *shape,
                        const struct frame_element *e, bool add_it)
{
	struct nlattr *element = mnl_attr_nest_start(h, NFTA_LIST_ELEM);

	put_value(h, NFTA_SET_ELEM_KEY, e->key, shape->key);
	if (shape->value && add_it && !shape->intervals)
		put_value(h, NFTA_SET_ELEM_DATA, e->value, shape->value);
	mnl_attr_nest_end(h, element);
	if (!shape->intervals)
		return;
	element = mnl_attr_nest_start(h, NFTA_LIST_ELEM);
	put_value(h, NFTA_SET_ELEM_KEY, e->value, shape->key);
	mnl_attr_put_u32(h, NFTA_SET_ELEM_FLAGS, htonl(NFT_SET_ELEM_INTERVAL_END));
	mnl_attr_nest_end(h, element);
}

void frame_put_list(const struct frame *f, struct wire *w, const char *table,
                    const struct frame_shape *shape, bool add_them,
                    const struct frame_element *elements, size_t n)
{
	for (size_t i = 0; i < n;) {
		struct nlmsghdr *h;
		size_t until = n - i < ELEMENTS_MAX ? n : i + ELEMENTS_MAX;
		struct nlattr *list = begin_elements(f, w, table, shape->name, add_them, &h);
		for (; i < until; i++)
			put_element(h, shape, &elements[i], add_them);
		mnl_attr_nest_end(h, list);
		wire_added(w, h);
	}
}

void frame_put_elements(const struct frame *f, struct wire *w, enum frame_map map, bool add_them,
                        const struct frame_element *elements, size_t n)
{
	const struct frame_shape shape = frame_shape(f->family, map);

	frame_put_list(f, w, FRAME_TABLE, &shape, add_them, elements, n);
}
