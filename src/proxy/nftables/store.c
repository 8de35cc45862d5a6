/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/nftables/store.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "proxy/nftables/elements.h"
#include "proxy/nftables/owners.h"
#include "proxy/nftables/plan.h"
#include "proxy/nftables/queue.h"

/* Where a pass over all elements has come to: it goes on with the record after this one. */
struct cursor {
	int map;
	uint32_t number;
};

/* What is lacking, of one lane, and the new rounds for it. */
struct rounds {
	size_t n_lacking, n;
	uint32_t first;
};

struct store {
	const struct store_ops *ops;
	void *arg;
	struct elements maps[FRAME_MAPS];
	struct queue queue;
	struct owners owners;
	size_t n_wanted, n_taken, n_damaged;
	size_t n_strays, n_leaving; /* there though unwanted: as found, as expected */
	struct cursor at;           /* of the pass under way */
	bool forgetting;            /* it is one that forgets */
	bool forgotten;             /* and not compared since */
	bool placing;               /* what is lacking is put into rounds */
	struct rounds rounds[QUEUE_LANES];
	size_t n_owners;            /* when that began */
	struct frame_element *list; /* of one call to write */
	size_t cap_list;
};

struct store *store_new(uint8_t family, const struct store_ops *ops, void *arg)
{
	struct store *s = xcalloc(1, sizeof(*s));

	s->ops = ops;
	s->arg = arg;
	for (int i = 0; i < FRAME_MAPS; i++)
		elements_init(&s->maps[i], family, (enum frame_map)i);
	queue_init(&s->queue);
	return s;
}

void store_free(struct store *s)
{
	if (!s)
		return;
	for (int i = 0; i < FRAME_MAPS; i++)
		elements_fini(&s->maps[i]);
	queue_fini(&s->queue);
	owners_fini(&s->owners);
	free(s->list);
	free(s);
}

/* ---- elements ---- */

/* One in its map. */
struct place {
	struct elements *map;
	uint32_t number;
	struct element *e; /* NULL: there is none */
};

static struct place place_of(struct elements *map, uint32_t number)
{
	return (struct place){ map, number, number ? elements_at(map, number) : NULL };
}

static struct place find(const struct store *s, enum frame_map map, const void *key)
{
	struct elements *t = (struct elements *)(uintptr_t)&s->maps[map];

	return place_of(t, elements_find(t, key));
}

static struct place get(struct store *s, enum frame_map map, const void *key)
{
	return place_of(&s->maps[map], elements_get(&s->maps[map], key));
}

static unsigned char *value_of(const struct place *p)
{
	return elements_value(p->map, p->e);
}

typedef void element_fn(struct store *s, struct place *p, void *arg);

static void each(struct store *s, element_fn *fn, void *arg)
{
	for (int i = 0; i < FRAME_MAPS; i++)
		for (uint32_t n = 0; (n = elements_next(&s->maps[i], n));) {
			struct place p = place_of(&s->maps[i], n);
			fn(s, &p, arg);
		}
}

/*
 * The same for the next *@left records, whether in use or not; what is left then.  True: there are
 * no more.
 */
static bool each_of_next(struct store *s, size_t *left, element_fn *fn, void *arg)
{
	for (struct cursor *c = &s->at; c->map < FRAME_MAPS; c->map++, c->number = 0) {
		struct elements *t = &s->maps[c->map];
		while (c->number < t->last) {
			if (*left == 0)
				return false;
			--*left;
			struct place p = place_of(t, ++c->number);
			if (p.e->used)
				fn(s, &p, arg);
		}
	}
	s->at = (struct cursor){ 0 };
	return true;
}

static struct store_owner *owner_of(const struct store *s, const struct place *p)
{
	return p->e && !plan_is_shared(p->map->map) ? owners_at(&s->owners, p->e->who) : NULL;
}

void store_drop_owner(struct store *s, struct store_owner *owner)
{
	owners_drop(&s->owners, owner);
}

/* ---- the queue ---- */

static void dequeue(struct store *s, struct place *p)
{
	if (p->e->waits)
		queue_take_out(&s->queue, p->e->waits);
	p->e->waits = 0;
}

static void enqueue(struct store *s, struct place *p, enum queue_part part, enum queue_lane lane,
                    uint32_t round)
{
	p->e->waits = queue_put(&s->queue, part, lane, round, p->map->map, p->number);
}

static enum queue_lane lane_of(const struct store_owner *owner)
{
	return owner && owner->large ? QUEUE_LARGE : QUEUE_SMALL;
}

static struct place place_in_queue(struct store *s, uint32_t item)
{
	const struct queue_item *i = queue_at(&s->queue, item);

	return place_of(&s->maps[i->map], i->element);
}

/* Whether the kernel has it as it is wanted. */
static bool is_right(const struct element *e)
{
	return e->wanted ? e->there && e->same : !e->there;
}

