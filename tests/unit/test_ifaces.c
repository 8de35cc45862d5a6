/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Which interface serves an address, for what the kernel answers by itself, and what is told of it.
 */
#include "unit.h"

#include <stdlib.h>

#include "fairlead/mem.h"
#include "l2/ifaces.h"
#include "l2/segment.h"
#include "l2/troubles.h"
#include "speaker/trouble_news.h"

static void add_subnet(struct iface *i, const char *own, unsigned int len)
{
	assert_int_equal(addr_parse(own, &i->subnets[i->n_subnets].own), 0);
	i->subnets[i->n_subnets].prefix = prefix_of(&i->subnets[i->n_subnets].own, len);
	i->n_subnets++;
}

static void the_longest_subnet_has_the_address(void **state)
{
	(void)state;
	struct iface list[] = { { .name = "wide", .index = 1 }, { .name = "lan", .index = 2 } };
	struct ifaces all = { .list = list, .n = 2 };
	add_subnet(&list[0], "192.168.0.1", 16);
	add_subnet(&list[0], "10.0.0.1", 24);
	add_subnet(&list[1], "192.168.1.11", 24);
	static const struct {
		const char *address, *interface;
	} cases[] = {
		{ "192.168.1.240", "lan" }, { "192.168.2.1", "wide" }, { "10.0.0.9", "wide" },
		{ "10.0.1.9", NULL },       { "2001:db8::1", NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct addr a;
		assert_int_equal(addr_parse(cases[i].address, &a), 0);
		const struct iface *found = ifaces_find(&all, NULL, &a);
		if (cases[i].interface)
			assert_string_equal(found->name, cases[i].interface);
		else
			assert_null(found);
	}
	struct addr_range r;
	addr_parse("192.168.0.250", &r.first);
	addr_parse("192.168.1.5", &r.last);
	assert_true(ifaces_serves(&all, NULL, &list[0], &r));
	assert_true(ifaces_serves(&all, NULL, &list[1], &r));
	r.last = r.first;
	assert_false(ifaces_serves(&all, NULL, &list[1], &r));

	/* A second interface in the same subnet has nothing to do. */
	struct iface legs[] = { { .name = "first", .index = 1 }, { .name = "second", .index = 2 } };
	struct ifaces both = { .list = legs, .n = 2 };
	add_subnet(&legs[0], "192.168.0.11", 24);
	add_subnet(&legs[1], "192.168.0.12", 24);
	assert_true(ifaces_serves(&both, NULL, &legs[0], &r));
	assert_false(ifaces_serves(&both, NULL, &legs[1], &r));

	/* But it takes over from one that is down, and keeps it when that one is back. */
	struct addr a = legs[0].subnets[0].own;
	legs[1].up = true;
	assert_ptr_equal(ifaces_find(&both, NULL, &a), &legs[1]);
	assert_true(ifaces_serves(&both, NULL, &legs[1], &r));
	assert_false(ifaces_serves(&both, NULL, &legs[0], &r));
	legs[0].up = true;
	assert_ptr_equal(ifaces_find(&both, NULL, &a), &legs[0]);
	legs[1].in_use = true;
	assert_ptr_equal(ifaces_find(&both, NULL, &a), &legs[1]);
	legs[1].up = false;
	assert_ptr_equal(ifaces_find(&both, NULL, &a), &legs[0]);

	/* It is spare while the other one serves, and then the first is. */
	legs[0].up = legs[1].up = true;
	legs[0].in_use = legs[1].in_use = false;
	assert_false(ifaces_is_spare(&both, 1));
	assert_true(ifaces_is_spare(&both, 2));
	legs[0].up = false;
	assert_true(ifaces_is_spare(&both, 1));
	assert_false(ifaces_is_spare(&both, 2));
	legs[0].up = true;

	/* Of those that are allowed alone, whatever the others are like. */
	static const bool second[] = { false, true }, none[] = { false, false };
	assert_ptr_equal(ifaces_find(&both, second, &a), &legs[1]);
	assert_true(ifaces_serves(&both, second, &legs[1], &r));
	assert_false(ifaces_serves(&both, second, &legs[0], &r));
	assert_null(ifaces_find(&both, none, &a));
	legs[1].up = false;
	assert_ptr_equal(ifaces_find(&both, second, &a), &legs[1]);
	legs[1].up = true;

	/* Two of one subnet meet; one that is part of the other is another. */
	assert_true(ifaces_meet(&legs[0], &legs[1]));
	assert_false(ifaces_meet(&list[0], &legs[1]));
	legs[0].n_subnets = 0;
	add_subnet(&legs[0], "192.168.0.13", 25);
	assert_false(ifaces_meet(&legs[0], &legs[1]));

	struct iface other[] = { list[0], list[1] };
	struct ifaces same = { .list = other, .n = 2 };
	assert_true(ifaces_eq(&all, &same));
	other[1].up = true;
	assert_false(ifaces_eq(&all, &same));
}

static struct addr addr_of(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

/* As arp_ignore of the kernel's documentation (ip-sysctl). */
static void the_kernel_answers_for_addresses_of_the_node(void **state)
{
	(void)state;
	struct iface lan = { .name = "eth0", .index = 2 };
	struct iface_local locals[] = {
		{ .addr = addr_of("127.0.0.1"), .index = 1, .host_scope = true, .interface = "lo" },
		{ .addr = addr_of("192.168.1.240"), .index = 9, .interface = "kube-ipvs0" },
		{ .addr = addr_of("192.168.1.241"), .index = 2, .interface = "eth0" },
		{ .addr = addr_of("192.168.1.242"),
		  .index = 1,
		  .host_scope = true,
		  .interface = "lo" },
		{ .addr = addr_of("192.168.1.243"), .index = 9, .interface = "kube-ipvs0" },
		{ .addr = addr_of("192.168.1.243"), .index = 2, .interface = "eth0" },
	};
	struct ifaces all = {
		.list = &lan, .n = 1, .locals = locals, .n_locals = ARRAY_LEN(locals)
	};
	static const struct {
		int arp_ignore;
		const char *dummy, *own, *host, *both;
	} cases[] = {
		{ -1, NULL, NULL, NULL, NULL },
		{ 0, "kube-ipvs0", "eth0", "lo", "kube-ipvs0" },
		{ 1, NULL, "eth0", NULL, "eth0" },
		{ 2, NULL, "eth0", NULL, "eth0" },
		{ 3, "kube-ipvs0", "eth0", NULL, "kube-ipvs0" },
		{ 4, "kube-ipvs0", "eth0", "lo", "kube-ipvs0" },
		{ 8, NULL, NULL, NULL, NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *const wanted[] = { cases[i].dummy, cases[i].own, cases[i].host,
			                       cases[i].both, NULL };
		lan.arp_ignore = cases[i].arp_ignore;
		for (size_t k = 0; k < ARRAY_LEN(wanted); k++) {
			struct addr a = addr_of("192.168.1.240");
			a.b[3] = (uint8_t)(a.b[3] + k);
			const char *on = ifaces_kernel_answers(&all, &lan, &a);
			if (wanted[k])
				assert_string_equal(on, wanted[k]);
			else
				assert_null(on);
		}
	}
}

/* Compiled when they change, tried when the interfaces do; a name is a whole one. */
static void places_allow_interfaces(void **state)
{
	(void)state;
	struct iface list[] = { { .name = "eth1" }, { .name = "eth10" }, { .name = "bond0.7" } };
	struct iface fewer[] = { { .name = "bond0" }, { .name = "eth1" } };
	const struct ifaces all = { .list = list, .n = 3 }, later = { .list = fewer, .n = 2 };
	struct l2_place list_of_places[] = { { "(eth1)", "" },
		                             { "", "" },
		                             { "(eth[0-9]+)|(bond0\\.7)", "" } };
	struct l2_snapshot s = { .places = list_of_places, .n_places = 3 };
	static const bool want[3][3] = { { true, false, false }, { 0 }, { true, true, true } };
	struct place_store store = { 0 };
	struct places *p = places_new(&store, &s), *again;

	assert_int_equal(places_look(p, &all, 1), 6);
	assert_null(places_allowed(p, 2)); /* all */
	assert_null(places_allowed(p, 0));
	assert_null(places_allowed(NULL, 1));
	for (uint16_t i = 0; i < 3; i += 2)
		assert_memory_equal(places_allowed(p, (uint16_t)(i + 1)), want[i], sizeof(want[i]));
	assert_int_equal(store.n_compiled, 2);

	/* Another snapshot with the same, in another order: nothing is done again. */
	list_of_places[0].interfaces = "(eth[0-9]+)|(bond0\\.7)";
	list_of_places[2].interfaces = "(eth1)";
	again = places_new(&store, &s);
	places_free(p);
	assert_int_equal(store.n_compiled, 2);
	assert_int_equal(places_look(again, &all, 1), 0);
	assert_memory_equal(places_allowed(again, 1), want[2], sizeof(want[2]));
	assert_memory_equal(places_allowed(again, 3), want[0], sizeof(want[0]));

	assert_int_equal(places_look(again, &later, 2), 4);
	assert_false(places_allowed(again, 1)[0]);
	assert_true(places_allowed(again, 3)[1]);
	assert_false(places_allowed(again, 3)[0]);
	places_free(again);

	/* One more is compiled, and those that are gone are forgotten. */
	list_of_places[0].interfaces = "(bond.)";
	s.n_places = 1;
	p = places_new(&store, &s);
	assert_int_equal(store.n_compiled, 3);
	assert_int_equal(places_look(p, &later, 2), 2);
	assert_true(places_allowed(p, 1)[0]);
	assert_false(places_allowed(p, 1)[1]);
	assert_null(places_allowed(p, 3));
	place_store_fini(&store);
	assert_int_equal(places_look(p, &later, 2), 0); /* it is still the snapshot's */
	places_free(p);
}

/* An interface of the subnet comes first; else one that takes any address, and has a carrier. */
static void addresses_of_no_subnet_are_announced_where_that_is_asked_for(void **state)
{
	(void)state;
	struct iface list[] = { { .name = "eth0", .index = 1, .up = true },
		                { .name = "eth1", .index = 2 },
		                { .name = "eth2", .index = 3, .up = true },
		                { .name = "eth3", .index = 4, .up = true } };
	struct ifaces all = { .list = list, .n = 4 };
	struct l2_place some[] = { { "(eth[0-9])", "" },
		                   { "(eth1)|(eth2)|(eth3)", "(eth1)|(eth2)|(eth3)" },
		                   { "", "(eth7)" } };
	struct l2_snapshot s = { .places = some, .n_places = 3 };
	struct place_store store = { 0 };
	struct places *p = places_new(&store, &s);
	const struct addr near = addr_of("192.168.1.240"), far = addr_of("198.51.100.1");

	add_subnet(&list[0], "192.168.1.11", 24);
	add_subnet(&list[1], "10.0.0.1", 32);
	places_look(p, &all, 1);
	assert_null(places_find(p, 0, &all, &far));
	assert_null(places_find(p, 1, &all, &far));
	assert_ptr_equal(places_find(p, 1, &all, &near), &list[0]);
	assert_ptr_equal(places_find(p, 2, &all, &far), &list[2]);
	assert_ptr_equal(places_find(p, 2, &all, &near), &list[2]);
	assert_null(places_find(p, 3, &all, &far));
	assert_ptr_equal(places_find(p, 3, &all, &near), &list[0]);
	assert_true(places_routed(p, 2) && places_routed(p, 3) && !places_routed(p, 1));
	/* It stays where it is, and goes back to none that it has left. */
	list[1].up = list[3].in_use = true;
	assert_ptr_equal(places_find(p, 2, &all, &far), &list[3]);
	list[3].up = false;
	assert_ptr_equal(places_find(p, 2, &all, &far), &list[1]);
	add_subnet(&list[3], "198.51.100.9", 24);
	assert_ptr_equal(places_find(p, 2, &all, &far), &list[3]);
	places_free(p);
	place_store_fini(&store);
}

/* By position, as 'x' and '.', where the range is joined. */
static const char *joined(const struct places *p, uint16_t place, const struct ifaces *all,
                          const char *first, const char *last)
{
	static char text[8];
	bool chosen[8] = { false };
	const struct addr_range r = { addr_of(first), addr_of(last) };

	places_join(p, place, all, &r, chosen);
	for (size_t i = 0; i < all->n; i++)
		text[i] = chosen[i] ? 'x' : '.';
	text[all->n] = '\0';
	return text;
}

/* An interface that takes any address is not joined for what others take all of. */
static void a_range_is_joined_where_it_may_be_announced(void **state)
{
	(void)state;
	struct iface list[] = { { .name = "eth0" }, { .name = "eth1" }, { .name = "eth2" } };
	const struct ifaces all = { .list = list, .n = 3 };
	struct l2_place some[] = { { "(eth1)", "" }, { "(eth[02])", "(eth2)" } };
	struct l2_snapshot s = { .places = some, .n_places = 2 };
	struct place_store store = { 0 };
	struct places *p = places_new(&store, &s);

	add_subnet(&list[0], "192.168.1.11", 24);
	add_subnet(&list[1], "192.168.1.12", 24);
	add_subnet(&list[2], "192.168.2.11", 24);
	places_look(p, &all, 1);
	assert_string_equal(joined(p, 0, &all, "192.168.1.1", "192.168.1.9"), "x..");
	assert_string_equal(joined(p, 1, &all, "192.168.1.1", "192.168.1.9"), ".x.");
	assert_string_equal(joined(p, 2, &all, "192.168.1.0", "192.168.1.255"), "x..");
	assert_string_equal(joined(p, 2, &all, "192.168.1.0", "192.168.2.9"), "x.x");
	assert_string_equal(joined(p, 2, &all, "192.168.0.255", "192.168.1.9"), "x.x");
	assert_string_equal(joined(p, 2, &all, "198.51.100.1", "198.51.100.1"), "..x");
	list[2].n_subnets = 0;
	assert_string_equal(joined(p, 2, &all, "192.168.1.0", "192.168.2.9"), "x.x");
	assert_string_equal(joined(p, 2, &all, "192.168.1.9", "192.168.1.9"), "x..");
	places_free(p);
	place_store_fini(&store);
}

static void troubles_are_told_by_cause(void **state)
{
	(void)state;
	struct iface lan[] = { { .name = "eth0", .index = 2, .proxy_arp = 1 },
		               { .name = "eth1", .index = 3, .arp_ignore = 1, .proxy_arp = 1 } };
	struct iface_local locals[] = {
		{ .addr = addr_of("192.168.1.240"), .index = 9, .interface = "kube-ipvs0" },
		{ .addr = addr_of("192.168.1.241"), .index = 9, .interface = "kube-ipvs0" },
	};
	struct ifaces all = { .list = lan, .n = 2, .locals = locals, .n_locals = 2 };
	struct want_map wants = { 0 };
	for (size_t i = 0; i < 3; i++)
		want_map_put(
			&wants,
			&(struct l2_want){ .addr = { 4, { 192, 168, 1, (uint8_t)(240 + i) } } },
			NULL);
	struct iface_tally tally[] = { { 3, 3 }, { 0, 0 } };
	struct troubles t = { 0 }, same = { 0 };
	add_subnet(&lan[0], "192.168.1.11", 24);
	add_subnet(&lan[1], "192.168.9.11", 24); /* serves nothing, so nothing is said of it */
	troubles_of_kernel(&t, &all, NULL, &wants, tally);
	assert_int_equal(t.n, 2);
	assert_int_equal(t.list[0].reason, REASON_KernelAnswers);
	assert_string_equal(t.list[0].interface, "eth0");
	assert_non_null(strstr(t.list[0].message,
	                       "192.168.1.240 is an address of this node's own on "
	                       "kube-ipvs0, and arp_ignore is 0"));
	assert_non_null(strstr(t.list[0].message, "(2 addresses)"));
	assert_int_equal(t.list[1].reason, REASON_ProxyArp);
	troubles_of_kernel(&same, &all, NULL, &wants, tally);
	assert_true(troubles_eq(&t, &same));
	lan[0].arp_ignore = 1;
	lan[0].proxy_arp = 0;
	troubles_fini(&same);
	troubles_of_kernel(&same, &all, NULL, &wants, tally);
	assert_int_equal(same.n, 0);
	want_map_fini(&wants);
	assert_false(troubles_eq(&t, &same));
	troubles_fini(&same);
	troubles_fini(&t);

	/* One stranger with one address is that address's matter; with three it is none. */
	struct l2_state states[7] = {
		{ .ownership = L2_CONFLICT, .mac = { 6, 1 } },
		{ .ownership = L2_OWNER, .mac = { 6, 1 } },
		{ .ownership = L2_CONFLICT, .mac = { 6, 1 } },
		{ .ownership = L2_CONFLICT, .mac = { 6, 2 } },
		{ .ownership = L2_KERNEL_ANSWERS, .mac = { 2, 1 }, .peer_kernel = true },
		{ .ownership = L2_KERNEL_ANSWERS, .mac = { 2, 2 }, .owner = "b" },
		{ .ownership = L2_CONFLICT }
	};
	troubles_of_states(&t, states, ARRAY_LEN(states));
	assert_int_equal(t.n, 1);
	assert_int_equal(t.list[0].reason, REASON_KernelAnswers);
	assert_non_null(strstr(t.list[0].message, "the node at 02:01:00:00:00:00 answers"));
	states[1].ownership = L2_CONFLICT;
	troubles_fini(&t);
	troubles_of_states(&t, states, ARRAY_LEN(states));
	assert_int_equal(t.n, 2);
	assert_int_equal(t.list[0].reason, REASON_ProxyArp);
	assert_non_null(strstr(t.list[0].message, "06:01:00:00:00:00"));
	troubles_fini(&t);
	/* More machines than are looked at. */
	struct l2_state many[17];
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = (struct l2_state){ .ownership = L2_KERNEL_ANSWERS,
			                     .mac = { 2, (uint8_t)(i + 1) },
			                     .peer_kernel = true };
	troubles_of_states(&t, many, ARRAY_LEN(many));
	assert_int_equal(t.n, 17);
	assert_int_equal(t.list[16].reason, REASON_LimitReached);
	troubles_fini(&t);
	troubles_of_states(&t, many, ARRAY_LEN(many) - 1);
	assert_int_equal(t.list[t.n - 1].reason, REASON_KernelAnswers);
	troubles_fini(&t);
}

static void a_pattern_matches_whole_names(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *name;
		bool matches;
	} cases[] = {
		{ "eth0", "eth0", true },         { "eth0", "eth0.100", false },
		{ "eth0", "veth0", false },       { "eth.*", "eth1", true },
		{ "eth|eth0", "eth0", true },     { "lan|eth0", "eth01", false },
		{ "^eth0$", "eth0", true },       { "^$", "eth0", false },
		{ "(eth|en)[0-9]", "en3", true },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		regex_t pattern;
		assert_int_equal(regcomp(&pattern, cases[i].pattern, REG_EXTENDED), 0);
		assert_int_equal(ifaces_name_matches(&pattern, cases[i].name), cases[i].matches);
		regfree(&pattern);
	}
}

/* ---- another speaker of our name ---- */

static int send_nothing(const void *frame, size_t size, void *arg)
{
	(void)frame;
	(void)size;
	(void)arg;
	return 0;
}

static void change_nothing(const struct addr *addr, void *arg)
{
	(void)addr;
	(void)arg;
}

static void a_namesake_is_told_if_it_goes_on(void **state)
{
	(void)state;
	static const struct {
		uint64_t incarnation; /* 1 is our own */
		uint8_t mac;          /* 1 is our own */
		int64_t every_ms;
		bool counts; /* its sequence numbers grow */
		bool told;
	} cases[] = {
		{ 2, 9, 100, true, true },   /* another machine */
		{ 2, 1, 100, true, true },   /* a clone with our Ethernet address */
		{ 1, 1, 100, true, false },  /* our own frames, that come back */
		{ 2, 9, 100, false, false }, /* one frame, replayed */
		{ 2, 9, 3000, true, false }, /* now and then */
	};
	struct l2_options lo = { .node = "us", .timing = { 70, 5, 25 }, .restart_hold_ms = 5000 };
	struct segment_options o = { .l2 = &lo, .mac = { 2, 0, 0, 0, 0, 1 }, .incarnation = 1 };
	struct segment_ops ops = { .send = send_nothing, .changed = change_nothing };
	struct wire_key *key = wire_key_new((const uint8_t *)"sixteen letters!", 16);
	const struct addr source = { .family = 4, .b = { 192, 168, 1, 11 } };
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct segment *s = segment_new(&o, key, &ops, 0);
		struct segment_health h;
		uint32_t seq = 1;
		segment_link(s, 1, true);
		for (int64_t now = 1; now < 10000; now++) {
			if (segment_deadline(s) <= now)
				segment_tick(s, now);
			if (now % cases[i].every_ms)
				continue;
			struct wire_msg msg = { .type = WIRE_HEARTBEAT,
				                .name = "us",
				                .mac = { 2, 0, 0, 0, 0, cases[i].mac },
				                .incarnation = cases[i].incarnation,
				                .heartbeat_ms = 70,
				                .multiplier = 5,
				                .seq = seq };
			uint8_t frame[WIRE_FRAME_MAX];
			seq += cases[i].counts;
			segment_receive(s, now, 0, frame, wire_encode(key, &msg, &source, frame));
			segment_health(s, now, &h);
			if (now <= 1000) /* a Pod that ends while the next one has begun */
				assert_int_equal(h.namesake_ms, 0);
		}
		assert_int_equal(h.namesake_ms > 9000, cases[i].told);
		segment_free(s);
	}
	wire_key_free(key);
}

/* ---- Events ---- */

static void record(enum reason reason, const char *note, void *arg)
{
	assert_non_null(strstr(note, "eth0: "));
	buf_printf(arg, "%s ", reason_name(reason));
}

static void a_trouble_is_told_once_while_it_lasts(void **state)
{
	(void)state;
	static const struct l2_trouble list[] = {
		{ .reason = REASON_SendFailed, .interface = "eth0", .message = "why" },
		{ .reason = REASON_KernelAnswers, .interface = "eth0", .message = "where" },
	};
	static const struct {
		int64_t until_ms;
		size_t n;
		const char *told;
	} steps[] = {
		{ 4000, 0, "" },
		{ 6000, 1, "" }, /* it has to last */
		{ 9000, 0, "" },
		{ 20000, 1, "SendFailed " },
		{ 30000, 2, "KernelAnswers " },
		{ 60000, 0, "" },
		{ 80000, 2, "" }, /* back so soon, it is the same */
		{ 160000, 0, "TroubleOver TroubleOver " },
		{ 170000, 2, "SendFailed KernelAnswers " },
	};
	struct lasting *known = lasting_new();
	struct budget budget = { 0 };
	struct buf told = BUF_INIT;
	int64_t now = 0;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		for (; now < steps[i].until_ms; now += 1000)
			trouble_news_look(known, list, steps[i].n, &budget, now, record, &told);
		assert_string_equal(buf_str(&told), steps[i].told);
		buf_clear(&told);
	}
	buf_fini(&told);
	lasting_free(known);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_longest_subnet_has_the_address),
		cmocka_unit_test(the_kernel_answers_for_addresses_of_the_node),
		cmocka_unit_test(places_allow_interfaces),
		cmocka_unit_test(addresses_of_no_subnet_are_announced_where_that_is_asked_for),
		cmocka_unit_test(a_range_is_joined_where_it_may_be_announced),
		cmocka_unit_test(troubles_are_told_by_cause),
		cmocka_unit_test(a_pattern_matches_whole_names),
		cmocka_unit_test(a_namesake_is_told_if_it_goes_on),
		cmocka_unit_test(a_trouble_is_told_once_while_it_lasts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
