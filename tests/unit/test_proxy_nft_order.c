/* SPDX-License-Identifier: Apache-2.0 */
/* As many endpoints change their places as must. */
#include "config.h"

#include "unit.h"

#include "fairlead/mem.h"
#include "proxy/nftables/order.h"

#define MOST 64

struct list {
	struct proxy_endpoint e[MOST];
	size_t n;
};

static uint64_t chance;

static size_t below(size_t n)
{
	chance = chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (size_t)(chance >> 33) % n;
}

static struct proxy_endpoint endpoint(size_t i)
{
	return (struct proxy_endpoint){
		.addr = { .family = 4, .b = { 10, 244, 1, (uint8_t)(i % MOST) } },
		.port = (uint16_t)(80 + i / MOST),
	};
}

static bool same(const struct proxy_endpoint *a, const struct proxy_endpoint *b)
{
	return addr_eq(&a->addr, &b->addr) && a->port == b->port;
}

static bool has(const struct list *l, size_t n, const struct proxy_endpoint *e)
{
	for (size_t i = 0; i < n; i++)
		if (same(&l->e[i], e))
			return true;
	return false;
}

static struct list first(size_t n)
{
	struct list l = { .n = n };

	for (size_t i = 0; i < n; i++)
		l.e[i] = endpoint(i);
	return l;
}

static void shuffle(struct list *l)
{
	for (size_t i = l->n; i > 1; i--) {
		size_t j = below(i);
		struct proxy_endpoint e = l->e[j];
		l->e[j] = l->e[i - 1];
		l->e[i - 1] = e;
	}
}

/* Of the places that there are then, those whose endpoint is not wanted, or that are new. */
static size_t least(const struct list *have, const struct list *want)
{
	size_t n = 0;

	for (size_t i = 0; i < want->n; i++)
		n += i >= have->n || !has(want, want->n, &have->e[i]);
	return n;
}

/* The list in its new order. */
static struct list order(const struct list *have, const struct list *want)
{
	struct list now = { .n = want->n };
	size_t places[MOST], n_changed = 0;
	bool taken[MOST] = { false };

	order_endpoints(have->e, have->n, want->e, want->n, places);
	for (size_t i = 0; i < want->n; i++) {
		assert_true(places[i] < want->n);
		assert_false(taken[places[i]]);
		taken[places[i]] = true;
		now.e[i] = want->e[places[i]];
		n_changed += i >= have->n || !same(&have->e[i], &now.e[i]);
	}
	assert_int_equal(n_changed, least(have, want));
	return now;
}

static void what_stays_keeps_its_place(void **state)
{
	(void)state;
	for (size_t n = 0; n <= 40; n++)
		for (size_t k = 0; k <= n; k++) {
			struct list have = first(n), want = have;
			shuffle(&have);
			/* replaced */
			for (size_t i = 0; i < k; i++)
				want.e[i] = endpoint(MOST + i);
			shuffle(&want);
			assert_int_equal(least(&have, &want), k);
			order(&have, &want);
			/* removed: the last ones take the places of those before them */
			want = first(n);
			shuffle(&want);
			want.n -= k;
			assert_true(least(&have, &want) <= k);
			order(&have, &want);
			/* added */
			want = first(n);
			for (size_t i = 0; i < k && want.n < MOST; i++)
				want.e[want.n++] = endpoint(MOST + i);
			shuffle(&want);
			assert_int_equal(least(&have, &want), want.n - n);
			order(&have, &want);
		}
}

/* One address with several ports is several endpoints. */
static void one_change_after_another(void **state)
{
	(void)state;
	for (size_t seed = 0; seed < 200; seed++) {
		struct list have = { .n = 0 };
		chance = seed;
		for (int step = 0; step < 50; step++) {
			struct list want = first(MOST);
			for (size_t i = 0; i < MOST; i++)
				want.e[i] = endpoint(below(2) * MOST + i);
			shuffle(&want);
			want.n = below(MOST + 1);
			have = order(&have, &want);
		}
	}
}

/* What others have made of a set: an endpoint twice, or too many. */
static void what_is_there_twice_keeps_one_place(void **state)
{
	(void)state;
	struct list have = first(6), want = first(4);
	size_t places[MOST];

	have.e[1] = have.e[0];
	have.e[5] = have.e[2];
	order_endpoints(have.e, have.n, want.e, want.n, places);
	bool once = places[0] != places[1] && (places[0] == 0 || places[1] == 0);
	assert_true(once);
	assert_int_equal(places[2], 2);
	assert_int_equal(places[3], 3);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_stays_keeps_its_place),
		cmocka_unit_test(one_change_after_another),
		cmocka_unit_test(what_is_there_twice_keeps_one_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
