/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* Where layer 2 announces: the entries of a pool's layer2, from the labels to the interfaces. */
#include "unit.h"

#include "fairlead/buf.h"
#include "fairlead/decide.h"
#include "fairlead/mem.h"
#include "world.h"

static void configure(struct view *v, const char *entries)
{
	world_put(v,
	          "{'kind':'ConfigMap','metadata':{'namespace':'fairlead-system',"
	          "'name':'fairlead-active','uid':'u'},'data':{'config':'"
	          "address-pools:\\n"
	          "- {name: lan, protocol: [layer2, bgp], addresses: [192.0.2.0/24]%s%s}\\n"
	          "peers: [{my-asn: 64500, peer-asn: 64501, peer-address: 192.0.2.13}]\\n'}}",
	          *entries ? ", layer2: " : "", entries);
}

static void put_node(struct view *v, const char *name, const char *labels)
{
	world_put(v, "{'kind':'Node','metadata':{'name':'%s','uid':'u','labels':{%s}}}", name,
	          labels);
}

static void put_service(struct view *v, const char *labels, const char *more)
{
	world_put(v,
	          "{'kind':'Service','metadata':{'namespace':'shop','name':'web','uid':'u',"
	          "'labels':{%s}},'spec':{'type':'LoadBalancer','clusterIP':'10.96.0.9',"
	          "'clusterIPs':['10.96.0.9'],'ports':[{'port':80}]%s},"
	          "'status':{'loadBalancer':{'ingress':[{'ip':'192.0.2.1'}]}}}",
	          labels, more);
}

/* n1 is in rack a, n2 in rack b with a disk, n3 has no labels. */
static struct view *world(const char *entries)
{
	struct view *v = view_new("n1", NULL);

	configure(v, entries);
	put_node(v, "n1", "'rack':'a'");
	put_node(v, "n2", "'rack':'b','disk':''");
	put_node(v, "n3", "");
	put_service(v, "'app':'web'", "");
	world_slice(v, "web", "web-1", "10.1.1.1@n1 10.1.2.1@n2 10.1.3.1@n3");
	return v;
}

static struct decision decide(const struct view *v)
{
	struct addr a;

	assert_int_equal(addr_parse("192.0.2.1", &a), 0);
	return decide_address(v, view_service_named(v, "shop/web"), &a);
}

/* "n1:eth1:10 n3::0": the candidates, with their interfaces and how much each is preferred. */
static char *candidates(const struct view *v)
{
	struct decision d = decide(v);
	struct buf out = BUF_INIT;
	size_t n;
	const struct view_node *nodes = view_nodes(v, &n);

	for (size_t i = 0; i < n; i++) {
		if (decide_node(&d, nodes[i].name, PROTOCOL_LAYER2) != REASON_Candidate)
			continue;
		buf_printf(&out, "%s%s:", out.size ? " " : "", nodes[i].name);
		config_pool_put_interfaces(d.pool, decide_layer2(&d, &nodes[i]), &out);
		buf_printf(&out, ":%u", (unsigned int)decide_preference(&d, &nodes[i]));
	}
	buf_puts(&out, "");
	return buf_take(&out);
}

#define RACK_A "node-selectors: [{match-labels: {rack: a}}]"
#define RACK_B "node-selectors: [{match-labels: {rack: b}}]"
#define WEB "service-selectors: [{match-labels: {app: web}}]"
#define MAIL "service-selectors: [{match-labels: {app: mail}}]"

