/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <stdlib.h>

#include <json-c/json.h>

#include "controller/annotations.h"
#include "fairlead/mem.h"
#include "fairlead/record.h"
#include "fairlead/turn.h"

static const char pools[] =
	"address-pools:\n"
	"- {name: lan, protocol: layer2, addresses: [192.168.1.240-192.168.1.250]}\n"
	"- {name: edge, protocol: layer2, use: [external-ip], addresses: [203.0.113.0/29, "
	"'fd00:7::/125']}\n"
	"external-ips: {allow: [198.51.100.0/24], namespaces: [shop]}\n";
#define ALL_ALLOWED                                                                         \
	"address-pools:\n"                                                                  \
	"- {name: lan, protocol: layer2, addresses: [192.168.1.240-192.168.1.250]}\n"       \
	"- {name: edge, protocol: layer2, use: [external-ip], addresses: [203.0.113.0/29, " \
	"'fd00:7::/125']}\n"                                                                \
	"external-ips: {allow: [0.0.0.0/0], namespaces: [shop]}\n"
static const struct record_rules rules = { .external_ips = true };

/* @annotations: as in JSON, without the braces. */
static struct kube_service *annotated(const char *annotations, const char *spec, const char *status)
{
	cleanup_free char *text = xasprintf(
		"{\"metadata\":{\"namespace\":\"shop\",\"name\":\"web\",\"uid\":\"u\","
		"\"resourceVersion\":\"7\",\"creationTimestamp\":\"2026-01-02T03:04:05Z\","
		"\"annotations\":{%s}},"
		"\"spec\":{\"type\":\"LoadBalancer\",\"clusterIP\":\"10.96.0.1\","
		"\"clusterIPs\":[\"10.96.0.1\"]%s},\"status\":{%s}}",
		annotations, spec, status);
	struct json_object *obj = json_tokener_parse(text);
	struct kube_service *s = NULL;
	struct err e = ERR_INIT;

	if (!obj || kube_service_parse(obj, &s, &e) < 0)
		fail_msg("%s: %s", text, e.msg);
	json_object_put(obj);
	return s;
}

static struct kube_service *service_of(const char *spec, const char *status)
{
	return annotated("", spec, status);
}

static struct ipam *ipam_of_text(const char *yaml)
{
	struct config_problems errors = { 0 };
	struct configuration *c = NULL;

	assert_int_equal(configuration_parse(yaml, strlen(yaml), &c, &errors, NULL), 0);
	struct ipam *ipam = ipam_new(c);
	configuration_unref(c);
	return ipam;
}

static struct ipam *ipam_of_pools(void)
{
	return ipam_of_text(pools);
}

/* A record that was read, adopted and decided.  Frees @s. */
static struct record *decided_of(struct kube_service *s, struct ipam *ipam)
{
	static const struct record_server server = { 0 };
	struct record *r = record_new(NULL, &s->meta);

	record_read(r, s, &rules, 0);
	turn_decide(ipam, r, &server);
	kube_service_free(s);
	return r;
}

static struct record *decided(const char *spec, const char *status)
{
	struct ipam *ipam = ipam_of_pools();
	struct record *r = decided_of(service_of(spec, status), ipam);

