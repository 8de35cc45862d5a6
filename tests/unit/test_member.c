/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Who is known on a segment when there are very many, or when somebody replays what he recorded:
 * two speakers in virtual time, between them a recorder that says rightly signed, but old, things
 * to both.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "fairlead/mem.h"
#include "fairlead/member.h"

#define HEARTBEAT_MS 70
#define MULTIPLIER 5
/*
 * A node that starts is known after so long where nobody replays anything; and where somebody does.
 */
#define QUIET_MS 300
#define FLOODED_MS 15000

static const char *const nodes[] = { "node-a", "node-b", "node-c", "node-d" };

static struct member_options options_of(const char *node, uint64_t incarnation)
{
	return (struct member_options){ .node = node,
		                        .incarnation = incarnation,
		                        .seed = incarnation * 77,
		                        .heartbeat_ms = HEARTBEAT_MS,
		                        .multiplier = MULTIPLIER,
		                        .restart_hold_ms = 5000 };
}

static void on_event(struct member_peer *p, enum member_event event, void *arg)
{
	(void)p;
	*(size_t *)arg += event == MEMBER_FORGOTTEN;
}

/* ---- replays ---- */

enum names { NAMES_GONE, NAMES_OF_THE_PEER, NAMES_KNOWN, NAMES_MIXED };

/* The i-th recorded incarnation. */
static struct wire_msg recorded(enum names names, size_t i, uint32_t seq, const char *peer)
{
	struct wire_msg m = { .type = WIRE_HEARTBEAT, .incarnation = 1000000 + i, .seq = seq };

	if (names == NAMES_MIXED)
		names = (enum names)(i % NAMES_MIXED);
	switch (names) {
	case NAMES_GONE:
	case NAMES_MIXED:
		snprintf(m.name, sizeof(m.name), "gone-%zu", i / 3);
		break;
	case NAMES_OF_THE_PEER:
		strcpy(m.name, peer);
		break;
	case NAMES_KNOWN:
		strcpy(m.name, nodes[2 + i % 2]);
		break;
	}
	return m;
}

struct pair {
	struct member m[2];
	bool knows[2];
	uint32_t n_said;
};

static void say(struct pair *p, size_t from, int64_t now)
{
	struct wire_msg msg = { 0 };
	struct member_peer *peer;

	member_beat(&p->m[from], now, &msg);
	enum member_verdict v = member_receive(&p->m[!from], now, &msg, &peer);
	p->knows[!from] |= v == MEMBER_NEW || v == MEMBER_BELIEVED;
}

/*
 * How long until both know each other, while @n incarnations are replayed, @per_ms messages in a
 * millisecond.
 */
static int64_t meeting_ms(enum names names, size_t n, size_t per_ms, uint64_t seed)
{
	struct pair p = { 0 };
	struct member_peer *peer;
	size_t next = 0;
	int64_t now = 0;

	for (size_t i = 0; i < 2; i++) {
		struct member_options o = options_of(nodes[i], 1 + 2 * seed + i);
		member_init(&p.m[i], &o, 0);
		member_set_nodes(&p.m[i], nodes, ARRAY_LEN(nodes));
	}
	for (; now < 60000 && !(p.knows[0] && p.knows[1]); now++) {
		/* They were there before the two start. */
		for (size_t k = 0; n > 0 && k < per_ms; k++, next++)
			for (size_t i = 0; i < 2; i++) {
				struct wire_msg m = recorded(names, next % n,
				                             1 + (uint32_t)(next / n), nodes[!i]);
				member_receive(&p.m[i], now, &m, &peer);
			}
		for (size_t i = 0; now >= 200 && i < 2; i++)
			if (member_beat_due(&p.m[i], now))
				say(&p, i, now);
	}
	member_fini(&p.m[0]);
	member_fini(&p.m[1]);
	return now - 200;
}

