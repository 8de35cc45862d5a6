/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decision table of the data plane against one that was written by hand from what Kubernetes
 * says of Services: every class of destination with every policy, state of the endpoints, origin,
 * family and protocol.
 */
#include "config.h"

#include "unit.h"

#include <netinet/in.h>
#include <string.h>

#include "fairlead/mem.h"
#include "proxy/traffic.h"

/* Of the endpoints that can be used at all. */
enum state {
	NONE,
	REMOTE,    /* none of them is here */
	HERE,      /* all are */
	BOTH,      /* some are */
	ELSEWHERE, /* some are, but hints lead traffic of policy Cluster to others */
};
#define STATES 5

static const uint8_t families[] = { 4, 6 };
static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };
static const enum traffic_class classes[] = { TRAFFIC_CLUSTER_IP, TRAFFIC_VIP, TRAFFIC_EXTERNAL_IP,
	                                      TRAFFIC_NODE_PORT };

static const struct traffic_node pods = { .knows_pods = true };

/* A Service with a port and everything that it may be reached by. */
struct world {
	struct addr vip, external_ip;
	struct prefix range;
	struct proxy_endpoint here, there, all[2];
	struct proxy_port port;
	struct proxy_outside outside;
	struct proxy_half s;
};

static struct addr addr(uint8_t family, const char *four, const char *six)
{
	struct addr a;

	assert_int_equal(addr_parse(family == 4 ? four : six, &a), 0);
	return a;
}

static void build(struct world *w, uint8_t family, uint8_t proto, enum state state)
{
	*w = (struct world){
		.vip = addr(family, "192.0.2.9", "2001:db8::9"),
		.external_ip = addr(family, "203.0.113.9", "2001:db8:1::9"),
		.here = { .addr = addr(family, "10.244.1.7", "fd00:244:1::7"), .port = 8080 },
		.there = { .addr = addr(family, "10.244.2.7", "fd00:244:2::7"), .port = 8080 },
		.port = { .name = "", .proto = proto, .port = 80, .node_port = 30080 },
		.s = { .key = "shop/web", .family = family, .n_ports = 1 },
	};
	w->all[0] = w->here;
	w->all[1] = w->there;
	w->s.cluster_ip = addr(family, "10.96.0.17", "fd00:96::17");
	w->s.outside = &w->outside;
	w->outside.vips = &w->vip;
	w->outside.external_ips = &w->external_ip;
	w->outside.n_vips = w->outside.n_external_ips = 1;
	w->s.ports = &w->port;
	w->port.has_any = state != NONE;
	w->port.local = &w->here;
	w->port.n_local = state == HERE || state == BOTH || state == ELSEWHERE;
	w->port.cluster = state == BOTH ? w->all : state == HERE ? &w->here : &w->there;
	w->port.n_cluster = state == BOTH ? 2 : state != NONE;
}

static const char *words(struct traffic_way w)
{
	switch (w.fate) {
	case TRAFFIC_REJECT:
		return "reject";
	case TRAFFIC_DROP:
		return "drop";
	case TRAFFIC_FORWARD:
		break;
	}
	if (w.set == TRAFFIC_CLUSTER_SET)
		return w.masquerade ? "cluster masq" : "cluster";
	return w.masquerade ? "local masq" : "local";
}

/* Pods are known by the node, or they are like everybody else. */
struct expectation {
	const char *pod, *node, *outside;
};

struct row {
	bool inside, policy_local;
	enum state state;
	struct expectation known, unknown;
};

#define SAME(what)               \
	{                        \
		what, what, what \
	}
#define INSIDE_CLUSTER { "cluster", "cluster masq", "cluster masq" }, SAME("cluster")
#define INSIDE_LOCAL { "local", "local masq", "local masq" }, SAME("local")
#define OUTSIDE_CLUSTER SAME("cluster masq"), SAME("cluster masq")
#define OUTSIDE_LOCAL                            \
	{ "cluster", "cluster masq", "local" },  \
	{                                        \
		"local", "cluster masq", "local" \
	}

