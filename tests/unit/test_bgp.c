/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* The pure parts of the room bgp: codec, policy, what is wanted, what is read. */

#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#include "bgp/bfd.h"
#include "bgp/running.h"
#include "bgp/md5.h"
#include "bgp/session.h"
#include "bgp/vty.h"
#include "bgp/want.h"
#include "fairlead/mem.h"

static struct addr addr(const char *s)
{
	struct addr a;

	assert_int_equal(addr_parse(s, &a), 0);
	return a;
}

/* ---- codec ---- */

static void commands_are_checked(void **state)
{
	(void)state;
	char longest[VTY_COMMAND_MAX + 2];
	struct err e = ERR_INIT;
	struct buf out = BUF_INIT;
	static const char *const bad[] = {
		"", "a\nb", "a\rb", "a\tb", "a\x7f", "\xc3\xa4", "show x | include y"
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(vty_frame(bad[i], &out, &e), -22);
	assert_int_equal(out.size, 0);
	memset(longest, 'x', sizeof(longest));
	longest[VTY_COMMAND_MAX] = 0;
	assert_int_equal(vty_frame(longest, &out, &e), 0);
	assert_int_equal(out.size, VTY_COMMAND_MAX + 1);
	longest[VTY_COMMAND_MAX] = 'x';
	longest[VTY_COMMAND_MAX + 1] = 0;
	assert_int_equal(vty_check(longest, &e), -22);
	assert_non_null(strstr(e.msg, "3500"));
	buf_fini(&out);
}

static void replies_come_in_any_pieces(void **state)
{
	(void)state;
	static const char stream[] = "\0\0\0\0"
				     "% no\n\0\0\0\x02"
				     "text with 0\0\0\0\0"
				     "\0\0\0\x0d";
	static const struct {
		const char *text;
		uint8_t status;
	} want[] = { { "", 0 }, { "% no\n", 2 }, { "text with 0", 0 }, { "", 13 } };

	for (size_t piece = 1; piece < sizeof(stream); piece++) {
		struct vty_reader r;
		size_t at = 0, n = 0;
		vty_reader_init(&r);
		while (at < sizeof(stream) - 1) {
			size_t left = sizeof(stream) - 1 - at, used;
			uint8_t status;
			int got = vty_reader_feed(&r, stream + at, left < piece ? left : piece,
			                          &used, &status);
			assert_true(got >= 0 && used > 0);
			at += used;
			if (got) {
				assert_string_equal(buf_str(&r.text), want[n].text);
				assert_int_equal(status, want[n++].status);
			}
		}
		assert_int_equal(n, ARRAY_LEN(want));
		vty_reader_fini(&r);
	}
}

static void rubbish_and_floods_are_refused(void **state)
{
	(void)state;
	struct vty_reader r;
	size_t used;
	uint8_t status;

	vty_reader_init(&r);
	assert_true(vty_reader_feed(&r, "a\0b", 3, &used, &status) < 0);
	vty_reader_fini(&r);
	vty_reader_init(&r);
	r.max_bytes = 8;
	assert_int_equal(vty_reader_feed(&r, "12345678", 8, &used, &status), 0);
	assert_true(vty_reader_feed(&r, "9", 1, &used, &status) < 0);
	vty_reader_fini(&r);
	assert_string_equal(vty_status_name(13), "configuration failed");
	assert_string_equal(vty_status_name(200), "unknown");
}

static void passwords_are_not_shown(void **state)
{
	(void)state;
	struct buf b = BUF_INIT;

	vty_redact("neighbor 10.0.0.1 password s3cret", &b);
	assert_string_equal(buf_str(&b), "neighbor 10.0.0.1 password ***");
	buf_clear(&b);
	vty_redact("Unknown\x1b: neighbor X password a b\n", &b);
	assert_string_equal(buf_str(&b), "Unknown?: neighbor X password ***");
	buf_fini(&b);
}

/* ---- policy ---- */

static void communities_are_canonical(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "set community 65000:100 blackhole no-export",
		  "set community 65000:100 65535:666 65535:65281" },
		{ "set community no-export 65000:100", "set community 65000:100 65535:65281" },
		{ "set community 65536", "set community 1:0" },
		{ "set community none", "set community none" },
		{ "set community 1:2 additive", "set community 1:2 additive" },
		{ "set community no-export local-AS additive",
		  "set community 65535:65281 65535:65283 additive" },
		{ "set large-community 1:2:3 0:0:7", "set large-community 0:0:7 1:2:3" },
		{ "match tag 7", "match tag 7" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *out = bgp_canonical_line(cases[i].in);
		assert_string_equal(out, cases[i].out);
	}
	static const char *const bad[] = { "",          "1",           "1:",
		                           "1:2:3",     "65536:1",     "1:65536",
		                           "large:1:2", "large:1:2:x", "-1:2",
		                           "1:2 ",      "no-exports",  "large:4294967296:1:1",
		                           "1:2\n",     "4294967296",  "large:1:2:3:4" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct bgp_attr a = { 0 };
		if (strcmp(bad[i], "1") != 0) /* a plain number is one */
			assert_true(bgp_attr_add(&a, bad[i], NULL) < 0);
		bgp_attr_fini(&a);
	}
}

