/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "fairlead/mem.h"
#include "speaker/routes.h"
#include "vty_server.h"
#include "world.h"

/* Far beyond anything that is waited for here. */
#define PATIENCE_MS 20000

/* A speaker's life in mode none, with a bgpd that outlives it. */
struct fixture {
	char dir[32];
	char *socket;
	struct event_base *base;
	struct bgpd_fake fake;
	struct vty_server *server; /* NULL: no bgpd runs */
	struct view *view;
	struct announce *announce;
	struct routes *routes;
	unsigned int gone; /* Services that waited and need not any more */
};

static void ignore_change(const struct announcement *a, enum reason old_reason,
                          const char *old_owner, void *arg)
{
	(void)a;
	(void)old_reason;
	(void)old_owner;
	(void)arg;
}

static bool is_applied(const char *key, void *arg)
{
	(void)key;
	(void)arg;
	return true;
}

static void ignore(void *arg)
{
	(void)arg;
}

static void begin(struct fixture *f)
{
	const struct routes_options o = { .socket_dir = f->dir, .look_ms = 1 };

	f->view = view_new("n1", NULL);
	f->announce = announce_new(ignore_change, f);
	f->routes = routes_new(f->base, &o, ignore, f);
	world_node(f->view, "n1");
}

static void end(struct fixture *f)
{
	routes_free(f->routes);
	announce_free(f->announce);
	view_free(f->view);
}

static struct fixture *fixture_new(void)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/fairlead-routes-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->socket = xasprintf("%s/bgpd.vty", f->dir);
	f->base = event_base_new();
	/* An instance that is ours is gone into without waiting for others' configuration. */
	f->fake.s.asn = f->fake.s.marker = 64512;
	begin(f);
	return f;
}

static void fixture_free(struct fixture *f)
{
	end(f);
	if (f->server)
		vty_server_stop(f->server);
	event_base_free(f->base);
	bgpd_fake_fini(&f->fake);
	rmdir(f->dir);
	free(f->socket);
	free(f);
}

static void start_bgpd(struct fixture *f)
{
	f->server = vty_server_start(f->base, f->socket, &f->fake);
}

static void with_peer(struct view *v)
{
	world_put(v, "{'kind':'ConfigMap','metadata':{'namespace':'fairlead-system',"
	             "'name':'fairlead-active','uid':'u',"
	             "'annotations':{'fairlead.io/generation':'8'}},'data':{'config':'"
	             "peers: [{peer-address: 192.0.2.7, my-asn: 64512, peer-asn: 64513}]\\n"
	             "address-pools:\\n"
	             "- {name: far, protocol: bgp, addresses: [198.51.100.0/24]}\\n'}}");
}

static void with_service(struct view *v, const char *endpoints)
{
	world_service(v, "web", "198.51.100.1", "");
	world_slice(v, "web", "w", endpoints);
}

/* One turn of the speaker; true if a Service's rules would have to wait. */
static bool turn(struct fixture *f)
{
	size_t n;
	const struct view_service *const *dirty = view_take_dirty(f->view, &n);
	bool withdrawn = false;

	for (size_t i = 0; i < n; i++)
		withdrawn |= announce_update(f->announce, f->view, dirty[i]);
	view_clean(f->view);
	announce_settle(f->announce, is_applied, f);
	routes_update(f->routes, f->view, f->announce);
	return withdrawn && routes_hold(f->routes, "shop/web");
}

static void count(const char *key, void *arg)
{
	assert_string_equal(key, "shop/web");
	((struct fixture *)arg)->gone++;
}

/* Lets events happen until @done, with a turn after each. */
static void spin_until(struct fixture *f, bool (*done)(const struct fixture *f))
{
	const struct timeval tick = { .tv_usec = 2000 };

	for (int ms = 0; !done(f); ms += 2) {
		if (ms > PATIENCE_MS)
			fail_msg("waited in vain");
		event_base_loopexit(f->base, &tick);
		event_base_dispatch(f->base);
		turn(f);
		routes_release(f->routes, count, f);
	}
}

static bool is_announced(const struct fixture *f)
{
	const struct announcement *a = announce_of(f->announce, "shop/web");

	return f->fake.s.n_networks == 1 && a && a->reason == REASON_Announced;
}

