/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of an aggregate P, right before the rule of the main table (32766):
 *
 *	32763: to P iif lo lookup main                           what the node itself sends, and
 *	                                                         checks of the reverse path
 *	32764: to P lookup main suppress_prefixlength LEN(P)-1   a route for P or a part of it
 *	32765: to P unreachable
 *
 * A route "unreachable P" in the main table would be simpler, but would do too much: what a process
 * of the node sends to a Service is routed before it is translated, so it would be refused.
 *
 * The rules carry a protocol number of our own, by which they are found again.
 */
#include "config.h"

#include "speaker/sinks.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/limits.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

#define RULE_PROTOCOL 171
#define PRIORITY_FIRST 32763
#define RECHECK_MS 30000

enum step { STEP_LOCAL, STEP_SPECIFIC, STEP_UNREACHABLE, N_STEPS };

struct rule {
	struct prefix to;
	enum step step;
};

struct rules {
	struct rule *items;
	size_t n, cap;
};

struct prefixes {
	struct prefix *items;
	size_t n, cap;
};

struct sinks {
	struct prefixes want;
	bool changed, keep_others;
	int64_t next_ms;
	size_t n_closed, n_open; /* aggregates with their rules, and those that should have some */
	struct log_rate rate;
};

static void rules_add(struct rules *r, const struct prefix *to, enum step step)
{
	ARRAY_RESERVE(r->items, r->cap, r->n + 1);
	r->items[r->n++] = (struct rule){ *to, step };
}

static bool rules_have(const struct rules *r, const struct rule *x)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->items[i].step == x->step && prefix_cmp(&r->items[i].to, &x->to) == 0)
			return true;
	return false;
}

static void prefixes_add(struct prefixes *p, const struct prefix *x)
{
	ARRAY_RESERVE(p->items, p->cap, p->n + 1);
	p->items[p->n++] = *x;
}

bool sinks_is_needed(const struct prefix *aggregate, const struct prefix *subnets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (subnets[i].len <= aggregate->len &&
		    prefix_contains(&subnets[i], &aggregate->addr))
			return false;
	return aggregate->len > 0 && aggregate->len < addr_bits(&aggregate->addr);
}

/* ---- the kernel ---- */

static struct nl_msg *rule_msg(int type, int flags, const struct rule *r)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, flags);
	struct fib_rule_hdr h = {
		.family = r->to.addr.family == 4 ? AF_INET : AF_INET6,
		.dst_len = r->to.len,
		.table = r->step == STEP_UNREACHABLE ? RT_TABLE_UNSPEC : RT_TABLE_MAIN,
		.action = r->step == STEP_UNREACHABLE ? FR_ACT_UNREACHABLE : FR_ACT_TO_TBL
	};

	if (!msg || nlmsg_append(msg, &h, sizeof(h), NLMSG_ALIGNTO) < 0)
		abort(); /* out of memory */
	nla_put(msg, FRA_DST, addr_bits(&r->to.addr) / 8, r->to.addr.b);
	nla_put_u32(msg, FRA_PRIORITY, PRIORITY_FIRST + (uint32_t)r->step);
	nla_put_u8(msg, FRA_PROTOCOL, RULE_PROTOCOL);
	if (r->step == STEP_LOCAL)
		nla_put_string(msg, FRA_IIFNAME, "lo");
	if (r->step == STEP_SPECIFIC)
		nla_put_u32(msg, FRA_SUPPRESS_PREFIXLEN, r->to.len - 1u);
	return msg;
}

static int change(struct nl_sock *sk, int type, int flags, const struct rule *r, struct err *e)
{
	char text[PREFIX_STR_SIZE];
	int ret = nl_send_sync(sk, rule_msg(type, flags, r));

	if (ret >= 0 || ret == -NLE_EXIST || ret == -NLE_OBJ_NOTFOUND)
		return 0;
	return err_set(e, -EIO, ERR_SYSTEM,
	               "cannot %s the rule that ends packets to unused addresses of %s here: %s",
	               type == RTM_NEWRULE ? "add" : "remove", prefix_format(&r->to, text),
	               nl_geterror(ret));
}

