/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random lives of Services that want addresses of both kinds, or have some of hand, turn after
 * turn: whatever happens, we give no address to two of them, what was written is what the object
 * then says, and a second look changes nothing.
 */
#include "config.h"

#include "unit.h"

#include <stdlib.h>

#include <json-c/json.h>

#include "fairlead/edit.h"
#include "fairlead/mem.h"
#include "fairlead/record.h"
#include "fairlead/turn.h"

enum { MANY = 24, STEPS = 400, SEEDS = 30, ADDRS = 4 };

static const char *const worlds[] = {
	"address-pools:\n"
	"- {name: lan, protocol: layer2, addresses: [10.0.0.0/29]}\n"
	"- {name: both, protocol: layer2, use: [load-balancer, external-ip], addresses: [10.0.1.0/29, 'fd00::/125']}\n"
	"- {name: edge, protocol: layer2, use: external-ip, addresses: [10.0.2.0/30]}\n"
	"external-ips: {allow: [10.0.0.0/8], namespaces: [a]}\n",
	"address-pools:\n"
	"- {name: both, protocol: layer2, use: external-ip, addresses: [10.0.1.0/30]}\n"
	"- {name: lan, protocol: layer2, addresses: [10.0.0.0/30, 10.0.2.0/29]}\n",
};

static const struct record_rules rules = { .external_ips = true };
static const struct record_server server = { 0 };
static unsigned int rnd_state;

static unsigned int rnd(unsigned int below)
{
	rnd_state = rnd_state * 1664525 + 1013904223;
	return (rnd_state >> 8) % below;
}

/* A Service as the API server has it. */
struct thing {
	bool exists, dual, lb, deleting;
	bool unconfirmed;           /* its condition was not written yet */
	const char *lb_pool, *pool; /* "": not asked for */
	struct addr ingress[ADDRS], external[ADDRS], recorded[ADDRS];
	size_t n_ingress, n_external, n_recorded;
	struct record *record;
};

static void put_addrs(struct buf *out, const struct addr *addrs, size_t n, const char *before,
                      const char *after)
{
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "%s%s%s%s", i ? "," : "", before, addr_str(&addrs[i]), after);
}

static void read_again(struct thing *t, size_t i)
{
	cleanup(buf_fini) struct buf out = BUF_INIT;
	struct kube_service *s = NULL;

	buf_printf(&out,
	           "{\"metadata\":{\"namespace\":\"%c\",\"name\":\"s%02zu\",\"uid\":\"u\","
	           "\"resourceVersion\":\"1\",\"annotations\":{\"fairlead.io/address-pool\":\"%s\","
	           "\"fairlead.io/external-ips\":\"%s\",\"fairlead.io/external-ips-assigned\":\"",
	           i % 2 ? 'a' : 'b', i, t->lb_pool, t->pool);
	put_addrs(&out, t->recorded, t->n_recorded, "", "");
	buf_printf(
		&out,
		"\"}},\"spec\":{\"type\":\"%s\",\"clusterIPs\":[\"10.96.0.1\"%s],\"externalIPs\":[",
		t->lb ? "LoadBalancer" : "NodePort", t->dual ? ",\"fd00:96::1\"" : "");
	put_addrs(&out, t->external, t->n_external, "\"", "\"");
	buf_puts(&out, "]},\"status\":{\"loadBalancer\":{\"ingress\":[");
	put_addrs(&out, t->ingress, t->n_ingress, "{\"ip\":\"", "\",\"ipMode\":\"VIP\"}");
	buf_puts(&out, "]},\"conditions\":[");
	/* Only the controller writes records here, and so confirms them. */
	if (t->n_recorded > 0 && !t->unconfirmed) {
		buf_puts(&out, "{\"type\":\"" KUBE_CONDITION_EXTERNAL_IPS
		               "\",\"status\":\"True\",\"reason\":\"Kept\",\"message\":"
		               "\"" KUBE_CONFIRMS_KEPT);
		for (size_t k = 0; k < t->n_recorded; k++)
			buf_printf(&out, "%s%s", k ? ", " : "", addr_str(&t->recorded[k]));
		buf_puts(&out, " of pool x\"}");
	}
	buf_puts(&out, "]}}");
	struct json_object *obj = json_tokener_parse(buf_str(&out));
	struct err e = ERR_INIT;
	if (kube_service_parse(obj, &s, &e) < 0)
		fail_msg("%s: %s", e.msg, buf_str(&out));
	json_object_put(obj);
	s->meta.deleting = t->deleting;
	if (!t->record)
		t->record = record_new(NULL, &s->meta);
	record_read(t->record, s, &rules, 1);
	kube_service_free(s);
}

