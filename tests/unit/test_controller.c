/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One controller, as it is but for the network and the time, and a Service or two: what it does
 * with a write of which nobody knows what became of it, and with one that the watch has not shown
 * yet.  tests/unit/test_leaders has whole lives; these are single promises, each of which has to
 * hold whenever the write takes effect and the connection breaks.
 */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <event2/event.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdlib.h>

#include "../apisim/js.h"
#include "controller/books.h"
#include "controller/controller.h"
#include "controller/report.h"
#include "controller/services.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "virtual_kube.h"
#include "virtual_loop.h"

enum { SEEDS = 60, SEEDS_UNREADABLE = 100, MANY = 6 };
#define SERVICE "/api/v1/namespaces/default/services/web"
#define PATIENCE_MS 30000

static const struct virtual_faults calm = { 0 };

/*
 * When the new address was sent for the first time and came to stand in the status, and when the
 * old one went.
 */
struct move {
	int64_t sent_ms, begun_ms, ended_ms;
};

static struct {
	struct controller ctl;
	uint64_t seed;
	size_t which;                 /* case of the table */
	const char *part;             /* writes to paths with this part suffer from: */
	struct virtual_faults faults; /* until the step that sends them ends */
	unsigned int n_writes;        /* to such paths */
	int64_t free_ms;              /* when the address became free */
	bool handed_over;
	struct move moves[MANY];
	struct {
		char name[16], version[24];
	} sent[64];
	unsigned int n_service_events, n_other_events; /* about contested statuses */
	char note[512];                                /* of the last one */
	char accepted[512];                            /* of the last accepted configuration */
	char denied[512];                              /* of the last one about external IPs */
} scene;

static void fail_at(const char *what)
{
	fail_msg("case %zu, seed %llu, %lld ms: %s", scene.which, (unsigned long long)scene.seed,
	         (long long)virtual_now(), what);
}

/*
 * Renumbered from 10.0.0.x to 10.0.1.x: the new address before the old one, and only then without
 * it.
 */
static void note_move(struct move *m, struct json_object *ingress)
{
	const char *ips[2] = { "", "" };
	size_t n = js_len(ingress);

	for (size_t i = 0; i < n && i < ARRAY_LEN(ips); i++)
		ips[i] = js_str0(json_object_array_get_idx(ingress, i), "ip");
	bool is_new = !strncmp(ips[0], "10.0.1.", 7), beside = !strncmp(ips[1], "10.0.0.", 7);

	if (!m->begun_ms && n == 2 && is_new && beside)
		m->begun_ms = virtual_now();
	else if (m->begun_ms && !m->ended_ms && n == 1 && is_new)
		m->ended_ms = virtual_now();
	else if (n > 0 && is_new != (m->begun_ms > 0))
		fail_at("a Service moves without having both addresses for a while");
}

