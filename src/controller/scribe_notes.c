/* SPDX-License-Identifier: Apache-2.0 */
/* What goes into the journal, and when; it waits in the queue. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "controller/scribe_private.h"
#include "fairlead/clock.h"
#include "fairlead/journal.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

#define PAUSE_MS 10000 /* between two writes: each rewrites a whole ConfigMap */
#define MARGIN_MS (INT64_C(48) * 3600 * 1000)
#define LOST_LOOK_MS 3600000 /* who has something all the same is found then */
#define DAY_US (INT64_C(86400) * 1000000)

int scribe_days(const struct controller *ctl)
{
	return ctl->config.in_force ? ctl->config.in_force->journal.days : 0;
}

/* Entries that are older are dropped. */
int64_t scribe_oldest_us(const struct controller *ctl)
{
	return clock_wall_us() - scribe_days(ctl) * DAY_US;
}

int64_t scribe_margin_ms(const struct controller *ctl)
{
	int64_t half_ms = scribe_days(ctl) * (DAY_US / 1000) / 2;

	return half_ms < MARGIN_MS ? half_ms : MARGIN_MS;
}

/* ---- the queue ---- */

void scribe_arm(struct controller *ctl, int64_t ms)
{
	const struct timeval tv = { ms / 1000, ms % 1000 * 1000 };
	struct scribe *s = ctl->scribe;

	if (evtimer_pending(s->timer, NULL) && s->due_ms <= clock_ms() + ms)
		return;
	s->due_ms = clock_ms() + ms;
	evtimer_add(s->timer, &tv);
}

void scribe_arm_write(struct controller *ctl)
{
	const struct scribe *s = ctl->scribe;
	int64_t wait_ms = s->written_ms ? s->written_ms + PAUSE_MS - clock_ms() : 0;

	if (s->state == SCRIBE_READY && !s->request &&
	    (s->queue.size || s->dropped || scribe_any_lost(s)))
		scribe_arm(ctl, wait_ms > SCRIBE_SOON_MS ? wait_ms : SCRIBE_SOON_MS);
}

bool scribe_any_old(const struct scribe *s)
{
	for (size_t i = 0; i < JOURNAL_MAPS; i++)
		if (s->maps[i].is_old)
			return true;
	return false;
}

void scribe_arm_look(struct controller *ctl)
{
	int64_t wait_ms = ctl->scribe->look_ms - clock_ms();

	if (scribe_any_old(ctl->scribe) || wait_ms < SCRIBE_SOON_MS)
		wait_ms = SCRIBE_SOON_MS;
	scribe_arm(ctl, wait_ms);
}

bool scribe_is_look_due(const struct scribe *s)
{
	return clock_ms() >= s->look_ms;
}

void scribe_look_within(struct controller *ctl, int64_t ms)
{
	struct scribe *s = ctl->scribe;

	if (s->find_ms <= clock_ms() + ms)
		return;
	s->find_ms = clock_ms() + ms;
	if (s->look_ms > s->find_ms)
		s->look_ms = s->find_ms;
	if (s->state == SCRIBE_READY)
		scribe_arm_look(ctl);
}

void scribe_save_soon(struct controller *ctl)
{
	ctl->scribe->saves = true;
	ctl->scribe->look_ms = clock_ms() + SCRIBE_SOON_MS;
	scribe_arm_look(ctl);
}

void scribe_enter(struct controller *ctl, struct journal_entry *e)
{
	struct scribe *s = ctl->scribe;

	e->time_us = clock_wall_us();
	e->by = ctl->identity;
	scribe_copy_enter(ctl, e);
	if (s->queue.size > SCRIBE_QUEUE_BYTES_MAX) {
		if (s->dropped++ == 0)
			log_warn("the journal cannot keep up; entries are dropped",
			         KV_S("error", s->error ? s->error : ""));
		ctl->stats.journal_dropped++;
		return;
	}
	if (!scribe_take_share(s, e->service)) {
		ctl->stats.journal_dropped++;
		scribe_look_within(ctl, LOST_LOOK_MS);
		scribe_arm_write(ctl);
		return;
	}
	journal_print(e, &s->queue);
	scribe_arm_write(ctl);
}

void scribe_put_pool(const struct controller *ctl, struct journal_entry *e)
{
	const struct addr *a = e->n ? &e->addrs[0] : e->n_before ? &e->before[0] : NULL;
	const struct config_pool *pool =
		a && ctl->config.in_force ? configuration_pool_of(ctl->config.in_force, a) : NULL;

	e->pool = pool ? pool->name : NULL;
}

