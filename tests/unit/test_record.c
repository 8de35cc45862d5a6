/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <stdlib.h>

#include <json-c/json.h>

#include "controller/record.h"
#include "fairlead/mem.h"

static const char pools[] =
	"address-pools: [{name: lan, protocol: layer2, addresses: [192.168.1.240-192.168.1.250]}]";

static struct kube_service *service_of(const char *spec, const char *status)
{
	cleanup_free char *text = xasprintf(
		"{\"metadata\":{\"namespace\":\"shop\",\"name\":\"web\",\"uid\":\"u\","
		"\"resourceVersion\":\"7\",\"creationTimestamp\":\"2026-01-02T03:04:05Z\"},"
		"\"spec\":{\"type\":\"LoadBalancer\",\"clusterIP\":\"10.96.0.1\","
		"\"clusterIPs\":[\"10.96.0.1\"]%s},\"status\":{%s}}",
		spec, status);
	struct json_object *obj = json_tokener_parse(text);
	struct kube_service *s = NULL;
	struct err e = ERR_INIT;

	if (!obj || kube_service_parse(obj, &s, &e) < 0)
		fail_msg("%s: %s", text, e.msg);
	json_object_put(obj);
	return s;
}

/* A record that was read, adopted and decided. */
static struct record *decided(const char *spec, const char *status)
{
	struct config_problems errors = { 0 };
	struct configuration *c = NULL;
	struct kube_service *s = service_of(spec, status);
	struct record *r = record_new(NULL, &s->meta);
	struct ipam_decision d;

	assert_int_equal(configuration_parse(pools, strlen(pools), &c, &errors, NULL), 0);
	struct ipam *ipam = ipam_new(c);
	record_read(r, s, NULL, 0);
	ipam_hold(ipam, r->key, r->request.held, r->request.n_held);
	ipam_decide(ipam, r->key, &r->request, &d);
	record_decided(r, &d);
	ipam_free(ipam);
	configuration_unref(c);
	kube_service_free(s);
	return r;
}

#define INGRESS(more) "\"loadBalancer\":{\"ingress\":[{\"ip\":\"192.168.1.240\"" more "}]}"
#define INGRESS_OF(ip) "\"loadBalancer\":{\"ingress\":[{\"ip\":\"" ip "\"}]}"
#define VIP INGRESS(",\"ipMode\":\"VIP\"")
#define CONDITION(status, reason, message)                                               \
	"\"conditions\":[{\"type\":\"fairlead.io/AddressAssigned\",\"status\":\"" status \
	"\",\"reason\":\"" reason "\",\"message\":\"" message                            \
	"\",\"lastTransitionTime\":\"2026-01-01T00:00:00Z\"}]"
#define OUTSIDE "\"loadBalancer\":{\"ingress\":[{\"ip\":\"8.8.8.8\",\"ipMode\":\"VIP\"}]}"
#define ASKS_OUTSIDE ",\"loadBalancerIP\":\"8.8.8.8\""
#define WHY_OUTSIDE "8.8.8.8 was asked for, but is in no pool"

