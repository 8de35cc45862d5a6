/* SPDX-License-Identifier: Apache-2.0 */
/* One packet after another at one node: what it meets, in a word each. */
#include "config.h"

#include "unit.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "fairlead/packet.h"

static struct addr addr(const char *s)
{
	struct addr a;

	assert_int_equal(addr_parse(s, &a), 0);
	return a;
}

static struct prefix prefix(const char *s)
{
	struct prefix p;

	assert_int_equal(prefix_parse(s, false, &p), 0);
	return p;
}

/* What differs from the usual: policy Cluster, Pods known, node ports at all addresses. */
enum twist {
	USUAL = 0,
	LOCAL = 1 << 0,        /* externalTrafficPolicy */
	NONE_HERE = 1 << 1,    /* of the endpoints */
	NO_ENDPOINT = 1 << 2,  /* anywhere */
	RANGES = 1 << 3,       /* 198.51.100.0/24 */
	OPEN = 1 << 4,         /* no guard */
	CHOSEN = 1 << 5,       /* node ports at 192.0.2.0/24 alone */
	LOCALHOST = 1 << 6,    /* also at 127.0.0.0/8 */
	BY_INTERFACE = 1 << 7, /* Pods are known by it, and no address of theirs is */
	NO_PODS = 1 << 8,      /* are known */
	ALL = 1 << 9,          /* is masqueraded */
	EVERYBODY = 1 << 10,   /* is in the source ranges */
};

struct row {
	const char *from, *to;
	int port;
	unsigned int twist;
	const char *expected;
	uint8_t proto; /* 0: TCP */
};

static const struct row rows[] = {
	/* Which destination it is. */
	{ "10.244.1.9", "10.96.0.5", 80, USUAL, "cluster-ip pod: 2 kept" },
	{ "10.0.0.1", "10.96.0.5", 80, USUAL, "cluster-ip node: 2 masqueraded" },
	{ "127.0.0.1", "10.96.0.5", 80, USUAL, "cluster-ip node: 2 masqueraded" },
	{ "203.0.113.9", "10.96.0.5", 80, USUAL, "cluster-ip outside: 2 masqueraded" },
	{ "203.0.113.9", "192.0.2.5", 80, USUAL, "vip outside: 2 masqueraded" },
	{ "203.0.113.9", "192.0.2.6", 80, USUAL, "external-ip outside: 2 masqueraded" },
	{ "203.0.113.9", "10.0.0.1", 30080, USUAL, "node-port outside: 2 masqueraded" },
	{ "203.0.113.9", "10.0.0.1", 80, USUAL, "not its own" },
	{ "203.0.113.9", "10.0.0.2", 30080, USUAL, "not its own" },
	{ "203.0.113.9", "10.96.0.5", 30080, USUAL, "other port" },
	{ "203.0.113.9", "192.0.2.5", 30080, USUAL, "guarded" },
	{ "203.0.113.9", "10.96.0.5", 80, USUAL, "other port", IPPROTO_UDP },
	/* From where it counts. */
	{ "10.244.0.1", "10.96.0.5", 80, USUAL, "cluster-ip pod: 2 kept" },
	{ "10.244.1.9", "10.96.0.5", 80, NO_PODS, "cluster-ip outside: 2 kept" },
	{ "10.244.1.9", "10.96.0.5", 80, BY_INTERFACE, "cluster-ip outside: 2 masqueraded" },
	{ "10.244.1.9", "10.96.0.5", 80, ALL, "cluster-ip pod: 2 masqueraded" },
	/* Policy Local. */
	{ "203.0.113.9", "192.0.2.5", 80, LOCAL, "vip outside: 1 here kept" },
	{ "10.244.1.9", "192.0.2.5", 80, LOCAL, "vip pod: 2 kept" },
	{ "10.0.0.1", "192.0.2.5", 80, LOCAL, "vip node: 2 masqueraded" },
	{ "203.0.113.9", "192.0.2.5", 80, LOCAL | NONE_HERE, "vip outside: drop, none here" },
	{ "10.0.0.1", "192.0.2.5", 80, LOCAL | NONE_HERE, "vip node: 1 masqueraded" },
	{ "203.0.113.9", "10.0.0.1", 32100, LOCAL, "health" },
	{ "203.0.113.9", "10.0.0.1", 32100, LOCAL, "not its own", IPPROTO_UDP },
	{ "203.0.113.9", "192.0.2.5", 32100, LOCAL, "guarded" },
	{ "203.0.113.9", "192.0.2.5", 32100, LOCAL | OPEN, "other port" },
	/* No endpoint. */
	{ "203.0.113.9", "192.0.2.5", 80, NO_ENDPOINT, "vip outside: reject, none" },
	{ "10.244.1.9", "10.96.0.5", 80, NO_ENDPOINT, "cluster-ip pod: reject, none" },
	/* Source ranges, of VIPs alone. */
	{ "203.0.113.9", "192.0.2.5", 80, RANGES, "vip outside: drop, not in ranges" },
	{ "10.244.1.9", "192.0.2.5", 80, RANGES, "vip pod: drop, not in ranges" },
	{ "198.51.100.9", "192.0.2.5", 80, RANGES, "vip outside: 2 masqueraded" },
	{ "203.0.113.9", "192.0.2.6", 80, RANGES, "external-ip outside: 2 masqueraded" },
	{ "203.0.113.9", "192.0.2.5", 80, RANGES | NO_ENDPOINT, "vip outside: reject, none" },
	{ "203.0.113.9", "192.0.2.5", 80, RANGES | EVERYBODY, "vip outside: 2 masqueraded" },
	/* Node ports. */
	{ "203.0.113.9", "10.0.0.1", 30080, CHOSEN, "not chosen" },
	{ "203.0.113.9", "192.0.2.1", 30080, CHOSEN, "node-port outside: 2 masqueraded" },
	{ "127.0.0.1", "127.0.0.1", 30080, USUAL, "not chosen" },
	{ "127.0.0.1", "127.0.0.1", 30080, LOCALHOST, "node-port node: 2 masqueraded" },
	{ "203.0.113.9", "127.0.0.1", 30080, LOCALHOST, "not chosen" },
	{ "::1", "::1", 30080, LOCALHOST, "not chosen" },
	{ "10.0.0.1", "10.0.0.1", 30080, LOCALHOST, "node-port node: 2 masqueraded" },
	/* The guard. */
	{ "203.0.113.9", "192.0.2.5", 81, USUAL, "guarded" },
	{ "203.0.113.9", "192.0.2.6", 81, USUAL, "guarded" },
	{ "203.0.113.9", "192.0.2.5", 81, OPEN, "other port" },
	{ "203.0.113.9", "192.0.2.6", 81, OPEN, "other port" },
	{ "203.0.113.9", "10.96.0.5", 81, USUAL, "other port" },
};

