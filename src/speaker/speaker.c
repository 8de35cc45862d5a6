/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "speaker/speaker.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "speaker/forward.h"
#include "speaker/turn.h"
#include "speaker/wanted.h"

/*
 * The speaker as a whole: what runs when, its start and its end.  The order of effects is turn.c's; here are the effectors
 * that it calls: layer 2 (publish), routes.c and the proxy.
 *
 * Before the first complete list of all kinds nothing is decided, announced or removed.
 */

#define HEARTBEAT_MS 100
#define HEARTBEAT_DEAD_MS 350
#define RESTART_HOLD_MS 5000
#define PROBE_MS 25
#define TICK_S 2
/* Every so many ticks this node's gateways are looked for. */
#define LOOK_TICKS 5

void speaker_schedule(struct speaker *sp)
{
	event_active(sp->turn, 0, 0);
}

/* ---- one turn ---- */

/* What others have done to the data plane; nothing where it is not ours. */
static enum reason hindrance(const struct announcement *a, void *arg)
{
	const struct speaker *sp = arg;
	const struct view_service *s = view_service_named(sp->view, a->key);

	if (!s || !forward_wanted(s, a->addr.family))
		return REASON_Candidate;
	if (proxy_forward_is_refused(sp->proxy, a->addr.family))
		return REASON_ForwardRefused;
	if (proxy_refusal(sp->proxy, a->key))
		return REASON_RulesRefused;
	return proxy_is_damaged(sp->proxy, a->key) ? REASON_RulesChanged : REASON_Candidate;
}

/* Looks at all addresses only while there is something, and once when it is over. */
static void hinder(void *arg)
{
	struct speaker *sp = arg;
	bool any = proxy_any_hindrance(sp->proxy);

	if (any || sp->hindered)
		announce_hinder(sp->announce, hindrance, sp);
	sp->hindered = any;
}

static void publish(void *arg)
{
	struct speaker *sp = arg;
	bool fresh = speaker_is_fresh(sp);
	struct wanted_snapshot s;

	if (!sp->l2)
		return;
	l2_set_answered(sp->l2, speaker_answered_ms(sp));
	if (!wanted_is_dirty(announce_wanted(sp->announce), sp->view) && fresh == sp->view_fresh)
		return;
	if (fresh != sp->view_fresh && sp->publishes)
		log_warn(fresh ? "the API server answers again"
		               : "the API server has not answered for some time; carrying on with "
		                 "what is known");
	wanted_snapshot(announce_wanted(sp->announce), sp->view, fresh, &s);
	l2_publish(sp->l2, &s.l2);
	wanted_snapshot_fini(&s);
	sp->view_fresh = fresh;
	sp->publishes++;
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

static void set_rules(const struct view_service *s, void *arg)
{
	static const uint8_t families[] = { 4, 6 };
	struct speaker *sp = arg;

	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		struct proxy_service p;
		if (!forward_wanted(s, families[i])) {
			proxy_remove(sp->proxy, s->key, families[i]);
			continue;
		}
		forward_build(sp->view, sp->announce, s, families[i], &p);
		proxy_set(sp->proxy, &p);
		forward_fini(&p);
	}
}

static void remove_rules(const char *key, void *arg)
{
	struct speaker *sp = arg;

	proxy_remove(sp->proxy, key, 4);
	proxy_remove(sp->proxy, key, 6);
}

static bool has_rules(const struct view_service *s, void *arg)
{
	const struct speaker *sp = arg;

	return !(forward_wanted(s, 4) || forward_wanted(s, 6)) ||
	       proxy_is_applied(sp->proxy, s->key);
}

static void complete_rules(void *arg)
{
	proxy_complete(((struct speaker *)arg)->proxy);
}

#define ANNOUNCING                                                                           \
	.publish = publish, .update_routes = update_routes, .routes_have_begun = have_begun, \
	.hold = hold, .is_held = is_held, .release = release, .may_program = may_program

static const struct turn_effectors effectors_none = { ANNOUNCING };
static const struct turn_effectors effectors_proxy = {
	ANNOUNCING,
	.set_rules = set_rules,
	.remove_rules = remove_rules,
	.has_rules = has_rules,
	.hinder = hinder,
	.complete_rules = complete_rules,
};

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct speaker *sp = arg;
	struct turn t = { .view = sp->view,
		          .announce = sp->announce,
		          .effectors = sp->proxy ? &effectors_proxy : &effectors_none,
		          .arg = sp,
		          .complete = sp->complete };

	(void)fd;
	(void)what;
	if (sp->n_synced < N_FEEDS || sp->uninstall != UNINSTALL_NOT)
		return;
	sp->turns++;
	sp->trim |= turn_run(&t) > 0;
	if (t.complete && !sp->complete)
		log_info("synced", KV_I("services", view_stats(sp->view).services),
		         KV_I("slices", view_stats(sp->view).slices),
		         KV_I("nodes", view_stats(sp->view).nodes));
	sp->complete = t.complete;
	speaker_tell(sp);
}

