/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <stdlib.h>

#include "fairlead/ipam.h"
#include "fairlead/seniority.h"
#include "fairlead/mem.h"
#include "ipam/runs.h"

/* ---- helpers ---- */

/* What was accepted once may have peers in its pools. */
static struct configuration *config_of(const char *yaml)
{
	struct config_problems errors = { 0 };
	struct configuration *c = NULL;
	int r = configuration_parse_published(yaml, NULL, &c, &errors, NULL);

	for (size_t i = 0; i < errors.n; i++)
		print_error("%u %s\n", errors.items[i].line, errors.items[i].message);
	config_problems_fini(&errors);
	assert_int_equal(r, 0);
	return c;
}

static struct ipam *ipam_of(const char *yaml)
{
	struct configuration *c = config_of(yaml);
	struct ipam *ipam = ipam_new(c);

	configuration_unref(c);
	return ipam;
}

static struct addr addr(const char *s)
{
	struct addr a = { 0 };

	assert_int_equal(addr_parse(s, &a), 0);
	return a;
}

/* "10.0.0.1,fd00::1" */
static size_t addrs(const char *list, struct addr *out, size_t max)
{
	cleanup_free char *copy = xstrdup(list);
	char *save = NULL;
	size_t n = 0;

	for (char *w = strtok_r(copy, ",", &save); w && n < max; w = strtok_r(NULL, ",", &save))
		out[n++] = addr(w);
	return n;
}

/* Families as "4", "6", "46", "64"; a "+" behind them: RequireDualStack. */
static struct ipam_request request(const char *families, const char *asked, const char *pool,
                                   const char *held)
{
	struct ipam_request r = { .wish = IPAM_WISH_ADDRESS, .use = CONFIG_USE_LOAD_BALANCER };

	for (; *families; families++) {
		if (*families == '+')
			r.needs_both = true;
		else
			r.families[r.n_families++] = (uint8_t)(*families - '0');
	}
	r.n_asked = (uint8_t)addrs(asked, r.asked, IPAM_ADDRS_MAX);
	r.n_held = (uint8_t)addrs(held, r.held, IPAM_STATUS_MAX);
	r.pool = pool[0] ? xstrdup(pool) : NULL;
	return r;
}

static void hold(struct ipam *ipam, const char *key, const char *list)
{
	struct addr a[IPAM_STATUS_MAX];
	size_t n = addrs(list, a, IPAM_STATUS_MAX);

	ipam_hold(ipam, key, a, n);
}

static const char *text_of(const struct ipam_decision *d)
{
	static char out[256];
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < d->n; i++)
		used += (size_t)snprintf(out + used, sizeof(out) - used, "%s%s", i ? "," : "",
		                         addr_str(&d->addrs[i]));
	return out;
}

/* ---- decisions, case by case ---- */

static const char world[] =
	"address-pools:\n"
	"- {name: b-lan, protocol: layer2, addresses: [192.168.1.240-192.168.1.242]}\n"
	"- {name: c-dual, protocol: layer2, addresses: [10.0.0.1-10.0.0.2, 'fd00::1-fd00::2']}\n"
	"- {name: a-manual, protocol: layer2, auto-assign: false, addresses: [172.16.0.0/30]}\n"
	"- {name: buggy, protocol: layer2, auto-assign: false, avoid-buggy-ips: true, "
	"addresses: [10.9.0.254-10.9.1.1]}\n"
	"- {name: z-first, protocol: layer2, priority: 5, addresses: [192.168.7.7/32]}\n"
	"- {name: v6, protocol: layer2, priority: 9, addresses: ['2001:db8::/64']}\n"
	"- {name: external, protocol: layer2, priority: 1, use: [external-ip], "
	"addresses: [198.51.100.0/28, '2001:db8:1::/64']}\n"
	"- {name: gaps, protocol: layer2, auto-assign: false, exclude: [10.8.0.1-10.8.0.2, "
	"10.8.0.3/32, 10.9.9.9/32], addresses: [10.8.0.0-10.8.0.4]}\n"
	"- {name: z-booked, protocol: layer2, auto-assign: false, addresses: [10.6.0.0-10.6.0.2, "
	"'fd00:6::/126'], reservations: [{service: shop/web, address: 10.6.0.1}, "
	"{service: shop/web, address: 'fd00:6::2'}, {service: x/y, address: 10.6.0.2}]}\n"
	"- {name: off, protocol: layer2, disabled: true, priority: 0, "
	"addresses: [10.7.0.0/30, 'fd00:7::/126']}\n"
	"- {name: many, protocol: layer2, auto-assign: false, addresses-per-service: 2, "
	"addresses: [10.5.0.0/28, 'fd00:5::/124']}\n"
	"- {name: any-use, protocol: layer2, auto-assign: false, use: [external-ip, load-balancer], "
	"addresses: [198.51.101.0/28]}\n";