static const struct row table[] = {
	/* Toward the cluster IP. */
	{ true, false, NONE, SAME("reject"), SAME("reject") },
	{ true, false, REMOTE, INSIDE_CLUSTER },
	{ true, false, HERE, INSIDE_CLUSTER },
	{ true, false, BOTH, INSIDE_CLUSTER },
	{ true, false, ELSEWHERE, INSIDE_CLUSTER },
	{ true, true, NONE, SAME("reject"), SAME("reject") },
	{ true, true, REMOTE, SAME("drop"), SAME("drop") },
	{ true, true, HERE, INSIDE_LOCAL },
	{ true, true, BOTH, INSIDE_LOCAL },
	{ true, true, ELSEWHERE, INSIDE_LOCAL },
	/* Toward a node port, or an address from outside. */
	{ false, false, NONE, SAME("reject"), SAME("reject") },
	{ false, false, REMOTE, OUTSIDE_CLUSTER },
	{ false, false, HERE, OUTSIDE_CLUSTER },
	{ false, false, BOTH, OUTSIDE_CLUSTER },
	{ false, false, ELSEWHERE, OUTSIDE_CLUSTER },
	{ false, true, NONE, SAME("reject"), SAME("reject") },
	{ false,
	  true,
	  REMOTE,
	  { "cluster", "cluster masq", "drop" },
	  { "drop", "cluster masq", "drop" } },
	{ false, true, HERE, OUTSIDE_LOCAL },
	{ false, true, BOTH, OUTSIDE_LOCAL },
	{ false, true, ELSEWHERE, OUTSIDE_LOCAL },
};

static void check_ways(const struct traffic_port *t, enum traffic_class class,
                       const struct expectation *want)
{
	const char *const wanted[] = { [TRAFFIC_POD] = want->pod,
		                       [TRAFFIC_NODE] = want->node,
		                       [TRAFFIC_OUTSIDE] = want->outside };

	for (int origin = 0; origin < TRAFFIC_ORIGINS; origin++) {
		struct traffic_way in = traffic_way(t, class, (enum traffic_origin)origin, true);
		struct traffic_way out = traffic_way(t, class, (enum traffic_origin)origin, false);
		assert_string_equal(words(in), wanted[origin]);
		assert_true(in.fate == TRAFFIC_FORWARD || !in.masquerade);
		/* There are no source ranges. */
		assert_true(traffic_way_eq(&in, &out));
	}
}

/* @other: the policy of the other kind of destinations, which must not matter. */
static void check_row(const struct row *r, uint8_t family, uint8_t proto, bool other)
{
	struct world w;

	build(&w, family, proto, r->state);
	w.s.traffic.internal_local = r->inside ? r->policy_local : other;
	w.s.traffic.external_local = r->inside ? other : r->policy_local;
	for (int known = 0; known < 2; known++) {
		const struct traffic_node node = { .knows_pods = known };
		struct traffic_port t;
		assert_true(traffic_plan(&node, &w.s, 0, &t));
		for (size_t i = 0; i < ARRAY_LEN(classes); i++)
			if ((classes[i] == TRAFFIC_CLUSTER_IP) == r->inside)
				check_ways(&t, classes[i], known ? &r->known : &r->unknown);
	}
}

static void every_class_policy_state_and_origin(void **state)
{
	(void)state;
	assert_int_equal(ARRAY_LEN(table), 2 * 2 * STATES);
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		for (size_t f = 0; f < ARRAY_LEN(families); f++)
			for (size_t p = 0; p < ARRAY_LEN(protocols); p++) {
				check_row(&table[i], families[f], protocols[p], false);
				check_row(&table[i], families[f], protocols[p], true);
			}
}

static void masquerade_all_is_for_the_cluster_ip(void **state)
{
	(void)state;
	static const struct {
		bool policy_local;
		enum state state;
		const char *inside;
		struct expectation outside;
	} rows[] = {
		{ false, NONE, "reject", SAME("reject") },
		{ false, BOTH, "cluster masq", SAME("cluster masq") },
		{ true, NONE, "reject", SAME("reject") },
		{ true, REMOTE, "drop", { "cluster", "cluster masq", "drop" } },
		{ true, BOTH, "local masq", { "cluster", "cluster masq", "local" } },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct traffic_node node = { .knows_pods = true, .masquerade_all = true };
		const struct expectation inside = SAME(rows[i].inside);
		struct world w;
		struct traffic_port t;
		build(&w, 4, IPPROTO_TCP, rows[i].state);
		w.s.traffic.internal_local = w.s.traffic.external_local = rows[i].policy_local;
		assert_true(traffic_plan(&node, &w.s, 0, &t));
		check_ways(&t, TRAFFIC_CLUSTER_IP, &inside);
		check_ways(&t, TRAFFIC_VIP, &rows[i].outside);
	}
}

static struct prefix prefix(const char *text)
{
	struct prefix p;

	assert_int_equal(prefix_parse(text, false, &p), 0);
	return p;
}