/* At the end of the lane's round, wherever it was; or in none.  It may be gone afterwards. */
static void changed(struct store *s, struct place *p, enum queue_lane lane)
{
	dequeue(s, p);
	if (!is_right(p->e)) {
		enqueue(s, p, p->e->wanted ? QUEUE_NEW : QUEUE_OLD, lane,
		        queue_round(&s->queue, lane));
		return;
	}
	s->queue.stamp++;
	if (!p->e->wanted)
		elements_drop(p->map, p->number);
}

/*
 * What leads to it, or what it leads to, may have gone to this round, so it goes there, too.
 */
static void keep_up(struct store *s, struct place *p, enum queue_lane lane)
{
	if (!p->e->waits)
		return;
	const struct queue_item *i = queue_at(&s->queue, p->e->waits);
	if (i->part == QUEUE_DEFERRED || i->lane != lane ||
	    i->round != queue_round(&s->queue, lane))
		changed(s, p, lane);
}

void store_cut(struct store *s, const struct store_owner *owner)
{
	queue_cut(&s->queue, lane_of(owner));
}

uint64_t store_stamp(const struct store *s)
{
	return s->queue.stamp;
}

uint64_t store_written_stamp(const struct store *s)
{
	return queue_done_stamp(&s->queue);
}

uint64_t store_fresh_stamp(const struct store *s)
{
	return queue_fresh_stamp(&s->queue);
}

uint64_t store_small_stamp(const struct store *s)
{
	return queue_small_stamp(&s->queue);
}

bool store_has_fresh(const struct store *s)
{
	return s->queue.n > s->queue.n_deferred;
}

bool store_is_written(const struct store *s)
{
	return s->queue.n == 0;
}

size_t store_queued(const struct store *s)
{
	return s->queue.n;
}

size_t store_size(const struct store *s)
{
	return s->n_wanted;
}

/* ---- what is wanted ---- */

static void tell_kind(const struct store *s, const struct place *p, bool wanted)
{
	frame_kind kind;

	if (p->map->map != FRAME_SETS)
		return;
	memcpy(&kind, value_of(p), sizeof(kind));
	s->ops->kind_wanted(kind, wanted, s->arg);
}

static void set_wanted(struct store *s, struct element *e, bool wanted)
{
	s->n_wanted += wanted;
	s->n_wanted -= e->wanted;
	e->wanted = wanted;
	s->n_leaving += e->was_there && !wanted && !e->there; /* if it is found yet */
}

/* Whether @owner may have it, and has it now. */
static bool take_over(struct store *s, struct place *p, struct store_owner *owner)
{
	struct store_owner *before = owner_of(s, p);

	if (before && before != owner) {
		p->e->contested = true;
		if (!s->ops->goes_first(owner, before)) {
			s->ops->lost(owner);
			return false;
		}
		s->ops->lost(before);
	}
	p->e->who = owners_number(&s->owners, owner);
	p->e->claimed = owner->turn;
	return true;
}

void store_want(struct store *s, enum frame_map map, const void *key, const void *value,
                struct store_owner *owner)
{
	struct place p = get(s, map, key);
	size_t size = p.map->shape.value;

	if (!take_over(s, &p, owner))
		return;
	bool equal = !size || !memcmp(value_of(&p), value, size);
	if (p.e->wanted && equal) {
		keep_up(s, &p, lane_of(owner));
		return;
	}
	if (p.e->wanted)
		tell_kind(s, &p, false);
	p.e->same = p.e->there && equal && p.e->same;
	p.e->was_right = p.e->was_right && equal;
	if (size)
		memcpy(value_of(&p), value, size);
	set_wanted(s, p.e, true);
	tell_kind(s, &p, true);
	changed(s, &p, lane_of(owner));
}

void store_release(struct store *s, enum frame_map map, const void *key,
                   const struct store_owner *owner)
{
	struct place p = find(s, map, key);

	if (!p.e || owner_of(s, &p) != owner)
		return;
	bool contested = p.e->contested;
	tell_kind(s, &p, false);
	p.e->who = 0;
	p.e->contested = false;
	set_wanted(s, p.e, false);
	changed(s, &p, QUEUE_SMALL);
	if (contested)
		s->ops->freed(s->arg);
}

void store_release_old(struct store *s, enum frame_map map, const void *key,
                       const struct store_owner *owner)
{
	struct place p = find(s, map, key);

	if (p.e && p.e->claimed != owner->turn)
		store_release(s, map, key, owner);
}

/* What waits with somebody large, the others cannot wait for. */
static void hurry(struct store *s, struct place *p)
{
	if (p->e->waits && queue_at(&s->queue, p->e->waits)->lane == QUEUE_LARGE)
		changed(s, p, QUEUE_SMALL);
}

