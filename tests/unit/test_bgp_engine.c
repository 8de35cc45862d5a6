/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* The engine against a bgpd that refuses, forgets or is slow. */

#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "fairlead/bgp.h"
#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "vty_server.h"

/* Far beyond anything that is waited for here. */
#define PATIENCE_MS 20000

struct fixture {
	char dir[32];
	char *socket;
	struct event_base *base;
	struct bgpd_fake fake;
	struct vty_server *server;
	struct bgp *bgp;
	uint64_t published;
};

static int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/fairlead-engine-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->socket = xasprintf("%s/bgpd.vty", f->dir);
	f->base = event_base_new();
	const struct bgp_options o = { .bgpd_socket = f->socket,
		                       .bfdd_socket = "/nonexistent",
		                       .settle_ms = 1,
		                       .resync_ms = 50 };
	f->server = vty_server_start(f->base, f->socket, &f->fake);
	assert_int_equal(bgp_start(f->base, &o, NULL, NULL, &f->bgp, NULL), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	bgp_free(f->bgp);
	vty_server_stop(f->server);
	event_base_free(f->base);
	bgpd_fake_fini(&f->fake);
	rmdir(f->dir);
	free(f->socket);
	free(f);
	return 0;
}

static struct config_peer a_peer(void)
{
	return (struct config_peer){ .address = { .family = 4, .b = { 10, 0, 0, 1 } },
		                     .my_asn = 65001,
		                     .peer_asn = 65002,
		                     .hold_time_s = 90 };
}

/* The addresses 198.51.@first / 250.@first % 250 and so on, to one peer. */
static void publish(struct fixture *f, unsigned int first, unsigned int n)
{
	const struct config_peer p = a_peer();
	struct bgp_want *w = bgp_want_new();

	assert_int_equal(bgp_want_peer(w, &p, NULL), 0);
	for (unsigned int i = first; i < first + n; i++) {
		const struct addr a = { .family = 4,
			                .b = { 198, 51, (uint8_t)(i / 250), (uint8_t)(i % 250) } };
		assert_int_equal(bgp_want_address(w, &a, true, NULL, 0, NULL), 0);
	}
	f->published = bgp_publish(f->bgp, w);
}

/* One turn of the loop at a time, so that nothing happens unseen on a machine that stalls. */
static void spin_until(struct fixture *f, bool (*done)(const struct fixture *f))
{
	int64_t deadline = clock_ms() + PATIENCE_MS;

	while (!done(f)) {
		if (clock_ms() > deadline)
			fail_msg("waited in vain");
		event_base_loop(f->base, EVLOOP_ONCE);
	}
}

static bool is_applied(const struct fixture *f)
{
	return bgp_applied_generation(f->bgp) == f->published;
}

/* Inside the instance, near the next change. */
static bool is_parked(const struct fixture *f)
{
	return is_applied(f) && f->fake.node >= BGP_AT_BGP;
}

static bool is_waiting(const struct fixture *f)
{
	return bgp_reason(f->bgp, NULL) == REASON_BgpPending;
}

static bool has_network(const struct fixture *f, unsigned int i)
{
	const struct prefix p = {
		.addr = { .family = 4, .b = { 198, 51, (uint8_t)(i / 250), (uint8_t)(i % 250) } },
		.len = 32
	};

	for (size_t k = 0; k < f->fake.s.n_networks; k++)
		if (prefix_cmp(&f->fake.s.networks[k].prefix, &p) == 0)
			return true;
	return false;
}

static enum reason reason_of_first(const struct fixture *f)
{
	return bgp_reason_of(f->bgp, &(struct addr){ .family = 4, .b = { 198, 51, 0, 0 } }, NULL);
}

/* ---- others ---- */

static void others_have_an_instance(struct fixture *f)
{
	assert_int_equal(bgpd_fake_say(&f->fake, "router bgp 65001"), 0);
	assert_int_equal(bgpd_fake_say(&f->fake, "no bgp network import-check"), 0);
}

static bool is_everything_there(const struct fixture *f)
{
	return is_applied(f) && f->fake.s.n_networks == 2;
}

/*
 * bgpd is given its own configuration a moment after it started: an instance of ours would be in
 * its way.
 */
