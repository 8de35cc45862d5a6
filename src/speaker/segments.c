/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "speaker/segments.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"
#include "speaker/effector.h"
#include "speaker/events.h"
#include "speaker/options.h"
#include "speaker/pulse.h"
#include "speaker/relaying.h"
#include "speaker/served.h"

#define RESTART_HOLD_MS 5000
/* The urgent thread takes a turn at least with every heartbeat. */
#define URGENT_STALL_MS 5000

const char *segments_mac(const uint8_t mac[static 6], char out[static SEGMENTS_MAC_SIZE])
{
	static const uint8_t none[6];

	if (!memcmp(mac, none, sizeof(none)))
		out[0] = '\0';
	else
		snprintf(out, SEGMENTS_MAC_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
		         mac[2], mac[3], mac[4], mac[5]);
	return out;
}

static const char *ownership_name(enum l2_ownership o)
{
	switch (o) {
	case L2_IDLE:
		return "idle";
	case L2_WAITING:
		return "waiting";
	case L2_PROBING:
		return "probing";
	case L2_OWNER:
		return "owner";
	case L2_OTHER:
		return "other";
	case L2_STILL_ANSWERED:
		return "still-answered";
	case L2_CONFLICT:
		return "conflict";
	case L2_KERNEL_ANSWERS:
		return "kernel-answers";
	case L2_NO_INTERFACE:
		return "no-interface";
	case L2_NOT_SELECTED:
		return "not-selected";
	}
	return "idle";
}

void segments_put_claim(const struct announcement *a, struct out *o)
{
	out_str(o, "claim", ownership_name(a->ownership));
	if (a->since_ms)
		out_int(o, "held_ms", clock_ms() - a->since_ms);
	if (a->preference)
		out_uint(o, "preference", a->preference);
	if (a->cause != REASON_COUNT)
		out_str(o, "cause", reason_name(a->cause));
	if (a->took_ms >= 0)
		out_int(o, "took_ms", a->took_ms);
}

/* ---- what is to be served ---- */

void segments_publish(struct speaker *sp)
{
	bool fresh = speaker_is_fresh(sp);
	bool refuses4 = proxy_forward_is_refused(sp->proxy, 4);
	bool refuses6 = proxy_forward_is_refused(sp->proxy, 6);
	struct served_snapshot s;

	if (!sp->l2)
		return;
	l2_set_answered(sp->l2, speaker_answered_ms(sp));
	if (!served_is_dirty(announce_served(sp->announce), sp->view) && fresh == sp->view_fresh &&
	    refuses4 == sp->refuses4 && refuses6 == sp->refuses6 &&
	    sp->rebalances == sp->published_rebalances)
		return;
	if (fresh != sp->view_fresh && sp->publishes)
		log_warn(fresh ? "the API server answers again"
		               : "the API server has not answered for some time; carrying on with "
		                 "what is known");
	served_snapshot(announce_served(sp->announce), sp->view, fresh, clock_ms(), &s);
	s.l2.refuses4 = refuses4;
	s.l2.refuses6 = refuses6;
	s.l2.rebalance.asked = sp->rebalances;
	l2_publish(sp->l2, &s.l2, s.wants);
	served_snapshot_fini(&s);
	sp->view_fresh = fresh;
	sp->refuses4 = refuses4;
	sp->refuses6 = refuses6;
	sp->published_rebalances = sp->rebalances;
	sp->publishes++;
}

/* What became of it; before layer 2 has started, nothing. */
static enum reason reason_of(const struct speaker *sp, const struct announcement *a,
                             struct buf *words)
{
	char mac[SEGMENTS_MAC_SIZE];
	enum reason reason = a->reason;

	if (reason == REASON_Candidate && !sp->l2)
		reason = REASON_HeartbeatKeyPending;
	if (reason == REASON_Candidate)
		return reason;
	buf_puts(words, reason_sentence(reason));
	if (reason == REASON_TwoOwners)
		buf_printf(words, ": %s", segments_mac(a->rival, mac));
	if (reason == REASON_NotOwner && *a->owner)
		buf_printf(words, ": %s does", a->owner);
	if (reason == REASON_InterfaceNotSelected && *a->interface)
		buf_printf(words, ": only %s does", a->interface);
	return reason;
}

