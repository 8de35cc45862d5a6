/* SPDX-License-Identifier: Apache-2.0 */
/* Which UDP flows outlive their endpoints. */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include <event2/event.h>

#include "fairlead/mem.h"
#include "proxy/conntrack.h"

static struct addr addr(const char *s)
{
	struct addr a;

	assert_int_equal(addr_parse(s, &a), 0);
	return a;
}

static void touch(struct conntrack_job *j, const struct addr *a, uint16_t port)
{
	const struct front_key k = front_key(a, port);

	conntrack_job_touch_front(j, &k);
}

static void stale_flows_are_told_from_others(void **state)
{
	(void)state;
	const struct addr vip = addr("192.0.2.9"), external_ip = addr("203.0.113.9");
	const struct proxy_endpoint cluster[] = { { .addr = addr("10.244.1.7"), .port = 5353 } };
	const struct proxy_endpoint local[] = { { .addr = addr("10.244.2.7"), .port = 5353 } };
	const struct proxy_endpoint kept[] = { { .addr = addr("10.244.4.7"), .port = 5353 } };
	const struct proxy_port ports[] = {
		{ .name = "dns",
		  .proto = IPPROTO_UDP,
		  .port = 53,
		  .node_port = 30053,
		  .cluster = cluster,
		  .n_cluster = 1,
		  .local = local,
		  .n_local = 1,
		  .kept = kept,
		  .n_kept = 1,
		  .has_any = true },
		{ .name = "none", .proto = IPPROTO_UDP, .port = 54 },
		{ .name = "tcp",
		  .proto = IPPROTO_TCP,
		  .port = 55,
		  .cluster = cluster,
		  .n_cluster = 1,
		  .has_any = true },
	};
	const struct proxy_outside outside = {
		.vips = &vip, .n_vips = 1, .external_ips = &external_ip, .n_external_ips = 1
	};
	const struct proxy_half s = { .key = "a/b",
		                      .family = 4,
		                      .cluster_ip = addr("10.96.0.10"),
		                      .outside = &outside,
		                      .ports = ports,
		                      .n_ports = 3 };
	static const struct {
		const char *to;
		uint16_t to_port;
		const char *from;
		uint16_t from_port;
		bool stale;
	} cases[] = {
		{ "10.96.0.10", 53, "10.244.1.7", 5353, false },
		{ "10.96.0.10", 53, "10.244.2.7", 5353, false },
		{ "10.96.0.10", 53, "10.244.4.7", 5353, false },
		{ "10.96.0.10", 53, "10.244.3.7", 5353, true },
		{ "10.96.0.10", 53, "10.244.1.7", 5354, true },
		{ "192.0.2.9", 53, "192.0.2.9", 53, true }, /* begun before there were rules */
		{ "203.0.113.9", 53, "203.0.113.9", 53, true },
		{ "203.0.113.9", 53, "10.244.1.7", 5353, false },
		{ "192.168.1.11", 30053, "10.244.3.7", 5353, true },
		{ "192.168.1.11", 30053, "10.244.1.7", 5353, false },
		{ "192.168.1.11", 53, "10.244.3.7", 5353,
		  false }, /* not an address of the Service */
		{ "198.51.100.7", 30053, "198.51.100.7", 30053,
		  false },                                          /* passes through this node */
		{ "10.96.0.99", 30053, "10.244.3.7", 5353, false }, /* another Service's port */
		{ "10.96.0.10", 54, "10.244.3.7", 5353, true },     /* no endpoints any more */
		{ "10.96.0.10", 54, "10.96.0.10", 54, true },
		{ "10.96.0.10", 55, "10.244.3.7", 5353, false }, /* TCP */
		{ "10.96.0.77", 53, "10.244.1.7", 5353, true },  /* the Service had this address */
		{ "192.168.1.11", 30077, "10.244.1.7", 5353, true },
	};
	const struct proxy_port former_port = {
		.name = "dns", .proto = IPPROTO_UDP, .port = 53, .node_port = 30077
	};
	const struct proxy_half former = { .key = "a/b",
		                           .family = 4,
		                           .cluster_ip = addr("10.96.0.77"),
		                           .ports = &former_port,
		                           .n_ports = 1 };
	const struct addr node = addr("192.168.1.11");
	struct conntrack_job *j = conntrack_job_new(4);
	assert_true(conntrack_job_is_empty(j));
	conntrack_job_touch(j, &former);
	conntrack_job_touch(j, &s);
	conntrack_job_allow(j, &s);
	conntrack_job_add_local(j, &node);
	assert_false(conntrack_job_is_empty(j));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct addr to = addr(cases[i].to), from = addr(cases[i].from);
		assert_int_equal(conntrack_is_stale(j, &to, cases[i].to_port, &from,
		                                    cases[i].from_port),
		                 cases[i].stale);
	}
	conntrack_job_free(j);
	conntrack_job_free(NULL);
}

