/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <string.h>

#include "fairlead/decide.h"
#include "fairlead/mem.h"
#include "speaker/health.h"
#include "world.h"

/* ---- what is answered, byte for byte ---- */

static void assert_answer(const struct http_answer *a, int code, const char *type,
                          const char *header, const char *body)
{
	assert_int_equal(a->code, code);
	assert_string_equal(a->type, type);
	assert_string_equal(buf_str(&a->header), header);
	assert_string_equal(buf_str(&a->body), body);
}

static void answer_fini(struct http_answer *a)
{
	buf_fini(&a->header);
	buf_fini(&a->body);
}

/* ---- where it is asked ---- */

static void node_ports_addresses_are_listened_on(void **state)
{
	static const char *const local[] = { "127.0.0.1", "192.0.2.7",   "10.244.1.1",
		                             "192.0.2.7", "192.0.2.9",   "::1",
		                             "fe80::1",   "2001:db8::7", "2001:db8:9::7" };
	static const struct {
		const char *cidrs[3];
		const char *want; /* "all": one socket for everything */
	} rows[] = {
		{ { "0.0.0.0/0", "::/0" }, "all" },
		{ { "192.0.2.7/32", "::/0" }, "192.0.2.7 ::" },
		{ { "0.0.0.0/0", "2001:db8::/64" }, "0.0.0.0 2001:db8::7" },
		{ { "192.0.2.0/24", "10.0.0.0/8" }, "10.244.1.1 192.0.2.7 192.0.2.9" },
		/* Neither where nobody else can ask, nor where it takes an interface. */
		{ { "127.0.0.0/8", "::1/128", "fe80::/10" }, "" },
		{ { "198.51.100.7/32" }, "" },
	};
	struct addr addrs[ARRAY_LEN(local)], many[40], got[LIMIT_HEALTH_ADDRESSES + 1];
	bool all;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(local); i++)
		assert_int_equal(addr_parse(local[i], &addrs[i]), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup(buf_fini) struct buf text = BUF_INIT;
		struct proxy_node n = { .n_pod_cidrs = 0 };
		for (size_t k = 0; k < ARRAY_LEN(rows[i].cidrs) && rows[i].cidrs[k]; k++)
			prefix_parse(rows[i].cidrs[k], false,
			             &n.node_port_cidrs[n.n_node_port_cidrs++]);
		size_t n_got = health_addresses(&n, addrs, ARRAY_LEN(addrs), got, &all);
		for (size_t k = 0; k < n_got; k++)
			buf_printf(&text, "%s%s", k ? " " : "", addr_str(&got[k]));
		assert_string_equal(all ? "all" : buf_str(&text), rows[i].want);
		assert_true(!all || n_got == 0);
	}
	/* As many as there are are told, and some are given. */
	struct proxy_node n = { .node_port_cidrs = { { { .family = 4, .b = { 10 } }, 8 } },
		                .n_node_port_cidrs = 1 };
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = (struct addr){ .family = 4, .b = { 10, 0, 0, (uint8_t)i } };
	got[LIMIT_HEALTH_ADDRESSES] = many[0];
	assert_int_equal(health_addresses(&n, many, ARRAY_LEN(many), got, &all), ARRAY_LEN(many));
	assert_true(addr_eq(&got[LIMIT_HEALTH_ADDRESSES], &many[0]));
}

static void a_service_is_answered_as_kube_proxy_does(void **state)
{
	static const struct {
		size_t endpoints;
		bool healthy;
		int code;
		const char *weight, *end;
	} rows[] = {
		{ 1, true, 200, "1", "1,\n\t\"serviceProxyHealthy\": true\n}" },
		{ 18, true, 200, "18", "18,\n\t\"serviceProxyHealthy\": true\n}" },
		{ 0, true, 503, "0", "0,\n\t\"serviceProxyHealthy\": true\n}" },
		{ 1, false, 503, "1", "1,\n\t\"serviceProxyHealthy\": false\n}" },
		{ 0, false, 503, "0", "0,\n\t\"serviceProxyHealthy\": false\n}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct health_service h = { "shop", "web", rows[i].endpoints,
			                          rows[i].healthy };
		cleanup(answer_fini) struct http_answer a = { .code = 0 };
		cleanup_free char *header = xasprintf("X-Content-Type-Options: nosniff\r\n"
		                                      "X-Load-Balancing-Endpoint-Weight: %s\r\n",
		                                      rows[i].weight);
		cleanup_free char *body = xasprintf("{\n"
		                                    "\t\"service\": {\n"
		                                    "\t\t\"namespace\": \"shop\",\n"
		                                    "\t\t\"name\": \"web\"\n"
		                                    "\t},\n"
		                                    "\t\"localEndpoints\": %s",
		                                    rows[i].end);
		health_answer_service(&h, &a);
		assert_answer(&a, rows[i].code, "application/json", header, body);
	}
}

#define NOW_US 1767323045000000 /* 2026-01-02T03:04:05Z */
#define NOW "\"2026-01-02T03:04:05Z\""
#define THEN "\"2026-01-02T03:04:04.25Z\""

