/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include "fairlead/mem.h"
#include "kube/lease_fsm.h"

/*
 * The election in virtual time: a table of scripts over one machine, then several machines over one
 * lease with every kind of bad luck, of which only the promises are checked.
 */

static const struct lease_timing timing = LEASE_TIMING_DEFAULT;

static struct lease_record record_of(const char *holder, int renewed)
{
	struct lease_record r = { .duration_s = 15, .transitions = 4 };

	snprintf(r.holder, sizeof(r.holder), "%s", holder);
	snprintf(r.renewed, sizeof(r.renewed), "%d", renewed);
	return r;
}

struct step {
	int64_t now;
	enum lease_seen seen;
	const char *holder; /* of the record that was read or written */
	int renewed;
	enum lease_request request; /* what must come out */
	const char *flags;          /* "started", "stopped", "observed", "acquire": first letters */
	int64_t again;              /* 0: not checked */
	bool at_stake;
	int duration_s; /* of the record; 0: 15 */
};

#define END        \
	{          \
		-1 \
	}

static void run_script(const char *name, const struct step *steps)
{
	struct lease_fsm f;

	lease_fsm_init(&f, "me", timing);
	for (; steps->now >= 0; steps++) {
		struct lease_record r =
			record_of(steps->holder ? steps->holder : "", steps->renewed);
		const struct lease_observation o = { steps->seen, &r, 0, steps->at_stake };
		if (steps->duration_s)
			r.duration_s = steps->duration_s < 0 ? 0 : steps->duration_s;
		struct lease_action a = lease_step(&f, steps->now, &o);
		char flags[8];
		snprintf(flags, sizeof(flags), "%s%s%s%s", a.started ? "s" : "",
		         a.stopped ? "x" : "", a.observed ? "o" : "", a.acquire ? "a" : "");
		if (a.request != steps->request || strcmp(flags, steps->flags) != 0 ||
		    (steps->again && a.again_ms != steps->again))
			fail_msg("%s at %lld: request %d, flags %s, again at %lld", name,
			         (long long)steps->now, a.request, flags, (long long)a.again_ms);
	}
}

