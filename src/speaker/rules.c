/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data plane as the speaker uses it: passes what forward.c builds to the proxy, and reports
 * what the proxy says.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/clock.h"
#include "fairlead/decide.h"
#include "fairlead/forward.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"
#include "fairlead/size.h"
#include "speaker/effector.h"
#include "speaker/events.h"
#include "speaker/large.h"
#include "speaker/latency.h"
#include "speaker/uncarried.h"

/* ---- Services ---- */

static bool is_announced(const char *key, const struct addr *a, const void *arg)
{
	return announce_has(arg, key, a);
}

static bool is_in_kernel(const char *key, void *arg)
{
	static const uint8_t families[] = { 4, 6 };
	const struct speaker *sp = arg;
	bool all = true;

	if (sp->large && large_is_due(sp->large, key))
		return false;
	/* A family that the node has not is waited for by nobody. */
	for (size_t i = 0; i < ARRAY_LEN(families); i++)
		all &= !proxy_has_family(sp->proxy, families[i]) ||
		       proxy_is_applied(sp->proxy, key, families[i]);
	return all;
}

static struct forward_node this_node(const struct speaker *sp)
{
	return (struct forward_node){ .name = view_self(sp->view),
		                      .zone = view_zone(sp->view),
		                      .is_announced = is_announced,
		                      .arg = sp->announce };
}

/* @built: its ports; NULL: they are yet to be built. */
static void pass_on(struct speaker *sp, const struct view_service *s,
                    const struct forward_ports *built)
{
	const struct forward_node node = this_node(sp);
	struct forward f;

	forward_build(sp->view, &node, s, built, &f);
	proxy_set(sp->proxy, &f.service);
	forward_fini(&f);
}

static bool is_for_us(const struct view_service *s)
{
	return view_is_for_proxies(s, 4) || view_is_for_proxies(s, 6);
}

static void set(struct speaker *sp, const struct view_service *s)
{
	bool wanted = forward_wanted(sp->view, s, 4) || forward_wanted(sp->view, s, 6);

	if (sp->uncarried)
		uncarried_set(sp->uncarried, s,
		              is_for_us(s) ? decide_by_size(s, view_node_rules(sp->view).by_rules)
		                           : REASON_Candidate);
	if (sp->large && wanted && size_is_large(s)) {
		large_set(sp->large, s->key, announce_waits_since(sp->announce, s->key));
	} else {
		if (sp->large)
			large_drop(sp->large, s->key);
		pass_on(sp, s, NULL);
	}
	if (sp->latency)
		latency_give(sp->latency, s->key, is_in_kernel(s->key, sp));
}

static void remove_service(struct speaker *sp, const char *key)
{
	if (sp->uncarried)
		uncarried_drop(sp->uncarried, key);
	if (sp->large)
		large_drop(sp->large, key);
	proxy_remove(sp->proxy, key);
	if (sp->latency)
		latency_forget(sp->latency, key);
}

static bool is_settled(const struct speaker *sp, const struct view_service *s, uint8_t family)
{
	return !forward_wanted(sp->view, s, family) ||
	       ((!sp->large || large_suffices(sp->large, s->key)) &&
	        proxy_is_applied(sp->proxy, s->key, family));
}

static void complete(struct speaker *sp)
{
	if (!sp->large || !large_await(sp->large))
		proxy_complete(sp->proxy);
}

/* ---- those that are large ---- */

static enum large_step step_large(const char *key, struct forward_ports *ports, size_t max,
                                  void *arg)
{
	struct speaker *sp = arg;
	const struct view_service *s = view_service_named(sp->view, key);
	const struct forward_node node = this_node(sp);

	/* No turn comes any more, and nothing is written. */
	if (sp->uninstall != UNINSTALL_NOT)
		return LARGE_LET_GO;
	/* What is to become of it is about to be decided, in the turn that comes next. */
	if (view_is_dirty(sp->view))
		return LARGE_NOT_NOW;
	/* It is set again when its route is withdrawn. */
	if (!s || routes_is_held(sp->routes, key))
		return LARGE_LET_GO;
	if (!forward_ports_step(ports, &node, s, max))
		return LARGE_GOES_ON;
	pass_on(sp, s, ports);
	/* Nothing may have to be written for it, so nobody else would ask for a turn. */
	speaker_schedule(sp);
	return LARGE_PASSED_ON;
}

