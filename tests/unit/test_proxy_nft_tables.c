/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's tables and its queue: they have room for what is in them, and do not keep it; and
 * what is wanted again goes with what it leads to.
 */
#include "config.h"

#include "unit.h"

#include "fairlead/mem.h"
#include "proxy/nftables/elements.h"
#include "proxy/nftables/owners.h"
#include "proxy/nftables/queue.h"
#include "proxy/nftables/store.h"

#define MANY 5000u
#define LIVES 100

static void elements_are_few_in_a_bucket(void **state)
{
	struct elements t;
	uint32_t numbers[MANY];

	(void)state;
	elements_init(&t, 4, FRAME_SETS);
	for (uint32_t i = 0; i < MANY; i++) {
		numbers[i] = elements_get(&t, &i);
		assert_int_equal(elements_get(&t, &i), numbers[i]);
		assert_in_range(t.buckets.n, t.n, 2 * t.n + 16);
		/* The half of the buckets that has been split, or is next. */
		assert_true(t.buckets.split <= t.buckets.n && t.buckets.n < 2 * t.buckets.split);
	}
	for (uint32_t i = 0; i < MANY; i++)
		assert_int_equal(elements_find(&t, &i), numbers[i]);
	for (uint32_t i = 0; i < MANY; i++) {
		elements_drop(&t, numbers[i]);
		assert_int_equal(elements_find(&t, &i), 0);
	}
	assert_int_equal(t.n_blocks + t.buckets.n, 0);
	elements_fini(&t);
}

static void owners_have_each_number_again(void **state)
{
	struct owners o = { .n = 0 };
	struct store_owner a = { .number = 0 }, b = { .number = 0 };

	(void)state;
	assert_null(owners_at(&o, 0));
	for (int life = 0; life < LIVES; life++) {
		uint32_t number = owners_number(&o, &a);
		assert_int_equal(owners_number(&o, &a), number);
		assert_int_not_equal(owners_number(&o, &b), number);
		assert_ptr_equal(owners_at(&o, number), &a);
		assert_ptr_equal(owners_at(&o, b.number), &b);
		owners_drop(&o, &a);
		owners_drop(&o, &a);
		assert_null(owners_at(&o, number));
		owners_drop(&o, &b);
		assert_int_equal(o.n, 2);
		assert_int_equal(o.n_free, 2);
	}
	owners_fini(&o);
}

static void a_queue_keeps_nothing_that_is_done(void **state)
{
	struct queue q;
	uint32_t items[3];

	(void)state;
	queue_init(&q);
	for (int life = 0; life < LIVES; life++) {
		uint32_t round = queue_add_rounds(&q, QUEUE_SMALL, ARRAY_LEN(items));
		for (uint32_t i = 0; i < ARRAY_LEN(items); i++)
			items[i] =
				queue_put(&q, QUEUE_NEW, QUEUE_SMALL, round + i, FRAME_WAYS, i + 1);
		/* One in the middle that is done waits for those before it. */
		queue_take_out(&q, items[1]);
		assert_int_equal(queue_first(&q), items[0]);
		assert_int_equal(queue_next(&q, items[0]), items[2]);
		queue_take_out(&q, items[0]);
		assert_int_equal(queue_first(&q), items[2]);
		queue_take_out(&q, items[2]);
		assert_int_equal(queue_first(&q), 0);
		assert_int_equal(q.lanes[QUEUE_SMALL].n, 1);
		assert_int_equal(q.n + q.cap_items, 0);
	}
	queue_fini(&q);
}

/* ---- rounds ---- */

static bool needs(frame_kind kind, void *arg)
{
	(void)kind;
	(void)arg;
	return true;
}

/* How many of each map are written. */
static void count(enum frame_map map, bool add, const struct frame_element *elements, size_t n,
                  void *arg)
{
	size_t *written = arg;

	(void)elements;
	assert_true(add);
	written[map] += n;
}

static void count_deferred(enum frame_map map, const void *key, struct store_owner *owner,
                           void *arg)
{
	size_t *n = arg;

	(void)map;
	(void)key;
	(void)owner;
	++*n;
}

