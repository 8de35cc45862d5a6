/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include "fairlead/buf.h"
#include "fairlead/decide.h"
#include "fairlead/mem.h"
#include "fairlead/size.h"
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
	             "{'type':'NetworkUnavailable','status':'True'}],'addresses':["
	             "{'type':'InternalIP','address':'203.0.113.99'}]}}");
	return v;
}

static enum reason reason_for(struct view *v, const char *key, const char *ip, const char *node,
                              enum protocol protocol)
{
	struct addr a = { 0 };

	if (ip)
		addr_parse(ip, &a);
	struct decision d = decide_address(v, view_service_named(v, key), ip ? &a : NULL);
	return decide_node(&d, node, protocol);
}

#define LOCAL ",'externalTrafficPolicy':'Local'"

/* See machines_keep_their_ports(). */
static void world_machines(struct view *v)
{
	world_put(v,
	          "{'kind':'EndpointSlice','metadata':{'namespace':'default','name':'kubernetes',"
	          "'uid':'u','labels':{'kubernetes.io/service-name':'kubernetes'}},"
	          "'addressType':'IPv4','endpoints':[{'addresses':['192.0.2.10']}],"
	          "'ports':[{'name':'https','port':6443}]}");
	world_put(v, "{'kind':'Node','metadata':{'name':'n7','uid':'u'},'status':{'addresses':["
	             "{'type':'InternalIP','address':'192.0.2.11'},"
	             "{'type':'ExternalIP','address':'192.0.2.12'},"
	             "{'type':'Hostname','address':'192.0.2.1'}]}}");
	world_put(v,
	          "{'kind':'ConfigMap','metadata':{'namespace':'fairlead-system',"
	          "'name':'fairlead-active','uid':'u'},'data':{'config':'"
	          "address-pools:\\n"
	          "- {name: lan, protocol: layer2, addresses: [192.0.2.0/24]}\\n"
	          "- {name: out, protocol: layer2, addresses: [100.64.1.0/24], use: external-ip}\\n"
	          "peers: [{my-asn: 64500, peer-asn: 64501, peer-address: 192.0.2.13}]\\n"
	          "external-ips: {allow: [203.0.113.0/25], namespaces: [shop]}\\n'}}");
}

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
		{ "local, only terminating here, ready elsewhere", "192.0.2.1", LOCAL,
		  "10.1.1.1@n1~ 10.1.2.1@n2", "n1", REASON_LocalEndpointEnding, "n1" },
		{ "the node that has the ready one", "192.0.2.1", LOCAL, "10.1.1.1@n1~ 10.1.2.1@n2",
		  "n2", REASON_Candidate, NULL },
		{ "local, terminating and ready here", "192.0.2.1", LOCAL,
		  "10.1.1.1@n1~ 10.1.1.2@n1 10.1.2.1@n2", "n1", REASON_Candidate, NULL },
		{ "local, only terminating ones", "192.0.2.1", LOCAL, "10.1.1.1@n1~ 10.1.2.1@n2~",
		  "n1", REASON_Candidate, NULL },
		{ "local, unready elsewhere", "192.0.2.1", LOCAL, "10.1.1.1@n1~ 10.1.2.1@n2!", "n1",
		  REASON_Candidate, NULL },
		{ "local, ready on an excluded node", "192.0.2.1", LOCAL,
		  "10.1.1.1@n1~ 10.1.2.1@n3", "n1", REASON_Candidate, NULL },
		{ "local, ready on a node without network", "192.0.2.1", LOCAL,
		  "10.1.1.1@n1~ 10.1.2.1@n4", "n1", REASON_Candidate, NULL },
		{ "local, ready on an unknown node", "192.0.2.1", LOCAL, "10.1.1.1@n1~ 10.1.2.1@n9",
		  "n1", REASON_Candidate, NULL },
		{ "local, ready without a node", "192.0.2.1", LOCAL, "10.1.1.1@n1~ 10.1.2.1", "n1",
		  REASON_Candidate, NULL },
		{ "policy Cluster, terminating here", "192.0.2.1", "", "10.1.1.1@n1~ 10.1.2.1@n2",
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
		{ "IPv6", "2001:db8::1", "", "10.1.1.1@n1", "n1", REASON_NoEndpoints, NULL },
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
		struct decision d = decide_address(v, s, &a);
		enum reason reason = decide_node(&d, cases[i].node, PROTOCOL_LAYER2);
		decide_message(&d, reason, cases[i].node, &message);
		if (reason != cases[i].reason)
			fail_msg("%s: %s, not %s", cases[i].what, reason_name(reason),
			         reason_name(cases[i].reason));
		if (!strstr(buf_str(&message), reason_sentence(reason)) ||
		    (cases[i].says && !strstr(buf_str(&message), cases[i].says)))
			fail_msg("%s: %s", cases[i].what, buf_str(&message));
		view_free(v);
	}
}

/* With the label nobody carries the Service; with the other one, another proxy does. */
static void labels_for_proxies(void **state)
{
	(void)state;
	static const struct {
		const char *label;
		enum reason reason;
	} cases[] = {
		{ "", REASON_Candidate },
		{ "'service.kubernetes.io/headless':''", REASON_NoProxy },
		{ "'service.kubernetes.io/service-proxy-name':'other'", REASON_Candidate },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct view *v = world();
		struct addr a;
		cleanup_free char *service = xasprintf(
			"{'kind':'Service','metadata':{'namespace':'shop','name':'web','uid':'u',"
			"'labels':{%s}},'spec':{'type':'LoadBalancer','clusterIP':'10.96.0.8',"
			"'clusterIPs':['10.96.0.8'],'ports':[{'port':80}]},'status':"
			"{'loadBalancer':{'ingress':[{'ip':'192.0.2.1'}]}}}",
			cases[i].label);
		world_put(v, "%s", service);
		world_slice(v, "web", "web-1", "10.1.1.1@n1");
		addr_parse("192.0.2.1", &a);
		assert_int_equal(decide_address(v, view_service_named(v, "shop/web"), &a).reason,
		                 cases[i].reason);
		view_free(v);
	}
}

/* @n_slices slices of @n endpoints that serve all of @n_ports ports. */
static void large_service(struct view *v, size_t n_ports, size_t n_slices, size_t n,
                          const char *more)
{
	cleanup(buf_fini) struct buf ports = BUF_INIT, spec = BUF_INIT;

	for (size_t i = 0; i < n_ports; i++)
		buf_printf(&ports, "%s{'name':'p%zu','port':%zu}", i ? "," : "", i, 1000 + i);
	buf_printf(&spec, ",'ports':[%s]%s", buf_str(&ports), more);
	world_service(v, "web", "192.0.2.1", buf_str(&spec));
	for (size_t k = 0; k < n_slices; k++) {
		cleanup(buf_fini) struct buf eps = BUF_INIT;
		for (size_t i = 0; i < n; i++)
			buf_printf(&eps,
			           "%s{'addresses':['10.%zu.%zu.%zu'],'conditions':{'ready':true}}",
			           i ? "," : "", 1 + k, i / 256, i % 256);
		world_put(v,
		          "{'kind':'EndpointSlice','metadata':{'namespace':'shop','name':'s%zu',"
		          "'uid':'u','labels':{'kubernetes.io/service-name':'web'}},"
		          "'addressType':'IPv4','ports':[%s],'endpoints':[%s]}",
		          k, buf_str(&ports), buf_str(&eps));
	}
}

static void a_service_has_a_size(void **state)
{
	(void)state;
	static const struct {
		size_t ports, slices, endpoints;
		const char *more;
		bool forwards, by_rules;
		enum reason reason;
	} cases[] = {
		{ 1, 1, 1000, "", true, true, REASON_Candidate },
		{ 9, 1, 1000, "", true, true, REASON_Candidate },
		{ 10, 1, 1000, "", true, true, REASON_TooLarge },
		{ 1, 10, 1000, "", true, true, REASON_TooLarge },
		{ 50, 1, 1000, "", true, true, REASON_TooLarge },
		{ 256, 4, 1000, "", true, true, REASON_TooLarge },
		{ 9, 1, 1000, ",'sessionAffinity':'ClientIP'", true, true, REASON_TooLarge },
		{ 9, 1, 1000, LOCAL, true, true, REASON_TooLarge },
		{ 50, 1, 1000, "", false, true, REASON_Candidate }, /* kube-proxy's to judge */
		{ 50, 1, 1000, "", true, false, REASON_Candidate },
		{ 256, 4, 1000, "", true, false, REASON_Candidate },
		{ 256, 4, 1000, LOCAL, true, false, REASON_Candidate },
		{ 256, 4, 1000, ",'sessionAffinity':'ClientIP'", true, false, REASON_Candidate },
		{ 256, 10, 1000, "", true, false, REASON_TooLarge },
		{ 256, 5, 1000, LOCAL, true, false, REASON_TooLarge },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct view *v = world();
		struct addr a;
		view_set_node_rules(v, (struct view_node_rules){ .forwards = cases[i].forwards,
		                                                 .by_rules = cases[i].by_rules });
		large_service(v, cases[i].ports, cases[i].slices, cases[i].endpoints,
		              cases[i].more);
		addr_parse("192.0.2.1", &a);
		struct decision d = decide_address(v, view_service_named(v, "shop/web"), &a);
		if (d.reason != cases[i].reason)
			fail_msg("%zu: %s", i, reason_name(d.reason));
		view_free(v);
	}
}

