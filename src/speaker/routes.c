/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BGP as the speaker sees it: one object between the turns and the engine (fairlead/bgp.h).
 *
 *	view, labels, passwords ─┐
 *	announcements ───────────┼─► publish() ─► engine ─► bgpd
 *	                         └─► sinks: what is announced and not used ends here
 *
 * A publication is made whole each time, and only when one of three revisions has moved (struct
 * seen).  The first change after a pause is published at once, and those that follow together: the
 * more prefixes there are, the more time passes between two publications, so that many changes in a
 * row do not cost their number times that of the prefixes.  There are two kinds.  Until all
 * Services' rules are in the kernel, or ROUTES_BEGIN_MS are over, update_less() publishes what is
 * *no longer* wanted: an earlier run of the speaker may have announced it, and it has to go before
 * the rules behind it change.  From then on update_all() publishes everything.  So a restart
 * neither withdraws what stays nor announces what nothing carries yet.
 *
 * The engine lives while a peer selects this node, or while something may be left in bgpd of peers
 * that once did.  After that bgpd is left alone; a new socket means another bgpd, which is worth
 * another look.
 *
 * A Service's rules wait (holds.h) until the publication that withdraws what leads to them is in
 * force, for ROUTES_HOLD_MS at most: a bgpd that hangs must not keep the data plane from following.
 */
#include "config.h"

#include "speaker/routes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <event2/event.h>

#include "fairlead/clock.h"
#include "fairlead/hash.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"
#include "speaker/holds.h"
#include "speaker/passwords.h"
#include "speaker/sinks.h"
#include "speaker/wants.h"

/* Between two publications, of so many prefixes; but never more. */
#define PREFIXES_PER_MS 100
#define PACE_MAX_MS 200
/* What bgpd makes of the prefixes is told again without any sign that it is something else. */
#define TELL_AGAIN_MS 1000

/* What a publication was made from: revisions. */
struct seen {
	uint64_t view, own, routes;
};

struct routes {
	struct event_base *base;
	struct event *timer; /* the first hold runs out */
	struct event *pace;  /* what was put off is to be published */
	void (*changed)(void *arg);
	void *arg;
	bool enabled, shared_instance;
	const char *node;
	char *bgpd_socket, *bfdd_socket;
	struct labels labels;
	struct passwords passwords;
	uint64_t own_revision; /* of these two */
	struct bgp *bgp;       /* NULL while there is no peer and nothing left over */
	char *error;           /* why there is none although there is a peer */
	unsigned int look_ms;
	int64_t look_until_ms; /* while there is no peer but an engine */
	struct stat looked_at; /* bgpd's socket when the last engine began */
	bool began;
	int64_t begin_ms;   /* when the first full publication stops waiting; 0: not asked yet */
	int64_t program_ms; /* when the data plane does, likewise */
	uint64_t published; /* generation */
	bool owes;          /* something else is to be published than was */
	int64_t published_ms;
	size_t n_prefixes; /* of the last publication */
	bool news;         /* what became of announcements is to be told */
	int64_t told_ms;
	struct seen seen, seen_less; /* by the last full publication, and by the last before it */
	struct holds holds;
	struct sinks *sinks; /* NULL: not configured */
};

/* ---- life ---- */

static char *socket_path(const char *dir, const char *name)
{
	cleanup(buf_fini) struct buf path = BUF_INIT;

	buf_printf(&path, "%s/%s", dir, name);
	return xstrdup(buf_str(&path));
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	const struct routes *r = arg;

	(void)fd;
	(void)what;
	r->changed(r->arg);
}

struct routes *routes_new(struct event_base *base, const struct routes_options *o,
                          void (*changed)(void *arg), void *arg)
{
	struct routes *r = xcalloc(1, sizeof(*r));

	r->base = base;
	r->timer = evtimer_new(base, on_timer, r);
	r->pace = evtimer_new(base, on_timer, r);
	r->changed = changed;
	r->arg = arg;
	r->shared_instance = o->shared_instance;
	r->node = o->node;
	r->sinks = o->sinks ? sinks_new() : NULL;
	r->look_ms = o->look_ms ? o->look_ms : ROUTES_LOOK_MS;
	if (o->socket_dir) {
		r->enabled = true;
		r->bgpd_socket = socket_path(o->socket_dir, "bgpd.vty");
		r->bfdd_socket = socket_path(o->socket_dir, "bfdd.vty");
	}
	return r;
}

