/* SPDX-License-Identifier: Apache-2.0 */
/* To whom packets go that this node cannot place. */
#include "config.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "speaker/former.h"

#define NODES 3

static const char *const names[NODES] = { "self", "node-b", "node-c" };

struct scene {
	struct former *f;
	struct l2_state states[4];
	struct l2_peer peers[NODES];
	struct l2_segment segments[1];
	size_t n_states, n_peers;
	int64_t now;
};

static struct addr v4(uint8_t last)
{
	return (struct addr){ .family = 4, .b = { 10, 0, 0, last } };
}

static struct addr v6(uint8_t last)
{
	return (struct addr){ .family = 6, .b = { [0] = 0xfe, [1] = 0x80, [15] = last } };
}

static void peer(struct scene *s, size_t i, bool alive)
{
	struct l2_peer *p = &s->peers[i];

	*p = (struct l2_peer){ .mac = { 2, 0, 0, 0, 0, (uint8_t)i },
		               .own4 = v4((uint8_t)(100 + i)),
		               .own6 = v6((uint8_t)(100 + i)),
		               .alive = alive };
	snprintf(p->node, sizeof(p->node), "%s", names[i]);
	snprintf(p->interface, sizeof(p->interface), "eth0");
}

static void state(struct scene *s, size_t i, enum l2_ownership ownership, const char *owner)
{
	s->states[i].ownership = ownership;
	snprintf(s->states[i].owner, sizeof(s->states[i].owner), "%s", owner);
}

static void begin(struct scene *s)
{
	*s = (struct scene){ .f = former_new(), .n_states = 2, .n_peers = 2, .now = 1000 };
	s->states[0].addr = v4(1);
	s->states[1].addr = v6(1);
	for (size_t i = 0; i < s->n_states; i++) {
		snprintf(s->states[i].interface, sizeof(s->states[i].interface), "eth0");
		state(s, i, L2_OTHER, "node-b");
	}
	peer(s, 0, true);
	for (size_t i = 0; i < s->n_peers; i++)
		peer(s, i + 1, true);
	/* This node is none of its own peers. */
	memmove(s->peers, s->peers + 1, 2 * sizeof(*s->peers));
	s->segments[0] = (struct l2_segment){ .interface = "eth0", .index = 7 };
}

static void update(struct scene *s)
{
	const struct former_news news = { s->states,  s->n_states, s->peers,
		                          s->n_peers, s->segments, 1 };

	former_update(s->f, s->now, &news);
}

/* The ways lead to these, in the order of addresses; 0: there is none any more. */
static void expect(struct scene *s, uint8_t to4, uint8_t to6)
{
	size_t n, at = 0;
	const struct relay_way *ways;

	update(s);
	ways = former_ways(s->f, &n);
	assert_int_equal(n, (to4 > 0) + (to6 > 0));
	if (to4) {
		assert_true(addr_eq(&ways[at].addr, &s->states[0].addr));
		assert_int_equal(ways[at].interface, 7);
		assert_int_equal(ways[at].gateway.family, 4);
		assert_int_equal(ways[at++].gateway.b[3], to4);
	}
	if (to6) {
		assert_true(addr_eq(&ways[at].addr, &s->states[1].addr));
		assert_int_equal(ways[at].gateway.family, 6);
		assert_int_equal(ways[at].gateway.b[15], to6);
	}
}

static void own_all(struct scene *s)
{
	for (size_t i = 0; i < s->n_states; i++)
		state(s, i, L2_OWNER, "self");
}

/* It is there before it is needed, and goes when it is not needed any more. */
static void the_owner_before_gets_what_it_knows(void **unused)
{
	struct scene s;
	struct former_address a;
	size_t at = 0;

	(void)unused;
	begin(&s);
	expect(&s, 101, 101);
	assert_false(former_next(s.f, &at, &a));
	own_all(&s);
	expect(&s, 101, 101);
	at = 0;
	assert_true(former_next(s.f, &at, &a));
	assert_string_equal(a.node, "node-b");
	assert_int_equal(a.until_ms, s.now + FORMER_GRACE_MS);
	s.now += FORMER_GRACE_MS - 1;
	expect(&s, 101, 101);
	s.now++;
	expect(&s, 0, 0);
	/* For good. */
	s.now++;
	expect(&s, 0, 0);
	former_free(s.f);
}