static void a_prefix_has_a_bounded_number_of_communities(void **state)
{
	(void)state;
	struct bgp_attr a = { 0 };
	struct bgp_lines lines = { 0 };
	char text[64];
	struct err e;

	for (unsigned int i = 0; i < BGP_COMMUNITIES_MAX; i++) {
		snprintf(text, sizeof(text), "65535:%u", 60000 + i);
		assert_int_equal(bgp_attr_add(&a, text, &e), 0);
		snprintf(text, sizeof(text), "large:4294967295:4294967295:%u", 4294967295u - i);
		assert_int_equal(bgp_attr_add(&a, text, &e), 0);
	}
	assert_int_equal(bgp_attr_add(&a, "1:1", &e), -7);
	bgp_attr_lines(&a, &lines);
	for (size_t i = 0; i < lines.n; i++)
		assert_int_equal(vty_check(lines.v[i], NULL), 0);
	bgp_lines_fini(&lines);
	bgp_attr_fini(&a);
}

/* ---- what is wanted ---- */

static struct config_peer peer(void)
{
	return (struct config_peer){ .address = addr("10.0.0.1"),
		                     .my_asn = 65001,
		                     .peer_asn = 65002,
		                     .port = 179,
		                     .hold_time_s = 90,
		                     .keepalive_time_s = 30 };
}

static void strings_of_users_cannot_hurt(void **state)
{
	(void)state;
	char long_text[4001], blank[] = "q r", newline[] = "a\nno router bgp 65001", tab[] = "a\tb",
			      umlaut[] = "p\xc3\xa4ss";
	char *bad[] = { long_text, blank, newline, tab, umlaut };
	struct err e;

	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[4000] = 0;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct bgp_want *w = bgp_want_new();
		struct config_peer p = peer();
		struct config_bfd_profile profile = { .name = bad[i] };
		struct config_advertisement ad = { .communities = &bad[i], .n_communities = 1 };
		struct addr a = addr("198.51.100.1");
		struct bgp_state s;
		p.password = bad[i];
		assert_int_equal(bgp_want_peer(w, &p, &e), -22);
		assert_non_null(strstr(e.msg, "peer 10.0.0.1: password"));
		assert_null(strstr(e.msg, bad[i]));
		p.password = NULL;
		p.bfd_profile = bad[i];
		assert_int_equal(bgp_want_peer(w, &p, &e), -22);
		assert_int_equal(bgp_want_bfd_profile(w, &profile, &e), -22);
		assert_int_equal(bgp_want_address(w, &a, true, &ad, 1, &e), -22);
		/* A name is only a description: it is made harmless. */
		p.bfd_profile = NULL;
		p.name = bad[i];
		assert_int_equal(bgp_want_peer(w, &p, &e), 0);
		bgp_want_state(w, &s);
		for (size_t k = 0; k < s.peers[0].lines.n; k++) {
			assert_int_equal(vty_check(s.peers[0].lines.v[k], NULL), 0);
			assert_true(strlen(s.peers[0].lines.v[k]) < 100);
		}
		bgp_state_fini(&s);
		bgp_want_free(w);
	}
}

static void peers_become_lines(void **state)
{
	(void)state;
	char name[] = "tor a", secret[] = "s3cret", fast[] = "fast";
	struct bgp_want *w = bgp_want_new();
	struct config_peer p = peer();
	struct bgp_state s;
	struct err e;
	static const char *const lines[] = { "advertisement-interval 0",
		                             "bfd profile FAIRLEAD-fast",
		                             "description FAIRLEAD tor_a",
		                             "ebgp-multihop 255",
		                             "password s3cret",
		                             "port 1179",
		                             "timers 3 9",
		                             "timers connect 5",
		                             "update-source 10.0.0.9" };

	p.name = name;
	p.password = secret;
	p.bfd_profile = fast;
	p.port = 1179;
	p.hold_time_s = 9;
	p.keepalive_time_s = 8; /* bgpd cuts it to a third */
	p.ebgp_multihop = true;
	p.source_address = addr("10.0.0.9");
	p.router_id = addr("192.0.2.1");
	assert_int_equal(bgp_want_peer(w, &p, &e), 0);
	assert_int_equal(bgp_want_peer(w, &p, &e), -22); /* the same address again */
	p = peer();
	p.address = addr("2001:db8::1");
	p.my_asn = 65010;
	assert_int_equal(bgp_want_peer(w, &p, &e), 0);
	p.source_address = addr("10.0.0.9");
	assert_int_equal(bgp_want_peer(w, &p, &e), -22); /* two families */
	bgp_want_state(w, &s);
	assert_int_equal(s.asn, 65001);
	assert_true(bgp_lines_has(&s.instance, "bgp router-id 192.0.2.1"));
	assert_int_equal(s.peers[0].lines.n, ARRAY_LEN(lines));
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		assert_string_equal(s.peers[0].lines.v[i], lines[i]);
	assert_true(bgp_lines_has(&s.peers[1].lines, "local-as 65010 no-prepend replace-as"));
	/* An IPv6 session carries no IPv4. */
	assert_true(s.peers[1].af[BGP_AF6].active && !s.peers[1].af[BGP_AF4].active);
	for (int af = 0; af < BGP_N_AF; af++) {
		assert_string_equal(s.peers[0].af[af].in, BGP_MAP_IN);
		assert_non_null(bgp_state_find_map(&s, s.peers[0].af[af].out));
	}
	assert_false(bgp_state_find_map(&s, BGP_MAP_IN)->permit);
	bgp_state_fini(&s);
	bgp_want_free(w);
}

