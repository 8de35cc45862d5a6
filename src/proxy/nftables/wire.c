/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's answers to a transaction are there when it is sent.  An error is told of every
 * message, success only where it was asked for: of the last one.  If what is wrong shows only when
 * all is put together, the first message is blamed.
 */
#include "config.h"

#include "proxy/nftables/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "fairlead/buf.h"
#include "fairlead/mem.h"
#include "proxy/datagrams.h"

/* The kernel copies what is sent at once into memory that counts against the socket's. */
#define WIRE_SEND_SLACK 65536
#define WIRE_RECEIVE_BYTES (1 << 20)
/* The memory of a larger transaction than this, as a cold start has, is given back after it. */
#define WIRE_KEEP 16384

struct wire {
	struct mnl_socket *sock;
	uint32_t sequence; /* of the last message */
	uint32_t first;    /* of the transaction, or of the list */
	struct buf out;
	size_t last; /* where the last message is in it */
	int send_bytes;
	char *datagram;
};

int wire_new(struct wire **ret_wire, struct err *e)
{
	struct wire *w = xcalloc(1, sizeof(*w));
	int receive = WIRE_RECEIVE_BYTES;

	w->sock = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!w->sock || mnl_socket_bind(w->sock, 0, MNL_SOCKET_AUTOPID) < 0) {
		int r = -errno;
		wire_free(w);
		return err_set(e, r, ERR_SYSTEM, "no netlink socket for nftables: %s",
		               strerror(-r));
	}
	setsockopt(mnl_socket_get_fd(w->sock), SOL_SOCKET, SO_RCVBUFFORCE, &receive,
	           sizeof(receive));
	w->datagram = xmalloc(DATAGRAM_SIZE);
	*ret_wire = w;
	return 0;
}

void wire_free(struct wire *w)
{
	if (!w)
		return;
	if (w->sock)
		mnl_socket_close(w->sock);
	buf_fini(&w->out);
	free(w->datagram);
	free(w);
}

uint32_t wire_port(const struct wire *w)
{
	return mnl_socket_get_portid(w->sock);
}

int wire_fd(const struct wire *w)
{
	return mnl_socket_get_fd(w->sock);
}

/* ---- a transaction ---- */

static struct nlmsghdr *put(struct wire *w, uint16_t type, uint8_t family, uint16_t resource,
                            uint16_t flags)
{
	struct nlmsghdr *h =
		mnl_nlmsg_put_header(memset(buf_reserve(&w->out, WIRE_MESSAGE_MAX), 0,
	                                    MNL_NLMSG_HDRLEN + sizeof(struct nfgenmsg)));
	struct nfgenmsg *head = mnl_nlmsg_put_extra_header(h, sizeof(*head));

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = ++w->sequence;
	head->nfgen_family = family;
	head->version = NFNETLINK_V0;
	head->res_id = htons(resource);
	return h;
}

void wire_added(struct wire *w, struct nlmsghdr *h)
{
	w->last = w->out.size;
	buf_advance(&w->out, h->nlmsg_len);
}

void wire_begin(struct wire *w)
{
	buf_clear(&w->out);
	wire_added(w, put(w, NFNL_MSG_BATCH_BEGIN, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, 0));
	w->first = w->sequence;
}

struct nlmsghdr *wire_add(struct wire *w, int type, uint8_t family, uint16_t flags)
{
	return put(w, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), family, 0, flags);
}

size_t wire_size(const struct wire *w)
{
	return w->out.size;
}

static int send_all(struct wire *w)
{
	int fd = wire_fd(w), bytes = (int)w->out.size + WIRE_SEND_SLACK;

	if (bytes > w->send_bytes) {
		if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
			setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
		w->send_bytes = bytes;
	}
	return datagram_send(fd, &w->out);
}