/* Those that the data plane is to be complete with. */
static void large_have_arrived(void *arg)
{
	struct speaker *sp = arg;

	if (sp->uninstall == UNINSTALL_NOT)
		proxy_complete(sp->proxy);
}

static const struct large_ops large_ops = { .step = step_large, .arrived = large_have_arrived };

/* News that come all the time would leave no moment between two turns in which a step is due. */
static void go_on(struct speaker *sp)
{
	if (sp->large && !view_is_dirty(sp->view))
		large_go_on(sp->large);
}

/* What others have done to the data plane; nothing if it is not ours. */
static enum reason hindrance(const struct announcement *a, void *arg)
{
	const struct speaker *sp = arg;
	const struct view_service *s = view_service_named(sp->view, a->key);

	if (!s || !forward_wanted(sp->view, s, a->addr.family))
		return REASON_Candidate;
	if (proxy_forward_is_refused(sp->proxy, a->addr.family))
		return REASON_ForwardRefused;
	if (proxy_refusal(sp->proxy, a->key, a->addr.family))
		return REASON_RulesRefused;
	return proxy_is_damaged(sp->proxy, a->key, a->addr.family) ? REASON_RulesChanged
	                                                           : REASON_Candidate;
}

/* Looks at all addresses only while there is a problem, and once when it is over. */
static void hinder(struct speaker *sp)
{
	bool any = proxy_any_hindrance(sp->proxy);

	if (any || sp->hindered)
		announce_hinder(sp->announce, hindrance, sp);
	sp->hindered = any;
}

static void add_detail(const struct speaker *sp, const struct announcement *a, struct buf *out)
{
	const char *why = NULL;

	if (a->reason == REASON_RulesRefused)
		why = proxy_refusal(sp->proxy, a->key, a->addr.family);
	if (a->reason == REASON_ForwardRefused)
		proxy_passage(sp->proxy, a->addr.family, &why);
	if (why && *why)
		buf_printf(out, ": %s", why);
}

/* ---- its life ---- */

static void on_applied(void *arg)
{
	struct speaker *sp = arg;

	latency_settle(sp->latency, is_in_kernel, sp, clock_wall_us());
	speaker_schedule(sp);
}

static void on_failed(const struct err *e, void *arg)
{
	(void)arg;
	log_err("the data plane could not be written; trying again", e);
}

static void log_prefixes(const char *message, const struct prefix *p, size_t n)
{
	cleanup(buf_fini) struct buf list = BUF_INIT;
	char text[PREFIX_STR_SIZE];

	for (size_t i = 0; i < n; i++)
		buf_printf(&list, "%s%s", i ? "," : "", prefix_format(&p[i], text));
	log_info(message, KV_S("cidrs", buf_str(&list)));
}

static void warn_of_unknown(const struct speaker *sp)
{
	if (!strcmp(sp->opts.plane.detect_local_mode, "node-cidr") && !sp->facts.n_pod_cidrs)
		log_warn("this node's Node has no Pod CIDR yet; until it has, Pods are taken for "
		         "clients from outside",
		         KV_S("node", sp->opts.node));
	if (!sp->facts.n_node_port_cidrs)
		log_warn("this node's Node has no address yet; until it has, node ports are "
		         "served nowhere",
		         KV_S("node", sp->opts.node));
}

static void follow_node(struct speaker *sp, bool changed)
{
	if (proxy_forwards(sp->proxy) && sp->turns == 0)
		warn_of_unknown(sp);
	if (!proxy_forwards(sp->proxy) || !changed)
		return;
	if (!strcmp(sp->opts.plane.detect_local_mode, "node-cidr"))
		log_prefixes("Pods of this node", sp->facts.pod_cidrs, sp->facts.n_pod_cidrs);
	if (sp->opts.plane.node_ports_primary)
		log_prefixes("node ports are at", sp->facts.node_port_cidrs,
		             sp->facts.n_node_port_cidrs);
	proxy_set_node(sp->proxy, &sp->facts);
}

