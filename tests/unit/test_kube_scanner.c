/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <errno.h>

#include "fairlead/buf.h"
#include "fairlead/mem.h"
#include "kube/scanner.h"

/* What was handed over: each object in brackets, "~" in front of one that was cut short. */
static bool note(const char *data, size_t size, struct outline *cut, void *arg)
{
	struct buf *seen = arg;

	buf_puts(seen, cut ? "~<" : "<");
	buf_add(seen, data, size);
	buf_puts(seen, ">");
	return true;
}

static const struct {
	const char *page, *seen, *metadata;
	bool good;
} pages[] = {
	{ "{}", "", "", true },
	{ "{\"items\":[]}", "", "", true },
	{ "{\"items\":null}", "", "", true },
	{ " {\"kind\":\"List\",\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[{\"a\":1},{\"b\":[{}]}]}\n",
	  "<{\"a\":1}><{\"b\":[{}]}>", "{\"resourceVersion\":\"7\"}", true },
	{ "{\"items\": [ {\"s\":\"}]\\\"{\\\\\"} , {} ], \"metadata\": {\"continue\":\"x\"} }",
	  "<{\"s\":\"}]\\\"{\\\\\"}><{}>", "{\"continue\":\"x\"}", true },
	{ "{\"x\":{\"items\":[{\"no\":1}]},\"y\":\"items\",\"items\":[{\"yes\":1}]}",
	  "<{\"yes\":1}>", "", true },
	/* Elements that are no objects are handed over for the parser to refuse. */
	{ "{\"items\":[1,{\"a\":1},\"x,{\",[2],null]}", "<null><{\"a\":1}><null><[2]><null>", "",
	  true },
	{ "{\"items\":[{\"broken\":,},{\"a\":1}]}", "<{\"broken\":,}><{\"a\":1}>", "", true },
	{ "{\"items\":[{\"a\":1},", "<{\"a\":1}>", "", false },
	{ "{\"items\":{\"a\":{}}}", "", "", false },
	{ "[{\"a\":1}]", "", "", false },
	{ "{\"items\":[{\"a\":1]}", "", "", false },
	{ "{} {}", "", "", false },
	{ "x", "", "", false },
	{ "\"", "", "", false },
	{ "}", "", "", false },
	{ "", "", "", false },
};

static void pages_are_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pages); i++)
		for (size_t piece = 1; piece < 40; piece += piece < 8 ? 1 : 31) {
			cleanup(buf_fini) struct buf seen = BUF_INIT;
			struct scanner s;
			const char *p = pages[i].page;
			scanner_init(&s, note, &seen);
			for (size_t left = strlen(p); left > 0;) {
				size_t n = left < piece ? left : piece;
				scanner_feed(&s, p, n);
				p += n;
				left -= n;
			}
			assert_int_equal(scanner_complete(&s), pages[i].good);
			assert_string_equal(buf_str(&seen), pages[i].seen);
			assert_string_equal(buf_str(&s.metadata), pages[i].metadata);
			scanner_fini(&s);
		}
}

/* Anybody may write an object of any depth; the rest of the page is not affected. */
static void depth_is_counted(void **state)
{
	(void)state;
	for (size_t depth = 1; depth <= 12000; depth += depth < 200 ? 1 : 2950) {
		cleanup(buf_fini) struct buf page = BUF_INIT, seen = BUF_INIT, want = BUF_INIT;
		struct scanner s;
		buf_puts(&want, "<");
		for (size_t i = 0; i < depth; i++)
			buf_puts(&want, i % 3 ? "{\"\":" : "[");
		buf_puts(&want, "1");
		for (size_t i = depth; i-- > 0;)
			buf_puts(&want, i % 3 ? "}" : "]");
		buf_printf(&page, "{\"items\":[%s,{}]}", buf_str(&want) + 1);
		buf_puts(&want, "><{}>");
		scanner_init(&s, note, &seen);
		scanner_feed(&s, page.data, page.size);
		if (!scanner_complete(&s))
			fail_msg("depth %zu", depth);
		assert_string_equal(buf_str(&seen), buf_str(&want));
		scanner_fini(&s);
	}
}