static size_t copy(struct addr *to, const struct addr *from, size_t n)
{
	assert_true(n <= ADDRS);
	if (n > 0)
		memcpy(to, from, n * sizeof(*to));
	return n;
}

/* What the patches put there. */
static void write_object(struct thing *t, size_t i, struct record_write w)
{
	record_written(t->record, w);
	if (w.ingress)
		t->n_ingress =
			copy(t->ingress, t->record->lb.request.held, t->record->lb.request.n_held);
	if (w.external_ips) {
		const struct ipam_request *q = &t->record->external->request;
		t->n_recorded = copy(t->recorded, q->held, q->n_held);
		t->n_external = copy(t->external, q->written, q->n_written);
		t->n_external += copy(t->external + t->n_external, q->held, q->n_held);
	}
	read_again(t, i);
	struct record_write left = record_needs(t->record, &server);
	assert_false((left.ingress && w.ingress) || (left.external_ips && w.external_ips));
}

static bool has(const struct thing *t, const struct addr *a)
{
	for (size_t i = 0; i < t->n_ingress; i++)
		if (addr_eq(&t->ingress[i], a))
			return true;
	for (size_t i = 0; i < t->n_external; i++)
		if (addr_eq(&t->external[i], a))
			return true;
	/* Taken out by somebody, it is still its own. */
	for (size_t i = 0; i < t->n_recorded; i++)
		if (addr_eq(&t->recorded[i], a))
			return true;
	return false;
}

/* Named in a list, and not its own to have. */
static bool only_names(const struct ipam *ipam, const struct thing *t, const struct addr *a)
{
	return !addrs_contain(t->ingress, t->n_ingress, a) &&
	       !addrs_contain(t->recorded, t->n_recorded, a) && t->record->external &&
	       !ipam_may_claim(ipam, &t->record->external->request, a);
}

/* Nobody has what this one is given. */
static void check_given(const struct ipam *ipam, const struct thing *things, const struct thing *t,
                        const struct record_part *p)
{
	for (size_t k = 0; k < p->n_want; k++)
		for (size_t i = 0; i < MANY && !has(t, &p->want[k]); i++)
			if (things[i].exists && has(&things[i], &p->want[k]) &&
			    !only_names(ipam, &things[i], &p->want[k]))
				fail_msg("%s is given %s, which %s has", t->record->key,
				         addr_str(&p->want[k]), things[i].record->key);
}

static void take_turn(struct ipam *ipam, struct thing *things)
{
	struct record *records[MANY];
	struct record_write writes[MANY] = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < MANY; i++)
		if (things[i].exists)
			records[n++] = things[i].record;
	turn_sort(records, n);
	turn_adopt_all(ipam, records, n);
	for (size_t i = 0; i < MANY; i++) {
		if (!things[i].exists)
			continue;
		writes[i] = turn_decide(ipam, things[i].record, &server).write;
		check_given(ipam, things, &things[i], &things[i].record->lb);
		if (things[i].record->external)
			check_given(ipam, things, &things[i], things[i].record->external);
	}
	turn_end(ipam, records, n);
	for (size_t i = 0; i < MANY; i++) {
		if (!things[i].exists)
			continue;
		write_object(&things[i], i, writes[i]);
		turn_settle(ipam, things[i].record, (struct record_write){ .ingress = false });
	}
}

static const char *any_pool(void)
{
	static const char *const pools[] = { "", "", "lan", "both", "both", "edge", "nowhere" };
	return pools[rnd(ARRAY_LEN(pools))];
}

static void write_by_hand(struct thing *t)
{
	cleanup_free char *text = xasprintf("10.0.%u.%u", rnd(3), rnd(8));

	if (t->n_external + IPAM_FAMILIES < ADDRS)
		assert_int_equal(addr_parse(text, &t->external[t->n_external++]), 0);
}

static void live(struct ipam *ipam, struct thing *t, size_t i)
{
	switch (t->exists ? rnd(7) : 0) {
	case 0:
		if (t->exists) {
			ipam_release(ipam, t->record->key);
			ipam_release(ipam, t->record->external_key);
			record_free(t->record);
		}
		*t = (struct thing){ .exists = !t->exists,
			             .dual = rnd(2),
			             .lb = rnd(2),
			             .lb_pool = any_pool(),
			             .pool = any_pool() };
		if (!t->exists)
			return;
		break;
	case 1:
		t->lb_pool = any_pool();
		break;
	case 2:
	case 3:
		t->pool = any_pool();
		break;
	case 4:
		write_by_hand(t);
		break;
	case 5: /* somebody clears the list */
		t->n_external = 0;
		break;
	default:
		t->lb = !t->lb;
		t->n_ingress = t->lb ? t->n_ingress : 0; /* as the API server does */
		break;
	}
	read_again(t, i);
	turn_let_go(ipam, t->record);
}

