/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the ledger makes of answers, one by one: above all of lists that are older than what was
 * written while they came, which a kernel that is made up (test_proxy_ipvs_virtual.c) never sends.
 */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "proxy/ipvs/entries.h"
#include "proxy/ipvs/ledger.h"

/* Operations at a time. */
#define TURN 100

static struct ledger *l;
static struct server_operations ops;
static int64_t now_ms;

static int set_up(void **state)
{
	(void)state;
	l = ledger_new();
	now_ms = 1000;
	ledger_begin_reading(l);
	ledger_end_reading(l);
	ledger_complete(l);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	ledger_free(l);
	free(ops.list);
	ops = (struct server_operations){ 0 };
	return 0;
}

static struct virtual_id id_of(uint32_t i)
{
	return (struct virtual_id){ 0x1002 + i, 4 };
}

static void want(uint32_t i, uint8_t proto, const char *scheduler, size_t n)
{
	const struct virtual_endpoint list[] = {
		{ { .family = 4, .b = { 10, 0, 0, 1 } }, 80 },
		{ { .family = 4, .b = { 10, 0, 0, 1 } }, 81 },
	};
	struct virtual_server v = {
		.id = id_of(i), .proto = proto, .endpoints = list, .n_endpoints = n
	};

	assert_true(n <= ARRAY_LEN(list));
	strcpy(v.scheduler, scheduler);
	ledger_want(l, &v);
}

static bool take(void)
{
	ops.n = 0;
	return ledger_take(l, TURN, now_ms, &ops);
}

static void answer(int error)
{
	for (size_t i = 0; i < ops.n; i++)
		ledger_did(l, &ops.list[i], error, now_ms);
	ledger_settle(l, NULL);
}

/* How many operations it took. */
static size_t write_all(void)
{
	size_t n = 0;

	while (take()) {
		n += ops.n;
		answer(0);
	}
	return n;
}

static void found(uint32_t i, const char *scheduler)
{
	struct ipvs_server s = { .id = id_of(i),
		                 .flags = server_scheduler_flags(scheduler),
		                 .stamped = true };

	strcpy(s.scheduler, scheduler);
	ledger_found(l, &s);
}

static void expect_peace(void)
{
	struct virtual_id id;
	bool itself;

	assert_false(ledger_next_unread(l, &id, &itself));
	assert_int_equal(write_all(), 0);
	assert_int_equal(ledger_stats(l).repairs, 0);
	assert_true(ledger_is_in_sync(l));
}

/* ---- lists that are older than what is written ---- */

/* One that has scheduler mh, and is to have rr, which is on its way to the kernel. */
static void send_a_change(void)
{
	want(0, IPPROTO_TCP, "", 1);
	write_all();
	ledger_know_scheduler(l, "rr", 0, now_ms);
	want(0, IPPROTO_TCP, "rr", 1);
	ledger_know_scheduler(l, "rr", 0, now_ms);
	assert_true(take());
	assert_int_equal(ops.n, 1);
	assert_int_equal(ops.list[0].verb, IPVS_CHANGE_SERVER);
}

static void a_list_from_before_the_change_says_nothing(void **state)
{
	(void)state;
	want(0, IPPROTO_TCP, "", 1);
	write_all();
	ledger_begin_reading(l);
	send_a_change();
	answer(0);
	found(0, "mh");
	write_all();
	ledger_end_reading(l);
	expect_peace();
}

static void a_list_from_amid_the_change_says_nothing(void **state)
{
	(void)state;
	send_a_change();
	ledger_begin_reading(l);
	found(0, "mh");
	answer(0);
	found(0, "rr");
	ledger_end_reading(l);
	expect_peace();
}

static void a_list_may_lack_what_is_being_written(void **state)
{
	struct virtual_id id;
	bool itself;

	(void)state;
	send_a_change();
	ledger_begin_reading(l);
	ledger_end_reading(l);
	assert_false(ledger_next_unread(l, &id, &itself));
	answer(0);
	expect_peace();
}

