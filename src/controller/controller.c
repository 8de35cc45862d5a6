/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "controller/controller.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <utlist.h>

#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/turn.h"

#define CLOCK_MS 50
/* After SIGTERM: for writes under way to end and the lease to be handed over.  If not, whoever comes next waits it out. */
#define LAST_CALL_MS 8000

bool controller_may_write(const struct controller *ctl)
{
	return ctl->leading && !ctl->stopping && !ctl->resigning && lease_may_write(ctl->elector);
}

void controller_event(struct controller *ctl, const char *kind, const char *namespace,
                      const char *name, const char *uid, bool warning, enum reason reason,
                      const char *action, const char *what)
{
	cleanup(buf_fini) struct buf note = BUF_INIT;

	buf_puts(&note, what);
	if (*reason_remedy(reason))
		buf_printf(&note, ". %s", reason_remedy(reason));
	const struct kube_event ev = {
		.kind = kind,
		.api_version = "v1",
		.namespace = namespace,
		.name = name,
		.uid = uid,
		.warning = warning,
		.reason = reason_name(reason),
		.action = action,
		.note = buf_str(&note),
	};
	ctl->stats.events++;
	kube_event_emit(ctl->client, CONTROLLER_NAME, ctl->identity, &ev);
}

void controller_event_of(struct record *r, bool warning, enum reason reason, const char *action,
                         const char *what)
{
	controller_event(r->ctl, "Service", r->namespace, r->name, r->uid, warning, reason, action,
	                 what);
}

/* ---- books ---- */

void controller_rebuild(struct controller *ctl)
{
	size_t n = 0;
	struct record **all = xcalloc(HASH_COUNT(ctl->records) + 1, sizeof(*all));

	ipam_free(ctl->ipam);
	ctl->ipam = ctl->config.in_force ? ipam_new(ctl->config.in_force) : NULL;
	if (ctl->ipam) {
		ipam_tell_holders(ctl->ipam, ctl->opts.tell_holders);
		machines_fill(ctl);
	}
	for (struct record *r = ctl->records; r; r = r->hh.next)
		all[n++] = r;
	/* Of two that hold one address, the earlier Service has it. */
	turn_sort(all, n);
	if (ctl->ipam)
		turn_adopt_all(ctl->ipam, all, n);
	for (size_t i = 0; i < n; i++) {
		struct record *r = all[i];
		/* What may still take effect stays reserved. */
		if (ctl->ipam && (r->flight == RECORD_PATCHING || r->flight == RECORD_DOUBT))
			turn_reserve(ctl->ipam, r);
		record_forget_refusal(r);
		if (ctl->leading)
			registry_mark(r);
	}
	free(all);
}

static void tell_lost(struct controller *ctl)
{
	char note[ERR_MSG_SIZE];

	if (!ctl->n_lost || !ctl->leading)
		return;
	snprintf(note, sizeof(note), "%zu of what the API server sent as Services: %s", ctl->n_lost,
	         reason_sentence(REASON_ServicesLost));
	controller_event(ctl, "ConfigMap", ctl->namespace, ctl->opts.config_map,
	                 ctl->config.admin.uid, true, REASON_ServicesLost, "Allocate", note);
}

void controller_lose_sight(struct controller *ctl, size_t n)
{
	bool was_lost = ctl->n_lost > 0;

	ctl->n_lost = n;
	ctl->server.hides = n > 0;
	if (n > 0 && !was_lost) {
		log_error("Services cannot be made out; nothing new is assigned",
		          KV_I("objects", n));
		tell_lost(ctl);
	} else if (n == 0 && was_lost) {
		log_info("all Services can be made out again");
		if (ctl->leading)
			registry_wake_waiting(ctl);
	}
}

/* ---- leading ---- */

static void take_the_lead(struct controller *ctl)
{
	ctl->leading = true;
	ctl->taking_over = true;
	machines_see_api_server(ctl);
	log_info("leading", KV_S("identity", ctl->identity),
	         KV_I("services", HASH_COUNT(ctl->records)));
	heartbeat_key_lead(ctl);
	publish_lead(ctl);
	controller_rebuild(ctl);
	tell_lost(ctl);
}

