/* SPDX-License-Identifier: Apache-2.0 */
/* What an earlier life left in other places, which are made up here, goes once all is in force. */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include <event2/event.h>

#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "proxy/takeover.h"

#define RETRY_MS 5

/* Somewhere in a kernel: looked at by the loop, cleaned by threads. */
struct ground {
	atomic_int has_ours, failures, cleaned, turn;
};

static struct ground grounds[2];
static struct event_base *base;
static bool settled;
static int n_done, n_failed, n_asked;
static atomic_int turns;

static bool has_ours(const void *what)
{
	const struct ground *g = what;

	return g->has_ours;
}

static int clean(const void *what, struct err *e)
{
	struct ground *g = (struct ground *)what;

	if (g->failures > 0) {
		g->failures--;
		return err_set(e, -EBUSY, ERR_SYSTEM, "locked");
	}
	g->has_ours = 0;
	g->cleaned++;
	g->turn = ++turns;
	return 0;
}

static const struct place places[] = {
	{ "first", &grounds[0], has_ours, clean },
	{ "second", &grounds[1], has_ours, clean },
};
static const struct place *const all[] = { &places[0], &places[1] };

static bool is_settled(void *arg)
{
	(void)arg;
	n_asked++;
	return settled;
}

static void failed(const struct err *e, void *arg)
{
	(void)arg;
	assert_string_equal(e->msg, "locked");
	n_failed++;
}

static void done(void *arg)
{
	(void)arg;
	n_done++;
}

static struct takeover *begin(bool first, bool second)
{
	static const struct takeover_ops ops = { is_settled, failed, done };

	for (size_t i = 0; i < ARRAY_LEN(grounds); i++)
		grounds[i] = (struct ground){ .cleaned = 0 };
	grounds[0].has_ours = first;
	grounds[1].has_ours = second;
	settled = false;
	n_done = n_failed = 0;
	return takeover_new(base, all, ARRAY_LEN(all), RETRY_MS, &ops, NULL);
}

static void run_until_done(const struct takeover *t)
{
	while (!takeover_is_done(t))
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
}

static void nothing_goes_before_all_is_in_force(void **state)
{
	(void)state;
	struct takeover *t = begin(true, true);
	takeover_run(t);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(grounds[0].cleaned + grounds[1].cleaned, 0);
	assert_false(takeover_is_done(t));
	settled = true;
	takeover_run(t);
	takeover_run(t); /* one at a time */
	run_until_done(t);
	assert_int_equal(grounds[0].cleaned, 1);
	assert_int_equal(grounds[1].cleaned, 1);
	assert_true(grounds[0].turn < grounds[1].turn); /* what leads to another goes first */
	assert_int_equal(n_done, 1);
	assert_int_equal(n_failed, 0);
	takeover_free(t);
}

static void where_nothing_is_nothing_is_cleaned(void **state)
{
	(void)state;
	struct takeover *t = begin(false, false);
	settled = true;
	assert_true(takeover_is_done(t));
	takeover_run(t);
	assert_int_equal(grounds[0].cleaned + grounds[1].cleaned, 0);
	assert_int_equal(n_done, 0); /* which is no news */
	takeover_free(t);
}

static void what_fails_is_tried_again(void **state)
{
	(void)state;
	struct takeover *t = begin(true, true);
	grounds[1].failures = 2;
	settled = true;
	takeover_run(t);
	run_until_done(t);
	assert_int_equal(n_failed, 2);
	assert_int_equal(grounds[0].cleaned, 1);
	assert_int_equal(grounds[1].cleaned, 1);
	assert_int_equal(n_done, 1);
	takeover_free(t);
}

static void it_may_be_let_go_of_at_any_time(void **state)
{
	(void)state;
	struct takeover *t = begin(true, false);
	settled = true;
	takeover_run(t);
	takeover_free(t);
	/* The thread ends by itself. */
	while (!grounds[0].cleaned)
		usleep(1000);
	assert_int_equal(event_base_loop(base, EVLOOP_NONBLOCK), 1);
	assert_int_equal(n_done, 0);

	/* Also while it waits to try again, of which nothing is left. */
	t = begin(true, false);
	grounds[0].failures = 1;
	settled = true;
	takeover_run(t);
	while (n_failed == 0)
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	n_asked = 0;
	takeover_run(t);
	assert_int_equal(n_asked, 0);
	takeover_free(t);
	assert_int_equal(event_base_loop(base, EVLOOP_NONBLOCK), 1);
	assert_int_equal(grounds[0].cleaned, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_goes_before_all_is_in_force),
		cmocka_unit_test(where_nothing_is_nothing_is_cleaned),
		cmocka_unit_test(what_fails_is_tried_again),
		cmocka_unit_test(it_may_be_let_go_of_at_any_time),
	};

	log_set_level(LOG_ERROR);
	base = event_base_new();
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	event_base_free(base);
	return r;
}
