/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel refuses an element, which is deferred; what leads to it must not be written before it,
 * nor may be deleted what the kernel's old one leads to.  So the queue's order is kept among those
 * that have a link in common, the number of a set for one: whatever comes later waits for those of
 * them that are deferred, in the order of their ranks.
 *
 * A rank is the place of the element's map in the queue: what is new goes up, what is old comes
 * down again.  As whatever is waited for has a lower rank, something can always be tried.
 */
#include "config.h"

#include "proxy/nftables/store_private.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/hash.h"
#include "fairlead/mem.h"

#define LINKS_MAX 2
#define RANKS (2u * FRAME_MAPS)

/* What elements may have in common. */
enum space { SPACE_SET = 1, SPACE_GROUP, SPACE_ADDRESS };

struct link {
	uint32_t space, number;
};

struct store_link {
	struct link link;
	uint32_t n, n_of[RANKS]; /* deferred elements */
	UT_hash_handle hh;
};

static uint32_t number_at(const unsigned char *from)
{
	uint32_t n;

	memcpy(&n, from, sizeof(n));
	return n;
}

bool store_is_way(enum frame_map map)
{
	return map == FRAME_SHORTCUTS || map == FRAME_NODE_SHORTCUTS || map == FRAME_WAYS ||
	       map == FRAME_NODE_WAYS;
}

bool store_leads(enum frame_map map)
{
	return store_is_way(map) || map == FRAME_RESTRICTED;
}

/* Two addresses with one number only wait for each other without need. */
static struct link address_link(const struct store_place *p)
{
	uint64_t h = hash_fnv(HASH_FNV_BEGIN, p->e->data, p->map->shape.key);

	return (struct link){ SPACE_ADDRESS, (uint32_t)(h ^ h >> 32) };
}

static size_t links_of(const struct store_place *p, struct link ret[static LINKS_MAX])
{
	switch (p->map->map) {
	case FRAME_ENDPOINTS:
	case FRAME_MEMBERS:
	case FRAME_TICKETS:
	case FRAME_SETS:
		ret[0] = (struct link){ SPACE_SET, number_at(p->e->data) };
		return 1;
	case FRAME_RANGES:
		ret[0] = (struct link){ SPACE_GROUP, number_at(p->e->data) };
		return 1;
	case FRAME_RESTRICTED:
		ret[0] = (struct link){ SPACE_GROUP, number_at(store_place_value(p)) };
		ret[1] = address_link(p);
		return 2;
	case FRAME_SHORTCUTS:
	case FRAME_NODE_SHORTCUTS:
	case FRAME_WAYS:
	case FRAME_NODE_WAYS:
		ret[0] =
			(struct link){ SPACE_SET, number_at(store_place_value(p)) & FRAME_WAY_SET };
		ret[1] = address_link(p);
		return 2;
	case FRAME_HAIRPIN:
	case FRAME_GUARDED:
	case FRAME_MAPS:
		break;
	}
	return 0;
}

static uint32_t rank_of(const struct store_place *p)
{
	return p->e->wanted ? p->map->map : RANKS - 1 - p->map->map;
}

/* In the kernel it leads to something else, and nobody knows what that was. */
static bool is_astray(const struct store_place *p)
{
	return store_leads(p->map->map) && p->e->there && !p->e->same;
}

/* ---- what is deferred ---- */

static struct store_link *find(const struct store *s, const struct link *link)
{
	struct store_link *l;

	HASH_FIND(hh, s->links, link, sizeof(*link), l);
	return l;
}

static struct store_link *get(struct store *s, const struct link *link)
{
	struct store_link *l = find(s, link);

	if (l)
		return l;
	l = xcalloc(1, sizeof(*l));
	l->link = *link;
	HASH_ADD(hh, s->links, link, sizeof(*link), l);
	return l;
}

void store_hold(struct store *s, const struct store_place *p)
{
	struct link links[LINKS_MAX];
	size_t n = links_of(p, links);

	s->n_astray += is_astray(p);
	for (size_t i = 0; i < n; i++) {
		struct store_link *l = get(s, &links[i]);
		l->n++;
		l->n_of[rank_of(p)]++;
	}
}

void store_unhold(struct store *s, const struct store_place *p)
{
	struct link links[LINKS_MAX];
	size_t n = links_of(p, links);

	s->n_astray -= is_astray(p);
	for (size_t i = 0; i < n; i++) {
		struct store_link *l = find(s, &links[i]);
		l->n_of[rank_of(p)]--;
		if (--l->n > 0)
			continue;
		HASH_DEL(s->links, l);
		free(l);
	}
}

void store_unhold_all(struct store *s)
{
	struct store_link *l, *next;

	HASH_ITER(hh, s->links, l, next) {
		HASH_DEL(s->links, l);
		free(l);
	}
}

static bool any_below(const struct store_link *l, uint32_t rank)
{
	for (uint32_t i = 0; l && i < rank; i++)
		if (l->n_of[i] > 0)
			return true;
	return false;
}

/* By what went astray, for all that is known. */
static bool may_be_led_to(enum frame_map map)
{
	return map == FRAME_ENDPOINTS || map == FRAME_MEMBERS || map == FRAME_TICKETS ||
	       map == FRAME_SETS || map == FRAME_RANGES;
}

bool store_is_held(const struct store *s, const struct store_place *p)
{
	struct link links[LINKS_MAX];
	bool held = false;

	/* What nobody is to be led by any more goes in any case. */
	if (!s->links || (!p->e->wanted && store_is_way(p->map->map)))
		return false;
	if (s->n_astray > 0 && !p->e->wanted && may_be_led_to(p->map->map))
		return true;
	size_t n = links_of(p, links);
	for (size_t i = 0; i < n && !held; i++)
		held = any_below(find(s, &links[i]), rank_of(p));
	return held;
}
