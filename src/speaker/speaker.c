/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The speaker as a whole: what runs when, its start and its end. turn.c has the order of effects;
 * here are the table of effectors, and the calls that a turn makes.
 *
 * Before the first complete list of all kinds nothing is decided, announced or removed.
 */
#include "config.h"

#include "speaker/speaker.h"

#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "speaker/effector.h"
#include "speaker/events.h"
#include "speaker/feeds.h"
#include "speaker/needed.h"
#include "speaker/pulse.h"
#include "speaker/relaying.h"
#include "speaker/report.h"
#include "speaker/secrets.h"
#include "speaker/segments.h"
#include "speaker/turn.h"
#include "speaker/uninstall.h"

#define TICK_S 2
/* After how many ticks this node's gateways are looked up again. */
#define LOOK_TICKS 5

/* ---- one turn ---- */

const struct effector *const speaker_effectors[] = {
	&segments_effector, &bgp_effector, &sinks_effector, &health_effector, &relaying_effector,
	&rules_effector,    NULL,
};

static void publish(void *arg)
{
	segments_publish(arg);
}

static void update_routes(void *arg)
{
	struct speaker *sp = arg;

	routes_update(sp->routes, sp->view, sp->announce);
}

static bool have_begun(void *arg)
{
	return routes_have_begun(((struct speaker *)arg)->routes);
}

static bool hold(const char *key, void *arg)
{
	return routes_hold(((struct speaker *)arg)->routes, key);
}

static bool is_held(const char *key, void *arg)
{
	return routes_is_held(((struct speaker *)arg)->routes, key);
}

static void release(void (*go)(const char *key, void *go_arg), void *go_arg, void *arg)
{
	routes_release(((struct speaker *)arg)->routes, go, go_arg);
}

static bool may_program(void *arg)
{
	return routes_may_program(((struct speaker *)arg)->routes);
}

static void set_service(const struct view_service *s, void *arg)
{
	EACH_EFFECTOR(e)
		if (e->set)
			e->set(arg, s);
}

static void remove_service(const char *key, void *arg)
{
	EACH_EFFECTOR(e)
		if (e->remove)
			e->remove(arg, key);
}

static bool is_settled(const struct view_service *s, uint8_t family, void *arg)
{
	EACH_EFFECTOR(e)
		if (e->is_settled && !e->is_settled(arg, s, family))
			return false;
	return true;
}

static void hinder(void *arg)
{
	EACH_EFFECTOR(e)
		if (e->hinder)
			e->hinder(arg);
}

static void complete(void *arg)
{
	EACH_EFFECTOR(e)
		if (e->complete)
			e->complete(arg);
}

static void go_on(struct speaker *sp)
{
	EACH_EFFECTOR(e)
		if (e->go_on)
			e->go_on(sp);
}

#define ANNOUNCING                                                                           \
	.publish = publish, .update_routes = update_routes, .routes_have_begun = have_begun, \
	.hold = hold, .is_held = is_held, .release = release, .may_program = may_program

static const struct turn_effectors effectors_none = { ANNOUNCING };
static const struct turn_effectors effectors_proxy = {
	ANNOUNCING,
	.set_rules = set_service,
	.remove_rules = remove_service,
	.has_rules = is_settled,
	.hinder = hinder,
	.complete_rules = complete,
};

static void follow_node(struct speaker *sp)
{
	bool changed = facts_update(&sp->opts.plane, view_node_named(sp->view, view_self(sp->view)),
	                            &sp->facts);

	EACH_EFFECTOR(e)
		if (e->follow_node)
			e->follow_node(sp, changed);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct speaker *sp = arg;
	struct turn t = { .view = sp->view,
		          .announce = sp->announce,
		          .effectors =
		                  proxy_forwards(sp->proxy) ? &effectors_proxy : &effectors_none,
		          .arg = sp,
		          .complete = sp->complete };

	(void)fd;
	(void)what;
	if (sp->n_synced < N_FEEDS || sp->uninstall != UNINSTALL_NOT)
		return;
	follow_node(sp);
	sp->turns++;
	sp->trim |= turn_run(&t) > 0;
	if (t.complete && !sp->complete)
		log_info("synced", KV_I("services", view_stats(sp->view).services),
		         KV_I("slices", view_stats(sp->view).slices),
		         KV_I("nodes", view_stats(sp->view).nodes));
	sp->complete = t.complete;
	speaker_tell(sp);
	go_on(sp);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct speaker *sp = arg;

	(void)fd;
	(void)what;
	/*
	 * Lists and large batches take more memory while they are under way than is needed
	 * afterwards.
	 */
	if (sp->trim)
		malloc_trim(0);
	sp->trim = false;
	if (++sp->ticks % LOOK_TICKS == 0)
		speaker_look_for_needed(sp);
	speaker_uninstall_tick(sp);
	speaker_pulse(sp);
	relaying_tick(sp);
	/* Freshness changes without anything coming in. */
	speaker_schedule(sp);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	const struct speaker *sp = arg;

	(void)what;
	log_info("stopping; rules stay, and peers hold our addresses for a while",
	         KV_S("signal", strsignal(fd)));
	event_base_loopbreak(sp->base);
}

/* ---- start and stop ---- */

