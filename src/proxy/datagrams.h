/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_DATAGRAMS_H
#define FAIRLEAD_PROXY_DATAGRAMS_H

/*
 * Netlink by whole datagrams, on sockets that do not block: what nftables and IPVS have in common.
 * The kernel works off what is sent while it is sent, so its answers are there when that returns.
 */

#include <stddef.h>
#include <stdint.h>

struct buf;
struct nlmsghdr;

#define DATAGRAM_SIZE 65536

/* Sends all of @out to the kernel; a negative errno if it does not take it. */
int datagram_send(int fd, const struct buf *out);
/* One of at most DATAGRAM_SIZE bytes; its size, or a negative errno: -EAGAIN if none is there. */
int datagram_receive(int fd, char *ret_datagram);
/* Takes whatever came for a list that was given up. */
void datagram_drain(int fd, char *datagram);
/* What a message of type NLMSG_ERROR says: 0, or a negative errno. */
int datagram_error(const struct nlmsghdr *h);

typedef void datagram_fn(const struct nlmsghdr *h, void *arg);
/*
 * The next datagram of the list that was asked for by message @sequence: @fn gets each of its
 * messages that has at least @head bytes of payload.  1 while more is to come, 0 at the end, else a
 * negative errno: -EINTR if the list has changed meanwhile and is to be begun again.
 */
int datagram_step(int fd, char *datagram, uint32_t sequence, size_t head, datagram_fn *fn,
                  void *arg);

#endif
