/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "fairlead/clock.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"
#include "speaker/routes.h"
#include "speaker/sinks.h"
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
	const struct chaos *chaos;
	unsigned int look_ms;
	bool unwritten;    /* the data plane is not ready for any Service */
	unsigned int gone; /* Services that waited and need not any more */
	const char *node;  /* as the speaker is told; NULL: it is not */
};

static void ignore_change(const struct announcement *a, enum reason old_reason,
                          const char *old_owner, void *arg)
{
	(void)a;
	(void)old_reason;
	(void)old_owner;
	(void)arg;
}

static bool is_applied(const char *key, uint8_t family, void *arg)
{
	(void)family;
	(void)key;
	return !((const struct fixture *)arg)->unwritten;
}

static void ignore(void *arg)
{
	(void)arg;
}

static void begin(struct fixture *f)
{
	const struct routes_options o = { .socket_dir = f->dir,
		                          .look_ms = f->look_ms,
		                          .node = f->node };

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
	f->look_ms = 1;
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

/* A configuration of these peers, and a pool for BGP, of which there is @more to say. */
static void with_pool(struct view *v, const char *peers, const char *more)
{
	world_put(v,
	          "{'kind':'ConfigMap','metadata':{'namespace':'fairlead-system',"
	          "'name':'fairlead-active','uid':'u',"
	          "'annotations':{'fairlead.io/generation':'8'}},'data':{'config':'"
	          "peers: [%s]\\n"
	          "address-pools:\\n"
	          "- {name: far, protocol: bgp, addresses: [198.51.100.0/24]%s}\\n'}}",
	          peers, more);
}

static void with_peers(struct view *v, const char *peers)
{
	with_pool(v, peers, "");
}

#define PEER(address, more) "{peer-address: " address ", my-asn: 64512, peer-asn: 64513" more "}"
#define WITH_PASSWORD ", password-secret: tor"

static void with_peer(struct view *v)
{
	with_peers(v, PEER("192.0.2.7", ""));
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
	bool any = n > 0, withdrawn = false;

	for (size_t i = 0; i < n; i++)
		withdrawn |= announce_update(f->announce, f->view, dirty[i]);
	view_clean(f->view);
	announce_settle(f->announce, is_applied, f);
	routes_update(f->routes, f->view, f->announce);
	withdrawn |= any && !routes_have_begun(f->routes);
	return withdrawn && routes_hold(f->routes, "shop/web");
}

static void ignore_gone(const char *key, void *arg)
{
	(void)key;
	(void)arg;
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

static bool is_both(const struct fixture *f)
{
	return f->fake.s.n_networks == 2;
}

static bool is_unreachable(const struct fixture *f)
{
	return routes_reason_of(f->routes, &(struct addr){ .family = 4 }, NULL) ==
	       REASON_BgpUnreachable;
}

static bool is_without_session(const struct fixture *f)
{
	const struct announcement *a = announce_of(f->announce, "shop/web");

	return a && a->reason == REASON_BgpNoSession;
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

static void print_status(const struct routes *r, struct buf *json)
{
	cleanup(out_fini) struct out o;

	out_init(&o, OUT_JSON, json);
	routes_status(r, NULL, &o);
}

static bool is_applied_whole(const struct fixture *f)
{
	cleanup(buf_fini) struct buf status = BUF_INIT;

	unsigned long long generation, applied;

	print_status(f->routes, &status);
	const char *at = strstr(buf_str(&status), "\"generation\":");
	return at &&
	       sscanf(at, "\"generation\":%llu,\"applied\":%llu", &generation, &applied) == 2 &&
	       applied == generation;
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

static void expect_status(const struct fixture *f, const char *words)
{
	cleanup(buf_fini) struct buf status = BUF_INIT;

	print_status(f->routes, &status);
	if (!strstr(buf_str(&status), words))
		fail_msg("%s is not in %s", words, buf_str(&status));
}

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

/* ---- the router id ---- */

static bool has_id_of_node(const struct fixture *f)
{
	return is_applied_whole(f) &&
	       bgp_lines_has(&f->fake.s.instance, "bgp router-id 192.0.2.77");
}

static bool has_id_of_peer(const struct fixture *f)
{
	return is_applied_whole(f) && bgp_lines_has(&f->fake.s.instance, "bgp router-id 192.0.2.1");
}

/* The node's own comes before the peers', also in a session that is there. */
static void a_node_has_its_router_id(void **state)
{
	static const char peer[] = PEER("192.0.2.7", ", router-id: 192.0.2.1");
	struct fixture *f = *state;

	end(f);
	f->node = "n1";
	begin(f);
	start_bgpd(f);
	with_pool(f->view, peer, "}\\nbgp-router-ids: {n2: 192.0.2.78");
	spin_until(f, has_id_of_peer);
	with_pool(f->view, peer, "}\\nbgp-router-ids: {n1: 192.0.2.77, n2: 192.0.2.78");
	spin_until(f, has_id_of_node);
	assert_false(has_id_of_peer(f));
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

/* It is watched until it must have read its own configuration. */
static void what_bgpd_gets_late_goes_too(void **state)
{
	struct fixture *f = *state;

	end(f);
	f->look_ms = PATIENCE_MS;
	begin(f);
	start_bgpd(f);
	world_configuration(f->view); /* without peers */
	turn(f);
	spin_until(f, is_applied_whole);
	assert_true(is_empty(f));
	turn(f);
	f->fake.s.asn = f->fake.s.marker = 64512;
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
	print_status(f->routes, &out);
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

/* ---- what an earlier life announced ---- */

/*
 * Of two Services that were announced one is gone when the next speaker begins, whose data plane is
 * not ready.
 */
static int set_up_successor(void **state)
{
	set_up_announced(state);
	struct fixture *f = *state;

	world_service(f->view, "gone", "198.51.100.2", "");
	world_slice(f->view, "gone", "g", "10.1.1.2@n1");
	turn(f);
	spin_until(f, is_both);
	end(f);
	begin(f);
	with_peer(f->view);
	with_service(f->view, "10.1.1.1@n1");
	world_service(f->view, "new", "198.51.100.3", "");
	world_slice(f->view, "new", "n", "10.1.1.3@n1");
	f->unwritten = true;
	return 0;
}

static bool may_program(const struct fixture *f)
{
	return routes_may_program(f->routes);
}

static void what_is_gone_is_withdrawn_before_the_data_plane_changes(void **state)
{
	struct fixture *f = *state;
	struct addr web;

	turn(f);
	assert_false(routes_may_program(f->routes));
	spin_until(f, may_program);
	/* And no more than that: what is new waits for its rules. */
	assert_int_equal(f->fake.s.n_networks, 1);
	addr_parse("198.51.100.1", &web);
	assert_true(addr_eq(&f->fake.s.networks[0].prefix.addr, &web));
	assert_int_equal(routes_reason_of(f->routes, &web, NULL), REASON_BgpPending);
	/* What goes meanwhile goes in the same order. */
	f->gone = 0;
	with_service(f->view, "10.1.1.1@n1!");
	assert_true(turn(f));
	spin_until(f, is_released);
	assert_int_equal(f->fake.s.n_networks, 0);
	with_service(f->view, "10.1.1.1@n1");
	f->unwritten = false;
	turn(f);
	spin_until(f, is_both);
}

static void another_prefix_takes_the_place_of_the_old_one_at_once(void **state)
{
	struct fixture *f = *state;

	end(f);
	begin(f);
	with_pool(f->view, PEER("192.0.2.7", ""),
	          ", bgp-advertisements: [{aggregation-length: 24}]");
	with_service(f->view, "10.1.1.1@n1");
	turn(f);
	spin_until(f, is_announced);
	assert_int_equal(f->fake.s.networks[0].prefix.len, 24);
	end(f);
	begin(f);
	with_peer(f->view);
	with_service(f->view, "10.1.1.1@n1");
	f->unwritten = true;
	turn(f);
	spin_until(f, may_program);
	assert_int_equal(f->fake.s.n_networks, 1);
	assert_int_equal(f->fake.s.networks[0].prefix.len, 24);
	f->unwritten = false;
	turn(f);
	spin_until(f, is_announced);
	assert_int_equal(f->fake.s.networks[0].prefix.len, 32);
}

static void a_configuration_that_comes_late_withdraws_nothing(void **state)
{
	struct fixture *f = *state;

	end(f);
	begin(f);
	with_service(f->view, "10.1.1.1@n1");
	turn(f);
	expect_status(f, "\"reason\":\"NoConfiguration\"");
	assert_true(routes_may_program(f->routes));
	f->unwritten = true;
	with_peer(f->view);
	turn(f);
	unsigned int before = f->fake.removed;
	spin_until(f, is_applied_whole);
	f->unwritten = false;
	turn(f);
	spin_until(f, is_announced);
	assert_int_equal(f->fake.removed, before);
}

static void a_hung_bgpd_does_not_keep_the_data_plane_waiting_for_ever(void **state)
{
	struct fixture *f = *state;

	vty_server_hang(f->server, true);
	turn(f);
	assert_false(routes_may_program(f->routes));
	spin_until(f, may_program);
	assert_int_equal(f->fake.s.n_networks, 2);
}

static void a_dead_bgpd_does_not_keep_the_data_plane_waiting(void **state)
{
	struct fixture *f = *state;

	vty_server_stop(TAKE(f->server));
	turn(f);
	assert_false(routes_may_program(f->routes)); /* nobody has knocked yet */
	spin_until(f, is_unreachable);
	assert_true(routes_may_program(f->routes));
}

static void without_bgp_the_data_plane_waits_for_nothing(void **state)
{
	struct fixture *f = *state;

	f->unwritten = true;
	world_configuration(f->view);
	with_service(f->view, "10.1.1.1@n1");
	turn(f);
	assert_true(routes_may_program(f->routes));
}

/* ---- passwords ---- */

static struct kube_secret *secret_of(const char *key, const char *value)
{
	struct kube_secret *s = xcalloc(1, sizeof(*s));

	s->items = xcalloc(1, sizeof(*s->items));
	s->items[s->n++] = (struct kube_secret_item){ .key = xstrdup(key),
		                                      .value = xmemdup(value, strlen(value) + 1),
		                                      .size = strlen(value) };
	return s;
}

static const struct bgp_peer *neighbour(const struct fixture *f, const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return bgp_state_find_peer(&f->fake.s, &a);
}

static bool has_line(const struct bgp_peer *p, const char *line)
{
	return p && bgp_lines_has(&p->lines, line);
}

/*
 * A speaker that had the password has announced, and another one began that cannot read the Secret.
 */
static int set_up_unreadable(void **state)
{
	struct fixture *f = fixture_new();

	start_bgpd(f);
	routes_await_passwords(f->routes, "secrets");
	routes_set_passwords(f->routes, secret_of("tor", "right"));
	with_peers(f->view, PEER("192.0.2.7", WITH_PASSWORD));
	with_service(f->view, "10.1.1.1@n1");
	turn(f);
	spin_until(f, is_announced);
	assert_true(has_line(neighbour(f, "192.0.2.7"), "password right"));
	end(f);
	begin(f);
	routes_await_passwords(f->routes, "secrets");
	with_peers(f->view, PEER("192.0.2.7", WITH_PASSWORD));
	*state = f;
	return 0;
}

static void an_unreadable_secret_keeps_no_route(void **state)
{
	struct fixture *f = *state;

	with_service(f->view, "10.1.1.1@n1!");
	turn(f);
	spin_until(f, is_withdrawn);
	assert_int_equal(f->fake.s.n_peers, 1);
	assert_true(has_line(neighbour(f, "192.0.2.7"), "password right"));
	/* Nor does it keep one back. */
	with_service(f->view, "10.1.1.1@n1");
	turn(f);
	spin_until(f, is_announced);
	expect_status(f, "\"established\":true");
	expect_status(f,
	              "\"last_error\":\"password-secret: Secret secrets with the key tor could not "
	              "be read yet; the neighbour stays as bgpd has it\"");
}

static void a_neighbour_of_unknown_password_stays_as_it_is(void **state)
{
	struct fixture *f = *state;
	struct bgp_state before;

	with_service(f->view, "10.1.1.1@n1");
	turn(f);
	spin_until(f, is_announced);
	bgp_state_copy(&before, &f->fake.s);
	with_peers(f->view, PEER("192.0.2.7", WITH_PASSWORD ", hold-time: 9s, peer-port: 1179"));
	turn(f);
	spin_until(f, is_applied_whole);
	assert_true(bgp_state_eq(&f->fake.s, &before));
	/* Known to be missing is not known, either. */
	routes_set_passwords(f->routes, NULL);
	turn(f);
	spin_until(f, is_applied_whole);
	assert_true(bgp_state_eq(&f->fake.s, &before));
	expect_status(f, "there is no Secret secrets with the key tor");
	routes_set_passwords(f->routes, secret_of("other", "right"));
	turn(f);
	spin_until(f, is_applied_whole);
	assert_true(bgp_state_eq(&f->fake.s, &before));
	expect_status(f, "Secret secrets has no key tor");
	routes_set_passwords(f->routes, secret_of("tor", "two words"));
	turn(f);
	spin_until(f, is_applied_whole);
	assert_true(bgp_state_eq(&f->fake.s, &before));
	expect_status(f, "what Secret secrets holds under tor is no password: peer 192.0.2.7: "
	                 "password: character 4 is a blank");
	routes_set_passwords(f->routes, secret_of("tor", "right"));
	turn(f);
	spin_until(f, is_applied_whole);
	assert_true(has_line(neighbour(f, "192.0.2.7"), "port 1179"));
	assert_true(has_line(neighbour(f, "192.0.2.7"), "password right"));
	bgp_state_fini(&before);
}

static void a_new_peer_waits_for_its_password_alone(void **state)
{
	struct fixture *f = *state;

	with_peers(f->view, PEER("192.0.2.7", WITH_PASSWORD) "," PEER(
				    "192.0.2.8", WITH_PASSWORD) "," PEER("192.0.2.9", ""));
	with_service(f->view, "10.1.1.1@n1");
	turn(f);
	spin_until(f, is_announced);
	spin_until(f, is_applied_whole);
	assert_non_null(neighbour(f, "192.0.2.7"));
	assert_null(neighbour(f, "192.0.2.8"));
	assert_non_null(neighbour(f, "192.0.2.9"));
	expect_status(f,
	              "\"last_error\":\"password-secret: Secret secrets with the key tor could not "
	              "be read yet\",\"reason\":\"BgpNoPassword\"");
	routes_set_passwords(f->routes, secret_of("tor", "right"));
	turn(f);
	spin_until(f, is_applied_whole);
	assert_true(has_line(neighbour(f, "192.0.2.8"), "password right"));
}

static void alone_a_peer_without_password_leaves_bgpd_empty(void **state)
{
	struct fixture *f = *state;

	start_bgpd(f);
	routes_await_passwords(f->routes, "secrets");
	with_peers(f->view, PEER("192.0.2.7", WITH_PASSWORD));
	with_service(f->view, "10.1.1.1@n1");
	turn(f);
	spin_until(f, is_empty);
	spin_until(f, is_applied_whole);
	expect_status(f,
	              "{\"connected\":true,\"reason\":\"BgpNoPassword\",\"message\":\""
	              "password-secret: Secret secrets with the key tor could not be read yet\"");
}

/* ---- peers that a node is refused ---- */

static void a_refused_peer_is_told_and_the_others_go_on(void **state)
{
	cleanup(buf_fini) struct buf status = BUF_INIT, message = BUF_INIT;
	struct fixture *f = *state;
	struct addr a;

	start_bgpd(f);
	with_peers(f->view, PEER("192.0.2.7",
	                         "") ",{peer-address: 192.0.2.7, my-asn: 64512, peer-asn: 64599, "
	                             "node-selectors: [{match-labels: {rack: a}}]}");
	with_service(f->view, "10.1.1.1@n1");
	turn(f);
	spin_until(f, is_announced);
	print_status(f->routes, &status);
	assert_null(strstr(buf_str(&status), "peer-2"));
	char rack[] = "rack", in_a[] = "a";
	routes_set_labels(f->routes,
	                  &(struct labels){ .kvs = &(struct label){ rack, in_a }, .n = 1 });
	turn(f);
	spin_until(f, is_announced);
	buf_clear(&status);
	print_status(f->routes, &status);
	assert_non_null(strstr(buf_str(&status), "\"last_error\":\"peer-address 192.0.2.7 is also "
	                                         "that of peer-1\",\"reason\":\"BgpPeerRefused\""));
	addr_parse("198.51.100.1", &a);
	assert_int_equal(routes_reason_of(f->routes, &a, &message), REASON_Announced);
	assert_non_null(strstr(buf_str(&message), "; not to peer-2 (192.0.2.7), BgpPeerRefused: "
	                                          "peer-address 192.0.2.7 is also"));
	assert_int_equal(f->fake.s.n_peers, 1);
	assert_int_equal(f->fake.s.peers[0].remote_as, 64513);
}

static void a_peer_that_bgpd_refuses_hides_no_other(void **state)
{
	struct fixture *f = *state;

	f->fake.refuses = "neighbor 192.0.2.8 port";
	start_bgpd(f);
	with_peers(f->view, PEER("192.0.2.7", "") "," PEER("192.0.2.8", ", peer-port: 1179"));
	with_service(f->view, "10.1.1.1@n1");
	turn(f);
	spin_until(f, is_announced);
	expect_status(f, "\"reason\":\"BgpRefused\",\"message\":\"bgpd refused `neighbor 192.0.2.8 "
	                 "port 1179`");
	expect_status(f, "\"state\":\"Established\"");
	with_service(f->view, "10.1.1.1@n1!");
	turn(f);
	spin_until(f, is_withdrawn);
}

/* ---- what bgpd says of the sessions ---- */

static void what_bgpd_does_not_show_is_not_up(void **state)
{
	static const char unreadable[] = "what bgpd says of its sessions cannot be read";
	static const struct {
		const char *text;
		uint8_t status;
		const char *error;
	} cases[] = {
		{ "{}", 1, "" }, /* as without an instance */
		{ "", 2, unreadable },
		{ "% what?", 0, unreadable },
		{ "{\"ipv4Unicast\":[]}", 0, "" },
		{ "{\"ipv4Unicast\":{\"peers\":{\"192.0.2.7\":{\"state\":\"Established\"}}", 0,
		  unreadable },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		/* After each batch bgpd is asked at once. */
		vty_server_summary(f->server, cases[i].text, cases[i].status);
		with_service(f->view, "10.1.1.1@n1!");
		turn(f);
		spin_until(f, is_withdrawn);
		with_service(f->view, "10.1.1.1@n1");
		turn(f);
		spin_until(f, is_without_session);
		cleanup_free char *error = xasprintf("\"last_error\":\"%s\"", cases[i].error);
		expect_status(f, "\"state\":\"Unknown\",\"established\":false");
		expect_status(f, error);
		vty_server_summary(f->server, NULL, 0);
		spin_until(f, is_announced);
	}
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

/* ---- many changes in a row ---- */

#define MANY 1000
#define MORE 300

static bool has_many(const struct fixture *f)
{
	return f->fake.s.n_networks == MANY && is_applied_whole(f);
}

static bool has_more(const struct fixture *f)
{
	return f->fake.s.n_networks == MANY + MORE + 1 && is_applied_whole(f);
}

static void with_one_of_many(struct fixture *f, unsigned int i)
{
	char name[16], address[24];

	snprintf(name, sizeof(name), "s%u", i);
	snprintf(address, sizeof(address), "10.64.%u.%u", i / 250, i % 250);
	world_service(f->view, name, address, "");
	world_slice(f->view, name, name, "10.1.1.1@n1");
}

static int set_up_many(void **state)
{
	struct fixture *f = fixture_new();

	start_bgpd(f);
	world_put(
		f->view,
		"{'kind':'ConfigMap','metadata':{'namespace':'fairlead-system',"
		"'name':'fairlead-active','uid':'u'},'data':{'config':'"
		"peers: [" PEER(
			"192.0.2.7",
			"") "]\\n"
			    "address-pools:\\n"
			    "- {name: far, protocol: bgp, addresses: [10.64.0.0/16, 198.51.100.0/24]}"
			    "\\n'}}");
	for (unsigned int i = 0; i < MANY; i++)
		with_one_of_many(f, i);
	turn(f);
	spin_until(f, has_many);
	*state = f;
	return 0;
}

static unsigned long long n_published(const struct fixture *f)
{
	cleanup(buf_fini) struct buf status = BUF_INIT;

	unsigned long long n = 0;

	print_status(f->routes, &status);
	sscanf(strstr(buf_str(&status), "\"generation\":"), "\"generation\":%llu", &n);
	return n;
}

/* A publication has all prefixes: with a thousand there is at most one in ten milliseconds. */
static void many_changes_in_a_row_are_published_together(void **state)
{
	struct fixture *f = *state;

	uint64_t before = n_published(f);
	int64_t start_ms = clock_ms();

	for (unsigned int i = MANY; i < MANY + MORE; i++) {
		with_one_of_many(f, i);
		turn(f);
	}
	int64_t took_ms = clock_ms() - start_ms;
	assert_in_range(n_published(f) - before, 1, (uint64_t)took_ms / 10 + 2);
	/* The last is not forgotten. */
	with_service(f->view, "10.1.1.1@n1");
	turn(f);
	spin_until(f, has_more);
}

static bool has_web(const struct fixture *f)
{
	const struct announcement *a = announce_of(f->announce, "shop/web");

	return a && a->reason == REASON_Announced;
}

/* Rules wait for a withdrawal that is not even published yet. */
static void rules_wait_for_what_is_put_off(void **state)
{
	struct fixture *f = *state;

	with_service(f->view, "10.1.1.1@n1");
	turn(f);
	spin_until(f, has_web);
	with_one_of_many(f, MANY);
	turn(f); /* publishes, so the next change may be put off */
	with_service(f->view, "10.1.1.1@n1!");
	int64_t held_ms = clock_ms();
	assert_true(turn(f));
	spin_until(f, is_released);
	/* Unless they have waited for as long as they may. */
	if (clock_ms() - held_ms < ROUTES_HOLD_MS)
		assert_int_equal(f->fake.s.n_networks, MANY + 1);
}

/* ---- any order of events ---- */

#define CHAOS_ROUNDS 6
#define CHAOS_EVENTS 30

static unsigned int any(unsigned int *seed, unsigned int bound)
{
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 16) % bound;
}

enum { CHAOS_NO_PEER, CHAOS_ONE, CHAOS_WITH_PASSWORD, CHAOS_TWO, CHAOS_OTHER_ASN, CHAOS_ON_RACK };
static const char *const any_peers[] = {
	[CHAOS_NO_PEER] = "",
	[CHAOS_ONE] = PEER("192.0.2.7", ""),
	[CHAOS_WITH_PASSWORD] = PEER("192.0.2.7", WITH_PASSWORD),
	[CHAOS_TWO] = PEER("192.0.2.7", "") "," PEER("192.0.2.8", WITH_PASSWORD),
	[CHAOS_OTHER_ASN] = "{peer-address: 192.0.2.7, my-asn: 64999, peer-asn: 64513}",
	[CHAOS_ON_RACK] = PEER("192.0.2.7", ", node-selectors: [{match-labels: {rack: a}}]"),
};

/* What the world is like. */
struct chaos {
	unsigned int seed, peers;
	bool up[3], secret, rack, hung;
};

static void chaos_service(struct fixture *f, struct chaos *c, unsigned int i)
{
	static const char *const names[] = { "web", "two", "three" };
	char ip[32], slice[8];

	snprintf(ip, sizeof(ip), "198.51.100.%u", i + 1);
	snprintf(slice, sizeof(slice), "s%u", i);
	world_service(f->view, names[i], ip, "");
	world_slice(f->view, names[i], slice, c->up[i] ? "10.1.1.1@n1" : "10.1.1.1@n1!");
}

static void chaos_labels(struct fixture *f, const struct chaos *c)
{
	char rack[] = "rack", in_a[] = "a";

	routes_set_labels(f->routes,
	                  &(struct labels){ .kvs = &(struct label){ rack, in_a }, .n = c->rack });
}

static void chaos_begin(struct fixture *f, struct chaos *c)
{
	begin(f);
	routes_await_passwords(f->routes, "secrets");
	chaos_labels(f, c);
	if (c->secret)
		routes_set_passwords(f->routes, secret_of("tor", "right"));
	with_pool(f->view, any_peers[c->peers], "");
	for (unsigned int i = 0; i < 3; i++)
		chaos_service(f, c, i);
}

static void chaos_event(struct fixture *f, struct chaos *c)
{
	unsigned int i = any(&c->seed, 3);

	/* More often than anything else Services come and go. */
	switch (any(&c->seed, 9)) {
	case 0:
	case 1:
		c->up[i] = !c->up[i];
		chaos_service(f, c, i);
		break;
	case 2:
		c->peers = any(&c->seed, ARRAY_LEN(any_peers));
		with_pool(f->view, any_peers[c->peers], "");
		break;
	case 3:
		c->rack = !c->rack;
		chaos_labels(f, c);
		break;
	case 4:
		c->secret = true;
		routes_set_passwords(f->routes, secret_of("tor", "right"));
		break;
	case 5:
		c->secret = false;
		end(f);
		f->unwritten = any(&c->seed, 2);
		chaos_begin(f, c);
		break;
	case 6:
		if (f->server)
			vty_server_stop(TAKE(f->server));
		else
			start_bgpd(f);
		c->hung = false;
		break;
	case 7:
		if (f->server)
			vty_server_hang(f->server, c->hung = !c->hung);
		break;
	default:
		f->unwritten = !f->unwritten;
	}
}

static bool is_right(const struct fixture *f)
{
	const struct chaos *c = f->chaos;
	const struct bgp_state *s = &f->fake.s;
	size_t n = 0;

	if (c->peers == CHAOS_NO_PEER || (c->peers == CHAOS_ON_RACK && !c->rack))
		return is_empty(f);
	for (unsigned int i = 0; i < 3; i++)
		n += c->up[i];
	return is_applied_whole(f) && s->n_networks == n &&
	       s->n_peers == (c->peers == CHAOS_TWO ? 2 : 1) &&
	       s->asn == (c->peers == CHAOS_OTHER_ASN ? 64999 : 64512);
}

static void any_order_of_events_ends_well(void **state)
{
	const struct timeval tick = { .tv_usec = 1000 };
	struct fixture *f = *state;
	struct chaos c = { .seed = 0 };

	f->chaos = &c;
	start_bgpd(f);
	end(f);
	chaos_begin(f, &c);
	for (unsigned int round = 1; round <= CHAOS_ROUNDS; round++) {
		c.seed = round;
		for (unsigned int k = 0; k < CHAOS_EVENTS; k++) {
			chaos_event(f, &c);
			turn(f);
			for (unsigned int i = any(&c.seed, 6); i; i--) {
				event_base_loopexit(f->base, &tick);
				event_base_dispatch(f->base);
				turn(f);
				routes_release(f->routes, ignore_gone, f);
			}
			assert_int_equal(f->fake.violations, 0);
			const struct bgp_peer *secured = neighbour(f, "192.0.2.8");
			assert_true(!secured || has_line(secured, "password right"));
		}
		if (!f->server)
			start_bgpd(f);
		vty_server_hang(f->server, c.hung = false);
		f->unwritten = false;
		c.secret = true;
		routes_set_passwords(f->routes, secret_of("tor", "right"));
		turn(f);
		spin_until(f, is_right);
	}
}

static struct prefix prefix(const char *text)
{
	struct prefix p;

	assert_int_equal(prefix_parse(text, false, &p), 0);
	return p;
}

/*
 * Where a router is between the node and the rest of an aggregate, packets to unused addresses of
 * it end at the node.
 */
static void aggregates_outside_the_nodes_subnets_end_here(void **state)
{
	static const char *const subnets[] = { "192.168.1.0/24", "10.0.0.0/8", "2001:db8::/64" };
	static const struct {
		const char *aggregate;
		bool needed;
	} rows[] = {
		{ "198.51.100.0/24", true },   { "198.51.100.8/31", true },
		{ "198.51.100.8/32", false }, /* it is used */
		{ "192.168.1.240/28", false }, { "192.168.1.0/24", false },
		{ "192.168.0.0/16", true }, /* the subnet's own route is more specific */
		{ "10.9.0.0/16", false },      { "2001:db8::100/120", false },
		{ "2001:db8:1::/64", true },   { "2001:db8::1/128", false },
		{ "0.0.0.0/0", false }, /* that would be everything */
	};
	struct prefix p[ARRAY_LEN(subnets)];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(subnets); i++)
		p[i] = prefix(subnets[i]);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct prefix a = prefix(rows[i].aggregate);
		if (sinks_is_needed(&a, p, ARRAY_LEN(p)) != rows[i].needed)
			fail_msg("%s", rows[i].aggregate);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aggregates_outside_the_nodes_subnets_end_here),
		cmocka_unit_test_setup_teardown(a_node_has_its_router_id, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_peer_removed_meanwhile_goes, set_up_announced,
		                                tear_down),
		cmocka_unit_test_setup_teardown(what_bgpd_gets_late_goes_too, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_a_configuration_nothing_goes,
		                                set_up_announced, tear_down),
		cmocka_unit_test_setup_teardown(without_peer_or_bgpd_there_is_no_bgp, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(a_peer_may_go_and_come_back, set_up_announced,
		                                tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_gone_is_withdrawn_before_the_data_plane_changes, set_up_successor,
			tear_down),
		cmocka_unit_test_setup_teardown(
			another_prefix_takes_the_place_of_the_old_one_at_once, set_up_announced,
			tear_down),
		cmocka_unit_test_setup_teardown(a_configuration_that_comes_late_withdraws_nothing,
		                                set_up_announced, tear_down),
		cmocka_unit_test_setup_teardown(
			a_hung_bgpd_does_not_keep_the_data_plane_waiting_for_ever, set_up_successor,
			tear_down),
		cmocka_unit_test_setup_teardown(a_dead_bgpd_does_not_keep_the_data_plane_waiting,
		                                set_up_successor, tear_down),
		cmocka_unit_test_setup_teardown(without_bgp_the_data_plane_waits_for_nothing,
		                                set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_unreadable_secret_keeps_no_route,
		                                set_up_unreadable, tear_down),
		cmocka_unit_test_setup_teardown(a_neighbour_of_unknown_password_stays_as_it_is,
		                                set_up_unreadable, tear_down),
		cmocka_unit_test_setup_teardown(a_new_peer_waits_for_its_password_alone,
		                                set_up_unreadable, tear_down),
		cmocka_unit_test_setup_teardown(alone_a_peer_without_password_leaves_bgpd_empty,
		                                set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_refused_peer_is_told_and_the_others_go_on, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(a_peer_that_bgpd_refuses_hides_no_other, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(any_order_of_events_ends_well, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_bgpd_does_not_show_is_not_up, set_up_announced,
		                                tear_down),
		cmocka_unit_test_setup_teardown(rules_wait_for_the_withdrawal, set_up_announced,
		                                tear_down),
		cmocka_unit_test_setup_teardown(rules_do_not_wait_for_ever, set_up_held, tear_down),
		cmocka_unit_test_setup_teardown(rules_do_not_wait_for_a_dead_bgpd, set_up_held,
		                                tear_down),
		cmocka_unit_test_setup_teardown(many_changes_in_a_row_are_published_together,
		                                set_up_many, tear_down),
		cmocka_unit_test_setup_teardown(rules_wait_for_what_is_put_off, set_up_many,
		                                tear_down),
	};

	signal(SIGPIPE, SIG_IGN); /* as in the speaker; either end may write to one that is gone */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