static void a_list_may_lack_what_is_new(void **state)
{
	(void)state;
	ledger_begin_reading(l);
	want(0, IPPROTO_TCP, "", 1);
	write_all();
	ledger_end_reading(l);
	expect_peace();
}

/* ---- audits ---- */

static void an_audit_looks_at_some_and_the_next_at_others(void **state)
{
	static unsigned int n_looks[LEDGER_AUDIT * 2];
	struct virtual_id id;
	bool itself;

	(void)state;
	for (uint32_t i = 0; i < ARRAY_LEN(n_looks); i++)
		want(i, IPPROTO_TCP, "", 0);
	assert_true(take());
	assert_int_equal(ops.n, TURN);
	answer(0);
	write_all();
	for (int audit = 0; audit < 2; audit++) {
		size_t n = 0;
		for (ledger_audit(l); ledger_next_unread(l, &id, &itself); n++) {
			n_looks[id.mark - id_of(0).mark]++;
			ledger_found_endpoints(l, id, NULL, 0);
		}
		assert_int_equal(n, LEDGER_AUDIT);
		expect_peace();
	}
	for (size_t i = 0; i < ARRAY_LEN(n_looks); i++)
		assert_int_equal(n_looks[i], 1);
}

static size_t n_unread_of(size_t n_endpoints)
{
	struct virtual_endpoint *list = xcalloc(n_endpoints, sizeof(*list));
	struct virtual_server v = { .id = { 0x5002, 4 },
		                    .proto = IPPROTO_TCP,
		                    .scheduler = "rr",
		                    .endpoints = list,
		                    .n_endpoints = n_endpoints };
	struct virtual_id id;
	bool itself;
	size_t n = 0;

	for (size_t i = 0; i < n_endpoints; i++)
		list[i] = (struct virtual_endpoint){ { .family = 4, .b = { 10, 0, 0, 1 } },
			                             (uint16_t)(i + 1) };
	for (v.id.mark = 0x5002; v.id.mark < 0x5002 + 10; v.id.mark++)
		ledger_want(l, &v);
	ledger_know_scheduler(l, "rr", 0, now_ms);
	write_all();
	ledger_audit(l);
	for (; ledger_next_unread(l, &id, &itself); n++)
		ledger_not_read(l, id, "", now_ms);
	free(list);
	return n;
}

static void an_audit_is_bounded_by_endpoints(void **state)
{
	(void)state;
	assert_int_equal(n_unread_of(LEDGER_AUDIT_ENDPOINTS / 4), 4);
}

static void a_change_does_not_wait_for_an_audit(void **state)
{
	struct virtual_id id;
	bool itself;

	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		want(i, IPPROTO_TCP, "", 1);
	write_all();
	ledger_audit(l);
	want(70, IPPROTO_TCP, "", 2);
	assert_true(ledger_next_unread(l, &id, &itself));
	assert_int_equal(id.mark, id_of(70).mark);
}

/* ---- refusals ---- */

static void what_nobody_wants_is_not_refused(void **state)
{
	struct virtual_id id;
	bool itself;

	(void)state;
	want(0, IPPROTO_UDP, "", 0);
	write_all();
	want(1, IPPROTO_UDP, "", 0);
	for (int i = 0; i < 2; i++) {
		assert_true(take());
		answer(-EINVAL);
		if (ledger_next_unread(l, &id, &itself))
			ledger_found_none(l, id);
	}
	assert_non_null(ledger_refusal(l, id_of(1)));
	assert_int_equal(ledger_n_refused(l, 4), 1);
	ledger_unwant(l, id_of(1));
	assert_null(ledger_refusal(l, id_of(1)));
	assert_int_equal(ledger_n_refused(l, 4), 0);
	/* Nor is its removal, which is tried again. */
	ledger_unwant(l, id_of(0));
	for (int i = 0; i < 3; i++) {
		while (ledger_next_unread(l, &id, &itself))
			if (id.mark == id_of(0).mark) {
				found(0, "mh");
				ledger_found_endpoints(l, id, NULL, 0);
			} else {
				ledger_found_none(l, id);
			}
		assert_true(take());
		assert_int_equal(ops.n, 1);
		assert_int_equal(ops.list[0].verb, IPVS_REMOVE_SERVER);
		answer(-EBUSY);
		assert_int_equal(ledger_n_refused(l, 4), 0);
		now_ms += LEDGER_PAUSE_MAX_MS;
		ledger_wake(l, now_ms);
	}
}

