/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What packets meet in the elements that are planned, against the decision table: every class of
 * destination with every policy, state of the endpoints, origin and family; and what becomes of
 * source ranges.
 */
#include "config.h"

#include "unit.h"

#include <netinet/in.h>

#include "fairlead/mem.h"
#include "proxy/nftables/plan.h"

#define ID 100u
#define GROUP 0x01020304u

static const uint8_t families[] = { 4, 6 };

struct world {
	struct addr vip, external_ip;
	struct prefix ranges[8];
	struct proxy_endpoint here, all[3];
	struct proxy_port port;
	struct proxy_outside outside;
	struct proxy_half s;
	struct traffic_node node;
	struct plan p;
};

/* A bit for each. */
enum {
	EXTERNAL_LOCAL = 1,
	INTERNAL_LOCAL = 2,
	AFFINITY = 4,
	RANGES = 8,
	KNOWS_PODS = 16,
	MASQUERADE_ALL = 32,
	ANY = 64,      /* an endpoint can be used somewhere */
	CLUSTER = 128, /* some of policy Cluster */
	LOCAL = 256,   /* one of policy Local */
	COMBINATIONS = 512,
};

static struct addr addr(uint8_t family, const char *four, const char *six)
{
	struct addr a;

	assert_int_equal(addr_parse(family == 4 ? four : six, &a), 0);
	return a;
}

static void add_range(struct world *w, const char *text)
{
	assert_int_equal(prefix_parse(text, false, &w->ranges[w->outside.n_source_ranges++]), 0);
}

static void build(struct world *w, uint8_t family, int with)
{
	*w = (struct world){
		.vip = addr(family, "192.0.2.9", "2001:db8::9"),
		.external_ip = addr(family, "203.0.113.9", "2001:db8:1::9"),
		.here = { .addr = addr(family, "10.244.1.7", "fd00:244:1::7"), .port = 8080 },
		.port = { .name = "", .proto = IPPROTO_TCP, .port = 80, .node_port = 30080 },
		.s = { .key = "shop/web", .family = family, .n_ports = 1 },
		.node = { .knows_pods = with & KNOWS_PODS,
		          .masquerade_all = with & MASQUERADE_ALL },
	};
	for (size_t i = 0; i < ARRAY_LEN(w->all); i++) {
		w->all[i] = w->here;
		w->all[i].port = (uint16_t)(8080 + i);
	}
	w->s.cluster_ip = addr(family, "10.96.0.17", "fd00:96::17");
	w->s.outside = &w->outside;
	w->outside.vips = &w->vip;
	w->outside.external_ips = &w->external_ip;
	w->outside.n_vips = w->outside.n_external_ips = 1;
	w->s.ports = &w->port;
	w->outside.source_ranges = w->ranges;
	if (with & RANGES)
		add_range(w, family == 4 ? "198.51.100.0/24" : "2001:db8:5::/64");
	w->s.traffic.external_local = with & EXTERNAL_LOCAL;
	w->s.traffic.internal_local = with & INTERNAL_LOCAL;
	w->s.traffic.affinity_s = with & AFFINITY ? 60 : 0;
	w->port.has_any = with & ANY;
	w->port.cluster = w->all;
	w->port.n_cluster = with & CLUSTER ? ARRAY_LEN(w->all) : 0;
	w->port.local = &w->here;
	w->port.n_local = with & LOCAL ? 1 : 0;
}

static void plan(struct world *w)
{
	const uint32_t id = ID;

	plan_half(&w->node, &w->s, &id, GROUP, &w->p);
}

static const struct plan_element *find(const struct plan *p, enum frame_map map,
                                       const unsigned char *key)
{
	for (size_t i = 0; i < p->n_elements; i++)
		if (p->elements[i].map == map && !memcmp(p->elements[i].key, key, FRAME_KEY_MAX))
			return &p->elements[i];
	return NULL;
}

static uint32_t number(const unsigned char *from)
{
	uint32_t n;

	memcpy(&n, from, sizeof(n));
	return n;
}

static size_t count(const struct plan *p, enum frame_map map)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_elements; i++)
		n += p->elements[i].map == map;
	return n;
}

/* ---- as the rules do it ---- */

static void key_of(uint8_t family, const struct addr *a, uint8_t proto, uint16_t port,
                   unsigned char key[static FRAME_KEY_MAX])
{
	size_t size = a ? addr_size(family) : 0;

	memset(key, 0, FRAME_KEY_MAX);
	if (a)
		memcpy(key, a->b, size);
	key[size] = proto;
	key[size + 4] = (unsigned char)(port >> 8);
	key[size + 5] = (unsigned char)port;
}

