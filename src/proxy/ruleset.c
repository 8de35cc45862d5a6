/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rule is a list of expressions: some load a value into a register, some compare a register and
 * end the rule where it differs, some say a verdict.  Understood are the conditions that every
 * packet of ours fulfils or none does: the state, the family, our mark, and that it is translated.
 * All others hold sometimes, and so do expressions that we do not know: a rule that we do not
 * understand is never what refuses everything.
 */
#include "config.h"

#include "proxy/ruleset.h"

#include <arpa/inet.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <netlink/attr.h>

#include "fairlead/mem.h"

#define STATE_NEW NF_CT_STATE_BIT(IP_CT_NEW)
#define STATE_ESTABLISHED NF_CT_STATE_BIT(IP_CT_ESTABLISHED)

/* What the last load left behind. */
enum loaded { LOADED_OTHER, LOADED_STATE, LOADED_STATUS, LOADED_MARK, LOADED_FAMILY };

struct reading {
	struct ruleset_rule rule;
	const struct ruleset_packet *packet;
	enum loaded loaded;
	uint32_t mask;
};

static uint32_t get_be32(const struct nlattr *a)
{
	uint32_t v = UINT32_MAX;

	if (a && nla_len(a) == (int)sizeof(v)) {
		memcpy(&v, nla_data(a), sizeof(v));
		v = ntohl(v);
	}
	return v;
}

static const char *get_text(const struct nlattr *a)
{
	const char *s = a ? nla_data(a) : NULL;

	return s && memchr(s, '\0', (size_t)nla_len(a)) ? s : "";
}

/* A value in a register's own order; one byte counts as a number as well. */
static uint32_t get_value(struct nlattr *data)
{
	struct nlattr *tb[NFTA_DATA_MAX + 1];
	uint32_t v = 0;

	if (!data || nla_parse_nested(tb, NFTA_DATA_MAX, data, NULL) < 0 || !tb[NFTA_DATA_VALUE])
		return UINT32_MAX;
	struct nlattr *value = tb[NFTA_DATA_VALUE];
	if (nla_len(value) == 1)
		return *(uint8_t *)nla_data(value);
	if (nla_len(value) != (int)sizeof(v))
		return UINT32_MAX;
	memcpy(&v, nla_data(value), sizeof(v));
	return v;
}

static void condition(struct reading *r, enum ruleset_when held)
{
	if (held < r->rule.when)
		r->rule.when = held;
}

static void load(struct reading *r, enum loaded what)
{
	r->loaded = what;
	r->mask = UINT32_MAX;
}

static void read_ct(struct reading *r, struct nlattr *data)
{
	struct nlattr *tb[NFTA_CT_MAX + 1];

	if (nla_parse_nested(tb, NFTA_CT_MAX, data, NULL) < 0 || !tb[NFTA_CT_DREG])
		return;
	uint32_t key = get_be32(tb[NFTA_CT_KEY]);
	load(r, key == NFT_CT_STATE    ? LOADED_STATE
	        : key == NFT_CT_STATUS ? LOADED_STATUS
	        : key == NFT_CT_MARK   ? LOADED_MARK
	                               : LOADED_OTHER);
}

static void read_meta(struct reading *r, struct nlattr *data)
{
	struct nlattr *tb[NFTA_META_MAX + 1];

	if (nla_parse_nested(tb, NFTA_META_MAX, data, NULL) < 0 || !tb[NFTA_META_DREG])
		return;
	load(r, get_be32(tb[NFTA_META_KEY]) == NFT_META_NFPROTO ? LOADED_FAMILY : LOADED_OTHER);
}

static void read_load(struct reading *r, struct nlattr *data)
{
	(void)data;
	load(r, LOADED_OTHER);
}

static void read_bitwise(struct reading *r, struct nlattr *data)
{
	struct nlattr *tb[NFTA_BITWISE_MAX + 1];

	if (nla_parse_nested(tb, NFTA_BITWISE_MAX, data, NULL) < 0 || !tb[NFTA_BITWISE_MASK])
		load(r, LOADED_OTHER);
	else
		r->mask = get_value(tb[NFTA_BITWISE_MASK]);
}

