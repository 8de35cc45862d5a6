/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <errno.h>

#include <json-c/json.h>

#include "cli/convert.h"
#include "fairlead/buf.h"
#include "fairlead/manifest.h"
#include "fairlead/mem.h"
#include "fairlead/yaml_emit.h"
#include "fairlead/ytree.h"

/* ---- YAML ---- */

static int keep(const char *kind, struct json_object *obj, void *arg, struct err *e)
{
	struct json_object **kept = arg;

	(void)kind;
	(void)e;
	assert_null(*kept);
	*kept = json_object_get(obj);
	return 0;
}

static struct json_object *read_back(const char *yaml, size_t size)
{
	struct json_object *kept = NULL;
	struct err e = ERR_INIT;
	unsigned int line;

	if (manifest_read(yaml, size, keep, &kept, NULL, &line, &e) < 0)
		fail_msg("line %u: %s in:\n%s", line, e.msg, yaml);
	return kept;
}

/* As a value, a key and an item, it comes back from both readers as the text that it was. */
static void check_text(const char *text, size_t size)
{
	cleanup(buf_fini) struct buf out = BUF_INIT;
	struct json_object *map = json_object_new_object(), *list = json_object_new_array();
	struct ytree tree;
	struct ytree_error error;
	bool truth;
	int64_t number;

	json_object_object_add(map, "value", json_object_new_string_len(text, (int)size));
	json_object_array_add(list, json_object_new_string_len(text, (int)size));
	json_object_object_add(map, "list", list);
	json_object_object_add(map, strlen(text) == size ? text : "key", NULL);
	json_object_object_add(map, "end", json_object_new_int(7));
	assert_int_equal(yaml_emit(map, &out), 0);
	struct json_object *back = read_back(buf_str(&out), out.size);
	if (!json_object_equal(back, map))
		fail_msg("%s came back as %s", buf_str(&out), json_object_to_json_string(back));
	json_object_put(back);
	json_object_put(map);
	if (strlen(text) != size || !strcmp(text, "<<"))
		return; /* these the configuration's reader refuses, and takes for a merge key */
	assert_int_equal(ytree_parse(buf_str(&out), out.size, 0, &tree, &error), 0);
	const struct ynode *node = tree.root->entries[0].value;
	assert_string_equal(node->text, text);
	assert_false(ynode_is_null(node));
	assert_int_equal(ynode_bool(node, &truth), -EINVAL);
	assert_int_equal(ynode_int(node, &number), -EINVAL);
	ytree_fini(&tree);
}

static void text_stays_text(void **state)
{
	static const char *const texts[] = {
		"",
		" ",
		"a b",
		" a",
		"a ",
		"a: b",
		"a:",
		": a",
		"a #b",
		"# a",
		"- a",
		"-",
		"?",
		"? a",
		"[a]",
		"{a: b}",
		"*a",
		"&a",
		"!a",
		"|",
		">",
		"%a",
		"@a",
		"`a",
		"'a'",
		"\"a\"",
		"\\",
		"a\nb",
		"a\n",
		"\n",
		"a\r\nb",
		"\t",
		"---",
		"...",
		"--- a",
		"a\n---\nb",
		"a\n...\n",
		"~",
		"null",
		"Null",
		"true",
		"TRUE",
		"yes",
		"No",
		"on",
		"OFF",
		"y",
		"N",
		"<<",
		"=",
		"1",
		"-1",
		"+1",
		"0",
		"007",
		"0o7",
		"0x1F",
		"0b1",
		"1_000",
		"1e3",
		"1.5",
		".5",
		"5.",
		".inf",
		"-.inf",
		".nan",
		"1:20",
		"65535:65281",
		"2026-01-05",
		"12:30:00",
		"1.2.3",
		"192.0.2.0/24",
		"192.0.2.1-192.0.2.9",
		"fd00::/64",
		"90s",
		"1m30s",
		"1h",
		"0xh",
		"e3",
		"no-export",
		"a/b.c_d",
		"caf\xc3\xa9",
		"\xe2\x80\xa8",
		"\xc2\x85",
		"\xef\xbb\xbf",
		"\xf0\x9f\x98\x80",
		"\xef\xbf\xbf",
		"\x1b[2J\x7f",
	};
	char byte[2] = "", run[2001];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		check_text(texts[i], strlen(texts[i]));
	for (byte[0] = 1; byte[0] > 0 && byte[0] < 127; byte[0]++)
		check_text(byte, 1);
	check_text("a\0b", 3);
	memset(run, 'x', sizeof(run) - 1);
	run[sizeof(run) - 1] = '\0';
	check_text(run, sizeof(run) - 1); /* longer than what YAML takes as a simple key */
}

static void no_utf8_is_refused(void **state)
{
	cleanup(buf_fini) struct buf out = BUF_INIT;
	struct json_object *text = json_object_new_string("a\xff");

	(void)state;
	assert_int_equal(yaml_emit(text, &out), -EINVAL);
	json_object_put(text);
}

