/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The turn: every record that changed since the last one is decided, in the order of creation, and
 * those whose status is not what it should be go to the writer.  Statuses are adopted as they come
 * in, so that a Service that holds an address has it before any waiting one is looked at.  Of those
 * that wait, none is decided before an earlier one whose last write has yet to settle.
 */
#include "config.h"

#include <stdlib.h>

#include <event2/event.h>
#include <utlist.h>

#include "controller/assign.h"
#include "controller/books.h"
#include "controller/cooling.h"
#include "controller/machines.h"
#include "controller/namespaces.h"
#include "controller/retain.h"
#include "controller/tell.h"
#include "controller/uninstall.h"
#include "controller/writer.h"
#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/turn.h"

/* for which a Service lets an earlier one go first, and how often it asks */
#define PATIENCE_MS 1000
#define ASK_MS 20

/*
 * If no patch shows a refusal (a status that is left alone), log and Event do, once, and not for
 * what was already there.
 */
static void tell(struct record *r, const struct record_part *p, const char *key)
{
	struct controller *ctl = r->ctl;

	if (p->action != IPAM_FAIL)
		return;
	log_warn("no address", KV_S("service", key), KV_S("reason", reason_name(p->reason)),
	         KV_S("detail", p->message), KV_S("holder", p->holder));
	if (!ctl->taking_over)
		tell_event_of(r, true, p->reason, "Allocate", p->message);
}

/*
 * A Service that names addresses of pools without being allowed to gets an Event, also where it is
 * otherwise left alone.
 */
static void tell_squatting(struct record *r)
{
	struct controller *ctl = r->ctl;
	const struct record_part *p = r->external;

	if ((p->reason != REASON_ExternalIpNotAllowed && !p->hands_off) || ctl->taking_over ||
	    ipam_n_squatted(ctl->ipam, r->external_key) == 0)
		return;
	log_warn("external IPs of a pool written by hand", KV_S("service", r->key),
	         KV_S("detail", p->message));
	tell_event_of(r, true, REASON_ExternalIpNotAllowed, "Judge", p->message);
}

static void decide(struct record *r)
{
	struct controller *ctl = r->ctl;

	int64_t now_ms = clock_ms();

	ctl->stats.decisions++;
	uninstall_request(r);
	retain_request(r, now_ms);
	struct turn_outcome t = turn_decide(ctl->ipam, r, &ctl->server);
	retain_decided(r, now_ms);
	uninstall_explain(r);
	books_set_waiting(r, t.waits);
	if (record_writes(t.write))
		writer_queue(r);
	if (t.news && !t.write.ingress && !t.write.condition)
		tell(r, &r->lb, r->key);
	if (t.external_news && !t.write.external_ips && !t.write.external_condition)
		tell(r, r->external, r->external_key);
	if (t.external_news)
		tell_squatting(r);
}

/*
 * The first waiting Service that cannot be decided before the answer to a write, or the watch, has
 * come: what became free may be for that one.
 */
static void find_held_up(struct record *r, void *arg)
{
	const struct record **first = arg;

	if (r->dirty && (r->flight == RECORD_PATCHING || r->awaits) &&
	    (!*first || turn_is_earlier(r, *first)))
		*first = r;
}

/* Only for a moment: other Services may always have a write under way. */
static bool gives_way(struct record *r, const struct record *first, int64_t now_ms)
{
	if (!first || !(waiting_has(r) || turn_has_none(r)) || !turn_is_earlier(first, r)) {
		r->behind_ms = 0;
		return false;
	}
	if (!r->behind_ms)
		r->behind_ms = now_ms;
	if (now_ms - r->behind_ms < PATIENCE_MS)
		return true;
	r->behind_ms = 0;
	return false;
}

/* Those that are to be decided now; the rest stays on the list. */
static size_t take_dirty(struct controller *ctl, struct record **order)
{
	const struct record *first = NULL;
	int64_t now_ms = clock_ms();
	struct record *r, *next;
	size_t n = 0;

	waiting_each(&ctl->waiting, find_held_up, &first);
	DL_FOREACH_SAFE(ctl->dirty, r, next) {
		if (gives_way(r, first, now_ms))
			continue;
		order[n++] = r;
		r->dirty = false;
		books_set_flight(r, RECORD_IDLE, 0);
	}
	return n;
}

void assign_turn(struct controller *ctl)
{
	static const struct timeval soon = { 0, ASK_MS * 1000 };
	struct record *r, **order;
	size_t n = 0;

	/* A configuration on its way to be published comes first, and what it has to know. */
	if (!ctl->leading || ctl->stopping || !ctl->ipam || !ctl->dirty || ctl->config.write ||
	    ctl->uninstall == CONTROLLER_KEEPS || namespaces_are_awaited(ctl))
		return;
	machines_see_api_server(ctl);
	books_tell_time(ctl);
	ctl->stats.turns++;
	DL_COUNT(ctl->dirty, r, n);
	order = xcalloc(n, sizeof(*order));
	n = take_dirty(ctl, order);
	if (ctl->dirty)
		event_add(ctl->turn, &soon);
	turn_sort(order, n);
	turn_adopt_all(ctl->ipam, order, n);
	turn_put_movers_last(order, n);
	for (size_t i = 0; i < n; i++)
		decide(order[i]);
	ctl->taking_over = false;
	if (turn_end(ctl->ipam, order, n))
		books_wake_concerned(ctl);
	cooling_look(ctl);
	free(order);
	writer_run(ctl);
}
