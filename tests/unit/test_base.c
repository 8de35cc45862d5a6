/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fairlead/addr.h"
#include "fairlead/base64.h"
#include "fairlead/buf.h"
#include "fairlead/clock.h"
#include "fairlead/cursor.h"
#include "fairlead/hash.h"
#include "fairlead/limits.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

static void addresses_parse(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out; /* out NULL: refused */
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1" },
		{ "010.001.000.009",
		  "10.1.0.9" }, /* decimal, as the API server reads old objects */
		{ "2001:DB8::1", "2001:db8::1" },
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "::", "::" },
		{ "", NULL },
		{ "192.0.2", NULL },
		{ "192.0.2.1.", NULL },
		{ "192.0.2.256", NULL },
		{ "192.0.2.0001", NULL },
		{ " 192.0.2.1", NULL },
		{ "192.0.2.1 ", NULL },
		{ "0x7f.0.0.1", NULL },
		{ "fe80::1%eth0", NULL },
		{ ":::", NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct addr a;
		int r = addr_parse(cases[i].in, &a);
		assert_int_equal(r == 0, cases[i].out != NULL);
		if (r == 0)
			assert_string_equal(addr_str(&a), cases[i].out);
	}
}

static void prefixes_parse(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
		bool bare;
	} cases[] = {
		{ "192.0.2.77/24", "192.0.2.0/24", false },
		{ "0.0.0.0/0", "0.0.0.0/0", false },
		{ "2001:db8::ffff/112", "2001:db8::/112", false },
		{ "192.0.2.1", "192.0.2.1/32", true },
		{ "192.0.2.1", NULL, false },
		{ "192.0.2.1/33", NULL, false },
		{ "192.0.2.1/", NULL, false },
		{ "192.0.2.1/+8", NULL, false },
		{ "192.0.2.1/024x", NULL, false },
		{ "::ffff:192.0.2.1/120", NULL, false },
		{ "::ffff:192.0.2.1/24", NULL, false },
		{ "2001:db8::/129", NULL, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct prefix p;
		char text[PREFIX_STR_SIZE];
		int r = prefix_parse(cases[i].in, cases[i].bare, &p);
		assert_int_equal(r == 0, cases[i].out != NULL);
		if (r == 0)
			assert_string_equal(prefix_format(&p, text), cases[i].out);
	}
}

static struct addr addr(const char *s)
{
	struct addr a;

	assert_int_equal(addr_parse(s, &a), 0);
	return a;
}