static const char *const classes[] = { "cluster-ip", "vip", "external-ip", "node-port" };
static const char *const origins[] = { "pod", "node", "outside" };

static void put_served(const struct packet_answer *a, struct buf *out)
{
	static const char *const whys[] = { "", "none", "none here", "not in ranges" };

	buf_printf(out, "%s %s: ", classes[a->class], origins[a->origin]);
	if (a->fate != TRAFFIC_FORWARD)
		buf_printf(out, "%s, %s", a->fate == TRAFFIC_DROP ? "drop" : "reject",
		           whys[a->why]);
	else
		buf_printf(out, "%zu%s %s", a->n_endpoints,
		           a->set == TRAFFIC_LOCAL_SET ? " here" : "",
		           a->masquerade ? "masqueraded" : "kept");
}

static void put(const struct packet_answer *a, struct buf *out)
{
	static const char *const ends[] = { "",           "guarded",    "health",
		                            "other port", "not chosen", "not its own" };

	if (a->end == PACKET_SERVED)
		put_served(a, out);
	else
		buf_puts(out, ends[a->end]);
}

static void check(const struct row *r)
{
	cleanup(buf_fini) struct buf said = BUF_INIT;
	const struct addr vip = addr("192.0.2.5"), external = addr("192.0.2.6");
	/* The last one is where its Pods find it, among their own addresses. */
	const struct addr own[] = { addr("10.0.0.1"), addr("192.0.2.1"), addr("10.244.0.1") };
	const struct addr open[] = { vip, external };
	const struct prefix ranges[] = { prefix("198.51.100.0/24"), prefix("0.0.0.0/0") };
	const struct proxy_endpoint endpoints[] = { { .addr = addr("10.244.1.5"), .port = 8080 },
		                                    { .addr = addr("10.244.2.5"), .port = 8080 } };
	bool here = !(r->twist & NONE_HERE), any = !(r->twist & NO_ENDPOINT);
	const struct proxy_port port = { .name = "",
		                         .proto = IPPROTO_TCP,
		                         .port = 80,
		                         .node_port = 30080,
		                         .cluster = here ? endpoints : endpoints + 1,
		                         .n_cluster = !any   ? 0
		                                      : here ? 2
		                                             : 1,
		                         .local = endpoints,
		                         .n_local = any && here,
		                         .has_any = any };
	const struct proxy_outside outside = {
		.vips = &vip,
		.n_vips = 1,
		.external_ips = &external,
		.n_external_ips = 1,
		.open = open,
		.n_open = r->twist & OPEN ? 2 : 0,
		.source_ranges = ranges,
		.n_source_ranges = r->twist & EVERYBODY ? 2
		                   : r->twist & RANGES  ? 1
		                                        : 0,
	};
	const struct proxy_half half = {
		.key = "shop/web",
		.family = 4,
		.cluster_ip = addr("10.96.0.5"),
		.outside = &outside,
		.traffic = { .external_local = (r->twist & LOCAL) != 0,
		             .health_port = r->twist & LOCAL ? 32100 : 0 },
		.ports = &port,
		.n_ports = 1,
	};
	const struct proxy_options options = {
		.mode = PROXY_IPTABLES,
		.pods_by = r->twist & BY_INTERFACE ? PROXY_PODS_BY_INTERFACE : PROXY_PODS_BY_SOURCE,
		.localhost_node_ports = (r->twist & LOCALHOST) != 0,
		.masquerade_all = (r->twist & ALL) != 0,
	};
	struct proxy_node facts = { .pod_cidrs = { prefix("10.244.0.0/16") },
		                    .n_pod_cidrs = r->twist & (NO_PODS | BY_INTERFACE) ? 0 : 1,
		                    .node_port_cidrs = { prefix(r->twist & CHOSEN ? "192.0.2.0/24"
		                                                                  : "0.0.0.0/0") },
		                    .n_node_port_cidrs = 1 };
	const struct packet_node node = { own, ARRAY_LEN(own), &options, &facts };
	const struct packet p = { .from = addr(r->from),
		                  .to = addr(r->to),
		                  .proto = r->proto ? r->proto : IPPROTO_TCP,
		                  .port = (uint16_t)r->port };
	struct packet_answer a;

	packet_follow(&half, &node, &p, &a);
	put(&a, &said);
	if (strcmp(buf_str(&said), r->expected) != 0)
		fail_msg("%s to %s:%d (0x%x): %s rather than %s", r->from, r->to, r->port, r->twist,
		         buf_str(&said), r->expected);
	/* What is served or refused is so by some rule, and what is forwarded by no filter rule. */
	bool caught = a.end == PACKET_SERVED || a.end == PACKET_GUARDED;
	assert_int_equal(caught, a.caught_by.size > 0);
	if (a.end == PACKET_SERVED && a.fate == TRAFFIC_FORWARD)
		assert_null(strstr(buf_str(&a.caught_by), "filter "));
	assert_true(packet_answer_eq(&a, &a));
	if (a.end != PACKET_SERVED || a.fate != TRAFFIC_FORWARD)
		assert_int_equal(a.n_endpoints, 0);
	packet_answer_fini(&a);
}