static void on_applied(void *arg)
{
	speaker_schedule(arg);
}

static void on_failed(const struct err *e, void *arg)
{
	(void)arg;
	log_err("the data plane could not be written; trying again", e);
}

/* ---- the urgent thread's news ---- */

static void on_l2_changed(void *arg)
{
	const struct speaker *sp = arg;

	/* A counter that is full has been noticed already. */
	(void)!write(sp->wake_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}

static void log_complaints(struct speaker *sp)
{
	struct err e;

	while (l2_take_complaint(sp->l2, &e))
		log_err("layer-2 problem", &e);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct speaker *sp = arg;
	struct l2_state *states;
	uint64_t count;
	size_t n;

	(void)what;
	(void)!read(fd, &count, sizeof(count));
	/* Its first news may come before l2_start() has returned. */
	if (!sp->l2)
		return;
	l2_states(sp->l2, &states, &n);
	announce_states(sp->announce, states, n);
	free(states);
	log_complaints(sp);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct speaker *sp = arg;

	(void)fd;
	(void)what;
	/* Lists and large batches take more memory while they are under way than is needed afterwards. */
	if (sp->trim)
		malloc_trim(0);
	sp->trim = false;
	if (++sp->ticks % LOOK_TICKS == 0)
		speaker_look_for_needed(sp);
	speaker_uninstall_tick(sp);
	speaker_pulse(sp);
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

int speaker_start_l2(struct speaker *sp, const uint8_t *key, size_t key_size, struct err *e)
{
	const struct l2_options o = {
		.node = sp->opts.node,
		.interface_pattern = sp->opts.interface,
		.key = key,
		.key_size = key_size,
		.heartbeat_ms = HEARTBEAT_MS,
		.dead_ms = HEARTBEAT_DEAD_MS,
		.restart_hold_ms = RESTART_HOLD_MS,
		.probe_ms = PROBE_MS,
		.first_use_probe = !strcmp(sp->opts.first_use_probe, "on"),
	};
	return l2_start(&o, on_l2_changed, sp, &sp->l2, e);
}

/* Where the key is a Secret's, layer 2 starts when it was read. */
static int start_l2(struct speaker *sp, struct err *e)
{
	cleanup_free uint8_t *key = NULL;
	size_t key_size = 0;
	bool loose = false;
	int r = 0;

	if (sp->opts.heartbeat_key_secret)
		return 0;
	if (sp->opts.heartbeat_key_file)
		r = speaker_key_read(sp->opts.heartbeat_key_file, &key, &key_size, &loose, e);
	if (r < 0)
		return r;
	if (loose)
		log_warn("everybody on this host may read the heartbeat key",
		         KV_S("file", sp->opts.heartbeat_key_file));
	return speaker_start_l2(sp, key, key_size, e);
}

/* Not worth ending for: announcing is what this node is here for. */
static void remove_leftovers(void)
{
	struct err e = ERR_INIT;

	if (!proxy_has_leftovers())
		return;
	log_info("removing the rules of an earlier proxy mode");
	if (proxy_cleanup(&e) < 0)
		log_err("the rules of an earlier proxy mode are still there; --cleanup removes them",
		        &e);
}

static int start_proxy(struct speaker *sp, struct err *e)
{
	static const struct proxy_ops ops = { .applied = on_applied, .failed = on_failed };
	const struct proxy_options o = {
		.mode = PROXY_IPTABLES,
		.variant = sp->opts.iptables_variant,
		.cluster_cidrs = sp->opts.cluster_cidrs,
		.n_cluster_cidrs = sp->opts.n_cluster_cidrs,
		.clamp_mss = sp->opts.clamp_mss_bytes,
	};

	if (strcmp(sp->opts.proxy_mode, "iptables") != 0) {
		remove_leftovers();
		return 0;
	}
	return proxy_start(sp->base, &o, &ops, sp, &sp->proxy, e);
}

static void on_announcement(const struct announcement *a, enum reason old_reason,
                            const char *old_owner, void *arg)
{
	struct speaker *sp = arg;
	struct announcement before = { .reason = old_reason };

	speaker_log_change(a, old_reason, old_owner);
	/* Where a guard hangs on it (decide.h); in the middle of a turn the Service is still to be forwarded. */
	if (sp->proxy && announce_is_announced(a) != announce_is_announced(&before) &&
	    view_touch(sp->view, a->key, &a->addr))
		speaker_schedule(sp);
	if ((a->reason == REASON_BgpPrefixTaken || a->reason == REASON_TooLarge ||
	     a->reason == REASON_TwoOwners || a->reason == REASON_RulesRefused) &&
	    old_reason != a->reason)
		speaker_tell_of_service(sp, a);
}

static void on_routes_changed(void *arg)
{
	speaker_schedule(arg);
}

static int start_events(struct speaker *sp, struct err *e)
{
	const struct timeval tick = { .tv_sec = TICK_S };

	sp->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (sp->wake_fd < 0)
		return err_set(e, -errno, ERR_SYSTEM, "eventfd: %s", strerror(errno));
	sp->turn = event_new(sp->base, -1, 0, on_turn, sp);
	sp->tick = event_new(sp->base, -1, EV_PERSIST, on_tick, sp);
	sp->wake = event_new(sp->base, sp->wake_fd, EV_READ | EV_PERSIST, on_wake, sp);
	sp->sigterm = evsignal_new(sp->base, SIGTERM, on_signal, sp);
	sp->sigint = evsignal_new(sp->base, SIGINT, on_signal, sp);
	sp->sighup = evsignal_new(sp->base, SIGHUP, on_signal, sp);
	event_add(sp->tick, &tick);
	event_add(sp->wake, NULL);
	event_add(sp->sigterm, NULL);
	event_add(sp->sigint, NULL);
	event_add(sp->sighup, NULL);
	return 0;
}

int speaker_start(struct speaker *sp, struct err *e)
{
	const struct options_kube *k = &sp->opts.daemon.kube;
	int r;

	sp->wake_fd = -1;
	sp->base = event_base_new();
	sp->namespace = options_namespace(k);
	sp->view = view_new(sp->opts.node, sp->opts.daemon.load_balancer_class);
	sp->opts.node_rules.forwards = !strcmp(sp->opts.proxy_mode, "iptables");
	view_set_node_rules(sp->view, sp->opts.node_rules);
	sp->announce = announce_new(on_announcement, sp);
	sp->news = news_new();
	sp->troubles = lasting_new();
	sp->nowhere = lasting_new();
	const struct routes_options routes = { .node = sp->opts.node,
		                               .socket_dir = sp->opts.bgp_socket_dir,
		                               .shared_instance = sp->opts.bgp_shared_instance,
		                               .sinks = true };
	const struct metrics_guard guard = { .token_file = sp->opts.daemon.http_token_file,
		                             .host_only =
		                                     !strcmp(sp->opts.daemon.http_status, "host") };
	sp->routes = routes_new(sp->base, &routes, on_routes_changed, sp);
	if (sp->opts.bgp_password_secret)
		routes_await_passwords(sp->routes, sp->opts.bgp_password_secret);
	r = kube_access_load(k->kubeconfig, k->context, &sp->access, e);
	if (r == 0)
		r = start_events(sp, e);
	if (r == 0)
		r = metrics_server_start(sp->base, sp->opts.daemon.http, &speaker_http_ops, sp,
		                         &sp->http, e);
	if (r == 0)
		r = metrics_server_guard(sp->http, &guard, e);
	if (r == 0)
		r = start_proxy(sp, e);
	if (r == 0)
		r = start_l2(sp, e);
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
	if (sp->l2)
		l2_stop(sp->l2, L2_STOP_RESTARTING);
	metrics_server_stop(sp->http);
	if (sp->client)
		kube_client_free(sp->client);
	if (sp->proxy)
		proxy_free(sp->proxy);
	routes_free(sp->routes);
	news_free(sp->news);
	lasting_free(sp->troubles);
	lasting_free(sp->nowhere);
	announce_free(sp->announce);
	view_free(sp->view);
	free_event(sp->turn);
	free_event(sp->tick);
	free_event(sp->wake);
	free_event(sp->sigterm);
	free_event(sp->sigint);
	free_event(sp->sighup);
	if (sp->wake_fd >= 0)
		close(sp->wake_fd);
	if (sp->access)
		kube_access_free(sp->access);
	if (sp->base)
		event_base_free(sp->base);
	free(sp->namespace);
	free(sp->node_uid);
}
