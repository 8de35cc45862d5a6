/* SPDX-License-Identifier: Apache-2.0 */
/* How the addresses of a pool stand: counted, and in blocks. */
#include "config.h"

#include "unit.h"

#include <stdlib.h>

#include "fairlead/ipam.h"
#include "fairlead/mem.h"

static struct ipam *ipam_of(const char *yaml)
{
	struct config_problems errors = { 0 };
	struct configuration *c = NULL;

	assert_int_equal(configuration_parse_published(yaml, NULL, &c, &errors, NULL), 0);
	config_problems_fini(&errors);
	struct ipam *ipam = ipam_new(c);
	configuration_unref(c);
	return ipam;
}

static const struct config_pool *pool_of(const struct ipam *ipam, const char *name)
{
	return configuration_pool_named(ipam_configuration(ipam), name);
}

static struct addr addr(const char *s)
{
	struct addr a = { 0 };

	assert_int_equal(addr_parse(s, &a), 0);
	return a;
}

static void hold(struct ipam *ipam, const char *key, const char *s)
{
	const struct addr a = addr(s);

	assert_int_equal(ipam_hold(ipam, key, &a, 1), 1);
}

/* "10.0.0.0 free; 10.0.0.1 used; …" */
static char *blocks_of(const struct ipam *ipam, const char *pool)
{
	static const char *const names[] = {
		[IPAM_FREE] = "free",          [IPAM_GIVEN_LAST] = "last",
		[IPAM_HELD] = "held",          [IPAM_RESERVED] = "reserved",
		[IPAM_OF_MACHINE] = "machine", [IPAM_EXCLUDED] = "excluded",
		[IPAM_SPECIAL] = "special",    [IPAM_BUGGY] = "buggy",
		[IPAM_COOLING] = "cooling",
	};
	struct buf out = BUF_INIT;
	size_t n;
	struct ipam_block *blocks = ipam_survey(ipam, pool_of(ipam, pool), &n);

	for (size_t i = 0; i < n; i++)
		buf_printf(&out, "%s%s-%s %s", i ? "; " : "", addr_str(&blocks[i].range.first),
		           addr_str(&blocks[i].range.last), names[blocks[i].standing]);
	free(blocks);
	return buf_take(&out);
}

#define ODDITIES                                                                           \
	"address-pools:\n"                                                                 \
	"- {name: odd, protocol: layer2, avoid-buggy-ips: true, exclude: [10.0.0.4/31], "  \
	"addresses: [10.0.1.254-10.0.2.1, 10.0.0.0/28], "                                  \
	"reservations: [{service: shop/a, address: 10.0.0.8}, {service: shop/b, address: " \
	"10.0.0.9}, {service: shop/c, address: 10.0.0.7}]}\n"                              \
	"- {name: vast, protocol: layer2, use: [load-balancer, external-ip], "             \
	"addresses: ['2001:db8::/64']}\n"                                                  \
	"- {name: large, protocol: layer2, avoid-buggy-ips: true, addresses: [10.8.0.0/13]}\n"

/* Each way of standing, and which of two counts. */
static void oddities(struct ipam *ipam)
{
	const struct addr node = addr("10.0.0.6"), reserved = addr("10.0.0.7"),
			  held = addr("10.0.0.11"), named = addr("10.0.0.13");

	hold(ipam, "shop/web", "10.0.0.2");
	hold(ipam, "shop/old", "10.0.0.4");
	hold(ipam, "shop/b", "10.0.0.9");
	hold(ipam, "shop/buggy", "10.0.2.0");
	hold(ipam, "shop/of-node", "10.0.0.11");
	ipam_add_machine(ipam, &node, REASON_NodeAddress, "Node n1");
	ipam_add_machine(ipam, &reserved, REASON_NodeAddress, "Node n2");
	ipam_add_machine(ipam, &held, REASON_NodeAddress, "Node n3");
	ipam_squat(ipam, "shop/squatter", &named, 1);
}

static void test_each_address_stands_somewhere(void **state)
{
	struct ipam *ipam = ipam_of(ODDITIES);

	(void)state;
	oddities(ipam);
	cleanup_free char *odd = blocks_of(ipam, "odd");
	assert_string_equal(
		odd,
		"10.0.0.0-10.0.0.0 buggy; 10.0.0.1-10.0.0.1 free; 10.0.0.2-10.0.0.2 held; "
		"10.0.0.3-10.0.0.3 free; 10.0.0.4-10.0.0.4 held; 10.0.0.5-10.0.0.5 excluded; "
		"10.0.0.6-10.0.0.6 machine; 10.0.0.7-10.0.0.7 machine; "
		"10.0.0.8-10.0.0.8 reserved; 10.0.0.9-10.0.0.9 held; 10.0.0.10-10.0.0.10 free; "
		"10.0.0.11-10.0.0.11 held; 10.0.0.12-10.0.0.12 free; "
		"10.0.0.13-10.0.0.13 last; 10.0.0.14-10.0.0.15 free; "
		"10.0.1.254-10.0.1.254 free; 10.0.1.255-10.0.1.255 buggy; "
		"10.0.2.0-10.0.2.0 held; 10.0.2.1-10.0.2.1 free");
	assert_string_equal(ipam_squatter(ipam, &(struct addr){ 4, { 10, 0, 0, 13 } }),
	                    "shop/squatter");
	ipam_free(ipam);
}