static const struct {
	const char *what;
	const char *others; /* "key=addr key=addr": held before */
	const char *families, *asked, *pool, *held;
	enum ipam_action action;
	enum reason reason;
	const char *addrs, *message; /* contained in it */
} cases[] = {
	{ "by priority first", "", "4", "", "", "", IPAM_ASSIGN, REASON_Assigned, "192.168.7.7",
	  "assigned 192.168.7.7 from pool z-first" },
	{ "then by name, the lowest", "x/a=192.168.7.7 x/b=192.168.1.240", "4", "", "", "",
	  IPAM_ASSIGN, REASON_Assigned, "192.168.1.241", "pool b-lan" },
	{ "a hole is filled", "x/a=192.168.7.7 x/b=192.168.1.241", "4", "", "", "", IPAM_ASSIGN,
	  REASON_Assigned, "192.168.1.240", "" },
	{ "IPv6 from a pool that has it", "", "6", "", "", "", IPAM_ASSIGN, REASON_Assigned,
	  "2001:db8::", "pool v6" },
	{ "holders keep", "", "4", "", "", "192.168.1.242", IPAM_KEEP, REASON_Kept, "192.168.1.242",
	  "keeps 192.168.1.242 of pool b-lan" },
	{ "holders keep what is not assigned automatically", "", "4", "", "", "172.16.0.1",
	  IPAM_KEEP, REASON_Kept, "172.16.0.1", "" },
	{ "holders keep buggy addresses", "", "4", "", "", "10.9.0.255", IPAM_KEEP, REASON_Retained,
	  "10.9.0.255", "pool buggy no longer gives 10.9.0.255" },
	{ "nothing asked of a pool for external IPs",
	  "x/a=192.168.7.7 x/b=192.168.1.240 x/c=192.168.1.241 x/d=192.168.1.242 x/e=10.0.0.1 "
	  "x/f=10.0.0.2",
	  "4", "", "", "", IPAM_FAIL, REASON_PoolExhausted, "", "" },
	{ "a pool for external IPs asked for", "", "4", "", "external", "", IPAM_FAIL,
	  REASON_PoolNotForUse, "", "pool external is not for load balancers; see its use" },
	{ "an address of a pool for external IPs", "", "4", "198.51.100.1", "", "", IPAM_FAIL,
	  REASON_PoolNotForUse, "", "pool external is not for load balancers" },
	{ "a pool for both", "", "4", "", "any-use", "", IPAM_ASSIGN, REASON_Assigned,
	  "198.51.101.0", "" },
	{ "holders keep what is no longer for them", "", "4", "", "", "198.51.100.1", IPAM_KEEP,
	  REASON_Retained, "198.51.100.1", "pool external is no longer for load balancers" },
	{ "and one address has to do", "", "46", "", "", "198.51.100.1", IPAM_KEEP, REASON_Retained,
	  "198.51.100.1", "" },
	{ "unless both are needed", "", "46+", "", "", "198.51.100.1", IPAM_FAIL,
	  REASON_PoolExhausted, "198.51.100.1", "external is not for this use" },
	{ "no cluster IP yet", "", "", "", "", "", IPAM_FAIL, REASON_NoClusterIP, "", "" },
	{ "no cluster IP yet, holding", "", "", "", "", "192.168.1.242", IPAM_FAIL,
	  REASON_NoClusterIP, "192.168.1.242", "the status keeps 192.168.1.242" },

	/* asked for */
	{ "asked", "", "4", "192.168.1.242", "", "", IPAM_ASSIGN, REASON_Assigned, "192.168.1.242",
	  "" },
	{ "asked, not automatic", "", "4", "172.16.0.3", "", "", IPAM_ASSIGN, REASON_Assigned,
	  "172.16.0.3", "a-manual" },
	{ "asked pool", "", "4", "", "a-manual", "", IPAM_ASSIGN, REASON_Assigned, "172.16.0.0",
	  "" },
	{ "asked pool without buggy ones", "x/a=10.9.0.254", "4", "", "buggy", "", IPAM_ASSIGN,
	  REASON_Assigned, "10.9.1.1", "" },
	{ "asked pool and address", "", "4", "172.16.0.2", "a-manual", "", IPAM_ASSIGN,
	  REASON_Assigned, "172.16.0.2", "" },
	{ "asked outside", "", "4", "8.8.8.8", "", "", IPAM_FAIL, REASON_AddressOutsidePools, "",
	  "8.8.8.8 was asked for, but is in no pool" },
	{ "asked taken", "shop/web=192.168.1.241", "4", "192.168.1.241", "", "", IPAM_FAIL,
	  REASON_AddressTaken, "", "belongs to a Service of another namespace" },
	{ "asked of the wrong family", "", "4", "fd00::1", "", "", IPAM_FAIL, REASON_FamilyMismatch,
	  "", "no IPv6 cluster IP" },
	{ "asked in another pool", "", "4", "192.168.1.241", "a-manual", "", IPAM_FAIL,
	  REASON_AddressNotInNamedPool, "", "is in pool b-lan" },
	{ "asked buggy", "", "4", "10.9.0.255", "", "", IPAM_FAIL, REASON_AddressUnusable, "",
	  "avoid-buggy-ips" },
	{ "asked for what is excluded", "", "4", "10.8.0.2", "", "", IPAM_FAIL,
	  REASON_AddressUnusable, "", "10.8.0.2 was asked for, but pool gaps excludes it" },
	{ "asked pool without what it excludes", "x/a=10.8.0.0", "4", "", "gaps", "", IPAM_ASSIGN,
	  REASON_Assigned, "10.8.0.4", "" },
	{ "holders keep what is excluded", "", "4", "", "", "10.8.0.2", IPAM_KEEP, REASON_Retained,
	  "10.8.0.2", "pool gaps no longer gives 10.8.0.2" },
	{ "a pool with nothing but what is held and excluded", "x/a=10.8.0.0 x/b=10.8.0.4", "4", "",
	  "gaps", "", IPAM_FAIL, REASON_PoolExhausted, "", "gaps has all its 2 IPv4" },
	{ "reserved for another", "", "4", "10.6.0.1", "", "", IPAM_FAIL, REASON_AddressReserved,
	  "", "10.6.0.1 was asked for, but is reserved for a Service of another namespace" },
	{ "of those that nobody reserves", "x/a=10.6.0.0", "4", "", "z-booked", "", IPAM_FAIL,
	  REASON_PoolExhausted, "", "booked has all its 3 IPv4 addresses in use or reserved" },
	{ "who has what is reserved for another keeps it", "", "4", "", "", "10.6.0.1", IPAM_KEEP,
	  REASON_Retained, "10.6.0.1", "10.6.0.1 is reserved for a Service of another namespace" },
	{ "asked for a pool that is disabled", "", "4", "", "off", "", IPAM_FAIL,
	  REASON_PoolDisabled, "", "pool off is disabled, and gives nothing new" },
	{ "asked for an address of one", "", "4", "10.7.0.1", "", "", IPAM_FAIL,
	  REASON_PoolDisabled, "", "" },
	{ "who has one of it keeps it", "", "4", "", "", "10.7.0.1", IPAM_KEEP, REASON_Kept,
	  "10.7.0.1", "of pool off" },
	{ "and gets no second one", "", "46", "", "", "10.7.0.1", IPAM_KEEP, REASON_Kept,
	  "10.7.0.1", "" },
	{ "asked special", "", "4", "224.0.0.1", "", "", IPAM_FAIL, REASON_AddressUnusable, "",
	  "multicast" },
	{ "asked no pool", "", "4", "", "nowhere", "", IPAM_FAIL, REASON_NoSuchPool, "",
	  "pool nowhere was asked for" },
	{ "asked a pool without the family", "", "6", "", "b-lan", "", IPAM_FAIL,
	  REASON_PoolExhausted, "", "b-lan has no IPv6 addresses" },
	{ "asked a full pool", "x/a=192.168.7.7", "4", "", "z-first", "", IPAM_FAIL,
	  REASON_PoolExhausted, "", "z-first has all its 1 IPv4 addresses in use" },

	/* asked for something else than what it has */
	{ "moves to what it asks for", "", "4", "192.168.1.240", "", "192.168.1.242", IPAM_MOVE,
	  REASON_Assigned, "192.168.1.240", "" },
	{ "moves to the pool it asks for", "", "4", "", "a-manual", "192.168.1.242", IPAM_MOVE,
	  REASON_Assigned, "172.16.0.0", "" },
	{ "a failed request costs nothing", "x/a=192.168.1.240", "4", "192.168.1.240", "",
	  "192.168.1.242", IPAM_FAIL, REASON_AddressTaken, "192.168.1.242",
	  "belongs to a Service of another namespace; the status keeps 192.168.1.242" },
	{ "a failed request for a pool costs nothing", "", "4", "", "nowhere", "192.168.1.242",
	  IPAM_FAIL, REASON_NoSuchPool, "192.168.1.242", "" },
	{ "a withdrawn request changes nothing", "", "4", "", "", "172.16.0.3", IPAM_KEEP,
	  REASON_Kept, "172.16.0.3", "" },

	/* both families */
	{ "both from one pool", "", "46", "", "", "", IPAM_ASSIGN, REASON_Assigned,
	  "10.0.0.1,fd00::1", "pool c-dual" },
	{ "required, both", "", "64+", "", "", "", IPAM_ASSIGN, REASON_Assigned, "10.0.0.1,fd00::1",
	  "" },
	{ "required, one missing", "x/a=10.0.0.1 x/b=10.0.0.2", "46+", "", "", "", IPAM_FAIL,
	  REASON_PoolExhausted, "", "c-dual has all its 2 IPv4 addresses in use" },
	{ "required, one cluster IP", "", "4+", "", "", "", IPAM_FAIL, REASON_NoClusterIP, "",
	  "RequireDualStack" },
	{ "preferred, falls back to the primary", "x/a=10.0.0.1 x/b=10.0.0.2", "64", "", "", "",
	  IPAM_ASSIGN, REASON_Assigned, "2001:db8::", "pool v6" },
	{ "preferred, adds the second from the same pool", "", "46", "", "", "10.0.0.2",
	  IPAM_ASSIGN, REASON_Assigned, "10.0.0.2,fd00::1", "" },
	{ "preferred, never jumps pool for the second", "", "46", "", "", "192.168.1.240",
	  IPAM_KEEP, REASON_Kept, "192.168.1.240", "of pool b-lan, which has no IPv6 addresses" },
	{ "preferred, the second is in use", "x/a=fd00::1 x/b=fd00::2", "46", "", "", "10.0.0.2",
	  IPAM_KEEP, REASON_Kept, "10.0.0.2",
	  "of pool c-dual, which has all its 2 IPv6 addresses in use" },
	{ "required, never jumps pool either", "", "46+", "", "", "192.168.1.240", IPAM_FAIL,
	  REASON_PoolExhausted, "192.168.1.240", "b-lan has no IPv6 addresses" },
	{ "asked one of two", "", "46", "fd00::2", "", "", IPAM_ASSIGN, REASON_Assigned,
	  "10.0.0.1,fd00::2", "" },
	{ "asked both", "", "46", "fd00::2,10.0.0.2", "", "", IPAM_ASSIGN, REASON_Assigned,
	  "10.0.0.2,fd00::2", "" },
	{ "asked two of one family", "", "4", "10.5.0.2,10.5.0.1", "", "", IPAM_ASSIGN,
	  REASON_Assigned, "10.5.0.1,10.5.0.2", "assigned 10.5.0.1, 10.5.0.2 from pool many" },
	{ "asked two of one family, and gets one of the other", "", "64+", "10.5.0.1,10.5.0.2", "",
	  "", IPAM_ASSIGN, REASON_Assigned, "10.5.0.1,10.5.0.2,fd00:5::", "" },
	{ "asked two of each family", "", "46", "10.5.0.1,fd00:5::2,10.5.0.2,fd00:5::1", "many", "",
	  IPAM_ASSIGN, REASON_Assigned, "10.5.0.1,10.5.0.2,fd00:5::1,fd00:5::2", "" },
	{ "asked more than the pool gives a Service", "", "4", "10.5.0.1,10.5.0.2,10.5.0.3", "", "",
	  IPAM_FAIL, REASON_TooManyAddresses, "",
	  "3 IPv4 addresses were asked for, but pool many gives a Service 2 at most "
	  "(addresses-per-service)" },
	{ "asked more than one of a pool that does not say so", "", "4",
	  "192.168.1.240,192.168.1.241", "", "", IPAM_FAIL, REASON_TooManyAddresses, "",
	  "2 IPv4 addresses were asked for, but pool b-lan gives a Service one" },
	{ "asked two, and one is taken", "x/a=10.5.0.2", "4", "10.5.0.1,10.5.0.2", "", "",
	  IPAM_FAIL, REASON_AddressTaken, "", "10.5.0.2 was asked for" },
	{ "asked two of two pools", "", "4", "10.5.0.1,192.168.1.240", "", "", IPAM_FAIL,
	  REASON_InvalidRequest, "", "all addresses must come from one pool; 192.168.1.240 is in" },
	{ "asked one more", "", "4", "10.5.0.2,10.5.0.1", "", "10.5.0.1", IPAM_ASSIGN,
	  REASON_Assigned, "10.5.0.1,10.5.0.2", "" },
	{ "asked one more than the pool gives a Service", "", "4", "10.5.0.0,10.5.0.2,10.5.0.1", "",
	  "10.5.0.1,10.5.0.2", IPAM_FAIL, REASON_TooManyAddresses, "10.5.0.1,10.5.0.2",
	  "the status keeps 10.5.0.1, 10.5.0.2" },
	{ "asked one less", "", "4", "10.5.0.2", "", "10.5.0.1,10.5.0.2", IPAM_RELEASE, REASON_Kept,
	  "10.5.0.2", "keeps 10.5.0.2 of pool many and gives up 10.5.0.1" },
	{ "asked one less, and both families", "", "46", "10.5.0.2,fd00:5::1", "",
	  "10.5.0.1,10.5.0.2,fd00:5::1", IPAM_RELEASE, REASON_Kept, "10.5.0.2,fd00:5::1",
	  "gives up 10.5.0.1: a Service has one address of each family, unless it asks for more" },
	{ "asked another one in place of one of two", "", "4", "10.5.0.2,10.5.0.3", "",
	  "10.5.0.1,10.5.0.2", IPAM_MOVE, REASON_Assigned, "10.5.0.2,10.5.0.3", "" },
	{ "asks for none of two any more", "", "4", "", "", "10.5.0.1,10.5.0.2", IPAM_RELEASE,
	  REASON_Kept, "10.5.0.1", "gives up 10.5.0.2" },
	{ "has more than its pool gives a Service by now", "", "4", "10.5.0.1,10.5.0.2,10.5.0.3",
	  "", "10.5.0.1,10.5.0.2,10.5.0.3", IPAM_KEEP, REASON_Kept, "10.5.0.1,10.5.0.2,10.5.0.3",
	  "" },
	{ "and gives one back", "", "4", "10.5.0.1,10.5.0.3", "", "10.5.0.1,10.5.0.2,10.5.0.3",
	  IPAM_RELEASE, REASON_Kept, "10.5.0.1,10.5.0.3", "gives up 10.5.0.2" },
	{ "has two whose pool was divided, and asks for both", "", "4", "10.5.0.1,192.168.1.240",
	  "", "10.5.0.1,192.168.1.240", IPAM_KEEP, REASON_Kept, "10.5.0.1,192.168.1.240",
	  "of pool many and pool b-lan" },
	{ "and for a third, whatever comes first", "", "4", "10.5.0.2,192.168.1.240,10.5.0.1", "",
	  "10.5.0.1,192.168.1.240", IPAM_FAIL, REASON_InvalidRequest, "10.5.0.1,192.168.1.240",
	  "10.5.0.2 is in pool many, another one in pool b-lan" },
	{ "asked both of two pools", "", "46", "192.168.1.240,fd00::2", "", "", IPAM_FAIL,
	  REASON_InvalidRequest, "", "must come from one pool" },
	{ "the status' order does not matter", "", "46", "", "", "fd00::1,10.0.0.1", IPAM_KEEP,
	  REASON_Kept, "10.0.0.1,fd00::1", "" },
	{ "two whose pool was divided", "", "46", "", "", "192.168.1.240,fd00::1", IPAM_KEEP,
	  REASON_Kept, "192.168.1.240,fd00::1", "of pool b-lan and pool c-dual" },
	{ "two whose pool was divided, both needed", "", "64+", "", "", "192.168.1.240,fd00::1",
	  IPAM_KEEP, REASON_Kept, "192.168.1.240,fd00::1", "" },
	{ "two whose pool was divided, one asked for", "", "46", "192.168.1.240", "",
	  "192.168.1.240,fd00::1", IPAM_KEEP, REASON_Kept, "192.168.1.240,fd00::1", "" },
	{ "two whose pool was divided, the one pool asked for", "", "46", "", "b-lan",
	  "192.168.1.240,fd00::1", IPAM_KEEP, REASON_Kept, "192.168.1.240,fd00::1", "" },
	{ "two whose pool was divided, and a third pool asked for", "", "46", "", "a-manual",
	  "192.168.1.240,fd00::1", IPAM_MOVE, REASON_Assigned, "172.16.0.0", "" },
	{ "two whose pool was divided, and another address asked for", "", "46", "192.168.1.241",
	  "", "192.168.1.240,fd00::1", IPAM_MOVE, REASON_Assigned, "192.168.1.241", "" },
	{ "two whose pool was divided, back to one family", "", "6", "", "",
	  "192.168.1.240,fd00::1", IPAM_MOVE, REASON_Assigned, "fd00::1", "" },
	{ "back to one family", "", "4", "", "", "10.0.0.2,fd00::1", IPAM_MOVE, REASON_Assigned,
	  "10.0.0.2", "" },

	/* not ours */
	{ "foreign address", "", "4", "", "", "203.0.113.9", IPAM_FAIL, REASON_ForeignAddress,
	  "203.0.113.9", "203.0.113.9 is in no pool" },
	{ "half foreign", "", "46", "", "", "203.0.113.9,fd00::1", IPAM_FAIL, REASON_ForeignAddress,
	  "203.0.113.9,fd00::1", "" },
	{ "foreign, and a pool asked for", "", "4", "", "a-manual", "203.0.113.9", IPAM_MOVE,
	  REASON_Assigned, "172.16.0.0", "" },
	{ "foreign, and an address asked for", "", "4", "192.168.1.241", "", "203.0.113.9",
	  IPAM_MOVE, REASON_Assigned, "192.168.1.241", "" },
	{ "foreign, and nothing that it may have asked for", "", "4", "", "nowhere", "203.0.113.9",
	  IPAM_FAIL, REASON_NoSuchPool, "203.0.113.9", "the status keeps 203.0.113.9" },
	{ "half foreign, and ours asked for", "", "4", "192.168.1.240", "",
	  "203.0.113.9,192.168.1.240", IPAM_RELEASE, REASON_Kept, "192.168.1.240",
	  "gives up 203.0.113.9" },
	{ "two of one family", "", "4", "", "", "192.168.1.241,192.168.1.240", IPAM_RELEASE,
	  REASON_Kept, "192.168.1.241",
	  "keeps 192.168.1.241 of pool b-lan and gives up 192.168.1.240" },
	{ "two of one family, the second asked for", "", "4", "192.168.1.240", "",
	  "192.168.1.241,192.168.1.240", IPAM_RELEASE, REASON_Kept, "192.168.1.240",
	  "gives up 192.168.1.241" },
	{ "two of one family and of two pools", "", "4", "", "", "192.168.1.241,10.0.0.1",
	  IPAM_RELEASE, REASON_Kept, "192.168.1.241", "gives up 10.0.0.1" },
	{ "twice in statuses, and a pool asked for", "shop/web=192.168.1.241", "4", "", "a-manual",
	  "192.168.1.241", IPAM_MOVE, REASON_Assigned, "172.16.0.0", "" },
	{ "twice in statuses", "shop/web=192.168.1.241", "4", "", "", "192.168.1.241", IPAM_FAIL,
	  REASON_AddressShared, "192.168.1.241",
	  "a Service of another namespace, which came first" },
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ipam *ipam = ipam_of(world);
		cleanup_free char *others = xstrdup(cases[i].others);
		char *save = NULL;
		for (char *w = strtok_r(others, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
			char *eq = strchr(w, '=');
			*eq = '\0';
			hold(ipam, w, eq + 1);
		}
		struct ipam_request r =
			request(cases[i].families, cases[i].asked, cases[i].pool, cases[i].held);
		struct ipam_decision d;
		ipam_hold(ipam, "me/me", r.held, r.n_held);
		ipam_decide(ipam, "me/me", &r, &d);
		if (d.action != cases[i].action || d.reason != cases[i].reason ||
		    strcmp(text_of(&d), cases[i].addrs) != 0 ||
		    !strstr(d.message, cases[i].message))
			fail_msg("%s: %s %s \"%s\" %s", cases[i].what, ipam_action_name(d.action),
			         reason_name(d.reason), text_of(&d), d.message);
		ipam_request_fini(&r);
		ipam_free(ipam);
	}
}

/* The message names the pool of those that are in one, and none where there is none. */
static void test_partly_of_no_pool(void **state)
{
	static const struct {
		const char *asked, *held;
		enum ipam_action action;
		const char *addrs, *message, *pool;
	} rows[] = {
		{ "10.4.0.1,10.5.0.3", "10.4.0.1,10.5.0.2", IPAM_MOVE, "10.4.0.1,10.5.0.3",
		  "assigned 10.4.0.1, 10.5.0.3 from pool many", "many" },
		{ "10.4.0.1,10.5.0.1", "10.4.0.1,10.5.0.1,10.5.0.2", IPAM_RELEASE,
		  "10.4.0.1,10.5.0.1", "keeps 10.4.0.1, 10.5.0.1 of pool many and gives up",
		  "many" },
		{ "", "10.4.0.1,10.4.0.2", IPAM_RELEASE, "10.4.0.1",
		  "keeps 10.4.0.1 and gives up 10.4.0.2: ", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ipam *ipam = ipam_of(world);
		struct ipam_request r = request("4", rows[i].asked, "", rows[i].held);
		struct ipam_decision d;
		ipam_hold_any(ipam, "me/me", r.held, r.n_held);
		ipam_decide(ipam, "me/me", &r, &d);
		assert_string_equal(text_of(&d), rows[i].addrs);
		if (!strstr(d.message, rows[i].message))
			fail_msg("%s", d.message);
		assert_string_equal(d.pool ? d.pool->name : "", rows[i].pool);
		assert_int_equal(d.action, rows[i].action);
		ipam_request_fini(&r);
		ipam_free(ipam);
	}
}

/* ---- reservations ---- */

static void hold_others(struct ipam *ipam, const char *others)
{
	cleanup_free char *copy = xstrdup(others);
	char *save = NULL;

	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		char *eq = strchr(word, '=');
		*eq = '\0';
		hold(ipam, word, eq + 1);
	}
}

