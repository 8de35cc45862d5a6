/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/ipvs/messages.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/ip_vs.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>

#include "fairlead/mem.h"

/* Whatever is told here is shorter. */
#define MESSAGE_SIZE 512
/* union nf_inet_addr */
#define ADDR_SIZE 16
/* Clients are told apart by their whole address, wherever that matters. */
#define NETMASK_V4 0xffffffffu
#define NETMASK_V6 128u

_Static_assert(IPVS_FLAG_PERSISTENT == IP_VS_SVC_F_PERSISTENT, "flags are the kernel's");
_Static_assert(IPVS_FLAG_ONE_PACKET == IP_VS_SVC_F_ONEPACKET, "flags are the kernel's");
_Static_assert(IPVS_FLAG_FALLBACK == IP_VS_SVC_F_SCHED1, "flags are the kernel's");
_Static_assert(IPVS_FLAG_PORT == IP_VS_SVC_F_SCHED2, "flags are the kernel's");
_Static_assert(IPVS_FLAG_THIRD == IP_VS_SVC_F_SCHED3, "flags are the kernel's");
_Static_assert(VIRTUAL_SCHEDULER_SIZE == IP_VS_SCHEDNAME_MAXLEN, "names are the kernel's");

static uint16_t af_of(uint8_t family)
{
	return family == 4 ? AF_INET : AF_INET6;
}

void ipvs_describe(const struct ipvs_operation *o, struct buf *out)
{
	static const char *const words[] = {
		[IPVS_ADD_SERVER] = "the virtual server",
		[IPVS_CHANGE_SERVER] = "a change of the virtual server",
		[IPVS_REMOVE_SERVER] = "the virtual server's removal",
		[IPVS_ADD_ENDPOINT] = "the endpoint",
		[IPVS_CHANGE_ENDPOINT] = "a change of the endpoint",
		[IPVS_REMOVE_ENDPOINT] = "the removal of the endpoint",
	};

	buf_puts(out, words[o->verb]);
	if (o->verb < IPVS_ADD_ENDPOINT)
		buf_printf(out, " 0x%x", o->id.mark);
	else
		buf_printf(out, o->id.family == 4 ? " %s:%u" : " [%s]:%u",
		           addr_str(&o->endpoint.addr), o->endpoint.port);
	if (o->verb < IPVS_REMOVE_SERVER)
		buf_printf(out, " with scheduler %s", o->scheduler);
}

/* ---- what it is told ---- */

static struct nl_msg *begin(uint16_t type, uint32_t sequence, uint16_t flags, uint8_t command)
{
	struct nl_msg *m = nlmsg_alloc_size(MESSAGE_SIZE);

	/* Like any other allocation. */
	if (!m || !genlmsg_put(m, 0, sequence, type, 0, NLM_F_REQUEST | flags, command,
	                       IPVS_GENL_VERSION))
		abort();
	return m;
}

static void end(struct nl_msg *m, struct buf *out)
{
	const struct nlmsghdr *h = nlmsg_hdr(m);

	buf_add(out, h, NLMSG_ALIGN(h->nlmsg_len));
	nlmsg_free(m);
}

static void put_id(struct nl_msg *m, struct virtual_id id)
{
	nla_put_u16(m, IPVS_SVC_ATTR_AF, af_of(id.family));
	nla_put_u32(m, IPVS_SVC_ATTR_FWMARK, id.mark);
}

static void put_server(struct nl_msg *m, const struct ipvs_operation *o)
{
	const struct ip_vs_flags flags = { .flags = o->flags, .mask = IPVS_FLAGS };
	struct nlattr *nest = nla_nest_start(m, IPVS_CMD_ATTR_SERVICE);

	put_id(m, o->id);
	if (o->verb < IPVS_REMOVE_SERVER) {
		nla_put_string(m, IPVS_SVC_ATTR_SCHED_NAME, o->scheduler);
		nla_put(m, IPVS_SVC_ATTR_FLAGS, sizeof(flags), &flags);
		nla_put_u32(m, IPVS_SVC_ATTR_TIMEOUT, IPVS_STAMP_S);
		nla_put_u32(m, IPVS_SVC_ATTR_NETMASK, o->id.family == 4 ? NETMASK_V4 : NETMASK_V6);
	}
	nla_nest_end(m, nest);
}

