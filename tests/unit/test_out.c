/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include "fairlead/mem.h"
#include "fairlead/out.h"

/* ---- scalars: one string, as each format has it ---- */

static void strings_are_escaped(void **state)
{
	(void)state;
	static const struct {
		const char *in, *json, *yaml, *text;
	} rows[] = {
		{ "web", "\"web\"", "web", "web" },
		{ "shop/web-1.x", "\"shop/web-1.x\"", "shop/web-1.x", "shop/web-1.x" },
		{ "two words", "\"two words\"", "two words", "two words" },
		{ NULL, "null", "null", "-" },
		{ "", "\"\"", "\"\"", "-" },
		/* What YAML would take for something else. */
		{ "no", "\"no\"", "\"no\"", "no" },
		{ "Null", "\"Null\"", "\"Null\"", "Null" },
		{ "1.0", "\"1.0\"", "\"1.0\"", "1.0" },
		{ "12:30", "\"12:30\"", "\"12:30\"", "12:30" },
		{ "a: b", "\"a: b\"", "\"a: b\"", "a: b" },
		{ "a #b", "\"a #b\"", "\"a #b\"", "a #b" },
		{ "- a", "\"- a\"", "\"- a\"", "- a" },
		{ " a", "\" a\"", "\" a\"", " a" },
		{ "a ", "\"a \"", "\"a \"", "a " },
		{ "*a", "\"*a\"", "\"*a\"", "*a" },
		{ "fe80::1", "\"fe80::1\"", "\"fe80::1\"", "fe80::1" },
		{ "say \"hi\" \\", "\"say \\\"hi\\\" \\\\\"", "\"say \\\"hi\\\" \\\\\"",
		  "say \"hi\" \\" },
		/* What a terminal would obey: C0, DEL, C1. */
		{ "\033[2J", "\"\\u001b[2J\"", "\"\\u001b[2J\"", "?[2J" },
		{ "a\nb\tc\r", "\"a\\u000ab\\u0009c\\u000d\"", "\"a\\u000ab\\u0009c\\u000d\"",
		  "a?b?c?" },
		{ "\x7f", "\"\\u007f\"", "\"\\u007f\"", "?" },
		{ "\xc2\x9b"
		  "31m",
		  "\"\\u009b31m\"", "\"\\u009b31m\"", "?31m" },
		/* UTF-8 stays, and what is none does not. */
		{ "häß €", "\"häß €\"", "\"häß €\"", "häß €" },
		{ "a\xff", "\"a\\ufffd\"", "\"a\\ufffd\"", "a?" },
		{ "\xc2", "\"\\ufffd\"", "\"\\ufffd\"", "?" },
	};
	static const struct out_table table = { .columns = { { "s", "S" } } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const enum out_format formats[] = { OUT_JSON, OUT_YAML, OUT_TEXT };
		for (size_t f = 0; f < ARRAY_LEN(formats); f++) {
			cleanup(buf_fini) struct buf b = BUF_INIT;
			cleanup(out_fini) struct out o;
			cleanup_free char *want = f == 0   ? xasprintf("{\"s\":%s}", rows[i].json)
			                          : f == 1 ? xasprintf("s: %s\n", rows[i].yaml)
			                                   : xasprintf("S\n%s\n", rows[i].text);
			out_init(&o, formats[f], &b);
			out_table(&o, &table);
			out_object(&o, NULL);
			out_row(&o);
			out_str(&o, "s", rows[i].in);
			out_close(&o);
			out_table_end(&o);
			assert_string_equal(buf_str(&b), want);
		}
	}
}

/* ---- documents: one sequence of calls, in each format ---- */

static const struct out_table people = {
	.title = "People",
	.columns = { { "name", "NAME" },
	             { "age", "AGE" },
	             { "likes", "LIKES" },
	             { "home.city", "CITY" },
	             { "home.zip", "ZIP", .wide = true },
	             { "note", "NOTE" } },
};
static const struct out_table nobody = {
	.title = "Nobody",
	.if_any = true,
	.columns = { { "name", "NAME" } },
};

static void put_person(struct out *o, const char *name, int age, const char *like)
{
	out_object(o, NULL);
	out_row(o);
	out_str(o, "name", name);
	out_int(o, "age", age);
	out_list(o, "likes");
	if (like) {
		out_str(o, NULL, like);
		out_str(o, NULL, "tea");
	}
	out_close(o);
	out_object(o, "home");
	out_str(o, "city", "Ulm");
	out_uint(o, "zip", 89073);
	out_object(o, "more");
	out_close(o);
	out_close(o);
	/* Not of this row, though the names are those of columns. */
	out_list(o, "friends");
	out_object(o, NULL);
	out_str(o, "name", "other");
	out_close(o);
	out_list(o, NULL);
	out_bool(o, NULL, true);
	out_close(o);
	out_close(o);
	out_cell(o, "note", "%s is %d", name, age);
	out_close(o);
}