	ipam_free(ipam);
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
	{ "a new one", "", "", { 0 }, { .ingress = true, .condition = true } },
	{ "one that is right", "", VIP "," CONDITION("True", "Assigned", "any"), { 0 }, { 0 } },
	{ "one that is right since before us",
	  "",
	  VIP "," CONDITION("True", "Kept", "any"),
	  { 0 },
	  { 0 } },
	{ "one without a condition", "", VIP, { 0 }, { .condition = true } },
	{ "one whose condition is wrong",
	  "",
	  VIP "," CONDITION("False", "PoolExhausted", "any"),
	  { 0 },
	  { .condition = true } },
	{ "one without a condition on a server that drops it",
	  "",
	  VIP,
	  { .drops_conditions = true },
	  { 0 } },
	{ "a new one on such a server",
	  "",
	  "",
	  { .drops_conditions = true },
	  { .ingress = true, .condition = true } },
	{ "one without ipMode",
	  "",
	  INGRESS("") "," CONDITION("True", "Kept", "any"),
	  { 0 },
	  { .ingress = true, .condition = true } },
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
	{ "a failure", ASKS_OUTSIDE, "", { 0 }, { .condition = true } },
	{ "a failure that is said",
	  ASKS_OUTSIDE,
	  CONDITION("False", "AddressOutsidePools", WHY_OUTSIDE),
	  { 0 },
	  { 0 } },
	{ "a failure that is said in other words",
	  ASKS_OUTSIDE,
	  CONDITION("False", "AddressOutsidePools", "any"),
	  { 0 },
	  { .condition = true } },
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
	  { .condition = true } },
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
	  { .condition = true } },
	{ "no longer one, on a server that leaves the status",
	  ",\"type\":\"ClusterIP\"",
	  VIP "," CONDITION("True", "Assigned", "any"),
	  { 0 },
	  { .ingress = true, .condition = true } },
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
			         w.condition, r->lb.message);
		assert_null(r->external);
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
		const char *what, *before, *now, *overwritten;
	} steps[] = {
		{ "nothing changed", VIP, VIP, NULL },
		{ "our own write", "", VIP, NULL },
		{ "an address for one who waited", "", INGRESS_OF("192.168.1.249"), "addresses" },
		{ "another address", VIP, INGRESS_OF("192.168.1.249"), "addresses" },
		{ "the address is gone", VIP, "", "addresses" },
		{ "one more", VIP,
		  "\"loadBalancer\":{\"ingress\":[{\"ip\":\"192.168.1.240\"},{\"ip\":\"fd00::1\"}]}",
		  "addresses" },
		{ "the condition says the same", VIP "," CONDITION("True", "Kept", "any"),
		  VIP "," CONDITION("True", "Assigned", "any"), NULL },
		{ "the condition says else", VIP "," CONDITION("True", "Kept", "any"),
		  VIP "," CONDITION("False", "ForeignAddress", "any"), "our condition" },
		{ "the condition is gone", VIP "," CONDITION("True", "Kept", "any"), VIP,
		  "our condition" },
		{ "a condition that was to be corrected",
		  VIP "," CONDITION("False", "NoPools", "any"),
		  VIP "," CONDITION("False", "ForeignAddress", "any"), NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct record *r = decided("", steps[i].before);
		struct kube_service *now = service_of("", steps[i].now);
		const struct record_shown before = record_shown(r);

		record_read(r, now, &rules, 0);
		const char *found = record_overwritten(r, &before);
		if (!found != !steps[i].overwritten ||
		    (found && !strstr(found, steps[i].overwritten)))
			fail_msg("%s: %s", steps[i].what, found ? found : "nothing");
		r->lb.decided = false; /* nobody has looked at it yet */
		assert_null(record_overwritten(r, &before));
		kube_service_free(now);
		record_free(r);
	}
}

/* ---- external IPs ---- */

#define ASKS "\"fairlead.io/external-ips\":\"edge\""
#define RECORD(list) "\"fairlead.io/external-ips-assigned\":\"" list "\""
#define HAS(list) ",\"externalIPs\":[" list "]"
#define SAID(status, reason, message)                                                        \
	"\"conditions\":[{\"type\":\"fairlead.io/ExternalIPsAssigned\",\"status\":\"" status \
	"\",\"reason\":\"" reason "\",\"message\":\"" message                                \
	"\",\"lastTransitionTime\":\"2026-01-01T00:00:00Z\"}]"
#define NODE_PORT ",\"type\":\"NodePort\""
#define DUAL ",\"clusterIPs\":[\"10.96.0.1\",\"fd00:96::1\"]"
#define NO_PATCH ""

