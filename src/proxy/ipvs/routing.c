/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules and route are added again and again, exclusively: that it is there already is what the
 * kernel says as long as all is well.  So nobody has to read the node's routes, which may be many.
 * Notifications say when it is time; the kernel leaves out those of other tables before they take
 * memory here.
 *
 * Only the look-up that delivers a packet as it comes in may find the table.  Two others take the
 * packet's mark along, and both are as if the packet came from lo: the one for the way back to its
 * source (where the sysctl src_valid_mark is on, as wg-quick has it), by which it would be martian,
 * and the one for what is sent on, by which it would come round again.
 */
#include "config.h"

#include "proxy/ipvs/routing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/filter.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/event.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <netlink/route/route.h>
#include <netlink/route/rule.h>

#include "fairlead/log.h"
#include "fairlead/mem.h"

#define FAMILIES 2
#define LOOPBACK_INDEX 1
#define LOOPBACK_NAME "lo"
#define DATAGRAM_SIZE 8192

struct routing {
	uint32_t tag;
	const struct routing_ops *ops;
	void *arg;
	struct nl_sock *sock, *notices;
	struct event *readable, *check;
	bool stands[FAMILIES], was_made[FAMILIES];
	uint64_t n_repairs;
};

static const struct {
	int af;
	const char *name, *all;
} families[FAMILIES] = { { AF_INET, "IPv4", "0.0.0.0/0" }, { AF_INET6, "IPv6", "::/0" } };

static int open_socket(struct nl_sock **ret_sock)
{
	struct nl_sock *sock = nl_socket_alloc();
	int r = sock ? nl_connect(sock, NETLINK_ROUTE) : -NLE_NOMEM;

	if (r < 0) {
		nl_socket_free(sock);
		return r;
	}
	*ret_sock = sock;
	return 0;
}

/* ---- what is added and deleted ---- */

/* Whom the first leads past the second; in the order in which they are made. */
static const struct {
	uint32_t preference;
	uint8_t action;
} rules[] = {
	{ ROUTING_PREFERENCE + 2, FR_ACT_NOP },
	{ ROUTING_PREFERENCE, FR_ACT_GOTO },
	{ ROUTING_PREFERENCE + 1, FR_ACT_TO_TBL },
};

uint32_t routing_mark(uint32_t tag)
{
	return tag | (tag > UINT16_MAX ? 0x464c : 0x464c0000);
}

static uint32_t tag_of(uint32_t mark)
{
	return mark >> 16 == 0x464c ? mark & UINT16_MAX : mark & ~(uint32_t)UINT16_MAX;
}

static struct rtnl_rule *rule_of(int i, size_t which, uint32_t tag)
{
	struct rtnl_rule *rule = rtnl_rule_alloc();

	if (!rule)
		abort();
	rtnl_rule_set_family(rule, families[i].af);
	rtnl_rule_set_prio(rule, rules[which].preference);
	rtnl_rule_set_mark(rule, routing_mark(tag));
	rtnl_rule_set_mask(rule, UINT32_MAX);
	rtnl_rule_set_action(rule, rules[which].action);
	rtnl_rule_set_protocol(rule, ROUTING_PROTOCOL);
	if (rules[which].action == FR_ACT_TO_TBL)
		rtnl_rule_set_table(rule, ROUTING_TABLE);
	if (rules[which].action == FR_ACT_GOTO) {
		rtnl_rule_set_iif(rule, LOOPBACK_NAME);
		rtnl_rule_set_goto(rule, ROUTING_PREFERENCE + 2);
	}
	return rule;
}

static struct rtnl_route *route_of(int i)
{
	struct rtnl_route *route = rtnl_route_alloc();
	struct rtnl_nexthop *hop = rtnl_route_nh_alloc();
	struct nl_addr *all;

	if (!route || !hop || nl_addr_parse(families[i].all, families[i].af, &all) < 0)
		abort();
	rtnl_route_set_family(route, (uint8_t)families[i].af);
	rtnl_route_set_table(route, ROUTING_TABLE);
	rtnl_route_set_type(route, RTN_LOCAL);
	rtnl_route_set_scope(route, RT_SCOPE_HOST);
	rtnl_route_set_protocol(route, ROUTING_PROTOCOL);
	rtnl_route_set_dst(route, all);
	nl_addr_put(all);
	rtnl_route_nh_set_ifindex(hop, LOOPBACK_INDEX);
	rtnl_route_add_nexthop(route, hop);
	return route;
}

