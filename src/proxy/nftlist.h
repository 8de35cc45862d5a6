/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_NFTLIST_H
#define FAIRLEAD_PROXY_NFTLIST_H

/*
 * Lists of what nftables has, as the kernel tells them.  All of it blocks, for as long as the
 * kernel takes to answer, within a bound.
 */

#include <stdbool.h>
#include <stdint.h>

#include <linux/netfilter/nf_tables.h>

struct nl_sock;
struct nlattr;
struct nlmsghdr;

struct nftlist {
	struct nl_sock *sock;
	char *datagram;
};

typedef void nftlist_fn(struct nlmsghdr *h, void *arg);

/* 0 or a negative errno; nftlist_close() is due in either case. */
int nftlist_open(struct nftlist *n, int timeout_ms);
void nftlist_close(struct nftlist *n);
/*
 * Calls @fn for all that there is of a kind (NFT_MSG_GET…): chains of a family, or rules of one
 * table (and chain, if it is not NULL).  -EINTR: it changed meanwhile, so something may be missing.
 */
int nftlist_read(struct nftlist *n, int type, uint8_t family, const char *table, const char *chain,
                 nftlist_fn *fn, void *arg);
/* Copies a name; false if there is none, or one that is too long. */
bool nftlist_name(const struct nlattr *a, char to[static NFT_NAME_MAXLEN]);

#endif
