/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/nftables/store_private.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "proxy/nftables/plan.h"

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
	store_unhold_all(s);
	for (int i = 0; i < FRAME_MAPS; i++)
		elements_fini(&s->maps[i]);
	queue_fini(&s->queue);
	owners_fini(&s->owners);
	free(s->list);
	free(s->taken);
	free(s);
}

/* ---- elements ---- */

struct store_place store_place_at(struct elements *map, uint32_t number)
{
	return (struct store_place){ map, number, number ? elements_at(map, number) : NULL };
}

struct store_place store_find_place(const struct store *s, enum frame_map map, const void *key)
{
	struct elements *t = (struct elements *)(uintptr_t)&s->maps[map];

	return store_place_at(t, elements_find(t, key));
}

struct store_place store_get_place(struct store *s, enum frame_map map, const void *key)
{
	return store_place_at(&s->maps[map], elements_get(&s->maps[map], key));
}

unsigned char *store_place_value(const struct store_place *p)
{
	return elements_value(p->map, p->e);
}

struct store_owner *store_place_owner(const struct store *s, const struct store_place *p)
{
	return p->e && !plan_is_shared(p->map->map) ? owners_at(&s->owners, p->e->who) : NULL;
}

void store_drop_owner(struct store *s, struct store_owner *owner)
{
	owners_drop(&s->owners, owner);
}

/* ---- the queue ---- */

void store_dequeue(struct store *s, struct store_place *p)
{
	if (!p->e->waits)
		return;
	if (queue_at(&s->queue, p->e->waits)->part == QUEUE_DEFERRED)
		store_unhold(s, p);
	queue_take_out(&s->queue, p->e->waits);
	p->e->waits = 0;
}

void store_enqueue(struct store *s, struct store_place *p, enum queue_part part,
                   enum queue_lane lane, uint32_t round)
{
	p->e->waits = queue_put(&s->queue, part, lane, round, p->map->map, p->number);
	if (part == QUEUE_DEFERRED)
		store_hold(s, p);
	else if (lane == QUEUE_LARGE && p->e->there && store_leads(p->map->map))
		queue_cross(&s->queue, p->e->waits);
}

static void defer(struct store *s, struct store_place *p)
{
	enum queue_lane lane = (enum queue_lane)queue_at(&s->queue, p->e->waits)->lane;

	store_dequeue(s, p);
	store_enqueue(s, p, QUEUE_DEFERRED, lane, 0);
}

enum queue_lane store_lane(const struct store_owner *owner)
{
	return owner && owner->large ? QUEUE_LARGE : QUEUE_SMALL;
}

static struct store_place place_in_queue(struct store *s, uint32_t item)
{
	const struct queue_item *i = queue_at(&s->queue, item);

	return store_place_at(&s->maps[i->map], i->element);
}

void store_changed(struct store *s, struct store_place *p, enum queue_lane lane)
{
	store_dequeue(s, p);
	if (!store_is_right(p->e)) {
		store_enqueue(s, p, p->e->wanted ? QUEUE_NEW : QUEUE_OLD, lane,
		              queue_round(&s->queue, lane));
		return;
	}
	s->queue.stamp++;
	if (!p->e->wanted)
		elements_drop(p->map, p->number);
}

static bool is_in_round(const struct store *s, const struct queue_item *i, enum queue_lane lane)
{
	return i->part == QUEUE_NEW && i->lane == lane && i->round == queue_round(&s->queue, lane);
}

/*
 * What leads to it, or what it leads to, may have gone to this round, so it goes there, too: from
 * another one, or because the kernel was read, and has not got it.
 */
static void keep_up(struct store *s, struct store_place *p, enum queue_lane lane)
{
	if (!store_is_right(p->e) &&
	    (!p->e->waits || !is_in_round(s, queue_at(&s->queue, p->e->waits), lane)))
		store_changed(s, p, lane);
}

void store_cut(struct store *s, const struct store_owner *owner)
{
	queue_cut(&s->queue, store_lane(owner));
}