static bool in_group(const struct plan *p, uint8_t family, uint32_t group, const struct addr *a)
{
	unsigned char key[FRAME_KEY_MAX] = { 0 };
	size_t size = 4 + addr_size(family);

	memcpy(key, &group, 4);
	memcpy(key + 4, a->b, size - 4);
	for (size_t i = 0; i < p->n_elements; i++)
		if (p->elements[i].map == FRAME_RANGES &&
		    memcmp(key, p->elements[i].key, size) >= 0 &&
		    memcmp(key, p->elements[i].value, size) < 0)
			return true;
	return false;
}

static struct traffic_way way_by(const struct plan *p, uint32_t way, enum traffic_origin origin)
{
	uint32_t bit =
		origin == TRAFFIC_POD ? FRAME_WAY_MASQUERADE_PODS : FRAME_WAY_MASQUERADE_OTHERS;
	struct traffic_way w = { .masquerade = way & bit };
	unsigned char key[FRAME_KEY_MAX] = { 0 };

	way &= FRAME_WAY_SET;
	if (way == FRAME_WAY_DROP || way == FRAME_WAY_REJECT) {
		w.fate = way == FRAME_WAY_DROP ? TRAFFIC_DROP : TRAFFIC_REJECT;
		return w;
	}
	assert_true(way == ID || way == ID + 1);
	memcpy(key, &way, sizeof(way));
	assert_non_null(find(p, FRAME_SETS, key));
	w.fate = TRAFFIC_FORWARD;
	w.set = way == ID ? TRAFFIC_CLUSTER_SET : TRAFFIC_LOCAL_SET;
	return w;
}

/* Where Pods are not known, a packet of one goes where those of its address do. */
static struct traffic_way meets(const struct world *w, const struct addr *a, uint16_t port,
                                enum traffic_origin origin, const struct addr *from)
{
	unsigned char key[FRAME_KEY_MAX];
	const struct plan_element *e = NULL;

	key_of(w->s.family, a, IPPROTO_TCP, port, key);
	if (origin == TRAFFIC_POD && !w->node.knows_pods)
		origin = TRAFFIC_OUTSIDE;
	if (a && (e = find(&w->p, FRAME_RESTRICTED, key)) &&
	    !in_group(&w->p, w->s.family, number(e->value), from))
		return (struct traffic_way){ .fate = TRAFFIC_DROP };
	e = NULL;
	if (origin != TRAFFIC_OUTSIDE)
		e = find(&w->p, a ? FRAME_SHORTCUTS : FRAME_NODE_SHORTCUTS, key);
	if (!e)
		e = find(&w->p, a ? FRAME_WAYS : FRAME_NODE_WAYS, key);
	assert_non_null(e);
	return way_by(&w->p, number(e->value), origin);
}

static void check_way(const struct world *w, enum traffic_class class, enum traffic_origin origin,
                      bool in_ranges)
{
	const struct addr *const at[] = { [TRAFFIC_CLUSTER_IP] = &w->s.cluster_ip,
		                          [TRAFFIC_VIP] = &w->vip,
		                          [TRAFFIC_EXTERNAL_IP] = &w->external_ip,
		                          [TRAFFIC_NODE_PORT] = NULL };
	const struct addr from = in_ranges ? addr(w->s.family, "198.51.100.7", "2001:db8:5::7")
	                                   : addr(w->s.family, "198.51.101.7", "2001:db8:6::7");
	struct traffic_port t;

	assert_true(traffic_plan(&w->node, &w->s, 0, &t));
	struct traffic_way want = traffic_way(&t, class, origin, in_ranges);
	struct traffic_way have =
		meets(w, at[class], class == TRAFFIC_NODE_PORT ? 30080 : 80, origin, &from);
	assert_int_equal(have.fate, want.fate);
	if (want.fate == TRAFFIC_FORWARD)
		assert_true(traffic_way_eq(&have, &want));
}

static void a_packet_goes_where_the_table_says(void **state)
{
	(void)state;
	static const enum traffic_class classes[] = { TRAFFIC_CLUSTER_IP, TRAFFIC_VIP,
		                                      TRAFFIC_EXTERNAL_IP, TRAFFIC_NODE_PORT };
	struct world w;

	for (size_t i = 0; i < ARRAY_LEN(families) * COMBINATIONS; i++) {
		build(&w, families[i % 2], (int)(i / 2));
		plan(&w);
		for (size_t c = 0; c < ARRAY_LEN(classes); c++)
			for (int origin = 0; origin < TRAFFIC_ORIGINS; origin++) {
				check_way(&w, classes[c], (enum traffic_origin)origin, true);
				check_way(&w, classes[c], (enum traffic_origin)origin, false);
			}
		plan_fini(&w.p);
	}
}

