/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patches to Services, many in flight, one for each Service at most: to its status, or to itself
 * for external IPs.
 *
 *	            .--------- seen again, or looked at and unchanged ---------.
 *	            v                                                          |
 *	IDLE --> QUEUED --> PATCHING --> (2xx) IDLE, until the watch shows it  |
 *	  ^                    |------> (409, 404, 5xx, no answer) DOUBT ------'
 *	  '--- BACKOFF <-------'------> (429, other 4xx) BACKOFF
 *	  '--- REST <-- too many writes in a row
 *
 * External IPs that are refused have no BACKOFF: the next decision says that they are, and it
 * changes with the object.  What was looked at and unchanged three times in a row is refused, too,
 * whatever the answers were: this happens when an admission webhook fails or hangs.
 *
 * The resourceVersion in the patch makes a repeated or late one harmless: it takes effect on
 * exactly the object that was decided on, or not at all.  The lease is asked before each send;
 * timeout= keeps what was sent from taking effect later than the lease's successor waits.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <json-c/json.h>
#include <utlist.h>

#include "controller/books.h"
#include "controller/contest.h"
#include "controller/scribe.h"
#include "controller/tell.h"
#include "controller/term.h"
#include "controller/writer.h"
#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/turn.h"

#define PATCH_RETRIES \
	1 /* of the client's own; what still fails is looked at before it is tried again */
#define LOOK_AFTER_CONFLICT_MS 300
/* a look of which nothing came back */
#define LOOK_AGAIN_MS 1000
#define LOOK_LOST_MS 60000
#define IN_VAIN_MAX 3
#define THROTTLED_MS 1000
#define REFUSED_FIRST_MS 30000
#define CONTESTED_PAUSE_MS 5000
#define REFUSED_DOUBLINGS_MAX 4
/* of external IPs that were refused */
#define CLOCK_MS 50
#define SECOND_TRY_S 600

static void addrs_text(const struct addr *addrs, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "%s%s", i ? "," : "", addr_str(&addrs[i]));
}

/* ---- what became of it ---- */

/* The object now says what was decided: this is the change that log and Events report. */
static void tell_part(struct record *r, const struct record_part *p, const char *key)
{
	cleanup(buf_fini) struct buf addrs = BUF_INIT;

	addrs_text(p->want, p->n_want, &addrs);
	if (p == &r->lb &&
	    r->contested_ms) { /* the same again in each round of a fight: see contest.c */
		log_debug("contested status written", KV_S("service", key),
		          KV_S("addresses", buf_str(&addrs)));
		return;
	}
	switch (p->action) {
	case IPAM_ASSIGN:
	case IPAM_MOVE:
		log_info(p->action == IPAM_MOVE ? "address changed" : "address assigned",
		         KV_S("service", key), KV_S("addresses", buf_str(&addrs)));
		tell_event_of(r, false, p->action == IPAM_MOVE ? REASON_Moved : REASON_Assigned,
		              "Allocate", p->message);
		break;
	case IPAM_FAIL:
		log_warn("no address", KV_S("service", key), KV_S("reason", reason_name(p->reason)),
		         KV_S("detail", p->message), KV_S("holder", p->holder));
		tell_event_of(r, true, p->reason, "Allocate", p->message);
		break;
	case IPAM_RELEASE:
		log_info("address released", KV_S("service", key));
		tell_event_of(r, false, REASON_Released, "Release", p->message);
		break;
	case IPAM_NONE:
	case IPAM_KEEP:
		if (p->reason == REASON_Retained) {
			log_warn("address retained", KV_S("service", key),
			         KV_S("addresses", buf_str(&addrs)), KV_S("detail", p->message));
			tell_event_of(r, true, REASON_Retained, "Allocate", p->message);
			break;
		}
		log_debug("status completed", KV_S("service", key),
		          KV_S("reason", reason_name(p->reason)));
		break;
	}
}

/*
 * For external IPs the change itself is reported, and so is a failure, which only the condition
 * shows.
 */
static void tell_written(struct record *r, struct record_write w)
{
	const struct record_part *e = r->external;

	/* In a fight about a status the same comes again and again. */
	if (w.ingress && !r->contested_ms)
		scribe_note_written(r, &r->lb, r->key);
	if (e && w.external_ips)
		scribe_note_written(r, e, r->external_key);
	if (w.ingress || w.condition)
		tell_part(r, &r->lb, r->key);
	if (e && (w.external_ips || (w.external_condition &&
	                             (e->action == IPAM_FAIL || e->reason == REASON_Retained))))
		tell_part(r, e, r->external_key);
}