static void replays_keep_nobody_from_being_known(void **state)
{
	(void)state;
	static const struct {
		enum names names;
		size_t n, per_ms;
		int64_t max_ms;
	} cases[] = {
		{ NAMES_GONE, 0, 0, QUIET_MS },
		{ NAMES_GONE, 33, 1, QUIET_MS },
		{ NAMES_GONE, 100, 1, QUIET_MS },
		{ NAMES_GONE, 1000, 10, QUIET_MS },
		{ NAMES_KNOWN, 33, 1, QUIET_MS },
		{ NAMES_KNOWN, 1000, 10, QUIET_MS },
		{ NAMES_OF_THE_PEER, 33, 1, FLOODED_MS },
		{ NAMES_OF_THE_PEER, 100, 1, FLOODED_MS },
		{ NAMES_OF_THE_PEER, 1000, 1, FLOODED_MS },
		{ NAMES_OF_THE_PEER, 1000, 5, FLOODED_MS },
		{ NAMES_MIXED, 100, 1, FLOODED_MS },
		{ NAMES_MIXED, 1000, 5, FLOODED_MS },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (uint64_t seed = 0; seed < 20; seed++) {
			int64_t ms = meeting_ms(cases[i].names, cases[i].n, cases[i].per_ms, seed);
			if (ms > cases[i].max_ms)
				fail_msg("case %zu, seed %d: %d ms", i, (int)seed, (int)ms);
		}
}

/* Strangers are answered out of turn, but those that never prove themselves do not set the pace. */
static void replays_do_not_keep_a_node_busy(void **state)
{
	(void)state;
	struct member_options o = options_of("node-a", 1);
	struct member m;
	struct member_peer *peer;
	struct wire_msg beat = { 0 };
	size_t n = 0;
	member_init(&m, &o, 0);
	for (int64_t now = 0; now < 10000; now++) {
		struct wire_msg msg = recorded(NAMES_MIXED, (size_t)now, 1, "node-b");
		member_receive(&m, now, &msg, &peer);
		if (!member_beat_due(&m, now))
			continue;
		member_beat(&m, now, &beat);
		n++;
	}
	/* 60 in a row, one more each 100 ms, and those that are due anyway. */
	if (n > 60 + 100 + (size_t)(10000 / o.heartbeat_ms) + 1)
		fail_msg("%zu heartbeats", n);
	member_fini(&m);
}

/*
 * What a peer said before it started anew proves nothing any more, though it repeats a number of
 * ours that is still recent.
 */
static void a_former_incarnation_does_not_come_back(void **state)
{
	(void)state;
	struct pair p = { 0 };
	struct wire_msg old = { 0 };
	struct member_peer *peer;
	int64_t now = 200;
	for (size_t i = 0; i < 2; i++) {
		struct member_options o = options_of(nodes[i], 1 + i);
		member_init(&p.m[i], &o, 0);
	}
	for (; !(p.knows[0] && p.knows[1]); now += 20) {
		say(&p, 0, now);
		say(&p, 1, now);
	}
	say(&p, 0, now);
	member_beat(&p.m[1], now, &old); /* kept by somebody, and not heard */
	member_fini(&p.m[1]);
	struct member_options o = options_of(nodes[1], 3);
	member_init(&p.m[1], &o, now);
	for (p.knows[1] = false;
	     !p.knows[1] || member_find(&p.m[0], nodes[1])->incarnation != p.m[1].opts.incarnation;
	     now += 20) {
		say(&p, 0, now);
		say(&p, 1, now);
	}
	assert_int_equal(member_receive(&p.m[0], now, &old, &peer), MEMBER_REPLAYED);
	member_fini(&p.m[0]);
	member_fini(&p.m[1]);
}

/*
 * Two machines have one name, and the second, which peers believe, is switched off: the first,
 * which has been there all the time, is believed again, as it proves that it is there.
 */
static void a_former_incarnation_that_is_there_follows_the_one_that_is_gone(void **state)
{
	(void)state;
	static const size_t speakers[] = { 1, 2 };
	struct member m[3];
	struct member_peer *peer;
	size_t forgotten = 0;
	int64_t now = 200;
	for (size_t i = 0; i < ARRAY_LEN(m); i++) {
		struct member_options o = options_of(nodes[i > 0], 1 + i);
		member_init(&m[i], &o, 0);
	}
	for (size_t i = 0; i < 5; i++) {
		size_t speaker = speakers[i % 2];
		for (int64_t end = now + 1000; now < end; now += HEARTBEAT_MS) {
			struct wire_msg msg = { 0 };
			member_beat(&m[0], now, &msg);
			for (size_t k = 1; k < ARRAY_LEN(m); k++)
				member_receive(&m[k], now, &msg, &peer);
			msg = (struct wire_msg){ 0 };
			member_beat(&m[speaker], now, &msg);
			member_receive(&m[0], now, &msg, &peer);
			member_tick(&m[0], now, on_event, &forgotten);
		}
		assert_int_equal(member_find(&m[0], nodes[1])->incarnation, 1 + speaker);
	}
	for (size_t i = 0; i < ARRAY_LEN(m); i++)
		member_fini(&m[i]);
}

/*
 * Frames of version 1 that somebody kept have us say things twice for a moment; only who is there
 * has us keep to what version 1 knows.
 */
static void replays_do_not_bring_version_1_back(void **state)
{
	(void)state;
	struct member_options o = options_of("node-a", 1);
	struct member m;
	struct member_peer *peer;
	struct wire_msg beat, msg = {
		.version = 2, .type = WIRE_HEARTBEAT, .name = "node-b", .incarnation = 7, .seq = 9
	};
	o.heartbeat_ms = 250;
	o.multiplier = 4;
	member_init(&m, &o, 0);
	member_beat(&m, 0, &beat);
	msg.echoes[msg.n++] = (struct wire_echo){ 1, beat.seq, true };
	assert_int_equal(member_receive(&m, 1, &msg, &peer), MEMBER_NEW);

	/* Of the peer, as one that listens says everything in both versions; of a stranger. */
	static const struct {
		const char *name;
		uint64_t incarnation;
		uint32_t seq;
		enum member_verdict verdict;
	} replays[] = {
		{ "node-b", 7, 5, MEMBER_REPLAYED },
		{ "node-b", 7, 10, MEMBER_REPLAYED },
		{ "node-c", 8, 1, MEMBER_STRANGER },
		{ "node-c", 8, 1, MEMBER_REPLAYED },
	};
	for (size_t i = 0; i < ARRAY_LEN(replays); i++) {
		msg = (struct wire_msg){ .version = 1,
			                 .type = WIRE_HEARTBEAT,
			                 .incarnation = replays[i].incarnation,
			                 .seq = replays[i].seq };
		strcpy(msg.name, replays[i].name);
		assert_int_equal(member_receive(&m, 10, &msg, &peer), replays[i].verdict);
		assert_int_equal(member_patience_ms(&m, 10), 1000);
		assert_int_equal(member_speaks_v1(&m, 10), i >= 2);
	}
	member_beat(&m, 20, &beat);
	assert_int_equal(m.next_beat_ms, 270);
	assert_int_equal(member_find(&m, "node-b")->dead_ms, 1000);
	assert_false(member_speaks_v1(&m, 5000));

	msg.echoes[msg.n++] = (struct wire_echo){ 1, beat.seq, true };
	msg.seq++;
	assert_int_equal(member_receive(&m, 30, &msg, &peer), MEMBER_NEW);
	assert_int_equal(member_patience_ms(&m, 30), WIRE_V1_DEAD_MS);
	assert_true(member_speaks_v1(&m, 500000));
	member_fini(&m);
}

static void places_of_strangers_are_bounded(void **state)
{
	(void)state;
	struct member_options o = options_of("node-a", 1);
	struct member m;
	struct member_peer *peer;
	struct wire_msg beat;
	member_init(&m, &o, 0);
	member_set_nodes(&m, nodes, ARRAY_LEN(nodes));
	for (size_t i = 0; i < 3000; i++) {
		struct wire_msg msg = recorded(NAMES_MIXED, i, 1, "node-b");
		member_receive(&m, 1, &msg, &peer);
	}
	assert_int_equal(HASH_COUNT(m.strangers.all),
	                 STRANGERS_UNKNOWN_MAX + 3 * STRANGERS_PER_NAME);
	assert_true(m.strangers.turned_away > 2000);
	/*
	 * Each is repeated once, in as many heartbeats as it takes, and not again before it says
	 * more.
	 */
	size_t told = 0;
	for (int64_t now = 1; now < 200; now += 20) {
		member_beat(&m, now, &beat);
		assert_true(beat.n <= WIRE_ECHO_MAX);
		told += beat.n;
	}
	assert_int_equal(told, HASH_COUNT(m.strangers.all));
	member_fini(&m);
}

/* Replays fill no heartbeat: half of it is the peers'. */
static void strangers_leave_peers_their_echoes(void **state)
{
	(void)state;
	static const size_t rooms[] = { WIRE_ECHO_MAX, 36, 2 };
	for (size_t r = 0; r < ARRAY_LEN(rooms); r++) {
		struct member_options o = options_of("node-a", 1);
		struct member m;
		struct member_peer *peer;
		struct wire_msg beat;
		member_init(&m, &o, 0);
		member_set_echo_room(&m, rooms[r]);
		member_beat(&m, 0, &beat);
		for (uint64_t i = 0; i < WIRE_ECHO_MAX; i++) {
			struct wire_msg msg = { .type = WIRE_HEARTBEAT,
				                .incarnation = 5 + i,
				                .seq = 1 };
			snprintf(msg.name, sizeof(msg.name), "peer-%d", (int)i);
			msg.echoes[msg.n++] = (struct wire_echo){ 1, beat.seq, true };
			assert_int_equal(member_receive(&m, 1, &msg, &peer), MEMBER_NEW);
		}
		for (size_t i = 0; i < 1000; i++) {
			struct wire_msg msg = recorded(NAMES_GONE, i, 1, "");
			member_receive(&m, 2, &msg, &peer);
		}
		size_t proven = 0;
		member_beat(&m, 3, &beat);
		for (size_t i = 0; i < beat.n; i++)
			proven += beat.echoes[i].proven;
		assert_int_equal(beat.n, rooms[r]);
		assert_int_equal(proven, rooms[r] / 2);
		member_fini(&m);
	}
}

/* ---- very many peers ---- */

static enum member_verdict come(struct member *m, int64_t now, unsigned int i, uint32_t seq,
                                uint8_t flags)
{
	struct wire_msg beat, msg = {
		.type = WIRE_HEARTBEAT, .flags = flags, .incarnation = 1000 + i, .seq = seq
	};
	struct member_peer *peer;

	member_beat(m, now, &beat);
	snprintf(msg.name, sizeof(msg.name), "node-%u", i);
	msg.echoes[msg.n++] = (struct wire_echo){ 1, beat.seq, true };
	return member_receive(m, now, &msg, &peer);
}

static void one_more_than_can_be_known_takes_no_living_ones_place(void **state)
{
	(void)state;
	struct member_options o = options_of("us", 1);
	struct member m;
	size_t n_forgotten = 0;
	member_init(&m, &o, 0);
	for (unsigned int i = 0; i < MEMBER_PEERS_MAX; i++)
		assert_int_equal(come(&m, 1, i, 1, 0), MEMBER_NEW);
	for (uint32_t seq = 1; seq < 10; seq++) {
		assert_int_equal(come(&m, 2, MEMBER_PEERS_MAX, seq, 0), MEMBER_STRANGER);
		member_tick(&m, 2, on_event, &n_forgotten);
	}
	assert_int_equal(n_forgotten, 0);
	assert_int_equal(m.peers_refused, 9);
	assert_int_equal(m.refused_ms, 2);
	for (unsigned int i = 0; i < MEMBER_PEERS_MAX; i++)
		assert_int_equal(come(&m, 3, i, 2, 0), MEMBER_BELIEVED);

	/* One dies, another leaves later: that one goes first. */
	for (unsigned int i = 1; i < MEMBER_PEERS_MAX; i++)
		assert_int_equal(come(&m, 500, i, 3, i == 7 ? WIRE_LEAVING : 0), MEMBER_BELIEVED);
	member_tick(&m, 500, on_event, &n_forgotten);
	assert_int_equal(member_find(&m, "node-0")->state, MEMBER_DEAD);
	assert_int_equal(come(&m, 501, MEMBER_PEERS_MAX, 10, 0), MEMBER_STRANGER);
	member_tick(&m, 501, on_event, &n_forgotten);
	assert_int_equal(n_forgotten, 1);
	assert_null(member_find(&m, "node-7"));
	assert_int_equal(come(&m, 502, MEMBER_PEERS_MAX, 11, 0), MEMBER_NEW);
	assert_int_equal(come(&m, 502, MEMBER_PEERS_MAX + 1, 1, 0), MEMBER_STRANGER);
	member_tick(&m, 502, on_event, &n_forgotten);
	assert_null(member_find(&m, "node-0"));
	assert_int_equal(come(&m, 503, MEMBER_PEERS_MAX + 1, 2, 0), MEMBER_NEW);
	assert_int_equal(m.peers_refused, 9);
	member_fini(&m);
}

/* Each peer is repeated in turn, soon enough for it not to seem deaf. */
/* Each is said once in a turn, six at a time; and one that has just come at once. */
static void many_peers_take_turns_in_heartbeats(void **state)
{
	(void)state;
	struct member_options o = options_of("us", 1);
	struct member m;
	struct wire_msg beat;
	static bool told[MEMBER_PEERS_MAX];
	size_t n = 0;
	int64_t now = 2;
	member_init(&m, &o, 0);
	for (unsigned int i = 0; i < MEMBER_PEERS_MAX - 1; i++)
		come(&m, 1, i, 1, 0);
	member_beat(&m, now++, &beat); /* the last of those that were new */
	for (; n < MEMBER_PEERS_MAX - 1; now++) {
		assert_true(now < 4 + MEMBER_PEERS_MAX / 6);
		member_beat(&m, now, &beat);
		assert_in_range(beat.n, 1, 6);
		for (size_t i = 0; i < beat.n && n < MEMBER_PEERS_MAX - 1; i++) {
			assert_false(told[beat.echoes[i].incarnation - 1000]);
			told[beat.echoes[i].incarnation - 1000] = true;
			n++;
		}
	}
	come(&m, now, MEMBER_PEERS_MAX - 1, 1, 0);
	member_beat(&m, now, &beat);
	assert_int_equal(beat.echoes[0].incarnation, 1000 + MEMBER_PEERS_MAX - 1);
	member_fini(&m);
}

/* ---- what many say of each other ---- */

#define CROWD_MAX 100

struct crowd {
	struct member m[CROWD_MAX];
	char names[CROWD_MAX][16];
	size_t n;
	bool apart; /* the i-th hears nothing of the i-th last */
};

static void join(struct crowd *c, size_t n, int64_t now)
{
	for (; c->n < n; c->n++) {
		snprintf(c->names[c->n], sizeof(c->names[0]), "node-%zu", c->n);
		struct member_options o = options_of(c->names[c->n], 1000 + c->n);
		member_init(&c->m[c->n], &o, now);
	}
}

/* All that are due speak at the same moment, and everybody hears it a millisecond later. */
static void speak(struct crowd *c, int64_t from, int64_t to)
{
	static struct wire_msg said[CROWD_MAX];
	struct member_peer *peer;
	size_t n_forgotten = 0;

	for (int64_t now = from; now < to; now++) {
		bool due[CROWD_MAX] = { false };
		for (size_t i = 0; i < c->n; i++) {
			member_tick(&c->m[i], now, on_event, &n_forgotten);
			due[i] = member_beat_due(&c->m[i], now);
			if (due[i])
				member_beat(&c->m[i], now, &said[i]);
		}
		for (size_t i = 0; i < c->n; i++)
			for (size_t k = 0; due[i] && k < c->n; k++)
				if (k != i && (!c->apart || k != c->n - 1 - i))
					member_receive(&c->m[k], now + 1, &said[i], &peer);
	}
}

/*
 * However many there are, and however they came: one that all but one hear lives for that one, too,
 * and neither seems deaf to anybody whom it hears.
 */
static void whom_others_hear_is_never_given_up(void **state)
{
	(void)state;
	static const size_t cases[][2] = { { 100, 100 }, { 72, 72 }, { 40, 40 }, { 20, 100 } };
	static struct crowd c;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		memset(&c, 0, sizeof(c));
		join(&c, cases[i][0], 0);
		speak(&c, 0, 2000);
		join(&c, cases[i][1], 2000);
		speak(&c, 2000, 8000);
		c.apart = true;
		speak(&c, 8000, 20000);
		for (size_t k = 0; k < c.n; k++)
			for (size_t o = 0; o < c.n; o++) {
				struct member_peer *p = member_find(&c.m[k], c.names[o]);
				assert_int_equal(!p, k == o);
				if (!p)
					continue;
				assert_int_equal(p->state, MEMBER_ALIVE);
				if (o != c.n - 1 - k)
					assert_false(member_deaf(&c.m[k], p, 20000));
			}
		for (size_t k = 0; k < c.n; k++)
			member_fini(&c.m[k]);
	}
}

