/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When old UDP flows are looked for, with a kernel that is made up: the linker leads the runs of
 * src/proxy/conntrack_run.c here, and the loop is in virtual time.  It also counts the ports whose
 * endpoints are asked for.
 */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <netinet/in.h>

#include <event2/event.h>

#include "fairlead/mem.h"
#include "proxy/conntrack.h"
#include "proxy/fronts.h"
#include "proxy/udp.h"
#include "virtual_loop.h"

/* ---- the kernel ---- */

struct conntrack_run {
	struct conntrack_job *job;
	conntrack_done_fn *done;
	void *arg;
};

static struct {
	struct conntrack_run *run; /* under way */
	size_t n_runs;
	int64_t last_ms; /* when the last one began */
	int refuses;     /* to begin, negative errno */
} kernel;

int __wrap_conntrack_run_start(struct event_base *base, struct conntrack_job *j,
                               conntrack_done_fn *done, void *arg, struct conntrack_run **ret_run,
                               struct err *e);
void __wrap_conntrack_run_step(struct conntrack_run *r);
void __wrap_conntrack_run_free(struct conntrack_run *r);

int __wrap_conntrack_run_start(struct event_base *base, struct conntrack_job *j,
                               conntrack_done_fn *done, void *arg, struct conntrack_run **ret_run,
                               struct err *e)
{
	(void)base;
	kernel.n_runs++;
	kernel.last_ms = virtual_now();
	if (kernel.refuses)
		return err_set(e, kernel.refuses, ERR_SYSTEM, "no");
	assert_null(kernel.run);
	kernel.run = xcalloc(1, sizeof(*kernel.run));
	*kernel.run = (struct conntrack_run){ j, done, arg };
	*ret_run = kernel.run;
	return 0;
}

void __wrap_conntrack_run_step(struct conntrack_run *r)
{
	(void)r;
}

void __wrap_conntrack_run_free(struct conntrack_run *r)
{
	if (r == kernel.run)
		kernel.run = NULL;
	free(r);
}

static size_t n_asked;

void __real_conntrack_job_allow_port(struct conntrack_job *j, const struct front_key *k,
                                     const struct proxy_port *p);
void __wrap_conntrack_job_allow_port(struct conntrack_job *j, const struct front_key *k,
                                     const struct proxy_port *p);
void __wrap_conntrack_job_allow_port(struct conntrack_job *j, const struct front_key *k,
                                     const struct proxy_port *p)
{
	n_asked++;
	__real_conntrack_job_allow_port(j, k, p);
}

static struct addr addr(const char *s)
{
	struct addr a;

	assert_int_equal(addr_parse(s, &a), 0);
	return a;
}

/* Would the run under way delete the flow of a client of @vip that @endpoint answers? */
static bool deletes(const char *vip, const char *endpoint)
{
	struct addr to = addr(vip), from = addr(endpoint);

	assert_non_null(kernel.run);
	return conntrack_is_stale(kernel.run->job, &to, 53, &from, 53);
}

static void ends(int r)
{
	struct conntrack_run run = *kernel.run;
	struct err e = ERR_INIT;

	free(kernel.run);
	kernel.run = NULL;
	run.done(r, &e, 0, run.arg);
}

/* ---- Services ---- */

struct service {
	struct addr vip;
	struct proxy_endpoint endpoint;
	struct proxy_port port;
	struct proxy_outside outside;
	struct proxy_half s;
};

static void service_init(struct service *v, const char *vip, const char *endpoint)
{
	*v = (struct service){ .vip = addr(vip),
		               .endpoint = { .addr = addr(endpoint), .port = 53 } };
	v->port = (struct proxy_port){ .name = "dns",
		                       .proto = IPPROTO_UDP,
		                       .port = 53,
		                       .cluster = &v->endpoint,
		                       .n_cluster = 1,
		                       .has_any = true };
	v->outside = (struct proxy_outside){ .vips = &v->vip, .n_vips = 1 };
	v->s = (struct proxy_half){
		.key = "a/b", .family = 4, .outside = &v->outside, .ports = &v->port, .n_ports = 1
	};
}

static size_t n_failed, n_idle;

static void failed(const struct err *e, void *arg)
{
	(void)e;
	(void)arg;
	n_failed++;
}

static void idle(void *arg)
{
	(void)arg;
	n_idle++;
}

static const struct udp_ops ops = { .failed = failed, .idle = idle };
static struct event_base *base;
static struct fronts *fronts;
static struct udp *udp;
static struct service old, new;

static int setup(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	n_failed = n_idle = n_asked = 0;
	virtual_loop_init(1);
	base = event_base_new();
	fronts = fronts_new();
	udp = udp_new(base, 4, fronts, &ops, NULL);
	service_init(&old, "192.0.2.9", "10.244.1.7");
	service_init(&new, "192.0.2.9", "10.244.2.7");
	fronts_swap(fronts, NULL, &new.s);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	udp_free(udp);
	fronts_free(fronts);
	event_base_free(base);
	return 0;
}

/* ---- what is promised ---- */