static void blocks_are_readable(void **state)
{
	cleanup(buf_fini) struct buf out = BUF_INIT;
	struct json_object *value = json_tokener_parse(
		"{\"a\":[{\"m\":1,\"x\":{},\"z\":[]},[true,null],\"t\"],\"b\":{\"c\":\"d e\"}}");

	(void)state;
	assert_int_equal(yaml_emit(value, &out), 0);
	assert_string_equal(buf_str(&out), "a:\n"
	                                   "- m: 1\n"
	                                   "  x: {}\n"
	                                   "  z: []\n"
	                                   "- - true\n"
	                                   "  - null\n"
	                                   "- t\n"
	                                   "b:\n"
	                                   "  c: \"d e\"\n");
	json_object_put(value);
}

/* ---- conversion ---- */

static int put(const char *kind, struct json_object *obj, void *arg, struct err *e)
{
	return conversion_put(arg, kind, obj, e);
}

static int put_yaml(struct conversion *c, const char *yaml, struct err *e)
{
	unsigned int line;

	return manifest_read(yaml, strlen(yaml), put, c, NULL, &line, e);
}

/* An object of the default name in one line. */
static void put_object(struct conversion *c, const char *kind, const char *name, const char *labels,
                       const char *spec)
{
	struct err e = ERR_INIT;
	cleanup_free char *yaml = xasprintf("{apiVersion: metallb.io/v1beta1, kind: %s, metadata: "
	                                    "{name: %s, labels: %s}, spec: %s}",
	                                    kind, name, labels, spec);

	if (put_yaml(c, yaml, &e) < 0)
		fail_msg("%s: %s", yaml, e.msg);
}

static const struct {
	const char *spec;   /* of an L2Advertisement */
	const char *labels; /* of the pool "p" */
	bool selects;
	size_t n_notes; /* besides that of a pool that is not selected */
} selections[] = {
	{ "{}", "{}", true, 0 },
	{ "null", "{}", true, 0 },
	{ "{ipAddressPools: []}", "{}", true, 0 },
	{ "{ipAddressPools: null, ipAddressPoolSelectors: []}", "{}", true, 0 },
	{ "{ipAddressPools: [p]}", "{}", true, 0 },
	{ "{ipAddressPools: [q]}", "{}", false, 1 },
	{ "{ipAddressPools: [q, p]}", "{}", true, 1 },
	{ "{ipAddressPools: [q], ipAddressPoolSelectors: [{matchLabels: {a: b}}]}", "{a: b}", true,
	  1 },
	{ "{ipAddressPoolSelectors: [{}]}", "{}", true, 0 },
	{ "{ipAddressPoolSelectors: [{matchLabels: {a: b}}]}", "{a: b, c: d}", true, 0 },
	{ "{ipAddressPoolSelectors: [{matchLabels: {a: b, c: e}}]}", "{a: b, c: d}", false, 0 },
	{ "{ipAddressPoolSelectors: [{matchLabels: {x: y}}, {matchLabels: {a: b}}]}", "{a: b}",
	  true, 0 },
	{ "{ipAddressPoolSelectors: [{matchExpressions: [{key: a, operator: In, values: [c, b]}]}]}",
	  "{a: b}", true, 0 },
	{ "{ipAddressPoolSelectors: [{matchExpressions: [{key: a, operator: NotIn, values: [b]}]}]}",
	  "{a: b}", false, 0 },
	{ "{ipAddressPoolSelectors: [{matchExpressions: [{key: a, operator: NotIn, values: [b]}]}]}",
	  "{}", true, 0 },
	{ "{ipAddressPoolSelectors: [{matchExpressions: [{key: a, operator: Exists}]}]}", "{a: ''}",
	  true, 0 },
	{ "{ipAddressPoolSelectors: [{matchExpressions: [{key: a, operator: DoesNotExist}]}]}",
	  "{a: ''}", false, 0 },
	{ "{ipAddressPoolSelectors: [{matchLabels: {a: b}, matchExpressions: [{key: c, operator: "
	  "Exists}]}]}",
	  "{a: b}", false, 0 },
	/* What cannot be read selects nothing. */
	{ "{ipAddressPools: p}", "{}", false, 1 },
	{ "{ipAddressPools: [p, 1]}", "{}", false, 1 },
	{ "{ipAddressPools: [p], ipAddressPoolSelectors: x}", "{}", false, 1 },
	{ "{ipAddressPoolSelectors: [x]}", "{}", false, 1 },
	{ "{ipAddressPoolSelectors: [null]}", "{}", false, 1 },
	{ "{ipAddressPoolSelectors: [{}, {matchLabels: {a: 1}}]}", "{}", false, 1 },
	{ "{ipAddressPoolSelectors: [{matchExpressions: [{key: a, operator: in, values: [b]}]}]}",
	  "{a: b}", false, 1 },
	{ "{ipAddressPoolSelectors: [{matchExpressions: [{key: a, operator: In}]}]}", "{a: b}",
	  false, 1 },
	{ "{ipAddressPoolSelectors: [{matchExpressions: [{operator: Exists}]}]}", "{a: b}", false,
	  1 },
	{ "{ipAddressPoolSelectors: [{matchExpressions: [{key: a, operator: Exists, values: [b]}]}]}",
	  "{a: b}", false, 1 },
	{ "all", "{}", false, 2 },
};

