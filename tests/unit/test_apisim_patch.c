/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include "../apisim/js.h"
#include "../apisim/patch.h"
#include "fairlead/mem.h"

struct patch_case {
	const char *what, *before, *patch, *after; /* after NULL: refused */
};

static void check_cases(enum patch_type type, enum store_id store, const struct patch_case *cases,
                        size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct patch_case *c = &cases[i];
		cleanup(js_put) struct json_object *o =
			js_parse(c->before, strlen(c->before), NULL);
		cleanup(js_put) struct json_object *p = js_parse(c->patch, strlen(c->patch), NULL);
		struct err err = ERR_INIT;
		int r = patch_apply(type, kind_of_store(store), &o, p, &err);
		if ((r == 0) != (c->after != NULL))
			fail_msg("%s: %d %s", c->what, r, err.msg);
		if (r < 0) {
			assert_true(*err.msg);
			continue;
		}
		if (strcmp(js_text(o, NULL), c->after) != 0)
			fail_msg("%s: %s instead of %s", c->what, js_text(o, NULL), c->after);
	}
}

static void merge(void **state)
{
	(void)state;
	static const struct patch_case cases[] = {
		{ "a member changes", "{\"a\":1,\"b\":2}", "{\"a\":3}", "{\"a\":3,\"b\":2}" },
		{ "null removes", "{\"a\":1,\"b\":2}", "{\"a\":null}", "{\"b\":2}" },
		{ "null of what is absent", "{\"b\":2}", "{\"a\":null}", "{\"b\":2}" },
		{ "objects merge", "{\"a\":{\"x\":1}}", "{\"a\":{\"y\":2}}",
		  "{\"a\":{\"x\":1,\"y\":2}}" },
		{ "lists are replaced", "{\"a\":[1,2]}", "{\"a\":[3]}", "{\"a\":[3]}" },
		{ "an object replaces a value", "{\"a\":1}", "{\"a\":{\"x\":null,\"y\":2}}",
		  "{\"a\":{\"y\":2}}" },
		{ "no object", "{\"a\":1}", "[]", NULL },
		{ "null", "{\"a\":1}", "null", NULL },
	};
	check_cases(PATCH_MERGE, STORE_CONFIGMAPS, cases, ARRAY_LEN(cases));
}

static void json(void **state)
{
	(void)state;
#define OP(op, rest) "[{\"op\":\"" op "\"," rest "}]"
	static const struct patch_case cases[] = {
		{ "add a member", "{}", OP("add", "\"path\":\"/a\",\"value\":1"), "{\"a\":1}" },
		{ "add replaces", "{\"a\":0}", OP("add", "\"path\":\"/a\",\"value\":1"),
		  "{\"a\":1}" },
		{ "add in front", "{\"a\":[1,2]}", OP("add", "\"path\":\"/a/0\",\"value\":0"),
		  "{\"a\":[0,1,2]}" },
		{ "add between", "{\"a\":[1,3]}", OP("add", "\"path\":\"/a/1\",\"value\":2"),
		  "{\"a\":[1,2,3]}" },
		{ "add at the end", "{\"a\":[1]}", OP("add", "\"path\":\"/a/-\",\"value\":2"),
		  "{\"a\":[1,2]}" },
		{ "add far behind the end", "{\"a\":[1]}",
		  OP("add", "\"path\":\"/a/9\",\"value\":2"), NULL },
		{ "a bad index", "{\"a\":[1]}", OP("add", "\"path\":\"/a/+0\",\"value\":2"), NULL },
		{ "add below nothing", "{}", OP("add", "\"path\":\"/a/b\",\"value\":2"), NULL },
		{ "escapes", "{\"a/b\":{\"c~d\":1}}",
		  OP("replace", "\"path\":\"/a~1b/c~0d\",\"value\":2"), "{\"a/b\":{\"c~d\":2}}" },
		{ "the whole", "{\"a\":1}", OP("replace", "\"path\":\"\",\"value\":{\"b\":2}"),
		  "{\"b\":2}" },
		{ "replace what is absent", "{}", OP("replace", "\"path\":\"/a\",\"value\":1"),
		  NULL },
		{ "remove", "{\"a\":1}", OP("remove", "\"path\":\"/a\""), "{}" },
		{ "remove from a list", "{\"a\":[1,2,3]}", OP("remove", "\"path\":\"/a/1\""),
		  "{\"a\":[1,3]}" },
		{ "remove what is absent", "{}", OP("remove", "\"path\":\"/a\""), NULL },
		{ "remove behind the end", "{\"a\":[]}", OP("remove", "\"path\":\"/a/-\""), NULL },
		{ "test that holds", "{\"a\":[1]}", OP("test", "\"path\":\"/a\",\"value\":[1]"),
		  "{\"a\":[1]}" },
		{ "test that fails", "{\"a\":1}", OP("test", "\"path\":\"/a\",\"value\":2"), NULL },
		{ "copy", "{\"a\":1}", OP("copy", "\"from\":\"/a\",\"path\":\"/b\""),
		  "{\"a\":1,\"b\":1}" },
		{ "move", "{\"a\":1}", OP("move", "\"from\":\"/a\",\"path\":\"/b\""), "{\"b\":1}" },
		{ "move from nowhere", "{}", OP("move", "\"from\":\"/a\",\"path\":\"/b\""), NULL },
		{ "an unknown operation", "{}", OP("twist", "\"path\":\"/a\""), NULL },
		{ "no path", "{}", OP("add", "\"value\":1"), NULL },
		{ "a relative path", "{}", OP("add", "\"path\":\"a\",\"value\":1"), NULL },
		{ "no list", "{}", "{}", NULL },
		{ "no operation", "{}", "[7]", NULL },
	};
#undef OP
	check_cases(PATCH_JSON, STORE_CONFIGMAPS, cases, ARRAY_LEN(cases));
}