static void scripts(void **state)
{
	(void)state;
	static const struct step first_ever[] = {
		{ 0, LEASE_TICK, NULL, 0, LEASE_GET, "", INT64_MAX },
		{ 5, LEASE_MISSING, NULL, 0, LEASE_CREATE, "a", INT64_MAX },
		{ 9, LEASE_WRITTEN, "me", 1, LEASE_NOTHING, "so", 2009 },
		/* Renewals are one write each, without a look. */
		{ 2009, LEASE_TICK, NULL, 0, LEASE_UPDATE, "", 10005 },
		{ 2012, LEASE_WRITTEN, "me", 2, LEASE_NOTHING, "", 4012 },
		END,
	};
	static const struct step standby_takes_over[] = {
		{ 0, LEASE_TICK, NULL, 0, LEASE_GET, "", 0 },
		{ 1, LEASE_READ, "other", 1, LEASE_NOTHING, "o", 2001 },
		{ 2001, LEASE_TICK, NULL, 0, LEASE_GET, "", 0 },
		{ 2002, LEASE_READ, "other", 2, LEASE_NOTHING, "", 4002 },
		/*
		 * Silence from here: its time runs out 15 s after its record last changed, by our
		 * clock.
		 */
		{ 16500, LEASE_TICK, NULL, 0, LEASE_GET, "", 0 },
		{ 16501, LEASE_READ, "other", 2, LEASE_NOTHING, "", 17002 },
		{ 17002, LEASE_TICK, NULL, 0, LEASE_GET, "", 0 },
		{ 17003, LEASE_READ, "other", 2, LEASE_UPDATE, "a", 0 },
		/* Held, but what the other sent may still take effect for 3 s. */
		{ 17005, LEASE_WRITTEN, "me", 3, LEASE_NOTHING, "o", 19005 },
		{ 19005, LEASE_TICK, NULL, 0, LEASE_UPDATE, "", 20002 },
		{ 19006, LEASE_WRITTEN, "me", 4, LEASE_NOTHING, "", 20002 },
		{ 20002, LEASE_TICK, NULL, 0, LEASE_NOTHING, "s", 21006 },
		END,
	};
	static const struct step released_lease_is_taken_at_once[] = {
		{ 0, LEASE_TICK, NULL, 0, LEASE_GET, "", 0 },
		{ 1, LEASE_READ, "", 1, LEASE_UPDATE, "oa", 0, true, LEASE_RELEASED_S },
		{ 2, LEASE_WRITTEN, "me", 2, LEASE_NOTHING, "so", 2002, true },
		END,
	};
	/*
	 * Whoever made it may have deleted that of a leader, who learns of it with the next
	 * renewal.
	 */
	static const struct step created_lease_is_not_yet_power[] = {
		{ 0, LEASE_TICK, NULL, 0, LEASE_GET, "", 0, true },
		{ 5, LEASE_MISSING, NULL, 0, LEASE_CREATE, "a", 0, true },
		{ 9, LEASE_WRITTEN, "me", 1, LEASE_NOTHING, "o", 2009, true },
		{ 9000, LEASE_TICK, NULL, 0, LEASE_UPDATE, "", 0, true },
		{ 9001, LEASE_WRITTEN, "me", 2, LEASE_NOTHING, "", 11001, true },
		{ 17000, LEASE_TICK, NULL, 0, LEASE_UPDATE, "", 18005, true },
		{ 17001, LEASE_WRITTEN, "me", 3, LEASE_NOTHING, "", 18005, true },
		{ 18004, LEASE_TICK, NULL, 0, LEASE_NOTHING, "", 18005, true },
		{ 18005, LEASE_TICK, NULL, 0, LEASE_NOTHING, "s", 19001, true },
		END,
	};
	static const struct step waits_for_nothing_where_nothing_is_at_stake[] = {
		{ 0, LEASE_TICK, NULL, 0, LEASE_GET, "", 0, true },
		{ 5, LEASE_MISSING, NULL, 0, LEASE_CREATE, "a", 0, true },
		{ 9, LEASE_WRITTEN, "me", 1, LEASE_NOTHING, "o", 2009, true },
		{ 100, LEASE_TICK, NULL, 0, LEASE_NOTHING, "s", 2009, false },
		END,
	};
	static const struct step emptied_by_hand[] = {
		{ 0, LEASE_TICK, NULL, 0, LEASE_GET, "", 0, true },
		{ 1, LEASE_READ, "", 1, LEASE_UPDATE, "oa", 0, true },
		{ 2, LEASE_WRITTEN, "me", 2, LEASE_NOTHING, "o", 2002, true },
		{ 2002, LEASE_TICK, NULL, 0, LEASE_UPDATE, "", 0, true },
		{ 2003, LEASE_WRITTEN, "me", 3, LEASE_NOTHING, "", 4003, true },
		{ 4003, LEASE_TICK, NULL, 0, LEASE_UPDATE, "", 0, true },
		{ 4004, LEASE_WRITTEN, "me", 4, LEASE_NOTHING, "", 6004, true },
		{ 12000, LEASE_TICK, NULL, 0, LEASE_UPDATE, "", 0, true },
		{ 12001, LEASE_WRITTEN, "me", 5, LEASE_NOTHING, "", 14001, true },
		{ 14001, LEASE_TICK, NULL, 0, LEASE_UPDATE, "", 18001, true },
		{ 14002, LEASE_WRITTEN, "me", 6, LEASE_NOTHING, "", 16002, true },
		{ 18000, LEASE_TICK, NULL, 0, LEASE_UPDATE, "", 0, true },
		{ 18001, LEASE_WRITTEN, "me", 7, LEASE_NOTHING, "s", 0, true },
		END,
	};
	/*
	 * Another's record says that it lasts for no time: it is taken, and its holder's time
	 * waited out all the same.
	 */
	static const struct step shortened_by_hand[] = {
		{ 0, LEASE_TICK, NULL, 0, LEASE_GET, "", 0, true },
		{ 1, LEASE_READ, "other", 1, LEASE_UPDATE, "oa", 0, true, -1 },
		{ 2, LEASE_WRITTEN, "me", 2, LEASE_NOTHING, "o", 2002, true },
		{ 9000, LEASE_TICK, NULL, 0, LEASE_UPDATE, "", 0, true },
		{ 9001, LEASE_WRITTEN, "me", 3, LEASE_NOTHING, "", 11001, true },
		{ 18000, LEASE_TICK, NULL, 0, LEASE_UPDATE, "", 0, true },
		{ 18001, LEASE_WRITTEN, "me", 4, LEASE_NOTHING, "s", 0, true },
		END,
	};
	/* A leader whose Lease was deleted makes it again, if nobody was faster, and goes on. */
	static const struct step deleted_under_a_leader[] = {
		{ 0, LEASE_TICK, NULL, 0, LEASE_GET, "", 0 },
		{ 1, LEASE_MISSING, NULL, 0, LEASE_CREATE, "a", 0 },
		{ 2, LEASE_WRITTEN, "me", 1, LEASE_NOTHING, "so", 0 },
		{ 2002, LEASE_TICK, NULL, 0, LEASE_UPDATE, "", 0, true },
		{ 2003, LEASE_CONFLICT, NULL, 0, LEASE_GET, "", 0, true },
		{ 2004, LEASE_MISSING, NULL, 0, LEASE_CREATE, "a", 0, true },
		{ 2005, LEASE_WRITTEN, "me", 2, LEASE_NOTHING, "", 4005, true },
		END,
	};
	static const struct step leader_that_cannot_renew_stops[] = {
		{ 0, LEASE_TICK, NULL, 0, LEASE_GET, "", 0 },
		{ 1, LEASE_MISSING, NULL, 0, LEASE_CREATE, "a", 0 },
		{ 2, LEASE_WRITTEN, "me", 1, LEASE_NOTHING, "so", 0 },
		{ 2002, LEASE_TICK, NULL, 0, LEASE_UPDATE, "", 0 },
		{ 7002, LEASE_FAILED, NULL, 0, LEASE_NOTHING, "", 9002 },
		{ 9002, LEASE_TICK, NULL, 0, LEASE_UPDATE, "", 10001 },
		/* 10 s after it *sent* the last write that went through. */
		{ 10001, LEASE_TICK, NULL, 0, LEASE_NOTHING, "x", INT64_MAX },
		/*
		 * The write went through after all: it may go on once its former writes are over.
		 */
		{ 10500, LEASE_FAILED, NULL, 0, LEASE_NOTHING, "", 12500 },
		{ 12500, LEASE_TICK, NULL, 0, LEASE_GET, "", 0 },
		{ 12501, LEASE_READ, "me", 2, LEASE_UPDATE, "", 0 },
		{ 12502, LEASE_WRITTEN, "me", 3, LEASE_NOTHING, "", 14502 },
		{ 14502, LEASE_TICK, NULL, 0, LEASE_UPDATE, "", 15501 },
		{ 14503, LEASE_WRITTEN, "me", 4, LEASE_NOTHING, "", 15501 },
		{ 15501, LEASE_TICK, NULL, 0, LEASE_NOTHING, "s", 0 },
		END,
	};
	static const struct step leader_that_slept_stops_first[] = {
		{ 0, LEASE_TICK, NULL, 0, LEASE_GET, "", 0 },
		{ 1, LEASE_MISSING, NULL, 0, LEASE_CREATE, "a", 0 },
		{ 2, LEASE_WRITTEN, "me", 1, LEASE_NOTHING, "so", 0 },
		{ 2002, LEASE_TICK, NULL, 0, LEASE_UPDATE, "", 0 },
		/* Even the answer to its renewal comes too late. */
		{ 60000, LEASE_WRITTEN, "me", 2, LEASE_NOTHING, "x", 62000 },
		{ 62000, LEASE_TICK, NULL, 0, LEASE_GET, "", 0 },
		{ 62001, LEASE_READ, "other", 9, LEASE_NOTHING, "o", 64001 },
		END,
	};
	static const struct step leader_that_was_replaced_stops[] = {
		{ 0, LEASE_TICK, NULL, 0, LEASE_GET, "", 0 },
		{ 1, LEASE_MISSING, NULL, 0, LEASE_CREATE, "a", 0 },
		{ 2, LEASE_WRITTEN, "me", 1, LEASE_NOTHING, "so", 0 },
		{ 2002, LEASE_TICK, NULL, 0, LEASE_UPDATE, "", 0 },
		{ 2003, LEASE_CONFLICT, NULL, 0, LEASE_GET, "", 0 },
		{ 2004, LEASE_READ, "other", 7, LEASE_NOTHING, "xo", 4004 },
		END,
	};
	static const struct step harmless_conflict[] = {
		{ 0, LEASE_TICK, NULL, 0, LEASE_GET, "", 0 },
		{ 1, LEASE_MISSING, NULL, 0, LEASE_CREATE, "a", 0 },
		{ 2, LEASE_WRITTEN, "me", 1, LEASE_NOTHING, "so", 0 },
		{ 2002, LEASE_TICK, NULL, 0, LEASE_UPDATE, "", 0 },
		{ 2003, LEASE_CONFLICT, NULL, 0, LEASE_GET, "", 0 },
		{ 2004, LEASE_READ, "me", 1, LEASE_UPDATE, "", 0 },
		/*
		 * Refused again: no hurry, or a server that refuses all would be asked without end.
		 */
		{ 2005, LEASE_CONFLICT, NULL, 0, LEASE_NOTHING, "", 4005 },
		{ 4005, LEASE_TICK, NULL, 0, LEASE_GET, "", 0 },
		{ 4006, LEASE_READ, "me", 1, LEASE_UPDATE, "", 0 },
		{ 4007, LEASE_WRITTEN, "me", 2, LEASE_NOTHING, "", 6007 },
		{ 6007, LEASE_TICK, NULL, 0, LEASE_UPDATE, "", 0 },
		END,
	};
	static const struct step deleted_while_another_led[] = {
		{ 0, LEASE_TICK, NULL, 0, LEASE_GET, "", 0 },
		{ 1, LEASE_READ, "other", 1, LEASE_NOTHING, "o", 2001 },
		{ 2001, LEASE_TICK, NULL, 0, LEASE_GET, "", 0 },
		{ 2002, LEASE_MISSING, NULL, 0, LEASE_CREATE, "a", 0 },
		{ 2003, LEASE_WRITTEN, "me", 2, LEASE_NOTHING, "o", 4003 },
		{ 18000, LEASE_TICK, NULL, 0, LEASE_GET, "", 0 },
		END,
	};
	run_script("first ever", first_ever);
	run_script("standby takes over", standby_takes_over);
	run_script("released", released_lease_is_taken_at_once);
	run_script("created", created_lease_is_not_yet_power);
	run_script("nothing at stake", waits_for_nothing_where_nothing_is_at_stake);
	run_script("emptied", emptied_by_hand);
	run_script("shortened", shortened_by_hand);
	run_script("deleted under a leader", deleted_under_a_leader);
	run_script("cannot renew", leader_that_cannot_renew_stops);
	run_script("slept", leader_that_slept_stops_first);
	run_script("replaced", leader_that_was_replaced_stops);
	run_script("harmless conflict", harmless_conflict);
	run_script("deleted", deleted_while_another_led);
}