static void on_change(const char *what, const char *key, struct json_object *now)
{
	size_t i;

	if (!strcmp(what, "services") && now && sscanf(key, "default/w%zu", &i) == 1 && i < MANY)
		note_move(&scene.moves[i], js_array(now, "status.loadBalancer.ingress"));
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

static bool is_served_at(const char *path)
{
	cleanup(js_put) struct json_object *o = virtual_kube_get(path);

	return o && js_len(js_array(o, "status.loadBalancer.ingress")) > 0;
}

static bool is_served(void)
{
	return is_served_at(SERVICE);
}

/* What the object's version was when the last patch to it was decided on. */
static char *version_of_last(const struct record *r)
{
	size_t i = 0;

	while (i < ARRAY_LEN(scene.sent) && *scene.sent[i].name &&
	       strcmp(scene.sent[i].name, r->name) != 0)
		i++;
	assert_true(i < ARRAY_LEN(scene.sent));
	snprintf(scene.sent[i].name, sizeof(scene.sent[i].name), "%s", r->name);
	return scene.sent[i].version;
}

/*
 * What the client sends once more by itself is the same patch and as good as one.  A patch takes
 * effect on the version that it names alone, so one that is still on its way does no harm when the
 * object has changed.
 */
static void assert_last_settled(const struct event_base *base, const struct record *r)
{
	cleanup_free char *path = xasprintf("/api/v1/namespaces/default/services/%s", r->name);
	cleanup(js_put) struct json_object *o = virtual_kube_get(path);
	char *version = version_of_last(r);

	if (o && !strcmp(js_str0(o, "metadata.resourceVersion"), version) &&
	    virtual_kube_is_open(base, path))
		fail_at("decided anew and sent, and the write before may still take effect");
	snprintf(version, sizeof(scene.sent[0].version), "%s", r->version);
}

static void on_send(struct event_base *base, const char *path)
{
	const struct record *r = record_of(path);

	size_t i;

	if (r && r->n_sent == 1)
		assert_last_settled(base, r);
	if (r && r->lb.action == IPAM_MOVE && sscanf(r->name, "w%zu", &i) == 1 && i < MANY &&
	    !scene.moves[i].sent_ms)
		scene.moves[i].sent_ms = virtual_now();
	virtual_faults = calm;
	if (!scene.part || !strstr(path, scene.part))
		return;
	scene.n_writes++;
	virtual_faults = scene.faults;
}

static void on_event(const struct kube_event *ev)
{
	if (!strcmp(ev->reason, "ConfigurationAccepted"))
		snprintf(scene.accepted, sizeof(scene.accepted), "%s", ev->note);
	if (!strcmp(ev->reason, "ExternalIpNotAllowed"))
		snprintf(scene.denied, sizeof(scene.denied), "%s", ev->note);
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

#define POOL(name, more) \
	"- {name: " name ", protocol: layer2, use: [load-balancer, external-ip], " more "}\\n"
#define LAN(addresses) POOL("lan", "addresses: [" addresses "]")

static void configure(const char *method, const char *where, const char *pools)
{
	cleanup_free char *path =
		xasprintf("/api/v1/namespaces/fairlead-system/configmaps%s", where);

	virtual_kube_do(method, path,
	                "{'metadata':{'name':'fairlead','namespace':'fairlead-system'},'data':"
	                "{'config':'address-pools:\\n%s'}}",
	                pools);
}

static void put_service(const char *name, const char *annotations)
{
	virtual_kube_do("POST", "/api/v1/namespaces/default/services",
	                "{'metadata':{'name':'%s','annotations':{%s}},"
	                "'spec':{'type':'LoadBalancer','ports':[{'port':80}]}}",
	                name, annotations);
}

/* A change that asks for nothing. */
static void label(const char *name)
{
	cleanup_free char *path = xasprintf("/api/v1/namespaces/default/services/%s", name);

	virtual_kube_do("PATCH", path, "{'metadata':{'labels':{'at':'%lld'}}}",
	                (long long)virtual_now());
}

/* Another process. */
static void start(int lag_ms)
{
	struct err e = ERR_INIT;

	memset(&scene.ctl, 0, sizeof(scene.ctl));
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

static void begin(uint64_t seed, int lag_ms)
{
	memset(&scene, 0, sizeof(scene));
	scene.seed = seed;
	virtual_loop_init(seed);
	virtual_faults = (struct virtual_faults){ .lag_ms = lag_ms };
	virtual_kube_init(&ops);
	virtual_kube_do("POST", "/api/v1/namespaces", "{'metadata':{'name':'%s'}}",
	                "fairlead-system");
	configure("POST", "", LAN("10.0.0.0/30"));
	start(lag_ms);
}

static void end(void)
{
	controller_stop(&scene.ctl);
	virtual_kube_fini();
}

/* ---- the lease is handed over when nothing can take effect any more ---- */

static void edit(void)
{
	configure("PATCH", "/fairlead", LAN("10.0.0.0/29"));
}

static void create(void)
{
	put_service("web", "");
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

static void nothing(void)
{
}

/* After which another address would be right. */
static void edit_pools(void)
{
	configure("PATCH", "/fairlead", LAN("10.0.1.0/30"));
}

/* on_send() judges. */
static void test_doubt(void **state)
{
	(void)state;
	static void (*const meanwhile[])(void) = { nothing, edit_pools };

	for (uint64_t i = 0; i < SEEDS * ARRAY_LEN(meanwhile); i++) {
		begin(i / ARRAY_LEN(meanwhile) + 1, 5);
		scene.which = i % ARRAY_LEN(meanwhile);
		scene.part = "/services/";
		scene.faults = (struct virtual_faults){ .late = 1000, .unanswered = 1000 };
		put_service("web", "");
		run_until(has_given_up, "the write does not end");
		scene.part = NULL;
		meanwhile[scene.which]();
		run_until(is_served, "no address ever arrives");
		run_for(5000);
		end();
	}
}

/*
 * Several writes to one Service (to its status, to itself, and the condition that confirms that)
 * cost as many patches however late the watch is: each waits until the watch has shown the one
 * before.  Otherwise the watch would take back what is known, and what is decided on that would be
 * refused as a conflict.
 */
static void test_writes_in_a_row(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		begin(seed, 3000);
		const struct controller_stats before = scene.ctl.stats;
		put_service("web", "'fairlead.io/external-ips':'lan'");
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
		put_service("web", "");
		run_until(has_first_address, "no address ever arrives");
		edit_pools();
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

/* A ConfigMap holds so much, and a little is for the rest of it. */
#define PUBLISHED_MAX (1024 * 1024 - 4096)

static bool edit_is_refused(void)
{
	return !scene.ctl.config.judged_good;
}

/* The pools, and a comment that makes the text so long. */
static void configure_at_length(const char *pools, size_t len)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;
	size_t used = strlen("address-pools:\n") + strlen(pools) - strlen("\n") + strlen("#");

	buf_printf(&text, "%s#", pools);
	for (; used < len; used++)
		buf_putc(&text, 'x');
	configure("PATCH", "/fairlead", buf_str(&text));
}

/*
 * What would not fit into what is published is refused with what helps, and is in force as soon as
 * it fits.
 */
static void test_retained_has_a_bound(void **state)
{
	(void)state;
	begin(1, 50);
	put_service("web", "");
	run_until(has_first_address, "no address ever arrives");
	/* Nothing has to be retained, so the text may be as long. */
	configure_at_length(LAN("10.0.0.0/30, 10.0.1.0/30"), PUBLISHED_MAX);
	run_until(edit_is_published, "a long text is not published");
	configure("PATCH", "/fairlead", LAN("10.0.0.0/30"));
	run_for(1000);
	configure_at_length(LAN("10.0.1.0/30"), PUBLISHED_MAX);
	run_until(edit_is_refused, "more is published than a ConfigMap holds");
	assert_int_equal(scene.ctl.config.errors.n, 1);
	assert_non_null(strstr(scene.ctl.config.errors.items[0].message,
	                       "takes too many addresses in use out of all pools"));
	run_for(20000);
	if (edit_is_published() || !has_first_address())
		fail_at("what was refused is in force");
	virtual_kube_do("DELETE", SERVICE, "%s", "");
	run_until(edit_is_published, "what fits by now stays refused");
	assert_int_equal(scene.ctl.config.errors.n, 0);
	end();
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

/*
 * Also where a write to it is under way when the address becomes free, and the later one is heard
 * of first.
 */
static void test_inheriting(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		begin(seed, 5);
		configure("PATCH", "/fairlead", LAN("10.0.0.0/32"));
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

/* ---- of those that wait the first is served first ---- */

static bool has_address(const char *name)
{
	cleanup_free char *path = xasprintf("/api/v1/namespaces/default/services/%s", name);

	return is_served_at(path);
}

static bool one_has_it(void)
{
	return has_address("b") || has_address("c") || has_address("d") || has_address("e");
}

static void ask_for_the_address(const char *name)
{
	cleanup_free char *path = xasprintf("/api/v1/namespaces/default/services/%s", name);

	virtual_kube_do("PATCH", path,
	                "{'metadata':{'annotations':{'fairlead.io/addresses':'%s'}}}", "10.0.0.0");
}

/* Has something written to the Service and to the last one, and deletes who has the address. */
static void take_away(const char *from, const char *writes_to)
{
	cleanup_free char *gone = xasprintf("/api/v1/namespaces/default/services/%s", from);

	scene.n_writes = 0;
	ask_for_the_address("e");
	ask_for_the_address(writes_to);
	run_until(writes, "nothing is sent");
	virtual_kube_do("DELETE", gone, "%s", "");
	scene.free_ms = virtual_now();
}

/*
 * a has the only address, b, c and e wait, and a write to one of them suffers when a goes and d
 * comes.
 */
static void compete(uint64_t seed, int lag_ms, const char *held, struct virtual_faults faults)
{
	begin(seed, lag_ms);
	configure("PATCH", "/fairlead", LAN("10.0.0.0/32"));
	run_for(1000);
	for (const char *const *name = (const char *const[]){ "a", "b", "c", "e", NULL }; *name;
	     name++) {
		put_service(*name, "");
		run_for(1000);
	}
	assert_true(has_address("a"));
	scene.part = *held == 'b' ? "/services/b/" : "/services/c/";
	scene.faults = faults;
	take_away("a", held);
	put_service("d", "");
	run_until(one_has_it, "nobody is given what became free");
}

/* Also where its condition is being written when the address becomes free. */
static void test_who_comes_first_is_served_first(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		/* The watch may be later than the answer, too. */
		compete(seed, seed % 2 ? 5 : 300, "b", calm);
		if (!has_address("b"))
			fail_at("a later one is served first");
		/* Whoever has waited behind another once waits as long the next time. */
		run_for(2000);
		scene.part = "/services/c/";
		take_away("b", "c");
		run_until(one_has_it, "nobody is given what became free again");
		if (!has_address("c"))
			fail_at("a later one is served first the next time");
		end();
	}
}

/* It is those behind it that wait, not those before it. */
static void test_a_later_one_holds_up_nobody(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		compete(seed, 5, "c", (struct virtual_faults){ .unanswered = 1000 });
		assert_true(has_address("b"));
		if (virtual_now() - scene.free_ms >= 1000)
			fail_at("the first one is held up by a later one");
		end();
	}
}

/* One of which nobody knows when it can be decided does not hold up those behind it for long. */
static void test_a_lost_write_holds_up_nobody(void **state)
{
	(void)state;
	compete(1, 5, "b", (struct virtual_faults){ .unanswered = 1000 });
	assert_true(has_address("c"));
	end();
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
	configure("PATCH", "/fairlead", LAN("10.0.0.0/24"));
	run_for(1000);
	put_services();
	run_for(5000);
	assert_int_equal(n_conditions("Assigned"), CONTESTED);
}

/*
 * One contested Service has its Event, and all have one for all of them; each says in its condition
 * what is the matter.
 */
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

/* ---- renumbering ---- */

static bool all_are_served(void)
{
	for (const struct record *r = scene.ctl.records; r; r = r->hh.next)
		if (r->lb.request.n_held == 0)
			return false;
	return HASH_COUNT(scene.ctl.records) == MANY;
}

static bool all_have_moved(void)
{
	for (size_t i = 0; i < MANY; i++)
		if (!scene.moves[i].ended_ms)
			return false;
	return true;
}

/*
 * One Service after the other, four a second, and each keeps its old address for ten seconds beside
 * the new one.  One that changes meanwhile, and is decided each time, holds up nobody.
 */
static void test_renumbered(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		begin(seed, 5);
		configure("PATCH", "/fairlead", LAN("10.0.0.0/29"));
		for (size_t i = 0; i < MANY; i++) {
			cleanup_free char *name = xasprintf("w%zu", i);
			put_service(name, "");
		}
		run_until(all_are_served, "no address ever arrives");
		run_for(1000);
		uint64_t n_decided = scene.ctl.stats.decisions;
		configure("PATCH", "/fairlead",
		          POOL("lan", "addresses: [10.0.1.0/29], renumber: true"));
		/* Somebody writes to one of them all the while. */
		for (int i = 0; i < 100 && seed % 2; i++) {
			run_for((int64_t)virtual_random(50));
			label("w1");
		}
		run_until(all_have_moved, "not all are renumbered");
		run_for(1000);
		int64_t first = INT64_MAX, last = 0;
		for (size_t i = 0; i < MANY; i++) {
			const struct move *m = &scene.moves[i];
			if (m->ended_ms - m->begun_ms < 9500)
				fail_at("an old address goes too early");
			first = m->sent_ms < first ? m->sent_ms : first;
			last = m->sent_ms > last ? m->sent_ms : last;
		}
		if (last - first < (MANY - 2) * 250)
			fail_at("several are renumbered at a time");
		/*
		 * For the edit, twice for each of the two writes, and not for every other Service's
		 * turn.
		 */
		if (seed % 2 == 0 && scene.ctl.stats.decisions - n_decided > 6 * MANY)
			fail_at("they are decided again and again");
		end();
	}
}

static bool is_first_at(const char *name, const char *ip)
{
	cleanup_free char *path = xasprintf("/api/v1/namespaces/default/services/%s", name);
	cleanup(js_put) struct json_object *o = virtual_kube_get(path);
	struct json_object *ingress = o ? js_array(o, "status.loadBalancer.ingress") : NULL;

	return js_len(ingress) > 0 &&
	       !strcmp(js_str0(json_object_array_get_idx(ingress, 0), "ip"), ip);
}

static void wait_to_be_at(const char *name, const char *ip)
{
	for (int64_t until = virtual_now() + PATIENCE_MS; !is_first_at(name, ip); step())
		if (virtual_now() > until)
			fail_msg("seed %llu: %s never gets %s", (unsigned long long)scene.seed,
			         name, ip);
}

static bool some_service_waits(void)
{
	return scene.ctl.waiting.open || scene.ctl.waiting.by_name;
}

static void is_woken(struct record *r, void *arg)
{
	(void)arg;
	assert_true(r->dirty);
}

static void take_in(const char *addresses)
{
	cleanup_free char *pools =
		xasprintf(POOL("lan", "addresses: [%s], renumber: true"), addresses);

	configure("PATCH", "/fairlead", pools);
	/* Longer than all that could move takes. */
	run_for(20000);
}

/* What the Event of the last edit says beyond that it is in force. */
static void judge_note(const char *effect)
{
	const char *said = strchr(scene.accepted, ';');

	said = said ? said + strlen("; ") : "";
	if (strncmp(said, effect, strlen(effect)) != 0 || (!*effect && *said))
		fail_msg("seed %llu: not \"%s\": %s", (unsigned long long)scene.seed, effect,
		         scene.accepted);
}

/*
 * Whoever has no address is served before anybody moves, however long ago that one was made and
 * let move where there was no room.  Those that move do so in the order of turns, not in that in
 * which they were seen.
 */
static void test_who_waits_is_served_before_any_move(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		begin(seed, 5);
		configure("PATCH", "/fairlead", LAN("10.0.0.0/31"));
		run_for(1000);
		put_service("b", "");
		put_service("a", "");
		wait_to_be_at("a", "10.0.0.0");
		wait_to_be_at("b", "10.0.0.1");
		put_service("c", "");
		run_until(some_service_waits, "there is room for a third one");
		take_in("10.0.1.0/31");
		if (!is_first_at("c", "10.0.1.0") || !is_first_at("a", "10.0.1.1") ||
		    !is_first_at("b", "10.0.0.1"))
			fail_at("another one has the room that there is");
		judge_note("1 Service moves to another address (renumber); no pool would give 1 "
		           "Service the address in use any more");
		put_service("d", "");
		run_for(1000);
		take_in("10.0.1.0/31, 10.0.2.0/32");
		if (!is_first_at("d", "10.0.2.0") || !is_first_at("b", "10.0.0.1"))
			fail_at("one that merely moves comes before one that has no address");
		judge_note("");
		take_in("10.0.1.0/31, 10.0.2.0/32, 10.0.3.0/32");
		if (!is_first_at("b", "10.0.3.0"))
			fail_at("what is free in the end is given to nobody");
		judge_note("1 Service moves to another address (renumber)");
		end();
	}
}

/*
 * Whoever has no address, and of whose last write nobody knows yet what became of it, is waited
 * for: what is free may be for that one.
 */
static void test_a_move_waits_for_an_open_write(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		begin(seed, 5);
		configure("PATCH", "/fairlead", LAN("10.0.0.0/32"));
		run_for(1000);
		put_service("a", "");
		wait_to_be_at("a", "10.0.0.0");
		scene.part = "/services/c";
		scene.faults = (struct virtual_faults){ .late = 1000, .unanswered = 1000 };
		put_service("c", "");
		run_until(writes, "nobody says that there is no room");
		scene.part = NULL;
		take_in("10.0.1.0/32");
		if (!is_first_at("c", "10.0.1.0") || !is_first_at("a", "10.0.0.0"))
			fail_at("one that merely moves comes before one that has no address");
		end();
	}
}

static unsigned int n_freed;

static void count_freed(struct controller *ctl)
{
	(void)ctl;
	n_freed++;
}

/*
 * Thousands may be missing at once from the list of a server that has lost its data: what they had
 * is offered to those that wait once, and not each address to all of them.
 */
static void test_many_that_go_wake_those_that_wait_once(void **state)
{
	(void)state;
	static const struct controller_calls counting = { .freed = count_freed };

	begin(1, 5);
	for (size_t i = 0; i < MANY; i++) {
		cleanup_free char *name = xasprintf("w%zu", i);
		put_service(name, "");
	}
	run_until(some_service_waits, "there is room for all");
	run_for(1000);
	const struct controller_calls *calls = scene.ctl.calls;
	struct record *r, *next;
	unsigned int n_holders = 0;

	scene.ctl.calls = &counting;
	n_freed = 0;
	HASH_ITER(hh, scene.ctl.records, r, next) {
		if (waiting_has(r))
			continue;
		n_holders++;
		services_ops.remove("default", r->name, "", &scene.ctl);
	}
	assert_int_equal(n_holders, 4);
	assert_int_equal(n_freed, 0);
	books_settle(&scene.ctl);
	assert_int_equal(n_freed, 1);
	waiting_each(&scene.ctl.waiting, is_woken, NULL);
	books_settle(&scene.ctl);
	assert_int_equal(n_freed, 1);
	scene.ctl.calls = calls;
	end();
}

/* ---- what a Service asked for ---- */

static bool has_what_it_asked_for(void)
{
	cleanup(js_put) struct json_object *o = virtual_kube_get(SERVICE);
	struct json_object *ingress = o ? js_array(o, "status.loadBalancer.ingress") : NULL;

	return js_len(ingress) == 1 &&
	       !strncmp(js_str0(json_object_array_get_idx(ingress, 0), "ip"), "10.0.1.", 7);
}

/*
 * A request is honoured once the object has what was asked for, and only then does the address stay
 * whatever becomes of the pools.  A change that comes between the decision and its write makes
 * nothing of it.
 */
static void test_a_request_that_is_not_written_yet(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		begin(seed, 5);
		configure("PATCH", "/fairlead",
		          LAN("10.0.0.0/30") POOL("edge", "addresses: [10.0.1.0/30]"));
		put_service("web", "");
		run_until(is_served, "no address ever arrives");
		run_for(1000);
		scene.part = seed % 2 ? "/services/" : NULL;
		scene.faults = (struct virtual_faults){ .lost = 500, .queued = 500 };
		virtual_kube_do("PATCH", SERVICE, "{'metadata':{'annotations':{%s}}}",
		                "'fairlead.io/address-pool':'edge'");
		for (int i = 0; i < 20; i++) {
			run_for((int64_t)virtual_random(20));
			label("web");
		}
		scene.part = NULL;
		run_until(has_what_it_asked_for, "what it asked for is forgotten");
		end();
	}
}

