/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "fairlead/buf.h"
#include "fairlead/forward.h"
#include "fairlead/mem.h"
#include "world.h"

static void put_addrs(struct buf *out, const char *what, const struct addr *addrs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_printf(out, " %s %s", what, addr_str(&addrs[i]));
}

/* What is forwarded, in one line: "10.96.0.9 vip 192.0.2.1 80/30080:2+1". */
static void put_half(struct buf *out, const struct proxy_half *h)
{
	const struct proxy_outside *o = proxy_outside(h);

	buf_puts(out, addr_str(&h->cluster_ip));
	put_addrs(out, "vip", o->vips, o->n_vips);
	put_addrs(out, "external", o->external_ips, o->n_external_ips);
	put_addrs(out, "open", o->open, o->n_open);
	for (size_t i = 0; i < o->n_source_ranges; i++)
		buf_printf(out, " from %s/%u", addr_str(&o->source_ranges[i].addr),
		           o->source_ranges[i].len);
	for (size_t i = 0; i < h->n_ports; i++) {
		const struct proxy_port *p = &h->ports[i];
		buf_printf(out, " %u/%u:%u+%u", p->port, p->node_port, p->n_cluster, p->n_local);
	}
}

static bool is_announced(const char *key, const struct addr *a, const void *arg)
{
	(void)a;
	return !strcmp(key, arg);
}

/* @announced: the key of the Service whose addresses the node announces. */
static void put_forward(struct buf *out, const struct view *v, const char *key,
                        const char *announced)
{
	const struct view_service *s = view_service_named(v, key);
	const struct forward_node node = { .name = "n1",
		                           .is_announced = is_announced,
		                           .arg = announced };
	struct forward f;

	forward_build(v, &node, s, NULL, &f);
	assert_string_equal(f.service.key, key);
	for (size_t i = 0; i < PROXY_HALVES; i++) {
		const struct proxy_half *h = f.service.halves[i];
		assert_int_equal(!!h, forward_wanted(v, s, i ? 6 : 4));
		if (!h)
			continue;
		assert_string_equal(h->key, key);
		assert_int_equal(h->created_us, s->created_us);
		assert_int_equal(h->family, i ? 6 : 4);
		if (out->size)
			buf_puts(out, " | ");
		put_half(out, h);
	}
	forward_fini(&f);
}

static struct view *world(void)
{
	struct view *v = view_new("n1", NULL);

	view_set_node_rules(v, (struct view_node_rules){ .forwards = true });
	world_configuration(v);
	world_put(v, "{'kind':'Node','metadata':{'name':'n1','uid':'u'},'status':{'addresses':["
	             "{'type':'InternalIP','address':'203.0.113.200'}]}}");
	world_node(v, "n2");
	return v;
}

#define BOTH "'clusterIP':'10.96.0.9','clusterIPs':['10.96.0.9','fd00:96::9']"
#define ONE "'clusterIP':'10.96.0.9','clusterIPs':['10.96.0.9']"
#define SIX "'clusterIP':'fd00:96::9','clusterIPs':['fd00:96::9']"
#define PORT "'ports':[{'port':80,'nodePort':30080}]"
#define VIP "[{'ip':'192.0.2.1'}]"