static void ranges_count_and_contain(void **state)
{
	(void)state;
	static const struct {
		const char *first, *last, *text;
		uint64_t count;
	} cases[] = {
		{ "192.0.2.0", "192.0.2.255", "192.0.2.0/24", 256 },
		{ "192.0.2.1", "192.0.2.1", "192.0.2.1/32", 1 },
		{ "192.0.2.250", "192.0.3.5", "192.0.2.250-192.0.3.5", 12 },
		{ "0.0.0.0", "255.255.255.255", "0.0.0.0/0", 4294967296u },
		{ "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0", UINT64_MAX },
		{ "2001:db8::1", "2001:db8::3", "2001:db8::1-2001:db8::3", 3 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct addr_range r = { addr(cases[i].first), addr(cases[i].last) };
		char text[ADDR_RANGE_STR_SIZE];
		assert_string_equal(addr_range_format(&r, text), cases[i].text);
		assert_true(addr_range_count(&r) == cases[i].count);
		assert_true(addr_range_contains(&r, &r.first) && addr_range_contains(&r, &r.last));
		struct addr other = r.first;
		other.family = other.family == 4 ? 6 : 4;
		assert_false(addr_range_contains(&r, &other));
	}
	struct addr next, end = addr("255.255.255.255"), carry = addr("10.0.0.255");
	assert_false(addr_next(&end, &next));
	assert_true(addr_next(&carry, &next));
	assert_string_equal(addr_str(&next), "10.0.1.0");
}

static void ranges_overlap_in_one_address(void **state)
{
	static const struct {
		const char *a_first, *a_last, *b_first, *b_last;
		bool overlap;
	} cases[] = {
		{ "10.0.0.1", "10.0.0.5", "10.0.0.5", "10.0.0.9", true },
		{ "10.0.0.1", "10.0.0.5", "10.0.0.6", "10.0.0.9", false },
		{ "10.0.0.1", "10.0.0.9", "10.0.0.4", "10.0.0.5", true },
		{ "10.0.0.3", "10.0.0.3", "10.0.0.3", "10.0.0.3", true },
		{ "10.0.0.3", "10.0.0.3", "10.0.0.4", "10.0.0.4", false },
		{ "fd00::1", "fd00::5", "fd00::5", "fd00::9", true },
		{ "fd00::1", "fd00::5", "fd00::6", "fd00::9", false },
		{ "0.0.0.0", "255.255.255.255", "::", "::5", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct addr_range a = { addr(cases[i].a_first), addr(cases[i].a_last) };
		const struct addr_range b = { addr(cases[i].b_first), addr(cases[i].b_last) };
		if (addr_range_overlaps(&a, &b) != cases[i].overlap ||
		    addr_range_overlaps(&b, &a) != cases[i].overlap)
			fail_msg("%s to %s and %s to %s", cases[i].a_first, cases[i].a_last,
			         cases[i].b_first, cases[i].b_last);
	}
}

static void special_addresses_are_known(void **state)
{
	(void)state;
	static const char *const special[] = { "0.0.0.0",   "127.0.0.1", "169.254.1.1",
		                               "224.0.0.1", "239.9.9.9", "::",
		                               "::1",       "fe80::1",   "ff02::1",
		                               "0.1.2.3",   "240.0.0.1", "255.255.255.255" };
	static const char *const fine[] = { "192.0.2.1", "10.0.0.0", "2001:db8::1", "fc00::1" };
	for (size_t i = 0; i < ARRAY_LEN(special); i++) {
		struct addr a = addr(special[i]);
		assert_true(addr_is_special(&a));
	}
	for (size_t i = 0; i < ARRAY_LEN(fine); i++) {
		struct addr a = addr(fine[i]);
		assert_false(addr_is_special(&a));
	}
	struct addr zero = addr("10.0.0.0"), mid = addr("10.0.0.25"), six = addr("2001:db8::");
	assert_true(addr_is_buggy(&zero));
	assert_false(addr_is_buggy(&mid) || addr_is_buggy(&six));
}

static void json_strings_are_escaped(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ NULL, "null" },
		{ "", "\"\"" },
		{ "a\"b\\c\n\x01", "\"a\\\"b\\\\c\\u000a\\u0001\"" },
		{ "gr\xc3\xbc\xc3\x9f", "\"gr\xc3\xbc\xc3\x9f\"" },
		{ "\xff\xc3", "\"\\ufffd\\ufffd\"" },
		{ "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup(buf_fini) struct buf b = BUF_INIT;
		buf_json_str(&b, cases[i].in);
		assert_string_equal(buf_str(&b), cases[i].out);
	}
}

static void what_is_no_utf8_is_mended(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "", "" },
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
		{ "cut \xc3", "cut ?" },
		{ "cut \xe2\x80\xe2\x80\xa6", "cut ??\xe2\x80\xa6" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *text = xstrdup(cases[i].in);
		buf_mend(text);
		assert_string_equal(text, cases[i].out);
	}
}

static void buffers_grow_and_shrink(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf b = BUF_INIT;
	assert_string_equal(buf_str(&b), "");
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "%d,", i);
	buf_consume(&b, 2);
	assert_memory_equal(b.data, "1,2,3", 5);
	buf_consume(&b, b.size + 5);
	assert_int_equal(b.size, 0);
	buf_puts(&b, "x");
	cleanup_free char *s = buf_take(&b);
	assert_string_equal(s, "x");
	assert_null(b.data);
}

static void cursors_keep_their_bounds(void **state)
{
	(void)state;
	uint8_t space[7];
	struct writer w = writer_of(space, sizeof(space));
	writer_u16(&w, 0x0102);
	writer_u32(&w, 0x03040506);
	assert_true(writer_ok(&w));
	writer_u16(&w, 1);
	assert_false(writer_ok(&w));
	assert_int_equal(w.size, 6);

	struct cursor c = cursor_of(space, 6);
	assert_int_equal(cursor_u8(&c), 1);
	assert_int_equal(cursor_u32(&c), 0x02030405);
	assert_int_equal(cursor_u16(&c), 0);
	assert_false(cursor_ok(&c));
	assert_int_equal(cursor_u8(&c), 0); /* the error sticks though one byte was left */
}