/*
 * Endpoints that serve are looked at for each port, whether they are used or not, and so they are
 * in the bound; all others are passed over, and those that only terminate have no rules.  What the
 * Service may not have anyway is said without counting.
 */
static void endpoints_that_are_not_used_count(void **state)
{
	(void)state;
	static const struct {
		const char *conditions, *ip;
		enum reason reason;
		bool large; /* it is looked at piece by piece */
	} cases[] = {
		{ "'ready':true", "192.0.2.1", REASON_TooLarge, true },
		{ "'ready':false,'serving':true", "192.0.2.1", REASON_TooLarge, true },
		{ "'ready':false,'serving':true,'terminating':true", "192.0.2.1", REASON_TooLarge,
		  true },
		{ "'ready':false,'serving':false,'terminating':true", "192.0.2.1", REASON_Candidate,
		  true },
		{ "'ready':false,'serving':false", "192.0.2.1", REASON_Candidate, false },
		{ "'ready':true", "7.7.7.7", REASON_ExternalIpNotAllowed, true },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct view *v = world();
		cleanup(buf_fini) struct buf ports = BUF_INIT, eps = BUF_INIT;
		struct addr a;

		view_set_node_rules(v,
		                    (struct view_node_rules){ .forwards = true, .by_rules = true });
		for (size_t k = 0; k < 50; k++)
			buf_printf(&ports, "%s{'name':'p%zu','port':%zu,'protocol':'UDP'}",
			           k ? "," : "", k, k + 1);
		for (size_t k = 0; k < 1000; k++)
			buf_printf(&eps, "%s{'addresses':['10.1.%zu.%zu'],'conditions':{%s}}",
			           k ? "," : "", k / 250, k % 250 + 1, cases[i].conditions);
		world_put(
			v,
			"{'kind':'Service','metadata':{'namespace':'shop','name':'web','uid':'u'},"
			"'spec':{'type':'LoadBalancer','clusterIP':'10.96.0.7','clusterIPs':["
			"'10.96.0.7'],'externalIPs':['7.7.7.7'],'ports':[%s]},"
			"'status':{'loadBalancer':{'ingress':[{'ip':'192.0.2.1'}]}}}",
			buf_str(&ports));
		world_put(v,
		          "{'kind':'EndpointSlice','metadata':{'namespace':'shop','name':'s',"
		          "'uid':'u','labels':{'kubernetes.io/service-name':'web'}},"
		          "'addressType':'IPv4','ports':[%s],'endpoints':[%s]}",
		          buf_str(&ports), buf_str(&eps));
		const struct view_service *s = view_service_named(v, "shop/web");
		addr_parse(cases[i].ip, &a);
		struct decision d = decide_address(v, s, &a);
		if (d.reason != cases[i].reason)
			fail_msg("%zu: %s", i, reason_name(d.reason));
		if (size_is_large(s) != cases[i].large)
			fail_msg("%zu: large or not", i);
		view_free(v);
	}
}

/* A slice may have thousands of ports, in any order; those without a number lead nowhere. */
static void a_slices_ports_are_found_by_name_and_protocol(void **state)
{
	(void)state;
	struct view *v = world();

	world_service(v, "web", "192.0.2.1",
	              ",'ports':[{'name':'b','port':80},{'name':'a','port':81,'protocol':'UDP'},"
	              "{'name':'c','port':82},{'name':'d','port':83},"
	              "{'name':'a','port':84}]");
	world_put(v, "{'kind':'EndpointSlice','metadata':{'namespace':'shop','name':'s','uid':'u',"
	             "'labels':{'kubernetes.io/service-name':'web'}},'addressType':'IPv4',"
	             "'ports':[{'name':'d'},{'name':'a','port':1,'protocol':'UDP'},"
	             "{'name':'z','port':2},{'name':'b','port':3},{'name':'a','port':4}],"
	             "'endpoints':[{'addresses':['10.1.1.1']}]}");
	static const uint16_t found[] = { 3, 1, 0, 0, 4 };
	const struct view_service *s = view_service_named(v, "shop/web");
	for (size_t i = 0; i < ARRAY_LEN(found); i++) {
		struct decide_endpoints e;
		decide_endpoints(s, &s->ports[i], 4, "n1", NULL, &e);
		assert_int_equal(e.n_cluster, found[i] != 0);
		assert_int_equal(found[i] ? e.cluster[0].port : 0, found[i]);
		decide_endpoints_fini(&e);
	}
	view_free(v);
}

/* Endpoints and nodes are no matter of the configuration. */
static void a_configuration_brings_addresses_on_the_air(void **state)
{
	static const char peer[] =
		"peers: [{my-asn: 64500, peer-asn: 64501, peer-address: 10.0.0.9}]\\n";
	static const struct {
		const char *ip, *protocols, *peers;
		enum reason layer2, bgp;
	} cases[] = {
		{ "192.0.2.1", "layer2", peer, REASON_Candidate, REASON_ProtocolUnsupported },
		{ "192.0.2.1", "bgp", "", REASON_ProtocolUnsupported, REASON_BgpNoPeer },
		{ "192.0.2.1", "bgp", peer, REASON_ProtocolUnsupported, REASON_Candidate },
		{ "192.0.2.1", "[layer2, bgp]", "", REASON_Candidate, REASON_BgpNoPeer },
		{ "2001:db8::1", "[layer2, bgp]", peer, REASON_Candidate, REASON_Candidate },
		{ "2001:db8::1", "layer2", "", REASON_Candidate, REASON_ProtocolUnsupported },
		{ "192.0.2.9", "layer2", peer, REASON_AddressNotInPool, REASON_AddressNotInPool },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct view *v = view_new("", NULL);
		struct addr a;

		world_put(v,
		          "{'kind':'ConfigMap','metadata':{'namespace':'fairlead-system',"
		          "'name':'fairlead-active','uid':'u'},'data':{'config':'"
		          "address-pools: [{name: p, protocol: %s, addresses: "
		          "[192.0.2.0/29, 2001:db8::/120]}]\\n%s'}}",
		          cases[i].protocols, cases[i].peers);
		world_service(v, "web", cases[i].ip, ",'externalTrafficPolicy':'Local'");
		assert_int_equal(addr_parse(cases[i].ip, &a), 0);
		struct decision d = decide_address(v, view_service_named(v, "shop/web"), &a);
		enum reason layer2 = decide_anywhere(&d, PROTOCOL_LAYER2);
		enum reason bgp = decide_anywhere(&d, PROTOCOL_BGP);
		if (layer2 != cases[i].layer2 || bgp != cases[i].bgp)
			fail_msg("case %zu: %s, %s", i, reason_name(layer2), reason_name(bgp));
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
		{ "local, terminating here, ready elsewhere", "198.51.100.1", LOCAL,
		  "10.1.1.1@n1~ 10.1.2.1@n2", "n1", REASON_LocalEndpointEnding },
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
			reason_for(v, "shop/web", cases[i].ip, cases[i].node, PROTOCOL_BGP);
		if (reason != cases[i].reason)
			fail_msg("%s: %s, not %s", cases[i].what, reason_name(reason),
			         reason_name(cases[i].reason));
		view_free(v);
	}
}

#define L2 PROTOCOL_LAYER2
#define BGP PROTOCOL_BGP

static void a_service_or_its_pool_may_hold_what_is_ending(void **state)
{
	static const char configuration[] =
		"{'kind':'ConfigMap','metadata':{'namespace':'fairlead-system',"
		"'name':'fairlead-active','uid':'u',"
		"'annotations':{'fairlead.io/generation':'%d'}},'data':{'config':'"
		"address-pools:\\n"
		"- {name: p, protocol: layer2, addresses: [192.0.2.0/24]%s}\\n'}}";
	static const char service[] =
		"{'kind':'Service','metadata':{'namespace':'shop','name':'web','uid':'u',"
		"'annotations':{'fairlead.io/terminating':'%s'}},'spec':{'type':'LoadBalancer',"
		"'clusterIP':'10.96.0.9','clusterIPs':['10.96.0.9'],'ports':[{'port':80}]" LOCAL
		"},'status':{'loadBalancer':{'ingress':[{'ip':'192.0.2.1'}]}}}";
	static const struct {
		const char *pool, *value;
		enum reason reason;
		bool news;
	} cases[] = {
		{ "", "hold", REASON_Candidate, true },
		{ "", "give-way", REASON_LocalEndpointEnding, true },
		{ "", "", REASON_LocalEndpointEnding, true },
		{ "", "what", REASON_LocalEndpointEnding, false },
		{ "", "hold", REASON_Candidate, true },
		{ ", terminating: hold", "hold", REASON_Candidate, true },
		{ ", terminating: hold", "", REASON_Candidate, true },
		{ ", terminating: hold", "give-way", REASON_LocalEndpointEnding, true },
		{ ", terminating: give-way", "give-way", REASON_LocalEndpointEnding, true },
		{ "", "give-way", REASON_LocalEndpointEnding, false },
	};
	struct view *v = world();

	(void)state;
	world_slice(v, "web", "web-1", "10.1.1.1@n1~ 10.1.2.1@n2");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		world_put(v, configuration, 8 + (int)i, cases[i].pool);
		world_put(v, service, cases[i].value);
		if (world_passes(v) != cases[i].news)
			fail_msg("case %zu: dirty or not", i);
		enum reason reason = reason_for(v, "shop/web", "192.0.2.1", "n1", PROTOCOL_LAYER2);
		if (reason != cases[i].reason)
			fail_msg("case %zu: %s", i, reason_name(reason));
	}
	view_free(v);
}