static void a_change_is_looked_for_once(void **state)
{
	(void)state;
	udp_run(udp);
	assert_int_equal(kernel.n_runs, 0);
	udp_changed(udp, &old.s, &new.s);
	udp_run(udp);
	assert_true(deletes("192.0.2.9", "10.244.1.7"));
	assert_false(deletes("192.0.2.9", "10.244.2.7"));
	ends(0);
	assert_int_equal(n_idle, 1);
	udp_run(udp);
	virtual_loop_run(virtual_now() + 600000);
	assert_int_equal(kernel.n_runs, 1);
}

/* Flows to node ports are looked for when other addresses have them, and then alone. */
static void node_ports_that_move_are_looked_for(void **state)
{
	struct proxy_node node = { .n_node_port_cidrs = 1 };
	const struct addr at = addr("192.0.2.11"), endpoint = new.endpoint.addr;

	(void)state;
	fronts_swap(fronts, &new.s, NULL);
	new.port.node_port = 30053;
	fronts_swap(fronts, NULL, &new.s);
	assert_int_equal(prefix_parse("192.0.2.11/32", false, &node.node_port_cidrs[0]), 0);
	for (int moves = 1; moves <= 2; moves++) {
		for (int again = 0; again < 2; again++) {
			udp_set_node(udp, &node, false);
			udp_run(udp);
			if (again > 0)
				continue;
			assert_int_equal(kernel.n_runs, moves);
			conntrack_job_add_local(kernel.run->job, &at);
			assert_int_equal(conntrack_is_stale(kernel.run->job, &at, 30053, &endpoint,
			                                    53),
			                 moves == 2);
			assert_false(deletes("192.0.2.9", "10.244.1.7"));
			ends(0);
		}
		assert_int_equal(kernel.n_runs, moves);
		assert_int_equal(prefix_parse("10.0.0.0/8", false, &node.node_port_cidrs[0]), 0);
	}
}

/*
 * Whatever failed, and how often: what was looked for then is looked for again, after longer and
 * longer pauses.
 */
static void what_failed_is_looked_for_again(void **state)
{
	(void)state;
	static const int64_t pauses[] = { 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000 };
	udp_changed(udp, &old.s, &new.s);
	udp_run(udp);
	for (size_t i = 0; i < ARRAY_LEN(pauses); i++) {
		int64_t begun = kernel.last_ms;
		if (kernel.run)
			ends(-EIO);
		assert_false(udp_is_running(udp));
		kernel.refuses = i % 3 == 2 ? -EIO : 0;
		udp_run(udp); /* another batch was written: no reason to hurry */
		virtual_loop_run(virtual_now() + pauses[i] - 1);
		assert_int_equal(kernel.last_ms, begun);
		virtual_loop_run(virtual_now() + 1);
		assert_int_equal(kernel.last_ms, begun + pauses[i]);
		assert_int_equal(udp_stats(udp).failures, i + 1 + (kernel.refuses != 0));
	}
	kernel.refuses = 0;
	assert_true(deletes("192.0.2.9", "10.244.1.7"));
	ends(0);
	/* That is over, and the next failure begins with a short pause. */
	udp_changed(udp, &old.s, &new.s);
	udp_run(udp);
	int64_t begun = kernel.last_ms;
	ends(-EIO);
	virtual_loop_run(virtual_now() + 1000);
	assert_int_equal(kernel.last_ms, begun + 1000);
	assert_true(deletes("192.0.2.9", "10.244.1.7"));
}

/*
 * The table is never read whole where flows come and go all the time: a few such runs are as good
 * as one.
 */
static void interrupted_runs_are_enough_at_last(void **state)
{
	(void)state;
	udp_changed(udp, &old.s, &new.s);
	udp_run(udp);
	for (int i = 0; i < UDP_INTERRUPTIONS_MAX; i++) {
		assert_true(deletes("192.0.2.9", "10.244.1.7"));
		ends(-EINTR);
		virtual_loop_run(virtual_now() + 60000);
	}
	assert_null(kernel.run);
	assert_int_equal(kernel.n_runs, UDP_INTERRUPTIONS_MAX);
}

/*
 * The rules of a Service changed while flows are read: those that its new endpoint answers already
 * stay.
 */
static void flows_of_a_new_endpoint_stay(void **state)
{
	(void)state;
	struct service newer;
	service_init(&newer, "192.0.2.9", "10.244.3.7");
	udp_changed(udp, &old.s, &new.s);
	udp_run(udp);
	assert_true(deletes("192.0.2.9", "10.244.3.7"));
	udp_changed(udp, &new.s, &newer.s);
	fronts_swap(fronts, &new.s, &newer.s);
	assert_false(deletes("192.0.2.9", "10.244.3.7"));
	/* The one before goes with the run that follows at once. */
	assert_false(deletes("192.0.2.9", "10.244.2.7"));
	ends(0);
	assert_int_equal(n_idle, 0);
	assert_true(deletes("192.0.2.9", "10.244.2.7"));
	assert_false(deletes("192.0.2.9", "10.244.3.7"));
	ends(0);
	assert_int_equal(n_idle, 1);
}