static void want_endpoint(struct store *s, uint32_t index, struct store_owner *owner)
{
	unsigned char key[FRAME_KEY_MAX] = { 0 }, value[FRAME_VALUE_MAX] = { 0 };

	memcpy(key, &index, sizeof(index));
	store_want(s, FRAME_ENDPOINTS, key, value, owner);
}

/* What it leads to now is of the later round. */
static void what_is_wanted_again_goes_with_the_later_round(void **state)
{
	static const struct store_ops ops = { .lost = NULL };
	const unsigned char way[FRAME_KEY_MAX] = { 1 }, value[FRAME_VALUE_MAX] = { 1 };
	struct store *s = store_new(4, &ops, NULL);
	struct store_owner owner = { .number = 0 };
	size_t written[FRAME_MAPS] = { 0 };
	uint32_t i = 0;

	(void)state;
	store_want(s, FRAME_WAYS, way, value, &owner);
	while (i < QUEUE_ROUND)
		want_endpoint(s, i++, &owner);
	store_cut(s, &owner);
	owner.turn = !owner.turn;
	want_endpoint(s, i++, &owner);
	store_want(s, FRAME_WAYS, way, value, &owner);
	assert_int_equal(store_take(s, i, needs, count, written), i);
	store_wrote(s);
	assert_int_equal(written[FRAME_ENDPOINTS], i);
	assert_int_equal(written[FRAME_WAYS], 0);
	assert_int_equal(store_take(s, i, needs, count, written), 1);
	store_wrote(s);
	assert_int_equal(written[FRAME_WAYS], 1);
	assert_true(store_is_written(s));
	store_drop_owner(s, &owner);
	store_free(s);
}

/* It was not written before the kernel was read, and is no change since. */
static void what_is_found_missing_goes_with_what_is_wanted_anew(void **state)
{
	static const struct store_ops ops = { .lost = NULL };
	const unsigned char way[FRAME_KEY_MAX] = { 1 };
	const unsigned char first[FRAME_VALUE_MAX] = { 1 }, second[FRAME_VALUE_MAX] = { 2 };
	struct store *s = store_new(4, &ops, NULL);
	struct store_owner owner = { .number = 0 };
	size_t written[FRAME_MAPS] = { 0 }, n_damaged;

	(void)state;
	want_endpoint(s, 0, &owner);
	store_want(s, FRAME_WAYS, way, first, &owner);
	assert_true(store_forget(s, SIZE_MAX));
	want_endpoint(s, 0, &owner);
	store_want(s, FRAME_WAYS, way, second, &owner);
	assert_true(store_compare(s, SIZE_MAX, NULL, NULL, &n_damaged));
	assert_int_equal(store_take(s, 1, needs, count, written), 1);
	store_wrote(s);
	assert_int_equal(written[FRAME_ENDPOINTS], 1);
	assert_int_equal(written[FRAME_WAYS], 0);
	store_drop_owner(s, &owner);
	store_free(s);
}

/* What was wanted anew since the kernel was known, the kernel cannot have yet. */
static void a_change_of_ours_is_no_damage(void **state)
{
	static const struct store_ops ops = { .lost = NULL };
	const unsigned char way[FRAME_KEY_MAX] = { 1 };
	const unsigned char first[FRAME_VALUE_MAX] = { 1 }, second[FRAME_VALUE_MAX] = { 2 };

	(void)state;
	for (int changed = 0; changed < 2; changed++) {
		struct store *s = store_new(4, &ops, NULL);
		struct store_owner owner = { .number = 0 };
		size_t written[FRAME_MAPS] = { 0 }, n_damaged;
		store_want(s, FRAME_WAYS, way, first, &owner);
		assert_int_equal(store_take(s, 1, needs, count, written), 1);
		store_wrote(s);
		assert_true(store_forget(s, SIZE_MAX));
		if (changed)
			store_want(s, FRAME_WAYS, way, second, &owner);
		/* As it was before, and as somebody else left it. */
		store_found(s, FRAME_WAYS, way, changed ? first : second);
		assert_true(store_compare(s, SIZE_MAX, NULL, NULL, &n_damaged));
		assert_int_equal(n_damaged, !changed);
		assert_int_equal(store_queued(s), 1);
		store_drop_owner(s, &owner);
		store_free(s);
	}
}

