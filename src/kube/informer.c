/* SPDX-License-Identifier: Apache-2.0 */
/*
 * List, then watch from the list's resourceVersion, for ever.
 *
 *	           .-- next page --.
 *	           v               |
 *	PAUSING -> LISTING -------'--> WATCHING --.
 *	  ^ ^        | error            | end      |
 *	  | `--------'                  v          |
 *	  `--------- the history we knew is gone, or a refresh was asked for: list again
 *
 * Every list is consistent (no resourceVersion), so that a server whose history starts anew is
 * followed like any other.  A list is a diff: what it does not name is gone, and an object whose
 * resourceVersion we know is not delivered again.  A watch that brought something, or lived for a
 * while, is taken up again at once from the last resourceVersion seen, bookmarks included; one that
 * ends as soon as it started backs off.
 */
#include "config.h"

#include <errno.h>
#include <event2/event.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "kube/access.h"
#include "kube/backoff.h"
#include "kube/client.h"
#include "kube/delivery.h"
#include "kube/refresh.h"
#include "kube/scanner.h"
#include "fairlead/buf.h"
#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

#define PAGE_LIMIT 500
#define WATCH_TIMEOUT_MIN_S 300
#define WATCH_TIMEOUT_SPREAD_S 301
#define RETRY_FIRST_MS 800
#define RECONNECT_MS 50
/* A watch that lived for this long was a good one even if it brought nothing. */
#define HEALTHY_WATCH_MS 1000
#define RETRY_AFTER_MAX_S 60
/* After something came that nobody can make out, so long until all is listed again. */
#define LOST_RELIST_MS 10000
/* An answer that is an error: a metav1.Status. */
#define STATUS_SIZE_MAX (64u << 10)

enum phase { INFORMER_PAUSING, INFORMER_LISTING, INFORMER_WATCHING };

struct kube_informer {
	struct kube_client *c;
	char *path, *query, *what;
	struct delivery to;
	int silence_ms;

	enum phase phase;
	bool need_list, whole_list /* not in pages */, fresh_connection, token_retried;
	bool quick_used;  /* the quick reconnect that each good watch allows */
	bool relist_used; /* the quick list that each good watch allows when its history is gone */
	char *continue_token; /* of the next page; NULL: the first */
	char version[DELIVERY_VERSION_SIZE];
	int64_t started_ms; /* the list page or watch under way */
	bool progress;      /* it brought something */
	int error_code;     /* of an ERROR event, or of a broken answer */
	struct err error;
	struct transfer *transfer;
	struct event *timer;  /* end of the pause, or of our patience */
	struct event *relist; /* after a loss */
	struct backoff backoff;
	struct scanner page;
	struct lines lines;
	struct buf status_text;
	struct refreshes refreshes;
	struct kube_informer_stats stats;

	unsigned int held; /* calls of ours on the stack that still need the memory */
	struct kube_informer *prev, *next;
};

static void free_informer(struct kube_informer *inf)
{
	refreshes_fini(&inf->refreshes);
	event_free(inf->timer);
	event_free(inf->relist);
	scanner_fini(&inf->page);
	lines_fini(&inf->lines);
	buf_fini(&inf->status_text);
	store_fini(&inf->to.store);
	free(inf->continue_token);
	free(inf->path);
	free(inf->query);
	free(inf->what);
	free(inf);
}

static void hold(struct kube_informer *inf)
{
	inf->held++;
}

static void release(struct kube_informer *inf)
{
	if (--inf->held == 0 && inf->to.stopped)
		free_informer(inf);
}

static void set_timer_ms(struct kube_informer *inf, int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	evtimer_add(inf->timer, &tv);
}

static bool on_item(const char *data, size_t size, struct outline *cut, void *arg)
{
	struct kube_informer *inf = arg;
	const struct delivery_text t = { data, size, cut };

	delivery_item(&inf->to, &t);
	return !inf->to.stopped;
}

/* ---- what to do next ---- */

static void start_list(struct kube_informer *inf);
static void start_watch(struct kube_informer *inf);

