/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller's life: events in, one turn at a time.
 *
 *	informers ─► services (records) ─┐                      ┌─► writer (patches)
 *	configuration ─► publish ────────┼─► on_turn: assign ───┤
 *	lease ─► leads, resigns ─────────┘                      └─► tell (Events, log)
 *
 * A standby replica does everything except decide: it has read all Services and holds their
 * addresses in its books.  A newly elected one looks first (a list that is no older than its
 * election), then rebuilds the books and decides about every Service.  One that is deposed sends
 * nothing more, and what it has sent ends by its answers; one that ends waits for them, and hands
 * the lease over only when nothing of it can take effect any more.
 *
 * This file composes.  The others call upward only by the callbacks in `calls`.
 */
#include "config.h"

#include "controller/controller.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <utlist.h>

#include "controller/admission.h"
#include "controller/assign.h"
#include "controller/books.h"
#include "controller/contest.h"
#include "controller/cooling.h"
#include "controller/heartbeat_key.h"
#include "controller/machines.h"
#include "controller/namespaces.h"
#include "controller/publish.h"
#include "controller/report.h"
#include "controller/retain.h"
#include "controller/scribe.h"
#include "controller/services.h"
#include "controller/term.h"
#include "controller/uninstall.h"
#include "controller/writer.h"
#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/turn.h"

#define CLOCK_MS 50
/*
 * After SIGTERM: for writes under way to end and the lease to be handed over.  If that fails, the
 * next leader waits it out.
 */
#define LAST_CALL_MS 8000

/* ---- leading ---- */

static void take_the_lead(struct controller *ctl)
{
	ctl->leading = true;
	ctl->taking_over = true;
	machines_see_api_server(ctl);
	log_info("leading", KV_S("identity", ctl->identity),
	         KV_I("services", HASH_COUNT(ctl->records)));
	heartbeat_key_lead(ctl);
	admission_lead(ctl);
	publish_lead(ctl);
	books_rebuild(ctl);
	cooling_look(ctl);
	services_tell_lost(ctl);
}

static void looked(void *arg)
{
	struct controller *ctl = arg;

	if (ctl->n_looks > 0 && --ctl->n_looks == 0 && ctl->elected && !ctl->stopping)
		take_the_lead(ctl);
}

/* Also where they are out of reach: what they would decide about waits (namespaces.c). */
static void looked_at_namespaces(struct controller *ctl)
{
	if (!ctl->looks_at_namespaces)
		return;
	ctl->looks_at_namespaces = false;
	looked(ctl);
}

/* The last of them is the one that began last. */
static void namespaces_seen(void *arg)
{
	struct controller *ctl = arg;

	if (ctl->n_namespace_looks > 0 && --ctl->n_namespace_looks == 0)
		looked_at_namespaces(ctl);
}

/* Looks of an earlier time at the top that are still under way end first and do not count. */
static void look(struct controller *ctl)
{
	ctl->n_looks += 3;
	kube_informer_refresh(ctl->services, looked, ctl);
	kube_informer_refresh(ctl->node_feed, looked, ctl);
	kube_informer_refresh(ctl->config_maps, looked, ctl);
	if (!namespaces_are_followed(ctl))
		return;
	ctl->n_looks += !ctl->looks_at_namespaces;
	ctl->looks_at_namespaces = true;
	ctl->namespaces.failing_ms = 0; /* patience begins anew */
	ctl->n_namespace_looks++;
	kube_informer_refresh(ctl->namespaces.feed, namespaces_seen, ctl);
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
		r->dirty = r->awaits = r->may_move = r->lb.decided = false;
		r->handover_ms = r->contested_ms = 0;
		if (r->external)
			r->external->decided = false;
		books_set_waiting(r, false);
		if (r->flight == RECORD_PATCHING)
			continue; /* its answer ends it */
		if (r->request_under_way)
			kube_request_cancel(TAKE(r->request_under_way));
		books_set_flight(r, RECORD_IDLE, 0);
	}
}

