/* SPDX-License-Identifier: Apache-2.0 */
/* What bounds a pool in giving, and which of its addresses it gives: quota,
 * cool-down, allocation. */
#include "config.h"

#include "unit.h"

#include <stdlib.h>

#include "fairlead/ipam.h"
#include "fairlead/limits.h"
#include "fairlead/mem.h"
#include "fairlead/tenancy.h"
#include "ipam/ipam.h"

/* ---- books, and Services that ask ---- */

static struct ipam *books_of(const char *yaml)
{
	cleanup(config_problems_fini) struct config_problems errors = { 0 };
	struct configuration *c;

	if (configuration_parse(yaml, strlen(yaml), &c, &errors, NULL) < 0)
		fail_msg("line %u, %s: %s", errors.items[0].line, errors.items[0].path,
		         errors.items[0].message);
	struct ipam *ipam = ipam_new(c);
	configuration_unref(c);
	return ipam;
}

/* A Service, as far as it matters here. */
struct asking {
	const char *key;      /* "shop/web" */
	const char *asked;    /* addresses, with spaces between; NULL: none */
	const char *pool;     /* NULL: any */
	const char *held;     /* what its status has; NULL: what the books have */
	const char *families; /* "4", "46", "46!" if it needs both; NULL: "4" */
	int port;             /* shares by the key "k", with this port; 0: not */
	uint64_t lot;
};

static size_t parse_list(const char *list, struct addr *out)
{
	char text[64];
	size_t n = 0;
	int used;

	for (; list && sscanf(list, "%63s%n", text, &used) == 1; list += used)
		assert_int_equal(addr_parse(text, &out[n++]), 0);
	return n;
}

/* What the Service with this key holds by the books. */
static size_t held_by(const struct ipam *ipam, const char *key, struct addr *out)
{
	static const char *const prefixes[] = { "10.0.0.", "10.0.1.", "fd00::" };
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(prefixes) * 16; i++) {
		char text[32];
		struct addr a;
		snprintf(text, sizeof(text), "%s%zu", prefixes[i / 16], i % 16);
		assert_int_equal(addr_parse(text, &a), 0);
		if (ipam_holds(ipam, key, &a))
			out[n++] = a;
	}
	return n;
}

static struct ipam_request request_of(const struct ipam *ipam, const struct asking *s)
{
	const char *families = s->families ? s->families : "4";
	struct ipam_request r = { .wish = IPAM_WISH_ADDRESS,
		                  .use = CONFIG_USE_LOAD_BALANCER,
		                  .assigned_by_us = true,
		                  .families = { 4 } };

	for (; *families == '4' || *families == '6'; families++)
		r.families[r.n_families++] = (uint8_t)(*families - '0');
	r.needs_both = *families == '!';
	r.n_asked = (uint8_t)parse_list(s->asked, r.asked);
	r.n_held = (uint8_t)(s->held ? parse_list(s->held, r.held) : held_by(ipam, s->key, r.held));
	r.pool = xstrdup_null(s->pool);
	r.lot = s->lot;
	if (s->port) {
		struct tenancy_port *port = xcalloc(1, sizeof(*port));
		*port = (struct tenancy_port){ .port = (uint16_t)s->port };
		r.tenancy = xcalloc(1, sizeof(*r.tenancy));
		*r.tenancy = (struct tenancy){ .namespace = xasprintf(
						       "%.*s", (int)strcspn(s->key, "/"), s->key),
			                       .key = xstrdup("k"),
			                       .ports = port,
			                       .n_ports = 1,
			                       .creation_us = s->port };
	}
	return r;
}

/* Decides, and the Service holds what it is to hold. */
static struct ipam_decision ask(struct ipam *ipam, const struct asking *s)
{
	struct ipam_request r = request_of(ipam, s);
	struct ipam_decision d;

	ipam_set_tenancy(ipam, s->key, r.tenancy);
	ipam_decide(ipam, s->key, &r, &d);
	if (d.action != IPAM_FAIL) {
		assert_int_equal(ipam_give(ipam, s->key, d.addrs, d.n), d.n);
		ipam_retain(ipam, s->key, d.addrs, d.n);
	}
	ipam_request_fini(&r);
	return d;
}

/* @addrs: "10.0.0.1 fd00::1", or what the refusal says. */
static void expect(struct ipam *ipam, const struct asking *s, enum reason reason, const char *addrs)
{
	struct ipam_decision d = ask(ipam, s);
	cleanup(buf_fini) struct buf got = BUF_INIT;

	for (size_t i = 0; i < d.n; i++)
		buf_printf(&got, "%s%s", i ? " " : "", addr_str(&d.addrs[i]));
	if (d.reason != reason)
		fail_msg("%s: %s, %s", s->key, reason_name(d.reason), d.message);
	if (d.action != IPAM_FAIL)
		assert_string_equal(buf_str(&got), addrs);
	else if (!strstr(d.message, addrs))
		fail_msg("%s: \"%s\" has no \"%s\"", s->key, d.message, addrs);
}

static void gets(struct ipam *ipam, struct asking s, const char *addrs)
{
	expect(ipam, &s, REASON_Assigned, addrs);
}

static void keeps(struct ipam *ipam, struct asking s, const char *addrs)
{
	expect(ipam, &s, REASON_Kept, addrs);
}

static void refused(struct ipam *ipam, struct asking s, enum reason reason, const char *says)
{
	expect(ipam, &s, reason, says);
}

