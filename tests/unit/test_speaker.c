/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fairlead/buf.h"
#include "fairlead/forward.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"
#include "speaker/announce.h"
#include "speaker/news.h"
#include "speaker/nowhere.h"
#include "speaker/options.h"
#include "speaker/passwords.h"
#include "speaker/report.h"
#include "speaker/served.h"
#include "speaker/uncarried.h"
#include "world.h"

/* ---- announcements ---- */

struct fixture {
	struct view *view;
	struct announce *table;
	bool applied;
	struct buf log; /* "shop/web 192.0.2.1 Candidate()\n" for each change */
};

static void record_change(const struct announcement *a, enum reason old_reason,
                          const char *old_owner, void *arg)
{
	struct fixture *f = arg;

	(void)old_reason;
	(void)old_owner;
	buf_printf(&f->log, "%s %s %s(%s)\n", a->key, addr_str(&a->addr), reason_name(a->reason),
	           a->owner);
}

static void expect_log(struct fixture *f, const char *expected)
{
	assert_string_equal(buf_str(&f->log), expected);
	buf_clear(&f->log);
}

static bool applied(const char *key, uint8_t family, void *arg)
{
	(void)family;
	(void)key;
	return ((struct fixture *)arg)->applied;
}

static struct fixture fixture_new(void)
{
	struct fixture f = { .view = view_new("n1", NULL), .applied = true };

	world_configuration(f.view);
	world_node(f.view, "n1");
	world_node(f.view, "n2");
	world_node(f.view, "n3");
	return f;
}

static void fixture_fini(struct fixture *f)
{
	announce_free(f->table);
	view_free(f->view);
	buf_fini(&f->log);
}

/* One turn of the speaker without a proxy; returns the passes. */
static size_t turn(struct fixture *f)
{
	size_t n;

	const struct view_service *const *dirty = view_take_dirty(f->view, &n);

	for (size_t i = 0; i < n; i++)
		announce_update(f->table, f->view, dirty[i]);
	view_clean(f->view);
	announce_settle(f->table, applied, f);
	return n;
}

struct description {
	struct buf *out;
	const char *const *nodes;
};

static void describe_want(const struct l2_want *w, void *arg)
{
	const struct description *d = arg;

	buf_printf(d->out, "%s%s[", addr_str(&w->addr), w->eligible ? "+" : "-");
	for (size_t k = 0; k < w->n_candidates; k++)
		buf_printf(d->out, "%s%s", k ? " " : "", d->nodes[w->candidates[k]]);
	buf_puts(d->out, "]\n");
}

static const struct l2_want *want_of(const struct served_snapshot *s, const char *address)
{
	struct addr addr;

	addr_parse(address, &addr);
	return want_map_find(s->wants, &addr);
}

/* "192.0.2.1+[n1 n2]\n": address, whether this node is eligible, candidates. */
static void expect_snapshot(struct fixture *f, const char *expected)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;
	struct served_snapshot s;

	served_snapshot(announce_served(f->table), f->view, true, 0, &s);
	want_map_each(s.wants, describe_want, &(struct description){ &text, s.l2.nodes });
	assert_string_equal(buf_str(&text), expected);
	served_snapshot_fini(&s);
	assert_false(served_is_dirty(announce_served(f->table), f->view));
}

static void the_data_plane_comes_first(void **state)
{
	(void)state;
	struct fixture f = fixture_new();
	f.table = announce_new(record_change, &f);

	f.applied = false;
	world_service(f.view, "web", "192.0.2.1", "");
	world_slice(f.view, "web", "web-1", "10.1.1.1@n1");
	turn(&f);
	expect_log(&f, "shop/web 192.0.2.1 RulesPending()\n");
	expect_snapshot(&f, "192.0.2.1-[n1 n2 n3]\n");
	f.applied = true;
	turn(&f);
	expect_log(&f, "shop/web 192.0.2.1 Candidate()\n");
	expect_snapshot(&f, "192.0.2.1+[n1 n2 n3]\n");
	/* Later rules of the same Service do not take the address away. */
	f.applied = false;
	world_slice(f.view, "web", "web-1", "10.1.1.1@n1 10.1.1.2@n2");
	assert_int_equal(turn(&f), 1);
	assert_false(served_is_dirty(announce_served(f.table), f.view));
	expect_snapshot(&f, "192.0.2.1+[n1 n2 n3]\n");
	/* Without endpoints nobody announces; when they return, the rules come first again. */
	world_slice(f.view, "web", "web-1", "");
	turn(&f);
	expect_snapshot(&f, "");
	world_slice(f.view, "web", "web-1", "10.1.1.1@n1");
	turn(&f);
	expect_snapshot(&f, "192.0.2.1-[n1 n2 n3]\n");
	expect_log(&f, "shop/web 192.0.2.1 NoEndpoints()\nshop/web 192.0.2.1 RulesPending()\n");
	fixture_fini(&f);
}

static enum reason one_is_hindered(const struct announcement *a, void *arg)
{
	return !strcmp(a->key, "shop/web") ? *(enum reason *)arg : REASON_Candidate;
}

static void what_others_break_is_not_announced(void **state)
{
	(void)state;
	struct fixture f = fixture_new();
	enum reason why = REASON_ForwardRefused;
	f.table = announce_new(record_change, &f);

	world_service(f.view, "web", "192.0.2.1", "");
	world_slice(f.view, "web", "web-1", "10.1.1.1@n1");
	world_service(f.view, "zoo", "192.0.2.2", "");
	world_slice(f.view, "zoo", "zoo-1", "10.1.1.2@n1");
	turn(&f);
	expect_snapshot(&f, "192.0.2.1+[n1 n2 n3]\n192.0.2.2+[n1 n2 n3]\n");
	buf_clear(&f.log);
	announce_hinder(f.table, one_is_hindered, &why);
	turn(&f);
	expect_log(&f, "shop/web 192.0.2.1 ForwardRefused()\n");
	expect_snapshot(&f, "192.0.2.1-[n1 n2 n3]\n192.0.2.2+[n1 n2 n3]\n");
	why = REASON_RulesChanged;
	announce_hinder(f.table, one_is_hindered, &why);
	expect_log(&f, "shop/web 192.0.2.1 RulesChanged()\n");
	/* When that is over the rules come first, as ever. */
	f.applied = false;
	why = REASON_Candidate;
	announce_hinder(f.table, one_is_hindered, &why);
	turn(&f);
	expect_log(&f, "shop/web 192.0.2.1 RulesPending()\n");
	f.applied = true;
	turn(&f);
	expect_log(&f, "shop/web 192.0.2.1 Candidate()\n");
	expect_snapshot(&f, "192.0.2.1+[n1 n2 n3]\n192.0.2.2+[n1 n2 n3]\n");
	fixture_fini(&f);
}

static void policy_local_names_the_nodes_with_endpoints(void **state)
{
	(void)state;
	struct fixture f = fixture_new();
	f.table = announce_new(record_change, &f);

	world_service(f.view, "web", "192.0.2.1", ",'externalTrafficPolicy':'Local'");
	world_slice(f.view, "web", "web-1", "10.1.2.1@n2 10.1.3.1@n3");
	turn(&f);
	expect_log(&f, "shop/web 192.0.2.1 NoLocalEndpoint()\n");
	expect_snapshot(&f, "192.0.2.1-[n2 n3]\n");
	world_slice(f.view, "web", "web-1", "10.1.1.1@n1 10.1.3.1@n3");
	turn(&f);
	expect_snapshot(&f, "192.0.2.1+[n1 n3]\n");
	fixture_fini(&f);
}

static enum reason established(const struct addr *a, void *arg)
{
	(void)a;
	(void)arg;
	return REASON_Announced;
}

