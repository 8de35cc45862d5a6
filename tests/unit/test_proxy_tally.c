/* SPDX-License-Identifier: Apache-2.0 */
/* What Services' traffic amounts to, what iptables-save -c says of it, and conntrack's table. */
#include "config.h"

#include "unit.h"

#include <stdio.h>

#include "fairlead/mem.h"
#include "fairlead/metrics.h"
#include "proxy/flows.h"
#include "proxy/iptables/hits.h"
#include "proxy/tally.h"

static const char *gone; /* the only Service that is not there */

static bool is_there(const char *service, void *arg)
{
	(void)arg;
	return !gone || strcmp(service, gone) != 0;
}

static void count(struct tally *t, char id, const char *service, enum tally_what what,
                  uint64_t packets)
{
	tally_count(t, 0, &id, 1, service, what, packets, 100 * packets);
}

/* The value of a sample, -1: it is not there. */
static long sample(const struct tally *t, const char *line)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;
	struct metrics_writer w = { .out = &text };

	tally_metrics(t, true, &w);
	const char *at = strstr(buf_str(&text), line);
	return at ? atol(at + strlen(line)) : -1;
}

#define CONNECTIONS(s) "\nfairlead_service_connections_total{service=\"" s "\"} "
#define PACKETS(s, d) "\nfairlead_service_packets_total{service=\"" s "\",direction=\"" d "\"} "
#define BYTES(s, d) "\nfairlead_service_bytes_total{service=\"" s "\",direction=\"" d "\"} "
#define CUT "\nfairlead_service_metrics_cut "

static void reading(struct tally *t, uint64_t a, uint64_t b, const char *of_b)
{
	tally_begin(t, 0);
	count(t, 'a', "n/one", TALLY_CONNECTIONS, a);
	count(t, 'b', of_b, TALLY_CONNECTIONS, b);
	tally_end(t, 0, false, is_there, NULL);
}

/* Totals grow by what counters grow, whoever owns them, and never go back. */
static void test_totals(void **state)
{
	/* clang-format off */
	static const struct {
		const char *what;
		uint64_t a, b;
		const char *of_b, *gone;
		long one, two;
	} steps[] = {
		{ "two counters of one Service", 3, 4, "n/one", NULL, 7, -1 },
		{ "nothing happened", 3, 4, "n/one", NULL, 7, -1 },
		{ "both grow", 5, 10, "n/one", NULL, 15, -1 },
		{ "one was written anew", 5, 2, "n/one", NULL, 17, -1 },
		{ "and goes on", 5, 3, "n/one", NULL, 18, -1 },
		{ "it is another Service's now", 5, 8, "n/two", NULL, 18, 5 },
		{ "which is deleted", 6, 8, "n/one", "n/two", 19, -1 },
		{ "and comes again", 6, 9, "n/two", NULL, 19, 1 },
	};
	/* clang-format on */
	struct tally *t = tally_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		gone = steps[i].gone;
		reading(t, steps[i].a, steps[i].b, steps[i].of_b);
		if (sample(t, CONNECTIONS("n/one")) != steps[i].one ||
		    sample(t, CONNECTIONS("n/two")) != steps[i].two)
			fail_msg("%s: %ld and %ld", steps[i].what, sample(t, CONNECTIONS("n/one")),
			         sample(t, CONNECTIONS("n/two")));
	}
	gone = NULL;
	assert_int_equal(sample(t, CUT), 0);
	tally_free(t);
}

static void test_directions(void **state)
{
	struct tally *t = tally_new();

	(void)state;
	tally_begin(t, 0);
	count(t, 'a', "n/s", TALLY_TO, 5);
	count(t, 'a', "n/s", TALLY_FROM, 4);
	count(t, 'a', "n/s", TALLY_CONNECTIONS, 1);
	tally_end(t, 0, false, is_there, NULL);
	assert_int_equal(sample(t, CONNECTIONS("n/s")), 1);
	assert_int_equal(sample(t, PACKETS("n/s", "to")), 5);
	assert_int_equal(sample(t, PACKETS("n/s", "from")), 4);
	assert_int_equal(sample(t, BYTES("n/s", "from")), 400);
	/* Written anew, it has had more packets, but smaller ones. */
	tally_count(t, 0, "a", 1, "n/s", TALLY_FROM, 5, 300);
	assert_int_equal(sample(t, PACKETS("n/s", "from")), 9);
	assert_int_equal(sample(t, BYTES("n/s", "from")), 700);
	tally_free(t);
}

