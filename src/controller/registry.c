/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <json-c/json.h>
#include <utlist.h>

#include "controller/annotations.h"
#include "controller/controller.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/turn.h"

/* ---- lists ---- */

static struct record **list_of(struct controller *ctl, enum record_list list)
{
	switch (list) {
	case RECORD_ON_DIRTY:
		return &ctl->dirty;
	case RECORD_ON_QUEUE:
		return &ctl->queue;
	case RECORD_ON_DUE:
		return &ctl->due;
	case RECORD_NO_LIST:
		break;
	}
	return NULL;
}

static void move_to(struct record *r, enum record_list list)
{
	if (r->on != RECORD_NO_LIST)
		DL_DELETE(*list_of(r->ctl, r->on), r);
	r->on = list;
	if (list != RECORD_NO_LIST)
		DL_APPEND(*list_of(r->ctl, list), r);
}

void registry_set_flight(struct record *r, enum record_flight flight, int64_t due_ms)
{
	r->flight = flight;
	r->due_ms = due_ms;
	switch (flight) {
	case RECORD_QUEUED:
		move_to(r, RECORD_ON_QUEUE);
		break;
	case RECORD_DOUBT:
	case RECORD_BACKOFF:
	case RECORD_REST:
		move_to(r, RECORD_ON_DUE);
		break;
	case RECORD_PATCHING:
		move_to(r, RECORD_NO_LIST);
		break;
	case RECORD_IDLE:
		move_to(r, RECORD_NO_LIST);
		if (r->dirty)
			registry_mark(r);
		break;
	}
}

/* A write whose outcome is open settles first: deciding on a state that may be past could give its address away. */
void registry_mark(struct record *r)
{
	r->dirty = true;
	if (r->flight == RECORD_PATCHING || r->flight == RECORD_DOUBT || r->flight == RECORD_REST ||
	    r->awaits)
		return;
	r->flight = RECORD_IDLE;
	move_to(r, RECORD_ON_DIRTY);
	event_active(r->ctl->turn, 0, 0);
}

void registry_set_waiting(struct record *r, bool waiting)
{
	if (waiting == r->waiting)
		return;
	r->waiting = waiting;
	if (waiting)
		DL_APPEND2(r->ctl->waiting, r, waiting_prev, waiting_next);
	else
		DL_DELETE2(r->ctl->waiting, r, waiting_prev, waiting_next);
}

void registry_wake_waiting(struct controller *ctl)
{
	struct record *r;

	DL_FOREACH2(ctl->waiting, r, waiting_next)
	registry_mark(r);
}

/*
 * Whose object names what became free, has it from now on: the first of them, also where a write to it is under way.  Were that
 * left to the next turn, a later one of which the watch tells before would have it.
 */
void registry_wake_concerned(struct controller *ctl)
{
	struct record *r, **heirs = NULL;
	size_t n = 0, cap = 0;

	retain_freed(ctl);
	DL_FOREACH2(ctl->waiting, r, waiting_next)
	{
		if (!turn_is_concerned(ctl->ipam, r))
			continue;
		registry_mark(r);
		if (!turn_names_any(r))
			continue;
		ARRAY_RESERVE(heirs, cap, n + 1);
		heirs[n++] = r;
	}
	ipam_freed_seen(ctl->ipam);
	if (n > 0) {
		turn_sort(heirs, n);
		turn_adopt_all(ctl->ipam, heirs, n);
	}
	free(heirs);
}

/* ---- books ---- */

/* The books follow the status; an address that is on its way to it stays reserved as long as its patch may take effect. */
void registry_adopt(struct controller *ctl, struct record *r)
{
	if (!ctl->ipam)
		return;
	turn_adopt(ctl->ipam, r);
	if (!ctl->leading)
		turn_settle(ctl->ipam, r, (struct record_write){ .ingress = false });
	else if (turn_let_go(ctl->ipam, r))
		registry_wake_concerned(ctl);
}

