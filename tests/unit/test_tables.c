/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "config/parse.h"
#include "fairlead/buf.h"
#include "fairlead/mem.h"
#include "fairlead/reason.h"
#include "unit.h"

/*
 * Tables in the documentation are printed from the tables of the program: this compares them, and
 * with --write writes them anew (make tables).  In a file a table stands between two comments, of
 * which the first names its sections:
 *
 *     <!-- reasons: SPEAKER -->        .\" reasons: SPEAKER BOTH
 *     <!-- end of reasons -->          .\" end of reasons
 */

static bool is_markdown(const char *opening)
{
	return !strncmp(opening, "<!--", 4);
}

/* ---- reasons ---- */

enum section { SECTION_CONTROLLER, SECTION_BOTH, SECTION_SPEAKER, SECTION_MOVE, SECTION_CLI };

static const char *const section_names[] = {
	[SECTION_CONTROLLER] = "CONTROLLER",
	[SECTION_BOTH] = "BOTH",
	[SECTION_SPEAKER] = "SPEAKER",
	[SECTION_MOVE] = "MOVE",
	[SECTION_CLI] = "CLI",
};

static const struct {
	bool is_section;
	int value; /* enum section or enum reason */
} reason_rows[] = {
#define REASON_SECTION(name) { true, SECTION_##name },
#define REASON(name, holds, about, sentence, remedy) { false, REASON_##name },
#include "fairlead/reasons.def"
};

static const char *remedy_of(enum reason r)
{
	return *reason_remedy(r) ? reason_remedy(r) : "Nothing to do.";
}

static void print_reason_markdown(enum reason r, struct buf *out)
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

static void print_reason_roff(enum reason r, struct buf *out)
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
static void print_reasons(const char *opening, struct buf *out)
{
	bool markdown = is_markdown(opening), wanted = false;

	if (markdown)
		buf_puts(out, "| reason | what it says | what to do |\n|---|---|---|\n");
	for (size_t i = 0; i < ARRAY_LEN(reason_rows); i++) {
		if (reason_rows[i].is_section)
			wanted = strstr(opening, section_names[reason_rows[i].value]) != NULL;
		else if (wanted && markdown)
			print_reason_markdown((enum reason)reason_rows[i].value, out);
		else if (wanted)
			print_reason_roff((enum reason)reason_rows[i].value, out);
	}
}

/* ---- metrics ---- */

static const struct metric_row {
	const char *name, *type, *labels, *help; /* a section: the name alone */
} metric_rows[] = {
#define TYPE_COUNTER "counter"
#define TYPE_GAUGE "gauge"
#define TYPE_HISTOGRAM "histogram"
#define METRIC_SECTION(name) { #name, NULL, NULL, NULL },
#define METRIC(name, type, labels, help) { #name, TYPE_##type, labels, help },
#include "fairlead/metrics.def"
};

static void print_labels(const char *labels, struct buf *out)
{
	if (*labels)
		buf_putc(out, '`');
	for (const char *c = labels; *c; c++) {
		if (*c == ',')
			buf_puts(out, "`, `");
		else if (*c != ' ')
			buf_putc(out, *c);
	}
	if (*labels)
		buf_putc(out, '`');
}

static void print_metrics(const char *opening, struct buf *out)
{
	bool wanted = false;

	buf_puts(out, "| name | type | labels | what it says |\n|---|---|---|---|\n");
	for (size_t i = 0; i < ARRAY_LEN(metric_rows); i++) {
		const struct metric_row *row = &metric_rows[i];
		if (!row->type)
			wanted = strstr(opening, row->name) != NULL;
		if (!row->type || !wanted)
			continue;
		buf_printf(out, "| `%s` | %s | ", row->name, row->type);
		print_labels(row->labels, out);
		buf_printf(out, " | %s |\n", row->help);
	}
}

/* ---- keys of the configuration ---- */

static const struct schema_table *const key_tables[] = {
	&document_table, &pool_table,        &advertisement_table, &external_table,
	&peer_table,     &reservation_table, &selector_table,      &expression_table,
	&bfd_table,      &timing_table,      &layer2_table,        &preference_table,
	&quota_table,    &journal_table,     &rebalance_table,
};

static void print_default(const struct schema_key *key, struct buf *out)
{
	if (key->required)
		buf_puts(out, ", required");
	else if (key->otherwise)
		buf_printf(out, ", default %s", key->otherwise);
	else if (key->type == &schema_bool)
		buf_printf(out, ", default %s", key->by_default ? "true" : "false");
	else if (key->by_default)
		buf_printf(out, ", default %" PRId64, key->by_default);
}

static void print_key(const struct schema_key *key, struct buf *out)
{
	cleanup(buf_fini) struct buf form = BUF_INIT;

	buf_puts(&form, key->form ? key->form : key->type->form);
	if (!key->form && key->type->read == schema_read_word)
		buf_printf(&form, " of at most %" PRId64 " characters", key->max);
	else if (!key->form && key->max)
		buf_printf(&form, " from %" PRId64 " to %" PRId64, key->min, key->max);
	print_default(key, &form);
	buf_puts(out, ".TP\n\\fB");
	print_roff_text(key->name, out);
	buf_puts(out, "\\fR (");
	print_roff_text(buf_str(&form), out);
	buf_puts(out, ")\n");
	print_roff_text(key->doc, out);
	buf_putc(out, '\n');
}