static void external_ips(void **state)
{
	static const struct {
		const char *what, *type, *ip, *record, *spec, *endpoints, *node;
		enum protocol protocol;
		enum reason reason;
		const char *says;
	} cases[] = {
		{ "assigned", "ClusterIP", "100.64.1.1", "100.64.1.1", "", "10.1.1.1@n1", "n1", L2,
		  REASON_Candidate, NULL },
		{ "assigned, a NodePort", "NodePort", "100.64.1.1", "100.64.1.1", "", "10.1.1.1@n1",
		  "n2", L2, REASON_Candidate, NULL },
		{ "assigned, a load balancer that waits", "LoadBalancer", "100.64.1.1",
		  "100.64.1.1", "", "10.1.1.1@n1", "n1", L2, REASON_Candidate, NULL },
		{ "a record that our controller does not keep", "LoadBalancer", "100.64.1.1",
		  "100.64.1.1", ",'loadBalancerClass':'example.com/x'", "10.1.1.1@n1", "n1", L2,
		  REASON_ExternalIpNotAllowed, NULL },
		{ "by hand, another class", "LoadBalancer", "203.0.113.1", "",
		  ",'loadBalancerClass':'example.com/x'", "10.1.1.1@n1", "n1", L2, REASON_Candidate,
		  NULL },
		{ "a node's own", "ClusterIP", "203.0.113.99", "", "", "10.1.1.1@n1", "n1", L2,
		  REASON_NodeAddress, "203.0.113.99" },
		{ "assigned, the other protocol", "ClusterIP", "100.64.1.1", "100.64.1.1", "",
		  "10.1.1.1@n1", "n1", BGP, REASON_ProtocolUnsupported, "out" },
		{ "assigned, by BGP", "ClusterIP", "100.64.2.1", "100.64.2.1", "", "10.1.1.1@n1",
		  "n2", BGP, REASON_Candidate, NULL },
		{ "in the list of two", "ClusterIP", "100.64.2.1", "100.64.2.1,2001:db8::7", "",
		  "10.1.1.1@n1", "n2", BGP, REASON_Candidate, NULL },
		{ "a load balancers' pool assigns none", "ClusterIP", "192.0.2.1", "192.0.2.1", "",
		  "10.1.1.1@n1", "n1", L2, REASON_ExternalIpNotAllowed, "assigned once" },
		{ "the pool is gone", "ClusterIP", "233.252.0.1", "233.252.0.1", "", "10.1.1.1@n1",
		  "n1", L2, REASON_ExternalIpNotAllowed, "assigned once" },
		{ "by hand, inside a pool", "ClusterIP", "100.64.1.1", "", "", "10.1.1.1@n1", "n1",
		  L2, REASON_ExternalIpNotAllowed, "100.64.1.1 in namespace shop" },
		{ "by hand, denied", "ClusterIP", "203.0.113.128", "", "", "10.1.1.1@n1", "n1", L2,
		  REASON_ExternalIpNotAllowed, "generation 7" },
		{ "by hand, a record that cannot be read", "ClusterIP", "100.64.1.1",
		  "100.64.1.1 and more", "", "10.1.1.1@n1", "n1", L2, REASON_ExternalIpNotAllowed,
		  NULL },
		{ "by hand, allowed", "ClusterIP", "203.0.113.1", "", "", "10.1.1.1@n1", "n2", L2,
		  REASON_Candidate, NULL },
		{ "by hand, no peer", "ClusterIP", "203.0.113.1", "", "", "10.1.1.1@n1", "n2", BGP,
		  REASON_ProtocolUnsupported, "no peer" },
		{ "by hand, allowed inside a pool: as the pool says", "ClusterIP", "198.51.100.1",
		  "", "", "10.1.1.1@n1", "n2", BGP, REASON_Candidate, NULL },
		{ "by hand, allowed inside a pool: not otherwise", "ClusterIP", "198.51.100.1", "",
		  "", "10.1.1.1@n1", "n2", L2, REASON_ProtocolUnsupported, "far" },
		{ "by hand, outside allow in the pool", "ClusterIP", "198.51.100.200", "", "",
		  "10.1.1.1@n1", "n2", BGP, REASON_ExternalIpNotAllowed, NULL },
		{ "local, elsewhere", "ClusterIP", "203.0.113.1", "", LOCAL, "10.1.1.1@n1", "n2",
		  L2, REASON_NoLocalEndpoint, "n2" },
		{ "local, here", "ClusterIP", "203.0.113.1", "", LOCAL, "10.1.1.1@n1", "n1", L2,
		  REASON_Candidate, NULL },
		{ "no endpoints", "ClusterIP", "203.0.113.1", "", "", "", "n1", L2,
		  REASON_NoEndpoints, NULL },
		{ "excluded node", "ClusterIP", "203.0.113.1", "", "", "10.1.1.1@n1", "n3", L2,
		  REASON_NodeExcluded, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct view *v = world();
		struct addr a;
		cleanup(buf_fini) struct buf message = BUF_INIT;
		world_external(v, "web", cases[i].type, cases[i].ip, cases[i].record,
		               cases[i].spec);
		world_slice(v, "web", "web-1", cases[i].endpoints);
		addr_parse(cases[i].ip, &a);
		const struct view_service *s = view_service_named(v, "shop/web");
		struct decision d = decide_address(v, s, &a);
		enum reason reason = decide_node(&d, cases[i].node, cases[i].protocol);
		decide_message(&d, reason, cases[i].node, &message);
		if (reason != cases[i].reason)
			fail_msg("%s: %s, not %s", cases[i].what, reason_name(reason),
			         reason_name(cases[i].reason));
		if (cases[i].says && !strstr(buf_str(&message), cases[i].says))
			fail_msg("%s: %s", cases[i].what, buf_str(&message));
		view_free(v);
	}
}

static void outside_all_pools_a_peer_makes_it_both(void **state)
{
	(void)state;
	struct view *v = world();
	struct addr a, denied;

	addr_parse("203.0.113.1", &a);
	addr_parse("203.0.113.128", &denied);
	world_external(v, "web", "ClusterIP", "203.0.113.1,203.0.113.128", "", "");
	world_slice(v, "web", "web-1", "10.1.1.1@n1");
	const struct view_service *s = view_service_named(v, "shop/web");
	assert_int_equal(decide_address(v, s, &a).protocols, PROTOCOL_LAYER2);
	world_passes(v);
	world_put(v, "{'kind':'ConfigMap','metadata':{'namespace':'fairlead-system',"
	             "'name':'fairlead-active','uid':'u'},'data':{'config':'"
	             "peers: [{my-asn: 64500, peer-asn: 64501, peer-address: 10.0.0.1}]\\n"
	             "external-ips: {allow: [203.0.113.0/25], namespaces: [shop]}\\n'}}");
	assert_int_equal(world_passes(v), 1);
	assert_int_equal(decide_address(v, s, &a).protocols, PROTOCOL_LAYER2 | PROTOCOL_BGP);
	assert_int_equal(reason_for(v, "shop/web", "203.0.113.1", "n1", PROTOCOL_BGP),
	                 REASON_Candidate);
	assert_int_equal(reason_for(v, "shop/web", "203.0.113.1", "n1", PROTOCOL_LAYER2),
	                 REASON_Candidate);
	assert_int_equal(decide_address(v, s, &denied).protocols, PROTOCOL_LAYER2);
	view_free(v);
}

static void what_nobody_forwards_is_not_announced(void **state)
{
	static const char *const specs[] = {
		"'type':'ClusterIP','clusterIP':'None','clusterIPs':['None']",
		"'type':'ExternalName','externalName':'x.example'",
		"'type':'ClusterIP','clusterIP':'fd00::9','clusterIPs':['fd00::9']",
	};
	struct addr a;

	(void)state;
	addr_parse("203.0.113.1", &a);
	for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
		struct view *v = world();
		world_put(
			v,
			"{'kind':'Service','metadata':{'namespace':'shop','name':'web','uid':'u'},"
			"'spec':{%s,'externalIPs':['203.0.113.1'],'ports':[{'port':80}]}}",
			specs[i]);
		world_slice(v, "web", "web-1", "10.1.1.1@n1");
		assert_int_equal(reason_for(v, "shop/web", "203.0.113.1", "n1", L2),
		                 REASON_NotForwarded);
		view_free(v);
	}
}

