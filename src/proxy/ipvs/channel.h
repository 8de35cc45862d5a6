/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPVS_CHANNEL_H
#define FAIRLEAD_PROXY_IPVS_CHANNEL_H

/*
 * The socket to the kernel's IPVS.  Operations are sent many at a time, and each takes effect by
 * itself; lists come datagram by datagram, so that the caller may do something else in between.
 */

#include <stddef.h>

#include "fairlead/err.h"
#include "proxy/datagrams.h"
#include "proxy/ipvs/messages.h"

struct channel;

/* In one channel_apply(): the answers to all of them fit the socket, even if all are refused. */
#define CHANNEL_BATCH_MAX 1024

/* -ENOTSUP: the kernel has no IPVS.  May load its module. */
int channel_open(struct channel **ret_channel, struct err *e);
void channel_close(struct channel *c);

/*
 * Has them done in this order, and waits for the kernel, which has nothing else to do meanwhile.
 * @ret_errors: 0 or a negative errno for each.  -ENOBUFS, and for all of them: the answers were
 * lost, so it is not known what became of them.  Another negative errno: none was done.
 */
int channel_apply(struct channel *c, const struct ipvs_operation *list, size_t n, int *ret_errors);

/* Asks for all virtual servers, for one of them, or for one's endpoints, the newest first. */
int channel_list_servers(struct channel *c);
int channel_ask_server(struct channel *c, struct virtual_id id);
int channel_list_endpoints(struct channel *c, struct virtual_id id);
/*
 * As datagram_step().  -ESRCH: there is no such virtual server; a list of its endpoints is empty
 * then.
 */
int channel_step(struct channel *c, datagram_fn *fn, void *arg);

#endif
