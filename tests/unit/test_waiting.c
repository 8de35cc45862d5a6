/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random lives of Services that wait: at rest nobody waits for what there would be if all were
 * looked at, though only those are looked at whom what became free may concern.
 */
#include "config.h"

#include "unit.h"

#include <stdlib.h>

#include <json-c/json.h>

#include "fairlead/mem.h"
#include "fairlead/record.h"
#include "fairlead/turn.h"
#include "fairlead/waiting.h"

enum { MANY = 20, STEPS = 150, SEEDS = 60 };

static const char *const worlds[] = {
	"address-pools:\n"
	"- {name: lan, protocol: layer2, addresses: [10.0.0.0/30, 'fd00::/126']}\n"
	"- {name: wan, protocol: layer2, addresses: [10.0.1.0/30], auto-assign: false}\n",
	"address-pools:\n"
	"- {name: lan, protocol: layer2, use: [load-balancer, external-ip], cool-down: 10m,\n"
	"   addresses: [10.0.0.0/29, 'fd00::/126']}\n",
	"address-pools:\n"
	"- {name: lan, protocol: layer2, addresses: [10.0.0.0/29, 'fd00::/125'],\n"
	"   reservations: [{service: b/s02, address: 10.0.0.1}, {service: a/s03, address: 'fd00::1'}],\n"
	"   quota: [{namespaces: [a], addresses: 3}]}\n",
	"address-pools:\n"
	"- {name: lan, protocol: layer2, allocation: least-used-pool, namespaces: [a],\n"
	"   addresses: [10.0.0.0/30]}\n"
	"- {name: wan, protocol: layer2, use: [load-balancer, external-ip],\n"
	"   allocation: least-used-pool, addresses: [10.0.1.0/30, 'fd00::/126']}\n",
	"address-pools:\n"
	"- {name: lan, protocol: layer2, use: [load-balancer, external-ip],\n"
	"   addresses: [10.0.0.0/29, 'fd00::/126']}\n"
	"external-ips: {allow: [10.0.0.0/29], namespaces: [a]}\n",
};

static const struct record_rules rules = { .external_ips = true };
static const struct record_server server = { 0 };
static unsigned int rnd_state;

static struct world {
	struct ipam *ipam;
	struct waiting waiting;
	struct record *records[MANY];
	bool dirty[MANY];
	int64_t now_s;
} w;

static unsigned int rnd(unsigned int below)
{
	rnd_state = rnd_state * 1664525 + 1013904223;
	return (rnd_state >> 8) % below;
}

static void put_annotation(struct buf *out, const char *name, const char *value)
{
	if (*value)
		buf_printf(out, "%s\"%s\":\"%s\"", buf_str(out)[out->size - 1] == '{' ? "" : ",",
		           name, value);
}

static struct record *record_of(size_t i, const char *annotations, bool dual, const char *by_hand)
{
	struct kube_service *s;
	struct err e = ERR_INIT;
	cleanup_free char *text = xasprintf(
		"{\"metadata\":{\"namespace\":\"%c\",\"name\":\"s%02zu\",\"uid\":\"u%zu\","
		"\"resourceVersion\":\"1\",\"creationTimestamp\":\"2026-01-01T00:00:%02zuZ\","
		"\"annotations\":%s},\"spec\":{\"type\":\"LoadBalancer\",\"ipFamilyPolicy\":"
		"\"PreferDualStack\",\"clusterIPs\":[\"10.96.0.1\"%s],\"externalIPs\":[%s]},\"status\":{}}",
		i % 2 ? 'a' : 'b', i, i, i, annotations, dual ? ",\"fd00:96::1\"" : "", by_hand);
	struct json_object *obj = json_tokener_parse(text);

	if (kube_service_parse(obj, &s, &e) < 0)
		fail_msg("%s: %s", e.msg, text);
	json_object_put(obj);
	struct record *r = record_new(NULL, &s->meta);
	record_read(r, s, &rules, 1);
	kube_service_free(s);
	return r;
}