static const struct bgp_lines *class_of(const struct bgp_state *s, const char *prefix)
{
	char name[BGP_CLASS_NAME_SIZE];
	struct prefix p;

	assert_int_equal(prefix_parse(prefix, false, &p), 0);
	const struct bgp_network *n = bgp_state_find_network(s, &p);
	return n ? &bgp_state_find_map(s, bgp_class_name(n->class, name))->lines : NULL;
}

/* What bgpd would obey itself is added on the way out only. */
static void no_export_is_for_the_router(void **state)
{
	(void)state;
	char *communities[] = { (char[]){ "65000:1" }, (char[]){ "65535:65281" },
		                (char[]){ "65535:65282" } };
	struct config_peer p = peer();
	struct bgp_want *w = bgp_want_new();
	struct bgp_state s;

	assert_int_equal(bgp_want_peer(w, &p, NULL), 0);
	for (size_t n = 1; n <= 3; n++) {
		char text[] = "198.51.100.0";
		struct config_advertisement ad = { .aggregation_len = 32,
			                           .communities = communities,
			                           .n_communities = n };
		text[11] = (char)('0' + n);
		struct addr a = addr(text);
		assert_int_equal(bgp_want_address(w, &a, true, &ad, 1, NULL), 0);
	}
	bgp_want_state(w, &s);
	static const char *const classes[] = { "set tag 74710179", "set tag 74710180",
		                               "set tag 74710182" };
	for (size_t i = 0; i < 3; i++) {
		cleanup_free char *prefix = xasprintf("198.51.100.%zu/32", i + 1);
		const struct bgp_lines *lines = class_of(&s, prefix);
		assert_int_equal(lines->n, 2);
		assert_true(bgp_lines_has(lines, "set community 65000:1"));
		assert_true(bgp_lines_has(lines, classes[i]));
	}
	static const char *const out[][2] = {
		{ "match tag 74710179", NULL },
		{ "match tag 74710180", "set community 65535:65281 additive" },
		{ "match tag 74710182", "set community 65535:65281 65535:65282 additive" },
	};
	for (size_t i = 0; i < 3; i++) {
		const struct bgp_map *m = bgp_state_find_entry(&s, s.peers[0].af[BGP_AF4].out,
		                                               10 * (uint32_t)(i + 1));
		assert_non_null(m);
		assert_true(m->permit && bgp_lines_has(&m->lines, out[i][0]));
		assert_int_equal(m->lines.n, out[i][1] ? 2 : 1);
		assert_true(!out[i][1] || bgp_lines_has(&m->lines, out[i][1]));
	}
	bgp_state_fini(&s);
	bgp_want_free(w);
}