/* A keeper that learns of Pods plans what it had with what it knows then. */
static void keys_are_the_same_whether_pods_are_known(void **state)
{
	(void)state;
	struct world w, other;

	for (size_t i = 0; i < ARRAY_LEN(families) * COMBINATIONS; i++) {
		build(&w, families[i % 2], (int)(i / 2));
		build(&other, families[i % 2], (int)(i / 2) ^ KNOWS_PODS);
		plan(&w);
		plan(&other);
		assert_int_equal(w.p.n_elements, other.p.n_elements);
		assert_int_equal(w.p.n_sets, other.p.n_sets);
		for (size_t j = 0; j < w.p.n_elements; j++)
			assert_int_equal(plan_cmp(&w.p.elements[j], &other.p.elements[j]), 0);
		plan_fini(&w.p);
		plan_fini(&other.p);
	}
}

static void check_set(const struct world *w, const struct plan_set *set)
{
	unsigned char key[FRAME_KEY_MAX] = { 0 }, value[FRAME_VALUE_MAX];
	size_t size = addr_size(w->s.family);

	memcpy(key, &set->set, sizeof(set->set));
	assert_int_equal(number(find(&w->p, FRAME_SETS, key)->value),
	                 frame_kind_of(set->n, w->s.traffic.affinity_s));
	assert_true(set->n > 0);
	for (size_t i = 0; i < set->n; i++) {
		memset(key, 0, sizeof(key));
		memcpy(key, set->list[i].addr.b, size);
		memcpy(key + size, set->list[i].addr.b, size);
		assert_non_null(find(&w->p, FRAME_HAIRPIN, key));
		plan_pair(set->set, plan_ticket(&set->list[i]), key);
		plan_endpoint(&set->list[i], value);
		const struct plan_element *member = find(&w->p, FRAME_MEMBERS, key);
		assert_int_equal(member != NULL, w->s.traffic.affinity_s > 0);
		assert_true(!member || !memcmp(member->value, value, sizeof(value)));
	}
}

static void sets_have_what_they_need(void **state)
{
	(void)state;
	struct world w;

	for (size_t i = 0; i < ARRAY_LEN(families) * COMBINATIONS; i++) {
		build(&w, families[i % 2], (int)(i / 2));
		plan(&w);
		assert_int_equal(count(&w.p, FRAME_SETS), w.p.n_sets);
		for (size_t j = 0; j < w.p.n_sets; j++)
			check_set(&w, &w.p.sets[j]);
		/* Three ports of one address. */
		assert_true(count(&w.p, FRAME_HAIRPIN) == (w.p.n_sets > 0));
		for (size_t j = 1; j < w.p.n_elements; j++)
			assert_true(plan_cmp(&w.p.elements[j - 1], &w.p.elements[j]) < 0);
		plan_fini(&w.p);
	}
}

/* ---- source ranges ---- */

/* Each interval as "first-last". */
struct range_row {
	const char *ranges[4], *intervals[4];
};

static const struct range_row four[] = {
	{ { "10.0.0.0/24", "10.0.1.0/24" }, { "10.0.0.0-10.0.1.255" } },
	{ { "10.0.0.0/24", "10.0.2.0/24" }, { "10.0.0.0-10.0.0.255", "10.0.2.0-10.0.2.255" } },
	{ { "10.0.0.0/8", "10.1.0.0/16", "10.2.3.4/32" }, { "10.0.0.0-10.255.255.255" } },
	{ { "10.0.0.0/24", "10.0.0.0/25", "10.0.1.0/32" }, { "10.0.0.0-10.0.1.0" } },
	{ { "0.0.0.0/1", "128.0.0.0/1" }, { "0.0.0.0-255.255.255.255" } },
	{ { "255.255.255.255/32" }, { "255.255.255.255-255.255.255.255" } },
	{ { "240.0.0.0/4", "255.255.255.255/32" }, { "240.0.0.0-255.255.255.255" } },
};

static const struct range_row six[] = {
	{ { "2001:db8::/33", "2001:db8:8000::/33" },
	  { "2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff" } },
	{ { "::1/128", "::3/128" }, { "::1-::1", "::3-::3" } },
	{ { "ff00::/8" }, { "ff00::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" } },
	{ { "::/1", "8000::/1" }, { "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" } },
};

