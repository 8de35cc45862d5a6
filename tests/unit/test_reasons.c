/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "fairlead/buf.h"
#include "fairlead/mem.h"
#include "fairlead/reason.h"
#include "unit.h"

/*
 * The tables of reasons in the documentation are printed from the registry: this compares them, and with --write writes
 * them anew (make reasons).  In a file a table stands between two comments, of which the first names its sections:
 *
 *     <!-- reasons: SPEAKER -->        .\" reasons: SPEAKER BOTH
 *     <!-- end of reasons -->          .\" end of reasons
 */

enum section { SECTION_CONTROLLER, SECTION_BOTH, SECTION_SPEAKER, N_SECTIONS };

static const char *const section_names[] = {
	[SECTION_CONTROLLER] = "CONTROLLER",
	[SECTION_BOTH] = "BOTH",
	[SECTION_SPEAKER] = "SPEAKER",
};

static const char *const files[] = {
	"docs/reasons.md",
	"man/fairlead-controller.8",
	"man/fairlead-speaker.8",
};

static const struct row {
	bool is_section;
	int value; /* enum section or enum reason */
} rows[] = {
#define REASON_SECTION(name) { true, SECTION_##name },
#define REASON(name, holds, about, sentence, remedy) { false, REASON_##name },
#include "fairlead/reasons.def"
};

static const char *remedy_of(enum reason r)
{
	return *reason_remedy(r) ? reason_remedy(r) : "Nothing to do.";
}

/* ---- printing ---- */

static void print_markdown(enum reason r, struct buf *out)
{
	buf_printf(out, "| `%s` | %s | %s |\n", reason_name(r), reason_sentence(r), remedy_of(r));
}

static void print_roff_text(const char *s, struct buf *out)
{
	bool code = false;

	for (; *s; s++) {
		if (*s == '`') {
			code = !code;
			buf_puts(out, code ? "\\fB" : "\\fR");
		} else if (*s == '-' || *s == '\\') {
			buf_printf(out, "%s", *s == '-' ? "\\-" : "\\e");
		} else {
			buf_putc(out, *s);
		}
	}
}

static void print_roff(enum reason r, struct buf *out)
{
	const char *sentence = reason_sentence(r);
	bool is_name = !strncmp(sentence, "bgpd", 4);

	buf_printf(out, ".TP\n.B %s\n", reason_name(r));
	buf_putc(out, is_name ? *sentence : (char)toupper(*sentence));
	print_roff_text(sentence + 1, out);
	buf_puts(out, ".\n");
	if (*reason_remedy(r)) {
		print_roff_text(reason_remedy(r), out);
		buf_putc(out, '\n');
	}
}

/* The sections that the line with the opening comment names. */
static void print_table(const char *line, struct buf *out)
{
	bool markdown = !strncmp(line, "<!--", 4), wanted = false;

	if (markdown)
		buf_puts(out, "| reason | what it says | what to do |\n|---|---|---|\n");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].is_section)
			wanted = strstr(line, section_names[rows[i].value]) != NULL;
		else if (wanted && markdown)
			print_markdown((enum reason)rows[i].value, out);
		else if (wanted)
			print_roff((enum reason)rows[i].value, out);
	}
}

/* @text with its tables printed anew; the number of tables. */
static size_t print_file(char *text, struct buf *out)
{
	bool inside = false;
	size_t n = 0;

	for (char *line = text, *next; *line; line = next) {
		next = strchr(line, '\n');
		next = next ? next + 1 : line + strlen(line);
		cleanup_free char *copy = xasprintf("%.*s", (int)(next - line), line);
		if (strstr(copy, " end of reasons"))
			inside = false;
		if (!inside)
			buf_puts(out, copy);
		if (strstr(copy, " reasons: ")) {
			inside = true;
			print_table(copy, out);
			n++;
		}
	}
	return n;
}

/* ---- files ---- */

static char *path_of(const char *file)
{
	const char *top = getenv("SRCDIR");

	return xasprintf("%s/%s", top ? top : ".", file);
}

static char *read_whole(const char *path)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;
	FILE *f = fopen(path, "r");
	size_t n;

	if (!f)
		fail_msg("%s: %s", path, strerror(errno));
	while ((n = fread(buf_reserve(&text, 65536), 1, 65536, f)) > 0)
		buf_advance(&text, n);
	fclose(f);
	return buf_take(&text);
}

static void documents_are_printed_from_the_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		cleanup(buf_fini) struct buf printed = BUF_INIT;
		cleanup_free char *path = path_of(files[i]), *text = read_whole(path);
		assert_true(print_file(text, &printed) > 0);
		if (strcmp(text, buf_str(&printed)) != 0)
			fail_msg("%s differs from include/fairlead/reasons.def: run make reasons",
			         path);
	}
}

static int write_documents(void)
{
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		cleanup(buf_fini) struct buf printed = BUF_INIT;
		cleanup_free char *path = path_of(files[i]), *text = read_whole(path);
		print_file(text, &printed);
		FILE *f = fopen(path, "w");
		if (!f || fputs(buf_str(&printed), f) < 0 || fclose(f) != 0) {
			perror(path);
			return 1;
		}
	}
	return 0;
}

/* ---- the table itself ---- */

static void rows_are_well_formed(void **state)
{
	(void)state;
	for (int i = 0; i < REASON_COUNT; i++) {
		enum reason r = (enum reason)i;
		const char *sentence = reason_sentence(r), *remedy = reason_remedy(r);
		size_t size = strlen(remedy), ticks = 0;
		for (const char *c = remedy; *c; c++)
			ticks += *c == '`';
		if (!*sentence || sentence[strlen(sentence) - 1] == '.' || strpbrk(sentence, "|\n"))
			fail_msg("%s: no sentence: %s", reason_name(r), sentence);
		if (size && (remedy[size - 1] != '.' || ticks % 2 || strpbrk(remedy, "|\n")))
			fail_msg("%s: no remedy: %s", reason_name(r), remedy);
		if (!size && !reason_holds(r) && r != REASON_NotOwner && r != REASON_Deleting)
			fail_msg("%s: what is to be done?", reason_name(r));
		assert_int_equal(reason_named(reason_name(r)), r);
	}
	assert_int_equal(reason_named("Nonsense"), REASON_COUNT);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents_are_printed_from_the_table),
		cmocka_unit_test(rows_are_well_formed),
	};

	if (argc == 2 && !strcmp(argv[1], "--write"))
		return write_documents();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