static void addresses_become_prefixes(void **state)
{
	(void)state;
	char *one[] = { (char[]){ "65000:1" } }, *two[] = { (char[]){ "large:1:2:3" } };
	struct config_advertisement ads[] = {
		{ .aggregation_len = 32,
		  .aggregation_len_v6 = 128,
		  .has_localpref = true,
		  .localpref = 100,
		  .communities = one,
		  .n_communities = 1 },
		{ .aggregation_len = 24,
		  .aggregation_len_v6 = 112,
		  .has_localpref = true,
		  .localpref = 200,
		  .communities = two,
		  .n_communities = 1 },
	};
	static const struct {
		const char *prefix, *community, *large, *localpref;
	} want[] = {
		{ "198.51.100.1/32", "set community 65000:1", NULL, "set local-preference 100" },
		{ "198.51.100.0/24", NULL, "set large-community 1:2:3",
		  "set local-preference 200" },
		/* policy Local: never the aggregate; both advertisements fall together */
		{ "203.0.113.7/32", "set community 65000:1", "set large-community 1:2:3",
		  "set local-preference 200" },
		{ "2001:db8::/112", NULL, "set large-community 1:2:3", "set local-preference 200" },
	};
	struct bgp_want *w = bgp_want_new();
	struct config_peer p = peer();
	struct bgp_state s;
	size_t first, end;
	struct addr a1 = addr("198.51.100.1"), a2 = addr("198.51.100.2"),
		    local = addr("203.0.113.7"), v6 = addr("2001:db8::1");

	assert_int_equal(bgp_want_peer(w, &p, NULL), 0);
	assert_int_equal(bgp_want_address(w, &a1, false, ads, 2, NULL), 0);
	assert_int_equal(bgp_want_address(w, &a2, false, ads, 2, NULL), 0);
	assert_int_equal(bgp_want_address(w, &local, true, ads, 2, NULL), 0);
	assert_int_equal(bgp_want_address(w, &v6, false, ads, 2, NULL), 0);
	assert_int_equal(bgp_want_n_prefixes(w), 6);
	bgp_want_state(w, &s);
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		const struct bgp_lines *l = class_of(&s, want[i].prefix);
		assert_non_null(l);
		if (want[i].community)
			assert_true(bgp_lines_has(l, want[i].community));
		if (want[i].large)
			assert_true(bgp_lines_has(l, want[i].large));
		assert_true(bgp_lines_has(l, want[i].localpref));
		assert_true(bgp_lines_has(l, "set tag 74710179"));
		assert_int_equal(l->n, 2 + (want[i].community != NULL) + (want[i].large != NULL));
	}
	assert_null(class_of(&s, "203.0.113.0/24"));
	bgp_want_find(w, &a1, &first, &end);
	assert_int_equal(end - first, 2);
	bgp_want_find(w, &p.address, &first, &end);
	assert_int_equal(end - first, 0);
	bgp_state_fini(&s);
	bgp_want_free(w);
}

/* ---- what is read ---- */

static const char foreign[] =
	"frr version 8.4.4\n"
	"frr defaults datacenter\n"
	"!\n"
	"bgp route-map delay-timer 1\n"
	"router bgp 65001\n"
	" bgp router-id 1.2.3.4\n"
	" no bgp default ipv4-unicast\n"
	" bgp graceful-restart preserve-fw-state\n"
	" no bgp network import-check\n"
	" neighbor ISP peer-group\n"
	" neighbor ISP remote-as 65003\n"
	" neighbor 10.9.0.78 peer-group ISP\n"
	" neighbor eth1 interface v6only remote-as external\n"
	" neighbor 10.9.0.2 remote-as 65002\n"
	" neighbor 10.9.0.2 description FAIRLEAD peer tor a\n"
	" neighbor 10.9.0.2 bfd\n"
	" neighbor 10.9.0.2 bfd profile fast\n"
	" neighbor 10.9.0.2 password s3cret\n"
	" neighbor 10.9.0.2 port 1790\n"
	" neighbor 10.9.0.2 ebgp-multihop 255\n"
	" neighbor 10.9.0.2 update-source 10.9.0.1\n"
	" neighbor 10.9.0.2 maximum-prefix-out 10\n"
	" neighbor 10.9.0.2 timers 3 9\n"
	" neighbor 10.9.0.77 remote-as 65077\n"
	" neighbor 10.9.0.77 description FAIRLEADER\n"
	" !\n"
	" address-family ipv4 unicast\n"
	"  network 198.51.100.1/32 route-map FAIRLEAD-A-0123456789abcdef\n"
	"  network 198.51.100.2/32 route-map FAIRLEAD-SOMETHING\n"
	"  network 198.51.100.9/32\n"
	"  redistribute connected\n"
	"  neighbor ISP activate\n"
	"  neighbor ISP route-map OUT out\n"
	"  neighbor 10.9.0.2 activate\n"
	"  neighbor 10.9.0.2 soft-reconfiguration inbound\n"
	"  neighbor 10.9.0.2 route-map FAIRLEAD-IN in\n"
	" exit-address-family\n"
	" !\n"
	" address-family ipv6 unicast\n"
	"  network 2001:db8::1/128 route-map FAIRLEAD-A-ffff\n"
	" exit-address-family\n"
	" !\n"
	" address-family l2vpn evpn\n"
	"  neighbor ISP activate\n"
	" exit-address-family\n"
	"exit\n"
	"!\n"
	"router bgp 65009 vrf red\n"
	" neighbor 10.5.5.5 remote-as 1\n"
	" neighbor 10.5.5.5 description FAIRLEAD not there\n"
	"exit\n"
	"!\n"
	"bgp community-list standard FAIRLEAD-INSTANCE seq 5 permit 65001:1\n"
	"bgp large-community-list standard FAIRLEAD-INSTANCE seq 5 permit 65001:0:0\n"
	"!\n"
	"route-map FAIRLEAD-IN deny 10\n"
	"exit\n"
	"!\n"
	"route-map FAIRLEAD-A-0123456789abcdef permit 10\n"
	" set community 65000:100 blackhole no-export\n"
	" set large-community 1:2:3 0:0:7\n"
	"exit\n"
	"!\n"
	"route-map FAIRLEAD-A-0123456789abcdef permit 20\n"
	"exit\n"
	"!\n"
	"route-map OUT permit 10\n"
	" match tag 7\n"
	"exit\n"
	"!\n";

