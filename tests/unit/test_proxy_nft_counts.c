/* SPDX-License-Identifier: Apache-2.0 */
/* How often what was counted is read, however often somebody asks; in virtual time. */
#include "config.h"

#include "unit.h"

#include <endian.h>
#include <errno.h>

#include <event2/event.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>

#include "fairlead/mem.h"
#include "proxy/nftables/counts.h"
#include "proxy/nftables/wire.h"
#include "proxy/tally.h"
#include "virtual_loop.h"

#define ASKED_MS 50
#define LONG_MS 600000

/* ---- a kernel that takes its time ---- */

static int64_t set_ms;
static size_t n_readings;
/* How each ends, and with how many elements; what is said of the last reading. */
static int set_result;
static size_t set_elements;
static bool was_whole, was_full;

int __wrap_wire_new(struct wire **ret_wire, struct err *e);
void __wrap_wire_free(struct wire *w);
int __wrap_frame_counts_begin(const struct frame *f, struct wire *w, enum frame_count count);
int __wrap_frame_counts_step(const struct frame *f, struct wire *w, enum frame_count count,
                             frame_counted_fn *fn, void *arg);

int __wrap_wire_new(struct wire **ret_wire, struct err *e)
{
	(void)e;
	*ret_wire = NULL;
	return 0;
}

void __wrap_wire_free(struct wire *w)
{
	(void)w;
}

int __wrap_frame_counts_begin(const struct frame *f, struct wire *w, enum frame_count count)
{
	(void)f, (void)w, (void)count;
	return 0;
}

int __wrap_frame_counts_step(const struct frame *f, struct wire *w, enum frame_count count,
                             frame_counted_fn *fn, void *arg)
{
	static const struct frame_counted counted;

	(void)f, (void)w, (void)count;
	virtual_loop_spend(set_ms);
	for (size_t i = 0; i < set_elements; i++)
		fn(&counted, arg);
	return set_result;
}

static void counted(const struct frame_counted *c, void *arg)
{
	(void)c, (void)arg;
}

static void done(bool whole, bool full, void *arg)
{
	(void)arg;
	was_whole = whole;
	was_full = full;
	n_readings++;
}

/* ---- those who ask ---- */

/* Of LONG_MS, in which somebody asks all the time. */
static size_t readings(int64_t each_set_ms)
{
	static const struct counts_ops ops = { .counted = counted, .done = done };
	struct counts *c;

	virtual_loop_init(1);
	struct event_base *base = event_base_new();
	assert_int_equal(counts_new(base, 4, &ops, NULL, &c, NULL), 0);
	set_ms = each_set_ms;
	n_readings = 0;
	const int64_t end_ms = virtual_now() + LONG_MS;
	while (virtual_now() < end_ms) {
		if (counts_may_read(c))
			counts_read(c);
		virtual_loop_run(virtual_now() + ASKED_MS);
	}
	counts_free(c);
	event_base_free(base);
	return n_readings;
}

static void whoever_asks_it_takes_a_small_part_of_the_time(void **state)
{
	static const int64_t each_set_ms[] = { 1, 4, 20, 300 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(each_set_ms); i++) {
		size_t n = readings(each_set_ms[i]);
		int64_t spent = (int64_t)n * FRAME_COUNTS * each_set_ms[i];
		assert_true(n > 1);
		assert_true(was_whole && !was_full);
		assert_true(spent <= LONG_MS / TALLY_GAPS + FRAME_COUNTS * each_set_ms[i]);
	}
}

static void a_short_one_is_done_whenever_somebody_asks(void **state)
{
	(void)state;
	assert_true(readings(0) >= LONG_MS / ASKED_MS - 1);
}

