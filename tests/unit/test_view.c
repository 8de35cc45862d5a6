/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/buf.h"
#include "fairlead/mem.h"
#include "fairlead/decide.h"
#include "fairlead/view.h"
#include "view/private.h"
#include "world.h"

static const char *name_of(const struct view_slice *s)
{
	return strchr(((const struct slice *)(const void *)s)->key, '/') + 1;
}

static struct view *small_world(void)
{
	struct view *v = view_new("n1", NULL);

	world_configuration(v);
	world_node(v, "n1");
	world_node(v, "n2");
	world_service(v, "web", "192.0.2.1", "");
	world_slice(v, "web", "web-1", "10.244.1.2@n1 10.244.2.2@n2");
	world_passes(v);
	return v;
}

static void unchanged_objects_make_nothing_dirty(void **state)
{
	(void)state;
	struct view *v = small_world();

	world_configuration(v);
	world_node(v, "n1");
	world_service(v, "web", "192.0.2.1", "");
	world_slice(v, "web", "web-1", "10.244.1.2@n1 10.244.2.2@n2");
	assert_false(view_is_dirty(v));
	assert_int_equal(view_stats(v).passes, 1);
	assert_int_equal(view_stats(v).unchanged, 3);
	view_free(v);
}

static void one_change_among_many_is_one_pass(void **state)
{
	(void)state;
	enum { N = 10000, BYTES_MAX = 725 };
	struct view *v = view_new("n1", NULL);

	world_configuration(v);
	world_node(v, "n1");
	size_t bytes = mallinfo2().uordblks;
	for (int i = 0; i < N; i++) {
		char name[16], slice[24], ip[16], ep[32];
		snprintf(name, sizeof(name), "s%d", i);
		snprintf(slice, sizeof(slice), "s%d-x", i);
		snprintf(ip, sizeof(ip), "192.0.%d.%d", 2 + i / 256, i % 256);
		snprintf(ep, sizeof(ep), "10.%d.%d.%d@n1", 1 + i / 65536, i / 256 % 256, i % 256);
		world_service(v, name, ip, "");
		world_slice(v, name, slice, ep);
	}
	assert_int_equal(world_passes(v), N);
	assert_in_range((mallinfo2().uordblks - bytes) / N, 0, BYTES_MAX);
	world_slice(v, "s77", "s77-x", "10.9.9.9@n1");
	size_t n;
	const struct view_service *const *dirty = view_take_dirty(v, &n);
	assert_int_equal(n, 1);
	assert_string_equal(dirty[0]->key, "shop/s77");
	assert_int_equal(dirty[0]->passes, 2);
	view_clean(v);
	assert_int_equal(view_stats(v).passes, N + 1);
	view_free(v);
}

static void slices_may_come_first_and_move(void **state)
{
	(void)state;
	struct view *v = view_new("n1", NULL);

	world_slice(v, "web", "a", "10.244.1.2@n1");
	assert_int_equal(world_passes(v), 1);
	assert_null(view_service_named(v, "shop/web"));
	world_service(v, "web", "192.0.2.1", "");
	assert_int_equal(world_passes(v), 1);
	assert_string_equal(name_of(view_service_named(v, "shop/web")->slices), "a");
	/* The same slice under another Service concerns both. */
	world_slice(v, "api", "a", "10.244.1.2@n1");
	assert_int_equal(world_passes(v), 2);
	assert_null(view_service_named(v, "shop/web")->slices);
	/* A Service that goes leaves its slices; those that come back with it count again. */
	world_slice(v, "web", "b", "10.244.1.3@n1");
	view_remove_service(v, "shop", "web");
	assert_int_equal(world_passes(v), 1);
	assert_null(view_service_named(v, "shop/web"));
	world_service(v, "web", "192.0.2.1", "");
	assert_non_null(view_service_named(v, "shop/web")->slices);
	view_remove_slice(v, "shop", "b");
	view_remove_slice(v, "shop", "nobody");
	assert_null(view_service_named(v, "shop/web")->slices);
	assert_int_equal(world_passes(v), 1);
	view_free(v);
}