static void writes_end_before_the_lease(void **state)
{
	(void)state;
	struct lease_fsm f;
	struct lease_timing t = {
		.duration_s = 15, .renew_ms = 14000, .retry_ms = 2000, .effect_ms = 3000
	};
	struct lease_record r = record_of("me", 1);
	lease_fsm_init(&f, "me", t);
	assert_false(lease_fsm_may_write(&f, 0));
	lease_step(&f, 1000, &(struct lease_observation){ LEASE_TICK, NULL, 0 });
	lease_step(&f, 1000, &(struct lease_observation){ LEASE_MISSING, NULL, 0 });
	assert_false(lease_fsm_may_write(&f, 1000));
	lease_step(&f, 1500, &(struct lease_observation){ LEASE_WRITTEN, &r, 0 });
	/* Counted from the moment of sending, 1000. */
	assert_true(lease_fsm_may_write(&f, 12999));
	assert_false(lease_fsm_may_write(&f, 13000));
}

/* ---- several machines, one lease ---- */

#define MACHINES 3

struct machine {
	struct lease_fsm fsm;
	int64_t tick_at;
	bool flying; /* a request, and then its answer */
	enum lease_request what;
	bool acquire;
	int expected_version; /* of the optimistic write */
	int64_t arrives_at, answers_at;
	bool arrived, lost_request, lost_answer;
	struct lease_observation answer;
	struct lease_record answer_record;
	int64_t frozen_until;
	/* of an effect that leadership allows; it lands up to effect_ms later */
	int64_t last_write_ms;
};