static void looked(void *arg)
{
	struct controller *ctl = arg;
	if (ctl->n_looks > 0 && --ctl->n_looks == 0 && ctl->elected && !ctl->stopping)
		take_the_lead(ctl);
}

/* Looks of an earlier time at the top that are still under way end first and do not count. */
static void look(struct controller *ctl)
{
	ctl->n_looks += 3;
	kube_informer_refresh(ctl->services, looked, ctl);
	kube_informer_refresh(ctl->node_feed, looked, ctl);
	kube_informer_refresh(ctl->config_maps, looked, ctl);
}

static void elected(void *arg)
{
	struct controller *ctl = arg;

	ctl->elected = true;
	log_info("elected; looking at what is there");
	look(ctl);
}

static void drop_work(struct controller *ctl)
{
	for (struct record *r = ctl->records; r; r = r->hh.next) {
		r->dirty = r->awaits = r->lb.decided = false;
		r->handover_ms = r->contested_ms = 0;
		if (r->external)
			r->external->decided = false;
		registry_set_waiting(r, false);
		if (r->flight == RECORD_PATCHING)
			continue; /* its answer ends it */
		if (r->request_under_way)
			kube_request_cancel(TAKE(r->request_under_way));
		registry_set_flight(r, RECORD_IDLE, 0);
	}
}

static void stop_leading(struct controller *ctl)
{
	ctl->elected = ctl->leading = false;
	drop_work(ctl);
	controller_rebuild(ctl);
}

static void deposed(void *arg)
{
	log_warn("no longer leading");
	stop_leading(arg);
}

static void observed(const char *holder, void *arg)
{
	(void)arg;
	log_info("leader", KV_S("holder", holder));
}

static bool holds_anything(const struct record_part *p)
{
	return p && p->request.n_held + p->request.n_written > 0;
}

/* Could a leader whose Lease was deleted still be assigning?  Only where nobody ever has, one cannot. */
static bool at_stake(void *arg)
{
	struct controller *ctl = arg;

	if (!kube_informer_stats(ctl->services).synced ||
	    !kube_informer_stats(ctl->config_maps).synced || ctl->n_lost > 0 ||
	    ctl->config.active.exists)
		return true;
	for (const struct record *r = ctl->records; r; r = r->hh.next)
		if (holds_anything(&r->lb) || holds_anything(r->external))
			return true;
	return false;
}

static const struct lease_elector_ops elector_ops = {
	.started = elected, .stopped = deposed, .observed = observed, .at_stake = at_stake
};

static void run(struct controller *ctl)
{
	ctl->elector = lease_elector_start(ctl->client, ctl->base, ctl->namespace, CONTROLLER_LEASE,
	                                   ctl->identity, ctl->timing, &elector_ops, ctl);
}

void controller_run_again(struct controller *ctl)
{
	if (!ctl->resigning || ctl->stopping)
		return;
	evtimer_del(ctl->last_call);
	ctl->resigning = ctl->resigned = false;
	lease_elector_free(ctl->elector);
	run(ctl);
}

/* ---- the loop ---- */

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	assign_turn(arg);
	uninstall_answer(arg);
}

void controller_arm_clock(struct controller *ctl)
{
	const struct timeval tv = { 0, CLOCK_MS * 1000 };
	if ((ctl->due || ctl->queue) && ctl->leading && !evtimer_pending(ctl->clock, NULL))
		evtimer_add(ctl->clock, &tv);
}

static void on_clock(evutil_socket_t fd, short what, void *arg)
{
	struct controller *ctl = arg;
	(void)fd;
	(void)what;
	if (ctl->leading)
		writer_tick(ctl, clock_ms());
}