/*
 * What cannot be read any more goes on being served, as far as it still names the address and is
 * the same Service.
 */
static void unreadable_services_are_narrowed(void **state)
{
	(void)state;
	static const struct {
		const char *uid, *ingress, *external_ips;
		const char *left; /* the addresses; NULL: it is gone */
	} rows[] = {
		{ "u1", "{'ip':'192.0.2.1'},{'ip':'192.0.2.2'}", "'203.0.113.1'",
		  "192.0.2.1 203.0.113.1 " },
		{ "u1", "{'ip':'192.0.2.2'}", "'203.0.113.1'", "203.0.113.1 " },
		{ "u1", "{'ip':'203.0.113.1'}", "'192.0.2.1'", "" },
		{ "u1", "", "", "" },
		{ "u2", "{'ip':'192.0.2.1'}", "'203.0.113.1'", NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct view *v = view_new("n1", NULL);
		cleanup_free char *text = xasprintf(
			"{'metadata':{'namespace':'shop','name':'web','uid':'%s'},'spec':{"
			"'externalIPs':[%s]},,'status':{'loadBalancer':{'ingress':[%s]}}}",
			rows[i].uid, rows[i].external_ips, rows[i].ingress);
		cleanup(buf_fini) struct buf left = BUF_INIT;

		world_configuration(v);
		world_put(
			v,
			"{'kind':'Service','metadata':{'namespace':'shop','name':'web','uid':'u1'},"
			"'spec':{'type':'LoadBalancer','clusterIP':'10.96.0.1','ports':[{'port':80,"
			"'name':'http'}],'externalIPs':['203.0.113.1'],"
			"'loadBalancerSourceRanges':['10.0.0.0/8']},'status':{'loadBalancer':{"
			"'ingress':[{'ip':'192.0.2.1'}]}}}");
		world_passes(v);
		for (char *p = text; *p; p++)
			*p = *p == '\'' ? '"' : *p;
		struct kube_remains *r = kube_remains_of(text, strlen(text));
		view_service_unreadable(v, r);
		kube_remains_free(r);
		const struct view_service *s = view_service_named(v, "shop/web");
		for (size_t k = 0; s && k < s->n_addresses; k++)
			buf_printf(&left, "%s ", addr_str(&s->addresses[k].addr));
		assert_int_equal(s != NULL, rows[i].left != NULL);
		if (s) {
			assert_string_equal(buf_str(&left), rows[i].left);
			assert_int_equal(s->n_ports, 1);
			assert_string_equal(s->ports[0].name, "http");
			assert_int_equal(s->n_source_ranges, 1);
		}
		assert_int_equal(world_passes(v), 1);
		view_free(v);
	}
}

static void put_owned_slice(struct view *v, const char *name, const char *owner)
{
	world_put(v,
	          "{'kind':'EndpointSlice','metadata':{'namespace':'shop','name':'%s',"
	          "'labels':{'kubernetes.io/service-name':'web'},"
	          "'ownerReferences':[{'apiVersion':'v1','kind':'%s','uid':'%s'}]},"
	          "'addressType':'IPv4','endpoints':[{'addresses':['10.0.0.1']}]}",
	          name, *owner ? "Service" : "Endpoints", *owner ? owner : "mirrored");
}

/* The names of a Service's slices, sorted. */
static const char *slices_of(struct view *v)
{
	static char text[16];
	size_t n = 0;

	for (char c = 'a'; c <= 'z'; c++)
		for (const struct view_slice *s = view_service_named(v, "shop/web")->slices; s;
		     s = s->next)
			if (*name_of(s) == c)
				text[n++] = c;
	text[n] = '\0';
	return text;
}

static void put_web(struct view *v, const char *uid)
{
	world_put(
		v,
		"{'kind':'Service','metadata':{'namespace':'shop','name':'web','uid':'%s'},"
		"'spec':{'clusterIP':'10.96.0.9','clusterIPs':['10.96.0.9'],'ipFamilies':['IPv4'],"
		"'ports':[{'port':80}]}}",
		uid);
}

static void slices_of_an_earlier_service_do_not_count(void **state)
{
	(void)state;
	struct view *v = view_new("n1", NULL);

	put_web(v, "first");
	put_owned_slice(v, "a", "first");
	put_owned_slice(v, "b", "second"); /* the news of which comes before its Service's */
	put_owned_slice(v, "c", "");
	assert_string_equal(slices_of(v), "ac");
	view_remove_service(v, "shop", "web");
	world_passes(v);
	put_web(v, "second");
	assert_string_equal(slices_of(v), "bc");
	assert_int_equal(world_passes(v), 1);
	/* The endpoint slice controller gives a slice to whom it likes. */
	put_owned_slice(v, "a", "second");
	assert_int_equal(world_passes(v), 1);
	assert_string_equal(slices_of(v), "abc");
	put_owned_slice(v, "b", "first");
	assert_string_equal(slices_of(v), "ac");
	/* Without a word in between that the first one went; and in manifests that lack UIDs. */
	put_web(v, "first");
	assert_string_equal(slices_of(v), "bc");
	put_web(v, "");
	assert_string_equal(slices_of(v), "abc");
	view_remove_service(v, "shop", "web");
	for (const char *name = "abc"; *name; name++)
		view_remove_slice(v, "shop", (char[]){ *name, '\0' });
	world_passes(v);
	assert_int_equal(view_stats(v).slices, 0);
	view_free(v);
}

static void useless_slices_are_left_out(void **state)
{
	(void)state;
	struct view *v = view_new("n1", NULL);

	world_put(v, "{'kind':'EndpointSlice','metadata':{'namespace':'shop','name':'h','uid':'u',"
	             "'labels':{'kubernetes.io/service-name':'web','service.kubernetes.io/"
	             "headless':''}},"
	             "'addressType':'IPv4','endpoints':[{'addresses':['10.0.0.1']}]}");
	world_put(v, "{'kind':'EndpointSlice','metadata':{'namespace':'shop','name':'f','uid':'u',"
	             "'labels':{'kubernetes.io/service-name':'web'}},"
	             "'addressType':'FQDN','endpoints':[{'addresses':['a.example']}]}");
	world_put(v, "{'kind':'EndpointSlice','metadata':{'namespace':'shop','name':'l','uid':'u'},"
	             "'addressType':'IPv4','endpoints':[{'addresses':['10.0.0.1']}]}");
	assert_int_equal(world_passes(v), 0);
	assert_int_equal(view_stats(v).slices, 0);
	/* One that becomes headless is taken out. */
	world_slice(v, "web", "h", "10.244.1.2@n1");
	assert_int_equal(world_passes(v), 1);
	world_put(v, "{'kind':'EndpointSlice','metadata':{'namespace':'shop','name':'h','uid':'u',"
	             "'labels':{'kubernetes.io/service-name':'web','service.kubernetes.io/"
	             "headless':''}},"
	             "'addressType':'IPv4','endpoints':[]}");
	assert_int_equal(world_passes(v), 1);
	assert_int_equal(view_stats(v).slices, 0);
	view_free(v);
}

/*
 * kube-proxy does not look at slices for other proxies; where the Service is another's too, they
 * count.
 */
static void slices_for_another_proxy_belong_to_its_services(void **state)
{
	(void)state;
	static const char service[] =
		"{'kind':'Service','metadata':{'namespace':'shop','name':'web',"
		"'uid':'u','labels':{%s}},'spec':{'type':'ClusterIP',"
		"'clusterIP':'10.96.0.8','clusterIPs':['10.96.0.8'],"
		"'ports':[{'port':80}]}}";
	static const char label[] = "'service.kubernetes.io/service-proxy-name':'x'";
	cleanup_free char *plain = xasprintf(service, ""), *foreign = xasprintf(service, label);
	cleanup_free char *slice = xasprintf(
		"{'kind':'EndpointSlice','metadata':{'namespace':'shop','name':'s','uid':'u',"
		"'labels':{'kubernetes.io/service-name':'web',%s}},'addressType':'IPv4',"
		"'endpoints':[{'addresses':['10.0.0.1']}]}",
		label);
	struct view *v = view_new("n1", NULL);
	world_put(v, "%s", slice);
	world_put(v, "%s", plain);
	assert_null(view_service_named(v, "shop/web")->slices);
	world_put(v, "%s", foreign);
	assert_non_null(view_service_named(v, "shop/web")->slices);
	world_put(v, "%s", plain);
	assert_null(view_service_named(v, "shop/web")->slices);
	/* The label goes from the slice, too. */
	world_slice(v, "web", "s", "10.244.1.2@n1");
	assert_non_null(view_service_named(v, "shop/web")->slices);
	world_put(v, "%s", slice);
	assert_null(view_service_named(v, "shop/web")->slices);
	view_free(v);
}

static void nodes_concern_announced_services_only(void **state)
{
	(void)state;
	struct view *v = small_world();
	size_t n;

	world_put(v,
	          "{'kind':'Service','metadata':{'namespace':'shop','name':'inner','uid':'u'},"
	          "'spec':{'type':'ClusterIP','clusterIP':'10.96.0.8','clusterIPs':['10.96.0.8'],"
	          "'ports':[{'port':80}]}}");
	assert_int_equal(world_passes(v), 1);
	/* A heartbeat changes nothing. */
	world_put(v, "{'kind':'Node','metadata':{'name':'n2','uid':'u'},'status':{'conditions':["
	             "{'type':'Ready','status':'False'}]}}");
	assert_int_equal(world_passes(v), 0);
	world_put(v, "{'kind':'Node','metadata':{'name':'n2','uid':'u'},'status':{'conditions':["
	             "{'type':'NetworkUnavailable','status':'True'}]}}");
	assert_int_equal(world_passes(v), 1);
	world_node(v, "n0");
	assert_int_equal(world_passes(v), 1);
	const struct view_node *nodes = view_nodes(v, &n);
	assert_int_equal(n, 3);
	assert_string_equal(nodes[0].name, "n0");
	assert_string_equal(nodes[2].name, "n2");
	assert_true(nodes[2].network_unavailable);
	view_remove_node(v, "n1");
	view_remove_node(v, "n1");
	assert_int_equal(world_passes(v), 1);
	assert_null(view_node_named(v, "n1"));
	view_free(v);
}

static void zones_concern_every_service(void **state)
{
	(void)state;
	static const char node[] = "{'kind':'Node','metadata':{'name':'%s','uid':'u','labels':"
				   "{'topology.kubernetes.io/zone':'%s'}}}";
	static const char slice[] =
		"{'kind':'EndpointSlice','metadata':{'namespace':'shop','name':'inner','uid':'u',"
		"'labels':{'kubernetes.io/service-name':'inner'}},'addressType':'IPv4',"
		"'endpoints':[{'addresses':['10.1.1.1'],'hints':{'forZones':[{'name':'%s'}]}}],"
		"'ports':[{'name':'','port':80}]}";
	struct view *v = view_new("n1", NULL);

	world_put(v,
	          "{'kind':'Service','metadata':{'namespace':'shop','name':'inner','uid':'u'},"
	          "'spec':{'type':'ClusterIP','clusterIP':'10.96.0.8','clusterIPs':['10.96.0.8'],"
	          "'ports':[{'port':80}]}}");
	world_put(v, slice, "a");
	assert_int_equal(world_passes(v), 1);
	assert_null(view_zone(v));
	world_put(v, node, "n2", "b");
	assert_int_equal(world_passes(v), 0);
	world_put(v, node, "n1", "a");
	assert_int_equal(world_passes(v), 1);
	assert_string_equal(view_zone(v), "a");
	world_put(v, node, "n1", "a");
	assert_int_equal(world_passes(v), 0);
	world_put(v, slice, "b");
	assert_int_equal(world_passes(v), 1);
	world_put(v, node, "n1", "");
	assert_int_equal(world_passes(v), 1);
	assert_null(view_zone(v));
	view_free(v);
}

static void the_last_good_configuration_stays(void **state)
{
	(void)state;
	struct view *v = small_world();
	struct kube_config_map bad = { .meta = { .namespace = (char[]){ "ns" },
		                                 .name = (char[]){ "fairlead-active" } } };
	struct label kv = { .key = (char[]){ "config" }, .value = (char[]){ "address-pools: 7" } };
	const struct configuration *before = view_configuration(v);
	struct err e = ERR_INIT;

	assert_int_equal(view_generation(v), 7);
	assert_true(view_load_configuration(v, &bad, &e) < 0);
	assert_non_null(strstr(e.msg, "ns/fairlead-active"));
	bad.data = (struct labels){ .kvs = &kv, .n = 1 };
	assert_true(view_load_configuration(v, &bad, &e) < 0);
	assert_int_equal(e.blame, ERR_CONFIG);
	assert_ptr_equal(view_configuration(v), before);
	assert_int_equal(view_generation(v), 7);
	assert_false(view_is_dirty(v));
	view_free(v);
}

static void a_configuration_concerns_the_addresses_it_moves(void **state)
{
	(void)state;
	struct view *v = small_world();

	world_service(v, "far", "198.51.100.1", "");
	assert_int_equal(world_passes(v), 1);
	world_put(v, "{'kind':'ConfigMap','metadata':{'namespace':'fairlead-system',"
	             "'name':'fairlead-active','uid':'u'},'data':{'config':'"
	             "address-pools:\\n"
	             "- {name: lan, protocol: layer2, addresses: [192.0.2.0/24, 203.0.113.0/24]}\\n"
	             "- {name: far, protocol: layer2, addresses: [198.51.100.0/24]}\\n'}}");
	size_t n;
	const struct view_service *const *dirty = view_take_dirty(v, &n);
	assert_int_equal(n, 1);
	assert_string_equal(dirty[0]->name, "far");
	view_clean(v);
	view_free(v);
}

static void put_node(struct view *v, const char *name, const char *ip)
{
	world_put(v,
	          "{'kind':'Node','metadata':{'name':'%s','uid':'u'},'status':{'addresses':["
	          "{'type':'InternalIP','address':'%s'},{'type':'Hostname','address':'x'}]}}",
	          name, ip);
}

static void nodes_addresses_are_known(void **state)
{
	(void)state;
	struct view *v = small_world();
	struct addr a, b;

	addr_parse("192.0.2.1", &a);
	addr_parse("192.0.2.2", &b);
	put_node(v, "n1", "192.0.2.1");
	assert_int_equal(world_passes(v), 1);
	put_node(v, "n1", "192.0.2.1");
	assert_int_equal(world_passes(v), 0);
	assert_true(view_is_node_address(v, &a));
	/* Two may have one, in a mistake or in passing. */
	put_node(v, "n2", "192.0.2.1");
	put_node(v, "n1", "192.0.2.2");
	assert_true(view_is_node_address(v, &a) && view_is_node_address(v, &b));
	view_remove_node(v, "n2");
	assert_false(view_is_node_address(v, &a));
	world_node(v, "n1");
	assert_false(view_is_node_address(v, &b));
	view_free(v);
}

static const char *kind_named(struct view *v, const char *key, size_t i)
{
	const struct view_service *s = view_service_named(v, key);

	assert_true(i < s->n_addresses);
	return decide_kind_name(decide_kind_of(view_configuration(v), &s->addresses[i]));
}

static void addresses_have_their_kind(void **state)
{
	(void)state;
	struct view *v = small_world();

	world_service(v, "lb", "192.0.2.2",
	              ",'externalIPs':['203.0.113.1','192.0.2.2','203.0.113.1']");
	assert_int_equal(view_service_named(v, "shop/lb")->n_addresses, 2);
	assert_string_equal(kind_named(v, "shop/lb", 0), "load-balancer");
	assert_string_equal(kind_named(v, "shop/lb", 1), "external-ip-handwritten");
	world_external(v, "ext", "ClusterIP", "100.64.1.1,192.0.2.3", "100.64.1.1,2001:db8::1", "");
	assert_string_equal(kind_named(v, "shop/ext", 0), "external-ip-assigned");
	assert_string_equal(kind_named(v, "shop/ext", 1), "external-ip-handwritten");
	/*
	 * A record that the status does not confirm, or of other addresses, may have been written
	 * by anybody.
	 */
	static const char *const others[] = { "", "assigned external IP 100.64.1.2 from pool out",
		                              "pool keeps external IP 100.64.1.9" };
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		world_put(
			v,
			"{'kind':'Service','metadata':{'namespace':'shop','name':'forged','uid':'f',"
			"'annotations':{'fairlead.io/external-ips-assigned':'100.64.1.9'}},"
			"'spec':{'type':'ClusterIP','clusterIP':'10.96.0.9','externalIPs':['100.64.1.9'],"
			"'ports':[{'port':80}]},'status':{'conditions':[{"
			"'type':'fairlead.io/ExternalIPsAssigned','status':'True','message':'%s'}]}}",
			others[i]);
		assert_string_equal(kind_named(v, "shop/forged", 0), "external-ip-handwritten");
	}
	/* A status is that of a load balancer only. */
	world_put(v, "{'kind':'Service','metadata':{'namespace':'shop','name':'was','uid':'u'},"
	             "'spec':{'type':'ClusterIP','clusterIP':'10.96.0.9',"
	             "'clusterIPs':['10.96.0.9'],'ports':[{'port':80}]},"
	             "'status':{'loadBalancer':{'ingress':[{'ip':'192.0.2.9'}]}}}");
	assert_int_equal(view_service_named(v, "shop/was")->n_addresses, 0);
	world_passes(v);
	/* The record alone is a change. */
	world_external(v, "ext", "ClusterIP", "100.64.1.1,192.0.2.3", "", "");
	assert_int_equal(world_passes(v), 1);
	assert_string_equal(kind_named(v, "shop/ext", 0), "external-ip-handwritten");
	world_external(v, "ext", "ClusterIP", "100.64.1.1,192.0.2.3", "", "");
	assert_int_equal(world_passes(v), 0);
	view_free(v);
}

