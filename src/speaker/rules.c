/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data plane as the speaker uses it: passes what forward.c builds to the proxy, and reports
 * what the proxy says.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"
#include "speaker/effector.h"
#include "speaker/events.h"
#include "speaker/forward.h"

/* ---- Services ---- */

static void set(struct speaker *sp, const struct view_service *s)
{
	struct forward f;

	forward_build(sp->view, sp->announce, s, &f);
	proxy_set(sp->proxy, &f.service);
	forward_fini(&f);
}

static void remove_service(struct speaker *sp, const char *key)
{
	proxy_remove(sp->proxy, key);
}

static bool is_settled(const struct speaker *sp, const struct view_service *s, uint8_t family)
{
	return !forward_wanted(s, family) || proxy_is_applied(sp->proxy, s->key, family);
}

static void complete(struct speaker *sp)
{
	proxy_complete(sp->proxy);
}

/* What others have done to the data plane; nothing if it is not ours. */
static enum reason hindrance(const struct announcement *a, void *arg)
{
	const struct speaker *sp = arg;
	const struct view_service *s = view_service_named(sp->view, a->key);

	if (!s || !forward_wanted(s, a->addr.family))
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
	speaker_schedule(arg);
}

static void on_failed(const struct err *e, void *arg)
{
	(void)arg;
	log_err("the data plane could not be written; trying again", e);
}

static int start(struct speaker *sp, struct err *e)
{
	static const struct proxy_ops ops = { .applied = on_applied, .failed = on_failed };
	const struct proxy_options o = {
		.mode = proxy_mode_named(sp->opts.proxy_mode),
		.variant = sp->opts.iptables_variant,
		.cluster_cidrs = sp->opts.cluster_cidrs,
		.n_cluster_cidrs = sp->opts.n_cluster_cidrs,
		.node_port_cidrs = sp->opts.node_port_cidrs,
		.n_node_port_cidrs = sp->opts.n_node_port_cidrs,
		.masquerade_all = sp->opts.masquerade_all,
		.clamp_mss = sp->opts.clamp_mss_bytes,
	};

	return proxy_start(sp->base, &o, &ops, sp, &sp->proxy, e);
}

static void stop(struct speaker *sp)
{
	proxy_free(TAKE(sp->proxy));
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

static void status(const struct speaker *sp, struct out *o)
{
	proxy_status(sp->proxy, "proxy", o);
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
	proxy_metrics(sp->proxy, w);
	if (proxy_forwards(sp->proxy))
		collect_passages(sp, w);
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

static void tell(struct speaker *sp)
{
	tell_of_passage(sp, 4);
	tell_of_passage(sp, 6);
}

const struct effector rules_effector = {
	.what = "rules and chains",
	.set = set,
	.remove = remove_service,
	.is_settled = is_settled,
	.hinder = hinder,
	.complete = complete,
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