/* Peer @i says something at @now, and that it has heard all from @from to @to but @but. */
static void mention(struct member *m, int64_t now, unsigned int i, uint32_t seq, unsigned int from,
                    unsigned int to, unsigned int but)
{
	struct wire_msg msg = { .type = WIRE_HEARTBEAT, .incarnation = 1000 + i, .seq = seq };
	struct member_peer *peer;

	snprintf(msg.name, sizeof(msg.name), "node-%u", i);
	for (unsigned int k = from; k < to; k++)
		if (k != but)
			msg.echoes[msg.n++] = (struct wire_echo){ 1000 + k, seq, true };
	assert_int_equal(member_receive(m, now, &msg, &peer), MEMBER_BELIEVED);
}

/* By chance all others leave out the same one: whoever speaks next does not wait for its turn. */
static void whom_nobody_mentions_is_mentioned_out_of_turn(void **state)
{
	(void)state;
	for (unsigned int but = 0; but < 100; but += 9) {
		struct member_options o = options_of("us", 1);
		struct member m;
		struct wire_msg beat;
		bool told = false;
		member_init(&m, &o, 0);
		for (unsigned int i = 0; i < 100; i++)
			come(&m, 1, i, 1, 0);
		member_beat(&m, 2, &beat);
		int64_t now = 2 + m.interval_ms * 3 / 2;
		for (unsigned int i = 0; i < 100; i++)
			mention(&m, now, i, 2, 0, 0, 0);
		mention(&m, now, 0, 3, 0, 50, but);
		mention(&m, now, 1, 3, 50, 100, but);
		member_beat(&m, now, &beat);
		assert_true(beat.n <= 7); /* the turn of six more */
		for (size_t i = 0; i < beat.n; i++)
			told |= beat.echoes[i].incarnation == 1000 + but;
		assert_true(told);
		member_fini(&m);
	}
}