/* What was accepted once may have peers in its pools. */
static struct ipam *ipam_of(const char *yaml)
{
	struct config_problems errors = { 0 };
	struct configuration *c = NULL;

	assert_int_equal(configuration_parse_published(yaml, NULL, &c, &errors, NULL), 0);
	struct ipam *ipam = ipam_new(c);
	configuration_unref(c);
	return ipam;
}

static void test_lives(void **state)
{
	(void)state;
	for (unsigned int seed = 1; seed <= SEEDS; seed++) {
		struct thing things[MANY] = { 0 };
		struct ipam *ipam = ipam_of(worlds[0]);

		rnd_state = seed;
		for (size_t step = 0; step < STEPS; step++) {
			size_t i = rnd(MANY);
			live(ipam, &things[i], i);
			if (rnd(60) == 0) { /* a new leader, or a new configuration */
				ipam_free(ipam);
				ipam = ipam_of(worlds[rnd(2)]);
			}
			take_turn(ipam, things);
		}
		/*
		 * Two turns later all has settled: what one gave up in the first, another got in
		 * the second.
		 */
		for (size_t i = 0; i < MANY; i++)
			take_turn(ipam, things);
		for (size_t i = 0; i < MANY; i++) {
			if (!things[i].exists)
				continue;
			struct record_write w = turn_decide(ipam, things[i].record, &server).write;
			assert_false(w.ingress || w.external_ips);
		}
		for (size_t i = 0; i < MANY; i++)
			record_free(things[i].record);
		ipam_free(ipam);
	}
}

static struct record *record_of(const char *name, const char *spec, size_t n_ingress)
{
	cleanup(buf_fini) struct buf out = BUF_INIT;
	struct kube_service *s = NULL;
	struct err e = ERR_INIT;

	buf_printf(&out,
	           "{\"metadata\":{\"namespace\":\"a\",\"name\":\"%s\",\"uid\":\"%s\","
	           "\"resourceVersion\":\"1\"},\"spec\":{\"clusterIPs\":[\"10.96.0.1\"],%s},"
	           "\"status\":{\"loadBalancer\":{\"ingress\":[{\"hostname\":\"x.y\"}",
	           name, name, spec);
	for (size_t i = 0; i < n_ingress; i++)
		buf_printf(&out, ",{\"ip\":\"10.0.0.%zu\"}", i);
	buf_puts(&out, "]}}}");
	struct json_object *obj = json_tokener_parse(buf_str(&out));
	if (kube_service_parse(obj, &s, &e) < 0)
		fail_msg("%s", e.msg);
	json_object_put(obj);
	struct record *r = record_new(NULL, &s->meta);
	record_read(r, s, &rules, 1);
	kube_service_free(s);
	return r;
}

/*
 * However many addresses stand in a status, and whatever Service it is, nobody else gets one of
 * them.
 */
static void test_long_statuses(void **state)
{
	(void)state;
	static const char *const kinds[] = {
		"\"type\":\"LoadBalancer\"",
		"\"type\":\"LoadBalancer\",\"loadBalancerClass\":\"example.com/other\"",
		"\"type\":\"NodePort\"",
	};
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
		for (size_t n = 0; n <= 60; n += n < 8 ? 1 : 26) {
			struct ipam *ipam = ipam_of(
				"address-pools:\n"
				"- {name: lan, protocol: layer2, addresses: [10.0.0.0/24]}\n");
			struct record *a = record_of("a", kinds[k], n);
			struct record *b = record_of("b", kinds[0], 0);
			struct record *all[] = { a, b };
			struct addr want = { .family = 4, .b = { 10, 0, 0, (uint8_t)n } };

			b->lb.request.foreign = false;
			turn_adopt_all(ipam, all, 2);
			turn_decide(ipam, a, &server);
			turn_decide(ipam, b, &server);
			turn_end(ipam, all, 2);
			assert_int_equal(b->lb.n_want, 1);
			if (!addr_eq(&b->lb.want[0], &want))
				fail_msg("%s, %zu in the status: b gets %s", kinds[k], n,
				         addr_str(&b->lb.want[0]));
			record_free(a);
			record_free(b);
			ipam_free(ipam);
		}
}