/* 1: it was not there; 0: it was; else a negative number of the library's. */
static int made(int r)
{
	return r == -NLE_EXIST ? 0 : r < 0 ? r : 1;
}

/* How many were not there. */
static int add_rules(struct nl_sock *sock, int i, uint32_t tag)
{
	int n = 0, r = 0;

	for (size_t which = 0; which < ARRAY_LEN(rules) && r >= 0; which++) {
		struct rtnl_rule *rule = rule_of(i, which, tag);
		r = made(rtnl_rule_add(sock, rule, NLM_F_CREATE | NLM_F_EXCL));
		rtnl_rule_put(rule);
		n += r;
	}
	return r < 0 ? r : n;
}

static int add_route(struct nl_sock *sock, int i)
{
	struct rtnl_route *route = route_of(i);
	int r = made(rtnl_route_add(sock, route, NLM_F_CREATE | NLM_F_EXCL));

	rtnl_route_put(route);
	return r;
}

static bool is_ours(struct rtnl_rule *rule)
{
	uint32_t preference = rtnl_rule_get_prio(rule);
	uint8_t protocol;

	return rtnl_rule_get_protocol(rule, &protocol) == 0 && protocol == ROUTING_PROTOCOL &&
	       preference >= ROUTING_PREFERENCE &&
	       preference < ROUTING_PREFERENCE + ARRAY_LEN(rules);
}

/*
 * Of those of ours in one family, the ones of tag @keep apart; 0: all of them.  The library reads
 * all families, whichever it is told.  How many there were, or a negative number.
 */
static int delete_rules(struct nl_sock *sock, int i, uint32_t keep, bool really)
{
	struct nl_cache *cache;
	int n = 0, r = rtnl_rule_alloc_cache(sock, families[i].af, &cache);

	if (r < 0)
		return r;
	for (struct nl_object *o = nl_cache_get_first(cache); o && r >= 0;
	     o = nl_cache_get_next(o)) {
		struct rtnl_rule *rule = (struct rtnl_rule *)o;
		if (rtnl_rule_get_family(rule) != families[i].af || !is_ours(rule) ||
		    (keep && rtnl_rule_get_mark(rule) == routing_mark(keep)))
			continue;
		n++;
		if (really)
			r = rtnl_rule_delete(sock, rule, 0);
		if (r == -NLE_OBJ_NOTFOUND)
			r = 0;
	}
	nl_cache_free(cache);
	return r < 0 ? r : n;
}

static int delete_route(struct nl_sock *sock, int i)
{
	struct rtnl_route *route = route_of(i);
	int r = rtnl_route_delete(sock, route, 0);

	rtnl_route_put(route);
	return r == -NLE_OBJ_NOTFOUND ? 0 : r;
}

/* ---- keeping them ---- */

/* The kernel has no IPv6, or it is switched off, at the loopback interface at least. */
static bool is_absent(int r)
{
	return r == -NLE_AF_NOSUPPORT || r == -NLE_OPNOTSUPP || r == -NLE_NOACCESS;
}

static void say_made(struct routing *t, int i)
{
	if (!t->was_made[i])
		return;
	t->n_repairs++;
	log_warn("somebody deleted a rule or the route that leads packets to IPVS; it is made "
	         "again",
	         KV_S("family", families[i].name));
}

static int make(struct routing *t, int i, struct err *e)
{
	int rule = add_rules(t->sock, i, t->tag), route = rule < 0 ? rule : add_route(t->sock, i);
	int r = rule < 0 ? rule : route < 0 ? route : 0;
	bool stood = t->stands[i];

	t->stands[i] = r == 0;
	if (r == 0 && rule + route > 0)
		say_made(t, i);
	t->was_made[i] = t->was_made[i] || r == 0;
	if (stood != t->stands[i] && t->was_made[i] && t->check)
		t->ops->changed(t->arg);
	if (r == 0 || (i > 0 && is_absent(r)))
		return 0;
	return err_set(e, -EIO, ERR_SYSTEM, "no way for packets to IPVS (%s, table %d): %s",
	               families[i].name, ROUTING_TABLE, nl_geterror(r));
}

void routing_audit(struct routing *t)
{
	for (int i = 0; i < FAMILIES; i++) {
		struct err e = ERR_INIT;
		if (make(t, i, &e) < 0)
			t->ops->failed(&e, t->arg);
	}
}

static void on_check(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	routing_audit(arg);
}

