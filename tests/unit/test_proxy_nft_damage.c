/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the keeper of a table does (nft_life.h) about what others change, and where it does not know
 * what became of its own changes.
 */
#include "config.h"

#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>

#include "nft_life.h"
#include "proxy/nftables/frame_private.h"

static void what_others_change_is_mended(void **state)
{
	(void)state;
	struct wish wish;
	life_setup(2, 4);
	life_begin(true);
	wish_plain(&wish, 0, 4, 5);
	life_set(0, &wish);
	life_settle();
	life.broken = true;
	nft_kernel_delete(nft_kernel_set("endpoints"), 2);
	assert_false(keeper_is_damaged(life.k));
	keeper_doubt(life.k);
	assert_false(life.was_damaged);
	life_settle();
	assert_true(life.was_damaged);
	life_teardown();
}

/* While reading again waits, as it was read just now. */
static void a_frame_that_goes_soon_after_a_reading_is_missed_at_once(void **state)
{
	(void)state;
	struct wish wish;
	for (int rules = 0; rules < 2; rules++) {
		life_setup(2, 4);
		life_begin(true);
		wish_plain(&wish, 0, 4, 5);
		life_set(0, &wish);
		life_settle();
		life.broken = true;
		nft_kernel_delete(nft_kernel_set("endpoints"), 2);
		keeper_doubt(life.k);
		life_pass(1);
		life_check_is_as_wanted();
		assert_false(keeper_is_damaged(life.k));
		life.was_damaged = false;
		if (rules)
			nft_kernel_delete_rule(&nft_kernel_table(FRAME_TABLE)->chains[0], 0);
		else
			nft_kernel_delete_table(FRAME_TABLE);
		keeper_doubt(life.k);
		life_pass(1);
		assert_true(life.was_damaged);
		/* Of a table that is there all has to be read. */
		assert_int_equal(keeper_is_damaged(life.k), rules);
		if (!rules)
			life_check_is_as_wanted();
		life_settle();
		assert_false(keeper_is_damaged(life.k));
		life_teardown();
	}
}

/* What is no damage of others'. */
static void an_interrupted_reading_changes_no_answer(void **state)
{
	(void)state;
	struct wish wish;
	life_setup(3, 4);
	life_begin(true);
	wish_plain(&wish, 0, 4, 5);
	life_set(0, &wish);
	life_settle();
	kernel.n_interrupted = 8;
	keeper_doubt(life.k);
	for (int i = 0; i < 5000; i++) {
		life_pass(10);
		assert_true(keeper_is_applied(life.k, wish.s.key));
		assert_false(keeper_is_damaged(life.k));
		if (i % 40 == 20) {
			life.node.n_node_port_cidrs = i % 80 == 20 ? 1 : 2;
			keeper_set_node(life.k, &life.node);
		}
		assert_true(kernel.n_commits < 200);
	}
	life_settle();
	life_teardown();
}

/* Where an interval ends is not what the store would delete. */
static void an_interval_of_others_goes(void **state)
{
	(void)state;
	for (int how = 0; how < 4; how++) {
		struct wish wish;
		life_setup(8, 4);
		life_begin(true);
		wish_plain(&wish, 0, 4, 2);
		wish_add_vip(&wish, 0);
		wish_add_range(&wish, 0);
		life_set(0, &wish);
		life_settle();
		life.broken = true;
		struct kernel_set *ranges = nft_kernel_set("source-ranges");
		struct kernel_element ends = ranges->elements[1];
		assert_true(ends.ends);
		nft_kernel_delete(ranges, 1);
		ends.key[7] += 3;
		if (how < 2)
			nft_kernel_add(ranges, &ends);
		if (how % 2 == 0)
			keeper_doubt(life.k);
		else
			life_restart(true);
		life_settle();
		life_teardown();
	}
}

