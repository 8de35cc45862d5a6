/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * What is told of an owner: since when it has the address, how it came to it and how long that
 * took; and what is lost on the way between two speakers.
 */
#include "unit.h"

#include <stdio.h>

#include <json-c/json.h>

#include "fairlead/mem.h"
#include "fairlead/member.h"
#include "fairlead/out.h"
#include "sim.h"
#include "speaker/announcement.h"
#include "speaker/moves.h"

static struct sim sim;

/* ---- causes ---- */

static void die(size_t a)
{
	(void)a;
	sim_kill(&sim, 0);
}

static void leave(size_t a)
{
	(void)a;
	sim_stop(&sim, 0, L2_STOP_YIELD);
}

static void is_not_eligible(size_t a)
{
	sim.nodes[0].wants[a].eligible = false;
	sim_publish(&sim, 0);
}

static void restart(size_t a)
{
	(void)a;
	sim_stop(&sim, 0, L2_STOP_RESTARTING);
	sim_run(&sim, 1000);
	sim_start(&sim, 0);
}

static void lose_the_api_server(size_t a)
{
	(void)a;
	sim_run(&sim, 15000);
	sim.nodes[0].view.view_fresh = false;
	sim_publish(&sim, 0);
}

static void belong_to_another(size_t a)
{
	for (size_t i = 1; i < 3; i++) {
		sim.nodes[i].wants[a].identity.since_us = 2000;
		sim.nodes[i].wants[a].identity.id[0] = 77;
		sim_publish(&sim, i);
	}
}

static void nothing(size_t a)
{
	(void)a;
}

/* For a while nobody may own it: who takes it then had no owner before him. */
static void wait_for_endpoints(size_t a)
{
	for (int eligible = 0; eligible < 2; eligible++) {
		for (size_t i = 0; i < 3; i++) {
			sim.nodes[i].wants[a].eligible = eligible;
			sim_publish(&sim, i);
		}
		sim_run(&sim, 5000);
	}
}

static const struct {
	const char *name;
	void (*happens)(size_t address);
	enum reason cause;
	int64_t least_ms, most_ms; /* that it took; -1: not known */
} causes[] = {
	{ "nothing", nothing, REASON_OwnerFirst, -1, -1 },
	{ "death", die, REASON_OwnerDied, 300, 450 },
	{ "farewell", leave, REASON_OwnerReleased, 0, 10 },
	{ "not eligible", is_not_eligible, REASON_OwnerReleased, 0, 10 },
	{ "restart", restart, REASON_OwnerResumed, -1, -1 },
	{ "no API server", lose_the_api_server, REASON_OwnerStale, -1, -1 },
	{ "another Service", belong_to_another, REASON_OwnerOutdated, -1, -1 },
	{ "no endpoints", wait_for_endpoints, REASON_OwnerFirst, -1, -1 },
};

/* An address that node 0 owns once all is quiet. */
static size_t settled(void)
{
	size_t a = 0;

	sim_init(&sim, 7, 3, 12);
	for (size_t i = 0; i < 3; i++)
		sim_start(&sim, i);
	sim_run(&sim, 4000);
	while (a < sim.n_addresses && sim_owner(&sim, a) != 0)
		a++;
	assert_true(a < sim.n_addresses);
	return a;
}

static void an_owner_tells_how_it_came_to_an_address(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(causes); i++) {
		size_t a = settled();
		causes[i].happens(a);
		sim_run(&sim, 8000);
		int owner = sim_owner(&sim, a);
		assert_true(owner >= 0);
		struct l2_state s = sim_state(&sim, (size_t)owner, a);
		if (s.cause != causes[i].cause || s.took_ms < causes[i].least_ms ||
		    s.took_ms > causes[i].most_ms)
			fail_msg("%s: cause %d, %lld ms", causes[i].name, (int)s.cause,
			         (long long)s.took_ms);
		/* Who does not own it knows since when, and not why. */
		size_t other = (size_t)(owner == 1 ? 2 : 1);
		struct l2_state seen = sim_state(&sim, other, a);
		assert_int_equal(seen.cause, REASON_COUNT);
		assert_in_range(seen.since_ms, 1, sim.now);
		sim_fini(&sim);
	}
}