/* On n1 by layer 2. */
static enum reason here(struct view *v, const char *key, const char *ip)
{
	return reason_for(v, key, ip, "n1", PROTOCOL_LAYER2);
}

/*
 * Of two statuses that name one address, the Service that was made first; one that goes makes way.
 */
static void age_decides_between_statuses(void **state)
{
	static const char one[] =
		"{'kind':'Service','metadata':{'namespace':'shop','name':'%s','uid':'uid-%s',"
		"'creationTimestamp':'%s'%s},'spec':{'type':'LoadBalancer','clusterIP':'10.96.0.8',"
		"'clusterIPs':['10.96.0.8'],'ports':[{'port':80}]},"
		"'status':{'loadBalancer':{'ingress':[{'ip':'192.0.2.1'}]}}}";
	struct view *v = world();

	(void)state;
	world_put(v, one, "a-late", "a-late", "2026-02-01T00:00:00Z", "");
	world_put(v, one, "z-early", "z-early", "2026-01-01T00:00:00Z", "");
	world_slice(v, "a-late", "a", "10.1.1.1@n1");
	world_slice(v, "z-early", "z", "10.1.1.1@n1");
	assert_int_equal(here(v, "shop/z-early", "192.0.2.1"), REASON_Candidate);
	assert_int_equal(here(v, "shop/a-late", "192.0.2.1"), REASON_AddressShared);
	world_put(v, one, "z-early", "z-early", "2026-01-01T00:00:00Z",
	          ",'deletionTimestamp':'2026-03-01T00:00:00Z'");
	assert_int_equal(here(v, "shop/z-early", "192.0.2.1"), REASON_Deleting);
	assert_int_equal(here(v, "shop/a-late", "192.0.2.1"), REASON_Candidate);
	view_free(v);
}

static void put_sharer(struct view *v, const char *name, int second, const char *ports,
                       const char *policy, const char *more)
{
	world_put(v,
	          "{'kind':'Service','metadata':{'namespace':'shop','name':'%s','uid':'uid-%s',"
	          "'creationTimestamp':'2026-01-01T00:00:%02dZ'%s},'spec':{'type':'LoadBalancer',"
	          "'clusterIP':'10.96.0.8','clusterIPs':['10.96.0.8'],'ports':[{'port':80}],"
	          "'externalTrafficPolicy':'%s'},"
	          "'status':{'loadBalancer':{'ingress':[{'ip':'192.0.2.1'%s}]}}}",
	          name, name, second, more, policy, ports);
}

#define PORTS ",'ports':[{'port':80,'protocol':'TCP'}]"

static bool is_carried(struct view *v, const char *key)
{
	struct addr a;

	addr_parse("192.0.2.1", &a);
	return decide_address(v, view_service_named(v, key), &a).carried;
}

/* Where both statuses list ports, which controllers do for Services that may share it. */
static void an_address_is_shared(void **state)
{
	struct view *v = world();

	(void)state;
	put_sharer(v, "z-early", 1, PORTS, "Cluster", "");
	put_sharer(v, "a-late", 2, PORTS, "Cluster", "");
	put_sharer(v, "b-alone", 3, "", "Cluster", "");
	world_slice(v, "z-early", "z", "10.1.1.1@n1");
	world_slice(v, "a-late", "a", "10.1.1.1@n1");
	world_slice(v, "b-alone", "b", "10.1.1.1@n1");
	assert_int_equal(here(v, "shop/z-early", "192.0.2.1"), REASON_Candidate);
	assert_int_equal(here(v, "shop/a-late", "192.0.2.1"), REASON_Candidate);
	assert_int_equal(here(v, "shop/b-alone", "192.0.2.1"), REASON_AddressShared);
	assert_true(is_carried(v, "shop/z-early") && is_carried(v, "shop/a-late"));
	assert_false(is_carried(v, "shop/b-alone"));
	/* One that goes is carried as long as it is there. */
	put_sharer(v, "z-early", 1, PORTS, "Cluster",
	           ",'deletionTimestamp':'2026-03-01T00:00:00Z'");
	assert_int_equal(here(v, "shop/z-early", "192.0.2.1"), REASON_Deleting);
	assert_int_equal(here(v, "shop/a-late", "192.0.2.1"), REASON_Candidate);
	assert_true(is_carried(v, "shop/z-early") && is_carried(v, "shop/a-late"));
	/* The first does not share. */
	put_sharer(v, "z-early", 1, "", "Cluster", "");
	assert_int_equal(here(v, "shop/a-late", "192.0.2.1"), REASON_AddressShared);
	assert_false(is_carried(v, "shop/a-late"));
	view_free(v);
}

static void put_external_sharer_of(struct view *v, const char *name, int second, const char *shared,
                                   const char *type)
{
	world_put(v,
	          "{'kind':'Service','metadata':{'namespace':'shop','name':'%s','uid':'uid-%s',"
	          "'creationTimestamp':'2026-01-01T00:00:%02dZ',"
	          "'annotations':{'fairlead.io/external-ips-assigned':'192.0.2.1'}},"
	          "'spec':{'type':%s,'clusterIP':'10.96.0.8','clusterIPs':['10.96.0.8'],"
	          "'externalIPs':['192.0.2.1'],'ports':[{'port':80}]},"
	          "'status':{'conditions':[{'type':'fairlead.io/ExternalIPsAssigned',"
	          "'status':'True','reason':'Assigned','message':'%s192.0.2.1%s of pool p'}]}}",
	          name, name, second, type, KUBE_CONFIRMS_KEPT, shared);
}

static void put_external_sharer(struct view *v, const char *name, int second, const char *shared)
{
	put_external_sharer_of(v, name, second, shared, "'ClusterIP'");
}

/* Where both conditions say so; what an owner writes says nothing. */
static void an_external_ip_is_shared(void **state)
{
	static const struct addr shared = { .family = 4, .b = { 192, 0, 2, 1 } };
	struct view *v = world();

	(void)state;
	world_put(v, "{'kind':'ConfigMap','metadata':{'namespace':'fairlead-system',"
	             "'name':'fairlead-active','uid':'u'},'data':{'config':'"
	             "address-pools:\\n- {name: lan, protocol: layer2, addresses: [192.0.2.0/24], "
	             "use: external-ip}\\n'}}");
	put_external_sharer(v, "z-early", 1, KUBE_CONFIRMS_SHARED);
	put_external_sharer(v, "a-late", 2, KUBE_CONFIRMS_SHARED);
	put_external_sharer(v, "b-alone", 3, "");
	world_slice(v, "z-early", "z", "10.1.1.1@n1");
	world_slice(v, "a-late", "a", "10.1.1.1@n1");
	world_slice(v, "b-alone", "b", "10.1.1.1@n1");
	assert_int_equal(here(v, "shop/z-early", "192.0.2.1"), REASON_Candidate);
	assert_int_equal(here(v, "shop/a-late", "192.0.2.1"), REASON_Candidate);
	assert_int_equal(here(v, "shop/b-alone", "192.0.2.1"), REASON_AddressShared);
	assert_true(is_carried(v, "shop/z-early") && is_carried(v, "shop/a-late"));
	assert_false(is_carried(v, "shop/b-alone"));
	put_external_sharer(v, "z-early", 1, "");
	assert_int_equal(here(v, "shop/a-late", "192.0.2.1"), REASON_AddressShared);
	assert_false(is_carried(v, "shop/a-late"));
	/* Nor what stands in one that our controller leaves alone. */
	put_external_sharer_of(v, "z-early", 1, KUBE_CONFIRMS_SHARED,
	                       "'LoadBalancer','loadBalancerClass':'example.com/x'");
	assert_false(view_address_of(view_service_named(v, "shop/z-early"), &shared)->shared);
	assert_int_equal(here(v, "shop/a-late", "192.0.2.1"), REASON_Candidate);
	view_free(v);
}

