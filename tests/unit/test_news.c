/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include "fairlead/mem.h"
#include "speaker/news.h"

struct fixture {
	struct news *news;
	struct budget budget;
	struct bgp_peer_status peers[32];
	struct news_view view;
	int64_t now_ms;
	struct buf told; /* "Reason: note\n" for each */
};

static void record(enum reason reason, const char *note, void *arg)
{
	buf_printf(&((struct fixture *)arg)->told, "%s: %s\n", reason_name(reason), note);
}

static struct fixture fixture_new(size_t n_peers)
{
	struct fixture f = { .news = news_new(), .now_ms = 1000 };

	for (size_t i = 0; i < n_peers; i++)
		f.peers[i] = (struct bgp_peer_status){
			.name = "tor",
			.address = { .family = 4, .b = { 192, 0, 2, (uint8_t)(i + 1) } },
			.asn = 64513,
			.state = BGP_SESSION_UNKNOWN,
			.error = "the router does not answer",
		};
	f.view =
		(struct news_view){ .reason = REASON_Announced, .message = "", .n_peers = n_peers };
	return f;
}

static void fixture_fini(struct fixture *f)
{
	news_free(f->news);
	buf_fini(&f->told);
}

/* Every second of so many, as the speaker does. */
static void pass(struct fixture *f, int64_t ms)
{
	f->view.peers = f->peers;
	for (int64_t end = f->now_ms + ms; f->now_ms < end; f->now_ms += 1000)
		news_look(f->news, &f->view, &f->budget, f->now_ms, record, f);
}

static void expect(struct fixture *f, const char *told)
{
	assert_string_equal(buf_str(&f->told), told);
	buf_clear(&f->told);
}

static void now(struct fixture *f, enum reason reason, const char *message)
{
	f->view.reason = reason;
	f->view.message = message;
}

static void a_hindrance_is_told_once(void **state)
{
	(void)state;
	struct fixture f = fixture_new(0);

	pass(&f, 60000);
	now(&f, REASON_BgpAsMismatch, "bgpd runs 7");
	pass(&f, 3000);
	expect(&f, "");
	pass(&f, 3600 * 1000);
	expect(&f, "BgpAsMismatch: bgpd runs 7\n");
	/* Another message for the same is no news: it is tried again and again. */
	now(&f, REASON_BgpRefused, "refused `a`");
	pass(&f, 10000);
	now(&f, REASON_BgpRefused, "refused `b`");
	pass(&f, 60000);
	expect(&f, "BgpRefused: refused `a`\n");
	now(&f, REASON_BgpPending, "");
	pass(&f, 60000);
	expect(&f, "");
	now(&f, REASON_Announced, "");
	pass(&f, 60000);
	expect(&f, "BgpReady: nothing stands in the way of BGP on this node any more\n");
	fixture_fini(&f);
}

static void what_passes_is_no_news(void **state)
{
	(void)state;
	struct fixture f = fixture_new(1);

	f.peers[0].state = BGP_SESSION_ESTABLISHED;
	pass(&f, 10000);
	for (int i = 0; i < 100; i++) {
		/* bgpd is restarted, and nothing is known for a moment. */
		now(&f, REASON_BgpUnreachable, "connection refused");
		f.peers[0].state = BGP_SESSION_UNKNOWN;
		pass(&f, 2000);
		now(&f, REASON_Announced, "");
		f.peers[0].state = BGP_SESSION_ACTIVE;
		pass(&f, 2000);
		f.peers[0].state = BGP_SESSION_ESTABLISHED;
		pass(&f, 2000);
	}
	expect(&f, "");
	fixture_fini(&f);
}

static void without_peers_nobody_minds(void **state)
{
	(void)state;
	struct fixture f = fixture_new(0);

	now(&f, REASON_BgpNoPeer, "");
	pass(&f, 60000);
	now(&f, REASON_BgpUnreachable, "no socket");
	pass(&f, 60000);
	expect(&f, "BgpUnreachable: no socket\n");
	now(&f, REASON_BgpNoPeer, "");
	pass(&f, 60000);
	now(&f, REASON_Announced, "");
	pass(&f, 60000);
	expect(&f, "");
	fixture_fini(&f);
}