static void strategic_services(void **state)
{
	(void)state;
#define PORTS(x) "{\"spec\":{\"ports\":[" x "]}}"
	static const struct patch_case cases[] = {
		{ "ports merge by port", PORTS("{\"port\":80,\"nodePort\":1},{\"port\":81}"),
		  PORTS("{\"port\":80,\"name\":\"x\"}"),
		  PORTS("{\"port\":80,\"nodePort\":1,\"name\":\"x\"},{\"port\":81}") },
		{ "a new port is added", PORTS("{\"port\":80}"), PORTS("{\"port\":81}"),
		  PORTS("{\"port\":80},{\"port\":81}") },
		{ "a port is deleted", PORTS("{\"port\":80},{\"port\":81}"),
		  PORTS("{\"port\":80,\"$patch\":\"delete\"}"), PORTS("{\"port\":81}") },
		{ "the list is replaced", PORTS("{\"port\":80},{\"port\":81}"),
		  PORTS("{\"port\":82},{\"$patch\":\"replace\"}"), PORTS("{\"port\":82}") },
		{ "no merge key", PORTS("{\"port\":80}"), PORTS("{\"name\":\"x\"}"), NULL },
		{ "no object in the list", PORTS("{\"port\":80}"), PORTS("7"), NULL },
		{ "order", PORTS("{\"port\":1},{\"port\":2},{\"port\":3}"),
		  "{\"spec\":{\"$setElementOrder/ports\":[{\"port\":3},{\"port\":1}]}}",
		  PORTS("{\"port\":3},{\"port\":2},{\"port\":1}") },
		{ "order of a list that is not there", "{\"spec\":{}}",
		  "{\"spec\":{\"$setElementOrder/ports\":[{\"port\":3}]}}", "{\"spec\":{}}" },
		{ "finalizers are a set", "{\"metadata\":{\"finalizers\":[\"a\",\"b\"]}}",
		  "{\"metadata\":{\"finalizers\":[\"b\",\"c\"]}}",
		  "{\"metadata\":{\"finalizers\":[\"a\",\"b\",\"c\"]}}" },
		{ "one leaves the set", "{\"metadata\":{\"finalizers\":[\"a\",\"b\"]}}",
		  "{\"metadata\":{\"$deleteFromPrimitiveList/finalizers\":[\"a\",\"z\"]}}",
		  "{\"metadata\":{\"finalizers\":[\"b\"]}}" },
		{ "conditions merge by type",
		  "{\"status\":{\"conditions\":[{\"type\":\"A\",\"status\":\"True\",\"reason\":\"R\"}]}}",
		  "{\"status\":{\"conditions\":[{\"type\":\"A\",\"status\":\"False\"}]}}",
		  "{\"status\":{\"conditions\":[{\"type\":\"A\",\"status\":\"False\",\"reason\":\"R\"}]}}" },
		{ "ingress is atomic",
		  "{\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"a\"}]}}}",
		  "{\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"b\"}]}}}",
		  "{\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"b\"}]}}}" },
		{ "a map is replaced", "{\"spec\":{\"selector\":{\"a\":\"b\"}}}",
		  "{\"spec\":{\"selector\":{\"$patch\":\"replace\",\"c\":\"d\"}}}",
		  "{\"spec\":{\"selector\":{\"c\":\"d\"}}}" },
		{ "a map is deleted", "{\"spec\":{\"selector\":{\"a\":\"b\"},\"x\":1}}",
		  "{\"spec\":{\"selector\":{\"$patch\":\"delete\"}}}", "{\"spec\":{\"x\":1}}" },
		{ "keys are retained", "{\"spec\":{\"a\":1,\"b\":2}}",
		  "{\"spec\":{\"$retainKeys\":[\"b\",\"c\"],\"c\":3}}",
		  "{\"spec\":{\"b\":2,\"c\":3}}" },
		{ "null removes", "{\"spec\":{\"a\":1}}", "{\"spec\":{\"a\":null}}",
		  "{\"spec\":{}}" },
	};
#undef PORTS
	check_cases(PATCH_STRATEGIC, STORE_SERVICES, cases, ARRAY_LEN(cases));
}