static void pause_for(struct kube_informer *inf, int ms)
{
	inf->phase = INFORMER_PAUSING;
	inf->stats.watching = false;
	set_timer_ms(inf, ms);
}

static void retry_later(struct kube_informer *inf, int status, int retry_after_s,
                        const struct err *e)
{
	inf->phase = INFORMER_PAUSING;
	inf->stats.watching = false;
	if (inf->to.ops.failed && !inf->to.ops.failed(status, e, inf->to.arg))
		return;
	int ms = backoff_next_ms(&inf->backoff, clock_random_below(UINT64_MAX));
	if (retry_after_s > RETRY_AFTER_MAX_S)
		retry_after_s = RETRY_AFTER_MAX_S;
	if (retry_after_s * 1000 > ms)
		ms = backoff_jitter_ms(retry_after_s * 2000, clock_random_below(UINT64_MAX));
	if (!inf->to.ops.failed)
		log_warn("list or watch failed, retrying", KV_S("kind", inf->what),
		         KV_S("error", e->msg), KV_I("retry_ms", ms));
	pause_for(inf, ms);
}

static void go_on(struct kube_informer *inf)
{
	if (inf->need_list)
		start_list(inf);
	else
		start_watch(inf);
}

static void on_open(int status, void *arg);
static bool on_chunk(const char *data, size_t size, int status, void *arg);
static void on_list_end(int status, int retry_after_s, const struct err *e, void *arg);
static void on_watch_end(int status, int retry_after_s, const struct err *e, void *arg);

static void add_escaped(struct buf *b, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    strchr("-._~", c))
			buf_putc(b, (char)c);
		else
			buf_printf(b, "%%%02X", c);
	}
}

static void start(struct kube_informer *inf, enum phase phase, const char *query)
{
	cleanup(buf_fini) struct buf path = BUF_INIT;

	buf_printf(&path, "%s?%s%s%s", inf->path, inf->query ? inf->query : "",
	           inf->query ? "&" : "", query);
	const struct transfer_spec spec = {
		.method = "GET",
		.path = buf_str(&path),
		.fresh_connection = inf->fresh_connection,
		.on_open = on_open,
		.on_data = on_chunk,
		.on_end = phase == INFORMER_LISTING ? on_list_end : on_watch_end,
		.arg = inf,
	};
	inf->phase = phase;
	inf->fresh_connection = false;
	inf->progress = false;
	inf->error_code = 0;
	inf->started_ms = clock_ms();
	buf_clear(&inf->status_text);
	inf->c->stats.requests++;
	inf->transfer = transfer_start(inf->c->reading, &spec);
	set_timer_ms(inf, inf->silence_ms);
}

static void start_list(struct kube_informer *inf)
{
	cleanup(buf_fini) struct buf query = BUF_INIT;

	if (!inf->whole_list)
		buf_printf(&query, "limit=%d&", PAGE_LIMIT);
	if (inf->continue_token) {
		buf_puts(&query, "continue=");
		add_escaped(&query, inf->continue_token);
	} else {
		delivery_start_list(&inf->to);
		inf->stats.lists++;
		buf_puts(&query, "resourceVersion=");
	}
	scanner_fini(&inf->page);
	scanner_init(&inf->page, on_item, inf);
	start(inf, INFORMER_LISTING, buf_str(&query));
}

static void start_watch(struct kube_informer *inf)
{
	cleanup(buf_fini) struct buf query = BUF_INIT;

	buf_printf(&query, "watch=1&allowWatchBookmarks=true&timeoutSeconds=%d&resourceVersion=",
	           WATCH_TIMEOUT_MIN_S + (int)clock_random_below(WATCH_TIMEOUT_SPREAD_S));
	add_escaped(&query, inf->version);
	inf->stats.watches++;
	lines_fini(&inf->lines);
	start(inf, INFORMER_WATCHING, buf_str(&query));
}

static void forget_list(struct kube_informer *inf)
{
	free(inf->continue_token);
	inf->continue_token = NULL;
	inf->need_list = true;
}