struct sim {
	uint64_t seed;
	struct machine m[MACHINES];
	bool exists;
	struct lease_record record;
	int version, renewals;
};

static uint64_t chance(struct sim *s)
{
	s->seed ^= s->seed << 13;
	s->seed ^= s->seed >> 7;
	s->seed ^= s->seed << 17;
	return s->seed;
}

static void server_receives(struct sim *s, struct machine *m)
{
	m->arrived = true;
	m->answer = (struct lease_observation){ LEASE_FAILED, &m->answer_record, chance(s), true };
	if (m->lost_request)
		return;
	if (m->what == LEASE_GET) {
		m->answer.seen = s->exists ? LEASE_READ : LEASE_MISSING;
	} else if (m->what == LEASE_CREATE ? s->exists : m->expected_version != s->version) {
		m->answer.seen = LEASE_CONFLICT;
	} else {
		s->exists = true;
		s->version++;
		s->record = record_of(m->fsm.identity, ++s->renewals);
		m->answer.seen = LEASE_WRITTEN;
	}
	m->answer_record = s->record;
	snprintf(m->answer_record.version, sizeof(m->answer_record.version), "%d", s->version);
	if (m->lost_answer)
		m->answer.seen = LEASE_FAILED;
}

static void step_machine(struct sim *s, struct machine *m, int64_t now,
                         const struct lease_observation *o)
{
	struct lease_action a = lease_step(&m->fsm, now, o);

	m->tick_at = a.again_ms;
	if (a.request == LEASE_NOTHING)
		return;
	bool bad_luck = chance(s) % 4 == 0;
	m->flying = true;
	m->arrived = false;
	m->what = a.request;
	m->expected_version = atoi(m->fsm.record.version);
	m->lost_request = bad_luck && chance(s) % 2;
	m->lost_answer = bad_luck && chance(s) % 2;
	m->arrives_at = now + (int64_t)(chance(s) % 20);
	m->answers_at = m->arrives_at + (int64_t)(bad_luck ? chance(s) % 5000 : chance(s) % 20);
}