static void test_reservations(void **state)
{
	(void)state;
	static const struct {
		const char *what, *key, *others, *families, *asked, *pool, *held;
		enum reason reason;
		const char *addrs, *message;
	} rows[] = {
		{ "what is reserved, though nothing else of the pool is given unasked", "shop/web",
		  "", "4", "", "", "", REASON_Assigned, "10.6.0.1", "from pool z-booked" },
		{ "both", "shop/web", "", "46", "", "", "", REASON_Assigned, "10.6.0.1,fd00:6::2",
		  "" },
		{ "a reservation of one family, and another of its pool", "x/y", "", "64", "", "",
		  "", REASON_Assigned, "10.6.0.2,fd00:6::", "" },
		{ "the second one", "shop/web", "", "46", "", "", "10.6.0.1", REASON_Assigned,
		  "10.6.0.1,fd00:6::2", "" },
		{ "another Service of its namespace", "shop/other", "", "4", "10.6.0.1", "", "",
		  REASON_AddressReserved, "", "is reserved for shop/web" },
		{ "one whose name begins so", "shop/we", "", "4", "10.6.0.1", "", "",
		  REASON_AddressReserved, "", "" },
		{ "somebody has it from before", "shop/web", "x/a=10.6.0.1", "4", "", "", "",
		  REASON_AddressTaken, "", "10.6.0.1 is reserved for it, but belongs to" },
		{ "it asks for something else", "shop/web", "", "4", "192.168.1.240", "", "",
		  REASON_Assigned, "192.168.1.240", "" },
		{ "it asks for another pool", "shop/web", "", "4", "", "a-manual", "",
		  REASON_Assigned, "172.16.0.0", "" },
		{ "it has something else", "shop/web", "", "4", "", "", "192.168.1.240",
		  REASON_Kept, "192.168.1.240", "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ipam *ipam = ipam_of(world);
		struct ipam_request r =
			request(rows[i].families, rows[i].asked, rows[i].pool, rows[i].held);
		struct ipam_decision d;
		hold_others(ipam, rows[i].others);
		ipam_hold(ipam, rows[i].key, r.held, r.n_held);
		ipam_decide(ipam, rows[i].key, &r, &d);
		if (d.reason != rows[i].reason || strcmp(text_of(&d), rows[i].addrs) != 0 ||
		    !strstr(d.message, rows[i].message))
			fail_msg("%s: %s \"%s\" %s", rows[i].what, reason_name(d.reason),
			         text_of(&d), d.message);
		ipam_request_fini(&r);
		ipam_free(ipam);
	}
}

/* However many reservations there are, each Service finds its own without a search. */
static void test_many_reservations(void **state)
{
	enum { N = 1000 };
	cleanup(buf_fini) struct buf yaml = BUF_INIT;
	struct ipam_request r = request("4", "", "", "");
	struct ipam_decision d;
	char key[32], address[32];

	(void)state;
	buf_puts(&yaml, "address-pools:\n- {name: lan, protocol: layer2, addresses: [10.0.0.0/16], "
	                "reservations: [");
	for (int i = 0; i < N; i++)
		buf_printf(&yaml, "%s{service: a/s%d, address: 10.0.%d.%d}", i ? ", " : "", i,
		           (i + 9) / 256, (i + 9) % 256);
	buf_puts(&yaml, "]}\n");
	struct ipam *ipam = ipam_of(buf_str(&yaml));
	for (int i = 0; i < N; i++) {
		snprintf(key, sizeof(key), "a/s%d%s", i, i % 2 ? " (external IPs)" : "");
		snprintf(address, sizeof(address), "10.0.%d.%d", (i + 9) / 256, (i + 9) % 256);
		ipam_decide(ipam, key, &r, &d);
		assert_string_equal(text_of(&d), address);
	}
	ipam_decide(ipam, "a/s", &r, &d);
	assert_string_equal(text_of(&d), "10.0.0.0");
	ipam_request_fini(&r);
	ipam_free(ipam);
}

/* Who waits for what is reserved for it is woken when that is free, and others are not. */
static void test_reservation_is_free_again(void **state)
{
	(void)state;
	struct ipam *ipam = ipam_of(world);
	struct ipam_request r = request("4", "", "", "");

	hold(ipam, "x/a", "10.6.0.1");
	ipam_freed_seen(ipam);
	assert_false(ipam_is_concerned(ipam, "shop/web", &r));
	ipam_release(ipam, "x/a");
	assert_true(ipam_is_concerned(ipam, "shop/web", &r));
	ipam_freed_seen(ipam);
	assert_false(ipam_is_concerned(ipam, "x/other", &r));
	for (size_t i = 0; i < ipam_n_pools(ipam); i++) {
		const struct ipam_pool_usage u = ipam_usage(ipam, i);
		if (!strcmp(u.pool->name, "z-booked"))
			assert_int_equal(u.free[0], 1);
	}
	ipam_request_fini(&r);
	ipam_free(ipam);
}

/* ---- pools for some ---- */

static const char reserved_world[] =
	"address-pools:\n"
	"- {name: a-all, protocol: layer2, priority: 1, addresses: [10.0.0.1-10.0.0.2]}\n"
	"- {name: by-name, protocol: layer2, priority: 9, namespaces: [shop, edge], "
	"addresses: [10.0.1.1/32]}\n"
	"- {name: by-team, protocol: layer2, namespaces: [edge], "
	"namespace-selectors: [{match-labels: {team: red}}], addresses: [10.0.2.1/32, 10.0.2.9/32], "
	"reservations: [{service: shop/booked, address: 10.0.2.9}]}\n"
	"- {name: by-tier, protocol: layer2, priority: 3, "
	"service-selectors: [{match-labels: {tier: db}}, {match-expressions: "
	"[{key: public, operator: Exists}]}], addresses: [10.0.3.1/32]}\n"
	"- {name: both, protocol: layer2, priority: 2, namespaces: [shop], auto-assign: false, "
	"service-selectors: [{match-labels: {tier: db}}], addresses: [10.0.4.1/32]}\n"
	"- {name: outside, protocol: layer2, use: external-ip, namespaces: [edge], "
	"addresses: [10.0.5.1/32]}\n";

static const struct {
	const char *what, *key, *team; /* of its Namespace; NULL: not known */
	const char *tier;              /* of the Service; "": none */
	const char *others, *asked, *pool, *held;
	enum ipam_action action;
	enum reason reason;
	const char *addrs, *message;
} reserved_cases[] = {
	{ "for all, whatever their priority, after those for some", "shop/web", "", "", "", "", "",
	  "", IPAM_ASSIGN, REASON_Assigned, "10.0.1.1", "from pool by-name" },
	{ "not for this one", "x/web", "", "", "", "", "", "", IPAM_ASSIGN, REASON_Assigned,
	  "10.0.0.1", "from pool a-all" },
	{ "among those for some by priority", "shop/web", "", "db", "", "", "", "", IPAM_ASSIGN,
	  REASON_Assigned, "10.0.3.1", "by-tier" },
	{ "full: the next one that is for it", "shop/web", "", "db", "x/a=10.0.3.1", "", "", "",
	  IPAM_ASSIGN, REASON_Assigned, "10.0.1.1", "by-name" },
	{ "full: at last from one for all", "shop/web", "", "", "x/a=10.0.1.1", "", "", "",
	  IPAM_ASSIGN, REASON_Assigned, "10.0.0.1", "a-all" },
	{ "by another selector", "x/web", "", "public", "", "", "", "", IPAM_ASSIGN,
	  REASON_Assigned, "10.0.3.1", "by-tier" },
	{ "by the Namespace's labels", "x/web", "red", "", "", "", "", "", IPAM_ASSIGN,
	  REASON_Assigned, "10.0.2.1", "by-team" },
	{ "by the Namespace's name in the same rule", "edge/web", "blue", "", "x/a=10.0.1.1", "",
	  "", "", IPAM_ASSIGN, REASON_Assigned, "10.0.2.1", "by-team" },
	{ "by its name, with labels that nobody knows", "edge/web", NULL, "", "x/a=10.0.1.1", "",
	  "", "", IPAM_ASSIGN, REASON_Assigned, "10.0.2.1", "by-team" },
	{ "both rules", "shop/web", "", "db", "", "", "both", "", IPAM_ASSIGN, REASON_Assigned,
	  "10.0.4.1", "" },
	{ "one of both rules", "shop/web", "", "", "", "", "both", "", IPAM_FAIL,
	  REASON_PoolNotForService, "", "pool both is for other Services" },
	{ "the other of both rules", "edge/web", "", "db", "", "", "both", "", IPAM_FAIL,
	  REASON_PoolNotForService, "", "" },
	{ "asked for by address", "x/web", "", "", "", "10.0.1.1", "", "", IPAM_FAIL,
	  REASON_PoolNotForService, "", "pool by-name is for other Services" },
	{ "asked for by address, and for it", "edge/web", "", "", "", "10.0.1.1", "", "",
	  IPAM_ASSIGN, REASON_Assigned, "10.0.1.1", "" },
	{ "a failed request costs nothing", "x/web", "", "", "", "", "by-name", "10.0.0.2",
	  IPAM_FAIL, REASON_PoolNotForService, "10.0.0.2", "the status keeps 10.0.0.2" },
	{ "who is in one for all stays there", "shop/web", "", "", "", "", "", "10.0.0.2",
	  IPAM_KEEP, REASON_Kept, "10.0.0.2", "of pool a-all" },
	{ "who is no longer meant keeps what it has", "x/web", "", "", "", "", "", "10.0.1.1",
	  IPAM_KEEP, REASON_Retained, "10.0.1.1", "pool by-name is for other Services" },
	{ "whom the labels may mean keeps what it has", "x/web", NULL, "", "", "", "", "10.0.2.1",
	  IPAM_KEEP, REASON_Kept, "10.0.2.1", "" },
	{ "all full, and others' are not named", "x/web", "", "", "x/a=10.0.0.1 x/b=10.0.0.2", "",
	  "", "", IPAM_FAIL, REASON_PoolExhausted, "", "no free address: a-all has all its 2" },
	{ "labels that nobody knows, and that may mean it", "x/web", NULL, "", "", "", "", "",
	  IPAM_FAIL, REASON_NamespaceUnknown, "",
	  "pool by-team is for namespaces by their labels, and those of namespace x are not known" },
	{ "something before that is free", "shop/web", NULL, "", "", "", "", "", IPAM_ASSIGN,
	  REASON_Assigned, "10.0.1.1", "" },
	{ "nothing before that is free", "shop/web", NULL, "", "x/a=10.0.1.1", "", "", "",
	  IPAM_FAIL, REASON_NamespaceUnknown, "", "" },
	{ "asked for, with labels that nobody knows", "x/web", NULL, "", "", "", "by-team", "",
	  IPAM_FAIL, REASON_NamespaceUnknown, "", "" },
	{ "asked for another one meanwhile", "x/web", NULL, "", "", "", "a-all", "", IPAM_ASSIGN,
	  REASON_Assigned, "10.0.0.1", "" },
	{ "what is reserved for it", "shop/booked", "red", "", "", "", "", "", IPAM_ASSIGN,
	  REASON_Assigned, "10.0.2.9", "" },
	{ "reserved in a pool for others", "shop/booked", "blue", "", "", "", "", "", IPAM_ASSIGN,
	  REASON_Assigned, "10.0.1.1", "" },
	{ "reserved in a pool that may be for it", "shop/booked", NULL, "", "", "", "", "",
	  IPAM_FAIL, REASON_NamespaceUnknown, "", "pool by-team is for namespaces by their" },
	{ "the same, and another has it", "shop/booked", NULL, "", "x/a=10.0.2.9", "", "", "",
	  IPAM_FAIL, REASON_NamespaceUnknown, "", "" },
	{ "the same, and it asks for something else", "shop/booked", NULL, "", "", "", "by-name",
	  "", IPAM_ASSIGN, REASON_Assigned, "10.0.1.1", "" },
	{ "the same, and it has something", "shop/booked", NULL, "", "", "", "", "10.0.0.1",
	  IPAM_KEEP, REASON_Kept, "10.0.0.1", "" },
};

static struct labels label(const char *key, const char *value)
{
	struct label one = { .key = (char *)(uintptr_t)key, .value = (char *)(uintptr_t)value };
	const struct labels l = { .kvs = &one, .n = *value ? 1 : 0 };

	return labels_copy(&l);
}

static void know_namespace(struct ipam *ipam, const char *key, const char *team)
{
	cleanup_free char *name = xstrndup(key, strcspn(key, "/"));
	struct labels l = label("team", team ? team : "");

	ipam_set_namespace(ipam, name, team ? &l : NULL);
	labels_fini(&l);
}

static void test_reserved(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(reserved_cases); i++) {
		const char *key = reserved_cases[i].key, *tier = reserved_cases[i].tier;
		struct ipam *ipam = ipam_of(reserved_world);
		struct ipam_request r = request("4", reserved_cases[i].asked,
		                                reserved_cases[i].pool, reserved_cases[i].held);
		struct ipam_decision d;
		r.labels = label(strcmp(tier, "public") != 0 ? "tier" : tier, tier);
		hold_others(ipam, reserved_cases[i].others);
		know_namespace(ipam, key, reserved_cases[i].team);
		ipam_hold(ipam, key, r.held, r.n_held);
		ipam_decide(ipam, key, &r, &d);
		if (d.action != reserved_cases[i].action || d.reason != reserved_cases[i].reason ||
		    strcmp(text_of(&d), reserved_cases[i].addrs) != 0 ||
		    !strstr(d.message, reserved_cases[i].message) || strstr(d.message, "outside"))
			fail_msg("%s: %s %s \"%s\" %s", reserved_cases[i].what,
			         ipam_action_name(d.action), reason_name(d.reason), text_of(&d),
			         d.message);
		ipam_request_fini(&r);
		ipam_free(ipam);
	}
}

/* No pool is for it; and one that is for nobody else takes in who is in one that is. */
static void test_no_pool_for_service(void **state)
{
	(void)state;
	struct ipam *ipam = ipam_of(
		"address-pools:\n"
		"- {name: a, protocol: layer2, namespaces: [shop], addresses: [10.0.0.0/30]}\n"
		"- {name: b, protocol: layer2, namespaces: [edge], renumber: true, "
		"addresses: [10.0.1.0/30]}\n");
	struct ipam_request r = request("4", "", "", "");
	struct ipam_decision d;

	ipam_decide(ipam, "x/web", &r, &d);
	assert_int_equal(d.action, IPAM_FAIL);
	assert_int_equal(d.reason, REASON_NoPoolForService);
	assert_string_equal(d.message, "every pool for load balancers is for other Services");
	/* A label moved on: what it holds stays, unless a pool that is for it takes it in. */
	hold(ipam, "edge/web", "10.0.0.1");
	hold(ipam, "x/web", "10.0.0.2");
	r.n_held = (uint8_t)addrs("10.0.0.1", r.held, 1);
	r.renumber = IPAM_RENUMBER_AT_ONCE;
	ipam_decide(ipam, "edge/web", &r, &d);
	assert_int_equal(d.action, IPAM_MOVE);
	assert_string_equal(text_of(&d), "10.0.1.0");
	r.n_held = (uint8_t)addrs("10.0.0.2", r.held, 1);
	ipam_decide(ipam, "x/web", &r, &d);
	assert_int_equal(d.reason, REASON_Retained);
	ipam_request_fini(&r);
	ipam_free(ipam);
}