static bool is_concerned(const struct ipam *ipam, struct asking s)
{
	struct ipam_request r = request_of(ipam, &s);
	bool concerned = ipam_is_concerned(ipam, s.key, &r);

	ipam_request_fini(&r);
	return concerned;
}

/* ---- quota ---- */

#define QUOTA_POOL                                                                        \
	"address-pools:\n"                                                                \
	"- {name: lan, protocol: layer2, addresses: [10.0.0.0-10.0.0.9, 'fd00::/124'],\n" \
	"   share-across-namespaces: true,\n"                                             \
	"   quota: [{namespaces: [shop], addresses: 2}, {namespaces: [edge, dmz], addresses: 1}]}\n"

static void test_quota(void **state)
{
	struct ipam *ipam = books_of(QUOTA_POOL);

	(void)state;
	gets(ipam, (struct asking){ "shop/a" }, "10.0.0.0");
	gets(ipam, (struct asking){ "shop/b" }, "10.0.0.1");
	refused(ipam, (struct asking){ "shop/c" }, REASON_QuotaReached,
	        "no further address: lan has its quota of 2 addresses for namespace shop in use");
	refused(ipam, (struct asking){ "shop/c", "10.0.0.5" }, REASON_QuotaReached,
	        "10.0.0.5 is not given: lan has its quota of 2 addresses for namespace shop");
	keeps(ipam, (struct asking){ "shop/a" }, "10.0.0.0");
	/* Nobody else is bounded by that, and two namespaces have one bound together. */
	gets(ipam, (struct asking){ "home/a" }, "10.0.0.2");
	gets(ipam, (struct asking){ "edge/a" }, "10.0.0.3");
	refused(ipam, (struct asking){ "dmz/a" }, REASON_QuotaReached,
	        "quota of 1 address for namespace dmz and others in use");
	/* To exchange one is no further one. */
	gets(ipam, (struct asking){ "shop/a", "10.0.0.7" }, "10.0.0.7");
	ipam_free(ipam);
}

/* What is on its way counts like what is there already, in whatever order it is asked for. */
static void test_quota_of_several(void **state)
{
	struct ipam *ipam =
		books_of("address-pools:\n"
	                 "- {name: a, protocol: layer2, addresses: [10.0.0.0-10.0.0.9],\n"
	                 "   addresses-per-service: 2,\n"
	                 "   quota: [{namespaces: [shop], addresses: 1}]}\n");

	(void)state;
	gets(ipam, (struct asking){ "shop/a", "10.0.0.1" }, "10.0.0.1");
	refused(ipam, (struct asking){ "shop/a", "10.0.0.1 10.0.0.2", .held = "" },
	        REASON_QuotaReached, "10.0.0.2 is not given");
	refused(ipam, (struct asking){ "shop/a", "10.0.0.2 10.0.0.1", .held = "" },
	        REASON_QuotaReached, "10.0.0.2 is not given");
	ipam_free(ipam);
}

/* It will have what is on its way beside what it asks for of the other family. */
static void test_quota_on_the_way(void **state)
{
	struct ipam *ipam = books_of(QUOTA_POOL);

	(void)state;
	gets(ipam, (struct asking){ "edge/a", .families = "6" }, "fd00::");
	refused(ipam, (struct asking){ "edge/a", "10.0.0.2", .held = "", .families = "64" },
	        REASON_QuotaReached, "10.0.0.2 is not given");
	ipam_free(ipam);
}

/* What is asked for of the other family comes in place of what it has, so that does not count. */
static void test_quota_of_exchange(void **state)
{
	static const char *const orders[] = { "10.0.0.0 fd00::1", "fd00::1 10.0.0.0" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
		struct ipam *ipam = books_of(QUOTA_POOL);
		gets(ipam, (struct asking){ "shop/a", .port = 80 }, "10.0.0.0");
		gets(ipam, (struct asking){ "shop/b", "10.0.0.5" }, "10.0.0.5");
		gets(ipam, (struct asking){ "shop/b", orders[i], .families = "46", .port = 81 },
		     "10.0.0.0 fd00::1");
		ipam_free(ipam);
	}
}

/* Another pool is tried as if this one were full, and its own bounds are its own. */
static void test_quota_of_one_pool(void **state)
{
	struct ipam *ipam = books_of(
		"address-pools:\n"
		"- {name: a, protocol: layer2, priority: 1, addresses: [10.0.0.0-10.0.0.9],\n"
		"   quota: [{namespaces: [shop], addresses: 0}]}\n"
		"- {name: b, protocol: layer2, addresses: [10.0.1.0-10.0.1.9]}\n");

	(void)state;
	gets(ipam, (struct asking){ "shop/a" }, "10.0.1.0");
	gets(ipam, (struct asking){ "home/a" }, "10.0.0.0");
	refused(ipam, (struct asking){ "shop/b", NULL, "a" }, REASON_QuotaReached,
	        "no further address: a has its quota of 0 addresses");
	ipam_free(ipam);
}

/* One that is full has nothing to do with the quota. */
static void test_quota_of_full_pool(void **state)
{
	struct ipam *ipam = books_of("address-pools:\n"
	                             "- {name: a, protocol: layer2, addresses: [10.0.0.1/32],\n"
	                             "   quota: [{namespaces: [shop], addresses: 1}]}\n");

	(void)state;
	gets(ipam, (struct asking){ "shop/a" }, "10.0.0.1");
	refused(ipam, (struct asking){ "shop/b" }, REASON_PoolExhausted, "a has all its 1");
	ipam_free(ipam);
}

