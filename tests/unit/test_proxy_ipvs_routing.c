/* SPDX-License-Identifier: Apache-2.0 */
/* The way of packets to IPVS, in a network namespace of the test's own. */
#include "config.h"

#include "unit.h"

#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <linux/fib_rules.h>
#include <netlink/netlink.h>
#include <netlink/route/route.h>
#include <netlink/route/rule.h>

#include "fairlead/mem.h"
#include "proxy/ipvs/routing.h"

#define TAG 0x1000
/* of a family */
#define OTHER_TAG 0x80000000u
#define RULES 3
#define FAMILIES 2
/* Turns of the loop that a notification may take. */
#define PATIENCE 1000

static struct {
	struct event_base *base;
	struct nl_sock *sock;
	struct routing *routing;
	size_t n_changed, n_failed;
} w;

static void changed(void *arg)
{
	(void)arg;
	w.n_changed++;
}

static void failed(const struct err *e, void *arg)
{
	(void)e, (void)arg;
	w.n_failed++;
}

static const struct routing_ops ops = { changed, failed };

static int start(uint32_t tag)
{
	struct err e = ERR_INIT;

	return routing_start(w.base, tag, &ops, NULL, &w.routing, &e);
}

static int setup(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	w.base = event_base_new();
	w.sock = nl_socket_alloc();
	return nl_connect(w.sock, NETLINK_ROUTE);
}

static int teardown(void **state)
{
	(void)state;
	routing_stop(w.routing);
	routing_clean(NULL);
	nl_socket_free(w.sock);
	event_base_free(w.base);
	return 0;
}

/* ---- what the kernel has ---- */

typedef bool rule_fn(struct rtnl_rule *rule, uint32_t tag);

static bool has_tag(struct rtnl_rule *rule, uint32_t tag)
{
	return rtnl_rule_get_mark(rule) == routing_mark(tag) &&
	       rtnl_rule_get_mask(rule) == UINT32_MAX;
}

/* With @deletes, each that is counted is deleted. */
static size_t count_rules(rule_fn *fn, uint32_t tag, bool deletes)
{
	struct nl_cache *cache;
	size_t n = 0;

	assert_true(rtnl_rule_alloc_cache(w.sock, AF_UNSPEC, &cache) >= 0);
	for (struct nl_object *o = nl_cache_get_first(cache); o; o = nl_cache_get_next(o)) {
		struct rtnl_rule *rule = (struct rtnl_rule *)o;
		if (!fn(rule, tag))
			continue;
		n++;
		if (deletes)
			assert_true(rtnl_rule_delete(w.sock, rule, 0) >= 0);
	}
	nl_cache_free(cache);
	return n;
}

static bool leads(struct rtnl_rule *rule, uint32_t tag)
{
	return has_tag(rule, tag) && rtnl_rule_get_table(rule) == ROUTING_TABLE;
}

/* What comes from the node itself passes by. */
static bool passes(struct rtnl_rule *rule, uint32_t tag)
{
	const char *device = rtnl_rule_get_iif(rule);

	return has_tag(rule, tag) && rtnl_rule_get_action(rule) == FR_ACT_GOTO && device &&
	       !strcmp(device, "lo");
}

/* Both families' routes of our table; with @deletes they are gone then. */
static size_t count_routes(bool deletes)
{
	struct nl_cache *cache;
	size_t n = 0;

	assert_true(rtnl_route_alloc_cache(w.sock, AF_UNSPEC, 0, &cache) >= 0);
	for (struct nl_object *o = nl_cache_get_first(cache); o; o = nl_cache_get_next(o)) {
		struct rtnl_route *route = (struct rtnl_route *)o;
		if (rtnl_route_get_table(route) != ROUTING_TABLE)
			continue;
		assert_int_equal(rtnl_route_get_type(route), RTN_LOCAL);
		n++;
		if (deletes)
			assert_true(rtnl_route_delete(w.sock, route, 0) >= 0);
	}
	nl_cache_free(cache);
	return n;
}

static void expect_whole(uint32_t tag)
{
	assert_int_equal(count_rules(has_tag, tag, false), RULES * FAMILIES);
	assert_int_equal(count_rules(leads, tag, false), FAMILIES);
	assert_int_equal(count_rules(passes, tag, false), FAMILIES);
	assert_int_equal(count_routes(false), FAMILIES);
	assert_true(routing_stands(w.routing, 4));
	assert_true(routing_stands(w.routing, 6));
}

static void wait_for_repairs(uint64_t n)
{
	for (int i = 0; i < PATIENCE && routing_n_repairs(w.routing) < n; i++)
		event_base_loop(w.base, EVLOOP_ONCE);
	assert_int_equal(routing_n_repairs(w.routing), n);
}

/* ---- others ---- */