static int start(struct speaker *sp, struct err *e)
{
	static const struct proxy_ops ops = { .applied = on_applied, .failed = on_failed };
	struct proxy_options o = {
		.mode = proxy_mode_named(sp->opts.proxy_mode),
		.variant = sp->opts.iptables_variant,
		.service_metrics = sp->opts.service_metrics,
	};

	facts_flags_apply(&sp->opts.plane, &o);
	int r = proxy_start(sp->base, &o, &ops, sp, &sp->proxy, e);
	if (r == 0 && proxy_forwards(sp->proxy)) {
		sp->latency = latency_new();
		sp->large = large_new(sp->base, &large_ops, sp);
		sp->uncarried = uncarried_new();
	}
	return r;
}

static void stop(struct speaker *sp)
{
	large_free(TAKE(sp->large));
	proxy_free(TAKE(sp->proxy));
	latency_free(TAKE(sp->latency));
	uncarried_free(TAKE(sp->uncarried));
}

static int uninstall(struct speaker *sp, struct err *e)
{
	return proxy_uninstall(sp->proxy, e);
}

static int clean_up(const struct speaker_options *o, struct err *e)
{
	(void)o;
	return proxy_cleanup(e);
}

/* ---- what it reports about itself ---- */

static bool is_ready(const struct speaker *sp, struct buf *why)
{
	if (proxy_stats(sp->proxy).settled)
		return true;
	buf_puts(why, "the data plane is not in sync");
	return false;
}

/*
 * Not for each change of an endpoint of a large Service: where one never rests, the alert about a
 * data plane that is behind would never end.
 */
static void say_behind(const struct speaker *sp)
{
	proxy_set_behind(sp->proxy, sp->large && !large_all_suffice(sp->large));
}

static void status(const struct speaker *sp, struct out *o)
{
	say_behind(sp);
	proxy_status(sp->proxy, "proxy", o);
	if (sp->uncarried)
		uncarried_status(sp->uncarried, sp->announce, "uncarried", o);
}

static void collect_uncarried(const struct speaker *sp, struct metrics_writer *w)
{
	static const enum reason reasons[] = { REASON_TooLarge, REASON_CrowdedOut };
	size_t counts[REASON_COUNT] = { 0 };

	uncarried_count(sp->uncarried, counts);
	metrics_family(w, METRIC_fairlead_proxy_uncarried_services);
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		metrics_sample(w, (double)counts[reasons[i]], "reason", reason_name(reasons[i]),
		               NULL);
}

static void collect_passages(const struct speaker *sp, struct metrics_writer *w)
{
	static const uint8_t families[] = { 4, 6 };

	metrics_family(w, METRIC_fairlead_proxy_forward_trouble);
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		const char *where;
		enum proxy_passage passage = proxy_passage(sp->proxy, families[i], &where);
		enum reason r =
			passage == PROXY_REFUSED ? REASON_ForwardRefused : REASON_ForwardUncertain;
		if (passage != PROXY_PASSES)
			metrics_sample(w, 1, "reason", reason_name(r), "family",
			               families[i] == 4 ? "IPv4" : "IPv6", NULL);
	}
}

static void metrics(const struct speaker *sp, struct metrics_writer *w)
{
	say_behind(sp);
	proxy_metrics(sp->proxy, w);
	if (!proxy_forwards(sp->proxy))
		return;
	collect_passages(sp, w);
	collect_uncarried(sp, w);
	metrics_histogram(w, METRIC_fairlead_network_programming_duration_seconds,
	                  latency_histogram(sp->latency));
}

/* Once for each change in what others' firewalls do with forwarded packets. */
static void tell_of_passage(struct speaker *sp, uint8_t family)
{
	enum proxy_passage *told = &sp->passages[family == 6];
	cleanup(buf_fini) struct buf note = BUF_INIT;
	const char *where;
	enum proxy_passage now = proxy_passage(sp->proxy, family, &where);
	enum reason reason = now == PROXY_REFUSED ? REASON_ForwardRefused : REASON_ForwardUncertain;

	if (now == *told || !sp->node_uid ||
	    (now != PROXY_PASSES && !budget_take(&sp->events, clock_ms())))
		return;
	*told = now;
	if (now == PROXY_PASSES) {
		buf_printf(&note, "IPv%d: the node's firewall lets forwarded packets pass", family);
		reason = REASON_TroubleOver;
	} else {
		buf_printf(&note, "IPv%d: %s: %s", family, reason_sentence(reason), where);
	}
	speaker_tell_of_node(reason, buf_str(&note), sp);
}