static void test_quota_of_families(void **state)
{
	struct ipam *ipam = books_of(QUOTA_POOL);

	(void)state;
	gets(ipam, (struct asking){ "shop/a" }, "10.0.0.0");
	refused(ipam, (struct asking){ "shop/b", .families = "46!" }, REASON_QuotaReached,
	        "quota of 2");
	/* It makes do with one. */
	gets(ipam, (struct asking){ "shop/b", .families = "64" }, "fd00::");
	refused(ipam, (struct asking){ "shop/c" }, REASON_QuotaReached, "quota of 2");
	ipam_release(ipam, "shop/a");
	gets(ipam, (struct asking){ "shop/b", .families = "64" }, "10.0.0.0 fd00::");
	/* What stays counts, whatever is asked for first. */
	ipam_release(ipam, "shop/b");
	gets(ipam, (struct asking){ "shop/a" }, "10.0.0.0");
	gets(ipam, (struct asking){ "shop/b" }, "10.0.0.1");
	refused(ipam, (struct asking){ "shop/b", "fd00::5", .families = "46" }, REASON_QuotaReached,
	        "fd00::5 is not given");
	ipam_free(ipam);
}

/* However many share it, it counts once for those whom a bound names together. */
static void test_quota_of_shared(void **state)
{
	struct ipam *ipam = books_of(QUOTA_POOL);

	(void)state;
	gets(ipam, (struct asking){ "shop/a", .port = 1 }, "10.0.0.0");
	gets(ipam, (struct asking){ "shop/b", .port = 2 }, "10.0.0.0");
	gets(ipam, (struct asking){ "shop/c" }, "10.0.0.1");
	gets(ipam, (struct asking){ "shop/d", .port = 3 }, "10.0.0.0");
	refused(ipam, (struct asking){ "shop/e" }, REASON_QuotaReached, "quota of 2");
	/* For others it is one more. */
	gets(ipam, (struct asking){ "edge/a" }, "10.0.0.2");
	refused(ipam, (struct asking){ "dmz/a", .port = 4 }, REASON_QuotaReached, "quota of 1");
	refused(ipam, (struct asking){ "dmz/a", "10.0.0.0", .port = 4 }, REASON_QuotaReached,
	        "10.0.0.0 is not given");
	ipam_release(ipam, "edge/a");
	gets(ipam, (struct asking){ "dmz/a", .port = 4 }, "10.0.0.0");
	gets(ipam, (struct asking){ "edge/b", .port = 5 }, "10.0.0.0");
	/* It counts until the last of them has left it. */
	ipam_release(ipam, "dmz/a");
	refused(ipam, (struct asking){ "dmz/b" }, REASON_QuotaReached, "quota of 1");
	ipam_release(ipam, "edge/b");
	gets(ipam, (struct asking){ "dmz/b" }, "10.0.0.2");
	ipam_free(ipam);
}

/* An edit takes nothing away, and who holds too much may change what he has. */
static void test_quota_lowered(void **state)
{
	struct ipam *ipam = books_of(QUOTA_POOL);
	struct addr a[3];

	(void)state;
	parse_list("10.0.0.1 10.0.0.2 10.0.0.3", a);
	for (size_t i = 0; i < 3; i++) {
		const char *const keys[] = { "shop/a", "shop/b", "shop/c" };
		assert_int_equal(ipam_hold_any(ipam, keys[i], &a[i], 1), 1);
		keeps(ipam, (struct asking){ keys[i] }, addr_str(&a[i]));
	}
	gets(ipam, (struct asking){ "shop/a", "10.0.0.9" }, "10.0.0.9");
	ipam_release(ipam, "shop/a");
	ipam_freed_seen(ipam);
	refused(ipam, (struct asking){ "shop/d" }, REASON_QuotaReached, "quota of 2");
	ipam_release(ipam, "shop/b");
	gets(ipam, (struct asking){ "shop/d" }, "10.0.0.0");
	ipam_free(ipam);
}

/* A reservation is no right to more than the quota. */
static void test_quota_of_reserved(void **state)
{
	struct ipam *ipam =
		books_of("address-pools:\n"
	                 "- {name: a, protocol: layer2, addresses: [10.0.0.0-10.0.0.9],\n"
	                 "   reservations: [{service: shop/b, address: 10.0.0.5}],\n"
	                 "   quota: [{namespaces: [shop], addresses: 1}]}\n");

	(void)state;
	gets(ipam, (struct asking){ "shop/a" }, "10.0.0.0");
	refused(ipam, (struct asking){ "shop/b" }, REASON_QuotaReached, "10.0.0.5 is not given");
	ipam_freed_seen(ipam);
	assert_false(is_concerned(ipam, (struct asking){ "shop/b" }));
	ipam_release(ipam, "shop/a");
	assert_true(is_concerned(ipam, (struct asking){ "shop/b" }));
	gets(ipam, (struct asking){ "shop/b" }, "10.0.0.5");
	ipam_free(ipam);
}