static void a_lack_is_the_scheduler_s_where_that_is_named(void **state)
{
	(void)state;
	want(0, IPPROTO_UDP, "wlc", 2);
	ledger_know_scheduler(l, "wlc", 0, now_ms);
	write_all();
	want(0, IPPROTO_UDP, "wlc", 1);
	assert_true(take());
	assert_int_equal(ops.list[0].verb, IPVS_REMOVE_ENDPOINT);
	answer(-ENOENT);
	assert_null(ledger_unknown_scheduler(l));
	want(1, IPPROTO_UDP, "wlc", 1);
	assert_true(take());
	assert_int_equal(ops.list[0].verb, IPVS_ADD_SERVER);
	answer(-ENOENT);
	assert_non_null(ledger_unknown_scheduler(l));
	assert_string_equal(ledger_unknown_scheduler(l), "wlc");
}

/* The kernel has what it had before the change, and that is nobody's fault but ours. */
static void what_was_refused_is_read_and_no_repair(void **state)
{
	const struct ipvs_endpoint e = { { { .family = 4, .b = { 10, 0, 0, 1 } }, 80 }, true, 1 };
	struct virtual_id id;
	bool itself;

	(void)state;
	send_a_change();
	answer(-ENOMEM);
	assert_true(ledger_next_unread(l, &id, &itself) && itself);
	found(0, "mh");
	ledger_found_endpoints(l, id, &e, 1);
	assert_int_equal(write_all(), 1);
	expect_peace();
}

/* It may never be read, and nothing else waits for it. */
static void what_cannot_be_read_unsettles_nobody(void **state)
{
	struct virtual_id id;
	bool itself;

	(void)state;
	want(0, IPPROTO_TCP, "", 1);
	write_all();
	ledger_audit(l);
	assert_true(ledger_next_unread(l, &id, &itself));
	assert_true(ledger_is_in_sync(l));
	ledger_not_read(l, id, "no", now_ms);
	assert_string_equal(ledger_refusal(l, id), "no");
	assert_true(ledger_is_settled(l));
	assert_false(ledger_is_in_sync(l));
	assert_false(ledger_is_applied(l, id));
}

static void what_is_gone_is_forgotten(void **state)
{
	(void)state;
	want(0, IPPROTO_TCP, "", 0);
	write_all();
	assert_non_null(ledger_server(l, id_of(0)));
	ledger_unwant(l, id_of(0));
	write_all();
	assert_null(ledger_server(l, id_of(0)));
	expect_peace();
}

/* Of several pauses the first that is over counts, whichever began last. */
static void the_first_pause_that_is_over_counts(void **state)
{
	struct virtual_id id;
	bool itself;
	int64_t due_ms = LEDGER_NEVER;

	(void)state;
	want(0, IPPROTO_TCP, "", 1);
	want(1, IPPROTO_TCP, "", 1);
	write_all();
	ledger_audit(l);
	for (int i = 0; i < 2; i++, now_ms += LEDGER_PAUSE_MIN_MS / 2) {
		assert_true(ledger_next_unread(l, &id, &itself));
		ledger_not_read(l, id, "no", now_ms);
		due_ms = i == 0 ? ledger_due_ms(l) : due_ms;
		assert_int_equal(ledger_due_ms(l), due_ms);
	}
	assert_in_range(due_ms, now_ms - LEDGER_PAUSE_MIN_MS, now_ms);
}

