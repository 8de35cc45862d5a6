/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <string.h>

#include "l2/askers.h"
#include "l2/brake.h"

/* ---- the share of a processor ---- */

static void little_work_never_brakes(void **state)
{
	(void)state;
	struct brake b = { 0 };
	int64_t cpu_us = 0;

	for (int64_t now = 1; now < 10000; now++) {
		cpu_us += BRAKE_BUDGET_US / BRAKE_WINDOW_MS - 1;
		assert_false(brake_holds(&b, now, cpu_us));
		assert_false(brake_is_pressed(&b, now));
	}
}

/*
 * A thread that always has work, and looks at the brake every 64 frames of 5 us: what it gets at
 * real-time priority is the budget of each window, and at most one look more.
 */
static void a_flood_gets_its_budget_in_each_window_and_no_more(void **state)
{
	(void)state;
	const int64_t step_us = 320, lasts_us = 10000000;
	struct brake b = { 0 };
	int64_t urgent_us = 0, cpu_us = 0;

	for (int64_t at_us = 1000; at_us < lasts_us; at_us += step_us) {
		if (!brake_holds(&b, at_us / 1000, cpu_us))
			urgent_us += step_us;
		cpu_us += step_us;
	}
	int64_t windows = lasts_us / 1000 / BRAKE_WINDOW_MS;
	assert_in_range(urgent_us, windows * BRAKE_BUDGET_US / 2,
	                windows * (BRAKE_BUDGET_US + step_us));
	assert_true(brake_is_pressed(&b, lasts_us / 1000));
	assert_false(brake_is_pressed(&b, lasts_us / 1000 + BRAKE_PRESSED_MS));
}

static void a_window_ends_whatever_was_used(void **state)
{
	(void)state;
	struct brake b = { 0 };

	assert_false(brake_holds(&b, 100, 0));
	assert_int_equal(brake_until_ms(&b), 100 + BRAKE_WINDOW_MS);
	assert_true(brake_holds(&b, 101, 50000));
	assert_true(brake_holds(&b, 100 + BRAKE_WINDOW_MS - 1, 50000));
	assert_false(brake_holds(&b, 100 + BRAKE_WINDOW_MS, 50000));
}

/* A start, a page that has to be read, a peer that comes: work that takes long is no flood. */
static void what_takes_long_now_and_then_is_no_flood(void **state)
{
	(void)state;
	struct brake b = { 0 };
	int64_t cpu_us = 0;

	for (int64_t now = 1; now < 10000; now++) {
		cpu_us += now / BRAKE_WINDOW_MS % BRAKE_PRESSED_WINDOWS ? BRAKE_BUDGET_US : 0;
		brake_holds(&b, now, cpu_us);
		assert_false(brake_is_pressed(&b, now));
	}
}

/* Having laid its priority down, the thread may have to wait for a processor. */
static void a_flood_is_one_where_others_run_in_between(void **state)
{
	(void)state;
	struct brake b = { 0 };
	int64_t now = 1, cpu_us = 0;

	for (int i = 0; i < BRAKE_PRESSED_WINDOWS; i++) {
		assert_false(brake_is_pressed(&b, now));
		assert_false(brake_holds(&b, now, cpu_us));
		cpu_us += BRAKE_BUDGET_US;
		assert_true(brake_holds(&b, now + 1, cpu_us));
		now += 5 * BRAKE_WINDOW_MS;
	}
	assert_true(brake_is_pressed(&b, now));
}

/* ---- who was answered ---- */

static struct neighbor_packet question(uint32_t machine, uint8_t target)
{
	struct neighbor_packet q = { .asks = true,
		                     .sender = { .family = 4, .b = { 192, 0, 2, 1 } },
		                     .target = { .family = 4, .b = { 192, 0, 2, target } } };

	memcpy(q.mac, &machine, sizeof(machine));
	return q;
}

static void one_that_asks_all_the_time_is_answered_now_and_then(void **state)
{
	(void)state;
	static struct askers a;
	int answers[2] = { 0 };

	memset(&a, 0, sizeof(a));
	for (int64_t now = 1; now <= 1000; now++)
		for (int i = 0; i < 50; i++)
			for (uint8_t target = 0; target < 2; target++) {
				struct neighbor_packet q = question(1, target);
				answers[target] += askers_may(&a, now, &q);
			}
	assert_int_equal(answers[0], 1000 / ASKERS_PAUSE_MS);
	assert_int_equal(answers[1], 1000 / ASKERS_PAUSE_MS);
}

/* However many there are, whoever has not been answered yet is. */
static void who_asks_for_the_first_time_is_answered(void **state)
{
	(void)state;
	static struct askers a;

	memset(&a, 0, sizeof(a));
	for (uint32_t machine = 1; machine < 10 * ASKERS_KEPT; machine++) {
		struct neighbor_packet q = question(machine, 1);
		assert_true(askers_may(&a, 1, &q));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(little_work_never_brakes),
		cmocka_unit_test(a_flood_gets_its_budget_in_each_window_and_no_more),
		cmocka_unit_test(a_window_ends_whatever_was_used),
		cmocka_unit_test(what_takes_long_now_and_then_is_no_flood),
		cmocka_unit_test(a_flood_is_one_where_others_run_in_between),
		cmocka_unit_test(one_that_asks_all_the_time_is_answered_now_and_then),
		cmocka_unit_test(who_asks_for_the_first_time_is_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