/* Only those are woken whom it concerns. */
static void test_quota_wakes(void **state)
{
	const struct asking waits = { "shop/c" }, asks = { "shop/c", "10.0.0.8" };
	struct ipam *ipam = books_of(QUOTA_POOL);

	(void)state;
	gets(ipam, (struct asking){ "shop/a" }, "10.0.0.0");
	gets(ipam, (struct asking){ "shop/b" }, "10.0.0.1");
	gets(ipam, (struct asking){ "home/a" }, "10.0.0.2");
	gets(ipam, (struct asking){ "edge/a" }, "10.0.0.3");
	ipam_freed_seen(ipam);
	/* Others' addresses are of no use to it. */
	ipam_release(ipam, "home/a");
	assert_false(is_concerned(ipam, waits));
	assert_false(is_concerned(ipam, asks));
	ipam_release(ipam, "edge/a");
	assert_false(is_concerned(ipam, waits));
	assert_true(is_concerned(ipam, (struct asking){ "dmz/c" }));
	ipam_freed_seen(ipam);
	/* One of its own lets it have one, of whatever family. */
	ipam_release(ipam, "shop/b");
	assert_true(is_concerned(ipam, waits));
	assert_true(is_concerned(ipam, asks));
	assert_true(is_concerned(ipam, (struct asking){ "shop/c", .families = "6" }));
	assert_false(is_concerned(ipam, (struct asking){ "home/c", .families = "6" }));
	ipam_freed_seen(ipam);
	assert_false(is_concerned(ipam, waits));
	ipam_free(ipam);
}

/* ---- cool-down ---- */

#define COOLING_POOL                                                                       \
	"address-pools:\n"                                                                 \
	"- {name: lan, protocol: layer2, addresses: [10.0.0.1-10.0.0.3], cool-down: 5m,\n" \
	"   share-across-namespaces: true}\n"

static void test_cools_down(void **state)
{
	struct ipam *ipam = books_of(COOLING_POOL);

	(void)state;
	assert_false(ipam_set_time(ipam, 1000));
	gets(ipam, (struct asking){ "shop/a" }, "10.0.0.1");
	gets(ipam, (struct asking){ "shop/b" }, "10.0.0.2");
	ipam_release(ipam, "shop/a");
	assert_int_equal(ipam_next_cooled(ipam), 1300);
	/* Others get what was free for longer, and not this one when they ask for it. */
	gets(ipam, (struct asking){ "shop/c" }, "10.0.0.3");
	refused(ipam, (struct asking){ "shop/d", "10.0.0.1" }, REASON_CoolingDown,
	        "10.0.0.1 cools down until 1970-01-01T00:21:40Z: another Service had it");
	refused(ipam, (struct asking){ "shop/d" }, REASON_CoolingDown,
	        "no free address: lan has all its 3 IPv4 addresses in use or cooling down, the "
	        "next until 1970-01-01T00:21:40Z");
	struct ipam_pool_usage u = ipam_usage(ipam, 0);
	assert_int_equal(u.used[0], 2);
	assert_int_equal(u.free[0], 0);
	assert_int_equal(u.cooling[0], 1);
	/* The same one has it at once, also before lower ones. */
	ipam_release(ipam, "shop/b");
	gets(ipam, (struct asking){ "shop/b" }, "10.0.0.2");
	ipam_freed_seen(ipam);
	assert_false(ipam_set_time(ipam, 1299));
	assert_false(is_concerned(ipam, (struct asking){ "shop/d" }));
	assert_true(ipam_set_time(ipam, 1300));
	assert_true(is_concerned(ipam, (struct asking){ "shop/d" }));
	assert_true(is_concerned(ipam, (struct asking){ "shop/d", "10.0.0.1" }));
	gets(ipam, (struct asking){ "shop/d" }, "10.0.0.1");
	assert_int_equal(ipam_next_cooled(ipam), INT64_MAX);
	ipam_free(ipam);
}

/* What was let go by a clock that is set back later cools no longer than any other. */
static void test_cooling_by_a_clock_that_is_set_back(void **state)
{
	struct ipam *ipam = books_of(COOLING_POOL);
	cleanup(buf_fini) struct buf text = BUF_INIT;

	(void)state;
	gets(ipam, (struct asking){ "shop/a" }, "10.0.0.1");
	gets(ipam, (struct asking){ "shop/b" }, "10.0.0.2");
	ipam_set_time(ipam, 900);
	ipam_release(ipam, "shop/b");
	ipam_set_time(ipam, 100000);
	gets(ipam, (struct asking){ "shop/b" }, "10.0.0.2");
	ipam_release(ipam, "shop/a");
	uint64_t n = ipam_n_noted(ipam);
	ipam_set_time(ipam, 100001);
	assert_int_equal(ipam_n_noted(ipam), n);
	assert_false(ipam_set_time(ipam, 1000));
	/* So it is written anew. */
	assert_true(ipam_n_noted(ipam) > n);
	ipam_print_cooling(ipam, SIZE_MAX, &text);
	assert_string_equal(buf_str(&text), "10.0.0.1 shop/a 1000\n");
	assert_true(ipam_set_time(ipam, 1300));
	ipam_free(ipam);
}

