/* SPDX-License-Identifier: Apache-2.0 */
/* A plan for who edits one Service: what becomes of it, and of whom the edit concerns. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "cli/plan_private.h"
#include "fairlead/mem.h"

static const struct plan_row *row_of(const struct plan *p, const char *key)
{
	for (size_t i = 0; i < p->n; i++)
		if (!strcmp(p->rows[i].record->key, key))
			return &p->rows[i];
	return NULL;
}

bool plan_outcome_of(const struct plan *p, const char *key, struct plan_outcome *ret_outcome)
{
	const struct plan_row *row = row_of(p, key);

	if (!row || !row->sides[LOAD_BALANCER].of_interest)
		return false;
	const struct plan_side *side = &row->sides[LOAD_BALANCER];
	const struct plan_said said = plan_said_of(row, LOAD_BALANCER);
	*ret_outcome = (struct plan_outcome){
		.fails = plan_change(row, LOAD_BALANCER) == IPAM_FAIL,
		.reason = reason_name(said.reason),
		.message = xstrdup(said.message),
		.before = xmemdup(side->before, (side->n_before + 1) * sizeof(*side->before)),
		.n_before = side->n_before,
	};
	for (size_t i = 0; i < side->n_air; i++)
		ret_outcome->is_silent |= side->air[i].message && !side->air[i].protocols &&
		                          side->air[i].reason != REASON_Retained;
	ret_outcome->after = plan_addrs(plan_part(row, LOAD_BALANCER), &ret_outcome->n_after);
	return true;
}

void plan_outcome_fini(struct plan_outcome *outcome)
{
	free(outcome->message);
	free(outcome->before);
	free(outcome->after);
	*outcome = (struct plan_outcome){ .fails = false };
}

const char *plan_other_with(const struct plan *p, const char *key, const struct addr *a,
                            bool *ret_had)
{
	for (size_t i = 0; i < p->n; i++)
		for (size_t k = 0; k < SIDES; k++) {
			const struct plan_row *row = &p->rows[i];
			const struct plan_side *side = &row->sides[k];
			size_t n = 0;
			if (!side->of_interest || !strcmp(row->record->key, key))
				continue;
			cleanup_free struct addr *after = plan_addrs(plan_part(row, k), &n);
			if (!addrs_contain(after, n, a))
				continue;
			*ret_had = addrs_contain(side->before, side->n_before, a);
			return row->record->key;
		}
	return NULL;
}

static bool side_is_alike(const struct plan_row *a, const struct plan_row *b, size_t side)
{
	size_t n_a = 0, n_b = 0, i = 0;

	if (!a->sides[side].of_interest || !b->sides[side].of_interest)
		return a->sides[side].of_interest == b->sides[side].of_interest;
	if (strcmp(plan_change_name(a, side), plan_change_name(b, side)) != 0)
		return false;
	cleanup_free struct addr *of_a = plan_addrs(plan_part(a, side), &n_a);
	cleanup_free struct addr *of_b = plan_addrs(plan_part(b, side), &n_b);
	while (i < n_a && i < n_b && addr_eq(&of_a[i], &of_b[i]))
		i++;
	return i == n_a && i == n_b && plan_said_of(a, side).reason == plan_said_of(b, side).reason;
}

static int by_key(const void *a, const void *b)
{
	const struct plan_row *ra = *(const struct plan_row *const *)a;
	const struct plan_row *rb = *(const struct plan_row *const *)b;

	return strcmp(ra->record->key, rb->record->key);
}

static bool fares_alike(const struct plan_row *row, const struct plan_row *as)
{
	return side_is_alike(row, as, LOAD_BALANCER) && side_is_alike(row, as, EXTERNAL);
}

bool *plan_concerned(const struct plan *p, const struct plan *without)
{
	const struct plan_row **rows = xcalloc(without->n + 1, sizeof(const struct plan_row *));
	bool *concerned = xcalloc(p->n + 1, sizeof(*concerned));

	for (size_t i = 0; i < without->n; i++)
		rows[i] = &without->rows[i];
	qsort(rows, without->n, sizeof(const struct plan_row *), by_key);
	for (size_t i = 0; i < p->n; i++) {
		const struct plan_row *row = &p->rows[i];
		const struct plan_row **as =
			bsearch(&row, rows, without->n, sizeof(const struct plan_row *), by_key);
		concerned[i] = !as || !fares_alike(row, *as);
	}
	free(rows);
	return concerned;
}
