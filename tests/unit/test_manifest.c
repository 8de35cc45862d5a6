/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <errno.h>

#include <json-c/json.h>

#include "fairlead/buf.h"
#include "fairlead/manifest.h"
#include "fairlead/mem.h"

/* Objects as "KIND JSON;"; one whose JSON has "bad" is refused. */
static int put(const char *kind, struct json_object *obj, void *arg, struct err *e)
{
	const char *text = json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN);

	if (strstr(text, "\"bad\""))
		return err_set(e, -EINVAL, ERR_CONFIG, "refused");
	buf_printf(arg, "%s %s;", kind, text);
	return 0;
}

static const struct row {
	const char *text, *objects;
	unsigned int line; /* of the error; 0: none */
	const char *error;
} rows[] = {
	{ "", "", 0, NULL },
	{ "---\n---\n# nothing\n", "", 0, NULL },
	{ "{\"kind\":\"A\",\"x\":1} {\"y\":2}", "A {\"kind\":\"A\",\"x\":1}; {\"y\":2};", 0, NULL },
	{ "kind: A\nx: [1, -2, +3, 010, 0o10, 0x1F]\n---\nkind: B\n",
	  "A {\"kind\":\"A\",\"x\":[1,-2,3,10,8,31]};B {\"kind\":\"B\"};", 0, NULL },
	{ "x: [~, null, , 'null', true, False, yes, on, !!str 1]\n", "", 1, "not YAML" },
	{ "x: [~, null, 'null', true, False, yes, on, !!str 1]\n",
	  " {\"x\":[null,null,\"null\",true,false,\"yes\",\"on\",\"1\"]};", 0, NULL },
	{ "x: [1.5, 1e3, .5, 1.2.3.4, 1-2, 2026-01-05T00:00:00Z, 0x, 0o8, '1']\n",
	  " {\"x\":[1.5,1000.0,0.5,\"1.2.3.4\",\"1-2\",\"2026-01-05T00:00:00Z\",\"0x\",\"0o8\",\"1\"]};",
	  0, NULL },
	{ "kind: List\nitems:\n- kind: A\n- {kind: B}\n", "A {\"kind\":\"A\"};B {\"kind\":\"B\"};",
	  0, NULL },
	{ "{\"kind\":\"ServiceList\",\"items\":[{\"x\":1},{\"kind\":\"Z\"}]}",
	  "Service {\"x\":1};Z {\"kind\":\"Z\"};", 0, NULL },
	{ "kind: List\nitems:\n- kind: BList\n  items: [{x: 1}, {kind: C}]\n- {kind: D}\n",
	  "B {\"x\":1};C {\"kind\":\"C\"};D {\"kind\":\"D\"};", 0, NULL },
	{ "kind: A\n---\nkind: List\nitems:\n- {kind: B}\n- kind: C\n  v: bad\n",
	  "A {\"kind\":\"A\"};B {\"kind\":\"B\"};", 6, "refused" },
	{ "{\"kind\":\"A\"}\n{\"kind\":\"List\",\"items\":[\n{\"kind\":\"B\"},\n{\"v\":\"bad\"}]}",
	  "A {\"kind\":\"A\"};B {\"kind\":\"B\"};", 4, "refused" },
	{ "{\"kind\":\"List\",\"items\":[\n{\"kind\":\"B\"},\n{\"v\":\"bad\"}]}",
	  "B {\"kind\":\"B\"};", 3, "refused" },
	/* Items one by one: wherever they stand in the document, and whatever else is in it. */
	{ "{\"items\" : [ {\"s\":\"]},\\\"\"} ,{\"n\":[1,{}]} ] ,\"kind\":\"AList\",\"items2\":[{}]}",
	  "A {\"s\":\"]},\\\"\"};A {\"n\":[1,{}]};", 0, NULL },
	{ "{\"kind\":\"AList\",\"items\":[]}{\"kind\":\"BList\",\"items\":null}",
	  "BList {\"kind\":\"BList\",\"items\":null};", 0, NULL },
	{ "{\"kind\":\"A\",\"items\":[{\"x\":1}]}", "A {\"kind\":\"A\",\"items\":[{\"x\":1}]};", 0,
	  NULL },
	{ "{\"kind\":\"List\",\"items\":[{\"kind\":\"BList\",\"items\":[{\"x\":1}]},{\"kind\":\"D\"}]}",
	  "B {\"x\":1};D {\"kind\":\"D\"};", 0, NULL },
	/* Not JSON: as YAML it may be good, and nothing is delivered twice. */
	{ "{\"kind\":\"List\",\"items\":[{\"x\":1},{\"x\":yes},]}", " {\"x\":1}; {\"x\":\"yes\"};",
	  0, NULL },
	{ "{\"kind\":\"List\",\"items\":[{\"x\":1},{\"x\":2}", "", 2, "not YAML" },
	{ "{\"kind\":\"List\",\"items\":[{\"x\":1}]}}", " {\"x\":1};", 1, "not YAML" },
	{ "{\"kind\":\"List\",\"items\":[{\"x\":1},\n{\"x\":2],]}", " {\"x\":1};", 2, "not YAML" },
	/* What was refused before that ends it all the same. */
	{ "{\"kind\":\"List\",\"items\":[{\"x\":1},\n{\"v\":\"bad\"},]}", " {\"x\":1};", 2,
	  "refused" },
	{ "{\"kind\":\"List\",\"items\":[{\"v\":\"bad\"} # why\n]}", "", 1, "refused" },
	{ "{\"x\":1}\n---\n{\"x\":2}\n---\ny: yes", " {\"x\":1}; {\"x\":2}; {\"y\":\"yes\"};", 0,
	  NULL },
	/*
	 * The line of what is refused needs no second reading, which would find a key given twice.
	 */
	{ "{\"x\":1,\"x\":1}\n{\"v\":\"bad\"}", " {\"x\":1};", 2, "refused" },
	{ "a: 1\nb: {c: 1,\n  c: 2}\n", "", 3, "given twice" },
	{ "a: &x 1\nb: *x\n", "", 2, "aliases" },
	{ "a: 1\n? [b]\n: 2\n", "", 2, "a key must be a word" },
	{ "hello\n", "", 1, "no object, but a value alone" },
	{ "[{\"kind\": \"A\"}]\n", "", 1, "no object, but a list; write kind: List and items" },
	{ "a: [1\n", "", 2, "not YAML" },
};