/* What is not read whole is no end of anything; what is full may lack any. */
static void what_is_lost_or_left_out_is_told(void **state)
{
	static const struct {
		int result;
		size_t elements; /* of each set */
		bool whole, full;
	} cases[] = {
		{ 0, 0, true, false },
		{ -ENOENT, 0, true, false }, /* there is no table */
		{ -EIO, 0, false, false },
		{ -EINTR, 0, false, false },
		{ 0, FRAME_COUNTED_MAX, true, true },
		{ 0, FRAME_COUNTED_MAX - 1, true, false },
	};
	static const struct counts_ops ops = { .counted = counted, .done = done };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct counts *c;
		virtual_loop_init(1);
		struct event_base *base = event_base_new();
		assert_int_equal(counts_new(base, 4, &ops, NULL, &c, NULL), 0);
		set_ms = 0;
		set_result = cases[i].result;
		set_elements = cases[i].elements;
		n_readings = 0;
		counts_read(c);
		virtual_loop_run(virtual_now() + ASKED_MS);
		assert_int_equal(n_readings, 1);
		assert_int_equal(was_whole, cases[i].whole);
		assert_int_equal(was_full, cases[i].full);
		counts_free(c);
		event_base_free(base);
	}
	set_result = 0;
	set_elements = 0;
}

/* ---- what the kernel says ---- */

static void put_count(struct nlmsghdr *h, size_t key_size, uint8_t direction, size_t number_size)
{
	const unsigned char key[32] = { direction, 0, 0, 0, 10, 0, 0, 1, 6, 0, 0, 0, 0, 80 };
	const uint64_t packets = htobe64(7), bytes = htobe64(700);

	struct nlattr *element = mnl_attr_nest_start(h, NFTA_LIST_ELEM);
	struct nlattr *part = mnl_attr_nest_start(h, NFTA_SET_ELEM_KEY);
	mnl_attr_put(h, NFTA_DATA_VALUE, key_size, key);
	mnl_attr_nest_end(h, part);
	part = mnl_attr_nest_start(h, NFTA_SET_ELEM_EXPR);
	struct nlattr *counter = mnl_attr_nest_start(h, NFTA_EXPR_DATA);
	mnl_attr_put(h, NFTA_COUNTER_PACKETS, number_size, &packets);
	mnl_attr_put(h, NFTA_COUNTER_BYTES, number_size, &bytes);
	mnl_attr_nest_end(h, counter);
	mnl_attr_nest_end(h, part);
	mnl_attr_nest_end(h, element);
}

static void an_element_is_read_or_passed_over(void **state)
{
	static const struct {
		enum frame_count count;
		size_t key_size, number_size;
		uint8_t direction;
		bool read, is_answer;
	} rows[] = {
		{ FRAME_COUNT_TRAFFIC, 16, 8, 0, true, false },
		{ FRAME_COUNT_TRAFFIC, 16, 8, 1, true, true },
		{ FRAME_COUNT_NODE_TRAFFIC, 12, 8, 1, true, true },
		/* It begins with an address. */
		{ FRAME_COUNT_CONNECTIONS, 12, 8, 1, true, false },
		{ FRAME_COUNT_TRAFFIC, 12, 8, 0, false, false },
		{ FRAME_COUNT_TRAFFIC, 20, 8, 0, false, false },
		{ FRAME_COUNT_TRAFFIC, 32, 8, 0, false, false },
		{ FRAME_COUNT_TRAFFIC, 16, 4, 0, false, false },
	};
	const struct frame f = { .family = 4 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char buffer[1024] = { 0 };
		struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);
		struct frame_counted c = { .packets = 1 };
		put_count(h, rows[i].key_size, rows[i].direction, rows[i].number_size);
		bool read = frame_read_count(&f, rows[i].count, mnl_nlmsg_get_payload(h), &c);
		if (read != rows[i].read)
			fail_msg("row %zu", i);
		assert_int_equal(c.packets, read ? 7 : 1);
		assert_int_equal(c.bytes, read ? 700 : 0);
		assert_int_equal(c.is_answer, rows[i].is_answer);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(whoever_asks_it_takes_a_small_part_of_the_time),
		cmocka_unit_test(a_short_one_is_done_whenever_somebody_asks),
		cmocka_unit_test(what_is_lost_or_left_out_is_told),
		cmocka_unit_test(an_element_is_read_or_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