/* One that is missed now and then is not counted again; one that is gone for good is forgotten. */
static void test_missed(void **state)
{
	struct tally *t = tally_new();

	(void)state;
	reading(t, 1, 10, "n/two");
	for (int missed = 1; missed <= TALLY_MISSES + 1; missed++) {
		for (int i = 0; i < missed; i++) {
			tally_begin(t, 0);
			count(t, 'a', "n/one", TALLY_CONNECTIONS, 1);
			tally_end(t, 0, false, is_there, NULL);
		}
		reading(t, 1, 10, "n/two");
		assert_int_equal(sample(t, CONNECTIONS("n/two")), missed <= TALLY_MISSES ? 10 : 20);
	}
	tally_free(t);
}

/* The kernel keeps a counter for long; what was another Service's traffic is not the next one's. */
static void test_nobodys(void **state)
{
	struct tally *t = tally_new();

	(void)state;
	reading(t, 1, 10, "n/two");
	gone = "n/two";
	for (int i = 0; i <= TALLY_MISSES + 1; i++)
		reading(t, 1, 10, NULL);
	gone = NULL;
	reading(t, 1, 10, "n/three");
	assert_int_equal(sample(t, CONNECTIONS("n/three")), 0);
	reading(t, 1, 12, "n/three");
	assert_int_equal(sample(t, CONNECTIONS("n/three")), 2);
	assert_int_equal(sample(t, CONNECTIONS("n/two")), -1);
	tally_free(t);
}

/* A family's reading forgets nothing of the other's. */
static void test_sources(void **state)
{
	struct tally *t = tally_new();

	(void)state;
	tally_begin(t, 1);
	tally_count(t, 1, "a", 1, "n/one", TALLY_CONNECTIONS, 7, 0);
	tally_end(t, 1, true, is_there, NULL);
	for (int i = 0; i <= TALLY_MISSES + 1; i++)
		reading(t, 2, 0, "n/one");
	tally_begin(t, 1);
	tally_count(t, 1, "a", 1, "n/one", TALLY_CONNECTIONS, 8, 0);
	assert_int_equal(sample(t, CONNECTIONS("n/one")), 10);
	assert_int_equal(sample(t, CUT), 1);
	tally_end(t, 1, false, is_there, NULL);
	assert_int_equal(sample(t, CUT), 0);
	tally_free(t);
}

static void test_too_many(void **state)
{
	struct tally *t = tally_new();
	char name[32];

	(void)state;
	for (int again = 0; again < 2; again++) {
		tally_begin(t, 0);
		for (uint32_t i = 0; i <= TALLY_SERVICES_MAX; i++) {
			snprintf(name, sizeof(name), "n/s%u", i);
			tally_count(t, 0, &i, sizeof(i), name, TALLY_CONNECTIONS, i + 1, 0);
		}
		tally_end(t, 0, false, is_there, NULL);
		snprintf(name, sizeof(name), "n/s%d", TALLY_SERVICES_MAX);
		assert_int_equal(sample(t, CONNECTIONS("n/s4999")), 5000);
		assert_int_equal(sample(t, CONNECTIONS("n/s5000")), -1);
		assert_int_equal(sample(t, CUT), 1);
	}
	reading(t, 1, 1, "n/s0");
	assert_int_equal(sample(t, CUT), 1);
	tally_begin(t, 0);
	tally_end(t, 0, false, is_there, NULL);
	assert_int_equal(sample(t, CUT), 0);
	tally_free(t);
}

/* ---- conntrack's table ---- */

