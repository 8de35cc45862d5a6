/* SPDX-License-Identifier: Apache-2.0 */
/* The maps and sets of a frame: their names, what their elements consist of, and how they read. */
#include "config.h"

#include "proxy/nftables/frame_private.h"

#include <netinet/in.h>
#include <string.h>

#include <linux/netfilter/nf_tables.h>

#include "proxy/nftables/rule.h"

/* Clients whose endpoint is remembered; more are served without. */
#define AFFINITY_CLIENTS_MAX 262144

/* clang-format off */
#define ADDRESS { TYPE_ADDR, TYPE_PROTOCOL, TYPE_PORT }
#define NODE_PORT { TYPE_PROTOCOL, TYPE_PORT }
#define ENDPOINT { TYPE_ADDR, TYPE_PORT }
static const struct frame_row maps[FRAME_MAPS] = {
	[FRAME_ENDPOINTS] = { "endpoints", { TYPE_MARK, TYPE_MARK }, ENDPOINT },
	[FRAME_MEMBERS] = { "members", { TYPE_MARK, TYPE_MARK }, ENDPOINT },
	[FRAME_TICKETS] = { "tickets", { TYPE_MARK, TYPE_MARK }, { TYPE_MARK } },
	[FRAME_HAIRPIN] = { "hairpin", { TYPE_ADDR, TYPE_ADDR }, { 0 } },
	[FRAME_RANGES] = { "source-ranges", { TYPE_MARK, TYPE_ADDR }, { 0 }, NFT_SET_INTERVAL },
	[FRAME_RESTRICTED] = { "restricted", ADDRESS, { TYPE_MARK } },
	[FRAME_SETS] = { "sets", { TYPE_MARK }, { TYPE_MARK } },
	[FRAME_SHORTCUTS] = { "short-cuts", ADDRESS, { TYPE_MARK } },
	[FRAME_NODE_SHORTCUTS] = { "node-port-short-cuts", NODE_PORT, { TYPE_MARK } },
	[FRAME_WAYS] = { "ways", ADDRESS, { TYPE_MARK } },
	[FRAME_NODE_WAYS] = { "node-port-ways", NODE_PORT, { TYPE_MARK } },
	/*
	 * A map, though its values say nothing.  While a table goes, packets may meet its rules
	 * still and the elements of its maps no more, but those of its sets: one that no longer
	 * finds its way must not find its address guarded.
	 */
	[FRAME_GUARDED] = { "guarded", { TYPE_ADDR }, { TYPE_MARK } },
};
/* clang-format on */

static const struct frame_row affinity_row = {
	.name = FRAME_AFFINITY,
	.key = { TYPE_MARK, TYPE_ADDR },
	.value = { TYPE_MARK },
	.flags = NFT_SET_TIMEOUT | NFT_SET_EVAL,
	.size = AFFINITY_CLIENTS_MAX,
};

const char *frame_map_name(enum frame_map map)
{
	return maps[map].name;
}

static uint32_t field_size(const struct frame *f, uint8_t type)
{
	return type == TYPE_ADDR ? 4 * rule_addr_regs(f->family) : type == TYPE_MAC ? 6 : 4;
}

static uint32_t fields_size(const struct frame *f, const uint8_t fields[FRAME_FIELDS_MAX])
{
	uint32_t size = 0;

	for (int i = 0; i < FRAME_FIELDS_MAX && fields[i]; i++)
		size += field_size(f, fields[i]);
	return size;
}

static uint32_t fields_type(const struct frame *f, const uint8_t fields[FRAME_FIELDS_MAX])
{
	uint32_t type = 0;

	for (int i = 0; i < FRAME_FIELDS_MAX && fields[i]; i++)
		type = type << TYPE_BITS | (fields[i] != TYPE_ADDR ? fields[i]
		                            : f->family == 4       ? TYPE_ADDR4
		                                                   : TYPE_ADDR6);
	return type;
}

struct frame_shape frame_shape(uint8_t family, enum frame_map map)
{
	const struct frame f = { .family = family };
	const struct frame_row *row = &maps[map];
	bool intervals = row->flags & NFT_SET_INTERVAL;

	return (struct frame_shape){
		.name = row->name,
		.key = (uint8_t)fields_size(&f, row->key),
		.value = (uint8_t)fields_size(&f, intervals ? row->key : row->value),
		.intervals = intervals,
	};
}

static size_t put_field(uint8_t type, uint8_t family, const unsigned char *at, struct buf *out)
{
	struct addr a = { .family = family };
	uint32_t number;

	switch (type) {
	case TYPE_ADDR:
		memcpy(a.b, at, addr_size(family));
		buf_puts(out, addr_str(&a));
		return addr_size(family);
	case TYPE_PROTOCOL:
		buf_puts(out, *at == IPPROTO_UDP ? "udp" : *at == IPPROTO_SCTP ? "sctp" : "tcp");
		break;
	case TYPE_PORT:
		buf_printf(out, "%d", at[0] << 8 | at[1]);
		break;
	default:
		memcpy(&number, at, sizeof(number));
		buf_printf(out, "0x%08x", number);
		break;
	}
	return sizeof(number);
}

static void put_fields(const uint8_t fields[FRAME_FIELDS_MAX], uint8_t family,
                       const unsigned char *at, struct buf *out)
{
	for (int i = 0; i < FRAME_FIELDS_MAX && fields[i]; i++) {
		buf_puts(out, i > 0 ? " . " : "");
		at += put_field(fields[i], family, at, out);
	}
}

void frame_format_element(uint8_t family, enum frame_map map, const void *key, const void *value,
                          struct buf *out)
{
	const struct frame_row *row = &maps[map];
	bool intervals = row->flags & NFT_SET_INTERVAL;

	put_fields(row->key, family, key, out);
	if (!value || (!row->value[0] && !intervals))
		return;
	buf_puts(out, intervals ? " until " : " : ");
	put_fields(intervals ? row->key : row->value, family, value, out);
}

struct frame_set frame_facts_of(const struct frame *f, const struct frame_row *row)
{
	bool intervals = row->flags & NFT_SET_INTERVAL;

	return (struct frame_set){
		.flags = row->flags | (row->value[0] ? NFT_SET_MAP : 0),
		/* One number to nft: it takes intervals of several fields apart otherwise. */
		.key_type = intervals ? TYPE_INTEGER : fields_type(f, row->key),
		.key_size = fields_size(f, row->key),
		.value_type = fields_type(f, row->value),
		.value_size = fields_size(f, row->value),
		.size = row->size,
	};
}

static const struct frame_set picks_facts = { .flags = NFT_SET_MAP,
	                                      .key_type = TYPE_MARK,
	                                      .key_size = 4,
	                                      .value_type = NFT_DATA_VERDICT,
	                                      .value_size = 0 };

void frame_each_set(const struct frame *f, frame_set_fn *fn, void *arg)
{
	for (int i = 0; i < FRAME_MAPS; i++) {
		const struct frame_set facts = frame_facts_of(f, &maps[i]);
		fn(maps[i].name, &facts, arg);
	}
	const struct frame_set facts = frame_facts_of(f, &affinity_row);
	fn(FRAME_AFFINITY, &facts, arg);
	for (int i = 0; i < FRAME_SIDES; i++)
		fn(frame_picks[i], &picks_facts, arg);
	if (f->counts)
		frame_each_count(f, fn, arg);
}