static bool is_withdrawn(const struct fixture *f)
{
	return f->fake.s.n_networks == 0;
}

static bool is_empty(const struct fixture *f)
{
	const struct bgp_state *s = &f->fake.s;

	return !s->n_networks && !s->n_peers && !s->n_maps && !s->asn && !s->marker;
}

static bool is_alone(const struct fixture *f)
{
	return vty_server_open(f->server) == 0;
}

static bool is_released(const struct fixture *f)
{
	return f->gone > 0;
}

/* ---- how tests begin and end ---- */

static int set_up(void **state)
{
	*state = fixture_new();
	return 0;
}

static int set_up_announced(void **state)
{
	struct fixture *f = fixture_new();

	start_bgpd(f);
	with_peer(f->view);
	with_service(f->view, "10.1.1.1@n1");
	turn(f);
	spin_until(f, is_announced);
	*state = f;
	return 0;
}

/* bgpd hangs, and a Service has just lost its endpoint. */
static int set_up_held(void **state)
{
	set_up_announced(state);
	struct fixture *f = *state;

	vty_server_hang(f->server, true);
	with_service(f->view, "10.1.1.1@n1!");
	assert_true(turn(f));
	return 0;
}

static int tear_down(void **state)
{
	fixture_free(*state);
	return 0;
}

/* ---- what is left of earlier configurations ---- */

static void a_peer_removed_meanwhile_goes(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(f->fake.s.n_peers, 1);
	end(f);
	begin(f);
	world_configuration(f->view); /* without peers */
	turn(f);
	spin_until(f, is_empty);
	/* Then bgpd is left alone. */
	spin_until(f, is_alone);
	unsigned int accepted = vty_server_accepted(f->server);
	for (int i = 0; i < 10; i++)
		turn(f);
	world_node(f->view, "n2");
	turn(f);
	event_base_loop(f->base, EVLOOP_NONBLOCK);
	assert_int_equal(vty_server_accepted(f->server), accepted);
	/* Until another one takes its place, with lines that somebody has saved. */
	vty_server_stop(f->server);
	f->fake.s.asn = f->fake.s.marker = 64512;
	start_bgpd(f);
	turn(f);
	spin_until(f, is_empty);
}

static void without_a_configuration_nothing_goes(void **state)
{
	struct fixture *f = *state;

	end(f);
	begin(f);
	unsigned int accepted = vty_server_accepted(f->server);
	for (int i = 0; i < 10; i++) {
		turn(f);
		event_base_loop(f->base, EVLOOP_NONBLOCK);
	}
	assert_int_equal(vty_server_accepted(f->server), accepted);
	assert_int_equal(f->fake.s.n_networks, 1);
}

static void without_peer_or_bgpd_there_is_no_bgp(void **state)
{
	cleanup(buf_fini) struct buf out = BUF_INIT;
	struct fixture *f = *state;

	world_configuration(f->view);
	turn(f);
	routes_status(f->routes, &out);
	assert_non_null(strstr(buf_str(&out), "{\"connected\":false,\"reason\":\"BgpNoPeer\""));
	assert_non_null(strstr(buf_str(&out), "\"peers\":[]}"));
}

static void a_peer_may_go_and_come_back(void **state)
{
	struct fixture *f = *state;

	world_configuration(f->view);
	turn(f);
	spin_until(f, is_empty);
	spin_until(f, is_alone);
	f->fake.s.asn = f->fake.s.marker = 64512;
	with_peer(f->view);
	turn(f);
	spin_until(f, is_announced);
}

/* ---- peers that a node is refused ---- */

