/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One controller, as it is but for the network and the time, and a Service or two: what it does with a write of which nobody
 * knows what became of it, and with one that the watch has not shown yet.  tests/unit/test_leaders has whole lives; these are
 * single promises, each of which has to hold whenever the write takes effect and the connection breaks.
 */
#include "config.h"

#include "unit.h"

#include <event2/event.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdlib.h>

#include "../apisim/js.h"
#include "controller/controller.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "virtual_kube.h"
#include "virtual_loop.h"

enum { SEEDS = 60 };
#define SERVICE "/api/v1/namespaces/default/services/web"
#define PATIENCE_MS 30000

static const struct virtual_faults calm = { 0 };

static struct {
	struct controller ctl;
	uint64_t seed;
	size_t which;                 /* case of the table */
	const char *part;             /* writes to paths with this part suffer from: */
	struct virtual_faults faults; /* until the step that sends them ends */
	unsigned int n_writes;        /* to such paths */
	bool handed_over;
	unsigned int n_service_events, n_other_events; /* about contested statuses */
	char note[512];                                /* of the last one */
} scene;

static void fail_at(const char *what)
{
	fail_msg("case %zu, seed %llu, %lld ms: %s", scene.which, (unsigned long long)scene.seed,
	         (long long)virtual_now(), what);
}

static void on_change(const char *what, const char *key, struct json_object *now)
{
	(void)key;
	if (strcmp(what, "leases") != 0 || !now || *js_str0(now, "spec.holderIdentity") ||
	    js_int(now, "spec.leaseDurationSeconds", 0) != 1)
		return;
	scene.handed_over = true;
	if (virtual_kube_is_open(scene.ctl.base, "/services") ||
	    virtual_kube_is_open(scene.ctl.base, "/configmaps"))
		fail_at("the lease is handed over, and a write may still take effect");
}

static const struct record *record_of(const char *path)
{
	const char *name = strstr(path, "/services/");
	const struct record *r;

	for (r = scene.ctl.records; r && name; r = r->hh.next)
		if (!strncmp(name + strlen("/services/"), r->name, strlen(r->name)))
			return r;
	return NULL;
}

/* What the client sends once more by itself is the same patch and as good as one. */
static void on_send(struct event_base *base, const char *path)
{
	const struct record *r = record_of(path);
	cleanup_free char *of_it = xasprintf("/services/%s", r ? r->name : "");

	if (r && r->n_sent == 1 && virtual_kube_is_open(base, of_it))
		fail_at("decided anew and sent, and the write before may still take effect");
	virtual_faults = calm;
	if (!scene.part || !strstr(path, scene.part))
		return;
	scene.n_writes++;
	virtual_faults = scene.faults;
}

static void on_event(const struct kube_event *ev)
{
	if (strcmp(ev->reason, "StatusContested") != 0)
		return;
	if (!strcmp(ev->kind, "Service"))
		scene.n_service_events++;
	else
		scene.n_other_events++;
	snprintf(scene.note, sizeof(scene.note), "%s", ev->note);
}

static const struct virtual_ops ops = { .changed = on_change,
	                                .sends = on_send,
	                                .records = on_event };

static void step(void)
{
	virtual_loop_run(virtual_now() + 1);
	virtual_faults = calm;
}

static void run_for(int64_t ms)
{
	for (int64_t until = virtual_now() + ms; virtual_now() < until;)
		step();
}

static void run_until(bool (*reached)(void), const char *what)
{
	for (int64_t until = virtual_now() + PATIENCE_MS; !reached(); step())
		if (virtual_now() > until)
			fail_at(what);
}

static bool leads(void)
{
	return scene.ctl.leading && scene.ctl.config.in_force && !scene.ctl.config.write;
}

static bool writes(void)
{
	return scene.n_writes > 0;
}

static bool has_given_up(void)
{
	return scene.n_writes > 0 && scene.ctl.n_in_flight == 0 && !scene.ctl.config.write;
}

static bool is_over(void)
{
	return virtual_loop_is_over(scene.ctl.base);
}

static bool is_served(void)
{
	cleanup(js_put) struct json_object *o = virtual_kube_get(SERVICE);

	return o && js_len(js_array(o, "status.loadBalancer.ingress")) > 0;
}