static void each_packet_meets_what_it_should(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check(&rows[i]);
}

/* A guard is not for a machine's own address. */
static void an_address_of_the_node_is_not_guarded(void **state)
{
	const struct addr vip = addr("10.0.0.1");
	const struct proxy_port port = { .name = "", .proto = IPPROTO_UDP, .port = 53 };
	const struct proxy_outside outside = { .vips = &vip, .n_vips = 1 };
	const struct proxy_half half = { .key = "shop/dns",
		                         .family = 4,
		                         .cluster_ip = addr("10.96.0.5"),
		                         .outside = &outside,
		                         .ports = &port,
		                         .n_ports = 1 };
	const struct proxy_options options = { .mode = PROXY_IPTABLES };
	const struct proxy_node facts = { .n_pod_cidrs = 0 };
	const struct packet_node with = { &vip, 1, &options, &facts };
	const struct packet_node without = { NULL, 0, &options, &facts };
	const struct packet p = {
		.from = addr("203.0.113.9"), .to = vip, .proto = IPPROTO_TCP, .port = 22
	};
	struct packet_answer a, b;

	(void)state;
	packet_follow(&half, &with, &p, &a);
	packet_follow(&half, &without, &p, &b);
	assert_int_equal(a.end, PACKET_OTHER_PORT);
	assert_int_equal(b.end, PACKET_GUARDED);
	assert_false(packet_answer_eq(&a, &b));
	packet_answer_fini(&a);
	packet_answer_fini(&b);
}

