/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The base chains are listed, and of those that our packets pass the rules are read as passage.c
 * asks for them.  The finding is about the first packet that comes there of a connection; a
 * firewall that lets that one through lets the others through as well.  A dormant table (`flags
 * dormant`) refuses nothing.
 */
#include "config.h"

#include "proxy/foreign.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/msg.h>

#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "proxy/nftlist.h"
#include "proxy/passage.h"

/* How often a list that changed while it was read is read again. */
#define FOREIGN_TRIES 3

struct base_chain {
	uint8_t family; /* NFPROTO_… */
	uint32_t hook;
	bool drops; /* by its policy */
	char table[NFT_NAME_MAXLEN], name[NFT_NAME_MAXLEN];
};

/* Where packets of ours pass, and what they are there. */
struct station {
	uint32_t hook;
	bool answers, translated;
	bool some; /* those of few Services */
};

static const struct station forwarded[] = { { NF_INET_FORWARD, .translated = true }, { 0 } };
static const struct station by_ipvs[] = {
	{ NF_INET_LOCAL_IN },
	{ NF_INET_LOCAL_OUT },
	{ NF_INET_FORWARD, .answers = true },
	{ NF_INET_FORWARD, .translated = true, .some = true },
	{ 0 },
};

/* One look. */
struct look {
	bool nft;
	uint32_t ipvs;
	const struct station *stations; /* the last one's hook is 0 */
	uint8_t family;                 /* 4 or 6 */
	struct nftlist tables;
	int error;
	struct base_chain *chains;
	size_t n_chains, cap_chains;
	bool beyond; /* the bounds */
};

static uint32_t number_of(const struct nlattr *a)
{
	uint32_t v = UINT32_MAX;

	if (a && nla_len(a) == (int)sizeof(v))
		memcpy(&v, nla_data(a), sizeof(v));
	return ntohl(v);
}

/* ---- the base chains ---- */

static bool is_iptables_own(const struct look *l, const struct base_chain *c)
{
	return l->nft && c->family != NFPROTO_INET && !strcmp(c->table, "filter") &&
	       !strcmp(c->name, "FORWARD");
}

static bool is_passed(const struct look *l, uint32_t hook)
{
	for (const struct station *s = l->stations; s->hook; s++)
		if (s->hook == hook)
			return true;
	return false;
}

static void one_chain(struct nlmsghdr *h, void *arg)
{
	struct look *l = arg;
	struct nlattr *tb[NFTA_CHAIN_MAX + 1], *hook[NFTA_HOOK_MAX + 1];
	const struct nfgenmsg *head = nlmsg_data(h);
	struct base_chain c = { .family = head->nfgen_family };

	if (c.family != (l->family == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6) && c.family != NFPROTO_INET)
		return;
	if (nlmsg_parse(h, sizeof(*head), tb, NFTA_CHAIN_MAX, NULL) < 0 || !tb[NFTA_CHAIN_HOOK] ||
	    nla_parse_nested(hook, NFTA_HOOK_MAX, tb[NFTA_CHAIN_HOOK], NULL) < 0 ||
	    !is_passed(l, number_of(hook[NFTA_HOOK_HOOKNUM])) ||
	    !nftlist_name(tb[NFTA_CHAIN_TABLE], c.table) ||
	    !nftlist_name(tb[NFTA_CHAIN_NAME], c.name) || is_iptables_own(l, &c))
		return;
	if (l->n_chains >= FOREIGN_MAX_BASE_CHAINS) {
		l->beyond = true;
		return;
	}
	c.hook = number_of(hook[NFTA_HOOK_HOOKNUM]);
	c.drops = number_of(tb[NFTA_CHAIN_POLICY]) == NF_DROP;
	ARRAY_RESERVE(l->chains, l->cap_chains, l->n_chains + 1);
	l->chains[l->n_chains++] = c;
}