/* What they say does not matter, only that there were some. */
static void on_notice(evutil_socket_t fd, short what, void *arg)
{
	const struct routing *t = arg;
	const struct timeval now = { 0, 0 };
	char bytes[DATAGRAM_SIZE];

	(void)what;
	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) >= 0 || errno == ENOBUFS ||
	       errno == EINTR)
		;
	evtimer_add(t->check, &now);
}

/* Deleted rules, and deleted routes of tables whose number does not fit the header. */
static int filter_notices(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELRULE), 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELROUTE), 0, 3),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS,
		         NLMSG_HDRLEN + offsetof(struct rtmsg, rtm_table)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RT_TABLE_COMPAT, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog program = { ARRAY_LEN(code), code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno
	                                                                                   : 0;
}

static int watch(struct routing *t, struct event_base *base)
{
	int r = open_socket(&t->notices);

	if (r < 0)
		return r;
	int fd = nl_socket_get_fd(t->notices);
	if (filter_notices(fd) < 0)
		return -NLE_FAILURE;
	r = nl_socket_add_memberships(t->notices, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE,
	                              RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, 0);
	if (r < 0)
		return r;
	t->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_notice, t);
	event_add(t->readable, NULL);
	return 0;
}

int routing_start(struct event_base *base, uint32_t tag, const struct routing_ops *ops, void *arg,
                  struct routing **ret_routing, struct err *e)
{
	struct routing *t = xcalloc(1, sizeof(*t));
	int r = open_socket(&t->sock);

	t->tag = tag;
	t->ops = ops;
	t->arg = arg;
	if (r < 0)
		r = err_set(e, -EIO, ERR_SYSTEM, "no netlink socket for routes: %s",
		            nl_geterror(r));
	for (int i = 0; i < FAMILIES && r == 0; i++) {
		delete_rules(t->sock, i, tag, true);
		r = make(t, i, e);
	}
	if (r < 0) {
		routing_stop(t);
		return r;
	}
	t->check = evtimer_new(base, on_check, t);
	r = watch(t, base);
	if (r < 0)
		log_warn("cannot watch for changes that others make to rules and routes; they are "
		         "found later",
		         KV_S("error", nl_geterror(r)));
	*ret_routing = t;
	return 0;
}

void routing_stop(struct routing *t)
{
	if (!t)
		return;
	if (t->readable)
		event_free(t->readable);
	if (t->check)
		event_free(t->check);
	nl_socket_free(t->sock);
	nl_socket_free(t->notices);
	free(t);
}

bool routing_stands(const struct routing *t, uint8_t family)
{
	return t->stands[family == 6];
}

bool routing_is_lost(const struct routing *t, uint8_t family)
{
	return t->was_made[family == 6] && !t->stands[family == 6];
}

uint64_t routing_n_repairs(const struct routing *t)
{
	return t->n_repairs;
}

/* ---- without one that runs ---- */

bool routing_any(void)
{
	struct nl_sock *sock;
	bool any = false;

	if (open_socket(&sock) < 0)
		return false;
	for (int i = 0; i < FAMILIES; i++)
		any = any || delete_rules(sock, i, 0, false) > 0;
	nl_socket_free(sock);
	return any;
}

uint32_t routing_tags(void)
{
	struct nl_sock *sock;
	struct nl_cache *cache;
	uint32_t tags = 0;

	if (open_socket(&sock) < 0)
		return 0;
	if (rtnl_rule_alloc_cache(sock, AF_UNSPEC, &cache) >= 0) {
		for (struct nl_object *o = nl_cache_get_first(cache); o; o = nl_cache_get_next(o))
			if (is_ours((struct rtnl_rule *)o))
				tags |= tag_of(rtnl_rule_get_mark((struct rtnl_rule *)o));
		nl_cache_free(cache);
	}
	nl_socket_free(sock);
	return tags;
}

int routing_clean(struct err *e)
{
	struct nl_sock *sock;
	int r = open_socket(&sock);

	if (r < 0)
		return err_set(e, -EIO, ERR_SYSTEM, "no netlink socket for routes: %s",
		               nl_geterror(r));
	for (int i = 0; i < FAMILIES && r >= 0; i++) {
		r = delete_rules(sock, i, 0, true);
		if (r >= 0)
			r = delete_route(sock, i);
		r = i > 0 && is_absent(r) ? 0 : r;
	}
	nl_socket_free(sock);
	if (r < 0)
		return err_set(e, -EIO, ERR_SYSTEM,
		               "the rules and routes to IPVS cannot be removed: %s",
		               nl_geterror(r));
	return 0;
}
