/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel refuses: the keeper of a table (nft_life.h) leads nobody to what is not there,
 * and holds nobody else up.
 */
#include "config.h"

#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>

#include "nft_life.h"
#include "proxy/nftables/frame_private.h"

/* Its Service is told, the others are served, and nobody is in a hurry. */
static void what_the_kernel_refuses_holds_nobody_up(void **state)
{
	(void)state;
	static const int errors[] = { -ENOMEM, -EEXIST, -EBUSY, -EINVAL };
	static const char *const sets[] = { "endpoints", "ways", "sets", "hairpin" };
	for (size_t i = 0; i < ARRAY_LEN(errors) * ARRAY_LEN(sets); i++) {
		struct wish bad, good;
		life_setup(i, 4);
		life_begin(true);
		life_settle();
		life.broken = true;
		wish_plain(&bad, 1, 4, 3);
		life_set(1, &bad);
		kernel.poisoned = sets[i % ARRAY_LEN(sets)];
		kernel.poison = errors[i / ARRAY_LEN(sets)];
		life_pass(5000);
		struct kernel_set *hairpin = nft_kernel_set("hairpin");
		bool shared = !strcmp(kernel.poisoned, "hairpin");
		assert_false(keeper_is_applied(life.k, bad.s.key));
		assert_true(shared || keeper_refusal(life.k, bad.s.key));
		assert_true(hairpin->n == (shared ? 0 : 3));
		/* Only what is refused already goes on being so. */
		const struct kernel_element first = { .ends = false };
		kernel.poison_key = &first;
		size_t n = kernel.n_refused;
		life_pass(LIFE_LONG_MS);
		assert_true(kernel.n_refused - n < 60);
		kernel.poison_key = NULL;
		kernel.poisoned = NULL;
		life_pass(30000);
		assert_true(keeper_is_applied(life.k, bad.s.key));
		wish_plain(&good, 2, 4, 3);
		life_set(2, &good);
		life_settle();
		life_teardown();
	}
}

static void a_refused_element_delays_no_other_service(void **state)
{
	(void)state;
	struct wish bad, good;
	unsigned char key[FRAME_KEY_MAX] = { 0 };
	life_setup(5, 4);
	life_begin(true);
	life_settle();
	life.broken = true;
	wish_plain(&bad, 1, 4, 3);
	memcpy(key, bad.s.cluster_ip.b, 4);
	key[4] = IPPROTO_TCP;
	key[9] = 80;
	kernel.poisoned = "ways";
	kernel.poison_key = key;
	kernel.poison = -ENOMEM;
	life_set(1, &bad);
	for (size_t i = 2; i < WISHES; i++) {
		wish_plain(&good, i, 4, 20);
		life_set(i, &good);
		life_pass(0);
		assert_true(keeper_is_applied(life.k, good.s.key));
		assert_false(keeper_is_applied(life.k, bad.s.key));
	}
	life_pass(LIFE_LONG_MS);
	assert_non_null(keeper_refusal(life.k, bad.s.key));
	assert_false(keeper_is_applied(life.k, bad.s.key));
	wish_plain(&good, 0, 4, 20);
	life_set(0, &good);
	life_pass(0);
	assert_true(keeper_is_applied(life.k, good.s.key));
	life_settle();
	life_teardown();
}

/* What has a set's endpoints by index. */
static const struct kernel_set *indices(bool affinity)
{
	return nft_kernel_set(affinity ? "tickets" : "endpoints");
}

/* Of the one set that has endpoints; its number is found by them. */
static size_t n_counted(bool affinity)
{
	const struct kernel_set *by_index = indices(affinity);
	const struct kernel_element *e;
	frame_kind kind = 0;

	if (by_index->n > 0 &&
	    (e = nft_kernel_find(nft_kernel_set("sets"), by_index->elements[0].key, false)))
		memcpy(&kind, e->value, sizeof(kind));
	return frame_kind_count(kind);
}

static void refuse(const char *set, const void *key)
{
	kernel.poisoned = set;
	kernel.poison_key = key;
	kernel.poison = -ENOMEM;
}

static void wish_some(struct wish *wish, size_t n, bool affinity)
{
	wish_plain(wish, 0, 4, n);
	wish->s.traffic.affinity_s = affinity ? 60 : 0;
	life_set(0, wish);
}