static void a_gigantic_item_is_cut_short_alone(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf seen = BUF_INIT;
	static const char page[] = "{\"items\":[{\"a\":1},{\"name\":\"0123456789\"},{\"b\":2}]}";
	for (size_t piece = 1; piece < sizeof(page); piece++) {
		struct scanner s;
		buf_clear(&seen);
		scanner_init(&s, note, &seen);
		s.max = 10;
		for (size_t i = 0; i < sizeof(page) - 1; i += piece)
			scanner_feed(&s, page + i,
			             sizeof(page) - 1 - i < piece ? sizeof(page) - 1 - i : piece);
		assert_true(scanner_complete(&s));
		assert_string_equal(buf_str(&seen), "<{\"a\":1}>~<{\"name\":\"0><{\"b\":2}>");
		scanner_fini(&s);
	}
}

static bool refuse(const char *data, size_t size, struct outline *cut, void *arg)
{
	(void)data, (void)size, (void)cut;
	++*(int *)arg;
	return false;
}

static void the_receiver_can_stop(void **state)
{
	(void)state;
	struct scanner s;
	int n = 0;
	scanner_init(&s, refuse, &n);
	assert_int_equal(scanner_feed(&s, "{\"items\":[{},{}]}", 17), -ECANCELED);
	assert_int_equal(n, 1);
	scanner_fini(&s);
	struct lines l;
	lines_init(&l, refuse, &n);
	assert_int_equal(lines_feed(&l, "a\nb\n", 4), -ECANCELED);
	assert_int_equal(n, 2);
	lines_fini(&l);
}

static void lines_are_cut(void **state)
{
	(void)state;
	static const char text[] = "{\"a\":1}\n\r\n{\"b\":2}\r\n0123456789abc\nx\nrest";
	for (size_t piece = 1; piece < sizeof(text); piece++) {
		cleanup(buf_fini) struct buf seen = BUF_INIT;
		struct lines l;
		lines_init(&l, note, &seen);
		l.max = 10;
		for (size_t i = 0; i < sizeof(text) - 1; i += piece)
			assert_int_equal(lines_feed(&l, text + i,
			                            sizeof(text) - 1 - i < piece
			                                    ? sizeof(text) - 1 - i
			                                    : piece),
			                 0);
		assert_string_equal(buf_str(&seen), "<{\"a\":1}><{\"b\":2}>~<0123456789><x>");
		lines_fini(&l);
	}
}

/* The outline of what is cut short is that of the whole, wherever the pieces end. */
static bool outlined(const char *data, size_t size, struct outline *cut, void *arg)
{
	(void)data, (void)size;
	if (!cut)
		return true;
	buf_printf(arg, "%s %s/%s %zu+%zu %d;", cut->type, cut->namespace, cut->name,
	           cut->ingress.n, cut->external_ips.n, outline_is_good(cut));
	return true;
}

static void what_is_cut_short_is_outlined(void **state)
{
	(void)state;
#define LONG                                                                                                 \
	"{\"metadata\":{\"name\":\"web\",\"namespace\":\"shop\"},\"spec\":{\"externalIPs\":[\"10.0.0.1\"]}," \
	"\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"10.0.0.2\"},{\"ip\":\"10.0.0.3\"}]}}}"
	static const char page[] = "{\"items\":[" LONG ",{}," LONG "]}";
	static const char watch[] = "{\"type\":\"DELETED\",\"object\":" LONG "}\n{}\n";
	for (size_t piece = 1; piece < sizeof(page); piece++) {
		cleanup(buf_fini) struct buf seen = BUF_INIT;
		struct scanner s;
		struct lines l;
		scanner_init(&s, outlined, &seen);
		lines_init(&l, outlined, &seen);
		s.max = l.max = 20;
		for (size_t i = 0; i < sizeof(page) - 1; i += piece)
			scanner_feed(&s, page + i,
			             sizeof(page) - 1 - i < piece ? sizeof(page) - 1 - i : piece);
		for (size_t i = 0; i < sizeof(watch) - 1; i += piece)
			lines_feed(&l, watch + i,
			           sizeof(watch) - 1 - i < piece ? sizeof(watch) - 1 - i : piece);
		assert_string_equal(buf_str(&seen),
		                    " shop/web 2+1 1; shop/web 2+1 1;DELETED shop/web 2+1 1;");
		scanner_fini(&s);
		lines_fini(&l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_are_cut),
		cmocka_unit_test(depth_is_counted),
		cmocka_unit_test(a_gigantic_item_is_cut_short_alone),
		cmocka_unit_test(the_receiver_can_stop),
		cmocka_unit_test(lines_are_cut),
		cmocka_unit_test(what_is_cut_short_is_outlined),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