/* A port at an address of the Service that is the node's, too, and another's node port. */
static void an_address_comes_before_node_ports(void **state)
{
	const struct addr own = addr("10.0.0.1");
	const struct proxy_endpoint endpoints[] = { { .addr = addr("10.244.1.5"), .port = 8080 },
		                                    { .addr = addr("10.244.2.5"), .port = 8080 } };
	const struct proxy_port by_node = { .name = "a",
		                            .proto = IPPROTO_TCP,
		                            .port = 40000,
		                            .node_port = 30080,
		                            .cluster = endpoints,
		                            .n_cluster = 1,
		                            .has_any = true };
	const struct proxy_port by_vip = { .name = "b",
		                           .proto = IPPROTO_TCP,
		                           .port = 30080,
		                           .cluster = endpoints,
		                           .n_cluster = 2,
		                           .has_any = true };
	/* Ports are looked at by their numbers. */
	struct proxy_port before = by_node;

	before.port = 80;
	const struct proxy_port orders[][2] = { { before, by_vip }, { by_vip, by_node } };
	const struct proxy_options options = { .mode = PROXY_IPTABLES };
	const struct proxy_node facts = { .node_port_cidrs = { prefix("0.0.0.0/0") },
		                          .n_node_port_cidrs = 1 };
	const struct packet_node node = { &own, 1, &options, &facts };
	const struct packet p = {
		.from = addr("203.0.113.9"), .to = own, .proto = IPPROTO_TCP, .port = 30080
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
		const struct proxy_outside outside = { .vips = &own, .n_vips = 1 };
		const struct proxy_half half = { .key = "shop/web",
			                         .family = 4,
			                         .cluster_ip = addr("10.96.0.5"),
			                         .outside = &outside,
			                         .ports = orders[i],
			                         .n_ports = 2 };
		struct packet_answer a;
		packet_follow(&half, &node, &p, &a);
		assert_int_equal(a.end, PACKET_SERVED);
		assert_int_equal(a.class, TRAFFIC_VIP);
		assert_int_equal(a.n_endpoints, 2);
		packet_answer_fini(&a);
	}
}

/* Nodes are told of together only where nothing at all differs. */
static void every_difference_counts(void **state)
{
	const struct proxy_endpoint endpoints[] = { { .addr = addr("10.244.1.5"), .port = 8080 } },
				    ports[] = { { .addr = addr("10.244.1.5"), .port = 8081 } },
				    addrs[] = { { .addr = addr("10.244.1.6"), .port = 8080 } };
	const struct packet_answer same = { .end = PACKET_SERVED,
		                            .endpoints = endpoints,
		                            .n_endpoints = 1,
		                            .caught_by = BUF_INIT };
	struct packet_answer others[11];
	struct buf rule = BUF_INIT;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		others[i] = same;
	buf_puts(&rule, "nat");
	others[n++].end = PACKET_OTHER_PORT;
	others[n++].origin = TRAFFIC_OUTSIDE;
	others[n++].class = TRAFFIC_VIP;
	others[n++].fate = TRAFFIC_DROP;
	others[n++].why = TRAFFIC_NO_ENDPOINT;
	others[n++].set = TRAFFIC_LOCAL_SET;
	others[n++].masquerade = true;
	others[n++].affinity_s = 60;
	others[n++].n_endpoints = 0;
	others[n++].endpoints = ports;
	others[n++].endpoints = addrs;
	assert_int_equal(n, ARRAY_LEN(others));
	for (size_t i = 0; i < n; i++)
		if (packet_answer_eq(&same, &others[i]) || packet_answer_eq(&others[i], &same))
			fail_msg("row %zu is as good as none", i);
	struct packet_answer by_rule = same;
	by_rule.caught_by = rule;
	assert_false(packet_answer_eq(&same, &by_rule));
	assert_true(packet_answer_eq(&same, &same));
	buf_fini(&rule);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_packet_meets_what_it_should),
		cmocka_unit_test(an_address_of_the_node_is_not_guarded),
		cmocka_unit_test(an_address_comes_before_node_ports),
		cmocka_unit_test(every_difference_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
