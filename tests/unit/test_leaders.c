/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several controllers, as they are but for the network and the time, on one API server: they are
 * stopped and go on, cut off, killed, ended; they see the world late and each at another time;
 * their writes take effect late, or without an answer; and tenants and administrator go on
 * meanwhile.  Seed after seed, in virtual time: at every change of a Service no address stands in
 * two of them, and none changes that nobody asked to change; and when all is quiet, whoever can
 * have an address has one.
 *
 * What keeps two leaders apart is there to be taken out: tests/mutations names each guard, and this
 * program must notice.
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

enum { REPLICAS = 3, SERVICES = 12, HELD_MAX = 8, STEPS = 50, SEEDS = 150 };
#define QUIET_MS 40000
#define LEASE_S 10
#define RENEW_S 7
#define RETRY_S 1

struct replica {
	struct controller ctl;
	bool up, paused, cut, holds /* the Lease names it */;
	int64_t start_ms, go_on_ms, heal_ms;
	int64_t renewed_ms; /* its lease was, at the API server; 0: it has none */
};

/* What the API server says of a Service. */
struct holding {
	bool exists, may_move, may_change;
	struct addr ingress[HELD_MAX], external[HELD_MAX];
	size_t n_ingress, n_external;
};

static struct {
	uint64_t seed;
	struct replica replicas[REPLICAS];
	struct holding held[SERVICES];
	int n_started;
	size_t config;
} run;

/* The first one is in force at the end. */
static const char *const configurations[] = {
	"address-pools:\\n"
	"- {name: lan, protocol: layer2, addresses: [10.0.0.0/30, 10.0.0.8/31]}\\n"
	"- {name: asked, protocol: layer2, auto-assign: false, addresses: [10.0.1.0/31]}\\n"
	"- {name: edge, protocol: layer2, use: external-ip, addresses: [10.0.2.0/31]}\\n",
	"address-pools:\\n"
	"- {name: lan, protocol: layer2, addresses: [10.0.0.8/31, 10.0.0.0/30], priority: 7}\\n"
	"- {name: asked, protocol: layer2, auto-assign: false, addresses: [10.0.1.0/31]}\\n"
	"- {name: more, protocol: layer2, addresses: [10.0.3.0/31], priority: 3}\\n"
	"- {name: edge, protocol: layer2, use: external-ip, addresses: [10.0.2.0/31]}\\n",
	"address-pools:\\n"
	"- {name: lan, protocol: layer2, addresses: [10.0.0.0/31]}\\n"
	"- {name: asked, protocol: layer2, addresses: [10.0.1.0/31]}\\n"
	"- {name: edge, protocol: layer2, use: [load-balancer, external-ip], addresses: [10.0.2.0/31]}\\n",
};
enum { AUTO_ADDRESSES = 6 }; /* in the first one */

static uint64_t below(uint64_t n)
{
	return virtual_random(n);
}

static bool one_in(uint64_t n)
{
	return below(n) == 0;
}

/* ---- what must never be ---- */

static size_t read_list(const char *list, struct addr out[HELD_MAX])
{
	cleanup_free char *copy = xstrdup(list ? list : "");
	char *save = NULL;
	size_t n = 0;

	for (char *s = strtok_r(copy, ",", &save); s && n < HELD_MAX;
	     s = strtok_r(NULL, ",", &save))
		n += addr_parse(s, &out[n]) == 0;
	return n;
}

static struct holding holding_of(struct json_object *o)
{
	struct holding h = { .exists = o != NULL };
	struct json_object *ingress = o ? js_array(o, "status.loadBalancer.ingress") : NULL;
	struct json_object *annotations = o ? js_object(o, "metadata.annotations") : NULL;

	for (size_t i = 0; i < js_len(ingress) && h.n_ingress < HELD_MAX; i++)
		h.n_ingress += addr_parse(js_str0(json_object_array_get_idx(ingress, i), "ip"),
		                          &h.ingress[h.n_ingress]) == 0;
	if (annotations)
		h.n_external = read_list(json_object_get_string(json_object_object_get(
						 annotations, "fairlead.io/external-ips-assigned")),
		                         h.external);
	return h;
}

static bool holds(const struct holding *h, const struct addr *a)
{
	return addrs_contain(h->ingress, h->n_ingress, a) ||
	       addrs_contain(h->external, h->n_external, a);
}

