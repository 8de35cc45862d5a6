/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <json-c/json.h>

#include "controller/annotations.h"
#include "controller/books.h"
#include "controller/contest.h"
#include "controller/scribe.h"
#include "controller/services.h"
#include "controller/tell.h"
#include "controller/term.h"
#include "controller/writer.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

/* ---- the informer's side ---- */

static void forget(struct controller *ctl, struct record *r)
{
	scribe_note_gone(r);
	if (r->request_under_way) {
		kube_request_cancel(r->request_under_way);
		ctl->n_in_flight -= r->flight == RECORD_PATCHING;
		if (r->flight == RECORD_PATCHING)
			term_unanswered(ctl);
	}
	books_drop(r);
}

/* The Service has that UID; an earlier one of the name is gone. */
static struct record *record_get(struct controller *ctl, const struct kube_meta *meta)
{
	const char *key = kube_key(meta);
	struct record *r;

	HASH_FIND_STR(ctl->records, key, r);
	if (r && strcmp(r->uid, meta->uid) != 0) {
		forget(ctl, r);
		r = NULL;
	}
	if (!r) {
		r = record_new(ctl, meta);
		HASH_ADD_KEYPTR(hh, ctl->records, r->key, strlen(r->key), r);
	}
	return r;
}

/*
 * An address that a Service has is not given away, even if we do not know what it asks for now.  A
 * write that is under way or in doubt was about another version, and its answer tells nothing about
 * this one; what it would assign stays held with the rest.
 */
static void unreadable(const struct kube_remains *remains, const struct err *why, void *arg)
{
	struct controller *ctl = arg;
	struct record *r = record_get(ctl, &remains->meta);

	books_settle(ctl);
	if (ctl->leading && r->lb.request.wish != IPAM_WISH_UNREADABLE)
		tell_event_of(r, true, REASON_Unreadable, "Allocate", why->msg);
	record_salvage(r, remains);
	books_adopt(ctl, r);
	r->moved = true;
	r->awaits = false;
	if (r->flight == RECORD_PATCHING)
		return; /* its answer ends it */
	if (r->request_under_way)
		kube_request_cancel(TAKE(r->request_under_way));
	books_set_flight(r, RECORD_IDLE, 0);
	if (ctl->leading)
		books_mark(r);
}

/*
 * Annotations without effect are reported once, by the leader, and not those that it found at its
 * start.
 */
static void look_at_annotations(struct record *r, const struct kube_service *s)
{
	struct controller *ctl = r->ctl;
	cleanup(buf_fini) struct buf note = BUF_INIT;
	uint64_t found = 0;

	if (r->lb.request.wish != IPAM_WISH_OTHER &&
	    annotations_ignored(&s->meta.annotations, &note)) {
		buf_mend(note.data);
		found = hash64_str(note.data, 1) | 1;
	}
	if (found == r->ignored)
		return;
	r->ignored = found;
	if (!found || !ctl->leading)
		return;
	log_warn("annotation without effect", KV_S("service", r->key),
	         KV_S("detail", buf_str(&note)));
	tell_event_of(r, true, REASON_AnnotationIgnored, "Allocate", buf_str(&note));
}

static int upsert(struct json_object *obj, void *arg, struct err *e)
{
	struct controller *ctl = arg;
	struct kube_service *s;
	int ret = kube_service_parse(obj, &s, e);

	if (ret < 0)
		return ret;
	struct record *r = record_get(ctl, &s->meta);
	books_settle(ctl);
	bool moved = strcmp(r->version, s->meta.resource_version) != 0;
	const struct record_shown before = record_shown(r);
	books_read(r, s, obj);
	look_at_annotations(r, s);
	kube_service_free(s);

	const char *overwritten = ctl->leading && moved ? record_overwritten(r, &before) : NULL;
	if (overwritten)
		contest_overwritten(r, overwritten,
		                    kube_service_status_writer(obj, CONTROLLER_MANAGER));
	/* What a write under way or in doubt has done is entered when that is known. */
	if (moved && !r->contested_ms && r->flight != RECORD_PATCHING && r->flight != RECORD_DOUBT)
		scribe_note_changed(r, before.held, before.n_held);
	bool echo = r->awaits && !moved;
	r->awaits = false;
	books_adopt(ctl, r);
	if (r->flight == RECORD_PATCHING)
		r->moved |= moved;
	if (moved && r->flight == RECORD_DOUBT) {
		kube_request_cancel(TAKE(r->request_under_way));
		writer_tell_found(r);
		books_set_flight(r, RECORD_IDLE, 0);
	}
	/* What we wrote ourselves and have looked at already is no news. */
	if (ctl->leading && r->flight != RECORD_PATCHING && (!echo || r->dirty))
		books_mark(r);
	return 0;
}

static void removed(const char *namespace, const char *name, const char *uid, void *arg)
{
	struct controller *ctl = arg;
	struct record *r;
	struct kube_meta meta = { .namespace = (char *)(uintptr_t) namespace,
		                  .name = (char *)(uintptr_t)name };
	const char *key = kube_key(&meta);

	HASH_FIND_STR(ctl->records, key, r);
	if (r && (!*uid || !strcmp(r->uid, uid)))
		forget(ctl, r);
}

static void synced(void *arg)
{
	struct controller *ctl = arg;

	if (ctl->elector)
		lease_elector_look_again(ctl->elector);
}

void services_tell_lost(struct controller *ctl)
{
	char note[ERR_MSG_SIZE];

	if (!ctl->n_lost || !ctl->leading)
		return;
	snprintf(note, sizeof(note), "%zu of what the API server sent as Services: %s", ctl->n_lost,
	         reason_sentence(REASON_ServicesLost));
	tell_event(ctl, "ConfigMap", ctl->namespace, ctl->opts.config_map, ctl->config.admin.uid,
	           true, REASON_ServicesLost, "Allocate", note);
}

/*
 * How many Services there may be that cannot be read at all: while it is not 0, nothing new is
 * assigned.
 */
static void lost(size_t n, void *arg)
{
	struct controller *ctl = arg;
	bool was_lost = ctl->n_lost > 0;

	ctl->n_lost = n;
	ctl->server.hides = n > 0;
	if (n > 0 && !was_lost) {
		log_error("Services cannot be made out; nothing new is assigned",
		          KV_I("objects", n));
		services_tell_lost(ctl);
	} else if (n == 0 && was_lost) {
		log_info("all Services can be made out again");
		if (ctl->leading)
			books_wake_waiting(ctl);
	}
}

const struct kube_informer_ops services_ops = {
	.upsert = upsert,
	.remove = removed,
	.synced = synced,
	.unreadable = unreadable,
	.lost = lost,
};