/* ---- what cannot be read ---- */

#define OTHER "/api/v1/namespaces/default/services/other"

static bool other_is_served(void)
{
	return is_served_at(OTHER);
}

/*
 * As when somebody has written something into it that nobody understands: names, and the addresses
 * in its status.
 */
static void becomes_unreadable(const struct addr *addrs, size_t n)
{
	const struct record *r = record_of(SERVICE);
	struct err why = ERR_INIT;
	struct kube_remains remains = { .meta = { .namespace = r->namespace,
		                                  .name = (char *)(uintptr_t)r->name,
		                                  .uid = r->uid },
		                        .ingress = (struct addr *)(uintptr_t)addrs,
		                        .n_ingress = n };

	err_set(&why, -EINVAL, ERR_REMOTE, "nobody understands it");
	services_ops.unreadable(&remains, &why, &scene.ctl);
}

static const struct addr first = { .family = 4, .b = { 10 } };

static void held_in_its_status(void)
{
	run_until(is_served, "no address ever arrives");
	run_for((int64_t)virtual_random(500));
	becomes_unreadable(&first, 1);
}

static void on_its_way_there(void)
{
	run_until(writes, "nothing is sent");
	run_for((int64_t)virtual_random(20));
	/* What the watch has shown once is not missing from what comes after it. */
	const struct record *r = record_of(SERVICE);
	bool shown = r->lb.request.n_held > 0 && !r->awaits;
	becomes_unreadable(&first, shown);
}