/* Freed addresses concern whom their pool is for. */
static void test_freed_for_some(void **state)
{
	(void)state;
	struct ipam *ipam = ipam_of(reserved_world);
	struct ipam_request r = request("4", "", "", "");

	hold(ipam, "x/a", "10.0.1.1");
	ipam_freed_seen(ipam);
	ipam_release(ipam, "x/a");
	assert_true(ipam_is_concerned(ipam, "shop/web", &r));
	assert_false(ipam_is_concerned(ipam, "x/web", &r));
	ipam_request_fini(&r);
	ipam_free(ipam);
}

/* ---- machines ---- */

/* One pool with two nodes, a router and the API server in it, and one that only these have. */
static const char machines_world[] =
	"address-pools:\n"
	"- {name: lan, protocol: layer2, addresses: [192.168.1.9-192.168.1.15], avoid-buggy-ips: true}\n"
	"- {name: only, protocol: layer2, auto-assign: false, addresses: [10.0.0.1/32]}\n"
	"peers:\n"
	"- {my-asn: 64500, peer-asn: 64501, peer-address: 192.168.1.9}\n"
	"- {my-asn: 64500, peer-asn: 64501, peer-address: 10.0.0.1}\n";

static void add_machine(struct ipam *ipam, const char *a, enum reason reason, const char *what)
{
	const struct addr at = addr(a);

	ipam_add_machine(ipam, &at, reason, what);
}

static struct ipam *ipam_of_machines(void)
{
	struct ipam *ipam = ipam_of(machines_world);

	add_machine(ipam, "192.168.1.10", REASON_AddressOfApiServer, "the API server");
	add_machine(ipam, "192.168.1.11", REASON_NodeAddress, "Node node1");
	add_machine(ipam, "192.168.1.13", REASON_NodeAddress, "Node node2");
	add_machine(ipam, "192.168.1.13", REASON_NodeAddress, "Node twin");
	add_machine(ipam, "172.30.0.1", REASON_NodeAddress, "Node node2");
	return ipam;
}

