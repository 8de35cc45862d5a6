/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose an address is, and by which numbers, as the keeper of a table decides (nft_life.h); and
 * that a restart changes nothing.
 */
#include "config.h"

#include "unit.h"

#include <errno.h>

#include "nft_life.h"
#include "virtual_loop.h"

/* ---- numbers that are everybody's ---- */

/* What the first attempts of all Services give, if they do. */
static const uint32_t *same_sets, *same_groups;
static size_t n_same;

uint32_t __real_plan_set_number(const struct proxy_half *s, size_t port, uint32_t attempt);
uint32_t __real_plan_group_number(const struct proxy_half *s, uint32_t attempt);
uint32_t __wrap_plan_set_number(const struct proxy_half *s, size_t port, uint32_t attempt);
uint32_t __wrap_plan_group_number(const struct proxy_half *s, uint32_t attempt);

uint32_t __wrap_plan_set_number(const struct proxy_half *s, size_t port, uint32_t attempt)
{
	return same_sets && attempt < n_same ? same_sets[attempt]
	                                     : __real_plan_set_number(s, port, attempt);
}

uint32_t __wrap_plan_group_number(const struct proxy_half *s, uint32_t attempt)
{
	return same_groups && attempt < n_same ? same_groups[attempt]
	                                       : __real_plan_group_number(s, attempt);
}

static void a_restart_writes_nothing(void **state)
{
	(void)state;
	for (uint8_t family = 4; family <= 6; family += 2) {
		life_setup(family, family);
		life_begin(true);
		for (size_t i = 0; i < WISHES; i++) {
			struct wish wish;
			wish_random(&wish, i, family);
			life_set(i, &wish);
		}
		life_settle();
		size_t n = kernel.n_commits;
		for (int i = 0; i < 10; i++) {
			life_restart(i % 2 == 0);
			life_settle();
		}
		assert_int_equal(kernel.n_commits, n);
		life_teardown();
	}
}

/* Ten endpoints, one of which is replaced: so many elements. */
static void replace_one(bool affinity, size_t n_deleted, size_t n_added)
{
	struct wish wish;

	life_setup(1, 4);
	life_begin(true);
	wish_plain(&wish, 0, 4, 10);
	wish.s.traffic.affinity_s = affinity ? 60 : 0;
	life_set(0, &wish);
	life_settle();
	kernel.n_added = kernel.n_deleted = 0;
	wish.endpoints[0][3] = wish_endpoint(4, 47);
	life_set(0, &wish);
	life_settle();
	assert_int_equal(kernel.n_deleted, n_deleted);
	assert_int_equal(kernel.n_added, n_added);
	life_teardown();
}

static void one_endpoint_is_a_few_elements(void **state)
{
	(void)state;
	/* The endpoint, and its hairpin. */
	replace_one(false, 2, 2);
	/* Its ticket, and what that leads to, as well. */
	replace_one(true, 3, 3);
}

/* An address is one Service's with all that belongs to it. */
static void an_address_is_not_shared(void **state)
{
	(void)state;
	struct wish first, second;
	life_setup(7, 4);
	life_begin(true);
	wish_plain(&first, 0, 4, 2);
	wish_plain(&second, 1, 4, 3);
	wish_add_vip(&first, 0);
	wish_add_vip(&second, 0);
	/* The second one restricts who may use it, and has a short cut. */
	wish_add_range(&second, 1);
	second.s.traffic.external_local = true;
	second.ports[0].n_local = 1;
	for (int order = 0; order < 2; order++) {
		life_set(1 - (size_t)order, order ? &first : &second);
		life_pass(1000);
		life_set((size_t)order, order ? &second : &first);
		life_settle();
		life_remove(0);
		life_settle();
		life_remove(1);
		life_settle();
	}
	life_teardown();
}

static uint32_t set_at_address(const struct addr *a)
{
	unsigned char key[FRAME_KEY_MAX] = { 0 };
	uint32_t way;

	memcpy(key, a->b, 4);
	key[4] = IPPROTO_TCP;
	key[9] = 80;
	const struct kernel_element *e = nft_kernel_find(nft_kernel_set("ways"), key, false);
	assert_non_null(e);
	memcpy(&way, e->value, sizeof(way));
	return way & FRAME_WAY_SET;
}

static uint32_t set_at(const struct wish *wish)
{
	return set_at_address(&wish->vips[0]);
}

static size_t n_endpoints_at(const struct wish *wish)
{
	uint32_t set = set_at(wish);
	frame_kind kind;

	memcpy(&kind, nft_kernel_find(nft_kernel_set("sets"), &set, false)->value, sizeof(kind));
	return frame_kind_count(kind);
}

