/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the speaker reports about itself: log lines about changes, /healthz and /readyz, /status,
 * /metrics.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/clock.h"
#include "fairlead/decide.h"
#include "fairlead/forward.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"
#include "speaker/dump.h"
#include "speaker/effector.h"
#include "speaker/events.h"
#include "speaker/feeds.h"
#include "speaker/pulse.h"
#include "speaker/report.h"
#include "speaker/segments.h"
#include "speaker/uninstall.h"

/*
 * Anybody who may write Services can write hundreds of such addresses at once, again and again; the
 * Service's condition tells.
 */
static bool is_denied(const struct announcement *a, enum reason old_reason)
{
	return a->reason == REASON_ExternalIpNotAllowed && old_reason != REASON_Announced;
}

void speaker_log_change(const struct announcement *a, enum reason old_reason, const char *old_owner)
{
	char mac[SEGMENTS_MAC_SIZE];

	if (a->reason == REASON_TwoOwners && old_reason != a->reason)
		log_warn("another machine answered for the address while this node did",
		         KV_S("service", a->key), KV_S("address", addr_str(&a->addr)),
		         KV_S("reason", reason_name(a->reason)), KV_S("interface", a->interface),
		         KV_S("mac", segments_mac(a->rival, mac)));
	else if (a->reason == old_reason || reason_about(a->reason) == REASON_ABOUT_PASSING ||
	         is_denied(a, old_reason))
		log_debug("address", KV_S("service", a->key), KV_S("address", addr_str(&a->addr)),
		          KV_S("reason", reason_name(a->reason)), KV_S("owner", a->owner),
		          KV_S("previous_owner", old_owner));
	else
		log_info(a->reason == REASON_Announced    ? "announcing"
		         : old_reason == REASON_Announced ? "no longer announcing"
		                                          : "not announcing",
		         KV_S("service", a->key), KV_S("address", addr_str(&a->addr)),
		         KV_S("reason", reason_name(a->reason)), KV_S("owner", a->owner),
		         KV_S("interface", a->interface), KV_S("mac", segments_mac(a->mac, mac)));
}

/* ---- probes ---- */

static bool healthy(struct buf *why, void *arg)
{
	EACH_EFFECTOR(e)
		if (e->is_healthy && !e->is_healthy(arg, why))
			return false;
	return true;
}

static bool ready(struct buf *why, void *arg)
{
	const struct speaker *sp = arg;

	if (sp->uninstall != UNINSTALL_NOT) {
		buf_printf(why, "uninstalled: %s", speaker_uninstall_name(sp));
		return false;
	}
	for (int i = 0; i < N_FEEDS; i++)
		if (!kube_informer_stats(sp->feeds[i]).synced) {
			buf_printf(why, "%s are not known yet", speaker_feed_names[i]);
			return false;
		}
	if (!speaker_is_fresh(sp)) {
		buf_printf(why,
		           "not fresh: the API server has not answered for %" PRId64 " ms; "
		           "carrying on with what is known",
		           clock_ms() - speaker_last_contact_ms(sp));
		return false;
	}
	EACH_EFFECTOR(e)
		if (e->is_ready && !e->is_ready(sp, why))
			return false;
	return true;
}

/* ---- /status ---- */

/*
 * What has become of an announcement that this node is a candidate for, according to the effector
 * of its protocol.
 */
static enum reason reason_of(const struct speaker *sp, const struct announcement *a,
                             struct buf *words)
{
	EACH_EFFECTOR(e)
		if (e->reason_of && e->protocol == a->protocol)
			return e->reason_of(sp, a, words);
	return REASON_Candidate;
}

/*
 * The decision's own words, or those of a later stage.  @a: NULL if nothing is announced.
 */
static void put_reason(const struct speaker *sp, const struct decision *d,
                       const struct announcement *a, struct out *o)
{
	cleanup(buf_fini) struct buf message = BUF_INIT;
	const char *node = view_self(sp->view);
	enum reason decided = decide_node(d, node, a ? a->protocol : PROTOCOL_LAYER2);
	enum reason reason = decided;

	if (decided == REASON_Candidate && a)
		reason = reason_of(sp, a, &message);
	if (reason == decided)
		decide_message(d, reason, node, &message);
	else if (reason == a->reason)
		speaker_add_detail(sp, a, &message);
	out_str(o, "reason", reason_name(reason));
	out_str(o, "message", buf_str(&message));
}

/* @a: NULL if nothing is known about the address, as for a load balancer of another class. */
static void put_address(const struct speaker *sp, const struct decision *d,
                        const struct announcement *a, struct out *o)
{
	char mac[SEGMENTS_MAC_SIZE] = "";

	out_object(o, NULL);
	out_addr(o, "address", &d->address->addr);
	out_str(o, "kind", decide_kind_name(d->kind));
	out_str(o, "pool", d->pool ? d->pool->name : "");
	out_str(o, "protocol", protocol_name(a ? a->protocol : PROTOCOL_LAYER2));
	out_bool(o, "announce", a && a->reason == REASON_Announced);
	put_reason(sp, d, a, o);
	out_str(o, "owner", a ? a->owner : "");
	out_str(o, "interface", a ? a->interface : "");
	out_str(o, "mac", a ? segments_mac(a->mac, mac) : "");
	if (a && a->protocol == PROTOCOL_LAYER2)
		segments_put_claim(a, o);
	out_close(o);
}