/* committed() looks at it after each transaction. */
static void a_set_counts_no_endpoint_that_is_refused(void **state)
{
	(void)state;
	for (int affinity = 0; affinity < 2; affinity++) {
		struct wish wish;
		unsigned char key[FRAME_KEY_MAX] = { 0 };
		life_setup(19, 4);
		life_begin(true);
		/* The last one of the first it ever had. */
		wish_some(&wish, 3, affinity);
		life_settle();
		memcpy(key, indices(affinity)->elements[2].key, sizeof(key));
		life_remove(0);
		life_settle();
		refuse(affinity ? "tickets" : "endpoints", key);
		wish_some(&wish, 3, affinity);
		life_pass(LIFE_LONG_MS);
		assert_non_null(keeper_refusal(life.k, wish.s.key));
		assert_false(keeper_is_applied(life.k, wish.s.key));
		assert_int_equal(indices(affinity)->n, 2);
		assert_int_equal(n_counted(affinity), 0);
		assert_int_equal(nft_kernel_set("ways")->n, 0);
		/* All the rest is written. */
		struct proxy_stats st = { .in_sync = true, .settled = true };
		keeper_add_stats(life.k, &st);
		assert_true(st.settled && !st.in_sync);
		/* What does without it is served, and goes on being so when it comes again. */
		wish_some(&wish, 2, affinity);
		life_pass(1000);
		assert_true(keeper_is_applied(life.k, wish.s.key));
		wish_some(&wish, 3, affinity);
		life_pass(LIFE_LONG_MS);
		assert_int_equal(n_counted(affinity), 2);
		assert_int_equal(nft_kernel_set("ways")->n, 1);
		wish_some(&wish, 4, affinity);
		life_pass(LIFE_LONG_MS);
		assert_int_equal(indices(affinity)->n, 3);
		assert_int_equal(n_counted(affinity), 2);
		life_settle();
		assert_int_equal(n_counted(affinity), 4);
		life_teardown();
	}
}

/* What was refused is there: the rest is yet to come. */
static void what_waits_for_a_refusal_is_not_applied(void **state)
{
	(void)state;
	struct wish wish;
	life_setup(23, 4);
	life_begin(true);
	life_settle();
	refuse("endpoints", NULL);
	wish_plain(&wish, 0, 4, 1);
	life.alone = wish.s.key;
	life_set(0, &wish);
	life_pass(LIFE_LONG_MS);
	assert_int_equal(life.n_failed, 1);
	assert_true(keeper_is_applied(life.k, life.alone));
	life_settle();
	life_teardown();
}

/* The other way round: the set has to count less before they go. */
static void an_endpoint_stays_while_its_set_is_refused(void **state)
{
	(void)state;
	for (int affinity = 0; affinity < 2; affinity++) {
		struct wish wish;
		unsigned char key[FRAME_KEY_MAX];
		life_setup(20, 4);
		life_begin(true);
		wish_some(&wish, 5, affinity);
		life_settle();
		memcpy(key, indices(affinity)->elements[0].key, sizeof(key));
		refuse("sets", key);
		wish_some(&wish, 2, affinity);
		life_pass(LIFE_LONG_MS);
		assert_non_null(keeper_refusal(life.k, wish.s.key));
		assert_int_equal(indices(affinity)->n, 5);
		assert_int_equal(n_counted(affinity), 5);
		life_settle();
		assert_int_equal(indices(affinity)->n, 2);
		life_teardown();
	}
}

/* Nobody may use an address before it is known who may. */
static void an_address_waits_for_its_restriction(void **state)
{
	(void)state;
	static const char *const sets[] = { "source-ranges", "restricted" };
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		struct wish wish;
		life_setup(21, 4);
		life_begin(true);
		life_settle();
		refuse(sets[i], NULL);
		wish_plain(&wish, 0, 4, 2);
		wish_add_vip(&wish, 0);
		wish_add_range(&wish, 0);
		life_set(0, &wish);
		life_pass(LIFE_LONG_MS);
		assert_int_equal(nft_kernel_set("restricted")->n, 0);
		/* Of the cluster IP alone. */
		assert_int_equal(nft_kernel_set("ways")->n, 1);
		life_settle();
		assert_int_equal(nft_kernel_set("ways")->n, 2);
		life_teardown();
	}
}

/* In the kernel the address still leads to the set that it had before. */
static void what_a_refused_way_leads_to_stays(void **state)
{
	(void)state;
	struct wish old, young;
	life_setup(22, 4);
	life_begin(true);
	wish_plain(&old, 0, 4, 2);
	wish_plain(&young, 1, 4, 3);
	wish_add_vip(&old, 0);
	wish_add_vip(&young, 0);
	life_set(0, &old);
	life_set(1, &young);
	life_settle();
	assert_int_equal(nft_kernel_set("endpoints")->n, 5);
	unsigned char key[FRAME_KEY_MAX] = { 0 };
	memcpy(key, old.vips[0].b, 4);
	key[4] = IPPROTO_TCP;
	key[9] = 80;
	refuse("ways", key);
	life_remove(0);
	life_pass(LIFE_LONG_MS);
	assert_int_equal(nft_kernel_set("endpoints")->n, 5);
	/* Its own address is gone, though. */
	assert_int_equal(nft_kernel_set("ways")->n, 2);
	life_settle();
	assert_int_equal(nft_kernel_set("endpoints")->n, 3);
	life_teardown();
}