/* On the way to a takeover an address may belong to nobody for a moment. */
static void a_moment_without_an_owner_changes_nothing(void **unused)
{
	struct scene s;

	(void)unused;
	begin(&s);
	expect(&s, 101, 101);
	state(&s, 0, L2_WAITING, "");
	state(&s, 1, L2_PROBING, "");
	expect(&s, 101, 101);
	own_all(&s);
	expect(&s, 101, 101);
	former_free(s.f);
}

static void a_dead_node_gets_nothing(void **unused)
{
	struct scene s;

	(void)unused;
	begin(&s);
	expect(&s, 101, 101);
	s.peers[0].alive = false;
	expect(&s, 0, 0);
	own_all(&s);
	expect(&s, 0, 0);
	/* Nor when it is back: it knows no connections any more. */
	s.peers[0].alive = true;
	expect(&s, 0, 0);
	former_free(s.f);
}

static void a_node_that_restarts_its_speaker_forwards_on(void **unused)
{
	struct scene s;

	(void)unused;
	begin(&s);
	own_all(&s);
	expect(&s, 0, 0);
	state(&s, 0, L2_OTHER, "node-b");
	expect(&s, 101, 0);
	own_all(&s);
	s.peers[0].alive = false;
	s.peers[0].restarting = true;
	expect(&s, 101, 0);
	former_free(s.f);
}

static void a_third_node_takes_the_place_of_the_second(void **unused)
{
	struct scene s;

	(void)unused;
	begin(&s);
	expect(&s, 101, 101);
	state(&s, 0, L2_OTHER, "node-c");
	expect(&s, 102, 101);
	own_all(&s);
	expect(&s, 102, 101);
	former_free(s.f);
}

/* Of which only one family is known: the other has no way, and gets one when it is. */
static void a_family_without_an_address_has_no_way(void **unused)
{
	struct scene s;

	(void)unused;
	begin(&s);
	s.peers[0].own6 = (struct addr){ 0 };
	expect(&s, 101, 0);
	s.peers[0].own6 = v6(9);
	expect(&s, 101, 9);
	former_free(s.f);
}

static void what_is_gone_is_forgotten(void **unused)
{
	struct scene s;
	size_t n;

	(void)unused;
	begin(&s);
	expect(&s, 101, 101);
	s.segments[0].index = 8;
	update(&s);
	assert_int_equal(former_ways(s.f, &n)[0].interface, 8);
	s.segments[0].index = 7;
	s.n_states = 1;
	expect(&s, 101, 0);
	s.n_states = 0;
	expect(&s, 0, 0);
	former_free(s.f);
}

/* A restart within the time: the peers are not known at once. */
static void what_the_kernel_has_stands_after_a_restart(void **unused)
{
	struct scene s;
	struct relay_way way = { .addr = v4(1), .interface = 7, .gateway = v4(101) };
	struct former_address a;
	size_t at = 0;

	(void)unused;
	begin(&s);
	former_adopt(s.f, s.now, &way, 1);
	own_all(&s);
	s.n_peers = 0;
	expect(&s, 101, 0);
	s.n_peers = 2;
	expect(&s, 101, 0);
	assert_true(former_next(s.f, &at, &a));
	assert_string_equal(a.node, "node-b");
	s.peers[0].alive = false;
	expect(&s, 0, 0);
	former_free(s.f);

	begin(&s);
	former_adopt(s.f, s.now, &way, 1);
	own_all(&s);
	s.n_peers = 0;
	s.now += FORMER_GRACE_MS;
	expect(&s, 0, 0);
	former_free(s.f);
}

/* Whoever they are: what one of them sends is not handed on. */
static void all_nodes_are_known(void **unused)
{
	struct scene s;
	const struct relay_node *nodes;
	size_t n;

	(void)unused;
	begin(&s);
	s.peers[1].alive = false;
	s.peers[2] = s.peers[0];
	s.n_peers = 3;
	update(&s);
	nodes = former_nodes(s.f, &n);
	assert_int_equal(n, 2);
	assert_int_equal(nodes[0].mac[5], 1);
	assert_int_equal(nodes[1].mac[5], 2);
	former_free(s.f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_owner_before_gets_what_it_knows),
		cmocka_unit_test(a_moment_without_an_owner_changes_nothing),
		cmocka_unit_test(a_dead_node_gets_nothing),
		cmocka_unit_test(a_node_that_restarts_its_speaker_forwards_on),
		cmocka_unit_test(a_third_node_takes_the_place_of_the_second),
		cmocka_unit_test(a_family_without_an_address_has_no_way),
		cmocka_unit_test(what_is_gone_is_forgotten),
		cmocka_unit_test(what_the_kernel_has_stands_after_a_restart),
		cmocka_unit_test(all_nodes_are_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