/* Whatever they are called, and in whatever order they come: who has the address is the older. */
static void an_address_is_the_olders(void **state)
{
	(void)state;
	struct wish old, young;
	life_setup(16, 4);
	life_begin(true);
	wish_plain(&young, 0, 4, 2);
	wish_plain(&old, 1, 4, 3);
	wish_add_vip(&young, 0);
	wish_add_vip(&old, 0);
	old.s.created_us = 1000;
	young.s.created_us = 2000;
	for (int order = 0; order < 2; order++) {
		life_set((size_t)order, order ? &old : &young);
		life_pass(1000);
		assert_int_equal(n_endpoints_at(&old), order ? 3 : 2);
		life_set(1 - (size_t)order, order ? &young : &old);
		life_settle();
		assert_int_equal(n_endpoints_at(&old), 3);
		life_restart(true);
		life_settle();
		assert_int_equal(n_endpoints_at(&old), 3);
		life_remove(1);
		life_settle();
		assert_int_equal(n_endpoints_at(&old), 2);
		life_remove(0);
		life_settle();
	}
	/* One that was deleted and made again is the younger, also if nobody saw it go. */
	life_set(0, &young);
	life_set(1, &old);
	life_settle();
	old.s.created_us = 3000;
	life_set(1, &old);
	life_settle();
	assert_int_equal(n_endpoints_at(&old), 2);
	life_teardown();
}

/* The number of who had the address before would be another one's after a restart. */
static void a_number_is_nobody_elses(void **state)
{
	(void)state;
	struct wish wishes[2];
	life_setup(10, 4);
	life_begin(true);
	for (size_t i = 0; i < 2; i++) {
		wish_plain(&wishes[i], i, 4, 3);
		wish_add_vip(&wishes[i], 0);
		wishes[i].s.cluster_ip = (struct addr){ .family = 0 };
	}
	life_set(0, &wishes[0]);
	life_settle();
	life_remove(0);
	life_set(1, &wishes[1]);
	life_settle();
	life_set(0, &wishes[0]);
	life_settle();
	size_t n = kernel.n_commits;
	life_restart(true);
	life_settle();
	assert_int_equal(kernel.n_commits, n);
	life_teardown();
}

/* One element after the other: committed() looks at each. */
static void what_leads_nowhere_comes_first_of_all(void **state)
{
	(void)state;
	struct wish wish;
	life_setup(24, 4);
	life_begin(true);
	life.k->batch = 1;
	wish_plain(&wish, 0, 4, 0);
	life_set(0, &wish);
	life_pass(0);
	life_settle();
	life_teardown();
}

static void who_is_being_planned_is_so_before_a_reading(void **state)
{
	(void)state;
	struct wish wish;
	life_setup(25, 4);
	life_begin(true);
	life_settle();
	wish_plain(&wish, 0, 4, 2);
	wish_add_vip(&wish, 0);
	wish_add_range(&wish, 0);
	wish.ports[1] = wish.ports[0];
	wish.ports[1].port++;
	wish.s.n_ports = 2;
	life_all_large = true;
	life_set(0, &wish);
	kernel.error = -ENOMEM;
	kernel.n_errors = 1;
	while (!life.k->planning.s || life.k->planning.part == 0)
		life_pass(1);
	keeper_doubt(life.k);
	life.k->batch = 1;
	life_settle();
	life_all_large = false;
	life_teardown();
}

/* The part of a large one that it is about is done, and is done once more. */
static void an_address_comes_free_while_a_large_one_is_planned(void **state)
{
	(void)state;
	struct wish old, young;
	life_setup(27, 4);
	life_begin(true);
	wish_plain(&old, 1, 4, 3);
	wish_add_vip(&old, 0);
	old.s.created_us = 1000;
	life_set(1, &old);
	life_settle();
	wish_plain(&young, 0, 4, 2);
	wish_add_vip(&young, 0);
	young.s.created_us = 2000;
	young.ports[1] = young.ports[0];
	young.ports[1].port++;
	young.s.n_ports = 2;
	life_all_large = true;
	life_set(0, &young);
	while (!life.k->planning.s || life.k->planning.part < 2)
		life_pass(1);
	life_all_large = false;
	life_remove(1);
	life_settle();
	assert_int_equal(n_endpoints_at(&young), 2);
	life_teardown();
}

/* Gives a port another number than follows from its name, all over the kernel. */
static void renumber(uint32_t from, uint32_t to)
{
	static const struct {
		const char *set;
		bool in_value;
	} places[] = { { "ways", true }, { "sets", false }, { "endpoints", false } };

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		struct kernel_set *set = nft_kernel_set(places[i].set);
		for (size_t k = 0; k < set->n; k++) {
			struct kernel_element e = set->elements[k];
			unsigned char *at = places[i].in_value ? e.value : e.key;
			uint32_t number;
			memcpy(&number, at, sizeof(number));
			if ((number & FRAME_WAY_SET) != from)
				continue;
			number = (number & ~FRAME_WAY_SET) | to;
			memcpy(at, &number, sizeof(number));
			nft_kernel_delete(set, k);
			nft_kernel_add(set, &e);
		}
	}
}

