/* SPDX-License-Identifier: Apache-2.0 */
/*
 * former.c decides, the kernel carries it out by relay.h; here is what connects the two.
 *
 * Nothing is lost where the kernel cannot do it, but connections that move: so a failure is told
 * and tried again, and keeps no address from being announced.
 */
#include "config.h"

#include "speaker/relaying.h"

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"
#include "fairlead/relay.h"
#include "speaker/effector.h"
#include "speaker/announce.h"
#include "speaker/former.h"
#include "speaker/served.h"
#include "speaker/state.h"

/* Somebody may have flushed all tables. */
#define AUDIT_MS 30000
/* Before layer 2 knows of any address, what an earlier process left stays for so long at most. */
#define BEGIN_MS 20000
/*
 * Each news has all states walked through, some microseconds for each; where news keep coming, the
 * next walk waits for so long that all of them take at most a third of a processor.  A takeover
 * does not wait for it, whose way stands already.
 */
#define STATES_PER_MS 200

/* What layer 2 has told since the last walk. */
struct told {
	struct l2_state state;
	size_t at; /* of what it tells of an address, the last counts */
};

struct relaying {
	struct relay *relay;
	struct former *former;
	struct event *pace;
	int64_t started_ms, audited_ms, followed_ms;
	struct l2_state *states; /* as of the last walk, by address */
	size_t n_states;
	struct told *news;
	size_t n_news, news_cap;
	bool begun;       /* layer 2 has said something of addresses */
	struct err error; /* told last; no blame: all is well */
};

static void tell(struct relaying *r, const struct err *e)
{
	if (e->blame != ERR_NONE && strcmp(e->msg, r->error.msg) != 0)
		log_warn("packets of connections that another node knows cannot be handed to it; "
		         "connections end when their address moves",
		         KV_S("error", e->msg));
	r->error = *e;
}

/* ---- states ---- */

static int news_by_addr(const void *a, const void *b)
{
	const struct told *x = a, *y = b;
	int r = addr_cmp(&x->state.addr, &y->state.addr);

	return r ? r : (x->at > y->at) - (x->at < y->at);
}

static void take_news(struct relaying *r, const struct l2_state *states, size_t n)
{
	ARRAY_RESERVE(r->news, r->news_cap, r->n_news + n);
	for (size_t i = 0; i < n; i++, r->n_news++)
		r->news[r->n_news] = (struct told){ states[i], r->n_news };
}

/* Layer 2 tells what has changed, and nothing of what is not wanted any more. */
static void merge_news(struct relaying *r, const struct served *served)
{
	struct l2_state *merged = xcalloc(r->n_states + r->n_news + 1, sizeof(*merged));
	const struct l2_state *s;
	size_t n = 0;

	if (r->n_news > 1)
		qsort(r->news, r->n_news, sizeof(*r->news), news_by_addr);
	for (size_t i = 0, k = 0; i < r->n_states || k < r->n_news;) {
		int order = i == r->n_states ? 1
		            : k == r->n_news ? -1
		                             : addr_cmp(&r->states[i].addr, &r->news[k].state.addr);
		s = order < 0 ? &r->states[i] : &r->news[k].state;
		i += order <= 0;
		k += order >= 0;
		bool replaced = k < r->n_news && addr_eq(&r->news[k].state.addr, &s->addr);
		if (!replaced && served_of(served, &s->addr))
			merged[n++] = *s;
	}
	free(r->states);
	r->states = merged;
	r->n_states = n;
	r->n_news = 0;
}

static void follow(struct speaker *sp)
{
	struct relaying *r = sp->relaying;
	struct former_news news = { 0 };
	struct l2_peer *peers = NULL;
	struct l2_segment *segments = NULL;
	struct err e = ERR_INIT;
	int64_t now = clock_ms();
	size_t n_ways, n_nodes;

	r->followed_ms = now;
	merge_news(r, announce_served(sp->announce));
	if (!sp->complete)
		return;
	news.states = r->states;
	news.n_states = r->n_states;
	r->begun = r->begun || r->n_states > 0 || now - r->started_ms >= BEGIN_MS;
	if (!r->begun)
		return;
	l2_peers(sp->l2, &peers, &news.n_peers);
	l2_segments(sp->l2, &segments, &news.n_segments);
	news.peers = peers;
	news.segments = segments;
	former_update(r->former, now, &news);
	const struct relay_way *ways = former_ways(r->former, &n_ways);
	const struct relay_node *nodes = former_nodes(r->former, &n_nodes);
	relay_set(r->relay, ways, n_ways, nodes, n_nodes, &e);
	tell(r, &e);
	free(peers);
	free(segments);
}

