/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include "fairlead/buf.h"
#include "fairlead/decide.h"
#include "fairlead/mem.h"
#include "world.h"

static struct view *world(void)
{
	struct view *v = view_new("n1", NULL);

	world_configuration(v);
	world_node(v, "n1");
	world_node(v, "n2");
	world_put(v, "{'kind':'Node','metadata':{'name':'n3','uid':'u','labels':"
	             "{'node.kubernetes.io/exclude-from-external-load-balancers':''}}}");
	world_put(v, "{'kind':'Node','metadata':{'name':'n4','uid':'u'},'status':{'conditions':["
	             "{'type':'NetworkUnavailable','status':'True'}]}}");
	return v;
}

#define LOCAL ",'externalTrafficPolicy':'Local'"

static void announce_rules(void **state)
{
	(void)state;
	static const struct {
		const char *what, *ip, *spec, *endpoints, *node;
		enum reason reason;
		const char *says; /* in the message, NULL: whatever */
	} cases[] = {
		{ "plain", "192.0.2.1", "", "10.1.1.1@n1", "n1", REASON_Candidate, NULL },
		{ "plain, on a node without endpoints", "192.0.2.1", "", "10.1.1.1@n1", "n2",
		  REASON_Candidate, NULL },
		{ "endpoint without a node", "192.0.2.1", "", "10.1.1.1", "n2", REASON_Candidate,
		  NULL },
		{ "no slice", "192.0.2.1", "", NULL, "n1", REASON_NoEndpoints, NULL },
		{ "empty slice", "192.0.2.1", "", "", "n1", REASON_NoEndpoints, NULL },
		{ "unready", "192.0.2.1", "", "10.1.1.1@n1!", "n1", REASON_NoEndpoints, NULL },
		{ "terminating, serving", "192.0.2.1", "", "10.1.1.1@n1~", "n1", REASON_Candidate,
		  NULL },
		{ "unready and one that serves on", "192.0.2.1", "", "10.1.1.1@n1! 10.1.2.1@n2~",
		  "n1", REASON_Candidate, NULL },
		{ "local, here", "192.0.2.1", LOCAL, "10.1.1.1@n1", "n1", REASON_Candidate, NULL },
		{ "local, elsewhere", "192.0.2.1", LOCAL, "10.1.1.1@n1", "n2",
		  REASON_NoLocalEndpoint, "n2" },
		{ "local, unready here", "192.0.2.1", LOCAL, "10.1.1.1@n1! 10.1.2.1@n2", "n1",
		  REASON_NoLocalEndpoint, NULL },
		{ "local, only terminating here", "192.0.2.1", LOCAL, "10.1.1.1@n1~ 10.1.2.1@n2",
		  "n1", REASON_Candidate, NULL },
		{ "local, without a node", "192.0.2.1", LOCAL, "10.1.1.1", "n1",
		  REASON_NoLocalEndpoint, NULL },
		{ "local, none at all", "192.0.2.1", LOCAL, "10.1.1.1@n1!", "n1",
		  REASON_NoEndpoints, NULL },
		{ "unknown node", "192.0.2.1", "", "10.1.1.1@n9", "n9", REASON_NodeUnknown, "n9" },
		{ "excluded node", "192.0.2.1", "", "10.1.1.1@n3", "n3", REASON_NodeExcluded,
		  "n3" },
		{ "node without network", "192.0.2.1", "", "10.1.1.1@n4", "n4",
		  REASON_NetworkUnavailable, "n4" },
		{ "outside the pools", "203.0.113.1", "", "10.1.1.1@n1", "n1",
		  REASON_AddressNotInPool, "203.0.113.1" },
		{ "pool of BGP only", "198.51.100.1", "", "10.1.1.1@n1", "n1",
		  REASON_ProtocolUnsupported, "far" },
		{ "IPv6", "2001:db8::1", "", "10.1.1.1@n1", "n1", REASON_FamilyUnsupported, NULL },
		{ "other class", "192.0.2.1", ",'loadBalancerClass':'example.com/x'", "10.1.1.1@n1",
		  "n1", REASON_OtherClass, "example.com/x" },
		{ "other port name", "192.0.2.1", ",'ports':[{'name':'x','port':80}]",
		  "10.1.1.1@n1", "n1", REASON_NoEndpoints, NULL },
		{ "other protocol", "192.0.2.1", ",'ports':[{'protocol':'UDP','port':80}]",
		  "10.1.1.1@n1", "n1", REASON_NoEndpoints, NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct view *v = world();
		struct addr a;
		cleanup(buf_fini) struct buf message = BUF_INIT;
		world_service(v, "web", cases[i].ip, cases[i].spec);
		if (cases[i].endpoints)
			world_slice(v, "web", "web-1", cases[i].endpoints);
		addr_parse(cases[i].ip, &a);
		const struct view_service *s = view_service_named(v, "shop/web");
		struct decision d = decide(v, s, &a, cases[i].node, DECIDE_LAYER2);
		decide_message(&d, v, s, &a, cases[i].node, &message);
		if (d.reason != cases[i].reason)
			fail_msg("%s: %s, not %s", cases[i].what, reason_name(d.reason),
			         reason_name(cases[i].reason));
		if (!strstr(buf_str(&message), reason_sentence(d.reason)) ||
		    (cases[i].says && !strstr(buf_str(&message), cases[i].says)))
			fail_msg("%s: %s", cases[i].what, buf_str(&message));
		view_free(v);
	}
}

/* Every node that may serve announces, and in both families. */
static void every_node_announces_by_bgp(void **state)
{
	static const struct {
		const char *what, *ip, *spec, *endpoints, *node;
		enum reason reason;
	} cases[] = {
		{ "no endpoint here", "198.51.100.1", "", "10.1.1.1@n1", "n2", REASON_Candidate },
		{ "local, here", "198.51.100.1", LOCAL, "10.1.1.1@n1", "n1", REASON_Candidate },
		{ "local, elsewhere", "198.51.100.1", LOCAL, "10.1.1.1@n1", "n2",
		  REASON_NoLocalEndpoint },
		{ "no endpoint", "198.51.100.1", "", "10.1.1.1@n1!", "n1", REASON_NoEndpoints },
		{ "excluded node", "198.51.100.1", "", "10.1.1.1@n1", "n3", REASON_NodeExcluded },
		{ "node without network", "198.51.100.1", "", "10.1.1.1@n1", "n4",
		  REASON_NetworkUnavailable },
		{ "pool of layer 2", "192.0.2.1", "", "10.1.1.1@n1", "n1",
		  REASON_ProtocolUnsupported },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct view *v = world();
		struct addr a;
		world_service(v, "web", cases[i].ip, cases[i].spec);
		world_slice(v, "web", "web-1", cases[i].endpoints);
		addr_parse(cases[i].ip, &a);
		enum reason reason =
			decide(v, view_service_named(v, "shop/web"), &a, cases[i].node, DECIDE_BGP)
				.reason;
		if (reason != cases[i].reason)
			fail_msg("%s: %s, not %s", cases[i].what, reason_name(reason),
			         reason_name(cases[i].reason));
		view_free(v);
	}
}

static struct decision decide_for(struct view *v, const char *key, const char *ip)
{
	struct addr a = { 0 };

	if (ip)
		addr_parse(ip, &a);
	return decide(v, view_service_named(v, key), ip ? &a : NULL, "n1", DECIDE_LAYER2);
}

static void services_that_want_no_address(void **state)
{
	(void)state;
	struct view *v = world();

	world_put(v, "{'kind':'Service','metadata':{'namespace':'shop','name':'inner','uid':'u'},"
	             "'spec':{'type':'NodePort','clusterIP':'10.96.0.8','clusterIPs':['10.96.0.8'],"
	             "'ports':[{'port':80}]}}");
	assert_int_equal(decide_for(v, "shop/inner", NULL).reason, REASON_NotLoadBalancer);
	world_put(
		v,
		"{'kind':'Service','metadata':{'namespace':'shop','name':'new','uid':'u'},"
		"'spec':{'type':'LoadBalancer','clusterIP':'10.96.0.8','clusterIPs':['10.96.0.8'],"
		"'ports':[{'port':80}]}}");
	assert_int_equal(decide_for(v, "shop/new", NULL).reason, REASON_NoAddress);
	assert_int_equal(decide_for(v, "shop/new", "192.0.2.1").reason, REASON_NoAddress);
	world_put(
		v,
		"{'kind':'Service','metadata':{'namespace':'shop','name':'going','uid':'u',"
		"'deletionTimestamp':'2026-01-01T00:00:00Z'},"
		"'spec':{'type':'LoadBalancer','clusterIP':'10.96.0.8','clusterIPs':['10.96.0.8'],"
		"'ports':[{'port':80}]},'status':{'loadBalancer':{'ingress':[{'ip':'192.0.2.1'}]}}"
		"}");
	world_slice(v, "going", "g", "10.1.1.1@n1");
	assert_int_equal(decide_for(v, "shop/going", "192.0.2.1").reason, REASON_Deleting);
	world_put(
		v,
		"{'kind':'Service','metadata':{'namespace':'shop','name':'proxied','uid':'u'},"
		"'spec':{'type':'LoadBalancer','clusterIP':'10.96.0.8','clusterIPs':['10.96.0.8'],"
		"'ports':[{'port':80}]},'status':{'loadBalancer':{'ingress':["
		"{'ip':'192.0.2.1','ipMode':'Proxy'}]}}}");
	world_slice(v, "proxied", "p", "10.1.1.1@n1");
	assert_int_equal(decide_for(v, "shop/proxied", "192.0.2.1").reason, REASON_IpModeProxy);
	view_free(v);
}

static void nothing_without_a_configuration(void **state)
{
	(void)state;
	struct view *v = view_new("n1", NULL);

	world_node(v, "n1");
	world_service(v, "web", "192.0.2.1", "");
	world_slice(v, "web", "web-1", "10.1.1.1@n1");
	assert_int_equal(decide_for(v, "shop/web", "192.0.2.1").reason, REASON_NoConfiguration);
	view_free(v);
}

static void the_earlier_claimant_serves(void **state)
{
	(void)state;
	struct view *v = world();
	cleanup(buf_fini) struct buf message = BUF_INIT;
	struct addr a;

	addr_parse("192.0.2.1", &a);
	world_service(v, "web", "192.0.2.1", "");
	world_slice(v, "web", "web-1", "10.1.1.1@n1");
	world_service(v, "api", "192.0.2.1", "");
	world_slice(v, "api", "api-1", "10.1.1.2@n1");
	assert_int_equal(decide_for(v, "shop/api", "192.0.2.1").reason, REASON_Candidate);
	struct decision d = decide_for(v, "shop/web", "192.0.2.1");
	assert_int_equal(d.reason, REASON_AddressShared);
	decide_message(&d, v, view_service_named(v, "shop/web"), &a, "n1", &message);
	assert_non_null(strstr(buf_str(&message), "shop/api"));
	view_free(v);
}

/* "10.1.1.1:8080 10.1.1.2:8080L" */
static const char *text_of(const struct proxy_endpoint *eps, size_t n, struct buf *out)
{
	buf_clear(out);
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "%s%s:%u%s", i ? " " : "", addr_str(&eps[i].addr), eps[i].port,
		           eps[i].local ? "L" : "");
	return buf_str(out);
}