static void check_interval(const struct world *w, const char *text)
{
	unsigned char key[FRAME_KEY_MAX] = { 0 };
	uint32_t group = GROUP;
	char *first = xstrdup(text), *last = strchr(first, '-');
	struct addr a, b, next;

	*last++ = '\0';
	assert_int_equal(addr_parse(first, &a), 0);
	assert_int_equal(addr_parse(last, &b), 0);
	memcpy(key, &group, 4);
	memcpy(key + 4, a.b, addr_size(a.family));
	assert_non_null(find(&w->p, FRAME_RANGES, key));
	assert_true(in_group(&w->p, w->s.family, GROUP, &a));
	assert_true(in_group(&w->p, w->s.family, GROUP, &b));
	assert_true(!addr_next(&b, &next) || !in_group(&w->p, w->s.family, GROUP, &next));
	/* It ends in its group. */
	next = addr(w->s.family, "0.0.0.0", "::");
	for (uint32_t other = GROUP - 1; other <= GROUP + 1; other += 2)
		assert_false(in_group(&w->p, w->s.family, other, &next) ||
		             in_group(&w->p, w->s.family, other, &b));
	free(first);
}

static void check_ranges(uint8_t family, const struct range_row *row)
{
	struct world w;
	size_t n = 0;

	build(&w, family, ANY | CLUSTER);
	for (size_t i = 0; i < 4 && row->ranges[i]; i++)
		add_range(&w, row->ranges[i]);
	plan(&w);
	for (; n < 4 && row->intervals[n]; n++)
		check_interval(&w, row->intervals[n]);
	assert_int_equal(count(&w.p, FRAME_RANGES), n);
	plan_fini(&w.p);
}

static void ranges_without_a_gap_are_one(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(four); i++)
		check_ranges(4, &four[i]);
	for (size_t i = 0; i < ARRAY_LEN(six); i++)
		check_ranges(6, &six[i]);
}

static void groups_are_of_ranges_that_are_kept(void **state)
{
	(void)state;
	struct world w;
	uint32_t one, other;

	build(&w, 4, ANY | CLUSTER | RANGES);
	assert_true(plan_has_group(&w.node, &w.s));
	one = plan_group_number(&w.s, 0);
	assert_int_equal(plan_group_number(&w.s, 0), one);
	assert_true(plan_group_number(&w.s, 1) != one);
	add_range(&w, "203.0.113.0/24");
	assert_true(plan_has_group(&w.node, &w.s));
	other = plan_group_number(&w.s, 0);
	assert_true(one != other);
	add_range(&w, "0.0.0.0/0");
	assert_false(plan_has_group(&w.node, &w.s));
	plan(&w);
	assert_int_equal(count(&w.p, FRAME_RANGES), 0);
	assert_int_equal(count(&w.p, FRAME_RESTRICTED), 0);
	plan_fini(&w.p);
	build(&w, 4, ANY | CLUSTER | RANGES);
	w.outside.n_vips = 0;
	assert_false(plan_has_group(&w.node, &w.s));
}

/* ---- the rest ---- */

static void addresses_that_are_not_open_are_guarded(void **state)
{
	(void)state;
	struct world w;
	unsigned char key[FRAME_KEY_MAX] = { 0 };

	build(&w, 6, ANY | CLUSTER);
	w.outside.open = &w.external_ip;
	w.outside.n_open = 1;
	plan(&w);
	memcpy(key, w.vip.b, sizeof(w.vip.b));
	assert_int_equal(count(&w.p, FRAME_GUARDED), 1);
	assert_non_null(find(&w.p, FRAME_GUARDED, key));
	plan_fini(&w.p);
}

static void ports_have_numbers_by_name(void **state)
{
	(void)state;
	struct world w;

	build(&w, 4, ANY | CLUSTER);
	uint32_t one = plan_set_number(&w.s, 0, 0);
	w.s.cluster_ip = (struct addr){ .family = 0 };
	w.outside.n_vips = 0;
	w.port.node_port = 0;
	assert_int_equal(plan_set_number(&w.s, 0, 0), one);
	assert_true(plan_set_number(&w.s, 0, 1) != one);
	w.port.port = 81;
	assert_true(plan_set_number(&w.s, 0, 0) != one);
}

static void tickets_are_of_address_and_port(void **state)
{
	(void)state;
	struct world w;

	build(&w, 6, ANY);
	assert_true(plan_ticket(&w.all[0]) != plan_ticket(&w.all[1]));
	w.all[1].port = w.all[0].port;
	w.all[1].local = !w.all[0].local;
	assert_int_equal(plan_ticket(&w.all[0]), plan_ticket(&w.all[1]));
	w.all[1].addr.b[15] ^= 1;
	assert_true(plan_ticket(&w.all[0]) != plan_ticket(&w.all[1]));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_goes_where_the_table_says),
		cmocka_unit_test(keys_are_the_same_whether_pods_are_known),
		cmocka_unit_test(sets_have_what_they_need),
		cmocka_unit_test(ranges_without_a_gap_are_one),
		cmocka_unit_test(groups_are_of_ranges_that_are_kept),
		cmocka_unit_test(addresses_that_are_not_open_are_guarded),
		cmocka_unit_test(ports_have_numbers_by_name),
		cmocka_unit_test(tickets_are_of_address_and_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