static void the_data_plane_is_answered_as_kube_proxy_does(void **state)
{
	static const struct {
		const char *path;
		bool healthy, eligible, v6;
		int code;
		const char *body;
	} rows[] = {
		{ "/healthz", true, true, false, 200,
		  "{\"lastUpdated\":" NOW ",\"currentTime\":" NOW ",\"nodeEligible\":true,"
		  "\"healthy\":true,\"status\":{\"IPv4\":{\"lastUpdated\":" THEN
		  ",\"healthy\":true}}}" },
		{ "/healthz", true, true, true, 200,
		  "{\"lastUpdated\":" NOW ",\"currentTime\":" NOW ",\"nodeEligible\":true,"
		  "\"healthy\":true,\"status\":{\"IPv4\":{\"lastUpdated\":" THEN
		  ",\"healthy\":true},\"IPv6\":{\"lastUpdated\":" THEN ",\"healthy\":true}}}" },
		{ "/healthz", true, false, false, 503,
		  "{\"lastUpdated\":" THEN ",\"currentTime\":" NOW ",\"nodeEligible\":false,"
		  "\"healthy\":true,\"status\":{\"IPv4\":{\"lastUpdated\":" THEN
		  ",\"healthy\":true}}}" },
		{ "/healthz", false, true, false, 503,
		  "{\"lastUpdated\":" THEN ",\"currentTime\":" NOW ",\"nodeEligible\":true,"
		  "\"healthy\":false,\"status\":{\"IPv4\":{\"lastUpdated\":" THEN
		  ",\"healthy\":false}}}" },
		{ "/livez", true, false, false, 200,
		  "{\"lastUpdated\":" NOW ",\"currentTime\":" NOW
		  ",\"healthy\":true,\"status\":{\"IPv4\":{\"lastUpdated\":" THEN
		  ",\"healthy\":true}}}" },
		{ "/livez", false, true, false, 503,
		  "{\"lastUpdated\":" THEN ",\"currentTime\":" NOW
		  ",\"healthy\":false,\"status\":{\"IPv4\":{\"lastUpdated\":" THEN
		  ",\"healthy\":false}}}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct health_proxy h = { .now_us = NOW_US,
			                        .updated_us = NOW_US - 750000,
			                        .healthy = rows[i].healthy,
			                        .eligible = rows[i].eligible,
			                        .v4 = true,
			                        .v6 = rows[i].v6 };
		cleanup(answer_fini) struct http_answer a = { .code = 0 };
		health_answer_proxy(rows[i].path, &h, &a);
		assert_answer(&a, rows[i].code, "application/json",
		              "X-Content-Type-Options: nosniff\r\n", rows[i].body);
	}
	static const char *const others[] = { "", "/", "/healthz/", "/status" };
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		cleanup(answer_fini) struct http_answer a = { .code = 0 };
		health_answer_proxy(others[i], &(struct health_proxy){ .healthy = true }, &a);
		assert_answer(&a, 404, "text/plain; charset=utf-8",
		              "X-Content-Type-Options: nosniff\r\n", "404 page not found\n");
	}
}

/* ---- which endpoints count ---- */

