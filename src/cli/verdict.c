/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/verdict.h"

#include <stdlib.h>
#include <string.h>

#include "cli/model_private.h"
#include "cli/verdict_private.h"
#include "fairlead/mem.h"

void findings_fini(struct findings *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->items[i].object);
		free(f->items[i].reason);
		free(f->items[i].message);
	}
	free(f->items);
	*f = (struct findings){ .items = NULL };
}

void verdict_add_word(struct findings *f, enum verdict_level level, const char *reason,
                      char *object, char *message)
{
	enum reason r = reason_named(reason);

	if (!message || !*message) {
		free(message);
		message = xstrdup(r == REASON_COUNT ? "" : reason_sentence(r));
	}
	ARRAY_RESERVE(f->items, f->cap, f->n + 1);
	f->items[f->n++] = (struct finding){
		.level = level, .object = object, .reason = xstrdup(reason), .message = message
	};
}

void verdict_add(struct findings *f, enum verdict_level level, enum reason r, char *object,
                 char *message)
{
	verdict_add_word(f, level, reason_name(r), object, message);
}

/* ---- all of it ---- */

bool finding_is_alike(const struct finding *a, const struct finding *b)
{
	return a->level == b->level && !strcmp(a->reason, b->reason);
}

/* Adds what is alike to @from[first], which is taken out of @from. */
static void move_alike(struct findings *from, size_t first, struct finding *to, size_t *n)
{
	const struct finding like = from->items[first];

	for (size_t i = first; i < from->n; i++) {
		if (!from->items[i].reason ||
		    (i > first && !finding_is_alike(&like, &from->items[i])))
			continue;
		to[(*n)++] = from->items[i];
		from->items[i].reason = NULL;
	}
}

/*
 * The worse ones first; of those that are as bad, reasons in the order in which they were found,
 * each with all it is about.
 */
static void sort_findings(struct findings *f)
{
	struct finding *sorted = xcalloc(f->n + 1, sizeof(*sorted));
	size_t n = 0;

	for (int level = VERDICT_DOWN; level >= VERDICT_OK; level--)
		for (size_t i = 0; i < f->n; i++)
			if (f->items[i].reason && (int)f->items[i].level == level)
				move_alike(f, i, sorted, &n);
	free(f->items);
	f->items = sorted;
	f->cap = f->n + 1;
}

void verdict_find(struct model *m, unsigned int parts, struct findings *ret)
{
	static const struct {
		enum verdict_part part;
		void (*find)(const struct model *m, struct findings *f);
	} rows[] = {
		{ VERDICT_CONTROLLER, verdict_find_controllers },
		{ VERDICT_CONTROLLER, verdict_find_configuration },
		{ VERDICT_SPEAKERS, verdict_find_speakers },
		{ VERDICT_SERVICES, verdict_find_services },
		{ VERDICT_BGP, verdict_find_bgp },
		{ VERDICT_NODES, verdict_find_nodes },
		{ VERDICT_POOLS, verdict_find_pools },
		{ VERDICT_VERSIONS, verdict_find_versions },
	};

	model_sort(m);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (parts & rows[i].part)
			rows[i].find(m, ret);
	sort_findings(ret);
}

enum verdict_level verdict_of(const struct findings *f)
{
	return f->n ? f->items[0].level : VERDICT_OK;
}

const char *verdict_name(enum verdict_level level)
{
	static const char *const names[] = {
		[VERDICT_OK] = "OK",
		[VERDICT_DEGRADED] = "degraded",
		[VERDICT_DOWN] = "down",
	};

	return names[level];
}