static void a_running_configuration_is_read(void **state)
{
	(void)state;
	struct bgp_have h;
	struct prefix p;
	struct addr theirs = addr("10.9.0.77");

	bgp_running_parse(foreign, strlen(foreign), &h);
	assert_int_equal(h.ours.asn, 65001);
	assert_true(h.ours.own && h.foreign_lines && !h.import_check && !h.requires_policy);
	assert_int_equal(h.ours.n_networks, 3);
	assert_true(h.ours.networks[0].class == 0x0123456789abcdef);
	assert_true(h.ours.networks[1].class == 0); /* no name that we give */
	assert_true(h.ours.networks[2].class == 0);
	assert_int_equal(h.ours.n_maps, 3); /* one of them in two entries */
	assert_string_equal(h.ours.maps[0].name, h.ours.maps[1].name);
	assert_true(bgp_lines_has(&h.ours.maps[0].lines,
	                          "set community 65000:100 65535:666 65535:65281"));
	assert_int_equal(h.ours.n_peers, 1);
	const struct bgp_peer *peer0 = &h.ours.peers[0];
	assert_int_equal(peer0->remote_as, 65002);
	assert_true(bgp_lines_has(&peer0->lines, "bfd profile fast"));
	assert_false(bgp_lines_has(&peer0->lines, "bfd"));
	assert_false(bgp_lines_has(&peer0->lines, "maximum-prefix-out 10"));
	assert_true(peer0->af[BGP_AF4].active && !peer0->af[BGP_AF6].active);
	assert_string_equal(peer0->af[BGP_AF4].in, BGP_MAP_IN);
	assert_null(peer0->af[BGP_AF4].out);
	assert_int_equal(h.n_foreign, 4); /* the group, its member, the interface, FAIRLEADER */
	assert_non_null(bgp_have_foreign_peer(&h, &theirs));
	assert_int_equal(prefix_parse("198.51.100.9/32", false, &p), 0);
	assert_true(bgp_have_foreign_network(&h, &p));
	assert_string_equal(bgp_have_unfiltered(&h) ? bgp_have_unfiltered(&h)->name : "-", "-");
	bgp_have_fini(&h);
}

/*
 * Lines that name our neighbours, which others may write as well: as with neighbours themselves,
 * there is an end to them.
 */
static void too_many_claims_are_too_much(void **state)
{
	(void)state;
	for (unsigned int more = 0; more <= 1; more++) {
		cleanup(buf_fini) struct buf text = BUF_INIT;
		struct bgp_have h;

		for (unsigned int i = 0; i < BGP_FOREIGN_PEERS_MAX + more; i++)
			buf_printf(
				&text,
				"bgp large-community-list standard FAIRLEAD-PEER-10.0.%u.%u seq 5 "
				"permit 65001:0:0\n",
				i / 256, i % 256);
		bgp_running_parse(buf_str(&text), text.size, &h);
		assert_int_equal(h.ours.n_claims, BGP_FOREIGN_PEERS_MAX);
		assert_int_equal(h.truncated, more);
		bgp_have_fini(&h);
	}
}