static int on_rule(struct nl_msg *msg, void *arg)
{
	static const struct nla_policy policy[FRA_MAX + 1] = {
		[FRA_PRIORITY] = { .type = NLA_U32 },
		[FRA_PROTOCOL] = { .type = NLA_U8 },
	};
	const struct fib_rule_hdr *h = nlmsg_data(nlmsg_hdr(msg));
	struct nlattr *tb[FRA_MAX + 1];
	struct prefix to = { .len = h->dst_len };

	if (nlmsg_parse(nlmsg_hdr(msg), sizeof(*h), tb, FRA_MAX, policy) < 0 || !tb[FRA_PROTOCOL] ||
	    nla_get_u8(tb[FRA_PROTOCOL]) != RULE_PROTOCOL || !tb[FRA_DST] || !tb[FRA_PRIORITY])
		return NL_OK;
	uint32_t step = nla_get_u32(tb[FRA_PRIORITY]) - PRIORITY_FIRST;
	to.addr.family = h->family == AF_INET ? 4 : 6;
	if (step >= N_STEPS || (size_t)nla_len(tb[FRA_DST]) != addr_bits(&to.addr) / 8)
		return NL_OK;
	memcpy(to.addr.b, nla_data(tb[FRA_DST]), (size_t)nla_len(tb[FRA_DST]));
	rules_add(arg, &to, (enum step)step);
	return NL_OK;
}

static int read_rules(struct nl_sock *sk, struct rules *out, struct err *e)
{
	static const int families[] = { AF_INET, AF_INET6 };

	nl_socket_modify_cb(sk, NL_CB_VALID, NL_CB_CUSTOM, on_rule, out);
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		struct fib_rule_hdr h = { .family = (uint8_t)families[i] };
		int r = nl_send_simple(sk, RTM_GETRULE, NLM_F_DUMP, &h, sizeof(h));
		if (r >= 0)
			r = nl_recvmsgs_default(sk);
		/* A kernel without IPv6 has none. */
		if (r < 0 && families[i] == AF_INET)
			return err_set(e, -EIO, ERR_SYSTEM, "cannot read the kernel's rules: %s",
			               nl_geterror(r));
	}
	return 0;
}

static void add_subnet(struct nl_object *o, void *arg)
{
	struct nl_addr *local = rtnl_addr_get_local((struct rtnl_addr *)o);
	struct addr a = { 0 };

	if (!local || (nl_addr_get_len(local) != 4 && nl_addr_get_len(local) != 16))
		return;
	a.family = nl_addr_get_len(local) == 4 ? 4 : 6;
	memcpy(a.b, nl_addr_get_binary_addr(local), nl_addr_get_len(local));
	int len = rtnl_addr_get_prefixlen((struct rtnl_addr *)o);
	struct prefix p = prefix_of(&a, len < 0 ? addr_bits(&a) : (unsigned int)len);
	prefixes_add(arg, &p);
}

static int read_subnets(struct nl_sock *sk, struct prefixes *out, struct err *e)
{
	struct nl_cache *cache;
	int r = rtnl_addr_alloc_cache(sk, &cache);

	if (r < 0)
		return err_set(e, -EIO, ERR_SYSTEM, "cannot read the node's addresses: %s",
		               nl_geterror(r));
	nl_cache_foreach(cache, add_subnet, out);
	nl_cache_free(cache);
	return 0;
}

static int open_netlink(struct nl_sock **ret_sk, struct err *e)
{
	struct nl_sock *sk = nl_socket_alloc();
	int r = sk ? nl_connect(sk, NETLINK_ROUTE) : -NLE_NOMEM;

	if (r < 0) {
		nl_socket_free(sk);
		return err_set(e, -EIO, ERR_SYSTEM, "netlink: %s", nl_geterror(r));
	}
	*ret_sk = sk;
	return 0;
}

/* ---- wanted and there ---- */

struct work {
	struct nl_sock *sk;
	struct rules have, want;
	struct prefixes subnets;
};

static void work_fini(struct work *w)
{
	nl_socket_free(w->sk);
	free(w->have.items);
	free(w->want.items);
	free(w->subnets.items);
}

static int work_begin(struct work *w, struct err *e)
{
	int r = open_netlink(&w->sk, e);

	if (r == 0)
		r = read_subnets(w->sk, &w->subnets, e);
	if (r == 0)
		r = read_rules(w->sk, &w->have, e);
	return r;
}

