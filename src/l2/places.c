/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "l2/places.h"

#include <regex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/hash.h"
#include "fairlead/mem.h"

/* One expression. */
struct pattern {
	regex_t compiled;
	bool is_compiled;
	bool *matches; /* the urgent thread's, by position in the interfaces */
};

struct place {
	_Atomic unsigned int refs;
	char *text; /* interfaces, NUL, routed */
	struct pattern interfaces, routed;
	/* The store's. */
	uint64_t snapshot; /* the last that had it */
	UT_hash_handle hh;
	/* The urgent thread's. */
	uint64_t generation; /* of the interfaces that it has looked at */
};

static void pattern_fini(struct pattern *p)
{
	if (p->is_compiled)
		regfree(&p->compiled);
	free(p->matches);
}

static void place_drop(struct place *p)
{
	if (atomic_fetch_sub(&p->refs, 1) > 1)
		return;
	pattern_fini(&p->interfaces);
	pattern_fini(&p->routed);
	free(p->text);
	free(p);
}

/* ---- compiling ---- */

/* The configuration has tried the expression; one that does not compile here matches nothing. */
static void pattern_compile(struct place_store *store, struct pattern *p, const char *text)
{
	if (!*text)
		return;
	p->is_compiled = regcomp(&p->compiled, text, REG_EXTENDED) == 0;
	store->n_compiled++;
}

/* The key of a place; its size. */
static size_t place_text(const struct l2_place *place, char **ret_text)
{
	size_t size = strlen(place->interfaces) + 1, routed_size = strlen(place->routed) + 1;
	char *text = xmalloc(size + routed_size);

	memcpy(text, place->interfaces, size);
	memcpy(text + size, place->routed, routed_size);
	*ret_text = text;
	return size + routed_size;
}

static struct place *place_get(struct place_store *store, const struct l2_place *place)
{
	cleanup_free char *text = NULL;
	size_t size = place_text(place, &text);
	struct place *p;

	HASH_FIND(hh, store->by_text, text, size, p);
	if (!p) {
		p = xcalloc(1, sizeof(*p));
		p->refs = 1;
		p->text = TAKE(text);
		pattern_compile(store, &p->interfaces, place->interfaces);
		pattern_compile(store, &p->routed, place->routed);
		HASH_ADD_KEYPTR(hh, store->by_text, p->text, size, p);
	}
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
		p->list[p->n++] = place_get(store, &s->places[i]);
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

static size_t pattern_look(struct pattern *p, const struct ifaces *ifaces)
{
	p->matches = xreallocarray(p->matches, ifaces->n + 1, sizeof(*p->matches));
	for (size_t i = 0; i < ifaces->n; i++)
		p->matches[i] =
			p->is_compiled && ifaces_name_matches(&p->compiled, ifaces->list[i].name);
	return p->is_compiled ? ifaces->n : 0;
}

static size_t place_look(struct place *p, const struct ifaces *ifaces, uint64_t generation)
{
	if (p->generation == generation)
		return 0;
	p->generation = generation;
	return pattern_look(&p->interfaces, ifaces) + pattern_look(&p->routed, ifaces);
}

size_t places_look(const struct places *p, const struct ifaces *ifaces, uint64_t generation)
{
	size_t n = 0;

	for (size_t i = 0; p && i < p->n; i++)
		n += place_look(p->list[i], ifaces, generation);
	return n;
}

static const struct place *find(const struct places *p, uint16_t place)
{
	return place == 0 || !p || place > p->n ? NULL : p->list[place - 1];
}

const bool *places_allowed(const struct places *p, uint16_t place)
{
	const struct place *found = find(p, place);

	return found && *found->text ? found->interfaces.matches : NULL;
}

const bool *places_routed(const struct places *p, uint16_t place)
{
	const struct place *found = find(p, place);

	return found && found->routed.is_compiled ? found->routed.matches : NULL;
}

const struct iface *places_find(const struct places *p, uint16_t place, const struct ifaces *ifaces,
                                const struct addr *a)
{
	const struct iface *iface = ifaces_find(ifaces, places_allowed(p, place), a);

	return iface ? iface : ifaces_first(ifaces, places_routed(p, place));
}

void places_join(const struct places *p, uint16_t place, const struct ifaces *ifaces,
                 const struct addr_range *r, bool *chosen)
{
	const bool *allowed = places_allowed(p, place);

	for (size_t i = 0; i < ifaces->n; i++)
		chosen[i] |= ifaces_serves(ifaces, allowed, &ifaces->list[i], r);
	if (ifaces_cover(ifaces, allowed, r))
		return;
	const struct iface *routed = ifaces_first(ifaces, places_routed(p, place));
	if (routed)
		chosen[routed - ifaces->list] = true;
}