/* ---- the interval ---- */

/* What the next heartbeats say, and how far they are apart, after so many. */
static void beats(struct member *m, int64_t *now, size_t n, int64_t ret_told_apart[static 2])
{
	struct wire_msg beat;

	for (size_t i = 0; i < n; i++) {
		*now = m->next_beat_ms;
		member_beat(m, *now, &beat);
	}
	ret_told_apart[0] = beat.heartbeat_ms;
	ret_told_apart[1] = m->next_beat_ms - *now;
}

static void the_interval_grows_with_the_number_of_those_that_are_there(void **state)
{
	(void)state;
	static const struct {
		int heartbeat_ms;
		unsigned int peers;
		int64_t interval_ms;
	} cases[] = {
		{ 70, 2, 70 },    { 70, 69, 70 },    { 70, 99, 100 },
		{ 70, 499, 500 }, { 20, 69, 20 },    { 20, 139, 40 },
		{ 250, 99, 250 }, { 250, 249, 250 }, { 250, 499, 500 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct member_options o = options_of("us", 1);
		struct member m;
		int64_t now = 1, said[2], patience;
		size_t n_forgotten = 0;
		o.heartbeat_ms = cases[i].heartbeat_ms;
		member_init(&m, &o, 0);
		for (unsigned int k = 0; k < cases[i].peers; k++)
			come(&m, now, k, 1, 0);
		/* What is longer is told first, */
		beats(&m, &now, 1, said);
		patience = member_patience_ms(&m, now);
		assert_true(said[0] <= cases[i].interval_ms);
		assert_true(said[1] <= said[0] && patience <= said[0] * MULTIPLIER);
		/* and kept to when all have heard it; */
		for (unsigned int k = 0; k < cases[i].peers; k++)
			m.peers[k]->heard_ms = INT64_MAX / 2;
		beats(&m, &now, 60, said);
		assert_int_equal(said[0], cases[i].interval_ms);
		assert_int_equal(said[1], cases[i].interval_ms);
		assert_int_equal(member_patience_ms(&m, now), MULTIPLIER * said[0]);
		/* and what is shorter, as most are gone, holds at once. */
		for (unsigned int k = 1; k < cases[i].peers; k++)
			m.peers[k]->heard_ms = 0;
		member_tick(&m, now, on_event, &n_forgotten);
		beats(&m, &now, 1, said);
		assert_int_equal(said[0], cases[i].heartbeat_ms);
		assert_int_equal(said[1], cases[i].heartbeat_ms);
		member_fini(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replays_keep_nobody_from_being_known),
		cmocka_unit_test(replays_do_not_keep_a_node_busy),
		cmocka_unit_test(a_former_incarnation_does_not_come_back),
		cmocka_unit_test(a_former_incarnation_that_is_there_follows_the_one_that_is_gone),
		cmocka_unit_test(replays_do_not_bring_version_1_back),
		cmocka_unit_test(places_of_strangers_are_bounded),
		cmocka_unit_test(strangers_leave_peers_their_echoes),
		cmocka_unit_test(one_more_than_can_be_known_takes_no_living_ones_place),
		cmocka_unit_test(many_peers_take_turns_in_heartbeats),
		cmocka_unit_test(whom_others_hear_is_never_given_up),
		cmocka_unit_test(whom_nobody_mentions_is_mentioned_out_of_turn),
		cmocka_unit_test(the_interval_grows_with_the_number_of_those_that_are_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
