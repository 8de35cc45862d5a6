/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <stdlib.h>
#include <unistd.h>

#include "../apisim/journal.h"
#include "../apisim/js.h"
#include "../apisim/route.h"
#include "../apisim/selector.h"
#include "../apisim/store.h"
#include "fairlead/mem.h"

#define HISTORY 4

static struct json_object *object(const char *ns, const char *name, const char *label)
{
	struct json_object *o = json_object_new_object();

	js_set_str(o, "metadata.name", name);
	js_set_str(o, "metadata.namespace", ns);
	if (label)
		js_set_str(o, "metadata.labels.l", label);
	return o;
}

static struct version *put(struct store *s, enum store_id id, const char *ns, const char *name)
{
	cleanup(js_put) struct json_object *o = object(ns, name, NULL);
	struct version *v;

	assert_int_equal(store_put(s, id, o, &v, NULL), 0);
	return v;
}

static void objects_are_sorted_and_found(void **state)
{
	(void)state;
	cleanup(store_fini) struct store s;
	store_init(&s, HISTORY);
	static const char *const keys[][2] = {
		{ "b", "y" }, { "a", "z" }, { "b", "x" }, { "a-b", "q" }
	};
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		put(&s, STORE_SERVICES, keys[i][0], keys[i][1]);
	const struct shelf *f = &s.shelves[STORE_SERVICES];
	assert_int_equal(f->n, 4);
	for (size_t i = 1; i < f->n; i++)
		assert_true(strcmp(f->v[i - 1]->key, f->v[i]->key) < 0);
	size_t begin, end;
	store_range(&s, STORE_SERVICES, "b", &begin, &end);
	assert_int_equal(end - begin, 2);
	assert_string_equal(f->v[begin]->key, "b/x");
	store_range(&s, STORE_SERVICES, "a", &begin, &end);
	assert_int_equal(end - begin, 1);
	store_range(&s, STORE_SERVICES, "none", &begin, &end);
	assert_int_equal(end - begin, 0);
	assert_string_equal(version_name(store_get(&s, STORE_SERVICES, "b/y")), "y");
	assert_null(store_get(&s, STORE_SERVICES, "b/yy"));
	assert_null(store_get(&s, STORE_PODS, "b/y"));
	assert_int_equal(store_after(&s, STORE_SERVICES, "b/x"), 3);
}

static void history_reaches_back_as_far_as_it_holds(void **state)
{
	(void)state;
	cleanup(store_fini) struct store s;
	store_init(&s, HISTORY);
	assert_true(store_reaches(&s, STORE_SERVICES, 0));
	for (int i = 0; i < HISTORY; i++)
		put(&s, STORE_SERVICES, "n", "a");
	assert_true(store_reaches(&s, STORE_SERVICES, 0));
	put(&s, STORE_PODS, "n", "a");
	put(&s, STORE_SERVICES, "n", "b");
	/*
	 * The first event fell out, so a watch that has seen it may still begin, one before it may
	 * not.
	 */
	assert_false(store_reaches(&s, STORE_SERVICES, 0));
	assert_true(store_reaches(&s, STORE_SERVICES, 1));
	assert_true(store_reaches(&s, STORE_PODS, 0));
	size_t first = store_first_event(&s, STORE_SERVICES, 4);
	assert_int_equal(s.shelves[STORE_SERVICES].n_events - first, 1);
	const struct event *e = store_event(&s, STORE_SERVICES, first);
	assert_int_equal(e->rv, 6);
	assert_int_equal(e->type, EVENT_ADDED);
	assert_int_equal(store_first_event(&s, STORE_SERVICES, 6),
	                 s.shelves[STORE_SERVICES].n_events);
	struct version *last;
	assert_int_equal(store_delete(&s, STORE_SERVICES, "n/b", NULL, &last, NULL), 0);
	assert_int_equal(last->rv, 7);
	assert_non_null(strstr(last->text, "\"resourceVersion\":\"7\""));
	assert_null(store_get(&s, STORE_SERVICES, "n/b"));
}

static void a_history_that_starts_anew_refuses_the_old_versions(void **state)
{
	(void)state;
	cleanup(store_fini) struct store s;
	store_init(&s, HISTORY);
	for (int i = 0; i < 20; i++)
		put(&s, STORE_SERVICES, "n", "a");
	put(&s, STORE_PODS, "n", "p");
	assert_int_equal(store_reset_history(&s, NULL), 0);
	assert_int_equal(s.rv, 3);
	assert_int_equal(store_get(&s, STORE_SERVICES, "n/a")->rv, 1);
	assert_false(store_reaches(&s, STORE_SERVICES, 1));
	assert_false(store_reaches(&s, STORE_SERVICES, 20));
	assert_true(store_reaches(&s, STORE_SERVICES, 3));
	assert_int_equal(put(&s, STORE_SERVICES, "n", "a")->rv, 4);
}

static void journal_brings_everything_back(void **state)
{
	(void)state;
	char path[] = "/tmp/fl-journal-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	struct err err = ERR_INIT;
	for (int rewritten = 0; rewritten < 2; rewritten++) {
		struct store s, t;
		assert_int_equal(ftruncate(fd, 0), 0);
		store_init(&s, HISTORY);
		assert_int_equal(journal_open(path, &s, &s.journal, &err), 0);
		put(&s, STORE_SERVICES, "n", "b");
		put(&s, STORE_SERVICES, "n", "a");
		put(&s, STORE_PODS, "n", "gone");
		assert_int_equal(store_delete(&s, STORE_PODS, "n/gone", NULL, NULL, NULL), 0);
		if (rewritten)
			assert_int_equal(journal_compact(s.journal, &s, &err), 0);
		store_init(&t, HISTORY);
		assert_int_equal(journal_open(path, &t, &t.journal, &err), 0);
		assert_int_equal(t.rv, 4);
		assert_int_equal(t.shelves[STORE_PODS].n, 0);
		assert_string_equal(store_get(&t, STORE_SERVICES, "n/a")->text,
		                    store_get(&s, STORE_SERVICES, "n/a")->text);
		assert_true(store_reaches(&t, STORE_SERVICES, 2));
		assert_false(store_reaches(&t, STORE_SERVICES, 1));
		assert_false(store_reaches(&t, STORE_PODS, 3));
		journal_free(s.journal);
		journal_free(t.journal);
		store_fini(&s);
		store_fini(&t);
	}
	close(fd);
	unlink(path);
}