/* Pool "lan", with @more, and external-ips. */
static void configure_pool(struct view *v, const char *more, const char *external_ips)
{
	world_put(v,
	          "{'kind':'ConfigMap','metadata':{'namespace':'fairlead-system',"
	          "'name':'fairlead-active','uid':'u'},'data':{'config':'"
	          "address-pools:\\n"
	          "- {name: lan, protocol: layer2, addresses: [192.0.2.0/24]%s}\\n"
	          "external-ips: %s\\n'}}",
	          more, external_ips);
}

static void configure(struct view *v, const char *external_ips)
{
	configure_pool(v, "", external_ips);
}

/* Admission hangs on the configuration, and with it who has an address that others hold, too. */
static void what_is_allowed_concerns_all_who_hold_it(void **state)
{
	(void)state;
	struct view *v = view_new("n1", NULL);
	struct addr a;

	addr_parse("192.0.2.1", &a);
	configure(v, "{}");
	world_external(v, "a-first", "ClusterIP", "192.0.2.1", "", "");
	world_service(v, "web", "192.0.2.1", "");
	world_service(v, "other", "192.0.2.2", "");
	world_passes(v);
	assert_string_equal(decide_first(v, &a)->name, "web");
	configure(v, "{allow: [203.0.113.0/24], namespaces: [shop]}");
	assert_int_equal(world_passes(v), 0);
	configure(v, "{allow: [192.0.2.0/28], namespaces: [shop]}");
	assert_int_equal(world_passes(v), 2);
	assert_string_equal(decide_first(v, &a)->name, "web");
	configure(v, "{allow: [192.0.2.0/28], namespaces: [bank]}");
	assert_int_equal(world_passes(v), 2);
	/* Nodes concern a Service with an external IP, whatever its type. */
	world_node(v, "n1");
	assert_int_equal(world_passes(v), 3);
	/* It may have the address no more, so what becomes of it is its own matter. */
	view_remove_service(v, "shop", "a-first");
	assert_int_equal(world_passes(v), 1);
	assert_string_equal(decide_first(v, &a)->name, "web");
	view_free(v);
}

