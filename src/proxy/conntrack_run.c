/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctnetlink by way of libnl's core.  The table is read as a stream and each stale flow is deleted
 * as soon as it is seen, by a second socket: memory depends neither on how many flows the node has
 * nor on how many are stale, and a turn of the event loop looks at CONNTRACK_SLICE of them.  The
 * kernel sends the next piece of a dump when this one was read, so a slow reader loses nothing.  A
 * flow that is to be refused is changed in place.  Flows that come and go meanwhile do no harm; a
 * dump that the kernel reports as interrupted may have left out some, and ends with -EINTR.  A flow
 * that cannot be deleted (one that hardware has taken over is busy) is passed over, and the run
 * fails at its end, when all others are gone.
 */
#include "config.h"

#include "proxy/conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <event2/event.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "fairlead/buf.h"
#include "fairlead/mem.h"

/* The kernel fills at most this much of one datagram of a dump. */
#define CONNTRACK_DATAGRAM 65536

struct conntrack_run {
	uint8_t family;
	struct conntrack_job *job;
	struct nl_sock *dump, *erase;
	struct event *readable;
	conntrack_done_fn *done;
	void *arg;
	size_t n_seen, n_deleted, n_stuck;
	int stuck; /* why the last of those could not be deleted */
	bool interrupted;
	char *datagram;
};

struct tuple {
	struct addr src, dst;
	uint16_t src_port, dst_port;
};

struct flow {
	struct tuple orig, reply;
	uint16_t zone;
	uint32_t mark, status;
};

static bool read_addr(const struct nlattr *a, uint8_t family, struct addr *ret_addr)
{
	size_t size = addr_size(family);

	if (!a || (size_t)nla_len(a) != size)
		return false;
	*ret_addr = (struct addr){ .family = family };
	memcpy(ret_addr->b, nla_data(a), size);
	return true;
}

static bool read_port(const struct nlattr *a, uint16_t *ret_port)
{
	const uint8_t *b;

	if (!a || nla_len(a) != 2)
		return false;
	b = nla_data(a);
	*ret_port = (uint16_t)(b[0] << 8 | b[1]);
	return true;
}

/* A tuple of a UDP flow; false for anything else. */
static bool read_tuple(struct nlattr *a, uint8_t family, struct tuple *ret_tuple)
{
	struct nlattr *tb[CTA_TUPLE_MAX + 1], *ip[CTA_IP_MAX + 1], *proto[CTA_PROTO_MAX + 1];
	bool four = family == 4;

	if (!a || nla_parse_nested(tb, CTA_TUPLE_MAX, a, NULL) < 0 || !tb[CTA_TUPLE_IP] ||
	    !tb[CTA_TUPLE_PROTO] || nla_parse_nested(ip, CTA_IP_MAX, tb[CTA_TUPLE_IP], NULL) < 0 ||
	    nla_parse_nested(proto, CTA_PROTO_MAX, tb[CTA_TUPLE_PROTO], NULL) < 0)
		return false;
	return proto[CTA_PROTO_NUM] && nla_len(proto[CTA_PROTO_NUM]) == 1 &&
	       nla_get_u8(proto[CTA_PROTO_NUM]) == IPPROTO_UDP &&
	       read_addr(ip[four ? CTA_IP_V4_SRC : CTA_IP_V6_SRC], family, &ret_tuple->src) &&
	       read_addr(ip[four ? CTA_IP_V4_DST : CTA_IP_V6_DST], family, &ret_tuple->dst) &&
	       read_port(proto[CTA_PROTO_SRC_PORT], &ret_tuple->src_port) &&
	       read_port(proto[CTA_PROTO_DST_PORT], &ret_tuple->dst_port);
}

static struct nl_msg *request(int type, int flags, uint8_t family)
{
	struct nfgenmsg head = { .nfgen_family = family == 4 ? AF_INET : AF_INET6,
		                 .version = NFNETLINK_V0 };
	struct nl_msg *msg = nlmsg_alloc_simple(NFNL_SUBSYS_CTNETLINK << 8 | type, flags);