static void on_announcement(const struct announcement *a, enum reason old_reason,
                            const char *old_owner, void *arg)
{
	struct speaker *sp = arg;
	struct announcement before = { .reason = old_reason };

	speaker_log_change(a, old_reason, old_owner);
	/*
	 * If a guard depends on it (decide.h); in the middle of a turn the Service is still to be
	 * forwarded.
	 */
	if (proxy_forwards(sp->proxy) &&
	    announce_is_announced(a) != announce_is_announced(&before) &&
	    view_touch(sp->view, a->key, &a->addr))
		speaker_schedule(sp);
	if (old_reason != a->reason)
		speaker_tell_of_service(sp, a, old_reason);
	if (a->protocol == PROTOCOL_LAYER2 && a->reason == REASON_Announced && *a->former) {
		ownership_add(sp->ownership, a, a->former, clock_ms());
		moves_add(sp->moves, a, a->former);
	}
}

static void start_events(struct speaker *sp)
{
	const struct timeval tick = { .tv_sec = TICK_S };

	sp->turn = event_new(sp->base, -1, 0, on_turn, sp);
	sp->tick = event_new(sp->base, -1, EV_PERSIST, on_tick, sp);
	sp->sigterm = evsignal_new(sp->base, SIGTERM, on_signal, sp);
	sp->sigint = evsignal_new(sp->base, SIGINT, on_signal, sp);
	sp->sighup = evsignal_new(sp->base, SIGHUP, on_signal, sp);
	event_add(sp->tick, &tick);
	event_add(sp->sigterm, NULL);
	event_add(sp->sigint, NULL);
	event_add(sp->sighup, NULL);
}

/* Up: the data plane, then the announcement. */
static int start_effectors(struct speaker *sp, struct err *e)
{
	int r = 0;

	for (size_t i = ARRAY_LEN(speaker_effectors) - 1; i-- > 0 && r == 0;)
		if (speaker_effectors[i]->start)
			r = speaker_effectors[i]->start(sp, e);
	return r;
}

int speaker_start(struct speaker *sp, struct err *e)
{
	const struct options_kube *k = &sp->opts.daemon.kube;
	int r;

	sp->wake_fd = -1;
	sp->base = event_base_new();
	sp->namespace = options_namespace(k);
	sp->view = view_new(sp->opts.node, sp->opts.daemon.load_balancer_class);
	enum proxy_mode mode = proxy_mode_named(sp->opts.proxy_mode);
	sp->opts.node_rules.forwards = proxy_mode_forwards(mode);
	sp->opts.node_rules.by_rules = mode == PROXY_IPTABLES;
	view_set_node_rules(sp->view, sp->opts.node_rules);
	sp->announce = announce_new(on_announcement, sp);
	sp->news = news_new();
	sp->troubles = lasting_new();
	sp->nowhere = lasting_new();
	sp->substitutes = lasting_new();
	sp->ownership = ownership_new();
	sp->moves = moves_new();
	const struct metrics_guard guard = { .token_file = sp->opts.daemon.http_token_file,
		                             .host_only =
		                                     !strcmp(sp->opts.daemon.http_status, "host") };
	r = kube_access_load(k->kubeconfig, k->context, &sp->access, e);
	if (r < 0)
		return r;
	start_events(sp);
	if (r == 0)
		r = metrics_server_start(sp->base, sp->opts.daemon.http, &speaker_http_ops, sp,
		                         &sp->http, e);
	if (r == 0)
		r = metrics_server_guard(sp->http, &guard, e);
	if (r == 0)
		r = start_effectors(sp, e);
	if (r < 0)
		return r;
	log_info("fairlead-speaker starts", KV_S("version", PACKAGE_VERSION),
	         KV_S("node", sp->opts.node), KV_S("server", kube_access_server(sp->access)),
	         KV_S("namespace", sp->namespace), KV_S("proxy_mode", sp->opts.proxy_mode),
	         KV_S("http", sp->opts.daemon.http));
	sp->client = kube_client_new(sp->base, sp->access, "fairlead-speaker/" PACKAGE_VERSION);
	speaker_feeds_start(sp);
	speaker_secrets_start(sp);
	return 0;
}

static void free_event(struct event *ev)
{
	if (ev)
		event_free(ev);
}

void speaker_stop(struct speaker *sp)
{
	/* First the peers: the hold begins before anything else takes time. */
	EACH_EFFECTOR(e)
		if (e->stop)
			e->stop(sp);
	metrics_server_stop(sp->http);
	if (sp->client)
		kube_client_free(sp->client);
	news_free(sp->news);
	lasting_free(sp->troubles);
	lasting_free(sp->nowhere);
	lasting_free(sp->substitutes);
	ownership_free(sp->ownership);
	moves_free(sp->moves);
	announce_free(sp->announce);
	view_free(sp->view);
	free_event(sp->turn);
	free_event(sp->tick);
	free_event(sp->sigterm);
	free_event(sp->sigint);
	free_event(sp->sighup);
	if (sp->access)
		kube_access_free(sp->access);
	if (sp->base)
		event_base_free(sp->base);
	free(sp->namespace);
	free(sp->node_uid);
	free(sp->rebalance_mark);
}