static void sessions_are_read(void **state)
{
	(void)state;
	struct bgp_session s[2] = { { .address = addr("10.9.0.2") },
		                    { .address = addr("fd09::2") } };
	static const char summary[] =
		"{\"ipv4Unicast\":{\"peers\":{\"10.9.0.2\":{\"state\":\"Established\",\"pfxSnt\":4,"
		"\"peerUptimeMsec\":6000,\"connectionsDropped\":1}}},\"ipv6Unicast\":{\"peers\":"
		"{\"10.9.0.2\":{\"state\":\"Established\",\"pfxSnt\":2,\"peerUptimeMsec\":6000},"
		"\"fd09::2\":{\"state\":\"Connect\",\"pfxSnt\":\"many\",\"peerUptimeMsec\":-5}}}}\n";
	static const struct {
		const char *json, *error, *hint, *contact;
	} neighbors[] = {
		{ "\"lastNotificationReason\":\"Cease/Other\",\"lastResetDueTo\":\"BGP Notification send\"",
		  "bgpd said to the router: Cease/Other", "" },
		{ "\"lastNotificationReason\":\"OPEN/Bad AS\",\"lastResetDueTo\":\"BGP Notification received\"",
		  "the router said: OPEN/Bad AS", "" },
		{ "\"localAs\":65001,\"lastNotificationReason\":\"OPEN Message Error/Bad Peer AS\","
		  "\"lastResetDueTo\":\"BGP Notification received\"",
		  "the router said: OPEN Message Error/Bad Peer AS; it expects another AS number than our 65001",
		  "" },
		{ "\"remoteAs\":65003,\"lastNotificationReason\":\"OPEN Message Error/Bad Peer AS\","
		  "\"lastResetDueTo\":\"BGP Notification send\"",
		  "bgpd said to the router: OPEN Message Error/Bad Peer AS; the router's AS number is not the "
		  "65003 of the configuration",
		  "" },
		{ "\"lastResetDueTo\":\"Waiting for peer OPEN\\u0001\"", "Waiting for peer OPEN?",
		  "" },
		{ "\"lastResetDueTo\":\"No AFI/SAFI activated for peer\"",
		  "the router does not answer", "" },
		{ "\"authenticationEnabled\":1", "the router does not answer; has it the password?",
		  "has it the password?" },
		{ "\"authenticationEnabled\":1", "it refuses; has it the password?",
		  "has it the password?", "it refuses" },
		{ "\"lastResetDueTo\":\"Peer closed the session\"",
		  "Peer closed the session; it refuses", "", "it refuses" },
		{ "\"adminShutDown\":true", "shut down by hand in bgpd", "has it the password?",
		  "it refuses" },
	};

	assert_int_equal(bgp_session_read_summary(summary, strlen(summary), s, 2), 0);
	assert_int_equal(s[0].state, BGP_SESSION_ESTABLISHED);
	assert_int_equal(s[0].sent[BGP_AF4] + s[0].sent[BGP_AF6], 6);
	assert_int_equal(s[0].uptime_ms, 6000);
	assert_int_equal(s[1].state, BGP_SESSION_CONNECT);
	assert_int_equal(s[1].sent[BGP_AF6], 0);
	for (size_t i = 0; i < ARRAY_LEN(neighbors); i++) {
		cleanup_free char *json =
			xasprintf("{\"fd09::2\":{%s,\"peerBfdInfo\":{\"status\":\"Down\"}}}",
		                  neighbors[i].json);
		assert_int_equal(
			bgp_session_read_neighbor(json, strlen(json),
		                                  neighbors[i].contact ? neighbors[i].contact : "",
		                                  neighbors[i].hint, &s[1]),
			0);
		assert_string_equal(s[1].error, neighbors[i].error);
		assert_string_equal(s[1].bfd, "Down");
	}
	assert_int_equal(s[1].state, BGP_SESSION_SHUTDOWN);
	/* One that has sent more prefixes than an administrator allows it. */
	static const char full[] =
		"{\"ipv6Unicast\":{\"peers\":{\"fd09::2\":{\"state\":\"Idle (PfxCt)\"}}}}";
	assert_int_equal(bgp_session_read_summary(full, strlen(full), s, 2), 0);
	assert_int_equal(s[1].state, BGP_SESSION_IDLE);
	assert_int_equal(s[0].state, BGP_SESSION_UNKNOWN);
	assert_true(bgp_session_read_summary("[]", 2, s, 2) < 0);
	assert_true(bgp_session_read_neighbor("{", 1, "", "", &s[0]) < 0);
}

static void attempts_have_words(void **state)
{
	(void)state;
	const struct probe_way near = { .to = addr("10.9.0.2"), .one_hop = true };
	const struct probe_way far = { .to = addr("fd09::2"),
		                       .from = addr("fd09::1"),
		                       .port = 1790 };
	static const struct {
		int error;
		const char *of_near, *of_far;
	} rows[] = {
		{ 0, "", "" },
		{ ECONNREFUSED, "refuses connections to TCP port 179", "TCP port 1790" },
		{ ETIMEDOUT, "does not answer on TCP port 179", "TCP port 1790" },
		{ ENETUNREACH, "no route to the router", "no route to the router" },
		{ EHOSTUNREACH, "needs ebgp-multihop", "a router on the way says so" },
		{ EADDRNOTAVAIL, "source address", "does not have the source address fd09::1" },
		{ EPERM, "port 179 of the router fails: Operation not permitted", "1790" },
	};
	char words[PROBE_WORDS_SIZE];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		probe_words(&near, rows[i].error, words);
		assert_non_null(strstr(words, rows[i].of_near));
		assert_int_equal(!*words, !rows[i].error);
		probe_words(&far, rows[i].error, words);
		assert_non_null(strstr(words, rows[i].of_far));
		assert_null(strstr(words, "ebgp-multihop"));
	}
}