/* ---- who has an address that several name ---- */

static struct addr claimed(void)
{
	return (struct addr){ .family = 4, .b = { 10, 0, 1, 0 } };
}

static struct thing in_a_status(void)
{
	return (struct thing){ .exists = true,
		               .lb = true,
		               .lb_pool = "",
		               .pool = "",
		               .ingress = { claimed() },
		               .n_ingress = 1 };
}

static struct thing in_a_record(void)
{
	return (struct thing){ .exists = true,
		               .lb_pool = "",
		               .pool = "both",
		               .external = { claimed() },
		               .n_external = 1,
		               .recorded = { claimed() },
		               .n_recorded = 1 };
}

static struct thing by_hand(void)
{
	return (struct thing){ .exists = true,
		               .lb_pool = "",
		               .pool = "",
		               .external = { claimed() },
		               .n_external = 1 };
}

/*
 * Whoever is older: a status comes before a record that is confirmed, and that before a list that
 * somebody wrote.
 */
static void test_claims(void **state)
{
	(void)state;
	static struct thing (*const kinds[])(void) = { in_a_status, in_a_record, by_hand };
	const struct addr a = claimed();

	for (size_t i = 0; i < ARRAY_LEN(kinds) * ARRAY_LEN(kinds) * 2; i++) {
		size_t better = i / 2 % ARRAY_LEN(kinds), worse = i / 2 / ARRAY_LEN(kinds);
		if (better >= worse)
			continue;
		struct ipam *ipam = ipam_of(worlds[0]);
		struct thing things[] = { kinds[better](), kinds[worse]() };
		struct record *records[2];
		/* In the namespace whose lists are allowed; of two names the first comes first. */
		read_again(&things[0], i % 2 ? 1 : 3);
		read_again(&things[1], i % 2 ? 3 : 1);
		for (size_t k = 0; k < 2; k++)
			records[k] = things[k].record;
		turn_sort(records, 2);
		turn_adopt_all(ipam, records, 2);
		const char *holder = ipam_holder(ipam, &a);
		const char *right =
			better == 0 ? things[0].record->key : things[0].record->external_key;
		if (!holder || strcmp(holder, right) != 0)
			fail_msg("case %zu: %s holds it, not %s", i, holder ? holder : "nobody",
			         right);
		for (size_t k = 0; k < 2; k++)
			record_free(records[k]);
		ipam_free(ipam);
	}
}

/* What was read is held from then on, though its own turn is still to come. */
static void test_what_was_read_is_held(void **state)
{
	(void)state;
	static struct thing (*const kinds[])(void) = { in_a_status, in_a_record, by_hand };
	const struct addr a = claimed();

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct ipam *ipam = ipam_of(worlds[0]);
		struct thing reads = kinds[i](),
			     waits = { .exists = true, .lb = true, .lb_pool = "both", .pool = "" };
		read_again(&waits, 1);
		turn_adopt(ipam, waits.record);
		read_again(&reads, 3);
		turn_adopt(ipam, reads.record);
		turn_let_go(ipam, reads.record);
		turn_decide(ipam, waits.record, &server);
		assert_int_equal(waits.record->lb.n_want, 1);
		if (addr_eq(&waits.record->lb.want[0], &a))
			fail_msg("case %zu: it is given to somebody else", i);
		record_free(reads.record);
		record_free(waits.record);
		ipam_free(ipam);
	}
}

/*
 * Of two statuses that name one address the second is looked at when the first goes, though nothing
 * of it is ours to decide: it has the address then, and nobody who waits may be given it.
 */
static void test_who_is_pushed_aside_inherits(void **state)
{
	(void)state;
	static const char other_class[] =
		"\"type\":\"LoadBalancer\",\"loadBalancerClass\":\"example.com/other\"";
	struct ipam *ipam = ipam_of("address-pools:\n"
	                            "- {name: lan, protocol: layer2, addresses: [10.0.0.0/32]}\n");
	struct record *first = record_of("a", "\"type\":\"LoadBalancer\"", 1);
	struct record *second = record_of("b", other_class, 1);
	struct record *none = record_of("c", other_class, 0);

	turn_adopt(ipam, first);
	assert_false(turn_decide(ipam, none, &server).waits);
	assert_true(turn_decide(ipam, second, &server).waits);
	ipam_release(ipam, first->key);
	assert_true(turn_is_concerned(ipam, second));
	assert_false(turn_decide(ipam, second, &server).waits);
	assert_string_equal(ipam_holder(ipam, &(struct addr){ .family = 4, .b = { 10 } }),
	                    second->key);
	record_free(first);
	record_free(second);
	record_free(none);
	ipam_free(ipam);
}

