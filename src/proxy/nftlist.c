/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/nftlist.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <linux/netfilter/nfnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "fairlead/mem.h"

/* The kernel fills at most this much of one datagram of a list. */
#define NFTLIST_DATAGRAM 65536

int nftlist_open(struct nftlist *n, int timeout_ms)
{
	struct timeval tv = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };

	*n = (struct nftlist){ .sock = nl_socket_alloc(), .datagram = xmalloc(NFTLIST_DATAGRAM) };
	if (!n->sock)
		return -ENOMEM;
	if (nl_connect(n->sock, NETLINK_NETFILTER) < 0)
		return -EIO;
	setsockopt(nl_socket_get_fd(n->sock), SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return 0;
}

void nftlist_close(struct nftlist *n)
{
	nl_socket_free(n->sock);
	free(n->datagram);
	*n = (struct nftlist){ .sock = NULL };
}

static int receive(const struct nftlist *n, nftlist_fn *fn, void *arg)
{
	bool interrupted = false;

	for (;;) {
		ssize_t size = recv(nl_socket_get_fd(n->sock), n->datagram, NFTLIST_DATAGRAM, 0);
		if (size < 0 && errno == EINTR)
			continue;
		if (size <= 0)
			return size < 0 ? -errno : -EIO;
		int left = (int)size;
		for (struct nlmsghdr *h = (struct nlmsghdr *)(void *)n->datagram; nlmsg_ok(h, left);
		     h = nlmsg_next(h, &left)) {
			interrupted = interrupted || (h->nlmsg_flags & NLM_F_DUMP_INTR);
			if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE) {
				int e = h->nlmsg_len >= NLMSG_LENGTH(sizeof(int))
				                ? *(int *)NLMSG_DATA(h)
				                : 0;
				return e < 0 ? e : interrupted ? -EINTR : 0;
			}
			if (h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct nfgenmsg)))
				fn(h, arg);
		}
	}
}

int nftlist_read(struct nftlist *n, int type, uint8_t family, const char *table, const char *chain,
                 nftlist_fn *fn, void *arg)
{
	struct nfgenmsg head = { .nfgen_family = family, .version = NFNETLINK_V0 };
	struct nl_msg *msg =
		nlmsg_alloc_simple(NFNL_SUBSYS_NFTABLES << 8 | type, NLM_F_REQUEST | NLM_F_DUMP);

	if (!msg)
		return -ENOMEM;
	nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO);
	if (table)
		nla_put_string(msg, NFTA_RULE_TABLE, table);
	if (chain)
		nla_put_string(msg, NFTA_RULE_CHAIN, chain);
	int r = nl_send_auto(n->sock, msg);
	nlmsg_free(msg);
	return r < 0 ? -EIO : receive(n, fn, arg);
}

bool nftlist_name(const struct nlattr *a, char to[static NFT_NAME_MAXLEN])
{
	const char *s = a ? nla_data(a) : NULL;

	return s &&
	       memccpy(to, s, '\0',
	               (size_t)nla_len(a) < NFT_NAME_MAXLEN ? (size_t)nla_len(a) : NFT_NAME_MAXLEN);
}