/* What is said of a session that is up, as bgpd's JSON has it. */
static void established_sessions_have_a_next_hop_and_a_hold_time(void **state)
{
	static const struct {
		const char *next_hop;
		bool lacks;
	} next_hops[] = {
		{ "::ffff:10.9.0.1", true }, { "::", true },           { "fe80::1", true },
		{ "rubbish", true },         { "2001:db8::1", false }, { "fd09::1", false },
	};
	static const struct {
		int configured_ms, session_ms;
		bool waits;
	} holds[] = {
		{ 9000, 9000, false },
		{ 90000, 9000, true }, /* it was 9 s when the session began */
		{ 3000, 9000, true },
		{ 9000, 9000, false },
	};
	struct bgp_session s = { .address = addr("10.9.0.2"), .state = BGP_SESSION_ESTABLISHED };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(next_hops); i++) {
		cleanup_free char *json = xasprintf("{\"10.9.0.2\":{\"nexthopGlobal\":\"%s\"}}",
		                                    next_hops[i].next_hop);
		assert_int_equal(bgp_session_read_neighbor(json, strlen(json), "", "", &s), 0);
		if (s.lacks_next_hop6 != next_hops[i].lacks)
			fail_msg("%s", next_hops[i].next_hop);
	}
	for (size_t i = 0; i < ARRAY_LEN(holds); i++) {
		cleanup_free char *json = xasprintf(
			"{\"10.9.0.2\":{\"bgpTimerConfiguredHoldTimeMsecs\":%d,\"bgpTimerHoldTimeMsecs\":%d}}",
			holds[i].configured_ms, holds[i].session_ms);
		assert_int_equal(bgp_session_read_neighbor(json, strlen(json), "", "", &s), 0);
		if (bgp_session_hold_waits(&s) != holds[i].waits)
			fail_msg("row %zu", i);
	}
	/* The router's is shorter than ours: nothing waits. */
	s = (struct bgp_session){ .address = addr("10.9.0.2"), .state = BGP_SESSION_ESTABLISHED };
	static const char shorter[] = "{\"10.9.0.2\":{\"bgpTimerConfiguredHoldTimeMsecs\":90000,"
				      "\"bgpTimerHoldTimeMsecs\":9000}}";
	assert_int_equal(bgp_session_read_neighbor(shorter, strlen(shorter), "", "", &s), 0);
	assert_false(bgp_session_hold_waits(&s));
	/* A session that began since the last look has the time that is configured now. */
	static const struct {
		int uptime_ms, ordinal;
		bool another;
	} looks[] = {
		{ 2000, 1, false }, { 7000, 1, false },
		{ 4000, 1, true }, /* the count began anew */
		{ 9000, 2, true },  { 14000, 2, false },
	};
	s.seen_ordinal = 1;
	for (size_t i = 0; i < ARRAY_LEN(looks); i++) {
		cleanup_free char *summary = xasprintf(
			"{\"ipv4Unicast\":{\"peers\":{\"10.9.0.2\":{\"state\":\"Established\","
			"\"peerUptimeMsec\":%d,\"connectionsEstablished\":%d}}}}",
			looks[i].uptime_ms, looks[i].ordinal);
		s.began_hold_ms = 9000;
		assert_int_equal(bgp_session_read_summary(summary, strlen(summary), &s, 1), 0);
		assert_int_equal(s.state, BGP_SESSION_ESTABLISHED);
		assert_int_equal(bgp_session_read_neighbor(shorter, strlen(shorter), "", "", &s),
		                 0);
		if (bgp_session_hold_waits(&s) == looks[i].another)
			fail_msg("row %zu", i);
	}
}

static void a_router_id_is_made_of_the_nodes_name(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		cleanup_free char *name = xasprintf("node-%d", i);
		struct bgp_want *w[2];
		for (int k = 0; k < 2; k++) {
			struct config_peer p = peer();
			w[k] = bgp_want_new();
			assert_int_equal(bgp_want_peer(w[k], &p, &e), 0);
			bgp_want_router_id_of(w[k], name);
		}
		assert_true(addr_eq(&w[0]->router_id, &w[1]->router_id));
		uint8_t first = w[0]->router_id.b[0];
		assert_true(first != 0 && first != 127 && first < 224);
		bgp_want_router_id_of(w[0], "another");
		assert_true(
			addr_eq(&w[0]->router_id, &w[1]->router_id)); /* one that is there stays */
		bgp_want_free(w[0]);
		bgp_want_free(w[1]);
	}
}