static void selectors(void **state)
{
	(void)state;
	static const struct {
		const char *labels, *fields;
		int matches; /* bit 0: label "x", bit 1: label "y", bit 2: no label; -1: refused */
	} cases[] = {
		{ NULL, NULL, 7 },
		{ "", "", 7 },
		{ "l=x", NULL, 1 },
		{ "l==x", NULL, 1 },
		{ "l!=x", NULL, 6 },
		{ "l", NULL, 3 },
		{ "!l", NULL, 4 },
		{ "l in (x,y)", NULL, 3 },
		{ "l notin ( x )", NULL, 6 },
		{ " l in (x) , l ", NULL, 1 },
		{ "l=x,l=y", NULL, 0 },
		{ NULL, "metadata.name=y", 2 },
		{ NULL, "metadata.name!=y,metadata.namespace=n", 5 },
		{ NULL, "spec.type=", 7 },
		{ NULL, "spec.type=ClusterIP", 0 },
		{ "l=x", "metadata.name=y", 0 },
		{ "l in x", NULL, -1 },
		{ "l in (x", NULL, -1 },
		{ "=x", NULL, -1 },
		{ "l~x", NULL, 0 }, /* an odd key, which nothing has */
		{ "l=x y", NULL, -1 },
		{ NULL, "spec.nothing=1", -1 },
		{ NULL, "metadata.name", -1 },
		{ "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a", NULL, -1 },
	};
	const struct kind *k = kind_of_store(STORE_SERVICES);
	static const char *const labels[] = { "x", "y", NULL };
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct selector *sel;
		struct err err = ERR_INIT;
		int got = 0;
		if (selector_parse(k, cases[i].labels, cases[i].fields, &sel, &err) < 0) {
			assert_true(*err.msg);
			got = -1;
		}
		for (int j = 0; got >= 0 && j < 3; j++) {
			cleanup(js_put) struct json_object *o =
				object("n", labels[j] ? labels[j] : "z", labels[j]);
			struct version *v = version_new(k, 1, o);
			got |= selector_matches(sel, v) << j;
			version_unref(v);
		}
		if (got != cases[i].matches)
			fail_msg("%s %s: %d", cases[i].labels, cases[i].fields, got);
		if (got >= 0)
			selector_free(sel);
	}
}

static void routes(void **state)
{
	(void)state;
	static const struct {
		const char *path, *resource, *ns, *name, *sub; /* resource NULL: nothing there */
	} cases[] = {
		{ "/api/v1/services", "services", NULL, NULL, NULL },
		{ "/api/v1/namespaces/a/services", "services", "a", NULL, NULL },
		{ "/api/v1/namespaces/a/services/b", "services", "a", "b", NULL },
		{ "/api/v1/namespaces/a/services/b/status", "services", "a", "b", "status" },
		{ "/api/v1/namespaces", "namespaces", NULL, NULL, NULL },
		{ "/api/v1/namespaces/a", "namespaces", NULL, "a", NULL },
		{ "/api/v1/namespaces/a/status", "namespaces", NULL, "a", "status" },
		{ "/api/v1/nodes/n/status", "nodes", NULL, "n", "status" },
		{ "/apis/coordination.k8s.io/v1/namespaces/a/leases/l", "leases", "a", "l", NULL },
		{ "/api/v1/namespaces/a/services/x%2dy", "services", "a", "x-y", NULL },
		{ "/api/v1/namespaces/a/services/x%2fy", NULL, NULL, NULL, NULL },
		{ "/api/v1/namespaces/a/services/x%00y", NULL, NULL, NULL, NULL },
		{ "/api/v1/services/b", NULL, NULL, NULL, NULL },
		{ "/api/v1/namespaces/a/services/b/status/c", NULL, NULL, NULL, NULL },
		{ "/api/v1/a/b/c/d/e/f/g/h/i", NULL, NULL, NULL, NULL },
		{ "/apis/apps/v1/deployments", NULL, NULL, NULL, NULL },
		{ "/api/v1", NULL, NULL, NULL, NULL },
		{ "/", NULL, NULL, NULL, NULL },
		{ "", NULL, NULL, NULL, NULL },
	};
	static const char *const none = "-";
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct route r;
		if ((route_parse(cases[i].path, &r) == 0) != (cases[i].resource != NULL))
			fail_msg("%s", cases[i].path);
		if (!cases[i].resource)
			continue;
		assert_string_equal(r.kind->resource, cases[i].resource);
		assert_string_equal(r.ns ? r.ns : none, cases[i].ns ? cases[i].ns : none);
		assert_string_equal(r.name ? r.name : none, cases[i].name ? cases[i].name : none);
		assert_string_equal(r.sub ? r.sub : none, cases[i].sub ? cases[i].sub : none);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_are_sorted_and_found),
		cmocka_unit_test(history_reaches_back_as_far_as_it_holds),
		cmocka_unit_test(a_history_that_starts_anew_refuses_the_old_versions),
		cmocka_unit_test(journal_brings_everything_back),
		cmocka_unit_test(selectors),
		cmocka_unit_test(routes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