static void what_of_a_service_is_forwarded(void **state)
{
	(void)state;
	static const struct {
		const char *what, *labels, *spec, *ingress, *announced, *forwarded;
	} cases[] = {
		{ "of type ClusterIP", "", "'type':'ClusterIP'," ONE ",'ports':[{'port':80}]", "[]",
		  "", "10.96.0.9 80/0:2+0" },
		{ "a node port that the type does not have", "", "'type':'ClusterIP'," ONE "," PORT,
		  "[]", "", "10.96.0.9 80/0:2+0" },
		{ "of type NodePort", "", "'type':'NodePort'," ONE "," PORT, "[]", "",
		  "10.96.0.9 80/30080:2+0" },
		{ "of type LoadBalancer", "", "'type':'LoadBalancer'," ONE "," PORT, VIP, "",
		  "10.96.0.9 vip 192.0.2.1 80/30080:2+0" },
		{ "of policy Local", "",
		  "'type':'NodePort','externalTrafficPolicy':'Local'," ONE "," PORT, "[]", "",
		  "10.96.0.9 80/30080:2+1" },
		{ "of two families", "", "'type':'NodePort'," BOTH "," PORT, "[]", "",
		  "10.96.0.9 80/30080:2+0 | fd00:96::9 80/30080:0+0" },
		{ "of IPv6 alone", "", "'type':'NodePort'," SIX "," PORT, "[]", "",
		  "fd00:96::9 80/30080:0+0" },
		{ "headless", "",
		  "'type':'ClusterIP','clusterIP':'None','clusterIPs':['None']," PORT, "[]", "",
		  "" },
		{ "without ports", "", "'type':'NodePort'," ONE, "[]", "", "" },
		{ "of type ExternalName", "",
		  "'type':'ExternalName','externalName':'a.example'," ONE "," PORT, "[]", "", "" },
		{ "another proxy's", "'service.kubernetes.io/service-proxy-name':'other'",
		  "'type':'NodePort'," ONE "," PORT, "[]", "", "" },
		{ "nobody's", "'service.kubernetes.io/headless':''",
		  "'type':'NodePort'," ONE "," PORT, "[]", "", "" },
		{ "an external IP that nobody allowed", "",
		  "'type':'ClusterIP','externalIPs':['198.18.0.1']," ONE ",'ports':[{'port':80}]",
		  "[]", "", "10.96.0.9 80/0:2+0" },
		{ "an external IP that was allowed, and is announced here", "",
		  "'type':'ClusterIP','externalIPs':['203.0.113.1']," ONE ",'ports':[{'port':80}]",
		  "[]", "shop/web", "10.96.0.9 external 203.0.113.1 80/0:2+0" },
		{ "one that is not, whose other ports may be a machine's", "",
		  "'type':'ClusterIP','externalIPs':['203.0.113.1']," ONE ",'ports':[{'port':80}]",
		  "[]", "", "10.96.0.9 external 203.0.113.1 open 203.0.113.1 80/0:2+0" },
		{ "source ranges of its family", "",
		  "'type':'LoadBalancer'," ONE "," PORT
		  ",'loadBalancerSourceRanges':['10.0.0.0/8','fd00::/8']",
		  VIP, "", "10.96.0.9 vip 192.0.2.1 from 10.0.0.0/8 80/30080:2+0" },
		{ "a source range that is everybody", "",
		  "'type':'LoadBalancer'," ONE "," PORT
		  ",'loadBalancerSourceRanges':['10.0.0.0/8','0.0.0.0/0']",
		  VIP, "", "10.96.0.9 vip 192.0.2.1 80/30080:2+0" },
		{ "everybody of the other family", "",
		  "'type':'LoadBalancer'," ONE "," PORT
		  ",'loadBalancerSourceRanges':['10.0.0.0/8','::/0']",
		  VIP, "", "10.96.0.9 vip 192.0.2.1 from 10.0.0.0/8 80/30080:2+0" },
		{ "a source range in which the node is", "",
		  "'type':'LoadBalancer'," ONE "," PORT
		  ",'loadBalancerSourceRanges':['203.0.113.192/26']",
		  VIP, "",
		  "10.96.0.9 vip 192.0.2.1 from 203.0.113.192/26 from 192.0.2.1/32 80/30080:2+0" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct view *v = world();
		cleanup(buf_fini) struct buf out = BUF_INIT;
		world_put(v,
		          "{'kind':'Service','metadata':{'namespace':'shop','name':'web',"
		          "'uid':'u','labels':{%s}},'spec':{%s},"
		          "'status':{'loadBalancer':{'ingress':%s}}}",
		          cases[i].labels, cases[i].spec, cases[i].ingress);
		world_slice(v, "web", "web-1", "10.1.1.1@n1 10.1.2.1@n2 10.1.2.2@n2!");
		put_forward(&out, v, "shop/web", cases[i].announced);
		if (strcmp(buf_str(&out), cases[i].forwarded) != 0)
			fail_msg("%s: %s", cases[i].what, buf_str(&out));
		view_free(v);
	}
}

#define PORTS 10
#define ENDPOINTS 1000

/* From the port @first on; @turn: the one named p0 is not the first, but this one. */
static void put_large_as(struct view *v, int n_ports, int first, int turn, const char *more)
{
	cleanup(buf_fini) struct buf ports = BUF_INIT;

	for (int i = 0; i < n_ports; i++)
		buf_printf(&ports, "%s{'name':'p%d','port':%d}", i ? "," : "",
		           (i + n_ports - turn) % n_ports, first + i);
	cleanup_free char *spec = xasprintf("%s,'ports':[%s]", more, buf_str(&ports));
	world_service(v, "web", "192.0.2.1", spec);
}

static void put_large(struct view *v, int n_ports, int first)
{
	put_large_as(v, n_ports, first, 0, "");
}

/* One slice, whose endpoints serve the first so many ports. */
static void put_slice(struct view *v, int n_ports, int slice, int n)
{
	cleanup(buf_fini) struct buf ports = BUF_INIT, endpoints = BUF_INIT;

	for (int i = 0; i < n_ports; i++)
		buf_printf(&ports, "%s{'name':'p%d','port':%d}", i ? "," : "", i, 1000 + i);
	for (int i = 0; i < n; i++)
		buf_printf(&endpoints,
		           "%s{'addresses':['10.%d.%d.%d'],'conditions':{'ready':true}}",
		           i ? "," : "", slice + 1, i / 256, i % 256);
	world_put(
		v,
		"{'kind':'EndpointSlice','metadata':{'namespace':'shop','name':'web-%d','uid':'u',"
		"'labels':{'kubernetes.io/service-name':'web'}},'addressType':'IPv4',"
		"'ports':[%s],'endpoints':[%s]}",
		slice, buf_str(&ports), buf_str(&endpoints));
}

/* One that is too large is left out whole, so that it harms nobody. */
static void what_is_too_large_is_left_out(void **state)
{
	(void)state;
	struct view *v = world();
	cleanup(buf_fini) struct buf out = BUF_INIT;

	view_set_node_rules(v, (struct view_node_rules){ .forwards = true, .by_rules = true });
	put_large(v, PORTS, 1000);
	put_slice(v, PORTS, 0, ENDPOINTS);
	put_forward(&out, v, "shop/web", "shop/web");
	assert_string_equal(buf_str(&out), "");
	world_service(v, "web", "192.0.2.1", ",'ports':[{'name':'p0','port':1000}]");
	put_forward(&out, v, "shop/web", "shop/web");
	assert_string_equal(buf_str(&out), "10.96.0.9 vip 192.0.2.1 1000/0:1000+0");
	view_free(v);
}

/* The other ports of an address of the pools are closed, but not if it is announced elsewhere. */
static void of_two_that_hold_an_address_the_first_has_it(void **state)
{
	(void)state;
	struct view *v = world();
	cleanup(buf_fini) struct buf first = BUF_INIT, second = BUF_INIT;

	world_service(v, "web", "192.0.2.1", "");
	world_put(v, "{'kind':'Service','metadata':{'namespace':'shop','name':'xweb','uid':'x',"
	             "'creationTimestamp':'2026-02-01T00:00:00Z'},'spec':{'type':'LoadBalancer',"
	             "'clusterIP':'10.96.0.10','clusterIPs':['10.96.0.10'],'ports':[{'port':81}]},"
	             "'status':{'loadBalancer':{'ingress':[{'ip':'192.0.2.1'}]}}}");
	put_forward(&first, v, "shop/web", "shop/web");
	put_forward(&second, v, "shop/xweb", "shop/web");
	assert_string_equal(buf_str(&first), "10.96.0.9 vip 192.0.2.1 80/30080:0+0");
	assert_string_equal(buf_str(&second), "10.96.0.10 81/0:0+0");
	view_free(v);
}

/* ---- in pieces ---- */

static const struct view_service *web(const struct view *v)
{
	return view_service_named(v, "shop/web");
}

static const struct forward_node here = { .name = "n1" };

/* The one that was built in pieces is the one that is built in one go; its first half's ports. */
static const struct proxy_port *expect_built(const struct view *v, const struct forward_ports *p,
                                             struct forward *ret)
{
	cleanup(buf_fini) struct buf built = BUF_INIT, whole = BUF_INIT;
	struct forward f;

	forward_build(v, &here, web(v), p, ret);
	forward_build(v, &here, web(v), NULL, &f);
	put_half(&built, ret->service.halves[0]);
	put_half(&whole, f.service.halves[0]);
	assert_string_equal(buf_str(&built), buf_str(&whole));
	forward_fini(&f);
	return ret->service.halves[0]->ports;
}

static size_t n_shared(const struct proxy_port *a, const struct proxy_port *b)
{
	size_t n = 0;

	for (size_t i = 0; i < PORTS; i++)
		n += a[i].lists == b[i].lists;
	return n;
}

/* A step looks at so many endpoints, and what has not changed is what it was. */
static void a_large_one_is_built_in_pieces(void **state)
{
	(void)state;
	struct view *v = world();
	struct forward_ports *p = forward_ports_new();
	struct forward first, second;
	size_t n = 1;

	put_large(v, PORTS, 1000);
	put_slice(v, PORTS, 0, ENDPOINTS);
	put_slice(v, 1, 1, 1);
	while (!forward_ports_step(p, &here, web(v), 2 * (ENDPOINTS + 2)))
		n++;
	/* There is no second family, but its ports are passed over like others. */
	assert_int_equal(n, PORTS);
	const struct proxy_port *before = expect_built(v, p, &first);
	assert_int_equal(before[0].n_cluster, ENDPOINTS + 1);
	/* What others hold outlives what it was built from. */
	struct proxy_lists *held = proxy_lists_ref(before[0].lists);
	put_slice(v, 1, 1, 2);
	forward_ports_again(p);
	while (!forward_ports_step(p, &here, web(v), 1))
		;
	const struct proxy_port *after = expect_built(v, p, &second);
	assert_int_equal(n_shared(before, after), PORTS - 1);
	assert_int_equal(after[0].n_cluster, ENDPOINTS + 2);
	assert_false(proxy_lists_eq(held, after[0].lists));
	assert_true(forward_ports_step(p, &here, web(v), 1));
	forward_fini(&first);
	forward_fini(&second);
	proxy_lists_unref(held);
	forward_ports_free(p);
	view_free(v);
}

/* Ports that change meanwhile, or families, are not mixed with those of before. */
static void other_ports_begin_anew(void **state)
{
	(void)state;
	for (int change = 0; change < 4; change++) {
		struct view *v = world();
		struct forward_ports *p = forward_ports_new();
		struct forward f;

		put_large(v, PORTS, 1000);
		put_slice(v, PORTS, 0, ENDPOINTS);
		put_slice(v, 1, 1, 1);
		for (int i = 0; i < PORTS / 2; i++)
			assert_false(forward_ports_step(p, &here, web(v), 1));
		if (change == 0)
			put_large(v, PORTS - 1, 1000);
		else if (change == 1)
			put_large(v, PORTS, 2000);
		else if (change == 2)
			put_large_as(v, PORTS, 1000, 1, "");
		else
			put_large_as(v, PORTS, 1000, 0, ",'clusterIPs':['10.96.0.9','fd00:96::9']");
		while (!forward_ports_step(p, &here, web(v), 1))
			;
		expect_built(v, p, &f);
		forward_fini(&f);
		forward_ports_free(p);
		view_free(v);
	}
}

/* The view may give the place of a name that is gone to another one. */
static void other_names_begin_anew(void **state)
{
	(void)state;
	struct view *v = world();
	struct forward_ports *p = forward_ports_new();
	char name[] = "old";
	size_t n = 1;

	world_service(v, "web", "192.0.2.1", ",'ports':[{'port':80},{'name':'last','port':81}]");
	struct view_service s = *web(v);
	struct view_port ports[] = { s.ports[0], s.ports[1] };
	ports[0].name = name;
	s.ports = ports;
	assert_false(forward_ports_step(p, &here, &s, 1));
	strcpy(name, "new");
	while (!forward_ports_step(p, &here, &s, 1))
		n++;
	assert_int_equal(n, PROXY_HALVES * ARRAY_LEN(ports));
	forward_ports_free(p);
	view_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_of_a_service_is_forwarded),
		cmocka_unit_test(what_is_too_large_is_left_out),
		cmocka_unit_test(of_two_that_hold_an_address_the_first_has_it),
		cmocka_unit_test(a_large_one_is_built_in_pieces),
		cmocka_unit_test(other_ports_begin_anew),
		cmocka_unit_test(other_names_begin_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