void store_share(struct store *s, enum frame_map map, const void *key,
                 const struct store_owner *owner)
{
	struct place p = get(s, map, key);

	if (p.e->who++ > 0) {
		if (lane_of(owner) == QUEUE_SMALL)
			hurry(s, &p);
		return;
	}
	p.e->same = p.e->there;
	set_wanted(s, p.e, true);
	changed(s, &p, lane_of(owner));
}

void store_unshare(struct store *s, enum frame_map map, const void *key)
{
	struct place p = find(s, map, key);

	if (!p.e || p.e->who == 0 || --p.e->who > 0)
		return;
	set_wanted(s, p.e, false);
	changed(s, &p, QUEUE_SMALL);
}

struct store_owner *store_owner(const struct store *s, enum frame_map map, const void *key)
{
	const struct place p = find(s, map, key);

	return owner_of(s, &p);
}

const void *store_value(const struct store *s, enum frame_map map, const void *key)
{
	const struct place p = find(s, map, key);

	return p.e && (p.e->wanted || (p.e->there && p.e->same)) ? value_of(&p) : NULL;
}

/* ---- what the kernel has ---- */

static void forget(struct store *s, struct place *p, void *arg)
{
	struct element *e = p->e;

	(void)arg;
	s->n_leaving += e->there && !e->wanted && !s->forgotten;
	e->was_there = e->was_there || e->there;
	e->was_right = e->was_right || (e->wanted && e->there && e->same);
	e->there = e->same = false;
	dequeue(s, p);
	if (!e->wanted)
		elements_drop(p->map, p->number);
}

bool store_forget(struct store *s, size_t max)
{
	s->n_taken = 0;
	if (!s->forgetting) {
		s->forgetting = true;
		s->placing = false;
		s->at = (struct cursor){ 0 };
	}
	if (!each_of_next(s, &max, forget, NULL))
		return false;
	s->forgetting = false;
	s->forgotten = true;
	return true;
}

void store_found(struct store *s, enum frame_map map, const void *key, const void *value)
{
	struct place p = get(s, map, key);
	size_t size = p.map->shape.value;

	p.e->there = true;
	if (!p.e->wanted && size)
		memcpy(value_of(&p), value, size);
	if (p.map->shape.intervals)
		memcpy(elements_value_there(p.map, p.e), value, size);
	p.e->same = !size || !memcmp(value_of(&p), value, size);
}

struct comparison {
	store_stray_fn *stray; /* NULL: nobody asks */
	void *arg;
};

/* Of those that wait already each is in the round of its Service. */
static void compare(struct store *s, struct place *p, void *arg)
{
	const struct comparison *c = arg;
	struct element *e = p->e;
	bool stray = e->there && !e->wanted;

	if (stray && c->stray)
		c->stray(p->map->map, e->data, c->arg);
	s->n_damaged += e->was_right && !(e->there && e->same);
	s->n_strays += !e->was_there && stray;
	e->was_there = e->was_right = false;
	if (!e->wanted || is_right(e))
		changed(s, p, QUEUE_SMALL);
	else
		s->rounds[lane_of(owner_of(s, p))].n_lacking += !e->waits;
}

/* What nobody owns, that is, what several share, comes last of what is not large. */
static void put_into_round(struct store *s, struct place *p, void *arg)
{
	const struct store_owner *owner = owner_of(s, p);
	const struct rounds *r = &s->rounds[lane_of(owner)];
	uint64_t round = r->n - 1;

	(void)arg;
	if (is_right(p->e) || p->e->waits)
		return;
	if (owner)
		round = (uint64_t)(p->e->who - 1) * r->n / s->n_owners;
	enqueue(s, p, QUEUE_NEW, lane_of(owner), r->first + (uint32_t)round);
}

