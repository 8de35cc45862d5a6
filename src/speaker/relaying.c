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

struct relaying {
	struct relay *relay;
	struct former *former;
	int64_t started_ms, audited_ms;
	struct l2_state *states; /* as layer 2 told them last, by address */
	size_t n_states, states_cap;
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

static int states_by_addr(const void *a, const void *b)
{
	const struct l2_state *x = a, *y = b;

	return addr_cmp(&x->addr, &y->addr);
}

static void put_state(struct relaying *r, size_t n_sorted, const struct l2_state *s)
{
	struct l2_state *old =
		n_sorted ? bsearch(s, r->states, n_sorted, sizeof(*s), states_by_addr) : NULL;

	if (old) {
		*old = *s;
		return;
	}
	ARRAY_RESERVE(r->states, r->states_cap, r->n_states + 1);
	r->states[r->n_states++] = *s;
}

/* Layer 2 tells what has changed, and nothing of what is not wanted any more. */
static void take_states(struct relaying *r, const struct served *served,
                        const struct l2_state *states, size_t n)
{
	size_t n_sorted = r->n_states, kept = 0;

	for (size_t i = 0; i < n; i++)
		put_state(r, n_sorted, &states[i]);
	for (size_t i = 0; i < r->n_states; i++)
		if (served_of(served, &r->states[i].addr))
			r->states[kept++] = r->states[i];
	if (r->n_states > n_sorted && kept > 1)
		qsort(r->states, kept, sizeof(*r->states), states_by_addr);
	r->n_states = kept;
}

void relaying_follow(struct speaker *sp, const struct l2_state *states, size_t n)
{
	struct relaying *r = sp->relaying;
	struct former_news news = { 0 };
	struct l2_peer *peers = NULL;
	struct l2_segment *segments = NULL;
	struct err e = ERR_INIT;
	int64_t now = clock_ms();
	size_t n_ways, n_nodes;

	if (!r)
		return;
	take_states(r, announce_served(sp->announce), states, n);
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
	adopt(sp->relaying);
	return 0;
}

static void stop(struct speaker *sp)
{
	struct relaying *r = TAKE(sp->relaying);

	if (!r)
		return;
	relay_free(r->relay);
	former_free(r->former);
	free(r->states);
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
