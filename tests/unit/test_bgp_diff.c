/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * From any state of bgpd to any wanted one, by commands, on the fake bgpd; and what single changes
 * cost.
 */

#include "unit.h"

#include <stdlib.h>

#include "bgp/diff.h"
#include "bgp/running.h"
#include "bgp/vty.h"
#include "bgp/want.h"
#include "bgpd_fake.h"
#include "fairlead/mem.h"

#define N_SEEDS 1000

static uint64_t rng_state;

static unsigned int rnd(unsigned int bound)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return (unsigned int)(rng_state % bound);
}

static struct addr addr(const char *s)
{
	struct addr a;

	assert_int_equal(addr_parse(s, &a), 0);
	return a;
}

static char no_export[] = "65535:65281", plain[] = "65000:100", large[] = "large:1:2:3";
static char *sets[][3] = { { plain }, { no_export, plain }, { large, plain, no_export } };

static char peer1[] = "10.0.0.1", peer2[] = "10.0.0.2", peer3[] = "2001:db8:ffff::1";
static char *names[][2] = { { peer1, peer2 }, { peer2, peer3 }, { peer3, peer1 } };

static struct config_advertisement random_advertisement(void)
{
	unsigned int n = rnd(4), n_peers = rnd(3) ? 0 : 1 + rnd(2);

	return (struct config_advertisement){
		.aggregation_len = rnd(3) ? 32 : 24,
		.aggregation_len_v6 = rnd(3) ? 128 : 112,
		.has_localpref = rnd(2) == 0,
		.localpref = 100 * rnd(3),
		.communities = n ? sets[n - 1] : NULL,
		.n_communities = n,
		.peers = names[rnd(3)],
		.n_peers = n_peers,
	};
}

static struct bgp_want *random_want(void)
{
	static const char *const peers[] = { "10.0.0.1", "10.0.0.2", "2001:db8:ffff::1",
		                             "10.9.9.9" };
	static char secret[] = "s3cret", other[] = "other", fast[] = "fast";
	struct bgp_want *w = bgp_want_new();
	uint32_t asn = rnd(8) ? 65001 : 65009;
	char text[64];

	for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
		struct config_peer p = {
			.name = (char *)peers[i],
			.address = addr(peers[i]),
			.my_asn = rnd(6) ? asn : 65010,
			.peer_asn = 65100 + rnd(2),
			.port = rnd(3) ? 179 : 1179,
			.hold_time_s = rnd(2) ? 90 : 9,
			.password = rnd(3) ? NULL : (rnd(2) ? secret : other),
			.bfd_profile = rnd(3) ? NULL : fast,
			.ebgp_multihop = rnd(2) == 0,
			.router_id = rnd(2) ? addr("192.0.2.1") : (struct addr){ 0 },
		};
		if (rnd(4) == 0)
			assert_int_equal(bgp_want_waiting_peer(w, &p, "why", NULL), 0);
		else if (rnd(3))
			assert_int_equal(bgp_want_peer(w, &p, NULL), 0);
	}
	for (unsigned int i = rnd(30); i > 0; i--) {
		struct config_advertisement ads[2] = { random_advertisement(),
			                               random_advertisement() };
		if (rnd(2))
			snprintf(text, sizeof(text), "198.51.%u.%u", 100 + rnd(2), rnd(10));
		else
			snprintf(text, sizeof(text), "2001:db8::%u:%u", rnd(2), rnd(10));
		struct addr a = addr(text);
		assert_int_equal(bgp_want_address(w, &a, rnd(2) == 0, ads, rnd(3), NULL), 0);
	}
	return w;
}

struct outcome {
	struct bgp_verdict verdict;
	size_t commands;
};

/*
 * Of unknown password none is made, and one that is there keeps its lines, unless its instance
 * goes.
 */
