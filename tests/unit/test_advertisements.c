/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* For whom a pool's advertisements are: read, kept, decided, and made into outbound policies. */

#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#include "bgp/want.h"
#include "fairlead/decide.h"
#include "fairlead/mem.h"
#include "world.h"

#define PEERS                                                               \
	"peers:\n"                                                          \
	"- {name: tor-a, my-asn: 1, peer-asn: 2, peer-address: 10.0.0.1}\n" \
	"- {name: tor-b, my-asn: 1, peer-asn: 2, peer-address: 10.0.0.2}\n" \
	"- {my-asn: 1, peer-asn: 2, peer-address: 10.0.0.3}\n"
#define POOL                               \
	"address-pools:\n"                 \
	"- name: far\n"                    \
	"  protocol: bgp\n"                \
	"  addresses: [198.51.100.0/24]\n" \
	"  bgp-advertisements:\n"

/* ---- reading ---- */

static void mistakes_have_words(void **state)
{
	static const struct {
		const char *yaml;
		unsigned int line;
		const char *path, *message;
	} cases[] = {
		{ PEERS POOL "  - {peers: [tor-c]}\n", 10,
		  "address-pools[0].bgp-advertisements[0].peers[0]", "there is no peer \"tor-c\"" },
		/* Its place may change. */
		{ PEERS POOL "  - {peers: [peer-3]}\n", 10,
		  "address-pools[0].bgp-advertisements[0].peers[0]",
		  "give it that one by name: peer-3" },
		{ PEERS POOL "  - {peers: []}\n", 10,
		  "address-pools[0].bgp-advertisements[0].peers", "an empty list names nobody" },
		{ PEERS POOL "  - {peers: }\n", 10, "address-pools[0].bgp-advertisements[0].peers",
		  "or leave peers out" },
		{ PEERS POOL "  - {node-selectors: [{}]}\n", 10,
		  "address-pools[0].bgp-advertisements[0].node-selectors[0]",
		  "an empty selector names nobody" },
		{ PEERS POOL "  - {service-selectors: []}\n", 10,
		  "address-pools[0].bgp-advertisements[0].service-selectors",
		  "or leave service-selectors out" },
		{ PEERS POOL "  - {peers: [tor-a, tor-b]}\n  - {peers: [tor-b, tor-a]}\n", 11,
		  "address-pools[0].bgp-advertisements[1]", "advertisement 1 and 2 are equal" },
		{ "peers:\n- {name: a, my-asn: 1, peer-asn: 2, peer-address: 10.0.0.1}\n"
		  "- {name: a, my-asn: 1, peer-asn: 2, peer-address: 10.0.0.2}\n",
		  3, "peers[1].name", "the name a is also that of peer #1, on line 2" },
		{ "peers:\n- {name: peer-2, my-asn: 1, peer-asn: 2, peer-address: 10.0.0.1}\n"
		  "- {my-asn: 1, peer-asn: 2, peer-address: 10.0.0.2}\n",
		  3, "peers[1].name", "the name peer-2 is also that of peer #1" },
		{ "peers:\n- {name: 'a b', my-asn: 1, peer-asn: 2, peer-address: 10.0.0.1}\n", 2,
		  "peers[0].name", "contains a blank" },
		{ PEERS POOL "  - {communities: ['large:1:2']}\n", 10,
		  "address-pools[0].bgp-advertisements[0].communities[0]", "nor large:64500:1:2" },
		{ "bgp-communities: {gold: 'large:1:2:4294967296'}\n", 1, "bgp-communities.gold",
		  "three up to 4294967295" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup(config_problems_fini) struct config_problems errors = { 0 };
		struct configuration *c = NULL;
		assert_int_equal(configuration_parse(cases[i].yaml, strlen(cases[i].yaml), &c,
		                                     &errors, NULL),
		                 -EINVAL);
		if (errors.n != 1 || errors.items[0].line != cases[i].line ||
		    strcmp(errors.items[0].path, cases[i].path) != 0 ||
		    !strstr(errors.items[0].message, cases[i].message))
			fail_msg("case %zu: %zu errors, %u %s: %s", i, errors.n,
			         errors.items[0].line, errors.items[0].path,
			         errors.items[0].message);
	}
}

#define PEER "peers: [{my-asn: 1, peer-asn: 2, peer-address: "
#define LAN "address-pools:\n- name: lan\n  protocol: layer2\n  addresses: [10.0.0.0/24]\n"

/* Rules that came later: errors at the desk, and warnings in what was accepted before them. */
static void what_was_accepted_stays_in_force(void **state)
{
	static const struct {
		const char *yaml;
		unsigned int line;
		const char *path, *message; /* NULL: it is right */
	} cases[] = {
		{ PEERS POOL "  - {localpref: 100}\n  - {localpref: 200, communities: ['1:1']}\n",
		  11, "address-pools[0].bgp-advertisements[1].localpref",
		  "200 contradicts the 100 of advertisement 1, on line 10" },
		{ PEERS POOL "  - {localpref: 100, peers: [tor-a]}\n"
		             "  - {localpref: 200, peers: [tor-b, tor-a]}\n",
		  11, "address-pools[0].bgp-advertisements[1].localpref",
		  "tell them apart by peers" },
		{ PEERS POOL "  - {localpref: 100, node-selectors: [{match-labels: {a: b}}]}\n"
		             "  - {localpref: 200, service-selectors: [{match-labels: {a: b}}]}\n",
		  11, "address-pools[0].bgp-advertisements[1].localpref", "contradicts" },
		{ PEERS POOL "  - {localpref: 100}\n  - {communities: ['1:1']}\n", 0, NULL, NULL },
		{ PEERS POOL "  - {localpref: 100}\n  - {localpref: 200, aggregation-length: 24}\n",
		  0, NULL, NULL },
		/* The pool has no IPv6. */
		{ PEERS POOL "  - {localpref: 1}\n  - {localpref: 2, aggregation-length: 24, "
		             "aggregation-length-v6: 128}\n",
		  0, NULL, NULL },
		{ PEERS POOL
		  "  - {localpref: 100, peers: [tor-a]}\n  - {localpref: 200, peers: [tor-b]}\n",
		  0, NULL, NULL },
		{ PEERS POOL "  - {localpref: 100, node-selectors: [{match-labels: {a: b}}]}\n"
		             "  - {localpref: 200, node-selectors: [{match-labels: {a: c}}]}\n",
		  0, NULL, NULL },
		{ PEER "0.0.0.0}]\n", 1, "peers[0].peer-address", "it is unspecified" },
		{ PEER "'::'}]\n", 1, "peers[0].peer-address", "it is unspecified" },
		{ PEER "127.0.0.1}]\n", 1, "peers[0].peer-address", "it is the node's own" },
		{ PEER "'::1'}]\n", 1, "peers[0].peer-address",
		  "write the address that the router has" },
		{ PEER "224.0.0.5}]\n", 1, "peers[0].peer-address", "it is a multicast group" },
		{ PEER "'ff02::5'}]\n", 1, "peers[0].peer-address", "it is a multicast group" },
		{ PEER "255.255.255.255}]\n", 1, "peers[0].peer-address", "it is broadcast" },
		{ PEER "169.254.0.1}]\n", 0, NULL, NULL },
		{ LAN PEER "10.0.0.1}]\n", 5, "peers[0].peer-address",
		  "pool \"lan\", on line 4, holds 10.0.0.1, the address of BGP peer peer-1: write "
		  "exclude: [10.0.0.1/32] there" },
		{ LAN PEER "10.0.0.255}]\n", 5, "peers[0].peer-address", "holds 10.0.0.255" },
		{ LAN PEER "10.0.1.0}]\n", 0, NULL, NULL },
		{ LAN PEER "9.255.255.255}]\n", 0, NULL, NULL },
		{ LAN "  exclude: [10.0.0.1/32]\n" PEER "10.0.0.1}]\n", 0, NULL, NULL },
		{ PEER "10.0.0.1, router-id: 0.0.0.0}]\n", 1, "peers[0].router-id",
		  "write an IPv4 address from 1.0.0.0 to 223.255.255.255" },
		{ PEER "10.0.0.1, router-id: 1.0.0.0}]\n", 0, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup(config_problems_fini) struct config_problems errors = { 0 };
		cleanup(config_problems_fini) struct config_problems warnings = { 0 };
		struct configuration *c = NULL;
		int r = configuration_parse(cases[i].yaml, strlen(cases[i].yaml), &c, &errors,
		                            NULL);
		configuration_unref(c);
		if ((r < 0) != (cases[i].path != NULL))
			fail_msg("case %zu: %d", i, r);
		if (r < 0 && (errors.n != 1 || errors.items[0].line != cases[i].line ||
		              strcmp(errors.items[0].path, cases[i].path) != 0 ||
		              !strstr(errors.items[0].message, cases[i].message)))
			fail_msg("case %zu: %u %s: %s", i, errors.items[0].line,
			         errors.items[0].path, errors.items[0].message);
		r = configuration_parse_published(cases[i].yaml, NULL, &c, &errors, &warnings);
		assert_int_equal(r, 0);
		assert_int_equal(warnings.n, cases[i].path ? 1 : 0);
		configuration_unref(c);
	}
}

static void what_stands_twice_is_told(void **state)
{
	static const char yaml[] = "address-pools:\n"
				   "- name: lan\n"
				   "  protocol: [layer2, layer2]\n"
				   "  use: [external-ip, external-ip]\n"
				   "  namespaces: [a, b, a]\n"
				   "  addresses: [10.0.0.0/24]\n"
				   "  renumber: [a/b, b/a, a/b]\n"
				   "  quota: [{namespaces: [a, a], addresses: 1}]\n"
				   "external-ips: {allow: [192.0.2.0/24], namespaces: [a, a]}\n";
	cleanup(config_problems_fini) struct config_problems errors = { 0 }, warnings = { 0 };
	cleanup(buf_fini) struct buf told = BUF_INIT;
	struct configuration *c = NULL;

	(void)state;
	assert_int_equal(configuration_parse(yaml, strlen(yaml), &c, &errors, &warnings), 0);
	for (size_t i = 0; i < warnings.n; i++)
		buf_printf(&told, "%u %s: %s\n", warnings.items[i].line, warnings.items[i].path,
		           warnings.items[i].message);
	assert_string_equal(
		buf_str(&told),
		"3 address-pools[0].protocol[1]: \"layer2\" stands here twice; keep one\n"
		"4 address-pools[0].use[1]: \"external-ip\" stands here twice; keep one\n"
		"5 address-pools[0].namespaces[2]: \"a\" stands here twice; keep one\n"
		"7 address-pools[0].renumber[2]: \"a/b\" stands here twice; keep one\n"
		"8 address-pools[0].quota[0].namespaces[1]: \"a\" stands here twice; keep one\n"
		"9 external-ips.namespaces[1]: \"a\" stands here twice; keep one\n");
	configuration_unref(c);
}

static struct configuration *parse(const char *yaml)
{
	cleanup(config_problems_fini) struct config_problems errors = { 0 };
	struct configuration *c = NULL;

	if (configuration_parse(yaml, strlen(yaml), &c, &errors, NULL) < 0)
		fail_msg("line %u: %s", errors.items[0].line, errors.items[0].message);
	return c;
}

static const char restricted[] = PEERS POOL
	"  - localpref: 200\n"
	"    peers: [tor-a]\n"
	"    communities: [gold, '64500:1']\n"
	"    node-selectors: [{match-labels: {rack: a}}, {match-expressions: [{key: rack, "
	"operator: DoesNotExist}]}]\n"
	"  - {peers: [tor-b], service-selectors: [{match-labels: {tier: gold}}]}\n"
	"bgp-communities: {gold: 'large:64500:01:2'}\n";

/* The peers' names may be nobody's by then. */
static void what_is_retained_keeps_them(void **state)
{
	struct configuration *c = parse(restricted), *again;
	cleanup(config_problems_fini) struct config_problems errors = { 0 };
	cleanup(buf_fini) struct buf text = BUF_INIT, twice = BUF_INIT;
	struct config_retention item = { .pool = &c->pools[0] };

	(void)state;
	assert_string_equal(c->pools[0].advertisements[0].communities[0], "large:64500:1:2");
	addr_parse("198.51.100.7", &item.addr);
	configuration_print_retained(&item, 1, &text);
	if (configuration_parse_published("", buf_str(&text), &again, &errors, NULL) < 0)
		fail_msg("%s in %s", errors.items[0].message, buf_str(&text));
	item.pool = &again->retained[0];
	assert_int_equal(item.pool->n_advertisements, 2);
	for (size_t i = 0; i < 2; i++) {
		cleanup(buf_fini) struct buf was = BUF_INIT, is = BUF_INIT;
		config_advertisement_say(&c->pools[0].advertisements[i], &was);
		config_advertisement_say(&item.pool->advertisements[i], &is);
		assert_string_equal(buf_str(&was), buf_str(&is));
	}
	configuration_print_retained(&item, 1, &twice);
	assert_string_equal(buf_str(&text), buf_str(&twice));
	configuration_unref(c);
	configuration_unref(again);
}

/* ---- deciding ---- */

static void put_configuration(struct view *v, const char *advertisements)
{
	cleanup_free char *yaml =
		xasprintf("peers:\n"
	                  "- {name: tor-a, my-asn: 1, peer-asn: 2, peer-address: 10.0.0.1,\n"
	                  "   node-selectors: [{match-labels: {rack: a}}]}\n"
	                  "- {name: tor-b, my-asn: 1, peer-asn: 2, peer-address: 10.0.0.2,\n"
	                  "   node-selectors: [{match-labels: {rack: b}}]}\n"
	                  "- {name: spine, my-asn: 1, peer-asn: 2, peer-address: 10.0.0.3}\n" POOL
	                  "%s",
	                  advertisements);

	view_set_configuration(v, parse(yaml), 1);
}

static void put_service(struct view *v, const char *tier)
{
	world_put(v,
	          "{'kind':'Service','metadata':{'namespace':'shop','name':'web','uid':'u',"
	          "'labels':{'tier':'%s'}},'spec':{'type':'LoadBalancer','clusterIP':'10.96.0.9',"
	          "'clusterIPs':['10.96.0.9'],'ipFamilies':['IPv4'],'ports':[{'port':80}]},"
	          "'status':{'loadBalancer':{'ingress':[{'ip':'198.51.100.1'}]}}}",
	          tier);
}

static void put_node(struct view *v, const char *name, const char *rack)
{
	world_put(v, "{'kind':'Node','metadata':{'name':'%s','uid':'u','labels':{'rack':'%s'}}}",
	          name, rack);
}

static struct view *world(void)
{
	struct view *v = view_new("n1", NULL);

	put_node(v, "n1", "a");
	put_node(v, "n2", "b");
	put_service(v, "gold");
	world_slice(v, "web", "web-1", "10.1.1.1@n1");
	return v;
}

static struct decision decision(const struct view *v)
{
	struct addr a;

	addr_parse("198.51.100.1", &a);
	return decide_address(v, view_service_named(v, "shop/web"), &a);
}

static void each_applies_to_some(void **state)
{
	static const struct {
		const char *advertisements;
		uint64_t n1, n2;
	} cases[] = {
		{ "  - {}\n", 1, 1 },
		{ "  - {peers: [tor-a]}\n", 1, 0 },
		{ "  - {peers: [tor-b, tor-a]}\n", 1, 1 },
		{ "  - {peers: [spine]}\n", 1, 1 },
		{ "  - {peers: [tor-b]}\n  - {localpref: 7}\n", 2, 3 },
		{ "  - {node-selectors: [{match-labels: {rack: b}}]}\n", 0, 1 },
		{ "  - {node-selectors: [{match-labels: {rack: b}}], peers: [tor-a]}\n", 0, 0 },
		{ "  - {service-selectors: [{match-labels: {tier: gold}}]}\n", 1, 1 },
		{ "  - {service-selectors: [{match-labels: {tier: tin}}]}\n", 0, 0 },
		{ "  - {service-selectors: [{match-labels: {tier: tin}}, {match-labels: {tier: "
		  "gold}}]}\n  - {peers: [tor-a]}\n",
		  3, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct view *v = world();
		put_configuration(v, cases[i].advertisements);
		const struct decision d = decision(v);
		const uint64_t n1 = decide_advertisements(&d, "n1"),
			       n2 = decide_advertisements(&d, "n2");
		if (n1 != cases[i].n1 || n2 != cases[i].n2)
			fail_msg("case %zu: %llx %llx", i, (unsigned long long)n1,
			         (unsigned long long)n2);
		assert_int_equal(decide_node(&d, "n1", PROTOCOL_BGP),
		                 n1 ? REASON_Candidate : REASON_NotAdvertised);
		assert_int_equal(decide_node(&d, "n2", PROTOCOL_BGP),
		                 n2 ? REASON_Candidate : REASON_NotAdvertised);
		view_free(v);
	}
}

static void the_message_says_for_whom(void **state)
{
	cleanup(buf_fini) struct buf why = BUF_INIT, how = BUF_INIT;
	struct view *v = world();

	(void)state;
	put_configuration(
		v, "  - {peers: [tor-b], service-selectors: [{match-labels: {tier: gold}}]}\n"
		   "  - {node-selectors: [{match-labels: {rack: b}}]}\n");
	const struct decision d = decision(v);
	decide_message(&d, REASON_NotAdvertised, "n1", &why);
	assert_string_equal(
		buf_str(&why),
		"no BGP advertisement of the pool is for this Service on this node: "
		"pool far has bgp-advertisements[0] (to tor-b; for Services tier=gold), "
		"bgp-advertisements[1] (to all peers; from nodes rack=b)");
	config_pool_say_advertisements(d.pool, 2, &how);
	assert_string_equal(buf_str(&how),
	                    "; by bgp-advertisements[1] (to all peers; from nodes rack=b)");
	view_free(v);
}

/* A label that no selector looks at concerns nobody. */
static void labels_that_matter_are_followed(void **state)
{
	struct view *v = world();

	(void)state;
	put_configuration(
		v, "  - {peers: [tor-a], service-selectors: [{match-labels: {tier: gold}}]}\n");
	world_passes(v);
	put_node(v, "n2", "a");
	assert_int_equal(world_passes(v), 1);
	put_service(v, "tin");
	assert_int_equal(world_passes(v), 1);
	put_configuration(v, "  - {service-selectors: [{match-labels: {tier: tin}}]}\n");
	assert_int_equal(world_passes(v), 1);
	put_node(v, "n2", "c");
	assert_int_equal(world_passes(v), 0);
	view_free(v);
}

/* ---- outbound policies ---- */

static void add_peer(struct bgp_want *w, const char *name, const char *address)
{
	struct config_peer p = {
		.name = (char *)name, .my_asn = 1, .peer_asn = 2, .hold_time_s = 90
	};

	addr_parse(address, &p.address);
	assert_int_equal(bgp_want_peer(w, &p, NULL), 0);
}

/* What the peer's outbound policy sets for the prefix, as "set …, set …"; NULL: it gets none. */
static char *sent(const struct bgp_state *s, const char *peer, const char *prefix)
{
	char name[BGP_CLASS_NAME_SIZE];
	struct buf out = BUF_INIT;
	struct prefix p;
	struct addr a;

	addr_parse(peer, &a);
	prefix_parse(prefix, false, &p);
	const struct bgp_network *n = bgp_state_find_network(s, &p);
	const char *map = bgp_state_find_peer(s, &a)->af[BGP_AF4].out;
	if (!n)
		return NULL;
	const struct bgp_lines *class =
		&bgp_state_find_map(s, bgp_class_name(n->class, name))->lines;
	for (size_t i = 0; i < s->n_maps; i++) {
		const struct bgp_lines *entry = &s->maps[i].lines;
		if (strcmp(s->maps[i].name, map) != 0 || strncmp(entry->v[0], "match ", 6) != 0)
			continue;
		cleanup_free char *tag = xasprintf("set %s", entry->v[0] + 6);
		if (!bgp_lines_has(class, tag))
			continue;
		for (size_t k = 0; k < class->n; k++)
			if (strcmp(class->v[k], tag) != 0)
				buf_printf(&out, "%s, ", class->v[k]);
		for (size_t k = 1; k < entry->n; k++)
			buf_printf(&out, "%s, ", entry->v[k]);
		return buf_take(&out);
	}
	return NULL;
}

static void expect_sent(const struct bgp_state *s, const char *prefix, const char *a, const char *b)
{
	cleanup_free char *to_a = sent(s, "10.0.0.1", prefix), *to_b = sent(s, "10.0.0.2", prefix);

	if (strcmp(to_a ? to_a : "none", a) != 0 || strcmp(to_b ? to_b : "none", b) != 0)
		fail_msg("%s: %s | %s", prefix, to_a ? to_a : "none", to_b ? to_b : "none");
}

static void peers_get_what_is_for_them(void **state)
{
	struct configuration *c = parse(
		PEERS POOL "  - {localpref: 200, communities: ['1:1', no-export], peers: [tor-a]}\n"
			   "  - {communities: ['large:1:2:3', '1:2']}\n"
			   "  - {aggregation-length: 24, peers: [tor-b]}\n"
			   "bgp-communities: {no-export: '65535:65281'}\n");
	const struct config_advertisement *ads = c->pools[0].advertisements;
	struct bgp_want *w = bgp_want_new();
	struct bgp_state s;
	struct addr first, second, third;

	(void)state;
	add_peer(w, "tor-a", "10.0.0.1");
	add_peer(w, "tor-b", "10.0.0.2");
	addr_parse("198.51.100.1", &first);
	addr_parse("198.51.100.2", &second);
	addr_parse("198.51.100.3", &third);
	assert_int_equal(bgp_want_address(w, &first, false, ads, 3, NULL), 0);
	assert_int_equal(bgp_want_address(w, &second, false, &ads[1], 1, NULL), 0);
	assert_int_equal(bgp_want_address(w, &third, false, &ads[0], 1, NULL), 0);
	bgp_want_state(w, &s);
	expect_sent(&s, "198.51.100.1/32",
	            "set community 1:1 1:2 65535:65281, set large-community 1:2:3, "
	            "set local-preference 200, ",
	            "set community 1:2, set large-community 1:2:3, ");
	expect_sent(&s, "198.51.100.0/24", "none", "");
	/* The same for all: the class sets it. */
	expect_sent(&s, "198.51.100.2/32", "set community 1:2, set large-community 1:2:3, ",
	            "set community 1:2, set large-community 1:2:3, ");
	/* What bgpd would obey itself stands in the outbound policy alone. */
	expect_sent(&s, "198.51.100.3/32",
	            "set community 1:1 65535:65281, set local-preference 200, ", "none");
	assert_string_not_equal(s.peers[0].af[BGP_AF4].out, s.peers[1].af[BGP_AF4].out);
	bgp_state_fini(&s);
	bgp_want_free(w);
	configuration_unref(c);
}

/* Made ready, no Service that comes changes any outbound policy. */
static void a_service_needs_no_new_policy(void **state)
{
	struct configuration *c = parse(
		PEERS POOL "  - {communities: ['1:1'], peers: [tor-a]}\n"
			   "  - {peers: [tor-b], service-selectors: [{match-labels: {x: a}}]}\n"
			   "  - {service-selectors: [{match-labels: {x: b}}]}\n");
	const struct config_advertisement *ads = c->pools[0].advertisements;
	char *before[2] = { NULL, NULL };

	(void)state;
	for (size_t n = 0; n <= 2; n++) {
		struct bgp_want *w = bgp_want_new();
		struct bgp_state s;
		struct addr a;
		add_peer(w, "tor-a", "10.0.0.1");
		add_peer(w, "tor-b", "10.0.0.2");
		assert_int_equal(bgp_want_pool(w, &c->pools[0], NULL), 0);
		addr_parse("198.51.100.1", &a);
		if (n > 0)
			assert_int_equal(bgp_want_address(w, &a, false, ads, n, NULL), 0);
		bgp_want_state(w, &s);
		for (size_t i = 0; i < 2; i++) {
			const char *out = s.peers[i].af[BGP_AF4].out;
			if (before[i])
				assert_string_equal(before[i], out);
			else
				before[i] = xstrdup(out);
		}
		bgp_state_fini(&s);
		bgp_want_free(w);
	}
	free(before[0]);
	free(before[1]);
	configuration_unref(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes_have_words),
		cmocka_unit_test(what_was_accepted_stays_in_force),
		cmocka_unit_test(what_stands_twice_is_told),
		cmocka_unit_test(what_is_retained_keeps_them),
		cmocka_unit_test(each_applies_to_some),
		cmocka_unit_test(the_message_says_for_whom),
		cmocka_unit_test(labels_that_matter_are_followed),
		cmocka_unit_test(peers_get_what_is_for_them),
		cmocka_unit_test(a_service_needs_no_new_policy),
	};

	return cmocka_run_group_tests_name("advertisements", tests, NULL, NULL);
}
