/* SPDX-License-Identifier: Apache-2.0 */
/* What layer 2 tells comes to the kernel, and how often all states are walked through for it. */
#include "config.h"

#include "unit.h"

#include <stdlib.h>

#include <event2/event.h>

#include "fairlead/mem.h"
#include "fairlead/relay.h"
#include "speaker/effector.h"
#include "speaker/relaying.h"
#include "speaker/served.h"
#include "speaker/state.h"
#include "virtual_loop.h"

#define MANY 10000

extern const struct effector relaying_effector;

static struct {
	struct speaker sp;
	unsigned int n_walks;
	unsigned int gone; /* the address that is wanted no more; 0: none */
	struct relay_way *ways;
	size_t n_ways;
} w;

/* ---- what it stands on ---- */

static struct addr address(unsigned int i)
{
	return (struct addr){ .family = 4,
		              .b = { 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i } };
}

bool proxy_forwards(const struct proxy *p)
{
	(void)p;
	return true;
}

struct served *announce_served(const struct announce *t)
{
	(void)t;
	return NULL;
}

struct announcement *served_of(const struct served *s, const struct addr *addr)
{
	static struct announcement some;
	struct addr gone = address(w.gone);

	(void)s;
	return w.gone && addr_eq(addr, &gone) ? NULL : &some;
}

void l2_peers(const struct l2 *l2, struct l2_peer **ret_peers, size_t *ret_n)
{
	struct l2_peer *peers = xcalloc(2, sizeof(*peers));

	(void)l2;
	for (unsigned int i = 0; i < 2; i++) {
		peers[i] = (struct l2_peer){ .mac = { 2, (uint8_t)i }, .alive = true };
		peers[i].own4 = address(0xffff00 + i);
		snprintf(peers[i].node, sizeof(peers[i].node), "node-%c", 'b' + i);
		snprintf(peers[i].interface, sizeof(peers[i].interface), "eth0");
	}
	w.n_walks++;
	*ret_peers = peers;
	*ret_n = 2;
}

void l2_segments(const struct l2 *l2, struct l2_segment **ret_segments, size_t *ret_n)
{
	const struct l2_segment segment = { .interface = "eth0", .index = 7 };

	(void)l2;
	*ret_segments = xmemdup(&segment, sizeof(segment));
	*ret_n = 1;
}

int relay_new(struct relay **ret_relay, struct err *e)
{
	(void)e;
	*ret_relay = NULL;
	return 0;
}

void relay_free(struct relay *r)
{
	(void)r;
}

int relay_read(struct relay *r, struct relay_way **ret_ways, size_t *ret_n, struct err *e)
{
	(void)r;
	(void)e;
	*ret_ways = NULL;
	*ret_n = 0;
	return 0;
}

int relay_set(struct relay *r, const struct relay_way *ways, size_t n,
              const struct relay_node *nodes, size_t n_nodes, struct err *e)
{
	(void)r;
	(void)e;
	(void)nodes;
	assert_int_equal(n_nodes, 2);
	free(w.ways);
	w.ways = xmemdup(ways, n * sizeof(*ways));
	w.n_ways = n;
	return 0;
}

void relay_audit(struct relay *r)
{
	(void)r;
}

uint64_t relay_packets(struct relay *r)
{
	(void)r;
	return 0;
}

int relay_cleanup(struct err *e)
{
	(void)e;
	return 0;
}

/* ---- scenes ---- */

static void begin(void)
{
	static char l2;
	struct err e = ERR_INIT;

	virtual_loop_init(1);
	memset(&w, 0, sizeof(w));
	w.sp.base = event_base_new();
	w.sp.l2 = (struct l2 *)&l2;
	w.sp.complete = true;
	assert_int_equal(relaying_effector.start(&w.sp, &e), 0);
}

static void end(void)
{
	relaying_effector.stop(&w.sp);
	event_base_free(w.sp.base);
	free(w.ways);
}

static void pass(int64_t ms)
{
	virtual_loop_run(virtual_now() + ms);
}

