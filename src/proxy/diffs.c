/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/diffs.h"

#include <stdlib.h>

#include <event2/event.h>
#include <utlist.h>

#include "fairlead/mem.h"

struct proxy_diff {
	struct proxy_diff *prev, *next;
	struct diffs *all; /* NULL: the backend has stopped */
	const struct backend *b;
	void *job;          /* the backend's; NULL: it is over */
	struct event *over; /* it cannot be told any more */
	void (*done)(struct buf *text, void *arg);
	void *arg;
};

static void on_compared(struct buf *text, void *arg)
{
	struct proxy_diff *d = arg;

	d->job = NULL;
	d->done(text, d->arg);
	proxy_diff_cancel(d);
}

static void on_over(evutil_socket_t fd, short what, void *arg)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;

	(void)fd;
	(void)what;
	const struct proxy_diff *d = arg;

	buf_printf(&text,
	           "{\"mode\":\"%s\",\"error\":\"the speaker stopped carrying traffic meanwhile\","
	           "\"families\":[]}",
	           d->b->name);
	on_compared(&text, arg);
}

static void end(struct proxy_diff *d)
{
	static const struct timeval now = { 0, 0 };

	evtimer_add(d->over, &now);
}

struct proxy_diff *diffs_start(struct diffs *all, const struct backend *b, void *self,
                               struct event_base *base, void (*done)(struct buf *text, void *arg),
                               void *arg)
{
	struct proxy_diff *d = xcalloc(1, sizeof(*d));

	*d = (struct proxy_diff){ .all = all, .b = b, .done = done, .arg = arg };
	d->over = evtimer_new(base, on_over, d);
	d->job = b->diff(self, base, on_compared, d);
	DL_APPEND(all->list, d);
	return d;
}

void proxy_diff_cancel(struct proxy_diff *d)
{
	if (!d)
		return;
	if (d->job)
		d->b->diff_cancel(d->job);
	if (d->all)
		DL_DELETE(d->all->list, d);
	event_free(d->over);
	free(d);
}

void diffs_stop(struct diffs *all)
{
	struct proxy_diff *d, *next;

	DL_FOREACH_SAFE(all->list, d, next) {
		if (d->job)
			d->b->diff_cancel(TAKE(d->job));
		DL_DELETE(all->list, d);
		d->all = NULL;
		end(d);
	}
}