static const struct external_row {
	const char *what, *annotations, *spec, *status;
	enum ipam_action action;
	enum reason reason;
	bool says;         /* the condition is to be written */
	const char *patch; /* of metadata and spec, behind the resourceVersion; "": none */
} external_rows[] = {
	{ "nothing to do with them", "", NODE_PORT, "", IPAM_NONE, REASON_COUNT, false, NO_PATCH },
	{ "asks", ASKS, NODE_PORT, "", IPAM_ASSIGN, REASON_Assigned, true,
	  "\"annotations\":{" RECORD(
		  "203.0.113.0") "}},\"spec\":{\"externalIPs\":[\"203.0.113.0\"]}}" },
	{ "a cluster IP is enough", ASKS, ",\"type\":\"ClusterIP\"", "", IPAM_ASSIGN,
	  REASON_Assigned, true,
	  "\"annotations\":{" RECORD(
		  "203.0.113.0") "}},\"spec\":{\"externalIPs\":[\"203.0.113.0\"]}}" },
	{ "asks, of two families", ASKS, NODE_PORT DUAL, "", IPAM_ASSIGN, REASON_Assigned, true,
	  "\"annotations\":{" RECORD("203.0.113.0,fd00:7::") "}},\"spec\":{\"externalIPs\":["
	                                                     "\"203.0.113.0\",\"fd00:7::\"]}}" },
	{ "gets the second family", ASKS "," RECORD("203.0.113.5"),
	  NODE_PORT DUAL HAS("\"203.0.113.5\""), "", IPAM_ASSIGN, REASON_Assigned, true,
	  "\"annotations\":{" RECORD("203.0.113.5,fd00:7::") "}},\"spec\":{\"externalIPs\":["
	                                                     "\"203.0.113.5\",\"fd00:7::\"]}}" },
	{ "keeps", ASKS "," RECORD("203.0.113.5"), NODE_PORT HAS("\"203.0.113.5\""),
	  SAID("True", "Assigned", "assigned external IP 203.0.113.5 from pool edge"), IPAM_KEEP,
	  REASON_Kept, false, NO_PATCH },
	{ "keeps what the condition does not name yet", ASKS "," RECORD("203.0.113.5"),
	  NODE_PORT HAS("\"203.0.113.5\""),
	  SAID("True", "Assigned", "assigned external IP 203.0.113.4 from pool edge"), IPAM_KEEP,
	  REASON_Kept, true, NO_PATCH },
	{ "confirms no record of a pool that was not asked for", ASKS "," RECORD("203.0.113.9"),
	  NODE_PORT HAS("\"203.0.113.9\""), "", IPAM_FAIL, REASON_ForeignAddress, true, NO_PATCH },
	{ "a failed request confirms nothing",
	  "\"fairlead.io/external-ips\":\"nowhere\"," RECORD("203.0.113.5"),
	  NODE_PORT HAS("\"203.0.113.5\""),
	  SAID("False", "NoSuchPool", "pool nowhere was asked for, but does not exist"), IPAM_FAIL,
	  REASON_NoSuchPool, false, NO_PATCH },
	{ "a failed request goes on confirming",
	  "\"fairlead.io/external-ips\":\"nowhere\"," RECORD("203.0.113.5"),
	  NODE_PORT HAS("\"203.0.113.5\""),
	  SAID("False", "NoSuchPool",
	       "spec.externalIPs keeps 203.0.113.5; pool nowhere was asked for, but does not exist"),
	  IPAM_FAIL, REASON_NoSuchPool, false, NO_PATCH },
	{ "keeps, unsaid", ASKS "," RECORD("203.0.113.5"), NODE_PORT HAS("\"203.0.113.5\""), "",
	  IPAM_KEEP, REASON_Kept, true, NO_PATCH },
	{ "gets back what somebody took out", ASKS "," RECORD("203.0.113.5"), NODE_PORT,
	  SAID("True", "Assigned", "assigned external IP 203.0.113.5 from pool edge"), IPAM_KEEP,
	  REASON_Kept, false,
	  "\"annotations\":{" RECORD(
		  "203.0.113.5") "}},\"spec\":{\"externalIPs\":[\"203.0.113.5\"]}}" },
	{ "gives up", RECORD("203.0.113.5"), NODE_PORT HAS("\"203.0.113.5\""),
	  SAID("True", "Assigned", "any"), IPAM_RELEASE, REASON_NoExternalIpsWanted, true,
	  "\"annotations\":{\"fairlead.io/external-ips-assigned\":null}},\"spec\":{\"externalIPs\":null}}" },
	{ "gives up only what is recorded", RECORD("203.0.113.5"),
	  NODE_PORT HAS("\"198.51.100.9\",\"203.0.113.5\",\"fd00:8::1\""),
	  SAID("True", "Assigned", "any"), IPAM_RELEASE, REASON_ExternalIpNotAllowed, true,
	  "\"annotations\":{\"fairlead.io/external-ips-assigned\":null}},\"spec\":{\"externalIPs\":["
	  "\"198.51.100.9\",\"fd00:8::1\"]}}" },
	{ "gives up a record alone", RECORD("203.0.113.5"), NODE_PORT, "", IPAM_RELEASE,
	  REASON_NoExternalIpsWanted, false,
	  "\"annotations\":{\"fairlead.io/external-ips-assigned\":null}},\"spec\":{\"externalIPs\":null}}" },
	{ "has given up", "", NODE_PORT, SAID("True", "Assigned", "any"), IPAM_NONE,
	  REASON_NoExternalIpsWanted, true, NO_PATCH },
	{ "beside some of hand", ASKS, NODE_PORT HAS("\"198.51.100.9\""), "", IPAM_FAIL,
	  REASON_ExternalIpsMixed, true, NO_PATCH },
	{ "beside some of hand, holding", ASKS "," RECORD("203.0.113.5"),
	  NODE_PORT HAS("\"203.0.113.5\",\"198.51.100.9\""), SAID("True", "Assigned", "any"),
	  IPAM_FAIL, REASON_ExternalIpsMixed, true, NO_PATCH },
	{ "a record that cannot be read", ASKS "," RECORD("all"), NODE_PORT HAS("\"203.0.113.5\""),
	  "", IPAM_FAIL, REASON_ExternalIpsMixed, true, NO_PATCH },
	{ "such a record alone is written anew", ASKS "," RECORD("all"), NODE_PORT, "", IPAM_ASSIGN,
	  REASON_Assigned, true,
	  "\"annotations\":{" RECORD(
		  "203.0.113.0") "}},\"spec\":{\"externalIPs\":[\"203.0.113.0\"]}}" },
	{ "of hand, allowed", "", NODE_PORT HAS("\"198.51.100.9\""), "", IPAM_NONE,
	  REASON_ExternalIpsAllowed, false, NO_PATCH },
	{ "of hand, now allowed", "", NODE_PORT HAS("\"198.51.100.9\""),
	  SAID("False", "ExternalIpNotAllowed", "any"), IPAM_NONE, REASON_ExternalIpsAllowed, true,
	  NO_PATCH },
	{ "of hand, not allowed", "", NODE_PORT HAS("\"203.0.113.5\""), "", IPAM_NONE,
	  REASON_ExternalIpNotAllowed, true, NO_PATCH },
	{ "of hand, one of two not allowed", "", NODE_PORT HAS("\"198.51.100.9\",\"8.8.8.8\""), "",
	  IPAM_NONE, REASON_ExternalIpNotAllowed, true, NO_PATCH },
	{ "headless", ASKS,
	  ",\"type\":\"ClusterIP\",\"clusterIP\":\"None\",\"clusterIPs\":[\"None\"]", "", IPAM_FAIL,
	  REASON_NotForwarded, true, NO_PATCH },
	{ "a name", ASKS, ",\"type\":\"ExternalName\"", "", IPAM_FAIL, REASON_NotForwarded, true,
	  NO_PATCH },
	{ "a pool that is not there", "\"fairlead.io/external-ips\":\"nowhere\"", NODE_PORT, "",
	  IPAM_FAIL, REASON_NoSuchPool, true, NO_PATCH },
	{ "a pool for load balancers", "\"fairlead.io/external-ips\":\"lan\"", NODE_PORT, "",
	  IPAM_FAIL, REASON_PoolNotForUse, true, NO_PATCH },
	{ "a record of another pool", ASKS "," RECORD("192.168.1.250"),
	  NODE_PORT HAS("\"192.168.1.250\""), SAID("True", "Assigned", "any"), IPAM_MOVE,
	  REASON_Assigned, true,
	  "\"annotations\":{" RECORD(
		  "203.0.113.0") "}},\"spec\":{\"externalIPs\":[\"203.0.113.0\"]}}" },
	{ "a record of no pool", ASKS "," RECORD("8.8.8.8"), NODE_PORT HAS("\"8.8.8.8\""),
	  SAID("True", "Assigned", "any"), IPAM_FAIL, REASON_ForeignAddress, true, NO_PATCH },
	{ "another class", ASKS, ",\"loadBalancerClass\":\"example.com/x\"", "", IPAM_NONE,
	  REASON_OtherClass, false, NO_PATCH },
};

