/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request: it waits for its turn, is sent, is perhaps sent again after a pause, and calls back
 * once.
 *
 *	WAITING -> SENT -> (done)
 *	              `--> PAUSED -> WAITING
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
#include "fairlead/buf.h"
#include "fairlead/clock.h"
#include "fairlead/mem.h"

#define RETRY_FIRST_MS 100
#define RETRY_AFTER_MAX_S 60

enum request_state { REQUEST_WAITING, REQUEST_SENT, REQUEST_PAUSED };

struct kube_request {
	struct kube_client *c;
	enum request_state state;
	char *method, *path, *body;
	enum kube_patch_type patch;
	int timeout_ms, retries_left;
	bool urgent, background, may_ask_again /* with another token, once */, after_failure;
	bool (*may_send)(void *arg);
	void (*text)(const char *data, size_t size, void *arg);
	size_t max_bytes;
	struct backoff backoff;
	struct transfer *transfer;
	const struct multi *lane; /* that it was sent by last */
	struct event *timer;
	struct buf answer;
	bool answer_too_large;
	kube_request_cb *cb;
	void *arg;
	int64_t since_ms; /* it was asked for */
	struct kube_request *prev, *next;
};

static const char *content_type(enum kube_patch_type patch)
{
	switch (patch) {
	case KUBE_PATCH_NONE:
		return "application/json";
	case KUBE_PATCH_MERGE:
		return "application/merge-patch+json";
	case KUBE_PATCH_STRATEGIC:
		return "application/strategic-merge-patch+json";
	case KUBE_PATCH_JSON:
		return "application/json-patch+json";
	}
	return "application/json";
}

static void schedule_pump(struct kube_client *c)
{
	struct timeval now = { 0, 0 };

	evtimer_add(c->pump, &now);
}

static struct kube_request **list_of(struct kube_request *r)
{
	if (r->state != REQUEST_WAITING)
		return &r->c->under_way;
	return r->urgent ? &r->c->urgent : r->background ? &r->c->background : &r->c->waiting;
}

static void count_flight(struct kube_request *r, int change)
{
	if (r->state != REQUEST_SENT)
		return;
	r->c->n_in_flight += (size_t)change;
	r->c->n_background += r->background ? (size_t)change : 0;
}

static void enter(struct kube_request *r, enum request_state state)
{
	struct kube_client *c = r->c;
	struct kube_request **list = list_of(r);
	DL_DELETE(*list, r);

	count_flight(r, -1);
	r->state = state;
	count_flight(r, +1);
	list = list_of(r);
	DL_APPEND(*list, r);
	schedule_pump(c);
}

void request_free(struct kube_request *r)
{
	struct kube_request **list = list_of(r);
	DL_DELETE(*list, r);

	count_flight(r, -1);
	schedule_pump(r->c);
	transfer_cancel(r->transfer);
	if (r->timer)
		event_free(r->timer);
	buf_fini(&r->answer);
	free(r->method);
	free(r->path);
	free(r->body);
	free(r);
}

void kube_request_cancel(struct kube_request *r)
{
	if (r)
		request_free(r);
}

void request_describe(const char *method, const char *path, int status, struct json_object *answer,
                      struct err *e)
{
	const char *reason = kube_json_str(answer, "reason", NULL);
	const char *message = kube_json_str(answer, "message", NULL);
	int path_len = (int)strcspn(path, "?");

	err_set(e, -EIO, ERR_REMOTE, "%s %.*s: %d%s%s%s%s", method, path_len, path, status,
	        reason ? " " : "", reason ? reason : "", message ? ": " : "",
	        message ? message : "");
}

/* What refuses where text was asked for says why in its first line, or in a Status. */
static void describe_text(const struct kube_request *r, int status, struct err *e)
{
	const char *said = buf_str(&r->answer);
	cleanup_free char *line = xstrndup(said, strcspn(said, "\r\n"));

	err_set(e, -EIO, ERR_REMOTE, "%s %.*s: %d%s%.200s", r->method, (int)strcspn(r->path, "?"),
	        r->path, status, *line ? ": " : "", line);
}

/* Frees the request, then tells. */
static void finish(struct kube_request *r, int status, const struct err *e)
{
	kube_request_cb *cb = r->cb;
	void *arg = r->arg;
	bool is_good = !e && status >= 200 && status <= 299;
	struct json_object *obj =
		r->text && is_good ? NULL : kube_json_parse(r->answer.data, r->answer.size);
	struct err described = ERR_INIT;

	if (e) {
		described = *e;
		err_prefix(&described, "%s %.*s", r->method, (int)strcspn(r->path, "?"), r->path);
		e = &described;
	} else if (!is_good) {
		if (r->text && !obj)
			describe_text(r, status, &described);
		else
			request_describe(r->method, r->path, status, obj, &described);
		e = &described;
	} else if (r->text) {
		r->text(buf_str(&r->answer), r->answer.size, arg);
	}
	r->c->stats.errors += e != NULL;
	request_free(r);
	if (cb)
		cb(status, obj, e, arg);
	json_object_put(obj);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	enter(arg, REQUEST_WAITING);
}

static void pause_request(struct kube_request *r, int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	enter(r, REQUEST_PAUSED);
	if (!r->timer)
		r->timer = evtimer_new(r->c->base, on_pause_over, r);
	evtimer_add(r->timer, &tv);
}

static void on_request_end(int status, int retry_after_s, const struct err *e, void *arg)
{
	struct kube_request *r = arg;
	struct err too_large = ERR_INIT;

	r->transfer = NULL;
	if (e && !r->answer_too_large)
		client_leave_lane(r->c, r->lane);
	if (status == 429)
		r->c->stats.throttled++;
	if (r->answer_too_large) {
		err_set(&too_large, -EMSGSIZE, ERR_LIMIT, "the answer is larger than %zu bytes",
		        r->max_bytes);
		finish(r, status, &too_large);
		return;
	}
	if (status == 401 && r->may_ask_again &&
	    kube_access_token_refused(r->c->access, clock_ms())) {
		r->may_ask_again = false;
		buf_clear(&r->answer);
		enter(r, REQUEST_WAITING);
		return;
	}
	if ((e || status == 429 || status >= 500) && r->retries_left > 0) {
		int ms = backoff_next_ms(&r->backoff, clock_random_below(UINT64_MAX));
		if (retry_after_s > RETRY_AFTER_MAX_S)
			retry_after_s = RETRY_AFTER_MAX_S;
		r->retries_left--;
		r->c->stats.retries++;
		/* A connection that failed us may be half-dead and would fail us again. */
		r->after_failure = e != NULL;
		buf_clear(&r->answer);
		pause_request(r, ms > retry_after_s * 1000 ? ms : retry_after_s * 1000);
		return;
	}
	finish(r, status, e);
}

static bool on_answer(const char *data, size_t size, int status, void *arg)
{
	struct kube_request *r = arg;

	(void)status;
	if (r->answer.size + size > r->max_bytes) {
		r->answer_too_large = true;
		return false;
	}
	buf_add(&r->answer, data, size);
	return true;
}

static void send_request(struct kube_request *r)
{
	bool reads = !strcmp(r->method, "GET");
	struct multi *lane = reads ? r->c->reading : r->c->writing;
	const struct transfer_spec spec = {
		.method = r->method,
		.path = r->path,
		.body = r->body,
		.content_type = content_type(r->patch),
		.timeout_ms = r->timeout_ms,
		.fresh_connection = r->after_failure && lane == r->lane,
		.on_data = on_answer,
		.on_end = on_request_end,
		.arg = r,
	};

	enter(r, REQUEST_SENT);
	r->c->stats.requests++;
	r->lane = lane;
	r->transfer = transfer_start(lane, &spec);
}

static struct kube_request *next_waiting(struct kube_client *c)
{
	if (c->urgent)
		return c->urgent;
	size_t n_others = c->n_in_flight - c->n_background;
	if (c->waiting && n_others < KUBE_IN_FLIGHT_MAX)
		return c->waiting;
	if (!c->background || c->n_background >= KUBE_EVENTS_IN_FLIGHT)
		return NULL;
	/*
	 * While anything else is under way, more of it may follow at once; but that may go on for
	 * ever.
	 */
	bool patient = clock_ms() < c->background->since_ms + KUBE_EVENTS_PATIENCE_MS;
	if (n_others > 0 && (patient || c->n_background >= KUBE_EVENTS_BESIDE_OTHERS))
		return NULL;
	return c->background;
}

/* What goes behind all others looks again when it has waited for long enough to go beside them. */
static void wait_for_patience(struct kube_client *c)
{
	int64_t ms =
		c->background ? c->background->since_ms + KUBE_EVENTS_PATIENCE_MS - clock_ms() : 0;

	if (ms > 0) {
		struct timeval tv = { ms / 1000, ms % 1000 * 1000 };
		evtimer_add(c->pump, &tv);
	}
}

void request_pump(struct kube_client *c)
{
	/* From the start again each time: a callback may have started or cancelled any of them. */
	for (struct kube_request *r; (r = next_waiting(c));) {
		if (!r->may_send || r->may_send(r->arg)) {
			send_request(r);
			continue;
		}
		struct err e = ERR_INIT;
		err_set(&e, -ECANCELED, ERR_LIMIT, "not sent: no longer allowed to");
		finish(r, 0, &e);
	}
	wait_for_patience(c);
}

struct kube_request *kube_request_start(struct kube_client *c, const struct kube_request_spec *spec,
                                        kube_request_cb *cb, void *arg)
{
	struct kube_request *r = xcalloc(1, sizeof(*r));

	r->c = c;
	r->method = xstrdup(spec->method);
	r->path = xstrdup(spec->path);
	r->body = xstrdup_null(spec->body);
	r->patch = spec->patch;
	r->timeout_ms = spec->timeout_ms ? spec->timeout_ms : KUBE_REQUEST_TIMEOUT_MS;
	r->retries_left = spec->max_retries;
	r->urgent = spec->urgent;
	r->background = spec->background;
	r->may_send = spec->may_send;
	r->text = spec->text;
	r->max_bytes = spec->max_bytes ? spec->max_bytes : KUBE_ANSWER_SIZE_MAX;
	r->may_ask_again = true;
	r->since_ms = clock_ms();
	r->backoff = (struct backoff){ .first_ms = RETRY_FIRST_MS, .last_ms = BACKOFF_LAST_MS };
	r->cb = cb;
	r->arg = arg;
	struct kube_request **list = list_of(r);
	DL_APPEND(*list, r);
	schedule_pump(c);
	return r;
}
