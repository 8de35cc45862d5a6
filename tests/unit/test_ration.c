/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets some of what is bounded: a table by hand, and churn against a walk over all. */
#include "config.h"

#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "view/ration.h"

#define MANY 200

/* One that asks; its number is its age, if it was made at no other time. */
struct asker {
	char name[16];
	int64_t created;
	uint64_t amount;
	struct ration_share *share; /* NULL: it asks for nothing */
	bool told;                  /* what ration_settle() said last */
};

static struct seniority order_of(const struct asker *a)
{
	return (struct seniority){ a->created, "shop", a->name };
}

static void ask(struct ration *r, struct asker *a, uint64_t amount)
{
	const struct seniority order = order_of(a);

	ration_leave(r, a->share);
	a->amount = amount;
	a->told = false;
	a->share = amount ? ration_ask(r, &order, amount, a) : NULL;
}

/* How many were told of. */
static size_t settle(struct ration *r)
{
	struct asker *a;
	size_t n = 0;

	for (; (a = ration_settle(r)); n++) {
		if (a->told == ration_has(a->share))
			fail_msg("%s is told what it knows", a->name);
		a->told = ration_has(a->share);
	}
	return n;
}

/* ---- a table ---- */

struct row {
	uint64_t amounts[6]; /* of the oldest, the next one … */
	const char *has;     /* of each: whether it has it */
};

static void the_oldest_that_fit_have_theirs(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ { 50 }, "y" },
		{ { 50, 50 }, "yy" },
		{ { 50, 51 }, "yn" },
		{ { 101, 50 }, "ny" },
		{ { 60, 50, 40 }, "yny" }, /* one is passed over, and the next one fits */
		{ { 60, 50, 41, 30, 20, 10 }, "ynnyny" },
		{ { 100, 1, 1 }, "ynn" },
		{ { 99, 1, 1 }, "yyn" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (int backwards = 0; backwards < 2; backwards++) {
			struct ration r = { .bound = 100 };
			struct asker askers[6];
			size_t n = strlen(rows[i].has);
			for (size_t k = 0; k < n; k++) {
				size_t at = backwards ? n - 1 - k : k;
				askers[at] = (struct asker){ .created = 1 + (int64_t)at };
				ask(&r, &askers[at], rows[i].amounts[at]);
				settle(&r);
			}
			for (size_t k = 0; k < n; k++)
				if (ration_has(askers[k].share) != (rows[i].has[k] == 'y'))
					fail_msg("row %zu, the one of age %zu", i, k);
			for (size_t k = 0; k < n; k++)
				ration_leave(&r, askers[k].share);
			assert_null(r.root);
		}
}

/* Who goes or asks for less makes room for the next one at once; who asks for more gives way. */
static void changes_are_told(void **state)
{
	(void)state;
	struct ration r = { .bound = 100 };
	struct asker old = { "old", .created = 1 }, mid = { "mid", .created = 2 };
	struct asker young = { "young", .created = 3 };

	ask(&r, &old, 60);
	ask(&r, &mid, 60);
	ask(&r, &young, 40);
	assert_int_equal(settle(&r), 2);
	assert_false(mid.told);
	ask(&r, &old, 40);
	assert_int_equal(settle(&r), 3);
	assert_true(old.told && mid.told && !young.told);
	assert_int_equal(settle(&r), 0);
	ask(&r, &old, 0);
	assert_int_equal(settle(&r), 1);
	assert_true(young.told);
	ask(&r, &old, 50);
	assert_int_equal(settle(&r), 2);
	assert_true(old.told && !mid.told && young.told);
	ration_leave(&r, old.share);
	ration_leave(&r, mid.share);
	ration_leave(&r, young.share);
	ration_leave(&r, NULL);
}

/* Of one age the name decides, and one of unknown age comes last. */
static void equals_go_by_name(void **state)
{
	(void)state;
	struct ration r = { .bound = 10 };
	struct asker a = { "a", .created = 5 }, b = { "b", .created = 5 }, none = { "0" };

	ask(&r, &none, 10);
	ask(&r, &b, 10);
	ask(&r, &a, 10);
	settle(&r);
	assert_true(a.told && !b.told && !none.told);
	ask(&r, &a, 0);
	settle(&r);
	assert_true(b.told && !none.told);
	ration_leave(&r, b.share);
	ration_leave(&r, none.share);
}

/* ---- churn ---- */

static uint64_t chance(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static int by_age(const void *a, const void *b)
{
	const struct seniority x = order_of(*(struct asker *const *)a);
	const struct seniority y = order_of(*(struct asker *const *)b);

	return seniority_cmp(&x, &y);
}

static void compare_with_a_walk(const struct ration *r, struct asker *askers)
{
	struct asker *sorted[MANY];
	uint64_t sum = 0;

	for (size_t i = 0; i < MANY; i++)
		sorted[i] = &askers[i];
	qsort(sorted, MANY, sizeof(*sorted), by_age);
	for (size_t i = 0; i < MANY; i++) {
		const struct asker *a = sorted[i];
		bool fits = a->share && sum + a->amount <= r->bound;
		if (a->told != fits || (a->share && ration_has(a->share) != fits))
			fail_msg("%s has %d", a->name, a->told);
		sum += fits ? a->amount : 0;
	}
}

/* Several changes, then a look: from few that fit easily up to many times more than fit. */
static void at_rest_it_is_as_a_walk_finds_it(void **state)
{
	(void)state;
	static struct asker askers[MANY];
	uint64_t seed = 1;

	for (uint64_t most = 50; most <= 3000; most *= 4) {
		struct ration r = { .bound = 10000 };
		for (size_t i = 0; i < MANY; i++) {
			askers[i] = (struct asker){ .created = (int64_t)(i / 3 % 50) };
			snprintf(askers[i].name, sizeof(askers[i].name), "s%zu", i);
		}
		for (size_t round = 0; round < 2000; round++) {
			for (size_t n = 1 + chance(&seed) % 4; n; n--)
				ask(&r, &askers[chance(&seed) % MANY],
				    chance(&seed) % 4 ? chance(&seed) % most : 0);
			settle(&r);
			compare_with_a_walk(&r, askers);
		}
		for (size_t i = 0; i < MANY; i++)
			ration_leave(&r, askers[i].share);
		assert_null(r.root);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_oldest_that_fit_have_theirs),
		cmocka_unit_test(changes_are_told),
		cmocka_unit_test(equals_go_by_name),
		cmocka_unit_test(at_rest_it_is_as_a_walk_finds_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