static void what_is_in_doubt_is_read_before_it_is_written(void **state)
{
	struct virtual_id id;
	bool itself;

	(void)state;
	want(0, IPPROTO_TCP, "", 0);
	for (int i = 0; i < 2; i++) {
		assert_true(take());
		answer(-EINVAL);
		if (ledger_next_unread(l, &id, &itself))
			ledger_found_none(l, id);
	}
	assert_false(ledger_next_unread(l, &id, &itself) || take());
	want(0, IPPROTO_TCP, "", 1);
	assert_false(take());
	assert_true(ledger_next_unread(l, &id, &itself) && itself);
}

static void what_drains_is_looked_at_from_time_to_time(void **state)
{
	(void)state;
	want(0, IPPROTO_TCP, "", 2);
	write_all();
	assert_true(ledger_due_ms(l) == LEDGER_NEVER);
	want(0, IPPROTO_TCP, "", 1);
	write_all();
	assert_int_equal(ledger_due_ms(l), now_ms + ENTRIES_LOOK_MS);
}

#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

/* ---- guards of single steps ---- */

/* What is learnt of a scheduler that nobody asks for any more changes nothing. */
static void what_drains_has_no_scheduler_to_learn_of(void **state)
{
	(void)state;
	want(0, IPPROTO_TCP, "rr", 1);
	ledger_know_scheduler(l, "rr", 0, now_ms);
	write_all();
	ledger_unwant(l, id_of(0));
	write_all();
	assert_non_null(ledger_server(l, id_of(0)));
	ledger_know_scheduler(l, "wlc", 0, now_ms);
	assert_true(ledger_is_in_sync(l));
	assert_null(ledger_substitute(l, id_of(0)));
}

/* One that waits for the end of a pause gets its scheduler at once, unless it is to be read. */
static void a_pause_keeps_no_scheduler_waiting(void **state)
{
	struct virtual_id id;
	bool itself;

	(void)state;
	for (int doubted = 0; doubted < 2; doubted++) {
		want((uint32_t)doubted, IPPROTO_TCP, "wlc", 2);
		ledger_know_scheduler(l, "wlc", -ENOENT, now_ms);
		write_all();
		want((uint32_t)doubted, IPPROTO_TCP, "wlc", 1);
		write_all();
		if (doubted) {
			now_ms = ledger_due_ms(l);
			ledger_wake(l, now_ms);
			while (ledger_next_unread(l, &id, &itself))
				ledger_not_read(l, id, "no", now_ms);
		}
		ledger_know_scheduler(l, "wlc", 0, now_ms);
		assert_int_equal(write_all() > 0, !doubted);
	}
}

static void what_is_unread_keeps_its_turn(void **state)
{
	struct virtual_id id;
	bool itself;

	(void)state;
	for (int i = 0; i < 2; i++) {
		ledger_begin_reading(l);
		found(0, "mh");
		if (i == 0)
			found(1, "mh");
	}
	assert_true(ledger_next_unread(l, &id, &itself));
	assert_int_equal(id.mark, id_of(0).mark);
}

static void what_drains_and_cannot_be_read_is_not_refused(void **state)
{
	(void)state;
	want(0, IPPROTO_TCP, "", 1);
	write_all();
	ledger_unwant(l, id_of(0));
	write_all();
	ledger_not_read(l, id_of(0), "no", now_ms);
	assert_int_equal(ledger_n_refused(l, 4), 0);
	assert_null(ledger_refusal(l, id_of(0)));
}