static void test_blocks_do_not_grow_with_the_pool(void **state)
{
	struct ipam *ipam = ipam_of(ODDITIES);

	(void)state;
	hold(ipam, "shop/six", "2001:db8::5");
	hold(ipam, "shop/last", "2001:db8::ffff:ffff:ffff:ffff");
	cleanup_free char *vast = blocks_of(ipam, "vast");
	assert_string_equal(vast, "2001:db8::-2001:db8::4 free; 2001:db8::5-2001:db8::5 held; "
	                          "2001:db8::6-2001:db8::ffff:ffff:ffff:fffe free; "
	                          "2001:db8::ffff:ffff:ffff:ffff-2001:db8::ffff:ffff:ffff:ffff "
	                          "held");
	cleanup_free char *large = blocks_of(ipam, "large");
	assert_string_equal(large, "10.8.0.0-10.15.255.255 free");
	ipam_free(ipam);
}

static void test_stock(void **state)
{
	struct ipam *ipam = ipam_of(ODDITIES);
	struct ipam_stock s;

	(void)state;
	oddities(ipam);
	ipam_stock_of(ipam, pool_of(ipam, "odd"), 0, &s);
	assert_int_equal(s.size, 20);
	assert_int_equal(s.excluded, 2);
	/* but for .0, .255 and .0, what is excluded, and the machines' */
	assert_int_equal(s.total, 20 - 3 - 2 - 3);
	assert_int_equal(s.used, 5);
	assert_int_equal(s.reserved, 1);
	assert_int_equal(s.machines, 3);
	assert_int_equal(s.free, 9);
	assert_string_equal(addr_str(&s.largest.first), "10.0.0.14");
	assert_int_equal(s.n_largest, 2);
	ipam_stock_of(ipam, pool_of(ipam, "odd"), 1, &s);
	assert_int_equal(s.size + s.total + s.free + s.n_largest, 0);
	ipam_stock_of(ipam, pool_of(ipam, "vast"), 1, &s);
	assert_true(s.size == UINT64_MAX && s.free == UINT64_MAX && s.n_largest == UINT64_MAX);
	ipam_free(ipam);
}

/* What is counted free is what the allocator gives, one after another, until it has no more. */
static void test_all_that_is_free_is_given(void **state)
{
	struct ipam *ipam = ipam_of(ODDITIES);
	struct ipam_stock s;
	size_t n_given = 0;

	(void)state;
	oddities(ipam);
	ipam_stock_of(ipam, pool_of(ipam, "odd"), 0, &s);
	for (;; n_given++) {
		struct ipam_request r = { .wish = IPAM_WISH_ADDRESS,
			                  .use = CONFIG_USE_LOAD_BALANCER,
			                  .families = { 4 },
			                  .n_families = 1,
			                  .pool = xstrdup("odd") };
		cleanup_free char *key = xasprintf("shop/new-%zu", n_given);
		struct ipam_decision d;
		ipam_decide(ipam, key, &r, &d);
		ipam_request_fini(&r);
		if (d.action != IPAM_ASSIGN)
			break;
		assert_int_equal(ipam_hold(ipam, key, d.addrs, d.n), 1);
	}
	assert_int_equal(n_given, s.free);
	ipam_stock_of(ipam, pool_of(ipam, "odd"), 0, &s);
	assert_int_equal(s.free + s.n_largest, 0);
	ipam_free(ipam);
}

static void test_cooling(void **state)
{
	struct ipam *ipam =
		ipam_of("address-pools:\n"
	                "- {name: lan, protocol: layer2, addresses: [10.0.0.0/29], cool-down: 1m,\n"
	                "   reservations: [{service: shop/r, address: 10.0.0.6}]}\n");
	const struct addr of_nobody = addr("10.0.0.2");
	struct ipam_stock s;
	int64_t until_s;

	(void)state;
	ipam_set_time(ipam, 1000);
	hold(ipam, "shop/web", "10.0.0.1");
	hold(ipam, "shop/web", "10.0.0.6");
	ipam_release(ipam, "shop/web");
	cleanup_free char *blocks = blocks_of(ipam, "lan");
	assert_string_equal(blocks, "10.0.0.0-10.0.0.0 free; 10.0.0.1-10.0.0.1 cooling; "
	                            "10.0.0.2-10.0.0.5 free; 10.0.0.6-10.0.0.6 reserved; "
	                            "10.0.0.7-10.0.0.7 free");
	ipam_stock_of(ipam, pool_of(ipam, "lan"), 0, &s);
	assert_int_equal(s.cooling, 1);
	assert_int_equal(s.reserved, 1);
	assert_int_equal(s.free, 6);
	const struct addr cools = addr("10.0.0.1");
	assert_string_equal(ipam_cools_for(ipam, &cools, &until_s), "shop/web");
	assert_int_equal(until_s, 1060);
	assert_null(ipam_cools_for(ipam, &of_nobody, &until_s));
	ipam_free(ipam);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_address_stands_somewhere),
		cmocka_unit_test(test_blocks_do_not_grow_with_the_pool),
		cmocka_unit_test(test_stock),
		cmocka_unit_test(test_all_that_is_free_is_given),
		cmocka_unit_test(test_cooling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
