/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#include "config/parse.h"
#include "fairlead/configuration.h"
#include "fairlead/mem.h"
#include "fairlead/ytree.h"

static const char reference[] =
	"peers:\n"
	"- {my-asn: 64500, peer-asn: 64501, peer-address: 10.0.0.1, hold-time: 9s, keepalive-time: "
	"3s, "
	"password: s3cret, bfd-profile: fast,\n"
	"   node-selectors: [{match-labels: {rack: a}}]}\n"
	"- {my-asn: 64500, peer-asn: 64501, peer-address: 10.0.1.1, bfd-profile: fast, "
	"password-secret: tor-b,\n"
	"   node-selectors: [{match-expressions: [{key: rack, operator: NotIn, values: [a]}]}]}\n"
	"bgp-communities: {no-export: \"65535:65281\", no-advertise: \"65535:65282\"}\n"
	"bfd-profiles:\n"
	"- {name: fast, receive-interval: 100, transmit-interval: 100, detect-multiplier: 3, "
	"minimum-ttl: 254}\n"
	"address-pools:\n"
	"- name: public\n"
	"  protocol: bgp\n"
	"  addresses: [198.51.100.0/24, \"2001:db8:1::/112\"]\n"
	"  avoid-buggy-ips: true\n"
	"  auto-assign: false\n"
	"  bgp-advertisements:\n"
	"  - {aggregation-length: 32, localpref: 100, communities: [no-advertise]}\n"
	"  - {aggregation-length: 24, aggregation-length-v6: 112}\n"
	"- name: lan\n"
	"  protocol: layer2\n"
	"  addresses: [192.168.1.240-192.168.1.250]\n"
	"  use: [load-balancer, external-ip]\n"
	"  terminating: hold\n"
	"external-ips: {allow: [203.0.113.0/24, \"2001:db8:2::/64\"], namespaces: [edge, shop]}\n";

static struct configuration *parse_ok(const char *yaml, struct config_problems *warnings)
{
	struct config_problems errors = { 0 };
	struct configuration *c = NULL;
	int r = configuration_parse(yaml, strlen(yaml), &c, &errors, warnings);

	for (size_t i = 0; i < errors.n; i++)
		print_error("%u %s: %s\n", errors.items[i].line, errors.items[i].path,
		            errors.items[i].message);
	config_problems_fini(&errors);
	assert_int_equal(r, 0);
	return c;
}

static void test_reference(void **state)
{
	struct config_problems warnings = { 0 };
	struct configuration *c = parse_ok(reference, &warnings);

	(void)state;
	assert_int_equal(c->n_pools, 2);
	assert_string_equal(c->pools[0].name, "public");
	assert_int_equal(c->pools[0].protocols, PROTOCOL_BGP);
	assert_true(c->pools[0].avoid_buggy_ips);
	assert_false(c->pools[0].auto_assign);
	assert_int_equal(c->pools[0].n_ranges, 2);
	assert_int_equal(c->pools[0].n_advertisements, 2);
	assert_string_equal(c->pools[0].advertisements[0].communities[0], "65535:65282");
	assert_int_equal(c->pools[0].advertisements[0].localpref, 100);
	assert_int_equal(c->pools[0].advertisements[1].aggregation_len_v6, 112);
	assert_true(c->pools[1].auto_assign);
	assert_int_equal(c->pools[1].line, 18);
	assert_false(c->pools[1].has_priority);
	assert_int_equal(c->pools[0].uses, CONFIG_USE_LOAD_BALANCER);
	assert_int_equal(c->pools[1].uses, CONFIG_USE_LOAD_BALANCER | CONFIG_USE_EXTERNAL_IP);
	assert_int_equal(c->n_external_ips_allow, 2);
	assert_int_equal(c->n_external_ips_namespaces, 2);
	assert_string_equal(c->external_ips_namespaces[1], "shop");
	assert_int_equal(c->n_peers, 2);
	assert_int_equal(c->peers[0].hold_time_s, 9);
	assert_int_equal(c->peers[0].keepalive_time_s, 3);
	assert_int_equal(c->peers[1].hold_time_s, 90);
	assert_int_equal(c->peers[1].keepalive_time_s, 30);
	assert_int_equal(c->peers[1].port, 179);
	assert_string_equal(c->peers[1].name, "peer-2");
	assert_string_equal(c->peers[1].password_secret, "tor-b");
	assert_null(c->peers[0].password_secret);
	assert_int_equal(c->bfd_profiles[0].minimum_ttl, 254);
	assert_int_equal(warnings.n, 0);
	config_problems_fini(&warnings);
	configuration_unref(c);
}

static void test_empty_documents(void **state)
{
	static const char *const docs[] = { "",      "\n", "# only a comment\n",
		                            "---\n", "~",  "address-pools: []\npeers:\n",
		                            "{}" };
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(docs); i++) {
		struct config_problems warnings = { 0 };
		struct configuration *c = parse_ok(docs[i], &warnings);
		assert_int_equal(c->n_pools, 0);
		assert_int_equal(warnings.n, 0);
		configuration_unref(c);
	}
}

#define POOL "address-pools:\n- name: lan\n  protocol: layer2\n"
#define BGP "address-pools:\n- name: wan\n  protocol: bgp\n  addresses: [198.51.100.0/24]\n"
#define TEN "0123456789"
#define PEER "peers:\n- {my-asn: 1, peer-asn: 2, peer-address: 10.0.0.1"

#define LAYER2 POOL "  addresses: [192.0.2.0/24]\n  layer2:\n"

