/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include "fairlead/configuration.h"
#include "fairlead/mem.h"

#define OTHER "apiVersion: v1\nkind: Namespace\n"
#define HEAD "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fairlead}\n"
#define PROBLEM "address-pools:\n- name: a\n  protocol: ring\n  addresses: [192.0.2.0/24]\n"

static const struct row {
	const char *name, *text;
	unsigned int line; /* of the first error; 0: none */
	const char *path;
	const char *in_message;
} rows[] = {
	{ "plain", PROBLEM, 3, "address-pools[0].protocol", "ring" },
	{ "plain, empty", "", 0, NULL, NULL },
	{ "literal block",
	  HEAD
	  "data:\n  config: |\n    address-pools:\n    - name: a\n      protocol: ring\n      addresses: [192.0.2.0/24]\n",
	  8, "address-pools[0].protocol", "ring" },
	{ "literal block with a comment, stripped, and blank lines first",
	  HEAD "data:\n  x: |\n    a\n    b\n  config: |- # here\n\n\n    peers: 1\n", 11, "peers",
	  "" },
	{ "indentation indicator", HEAD "data:\n  config: |2\n    peers: 1\n", 6, "peers", "" },
	{ "a line told within a message",
	  HEAD
	  "data:\n  config: |\n    address-pools:\n    - {name: a, protocol: layer2, addresses: "
	  "[192.0.2.1/32]}\n    - {name: a, protocol: layer2, addresses: [192.0.2.2/32]}\n",
	  8, "address-pools[1].name", "line 7" },
	{ "the key given twice", HEAD "data:\n  config: |\n    peers: []\n  config: ''\n", 7,
	  "data.config", "given twice" },
	{ "data given twice", HEAD "data: {}\ndata:\n  config: ''\n", 5, "data", "given twice" },
	{ "the mark of UTF-8", "\xef\xbb\xbf" HEAD "data:\n  config: |\n    peers: 1\n", 6, "peers",
	  "" },
	{ "no YAML in the block", HEAD "data:\n  config: |\n    peers:\n    - [a\n", 7, "",
	  "not YAML" },
	{ "folded", HEAD "data:\n  config: >\n    peers:\n\n    - x\n", 5, "peers[0]",
	  "of the text" },
	{ "double quotes", HEAD "data:\n  config: \"\\n\\npeers: 1\\n\"\n", 5, "peers",
	  "(line 3 of the text)" },
	{ "JSON",
	  "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\n\"data\":{\"config\":\n\"peers: 1\"}}",
	  3, "peers", "" },
	{ "good manifest", HEAD "data:\n  config: |\n    peers: []\n", 0, NULL, NULL },
	{ "no key", HEAD "data:\n  other: x\n", 5, "data", "no key" },
	{ "no data", HEAD, 1, "data", "no key" },
	{ "a map", HEAD "data:\n  config:\n    peers: []\n", 6, "data.config", "not a text" },
	{ "values of the chart", "logLevel: info\nconfig:\n  peers: []\n", 3, "config",
	  "helm template" },
	{ "values of the chart, none", "config: {}\n", 1, "config", "values of the chart" },
	{ "values of the chart, a text", "config: |\n  peers: []\n", 1, "config",
	  "values of the chart" },
	{ "no values of the chart", "config: x\n", 1, "config", "unknown key" },
	{ "another kind", "apiVersion: v1\nkind: Secret\n", 2, "kind", "Secret" },
	{ "empty documents around",
	  "---\n# x\n---\n" HEAD "data:\n  config: ''\n---\n...\n---\n~\n", 0, NULL, NULL },
	{ "an empty document before", "---\n---\n" HEAD "data:\n  config: |\n    peers: 1\n", 8,
	  "peers", "" },
	{ "an empty document behind the text", HEAD "data:\n  config: |\n    peers: []\n    ---\n",
	  0, NULL, NULL },
	{ "other manifests around",
	  OTHER "---\n" HEAD "data:\n  config: |\n    peers: 1\n---\n" OTHER, 9, "peers", "" },
	{ "good among others", OTHER "---\n" HEAD "data:\n  config: |\n    peers: []\n---\n" HEAD,
	  0, NULL, NULL },
	{ "none among them", OTHER "---\n" HEAD, 1, "", "no manifest here" },
	{ "two among them",
	  HEAD "data: {config: ''}\n---\n" OTHER "---\n" HEAD "data: {config: ''}\n", 9, "",
	  "after that on line 1" },
	{ "a manifest and a text", HEAD "data: {config: ''}\n---\npeers: []\n", 5, "",
	  "second YAML document" },
	{ "two texts", "peers: []\n---\npeers: []\n", 2, "", "second YAML document" },
	{ "another document's anchor",
	  "apiVersion: v1\nkind: &k ConfigMap\n---\napiVersion: v1\nkind: *k\n", 5, "",
	  "*k names nothing" },
};