static void expect_kept(const struct bgp_state *want, const struct bgp_state *before,
                        const struct bgp_state *after)
{
	for (size_t i = 0; i < want->n_peers; i++) {
		const struct addr *a = &want->peers[i].address;
		const struct bgp_peer *old = bgp_state_find_peer(before, a);
		const struct bgp_peer *now = bgp_state_find_peer(after, a);
		if (!want->peers[i].waits)
			continue;
		if (old && !bgp_peer_is_described(old))
			old = NULL; /* half made: it goes */
		assert_int_equal(now != NULL, old != NULL && before->asn == want->asn);
		if (now) {
			assert_int_equal(now->remote_as, old->remote_as);
			assert_true(bgp_lines_eq(&now->lines, &old->lines));
		}
	}
}

/* The number behind "set tag" or "match tag" among the lines; NULL: none. */
static const char *tag_of(const struct bgp_lines *lines, const char *what)
{
	for (size_t i = 0; i < lines->n; i++)
		if (!strncmp(lines->v[i], what, strlen(what)))
			return lines->v[i] + strlen(what);
	return NULL;
}

/* Does the neighbour get the prefix? */
static bool gets(const struct bgp_state *s, const struct addr *peer, const struct prefix *prefix)
{
	char name[BGP_CLASS_NAME_SIZE];
	const struct bgp_peer *p = bgp_state_find_peer(s, peer);
	const struct bgp_network *n = NULL;
	int af = prefix->addr.family == 6 ? BGP_AF6 : BGP_AF4;

	for (size_t i = 0; i < s->n_networks && !n; i++)
		if (prefix_cmp(&s->networks[i].prefix, prefix) == 0)
			n = &s->networks[i];
	if (!p || !n || !p->af[af].active || !p->af[af].out)
		return false;
	const struct bgp_map *class = bgp_state_find_map(s, bgp_class_name(n->class, name));
	const char *tag = class ? tag_of(&class->lines, "set tag ") : NULL;
	for (size_t i = 0; tag && i < s->n_maps; i++) {
		const char *match = tag_of(&s->maps[i].lines, "match tag ");
		if (!strcmp(s->maps[i].name, p->af[af].out) && match && !strcmp(match, tag))
			return true;
	}
	return false;
}

/* What a neighbour gets before and after it gets all the while, and nothing else. */
static void expect_steady(const struct bgp_state *before, const struct bgp_state *after,
                          const struct bgp_state *now)
{
	for (size_t i = 0; i < after->n_peers; i++)
		for (size_t k = 0; k < now->n_networks; k++) {
			const struct addr *peer = &after->peers[i].address;
			const struct prefix *p = &now->networks[k].prefix;
			const struct bgp_peer *old = bgp_state_find_peer(before, peer);
			bool was = gets(before, peer, p), will = gets(after, peer, p);
			if (!old || old->remote_as != after->peers[i].remote_as ||
			    before->asn != after->asn)
				continue;
			if (was == will)
				assert_int_equal(gets(now, peer, p), was);
		}
}

/* One turn of the engine: read, judge, differ, apply the first @limit commands. */
static struct outcome turn(struct bgpd_fake *f, struct bgp_want *w, bool collect, size_t limit)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;
	struct bgp_state want, to;
	struct bgp_have have, after;
	struct bgp_script script;
	struct outcome out;

	bgpd_fake_show(f, &text);
	bgp_running_parse(text.data, text.size, &have);
	bgp_want_state(w, &want);
	out.verdict = bgp_judge(&want, &have, false);
	bgp_effective(&want, &have, &out.verdict, collect, &to);
	bgp_diff(&to, &have.ours, have.foreign_lines, f->node, &script);
	out.commands = script.n;
	for (size_t i = 0; i < script.n && i < limit; i++) {
		uint8_t status = bgpd_fake_say(f, script.v[i].text);
		if (status != VTY_SUCCESS)
			print_error("refused: %s\n", script.v[i].text);
		assert_int_equal(status, VTY_SUCCESS);
		assert_int_equal(f->node, script.v[i].node);
		if (f->violations)
			print_error("violates: %s\n", script.v[i].text);
		assert_int_equal(f->violations, 0);
		if (reason_holds(out.verdict.reason))
			expect_steady(&have.ours, &to, &f->s);
	}
	if (script.n <= limit) {
		buf_clear(&text);
		bgpd_fake_show(f, &text);
		bgp_running_parse(text.data, text.size, &after);
		if (reason_holds(out.verdict.reason))
			expect_kept(&want, &have.ours, &after.ours);
		if (to.asn == 0 && have.foreign_lines) { /* the instance stays, others' now */
			to.asn = after.ours.asn;
			bgp_lines_copy(&to.instance, &after.ours.instance);
		}
		if (!bgp_state_eq(&after.ours, &to))
			print_error("%s\n", buf_str(&text));
		assert_true(bgp_state_eq(&after.ours, &to));
		bgp_have_fini(&after);
	}
	bgp_script_fini(&script);
	bgp_state_fini(&want);
	bgp_state_fini(&to);
	bgp_have_fini(&have);
	return out;
}

