/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* Memberships of multicast groups: joined once, spread over sockets that hold a few each. */
#include "unit.h"

#include <errno.h>

#include "fairlead/mem.h"
#include "l2/groups.h"

#define SOCKETS 8
#define HOLDS 3

/* A kernel whose sockets hold HOLDS groups each; some groups it refuses. */
struct kernel {
	struct group held[SOCKETS][HOLDS];
	size_t n[SOCKETS];
	bool open[SOCKETS];
	size_t joins, leaves, opens;
	int refuses; /* an interface */
};

static int k_open(void *arg)
{
	struct kernel *k = arg;

	for (int fd = 0; fd < SOCKETS; fd++)
		if (!k->open[fd]) {
			k->open[fd] = true;
			k->opens++;
			return fd;
		}
	return -EMFILE;
}

static int k_join(int fd, const struct group *g, void *arg)
{
	struct kernel *k = arg;

	assert_true(k->open[fd]);
	if (g->interface == k->refuses)
		return -ENODEV;
	if (k->n[fd] == HOLDS)
		return -ENOBUFS;
	k->held[fd][k->n[fd]++] = *g;
	k->joins++;
	return 0;
}

static void k_leave(int fd, const struct group *g, void *arg)
{
	struct kernel *k = arg;

	for (size_t i = 0; i < k->n[fd]; i++)
		if (group_cmp(&k->held[fd][i], g) == 0) {
			k->held[fd][i] = k->held[fd][--k->n[fd]];
			k->leaves++;
			return;
		}
	fail_msg("left a group that the socket does not hold");
}

static void k_close(int fd, void *arg)
{
	struct kernel *k = arg;

	assert_int_equal(k->n[fd], 0);
	k->open[fd] = false;
}

static struct group group_of(int interface, uint8_t n)
{
	return (struct group){ .interface = interface,
		               .addr = { .family = 6,
		                         .b = { 0xff, 2, [11] = 1, [12] = 0xff, [15] = n } } };
}

static size_t n_open(const struct kernel *k)
{
	size_t n = 0;

	for (size_t i = 0; i < SOCKETS; i++)
		n += k->open[i];
	return n;
}

static void groups_are_spread_over_sockets(void **state)
{
	(void)state;
	struct kernel k = { .refuses = -1 };
	struct groups_ledger l = { .kernel = { k_open, k_join, k_leave, k_close, &k } };
	struct group wanted[10];

	for (uint8_t i = 0; i < 10; i++)
		wanted[i] = group_of(2, i);
	groups_ledger_set(&l, wanted, 10);
	assert_int_equal(l.n_failed, 0);
	assert_int_equal(k.joins, 10);
	assert_int_equal(n_open(&k), 4);
	/* The same again changes nothing. */
	groups_ledger_set(&l, wanted, 10);
	assert_int_equal(k.joins, 10);
	assert_int_equal(k.leaves, 0);
	/* What goes makes room for what comes. */
	groups_ledger_set(&l, wanted + 3, 7);
	assert_int_equal(k.leaves, 3);
	assert_int_equal(n_open(&k), 3);
	groups_ledger_set(&l, wanted, 10);
	assert_int_equal(k.joins, 13);
	assert_int_equal(n_open(&k), 4);
	groups_ledger_set(&l, NULL, 0);
	assert_int_equal(n_open(&k), 0);
	groups_ledger_fini(&l);
}

static void what_cannot_be_joined_is_told_and_tried_again(void **state)
{
	(void)state;
	struct kernel k = { .refuses = 3 };
	struct groups_ledger l = { .kernel = { k_open, k_join, k_leave, k_close, &k } };
	struct group wanted[] = { group_of(2, 1), group_of(3, 1), group_of(4, 1) };

	groups_ledger_set(&l, wanted, 3);
	assert_int_equal(l.n_failed, 1);
	assert_int_equal(l.error, -ENODEV);
	assert_int_equal(k.joins, 2);
	k.refuses = -1;
	groups_ledger_set(&l, wanted, 3);
	assert_int_equal(l.n_failed, 0);
	assert_int_equal(k.joins, 3);
	assert_int_equal(k.leaves, 0);

	/* More than all sockets that there may be. */
	struct group many[SOCKETS * HOLDS + 2];
	for (uint8_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = group_of(5, i);
	groups_ledger_set(&l, many, ARRAY_LEN(many));
	assert_int_equal(l.n_failed, 2);
	assert_int_equal(l.error, -EMFILE);
	groups_ledger_fini(&l);
	assert_int_equal(n_open(&k), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_are_spread_over_sockets),
		cmocka_unit_test(what_cannot_be_joined_is_told_and_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