/* Which of the node's addresses have node ports is its own choice, and may change. */
static void flows_to_node_ports_elsewhere_are_stale(void **state)
{
	/* clang-format off */
	static const struct {
		const char *ports; /* NULL: not known */
		bool localhost;
		const char *to, *from;
		bool stale;
	} cases[] = {
		{ NULL, false, "192.168.1.11", "10.244.1.7", false },
		{ "0.0.0.0/0", false, "192.168.1.11", "10.244.1.7", false },
		{ "192.168.1.11/32", false, "192.168.1.11", "10.244.1.7", false },
		{ "192.168.1.11/32", false, "192.168.1.11", "10.244.3.7", true },
		{ "192.168.1.11/32", false, "10.0.0.11", "10.244.1.7", true },
		{ "2001:db8::/32", false, "192.168.1.11", "10.244.1.7", true },
		/* A process of the node's own answers. */
		{ "192.168.1.11/32", false, "10.0.0.11", "10.0.0.11", false },
		/* It passes through this node. */
		{ "192.168.1.11/32", false, "198.51.100.7", "10.244.1.7", false },
		{ "0.0.0.0/0", false, "127.0.0.1", "10.244.1.7", true },
		{ "192.168.1.11/32", true, "127.0.0.1", "10.244.1.7", false },
	};
	/* clang-format on */
	const struct addr locals[] = { addr("192.168.1.11"), addr("10.0.0.11"), addr("127.0.0.1") };
	const struct proxy_endpoint e = { .addr = addr("10.244.1.7"), .port = 30053 };
	const struct proxy_port ports[] = {
		{ .name = "dns",
		  .proto = IPPROTO_UDP,
		  .port = 53,
		  .node_port = 30053,
		  .cluster = &e,
		  .n_cluster = 1,
		  .has_any = true },
	};
	const struct proxy_half s = { .key = "a/b", .family = 4, .ports = ports, .n_ports = 1 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct conntrack_job *j = conntrack_job_new(4);
		struct proxy_node node = { .n_node_port_cidrs = 1 };
		struct addr to = addr(cases[i].to), from = addr(cases[i].from);
		touch(j, NULL, 30053);
		conntrack_job_allow(j, &s);
		for (size_t k = 0; k < ARRAY_LEN(locals); k++)
			conntrack_job_add_local(j, &locals[k]);
		if (cases[i].ports) {
			assert_int_equal(
				prefix_parse(cases[i].ports, false, &node.node_port_cidrs[0]), 0);
			conntrack_job_set_node(j, &node, cases[i].localhost);
		}
		if (conntrack_is_stale(j, &to, 30053, &from, 30053) != cases[i].stale)
			fail_msg("case %zu: %s at %s", i, cases[i].to, cases[i].ports);
		conntrack_job_free(j);
	}
}