static const struct {
	const char *yaml;
	unsigned int line;
	const char *path;
	const char *message; /* contained in it */
} bad[] = {
	{ POOL "  addresses: [192.0.2.0/24]\n  layer2: []\n", 5, "address-pools[0].layer2",
	  "an empty list announces nowhere" },
	{ LAYER2 "  - {interface: [eth1]}\n", 6, "address-pools[0].layer2[0].interface",
	  "write \"interfaces\"" },
	{ LAYER2 "  - {interfaces: []}\n", 6, "address-pools[0].layer2[0].interfaces",
	  "an empty list names no interface" },
	{ LAYER2 "  - {}\n  - {interfaces: [eth1, 'eth[0']}\n", 7,
	  "address-pools[0].layer2[1].interfaces[1]", "invalid interface \"eth[0\"" },
	{ LAYER2 "  - {interfaces: ['eth1)|(lo']}\n", 6, "address-pools[0].layer2[0].interfaces[0]",
	  "invalid interface" },
	{ LAYER2 "  - {interfaces: ['((e{9}){9}){9}']}\n", 6,
	  "address-pools[0].layer2[0].interfaces[0]", "without counts in braces" },
	{ LAYER2 "  - {interfaces: ['(e)\\1']}\n", 6, "address-pools[0].layer2[0].interfaces[0]",
	  "invalid interface" },
	{ LAYER2 "  - {interfaces: ['" TEN TEN TEN TEN TEN TEN TEN "']}\n", 6,
	  "address-pools[0].layer2[0].interfaces[0]", "at most 64 characters" },
	{ LAYER2 "  - {interfaces: [' ', '']}\n", 6, "address-pools[0].layer2[0].interfaces[1]",
	  "write a name such as eth1" },
	{ LAYER2 "  - {node-selectors: [{}]}\n", 6, "address-pools[0].layer2[0].node-selectors[0]",
	  "an empty selector names nobody" },
	{ LAYER2 "  - {service-selectors: []}\n", 6, "address-pools[0].layer2[0].service-selectors",
	  "an empty list names nobody" },
	{ LAYER2 "  - {preferred-nodes: [{match-labels: {a: b}}]}\n", 6,
	  "address-pools[0].layer2[0].preferred-nodes[0].weight", "a preference has no weight" },
	{ LAYER2 "  - {preferred-nodes: [{weight: 101, match-labels: {a: b}}]}\n", 6,
	  "address-pools[0].layer2[0].preferred-nodes[0].weight", "from 1 to 100" },
	{ LAYER2 "  - {preferred-nodes: [{weight: 7}]}\n", 6,
	  "address-pools[0].layer2[0].preferred-nodes[0]", "prefers every node, and so none" },
	{ LAYER2
	  "  - {preferred-nodes: [{weight: 7, match-expressions: [{key: a, operator: Is}]}]}\n",
	  6, "address-pools[0].layer2[0].preferred-nodes[0].match-expressions[0].operator",
	  "not a valid operator" },
	{ LAYER2 "  - {subnet: routed}\n", 6, "address-pools[0].layer2[0].subnet",
	  "says nothing without interfaces" },
	{ LAYER2 "  - {interfaces: [eth1], subnet: 10.0.0.0/8}\n", 6,
	  "address-pools[0].layer2[0].subnet", "write local or routed" },
	{ BGP "  layer2: [{interfaces: [eth1]}]\n", 5, "address-pools[0].layer2",
	  "which the pool's protocol leaves out" },
	{ "address-pools: [\n", 1, "", "not YAML" },
	{ "address-pools: [\n  a,\n  b", 3, "", "not YAML" },
	{ "\tx: 1\n", 1, "", "indent with blanks, not with a tab" },
	{ "peers:\n- a\n\t- b\n", 3, "", "indent with blanks, not with a tab" },
	{ "peers:\n- é: @a\n", 2, "", "cannot start any token: @; write the text in quotes" },
	{ POOL "  addresses: [10.0.0.0/24]\n  use: \"a\\N\"\n", 5, "address-pools[0].use",
	  "another control character" },
	{ POOL "  addresses: [\"10.0.0.0/24\\0\"]\n  use: x\n", 4, "address-pools[0].addresses[0]",
	  "another control character" },
	{ "bgp-communities: {\"a\\nb\": '1:2'}\n", 1, "bgp-communities.a?b",
	  "the key contains a line break" },
	{ "bgp-communities: {\"a\\0b\": '1:2'}\n", 1, "bgp-communities.a?b",
	  "the key contains a line break" },
	{ "\"\\x9b31m\": 1\n", 1, "", "unknown key \"?31m\"" },
	/* what libyaml's reader refuses has no mark of its own */
	{ "peers: []\n# a\n# \x01\n", 3, "", "control characters are not allowed" },
	{ "peers: []\n# \xff\n", 2, "", "write the file in UTF-8" },
	{ "just words\n", 1, "", "is a single value; write a map" },
	{ "a: 1\n---\nb: 2\n", 2, "", "second YAML document" },
	{ "? [a]\n: b\n", 1, "", "a key must be a word" },
	{ "a: *nowhere\n", 1, "", "*nowhere names nothing" },
	{ "a: &a [*a]\n", 1, "", "*a names nothing" },
	{ "address-pool: []\n", 1, "address-pool",
	  "unknown key \"address-pool\"; write \"address-pools\"" },
	{ "addressPools: []\n", 1, "addressPools", "write \"address-pools\"" },
	{ "communities: {}\n", 1, "communities", "write \"bgp-communities\"" },
	{ "frobnicate: 1\n", 1, "frobnicate", "the keys here are peers, bgp-communities, " },
	{ "\"two words\": 1\n", 1, "", "unknown key \"two words\"" },
	{ "peers: []\npeers: [{}]\n", 2, "peers", "given twice, first on line 1" },
	{ "address-pools: {}\n", 1, "address-pools", "is a map; write a list" },
	{ "address-pools: [x]\n", 1, "address-pools[0]", "is a single value; write a map" },

	/* pools */
	{ "address-pools:\n- protocol: layer2\n  addresses: [10.0.0.0/8]\n", 2,
	  "address-pools[0].name", "missing pool name" },
	{ "address-pools:\n- name: ''\n  protocol: layer2\n  addresses: [10.0.0.0/8]\n", 2,
	  "address-pools[0].name", "missing pool name" },
	{ "address-pools:\n- name: x\n  addresses: [10.0.0.0/8]\n", 2, "address-pools[0].protocol",
	  "address pool is missing the protocol field" },
	{ "address-pools:\n- name: x\n  protocol: arp\n  addresses: [10.0.0.0/8]\n", 3,
	  "address-pools[0].protocol", "unknown protocol \"arp\"; write layer2" },
	{ POOL, 2, "address-pools[0].addresses", "pool has no prefixes defined" },
	{ POOL "  addresses: []\n", 4, "address-pools[0].addresses", "no prefixes defined" },
	{ POOL "  addresses: 10.0.0.0/8\n", 4, "address-pools[0].addresses", "write a list" },
	{ POOL "  cidr: [10.0.0.0/8]\n", 4, "address-pools[0].cidr", "write \"addresses\"" },
	{ POOL "  addresses:\n  - 192.168.1.7\n", 5, "address-pools[0].addresses[0]",
	  "192.168.1.7 is a single address; write 192.168.1.7/32 or 192.168.1.7-192.168.1.7" },
	{ POOL "  addresses:\n  - 2001:db8::1\n", 5, "address-pools[0].addresses[0]",
	  "write 2001:db8::1/128 or" },
	{ POOL "  addresses:\n  - 10.0.0.0/24\n  - 10.1.0.9-10.1.0.1\n", 6,
	  "address-pools[0].addresses[1]",
	  "invalid range \"10.1.0.9-10.1.0.1\": the range ends before it starts; write "
	  "10.1.0.1-10.1.0.9" },
	{ POOL "  addresses: [10.1.0.9-2001:db8::1]\n", 4, "address-pools[0].addresses[0]",
	  "mixes IPv4 and IPv6" },
	{ POOL "  addresses: [10.1.0.9-10.1.0.256]\n", 4, "address-pools[0].addresses[0]",
	  "\"10.1.0.256\" is no IP address" },
	{ POOL "  addresses: [10.0.0.0/33]\n", 4, "address-pools[0].addresses[0]",
	  "invalid CIDR \"10.0.0.0/33\": \"33\" is no prefix length; write a number from 0 to 32" },
	{ POOL "  addresses: [10.0.0/24]\n", 4, "address-pools[0].addresses[0]",
	  "\"10.0.0\" is no IP address; write a CIDR such as" },
	{ POOL "  addresses: ['2001:db8::/-1']\n", 4, "address-pools[0].addresses[0]",
	  "\"-1\" is no prefix length; write a number from 0 to 128" },
	{ POOL "  addresses: [lan]\n", 4, "address-pools[0].addresses[0]",
	  "invalid CIDR \"lan\": write a CIDR such as" },
	/* Ranges of which nothing can be given. */
	{ POOL "  addresses: [10.0.0.0/24, 0.0.0.0/8]\n", 4, "address-pools[0].addresses[1]",
	  "holds unspecified addresses alone (0.0.0.0/8)" },
	{ POOL "  addresses: [0.0.0.0-0.255.255.255]\n", 4, "address-pools[0].addresses[0]",
	  "holds unspecified addresses alone (0.0.0.0/8)" },
	{ POOL "  addresses: [127.0.0.1/32]\n", 4, "address-pools[0].addresses[0]",
	  "holds loopback addresses alone (127.0.0.0/8)" },
	{ POOL "  addresses: [224.0.0.0-239.255.255.255]\n", 4, "address-pools[0].addresses[0]",
	  "holds multicast addresses alone (224.0.0.0/4), which no client can reach; write the "
	  "addresses of your network" },
	{ POOL "  addresses: ['::/128']\n", 4, "address-pools[0].addresses[0]",
	  "holds unspecified addresses alone (::/128)" },
	{ POOL "  addresses: ['::1/128']\n", 4, "address-pools[0].addresses[0]",
	  "holds loopback addresses alone (::1/128)" },
	{ POOL "  addresses: ['ff02::/16']\n", 4, "address-pools[0].addresses[0]",
	  "holds multicast addresses alone (ff00::/8)" },
	{ POOL "  addresses: [10.0.0.0/24]\n  auto-assign: 'no'\n", 5,
	  "address-pools[0].auto-assign", "\"no\" is neither true nor false" },
	{ POOL "  addresses: [10.0.0.0/24]\n  avoid-buggy-ips: maybe\n", 5,
	  "address-pools[0].avoid-buggy-ips", "neither true nor false" },
	{ POOL "  addresses: [10.0.0.0/24]\n  priority: high\n", 5, "address-pools[0].priority",
	  "invalid priority \"high\": write a whole number" },
	{ POOL "  addresses: [10.0.0.0/24]\n  priority: 9999999999\n", 5,
	  "address-pools[0].priority", "from -2147483648 to 2147483647" },
	{ POOL "  addresses: [10.0.0.0/24]\n- name: lan\n  protocol: layer2\n  addresses: "
	       "[10.0.1.0/24]\n",
	  5, "address-pools[1].name", "duplicate definition of pool \"lan\", first on line 2" },
	/* where the key stands, not where its map begins */
	{ POOL
	  "  addresses: [10.0.0.0/24]\n- protocol: layer2\n  addresses: [10.0.1.0/24]\n  name: lan\n",
	  7, "address-pools[1].name", "duplicate definition of pool" },
	{ "address-pools:\n- addresses: [10.0.0.0/24, '2001:db8::/64']\n  protocol: bgp\n  name: a\n"
	  "  bgp-advertisements:\n  - localpref: 1\n    aggregation-length: 23\n",
	  7, "address-pools[0].bgp-advertisements[0].aggregation-length", "write 24 or more" },
	{ "address-pools:\n- addresses: [10.0.0.0/24, '2001:db8::/64']\n  protocol: bgp\n  name: a\n"
	  "  bgp-advertisements:\n  - localpref: 1\n    aggregation-length-v6: 63\n",
	  7, "address-pools[0].bgp-advertisements[0].aggregation-length-v6", "write 64 or more" },
	{ PEER "}\n- peer-asn: 2\n  my-asn: 2\n  router-id: 10.0.0.9\n"
	       "  peer-address: 10.0.0.1\n",
	  4, "peers[1].my-asn", "on one node all peers must have the same" },
	{ PEER "}\n- peer-asn: 2\n  my-asn: 2\n  router-id: 10.0.0.9\n"
	       "  peer-address: 10.0.0.1\n",
	  5, "peers[1].router-id", "on one node all peers must have the same" },
	{ PEER "}\n- peer-asn: 2\n  my-asn: 2\n  router-id: 10.0.0.9\n"
	       "  peer-address: 10.0.0.1\n",
	  6, "peers[1].peer-address", "is also that of peer #1" },
	{ POOL "  addresses: [10.0.0.0/24, 10.0.0.128/25]\n", 4, "address-pools[0].addresses[1]",
	  "CIDR \"10.0.0.128/25\" in pool \"lan\" overlaps with already defined CIDR "
	  "\"10.0.0.0/24\" "
	  "in pool \"lan\" on line 4" },
	{ POOL "  addresses: [10.0.0.128/25, 10.0.0.0/24]\n", 4, "address-pools[0].addresses[1]",
	  "\"10.0.0.0/24\" in pool \"lan\" overlaps with already defined CIDR \"10.0.0.128/25\"" },
	{ POOL "  addresses: [10.0.0.1-10.0.0.9]\n- name: b\n  protocol: bgp\n  addresses: "
	       "[10.0.0.9/32]\n",
	  7, "address-pools[1].addresses[0]", "in pool \"b\" overlaps" },
	{ POOL "  addresses: [10.0.0.0/24]\n  bgp-advertisements: [{}]\n", 5,
	  "address-pools[0].bgp-advertisements",
	  "cannot have bgp-advertisements configuration element in a layer2 address pool" },
	{ POOL "  addresses: [10.0.0.0/24]\n  terminating: Hold\n", 5,
	  "address-pools[0].terminating",
	  "unknown way with terminating endpoints \"Hold\"; write give-way or hold" },
	{ POOL "  addresses: [10.0.0.0/24]\n  terminating: [hold]\n", 5,
	  "address-pools[0].terminating", "is a list; write a single value" },
	{ POOL "  addresses: [10.0.0.0/24]\n  use: [external-ips]\n", 5, "address-pools[0].use[0]",
	  "unknown use \"external-ips\"; write load-balancer or external-ip" },
	{ POOL "  addresses: [10.0.0.0/24]\n  use: []\n", 5, "address-pools[0].use",
	  "a pool of no use; write [load-balancer], [external-ip] or both" },
	{ POOL "  addresses: [10.0.0.0/24]\n  uses: [external-ip]\n", 5, "address-pools[0].uses",
	  "write \"use\"" },

	{ POOL "  addresses: [10.0.0.0/24]\n  renumber: shop/web\n", 5, "address-pools[0].renumber",
	  "\"shop/web\" is neither true nor false; write true, false or a list: [shop/web]" },
	{ POOL "  addresses: [10.0.0.0/24]\n  renumber: web\n", 5, "address-pools[0].renumber",
	  "write true, false or a list of namespace/name" },
	{ POOL "  addresses: [10.0.0.0/24]\n  renumber: 'yes'\n", 5, "address-pools[0].renumber",
	  "write one of the two, without quotes" },

	/* what it does not give */
	{ POOL "  addresses: [10.0.0.0/24]\n  exclude: [10.0.0.1]\n", 5,
	  "address-pools[0].exclude[0]", "10.0.0.1 is a single address; write 10.0.0.1/32 or" },
	{ POOL "  addresses: [10.0.0.0/24]\n  exclude: 10.0.0.1/32\n", 5,
	  "address-pools[0].exclude", "write a list" },
	{ POOL "  addresses: [10.0.0.0/24]\n  disabled: 1\n", 5, "address-pools[0].disabled",
	  "neither true nor false" },

	{ POOL "  addresses: [10.0.0.0/24]\n  reservations: [{service: web, address: 10.0.0.1}]\n",
	  5, "address-pools[0].reservations[0].service",
	  "invalid Service \"web\"; write namespace/name" },
	{ POOL "  addresses: [10.0.0.0/24]\n  reservations: [{service: a/b}]\n", 5,
	  "address-pools[0].reservations[0].address", "missing address" },
	{ POOL "  addresses: [10.0.0.0/24]\n  reservations: [{service: a/b, address: 10.0.1.1}]\n",
	  5, "address-pools[0].reservations[0]", "10.0.1.1 is not among the pool's addresses" },
	{ POOL
	  "  addresses: [10.0.0.0/24]\n  reservations:\n  - {service: a/b, address: 10.0.0.1}\n"
	  "  - {service: c/d, address: 10.0.0.1}\n",
	  7, "address-pools[0].reservations[1]",
	  "the address is reserved already, on line 6; keep one" },
	{ POOL
	  "  addresses: [10.0.0.0/24]\n  reservations:\n  - {service: a/b, address: 10.0.0.1}\n"
	  "  - {service: a/b, address: 10.0.0.2}\n",
	  7, "address-pools[0].reservations[1]", "of this family already, on line 6" },
	{ POOL
	  "  addresses: [10.0.0.0/24]\n  reservations:\n  - {service: a/b, address: 10.0.0.1}\n"
	  "- name: other\n  protocol: layer2\n  addresses: ['fd00::/120']\n"
	  "  reservations: [{service: a/b, address: 'fd00::1'}]\n",
	  10, "address-pools[1].reservations[0]", "in another pool already, on line 6" },
	{ POOL "  addresses: [10.0.0.0/24, 'fd00::/120']\n  reservations:\n"
	       "  - {service: a/b, address: 10.0.0.1}\n  - {service: c/d, address: 10.0.0.2}\n"
	       "  - {service: a/b, address: 'fd00::1'}\n  - {service: a/b, address: 'fd00::2'}\n",
	  9, "address-pools[0].reservations[3]", "of this family already, on line 8" },

	/* for whom; what could mean everybody and nobody alike is an error */
	{ POOL "  addresses: [10.0.0.0/24]\n  namespaces: []\n", 5, "address-pools[0].namespaces",
	  "an empty list names nobody; write [NAME], or leave namespaces out" },
	{ POOL "  addresses: [10.0.0.0/24]\n  namespaces:\n", 5, "address-pools[0].namespaces",
	  "an empty list names nobody" },
	{ POOL "  addresses: [10.0.0.0/24]\n  namespaces: shop\n", 5, "address-pools[0].namespaces",
	  "is a single value; write a list" },
	{ POOL "  addresses: [10.0.0.0/24]\n  namespaces: [shop, Edge]\n", 5,
	  "address-pools[0].namespaces[1]", "\"Edge\" is no name of a namespace; write one" },
	{ POOL "  addresses: [10.0.0.0/24]\n  namespaces: ['*']\n", 5,
	  "address-pools[0].namespaces[0]", "or leave namespaces out if the pool is for all" },
	{ POOL "  addresses: [10.0.0.0/24]\n  namespace-selectors: []\n", 5,
	  "address-pools[0].namespace-selectors", "or leave namespace-selectors out" },
	{ POOL "  addresses: [10.0.0.0/24]\n  namespace-selectors:\n", 5,
	  "address-pools[0].namespace-selectors", "an empty list names nobody" },
	{ POOL "  addresses: [10.0.0.0/24]\n  namespace-selectors: [{}]\n", 5,
	  "address-pools[0].namespace-selectors[0]", "an empty selector names nobody" },
	{ POOL "  addresses: [10.0.0.0/24]\n  service-selectors: [{match-labels: {a: b}},]\n"
	       "  namespace-selectors: [{match-labels: {}}]\n",
	  6, "address-pools[0].namespace-selectors[0]", "an empty selector names nobody" },
	{ POOL "  addresses: [10.0.0.0/24]\n  service-selectors:\n  - match-labels:\n", 6,
	  "address-pools[0].service-selectors[0]", "an empty selector names nobody" },
	{ POOL "  addresses: [10.0.0.0/24]\n  service-selectors: [{match-label: {a: b}}]\n", 5,
	  "address-pools[0].service-selectors[0].match-label", "write \"match-labels\"" },
	/* failover, layer2-timing */
	{ "failover: quick\n", 1, "failover",
	  "invalid failover \"quick\": write fast, normal or calm" },
	{ "failover: [fast]\n", 1, "failover", "is a list; write a single value" },
	{ "layer2-timing: fast\n", 1, "layer2-timing", "is a single value; write a map" },
	{ "layer2-timing:\n  heartbeat: 9\n", 2, "layer2-timing.heartbeat",
	  "invalid heartbeat interval 9: write a number from 10 to 1000" },
	{ "layer2-timing:\n  heartbeat: 40ms\n", 2, "layer2-timing.heartbeat",
	  "write a whole number of milliseconds, such as 70" },
	{ "layer2-timing:\n  heartbeat: '40'\n", 2, "layer2-timing.heartbeat",
	  "write a whole number of milliseconds, such as 70, without quotes" },
	{ "layer2-timing:\n  multiplier: 2\n", 2, "layer2-timing.multiplier", "from 3 to 50" },
	{ "layer2-timing: {probe: 1001}\n", 1, "layer2-timing.probe", "from 10 to 1000" },
	/* rebalance */
	{ "rebalance: 10\n", 1, "rebalance", "is a single value; write a map" },
	{ "rebalance:\n", 1, "rebalance.per-minute",
	  "how fast? write per-minute: 10, for example" },
	{ "rebalance: {}\n", 1, "rebalance.per-minute",
	  "how fast? write per-minute: 10, for example" },
	{ "rebalance: {per-minute: 0}\n", 1, "rebalance.per-minute",
	  "write a number from 1 to 600" },
	{ "rebalance: {per-minute: 601}\n", 1, "rebalance.per-minute",
	  "write a number from 1 to 600" },
	{ "rebalance: {per-minut: 1}\n", 1, "rebalance.per-minut", "write \"per-minute\"" },
	/* journal */
	{ "journal: true\n", 1, "journal",
	  "is a single value; write a map of key: value, such as journal: {days: 90}" },
	{ "journal: {days: 0}\n", 1, "journal.days", "write a number from 1 to 3650" },
	{ "journal: {days: 3651}\n", 1, "journal.days", "write a number from 1 to 3650" },
	{ "layer2-timing: {probes: 20}\n", 1, "layer2-timing.probes", "write \"probe\"" },
	/* external-ips */
	{ "external-ips: [203.0.113.0/24]\n", 1, "external-ips", "is a list; write a map" },
	{ "externalIPs: {allow: [203.0.113.0/24]}\n", 1, "externalIPs", "write \"external-ips\"" },
	{ "external-ips:\n  allow: [203.0.113.0/24, 203.0.113.7]\n", 2, "external-ips.allow[1]",
	  "203.0.113.7 is a single address; write 203.0.113.7/32 or" },
	{ "external-ips:\n  allow: 203.0.113.0/24\n", 2, "external-ips.allow", "write a list" },
	{ "external-ips:\n  namespaces: [Edge]\n", 2, "external-ips.namespaces[0]",
	  "\"Edge\" is no name of a namespace; write one, or \"*\" for all" },
	{ "external-ips:\n  namespaces: [a-]\n", 2, "external-ips.namespaces[0]", "no name" },
	{ "external-ips:\n  namespace: [edge]\n", 2, "external-ips.namespace",
	  "write \"namespaces\"" },

	/* advertisements */
	{ BGP "  bgp-advertisements:\n  - {aggregation-length: 33}\n", 6,
	  "address-pools[0].bgp-advertisements[0].aggregation-length", "from 0 to 32" },
	{ BGP "  bgp-advertisements:\n  - {aggregation-length: 23}\n", 6,
	  "address-pools[0].bgp-advertisements[0].aggregation-length",
	  "invalid aggregation length 23: prefix 24 in this pool is more specific" },
	{ BGP "  bgp-advertisements:\n  - {localPref: 1}\n", 6,
	  "address-pools[0].bgp-advertisements[0].localPref", "write \"localpref\"" },
	{ BGP "  bgp-advertisements:\n  -\n  - {aggregation-length: 32}\n", 7,
	  "address-pools[0].bgp-advertisements[1]", "advertisement 1 and 2 are equal" },
	{ BGP "  bgp-advertisements: [{communities: ['1:2', '1:2']}]\n", 5,
	  "address-pools[0].bgp-advertisements[0].communities[1]",
	  "duplicate definition of community \"1:2\"" },
	{ BGP "  bgp-advertisements: [{communities: [gold]}]\n", 5,
	  "address-pools[0].bgp-advertisements[0].communities[0]", "invalid community \"gold\"" },
	{ "bgp-router-ids: {node1: x}\n", 1, "bgp-router-ids.node1",
	  "invalid router ID \"x\": write an IPv4 address" },
	{ "bgp-router-ids: {node1: '2001:db8::1'}\n", 1, "bgp-router-ids.node1",
	  "write an IPv4 address" },
	{ "bgp-router-ids: {node1: 0.0.0.0}\n", 1, "bgp-router-ids.node1", "from 1.0.0.0" },
	{ "bgp-router-ids: {node1: 224.0.0.1}\n", 1, "bgp-router-ids.node1", "to 223.255.255.255" },
	{ "bgp-router-ids: {node1: 127.0.0.1}\n", 1, "bgp-router-ids.node1",
	  "none of 127.0.0.0/8" },
	{ "bgp-router-ids: {node1: }\n", 1, "bgp-router-ids.node1", "is empty" },
	{ "bgp-router-ids: {Node_1: 1.1.1.1}\n", 1, "bgp-router-ids.Node_1", "is no Node's name" },
	{ "bgp-router-ids:\n  b: 1.1.1.1\n  a: 1.1.1.1\n", 2, "bgp-router-ids.b",
	  "router ID 1.1.1.1 is also that of node a, on line 3; give each node its own" },
	{ "bgp-router-ids:\n  a: 1.1.1.1\n  a: 1.1.1.2\n", 3, "bgp-router-ids.a", "given twice" },
	{ "bgp-router-ids: [1.1.1.1]\n", 1, "bgp-router-ids", "write a map" },
	{ "bgp-communities: {a: '1:65536'}\n", 1, "bgp-communities.a",
	  "parsing community \"1:65536\"" },
	{ "bgp-communities: {a: 'large:1:2:3:4'}\n", 1, "bgp-communities.a", "parsing community" },
	{ "bgp-communities:\n  a: '1:2'\n  a: '1:3'\n", 3, "bgp-communities.a", "given twice" },

	/* peers */
	{ "peers: [{peer-asn: 2, peer-address: 10.0.0.1}]\n", 1, "peers[0].my-asn",
	  "missing local ASN" },
	{ "peers: [{my-asn: 0, peer-asn: 2, peer-address: 10.0.0.1}]\n", 1, "peers[0].my-asn",
	  "from 1 to 4294967295" },
	{ "peers: [{my-asn: 1, peer-address: 10.0.0.1}]\n", 1, "peers[0].peer-asn",
	  "missing peer ASN" },
	{ "peers: [{my-asn: 1, peer-asn: 2, peer-address: tor}]\n", 1, "peers[0].peer-address",
	  "invalid peer IP \"tor\"" },
	{ PEER ", source-address: x}\n", 2, "peers[0].source-address", "invalid source IP \"x\"" },
	{ PEER ", router-id: 1}\n", 2, "peers[0].router-id", "write it as an IPv4 address" },
	{ PEER ", router-id: '2001:db8::1'}\n", 2, "peers[0].router-id", "as an IPv4 address" },
	{ PEER ", peer-port: 65536}\n", 2, "peers[0].peer-port", "from 0 to 65535" },
	{ PEER ", peer-port: '179'}\n", 2, "peers[0].peer-port", "without quotes" },
	{ PEER ", hold-time: 90}\n", 2, "peers[0].hold-time",
	  "invalid hold time \"90\": write a number with its unit, such as 90s" },
	{ PEER ", hold-time: 2s}\n", 2, "peers[0].hold-time", "must be 0 or >=3s" },
	{ PEER ", hold-time: 9s, keepalive-time: 10s}\n", 2, "peers[0].keepalive-time",
	  "must be at most the hold time, 9s" },
	{ PEER ", bfd-profile: fast}\n", 2, "peers[0].bfd-profile",
	  "peer #1 referencing non existing bfd profile fast" },
	{ PEER ", bfdProfile: fast}\n", 2, "peers[0].bfd-profile", "non existing bfd profile" },
	{ "peers: [{my-asn: 1, peer-asn: 1, peer-address: 10.0.0.1, ebgp-multihop: yes}]\n", 1,
	  "peers[0].ebgp-multihop", "set for an ibgp peer" },
	{ PEER ", password: a, password-secret: tor}\n", 2, "peers[0].password-secret",
	  "given beside password; keep one of them" },
	{ PEER ", password-secret: a/b}\n", 2, "peers[0].password-secret",
	  "\"a/b\" is no key of a Secret" },
	{ PEER ", passwordSecret: tor}\n", 2, "peers[0].passwordSecret",
	  "write \"password-secret\"" },
	{ PEER ", password: a b}\n", 2, "peers[0].password", "which bgpd does not take" },
	{ PEER ", password: p\xc3\xa4ss}\n", 2, "peers[0].password", "outside ASCII" },
	{ PEER ", password: " TEN TEN TEN TEN TEN TEN TEN TEN "x}\n", 2, "peers[0].password",
	  "longer than 80" },
	{ PEER "}\n- {my-asn: 1, peer-asn: 2, peer-address: 10.0.0.1}\n", 3, "peers[1]",
	  "peer #2 already exists as peer #1" },
	{ PEER "}\n- {my-asn: 3, peer-asn: 2, peer-address: 10.0.0.2}\n", 3, "peers[1].my-asn",
	  "on one node all peers must have the same" },
	{ PEER "}\n- {my-asn: 1, peer-asn: 2, peer-address: 10.0.0.2, router-id: 1.1.1.1}\n", 3,
	  "peers[1].router-id", "peer #2 has router-id 1.1.1.1, peer #1 has none" },
	{ PEER "}\n- {my-asn: 1, peer-asn: 9, peer-address: 10.0.0.1}\n", 3,
	  "peers[1].peer-address", "is also that of peer #1" },
	{ PEER ", node-selectors: [{match-labels: {'a b': c}}]}\n", 2,
	  "peers[0].node-selectors[0].match-labels.a b", "is no label key" },
	{ PEER ", node-selectors: [{match-labels: {a: '-'}}]}\n", 2,
	  "peers[0].node-selectors[0].match-labels.a", "is no label value" },
	{ PEER ", node-selectors: [{match-expressions: [{key: a, operator: in, values: [b]}]}]}\n",
	  2, "peers[0].node-selectors[0].match-expressions[0].operator",
	  "not a valid operator; write In" },
	{ PEER ", node-selectors: [{match-expressions: [{key: a, operator: In}]}]}\n", 2,
	  "peers[0].node-selectors[0].match-expressions[0].values", "operator In needs values" },
	{ PEER ", node-selectors: [{match-expressions: [{key: a, operator: Exists, values: "
	       "[b]}]}]}\n",
	  2, "peers[0].node-selectors[0].match-expressions[0].values", "takes no values" },

	/* BFD */
	{ "bfd-profiles: [{receive-interval: 10}]\n", 1, "bfd-profiles[0].name",
	  "missing bfd profile name" },
	{ "bfd-profiles: [{name: a}, {name: a}]\n", 1, "bfd-profiles[1].name",
	  "found duplicate bfd profile name a" },
	{ "bfd-profiles: [{name: a b}]\n", 1, "bfd-profiles[0].name", "which bgpd does not take" },
	{ "bfd-profiles: [{name: a, receive-interval: 9}]\n", 1, "bfd-profiles[0].receive-interval",
	  "from 10 to 60000" },
	{ "bfd-profiles: [{name: a, detect-multiplier: 1}]\n", 1,
	  "bfd-profiles[0].detect-multiplier", "from 2 to 255" },
};