/* The chains of a dormant table are ignored. */
static void one_table(struct nlmsghdr *h, void *arg)
{
	struct look *l = arg;
	struct nlattr *tb[NFTA_TABLE_MAX + 1];
	const struct nfgenmsg *head = nlmsg_data(h);
	char name[NFT_NAME_MAXLEN];

	if (nlmsg_parse(h, sizeof(*head), tb, NFTA_TABLE_MAX, NULL) < 0 ||
	    !nftlist_name(tb[NFTA_TABLE_NAME], name) || !tb[NFTA_TABLE_FLAGS] ||
	    !(number_of(tb[NFTA_TABLE_FLAGS]) & NFT_TABLE_F_DORMANT))
		return;
	for (size_t i = l->n_chains; i-- > 0;)
		if (l->chains[i].family == head->nfgen_family && !strcmp(l->chains[i].table, name))
			l->chains[i] = l->chains[--l->n_chains];
}

/* ---- their rules ---- */

/* The table of one base chain. */
struct table_of {
	struct look *l;
	const struct base_chain *base;
	struct ruleset_packet packet;
	struct passage_rules *rules; /* to be filled */
};

static void one_rule(struct nlmsghdr *h, void *arg)
{
	struct table_of *t = arg;
	struct nlattr *tb[NFTA_RULE_MAX + 1];

	if (nlmsg_parse(h, sizeof(struct nfgenmsg), tb, NFTA_RULE_MAX, NULL) < 0)
		return;
	struct ruleset_rule rule = ruleset_read(tb[NFTA_RULE_EXPRESSIONS], &t->packet);
	passage_add(t->rules, &rule);
}

static int read_rules(const char *chain, struct passage_rules *rules, void *arg)
{
	struct table_of *t = arg;

	t->rules = rules;
	int r = nftlist_read(&t->l->tables, NFT_MSG_GETRULE, t->base->family, t->base->table, chain,
	                     one_rule, t);
	return chain && r == -ENOENT ? 0 : r;
}

/* ---- a look ---- */

static const char *family_word(uint8_t family)
{
	return family == NFPROTO_INET ? "inet" : family == NFPROTO_IPV4 ? "ip" : "ip6";
}

/* What it does with what passes there, if it is worse than what was found. */
static int judge(struct look *l, const struct base_chain *c, const struct station *s,
                 struct foreign_finding *found)
{
	struct table_of t = { .l = l,
		              .base = c,
		              .packet = { .family = l->family,
		                          .answers = s->answers,
		                          .translated = s->translated,
		                          .mark = s->translated ? 0 : l->ipvs } };
	enum proxy_passage passage = PROXY_PASSES;
	int r = passage_judge(c->name, c->drops, read_rules, &t, &passage);

	if (s->some && passage == PROXY_REFUSED)
		passage = PROXY_UNCERTAIN;
	if (r < 0 || passage <= found->passage)
		return r;
	found->passage = passage;
	snprintf(found->where, sizeof(found->where), "table %s %.60s, chain %.60s",
	         family_word(c->family), c->table, c->name);
	return 0;
}

static int look_once(struct look *l, struct foreign_finding *ret)
{
	static const uint8_t families[] = { NFPROTO_INET, NFPROTO_IPV4, NFPROTO_IPV6 };
	struct foreign_finding found = { .passage = PROXY_PASSES };

	l->n_chains = 0;
	l->error = 0;
	for (size_t i = 0; i < ARRAY_LEN(families) && l->error == 0; i++)
		if (families[i] != (l->family == 4 ? NFPROTO_IPV6 : NFPROTO_IPV4))
			l->error = nftlist_read(&l->tables, NFT_MSG_GETCHAIN, families[i], NULL,
			                        NULL, one_chain, l);
	if (l->error == 0 && l->n_chains > 0)
		l->error = nftlist_read(&l->tables, NFT_MSG_GETTABLE, NFPROTO_UNSPEC, NULL, NULL,
		                        one_table, l);
	for (size_t i = 0; i < l->n_chains && l->error == 0; i++) {
		const struct base_chain *c = &l->chains[i];
		for (const struct station *s = l->stations; s->hook && l->error == 0; s++)
			if (s->hook == c->hook)
				l->error = judge(l, c, s, &found);
	}
	if (l->beyond && found.passage == PROXY_PASSES) {
		found.passage = PROXY_UNCERTAIN;
		snprintf(found.where, sizeof(found.where), "more than %d base chains",
		         FOREIGN_MAX_BASE_CHAINS);
	}
	if (l->error == 0)
		*ret = found;
	return l->error;
}

