/* SPDX-License-Identifier: Apache-2.0 */
/* Large Services are built one slice in a turn of the event loop, and nobody waits for another. */
#include "config.h"

#include "unit.h"

#include <event2/event.h>

#include "fairlead/forward.h"
#include "speaker/large.h"

static struct {
	struct event_base *base;
	struct large *large;
	char steps[64]; /* whose each was */
	size_t n_steps;
	size_t to_go[2];    /* of "a" and "b": steps of the pass under way */
	const char *set_at; /* in a step of this one it is set again, once */
	bool restless;      /* and in each step of all */
	bool busy, held;    /* steps are put off; nothing is passed on */
	uint64_t need;
	unsigned int n_arrived;
} w;

#define STEPS 3

static enum large_step step(const char *key, struct forward_ports *ports, size_t max, void *arg)
{
	size_t *to_go = &w.to_go[*key - 'a'];

	(void)arg;
	assert_non_null(ports);
	assert_int_equal(max, LARGE_SLICE);
	assert_true(large_is_due(w.large, key));
	if (w.busy)
		return LARGE_NOT_NOW;
	w.steps[w.n_steps++] = *key;
	if (w.restless || (w.set_at && *w.set_at == *key)) {
		w.set_at = NULL;
		large_set(w.large, key, w.need);
	}
	if (w.held)
		return LARGE_LET_GO;
	if (--*to_go > 0)
		return LARGE_GOES_ON;
	*to_go = STEPS;
	return LARGE_PASSED_ON;
}

static void arrived(void *arg)
{
	(void)arg;
	w.n_arrived++;
}

static void begin(void)
{
	static const struct large_ops ops = { .step = step, .arrived = arrived };

	memset(&w, 0, sizeof(w));
	w.to_go[0] = w.to_go[1] = STEPS;
	w.base = event_base_new();
	w.large = large_new(w.base, &ops, NULL);
}

static void end(void)
{
	large_free(w.large);
	event_base_free(w.base);
}

/* Until nothing is due; each turn has one step at most. */
static void run(void)
{
	while (large_any_due(w.large)) {
		size_t n = w.n_steps;
		event_base_loop(w.base, EVLOOP_ONCE);
		assert_true(w.n_steps <= n + 1);
	}
	event_base_loop(w.base, EVLOOP_NONBLOCK);
}

static void one_after_another(void **state)
{
	(void)state;
	begin();
	large_set(w.large, "a", 0);
	large_set(w.large, "b", 0);
	assert_int_equal(w.n_steps, 0);
	run();
	assert_string_equal(w.steps, "aaabbb");
	assert_false(large_is_due(w.large, "a"));
	assert_true(large_suffices(w.large, "a"));
	assert_int_equal(w.n_arrived, 0);
	end();
}

/* Whoever changes all the time comes to an end each time, and the others come in between. */
static void what_changes_meanwhile_is_built_once_more(void **state)
{
	(void)state;
	begin();
	large_set(w.large, "a", 0);
	large_set(w.large, "b", 0);
	w.set_at = "a";
	run();
	assert_string_equal(w.steps, "aaabbbaaa");
	large_set(w.large, "b", 0);
	large_set(w.large, "b", 0);
	assert_true(large_is_due(w.large, "b"));
	run();
	assert_string_equal(w.steps, "aaabbbaaabbbbbb");
	end();
}

/* So many turns, which may never come to an end by themselves. */
static void turns(size_t n)
{
	for (size_t i = 0; i < n; i++)
		event_base_loop(w.base, EVLOOP_ONCE);
}

/* One first pass of each that is due is waited for, whatever is due again by then. */
static void whoever_never_rests_is_waited_for_once(void **state)
{
	(void)state;
	begin();
	w.restless = true;
	large_set(w.large, "a", 0);
	large_set(w.large, "b", 0);
	assert_true(large_await(w.large));
	turns(2 * STEPS - 1);
	assert_string_equal(w.steps, "aaabb");
	assert_int_equal(w.n_arrived, 0);
	turns(1);
	assert_int_equal(w.n_arrived, 1);
	assert_true(large_any_due(w.large));
	/* Whoever was passed on already is not waited for. */
	assert_false(large_await(w.large));
	turns(2 * STEPS);
	assert_int_equal(w.n_arrived, 1);
	end();
}

static void whoever_is_let_go_is_not_waited_for(void **state)
{
	(void)state;
	begin();
	w.held = true;
	large_set(w.large, "a", 0);
	assert_true(large_await(w.large));
	run();
	assert_int_equal(w.n_arrived, 1);
	/* Nor was it passed on. */
	w.held = false;
	large_set(w.large, "a", 0);
	assert_false(large_suffices(w.large, "a"));
	run();
	assert_true(large_suffices(w.large, "a"));
	end();
}

static void whoever_is_gone_is_waited_for_by_nobody(void **state)
{
	(void)state;
	begin();
	large_set(w.large, "a", 0);
	assert_true(large_await(w.large));
	large_drop(w.large, "a");
	large_drop(w.large, "b");
	assert_false(large_any_due(w.large));
	turns(1);
	assert_int_equal(w.n_steps, 0);
	assert_int_equal(w.n_arrived, 1);
	assert_false(large_await(w.large));
	large_set(w.large, "b", 0);
	end();
}

/* What was passed on suffices while another pass is due, unless more is needed by now. */
static void whoever_never_rests_has_enough_at_times(void **state)
{
	(void)state;
	begin();
	w.restless = true;
	w.need = 1;
	assert_true(large_all_suffice(w.large));
	large_set(w.large, "a", 1);
	assert_false(large_suffices(w.large, "a"));
	assert_false(large_all_suffice(w.large));
	turns(STEPS);
	assert_true(large_is_due(w.large, "a"));
	assert_true(large_suffices(w.large, "a"));
	assert_true(large_all_suffice(w.large));
	/* A pass that began before is not enough. */
	turns(1);
	w.need = 2;
	turns(1);
	assert_false(large_suffices(w.large, "a"));
	turns(STEPS - 2);
	assert_false(large_suffices(w.large, "a"));
	turns(STEPS);
	assert_true(large_is_due(w.large, "a"));
	assert_true(large_suffices(w.large, "a"));
	end();
}

/* Where each turn finds a reason to put the step off, it is made in between. */
static void what_is_put_off_goes_on_in_between(void **state)
{
	(void)state;
	begin();
	large_set(w.large, "a", 0);
	for (size_t i = 0; i < STEPS; i++) {
		w.busy = true;
		turns(1);
		assert_int_equal(w.n_steps, i);
		w.busy = false;
		large_go_on(w.large);
		large_go_on(w.large); /* one step is enough */
		assert_int_equal(w.n_steps, i + 1);
	}
	assert_false(large_any_due(w.large));
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_after_another),
		cmocka_unit_test(what_changes_meanwhile_is_built_once_more),
		cmocka_unit_test(whoever_never_rests_is_waited_for_once),
		cmocka_unit_test(whoever_is_let_go_is_not_waited_for),
		cmocka_unit_test(whoever_never_rests_has_enough_at_times),
		cmocka_unit_test(what_is_put_off_goes_on_in_between),
		cmocka_unit_test(whoever_is_gone_is_waited_for_by_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