static void put_endpoint(struct nl_msg *m, const struct ipvs_operation *o)
{
	struct nlattr *nest = nla_nest_start(m, IPVS_CMD_ATTR_DEST);

	nla_put_u16(m, IPVS_DEST_ATTR_ADDR_FAMILY, af_of(o->id.family));
	nla_put(m, IPVS_DEST_ATTR_ADDR, ADDR_SIZE, o->endpoint.addr.b);
	nla_put_u16(m, IPVS_DEST_ATTR_PORT, htons(o->endpoint.port));
	if (o->verb != IPVS_REMOVE_ENDPOINT) {
		nla_put_u32(m, IPVS_DEST_ATTR_FWD_METHOD, IP_VS_CONN_F_MASQ);
		nla_put_u32(m, IPVS_DEST_ATTR_WEIGHT, o->weight);
		nla_put_u32(m, IPVS_DEST_ATTR_U_THRESH, 0);
		nla_put_u32(m, IPVS_DEST_ATTR_L_THRESH, 0);
	}
	nla_nest_end(m, nest);
}

void ipvs_put_operation(struct buf *out, uint16_t type, uint32_t sequence, uint16_t flags,
                        const struct ipvs_operation *o)
{
	static const uint8_t commands[] = {
		[IPVS_ADD_SERVER] = IPVS_CMD_NEW_SERVICE,
		[IPVS_CHANGE_SERVER] = IPVS_CMD_SET_SERVICE,
		[IPVS_REMOVE_SERVER] = IPVS_CMD_DEL_SERVICE,
		[IPVS_ADD_ENDPOINT] = IPVS_CMD_NEW_DEST,
		[IPVS_CHANGE_ENDPOINT] = IPVS_CMD_SET_DEST,
		[IPVS_REMOVE_ENDPOINT] = IPVS_CMD_DEL_DEST,
	};
	struct nl_msg *m = begin(type, sequence, flags, commands[o->verb]);

	put_server(m, o);
	if (o->verb >= IPVS_ADD_ENDPOINT)
		put_endpoint(m, o);
	end(m, out);
}

void ipvs_put_list_servers(struct buf *out, uint16_t type, uint32_t sequence)
{
	end(begin(type, sequence, NLM_F_DUMP, IPVS_CMD_GET_SERVICE), out);
}

static void put_ask(struct buf *out, uint16_t type, uint32_t sequence, uint16_t flags,
                    uint8_t command, struct virtual_id id)
{
	struct nl_msg *m = begin(type, sequence, flags, command);
	struct nlattr *nest = nla_nest_start(m, IPVS_CMD_ATTR_SERVICE);

	put_id(m, id);
	nla_nest_end(m, nest);
	end(m, out);
}

void ipvs_put_ask_server(struct buf *out, uint16_t type, uint32_t sequence, struct virtual_id id)
{
	put_ask(out, type, sequence, NLM_F_ACK, IPVS_CMD_GET_SERVICE, id);
}

void ipvs_put_list_endpoints(struct buf *out, uint16_t type, uint32_t sequence,
                             struct virtual_id id)
{
	put_ask(out, type, sequence, NLM_F_DUMP, IPVS_CMD_GET_DEST, id);
}

/* ---- what it says ---- */

static const struct nla_policy server_policy[IPVS_SVC_ATTR_MAX + 1] = {
	[IPVS_SVC_ATTR_AF] = { .type = NLA_U16 },
	[IPVS_SVC_ATTR_FWMARK] = { .type = NLA_U32 },
	[IPVS_SVC_ATTR_SCHED_NAME] = { .type = NLA_STRING },
	[IPVS_SVC_ATTR_FLAGS] = { .minlen = sizeof(struct ip_vs_flags) },
	[IPVS_SVC_ATTR_TIMEOUT] = { .type = NLA_U32 },
	[IPVS_SVC_ATTR_STATS64] = { .type = NLA_NESTED },
};

static const struct nla_policy counters_policy[IPVS_STATS_ATTR_MAX + 1] = {
	[IPVS_STATS_ATTR_CONNS] = { .type = NLA_U64 },
	[IPVS_STATS_ATTR_INPKTS] = { .type = NLA_U64 },
	[IPVS_STATS_ATTR_OUTPKTS] = { .type = NLA_U64 },
	[IPVS_STATS_ATTR_INBYTES] = { .type = NLA_U64 },
	[IPVS_STATS_ATTR_OUTBYTES] = { .type = NLA_U64 },
};

static const struct nla_policy endpoint_policy[IPVS_DEST_ATTR_MAX + 1] = {
	[IPVS_DEST_ATTR_ADDR] = { .minlen = ADDR_SIZE },
	[IPVS_DEST_ATTR_PORT] = { .type = NLA_U16 },
	[IPVS_DEST_ATTR_FWD_METHOD] = { .type = NLA_U32 },
	[IPVS_DEST_ATTR_WEIGHT] = { .type = NLA_U32 },
	[IPVS_DEST_ATTR_ACTIVE_CONNS] = { .type = NLA_U32 },
	[IPVS_DEST_ATTR_INACT_CONNS] = { .type = NLA_U32 },
};