static void routes_come_after_the_data_plane_and_go_before_it(void **state)
{
	(void)state;
	struct fixture f = fixture_new();
	f.table = announce_new(record_change, &f);
	uint64_t revision = announce_routes_revision(f.table);

	f.applied = false;
	world_service(f.view, "far", "198.51.100.1", ",'externalTrafficPolicy':'Local'");
	world_slice(f.view, "far", "far-1", "10.1.1.1@n1 10.1.2.1@n2");
	turn(&f);
	announce_routes(f.table, established, NULL);
	expect_log(&f, "shop/far 198.51.100.1 RulesPending()\n");
	assert_int_equal(announce_n_pending(f.table), 1);
	assert_int_equal(announce_routes_revision(f.table), revision);
	/* While it waits, changes do not make it wait anew. */
	uint64_t since = announce_waits_since(f.table, "shop/far");
	world_slice(f.view, "far", "far-1", "10.1.1.1@n1 10.1.1.2@n1");
	turn(&f);
	assert_int_equal(announce_n_pending(f.table), 1);
	assert_int_equal(announce_waits_since(f.table, "shop/far"), since);
	f.applied = true;
	turn(&f);
	assert_int_equal(announce_n_pending(f.table), 0);
	assert_int_equal(announce_routes_revision(f.table), revision + 1);
	expect_log(&f, "shop/far 198.51.100.1 BgpPending()\n");
	announce_routes(f.table, established, NULL);
	expect_log(&f, "shop/far 198.51.100.1 Announced()\n");
	/* Layer 2 has no part in it. */
	expect_snapshot(&f, "");
	const struct announcement *a = announce_of(f.table, "shop/far");
	assert_true(a->local && a->protocol == PROTOCOL_BGP && !a->next);
	/* An endpoint elsewhere changes nothing here; the last one here takes the route away. */
	const struct view_service *s = view_service_named(f.view, "shop/far");
	world_slice(f.view, "far", "far-1", "10.1.1.1@n1");
	assert_false(announce_update(f.table, f.view, s));
	assert_int_equal(announce_routes_revision(f.table), revision + 1);
	world_slice(f.view, "far", "far-1", "10.1.2.1@n2");
	assert_true(announce_update(f.table, f.view, s));
	assert_int_equal(announce_routes_revision(f.table), revision + 2);
	expect_log(&f, "shop/far 198.51.100.1 NoLocalEndpoint()\n");
	assert_false(announce_update(f.table, f.view, s));
	/* Whoever becomes a candidate once more waits for what comes from then on. */
	assert_int_equal(announce_waits_since(f.table, "shop/far"), since);
	world_slice(f.view, "far", "far-1", "10.1.1.1@n1");
	announce_update(f.table, f.view, s);
	assert_true(announce_waits_since(f.table, "shop/far") > since);
	fixture_fini(&f);
}

static void states_become_reasons(void **state)
{
	(void)state;
	static const struct {
		enum l2_ownership ownership;
		const char *owner;
		enum reason reason;
	} cases[] = {
		{ L2_IDLE, "", REASON_Candidate },
		{ L2_WAITING, "", REASON_Candidate },
		{ L2_PROBING, "", REASON_Candidate },
		{ L2_OWNER, "n1", REASON_Announced },
		{ L2_OTHER, "n2", REASON_NotOwner },
		{ L2_STILL_ANSWERED, "n2", REASON_OwnerStillAnswers },
		{ L2_CONFLICT, "", REASON_AddressInUse },
		{ L2_KERNEL_ANSWERS, "", REASON_KernelAnswers },
		{ L2_NO_INTERFACE, "", REASON_NoInterface },
		{ L2_NOT_SELECTED, "", REASON_InterfaceNotSelected },
	};
	struct fixture f = fixture_new();
	f.table = announce_new(record_change, &f);
	struct l2_state states[2] = { 0 };
	size_t counts[REASON_COUNT];

	world_service(f.view, "web", "192.0.2.1", "");
	world_slice(f.view, "web", "web-1", "10.1.1.1@n1");
	turn(&f);
	addr_parse("192.0.2.1", &states[0].addr);
	addr_parse("192.0.2.99", &states[1].addr); /* nobody asked for */
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		states[0].ownership = cases[i].ownership;
		snprintf(states[0].owner, sizeof(states[0].owner), "%s", cases[i].owner);
		announce_states(f.table, states, 2);
		buf_clear(&f.log);
		announce_states(f.table, states, 2); /* the same again is no news */
		expect_log(&f, "");
		const struct announcement *a = announce_of(f.table, "shop/web");
		assert_int_equal(a->reason, cases[i].reason);
		assert_string_equal(a->owner, cases[i].owner);
		announce_count(f.table, counts);
		assert_int_equal(counts[cases[i].reason], 1);
	}
	/* Whether it goes on answering or has given way: it was one of two. */
	for (int i = 0; i < 2; i++) {
		states[0].ownership = i ? L2_CONFLICT : L2_OWNER;
		states[0].two_owners = true;
		memcpy(states[0].rival, "\2\0\0\0\0\7", 6);
		announce_states(f.table, states, 1);
		const struct announcement *a = announce_of(f.table, "shop/web");
		assert_int_equal(a->reason, REASON_TwoOwners);
		assert_memory_equal(a->rival, states[0].rival, 6);
		states[0].two_owners = false;
		announce_states(f.table, states, 1);
		assert_int_equal(a->reason, i ? REASON_AddressInUse : REASON_Announced);
	}
	/* Only another owner is news, too. */
	states[0].ownership = L2_OTHER;
	snprintf(states[0].owner, sizeof(states[0].owner), "n2");
	announce_states(f.table, states, 1);
	buf_clear(&f.log);
	snprintf(states[0].owner, sizeof(states[0].owner), "n3");
	announce_states(f.table, states, 1);
	expect_log(&f, "shop/web 192.0.2.1 NotOwner(n3)\n");
	fixture_fini(&f);
}

static void put_sharer(struct fixture *f, const char *name, int second)
{
	world_put(f->view,
	          "{'kind':'Service','metadata':{'namespace':'shop','name':'%s',"
	          "'uid':'uid-%s','creationTimestamp':'2026-01-01T00:00:%02dZ'},"
	          "'spec':{'type':'LoadBalancer','clusterIP':'10.96.0.8',"
	          "'clusterIPs':['10.96.0.8'],'ports':[{'port':80}]},"
	          "'status':{'loadBalancer':{'ingress':[{'ip':'192.0.2.1',"
	          "'ports':[{'port':80,'protocol':'TCP'}]}]}}}",
	          name, name, second);
	world_slice(f->view, name, name, "10.1.1.1@n1");
}

/* When the Service was created that the address is for, in seconds: as layer 2 is told. */
static int told(struct fixture *f, int64_t now_ms)
{
	struct served_snapshot s;

	served_snapshot(announce_served(f->table), f->view, true, now_ms, &s);
	assert_int_equal(s.wants->n, 1);
	int second = (int)(want_of(&s, "192.0.2.1")->identity.since_us / 1000000 % 60);
	served_snapshot_fini(&s);
	return second;
}

static void set_owner(struct fixture *f, bool owner)
{
	struct l2_state st = { .ownership = owner ? L2_OWNER : L2_OTHER };

	addr_parse("192.0.2.1", &st.addr);
	if (!owner)
		snprintf(st.owner, sizeof(st.owner), "n2");
	announce_states(f->table, &st, 1);
}

/*
 * A shared address is one to layer 2, whoever comes and goes, and the nodes, which hear of it one
 * after the other, do not take it from each other.
 */
