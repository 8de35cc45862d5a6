/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * How much work it is to know whose turn it is, on a segment with many nodes and addresses: bounded
 * by what has changed, not by how many messages tell it.
 */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "claims/private.h"
#include "fairlead/mem.h"

#define PEERS 49
#define NODES (PEERS + 1)
#define ADDRESSES 2000
#define HEARTBEAT_MS 70
/* To gather everything once: each address, and its candidates at most. */
#define ALL ((uint64_t)ADDRESSES * (1 + NODES))

/* Our node is the first one, which may own nothing; the others share the addresses. */
static struct {
	struct member member;
	struct claims claims;
	char text[NODES][16];
	const char *names[NODES];
	uint16_t candidates[NODES];
	struct l2_want wants[ADDRESSES];
	const struct l2_want *pointers[ADDRESSES];
	struct l2_snapshot view;
	int64_t now, beat_at_ms;
	struct {
		bool silent;
		uint8_t flags;
		uint32_t seq, n_claims;
		uint64_t digest;
	} peers[PEERS];
} w;

static struct wire_claim claim_of(size_t a, uint32_t epoch, uint8_t flags)
{
	return (struct wire_claim){ .addr = w.wants[a].addr,
		                    .identity = w.wants[a].identity,
		                    .epoch = epoch,
		                    .flags = flags };
}

/* The peer says something, with what a message has. */
static void hear(size_t i, struct wire_msg *msg)
{
	struct member_peer *p = NULL;

	msg->version = 2;
	msg->flags = w.peers[i].flags;
	snprintf(msg->name, sizeof(msg->name), "%s", w.names[i + 1]);
	msg->mac[5] = (uint8_t)(i + 1);
	msg->incarnation = i + 1;
	msg->seq = ++w.peers[i].seq;
	msg->digest = w.peers[i].digest;
	msg->n_claims = w.peers[i].n_claims;
	const struct member_peer *known = member_find(&w.member, msg->name);
	enum member_state was = known ? known->state : MEMBER_DEAD;
	enum member_verdict verdict = member_receive(&w.member, w.now, msg, &p);
	assert_true(verdict == MEMBER_NEW || verdict == MEMBER_BELIEVED);
	claims_receive(&w.claims, w.now, p, was, verdict == MEMBER_NEW, msg);
}

static void beat(size_t i)
{
	struct wire_msg msg = { .type = WIRE_HEARTBEAT,
		                .heartbeat_ms = HEARTBEAT_MS,
		                .multiplier = 5,
		                .more = WIRE_SETTLED,
		                .n = 1,
		                .echoes = { { w.member.opts.incarnation, w.member.seq, true } } };

	hear(i, &msg);
}

/* The peer has the address, or lets go of it. */
static void tell(size_t i, size_t a, bool gone)
{
	struct wire_claim claim = claim_of(a, 1, 0);
	struct wire_msg msg = { .type = WIRE_DELTA, .n = 1 };

	w.peers[i].digest += gone ? 0 - claim_digest(&claim) : claim_digest(&claim);
	w.peers[i].n_claims += gone ? UINT32_MAX : 1;
	claim.flags |= gone ? WIRE_CLAIM_GONE : 0;
	msg.claims[0] = claim;
	hear(i, &msg);
}

static void on_event(struct member_peer *p, enum member_event event, void *arg)
{
	(void)arg;
	claims_peer_event(&w.claims, w.now, p, event);
}

static void tick(void)
{
	struct wire_msg msg;

	member_tick(&w.member, w.now, on_event, NULL);
	claims_tick(&w.claims, w.now);
	while (claims_next_message(&w.claims, &msg))
		;
	w.claims.n_actions = 0;
}

static void run(int64_t ms)
{
	for (int64_t end = w.now + ms; w.now < end; w.now++) {
		if (w.now >= w.beat_at_ms) {
			struct wire_msg msg;
			w.beat_at_ms = w.now + HEARTBEAT_MS;
			member_beat(&w.member, w.now, &msg);
			for (size_t i = 0; i < PEERS; i++)
				if (!w.peers[i].silent)
					beat(i);
		}
		tick();
	}
}

static size_t owner_of(size_t a)
{
	return a % PEERS;
}

