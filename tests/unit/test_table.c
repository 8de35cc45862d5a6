/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <stdbool.h>
#include <stdlib.h>

#include "fairlead/mem.h"
#include "fairlead/table.h"

#define MANY 5000

struct record {
	uint32_t key;
	struct table_link link;
};

static const void *key_of(const void *record, size_t *ret_size)
{
	const struct record *r = record;

	*ret_size = sizeof(r->key);
	return &r->key;
}

static const struct table_kind kind = { .link = offsetof(struct record, link), .key = key_of };

static struct record *find(const struct table *t, uint32_t key)
{
	return table_find(t, &key, sizeof(key));
}

static void add(struct table *t, uint32_t first, uint32_t n)
{
	for (uint32_t i = first; i < first + n; i++) {
		struct record *r = xcalloc(1, sizeof(*r));
		r->key = i;
		table_add(t, r);
	}
}

/* Those whose key is a multiple of @step. */
static void drop(struct table *t, uint32_t step)
{
	struct record *r;

	for (uint32_t at = 0; (r = table_next(t, &at));)
		if (r->key % step == 0) {
			table_remove(t, r);
			free(r);
		}
}

static void each_is_found_by_its_key(void **state)
{
	struct table t = { .kind = &kind };

	(void)state;
	assert_null(find(&t, 1));
	add(&t, 0, MANY);
	drop(&t, 3);
	add(&t, MANY, MANY);
	for (uint32_t i = 0; i < 2 * MANY; i++) {
		const struct record *r = find(&t, i);
		bool gone = i < MANY && i % 3 == 0;
		assert_int_equal(r != NULL, !gone);
		assert_true(gone || r->key == i);
	}
	assert_null(table_find(&t, "12345", 5));
	drop(&t, 1);
	assert_int_equal(t.n, 0);
	table_fini(&t);
}

static void each_comes_once_in_order(void **state)
{
	struct table t = { .kind = &kind };
	const struct record *r;
	uint32_t next = 0, at = 0;

	(void)state;
	assert_null(table_next(&t, &at));
	add(&t, 0, MANY);
	for (at = 0; (r = table_next(&t, &at)); next++)
		assert_int_equal(r->key, next);
	assert_int_equal(next, MANY);
	drop(&t, 2);
	next = 1;
	for (at = 0; (r = table_next(&t, &at)); next += 2)
		assert_int_equal(r->key, next);
	/* What comes then takes the places of what has gone. */
	add(&t, MANY, MANY / 2);
	assert_int_equal(t.last, MANY);
	drop(&t, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_found_by_its_key),
		cmocka_unit_test(each_comes_once_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
