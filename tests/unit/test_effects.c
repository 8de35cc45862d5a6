/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <stdlib.h>

#include "fairlead/mem.h"
#include "speaker/turn.h"
#include "speaker/served.h"
#include "world.h"

/*
 * The order of effects in virtual time: the real view, decisions and announcements, and effectors
 * that are made up.  Layer 2 answers at once for what it is given; bgpd acknowledges after a while,
 * or hangs; the kernel has its rules after a while, or the restore fails.  After each effect the
 * two rules are judged:
 *
 *   up:   what is announced has the rules of this very Service in the kernel
 *   down: rules change only when nothing leads to them any more, or bgpd has not answered for
 *   HOLD_MS
 *
 * Even Services have an address of layer 2, odd ones one of BGP.
 */

#define N 4
#define STEP_MS 10
#define BATCH_MS 20
#define HOLD_MS 1000
#define BEGIN_MS 10000
#define QUIET_STEPS 1500

enum { NOTHING = 0, REFUSING = -1 }; /* else the rules of this incarnation of the Service */

struct machine {
	bool proxy;
	int64_t now;
	int64_t lag_ms;
	bool hung, failing;
	/*
	 * The Services as the API server has them: 0 gone, else the incarnation; and whether there
	 * is an endpoint.
	 */
	int incarnation[N], last_incarnation;
	bool endpoint[N];
	/* Layer 2, in this life. */
	bool wire[N];
	/* bgpd, which outlives the speaker. */
	bool standing[N], wanted[N];
	uint64_t published, acknowledged;
	int64_t due, unwanted_since[N];
	bool began;
	int64_t begin_ms, program_ms;
	int64_t held_until[N];
	uint64_t held_for[N]; /* generation; 0: not held */
	/* The kernel, which outlives it too, and what the proxy wants there, since when. */
	int kernel[N], rules[N];
	int64_t asked_ms[N];
	bool complete;
	int64_t batch_at;
	struct turn turn;
	const char *what; /* scenario */
	unsigned int seed;
};

static const char *key_of(int i)
{
	static const char *const keys[N] = { "shop/s0", "shop/s1", "shop/s2", "shop/s3" };

	return keys[i];
}

static int index_of(const char *key)
{
	return key[strlen(key) - 1] - '0';
}

static void broken(const struct machine *m, int i, const char *how)
{
	fail_msg("%s, seed %u, %lld ms: %s %s", m->what, m->seed, (long long)m->now, key_of(i),
	         how);
}

/* ---- the rules ---- */

static void judge_up(const struct machine *m, int i)
{
	if (m->proxy && m->kernel[i] != m->incarnation[i])
		broken(m, i, "is announced and has no rules in the kernel");
}

/*
 * @rules: what the kernel or the proxy is to have from now on, as was asked for at @asked_ms.
 * Rules that were to serve while the route was wanted, and come when it was just withdrawn, lead
 * those that still come by it where they were to go.
 */
static void judge_down(const struct machine *m, int i, int rules, int64_t asked_ms)
{
	if (rules > 0 && rules == m->kernel[i])
		return;
	if (m->wire[i])
		broken(m, i, "is answered for while its rules change");
	if (rules > 0 && asked_ms < m->unwanted_since[i])
		return;
	if (m->standing[i] && !m->wanted[i] && m->now < m->unwanted_since[i] + HOLD_MS)
		broken(m, i, "has a route while its rules change");
}

/* ---- effectors ---- */

static void put_on_wire(const struct l2_want *want, void *arg)
{
	bool *wire = arg;

	if (want->eligible)
		wire[want->addr.b[3] - 1] = true;
}

static void publish(void *arg)
{
	struct machine *m = arg;
	struct served_snapshot s;
	bool wire[N] = { false };

	served_snapshot(announce_served(m->turn.announce), m->turn.view, true, 0, &s);
	want_map_each(s.wants, put_on_wire, wire);
	served_snapshot_fini(&s);
	memcpy(m->wire, wire, sizeof(wire));
	for (int i = 0; i < N; i++)
		if (m->wire[i])
			judge_up(m, i);
}

static void want(const struct announcement *a, void *arg)
{
	struct machine *m = arg;
	int i = index_of(a->key);

	if (a->protocol != PROTOCOL_BGP)
		return;
	/* Before all is ready, what an earlier life announced stays, but nothing is added. */
	m->wanted[i] = m->began ? a->eligible : m->standing[i] && a->decided == REASON_Candidate;
}