static int setup(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	w.now = 1000;
	for (size_t i = 0; i < NODES; i++) {
		snprintf(w.text[i], sizeof(w.text[i]), "node-%02zu", i);
		w.names[i] = w.text[i];
		w.candidates[i] = (uint16_t)i;
	}
	for (size_t a = 0; a < ADDRESSES; a++) {
		struct l2_want *x = &w.wants[a];
		x->addr =
			(struct addr){ .family = 4, .b = { 10, 0, (uint8_t)(a >> 8), (uint8_t)a } };
		x->identity = (struct identity){ .since_us = 1 };
		memcpy(x->identity.id, x->addr.b, 4);
		x->eligible = true;
		x->candidates = w.candidates;
		x->n_candidates = NODES;
		w.pointers[a] = x;
	}
	w.view = (struct l2_snapshot){ .nodes = w.names, .n_nodes = NODES, .view_fresh = true };
	struct member_options mo = { .node = w.names[0],
		                     .incarnation = 1000,
		                     .seed = 1,
		                     .heartbeat_ms = HEARTBEAT_MS,
		                     .multiplier = 5,
		                     .restart_hold_ms = 5000 };
	struct claims_options co = { .node = w.names[0],
		                     .timing = { HEARTBEAT_MS, 5, 25 },
		                     .restart_hold_ms = 5000,
		                     .first_use_probe = true };
	member_init(&w.member, &mo, w.now);
	claims_init(&w.claims, &co, &w.member);
	for (size_t i = 0; i < PEERS; i++)
		w.peers[i].flags = WIRE_FRESH;
	/* The peers are there, and have what is to be had. */
	claims_listen(&w.claims, w.now);
	run(1);
	for (size_t a = 0; a < ADDRESSES; a++)
		tell(owner_of(a), a, false);
	claims_set_wants(&w.claims, w.now, &w.view, w.pointers, ADDRESSES);
	run(1500);
	assert_true(w.claims.ready && w.claims.synced);
	assert_int_equal(w.claims.n_owned, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	claims_fini(&w.claims);
	member_fini(&w.member);
	return 0;
}

/* While nothing is without an owner, nobody asks whose turn it is. */
static void what_is_owned_is_not_looked_at(void **state)
{
	(void)state;
	uint64_t before = order_steps(&w.claims);
	run(5000);
	claims_set_wants(&w.claims, w.now, &w.view, w.pointers, ADDRESSES);
	assert_int_equal(order_steps(&w.claims), before);
}

/* An address that passes on takes a look at its candidates, whatever else there is. */
static void one_that_passes_on_takes_a_look_at_its_candidates(void **state)
{
	(void)state;
	/*
	 * Who lets go for the first time is taken out of all: once, and once more when that is
	 * over.
	 */
	tell(0, 0, true);
	run(1);
	tell(1, 0, false);
	uint64_t before = order_steps(&w.claims);
	for (size_t k = 1; k < 20; k++) {
		size_t a = k * PEERS; /* of peer 0 */
		tell(0, a, true);
		tick();
		tell(1 + k % 40, a, false);
		tick();
	}
	assert_in_range(order_steps(&w.claims) - before, 19, 19 * 2 * NODES);
}

/* However many peers come, or are heard no more, together. */
static void those_that_die_together_are_one_change(void **state)
{
	(void)state;
	uint64_t before = order_steps(&w.claims);
	for (size_t i = 10; i < PEERS; i++)
		w.peers[i].silent = true;
	run(5 * HEARTBEAT_MS + 20);
	/*
	 * Gathered once when they are found dead, and what they had is looked at; it waits its
	 * turn.
	 */
	assert_in_range(order_steps(&w.claims) - before, ADDRESSES, 3 * ALL);

	/* They return, all listening, and listen to the end in one moment. */
	before = order_steps(&w.claims);
	for (size_t i = 10; i < PEERS; i++)
		w.peers[i].silent = false;
	run(HEARTBEAT_MS);
	assert_in_range(order_steps(&w.claims) - before, 0, 3 * ALL);
}

/*
 * Flags that come and go with each peer's heartbeat are gathered once for all that came in a turn.
 */
static void news_of_all_peers_are_gathered_once(void **state)
{
	(void)state;
	/* One address has no owner, and we are not the first for it. */
	tell(0, 0, true);
	run(1);
	uint64_t before = order_steps(&w.claims);
	for (size_t i = 0; i < PEERS; i++) {
		w.peers[i].flags = WIRE_FRESH | WIRE_LISTENING;
		beat(i);
	}
	tick();
	assert_in_range(order_steps(&w.claims) - before, 0, 2 * ALL);
}

/* What is owned in parts stays: however much that is, all is looked through once. */
static void what_is_split_is_looked_at_once(void **state)
{
	(void)state;
	const size_t n_split = ADDRESSES - 20;
	struct order_move m;

	for (size_t a = 1; a < n_split; a += 2) {
		struct wire_claim before = claim_of(a, 1, 0);
		w.peers[owner_of(a)].digest -= claim_digest(&before);
		w.peers[owner_of(a)].n_claims--;
		w.wants[a].identity = w.wants[a - 1].identity;
		tell(owner_of(a), a, false);
	}
	claims_set_wants(&w.claims, w.now, &w.view, w.pointers, ADDRESSES);
	uint64_t before = order_steps(&w.claims);
	assert_true(order_next_move(&w.claims, w.now, NULL, &m));
	assert_int_equal(m.n, 1);
	assert_in_range(order_steps(&w.claims) - before, ADDRESSES, 2 * ALL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_owned_is_not_looked_at, setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_passes_on_takes_a_look_at_its_candidates,
		                                setup, teardown),
		cmocka_unit_test_setup_teardown(those_that_die_together_are_one_change, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(what_is_split_is_looked_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(news_of_all_peers_are_gathered_once, setup,
		                                teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