/* ---- the urgent thread's news ---- */

static void on_l2_changed(void *arg)
{
	const struct speaker *sp = arg;

	/* A full counter has been noticed already. */
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
	l2_take_states(sp->l2, &states, &n);
	announce_states(sp->announce, states, n);
	relaying_follow(sp, states, n);
	free(states);
	log_complaints(sp);
}

/* ---- its life ---- */

int segments_start(struct speaker *sp, const uint8_t *key, size_t key_size, struct err *e)
{
	const struct l2_options o = {
		.node = sp->opts.node,
		.interface_pattern = sp->opts.interface,
		.key = key,
		.key_size = key_size,
		.timing = served_timing(NULL),
		.restart_hold_ms = RESTART_HOLD_MS,
		.first_use_probe = !strcmp(sp->opts.first_use_probe, "on"),
	};

	return l2_start(&o, on_l2_changed, sp, &sp->l2, e);
}

static int start_events(struct speaker *sp, struct err *e)
{
	sp->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (sp->wake_fd < 0)
		return err_set(e, -errno, ERR_SYSTEM, "eventfd: %s", strerror(errno));
	sp->wake = event_new(sp->base, sp->wake_fd, EV_READ | EV_PERSIST, on_wake, sp);
	event_add(sp->wake, NULL);
	return 0;
}

/* If the key is in a Secret, layer 2 starts when it has been read. */
static int start(struct speaker *sp, struct err *e)
{
	cleanup_free uint8_t *key = NULL;
	size_t key_size = 0;
	bool loose = false;
	int r = start_events(sp, e);

	if (r < 0)
		return r;
	if (sp->opts.heartbeat_key_secret)
		return 0;
	if (sp->opts.heartbeat_key_file)
		r = speaker_key_read(sp->opts.heartbeat_key_file, &key, &key_size, &loose, e);
	if (r < 0)
		return r;
	if (loose)
		log_warn("everybody on this host may read the heartbeat key",
		         KV_S("file", sp->opts.heartbeat_key_file));
	return segments_start(sp, key, key_size, e);
}

static void stop(struct speaker *sp)
{
	if (sp->l2)
		l2_stop(TAKE(sp->l2), L2_STOP_RESTARTING);
	if (sp->wake)
		event_free(TAKE(sp->wake));
	if (sp->wake_fd >= 0)
		close(sp->wake_fd);
	sp->wake_fd = -1;
}

static int withdraw(struct speaker *sp, struct err *e)
{
	(void)e;
	if (sp->l2)
		l2_stop(TAKE(sp->l2), L2_STOP_YIELD);
	return 0;
}

/* ---- what it reports about itself ---- */

static bool is_healthy(const struct speaker *sp, struct buf *why)
{
	int64_t stalled_ms = sp->l2 ? clock_ms() - l2_last_turn_ms(sp->l2) : 0;

	/* The answer comes from the main loop, so that is alive. */
	if (stalled_ms < URGENT_STALL_MS)
		return true;
	buf_printf(why, "the urgent thread has not turned for %" PRId64 " ms", stalled_ms);
	return false;
}

static bool is_ready(const struct speaker *sp, struct buf *why)
{
	if (sp->l2)
		return true;
	buf_printf(why, "no heartbeat key: Secret %s/%s with the key " SPEAKER_KEY_NAME,
	           sp->namespace, sp->opts.heartbeat_key_secret);
	if (sp->key_error.blame != ERR_NONE)
		buf_printf(why, ": %s", sp->key_error.msg);
	return false;
}

