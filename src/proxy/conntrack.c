/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctnetlink by way of libnl's core: the table is read as a stream, so memory depends on what is stale, not on how many
 * flows the node has.  A dump that the kernel says was interrupted is used as far as it went.
 */
#include "config.h"

#include "conntrack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "fairlead/hash.h"

#define CONNTRACK_TIMEOUT_S 5

/* Bytes only, so that equal keys are equal memory. */
struct endpoint_key {
	struct addr addr; /* none: any address, a node port */
	uint8_t port[2];
};

/* Where clients send to, and who may answer. */
struct front {
	UT_hash_handle hh;
	struct endpoint_key key;
	struct endpoint_key *back;
	size_t n_back, cap_back;
};

struct conntrack_job {
	uint8_t family;
	struct front *fronts;
};

struct conntrack_job *conntrack_job_new(uint8_t family)
{
	struct conntrack_job *j = xcalloc(1, sizeof(*j));
	j->family = family;
	return j;
}

void conntrack_job_free(struct conntrack_job *j)
{
	struct front *f, *next;
	if (!j)
		return;
	HASH_ITER(hh, j->fronts, f, next) {
		HASH_DEL(j->fronts, f);
		free(f->back);
		free(f);
	}
	free(j);
}

static struct endpoint_key make_key(const struct addr *a, uint16_t port)
{
	struct endpoint_key k = { .port = { (uint8_t)(port >> 8), (uint8_t)port } };
	if (a)
		k.addr = *a;
	return k;
}

static struct front *find_front(const struct conntrack_job *j, const struct addr *a, uint16_t port)
{
	struct endpoint_key k = make_key(a, port);
	struct front *f;
	HASH_FIND(hh, j->fronts, &k, sizeof(k), f);
	return f;
}

static void add_back(struct front *f, const struct proxy_endpoint *e, size_t n)
{
	for (size_t i = 0; i < n; i++)
		f->back[f->n_back++] = make_key(&e[i].addr, e[i].port);
}

static void add_front(struct conntrack_job *j, const struct addr *a, uint16_t port,
                      const struct proxy_port *p)
{
	struct front *f = find_front(j, a, port);
	if (!f) {
		f = xcalloc(1, sizeof(*f));
		f->key = make_key(a, port);
		HASH_ADD(hh, j->fronts, key, sizeof(f->key), f);
	}
	ARRAY_RESERVE(f->back, f->cap_back, f->n_back + p->n_cluster + p->n_local + p->n_kept);
	add_back(f, p->cluster, p->n_cluster);
	add_back(f, p->local, p->n_local);
	add_back(f, p->kept, p->n_kept);
}

void conntrack_job_add(struct conntrack_job *j, const struct proxy_service *s)
{
	for (size_t i = 0; i < s->n_ports; i++) {
		const struct proxy_port *p = &s->ports[i];
		if (p->proto != IPPROTO_UDP || p->n_cluster + p->n_local + p->n_kept == 0)
			continue;
		if (!addr_is_none(&s->cluster_ip))
			add_front(j, &s->cluster_ip, p->port, p);
		for (size_t v = 0; v < s->n_vips; v++)
			add_front(j, &s->vips[v], p->port, p);
		for (size_t v = 0; v < s->n_external_ips; v++)
			add_front(j, &s->external_ips[v], p->port, p);
		if (p->node_port)
			add_front(j, NULL, p->node_port, p);
	}
}

bool conntrack_job_is_empty(const struct conntrack_job *j)
{
	return !j->fronts;
}

bool conntrack_is_stale(const struct conntrack_job *j, const struct addr *to, uint16_t to_port,
                        const struct addr *from, uint16_t from_port)
{
	const struct front *f = find_front(j, to, to_port);
	if (!f)
		f = find_front(j, NULL, to_port);
	if (!f)
		return false;
	struct endpoint_key answer = make_key(from, from_port);
	for (size_t i = 0; i < f->n_back; i++)
		if (memcmp(&f->back[i], &answer, sizeof(answer)) == 0)
			return false;
	return true;
}

