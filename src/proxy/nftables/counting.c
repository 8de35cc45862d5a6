/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes to Services is counted by what it was meant for, which conntrack knows of each packet,
 * in sets that rules fill themselves.  So there is no rule and no element to write for a Service,
 * and what has no traffic costs nothing.  Only what leads somewhere is counted, so that others'
 * translations take no room: the maps of ways are asked first.
 *
 * A connection is counted when conntrack has not confirmed it yet: no packet of it has left here.
 * Packets are counted as they come in, or as the node itself sends them; what goes by the loopback
 * interface has been counted as it was sent.
 */
#include "config.h"

#include "proxy/nftables/frame_private.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "fairlead/mem.h"
#include "proxy/nftables/wire.h"

static const struct frame_row rows[FRAME_COUNTS] = {
	[FRAME_COUNT_CONNECTIONS] = { "connections", { TYPE_ADDR, TYPE_PROTOCOL, TYPE_PORT } },
	[FRAME_COUNT_NODE_CONNECTIONS] = { "node-port-connections", { TYPE_PROTOCOL, TYPE_PORT } },
	[FRAME_COUNT_TRAFFIC] = { "traffic",
	                          { TYPE_DIRECTION, TYPE_ADDR, TYPE_PROTOCOL, TYPE_PORT } },
	[FRAME_COUNT_NODE_TRAFFIC] = { "node-port-traffic",
	                               { TYPE_DIRECTION, TYPE_PROTOCOL, TYPE_PORT } },
};

const char *frame_count_name(enum frame_count count)
{
	return rows[count].name;
}

bool frame_count_has_direction(enum frame_count count)
{
	return count == FRAME_COUNT_TRAFFIC || count == FRAME_COUNT_NODE_TRAFFIC;
}

enum frame_map frame_count_ways(enum frame_count count)
{
	bool node = count == FRAME_COUNT_NODE_CONNECTIONS || count == FRAME_COUNT_NODE_TRAFFIC;

	return node ? FRAME_NODE_WAYS : FRAME_WAYS;
}

static struct frame_set facts_of(const struct frame *f, enum frame_count count)
{
	struct frame_row row = rows[count];

	row.flags = NFT_SET_TIMEOUT | NFT_SET_EVAL;
	row.size = FRAME_COUNTED_MAX;
	return frame_facts_of(f, &row);
}

void frame_each_count(const struct frame *f, frame_set_fn *fn, void *arg)
{
	for (int i = 0; i < FRAME_COUNTS; i++) {
		const struct frame_set facts = facts_of(f, (enum frame_count)i);
		fn(rows[i].name, &facts, arg);
	}
}

/* ---- what was counted ---- */

/* The first attribute of that type inside @a. */
static const struct nlattr *inside(const struct nlattr *a, uint16_t type)
{
	const struct nlattr *b;

	if (a)
		mnl_attr_for_each_nested(b, a)
			if (mnl_attr_get_type(b) == type)
				return b;
	return NULL;
}

static bool copy_number(const struct nlattr *a, uint64_t *ret)
{
	uint64_t n;

	if (!a || mnl_attr_get_payload_len(a) != sizeof(n))
		return false;
	memcpy(&n, mnl_attr_get_payload(a), sizeof(n));
	*ret = be64toh(n);
	return true;
}

bool frame_read_count(const struct frame *f, enum frame_count count, const struct nlattr *a,
                      struct frame_counted *ret)
{
	const struct nlattr *key = inside(inside(a, NFTA_SET_ELEM_KEY), NFTA_DATA_VALUE);
	const struct nlattr *counter = inside(inside(a, NFTA_SET_ELEM_EXPR), NFTA_EXPR_DATA);
	struct frame_counted c = { .count = count,
		                   .id_size = facts_of(f, count).key_size,
		                   .map = frame_count_ways(count) };
	size_t skip = frame_count_has_direction(count) ? sizeof(uint32_t) : 0;

	if (!key || mnl_attr_get_payload_len(key) != c.id_size ||
	    !copy_number(inside(counter, NFTA_COUNTER_PACKETS), &c.packets) ||
	    !copy_number(inside(counter, NFTA_COUNTER_BYTES), &c.bytes))
		return false;
	memcpy(c.id, mnl_attr_get_payload(key), c.id_size);
	memcpy(c.key, c.id + skip, c.id_size - skip);
	c.is_answer = skip && c.id[0] == IP_CT_DIR_REPLY;
	*ret = c;
	return true;
}

struct walk {
	const struct frame *f;
	enum frame_count count;
	frame_counted_fn *fn;
	void *arg;
};

static void some_elements(const struct nlmsghdr *h, void *arg)
{
	const struct walk *at = arg;
	const struct nlattr *list = NULL, *a;
	struct frame_counted c;

	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
		if (mnl_attr_get_type(a) == NFTA_SET_ELEM_LIST_ELEMENTS)
			list = a;
	if (!list)
		return;
	mnl_attr_for_each_nested(a, list)
		if (frame_read_count(at->f, at->count, a, &c))
			at->fn(&c, at->arg);
}

int frame_counts_begin(const struct frame *f, struct wire *w, enum frame_count count)
{
	return wire_list(w, NFT_MSG_GETSETELEM, frame_nf_family(f), FRAME_TABLE, rows[count].name);
}

int frame_counts_step(const struct frame *f, struct wire *w, enum frame_count count,
                      frame_counted_fn *fn, void *arg)
{
	struct walk at = { f, count, fn, arg };
	int r = wire_step(w, some_elements, &at);

	return r == -EAGAIN ? 1 : r;
}