/* Something was lost: only a list can tell that all is seen again. */
static void lose_sight(struct kube_informer *inf)
{
	const struct timeval tv = { LOST_RELIST_MS / 1000, LOST_RELIST_MS % 1000 * 1000 };

	if (inf->to.lost > 0 && !inf->to.stopped && !evtimer_pending(inf->relist, NULL))
		evtimer_add(inf->relist, &tv);
}

/*
 * An unsuccessful answer to a list or watch: says why, and whether the history that we knew is
 * gone.
 */
static bool judge_status(struct kube_informer *inf, int code, const char *message)
{
	if (code == 410)
		inf->stats.expired++;
	/* A server that was set back knows less than we do. */
	return code == 410 || (code == 504 && strstr(message, "resource version")) ||
	       (code >= 400 && code < 500 && code != 401 && code != 403 && code != 429);
}

static bool on_event(const char *data, size_t size, struct outline *cut, void *arg)
{
	struct kube_informer *inf = arg;
	const struct delivery_text t = { data, size, cut };
	struct delivery_event ev;

	delivery_event(&inf->to, &t, &ev);
	if (ev.kind == DELIVERY_ERROR) {
		inf->error_code = ev.code;
		inf->error = ev.error;
		return false;
	}
	if (*ev.version) {
		inf->progress = true;
		snprintf(inf->version, sizeof(inf->version), "%s", ev.version);
	}
	inf->stats.bookmarks += ev.kind == DELIVERY_BOOKMARK;
	inf->stats.events += ev.kind == DELIVERY_CHANGE;
	lose_sight(inf);
	/* The receiver may have asked for a refresh, which ends this watch. */
	return inf->transfer;
}

static void on_open(int status, void *arg)
{
	struct kube_informer *inf = arg;

	inf->c->stats.throttled += status == 429;
	if (status != 200)
		return;
	inf->stats.watching = inf->phase == INFORMER_WATCHING;
	inf->stats.last_contact_ms = clock_ms();
}

static bool on_chunk(const char *data, size_t size, int status, void *arg)
{
	struct kube_informer *inf = arg;
	bool go = true;

	hold(inf);
	set_timer_ms(inf, inf->silence_ms);
	if (status != 200) {
		go = inf->status_text.size + size <= STATUS_SIZE_MAX;
		if (go)
			buf_add(&inf->status_text, data, size);
	} else if (inf->phase == INFORMER_LISTING) {
		inf->stats.last_contact_ms = clock_ms();
		go = scanner_feed(&inf->page, data, size) == 0;
	} else {
		inf->stats.last_contact_ms = clock_ms();
		go = lines_feed(&inf->lines, data, size) == 0;
	}
	go = go && !inf->to.stopped;
	release(inf);
	return go;
}

/* ---- ends of lists ---- */

static void call_refreshed(struct kube_informer *inf)
{
	struct refresh *due = refreshes_take(&inf->refreshes, inf->to.list), *r;

	while ((r = due)) {
		due = r->next;
		if (!inf->to.stopped)
			r->done(r->arg);
		free(r);
	}
}

static void list_complete(struct kube_informer *inf)
{
	delivery_end_list(&inf->to);
	if (!inf->to.stopped && !inf->stats.synced) {
		inf->stats.synced = true;
		if (inf->to.ops.synced)
			inf->to.ops.synced(inf->to.arg);
	}
	if (!inf->to.stopped)
		call_refreshed(inf);
	if (inf->to.stopped)
		return;
	lose_sight(inf);
	inf->need_list = inf->refreshes.list != NULL;
	inf->quick_used = false;
	go_on(inf);
}

/* A page came through: the next one, or the end. */
static void page_complete(struct kube_informer *inf)
{
	struct json_object *meta =
		kube_json_parse(inf->page.metadata.data, inf->page.metadata.size);
	const char *version = kube_json_str(meta, "resourceVersion", NULL);
	const char *token = kube_json_str(meta, "continue", NULL);
	bool good = version && *version && strlen(version) < DELIVERY_VERSION_SIZE;

	scanner_fini(&inf->page);
	forget_list(inf);
	if (good) {
		snprintf(inf->version, sizeof(inf->version), "%s", version);
		if (token && *token)
			inf->continue_token = xstrdup(token);
	}
	json_object_put(meta);
	if (!good) {
		struct err e = ERR_INIT;
		err_set(&e, -EPROTO, ERR_REMOTE, "a list without a resourceVersion");
		retry_later(inf, 200, 0, &e);
		return;
	}
	backoff_reset(&inf->backoff);
	inf->token_retried = false;
	if (inf->continue_token) {
		start_list(inf);
		return;
	}
	inf->whole_list = false;
	list_complete(inf);
}