static void advertisements_select_pools(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(selections); i++) {
		struct conversion *c = conversion_new();
		size_t n;
		put_object(c, "L2Advertisement", "ad", "{}", selections[i].spec);
		put_object(c, "IPAddressPool", "p", selections[i].labels,
		           "{addresses: [192.0.2.0/24]}");
		/* It says itself how it is announced. */
		put_object(c, "AddressPool", "q", selections[i].labels,
		           "{protocol: bgp, addresses: [198.51.100.0/24]}");
		assert_true(conversion_run(c));
		conversion_notes(c, &n);
		if (!!strstr(conversion_text(c), "- name: p\n  protocol: layer2\n") !=
		            selections[i].selects ||
		    !strstr(conversion_text(c), "- name: q\n  protocol: bgp\n") ||
		    n != selections[i].n_notes + !selections[i].selects)
			fail_msg("%s, %s: %zu notes\n%s", selections[i].spec, selections[i].labels,
			         n, conversion_text(c));
		conversion_free(c);
	}
}

static void the_silent_pool_stays_as_silent_as_it_can(void **state)
{
	static const struct {
		const char *peer, *protocol;
	} rows[] = {
		{ NULL, "protocol: bgp" },
		{ "{myASN: 1, peerASN: 2, peerAddress: 10.0.0.1}", "protocol: layer2" },
		{ "{myASN: 1, peerASN: 2, interface: eth0}", "protocol: bgp" }, /* left out */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct conversion *c = conversion_new();
		put_object(c, "IPAddressPool", "p", "{}", "{addresses: [192.0.2.0/24]}");
		if (rows[i].peer)
			put_object(c, "BGPPeer", "r", "{}", rows[i].peer);
		assert_true(conversion_run(c));
		assert_non_null(strstr(conversion_text(c), rows[i].protocol));
		conversion_free(c);
	}
}

static void neither_order_nor_repetition_matters(void **state)
{
	static const char *const specs[][3] = {
		{ "IPAddressPool", "b", "{addresses: [192.0.2.0/25]}" },
		{ "IPAddressPool", "a", "{addresses: [192.0.2.128/25]}" },
		{ "BGPAdvertisement", "y", "{localPref: 2, communities: [two], peers: [n, o]}" },
		{ "BGPAdvertisement", "x", "{localPref: 1, ipAddressPools: [a], peers: [m]}" },
		{ "L2Advertisement", "z", "{interfaces: [eth0]}" },
		{ "Community", "w", "{communities: [{name: two, value: '2:2'}]}" },
		{ "BGPPeer", "n", "{myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, bfdProfile: f}" },
		{ "BGPPeer", "m", "{myASN: 1, peerASN: 3, peerAddress: 10.0.0.2}" },
		{ "BFDProfile", "f", "{}" },
	};
	struct conversion *forth = conversion_new(), *back = conversion_new();
	size_t n, n_back;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
		const char *const *s = specs[i];
		const char *const *t = specs[ARRAY_LEN(specs) - 1 - i];
		put_object(forth, s[0], s[1], "{}", "{}");
		put_object(forth, s[0], s[1], "{}", s[2]);
		put_object(back, t[0], t[1], "{}", t[2]);
	}
	assert_true(conversion_run(forth));
	assert_true(conversion_run(back));
	assert_string_equal(conversion_text(forth), conversion_text(back));
	const struct conversion_note *notes = conversion_notes(forth, &n);
	const struct conversion_note *notes_back = conversion_notes(back, &n_back);
	assert_int_equal(n, 1);
	assert_int_equal(n_back, 1);
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(notes[i].object, notes_back[i].object);
		assert_string_equal(notes[i].message, notes_back[i].message);
	}
	conversion_free(forth);
	conversion_free(back);
}

static void a_name_is_one_that_the_api_takes(void **state)
{
	static const char *const names[] = { "''", "\"a\\nb\"", "A", "a/b", "1", "{}", "\"a b\"" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct conversion *c = conversion_new();
		struct err e = ERR_INIT;
		cleanup_free char *yaml =
			xasprintf("{apiVersion: metallb.io/v1beta2, kind: BGPPeer, "
		                  "metadata: {name: %s}}",
		                  names[i]);
		assert_int_equal(put_yaml(c, yaml, &e), -EINVAL);
		assert_non_null(strstr(e.msg, "BGPPeer"));
		conversion_free(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_stays_text),
		cmocka_unit_test(no_utf8_is_refused),
		cmocka_unit_test(blocks_are_readable),
		cmocka_unit_test(advertisements_select_pools),
		cmocka_unit_test(the_silent_pool_stays_as_silent_as_it_can),
		cmocka_unit_test(neither_order_nor_repetition_matters),
		cmocka_unit_test(a_name_is_one_that_the_api_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