static void entries_add_to_each_other(void **state)
{
	(void)state;
	static const struct {
		const char *entries, *candidates;
		enum reason n3; /* for the third node */
	} cases[] = {
		{ "", "n1::0 n2::0 n3::0", REASON_Candidate },
		{ "[{}]", "n1::0 n2::0 n3::0", REASON_Candidate },
		{ "[{" RACK_A "}]", "n1::0", REASON_NodeNotSelected },
		{ "[{" RACK_A "}, {" RACK_B "}]", "n1::0 n2::0", REASON_NodeNotSelected },
		{ "[{node-selectors: [{match-labels: {rack: a}}, {match-labels: {rack: b}}]}]",
		  "n1::0 n2::0", REASON_NodeNotSelected },
		{ "[{node-selectors: [{match-expressions: [{key: rack, operator: DoesNotExist}]}]}]",
		  "n3::0", REASON_Candidate },
		{ "[{node-selectors: [{match-labels: {rack: z}}]}]", "", REASON_NodeNotSelected },
		{ "[{" WEB "}]", "n1::0 n2::0 n3::0", REASON_Candidate },
		{ "[{" MAIL "}]", "", REASON_ServiceNotSelected },
		{ "[{" MAIL "}, {" RACK_B ", " WEB "}]", "n2::0", REASON_NodeNotSelected },
		{ "[{interfaces: [eth1]}]", "n1:(eth1):0 n2:(eth1):0 n3:(eth1):0",
		  REASON_Candidate },
		{ "[{interfaces: [eth1, bond.*], " RACK_A "}, {interfaces: [eth2]}]",
		  "n1:(eth1)|(bond.*)|(eth2):0 n2:(eth2):0 n3:(eth2):0", REASON_Candidate },
		/* One that names none allows all, as far as it goes. */
		{ "[{interfaces: [eth1]}, {" RACK_A "}]", "n1::0 n2:(eth1):0 n3:(eth1):0",
		  REASON_Candidate },
		{ "[{interfaces: [eth1], " MAIL "}, {interfaces: [eth2], " WEB "}]",
		  "n1:(eth2):0 n2:(eth2):0 n3:(eth2):0", REASON_Candidate },
		{ "[{preferred-nodes: [{weight: 10, match-labels: {rack: a}}, {weight: 5, "
		  "match-expressions: [{key: rack, operator: Exists}]}]}]",
		  "n1::15 n2::5 n3::0", REASON_Candidate },
		{ "[{preferred-nodes: [{weight: 10, match-labels: {rack: a}}]}, {" RACK_A
		  ", preferred-nodes: [{weight: 90, match-labels: {rack: a}}]}]",
		  "n1::100 n2::0 n3::0", REASON_Candidate },
		/* What is for others, Services or nodes, prefers nobody. */
		{ "[{}, {" MAIL
		  ", preferred-nodes: [{weight: 10, match-labels: {rack: a}}]}, {" RACK_B
		  ", preferred-nodes: [{weight: 10, match-labels: {rack: a}}]}]",
		  "n1::0 n2::0 n3::0", REASON_Candidate },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct view *v = world(cases[i].entries);
		struct decision d = decide(v);
		cleanup_free char *who = candidates(v);
		if (strcmp(who, cases[i].candidates) != 0)
			fail_msg("%s: %s", cases[i].entries, who);
		assert_int_equal(decide_node(&d, "n3", PROTOCOL_LAYER2), cases[i].n3);
		/* BGP has its own rules. */
		assert_int_equal(decide_node(&d, "n3", PROTOCOL_BGP), REASON_Candidate);
		view_free(v);
	}
}