/* Nobody has told of it: the kernel refuses what is there already, or is not. */
static void a_refusal_raises_doubt(void **state)
{
	(void)state;
	for (int there = 0; there < 2; there++) {
		struct kernel_element e = { .key = { 10, 96, 0, 1, IPPROTO_TCP, 0, 0, 0, 0, 80 },
			                    .value = { 7 } };
		struct wish wish;
		life_setup(11, 4);
		life_begin(true);
		/* As often as it happens. */
		for (int again = 0; again < 2; again++) {
			wish_plain(&wish, 0, 4, 2);
			if (!there)
				life_set(0, &wish);
			life_settle();
			life.broken = true;
			struct kernel_set *ways = nft_kernel_set("ways");
			if (there)
				nft_kernel_add(ways, &e);
			else
				nft_kernel_delete(ways, 0);
			if (there)
				life_set(0, &wish);
			else
				life_remove(0);
			life_pass(2000);
			life_check_is_as_wanted();
			if (there)
				life_remove(0);
			life_settle();
		}
		life_teardown();
	}
}

/* What was deleted without our knowing, and is wanted again, nobody else took away. */
static void a_lost_answer_is_no_damage(void **state)
{
	(void)state;
	struct wish wish;
	life_setup(12, 4);
	life_begin(true);
	wish_plain(&wish, 0, 4, 2);
	life_set(0, &wish);
	life_settle();
	life.broken = true;
	kernel.error = -ENOBUFS;
	kernel.n_errors = 1;
	kernel.errors_take_effect = true;
	life_remove(0);
	life_pass(0);
	assert_int_equal(kernel.n_errors, 0);
	life_set(0, &wish);
	life_settle();
	assert_false(life.was_damaged);
	/* Nor are rules that were to change, and are found as they were. */
	kernel.error = -EBUSY;
	kernel.n_errors = 1;
	kernel.errors_take_effect = false;
	life_set_node(false);
	life_pass(0);
	assert_int_equal(kernel.n_errors, 0);
	life_settle();
	assert_false(life.was_damaged);
	life_teardown();
}

static uint64_t n_readings(void)
{
	struct proxy_stats st = { .in_sync = true, .settled = true };

	keeper_add_stats(life.k, &st);
	return st.resyncs;
}

/* Nobody knows what became of the transaction: it was not refused, and is not tried blindly. */
static void what_became_of_a_lost_answer_is_read(void **state)
{
	(void)state;
	for (int effect = 0; effect < 2; effect++) {
		struct wish wish;
		life_setup(17, 4);
		life_begin(true);
		wish_plain(&wish, 0, 4, 2);
		life_set(0, &wish);
		life_settle();
		life.broken = true;
		uint64_t n = n_readings();
		kernel.error = -ENOBUFS;
		kernel.n_errors = 1;
		kernel.errors_take_effect = effect;
		kernel.n_refused = 0;
		wish_plain(&wish, 0, 4, 3);
		life_set(0, &wish);
		life_pass(60000);
		assert_int_equal(kernel.n_errors, 0);
		assert_int_equal(n_readings(), n + 1);
		assert_true(kernel.n_refused <= 1);
		life_settle();
		life_teardown();
	}
}

/* It is replaced at once with all that is in it, unless the kernel does not take all. */
static void a_table_is_replaced_bit_by_bit_at_last(void **state)
{
	(void)state;
	struct kernel_element odd = { .catch_all = true };
	struct wish wishes[2];
	life_setup(13, 4);
	life_begin(true);
	for (size_t i = 0; i < 2; i++)
		wish_plain(&wishes[i], i, 4, 2 + i);
	life_set(0, &wishes[0]);
	life_settle();
	life.broken = true;
	nft_kernel_add(nft_kernel_set("ways"), &odd);
	kernel.poisoned = "ways";
	kernel.poison = -ENOMEM;
	keeper_doubt(life.k);
	life_set(1, &wishes[1]);
	life_pass(LIFE_LONG_MS);
	assert_int_equal(nft_kernel_set("endpoints")->n, 5);
	assert_int_equal(nft_kernel_set("ways")->n, 0);
	life_settle();
	life_teardown();
}