/* What somebody lets go that cools down is of use to nobody: who waits is told so, once. */
static void test_cooling_wakes_once(void **state)
{
	struct ipam *ipam = books_of(COOLING_POOL);

	(void)state;
	ipam_set_time(ipam, 1000);
	gets(ipam, (struct asking){ "shop/a" }, "10.0.0.1");
	gets(ipam, (struct asking){ "shop/b" }, "10.0.0.2");
	gets(ipam, (struct asking){ "shop/c" }, "10.0.0.3");
	ipam_freed_seen(ipam);
	refused(ipam, (struct asking){ "shop/d" }, REASON_PoolExhausted, "");
	ipam_release(ipam, "shop/a");
	assert_true(is_concerned(ipam, (struct asking){ "shop/d" }));
	assert_true(is_concerned(ipam, (struct asking){ "shop/d", "10.0.0.1" }));
	assert_false(is_concerned(ipam, (struct asking){ "shop/d", "10.0.0.2" }));
	refused(ipam, (struct asking){ "shop/d" }, REASON_CoolingDown, "");
	ipam_freed_seen(ipam);
	ipam_set_time(ipam, 1010);
	ipam_release(ipam, "shop/b");
	assert_false(is_concerned(ipam, (struct asking){ "shop/d" }));
	assert_false(is_concerned(ipam, (struct asking){ "shop/d", "10.0.0.1" }));
	assert_true(is_concerned(ipam, (struct asking){ "shop/d", "10.0.0.2" }));
	gets(ipam, (struct asking){ "shop/b" }, "10.0.0.2");
	/* The one that was let go first is free first. */
	ipam_set_time(ipam, 1100);
	ipam_release(ipam, "shop/c");
	ipam_set_time(ipam, 1300);
	gets(ipam, (struct asking){ "shop/d" }, "10.0.0.1");
	refused(ipam, (struct asking){ "shop/e" }, REASON_CoolingDown, "00:23:20Z");
	ipam_free(ipam);
}

/* Of those who share, the last one to go has it cool down. */
static void test_cooling_of_shared(void **state)
{
	struct ipam *ipam = books_of(COOLING_POOL);

	(void)state;
	ipam_set_time(ipam, 1000);
	gets(ipam, (struct asking){ "shop/a", .port = 1 }, "10.0.0.1");
	gets(ipam, (struct asking){ "shop/b", .port = 2 }, "10.0.0.1");
	ipam_release(ipam, "shop/a");
	assert_int_equal(ipam_next_cooled(ipam), INT64_MAX);
	gets(ipam, (struct asking){ "shop/c", .port = 3 }, "10.0.0.1");
	ipam_release(ipam, "shop/b");
	ipam_release(ipam, "shop/c");
	refused(ipam, (struct asking){ "shop/b", "10.0.0.1" }, REASON_CoolingDown, "");
	gets(ipam, (struct asking){ "shop/c" }, "10.0.0.1");
	ipam_free(ipam);
}

/* A Service that an address is reserved for waits as well. */
static void test_cooling_of_reserved(void **state)
{
	struct ipam *ipam = books_of(
		"address-pools:\n"
		"- {name: a, protocol: layer2, addresses: [10.0.0.0-10.0.0.9], cool-down: 1m,\n"
		"   reservations: [{service: shop/b, address: 10.0.0.5}]}\n");
	struct addr a;

	(void)state;
	ipam_set_time(ipam, 1000);
	parse_list("10.0.0.5", &a);
	ipam_hold_any(ipam, "shop/a", &a, 1);
	ipam_release(ipam, "shop/a");
	refused(ipam, (struct asking){ "shop/b" }, REASON_CoolingDown, "10.0.0.5 cools down");
	ipam_freed_seen(ipam);
	assert_false(is_concerned(ipam, (struct asking){ "shop/b" }));
	assert_true(ipam_set_time(ipam, 1060));
	assert_true(is_concerned(ipam, (struct asking){ "shop/b" }));
	gets(ipam, (struct asking){ "shop/b" }, "10.0.0.5");
	ipam_free(ipam);
}

/* What cools down is known again from its text, as far as that goes for the pools there are. */
static void test_cooling_as_text(void **state)
{
	struct ipam *ipam = books_of(COOLING_POOL);
	cleanup(buf_fini) struct buf text = BUF_INIT;

	(void)state;
	ipam_set_time(ipam, 1000);
	gets(ipam, (struct asking){ "shop/a" }, "10.0.0.1");
	gets(ipam, (struct asking){ "shop/b" }, "10.0.0.2");
	ipam_release(ipam, "shop/b");
	ipam_set_time(ipam, 1001);
	ipam_release(ipam, "shop/a");
	ipam_print_cooling(ipam, SIZE_MAX, &text);
	assert_string_equal(buf_str(&text), "10.0.0.1 shop/a 1001\n10.0.0.2 shop/b 1000\n");
	ipam_free(ipam);

	ipam = books_of(COOLING_POOL);
	ipam_set_time(ipam, 1100);
	ipam_read_cooling(ipam, buf_str(&text));
	/* What has passed, is in no pool, makes no sense or is of a clock that is ahead. */
	ipam_read_cooling(ipam, "10.0.0.3 shop/c 800\n10.9.0.1 shop/c 1000\n10.0.0.3\nx y z\n"
	                        "10.0.0.3 shop 1000\n10.0.0.3 shop/c 10x\n\n10.0.0.3 a/b -1");
	gets(ipam, (struct asking){ "shop/c" }, "10.0.0.3");
	refused(ipam, (struct asking){ "shop/d" }, REASON_CoolingDown, "00:21:40Z");
	gets(ipam, (struct asking){ "shop/a" }, "10.0.0.1");
	ipam_release(ipam, "shop/c");
	ipam_read_cooling(ipam, "10.0.0.3 shop/z 9999999999999999\n10.0.0.1 shop/z 1100\n");
	assert_int_equal(ipam_next_cooled(ipam), 1300);
	assert_true(ipam_set_time(ipam, 1400));
	assert_int_equal(ipam_next_cooled(ipam), INT64_MAX);
	ipam_free(ipam);
}

