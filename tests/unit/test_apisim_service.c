/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include "../apisim/cells.h"
#include "../apisim/fault.h"
#include "../apisim/js.h"
#include "../apisim/service.h"
#include "../apisim/validate.h"
#include "fairlead/mem.h"

static struct json_object *parse(const char *text)
{
	struct json_object *o = js_parse(text, strlen(text), NULL);

	assert_non_null(o);
	return o;
}

/* A cluster with 10.96.0.0/29: five addresses to give. */
static struct alloc small_cluster(void)
{
	struct alloc a;
	struct prefix range;

	assert_int_equal(prefix_parse("10.96.0.0/29", false, &range), 0);
	alloc_init(&a, &range, 1);
	return a;
}

/* What the server does with a Service; the number of causes. */
static size_t settle(struct alloc *a, struct json_object *svc, struct json_object *old)
{
	cleanup(causes_fini) struct causes c = { .list = NULL };

	service_carry_over(svc, old);
	service_default(svc);
	validate_service(svc, old, &c);
	if (!js_len(c.list))
		service_allocate(a, svc, old, &c);
	return js_len(c.list);
}

static void addresses_run_out_and_come_back(void **state)
{
	(void)state;
	cleanup(alloc_fini) struct alloc a = small_cluster();
	struct json_object *held[8] = { NULL };
	size_t n = 0;
	for (; n < ARRAY_LEN(held); n++) {
		held[n] = parse("{\"spec\":{\"ports\":[{\"port\":80}]}}");
		if (settle(&a, held[n], NULL))
			break;
		alloc_count(&a, held[n], +1);
	}
	/* Not the network address, nor .1; the last one is no broadcast address here. */
	assert_int_equal(n, 6);
	assert_string_equal(js_str(held[0], "spec.clusterIP"), "10.96.0.2");
	alloc_count(&a, held[3], -1);
	cleanup(js_put) struct json_object *again = parse("{\"spec\":{\"ports\":[{\"port\":80}]}}");
	assert_int_equal(settle(&a, again, NULL), 0);
	assert_string_equal(js_str(again, "spec.clusterIP"), js_str(held[3], "spec.clusterIP"));
	for (size_t i = 0; i < ARRAY_LEN(held); i++)
		json_object_put(held[i]);
}

static void node_ports_are_unique_but_for_twins(void **state)
{
	(void)state;
	cleanup(alloc_fini) struct alloc a = small_cluster();
	cleanup(js_put) struct json_object *one = parse(
		"{\"spec\":{\"type\":\"NodePort\",\"ports\":[{\"name\":\"a\",\"port\":53,\"nodePort\":30000},"
		"{\"name\":\"b\",\"port\":53,\"protocol\":\"UDP\"},{\"name\":\"c\",\"port\":54}]}}");
	assert_int_equal(settle(&a, one, NULL), 0);
	alloc_count(&a, one, +1);
	struct json_object *ports = js_array(one, "spec.ports");
	assert_int_equal(js_int(json_object_array_get_idx(ports, 1), "nodePort", 0), 30000);
	assert_int_equal(js_int(json_object_array_get_idx(ports, 2), "nodePort", 0), 30001);
	cleanup(js_put) struct json_object *two = parse(
		"{\"spec\":{\"type\":\"NodePort\",\"ports\":[{\"port\":1,\"nodePort\":30001}]}}");
	assert_int_equal(settle(&a, two, NULL), 1);
	/* Its own ports are free to the Service itself. */
	cleanup(js_put) struct json_object *same = js_copy(one);
	assert_int_equal(settle(&a, same, one), 0);
	assert_true(js_equal(same, one));
	alloc_count(&a, one, -1);
	assert_false(alloc_port_taken(&a, 30000));
}

static void a_type_change_drops_only_what_the_user_left_alone(void **state)
{
	(void)state;
	cleanup(alloc_fini) struct alloc a = small_cluster();
	cleanup(js_put) struct json_object *old = parse(
		"{\"spec\":{\"type\":\"LoadBalancer\",\"externalTrafficPolicy\":\"Local\",\"ports\":[{\"port\":80}]}}");
	assert_int_equal(settle(&a, old, NULL), 0);
	alloc_count(&a, old, +1);
	cleanup(js_put) struct json_object *plain = js_copy(old);
	js_set_str(plain, "spec.type", "ClusterIP");
	assert_int_equal(settle(&a, plain, old), 0);
	assert_null(js_at(plain, "spec.healthCheckNodePort"));
	assert_null(js_at(plain, "spec.externalTrafficPolicy"));
	assert_string_equal(js_str(plain, "spec.clusterIP"), js_str(old, "spec.clusterIP"));
	cleanup(js_put) struct json_object *changed = js_copy(old);
	js_set_str(changed, "spec.type", "ClusterIP");
	js_set_str(changed, "spec.loadBalancerClass", "example.com/x");
	assert_int_equal(settle(&a, changed, old), 1);
	cleanup(js_put) struct json_object *name = js_copy(old);
	js_set_str(name, "spec.type", "ExternalName");
	js_set_str(name, "spec.externalName", "example.com");
	assert_int_equal(settle(&a, name, old), 0);
	assert_null(js_at(name, "spec.clusterIP"));
}