static void an_address_is_shared(void **state)
{
	(void)state;
	static const struct {
		bool owner, older_comes;
		int at_once, later;
	} rows[] = {
		{ true, false, 2, 2 },
		{ false, false, 1, 2 },
		{ true, true, 1, 0 },
		{ false, true, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fixture f = fixture_new();
		f.table = announce_new(record_change, &f);
		put_sharer(&f, "first", 1);
		turn(&f);
		assert_int_equal(told(&f, 1000), 1);
		set_owner(&f, rows[i].owner);
		put_sharer(&f, "second", 2);
		turn(&f);
		assert_int_equal(told(&f, 2000), 1);
		expect_snapshot(&f, "192.0.2.1+[n1 n2 n3]\n");
		const enum reason reason = rows[i].owner ? REASON_Announced : REASON_NotOwner;
		assert_int_equal(announce_of(f.table, "shop/first")->reason, reason);
		assert_int_equal(announce_of(f.table, "shop/second")->reason, reason);
		if (rows[i].older_comes)
			put_sharer(&f, "older", 0);
		else
			view_remove_service(f.view, "shop", "first");
		turn(&f);
		assert_int_equal(told(&f, 3000), rows[i].at_once);
		assert_int_equal(told(&f, 5999), rows[i].at_once);
		assert_int_equal(told(&f, 6000), rows[i].later);
		assert_false(served_is_dirty(announce_served(f.table), f.view));
		fixture_fini(&f);
	}
}

/* The oldest was made anew in the meantime, and is the youngest now: it tells nobody otherwise. */
static void a_sharer_is_made_anew(void **state)
{
	(void)state;
	struct fixture f = fixture_new();
	f.table = announce_new(record_change, &f);
	put_sharer(&f, "first", 1);
	put_sharer(&f, "second", 2);
	turn(&f);
	assert_int_equal(told(&f, 1000), 1);
	put_sharer(&f, "first", 3);
	turn(&f);
	told(&f, 2000);
	assert_int_equal(told(&f, 9000), 2);
	fixture_fini(&f);
}

static void an_address_changes_hands(void **state)
{
	(void)state;
	struct fixture f = fixture_new();
	f.table = announce_new(record_change, &f);

	world_service(f.view, "web", "192.0.2.1", "");
	world_slice(f.view, "web", "web-1", "10.1.1.1@n1");
	world_slice(f.view, "api", "api-1", "10.1.1.2@n1");
	turn(&f);
	/*
	 * An earlier claimant appears ("api" before "web"), in whichever order they are looked at.
	 */
	world_service(f.view, "api", "192.0.2.1", "");
	turn(&f);
	assert_int_equal(announce_of(f.table, "shop/web")->reason, REASON_AddressShared);
	assert_int_equal(announce_of(f.table, "shop/api")->reason, REASON_Candidate);
	expect_snapshot(&f, "192.0.2.1+[n1 n2 n3]\n");
	view_remove_service(f.view, "shop", "api");
	turn(&f);
	assert_null(announce_of(f.table, "shop/api"));
	assert_int_equal(announce_of(f.table, "shop/web")->reason, REASON_Candidate);
	/* An address that moves within one Service. */
	world_service(f.view, "web", "192.0.2.2", "");
	turn(&f);
	expect_snapshot(&f, "192.0.2.2+[n1 n2 n3]\n");
	view_remove_service(f.view, "shop", "web");
	turn(&f);
	expect_snapshot(&f, "");
	fixture_fini(&f);
}

static void external_ips_are_announced_like_others(void **state)
{
	(void)state;
	struct fixture f = fixture_new();
	f.table = announce_new(record_change, &f);
	uint64_t revision = announce_routes_revision(f.table);

	f.applied = false;
	world_external(f.view, "web", "ClusterIP", "100.64.2.1,203.0.113.1,203.0.113.200",
	               "100.64.2.1", "");
	world_slice(f.view, "web", "web-1", "10.1.1.1@n1");
	turn(&f);
	expect_log(&f, "shop/web 100.64.2.1 RulesPending()\n"
	               "shop/web 203.0.113.1 RulesPending()\n"
	               "shop/web 203.0.113.200 ExternalIpNotAllowed()\n");
	expect_snapshot(&f, "203.0.113.1-[n1 n2 n3]\n");
	f.applied = true;
	turn(&f);
	expect_log(&f, "shop/web 100.64.2.1 BgpPending()\nshop/web 203.0.113.1 Candidate()\n");
	expect_snapshot(&f, "203.0.113.1+[n1 n2 n3]\n");
	assert_int_equal(announce_routes_revision(f.table), revision + 1);
	/* Gone from the list, gone from the wire; the caller is told of the route. */
	world_external(f.view, "web", "ClusterIP", "", "", "");
	assert_true(announce_update(f.table, f.view, view_service_named(f.view, "shop/web")));
	expect_snapshot(&f, "");
	assert_null(announce_of(f.table, "shop/web"));
	fixture_fini(&f);
}

static void a_recreated_service_waits_for_its_rules(void **state)
{
	(void)state;
	struct fixture f = fixture_new();
	f.table = announce_new(record_change, &f);

	world_service(f.view, "web", "192.0.2.1", "");
	world_slice(f.view, "web", "web-1", "10.1.1.1@n1");
	turn(&f);
	expect_snapshot(&f, "192.0.2.1+[n1 n2 n3]\n");
	f.applied = false;
	world_put(f.view,
	          "{'kind':'Service','metadata':{'namespace':'shop','name':'web','uid':'new'},"
	          "'spec':{'type':'LoadBalancer','clusterIP':'10.96.0.8',"
	          "'clusterIPs':['10.96.0.8'],'ports':[{'port':80}]},"
	          "'status':{'loadBalancer':{'ingress':[{'ip':'192.0.2.1'}]}}}");
	turn(&f);
	expect_snapshot(&f, "192.0.2.1-[n1 n2 n3]\n");
	fixture_fini(&f);
}

static void a_new_node_renumbers_the_candidates(void **state)
{
	(void)state;
	struct fixture f = fixture_new();
	f.table = announce_new(record_change, &f);

	world_service(f.view, "web", "192.0.2.1", "");
	world_slice(f.view, "web", "web-1", "10.1.1.1@n1");
	turn(&f);
	expect_snapshot(&f, "192.0.2.1+[n1 n2 n3]\n");
	/* Another node in the same place: the indexes are equal, what they mean is not. */
	view_remove_node(f.view, "n2");
	world_node(f.view, "n2b");
	turn(&f);
	assert_true(served_is_dirty(announce_served(f.table), f.view));
	expect_snapshot(&f, "192.0.2.1+[n1 n2b n3]\n");
	fixture_fini(&f);
}

static void the_snapshot_names_the_ranges_of_layer_2(void **state)
{
	(void)state;
	static const char *const ranges[] = { "192.0.2.0/24", "2001:db8::/64", "100.64.1.0/24",
		                              "203.0.113.0/25", "198.51.100.0/25" };
	struct fixture f = fixture_new();
	f.table = announce_new(record_change, &f);
	struct served_snapshot s;
	char text[ADDR_RANGE_STR_SIZE];

	served_snapshot(announce_served(f.table), f.view, false, 0, &s);
	assert_false(s.l2.view_fresh);
	for (size_t i = 0; i < ARRAY_LEN(ranges) && i < s.l2.n_ranges; i++)
		assert_string_equal(addr_range_format(&s.l2.ranges[i].range, text), ranges[i]);
	assert_int_equal(s.l2.n_ranges, ARRAY_LEN(ranges));
	served_snapshot_fini(&s);
	fixture_fini(&f);
}

/*
 * An address that was left without a pool stays where it was: by itself its range would have other
 * interfaces of its subnet joined.
 */
static void what_is_retained_stays_in_its_place(void **state)
{
	(void)state;
	struct fixture f = fixture_new();
	f.table = announce_new(record_change, &f);
	struct served_snapshot s;

	world_put(
		f.view,
		"{'kind':'ConfigMap','metadata':{'namespace':'fairlead-system',"
		"'name':'fairlead-active','uid':'u'},'data':{'config':'address-pools:\n"
		"- {name: a, protocol: layer2, addresses: [192.0.2.0/28]}\n',"
		"'retained':'"
		"- {name: b, protocol: [layer2], use: [load-balancer], layer2: [{interfaces: "
		"[eth1]}], addresses: [192.0.2.17/32]}\n"
		"- {name: c, protocol: [layer2], use: [load-balancer], layer2: [{interfaces: "
		"[eth1]}, {interfaces: [eth2], subnet: routed}], addresses: [192.0.2.33/32]}\n'}}");
	turn(&f);
	served_snapshot(announce_served(f.table), f.view, true, 0, &s);
	assert_int_equal(s.l2.n_ranges, 3);
	assert_int_equal(s.l2.ranges[0].place, 0);
	assert_in_range(s.l2.ranges[1].place, 1, s.l2.n_places);
	assert_in_range(s.l2.ranges[2].place, 1, s.l2.n_places);
	const struct l2_place *b = &s.l2.places[s.l2.ranges[1].place - 1];
	assert_string_equal(b->interfaces, "(eth1)");
	assert_string_equal(b->routed, "");
	const struct l2_place *c = &s.l2.places[s.l2.ranges[2].place - 1];
	assert_string_equal(c->interfaces, "(eth1)|(eth2)");
	assert_string_equal(c->routed, "(eth2)");
	served_snapshot_fini(&s);
	fixture_fini(&f);
}

/* By number; what is for no interface in particular is 0, and equal ones are one. */
static void the_snapshot_says_where(void **state)
{
	(void)state;
	struct fixture f = fixture_new();
	f.table = announce_new(record_change, &f);
	struct served_snapshot s;

	world_put(
		f.view,
		"{'kind':'ConfigMap','metadata':{'namespace':'fairlead-system',"
		"'name':'fairlead-active','uid':'u'},'data':{'config':'address-pools:\\n"
		"- {name: a, protocol: layer2, addresses: [192.0.2.0/28]}\\n"
		"- {name: b, protocol: layer2, addresses: [192.0.2.16/28], layer2: [{interfaces: "
		"[eth1]}, {interfaces: [eth2], subnet: routed}]}\\n"
		"- {name: c, protocol: layer2, addresses: [192.0.2.32/28], layer2: [{interfaces: "
		"[eth3], node-selectors: [{match-labels: {rack: a}}], preferred-nodes: [{weight: 9, "
		"match-labels: {rack: a}}]}]}\\n'}}");
	world_put(f.view, "{'kind':'Node','metadata':{'name':'n2','uid':'u','labels':"
	                  "{'rack':'a'}}}");
	static const char *const addresses[] = { "192.0.2.1", "192.0.2.17", "192.0.2.18",
		                                 "192.0.2.33" };
	static const char *const where[] = { "", "(eth1)|(eth2)", "(eth1)|(eth2)", "(eth3)" };
	static const char *const routed[] = { "", "(eth2)", "(eth2)", "" };
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
		char name[] = { 's', (char)('0' + i), '\0' };
		world_service(f.view, name, addresses[i], "");
		world_slice(f.view, name, name, "10.1.1.1@n1");
	}
	turn(&f);
	served_snapshot(announce_served(f.table), f.view, true, 0, &s);
	assert_int_equal(s.wants->n, 4);
	assert_int_equal(s.l2.n_places, 2);
	for (size_t i = 0; i < 4; i++) {
		uint16_t place = want_of(&s, addresses[i])->place;
		assert_string_equal(place ? s.l2.places[place - 1].interfaces : "", where[i]);
		assert_string_equal(place ? s.l2.places[place - 1].routed : "", routed[i]);
	}
	assert_int_equal(s.l2.n_ranges, 3);
	assert_int_equal(s.l2.ranges[0].place, 0);
	assert_int_equal(s.l2.ranges[1].place, want_of(&s, addresses[1])->place);
	/* This node is not among them, and is there for the day when it is. */
	assert_int_equal(s.l2.ranges[2].place, want_of(&s, addresses[3])->place);
	assert_int_equal(want_of(&s, addresses[3])->n_candidates, 1);
	assert_string_equal(s.l2.nodes[want_of(&s, addresses[3])->candidates[0]], "n2");
	assert_int_equal(want_of(&s, addresses[3])->preferences[0], 9);
	assert_int_equal(want_of(&s, addresses[3])->preference, 0);
	assert_false(want_of(&s, addresses[3])->eligible);
	assert_null(want_of(&s, addresses[0])->preferences);
	served_snapshot_fini(&s);

	/* What nobody wants any more has no number, but for its pool. */
	for (size_t i = 1; i < 3; i++) {
		char name[] = { 's', (char)('0' + i), '\0' };
		view_remove_service(f.view, "shop", name);
	}
	turn(&f);
	served_snapshot(announce_served(f.table), f.view, true, 0, &s);
	assert_int_equal(s.l2.n_places, 2);
	assert_string_equal(s.l2.places[s.l2.ranges[1].place - 1].interfaces, "(eth1)|(eth2)");
	assert_string_equal(s.l2.places[s.l2.ranges[1].place - 1].routed, "(eth2)");
	served_snapshot_fini(&s);
	fixture_fini(&f);
}