/*
 * Many Services can name the same addresses, and whoever changes one of them makes no work for all.
 */
static void what_nobody_allowed_concerns_nobody(void **state)
{
	(void)state;
	enum { N = 20 };
	static const char many[] = "192.0.2.1,192.0.2.2,192.0.2.3,192.0.2.4";
	struct view *v = view_new("n1", NULL);
	struct addr a;
	size_t n;

	addr_parse("192.0.2.1", &a);
	configure(v, "{}");
	world_service(v, "web", "192.0.2.1", "");
	for (size_t i = 0; i < N; i++) {
		char name[16];
		snprintf(name, sizeof(name), "a%zu", i);
		world_external(v, name, "ClusterIP", many, "", "");
	}
	world_passes(v);
	view_holders(v, &a, &n);
	assert_int_equal(n, 1);
	world_external(v, "a7", "ClusterIP", many, "", ",'sessionAffinity':'ClientIP'");
	assert_int_equal(world_passes(v), 1);
	/*
	 * What was assigned once counts for a list written by hand where its pool is gone, and
	 * comes back with the pool.
	 */
	world_external(v, "a8", "ClusterIP", many, "192.0.2.1", "");
	assert_int_equal(world_passes(v), 2);
	configure(v, "{allow: [192.0.2.2/32], namespaces: [shop]}");
	assert_int_equal(world_passes(v), N);
	addr_parse("192.0.2.2", &a);
	assert_string_equal(decide_first(v, &a)->name, "a0");
	world_external(v, "a0", "ClusterIP", "", "", "");
	assert_int_equal(world_passes(v), N);
	assert_string_equal(decide_first(v, &a)->name, "a1");
	configure(v, "{}");
	assert_null(decide_first(v, &a));
	world_passes(v);
	view_remove_service(v, "shop", "a1");
	assert_int_equal(world_passes(v), 1);
	view_free(v);
}