/*
 * Older servers, and some that are not Kubernetes, do not keep every field; trying again would go
 * on for ever.  If not even the addresses were kept, something else dropped them: an admission
 * webhook, say.
 */
static void learn_server(struct controller *ctl, const struct record *r,
                         struct record_server dropped)
{
	static const struct record_server any = { .drops_ip_mode = true, .drops_conditions = true };

	if (r->under_way.ingress && record_needs(r, &any).ingress)
		return;
	if (dropped.drops_ip_mode && !ctl->server.drops_ip_mode)
		log_warn("the API server drops ipMode; its absence is accepted from now on");
	if (dropped.drops_conditions && !ctl->server.drops_conditions)
		log_warn(
			"the API server drops conditions of Services; reasons are in Events, /status "
			"and the log only");
	ctl->server.drops_ip_mode |= dropped.drops_ip_mode;
	ctl->server.drops_conditions |= dropped.drops_conditions;
}

/* Back to be decided. */
static void wake(struct record *r)
{
	r->dirty = true;
	books_set_flight(r, RECORD_IDLE, 0);
}

/* Decided anew at once: nobody gets the address, and the condition says why. */
static void external_refused(struct record *r, const char *why)
{
	static const struct timeval later = { SECOND_TRY_S, 0 };
	struct controller *ctl = r->ctl;

	ctl->stats.refused++;
	log_warn("the API server refuses external IPs", KV_S("service", r->key),
	         KV_S("error", why));
	record_refuse(r, why);
	if (!evtimer_pending(ctl->second_try, NULL))
		evtimer_add(ctl->second_try, &later);
	wake(r);
}

static void refused(struct record *r, const char *why)
{
	struct controller *ctl = r->ctl;
	int64_t pause_ms = REFUSED_FIRST_MS << r->n_refused;
	char note[ERR_MSG_SIZE + 64];

	ctl->stats.refused++;
	log_warn("the API server refuses our status", KV_S("service", r->key), KV_S("error", why));
	if (r->n_refused == 0) {
		snprintf(note, sizeof(note), "the API server refuses the status: %s", why);
		tell_event_of(r, true, REASON_StatusRefused, "Allocate", note);
	}
	if (r->n_refused < REFUSED_DOUBLINGS_MAX)
		r->n_refused++;
	/* Nothing was written, so nobody has what was reserved. */
	bool freed = turn_settle(ctl->ipam, r, (struct record_write){ .ingress = false });
	books_set_flight(r, RECORD_BACKOFF, clock_ms() + pause_ms);
	if (freed)
		books_wake_concerned(ctl);
}

/*
 * The object stands in @r as the answer has shown it, and lacks what is @left.  That is decided
 * anew once the watch has shown this write: two ahead of the watch, and an event of the first would
 * take the record back behind the second.
 */
static void settle(struct record *r, struct record_write left)
{
	struct controller *ctl = r->ctl;

	if (turn_settle(ctl->ipam, r, left))
		books_wake_concerned(ctl);
	r->n_refused = r->n_in_vain = 0;
	r->dirty |= record_writes(left);
	books_set_flight(r, RECORD_IDLE, 0);
}

static void write_refused(struct record *r, const char *why)
{
	if (r->under_way.external_ips)
		external_refused(r, why);
	else
		refused(r, why);
}

void writer_tell_found(struct record *r)
{
	struct record_write left = record_needs(r, &r->ctl->server);

	if (r->lb.request.wish == IPAM_WISH_UNREADABLE)
		return;
	if (!record_writes(record_both(left, r->under_way)))
		tell_written(r, r->under_way);
}

/* The change is there or it is not; a look will tell. */
static void doubt(struct record *r, int64_t look_in_ms, const char *why)
{
	free(r->failure);
	r->failure = xstrdup(why);
	if (r->moved) {
		writer_tell_found(r);
		wake(r);
		return;
	}
	books_set_flight(r, RECORD_DOUBT, clock_ms() + look_in_ms);
}

