/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/nftables/rule.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>

#include "fairlead/hash.h"
#include "fairlead/mem.h"
#include "proxy/nftables/wire.h"

#define COMMENT_MAX 128
#define DIGEST_DIGITS 16
#define ICMPV6_PORT_UNREACHABLE 4
#define MSS_OFFSET 2
#define SHARE_SEED 0x46616972u

static uint32_t reg_of(unsigned int reg)
{
	return NFT_REG32_00 + reg;
}

unsigned int rule_addr_regs(uint8_t family)
{
	return family == 4 ? 1 : 4;
}

static struct nftnl_expr *expression(const char *name)
{
	struct nftnl_expr *e = nftnl_expr_alloc(name);

	if (!e)
		abort();
	return e;
}

static void add(struct rule *r, struct nftnl_expr *e)
{
	nftnl_rule_add_expr(r->r, e);
}

void rule_begin(struct rule *r, uint8_t family)
{
	r->family = family;
	r->r = nftnl_rule_alloc();
	if (!r->r)
		abort();
	nftnl_rule_set_u32(r->r, NFTNL_RULE_FAMILY, family == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
}

/* It need only tell accidents. */
static uint64_t digest_of(const void *data, size_t size)
{
	uint64_t h = hash_fnv(HASH_FNV_BEGIN, data, size);

	return h ? h : 1;
}

static uint64_t digest(const struct rule *r)
{
	cleanup_free char *scratch = xcalloc(1, WIRE_MESSAGE_MAX);
	struct nlmsghdr *h = mnl_nlmsg_put_header(scratch);

	nftnl_rule_nlmsg_build_payload(h, r->r);
	return digest_of(mnl_nlmsg_get_payload(h), mnl_nlmsg_get_payload_len(h));
}

uint64_t rule_end(struct rule *r, struct nlmsghdr *h, const char *table, const char *chain,
                  const char *comment)
{
	struct nftnl_udata_buf *u = nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN);
	char text[COMMENT_MAX];

	nftnl_rule_set_str(r->r, NFTNL_RULE_TABLE, table);
	nftnl_rule_set_str(r->r, NFTNL_RULE_CHAIN, chain);
	uint64_t d = digest(r);
	snprintf(text, sizeof(text), "%s%s%0*llx", comment, *comment ? " " : "", DIGEST_DIGITS,
	         (unsigned long long)d);
	nftnl_udata_put_strz(u, NFTNL_UDATA_RULE_COMMENT, text);
	nftnl_rule_set_data(r->r, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(u),
	                    nftnl_udata_buf_len(u));
	nftnl_rule_nlmsg_build_payload(h, r->r);
	nftnl_udata_buf_free(u);
	nftnl_rule_free(TAKE(r->r));
	return d;
}

static int find_comment(const struct nftnl_udata *u, void *arg)
{
	const struct nftnl_udata **ret = arg;

	if (nftnl_udata_type(u) == NFTNL_UDATA_RULE_COMMENT)
		*ret = u;
	return 0;
}

static int find_userdata(const struct nlattr *a, void *arg)
{
	const struct nlattr **ret = arg;

	if (mnl_attr_get_type(a) == NFTA_RULE_USERDATA)
		*ret = a;
	return MNL_CB_OK;
}

uint64_t rule_digest(const struct nlmsghdr *h)
{
	const struct nlattr *data = NULL;
	const struct nftnl_udata *comment = NULL;

	mnl_attr_parse(h, sizeof(struct nfgenmsg), find_userdata, &data);
	if (!data ||
	    nftnl_udata_parse(mnl_attr_get_payload(data), mnl_attr_get_payload_len(data),
	                      find_comment, &comment) < 0 ||
	    !comment || nftnl_udata_len(comment) <= DIGEST_DIGITS)
		return 0;
	const char *text = nftnl_udata_get(comment);
	if (text[nftnl_udata_len(comment) - 1] != '\0')
		return 0;
	return strtoull(text + nftnl_udata_len(comment) - 1 - DIGEST_DIGITS, NULL, 16);
}

/* ---- expressions ---- */

static void load_payload(struct rule *r, uint32_t base, uint32_t offset, uint32_t len,
                         unsigned int reg)
{
	struct nftnl_expr *e = expression("payload");

	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, len);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, reg_of(reg));
	add(r, e);
}

static void load_meta(struct rule *r, uint32_t key, unsigned int reg)
{
	struct nftnl_expr *e = expression("meta");

	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, reg_of(reg));
	add(r, e);
}