/* Those of the map that the line names. */
static void print_keys(const char *opening, struct buf *out)
{
	const char *name = strstr(opening, " keys: ") + strlen(" keys: ");

	for (size_t i = 0; i < ARRAY_LEN(key_tables); i++) {
		const struct schema_table *t = key_tables[i];
		size_t len = strlen(t->name);
		if (strncmp(name, t->name, len) != 0 || name[len] != '\n')
			continue;
		for (size_t k = 0; k < t->n_keys; k++)
			print_key(&t->keys[k], out);
	}
}

/* ---- files ---- */

static const struct table {
	const char *word; /* of the comments */
	const char *source;
	void (*print)(const char *opening, struct buf *out);
	const char *files[4];
} tables[] = {
	{ "reasons",
	  "include/fairlead/reasons.def",
	  print_reasons,
	  { "docs/reasons.md", "man/fairlead-controller.8", "man/fairlead-speaker.8",
	    "man/fairlead.1" } },
	{ "metrics", "include/fairlead/metrics.def", print_metrics, { "docs/metrics.md" } },
	{ "keys", "src/config", print_keys, { "man/fairlead.yaml.5" } },
};

/* @text with its tables printed anew; the number of tables. */
static size_t print_file(const struct table *t, char *text, struct buf *out)
{
	cleanup_free char *opens = xasprintf(" %s: ", t->word),
			  *closes = xasprintf(" end of %s", t->word);
	bool inside = false;
	size_t n = 0;

	for (char *line = text, *next; *line; line = next) {
		next = strchr(line, '\n');
		next = next ? next + 1 : line + strlen(line);
		cleanup_free char *copy = xasprintf("%.*s", (int)(next - line), line);
		if (strstr(copy, closes))
			inside = false;
		if (!inside)
			buf_puts(out, copy);
		if (strstr(copy, opens)) {
			inside = true;
			t->print(copy, out);
			n++;
		}
	}
	return n;
}

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

static void documents_are_printed_from_the_tables(void **state)
{
	(void)state;
	for (const struct table *t = tables; t < tables + ARRAY_LEN(tables); t++)
		for (size_t i = 0; i < ARRAY_LEN(t->files) && t->files[i]; i++) {
			cleanup(buf_fini) struct buf printed = BUF_INIT;
			cleanup_free char *path = path_of(t->files[i]), *text = read_whole(path);
			assert_true(print_file(t, text, &printed) > 0);
			if (strcmp(text, buf_str(&printed)) != 0)
				fail_msg("%s differs from %s: run make tables", path, t->source);
		}
}

static int write_document(const struct table *t, const char *file)
{
	cleanup(buf_fini) struct buf printed = BUF_INIT;
	cleanup_free char *path = path_of(file), *text = read_whole(path);
	FILE *f;

	print_file(t, text, &printed);
	f = fopen(path, "w");
	if (f && fputs(buf_str(&printed), f) >= 0 && fclose(f) == 0)
		return 0;
	perror(path);
	return 1;
}

static int write_documents(void)
{
	int failed = 0;

	for (const struct table *t = tables; t < tables + ARRAY_LEN(tables); t++)
		for (size_t i = 0; i < ARRAY_LEN(t->files) && t->files[i]; i++)
			failed |= write_document(t, t->files[i]);
	return failed;
}

/* ---- the tables themselves ---- */

static void reasons_are_well_formed(void **state)
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

static void metrics_are_well_formed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(metric_rows); i++) {
		const struct metric_row *row = &metric_rows[i];
		size_t size = row->help ? strlen(row->help) : 0;
		if (!row->type)
			continue;
		if (!size || row->help[size - 1] == '.' || strpbrk(row->help, "|\n\\"))
			fail_msg("%s: no help: %s", row->name, row->help);
		bool counts = strlen(row->name) > 6 &&
		              !strcmp(row->name + strlen(row->name) - 6, "_total");
		if (counts != !strcmp(row->type, "counter"))
			fail_msg("%s: a counter's name ends in _total, and no other's", row->name);
	}
}

static void keys_are_well_formed(void **state)
{
	cleanup_free char *path = path_of("man/fairlead.yaml.5"), *page = read_whole(path);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(key_tables); i++) {
		const struct schema_table *t = key_tables[i];
		cleanup_free char *opening = xasprintf("\n.\\\" keys: %s\n", t->name);
		if (!strstr(page, opening))
			fail_msg("%s has no table of the keys of %s", path, t->name);
		for (size_t k = 0; k < t->n_keys; k++) {
			const struct schema_key *key = &t->keys[k];
			if (!key->type || !key->type->form || !key->type->value ||
			    !key->type->read || !key->type->print)
				fail_msg("%s.%s has no whole type", t->name, key->name);
			if (!key->doc || key->doc[strlen(key->doc) - 1] != '.' ||
			    strpbrk(key->doc, "\n\\"))
				fail_msg("%s.%s has no documentation", t->name, key->name);
			if (key->by_default && !key->size)
				fail_msg("%s.%s: no field for the default", t->name, key->name);
		}
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents_are_printed_from_the_tables),
		cmocka_unit_test(reasons_are_well_formed),
		cmocka_unit_test(metrics_are_well_formed),
		cmocka_unit_test(keys_are_well_formed),
	};

	if (argc == 2 && !strcmp(argv[1], "--write"))
		return write_documents();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
