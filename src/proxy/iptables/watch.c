/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A notification carries the netlink port of the socket that asked for the change, which the kernel
 * takes from the number of the process where that is free: so our programs' changes are told from
 * others'.  Where it is not free a change of ours looks like somebody's, and costs a comparison.
 * Other programs may have had the same number, in other containers above all, so it counts only
 * until the program has ended and what it caused was read.  Lost notifications count as a change.
 *
 * The legacy tables have no notifications.  One call a table says how many entries and bytes it
 * has, which is cheap enough for a look each second; what is replaced by as much is left to the
 * regular comparisons.
 */
#include "config.h"

#include "proxy/iptables/watch.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "fairlead/log.h"
#include "fairlead/mem.h"

#define WATCH_DATAGRAM 65536

/* What the kernel says of a legacy table; the same for both families. */
struct table_info {
	unsigned int n_entries, size;
};

static const char *const tables[] = { "filter", "nat" };

struct watch {
	uint8_t family;
	bool nft;
	const struct watch_ops *ops;
	void *arg;
	bool changed;
	/* nft */
	struct nl_sock *sock;
	struct event *readable;
	char *datagram;
	pid_t own[WATCH_OWN_PROGRAMS]; /* those whose changes may not be read yet, 0: none */
	pid_t running;                 /* the one of them that may write still; 0: none */
	size_t n_own;
	/* legacy */
	int fd;
	struct event *look;
	struct table_info infos[ARRAY_LEN(tables)];
};

static void mark(struct watch *w)
{
	if (w->changed)
		return;
	w->changed = true;
	w->ops->changed(w->arg);
}

static bool is_own(const struct watch *w, uint32_t port)
{
	for (size_t i = 0; i < ARRAY_LEN(w->own); i++)
		if (w->own[i] > 0 && (uint32_t)w->own[i] == port)
			return true;
	return false;
}

static const char *text_of(struct nlattr *a)
{
	const char *s = a ? nla_data(a) : NULL;

	return s && memchr(s, '\0', (size_t)nla_len(a)) ? s : NULL;
}

static bool is_iptables(const char *table)
{
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		if (!strcmp(table, tables[i]))
			return true;
	return false;
}

static void one_notification(struct watch *w, struct nlmsghdr *h)
{
	struct nlattr *tb[NFTA_RULE_MAX > NFTA_CHAIN_MAX ? NFTA_RULE_MAX + 1
	                                                 : NFTA_CHAIN_MAX + 1] = { NULL };
	const struct nfgenmsg *head = nlmsg_data(h);
	int type = h->nlmsg_type & 0xff, chain = 0, n = NFTA_TABLE_MAX;
	if (h->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES ||
	    h->nlmsg_len < NLMSG_LENGTH(sizeof(*head)) || is_own(w, h->nlmsg_pid))
		return;
	bool inet = head->nfgen_family == NFPROTO_INET;
	if (!inet && head->nfgen_family != (w->family == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6))
		return;
	if (type == NFT_MSG_NEWRULE || type == NFT_MSG_DELRULE) {
		chain = NFTA_RULE_CHAIN;
		n = NFTA_RULE_MAX;
	} else if (type == NFT_MSG_NEWCHAIN || type == NFT_MSG_DELCHAIN) {
		chain = NFTA_CHAIN_NAME;
		n = NFTA_CHAIN_MAX;
	} else if (type != NFT_MSG_NEWTABLE && type != NFT_MSG_DELTABLE) {
		return;
	}
	if (nlmsg_parse(h, sizeof(*head), tb, n, NULL) < 0)
		return;
	/* The name of the table is the first attribute of all three. */
	const char *table = text_of(tb[NFTA_TABLE_NAME]);
	if (table && (inet || !is_iptables(table)))
		w->ops->foreign(w->arg);
	else if (table && w->ops->cares(table, chain ? text_of(tb[chain]) : NULL, w->arg))
		mark(w);
}