static const struct {
	const char *what, *spec, *status;
	struct record_server server;
	struct record_write needs;
} rows[] = {
	{ "a new one", "", "", { 0 }, { true, true } },
	{ "one that is right", "", VIP "," CONDITION("True", "Assigned", "any"), { 0 }, { 0 } },
	{ "one that is right since before us",
	  "",
	  VIP "," CONDITION("True", "Kept", "any"),
	  { 0 },
	  { 0 } },
	{ "one without a condition", "", VIP, { 0 }, { false, true } },
	{ "one whose condition is wrong",
	  "",
	  VIP "," CONDITION("False", "PoolExhausted", "any"),
	  { 0 },
	  { false, true } },
	{ "one without a condition on a server that drops it",
	  "",
	  VIP,
	  { .drops_conditions = true },
	  { 0 } },
	{ "a new one on such a server", "", "", { .drops_conditions = true }, { true, true } },
	{ "one without ipMode",
	  "",
	  INGRESS("") "," CONDITION("True", "Kept", "any"),
	  { 0 },
	  { true, true } },
	{ "one without ipMode on a server that drops it",
	  "",
	  INGRESS("") "," CONDITION("True", "Kept", "any"),
	  { .drops_ip_mode = true },
	  { 0 } },
	{ "ipMode Proxy is left as it is",
	  "",
	  INGRESS(",\"ipMode\":\"Proxy\"") "," CONDITION("True", "Kept", "any"),
	  { 0 },
	  { 0 } },
	{ "a failure", ASKS_OUTSIDE, "", { 0 }, { false, true } },
	{ "a failure that is said",
	  ASKS_OUTSIDE,
	  CONDITION("False", "AddressOutsidePools", WHY_OUTSIDE),
	  { 0 },
	  { 0 } },
	{ "a failure that is said in other words",
	  ASKS_OUTSIDE,
	  CONDITION("False", "AddressOutsidePools", "any"),
	  { 0 },
	  { false, true } },
	{ "a failure on a server that drops conditions",
	  ASKS_OUTSIDE,
	  "",
	  { .drops_conditions = true },
	  { 0 } },
	{ "a foreign one", "", OUTSIDE, { 0 }, { 0 } },
	{ "a foreign one that was ours",
	  "",
	  OUTSIDE "," CONDITION("True", "Assigned", "any"),
	  { 0 },
	  { false, true } },
	{ "another class", ",\"loadBalancerClass\":\"example.com/x\"", "", { 0 }, { 0 } },
	{ "another class with our words",
	  ",\"loadBalancerClass\":\"example.com/x\"",
	  VIP "," CONDITION("False", "PoolExhausted", "any"),
	  { 0 },
	  { 0 } },
	{ "no longer a load balancer",
	  ",\"type\":\"ClusterIP\"",
	  CONDITION("True", "Assigned", "any"),
	  { 0 },
	  { false, true } },
	{ "no longer one, on a server that leaves the status",
	  ",\"type\":\"ClusterIP\"",
	  VIP "," CONDITION("True", "Assigned", "any"),
	  { 0 },
	  { true, true } },
	{ "never one", ",\"type\":\"ClusterIP\"", "", { 0 }, { 0 } },
};

static void test_needs(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct record *r = decided(rows[i].spec, rows[i].status);
		struct record_write w = record_needs(r, &rows[i].server);
		if (w.ingress != rows[i].needs.ingress || w.condition != rows[i].needs.condition)
			fail_msg("%s: ingress %d, condition %d (%s)", rows[i].what, w.ingress,
			         w.condition, r->message);
		record_free(r);
	}
}