/* All that is wrong, and nothing that only follows from it. */
static const struct {
	const char *yaml, *told; /* "LINE PATH;" of each */
} all[] = {
	/* Every range that overlaps one before it, though another one covers them both. */
	{ "address-pools:\n- name: a\n  protocol: layer2\n  addresses:\n  - 10.0.0.0/24\n"
	  "  - 10.0.0.128/25\n- name: b\n  protocol: layer2\n  addresses:\n"
	  "  - 10.0.0.5-10.0.0.6\n  - 10.0.1.0/24\n- {name: c, protocol: bgp, addresses: "
	  "[10.0.0.0/8]}\n",
	  "6 address-pools[0].addresses[1];10 address-pools[1].addresses[0];"
	  "12 address-pools[2].addresses[0];12 address-pools[2].addresses[0];"
	  "12 address-pools[2].addresses[0];12 address-pools[2].addresses[0];" },
	{ "address-pools:\n- {name: a, protocol: bgp, addresses: [10.0.0.0/8]}\n"
	  "- {name: b, protocol: bgp, addresses: [10.0.0.0/24]}\n"
	  "- {name: c, protocol: bgp, addresses: [10.0.0.0/16]}\n",
	  "3 address-pools[1].addresses[0];4 address-pools[2].addresses[0];" },
	/* Two peers of which too little is known are no copies of each other. */
	{ "peers:\n- {my-asn: 1, peer-asn: 2}\n- {my-asn: 1, peer-asn: 2, peer-address: x}\n",
	  "2 peers[0].peer-address;3 peers[1].peer-address;" },
	/* What is misspelt is not missing as well. */
	{ "address-pools:\n- name: a\n  protocol: bgp\n  adresses: [10.0.0.0/8]\n",
	  "4 address-pools[0].adresses;" },
	{ "address-pools:\n- name: a\n  protocol: bgp\n  something: [10.0.0.0/8]\n",
	  "2 address-pools[0].addresses;4 address-pools[0].something;" },
	/* The value is wrong, but there is one. */
	{ PEER
	  ",\n   node-selectors: [{match-expressions: [{key: a, operator: In, values: ['!']}]}]}\n",
	  "3 peers[0].node-selectors[0].match-expressions[0].values[0];" },
};