/* None can have it announced where the oldest that has endpoints would not be. */
static void the_oldest_leads(void **state)
{
	static const struct {
		const char *what, *first, *second; /* policy and endpoints of each */
		enum reason n1, n2;                /* for the second */
	} rows[] = {
		{ "both Local, the same nodes", "Local 10.1.1.1@n1", "Local 10.1.1.1@n1",
		  REASON_Candidate, REASON_NoLocalEndpoint },
		{ "the second elsewhere, too", "Local 10.1.1.1@n1", "Local 10.1.1.1@n1 10.1.1.2@n2",
		  REASON_Candidate, REASON_NoLocalEndpoint },
		{ "the second elsewhere alone", "Local 10.1.1.1@n1", "Local 10.1.1.2@n2",
		  REASON_NoLocalEndpoint, REASON_NoLocalEndpoint },
		{ "the second is Cluster", "Local 10.1.1.1@n1", "Cluster 10.1.1.2@n2",
		  REASON_Candidate, REASON_NoLocalEndpoint },
		{ "the first has none", "Local ", "Local 10.1.1.2@n2", REASON_NoLocalEndpoint,
		  REASON_Candidate },
		{ "the first is Cluster", "Cluster 10.1.1.1@n1", "Local 10.1.1.2@n2",
		  REASON_NoLocalEndpoint, REASON_Candidate },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct view *v = world();
		const char *const both[] = { rows[i].first, rows[i].second };
		static const char *const names[] = { "z-early", "a-late" };
		for (size_t k = 0; k < 2; k++) {
			cleanup_free char *policy = xstrndup(both[k], strcspn(both[k], " "));
			put_sharer(v, names[k], (int)k + 1, PORTS, policy, "");
			world_slice(v, names[k], names[k], strchr(both[k], ' ') + 1);
		}
		enum reason n1 = here(v, "shop/a-late", "192.0.2.1");
		enum reason n2 = reason_for(v, "shop/a-late", "192.0.2.1", "n2", PROTOCOL_LAYER2);
		if (n1 != rows[i].n1 || n2 != rows[i].n2)
			fail_msg("%s: %s, %s", rows[i].what, reason_name(n1), reason_name(n2));
		view_free(v);
	}
}

/* Whoever sets the labels of the second takes the first's address nowhere. */
static void the_oldests_labels_count(void **state)
{
	static const struct {
		const char *first, *second;
		enum reason n1, n2; /* for the second */
	} rows[] = {
		{ "in", "out", REASON_Candidate, REASON_NodeNotSelected },
		{ "out", "in", REASON_NodeNotSelected, REASON_Candidate },
		{ "nowhere", "in", REASON_Candidate, REASON_NodeNotSelected },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct view *v = world();
		const char *const tiers[] = { rows[i].first, rows[i].second };
		static const char *const names[] = { "z-early", "a-late" };
		world_put(v, "{'kind':'ConfigMap','metadata':{'namespace':'fairlead-system',"
		             "'name':'fairlead-active','uid':'u'},'data':{'config':'"
		             "address-pools:\\n"
		             "- name: lan\\n  protocol: layer2\\n  addresses: [192.0.2.0/24]\\n"
		             "  layer2:\\n"
		             "  - {service-selectors: [{match-labels: {tier: in}}],"
		             " node-selectors: [{match-labels: {side: a}}]}\\n"
		             "  - {service-selectors: [{match-labels: {tier: out}}],"
		             " node-selectors: [{match-labels: {side: b}}]}\\n'}}");
		world_put(v, "{'kind':'Node','metadata':{'name':'n1','uid':'n1',"
		             "'labels':{'side':'a'}}}");
		world_put(v, "{'kind':'Node','metadata':{'name':'n2','uid':'n2',"
		             "'labels':{'side':'b'}}}");
		for (size_t k = 0; k < 2; k++) {
			cleanup(buf_fini) struct buf labels = BUF_INIT;
			buf_printf(&labels, ",'labels':{'tier':'%s'}", tiers[k]);
			put_sharer(v, names[k], (int)k + 1, PORTS, "Cluster", buf_str(&labels));
			world_slice(v, names[k], names[k], "10.1.1.1@n1");
		}
		enum reason n1 = here(v, "shop/a-late", "192.0.2.1");
		enum reason n2 = reason_for(v, "shop/a-late", "192.0.2.1", "n2", PROTOCOL_LAYER2);
		if (n1 != rows[i].n1 || n2 != rows[i].n2)
			fail_msg("%s, %s: %s, %s", rows[i].first, rows[i].second, reason_name(n1),
			         reason_name(n2));
		/* And when these change, both are looked at. */
		world_passes(v);
		put_sharer(v, names[0], 1, PORTS, "Cluster", ",'labels':{'tier':'other'}");
		assert_int_equal(world_passes(v), 2);
		view_free(v);
	}
}

/* Where it is announced hangs on the other's endpoints. */
static void sharers_are_looked_at_together(void **state)
{
	struct view *v = world();

	(void)state;
	put_sharer(v, "z-early", 1, PORTS, "Local", "");
	put_sharer(v, "a-late", 2, PORTS, "Local", "");
	world_passes(v);
	world_slice(v, "z-early", "z", "10.1.1.1@n1");
	assert_int_equal(world_passes(v), 2);
	put_sharer(v, "a-late", 2, "", "Local", "");
	world_passes(v);
	world_slice(v, "a-late", "a", "10.1.1.1@n1");
	assert_int_equal(world_passes(v), 1);
	view_free(v);
}

static void services_that_want_no_address(void **state)
{
	(void)state;
	struct view *v = world();

	world_put(v, "{'kind':'Service','metadata':{'namespace':'shop','name':'inner','uid':'u'},"
	             "'spec':{'type':'NodePort','clusterIP':'10.96.0.8','clusterIPs':['10.96.0.8'],"
	             "'ports':[{'port':80}]}}");
	assert_int_equal(here(v, "shop/inner", NULL), REASON_NotLoadBalancer);
	world_put(
		v,
		"{'kind':'Service','metadata':{'namespace':'shop','name':'new','uid':'u'},"
		"'spec':{'type':'LoadBalancer','clusterIP':'10.96.0.8','clusterIPs':['10.96.0.8'],"
		"'ports':[{'port':80}]}}");
	assert_int_equal(here(v, "shop/new", NULL), REASON_NoAddress);
	assert_int_equal(here(v, "shop/new", "192.0.2.1"), REASON_NoAddress);
	world_put(
		v,
		"{'kind':'Service','metadata':{'namespace':'shop','name':'going','uid':'u',"
		"'deletionTimestamp':'2026-01-01T00:00:00Z'},"
		"'spec':{'type':'LoadBalancer','clusterIP':'10.96.0.8','clusterIPs':['10.96.0.8'],"
		"'ports':[{'port':80}]},'status':{'loadBalancer':{'ingress':[{'ip':'192.0.2.1'}]}}"
		"}");
	world_slice(v, "going", "g", "10.1.1.1@n1");
	assert_int_equal(here(v, "shop/going", "192.0.2.1"), REASON_Deleting);
	world_put(
		v,
		"{'kind':'Service','metadata':{'namespace':'shop','name':'proxied','uid':'u'},"
		"'spec':{'type':'LoadBalancer','clusterIP':'10.96.0.8','clusterIPs':['10.96.0.8'],"
		"'ports':[{'port':80}]},'status':{'loadBalancer':{'ingress':["
		"{'ip':'192.0.2.1','ipMode':'Proxy'}]}}}");
	world_slice(v, "proxied", "p", "10.1.1.1@n1");
	assert_int_equal(here(v, "shop/proxied", "192.0.2.1"), REASON_IpModeProxy);
	view_free(v);
}

static void what_of_a_node_counts(void **state)
{
#define EXCLUDE "'labels':{'node.kubernetes.io/exclude-from-external-load-balancers':''}"
#define DRAIN(value) "'annotations':{'fairlead.io/drain':'" value "'}"
#define TAINT(key) \
	"'taints':[{'key':'other','effect':'NoSchedule'},{'key':'" key "','effect':'NoExecute'}]"
#define READY(status, message) \
	"'conditions':[{'type':'Ready','status':'" status "','message':'" message "'}]"
	static const struct {
		const char *meta;
		bool cordoned;
		struct view_node_rules rules;
		enum reason reason;
		const char *spec, *status;
	} cases[] = {
		{ DRAIN("true"), false, { 0 }, REASON_NodeDrained },
		{ DRAIN(""), false, { 0 }, REASON_NodeDrained },
		{ DRAIN("false"), false, { 0 }, REASON_Candidate },
		{ "'labels':{'fairlead.io/drain':'true'}", false, { 0 }, REASON_Candidate },
		{ EXCLUDE, false, { 0 }, REASON_NodeExcluded },
		{ EXCLUDE, false, { .ignore_exclude_label = true }, REASON_Candidate },
		{ DRAIN("1"), false, { .ignore_exclude_label = true }, REASON_NodeDrained },
		{ "'labels':{}", true, { 0 }, REASON_Candidate },
		{ "'labels':{}", true, { .drain_on_cordon = true }, REASON_NodeCordoned },
		{ "'labels':{}", false, { .drain_on_cordon = true }, REASON_Candidate },
		{ "'labels':{}",
		  false,
		  { 0 },
		  REASON_NodeOutOfService,
		  TAINT("node.kubernetes.io/out-of-service") },
		{ "'labels':{}",
		  false,
		  { 0 },
		  REASON_NodeShuttingDown,
		  TAINT("node.cloudprovider.kubernetes.io/shutdown") },
		{ "'labels':{}",
		  false,
		  { 0 },
		  REASON_Candidate,
		  TAINT("node.kubernetes.io/unreachable") },
		{ "'labels':{}",
		  false,
		  { 0 },
		  REASON_NodeShuttingDown,
		  NULL,
		  READY("False", "node is shutting down") },
		{ "'labels':{}",
		  false,
		  { 0 },
		  REASON_NodeShuttingDown,
		  NULL,
		  READY("False", "[container runtime is down, node is shutting down]") },
		{ "'labels':{}",
		  false,
		  { 0 },
		  REASON_Candidate,
		  NULL,
		  READY("True", "node is shutting down") },
		{ "'labels':{}",
		  false,
		  { 0 },
		  REASON_Candidate,
		  NULL,
		  READY("False", "container runtime is down") },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct view *v = view_new("n1", NULL);
		view_set_node_rules(v, cases[i].rules);
		world_configuration(v);
		world_node(v, "n1");
		world_service(v, "web", "192.0.2.1", "");
		world_slice(v, "web", "web-1", "10.1.1.1@n1");
		assert_int_equal(here(v, "shop/web", "192.0.2.1"), REASON_Candidate);
		world_passes(v);
		world_put(v,
		          "{'kind':'Node','metadata':{'name':'n1','uid':'u',%s},"
		          "'spec':{'unschedulable':%s%s%s},'status':{%s}}",
		          cases[i].meta, cases[i].cordoned ? "true" : "false",
		          cases[i].spec ? "," : "", cases[i].spec ? cases[i].spec : "",
		          cases[i].status ? cases[i].status : "");
		if (here(v, "shop/web", "192.0.2.1") != cases[i].reason)
			fail_msg("case %zu", i);
		/* The Service is looked at again. */
		assert_true(cases[i].reason == REASON_Candidate || world_passes(v) == 1);
		world_node(v, "n1");
		assert_int_equal(here(v, "shop/web", "192.0.2.1"), REASON_Candidate);
		view_free(v);
	}
}