/* It is full from 95 % on, and until there is less than 85 %. */
static void test_full(void **state)
{
	static const struct {
		uint64_t count, max;
		bool full;
	} steps[] = {
		{ 0, 1000, false },   { 949, 1000, false },  { 950, 1000, true },
		{ 850, 1000, true },  { 849, 1000, false },  { 949, 1000, false },
		{ 1000, 1000, true }, { 1000, 2000, false }, { 99, 0, false },
		{ 1, 1, true },       { 0, 1, false },
	};
	struct proxy_flows f = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		flows_update(&f, steps[i].count, steps[i].max);
		if (f.full != steps[i].full || f.count != steps[i].count || f.max != steps[i].max)
			fail_msg("step %zu", i);
	}
}

/* ---- iptables-save -c ---- */

static void put_set(const char *chain, const char *service, uint64_t packets, uint64_t bytes,
                    void *arg)
{
	buf_printf(arg, "%s %s %d %d\n", chain, service, (int)packets, (int)bytes);
}

static void test_hits(void **state)
{
	static const char text[] =
		"# Generated by iptables-save v1.8.9\n"
		"*nat\n"
		":PREROUTING ACCEPT [9:900]\n"
		":FL-C-ONE - [0:0]\n"
		"[5:300] -A PREROUTING -j FL-SVC\n"
		"[4:240] -A FL-B-01 -d 10.96.0.1/32 -p tcp -m tcp --dport 80 -j FL-C-ONE\n"
		"[4:240] -A FL-C-ONE -m comment --comment \"0123456789abcdef/3 n/one:http\" -j FL-NODE\n"
		"[1:60] -A FL-C-ONE -p tcp -m statistic --mode random --probability 0.5 -j DNAT "
		"--to-destination 10.244.0.1:80\n"
		"[3:180] -A FL-C-ONE -p tcp -j DNAT --to-destination 10.244.0.2:80\n"
		"[6:360] -A FL-C-ON -m comment --comment \"0123456789abcdef/1 n/on:http\" -j DNAT "
		"--to-destination 10.244.0.1:80\n"
		"[6:360] -A FL-C-A-NAME-LONGER-THAN-ANY-THAT-A-CHAIN-MAY-HAVE-IN-THE-KERNEL -m comment "
		"--comment \"0123456789abcdef/1 n/on:http\" -j DNAT --to-destination 10.244.0.1:80\n"
		"[7:420] -A FL-L-TWO -m comment --comment \"0123456789abcdef/2 n/two:tcp\" -m recent "
		"--name FL-P-X --rcheck --seconds 10 --reap --mask 255.255.255.255 --rsource -j FL-P-X\n"
		"[2:120] -A FL-L-TWO -j FL-P-X\n"
		"[9:540] -A FL-P-X -p tcp -m recent --set --name FL-P-X -j DNAT --to-destination "
		"10.244.0.1:80\n"
		"[8:480] -A FL-C-NOBODY -j DNAT --to-destination 10.244.0.1:80\n"
		"[8:480] -A FL-C-EVIL -m comment --comment \"n/evil:http\" -j FL-P-X\n"
		"COMMIT\n";
	static const char want[] =
		"FL-C-ONE n/one 4 240\nFL-C-ON n/on 6 360\nFL-L-TWO n/two 9 540\n";
	static const struct hits_ops ops = { .counted = put_set };

	(void)state;
	/* In pieces of every size. */
	for (size_t size = 1; size <= sizeof(text); size += size < 40 ? 1 : 100) {
		cleanup(buf_fini) struct buf out = BUF_INIT;
		struct hits_text t = { .ops = &ops, .arg = &out };
		for (size_t i = 0; i < sizeof(text) - 1; i += size)
			hits_text_feed(&t, text + i,
			               sizeof(text) - 1 - i < size ? sizeof(text) - 1 - i : size);
		hits_text_end(&t);
		assert_string_equal(buf_str(&out), want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_totals),   cmocka_unit_test(test_directions),
		cmocka_unit_test(test_missed),   cmocka_unit_test(test_sources),
		cmocka_unit_test(test_too_many), cmocka_unit_test(test_hits),
		cmocka_unit_test(test_full),     cmocka_unit_test(test_nobodys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
