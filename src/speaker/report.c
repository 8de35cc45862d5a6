/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/clock.h"
#include "fairlead/decide.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"
#include "speaker/forward.h"
#include "speaker/speaker.h"

/* What the speaker says of itself: log lines about changes, /healthz and /readyz, /status, /metrics. */

/* The urgent thread turns at least with every heartbeat. */
#define URGENT_STALL_MS 5000
#define MAC_STR_SIZE 18

static const char *mac_format(const uint8_t mac[static 6], char out[static MAC_STR_SIZE])
{
	static const uint8_t none[6];

	if (!memcmp(mac, none, sizeof(none)))
		out[0] = '\0';
	else
		snprintf(out, MAC_STR_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		         mac[3], mac[4], mac[5]);
	return out;
}

/* Whoever may write Services writes hundreds of such addresses at once, again and again; the Service's condition tells. */
static bool is_denied(const struct announcement *a, enum reason old_reason)
{
	return a->reason == REASON_ExternalIpNotAllowed && old_reason != REASON_Announced;
}

void speaker_log_change(const struct announcement *a, enum reason old_reason, const char *old_owner)
{
	char mac[MAC_STR_SIZE];

	if (a->reason == REASON_TwoOwners && old_reason != a->reason)
		log_warn("another machine answered for the address while this node did",
		         KV_S("service", a->key), KV_S("address", addr_str(&a->addr)),
		         KV_S("reason", reason_name(a->reason)), KV_S("interface", a->interface),
		         KV_S("mac", mac_format(a->rival, mac)));
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
		         KV_S("interface", a->interface), KV_S("mac", mac_format(a->mac, mac)));
}

/* ---- probes ---- */

static bool healthy(struct buf *why, void *arg)
{
	const struct speaker *sp = arg;
	int64_t stalled_ms = sp->l2 ? clock_ms() - l2_last_turn_ms(sp->l2) : 0;

	/* The main loop is the one that answers here. */
	if (stalled_ms < URGENT_STALL_MS)
		return true;
	buf_printf(why, "the urgent thread has not turned for %" PRId64 " ms", stalled_ms);
	return false;
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
	if (!sp->l2) {
		buf_printf(why, "no heartbeat key: Secret %s/%s with the key " SPEAKER_KEY_NAME,
		           sp->namespace, sp->opts.heartbeat_key_secret);
		if (sp->key_error.blame != ERR_NONE)
			buf_printf(why, ": %s", sp->key_error.msg);
		return false;
	}
	if (!speaker_is_fresh(sp)) {
		buf_printf(why,
		           "not fresh: the API server has not answered for %" PRId64 " ms; "
		           "carrying on with what is known",
		           clock_ms() - speaker_last_contact_ms(sp));
		return false;
	}
	if (sp->proxy && !proxy_stats(sp->proxy).in_sync) {
		buf_puts(why, "the data plane is not in sync");
		return false;
	}
	return true;
}

/* ---- /status ---- */

/* The decision's own words, or those of what came after it.  @a: NULL where nothing is announced. */
static void put_reason(const struct speaker *sp, const struct decision *d,
                       const struct announcement *a, struct out *o)
{
	cleanup(buf_fini) struct buf message = BUF_INIT;
	const char *node = view_self(sp->view);
	enum reason decided = decide_node(d, node, a ? a->protocol : PROTOCOL_LAYER2);
	enum reason reason = decided == REASON_Candidate && a ? a->reason : decided;

	if (reason == REASON_Candidate && a && a->protocol == PROTOCOL_LAYER2 && !sp->l2)
		reason = REASON_HeartbeatKeyPending;

	if (reason == decided)
		decide_message(d, reason, node, &message);
	else if (a->protocol == PROTOCOL_BGP && a->eligible)
		routes_reason_of(sp->routes, &a->addr, &message);
	else
		buf_puts(&message, reason_sentence(reason));
	char mac[MAC_STR_SIZE];
	if (reason == REASON_TwoOwners)
		buf_printf(&message, ": %s", mac_format(a->rival, mac));
	if (reason != decided && reason == a->reason)
		speaker_add_detail(sp, a, &message);
	if (reason == REASON_NotOwner && *a->owner)
		buf_printf(&message, ": %s does", a->owner);
	out_str(o, "reason", reason_name(reason));
	out_str(o, "message", buf_str(&message));
}

/* @a: NULL where nothing is known of the address, as for a load balancer of another class. */
static void put_address(const struct speaker *sp, const struct decision *d,
                        const struct announcement *a, struct out *o)
{
	char mac[MAC_STR_SIZE] = "";

	out_object(o, NULL);
	out_addr(o, "address", &d->address->addr);
	out_str(o, "kind", decide_kind_name(d->kind));
	out_str(o, "pool", d->pool ? d->pool->name : "");
	out_str(o, "protocol", protocol_name(a ? a->protocol : PROTOCOL_LAYER2));
	out_bool(o, "announce", a && a->reason == REASON_Announced);
	put_reason(sp, d, a, o);
	out_str(o, "owner", a ? a->owner : "");
	out_str(o, "interface", a ? a->interface : "");
	out_str(o, "mac", a ? mac_format(a->mac, mac) : "");
	out_close(o);
}

