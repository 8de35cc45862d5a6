/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/nftables/rule_private.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "fairlead/hash.h"
#include "fairlead/mem.h"
#include "proxy/nftables/wire.h"

#define COMMENT_MAX 128
#define DIGEST_DIGITS 16
#define ICMPV6_PORT_UNREACHABLE 4
#define MSS_OFFSET 2
#define SHARE_SEED 0x46616972u

uint32_t rule_reg(unsigned int reg)
{
	return NFT_REG32_00 + reg;
}

unsigned int rule_addr_regs(uint8_t family)
{
	return family == 4 ? 1 : 4;
}

struct nftnl_expr *rule_expression(const char *name)
{
	struct nftnl_expr *e = nftnl_expr_alloc(name);

	if (!e)
		abort();
	return e;
}

void rule_add(struct rule *r, struct nftnl_expr *e)
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

void rule_add_meta(struct rule *r, uint32_t key, unsigned int reg)
{
	struct nftnl_expr *e = rule_expression("meta");

	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, rule_reg(reg));
	rule_add(r, e);
}

struct nftnl_expr *rule_add_ct(struct rule *r, uint32_t key, unsigned int reg)
{
	struct nftnl_expr *e = rule_expression("ct");

	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_DREG, rule_reg(reg));
	rule_add(r, e);
	return e;
}

void rule_add_comparison(struct rule *r, unsigned int reg, uint32_t op, const void *data,
                         uint32_t size)
{
	struct nftnl_expr *e = rule_expression("cmp");

	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, rule_reg(reg));
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, op);
	nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, data, size);
	rule_add(r, e);
}

/* to = (from & mask) ^ flip */
void rule_add_bits(struct rule *r, unsigned int from, unsigned int to, const void *mask,
                   const void *flip, uint32_t size)
{
	struct nftnl_expr *e = rule_expression("bitwise");

	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, rule_reg(from));
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, rule_reg(to));
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, size);
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_MASK, mask, size);
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_XOR, flip, size);
	rule_add(r, e);
}

static void verdict(struct rule *r, int code, const char *chain)
{
	struct nftnl_expr *e = rule_expression("immediate");

	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, (uint32_t)code);
	if (chain)
		nftnl_expr_set_str(e, NFTNL_EXPR_IMM_CHAIN, chain);
	rule_add(r, e);
}

static void look_up(struct rule *r, const char *set, unsigned int from, uint32_t to, bool in)
{
	struct nftnl_expr *e = rule_expression("lookup");

	nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, set);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, rule_reg(from));
	if (to != UINT32_MAX)
		nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_DREG, to);
	if (!in)
		nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
	rule_add(r, e);
}

/* ---- registers ---- */

void rule_load_masked(struct rule *r, unsigned int from, unsigned int to, uint32_t mask)
{
	const uint32_t zero = 0;

	rule_add_bits(r, from, to, &mask, &zero, sizeof(mask));
}

static void set_meta_mark(struct rule *r, unsigned int reg)
{
	struct nftnl_expr *e = rule_expression("meta");

	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, NFT_META_MARK);
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_SREG, rule_reg(reg));
	rule_add(r, e);
}

void rule_settle(struct rule *r, unsigned int reg, unsigned int spare)
{
	rule_add_meta(r, NFT_META_MARK, spare);
	set_meta_mark(r, reg);
	rule_add_meta(r, NFT_META_MARK, reg);
	set_meta_mark(r, spare);
}

void rule_load_lot(struct rule *r, unsigned int reg, uint32_t n)
{
	struct nftnl_expr *e = rule_expression("numgen");

	nftnl_expr_set_u32(e, NFTNL_EXPR_NG_DREG, rule_reg(reg));
	nftnl_expr_set_u32(e, NFTNL_EXPR_NG_MODULUS, n);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NG_TYPE, NFT_NG_RANDOM);
	rule_add(r, e);
}