int foreign_look(bool nft, uint32_t ipvs, uint8_t family, struct foreign_finding *ret_finding)
{
	struct look l = {
		.nft = nft, .ipvs = ipvs, .stations = ipvs ? by_ipvs : forwarded, .family = family
	};
	int r = nftlist_open(&l.tables, FOREIGN_TIMEOUT_MS);

	for (int i = 0; r == 0 || (r == -EINTR && i < FOREIGN_TRIES); i++) {
		r = look_once(&l, ret_finding);
		if (r == 0)
			break;
	}
	nftlist_close(&l.tables);
	free(l.chains);
	return r;
}

/* ---- the watch ---- */

struct foreign {
	bool nft;
	uint32_t ipvs;
	int interval_ms;
	void (*changed)(void *arg);
	void *arg;
	struct event *timer;
	int64_t next_ms, took_ms;
	bool failed; /* the last look */
	struct foreign_finding findings[2];
};

static void arm(struct foreign *f, int64_t at_ms)
{
	int64_t now = clock_ms(), wait = at_ms > now ? at_ms - now : 0;
	struct timeval tv = { wait / 1000, wait % 1000 * 1000 };

	f->next_ms = at_ms;
	evtimer_add(f->timer, &tv);
}

static void tell(const struct foreign *f, const struct foreign_finding *found, const char *family)
{
	static const char *const words[] = {
		[PROXY_PASSES] = "nftables lets forwarded packets through again",
		[PROXY_UNCERTAIN] = "a chain of nftables may refuse the packets that are forwarded",
		[PROXY_REFUSED] = "nftables refuses what is forwarded, so nothing is announced",
	};
	log_warn(words[found->passage], KV_S("family", family), KV_S("where", found->where),
	         KV_S("to_accept",
	              f->ipvs ? "ct mark and 0x1000 != 0, and ct status dnat" : "ct status dnat"));
}

static bool look_at(struct foreign *f, int i)
{
	static const struct {
		uint8_t family;
		const char *name;
	} families[] = { { 4, "IPv4" }, { 6, "IPv6" } };
	struct foreign_finding found;
	int r = foreign_look(f->nft, f->ipvs, families[i].family, &found);

	if (r < 0 && !f->failed && r != -EINTR)
		log_warn("cannot read nftables' chains, which may refuse what is forwarded",
		         KV_S("error", strerror(-r)));
	f->failed = r < 0;
	if (r < 0 ||
	    (found.passage == f->findings[i].passage && !strcmp(found.where, f->findings[i].where)))
		return false;
	f->findings[i] = found;
	tell(f, &found, families[i].name);
	return true;
}

static bool look(struct foreign *f)
{
	int64_t begun = clock_ms();
	bool changed = false;

	for (int i = 0; i < 2; i++)
		changed = look_at(f, i) || changed;
	f->took_ms = clock_ms() - begun;
	int64_t rest = FOREIGN_SHARE * f->took_ms;
	arm(f, clock_ms() + (rest > f->interval_ms ? rest : f->interval_ms));
	return changed;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct foreign *f = arg;

	(void)fd;
	(void)what;
	if (look(f))
		f->changed(f->arg);
}

struct foreign *foreign_new(struct event_base *base, bool nft, uint32_t ipvs, int interval_ms,
                            void (*changed)(void *arg), void *arg)
{
	struct foreign *f = xcalloc(1, sizeof(*f));

	f->nft = nft;
	f->ipvs = ipvs;
	f->interval_ms = interval_ms;
	f->changed = changed;
	f->arg = arg;
	f->timer = evtimer_new(base, on_timer, f);
	look(f);
	return f;
}

void foreign_free(struct foreign *f)
{
	if (!f)
		return;
	event_free(f->timer);
	free(f);
}

void foreign_hint(struct foreign *f)
{
	int64_t gap = FOREIGN_GAPS * f->took_ms;
	int64_t at = clock_ms() + (gap > FOREIGN_GAP_MS ? gap : FOREIGN_GAP_MS);

	if (at < f->next_ms)
		arm(f, at);
}

const struct foreign_finding *foreign_finding(const struct foreign *f, uint8_t family)
{
	return &f->findings[family == 6];
}