/* Its peers remember what the speaker that restarted cannot know. */
static void since_when_outlasts_a_restart(void **state)
{
	(void)state;
	size_t a = settled();
	int64_t since_ms = sim_state(&sim, 1, a).since_ms;

	/* It hears of the owner a moment later. */
	assert_in_range(sim_state(&sim, 0, a).since_ms, since_ms - 10, since_ms);
	restart(a);
	sim_run(&sim, 8000);
	assert_int_equal(sim_owner(&sim, a), 0);
	assert_int_equal(sim_state(&sim, 1, a).since_ms, since_ms);
	assert_true(sim_state(&sim, 0, a).since_ms > since_ms);
	sim_fini(&sim);
}

/* ---- losses ---- */

static const struct {
	const char *heard; /* of the peer's messages: '#' heard, '.' lost */
	unsigned int lately;
	uint64_t lost;
} losses[] = {
	{ "####", 0, 0 },
	{ "#..#", 2, 2 },
	{ "#.#.#.#", 3, 3 },
	/* What was lost last shows when the next one comes. */
	{ "##..", 0, 0 },
	/* The window has moved on. */
	{ "#..################################################################", 0, 2 },
	/* A whole window without anything but the last one. */
	{ "#...................................................................#", 63, 67 },
};

/* A member that knows a peer of that name, and has heard its message 1. */
static struct member_peer *meet(struct member *m, struct member *peer)
{
	struct wire_msg msg = { 0 };
	struct member_peer *p = NULL;
	const struct member_options mo = {
		.node = "n1", .incarnation = 1, .heartbeat_ms = 70, .multiplier = 5
	};
	const struct member_options po = {
		.node = "n2", .incarnation = 2, .heartbeat_ms = 70, .multiplier = 5
	};

	member_init(m, &mo, 0);
	member_init(peer, &po, 0);
	struct member_peer *unused = NULL;
	member_beat(m, 0, &msg);
	member_receive(peer, 0, &msg, &unused);
	member_beat(peer, 1, &msg); /* it repeats what it has heard: a proof */
	assert_int_equal(member_receive(m, 1, &msg, &p), MEMBER_NEW);
	return p;
}

static void lost_messages_are_counted(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(losses); i++) {
		struct member m, peer;
		struct member_peer *p = meet(&m, &peer);
		for (const char *c = losses[i].heard + 1; *c; c++) {
			struct wire_msg msg = { 0 };
			member_beat(&peer, 2, &msg);
			if (*c == '#')
				assert_int_equal(member_receive(&m, 2, &msg, &p), MEMBER_BELIEVED);
		}
		assert_int_equal(member_lost_lately(p), losses[i].lately);
		assert_int_equal(p->n_lost, losses[i].lost);
		member_fini(&m);
		member_fini(&peer);
	}
}

/* ---- moves ---- */

static struct json_object *moves_json(const struct moves *m, int64_t now_ms)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;
	struct out o;

	out_init(&o, OUT_JSON, &text);
	out_object(&o, NULL);
	moves_put(m, now_ms, &o);
	out_close(&o);
	out_fini(&o);
	return json_tokener_parse(buf_str(&text));
}

static void the_last_moves_are_kept(void **state)
{
	(void)state;
	struct moves *m = moves_new();
	char key[] = "shop/web";

	for (int64_t i = 0; i < MOVES_KEPT + 5; i++) {
		struct announcement a = { .key = key,
			                  .cause = REASON_OwnerDied,
			                  .since_ms = 1000 + i,
			                  .took_ms = i == 0 ? -1 : i };
		moves_add(m, &a, "n2");
	}
	struct json_object *all = moves_json(m, 2000), *list;
	assert_true(json_object_object_get_ex(all, "moves", &list));
	assert_int_equal(json_object_array_length(list), MOVES_KEPT);
	struct json_object *first = json_object_array_get_idx(list, 0), *value;
	json_object_object_get_ex(first, "ago_ms", &value);
	assert_int_equal(json_object_get_int64(value), 1000 - (MOVES_KEPT + 4));
	json_object_object_get_ex(first, "cause", &value);
	assert_string_equal(json_object_get_string(value), "OwnerDied");
	json_object_put(all);
	/* Of the first it is not known. */
	assert_int_equal(histogram_count(moves_histogram(m)), MOVES_KEPT + 4);
	moves_free(m);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_owner_tells_how_it_came_to_an_address),
		cmocka_unit_test(since_when_outlasts_a_restart),
		cmocka_unit_test(lost_messages_are_counted),
		cmocka_unit_test(the_last_moves_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
