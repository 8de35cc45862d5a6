/* SPDX-License-Identifier: Apache-2.0 */
/* The tables that hand packets over, in a made-up kernel: what is written, when, and how often. */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#include "fairlead/mem.h"
#include "fairlead/relay.h"
#include "nft_kernel.h"

#define TABLE "fairlead-relay"

static const struct relay_node nodes[] = { { { 2, 0, 0, 0, 0, 1 } }, { { 2, 0, 0, 0, 0, 2 } } };

static struct relay_way way(unsigned int address, unsigned int gateway)
{
	struct relay_way w = { .addr = { .family = 4, .b = { 192, 0, 2 } },
		               .interface = 7,
		               .gateway = { .family = 4, .b = { 10, 0, 0 } } };

	w.addr.b[2] = (uint8_t)(address >> 8);
	w.addr.b[3] = (uint8_t)address;
	w.gateway.b[3] = (uint8_t)gateway;
	return w;
}

static struct kernel_set *set_named(const char *name)
{
	struct kernel_table *t = nft_kernel_table(TABLE);

	for (size_t i = 0; t && i < t->n_sets; i++)
		if (!strcmp(t->sets[i].name, name))
			return &t->sets[i];
	return NULL;
}

/*
 * The kernel has one family, so the other one finds out that it has no table while there is none.
 */
static struct relay *relay_at_rest(void)
{
	struct relay *r;
	struct err e = ERR_INIT;