static void test_external(void **state)
{
	static const struct record_server server = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(external_rows); i++) {
		const struct external_row *row = &external_rows[i];
		struct ipam *ipam = ipam_of_pools();
		struct record *r =
			decided_of(annotated(row->annotations, row->spec, row->status), ipam);
		struct record_write w = record_needs(r, &server), next = { .ingress = false };
		cleanup(buf_fini) struct buf out = BUF_INIT;

		next.external_ips = w.external_ips;
		if (next.external_ips)
			record_patch(r, next, 0, &out);
		const char *patch = strchr(buf_str(&out), ',');
		if (row->reason == REASON_COUNT) {
			assert_null(r->external);
		} else if (r->external->action != row->action ||
		           r->external->reason != row->reason ||
		           w.external_condition != row->says ||
		           strcmp(patch ? patch + 1 : "", row->patch) != 0) {
			fail_msg("%s: %s %s, condition %d, patch %s", row->what,
			         ipam_action_name(r->external->action), r->external->message,
			         w.external_condition, buf_str(&out));
		}
		record_free(r);
		ipam_free(ipam);
	}
}

/* The spec after the load balancer's part, and what is said of it after that. */
static void test_one_request_at_a_time(void **state)
{
	static const struct record_server server = { 0 };
	struct ipam *ipam = ipam_of_pools();
	struct record *r = decided_of(annotated(ASKS, "", ""), ipam);
	struct record_write w = record_next(record_needs(r, &server));
	cleanup(buf_fini) struct buf out = BUF_INIT;

	(void)state;
	assert_true(w.ingress && w.condition && !w.external_ips && !w.external_condition);
	record_written(r, w);
	w = record_next(record_needs(r, &server));
	assert_true(w.external_ips && !w.ingress && !w.condition && !w.external_condition);
	record_written(r, w);
	w = record_next(record_needs(r, &server));
	assert_true(w.external_condition && !w.ingress && !w.condition && !w.external_ips);
	record_patch(r, w, 1778051289000000, &out);
	assert_string_equal(
		buf_str(&out),
		"{\"metadata\":{\"resourceVersion\":\"7\"},\"status\":{\"conditions\":[{\"type\":"
		"\"fairlead.io/ExternalIPsAssigned\",\"status\":\"True\",\"lastTransitionTime\":"
		"\"2026-05-06T07:08:09Z\",\"reason\":\"Assigned\",\"message\":"
		"\"assigned external IP 203.0.113.0 from pool edge\"}]}}");
	record_written(r, w);
	assert_false(record_writes(record_needs(r, &server)));
	record_free(r);
	ipam_free(ipam);
}