void routes_stop(struct routes *r)
{
	r->enabled = false;
	if (r->bgp)
		bgp_free(TAKE(r->bgp));
}

void routes_free(struct routes *r)
{
	if (!r)
		return;
	if (r->bgp)
		bgp_free(r->bgp);
	holds_fini(&r->holds);
	event_free(r->timer);
	event_free(r->pace);
	sinks_free(r->sinks);
	labels_fini(&r->labels);
	passwords_fini(&r->passwords);
	free(r->bgpd_socket);
	free(r->bfdd_socket);
	free(r->error);
	free(r);
}

void routes_set_labels(struct routes *r, const struct labels *labels)
{
	if (labels_eq(&r->labels, labels))
		return;
	labels_fini(&r->labels);
	r->labels = labels_copy(labels);
	r->own_revision++;
}

void routes_await_passwords(struct routes *r, const char *secret)
{
	r->passwords.name = secret;
}

void routes_set_passwords(struct routes *r, struct kube_secret *s)
{
	r->own_revision += passwords_set(&r->passwords, s);
}

/* ---- what is wanted ---- */

static void on_changed(void *arg)
{
	struct routes *r = arg;

	r->news = true;
	r->changed(r->arg);
}

/* A new socket belongs to another daemon, or to the same one after a restart. */
static bool same_socket(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/*
 * Whether there is a bgpd in which something may be left of former peers.
 */
static bool may_have_leftovers(const struct routes *r)
{
	struct stat now;

	return stat(r->bgpd_socket, &now) == 0 && !same_socket(&now, &r->looked_at);
}

/* Without a peer we do not stay connected to bgpd. */
static void leave_engine(struct routes *r)
{
	if (!r->bgp || !bgp_is_done(r->bgp) || clock_ms() < r->look_until_ms)
		return;
	log_info("nothing to announce by BGP, and nothing left in bgpd");
	bgp_free(TAKE(r->bgp));
	r->look_until_ms = 0;
}

static void start_engine(struct routes *r, bool peers)
{
	static const struct bgp_ops ops = { .changed = on_changed };
	const struct bgp_options o = { .bgpd_socket = r->bgpd_socket,
		                       .bfdd_socket = r->bfdd_socket,
		                       .shared_instance = r->shared_instance };
	struct err e = ERR_INIT;

	(void)!stat(r->bgpd_socket, &r->looked_at);
	if (bgp_start(r->base, &o, &ops, r, &r->bgp, &e) == 0) {
		log_info(peers ? "announcing by BGP"
		               : "looking for what an earlier configuration left in bgpd",
		         KV_S("bgpd", r->bgpd_socket));
		return;
	}
	log_err("no BGP", &e);
	free(r->error);
	r->error = xstrdup(e.msg);
}

/* Before anything leads packets here. */
static void want_sinks(struct routes *r, const struct bgp_want *w, bool only_less)
{
	struct prefix *prefixes;

	if (!r->sinks)
		return;
	size_t n = bgp_want_aggregates(w, &prefixes);
	sinks_want(r->sinks, prefixes, n, only_less);
	sinks_update(r->sinks, false, clock_ms());
	free(prefixes);
}

static void publish(struct routes *r, const struct view *v, const struct announce *t, bool aloud,
                    bool only_less)
{
	const struct wants x = { .configuration = view_configuration(v),
		                 .node = r->node,
		                 .labels = &r->labels,
		                 .passwords = &r->passwords,
		                 .aloud = aloud,
		                 .only_less = only_less };
	struct bgp_want *want = bgp_want_new();
	size_t n_peers = wants_add_peers(&x, want);

	if (only_less)
		bgp_want_only_less(want);
	/* Without a configuration nothing is known of peers, and what stands in bgpd stays. */
	if (!r->bgp && (n_peers || (x.configuration && may_have_leftovers(r))))
		start_engine(r, n_peers > 0);
	if (!r->bgp) {
		if (x.configuration)
			want_sinks(r, want, only_less);
		bgp_want_free(want);
		return;
	}
	if (n_peers)
		r->look_until_ms = 0;
	else if (!r->look_until_ms)
		r->look_until_ms = clock_ms() + r->look_ms;
	if (n_peers)
		wants_add_all(&x, t, want);
	want_sinks(r, want, only_less);
	r->n_prefixes = bgp_want_n_prefixes(want);
	r->published_ms = clock_ms();
	r->published = bgp_publish(r->bgp, want);
}

/* Without a configuration there are no candidates that could be pending. */
static bool may_begin(struct routes *r, const struct view *v, const struct announce *t)
{
	if (!view_configuration(v))
		return r->began;
	if (!r->begin_ms)
		r->begin_ms = clock_ms() + ROUTES_BEGIN_MS;
	r->began = r->began || !announce_n_pending(t) || clock_ms() >= r->begin_ms;
	return r->began;
}

/* Whether it is too soon for another one: then it comes when it is time. */
static bool puts_off(struct routes *r)
{
	size_t pace_ms = r->n_prefixes / PREFIXES_PER_MS;
	int64_t left_ms = r->published_ms - clock_ms() +
	                  (int64_t)(pace_ms < PACE_MAX_MS ? pace_ms : PACE_MAX_MS);

	r->owes = r->bgp && left_ms > 0;
	if (r->owes && !event_pending(r->pace, EV_TIMEOUT, NULL)) {
		const struct timeval tv = { .tv_usec = left_ms * 1000 };
		event_add(r->pace, &tv);
	}
	return r->owes;
}

static enum reason reason_of(const struct addr *a, void *arg)
{
	return routes_reason_of(arg, a, NULL);
}

static bool is_same(const struct seen *a, const struct seen *b)
{
	return a->view == b->view && a->own == b->own && a->routes == b->routes;
}

static void update_all(struct routes *r, const struct view *v, struct announce *t)
{
	const struct seen now = { view_revision(v), r->own_revision, announce_routes_revision(t) };
	bool leftovers = !r->bgp && view_configuration(v) && may_have_leftovers(r);

	if ((is_same(&now, &r->seen) && !leftovers) || puts_off(r))
		return;
	publish(r, v, t, now.view != r->seen.view || now.own != r->seen.own, false);
	r->seen = now;
	r->news = true;
}

/*
 * While the data plane is not ready: what must go before that changes, as an earlier run may have
 * announced what nobody wants now.
 */
static void update_less(struct routes *r, const struct view *v, struct announce *t)
{
	const struct seen now = { view_revision(v), r->own_revision,
		                  announce_candidates_revision(t) };

	if (is_same(&now, &r->seen_less) || puts_off(r))
		return;
	publish(r, v, t, false, true);
	r->seen_less = now;
	r->news = true;
}

/*
 * What became of the announcements.  New ones wait for bgpd, which needs not be said; where there
 * is no bgpd, that is said at once.
 */
static void tell_announcements(struct routes *r, struct announce *t)
{
	int64_t now = clock_ms();

	if (r->bgp && !r->news && now - r->told_ms < TELL_AGAIN_MS)
		return;
	r->news = false;
	r->told_ms = now;
	announce_routes(t, reason_of, r);
}

/* Publications up to this one are in force, or never will be: without bgpd nothing leads here. */
static uint64_t withdrawn_generation(const struct routes *r)
{
	return r->bgp && bgp_reason(r->bgp, NULL) != REASON_BgpUnreachable
	               ? bgp_applied_generation(r->bgp)
	               : UINT64_MAX;
}

static bool is_withdrawn(const struct routes *r)
{
	return !r->owes && withdrawn_generation(r) >= r->published;
}

void routes_update(struct routes *r, const struct view *v, struct announce *t)
{
	leave_engine(r);
	if (r->enabled && may_begin(r, v, t))
		update_all(r, v, t);
	else if (r->enabled)
		update_less(r, v, t);
	else if (r->sinks)
		sinks_want(r->sinks, NULL, 0, false); /* an earlier run may have used BGP */
	tell_announcements(r, t);
	if (r->sinks)
		sinks_update(r->sinks, is_withdrawn(r), clock_ms());
}

/* ---- rules that wait for a withdrawal ---- */

static void look_again_in(struct routes *r, unsigned int ms)
{
	const struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	if (!event_pending(r->timer, EV_TIMEOUT, NULL))
		event_add(r->timer, &tv);
}

bool routes_have_begun(const struct routes *r)
{
	return r->began || !r->enabled;
}

bool routes_may_program(struct routes *r)
{
	int64_t now = clock_ms();

	if (!r->program_ms)
		r->program_ms = now + ROUTES_HOLD_MS;
	if (is_withdrawn(r) || now >= r->program_ms)
		return true;
	look_again_in(r, ROUTES_HOLD_MS);
	return false;
}

bool routes_hold(struct routes *r, const char *key)
{
	if (is_withdrawn(r))
		return false;
	holds_put(&r->holds, key, r->published + r->owes, clock_ms() + ROUTES_HOLD_MS);
	look_again_in(r, ROUTES_HOLD_MS);
	return true;
}

bool routes_is_held(const struct routes *r, const char *key)
{
	return holds_has(&r->holds, key);
}

void routes_release(struct routes *r, void (*go)(const char *key, void *arg), void *arg)
{
	holds_release(&r->holds, withdrawn_generation(r), clock_ms(), go, arg);
	if (r->holds.list)
		look_again_in(r, 50);
}

/* ---- what it reports about itself ---- */

static enum reason say(struct buf *msg, enum reason reason, const char *words)
{
	if (msg)
		buf_puts(msg, words ? words : reason_sentence(reason));
	return reason;
}

static enum reason why_no_engine(const struct routes *r, struct buf *msg)
{
	if (!r->enabled)
		return say(msg, REASON_ProtocolUnsupported,
		           "BGP is switched off on this node (--bgp-socket-dir none)");
	if (r->error)
		return say(msg, REASON_BgpUnreachable, r->error);
	if (!r->begin_ms)
		return say(msg, REASON_NoConfiguration, NULL);
	if (!r->began)
		return say(msg, REASON_BgpPending, NULL);
	return say(msg, REASON_BgpNoPeer, NULL);
}

enum reason routes_reason_of(const struct routes *r, const struct addr *a, struct buf *msg)
{
	return r->bgp ? bgp_reason_of(r->bgp, a, msg) : why_no_engine(r, msg);
}

void routes_tell(const struct routes *r, struct news *news, struct budget *budget, int64_t now_ms,
                 news_tell *tell, void *arg)
{
	cleanup(buf_fini) struct buf msg = BUF_INIT;
	size_t n = r->bgp ? bgp_n_peers(r->bgp) : 0;
	cleanup_free struct bgp_peer_status *peers = xcalloc(n + 1, sizeof(*peers));

	for (size_t i = 0; i < n; i++)
		peers[i] = bgp_peer_status(r->bgp, i);
	enum reason reason = r->bgp ? bgp_reason(r->bgp, &msg) : why_no_engine(r, &msg);
	const struct news_view v = {
		.reason = reason, .message = buf_str(&msg), .peers = peers, .n_peers = n
	};
	news_look(news, &v, budget, now_ms, tell, arg);
}

void routes_status(const struct routes *r, const char *key, struct out *o)
{
	cleanup(buf_fini) struct buf msg = BUF_INIT;

	if (r->bgp) {
		bgp_status(r->bgp, key, o);
		return;
	}
	enum reason reason = why_no_engine(r, &msg);
	out_object(o, key);
	out_bool(o, "connected", false);
	out_str(o, "reason", reason_name(reason));
	out_str(o, "message", buf_str(&msg));
	out_list(o, "peers");
	out_close(o);
	out_close(o);
}

void routes_metrics(const struct routes *r, struct metrics_writer *w)
{
	if (r->sinks)
		sinks_metrics(r->sinks, w);
	if (r->bgp)
		bgp_metrics(r->bgp, w);
}

int routes_cleanup(const char *socket_dir, struct err *e)
{
	cleanup_free char *bgpd = socket_path(socket_dir, "bgpd.vty");
	cleanup_free char *bfdd = socket_path(socket_dir, "bfdd.vty");
	const struct bgp_options o = { .bgpd_socket = bgpd, .bfdd_socket = bfdd };

	return bgp_cleanup(&o, e);
}
