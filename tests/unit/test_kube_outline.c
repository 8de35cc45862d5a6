/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is told of objects without reading them, and reading those that are deep: by text, in any
 * pieces, at any depth.
 */
#include "config.h"

#include "unit.h"

#include <json-c/json.h>

#include "fairlead/buf.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"
#include "kube/outline.h"

static void put_list(struct buf *out, const struct outline_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		buf_printf(out, "%s%s", i ? "," : "", addr_str(&l->addrs[i]));
}

static const struct {
	const char *text,
		*told; /* "type namespace/name uid version ingress externals", "!" if not good */
	bool event;
} cases[] = {
	{ "{\"metadata\":{\"name\":\"web\",\"namespace\":\"shop\",\"uid\":\"u\",\"resourceVersion\":\"7\"}}",
	  " shop/web u 7  " },
	{ "{\"kind\":\"x\",\"metadata\":{\"labels\":{\"name\":\"no\",\"uid\":\"no\"},\"name\":\"web\","
	  "\"managedFields\":[{\"name\":\"no\",\"f\":{\"metadata\":{\"name\":\"no\"}}}]}}",
	  " /web    " },
	{ "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"web\"},\"type\":\"no\"}}",
	  "ADDED /web    ", true },
	{ "{\"object\":{\"metadata\":{\"name\":\"web\"}},\"type\":\"DELETED\"}", "DELETED /web    ",
	  true },
	{ "{\"object\":{\"metadata\":{\"name\":\"no\"}},\"metadata\":{\"name\":\"web\"}}",
	  " /web    " },
	{ "{\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"10.0.0.1\",\"ports\":[{\"ip\":\"10.0.0.9\"}]},"
	  "{\"hostname\":\"10.0.0.8\"},{\"ip\":\"fd00::1\"},{\"ip\":\"010.0.0.02\"},{\"ip\":\"::ffff:10.0.0.3\"},"
	  "{\"ip\":\"nonsense\"},{\"ip\":7},\"10.0.0.7\"]}},\"metadata\":{\"name\":\"web\"},"
	  "\"spec\":{\"ip\":\"10.1.0.1\",\"externalIPs\":[\"10.2.0.1\",[\"10.2.0.9\"],{\"ip\":\"10.2.0.8\"},\"fd00::2\"],"
	  "\"ingress\":[{\"ip\":\"10.1.0.2\"}]},\"x\":{\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"10.1.0.3\"}]}}}}",
	  " /web   10.0.0.1,fd00::1,10.0.0.2,10.0.0.3 10.2.0.1,fd00::2" },
	{ "{\"metadata\":{\"name\":\"web\",},\"spec\":{,},}", " /web    " },
	{ "{\"metadata\":{\"name\":\"web\"}", "! /web    " },
	{ "{\"metadata\":{\"name\":17,\"x\":\"name\"}}", "! /    " },
	{ "{\"metadata\":[\"name\",\"x\"]}", "! /    " },
	{ "{\"metadata\":{\"name\":\"unended", "! /    " },
	{ "{\"a\\\"metadata\":{\"name\":\"no\"}}", "! /    " },
	{ "}}}{\"metadata\":{\"name\":\"x\"}}", "! /    " },
	{ "[{\"metadata\":{\"name\":\"x\"}}]", "! /    " },
	{ "\"\\", "! /    " },
	{ "", "! /    " },
};

static void outlines(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t piece = 1; piece < 10; piece += 4) {
			cleanup(buf_fini) struct buf told = BUF_INIT;
			cleanup(outline_fini) struct outline o;
			const char *p = cases[i].text;
			outline_init(&o, cases[i].event);
			for (size_t left = strlen(p), n; left > 0; p += n, left -= n) {
				n = left < piece ? left : piece;
				outline_feed(&o, p, n);
			}
			buf_printf(&told, "%s%s %s/%s %s %s ", outline_is_good(&o) ? "" : "!",
			           o.type, o.namespace, o.name, o.uid, o.version);
			put_list(&told, &o.ingress);
			buf_putc(&told, ' ');
			put_list(&told, &o.external_ips);
			assert_string_equal(buf_str(&told), cases[i].told);
		}
}

/*
 * A Service with managedFields so deep that all of it has @depth levels; each level is a map or a
 * list by turns.
 */
static void put_deep(struct buf *out, size_t depth)
{
	size_t levels = depth - 2;

	buf_puts(out, "{\"metadata\":{\"managedFields\":");
	for (size_t i = 0; i < levels; i++)
		buf_puts(out, i % 2 ? "{\"f:]}\\\"\":" : "[");
	buf_puts(out, "7");
	for (size_t i = levels; i-- > 0;)
		buf_putc(out, i % 2 ? '}' : ']');
	buf_puts(
		out,
		",\"name\":\"web\"},\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"10.0.0.1\"}]}}}");
}

