/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan for those who read pull requests: how many Services keep what they have, and a table of
 * the others.
 *
 * Names and messages may hold what tenants wrote, and whoever shows the text makes links, images
 * and mentions of it: so whatever is not ours stands in spans of code.
 */
#include "config.h"

#include <string.h>

#include "cli/plan_private.h"
#include "fairlead/mem.h"

/* So many rows are shown, and bytes of them; GitHub takes comments of 65536 characters. */
#define ROWS_MAX 100
#define ROWS_BYTES_MAX 60000

/* In the order in which they are told; the first of them change nothing. */
static const char *const changes[] = { "none", "keep",     "retain",  "assign",
	                               "move", "renumber", "release", "fail" };
#define N_QUIET 2

static size_t index_of(const char *change)
{
	size_t i = 0;

	while (i < ARRAY_LEN(changes) - 1 && strcmp(changes[i], change) != 0)
		i++;
	return i;
}

void plan_summary(const struct plan *p, struct buf *out)
{
	size_t n[ARRAY_LEN(changes)] = { 0 }, n_silent = 0, n_told = 0;

	for (size_t i = 0; i < p->n; i++)
		for (size_t k = 0; k < SIDES; k++) {
			if (!p->rows[i].sides[k].of_interest)
				continue;
			n[index_of(plan_change_name(&p->rows[i], k))]++;
			n_silent += plan_silences(&p->rows[i].sides[k]);
		}
	buf_printf(out, "%zu Service%s", p->n, p->n == 1 ? "" : "s");
	for (size_t i = 0; i < ARRAY_LEN(changes); i++)
		if (n[i])
			buf_printf(out, "%s%zu %s", n_told++ ? ", " : ": ", n[i], changes[i]);
	if (n_silent)
		buf_printf(out, "; %zu would fall silent", n_silent);
}

/*
 * In a span of code nothing is resolved: no link is made of www.example.com, no mention of @all,
 * no emoji of :100: in an address.  A backslash does not help there, neither against what would end
 * the span nor against what would end the cell.
 */
static void put_cell(const char *s, struct buf *out)
{
	if (!*s) {
		buf_puts(out, " - |");
		return;
	}
	buf_puts(out, " `");
	for (; *s; s++) {
		if (*s == '`')
			buf_putc(out, '\'');
		else if (*s == '|')
			buf_puts(out, "¦");
		else if ((unsigned char)*s < ' ')
			buf_putc(out, ' ');
		else
			buf_putc(out, *s);
	}
	buf_puts(out, "` |");
}

static void put_addrs(const struct addr *addrs, size_t n, struct buf *out)
{
	cleanup(buf_fini) struct buf list = BUF_INIT;

	for (size_t i = 0; i < n; i++)
		buf_printf(&list, "%s%s", i ? ", " : "", addr_str(&addrs[i]));
	put_cell(buf_str(&list), out);
}

static void put_row(const struct plan *p, const struct plan_row *row, size_t side, struct buf *out)
{
	cleanup(buf_fini) struct buf announced = BUF_INIT, why = BUF_INIT;
	const struct plan_side *s = &row->sides[side];
	const struct plan_said said = plan_said_of(row, side);
	const char *pool = plan_pool_of(p, row, side);
	size_t n;
	cleanup_free struct addr *after = plan_addrs(plan_part(row, side), &n);

	plan_put_announced(s, &announced);
	buf_printf(&why, "%s: %s", reason_name(said.reason), said.message);
	plan_put_silent(s, said.reason, &why);
	buf_mend(why.data);
	buf_puts(out, "|");
	put_cell(side == EXTERNAL ? row->record->external_key : row->record->key, out);
	put_addrs(s->before, s->n_before, out);
	put_addrs(after, n, out);
	put_cell(pool ? pool : "", out);
	buf_printf(out, " %s |", plan_change_name(row, side));
	put_cell(buf_str(&announced), out);
	put_cell(buf_str(&why), out);
	buf_putc(out, '\n');
}

static bool is_quiet(const struct plan_row *row, size_t side)
{
	return index_of(plan_change_name(row, side)) < N_QUIET && !plan_silences(&row->sides[side]);
}

struct table {
	struct buf *out;
	size_t n, n_left_out;
};

/* Once one does not fit, none that comes behind it is shown: they are in order. */
static void add_row(const struct plan *p, const struct plan_row *row, size_t side, struct table *t)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;

	if (t->n == 0)
		buf_puts(t->out, "\n| Service | Before | After | Pool | Change | Announced | "
		                 "Reason |\n|---|---|---|---|---|---|---|\n");
	if (t->n++ < ROWS_MAX && t->n_left_out == 0)
		put_row(p, row, side, &text);
	if (text.size == 0 || t->out->size + text.size > ROWS_BYTES_MAX)
		t->n_left_out++;
	else
		buf_add(t->out, text.data, text.size);
}

void plan_markdown(const struct plan *p, struct buf *out)
{
	struct table t = { .out = out };

	buf_printf(out, "**fairlead plan** %s ", plan_is_bad(p) ? "⚠️" : "✅");
	plan_summary(p, out);
	buf_putc(out, '\n');
	for (size_t i = 0; i < p->n; i++)
		for (size_t k = 0; k < SIDES; k++)
			if (p->rows[i].sides[k].of_interest && !is_quiet(&p->rows[i], k))
				add_row(p, &p->rows[i], k, &t);
	if (t.n_left_out > 0)
		buf_printf(out, "\n%zu more are not shown.\n", t.n_left_out);
}