static void one_change_among_many_is_one_decision(void **state)
{
	(void)state;
	enum { N = 10000 };
	struct fixture f = fixture_new();
	f.table = announce_new(NULL, NULL);

	for (int i = 0; i < N; i++) {
		char name[16], slice[24], ip[16];
		snprintf(name, sizeof(name), "s%d", i);
		snprintf(slice, sizeof(slice), "s%d-x", i);
		snprintf(ip, sizeof(ip), "192.0.2.%d", i % 256);
		world_service(f.view, name, ip, "");
		world_slice(f.view, name, slice, "10.1.1.1@n1");
		if (i == 0)
			turn(&f);
	}
	/*
	 * Every address is held by about forty of them, so that the first time costs more than one
	 * pass each.
	 */
	turn(&f);
	uint64_t before = view_stats(f.view).passes;
	world_slice(f.view, "s77", "s77-x", "10.1.1.2@n1");
	assert_int_equal(turn(&f), 1);
	assert_int_equal(turn(&f), 0);
	assert_int_equal(view_stats(f.view).passes, before + 1);
	assert_int_equal(view_service_named(f.view, "shop/s78")->passes, 1);
	fixture_fini(&f);
}

/* ---- forwarding ---- */

static bool is_announced(const char *key, const struct addr *a, const void *arg)
{
	return announce_has(arg, key, a);
}

static void expect_forward(const struct fixture *f, const char *key, uint8_t family,
                           const char *expected)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;
	const struct view_service *s = view_service_named(f->view, key);
	struct forward w;

	forward_build(f->view,
	              &(struct forward_node){ .name = view_self(f->view),
	                                      .zone = view_zone(f->view),
	                                      .is_announced = f->table ? is_announced : NULL,
	                                      .arg = f->table },
	              s, NULL, &w);
	const struct proxy_half p = w.halves[family == 6];
	const struct proxy_outside o = *proxy_outside(&p);
	assert_int_equal(w.service.halves[family == 6] != NULL, forward_wanted(f->view, s, family));
	if (!forward_wanted(f->view, s, family)) {
		assert_string_equal("none", expected);
		forward_fini(&w);
		return;
	}
	buf_printf(&b, "%s ip=%s", p.key, addr_str(&p.cluster_ip));
	for (size_t i = 0; i < o.n_vips; i++)
		buf_printf(&b, " vip=%s", addr_str(&o.vips[i]));
	for (size_t i = 0; i < o.n_external_ips; i++)
		buf_printf(&b, " external-ip=%s", addr_str(&o.external_ips[i]));
	for (size_t i = 0; i < o.n_open; i++)
		buf_printf(&b, " open=%s", addr_str(&o.open[i]));
	for (size_t i = 0; i < o.n_source_ranges; i++) {
		char text[PREFIX_STR_SIZE];
		buf_printf(&b, " from=%s", prefix_format(&o.source_ranges[i], text));
	}
	if (p.traffic.external_local)
		buf_puts(&b, " external-local");
	if (p.traffic.affinity_s)
		buf_printf(&b, " affinity=%u", p.traffic.affinity_s);
	for (size_t i = 0; i < p.n_ports; i++)
		buf_printf(&b, " %s:%u/%u>%u,%u,%d", p.ports[i].name, p.ports[i].port,
		           p.ports[i].node_port, p.ports[i].n_cluster, p.ports[i].n_local,
		           p.ports[i].has_any);
	assert_string_equal(buf_str(&b), expected);
	forward_fini(&w);
}

/*
 * An address outside all pools may be a machine's until layer 2 has found that nobody answers for
 * it.
 */
static void a_guard_outside_the_pools_comes_with_the_owner(void **state)
{
	static const char open[] =
		"shop/web ip=10.96.0.9 external-ip=203.0.113.1 open=203.0.113.1 :80/0>1,0,1";
	static const char closed[] = "shop/web ip=10.96.0.9 external-ip=203.0.113.1 :80/0>1,0,1";
	static const struct {
		enum l2_ownership ownership;
		const char *expected;
	} states[] = { { L2_WAITING, open },     { L2_PROBING, open },        { L2_CONFLICT, open },
		       { L2_OWNER, closed },     { L2_STILL_ANSWERED, open }, { L2_OTHER, closed },
		       { L2_NO_INTERFACE, open } };
	struct fixture f = fixture_new();

	(void)state;
	f.table = announce_new(record_change, &f);
	world_external(f.view, "web", "ClusterIP", "203.0.113.1", "", "");
	world_slice(f.view, "web", "w", "10.1.1.1@n1");
	turn(&f);
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		struct l2_state st = { .ownership = states[i].ownership };
		addr_parse("203.0.113.1", &st.addr);
		announce_states(f.table, &st, 1);
		expect_forward(&f, "shop/web", 4, states[i].expected);
	}
	struct addr pool;
	addr_parse("192.0.2.1", &pool);
	struct addr outside = announce_of(f.table, "shop/web")->addr;
	assert_false(view_touch(f.view, "shop/web", &pool));
	assert_true(view_touch(f.view, "shop/web", &outside));
	assert_int_equal(turn(&f), 1);
	fixture_fini(&f);
}