static void ready_local_endpoints_count_once(void **state)
{
	static const struct {
		const char *endpoints, *more;
		size_t want;
	} rows[] = {
		{ "10.244.1.2@n1", "", 1 },
		{ "10.244.1.2@n1 10.244.1.3@n1 10.244.2.2@n2", "", 2 },
		{ "10.244.2.2@n2", "", 0 },
		{ "10.244.1.2", "", 0 },
		{ "10.244.1.2@n1!", "", 0 },
		{ "10.244.1.2@n1~", "", 0 },
		{ "10.244.1.2@n1~ 10.244.1.3@n1", "", 1 },
		/* of another slice, where the Service has several ports */
		{ "10.244.1.2@n1", "10.244.1.2@n1", 1 },
		{ "10.244.1.2@n1", "10.244.1.3@n1", 2 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct view *v = view_new("n1", NULL);
		world_service(v, "web", "192.0.2.1", "");
		world_slice(v, "web", "web-1", rows[i].endpoints);
		if (*rows[i].more)
			world_slice(v, "web", "web-2", rows[i].more);
		size_t got = health_local_endpoints(view_service_named(v, "shop/web"), "n1");
		if (got != rows[i].want)
			fail_msg("row %zu: %zu", i, got);
		view_free(v);
	}
}

static void the_first_family_counts(void **state)
{
	static const char slice[] =
		"{'kind':'EndpointSlice','metadata':{'namespace':'shop','name':'%s','uid':'u',"
		"'labels':{'kubernetes.io/service-name':'web'}},'addressType':'%s',"
		"'endpoints':[{'addresses':['%s'],'nodeName':'n1'}],"
		"'ports':[%s]}";
	static const char port[] = "{'name':'','port':8080,'protocol':'TCP'}";
	struct view *v = view_new("n1", NULL);

	(void)state;
	world_put(v, "{'kind':'Service','metadata':{'namespace':'shop','name':'web','uid':'u'},"
	             "'spec':{'type':'LoadBalancer','clusterIP':'fd00:96::9',"
	             "'clusterIPs':['fd00:96::9','10.96.0.9'],"
	             "'ipFamilies':['IPv6','IPv4'],'ports':[{'port':80}]}}");
	const char *key = "shop/web";
	world_put(v, slice, "four", "IPv4", "10.244.1.2", port);
	assert_int_equal(health_local_endpoints(view_service_named(v, key), "n1"), 0);
	/* No proxy has endpoints of a slice without ports. */
	world_put(v, slice, "six", "IPv6", "fd00:244::2", "");
	assert_int_equal(health_local_endpoints(view_service_named(v, key), "n1"), 0);
	world_put(v, slice, "six", "IPv6", "fd00:244::2", port);
	assert_int_equal(health_local_endpoints(view_service_named(v, key), "n1"), 1);
	view_free(v);
}

/* ---- when ---- */

static void an_endpoint_counts_when_rules_lead_to_it(void **state)
{
	(void)state;
	assert_int_equal(health_told(0, 1, false), 0);
	assert_int_equal(health_told(0, 1, true), 1);
	assert_int_equal(health_told(2, 1, false), 1);
	assert_int_equal(health_told(1, 0, false), 0);
	assert_int_equal(health_told(1, 3, false), 1);
	assert_int_equal(health_told(1, 3, true), 3);
	assert_int_equal(health_told(3, 3, false), 3);
}

static void what_waits_for_long_is_unhealthy(void **state)
{
	static const struct {
		int64_t now_ms;
		bool settled;
		int64_t last_success_ms;
		bool want;
	} rows[] = {
		{ 1000, true, 900, true },
		/* Something waits, and is late after a minute. */
		{ 500000, false, 900, true },
		{ 559999, false, 900, true },
		{ 560000, false, 900, false },
		{ 900000, false, 900, false },
		/* What gets through in between, as in a long list of changes, is progress. */
		{ 900001, false, 900000, true },
		{ 959999, false, 900000, true },
		{ 960000, false, 900000, false },
		{ 960001, true, 960001, true },
		/* The next one has its own minute, though nothing was written for long. */
		{ 9000000, false, 960001, true },
		{ 9060000, false, 960001, false },
	};
	struct health_sync h = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (health_sync_look(&h, rows[i].settled, rows[i].last_success_ms,
		                     rows[i].now_ms) != rows[i].want)
			fail_msg("row %zu", i);
}

/* ---- the node ---- */

static void a_node_that_goes_is_known(void **state)
{
	static const struct {
		const char *meta, *spec;
		bool leaving;
		enum reason ends;
	} rows[] = {
		{ "", "", false, REASON_Candidate },
		{ ",'deletionTimestamp':'2026-01-02T03:04:05Z'", "", true, REASON_Candidate },
		{ "", "'taints':[{'key':'ToBeDeletedByClusterAutoscaler','effect':'NoSchedule'}]",
		  true, REASON_Candidate },
		{ "", "'taints':[{'key':'other','effect':'NoSchedule'}]", false, REASON_Candidate },
		{ "", "'taints':[{'key':'node.kubernetes.io/out-of-service'}]", false,
		  REASON_NodeOutOfService },
		{ "", "'taints':[{'key':'node.cloudprovider.kubernetes.io/shutdown'}]", false,
		  REASON_NodeShuttingDown },
		{ ",'annotations':{'fairlead.io/drain':'true'}", "", false, REASON_NodeDrained },
		{ ",'labels':{'node.kubernetes.io/exclude-from-external-load-balancers':''}", "",
		  false, REASON_Candidate },
		{ "", "'unschedulable':true", false, REASON_NodeCordoned },
	};
	struct view *v = view_new("n1", NULL);

	(void)state;
	view_set_node_rules(v, (struct view_node_rules){ .drain_on_cordon = true });
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		world_put(v, "{'kind':'Node','metadata':{'name':'n1','uid':'u'%s},'spec':{%s}}",
		          rows[i].meta, rows[i].spec);
		const struct view_node *n = view_node_named(v, "n1");
		if (n->leaving != rows[i].leaving || decide_node_ends(v, n) != rows[i].ends)
			fail_msg("row %zu: %s", i, reason_name(decide_node_ends(v, n)));
	}
	view_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(node_ports_addresses_are_listened_on),
		cmocka_unit_test(a_service_is_answered_as_kube_proxy_does),
		cmocka_unit_test(the_data_plane_is_answered_as_kube_proxy_does),
		cmocka_unit_test(ready_local_endpoints_count_once),
		cmocka_unit_test(the_first_family_counts),
		cmocka_unit_test(an_endpoint_counts_when_rules_lead_to_it),
		cmocka_unit_test(what_waits_for_long_is_unhealthy),
		cmocka_unit_test(a_node_that_goes_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