void registry_read(struct record *r, const struct kube_service *s, struct json_object *obj)
{
	const struct controller_options *o = &r->ctl->opts;
	const struct record_rules rules = { .class = o->daemon.load_balancer_class,
		                            .external_ips = !strcmp(o->external_ips, "on") };
	struct json_object *meta = kube_json_get(obj, "metadata", json_type_object, NULL);

	record_read(r, s, &rules, kube_json_int(meta, "generation", 0, INT64_MAX, 0, NULL));
}

/* ---- the informer's side ---- */

static void forget(struct controller *ctl, struct record *r)
{
	bool freed = ctl->ipam && ipam_release(ctl->ipam, r->key);
	freed |= ctl->ipam && ipam_release(ctl->ipam, r->external_key);

	if (r->request_under_way) {
		kube_request_cancel(r->request_under_way);
		ctl->n_in_flight -= r->flight == RECORD_PATCHING;
		if (r->flight == RECORD_PATCHING)
			controller_unanswered(ctl);
	}
	move_to(r, RECORD_NO_LIST);
	registry_set_waiting(r, false);
	HASH_DEL(ctl->records, r);
	record_free(r);
	if (freed && ctl->leading)
		registry_wake_concerned(ctl);
}

/* One of that UID; a former Service of the name is gone. */
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
 * An address that a Service has is not given away, though nobody knows what it asks for now.  A write that is under way or in
 * doubt was about another version, and its answer tells nothing of this one; what it would put there stays held with the rest.
 */
static void unreadable(const struct kube_remains *remains, const struct err *why, void *arg)
{
	struct controller *ctl = arg;
	struct record *r = record_get(ctl, &remains->meta);

	if (ctl->leading && r->lb.request.wish != IPAM_WISH_UNREADABLE)
		controller_event_of(r, true, REASON_Unreadable, "Allocate", why->msg);
	record_salvage(r, remains);
	registry_adopt(ctl, r);
	r->moved = true;
	r->awaits = false;
	if (r->flight == RECORD_PATCHING)
		return; /* its answer ends it */
	if (r->request_under_way)
		kube_request_cancel(TAKE(r->request_under_way));
	registry_set_flight(r, RECORD_IDLE, 0);
	if (ctl->leading)
		registry_mark(r);
}

/* Annotations that nobody heeds are told once, by the leader, and not for what it found. */
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
	controller_event_of(r, true, REASON_AnnotationIgnored, "Allocate", buf_str(&note));
}

static int upsert(struct json_object *obj, void *arg, struct err *e)
{
	struct controller *ctl = arg;
	struct kube_service *s;
	int ret = kube_service_parse(obj, &s, e);

	if (ret < 0)
		return ret;
	struct record *r = record_get(ctl, &s->meta);
	bool moved = strcmp(r->version, s->meta.resource_version) != 0;
	const struct record_shown before = record_shown(r);
	registry_read(r, s, obj);
	look_at_annotations(r, s);
	kube_service_free(s);

	const char *overwritten = ctl->leading && moved ? record_overwritten(r, &before) : NULL;
	if (overwritten)
		contest_overwritten(r, overwritten,
		                    kube_service_status_writer(obj, CONTROLLER_MANAGER));
	bool echo = r->awaits && !moved;
	r->awaits = false;
	registry_adopt(ctl, r);
	if (r->flight == RECORD_PATCHING)
		r->moved |= moved;
	if (moved && r->flight == RECORD_DOUBT) {
		kube_request_cancel(TAKE(r->request_under_way));
		writer_tell_found(r);
		registry_set_flight(r, RECORD_IDLE, 0);
	}
	/* What we wrote ourselves and have looked at already is no news. */
	if (ctl->leading && r->flight != RECORD_PATCHING && (!echo || r->dirty))
		registry_mark(r);
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

static void lost(size_t n, void *arg)
{
	controller_lose_sight(arg, n);
}

const struct kube_informer_ops registry_ops = {
	.upsert = upsert,
	.remove = removed,
	.synced = synced,
	.unreadable = unreadable,
	.lost = lost,
};

void registry_free(struct controller *ctl)
{
	struct record *r, *next;

	HASH_ITER(hh, ctl->records, r, next) {
		HASH_DEL(ctl->records, r);
		record_free(r);
	}
	ctl->dirty = ctl->due = ctl->waiting = ctl->queue = NULL;
}