static void update_routes(void *arg)
{
	struct machine *m = arg;
	bool before[N], first = !m->begin_ms;

	if (first)
		m->begin_ms = m->now + BEGIN_MS;
	/*
	 * What was kept for a Service whose rules did not come in time goes then; they may come at
	 * any moment.
	 */
	bool late = !m->began && announce_n_pending(m->turn.announce) && m->now >= m->begin_ms;
	m->began |= !announce_n_pending(m->turn.announce) || m->now >= m->begin_ms;
	memcpy(before, m->wanted, sizeof(before));
	memset(m->wanted, 0, sizeof(m->wanted));
	announce_each(m->turn.announce, want, m);
	for (int i = 0; i < N; i++) {
		if (m->wanted[i] && m->began && !before[i])
			judge_up(m, i);
		if (before[i] && !m->wanted[i])
			m->unwanted_since[i] = late ? m->now - HOLD_MS : m->now;
	}
	if (first || memcmp(before, m->wanted, sizeof(before)) != 0) {
		m->published++;
		m->due = m->now + m->lag_ms;
	}
}

static bool routes_have_begun(void *arg)
{
	return ((struct machine *)arg)->began;
}

static bool hold(const char *key, void *arg)
{
	struct machine *m = arg;
	int i = index_of(key);

	if (m->acknowledged >= m->published)
		return false;
	if (!m->held_for[i])
		m->held_until[i] = m->now + HOLD_MS;
	m->held_for[i] = m->published;
	return true;
}

static bool is_held(const char *key, void *arg)
{
	return ((struct machine *)arg)->held_for[index_of(key)] != 0;
}

static void release(void (*go)(const char *key, void *go_arg), void *go_arg, void *arg)
{
	struct machine *m = arg;

	for (int i = 0; i < N; i++) {
		if (!m->held_for[i] ||
		    (m->acknowledged < m->held_for[i] && m->now < m->held_until[i]))
			continue;
		/* It has waited long enough, also where the last withdrawal is younger. */
		if (m->acknowledged < m->held_for[i])
			m->unwanted_since[i] = m->held_until[i] - HOLD_MS;
		go(key_of(i), go_arg);
		m->held_for[i] = 0;
	}
}

static bool may_program(void *arg)
{
	struct machine *m = arg;

	if (!m->program_ms)
		m->program_ms = m->now + HOLD_MS;
	return m->acknowledged >= m->published || m->now >= m->program_ms;
}

static void want_rules(struct machine *m, int i, int rules)
{
	/* Until it is complete the proxy only notes it. */
	if (m->complete)
		judge_down(m, i, rules, m->now);
	m->rules[i] = rules;
	m->asked_ms[i] = m->now;
	if (!m->batch_at)
		m->batch_at = m->now + BATCH_MS;
}

static void set_rules(const struct view_service *s, void *arg)
{
	struct machine *m = arg;
	int i = index_of(s->key);

	want_rules(m, i, !s->known ? NOTHING : s->slices ? m->incarnation[i] : REFUSING);
}

static void remove_rules(const char *key, void *arg)
{
	want_rules(arg, index_of(key), NOTHING);
}

static bool has_rules(const struct view_service *s, uint8_t family, void *arg)
{
	(void)family;
	const struct machine *m = arg;
	int i = index_of(s->key);

	return m->complete && m->rules[i] == m->kernel[i];
}

static void complete_rules(void *arg)
{
	struct machine *m = arg;

	m->complete = true;
	m->batch_at = m->now + BATCH_MS;
	/* All have waited long enough, as above. */
	for (int i = 0; m->program_ms && m->now >= m->program_ms && i < N; i++)
		m->unwanted_since[i] = m->program_ms - HOLD_MS;
}

static const struct turn_effectors with_proxy = {
	.publish = publish,
	.update_routes = update_routes,
	.routes_have_begun = routes_have_begun,
	.hold = hold,
	.is_held = is_held,
	.release = release,
	.may_program = may_program,
	.set_rules = set_rules,
	.remove_rules = remove_rules,
	.has_rules = has_rules,
	.complete_rules = complete_rules,
};
static const struct turn_effectors without_proxy = {
	.publish = publish,
	.update_routes = update_routes,
	.routes_have_begun = routes_have_begun,
	.hold = hold,
	.is_held = is_held,
	.release = release,
	.may_program = may_program,
};

