/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/verdict.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"

/* Of one reason so many objects are named, unless more is asked for. */
#define OBJECTS_SHOWN 5
#define INDENT 2

static const char *remedy_of(const struct finding *x)
{
	enum reason r = reason_named(x->reason);

	return r == REASON_COUNT ? "" : reason_remedy(r);
}

/* Those of a reason follow each other. */
static bool is_first(const struct findings *f, size_t i)
{
	return i == 0 || !finding_is_alike(&f->items[i - 1], &f->items[i]);
}

/* A reason with all that it is about, and what to do. */
static void say_alike(const struct findings *f, size_t first, struct out *o)
{
	const struct finding *x = &f->items[first];
	size_t n = 0;

	out_say(o, "  %s%s", x->reason, x->level == VERDICT_OK ? " (for information)" : "");
	for (size_t i = first; i < f->n && finding_is_alike(x, &f->items[i]); i++) {
		const struct finding *y = &f->items[i];
		if (n++ >= OBJECTS_SHOWN && o->format != OUT_WIDE)
			continue;
		cleanup_free char *line =
			xasprintf("%s%s%s", y->object, *y->message ? ": " : "", y->message);
		out_wrap(o, 2 * INDENT, line);
	}
	if (n > OBJECTS_SHOWN && o->format != OUT_WIDE)
		out_say(o, "    and %zu more", n - OBJECTS_SHOWN);
	if (*remedy_of(x)) {
		cleanup_free char *line = xasprintf("→ %s", remedy_of(x));
		out_wrap(o, 2 * INDENT, line);
	}
}

void verdict_print(const struct findings *f, const char *key, struct out *o)
{
	static const enum out_colour colours[] = {
		[VERDICT_OK] = OUT_GREEN, [VERDICT_DEGRADED] = OUT_YELLOW, [VERDICT_DOWN] = OUT_RED
	};
	enum verdict_level level = verdict_of(f);

	out_object(o, key);
	out_str(o, "level", verdict_name(level));
	out_say_in(o, colours[level], verdict_name(level));
	out_list(o, "findings");
	for (size_t i = 0; i < f->n; i++) {
		const struct finding *x = &f->items[i];
		out_object(o, NULL);
		out_str(o, "level", verdict_name(x->level));
		out_str(o, "object", x->object);
		out_str(o, "reason", x->reason);
		out_str(o, "message", x->message);
		out_str(o, "remedy", remedy_of(x));
		out_close(o);
		if (is_first(f, i))
			say_alike(f, i, o);
	}
	out_close(o);
	out_close(o);
}