static void endpoint_selection(void **state)
{
	(void)state;
	static const char internal_local[] = ",'internalTrafficPolicy':'Local'";
	static const struct {
		const char *what, *spec, *one, *two; /* the endpoints of two slices */
		const char *cluster, *local;
		bool has_any;
	} cases[] = {
		{ "none", "", "", NULL, "", "", false },
		{ "ready ones", "", "10.1.1.2@n1 10.1.1.1@n2 10.1.1.3@n2!", NULL,
		  "10.1.1.1:8080 10.1.1.2:8080L", "", true },
		{ "terminating ones count while nobody is ready", "",
		  "10.1.1.1@n1~ 10.1.1.2@n2~ 10.1.1.3@n2!", NULL, "10.1.1.1:8080L 10.1.1.2:8080",
		  "", true },
		{ "no terminating ones while somebody is", "", "10.1.1.1@n1~ 10.1.1.2@n2", NULL,
		  "10.1.1.2:8080", "", true },
		{ "local set", LOCAL, "10.1.1.1@n1 10.1.1.2@n2", NULL,
		  "10.1.1.1:8080L 10.1.1.2:8080", "10.1.1.1:8080L", true },
		{ "local set falls back by itself", LOCAL, "10.1.1.1@n1~ 10.1.1.2@n2", NULL,
		  "10.1.1.2:8080", "10.1.1.1:8080L", true },
		{ "local, none here", LOCAL, "10.1.1.2@n2", NULL, "10.1.1.2:8080", "", true },
		{ "internal local uses both when reached from outside", internal_local,
		  "10.1.1.1@n1 10.1.1.2@n2", NULL, "10.1.1.1:8080L 10.1.1.2:8080", "10.1.1.1:8080L",
		  true },
		{ "in two slices once, local if either says so", LOCAL, "10.1.1.1 10.1.1.2@n2",
		  "10.1.1.1@n1", "10.1.1.1:8080L 10.1.1.2:8080", "10.1.1.1:8080L", true },
		{ "in two slices, ready in one", "", "10.1.1.1@n1!", "10.1.1.1@n1",
		  "10.1.1.1:8080L", "", true },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct view *v = world();
		cleanup(buf_fini) struct buf text = BUF_INIT;
		struct decide_endpoints e;
		world_service(v, "web", "192.0.2.1", cases[i].spec);
		world_slice(v, "web", "web-1", cases[i].one);
		if (cases[i].two)
			world_slice(v, "web", "web-2", cases[i].two);
		const struct view_service *s = view_service_named(v, "shop/web");
		decide_endpoints(s, &s->ports[0], 4, "n1", &e);
		print_message("%s\n", cases[i].what);
		assert_string_equal(text_of(e.cluster, e.n_cluster, &text), cases[i].cluster);
		assert_string_equal(text_of(e.local, e.n_local, &text), cases[i].local);
		assert_int_equal(e.has_any, cases[i].has_any);
		decide_endpoints_fini(&e);
		decide_endpoints(s, &s->ports[0], 6, "n1", &e);
		assert_false(e.has_any);
		decide_endpoints_fini(&e);
		view_free(v);
	}
}