/* Whether it is too soon for another walk: then it comes when it is time. */
static bool puts_off(struct relaying *r)
{
	int64_t left_ms =
		r->followed_ms - clock_ms() + (int64_t)((r->n_states + r->n_news) / STATES_PER_MS);

	if (left_ms <= 0)
		return false;
	if (!evtimer_pending(r->pace, NULL)) {
		const struct timeval tv = { left_ms / 1000, left_ms % 1000 * 1000 };
		evtimer_add(r->pace, &tv);
	}
	return true;
}

void relaying_follow(struct speaker *sp, const struct l2_state *states, size_t n)
{
	struct relaying *r = sp->relaying;

	if (!r)
		return;
	take_news(r, states, n);
	if (!puts_off(r))
		follow(sp);
}

static void on_pace(evutil_socket_t fd, short what, void *arg)
{
	struct speaker *sp = arg;

	(void)fd;
	(void)what;
	if (sp->l2)
		relaying_follow(sp, NULL, 0);
}

void relaying_tick(struct speaker *sp)
{
	struct relaying *r = sp->relaying;
	int64_t now = clock_ms();

	if (!r || !sp->l2)
		return;
	if (now - r->audited_ms >= AUDIT_MS) {
		relay_audit(r->relay);
		r->audited_ms = now;
	}
	relaying_follow(sp, NULL, 0);
}

/* ---- what it reports about itself ---- */

static void status(const struct speaker *sp, struct out *o)
{
	const struct relaying *r = sp->relaying;
	struct former_address a;
	int64_t now = clock_ms();
	size_t at = 0;

	out_object(o, "relay");
	out_bool(o, "works", r && r->error.blame == ERR_NONE);
	out_list(o, "addresses");
	while (r && former_next(r->former, &at, &a)) {
		out_object(o, NULL);
		out_addr(o, "address", &a.addr);
		out_str(o, "node", a.node);
		out_int(o, "left_ms", a.until_ms - now);
		out_close(o);
	}
	out_close(o);
	out_close(o);
}

static void metrics(const struct speaker *sp, struct metrics_writer *w)
{
	const struct relaying *r = sp->relaying;

	if (!proxy_forwards(sp->proxy))
		return;
	metrics_family(w, METRIC_fairlead_l2_relayed_packets_total);
	metrics_sample(w, r ? (double)relay_packets(r->relay) : 0, NULL);
}

/* ---- its life ---- */

/* What an earlier process knew of former owners. */
static void adopt(struct relaying *r)
{
	struct err e = ERR_INIT;
	struct relay_way *ways = NULL;
	size_t n = 0;

	if (relay_read(r->relay, &ways, &n, &e) == 0)
		former_adopt(r->former, r->started_ms, ways, n);
	else
		tell(r, &e);
	free(ways);
}

static int start(struct speaker *sp, struct err *e)
{
	struct err own = ERR_INIT;
	struct relay *relay;

	(void)e;
	if (!proxy_forwards(sp->proxy)) {
		if (relay_cleanup(&own) < 0)
			log_err("a table of an earlier proxy mode is still there; --cleanup removes it",
			        &own);
		return 0;
	}
	if (relay_new(&relay, &own) < 0) {
		log_warn("connections end when their address moves", KV_S("error", own.msg));
		return 0;
	}
	sp->relaying = xcalloc(1, sizeof(*sp->relaying));
	sp->relaying->relay = relay;
	sp->relaying->former = former_new();
	sp->relaying->started_ms = clock_ms();
	sp->relaying->pace = evtimer_new(sp->base, on_pace, sp);
	adopt(sp->relaying);
	return 0;
}

static void stop(struct speaker *sp)
{
	struct relaying *r = TAKE(sp->relaying);

	if (!r)
		return;
	event_free(r->pace);
	relay_free(r->relay);
	former_free(r->former);
	free(r->states);
	free(r->news);
	free(r);
}

static int uninstall(struct speaker *sp, struct err *e)
{
	stop(sp);
	return relay_cleanup(e);
}

static int clean_up(const struct speaker_options *o, struct err *e)
{
	(void)o;
	return relay_cleanup(e);
}

const struct effector relaying_effector = {
	.what = "the relay",
	.status = status,
	.metrics = metrics,
	.start = start,
	.stop = stop,
	.uninstall = uninstall,
	.clean_up = clean_up,
};
