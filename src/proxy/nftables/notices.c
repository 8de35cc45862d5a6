/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/nftables/notices.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/event.h>
#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "proxy/nftables/frame.h"
#include "proxy/nftables/wire.h"

#define NOTICES_DATAGRAM 65536
#define NOTICES_RECEIVE_BYTES (4 << 20)
/* Read in one go, before the event loop does something else. */
#define NOTICES_AT_ONCE 64

struct notices {
	struct mnl_socket *sock;
	struct event *readable;
	char *datagram;
	const struct notices_ops *ops;
	void *arg;
};

/* A datagram's first message names its author; all its messages have the same. */
static int leave_out(int fd, const uint32_t own[static NOTICES_OWN])
{
	/* The filter sees bytes in the network's order. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(own[0]), 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(own[1]), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	const struct sock_fprog program = { ARRAY_LEN(code), code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

static void one_notice(struct notices *n, const struct nlmsghdr *h)
{
	if (h->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES ||
	    (h->nlmsg_type & 0xff) == NFT_MSG_NEWGEN ||
	    h->nlmsg_len < mnl_nlmsg_size(sizeof(struct nfgenmsg)))
		return;
	const struct nfgenmsg *head = mnl_nlmsg_get_payload(h);
	const char *table = wire_table(h);
	bool four = head->nfgen_family == NFPROTO_IPV4, six = head->nfgen_family == NFPROTO_IPV6;

	if (table && !strcmp(table, FRAME_TABLE) && (four || six))
		n->ops->changed(four ? 4 : 6, n->arg);
	else if (table && (h->nlmsg_type & 0xff) < NFT_MSG_NEWSET)
		n->ops->foreign(n->arg);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct notices *n = arg;

	(void)what;
	for (int i = 0; i < NOTICES_AT_ONCE; i++) {
		ssize_t size = recv(fd, n->datagram, NOTICES_DATAGRAM, 0);
		if (size < 0 && errno == ENOBUFS)
			n->ops->lost(n->arg);
		if (size <= 0)
			return;
		int left = (int)size;
		for (const struct nlmsghdr *h = (const void *)n->datagram; mnl_nlmsg_ok(h, left);
		     h = mnl_nlmsg_next(h, &left))
			one_notice(n, h);
	}
}

static int subscribe(struct notices *n, const uint32_t own[static NOTICES_OWN])
{
	int group = NFNLGRP_NFTABLES, size = NOTICES_RECEIVE_BYTES;

	n->sock = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!n->sock)
		return -1;
	int fd = mnl_socket_get_fd(n->sock);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (leave_out(fd, own) < 0 || mnl_socket_bind(n->sock, 0, MNL_SOCKET_AUTOPID) < 0)
		return -1;
	return mnl_socket_setsockopt(n->sock, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group));
}

struct notices *notices_new(struct event_base *base, const uint32_t own[static NOTICES_OWN],
                            const struct notices_ops *ops, void *arg)
{
	struct notices *n = xcalloc(1, sizeof(*n));

	n->ops = ops;
	n->arg = arg;
	if (subscribe(n, own) < 0) {
		log_warn(
			"cannot watch for changes that others make to nftables; they are found later",
			KV_S("error", strerror(errno)));
		notices_free(n);
		return NULL;
	}
	n->datagram = xmalloc(NOTICES_DATAGRAM);
	n->readable =
		event_new(base, mnl_socket_get_fd(n->sock), EV_READ | EV_PERSIST, on_readable, n);
	event_add(n->readable, NULL);
	return n;
}

void notices_free(struct notices *n)
{
	if (!n)
		return;
	if (n->readable)
		event_free(n->readable);
	if (n->sock)
		mnl_socket_close(n->sock);
	free(n->datagram);
	free(n);
}