static void inner_services_use_what_they_can(void **state)
{
	(void)state;
	struct view *v = world();
	struct decide_endpoints e;

	world_put(v,
	          "{'kind':'Service','metadata':{'namespace':'shop','name':'inner','uid':'u'},"
	          "'spec':{'type':'ClusterIP','clusterIP':'10.96.0.8','clusterIPs':['10.96.0.8'],"
	          "'internalTrafficPolicy':'Local','ports':[{'port':80}]}}");
	world_slice(v, "inner", "i", "10.1.1.2@n2");
	const struct view_service *s = view_service_named(v, "shop/inner");
	assert_false(decide_is_external(s, &s->ports[0], 4));
	decide_endpoints(s, &s->ports[0], 4, "n1", &e);
	assert_int_equal(e.n_cluster, 0);
	assert_int_equal(e.n_local, 0);
	assert_true(e.has_any);
	decide_endpoints_fini(&e);
	view_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(announce_rules),
		cmocka_unit_test(every_node_announces_by_bgp),
		cmocka_unit_test(services_that_want_no_address),
		cmocka_unit_test(nothing_without_a_configuration),
		cmocka_unit_test(the_earlier_claimant_serves),
		cmocka_unit_test(endpoint_selection),
		cmocka_unit_test(inner_services_use_what_they_can),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
