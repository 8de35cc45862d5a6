/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "l2/places.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

static void place_fini(struct place *p)
{
	if (p->has_pattern)
		regfree(&p->pattern);
	free(p->interfaces);
	free(p->allows);
	*p = (struct place){ 0 };
}

/* The configuration has tried the expression; one that does not compile here allows nothing. */
static void place_compile(struct place *p, const char *interfaces)
{
	p->interfaces = xstrdup(interfaces);
	p->has_pattern = *interfaces && regcomp(&p->pattern, interfaces, REG_EXTENDED) == 0;
}

static void place_look(struct place *p, const struct ifaces *ifaces)
{
	p->allows = xreallocarray(p->allows, ifaces->n + 1, sizeof(*p->allows));
	for (size_t i = 0; i < ifaces->n; i++)
		p->allows[i] = p->has_pattern
		                       ? ifaces_name_matches(&p->pattern, ifaces->list[i].name)
		                       : !*p->interfaces;
}

static void resize(struct places *p, size_t n)
{
	for (size_t i = n; i < p->n; i++)
		place_fini(&p->list[i]);
	p->list = xreallocarray(p->list, n, sizeof(*p->list));
	for (size_t i = p->n; i < n; i++)
		p->list[i] = (struct place){ 0 };
	p->n = n;
}

void places_set(struct places *p, const struct l2_snapshot *s, const struct ifaces *ifaces)
{
	resize(p, s ? s->n_places : 0);
	for (size_t i = 0; i < p->n; i++) {
		const char *interfaces = s->places[i].interfaces;
		if (!p->list[i].interfaces || strcmp(p->list[i].interfaces, interfaces) != 0) {
			place_fini(&p->list[i]);
			place_compile(&p->list[i], interfaces);
		}
		place_look(&p->list[i], ifaces);
	}
}

void places_fini(struct places *p)
{
	resize(p, 0);
	free(p->list);
	*p = (struct places){ 0 };
}

const bool *places_allowed(const struct places *p, uint16_t place)
{
	return place == 0 || place > p->n ? NULL : p->list[place - 1].allows;
}