static void assert_alone(size_t index, const struct addr *addrs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t other = 0; other < SERVICES; other++)
			if (other != index && holds(&run.held[other], &addrs[i]))
				fail_msg("seed %llu, %lld ms: %s is given to s%zu, and s%zu has it",
				         (unsigned long long)run.seed, (long long)virtual_now(),
				         addr_str(&addrs[i]), index, other);
}

static void on_service(const char *key, struct json_object *now)
{
	size_t index = (size_t)strtol(strchr(key, '/') + 2, NULL, 10);
	struct holding *h = &run.held[index], before = *h;

	*h = holding_of(now);
	h->may_move = before.may_move || !before.exists;
	if (!addrs_same_set(before.ingress, before.n_ingress, h->ingress, h->n_ingress)) {
		assert_alone(index, h->ingress, h->n_ingress);
		if (now && before.n_ingress > 0 && !h->may_move)
			fail_msg("seed %llu, %lld ms: s%zu loses %s, and nobody asked for it",
			         (unsigned long long)run.seed, (long long)virtual_now(), index,
			         addr_str(&before.ingress[0]));
	}
	if (!addrs_same_set(before.external, before.n_external, h->external, h->n_external))
		assert_alone(index, h->external, h->n_external);
}

/* A new holder waits for the former one's time to end, but not where that one has given it up. */
static void on_lease(struct json_object *now)
{
	const char *holder = now ? js_str0(now, "spec.holderIdentity") : "";
	bool released = now && !*holder && js_int(now, "spec.leaseDurationSeconds", 0) == 1;

	for (size_t i = 0; i < REPLICAS; i++) {
		struct replica *r = &run.replicas[i];
		if (released && r->up && r->holds &&
		    virtual_kube_is_open(r->ctl.base, "/services/"))
			fail_msg(
				"seed %llu, %lld ms: %s hands its lease over before its writes end",
				(unsigned long long)run.seed, (long long)virtual_now(),
				r->ctl.identity);
		r->holds = r->up && !strcmp(holder, r->ctl.identity);
		if (released)
			r->renewed_ms = 0;
		else if (r->holds)
			r->renewed_ms = virtual_now();
	}
}

static void on_change(const char *what, const char *key, struct json_object *now)
{
	if (!strcmp(what, "services"))
		on_service(key, now);
	else if (!strcmp(what, "leases"))
		on_lease(now);
}

/* Whatever is sent has taken effect, or never will, when another may have the lease. */
static void on_send(struct event_base *base, const char *path)
{
	if (!strstr(path, "/services/") && !strstr(path, "/" CONFIG_MAP_ACTIVE))
		return;
	for (size_t i = 0; i < REPLICAS; i++) {
		const struct replica *r = &run.replicas[i];
		if (!r->up || r->ctl.base != base)
			continue;
		if (!r->renewed_ms ||
		    virtual_now() + r->ctl.timing.effect_ms > r->renewed_ms + LEASE_S * 1000)
			fail_msg("seed %llu, %lld ms: %s sends %s, and its lease may be another's",
			         (unsigned long long)run.seed, (long long)virtual_now(),
			         r->ctl.identity, path);
	}
}

static const struct virtual_ops ops = { .changed = on_change, .sends = on_send };

/* ---- what happens ---- */

static const char *const lb_specs[] = {
	"",
	"",
	"",
	"'fairlead.io/address-pool':'asked'",
	"'fairlead.io/addresses':'10.0.0.1'",
	"'fairlead.io/external-ips':'edge'",
};

static void put_service(size_t i, bool create)
{
	const char *annotation = lb_specs[below(ARRAY_LEN(lb_specs))];
	const char *type = one_in(3) ? "NodePort" : "LoadBalancer";

	if (create) {
		virtual_kube_do("POST", "/api/v1/namespaces/default/services",
		                "{'metadata':{'name':'s%zu','annotations':{%s}},"
		                "'spec':{'type':'%s','ports':[{'port':80}]}}",
		                i, annotation, type);
		return;
	}
	cleanup_free char *path = xasprintf("/api/v1/namespaces/default/services/s%zu", i);
	run.held[i].may_move = true;
	virtual_kube_do("PATCH", path,
	                "{'metadata':{'annotations':{'fairlead.io/address-pool':null,"
	                "'fairlead.io/addresses':null,'fairlead.io/external-ips':null%s%s}},"
	                "'spec':{'type':'%s'}}",
	                *annotation ? "," : "", annotation, type);
}