static void times_round_trip(void **state)
{
	(void)state;
	int64_t us;
	char out[CLOCK_RFC3339_SIZE];
	assert_int_equal(clock_parse_rfc3339("2026-01-02T03:04:05.000678Z", &us), 0);
	assert_string_equal(clock_rfc3339_micro(us, out), "2026-01-02T03:04:05.000678Z");
	assert_string_equal(clock_rfc3339(us, out), "2026-01-02T03:04:05Z");
	int64_t same;
	assert_int_equal(clock_parse_rfc3339("2026-01-02T05:04:05.000678+02:00", &same), 0);
	assert_true(us == same);
	assert_int_equal(clock_parse_rfc3339("2026-01-02", &us), -22);
	assert_int_equal(clock_parse_rfc3339("2026-01-02T03:04:05", &us), -22);
}

#define ASLEEP_S 100000

/*
 * In a child, whose own children are as if the machine had slept for ASLEEP_S: 0 if one saw that,
 * 77 if that cannot be had.
 */
static int look_after_sleep(void)
{
	const char offsets[] = "boottime 100000 0";

	if (unshare(CLONE_NEWTIME) < 0)
		return 77;
	int fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, offsets, strlen(offsets)) < 0)
		return 77;
	close(fd);
	int64_t before = clock_ms();
	pid_t pid = fork();
	if (pid == 0)
		_exit(clock_ms() - before >= ASLEEP_S * 1000LL ? 0 : 1);
	int status;
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status)
	                                                                       : 1;
}

static void sleep_counts_as_time(void **state)
{
	(void)state;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(look_after_sleep());
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		print_message("no time namespace: not looked at\n");
	else
		assert_int_equal(WEXITSTATUS(status), 0);
}