static void services_become_forwarding(void **state)
{
	(void)state;
	struct fixture f = fixture_new();

	world_service(f.view, "web", "192.0.2.1", "");
	world_slice(f.view, "web", "w", "10.1.1.1@n1 10.1.2.1@n2");
	expect_forward(&f, "shop/web", 4, "shop/web ip=10.96.0.9 vip=192.0.2.1 :80/30080>2,0,1");
	expect_forward(&f, "shop/web", 6, "none");
	world_service(f.view, "web", "192.0.2.1",
	              ",'externalTrafficPolicy':'Local','sessionAffinity':'ClientIP',"
	              "'sessionAffinityConfig':{'clientIP':{'timeoutSeconds':60}},"
	              "'loadBalancerSourceRanges':['10.0.0.0/8','2001:db8::/32']");
	expect_forward(&f, "shop/web", 4,
	               "shop/web ip=10.96.0.9 vip=192.0.2.1 from=10.0.0.0/8 external-local "
	               "affinity=60 :80/30080>2,1,1");
	world_service(f.view, "web", "192.0.2.1",
	              ",'loadBalancerSourceRanges':['10.0.0.0/8','0.0.0.0/0']");
	expect_forward(&f, "shop/web", 4, "shop/web ip=10.96.0.9 vip=192.0.2.1 :80/30080>2,0,1");
	/* Another class is still forwarded; a later claimant's address is not. */
	world_service(f.view, "zoo", "192.0.2.1", "");
	expect_forward(&f, "shop/zoo", 4, "shop/zoo ip=10.96.0.9 :80/30080>0,0,0");
	world_service(f.view, "zoo", "192.0.2.3", ",'loadBalancerClass':'example.com/x'");
	expect_forward(&f, "shop/zoo", 4, "shop/zoo ip=10.96.0.9 vip=192.0.2.3 :80/30080>0,0,0");
	world_put(f.view,
	          "{'kind':'Service','metadata':{'namespace':'shop','name':'other','uid':'u',"
	          "'labels':{'service.kubernetes.io/service-proxy-name':'x'}},"
	          "'spec':{'type':'ClusterIP','clusterIP':'10.96.0.8',"
	          "'clusterIPs':['10.96.0.8'],'ports':[{'port':80}]}}");
	expect_forward(&f, "shop/other", 4, "none");
	world_put(f.view,
	          "{'kind':'Service','metadata':{'namespace':'shop','name':'other','uid':'u',"
	          "'labels':{'service.kubernetes.io/headless':''}},"
	          "'spec':{'type':'ClusterIP','clusterIP':'10.96.0.8',"
	          "'clusterIPs':['10.96.0.8'],'ports':[{'port':80}]}}");
	expect_forward(&f, "shop/other", 4, "none");
	world_put(f.view,
	          "{'kind':'Service','metadata':{'namespace':'shop','name':'headless','uid':'u'},"
	          "'spec':{'type':'ClusterIP','clusterIP':'None','clusterIPs':['None'],"
	          "'ports':[{'port':80}]}}");
	expect_forward(&f, "shop/headless", 4, "none");
	world_put(f.view,
	          "{'kind':'Service','metadata':{'namespace':'shop','name':'dual','uid':'u'},"
	          "'spec':{'type':'ClusterIP','clusterIP':'10.96.0.8',"
	          "'clusterIPs':['10.96.0.8','fd00::8'],'ports':[{'name':'a','port':80}]}}");
	expect_forward(&f, "shop/dual", 6, "shop/dual ip=fd00::8 a:80/0>0,0,0");
	/* A cluster IP that it has kept, and a node port that is no more. */
	world_put(f.view,
	          "{'kind':'Service','metadata':{'namespace':'shop','name':'dual','uid':'u'},"
	          "'spec':{'type':'ExternalName','externalName':'example.com',"
	          "'clusterIP':'10.96.0.8','clusterIPs':['10.96.0.8'],'ports':[{'port':80}]}}");
	expect_forward(&f, "shop/dual", 4, "none");
	world_put(f.view,
	          "{'kind':'Service','metadata':{'namespace':'shop','name':'dual','uid':'u'},"
	          "'spec':{'type':'ClusterIP','clusterIP':'10.96.0.8',"
	          "'clusterIPs':['10.96.0.8'],'ports':[{'port':80,'nodePort':30080}]}}");
	expect_forward(&f, "shop/dual", 4, "shop/dual ip=10.96.0.8 :80/0>0,0,0");
	fixture_fini(&f);
}

/* It does so from the VIP itself, where that is bound on the node. */
static void a_node_in_the_ranges_reaches_the_vip(void **state)
{
	static const char node[] = "{'kind':'Node','metadata':{'name':'%s','uid':'u-%s'},"
				   "'status':{'addresses':[{'type':'InternalIP','address':'%s'}]}}";
	static const char ranges[] = ",'loadBalancerSourceRanges':['10.0.0.0/8','2001:db8::/32']";
	static const char without[] =
		"shop/web ip=10.96.0.9 vip=192.0.2.1 from=10.0.0.0/8 :80/30080>0,0,0";
	static const char with[] = "shop/web ip=10.96.0.9 vip=192.0.2.1 from=10.0.0.0/8 "
				   "from=192.0.2.1/32 :80/30080>0,0,0";
	struct fixture f = fixture_new();

	(void)state;
	f.table = announce_new(record_change, &f);
	world_service(f.view, "web", "192.0.2.1", ranges);
	turn(&f);
	expect_forward(&f, "shop/web", 4, without);
	world_put(f.view, node, "n2", "n2", "10.0.0.2");
	turn(&f);
	expect_forward(&f, "shop/web", 4, without);
	world_put(f.view, node, "n1", "n1", "10.0.0.1");
	assert_int_equal(turn(&f), 1);
	expect_forward(&f, "shop/web", 4, with);
	world_put(f.view, node, "n1", "n1", "198.51.100.1");
	assert_int_equal(turn(&f), 1);
	expect_forward(&f, "shop/web", 4, without);
	/* Nobody is kept out, and nobody has to be let in. */
	world_service(f.view, "web", "192.0.2.1",
	              ",'loadBalancerSourceRanges':['198.51.100.0/24','0.0.0.0/0']");
	expect_forward(&f, "shop/web", 4, "shop/web ip=10.96.0.9 vip=192.0.2.1 :80/30080>0,0,0");
	fixture_fini(&f);
}

static void only_admitted_external_ips_are_forwarded(void **state)
{
	(void)state;
	struct fixture f = fixture_new();

	/* Allowed, denied, assigned, taken by an earlier one. */
	world_external(f.view, "early", "ClusterIP", "203.0.113.2", "", "");
	world_external(f.view, "web", "ClusterIP",
	               "203.0.113.1,203.0.113.129,100.64.1.1,203.0.113.2", "100.64.1.1",
	               ",'externalTrafficPolicy':'Local'");
	world_slice(f.view, "web", "w", "10.1.1.1@n1 10.1.2.1@n2");
	expect_forward(&f, "shop/web", 4,
	               "shop/web ip=10.96.0.9 external-ip=203.0.113.1 external-ip=100.64.1.1 "
	               "open=203.0.113.1 external-local :80/0>2,1,1");
	/* It takes a record and a pool for external IPs; and what the status holds is none. */
	world_external(f.view, "web", "NodePort", "100.64.1.1", "", "");
	expect_forward(&f, "shop/web", 4, "shop/web ip=10.96.0.9 :80/0>2,0,1");
	world_external(f.view, "web", "NodePort", "192.0.2.1", "192.0.2.1", "");
	expect_forward(&f, "shop/web", 4, "shop/web ip=10.96.0.9 :80/0>2,0,1");
	world_service(f.view, "lb", "192.0.2.1", ",'externalIPs':['192.0.2.1','203.0.113.3']");
	expect_forward(&f, "shop/lb", 4,
	               "shop/lb ip=10.96.0.9 vip=192.0.2.1 external-ip=203.0.113.3 "
	               "open=203.0.113.3 :80/30080>0,0,0");
	fixture_fini(&f);
}