/* Whatever is known of Services by then: the kernel's numbers are theirs. */
static void a_restart_keeps_the_kernels_numbers(void **state)
{
	(void)state;
	struct wish wish;
	life_setup(18, 4);
	life_begin(true);
	wish_plain(&wish, 0, 4, 1);
	wish_add_vip(&wish, 0);
	life_set(0, &wish);
	life_settle();
	uint32_t number = set_at(&wish);
	renumber(number, number ^ 0x40);
	size_t n = kernel.n_commits;
	life_restart(true);
	life_settle();
	assert_int_equal(set_at(&wish), number ^ 0x40);
	assert_int_equal(kernel.n_commits, n);
	life_teardown();
}

static uint32_t group_at(size_t which)
{
	const unsigned char key[FRAME_KEY_MAX] = { 192,         0, 2, (unsigned char)(which + 1),
		                                   IPPROTO_TCP, 0, 0, 0,
		                                   0,           80 };
	const struct kernel_element *e = nft_kernel_find(nft_kernel_set("restricted"), key, false);
	uint32_t group;

	assert_non_null(e);
	memcpy(&group, e->value, sizeof(group));
	return group;
}

/*
 * Whoever may write Services can find names whose digests are alike: they share neither endpoints
 * nor source ranges.  The last number of a group has no end, the first ones of sets mean others.
 */
static void who_has_anothers_digest_has_another_number(void **state)
{
	static const uint32_t sets[] = { 0, 1, 6, 7 }, groups[] = { UINT32_MAX, 42 };
	struct wish wishes[3];

	(void)state;
	life_setup(3, 4);
	life_begin(true);
	same_sets = sets;
	n_same = ARRAY_LEN(sets);
	for (size_t i = 0; i < ARRAY_LEN(wishes); i++) {
		wish_plain(&wishes[i], i, 4, i + 1);
		wish_add_vip(&wishes[i], i);
		life_set(i, &wishes[i]);
	}
	life_settle();
	assert_int_equal(set_at(&wishes[0]), 6);
	for (size_t i = 1; i < ARRAY_LEN(wishes); i++)
		assert_true(set_at(&wishes[i]) > 7);
	same_sets = NULL;
	same_groups = groups;
	n_same = ARRAY_LEN(groups);
	for (size_t i = 0; i < ARRAY_LEN(wishes); i++) {
		wish_add_range(&wishes[i], i);
		life_set(i, &wishes[i]);
	}
	life_settle();
	assert_int_equal(group_at(0), 42);
	for (size_t i = 1; i < ARRAY_LEN(wishes); i++)
		assert_true(group_at(i) != 42 && group_at(i) != UINT32_MAX);
	same_groups = NULL;
	life_teardown();
}

/* What the kernel leads to at the address of one Service, whose endpoints are given. */
static const struct wish *victim;
static size_t n_misled;

static bool is_endpoint_of(const struct wish *wish, const unsigned char *value)
{
	bool found = false;

	for (size_t i = 0; i < wish->ports[0].n_cluster && !found; i++)
		found = !memcmp(value, wish->endpoints[0][i].addr.b, 4);
	return found;
}

static void look_at_victim(void)
{
	const struct kernel_set *set = nft_kernel_set("endpoints");
	uint32_t number = set_at_address(&victim->s.cluster_ip);

	for (size_t i = 0; i < set->n; i++)
		n_misled += !memcmp(set->elements[i].key, &number, sizeof(number)) &&
		            !is_endpoint_of(victim, set->elements[i].value);
}

/*
 * An older Service gets a port while nobody looks, whose digest is that of another one's, and
 * perhaps an address of that one's: it is planned first, and takes no set that the other's address
 * leads to in the kernel, for that would lead to the wrong endpoints until it is written anew.
 */
static void who_comes_first_takes_nobodys_sets(void **state)
{
	static const uint32_t sets[] = { 6 };
	struct wish wishes[2];

	(void)state;
	for (int shares_vip = 0; shares_vip < 2; shares_vip++) {
		life_setup(4, 4);
		life_begin(true);
		same_sets = shares_vip ? NULL : sets;
		n_same = ARRAY_LEN(sets);
		for (size_t i = 0; i < 2; i++) {
			wish_plain(&wishes[i], i, 4, 3);
			wish_add_vip(&wishes[i], 0);
			wishes[i].s.created_us = i ? 1000 : 2000;
		}
		if (!shares_vip)
			wishes[1].outside.n_vips = 0;
		for (size_t i = 0; i < 3; i++)
			wishes[1].endpoints[0][i] = wish_endpoint(4, 40 + i);
		life_set(0, &wishes[0]);
		life_settle();
		life.wanted[1] = spec_new(&wishes[1].s);
		victim = &wishes[0];
		n_misled = 0;
		life_restart(true);
		life.k->batch = 1;
		kernel.committed = look_at_victim;
		life_settle();
		assert_int_equal(n_misled, 0);
		same_sets = NULL;
		life_teardown();
	}
}