static void delete_service(size_t i)
{
	cleanup_free char *path = xasprintf("/api/v1/namespaces/default/services/s%zu", i);

	virtual_kube_do("DELETE", path, "%s", "");
}

static void a_tenant_acts(void)
{
	size_t i = below(SERVICES);

	if (!run.held[i].exists) {
		for (uint64_t n = 1 + below(4); n > 0; n--, i = (i + 1) % SERVICES)
			if (!run.held[i].exists)
				put_service(i, true);
	} else if (one_in(2)) {
		put_service(i, false);
	} else {
		delete_service(i);
		if (one_in(3))
			put_service(i, true);
	}
}

static void configure(size_t which)
{
	static const char text[] =
		"{'metadata':{'name':'fairlead','namespace':'fairlead-system'},'data':{'config':'%s'}}";

	run.config = which;
	if (virtual_kube_do("PATCH", "/api/v1/namespaces/fairlead-system/configmaps/fairlead", text,
	                    configurations[which]) == 404)
		virtual_kube_do("POST", "/api/v1/namespaces/fairlead-system/configmaps", text,
		                configurations[which]);
}

static void start(struct replica *r)
{
	struct err e = ERR_INIT;

	memset(r, 0, sizeof(*r));
	virtual_faults.lag_ms = one_in(2) ? 8000 : 50;
	cleanup_free char *identity = xasprintf("c%d", run.n_started++);
	r->ctl.opts = (struct controller_options){
		.daemon = { .kube = { .namespace = "fairlead-system" }, .http_status = "all" },
		.config_map = "fairlead",
		.external_ips = "on",
		.lease_duration_s = LEASE_S,
		.renew_deadline_s = RENEW_S,
		.retry_period_s = RETRY_S,
		.identity = identity,
	};
	if (controller_start(&r->ctl, &e) < 0)
		fail_msg("%s", e.msg);
	r->ctl.opts.identity = NULL;
	r->up = true;
}

/* With everything that it has not sent yet; what it sent is on its way. */
static void stop(struct replica *r, int64_t again_in_ms)
{
	controller_stop(&r->ctl);
	r->up = false;
	r->start_ms = virtual_now() + again_in_ms;
}

static void go_on(struct replica *r)
{
	r->paused = false;
	virtual_loop_pause(r->ctl.base, false);
}

static void heal(struct replica *r)
{
	r->cut = false;
	virtual_kube_cut(r->ctl.base, false);
}

/* What ends by itself. */
static void replicas_go_on(void)
{
	for (size_t i = 0; i < REPLICAS; i++) {
		struct replica *r = &run.replicas[i];
		if (r->up && r->paused && r->go_on_ms <= virtual_now())
			go_on(r);
		if (r->up && r->cut && r->heal_ms <= virtual_now())
			heal(r);
		if (r->up && virtual_loop_is_over(r->ctl.base))
			stop(r, (int64_t)below(3000));
		if (!r->up && r->start_ms <= virtual_now())
			start(r);
	}
}

static void change_faults(void)
{
	virtual_faults = (struct virtual_faults){
		.lost = one_in(2) ? (unsigned int)below(200) : 0,
		.unanswered = one_in(2) ? (unsigned int)below(300) : 0,
		.refused = one_in(3) ? (unsigned int)below(100) : 0,
		.late = one_in(2) ? (unsigned int)below(600) : 0,
		.queued = one_in(2) ? (unsigned int)below(500) : 0,
		.drops_conditions = run.seed % 2 == 0,
	};
}

static void run_for(int64_t ms)
{
	for (int64_t until = virtual_now() + ms; virtual_now() < until;) {
		int64_t left = until - virtual_now();
		virtual_loop_run(virtual_now() + (left < 100 ? left : 100));
		replicas_go_on();
	}
}

static struct replica *leader(void)
{
	for (size_t i = 0; i < REPLICAS; i++)
		if (run.replicas[i].up && run.replicas[i].ctl.leading)
			return &run.replicas[i];
	return NULL;
}

