/* SPDX-License-Identifier: Apache-2.0 */
/* What is read of the kernel's messages about IPVS, and which virtual servers are ours. */
#include "config.h"

#include "unit.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <linux/ip_vs.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>

#include "fairlead/mem.h"
#include "proxy/ipvs/messages.h"

static struct nl_msg *begin(void)
{
	struct nl_msg *m = nlmsg_alloc();

	genlmsg_put(m, 0, 1, 30, 0, NLM_F_MULTI, IPVS_CMD_NEW_SERVICE, IPVS_GENL_VERSION);
	return m;
}

static void only_ours_bear_the_stamp(void **state)
{
	static const struct {
		const char *what;
		uint16_t af;
		bool by_mark;
		uint32_t timeout_s, flags;
		bool read, ours;
	} cases[] = {
		{ "ours", AF_INET, true, IPVS_STAMP_S, 0, true, true },
		{ "ours, IPv6", AF_INET6, true, IPVS_STAMP_S, IPVS_FLAG_PORT, true, true },
		{ "the time-out of others", AF_INET, true, 0, 0, true, false },
		{ "a persistent one's time-out is one", AF_INET, true, IPVS_STAMP_S,
		  IPVS_FLAG_PERSISTENT, true, false },
		{ "by its address", AF_INET, false, IPVS_STAMP_S, 0, false, false },
		{ "of no family", AF_UNIX, true, IPVS_STAMP_S, 0, false, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ipvs_server s = { .stamped = false };
		struct nl_msg *m = begin();
		struct nlattr *nest = nla_nest_start(m, IPVS_CMD_ATTR_SERVICE);
		const struct ip_vs_flags flags = { cases[i].flags | IP_VS_SVC_F_HASHED, ~0u };
		nla_put_u16(m, IPVS_SVC_ATTR_AF, cases[i].af);
		if (cases[i].by_mark)
			nla_put_u32(m, IPVS_SVC_ATTR_FWMARK, 0x1002);
		nla_put_string(m, IPVS_SVC_ATTR_SCHED_NAME, "mh");
		nla_put(m, IPVS_SVC_ATTR_FLAGS, sizeof(flags), &flags);
		nla_put_u32(m, IPVS_SVC_ATTR_TIMEOUT, cases[i].timeout_s);
		nla_nest_end(m, nest);
		bool read = ipvs_read_server(nlmsg_hdr(m), &s);
		nlmsg_free(m);
		if (read != cases[i].read || s.stamped != cases[i].ours)
			fail_msg("%s: read %d, ours %d", cases[i].what, read, s.stamped);
		assert_int_equal(s.flags, read ? cases[i].flags : 0);
	}
}

static void endpoints_are_rewritten_to_by_one_method(void **state)
{
	static const struct {
		uint32_t method;
		bool rewrites;
	} cases[] = {
		{ IP_VS_CONN_F_MASQ, true },
		/* Flags that the kernel keeps beside the method. */
		{ IP_VS_CONN_F_MASQ | IP_VS_CONN_F_NOOUTPUT, true },
		{ IP_VS_CONN_F_DROUTE, false },
		{ IP_VS_CONN_F_TUNNEL, false },
		{ IP_VS_CONN_F_LOCALNODE, false },
	};
	const uint8_t addr[16] = { 10, 0, 0, 1 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ipvs_endpoint e;
		struct nl_msg *m = begin();
		struct nlattr *nest = nla_nest_start(m, IPVS_CMD_ATTR_DEST);
		nla_put(m, IPVS_DEST_ATTR_ADDR, sizeof(addr), addr);
		nla_put_u16(m, IPVS_DEST_ATTR_PORT, htons(8080));
		nla_put_u32(m, IPVS_DEST_ATTR_FWD_METHOD, cases[i].method);
		nla_nest_end(m, nest);
		assert_true(ipvs_read_endpoint(nlmsg_hdr(m), 4, &e));
		nlmsg_free(m);
		assert_string_equal(addr_str(&e.endpoint.addr), "10.0.0.1");
		assert_int_equal(e.endpoint.port, 8080);
		assert_int_equal(e.rewrites, cases[i].rewrites);
	}
}

/* Each of those that are needed is missing in turn; in the first round none is. */
static void what_lacks_something_is_not_read(void **state)
{
	const struct ip_vs_flags flags = { 0, ~0u };
	const uint8_t addr[16] = { 10, 0, 0, 1 };
	struct ipvs_endpoint e;
	struct ipvs_server s;

	(void)state;
	for (int lacks = 0; lacks <= 4; lacks++) {
		struct nl_msg *m = begin();
		struct nlattr *nest = nla_nest_start(m, IPVS_CMD_ATTR_SERVICE);
		if (lacks != 1)
			nla_put_u16(m, IPVS_SVC_ATTR_AF, AF_INET);
		if (lacks != 2)
			nla_put_u32(m, IPVS_SVC_ATTR_FWMARK, 0x1002);
		if (lacks != 3)
			nla_put_string(m, IPVS_SVC_ATTR_SCHED_NAME, "mh");
		if (lacks != 4)
			nla_put(m, IPVS_SVC_ATTR_FLAGS, sizeof(flags), &flags);
		nla_nest_end(m, nest);
		assert_false(ipvs_read_endpoint(nlmsg_hdr(m), 4, &e));
		assert_int_equal(ipvs_read_server(nlmsg_hdr(m), &s), lacks == 0);
		nlmsg_free(m);
	}
	for (int lacks = 0; lacks <= 2; lacks++) {
		struct nl_msg *m = begin();
		struct nlattr *nest = nla_nest_start(m, IPVS_CMD_ATTR_DEST);
		if (lacks != 1)
			nla_put(m, IPVS_DEST_ATTR_ADDR, sizeof(addr), addr);
		if (lacks != 2)
			nla_put_u16(m, IPVS_DEST_ATTR_PORT, htons(8080));
		nla_nest_end(m, nest);
		assert_false(ipvs_read_server(nlmsg_hdr(m), &s));
		assert_int_equal(ipvs_read_endpoint(nlmsg_hdr(m), 4, &e), lacks == 0);
		nlmsg_free(m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_ours_bear_the_stamp),
		cmocka_unit_test(endpoints_are_rewritten_to_by_one_method),
		cmocka_unit_test(what_lacks_something_is_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