/* All notifications were read, those of programs that have ended are among them. */
static void forget_ended(struct watch *w)
{
	for (size_t i = 0; i < ARRAY_LEN(w->own); i++)
		if (w->own[i] != w->running)
			w->own[i] = 0;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;

	(void)what;
	for (int i = 0; i < WATCH_SLICE; i++) {
		ssize_t n = recv(fd, w->datagram, WATCH_DATAGRAM, MSG_DONTWAIT);
		if (n < 0 && errno == ENOBUFS) {
			mark(w);
			continue;
		}
		if (n <= 0) {
			forget_ended(w);
			return;
		}
		int left = (int)n;
		for (struct nlmsghdr *h = (struct nlmsghdr *)(void *)w->datagram; nlmsg_ok(h, left);
		     h = nlmsg_next(h, &left))
			one_notification(w, h);
	}
}

static int subscribe(struct watch *w, struct event_base *base)
{
	int size = WATCH_BUFFER_BYTES;

	w->sock = nl_socket_alloc();
	if (!w->sock)
		return -NLE_NOMEM;
	int r = nl_connect(w->sock, NETLINK_NETFILTER);
	if (r == 0)
		r = nl_socket_add_membership(w->sock, NFNLGRP_NFTABLES);
	if (r < 0)
		return r;
	int fd = nl_socket_get_fd(w->sock);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	w->datagram = xmalloc(WATCH_DATAGRAM);
	w->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, w);
	event_add(w->readable, NULL);
	return 0;
}

/* A table that nobody has made yet has no entries. */
static struct table_info read_info(const struct watch *w, const char *table)
{
	struct ipt_getinfo info = { .num_entries = 0 };
	socklen_t size = sizeof(info);

	memccpy(info.name, table, '\0', sizeof(info.name) - 1);
	if (getsockopt(w->fd, w->family == 4 ? IPPROTO_IP : IPPROTO_IPV6, IPT_SO_GET_INFO, &info,
	               &size) < 0)
		return (struct table_info){ 0 };
	return (struct table_info){ info.num_entries, info.size };
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;

	(void)fd;
	(void)what;
	if (!w->running && !w->changed && watch_is_changed(w)) {
		w->changed = false;
		mark(w);
	}
}

static void look_regularly(struct watch *w, struct event_base *base)
{
	const struct timeval tv = { .tv_sec = WATCH_LOOK_S };

	w->look = event_new(base, -1, EV_PERSIST, on_look, w);
	event_add(w->look, &tv);
}

struct watch *watch_new(struct event_base *base, const struct variant *v, uint8_t family,
                        const struct watch_ops *ops, void *arg)
{
	struct watch *w = xcalloc(1, sizeof(*w));
	int r = 0;

	w->family = family;
	w->nft = v == &variants[0];
	w->ops = ops;
	w->arg = arg;
	w->fd = -1;
	if (w->nft)
		r = subscribe(w, base);
	else
		w->fd = socket(family == 4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC,
		               IPPROTO_RAW);
	if (r < 0 || (!w->nft && w->fd < 0))
		log_warn("cannot watch for changes that others make to rules; they are found later",
		         KV_S("variant", v->name),
		         KV_S("error", r < 0 ? nl_geterror(r) : strerror(errno)));
	watch_settle(w);
	if (w->fd >= 0)
		look_regularly(w, base);
	return w;
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	if (w->readable)
		event_free(w->readable);
	if (w->look)
		event_free(w->look);
	nl_socket_free(w->sock);
	if (w->fd >= 0)
		close(w->fd);
	free(w->datagram);
	free(w);
}

void watch_own(struct watch *w, pid_t pid)
{
	w->running = pid;
	w->own[w->n_own++ % ARRAY_LEN(w->own)] = pid;
}

void watch_ended(struct watch *w)
{
	w->running = 0;
	if (w->readable)
		event_active(w->readable, EV_READ, 0);
}

void watch_settle(struct watch *w)
{
	w->changed = false;
	for (size_t i = 0; w->fd >= 0 && i < ARRAY_LEN(tables); i++)
		w->infos[i] = read_info(w, tables[i]);
}

void watch_wrote(struct watch *w)
{
	if (!w->nft)
		watch_settle(w);
}

bool watch_is_changed(struct watch *w)
{
	for (size_t i = 0; w->fd >= 0 && i < ARRAY_LEN(tables); i++) {
		struct table_info now = read_info(w, tables[i]);
		w->changed = w->changed || now.n_entries != w->infos[i].n_entries ||
		             now.size != w->infos[i].size;
	}
	return w->changed;
}