/* One entry for each protocol by which there is something to say. */
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
	out_bool(o, "forwarded", sp->proxy && (forward_wanted(s, 4) || forward_wanted(s, 6)));
	out_uint(o, "passes", s->passes);
	/* External IPs do not make up for the address that a load balancer waits for; the list has them last. */
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
	/* One that is uninstalled decides nothing any more. */
	for (size_t i = 0; i < n && sp->uninstall == UNINSTALL_NOT; i++)
		if (services[i]->type == KUBE_LOAD_BALANCER || services[i]->n_addresses)
			put_service(sp, services[i], o);
	out_close(o);
	free(services);
}

/* Nobody is heard before layer 2 has started. */
static struct l2_peer *take_peers(const struct speaker *sp, size_t *ret_n)
{
	struct l2_peer *peers = NULL;

	*ret_n = 0;
	if (sp->l2)
		l2_peers(sp->l2, &peers, ret_n);
	return peers;
}

static const struct metrics_stat l2_rows[] = {
#define L2_STAT(member, from, name, help) METRICS_STAT(struct l2_stats, member, name),
#include "fairlead/metrics.def"
};

static struct l2_stats take_l2_stats(const struct speaker *sp)
{
	return sp->l2 ? l2_stats(sp->l2) : (struct l2_stats){ 0 };
}

static void put_peers(const struct speaker *sp, struct out *o)
{
	size_t n;
	cleanup_free struct l2_peer *peers = take_peers(sp, &n);
	int64_t now = clock_ms();

	out_list(o, "peers");
	for (size_t i = 0; i < n; i++) {
		out_object(o, NULL);
		out_str(o, "node", peers[i].node);
		out_str(o, "interface", peers[i].interface);
		out_bool(o, "alive", peers[i].alive);
		out_bool(o, "restarting", peers[i].restarting);
		out_bool(o, "view_fresh", peers[i].view_fresh);
		out_int(o, "last_heard_ms", now - peers[i].last_heard_ms);
		out_close(o);
	}
	out_close(o);
}

static void put_troubles(const struct speaker *sp, struct out *o)
{
	cleanup_free struct l2_trouble *list = NULL;
	size_t n = 0;

	if (sp->l2)
		l2_troubles(sp->l2, &list, &n);
	out_list(o, "troubles");
	for (size_t i = 0; i < n; i++) {
		out_object(o, NULL);
		out_str(o, "reason", reason_name(list[i].reason));
		out_str(o, "interface", list[i].interface);
		out_str(o, "message", list[i].message);
		out_close(o);
	}
	out_close(o);
}

static void put_l2_stats(const struct l2_stats *st, struct out *o)
{
	out_object(o, "stats");
	metrics_stats_put(l2_rows, ARRAY_LEN(l2_rows), st, o);
	out_close(o);
}

static void put_l2(const struct speaker *sp, struct out *o)
{
	const struct l2_stats st = take_l2_stats(sp);

	out_object(o, "l2");
	out_str(o, "heartbeat_key",
	        !sp->l2           ? "awaited"
	        : sp->key_changed ? "changed, in force after a restart"
	                          : "in force");
	put_peers(sp, o);
	put_troubles(sp, o);
	put_l2_stats(&st, o);
	out_close(o);
}

static void put_proxy(const struct speaker *sp, struct out *o)
{
	if (sp->proxy) {
		proxy_status(sp->proxy, "proxy", o);
		return;
	}
	out_object(o, "proxy");
	out_str(o, "mode", "none");
	out_close(o);
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
	put_proxy(sp, o);
	put_l2(sp, o);
	routes_status(sp->routes, "bgp", o);
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

static void collect_troubles(const struct speaker *sp, struct metrics_writer *w)
{
	cleanup_free struct l2_trouble *list = NULL;
	size_t n = 0;

	metrics_family(w, METRIC_fairlead_l2_trouble);
	if (sp->l2)
		l2_troubles(sp->l2, &list, &n);
	for (size_t i = 0; i < n; i++) {
		bool told = false;
		for (size_t k = 0; k < i; k++)
			told |= list[k].reason == list[i].reason &&
			        !strcmp(list[k].interface, list[i].interface);
		if (!told)
			metrics_sample(w, 1, "reason", reason_name(list[i].reason), "interface",
			               list[i].interface, NULL);
	}
}

static void collect_l2(const struct speaker *sp, struct metrics_writer *w)
{
	struct l2_stats st = take_l2_stats(sp);
	size_t n;
	struct l2_peer *peers = take_peers(sp, &n);

	metrics_stats(w, l2_rows, ARRAY_LEN(l2_rows), &st);
	metrics_family(w, METRIC_fairlead_l2_peer_alive);
	for (size_t i = 0; i < n; i++)
		metrics_sample(w, peers[i].alive, "peer", peers[i].node, "interface",
		               peers[i].interface, NULL);
	free(peers);
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

static void collect_proxy(const struct speaker *sp, struct metrics_writer *w)
{
	proxy_metrics(sp->proxy, w);
	collect_passages(sp, w);
}

static void collect(struct metrics_writer *w, void *arg)
{
	const struct speaker *sp = arg;
	struct kube_informer_stats stats[N_FEEDS];
	struct kube_metrics_informer informers[N_FEEDS];

	metrics_process(w);
	collect_announcements(sp, w);
	collect_l2(sp, w);
	collect_troubles(sp, w);
	if (sp->proxy)
		collect_proxy(sp, w);
	routes_metrics(sp->routes, w);
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
};