static void where_others_had_the_instance_it_is_waited_for(void **state)
{
	struct fixture *f = *state;

	others_have_an_instance(f);
	publish(f, 0, 2);
	spin_until(f, is_everything_there);
	vty_server_stop(f->server);
	bgpd_fake_fini(&f->fake);
	f->fake = (struct bgpd_fake){ 0 };
	f->server = vty_server_start(f->base, f->socket, &f->fake);
	spin_until(f, is_waiting);
	uint64_t resyncs = bgp_stats(f->bgp).resyncs;
	while (bgp_stats(f->bgp).resyncs < resyncs + 3)
		event_base_loop(f->base, EVLOOP_ONCE);
	assert_int_equal(f->fake.commands, 0);
	others_have_an_instance(f);
	spin_until(f, is_everything_there);
	assert_int_equal(f->fake.s.marker, 0);
}

static void the_connection_leaves_an_instance_that_is_gone(void **state)
{
	struct fixture *f = *state;

	publish(f, 0, 2);
	spin_until(f, is_parked);
	assert_int_equal(bgpd_fake_say(&f->fake, "no router bgp 65001"), 0);
	spin_until(f, is_everything_there);
	assert_int_equal(bgp_stats(f->bgp).failures, 0);
}

static bool has_session(const struct fixture *f)
{
	return bgp_n_established(f->bgp) > 0;
}

static void a_session_of_others_is_none_of_ours(void **state)
{
	static const char both[] = "{\"ipv4Unicast\":{\"peers\":{\"10.0.0.1\":{\"state\":"
				   "\"Established\"},\"10.0.0.2\":{\"state\":\"Established\"}}}}";
	struct fixture *f = *state;
	struct bgp_want *w = bgp_want_new();

	others_have_an_instance(f);
	f->fake.foreign_bgp = " neighbor 10.0.0.1 remote-as 65002\n";
	vty_server_summary(f->server, both, 0);
	for (uint8_t i = 1; i <= 2; i++) {
		struct config_peer p = a_peer();
		p.address.b[3] = i;
		assert_int_equal(bgp_want_peer(w, &p, NULL), 0);
	}
	bgp_publish(f->bgp, w);
	spin_until(f, has_session);
	assert_int_equal(bgp_n_established(f->bgp), 1);
	assert_int_equal(bgp_peer_status(f->bgp, 0).reason, REASON_BgpPeerTaken);
	assert_int_equal(bgp_peer_status(f->bgp, 1).reason, REASON_Announced);
}

/* ---- what bgpd does not keep ---- */

static bool is_told(const struct fixture *f)
{
	cleanup(buf_fini) struct buf msg = BUF_INIT;

	return bgp_reason(f->bgp, &msg) == REASON_BgpRefused &&
	       strstr(buf_str(&msg), "undone") != NULL;
}

static bool has_both(const struct fixture *f)
{
	return has_network(f, 0) && has_network(f, 1) && reason_of_first(f) == REASON_Announced;
}

/*
 * A setting that bgpd does not show may be as it should; a network that it does not show is none.
 */
static void what_somebody_undoes_is_done_again(void **state)
{
	struct fixture *f = *state;

	publish(f, 0, 2);
	spin_until(f, has_both);
	/* Twice whoever took them away does so before we have looked. */
	f->fake.s.n_networks = 0;
	f->fake.forgets = 4;
	spin_until(f, is_told);
	assert_int_equal(f->fake.s.n_networks, 0);
	spin_until(f, has_both);
	assert_int_equal(bgp_reason(f->bgp, NULL), REASON_Announced);
}

/* ---- what bgpd refuses ---- */

static bool is_first_announced(const struct fixture *f)
{
	return reason_of_first(f) == REASON_Announced;
}

static bool has_second(const struct fixture *f)
{
	return has_network(f, 1);
}

static void what_stands_beside_a_refusal_is_known_before_it_is_tried_again(void **state)
{
	struct fixture *f = *state;

	f->fake.refuses = "neighbor 10.0.0.1 timers";
	publish(f, 0, 1);
	spin_until(f, is_first_announced);
	assert_int_equal(bgp_stats(f->bgp).batches, 1);
	assert_int_equal(bgp_reason(f->bgp, NULL), REASON_BgpRefused);
	/* And what is wanted meanwhile does not wait for that. */
	publish(f, 1, 1);
	spin_until(f, has_second);
	assert_false(has_network(f, 0));
	assert_int_equal(bgp_stats(f->bgp).batches, 2);
}

static bool is_refused(const struct fixture *f)
{
	return bgp_reason(f->bgp, NULL) == REASON_BgpRefused;
}