static void stop_leading(struct controller *ctl)
{
	ctl->elected = ctl->leading = false;
	ctl->namespaces.told = false;
	scribe_stop(ctl);
	drop_work(ctl);
	books_rebuild(ctl);
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

/*
 * Could a leader whose Lease was deleted still be assigning?  Not if nothing was ever assigned.
 */
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

static void run_again(struct controller *ctl)
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
	books_settle(arg);
	publish_tell_effect(arg);
	scribe_turn(arg);
	assign_turn(arg);
	uninstall_answer(arg);
}

/* ---- the end ---- */

static void handed_over(void *arg)
{
	struct controller *ctl = arg;

	ctl->resigned = true;
	if (ctl->stopping && !scribe_is_busy(ctl))
		event_base_loopbreak(ctl->base);
}

/*
 * Writes under way end first: a lease that is handed over promises that nothing more comes from
 * here.
 */
static void on_last_call(evutil_socket_t fd, short what, void *arg)
{
	struct controller *ctl = arg;
	const struct timeval again = { 0, CLOCK_MS * 1000 };

	(void)fd;
	(void)what;
	if (term_is_open(ctl)) {
		evtimer_add(ctl->last_call, &again);
		return;
	}
	stop_leading(ctl);
	lease_elector_stop(ctl->elector, true, handed_over, ctl);
}

static void resign(struct controller *ctl)
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
	cooling_flush(ctl);
	ctl->stopping = true;
	scribe_flush(ctl);
	event_base_loopexit(ctl->base, &give_up);
	if (ctl->resigned)
		handed_over(ctl);
	resign(ctl);
}

/* ---- start and stop ---- */

static void fill(struct controller *ctl)
{
	machines_fill(ctl);
	namespaces_fill(ctl);
	cooling_fill(ctl);
}

static void freed(struct controller *ctl)
{
	retain_freed(ctl);
	cooling_look(ctl);
}

static const struct controller_calls calls = {
	.fill = fill,
	.freed = freed,
	.cooling_seen = cooling_seen,
	.written = uninstall_answer,
	.active_seen = uninstall_see,
	.republish = publish_again,
	.looked_at_namespaces = looked_at_namespaces,
	.resign = resign,
	.run_again = run_again,
};

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
	ctl->last_call = evtimer_new(ctl->base, on_last_call, ctl);
	ctl->signals[0] = evsignal_new(ctl->base, SIGTERM, on_signal, ctl);
	ctl->signals[1] = evsignal_new(ctl->base, SIGINT, on_signal, ctl);
	ctl->signals[2] = evsignal_new(ctl->base, SIGHUP, on_signal, ctl);
	if (!ctl->turn || !ctl->last_call || !ctl->signals[0] || !ctl->signals[1] ||
	    !ctl->signals[2] || publish_start(ctl) < 0 || retain_start(ctl) < 0 ||
	    writer_start(ctl) < 0 || contest_start(ctl) < 0 || heartbeat_key_start(ctl) < 0 ||
	    scribe_start(ctl) < 0 || cooling_start(ctl) < 0)
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
	ctl->services = kube_informer_start(ctl->client, &services, &services_ops, ctl);
	ctl->node_feed = kube_informer_start(ctl->client, &nodes, &machines_ops, ctl);
}

int controller_start(struct controller *ctl, struct err *e)
{
	const struct options_kube *k = &ctl->opts.daemon.kube;

	ctl->calls = &calls;
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
	r = admission_start(ctl, e);
	if (r < 0)
		return r;
	run(ctl);
	return 0;
}

void controller_stop(struct controller *ctl)
{
	struct event *const events[] = { ctl->turn,       ctl->last_call,  ctl->key_retry,
		                         ctl->signals[0], ctl->signals[1], ctl->signals[2] };

	metrics_server_stop(ctl->http);
	lease_elector_free(ctl->elector);
	kube_client_free(ctl->client);
	admission_stop(ctl);
	kube_access_free(ctl->access);
	books_free(ctl);
	machines_free(ctl);
	namespaces_free(ctl);
	ipam_free(ctl->ipam);
	publish_free(ctl);
	retain_free(ctl);
	contest_free(ctl);
	writer_free(ctl);
	scribe_free(ctl);
	cooling_free(ctl);
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
