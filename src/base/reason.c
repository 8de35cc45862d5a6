/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/reason.h"

static const struct {
	const char *name, *sentence;
	bool holds;
} reasons[] = {
#define X(n, h, s) [REASON_##n] = { .name = #n, .sentence = s, .holds = h },
	REASON_TABLE(X)
#undef X
};

const char *reason_name(enum reason r)
{
	return reasons[r].name;
}

const char *reason_sentence(enum reason r)
{
	return reasons[r].sentence;
}

bool reason_holds(enum reason r)
{
	return reasons[r].holds;
}