static void configure(const char *method, const char *where, const char *addresses)
{
	cleanup_free char *path =
		xasprintf("/api/v1/namespaces/fairlead-system/configmaps%s", where);

	virtual_kube_do(method, path,
	                "{'metadata':{'name':'fairlead','namespace':'fairlead-system'},'data':"
	                "{'config':'address-pools:\\n- {name: lan, protocol: layer2, use: "
	                "[load-balancer, external-ip], addresses: [%s]}\\n'}}",
	                addresses);
}

static void put_service(const char *annotations)
{
	virtual_kube_do("POST", "/api/v1/namespaces/default/services",
	                "{'metadata':{'name':'web','annotations':{%s}},"
	                "'spec':{'type':'LoadBalancer','ports':[{'port':80}]}}",
	                annotations);
}

static void begin(uint64_t seed, int lag_ms)
{
	struct err e = ERR_INIT;

	memset(&scene, 0, sizeof(scene));
	scene.seed = seed;
	virtual_loop_init(seed);
	virtual_faults = (struct virtual_faults){ .lag_ms = lag_ms };
	virtual_kube_init(&ops);
	virtual_kube_do("POST", "/api/v1/namespaces", "{'metadata':{'name':'%s'}}",
	                "fairlead-system");
	configure("POST", "", "10.0.0.0/30");
	scene.ctl.opts = (struct controller_options){
		.daemon = { .kube = { .namespace = "fairlead-system" }, .http_status = "all" },
		.config_map = "fairlead",
		.external_ips = "on",
		.lease_duration_s = 10,
		.renew_deadline_s = 7,
		.retry_period_s = 1,
		.identity = "c",
	};
	if (controller_start(&scene.ctl, &e) < 0)
		fail_msg("%s", e.msg);
	run_until(leads, "it does not lead");
	run_for(2L * lag_ms + 100);
}

static void end(void)
{
	controller_stop(&scene.ctl);
	virtual_kube_fini();
}

/* ---- the lease is handed over when nothing can take effect any more ---- */

static void edit(void)
{
	configure("PATCH", "/fairlead", "10.0.0.0/29");
}

static void create(void)
{
	put_service("");
}

static void delete_under_way(void)
{
	run_until(writes, "nothing is sent");
	virtual_kube_do("DELETE", SERVICE, "%s", "");
	run_until(has_given_up, "a deleted Service's write goes on");
}

static void wait_for_the_end(void)
{
	run_until(has_given_up, "the write does not end");
}

static void wait_for_the_write(void)
{
	run_until(writes, "nothing is sent");
}

static void test_handing_over(void **state)
{
	(void)state;
	static const struct {
		const char *part;
		void (*begins)(void), (*goes_on)(void);
		struct virtual_faults faults;
	} cases[] = {
		{ "/services/", create, wait_for_the_end, { .late = 1000, .unanswered = 1000 } },
		{ "/services/", create, wait_for_the_end, { .unanswered = 1000 } },
		{ "/services/", create, wait_for_the_end, { .lost = 1000 } },
		{ "/services/", create, wait_for_the_write, { .late = 1000 } },
		{ "/services/", create, delete_under_way, { .late = 1000, .unanswered = 1000 } },
		{ "/" CONFIG_MAP_ACTIVE, edit, wait_for_the_write, { .late = 1000 } },
		{ "/" CONFIG_MAP_ACTIVE,
		  edit,
		  wait_for_the_end,
		  { .late = 1000, .unanswered = 1000 } },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t n_handed_over = 0;
		for (uint64_t seed = 1; seed <= SEEDS; seed++) {
			begin(seed, 5);
			scene.which = i;
			scene.part = cases[i].part;
			scene.faults = cases[i].faults;
			cases[i].begins();
			cases[i].goes_on();
			virtual_loop_signal(scene.ctl.base, SIGTERM);
			run_until(is_over, "it does not end");
			n_handed_over += scene.handed_over;
			end();
		}
		/* Where a renewal is under way at that moment, whoever comes next waits it out. */
		if (n_handed_over < SEEDS * 3 / 4)
			fail_msg("case %zu: of %d leases %zu are handed over", i, SEEDS,
			         n_handed_over);
	}
}

/* ---- what may still take effect is not decided anew ---- */