void rule_load_share(struct rule *r, unsigned int from, uint32_t size, unsigned int to, uint32_t n)
{
	struct nftnl_expr *e = rule_expression("hash");

	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_SREG, rule_reg(from));
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_DREG, rule_reg(to));
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_LEN, size);
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_MODULUS, n);
	/* The same in each rule; without one the kernel draws it. */
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_SEED, SHARE_SEED);
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_TYPE, NFT_HASH_JENKINS);
	rule_add(r, e);
}

/* ---- maps and sets ---- */

void rule_in_set(struct rule *r, const char *set, unsigned int reg, bool in)
{
	look_up(r, set, reg, UINT32_MAX, in);
}

void rule_load_from_map(struct rule *r, const char *map, unsigned int from, unsigned int to)
{
	look_up(r, map, from, rule_reg(to), true);
}

void rule_verdict_from_map(struct rule *r, const char *map, unsigned int from)
{
	look_up(r, map, from, NFT_REG_VERDICT, true);
}

static struct nftnl_expr *dynamic(const char *map, uint32_t op, unsigned int key)
{
	struct nftnl_expr *e = rule_expression("dynset");

	nftnl_expr_set_str(e, NFTNL_EXPR_DYNSET_SET_NAME, map);
	nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_OP, op);
	nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_SREG_KEY, rule_reg(key));
	return e;
}

void rule_remember(struct rule *r, const char *map, unsigned int key, unsigned int value,
                   uint32_t seconds)
{
	struct nftnl_expr *e = dynamic(map, NFT_DYNSET_OP_UPDATE, key);

	nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_SREG_DATA, rule_reg(value));
	nftnl_expr_set_u64(e, NFTNL_EXPR_DYNSET_TIMEOUT, (uint64_t)seconds * 1000);
	rule_add(r, e);
}

void rule_forget(struct rule *r, const char *map, unsigned int key)
{
	struct nftnl_expr *e = dynamic(map, NFT_DYNSET_OP_DELETE, key);

	/*
	 * Of no use, but the kernel wants a value of every map: any registers that hold something.
	 */
	nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_SREG_DATA, rule_reg(0));
	rule_add(r, e);
}

void rule_count(struct rule *r, const char *set, unsigned int key, uint32_t seconds)
{
	struct nftnl_expr *e = dynamic(set, NFT_DYNSET_OP_UPDATE, key);

	nftnl_expr_set_u64(e, NFTNL_EXPR_DYNSET_TIMEOUT, (uint64_t)seconds * 1000);
	nftnl_expr_set(e, NFTNL_EXPR_DYNSET_EXPR, rule_expression("counter"), 0);
	rule_add(r, e);
}

/* ---- what is done ---- */

void rule_counter(struct rule *r)
{
	rule_add(r, rule_expression("counter"));
}

void rule_duplicate(struct rule *r, unsigned int neighbor, unsigned int interface)
{
	struct nftnl_expr *e = rule_expression("dup");

	nftnl_expr_set_u32(e, NFTNL_EXPR_DUP_SREG_ADDR, rule_reg(neighbor));
	nftnl_expr_set_u32(e, NFTNL_EXPR_DUP_SREG_DEV, rule_reg(interface));
	rule_add(r, e);
}

void rule_set_mark(struct rule *r, uint32_t bit, bool on)
{
	const uint32_t mask = ~bit, set = on ? bit : 0;

	rule_add_meta(r, NFT_META_MARK, 0);
	rule_add_bits(r, 0, 0, &mask, &set, sizeof(mask));
	set_meta_mark(r, 0);
}

void rule_set_connection_mark(struct rule *r, uint32_t bit, bool on)
{
	const uint32_t mask = ~bit, set = on ? bit : 0;
	struct nftnl_expr *e = rule_expression("ct");

	rule_add_ct(r, NFT_CT_MARK, 0);
	rule_add_bits(r, 0, 0, &mask, &set, sizeof(mask));
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, NFT_CT_MARK);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_SREG, rule_reg(0));
	rule_add(r, e);
}

