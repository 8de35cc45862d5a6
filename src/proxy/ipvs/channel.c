/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's answers are there when all is sent: an error of any message, success of the last one
 * alone, which asks for it.
 */
#include "config.h"

#include "proxy/ipvs/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/genetlink.h>
#include <linux/ip_vs.h>
#include <linux/netlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#include "fairlead/buf.h"
#include "fairlead/mem.h"

/* An answer is counted with all the memory that it takes in the kernel: below 2 KB. */
#define CHANNEL_RECEIVE_BYTES (CHANNEL_BATCH_MAX * 2048)
#define CHANNEL_SEND_BYTES (CHANNEL_BATCH_MAX * 512)

struct channel {
	struct nl_sock *sock;
	int fd;
	uint16_t type;
	uint32_t sequence; /* of the last message */
	uint32_t first;    /* of the batch, or of the list */
	struct buf out;
	char *datagram;
};

static void set_size(int fd, int option, int forced, int bytes)
{
	if (setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof(bytes)) < 0)
		setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof(bytes));
}

static int connect_socket(struct channel *c, struct err *e)
{
	int yes = 1;

	c->sock = nl_socket_alloc();
	int r = c->sock ? genl_connect(c->sock) : -NLE_NOMEM;
	if (r < 0)
		return err_set(e, -EIO, ERR_SYSTEM, "no netlink socket for IPVS: %s",
		               nl_geterror(r));
	r = genl_ctrl_resolve(c->sock, IPVS_GENL_NAME);
	if (r < 0)
		return err_set(e, -ENOTSUP, ERR_SYSTEM, "the kernel has no IPVS (module ip_vs): %s",
		               nl_geterror(r));
	c->type = (uint16_t)r;
	c->fd = nl_socket_get_fd(c->sock);
	nl_socket_set_nonblocking(c->sock);
	set_size(c->fd, SO_RCVBUF, SO_RCVBUFFORCE, CHANNEL_RECEIVE_BYTES);
	set_size(c->fd, SO_SNDBUF, SO_SNDBUFFORCE, CHANNEL_SEND_BYTES);
	/* Errors need not bring back what they are about. */
	setsockopt(c->fd, SOL_NETLINK, NETLINK_CAP_ACK, &yes, sizeof(yes));
	return 0;
}

int channel_open(struct channel **ret_channel, struct err *e)
{
	struct channel *c = xcalloc(1, sizeof(*c));
	int r = connect_socket(c, e);

	if (r < 0) {
		channel_close(c);
		return r;
	}
	c->datagram = xmalloc(DATAGRAM_SIZE);
	*ret_channel = c;
	return 0;
}

void channel_close(struct channel *c)
{
	if (!c)
		return;
	nl_socket_free(c->sock);
	buf_fini(&c->out);
	free(c->datagram);
	free(c);
}

/* ---- operations ---- */

static int read_answers(struct channel *c, size_t n, int *ret_errors)
{
	for (;;) {
		int left = datagram_receive(c->fd, c->datagram);
		if (left < 0)
			return -ENOBUFS;
		for (struct nlmsghdr *h = (void *)c->datagram; nlmsg_ok(h, left);
		     h = nlmsg_next(h, &left)) {
			uint32_t at = h->nlmsg_seq - c->first;
			if (h->nlmsg_type != NLMSG_ERROR || at >= n)
				continue;
			ret_errors[at] = datagram_error(h);
			if (at == n - 1)
				return 0;
		}
	}
}

/* Whatever came for a list that was given up goes. */
static void begin(struct channel *c)
{
	datagram_drain(c->fd, c->datagram);
	buf_clear(&c->out);
	c->first = c->sequence + 1;
}

static int send_all(const struct channel *c)
{
	return datagram_send(c->fd, &c->out);
}

int channel_apply(struct channel *c, const struct ipvs_operation *list, size_t n, int *ret_errors)
{
	begin(c);
	memset(ret_errors, 0, n * sizeof(*ret_errors));
	for (size_t i = 0; i < n; i++)
		ipvs_put_operation(&c->out, c->type, ++c->sequence, i + 1 == n ? NLM_F_ACK : 0,
		                   &list[i]);
	int r = send_all(c);
	if (r == 0 && n > 0)
		r = read_answers(c, n, ret_errors);
	for (size_t i = 0; r < 0 && i < n; i++)
		ret_errors[i] = r;
	return r;
}

/* ---- lists ---- */

int channel_list_servers(struct channel *c)
{
	begin(c);
	ipvs_put_list_servers(&c->out, c->type, ++c->sequence);
	return send_all(c);
}

int channel_ask_server(struct channel *c, struct virtual_id id)
{
	begin(c);
	ipvs_put_ask_server(&c->out, c->type, ++c->sequence, id);
	return send_all(c);
}

int channel_list_endpoints(struct channel *c, struct virtual_id id)
{
	begin(c);
	ipvs_put_list_endpoints(&c->out, c->type, ++c->sequence, id);
	return send_all(c);
}

int channel_step(struct channel *c, datagram_fn *fn, void *arg)
{
	return datagram_step(c->fd, c->datagram, c->first, 0, fn, arg);
}