static void a_session_is_lost_and_comes_back(void **state)
{
	(void)state;
	struct fixture f = fixture_new(2);

	f.peers[0].state = BGP_SESSION_ESTABLISHED;
	f.peers[1].state = BGP_SESSION_ACTIVE;
	pass(&f, 20000);
	expect(&f, "");
	f.peers[0].state = BGP_SESSION_IDLE;
	f.peers[0].error = "the router said: Cease";
	pass(&f, 2000);
	f.peers[0].state = BGP_SESSION_CONNECT; /* states below Established come and go */
	pass(&f, 8000);
	expect(&f, "BgpSessionLost: the session with peer tor (192.0.2.1, AS 64513) is lost: the "
	           "router said: Cease\n");
	pass(&f, 3600 * 1000);
	expect(&f, "BgpNoSession: the session with peer tor (192.0.2.2, AS 64513) does not come "
	           "up: the router does not answer\n");
	f.peers[0].state = f.peers[1].state = BGP_SESSION_ESTABLISHED;
	pass(&f, 10000);
	expect(&f,
	       "BgpSessionUp: the session with peer tor (192.0.2.1, AS 64513) is established\n"
	       "BgpSessionUp: the session with peer tor (192.0.2.2, AS 64513) is established\n");
	/* One that is not there any more, or back as a new one, is not lost. */
	f.view.n_peers = 1;
	pass(&f, 10000);
	f.view.n_peers = 2;
	f.peers[1].state = BGP_SESSION_ACTIVE;
	pass(&f, 10000);
	expect(&f, "");
	f.peers[0].reason = REASON_BgpPeerTaken;
	f.peers[0].error = "others have it";
	pass(&f, 10000);
	expect(&f, "BgpPeerTaken: the session with peer tor (192.0.2.1, AS 64513) is not made: "
	           "others have it\n");
	fixture_fini(&f);
}

static void a_refused_peer_is_told_beside_the_one_of_its_address(void **state)
{
	(void)state;
	struct fixture f = fixture_new(2);

	f.peers[0].state = BGP_SESSION_ESTABLISHED;
	f.peers[0].reason = REASON_Announced;
	f.peers[1].address = f.peers[0].address;
	f.peers[1].name = "tor-again";
	f.peers[1].reason = REASON_BgpPeerRefused;
	f.peers[1].error = "it is also that of tor";
	pass(&f, 60000);
	expect(&f, "BgpPeerRefused: the session with peer tor-again (192.0.2.1, AS 64513) is not "
	           "made: it is also that of tor\n");
	f.peers[0].state = BGP_SESSION_IDLE;
	f.peers[0].reason = REASON_BgpNoSession;
	pass(&f, 10000);
	expect(&f, "BgpSessionLost: the session with peer tor (192.0.2.1, AS 64513) is lost: the "
	           "router does not answer\n");
	f.view.n_peers = 1;
	f.peers[0].state = BGP_SESSION_ESTABLISHED;
	f.peers[0].reason = REASON_Announced;
	pass(&f, 10000);
	expect(&f, "BgpSessionUp: the session with peer tor (192.0.2.1, AS 64513) is "
	           "established\n");
	fixture_fini(&f);
}

static void what_peers_are_keeps_its_past_in_another_order(void **state)
{
	(void)state;
	struct fixture f = fixture_new(2);

	f.peers[0].state = BGP_SESSION_ESTABLISHED;
	f.peers[1].state = BGP_SESSION_ACTIVE;
	pass(&f, 60000);
	buf_clear(&f.told);
	struct bgp_peer_status first = f.peers[0];
	f.peers[0] = f.peers[1];
	f.peers[1] = first;
	pass(&f, 60000);
	expect(&f, "");
	fixture_fini(&f);
}

static size_t n_told(const struct fixture *f)
{
	size_t n = 0;

	for (const char *p = buf_str(&f->told); *p; p++)
		n += *p == '\n';
	return n;
}

static void a_flood_is_cut_and_caught_up(void **state)
{
	(void)state;
	struct fixture f = fixture_new(32);

	for (size_t i = 0; i < 32; i++)
		f.peers[i].state = BGP_SESSION_ESTABLISHED;
	pass(&f, 10000);
	for (size_t i = 0; i < 32; i++)
		f.peers[i].state = BGP_SESSION_ACTIVE;
	pass(&f, 10000);
	assert_int_equal(n_told(&f), BUDGET_BURST);
	pass(&f, 5 * BUDGET_REFILL_MS);
	assert_int_equal(n_told(&f), BUDGET_BURST + 5);
	pass(&f, 100 * BUDGET_REFILL_MS);
	assert_int_equal(n_told(&f), 32);
	buf_clear(&f.told);
	/* A session that flaps for an hour. */
	for (int i = 0; i < 360; i++) {
		f.peers[0].state = i % 2 ? BGP_SESSION_ACTIVE : BGP_SESSION_ESTABLISHED;
		pass(&f, 10000);
	}
	assert_in_range(n_told(&f), BUDGET_BURST, BUDGET_BURST + 3600 * 1000 / BUDGET_REFILL_MS);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hindrance_is_told_once),
		cmocka_unit_test(what_passes_is_no_news),
		cmocka_unit_test(without_peers_nobody_minds),
		cmocka_unit_test(a_session_is_lost_and_comes_back),
		cmocka_unit_test(a_refused_peer_is_told_beside_the_one_of_its_address),
		cmocka_unit_test(what_peers_are_keeps_its_past_in_another_order),
		cmocka_unit_test(a_flood_is_cut_and_caught_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
