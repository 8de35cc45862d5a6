/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "l2/places.h"

#include <regex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/hash.h"
#include "fairlead/mem.h"

struct place {
	_Atomic unsigned int refs;
	char *interfaces;
	regex_t pattern;
	bool has_pattern; /* else all are allowed */
	/* The store's. */
	uint64_t snapshot; /* the last that had it */
	UT_hash_handle hh;
	/* The urgent thread's. */
	bool *allows;        /* by position in the interfaces, */
	uint64_t generation; /* of which it has looked at these */
};

static void place_drop(struct place *p)
{
	if (atomic_fetch_sub(&p->refs, 1) > 1)
		return;
	if (p->has_pattern)
		regfree(&p->pattern);
	free(p->interfaces);
	free(p->allows);
	free(p);
}

/* ---- compiling ---- */

/* The configuration has tried the expression; one that does not compile here allows nothing. */
static struct place *place_new(struct place_store *store, const char *interfaces)
{
	struct place *p = xcalloc(1, sizeof(*p));

	p->refs = 1;
	p->interfaces = xstrdup(interfaces);
	p->has_pattern = *interfaces && regcomp(&p->pattern, interfaces, REG_EXTENDED) == 0;
	store->n_compiled += *interfaces != '\0';
	HASH_ADD_KEYPTR(hh, store->by_text, p->interfaces, strlen(p->interfaces), p);
	return p;
}

static struct place *place_get(struct place_store *store, const char *interfaces)
{
	struct place *p;

	HASH_FIND(hh, store->by_text, interfaces, strlen(interfaces), p);
	if (!p)
		p = place_new(store, interfaces);
	p->snapshot = store->n_snapshots;
	p->refs++;
	return p;
}

static void forget_older(struct place_store *store)
{
	struct place *p, *next;

	HASH_ITER(hh, store->by_text, p, next)
		if (p->snapshot != store->n_snapshots) {
			HASH_DEL(store->by_text, p);
			place_drop(p);
		}
}

void place_store_fini(struct place_store *store)
{
	store->n_snapshots++;
	forget_older(store);
}

struct places *places_new(struct place_store *store, const struct l2_snapshot *s)
{
	struct places *p = xcalloc(1, sizeof(*p) + s->n_places * sizeof(struct place *));

	store->n_snapshots++;
	for (size_t i = 0; i < s->n_places; i++)
		p->list[p->n++] = place_get(store, s->places[i].interfaces);
	forget_older(store);
	return p;
}

void places_free(struct places *p)
{
	for (size_t i = 0; p && i < p->n; i++)
		place_drop(p->list[i]);
	free(p);
}

/* ---- trying ---- */

static size_t place_look(struct place *p, const struct ifaces *ifaces, uint64_t generation)
{
	if (p->generation == generation)
		return 0;
	p->generation = generation;
	p->allows = xreallocarray(p->allows, ifaces->n + 1, sizeof(*p->allows));
	for (size_t i = 0; i < ifaces->n; i++)
		p->allows[i] = p->has_pattern
		                       ? ifaces_name_matches(&p->pattern, ifaces->list[i].name)
		                       : !*p->interfaces;
	return ifaces->n;
}

size_t places_look(const struct places *p, const struct ifaces *ifaces, uint64_t generation)
{
	size_t n = 0;

	for (size_t i = 0; p && i < p->n; i++)
		n += place_look(p->list[i], ifaces, generation);
	return n;
}

const bool *places_allowed(const struct places *p, uint16_t place)
{
	return place == 0 || !p || place > p->n ? NULL : p->list[place - 1]->allows;
}