static void strategic_pods(void **state)
{
	(void)state;
	static const struct patch_case cases[] = {
		{ "lists within elements merge too",
		  "{\"spec\":{\"containers\":[{\"name\":\"c\",\"env\":[{\"name\":\"A\",\"value\":\"1\"}]}]}}",
		  "{\"spec\":{\"containers\":[{\"name\":\"c\",\"env\":[{\"name\":\"B\",\"value\":\"2\"}]}]}}",
		  "{\"spec\":{\"containers\":[{\"name\":\"c\",\"env\":[{\"name\":\"A\",\"value\":\"1\"},"
		  "{\"name\":\"B\",\"value\":\"2\"}]}]}}" },
		{ "ports of a Pod are no ports of a Service",
		  "{\"spec\":{\"ports\":[{\"port\":1}]}}", "{\"spec\":{\"ports\":[{\"port\":2}]}}",
		  "{\"spec\":{\"ports\":[{\"port\":2}]}}" },
	};
	check_cases(PATCH_STRATEGIC, STORE_PODS, cases, ARRAY_LEN(cases));
}

static void parsing(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool ok;
	} cases[] = {
		{ "{\"a\":1}", true }, { " {} \r\n\t ", true }, { "7", true },
		{ "\"x\"", true },     { "", false },           { "{", false },
		{ "{} x", false },     { "{}{}", false },       { "{a:1}", false },
		{ "\"\xff\"", false },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		cleanup(js_put) struct json_object *o =
			js_parse(cases[i].text, strlen(cases[i].text), &err);
		if ((o != NULL) != cases[i].ok)
			fail_msg("%s: %s", cases[i].text, err.msg);
		assert_true(cases[i].ok || *err.msg);
	}
	char deep[2 * JS_MAX_DEPTH + 2];
	for (size_t levels = JS_MAX_DEPTH; levels <= JS_MAX_DEPTH + 1; levels++) {
		memset(deep, '[', levels);
		memset(deep + levels, ']', levels);
		cleanup(js_put) struct json_object *o = js_parse(deep, 2 * levels, NULL);
		assert_int_equal(o != NULL, levels <= JS_MAX_DEPTH);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(merge),
		cmocka_unit_test(json),
		cmocka_unit_test(strategic_services),
		cmocka_unit_test(strategic_pods),
		cmocka_unit_test(parsing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