static enum ruleset_when when(bool it_is)
{
	return it_is ? RULESET_ALWAYS : RULESET_NEVER;
}

static enum ruleset_when status_equals(struct reading *r, uint32_t value)
{
	if (value != 0 || !(r->mask & IPS_DST_NAT) || r->mask == UINT32_MAX)
		return RULESET_SOMETIMES;
	if (!r->packet->translated)
		return r->mask == IPS_DST_NAT ? RULESET_ALWAYS : RULESET_SOMETIMES;
	r->rule.is_for_ours = true;
	return RULESET_NEVER;
}

/* Some bits, or our own alone. */
static enum ruleset_when mark_equals(struct reading *r, uint32_t value)
{
	uint32_t ours = r->packet->mark;
	bool some = value == 0 && r->mask != UINT32_MAX && (r->mask & ours);

	if (!some && (ours == 0 || r->mask != ours))
		return RULESET_SOMETIMES;
	r->rule.is_for_ours = true;
	return when(!some && value == ours);
}

/* Whether what was loaded and masked is zero, or a value: how that is for our packets. */
static enum ruleset_when equals(struct reading *r, uint32_t value)
{
	const struct ruleset_packet *p = r->packet;

	switch (r->loaded) {
	case LOADED_STATE:
		return when(((p->answers ? STATE_ESTABLISHED : STATE_NEW) & r->mask) == value);
	case LOADED_FAMILY:
		return when(value == (p->family == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6));
	case LOADED_STATUS:
		return status_equals(r, value);
	case LOADED_MARK:
		return mark_equals(r, value);
	case LOADED_OTHER:
		break;
	}
	return RULESET_SOMETIMES;
}

static void read_cmp(struct reading *r, struct nlattr *data)
{
	struct nlattr *tb[NFTA_CMP_MAX + 1];

	if (nla_parse_nested(tb, NFTA_CMP_MAX, data, NULL) < 0) {
		condition(r, RULESET_SOMETIMES);
		return;
	}
	uint32_t op = get_be32(tb[NFTA_CMP_OP]);
	enum ruleset_when held = RULESET_SOMETIMES;
	if (op == NFT_CMP_EQ || op == NFT_CMP_NEQ)
		held = equals(r, get_value(tb[NFTA_CMP_DATA]));
	if (op == NFT_CMP_NEQ && held != RULESET_SOMETIMES)
		held = when(held != RULESET_ALWAYS);
	condition(r, held);
}

/* In a set, or a map: of values, or of verdicts. */
static void read_lookup(struct reading *r, struct nlattr *data)
{
	struct nlattr *tb[NFTA_LOOKUP_MAX + 1];

	if (nla_parse_nested(tb, NFTA_LOOKUP_MAX, data, NULL) == 0 && tb[NFTA_LOOKUP_DREG] &&
	    get_be32(tb[NFTA_LOOKUP_DREG]) == NFT_REG_VERDICT)
		r->rule.verdict = RULESET_ANY;
	else
		load(r, LOADED_OTHER);
	condition(r, RULESET_SOMETIMES);
}

static void read_immediate(struct reading *r, struct nlattr *data)
{
	struct nlattr *tb[NFTA_IMMEDIATE_MAX + 1], *value[NFTA_DATA_MAX + 1];
	struct nlattr *verdict[NFTA_VERDICT_MAX + 1];

	if (nla_parse_nested(tb, NFTA_IMMEDIATE_MAX, data, NULL) < 0 ||
	    get_be32(tb[NFTA_IMMEDIATE_DREG]) != NFT_REG_VERDICT || !tb[NFTA_IMMEDIATE_DATA] ||
	    nla_parse_nested(value, NFTA_DATA_MAX, tb[NFTA_IMMEDIATE_DATA], NULL) < 0 ||
	    !value[NFTA_DATA_VERDICT] ||
	    nla_parse_nested(verdict, NFTA_VERDICT_MAX, value[NFTA_DATA_VERDICT], NULL) < 0)
		return;
	static const struct {
		int code;
		enum ruleset_verdict verdict;
	} verdicts[] = {
		{ NF_ACCEPT, RULESET_ACCEPT },  { NF_DROP, RULESET_REFUSE },
		{ NFT_JUMP, RULESET_JUMP },     { NFT_GOTO, RULESET_GOTO },
		{ NFT_RETURN, RULESET_RETURN }, { NFT_CONTINUE, RULESET_NONE },
	};
	int code = (int)get_be32(verdict[NFTA_VERDICT_CODE]);
	r->rule.verdict = RULESET_ANY;
	for (size_t i = 0; verdict[NFTA_VERDICT_CODE] && i < ARRAY_LEN(verdicts); i++)
		if (verdicts[i].code == code)
			r->rule.verdict = verdicts[i].verdict;
	memccpy(r->rule.target, get_text(verdict[NFTA_VERDICT_CHAIN]), '\0',
	        sizeof(r->rule.target) - 1);
}