#define ASKS_FOR(pool) "\"fairlead.io/address-pool\":\"" pool "\""

/*
 * A request for a pool is honoured where the last decision was about the very same and the object
 * has what that gave.  What was read in between, and never decided, counts for nothing.
 */
static void test_honoured(void **state)
{
	static const struct record_server server = { 0 };
	static const struct {
		const char *first, *second, *third;
		bool decides_second, written, honoured;
	} readings[] = {
		{ ASKS_FOR("lan"), ASKS_FOR("lan"), ASKS_FOR("lan"), false, true, true },
		{ ASKS_FOR("lan"), ASKS_FOR("lan"), ASKS_FOR("lan"), true, true, true },
		{ ASKS_FOR("lan"), ASKS_FOR("lan"), ASKS_FOR("lan"), false, false, false },
		{ "", ASKS_FOR("lan"), ASKS_FOR("lan"), false, true, false },
		{ "", ASKS_FOR("lan"), ASKS_FOR("lan"), true, true, true },
		{ ASKS_FOR("lan"), ASKS_FOR("edge"), ASKS_FOR("edge"), false, true, false },
		{ ASKS_FOR("lan"), ASKS_FOR("edge"), ASKS_FOR("lan"), false, true, true },
		{ ASKS_FOR("lan"), "", ASKS_FOR("lan"), false, true, true },
		{ ASKS_FOR("lan"), "", ASKS_FOR("lan"), true, true, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(readings); i++) {
		struct ipam *ipam = ipam_of_pools();
		const char *status = readings[i].written ? VIP : "";
		const char *more[] = { readings[i].second, readings[i].third };
		struct record *r = decided_of(annotated(readings[i].first, "", status), ipam);
		for (size_t k = 0; k < 2; k++) {
			struct kube_service *s = annotated(more[k], "", status);
			record_read(r, s, &rules, 0);
			kube_service_free(s);
			if (k == 0 && readings[i].decides_second)
				turn_decide(ipam, r, &server);
		}
		if (r->lb.request.honoured != readings[i].honoured)
			fail_msg("row %zu", i);
		record_free(r);
		ipam_free(ipam);
	}
}

/* What the API server refused is not asked for again until the Service changes. */
static void test_refused(void **state)
{
	static const struct record_server server = { 0 };
	struct kube_service *s = annotated(ASKS, NODE_PORT, "");
	struct record *r = record_new(NULL, &s->meta);
	struct ipam *ipam = ipam_of_pools();
	struct addr first;

	(void)state;
	assert_int_equal(addr_parse("203.0.113.0", &first), 0);
	record_read(r, s, &rules, 1);
	assert_true(turn_decide(ipam, r, &server).write.external_ips);
	assert_string_equal(ipam_holder(ipam, &first), "shop/web (external IPs)");
	record_refuse(r, "not here");
	struct turn_outcome t = turn_decide(ipam, r, &server);
	assert_true(t.write.external_condition && !t.write.external_ips);
	assert_true(turn_end(ipam, &r, 1));
	assert_int_equal(r->external->reason, REASON_ExternalIpsRefused);
	assert_non_null(strstr(r->external->message, "not here"));
	assert_null(ipam_holder(ipam, &first));

	/* Our own condition, and others', change nothing about it. */
	record_read(r, s, &rules, 1);
	assert_false(turn_decide(ipam, r, &server).write.external_ips);
	/* The spec, or a label, does. */
	record_read(r, s, &rules, 2);
	assert_true(turn_decide(ipam, r, &server).write.external_ips);
	record_read(r, s, &rules, 1);
	assert_false(turn_decide(ipam, r, &server).write.external_ips);
	record_forget_refusal(r);
	assert_true(turn_decide(ipam, r, &server).write.external_ips);
	kube_service_free(s);
	record_free(r);
	ipam_free(ipam);
}

/* Nor is it written back where somebody took it out. */
static void test_refused_again(void **state)
{
	static const struct record_server server = { 0 };
	struct kube_service *s = annotated(ASKS "," RECORD("203.0.113.5"), NODE_PORT, "");
	struct record *r = record_new(NULL, &s->meta);
	struct ipam *ipam = ipam_of_pools();

	(void)state;
	record_read(r, s, &rules, 1);
	assert_false(record_needs(r, &server).external_ips); /* undecided */
	assert_true(turn_decide(ipam, r, &server).write.external_ips);
	record_refuse(r, "not here");
	assert_false(turn_decide(ipam, r, &server).write.external_ips);
	assert_int_equal(r->external->reason, REASON_ExternalIpsRefused);
	kube_service_free(s);
	record_free(r);
	ipam_free(ipam);
}

static void test_off(void **state)
{
	static const struct record_rules off = { .external_ips = false };
	static const struct record_server server = { 0 };

	static const char *const annotations[] = { ASKS, ASKS "," RECORD("203.0.113.5"),
		                                   RECORD("203.0.113.5") };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(annotations); i++) {
		struct kube_service *s = annotated(
			annotations[i], i ? NODE_PORT HAS("\"203.0.113.5\"") : NODE_PORT, "");
		struct record *r = record_new(NULL, &s->meta);
		struct ipam *ipam = ipam_of_pools();

		record_read(r, s, &off, 0);
		struct turn_outcome t = turn_decide(ipam, r, &server);
		assert_int_equal(r->external->reason, REASON_ExternalIpsOff);
		assert_true(t.write.external_condition && !t.write.external_ips);
		kube_service_free(s);
		record_free(r);
		ipam_free(ipam);
	}
}