/* Not every address fits: the last ones are those that a new leader has to know. */
static void test_cooling_as_short_text(void **state)
{
	struct ipam *ipam = books_of(COOLING_POOL);
	cleanup(buf_fini) struct buf text = BUF_INIT;

	(void)state;
	gets(ipam, (struct asking){ "shop/a" }, "10.0.0.1");
	gets(ipam, (struct asking){ "shop/b" }, "10.0.0.2");
	ipam_set_time(ipam, 1);
	ipam_release(ipam, "shop/a");
	ipam_set_time(ipam, 2);
	ipam_release(ipam, "shop/b");
	ipam_print_cooling(ipam, 430, &text);
	assert_string_equal(buf_str(&text), "10.0.0.2 shop/b 2\n");
	ipam_free(ipam);
}

/* So many addresses from 10.0.0.0 on, one a second. */
static void let_go(struct ipam *ipam, size_t n, int64_t since_s, struct buf *ret_text)
{
	for (size_t i = 0; i < n; i++) {
		const struct addr a = {
			.family = 4, .b = { 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i }
		};
		ipam_set_time(ipam, since_s + (int64_t)i);
		ipam_hold_any(ipam, "shop/s", &a, 1);
		ipam_release(ipam, "shop/s");
	}
	ipam_print_cooling(ipam, SIZE_MAX, ret_text);
}

/* However many there are, and in whatever order. */
static void test_cooling_of_many(void **state)
{
	static const char pool[] =
		"address-pools:\n"
		"- {name: a, protocol: layer2, addresses: [10.0.0.0/16], cool-down: 24h}\n";
	enum { MANY = LIMIT_COOLING_ADDRESSES };
	cleanup(buf_fini) struct buf text = BUF_INIT;
	cleanup(buf_fini) struct buf again = BUF_INIT;
	struct ipam *ipam = books_of(pool);

	(void)state;
	let_go(ipam, MANY, 1000, &text);
	assert_int_equal(ipam_usage(ipam, 0).cooling[0], MANY);
	/* One more, and the first is for anybody. */
	ipam_freed_seen(ipam);
	gets(ipam, (struct asking){ "shop/t", "10.0.255.0" }, "10.0.255.0");
	ipam_release(ipam, "shop/t");
	assert_int_equal(ipam_usage(ipam, 0).cooling[0], MANY);
	assert_true(is_concerned(ipam, (struct asking){ "shop/u" }));
	gets(ipam, (struct asking){ "shop/u", "10.0.0.0" }, "10.0.0.0");
	ipam_free(ipam);

	/* Known again, also beside others; the latest stay. */
	ipam = books_of(pool);
	ipam_set_time(ipam, 1000 + MANY);
	ipam_read_cooling(ipam, buf_str(&text));
	assert_int_equal(ipam_usage(ipam, 0).cooling[0], MANY);
	assert_true(ipam->n_cooling_steps <= 2 * MANY);
	ipam_print_cooling(ipam, SIZE_MAX, &again);
	assert_string_equal(buf_str(&again), buf_str(&text));
	ipam_free(ipam);
	ipam = books_of(pool);
	buf_fini(&again);
	let_go(ipam, MANY / 2, 1000 + MANY / 4, &again);
	ipam->n_cooling_steps = 0;
	ipam_read_cooling(ipam, buf_str(&text));
	assert_true(ipam->n_cooling_steps <= 3 * MANY);
	ipam_free(ipam);
}

/*
 * Whoever comes and goes without end leaves half of the pool to others, or what his quota does not.
 */