static void create(size_t i)
{
	static const char *const asked[] = {
		"",        "10.0.0.1",         "10.0.0.2",        "10.0.1.1",
		"fd00::1", "10.0.0.1,fd00::1", "10.0.0.3,fd00::2"
	};
	static const char *const pools[] = { "", "", "lan", "wan" };
	static const char *const keys[] = { "", "", "k", "k" };
	static const char *const external[] = { "", "", "lan", "wan" };
	static const char *const by_hand[] = { "", "", "\"10.0.0.1\"", "\"10.0.0.2\"" };
	cleanup(buf_fini) struct buf out = BUF_INIT;

	buf_puts(&out, "{");
	put_annotation(&out, "fairlead.io/addresses", asked[rnd(ARRAY_LEN(asked))]);
	put_annotation(&out, "fairlead.io/address-pool", pools[rnd(ARRAY_LEN(pools))]);
	put_annotation(&out, "fairlead.io/allow-shared-ip", keys[rnd(ARRAY_LEN(keys))]);
	put_annotation(&out, "fairlead.io/external-ips", external[rnd(ARRAY_LEN(external))]);
	buf_puts(&out, "}");
	w.records[i] = record_of(i, buf_str(&out), rnd(2), by_hand[rnd(ARRAY_LEN(by_hand))]);
	w.dirty[i] = true;
}

static void wake(void)
{
	size_t n;
	cleanup_free struct record **concerned = waiting_concerned(&w.waiting, w.ipam, &n);

	ipam_freed_seen(w.ipam);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < MANY; k++)
			w.dirty[k] |= w.records[k] == concerned[i];
}

static void delete (size_t i)
{
	bool freed = ipam_release(w.ipam, w.records[i]->key);

	freed |= ipam_release(w.ipam, w.records[i]->external_key);
	waiting_remove(&w.waiting, w.records[i]);
	record_free(TAKE(w.records[i]));
	w.dirty[i] = false;
	if (freed)
		wake();
}

/* True if it freed anything. */
static bool write_one(struct record *r, struct record_write what)
{
	if (!record_writes(what))
		return false;
	record_written(r, what);
	if (waiting_has(r))
		waiting_put(&w.waiting, w.ipam, r);
	return turn_settle(w.ipam, r, (struct record_write){ .ingress = false });
}

static bool turn(void)
{
	struct record *turn[MANY];
	struct record_write writes[MANY];
	size_t n = 0;

	for (size_t i = 0; i < MANY; i++)
		if (w.records[i] && w.dirty[i])
			turn[n++] = w.records[i];
	memset(w.dirty, 0, sizeof(w.dirty));
	turn_sort(turn, n);
	turn_adopt_all(w.ipam, turn, n);
	for (size_t i = 0; i < n; i++) {
		struct turn_outcome t = turn_decide(w.ipam, turn[i], &server);
		writes[i] = t.write;
		if (t.waits)
			waiting_put(&w.waiting, w.ipam, turn[i]);
		else
			waiting_remove(&w.waiting, turn[i]);
	}
	bool freed = turn_end(w.ipam, turn, n);
	for (size_t i = 0; i < n; i++)
		freed |= write_one(turn[i], writes[i]);
	if (freed)
		wake();
	return n > 0;
}

static void assert_no_more(const struct record *r, const char *key, const struct record_part *p)
{
	struct ipam_decision d;

	if (!p || !waiting_has(r))
		return;
	ipam_decide(w.ipam, key, &p->request, &d);
	if (d.n > p->n_want || (p->action == IPAM_FAIL && d.action != IPAM_FAIL))
		fail_msg("%s: %s (%s) would be %s: %s", key, ipam_action_name(p->action),
		         p->message, ipam_action_name(d.action), d.message);
}

static void step(void)
{
	size_t i = rnd(MANY);

	if (w.records[i])
		delete (i);
	else
		create(i);
	if (rnd(10) == 0 && ipam_set_time(w.ipam, w.now_s += 300))
		wake();
	int rounds = 0;
	while (turn())
		if (++rounds > 20)
			fail_msg("they do not come to rest");
	for (i = 0; i < MANY; i++)
		if (w.records[i]) {
			assert_no_more(w.records[i], w.records[i]->key, &w.records[i]->lb);
			assert_no_more(w.records[i], w.records[i]->external_key,
			               w.records[i]->external);
		}
}