static void what_is_not_selected_says_why(void **state)
{
	(void)state;
	static const struct {
		const char *entries, *says;
	} cases[] = {
		{ "[{interfaces: [eth1], " RACK_A "}, {" MAIL "}, {" RACK_B "}]",
		  "no layer2 entry of the pool selects this node: n3; for this Service pool lan has "
		  "layer2[0], layer2[2]" },
		{ "[{" MAIL "}]", "no layer2 entry of the pool selects the Service: pool lan" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct view *v = world(cases[i].entries);
		struct decision d = decide(v);
		cleanup(buf_fini) struct buf message = BUF_INIT;
		decide_message(&d, decide_node(&d, "n3", PROTOCOL_LAYER2), "n3", &message);
		assert_string_equal(buf_str(&message), cases[i].says);
		view_free(v);
	}
}

/* By layer 2 no node may, and by BGP each; without BGP nobody is left, and that is told. */
static void nowhere_at_all(void **state)
{
	(void)state;
	struct view *v = world("[{node-selectors: [{match-labels: {rack: z}}]}]");
	struct decision d = decide(v);

	assert_int_equal(decide_nowhere(&d), REASON_Candidate);
	world_put(v, "{'kind':'ConfigMap','metadata':{'namespace':'fairlead-system',"
	             "'name':'fairlead-active','uid':'u'},'data':{'config':'address-pools:\\n"
	             "- {name: lan, protocol: layer2, addresses: [192.0.2.0/24], layer2: "
	             "[{node-selectors: [{match-labels: {rack: z}}]}]}\\n'}}");
	d = decide(v);
	assert_int_equal(decide_nowhere(&d), REASON_NodeNotSelected);
	put_node(v, "n2", "'rack':'z'");
	d = decide(v);
	assert_int_equal(decide_nowhere(&d), REASON_Candidate);
	view_free(v);
}

/* A ready endpoint on a node that may not announce makes up for nothing, by protocol. */
static void endpoints_of_nodes_that_are_not_selected(void **state)
{
	(void)state;
	struct view *v = world("[{" RACK_A "}]");

	put_service(v, "'app':'web'", ",'externalTrafficPolicy':'Local'");
	world_slice(v, "web", "web-1", "10.1.1.1@n1~ 10.1.2.1@n2");
	struct decision d = decide(v);
	assert_int_equal(decide_node(&d, "n1", PROTOCOL_LAYER2), REASON_Candidate);
	assert_int_equal(decide_node(&d, "n1", PROTOCOL_BGP), REASON_LocalEndpointEnding);
	assert_int_equal(decide_node(&d, "n2", PROTOCOL_LAYER2), REASON_NodeNotSelected);
	assert_int_equal(decide_node(&d, "n2", PROTOCOL_BGP), REASON_Candidate);
	view_free(v);
}

/* Labels count at once, where they count; others make nobody look. */
static void labels_are_followed(void **state)
{
	(void)state;
	static const struct {
		const char *node, *service;
		size_t passes;
		const char *candidates;
	} steps[] = {
		{ "'rack':'b'", NULL, 1, "" },
		{ "'rack':'b','kernel':'6.1'", NULL, 0, "" },
		{ "'rack':'a','kernel':'6.1'", NULL, 1, "n1:(eth1):0" },
		{ "'rack':'a'", NULL, 0, "n1:(eth1):0" },
		{ "'rack':'a','fast':''", NULL, 1, "n1:(eth1):7" },
		{ NULL, "'app':'mail'", 1, "" },
		{ NULL, "'app':'web'", 1, "n1:(eth1):7" },
	};
	struct view *v = world("[{interfaces: [eth1], " RACK_A ", " WEB
	                       ", preferred-nodes: [{weight: 7, match-expressions: "
	                       "[{key: fast, operator: Exists}]}]}]");

	world_passes(v);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		if (steps[i].node)
			put_node(v, "n1", steps[i].node);
		else
			put_service(v, steps[i].service, "");
		size_t passes = world_passes(v);
		cleanup_free char *who = candidates(v);
		if (passes != steps[i].passes || strcmp(who, steps[i].candidates) != 0)
			fail_msg("step %zu: %zu passes, %s", i, passes, who);
	}
	view_free(v);
}

/* An edit of the entries concerns the pool's Services; a text that says the same, nobody. */
static void edits_are_followed(void **state)
{
	(void)state;
	static const char *const entries[] = {
		"",
		"[{}]",
		"[{interfaces: [eth1]}]",
		"[{interfaces: [eth2]}]",
		"[{interfaces: [eth2, eth3]}]",
		"[{" RACK_A "}]",
		"[{" RACK_B "}]",
		"[{" RACK_B "}, {}]",
		"[{" WEB "}]",
		"[{node-selectors: [{match-expressions: [{key: rack, operator: In, values: [a, b]}]}]}]",
		("[{node-selectors: [{match-expressions: [{key: rack, operator: NotIn, "
		 "values: [a, b]}]}]}]"),
		"[{preferred-nodes: [{weight: 7, match-labels: {rack: a}}]}]",
		"[{preferred-nodes: [{weight: 8, match-labels: {rack: a}}]}]",
		"[{preferred-nodes: [{weight: 8, match-labels: {rack: b}}]}]",
	};
	struct view *v = world("[{interfaces: [eth0]}]");

	world_passes(v);
	for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
		configure(v, entries[i]);
		if (world_passes(v) != 1)
			fail_msg("%s: nobody looked", entries[i]);
		configure(v, entries[i]);
		if (world_passes(v) != 0)
			fail_msg("%s: looked at for nothing", entries[i]);
	}
	view_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_add_to_each_other),
		cmocka_unit_test(what_is_not_selected_says_why),
		cmocka_unit_test(nowhere_at_all),
		cmocka_unit_test(endpoints_of_nodes_that_are_not_selected),
		cmocka_unit_test(labels_are_followed),
		cmocka_unit_test(edits_are_followed),
	};

	return cmocka_run_group_tests_name("where", tests, NULL, NULL);
}