/*
 * While Services may be there of which nothing is known, nobody gets what it has not; who has
 * something keeps it.
 */
static void test_lost_services(void **state)
{
	(void)state;
	struct ipam *ipam = ipam_of("address-pools:\n"
	                            "- {name: lan, protocol: layer2, addresses: [10.0.0.0/24]}\n");
	static const struct record_server blind = { .hides = true };
	static const char lb[] = "\"type\":\"LoadBalancer\"";
	struct record *a = record_of("a", lb, 1);
	struct record *b = record_of("b", lb, 0);
	struct record *c = record_of("c", lb, 1);
	struct record *all[] = { a, b, c };

	/* c would move to the address that it asks for. */
	c->lb.request.held[0].b[3] = 1;
	c->lb.request.asked[c->lb.request.n_asked++] =
		(struct addr){ .family = 4, .b = { 10, 0, 0, 9 } };
	for (size_t i = 0; i < 3; i++)
		all[i]->lb.request.foreign = false;
	turn_adopt_all(ipam, all, 3);
	turn_decide(ipam, a, &blind);
	assert_int_equal(a->lb.reason, REASON_Kept);
	assert_true(turn_decide(ipam, b, &blind).waits);
	assert_int_equal(b->lb.reason, REASON_ServicesLost);
	assert_int_equal(b->lb.n_want, 0);
	assert_true(turn_decide(ipam, c, &blind).waits);
	assert_int_equal(c->lb.reason, REASON_ServicesLost);
	assert_int_equal(c->lb.n_want, 1);
	assert_int_equal(c->lb.want[0].b[3], 1);
	turn_end(ipam, all, 3);
	turn_decide(ipam, b, &server);
	assert_int_equal(b->lb.n_want, 1);
	turn_decide(ipam, c, &server);
	assert_int_equal(c->lb.want[0].b[3], 9);
	for (size_t i = 0; i < 3; i++)
		record_free(all[i]);
	ipam_free(ipam);
}

/* Somebody writes an external IP by hand in the moment between the two writes of an assignment. */
static void test_a_refusal_confirms_what_was_given(void **state)
{
	(void)state;
	struct ipam *ipam =
		ipam_of("address-pools:\n- {name: edge, protocol: layer2, use: external-ip, "
	                "addresses: [10.0.2.0/30]}\n");
	struct thing t = { .exists = true, .lb_pool = "", .pool = "edge", .unconfirmed = true };

	read_again(&t, 0);
	turn_adopt_all(ipam, &t.record, 1);
	assert_true(turn_decide(ipam, t.record, &server).write.external_ips);
	turn_end(ipam, &t.record, 1);
	write_object(&t, 0, (struct record_write){ .external_ips = true });
	assert_int_equal(t.n_recorded, 1);
	assert_int_equal(addr_parse("192.0.2.9", &t.external[t.n_external++]), 0);
	read_again(&t, 0);
	turn_decide(ipam, t.record, &server);
	assert_int_equal(t.record->external->reason, REASON_ExternalIpsMixed);
	const char *opening = KUBE_CONFIRMS_FAILED "10.0.2.0; ";
	assert_memory_equal(t.record->external->message, opening, strlen(opening));
	record_free(t.record);
	ipam_free(ipam);
}

/*
 * However often it is decided that a Service may not have what it names, others are given it, if
 * nothing else is free.
 */
static void test_what_is_denied_is_not_held(void **state)
{
	(void)state;
	struct ipam *ipam = ipam_of(
		"address-pools:\n"
		"- {name: lan, protocol: layer2, addresses: [10.0.0.0/30]}\n"
		"- {name: edge, protocol: layer2, use: external-ip, addresses: [10.0.2.0/32]}\n");
	struct thing named = { .exists = true, .lb_pool = "", .pool = "lan", .unconfirmed = true };
	struct thing asks = { .exists = true, .lb_pool = "", .pool = "edge", .unconfirmed = true };

	assert_int_equal(addr_parse("10.0.2.0", &named.recorded[named.n_recorded++]), 0);
	named.external[named.n_external++] = named.recorded[0];
	read_again(&named, 0);
	for (int i = 0; i < 2; i++) {
		turn_adopt_all(ipam, &named.record, 1);
		struct record_write w = turn_decide(ipam, named.record, &server).write;
		assert_int_equal(named.record->external->reason, REASON_PoolNotForUse);
		turn_end(ipam, &named.record, 1);
		if (i == 0) {
			assert_true(w.external_condition);
			write_object(&named, 0, w);
			turn_settle(ipam, named.record, (struct record_write){ .ingress = false });
		}
	}
	read_again(&asks, 1);
	turn_adopt_all(ipam, &asks.record, 1);
	turn_decide(ipam, asks.record, &server);
	assert_int_equal(asks.record->external->reason, REASON_Assigned);
	assert_true(addr_eq(&asks.record->external->want[0], &named.recorded[0]));
	record_free(named.record);
	record_free(asks.record);
	ipam_free(ipam);
}