static void start(const char *world)
{
	struct config_problems problems = { 0 };
	struct configuration *c = NULL;

	if (configuration_parse(world, strlen(world), &c, &problems, NULL) < 0)
		fail_msg("%s", problems.items[0].message);
	config_problems_fini(&problems);
	w = (struct world){ .ipam = ipam_new(c), .now_s = 1000000 };
	ipam_set_time(w.ipam, w.now_s);
	configuration_unref(c);
}

static void end(void)
{
	for (size_t i = 0; i < MANY; i++)
		if (w.records[i])
			delete (i);
	assert_null(w.waiting.open);
	assert_null(w.waiting.by_name);
	assert_null(w.waiting.names);
	ipam_free(w.ipam);
}

static void test_nobody_waits_for_what_there_is(void **state)
{
	(void)state;
	for (unsigned int seed = 1; seed <= SEEDS; seed++) {
		rnd_state = seed;
		start(worlds[seed % ARRAY_LEN(worlds)]);
		for (int i = 0; i < STEPS; i++)
			step();
		end();
	}
}

/* Who asks for other addresses is not looked at, however many they are. */
static void test_an_address_is_looked_at_by_those_who_name_it(void **state)
{
	(void)state;
	start(worlds[0]);
	w.records[0] = record_of(0, "{\"fairlead.io/addresses\":\"10.0.0.1\"}", false, "");
	w.records[1] = record_of(1, "{\"fairlead.io/addresses\":\"10.0.0.2\"}", false, "");
	for (size_t i = 2; i < MANY; i++)
		w.records[i] = record_of(i,
		                         i % 2 ? "{\"fairlead.io/addresses\":\"10.0.0.1\"}"
		                               : "{\"fairlead.io/addresses\":\"10.0.0.2\"}",
		                         false, "");
	memset(w.dirty, true, sizeof(w.dirty));
	while (turn())
		;
	assert_null(w.waiting.open);
	w.waiting.n_looks = 0;
	delete (0);
	assert_int_equal(w.waiting.n_looks, MANY / 2 - 1);
	end();
}

/* Whoever could be given anything else is looked at whatever becomes free. */
static void test_who_goes_by_name(void **state)
{
	static const struct {
		const char *annotations;
		bool dual, by_name;
		size_t i;
	} rows[] = {
		{ "{\"fairlead.io/addresses\":\"10.0.0.2\"}", false, true, 0 },
		{ "{\"fairlead.io/addresses\":\"10.0.0.2\"}", true, false, 0 },
		{ "{\"fairlead.io/addresses\":\"10.0.0.2,fd00::2\"}", true, true, 0 },
		{ "{\"fairlead.io/addresses\":\"10.0.0.2\"}", false, false, 2 },
		{ "{\"fairlead.io/address-pool\":\"lan\"}", false, false, 0 },
		{ "{\"fairlead.io/addresses\":\"10.0.0.2\",\"fairlead.io/allow-shared-ip\":\"k\"}",
		  false, false, 0 },
	};

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
		start(worlds[2]);
		struct record *r = record_of(rows[k].i, rows[k].annotations, rows[k].dual, "");
		if (ipam_goes_by_name(w.ipam, r->key, &r->lb.request) != rows[k].by_name)
			fail_msg("row %zu: %d", k, !rows[k].by_name);
		record_free(r);
		end();
	}
}

/* What it names by hand is its own once the one that has it is gone. */
static void test_who_names_it_by_hand_inherits(void **state)
{
	(void)state;
	start(worlds[4]);
	w.records[0] = record_of(0, "{\"fairlead.io/addresses\":\"10.0.0.1\"}", false, "");
	w.dirty[0] = true;
	while (turn())
		;
	w.records[1] =
		record_of(1, "{\"fairlead.io/addresses\":\"10.0.0.2\"}", false, "\"10.0.0.1\"");
	w.dirty[1] = true;
	while (turn())
		;
	assert_non_null(w.waiting.by_name);
	delete (0);
	assert_true(w.dirty[1]);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_waits_for_what_there_is),
		cmocka_unit_test(test_who_goes_by_name),
		cmocka_unit_test(test_who_names_it_by_hand_inherits),
		cmocka_unit_test(test_an_address_is_looked_at_by_those_who_name_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