	if (msg)
		nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO);
	return msg;
}

static void put_port(struct nl_msg *msg, int type, uint16_t port)
{
	uint8_t b[2] = { (uint8_t)(port >> 8), (uint8_t)port };

	nla_put(msg, type, sizeof(b), b);
}

static void put_tuple(struct nl_msg *msg, const struct tuple *t)
{
	bool four = t->src.family == 4;
	int size = (int)addr_size(t->src.family);
	struct nlattr *tuple = nla_nest_start(msg, CTA_TUPLE_ORIG | NLA_F_NESTED);
	struct nlattr *part = nla_nest_start(msg, CTA_TUPLE_IP | NLA_F_NESTED);

	nla_put(msg, four ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, size, t->src.b);
	nla_put(msg, four ? CTA_IP_V4_DST : CTA_IP_V6_DST, size, t->dst.b);
	nla_nest_end(msg, part);
	part = nla_nest_start(msg, CTA_TUPLE_PROTO | NLA_F_NESTED);
	nla_put_u8(msg, CTA_PROTO_NUM, IPPROTO_UDP);
	put_port(msg, CTA_PROTO_SRC_PORT, t->src_port);
	put_port(msg, CTA_PROTO_DST_PORT, t->dst_port);
	nla_nest_end(msg, part);
	nla_nest_end(msg, tuple);
}

/* Of the flow that it names; deletes it, or changes it to be refused. */
static int tell(struct nl_sock *sock, const struct flow *f, uint32_t refusal)
{
	struct nl_msg *msg = request(refusal ? IPCTNL_MSG_CT_NEW : IPCTNL_MSG_CT_DELETE,
	                             NLM_F_REQUEST | NLM_F_ACK, f->orig.src.family);

	if (!msg)
		return -NLE_NOMEM;
	put_tuple(msg, &f->orig);
	if (f->zone)
		put_port(msg, CTA_ZONE, f->zone);
	if (refusal) {
		nla_put_u32(msg, CTA_MARK, htonl(refusal));
		nla_put_u32(msg, CTA_TIMEOUT, htonl(CONNTRACK_REFUSED_S));
		/* Else each packet would make it last, and silence end it before its time. */
		nla_put_u32(msg, CTA_STATUS, htonl(f->status | IPS_FIXED_TIMEOUT));
	}
	int r = nl_send_auto(sock, msg);
	nlmsg_free(msg);
	if (r >= 0)
		r = nl_wait_for_ack(sock);
	return r == -NLE_OBJ_NOTFOUND ? 0 : r; /* ended by itself */
}

/* Whether the socket fails, rather than one flow. */
static bool is_fatal(int e)
{
	return e == -NLE_AGAIN || e == -NLE_BAD_SOCK || e == -NLE_NOMEM || e == -NLE_PERM;
}

static uint32_t read_number(const struct nlattr *a)
{
	return a && nla_len(a) == sizeof(uint32_t) ? ntohl(nla_get_u32(a)) : 0;
}

/* False for what is no UDP flow. */
static bool read_flow(const struct conntrack_run *r, struct nlmsghdr *h, struct flow *ret_flow)
{
	struct nlattr *tb[CTA_MAX + 1];

	if (nlmsg_parse(h, sizeof(struct nfgenmsg), tb, CTA_MAX, NULL) < 0 ||
	    !read_tuple(tb[CTA_TUPLE_ORIG], r->family, &ret_flow->orig) ||
	    !read_tuple(tb[CTA_TUPLE_REPLY], r->family, &ret_flow->reply))
		return false;
	if (tb[CTA_ZONE])
		read_port(tb[CTA_ZONE], &ret_flow->zone);
	ret_flow->mark = read_number(tb[CTA_MARK]);
	ret_flow->status = read_number(tb[CTA_STATUS]);
	return true;
}