static void succeeded(struct record *r, struct json_object *obj)
{
	struct controller *ctl = r->ctl;
	struct kube_service *s;
	bool moved = r->moved, changed;

	ctl->stats.patches_succeeded++;
	if (!obj || kube_service_parse(obj, &s, NULL) < 0) {
		doubt(r, 0, "it answers success, but with something unreadable");
		return;
	}
	if (strcmp(s->meta.uid, r->uid) != 0) {
		/* About another object: that tells nothing about ours. */
		kube_service_free(s);
		doubt(r, 0, "it answers with another object");
		return;
	}
	changed = strcmp(r->version, s->meta.resource_version) != 0;
	if (moved && changed) {
		/* Written, and changed again since: the informer was faster than the answer. */
		kube_service_free(s);
		tell_written(r, r->under_way);
		wake(r);
		return;
	}
	struct record_server dropped = record_dropped(s, r->under_way);
	books_read(r, s, obj);
	kube_service_free(s);
	learn_server(ctl, r, dropped);
	/* Where nothing was changed, the watch has nothing to show. */
	r->awaits = !moved && changed;
	struct record_write left = record_needs(r, &ctl->server);
	if (record_writes(record_both(left, r->under_way))) {
		write_refused(r, "it answers success but does not keep what was written");
		return;
	}
	tell_written(r, r->under_way);
	settle(r, left);
}

static void failed(struct record *r, int status, const struct err *e)
{
	struct controller *ctl = r->ctl;
	const char *why = e ? e->msg : "";

	if (!r->n_sent) {
		wake(r);
	} else if (status == 409) {
		ctl->stats.conflicts++;
		doubt(r, LOOK_AFTER_CONFLICT_MS, why);
	} else if (status == 404) {
		doubt(r, LOOK_AGAIN_MS, why);
	} else if (status == 429) {
		books_set_flight(r, RECORD_BACKOFF, clock_ms() + THROTTLED_MS);
	} else if (status >= 400 && status < 500 && r->moved) {
		wake(r); /* that was about the object as it no longer is */
	} else if (status >= 400 && status < 500) {
		write_refused(r, why);
	} else {
		ctl->stats.unanswered++;
		log_debug("patch without an answer", KV_S("service", r->key),
		          KV_I("status", status), KV_S("error", why));
		doubt(r, ctl->timing.effect_ms, why);
	}
}

static void patched(int status, struct json_object *obj, const struct err *e, void *arg)
{
	struct record *r = arg;
	struct controller *ctl = r->ctl;

	r->request_under_way = NULL;
	ctl->n_in_flight--;
	/*
	 * Sent twice, the first time without an answer: unless the second answer shows that it took
	 * effect, the first may still do so.
	 */
	if (r->n_sent && (!kube_status_is_final(status) || (r->n_sent > 1 && status >= 300)))
		term_unanswered(ctl);
	if (!ctl->leading || !ctl->ipam) {
		/* The next leader looks at everything first. */
		r->dirty = false;
		books_set_flight(r, RECORD_IDLE, 0);
		return;
	}
	if (status >= 200 && status < 300)
		succeeded(r, obj);
	else
		failed(r, status, e);
	writer_run(ctl);
	ctl->calls->written(ctl);
}

/* ---- sending ---- */

static bool may_send(void *arg)
{
	struct record *r = arg;

	if (!term_may_write(r->ctl))
		return false;
	r->n_sent++;
	r->ctl->stats.patches++;
	return true;
}

static void send_patch(struct record *r)
{
	struct controller *ctl = r->ctl;
	struct record_write w = record_next(record_needs(r, &ctl->server));
	cleanup(buf_fini) struct buf path = BUF_INIT;
	cleanup(buf_fini) struct buf body = BUF_INIT;

	if (!record_writes(w)) {
		books_set_flight(r, RECORD_IDLE, 0);
		return;
	}
	buf_printf(&path, "/api/v1/namespaces/%s/services/%s%s?timeout=%dms", r->namespace, r->name,
	           w.external_ips ? "" : "/status", ctl->timing.effect_ms);
	record_patch(r, w, clock_wall_us(), &body);
	const struct kube_request_spec spec = {
		.method = "PATCH",
		.path = buf_str(&path),
		.body = buf_str(&body),
		.patch = KUBE_PATCH_STRATEGIC,
		.timeout_ms = ctl->timing.effect_ms,
		.max_retries = PATCH_RETRIES,
		.may_send = may_send,
	};
	r->moved = false;
	r->n_sent = 0;
	r->under_way = w;
	books_set_flight(r, RECORD_PATCHING, 0);
	ctl->n_in_flight++;
	r->request_under_way = kube_request_start(ctl->client, &spec, patched, r);
}