static void any_state_becomes_any_other(void **state)
{
	(void)state;
	for (unsigned int seed = 1; seed <= N_SEEDS; seed++) {
		struct bgpd_fake f = { 0 };
		rng_state = seed * 0x9e3779b97f4a7c15u;
		if (rnd(4) == 0) {
			/*
			 * Others were here first, with a neighbour and networks that we may want
			 * too.
			 */
			f.foreign_bgp = " neighbor 10.9.9.9 remote-as 1\n";
			f.foreign_af4 = "  network 198.51.100.1/32\n"
					"  network 198.51.100.0/24 route-map M\n";
			bgpd_fake_say(&f, "router bgp 65001");
			if (rnd(2))
				bgpd_fake_say(&f, "no bgp network import-check");
		} else if (rnd(4) == 0) {
			f.foreign_bgp =
				" bgp log-neighbor-changes\n neighbor 10.7.7.7 remote-as 1\n";
		}
		for (int i = 0; i < 4; i++) {
			struct bgp_want *w = random_want();
			/* Killed in the middle, some time, and wanted is then something else. */
			if (rnd(3) == 0) {
				turn(&f, w, false, rnd(40));
				bgp_want_free(w);
				w = random_want();
			}
			f.node = rnd(2) ? f.node : BGP_AT_CONFIG;
			turn(&f, w, rnd(2) == 0, SIZE_MAX);
			struct outcome again = turn(&f, w, false, SIZE_MAX);
			assert_int_equal(again.commands, 0);
			bgp_want_free(w);
		}
		struct bgp_want *nothing = bgp_want_new();
		turn(&f, nothing, true, SIZE_MAX);
		assert_int_equal(f.s.n_networks + f.s.n_peers + f.s.n_maps + f.s.marker, 0);
		assert_int_equal(f.s.n_claims, 0);
		bgp_want_free(nothing);
		bgpd_fake_fini(&f);
	}
}

/* ---- what a change costs ---- */

static struct bgp_want *want_of(unsigned int n4, unsigned int n6)
{
	struct bgp_want *w = bgp_want_new();
	struct config_peer p = {
		.address = addr("10.0.0.1"), .my_asn = 65001, .peer_asn = 65002, .hold_time_s = 90
	};
	char *communities[] = { plain };
	struct config_advertisement ad = { .aggregation_len = 32,
		                           .aggregation_len_v6 = 128,
		                           .communities = communities,
		                           .n_communities = 1 };
	struct config_pool pool = { .advertisements = &ad, .n_advertisements = 1 };
	char text[64];

	assert_int_equal(bgp_want_peer(w, &p, NULL), 0);
	assert_int_equal(bgp_want_pool(w, &pool, NULL), 0);
	for (unsigned int i = 0; i < n4 + n6; i++) {
		snprintf(text, sizeof(text), i < n4 ? "198.51.100.%u" : "2001:db8::%u",
		         i < n4 ? i : i - n4);
		struct addr a = addr(text);
		assert_int_equal(bgp_want_address(w, &a, true, &ad, 1, NULL), 0);
	}
	return w;
}