static int one_flow(struct conntrack_run *r, struct nlmsghdr *h)
{
	uint32_t refusal = conntrack_job_refusal(r->job);
	struct flow f = { .zone = 0 };

	r->n_seen++;
	if (!read_flow(r, h, &f))
		return 0;
	enum conntrack_fate fate = conntrack_judge(r->job, &f.orig.dst, f.orig.dst_port,
	                                           &f.reply.src, f.reply.src_port);
	bool refused = refusal && f.mark == refusal;
	if (fate != CONNTRACK_DESERTED || !conntrack_job_is_here(r->job, &f.orig.src, &f.orig.dst))
		refusal = 0;
	/* It is as it should be: refused, or not. */
	if (fate == CONNTRACK_OTHER || (fate == CONNTRACK_RIGHT && !refused) ||
	    (refusal && refused))
		return 0;
	int e = tell(r->erase, &f, refusal);
	r->n_deleted += e >= 0;
	if (e >= 0 || is_fatal(e))
		return e;
	r->n_stuck++;
	r->stuck = e;
	return 0;
}

static void finish(struct conntrack_run *r, int error, const char *why)
{
	struct err e = ERR_INIT;
	conntrack_done_fn *done = r->done;
	void *arg = r->arg;
	size_t n = r->n_deleted;

	if (error < 0)
		err_set(&e, error, ERR_SYSTEM, "conntrack: %s", why);
	conntrack_run_free(r);
	done(error, &e, n, arg);
}

/* The kernel has no more. */
static void end_of_table(struct conntrack_run *r, int error)
{
	cleanup(buf_fini) struct buf why = BUF_INIT;

	if (error < 0) {
		finish(r, error, strerror(-error));
	} else if (r->n_stuck > 0) {
		buf_printf(&why, "%zu flows cannot be deleted: %s", r->n_stuck,
		           nl_geterror(r->stuck));
		finish(r, -EIO, buf_str(&why));
	} else if (r->interrupted) {
		finish(r, -EINTR, "the table changed its size while it was read");
	} else {
		finish(r, 0, "");
	}
}

/* Returns true when the run has ended. */
static bool one_datagram(struct conntrack_run *r, size_t size)
{
	int left = (int)size;

	for (struct nlmsghdr *h = (struct nlmsghdr *)(void *)r->datagram; nlmsg_ok(h, left);
	     h = nlmsg_next(h, &left)) {
		int e = 0;
		r->interrupted |= h->nlmsg_flags & NLM_F_DUMP_INTR;
		if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE) {
			/*
			 * Both begin with an error number, the second only if there is room for
			 * one.
			 */
			bool told = h->nlmsg_len >= NLMSG_LENGTH(sizeof(int));
			end_of_table(r, told ? *(int *)NLMSG_DATA(h) : 0);
			return true;
		}
		if (h->nlmsg_type == (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW))
			e = one_flow(r, h);
		if (e < 0) {
			finish(r, -EIO, nl_geterror(e));
			return true;
		}
	}
	return false;
}