static void decide_once(struct ipam *ipam, struct thing *t, size_t i)
{
	read_again(t, i);
	turn_adopt_all(ipam, &t->record, 1);
	turn_decide(ipam, t->record, &server);
	turn_end(ipam, &t->record, 1);
}

/*
 * Whoever writes the record by hand, with the address in the list, asks for it, and is not given
 * what the pool would not give him: neither to a new Service nor to one that just gave something
 * up.
 */
static void test_a_record_takes_nothing_special(void **state)
{
	(void)state;
	static const struct {
		const char *what, *addr, *gets;
	} rows[] = {
		{ "one like any other", "10.0.2.5", "10.0.2.5" },
		{ "excluded", "10.0.2.1", "10.0.2.3" },
		{ "reserved for another", "10.0.2.2", "10.0.2.3" },
		{ "reserved for itself", "10.0.2.3", "10.0.2.3" },
		{ "a BGP peer's", "10.0.2.6", "10.0.2.3" },
	};
	static const char yaml[] =
		"peers: [{peer-address: 10.0.2.6, my-asn: 65000, peer-asn: 65001}]\n"
		"address-pools:\n"
		"- {name: edge, protocol: bgp, use: external-ip, addresses: [10.0.2.0/29], exclude: "
		"[10.0.2.1/32], reservations: [{service: x/y, address: 10.0.2.2}, "
		"{service: b/s00, address: 10.0.2.3}]}\n";

	for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
		struct ipam *ipam = ipam_of(yaml);
		struct thing t = { .exists = true, .lb_pool = "", .unconfirmed = true };
		const struct record_part *p;
		struct addr gets;

		t.pool = i % 2 ? "" : "edge";
		assert_int_equal(addr_parse(rows[i / 2].addr, &t.recorded[t.n_recorded++]), 0);
		assert_int_equal(addr_parse(rows[i / 2].gets, &gets), 0);
		t.external[t.n_external++] = t.recorded[0];
		decide_once(ipam, &t, 0);
		if (i % 2) { /* its last action was a release */
			assert_int_equal(t.record->external->action, IPAM_RELEASE);
			t.pool = "edge";
			decide_once(ipam, &t, 0);
		}
		p = t.record->external;
		if (p->n_want != 1 || !addr_eq(&p->want[0], &gets) || p->action == IPAM_FAIL)
			fail_msg("%s: gets %s: %s", rows[i / 2].what,
			         p->n_want ? addr_str(&p->want[0]) : "nothing", p->message);
		record_free(t.record);
		ipam_free(ipam);
	}
}

/*
 * Nor more than his namespace may have, also where a leader that has just come finds it there; an
 * earlier one gave only what it might.
 */
static void test_a_record_is_within_quotas(void **state)
{
	(void)state;
	static const char *const quotas[] = { "", ", quota: [{namespaces: [b], addresses: 0}]" };

	for (size_t i = 0; i < ARRAY_LEN(quotas); i++) {
		cleanup_free char *yaml = xasprintf(
			"address-pools:\n- {name: edge, protocol: layer2, use: external-ip, "
			"addresses: [10.0.2.0/30]%s}\n",
			quotas[i]);
		struct ipam *ipam = ipam_of(yaml);
		struct thing t = {
			.exists = true, .lb_pool = "", .pool = "edge", .unconfirmed = true
		};

		assert_int_equal(addr_parse("10.0.2.1", &t.recorded[t.n_recorded++]), 0);
		t.external[t.n_external++] = t.recorded[0];
		decide_once(ipam, &t, 0);
		assert_int_equal(t.record->external->reason, i ? REASON_QuotaReached : REASON_Kept);
		assert_int_equal(ipam_holds(ipam, t.record->external_key, &t.recorded[0]), !i);
		record_free(t.record);
		ipam_free(ipam);
	}
}