static void a_change_of_one_service_costs_at_most_three_commands(void **state)
{
	(void)state;
	static const struct {
		unsigned int n4, n6, most;
	} steps[] = {
		{ 1, 0, 1 }, { 1, 1, 2 }, { 2, 2, 3 }, { 3, 3, 3 }, { 3, 3, 0 },
		{ 2, 3, 2 }, { 3, 3, 2 }, { 2, 2, 3 }, { 0, 2, 3 }, { 0, 0, 3 },
	};
	struct bgpd_fake f = { 0 };
	struct bgp_want *w = want_of(0, 0);

	turn(&f, w, true, SIZE_MAX);
	bgp_want_free(w);
	f.node = BGP_AT_AF4; /* where the engine waits */
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		w = want_of(steps[i].n4, steps[i].n6);
		struct outcome o = turn(&f, w, false, SIZE_MAX);
		assert_in_range(o.commands, 0, steps[i].most);
		bgp_want_free(w);
	}
	bgpd_fake_fini(&f);
}

static void a_new_connection_adopts_without_a_command(void **state)
{
	(void)state;
	struct bgpd_fake f = { 0 };
	struct bgp_want *w = want_of(5, 5);

	assert_true(turn(&f, w, true, SIZE_MAX).commands > 10);
	f.node = BGP_AT_CONFIG;
	assert_int_equal(turn(&f, w, true, SIZE_MAX).commands, 0);
	bgp_want_free(w);
	bgpd_fake_fini(&f);
}

/* Its entries stay while they are set right: removing one takes the networks' policy away. */
static void a_map_of_ours_that_was_turned_round_is_turned_back(void **state)
{
	(void)state;
	struct bgpd_fake f = { 0 };
	struct bgp_want *w = want_of(2, 0);

	turn(&f, w, true, SIZE_MAX);
	for (size_t k = 0; k < f.s.n_maps; k++)
		f.s.maps[k].permit = !f.s.maps[k].permit;
	turn(&f, w, true, SIZE_MAX);
	bgp_want_free(w);
	bgpd_fake_fini(&f);
}

static void hand_made_lines_in_a_map_of_ours_go(void **state)
{
	(void)state;
	static const char *const lines[] = { "set metric 7", "match tag 9", "call THEIRS",
		                             "on-match goto 20", "description a note may stay" };

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct bgpd_fake f = { 0 };
		struct bgp_want *w = want_of(2, 0);
		turn(&f, w, true, SIZE_MAX);
		for (size_t k = 0; k < f.s.n_maps; k++)
			bgp_lines_add(&f.s.maps[k].lines, lines[i]);
		turn(&f, w, true, SIZE_MAX);
		assert_int_equal(turn(&f, w, true, SIZE_MAX).commands, 0);
		bgp_want_free(w);
		bgpd_fake_fini(&f);
	}
}

/*
 * With graceful restart the router keeps stale routes until the End-of-RIB: networks must be there
 * before the session.
 */
static void networks_come_before_neighbours_and_withdrawals_first(void **state)
{
	(void)state;
	struct bgp_have nothing;
	struct bgp_state want, to;
	struct bgp_script script;
	struct bgp_want *w = want_of(3, 3);
	size_t last_network = 0, first_neighbor = SIZE_MAX, last_class = 0,
	       first_network = SIZE_MAX;

	bgp_running_parse("", 0, &nothing);
	bgp_want_state(w, &want);
	struct bgp_verdict v = bgp_judge(&want, &nothing, false);
	bgp_effective(&want, &nothing, &v, true, &to);
	bgp_diff(&to, &nothing.ours, false, BGP_AT_CONFIG, &script);
	for (size_t i = 0; i < script.n; i++) {
		const char *text = script.v[i].text;
		if (!strncmp(text, "network", 7)) {
			last_network = i;
			if (first_network == SIZE_MAX)
				first_network = i;
		}
		if (!strncmp(text, "neighbor", 8) && first_neighbor == SIZE_MAX)
			first_neighbor = i;
		if (!strncmp(text, "route-map", 9))
			last_class = i;
	}
	assert_true(last_network < first_neighbor);
	assert_true(last_class < first_network);
	bgp_script_fini(&script);

	struct bgp_want *fewer = want_of(1, 3);
	struct bgp_state less;
	bgp_want_state(fewer, &less);
	bgp_diff(&less, &to, false, BGP_AT_AF6, &script);
	assert_string_equal(script.v[0].text, "address-family ipv4 unicast");
	assert_string_equal(script.v[1].text, "no network 198.51.100.1/32");
	bgp_script_fini(&script);
	bgp_state_fini(&less);
	bgp_want_free(fewer);
	bgp_state_fini(&want);
	bgp_state_fini(&to);
	bgp_have_fini(&nothing);
	bgp_want_free(w);
}