static void suffer(struct replica *r, uint64_t how, int64_t for_ms)
{
	if (how == 0) {
		r->paused = true;
		r->go_on_ms = virtual_now() + for_ms;
		virtual_loop_pause(r->ctl.base, true);
	} else if (how == 1) {
		r->cut = true;
		r->heal_ms = virtual_now() + for_ms;
		virtual_kube_cut(r->ctl.base, true);
	} else if (how == 2) {
		if (!r->paused)
			virtual_loop_signal(r->ctl.base, SIGTERM);
	} else {
		stop(r, for_ms / 2);
	}
}

/* Anybody may: it is deleted, or its holder is cleared. */
static void spoil_the_lease(void)
{
	static const char path[] =
		"/apis/coordination.k8s.io/v1/namespaces/fairlead-system/leases/" CONTROLLER_LEASE;

	if (one_in(2))
		virtual_kube_do("DELETE", path, "%s", "");
	else
		virtual_kube_do("PATCH", path, "{'spec':{'holderIdentity':'%s'}}", "");
}

static void want_addresses(size_t n)
{
	for (size_t i = below(SERVICES); n > 0; n--, i = (i + 1) % SERVICES) {
		cleanup_free char *path = xasprintf("/api/v1/namespaces/default/services/s%zu", i);
		if (!run.held[i].exists) {
			put_service(i, true);
			continue;
		}
		if (run.held[i].n_ingress > 0)
			continue;
		run.held[i].may_move = true;
		virtual_kube_do("PATCH", path,
		                "{'metadata':{'annotations':{'fairlead.io/address-pool':null,"
		                "'fairlead.io/addresses':null}},'spec':{'type':'%s'}}",
		                "LoadBalancer");
	}
}

/* The replica that has the lease, but does not lead yet. */
static struct replica *holder_to_be(void)
{
	cleanup(js_put) struct json_object *lease = virtual_kube_get(
		"/apis/coordination.k8s.io/v1/namespaces/fairlead-system/leases/" CONTROLLER_LEASE);
	const char *holder = lease ? js_str0(lease, "spec.holderIdentity") : "";

	for (size_t i = 0; i < REPLICAS; i++) {
		struct replica *r = &run.replicas[i];
		if (r->up && !r->ctl.elected && !strcmp(r->ctl.identity, holder))
			return r;
	}
	return NULL;
}

/*
 * Just when an address has become free and is being given to somebody who waits for it, something
 * happens to the leader, and others come to want it whom the next leader prefers.
 */
static void a_crisis(void)
{
	struct replica *r = leader();
	size_t i = below(SERVICES);

	if (!r)
		return;
	virtual_faults.queued = one_in(2) ? 1000 : 0;
	virtual_faults.late = one_in(2) ? 800 : 0;
	virtual_faults.unanswered = one_in(3) ? (one_in(2) ? 950 : 500) : 0;
	for (uint64_t n = 1 + below(3); n > 0; n--) {
		for (size_t k = 0; k < SERVICES && run.held[i].n_ingress == 0; k++)
			i = (i + 1) % SERVICES;
		if (run.held[i].exists && one_in(2))
			delete_service(i);
		else if (run.held[i].exists)
			put_service(i, false);
	}
	for (int n = 0; n < 400 && r->up && r->ctl.n_in_flight == 0; n++)
		run_for(10);
	run_for((int64_t)below(30));
	if (!r->up)
		return;
	if (one_in(4)) {
		configure(below(ARRAY_LEN(configurations)));
	} else if (one_in(4)) {
		spoil_the_lease();
		suffer(r, 0, (int64_t)below(LEASE_S * 800));
	} else {
		suffer(r, one_in(3) ? below(4) : below(2) * 2,
		       LEASE_S * 1200 + (int64_t)below(LEASE_S * 1500));
	}
	run_for((int64_t)below(one_in(2) ? 60 : 1500));
	want_addresses(1 + below(SERVICES));
	for (uint64_t n = below(LEASE_S * 2); n > 0; n--) {
		run_for(1000);
		if ((r = holder_to_be()) && one_in(3))
			suffer(r, 2, 0);
	}
}

/* What became free concerns nobody at a standby, and takes no room there. */
static void assert_standbys_forget(void)
{
	size_t n;

	for (size_t i = 0; i < REPLICAS; i++) {
		const struct replica *r = &run.replicas[i];
		if (!r->up || !r->ctl.ipam || r->ctl.leading)
			continue;
		ipam_freed(r->ctl.ipam, &n);
		assert_int_equal(n, 0);
	}
}