uint64_t store_stamp(const struct store *s)
{
	return s->queue.stamp;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Large ones may have a share in what goes with the others. */
uint64_t store_written_stamp(const struct store *s, bool large, bool deferred)
{
	uint64_t stamp = s->queue.stamp;

	for (int i = 0; i <= (large ? QUEUE_LARGE : QUEUE_SMALL); i++) {
		enum queue_lane lane = (enum queue_lane)i;
		stamp = earlier(stamp, queue_fresh_stamp(&s->queue, lane));
		if (deferred)
			stamp = earlier(stamp, queue_deferred_stamp(&s->queue, lane));
	}
	return stamp;
}

uint64_t store_fresh_stamp(const struct store *s)
{
	return store_written_stamp(s, true, false);
}

uint64_t store_small_stamp(const struct store *s)
{
	return queue_new_stamp(&s->queue, QUEUE_SMALL);
}

void store_retry(struct store *s, bool now)
{
	s->queue.retry = now;
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

static void tell_kind(const struct store *s, const struct store_place *p, bool wanted)
{
	frame_kind kind;

	if (p->map->map != FRAME_SETS)
		return;
	memcpy(&kind, store_place_value(p), sizeof(kind));
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
static bool take_over(struct store *s, struct store_place *p, struct store_owner *owner)
{
	struct store_owner *before = store_place_owner(s, p);

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
	struct store_place p = store_get_place(s, map, key);
	size_t size = p.map->shape.value;

	if (!take_over(s, &p, owner))
		return;
	bool equal = !size || !memcmp(store_place_value(&p), value, size);
	if (p.e->wanted && equal) {
		keep_up(s, &p, store_lane(owner));
		return;
	}
	store_dequeue(s, &p);
	if (p.e->wanted)
		tell_kind(s, &p, false);
	p.e->same = p.e->there && equal && p.e->same;
	p.e->was_right = p.e->was_right && equal;
	if (size)
		memcpy(store_place_value(&p), value, size);
	set_wanted(s, p.e, true);
	tell_kind(s, &p, true);
	store_changed(s, &p, store_lane(owner));
}

static void release(struct store *s, struct store_place *p, enum queue_lane lane)
{
	bool contested = p->e->contested;

	store_dequeue(s, p);
	tell_kind(s, p, false);
	p->e->who = 0;
	p->e->contested = false;
	set_wanted(s, p->e, false);
	store_changed(s, p, lane);
	if (contested)
		s->ops->freed(s->arg);
}

void store_release(struct store *s, enum frame_map map, const void *key,
                   const struct store_owner *owner)
{
	struct store_place p = store_find_place(s, map, key);

	if (p.e && store_place_owner(s, &p) == owner)
		release(s, &p, store_lane(owner));
}

void store_evict(struct store *s, enum frame_map map, const void *key, const struct store_owner *by)
{
	struct store_place p = store_find_place(s, map, key);
	const struct store_owner *owner = store_place_owner(s, &p);

	if (owner && owner != by)
		release(s, &p, store_lane(by));
}

void store_release_old(struct store *s, enum frame_map map, const void *key,
                       const struct store_owner *owner)
{
	struct store_place p = store_find_place(s, map, key);

	if (p.e && p.e->claimed != owner->turn)
		store_release(s, map, key, owner);
}

/* What waits with somebody large the others cannot wait for, and nobody for what is deferred. */
static void hurry(struct store *s, struct store_place *p, enum queue_lane lane)
{
	if (!p->e->waits)
		return;
	const struct queue_item *i = queue_at(&s->queue, p->e->waits);
	if (i->part == QUEUE_DEFERRED || (i->lane == QUEUE_LARGE && lane == QUEUE_SMALL))
		store_changed(s, p, QUEUE_SMALL);
}

void store_share(struct store *s, enum frame_map map, const void *key,
                 const struct store_owner *owner)
{
	struct store_place p = store_get_place(s, map, key);

	if (p.e->who++ > 0) {
		hurry(s, &p, store_lane(owner));
		return;
	}
	p.e->same = p.e->there;
	set_wanted(s, p.e, true);
	store_changed(s, &p, store_lane(owner));
}

void store_unshare(struct store *s, enum frame_map map, const void *key)
{
	struct store_place p = store_find_place(s, map, key);

	if (!p.e || p.e->who == 0 || --p.e->who > 0)
		return;
	set_wanted(s, p.e, false);
	store_changed(s, &p, QUEUE_SMALL);
}

struct store_owner *store_owner(const struct store *s, enum frame_map map, const void *key)
{
	const struct store_place p = store_find_place(s, map, key);

	return store_place_owner(s, &p);
}

bool store_knows(const struct store *s, enum frame_map map, const void *key)
{
	return store_find_place(s, map, key).e != NULL;
}

const void *store_value(const struct store *s, enum frame_map map, const void *key)
{
	const struct store_place p = store_find_place(s, map, key);

	return p.e && (p.e->wanted || (p.e->there && p.e->same)) ? store_place_value(&p) : NULL;
}

/* ---- what is to be written ---- */

/* Of those taken, the ones of a map that are deleted, and the ones that are added. */
struct share {
	size_t n_deleted, n_added;
	struct frame_element *deleted, *added; /* parts of one array */
};

/* Whether its kind has room in the transaction. */
static bool may_have_kind(const struct store_place *p, store_needs_fn *needs, void *arg)
{
	frame_kind kind;

	if (p->map->map != FRAME_SETS || !p->e->wanted)
		return true;
	memcpy(&kind, store_place_value(p), sizeof(kind));
	return needs(kind, arg);
}

static bool is_deferred(const struct store *s, uint32_t item)
{
	return queue_at(&s->queue, item)->part == QUEUE_DEFERRED;
}

/* Others may be in the same transaction with it, so none waits for it while that is under way. */
static void take(struct store *s, uint32_t item, const struct store_place *p)
{
	if (is_deferred(s, item))
		store_unhold(s, p);
	ARRAY_RESERVE(s->taken, s->cap_taken, s->n_taken + 1);
	s->taken[s->n_taken++] = item;
}

static void give_back(struct store *s)
{
	for (size_t i = 0; i < s->n_taken; i++) {
		const struct store_place p = place_in_queue(s, s->taken[i]);
		if (is_deferred(s, s->taken[i]))
			store_hold(s, &p);
	}
}

static void wait_for_deferred(struct store *s, uint32_t item, struct store_place *p)
{
	struct store_owner *owner = store_place_owner(s, p);

	if (is_deferred(s, item))
		return;
	defer(s, p);
	if (owner)
		s->ops->held(owner);
}

static void count_shares(struct store *s, size_t max, struct share shares[static FRAME_MAPS],
                         store_needs_fn *needs, void *arg)
{
	uint32_t next;

	s->n_taken = 0;
	for (uint32_t i = queue_first(&s->queue); i && s->n_taken < max; i = next) {
		struct store_place p = place_in_queue(s, i);
		next = queue_next(&s->queue, i);
		if (is_deferred(s, i) && max != SIZE_MAX && !s->queue.retry)
			break;
		if (s->n_taken > 0 && max != SIZE_MAX &&
		    is_deferred(s, i) != is_deferred(s, s->taken[0]))
			break;
		if (max != SIZE_MAX && store_is_held(s, &p)) {
			wait_for_deferred(s, i, &p);
			continue;
		}
		if (!may_have_kind(&p, needs, arg))
			break;
		take(s, i, &p);
		shares[p.map->map].n_deleted += p.e->there;
		shares[p.map->map].n_added += p.e->wanted;
	}
}

/* They are gone through once more, and not for each map: they are all over the memory. */
static void fill_shares(struct store *s, struct share shares[static FRAME_MAPS])
{
	struct frame_element *next;

	ARRAY_RESERVE(s->list, s->cap_list, 2 * s->n_taken + 1);
	next = s->list;
	for (int i = 0; i < FRAME_MAPS; i++) {
		shares[i].deleted = next;
		shares[i].added = next + shares[i].n_deleted;
		next = shares[i].added + shares[i].n_added;
		shares[i].n_deleted = shares[i].n_added = 0;
	}
	for (size_t i = 0; i < s->n_taken; i++) {
		const struct store_place p = place_in_queue(s, s->taken[i]);
		struct share *share = &shares[p.map->map];
		if (p.e->there)
			share->deleted[share->n_deleted++] =
				(struct frame_element){ p.e->data,
				                        elements_value_there(p.map, p.e) };
		if (p.e->wanted)
			share->added[share->n_added++] =
				(struct frame_element){ p.e->data, store_place_value(&p) };
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
	give_back(s);
	for (size_t i = 0; i < s->n_taken; i++) {
		struct store_place p = place_in_queue(s, s->taken[i]);
		store_dequeue(s, &p);
		p.e->there = p.e->same = p.e->wanted;
		if (p.e->wanted && p.map->shape.intervals)
			memcpy(elements_value_there(p.map, p.e), store_place_value(&p),
			       p.map->shape.value);
		if (!p.e->wanted)
			elements_drop(p.map, p.number);
	}
	s->n_taken = 0;
	if (s->queue.n > 0)
		return;
	free(TAKE(s->list));
	free(TAKE(s->taken));
	s->cap_list = s->cap_taken = 0;
}

void store_failed(struct store *s)
{
	give_back(s);
	s->n_taken = 0;
}

bool store_was_deferred(const struct store *s)
{
	if (s->n_taken > 0)
		return is_deferred(s, s->taken[0]);
	return s->queue.n > 0 && !store_has_fresh(s);
}

void store_defer(struct store *s, store_defer_fn *fn, void *arg)
{
	give_back(s);
	for (size_t i = 0; i < s->n_taken; i++) {
		struct store_place p = place_in_queue(s, s->taken[i]);
		defer(s, &p);
		fn(p.map->map, p.e->data, store_place_owner(s, &p), arg);
	}
	s->n_taken = 0;
}