void writer_queue(struct record *r)
{
	int64_t now_ms = clock_ms();

	if (contest_is_rapid(r, now_ms))
		books_set_flight(r, RECORD_REST, now_ms + CONTESTED_PAUSE_MS);
	else
		books_set_flight(r, RECORD_QUEUED, 0);
}

/* Wakes the clock soon while something is due or held up. */
static void arm_clock(struct controller *ctl)
{
	const struct timeval tv = { 0, CLOCK_MS * 1000 };

	if ((ctl->due || ctl->queue) && ctl->leading && !evtimer_pending(ctl->clock, NULL))
		evtimer_add(ctl->clock, &tv);
}

void writer_run(struct controller *ctl)
{
	while (ctl->queue && ctl->n_in_flight < CONTROLLER_PATCHES_IN_FLIGHT && term_may_write(ctl))
		send_patch(ctl->queue);
	arm_clock(ctl);
}

/* ---- what is due ---- */

static void looked(int status, struct json_object *obj, const struct err *e, void *arg)
{
	struct record *r = arg;
	struct json_object *meta =
		obj ? kube_json_get(obj, "metadata", json_type_object, NULL) : NULL;
	const char *version = meta ? kube_json_str(meta, "resourceVersion", NULL) : NULL;

	(void)e;
	r->request_under_way = NULL;
	if (status == 200 && version && !strcmp(version, r->version)) {
		/* It never took effect and, as long as it might have, has not. */
		if (r->n_in_vain < IN_VAIN_MAX)
			r->n_in_vain++;
		if (r->n_in_vain == IN_VAIN_MAX)
			write_refused(r, r->failure);
		else
			wake(r);
		return;
	}
	/* Changed or gone: the informer will say how.  Not reachable: later. */
	books_set_flight(r, RECORD_DOUBT, clock_ms() + LOOK_AGAIN_MS);
	arm_clock(r->ctl);
}

static void look(struct record *r, int64_t now_ms)
{
	cleanup(buf_fini) struct buf path = BUF_INIT;

	buf_printf(&path, "/api/v1/namespaces/%s/services/%s", r->namespace, r->name);
	const struct kube_request_spec spec = { .method = "GET", .path = buf_str(&path) };
	books_set_flight(r, RECORD_DOUBT, now_ms + LOOK_LOST_MS);
	r->request_under_way = kube_request_start(r->ctl->client, &spec, looked, r);
}

/* Looks at doubtful records, tries refused ones again. */
static void look_at_due(struct controller *ctl, int64_t now_ms)
{
	struct record *r, *next;

	DL_FOREACH_SAFE(ctl->due, r, next) {
		if (r->due_ms > now_ms || r->request_under_way)
			continue;
		if (r->flight == RECORD_DOUBT)
			look(r, now_ms);
		else
			wake(r);
	}
	writer_run(ctl);
}

static void on_clock(evutil_socket_t fd, short what, void *arg)
{
	struct controller *ctl = arg;

	(void)fd;
	(void)what;
	if (ctl->leading)
		look_at_due(ctl, clock_ms());
}

/*
 * Policies and permissions change without a trace in the Services: what was refused is tried again
 * now and then.
 */
static void on_second_try(evutil_socket_t fd, short what, void *arg)
{
	struct controller *ctl = arg;

	(void)fd;
	(void)what;
	for (struct record *r = ctl->records; r && ctl->leading; r = r->hh.next)
		if (record_is_refused(r)) {
			record_forget_refusal(r);
			books_mark(r);
		}
}

int writer_start(struct controller *ctl)
{
	ctl->clock = evtimer_new(ctl->base, on_clock, ctl);
	ctl->second_try = evtimer_new(ctl->base, on_second_try, ctl);
	return ctl->clock && ctl->second_try ? 0 : -1;
}

void writer_free(struct controller *ctl)
{
	if (ctl->clock)
		event_free(ctl->clock);
	if (ctl->second_try)
		event_free(ctl->second_try);
}