/* It may not be in the kernel yet, and what comes back of it is not to be taken for a change. */
static void what_is_sent_is_neither_asked_for_nor_audited(void **state)
{
	struct virtual_id id;
	bool itself;

	(void)state;
	want(0, IPPROTO_TCP, "", 1);
	assert_true(take());
	assert_false(ledger_any_at_rest(l, &id));
	ledger_audit(l);
	assert_false(ledger_next_unread(l, &id, &itself));
	answer(0);
	write_all();
	assert_true(ledger_any_at_rest(l, &id));
	expect_peace();
}

static void a_look_for_one_at_rest_is_bounded(void **state)
{
	struct virtual_id id;

	(void)state;
	for (uint32_t i = 0; i <= LEDGER_LOOKED_AT; i++)
		want(i, IPPROTO_TCP, "", 1);
	write_all();
	for (uint32_t i = 0; i + 1 < LEDGER_LOOKED_AT; i++)
		want(i, IPPROTO_TCP, "", 2);
	assert_true(ledger_any_at_rest(l, &id));
	want(LEDGER_LOOKED_AT - 1, IPPROTO_TCP, "", 2);
	assert_false(ledger_any_at_rest(l, &id));
}

/* What follows from it is no reason. */
static void the_first_error_is_the_reason(void **state)
{
	struct virtual_id id;
	bool itself;

	(void)state;
	want(0, IPPROTO_TCP, "", 2);
	assert_true(take());
	answer(0);
	for (int i = 0; i < 2; i++) {
		assert_true(take());
		assert_true(ops.n >= 2);
		for (size_t k = 0; k < ops.n; k++)
			ledger_did(l, &ops.list[k], k ? -ENOMEM : -EINVAL, now_ms);
		assert_int_equal(ledger_next_unread(l, &id, &itself), i == 0);
		if (i == 0) {
			found(0, IPVS_SCHEDULER_NONE);
			ledger_found_endpoints(l, id, NULL, 0);
		}
	}
	assert_non_null(strstr(ledger_refusal(l, id_of(0)), strerror(EINVAL)));
}

/* Once all is well again the first refusal is nobody's fault, as ever. */
static void what_was_refused_once_is_forgiven(void **state)
{
	struct virtual_id id;
	bool itself;

	(void)state;
	want(0, IPPROTO_TCP, "", 0);
	for (int round = 0; round < 2; round++) {
		assert_true(take());
		answer(-EINVAL);
		assert_true(ledger_next_unread(l, &id, &itself));
		assert_int_equal(ledger_n_refused(l, 4), 0);
		ledger_found_none(l, id);
		assert_true(write_all() > 0);
		assert_true(ledger_is_in_sync(l));
		want(0, IPPROTO_TCP, "", 1);
	}
}

/* An audit goes on with the one after it. */
static void an_audit_may_lose_the_one_it_was_at(void **state)
{
	const struct ipvs_endpoint e = { { { .family = 4, .b = { 10, 0, 0, 1 } }, 80 }, true, 1 };
	struct virtual_id id;
	bool itself;

	(void)state;
	for (uint32_t i = 0; i < LEDGER_AUDIT + 2; i++)
		want(i, IPPROTO_UDP, "", 1);
	write_all();
	ledger_audit(l);
	while (ledger_next_unread(l, &id, &itself))
		ledger_found_endpoints(l, id, &e, 1);
	write_all();
	ledger_unwant(l, id_of(LEDGER_AUDIT));
	write_all();
	assert_null(ledger_server(l, id_of(LEDGER_AUDIT)));
	ledger_audit(l);
	assert_true(ledger_next_unread(l, &id, &itself));
	assert_int_equal(id.mark, id_of(LEDGER_AUDIT + 1).mark);
}

static void what_nobody_waits_for_is_no_answer(void **state)
{
	(void)state;
	want(0, IPPROTO_TCP, "", 1);
	assert_true(take());
	answer(0);
	ledger_did(l, &ops.list[0], -EINVAL, now_ms);
	assert_int_equal(ledger_stats(l).failures, 0);
	write_all();
	expect_peace();
}

