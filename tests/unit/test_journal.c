/* SPDX-License-Identifier: Apache-2.0 */
/* The journal's lines, and what follows from them. */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#include "fairlead/journal.h"
#include "fairlead/mem.h"

#define AT(second) (INT64_C(1767225600) * 1000000 + (int64_t)(second)*1000000)

static struct addr addr(const char *s)
{
	struct addr a = { 0 };

	assert_int_equal(addr_parse(s, &a), 0);
	return a;
}

static struct journal_entry entry(int second, enum journal_event event, const char *service,
                                  const char *uid, const char *address)
{
	struct journal_entry e = { .time_us = AT(second),
		                   .event = event,
		                   .service = (char *)(uintptr_t)service,
		                   .uid = (char *)(uintptr_t)uid };

	if (*address)
		e.addrs[e.n++] = addr(address);
	return e;
}

static void collect(struct journal_entry *e, void *arg)
{
	journal_print(e, arg);
}

static void test_a_line_reads_back(void **state)
{
	struct journal_entry e = entry(1, JOURNAL_MOVED, "shop/web", "u1", "192.0.2.1"), back;
	cleanup(buf_fini) struct buf line = BUF_INIT, again = BUF_INIT;

	(void)state;
	e.before[e.n_before++] = addr("2001:db8::1");
	e.pool = (char[]){ "lan" };
	e.reason = (char[]){ "Moved" };
	e.by = (char[]){ "host_1" };
	journal_print(&e, &line);
	assert_string_equal(
		buf_str(&line),
		"{\"time\":\"2026-01-01T00:00:01Z\",\"event\":\"moved\",\"service\":\"shop/web\","
		"\"uid\":\"u1\",\"addresses\":[\"192.0.2.1\"],\"before\":[\"2001:db8::1\"],"
		"\"pool\":\"lan\",\"reason\":\"Moved\",\"by\":\"host_1\"}\n");
	assert_int_equal(journal_parse(buf_str(&line), line.size - 1, &back), 0);
	journal_print(&back, &again);
	assert_string_equal(buf_str(&again), buf_str(&line));
	journal_entry_fini(&back);
}

/* What is repeated keeps its own time. */
static void test_what_is_kept_keeps_its_time(void **state)
{
	struct journal_holders *h = journal_holders_new();
	struct journal_entry e = entry(9, JOURNAL_KEPT, "shop/web", "u1", "192.0.2.1"), back;
	cleanup(buf_fini) struct buf line = BUF_INIT;

	(void)state;
	e.since_us = AT(1);
	journal_print(&e, &line);
	assert_string_equal(
		buf_str(&line),
		"{\"time\":\"2026-01-01T00:00:09Z\",\"event\":\"kept\",\"service\":\"shop/web\","
		"\"uid\":\"u1\",\"addresses\":[\"192.0.2.1\"],"
		"\"since\":\"2026-01-01T00:00:01Z\"}\n");
	assert_int_equal(journal_parse(buf_str(&line), line.size - 1, &back), 0);
	journal_holders_put(h, &back);
	assert_int_equal(journal_holder_of(h, "shop/web")->since_us[0], AT(1));
	assert_int_equal(journal_holder_of(h, "shop/web")->told_us, AT(9));
	journal_entry_fini(&back);
	journal_holders_free(h);
}

static void test_what_is_no_entry_is_counted(void **state)
{
	static const char text[] =
		"nonsense\n"
		"\n"
		"{\"time\":\"2026-01-01T00:00:01Z\",\"event\":\"assigned\"}\n"
		"{\"time\":\"yesterday\",\"event\":\"assigned\",\"service\":\"a/b\"}\n"
		"{\"time\":\"2026-01-01T00:00:01Z\",\"event\":\"given\",\"service\":\"a/b\"}\n"
		"{\"time\":\"2026-01-01T00:00:01Z\",\"event\":\"assigned\",\"service\":\"a/b\","
		"\"addresses\":[\"192.0.2.300\"]}\n"
		"{\"time\":\"2026-01-01T00:00:01Z\",\"event\":\"assigned\",\"service\":\"a/b\"} more\n"
		"{\"time\":\"2026-01-01T00:00:02Z\",\"event\":\"found\",\"service\":\"a/\\u001b[2J\"}\n"
		"{\"time\":\"2026-01-01T00:00:03Z\",\"event\":\"lost\",\"count\":7}";
	cleanup(buf_fini) struct buf read = BUF_INIT;

	(void)state;
	assert_int_equal(journal_read(text, strlen(text), collect, &read), 6);
	assert_string_equal(
		buf_str(&read),
		"{\"time\":\"2026-01-01T00:00:02Z\",\"event\":\"found\",\"service\":\"a/?[2J\","
		"\"addresses\":[]}\n"
		"{\"time\":\"2026-01-01T00:00:03Z\",\"event\":\"lost\",\"count\":7}\n");
}