/* Rules that had to be written alone turn out to be there: what waited for them goes on. */
static void nothing_waits_for_rules_that_are_there(void **state)
{
	(void)state;
	struct wish wishes[2];
	life_setup(14, 4);
	life_begin(true);
	for (size_t i = 0; i < 2; i++)
		wish_plain(&wishes[i], i, 4, 2 + i);
	life_set(0, &wishes[0]);
	life_settle();
	life.broken = true;
	kernel.error = -ENOMEM;
	kernel.n_errors = 8;
	life_set_node(false);
	life_set(1, &wishes[1]);
	while (kernel.n_errors > 2)
		life_pass(1);
	kernel.error = -ENOBUFS;
	kernel.n_errors = 1;
	kernel.errors_take_effect = true;
	while (kernel.n_errors > 0)
		life_pass(1);
	life_settle();
	life_teardown();
}

/* The kernel takes no other verdict for a key that is there. */
static void a_pick_that_leads_elsewhere_goes(void **state)
{
	(void)state;
	for (int side = 0; side < FRAME_SIDES; side++)
		for (size_t i = 0; i < 3; i++) {
			struct wish wish;
			life_setup(9, 6);
			life_begin(true);
			wish_plain(&wish, 0, 6, 2);
			life_set(0, &wish);
			life_settle();
			life.broken = true;
			struct kernel_set *picks = nft_kernel_set(frame_picks[side]);
			assert_int_equal(picks->n, 3);
			picks->elements[i].code = NF_ACCEPT;
			picks->elements[i].chain[0] = '\0';
			keeper_doubt(life.k);
			life_settle();
			life_teardown();
		}
}

/* It is over when what was taken away is there again, whatever else is yet to be written. */
static void damage_is_mended_though_one_never_rests(void **state)
{
	(void)state;
	struct wish restless, wish;
	life_setup(28, 4);
	life_begin(true);
	wish_plain(&restless, 0, 4, 5);
	wish_plain(&wish, 1, 4, 5);
	life_set(1, &wish);
	life_settle();
	life.restless = &restless;
	life_set(0, &restless);
	life_pass(1000);
	life.broken = true;
	nft_kernel_delete(nft_kernel_set("ways"), 0);
	keeper_doubt(life.k);
	life_pass(20000);
	assert_true(life.was_damaged);
	assert_false(keeper_is_damaged(life.k));
	life.restless = NULL;
	life_set(0, &restless);
	life_settle();
	life_teardown();
}

/* However much is there, and whatever is told: now and then all of it is read. */
static void enough_audits_are_followed_by_a_reading(void **state)
{
	(void)state;
	life_setup(29, 4);
	life_begin(true);
	life_settle();
	uint64_t n = n_readings();
	for (int i = 0; i < 2 * KEEPER_AUDITS_TO_READING; i++) {
		keeper_audit(life.k);
		life_pass(30000);
	}
	assert_int_equal(n_readings(), n + 2);
	life_teardown();
}

/* Nor while the kernel does not take another one. */
static void nothing_is_applied_without_its_table(void **state)
{
	(void)state;
	struct wish wish;
	life_setup(30, 4);
	life_begin(true);
	wish_plain(&wish, 0, 4, 2);
	life_set(0, &wish);
	life_settle();
	assert_true(keeper_is_applied(life.k, wish.s.key));
	life.broken = true;
	kernel.error = -ENOMEM;
	kernel.n_errors = 1000;
	nft_kernel_delete_table(FRAME_TABLE);
	keeper_doubt(life.k);
	life_pass(10000);
	assert_false(keeper_is_applied(life.k, wish.s.key));
	assert_true(keeper_is_damaged(life.k));
	life_settle();
	life_teardown();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_others_change_is_mended),
		cmocka_unit_test(a_frame_that_goes_soon_after_a_reading_is_missed_at_once),
		cmocka_unit_test(an_interrupted_reading_changes_no_answer),
		cmocka_unit_test(an_interval_of_others_goes),
		cmocka_unit_test(a_refusal_raises_doubt),
		cmocka_unit_test(a_lost_answer_is_no_damage),
		cmocka_unit_test(what_became_of_a_lost_answer_is_read),
		cmocka_unit_test(a_table_is_replaced_bit_by_bit_at_last),
		cmocka_unit_test(nothing_waits_for_rules_that_are_there),
		cmocka_unit_test(a_pick_that_leads_elsewhere_goes),
		cmocka_unit_test(damage_is_mended_though_one_never_rests),
		cmocka_unit_test(enough_audits_are_followed_by_a_reading),
		cmocka_unit_test(nothing_is_applied_without_its_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