/* A record that no condition confirms takes the address from nobody, and says whose it is. */
static void a_belied_record_watches_the_address(void **state)
{
	(void)state;
	struct view *v = view_new("n1", NULL);
	size_t n;
	struct addr a;

	addr_parse("192.0.2.1", &a);
	configure(v, "{}");
	world_put(v,
	          "{'kind':'Service','metadata':{'namespace':'shop','name':'copy','uid':'c',"
	          "'annotations':{'fairlead.io/external-ips-assigned':'192.0.2.1'}},"
	          "'spec':{'type':'ClusterIP','clusterIP':'10.96.0.9','clusterIPs':['10.96.0.9'],"
	          "'externalIPs':['192.0.2.1'],'ports':[{'port':80}]}}");
	world_passes(v);
	view_holders(v, &a, &n);
	assert_int_equal(n, 0);
	world_service(v, "web", "192.0.2.1", "");
	assert_int_equal(world_passes(v), 2);
	assert_string_equal(decide_first(v, &a)->name, "web");
	view_remove_service(v, "shop", "web");
	assert_int_equal(world_passes(v), 2);
	assert_null(decide_first(v, &a));
	/* Its own changes concern nobody else. */
	world_service(v, "web", "192.0.2.1", "");
	world_passes(v);
	view_remove_service(v, "shop", "copy");
	assert_int_equal(world_passes(v), 1);
	view_free(v);
}

