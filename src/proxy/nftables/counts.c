/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/nftables/counts.h"

#include <errno.h>
#include <stdlib.h>

#include <event2/event.h>

#include "fairlead/clock.h"
#include "fairlead/mem.h"
#include "proxy/nftables/wire.h"
#include "proxy/tally.h"

struct counts {
	struct frame frame; /* of its family; the sets are the same whatever else it is */
	const struct counts_ops *ops;
	void *arg;
	struct wire *wire;
	struct event *next;
	bool reading, asked; /* for the set's elements */
	enum frame_count at; /* the set */
	size_t n;            /* of its elements */
	bool whole, full;
	int64_t begun_ms, next_ms; /* when the reading began; none before */
};

static void on_element(const struct frame_counted *counted, void *arg)
{
	struct counts *c = arg;

	c->n++;
	c->ops->counted(counted, c->arg);
}

/* One datagram; false: there is no other. */
static bool step(struct counts *c)
{
	int r = 1;

	if (!c->asked)
		r = frame_counts_begin(&c->frame, c->wire, c->at) < 0 ? -EIO : 1;
	c->asked = true;
	if (r == 1)
		r = frame_counts_step(&c->frame, c->wire, c->at, on_element, c);
	if (r == 1)
		return true;
	/* Where there is no table, nothing was counted. */
	c->whole = c->whole && (r == 0 || r == -ENOENT);
	c->full = c->full || c->n >= FRAME_COUNTED_MAX;
	c->n = 0;
	c->asked = false;
	return ++c->at < FRAME_COUNTS;
}

static void slice(struct counts *c)
{
	static const struct timeval now = { 0, 0 };
	int64_t until = clock_ms() + COUNTS_SLICE_MS;
	bool more;

	do
		more = step(c);
	while (more && clock_ms() < until);
	if (more) {
		evtimer_add(c->next, &now);
		return;
	}
	c->reading = false;
	c->next_ms = clock_ms() + TALLY_GAPS * (clock_ms() - c->begun_ms);
	c->ops->done(c->whole, c->full, c->arg);
}

static void on_next(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	slice(arg);
}

int counts_new(struct event_base *base, uint8_t family, const struct counts_ops *ops, void *arg,
               struct counts **ret_counts, struct err *e)
{
	struct counts *c = xcalloc(1, sizeof(*c));
	int r = wire_new(&c->wire, e);

	if (r < 0) {
		free(c);
		return r;
	}
	c->frame.family = family;
	c->ops = ops;
	c->arg = arg;
	c->next = evtimer_new(base, on_next, c);
	*ret_counts = c;
	return 0;
}

void counts_free(struct counts *c)
{
	if (!c)
		return;
	event_free(c->next);
	wire_free(c->wire);
	free(c);
}

bool counts_may_read(const struct counts *c)
{
	return !c->reading && clock_ms() >= c->next_ms;
}

void counts_read(struct counts *c)
{
	c->reading = c->whole = true;
	c->begun_ms = clock_ms();
	c->asked = c->full = false;
	c->at = (enum frame_count)0;
	c->n = 0;
	slice(c);
}