static struct nftnl_expr *load_ct(struct rule *r, uint32_t key, unsigned int reg)
{
	struct nftnl_expr *e = expression("ct");

	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_DREG, reg_of(reg));
	add(r, e);
	return e;
}

static void compare(struct rule *r, unsigned int reg, uint32_t op, const void *data, uint32_t size)
{
	struct nftnl_expr *e = expression("cmp");

	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, reg_of(reg));
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, op);
	nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, data, size);
	add(r, e);
}

/* to = (from & mask) ^ flip */
static void bits(struct rule *r, unsigned int from, unsigned int to, const void *mask,
                 const void *flip, uint32_t size)
{
	struct nftnl_expr *e = expression("bitwise");

	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, reg_of(from));
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, reg_of(to));
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, size);
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_MASK, mask, size);
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_XOR, flip, size);
	add(r, e);
}

static void verdict(struct rule *r, int code, const char *chain)
{
	struct nftnl_expr *e = expression("immediate");

	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, (uint32_t)code);
	if (chain)
		nftnl_expr_set_str(e, NFTNL_EXPR_IMM_CHAIN, chain);
	add(r, e);
}

static void look_up(struct rule *r, const char *set, unsigned int from, uint32_t to, bool in)
{
	struct nftnl_expr *e = expression("lookup");

	nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, set);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, reg_of(from));
	if (to != UINT32_MAX)
		nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_DREG, to);
	if (!in)
		nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
	add(r, e);
}

/* ---- from the packet ---- */

static uint32_t addr_bytes(const struct rule *r)
{
	return 4 * rule_addr_regs(r->family);
}

void rule_load_source(struct rule *r, unsigned int reg)
{
	load_payload(r, NFT_PAYLOAD_NETWORK_HEADER,
	             r->family == 4 ? offsetof(struct iphdr, saddr)
	                            : offsetof(struct ip6_hdr, ip6_src),
	             addr_bytes(r), reg);
}

void rule_load_destination(struct rule *r, unsigned int reg)
{
	load_payload(r, NFT_PAYLOAD_NETWORK_HEADER,
	             r->family == 4 ? offsetof(struct iphdr, daddr)
	                            : offsetof(struct ip6_hdr, ip6_dst),
	             addr_bytes(r), reg);
}

void rule_load_protocol(struct rule *r, unsigned int reg)
{
	load_meta(r, NFT_META_L4PROTO, reg);
}

void rule_load_destination_port(struct rule *r, unsigned int reg)
{
	load_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, reg); /* of TCP, UDP and SCTP */
}

void rule_load_first_destination(struct rule *r, unsigned int reg)
{
	nftnl_expr_set_u8(load_ct(r, r->family == 4 ? NFT_CT_DST_IP : NFT_CT_DST_IP6, reg),
	                  NFTNL_EXPR_CT_DIR, IP_CT_DIR_ORIGINAL);
}

void rule_load_first_destination_port(struct rule *r, unsigned int reg)
{
	nftnl_expr_set_u8(load_ct(r, NFT_CT_PROTO_DST, reg), NFTNL_EXPR_CT_DIR, IP_CT_DIR_ORIGINAL);
}

void rule_load_direction(struct rule *r, unsigned int reg)
{
	load_ct(r, NFT_CT_DIRECTION, reg);
}

/* ---- conditions ---- */

static void is_in(struct rule *r, const struct prefix *p, bool in)
{
	static const unsigned char zero[16];
	unsigned char mask[16] = { 0 };

	for (unsigned int i = 0; i < p->len; i++)
		mask[i / 8] |= (unsigned char)(0x80 >> i % 8);
	bits(r, 0, 0, mask, zero, addr_bytes(r));
	compare(r, 0, in ? NFT_CMP_EQ : NFT_CMP_NEQ, p->addr.b, addr_bytes(r));
}

void rule_source_in(struct rule *r, const struct prefix *p, bool in)
{
	rule_load_source(r, 0);
	is_in(r, p, in);
}

void rule_destination_in(struct rule *r, const struct prefix *p, bool in)
{
	rule_load_destination(r, 0);
	is_in(r, p, in);
}

static void goes_by(struct rule *r, uint32_t key, uint32_t op, const char *interface, bool prefix)
{
	char name[IFNAMSIZ] = "";
	size_t len = strnlen(interface, sizeof(name) - 1);

	memcpy(name, interface, len);
	load_meta(r, key, 0);
	compare(r, 0, op, name, prefix ? (uint32_t)len : sizeof(name));
}