/* Policies and rights change without a sign at the Services: what was refused is tried again, seldom. */
static void on_second_try(evutil_socket_t fd, short what, void *arg)
{
	struct controller *ctl = arg;

	(void)fd;
	(void)what;
	for (struct record *r = ctl->records; r && ctl->leading; r = r->hh.next)
		if (record_is_refused(r)) {
			record_forget_refusal(r);
			registry_mark(r);
		}
}

/* ---- the end ---- */

static void handed_over(void *arg)
{
	struct controller *ctl = arg;

	ctl->resigned = true;
	if (ctl->stopping)
		event_base_loopbreak(ctl->base);
}

void controller_unanswered(struct controller *ctl)
{
	ctl->open_until_ms = clock_ms() + ctl->timing.effect_ms;
}

/* A write that is under way, or that got no answer, may still take effect. */
static bool is_anything_open(const struct controller *ctl)
{
	return ctl->n_in_flight > 0 || ctl->config.write || clock_ms() < ctl->open_until_ms;
}

/* Writes under way end first: a lease that is handed over promises that nothing more comes from here. */
static void on_last_call(evutil_socket_t fd, short what, void *arg)
{
	struct controller *ctl = arg;
	const struct timeval again = { 0, CLOCK_MS * 1000 };

	(void)fd;
	(void)what;
	if (is_anything_open(ctl)) {
		evtimer_add(ctl->last_call, &again);
		return;
	}
	stop_leading(ctl);
	lease_elector_stop(ctl->elector, true, handed_over, ctl);
}

void controller_resign(struct controller *ctl)
{
	if (ctl->resigning)
		return;
	ctl->resigning = true;
	on_last_call(-1, 0, ctl);
}

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct controller *ctl = arg;
	static const struct timeval give_up = { LAST_CALL_MS / 1000, 0 };

	(void)what;
	if (ctl->stopping) {
		event_base_loopbreak(ctl->base);
		return;
	}
	log_info("stopping", KV_S("signal", strsignal(sig)));
	ctl->stopping = true;
	event_base_loopexit(ctl->base, &give_up);
	if (ctl->resigned)
		handed_over(ctl);
	controller_resign(ctl);
}

/* ---- start and stop ---- */

static char *make_identity(void)
{
	char host[256] = "";
	uint8_t r[16];

	gethostname(host, sizeof(host) - 1);
	clock_random(r, sizeof(r));
	return xasprintf("%s_%02x%02x%02x%02x-%02x%02x-4%x%02x-%x%x%02x-%02x%02x%02x%02x%02x%02x",
	                 host, r[0], r[1], r[2], r[3], r[4], r[5], r[6] & 0xf, r[7], 8 + (r[8] & 3),
	                 r[8] >> 4, r[9], r[10], r[11], r[12], r[13], r[14], r[15]);
}

static struct lease_timing make_timing(const struct controller_options *o)
{
	int fifth_ms = o->lease_duration_s * 1000 / 5;
	return (struct lease_timing){
		.duration_s = o->lease_duration_s,
		.renew_ms = o->renew_deadline_s * 1000,
		.retry_ms = o->retry_period_s * 1000,
		.effect_ms = fifth_ms < CONTROLLER_EFFECT_MS ? fifth_ms : CONTROLLER_EFFECT_MS,
	};
}

static int make_events(struct controller *ctl, struct err *e)
{
	ctl->base = event_base_new();
	if (!ctl->base)
		return err_set(e, -ENOMEM, ERR_SYSTEM, "cannot make an event loop");
	ctl->turn = event_new(ctl->base, -1, 0, on_turn, ctl);
	ctl->clock = evtimer_new(ctl->base, on_clock, ctl);
	ctl->last_call = evtimer_new(ctl->base, on_last_call, ctl);
	ctl->second_try = evtimer_new(ctl->base, on_second_try, ctl);
	ctl->signals[0] = evsignal_new(ctl->base, SIGTERM, on_signal, ctl);
	ctl->signals[1] = evsignal_new(ctl->base, SIGINT, on_signal, ctl);
	ctl->signals[2] = evsignal_new(ctl->base, SIGHUP, on_signal, ctl);
	if (!ctl->turn || !ctl->clock || !ctl->last_call || !ctl->second_try || !ctl->signals[0] ||
	    !ctl->signals[1] || !ctl->signals[2] || publish_start(ctl) < 0 ||
	    retain_start(ctl) < 0 || contest_start(ctl) < 0 || heartbeat_key_start(ctl) < 0)
		return err_set(e, -ENOMEM, ERR_SYSTEM, "cannot make the events of the loop");
	for (size_t i = 0; i < ARRAY_LEN(ctl->signals); i++)
		evsignal_add(ctl->signals[i], NULL);
	return 0;
}

