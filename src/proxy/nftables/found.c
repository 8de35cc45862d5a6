/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel has: it is forgotten, found again, and compared with what is wanted. */
#include "config.h"

#include "proxy/nftables/store_private.h"

#include <string.h>

typedef void element_fn(struct store *s, struct store_place *p, void *arg);

/*
 * Calls @fn with the elements among the next *@left records; what is left then.  True: there are no
 * more.
 */
static bool each_of_next(struct store *s, size_t *left, element_fn *fn, void *arg)
{
	for (struct store_cursor *c = &s->at; c->map < FRAME_MAPS; c->map++, c->number = 0) {
		struct elements *t = &s->maps[c->map];
		while (c->number < t->last) {
			if (*left == 0)
				return false;
			--*left;
			struct store_place p = store_place_at(t, ++c->number);
			if (p.e->used)
				fn(s, &p, arg);
		}
	}
	s->at = (struct store_cursor){ 0 };
	return true;
}

static void forget(struct store *s, struct store_place *p, void *arg)
{
	struct element *e = p->e;

	(void)arg;
	store_dequeue(s, p);
	s->n_leaving += e->there && !e->wanted && !s->forgotten;
	e->was_there = e->was_there || e->there;
	e->was_right = e->was_right || (e->wanted && e->there && e->same);
	e->there = e->same = false;
	if (!e->wanted)
		elements_drop(p->map, p->number);
}

bool store_forget(struct store *s, size_t max)
{
	s->n_taken = 0;
	if (!s->forgetting) {
		s->forgetting = true;
		s->placing = false;
		s->at = (struct store_cursor){ 0 };
	}
	if (!each_of_next(s, &max, forget, NULL))
		return false;
	s->forgetting = false;
	s->forgotten = true;
	return true;
}

void store_found(struct store *s, enum frame_map map, const void *key, const void *value)
{
	struct store_place p = store_get_place(s, map, key);
	size_t size = p.map->shape.value;

	p.e->there = true;
	if (!p.e->wanted && size)
		memcpy(store_place_value(&p), value, size);
	if (p.map->shape.intervals)
		memcpy(elements_value_there(p.map, p.e), value, size);
	p.e->same = !size || !memcmp(store_place_value(&p), value, size);
}

struct comparison {
	store_stray_fn *stray; /* NULL: nobody asks */
	void *arg;
};

/*
 * Of those that wait already each is in the round of its Service.  Whose that was which nobody
 * wants is not known, so it comes after everybody's.
 */
static void compare(struct store *s, struct store_place *p, void *arg)
{
	const struct comparison *c = arg;
	struct element *e = p->e;
	bool stray = e->there && !e->wanted;

	if (stray && c->stray)
		c->stray(p->map->map, e->data, c->arg);
	s->n_damaged += e->was_right && !(e->there && e->same);
	s->n_strays += !e->was_there && stray;
	e->was_there = e->was_right = false;
	if (!e->wanted || store_is_right(e))
		store_changed(s, p, QUEUE_LARGE);
	else
		s->rounds[store_lane(store_place_owner(s, p))].n_lacking += !e->waits;
}

/* What nobody owns, that is, what several share, comes last of what is not large. */
static void put_into_round(struct store *s, struct store_place *p, void *arg)
{
	const struct store_owner *owner = store_place_owner(s, p);
	const struct store_rounds *r = &s->rounds[store_lane(owner)];
	uint64_t round = r->n - 1;

	(void)arg;
	if (store_is_right(p->e) || p->e->waits)
		return;
	if (owner)
		round = (uint64_t)(p->e->who - 1) * r->n / s->n_owners;
	store_enqueue(s, p, QUEUE_NEW, store_lane(owner), r->first + (uint32_t)round);
}

static void begin_placing(struct store *s)
{
	s->n_owners = s->owners.n;
	for (int lane = 0; lane < QUEUE_LANES; lane++) {
		struct store_rounds *r = &s->rounds[lane];
		r->n = r->n_lacking / QUEUE_ROUND + 1;
		r->first = queue_add_rounds(&s->queue, (enum queue_lane)lane, r->n);
	}
	s->placing = true;
}

static bool any_lacking(const struct store *s)
{
	return s->rounds[QUEUE_SMALL].n_lacking + s->rounds[QUEUE_LARGE].n_lacking > 0;
}

/* True: there is no more to compare. */
static bool compare_next(struct store *s, size_t *left, struct comparison *c)
{
	if (!s->at.map && !s->at.number) {
		s->n_damaged = s->n_strays = 0;
		memset(s->rounds, 0, sizeof(s->rounds));
	}
	if (!each_of_next(s, left, compare, c))
		return false;
	if (s->n_strays > s->n_leaving)
		s->n_damaged += s->n_strays - s->n_leaving;
	s->n_leaving = 0;
	return true;
}

bool store_compare(struct store *s, size_t max, store_stray_fn *stray, void *arg,
                   size_t *ret_n_damaged)
{
	struct comparison c = { stray, arg };

	if (!s->placing) {
		if (!compare_next(s, &max, &c))
			return false;
		if (any_lacking(s))
			begin_placing(s);
	}
	if (s->placing && !each_of_next(s, &max, put_into_round, NULL))
		return false;
	s->placing = s->forgotten = false;
	*ret_n_damaged = s->n_damaged;
	return true;
}

/* ---- a look ---- */

static void unsee(struct store *s, struct store_place *p, void *arg)
{
	(void)s;
	(void)arg;
	p->e->seen = false;
}

/* The next record, one of *@left; 0: there is none. */
static uint32_t step(const struct elements *t, uint32_t number, size_t *left)
{
	if (number >= t->last)
		return 0;
	--*left;
	return number + 1;
}

/* As each_of_next(), but anything may be wanted and released between two calls. */
static bool look_at_some(struct store *s, size_t left, element_fn *fn, void *arg)
{
	for (struct store_cursor *c = &s->look; c->map < FRAME_MAPS; c->map++, c->number = 0)
		while ((c->number = step(&s->maps[c->map], c->number, &left))) {
			struct store_place p = store_place_at(&s->maps[c->map], c->number);
			if (p.e->used)
				fn(s, &p, arg);
			if (left == 0)
				return false;
		}
	s->look = (struct store_cursor){ 0 };
	return true;
}

void store_look_at_nothing(struct store *s)
{
	s->look = (struct store_cursor){ 0 };
}

bool store_look_begin(struct store *s, size_t max)
{
	return look_at_some(s, max, unsee, NULL);
}

enum store_finding store_look(struct store *s, enum frame_map map, const void *key,
                              const void *value, const struct store_owner **ret_owner)
{
	struct store_place p = store_find_place(s, map, key);
	size_t size = p.map->shape.value;

	if (!p.e || !p.e->there)
		return STORE_UNKNOWN;
	p.e->seen = true;
	*ret_owner = store_place_owner(s, &p);
	return p.e->same && size && memcmp(store_place_value(&p), value, size) != 0 ? STORE_CHANGED
	                                                                            : STORE_SAME;
}

struct looker {
	store_missing_fn *fn;
	void *arg;
};

static void tell_unseen(struct store *s, struct store_place *p, void *arg)
{
	const struct looker *l = arg;

	if (p->e->there && !p->e->seen)
		l->fn(p->map->map, p->e->data, p->map->shape.value ? store_place_value(p) : NULL,
		      store_place_owner(s, p), l->arg);
}

bool store_look_end(struct store *s, size_t max, store_missing_fn *fn, void *arg)
{
	struct looker l = { fn, arg };

	return look_at_some(s, max, tell_unseen, &l);
}