/*
 * Whoever may write Services writes records, and may do so into an older Service: nobody loses an
 * address by that, not even when the books are made anew.
 */
static void test_forged_records(void **state)
{
	static const struct record_server server = { 0 };

	static const char *const forgeries[] = {
		"",
		SAID("True", "Assigned", "any"),
		SAID("False", "NoSuchPool", "pool keeps external IP 203.0.113.1 was asked for"),
		SAID("True", "Assigned", "assigned external IP 203.0.113.2 from pool edge"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(forgeries); i++) {
		struct ipam *ipam = ipam_of_pools();
		struct kube_service *services[] = {
			annotated(ASKS "," RECORD("203.0.113.1"), NODE_PORT HAS("\"203.0.113.1\""),
			          forgeries[i]),
			annotated(ASKS "," RECORD("203.0.113.1"), NODE_PORT HAS("\"203.0.113.1\""),
			          SAID("True", "Assigned",
			               "assigned external IP 203.0.113.1 from pool edge")),
		};
		struct record *r[2];
		struct addr a;

		for (size_t k = 0; k < 2; k++) {
			services[k]->meta.name[0] = (char)('a' + k);
			r[k] = record_new(NULL, &services[k]->meta);
			record_read(r[k], services[k], &rules, 0);
			kube_service_free(services[k]);
		}
		turn_adopt_all(ipam, r, 2);
		addr_parse("203.0.113.1", &a);
		assert_string_equal(ipam_holder(ipam, &a), "shop/beb (external IPs)");
		assert_true(turn_decide(ipam, r[0], &server).write.external_ips);
		assert_false(addr_eq(&r[0]->external->want[0], &a));
		turn_decide(ipam, r[1], &server);
		assert_int_equal(r[1]->external->action, IPAM_KEEP);
		for (size_t k = 0; k < 2; k++)
			record_free(r[k]);
		ipam_free(ipam);
	}
}

/* What the condition confirms is not given away while its record is out of sight. */
static void test_confirmed_without_a_record(void **state)
{
	struct ipam *ipam = ipam_of_pools();
	struct kube_service *s = annotated(
		ASKS,
		NODE_PORT ",\"loadBalancerClass\":\"example.com/x\",\"type\":\"LoadBalancer\"",
		SAID("True", "Assigned", "assigned external IP 203.0.113.1 from pool edge"));
	struct record *r = decided_of(s, ipam);

	struct record *const all[] = { r };
	struct addr a;

	(void)state;
	addr_parse("203.0.113.1", &a);
	turn_end(ipam, all, 1);
	assert_string_equal(ipam_holder(ipam, &a), "shop/web (external IPs)");
	turn_let_go(ipam, r);
	turn_settle(ipam, r, (struct record_write){ .ingress = false });
	assert_non_null(ipam_holder(ipam, &a));
	record_free(r);
	ipam_free(ipam);
}

#define ANOTHERS ",\"type\":\"LoadBalancer\",\"loadBalancerClass\":\"example.com/x\""

/*
 * What a Service is denied it does not keep from others: not in a list, not in a record, and of a
 * headless one it says nothing.
 */
static void test_denied_lists(void **state)
{
	static const struct {
		const char *what, *pools, *annotations, *spec;
		bool holds;
		size_t n_squatted;
		bool deleting;
		const char *status, *says;
	} lists[] = {
		{ "denied", pools, "", NODE_PORT HAS("\"203.0.113.1\",\"192.168.1.240\""), false,
		  2 },
		{ "allowed", ALL_ALLOWED, "", NODE_PORT HAS("\"203.0.113.1\""), true, 0 },
		{ "a record, about to be taken out", pools, RECORD("203.0.113.1"),
		  NODE_PORT HAS("\"203.0.113.1\",\"203.0.113.2\""), true, 1 },
		{ "a forged record that stays", pools, ASKS "," RECORD("192.168.1.240"),
		  NODE_PORT HAS("\"192.168.1.240\",\"203.0.113.1\""), false, 2 },
		{ "a record of the pool asked for, and one by hand beside it", pools,
		  ASKS "," RECORD("203.0.113.1"), NODE_PORT HAS("\"203.0.113.1\",\"203.0.113.2\""),
		  true, 1 },
		{ "headless", pools, "",
		  ",\"clusterIP\":\"None\",\"clusterIPs\":[\"None\"]" HAS("\"203.0.113.1\""), false,
		  0 },
		{ "headless, allowed", ALL_ALLOWED, "",
		  ",\"clusterIP\":\"None\",\"clusterIPs\":[\"None\"]" HAS("\"203.0.113.1\""), false,
		  0 },
		{ "ExternalName", pools, "",
		  ",\"type\":\"ExternalName\",\"clusterIPs\":[]" HAS("\"203.0.113.1\""), false, 0 },
		{ "a record of another class", pools, ASKS "," RECORD("203.0.113.1"),
		  ANOTHERS HAS("\"203.0.113.1\",\"203.0.113.2\""), false, 2,
		  .says = "; it names 203.0.113.1 of pool edge and 1 more, which were not given" },
		{ "one that is confirmed", pools, ASKS "," RECORD("203.0.113.1"),
		  ANOTHERS HAS("\"203.0.113.1\""), true, 0,
		  .status = SAID("True", "Assigned",
		                 "assigned external IP 203.0.113.1 from pool edge"),
		  .says = "the Service belongs to another load balancer class" },
		{ "allowed, in a record of another class", ALL_ALLOWED, RECORD("203.0.113.1"),
		  ANOTHERS HAS("\"203.0.113.1\""), true, 0 },
		{ "a record of one that is being deleted", pools, ASKS "," RECORD("203.0.113.1"),
		  NODE_PORT HAS("\"203.0.113.1\""), false, 1, .deleting = true,
		  .says = "the Service is being deleted; it names 203.0.113.1 of pool edge, which was" },
	};
	struct addr a;

	(void)state;
	addr_parse("203.0.113.1", &a);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct ipam *ipam = ipam_of_text(lists[i].pools);
		struct kube_service *s = annotated(lists[i].annotations, lists[i].spec,
		                                   lists[i].status ? lists[i].status : "");

		s->meta.deleting = lists[i].deleting;
		struct record *r = decided_of(s, ipam);
		struct record *const all[] = { r };

		turn_end(ipam, all, 1);
		bool held = ipam_holder(ipam, &a) != NULL;
		turn_settle(ipam, r, (struct record_write){ .ingress = false });
		turn_adopt(ipam, r);
		bool holds = ipam_holder(ipam, &a) != NULL;
		if (held != holds || holds != lists[i].holds ||
		    ipam_n_squatted(ipam, r->external_key) != lists[i].n_squatted)
			fail_msg("%s: holds %d, squats %zu", lists[i].what, holds,
			         ipam_n_squatted(ipam, r->external_key));
		if (lists[i].says && !strstr(r->external->message, lists[i].says))
			fail_msg("%s: %s", lists[i].what, r->external->message);
		record_free(r);
		assert_true(!holds || ipam_release(ipam, "shop/web (external IPs)"));
		ipam_free(ipam);
	}
}