/* Neither a record nor a list written by hand counts as much as a status. */
static void what_a_pool_is_for_concerns_all_who_hold_it(void **state)
{
	(void)state;
	static const char allow[] = "{allow: [192.0.2.0/28], namespaces: [shop]}";
	struct view *v = view_new("n1", NULL);
	struct addr a;

	addr_parse("192.0.2.1", &a);
	configure_pool(v, ", use: [load-balancer, external-ip]", allow);
	world_external(v, "a-first", "ClusterIP", "192.0.2.1", "192.0.2.1", "");
	world_service(v, "web", "192.0.2.1", "");
	world_passes(v);
	assert_string_equal(decide_first(v, &a)->name, "web");
	configure(v, allow);
	assert_int_equal(world_passes(v), 2);
	assert_string_equal(decide_first(v, &a)->name, "web");
	view_remove_service(v, "shop", "web");
	assert_string_equal(decide_first(v, &a)->name, "a-first");
	view_free(v);
}

static void claimants_are_ordered_and_told(void **state)
{
	(void)state;
	struct view *v = small_world();
	struct addr a;

	addr_parse("192.0.2.1", &a);
	/* The same creation time: the name decides; and both are looked at again. */
	world_service(v, "api", "192.0.2.1", "");
	assert_int_equal(world_passes(v), 2);
	assert_string_equal(decide_first(v, &a)->name, "api");
	world_put(
		v,
		"{'kind':'Service','metadata':{'namespace':'a-first','name':'late','uid':'u',"
		"'creationTimestamp':'2026-01-02T00:00:00Z'},"
		"'spec':{'type':'LoadBalancer','clusterIP':'10.96.0.7','clusterIPs':['10.96.0.7'],"
		"'ports':[{'port':80}]},'status':{'loadBalancer':{'ingress':[{'ip':'192.0.2.1'}]}}"
		"}");
	assert_int_equal(world_passes(v), 3);
	assert_string_equal(decide_first(v, &a)->name, "api");
	/* One of another class comes after ours, and one that moved away not at all. */
	world_service(v, "api", "192.0.2.1", ",'loadBalancerClass':'example.com/other'");
	assert_int_equal(world_passes(v), 3);
	assert_string_equal(decide_first(v, &a)->name, "web");
	view_remove_service(v, "shop", "web");
	assert_int_equal(world_passes(v), 3);
	assert_string_equal(decide_first(v, &a)->name, "late");
	view_remove_service(v, "a-first", "late");
	/* The one of the other class is looked at as well: its address may be forwarded now. */
	assert_int_equal(world_passes(v), 2);
	assert_string_equal(decide_first(v, &a)->name, "api");
	view_free(v);
}