/*
 * Whatever it asks for, nobody else is given the address that it has, or that a write may still
 * give it.
 */
static void test_unreadable(void **state)
{
	(void)state;
	static void (*const cases[])(void) = { held_in_its_status, on_its_way_there };
	const char *more = getenv("FAIRLEAD_SEEDS");
	uint64_t n_seeds = more ? strtoull(more, NULL, 10) : SEEDS_UNREADABLE;

	for (uint64_t i = 0; i < n_seeds * ARRAY_LEN(cases); i++) {
		begin(i / ARRAY_LEN(cases) + 1, 50);
		scene.which = i % ARRAY_LEN(cases);
		scene.part = "/services/web/";
		scene.faults = (struct virtual_faults){ .late = 500, .unanswered = 500 };
		put_service("web", "");
		cases[scene.which]();
		put_service("other", "");
		run_until(other_is_served, "the other one gets no address");
		cleanup(js_put) struct json_object *o = virtual_kube_get(OTHER);
		if (!strcmp(js_str0(json_object_array_get_idx(
					    js_array(o, "status.loadBalancer.ingress"), 0),
		                    "ip"),
		            "10.0.0.0"))
			fail_at("the address of one that cannot be read is given away");
		end();
	}
}

/*
 * Objects without a name that can be told may be Services that hold any address: nothing new is
 * assigned.
 */
