/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Edits of the pools and the addresses in use.
 *
 * What is published says, beside the administrator's text, which addresses in use that text leaves
 * without a pool, and how they were announced; speakers go on as before.  It is printed from what
 * is in force, retained ones included, and from what Services hold: so it survives restarts and
 * further edits, is dropped when the address is free, and becomes a pool's again when the range
 * comes back.
 *
 * A pool with renumber takes such Services in, one every RENUMBER_MS: the new address is put before
 * the old one, and HANDOVER_MS later the old one is given up.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "controller/books.h"
#include "controller/retain.h"
#include "fairlead/clock.h"
#include "fairlead/edit.h"
#include "fairlead/mem.h"

#define RENUMBER_MS 250
#define HANDOVER_MS 10000
#define FREED_MS 2000

/* ---- an edit ---- */

void retain_print(const struct controller *ctl, const struct configuration *next, struct buf *out)
{
	struct edit edit = { .now = ctl->config.in_force, .next = next };

	if (!edit.now || !next)
		return;
	for (const struct record *r = ctl->records; r; r = r->hh.next)
		edit_retain(&edit, r);
	edit_print_retained(&edit, out);
	edit_fini(&edit);
}

struct retain_effect retain_effect_of(const struct controller *ctl,
                                      const struct configuration *next)
{
	const struct edit edit = { .now = ctl->config.in_force, .next = next };
	struct retain_effect found = { 0 };

	if (!edit.now || !next)
		return found;
	for (const struct record *r = ctl->records; r; r = r->hh.next) {
		struct edit_effect effect = edit_effect_on(&edit, r);
		found.n_retained += effect.orphans;
		if (effect.silences && found.n_silenced++ == 0)
			found.silenced = xstrdup(r->key);
	}
	return found;
}

/* ---- what becomes free ---- */

static void arm(struct event *ev, int64_t ms)
{
	const struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	if (!evtimer_pending(ev, NULL))
		evtimer_add(ev, &tv);
}

void retain_freed(struct controller *ctl)
{
	const struct config_state *cs = &ctl->config;

	if (ctl->leading && cs->in_force && (cs->in_force->n_retained > 0 || cs->oversized))
		arm(ctl->retain, FREED_MS);
}

static void on_freed(evutil_socket_t fd, short what, void *arg)
{
	struct controller *ctl = arg;

	(void)fd;
	(void)what;
	ctl->calls->republish(ctl);
}

/* ---- renumbering ---- */

void retain_request(struct record *r, int64_t now_ms)
{
	r->lb.request.renumber =
		r->ctl->may_renumber ? IPAM_RENUMBER_OVERLAPPING : IPAM_RENUMBER_LATER;
	r->lb.request.hands_over = r->handover_ms > now_ms;
	if (r->external)
		r->external->request.renumber = r->lb.request.renumber;
}

static bool waits(const struct record_part *p)
{
	return p && p->decided && p->renumbers && p->action != IPAM_MOVE;
}

void retain_decided(struct record *r, int64_t now_ms)
{
	struct controller *ctl = r->ctl;
	bool lb = r->lb.renumbers && r->lb.action == IPAM_MOVE;
	bool external = r->external && r->external->renumbers && r->external->action == IPAM_MOVE;

	if (lb)
		r->handover_ms = now_ms + HANDOVER_MS;
	else if (r->handover_ms <= now_ms)
		r->handover_ms = 0;
	if (lb || external)
		ctl->may_renumber = false;
	if (r->handover_ms || waits(&r->lb) || waits(r->external))
		arm(ctl->renumber, RENUMBER_MS);
}

static void on_renumber(evutil_socket_t fd, short what, void *arg)
{
	struct controller *ctl = arg;
	int64_t now_ms = clock_ms();
	bool pending = false;

	(void)fd;
	(void)what;
	ctl->may_renumber = false;
	for (struct record *r = ctl->records; r && ctl->leading; r = r->hh.next) {
		bool ends = r->handover_ms && r->handover_ms <= now_ms;
		bool next = !ctl->may_renumber && (waits(&r->lb) || waits(r->external)) &&
		            r->flight == RECORD_IDLE && !r->dirty;
		ctl->may_renumber |= next;
		if (ends || next)
			books_mark(r);
		pending |= r->handover_ms || waits(&r->lb) || waits(r->external);
	}
	if (pending)
		arm(ctl->renumber, RENUMBER_MS);
}

int retain_start(struct controller *ctl)
{
	ctl->renumber = evtimer_new(ctl->base, on_renumber, ctl);
	ctl->retain = evtimer_new(ctl->base, on_freed, ctl);
	return ctl->renumber && ctl->retain ? 0 : -1;
}

void retain_free(struct controller *ctl)
{
	if (ctl->renumber)
		event_free(ctl->renumber);
	if (ctl->retain)
		event_free(ctl->retain);
}