/* Nor does who comes when another one goes, as long as its address leads there. */
static void look_at_who_goes(void)
{
	unsigned char key[FRAME_KEY_MAX] = { 0 };

	memcpy(key, victim->s.cluster_ip.b, 4);
	key[4] = IPPROTO_TCP;
	key[9] = 80;
	if (nft_kernel_find(nft_kernel_set("ways"), key, false))
		look_at_victim();
}

static void who_comes_takes_no_set_of_who_goes(void **state)
{
	static const uint32_t sets[] = { 6 };
	struct wish wishes[2];

	(void)state;
	life_setup(6, 4);
	life_begin(true);
	same_sets = sets;
	n_same = ARRAY_LEN(sets);
	for (size_t i = 0; i < 2; i++) {
		wish_plain(&wishes[i], i, 4, 3);
		wish_add_vip(&wishes[i], i);
	}
	for (size_t i = 0; i < 3; i++)
		wishes[1].endpoints[0][i] = wish_endpoint(4, 40 + i);
	life_set(0, &wishes[0]);
	life_settle();
	victim = &wishes[0];
	n_misled = 0;
	life.k->batch = 1;
	kernel.committed = look_at_who_goes;
	/* Its number of endpoints changes as well, so that the kernel's set is another one. */
	wishes[0].ports[0].n_cluster = 2;
	life_set(0, &wishes[0]);
	wishes[0].ports[0].n_cluster = 3;
	life_remove(0);
	life_set(1, &wishes[1]);
	life_settle();
	assert_int_equal(n_misled, 0);
	same_sets = NULL;
	life_teardown();
}

/* The ranges of one group of the kernel's: how many elements they are. */
static size_t n_ranges_of(uint32_t group)
{
	const struct kernel_set *set = nft_kernel_set("source-ranges");
	size_t n = 0;

	for (size_t i = 0; i < set->n; i++)
		n += !memcmp(set->elements[i].key, &group, sizeof(group));
	return n;
}

static void look_at_victims_ranges(void)
{
	n_misled += n_ranges_of(group_at(1)) != 2;
	life.k->batch = 1;
}

/* Source ranges likewise: nobody's are opened to what somebody else's admit. */
static void who_comes_first_adds_to_nobodys_ranges(void **state)
{
	static const uint32_t groups[] = { 42 };
	struct wish wishes[2];

	(void)state;
	life_setup(5, 4);
	life_begin(true);
	same_groups = groups;
	n_same = ARRAY_LEN(groups);
	for (size_t i = 0; i < 2; i++) {
		wish_plain(&wishes[i], i, 4, 3);
		wish_add_vip(&wishes[i], 1 - i);
		wish_add_range(&wishes[i], 4 + i);
		wishes[i].s.created_us = 2000 - 1000 * (int64_t)i;
	}
	life_set(0, &wishes[0]);
	life_settle();
	assert_int_equal(group_at(1), 42);
	life.wanted[1] = spec_new(&wishes[1].s);
	n_misled = 0;
	life_restart(true);
	life.k->batch = 1;
	kernel.committed = look_at_victims_ranges;
	life_settle();
	assert_int_equal(n_misled, 0);
	assert_int_equal(group_at(1), 42);
	assert_true(group_at(0) != 42);
	same_groups = NULL;
	life_teardown();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_has_anothers_digest_has_another_number),
		cmocka_unit_test(a_restart_writes_nothing),
		cmocka_unit_test(one_endpoint_is_a_few_elements),
		cmocka_unit_test(an_address_is_not_shared),
		cmocka_unit_test(an_address_is_the_olders),
		cmocka_unit_test(a_number_is_nobody_elses),
		cmocka_unit_test(what_leads_nowhere_comes_first_of_all),
		cmocka_unit_test(who_is_being_planned_is_so_before_a_reading),
		cmocka_unit_test(an_address_comes_free_while_a_large_one_is_planned),
		cmocka_unit_test(a_restart_keeps_the_kernels_numbers),
		cmocka_unit_test(who_comes_first_takes_nobodys_sets),
		cmocka_unit_test(who_comes_takes_no_set_of_who_goes),
		cmocka_unit_test(who_comes_first_adds_to_nobodys_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