/* ---- options and key ---- */

static void options_have_defaults_and_bounds(void **state)
{
	(void)state;
	struct speaker_options o = { 0 };
	struct err e = ERR_INIT;
	char name[] = "fairlead-speaker", cidr[] = "--cluster-cidr=10.244.0.0/16,fd00:10::/56",
	     bad[] = "--cluster-cidr=10.244.0.0/16,pods", all[] = "--masquerade-all",
	     ports[] = "--nodeport-addresses=192.0.2.0/24",
	     bad_ports[] = "--nodeport-addresses=eth0",
	     many[] = "--nodeport-addresses=10.0.0.0/8,10.0.0.0/8,10.0.0.0/8,10.0.0.0/8,10.0.0.0/8,"
		      "10.0.0.0/8,10.0.0.0/8,10.0.0.0/8,10.0.0.0/8";
	char *plain[] = { name, NULL }, *cidrs[] = { name, cidr, NULL },
	     *wrong[] = { name, bad, NULL }, *rules[] = { name, all, ports, NULL },
	     *wrong_ports[] = { name, bad_ports, NULL }, *too_many[] = { name, many, NULL };

	assert_int_equal(speaker_options_parse(1, plain, &o, &e), OPTIONS_RUN);
	assert_string_equal(o.proxy_mode, "none");
	assert_string_equal(o.daemon.http, "0.0.0.0:17482");
	assert_string_equal(o.first_use_probe, "on");
	assert_int_equal(speaker_options_parse(2, cidrs, &o, &e), OPTIONS_RUN);
	assert_int_equal(o.plane.n_cluster_cidrs, 2);
	assert_int_equal(o.plane.cluster_cidrs[1].len, 56);
	assert_int_equal(speaker_options_parse(2, wrong, &o, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "--cluster-cidr: \"pods\" is no CIDR"));
	assert_false(o.plane.masquerade_all);
	assert_int_equal(o.plane.n_node_port_cidrs, 0);
	assert_int_equal(speaker_options_parse(3, rules, &o, &e), OPTIONS_RUN);
	assert_true(o.plane.masquerade_all);
	assert_int_equal(o.plane.n_node_port_cidrs, 1);
	assert_int_equal(speaker_options_parse(2, wrong_ports, &o, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "--nodeport-addresses: \"eth0\" is no CIDR"));
	assert_int_equal(speaker_options_parse(2, too_many, &o, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "--nodeport-addresses: at most 8 of them"));
}

static int read_key(const void *content, size_t size, mode_t mode, size_t *ret_size,
                    bool *ret_loose)
{
	char path[] = "/tmp/fairlead-test-key-XXXXXX";
	int fd = mkstemp(path);
	cleanup_free uint8_t *key = NULL;
	struct err e = ERR_INIT;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, size), size);
	fchmod(fd, mode);
	close(fd);
	int r = speaker_key_read(path, &key, ret_size, ret_loose, &e);
	if (r < 0)
		assert_non_null(strstr(e.msg, path));
	unlink(path);
	return r;
}

static void keys_are_bounded(void **state)
{
	(void)state;
	static const char big[SPEAKER_KEY_MAX_BYTES + 1] = { 1 };
	size_t size = 0;
	bool loose = false;
	uint8_t *key = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(read_key("sixteen letters!\n", 17, 0600, &size, &loose), 0);
	assert_int_equal(size, 16);
	assert_false(loose);
	assert_int_equal(read_key("s\0xteen letters\n\n", 17, 0644, &size, &loose), 0);
	assert_int_equal(size, 16);
	assert_true(loose);
	assert_int_equal(read_key("", 0, 0600, &size, &loose), -EINVAL);
	assert_int_equal(read_key("\n", 1, 0600, &size, &loose), -EINVAL);
	assert_int_equal(read_key("k", 1, 0600, &size, &loose), -EINVAL);
	assert_int_equal(read_key("fifteen letters\n", 16, 0600, &size, &loose), -EINVAL);
	assert_int_equal(read_key(big, sizeof(big) - 1, 0600, &size, &loose), 0);
	assert_int_equal(read_key(big, sizeof(big), 0600, &size, &loose), -EINVAL);
	assert_int_equal(speaker_key_read("/nonexistent/key", &key, &size, &loose, &e), -ENOENT);
}

static void one_rule_says_what_a_key_is(void **state)
{
	(void)state;
	static const struct {
		size_t size;
		const char *words; /* NULL: it is one */
	} cases[] = {
		{ 0, "16 to 4096 bytes, and this one has 0;" },
		{ 1, "16 to 4096 bytes, and this one has 1;" },
		{ 15, "and this one has 15;" },
		{ 16, NULL },
		{ 32, NULL },
		{ SPEAKER_KEY_MAX_BYTES, NULL },
		{ SPEAKER_KEY_MAX_BYTES + 1, "and this one has at least 4097;" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = ERR_INIT;
		int r = speaker_key_check(cases[i].size, &e);
		assert_int_equal(r, cases[i].words ? -EINVAL : 0);
		if (cases[i].words)
			assert_non_null(strstr(e.msg, cases[i].words));
	}
}

static struct kube_secret *secret_of(const char *key, const char *value, size_t size)
{
	struct kube_secret *s = xcalloc(1, sizeof(*s));

	s->items = xcalloc(1, sizeof(*s->items));
	s->items[s->n++] = (struct kube_secret_item){ .key = xstrdup(key),
		                                      .value = xmemdup(value, size + 1),
		                                      .size = size };
	return s;
}

static void passwords_are_had_or_refused_with_words(void **state)
{
	(void)state;
	char tor[] = "tor", other[] = "other";
	const struct config_peer open = { 0 }, asks = { .password_secret = tor },
				 asks_other = { .password_secret = other };
	struct passwords p = { 0 };
	char *got = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(passwords_of(&p, &open, &got, &e), 0);
	assert_null(got);
	assert_int_equal(passwords_of(&p, &asks, &got, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "--bgp-password-secret"));
	p.name = "passwords";
	assert_int_equal(passwords_of(&p, &asks, &got, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "Secret passwords with the key tor could not be read yet"));
	assert_true(passwords_set(&p, NULL));
	assert_false(passwords_set(&p, NULL));
	e = (struct err)ERR_INIT;
	assert_int_equal(passwords_of(&p, &asks, &got, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "there is no Secret passwords with the key tor"));
	assert_true(passwords_set(&p, secret_of("tor", "secret\n", 7)));
	assert_int_equal(passwords_of(&p, &asks, &got, &e), 0);
	assert_string_equal(got, "secret");
	free(got);
	/* The same once more is no news, and a Secret that goes takes nothing along. */
	assert_false(passwords_set(&p, secret_of("tor", "secret\n", 7)));
	assert_false(passwords_set(&p, NULL));
	assert_int_equal(passwords_of(&p, &asks, &got, &e), 0);
	free(got);
	e = (struct err)ERR_INIT;
	assert_int_equal(passwords_of(&p, &asks_other, &got, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "has no key other"));
	assert_null(got);
	static const struct {
		const char *value;
		size_t size;
	} bad[] = { { "", 0 }, { "\n", 1 }, { "a\0b", 3 } };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		passwords_set(&p, secret_of("tor", bad[i].value, bad[i].size));
		assert_int_equal(passwords_of(&p, &asks, &got, &e), -EINVAL);
	}
	passwords_fini(&p);
}

/*
 * Another load balancer's Service is no business of ours: nothing is said of it, not even why not.
 */
static void other_classes_are_not_spoken_of(void **state)
{
	(void)state;
	struct fixture f = fixture_new();
	f.table = announce_new(NULL, NULL);

	world_service(f.view, "web", "192.0.2.1", ",'loadBalancerClass':'example.com/x'");
	world_slice(f.view, "web", "web-1", "10.1.1.1@n1");
	turn(&f);
	assert_null(announce_of(f.table, "shop/web"));
	world_service(f.view, "web", "192.0.2.1", "");
	turn(&f);
	assert_non_null(announce_of(f.table, "shop/web"));
	fixture_fini(&f);
}