/* What is accepted, and looks like a mistake. */
static void test_warnings(void **state)
{
	static const struct {
		const char *yaml, *told;
	} rows[] = {
		{ PEER ", hold-time: 900ms}\n", "2 peers[0].hold-time;" },
		{ PEER ",\n  source-address: '2001:db8::1'}\n", "3 peers[0].source-address;" },
		{ PEER ", source-address: 10.0.0.9}\n", "" },
		{ "peers:\n- {my-asn: 1, peer-asn: 2, peer-address: 'fe80::1'}\n",
		  "2 peers[0].peer-address;" },
		{ POOL "  addresses: [192.0.2.0/24, 223.255.255.0-224.0.0.9]\n",
		  "4 address-pools[0].addresses[1];" },
		{ POOL "  addresses: ['::/0']\n", "4 address-pools[0].addresses[0];" },
		/* What one link alone can reach, or nobody by a rule that may fall. */
		{ POOL "  addresses: [169.254.0.0/16]\n", "4 address-pools[0].addresses[0];" },
		{ POOL "  addresses: ['fe80::/64']\n", "4 address-pools[0].addresses[0];" },
		{ POOL "  addresses: [240.0.0.0/24]\n", "4 address-pools[0].addresses[0];" },
		{ POOL "  addresses: [255.255.255.255/32]\n", "4 address-pools[0].addresses[0];" },
		/* A pool knows of no subnet, in which the first and the last address are taken. */
		{ POOL "  addresses: [192.0.2.0/32, 192.0.2.255/32]\n", "" },
		{ POOL "  addresses: [0.255.255.255-1.0.0.0]\n",
		  "4 address-pools[0].addresses[0];" },
		{ POOL "  addresses: [126.255.255.255-127.0.0.1]\n",
		  "4 address-pools[0].addresses[0];" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup(config_problems_fini) struct config_problems warnings = { 0 };
		cleanup(buf_fini) struct buf told = BUF_INIT;
		struct configuration *c = parse_ok(rows[i].yaml, &warnings);
		for (size_t k = 0; k < warnings.n; k++)
			buf_printf(&told, "%u %s;", warnings.items[k].line, warnings.items[k].path);
		assert_string_equal(buf_str(&told), rows[i].told);
		configuration_unref(c);
	}
}

/* What `config check` and the controller say besides. */
static void test_pools_that_are_silent(void **state)
{
	static const struct {
		const char *yaml, *told, *says;
	} rows[] = {
		{ BGP, "2 address-pools[0].protocol;", "wan\" is announced by BGP alone" },
		{ BGP PEER "}\n", "", NULL },
		{ "address-pools:\n"
		  "- {name: both, protocol: [bgp, layer2], addresses: [198.51.100.0/24]}\n",
		  "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup(config_problems_fini) struct config_problems warnings = { 0 };
		cleanup(buf_fini) struct buf told = BUF_INIT;
		struct configuration *c = parse_ok(rows[i].yaml, NULL);
		configuration_warn_silent(c, &warnings);
		for (size_t k = 0; k < warnings.n; k++)
			buf_printf(&told, "%u %s;", warnings.items[k].line, warnings.items[k].path);
		assert_string_equal(buf_str(&told), rows[i].told);
		if (rows[i].says && !strstr(warnings.items[0].message, rows[i].says))
			fail_msg("row %zu: %s", i, warnings.items[0].message);
		configuration_unref(c);
	}
}

static void test_all_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		cleanup(config_problems_fini) struct config_problems errors = { 0 };
		cleanup(buf_fini) struct buf told = BUF_INIT;
		struct configuration *c = NULL;
		assert_int_equal(configuration_parse(all[i].yaml, strlen(all[i].yaml), &c, &errors,
		                                     NULL),
		                 -EINVAL);
		for (size_t k = 0; k < errors.n; k++)
			buf_printf(&told, "%u %s;", errors.items[k].line, errors.items[k].path);
		assert_string_equal(buf_str(&told), all[i].told);
	}
}