static void classes_are_ours_or_not(void **state)
{
	(void)state;
	static const struct {
		const char *ours, *its;
		bool is_ours;
	} cases[] = {
		{ NULL, "", true },
		{ NULL, ",'loadBalancerClass':'example.com/x'", false },
		{ "example.com/x", "", false },
		{ "example.com/x", ",'loadBalancerClass':'example.com/x'", true },
		{ "example.com/y", ",'loadBalancerClass':'example.com/x'", false },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct view *v = view_new("n1", cases[i].ours);
		world_service(v, "web", "192.0.2.1", cases[i].its);
		assert_int_equal(view_is_our_class(v, view_service_named(v, "shop/web")),
		                 cases[i].is_ours);
		view_free(v);
	}
}

static void services_are_listed_in_order(void **state)
{
	(void)state;
	struct view *v = small_world();
	size_t n;

	world_service(v, "api", "192.0.2.2", "");
	world_slice(v, "ghost", "g", "10.244.1.9@n1");
	const struct view_service **all = view_services(v, &n);
	assert_int_equal(n, 2);
	assert_string_equal(all[0]->name, "api");
	assert_string_equal(all[1]->key, "shop/web");
	free(all);
	view_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unchanged_objects_make_nothing_dirty),
		cmocka_unit_test(one_change_among_many_is_one_pass),
		cmocka_unit_test(slices_may_come_first_and_move),
		cmocka_unit_test(unreadable_services_are_narrowed),
		cmocka_unit_test(slices_of_an_earlier_service_do_not_count),
		cmocka_unit_test(useless_slices_are_left_out),
		cmocka_unit_test(slices_for_another_proxy_belong_to_its_services),
		cmocka_unit_test(nodes_concern_announced_services_only),
		cmocka_unit_test(zones_concern_every_service),
		cmocka_unit_test(the_last_good_configuration_stays),
		cmocka_unit_test(a_configuration_concerns_the_addresses_it_moves),
		cmocka_unit_test(nodes_addresses_are_known),
		cmocka_unit_test(addresses_have_their_kind),
		cmocka_unit_test(what_is_allowed_concerns_all_who_hold_it),
		cmocka_unit_test(what_nobody_allowed_concerns_nobody),
		cmocka_unit_test(a_belied_record_watches_the_address),
		cmocka_unit_test(what_a_pool_is_for_concerns_all_who_hold_it),
		cmocka_unit_test(claimants_are_ordered_and_told),
		cmocka_unit_test(classes_are_ours_or_not),
		cmocka_unit_test(services_are_listed_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