static void record_nowhere(const struct announcement *a, void *arg)
{
	buf_printf(&((struct fixture *)arg)->log, "%s %s %s\n", a->key, addr_str(&a->addr),
	           reason_name(a->nowhere));
}

#define NODE(name, more, ready)                                            \
	"{'kind':'Node','metadata':{'name':'" name "','uid':'u'" more "}," \
	"'status':{'conditions':[{'type':'Ready','status':'" ready "'}]}}"
#define DRAINED ",'annotations':{'fairlead.io/drain':'true'}"

static void that_no_node_may_announce_is_told_once_it_lasts(void **state)
{
	(void)state;
	struct fixture f = fixture_new();
	struct lasting *known = lasting_new();
	struct budget budget = { 0 };
	int64_t now = 1000;
	f.table = announce_new(NULL, NULL);

#define LOOK(ms) nowhere_look(known, f.view, f.table, &budget, now += (ms), record_nowhere, &f)
	world_service(f.view, "web", "192.0.2.1", "");
	world_slice(f.view, "web", "web-1", "10.1.1.1@n1");
	world_service(f.view, "idle", "192.0.2.2", "");
	for (int i = 1; i <= 3; i++)
		world_put(f.view, i == 1   ? NODE("n1", DRAINED, "True")
		                  : i == 2 ? NODE("n2", DRAINED, "True")
		                           : NODE("n3", "", "True"));
	turn(&f);
	LOOK(0);
	LOOK(2 * NOWHERE_LASTS_MS);
	expect_log(&f, "");
	/* The last one, too. */
	world_put(f.view, NODE("n3", DRAINED, "True"));
	turn(&f);
	LOOK(2000);
	LOOK(NOWHERE_LASTS_MS - 2000);
	expect_log(&f, "");
	LOOK(2000);
	expect_log(&f, "shop/web 192.0.2.1 NodeDrained\n");
	LOOK(60000);
	expect_log(&f, "");
	/* In between a node may, which is news, and so it is when that ends. */
	world_put(f.view, NODE("n3", "", "True"));
	turn(&f);
	LOOK(2000);
	expect_log(&f, "shop/web 192.0.2.1 Candidate\n");
	world_put(f.view, NODE("n3", DRAINED, "True"));
	turn(&f);
	LOOK(2000);
	/* Meanwhile another node's speaker is the one to tell. */
	world_put(f.view, NODE("n1", DRAINED, "Unknown"));
	turn(&f);
	LOOK(NOWHERE_LASTS_MS);
	expect_log(&f, "");
	world_put(f.view, NODE("n1", DRAINED, "True"));
	turn(&f);
	LOOK(2000);
	expect_log(&f, "shop/web 192.0.2.1 NodeDrained\n");
	view_remove_service(f.view, "shop", "web");
	turn(&f);
	assert_int_equal(announce_n_nowhere(f.table), 0);
	LOOK(2000);
	expect_log(&f, "");
#undef LOOK
	lasting_free(known);
	fixture_fini(&f);
}

/* ---- Services that no node carries ---- */

static void record_uncarried(const char *key, const uint8_t uid[static VIEW_UID_SIZE],
                             enum reason reason, void *arg)
{
	(void)uid;
	buf_printf(&((struct fixture *)arg)->log, "%s %s\n", key, reason_name(reason));
}

static void expect_rows(struct fixture *f, const struct uncarried *u, const char *rows)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;
	cleanup_free char *want = xasprintf("{\"uncarried\":[%s]}", rows);
	struct out o;

	out_init(&o, OUT_JSON, &text);
	out_object(&o, NULL);
	uncarried_status(u, f->table, "uncarried", &o);
	out_close(&o);
	out_fini(&o);
	assert_int_equal(strncmp(buf_str(&text), want, strlen(want)), 0);
}

static void what_no_node_carries_is_told_once_by_one_speaker(void **state)
{
	(void)state;
	struct fixture f = fixture_new();
	struct uncarried *u = uncarried_new();
	struct budget budget = { 0 };
	size_t counts[REASON_COUNT] = { 0 };
	int64_t now = 1000;
	f.table = announce_new(NULL, NULL);

#define LOOK(ms) uncarried_look(u, f.view, f.table, &budget, now += (ms), record_uncarried, &f)
#define SET(name, reason) \
	uncarried_set(u, view_service_named(f.view, "shop/" name), REASON_##reason)
	world_put(f.view, NODE("n0", "", "False"));
	world_put(f.view, NODE("n1", "", "True"));
	world_put(f.view,
	          "{'kind':'Service','metadata':{'namespace':'shop','name':'db','uid':'uid-db'},"
	          "'spec':{'clusterIP':'10.96.0.8','ports':[{'port':80}]}}");
	turn(&f);
	LOOK(0);
	SET("db", CrowdedOut);
	LOOK(2000);
	LOOK(NOWHERE_LASTS_MS - 2000);
	expect_log(&f, "");
	LOOK(2000);
	expect_log(&f, "shop/db CrowdedOut\n");
	expect_rows(&f, u, "{\"service\":\"shop/db\",\"reason\":\"CrowdedOut\"}");
	LOOK(60000);
	expect_log(&f, "");
	/* For another reason, which is no end. */
	SET("db", TooLarge);
	LOOK(2000);
	LOOK(NOWHERE_LASTS_MS);
	expect_log(&f, "shop/db TooLarge\n");
	SET("db", Candidate);
	LOOK(2000);
	expect_log(&f, "shop/db Candidate\n");
	expect_rows(&f, u, "");
	/* Another speaker tells: that of a Ready node that comes before. */
	world_put(f.view, NODE("n0", "", "True"));
	SET("db", TooLarge);
	LOOK(2000);
	LOOK(NOWHERE_LASTS_MS);
	expect_log(&f, "");
	world_put(f.view, NODE("n0", "", "False"));
	LOOK(2000);
	expect_log(&f, "shop/db TooLarge\n");
	/* One that no proxy is to carry any more is not carried again. */
	world_put(f.view, "{'kind':'Service','metadata':{'namespace':'shop','name':'db',"
	                  "'uid':'uid-db'},'spec':{'type':'ExternalName'}}");
	turn(&f);
	SET("db", Candidate);
	LOOK(2000);
	expect_log(&f, "");
	/* One that is gone has no Events. */
	SET("db", TooLarge);
	LOOK(2000);
	LOOK(NOWHERE_LASTS_MS);
	expect_log(&f, "shop/db TooLarge\n");
	uncarried_drop(u, "shop/db");
	view_remove_service(f.view, "shop", "db");
	turn(&f);
	LOOK(2000);
	expect_log(&f, "");
	uncarried_count(u, counts);
	assert_int_equal(counts[REASON_TooLarge], 0);
#undef LOOK
	uncarried_free(u);
	fixture_fini(&f);
}

/* However many a tenant has. */
static void each_namespace_has_its_share_of_rows(void **state)
{
	(void)state;
	enum { MANY = 3 * UNCARRIED_OF_NAMESPACE_MAX };
	struct fixture f = fixture_new();
	struct uncarried *u = uncarried_new();
	cleanup(buf_fini) struct buf rows = BUF_INIT;
	struct view_service s = { 0 };
	char key[32];
	f.table = announce_new(NULL, NULL);

	for (int i = 0; i < MANY; i++) {
		snprintf(key, sizeof(key), "mall/s%d", i);
		s.key = key;
		uncarried_set(u, &s, REASON_TooLarge);
		if (i < UNCARRIED_OF_NAMESPACE_MAX)
			buf_printf(&rows, "{\"service\":\"%s\",\"reason\":\"TooLarge\"},", key);
	}
	s.key = (char[]){ "ma/web" };
	uncarried_set(u, &s, REASON_TooLarge);
	buf_puts(&rows, "{\"service\":\"ma/web\",\"reason\":\"TooLarge\"}");
	expect_rows(&f, u, buf_str(&rows));
	uncarried_free(u);
	fixture_fini(&f);
}

/* The announcement of an address tells, on each node; and nobody else then does. */
static void what_an_address_tells_is_not_told_again(void **state)
{
	(void)state;
	struct fixture f = fixture_new();
	struct uncarried *u = uncarried_new();
	struct budget budget = { 0 };
	size_t counts[REASON_COUNT] = { 0 };
	f.table = announce_new(NULL, NULL);

	world_put(f.view, NODE("n1", "", "True"));
	world_service(f.view, "web", "192.0.2.1", "");
	turn(&f);
	/* That it has no endpoint is what its announcement says. */
	SET("web", NoEndpoints);
	uncarried_look(u, f.view, f.table, &budget, 1000, record_uncarried, &f);
	uncarried_look(u, f.view, f.table, &budget, 90000, record_uncarried, &f);
	expect_log(&f, "");
	expect_rows(&f, u, "");
	SET("web", TooLarge);
	uncarried_look(u, f.view, f.table, &budget, 1000, record_uncarried, &f);
	uncarried_look(u, f.view, f.table, &budget, 90000, record_uncarried, &f);
	expect_log(&f, "shop/web TooLarge\n");
	uncarried_count(u, counts);
	assert_int_equal(counts[REASON_TooLarge], 1);
#undef SET
	uncarried_free(u);
	fixture_fini(&f);
}

/* ---- what was taken over ---- */

static void record_former(const struct announcement *a, enum reason old_reason,
                          const char *old_owner, void *arg)
{
	(void)old_reason;
	(void)old_owner;
	if (a->reason == REASON_Announced)
		buf_printf(&((struct fixture *)arg)->log, "%s;", a->former);
}

/*
 * Only another node that owned it just before is one to take over from: not this one before a
 * restart, and nobody twice.
 */
static void the_former_owner_is_known_once(void **state)
{
	(void)state;
	static const struct {
		enum l2_ownership ownership;
		const char *owner, *log;
	} steps[] = {
		{ L2_OWNER, "n1", ";" },         { L2_PROBING, "", "" },   { L2_OWNER, "n1", ";" },
		{ L2_OTHER, "n2", "" },          { L2_OTHER, "n3", "" },   { L2_PROBING, "", "" },
		{ L2_OWNER, "n1", "n3;" },       { L2_WAITING, "n1", "" }, { L2_OWNER, "n1", ";" },
		{ L2_STILL_ANSWERED, "n2", "" }, { L2_OWNER, "n1", ";" },
	};
	struct fixture f = fixture_new();
	struct l2_state st = { 0 };
	f.table = announce_new(record_former, &f);

	world_service(f.view, "web", "192.0.2.1", "");
	world_slice(f.view, "web", "web-1", "10.1.1.1@n1");
	turn(&f);
	addr_parse("192.0.2.1", &st.addr);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		st.ownership = steps[i].ownership;
		snprintf(st.owner, sizeof(st.owner), "%s", steps[i].owner);
		announce_states(f.table, &st, 1);
		expect_log(&f, steps[i].log);
	}
	fixture_fini(&f);
}