static void test_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct config_problems errors = { 0 }, warnings = { 0 };
		struct configuration *c = NULL;
		int r = configuration_parse(bad[i].yaml, strlen(bad[i].yaml), &c, &errors,
		                            &warnings);
		assert_int_equal(r, -EINVAL);
		assert_null(c);
		bool found = false;
		for (size_t k = 0; k < errors.n; k++)
			found |= errors.items[k].line == bad[i].line &&
			         !strcmp(errors.items[k].path, bad[i].path) &&
			         strstr(errors.items[k].message, bad[i].message);
		if (!found) {
			for (size_t k = 0; k < errors.n; k++)
				print_error("got %u %s: %s\n", errors.items[k].line,
				            errors.items[k].path, errors.items[k].message);
			fail_msg("case %zu: want %u %s: …%s…", i, bad[i].line, bad[i].path,
			         bad[i].message);
		}
		config_problems_fini(&errors);
		config_problems_fini(&warnings);
	}
}

#define BGP_POOL "address-pools:\n- {name: a, protocol: bgp, addresses: [192.0.2.0/24]"

/* Each string that a user writes, as %s, on the second line. */
static const char *const strings[] = {
	PEER ", password: %s}\n",
	PEER ", password-secret: %s}\n",
	PEER ", bfd-profile: %s}\n",
	PEER ", router-id: %s}\n",
	PEER ", source-address: %s}\n",
	PEER ", hold-time: %s}\n",
	PEER ", %s: x}\n",
	PEER ", node-selectors: [{match-labels: {%s: x}}]}\n",
	PEER ", node-selectors: [{match-labels: {x: %s}}]}\n",
	PEER ", node-selectors: [{match-expressions: [{key: %s, operator: Exists}]}]}\n",
	PEER ", node-selectors: [{match-expressions: [{key: x, operator: %s}]}]}\n",
	PEER ", node-selectors: [{match-expressions: [{key: x, operator: In, values: [%s]}]}]}\n",
	"peers:\n- {my-asn: 1, peer-asn: 2, peer-address: %s}\n",
	"bfd-profiles:\n- {name: %s}\n",
	"bgp-communities:\n  x: %s\n",
	"bgp-router-ids:\n  x: %s\n",
	"bgp-router-ids:\n  %s: 1.1.1.1\n",
	"address-pools:\n- {name: %s, protocol: bgp, addresses: [192.0.2.0/24]}\n",
	"address-pools:\n- {name: a, protocol: %s, addresses: [192.0.2.0/24]}\n",
	"address-pools:\n- {name: a, protocol: bgp, addresses: [%s]}\n",
	BGP_POOL ", bgp-advertisements: [{communities: [%s]}]}\n",
	BGP_POOL ", %s: x}\n",
};

static char *filled(const char *place, const char *string)
{
	const char *at = strstr(place, "%s");

	return xasprintf("%.*s%s%s", (int)(at - place), place, string, at + 2);
}

static void test_strings_of_users(void **state)
{
	(void)state;
	char long_text[4003] = "\"";
	const char *const bad_strings[] = { "\"a\\nb\"", "\"a\\0b\"", long_text };

	memset(long_text + 1, 'x', 4000);
	long_text[4001] = '"';
	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		for (size_t k = 0; k < ARRAY_LEN(bad_strings); k++) {
			cleanup(config_problems_fini) struct config_problems errors = { 0 },
									     warnings = { 0 };
			cleanup_free char *yaml = filled(strings[i], bad_strings[k]);
			struct configuration *c = NULL;
			if (configuration_parse(yaml, strlen(yaml), &c, &errors, &warnings) == 0)
				fail_msg("taken: %.200s", yaml);
			assert_int_equal(errors.items[0].line, 2);
			/*
			 * What is wrong can be printed in one line, and is not the whole of it
			 * again.
			 */
			for (const char *p = errors.items[0].message; *p; p++)
				assert_true((unsigned char)*p >= ' ');
			for (const char *p = errors.items[0].path; *p; p++)
				assert_true((unsigned char)*p >= ' ');
			assert_true(strlen(errors.items[0].message) < 600);
			assert_true(strlen(errors.items[0].path) < 600);
		}
}

/* Nothing is allowed that is not written. */
/* Each expression by itself is short; all of a pool's are one that nodes try on each interface. */
static void test_many_interfaces(void **state)
{
	(void)state;
	for (size_t n = 61; n <= 62; n++) {
		struct config_problems errors = { 0 }, warnings = { 0 };
		struct configuration *c = NULL;
		struct buf text = BUF_INIT;
		buf_puts(&text, LAYER2 "  - interfaces:\n");
		for (size_t i = 0; i < n; i++)
			buf_printf(&text, "    - e%063zu\n", i);
		int r = configuration_parse(text.data, text.size, &c, &errors, &warnings);
		assert_int_equal(r, n > 61 ? -EINVAL : 0);
		if (r < 0) {
			assert_int_equal(errors.n, 1);
			assert_string_equal(errors.items[0].path, "address-pools[0].layer2");
			assert_non_null(strstr(errors.items[0].message, "4154 bytes, and 4096"));
		} else {
			configuration_unref(c);
		}
		config_problems_fini(&errors);
		config_problems_fini(&warnings);
		buf_fini(&text);
	}
}

