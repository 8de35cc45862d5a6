/* SPDX-License-Identifier: Apache-2.0 */
/* How a packet to follow is written, where it may come to, and what speakers say of themselves. */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "cli/follow_private.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"
#include "world.h"

static void a_packet_is_written_so(void **state)
{
	static const struct {
		const char *from, *to;
		const char *want; /* NULL: it is refused */
	} rows[] = {
		{ "10.0.0.9", "192.0.2.1:80", "10.0.0.9 192.0.2.1 80 6" },
		{ "10.0.0.9", "192.0.2.1:65535/udp", "10.0.0.9 192.0.2.1 65535 17" },
		{ "10.0.0.9", "192.0.2.1:1/SCTP", "10.0.0.9 192.0.2.1 1 132" },
		{ "2001:db8::9", "[2001:db8::1]:80/tcp", "2001:db8::9 2001:db8::1 80 6" },
		{ "10.0.0.9", "192.0.2.1", NULL },
		{ "10.0.0.9", "192.0.2.1:", NULL },
		{ "10.0.0.9", "192.0.2.1:0", NULL },
		{ "10.0.0.9", "192.0.2.1:-80", NULL },
		{ "10.0.0.9", "192.0.2.1:+80", NULL },
		{ "10.0.0.9", "192.0.2.1: 80", NULL },
		{ "10.0.0.9", "192.0.2.1:80x", NULL },
		{ "10.0.0.9", "192.0.2.1:65536", NULL },
		{ "10.0.0.9", "192.0.2.1:65616", NULL },
		{ "10.0.0.9", "192.0.2.1:18446744073709551696", NULL },
		{ "10.0.0.9", "192.0.2.1:80/", NULL },
		{ "10.0.0.9", "192.0.2.1:80/icmp", NULL },
		{ "10.0.0.9", "192.0.2.1:80/udp/udp", NULL },
		{ "10.0.0.9", ":80", NULL },
		{ "10.0.0.9", "[:80", NULL },
		{ "10.0.0.9", "/udp", NULL },
		{ "10.0.0.9", "", NULL },
		{ "", "192.0.2.1:80", NULL },
		{ "10.0.0.9:80", "192.0.2.1:80", NULL },
		/* Where the address ends, nobody could tell. */
		{ "2001:db8::9", "2001:db8::1:80", NULL },
		{ "2001:db8::9", "[2001:db8::1:80", NULL },
		{ "2001:db8::9", "2001:db8::1]:80", NULL },
		{ "10.0.0.9", "[2001:db8::1]:80", NULL },
		{ "2001:db8::9", "192.0.2.1:80", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct packet p = { .port = 7 };
		struct err e = ERR_INIT;
		int r = follow_parse(rows[i].from, rows[i].to, &p, &e);
		cleanup_free char *from = r ? NULL : xstrdup(addr_str(&p.from));
		cleanup_free char *got =
			r ? NULL : xasprintf("%s %s %d %d", from, addr_str(&p.to), p.port, p.proto);
		if (r != (rows[i].want ? 0 : -EINVAL) || (got && strcmp(got, rows[i].want) != 0))
			fail_msg("%s to %s: %d %s", rows[i].from, rows[i].to, r, got ? got : e.msg);
		if (r)
			assert_int_equal(p.port, 7);
	}
}

/* ---- nodes ---- */

static struct addr addr(const char *s)
{
	struct addr a;

	assert_int_equal(addr_parse(s, &a), 0);
	return a;
}

/* Not in the order of their names. */
struct cluster {
	struct view *view;
	struct addr at[2], outside[2];
	struct kube_node nodes[2];
	const struct kube_node *list[2];
	struct proxy_options options;
	struct facts_flags flags;
	struct explain *explain;
	struct follow_input in;
};

static void set_up(struct cluster *c)
{
	static char n1[] = "n1", n2[] = "n2";

	*c = (struct cluster){
		.view = view_new(NULL, NULL),
		.at = { addr("10.0.0.2"), addr("10.0.0.1") },
		.outside = { addr("198.51.100.2"), addr("198.51.100.1") },
		.options = { .mode = PROXY_IPTABLES },
		.flags = { .detect_local_mode = "cluster-cidr",
		           .n_cluster_cidrs = 1,
		           .n_node_port_cidrs = 1 },
	};
	assert_int_equal(prefix_parse("10.244.0.0/16", false, &c->flags.cluster_cidrs[0]), 0);
	assert_int_equal(prefix_parse("0.0.0.0/0", false, &c->flags.node_port_cidrs[0]), 0);
	world_configuration(c->view);
	world_service(c->view, "web", "192.0.2.1", "");
	world_slice(c->view, "web", "w", "10.244.1.5@n1 10.244.2.5@n2");
	for (int i = 0; i < 2; i++) {
		c->nodes[i] = (struct kube_node){ .meta.name = i ? n1 : n2,
			                          .internal_ips = &c->at[i],
			                          .n_internal_ips = 1,
			                          .external_ips = &c->outside[i],
			                          .n_external_ips = 1 };
		c->list[i] = &c->nodes[i];
	}
	const struct view_service *s = view_service_named(c->view, "shop/web");
	c->explain = explain_new(c->view, s, c->list, 2, NULL, false);
	c->in = (struct follow_input){ .view = c->view,
		                       .service = s,
		                       .nodes = c->list,
		                       .n_nodes = 2,
		                       .explain = c->explain,
		                       .options = &c->options,
		                       .flags = &c->flags };
}

static void tear_down(struct cluster *c)
{
	explain_free(c->explain);
	view_free(c->view);
}

static void where_a_packet_may_come_to(void **state)
{
	static const struct {
		const char *from, *to, *node;
		enum follow_choice choice;
		const char *nodes;
	} rows[] = {
		{ "203.0.113.9", "192.0.2.1:80", NULL, FOLLOW_EACH, "n1 n2 " },
		{ "203.0.113.9", "10.0.0.1:30080", NULL, FOLLOW_HAS_TARGET, "n1 " },
		{ "203.0.113.9", "198.51.100.2:30080", NULL, FOLLOW_HAS_TARGET, "n2 " },
		{ "203.0.113.9", "10.0.0.1:30080", "n2", FOLLOW_GIVEN, "n2 " },
		{ "203.0.113.9", "10.0.0.1:30080", "n7", FOLLOW_GIVEN, "n7 " },
		/* It is caught where it begins. */
		{ "10.0.0.2", "10.0.0.1:30080", NULL, FOLLOW_HAS_SOURCE, "n2 " },
		{ "10.244.2.5", "10.0.0.1:30080", NULL, FOLLOW_HAS_SOURCE, "n2 " },
		{ "10.244.7.7", "10.0.0.1:30080", NULL, FOLLOW_EACH, "n1 n2 " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup(buf_fini) struct buf got = BUF_INIT;
		struct cluster c;
		struct packet p;
		struct err e = ERR_INIT;
		set_up(&c);
		c.in.node = rows[i].node;
		assert_int_equal(follow_parse(rows[i].from, rows[i].to, &p, &e), 0);
		struct follow *f = follow_new(&c.in, &p);
		follow_run(f);
		for (size_t k = 0; k < f->n_nodes; k++)
			buf_printf(&got, "%s ", f->nodes[k].name);
		if (f->choice != rows[i].choice || strcmp(buf_str(&got), rows[i].nodes) != 0)
			fail_msg("row %zu: %d, %s", i, f->choice, buf_str(&got));
		follow_free(f);
		tear_down(&c);
	}
}

/* Nobody else's Service is looked for where this one has an answer. */
static void another_service_comes_before_a_guard(void **state)
{
	static const struct {
		const char *to;
		bool other;
	} rows[] = { { "192.0.2.1:80", false },
		     { "192.0.2.1:81", false },
		     { "10.96.0.8:80", true },
		     { "10.0.0.1:32100", false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct cluster c;
		struct packet p;
		struct err e = ERR_INIT;
		set_up(&c);
		world_service(c.view, "web", "192.0.2.1",
		              ",'externalTrafficPolicy':'Local','healthCheckNodePort':32100");
		world_put(c.view, "{'kind':'Service','metadata':{'namespace':'shop','name':'other',"
		                  "'uid':'u'},'spec':{'type':'NodePort','clusterIP':'10.96.0.8',"
		                  "'clusterIPs':['10.96.0.8'],'externalIPs':['192.0.2.1'],"
		                  "'ports':[{'port':80,'nodePort':32100}]}}");
		assert_int_equal(follow_parse("203.0.113.9", rows[i].to, &p, &e), 0);
		struct follow *f = follow_new(&c.in, &p);
		follow_run(f);
		if ((f->other != NULL) != rows[i].other)
			fail_msg("%s: %s", rows[i].to, f->other ? f->other->key : "nobody else");
		follow_free(f);
		tear_down(&c);
	}
}

/* ---- speakers ---- */

static void put(struct follow *f, const char *node, const char *status)
{
	struct json_object *obj = json_tokener_parse(status);

	assert_non_null(obj);
	follow_put_speaker(f, node, obj);
	json_object_put(obj);
}

static void each_speaker_speaks_for_its_node(void **state)
{
	struct cluster c;
	struct packet p;
	struct err e = ERR_INIT;

	(void)state;
	set_up(&c);
	assert_int_equal(follow_parse("203.0.113.9", "192.0.2.1:80", &p, &e), 0);
	struct follow *f = follow_new(&c.in, &p);
	const struct follow_node *n1 = &f->nodes[0], *n2 = &f->nodes[1];
	put(f, "n2",
	    "{\"proxy\":{\"mode\":\"nftables\",\"node\":{\"pods_by\":\"source\","
	    "\"pod_cidrs\":[\"10.9.0.0/16\",null,7,\"nonsense\",\"10.8.0.0/16\"],"
	    "\"node_port_cidrs\":[],\"localhost_node_ports\":true,\"masquerade_all\":true}}}");
	assert_int_equal(n1->options.mode, PROXY_IPTABLES);
	assert_int_equal(n1->facts.n_pod_cidrs, 1);
	assert_false(n1->options.masquerade_all || n1->options.localhost_node_ports);
	assert_int_equal(n2->options.mode, PROXY_NFTABLES);
	assert_true(n2->options.masquerade_all && n2->options.localhost_node_ports);
	assert_int_equal(n2->facts.n_node_port_cidrs, 0);
	assert_int_equal(n2->facts.n_pod_cidrs, 2);
	assert_int_equal(n2->facts.pod_cidrs[1].addr.b[1], 8);

	/* By an interface: what was given for Pods counts on. */
	put(f, "n1",
	    "{\"proxy\":{\"node\":{\"pods_by\":\"interface\",\"pod_cidrs\":[\"10.9.0.0/16\"],"
	    "\"node_port_cidrs\":[\"10.0.0.0/8\"]}}}");
	assert_int_equal(n1->options.mode, PROXY_IPTABLES);
	assert_int_equal(n1->options.pods_by, PROXY_PODS_BY_INTERFACE);
	assert_int_equal(n1->facts.pod_cidrs[0].addr.b[1], 244);
	assert_int_equal(n1->facts.node_port_cidrs[0].len, 8);
	put(f, "n1", "{}");
	put(f, "n7", "{\"proxy\":{\"mode\":\"nftables\"}}");
	assert_int_equal(n1->options.mode, PROXY_IPTABLES);
	follow_free(f);
	tear_down(&c);
}

/* Nodes that pick by another scheduler than others stand apart. */
static void a_scheduler_that_a_node_lacks_is_named(void **state)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;
	struct cluster c;
	struct packet p;
	struct err e = ERR_INIT;
	struct out o;

	(void)state;
	set_up(&c);
	assert_int_equal(follow_parse("203.0.113.9", "192.0.2.1:80", &p, &e), 0);
	struct follow *f = follow_new(&c.in, &p);
	put(f, "n1",
	    "{\"proxy\":{\"mode\":\"ipvs\",\"families\":[null,{\"family\":4,\"substituted\":["
	    "{\"service\":\"shop/other\",\"scheduler\":\"mh\"},7]}]}}");
	put(f, "n2",
	    "{\"proxy\":{\"mode\":\"ipvs\",\"families\":[{\"family\":6,\"substituted\":["
	    "{\"service\":\"shop/web\",\"scheduler\":\"lc\"}]},{\"family\":4,\"substituted\":["
	    "{\"service\":\"shop/web\"},{\"service\":\"shop/web\",\"scheduler\":\"rr\"}]}]}}");
	assert_null(f->nodes[0].substitute);
	assert_string_equal(f->nodes[1].substitute, "rr");
	out_init(&o, OUT_TEXT, &text);
	follow_print(f, &o);
	out_fini(&o);
	assert_non_null(strstr(buf_str(&text), "IPVS picks the endpoint, by mh, the default."));
	assert_non_null(strstr(buf_str(&text), "SchedulerMissing: its kernel lacks the scheduler "
	                                       "mh (module ip_vs_mh), the default; rr picks"));
	follow_free(f);
	tear_down(&c);
}

/* By the mode of each node. */
static void what_is_too_large_is_not_carried(void **state)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;
	struct cluster c;
	struct packet p;
	struct err e = ERR_INIT;
	struct out o;

	(void)state;
	set_up(&c);
	for (int k = 0; k < 11; k++) {
		cleanup(buf_fini) struct buf endpoints = BUF_INIT;
		cleanup_free char *name = xasprintf("w%d", k);
		for (int i = 0; i < 1000; i++)
			buf_printf(&endpoints, "10.%d.%d.%d ", k, i / 250, i % 250);
		world_slice(c.view, "web", name, buf_str(&endpoints));
	}
	assert_int_equal(follow_parse("203.0.113.9", "192.0.2.1:80", &p, &e), 0);
	struct follow *f = follow_new(&c.in, &p);
	put(f, "n2", "{\"proxy\":{\"mode\":\"nftables\"}}");
	out_init(&o, OUT_TEXT, &text);
	follow_print(f, &o);
	out_fini(&o);
	assert_non_null(strstr(buf_str(&text), "forward nothing for the Service in IPv4: TooLarge: "
	                                       "the Service has more ports and endpoints"));
	assert_false(f->nodes[0].carried);
	assert_true(f->nodes[1].carried);
	follow_free(f);
	tear_down(&c);
}

/* A speaker's list is what came from the network. */
static void a_list_without_end_is_cut(void **state)
{
	cleanup(buf_fini) struct buf status = BUF_INIT;
	struct cluster c;
	struct packet p;
	struct err e = ERR_INIT;

	(void)state;
	set_up(&c);
	buf_puts(&status, "{\"proxy\":{\"node\":{\"node_port_cidrs\":[\"10.0.0.0/8\"");
	for (int i = 0; i < 1000; i++)
		buf_puts(&status, ",\"10.0.0.0/8\"");
	buf_puts(&status, "]}}}");
	assert_int_equal(follow_parse("203.0.113.9", "192.0.2.1:80", &p, &e), 0);
	struct follow *f = follow_new(&c.in, &p);
	put(f, "n1", buf_str(&status));
	assert_int_equal(f->nodes[0].facts.n_node_port_cidrs, PROXY_CIDRS_MAX);
	follow_free(f);
	tear_down(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_is_written_so),
		cmocka_unit_test(where_a_packet_may_come_to),
		cmocka_unit_test(another_service_comes_before_a_guard),
		cmocka_unit_test(each_speaker_speaks_for_its_node),
		cmocka_unit_test(a_scheduler_that_a_node_lacks_is_named),
		cmocka_unit_test(what_is_too_large_is_not_carried),
		cmocka_unit_test(a_list_without_end_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