static void read_reject(struct reading *r, struct nlattr *data)
{
	(void)data;
	r->rule.verdict = RULESET_REFUSE;
}

/* One of iptables' in a chain of nftables. */
static void read_target(struct reading *r, struct nlattr *data)
{
	static const char *const harmless[] = { "LOG",  "NFLOG",    "MARK",    "CONNMARK", "TCPMSS",
		                                "DSCP", "TOS",      "CT",      "TTL",      "HL",
		                                "ECN",  "CHECKSUM", "CLASSIFY" };
	struct nlattr *tb[NFTA_TARGET_MAX + 1];
	const char *name = "";
	if (nla_parse_nested(tb, NFTA_TARGET_MAX, data, NULL) == 0)
		name = get_text(tb[NFTA_TARGET_NAME]);
	for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
		if (!strcmp(name, harmless[i]))
			return;
	r->rule.verdict = !strcmp(name, "REJECT") ? RULESET_REFUSE : RULESET_ANY;
}

/* One of iptables', too. */
static void read_match(struct reading *r, struct nlattr *data)
{
	struct nlattr *tb[NFTA_MATCH_MAX + 1];

	if (nla_parse_nested(tb, NFTA_MATCH_MAX, data, NULL) < 0 ||
	    strcmp(get_text(tb[NFTA_MATCH_NAME]), "comment") != 0)
		condition(r, RULESET_SOMETIMES);
}

static void read_queue(struct reading *r, struct nlattr *data)
{
	(void)data;
	r->rule.verdict = RULESET_ANY;
}

static void read_nothing(struct reading *r, struct nlattr *data)
{
	(void)r;
	(void)data;
}

static const struct {
	const char *name;
	void (*read)(struct reading *r, struct nlattr *data);
} expressions[] = {
	{ "ct", read_ct },
	{ "meta", read_meta },
	{ "payload", read_load },
	{ "bitwise", read_bitwise },
	{ "cmp", read_cmp },
	{ "lookup", read_lookup },
	{ "reject", read_reject },
	{ "target", read_target },
	{ "immediate", read_immediate },
	{ "queue", read_queue },
	{ "counter", read_nothing },
	{ "log", read_nothing },
	{ "match", read_match },
	{ "last", read_nothing },
	{ "notrack", read_nothing },
	{ "flow_offload", read_nothing },
};

static void read_expression(struct reading *r, struct nlattr *a)
{
	struct nlattr *tb[NFTA_EXPR_MAX + 1];

	if (nla_parse_nested(tb, NFTA_EXPR_MAX, a, NULL) == 0)
		for (size_t i = 0; tb[NFTA_EXPR_DATA] && i < ARRAY_LEN(expressions); i++)
			if (!strcmp(get_text(tb[NFTA_EXPR_NAME]), expressions[i].name)) {
				expressions[i].read(r, tb[NFTA_EXPR_DATA]);
				return;
			}
	condition(r, RULESET_SOMETIMES);
}

struct ruleset_rule ruleset_read(struct nlattr *list, const struct ruleset_packet *packet)
{
	struct reading r = { .rule = { .when = RULESET_ALWAYS }, .packet = packet };
	struct nlattr *a;
	int left;

	if (list)
		nla_for_each_nested(a, list, left) read_expression(&r, a);
	return r.rule;
}
