/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often a speaker asks whether the API server is there, and how soon it knows that it is not.
 */
#include "config.h"

#include "unit.h"

#include "fairlead/kube.h"
#include "speaker/feeds.h"
#include "speaker/pulse.h"

enum { SECOND = 1000, TICK_MS = 2 * SECOND };

static struct {
	struct speaker sp;
	int64_t now;
	int64_t heard[N_FEEDS]; /* when the watch of each kind last brought something */
	int every_ms[N_FEEDS];  /* and how often it does; 0: not */
	bool answers;           /* the server, when it is asked */
	unsigned int n_asked;
	kube_request_cb *cb; /* of the question under way */
	int64_t give_up_ms;
} scene;

int64_t __wrap_clock_ms(void);
struct kube_informer_stats __wrap_kube_informer_stats(const struct kube_informer *inf);
struct kube_request *__wrap_kube_request_start(struct kube_client *c,
                                               const struct kube_request_spec *spec,
                                               kube_request_cb *cb, void *arg);
void __wrap_speaker_schedule(struct speaker *sp);

int64_t __wrap_clock_ms(void)
{
	return scene.now;
}

/* A feed is here where its last word stands. */
struct kube_informer_stats __wrap_kube_informer_stats(const struct kube_informer *inf)
{
	return (struct kube_informer_stats){ .last_contact_ms =
		                                     *(const int64_t *)(const void *)inf };
}

struct kube_request *__wrap_kube_request_start(struct kube_client *c,
                                               const struct kube_request_spec *spec,
                                               kube_request_cb *cb, void *arg)
{
	(void)c, (void)arg;
	assert_string_equal(spec->path, "/version");
	scene.n_asked++;
	scene.cb = cb;
	scene.give_up_ms = scene.now + spec->timeout_ms;
	return (struct kube_request *)(void *)&scene;
}

void __wrap_speaker_schedule(struct speaker *sp)
{
	(void)sp;
}

static void step(void)
{
	scene.now += 100;
	for (int i = 0; i < N_FEEDS; i++)
		if (scene.every_ms[i] && scene.now % scene.every_ms[i] == 0)
			scene.heard[i] = scene.now;
	if (scene.cb && (scene.answers || scene.now >= scene.give_up_ms)) {
		kube_request_cb *cb = scene.cb;
		scene.cb = NULL;
		cb(scene.answers ? 200 : 0, NULL, NULL, &scene.sp);
	}
	if (scene.now % TICK_MS == 0)
		speaker_pulse(&scene.sp);
}

/* How often the server was asked in that time. */
static unsigned int run_for(int ms, bool fresh)
{
	unsigned int before = scene.n_asked;

	for (int64_t until = scene.now + ms; scene.now < until;) {
		step();
		if (fresh && !speaker_is_fresh(&scene.sp))
			fail_msg("not fresh at %lld ms", (long long)scene.now);
	}
	return scene.n_asked - before;
}

static void begin(void)
{
	memset(&scene, 0, sizeof(scene));
	scene.now = 1000 * SECOND;
	scene.answers = true;
	for (int i = 0; i < N_FEEDS; i++) {
		scene.heard[i] = scene.now;
		scene.sp.feeds[i] = (struct kube_informer *)(void *)&scene.heard[i];
	}
}

static void bookmarks(void)
{
	for (int i = 0; i < N_FEEDS; i++)
		scene.every_ms[i] = 60 * SECOND;
}

static void where_nothing_happens_it_asks_every_four_seconds(void **state)
{
	(void)state;
	begin();
	bookmarks();
	assert_in_range(run_for(80 * SECOND, true), 18, 20);
}

/* In a cluster of some size Nodes change all the time, and Services and endpoints do not. */
static void what_any_watch_brings_is_answer_enough(void **state)
{
	(void)state;
	for (int i = 0; i < N_FEEDS; i++) {
		begin();
		bookmarks();
		scene.every_ms[i] = 2 * SECOND;
		assert_int_equal(run_for(200 * SECOND, true), 0);
	}
}

static void a_server_that_is_gone_is_missed_in_nine_seconds(void **state)
{
	(void)state;
	for (int busy = 0; busy <= 1; busy++) {
		begin();
		bookmarks();
		scene.every_ms[FEED_NODES] = busy ? SECOND : 60 * SECOND;
		run_for(61 * SECOND, true);
		memset(scene.every_ms, 0, sizeof(scene.every_ms));
		scene.answers = false;
		run_for(9 * SECOND, false);
		assert_false(speaker_is_fresh(&scene.sp));
		scene.answers = true;
		run_for(7 * SECOND, false);
		assert_true(speaker_is_fresh(&scene.sp));
	}
}

/* A watch that alone is dead is not made up for by the others, nor by answers. */
static void a_dead_watch_is_missed_in_a_minute_and_a_half(void **state)
{
	(void)state;
	begin();
	bookmarks();
	scene.every_ms[FEED_NODES] = SECOND;
	scene.every_ms[FEED_SLICES] = 0;
	run_for(89 * SECOND, true);
	run_for(2 * SECOND, false);
	assert_false(speaker_is_fresh(&scene.sp));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(where_nothing_happens_it_asks_every_four_seconds),
		cmocka_unit_test(what_any_watch_brings_is_answer_enough),
		cmocka_unit_test(a_server_that_is_gone_is_missed_in_nine_seconds),
		cmocka_unit_test(a_dead_watch_is_missed_in_a_minute_and_a_half),
	};

	return cmocka_run_group_tests_name("pulse", tests, NULL, NULL);
}
