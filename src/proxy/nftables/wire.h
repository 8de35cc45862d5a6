/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_NFTABLES_WIRE_H
#define FAIRLEAD_PROXY_NFTABLES_WIRE_H

/*
 * The socket to the kernel's nftables: transactions, which take effect as a whole or not at all,
 * and lists.  A transaction is over when wire_commit() returns; a list comes datagram by datagram,
 * so that the caller may do something else in between.
 *
 *	wire_begin(w);
 *	struct nlmsghdr *h = wire_add(w, NFT_MSG_NEWCHAIN, family, NLM_F_CREATE);
 *	mnl_attr_put_strz(h, …);
 *	wire_added(w, h);
 *	int r = wire_commit(w, &e);
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/err.h"
#include "proxy/datagrams.h"

struct nlmsghdr;
struct wire;

/* One message is never longer. */
#define WIRE_MESSAGE_MAX 65536

/* -EPERM, -ENOPROTOOPT, …: the kernel has no nftables, or not for us. */
int wire_new(struct wire **ret_wire, struct err *e);
void wire_free(struct wire *w);
/* What others see as the author of our changes: nlmsg_pid of a notification. */
uint32_t wire_port(const struct wire *w);
/* Readable while a list comes. */
int wire_fd(const struct wire *w);

/* ---- a transaction ---- */

void wire_begin(struct wire *w);
/*
 * A message (NFT_MSG_…) with room for attributes, up to WIRE_MESSAGE_MAX in all; @flags besides
 * NLM_F_REQUEST.
 */
struct nlmsghdr *wire_add(struct wire *w, int type, uint8_t family, uint16_t flags);
void wire_added(struct wire *w, struct nlmsghdr *h);
size_t wire_size(const struct wire *w);
/*
 * Sends it and waits for the kernel, which has nothing else to do meanwhile.  A negative errno: of
 * the first message that was refused, and nothing has changed.  -ENOBUFS where the answer was lost:
 * then it is not known what has changed.
 */
int wire_commit(struct wire *w, struct err *e);

/*
 * The table that an object of any kind is of, or is; NULL: the message names none.  It has at least
 * a struct nfgenmsg.
 */
const char *wire_table(const struct nlmsghdr *h);

/* ---- a list ---- */

/*
 * Asks for all objects of a kind (NFT_MSG_GET…) of a family; sets, chains, rules of @table and
 * elements of its @set.
 */
int wire_list(struct wire *w, int type, uint8_t family, const char *table, const char *set);
/*
 * As datagram_step(), with the messages that have a struct nfgenmsg.  -ENOENT: there is no such
 * table or set.
 */
int wire_step(struct wire *w, datagram_fn *fn, void *arg);
/* Asks and takes everything, waiting for it. */
int wire_read(struct wire *w, int type, uint8_t family, const char *table, const char *set,
              datagram_fn *fn, void *arg);

#endif