static void pods_are_known_by_family(void **state)
{
	(void)state;
	static const struct {
		enum proxy_pods by;
		const char *cidr; /* NULL: none */
		bool four, six;
	} rows[] = {
		{ PROXY_PODS_BY_SOURCE, NULL, false, false },
		{ PROXY_PODS_BY_SOURCE, "10.244.0.0/16", true, false },
		{ PROXY_PODS_BY_SOURCE, "fd00:10::/56", false, true },
		{ PROXY_PODS_BY_INTERFACE, NULL, true, true },
		{ PROXY_PODS_BY_INTERFACE_PREFIX, NULL, true, true },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct proxy_node n = { .n_pod_cidrs = rows[i].cidr != NULL };
		if (rows[i].cidr)
			n.pod_cidrs[0] = prefix(rows[i].cidr);
		assert_int_equal(traffic_knows_pods(rows[i].by, &n, 4), rows[i].four);
		assert_int_equal(traffic_knows_pods(rows[i].by, &n, 6), rows[i].six);
	}
}

static void node_ports_have_addresses_by_family(void **state)
{
	(void)state;
	static const struct {
		const char *cidrs[3];
		enum traffic_addresses four, six;
	} rows[] = {
		{ { NULL }, TRAFFIC_NO_ADDRESS, TRAFFIC_NO_ADDRESS },
		{ { "192.0.2.0/24" }, TRAFFIC_CHOSEN_ADDRESSES, TRAFFIC_NO_ADDRESS },
		{ { "2001:db8::/64", "0.0.0.0/0" },
		  TRAFFIC_ALL_ADDRESSES,
		  TRAFFIC_CHOSEN_ADDRESSES },
		{ { "192.0.2.0/24", "0.0.0.0/0", "::/0" },
		  TRAFFIC_ALL_ADDRESSES,
		  TRAFFIC_ALL_ADDRESSES },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct proxy_node n = { .n_node_port_cidrs = 0 };
		for (size_t k = 0; k < ARRAY_LEN(rows[i].cidrs) && rows[i].cidrs[k]; k++)
			n.node_port_cidrs[n.n_node_port_cidrs++] = prefix(rows[i].cidrs[k]);
		assert_int_equal(traffic_node_port_addresses(&n, 4), rows[i].four);
		assert_int_equal(traffic_node_port_addresses(&n, 6), rows[i].six);
	}
}

/* The cluster set is not even known where nothing may lead to it. */
static void inside_policy_local_needs_no_cluster_set(void **state)
{
	(void)state;
	struct world w;
	struct traffic_port t;
	build(&w, 4, IPPROTO_TCP, REMOTE);
	w.s.traffic.internal_local = true;
	w.outside.n_vips = w.outside.n_external_ips = w.port.node_port = w.port.n_cluster = 0;
	assert_true(traffic_plan(&pods, &w.s, 0, &t));
	check_ways(&t, TRAFFIC_CLUSTER_IP, &(struct expectation)SAME("drop"));
}

struct range_row {
	enum traffic_class class;
	enum state state;
	bool policy_local;
	const char *blocked; /* from outside, or NULL: as everybody else */
};

static void source_ranges_close_vips_alone(void **state)
{
	(void)state;
	static const struct range_row rows[] = {
		{ TRAFFIC_VIP, NONE, false, "reject" },
		{ TRAFFIC_VIP, NONE, true, "reject" },
		{ TRAFFIC_VIP, REMOTE, false, "drop" },
		{ TRAFFIC_VIP, REMOTE, true, "drop" },
		{ TRAFFIC_VIP, BOTH, false, "drop" },
		{ TRAFFIC_VIP, BOTH, true, "drop" },
		{ TRAFFIC_CLUSTER_IP, BOTH, false, NULL },
		{ TRAFFIC_EXTERNAL_IP, BOTH, false, NULL },
		{ TRAFFIC_EXTERNAL_IP, BOTH, true, NULL },
		{ TRAFFIC_NODE_PORT, BOTH, false, NULL },
		{ TRAFFIC_NODE_PORT, BOTH, true, NULL },
	};
	for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
		const struct range_row *r = &rows[i / 2];
		struct world w;
		struct traffic_port t;
		build(&w, families[i % 2], IPPROTO_TCP, r->state);
		w.range = (struct prefix){ addr(w.s.family, "198.51.100.0", "2001:db8:5::"), 24 };
		w.outside.source_ranges = &w.range;
		w.outside.n_source_ranges = 1;
		w.s.traffic.external_local = r->policy_local;
		assert_true(traffic_plan(&pods, &w.s, 0, &t));
		/* Pods and the node are asked for their addresses, too. */
		for (int origin = 0; origin < TRAFFIC_ORIGINS; origin++) {
			enum traffic_origin from = (enum traffic_origin)origin;
			struct traffic_way in = traffic_way(&t, r->class, from, true);
			struct traffic_way out = traffic_way(&t, r->class, from, false);
			assert_string_equal(words(out), r->blocked ? r->blocked : words(in));
		}
	}
}