static void start_informers(struct controller *ctl)
{
	cleanup(buf_fini) struct buf path = BUF_INIT;
	const struct kube_informer_spec services = { .path = "/api/v1/services",
		                                     .what = "services" };
	const struct kube_informer_spec nodes = { .path = "/api/v1/nodes", .what = "nodes" };

	buf_printf(&path, "/api/v1/namespaces/%s/configmaps", ctl->namespace);
	const struct kube_informer_spec config_maps = { .path = buf_str(&path),
		                                        .what = "configmaps" };
	ctl->config_maps = kube_informer_start(ctl->client, &config_maps, &publish_ops, ctl);
	ctl->services = kube_informer_start(ctl->client, &services, &registry_ops, ctl);
	ctl->node_feed = kube_informer_start(ctl->client, &nodes, &machines_ops, ctl);
}

int controller_start(struct controller *ctl, struct err *e)
{
	const struct options_kube *k = &ctl->opts.daemon.kube;
	int r = make_events(ctl, e);

	if (r == 0)
		r = kube_access_load(k->kubeconfig, k->context, &ctl->access, e);
	if (r < 0)
		return r;
	ctl->namespace = options_namespace(k);
	ctl->identity = ctl->opts.identity ? xstrdup(ctl->opts.identity) : make_identity();
	ctl->timing = make_timing(&ctl->opts);
	const struct metrics_guard guard = { .token_file = ctl->opts.daemon.http_token_file,
		                             .host_only = !strcmp(ctl->opts.daemon.http_status,
		                                                  "host") };
	r = metrics_server_start(ctl->base, ctl->opts.daemon.http, &report_ops, ctl, &ctl->http, e);
	if (r == 0)
		r = metrics_server_guard(ctl->http, &guard, e);
	if (r < 0)
		return r;
	ctl->client =
		kube_client_new(ctl->base, ctl->access, CONTROLLER_MANAGER "/" PACKAGE_VERSION);
	kube_client_bound_writes(ctl->client, ctl->timing.effect_ms);
	log_info("starting", KV_S("version", PACKAGE_VERSION), KV_S("identity", ctl->identity),
	         KV_S("server", kube_access_server(ctl->access)), KV_S("namespace", ctl->namespace),
	         KV_S("class", ctl->opts.daemon.load_balancer_class));
	start_informers(ctl);
	run(ctl);
	return 0;
}

void controller_stop(struct controller *ctl)
{
	struct event *const events[] = { ctl->turn,       ctl->clock,     ctl->last_call,
		                         ctl->second_try, ctl->key_retry, ctl->signals[0],
		                         ctl->signals[1], ctl->signals[2] };

	metrics_server_stop(ctl->http);
	lease_elector_free(ctl->elector);
	kube_client_free(ctl->client);
	kube_access_free(ctl->access);
	registry_free(ctl);
	machines_free(ctl);
	ipam_free(ctl->ipam);
	publish_free(ctl);
	retain_free(ctl);
	contest_free(ctl);
	for (size_t i = 0; i < ARRAY_LEN(events); i++)
		if (events[i])
			event_free(events[i]);
	if (ctl->base)
		event_base_free(ctl->base);
	free(ctl->namespace);
	free(ctl->identity);
	free(ctl->uninstall_unanswered);
	free(ctl->uninstall_answering);
}
