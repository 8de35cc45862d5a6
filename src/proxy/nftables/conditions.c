/* SPDX-License-Identifier: Apache-2.0 */
/* What a rule takes from the packet and its connection, and asks of them. */
#include "config.h"

#include "proxy/nftables/rule_private.h"

#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <libnftnl/expr.h>
#include <linux/if_ether.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>

/* ---- from the packet ---- */

static void load_payload(struct rule *r, uint32_t base, uint32_t offset, uint32_t len,
                         unsigned int reg)
{
	struct nftnl_expr *e = rule_expression("payload");

	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, len);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, rule_reg(reg));
	rule_add(r, e);
}

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
	rule_add_meta(r, NFT_META_L4PROTO, reg);
}

void rule_load_destination_port(struct rule *r, unsigned int reg)
{
	load_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, reg); /* of TCP, UDP and SCTP */
}

void rule_load_first_destination(struct rule *r, unsigned int reg)
{
	nftnl_expr_set_u8(rule_add_ct(r, r->family == 4 ? NFT_CT_DST_IP : NFT_CT_DST_IP6, reg),
	                  NFTNL_EXPR_CT_DIR, IP_CT_DIR_ORIGINAL);
}

void rule_load_first_destination_port(struct rule *r, unsigned int reg)
{
	nftnl_expr_set_u8(rule_add_ct(r, NFT_CT_PROTO_DST, reg), NFTNL_EXPR_CT_DIR,
	                  IP_CT_DIR_ORIGINAL);
}

void rule_load_direction(struct rule *r, unsigned int reg)
{
	rule_add_ct(r, NFT_CT_DIRECTION, reg);
}

/* ---- conditions ---- */

static void is_in(struct rule *r, const struct prefix *p, bool in)
{
	static const unsigned char zero[16];
	unsigned char mask[16] = { 0 };

	for (unsigned int i = 0; i < p->len; i++)
		mask[i / 8] |= (unsigned char)(0x80 >> i % 8);
	rule_add_bits(r, 0, 0, mask, zero, addr_bytes(r));
	rule_add_comparison(r, 0, in ? NFT_CMP_EQ : NFT_CMP_NEQ, p->addr.b, addr_bytes(r));
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
	rule_add_meta(r, key, 0);
	rule_add_comparison(r, 0, op, name, prefix ? (uint32_t)len : sizeof(name));
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
	struct nftnl_expr *e = rule_expression("fib");
	uint32_t type = RTN_LOCAL;

	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_DREG, rule_reg(0));
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_FLAGS, which);
	rule_add(r, e);
	rule_add_comparison(r, 0, local ? NFT_CMP_EQ : NFT_CMP_NEQ, &type, sizeof(type));
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

	rule_add_bits(r, reg, reg, &mask, &zero, sizeof(mask));
	rule_add_comparison(r, reg, NFT_CMP_NEQ, &zero, sizeof(zero));
}

void rule_is_translated(struct rule *r)
{
	rule_add_ct(r, NFT_CT_STATUS, 0);
	rule_any_bit(r, 0, IPS_DST_NAT);
}

void rule_is_invalid(struct rule *r)
{
	rule_connection_state(r, NF_CT_STATE_INVALID_BIT);
}

static void no_bit(struct rule *r, unsigned int reg, uint32_t mask)
{
	const uint32_t zero = 0;

	rule_add_bits(r, reg, reg, &mask, &zero, sizeof(mask));
	rule_add_comparison(r, reg, NFT_CMP_EQ, &zero, sizeof(zero));
}

void rule_is_unrelated(struct rule *r)
{
	rule_add_ct(r, NFT_CT_STATE, 0);
	no_bit(r, 0, NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED));
	rule_add_ct(r, NFT_CT_STATUS, 0);
	no_bit(r, 0, IPS_DST_NAT);
}

void rule_is_first_of_all(struct rule *r)
{
	rule_add_ct(r, NFT_CT_STATUS, 0);
	no_bit(r, 0, IPS_CONFIRMED);
}

void rule_connection_state(struct rule *r, uint32_t states)
{
	rule_add_ct(r, NFT_CT_STATE, 0);
	rule_any_bit(r, 0, states);
}

void rule_protocol_is(struct rule *r, uint8_t protocol)
{
	rule_add_meta(r, NFT_META_L4PROTO, 0);
	rule_add_comparison(r, 0, NFT_CMP_EQ, &protocol, sizeof(protocol));
}

static void load_tcp_flags(struct rule *r, uint8_t mask)
{
	const uint8_t zero = 0;

	load_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, offsetof(struct tcphdr, th_flags), 1, 0);
	rule_add_bits(r, 0, 0, &mask, &zero, sizeof(mask));
}

void rule_has_no_syn(struct rule *r)
{
	const uint8_t zero = 0;

	load_tcp_flags(r, TH_SYN);
	rule_add_comparison(r, 0, NFT_CMP_EQ, &zero, sizeof(zero));
}

void rule_may_travel_on(struct rule *r)
{
	const uint8_t last = 1;

	load_payload(r, NFT_PAYLOAD_NETWORK_HEADER,
	             r->family == 4 ? offsetof(struct iphdr, ttl)
	                            : offsetof(struct ip6_hdr, ip6_hlim),
	             sizeof(last), 0);
	rule_add_comparison(r, 0, NFT_CMP_GT, &last, sizeof(last));
}

void rule_load_sender(struct rule *r, unsigned int reg)
{
	const uint16_t ethernet = ARPHRD_ETHER;

	rule_add_meta(r, NFT_META_IIFTYPE, reg);
	rule_add_comparison(r, reg, NFT_CMP_EQ, &ethernet, sizeof(ethernet));
	load_payload(r, NFT_PAYLOAD_LL_HEADER, offsetof(struct ethhdr, h_source), ETH_ALEN, reg);
}

void rule_load_interface(struct rule *r, unsigned int reg)
{
	rule_add_meta(r, NFT_META_IIF, reg);
}

void rule_is_tcp_syn(struct rule *r)
{
	const uint8_t syn = TH_SYN;

	rule_protocol_is(r, IPPROTO_TCP);
	load_tcp_flags(r, TH_SYN | TH_RST);
	rule_add_comparison(r, 0, NFT_CMP_EQ, &syn, sizeof(syn));
}

void rule_has_mark(struct rule *r, uint32_t bit)
{
	rule_add_meta(r, NFT_META_MARK, 0);
	rule_any_bit(r, 0, bit);
}

void rule_has_connection_mark(struct rule *r, uint32_t bit)
{
	rule_add_ct(r, NFT_CT_MARK, 0);
	rule_any_bit(r, 0, bit);
}

void rule_connection_mark_is(struct rule *r, uint32_t mark)
{
	rule_add_ct(r, NFT_CT_MARK, 0);
	rule_add_comparison(r, 0, NFT_CMP_EQ, &mark, sizeof(mark));
}

void rule_is_reply(struct rule *r, bool is)
{
	const uint8_t direction = is ? IP_CT_DIR_REPLY : IP_CT_DIR_ORIGINAL;

	rule_load_direction(r, 0);
	rule_add_comparison(r, 0, NFT_CMP_EQ, &direction, sizeof(direction));
}

void rule_is_untranslated(struct rule *r)
{
	rule_add_ct(r, NFT_CT_STATUS, 0);
	no_bit(r, 0, IPS_DST_NAT);
}
