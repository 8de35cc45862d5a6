/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "controller/books.h"

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <json-c/json.h>
#include <utlist.h>

#include "fairlead/clock.h"
#include "fairlead/mem.h"
#include "fairlead/turn.h"
#include "fairlead/waiting.h"

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

void books_set_flight(struct record *r, enum record_flight flight, int64_t due_ms)
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
			books_mark(r);
		break;
	}
}

void books_schedule(struct controller *ctl)
{
	event_active(ctl->turn, 0, 0);
}

/*
 * A write whose outcome is open settles first: deciding on a state that may be outdated could give
 * its address away.
 */
void books_mark(struct record *r)
{
	r->dirty = true;
	if (r->flight == RECORD_PATCHING || r->flight == RECORD_DOUBT || r->flight == RECORD_REST ||
	    r->awaits)
		return;
	r->flight = RECORD_IDLE;
	move_to(r, RECORD_ON_DIRTY);
	books_schedule(r->ctl);
}

void books_set_waiting(struct record *r, bool waiting)
{
	if (waiting)
		waiting_put(&r->ctl->waiting, r->ctl->ipam, r);
	else
		waiting_remove(&r->ctl->waiting, r);
}

static void mark(struct record *r, void *arg)
{
	(void)arg;
	books_mark(r);
}

void books_wake_waiting(struct controller *ctl)
{
	waiting_each(&ctl->waiting, mark, NULL);
}

/*
 * The first Service whose object names what became free has it from now on, even if a write to it
 * is under way.  Left to the next turn, it could go to a later one that the watch reports first.
 */
void books_wake_concerned(struct controller *ctl)
{
	size_t n, n_heirs = 0;

	ctl->wake = false;
	ctl->calls->freed(ctl);
	cleanup_free struct record **concerned = waiting_concerned(&ctl->waiting, ctl->ipam, &n);
	ipam_freed_seen(ctl->ipam);
	for (size_t i = 0; i < n; i++) {
		books_mark(concerned[i]);
		if (turn_names_any(concerned[i]))
			concerned[n_heirs++] = concerned[i];
	}
	turn_sort(concerned, n_heirs);
	turn_adopt_all(ctl->ipam, concerned, n_heirs);
}

void books_settle(struct controller *ctl)
{
	if (ctl->wake && ctl->leading && ctl->ipam)
		books_wake_concerned(ctl);
	ctl->wake = false;
}

void books_tell_time(struct controller *ctl)
{
	if (!ipam_set_time(ctl->ipam, clock_wall_us() / 1000000) || !ctl->leading)
		return;
	ctl->wake = true;
	books_schedule(ctl);
}

/* ---- books ---- */

/*
 * The books follow the status; an address on its way there stays reserved as long as its patch may
 * take effect.
 */
void books_adopt(struct controller *ctl, struct record *r)
{
	if (!ctl->ipam)
		return;
	if (waiting_has(r))
		waiting_put(&ctl->waiting, ctl->ipam, r);
	books_tell_time(ctl);
	bool concerns = turn_adopt(ctl->ipam, r);
	if (!ctl->leading) {
		turn_settle(ctl->ipam, r, (struct record_write){ .ingress = false });
		ipam_freed_seen(ctl->ipam); /* nobody waits */
	} else if (turn_let_go(ctl->ipam, r) || concerns)
		books_wake_concerned(ctl);
}

void books_drop(struct record *r)
{
	struct controller *ctl = r->ctl;

	if (ctl->ipam)
		books_tell_time(ctl);
	bool freed = ctl->ipam && ipam_release(ctl->ipam, r->key);

	freed |= ctl->ipam && ipam_release(ctl->ipam, r->external_key);
	move_to(r, RECORD_NO_LIST);
	books_set_waiting(r, false);
	HASH_DEL(ctl->records, r);
	record_free(r);
	/* Of many that go at once, each would have all that wait looked at. */
	if (freed && ctl->leading) {
		ctl->wake = true;
		books_schedule(ctl);
	} else if (freed) {
		ipam_freed_seen(ctl->ipam);
	}
}

void books_read(struct record *r, const struct kube_service *s, struct json_object *obj)
{
	const struct controller_options *o = &r->ctl->opts;
	const struct record_rules rules = { .class = o->daemon.load_balancer_class,
		                            .external_ips = !strcmp(o->external_ips, "on") };
	struct json_object *meta = kube_json_get(obj, "metadata", json_type_object, NULL);

	record_read(r, s, &rules, kube_json_int(meta, "generation", 0, INT64_MAX, 0, NULL));
}

/*
 * A leader goes by what the one before has written, too.  Which address was given last says what is
 * read last: until it gives any, that is what the one before has written.
 */
static void take_cooling(struct controller *ctl, const char *cooling)
{
	const char *written = ctl->leading && ctl->cooling.text ? ctl->cooling.text : "";

	if (!ctl->ipam)
		return;
	ipam_read_cooling(ctl->ipam, ctl->taking_over ? cooling : written);
	ipam_read_cooling(ctl->ipam, ctl->taking_over ? written : cooling);
}

void books_rebuild(struct controller *ctl)
{
	cleanup(buf_fini) struct buf cooling = BUF_INIT;

	if (ctl->ipam)
		ipam_print_cooling(ctl->ipam, SIZE_MAX, &cooling);
	books_rebuild_as(ctl, buf_str(&cooling));
}

void books_rebuild_as(struct controller *ctl, const char *cooling)
{
	size_t n = 0;
	struct record **all = xcalloc(HASH_COUNT(ctl->records) + 1, sizeof(*all));

	ipam_free(ctl->ipam);
	ctl->ipam = ctl->config.in_force ? ipam_new(ctl->config.in_force) : NULL;
	if (ctl->ipam) {
		ipam_tell_holders(ctl->ipam, ctl->opts.tell_holders);
		ipam_set_time(ctl->ipam, clock_wall_us() / 1000000);
		ctl->calls->fill(ctl);
	}
	for (struct record *r = ctl->records; r; r = r->hh.next)
		all[n++] = r;
	/* If two Services hold one address, the earlier one has it. */
	turn_sort(all, n);
	if (ctl->ipam)
		turn_adopt_all(ctl->ipam, all, n);
	for (size_t i = 0; i < n; i++) {
		struct record *r = all[i];
		/* What may still take effect stays reserved. */
		if (ctl->ipam && (r->flight == RECORD_PATCHING || r->flight == RECORD_DOUBT))
			turn_reserve(ctl->ipam, r);
		record_forget_refusal(r);
		r->may_move = false; /* as the pools were then */
		if (ctl->leading)
			books_mark(r);
	}
	take_cooling(ctl, cooling);
	free(all);
}

void books_free(struct controller *ctl)
{
	struct record *r, *next;

	HASH_ITER(hh, ctl->records, r, next) {
		HASH_DEL(ctl->records, r);
		waiting_remove(&ctl->waiting, r);
		record_free(r);
	}
	ctl->dirty = ctl->due = ctl->queue = NULL;
}
