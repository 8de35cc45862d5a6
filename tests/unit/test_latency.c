/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <math.h>

#include "fairlead/mem.h"
#include "speaker/latency.h"

#define S INT64_C(1000000)
#define NOW (INT64_C(1767225600) * S) /* 2026 */

/* In the kernel are the Services whose keys begin with the letter. */
static bool begins_with(const char *key, void *arg)
{
	const char *letter = arg;

	return *key == *letter;
}

static void settle(struct latency *l, char letter, int64_t now_us)
{
	latency_settle(l, begins_with, &letter, now_us);
}

static void counts_are(const struct latency *l, uint64_t n, double sum)
{
	const struct histogram *h = latency_histogram(l);

	assert_int_equal(histogram_count(h), n);
	if (fabs(h->sum - sum) > 1e-9)
		fail_msg("the sum is %f, not %f", h->sum, sum);
}

/* Stage by stage; before the state is given, another one's being there says nothing. */
static void a_change_is_followed_to_the_kernel(void **state)
{
	struct latency *l = latency_new();

	(void)state;
	latency_note(l, "a/web", NOW - 2 * S, NOW);
	settle(l, 'a', NOW);
	counts_are(l, 0, 0);
	latency_give(l, "a/web", false);
	settle(l, 'b', NOW + S);
	counts_are(l, 0, 0);
	settle(l, 'a', NOW + 2 * S);
	counts_are(l, 1, 4);
	settle(l, 'a', NOW + 3 * S);
	counts_are(l, 1, 4);
	latency_free(l);
}

static void the_first_of_several_counts(void **state)
{
	struct latency *l = latency_new();

	(void)state;
	latency_note(l, "a/web", NOW - S, NOW);
	latency_note(l, "a/web", NOW - 3 * S, NOW);
	latency_note(l, "a/web", NOW - 2 * S, NOW);
	latency_give(l, "a/web", false);
	/* This one goes with the next batch. */
	latency_note(l, "a/web", NOW, NOW);
	settle(l, 'a', NOW);
	counts_are(l, 1, 3);
	latency_give(l, "a/web", false);
	settle(l, 'a', NOW + S / 2);
	counts_are(l, 2, 3.5);
	/* Given again before the first was written: one batch, from the first on. */
	latency_note(l, "a/web", NOW, NOW);
	latency_give(l, "a/web", false);
	latency_note(l, "a/web", NOW + S, NOW + S);
	latency_give(l, "a/web", false);
	settle(l, 'a', NOW + 2 * S);
	counts_are(l, 3, 5.5);
	latency_free(l);
}

static void what_is_no_news_is_left_out(void **state)
{
	struct latency *l = latency_new();
	static const int64_t nonsense[] = {
		0, -1, NOW + 1, INT64_MAX, NOW - LATENCY_MAX_US - 1, 1
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(nonsense); i++) {
		latency_note(l, "a/web", nonsense[i], NOW);
		latency_give(l, "a/web", false);
	}
	/* The kernel has it already; the Service is gone; nobody noted anything. */
	latency_note(l, "a/same", NOW, NOW);
	latency_give(l, "a/same", true);
	latency_note(l, "a/gone", NOW, NOW);
	latency_give(l, "a/gone", false);
	latency_forget(l, "a/gone");
	latency_forget(l, "a/never");
	latency_give(l, "a/never", false);
	settle(l, 'a', NOW + S);
	counts_are(l, 0, 0);
	/* What was given before is still on its way when the next state changes nothing. */
	latency_note(l, "a/web", NOW, NOW);
	latency_give(l, "a/web", false);
	latency_give(l, "a/web", true);
	settle(l, 'a', NOW + S);
	counts_are(l, 1, 1);
	/* The clock was set back meanwhile. */
	latency_note(l, "a/web", NOW, NOW);
	latency_give(l, "a/web", false);
	settle(l, 'a', NOW - S);
	counts_are(l, 1, 1);
	latency_free(l);
	latency_free(NULL);
}

static void bounds_are_included(void **state)
{
	struct histogram h = { .sum = 0 }, sum = { .sum = 0 };

	(void)state;
	for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
		assert_true(i == 0 || histogram_bounds[i] > histogram_bounds[i - 1]);
		histogram_observe(&h, histogram_bounds[i]);
		assert_int_equal(h.counts[i], 1);
	}
	histogram_observe(&h, 0);
	assert_int_equal(h.counts[0], 2);
	histogram_observe(&h, 301);
	assert_int_equal(h.counts[HISTOGRAM_BOUNDS], 1);
	histogram_observe(&h, -0.001);
	histogram_observe(&h, (double)NAN);
	histogram_observe(&h, (double)INFINITY);
	assert_int_equal(histogram_count(&h), HISTOGRAM_BOUNDS + 2);
	histogram_add(&sum, &h);
	histogram_add(&sum, &h);
	assert_int_equal(histogram_count(&sum), 2 * (HISTOGRAM_BOUNDS + 2));
	assert_true(fabs(sum.sum - 2 * h.sum) < 1e-9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_change_is_followed_to_the_kernel),
		cmocka_unit_test(the_first_of_several_counts),
		cmocka_unit_test(what_is_no_news_is_left_out),
		cmocka_unit_test(bounds_are_included),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