static void record_taken(const struct ownership_change *changes, size_t n, void *arg)
{
	buf_printf(arg, "%zu:", n);
	for (size_t i = 0; i < n && i < OWNERSHIP_EACH_MAX; i++)
		buf_printf(arg, " %s %s %s", changes[i].key, addr_str(&changes[i].addr),
		           changes[i].from);
	buf_putc(arg, ';');
}

static void what_is_taken_over_is_told_together(void **state)
{
	(void)state;
	struct ownership *o = ownership_new();
	struct budget budget = { 0 };
	cleanup(buf_fini) struct buf log = BUF_INIT;
	char key[] = "shop/web";
	struct announcement a = { .key = key };

	addr_parse("192.0.2.1", &a.addr);
	ownership_look(o, &budget, 1000, record_taken, &log);
	ownership_add(o, &a, "n2", 1000);
	ownership_look(o, &budget, 1000 + OWNERSHIP_COLLECT_MS - 1, record_taken, &log);
	assert_string_equal(buf_str(&log), "");
	ownership_look(o, &budget, 1000 + OWNERSHIP_COLLECT_MS, record_taken, &log);
	assert_string_equal(buf_str(&log), "1: shop/web 192.0.2.1 n2;");
	buf_clear(&log);
	for (int i = 0; i < 300; i++)
		ownership_add(o, &a, "n3", 5000 + i);
	ownership_look(o, &budget, 9000, record_taken, &log);
	assert_int_equal(strncmp(buf_str(&log), "300: shop/web", 13), 0);
	/* Again and again: some are told, and what is not told now is told with the next. */
	buf_clear(&log);
	for (int64_t now = 10000; now < 40000; now += 1000) {
		ownership_add(o, &a, "n2", now);
		ownership_look(o, &budget, now, record_taken, &log);
	}
	size_t n_told = 0;
	for (const char *c = buf_str(&log); *c; c++)
		n_told += *c == ';';
	assert_in_range(n_told, 1, BUDGET_BURST);
	ownership_add(o, &a, "n2", 50000);
	ownership_free(o);
}

/* What somebody may write by the hundred, and is denied, fills no log. */
static void denied_addresses_fill_no_log(void **state)
{
	(void)state;
	static const struct {
		enum reason reason, before;
		const char *says; /* NULL: nothing at this level */
	} rows[] = {
		{ REASON_ExternalIpNotAllowed, REASON_COUNT, NULL },
		{ REASON_ExternalIpNotAllowed, REASON_NotForwarded, NULL },
		{ REASON_ExternalIpNotAllowed, REASON_Announced, "no longer announcing" },
		{ REASON_AddressNotInPool, REASON_COUNT, "not announcing" },
		{ REASON_Announced, REASON_ExternalIpNotAllowed, "announcing" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct announcement a = { .key = "shop/web",
			                  .owner = (char[]){ "" },
			                  .reason = rows[i].reason };
		char text[512];
		int fds[2];

		addr_parse("7.7.7.7", &a.addr);
		assert_int_equal(pipe(fds), 0);
		log_set_fd(fds[1]);
		speaker_log_change(&a, rows[i].before, "");
		log_set_fd(STDERR_FILENO);
		close(fds[1]);
		ssize_t n = read(fds[0], text, sizeof(text) - 1);
		close(fds[0]);
		text[n > 0 ? n : 0] = '\0';
		if (rows[i].says ? !strstr(text, rows[i].says) : n != 0)
			fail_msg("%zu: %s", i, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_former_owner_is_known_once),
		cmocka_unit_test(what_is_taken_over_is_told_together),
		cmocka_unit_test(denied_addresses_fill_no_log),
		cmocka_unit_test(the_data_plane_comes_first),
		cmocka_unit_test(what_others_break_is_not_announced),
		cmocka_unit_test(policy_local_names_the_nodes_with_endpoints),
		cmocka_unit_test(routes_come_after_the_data_plane_and_go_before_it),
		cmocka_unit_test(states_become_reasons),
		cmocka_unit_test(an_address_changes_hands),
		cmocka_unit_test(an_address_is_shared),
		cmocka_unit_test(a_sharer_is_made_anew),
		cmocka_unit_test(external_ips_are_announced_like_others),
		cmocka_unit_test(a_recreated_service_waits_for_its_rules),
		cmocka_unit_test(a_new_node_renumbers_the_candidates),
		cmocka_unit_test(the_snapshot_names_the_ranges_of_layer_2),
		cmocka_unit_test(the_snapshot_says_where),
		cmocka_unit_test(what_is_retained_stays_in_its_place),
		cmocka_unit_test(one_change_among_many_is_one_decision),
		cmocka_unit_test(a_guard_outside_the_pools_comes_with_the_owner),
		cmocka_unit_test(services_become_forwarding),
		cmocka_unit_test(a_node_in_the_ranges_reaches_the_vip),
		cmocka_unit_test(only_admitted_external_ips_are_forwarded),
		cmocka_unit_test(options_have_defaults_and_bounds),
		cmocka_unit_test(keys_are_bounded),
		cmocka_unit_test(one_rule_says_what_a_key_is),
		cmocka_unit_test(passwords_are_had_or_refused_with_words),
		cmocka_unit_test(other_classes_are_not_spoken_of),
		cmocka_unit_test(that_no_node_may_announce_is_told_once_it_lasts),
		cmocka_unit_test(what_no_node_carries_is_told_once_by_one_speaker),
		cmocka_unit_test(each_namespace_has_its_share_of_rows),
		cmocka_unit_test(what_an_address_tells_is_not_told_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