/* Addresses from @first on belong to that node. */
static void tell(unsigned int first, unsigned int n, char node)
{
	struct l2_state *states = xcalloc(n, sizeof(*states));

	for (unsigned int i = 0; i < n; i++) {
		/* In no order. */
		states[i] = (struct l2_state){ .addr = address(first + n - 1 - i),
			                       .ownership = L2_OTHER };
		snprintf(states[i].owner, sizeof(states[i].owner), "node-%c", node);
		snprintf(states[i].interface, sizeof(states[i].interface), "eth0");
	}
	relaying_follow(&w.sp, states, n);
	free(states);
}

/* The node that packets for this address go to; 0: none. */
static char leads_to(unsigned int i)
{
	const struct addr addr = address(i);

	for (size_t k = 0; k < w.n_ways; k++)
		if (addr_eq(&w.ways[k].addr, &addr))
			return (char)('b' + w.ways[k].gateway.b[3]);
	return 0;
}

/* Where there are few, each news counts at once. */
static void a_few_addresses_wait_for_nothing(void **unused)
{
	(void)unused;
	begin();
	for (unsigned int i = 1; i <= 100; i++) {
		tell(i, 1, 'b');
		assert_int_equal(leads_to(i), 'b');
	}
	tell(1, 1, 'c');
	assert_int_equal(leads_to(1), 'c');
	w.gone = 2;
	relaying_tick(&w.sp);
	assert_int_equal(leads_to(2), 0);
	assert_int_equal(w.n_ways, 99);
	end();
}

/* A walk a millisecond would take all of a processor. */
static void many_that_come_one_by_one_have_few_walks(void **unused)
{
	unsigned int before;

	(void)unused;
	begin();
	tell(1, MANY, 'b');
	assert_int_equal(w.n_ways, MANY);
	before = w.n_walks;
	for (unsigned int i = 1; i <= 1000; i++) {
		tell(MANY + i, 1, 'b');
		pass(1);
	}
	assert_in_range(w.n_walks - before, 10, 20);
	pass(100);
	assert_int_equal(w.n_ways, MANY + 1000);
	for (unsigned int i = 1; i < w.n_ways; i++)
		assert_true(addr_cmp(&w.ways[i - 1].addr, &w.ways[i].addr) < 0);
	before = w.n_walks;
	pass(10000);
	assert_int_equal(w.n_walks, before);
	end();
}

/* Between two walks, of old addresses and of new ones. */
static void the_last_that_is_told_counts(void **unused)
{
	(void)unused;
	begin();
	tell(1, MANY, 'b');
	tell(MANY + 1, 1, 'b');
	tell(5, 1, 'c');
	tell(6, 1, 'c');
	tell(6, 1, 'b');
	tell(MANY + 1, 1, 'c');
	tell(7, 1, 'c');
	w.gone = 7;
	assert_int_equal(leads_to(5), 'b');
	pass(100);
	assert_int_equal(leads_to(5), 'c');
	assert_int_equal(leads_to(6), 'b');
	assert_int_equal(leads_to(7), 0);
	assert_int_equal(leads_to(MANY + 1), 'c');
	assert_int_equal(w.n_ways, MANY);
	end();
}

/* Layer 2 may end while something waits. */
static void without_layer_2_nothing_is_asked(void **unused)
{
	unsigned int before;

	(void)unused;
	begin();
	tell(1, MANY, 'b');
	before = w.n_walks;
	tell(1, 1, 'c');
	w.sp.l2 = NULL;
	pass(1000);
	assert_int_equal(w.n_walks, before);
	end();
}

/* What is told before everything is known stands, and nothing of it is written yet. */
static void nothing_is_written_before_all_is_known(void **unused)
{
	(void)unused;
	begin();
	w.sp.complete = false;
	tell(1, 2, 'b');
	pass(100);
	assert_int_equal(w.n_walks, 0);
	w.sp.complete = true;
	relaying_tick(&w.sp);
	assert_int_equal(w.n_ways, 2);
	end();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_few_addresses_wait_for_nothing),
		cmocka_unit_test(many_that_come_one_by_one_have_few_walks),
		cmocka_unit_test(the_last_that_is_told_counts),
		cmocka_unit_test(without_layer_2_nothing_is_asked),
		cmocka_unit_test(nothing_is_written_before_all_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
