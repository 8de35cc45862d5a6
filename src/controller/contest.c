/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two load balancers on one Service.  If another program writes the addresses of a status that is
 * ours to write, we write ours again, but not at the speed of the network, and name the program:
 * the operator has to stop one of the two, and has to know about it.  What the other one wrote is
 * judged like any status: an address in one of our pools is kept.
 *
 * A second load balancer, as a second Fairlead by mistake, contests every Service.  Each says so in
 * its condition, but only the first gets an Event; one on the ConfigMap says how many there are,
 * repeatedly while it lasts.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include <event2/event.h>

#include "controller/books.h"
#include "controller/contest.h"
#include "controller/tell.h"
#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

/* After so many writes to one status, each so soon after the previous one, there is a pause. */
#define RAPID_MS 1000
#define RAPID_MAX 10
/*
 * Each kind gets one Event in that time; and after that much silence a status is no longer
 * contested.
 */
#define TELL_AGAIN_MS 600000
/* Contested ones are counted that long after the first, and as often. */
#define COUNT_MS 10000

static bool is_due(int64_t told_ms, int64_t now_ms)
{
	return !told_ms || now_ms - told_ms >= TELL_AGAIN_MS;
}

static void count_soon(struct controller *ctl)
{
	static const struct timeval soon = { COUNT_MS / 1000, 0 };

	if (!evtimer_pending(ctl->contest, NULL))
		evtimer_add(ctl->contest, &soon);
}

static void tell(struct record *r, const char *what, const char *writer)
{
	struct controller *ctl = r->ctl;
	char note[IPAM_MESSAGE_SIZE];
	int64_t now_ms = clock_ms();

	if (!r->contested_ms) {
		free(r->contested_by);
		r->contested_by = xstrdup_null(writer);
	}
	r->contested_ms = now_ms;
	count_soon(ctl);
	if (!is_due(ctl->contest_told_ms, now_ms))
		return;
	ctl->contest_told_ms = now_ms;
	snprintf(note, sizeof(note), "%s by %.128s", what, record_contender(r));
	log_warn("others write the status", KV_S("service", r->key), KV_S("detail", note));
	tell_event_of(r, true, REASON_StatusContested, "Allocate", note);
}

void contest_overwritten(struct record *r, const char *what, const char *writer)
{
	r->ctl->stats.contested++;
	tell(r, what, writer);
}

bool contest_is_rapid(struct record *r, int64_t now_ms)
{
	r->n_rapid = now_ms - r->written_ms < RAPID_MS ? r->n_rapid + 1 : 0;
	r->written_ms = now_ms;
	if (r->n_rapid < RAPID_MAX)
		return false;
	r->n_rapid = 0;
	tell(r, "the status is changed again and again", NULL);
	return true;
}

/* ---- all of them ---- */

static void tell_all(struct controller *ctl, const struct record *const example[2], size_t n,
                     int64_t now_ms)
{
	char note[IPAM_MESSAGE_SIZE];

	ctl->contests_told_ms = now_ms;
	snprintf(
		note, sizeof(note),
		"the statuses of %zu Services, %.140s and %.140s among them, are written by others "
		"as well",
		n, example[0]->key, example[1]->key);
	log_warn("others write statuses", KV_I("services", n), KV_S("detail", note));
	tell_event(ctl, "ConfigMap", ctl->namespace, ctl->opts.config_map, ctl->config.admin.uid,
	           true, REASON_StatusContested, "Allocate", note);
}

static void on_count(evutil_socket_t fd, short what, void *arg)
{
	struct controller *ctl = arg;
	const struct record *example[2];
	int64_t now_ms = clock_ms();
	bool lasts = false;
	size_t n = 0; /* since that was last told */

	(void)fd;
	(void)what;
	for (struct record *r = ctl->records; r && ctl->leading; r = r->hh.next) {
		if (!r->contested_ms)
			continue;
		if (now_ms - r->contested_ms >= TELL_AGAIN_MS) {
			r->contested_ms = 0;
			books_mark(r); /* the condition no longer says so */
			continue;
		}
		lasts = true;
		if (r->contested_ms < ctl->contests_told_ms)
			continue;
		if (n < ARRAY_LEN(example))
			example[n] = r;
		n++;
	}
	if (n > 1 && is_due(ctl->contests_told_ms, now_ms))
		tell_all(ctl, example, n, now_ms);
	if (lasts)
		count_soon(ctl);
}

int contest_start(struct controller *ctl)
{
	ctl->contest = evtimer_new(ctl->base, on_count, ctl);
	return ctl->contest ? 0 : -1;
}

void contest_free(struct controller *ctl)
{
	if (ctl->contest)
		event_free(ctl->contest);
}