static void test_machines(void **state)
{
	static const struct {
		const char *what, *others, *asked, *pool, *held;
		enum ipam_action action;
		enum reason reason;
		const char *addrs, *message;
	} rows[] = {
		{ "the lowest that is no machine's", "", "", "", "", IPAM_ASSIGN, REASON_Assigned,
		  "192.168.1.12", "" },
		{ "and the next one", "192.168.1.12", "", "", "", IPAM_ASSIGN, REASON_Assigned,
		  "192.168.1.14", "" },
		{ "then no more", "192.168.1.12,192.168.1.14,192.168.1.15", "", "", "", IPAM_FAIL,
		  REASON_PoolExhausted, "", "lan has all its 3 IPv4 addresses in use" },
		{ "a pool of machines", "", "", "only", "", IPAM_FAIL, REASON_PoolExhausted, "",
		  "only has no IPv4 addresses but those of machines" },
		{ "a node's, asked for", "", "192.168.1.11", "", "", IPAM_FAIL, REASON_NodeAddress,
		  "", "192.168.1.11 was asked for, but is the address of Node node1" },
		{ "asked for with its pool", "", "192.168.1.11", "lan", "", IPAM_FAIL,
		  REASON_NodeAddress, "", "Node node1" },
		{ "a node's outside all pools", "", "172.30.0.1", "", "", IPAM_FAIL,
		  REASON_NodeAddress, "", "Node node2" },
		{ "a peer's", "", "192.168.1.9", "", "", IPAM_FAIL, REASON_AddressOfPeer, "",
		  "BGP peer peer-1" },
		{ "a nameless peer's", "", "10.0.0.1", "", "", IPAM_FAIL, REASON_AddressOfPeer, "",
		  "BGP peer peer-2" },
		{ "the API server's", "", "192.168.1.10", "", "", IPAM_FAIL,
		  REASON_AddressOfApiServer, "", "the API server" },
		{ "another Service's and a machine's", "192.168.1.11", "192.168.1.11", "", "",
		  IPAM_FAIL, REASON_NodeAddress, "", "Node node1" },
		{ "held before stays, and is told", "", "", "", "192.168.1.11", IPAM_KEEP,
		  REASON_Retained, "192.168.1.11",
		  "keeps 192.168.1.11; 192.168.1.11 is the address of Node node1, so no node "
		  "announces it" },
		{ "also where it is what is asked for", "", "192.168.1.11", "", "192.168.1.11",
		  IPAM_KEEP, REASON_Retained, "192.168.1.11", "Node node1" },
		{ "held before, another asked for", "", "192.168.1.12", "", "192.168.1.11",
		  IPAM_MOVE, REASON_Assigned, "192.168.1.12", "" },
		{ "held before, a machine's asked for", "", "192.168.1.13", "", "192.168.1.12",
		  IPAM_FAIL, REASON_NodeAddress, "192.168.1.12", "Node node2" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ipam *ipam = ipam_of_machines();
		struct ipam_request r = request("4", rows[i].asked, rows[i].pool, rows[i].held);
		struct ipam_decision d;

		hold(ipam, "x/other", rows[i].others);
		ipam_hold(ipam, "me/me", r.held, r.n_held);
		ipam_decide(ipam, "me/me", &r, &d);
		if (d.action != rows[i].action || d.reason != rows[i].reason ||
		    strcmp(text_of(&d), rows[i].addrs) != 0 || !strstr(d.message, rows[i].message))
			fail_msg("%s: %s %s \"%s\" %s", rows[i].what, ipam_action_name(d.action),
			         reason_name(d.reason), text_of(&d), d.message);
		ipam_request_fini(&r);
		ipam_free(ipam);
	}
}

static void assert_usage(const struct ipam *ipam, uint64_t total, uint64_t used, uint64_t free)
{
	const struct ipam_pool_usage u = ipam_usage(ipam, 0);

	assert_string_equal(u.pool->name, "lan");
	assert_int_equal(u.total[0], total);
	assert_int_equal(u.used[0], used);
	assert_int_equal(u.free[0], free);
}

/* Machines come and go, also while a Service holds the address, and two may have one. */
static void test_machines_come_and_go(void **state)
{
	struct ipam *ipam = ipam_of_machines();
	struct ipam_request r = request("4", "", "", "");
	const struct addr twice = addr("192.168.1.13"), held = addr("192.168.1.12");
	struct ipam_decision d;

	(void)state;
	assert_usage(ipam, 3, 0, 3);
	hold(ipam, "x/other", "192.168.1.12,192.168.1.13");
	assert_usage(ipam, 3, 2, 2);
	add_machine(ipam, "192.168.1.12", REASON_NodeAddress, "Node late");
	assert_usage(ipam, 2, 2, 2);
	ipam_release(ipam, "x/other");
	assert_usage(ipam, 2, 0, 2);
	ipam_remove_machine(ipam, &twice, REASON_NodeAddress, "Node node2");
	ipam_remove_machine(ipam, &twice, REASON_NodeAddress, "Node nobody");
	ipam_decide(ipam, "x/a", &r, &d);
	assert_string_equal(text_of(&d), "192.168.1.14");
	ipam_remove_machine(ipam, &twice, REASON_NodeAddress, "Node twin");
	ipam_decide(ipam, "x/a", &r, &d);
	assert_string_equal(text_of(&d), "192.168.1.13");
	hold(ipam, "x/other", "192.168.1.12");
	ipam_remove_machine(ipam, &held, REASON_NodeAddress, "Node late");
	assert_usage(ipam, 4, 1, 3);
	ipam_free(ipam);
}

/* What was decided and not yet written is decided anew if a machine comes to have it. */
static void test_a_machine_comes_in_between(void **state)
{
	struct ipam *ipam = ipam_of_machines();
	struct ipam_request r = request("4", "", "", "");
	struct ipam_decision d;

	(void)state;
	ipam_decide(ipam, "x/a", &r, &d);
	ipam_hold(ipam, "x/a", d.addrs, d.n);
	add_machine(ipam, "192.168.1.12", REASON_NodeAddress, "Node late");
	ipam_decide(ipam, "x/a", &r, &d);
	assert_string_equal(text_of(&d), "192.168.1.14");
	ipam_free(ipam);
}

static void test_machines_in_pools(void **state)
{
	static const char *const told[] = {
		"pool only holds 10.0.0.1, the address of BGP peer peer-2: it is assigned to nobody",
		"pool lan holds 192.168.1.9, the address of BGP peer peer-1: it is assigned to nobody",
		"pool lan holds 192.168.1.10, the address of the API server: it is assigned to nobody",
		"pool lan holds 192.168.1.11, the address of Node node1: it is assigned to nobody",
		"pool lan holds 192.168.1.13, the address of Node node2: it is assigned to nobody",
	};
	struct ipam *ipam = ipam_of_machines();
	size_t n;
	cleanup_free struct ipam_machine_view *all = ipam_machines_in_pools(ipam, &n);

	(void)state;
	assert_int_equal(n, ARRAY_LEN(told));
	for (size_t i = 0; i < n; i++) {
		cleanup(buf_fini) struct buf out = BUF_INIT;
		ipam_put_machine(&all[i], &out);
		assert_string_equal(buf_str(&out), told[i]);
	}
	ipam_free(ipam);
}

/* A machine's address is where no Service should stay: a pool with renumber moves it. */
static void test_renumber_off_a_machine(void **state)
{
	struct ipam *ipam = ipam_of("address-pools:\n"
	                            "- {name: lan, protocol: layer2, renumber: true, addresses: "
	                            "[192.168.1.11-192.168.1.13]}\n");
	struct ipam_request r = request("4", "", "", "192.168.1.11");
	struct ipam_decision d;

	(void)state;
	r.renumber = IPAM_RENUMBER_AT_ONCE;
	ipam_hold(ipam, "x/a", r.held, r.n_held);
	add_machine(ipam, "192.168.1.11", REASON_NodeAddress, "Node node1");
	ipam_decide(ipam, "x/a", &r, &d);
	assert_int_equal(d.action, IPAM_MOVE);
	assert_string_equal(text_of(&d), "192.168.1.12");
	ipam_free(ipam);
}

/* ---- squatted ---- */

static void squat(struct ipam *ipam, const char *key, const char *list)
{
	struct addr a[16];
	size_t n = addrs(list, a, ARRAY_LEN(a));

	ipam_squat(ipam, key, a, n);
}

static void test_squatted(void **state)
{
	static const char pools[] =
		"address-pools:\n"
		"- {name: a, protocol: layer2, addresses: [10.0.0.1-10.0.0.3, 'fd00::1-fd00::2']}\n"
		"- {name: b, protocol: layer2, addresses: [10.0.1.1-10.0.1.2]}\n"
		"- {name: c, protocol: layer2, auto-assign: false, addresses: [10.0.2.1-10.0.2.2]}\n";
	static const struct {
		const char *what, *squatted, *others, *families, *asked, *pool, *addrs, *message;
	} rows[] = {
		{ "last of a pool", "10.0.0.1,10.0.0.2", "", "4", "", "", "10.0.0.3", "" },
		{ "after other pools", "10.0.0.1,10.0.0.2,10.0.0.3", "", "4", "", "", "10.0.1.1",
		  "" },
		{ "but before nothing at all", "10.0.0.1,10.0.0.2,10.0.0.3,10.0.1.1,10.0.1.2",
		  "10.0.0.1", "4", "", "", "10.0.0.2", "10.0.0.2 also stands in spec.externalIPs" },
		{ "of a pool that is asked for", "10.0.2.1", "", "4", "", "c", "10.0.2.2", "" },
		{ "all of one that is asked for", "10.0.2.1,10.0.2.2", "", "4", "", "c", "10.0.2.1",
		  "10.0.2.1 also stands in" },
		{ "asked for by itself", "10.0.0.2", "", "4", "10.0.0.2", "", "10.0.0.2",
		  "10.0.0.2 also stands in" },
		{ "of both families", "fd00::1,fd00::2", "", "46", "", "", "10.0.0.1,fd00::1",
		  "fd00::1 also stands in" },
		{ "held by somebody", "10.0.2.1", "10.0.2.1,10.0.2.2", "4", "", "c", "",
		  "c has all its 2 IPv4 addresses in use, and a Service of another namespace names one of its addresses "
		  "in spec.externalIPs, which it may not have" },
		{ "in no pool", "192.0.2.1", "", "4", "", "", "10.0.0.1", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ipam *ipam = ipam_of(pools);
		struct ipam_request r = request(rows[i].families, rows[i].asked, rows[i].pool, "");
		struct ipam_decision d;

		squat(ipam, "x/evil (external IPs)", rows[i].squatted);
		hold(ipam, "x/other", rows[i].others);
		ipam_decide(ipam, "me/me", &r, &d);
		if (strcmp(text_of(&d), rows[i].addrs) != 0 ||
		    !strstr(d.message, rows[i].message) ||
		    (!*rows[i].message && strstr(d.message, "also stands")))
			fail_msg("%s: \"%s\" %s", rows[i].what, text_of(&d), d.message);
		ipam_request_fini(&r);
		ipam_free(ipam);
	}
}

/* Whatever somebody names by hand, pools for some come before those for all. */
static void test_for_some_first(void **state)
{
	static const char pools[] =
		"address-pools:\n"
		"- {name: all, protocol: layer2, addresses: [10.0.0.1-10.0.0.2, 'fd00::1-fd00::2']}\n"
		"- {name: mine, protocol: layer2, namespaces: [me], addresses: [10.0.1.1-10.0.1.2]}\n";
	static const struct {
		const char *what, *squatted, *others, *families, *addrs, *message;
	} rows[] = {
		{ "nobody names it", "", "", "4", "10.0.1.1", "" },
		{ "one is named", "10.0.1.1", "", "4", "10.0.1.2", "" },
		{ "all are named", "10.0.1.1,10.0.1.2", "", "4", "10.0.1.1", "also stands in" },
		{ "all are held", "", "10.0.1.1,10.0.1.2", "4", "10.0.0.1", "" },
		{ "all are held, and the others named", "10.0.0.1,10.0.0.2", "10.0.1.1,10.0.1.2",
		  "4", "10.0.0.1", "also stands in" },
		{ "both families preferred", "", "", "46", "10.0.1.1", "no IPv6 addresses" },
		{ "and named", "10.0.1.1,10.0.1.2", "", "46", "10.0.1.1", "also stands in" },
		{ "but the primary one is not there", "", "", "64", "10.0.0.1,fd00::1", "" },
		{ "but it is held", "", "10.0.1.1,10.0.1.2", "46", "10.0.0.1,fd00::1", "" },
		{ "both needed", "", "", "46+", "10.0.0.1,fd00::1", "" },
		{ "the primary one nowhere", "", "fd00::1,fd00::2", "64", "10.0.1.1", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ipam *ipam = ipam_of(pools);
		struct ipam_request r = request(rows[i].families, "", "", "");
		struct ipam_decision d;

		squat(ipam, "x/evil (external IPs)", rows[i].squatted);
		hold(ipam, "x/other", rows[i].others);
		ipam_decide(ipam, "me/me", &r, &d);
		if (strcmp(text_of(&d), rows[i].addrs) != 0 || !strstr(d.message, rows[i].message))
			fail_msg("%s: \"%s\" %s", rows[i].what, text_of(&d), d.message);
		ipam_request_fini(&r);
		ipam_free(ipam);
	}
}

/* Named by several, taken back by one after the other, held meanwhile: the books stay right. */
static void test_squatters_come_and_go(void **state)
{
	struct ipam *ipam = ipam_of("address-pools:\n"
	                            "- {name: lan, protocol: layer2, avoid-buggy-ips: true, "
	                            "addresses: [192.168.1.0-192.168.1.3]}\n");
	struct ipam_request r = request("4", "", "", "");
	struct ipam_decision d;

	(void)state;
	squat(ipam, "x/a", "192.168.1.0,192.168.1.1,192.168.1.1,192.168.1.2,203.0.113.9");
	squat(ipam, "x/b", "192.168.1.1");
	assert_int_equal(ipam_n_squatted(ipam, "x/a"), 3);
	assert_int_equal(ipam_usage(ipam, 0).squatted, 3);
	assert_usage(ipam, 3, 0, 3);
	ipam_decide(ipam, "x/c", &r, &d);
	assert_string_equal(text_of(&d), "192.168.1.3");
	hold(ipam, "x/c", "192.168.1.2");
	squat(ipam, "x/a", "192.168.1.0");
	assert_int_equal(ipam_usage(ipam, 0).squatted, 2);
	ipam_release(ipam, "x/c");
	ipam_decide(ipam, "x/c", &r, &d);
	assert_string_equal(text_of(&d), "192.168.1.2");
	ipam_release(ipam, "x/b");
	ipam_release(ipam, "x/a");
	assert_int_equal(ipam_usage(ipam, 0).squatted, 0);
	assert_usage(ipam, 3, 0, 3);
	ipam_decide(ipam, "x/c", &r, &d);
	assert_string_equal(text_of(&d), "192.168.1.1");
	ipam_free(ipam);
}

/*
 * What the record of external IPs names is kept if it is this Service's, and confirmed, or as good
 * as asked for.
 */
static void test_records(void **state)
{
	static const struct {
		const char *what, *others, *pool, *held, *confirmed, *addrs;
	} records[] = {
		{ "confirmed", "", "external", "198.51.100.3", "198.51.100.3", "198.51.100.3" },
		{ "confirmed, by another pool", "", "", "198.51.101.3", "198.51.101.3",
		  "198.51.101.3" },
		{ "only in the record, but of the pool asked for", "", "external", "198.51.100.3",
		  "", "198.51.100.3" },
		{ "only in the record, of another pool", "", "", "198.51.101.3", "",
		  "198.51.100.0" },
		{ "another's", "shop/web=198.51.100.3", "external", "198.51.100.3", "",
		  "198.51.100.0" },
		{ "another's, though confirmed once", "shop/web=198.51.100.3", "external",
		  "198.51.100.3", "198.51.100.3", "198.51.100.0" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(records); i++) {
		struct ipam *ipam = ipam_of(world);
		struct ipam_request r = request("4", "", records[i].pool, records[i].held);
		struct ipam_decision d;
		if (*records[i].others)
			hold(ipam, "shop/web", strchr(records[i].others, '=') + 1);
		r.use = CONFIG_USE_EXTERNAL_IP;
		r.assigned_by_us = true;
		r.n_confirmed = (uint8_t)addrs(records[i].confirmed, r.confirmed, IPAM_ADDRS_MAX);
		ipam_hold(ipam, "me/me", r.held, r.n_held);
		ipam_decide(ipam, "me/me", &r, &d);
		if (strcmp(text_of(&d), records[i].addrs) != 0)
			fail_msg("%s: %s \"%s\" %s", records[i].what, reason_name(d.reason),
			         text_of(&d), d.message);
		ipam_request_fini(&r);
		ipam_free(ipam);
	}
}

/* An address that was let go is the next one's, and not before. */
static void test_letting_go(void **state)
{
	struct ipam *ipam = ipam_of(world);
	struct ipam_request r = request("4", "", "z-first", "");
	struct ipam_decision d;

	(void)state;
	const struct addr only = addr("192.168.7.7");
	assert_int_equal(ipam_hold(ipam, "shop/web", &only, 1), 1);
	assert_int_equal(ipam_hold(ipam, "shop/web", &only, 1), 1);
	assert_int_equal(ipam_hold(ipam, "me/me", &only, 1), 0);
	ipam_decide(ipam, "me/me", &r, &d);
	assert_int_equal(d.reason, REASON_PoolExhausted);
	assert_false(ipam_release(ipam, "shop/nobody"));
	assert_true(ipam_release(ipam, "shop/web"));
	assert_false(ipam_release(ipam, "shop/web"));
	ipam_decide(ipam, "me/me", &r, &d);
	assert_string_equal(text_of(&d), "192.168.7.7");
	ipam_request_fini(&r);
	ipam_free(ipam);
}

/* In this order, and no two alike. */
static void test_turns(void **state)
{
	static const struct seniority order[] = {
		{ .creation_us = 1, .namespace = "b", .name = "b" },
		{ .creation_us = 2, .namespace = "a", .name = "a" },
		{ .creation_us = 2, .namespace = "a", .name = "b" },
		{ .creation_us = 2, .namespace = "b", .name = "a" },
		{ .creation_us = 0, .namespace = "a", .name = "a" }, /* not known: last */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		for (size_t k = 0; k < ARRAY_LEN(order); k++) {
			int c = seniority_cmp(&order[i], &order[k]);
			assert_int_equal(c < 0 ? -1 : c > 0, i < k ? -1 : i > k);
		}
	/* Of keys as of names: that a hyphen comes before a slash is nothing to them. */
	const struct seniority ones = seniority_of(2, "a/y"), others = seniority_of(2, "a-b/x");
	assert_true(seniority_cmp(&ones, &others) < 0);
	assert_true(seniority_cmp(&others, &ones) > 0);
	assert_int_equal(seniority_cmp(&ones, &(struct seniority){ 2, "a", "y" }), 0);
}

/* A message names Services of the same namespace; those of others only where it is to. */
static void test_who_is_named(void **state)
{
	static const struct {
		const char *label, *key, *other, *named;
		bool tell;
	} rows[] = {
		{ "same namespace", "me/web", "me/api", "me/api", false },
		{ "external IPs of the same one", "me/web", "me/api (external IPs)",
		  "me/api (external IPs)", false },
		{ "another one", "me/web", "you/web", "a Service of another namespace", false },
		{ "one that begins alike", "me/web", "mean/web", "a Service of another namespace",
		  false },
		{ "one that it begins with", "mean/web", "me/web", "a Service of another namespace",
		  false },
		{ "another one, told", "me/web", "you/web", "you/web", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ipam *ipam = ipam_of(world);
		struct ipam_request taken = request("4", "192.168.1.240", "", "");
		struct ipam_request shared = request("4", "", "", "192.168.1.240");
		struct ipam_decision d;
		cleanup_free char *belongs = xasprintf("belongs to %s", rows[i].named);
		cleanup_free char *first = xasprintf("of %s, which came first", rows[i].named);

		ipam_tell_holders(ipam, rows[i].tell);
		hold(ipam, rows[i].other, "192.168.1.240");
		ipam_decide(ipam, rows[i].key, &taken, &d);
		assert_int_equal(d.reason, REASON_AddressTaken);
		if (!strstr(d.message, belongs))
			fail_msg("%s: %s", rows[i].label, d.message);
		assert_string_equal(d.holder, rows[i].other);
		ipam_decide(ipam, rows[i].key, &shared, &d);
		assert_int_equal(d.reason, REASON_AddressShared);
		if (!strstr(d.message, first))
			fail_msg("%s: %s", rows[i].label, d.message);
		assert_string_equal(d.holder, rows[i].other);
		ipam_request_fini(&taken);
		ipam_request_fini(&shared);
		ipam_free(ipam);
	}
}

/* What a freed address means to those that wait. */
static void test_who_is_concerned(void **state)
{
	static const char pools[] =
		"address-pools:\n"
		"- {name: a, protocol: layer2, addresses: [10.0.0.0/30, 'fd00::/126']}\n"
		"- {name: b, protocol: layer2, addresses: [10.0.1.0/30]}\n"
		"- {name: manual, protocol: layer2, auto-assign: false, addresses: [10.0.2.0/30]}\n"
		"- {name: edge, protocol: layer2, use: external-ip, addresses: [10.0.3.0/30]}\n"
		"- {name: home, protocol: layer2, renumber: true, addresses: [10.0.4.0/30]}\n";
	static const struct {
		const char *label, *families, *asked, *pool, *held, *freed;
		bool concerned;
	} rows[] = {
		{ "any pool", "4", "", "", "", "10.0.0.1", true },
		{ "any other pool", "4", "", "", "", "10.0.1.1", true },
		{ "of another family", "4", "", "", "", "fd00::1", false },
		{ "of a pool that is asked for only", "4", "", "", "", "10.0.2.1", false },
		{ "of a pool for another use", "4", "", "", "", "10.0.3.1", false },
		{ "the pool asked for", "4", "", "manual", "", "10.0.2.1", true },
		{ "not the pool asked for", "4", "", "manual", "", "10.0.0.1", false },
		{ "not the one asked for, but auto", "4", "", "a", "", "10.0.1.1", false },
		{ "the address asked for", "4", "10.0.0.1", "", "", "10.0.0.1", true },
		{ "not the address asked for", "4", "10.0.0.2", "", "", "10.0.0.1", false },
		{ "one of two, the other is free", "46", "10.0.0.1,fd00::1", "", "", "10.0.0.1",
		  true },
		{ "one of two, the other is taken", "46", "10.0.0.1,fd00::2", "", "", "10.0.0.1",
		  false },
		{ "the second family of its pool", "46", "", "", "10.0.0.0", "fd00::1", true },
		{ "not of another pool", "46", "", "", "10.0.1.0", "fd00::1", false },
		{ "what stands in its status", "4", "", "", "10.0.0.2", "10.0.0.2", true },
		{ "not what stands elsewhere", "4", "", "", "10.0.1.2", "10.0.0.1", false },
		{ "a pool that takes in", "4", "", "", "10.0.1.0", "10.0.4.1", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ipam *ipam = ipam_of(pools);
		struct ipam_request r =
			request(rows[i].families, rows[i].asked, rows[i].pool, rows[i].held);

		/*
		 * Others have all that is named here but what is freed; what is held, and not
		 * freed, is ours.
		 */
		hold(ipam, "x/goes", rows[i].freed);
		hold(ipam, "me/me", rows[i].held);
		hold(ipam, "x/stays", "10.0.0.2,fd00::2");
		assert_true(ipam_release(ipam, "x/goes"));
		if (ipam_is_concerned(ipam, "me/me", &r) != rows[i].concerned)
			fail_msg("%s", rows[i].label);
		ipam_freed_seen(ipam);
		hold(ipam, "x/again", rows[i].freed);
		if (ipam_is_concerned(ipam, "me/me", &r))
			fail_msg("%s: afterwards", rows[i].label);
		ipam_request_fini(&r);
		ipam_free(ipam);
	}
}

/*
 * What waits since the labels of its namespace are not known waits for the pool that comes first;
 * where that goes by use, it may be another one after an address was given, or let go and cools.
 */
static void test_order_of_what_is_open(void **state)
{
	static const char pools[] =
		"address-pools:\n"
		"- {name: a, protocol: layer2, allocation: least-used-pool, addresses: [10.0.0.0/30],\n"
		"   namespace-selectors: [{match-labels: {team: x}}], namespaces: [x]}\n"
		"- {name: b, protocol: layer2, allocation: least-used-pool, cool-down: 30s,\n"
		"   namespaces: [me], addresses: [10.0.1.0/30]}\n";
	static const struct {
		const char *label, *before, *given, *freed, *pool;
		bool concerned;
		const char *answer; /* "": it waits */
	} rows[] = {
		{ "the one it waits for is fuller", "", "10.0.0.0", "", "", true, "10.0.1.0" },
		{ "the other one is emptier, and cools", "10.0.0.0", "", "10.0.1.3,10.0.1.2", "",
		  true, "10.0.1.0" },
		{ "nothing is given", "", "", "", "", false, "" },
		{ "it names a pool", "", "10.0.0.0", "", "a", false, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ipam *ipam = ipam_of(pools);
		struct ipam_request r = request("4", "", rows[i].pool, "");
		struct ipam_decision d;

		ipam_set_time(ipam, 100);
		hold(ipam, "x/stays", rows[i].before);
		hold(ipam, "x/goes", rows[i].freed);
		/* One that cools down already, so that no other one begins that. */
		hold(ipam, "y/went", "10.0.1.1");
		ipam_release(ipam, "y/went");
		ipam_freed_seen(ipam);
		ipam_decide(ipam, "me/me", &r, &d);
		assert_int_equal(d.reason, REASON_NamespaceUnknown);
		hold(ipam, "x/comes", rows[i].given);
		ipam_release(ipam, "x/goes");
		if (ipam_is_concerned(ipam, "me/me", &r) != rows[i].concerned ||
		    (ipam_may_concern_others(ipam) && !rows[i].concerned && !rows[i].pool[0]))
			fail_msg("%s: concerned", rows[i].label);
		assert_true(!rows[i].concerned || ipam_may_concern_others(ipam));
		ipam_decide(ipam, "me/me", &r, &d);
		assert_string_equal(d.action == IPAM_FAIL ? "" : text_of(&d), rows[i].answer);
		ipam_freed_seen(ipam);
		assert_false(ipam_is_concerned(ipam, "me/me", &r));
		assert_false(ipam_may_concern_others(ipam));
		ipam_request_fini(&r);
		ipam_free(ipam);
	}
}

/* What is retained belongs to its Service, and is given to nobody. */
static void test_retained_is_taken(void **state)
{
	struct ipam *ipam = ipam_of(world);
	struct ipam_request r = request("4", "203.0.113.9", "", "");
	struct ipam_decision d;
	struct addr a = addr("203.0.113.9");

	(void)state;
	ipam_hold_any(ipam, "x/first", &a, 1);
	ipam_decide(ipam, "me/me", &r, &d);
	assert_int_equal(d.reason, REASON_AddressTaken);
	ipam_release(ipam, "x/first");
	ipam_decide(ipam, "me/me", &r, &d);
	assert_int_equal(d.reason, REASON_AddressOutsidePools);
	ipam_request_fini(&r);
	ipam_free(ipam);
}

#define LONG_NAME                                                                         \
	"a-name-of-more-than-a-hundred-characters-which-nobody-should-give-to-a-pool-but" \
	"-which-nothing-forbids-and-somebody-has-chosen-for-reasons-of-his-own"

/*
 * Edits of the pools: who has an address keeps it, whatever was asked for when it was given.  Each
 * Service holds what the condition's message names, and asks for @pool.
 */
static void test_edits_move_nobody(void **state)
{
	static const struct {
		const char *what, *pools, *families, *held, *pool, *message;
		enum ipam_action action;
		enum reason reason;
		const char *addrs, *says;
	} rows[] = {
		{ "split", "lan: 10.0.0.100-10.0.0.180, lan2: 10.0.0.181-10.0.0.250", "4",
		  "10.0.0.200", "lan", "assigned 10.0.0.200 from pool lan", IPAM_KEEP, REASON_Kept,
		  "10.0.0.200", "of pool lan2, given for the request for pool lan" },
		{ "split, as said since", "lan: 10.0.0.100-10.0.0.180, lan2: 10.0.0.181-10.0.0.250",
		  "4", "10.0.0.200", "lan",
		  "keeps 10.0.0.200 of pool lan2, given for the request for pool lan", IPAM_KEEP,
		  REASON_Kept, "10.0.0.200", "" },
		{ "split, and the Service asks for another",
		  "lan: 10.0.0.100-10.0.0.180, lan2: 10.0.0.181-10.0.0.250", "4", "10.0.0.200",
		  "lan2", "assigned 10.0.0.200 from pool lan", IPAM_KEEP, REASON_Kept, "10.0.0.200",
		  "of pool lan2" },
		{ "the Service asks for another",
		  "lan: 10.0.0.100-10.0.0.180, lan2: 10.0.0.181-10.0.0.250", "4", "10.0.0.110",
		  "lan2", "assigned 10.0.0.110 from pool lan", IPAM_MOVE, REASON_Assigned,
		  "10.0.0.181", "from pool lan2" },
		{ "a name that begins alike", "lan: 10.0.0.0/28, lan2: 10.0.1.0/28", "4",
		  "10.0.1.5", "lan", "assigned 10.0.1.5 from pool lan2", IPAM_MOVE, REASON_Assigned,
		  "10.0.0.0", "" },
		{ "never honoured", "lan: 10.0.0.0/28, lan2: 10.0.1.0/28", "4", "10.0.1.5", "lan",
		  "pool lan was asked for, but does not exist; the status keeps 10.0.1.5",
		  IPAM_MOVE, REASON_Assigned, "10.0.0.0", "" },
		{ "split while something else fails", "lan: 10.0.0.0/28, lan2: 10.0.1.0/28", "4",
		  "10.0.1.5", "lan",
		  "no free address: lan has no IPv6 addresses; what is held was given for the "
		  "request for pool lan; the status keeps 10.0.1.5",
		  IPAM_KEEP, REASON_Kept, "10.0.1.5", "of pool lan2, given for" },
		{ "something else fails", "lan: 10.0.0.0/28", "46+", "10.0.0.5", "lan",
		  "assigned 10.0.0.5 from pool lan", IPAM_FAIL, REASON_PoolExhausted, "10.0.0.5",
		  "given for the request for pool lan; the status keeps 10.0.0.5" },
		{ "a failure that names the pool", "lan: 10.0.0.0/28, lan2: 10.0.1.0/28", "4",
		  "10.0.1.5", "lan",
		  "10.0.1.6 was asked for from pool lan, but is in pool lan2; the status keeps "
		  "10.0.1.5",
		  IPAM_MOVE, REASON_Assigned, "10.0.0.0", "" },
		{ "shrunk, of a long name", LONG_NAME ": 10.0.0.0/30", "4", "10.0.0.5", LONG_NAME,
		  "assigned 10.0.0.5 from pool " LONG_NAME, IPAM_KEEP, REASON_Retained, "10.0.0.5",
		  "given for" },
		{ "split, of a long name", LONG_NAME ": 10.0.0.0/30, b" LONG_NAME ": 10.0.1.0/30",
		  "4", "10.0.1.1", LONG_NAME, "assigned 10.0.1.1 from pool " LONG_NAME, IPAM_KEEP,
		  REASON_Kept, "10.0.1.1", "given for" },
		{ "renamed", "new: 10.0.0.0/28", "4", "10.0.0.5", "old",
		  "assigned 10.0.0.5 from pool old", IPAM_KEEP, REASON_Kept, "10.0.0.5",
		  "of pool new, given for the request for pool old" },
		{ "swapped", "b: 10.0.0.0/28, a: 10.0.1.0/28", "4", "10.0.0.5", "a",
		  "assigned 10.0.0.5 from pool a", IPAM_KEEP, REASON_Kept, "10.0.0.5", "" },
		{ "moved to a pool for another use",
		  "lan: 10.0.0.0/28, ext: 10.0.1.0/28 external-ip", "4", "10.0.1.5", "lan",
		  "assigned 10.0.1.5 from pool lan", IPAM_KEEP, REASON_Retained, "10.0.1.5",
		  "pool ext is no longer for load balancers" },
		{ "use taken away", "lan: 10.0.0.0/28 external-ip", "4", "10.0.0.5", "lan",
		  "assigned 10.0.0.5 from pool lan", IPAM_KEEP, REASON_Retained, "10.0.0.5", "" },
		{ "shrunk", "lan: 10.0.0.0/30", "4", "10.0.0.5", "",
		  "assigned 10.0.0.5 from pool lan", IPAM_KEEP, REASON_Retained, "10.0.0.5",
		  "10.0.0.5 is in no pool any more" },
		{ "shrunk, asked for", "lan: 10.0.0.0/30", "4", "10.0.0.5", "lan",
		  "assigned 10.0.0.5 from pool lan", IPAM_KEEP, REASON_Retained, "10.0.0.5",
		  "given for the request for pool lan;" },
		{ "removed, asked for", "", "4", "10.0.0.5", "lan",
		  "assigned 10.0.0.5 from pool lan", IPAM_KEEP, REASON_Retained, "10.0.0.5", "" },
		{ "removed, half of it", "lan: 10.0.0.0/28", "46+", "10.0.0.5,fd00::1", "lan",
		  "assigned 10.0.0.5, fd00::1 from pool lan", IPAM_KEEP, REASON_Retained,
		  "10.0.0.5,fd00::1", "fd00::1 is in no pool" },
		{ "removed, and one family has to do", "", "46", "10.0.0.5", "lan",
		  "assigned 10.0.0.5 from pool lan", IPAM_KEEP, REASON_Retained, "10.0.0.5", "" },
		{ "retained, and another pool asked for", "new: 10.0.1.0/28", "4", "10.0.0.5",
		  "new",
		  "keeps 10.0.0.5, given for the request for pool lan; 10.0.0.5 is in no pool any more",
		  IPAM_MOVE, REASON_Assigned, "10.0.1.0", "" },
		{ "taken in", "lan: 10.0.0.0/30 renumber", "4", "10.0.0.5", "lan",
		  "assigned 10.0.0.5 from pool lan", IPAM_MOVE, REASON_Assigned, "10.0.0.0",
		  "from pool lan" },
		{ "taken in by another name", "new: 10.0.1.0/30 renumber", "4", "10.0.0.5", "lan",
		  "assigned 10.0.0.5 from pool lan", IPAM_MOVE, REASON_Assigned, "10.0.1.0",
		  "from pool new, given for the request for pool lan" },
		{ "taken in after a split",
		  "lan: 10.0.0.100-10.0.0.180 renumber, lan2: 10.0.0.181-10.0.0.250", "4",
		  "10.0.0.200", "lan", "assigned 10.0.0.200 from pool lan", IPAM_MOVE,
		  REASON_Assigned, "10.0.0.100", "" },
		{ "not taken in by a pool that is not asked for",
		  "lan: 10.0.0.0/30, other: 10.0.1.0/30 renumber", "4", "10.0.0.5", "lan",
		  "assigned 10.0.0.5 from pool lan", IPAM_KEEP, REASON_Retained, "10.0.0.5", "" },
		{ "in place, so not taken in", "lan: 10.0.0.0/28 renumber", "4", "10.0.0.5", "",
		  "assigned 10.0.0.5 from pool lan", IPAM_KEEP, REASON_Kept, "10.0.0.5", "" },
		{ "no room to be taken in", "lan: 10.0.0.9/32 renumber", "4", "10.0.0.5", "",
		  "assigned 10.0.0.5 from pool lan", IPAM_KEEP, REASON_Retained, "10.0.0.5", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup(buf_fini) struct buf yaml = BUF_INIT;
		cleanup_free char *pools = xstrdup(rows[i].pools);
		char *save = NULL;

		buf_puts(&yaml, "address-pools:");
		for (char *w = strtok_r(pools, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
			char name[200], range[64], more[16] = "";
			assert_true(sscanf(w, " %199[^:]: %63s %15s", name, range, more) >= 2);
			buf_printf(&yaml, "\n- {name: %s, protocol: layer2, addresses: [%s]%s%s}",
			           name, range,
			           !strcmp(more, "external-ip") ? ", use: external-ip" : "",
			           !strcmp(more, "renumber") ? ", renumber: true" : "");
		}
		struct ipam *ipam = ipam_of(buf_str(&yaml));
		struct ipam_request r = request(rows[i].families, "", rows[i].pool, rows[i].held);
		struct ipam_decision d;
		struct addr taken = addr("10.0.0.9");

		r.assigned_by_us = true;
		r.renumber = IPAM_RENUMBER_AT_ONCE;
		bool is_true = !strncmp(rows[i].message, "keeps ", 6) ||
		               !strncmp(rows[i].message, "assigned ", 9);
		r.honoured = r.pool && ipam_message_honours(rows[i].message, is_true, r.pool);
		ipam_hold(ipam, "x/other", &taken, 1);
		ipam_hold_any(ipam, "me/me", r.held, r.n_held);
		ipam_decide(ipam, "me/me", &r, &d);
		if (d.action != rows[i].action || d.reason != rows[i].reason ||
		    strcmp(text_of(&d), rows[i].addrs) != 0 || !strstr(d.message, rows[i].says))
			fail_msg("%s: %s %s \"%s\" %s", rows[i].what, ipam_action_name(d.action),
			         reason_name(d.reason), text_of(&d), d.message);
		/* What is said now is as good a witness as what was said before. */
		if (r.pool && (d.action == IPAM_KEEP || d.action == IPAM_FAIL) &&
		    !ipam_message_honours(d.message, d.action == IPAM_KEEP, r.pool))
			fail_msg("%s: not honoured: %s", rows[i].what, d.message);
		ipam_request_fini(&r);
		ipam_free(ipam);
	}
}

/*
 * Who is taken in by a pool with renumber, and when; and what was asked for and given stays,
 * whatever became of its pool.
 */
static void test_renumbering(void **state)
{
	static const char pools[] =
		"address-pools:\n"
		"- {name: lan, protocol: layer2, addresses: [10.0.0.0/30]}\n"
		"- {name: lan2, protocol: layer2, auto-assign: false, addresses: [10.0.0.4/30]}\n"
		"- {name: home, protocol: layer2, use: [load-balancer, external-ip], addresses: "
		"[10.0.4.0/30], renumber: %s}\n";
	static const struct {
		const char *what, *renumber, *asked, *pool, *held;
		enum ipam_renumber when;
		bool external, confirmed, renumbers;
		const char *addrs;
		bool hands_over;
	} rows[] = {
		{ "whoever has no pool", "true", "", "", "10.0.9.1", IPAM_RENUMBER_AT_ONCE, false,
		  true, true, "10.0.4.0" },
		{ "it is not its turn", "true", "", "", "10.0.9.1", IPAM_RENUMBER_LATER, false,
		  true, true, "10.0.9.1" },
		{ "named", "[me/me]", "", "", "10.0.9.1", IPAM_RENUMBER_AT_ONCE, false, true, true,
		  "10.0.4.0" },
		{ "another is named", "[me/you]", "", "", "10.0.9.1", IPAM_RENUMBER_AT_ONCE, false,
		  true, false, "10.0.9.1" },
		{ "one whose name begins alike is named", "[me/me2]", "", "", "10.0.9.1",
		  IPAM_RENUMBER_AT_ONCE, false, true, false, "10.0.9.1" },
		{ "an external IP", "true", "", "home", "10.0.9.1", IPAM_RENUMBER_AT_ONCE, true,
		  true, true, "10.0.4.0" },
		{ "an external IP that nobody confirmed is not moved, but assigned", "true", "",
		  "home", "10.0.9.1", IPAM_RENUMBER_AT_ONCE, true, false, false, "10.0.4.0" },
		{ "asked for from a pool that lost it to another", "true", "10.0.0.5", "lan",
		  "10.0.0.5", IPAM_RENUMBER_AT_ONCE, false, true, false, "10.0.0.5" },
		{ "taken in, and the old one goes later: that is no turn of its own", "true", "",
		  "", "10.0.4.0,10.0.9.1", IPAM_RENUMBER_LATER, false, true, false,
		  "10.0.4.0,10.0.9.1", true },
		{ "the old one goes", "true", "", "", "10.0.4.0,10.0.9.1", IPAM_RENUMBER_LATER,
		  false, true, true, "10.0.4.0" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_free char *yaml = xasprintf(pools, rows[i].renumber);
		struct ipam *ipam = ipam_of(yaml);
		struct ipam_request r = request("4", rows[i].asked, rows[i].pool, rows[i].held);
		struct ipam_decision d;

		r.assigned_by_us = true;
		r.renumber = rows[i].when;
		r.hands_over = rows[i].hands_over;
		r.honoured = *rows[i].asked;
		if (rows[i].external) {
			r.use = CONFIG_USE_EXTERNAL_IP;
			r.n_confirmed = rows[i].confirmed;
			r.confirmed[0] = r.held[0];
		}
		ipam_hold_any(ipam, "me/me", r.held, r.n_held);
		ipam_decide(ipam, "me/me", &r, &d);
		if (d.action == IPAM_FAIL || d.renumbers != rows[i].renumbers ||
		    strcmp(text_of(&d), rows[i].addrs) != 0)
			fail_msg("%s: %s \"%s\" %s%s", rows[i].what, reason_name(d.reason),
			         text_of(&d), d.renumbers ? "(renumbers) " : "", d.message);
		ipam_request_fini(&r);
		ipam_free(ipam);
	}
}

/*
 * A pool takes in whom it is for, with what it reserves for it, and nobody moves elsewhere while
 * one may be for it.
 */
static void test_renumbering_for_some(void **state)
{
	static const char pools[] =
		"address-pools:\n"
		"- {name: all, protocol: layer2, renumber: true, addresses: [10.0.5.0/30]}\n"
		"- {name: red, protocol: layer2, renumber: true, "
		"namespace-selectors: [{match-labels: {team: red}}], addresses: [10.0.2.0/30], "
		"reservations: [{service: me/booked, address: 10.0.2.3}]}\n"
		"- {name: still, protocol: layer2, priority: 1, "
		"namespace-selectors: [{match-labels: {team: red}}], addresses: [10.0.3.0/30]}\n"
		"- {name: z-hand, protocol: layer2, renumber: true, auto-assign: false, "
		"addresses: [10.0.4.0/30], reservations: [{service: me/late, address: 10.0.4.2}]}\n";
	static const struct {
		const char *what, *key, *team, *others, *pool, *addrs; /* "": it does not move */
	} rows[] = {
		{ "for it", "me/me", "red", "", "", "10.0.2.0" },
		{ "for others", "me/me", "blue", "", "", "10.0.5.0" },
		{ "perhaps for it", "me/me", NULL, "", "", "" },
		{ "perhaps for it, and it asks for another", "me/me", NULL, "", "all", "10.0.5.0" },
		{ "perhaps for it, and it asks for that", "me/me", NULL, "", "red", "" },
		{ "full", "me/me", "red", "x/a=10.0.2.0 x/b=10.0.2.1 x/c=10.0.2.2", "",
		  "10.0.5.0" },
		{ "reserved", "me/booked", "red", "", "", "10.0.2.3" },
		{ "reserved, and another has it", "me/booked", "red", "x/a=10.0.2.3", "", "" },
		{ "reserved where it may not be", "me/booked", "blue", "", "", "10.0.5.0" },
		{ "reserved behind others", "me/late", "red", "", "", "10.0.4.2" },
		{ "reserved, and it asks for another", "me/late", "red", "", "red", "10.0.2.0" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ipam *ipam = ipam_of(pools);
		struct ipam_request r = request("4", "", rows[i].pool, "10.0.9.1");
		struct ipam_decision d;
		const char *addrs = *rows[i].addrs ? rows[i].addrs : "10.0.9.1";

		r.assigned_by_us = r.honoured = true;
		r.renumber = IPAM_RENUMBER_AT_ONCE;
		know_namespace(ipam, rows[i].key, rows[i].team);
		ipam_hold_any(ipam, rows[i].key, r.held, r.n_held);
		hold_others(ipam, rows[i].others);
		ipam_decide(ipam, rows[i].key, &r, &d);
		if (d.renumbers != (*rows[i].addrs != '\0') || strcmp(text_of(&d), addrs) != 0)
			fail_msg("%s: %s \"%s\" %s", rows[i].what, reason_name(d.reason),
			         text_of(&d), d.message);
		ipam_request_fini(&r);
		ipam_free(ipam);
	}
}

static void test_wishes(void **state)
{
	struct ipam *ipam = ipam_of(world);
	struct ipam_request r = request("4", "", "", "192.168.1.240");
	struct ipam_decision d;

	(void)state;
	ipam_hold(ipam, "me/me", r.held, r.n_held);
	r.wish = IPAM_WISH_OTHER;
	ipam_decide(ipam, "me/me", &r, &d);
	assert_int_equal(d.action, IPAM_NONE);
	assert_int_equal(d.reason, REASON_OtherClass);
	assert_true(d.hands_off);

	r.wish = IPAM_WISH_DELETING;
	ipam_decide(ipam, "me/me", &r, &d);
	assert_int_equal(d.action, IPAM_NONE);
	assert_true(d.hands_off);

	r.wish = IPAM_WISH_UNREADABLE;
	ipam_decide(ipam, "me/me", &r, &d);
	assert_int_equal(d.action, IPAM_NONE);
	assert_int_equal(d.reason, REASON_Unreadable);
	assert_true(d.hands_off);
	assert_int_equal(d.n, 1);

	ipam_free(ipam);
}

/* A Service that is of another type now gives up what its status holds, if it is ours. */
static void test_unwanted(void **state)
{
	static const struct {
		const char *held;
		bool foreign, assigned_by_us, released;
	} rows[] = {
		{ "192.168.1.240", false, false, true },
		{ "192.168.1.240", false, true, true },
		{ "203.0.113.9", false, true, true }, /* the pool is gone */
		{ "203.0.113.9", false, false, false },
		{ "192.168.1.240,203.0.113.9", false, false, false },
		{ "192.168.1.240", true, false, false }, /* and a host name */
		{ "", false, false, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ipam *ipam = ipam_of(world);
		struct ipam_request r = request("4", "", "", rows[i].held);
		struct ipam_decision d;
		r.wish = IPAM_WISH_NONE;
		r.foreign = rows[i].foreign;
		r.assigned_by_us = rows[i].assigned_by_us;
		ipam_decide(ipam, "me/me", &r, &d);
		assert_int_equal(d.reason, REASON_NoAddressWanted);
		assert_int_equal(d.action, rows[i].released ? IPAM_RELEASE : IPAM_NONE);
		assert_int_equal(d.n, rows[i].released ? 0 : r.n_held);
		assert_int_equal(d.hands_off, !rows[i].released);
		ipam_free(ipam);
	}
}

static void test_no_pools(void **state)
{
	struct ipam *ipam = ipam_of("");
	struct ipam_request r = request("4", "", "", "");
	struct ipam_decision d;

	(void)state;
	ipam_decide(ipam, "me/me", &r, &d);
	assert_int_equal(d.reason, REASON_NoPools);
	ipam_free(ipam);

	ipam = ipam_of("address-pools: [{name: a, protocol: layer2, auto-assign: false, addresses: "
	               "[10.0.0.0/24]}]");
	ipam_decide(ipam, "me/me", &r, &d);
	assert_int_equal(d.reason, REASON_NoAutoAssignPool);
	assert_non_null(strstr(d.message, "a has auto-assign: false"));
	ipam_free(ipam);
}

/* ---- what a Service asks for ---- */

static void test_requests(void **state)
{
	static const struct {
		const char *keys[3], *values[3], *spec;
		const char *pool, *asked, *problem;
	} rows[] = {
		{ { 0 }, { 0 }, NULL, NULL, "", NULL },
		{ { 0 }, { 0 }, "10.0.0.1", NULL, "10.0.0.1", NULL },
		{ { 0 },
		  { 0 },
		  "here",
		  NULL,
		  "",
		  "spec.loadBalancerIP: \"here\" is no IP address; write one, or the annotation "
		  "fairlead.io/addresses" },
		{ { "fairlead.io/address-pool" }, { "lan" }, NULL, "lan", "", NULL },
		{ { "metallb.universe.tf/address-pool", "metallb.io/address-pool" },
		  { "old", "new" },
		  NULL,
		  "new",
		  "",
		  NULL },
		{ { "metallb.io/address-pool", "fairlead.io/address-pool" },
		  { "theirs", "ours" },
		  NULL,
		  "ours",
		  "",
		  NULL },
		{ { "fairlead.io/addresses" },
		  { " 10.0.0.1 , fd00::1 " },
		  NULL,
		  NULL,
		  "10.0.0.1,fd00::1",
		  NULL },
		{ { "metallb.universe.tf/loadBalancerIPs" },
		  { "10.0.0.1" },
		  NULL,
		  NULL,
		  "10.0.0.1",
		  NULL },
		{ { "metallb.io/loadBalancerIPs" },
		  { "10.0.0.1" },
		  "10.0.0.1",
		  NULL,
		  "10.0.0.1",
		  NULL },
		{ { "metallb.io/loadBalancerIPs" },
		  { "10.0.0.1" },
		  "10.0.0.2",
		  NULL,
		  "10.0.0.1",
		  "differ; remove one" },
		{ { "fairlead.io/addresses" },
		  { "10.0.0.1,10.0.0.2" },
		  NULL,
		  NULL,
		  "10.0.0.1,10.0.0.2",
		  NULL },
		{ { "fairlead.io/addresses" },
		  { "10.0.0.1,fd00::1,10.0.0.1" },
		  NULL,
		  NULL,
		  "10.0.0.1,fd00::1",
		  "fairlead.io/addresses asks for 10.0.0.1 twice" },
		{ { "metallb.io/loadBalancerIPs" },
		  { "10.0.0.1,fd00::1,10.0.0.2,10.0.0.3,10.0.0.4,10.0.0.5" },
		  NULL,
		  NULL,
		  "10.0.0.1,fd00::1,10.0.0.2,10.0.0.3,10.0.0.4",
		  "metallb.io/loadBalancerIPs asks for more than 4 IPv4 addresses, which no pool "
		  "gives a Service" },
		{ { "fairlead.io/addresses" },
		  { "10.0.0.1,10.0.0.2" },
		  "10.0.0.1",
		  NULL,
		  "10.0.0.1,10.0.0.2",
		  "differ; remove one" },
		{ { NULL },
		  { NULL },
		  "10.0.0.1,10.0.0.2",
		  NULL,
		  "",
		  "spec.loadBalancerIP holds more than one address" },
		{ { "fairlead.io/addresses" },
		  { "10.0.0.300" },
		  NULL,
		  NULL,
		  "",
		  "fairlead.io/addresses: \"10.0.0.300\" is no IP address; write one, or several "
		  "with commas between" },
		{ { "fairlead.io/addresses" },
		  { "0123456789012345678901234567890123456789012345678901234567890123456789" },
		  NULL,
		  NULL,
		  "",
		  "is no IP address" },
		{ { "fairlead.io/addresses" }, { " , " }, NULL, NULL, "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct label kvs[3];
		size_t n = 0;
		for (; n < 3 && rows[i].keys[n]; n++)
			kvs[n] = (struct label){ .key = xstrdup(rows[i].keys[n]),
				                 .value = xstrdup(rows[i].values[n]) };
		cleanup_free char *spec = xstrdup_null(rows[i].spec);
		struct kube_service s = { .type = KUBE_LOAD_BALANCER,
			                  .load_balancer_ip = spec,
			                  .meta.annotations = { .kvs = kvs, .n = n } };
		struct ipam_request r;
		struct ipam_decision shown = { 0 };

		ipam_request_of(&s, NULL, &r);
		shown.n = r.n_asked;
		memcpy(shown.addrs, r.asked, sizeof(r.asked));
		assert_string_equal(text_of(&shown), rows[i].asked);
		assert_string_equal(r.pool ? r.pool : "", rows[i].pool ? rows[i].pool : "");
		assert_int_equal(r.problem != NULL, rows[i].problem != NULL);
		if (r.problem)
			assert_non_null(strstr(r.problem, rows[i].problem));
		if (r.problem)
			assert_int_equal(r.problem_reason, strstr(r.problem, "more than 4")
			                                           ? REASON_TooManyAddresses
			                                           : REASON_InvalidRequest);
		ipam_request_fini(&r);
		for (size_t k = 0; k < n; k++) {
			free(kvs[k].key);
			free(kvs[k].value);
		}
	}
}

static void test_classes(void **state)
{
	static const struct {
		const char *ours, *theirs;
		enum ipam_wish wish;
	} rows[] = {
		{ NULL, NULL, IPAM_WISH_ADDRESS },
		{ NULL, "example.com/x", IPAM_WISH_OTHER },
		{ "example.com/x", NULL, IPAM_WISH_OTHER },
		{ "example.com/x", "example.com/x", IPAM_WISH_ADDRESS },
		{ "example.com/x", "example.com/y", IPAM_WISH_OTHER },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_free char *class = xstrdup_null(rows[i].theirs);
		struct kube_service s = { .type = KUBE_LOAD_BALANCER,
			                  .load_balancer_class = class };
		struct ipam_request r;
		ipam_request_of(&s, rows[i].ours, &r);
		assert_int_equal(r.wish, rows[i].wish);
		ipam_request_fini(&r);
		s.type = KUBE_NODE_PORT;
		ipam_request_of(&s, rows[i].ours, &r);
		assert_int_equal(r.wish, IPAM_WISH_NONE);
		ipam_request_fini(&r);
	}
}

/* ---- free addresses ---- */

static void test_large_pools_are_cheap(void **state)
{
	struct ipam *ipam =
		ipam_of("address-pools:\n"
	                "- {name: a, protocol: layer2, avoid-buggy-ips: true, addresses: "
	                "[10.0.0.0/8, 'fd00::/64', 0.0.0.0/7, 192.0.0.0/2]}\n");
	struct ipam_request r = request("46", "", "", "");
	struct ipam_decision d;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		char key[32];
		snprintf(key, sizeof(key), "x/s%d", i);
		ipam_decide(ipam, key, &r, &d);
		assert_int_equal(d.action, IPAM_ASSIGN);
		assert_int_equal(ipam_hold(ipam, key, d.addrs, d.n), 2);
	}
	assert_string_equal(text_of(&d), "1.0.78.188,fd00::4e1f");
	struct ipam_pool_usage u = ipam_usage(ipam, 0);
	assert_int_equal(u.used[0], 20000);
	assert_int_equal(u.total[1], UINT64_MAX);
	/*
	 * A /8, a /7 without 0.0.0.0/8, and a /2 without 224.0.0.0/3: all without two of every 256.
	 */
	assert_int_equal(u.total[0], (65536 + 65536 + 2097152) * 254);
	ipam_free(ipam);
}

static void test_special_addresses_are_not_handed_out(void **state)
{
	struct ipam *ipam = ipam_of("address-pools:\n"
	                            "- {name: a, protocol: layer2, addresses: "
	                            "[126.255.255.255-128.0.0.0, '::/126']}\n");
	struct ipam_request r = request("46", "", "", "");
	struct ipam_decision d;

	(void)state;
	ipam_decide(ipam, "x/a", &r, &d);
	assert_string_equal(text_of(&d), "126.255.255.255,::2");
	ipam_hold(ipam, "x/a", d.addrs, d.n);
	ipam_decide(ipam, "x/b", &r, &d);
	assert_string_equal(text_of(&d), "128.0.0.0,::3");
	assert_int_equal(ipam_usage(ipam, 0).total[0], 2);
	ipam_free(ipam);
}

/* The runs against the simplest thing that could work: a bitmap. */
static struct addr numbered(unsigned int i)
{
	struct addr a = addr("10.0.0.0");

	a.b[2] = (uint8_t)(i >> 8);
	a.b[3] = (uint8_t)i;
	return a;
}

/* Ranges may overlap those before. */
static void exclude(struct runs *runs, unsigned int first, unsigned int more, bool *excluded)
{
	const struct addr_range range = { .first = numbered(first),
		                          .last = numbered(first + more) };

	runs_exclude(runs, &range);
	for (unsigned int i = first; i <= first + more; i++)
		excluded[i] = true;
}

static void test_runs_against_a_bitmap(void **state)
{
	enum { N = 600 };

	(void)state;
	for (unsigned int seed = 1; seed <= 40; seed++) {
		struct runs runs = { .skip_buggy = seed % 2 };
		struct addr_range range = { .first = addr("10.0.0.0"), .last = addr("10.0.2.87") };
		bool taken[N] = { false }, excluded[N] = { false };
		unsigned int rnd = seed;

		runs_add(&runs, &range);
		/* Neither the first nor the last, so that something is always free. */
		for (size_t k = 0; k < 3 && seed > 20; k++) {
			rnd = rnd * 1103515245 + 12345;
			exclude(&runs, 1 + (rnd >> 8) % (N - 80), (rnd >> 20) % 70, excluded);
		}
		uint64_t total = 0;
		for (unsigned int i = 0; i < N; i++)
			total += !excluded[i] &&
			         !(runs.skip_buggy && (i % 256 == 0 || i % 256 == 255));
		assert_int_equal(runs.total, total);
		for (int step = 0; step < 4000; step++) {
			rnd = rnd * 1103515245 + 12345;
			unsigned int i = (rnd >> 8) % N;
			if (excluded[i])
				continue;
			struct addr a = range.first;
			a.b[2] = (uint8_t)(i >> 8);
			a.b[3] = (uint8_t)i;
			if (taken[i])
				runs_give(&runs, &a);
			else
				runs_take(&runs, &a);
			taken[i] = !taken[i];

			unsigned int lowest = 0;
			while (lowest < N &&
			       (taken[lowest] || excluded[lowest] ||
			        (runs.skip_buggy && (lowest % 256 == 0 || lowest % 256 == 255))))
				lowest++;
			struct addr first;
			assert_true(runs_first(&runs, &first));
			assert_int_equal(first.b[2] * 256 + first.b[3], lowest);
			assert_int_equal(runs_has(&runs, &a), !taken[i] && runs_usable(&runs, &a));
		}
		runs_fini(&runs);
	}
}

/* What one more run moves is bounded, whatever the pool's size: no block grows beyond its bound. */
static size_t assert_blocks_in_order(const struct runs *r)
{
	const struct addr_range *before = NULL;
	size_t n = 0;

	for (size_t i = 0; i < r->n_blocks; i++) {
		assert_in_range(r->blocks[i].n, 1, RUNS_BLOCK_MAX);
		for (size_t k = 0; k < r->blocks[i].n; k++, n++) {
			const struct addr_range *run = &r->blocks[i].items[k];
			assert_true(!before || addr_cmp(&before->last, &run->first) < 0);
			before = run;
		}
	}
	return n;
}

static void test_runs_of_a_fragmented_pool_are_in_small_blocks(void **state)
{
	enum { N = 65536, STRIDE = 40503 };
	const struct addr_range all = { .first = numbered(0), .last = numbered(N - 1) };
	struct runs runs = { 0 };
	struct addr a;

	(void)state;
	runs_add(&runs, &all);
	/* Every second one, in an order that jumps about. */
	for (unsigned int i = 0; i < N; i++) {
		a = numbered(i * STRIDE % N);
		if (a.b[3] % 2)
			runs_take(&runs, &a);
	}
	assert_int_equal(assert_blocks_in_order(&runs), N / 2);
	assert_in_range(runs.n_blocks, N / 2 / RUNS_BLOCK_MAX, 2 * N / 2 / (RUNS_BLOCK_MAX / 2));
	a = numbered(777);
	assert_true(runs_from(&runs, &a, &a));
	assert_int_equal(a.b[2] * 256 + a.b[3], 778);
	for (unsigned int i = 0; i < N; i++) {
		a = numbered(i * STRIDE % N);
		if (a.b[3] % 2)
			runs_give(&runs, &a);
	}
	assert_int_equal(assert_blocks_in_order(&runs), 1);
	runs_fini(&runs);
}

/* Ranges come in any order, and neighbours become one. */
static void test_runs_join(void **state)
{
	static const unsigned int order[] = { 3, 0, 2, 5, 1 };
	struct runs runs = { 0 };
	struct addr a = numbered(31);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		const struct addr_range range = { .first = numbered(order[i] * 10),
			                          .last = numbered(order[i] * 10 + 9) };
		runs_add(&runs, &range);
	}
	assert_int_equal(assert_blocks_in_order(&runs), 2);
	assert_int_equal(runs.total, 50);
	runs_take(&runs, &a);
	assert_int_equal(assert_blocks_in_order(&runs), 3);
	runs_fini(&runs);
}

/* ---- properties, on random worlds ---- */

enum { MANY = 60 };

struct thing {
	char key[16], namespace[4], name[8];
	struct ipam_request r;
	bool exists;
	int64_t creation_us;
};

static unsigned int rnd_state;

static unsigned int rnd(unsigned int below)
{
	rnd_state = rnd_state * 1664525 + 1013904223;
	return (rnd_state >> 8) % below;
}

static const char small_world[] =
	"address-pools:\n"
	"- {name: a, protocol: layer2, avoid-buggy-ips: true, addresses: [10.0.0.250-10.0.1.9]}\n"
	"- {name: b, protocol: layer2, addresses: [10.0.2.0/29, 'fd00::/125']}\n"
	"- {name: c, protocol: layer2, auto-assign: false, priority: 1, addresses: [10.0.3.0/30]}\n";
static const char other_world[] =
	"address-pools:\n"
	"- {name: x, protocol: layer2, priority: 1, addresses: [10.0.1.0/30]}\n"
	"- {name: y, protocol: layer2, addresses: [10.0.2.0/30, 'fd00::/126']}\n";

static void random_wish(struct thing *t)
{
	static const char *const families[] = { "4", "4", "4", "6", "46", "64+" };
	static const char *const asked[] = { "",         "",         "",        "",
		                             "10.0.2.1", "10.0.3.2", "fd00::3", "10.9.9.9" };
	static const char *const pools[] = { "", "", "", "a", "b", "c", "nowhere" };
	struct ipam_request r = request(families[rnd(6)], asked[rnd(8)], pools[rnd(7)], "");

	memcpy(r.held, t->r.held, sizeof(r.held));
	r.n_held = t->r.n_held;
	ipam_request_fini(&t->r);
	t->r = r;
}

/* The invariants that hold at any time. */
static void check(const struct ipam *ipam, const struct thing *things)
{
	for (size_t i = 0; i < MANY; i++)
		for (size_t k = 0; things[i].exists && k < things[i].r.n_held; k++) {
			const struct addr *a = &things[i].r.held[k];
			const char *holder = ipam_holder(ipam, a);
			/* Every holder holds, so no address is given twice. */
			if (configuration_pool_of(ipam_configuration(ipam), a)) {
				assert_non_null(holder);
				assert_string_equal(holder, things[i].key);
			}
			for (size_t e = 0; e < i; e++)
				for (size_t m = 0; things[e].exists && m < things[e].r.n_held; m++)
					assert_false(addr_eq(a, &things[e].r.held[m]));
		}
}

/* Decides and makes it so, as the controller does once its patch went through. */
static void settle(struct ipam *ipam, struct thing *t)
{
	struct ipam_decision d, again;

	ipam_hold(ipam, t->key, t->r.held, t->r.n_held);
	ipam_decide(ipam, t->key, &t->r, &d);
	if (d.action == IPAM_FAIL || d.action == IPAM_KEEP) {
		/* What it holds stays. */
		assert_int_equal(d.n, t->r.n_held);
		return;
	}
	assert_int_equal(ipam_hold(ipam, t->key, d.addrs, d.n), d.n);
	/* Until the patch went through it has both, and the answer stays the same. */
	ipam_decide(ipam, t->key, &t->r, &again);
	assert_string_equal(d.message, again.message);
	ipam_retain(ipam, t->key, d.addrs, d.n);
	memcpy(t->r.held, d.addrs, sizeof(d.addrs));
	t->r.n_held = (uint8_t)d.n;
	ipam_decide(ipam, t->key, &t->r, &again);
	assert_int_equal(again.action, IPAM_KEEP);
}

static void things_init(struct thing *things)
{
	memset(things, 0, sizeof(*things) * MANY);
	for (size_t i = 0; i < MANY; i++) {
		snprintf(things[i].namespace, sizeof(things[i].namespace), "n%zu", i % 3);
		snprintf(things[i].name, sizeof(things[i].name), "s%zu", i);
		snprintf(things[i].key, sizeof(things[i].key), "%s/%s", things[i].namespace,
		         things[i].name);
		things[i].creation_us = rnd(20);
	}
}

static int turn_cmp(const void *a, const void *b)
{
	const struct thing *ta = *(struct thing *const *)a, *tb = *(struct thing *const *)b;

	return seniority_cmp(&(struct seniority){ ta->creation_us, ta->namespace, ta->name },
	                     &(struct seniority){ tb->creation_us, tb->namespace, tb->name });
}

/* A new leader: everybody's addresses first, in any order; then those that wait, in theirs. */
static struct ipam *take_over(const char *yaml, struct thing *things, bool decide)
{
	struct ipam *ipam = ipam_of(yaml);
	struct thing *order[MANY];
	size_t n = 0, start = rnd(MANY);

	for (size_t i = 0; i < MANY; i++) {
		struct thing *t =
			&things[(start + i * 7) % MANY]; /* 7 and MANY have no common divisor */
		if (!t->exists)
			continue;
		ipam_hold(ipam, t->key, t->r.held, t->r.n_held);
		order[n++] = t;
	}
	qsort(order, n, sizeof(order[0]), turn_cmp);
	for (size_t i = 0; i < n && decide; i++)
		settle(ipam, order[i]);
	return ipam;
}

static void same_answers(const char *yaml, const struct thing *things)
{
	struct thing one[MANY], two[MANY];
	struct ipam *a, *b;

	memcpy(one, things, sizeof(one));
	memcpy(two, things, sizeof(two));
	a = take_over(yaml, one, true);
	b = take_over(yaml, two, true);
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(one[i].r.n_held, two[i].r.n_held);
		assert_memory_equal(one[i].r.held, two[i].r.held, sizeof(one[i].r.held));
	}
	ipam_free(a);
	ipam_free(b);
}

static void test_random_lives(void **state)
{
	(void)state;
	for (unsigned int seed = 1; seed <= 150; seed++) {
		static struct thing things[MANY];
		const char *yaml = small_world;
		rnd_state = seed;
		things_init(things);
		struct ipam *ipam = ipam_of(yaml);
		for (int step = 0; step < 300; step++) {
			struct thing *t = &things[rnd(MANY)];
			switch (rnd(12)) {
			case 0: /* gone */
			case 1:
				t->exists = false;
				t->r.n_held = 0;
				ipam_release(ipam, t->key);
				break;
			case 2: /* another leader */
				ipam_free(ipam);
				same_answers(yaml, things);
				ipam = take_over(yaml, things, rnd(2));
				break;
			case 3: /* another configuration */
				if (rnd(4))
					break;
				yaml = yaml == small_world ? other_world : small_world;
				ipam_free(ipam);
				ipam = take_over(yaml, things, false);
				break;
			default:
				t->exists = true;
				random_wish(t);
				settle(ipam, t);
				break;
			}
			check(ipam, things);
		}
		for (size_t i = 0; i < MANY; i++)
			ipam_request_fini(&things[i].r);
		ipam_free(ipam);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_partly_of_no_pool),
		cmocka_unit_test(test_reservations),
		cmocka_unit_test(test_many_reservations),
		cmocka_unit_test(test_reservation_is_free_again),
		cmocka_unit_test(test_reserved),
		cmocka_unit_test(test_no_pool_for_service),
		cmocka_unit_test(test_freed_for_some),
		cmocka_unit_test(test_machines),
		cmocka_unit_test(test_machines_come_and_go),
		cmocka_unit_test(test_a_machine_comes_in_between),
		cmocka_unit_test(test_machines_in_pools),
		cmocka_unit_test(test_renumber_off_a_machine),
		cmocka_unit_test(test_squatted),
		cmocka_unit_test(test_for_some_first),
		cmocka_unit_test(test_squatters_come_and_go),
		cmocka_unit_test(test_edits_move_nobody),
		cmocka_unit_test(test_renumbering),
		cmocka_unit_test(test_renumbering_for_some),
		cmocka_unit_test(test_retained_is_taken),
		cmocka_unit_test(test_who_is_named),
		cmocka_unit_test(test_who_is_concerned),
		cmocka_unit_test(test_order_of_what_is_open),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_letting_go),
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_wishes),
		cmocka_unit_test(test_unwanted),
		cmocka_unit_test(test_no_pools),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_large_pools_are_cheap),
		cmocka_unit_test(test_special_addresses_are_not_handed_out),
		cmocka_unit_test(test_runs_against_a_bitmap),
		cmocka_unit_test(test_runs_of_a_fragmented_pool_are_in_small_blocks),
		cmocka_unit_test(test_runs_join),
		cmocka_unit_test(test_random_lives),
	};

	return cmocka_run_group_tests_name("ipam", tests, NULL, NULL);
}