/* Somebody's rules lead to the chains of a kind that nobody uses any more. */
static void a_chain_that_cannot_go_is_left_until_later(void **state)
{
	(void)state;
	struct wish wish;
	life_setup(6, 4);
	life_begin(true);
	wish_plain(&wish, 0, 4, 5);
	life_set(0, &wish);
	life_settle();
	life_remove(0);
	life_pass(1000);
	kernel.error = -EBUSY;
	kernel.n_errors = 1000;
	keeper_audit(life.k);
	life_pass(LIFE_LONG_MS);
	assert_true(kernel.n_errors > 990);
	struct proxy_stats st = { .in_sync = true, .settled = true };
	keeper_add_stats(life.k, &st);
	assert_true(st.in_sync);
	assert_non_null(nft_kernel_chain("near-5"));
	life_settle();
	assert_null(nft_kernel_chain("near-5"));
	life_teardown();
}

static struct proxy_stats stats(void)
{
	struct proxy_stats st = { .in_sync = true, .settled = true };

	keeper_add_stats(life.k, &st);
	return st;
}

/* Neither it nor what is refused of another one, and that is tried all the same. */
static void who_never_rests_holds_nobody_up(void **state)
{
	(void)state;
	struct wish restless, bad, good;
	unsigned char key[FRAME_KEY_MAX] = { 0 };
	life_setup(26, 4);
	life_begin(true);
	life_settle();
	wish_plain(&restless, 0, 4, 5);
	wish_plain(&bad, 1, 4, 3);
	memcpy(key, bad.s.cluster_ip.b, 4);
	key[4] = IPPROTO_TCP;
	key[9] = 80;
	refuse("ways", key);
	life.restless = &restless;
	life_set(0, &restless);
	life_pass(1000);
	assert_true(stats().settled && !stats().in_sync);
	life_set(1, &bad);
	life_pass(1000);
	assert_non_null(keeper_refusal(life.k, bad.s.key));
	for (size_t n = 1; n < 4; n++) {
		wish_plain(&good, 2, 4, n % 2 ? 7 : 2);
		life_set(2, &good);
		life_pass(50);
		assert_true(keeper_is_applied(life.k, good.s.key));
		assert_false(keeper_is_applied(life.k, bad.s.key));
		assert_true(stats().settled && !stats().in_sync);
	}
	size_t n = kernel.n_refused;
	life_pass(LIFE_LONG_MS);
	assert_in_range(kernel.n_refused - n, 5, 100);
	kernel.poisoned = NULL;
	life_pass(30000);
	assert_true(keeper_is_applied(life.k, bad.s.key));
	assert_null(keeper_refusal(life.k, bad.s.key));
	life.restless = NULL;
	life_set(0, &restless);
	life_settle();
	life_teardown();
}

/* Who comes to share what is refused shares the refusal, too. */
static void a_share_in_what_is_refused_is_not_applied(void **state)
{
	(void)state;
	struct wish wishes[2];
	life_setup(27, 4);
	life_begin(true);
	life_settle();
	refuse("hairpin", NULL);
	for (size_t i = 0; i < ARRAY_LEN(wishes); i++) {
		wish_plain(&wishes[i], i, 4, 1);
		wishes[i].endpoints[0][0] = wish_endpoint(4, 3);
		life_set(i, &wishes[i]);
		life_pass(50);
		assert_false(keeper_is_applied(life.k, wishes[i].s.key));
	}
	life_settle();
	life_teardown();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_kernel_refuses_holds_nobody_up),
		cmocka_unit_test(a_refused_element_delays_no_other_service),
		cmocka_unit_test(a_set_counts_no_endpoint_that_is_refused),
		cmocka_unit_test(what_waits_for_a_refusal_is_not_applied),
		cmocka_unit_test(an_endpoint_stays_while_its_set_is_refused),
		cmocka_unit_test(an_address_waits_for_its_restriction),
		cmocka_unit_test(what_a_refused_way_leads_to_stays),
		cmocka_unit_test(a_chain_that_cannot_go_is_left_until_later),
		cmocka_unit_test(who_never_rests_holds_nobody_up),
		cmocka_unit_test(a_share_in_what_is_refused_is_not_applied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