/* What was refused once waits by itself, and is no work as long as nothing else is. */
static void what_was_deferred_is_not_fresh(void **state)
{
	static const struct store_ops ops = { .lost = NULL };
	struct store *s = store_new(4, &ops, NULL);
	struct store_owner owner = { .number = 0 };
	size_t written[FRAME_MAPS] = { 0 };
	size_t n_deferred = 0;

	(void)state;
	want_endpoint(s, 0, &owner);
	want_endpoint(s, 1, &owner);
	assert_int_equal(store_take(s, 1, needs, count, written), 1);
	assert_false(store_was_deferred(s));
	store_defer(s, count_deferred, &n_deferred);
	assert_int_equal(n_deferred, 1);
	assert_true(store_has_fresh(s));
	assert_false(store_was_deferred(s));
	store_retry(s, false);
	assert_int_equal(store_take(s, 2, needs, count, written), 1);
	store_wrote(s);
	assert_false(store_has_fresh(s));
	assert_true(store_was_deferred(s));
	assert_int_equal(store_queued(s), 1);
	want_endpoint(s, 2, &owner);
	assert_true(store_has_fresh(s));
	store_drop_owner(s, &owner);
	store_free(s);
}

/* ---- who is large ---- */

/* What was written, an item each. */
struct written {
	struct {
		enum frame_map map;
		bool add;
	} list[16];
	size_t n;
};

static void note(enum frame_map map, bool add, const struct frame_element *elements, size_t n,
                 void *arg)
{
	struct written *w = arg;

	(void)elements;
	for (size_t i = 0; i < n; i++, w->n++) {
		assert_true(w->n < ARRAY_LEN(w->list));
		w->list[w->n].map = map;
		w->list[w->n].add = add;
	}
}

static void write_all(struct store *s, struct written *w)
{
	*w = (struct written){ .n = 0 };
	while (store_take(s, 1, needs, note, w) > 0)
		store_wrote(s);
}

static bool large_first(const struct store_owner *a, const struct store_owner *b)
{
	(void)b;
	return a->large;
}

static void lose(struct store_owner *owner)
{
	(void)owner;
}

/*
 * What small ones lose goes before all that is large; unless that takes an address over from one of
 * them, which leads to what is to go until it is written.
 */
static void what_is_old_waits_for_who_leads_there(void **state)
{
	static const struct store_ops ops = { .goes_first = large_first, .lost = lose };
	const unsigned char way[FRAME_KEY_MAX] = { 1 };
	const unsigned char first[FRAME_VALUE_MAX] = { 1 }, second[FRAME_VALUE_MAX] = { 2 };

	(void)state;
	for (int crosses = 0; crosses < 2; crosses++) {
		struct store *s = store_new(4, &ops, NULL);
		struct store_owner small = { .number = 0 }, large = { .large = true };
		const unsigned char key[FRAME_KEY_MAX] = { 0 };
		struct written w;
		want_endpoint(s, 0, &small);
		store_want(s, FRAME_WAYS, way, first, &small);
		write_all(s, &w);
		assert_int_equal(w.n, 2);
		want_endpoint(s, 1, &large);
		if (crosses)
			store_want(s, FRAME_WAYS, way, second, &large);
		store_release(s, FRAME_ENDPOINTS, key, &small);
		write_all(s, &w);
		assert_int_equal(w.n, crosses ? 4 : 2);
		assert_int_equal(w.list[0].add, crosses);
		assert_int_equal(w.list[w.n - 1].map, FRAME_ENDPOINTS);
		assert_int_equal(w.list[w.n - 1].add, !crosses);
		assert_true(store_is_written(s));
		store_drop_owner(s, &small);
		store_drop_owner(s, &large);
		store_free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements_are_few_in_a_bucket),
		cmocka_unit_test(owners_have_each_number_again),
		cmocka_unit_test(a_queue_keeps_nothing_that_is_done),
		cmocka_unit_test(what_is_wanted_again_goes_with_the_later_round),
		cmocka_unit_test(what_is_found_missing_goes_with_what_is_wanted_anew),
		cmocka_unit_test(a_change_of_ours_is_no_damage),
		cmocka_unit_test(what_was_deferred_is_not_fresh),
		cmocka_unit_test(what_is_old_waits_for_who_leads_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