static void dropped_signatures_are_a_hint(void **state)
{
	(void)state;
	static const char netstat[] =
		"TcpExt: SyncookiesSent TCPMD5NotFound TCPMD5Unexpected TCPMD5Failure Last\n"
		"TcpExt: 7 %d %d %d 9\n"
		"IpExt: InNoRoutes\nIpExt: 5\n";
	static const struct {
		int count[3];
		bool password;
		const char *words;
	} rows[] = {
		{ { 5, 5, 5 }, true, "has the router the same password?" },
		{ { 5, 5, 5 }, false, "" },
		{ { 6, 6, 6 }, true, "the router has another password" },
		{ { 6, 5, 5 }, true, "the router has no password" },
		{ { 6, 5, 6 }, false, "" },
		{ { 5, 6, 5 }, false, "the router has a password, the configuration none" },
		{ { 5, 6, 5 }, true, "has the router the same password?" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct md5_watch w = { 0 };
		uint64_t count[MD5_N_DROPS];
		const int *c = rows[i].count;
		cleanup_free char *text = xasprintf(netstat, c[0], c[1], c[2]);
		/* What was counted before is nobody's that is here now. */
		md5_take(&w, (const uint64_t[]){ 5, 5, 5 }, 1000);
		md5_parse(text, count);
		md5_take(&w, count, 2000);
		assert_non_null(strstr(md5_words(&w, rows[i].password, 3000), rows[i].words));
		assert_int_equal(!*md5_words(&w, rows[i].password, 3000), !*rows[i].words);
		/* Nor what has not been seen for long. */
		md5_take(&w, count, 3000 + MD5_LATELY_MS);
		assert_string_equal(md5_words(&w, rows[i].password, 3000 + MD5_LATELY_MS),
		                    rows[i].password ? rows[0].words : "");
	}
	static const char *const rubbish[] = { "", "TcpExt:", "TcpExt: TCPMD5Failure",
		                               "TcpExt:\nTcpExt:",
		                               "TcpExt: TCPMD5Failure\nTcpExt:" };
	for (size_t i = 0; i < ARRAY_LEN(rubbish); i++) {
		uint64_t count[MD5_N_DROPS] = { 1, 1, 1 };
		md5_parse(rubbish[i], count);
		assert_int_equal(count[0] + count[1] + count[2], 0);
	}
}

static void bfd_profiles_are_compared(void **state)
{
	(void)state;
	static const char running[] =
		"bfd\n profile FAIRLEAD-fast\n  transmit-interval 50\n"
		"  passive-mode\n exit\n !\n profile theirs\n"
		"  receive-interval 60\n exit\n !\n profile FAIRLEAD-old\n exit\n";
	static const char *const expected[] = { "bfd",
		                                "profile FAIRLEAD-fast",
		                                "detect-multiplier 5",
		                                "transmit-interval 300",
		                                "no passive-mode",
		                                "profile FAIRLEAD-new",
		                                "no profile FAIRLEAD-old" };
	char fast[] = "fast", new[] = "new";
	struct config_bfd_profile p1 = { .name = fast, .detect_multiplier = 5 },
				  p2 = { .name = new };
	struct bgp_want *w = bgp_want_new();
	struct bgp_bfd_state have, want;
	struct buf b = BUF_INIT;
	size_t i = 0;

	assert_int_equal(bgp_want_bfd_profile(w, &p1, NULL), 0);
	assert_int_equal(bgp_want_bfd_profile(w, &p1, NULL), -22);
	assert_int_equal(bgp_want_bfd_profile(w, &p2, NULL), 0);
	want = (struct bgp_bfd_state){ .v = w->profiles, .n = w->n_profiles };
	bgp_bfd_parse(running, strlen(running), &have);
	assert_int_equal(have.n, 2);
	bgp_bfd_diff(&want, &have, &b);
	for (size_t at = 0; at < b.size; at += strlen(b.data + at) + 1)
		assert_string_equal(b.data + at, expected[i++]);
	assert_int_equal(i, ARRAY_LEN(expected));
	buf_clear(&b);
	bgp_bfd_diff(&have, &have, &b);
	assert_int_equal(b.size, 0);
	buf_fini(&b);
	bgp_bfd_state_fini(&have);
	bgp_want_free(w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_are_checked),
		cmocka_unit_test(replies_come_in_any_pieces),
		cmocka_unit_test(rubbish_and_floods_are_refused),
		cmocka_unit_test(passwords_are_not_shown),
		cmocka_unit_test(communities_are_canonical),
		cmocka_unit_test(a_prefix_has_a_bounded_number_of_communities),
		cmocka_unit_test(strings_of_users_cannot_hurt),
		cmocka_unit_test(peers_become_lines),
		cmocka_unit_test(no_export_is_for_the_router),
		cmocka_unit_test(addresses_become_prefixes),
		cmocka_unit_test(a_running_configuration_is_read),
		cmocka_unit_test(too_many_claims_are_too_much),
		cmocka_unit_test(sessions_are_read),
		cmocka_unit_test(attempts_have_words),
		cmocka_unit_test(dropped_signatures_are_a_hint),
		cmocka_unit_test(established_sessions_have_a_next_hop_and_a_hold_time),
		cmocka_unit_test(a_router_id_is_made_of_the_nodes_name),
		cmocka_unit_test(bfd_profiles_are_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