/* ---- others' instances ---- */

static void others_instances_are_judged(void **state)
{
	(void)state;
	static const struct {
		const char *config;
		enum reason reason, shared;
	} cases[] = {
		{ "", REASON_Announced, REASON_Announced },
		{ "router bgp 65009\n no bgp network import-check\n", REASON_BgpAsMismatch,
		  REASON_BgpAsMismatch },
		{ "router bgp 65009 vrf red\n", REASON_Announced, REASON_Announced },
		{ "router bgp 65001\n", REASON_BgpImportCheck, REASON_BgpImportCheck },
		{ "router bgp 65001\n no bgp network import-check\n", REASON_Announced,
		  REASON_Announced },
		/* eBGP without policy is sent nothing, where bgpd says so by default */
		{ "router bgp 65001\n no bgp network import-check\n neighbor 10.1.1.1 remote-as 7\n",
		  REASON_Announced, REASON_Announced },
		{ "frr defaults datacenter\nrouter bgp 65001\n no bgp network import-check\n"
		  " neighbor 10.1.1.1 remote-as 7\n",
		  REASON_BgpForeignInstance, REASON_Announced },
		{ "router bgp 65001\n no bgp network import-check\n no bgp ebgp-requires-policy\n"
		  " neighbor 10.1.1.1 remote-as 7\n",
		  REASON_BgpForeignInstance, REASON_Announced },
		{ "router bgp 65001\n no bgp network import-check\n neighbor 10.1.1.1 remote-as 65001\n",
		  REASON_BgpForeignInstance, REASON_Announced },
		{ "router bgp 65001\n no bgp network import-check\n neighbor 10.1.1.1 remote-as internal\n"
		  " no bgp default ipv4-unicast\n",
		  REASON_Announced, REASON_Announced },
		{ "router bgp 65001\n no bgp network import-check\n neighbor 10.1.1.1 remote-as internal\n"
		  " address-family ipv4 unicast\n  neighbor 10.1.1.1 route-map X out\n",
		  REASON_Announced, REASON_Announced },
		{ "router bgp 65001\n no bgp network import-check\n neighbor 10.1.1.1 remote-as internal\n"
		  " address-family ipv4 unicast\n  no neighbor 10.1.1.1 activate\n",
		  REASON_Announced, REASON_Announced },
		{ "router bgp 65001\n no bgp network import-check\n neighbor G peer-group\n"
		  " neighbor G remote-as internal\n neighbor 10.1.1.1 peer-group G\n"
		  " address-family ipv4 unicast\n  neighbor G prefix-list X out\n",
		  REASON_Announced, REASON_Announced },
		{ "router bgp 65001\n no bgp network import-check\n neighbor G peer-group\n"
		  " neighbor G remote-as internal\n neighbor eth1 interface peer-group G\n"
		  " address-family ipv6 unicast\n  neighbor G activate\n  neighbor G prefix-list X out\n",
		  REASON_BgpForeignInstance, REASON_Announced },
		/* in which our own neighbours would be without policy */
		{ "router bgp 65001\n bgp default l2vpn-evpn\n no bgp network import-check\n",
		  REASON_BgpForeignInstance, REASON_Announced },
		{ "router bgp 65001\n bgp default ipv4-flowspec\n no bgp network import-check\n",
		  REASON_BgpForeignInstance, REASON_Announced },
		{ "router bgp 65001\n bgp default ipv6-unicast\n bgp default show-hostname\n"
		  " bgp default local-preference 7\n no bgp network import-check\n",
		  REASON_Announced, REASON_Announced },
		/* FRR 10: internal or not, as the other side says */
		{ "router bgp 65001\n no bgp network import-check\n neighbor 10.1.1.1 remote-as auto\n",
		  REASON_BgpForeignInstance, REASON_Announced },
		/* who joins such a group is no neighbour of the configuration */
		{ "router bgp 65001\n no bgp network import-check\n neighbor G peer-group\n"
		  " neighbor G remote-as internal\n bgp listen range 10.1.0.0/16 peer-group G\n",
		  REASON_BgpForeignInstance, REASON_Announced },
		{ "router bgp 65001\n no bgp network import-check\n neighbor G peer-group\n"
		  " neighbor G remote-as 65009\n bgp listen range 10.1.0.0/16 peer-group G\n",
		  REASON_Announced, REASON_Announced },
		{ "router bgp 65001\n no bgp network import-check\n neighbor G peer-group\n"
		  " neighbor G remote-as internal\n bgp listen range 10.1.0.0/16 peer-group G\n"
		  " address-family ipv4 unicast\n  neighbor G route-map X out\n",
		  REASON_Announced, REASON_Announced },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bgp_want *w = want_of(1, 0);
		struct bgp_state want;
		struct bgp_have have;
		bgp_running_parse(cases[i].config, strlen(cases[i].config), &have);
		bgp_want_state(w, &want);
		struct bgp_verdict v = bgp_judge(&want, &have, false);
		assert_string_equal(reason_name(v.reason), reason_name(cases[i].reason));
		v = bgp_judge(&want, &have, true);
		assert_string_equal(reason_name(v.reason), reason_name(cases[i].shared));
		bgp_state_fini(&want);
		bgp_have_fini(&have);
		bgp_want_free(w);
	}
}

