/* SPDX-License-Identifier: Apache-2.0 */
/* Which scheduler takes the place of one that the kernel has not, and when it is asked again. */
#include "config.h"

#include "unit.h"

#include <errno.h>

#include "fairlead/mem.h"
#include "proxy/ipvs/schedulers.h"

#define NOW_MS 1000

static struct schedulers s;

static int setup(void **state)
{
	(void)state;
	memset(&s, 0, sizeof(s));
	schedulers_init(&s);
	return 0;
}

static void the_default_one_is_known_from_the_beginning(void **state)
{
	(void)state;
	uint8_t number = schedulers_hold(&s, "");
	assert_int_equal(number, SCHEDULERS_DEFAULT);
	assert_int_equal(schedulers_hold(&s, VIRTUAL_SCHEDULER_DEFAULT), SCHEDULERS_DEFAULT);
	assert_null(schedulers_unknown(&s));
	assert_false(schedulers_is_substituted(&s, number));
	assert_false(schedulers_lack(&s));
	/* Nobody's doubt is about that one. */
	schedulers_doubt(&s, number);
	assert_null(schedulers_unknown(&s));
}

static void each_other_one_is_asked_for_once(void **state)
{
	(void)state;
	uint8_t number = schedulers_hold(&s, "wlc");
	assert_int_equal(schedulers_hold(&s, "wlc"), number);
	assert_string_equal(schedulers_unknown(&s), "wlc");
	assert_int_equal(schedulers_know(&s, "wlc", 0, NOW_MS), number);
	assert_null(schedulers_unknown(&s));
	assert_string_equal(schedulers_effective(&s, number), "wlc");
	/* The kernel may lose its module. */
	schedulers_doubt(&s, number);
	assert_string_equal(schedulers_unknown(&s), "wlc");
}

static void one_that_is_missing_has_a_substitute_and_is_asked_for_again(void **state)
{
	(void)state;
	uint8_t number = schedulers_hold(&s, "nonesuch");
	schedulers_know(&s, "nonesuch", -ENOENT, NOW_MS);
	assert_true(schedulers_lack(&s));
	assert_true(schedulers_is_substituted(&s, number));
	assert_string_equal(schedulers_effective(&s, number), VIRTUAL_SCHEDULER_DEFAULT);
	assert_int_equal(schedulers_wake(&s, NOW_MS), NOW_MS + SCHEDULERS_RETRY_MS);
	assert_null(schedulers_unknown(&s));
	assert_int_equal(schedulers_wake(&s, NOW_MS + SCHEDULERS_RETRY_MS), INT64_MAX);
	assert_string_equal(schedulers_unknown(&s), "nonesuch");
	schedulers_know(&s, "nonesuch", 0, NOW_MS);
	assert_string_equal(schedulers_effective(&s, number), "nonesuch");
	assert_false(schedulers_lack(&s));
}

/* Memory may be short, for one. */
static void one_that_could_not_be_asked_for_is_soon(void **state)
{
	(void)state;
	uint8_t number = schedulers_hold(&s, "wlc");
	schedulers_know(&s, "wlc", -ENOMEM, NOW_MS);
	assert_true(schedulers_is_substituted(&s, number));
	assert_int_equal(schedulers_wake(&s, NOW_MS), NOW_MS + SCHEDULERS_SOON_MS);
	schedulers_wake(&s, NOW_MS + SCHEDULERS_SOON_MS);
	assert_string_equal(schedulers_unknown(&s), "wlc");
}

static void one_that_nobody_uses_is_not_missed(void **state)
{
	(void)state;
	uint8_t number = schedulers_hold(&s, "nonesuch");
	schedulers_know(&s, "nonesuch", -ENOENT, NOW_MS);
	schedulers_drop(&s, number);
	assert_false(schedulers_lack(&s));
	assert_int_equal(schedulers_wake(&s, NOW_MS), INT64_MAX);
	assert_int_equal(schedulers_wake(&s, NOW_MS + SCHEDULERS_RETRY_MS), INT64_MAX);
	assert_null(schedulers_unknown(&s));
}

/* Nobody's number changes, and what nobody uses makes room. */
static void only_so_many_are_told_apart(void **state)
{
	char name[VIRTUAL_SCHEDULER_SIZE];

	(void)state;
	for (unsigned int i = 1; i < VIRTUAL_SCHEDULERS_MAX; i++) {
		assert_false(schedulers_lack(&s));
		snprintf(name, sizeof(name), "s%u", i);
		assert_int_equal(schedulers_hold(&s, name), i);
	}
	assert_true(schedulers_lack(&s));
	assert_int_equal(schedulers_hold(&s, "one-more"), SCHEDULERS_NONE);
	assert_true(schedulers_is_substituted(&s, SCHEDULERS_NONE));
	assert_string_equal(schedulers_effective(&s, SCHEDULERS_NONE), VIRTUAL_SCHEDULER_DEFAULT);
	assert_int_equal(schedulers_know(&s, "one-more", 0, NOW_MS), SCHEDULERS_NONE);
	schedulers_doubt(&s, SCHEDULERS_NONE);
	schedulers_drop(&s, SCHEDULERS_NONE);
	schedulers_drop(&s, 7);
	assert_int_equal(schedulers_hold(&s, "one-more"), 7);
	/* What was known of the former one is forgotten. */
	schedulers_know(&s, "one-more", -ENOENT, NOW_MS);
	schedulers_drop(&s, 7);
	assert_int_equal(schedulers_hold(&s, "another"), 7);
	assert_false(schedulers_is_substituted(&s, 7));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_default_one_is_known_from_the_beginning, setup),
		cmocka_unit_test_setup(each_other_one_is_asked_for_once, setup),
		cmocka_unit_test_setup(one_that_is_missing_has_a_substitute_and_is_asked_for_again,
		                       setup),
		cmocka_unit_test_setup(one_that_could_not_be_asked_for_is_soon, setup),
		cmocka_unit_test_setup(one_that_nobody_uses_is_not_missed, setup),
		cmocka_unit_test_setup(only_so_many_are_told_apart, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