void rule_write_mark(struct rule *r, uint32_t mark)
{
	struct nftnl_expr *e = rule_expression("immediate");

	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, rule_reg(0));
	nftnl_expr_set(e, NFTNL_EXPR_IMM_DATA, &mark, sizeof(mark));
	rule_add(r, e);
	set_meta_mark(r, 0);
}

void rule_clear_mark(struct rule *r)
{
	rule_write_mark(r, 0);
}

void rule_put_mark(struct rule *r, unsigned int reg, uint32_t bit)
{
	const uint32_t mask = ~bit;

	rule_add_bits(r, reg, reg, &mask, &bit, sizeof(mask));
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
	struct nftnl_expr *e = rule_expression("reject");

	rule_add_meta(r, NFT_META_L4PROTO, 0);
	rule_add_comparison(r, 0, NFT_CMP_EQ, &tcp, sizeof(tcp));
	nftnl_expr_set_u32(e, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_TCP_RST);
	nftnl_expr_set_u8(e, NFTNL_EXPR_REJECT_CODE, 0);
	rule_add(r, e);
}

void rule_reject(struct rule *r)
{
	struct nftnl_expr *e = rule_expression("reject");

	nftnl_expr_set_u32(e, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_ICMP_UNREACH);
	nftnl_expr_set_u8(e, NFTNL_EXPR_REJECT_CODE,
	                  r->family == 4 ? ICMP_PORT_UNREACH : ICMPV6_PORT_UNREACHABLE);
	rule_add(r, e);
}

void rule_redirect_to(struct rule *r, unsigned int addr, unsigned int port)
{
	struct nftnl_expr *e = rule_expression("nat");

	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_FAMILY, r->family == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_ADDR_MIN, rule_reg(addr));
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_PROTO_MIN, rule_reg(port));
	rule_add(r, e);
}

void rule_keep_destination(struct rule *r)
{
	struct nftnl_expr *e = rule_expression("nat");

	rule_load_destination(r, 0);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_FAMILY, r->family == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_ADDR_MIN, rule_reg(0));
	rule_add(r, e);
}

void rule_masquerade(struct rule *r)
{
	struct nftnl_expr *e = rule_expression("masq");

	nftnl_expr_set_u32(e, NFTNL_EXPR_MASQ_FLAGS, NF_NAT_RANGE_PROTO_RANDOM_FULLY);
	rule_add(r, e);
}

void rule_clamp_mss(struct rule *r, uint16_t bytes)
{
	struct nftnl_expr *e;
	const uint16_t size = htons(bytes);

	if (bytes) {
		e = rule_expression("immediate");
		nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, rule_reg(0));
		nftnl_expr_set(e, NFTNL_EXPR_IMM_DATA, &size, sizeof(size));
	} else {
		e = rule_expression("rt");
		nftnl_expr_set_u32(e, NFTNL_EXPR_RT_KEY, NFT_RT_TCPMSS);
		nftnl_expr_set_u32(e, NFTNL_EXPR_RT_DREG, rule_reg(0));
		rule_add(r, e);
		e = rule_expression("byteorder");
		nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_SREG, rule_reg(0));
		nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_DREG, rule_reg(0));
		nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_OP, NFT_BYTEORDER_HTON);
		nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_LEN, 2);
		nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_SIZE, 2);
	}
	rule_add(r, e);
	e = rule_expression("exthdr");
	nftnl_expr_set_u32(e, NFTNL_EXPR_EXTHDR_SREG, rule_reg(0));
	nftnl_expr_set_u32(e, NFTNL_EXPR_EXTHDR_OP, NFT_EXTHDR_OP_TCPOPT);
	nftnl_expr_set_u8(e, NFTNL_EXPR_EXTHDR_TYPE, TCPOPT_MAXSEG);
	nftnl_expr_set_u32(e, NFTNL_EXPR_EXTHDR_OFFSET, MSS_OFFSET);
	nftnl_expr_set_u32(e, NFTNL_EXPR_EXTHDR_LEN, sizeof(size));
	rule_add(r, e);
}