/* Once for each change, too. */
static void tell_of_flows(struct speaker *sp)
{
	const struct proxy_flows flows = proxy_flows(sp->proxy);
	cleanup(buf_fini) struct buf note = BUF_INIT;

	if (flows.full == sp->told_full || !sp->node_uid ||
	    (flows.full && !budget_take(&sp->events, clock_ms())))
		return;
	sp->told_full = flows.full;
	buf_printf(&note, "%s: %llu of %llu",
	           flows.full ? reason_sentence(REASON_ConntrackFull)
	                      : "the kernel's table of connections has room again",
	           (unsigned long long)flows.count, (unsigned long long)flows.max);
	speaker_tell_of_node(flows.full ? REASON_ConntrackFull : REASON_TroubleOver, buf_str(&note),
	                     sp);
}

static const char *substitute_of(const struct speaker *sp, const struct view_service *s)
{
	const char *by = s->traffic.scheduler ? proxy_substitute(sp->proxy, s->key, 4) : NULL;

	return by || !s->traffic.scheduler ? by : proxy_substitute(sp->proxy, s->key, 6);
}

static void tell_of_substitute(struct speaker *sp, const struct view_service *s, int64_t now_ms)
{
	const char *by = substitute_of(sp, s);
	cleanup(buf_fini) struct buf key = BUF_INIT, note = BUF_INIT;

	if (!by)
		return;
	buf_printf(&key, "%s %s", s->key, s->traffic.scheduler);
	struct lasting_state *state = lasting_see(sp->substitutes, buf_str(&key), key.size, now_ms);
	if (!lasting_is_due(state, 0, &sp->tenant_events, now_ms))
		return;
	buf_printf(&note, "node %s: %s: %s; %s is used in its place", sp->opts.node,
	           reason_sentence(REASON_SchedulerMissing), s->traffic.scheduler, by);
	speaker_tell_on_service(sp, s->key, s->uid, "Schedule", REASON_SchedulerMissing,
	                        buf_str(&note));
}

/* Once for each Service and scheduler. */
static void tell_of_substitutes(struct speaker *sp)
{
	int64_t now_ms = clock_ms();
	size_t n = 0;
	const struct view_service **list =
		proxy_any_substitute(sp->proxy) ? view_services(sp->view, &n) : NULL;

	for (size_t i = 0; i < n; i++)
		tell_of_substitute(sp, list[i], now_ms);
	free(list);
	lasting_forget(sp->substitutes, 0, 0, now_ms, NULL, NULL);
}

static void tell_of_uncarried(const char *key, const uint8_t uid[static VIEW_UID_SIZE],
                              enum reason reason, void *arg)
{
	const struct speaker *sp = arg;
	cleanup(buf_fini) struct buf note = BUF_INIT;

	if (reason == REASON_Candidate) {
		buf_puts(&note, "nodes carry the Service again");
		speaker_tell_on_service(sp, key, uid, "Carry", REASON_CarriedAgain, buf_str(&note));
		return;
	}
	buf_printf(&note, "no node carries the Service: %s", reason_sentence(reason));
	log_warn("no node carries the Service", KV_S("service", key),
	         KV_S("reason", reason_name(reason)));
	speaker_tell_on_service(sp, key, uid, "Carry", reason, buf_str(&note));
}

static void tell(struct speaker *sp)
{
	if (sp->uncarried)
		uncarried_look(sp->uncarried, sp->view, sp->announce, &sp->tenant_events,
		               clock_ms(), tell_of_uncarried, sp);
	tell_of_substitutes(sp);
	tell_of_flows(sp);
	tell_of_passage(sp, 4);
	tell_of_passage(sp, 6);
}

const struct effector rules_effector = {
	.what = "rules and chains",
	.follow_node = follow_node,
	.set = set,
	.remove = remove_service,
	.is_settled = is_settled,
	.hinder = hinder,
	.complete = complete,
	.go_on = go_on,
	.add_detail = add_detail,
	.is_ready = is_ready,
	.status = status,
	.metrics = metrics,
	.tell = tell,
	.start = start,
	.stop = stop,
	.uninstall = uninstall,
	.clean_up = clean_up,
};
