/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/reason.h"

#include <string.h>

static const struct {
	const char *name, *sentence, *remedy;
	enum reason_about about;
	bool holds;
} reasons[] = {
#define REASON(n, h, a, s, r)                                                                 \
	[REASON_##n] = {                                                                      \
		.name = #n, .sentence = s, .remedy = r, .about = REASON_ABOUT_##a, .holds = h \
	},
#include "fairlead/reasons.def"
};

const char *reason_name(enum reason r)
{
	return reasons[r].name;
}

const char *reason_sentence(enum reason r)
{
	return reasons[r].sentence;
}

const char *reason_remedy(enum reason r)
{
	return reasons[r].remedy;
}

bool reason_holds(enum reason r)
{
	return reasons[r].holds;
}

enum reason_about reason_about(enum reason r)
{
	return reasons[r].about;
}

enum reason reason_named(const char *name)
{
	int r = 0;

	while (r < REASON_COUNT && strcmp(reasons[r].name, name) != 0)
		r++;
	return (enum reason)r;
}