static void log_lines_cannot_be_forged(void **state)
{
	(void)state;
	int fds[2];
	char text[512];
	assert_int_equal(pipe(fds), 0);
	log_set_fd(fds[1]);
	log_info("a b", KV_S("k", "x\nlevel=error"), KV_I("n", -3), KV_S("empty", ""));
	log_debug("not at this level");
	log_set_fd(STDERR_FILENO);
	ssize_t n = read(fds[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(
		strstr(text, " level=info msg=\"a b\" k=\"x\\nlevel=error\" n=-3 empty=\"\"\n"));
	assert_ptr_equal(strchr(text, '\n'), text + n - 1);
	close(fds[0]);
	close(fds[1]);
}

static void long_log_lines_are_cut_whole(void **state)
{
	(void)state;
	int fds[2];
	char value[8192], text[8192];
	assert_int_equal(pipe(fds), 0);
	log_set_fd(fds[1]);
	/*
	 * Wherever the end of the line falls in an escape, the value is closed and the line says
	 * that it was cut.
	 */
	for (size_t shift = 0; shift < 8; shift++) {
		memset(value, 'a', shift);
		memset(value + shift, '\x01', 5000 - shift);
		value[5000] = '\0';
		log_info("m", KV_S("k", value), KV_S("after", "b"));
		ssize_t n = read(fds[0], text, sizeof(text) - 1);
		assert_true(n > 4000 && n <= 4096);
		text[n] = '\0';
		assert_ptr_equal(strchr(text, '\n'), text + n - 1);
		assert_string_equal(text + n - strlen("\\x01\" cut=true\n"), "\\x01\" cut=true\n");
	}
	/* A value that ends anywhere about the end of the line, quoted or plain. */
	for (size_t len = 3900; len < 4200; len++) {
		for (int quoted = 0; quoted < 2; quoted++) {
			memset(value, 'a', len);
			value[0] = quoted ? ' ' : 'a';
			value[len] = '\0';
			log_info("m", KV_S("k", value), KV_S("q", ""), KV_I("n", 1));
			ssize_t n = read(fds[0], text, sizeof(text) - 1);
			assert_true(n > 0 && n <= 4096);
			text[n] = '\0';
			assert_ptr_equal(strchr(text, '\n'), text + n - 1);
			bool cut = !strcmp(text + n - strlen(" cut=true\n"), " cut=true\n");
			assert_true(cut || !strcmp(text + n - strlen(" n=1\n"), " n=1\n"));
			assert_int_equal(quoted, strstr(text, "k=\" ") != NULL);
		}
	}
	log_set_fd(STDERR_FILENO);
	close(fds[0]);
	close(fds[1]);
}

static void what_is_said_over_and_over_is_said_ten_times_a_minute(void **state)
{
	struct log_rate r = { 0 };

	unsigned long long left_out = 0;
	unsigned int n = 0;

	(void)state;
	for (int64_t ms = 1000; ms < 61000; ms += 10)
		n += log_rate_take(&r, ms, &left_out);
	assert_int_equal(n, LIMIT_LOG_RATE_LINES);
	assert_int_equal(left_out, 0);
	assert_true(log_rate_take(&r, 61000, &left_out));
	assert_int_equal(left_out, 6000 - LIMIT_LOG_RATE_LINES);
	assert_true(log_rate_take(&r, 61001, &left_out));
	assert_int_equal(left_out, 0);
}

static void errors_are_prefixed(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	assert_int_equal(err_set(&e, -5, ERR_CONFIG, "port %d", 3), -5);
	err_prefix(&e, "service %s", "a/b");
	assert_string_equal(e.msg, "service a/b: port 3");
	assert_int_equal(err_set(NULL, -5, ERR_CONFIG, "x"), -5);
}

/*
 * Key 00 01 … 0f, data 00 01 …; the same by an implementation that gives the vectors of the paper
 * for SipHash-2-4.
 */
static void sip_hash_is_the_one_of_the_paper(void **state)
{
	static const struct {
		size_t size;
		uint64_t want;
	} rows[] = { { 0, 0xabac0158050fc4dcu },  { 1, 0xc9f49bf37d57ca93u },
		     { 7, 0xd3927d989bb11140u },  { 8, 0x369095118d299a8eu },
		     { 15, 0xd320d86d2a519956u }, { 63, 0x9d199062b7bbb3a8u } };
	const uint64_t k[2] = { 0x0706050403020100u, 0x0f0e0d0c0b0a0908u };
	uint8_t data[64];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_true(hash_sip13(data, rows[i].size, k) == rows[i].want);
}

struct named {
	char name[24];
	UT_hash_handle hh;
};

/* The hash that uthash offers as its fast one, which a hostile tenant can compute. */
static uint32_t public_hash(const char *name)
{
	uint32_t h;

	HASH_SFH(name, strlen(name), h);
	return h;
}

static unsigned int longest_chain(const struct named *table)
{
	unsigned int longest = 0;

	for (unsigned int i = 0; i < table->hh.tbl->num_buckets; i++)
		if (table->hh.tbl->buckets[i].count > longest)
			longest = table->hh.tbl->buckets[i].count;
	return longest;
}

/*
 * Names that fall into one bucket under every hash whose key is known, and after them a cluster's
 * own.  In a table that holds as many of honest ones, a chain has a handful.
 */
static void crafted_names_make_no_long_chains(void **state)
{
	enum { N_CRAFTED = 256, N_OTHERS = 20000, BUCKETS_MASK = 0x3ff, CHAIN_MAX = 24 };
	static struct named crafted[N_CRAFTED], others[N_OTHERS];
	struct named *table = NULL;
	size_t n = 0;

	(void)state;
	for (unsigned int i = 0; n < N_CRAFTED; i++) {
		snprintf(crafted[n].name, sizeof(crafted[n].name), "shop/web-%u", i);
		if ((public_hash(crafted[n].name) & BUCKETS_MASK) == 0)
			n++;
	}
	for (size_t i = 0; i < N_CRAFTED; i++)
		HASH_ADD_STR(table, name, &crafted[i]);
	assert_true(longest_chain(table) <= CHAIN_MAX);
	for (size_t i = 0; i < N_OTHERS; i++) {
		snprintf(others[i].name, sizeof(others[i].name), "other/web-%zu", i);
		HASH_ADD_STR(table, name, &others[i]);
	}
	assert_true(longest_chain(table) <= CHAIN_MAX);
	assert_true(table->hh.tbl->num_buckets >= N_OTHERS / 10);
	HASH_CLEAR(hh, table);
}

/* However often doubling had no effect, a table grows with what is in it. */
static void tables_never_stop_growing(void **state)
{
	enum { N = 4000 };
	static struct named names[N];
	struct named *table = NULL;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		/* Every hash the same first, as a bad day would have it. */
		unsigned int h = i < N / 4 ? 0 : hash_keyed(&i, sizeof(i));
		snprintf(names[i].name, sizeof(names[i].name), "n%zu", i);
		HASH_ADD_KEYPTR_BYHASHVALUE(hh, table, names[i].name, strlen(names[i].name), h,
		                            &names[i]);
		assert_true(table->hh.tbl->num_buckets <= 8 * HASH_COUNT(table) + 64);
	}
	assert_true(table->hh.tbl->num_buckets >= N / 8);
	HASH_CLEAR(hh, table);
}

static void hashes_are_stable(void **state)
{
	(void)state;
	/* Nodes of different versions must agree: these values never change. */
	assert_true(hash64_str("", 0) == 0xf52a15e9a9b5e89bu);
	assert_true(hash64_str("node-1", 7) != hash64_str("node-2", 7));
}

static void base64_goes_both_ways(void **state)
{
	(void)state;
	/* RFC 4648, section 10. */
	static const char *const vectors[][2] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
		{ "\xff\xfe\xfb", "//77" },
	};
	static const char *const bad[] = { "Zg",   "Zg=",       "Zg===", "Z===",
		                           "=Zg=", "Zm9v Zg==", "Zm9-",  "Zg==Zg==" };

	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		cleanup(buf_fini) struct buf text = BUF_INIT, data = BUF_INIT;
		base64_encode(vectors[i][0], strlen(vectors[i][0]), &text);
		assert_string_equal(buf_str(&text), vectors[i][1]);
		assert_int_equal(base64_decode(vectors[i][1], &data), 0);
		assert_string_equal(buf_str(&data), vectors[i][0]);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cleanup(buf_fini) struct buf data = BUF_INIT;
		if (base64_decode(bad[i], &data) == 0)
			fail_msg("\"%s\" was taken", bad[i]);
	}
	cleanup(buf_fini) struct buf data = BUF_INIT;
	assert_int_equal(base64_decode("Zm9v\nYmFy\r\n", &data), 0);
	assert_string_equal(buf_str(&data), "foobar");
}