/* on_send() judges. */
static void test_doubt(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		begin(seed, 5);
		scene.part = "/services/";
		scene.faults = (struct virtual_faults){ .late = 1000, .unanswered = 1000 };
		put_service("");
		run_until(has_given_up, "the write does not end");
		scene.part = NULL;
		run_until(is_served, "no address ever arrives");
		run_for(5000);
		end();
	}
}

/*
 * Several writes to one Service (to its status, to itself, and the condition that confirms that) cost as many patches however
 * late the watch is: each waits until the watch has shown the one before.  Otherwise the watch would take back what is known,
 * and what is decided on that would be refused as a conflict.
 */
static void test_writes_in_a_row(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		begin(seed, 3000);
		const struct controller_stats before = scene.ctl.stats;
		put_service("'fairlead.io/external-ips':'lan'");
		run_until(is_served, "no address ever arrives");
		run_for(10000);
		uint64_t n_patches = scene.ctl.stats.patches - before.patches;
		uint64_t n_conflicts = scene.ctl.stats.conflicts - before.conflicts;
		if (n_patches != 3 || n_conflicts > 0)
			fail_msg("seed %llu: %llu patches, of which %llu conflicted",
			         (unsigned long long)seed, (unsigned long long)n_patches,
			         (unsigned long long)n_conflicts);
		end();
	}
}

/* ---- an edit moves nobody ---- */

static bool publishes(const char *part)
{
	cleanup(js_put) struct json_object *o = virtual_kube_get(
		"/api/v1/namespaces/fairlead-system/configmaps/" CONFIG_MAP_ACTIVE);

	return o && strstr(json_object_to_json_string_ext(o, JSON_C_TO_STRING_NOSLASHESCAPE), part);
}

static bool edit_is_published(void)
{
	return publishes("10.0.1.0/30");
}

static bool nothing_is_retained(void)
{
	return !publishes("10.0.0.0/32");
}

static bool has_first_address(void)
{
	cleanup(js_put) struct json_object *o = virtual_kube_get(SERVICE);
	const char *text = o ? json_object_to_json_string(o) : "";

	return strstr(text, "\"10.0.0.0\"");
}

/* Its address is published beside the text that has no pool for it, until the Service goes. */
static void test_retained(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		begin(seed, 50);
		put_service("");
		run_until(has_first_address, "no address ever arrives");
		configure("PATCH", "/fairlead", "10.0.1.0/30");
		run_until(edit_is_published, "the edit is not published");
		if (!publishes("10.0.0.0/32"))
			fail_at("an address in use is published as nobody's");
		run_for(20000);
		if (!has_first_address())
			fail_at("an edit takes an address away");
		virtual_kube_do("DELETE", SERVICE, "%s", "");
		run_until(nothing_is_retained, "an address that is free is retained");
		end();
	}
}

/* ---- of several that name one address the earlier one has it ---- */

static bool is_confirmed(const char *name)
{
	cleanup_free char *path = xasprintf("/api/v1/namespaces/default/services/%s", name);
	cleanup(js_put) struct json_object *o = virtual_kube_get(path);
	struct json_object *conditions = o ? js_array(o, "status.conditions") : NULL;

	for (size_t i = 0; i < js_len(conditions); i++) {
		struct json_object *c = json_object_array_get_idx(conditions, i);
		if (!strcmp(js_str0(c, "type"), KUBE_CONDITION_EXTERNAL_IPS))
			return !strcmp(js_str0(c, "status"), "True");
	}
	return false;
}

static bool first_is_confirmed(void)
{
	return is_confirmed("a");
}

static bool second_is_confirmed(void)
{
	return is_confirmed("b");
}

/* As from a copy of the manifest of whoever has the only address. */
static void put_copy(const char *name)
{
	virtual_kube_do(
		"POST", "/api/v1/namespaces/default/services",
		"{'metadata':{'name':'%s','annotations':{'fairlead.io/external-ips':'lan',"
		"'fairlead.io/external-ips-assigned':'10.0.0.0'}},'spec':{'type':'NodePort',"
		"'externalIPs':['10.0.0.0'],'ports':[{'port':80}]}}",
		name);
}