/* Reads answers until that of the last message is there; notes whom the first error is about. */
static int read_answers(struct wire *w, uint32_t *ret_blamed)
{
	uint32_t last = ((const struct nlmsghdr *)(const void *)(w->out.data + w->last))->nlmsg_seq;
	int result = 0;

	for (;;) {
		int left = datagram_receive(wire_fd(w), w->datagram);
		if (left < 0)
			return result ? result : -ENOBUFS;
		for (const struct nlmsghdr *h = (const void *)w->datagram; mnl_nlmsg_ok(h, left);
		     h = mnl_nlmsg_next(h, &left)) {
			if (h->nlmsg_type != NLMSG_ERROR || h->nlmsg_seq < w->first)
				continue;
			int r = datagram_error(h);
			if (r < 0 && result == 0) {
				result = r;
				*ret_blamed = h->nlmsg_seq;
			}
			if (h->nlmsg_seq == last || h->nlmsg_seq == w->first)
				return result;
		}
	}
}

static const char *name_at(const struct nlmsghdr *h, uint16_t attribute)
{
	const struct nlattr *a;

	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
		if (mnl_attr_get_type(a) == attribute &&
		    mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0)
			return mnl_attr_get_str(a);
	return NULL;
}

/* All kinds of objects have it in the same place. */
const char *wire_table(const struct nlmsghdr *h)
{
	return name_at(h, NFTA_TABLE_NAME);
}

/* The second name in a message, after the table's: of a set or a chain; "" if there is none. */
static const char *subject_of(const struct wire *w, uint32_t sequence)
{
	int left = (int)w->out.size;

	for (const struct nlmsghdr *h = (const void *)w->out.data; mnl_nlmsg_ok(h, left);
	     h = mnl_nlmsg_next(h, &left)) {
		if (h->nlmsg_seq != sequence || (h->nlmsg_type & 0xff) == NFT_MSG_NEWTABLE)
			continue;
		/* NFTA_SET_NAME, NFTA_RULE_CHAIN and so on */
		const char *name = name_at(h, NFTA_SET_ELEM_LIST_SET);
		return name ? name : "";
	}
	return "";
}

int wire_commit(struct wire *w, struct err *e)
{
	struct nlmsghdr *last = (void *)(w->out.data + w->last);
	uint32_t blamed = 0;

	datagram_drain(wire_fd(w), w->datagram);
	last->nlmsg_flags |= NLM_F_ACK;
	size_t mark = w->last;
	wire_added(w, put(w, NFNL_MSG_BATCH_END, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, 0));
	w->last = mark;
	int r = send_all(w);
	if (r == 0)
		r = read_answers(w, &blamed);
	if (r < 0) {
		const char *subject = subject_of(w, blamed);
		err_set(e, r, ERR_SYSTEM, "the kernel refuses a change of nftables%s%s: %s",
		        *subject ? ", of " : "", subject, strerror(-r));
	}
	if (w->out.size > WIRE_KEEP)
		buf_fini(&w->out);
	return r;
}

/* ---- a list ---- */

int wire_list(struct wire *w, int type, uint8_t family, const char *table, const char *set)
{
	datagram_drain(wire_fd(w), w->datagram);
	buf_clear(&w->out);
	struct nlmsghdr *h = wire_add(w, type, family, NLM_F_DUMP);
	/* The table's name is the first attribute of all kinds. */
	if (table)
		mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_TABLE, table);
	if (set)
		mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, set);
	wire_added(w, h);
	w->first = w->sequence;
	return send_all(w);
}

int wire_step(struct wire *w, datagram_fn *fn, void *arg)
{
	return datagram_step(wire_fd(w), w->datagram, w->first, sizeof(struct nfgenmsg), fn, arg);
}

int wire_read(struct wire *w, int type, uint8_t family, const char *table, const char *set,
              datagram_fn *fn, void *arg)
{
	int r = wire_list(w, type, family, table, set);

	if (r < 0)
		return r;
	do
		r = wire_step(w, fn, arg);
	while (r == 1);
	return r;
}