static void a_refused_peer_is_told_and_the_others_go_on(void **state)
{
	cleanup(buf_fini) struct buf status = BUF_INIT, message = BUF_INIT;
	struct fixture *f = *state;
	struct addr a;

	start_bgpd(f);
	world_put(f->view, "{'kind':'ConfigMap','metadata':{'namespace':'fairlead-system',"
	                   "'name':'fairlead-active','uid':'u',"
	                   "'annotations':{'fairlead.io/generation':'8'}},'data':{'config':'"
	                   "peers:\\n- {peer-address: 192.0.2.7, my-asn: 64512, peer-asn: 64513}\\n"
	                   "- {peer-address: 192.0.2.7, my-asn: 64512, peer-asn: 64599, "
	                   "node-selectors: [{match-labels: {rack: a}}]}\\n"
	                   "address-pools:\\n"
	                   "- {name: far, protocol: bgp, addresses: [198.51.100.0/24]}\\n'}}");
	with_service(f->view, "10.1.1.1@n1");
	turn(f);
	spin_until(f, is_announced);
	routes_status(f->routes, &status);
	assert_null(strstr(buf_str(&status), "peer-2"));
	char rack[] = "rack", in_a[] = "a";
	routes_set_labels(f->routes,
	                  &(struct kube_labels){ .kvs = &(struct kube_kv){ rack, in_a }, .n = 1 });
	turn(f);
	spin_until(f, is_announced);
	buf_clear(&status);
	routes_status(f->routes, &status);
	assert_non_null(strstr(buf_str(&status), "\"last_error\":\"peer-address 192.0.2.7 is also "
	                                         "that of peer-1\",\"reason\":\"BgpPeerRefused\""));
	addr_parse("198.51.100.1", &a);
	assert_int_equal(routes_reason_of(f->routes, &a, &message), REASON_Announced);
	assert_non_null(strstr(buf_str(&message), "; not to peer-2 (192.0.2.7), BgpPeerRefused: "
	                                          "peer-address 192.0.2.7 is also"));
	assert_int_equal(f->fake.s.n_peers, 1);
	assert_int_equal(f->fake.s.peers[0].remote_as, 64513);
}

/* ---- rules that wait for a withdrawal ---- */

static void rules_wait_for_the_withdrawal(void **state)
{
	struct fixture *f = *state;

	assert_false(routes_hold(f->routes, "shop/web"));
	with_service(f->view, "10.1.1.1@n1!");
	assert_true(turn(f));
	assert_true(routes_is_held(f->routes, "shop/web"));
	assert_int_equal(f->fake.s.n_networks, 1);
	routes_release(f->routes, count, f);
	assert_int_equal(f->gone, 0);
	spin_until(f, is_released);
	assert_int_equal(f->fake.s.n_networks, 0);
	assert_int_equal(f->gone, 1);
	assert_false(routes_is_held(f->routes, "shop/web"));
}

static void rules_do_not_wait_for_ever(void **state)
{
	struct fixture *f = *state;

	/* The engine itself would give up on a hung bgpd much later. */
	spin_until(f, is_released);
	assert_int_equal(f->fake.s.n_networks, 1);
	assert_int_equal(routes_reason_of(f->routes, &(struct addr){ .family = 4 }, NULL),
	                 REASON_BgpPending);
	vty_server_hang(f->server, false);
	spin_until(f, is_withdrawn);
}

static void rules_do_not_wait_for_a_dead_bgpd(void **state)
{
	struct fixture *f = *state;

	vty_server_stop(TAKE(f->server));
	spin_until(f, is_released);
	/* Who is withdrawn now need not wait at all. */
	assert_false(routes_hold(f->routes, "shop/web"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_peer_removed_meanwhile_goes, set_up_announced,
		                                tear_down),
		cmocka_unit_test_setup_teardown(without_a_configuration_nothing_goes,
		                                set_up_announced, tear_down),
		cmocka_unit_test_setup_teardown(without_peer_or_bgpd_there_is_no_bgp, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(a_peer_may_go_and_come_back, set_up_announced,
		                                tear_down),
		cmocka_unit_test_setup_teardown(a_refused_peer_is_told_and_the_others_go_on, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(rules_wait_for_the_withdrawal, set_up_announced,
		                                tear_down),
		cmocka_unit_test_setup_teardown(rules_do_not_wait_for_ever, set_up_held, tear_down),
		cmocka_unit_test_setup_teardown(rules_do_not_wait_for_a_dead_bgpd, set_up_held,
		                                tear_down),
	};
	signal(SIGPIPE, SIG_IGN); /* as in the speaker; either end may write to one that is gone */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