static void test_cooling_of_a_namespace(void **state)
{
	static const struct {
		const char *quota;
		uint64_t n;
	} rows[] = {
		{ "", 5 },
		{ ", quota: [{namespaces: [team], addresses: 2}, {namespaces: [shop], addresses: 1}]",
		  2 },
		{ ", quota: [{namespaces: [team], addresses: 9}]", 5 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_free char *yaml =
			xasprintf("address-pools:\n- {name: a, protocol: layer2, cool-down: 1h,\n"
		                  "   addresses: [10.0.0.1-10.0.0.10, 'fd00::/126']%s}\n",
		                  rows[i].quota);
		struct ipam *ipam = books_of(yaml);
		for (int k = 0; k < 20; k++) {
			ipam_set_time(ipam, 1000 + k);
			cleanup_free char *key = xasprintf("team/s%d", k);
			const struct addr a = { .family = 4,
				                .b = { 10, 0, 0, (uint8_t)(1 + k % 10) } };
			assert_int_equal(ipam_hold(ipam, key, &a, 1), 1);
			ipam_freed_seen(ipam);
			ipam_release(ipam, key);
			/* Who waits is woken when the first one goes. */
			assert_int_equal(is_concerned(ipam, (struct asking){ "shop/w" }),
			                 (uint64_t)k >= rows[i].n || k == 0);
		}
		assert_int_equal(ipam_usage(ipam, 0).cooling[0], rows[i].n);
		const struct addr six = { .family = 6, .b = { 0xfd } };
		ipam_hold(ipam, "team/six", &six, 1);
		ipam_release(ipam, "team/six");
		assert_int_equal(ipam_usage(ipam, 0).cooling[1], 1);
		/* The latest stay, and another namespace has its own. */
		refused(ipam, (struct asking){ "shop/w", "10.0.0.10" }, REASON_CoolingDown, "");
		gets(ipam, (struct asking){ "shop/w", "10.0.0.1" }, "10.0.0.1");
		ipam_release(ipam, "shop/w");
		assert_int_equal(ipam_usage(ipam, 0).cooling[0], rows[i].n + 1);
		ipam_free(ipam);
	}
}

/* ---- allocation ---- */

#define RANDOM_POOL                                                                           \
	"address-pools:\n"                                                                    \
	"- {name: lan, protocol: layer2, addresses: [10.0.0.4-10.0.0.7, 10.0.1.0-10.0.1.3,\n" \
	"   'fd00::/64'], avoid-buggy-ips: true, allocation: random}\n"

/*
 * The lot falls on an address of the pool, and of those from there on the first free one is given.
 */
static void test_random(void **state)
{
	struct ipam *ipam = books_of(RANDOM_POOL);

	(void)state;
	gets(ipam, (struct asking){ "shop/a", .lot = 2 }, "10.0.0.6");
	gets(ipam, (struct asking){ "shop/b", .lot = 10 }, "10.0.0.7");
	/* 10.0.1.0 is not given. */
	gets(ipam, (struct asking){ "shop/c", .lot = 4 }, "10.0.1.1");
	gets(ipam, (struct asking){ "shop/d", .lot = 7 }, "10.0.1.3");
	gets(ipam, (struct asking){ "shop/e", .lot = 15 }, "10.0.0.4");
	gets(ipam, (struct asking){ "shop/f", .lot = 1ULL << 63 | 1, .families = "6" },
	     "fd00::8000:0:0:1");
	keeps(ipam, (struct asking){ "shop/a", .lot = 3 }, "10.0.0.6");
	ipam_free(ipam);
}

/* All are given, whatever lots are drawn. */
static void test_random_gives_all(void **state)
{
	struct ipam *ipam = books_of(RANDOM_POOL);

	(void)state;
	for (uint64_t i = 0; i < 7; i++) {
		cleanup_free char *key = xasprintf("shop/s%u", (unsigned int)i);
		struct ipam_decision d = ask(ipam, &(struct asking){ key, .lot = 5 });
		assert_int_equal(d.reason, REASON_Assigned);
	}
	refused(ipam, (struct asking){ "shop/z", .lot = 5 }, REASON_PoolExhausted, "all its 7");
	ipam_free(ipam);
}

/* Of one priority the pool of which less is in use, before those that go by name. */
static void test_least_used(void **state)
{
	struct ipam *ipam = books_of(
		"address-pools:\n"
		"- {name: a, protocol: layer2, priority: 1, addresses: [10.0.0.8-10.0.0.9]}\n"
		"- {name: b, protocol: layer2, priority: 1, addresses: [10.0.0.1-10.0.0.2],\n"
		"   allocation: least-used-pool}\n"
		"- {name: c, protocol: layer2, priority: 1, addresses: [10.0.1.1-10.0.1.4],\n"
		"   allocation: least-used-pool}\n"
		"- {name: d, protocol: layer2, priority: 2, addresses: [10.0.1.8-10.0.1.9],\n"
		"   allocation: least-used-pool}\n");

	static const char *const order[] = { "10.0.0.1", "10.0.1.1", "10.0.1.2",
		                             "10.0.0.2", "10.0.1.3", "10.0.1.4",
		                             "10.0.0.8", "10.0.0.9", "10.0.1.8" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		cleanup_free char *key = xasprintf("shop/s%zu", i);
		gets(ipam, (struct asking){ key }, order[i]);
	}
	ipam_free(ipam);
}

#define TURNS                                                                               \
	"address-pools:\n"                                                                  \
	"- {name: a, protocol: layer2, addresses: [10.0.1.0-10.0.1.1, 10.0.0.4-10.0.0.5,\n" \
	"   'fd00::/126'], exclude: [10.0.1.0/32], allocation: round-robin}\n"

/* After the one that was given last, for each family by itself, and then from the lowest on. */
static void test_in_turn(void **state)
{
	struct ipam *ipam = books_of(TURNS);

	(void)state;
	gets(ipam, (struct asking){ "shop/a" }, "10.0.0.4");
	ipam_release(ipam, "shop/a");
	gets(ipam, (struct asking){ "shop/b", .families = "46" }, "10.0.0.5 fd00::");
	ipam_release(ipam, "shop/b");
	gets(ipam, (struct asking){ "shop/c" }, "10.0.1.1");
	ipam_release(ipam, "shop/c");
	gets(ipam, (struct asking){ "shop/d", .families = "46" }, "10.0.0.4 fd00::1");
	keeps(ipam, (struct asking){ "shop/d", .families = "46" }, "10.0.0.4 fd00::1");
	/* Out of turn, and so the turn stays. */
	gets(ipam, (struct asking){ "shop/e", "10.0.1.1" }, "10.0.1.1");
	ipam_release(ipam, "shop/e");
	gets(ipam, (struct asking){ "shop/f" }, "10.0.0.5");
	ipam_release(ipam, "shop/d");
	gets(ipam, (struct asking){ "shop/g" }, "10.0.1.1");
	gets(ipam, (struct asking){ "shop/h" }, "10.0.0.4");
	refused(ipam, (struct asking){ "shop/i" }, REASON_PoolExhausted, "all its 3");
	ipam_free(ipam);
}

/* The text that says which one was the last; what it says of others is of no effect. */
static void test_turns_as_text(void **state)
{
	struct ipam *ipam = books_of(TURNS);
	cleanup(buf_fini) struct buf text = BUF_INIT;
	uint64_t n = ipam_n_noted(ipam);

	(void)state;
	ipam_print_cooling(ipam, SIZE_MAX, &text);
	assert_string_equal(buf_str(&text), "");
	gets(ipam, (struct asking){ "shop/a", .families = "46" }, "10.0.0.4 fd00::");
	gets(ipam, (struct asking){ "shop/b" }, "10.0.0.5");
	assert_int_equal(ipam_n_noted(ipam), n + 3);
	gets(ipam, (struct asking){ "shop/c", "fd00::2", .families = "6" }, "fd00::2");
	assert_int_equal(ipam_n_noted(ipam), n + 3);
	ipam_print_cooling(ipam, SIZE_MAX, &text);
	assert_string_equal(buf_str(&text), "last 10.0.0.5 a\nlast fd00:: a\n");
	ipam_free(ipam);
	/* The pool may have another name by now, and exclude the address. */
	ipam = books_of("address-pools:\n"
	                "- {name: b, protocol: layer2, addresses: [10.0.0.0/29, 'fd00::/64'],\n"
	                "   exclude: [10.0.0.5/32], allocation: round-robin}\n"
	                "- {name: c, protocol: layer2, addresses: [10.0.1.0/29]}\n");
	ipam_read_cooling(ipam, buf_str(&text));
	ipam_read_cooling(ipam, "last 10.0.1.2\nlast 10.9.9.9\nlast\nlast x\nlast 10.0.0.1x b\n"
	                        "last 10.0.1.3 c\nlast 10.9.9.9 x\n");
	gets(ipam, (struct asking){ "shop/a", .pool = "b", .families = "46" }, "10.0.0.6 fd00::1");
	gets(ipam, (struct asking){ "shop/b", .pool = "c" }, "10.0.1.0");
	ipam_free(ipam);
	/* Or not have the address any more: it goes on after it. */
	ipam = books_of("address-pools:\n"
	                "- {name: a, protocol: layer2, addresses: [10.0.0.2/32, 10.0.0.8/29],\n"
	                "   allocation: round-robin}\n"
	                "- {name: c, protocol: layer2, addresses: [10.0.0.5/32]}\n");
	ipam_read_cooling(ipam, buf_str(&text));
	gets(ipam, (struct asking){ "shop/a", .pool = "a" }, "10.0.0.8");
	ipam_free(ipam);
	/* What an earlier leader wrote says no pool. */
	ipam = books_of(TURNS);
	ipam_read_cooling(ipam, "last 10.0.0.4\n");
	gets(ipam, (struct asking){ "shop/a" }, "10.0.0.5");
	ipam_free(ipam);
}

/* After the highest address that there is. */
static void test_turns_at_the_end(void **state)
{
	struct ipam *ipam = books_of("address-pools:\n"
	                             "- {name: a, protocol: layer2, allocation: round-robin,\n"
	                             "   addresses: [255.255.255.254-255.255.255.255,\n"
	                             "   10.0.0.1/32]}\n");

	(void)state;
	ipam_read_cooling(ipam, "last 255.255.255.255\n");
	gets(ipam, (struct asking){ "shop/a" }, "10.0.0.1");
	ipam_free(ipam);
}

/* An address that no pool has, or that its pool never gives, is not waited for. */
static void test_asked_in_vain(void **state)
{
	struct ipam *ipam = books_of("address-pools:\n"
	                             "- {name: a, protocol: layer2, addresses: [10.0.0.0/28],\n"
	                             "   exclude: [10.0.0.7/32]}\n");

	(void)state;
	gets(ipam, (struct asking){ "shop/a" }, "10.0.0.0");
	gets(ipam, (struct asking){ "shop/b" }, "10.0.0.1");
	ipam_release(ipam, "shop/a");
	assert_false(is_concerned(ipam, (struct asking){ "shop/c", "10.9.0.1" }));
	assert_false(is_concerned(ipam, (struct asking){ "shop/c", "10.0.0.7" }));
	assert_false(is_concerned(ipam, (struct asking){ "shop/c", "10.0.0.1" }));
	assert_true(is_concerned(ipam, (struct asking){ "shop/c", "10.0.0.0" }));
	ipam_free(ipam);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quota),
		cmocka_unit_test(test_quota_of_several),
		cmocka_unit_test(test_quota_on_the_way),
		cmocka_unit_test(test_quota_of_exchange),
		cmocka_unit_test(test_quota_of_one_pool),
		cmocka_unit_test(test_quota_of_full_pool),
		cmocka_unit_test(test_quota_of_families),
		cmocka_unit_test(test_quota_of_shared),
		cmocka_unit_test(test_quota_lowered),
		cmocka_unit_test(test_quota_of_reserved),
		cmocka_unit_test(test_quota_wakes),
		cmocka_unit_test(test_cools_down),
		cmocka_unit_test(test_cooling_by_a_clock_that_is_set_back),
		cmocka_unit_test(test_cooling_wakes_once),
		cmocka_unit_test(test_cooling_of_shared),
		cmocka_unit_test(test_cooling_of_reserved),
		cmocka_unit_test(test_cooling_as_text),
		cmocka_unit_test(test_cooling_as_short_text),
		cmocka_unit_test(test_cooling_of_many),
		cmocka_unit_test(test_cooling_of_a_namespace),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_random_gives_all),
		cmocka_unit_test(test_least_used),
		cmocka_unit_test(test_in_turn),
		cmocka_unit_test(test_turns_as_text),
		cmocka_unit_test(test_turns_at_the_end),
		cmocka_unit_test(test_asked_in_vain),
	};

	return cmocka_run_group_tests_name("giving", tests, NULL, NULL);
}