	nft_kernel_init();
	if (relay_new(&r, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(relay_set(r, NULL, 0, NULL, 0, &e), 0);
	kernel.n_commits = kernel.n_added = kernel.n_deleted = 0;
	return r;
}

static void done_with(struct relay *r)
{
	relay_free(r);
	nft_kernel_fini();
}

static void set(struct relay *r, const struct relay_way *ways, size_t n, size_t n_nodes)
{
	struct err e = ERR_INIT;

	if (relay_set(r, ways, n, nodes, n_nodes, &e) < 0)
		fail_msg("%s", e.msg);
}

static void what_differs_is_written(void **state)
{
	(void)state;
	const struct relay_way before[] = { way(1, 1), way(2, 1), way(3, 1) };
	const struct relay_way after[] = { way(1, 1), way(2, 9), way(4, 1) };
	struct relay *r = relay_at_rest();
	uint64_t others = nft_kernel_others();

	set(r, before, 3, 2);
	assert_int_equal(kernel.n_commits, 1);
	assert_int_equal(set_named("ways")->n, 3);
	assert_int_equal(set_named("nodes")->n, 2);
	assert_int_equal(nft_kernel_table(TABLE)->chains[0].n, 3);
	set(r, before, 3, 2);
	assert_int_equal(kernel.n_commits, 1);
	assert_int_equal(kernel.n_added, 5);

	/* Another gateway is another value of the same key; a way of another address is another. */
	set(r, after, 3, 1);
	assert_int_equal(kernel.n_commits, 2);
	assert_int_equal(kernel.n_added, 7);
	assert_int_equal(kernel.n_deleted, 3);
	struct relay_way *found;
	size_t n;
	assert_int_equal(relay_read(r, &found, &n, NULL), 0);
	/* The kernel answers for either family. */
	for (size_t i = 0, k = 0; i < n; i++)
		if (found[i].addr.family == 4)
			assert_memory_equal(&found[i].gateway, &after[k++].gateway,
			                    sizeof(found[i].gateway));
	free(found);

	/* Another node in the place of the first one. */
	assert_int_equal(relay_set(r, after, 3, nodes + 1, 1, NULL), 0);
	assert_int_equal(kernel.n_commits, 3);
	assert_int_equal(set_named("nodes")->n, 1);
	assert_int_equal(set_named("nodes")->elements[0].key[5], 2);

	set(r, NULL, 0, 1);
	assert_null(nft_kernel_table(TABLE));
	assert_int_equal(kernel.n_commits, 4);
	set(r, NULL, 0, 1);
	assert_int_equal(kernel.n_commits, 4);
	assert_int_equal(nft_kernel_others(), others);
	done_with(r);
}

/* What others took away is made again, as soon as somebody has looked. */
static void a_table_that_is_gone_is_made_again(void **state)
{
	(void)state;
	const struct relay_way ways[] = { way(1, 1), way(2, 1) };
	struct relay *r = relay_at_rest();

	set(r, ways, 2, 2);
	relay_audit(r);
	set(r, ways, 2, 2);
	assert_int_equal(kernel.n_commits, 1);
	nft_kernel_delete_table(TABLE);
	relay_audit(r);
	set(r, ways, 2, 2);
	assert_int_equal(set_named("ways")->n, 2);
	assert_int_equal(set_named("nodes")->n, 2);
	done_with(r);
}

/* An earlier process's, or one of which it is not known what became: it is made anew, or goes. */
static void what_is_not_known_is_made_anew(void **state)
{
	(void)state;
	const struct relay_way ways[] = { way(1, 1), way(2, 1) };
	struct relay *earlier = relay_at_rest(), *r = relay_at_rest();
	struct err e = ERR_INIT;

	set(earlier, ways, 2, 2);
	relay_free(earlier);
	kernel.error = -ENOMEM;
	kernel.n_errors = 1;
	assert_int_equal(relay_set(r, ways + 1, 1, nodes, 1, &e), -ENOMEM);
	assert_int_equal(set_named("ways")->n, 2);
	set(r, ways + 1, 1, 1);
	assert_int_equal(set_named("ways")->n, 1);
	assert_int_equal(set_named("nodes")->n, 1);

	kernel.n_errors = 1;
	kernel.errors_take_effect = true;
	assert_int_equal(relay_set(r, ways, 2, nodes, 1, &e), -ENOMEM);
	assert_int_equal(set_named("ways")->n, 2);
	set(r, NULL, 0, 0);
	assert_null(nft_kernel_table(TABLE));
	done_with(r);
}

#define MANY 5000

/* So that no transaction is too long for the kernel; and what came after a refusal is not kept. */
static void many_are_written_in_pieces(void **state)
{
	(void)state;
	struct relay_way *ways = xcalloc(MANY, sizeof(*ways));
	struct relay *r = relay_at_rest();
	struct err e = ERR_INIT;

	for (unsigned int i = 0; i < MANY; i++)
		ways[i] = way(i, 1);
	set(r, ways, MANY, 2);
	assert_int_equal(kernel.n_commits, 3);
	assert_int_equal(set_named("ways")->n, MANY);
	for (unsigned int i = 0; i < MANY; i++)
		ways[i] = way(i, 2);
	kernel.error = -ENOMEM;
	kernel.n_errors = 1;
	assert_int_equal(relay_set(r, ways, MANY, nodes, 2, &e), -ENOMEM);
	kernel.n_commits = 0;
	set(r, ways, MANY, 2);
	assert_int_equal(kernel.n_commits, 3);
	struct relay_way *found;
	size_t n;
	assert_int_equal(relay_read(r, &found, &n, NULL), 0);
	for (size_t i = 0; i < n; i++)
		if (found[i].addr.family == 4)
			assert_int_equal(found[i].gateway.b[3], 2);
	free(found);
	free(ways);
	done_with(r);
}

static void nothing_is_left_over(void **state)
{
	(void)state;
	const struct relay_way ways[] = { way(1, 1) };
	struct relay *r = relay_at_rest();
	uint64_t others = nft_kernel_others();
	struct err e = ERR_INIT;

	assert_false(relay_has_leftovers());
	assert_int_equal(relay_cleanup(&e), 0);
	assert_int_equal(kernel.n_commits, 0);
	set(r, ways, 1, 1);
	assert_true(relay_has_leftovers());
	kernel.error = -EPERM;
	kernel.n_errors = 1;
	assert_int_equal(relay_cleanup(&e), -EPERM);
	assert_int_equal(relay_cleanup(&e), 0);
	assert_null(nft_kernel_table(TABLE));
	assert_int_equal(nft_kernel_others(), others);
	done_with(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_differs_is_written),
		cmocka_unit_test(a_table_that_is_gone_is_made_again),
		cmocka_unit_test(what_is_not_known_is_made_anew),
		cmocka_unit_test(many_are_written_in_pieces),
		cmocka_unit_test(nothing_is_left_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