static void test_plain(void **state)
{
	static const char *const rows[][2] = {
		{ "", "" },
		{ "caf\xc3\xa9 \xe2\x80\xa6", "caf\xc3\xa9 \xe2\x80\xa6" },
		{ "a\nb\x1b[31m\x7f", "a?b?[31m?" },
		{ "\xc2\x9b"
		  "31m\xc2\xa0\xc2\x85",
		  "?31m\xc2\xa0?" },
		{ "\xc2", "?" }, /* cut off */
		{ "a\xff\xc3\xa9\x9b"
		  "31m\xe2\x80",
		  "a?\xc3\xa9?31m??" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_free char *s = xstrdup(rows[i][0]);
		buf_plain(s);
		assert_string_equal(s, rows[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(base64_goes_both_ways),
		cmocka_unit_test(addresses_parse),
		cmocka_unit_test(prefixes_parse),
		cmocka_unit_test(ranges_count_and_contain),
		cmocka_unit_test(ranges_overlap_in_one_address),
		cmocka_unit_test(special_addresses_are_known),
		cmocka_unit_test(json_strings_are_escaped),
		cmocka_unit_test(what_is_no_utf8_is_mended),
		cmocka_unit_test(buffers_grow_and_shrink),
		cmocka_unit_test(cursors_keep_their_bounds),
		cmocka_unit_test(times_round_trip),
		cmocka_unit_test(sleep_counts_as_time),
		cmocka_unit_test(log_lines_cannot_be_forged),
		cmocka_unit_test(long_log_lines_are_cut_whole),
		cmocka_unit_test(errors_are_prefixed),
		cmocka_unit_test(what_is_said_over_and_over_is_said_ten_times_a_minute),
		cmocka_unit_test(hashes_are_stable),
		cmocka_unit_test(sip_hash_is_the_one_of_the_paper),
		cmocka_unit_test(crafted_names_make_no_long_chains),
		cmocka_unit_test(tables_never_stop_growing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