/* ---- what happens ---- */

static void tell_service(struct machine *m, int i)
{
	if (!m->incarnation[i]) {
		view_remove_service(m->turn.view, "shop", key_of(i) + 5);
		return;
	}
	world_put(m->turn.view,
	          "{'kind':'Service','metadata':{'namespace':'shop','name':'%s','uid':'uid-%d',"
	          "'creationTimestamp':'2026-01-01T00:00:00Z'},'spec':{'type':'LoadBalancer',"
	          "'clusterIP':'10.96.0.9','clusterIPs':['10.96.0.9'],'ports':[{'port':80}]},"
	          "'status':{'loadBalancer':{'ingress':[{'ip':'%s.%d'}]}}}",
	          key_of(i) + 5, m->incarnation[i], i % 2 ? "198.51.100" : "192.0.2", i + 1);
}

static void tell_endpoint(struct machine *m, int i)
{
	if (m->endpoint[i])
		world_slice(m->turn.view, key_of(i) + 5, key_of(i) + 5, "10.1.1.1@n1");
	else
		view_remove_slice(m->turn.view, "shop", key_of(i) + 5);
}

static void make(struct machine *m, int i)
{
	m->incarnation[i] = ++m->last_incarnation;
	tell_service(m, i);
}

static void unmake(struct machine *m, int i)
{
	m->incarnation[i] = 0;
	tell_service(m, i);
}

static void set_endpoint(struct machine *m, int i, bool there)
{
	m->endpoint[i] = there;
	tell_endpoint(m, i);
}

static void write_batch(struct machine *m)
{
	m->batch_at = 0;
	if (m->failing) {
		m->batch_at = m->now + BATCH_MS;
		return;
	}
	for (int i = 0; i < N; i++) {
		if (m->kernel[i] != m->rules[i])
			judge_down(m, i, m->rules[i], m->asked_ms[i]);
		m->kernel[i] = m->rules[i];
	}
}

static void step(struct machine *m)
{
	m->now += STEP_MS;
	if (m->acknowledged < m->published && !m->hung && m->now >= m->due) {
		m->acknowledged = m->published;
		memcpy(m->standing, m->wanted, sizeof(m->standing));
	}
	if (m->complete && m->batch_at && m->now >= m->batch_at)
		write_batch(m);
	turn_run(&m->turn);
}

static void steps(struct machine *m, int n)
{
	while (n--)
		step(m);
}

static void ignore(const struct announcement *a, enum reason old_reason, const char *old_owner,
                   void *arg)
{
	(void)a;
	(void)old_reason;
	(void)old_owner;
	(void)arg;
}

static void end_life(struct machine *m)
{
	announce_free(m->turn.announce);
	view_free(m->turn.view);
}

/* Kernel and bgpd have what they had; layer 2 begins anew. */
static void begin_life(struct machine *m)
{
	m->turn = (struct turn){ .view = view_new("n1", NULL),
		                 .announce = announce_new(ignore, m),
		                 .effectors = m->proxy ? &with_proxy : &without_proxy,
		                 .arg = m };
	m->complete = m->began = false;
	m->begin_ms = m->program_ms = m->batch_at = 0;
	memset(m->wire, 0, sizeof(m->wire));
	memset(m->rules, 0, sizeof(m->rules));
	memset(m->held_for, 0, sizeof(m->held_for));
	memcpy(m->wanted, m->standing, sizeof(m->wanted));
	world_configuration(m->turn.view);
	world_node(m->turn.view, "n1");
	for (int i = 0; i < N; i++) {
		tell_service(m, i);
		tell_endpoint(m, i);
	}
}

/* In the end all is announced that can be, and nothing else. */
static void expect_settled(struct machine *m)
{
	m->hung = m->failing = false;
	m->lag_ms = 0;
	steps(m, QUIET_STEPS);
	for (int i = 0; i < N; i++) {
		bool announced = i % 2 ? m->standing[i] : m->wire[i];
		if (announced != (m->incarnation[i] && m->endpoint[i]))
			broken(m, i, announced ? "is announced" : "is not announced");
		if (m->proxy && !m->incarnation[i] && m->kernel[i])
			broken(m, i, "has rules that nobody needs");
	}
}

