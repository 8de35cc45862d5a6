/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/iptables/native.h"

#include <errno.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include "fairlead/buf.h"
#include "fairlead/mem.h"
#include "proxy/nftlist.h"
#include "proxy/ruleset.h"

struct reading {
	struct save *s;
	const char *table;
	uint8_t family;
};

static void feed(struct reading *r, const struct buf *line)
{
	save_feed(r->s, line->data, line->size);
}

static bool is_of_table(const struct reading *r, const struct nlattr *table,
                        const struct nlattr *chain, char ret_chain[static NFT_NAME_MAXLEN])
{
	char name[NFT_NAME_MAXLEN];

	return nftlist_name(table, name) && !strcmp(name, r->table) &&
	       nftlist_name(chain, ret_chain);
}

static void one_chain(struct nlmsghdr *h, void *arg)
{
	cleanup(buf_fini) struct buf line = BUF_INIT;
	struct nlattr *tb[NFTA_CHAIN_MAX + 1];
	char chain[NFT_NAME_MAXLEN];

	if (nlmsg_parse(h, sizeof(struct nfgenmsg), tb, NFTA_CHAIN_MAX, NULL) < 0 ||
	    !is_of_table(arg, tb[NFTA_CHAIN_TABLE], tb[NFTA_CHAIN_NAME], chain))
		return;
	buf_printf(&line, ":%s - [0:0]\n", chain);
	feed(arg, &line);
}

/* What the match "comment" says, NULL where the rule has none. */
static const char *comment_of(struct nlattr *expressions)
{
	struct nlattr *a, *tb[NFTA_EXPR_MAX + 1], *match[NFTA_MATCH_MAX + 1];
	int left;

	if (expressions)
		nla_for_each_nested(a, expressions, left)
		{
			if (nla_parse_nested(tb, NFTA_EXPR_MAX, a, NULL) < 0 ||
			    !tb[NFTA_EXPR_NAME] || !tb[NFTA_EXPR_DATA] ||
			    nla_strcmp(tb[NFTA_EXPR_NAME], "match") != 0 ||
			    nla_parse_nested(match, NFTA_MATCH_MAX, tb[NFTA_EXPR_DATA], NULL) < 0 ||
			    !match[NFTA_MATCH_NAME] || !match[NFTA_MATCH_INFO] ||
			    nla_strcmp(match[NFTA_MATCH_NAME], "comment") != 0)
				continue;
			const char *text = nla_data(match[NFTA_MATCH_INFO]);
			if (memchr(text, '\0', (size_t)nla_len(match[NFTA_MATCH_INFO])))
				return text;
		}
	return NULL;
}

static void put_verdict(const struct ruleset_rule *rule, struct buf *line)
{
	switch (rule->when == RULESET_NEVER ? RULESET_NONE : rule->verdict) {
	case RULESET_ACCEPT:
		buf_puts(line, " -j ACCEPT");
		break;
	case RULESET_REFUSE:
		buf_puts(line, " -j DROP");
		break;
	case RULESET_RETURN:
		buf_puts(line, " -j RETURN");
		break;
	case RULESET_JUMP:
		buf_printf(line, " -j %s", rule->target);
		break;
	case RULESET_GOTO:
		buf_printf(line, " -g %s", rule->target);
		break;
	case RULESET_NONE:
	case RULESET_ANY:
		break;
	}
}

static void one_rule(struct nlmsghdr *h, void *arg)
{
	const struct reading *r = arg;
	cleanup(buf_fini) struct buf line = BUF_INIT;
	struct nlattr *tb[NFTA_RULE_MAX + 1];
	char chain[NFT_NAME_MAXLEN];

	if (nlmsg_parse(h, sizeof(struct nfgenmsg), tb, NFTA_RULE_MAX, NULL) < 0 ||
	    !is_of_table(r, tb[NFTA_RULE_TABLE], tb[NFTA_RULE_CHAIN], chain))
		return;
	const struct ruleset_packet packet = { .family = r->family, .translated = true };
	struct ruleset_rule rule = ruleset_read(tb[NFTA_RULE_EXPRESSIONS], &packet);
	const char *comment = comment_of(tb[NFTA_RULE_EXPRESSIONS]);
	buf_printf(&line, "-A %s", chain);
	if (rule.when != RULESET_ALWAYS)
		buf_puts(&line, " -m nftables"); /* which stands for any condition */
	/* Others' may hold anything; of ours it is what is looked for. */
	if (comment && !strncmp(chain, CHAIN_PREFIX, strlen(CHAIN_PREFIX)))
		buf_printf(&line, " -m comment --comment \"%.*s\"", (int)strcspn(comment, "\"\n"),
		           comment);
	put_verdict(&rule, &line);
	buf_putc(&line, '\n');
	feed(arg, &line);
}

static int read_table(struct nftlist *n, struct reading *r)
{
	uint8_t family = r->family == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
	cleanup(buf_fini) struct buf line = BUF_INIT;

	buf_printf(&line, "*%s\n", r->table);
	feed(r, &line);
	int e = nftlist_read(n, NFT_MSG_GETCHAIN, family, NULL, NULL, one_chain, r);
	if (e == 0)
		e = nftlist_read(n, NFT_MSG_GETRULE, family, r->table, NULL, one_rule, r);
	return e;
}

int native_complete(uint8_t family, struct save *s, struct err *e)
{
	struct nftlist n;
	int r = 0;

	if (!s->hidden[CHAIN_NAT] && !s->hidden[CHAIN_FILTER])
		return 0;
	save_end(s);
	s->native = true;
	r = nftlist_open(&n, NATIVE_TIMEOUT_MS);
	for (int t = 0; t < 2 && r == 0; t++) {
		struct reading reading = { s, chain_table_name((enum chain_table)t), family };
		if (s->hidden[t])
			r = read_table(&n, &reading);
	}
	nftlist_close(&n);
	if (r < 0)
		return err_set(e, r, ERR_SYSTEM,
		               "a table has rules that iptables cannot show, and the kernel does "
		               "not list them: %s",
		               strerror(-r));
	return 0;
}