/*
 * One allocator for both kinds: what stands in a status comes first, then what is recorded, then
 * what is written by hand.
 */
static void test_who_has_an_address(void **state)
{
	static const struct record_server server = { 0 };
	struct ipam *ipam = ipam_of_text(ALL_ALLOWED);
	struct kube_service *services[] = {
		annotated("", NODE_PORT HAS("\"203.0.113.1\",\"203.0.113.2\",\"192.168.1.240\""),
		          ""),
		annotated(ASKS "," RECORD("203.0.113.1,fd00:7::1"),
		          NODE_PORT DUAL HAS("\"203.0.113.1\",\"fd00:7::1\""),
		          SAID("True", "Assigned",
		               "assigned external IP 203.0.113.1, fd00:7::1 from pool edge")),
		annotated("", "", VIP),
		annotated(ASKS "," RECORD("203.0.113.1"), NODE_PORT HAS("\"203.0.113.1\""), ""),
	};
	struct record *r[4];
	struct addr a;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		services[i]->meta.name[0] = (char)('a' + i);
		r[i] = record_new(NULL, &services[i]->meta);
		record_read(r[i], services[i], &rules, 0);
		kube_service_free(services[i]);
	}
	turn_adopt_all(ipam, r, 4);
	addr_parse("203.0.113.1", &a);
	assert_string_equal(ipam_holder(ipam, &a), "shop/beb (external IPs)");
	addr_parse("203.0.113.2", &a);
	assert_string_equal(ipam_holder(ipam, &a), "shop/aeb (external IPs)");
	addr_parse("192.168.1.240", &a);
	assert_string_equal(ipam_holder(ipam, &a), "shop/ceb");
	/* What others have, the first one has only when they let go. */
	assert_true(turn_decide(ipam, r[0], &server).waits);
	ipam_release(ipam, r[1]->external_key);
	ipam_release(ipam, r[2]->key);
	assert_false(turn_decide(ipam, r[0], &server).waits);
	turn_adopt_all(ipam, &r[1], 2);
	assert_string_equal(ipam_holder(ipam, &a), "shop/aeb (external IPs)");
	/* The last one is a copy of the second: it gets another address. */
	assert_true(turn_decide(ipam, r[3], &server).write.external_ips);
	assert_int_equal(r[3]->external->action, IPAM_MOVE);
	assert_string_equal(addr_str(&r[3]->external->want[0]), "203.0.113.0");
	for (size_t i = 0; i < 4; i++)
		record_free(r[i]);
	ipam_free(ipam);
}