/* No peer is heard before layer 2 has started. */
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
		out_bool(o, "refuses_ipv4", peers[i].refuses4);
		out_bool(o, "refuses_ipv6", peers[i].refuses6);
		out_int(o, "last_heard_ms", now - peers[i].last_heard_ms);
		out_uint(o, "lost", peers[i].n_lost);
		out_object(o, "lately");
		out_uint(o, "messages", L2_LOSS_WINDOW);
		out_uint(o, "lost", peers[i].lost_lately);
		out_close(o);
		out_close(o);
	}
	out_close(o);
}

static void put_urgency(const struct speaker *sp, struct out *o)
{
	struct l2_urgency u = sp->l2 ? l2_urgency(sp->l2) : (struct l2_urgency){ 0 };

	out_bool(o, "realtime", u.realtime);
	out_bool(o, "memory_locked", u.memory_locked);
}

static void put_segments(const struct speaker *sp, struct out *o)
{
	cleanup_free struct l2_segment *list = NULL;
	char mac[SEGMENTS_MAC_SIZE];
	size_t n = 0;

	if (sp->l2)
		l2_segments(sp->l2, &list, &n);
	out_list(o, "segments");
	for (size_t i = 0; i < n; i++) {
		out_object(o, NULL);
		out_str(o, "interface", list[i].interface);
		out_str(o, "mac", segments_mac(list[i].mac, mac));
		out_addr(o, "ipv4", &list[i].own4);
		out_addr(o, "ipv6", &list[i].own6);
		out_uint(o, "mtu", list[i].mtu);
		out_str(o, "state", !list[i].up ? "down" : list[i].ready ? "up" : "listening");
		out_uint(o, "owned", list[i].n_owned);
		out_int(o, "dead_after_ms", list[i].dead_after_ms);
		out_uint(o, "stale_neighbours", list[i].n_stale_neighbours);
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

static void status(const struct speaker *sp, struct out *o)
{
	const struct l2_stats st = take_l2_stats(sp);

	out_object(o, "l2");
	out_str(o, "heartbeat_key",
	        !sp->l2           ? "awaited"
	        : sp->key_changed ? "changed, in force after a restart"
	                          : "in force");
	put_urgency(sp, o);
	put_segments(sp, o);
	put_peers(sp, o);
	put_troubles(sp, o);
	moves_put(sp->moves, clock_ms(), o);
	put_l2_stats(&st, o);
	out_close(o);
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

static void metrics(const struct speaker *sp, struct metrics_writer *w)
{
	struct l2_stats st = take_l2_stats(sp);
	size_t n;
	struct l2_peer *peers = take_peers(sp, &n);

	metrics_stats(w, l2_rows, ARRAY_LEN(l2_rows), &st);
	metrics_family(w, METRIC_fairlead_l2_peer_alive);
	for (size_t i = 0; i < n; i++)
		metrics_sample(w, peers[i].alive, "peer", peers[i].node, "interface",
		               peers[i].interface, NULL);
	metrics_family(w, METRIC_fairlead_l2_lost_total);
	for (size_t i = 0; i < n; i++)
		metrics_sample(w, (double)peers[i].n_lost, "peer", peers[i].node, "interface",
		               peers[i].interface, NULL);
	free(peers);
	metrics_histogram(w, METRIC_fairlead_l2_takeover_duration_seconds,
	                  moves_histogram(sp->moves));
	collect_troubles(sp, w);
}

static void tell(struct speaker *sp)
{
	cleanup_free struct l2_trouble *troubles = NULL;
	size_t n = 0;

	if (sp->l2)
		l2_troubles(sp->l2, &troubles, &n);
	trouble_news_look(sp->troubles, troubles, n, &sp->events, clock_ms(), speaker_tell_of_node,
	                  sp);
}

const struct effector segments_effector = {
	.what = "layer 2",
	.protocol = PROTOCOL_LAYER2,
	.reason_of = reason_of,
	.is_healthy = is_healthy,
	.is_ready = is_ready,
	.status = status,
	.metrics = metrics,
	.tell = tell,
	.start = start,
	.stop = stop,
	.withdraw = withdraw,
};
