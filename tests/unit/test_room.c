/* SPDX-License-Identifier: Apache-2.0 */
/* Large Services and the room that they have together, as the view and decide.h know it. */
#include "config.h"

#include "unit.h"

#include <stdlib.h>

#include "fairlead/decide.h"
#include "fairlead/forward.h"
#include "fairlead/mem.h"
#include "fairlead/seniority.h"
#include "fairlead/size.h"
#include "world.h"

#define N_PORTS 250
#define MILLION (1000000 / N_PORTS)
#define MOST 11000 /* endpoints, of each port */

/* What a test says of a Service; its endpoints are ready, and serve all of its ports. */
struct large {
	const char *name;
	int64_t created;
	uint8_t family; /* of the endpoints; 0: IPv4 */
	bool shares;
	bool ending;                       /* all endpoints but one */
	bool one_port;                     /* is served, the first one */
	const char *other_uid, *owner_uid; /* of the Service; that its slice says */
	const char *label;                 /* NULL: none */
	enum kube_service_type other_type; /* LoadBalancer unless set */
};

static struct view *elements(void)
{
	struct view *v = view_new("n1", NULL);

	view_set_node_rules(v, (struct view_node_rules){ .forwards = true });
	world_configuration(v);
	world_node(v, "n1");
	return v;
}

static void put_service(struct view *v, const struct large *l)
{
	static struct kube_service_port ports[N_PORTS];
	struct label label = { (char *)(uintptr_t)l->label, (char *)(uintptr_t) "x" };
	struct kube_ingress ingress = { .ports = l->shares ? 1 : 0 };
	struct kube_service s = {
		.meta = { .namespace = (char *)(uintptr_t) "shop",
		          .name = (char *)(uintptr_t)l->name,
		          .uid = (char *)(uintptr_t)(l->other_uid ? l->other_uid : "u"),
		          .creation_us = l->created,
		          .labels = { .kvs = &label, .n = l->label != NULL } },
		.type = l->other_type ? l->other_type : KUBE_LOAD_BALANCER,
		.cluster_ips = { { .family = 4, .b = { 10, 96, 0, 9 } } },
		.n_cluster_ips = 1,
		.ports = ports,
		.n_ports = N_PORTS,
		.ingress = &ingress,
		.n_ingress = 1,
	};

	addr_parse("192.0.2.1", &ingress.ip);
	ingress.ip.b[3] = l->shares ? 99 : (uint8_t)l->name[0];
	for (size_t i = 0; i < N_PORTS; i++)
		ports[i] = (struct kube_service_port){
			.name = (char *)(uintptr_t)(l->one_port && i ? "unserved" : ""),
			.port = (uint16_t)(1 + i)
		};
	view_upsert_service(v, &s);
}

static void put_endpoints(struct view *v, const struct large *l, size_t n)
{
	static struct kube_endpoint endpoints[MOST];
	struct kube_endpoint_port port = { .name = (char *)(uintptr_t) "", .port = 80 };
	struct kube_slice s = {
		.meta = { .namespace = (char *)(uintptr_t) "shop",
		          .name = (char *)(uintptr_t)l->name,
		          .uid = (char *)(uintptr_t) "u" },
		.service = (char *)(uintptr_t)l->name,
		.owner_uid = (char *)(uintptr_t)(l->owner_uid ? l->owner_uid : ""),
		.family = l->family ? l->family : 4,
		.endpoints = endpoints,
		.n_endpoints = n,
		.ports = &port,
		.n_ports = 1,
	};

	for (size_t i = 0; i < n; i++)
		endpoints[i] = (struct kube_endpoint){
			.addr = { .family = s.family,
			          .b = { 10, 1, (uint8_t)(i / 256), (uint8_t)i } },
			.ready = i == 0 || !l->ending,
			.terminating = i > 0 && l->ending,
		};
	view_upsert_slice(v, &s);
}