/* Fills inf->error from an answer that is no success; returns its message. */
static struct json_object *read_status(struct kube_informer *inf, int status)
{
	struct json_object *obj = kube_json_parse(inf->status_text.data, inf->status_text.size);

	request_describe("GET", inf->path, status, obj, &inf->error);
	buf_fini(&inf->status_text);
	return obj;
}

/* 401 with a token that the file no longer holds: again at once, but only once. */
static bool retry_with_new_token(struct kube_informer *inf, int status)
{
	if (status != 401 || inf->token_retried ||
	    !kube_access_token_refused(inf->c->access, clock_ms()))
		return false;
	inf->token_retried = true;
	pause_for(inf, 0);
	return true;
}

static void on_list_end(int status, int retry_after_s, const struct err *e, void *arg)
{
	struct kube_informer *inf = arg;

	hold(inf);
	inf->transfer = NULL;
	if (status == 200 && !e && scanner_complete(&inf->page)) {
		page_complete(inf);
	} else if (status == 200 || !status) {
		/* Cut short: the same page again.  Broken: all again. */
		if (status == 200 && inf->page.bad)
			forget_list(inf);
		inf->fresh_connection = true;
		err_set(&inf->error, -EIO, ERR_REMOTE, "GET %s: %s", inf->path,
		        status == 200 && inf->page.bad ? "the list is no JSON"
		        : e                            ? e->msg
		                                       : "the list was cut short");
		retry_later(inf, status, 0, &inf->error);
	} else {
		json_object_put(read_status(inf, status));
		/*
		 * The pages' history was compacted away while we read them: once more without
		 * pages.
		 */
		if (judge_status(inf, status, inf->error.msg) && inf->continue_token)
			inf->whole_list = true;
		if (status != 429)
			forget_list(inf);
		if (!retry_with_new_token(inf, status))
			retry_later(inf, status, retry_after_s, &inf->error);
	}
	release(inf);
}

/* ---- ends of watches ---- */

/* A watch that was open ended without an error that we have to heed: take it up again. */
static void reconnect(struct kube_informer *inf, const char *why)
{
	bool good = inf->progress || clock_ms() - inf->started_ms >= HEALTHY_WATCH_MS;
	struct err e = ERR_INIT;

	if (good) {
		backoff_reset(&inf->backoff);
		inf->quick_used = false;
		inf->relist_used = false;
		inf->token_retried = false;
	}
	log_debug("watch ended", KV_S("kind", inf->what), KV_S("reason", why));
	if (!inf->quick_used) {
		inf->quick_used = true;
		pause_for(inf, backoff_jitter_ms(RECONNECT_MS, clock_random_below(UINT64_MAX)));
		return;
	}
	err_set(&e, -EIO, ERR_REMOTE, "watch of %s: %s", inf->path, why);
	retry_later(inf, 0, 0, &e);
}

static void on_watch_end(int status, int retry_after_s, const struct err *e, void *arg)
{
	struct kube_informer *inf = arg;

	hold(inf);
	inf->transfer = NULL;
	lines_fini(&inf->lines);
	if (status == 200 && !inf->error_code) {
		reconnect(inf, e ? e->msg : "the server ended it");
		release(inf);
		return;
	}
	if (!status) {
		inf->fresh_connection = true;
		err_set(&inf->error, -EIO, ERR_REMOTE, "watch of %s: %s", inf->path,
		        e ? e->msg : "no answer");
	} else if (status != 200) {
		json_object_put(read_status(inf, status));
	}
	int code = status == 200 ? inf->error_code : status;
	bool gone = code && judge_status(inf, code, inf->error.msg);
	if (gone)
		forget_list(inf);
	if (inf->progress) {
		backoff_reset(&inf->backoff);
		inf->relist_used = false;
	}
	/* Also right after a server could not be reached: it has just answered. */
	if (gone && !inf->relist_used) {
		inf->relist_used = true;
		log_info("the history that was watched is gone, listing again",
		         KV_S("kind", inf->what), KV_S("error", inf->error.msg));
		pause_for(inf, backoff_jitter_ms(RECONNECT_MS, clock_random_below(UINT64_MAX)));
	} else if (!retry_with_new_token(inf, status)) {
		retry_later(inf, status, retry_after_s, &inf->error);
	}
	release(inf);
}