static void depth_is_no_matter(void **state)
{
	(void)state;
	static const struct {
		size_t depth;
		bool is_read;
	} depths[] = { { 5, true },
		       { KUBE_JSON_DEPTH_READ, true },
		       { KUBE_JSON_DEPTH_READ + 1, true },
		       { 31, true },
		       { 32, true },
		       { 33, true },
		       { 64, true },
		       { 65, true },
		       { 10000, true },
		       { 10001, false },
		       { 200000, false } };
	for (size_t i = 0; i < ARRAY_LEN(depths); i++) {
		cleanup(buf_fini) struct buf text = BUF_INIT;
		put_deep(&text, depths[i].depth);
		struct json_object *obj = kube_json_parse(text.data, text.size);
		if (!obj != !depths[i].is_read)
			fail_msg("depth %zu", depths[i].depth);
		if (obj) {
			struct json_object *meta =
				kube_json_get(obj, "metadata", json_type_object, NULL);
			assert_string_equal(kube_json_str(meta, "name", NULL), "web");
			json_object_to_json_string(obj);
		}
		json_object_put(obj);
		struct kube_remains *r = kube_remains_of(text.data, text.size);
		assert_non_null(r);
		assert_string_equal(kube_key(&r->meta), "web");
		assert_int_equal(r->n_ingress, 1);
		kube_remains_free(r);
	}
}

static void deep_nonsense_is_none(void **state)
{
	(void)state;
	static const char *const ends[] = { "", "]", "}}", "\"", "]]]", "x" };
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		cleanup(buf_fini) struct buf text = BUF_INIT;
		for (size_t k = 0; k < 100; k++)
			buf_putc(&text, '[');
		buf_putc(&text, '1');
		for (size_t k = 0; k < 99; k++)
			buf_putc(&text, ']');
		buf_puts(&text, ends[i]);
		struct json_object *obj = kube_json_parse(text.data, text.size);
		assert_int_equal(obj != NULL, i == 1);
		json_object_put(obj);
	}
}

static void confirmed_external_ips(void **state)
{
	(void)state;
	static const struct {
		const char *conditions;
		size_t n;
	} rows[] = {
		{ "[{\"type\":\"fairlead.io/ExternalIPsAssigned\",\"status\":\"True\",\"message\":"
		  "\"assigned external IP 10.0.0.1, fd00::1 from pool a\"}]",
		  2 },
		{ "[{\"message\":\"keeps external IP 10.0.0.1 of pool a\",\"type\":"
		  "\"fairlead.io/ExternalIPsAssigned\"},{\"type\":\"x\",\"message\":\"y\"}]",
		  1 },
		{ "[{\"type\":\"x\",\"message\":\"keeps external IP 10.0.0.1 of pool a\"}]", 0 },
		{ "[{\"type\":\"fairlead.io/ExternalIPsAssigned\"},{\"type\":\"x\",\"message\":"
		  "\"keeps external IP 10.0.0.1 of pool a\"}]",
		  0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_free char *text = xasprintf(
			"{\"metadata\":{\"name\":\"web\"},\"status\":{\"conditions\":%s}}",
			rows[i].conditions);
		struct kube_remains *r = kube_remains_of(text, strlen(text));
		assert_int_equal(r->n_confirmed, rows[i].n);
		for (size_t k = 0; k < r->n_confirmed; k++)
			assert_string_equal(addr_str(&r->confirmed[k]), k ? "fd00::1" : "10.0.0.1");
		kube_remains_free(r);
	}
}

/* More addresses than fit into etcd: this is told, and so are all up to there. */
static void there_is_an_end_to_addresses(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf text = BUF_INIT;
	cleanup(outline_fini) struct outline o;
	buf_puts(&text, "{\"metadata\":{\"name\":\"web\"},\"spec\":{\"externalIPs\":[\"10.0.0.1\"");
	for (size_t i = 1; i < OUTLINE_ADDRS_MAX; i++)
		buf_puts(&text, ",\"1.1.1.1\"");
	buf_puts(&text, "]}}");
	outline_of(&o, false, text.data, text.size);
	assert_true(outline_is_good(&o));
	assert_int_equal(o.external_ips.n, OUTLINE_ADDRS_MAX);
	outline_fini(&o);
	buf_clear(&text);
	buf_puts(&text, "{\"metadata\":{\"name\":\"web\"},\"spec\":{\"externalIPs\":[\"10.0.0.1\"");
	for (size_t i = 0; i < OUTLINE_ADDRS_MAX; i++)
		buf_puts(&text, ",\"1.1.1.1\"");
	buf_puts(&text, "]}}");
	outline_of(&o, false, text.data, text.size);
	assert_false(outline_is_good(&o));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(outlines),
		cmocka_unit_test(depth_is_no_matter),
		cmocka_unit_test(deep_nonsense_is_none),
		cmocka_unit_test(confirmed_external_ips),
		cmocka_unit_test(there_is_an_end_to_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