/* ---- memory ---- */

#define MANY 3000

/* In the kernel with two endpoints, and at rest; that of the tables is not here. */
static size_t bytes_of_each(const char *scheduler)
{
	size_t bytes = mallinfo2().uordblks;

	for (uint32_t i = 0; i < MANY; i++)
		want(i, IPPROTO_TCP, scheduler, 2);
	ledger_know_scheduler(l, scheduler, 0, now_ms);
	write_all();
	expect_peace();
	free(ops.list);
	ops = (struct server_operations){ 0 };
	return (mallinfo2().uordblks - bytes) / MANY;
}

static void a_virtual_server_takes_little_memory(void **state)
{
	(void)state;
	assert_in_range(bytes_of_each("mh"), 0, 320);
}

static void one_of_another_scheduler_takes_no_more(void **state)
{
	(void)state;
	assert_in_range(bytes_of_each("rr"), 0, 320);
}

/* Its endpoints come one by one. */
static void one_that_was_read_takes_no_more(void **state)
{
	struct ipvs_endpoint list[] = {
		{ { { .family = 4, .b = { 10, 0, 0, 1 } }, 81 }, .rewrites = true, .weight = 1 },
		{ { { .family = 4, .b = { 10, 0, 0, 1 } }, 80 }, .rewrites = true, .weight = 1 },
	};
	size_t bytes = mallinfo2().uordblks;

	(void)state;
	ledger_begin_reading(l);
	for (uint32_t i = 0; i < MANY; i++)
		found(i, "rr");
	ledger_end_reading(l);
	for (uint32_t i = 0; i < MANY; i++)
		ledger_found_endpoints(l, id_of(i), list, ARRAY_LEN(list));
	for (uint32_t i = 0; i < MANY; i++)
		want(i, IPPROTO_TCP, "rr", 2);
	ledger_know_scheduler(l, "rr", 0, now_ms);
	assert_int_equal(write_all(), 0);
	expect_peace();
	free(ops.list);
	ops = (struct server_operations){ 0 };
	assert_in_range((mallinfo2().uordblks - bytes) / MANY, 0, 320);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALONE(a_list_from_before_the_change_says_nothing),
		ALONE(a_list_from_amid_the_change_says_nothing),
		ALONE(a_list_may_lack_what_is_being_written),
		ALONE(a_list_may_lack_what_is_new),
		ALONE(an_audit_looks_at_some_and_the_next_at_others),
		ALONE(an_audit_is_bounded_by_endpoints),
		ALONE(a_change_does_not_wait_for_an_audit),
		ALONE(what_nobody_wants_is_not_refused),
		ALONE(a_lack_is_the_scheduler_s_where_that_is_named),
		ALONE(what_was_refused_is_read_and_no_repair),
		ALONE(what_cannot_be_read_unsettles_nobody),
		ALONE(what_is_gone_is_forgotten),
		ALONE(the_first_pause_that_is_over_counts),
		ALONE(what_is_in_doubt_is_read_before_it_is_written),
		ALONE(what_drains_is_looked_at_from_time_to_time),
		ALONE(what_drains_has_no_scheduler_to_learn_of),
		ALONE(a_pause_keeps_no_scheduler_waiting),
		ALONE(what_is_unread_keeps_its_turn),
		ALONE(what_drains_and_cannot_be_read_is_not_refused),
		ALONE(what_is_sent_is_neither_asked_for_nor_audited),
		ALONE(a_look_for_one_at_rest_is_bounded),
		ALONE(the_first_error_is_the_reason),
		ALONE(what_was_refused_once_is_forgiven),
		ALONE(an_audit_may_lose_the_one_it_was_at),
		ALONE(what_nobody_waits_for_is_no_answer),
		ALONE(a_virtual_server_takes_little_memory),
		ALONE(one_of_another_scheduler_takes_no_more),
		ALONE(one_that_was_read_takes_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