/* ---- from outside ---- */

static void cut(struct kube_informer *inf)
{
	transfer_cancel(inf->transfer);
	inf->transfer = NULL;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct kube_informer *inf = arg;

	(void)fd, (void)what;
	if (inf->phase == INFORMER_PAUSING) {
		go_on(inf);
		return;
	}
	hold(inf);
	cut(inf);
	inf->fresh_connection = true;
	if (inf->phase == INFORMER_WATCHING) {
		reconnect(inf, "silent for too long");
	} else {
		err_set(&inf->error, -ETIMEDOUT, ERR_REMOTE, "GET %s: silent for too long",
		        inf->path);
		retry_later(inf, 0, 0, &inf->error);
	}
	release(inf);
}

/* Lists from the start, after the list under way if there is one. */
static void list_again(struct kube_informer *inf)
{
	if (inf->phase == INFORMER_LISTING)
		return;
	if (inf->phase == INFORMER_WATCHING)
		cut(inf);
	if (!inf->need_list)
		forget_list(inf);
	/* The caller needs it now, however long the pause was to be. */
	pause_for(inf, 0);
}

static void on_relist(evutil_socket_t fd, short what, void *arg)
{
	struct kube_informer *inf = arg;

	(void)fd, (void)what;
	/* A list under way began before or ends with the same question. */
	if (inf->phase != INFORMER_LISTING)
		list_again(inf);
}

struct kube_informer *kube_informer_start(struct kube_client *c,
                                          const struct kube_informer_spec *spec,
                                          const struct kube_informer_ops *ops, void *arg)
{
	struct kube_informer *inf = xcalloc(1, sizeof(*inf));

	inf->c = c;
	inf->path = xstrdup(spec->path);
	inf->query = xstrdup_null(spec->query);
	inf->what = xstrdup(spec->what);
	inf->to = (struct delivery){ .what = inf->what, .ops = *ops, .arg = arg };
	store_init(&inf->to.store);
	inf->silence_ms = spec->silence_ms ? spec->silence_ms : KUBE_WATCH_SILENCE_MS;
	inf->need_list = true;
	inf->backoff = (struct backoff){ .first_ms = RETRY_FIRST_MS, .last_ms = BACKOFF_LAST_MS };
	inf->timer = evtimer_new(c->base, on_timer, inf);
	inf->relist = evtimer_new(c->base, on_relist, inf);
	lines_init(&inf->lines, on_event, inf);
	DL_APPEND(c->informers, inf);
	pause_for(inf, 0);
	return inf;
}

void kube_informer_stop(struct kube_informer *inf)
{
	if (!inf)
		return;
	inf->to.stopped = true;
	DL_DELETE(inf->c->informers, inf);
	transfer_cancel(inf->transfer);
	inf->transfer = NULL;
	evtimer_del(inf->timer);
	evtimer_del(inf->relist);
	if (!inf->held)
		free_informer(inf);
}

void kube_informer_refresh(struct kube_informer *inf, void (*done)(void *arg), void *arg)
{
	refreshes_add(&inf->refreshes, inf->to.list + 1, done, arg);
	list_again(inf);
}

struct kube_informer_stats kube_informer_stats(const struct kube_informer *inf)
{
	struct kube_informer_stats s = inf->stats;

	s.objects = store_count(&inf->to.store);
	s.malformed = inf->to.malformed;
	s.lost = inf->to.lost;
	return s;
}