static void add_rule_of_others(uint32_t preference, uint8_t protocol)
{
	struct rtnl_rule *rule = rtnl_rule_alloc();

	rtnl_rule_set_family(rule, AF_INET);
	rtnl_rule_set_prio(rule, preference);
	rtnl_rule_set_mark(rule, TAG);
	rtnl_rule_set_mask(rule, TAG);
	rtnl_rule_set_action(rule, FR_ACT_TO_TBL);
	rtnl_rule_set_table(rule, 77);
	rtnl_rule_set_protocol(rule, protocol);
	assert_true(rtnl_rule_add(w.sock, rule, NLM_F_CREATE | NLM_F_EXCL) >= 0);
	rtnl_rule_put(rule);
}

static bool is_of_others(struct rtnl_rule *rule, uint32_t tag)
{
	(void)tag;
	return rtnl_rule_get_table(rule) == 77;
}

/* ---- what is promised ---- */

static void it_is_made_in_both_families(void **state)
{
	(void)state;
	assert_false(routing_any());
	assert_int_equal(routing_tags(), 0);
	assert_int_equal(start(TAG), 0);
	expect_whole(TAG);
	assert_true(routing_any());
	assert_int_equal(routing_tags(), TAG);
	assert_int_equal(routing_n_repairs(w.routing), 0);
}

/* What other modes mark to be masqueraded is not led astray by it. */
static void its_mark_is_more_than_the_tag(void **state)
{
	(void)state;
	for (uint32_t tag = 1; tag; tag <<= 1) {
		assert_int_equal(routing_mark(tag) & tag, tag);
		assert_int_not_equal(routing_mark(tag) & ~tag, 0);
	}
}

static void it_outlives_its_process(void **state)
{
	(void)state;
	assert_int_equal(start(TAG), 0);
	routing_stop(TAKE(w.routing));
	assert_true(routing_any());
	assert_int_equal(start(TAG), 0);
	expect_whole(TAG);
	/* What is there already is no repair. */
	assert_int_equal(routing_n_repairs(w.routing), 0);
}

static void another_tag_takes_the_place_of_the_first(void **state)
{
	(void)state;
	assert_int_equal(start(OTHER_TAG), 0);
	assert_int_equal(routing_tags(), OTHER_TAG);
	routing_stop(TAKE(w.routing));
	assert_int_equal(start(TAG), 0);
	assert_int_equal(count_rules(has_tag, OTHER_TAG, false), 0);
	expect_whole(TAG);
}

static void what_others_delete_is_made_again(void **state)
{
	uint64_t n_before;

	(void)state;
	assert_int_equal(start(TAG), 0);
	assert_int_equal(count_routes(true), FAMILIES);
	wait_for_repairs(FAMILIES);
	expect_whole(TAG);
	/* Of two rules, the second may be missed while the first is mended, but not for long. */
	n_before = routing_n_repairs(w.routing);
	count_rules(leads, TAG, true);
	wait_for_repairs(n_before + FAMILIES);
	expect_whole(TAG);
	assert_int_equal(w.n_failed, 0);
}

static void an_audit_finds_what_nobody_told(void **state)
{
	(void)state;
	assert_int_equal(start(TAG), 0);
	count_rules(has_tag, TAG, true);
	routing_audit(w.routing);
	expect_whole(TAG);
	assert_int_equal(routing_n_repairs(w.routing), FAMILIES);
}

static void rules_of_others_stay(void **state)
{
	(void)state;
	/* Of our preferences, and of our protocol, but not both. */
	add_rule_of_others(ROUTING_PREFERENCE + 1, RTPROT_STATIC);
	add_rule_of_others(1000, ROUTING_PROTOCOL);
	assert_false(routing_any());
	assert_int_equal(start(TAG), 0);
	routing_stop(TAKE(w.routing));
	assert_int_equal(routing_clean(NULL), 0);
	assert_false(routing_any());
	assert_int_equal(count_routes(false), 0);
	assert_int_equal(count_rules(is_of_others, 0, true), 2);
	/* Where there is nothing, there is nothing to do. */
	assert_int_equal(routing_clean(NULL), 0);
}

static int switch_loopback_on(void)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int result = fd < 0 ? -1 : ioctl(fd, SIOCSIFFLAGS, &r);

	close(fd);
	return result;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_is_made_in_both_families, setup, teardown),
		cmocka_unit_test(its_mark_is_more_than_the_tag),
		cmocka_unit_test_setup_teardown(it_outlives_its_process, setup, teardown),
		cmocka_unit_test_setup_teardown(another_tag_takes_the_place_of_the_first, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(what_others_delete_is_made_again, setup, teardown),
		cmocka_unit_test_setup_teardown(an_audit_finds_what_nobody_told, setup, teardown),
		cmocka_unit_test_setup_teardown(rules_of_others_stay, setup, teardown),
	};

	if (unshare(CLONE_NEWNET) < 0 || switch_loopback_on() < 0) {
		puts("needs root, to make a network namespace");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