static void test_what_a_server_drops(void **state)
{
	static const struct record_write all = { .ingress = true, .condition = true };
	struct kube_service *s = service_of("", INGRESS(""));
	struct record_server d = record_dropped(s, all);

	(void)state;
	assert_true(d.drops_ip_mode);
	assert_true(d.drops_conditions);
	d = record_dropped(s, (struct record_write){ .ingress = false });
	assert_false(d.drops_ip_mode || d.drops_conditions);
	kube_service_free(s);

	s = service_of("", VIP "," CONDITION("True", "Assigned", "any"));
	d = record_dropped(s, all);
	assert_false(d.drops_ip_mode || d.drops_conditions);
	kube_service_free(s);
}

/*
 * What an annotation does that nobody heeds is told; those of others, and ours as they should be,
 * are not.
 */
static void test_annotations_without_effect(void **state)
{
	static const struct {
		const char *key, *value, *words;
	} written[] = {
		{ "fairlead.io/terminating", "hold", NULL },
		{ "fairlead.io/terminating", "give-way", NULL },
		{ "fairlead.io/terminating", "Hold",
		  "\"Hold\" has no effect; write hold or give-way" },
		{ "fairlead.io/terminating", "true", "\"true\" has no effect" },
		{ "fairlead.io/terminating", "", "\"\" has no effect" },
		{ "fairlead.io/scheduler", "wlc", NULL },
		{ "fairlead.io/address-pool", "lan", NULL },
		{ "fairlead.io/addresses", "10.0.0.1", NULL },
		{ "fairlead.io/external-ips", "lan", NULL },
		{ "fairlead.io/external-ips-assigned", "10.0.0.1", NULL },
		{ "fairlead.io/adress-pool", "lan", "fairlead.io/adress-pool is not known" },
		{ "fairlead.io/address", "10.0.0.1",
		  "fairlead.io/address is not known, and has no effect; a Service may have "
		  "fairlead.io/address-pool, fairlead.io/addresses, fairlead.io/allow-shared-ip, "
		  "fairlead.io/external-ips, "
		  "fairlead.io/terminating and fairlead.io/scheduler" },
		{ "fairlead.io/drain", "true", "fairlead.io/drain is not known" },
		{ "fairlead.io.example/terminating", "x", NULL },
		{ "metallb.io/address-pool", "lan", NULL },
		{ "example.com/terminating", "x", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(written); i++) {
		struct label kv = { .key = (char *)(uintptr_t)written[i].key,
			            .value = (char *)(uintptr_t)written[i].value };
		const struct labels one = { .kvs = &kv, .n = 1 };
		cleanup(buf_fini) struct buf out = BUF_INIT;

		assert_int_equal(annotations_ignored(&one, &out), written[i].words != NULL);
		if (written[i].words && !strstr(buf_str(&out), written[i].words))
			fail_msg("%s: %s", written[i].key, buf_str(&out));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_needs),
		cmocka_unit_test(test_patch),
		cmocka_unit_test(test_overwritten),
		cmocka_unit_test(test_external),
		cmocka_unit_test(test_forged_records),
		cmocka_unit_test(test_confirmed_without_a_record),
		cmocka_unit_test(test_one_request_at_a_time),
		cmocka_unit_test(test_honoured),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_refused_again),
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_who_has_an_address),
		cmocka_unit_test(test_denied_lists),
		cmocka_unit_test(test_what_a_server_drops),
		cmocka_unit_test(test_annotations_without_effect),
	};

	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