static void put_document(struct out *o)
{
	struct addr a;

	addr_parse("192.0.2.1", &a);
	out_object(o, NULL);
	out_bool(o, "fine", false);
	out_addr(o, "address", &a);
	out_say(o, "All is %s.", "w\033ell");
	out_table(o, &people);
	out_list(o, "people");
	put_person(o, "Ann", 7, "cake");
	put_person(o, "Bartholomew", 41, NULL);
	out_close(o);
	out_table_end(o);
	out_name(o, "people/%s", "Ann");
	out_table(o, &nobody);
	out_list(o, "nobody");
	out_close(o);
	out_table_end(o);
	out_printf(o, "sum", "%d", 48);
	out_close(o);
}

#define HOME_JSON "\"home\":{\"city\":\"Ulm\",\"zip\":89073,\"more\":{}},"
#define FRIENDS_JSON "\"friends\":[{\"name\":\"other\"},[true]]}"
#define REST_YAML                                                            \
	"  home:\n    city: Ulm\n    zip: 89073\n    more: {}\n  friends:\n" \
	"  - name: other\n  - - true\n"

static void a_document_in_each_format(void **state)
{
	(void)state;
	static const struct {
		enum out_format format;
		size_t width;
		const char *text;
	} rows[] = {
		{ OUT_JSON, 0,
		  "{\"fine\":false,\"address\":\"192.0.2.1\",\"people\":["
		  "{\"name\":\"Ann\",\"age\":7,\"likes\":[\"cake\",\"tea\"]," HOME_JSON FRIENDS_JSON
		  ",{\"name\":\"Bartholomew\",\"age\":41,\"likes\":[]," HOME_JSON FRIENDS_JSON
		  "],\"nobody\":[],\"sum\":\"48\"}" },
		{ OUT_YAML, 0,
		  "fine: false\naddress: \"192.0.2.1\"\npeople:\n"
		  "- name: Ann\n  age: 7\n  likes:\n  - cake\n  - tea\n" REST_YAML
		  "- name: Bartholomew\n  age: 41\n  likes: []\n" REST_YAML
		  "nobody: []\nsum: \"48\"\n" },
		{ OUT_TEXT, 0,
		  "All is w?ell.\n\nPeople\n"
		  "  NAME         AGE  LIKES     CITY  NOTE\n"
		  "  Ann          7    cake,tea  Ulm   Ann is 7\n"
		  "  Bartholomew  41   -         Ulm   Bartholomew is 41\n" },
		{ OUT_TEXT, 46,
		  "All is w?ell.\n\nPeople\n"
		  "  NAME         AGE  LIKES     CITY  NOTE\n"
		  "  Ann          7    cake,tea  Ulm   Ann is 7\n"
		  "  Bartholomew  41   -         Ulm   Bartholom…\n" },
		{ OUT_WIDE, 0,
		  "All is w?ell.\n\nPeople\n"
		  "  NAME         AGE  LIKES     CITY  ZIP    NOTE\n"
		  "  Ann          7    cake,tea  Ulm   89073  Ann is 7\n"
		  "  Bartholomew  41   -         Ulm   89073  Bartholomew is 41\n" },
		{ OUT_NAME, 0, "people/Ann\n" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup(buf_fini) struct buf b = BUF_INIT;
		cleanup(out_fini) struct out o;
		out_init(&o, rows[i].format, &b);
		o.width = rows[i].width;
		put_document(&o);
		assert_string_equal(buf_str(&b), rows[i].text);
	}
}

static void numbers_at_their_ends(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf b = BUF_INIT;
	cleanup(out_fini) struct out o;

	out_init(&o, OUT_JSON, &b);
	out_list(&o, NULL);
	out_int(&o, NULL, INT64_MIN);
	out_int(&o, NULL, INT64_MAX);
	out_uint(&o, NULL, UINT64_MAX);
	out_close(&o);
	assert_string_equal(buf_str(&b),
	                    "[-9223372036854775808,9223372036854775807,18446744073709551615]");
}

/* Keys, too, may be names that somebody chose. */
static void keys_are_quoted_where_they_have_to(void **state)
{
	(void)state;
	static const struct {
		const char *key, *yaml;
	} rows[] = { { "auto_assign", "auto_assign: 1\n" },
		     { "no", "\"no\": 1\n" },
		     { "a: b", "\"a: b\": 1\n" },
		     { "\033", "\"\\u001b\": 1\n" },
		     { "7", "\"7\": 1\n" },
		     { "", "\"\": 1\n" } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup(buf_fini) struct buf b = BUF_INIT;
		cleanup(out_fini) struct out o;
		out_init(&o, OUT_YAML, &b);
		out_object(&o, NULL);
		out_int(&o, rows[i].key, 1);
		out_close(&o);
		assert_string_equal(buf_str(&b), rows[i].yaml);
	}
}

static void empty_documents(void **state)
{
	(void)state;
	static const struct {
		enum out_format format;
		bool list;
		const char *text;
	} rows[] = { { OUT_JSON, true, "[]" },   { OUT_JSON, false, "{}" },
		     { OUT_YAML, true, "[]\n" }, { OUT_YAML, false, "{}\n" },
		     { OUT_TEXT, true, "" },     { OUT_NAME, true, "" } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup(buf_fini) struct buf b = BUF_INIT;
		cleanup(out_fini) struct out o;
		out_init(&o, rows[i].format, &b);
		if (rows[i].list)
			out_list(&o, NULL);
		else
			out_object(&o, NULL);
		out_close(&o);
		assert_string_equal(buf_str(&b), rows[i].text);
	}
}

/* A table without rows has its head, unless it says otherwise; no title, no indent. */
static void empty_tables(void **state)
{
	(void)state;
	static const struct out_table bare = { .columns = { { "a", "A" }, { "b", "B" } } };
	static const struct out_table indented = { .indented = true, .columns = { { "c", "C" } } };
	cleanup(buf_fini) struct buf b = BUF_INIT;
	cleanup(out_fini) struct out o;

	out_init(&o, OUT_TEXT, &b);
	out_gap(&o);
	out_table(&o, &bare);
	out_table_end(&o);
	out_table(&o, &indented);
	out_table_end(&o);
	out_table(&o, &nobody);
	out_table_end(&o);
	out_table(&o, &people);
	out_table_end(&o);
	assert_string_equal(buf_str(&b), "A  B\n  C\n\nPeople\n  NAME  AGE  LIKES  CITY  NOTE\n");
}

/* As many columns as there may be leave no room for one that ends them. */
static void a_table_may_be_full(void **state)
{
	(void)state;
	static const struct out_table full = { .columns = {
						       { "a", "A" }, { "b", "B" }, { "c", "C" },
						       { "d", "D" }, { "e", "E" }, { "f", "F" },
						       { "g", "G" }, { "h", "H" }, { "i", "I" },
						       { "j", "J" }, { "k", "K" }, { "l", "L" },
						       { "m", "M" }, { "n", "N" }, { "o", "O" },
						       { "p", "P" }, { "q", "Q" }, { "r", "R" },
						       { "s", "S" }, { "t", "T" },
					       } };
	cleanup(buf_fini) struct buf b = BUF_INIT;
	cleanup(out_fini) struct out o;

	assert_non_null(full.columns[OUT_COLUMNS_MAX - 1].head);
	out_init(&o, OUT_TEXT, &b);
	out_table(&o, &full);
	out_row(&o);
	out_cell(&o, "t", "last");
	out_table_end(&o);
	assert_string_equal(buf_str(&b),
	                    "A  B  C  D  E  F  G  H  I  J  K  L  M  N  O  P  Q  R  S  T\n"
	                    "-  -  -  -  -  -  -  -  -  -  -  -  -  -  -  -  -  -  -  last\n");
}

/* Members behind the row's object are not of it. */
static void columns_that_nothing_fills_may_be_left_out(void **state)
{
	(void)state;
	static const struct out_table table = {
		.columns = { { "a", "A", .if_any = true },
		             { "b", "B" },
		             { "c", "C", .if_any = true },
		             { "d", "D", .if_any = true } },
	};
	/* What fills which cells, and the head that follows. */
	static const struct {
		const char *filled[2], *text;
	} cases[] = {
		{ { "", "" }, "B\n-\n-\n" },
		{ { "b", "" }, "B\nx\n-\n" },
		{ { "", "ac" }, "A  B  C\n-  -  -\nx  -  x\n" },
		{ { "d", "a" }, "A  B  D\n-  -  x\nx  -  -\n" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup(buf_fini) struct buf text = BUF_INIT;
		struct out o;
		out_init(&o, OUT_TEXT, &text);
		/* Another table before it has no part in this. */
		for (size_t again = 0; again < 2; again++) {
			buf_clear(&text);
			out_table(&o, &table);
			for (size_t row = 0; row < 2; row++) {
				out_row(&o);
				for (const char *c =
				             cases[(i + again) % ARRAY_LEN(cases)].filled[row];
				     *c; c++)
					out_cell(&o, (char[]){ *c, '\0' }, "x");
			}
			out_table_end(&o);
			assert_string_equal(buf_str(&text),
			                    cases[(i + again) % ARRAY_LEN(cases)].text);
		}
		out_fini(&o);
	}
}

static void a_row_ends_with_its_object(void **state)
{
	(void)state;
	static const struct out_table one = { .columns = { { "a", "A" } } };
	cleanup(buf_fini) struct buf b = BUF_INIT;
	cleanup(out_fini) struct out o;

	out_init(&o, OUT_TEXT, &b);
	out_table(&o, &one);
	out_list(&o, NULL);
	for (int i = 1; i < 3; i++) {
		out_object(&o, NULL);
		out_int(&o, "a", 9);
		if (i == 1)
			out_row(&o);
		out_int(&o, "a", i);
		out_close(&o);
	}
	out_close(&o);
	out_table_end(&o);
	assert_string_equal(buf_str(&b), "A\n1\n");
}

static void long_lists_may_take_a_line_each(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf b = BUF_INIT;
	cleanup(out_fini) struct out o;

	out_init(&o, OUT_JSON, &b);
	o.lines = true;
	out_list(&o, NULL);
	for (int i = 0; i < 2; i++) {
		out_list(&o, NULL);
		out_int(&o, NULL, 1);
		out_int(&o, NULL, 2);
		out_close(&o);
	}
	out_close(&o);
	assert_string_equal(buf_str(&b), "[[1,2],\n[1,2]]");
}

/* Cut between characters, never inside one, and only where a table says how wide it may be. */
static void cells_are_cut_between_characters(void **state)
{
	(void)state;
	static const struct out_table one = { .columns = { { "a", "A" } } };
	static const struct {
		size_t width;
		const char *text;
	} rows[] = {
		{ 6, "A\nüöäßéè\n" }, { 5, "A\nüöäß…\n" }, { 2, "A\nü…\n" }, { 0, "A\nüöäßéè\n" }
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup(buf_fini) struct buf b = BUF_INIT;
		cleanup(out_fini) struct out o;
		out_init(&o, OUT_TEXT, &b);
		o.width = rows[i].width;
		out_table(&o, &one);
		out_row(&o);
		out_cell(&o, "a", "%s", "üöäßéè");
		out_table_end(&o);
		assert_string_equal(buf_str(&b), rows[i].text);
	}
}

static void paragraphs_are_broken_between_words(void **state)
{
	(void)state;
	static const struct {
		size_t width, indent;
		const char *in, *out;
	} rows[] = {
		{ 10, 0, "aaaa bbbb cc dd", "aaaa bbbb\ncc dd\n" },
		{ 10, 2, "aaaa bbb cc", "  aaaa bbb\n  cc\n" },
		{ 10, 2, "aaaaaaaaaaaa b", "  aaaaaaaaaaaa\n  b\n" },
		{ 10, 0, "äääää öööö üü", "äääää öööö\nüü\n" },
		{ 20, 0, "see `fairlead \033[0m` x", "see fairlead ?[0m x\n" },
		{ 10, 2, "", "\n" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup(buf_fini) struct buf b = BUF_INIT;
		cleanup(out_fini) struct out o;
		out_init(&o, OUT_TEXT, &b);
		o.width = rows[i].width;
		out_wrap(&o, rows[i].indent, rows[i].in);
		assert_string_equal(buf_str(&b), rows[i].out);
	}
}

static void colours_are_for_terminals(void **state)
{
	(void)state;
	static const struct {
		enum out_format format;
		bool colour;
		const char *text;
	} rows[] = { { OUT_TEXT, true, "\033[31mdown?\033[0m\n" },
		     { OUT_TEXT, false, "down?\n" },
		     { OUT_JSON, true, "" } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup(buf_fini) struct buf b = BUF_INIT;
		cleanup(out_fini) struct out o;
		out_init(&o, rows[i].format, &b);
		o.colour = rows[i].colour;
		out_say_in(&o, OUT_RED, "down\033");
		assert_string_equal(buf_str(&b), rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_are_escaped),
		cmocka_unit_test(a_document_in_each_format),
		cmocka_unit_test(numbers_at_their_ends),
		cmocka_unit_test(keys_are_quoted_where_they_have_to),
		cmocka_unit_test(empty_documents),
		cmocka_unit_test(empty_tables),
		cmocka_unit_test(a_table_may_be_full),
		cmocka_unit_test(columns_that_nothing_fills_may_be_left_out),
		cmocka_unit_test(a_row_ends_with_its_object),
		cmocka_unit_test(long_lists_may_take_a_line_each),
		cmocka_unit_test(cells_are_cut_between_characters),
		cmocka_unit_test(paragraphs_are_broken_between_words),
		cmocka_unit_test(colours_are_for_terminals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