void rule_comes_in_by(struct rule *r, const char *interface, bool prefix)
{
	goes_by(r, NFT_META_IIFNAME, NFT_CMP_EQ, interface, prefix);
}

void rule_comes_in_by_lo(struct rule *r, bool does)
{
	goes_by(r, NFT_META_IIFNAME, does ? NFT_CMP_EQ : NFT_CMP_NEQ, "lo", false);
}

void rule_goes_out_by_lo(struct rule *r)
{
	goes_by(r, NFT_META_OIFNAME, NFT_CMP_EQ, "lo", false);
}

static void is_local(struct rule *r, uint32_t which, bool local)
{
	struct nftnl_expr *e = expression("fib");
	uint32_t type = RTN_LOCAL;

	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_DREG, reg_of(0));
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_FLAGS, which);
	add(r, e);
	compare(r, 0, local ? NFT_CMP_EQ : NFT_CMP_NEQ, &type, sizeof(type));
}

void rule_source_is_local(struct rule *r)
{
	is_local(r, NFTA_FIB_F_SADDR, true);
}

void rule_destination_is_local(struct rule *r, bool local)
{
	is_local(r, NFTA_FIB_F_DADDR, local);
}

void rule_any_bit(struct rule *r, unsigned int reg, uint32_t mask)
{
	const uint32_t zero = 0;

	bits(r, reg, reg, &mask, &zero, sizeof(mask));
	compare(r, reg, NFT_CMP_NEQ, &zero, sizeof(zero));
}

void rule_is_translated(struct rule *r)
{
	load_ct(r, NFT_CT_STATUS, 0);
	rule_any_bit(r, 0, IPS_DST_NAT);
}

void rule_is_invalid(struct rule *r)
{
	load_ct(r, NFT_CT_STATE, 0);
	rule_any_bit(r, 0, NF_CT_STATE_INVALID_BIT);
}

static void no_bit(struct rule *r, unsigned int reg, uint32_t mask)
{
	const uint32_t zero = 0;

	bits(r, reg, reg, &mask, &zero, sizeof(mask));
	compare(r, reg, NFT_CMP_EQ, &zero, sizeof(zero));
}

void rule_is_unrelated(struct rule *r)
{
	load_ct(r, NFT_CT_STATE, 0);
	no_bit(r, 0, NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED));
	load_ct(r, NFT_CT_STATUS, 0);
	no_bit(r, 0, IPS_DST_NAT);
}

void rule_is_first_of_all(struct rule *r)
{
	load_ct(r, NFT_CT_STATUS, 0);
	no_bit(r, 0, IPS_CONFIRMED);
}

void rule_is_tcp_syn(struct rule *r)
{
	const uint8_t tcp = IPPROTO_TCP, mask = TH_SYN | TH_RST, zero = 0, syn = TH_SYN;

	load_meta(r, NFT_META_L4PROTO, 0);
	compare(r, 0, NFT_CMP_EQ, &tcp, sizeof(tcp));
	load_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, offsetof(struct tcphdr, th_flags), 1, 0);
	bits(r, 0, 0, &mask, &zero, sizeof(mask));
	compare(r, 0, NFT_CMP_EQ, &syn, sizeof(syn));
}

void rule_has_mark(struct rule *r, uint32_t bit)
{
	load_meta(r, NFT_META_MARK, 0);
	rule_any_bit(r, 0, bit);
}

void rule_has_connection_mark(struct rule *r, uint32_t bit)
{
	load_ct(r, NFT_CT_MARK, 0);
	rule_any_bit(r, 0, bit);
}

void rule_connection_mark_is(struct rule *r, uint32_t mark)
{
	load_ct(r, NFT_CT_MARK, 0);
	compare(r, 0, NFT_CMP_EQ, &mark, sizeof(mark));
}

void rule_is_reply(struct rule *r, bool is)
{
	const uint8_t direction = is ? IP_CT_DIR_REPLY : IP_CT_DIR_ORIGINAL;

	rule_load_direction(r, 0);
	compare(r, 0, NFT_CMP_EQ, &direction, sizeof(direction));
}

void rule_is_untranslated(struct rule *r)
{
	load_ct(r, NFT_CT_STATUS, 0);
	no_bit(r, 0, IPS_DST_NAT);
}

/* ---- registers ---- */