/* One entry for each protocol that has something to report. */
static void put_addresses(const struct speaker *sp, const struct view_service *s, struct out *o)
{
	const struct announcement *list = announce_of(sp->announce, s->key);

	out_list(o, "addresses");
	for (size_t i = 0; i < s->n_addresses; i++) {
		struct decision d = decide_address(sp->view, s, &s->addresses[i].addr);
		bool told = false;
		for (const struct announcement *a = list; a; a = a->next) {
			if (!addr_eq(&a->addr, &s->addresses[i].addr))
				continue;
			put_address(sp, &d, a, o);
			told = true;
		}
		if (!told)
			put_address(sp, &d, NULL, o);
	}
	out_close(o);
}

static void put_service(const struct speaker *sp, const struct view_service *s, struct out *o)
{
	out_object(o, NULL);
	out_str(o, "namespace", s->namespace);
	out_str(o, "name", s->name);
	out_str(o, "type", kube_service_type_name(s->type));
	out_bool(o, "forwarded",
	         proxy_forwards(sp->proxy) &&
	                 (forward_wanted(sp->view, s, 4) || forward_wanted(sp->view, s, 6)));
	out_uint(o, "passes", s->passes);
	/*
	 * External IPs do not make up for the address that a load balancer waits for; the list has
	 * them last.
	 */
	if (s->type == KUBE_LOAD_BALANCER && (!s->n_addresses || s->addresses[0].external)) {
		struct decision d = decide_address(sp->view, s, NULL);
		put_reason(sp, &d, NULL, o);
	}
	put_addresses(sp, s, o);
	out_close(o);
}

static void put_services(const struct speaker *sp, struct out *o)
{
	size_t n;
	const struct view_service **services = view_services(sp->view, &n);

	out_list(o, "services");
	/* An uninstalled speaker no longer decides anything. */
	for (size_t i = 0; i < n && sp->uninstall == UNINSTALL_NOT; i++)
		if (services[i]->type == KUBE_LOAD_BALANCER || services[i]->n_addresses)
			put_service(sp, services[i], o);
	out_close(o);
	free(services);
}

static void put_stats(const struct speaker *sp, struct out *o)
{
	const struct view_stats vs = view_stats(sp->view);

	out_object(o, "stats");
	out_uint(o, "services", vs.services);
	out_uint(o, "slices", vs.slices);
	out_uint(o, "nodes", vs.nodes);
	out_uint(o, "passes", vs.passes);
	out_uint(o, "unchanged", vs.unchanged);
	out_uint(o, "turns", sp->turns);
	out_uint(o, "publishes", sp->publishes);
	out_close(o);
}

static void status(struct out *o, void *arg)
{
	const struct speaker *sp = arg;
	int64_t contact = speaker_last_contact_ms(sp);

	out_object(o, NULL);
	out_str(o, "node", sp->opts.node);
	out_str(o, "version", PACKAGE_VERSION);
	out_object(o, "config");
	out_uint(o, "generation", view_generation(sp->view));
	out_close(o);
	out_object(o, "api");
	out_bool(o, "fresh", sp->view_fresh);
	out_int(o, "last_contact_ms", contact ? clock_ms() - contact : -1);
	out_close(o);
	out_str(o, "uninstalled", speaker_uninstall_name(sp));
	out_str(o, "uninstall_error",
	        sp->uninstall_error.blame != ERR_NONE ? sp->uninstall_error.msg : NULL);
	EACH_EFFECTOR(e)
		if (e->status)
			e->status(sp, o);
	put_services(sp, o);
	put_stats(sp, o);
	out_close(o);
}

/* ---- /metrics ---- */

static void sample_announced(const struct announcement *a, void *arg)
{
	if (a->reason == REASON_Announced)
		metrics_sample(arg, 1, "service", a->key, "address", addr_str(&a->addr),
		               "interface", a->interface, NULL);
}

static void collect_announcements(const struct speaker *sp, struct metrics_writer *w)
{
	size_t counts[REASON_COUNT] = { 0 };
	bool decides = sp->uninstall == UNINSTALL_NOT;

	metrics_family(w, METRIC_fairlead_announced);
	if (decides)
		announce_each(sp->announce, sample_announced, w);
	if (decides)
		announce_count(sp->announce, counts);
	metrics_family(w, METRIC_fairlead_decision);
	for (int r = 0; r < REASON_COUNT; r++)
		if (counts[r])
			metrics_sample(w, (double)counts[r], "reason", reason_name((enum reason)r),
			               NULL);
	metrics_value(w, METRIC_fairlead_decision_passes_total, view_stats(sp->view).passes);
	metrics_value(w, METRIC_fairlead_config_generation, (double)view_generation(sp->view));
	metrics_value(w, METRIC_fairlead_view_fresh, sp->view_fresh);
}

static void collect(struct metrics_writer *w, void *arg)
{
	const struct speaker *sp = arg;
	struct kube_informer_stats stats[N_FEEDS];
	struct kube_metrics_informer informers[N_FEEDS];

	metrics_process(w);
	collect_announcements(sp, w);
	EACH_EFFECTOR(e)
		if (e->metrics)
			e->metrics(sp, w);
	for (int i = 0; i < N_FEEDS; i++) {
		stats[i] = kube_informer_stats(sp->feeds[i]);
		informers[i] = (struct kube_metrics_informer){ speaker_feed_names[i], &stats[i] };
	}
	kube_metrics(w, sp->client, informers, N_FEEDS, clock_ms());
}

const struct metrics_server_ops speaker_http_ops = {
	.collect = collect,
	.healthy = healthy,
	.ready = ready,
	.status = status,
	.dumps = speaker_dumps,
	.may_dump = speaker_may_dump,
};