static void test_lost(void **state)
{
	(void)state;
	begin(1, 5);
	put_service("web", "");
	run_until(is_served, "no address ever arrives");
	services_ops.lost(2, &scene.ctl);
	put_service("other", "");
	run_for(60000);
	if (other_is_served())
		fail_at("an address is assigned that somebody may have");
	if (!is_served())
		fail_at("what a Service has is taken from it");
	services_ops.lost(0, &scene.ctl);
	run_until(other_is_served, "all can be made out again, and nothing is assigned");
	end();
}

/* ---- what it says of itself ---- */

static void test_report(void **state)
{
	cleanup(buf_fini) struct buf why = BUF_INIT, text = BUF_INIT, metrics = BUF_INIT;
	struct metrics_writer w = { .out = &metrics };
	struct out o;

	(void)state;
	begin(1, 5);
	assert_true(report_ops.healthy(&why, &scene.ctl));
	assert_true(report_ops.ready(&why, &scene.ctl));
	assert_int_equal(why.size, 0);
	put_service("web", "'fairlead.io/external-ips':'lan'");
	run_for(5000);
	configure("PATCH", "/fairlead", LAN("10.0.1.0/31"));
	run_for(5000);
	out_init(&o, OUT_JSON, &text);
	report_ops.status(&o, &scene.ctl);
	out_fini(&o);
	cleanup(js_put) struct json_object *json = json_tokener_parse(buf_str(&text));
	if (!json)
		fail_msg("%s", buf_str(&text));
	struct json_object *pools = js_array(json, "pools");
	assert_int_equal(js_len(pools), 1);
	assert_int_equal(js_int(json_object_array_get_idx(pools, 0), "total", 0), 2);
	/* Address and external IP, both retained. */
	struct json_object *web = json_object_array_get_idx(js_array(json, "services"), 0);
	assert_string_equal(js_str0(web, "name"), "web");
	assert_string_equal(js_str0(web, "reason"), "Retained");
	assert_string_equal(js_str0(web, "external_ips.reason"), "Retained");
	report_ops.collect(&w, &scene.ctl);
	assert_non_null(strstr(buf_str(&metrics), "\nfairlead_leader 1\n"));
	assert_non_null(strstr(buf_str(&metrics), "fairlead_pool_retained{pool=\"lan\"} 2\n"));
	end();
}

/* ---- uninstalling ---- */

#define ACTIVE "/api/v1/namespaces/fairlead-system/configmaps/" CONFIG_MAP_ACTIVE

/* NULL: takes the mark off. */
static void set_mark(const char *mark)
{
	cleanup_free char *value = mark ? xasprintf("'%s'", mark) : xstrdup("null");

	virtual_kube_do("PATCH", ACTIVE,
	                "{'metadata':{'annotations':{'" UNINSTALL_ANNOTATION "':%s}}}", value);
}

static const char *mark(void)
{
	static char value[64];
	cleanup(js_put) struct json_object *o = virtual_kube_get(ACTIVE);
	struct json_object *a = o ? js_object(o, "metadata.annotations") : NULL;
	struct json_object *v = a ? json_object_object_get(a, UNINSTALL_ANNOTATION) : NULL;

	snprintf(value, sizeof(value), "%s", v ? json_object_get_string(v) : "");
	return value;
}

static bool is_handed_over(void)
{
	return scene.handed_over;
}

static bool is_answered(void)
{
	return !strcmp(mark(), UNINSTALL_RELEASED);
}

/*
 * Addresses stay, nothing more is assigned, and whoever is installed next need not wait for the
 * lease.
 */
static void test_uninstalled(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		begin(seed, 50);
		put_service("web", "");
		run_until(is_served, "no address ever arrives");
		set_mark(UNINSTALL_KEEP);
		run_until(is_handed_over, "the lease is kept");
		/* Also where the mark has gone, which is for the next installation. */
		if (seed % 2)
			set_mark(NULL);
		put_service("late", "");
		run_for(8000);
		if (!is_served())
			fail_at("an address is taken back, and nobody asked for that");
		if (is_served_at("/api/v1/namespaces/default/services/late"))
			fail_at("an address is assigned by one that was uninstalled");
		if (*mark() && seed % 2)
			fail_at("the mark is put on again");
		end();
	}
}

/* It answers when the last address has gone, and once for each time that it is asked. */
static void test_uninstalled_with_addresses(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		begin(seed, 50);
		put_service("web", "'fairlead.io/external-ips':'lan'");
		run_until(is_served, "no address ever arrives");
		run_for((int64_t)virtual_random(2000));
		for (int times = 0; times < 2; times++) {
			scene.part = "/services/";
			scene.faults = (struct virtual_faults){ .lost = 300, .unanswered = 300 };
			set_mark(UNINSTALL_RELEASE);
			run_until(is_answered, "it does not say that the addresses have gone");
			scene.part = NULL;
			cleanup(js_put) struct json_object *o = virtual_kube_get(SERVICE);
			if (is_served() || js_len(js_array(o, "spec.externalIPs")) > 0)
				fail_at("it says so, and a Service has an address");
			put_service("late", "");
			run_for(5000);
			if (is_served_at("/api/v1/namespaces/default/services/late"))
				fail_at("an address is assigned by one that was uninstalled");
		}
		end();
	}
}