static void test_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];
		cleanup(buf_fini) struct buf out = BUF_INIT;
		struct err e = ERR_INIT;
		unsigned int line = 0;
		int r = manifest_read(row->text, strlen(row->text), put, &out, NULL, &line, &e);

		if ((r < 0) != (row->error != NULL) || (r < 0 && line != row->line) ||
		    (row->error && !strstr(e.msg, row->error)) ||
		    strcmp(buf_str(&out), row->objects) != 0)
			fail_msg("%s: %d, line %u, \"%s\": %s", row->text, r, line, e.msg,
			         buf_str(&out));
	}
}

/* What is refused is passed over, with its line, whether the file is YAML or JSON. */
static void test_passed_over(void **state)
{
	static const struct {
		const char *text, *objects, *problems;
	} cases[] = {
		{ "kind: A\nv: bad\n---\nkind: List\nitems:\n- {kind: B}\n- 5\n- kind: C\n  v: bad\n"
		  "- {kind: D}\n",
		  "B {\"kind\":\"B\"};D {\"kind\":\"D\"};",
		  "1 refused;7 no object, but a value alone;8 refused;" },
		{ "{\"kind\":\"List\",\"items\":[\n{\"v\":\"bad\"},\n5,\n{\"kind\":\"B\"},\n"
		  "{\"v\":\"bad\"}]}\n{\"kind\":\"C\"}",
		  "B {\"kind\":\"B\"};C {\"kind\":\"C\"};",
		  "2 refused;3 no object, but a value alone;5 refused;" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup(buf_fini) struct buf out = BUF_INIT, told = BUF_INIT;
		cleanup(manifest_problems_fini) struct manifest_problems p = { .n = 0 };
		struct err e = ERR_INIT;
		unsigned int line = 0;
		const char *text = cases[i].text;
		assert_int_equal(manifest_read(text, strlen(text), put, &out, &p, &line, &e), 0);
		for (size_t k = 0; k < p.n; k++)
			buf_printf(&told, "%u %s;", p.items[k].line, p.items[k].message);
		assert_string_equal(buf_str(&told), cases[i].problems);
		assert_string_equal(buf_str(&out), cases[i].objects);
	}
}

/* Of very many one is told that stands for the rest. */
static void test_many_problems(void **state)
{
	cleanup(buf_fini) struct buf text = BUF_INIT, out = BUF_INIT;
	cleanup(manifest_problems_fini) struct manifest_problems p = { .n = 0 };
	struct err e = ERR_INIT;
	unsigned int line;

	(void)state;
	for (int i = 0; i < 100; i++)
		buf_puts(&text, "{\"v\":\"bad\"}\n");
	assert_int_equal(manifest_read(buf_str(&text), text.size, put, &out, &p, &line, &e), 0);
	assert_int_equal(p.n, MANIFEST_PROBLEMS_MAX + 1);
	assert_string_equal(p.items[p.n - 1].message, "and more of these");
	assert_int_equal(p.items[1].line, 2);
}

static void test_bounds(void **state)
{
	char deep[2 * MANIFEST_DEPTH_MAX + 8] = "a: ";
	cleanup(buf_fini) struct buf out = BUF_INIT;
	struct err e = ERR_INIT;
	unsigned int line;

	(void)state;
	memset(deep + 3, '[', MANIFEST_DEPTH_MAX);
	assert_int_equal(manifest_read(deep, strlen(deep), put, &out, NULL, &line, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "nested deeper"));
	assert_int_equal(line, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_passed_over),
		cmocka_unit_test(test_many_problems),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
