/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/datagrams.h"

#include <errno.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>

#include "fairlead/buf.h"

int datagram_send(int fd, const struct buf *out)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	ssize_t n;

	do
		n = sendto(fd, out->data, out->size, 0, (const struct sockaddr *)&kernel,
		           sizeof(kernel));
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int datagram_receive(int fd, char *ret_datagram)
{
	ssize_t n;

	do
		n = recv(fd, ret_datagram, DATAGRAM_SIZE, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n == 0 ? -EIO : (int)n;
}

void datagram_drain(int fd, char *datagram)
{
	while (datagram_receive(fd, datagram) > 0)
		;
}

int datagram_error(const struct nlmsghdr *h)
{
	const struct nlmsgerr *said = mnl_nlmsg_get_payload(h);

	return h->nlmsg_len >= mnl_nlmsg_size(sizeof(*said)) ? said->error : -EPROTO;
}

int datagram_step(int fd, char *datagram, uint32_t sequence, size_t head, datagram_fn *fn,
                  void *arg)
{
	int left = datagram_receive(fd, datagram);

	if (left < 0)
		return left;
	for (const struct nlmsghdr *h = (const void *)datagram; mnl_nlmsg_ok(h, left);
	     h = mnl_nlmsg_next(h, &left)) {
		if (h->nlmsg_seq != sequence)
			continue;
		if (h->nlmsg_type == NLMSG_ERROR)
			return datagram_error(h);
		if (h->nlmsg_flags & NLM_F_DUMP_INTR)
			return -EINTR;
		if (h->nlmsg_type == NLMSG_DONE)
			return 0;
		if (h->nlmsg_len >= mnl_nlmsg_size(head))
			fn(h, arg);
	}
	return 1;
}