static bool names_its_source(void)
{
	cleanup(js_put) struct json_object *o = virtual_kube_get(ACTIVE);
	struct json_object *a = o ? js_object(o, "metadata.annotations") : NULL;
	struct json_object *v = a ? json_object_object_get(a, CONFIG_SOURCE_ANNOTATION) : NULL;

	return v && !strcmp(json_object_get_string(v), "fairlead");
}

/* Also one that a version before published, which did not. */
static void test_what_is_published_names_its_source(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		begin(seed, 50);
		put_service("web", "");
		run_until(is_served, "no address ever arrives");
		run_until(names_its_source, "it does not say what it was published from");
		virtual_kube_do("PATCH", ACTIVE,
		                "{'metadata':{'annotations':{'" CONFIG_SOURCE_ANNOTATION
		                "':null}}}");
		run_until(names_its_source, "it does not say so again");
		end();
	}
}

/*
 * Whoever has waited in vain takes the mark off: an answer that was on its way then must not put it
 * on again.
 */
static void test_an_answer_that_comes_too_late(void **state)
{
	size_t n_off = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		begin(seed, 50);
		set_mark(UNINSTALL_RELEASE);
		run_for((int64_t)virtual_random(80));
		if (!is_answered()) {
			set_mark(NULL);
			run_for(8000);
			if (*mark())
				fail_at("the mark is put on again");
			n_off++;
		}
		end();
	}
	assert_in_range(n_off, SEEDS / 4, SEEDS - 1);
}

/* ---- writes in vain ---- */

/*
 * Where a webhook hangs, no write ever takes effect: after a few they are half a minute apart, then
 * ever longer.
 */
static void test_in_vain(void **state)
{
	(void)state;
	begin(1, 5);
	scene.part = "/services/";
	scene.faults = (struct virtual_faults){ .lost = 1000 };
	put_service("web", "");
	run_for(30 * 60 * 1000);
	if (scene.n_writes > 30)
		fail_at("it is tried again and again");
	scene.part = NULL;
	run_for(9 * 60 * 1000);
	if (!is_served())
		fail_at("it is never tried again");
	end();
}

/* ---- pools for some ---- */

#define RED                                                                                    \
	"- {name: red, protocol: layer2, namespace-selectors: [{match-labels: {team: red}}], " \
	"addresses: [10.0.1.0/30]}\\n"

static void label_namespace(const char *value)
{
	virtual_kube_do("PATCH", "/api/v1/namespaces/default",
	                "{'metadata':{'labels':{'team':%s}}}", value);
}

/* When all has settled; "": it has none. */
static const char *address_of(const char *name)
{
	static char found[32];
	cleanup_free char *path = xasprintf("/api/v1/namespaces/default/services/%s", name);

	run_for(1000);
	cleanup(js_put) struct json_object *o = virtual_kube_get(path);
	struct json_object *list = js_array(o, "status.loadBalancer.ingress");
	snprintf(found, sizeof(found), "%s",
	         js_len(list) ? js_str0(json_object_array_get_idx(list, 0), "ip") : "");
	return found;
}

static enum reason reason_of(const char *name)
{
	cleanup_free char *path = xasprintf("/services/%s", name);

	return record_of(path)->lb.reason;
}

/*
 * Namespaces are followed while a pool selects by their labels, and only then.  What the labels
 * decide is decided by them at that time; no change of them moves anybody.
 */
static void test_namespaces(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		begin(seed, 50);
		put_service("a", "");
		assert_string_equal(address_of("a"), "10.0.0.0");
		assert_null(scene.ctl.namespaces.feed);
		configure("PATCH", "/fairlead", LAN("10.0.0.0/30") RED);
		assert_string_equal(address_of("a"), "10.0.0.0");
		assert_non_null(scene.ctl.namespaces.feed);
		put_service("b", "");
		assert_string_equal(address_of("b"), "10.0.0.1");
		put_service("c", "'fairlead.io/address-pool':'red'");
		assert_string_equal(address_of("c"), "");
		assert_int_equal(reason_of("c"), REASON_PoolNotForService);
		label_namespace("'red'");
		assert_string_equal(address_of("c"), "10.0.1.0");
		put_service("d", "");
		assert_string_equal(address_of("d"), "10.0.1.1");
		assert_string_equal(address_of("b"), "10.0.0.1");
		label_namespace("null");
		assert_string_equal(address_of("d"), "10.0.1.1");
		assert_int_equal(reason_of("d"), REASON_Retained);
		configure("PATCH", "/fairlead", LAN("10.0.0.0/30"));
		assert_string_equal(address_of("d"), "10.0.1.1");
		assert_null(scene.ctl.namespaces.feed);
		end();
	}
}

/* A Service of a Namespace that nobody has seen yet waits, and no longer. */
static void test_namespaces_unknown(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		begin(seed, 50);
		configure("PATCH", "/fairlead", LAN("10.0.0.0/30") RED);
		run_for(1000);
		ipam_set_namespace(scene.ctl.ipam, "default", NULL);
		put_service("a", "");
		assert_string_equal(address_of("a"), "");
		assert_int_equal(reason_of("a"), REASON_NamespaceUnknown);
		label_namespace("'blue'");
		assert_string_equal(address_of("a"), "10.0.0.0");
		end();
	}
}

/*
 * Where Namespaces cannot be listed, nobody is decided about while that may pass, so that who comes
 * first is served first; without the right nobody waits for them but whom the labels decide about.
 */
static void test_namespaces_fail(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		begin(seed, 50);
		label_namespace("'red'");
		virtual_kube_fail_lists("namespaces", seed % 2 ? 500 : 403);
		configure("PATCH", "/fairlead", LAN("10.0.0.0/30") RED);
		run_for(1000);
		put_service("a", "");
		put_service("b", "'fairlead.io/address-pool':'lan'");
		assert_string_equal(address_of("b"), seed % 2 ? "" : "10.0.0.0");
		if (seed % 2)
			assert_false(record_of("/services/a")->lb.decided);
		if (seed % 3)
			run_for(10000);
		assert_string_equal(address_of("a"), "");
		if (seed % 3)
			assert_int_equal(reason_of("a"), REASON_NamespaceUnknown);
		virtual_kube_fail_lists("namespaces", 0);
		assert_string_equal(address_of("a"), "10.0.1.0");
		assert_string_equal(address_of("b"), "10.0.0.0");
		end();
	}
}