static void names(void **state)
{
	(void)state;
	static const struct {
		const char *s;
		bool label, dns1035, subdomain, qualified;
	} cases[] = {
		{ "a", true, true, true, true },
		{ "a-b", true, true, true, true },
		{ "1a", true, false, true, true },
		{ "a.b", false, false, true, true },
		{ "A_b.c", false, false, false, true },
		{ "example.com/x", false, false, false, true },
		{ "Example.com/x", false, false, false, false },
		{ "/x", false, false, false, false },
		{ "x/", false, false, false, false },
		{ "a/b/c", false, false, false, false },
		{ "-a", false, false, false, false },
		{ "a-", false, false, false, false },
		{ "a..b", false, false, false, true },
		{ "", false, false, false, false },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false, false,
		  true, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (is_dns_label(cases[i].s) != cases[i].label ||
		    is_dns1035_label(cases[i].s) != cases[i].dns1035 ||
		    is_dns_subdomain(cases[i].s) != cases[i].subdomain ||
		    is_qualified_name(cases[i].s) != cases[i].qualified)
			fail_msg("\"%s\"", cases[i].s);
	}
}

static void durations(void **state)
{
	(void)state;
	static const struct {
		int64_t seconds;
		const char *text;
	} cases[] = {
		{ -1, "0s" },         { 0, "0s" },         { 119, "119s" },      { 120, "2m" },
		{ 125, "2m5s" },      { 600, "10m" },      { 10799, "179m" },    { 10800, "3h" },
		{ 11100, "3h5m" },    { 28800, "8h" },     { 172799, "47h" },    { 172800, "2d" },
		{ 183600, "2d3h" },   { 691200, "8d" },    { 63071999, "729d" }, { 63072000, "2y" },
		{ 63158400, "2y1d" }, { 252374400, "8y" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup(buf_fini) struct buf b = BUF_INIT;
		print_duration(&b, cases[i].seconds);
		assert_string_equal(buf_str(&b), cases[i].text);
	}
}

static void faults_strike_as_told(void **state)
{
	(void)state;
	struct fault_set *f = fault_new();
	struct err err = ERR_INIT;
	cleanup(js_put) struct json_object *o =
		parse("{\"rules\":[{\"verb\":\"get\",\"path\":\"/pods\",\"next\":2,\"code\":500},"
	              "{\"every\":3,\"code\":503,\"retry_after\":1}],\"silent\":\"leases\"}");
	assert_int_equal(fault_set_rules(f, o, &err), 0);
	assert_int_equal(fault_judge(f, "get", "/api/v1/pods", "").code, 500);
	assert_int_equal(fault_judge(f, "list", "/api/v1/pods", "").code, 0);
	assert_int_equal(fault_judge(f, "get", "/api/v1/pods/x", NULL).code, 500);
	assert_int_equal(fault_judge(f, "get", "/api/v1/pods", "").code, 0);
	struct fault_action a = fault_judge(f, "get", "/x", "");
	assert_int_equal(a.code, 503);
	assert_int_equal(a.retry_after_s, 1);
	assert_true(fault_watches_silent(f, "leases"));
	assert_false(fault_watches_silent(f, "pods"));
	static const char *const bad[] = {
		"{\"rules\":[7]}",
		"{\"rules\":[{\"code\":201}]}",
		"{\"rules\":[{\"every\":0}]}",
		"{\"rules\":[{\"delay_ms\":-1}]}",
		"{\"rules\":[{\"unknown\":1}]}",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cleanup(js_put) struct json_object *b = parse(bad[i]);
		assert_true(fault_set_rules(f, b, &err) < 0);
		assert_int_equal(fault_judge(f, "get", "/x", "").code, 0);
	}
	fault_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_run_out_and_come_back),
		cmocka_unit_test(node_ports_are_unique_but_for_twins),
		cmocka_unit_test(a_type_change_drops_only_what_the_user_left_alone),
		cmocka_unit_test(names),
		cmocka_unit_test(durations),
		cmocka_unit_test(faults_strike_as_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