static void step(void)
{
	uint64_t what = below(20);
	struct replica *r = &run.replicas[below(REPLICAS)];

	if (what < 8)
		a_tenant_acts();
	else if (what < 12 && r->up)
		suffer(r, below(4), (int64_t)below(LEASE_S * 2500));
	else if (what == 12)
		change_faults();
	else if (what == 13)
		configure(below(ARRAY_LEN(configurations)));
	else if (what > 13)
		a_crisis();
	run_for(one_in(3) ? 1 + (int64_t)below(30) : (int64_t)below(2000));
	assert_standbys_forget();
}

static void begin(uint64_t seed)
{
	memset(&run, 0, sizeof(run));
	run.seed = seed;
	virtual_loop_init(seed);
	virtual_faults = (struct virtual_faults){ .drops_conditions = seed % 2 == 0 };
	virtual_kube_init(&ops);
	virtual_kube_do("POST", "/api/v1/namespaces", "{'metadata':{'name':'%s'}}",
	                "fairlead-system");
	configure(0);
}

static void calm_down(void)
{
	virtual_faults =
		(struct virtual_faults){ .lag_ms = 50, .drops_conditions = run.seed % 2 == 0 };
	for (size_t i = 0; i < REPLICAS; i++) {
		struct replica *r = &run.replicas[i];
		r->go_on_ms = r->heal_ms = r->start_ms = virtual_now();
	}
	configure(0);
	run_for(QUIET_MS);
	/* What is given back from now on has to come into use again. */
	want_addresses(SERVICES);
	run_for(QUIET_MS);
	for (int i = 0; i < 4; i++)
		delete_service(below(SERVICES));
	run_for(QUIET_MS);
}

static bool wants_any(size_t i)
{
	cleanup_free char *path = xasprintf("/api/v1/namespaces/default/services/s%zu", i);
	cleanup(js_put) struct json_object *o = virtual_kube_get(path);
	struct json_object *annotations = js_object(o, "metadata.annotations");

	return !strcmp(js_str0(o, "spec.type"), "LoadBalancer") &&
	       !(annotations && (json_object_object_get(annotations, "fairlead.io/address-pool") ||
	                         json_object_object_get(annotations, "fairlead.io/addresses")));
}

/* Nobody waits for an address that is free. */
static void assert_served(void)
{
	size_t taken = 0;

	for (size_t a = 0; a < 256; a++) {
		struct addr address;
		cleanup_free char *text = xasprintf("10.0.0.%zu", a);
		addr_parse(text, &address);
		for (size_t i = 0; i < SERVICES; i++)
			taken += run.held[i].exists && holds(&run.held[i], &address);
	}
	for (size_t i = 0; i < SERVICES; i++)
		if (run.held[i].exists && run.held[i].n_ingress == 0 && wants_any(i) &&
		    taken < AUTO_ADDRESSES)
			fail_msg("seed %llu: s%zu has no address, and %zu are free",
			         (unsigned long long)run.seed, i, AUTO_ADDRESSES - taken);
}

static void end(void)
{
	for (size_t i = 0; i < REPLICAS; i++)
		if (run.replicas[i].up)
			stop(&run.replicas[i], 0);
	virtual_kube_fini();
}

static void one_life(uint64_t seed)
{
	begin(seed);
	for (size_t i = 0; i < REPLICAS; i++)
		run.replicas[i].start_ms = virtual_now() + (int64_t)below(3000);
	for (int i = 0; i < STEPS; i++)
		step();
	calm_down();
	assert_served();
	end();
}

static void leaders_that_decide_differently(void **state)
{
	const char *many = getenv("FAIRLEAD_SEEDS"), *one = getenv("FAIRLEAD_SEED");
	uint64_t n = many ? strtoull(many, NULL, 10) : SEEDS;

	(void)state;
	if (one) {
		one_life(strtoull(one, NULL, 10));
		return;
	}
	for (uint64_t seed = 1; seed <= n; seed++)
		one_life(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaders_that_decide_differently),
	};

	log_set_level(getenv("FAIRLEAD_SEED") ? LOG_DEBUG : LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