/* Beyond the bound a neighbour of others might be taken for none. */
static void too_many_to_remember_is_in_the_way(void **state)
{
	(void)state;
	for (unsigned int more = 0; more < 2; more++) {
		cleanup(buf_fini) struct buf text = BUF_INIT;
		struct bgp_want *w = want_of(1, 0);
		struct bgp_state want;
		struct bgp_have have;
		buf_puts(&text, "router bgp 65001\n no bgp network import-check\n");
		for (unsigned int i = 0; i < BGP_FOREIGN_PEERS_MAX + more; i++)
			buf_printf(&text, " neighbor 10.1.%u.%u remote-as 7\n", i / 256, i % 256);
		bgp_running_parse(text.data, text.size, &have);
		bgp_want_state(w, &want);
		assert_int_equal(bgp_judge(&want, &have, true).reason,
		                 more ? REASON_BgpForeignInstance : REASON_Announced);
		bgp_state_fini(&want);
		bgp_have_fini(&have);
		bgp_want_free(w);
	}
}

/* A verdict against us adds nothing, and lets go what is no longer wanted. */
static void held_back_it_only_removes(void **state)
{
	(void)state;
	struct bgpd_fake f = { 0 };
	struct bgp_want *two = want_of(2, 0), *other = want_of(1, 2);

	bgpd_fake_say(&f, "router bgp 65001");
	bgpd_fake_say(&f, "no bgp network import-check");
	assert_int_equal(turn(&f, two, true, SIZE_MAX).verdict.reason, REASON_Announced);
	assert_int_equal(f.s.n_networks, 2);
	assert_int_equal(f.s.marker, 0);
	f.foreign_bgp = " no bgp ebgp-requires-policy\n neighbor 10.1.1.1 remote-as 7\n";
	assert_int_equal(turn(&f, other, true, SIZE_MAX).verdict.reason, REASON_BgpForeignInstance);
	assert_int_equal(f.s.n_networks, 1);
	assert_int_equal(f.s.n_peers, 1);
	bgp_want_free(two);
	bgp_want_free(other);
	bgpd_fake_fini(&f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_state_becomes_any_other),
		cmocka_unit_test(a_change_of_one_service_costs_at_most_three_commands),
		cmocka_unit_test(a_new_connection_adopts_without_a_command),
		cmocka_unit_test(a_map_of_ours_that_was_turned_round_is_turned_back),
		cmocka_unit_test(hand_made_lines_in_a_map_of_ours_go),
		cmocka_unit_test(networks_come_before_neighbours_and_withdrawals_first),
		cmocka_unit_test(others_instances_are_judged),
		cmocka_unit_test(too_many_to_remember_is_in_the_way),
		cmocka_unit_test(held_back_it_only_removes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