static void test_old_lines_are_in_front(void **state)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;
	struct journal_entry e[] = { entry(1, JOURNAL_ASSIGNED, "a/a", "u", "192.0.2.1"),
		                     entry(2, JOURNAL_ASSIGNED, "a/b", "u", "192.0.2.2") };

	(void)state;
	journal_print(&e[0], &text);
	size_t first = text.size;
	buf_puts(&text, "broken\n");
	size_t broken = text.size;
	journal_print(&e[1], &text);
	assert_int_equal(journal_older_than(buf_str(&text), text.size, AT(1)), 0);
	assert_int_equal(journal_older_than(buf_str(&text), text.size, AT(2)), broken);
	assert_int_equal(journal_older_than(buf_str(&text), text.size, AT(3)), text.size);
	assert_int_equal(journal_older_than(buf_str(&text), first, AT(2)), first);
}

static void count(const struct journal_holder *holder, void *arg)
{
	buf_printf(arg, "%s ", holder->service);
}

static void test_who_has_what(void **state)
{
	struct journal_holders *h = journal_holders_new();
	const struct addr one = addr("192.0.2.1"), two = addr("192.0.2.2");
	struct journal_entry both = entry(3, JOURNAL_ASSIGNED, "a/dual", "u", "192.0.2.1");
	struct journal_entry entries[] = {
		entry(1, JOURNAL_ASSIGNED, "a/web", "u1", "192.0.2.1"),
		entry(2, JOURNAL_MOVED, "a/web", "u1", "192.0.2.2"),
		entry(3, JOURNAL_FOUND, "a/old", "u3", "192.0.2.1"),
		entry(4, JOURNAL_ASSIGNED, "a/gone", "u4", "192.0.2.4"),
		entry(5, JOURNAL_DELETED, "a/gone", "u4", ""),
	};
	cleanup(buf_fini) struct buf rest = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(entries); i++)
		journal_holders_put(h, &entries[i]);
	assert_true(journal_says(h, "a/web", "u1", &two, 1));
	assert_false(journal_says(h, "a/web", "u1", &one, 1));
	assert_false(journal_says(h, "a/web", "another", &two, 1));
	assert_true(journal_says(h, "a/gone", "u4", NULL, 0));
	assert_true(journal_says(h, "a/unheard-of", "u", NULL, 0));
	assert_false(journal_says(h, "a/unheard-of", "u", &one, 1));
	assert_int_equal(journal_holder_of(h, "a/web")->since_us[0], AT(2));
	/* Who was found with it may have had it for long. */
	assert_int_equal(journal_holder_of(h, "a/old")->since_us[0], 0);

	/* An address that stays is the Service's since then, a new one is not. */
	journal_holders_put(h, &both);
	both = entry(9, JOURNAL_ASSIGNED, "a/dual", "u", "192.0.2.1");
	both.addrs[both.n++] = addr("fd00::1");
	journal_holders_put(h, &both);
	assert_int_equal(journal_holder_of(h, "a/dual")->since_us[0], AT(3));
	assert_int_equal(journal_holder_of(h, "a/dual")->since_us[1], AT(9));
	/* But for another Service of the same name. */
	both = entry(10, JOURNAL_ASSIGNED, "a/dual", "next", "192.0.2.1");
	journal_holders_put(h, &both);
	assert_int_equal(journal_holder_of(h, "a/dual")->since_us[0], AT(10));

	journal_holders_mark(h, "a/web");
	journal_holders_rest(h, count, &rest);
	assert_string_equal(buf_str(&rest), "a/dual a/old ");
	journal_holders_free(h);
}

static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t number;
	} cases[] = { { "1", 1 },
		      { "0", 0 },
		      { "", 0 },
		      { "-1", 0 },
		      { "7x", 0 },
		      { " 7", 0 },
		      { "9223372036854775807", INT64_MAX },
		      { "9223372036854775808", 0 },
		      { "99999999999999999999999", 0 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct label kv = { (char[]){ JOURNAL_KEY_NUMBER },
			            (char *)(uintptr_t)cases[i].text };
		const struct labels data = { &kv, 1 };
		assert_int_equal(journal_number(&data), cases[i].number);
	}
	assert_int_equal(journal_number(&(struct labels){ .n = 0 }), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_line_reads_back),
		cmocka_unit_test(test_what_is_kept_keeps_its_time),
		cmocka_unit_test(test_what_is_no_entry_is_counted),
		cmocka_unit_test(test_old_lines_are_in_front),
		cmocka_unit_test(test_who_has_what),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