static void why_no_node_may_announce(void **state)
{
	static const struct {
		const char *n1, *n2, *spec, *endpoints;
		enum reason reason;
	} cases[] = {
		{ "", "", "", "10.1.1.1@n1", REASON_Candidate },
		{ DRAIN("1"), "", "", "10.1.1.1@n1", REASON_Candidate },
		{ DRAIN("1"), DRAIN("1"), "", "10.1.1.1@n1", REASON_NodeDrained },
		{ EXCLUDE, DRAIN("1"), "", "10.1.1.1@n1", REASON_NodeExcluded },
		/* The node that has the endpoint is the one that matters. */
		{ "", EXCLUDE, LOCAL, "10.1.1.1@n2", REASON_NodeExcluded },
		{ "", EXCLUDE, LOCAL, "10.1.1.1@n1", REASON_Candidate },
		/* These are the Service's own matter. */
		{ DRAIN("1"), DRAIN("1"), "", "", REASON_Candidate },
		{ "", "", LOCAL, "10.1.1.1", REASON_Candidate },
		{ DRAIN("1"), DRAIN("1"), ",'loadBalancerClass':'x.example/y'", "10.1.1.1@n1",
		  REASON_Candidate },
	};
	struct addr a;

	(void)state;
	addr_parse("192.0.2.1", &a);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct view *v = view_new("n1", NULL);
		world_configuration(v);
		world_put(v, "{'kind':'Node','metadata':{'name':'n1'%s%s}}",
		          *cases[i].n1 ? "," : "", cases[i].n1);
		world_put(v, "{'kind':'Node','metadata':{'name':'n2'%s%s}}",
		          *cases[i].n2 ? "," : "", cases[i].n2);
		world_service(v, "web", "192.0.2.1", cases[i].spec);
		world_slice(v, "web", "web-1", cases[i].endpoints);
		struct decision d = decide_address(v, view_service_named(v, "shop/web"), &a);
		if (decide_nowhere(&d) != cases[i].reason)
			fail_msg("case %zu", i);
		view_free(v);
	}
}

static void nothing_without_a_configuration(void **state)
{
	(void)state;
	struct view *v = view_new("n1", NULL);

	world_node(v, "n1");
	world_service(v, "web", "192.0.2.1", "");
	world_slice(v, "web", "web-1", "10.1.1.1@n1");
	assert_int_equal(here(v, "shop/web", "192.0.2.1"), REASON_NoConfiguration);
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
	assert_int_equal(here(v, "shop/api", "192.0.2.1"), REASON_Candidate);
	struct decision d = decide_address(v, view_service_named(v, "shop/web"), &a);
	assert_int_equal(d.reason, REASON_AddressShared);
	decide_message(&d, d.reason, "n1", &message);
	assert_non_null(strstr(buf_str(&message), "shop/api"));
	view_free(v);
}

/* Whatever its age; but a Service that is denied an address does not keep it from others. */
static void a_status_comes_before_a_record_and_that_before_a_hand(void **state)
{
	(void)state;
	struct view *v = world();

	world_external(v, "a-denied", "ClusterIP", "192.0.2.1,198.51.100.200", "", "");
	world_external(v, "b-allowed", "ClusterIP", "198.51.100.1", "", "");
	world_external(v, "c-assigned", "ClusterIP", "100.64.1.1", "100.64.1.1", "");
	world_external(v, "d-assigned", "NodePort", "100.64.1.1", "100.64.1.1", "");
	world_service(v, "e-balancer", "192.0.2.1", "");
	world_service(v, "f-balancer", "198.51.100.1", "");
	world_slice(v, "e-balancer", "e", "10.1.1.1@n1");
	world_slice(v, "c-assigned", "c", "10.1.1.1@n1");
	assert_int_equal(here(v, "shop/a-denied", "192.0.2.1"), REASON_ExternalIpNotAllowed);
	assert_int_equal(here(v, "shop/e-balancer", "192.0.2.1"), REASON_Candidate);
	assert_int_equal(here(v, "shop/c-assigned", "100.64.1.1"), REASON_Candidate);
	assert_int_equal(here(v, "shop/d-assigned", "100.64.1.1"), REASON_AddressShared);
	assert_int_equal(here(v, "shop/b-allowed", "198.51.100.1"), REASON_AddressShared);
	struct addr a;
	addr_parse("198.51.100.1", &a);
	assert_string_equal(decide_first(v, &a)->name, "f-balancer");
	/* A record is anybody's to write, a status is not. */
	world_put(
		v,
		"{'kind':'ConfigMap','metadata':{'namespace':'fairlead-system',"
		"'name':'fairlead-active','uid':'u'},'data':{'config':'"
		"address-pools:\\n"
		"- {name: both, protocol: layer2, addresses: [192.0.2.0/24],"
		" use: [load-balancer, external-ip]}\\n"
		"external-ips: {allow: [203.0.113.0/24, 192.0.2.7/32], namespaces: [shop]}\\n'}}");
	world_external(v, "a-forger", "ClusterIP", "192.0.2.1", "192.0.2.1", "");
	assert_int_equal(here(v, "shop/a-forger", "192.0.2.1"), REASON_AddressShared);
	assert_int_equal(here(v, "shop/e-balancer", "192.0.2.1"), REASON_Candidate);
	world_external(v, "a-hand", "ClusterIP", "192.0.2.7", "", "");
	world_external(v, "z-assigned", "ClusterIP", "192.0.2.7", "192.0.2.7", "");
	world_slice(v, "z-assigned", "z", "10.1.1.1@n1");
	assert_int_equal(here(v, "shop/z-assigned", "192.0.2.7"), REASON_Candidate);
	assert_int_equal(here(v, "shop/a-hand", "192.0.2.7"), REASON_AddressShared);
	/*
	 * One that no status confirms counts as written by hand, and not even that where another
	 * has the address.
	 */
	world_put(v,
	          "{'kind':'Service','metadata':{'namespace':'shop','name':'a-forger','uid':'f',"
	          "'annotations':{'fairlead.io/external-ips-assigned':'192.0.2.1,2001:db8::1'}},"
	          "'spec':{'type':'ClusterIP','clusterIP':'10.96.0.9','clusterIPs':['10.96.0.9'],"
	          "'externalIPs':['192.0.2.1','2001:db8::1'],'ports':[{'port':80}]}}");
	assert_int_equal(here(v, "shop/a-forger", "192.0.2.1"), REASON_AddressShared);
	assert_int_equal(here(v, "shop/a-forger", "2001:db8::1"), REASON_ExternalIpNotAllowed);
	/* Another controller's status as well. */
	world_service(v, "z-others", "192.0.2.7", ",'loadBalancerClass':'example.com/x'");
	assert_int_equal(here(v, "shop/z-assigned", "192.0.2.7"), REASON_AddressShared);
	assert_int_equal(here(v, "shop/z-others", "192.0.2.7"), REASON_OtherClass);
	view_free(v);
}

/*
 * Only what lies in our pools and is no machine's is always guarded; what a machine has is not
 * announced, but carried on its ports.  In the world's pool "lan": the API server has .10, node n7
 * has .11 and .12, a peer .13, this node's gateway is .14.
 */