/* What a leader finds in a record is held until it is taken out, if the pool may have given it. */
static void test_what_an_earlier_leader_may_have_given(void **state)
{
	(void)state;
	static const struct {
		const char *what, *pool;
		bool held;
	} rows[] = {
		{ "any", "use: external-ip", true },
		{ "of a pool for load balancers", "use: load-balancer", false },
		{ "of a pool for others", "use: external-ip, namespaces: [a]", false },
		{ "reserved for another",
		  "use: external-ip, reservations: [{service: x/y, address: 10.0.2.1}]", false },
		{ "beyond a quota", "use: external-ip, quota: [{namespaces: [b], addresses: 0}]",
		  false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_free char *yaml = xasprintf("address-pools:\n- {name: edge, protocol: "
		                                    "layer2, addresses: [10.0.2.0/30], %s}\n",
		                                    rows[i].pool);
		struct ipam *ipam = ipam_of(yaml);
		struct thing t = { .exists = true, .lb_pool = "", .pool = "", .unconfirmed = true };

		assert_int_equal(addr_parse("10.0.2.1", &t.recorded[t.n_recorded++]), 0);
		t.external[t.n_external++] = t.recorded[0];
		decide_once(ipam, &t, 0);
		assert_int_equal(t.record->external->action, IPAM_RELEASE);
		if (ipam_holds(ipam, t.record->external_key, &t.recorded[0]) != rows[i].held)
			fail_msg("%s: held %d", rows[i].what, !rows[i].held);
		record_free(t.record);
		ipam_free(ipam);
	}
}

/* What was given is held though its Service goes before the condition could say so. */
static void test_who_goes_has_what_it_was_given(void **state)
{
	(void)state;
	struct ipam *ipam =
		ipam_of("address-pools:\n- {name: edge, protocol: layer2, use: external-ip, "
	                "addresses: [10.0.2.0/30]}\n");
	struct thing t = { .exists = true, .lb_pool = "", .pool = "edge", .unconfirmed = true };

	decide_once(ipam, &t, 0);
	write_object(&t, 0, (struct record_write){ .external_ips = true });
	t.deleting = true;
	for (int i = 0; i < 2; i++) {
		decide_once(ipam, &t, 0);
		assert_int_equal(t.record->external->reason, REASON_Deleting);
		assert_true(ipam_holds(ipam, t.record->external_key, &t.recorded[0]));
		assert_null(strstr(t.record->external->message, "names"));
	}
	record_free(t.record);
	ipam_free(ipam);
}

/*
 * An edit that takes the pool away retains what was given, confirmed yet or not, and not what a
 * Service only names.
 */
static void test_what_an_edit_retains(void **state)
{
	(void)state;
	struct ipam *now = ipam_of(
		"address-pools:\n"
		"- {name: edge, protocol: layer2, use: external-ip, addresses: [10.0.2.0/30]}\n"
		"- {name: lan, protocol: layer2, addresses: [10.0.0.0/30]}\n");
	struct ipam *next = ipam_of("address-pools:\n"
	                            "- {name: lan, protocol: layer2, addresses: [10.0.0.0/30]}\n");
	struct edit edit = { .now = ipam_configuration(now), .next = ipam_configuration(next) };
	struct thing given = { .exists = true, .lb_pool = "", .pool = "edge", .unconfirmed = true };
	struct thing named = { .exists = true, .lb_pool = "", .pool = "lan", .unconfirmed = true };
	cleanup(buf_fini) struct buf text = BUF_INIT;

	assert_int_equal(addr_parse("10.0.2.1", &given.recorded[given.n_recorded++]), 0);
	given.external[given.n_external++] = given.recorded[0];
	assert_int_equal(addr_parse("10.0.2.3", &named.recorded[named.n_recorded++]), 0);
	named.external[named.n_external++] = named.recorded[0];
	decide_once(now, &given, 0);
	decide_once(now, &named, 1);
	assert_int_equal(named.record->external->action, IPAM_FAIL);
	edit_retain(&edit, given.record);
	edit_retain(&edit, named.record);
	assert_int_equal(edit.n_retained, 1);
	assert_true(addr_eq(&edit.retained[0].addr, &given.recorded[0]));
	edit_print_retained(&edit, &text);
	assert_non_null(strstr(buf_str(&text), "\"10.0.2.1/32\""));
	assert_true(edit_effect_on(&edit, given.record).orphans);
	assert_false(edit_effect_on(&edit, given.record).silences);
	assert_false(edit_effect_on(&edit, named.record).orphans);
	edit_fini(&edit);
	record_free(given.record);
	record_free(named.record);
	ipam_free(now);
	ipam_free(next);
}

static void decide_move(struct ipam *ipam, struct record *r)
{
	turn_request_move(r, IPAM_RENUMBER_AT_ONCE);
	turn_decide(ipam, r, &server);
}

/*
 * Of two Services and one address, whoever has none gets it, and not the earlier one that may move
 * there; that one moves when there is room and it is let again.
 */
static void test_who_has_none_comes_before_who_moves(void **state)
{
	(void)state;
	struct ipam *ipam = ipam_of("address-pools:\n"
	                            "- {name: lan, protocol: layer2, renumber: true, addresses: "
	                            "[10.0.0.1/32]}\n");
	struct thing mover = { .exists = true, .lb = true, .lb_pool = "", .pool = "" };
	struct thing waits = mover;

	assert_int_equal(addr_parse("10.0.9.1", &mover.ingress[mover.n_ingress++]), 0);
	read_again(&mover, 1);
	mover.record->lb.request.assigned_by_us = true;
	read_again(&waits, 0);
	assert_true(turn_has_none(waits.record));
	assert_false(turn_has_none(mover.record));
	assert_true(turn_is_earlier(mover.record, waits.record));
	mover.record->may_move = true;
	struct record *records[] = { mover.record, waits.record };
	turn_adopt_all(ipam, records, 2);
	turn_put_movers_last(records, 2);
	for (size_t i = 0; i < 2; i++)
		decide_move(ipam, records[i]);
	assert_int_equal(waits.record->lb.action, IPAM_ASSIGN);
	assert_int_equal(mover.record->lb.action, IPAM_KEEP);
	assert_false(turn_awaits_move(mover.record));

	ipam_release(ipam, waits.record->key);
	decide_move(ipam, mover.record);
	assert_int_equal(mover.record->lb.action, IPAM_KEEP);
	assert_true(turn_awaits_move(mover.record));
	mover.record->may_move = true;
	decide_move(ipam, mover.record);
	assert_int_equal(mover.record->lb.action, IPAM_MOVE);
	assert_false(turn_awaits_move(mover.record));
	assert_false(mover.record->may_move);
	record_free(mover.record);
	record_free(waits.record);
	ipam_free(ipam);
}

/*
 * What is foreseen of an edit is what then happens: whoever has no address first, then the earlier
 * ones as long as there is room, and the rest stay.
 */
static void test_who_will_move(void **state)
{
	(void)state;
	struct ipam *ipam = ipam_of("address-pools:\n"
	                            "- {name: lan, protocol: layer2, renumber: true, addresses: "
	                            "[10.0.0.0/30]}\n");
	struct thing things[6] = { { .exists = false } };
	struct record *records[6];
	struct edit_fate fates[6];

	for (size_t i = 0; i < 6; i++) {
		things[i] = (struct thing){ .exists = true, .lb = true, .lb_pool = "", .pool = "" };
		things[i].n_ingress = i < 5; /* the last one waits */
		if (i < 5) {
			cleanup_free char *ip = xasprintf("10.0.9.%zu", i);
			assert_int_equal(addr_parse(ip, &things[i].ingress[0]), 0);
		}
		read_again(&things[i], 2 * i);
		things[i].record->lb.request.assigned_by_us = i < 5;
		records[i] = things[i].record;
	}
	turn_adopt_all(ipam, records, 6);
	edit_foresee(ipam, records, 6, fates);
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(fates[i].moves, i < 3);
		assert_int_equal(fates[i].stays, i == 3 || i == 4);
		record_free(records[i]);
	}
	ipam_free(ipam);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lives),
		cmocka_unit_test(test_long_statuses),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_what_was_read_is_held),
		cmocka_unit_test(test_who_is_pushed_aside_inherits),
		cmocka_unit_test(test_lost_services),
		cmocka_unit_test(test_a_refusal_confirms_what_was_given),
		cmocka_unit_test(test_what_is_denied_is_not_held),
		cmocka_unit_test(test_a_record_takes_nothing_special),
		cmocka_unit_test(test_a_record_is_within_quotas),
		cmocka_unit_test(test_what_an_earlier_leader_may_have_given),
		cmocka_unit_test(test_who_goes_has_what_it_was_given),
		cmocka_unit_test(test_what_an_edit_retains),
		cmocka_unit_test(test_who_has_none_comes_before_who_moves),
		cmocka_unit_test(test_who_will_move),
	};

	return cmocka_run_group_tests_name("turn", tests, NULL, NULL);
}