/* @millions: of elements, nearly. */
static void put(struct view *v, const struct large *l, double millions)
{
	put_service(v, l);
	put_endpoints(v, l, (size_t)(millions * MILLION) - 6);
}

static enum reason reason_of(const struct view *v, const struct large *l)
{
	cleanup_free char *key = xasprintf("shop/%s", l->name);
	const struct view_service *s = view_service_named(v, key);

	return decide_address(v, s, &s->addresses[0].addr).reason;
}

static bool is_forwarded(const struct view *v, const struct large *l)
{
	cleanup_free char *key = xasprintf("shop/%s", l->name);

	return forward_wanted(v, view_service_named(v, key), 4);
}

/* ---- who is carried ---- */

static void the_oldest_are_carried(void **state)
{
	(void)state;
	static const struct {
		double millions[4]; /* of the oldest, the next one … */
		enum reason reasons[4];
	} rows[] = {
		{ { 2.4, 2.4 }, { REASON_Candidate, REASON_Candidate } },
		{ { 2.4, 2.4, 0.2 }, { REASON_Candidate, REASON_Candidate, REASON_Candidate } },
		{ { 2.4, 2.4, 0.3 }, { REASON_Candidate, REASON_Candidate, REASON_CrowdedOut } },
		{ { 2.4, 2.4, 0.3, 0.2 },
		  { REASON_Candidate, REASON_Candidate, REASON_CrowdedOut, REASON_Candidate } },
		/* One that is too large by itself takes nothing from the others. */
		{ { 2.6, 2.4, 2.4 }, { REASON_TooLarge, REASON_Candidate, REASON_Candidate } },
		/* What is not large always fits. */
		{ { 2.5, 2.5, 0.005, 0.1 },
		  { REASON_Candidate, REASON_Candidate, REASON_Candidate, REASON_CrowdedOut } },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (int backwards = 0; backwards < 2; backwards++) {
			static const struct large all[] = {
				{ "a", 1 }, { "b", 2 }, { "c", 3 }, { "d", 4 }
			};
			struct view *v = elements();
			for (size_t k = 0; k < ARRAY_LEN(all); k++) {
				size_t at = backwards ? ARRAY_LEN(all) - 1 - k : k;
				if (rows[i].millions[at] > 0)
					put(v, &all[at], rows[i].millions[at]);
				world_passes(v);
			}
			for (size_t k = 0; k < ARRAY_LEN(all) && rows[i].millions[k] > 0; k++) {
				enum reason r = reason_of(v, &all[k]);
				if (r != rows[i].reasons[k])
					fail_msg("row %zu, %s: %s", i, all[k].name, reason_name(r));
				assert_int_equal(is_forwarded(v, &all[k]), r == REASON_Candidate);
			}
			view_free(v);
		}
}

/* Others carry them, or rules do, which have a bound of their own. */
static void only_elements_are_counted(void **state)
{
	(void)state;
	static const struct large a = { "a", 1 }, b = { "b", 2 }, c = { "c", 3 };
	static const struct {
		struct view_node_rules rules;
		enum reason reason;
		bool forwarded;
	} rows[] = {
		{ { .forwards = true }, REASON_CrowdedOut, false },
		{ { .forwards = true, .by_rules = true }, REASON_TooLarge, false },
		{ { .forwards = false }, REASON_Candidate, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct view *v = elements();
		view_set_node_rules(v, rows[i].rules);
		put(v, &a, 2.5);
		put(v, &b, 2.5);
		put(v, &c, 0.1);
		world_passes(v);
		assert_int_equal(reason_of(v, &c), rows[i].reason);
		assert_int_equal(is_forwarded(v, &c), rows[i].forwarded);
		view_free(v);
	}
}

/* Endpoints that only end have no rules: such a Service is large, and mode iptables carries it. */
static void rules_ask_for_no_room(void **state)
{
	(void)state;
	static const struct large a = { "a", 1 }, b = { "b", 2 }, c = { "c", 3, .ending = true };
	struct view *v = elements();

	put(v, &a, 2.5);
	put(v, &b, 2.5);
	put(v, &c, 0.1);
	world_passes(v);
	assert_int_equal(reason_of(v, &c), REASON_CrowdedOut);
	view_set_node_rules(v, (struct view_node_rules){ .forwards = true, .by_rules = true });
	assert_int_equal(reason_of(v, &c), REASON_Candidate);
	assert_true(is_forwarded(v, &c));
	view_free(v);
}

/* What no proxy of ours carries takes no room. */
static void what_is_not_carried_takes_no_room(void **state)
{
	(void)state;
	static const struct {
		struct large first;
		enum reason last;
	} rows[] = {
		{ { "a", 1 }, REASON_CrowdedOut },
		{ { "a", 1, .label = "service.kubernetes.io/service-proxy-name" },
		  REASON_Candidate },
		{ { "a", 1, .label = "service.kubernetes.io/headless" }, REASON_Candidate },
		{ { "a", 1, .other_type = KUBE_EXTERNAL_NAME }, REASON_Candidate },
		{ { "a", 1, .family = 6 }, REASON_Candidate },
	};
	static const struct large b = { "b", 2 }, c = { "c", 3 };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct view *v = elements();
		put(v, &rows[i].first, 2.4);
		put(v, &b, 2.4);
		put(v, &c, 0.3);
		world_passes(v);
		if (reason_of(v, &c) != rows[i].last)
			fail_msg("row %zu: %s", i, reason_name(reason_of(v, &c)));
		view_free(v);
	}
}

static void what_is_not_carried_is_not_large(void **state)
{
	(void)state;
	static const struct large a = { "a", 1 }, b = { "b", 2 }, c = { "c", 3, .family = 6 };
	struct view *v = elements();

	put(v, &a, 2.5);
	put(v, &b, 2.5);
	put(v, &c, 2.6);
	world_passes(v);
	assert_int_equal(reason_of(v, &c), REASON_Candidate);
	assert_true(is_forwarded(v, &c));
	view_free(v);
}

/* ---- how much it is ---- */

#define OF_ADDRESSES ((size_t)6 * N_PORTS)

static size_t charged(struct view *v)
{
	world_passes(v);
	return size_of_large(view_service_named(v, "shop/a"));
}

/* What is served, not what endpoints and ports could make together. */
static void what_is_served_is_charged(void **state)
{
	(void)state;
	static const struct large a = { "a", 1, .one_port = true };
	static const struct large b = { "b", 2 }, c = { "c", 3 };
	struct view *v = elements();

	put_service(v, &a);
	for (size_t n = 9500; n <= MOST; n += 125) {
		put_endpoints(v, &a, n);
		/* Large is what would need more than 40000 rules: 38500 for endpoints. */
		assert_int_equal(charged(v), n > 9625 ? n + OF_ADDRESSES : 0);
	}
	put_endpoints(v, &a, 9750);
	put(v, &b, 2.4);
	put(v, &c, 2.4);
	world_passes(v);
	assert_int_equal(reason_of(v, &a), REASON_Candidate);
	assert_int_equal(reason_of(v, &b), REASON_Candidate);
	assert_int_equal(reason_of(v, &c), REASON_Candidate);
	view_free(v);
}

/* The charge follows the ports of either side, and whose slice it is. */
static void the_charge_follows(void **state)
{
	(void)state;
	static const struct large all = { "a", 1 }, one = { "a", 1, .one_port = true };
	static const struct large anew = { "a", 1, .other_uid = "n" };
	static const struct large of_old = { "a", 1, .owner_uid = "u" };
	struct view *v = elements();

	put_endpoints(v, &all, 9750);
	put_service(v, &one);
	assert_int_equal(charged(v), 9750 + OF_ADDRESSES);
	put_service(v, &all);
	assert_int_equal(charged(v), 9750 * N_PORTS + OF_ADDRESSES);
	put_endpoints(v, &of_old, 9750);
	assert_int_equal(charged(v), 9750 * N_PORTS + OF_ADDRESSES);
	put_service(v, &anew);
	assert_int_equal(charged(v), 0);
	put_service(v, &one);
	assert_int_equal(charged(v), 9750 + OF_ADDRESSES);
	view_remove_slice(v, "shop", "a");
	assert_int_equal(charged(v), 0);
	view_free(v);
}

/* ---- who is looked at again ---- */

static void room_is_given_at_once(void **state)
{
	(void)state;
	static const struct large a = { "a", 1 }, b = { "b", 2 }, c = { "c", 3 }, d = { "d", 4 };
	struct view *v = elements();

	put(v, &b, 2.4);
	put(v, &c, 2.4);
	put(v, &d, 2.4);
	assert_int_equal(world_passes(v), 3);
	assert_int_equal(reason_of(v, &d), REASON_CrowdedOut);
	/* A change that changes nobody else's lot is nobody else's matter. */
	put(v, &b, 2.3);
	assert_int_equal(world_passes(v), 1);
	put(v, &b, 0.1);
	assert_int_equal(world_passes(v), 2);
	assert_int_equal(reason_of(v, &d), REASON_Candidate);
	/* An older one comes before it; where the Service is made anew it is the youngest. */
	put(v, &a, 2.4);
	assert_int_equal(world_passes(v), 2);
	assert_int_equal(reason_of(v, &d), REASON_CrowdedOut);
	view_remove_service(v, "shop", "a");
	assert_int_equal(world_passes(v), 2);
	assert_int_equal(reason_of(v, &d), REASON_Candidate);
	put_service(v, &(struct large){ "a", 5 });
	assert_int_equal(world_passes(v), 1);
	assert_int_equal(reason_of(v, &a), REASON_CrowdedOut);
	assert_int_equal(reason_of(v, &d), REASON_Candidate);
	put_service(v, &(struct large){ "a", 1 });
	assert_int_equal(world_passes(v), 2);
	assert_int_equal(reason_of(v, &a), REASON_Candidate);
	view_free(v);
}

/* Where an address is shared, others' announcements hang on the one that is crowded out. */
static void company_is_looked_at(void **state)
{
	(void)state;
	static const struct large a = { "a", 1 }, b = { "b", 2 };
	static const struct large c = { "c", 3, .shares = true }, d = { "d", 4, .shares = true };
	struct view *v = elements();

	put(v, &a, 2.5);
	put(v, &c, 2.5);
	put(v, &d, 0.005);
	world_passes(v);
	put(v, &b, 2.5);
	assert_int_equal(world_passes(v), 3);
	assert_int_equal(reason_of(v, &c), REASON_CrowdedOut);
	assert_int_equal(reason_of(v, &d), REASON_Candidate);
	view_free(v);
}

static void the_message_says_how_much(void **state)
{
	(void)state;
	static const struct large a = { "a", 1 }, b = { "b", 2 }, c = { "c", 3 };
	struct view *v = elements();
	cleanup(buf_fini) struct buf text = BUF_INIT;

	put(v, &a, 2.5);
	put(v, &b, 2.5);
	put(v, &c, 0.1);
	world_passes(v);
	const struct view_service *s = view_service_named(v, "shop/c");
	struct decision d = decide_address(v, s, &s->addresses[0].addr);
	decide_message(&d, d.reason, "n1", &text);
	assert_non_null(strstr(buf_str(&text), ": it takes 100000 elements, and all of them "
	                                       "together may take 5000000"));
	view_free(v);
}

/* ---- churn ---- */

#define MANY 12

static uint64_t chance(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static int by_age(const void *a, const void *b)
{
	const struct view_service *const *x = a, *const *y = b;
	const struct seniority one = { (*x)->created_us, (*x)->namespace, (*x)->name };
	const struct seniority another = { (*y)->created_us, (*y)->namespace, (*y)->name };

	return seniority_cmp(&one, &another);
}

/* One by one, of a Service without affinity or policies. */
static size_t count_large(const struct view_service *s)
{
	size_t n = 0;

	for (const struct view_slice *slice = s->slices; slice; slice = slice->next) {
		size_t served = 0;
		for (size_t i = 0; i < s->n_ports; i++)
			served += view_slice_port(slice, &s->ports[i]) != NULL;
		for (size_t i = 0; i < slice->n_endpoints; i++) {
			const struct view_endpoint *ep = &slice->endpoints[i];
			n += ep->ready || ep->serving || ep->terminating ? served : 0;
		}
	}
	return 4 * n + OF_ADDRESSES > SIZE_RULES_MAX && n + OF_ADDRESSES <= SIZE_ELEMENTS_MAX
	               ? n + OF_ADDRESSES
	               : 0;
}

/* All are judged as a walk over them would, and whose lot has changed was dirty. */
static void compare_with_a_walk(struct view *v, bool had[static MANY])
{
	bool dirty[MANY] = { false };
	size_t n, sum = 0;

	const struct view_service *const *changed = view_take_dirty(v, &n);
	for (size_t i = 0; i < n; i++)
		dirty[changed[i]->name[0] - 'a'] = true;
	view_clean(v);
	const struct view_service **all = view_services(v, &n);
	qsort(all, n, sizeof(*all), by_age);
	for (size_t i = 0; i < n; i++) {
		size_t at = (size_t)(all[i]->name[0] - 'a'), takes = size_of_large(all[i]);
		bool fits = sum + takes <= SIZE_ALL_ELEMENTS_MAX;
		assert_int_equal(takes, count_large(all[i]));
		assert_int_equal(view_has_room(all[i]), fits);
		if (fits != had[at] && !dirty[at])
			fail_msg("nobody looks at %s", all[i]->key);
		had[at] = fits;
		sum += fits ? takes : 0;
	}
	free(all);
}

static void at_rest_it_is_as_a_walk_finds_it(void **state)
{
	(void)state;
	struct view *v = elements();
	bool had[MANY] = { false };
	uint64_t seed = 7;

	for (size_t round = 0; round < 1500; round++) {
		for (size_t n = 1 + chance(&seed) % 3; n; n--) {
			char name[2] = { (char)('a' + chance(&seed) % MANY) };
			const struct large l = {
				name,
				(int64_t)(chance(&seed) % 4 ? name[0] % 5 : 3),
				.ending = chance(&seed) % 2,
				.one_port = chance(&seed) % 4 == 0,
				.other_uid = chance(&seed) % 4 ? NULL : "n",
				.owner_uid = chance(&seed) % 2 ? NULL : "u",
			};
			switch (chance(&seed) % 8) {
			case 0:
				view_remove_service(v, "shop", name);
				break;
			case 1:
				view_remove_slice(v, "shop", name);
				break;
			case 2:
				put_endpoints(v, &l, chance(&seed) % 60);
				break;
			case 3:
				put_service(v, &l);
				break;
			default:
				put_endpoints(v, &l, chance(&seed) % MOST);
				break;
			}
		}
		compare_with_a_walk(v, had);
	}
	view_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_oldest_are_carried),
		cmocka_unit_test(only_elements_are_counted),
		cmocka_unit_test(rules_ask_for_no_room),
		cmocka_unit_test(what_is_not_carried_takes_no_room),
		cmocka_unit_test(what_is_not_carried_is_not_large),
		cmocka_unit_test(what_is_served_is_charged),
		cmocka_unit_test(the_charge_follows),
		cmocka_unit_test(room_is_given_at_once),
		cmocka_unit_test(company_is_looked_at),
		cmocka_unit_test(the_message_says_how_much),
		cmocka_unit_test(at_rest_it_is_as_a_walk_finds_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