static void machines_keep_their_ports(void **state)
{
	static const struct {
		const char *what, *type, *ip, *record;
		enum reason reason;
		bool carried;
		enum decide_guard guard;
	} cases[] = {
		{ "a pool's", "LoadBalancer", "192.0.2.1", "", REASON_Candidate, true,
		  DECIDE_GUARDED },
		{ "an assigned external IP", "ClusterIP", "100.64.1.1", "100.64.1.1",
		  REASON_Candidate, true, DECIDE_GUARDED },
		{ "the API server's", "LoadBalancer", "192.0.2.10", "", REASON_AddressOfApiServer,
		  true, DECIDE_OPEN },
		{ "a node's", "LoadBalancer", "192.0.2.11", "", REASON_NodeAddress, true,
		  DECIDE_OPEN },
		{ "a node's external one", "LoadBalancer", "192.0.2.12", "", REASON_NodeAddress,
		  true, DECIDE_OPEN },
		{ "a peer's", "LoadBalancer", "192.0.2.13", "", REASON_AddressOfPeer, true,
		  DECIDE_OPEN },
		{ "a gateway's", "LoadBalancer", "192.0.2.14", "", REASON_Candidate, true,
		  DECIDE_OPEN },
		{ "outside all pools, as k3s writes it", "LoadBalancer", "10.9.9.9", "",
		  REASON_AddressNotInPool, true, DECIDE_OPEN },
		{ "by hand, allowed, in no pool", "ClusterIP", "203.0.113.1", "", REASON_Candidate,
		  true, DECIDE_GUARDED_IF_ANNOUNCED },
		{ "by hand, allowed, a node's", "ClusterIP", "203.0.113.99", "", REASON_NodeAddress,
		  true, DECIDE_OPEN },
		{ "by hand, denied", "ClusterIP", "192.0.2.10", "", REASON_ExternalIpNotAllowed,
		  false, DECIDE_OPEN },
	};
	static const struct addr none;
	struct addr gateway;

	(void)state;
	addr_parse("192.0.2.14", &gateway);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct view *v = world();
		struct addr a;
		addr_parse(cases[i].ip, &a);
		if (!strcmp(cases[i].type, "LoadBalancer"))
			world_service(v, "web", cases[i].ip, "");
		else
			world_external(v, "web", cases[i].type, cases[i].ip, cases[i].record, "");
		world_slice(v, "web", "web-1", "10.1.1.1@n1");
		const struct view_service *s = view_service_named(v, "shop/web");
		world_passes(v);
		/* Each of them is news to the Service. */
		world_machines(v);
		assert_int_equal(world_passes(v) > 0, true);
		view_set_needed(v, &gateway, 1);
		assert_int_equal(world_passes(v), 1);
		view_set_needed(v, &gateway, 1);
		assert_int_equal(world_passes(v), 0);
		struct decision d = decide_address(v, s, &a);
		if (d.reason != cases[i].reason || d.carried != cases[i].carried ||
		    d.guard != cases[i].guard)
			fail_msg("%s: %s, carried %d, guard %d", cases[i].what,
			         reason_name(d.reason), d.carried, d.guard);
		/* And so is that they are gone. */
		view_remove_slice(v, "default", "kubernetes");
		assert_int_equal(view_is_api_server(v, &a), false);
		assert_int_equal(world_passes(v) > 0, true);
		view_set_needed(v, &none, 0);
		assert_int_equal(world_passes(v), 1);
		view_free(v);
	}
}

/* A tenant of the namespace "default" makes no API server. */
static void other_slices_name_no_api_server(void **state)
{
	(void)state;
	struct view *v = world();
	struct addr a;

	addr_parse("192.0.2.1", &a);
	world_put(v, "{'kind':'EndpointSlice','metadata':{'namespace':'default','name':'forged',"
	             "'uid':'u','labels':{'kubernetes.io/service-name':'kubernetes'}},"
	             "'addressType':'IPv4','endpoints':[{'addresses':['192.0.2.1']}],"
	             "'ports':[{'name':'https','port':6443}]}");
	assert_false(view_is_api_server(v, &a));
	view_free(v);
}

static void who_forwards_nothing_claims_nothing(void **state)
{
	(void)state;
	struct view *v = world();

	world_put(v,
	          "{'kind':'Service','metadata':{'namespace':'shop','name':'a-headless','uid':'u'},"
	          "'spec':{'type':'ClusterIP','clusterIP':'None','clusterIPs':['None'],"
	          "'externalIPs':['203.0.113.1'],'ports':[{'port':80}]}}");
	world_external(v, "g-allowed", "ClusterIP", "203.0.113.1", "", "");
	world_slice(v, "g-allowed", "g", "10.1.1.1@n1");
	assert_int_equal(here(v, "shop/g-allowed", "203.0.113.1"), REASON_Candidate);
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
		decide_endpoints(s, &s->ports[0], 4, "n1", "z1", &e);
		print_message("%s\n", cases[i].what);
		assert_string_equal(text_of(e.cluster, e.n_cluster, &text), cases[i].cluster);
		assert_string_equal(text_of(e.local, e.n_local, &text), cases[i].local);
		assert_int_equal(e.has_any, cases[i].has_any);
		decide_endpoints_fini(&e);
		decide_endpoints(s, &s->ports[0], 6, "n1", "z1", &e);
		assert_false(e.has_any);
		decide_endpoints_fini(&e);
		view_free(v);
	}
}

/* Pods of two versions that call different ports by one name: each slice says which is its own. */
static void named_ports_are_the_slices(void **state)
{
	(void)state;
	static const char slice[] =
		"{'kind':'EndpointSlice','metadata':{'namespace':'shop','name':'%s','uid':'u',"
		"'labels':{'kubernetes.io/service-name':'web'}},'addressType':'IPv4',"
		"'endpoints':[{'addresses':['%s']},{'addresses':['10.1.1.9']}],"
		"'ports':[{'name':'other','port':1},{'name':'dns','port':%d,'protocol':'%s'}]}";
	struct view *v = world();
	struct decide_endpoints e;
	cleanup(buf_fini) struct buf text = BUF_INIT;

	world_put(v, "{'kind':'Service','metadata':{'namespace':'shop','name':'web','uid':'u'},"
	             "'spec':{'type':'ClusterIP','clusterIP':'10.96.0.8',"
	             "'clusterIPs':['10.96.0.8'],'ports':[{'name':'dns','port':53},"
	             "{'name':'dns','port':53,'protocol':'UDP'},{'name':'none','port':54}]}}");
	world_put(v, slice, "one", "10.1.1.1", 8080, "TCP");
	world_put(v, slice, "two", "10.1.1.2", 9090, "TCP");
	world_put(v, slice, "three", "10.1.1.3", 5353, "UDP");
	const struct view_service *s = view_service_named(v, "shop/web");
	static const char *const expected[] = {
		"10.1.1.1:8080 10.1.1.2:9090 10.1.1.9:8080 10.1.1.9:9090",
		"10.1.1.3:5353 10.1.1.9:5353",
		"",
	};
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		decide_endpoints(s, &s->ports[i], 4, "n1", NULL, &e);
		assert_string_equal(text_of(e.cluster, e.n_cluster, &text), expected[i]);
		decide_endpoints_fini(&e);
	}
	view_free(v);
}

/* "10.1.1.1@n1 zones=z1,z2 nodes=n1": one endpoint a line. */
static void slice_with_hints(struct view *v, const char *endpoints)
{
	cleanup(buf_fini) struct buf eps = BUF_INIT;
	cleanup_free char *copy = xstrdup(endpoints);
	char *lines;

	for (char *l = strtok_r(copy, "\n", &lines); l; l = strtok_r(NULL, "\n", &lines)) {
		char addr[32] = "", zones[32] = "", nodes[32] = "", *more;
		sscanf(l, "%31s zones=%31s nodes=%31s", addr, zones, nodes);
		bool unready = addr[strlen(addr) - 1] == '!';
		addr[strcspn(addr, "!")] = '\0';
		buf_printf(&eps, "%s{'addresses':['%s'],'conditions':{'ready':%s},'hints':{",
		           eps.size ? "," : "", addr, unready ? "false" : "true");
		buf_puts(&eps, "'forZones':[");
		for (char *z = strtok_r(zones, ",-", &more); z; z = strtok_r(NULL, ",-", &more))
			buf_printf(&eps, "%s{'name':'%s'}", z == zones ? "" : ",", z);
		buf_puts(&eps, "],'forNodes':[");
		for (char *z = strtok_r(nodes, ",-", &more); z; z = strtok_r(NULL, ",-", &more))
			buf_printf(&eps, "%s{'name':'%s'}", z == nodes ? "" : ",", z);
		buf_puts(&eps, "]}}");
	}
	world_put(v,
	          "{'kind':'EndpointSlice','metadata':{'namespace':'shop','name':'w','uid':'u',"
	          "'labels':{'kubernetes.io/service-name':'web'}},'addressType':'IPv4',"
	          "'endpoints':[%s],'ports':[{'name':'','port':8080}]}",
	          buf_str(&eps));
}