/* Somebody deletes the Lease, or clears its holder. */
static void vandalize(struct sim *s)
{
	s->version++;
	if (chance(s) % 2)
		s->exists = false;
	else
		s->record = record_of("", s->renewals);
}

static void simulate(uint64_t seed, bool vandals, int64_t *ret_led_ms)
{
	static const char *const names[MACHINES] = { "a", "b", "c" };
	struct sim s = { .seed = seed };
	for (int i = 0; i < MACHINES; i++)
		lease_fsm_init(&s.m[i].fsm, names[i], timing);
	for (int64_t now = 0; now < 600000; now += 10) {
		int writers = 0;
		if (vandals && chance(&s) % 3000 == 0)
			vandalize(&s);
		for (int i = 0; i < MACHINES; i++) {
			struct machine *m = &s.m[i];
			if (m->flying && !m->arrived && now >= m->arrives_at)
				server_receives(&s, m);
			/* Stopped for up to 40 s now and then, as by SIGSTOP. */
			if (now < m->frozen_until)
				continue;
			if (chance(&s) % 5000 == 0) {
				m->frozen_until = now + (int64_t)(chance(&s) % 40000);
				continue;
			}
			if (lease_fsm_may_write(&m->fsm, now)) {
				m->last_write_ms = now;
				writers++;
				/* Nobody else's write may still be on its way to taking effect. */
				for (int j = 0; j < MACHINES; j++)
					if (j != i && s.m[j].last_write_ms &&
					    now < s.m[j].last_write_ms + timing.effect_ms)
						fail_msg(
							"seed %llu at %lld: %s writes on top of %s",
							(unsigned long long)seed, (long long)now,
							names[i], names[j]);
			}
			if (m->flying && m->arrived && now >= m->answers_at) {
				m->flying = false;
				step_machine(&s, m, now, &m->answer);
			} else if (now >= m->tick_at) {
				step_machine(&s, m, now,
				             &(struct lease_observation){ LEASE_TICK, NULL,
				                                          chance(&s), true });
			}
		}
		assert_true(writers <= 1);
		*ret_led_ms += writers ? 10 : 0;
	}
}

static void never_two_leaders(void **state)
{
	(void)state;
	int64_t led_ms = 0;
	const int runs = 40;
	for (int i = 1; i <= runs; i++)
		simulate((uint64_t)i * 0x9e3779b97f4a7c15u, false, &led_ms);
	/* With all that bad luck there is a leader for most of the time. */
	assert_true(led_ms > (int64_t)runs * 600000 / 2);
	for (int i = 1; i <= runs; i++)
		simulate((uint64_t)i * 0x9e3779b97f4a7c15u, true, &led_ms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scripts),
		cmocka_unit_test(writes_end_before_the_lease),
		cmocka_unit_test(never_two_leaders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