/* Whoever changes a Service all the time has the table read a third of the time. */
static void runs_are_paced(void **state)
{
	(void)state;
	enum { TAKES_MS = 1000, LASTS_MS = 300000 };
	int64_t begun = virtual_now();

	while (virtual_now() < begun + LASTS_MS) {
		udp_changed(udp, &old.s, &new.s);
		udp_run(udp);
		assert_true(udp_is_running(udp));
		virtual_loop_run(virtual_now() + TAKES_MS);
		if (kernel.run && virtual_now() >= kernel.last_ms + TAKES_MS)
			ends(0);
	}
	/* And a little more, since pauses are left out now and then. */
	assert_in_range(kernel.n_runs, LASTS_MS / TAKES_MS / 3, LASTS_MS / TAKES_MS * 2 / 5);
	/* The last change is looked for all the same, and until then there is no rest. */
	udp_changed(udp, &old.s, &new.s);
	udp_run(udp);
	for (n_idle = 0; n_idle == 0;) {
		assert_true(udp_is_running(udp));
		virtual_loop_run(virtual_now() + 2 * TAKES_MS);
		assert_true(deletes("192.0.2.9", "10.244.1.7"));
		ends(0);
	}
	assert_int_equal(n_idle, 1);
	assert_false(udp_is_running(udp));
}

/*
 * A front that was touched by itself (a leftover of an earlier life) is looked for like one of a
 * change.
 */
static void a_front_alone_is_looked_for(void **state)
{
	(void)state;
	struct addr vip = addr("192.0.2.9");
	udp_touch(udp, &vip, 53);
	udp_run(udp);
	assert_true(deletes("192.0.2.9", "10.244.1.7"));
	assert_false(deletes("192.0.2.9", "10.244.2.7"));
	assert_false(deletes("192.0.2.10", "10.244.1.7"));
}

/* Of however many Services there are, those that have what changed are asked, in all states. */
static void others_are_not_asked(void **state)
{
	enum { OTHERS = 1000 };
	struct service *others = xcalloc(OTHERS, sizeof(*others));
	char vip[ADDR_STR_SIZE];

	(void)state;
	for (size_t i = 0; i < OTHERS; i++) {
		snprintf(vip, sizeof(vip), "198.18.%zu.%zu", i / 256, i % 256);
		service_init(&others[i], vip, "10.244.9.9");
		others[i].port.node_port = (uint16_t)(30000 + i);
		fronts_swap(fronts, NULL, &others[i].s);
	}
	fronts_swap(fronts, NULL, &old.s);
	udp_changed(udp, &old.s, &new.s);
	udp_run(udp);
	assert_int_equal(n_asked, 2);
	assert_false(deletes("192.0.2.9", "10.244.1.7"));
	assert_false(deletes("192.0.2.9", "10.244.2.7"));
	ends(0);
	/* Who has gone is asked no more, and what several have stays until the last has gone. */
	fronts_swap(fronts, NULL, &new.s);
	fronts_swap(fronts, &new.s, NULL);
	fronts_swap(fronts, &old.s, NULL);
	udp_changed(udp, &old.s, &new.s);
	n_asked = 0;
	udp_run(udp);
	assert_int_equal(n_asked, 1);
	assert_true(deletes("192.0.2.9", "10.244.1.7"));
	assert_false(deletes("192.0.2.9", "10.244.2.7"));
	free(others);
}

/* Many that name one external IP are all asked, whoever came or went in between. */
static void all_who_have_a_front_are_asked(void **state)
{
	enum { SHARERS = 20 };
	static struct service sharers[SHARERS];
	char endpoint[ADDR_STR_SIZE];

	(void)state;
	for (int i = 0; i < SHARERS; i++) {
		int at = i * 7 % SHARERS; /* not in the order of memory */
		snprintf(endpoint, sizeof(endpoint), "10.244.8.%d", at);
		service_init(&sharers[at], "192.0.2.9", endpoint);
		fronts_swap(fronts, NULL, &sharers[at].s);
	}
	for (int i = 0; i < SHARERS; i += 3)
		fronts_swap(fronts, &sharers[i].s, NULL);
	udp_changed(udp, &new.s, &new.s);
	udp_run(udp);
	for (int i = 0; i < SHARERS; i++) {
		snprintf(endpoint, sizeof(endpoint), "10.244.8.%d", i);
		assert_int_equal(deletes("192.0.2.9", endpoint), i % 3 == 0);
	}
	ends(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_change_is_looked_for_once, setup, teardown),
		cmocka_unit_test_setup_teardown(node_ports_that_move_are_looked_for, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(what_failed_is_looked_for_again, setup, teardown),
		cmocka_unit_test_setup_teardown(interrupted_runs_are_enough_at_last, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(flows_of_a_new_endpoint_stay, setup, teardown),
		cmocka_unit_test_setup_teardown(runs_are_paced, setup, teardown),
		cmocka_unit_test_setup_teardown(a_front_alone_is_looked_for, setup, teardown),
		cmocka_unit_test_setup_teardown(others_are_not_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(all_who_have_a_front_are_asked, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