static void begin_placing(struct store *s)
{
	s->n_owners = s->owners.n;
	for (int lane = 0; lane < QUEUE_LANES; lane++) {
		struct rounds *r = &s->rounds[lane];
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

static void unsee(struct store *s, struct place *p, void *arg)
{
	(void)s;
	(void)arg;
	p->e->seen = false;
}

void store_look_begin(struct store *s)
{
	each(s, unsee, NULL);
}

enum store_finding store_look(struct store *s, enum frame_map map, const void *key,
                              const void *value, const struct store_owner **ret_owner)
{
	struct place p = find(s, map, key);
	size_t size = p.map->shape.value;

	if (!p.e || !p.e->there)
		return STORE_UNKNOWN;
	p.e->seen = true;
	*ret_owner = owner_of(s, &p);
	return p.e->same && size && memcmp(value_of(&p), value, size) != 0 ? STORE_CHANGED
	                                                                   : STORE_SAME;
}

struct looker {
	store_missing_fn *fn;
	void *arg;
};

static void tell_unseen(struct store *s, struct place *p, void *arg)
{
	const struct looker *l = arg;

	if (p->e->there && !p->e->seen)
		l->fn(p->map->map, p->e->data, p->map->shape.value ? value_of(p) : NULL,
		      owner_of(s, p), l->arg);
}

void store_look_end(struct store *s, store_missing_fn *fn, void *arg)
{
	struct looker l = { fn, arg };

	each(s, tell_unseen, &l);
}

/* ---- what is to be written ---- */

/* Of those taken, the ones of a map that are deleted, and the ones that are added. */
struct share {
	size_t n_deleted, n_added;
	struct frame_element *deleted, *added; /* parts of one array */
};

/* Whether its kind has room in the transaction. */
static bool may_have_kind(const struct place *p, store_needs_fn *needs, void *arg)
{
	frame_kind kind;

	if (p->map->map != FRAME_SETS || !p->e->wanted)
		return true;
	memcpy(&kind, value_of(p), sizeof(kind));
	return needs(kind, arg);
}

static void count_shares(struct store *s, size_t max, struct share shares[static FRAME_MAPS],
                         store_needs_fn *needs, void *arg)
{
	s->n_taken = 0;
	for (uint32_t i = queue_first(&s->queue); i && s->n_taken < max;
	     i = queue_next(&s->queue, i)) {
		const struct place p = place_in_queue(s, i);
		if (queue_at(&s->queue, i)->part == QUEUE_DEFERRED && s->n_taken > 0 &&
		    max != SIZE_MAX && store_has_fresh(s))
			break;
		if (!may_have_kind(&p, needs, arg))
			break;
		s->n_taken++;
		shares[p.map->map].n_deleted += p.e->there;
		shares[p.map->map].n_added += p.e->wanted;
	}
}

/* The queue is walked once more, and not for each map: it is long, and all over the memory. */
static void fill_shares(struct store *s, struct share shares[static FRAME_MAPS])
{
	struct frame_element *next;
	uint32_t item = queue_first(&s->queue);

	ARRAY_RESERVE(s->list, s->cap_list, 2 * s->n_taken + 1);
	next = s->list;
	for (int i = 0; i < FRAME_MAPS; i++) {
		shares[i].deleted = next;
		shares[i].added = next + shares[i].n_deleted;
		next = shares[i].added + shares[i].n_added;
		shares[i].n_deleted = shares[i].n_added = 0;
	}
	for (size_t i = 0; i < s->n_taken; i++, item = queue_next(&s->queue, item)) {
		const struct place p = place_in_queue(s, item);
		struct share *share = &shares[p.map->map];
		if (p.e->there)
			share->deleted[share->n_deleted++] =
				(struct frame_element){ p.e->data,
				                        elements_value_there(p.map, p.e) };
		if (p.e->wanted)
			share->added[share->n_added++] =
				(struct frame_element){ p.e->data, value_of(&p) };
	}
}

size_t store_take(struct store *s, size_t max, store_needs_fn *needs, store_write_fn *fn, void *arg)
{
	struct share shares[FRAME_MAPS] = { { .n_added = 0 } };

	count_shares(s, max, shares, needs, arg);
	fill_shares(s, shares);
	for (int i = 0; i < FRAME_MAPS; i++) {
		if (shares[i].n_deleted > 0)
			fn((enum frame_map)i, false, shares[i].deleted, shares[i].n_deleted, arg);
		if (shares[i].n_added > 0)
			fn((enum frame_map)i, true, shares[i].added, shares[i].n_added, arg);
	}
	return s->n_taken;
}

void store_wrote(struct store *s)
{
	while (s->n_taken > 0) {
		struct place p = place_in_queue(s, queue_first(&s->queue));
		s->n_taken--;
		dequeue(s, &p);
		p.e->there = p.e->same = p.e->wanted;
		if (p.e->wanted && p.map->shape.intervals)
			memcpy(elements_value_there(p.map, p.e), value_of(&p), p.map->shape.value);
		if (!p.e->wanted)
			elements_drop(p.map, p.number);
	}
	if (s->queue.n > 0)
		return;
	free(TAKE(s->list));
	s->cap_list = 0;
}

void store_failed(struct store *s)
{
	s->n_taken = 0;
}

bool store_was_deferred(const struct store *s)
{
	return s->queue.n > 0 && !store_has_fresh(s);
}

void store_defer(struct store *s, store_defer_fn *fn, void *arg)
{
	while (s->n_taken > 0) {
		struct place p = place_in_queue(s, queue_first(&s->queue));
		s->n_taken--;
		dequeue(s, &p);
		enqueue(s, &p, QUEUE_DEFERRED, QUEUE_SMALL, 0);
		fn(p.map->map, p.e->data, owner_of(s, &p), arg);
	}
}