void rule_load_masked(struct rule *r, unsigned int from, unsigned int to, uint32_t mask)
{
	const uint32_t zero = 0;

	bits(r, from, to, &mask, &zero, sizeof(mask));
}

static void set_meta_mark(struct rule *r, unsigned int reg)
{
	struct nftnl_expr *e = expression("meta");

	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, NFT_META_MARK);
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_SREG, reg_of(reg));
	add(r, e);
}

void rule_settle(struct rule *r, unsigned int reg, unsigned int spare)
{
	load_meta(r, NFT_META_MARK, spare);
	set_meta_mark(r, reg);
	load_meta(r, NFT_META_MARK, reg);
	set_meta_mark(r, spare);
}

void rule_load_lot(struct rule *r, unsigned int reg, uint32_t n)
{
	struct nftnl_expr *e = expression("numgen");

	nftnl_expr_set_u32(e, NFTNL_EXPR_NG_DREG, reg_of(reg));
	nftnl_expr_set_u32(e, NFTNL_EXPR_NG_MODULUS, n);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NG_TYPE, NFT_NG_RANDOM);
	add(r, e);
}

void rule_load_share(struct rule *r, unsigned int from, uint32_t size, unsigned int to, uint32_t n)
{
	struct nftnl_expr *e = expression("hash");

	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_SREG, reg_of(from));
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_DREG, reg_of(to));
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_LEN, size);
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_MODULUS, n);
	/* The same in each rule; without one the kernel draws it. */
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_SEED, SHARE_SEED);
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_TYPE, NFT_HASH_JENKINS);
	add(r, e);
}

/* ---- maps and sets ---- */

void rule_in_set(struct rule *r, const char *set, unsigned int reg, bool in)
{
	look_up(r, set, reg, UINT32_MAX, in);
}

void rule_load_from_map(struct rule *r, const char *map, unsigned int from, unsigned int to)
{
	look_up(r, map, from, reg_of(to), true);
}

void rule_verdict_from_map(struct rule *r, const char *map, unsigned int from)
{
	look_up(r, map, from, NFT_REG_VERDICT, true);
}

static struct nftnl_expr *dynamic(const char *map, uint32_t op, unsigned int key)
{
	struct nftnl_expr *e = expression("dynset");

	nftnl_expr_set_str(e, NFTNL_EXPR_DYNSET_SET_NAME, map);
	nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_OP, op);
	nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_SREG_KEY, reg_of(key));
	return e;
}

void rule_remember(struct rule *r, const char *map, unsigned int key, unsigned int value,
                   uint32_t seconds)
{
	struct nftnl_expr *e = dynamic(map, NFT_DYNSET_OP_UPDATE, key);

	nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_SREG_DATA, reg_of(value));
	nftnl_expr_set_u64(e, NFTNL_EXPR_DYNSET_TIMEOUT, (uint64_t)seconds * 1000);
	add(r, e);
}

void rule_forget(struct rule *r, const char *map, unsigned int key)
{
	struct nftnl_expr *e = dynamic(map, NFT_DYNSET_OP_DELETE, key);

	/*
	 * Of no use, but the kernel wants a value of every map: any registers that hold something.
	 */
	nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_SREG_DATA, reg_of(0));
	add(r, e);
}

void rule_count(struct rule *r, const char *set, unsigned int key, uint32_t seconds)
{
	struct nftnl_expr *e = dynamic(set, NFT_DYNSET_OP_UPDATE, key);

	nftnl_expr_set_u64(e, NFTNL_EXPR_DYNSET_TIMEOUT, (uint64_t)seconds * 1000);
	nftnl_expr_set(e, NFTNL_EXPR_DYNSET_EXPR, expression("counter"), 0);
	add(r, e);
}

/* ---- what is done ---- */

void rule_set_mark(struct rule *r, uint32_t bit, bool on)
{
	const uint32_t mask = ~bit, set = on ? bit : 0;

	load_meta(r, NFT_META_MARK, 0);
	bits(r, 0, 0, &mask, &set, sizeof(mask));
	set_meta_mark(r, 0);
}

void rule_set_connection_mark(struct rule *r, uint32_t bit, bool on)
{
	const uint32_t mask = ~bit, set = on ? bit : 0;
	struct nftnl_expr *e = expression("ct");

	load_ct(r, NFT_CT_MARK, 0);
	bits(r, 0, 0, &mask, &set, sizeof(mask));
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, NFT_CT_MARK);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_SREG, reg_of(0));
	add(r, e);
}

