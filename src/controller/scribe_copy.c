/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal's second way: each entry is appended to a file, or written to standard output, as
 * soon as it is known, also those that the ConfigMaps have no room for.  Whoever reads it keeps it
 * for as long as he likes.  What is only repeated, since the ConfigMaps go, is not in it.
 *
 * The file is opened for each write, so that another program may rename it away.  Nothing waits
 * here: standard output may be a pipe that nobody empties.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "controller/scribe_private.h"
#include "fairlead/clock.h"
#include "fairlead/journal.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"

#define RETRY_S 5

static bool is_stdout(const struct controller *ctl)
{
	return !strcmp(ctl->opts.journal_copy, "-");
}

static int copy_open(const struct controller *ctl)
{
	return is_stdout(ctl) ? STDOUT_FILENO
	                      : open(ctl->opts.journal_copy,
	                             O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
}

/* A pipe that is ready takes so many bytes at least without waiting; of anything else as many. */
static ssize_t write_ready(int fd, const char *data, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	if (poll(&p, 1, 0) == 0) {
		errno = EAGAIN;
		return -1;
	}
	return write(fd, data, size < PIPE_BUF ? size : PIPE_BUF);
}

/* 0, or the error that keeps the rest of it waiting. */
static int write_out(struct buf *waiting, int fd)
{
	size_t done = 0;
	int error = 0;

	while (done < waiting->size && !error) {
		ssize_t n = write_ready(fd, waiting->data + done, waiting->size - done);
		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			error = errno;
	}
	buf_consume(waiting, done);
	return error;
}

/* How much there was no room for. */
static void enter_dropped(struct controller *ctl)
{
	struct scribe_copy *c = &ctl->scribe->copy;
	const struct journal_entry e = { .event = JOURNAL_LOST,
		                         .time_us = clock_wall_us(),
		                         .by = ctl->identity,
		                         .count = c->dropped };

	journal_print(&e, &c->waiting);
	c->dropped = 0;
}

static void failed(struct controller *ctl, int error)
{
	struct scribe_copy *c = &ctl->scribe->copy;

	if (c->error != error)
		log_warn("the copy of the journal cannot be written; trying again",
		         KV_S("file", ctl->opts.journal_copy), KV_S("error", strerror(error)));
	c->error = error;
}

void scribe_copy_flush(struct controller *ctl)
{
	struct scribe_copy *c = &ctl->scribe->copy;
	static const struct timeval retry = { RETRY_S, 0 };

	if (c->waiting.size == 0)
		return;
	int fd = copy_open(ctl);
	int error = fd < 0 ? errno : write_out(&c->waiting, fd);
	if (!error && c->dropped) {
		enter_dropped(ctl);
		error = write_out(&c->waiting, fd);
	}
	if (fd >= 0 && !is_stdout(ctl))
		close(fd);
	if (error) {
		failed(ctl, error);
		evtimer_add(c->soon, &retry);
	} else {
		c->error = 0;
	}
}

static void on_soon(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	scribe_copy_flush(arg);
}

void scribe_copy_enter(struct controller *ctl, const struct journal_entry *e)
{
	static const struct timeval at_once = { 0, 0 };
	struct scribe_copy *c = &ctl->scribe->copy;

	if (!ctl->opts.journal_copy || e->event == JOURNAL_KEPT)
		return;
	if (c->waiting.size > SCRIBE_QUEUE_BYTES_MAX) {
		c->dropped++;
		ctl->stats.journal_dropped++;
		return;
	}
	journal_print(e, &c->waiting);
	if (!evtimer_pending(c->soon, NULL))
		evtimer_add(c->soon, &at_once);
}

int scribe_copy_start(struct controller *ctl)
{
	struct scribe_copy *c = &ctl->scribe->copy;

	c->soon = evtimer_new(ctl->base, on_soon, ctl);
	return c->soon ? 0 : -1;
}

void scribe_copy_fini(struct scribe_copy *c)
{
	if (c->soon)
		event_free(c->soon);
	buf_fini(&c->waiting);
}

void scribe_copy_put(const struct controller *ctl, struct out *o)
{
	const struct scribe_copy *c = &ctl->scribe->copy;

	if (!ctl->opts.journal_copy)
		return;
	out_object(o, "copy");
	out_str(o, "file", ctl->opts.journal_copy);
	out_uint(o, "waiting_bytes", c->waiting.size);
	out_uint(o, "dropped", c->dropped);
	out_str(o, "error", c->error ? strerror(c->error) : NULL);
	out_close(o);
}