static void test_patch(void **state)
{
	static const struct {
		const char *spec, *status, *patch;
		int64_t generation;
	} cases[] = {
		{ "", "",
		  "{\"metadata\":{\"resourceVersion\":\"7\"},\"status\":{\"loadBalancer\":{\"ingress\":[{"
		  "\"ip\":\"192.168.1.240\",\"ipMode\":\"VIP\"}]},\"conditions\":[{\"type\":"
		  "\"fairlead.io/AddressAssigned\",\"status\":\"True\",\"observedGeneration\":3,"
		  "\"lastTransitionTime\":\"2026-05-06T07:08:09Z\",\"reason\":\"Assigned\",\"message\":"
		  "\"assigned 192.168.1.240 from pool lan\"}]}}",
		  3 },
		/* Only the condition, which turns. */
		{ ASKS_OUTSIDE, VIP "," CONDITION("True", "Assigned", "any"),
		  "{\"metadata\":{\"resourceVersion\":\"7\"},\"status\":{\"conditions\":[{\"type\":"
		  "\"fairlead.io/AddressAssigned\",\"status\":\"False\",\"lastTransitionTime\":"
		  "\"2026-05-06T07:08:09Z\",\"reason\":\"AddressOutsidePools\",\"message\":\"" WHY_OUTSIDE
		  "; the status keeps 192.168.1.240\"}]}}",
		  0 },
		/* It says no in other words: the time of the turn stays. */
		{ ASKS_OUTSIDE, CONDITION("False", "PoolExhausted", "any"),
		  "{\"metadata\":{\"resourceVersion\":\"7\"},\"status\":{\"conditions\":[{\"type\":"
		  "\"fairlead.io/AddressAssigned\",\"status\":\"False\",\"lastTransitionTime\":"
		  "\"2026-01-01T00:00:00Z\",\"reason\":\"AddressOutsidePools\",\"message\":\"" WHY_OUTSIDE
		  "\"}]}}",
		  0 },
		{ ",\"type\":\"ClusterIP\"", VIP "," CONDITION("True", "Assigned", "any"),
		  "{\"metadata\":{\"resourceVersion\":\"7\"},\"status\":{\"loadBalancer\":{\"ingress\":"
		  "null},\"conditions\":[{\"type\":\"fairlead.io/AddressAssigned\",\"status\":\"False\","
		  "\"lastTransitionTime\":\"2026-05-06T07:08:09Z\",\"reason\":\"NoAddressWanted\","
		  "\"message\":\"the Service is not of type LoadBalancer\"}]}}",
		  0 },
	};
	const int64_t now_us = 1778051289000000; /* 2026-05-06T07:08:09Z */

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct record *r = decided(cases[i].spec, cases[i].status);
		struct record_server server = { false, false };
		struct buf out = BUF_INIT;

		r->generation = cases[i].generation;
		record_patch(r, record_needs(r, &server), now_us, &out);
		assert_string_equal(buf_str(&out), cases[i].patch);
		struct json_object *obj = json_tokener_parse(buf_str(&out));
		assert_non_null(obj);
		json_object_put(obj);
		buf_fini(&out);
		record_free(r);
	}
}

static void test_overwritten(void **state)
{
	/* Before, and now; the decision on what was before wants 192.168.1.240. */
	static const struct {
		const char *what, *before, *now;
		bool overwritten;
	} steps[] = {
		{ "nothing changed", VIP, VIP, false },
		{ "our own write", "", VIP, false },
		{ "an address for one who waited", "", INGRESS_OF("192.168.1.249"), true },
		{ "another address", VIP, INGRESS_OF("192.168.1.249"), true },
		{ "the address is gone", VIP, "", true },
		{ "one more", VIP,
		  "\"loadBalancer\":{\"ingress\":[{\"ip\":\"192.168.1.240\"},{\"ip\":\"fd00::1\"}]}",
		  true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct record *r = decided("", steps[i].before);
		struct kube_service *now = service_of("", steps[i].now);
		struct addr before[IPAM_STATUS_MAX];
		size_t n_before = r->request.n_held;

		memcpy(before, r->request.held, sizeof(before));
		record_read(r, now, NULL, 0);
		if (record_overwritten(r, before, n_before) != steps[i].overwritten)
			fail_msg("%s", steps[i].what);
		r->decided = false; /* nobody has looked at it yet */
		assert_false(record_overwritten(r, before, n_before));
		kube_service_free(now);
		record_free(r);
	}
}

static void test_what_a_server_drops(void **state)
{
	static const struct record_write all = { true, true };
	struct kube_service *s = service_of("", INGRESS(""));
	struct record_server d = record_dropped(s, all);

	(void)state;
	assert_true(d.drops_ip_mode);
	assert_true(d.drops_conditions);
	d = record_dropped(s, (struct record_write){ false, false });
	assert_false(d.drops_ip_mode || d.drops_conditions);
	kube_service_free(s);

	s = service_of("", VIP "," CONDITION("True", "Assigned", "any"));
	d = record_dropped(s, all);
	assert_false(d.drops_ip_mode || d.drops_conditions);
	kube_service_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_needs),
		cmocka_unit_test(test_patch),
		cmocka_unit_test(test_overwritten),
		cmocka_unit_test(test_what_a_server_drops),
	};
	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