static void hints_keep_traffic_near(void **state)
{
	(void)state;
	static const struct {
		const char *what, *endpoints, *cluster;
	} cases[] = {
		{ "the zone", "10.1.1.1 zones=z1\n10.1.1.2 zones=z2\n10.1.1.3 zones=z2,z1",
		  "10.1.1.1:8080 10.1.1.3:8080" },
		{ "one without hints: none counts",
		  "10.1.1.1 zones=z1\n10.1.1.2\n10.1.1.3 zones=z2",
		  "10.1.1.1:8080 10.1.1.2:8080 10.1.1.3:8080" },
		{ "but not where it is unready", "10.1.1.1 zones=z1\n10.1.1.2!\n10.1.1.3 zones=z2",
		  "10.1.1.1:8080" },
		{ "none for this zone", "10.1.1.1 zones=z2\n10.1.1.2 zones=z11",
		  "10.1.1.1:8080 10.1.1.2:8080" },
		{ "none that is ready for it", "10.1.1.1! zones=z1\n10.1.1.2 zones=z2",
		  "10.1.1.2:8080" },
		{ "the node goes before the zone",
		  "10.1.1.1 zones=z1 nodes=n2\n10.1.1.2 zones=z2 nodes=n1", "10.1.1.2:8080" },
		{ "the zone where none is for the node",
		  "10.1.1.1 zones=z1 nodes=n2\n10.1.1.2 zones=z2 nodes=n3", "10.1.1.1:8080" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct view *v = world();
		struct decide_endpoints e;
		cleanup(buf_fini) struct buf text = BUF_INIT;
		world_service(v, "web", "192.0.2.1", "");
		slice_with_hints(v, cases[i].endpoints);
		const struct view_service *s = view_service_named(v, "shop/web");
		print_message("%s\n", cases[i].what);
		decide_endpoints(s, &s->ports[0], 4, "n1", "z1", &e);
		assert_string_equal(text_of(e.cluster, e.n_cluster, &text), cases[i].cluster);
		assert_true(e.has_any);
		decide_endpoints_fini(&e);
		/* A node that has no zone takes them all, but for hints of its own. */
		decide_endpoints(s, &s->ports[0], 4, "n9", NULL, &e);
		assert_true(e.n_cluster >= 1);
		decide_endpoints_fini(&e);
		view_free(v);
	}
}

/*
 * Hints never say which of its own endpoints a node may use under policy Local, nor which
 * terminate.
 */
static void hints_are_for_the_cluster_set(void **state)
{
	(void)state;
	struct view *v = world();
	struct decide_endpoints e;

	world_service(v, "web", "192.0.2.1", LOCAL);
	world_put(v, "{'kind':'EndpointSlice','metadata':{'namespace':'shop','name':'w','uid':'u',"
	             "'labels':{'kubernetes.io/service-name':'web'}},'addressType':'IPv4',"
	             "'endpoints':[{'addresses':['10.1.1.1'],'nodeName':'n1',"
	             "'hints':{'forZones':[{'name':'z2'}]}},"
	             "{'addresses':['10.1.1.2'],'nodeName':'n2',"
	             "'hints':{'forZones':[{'name':'z1'}]}}],'ports':[{'name':'','port':8080}]}");
	const struct view_service *s = view_service_named(v, "shop/web");
	decide_endpoints(s, &s->ports[0], 4, "n1", "z1", &e);
	assert_int_equal(e.n_cluster, 1);
	assert_false(e.cluster[0].local);
	assert_int_equal(e.n_local, 1);
	assert_true(e.local[0].local);
	decide_endpoints_fini(&e);
	view_free(v);
}

/*
 * Terminating beside ready ones, or elsewhere where policy is Local; not the one that serves no
 * more, but of connections, if it is only terminating.
 */
static void flows_are_kept(void **state)
{
	(void)state;
	static const struct {
		const char *proto, *spec, *cluster, *local, *kept;
	} cases[] = {
		{ "UDP", "", "10.1.1.1:53L 10.1.1.4:53", "", "10.1.1.2:53" },
		{ "TCP", "", "10.1.1.1:53L 10.1.1.4:53", "", "10.1.1.2:53 10.1.1.5:53" },
		{ "SCTP", "", "10.1.1.1:53L 10.1.1.4:53", "", "10.1.1.2:53 10.1.1.5:53" },
		{ "UDP", ",'internalTrafficPolicy':'Local'", "", "10.1.1.1:53L",
		  "10.1.1.2:53 10.1.1.4:53" },
		/* what no connection from here can have gone to is not looked at */
		{ "TCP", ",'internalTrafficPolicy':'Local'", "", "10.1.1.1:53L", "" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct view *v = world();
		struct decide_endpoints e;
		cleanup(buf_fini) struct buf text = BUF_INIT;
		world_put(
			v,
			"{'kind':'Service','metadata':{'namespace':'shop','name':'dns','uid':'u'},"
			"'spec':{'type':'ClusterIP','clusterIP':'10.96.0.8',"
			"'clusterIPs':['10.96.0.8'],'ports':[{'port':53,'protocol':'%s'}]%s}}",
			cases[i].proto, cases[i].spec);
		world_put(
			v,
			"{'kind':'EndpointSlice','metadata':{'namespace':'shop','name':'d',"
			"'uid':'u','labels':{'kubernetes.io/service-name':'dns'}},"
			"'addressType':'IPv4','ports':[{'name':'','port':53,'protocol':'%s'}],"
			"'endpoints':[{'addresses':['10.1.1.1'],'nodeName':'n1'},"
			"{'addresses':['10.1.1.2'],'conditions':{'ready':false,'terminating':true}},"
			"{'addresses':['10.1.1.3'],'conditions':{'ready':false,'serving':false}},"
			"{'addresses':['10.1.1.4'],'nodeName':'n2'},"
			"{'addresses':['10.1.1.5'],'conditions':{'ready':false,'serving':false,"
			"'terminating':true}}]}",
			cases[i].proto);
		const struct view_service *s = view_service_named(v, "shop/dns");
		decide_endpoints(s, &s->ports[0], 4, "n1", "z1", &e);
		assert_string_equal(text_of(e.cluster, e.n_cluster, &text), cases[i].cluster);
		assert_string_equal(text_of(e.local, e.n_local, &text), cases[i].local);
		assert_string_equal(text_of(e.kept, e.n_kept, &text), cases[i].kept);
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
	decide_endpoints(s, &s->ports[0], 4, "n1", "z1", &e);
	assert_int_equal(e.n_cluster, 0);
	assert_int_equal(e.n_local, 0);
	assert_true(e.has_any);
	decide_endpoints_fini(&e);
	/* An external IP makes it reachable from outside, and then all endpoints count. */
	world_external(v, "inner", "ClusterIP", "203.0.113.1", "",
	               ",'internalTrafficPolicy':'Local','externalTrafficPolicy':'Local'");
	s = view_service_named(v, "shop/inner");
	assert_true(decide_is_external(s, &s->ports[0], 4));
	assert_false(decide_is_external(s, &s->ports[0], 6));
	decide_endpoints(s, &s->ports[0], 4, "n2", "z1", &e);
	assert_int_equal(e.n_cluster, 1);
	assert_int_equal(e.n_local, 1);
	decide_endpoints_fini(&e);
	view_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(announce_rules),
		cmocka_unit_test(labels_for_proxies),
		cmocka_unit_test(a_service_has_a_size),
		cmocka_unit_test(endpoints_that_are_not_used_count),
		cmocka_unit_test(a_slices_ports_are_found_by_name_and_protocol),
		cmocka_unit_test(a_configuration_brings_addresses_on_the_air),
		cmocka_unit_test(every_node_announces_by_bgp),
		cmocka_unit_test(services_that_want_no_address),
		cmocka_unit_test(age_decides_between_statuses),
		cmocka_unit_test(an_address_is_shared),
		cmocka_unit_test(an_external_ip_is_shared),
		cmocka_unit_test(the_oldest_leads),
		cmocka_unit_test(the_oldests_labels_count),
		cmocka_unit_test(sharers_are_looked_at_together),
		cmocka_unit_test(nothing_without_a_configuration),
		cmocka_unit_test(what_of_a_node_counts),
		cmocka_unit_test(why_no_node_may_announce),
		cmocka_unit_test(the_earlier_claimant_serves),
		cmocka_unit_test(a_status_comes_before_a_record_and_that_before_a_hand),
		cmocka_unit_test(machines_keep_their_ports),
		cmocka_unit_test(other_slices_name_no_api_server),
		cmocka_unit_test(who_forwards_nothing_claims_nothing),
		cmocka_unit_test(a_service_or_its_pool_may_hold_what_is_ending),
		cmocka_unit_test(external_ips),
		cmocka_unit_test(outside_all_pools_a_peer_makes_it_both),
		cmocka_unit_test(what_nobody_forwards_is_not_announced),
		cmocka_unit_test(endpoint_selection),
		cmocka_unit_test(named_ports_are_the_slices),
		cmocka_unit_test(hints_keep_traffic_near),
		cmocka_unit_test(hints_are_for_the_cluster_set),
		cmocka_unit_test(flows_are_kept),
		cmocka_unit_test(inner_services_use_what_they_can),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