/* All three or none: half of them could refuse too much. */
static int add_one(struct work *w, const struct prefix *p, struct err *e)
{
	int r = 0;

	for (int step = 0; r == 0 && step < N_STEPS; step++) {
		const struct rule rule = { *p, (enum step)step };
		if (!rules_have(&w->have, &rule))
			r = change(w->sk, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, &rule, e);
	}
	return r;
}

/* The rule that refuses goes first. */
static int remove_others(const struct work *w, struct err *e)
{
	int r = 0;

	for (int step = N_STEPS - 1; step >= 0; step--)
		for (size_t i = 0; i < w->have.n; i++) {
			const struct rule *have = &w->have.items[i];
			if ((int)have->step != step || rules_have(&w->want, have))
				continue;
			int one = change(w->sk, RTM_DELRULE, 0, have, e);
			r = r ? r : one;
		}
	return r;
}

static int synchronize(struct sinks *s, bool may_remove, struct err *e)
{
	cleanup(work_fini) struct work w = { 0 };
	int r = work_begin(&w, e);

	if (r < 0)
		return r;
	s->n_closed = s->n_open = 0;
	for (size_t i = 0; i < s->want.n; i++) {
		const struct prefix *p = &s->want.items[i];
		if (!sinks_is_needed(p, w.subnets.items, w.subnets.n))
			continue;
		for (int step = 0; step < N_STEPS; step++)
			rules_add(&w.want, p, (enum step)step);
		int one = i < LIMIT_AGGREGATES
		                  ? add_one(&w, p, e)
		                  : err_set(e, -E2BIG, ERR_LIMIT, "more than %d aggregates",
		                            LIMIT_AGGREGATES);
		*(one == 0 ? &s->n_closed : &s->n_open) += 1;
		r = r ? r : one;
	}
	int one = may_remove ? remove_others(&w, e) : 0;
	return r ? r : one;
}

/* ---- life ---- */

struct sinks *sinks_new(void)
{
	struct sinks *s = xcalloc(1, sizeof(*s));

	/* What an earlier run left is looked at only once it is known what is wanted. */
	s->keep_others = true;
	return s;
}

void sinks_free(struct sinks *s)
{
	if (!s)
		return;
	free(s->want.items);
	free(s);
}

static bool is_same(const struct sinks *s, const struct prefix *prefixes, size_t n)
{
	for (size_t i = 0; i < n && n == s->want.n; i++)
		if (prefix_cmp(&s->want.items[i], &prefixes[i]) != 0)
			return false;
	return n == s->want.n;
}

static int by_prefix(const void *a, const void *b)
{
	return prefix_cmp(a, b);
}

void sinks_want(struct sinks *s, const struct prefix *prefixes, size_t n, bool only_less)
{
	struct prefixes want = { 0 };

	for (size_t i = 0; i < n; i++)
		prefixes_add(&want, &prefixes[i]);
	if (n)
		qsort(want.items, n, sizeof(*want.items), by_prefix);
	s->changed = s->changed || s->keep_others != only_less || !is_same(s, want.items, n);
	s->keep_others = only_less;
	free(s->want.items);
	s->want = want;
}

void sinks_update(struct sinks *s, bool may_remove, int64_t now_ms)
{
	struct err e = ERR_INIT;

	unsigned long long left_out;
	bool remove = may_remove && !s->keep_others;

	if (!s->changed && now_ms < s->next_ms)
		return;
	/* Unwanted rules are removed as soon as they may be. */
	s->changed = s->changed && !s->keep_others && !may_remove;
	int r = synchronize(s, remove, &e);
	s->next_ms = r == 0 && remove && !s->want.n ? INT64_MAX : now_ms + RECHECK_MS;
	if (r < 0 && log_rate_take(&s->rate, now_ms, &left_out))
		log_err("packets to unused addresses of aggregates may loop between node and router",
		        &e);
}

void sinks_metrics(const struct sinks *s, struct metrics_writer *w)
{
	metrics_family(w, METRIC_fairlead_bgp_aggregates);
	metrics_sample(w, (double)s->n_closed, "state", "closed", NULL);
	metrics_sample(w, (double)s->n_open, "state", "open", NULL);
}

int sinks_cleanup(struct err *e)
{
	cleanup(work_fini) struct work w = { 0 };
	int r = work_begin(&w, e);

	return r < 0 ? r : remove_others(&w, e);
}
