/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Edits of the pools and the addresses in use.
 *
 * Besides the administrator's text, the publication lists the addresses in use that this text
 * leaves without a pool, and how they were announced; speakers go on as before.  It is printed from
 * what is in force, retained ones included, and from what Services hold: so it survives restarts
 * and further edits, is dropped when the address is free, and belongs to a pool again when the
 * range comes back.
 *
 * A pool with renumber takes such Services in, one every RENUMBER_MS, when no Service is left that
 * could have the address and has none (turn.h): the new address is put before the old one, and
 * HANDOVER_MS later the old one is given up.
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
#include "fairlead/turn.h"

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

/* That uses the books up, so they are made anew. */
static void foresee(struct controller *ctl, struct record *const *records, size_t n,
                    struct edit_fate *fates)
{
	cleanup(buf_fini) struct buf cooling = BUF_INIT;

	if (!ctl->ipam)
		return;
	ipam_print_cooling(ctl->ipam, SIZE_MAX, &cooling);
	edit_foresee(ctl->ipam, records, n, fates);
	books_rebuild_as(ctl, buf_str(&cooling));
}

static bool was_retained(const struct record_part *p)
{
	return p && (!p->decided || p->reason == REASON_Retained);
}

/*
 * Also what keeps its pool, if that is for others now, excludes it or reserves it: then the
 * decision before was another one.
 */
static bool retains(const struct record *r, const struct edit_effect *effect,
                    const struct edit_fate *fate)
{
	bool news = !was_retained(&r->lb) && !was_retained(r->external);

	return (effect->orphans && (!fate->moves || fate->stays)) || (fate->stays && news);
}

struct retain_effect retain_effect_of(struct controller *ctl, const struct configuration *was,
                                      const struct configuration *next)
{
	const struct edit edit = { .now = was, .next = next };
	struct retain_effect found = { 0 };
	size_t n = HASH_COUNT(ctl->records), i = 0;

	if (!edit.now || !next)
		return found;
	cleanup_free struct record **records = xcalloc(n + 1, sizeof(*records));
	cleanup_free struct edit_fate *fates = xcalloc(n + 1, sizeof(*fates));
	for (struct record *r = ctl->records; r; r = r->hh.next)
		records[i++] = r;
	turn_sort(records, n);
	foresee(ctl, records, n, fates);
	for (i = 0; i < n; i++) {
		struct edit_effect effect = edit_effect_on(&edit, records[i]);
		found.n_moving += fates[i].moves;
		found.n_retained += retains(records[i], &effect, &fates[i]);
		if (effect.silences && found.n_silenced++ == 0)
			found.silenced = xstrdup(records[i]->key);
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
	turn_request_move(r, IPAM_RENUMBER_OVERLAPPING);
	r->lb.request.hands_over = r->handover_ms > now_ms;
}

void retain_decided(struct record *r, int64_t now_ms)
{
	if (r->lb.renumbers && r->lb.action == IPAM_MOVE)
		r->handover_ms = now_ms + HANDOVER_MS;
	else if (r->handover_ms <= now_ms)
		r->handover_ms = 0;
	if (r->handover_ms || turn_awaits_move(r))
		arm(r->ctl->renumber, RENUMBER_MS);
}

/*
 * The first Service that is to move.  NULL: none; or one without an address is to be decided again
 * as soon as the answer to a write is in, and what is free may be for that one.
 */
static struct record *next_mover(const struct controller *ctl)
{
	struct record *first = NULL;

	for (struct record *r = ctl->records; r; r = r->hh.next) {
		if (r->dirty && r->flight != RECORD_REST && turn_has_none(r))
			return NULL;
		if (turn_awaits_move(r) && r->flight == RECORD_IDLE && !r->dirty &&
		    (!first || turn_is_earlier(r, first)))
			first = r;
	}
	return first;
}

static void on_renumber(evutil_socket_t fd, short what, void *arg)
{
	struct controller *ctl = arg;
	struct record *mover = ctl->leading ? next_mover(ctl) : NULL;
	int64_t now_ms = clock_ms();
	bool pending = false;

	(void)fd;
	(void)what;
	if (mover)
		mover->may_move = true;
	for (struct record *r = ctl->records; r && ctl->leading; r = r->hh.next) {
		bool ends = r->handover_ms && r->handover_ms <= now_ms;
		if (ends || r == mover)
			books_mark(r);
		pending |= r->handover_ms || turn_awaits_move(r);
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