void conntrack_run_step(struct conntrack_run *r)
{
	int fd = nl_socket_get_fd(r->dump);

	for (size_t until = r->n_seen + CONNTRACK_SLICE; r->n_seen < until;) {
		ssize_t n = recv(fd, r->datagram, CONNTRACK_DATAGRAM, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			finish(r, n < 0 ? -errno : -EIO, strerror(n < 0 ? errno : EIO));
			return;
		}
		if (one_datagram(r, (size_t)n))
			return;
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	char c;

	/* If the event loop itself stood still for so long, the answer is already there. */
	if ((what & EV_TIMEOUT) && recv(fd, &c, sizeof(c), MSG_PEEK | MSG_DONTWAIT) < 0)
		finish(arg, -ETIMEDOUT, "the kernel did not answer");
	else
		conntrack_run_step(arg);
}

/* Without them, flows to node ports stay; all others are found all the same. */
static void add_locals(struct conntrack_job *j, uint8_t family)
{
	cleanup_free struct addr *all = NULL;
	size_t n = 0;

	if (addrs_of_machine(&all, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++)
		if (all[i].family == family)
			conntrack_job_add_local(j, &all[i]);
}

/* In both families, which is what the kernel takes the version for. */
static int forget(struct nl_sock *sock, uint32_t mark, uint32_t mask)
{
	struct nl_msg *msg = request(IPCTNL_MSG_CT_DELETE, NLM_F_REQUEST | NLM_F_ACK, 4);

	if (!msg)
		return -NLE_NOMEM;
	nla_put_u32(msg, CTA_MARK, htonl(mark));
	nla_put_u32(msg, CTA_MARK_MASK, htonl(mask));
	nla_put_u32(msg, CTA_STATUS, 0);
	nla_put_u32(msg, CTA_STATUS_MASK, htonl(IPS_DST_NAT));
	int r = nl_send_auto(sock, msg);
	nlmsg_free(msg);
	return r < 0 ? r : nl_wait_for_ack(sock);
}

static int connect_netfilter(struct nl_sock **ret_sock)
{
	struct timeval tv = { .tv_sec = CONNTRACK_TIMEOUT_MS / 1000 };

	*ret_sock = nl_socket_alloc();
	int r = *ret_sock ? nl_connect(*ret_sock, NETLINK_NETFILTER) : -NLE_NOMEM;
	if (r >= 0)
		setsockopt(nl_socket_get_fd(*ret_sock), SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return r;
}

int conntrack_forget(uint32_t tag, struct err *e)
{
	struct nl_sock *sock;
	int r = connect_netfilter(&sock);

	if (r >= 0)
		r = forget(sock, tag, tag);
	if (r >= 0)
		r = forget(sock, conntrack_refusal(tag), UINT32_MAX);
	nl_socket_free(sock);
	if (r < 0)
		return err_set(e, -EIO, ERR_SYSTEM, "conntrack: %s", nl_geterror(r));
	return 0;
}

static int ask(const struct conntrack_run *r)
{
	struct nl_msg *msg = request(IPCTNL_MSG_CT_GET, NLM_F_REQUEST | NLM_F_DUMP, r->family);

	if (!msg)
		return -NLE_NOMEM;
	int n = nl_send_auto(r->dump, msg);
	nlmsg_free(msg);
	return n;
}

int conntrack_run_start(struct event_base *base, struct conntrack_job *j, conntrack_done_fn *done,
                        void *arg, struct conntrack_run **ret_run, struct err *e)
{
	static const struct timeval timeout = { .tv_sec = CONNTRACK_TIMEOUT_MS / 1000 };
	struct conntrack_run *r = xcalloc(1, sizeof(*r));

	r->family = conntrack_job_family(j);
	r->job = j;
	r->done = done;
	r->arg = arg;
	int n = connect_netfilter(&r->dump);
	if (n >= 0)
		n = connect_netfilter(&r->erase);
	if (n >= 0)
		n = ask(r);
	if (n < 0) {
		conntrack_run_free(r);
		return err_set(e, -EIO, ERR_SYSTEM, "conntrack: %s", nl_geterror(n));
	}
	r->datagram = xmalloc(CONNTRACK_DATAGRAM);
	add_locals(j, r->family);
	r->readable =
		event_new(base, nl_socket_get_fd(r->dump), EV_READ | EV_PERSIST, on_readable, r);
	event_add(r->readable, &timeout);
	*ret_run = r;
	return 0;
}

void conntrack_run_free(struct conntrack_run *r)
{
	if (!r)
		return;
	if (r->readable)
		event_free(r->readable);
	nl_socket_free(r->dump);
	nl_socket_free(r->erase);
	free(r->datagram);
	free(r);
}