/*
 * The Event of an edit that first asks for Namespaces says what that then does, and counts those
 * whose pool remains and is for others.
 */
static void test_an_edit_for_some(void **state)
{
	(void)state;
	static const char all[] = POOL("all", "addresses: [10.0.1.0/31]");
	static const char all_in[] = POOL("all", "addresses: [10.0.1.0/31], renumber: true");
	static const char some[] = "- {name: lan, protocol: layer2, addresses: [10.0.0.0/30], "
				   "namespace-selectors: [{match-labels: {team: red}}]}\\n";
	static const struct {
		const char *team, *pools, *effect;
	} rows[] = {
		{ "'red'", all, "" },
		{ "'blue'", all, "no pool would give 3 Services the address in use any more" },
		{ "'red'", all_in, "" },
		{ "'blue'", all_in,
		  "2 Services move to another address (renumber); no pool would "
		  "give 1 Service the address" },
	};

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		size_t i = seed % ARRAY_LEN(rows);
		cleanup_free char *pools = xasprintf("%s%s", some, rows[i].pools);
		begin(seed, 50);
		label_namespace(rows[i].team);
		put_service("a", "");
		put_service("b", "");
		put_service("c", "");
		assert_string_equal(address_of("c"), "10.0.0.2");
		configure("PATCH", "/fairlead", pools);
		run_for(5000);
		judge_note(rows[i].effect);
		end();
	}
}

static void take_lease(void)
{
	virtual_kube_do("PATCH",
	                "/apis/coordination.k8s.io/v1/namespaces/fairlead-system/leases/"
	                "fairlead-controller",
	                "{'spec':{'holderIdentity':'other','leaseDurationSeconds':5}}");
}

static bool is_elected(void)
{
	return scene.ctl.elected;
}

static bool is_deposed(void)
{
	return !scene.ctl.elected;
}

/* A look at Namespaces that began in an earlier time at the top does not count for the next one. */
static void test_namespaces_are_looked_at_anew(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		begin(seed, 50);
		configure("PATCH", "/fairlead", LAN("10.0.0.0/30") RED);
		run_for(1000);
		virtual_kube_fail_lists("namespaces", -1);
		for (int i = 0; i < 2; i++) {
			take_lease();
			run_until(is_deposed, "it still leads");
			run_until(is_elected, "it is not elected");
			run_for(1000);
			if (i == 0)
				label_namespace("'red'");
		}
		put_service("a", "");
		run_for(1000);
		assert_false(scene.ctl.leading);
		virtual_kube_fail_lists("namespaces", 0);
		run_until(leads, "it does not lead");
		assert_string_equal(address_of("a"), "10.0.1.0");
		end();
	}
}

/* ---- addresses that cool down ---- */

static void delete_service(const char *name)
{
	cleanup_free char *path = xasprintf("/api/v1/namespaces/default/services/%s", name);

	virtual_kube_do("DELETE", path, "%s", "");
}

static bool is_written(const char *what)
{
	cleanup(js_put) struct json_object *o =
		virtual_kube_get("/api/v1/namespaces/fairlead-system/configmaps/" IPAM_COOLING_MAP);

	return o && strstr(js_str0(o, "data.cooling"), what);
}

#define COOLING POOL("lan", "addresses: [10.0.0.0/31], cool-down: 1m")

static void begin_with_two(uint64_t seed)
{
	begin(seed, 50);
	configure("PATCH", "/fairlead", COOLING);
	put_service("a", "");
	assert_string_equal(address_of("a"), "10.0.0.0");
	put_service("b", "");
	assert_string_equal(address_of("b"), "10.0.0.1");
}

/*
 * An address that a Service was deleted with waits for that Service, also past an edit and the end
 * of the process, and then goes to whoever waits.
 */
static void test_cooling(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		begin_with_two(seed);
		put_service("c", "");
		assert_string_equal(address_of("c"), "");
		delete_service("a");
		run_for(3000);
		assert_true(is_written("10.0.0.0 default/a "));
		configure("PATCH", "/fairlead", COOLING "# an edit");
		assert_string_equal(address_of("c"), "");
		assert_int_equal(reason_of("c"), REASON_CoolingDown);
		controller_stop(&scene.ctl);
		start(50);
		assert_string_equal(address_of("c"), "");
		assert_int_equal(reason_of("c"), REASON_CoolingDown);
		put_service("a", "");
		assert_string_equal(address_of("a"), "10.0.0.0");
		delete_service("a");
		run_for(58000);
		assert_string_equal(address_of("c"), "");
		run_for(4000);
		assert_string_equal(address_of("c"), "10.0.0.0");
		end();
	}
}

/* What was let go just before the end is written before it. */
static void test_cooling_at_the_end(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		begin(seed, 50);
		configure("PATCH", "/fairlead", COOLING);
		put_service("a", "");
		assert_string_equal(address_of("a"), "10.0.0.0");
		run_for(3000);
		delete_service("a");
		run_for(200);
		assert_false(is_written("10.0.0.0"));
		virtual_loop_signal(scene.ctl.base, SIGTERM);
		run_until(is_over, "it does not end");
		assert_true(is_written("10.0.0.0 default/a "));
		end();
	}
}

static bool is_writing(void)
{
	return scene.ctl.cooling.request;
}

static bool is_behind(void)
{
	return is_writing() && ipam_n_noted(scene.ctl.ipam) != scene.ctl.cooling.n_written;
}

/* Nor is that lost which was let go while the write before was under way. */
static void test_cooling_at_the_end_of_a_write(void **state)
{
	(void)state;
	int n_behind = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		begin_with_two(seed);
		run_for(3000);
		scene.part = "/configmaps";
		scene.faults = (struct virtual_faults){ .queued = 1000 };
		delete_service("a");
		run_until(is_writing, "nothing is written");
		scene.part = NULL;
		virtual_faults = (struct virtual_faults){ 0 };
		delete_service("b");
		for (int ms = 0; ms < 1000 && !is_behind(); ms++)
			run_for(1);
		n_behind += is_behind();
		virtual_loop_signal(scene.ctl.base, SIGTERM);
		run_until(is_over, "it does not end");
		assert_true(is_written("10.0.0.1 default/b "));
		end();
	}
	assert_true(n_behind > 0);
}