static struct machine machine_new(const char *what, bool proxy)
{
	return (struct machine){ .what = what, .proxy = proxy };
}

static void all_up(struct machine *m)
{
	for (int i = 0; i < N; i++) {
		make(m, i);
		set_endpoint(m, i, true);
	}
	steps(m, 50);
}

static void all_down(struct machine *m)
{
	for (int i = 0; i < N; i++)
		unmake(m, i);
	steps(m, 50);
}

static void restart(struct machine *m)
{
	end_life(m);
	begin_life(m);
	steps(m, 50);
}

static void lose_and_return(struct machine *m)
{
	for (int i = 0; i < N; i++)
		set_endpoint(m, i, false);
	steps(m, 5);
	for (int i = 0; i < N; i++)
		set_endpoint(m, i, true);
	steps(m, 50);
}

/* Under the same name at once, by one event of the watch after the other. */
static void recreate(struct machine *m)
{
	for (int i = 0; i < N; i++) {
		unmake(m, i);
		make(m, i);
	}
	steps(m, 50);
}

static void restart_without(struct machine *m)
{
	end_life(m);
	m->incarnation[1] = m->incarnation[2] = 0;
	begin_life(m);
	steps(m, 50);
}

/*
 * Recreated while no speaker ran, and gone before the new rules are there: the route is of the life
 * before.
 */
static void go_before_routes_begin(struct machine *m)
{
	int64_t lag_ms = m->lag_ms;

	end_life(m);
	m->incarnation[1] = ++m->last_incarnation;
	m->lag_ms = 0;
	m->failing = true;
	begin_life(m);
	steps(m, 120);
	m->lag_ms = lag_ms + 100;
	unmake(m, 1);
	steps(m, 50);
}

static void effects_keep_their_order(void **state)
{
	static const struct {
		const char *what;
		int64_t lag_ms;
		bool hung, failing;
	} troubles[] = {
		{ "all well", 0, false, false },
		{ "withdrawn late", 300, false, false },
		{ "withdrawn very late", 3000, false, false },
		{ "bgpd hung", 0, true, false },
		{ "restore failing", 0, false, true },
		{ "bgpd hung and restore failing", 0, true, true },
	};

	static void (*const events[])(struct machine *) = {
		all_up,
		all_down,
		restart,
		recreate,
		lose_and_return,
		restart_without,
		go_before_routes_begin,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(troubles); i++)
		for (size_t k = 0; k < ARRAY_LEN(events); k++)
			for (int proxy = 0; proxy <= 1; proxy++) {
				struct machine m = machine_new(troubles[i].what, proxy);
				m.seed = (unsigned int)k;
				begin_life(&m);
				steps(&m, 5);
				if (events[k] != all_up)
					all_up(&m);
				m.lag_ms = troubles[i].lag_ms;
				m.hung = troubles[i].hung;
				m.failing = troubles[i].failing;
				events[k](&m);
				steps(&m, 150);
				expect_settled(&m);
				end_life(&m);
			}
}

/* ---- anything, in any order ---- */

static void happen(struct machine *m, unsigned int what, int i)
{
	switch (what) {
	case 0:
		make(m, i);
		break;
	case 1:
		unmake(m, i);
		break;
	case 2:
	case 3:
		set_endpoint(m, i, what == 2);
		break;
	case 4:
		m->lag_ms = 100 * i * i * i;
		break;
	case 5:
		m->hung = !m->hung;
		break;
	case 6:
		m->failing = !m->failing;
		break;
	case 7:
		if (i == 0) {
			end_life(m);
			begin_life(m);
		}
		break;
	default:
		steps(m, 1 << (i * 3));
		break;
	}
}

static void anything_in_any_order(void **state)
{
	const char *more = getenv("FAIRLEAD_SEEDS");
	unsigned int seeds = more ? (unsigned int)atoi(more) : 200;

	(void)state;
	for (unsigned int seed = 1; seed <= seeds; seed++) {
		unsigned int random = seed;
		struct machine m = machine_new("anything", seed % 4 != 0);
		m.seed = seed;
		begin_life(&m);
		for (int n = 0; n < 60; n++) {
			unsigned int what = (unsigned int)rand_r(&random) % 12;
			happen(&m, what, rand_r(&random) % N);
		}
		expect_settled(&m);
		end_life(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(effects_keep_their_order),
		cmocka_unit_test(anything_in_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