/* The attributes in the one of the message that is of this kind. */
static bool parse(const struct nlmsghdr *h, int kind, struct nlattr **attrs, int max,
                  const struct nla_policy *policy)
{
	struct nlattr *top[IPVS_CMD_ATTR_MAX + 1];
	/* The library's functions do not write what they read. */
	struct nlmsghdr *m = (struct nlmsghdr *)(uintptr_t)h;

	return genlmsg_parse(m, 0, top, IPVS_CMD_ATTR_MAX, NULL) == 0 && top[kind] &&
	       nla_parse_nested(attrs, max, top[kind], policy) == 0;
}

static uint32_t u32_of(const struct nlattr *a)
{
	return a ? nla_get_u32(a) : 0;
}

static uint64_t u64_of(struct nlattr *a)
{
	return a ? nla_get_u64(a) : 0;
}

static void read_counters(struct nlattr *a, struct virtual_counters *ret)
{
	struct nlattr *of[IPVS_STATS_ATTR_MAX + 1];

	if (!a || nla_parse_nested(of, IPVS_STATS_ATTR_MAX, a, counters_policy) < 0)
		return;
	*ret = (struct virtual_counters){
		.connections = u64_of(of[IPVS_STATS_ATTR_CONNS]),
		.in_packets = u64_of(of[IPVS_STATS_ATTR_INPKTS]),
		.out_packets = u64_of(of[IPVS_STATS_ATTR_OUTPKTS]),
		.in_bytes = u64_of(of[IPVS_STATS_ATTR_INBYTES]),
		.out_bytes = u64_of(of[IPVS_STATS_ATTR_OUTBYTES]),
	};
}

bool ipvs_read_server(const struct nlmsghdr *h, struct ipvs_server *ret_server)
{
	struct nlattr *of[IPVS_SVC_ATTR_MAX + 1];
	struct ipvs_server s = { 0 };
	struct ip_vs_flags flags;

	if (!parse(h, IPVS_CMD_ATTR_SERVICE, of, IPVS_SVC_ATTR_MAX, server_policy) ||
	    !of[IPVS_SVC_ATTR_AF] || !of[IPVS_SVC_ATTR_FWMARK] || !of[IPVS_SVC_ATTR_SCHED_NAME] ||
	    !of[IPVS_SVC_ATTR_FLAGS])
		return false;
	uint16_t af = nla_get_u16(of[IPVS_SVC_ATTR_AF]);
	if (af != AF_INET && af != AF_INET6)
		return false;
	s.id = (struct virtual_id){ nla_get_u32(of[IPVS_SVC_ATTR_FWMARK]), af == AF_INET ? 4 : 6 };
	nla_strlcpy(s.scheduler, of[IPVS_SVC_ATTR_SCHED_NAME], sizeof(s.scheduler));
	memcpy(&flags, nla_data(of[IPVS_SVC_ATTR_FLAGS]), sizeof(flags));
	s.flags = flags.flags & IPVS_FLAGS;
	s.stamped = u32_of(of[IPVS_SVC_ATTR_TIMEOUT]) == IPVS_STAMP_S &&
	            !(s.flags & IPVS_FLAG_PERSISTENT);
	read_counters(of[IPVS_SVC_ATTR_STATS64], &s.counters);
	*ret_server = s;
	return true;
}

bool ipvs_read_endpoint(const struct nlmsghdr *h, uint8_t family,
                        struct ipvs_endpoint *ret_endpoint)
{
	struct nlattr *of[IPVS_DEST_ATTR_MAX + 1];
	struct ipvs_endpoint e = { .endpoint.addr.family = family };

	if (!parse(h, IPVS_CMD_ATTR_DEST, of, IPVS_DEST_ATTR_MAX, endpoint_policy) ||
	    !of[IPVS_DEST_ATTR_ADDR] || !of[IPVS_DEST_ATTR_PORT])
		return false;
	memcpy(e.endpoint.addr.b, nla_data(of[IPVS_DEST_ATTR_ADDR]), family == 4 ? 4 : ADDR_SIZE);
	e.endpoint.port = ntohs(nla_get_u16(of[IPVS_DEST_ATTR_PORT]));
	e.rewrites = (u32_of(of[IPVS_DEST_ATTR_FWD_METHOD]) & IP_VS_CONN_F_FWD_MASK) ==
	             IP_VS_CONN_F_MASQ;
	e.weight = u32_of(of[IPVS_DEST_ATTR_WEIGHT]);
	e.active = u32_of(of[IPVS_DEST_ATTR_ACTIVE_CONNS]);
	e.idle = u32_of(of[IPVS_DEST_ATTR_INACT_CONNS]);
	*ret_endpoint = e;
	return true;
}