static void a_thousand_refusals_are_a_few_lines(void **state)
{
	struct fixture *f = *state;
	char text[65536];
	int fds[2], lines = 0;

	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	log_set_level(LOG_WARN);
	log_set_fd(fds[1]);
	f->fake.refuses = "network ";
	publish(f, 0, 1000);
	spin_until(f, is_refused);
	log_set_fd(STDERR_FILENO);
	log_set_level(LOG_ERROR);
	ssize_t n = read(fds[0], text, sizeof(text) - 1);
	close(fds[0]);
	close(fds[1]);
	assert_true(n > 0);
	text[n] = 0;
	for (const char *p = text; (p = strstr(p, "bgpd refused a command")); p++)
		lines++;
	assert_int_equal(lines, 3);
	assert_non_null(strstr(text, "more=997"));
}

/* ---- a slow bgpd ---- */

static bool is_hung(const struct fixture *f)
{
	return vty_server_is_hung(f->server);
}

static void a_withdrawal_does_not_wait_behind_a_slow_batch(void **state)
{
	struct fixture *f = *state;
	const struct timeval long_enough = { .tv_sec = 1, .tv_usec = 200000 };

	publish(f, 0, 1);
	spin_until(f, is_applied);
	vty_server_hang_at(f->server, "network 198.51.0.100/32");
	publish(f, 0, 1000);
	spin_until(f, is_hung);
	publish(f, 1, 999);
	event_base_loopexit(f->base, &long_enough);
	event_base_dispatch(f->base);
	assert_true(has_network(f, 0));
	/* More than what was on its way already. */
	vty_server_hang_at(f->server, "network 198.51.2.0/32");
	vty_server_hang(f->server, false);
	spin_until(f, is_hung);
	assert_false(has_network(f, 0));
	vty_server_hang(f->server, false);
	spin_until(f, is_applied);
	assert_int_equal(f->fake.s.n_networks, 999);
	assert_int_equal(bgp_stats(f->bgp).failures, 0);
}

struct dumped {
	int n;
	char *text;
};

static void take_dump(struct buf *text, void *arg)
{
	struct dumped *d = arg;

	d->n++;
	d->text = buf_take(text);
}

/*
 * Passwords stay here, whoever's they are; commands that this bgpd does not know are no reason to
 * stop.
 */
static void a_dump_says_all_but_passwords(void **state)
{
	struct fixture *f = *state;
	struct dumped d = { 0 };

	vty_server_running(f->server, "router bgp 65001\n neighbor 10.0.0.1 password s3cret\r\n"
	                              " neighbor 10.0.0.1 bfd\nenable password s3cret\n");
	bgp_dump_start(f->base, f->socket, take_dump, &d);
	while (!d.n)
		event_base_loop(f->base, EVLOOP_ONCE);
	assert_non_null(strstr(d.text, "# show bgp neighbors\n# status: "));
	assert_non_null(strstr(d.text, "# show running-config\nrouter bgp 65001\n"
	                               " neighbor 10.0.0.1 password ***\n neighbor 10.0.0.1 "
	                               "bfd\nenable password ***\n"));
	assert_null(strstr(d.text, "s3cret"));
	free(d.text);
}

static void a_dump_without_bgpd_says_so(void **state)
{
	struct fixture *f = *state;
	struct dumped d = { 0 };

	bgp_dump_start(f->base, "/nonexistent/bgpd.vty", take_dump, &d);
	while (!d.n)
		event_base_loop(f->base, EVLOOP_ONCE);
	assert_string_equal(d.text,
	                    "# /nonexistent/bgpd.vty: connect: No such file or directory\n");
	free(d.text);
	/* One that is given up says nothing any more. */
	bgp_dump_cancel(bgp_dump_start(f->base, f->socket, take_dump, &d));
	event_base_loop(f->base, EVLOOP_NONBLOCK);
	assert_int_equal(d.n, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(where_others_had_the_instance_it_is_waited_for,
		                                set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_connection_leaves_an_instance_that_is_gone,
		                                set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_session_of_others_is_none_of_ours, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(what_somebody_undoes_is_done_again, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(
			what_stands_beside_a_refusal_is_known_before_it_is_tried_again, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(a_dump_says_all_but_passwords, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_dump_without_bgpd_says_so, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_thousand_refusals_are_a_few_lines, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(a_withdrawal_does_not_wait_behind_a_slow_batch,
		                                set_up, tear_down),
	};

	signal(SIGPIPE, SIG_IGN); /* as in the speaker; either end may write to one that is gone */
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