static void a_range_of_everybody_closes_nothing(void **state)
{
	(void)state;
	struct world w;
	struct traffic_port t;
	build(&w, 4, IPPROTO_TCP, BOTH);
	struct prefix ranges[] = { { addr(4, "0.0.0.0", ""), 0 },
		                   { addr(4, "198.51.100.0", ""), 24 } };
	w.outside.source_ranges = ranges;
	w.outside.n_source_ranges = ARRAY_LEN(ranges);
	assert_true(traffic_plan(&pods, &w.s, 0, &t));
	assert_string_equal(words(traffic_way(&t, TRAFFIC_VIP, TRAFFIC_OUTSIDE, false)),
	                    "cluster masq");
}

/* ---- which endpoints anything leads to ---- */

static void only_what_is_led_to_is_used(void **state)
{
	(void)state;
	static const struct {
		bool inside, outside, internal_local, external_local;
		enum state state;
		bool cluster, local;
	} rows[] = {
		{ true, false, false, false, BOTH, true, false },
		{ true, false, false, true, BOTH, true, false },
		{ true, false, true, false, BOTH, false, true },
		{ true, false, true, false, REMOTE, false, false },
		{ true, true, true, false, BOTH, true, true },
		{ true, true, false, true, BOTH, true, true },
		{ true, true, true, true, REMOTE, true, false },
		{ true, true, true, true, NONE, false, false },
		{ false, true, false, false, BOTH, true, false },
		{ false, true, false, true, HERE, true, true },
		{ false, true, true, false, HERE, true, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (int by = 0; by < 3; by++) {
			struct world w;
			struct traffic_port t;
			build(&w, 6, IPPROTO_UDP, rows[i].state);
			if (!rows[i].inside)
				w.s.cluster_ip = (struct addr){ .family = 0 };
			w.outside.n_vips = rows[i].outside && by == 0;
			w.outside.n_external_ips = rows[i].outside && by == 1;
			w.port.node_port = rows[i].outside && by == 2 ? 30080 : 0;
			w.s.traffic.internal_local = rows[i].internal_local;
			w.s.traffic.external_local = rows[i].external_local;
			assert_true(traffic_plan(&pods, &w.s, 0, &t));
			assert_int_equal(t.inside, rows[i].inside);
			assert_int_equal(t.outside, rows[i].outside);
			assert_int_equal(t.uses[TRAFFIC_CLUSTER_SET], rows[i].cluster);
			assert_int_equal(t.uses[TRAFFIC_LOCAL_SET], rows[i].local);
		}
}

/* ---- destinations ---- */

static void print_destination(const struct traffic_destination *d, void *arg)
{
	static const char *const names[] = { [TRAFFIC_CLUSTER_IP] = "cluster",
		                             [TRAFFIC_VIP] = "vip",
		                             [TRAFFIC_EXTERNAL_IP] = "external",
		                             [TRAFFIC_NODE_PORT] = "node" };

	buf_printf(arg, "%s %s %d/%d\n", names[d->class], d->addr ? addr_str(d->addr) : "-",
	           d->proto, d->port);
}

static void print_guarded(const struct addr *a, void *arg)
{
	buf_printf(arg, "guard %s\n", addr_str(a));
}

static void each_destination_once(void **state)
{
	(void)state;
	struct world w;
	struct traffic_port t;
	cleanup(buf_fini) struct buf out = BUF_INIT;
	build(&w, 4, IPPROTO_UDP, BOTH);
	assert_true(traffic_plan(&pods, &w.s, 0, &t));
	traffic_each_destination(&t, print_destination, &out);
	traffic_each_guarded(&w.s, print_guarded, &out);
	/* One that may be somebody else's is not guarded. */
	w.outside.open = &w.vip;
	w.outside.n_open = 1;
	traffic_each_guarded(&w.s, print_guarded, &out);
	assert_string_equal(buf_str(&out), "cluster 10.96.0.17 17/80\n"
	                                   "vip 192.0.2.9 17/80\n"
	                                   "external 203.0.113.9 17/80\n"
	                                   "node - 17/30080\n"
	                                   "guard 192.0.2.9\n"
	                                   "guard 203.0.113.9\n"
	                                   "guard 203.0.113.9\n");
}

/* Whatever the counts say of each other, nothing is led to a set without members. */
static void an_empty_set_rejects(void **state)
{
	(void)state;
	const struct expectation reject = SAME("reject");

	for (int policy_local = 0; policy_local < 2; policy_local++) {
		struct world w;
		struct traffic_port t;
		build(&w, 4, IPPROTO_TCP, REMOTE);
		w.s.traffic.external_local = policy_local;
		if (policy_local)
			w.port.has_any = false;
		else
			w.port.n_cluster = 0;
		assert_true(traffic_plan(&pods, &w.s, 0, &t));
		check_ways(&t, TRAFFIC_VIP, &reject);
	}
}

static void ports_that_nobody_can_use(void **state)
{
	(void)state;
	struct world w;
	struct traffic_port t;
	build(&w, 4, IPPROTO_TCP, BOTH);
	struct proxy_port ports[] = { w.port, w.port, w.port, w.port, w.port };
	ports[2].proto = IPPROTO_UDP; /* the same port of another protocol */
	ports[3].proto = IPPROTO_ICMP;
	ports[4].port = 0;
	w.s.ports = ports;
	w.s.n_ports = ARRAY_LEN(ports);
	w.s.traffic.affinity_s = 10800;
	assert_true(traffic_plan(&pods, &w.s, 0, &t));
	assert_int_equal(t.affinity_s, 10800);
	assert_false(traffic_plan(&pods, &w.s, 1, &t));
	assert_true(traffic_plan(&pods, &w.s, 2, &t));
	assert_false(traffic_plan(&pods, &w.s, 3, &t));
	assert_false(traffic_plan(&pods, &w.s, 4, &t));
}

/* As for controllers and speakers, who say whose an address is. */
static void the_older_comes_first(void **state)
{
	(void)state;
	static const struct proxy_half in_order[] = {
		{ .key = "shop/web", .created_us = 1000 },
		{ .key = "a/z", .created_us = 2000 },
		/* A slash ends a namespace, though it sorts behind a hyphen. */
		{ .key = "a-b/c", .created_us = 2000 },
		{ .key = "a-b/d", .created_us = 2000 },
		{ .key = "a/a", .created_us = 0 }, /* nobody knows when */
	};

	for (size_t i = 0; i < ARRAY_LEN(in_order); i++)
		for (size_t k = 0; k < ARRAY_LEN(in_order); k++) {
			int order = traffic_precedence(&in_order[i], &in_order[k]);
			assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
		}
}

/* Hints may lead all traffic of policy Cluster elsewhere, and then there is no short cut to it. */
static void a_short_cut_leads_to_somebody(void **state)
{
	(void)state;
	struct world w;
	struct traffic_port t;

	build(&w, 4, IPPROTO_TCP, HERE);
	w.s.traffic.external_local = true;
	for (uint32_t n = 0; n < 2; n++) {
		w.port.n_cluster = n;
		assert_true(traffic_plan(&pods, &w.s, 0, &t));
		for (int from = 0; from < TRAFFIC_ORIGINS; from++) {
			struct traffic_way way =
				traffic_way(&t, TRAFFIC_VIP, (enum traffic_origin)from, true);
			assert_int_equal(way.fate, TRAFFIC_FORWARD);
			assert_int_equal(way.set, n && from != TRAFFIC_OUTSIDE ? TRAFFIC_CLUSTER_SET
			                                                       : TRAFFIC_LOCAL_SET);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_short_cut_leads_to_somebody),
		cmocka_unit_test(every_class_policy_state_and_origin),
		cmocka_unit_test(masquerade_all_is_for_the_cluster_ip),
		cmocka_unit_test(pods_are_known_by_family),
		cmocka_unit_test(node_ports_have_addresses_by_family),
		cmocka_unit_test(inside_policy_local_needs_no_cluster_set),
		cmocka_unit_test(source_ranges_close_vips_alone),
		cmocka_unit_test(a_range_of_everybody_closes_nothing),
		cmocka_unit_test(only_what_is_led_to_is_used),
		cmocka_unit_test(each_destination_once),
		cmocka_unit_test(an_empty_set_rejects),
		cmocka_unit_test(ports_that_nobody_can_use),
		cmocka_unit_test(the_older_comes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