/* What IPVS would go on with by itself is told from what only has to begin anew. */
static void flows_that_nobody_may_answer_are_deserted(void **state)
{
	static const struct {
		const char *to;
		uint16_t to_port;
		const char *from;
		enum conntrack_fate fate;
	} cases[] = {
		{ "192.0.2.9", 53, "10.244.1.7", CONNTRACK_RIGHT },
		{ "192.0.2.9", 53, "10.244.3.7", CONNTRACK_STALE },
		{ "192.0.2.8", 53, "10.244.1.7", CONNTRACK_DESERTED },
		/* Some process of the node's has the address, or it leads to another machine. */
		{ "192.0.2.8", 53, "192.0.2.8", CONNTRACK_STALE },
		{ "192.168.1.11", 30077, "10.244.1.7", CONNTRACK_DESERTED },
		{ "192.0.2.9", 54, "10.244.1.7", CONNTRACK_OTHER },
		{ "198.51.100.7", 30077, "10.244.1.7", CONNTRACK_OTHER },
	};
	const struct addr vip = addr("192.0.2.9"), former = addr("192.0.2.8"),
			  node = addr("192.168.1.11"), client = addr("192.0.2.200");
	const struct proxy_endpoint e = { .addr = addr("10.244.1.7"), .port = 53 };
	const struct proxy_port port = { .name = "dns",
		                         .proto = IPPROTO_UDP,
		                         .port = 53,
		                         .cluster = &e,
		                         .n_cluster = 1,
		                         .has_any = true };
	const struct proxy_outside outside = { .vips = &vip, .n_vips = 1 };
	const struct proxy_half s = {
		.key = "a/b", .family = 4, .outside = &outside, .ports = &port, .n_ports = 1
	};
	struct conntrack_job *j = conntrack_job_new(4);

	(void)state;
	conntrack_job_touch(j, &s);
	touch(j, &former, 53);
	touch(j, NULL, 30077);
	conntrack_job_allow(j, &s);
	conntrack_job_add_local(j, &node);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct addr to = addr(cases[i].to), from = addr(cases[i].from);
		if (conntrack_judge(j, &to, cases[i].to_port, &from, 53) != cases[i].fate)
			fail_msg("to %s:%u, answered by %s", cases[i].to, cases[i].to_port,
			         cases[i].from);
	}
	assert_true(conntrack_job_is_here(j, &client, &node));
	assert_true(conntrack_job_is_here(j, &node, &former));
	assert_false(conntrack_job_is_here(j, &client, &former));
	conntrack_job_free(j);
}

/* An address that went from one Service to another in two batches. */
static void who_has_an_address_now_may_answer(void **state)
{
	(void)state;
	const struct addr vip = addr("192.0.2.9"), old = addr("10.244.1.7"),
			  new = addr("10.244.2.7");
	const struct proxy_endpoint e = { .addr = new, .port = 5353 };
	const struct proxy_port ports[] = {
		{ .name = "dns", .proto = IPPROTO_UDP, .port = 53 },
		{ .name = "dns",
		  .proto = IPPROTO_UDP,
		  .port = 53,
		  .cluster = &e,
		  .n_cluster = 1,
		  .has_any = true },
	};
	const struct proxy_outside outside = { .vips = &vip, .n_vips = 1 };
	const struct proxy_half loser = {
		.key = "a/b", .family = 4, .outside = &outside, .ports = &ports[0], .n_ports = 1
	};
	struct proxy_half winner = loser;
	winner.key = "c/d";
	winner.ports = &ports[1];
	struct conntrack_job *j = conntrack_job_new(4), *again = conntrack_job_new(4);
	conntrack_job_touch(j, &loser);
	assert_true(conntrack_is_stale(j, &vip, 53, &new, 5353));
	/* Also while it runs, which sorts. */
	conntrack_job_allow(j, &winner);
	assert_false(conntrack_is_stale(j, &vip, 53, &new, 5353));
	assert_true(conntrack_is_stale(j, &vip, 53, &old, 5353));
	/* What failed is looked for again, with what holds then. */
	conntrack_job_touch_all(again, j);
	assert_true(conntrack_is_stale(again, &vip, 53, &new, 5353));
	conntrack_job_free(j);
	conntrack_job_free(again);
}

static void note_end(int r, const struct err *e, size_t n_deleted, void *arg)
{
	(void)e;
	(void)n_deleted;
	*(int *)arg = r;
}

/*
 * A large batch may keep the loop for longer than the kernel has for its answer, which is there by
 * then.
 */
static void a_loop_that_stood_still_is_no_timeout(void **state)
{
	(void)state;
	struct event_base *base = event_base_new();
	struct conntrack_job *j = conntrack_job_new(4);
	const struct addr vip = addr("192.0.2.9");
	struct conntrack_run *run;
	struct err e = ERR_INIT;
	int end = 1;
	touch(j, &vip, 53);
	/* Whoever may not ask the kernel cannot test it. */
	if (conntrack_run_start(base, j, note_end, &end, &run, &e) == 0) {
		usleep((CONNTRACK_TIMEOUT_MS + 100) * 1000);
		while (end == 1)
			event_base_loop(base, EVLOOP_ONCE);
		assert_true(end == 0 || end == -EPERM);
	}
	conntrack_job_free(j);
	event_base_free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stale_flows_are_told_from_others),
		cmocka_unit_test(flows_to_node_ports_elsewhere_are_stale),
		cmocka_unit_test(flows_that_nobody_may_answer_are_deserted),
		cmocka_unit_test(who_has_an_address_now_may_answer),
		cmocka_unit_test(a_loop_that_stood_still_is_no_timeout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
