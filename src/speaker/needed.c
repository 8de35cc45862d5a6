/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that this node itself depends on, so that the data plane closes none of their ports
 * even if a pool contains them: the gateways of its routes, and the address by which it reaches the
 * API server (often a virtual one of the control plane, which no object names).
 *
 * Routes are read anew from time to time rather than followed: a node with a full table from a
 * router would get nothing but notifications.  The kernel lists default routes first, so a limit on
 * the number read loses no gateway that matters.  Reaching the limit is logged once, as the data
 * plane may then close ports of a machine that was left out.
 */
#include "config.h"

#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <string.h>

#include "fairlead/kube.h"
#include "fairlead/limits.h"
#include "fairlead/log.h"
#include "speaker/needed.h"

struct needed {
	struct addr addrs[LIMIT_NEEDED_ADDRESSES];
	size_t n, n_routes;
	bool left_out;
};

static void add(struct needed *d, const struct addr *a)
{
	if (addr_is_none(a) || addrs_contain(d->addrs, d->n, a))
		return;
	if (d->n < LIMIT_NEEDED_ADDRESSES)
		d->addrs[d->n++] = *a;
	else
		d->left_out = true;
}

static void add_gateway(struct needed *d, struct nlattr *gateway)
{
	struct in6_addr in6;
	struct in_addr in;
	struct addr a;

	if (!gateway)
		return;
	if (nla_len(gateway) == sizeof(in)) {
		memcpy(&in, nla_data(gateway), sizeof(in));
		a = addr_from_in(in);
	} else if (nla_len(gateway) == sizeof(in6)) {
		memcpy(&in6, nla_data(gateway), sizeof(in6));
		a = addr_from_in6(&in6);
	} else {
		return;
	}
	add(d, &a);
}

static void add_nexthops(struct needed *d, struct nlattr *multipath)
{
	struct rtnexthop *nh = nla_data(multipath);

	for (int left = nla_len(multipath); RTNH_OK(nh, left);
	     left -= NLMSG_ALIGN(nh->rtnh_len), nh = RTNH_NEXT(nh))
		add_gateway(d, nla_find((struct nlattr *)RTNH_DATA(nh),
		                        nh->rtnh_len - (int)sizeof(*nh), RTA_GATEWAY));
}

static int on_route(struct nl_msg *msg, void *arg)
{
	struct needed *d = arg;
	struct nlattr *attrs[RTA_MAX + 1];

	if (nlmsg_hdr(msg)->nlmsg_type != RTM_NEWROUTE ||
	    nlmsg_parse(nlmsg_hdr(msg), sizeof(struct rtmsg), attrs, RTA_MAX, NULL) < 0)
		return NL_SKIP;
	if (d->n_routes++ == LIMIT_NEEDED_ROUTES) {
		d->left_out = true;
		return NL_STOP;
	}
	add_gateway(d, attrs[RTA_GATEWAY]);
	if (attrs[RTA_MULTIPATH])
		add_nexthops(d, attrs[RTA_MULTIPATH]);
	return NL_OK;
}

/* False if the routes could not be read. */
static bool add_gateways(struct needed *d, int family)
{
	struct rtmsg ask = { .rtm_family = (unsigned char)family };
	struct nl_sock *sock = nl_socket_alloc();
	bool ok = false;

	d->n_routes = 0;
	if (sock && nl_connect(sock, NETLINK_ROUTE) == 0) {
		nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, on_route, d);
		ok = nl_send_simple(sock, RTM_GETROUTE, NLM_F_DUMP, &ask, sizeof(ask)) >= 0 &&
		     nl_recvmsgs_default(sock) >= 0;
	}
	if (sock)
		nl_socket_free(sock);
	return ok;
}

void speaker_look_for_needed(struct speaker *sp)
{
	struct needed d = { .n = 0 };
	struct addr server[KUBE_SERVER_ADDRESSES_MAX];
	size_t n_server = kube_client_server_addresses(sp->client, server);

	for (size_t i = 0; i < n_server; i++)
		add(&d, &server[i]);
	/* What cannot be read stays as it was. */
	if (!add_gateways(&d, AF_INET) || !add_gateways(&d, AF_INET6))
		return;
	view_set_needed(sp->view, d.addrs, d.n);
	if (d.left_out && !sp->needed_left_out)
		log_warn("more routes or gateways than are read; the data plane may close ports of "
		         "gateways that were left out, if a pool holds their addresses",
		         KV_I("routes", LIMIT_NEEDED_ROUTES),
		         KV_I("addresses", LIMIT_NEEDED_ADDRESSES));
	sp->needed_left_out = d.left_out;
}