static void test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];
		struct config_problems errors = { 0 };
		struct configuration *c = NULL;
		int r = configuration_parse_file(row->text, strlen(row->text), &c, &errors, NULL);

		if ((r < 0) != (row->line > 0))
			fail_msg("%s: %d, %zu errors", row->name, r, errors.n);
		if (row->line &&
		    (errors.items[0].line != row->line || strcmp(errors.items[0].path, row->path) ||
		     !strstr(errors.items[0].message, row->in_message)))
			fail_msg("%s: line %u, %s: %s", row->name, errors.items[0].line,
			         errors.items[0].path, errors.items[0].message);
		config_problems_fini(&errors);
		configuration_unref(c);
	}
}

/* What comes out is read back, and comes out the same. */
static void test_json_is_a_configuration(void **state)
{
	static const char yaml[] =
		"peers:\n"
		"- {my-asn: 1, peer-asn: 2, peer-address: 10.0.0.1, hold-time: 9s, router-id: 10.0.0.9,\n"
		"   node-selectors: [{match-labels: {a: b}}, {}]}\n"
		"bgp-communities: {x: '1:2'}\n"
		"bfd-profiles: [{name: fast}]\n"
		"address-pools:\n"
		"- {name: a, protocol: bgp, addresses: [192.0.2.0-192.0.2.255, 'fd00::1-fd00::3'],\n"
		"   bgp-advertisements: [{localpref: 7, communities: [x]}]}\n"
		"- {name: b, protocol: [layer2, bgp], priority: -3, addresses: [192.0.3.7/32],\n"
		"   use: [external-ip, load-balancer]}\n"
		"external-ips: {allow: [203.0.113.0-203.0.113.255], namespaces: [edge]}\n";
	cleanup(buf_fini) struct buf first = BUF_INIT, second = BUF_INIT;
	struct config_problems errors = { 0 };
	struct configuration *c = NULL;

	(void)state;
	assert_int_equal(configuration_parse_file(yaml, strlen(yaml), &c, &errors, NULL), 0);
	configuration_json(c, &first);
	configuration_unref(c);
	assert_non_null(
		strstr(buf_str(&first), "\"addresses\":[\"192.0.2.0/24\",\"fd00::1-fd00::3\"]"));
	assert_non_null(strstr(buf_str(&first), "\"use\":[\"load-balancer\"]"));
	assert_non_null(strstr(buf_str(&first), "\"use\":[\"load-balancer\",\"external-ip\"]"));
	assert_non_null(strstr(
		buf_str(&first),
		"\"external-ips\":{\"allow\":[\"203.0.113.0/24\"],\"namespaces\":[\"edge\"]}"));
	if (configuration_parse_file(buf_str(&first), first.size, &c, &errors, NULL) < 0)
		fail_msg("%s: %s", errors.items[0].path, errors.items[0].message);
	configuration_json(c, &second);
	configuration_unref(c);
	assert_string_equal(buf_str(&first), buf_str(&second));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_json_is_a_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