/* ---- netlink ---- */

struct tuple {
	struct addr src, dst;
	uint16_t src_port, dst_port;
};

struct deletion {
	struct tuple orig;
	uint16_t zone;
};

struct dump {
	const struct conntrack_job *job;
	struct deletion *deletions;
	size_t n, cap;
};

static bool read_addr(const struct nlattr *a, uint8_t family, struct addr *ret_addr)
{
	size_t size = family == 4 ? 4 : 16;
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

static int on_flow(struct nl_msg *msg, void *arg)
{
	struct dump *d = arg;
	struct nlattr *tb[CTA_MAX + 1];
	struct deletion del = { .zone = 0 };
	struct tuple reply;
	uint8_t family = d->job->family;
	if (nlmsg_parse(nlmsg_hdr(msg), sizeof(struct nfgenmsg), tb, CTA_MAX, NULL) < 0 ||
	    !read_tuple(tb[CTA_TUPLE_ORIG], family, &del.orig) ||
	    !read_tuple(tb[CTA_TUPLE_REPLY], family, &reply))
		return NL_OK;
	if (!conntrack_is_stale(d->job, &del.orig.dst, del.orig.dst_port, &reply.src,
	                        reply.src_port))
		return NL_OK;
	if (tb[CTA_ZONE])
		read_port(tb[CTA_ZONE], &del.zone);
	if (d->n < CONNTRACK_MAX_DELETES) {
		ARRAY_RESERVE(d->deletions, d->cap, d->n + 1);
		d->deletions[d->n++] = del;
	}
	return NL_OK;
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
	int size = four ? 4 : 16;
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

static int read_flows(struct nl_sock *sock, struct dump *d)
{
	struct nl_msg *msg = request(IPCTNL_MSG_CT_GET, NLM_F_REQUEST | NLM_F_DUMP, d->job->family);
	if (!msg)
		return -NLE_NOMEM;
	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, on_flow, d);
	int r = nl_send_auto(sock, msg);
	nlmsg_free(msg);
	if (r >= 0)
		r = nl_recvmsgs_default(sock);
	return r == -NLE_DUMP_INTR ? 0 : r;
}

static int delete_flow(struct nl_sock *sock, const struct deletion *d)
{
	struct nl_msg *msg =
		request(IPCTNL_MSG_CT_DELETE, NLM_F_REQUEST | NLM_F_ACK, d->orig.src.family);
	if (!msg)
		return -NLE_NOMEM;
	put_tuple(msg, &d->orig);
	if (d->zone)
		put_port(msg, CTA_ZONE, d->zone);
	int r = nl_send_auto(sock, msg);
	nlmsg_free(msg);
	if (r >= 0)
		r = nl_wait_for_ack(sock);
	return r == -NLE_OBJ_NOTFOUND ? 0 : r; /* ended by itself */
}

int conntrack_run(const struct conntrack_job *j, size_t *ret_n_deleted, struct err *e)
{
	struct dump d = { .job = j };
	size_t n = 0;
	struct nl_sock *sock = nl_socket_alloc();
	if (!sock)
		return err_set(e, -ENOMEM, ERR_SYSTEM, "conntrack: no netlink socket");
	int r = nl_connect(sock, NETLINK_NETFILTER);
	if (r >= 0) {
		struct timeval tv = { .tv_sec = CONNTRACK_TIMEOUT_S };
		setsockopt(nl_socket_get_fd(sock), SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
		r = read_flows(sock, &d);
	}
	for (size_t i = 0; r >= 0 && i < d.n; i++, n += r >= 0)
		r = delete_flow(sock, &d.deletions[i]);
	nl_socket_free(sock);
	free(d.deletions);
	if (r < 0)
		return err_set(e, -EIO, ERR_SYSTEM, "conntrack: %s", nl_geterror(r));
	*ret_n_deleted = n;
	return 0;
}