/* What went while another one led, which did not write it. */
static void test_cooling_at_a_takeover(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		begin(seed, 50);
		configure("PATCH", "/fairlead", COOLING);
		put_service("a", "");
		assert_string_equal(address_of("a"), "10.0.0.0");
		take_lease();
		run_until(is_deposed, "it still leads");
		delete_service("a");
		run_until(leads, "it does not lead");
		run_for(3000);
		assert_true(is_written("10.0.0.0 default/a "));
		end();
	}
}

/* Whatever became of the books, or of the ConfigMap, since it was written last. */
static void test_cooling_is_written_again(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		begin_with_two(seed);
		delete_service("a");
		run_for(3000);
		assert_true(is_written("10.0.0.0 default/a "));
		configure("PATCH", "/fairlead", COOLING "# an edit");
		run_for(100);
		delete_service("b");
		run_for(13000);
		assert_true(is_written("10.0.0.1 default/b "));
		virtual_kube_do("PATCH",
		                "/api/v1/namespaces/fairlead-system/configmaps/" IPAM_COOLING_MAP,
		                "{'data':{'cooling':'%s'}}", "");
		assert_false(is_written("default/"));
		run_for(13000);
		assert_true(is_written("10.0.0.1 default/b "));
		end();
	}
}

/*
 * A Service that is otherwise left alone is told that the addresses it names are not its own, and
 * others have them.
 */
static void test_left_alone_is_told(void **state)
{
	(void)state;
	begin(1, 50);
	configure("PATCH", "/fairlead", LAN("10.0.0.0/31"));
	run_until(leads, "it does not lead");
	put_service("first", "");
	assert_string_equal(address_of("first"), "10.0.0.0");
	virtual_kube_do("POST", "/api/v1/namespaces/default/services",
	                "{'metadata':{'name':'a','annotations':"
	                "{'fairlead.io/external-ips-assigned':'10.0.0.1'}},"
	                "'spec':{'type':'LoadBalancer','loadBalancerClass':'example.com/x',"
	                "'externalIPs':['10.0.0.1'],'ports':[{'port':80}]}}");
	run_for(3000);
	if (!strstr(scene.denied, "it names 10.0.0.1 of pool lan"))
		fail_at(scene.denied);
	put_service("b", "");
	assert_string_equal(address_of("b"), "10.0.0.1");
	end();
}

#define IN_TURN POOL("lan", "addresses: [10.0.0.0/29], allocation: round-robin")

static void comes_and_goes(const char *name, const char *addr)
{
	put_service(name, "");
	assert_string_equal(address_of(name), addr);
	delete_service(name);
}

/*
 * Which address was given last outlives an edit, also where it is not written yet, and the end; and
 * another leader goes on from what the one before has written, not from where it once was itself.
 */
static void test_in_turn(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		begin(seed, 50);
		configure("PATCH", "/fairlead", IN_TURN);
		run_for(3000);
		put_service("a", "");
		assert_string_equal(address_of("a"), "10.0.0.0");
		run_for(3000);
		assert_true(is_written("last 10.0.0.0 lan\n"));
		delete_service("a");
		comes_and_goes("b", "10.0.0.1");
		configure("PATCH", "/fairlead", IN_TURN "# an edit");
		run_for(1000);
		comes_and_goes("c", "10.0.0.2");
		run_for(13000);
		assert_true(is_written("last 10.0.0.2 lan\n"));
		take_lease();
		run_until(is_deposed, "it still leads");
		virtual_kube_do("PATCH",
		                "/api/v1/namespaces/fairlead-system/configmaps/" IPAM_COOLING_MAP,
		                "{'data':{'cooling':'%s'}}", "last 10.0.0.5\\n");
		run_until(leads, "it does not lead");
		comes_and_goes("d", "10.0.0.6");
		run_for(3000);
		controller_stop(&scene.ctl);
		start(50);
		comes_and_goes("e", "10.0.0.7");
		end();
	}
}

/* However often addresses are let go. */
static void test_cooling_is_written_at_times(void **state)
{
	(void)state;
	begin(1, 50);
	configure("PATCH", "/fairlead", POOL("lan", "addresses: [10.0.0.0/24], cool-down: 1m"));
	scene.part = "/configmaps/" IPAM_COOLING_MAP;
	for (size_t i = 0; i < 30; i++) {
		cleanup_free char *name = xasprintf("s%zu", i);
		put_service(name, "");
		run_for(500);
		delete_service(name);
		run_for(500);
	}
	run_for(11000);
	assert_true(is_written("default/s29 "));
	assert_true(scene.n_writes > 0 && scene.n_writes <= 4);
	scene.part = NULL;
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handing_over),
		cmocka_unit_test(test_doubt),
		cmocka_unit_test(test_writes_in_a_row),
		cmocka_unit_test(test_retained),
		cmocka_unit_test(test_retained_has_a_bound),
		cmocka_unit_test(test_inheriting),
		cmocka_unit_test(test_who_comes_first_is_served_first),
		cmocka_unit_test(test_a_later_one_holds_up_nobody),
		cmocka_unit_test(test_a_lost_write_holds_up_nobody),
		cmocka_unit_test(test_contested),
		cmocka_unit_test(test_renumbered),
		cmocka_unit_test(test_who_waits_is_served_before_any_move),
		cmocka_unit_test(test_a_move_waits_for_an_open_write),
		cmocka_unit_test(test_many_that_go_wake_those_that_wait_once),
		cmocka_unit_test(test_a_request_that_is_not_written_yet),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_what_is_published_names_its_source),
		cmocka_unit_test(test_uninstalled),
		cmocka_unit_test(test_uninstalled_with_addresses),
		cmocka_unit_test(test_an_answer_that_comes_too_late),
		cmocka_unit_test(test_in_vain),
		cmocka_unit_test(test_namespaces),
		cmocka_unit_test(test_namespaces_unknown),
		cmocka_unit_test(test_namespaces_fail),
		cmocka_unit_test(test_an_edit_for_some),
		cmocka_unit_test(test_namespaces_are_looked_at_anew),
		cmocka_unit_test(test_cooling),
		cmocka_unit_test(test_cooling_at_the_end),
		cmocka_unit_test(test_cooling_at_the_end_of_a_write),
		cmocka_unit_test(test_cooling_at_a_takeover),
		cmocka_unit_test(test_cooling_is_written_again),
		cmocka_unit_test(test_left_alone_is_told),
		cmocka_unit_test(test_in_turn),
		cmocka_unit_test(test_cooling_is_written_at_times),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests_name("controller", tests, NULL, NULL);
}
