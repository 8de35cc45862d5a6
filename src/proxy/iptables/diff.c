/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plane that is writing is waited for; and if it wrote while iptables-save read, it is read
 * again.  A node that never comes to rest is told as it is, with what is pending.
 */
#include "config.h"

#include "proxy/iptables/diff.h"

#include <stdlib.h>

#include <event2/event.h>

#include "fairlead/limits.h"
#include "fairlead/mem.h"
#include "proxy/iptables/compare.h"
#include "proxy/iptables/native.h"
#include "proxy/iptables/plane_private.h"
#include "proxy/report.h"

#define DIFF_PROGRAM_MS 6000

_Static_assert(PROXY_HALVES *(DIFF_PROGRAM_MS + REPORT_RESTS_MAX * REPORT_REST_MS) <
                       LIMIT_HTTP_DUMP_MS,
               "who waits must not give up before");

struct diff {
	struct event_base *base;
	struct plane *planes[PROXY_HALVES];
	size_t at;
	unsigned int rests; /* of this family */
	uint64_t written;   /* by the plane, when reading began */
	struct child *child;
	struct event *next;
	struct compare *compare;
	struct report report;
};

static void wait_for(struct diff *d, int ms)
{
	plane_arm(d->next, ms);
}

static struct plane *plane(const struct diff *d)
{
	return d->planes[d->at];
}

static uint64_t batches(const struct plane *p)
{
	return p->stats.batches + p->stats.failures;
}

static bool has_adopted(const struct plane *p)
{
	return p->state == PLANE_IDLE || p->state == PLANE_WRITING || p->state == PLANE_AUDITING;
}

static bool is_at_rest(const struct plane *p)
{
	return p->state != PLANE_WRITING && model_is_settled(p->model);
}

/* ---- one family ---- */

static void begin_family(struct diff *d, const char *state, const char *error)
{
	const struct plane *p = plane(d);

	report_family_begin(&d->report, p->family, state, error, is_at_rest(p),
	                    model_stats(p->model).n_pending);
}

static void end_family(struct diff *d)
{
	report_family_end(&d->report);
	compare_free(TAKE(d->compare));
	d->rests = 0;
	d->at++;
	wait_for(d, 0);
}

static void tell(struct diff *d, const char *state, const char *error)
{
	begin_family(d, state, error);
	end_family(d);
}

static void put_finding(const struct report_finding *f, void *arg)
{
	struct diff *d = arg;

	report_find(&d->report, f);
}

static void compare_more(struct diff *d)
{
	if (compare_step(d->compare, MODEL_ADOPT_CHAINS, put_finding, d))
		wait_for(d, 0);
	else
		end_family(d);
}

/* ---- reading ---- */

static void on_output(const char *data, size_t size, void *arg)
{
	const struct diff *d = arg;

	compare_feed(d->compare, data, size);
}

/* Whether it wrote meanwhile: then what was read may be of before, in part. */
static bool has_moved(const struct diff *d)
{
	return !is_at_rest(plane(d)) || batches(plane(d)) != d->written;
}

static void on_done(const struct child_result *r, void *arg)
{
	struct diff *d = arg;
	struct err e = ERR_INIT;

	d->child = NULL;
	if (!r->exited || r->code != 0) {
		tell(d, "failed", r->exited ? r->errors : "killed, or took too long");
		return;
	}
	if (native_complete(plane(d)->family, compare_end(d->compare), &e) < 0) {
		tell(d, "failed", e.msg);
		return;
	}
	if (has_moved(d) && d->rests < REPORT_RESTS_MAX) {
		compare_free(TAKE(d->compare));
		d->rests++;
		wait_for(d, REPORT_REST_MS);
		return;
	}
	begin_family(d, "compared", NULL);
	compare_more(d);
}

static void read_family(struct diff *d)
{
	static const struct child_ops ops = { .output = on_output, .done = on_done };
	const struct plane *p = plane(d);

	const char *const argv[] = { p->v->save[variant_index(p->family)], NULL };
	struct err e = ERR_INIT;

	d->compare = compare_new(p->model);
	d->written = batches(p);
	if (child_start(d->base, argv, NULL, DIFF_PROGRAM_MS, &ops, d, &d->child, &e) < 0)
		tell(d, "failed", e.msg);
}

static void go_on(struct diff *d)
{
	const struct plane *p = plane(d);

	if (d->compare)
		compare_more(d);
	else if (p->state == PLANE_ABSENT)
		tell(d, "absent", *p->last_error ? p->last_error : NULL);
	else if (has_adopted(p) && (is_at_rest(p) || d->rests >= REPORT_RESTS_MAX))
		read_family(d);
	else if (d->rests++ < REPORT_RESTS_MAX)
		wait_for(d, REPORT_REST_MS);
	else
		tell(d, "busy", NULL);
}

/* ---- both ---- */

static void on_next(evutil_socket_t fd, short what, void *arg)
{
	struct diff *d = arg;

	(void)fd;
	(void)what;
	if (d->at < PROXY_HALVES) {
		go_on(d);
		return;
	}
	report_end(&d->report, NULL);
	diff_cancel(d);
}

struct diff *diff_start(struct event_base *base, struct plane *const *planes,
                        void (*done)(struct buf *text, void *arg), void *arg)
{
	struct diff *d = xcalloc(1, sizeof(*d));

	d->base = base;
	report_init(&d->report, "iptables", done, arg);
	for (size_t i = 0; i < PROXY_HALVES; i++)
		d->planes[i] = planes[i];
	d->next = evtimer_new(base, on_next, d);
	wait_for(d, 0);
	return d;
}

void diff_cancel(struct diff *d)
{
	if (!d)
		return;
	child_abandon(d->child);
	event_free(d->next);
	compare_free(d->compare);
	report_fini(&d->report);
	free(d);
}