_Static_assert(JOURNAL_ADDRS_MAX >= IPAM_STATUS_MAX, "all that a Service has");

size_t scribe_ours(const struct controller *ctl, struct addr *to, const struct addr *from, size_t n)
{
	size_t n_ours = 0;

	for (size_t i = 0; i < n && n_ours < JOURNAL_ADDRS_MAX; i++)
		if (ctl->config.in_force && configuration_pool_of(ctl->config.in_force, &from[i]))
			to[n_ours++] = from[i];
	return n_ours;
}

/*
 * Anybody who may write Services may write the record of external IPs: of these counts what the
 * condition confirms or this leader gave, and the books agree.
 */
static bool is_held(const struct record *r, const struct record_part *p, const struct addr *a)
{
	if (p == &r->lb)
		return true;
	return ipam_holds(r->ctl->ipam, r->external_key, a) &&
	       (addrs_contain(p->request.confirmed, p->request.n_confirmed, a) ||
	        (p->decided && addrs_contain(p->given, p->n_given, a)));
}

size_t scribe_held(const struct record *r, const struct record_part *p, struct addr *to)
{
	struct addr held[IPAM_STATUS_MAX];
	size_t n = 0;

	for (size_t i = 0; r->ctl->ipam && i < p->request.n_held; i++)
		if (is_held(r, p, &p->request.held[i]))
			held[n++] = p->request.held[i];
	return scribe_ours(r->ctl, to, held, n);
}

struct journal_entry scribe_entry_of(const struct record *r, const char *key,
                                     enum journal_event event, const struct addr *addrs, size_t n)
{
	struct journal_entry e = { .event = event,
		                   .service = (char *)(uintptr_t)key,
		                   .uid = r->uid };

	e.n = scribe_ours(r->ctl, e.addrs, addrs, n);
	return e;
}

static bool is_on(const struct controller *ctl)
{
	return ctl->leading && ctl->scribe->state != SCRIBE_OFF;
}

void scribe_note_written(struct record *r, const struct record_part *p, const char *key)
{
	struct controller *ctl = r->ctl;
	enum journal_event event = p->action == IPAM_MOVE      ? JOURNAL_MOVED
	                           : p->action == IPAM_RELEASE ? JOURNAL_RELEASED
	                                                       : JOURNAL_ASSIGNED;

	if (!is_on(ctl) ||
	    (p->action != IPAM_ASSIGN && p->action != IPAM_MOVE && p->action != IPAM_RELEASE))
		return;
	struct journal_entry e = scribe_entry_of(r, key, event, p->want, p->n_want);
	for (size_t i = 0; i < p->n_given; i++)
		if (!addrs_contain(p->want, p->n_want, &p->given[i]))
			e.n_before += scribe_ours(ctl, &e.before[e.n_before], &p->given[i], 1);
	/* A record that somebody wrote by hand is taken out: that was nobody's. */
	if (p == r->external && e.n + e.n_before + p->request.n_confirmed == 0)
		return;
	e.reason = (char *)(uintptr_t)reason_name(p->reason);
	scribe_put_pool(ctl, &e);
	scribe_enter(ctl, &e);
}

void scribe_note_changed(struct record *r, const struct addr *before, size_t n_before)
{
	const struct ipam_request *q = &r->lb.request;
	struct controller *ctl = r->ctl;

	if (!is_on(ctl))
		return;
	struct journal_entry e = scribe_entry_of(r, r->key, JOURNAL_CHANGED, q->held, q->n_held);
	e.n_before = scribe_ours(ctl, e.before, before, n_before);
	if (addrs_same_set(e.addrs, e.n, e.before, e.n_before))
		return;
	scribe_put_pool(ctl, &e);
	scribe_enter(ctl, &e);
}

static void note_gone(struct record *r, const struct record_part *p, const char *key)
{
	struct controller *ctl = r->ctl;

	if (!p)
		return;
	struct journal_entry e = scribe_entry_of(r, key, JOURNAL_DELETED, NULL, 0);
	e.n_before = scribe_held(r, p, e.before);
	if (e.n_before == 0)
		return;
	scribe_put_pool(ctl, &e);
	scribe_enter(ctl, &e);
}

void scribe_note_gone(struct record *r)
{
	if (!is_on(r->ctl))
		return;
	note_gone(r, &r->lb, r->key);
	note_gone(r, r->external, r->external_key);
}