static void test_timing(void **state)
{
	static const struct {
		const char *text;
		enum failover failover;
		struct config_layer2_timing timing;
		size_t warnings;
	} cases[] = {
		{ "", FAILOVER_NORMAL, { 70, 25, 5 }, 0 },
		{ "failover: normal\n", FAILOVER_NORMAL, { 70, 25, 5 }, 0 },
		{ "failover: fast\n", FAILOVER_FAST, { 20, 15, 4 }, 0 },
		{ "failover: calm\nlayer2-timing:\n", FAILOVER_CALM, { 250, 100, 4 }, 0 },
		/* What is given counts, and the rest is as failover says, wherever that stands. */
		{ "layer2-timing: {multiplier: 6}\nfailover: fast\n",
		  FAILOVER_FAST,
		  { 20, 15, 6 },
		  0 },
		{ "layer2-timing: {heartbeat: 100, multiplier: 3, probe: 50}\n",
		  FAILOVER_NORMAL,
		  { 100, 50, 3 },
		  0 },
		{ "layer2-timing: {heartbeat: 10}\n", FAILOVER_NORMAL, { 10, 25, 5 }, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct config_problems errors = { 0 }, warnings = { 0 };
		struct configuration *c = NULL;
		assert_int_equal(configuration_parse(cases[i].text, strlen(cases[i].text), &c,
		                                     &errors, &warnings),
		                 0);
		assert_int_equal(c->failover, cases[i].failover);
		assert_int_equal(c->layer2_timing.heartbeat_ms, cases[i].timing.heartbeat_ms);
		assert_int_equal(c->layer2_timing.multiplier, cases[i].timing.multiplier);
		assert_int_equal(c->layer2_timing.probe_ms, cases[i].timing.probe_ms);
		assert_int_equal(warnings.n, cases[i].warnings);
		config_problems_fini(&warnings);
		configuration_unref(c);
	}
}

static void test_rebalance(void **state)
{
	static const struct {
		const char *text;
		unsigned int per_minute;
		const char *printed;
	} cases[] = { { "{}", 0, NULL },
		      { "rebalance: {per-minute: 600}\n", 600,
		        "\"rebalance\":{\"per-minute\":600}" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup(config_problems_fini) struct config_problems errors = { 0 };
		cleanup(config_problems_fini) struct config_problems warnings = { 0 };
		cleanup(buf_fini) struct buf json = BUF_INIT;
		struct configuration *c = NULL;
		assert_int_equal(configuration_parse(cases[i].text, strlen(cases[i].text), &c,
		                                     &errors, &warnings),
		                 0);
		assert_int_equal(c->rebalance.per_minute, cases[i].per_minute);
		configuration_json(c, &json);
		if (cases[i].printed)
			assert_non_null(strstr(buf_str(&json), cases[i].printed));
		else
			assert_null(strstr(buf_str(&json), "rebalance"));
		configuration_unref(c);
	}
}

static void test_journal(void **state)
{
	static const struct {
		const char *text;
		unsigned int days;
	} cases[] = { { "{}", 0 },
		      { "journal: {}\n", CONFIG_JOURNAL_DAYS },
		      /* Who writes the key wants it, and may write its keys later. */
		      { "journal:\n", CONFIG_JOURNAL_DAYS },
		      { "journal:\n  days:\n", CONFIG_JOURNAL_DAYS },
		      { "journal: {days: 7}\n", 7 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct config_problems errors = { 0 }, warnings = { 0 };
		struct configuration *c = NULL;
		assert_int_equal(configuration_parse(cases[i].text, strlen(cases[i].text), &c,
		                                     &errors, &warnings),
		                 0);
		assert_int_equal(c->journal.days, cases[i].days);
		config_problems_fini(&warnings);
		configuration_unref(c);
	}
}

static void test_allowed_external_ips(void **state)
{
	static const struct {
		const char *yaml, *addr, *namespace;
		bool allowed;
		size_t n_warnings;
	} rows[] = {
		{ "", "203.0.113.7", "edge", false, 0 },
		{ "external-ips:\n", "203.0.113.7", "edge", false, 0 },
		{ "external-ips: {allow: [203.0.113.0/24]}", "203.0.113.7", "edge", false, 1 },
		{ "external-ips: {allow: [203.0.113.0/24], namespaces: }", "203.0.113.7", "edge",
		  false, 1 },
		{ "external-ips: {allow: [203.0.113.0/24], namespaces: []}", "203.0.113.7", "edge",
		  false, 1 },
		{ "external-ips: {namespaces: ['*']}", "203.0.113.7", "edge", false, 1 },
		{ "external-ips: {allow: [203.0.113.0/24], namespaces: [edge]}", "203.0.113.7",
		  "edge", true, 0 },
		{ "external-ips: {allow: [203.0.113.0/24], namespaces: [edge]}", "203.0.114.0",
		  "edge", false, 0 },
		{ "external-ips: {allow: [203.0.113.0/24], namespaces: [edge]}", "203.0.113.7",
		  "edg", false, 0 },
		{ "external-ips: {allow: [203.0.113.0/24], namespaces: ['*']}", "203.0.113.255",
		  "any", true, 0 },
		{ "external-ips: {allow: [10.0.0.0/8, 'fd00::1-fd00::9'], namespaces: [a, b]}",
		  "fd00::9", "b", true, 0 },
		{ "external-ips: {allow: [0.0.0.0/0], namespaces: ['*']}", "127.0.0.1", "edge",
		  false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct config_problems warnings = { 0 };
		struct configuration *c = parse_ok(rows[i].yaml, &warnings);
		struct addr a;
		assert_int_equal(addr_parse(rows[i].addr, &a), 0);
		if (configuration_external_ip_allowed(c, &a, rows[i].namespace) !=
		            rows[i].allowed ||
		    warnings.n != rows[i].n_warnings)
			fail_msg("case %zu: %zu warnings", i, warnings.n);
		config_problems_fini(&warnings);
		configuration_unref(c);
	}
}

static void test_all_errors_at_once_by_line(void **state)
{
	static const char yaml[] = "address-pools:\n"
				   "- name: a\n"
				   "  protocol: l2\n"
				   "  addresses: [10.0.0.1, 10.0.0.9-10.0.0.2]\n"
				   "  adresses: []\n"
				   "peers:\n"
				   "- {my-asn: x, peer-asn: 2}\n";
	static const unsigned int lines[] = { 3, 4, 4, 5, 7, 7 };
	struct config_problems errors = { 0 };
	struct configuration *c = NULL;

	(void)state;
	assert_int_equal(configuration_parse(yaml, strlen(yaml), &c, &errors, NULL), -EINVAL);
	assert_int_equal(errors.n, ARRAY_LEN(lines));
	for (size_t i = 0; i < errors.n; i++)
		assert_int_equal(errors.items[i].line, lines[i]);
	config_problems_fini(&errors);
}

static void test_problems_are_bounded(void **state)
{
	struct buf yaml = BUF_INIT;
	struct config_problems errors = { 0 };
	struct configuration *c = NULL;

	(void)state;
	buf_puts(&yaml, POOL "  addresses:\n");
	for (int i = 0; i < 10000; i++)
		buf_puts(&yaml, "  - x\n");
	assert_int_equal(configuration_parse(yaml.data, yaml.size, &c, &errors, NULL), -EINVAL);
	assert_int_equal(errors.n, 201);
	assert_string_equal(errors.items[200].message, "and more of these");
	config_problems_fini(&errors);
	buf_fini(&yaml);
}

/* What a lenient reader must go on accepting. */
static void test_accepted(void **state)
{
	static const char yaml[] =
		"---\n"
		"address-pools:\n"
		"- &base\n"
		"  name: 123\n" /* a number where text is wanted */
		"  protocol: layer2\n"
		"  auto-assign: off\n"
		"  priority: 0x10\n"
		"  addresses:\n"
		"  - 010.000.000.017 - 10.0.0.18\n"
		"- <<: *base\n"
		"  name: two\n"
		"  priority: -1_0\n"
		"  addresses: [10.9.8.7/16, '::ffff:10.10.0.1-10.10.0.2']\n"
		"- {name: both, protocol: [layer2, bgp], addresses: [fd00::/64]}\n";
	struct config_problems warnings = { 0 };
	struct configuration *c = parse_ok(yaml, &warnings);
	char text[ADDR_RANGE_STR_SIZE];

	(void)state;
	assert_string_equal(c->pools[0].name, "123");
	assert_false(c->pools[0].auto_assign);
	assert_int_equal(c->pools[0].priority, 16);
	assert_string_equal(addr_range_format(&c->pools[0].ranges[0], text), "10.0.0.17-10.0.0.18");
	assert_string_equal(c->pools[1].name, "two");
	assert_int_equal(c->pools[1].priority, -10);
	assert_false(c->pools[1].auto_assign);
	assert_string_equal(addr_range_format(&c->pools[1].ranges[0], text), "10.9.0.0/16");
	assert_int_equal(c->pools[2].protocols, PROTOCOL_BGP | PROTOCOL_LAYER2);
	assert_int_equal(c->pools[2].n_advertisements, 1);
	assert_int_equal(warnings.n, 0);
	config_problems_fini(&warnings);
	configuration_unref(c);
}

static void test_pool_of(void **state)
{
	struct configuration *c = parse_ok(reference, NULL);
	static const struct {
		const char *addr, *pool;
	} cases[] = {
		{ "198.51.100.0", "public" },
		{ "198.51.100.255", "public" },
		{ "198.51.101.0", NULL },
		{ "192.168.1.239", NULL },
		{ "192.168.1.240", "lan" },
		{ "192.168.1.250", "lan" },
		{ "192.168.1.251", NULL },
		{ "2001:db8:1::", "public" },
		{ "2001:db8:1::ffff", "public" },
		{ "2001:db8:1::1:0", NULL },
		{ "0.0.0.0", NULL },
		{ "ffff::", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct addr a;
		assert_int_equal(addr_parse(cases[i].addr, &a), 0);
		const struct config_pool *pool = configuration_pool_of(c, &a);
		assert_int_equal(pool != NULL, cases[i].pool != NULL);
		if (pool)
			assert_string_equal(pool->name, cases[i].pool);
	}
	assert_non_null(configuration_pool_named(c, "lan"));
	assert_null(configuration_pool_named(c, "nowhere"));
	configuration_unref(c);
}

/*
 * What of these peers a node with the labels "rack: a" and "both: " has: a letter each, '-' for a
 * refused one.
 */
static void expect_node_peers(const char *yaml, const char *had, const char *words)
{
	char rack[] = "rack", a[] = "a", both[] = "both", empty[] = "";
	struct label kvs[] = { { .key = both, .value = empty }, { .key = rack, .value = a } };
	const struct labels labels = { .kvs = kvs, .n = ARRAY_LEN(kvs) };
	struct configuration *c = parse_ok(yaml, NULL);
	struct config_node_peer *peers;
	size_t n = config_node_peers(c, &labels, &peers);
	char got[8] = "";

	assert_true(n < sizeof(got));
	for (size_t i = 0; i < n; i++) {
		got[i] = '-';
		if (!peers[i].refused)
			got[i] = (char)('a' + (peers[i].peer - c->peers));
		else
			assert_non_null(strstr(peers[i].refused, words));
	}
	assert_string_equal(got, had);
	config_node_peers_free(peers, n);
	configuration_unref(c);
}

static void test_router_ids(void **state)
{
	(void)state;
	struct configuration *c =
		parse_ok("bgp-router-ids: {node2: 192.0.2.2, node1: 192.0.2.1}\n", NULL);

	assert_string_equal(addr_str(configuration_router_id_of(c, "node1")), "192.0.2.1");
	assert_string_equal(addr_str(configuration_router_id_of(c, "node2")), "192.0.2.2");
	assert_null(configuration_router_id_of(c, "node3"));
	configuration_unref(c);
	c = parse_ok("peers: []\n", NULL);
	assert_null(configuration_router_id_of(c, "node1"));
	configuration_unref(c);
}

#define ON_RACK(rest) "- {" rest ", node-selectors: [{match-labels: {rack: a}}]}\n"
#define ON_OTHER(rest) "- {" rest ", node-selectors: [{match-labels: {rack: b}}]}\n"
#define ON_BOTH(rest) "- {" rest ", node-selectors: [{match-labels: {both: ''}}]}\n"

static void test_peers_of_one_node(void **state)
{
	(void)state;
	expect_node_peers("", "", "");
	expect_node_peers("peers:\n" ON_OTHER("my-asn: 1, peer-asn: 9, peer-address: 10.0.0.1")
	                          ON_BOTH("my-asn: 1, peer-asn: 9, peer-address: 10.0.0.1"),
	                  "b", "");
	/* One that was refused is in nobody's way. */
	expect_node_peers("peers:\n" ON_RACK("my-asn: 1, peer-asn: 9, peer-address: 10.0.0.1")
	                          ON_BOTH("my-asn: 1, peer-asn: 8, peer-address: 10.0.0.1, "
	                                  "router-id: 1.1.1.1")
	                                  ON_RACK("my-asn: 1, peer-asn: 9, peer-address: "
	                                          "10.0.0.2, router-id: 1.1.1.2"),
	                  "a-c", "peer-address 10.0.0.1 is also that of peer-1");
	/* Who names no router id takes what there is. */
	expect_node_peers("peers:\n" ON_RACK("my-asn: 1, peer-asn: 9, peer-address: 10.0.0.1")
	                          ON_BOTH("my-asn: 1, peer-asn: 9, peer-address: 10.0.0.2, "
	                                  "router-id: 1.1.1.1")
	                                  ON_RACK("my-asn: 1, peer-asn: 9, peer-address: "
	                                          "10.0.0.3, router-id: 1.1.1.2"),
	                  "ab-", "router-id 1.1.1.2 is not the one of peer-2, and a node has one");
	/* Another AS number of ours goes as long as the router has neither. */
	expect_node_peers("peers:\n" ON_RACK("my-asn: 1, peer-asn: 9, peer-address: 10.0.0.1")
	                          ON_BOTH("my-asn: 2, peer-asn: 9, peer-address: 10.0.0.2")
	                                  ON_BOTH("my-asn: 2, peer-asn: 2, peer-address: 10.0.0.3")
	                                          ON_BOTH("my-asn: 2, peer-asn: 1, peer-address: "
	                                                  "10.0.0.4"),
	                  "ab--", "my-asn 2 is not the one of peer-1, 1, and the router is in one");
}

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		int r;
		int64_t ns;
	} cases[] = {
		{ "0", 0, 0 },
		{ "90s", 0, 90000000000 },
		{ "1h30m", 0, 5400000000000 },
		{ "1.5s", 0, 1500000000 },
		{ ".5s", 0, 500000000 },
		{ "1.s", 0, 1000000000 },
		{ "-2ms", 0, -2000000 },
		{ "+3us", 0, 3000 },
		{ "3\xc2\xb5s", 0, 3000 },
		{ "1m1ns", 0, 60000000001 },
		{ "90", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ ".s", -EINVAL, 0 },
		{ "1d", -EINVAL, 0 },
		{ "s", -EINVAL, 0 },
		{ "-", -EINVAL, 0 },
		{ "9999999999h", -ERANGE, 0 },
		{ "99999999999999999999s", -ERANGE, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t ns = 0;
		assert_int_equal(duration_parse(cases[i].text, &ns), cases[i].r);
		assert_int_equal(ns, cases[i].ns);
	}
}

/* Whatever fits into a ConfigMap is read back as it was printed, however many ranges it takes. */
static void test_retained_comes_back(void **state)
{
	enum { N = 55000 };

	(void)state;
	struct configuration *c = parse_ok(
		"address-pools:\n"
		"- {name: 'a \"b\", \xc3\xa9: #{', protocol: layer2, addresses: [10.0.0.0/8]}\n"
		"- {name: far, protocol: bgp, use: external-ip, addresses: [11.0.0.0/24],\n"
		"   bgp-advertisements: [{localpref: 7, communities: ['1:2']}]}\n",
		NULL);
	struct config_retention *items = xcalloc(N + 2, sizeof(*items));
	struct config_problems errors = { 0 };
	struct buf text = BUF_INIT;
	struct configuration *back;

	for (size_t i = 0; i < N; i++) {
		char ip[ADDR_STR_SIZE];
		snprintf(ip, sizeof(ip), "10.%zu.%zu.%zu", i >> 15, i >> 7 & 255, i << 1 & 255);
		assert_int_equal(addr_parse(ip, &items[i].addr), 0);
		items[i].pool = &c->pools[0];
	}
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(addr_parse(i ? "11.0.0.2" : "11.0.0.1", &items[N + i].addr), 0);
		items[N + i].pool = &c->pools[1];
	}
	configuration_print_retained(items, N + 2, &text);
	assert_true(text.size < 1 << 20);
	if (configuration_parse_published("", buf_str(&text), &back, &errors, NULL) < 0)
		fail_msg("%s", errors.items[0].message);
	assert_int_equal(back->n_retained, 2);
	for (size_t i = 0; i < N + 2; i++) {
		const struct config_pool *pool = configuration_retained_of(back, &items[i].addr);
		assert_non_null(pool);
		assert_string_equal(pool->name, items[i].pool->name);
		assert_int_equal(pool->protocols, items[i].pool->protocols);
		assert_int_equal(pool->uses, items[i].pool->uses);
		assert_int_equal(pool->n_ranges, items[i].pool == c->pools ? N : 1);
	}
	free(items);
	buf_fini(&text);
	configuration_unref(back);
	configuration_unref(c);
}

static void test_bounds_of_the_tree(void **state)
{
	struct ytree tree;
	struct ytree_error e;
	struct buf bomb = BUF_INIT;

	(void)state;
	assert_int_equal(ytree_parse("a: [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]", 36, 0, &tree, &e),
	                 -EINVAL);
	assert_non_null(strstr(e.message, "nested deeper than 16"));

	buf_puts(&bomb, "a: &l0 [1,1,1,1,1,1,1,1,1,1]\n");
	for (int i = 1; i < 9; i++) {
		buf_printf(&bomb, "k%d: &l%d [", i, i);
		for (int k = 0; k < 10; k++)
			buf_printf(&bomb, "%s*l%d", k ? "," : "", i - 1);
		buf_puts(&bomb, "]\n");
	}
	assert_int_equal(ytree_parse(bomb.data, bomb.size, 0, &tree, &e), -EINVAL);
	assert_non_null(strstr(e.message, "aliases counted each time"));

	buf_clear(&bomb);
	for (int i = 0; i <= YTREE_SIZE_MAX; i++)
		buf_putc(&bomb, '#');
	assert_int_equal(ytree_parse(bomb.data, bomb.size, 0, &tree, &e), -EINVAL);
	assert_non_null(strstr(e.message, "longer than 1048576 bytes"));
	buf_fini(&bomb);
}

static void assert_same_advertisement(const struct config_advertisement *a,
                                      const struct config_advertisement *b)
{
	assert_int_equal(a->aggregation_len, b->aggregation_len);
	assert_int_equal(a->aggregation_len_v6, b->aggregation_len_v6);
	assert_int_equal(a->has_localpref, b->has_localpref);
	assert_int_equal(a->localpref, b->localpref);
	assert_int_equal(a->n_communities, b->n_communities);
	for (size_t i = 0; i < a->n_communities; i++)
		assert_string_equal(a->communities[i], b->communities[i]);
}

/* All by which it was announced; a community's name is gone with the text that told its value. */
static void test_retained_settings(void **state)
{
	static const char *const in_use[] = { "10.0.0.7", "10.0.1.7", "10.0.2.7", "2001:db8::7" };
	struct config_retention items[ARRAY_LEN(in_use)];
	struct configuration *again,
		*c = parse_ok(
			"address-pools:\n"
			"- {name: plain, protocol: layer2, use: external-ip, addresses: [10.0.0.0/24]}\n"
			"- {name: both, protocol: [bgp, layer2], use: [external-ip, load-balancer],\n"
			"   addresses: [10.0.1.0/24]}\n"
			"- name: 'far: \"away\"'\n"
			"  protocol: bgp\n"
			"  addresses: [10.0.2.0/24, '2001:db8::/64']\n"
			"  bgp-advertisements:\n"
			"  - {aggregation-length: 26, aggregation-length-v6: 112, localpref: 0,\n"
			"     communities: [gold, no-export]}\n"
			"  - {localpref: 4294967295}\n"
			"bgp-communities: {gold: '64500:7', no-export: '65535:65281'}\n",
			NULL);
	cleanup(config_problems_fini) struct config_problems errors = { 0 };
	cleanup(buf_fini) struct buf text = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(in_use); i++) {
		assert_int_equal(addr_parse(in_use[i], &items[i].addr), 0);
		items[i].pool = configuration_pool_of(c, &items[i].addr);
	}
	configuration_print_retained(items, ARRAY_LEN(items), &text);
	if (configuration_parse_published("", buf_str(&text), &again, &errors, NULL) < 0)
		fail_msg("%s in %s", errors.items[0].message, buf_str(&text));
	assert_int_equal(again->n_retained, 3);
	for (size_t i = 0; i < ARRAY_LEN(in_use); i++) {
		struct addr a;
		assert_int_equal(addr_parse(in_use[i], &a), 0);
		const struct config_pool *was = configuration_pool_of(c, &a);
		const struct config_pool *is = configuration_pool_of(again, &a);
		assert_ptr_equal(is, configuration_retained_of(again, &a));
		assert_null(configuration_giving_pool_of(again, &a));
		assert_string_equal(is->name, was->name);
		assert_int_equal(is->protocols, was->protocols);
		assert_int_equal(is->uses, was->uses);
		assert_int_equal(is->n_advertisements, was->n_advertisements);
		for (size_t k = 0; k < was->n_advertisements; k++)
			assert_same_advertisement(&is->advertisements[k], &was->advertisements[k]);
	}
	/* Printed again, from what was read, it is the same text. */
	cleanup(buf_fini) struct buf twice = BUF_INIT;
	for (size_t i = 0; i < ARRAY_LEN(in_use); i++)
		items[i].pool = configuration_pool_of(again, &items[i].addr);
	configuration_print_retained(items, ARRAY_LEN(items), &twice);
	assert_string_equal(buf_str(&twice), buf_str(&text));
	configuration_unref(again);
	configuration_unref(c);
}

static char *print_key(const struct schema_key *key, const struct config_pool *pool)
{
	struct buf text = BUF_INIT;
	struct out o;

	out_init(&o, OUT_JSON, &text);
	out_object(&o, NULL);
	key->type->print(&o, key, (const char *)pool + key->offset);
	out_close(&o);
	out_fini(&o);
	return buf_take(&text);
}

/*
 * Each key, but those that concern giving addresses alone: the one that is forgotten would change
 * how they are announced.
 */
static void test_retained_has_each_key(void **state)
{
	static const char *const giving[] = {
		"addresses",
		"avoid-buggy-ips",
		"exclude",
		"disabled",
		"reservations",
		"auto-assign",
		"priority",
		"renumber",
		"namespaces",
		"namespace-selectors",
		"service-selectors",
		"share-across-namespaces",
		"quota",
		"cool-down",
		"addresses-per-service",
		"allocation",
	};
	struct configuration *again,
		*c = parse_ok(
			"address-pools:\n"
			"- {name: whole, protocol: [layer2, bgp], use: external-ip, addresses: "
			"[10.0.0.0/24], avoid-buggy-ips: true, exclude: [10.0.0.1/32], disabled: true, "
			"reservations: [{service: a/b, address: 10.0.0.2}], quota: [{namespaces: "
			"[a], addresses: 1}], cool-down: 1m, allocation: random, "
			"addresses-per-service: 2,\n"
			"   auto-assign: false, priority: 7, renumber: true, terminating: hold, "
			"share-across-namespaces: true, "
			"namespaces: [a], namespace-selectors: [{match-labels: {a: b}}], "
			"service-selectors: [{match-labels: {a: b}}], "
			"bgp-advertisements: [{localpref: 7}], "
			"layer2: [{interfaces: ['eth[0-9]+\\.7'], node-selectors: [{match-labels: "
			"{a: b}}], service-selectors: [{match-expressions: [{key: c, operator: "
			"NotIn, values: [d, e]}]}], preferred-nodes: [{weight: 9, match-labels: "
			"{f: g}}]}, {}]}\n",
			NULL);
	cleanup(config_problems_fini) struct config_problems errors = { 0 };
	cleanup(buf_fini) struct buf text = BUF_INIT;
	struct config_retention item = { .pool = &c->pools[0] };
	struct config_pool plain = { 0 };

	(void)state;
	schema_defaults(&pool_table, &plain);
	assert_int_equal(addr_parse("10.0.0.7", &item.addr), 0);
	configuration_print_retained(&item, 1, &text);
	assert_int_equal(configuration_parse_published("", buf_str(&text), &again, &errors, NULL),
	                 0);
	for (size_t i = 0; i < pool_table.n_keys; i++) {
		const struct schema_key *key = &pool_table.keys[i];
		cleanup_free char *was = print_key(key, &c->pools[0]);
		cleanup_free char *is = print_key(key, &again->retained[0]);
		cleanup_free char *by_default = print_key(key, &plain);
		bool gives = false;
		for (size_t k = 0; k < ARRAY_LEN(giving); k++)
			gives |= !strcmp(key->name, giving[k]);
		if (!strcmp(was, by_default))
			fail_msg("%s needs another value than its default here", key->name);
		if (!gives && strcmp(was, is) != 0)
			fail_msg("%s is not retained: %s became %s", key->name, was, is);
	}
	configuration_unref(again);
	configuration_unref(c);
}

/* What is retained, as it is printed and read again: neighbours are one range, others are not. */
static void test_retained(void **state)
{
	static const char *const in_use[] = { "192.168.1.243", "192.168.1.240", "192.168.1.241",
		                              "198.51.100.7",  "192.168.1.245", "192.168.1.244" };
	static const char *const not_in_use[] = { "192.168.1.239", "192.168.1.242", "192.168.1.246",
		                                  "198.51.100.6", "198.51.100.8" };
	struct configuration *c = parse_ok(reference, NULL), *again;
	struct config_retention items[ARRAY_LEN(in_use)];
	struct config_problems errors = { 0 };
	cleanup(buf_fini) struct buf text = BUF_INIT;
	struct addr a;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(in_use); i++) {
		addr_parse(in_use[i], &items[i].addr);
		items[i].pool = configuration_pool_of(c, &items[i].addr);
	}
	configuration_print_retained(items, ARRAY_LEN(items), &text);
	assert_int_equal(configuration_parse_published(NULL, buf_str(&text), &again, &errors, NULL),
	                 0);
	for (size_t i = 0; i < ARRAY_LEN(in_use); i++) {
		addr_parse(in_use[i], &a);
		const struct config_pool *was = configuration_pool_of(c, &a);
		const struct config_pool *is = configuration_retained_of(again, &a);
		if (!is || strcmp(is->name, was->name) != 0 || is->protocols != was->protocols ||
		    is->uses != was->uses || is->holds_ending != was->holds_ending ||
		    is->n_advertisements != was->n_advertisements)
			fail_msg("%s is lost in %s", in_use[i], buf_str(&text));
	}
	for (size_t i = 0; i < ARRAY_LEN(not_in_use); i++) {
		addr_parse(not_in_use[i], &a);
		if (configuration_retained_of(again, &a))
			fail_msg("%s was not in use: %s", not_in_use[i], buf_str(&text));
	}
	configuration_unref(again);

	/* Anybody who may write ConfigMaps may have written it. */
	static const struct {
		const char *range;
		int r;
	} others[] = { { "10.0.1.0/32", 0 }, { "10.0.0.9/32", -EINVAL } };
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		cleanup_free char *twice = xasprintf(
			"- {name: a, protocol: [layer2], use: [load-balancer], addresses: [10.0.0.0/24]}\n"
			"- {name: b, protocol: [bgp], use: [load-balancer], addresses: [%s]}\n",
			others[i].range);
		int r = configuration_parse_published(NULL, twice, &again, &errors, NULL);
		if (r != others[i].r)
			fail_msg("%s: %d %s", others[i].range, r,
			         errors.n ? errors.items[0].message : "");
		if (r == 0)
			configuration_unref(again);
	}
	config_problems_fini(&errors);
	configuration_unref(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reference),
		cmocka_unit_test(test_empty_documents),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_all_errors),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_pools_that_are_silent),
		cmocka_unit_test(test_strings_of_users),
		cmocka_unit_test(test_many_interfaces),
		cmocka_unit_test(test_timing),
		cmocka_unit_test(test_rebalance),
		cmocka_unit_test(test_journal),
		cmocka_unit_test(test_allowed_external_ips),
		cmocka_unit_test(test_all_errors_at_once_by_line),
		cmocka_unit_test(test_problems_are_bounded),
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_pool_of),
		cmocka_unit_test(test_retained),
		cmocka_unit_test(test_retained_settings),
		cmocka_unit_test(test_retained_has_each_key),
		cmocka_unit_test(test_peers_of_one_node),
		cmocka_unit_test(test_router_ids),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_retained_comes_back),
		cmocka_unit_test(test_bounds_of_the_tree),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