/* Also where a write to it is under way when the address becomes free, and the later one is heard of first. */
static void test_inheriting(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		begin(seed, 5);
		configure("PATCH", "/fairlead", "10.0.0.0/32");
		run_for(1000);
		put_copy("a");
		run_until(first_is_confirmed, "what nobody else has is not its own");
		scene.part = "/services/b/";
		scene.faults = (struct virtual_faults){ .late = 1000 };
		put_copy("b");
		put_copy("c");
		run_until(writes, "nothing is sent");
		virtual_kube_do("DELETE", "/api/v1/namespaces/default/services/a", "%s", "");
		virtual_kube_do("PATCH", "/api/v1/namespaces/default/services/c",
		                "{'metadata':{'labels':{'tier':'%s'}}}", "web");
		run_until(second_is_confirmed, "the earlier one does not inherit the address");
		if (is_confirmed("c"))
			fail_at("two have one address");
		end();
	}
}

/* ---- another load balancer ---- */

enum { CONTESTED = 31, FIRST = 10 }; /* s10 to s40: no name begins with another */

static void put_services(void)
{
	for (int i = 0; i < CONTESTED; i++)
		virtual_kube_do("POST", "/api/v1/namespaces/default/services",
		                "{'metadata':{'name':'s%d'},"
		                "'spec':{'type':'LoadBalancer','ports':[{'port':80}]}}",
		                FIRST + i);
}

/* The addresses of the first @n Services, as another load balancer would have them. */
static void contest(int n, int round)
{
	for (int i = 0; i < n; i++) {
		cleanup_free char *path =
			xasprintf("/api/v1/namespaces/default/services/s%d/status", FIRST + i);
		virtual_kube_do("PATCH", path,
		                "{'status':{'loadBalancer':{'ingress':[{'ip':'10.0.0.%d'}]}}}",
		                i + 32 * (1 + round % 2));
	}
}

static void judge_events(unsigned int of_services, unsigned int of_all, const char *what)
{
	if (scene.n_service_events != of_services || scene.n_other_events != of_all)
		fail_msg("%s: %u Events of Services and %u of all, not %u and %u", what,
		         scene.n_service_events, scene.n_other_events, of_services, of_all);
}

static unsigned int n_conditions(const char *reason)
{
	unsigned int n = 0;

	for (int i = 0; i < CONTESTED; i++) {
		cleanup_free char *path =
			xasprintf("/api/v1/namespaces/default/services/s%d", FIRST + i);
		cleanup(js_put) struct json_object *o = virtual_kube_get(path);
		struct json_object *c =
			json_object_array_get_idx(js_array(o, "status.conditions"), 0);
		n += !strcmp(js_str0(c, "reason"), reason) && !strcmp(js_str0(c, "status"), "True");
	}
	return n;
}

static void begin_contested(void)
{
	begin(1, 5);
	configure("PATCH", "/fairlead", "10.0.0.0/24");
	run_for(1000);
	put_services();
	run_for(5000);
	assert_int_equal(n_conditions("Assigned"), CONTESTED);
}

/* One contested Service has its Event, and all have one for all of them; each says in its condition what is the matter. */
static void test_contested(void **state)
{
	(void)state;
	begin_contested();
	contest(1, 0);
	run_for(60000);
	judge_events(1, 0, "one Service");
	assert_non_null(strstr(scene.note, "were written by another program"));
	assert_int_equal(n_conditions("StatusContested"), 1);
	contest(CONTESTED, 1);
	run_for(60000);
	judge_events(1, 1, "many Services");
	assert_non_null(strstr(scene.note, "31 Services, default/s"));
	assert_int_equal(n_conditions("StatusContested"), CONTESTED);
	for (int round = 2; round < 60; round++) {
		contest(CONTESTED, round);
		run_for(60000);
	}
	judge_events(6, 6, "an hour");
	run_for(11L * 60000);
	judge_events(6, 7, "afterwards"); /* of what came since the last one */
	assert_int_equal(n_conditions("Kept"), CONTESTED);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handing_over),    cmocka_unit_test(test_doubt),
		cmocka_unit_test(test_writes_in_a_row), cmocka_unit_test(test_retained),
		cmocka_unit_test(test_inheriting),      cmocka_unit_test(test_contested),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests_name("controller", tests, NULL, NULL);
}