void rule_write_mark(struct rule *r, uint32_t mark)
{
	struct nftnl_expr *e = expression("immediate");

	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, reg_of(0));
	nftnl_expr_set(e, NFTNL_EXPR_IMM_DATA, &mark, sizeof(mark));
	add(r, e);
	set_meta_mark(r, 0);
}

void rule_clear_mark(struct rule *r)
{
	rule_write_mark(r, 0);
}

void rule_put_mark(struct rule *r, unsigned int reg, uint32_t bit)
{
	const uint32_t mask = ~bit;

	bits(r, reg, reg, &mask, &bit, sizeof(mask));
	set_meta_mark(r, reg);
}

void rule_goto(struct rule *r, const char *chain)
{
	verdict(r, NFT_GOTO, chain);
}

void rule_jump(struct rule *r, const char *chain)
{
	verdict(r, NFT_JUMP, chain);
}

void rule_return(struct rule *r)
{
	verdict(r, NFT_RETURN, NULL);
}

void rule_drop(struct rule *r)
{
	verdict(r, NF_DROP, NULL);
}

void rule_reject_tcp(struct rule *r)
{
	const uint8_t tcp = IPPROTO_TCP;
	struct nftnl_expr *e = expression("reject");

	load_meta(r, NFT_META_L4PROTO, 0);
	compare(r, 0, NFT_CMP_EQ, &tcp, sizeof(tcp));
	nftnl_expr_set_u32(e, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_TCP_RST);
	nftnl_expr_set_u8(e, NFTNL_EXPR_REJECT_CODE, 0);
	add(r, e);
}

void rule_reject(struct rule *r)
{
	struct nftnl_expr *e = expression("reject");

	nftnl_expr_set_u32(e, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_ICMP_UNREACH);
	nftnl_expr_set_u8(e, NFTNL_EXPR_REJECT_CODE,
	                  r->family == 4 ? ICMP_PORT_UNREACH : ICMPV6_PORT_UNREACHABLE);
	add(r, e);
}

void rule_redirect_to(struct rule *r, unsigned int addr, unsigned int port)
{
	struct nftnl_expr *e = expression("nat");

	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_FAMILY, r->family == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_ADDR_MIN, reg_of(addr));
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_PROTO_MIN, reg_of(port));
	add(r, e);
}

void rule_keep_destination(struct rule *r)
{
	struct nftnl_expr *e = expression("nat");

	rule_load_destination(r, 0);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_FAMILY, r->family == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_ADDR_MIN, reg_of(0));
	add(r, e);
}

void rule_masquerade(struct rule *r)
{
	struct nftnl_expr *e = expression("masq");

	nftnl_expr_set_u32(e, NFTNL_EXPR_MASQ_FLAGS, NF_NAT_RANGE_PROTO_RANDOM_FULLY);
	add(r, e);
}

void rule_clamp_mss(struct rule *r, uint16_t bytes)
{
	struct nftnl_expr *e;
	const uint16_t size = htons(bytes);

	if (bytes) {
		e = expression("immediate");
		nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, reg_of(0));
		nftnl_expr_set(e, NFTNL_EXPR_IMM_DATA, &size, sizeof(size));
	} else {
		e = expression("rt");
		nftnl_expr_set_u32(e, NFTNL_EXPR_RT_KEY, NFT_RT_TCPMSS);
		nftnl_expr_set_u32(e, NFTNL_EXPR_RT_DREG, reg_of(0));
		add(r, e);
		e = expression("byteorder");
		nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_SREG, reg_of(0));
		nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_DREG, reg_of(0));
		nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_OP, NFT_BYTEORDER_HTON);
		nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_LEN, 2);
		nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_SIZE, 2);
	}
	add(r, e);
	e = expression("exthdr");
	nftnl_expr_set_u32(e, NFTNL_EXPR_EXTHDR_SREG, reg_of(0));
	nftnl_expr_set_u32(e, NFTNL_EXPR_EXTHDR_OP, NFT_EXTHDR_OP_TCPOPT);
	nftnl_expr_set_u8(e, NFTNL_EXPR_EXTHDR_TYPE, TCPOPT_MAXSEG);
	nftnl_expr_set_u32(e, NFTNL_EXPR_EXTHDR_OFFSET, MSS_OFFSET);
	nftnl_expr_set_u32(e, NFTNL_EXPR_EXTHDR_LEN, sizeof(size));
	add(r, e);
}
